#!/usr/bin/env python3
"""Topics whose files are moved or written anew: tablespaces, VACUUM FULL, REPACK, copies of databases, checksums."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import moved           # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

server = standby = kept = None

FILES = "SELECT string_agg(pg_relation_filepath(leaf), ' ' ORDER BY partition) FROM partitions WHERE topic = '%s'"
FULL = "SELECT count(*), count(DISTINCT \"offset\"), min(\"offset\"), max(\"offset\"), sum(length(value)) FROM topics.moves"


def fails(text, pattern, what, where=None, database="postgres"):
    try:
        (where or server).sql(text, database=database)
        tap.ok(False, what)
    except pg.SqlError as problem:
        tap.matches(pattern, str(problem), what)


def follows(what):
    """The standby has replayed it."""
    server.wait_caught_up(standby)
    kept.compare(what + ", standby", standby)
    tap.equal(standby.sql(FULL), server.sql(FULL), what + ", standby: the long topic")


def test_setup():
    global server, standby, kept
    server = pg.Cluster("main", {"wal_consistency_checking": "all", "allow_in_place_tablespaces": "on", "wal_keep_size": "1GB"}).init().start()
    kept = moved.fill(server)
    server.sql("SELECT create_topic('moves', partitions => 2); INSERT INTO topics.moves (partition, key, value) "
               "SELECT i % 2, ('k' || i)::bytea, convert_to(i || repeat('x', 1000), 'UTF8') FROM generate_series(1, 8000) i; "
               "CREATE INDEX moves_key ON topics.moves (key)")
    for name in ("a", "b", "c"):
        server.sql("CREATE TABLESPACE %s LOCATION ''" % name)
    standby = server.standby().start()
    follows("to begin with")


# tablespaces

def test_tablespace():
    """one partition, all of a tablespace, and a topic's default"""
    before = server.sql(FULL)
    session = server.session()
    session.sql("PREPARE p AS SELECT count(*) FROM topics.moves; EXECUTE p")
    server.sql("ALTER TABLE topics.\"moves#1\" SET TABLESPACE a")
    tap.matches("pg_tblspc", server.sql(FILES % "moves").split()[1], "SET TABLESPACE: the file is somewhere else")
    tap.equal(server.sql(FULL), before, "SET TABLESPACE: its records are the same")
    tap.equal(session.sql("EXECUTE p"), "8000", "SET TABLESPACE: for a session that knew it before, too")
    tap.equal(server.sql("SELECT append('moves:1', 'next'::text)"), "4000", "SET TABLESPACE: the next offset")
    tap.equal(moved.fetched(server, "moves", 1, 4000), [(4000, "next")], "SET TABLESPACE: and a consumer gets it")
    server.sql("ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE b")
    tap.matches("^(pg_tblspc\\S+ ?)+$", server.sql(FILES % "orders"), "ALL IN TABLESPACE: all partitions have moved")
    kept.compare("ALL IN TABLESPACE", server)
    kept.producers_go_on("ALL IN TABLESPACE", server, True)
    kept.count()
    kept.look(server)
    follows("tablespaces")
    server.kill9().start()
    kept.compare("tablespaces, after a crash", server)
    tap.equal(kept.send(server)[0], moved.NONE, "tablespaces, after a crash: the producer goes on")
    kept.count()
    server.sql("ALTER TABLE topics.moves SET TABLESPACE a; SELECT add_partitions('moves', 3)")
    tap.matches("pg_tblspc", server.sql(FILES % "moves").split()[2], "a topic's tablespace is that of partitions made later")
    session.close()
    kept.look(server)


def test_tablespace_rolled_back():
    """a move that is not committed"""
    server.sql("BEGIN; ALTER TABLE topics.clients SET TABLESPACE a; ALTER TABLE topics.\"clients#0\" SET TABLESPACE a; "
               "SELECT append('clients:0', 'in the new file'::text); ROLLBACK")
    kept.compare("SET TABLESPACE rolled back", server)
    tap.equal(kept.send(server)[0], moved.NONE, "SET TABLESPACE rolled back: the producer goes on")
    kept.count()
    kept.look(server)
    server.sql("BEGIN; ALTER TABLE topics.\"orders#2\" SET TABLESPACE a; SELECT append('orders:2', 'beside'::text); COMMIT")
    end = int(server.sql("SELECT log_end('orders:2')"))
    tap.equal(moved.fetched(server, "orders", 2, end - 1), [(end - 1, "beside")], "appended in the transaction that moved it")
    kept.look(server)


# written anew

def test_rewrites():
    """VACUUM FULL and, from 19 on, REPACK; CLUSTER makes no sense"""
    commands = ["VACUUM FULL topics.\"clients#0\", topics.orders, topics.moves"]
    if pg.MAJOR >= 19:
        commands += ["REPACK topics.\"clients#0\"", "REPACK topics.\"moves#0\"", "REPACK (VERBOSE, ANALYZE) topics.\"orders#1\""]
    for command in commands:
        server.sql("SELECT delete_records('moves:0', log_start('moves:0') + 500); BEGIN; SELECT append('moves:0', 'x'::text); ROLLBACK")
        full, files = server.sql(FULL), server.sql(FILES % "moves")
        what = command.split(" topics")[0]
        server.sql(command)
        kept.compare(what, server)
        tap.equal(server.sql(FULL), full, what + ": the long topic")
        if "moves" in command:
            tap.ok(server.sql(FILES % "moves") != files, what + ": it has another file")
        kept.producers_go_on(what, server, True)
        kept.count()
        kept.look(server)
        follows(what)
    for command in ("CLUSTER topics.\"moves#0\" USING \"moves#0_key_idx\"", "CLUSTER topics.moves USING moves_key"):
        fails(command, "cannot cluster|the order of|partitioned", "refused: " + command)
    if pg.MAJOR >= 19:
        fails("REPACK topics.\"moves#0\" USING INDEX \"moves#0_key_idx\"", "cannot cluster|order", "REPACK USING INDEX is refused")
        fails("REPACK (CONCURRENTLY) topics.\"moves#0\"", "moves#0", "REPACK (CONCURRENTLY) is refused")
    kept.compare("after what was refused", server)


# copies of databases

def test_created_from():
    """CREATE DATABASE ... TEMPLATE of a database with topics, in both ways, and moving one"""
    fails("CREATE DATABASE served TEMPLATE postgres", "being accessed by other users", "the database that is served has sessions",
          database="template1")
    server.sql("CREATE DATABASE served_instead", database="template1")
    server.set(pgtopic__database="served_instead").restart()
    full = server.sql(FULL)
    for strategy in ("wal_log", "file_copy"):
        server.sql("CREATE DATABASE %s TEMPLATE postgres STRATEGY %s" % (strategy, strategy), database="template1")
        kept.compare(strategy, server, database=strategy)
        tap.equal(server.sql(FULL, database=strategy), full, strategy + ": the long topic")
        tap.equal(server.sql("SELECT append('moves:1', 'only here'::text)", database=strategy), "4001", strategy + ": the next offset")
        tap.equal(server.sql(FULL), full, strategy + ": the original does not have it")
    server.sql("ALTER DATABASE file_copy SET TABLESPACE c", database="template1")
    tap.equal(server.sql("SELECT append('moves:1', 'moved'::text)", database="file_copy"), "4002", "ALTER DATABASE SET TABLESPACE: the next offset")
    server.wait_caught_up(standby)
    for strategy, n in (("wal_log", 1), ("file_copy", 2)):
        tap.equal(standby.sql("SELECT count(*) FROM topics.moves WHERE partition = 1 AND \"offset\" > 4000", database=strategy), str(n),
                  strategy + ": the standby has it")
    server.kill9().start()
    kept.compare("wal_log, after a crash", server, database="wal_log")
    serve("wal_log")


def serve(database):
    """Clients get the copy now; it goes on by itself."""
    server.set(pgtopic__database=database).restart()
    end = int(server.sql("SELECT log_end('clients:0')", database=database))
    tap.equal(kept.send(server), (moved.NONE, end), "served: a producer goes on in the copy")
    tap.equal(moved.committed(server, "others", "orders", 1), 17, "served: a group is where it was")
    tap.equal(moved.epoch(server), 1, "served: it is the same history")
    tap.equal(server.sql("SELECT log_end('clients:0')"), str(end), "served: the original stays as it is")
    server.set(pgtopic__database="postgres").restart()
    tap.equal(kept.send(server), (moved.NONE, end), "served again: so does the producer in the original")
    kept.count()
    kept.look(server)


# checksums

def test_checksums():
    """every page has one; off and on again, and while the server runs where it can"""
    global standby
    standby.stop()
    server.stop()
    moved.check_pages("all moves", server)
    for way in ("--disable", "--enable"):
        server.run("pg_checksums", way, "-D", server.data)
        server.start()
        kept.compare("pg_checksums " + way, server)
        server.sql("INSERT INTO topics.moves (value) SELECT 'x' FROM generate_series(1, 3000)")
        server.stop()
    moved.check_pages("pg_checksums", server)
    server.start()
    if server.sql("SELECT count(*) FROM pg_proc WHERE proname = 'pg_disable_data_checksums'") == "0":
        tap.note("PostgreSQL %d cannot change them while it runs" % pg.MAJOR)
    else:
        online_checksums()
    kept.goes_on("at the end", server, at_epoch=1)


def online_checksums():
    for function, state in (("disable", "off"), ("enable", "on")):
        server.sql("SELECT pg_%s_data_checksums()" % function)
        server.sql("DO $$ BEGIN WHILE current_setting('data_checksums') <> '%s' LOOP PERFORM pg_sleep(0.1); END LOOP; END $$" % state)
        kept.compare("online, %s" % state, server)
    server.stop()
    moved.check_pages("online", server)
    server.start()


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_setup, test_tablespace, test_tablespace_rolled_back, test_rewrites, test_created_from, test_checksums])
