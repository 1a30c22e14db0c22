#!/usr/bin/env python3
"""Transactions that are larger than logical_decoding_work_mem come to a source while they run, and become records when they commit: several at a time,
with subtransactions that are rolled back, through crashes, in bounded memory."""

import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg      # noqa: E402
import tap                # noqa: E402
import two_servers        # noqa: E402

LARGE = tap.size("PGTOPIC_LARGE", 100000, 1000000)

pair = here = there = None


def streamed(n):
    """So many transactions were sent in pieces."""
    return pair.wait_for("%d transactions in pieces" % n, "SELECT coalesce(sum(stream_txns), 0) >= %d FROM pg_stat_replication_slots" % n, server=there)


def spooled():
    """Something waits in a file here."""
    return pair.wait_for("a file", "SELECT count(*) > 0 FROM pg_ls_tmpdir()")


def ids(topic, headers=False):
    return [(json.loads(k)["id"], h["op"]) if headers else json.loads(k)["id"] for k, _, h in pair.records(topic)]


def test_subtransactions():
    """what was rolled back does not come, whatever it was; what was said of a table meanwhile counts"""
    there.sql("CREATE TABLE t (id int PRIMARY KEY, pad text); CREATE TABLE first_seen (id int PRIMARY KEY, pad text); CREATE TABLE none (id int)")
    here.sql("SELECT create_source('s', tables => ARRAY['t', 'first_seen'], topic => '{table}', format => 'row', connection => '%s')" % pair.connection())
    pair.streaming("s")
    many = "INSERT INTO %s SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n;"
    there.sql("BEGIN;" + many % ("t", 1, 2000)
              + "SAVEPOINT a;" + many % ("first_seen", 1, 2000) + many % ("t", 2001, 4000) + "SAVEPOINT b;" + many % ("t", 4001, 6000) + "RELEASE b; ROLLBACK TO a;"
              + many % ("first_seen", 3001, 5000)
              + "SAVEPOINT c; ALTER TABLE t ADD extra int; " + "INSERT INTO t SELECT n, 'y', n FROM generate_series(6001, 8000) n; ROLLBACK TO c;"
              + "SAVEPOINT d; UPDATE t SET pad = 'd' WHERE id <= 1000; RELEASE d;"
              + many % ("t", 8001, 9000) + "COMMIT; INSERT INTO t VALUES (9001, 'z')")
    pair.wait_records("t", 4001)
    pair.wait_records("first_seen", 2000)
    tap.ok(streamed(1), "it came in pieces")
    tap.equal(ids("t"), list(range(1, 2001)) + list(range(1, 1001)) + list(range(8001, 9002)), "rows, in their order")
    tap.equal(ids("first_seen"), list(range(3001, 5001)), "a table that was first seen in what was rolled back")
    tap.equal(here.sql("SELECT count(*) FROM topics.t WHERE value->>'extra' IS NOT NULL"), "0", "with the columns that it has")


def test_alternating():
    """two transactions at a time, and small ones between; one is rolled back"""
    one, other, third = there.session(), there.session(), there.session()
    for session in (one, other, third):
        session.sql("BEGIN")
    for part in range(4):
        for base, session in ((20000, one), (30000, other), (40000, third)):
            session.sql("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n" % (base + part * 1000, base + part * 1000 + 999))
        there.sql("INSERT INTO t VALUES (%d, 'small')" % (50000 + part))
    tap.ok(spooled(), "they wait in files")
    pair.wait_records("t", 4005)
    third.sql("ROLLBACK")
    other.sql("COMMIT")
    one.sql("COMMIT")
    pair.wait_records("t", 12005)
    tap.equal(ids("t")[4001:], list(range(50000, 50004)) + list(range(30000, 34000)) + list(range(20000, 24000)), "in the order of their commits")
    tap.ok(pair.wait_for("no file", "SELECT count(*) = 0 FROM pg_ls_tmpdir()"), "and the files are gone")
    for session in (one, other, third):
        session.close()


def test_crashes():
    """kill -9 while a piece waits, of the worker and of either server: each row comes once"""
    count = 12005
    for n, deed in enumerate((kill_worker, lambda: here.kill9().start(), kill_worker)):
        session = there.session()
        session.sql("BEGIN; INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n" % (60000 + n * 10000, 62999 + n * 10000))
        spooled()
        deed()
        session.sql("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n; COMMIT" % (63000 + n * 10000, 64999 + n * 10000))
        session.close()
        count += 5000
        pair.wait_records("t", count)
    tap.equal(here.sql("SELECT count(DISTINCT key) FROM topics.t WHERE (value->>'id')::int >= 60000"), "15000", "each row once")
    session = there.session()
    session.sql("BEGIN; INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(100000, 103000) n")
    spooled()
    there.kill9().start()
    there.sql("INSERT INTO t VALUES (200000, 'after')")
    pair.wait_records("t", count + 1)
    tap.equal(ids("t")[-1], 200000, "a transaction that ended with its server does not come")


def kill_worker():
    pid = here.sql("SELECT pids[1] FROM tasks_status WHERE name = 's'")
    if pid:
        os.kill(int(pid), signal.SIGKILL)
        here.wait_up()


def test_memory():
    """neither side has a large transaction in memory, nor the source's server in its own files"""
    here.sql("ALTER SYSTEM SET pgtopic.produce_buffer = '1MB'; SELECT pg_reload_conf()")
    there.sql("TRUNCATE t")
    there.sql("SELECT pg_stat_reset_replication_slot('pgtopic_s')")
    before = int(here.sql("SELECT log_end('t:0')"))
    there.sql("INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, %d) n" % LARGE, timeout=600)
    tap.ok(pair.wait_for("all rows", "SELECT log_end('t:0') >= %d" % (before + LARGE), timeout=600), "%d rows come" % LARGE)
    tap.equal(here.sql("SELECT count(DISTINCT key) FROM topics.t WHERE \"offset\" >= %d AND key IS NOT NULL" % before), str(LARGE), "each once")
    sizes = {}
    worker = here.sql("SELECT pids[1] FROM tasks_status WHERE name = 's'")
    sender = there.sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'pgtopic_s'")
    for name, pid in (("worker", worker), ("walsender", sender)):
        with open("/proc/%s/status" % pid, encoding="utf8") as f:
            sizes[name] = int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) // 1024
    tap.ok(max(sizes.values()) < 100, "memory in MB: %s" % sizes)
    tap.equal(there.sql("SELECT spill_txns FROM pg_stat_replication_slots WHERE slot_name = 'pgtopic_s'"), "0", "nothing is spilled at the source's server")
    here.sql("ALTER SYSTEM RESET pgtopic.produce_buffer; SELECT pg_reload_conf(); SELECT drop_source('s')")


def test_newer_table():
    """what was said of a table in what is rolled back does not replace what was said later"""
    there.sql("CREATE TABLE changing (id int PRIMARY KEY, pad text); CREATE TABLE other (id int PRIMARY KEY, pad text)")
    here.sql("SELECT create_source('n', tables => ARRAY['changing', 'other'], topic => '{table}', format => 'row', connection => '%s')" % pair.connection())
    pair.streaming("n")
    session = there.session()
    session.sql("BEGIN; INSERT INTO other SELECT n, repeat('x', 100) FROM generate_series(1, 2000) n; SAVEPOINT a; ALTER TABLE changing ADD extra int;"
                "INSERT INTO changing SELECT n, repeat('x', 100), n FROM generate_series(1, 2000) n; INSERT INTO other SELECT n FROM generate_series(2001, 4000) n; ROLLBACK TO a")
    tap.ok(spooled(), "it waits in a file")
    there.sql("ALTER TABLE changing ADD one int, ADD two int; INSERT INTO changing VALUES (1, 'x', 1, 2)")
    pair.wait_records("changing", 1)
    session.sql("COMMIT")
    session.close()
    pair.wait_records("other", 2000)
    there.sql("INSERT INTO changing VALUES (2, 'y', 3, 4)")
    pair.wait_records("changing", 2)
    tap.equal(here.sql("SELECT value->>'two' FROM topics.changing WHERE \"offset\" = 1"), "4", "with the columns that it has")
    tap.equal(here.sql("SELECT errors FROM tasks_status WHERE name = 'n'"), "0", "without an error")
    here.sql("SELECT drop_source('n')")


pg.demote()
pair = two_servers.Pair(there={"logical_decoding_work_mem": "64kB"})
here, there = pair.here, pair.there
tap.main([test_subtransactions, test_alternating, test_crashes, test_memory, test_newer_table])
