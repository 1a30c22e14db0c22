#!/usr/bin/env python3
"""A build whose extents, directory pages and maps are tiny: a little data comes over all the boundaries of a log that runs for years.

The regression tests, a random workload against a model, and a full disk: PGTOPIC_SEED repeats one.
"""

import hashlib
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import small_disk      # noqa: E402
import tap             # noqa: E402

ROUNDS = 160
SEED = int(os.environ.get("PGTOPIC_SEED") or random.randrange(1 << 30))

RECORDS = 60            # of the test of a full disk; most take an extent of their own

primary = standby = disk = None


def build():
    """Builds a copy of the tree and makes the servers of this test use it."""
    top = pg.base_dir() + "/tiny"
    shutil.copytree(pg.ROOT, top + "/tree", symlinks=True,
                    ignore=shutil.ignore_patterns(".git", "build", "*.o", "*.so", "*.bc", "*.d", "__pycache__"))
    make = ["make", "-s", "-j2", "-C", top + "/tree", "COPT=-DPT_TINY", "with_llvm=no", "PG_CONFIG=" + os.environ.get("PG_CONFIG", "pg_config"),
            "DESTDIR=" + top + "/installed", "install"]
    done = subprocess.run(make, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if not tap.ok(done.returncode == 0, "the build with tiny extents"):
        tap.note(done.stdout)
        return False
    pg.DESTDIR = top + "/installed"
    return True


def test_suite():
    """the regression tests"""
    tests = sorted(name[:-4] for name in os.listdir(pg.ROOT + "/sql") if name.endswith(".sql"))
    server = pg.Cluster("suite").init().start()
    done, out = server.pg_regress(tests)
    if not tap.ok(done.returncode == 0, "they pass"):
        tap.note(done.stdout)
        if os.path.exists(out + "/regression.diffs"):
            with open(out + "/regression.diffs", encoding="utf8") as f:
                tap.note(f.read()[:5000])
    server.stop()


def run_file(name, largest):
    """Another file of tests, with this build and some rounds of records of up to so many bytes."""
    done = subprocess.run([sys.executable, "%s/test/t/%s.py" % (pg.ROOT, name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PGTOPIC_DESTDIR": pg.DESTDIR, "PGTOPIC_SEED": str(SEED), "PGTOPIC_ROUNDS": "30",
                               "PGTOPIC_LARGEST": str(largest)}, check=False)
    if not tap.ok(done.returncode == 0 and "not ok" not in done.stdout, "it passes"):
        tap.note(done.stdout)


def test_compaction():
    """the random test of compaction, whose logs then have more extents than the meta page has entries for"""
    run_file("030_compaction", 400000)


def test_indexes():
    """the random test of indexes"""
    run_file("049_indexes", 60000)


class Model:
    """What must be in the log: md5 of the value by offset."""

    def __init__(self, rng):
        self.rng = rng
        self.records = {}
        self.start = 0
        self.end = 0
        self.cursor = None      # a session with an open cursor, and what it must give
        self.expected = []
        self.got = []

    def values(self):
        """Sizes of a few records, small and large ones."""
        most = self.rng.choice((100, 3000, 60000))
        return [self.rng.randrange(1, most) for _ in range(self.rng.randrange(1, 12))]

    def append(self, session):
        sizes = self.values()
        seed = self.rng.randrange(1 << 30)
        values = [(hashlib.md5(b"%d %d" % (seed, i)).hexdigest() * (size // 32 + 1))[:size] for i, size in enumerate(sizes)]
        session.sql("INSERT INTO topics.t (key, value) VALUES %s" % ", ".join("('k%d', '%s')" % (i, v) for i, v in enumerate(values)))
        for value in values:
            self.records[self.end] = hashlib.md5(value.encode()).hexdigest()
            self.end += 1

    def abort(self, session):
        session.sql("BEGIN; SET LOCAL pgtopic.produce_buffer = 64; INSERT INTO topics.t (value) SELECT repeat('x', %d)::bytea FROM generate_series(1, 5); ROLLBACK"
                    % self.rng.randrange(1, 60000))

    def trim(self, session):
        keep = self.rng.choice((0, 1, 20, 60, 100))
        start = max(self.start, self.end - keep)
        session.sql("SELECT delete_records('t:0', %d)" % start)
        for offset in range(self.start, start):
            del self.records[offset]
        self.start = start

    def hold(self, server):
        """Opens a cursor, or reads the open one to its end."""
        if self.cursor is None:
            self.expected = [self.records[o] for o in sorted(self.records)]
            self.cursor = server.session()
            self.cursor.sql("BEGIN; DECLARE c CURSOR FOR SELECT md5(value) FROM topics.t")
            self.got = self.cursor.sql("FETCH 1 FROM c").split()    # the scan begins here
            return True
        self.got += self.cursor.sql("FETCH ALL FROM c").split()
        self.cursor.sql("COMMIT")
        self.cursor.close()
        self.cursor = None
        return self.got == self.expected

    def forget(self):
        if self.cursor is not None:
            self.cursor.close()
        self.cursor = None

    def check(self, server):
        """What differs between the log and the model: a text, empty if nothing."""
        rows = server.rows('SELECT "offset", md5(value) FROM topics.t')
        if rows != [[str(o), self.records[o]] for o in sorted(self.records)]:
            return "a scan gives %d records, not %d" % (len(rows), len(self.records))
        if [server.sql("SELECT log_start('t:0')"), server.sql("SELECT log_end('t:0')")] != [str(self.start), str(self.end)]:
            return "the log is not [%d, %d)" % (self.start, self.end)
        for offset in self.rng.sample(sorted(self.records), min(3, len(self.records))):
            if server.sql('SELECT md5(value) FROM topics.t WHERE "offset" = %d' % offset) != self.records[offset]:
                return "offset %d is not found" % offset
        by_key = server.rows('SET enable_seqscan = off; SELECT "offset" FROM topics.t WHERE key = \'k0\' ORDER BY 1')
        by_scan = server.rows('SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT "offset" FROM topics.t WHERE key = \'k0\' ORDER BY 1')
        if by_key != by_scan:
            return "an index gives %s, a scan %s" % (by_key, by_scan)
        found = server.rows("SELECT * FROM verify_topic('t', deep => true)")
        return "verify_topic: %s" % found[:3] if found else ""


def test_random():
    """a random workload, with crashes, scans that are overtaken, and a standby, against a model"""
    global primary, standby
    tap.note("seed %d" % SEED)
    rng = random.Random(SEED)
    primary = pg.Cluster("primary", {"wal_consistency_checking": "pgtopic", "wal_keep_size": "4GB", "full_page_writes": "on"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'); CREATE INDEX ON topics.t (key)")
    standby = primary.standby(settings={"max_standby_streaming_delay": "-1"}).start()
    model = Model(rng)
    session = primary.session()
    problem = ""
    for i in range(ROUNDS):
        step = rng.random()
        if step < 0.55:
            for _ in range(3):
                model.append(session)
        elif step < 0.75:
            model.trim(session)
        elif step < 0.82:
            model.abort(session)
        elif step < 0.90:
            if not model.hold(primary):
                problem = "a scan that was overtaken gives something else"
        elif step < 0.96:
            session.sql("VACUUM topics.t")
        else:
            model.forget()
            session.close()
            primary.kill9().start()
            primary.wait_up()
            session = primary.session()
        if i % 5 == 4:
            problem = problem or model.check(primary)
        if problem:
            tap.note("after step %d" % i)
            break
    model.forget()
    tap.equal(problem, "", "the log is what the model says")
    primary.wait_caught_up(standby)
    tap.equal(standby.rows('SELECT "offset", md5(value) FROM topics.t'), [[str(o), model.records[o]] for o in sorted(model.records)], "so is the standby's")
    tap.equal(standby.rows("SELECT * FROM verify_topic('t', deep => true)"), [], "and it is whole")
    size = int(primary.sql("SELECT pg_relation_size('topics.\"t#0\"')"))
    tap.ok(model.end > 500, "%d records went through it, the file has %d bytes" % (model.end, size))
    session.close()
    standby.stop()
    primary.stop()


def append(session, i):
    return session.sql("SELECT append('f:0', repeat('%d', 50000))" % (i % 10))


def appended_at_last(session, i):
    """How often a record was refused until the disk had space enough for it; each time a little more is free."""
    for refused, kb in enumerate((0, 8, 16, 60, 64, 72, 80, 128, 136, 144, 1024)):
        disk.leave(kb / 1024)
        answer = append(session, i)
        if answer == str(i):
            return refused
        if "No space left on device" not in answer:
            raise RuntimeError("record %d: %s" % (i, answer))
    raise RuntimeError("record %d has never been taken" % i)


def test_full_disk():
    """each extent, each page of the map and of the directory meets a full disk"""
    if disk is None:
        tap.note("left out: no file system can be mounted here")
        return
    server = pg.Cluster("full", {"autovacuum": "off"}).init().start()
    server.sql("CREATE TABLESPACE small LOCATION '%s'" % disk.directory("tablespace"))
    server.set(default_tablespace="small").restart()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('f')")
    session = server.session()
    refused = [appended_at_last(session, i) for i in range(RECORDS)]
    disk.leave()
    session.close()
    tap.ok(sum(r > 0 for r in refused) >= RECORDS // 2, "%d records, %d times refused" % (RECORDS, sum(refused)))
    tap.ok(max(refused) > min(r for r in refused if r > 0), "some needed more than an extent: %s" % refused)
    whole = "SELECT count(*), max(\"offset\"), bool_and(value = repeat((\"offset\" % 10)::text, 50000)::bytea) FROM topics.f"
    for what in ("all records are there", "also after a crash"):
        tap.equal(server.sql(whole), "%d|%d|t" % (RECORDS, RECORDS - 1), what)
        tap.equal(server.rows("SELECT * FROM verify_topic('f', deep => true)"), [], "the log is whole")
        server.kill9().start()
        server.wait_up()
    tap.ok(int(server.sql("SELECT pg_relation_size('topics.\"f#0\"')")) > 5 * 7 * 65536, "it has several pages of the map")
    server.stop()


pg.demote()
disks = small_disk.mount(40)
disk = disks[0] if disks else None
if build():
    tap.main([test_suite, test_random, test_compaction, test_indexes, test_full_disk])
