#!/usr/bin/env python3
"""The space of removed records: used again in place, kept for those who still read, given back at the end of the file."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

EXTENT = 1 << 20
primary = standby = None

DIGEST = """SELECT count(*), min("offset"), max("offset"), md5(string_agg(concat("offset", ':', md5(value)), ',' ORDER BY "offset"))
            FROM topics.%s"""


def extents(server, topic):
    return int(server.sql("SELECT pg_relation_size('topics.\"%s#0\"')" % topic)) / EXTENT


def write(session, topic, count):
    """count records of 100,000 bytes, ten and a half to an extent"""
    session.sql("INSERT INTO topics.%s (value) SELECT repeat(md5(random()::text), 3125)::bytea FROM generate_series(1, %d)" % (topic, count))


def keep(session, topic, count):
    session.sql("SELECT delete_records('%s:0', greatest(log_end('%s:0') - %d, log_start('%s:0')))" % (topic, topic, count, topic))


def same_on_both(topic, what):
    primary.wait_caught_up(standby)
    tap.equal(standby.rows(DIGEST % topic), primary.rows(DIGEST % topic), what)


def test_used_again():
    """a log of constant length keeps its file, also past the directory that is in its meta page"""
    global primary, standby
    primary = pg.Cluster("primary", {"wal_consistency_checking": "all", "max_wal_size": "4GB", "wal_keep_size": "8GB"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic; SELECT create_topic('flat')")
    standby = primary.standby(settings={"max_standby_streaming_delay": "-1"}).start()
    session = primary.session()
    write(session, "flat", 50)
    keep(session, "flat", 50)
    most = extents(primary, "flat")
    for i in range(34):
        write(session, "flat", 50)
        keep(session, "flat", 50)
        most = max(most, extents(primary, "flat"))
    tap.ok(most < 13, "170 MB went through a file of at most %.1f MB" % most)
    tap.equal(session.sql("SELECT count(*), min(length(value)), max(length(value)) FROM topics.flat"), "50|100000|100000", "what is left is whole")
    same_on_both("flat", "the standby has the same, page by page")
    session.close()


def test_crash():
    """kill -9 amid writing and removing"""
    stop = threading.Event()

    def work():
        try:
            session = primary.session()
            while not stop.is_set():
                write(session, "flat", 20)
                keep(session, "flat", 50)
        except (pg.SqlError, OSError):
            pass

    for _ in range(3):
        stop.clear()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        stop.wait(1.0)
        primary.kill9()
        stop.set()
        thread.join()
        primary.start()
        primary.wait_up()
        tap.equal(primary.sql("SELECT count(*) = log_end('flat:0') - log_start('flat:0') AND min(length(value)) = 100000 FROM topics.flat"),
                  "t", "every record is there")
        same_on_both("flat", "on the standby, too")
    session = primary.session()
    for _ in range(5):
        write(session, "flat", 50)
        keep(session, "flat", 50)
    tap.ok(extents(primary, "flat") < 15, "the file has not grown: %.1f MB" % extents(primary, "flat"))
    session.close()


def test_scan():
    """who scans reads on what was removed meanwhile; past the limit he gets an error that names the setting"""
    reader, writer = primary.session(), primary.session()
    before = primary.sql("SELECT md5(string_agg(md5(value), ',' ORDER BY \"offset\")) FROM topics.flat")
    reader.sql("BEGIN; DECLARE c CURSOR FOR SELECT md5(value) FROM topics.flat")
    values = reader.sql("FETCH 2 FROM c").split("\n")
    size = extents(primary, "flat")
    for _ in range(4):
        write(writer, "flat", 50)
        keep(writer, "flat", 10)
    tap.ok(extents(primary, "flat") > size + 10, "its extents are not used again: the file grows")
    values += reader.sql("FETCH ALL FROM c").split("\n")
    tap.equal(primary.sql("SELECT md5('%s')" % ",".join(values)), before, "the scan sees what was there when it began")
    reader.sql("COMMIT")
    size = extents(primary, "flat")
    for _ in range(4):
        write(writer, "flat", 50)
        keep(writer, "flat", 10)
    tap.ok(extents(primary, "flat") <= size, "with its end they are free")

    primary.set(**{"pgtopic.old_scan_threshold": "0"})
    primary.reload()
    write(writer, "flat", 50)
    reader.sql("BEGIN; DECLARE c CURSOR FOR SELECT md5(value) FROM topics.flat")
    reader.sql("FETCH 2 FROM c")
    keep(writer, "flat", 10)
    write(writer, "flat", 50)
    keep(writer, "flat", 10)
    for _ in range(8):      # more than all that is free
        write(writer, "flat", 50)
    problem = reader.sql("FETCH ALL FROM c")
    tap.matches("their space used again", problem, "an overtaken scan fails")
    tap.matches("pgtopic.old_scan_threshold", problem, "and names the setting")
    reader.sql("ROLLBACK")
    primary.set(**{"pgtopic.old_scan_threshold": "600"})
    primary.reload()
    reader.close()
    writer.close()


def test_scan_on_standby():
    """replay waits for a scan there, and not for one who reads something else"""
    writer = primary.session()
    primary.sql("SELECT create_topic('other'); INSERT INTO topics.other (value) VALUES ('x')")
    primary.wait_caught_up(standby)
    before = standby.sql("SELECT count(*) FROM topics.flat")
    idle, reader = standby.session(), standby.session()
    idle.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM topics.other")
    for _ in range(3):
        write(writer, "flat", 50)
        keep(writer, "flat", 10)
    primary.wait_caught_up(standby)
    tap.equal(idle.sql("SELECT count(*) FROM topics.other"), "1", "an older snapshot holds nothing up")
    idle.sql("COMMIT")
    reader.sql("BEGIN; DECLARE c CURSOR FOR SELECT md5(value) FROM topics.flat")
    reader.sql("FETCH 2 FROM c")
    count = int(standby.sql("SELECT count(*) FROM topics.flat"))
    for _ in range(4):
        write(writer, "flat", 50)
        keep(writer, "flat", 10)
    lines = reader.sql("FETCH ALL FROM c").split("\n")
    tap.equal(len(lines) + 2, count, "the scan reads on")
    reader.sql("COMMIT")
    primary.wait_caught_up(standby)
    same_on_both("flat", "and then replay goes on")
    tap.ok(int(before) > 0, "there was something to read")
    for session in (idle, reader, writer):
        session.close()


def test_shrink():
    """VACUUM gives back what a burst has left, here and on the standby"""
    session = primary.session()
    for _ in range(6):
        write(session, "flat", 50)
    size = extents(primary, "flat")
    keep(session, "flat", 10)
    for _ in range(3):      # what is left moves to the front
        write(session, "flat", 10)
        keep(session, "flat", 10)
    session.sql("VACUUM topics.flat")
    # a directory extent may have come to lie in the middle
    tap.ok(extents(primary, "flat") < 15 < 28 < size, "%.1f MB have become %.1f MB" % (size, extents(primary, "flat")))
    for _ in range(2):
        write(session, "flat", 50)
    same_on_both("flat", "the standby has the same")
    tap.ok(extents(standby, "flat") <= extents(primary, "flat"), "in a file no larger")
    session.sql("SELECT delete_records('flat'); VACUUM topics.flat")
    tap.ok(extents(primary, "flat") < 15, "an empty log keeps little: %.1f MB" % extents(primary, "flat"))
    write(session, "flat", 5)
    primary.kill9().start()
    primary.wait_up()
    tap.equal(primary.sql("SELECT count(*) FROM topics.flat"), "5", "it goes on from there, over a crash")
    same_on_both("flat", "on the standby, too")
    standby.stop()
    primary.stop()


pg.demote()
tap.main([test_used_again, test_crash, test_scan, test_scan_on_standby, test_shrink])
