#!/usr/bin/env python3
"""The scripts in examples/ run, show what they promise, and leave nothing behind."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

server = None


def test_no_gaps():
    """the late commit is missed in the table and not in the topic"""
    relations = "SELECT relname FROM pg_class WHERE oid >= 16384 AND relname LIKE '%no_gaps%'"
    for turn in ("once", "again"):
        done = server.run("psql", "-X", "-f", pg.ROOT + "/examples/no_gaps.sql", check=False, timeout=60)
        if not tap.ok(done.returncode == 0 and done.stderr == "", turn + ": it runs"):
            tap.note(done.stderr)
        table, topic, missed = re.split(r"^--- .*$", done.stdout, flags=re.M)[1:]
        reads = [re.findall(r"^ +(\d+) \| (.*)$", part, re.M) for part in (table, topic)]
        tap.equal(reads[0], [("2", "Bob pays")], turn + ": Ann's row is never read from the table")
        tap.equal(reads[1], [("0", "Bob pays"), ("1", "Ann pays")], turn + ": and is read from the topic")
        tap.equal(re.findall(r"^ (table|topic) +\| (.*)$", missed, re.M), [("table", "Ann pays")], turn + ": which it says")
        tap.equal(server.sql(relations), "", turn + ": nothing is left behind")


def test_sink_mirror():
    """the table has what the changes say, and nothing is left behind"""
    for turn in ("once", "again"):
        done = server.run("psql", "-X", "-f", pg.ROOT + "/examples/sink_mirror.sql", check=False, timeout=120)
        if not tap.ok(done.returncode == 0 and done.stderr == "", turn + ": it runs"):
            tap.note(done.stderr)
        first, second = [re.findall(r"^ (\w+) +\| +(\d+) \| (\S+)$", part, re.M) for part in re.split(r"^--- .*$", done.stdout, flags=re.M)[1:]]
        tap.equal(first, [("bolt", "100", "2024-01-01"), ("nut", "50", "2024-01-02")], turn + ": the table is filled")
        tap.equal(second, [("bolt", "97", "2024-01-01")], turn + ": it follows")
        tap.equal(server.sql("SELECT relname FROM pg_class WHERE oid >= 16384 AND relname LIKE '%example%'"), "", turn + ": nothing is left behind")


def test_outbox():
    """messages of what commits become records"""
    for turn in ("once", "again"):
        done = server.run("psql", "-X", "-f", pg.ROOT + "/examples/outbox.sql", check=False, timeout=120)
        if not tap.ok(done.returncode == 0 and done.stderr == "", turn + ": it runs"):
            tap.note(done.stderr)
        read = re.split(r"^--- .*$", done.stdout, flags=re.M)[-1]
        tap.equal(re.findall(r"^ +(\d+) \| (.*?) *\| (.*)$", read, re.M),
                  [("0", "1", '{"ordered": "bolt"}'), ("1", "", '{"opened": "Monday"}')], turn + ": what was committed is read")
        tap.equal(server.sql("SELECT relname FROM pg_class WHERE oid >= 16384 AND relname LIKE '%outbox%'")
                  + server.sql("SELECT slot_name FROM pg_replication_slots"), "", turn + ": nothing is left behind")


def test_outbox_table():
    """rows of an outbox table become records, though they are deleted at once"""
    for turn in ("once", "again"):
        done = server.run("psql", "-X", "-f", pg.ROOT + "/examples/outbox_table.sql", check=False, timeout=120)
        if not tap.ok(done.returncode == 0 and done.stderr == "", turn + ": it runs"):
            tap.note(done.stderr)
        read = re.split(r"^--- .*$", done.stdout, flags=re.M)[-1]
        tap.equal(re.findall(r"^ +(\d+) +\| (.*?) *\| (.*)$", read, re.M), [("17", '{"item": "bolt"}', "OrderPlaced")], turn + ": what was committed is read")
        tap.equal(server.sql("SELECT relname FROM pg_class WHERE oid >= 16384 AND relname LIKE '%outbox%'")
                  + server.sql("SELECT slot_name FROM pg_replication_slots"), "", turn + ": nothing is left behind")


def test_processor_running_aggregate():
    """totals follow a topic, a record that is no JSON becomes a dead letter, and nothing is left behind"""
    for turn in ("once", "again"):
        done = server.run("psql", "-X", "-f", pg.ROOT + "/examples/processor_running_aggregate.sql", check=False, timeout=120)
        if not tap.ok(done.returncode == 0 and done.stderr == "", turn + ": it runs"):
            tap.note(done.stderr)
        first, second = re.split(r"^--- .*$", done.stdout, flags=re.M)[1:]
        tap.equal(re.findall(r"^ (\w+) +\| +(\d+) \| +(\d+)$", first, re.M), [("bolt", "2", "7"), ("nut", "1", "20")], turn + ": the totals")
        tap.equal(re.findall(r"^ (\w+) +\| +(\d+) \| +(\d+)$", second, re.M), [("bolt", "3", "8"), ("nut", "1", "20")], turn + ": they follow")
        tap.matches(r"Ann +\| three bolts, please +\| invalid input syntax for type json", second, turn + ": the dead letter says why")
        tap.matches(r"example_sold \| running +\| +5 \| +1 \| +0", second, turn + ": the view counts")
        tap.equal(server.sql("SELECT relname FROM pg_class WHERE oid >= 16384 AND relname LIKE '%example%'"), "", turn + ": nothing is left behind")
        tap.equal(server.sql("SELECT count(*) FROM tasks_status"), "0", turn + ": no task either")


pg.demote()
server = pg.Cluster().init().start()
server.sql("CREATE EXTENSION pgtopic")
tap.main([test_no_gaps, test_sink_mirror, test_outbox, test_outbox_table, test_processor_running_aggregate])
