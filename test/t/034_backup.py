#!/usr/bin/env python3
"""Dumps, pg_basebackup, point-in-time recovery, incremental backups: topics come back as they were, and go on.

More of dumps is in 003_dump.
"""

import os
import shutil
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import moved           # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

EVENTS = 40     # recovery stops behind some of them

server = kept = None


def archive():
    return pg.base_dir() + "/archive"


def test_setup():
    global server, kept
    os.mkdir(archive())
    settings = {"archive_mode": "on", "archive_command": "cp %%p %s/%%f" % archive()}
    if pg.MAJOR >= 17:
        settings["summarize_wal"] = "on"
    server = pg.Cluster("source", settings).init().start()
    kept = moved.fill(server)
    tap.equal(moved.epoch(server), 1, "the source is in its first history")


# dumps

def restored(name, command, text=None, role=True):
    """A fresh server that a dump has been restored into, without an error."""
    copy = pg.Cluster(name).init(roles=role).start()
    if role:
        copy.sql("CREATE ROLE someone")
    done = copy.run(*command, input=text, check=False)
    tap.equal((done.returncode, done.stderr), (0, ""), name + ": restores without an error")
    return copy


def test_dumps():
    """each format that pg_dump has, and all of the cluster; another server is another history"""
    def path(form):
        return "%s/dump.%s" % (pg.base_dir(), form)

    server.sql("CREATE ROLE someone; GRANT SELECT ON topics.orders TO someone")
    for form, options in (("plain", []), ("custom", []), ("tar", []), ("directory", ["-j4"])):
        server.run("pg_dump", "-F" + form[0], *options, "-f", path(form))
    whole = server.run("pg_dumpall").stdout.replace("CREATE ROLE postgres;", "")
    psql = ["psql", "-Xq", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f"]
    copies = {"plain": restored("plain", [*psql, path("plain"), "postgres"]),
              "custom": restored("custom", ["pg_restore", "-e", "-d", "postgres", path("custom")]),
              "tar": restored("tar", ["pg_restore", "-e", "-d", "postgres", path("tar")]),
              "directory": restored("directory", ["pg_restore", "-j4", "-d", "postgres", path("directory")]),
              "pg_dumpall": restored("pg_dumpall", [*psql, "-", "template1"], whole, role=False)}
    for name, copy in copies.items():
        kept.compare(name, copy)
        tap.equal(copy.sql("SELECT has_table_privilege('someone', 'topics.orders', 'SELECT')"), "t", name + ": grants")
        kept.goes_on(name, copy, at_epoch=2, producers=False)
        copy.stop()


def test_dump_of_one_topic():
    """-t, into a database that has the extension"""
    path = pg.base_dir() + "/dump.one"
    server.run("pg_dump", "-Fc", "-t", "topics.orders", "-t", "topics.orders#*", "-f", path)
    copy = pg.Cluster("one").init().start()
    copy.sql("CREATE EXTENSION pgtopic; CREATE ROLE someone")
    done = copy.run("pg_restore", "-e", "-d", "postgres", path, check=False)
    tap.equal((done.returncode, done.stderr), (0, ""), "one topic: restores without an error")
    for what, query in (("records", moved.KEEP["records"].split(";", maxsplit=1)[0]), ("index", moved.KEEP["an index of keys"]),
                        ("id and configs", "SELECT id, configs FROM topics WHERE topic = 'orders'"),
                        ("offsets", "SELECT log_start('orders:0'), log_end('orders:0'), log_end('orders:1')")):
        tap.equal(copy.sql(query), server.sql(query), "one topic: " + what)
    tap.equal(copy.sql("SELECT append('orders:1', 'next'::text)"), "5001", "one topic: the next offset follows")
    copy.stop()


# pg_basebackup

def test_base_backup():
    """a copy of the files"""
    copy = server.base_backup("copy", {"archive_mode": "off"})
    moved.verify_backup("pg_basebackup", server, copy.data)
    copy.start()
    kept.compare("pg_basebackup", copy)
    kept.goes_on("pg_basebackup", copy, at_epoch=1)
    copy.stop()
    moved.check_pages("pg_basebackup", copy)


class Writer(threading.Thread):
    """One record and one row a transaction, until it is told to stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.sent = 0

    def run(self):
        session = server.session()
        while not self.stop.is_set():
            self.sent += 1
            session.sql("BEGIN; INSERT INTO written VALUES (%d); "
                        "SELECT produce('busy', '%d %s'::text); COMMIT" % (self.sent, self.sent, "x" * 5000))
        session.close()


def test_backup_under_load():
    """while records are appended: table and topic agree in the copy"""
    server.sql("SELECT create_topic('busy'); CREATE TABLE written (id int)")
    writer = Writer()
    writer.start()
    copy = server.base_backup("busy", {"archive_mode": "off"})
    writer.stop.set()
    writer.join(60)
    copy.start()
    tap.equal(copy.sql("SELECT split_part(as_text(value), ' ', 1)::int FROM topics.busy ORDER BY \"offset\""),
              copy.sql("SELECT id FROM written ORDER BY id"), "under load: the copy's topic has what its table has")
    n = int(copy.sql("SELECT count(*) FROM written"))
    tap.ok(0 < n <= writer.sent, "under load: that is a part of what was written (%d of %d)" % (n, writer.sent))
    tap.equal(copy.sql("SELECT append('busy:0', 'x'::text)"), str(n), "under load: the next offset follows")
    copy.stop()
    server.sql("SELECT drop_topic('busy'); DROP TABLE written")


# recovery to a point between two events

def event(n):
    """An event is one record of a session with a row beside it, or one of a client; then a group moves it on."""
    if n % 3:
        xid = server.sql("BEGIN; INSERT INTO happened VALUES (%d); SELECT produce('events', '%d'::text) \\g /dev/null\n"
                         "SELECT pg_current_xact_id(); COMMIT" % (n, n))
    else:
        xid = None
        moved.send(server, kept.producer, n // 3 - 1, [str(n)], "events")
    server.sql("INSERT INTO seen SELECT as_text(value)::int FROM consume('events', 'movers')")
    return xid


def points():
    """EVENTS events; returns what to call the moments behind some of them."""
    found = {}
    for n in range(1, EVENTS + 1):
        xid = event(n)
        if n == 10:
            found["lsn"] = (n, {"recovery_target_lsn": server.sql("SELECT pg_current_wal_insert_lsn()"),
                                "recovery_target_inclusive": "off"})
        if n == 18:
            server.sql("SELECT pg_create_restore_point('between')")
            found["name"] = (n, {"recovery_target_name": "between"})
        if n == 24:
            found["time"] = (n, {"recovery_target_time": server.sql("SELECT clock_timestamp()")})
        if n == 32:
            # its group has not moved yet
            found["xid"] = (n, {"recovery_target_xid": xid})
    return found


def test_points_in_time():
    """an archive brings it back to the moment between two events"""
    server.sql("SELECT create_topic('events'), create_topic('held'), create_topic('prepared'); CREATE TABLE happened (id int); "
               "CREATE TABLE seen (id int)")
    base = server.base_backup("base", {"archive_mode": "off"})
    held = server.session()
    held.sql("BEGIN; SELECT append('held:0', 'never committed before the end'::text)")
    server.sql("BEGIN; SELECT append('prepared:0', 'decided later'::text); PREPARE TRANSACTION 'later'")
    wanted = points()
    held.sql("COMMIT")
    server.sql("COMMIT PREPARED 'later'")
    last = server.sql("SELECT pg_walfile_name(pg_switch_wal())")
    server.sql("DO $$ BEGIN WHILE coalesce((SELECT last_archived_wal FROM pg_stat_archiver), '') < '%s' LOOP "
               "PERFORM pg_sleep(0.1), pg_stat_clear_snapshot(); END LOOP; END $$" % last)
    for kind, (n, target) in wanted.items():
        recover(base, kind, n, target)
    held.close()


def recover(base, kind, n, target):
    what = "to " + kind
    copy = base.twin(kind, dict(target, restore_command="cp %s/%%f %%p" % archive(), recovery_target_action="promote"))
    shutil.copytree(base.data, copy.data)
    copy.settled().signal("recovery").start()
    copy.sql("DO $$ BEGIN WHILE pg_is_in_recovery() LOOP PERFORM pg_sleep(0.05); END LOOP; END $$")
    events = "\n".join(str(i) for i in range(1, n + 1))
    tap.equal(copy.sql('SELECT as_text(value) FROM topics.events ORDER BY "offset"'), events, what + ": the events up to that moment")
    tap.equal(copy.sql("SELECT id FROM happened ORDER BY 1"), "\n".join(str(i) for i in range(1, n + 1) if i % 3),
              what + ": and the rows beside them")
    moved_on = n - 1 if kind == "xid" else n
    tap.equal(copy.sql("SELECT count(*), max(id) FROM seen"), "%d|%d" % (moved_on, moved_on), what + ": what the group had moved on")
    tap.equal(copy.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'movers'"), str(moved_on), what + ": is where it stands")
    tap.equal(copy.sql("SELECT count(*) FROM topics.held; SELECT count(*) FROM topics.prepared"), "0\n0",
              what + ": no record of a transaction that was open")
    tap.equal(moved.send(copy, kept.producer, n // 3, ["next"], "events"), (0, n), what + ": a client's next event follows")
    tap.equal(copy.sql("ROLLBACK PREPARED 'later'; SELECT append('prepared:0', 'x'::text), append('held:0', 'x'::text)"), "0|0",
              what + ": open transactions' offsets are free")
    kept.compare(what, copy)
    kept.goes_on(what, copy, at_epoch=2)
    copy.stop()


# incremental backups

def test_incremental():
    """a full backup and two incremental ones make one (17 and later)"""
    if pg.MAJOR < 17:
        tap.note("PostgreSQL %d has no incremental backups" % pg.MAJOR)
        return
    server.sql("SELECT create_topic('grows'), create_topic('trimmed'), create_topic('rewritten'), create_topic('truncated'), "
               "create_topic('dropped')")
    fill_all("before", 3000)
    backups = [pg.base_dir() + "/full"]
    server.run("pg_basebackup", "-D", backups[0], "-c", "fast")
    for n in (1, 2):
        change_all(n)
        backups.append("%s/incremental%d" % (pg.base_dir(), n))
        server.run("pg_basebackup", "-D", backups[n], "-c", "fast", "--incremental", backups[n - 1] + "/backup_manifest")
        moved.verify_backup("incremental backup %d" % n, server, backups[n])
    size = [sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(b + "/base") for f in fs) for b in backups]
    tap.note("sizes of base/: %s" % size)
    tap.ok(size[2] < size[0] / 2, "the second incremental backup is much smaller than the full one")
    copy = server.twin("combined", {"archive_mode": "off"})
    server.run("pg_combinebackup", "-o", copy.data, *backups)
    moved.verify_backup("pg_combinebackup", server, copy.data)
    wanted = everything(server)
    copy.settled().start()
    tap.equal(everything(copy), wanted, "pg_combinebackup: all topics have what they had")
    kept.look(server)
    kept.compare("pg_combinebackup", copy)
    kept.goes_on("pg_combinebackup", copy, at_epoch=1)
    copy.sql("SELECT append('grows:0', 'x'::text), append('trimmed:0', 'x'::text), append('rewritten:0', 'x'::text), "
             "append('truncated:0', 'x'::text), append('late:0', 'x'::text)")
    copy.stop()
    moved.check_pages("pg_combinebackup", copy)


CHANGED = ("grows", "trimmed", "rewritten", "truncated")


def fill_all(note, n):
    for topic in CHANGED + ("dropped",):
        server.sql("INSERT INTO topics.%s (value) SELECT convert_to('%s ' || i || repeat('x', 800), 'UTF8') FROM generate_series(1, %d) i"
                   % (topic, note, n))


def change_all(n):
    for topic in CHANGED:
        server.sql("INSERT INTO topics.%s (value) SELECT convert_to('change %d ' || i || repeat('y', 500), 'UTF8') FROM generate_series(1, 300) i"
                   % (topic, n))
    server.sql("SELECT delete_records('trimmed:0', log_end('trimmed:0') - 200)")
    server.sql("VACUUM FULL topics.\"rewritten#0\"")
    server.sql("TRUNCATE topics.truncated; SELECT append('truncated:0', 'after %d'::text)" % n)
    if n == 1:
        server.sql("SELECT drop_topic('dropped'), create_topic('late')")
    server.sql("SELECT produce('late', 'in the topic that is new'::text)")


def everything(where):
    topics = CHANGED + ("late",)
    return [where.sql('SELECT "offset", md5(value) FROM topics.%s ORDER BY 1' % topic) for topic in topics] + \
           [where.sql("SELECT log_start('%s:0'), log_end('%s:0')" % (topic, topic)) for topic in topics]


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_setup, test_dumps, test_dump_of_one_topic, test_base_backup, test_backup_under_load, test_points_in_time, test_incremental])
