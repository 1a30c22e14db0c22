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
COMPLETE = 9            # extents that are complete for sure, 128 blocks each behind block 0

server = None
LEAF = 'topics."io#0"'
DIRTY = ("SELECT count(*) FILTER (WHERE isdirty), count(*) FROM pg_buffercache WHERE relforknumber = 0 AND relfilenode ="
         " pg_relation_filenode('%s') AND relblocknumber BETWEEN 1 AND %d" % (LEAF, COMPLETE * 128))
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


def test_past_buffers():
    """a consumer that catches up reads the file, not the buffers"""
    server.wait_listener()
    before = int(server.sql(CACHED))
    got = subprocess.run(["kcat", "-C", "-b", server.bootstrap, "-t", "io", "-o", "beginning", "-e", "-q"],
                         stdout=subprocess.PIPE, check=True, timeout=120).stdout
    tap.equal(hashlib.md5(got.rstrip(b"\n")).hexdigest(), digest, "a consumer gets the same bytes")
    after = int(server.sql(CACHED))
    tap.ok(after <= before + 64, "and drives nobody's pages out (%d pages of the log in buffers, %d before)" % (after, before))


pg.demote()
tap.main([test_log_writer, test_on_disk, test_past_buffers])
