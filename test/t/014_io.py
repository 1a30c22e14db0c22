#!/usr/bin/env python3
"""What io/ does beside the buffer manager: extents written by the log writer, pages read past the buffers."""

import hashlib
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

ROWS = 1200
TRANSACTIONS = 10       # of ROWS rows of 1 KiB: more than ten extents
COMPLETE = 9            # extents that are complete for sure, 128 blocks each behind meta and map page

server = None
LEAF = 'topics."io#0"'
DIRTY = ("SELECT count(*) FILTER (WHERE isdirty), count(*) FROM pg_buffercache WHERE relforknumber = 0 AND relfilenode ="
         " pg_relation_filenode('%s') AND relblocknumber BETWEEN 2 AND %d" % (LEAF, 1 + COMPLETE * 128))
CACHED = "SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('%s')" % LEAF
DIGEST = "SELECT md5(string_agg(as_text(value), E'\\n' ORDER BY \"offset\")) FROM topics.io"


def test_log_writer():
    """complete extents become clean, while checkpointer and background writer rest"""
    global server
    server = pg.Cluster("main", {"shared_buffers": "64MB", "bgwriter_lru_maxpages": 0, "checkpoint_timeout": "1h",
                                 "max_wal_size": "4GB"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE EXTENSION pg_buffercache; SELECT create_topic('io'); CHECKPOINT")
    for i in range(TRANSACTIONS):
        server.sql("INSERT INTO topics.io (value) SELECT repeat(md5((%d + i)::text), 32)::bytea FROM generate_series(1, %d) i"
                   % (i * ROWS, ROWS))
    deadline = time.monotonic() + 60
    dirty = server.rows(DIRTY)[0]
    while dirty[0] != "0" and time.monotonic() < deadline:
        server.sql(DIGEST)      # shared locks in the log writer's way
        dirty = server.rows(DIRTY)[0]
    tap.equal(dirty, ["0", str(COMPLETE * 128)], "all pages of complete extents are clean, and still in their buffers")


def test_on_disk():
    """what is clean is in the file, with its checksums"""
    global digest
    digest = server.sql(DIGEST)
    server.stop()
    server.run("pg_checksums", "--check", "-D", server.data)
    tap.ok(True, "checksums are right")
    server.set(shared_buffers="2MB")
    server.start()
    server.wait_up()
    tap.equal(server.sql(DIGEST), digest, "the file has what the buffers had")


def consumed():
    """What a consumer gets of the topic, as a digest."""
    server.wait_listener()
    got = subprocess.run(["kcat", "-C", "-b", server.bootstrap, "-t", "io", "-o", "beginning", "-e", "-q"],
                         stdout=subprocess.PIPE, check=True, timeout=120).stdout
    return hashlib.md5(got.rstrip(b"\n")).hexdigest()


def test_past_buffers():
    """a consumer that catches up reads the file, not the buffers"""
    server.wait_listener()
    before = int(server.sql(CACHED))
    tap.equal(consumed(), digest, "a consumer gets the same bytes")
    after = int(server.sql(CACHED))
    tap.ok(after <= before + 64, "and drives nobody's pages out (%d pages of the log in buffers, %d before)" % (after, before))


def direct_io():
    """Has the server direct I/O, and the file system, too?"""
    if server.sql("SELECT count(*) FROM pg_settings WHERE name = 'debug_io_direct'") == "0":
        return False
    try:
        os.close(os.open(os.path.join(server.data, "PG_VERSION"), os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


def test_direct_io():
    """with direct I/O, memory that is read into past the buffers is aligned"""
    if not direct_io():
        tap.ok(True, "there is no direct I/O here")
        return
    server.set(debug_io_direct="data")
    server.restart()
    server.wait_up()
    tap.equal(consumed(), digest, "a consumer gets the same bytes")
    server.set(debug_io_direct="")
    server.restart()
    server.wait_up()


def test_other_frames():
    """frames that hold no batch: the tail is found behind them, consumers pass over them"""
    server.sql("CREATE FUNCTION append_frame(regclass, bytea) RETURNS void AS 'pgtopic', 'pt_test_append_producers' LANGUAGE C;"
               "SELECT create_topic('kinds')")
    for n in range(0, 60, 20):
        server.sql("""DO $$ BEGIN FOR i IN %d .. %d LOOP PERFORM append('kinds:0', i::text);
                   PERFORM append_frame('topics."kinds#0"', decode(repeat('ff', 6000 + i * 900), 'hex')); END LOOP; END $$""" % (n, n + 19))
        server.kill9()
        server.start()
        server.wait_up()
        tap.equal(server.sql("SELECT log_end('kinds:0')"), str(n + 20), "the end is right after a crash")
    server.wait_listener()
    got = subprocess.run(["kcat", "-C", "-b", server.bootstrap, "-t", "kinds", "-o", "3", "-e", "-q"],
                         stdout=subprocess.PIPE, check=True, timeout=120).stdout
    tap.equal(got.decode().split(), [str(i) for i in range(3, 60)], "a consumer gets the records")


def damage(path):
    """Zeroes the length of the first frame that starts on a page of the first extent."""
    with open(path, "r+b") as f:
        for block in range(60, 128):
            f.seek(block * 8192)
            page = f.read(8192)
            first = int.from_bytes(page[8192 - 16 + 8:8192 - 16 + 10], sys.byteorder)
            if first:
                f.seek(block * 8192 + first)
                f.write(bytes(4))
                return
    raise AssertionError("no frame starts there")


def test_damaged():
    """a frame that is none is an error, for SQL and for consumers; what is behind it can still be read"""
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('%s')" % LEAF))
    last = int(server.sql("SELECT log_end('io:0')")) - 1
    server.stop()
    damage(path)
    server.set(ignore_checksum_failure="on")
    server.start()
    server.wait_up()
    try:
        error = server.sql(DIGEST)
    except pg.SqlError as e:
        error = str(e)
    tap.matches("invalid frame in logical block", error, "SELECT says so")
    tap.equal(server.sql("SELECT \"offset\" FROM topics.io WHERE partition = 0 AND \"offset\" = %d" % last), str(last),
              "the last record is there")
    server.wait_listener()
    logged = server.log_text().count("invalid frame")
    with subprocess.Popen(["kcat", "-C", "-b", server.bootstrap, "-t", "io", "-o", "beginning", "-q"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as kcat:
        deadline = time.monotonic() + 60
        while server.log_text().count("invalid frame") == logged and time.monotonic() < deadline:
            time.sleep(0.1)
        kcat.kill()
    tap.ok(server.log_text().count("invalid frame") > logged, "a consumer's fetch says so")


pg.demote()
tap.main([test_log_writer, test_on_disk, test_past_buffers, test_direct_io, test_other_frames, test_damaged])
