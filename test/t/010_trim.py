#!/usr/bin/env python3
"""delete_records() over crashes, on standbys, through promotion and dump, and beside everybody else."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

primary = standby = None

BOUNDS = ("SELECT partition, start_offset, end_offset, records FROM partitions WHERE topic::text = '%s' ORDER BY 1")
FOUND = 'SELECT partition, count(*), min("offset"), max("offset") FROM topics.%s GROUP BY 1 ORDER BY 1'


def same_on_both(topic, what):
    primary.wait_caught_up(standby)
    for query in (BOUNDS, FOUND):
        tap.equal(standby.rows(query % topic), primary.rows(query % topic), what)


def test_standby():
    """a standby follows, page by page"""
    global primary, standby
    primary = pg.Cluster("primary", {"wal_consistency_checking": "all"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic")
    standby = primary.standby().start()
    primary.sql("SELECT create_topic('logs', partitions => 2); SELECT create_topic('large'); SELECT create_topic('whole');"
                "INSERT INTO topics.logs (partition, value) SELECT i % 2, ('v' || i)::text::bytea FROM generate_series(0, 1999) i;"
                "INSERT INTO topics.whole (value) SELECT 'v' FROM generate_series(1, 100)")
    for _ in range(30):     # more than one extent
        primary.sql("INSERT INTO topics.large (value) SELECT repeat(md5(i::text), 3000)::bytea FROM generate_series(1, 2) i")
    primary.sql("CREATE INDEX ON topics.logs (value)")
    tap.equal(primary.sql("SELECT delete_records('logs:0', 333)"), "333", "amid a batch")
    primary.sql("SELECT delete_records('large:0', 31); SELECT delete_records('whole')")
    tap.equal(primary.rows(BOUNDS % "logs"), [["0", "333", "1000", "667"], ["1", "0", "1000", "1000"]], "the start moves")
    for topic in ("logs", "large", "whole"):
        same_on_both(topic, "%s: the standby has the same" % topic)
    tap.equal(standby.sql("SET enable_seqscan = off; SELECT count(*) FROM topics.logs WHERE value IN ('v100', 'v666')"), "1",
              "an index does not find what is gone")
    try:
        standby.sql("SELECT delete_records('logs')")
        tap.ok(False, "not on a standby")
    except pg.SqlError as problem:
        tap.matches("read-only transaction|during recovery", str(problem), "not on a standby")


def test_crash():
    """a crash keeps it, and one right after a rollback keeps the records"""
    primary.sql("BEGIN; SELECT delete_records('logs:1', 500); ROLLBACK")
    primary.kill9().start()
    primary.wait_up()
    tap.equal(primary.rows(BOUNDS % "logs"), [["0", "333", "1000", "667"], ["1", "0", "1000", "1000"]], "as it was")
    primary.sql("SELECT delete_records('logs:1', 500)")
    primary.kill9().start()
    primary.wait_up()
    tap.equal(primary.rows(BOUNDS % "logs"), [["0", "333", "1000", "667"], ["1", "500", "1000", "500"]], "at once durable")
    tap.equal(primary.rows(BOUNDS % "whole"), [["0", "100", "100", "0"]], "a log that was emptied keeps its end")
    tap.equal(primary.sql("SELECT append('whole:0', 'next'::text)"), "100", "and goes on from there")
    for topic in ("logs", "large", "whole"):
        same_on_both(topic, "%s: and so does the standby" % topic)


def test_dump():
    """a dump brings the start back with the records"""
    dump = primary.run("pg_dump", "-t", "topics.logs*", "-t", "topics.large*").stdout
    primary.sql("CREATE DATABASE copy")
    primary.sql("CREATE EXTENSION pgtopic", database="copy")
    done = primary.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", input=dump, check=False, database="copy")
    tap.equal((done.returncode, done.stderr), (0, ""), "restored")
    for topic in ("logs", "large"):
        for query in (BOUNDS, FOUND):
            tap.equal(primary.rows(query % topic, database="copy"), primary.rows(query % topic), "%s: the same" % topic)
    primary.sql("DROP DATABASE copy")


def test_beside_others():
    """starts move while others produce, read and VACUUM: nothing but the oldest records goes"""
    primary.sql("SELECT create_topic('busy')")
    stop = threading.Event()
    problems = []

    def produce():
        session = primary.session()
        while not stop.is_set():
            session.sql("INSERT INTO topics.busy (value) SELECT 'v' FROM generate_series(1, 7)")
        session.close()

    def read():
        session = primary.session()
        # the workers of a parallel scan begin one after the other, and leave out what is gone by then
        session.sql("SET max_parallel_workers_per_gather = 0")
        while not stop.is_set():
            row = session.sql('SELECT count(*), max("offset") - min("offset") + 1 FROM topics.busy').split("|")
            if row[0] != "0" and row[0] != row[1]:
                problems.append("a gap: %s" % row)
        session.close()

    def vacuum():
        session = primary.session()
        while not stop.is_set():
            session.sql("VACUUM topics.busy")
            time.sleep(0.01)
        session.close()

    threads = [threading.Thread(target=f, daemon=True) for f in (produce, read, read, vacuum)]
    for thread in threads:
        thread.start()
    start = 0
    for _ in range(100):
        time.sleep(0.01)
        end = int(primary.sql("SELECT log_end('busy:0')"))
        start = random.randint(start, end)
        if primary.sql("SELECT delete_records('busy:0', %d)" % start) != str(start):
            problems.append("the start is not at %d" % start)
        if primary.sql("SELECT log_start('busy:0')") != str(start):
            problems.append("the start is not seen at %d" % start)
    stop.set()
    for thread in threads:
        thread.join()
    tap.equal(problems, [], "nothing went wrong")
    same_on_both("busy", "the standby has the same")


def test_promotion():
    """a promoted standby has the start, and moves it on"""
    primary.wait_caught_up(standby)
    primary.stop("immediate")
    standby.promote()
    tap.equal(standby.rows(BOUNDS % "logs"), [["0", "333", "1000", "667"], ["1", "500", "1000", "500"]], "as it was")
    standby.sql("SELECT delete_records('logs:1', 600)")
    standby.kill9().start()
    standby.wait_up()
    tap.equal(standby.rows(FOUND % "logs"), [["0", "667", "333", "999"], ["1", "400", "600", "999"]], "and on")
    for server in (primary, standby):
        tap.ok("inconsistent page" not in server.log_text(), "%s: pages are consistent" % server.name)
        tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "%s: no PANIC" % server.name)


pg.demote()
tap.main([test_standby, test_crash, test_dump, test_beside_others, test_promotion])
