#!/usr/bin/env python3
"""Power loss: what was not synced is gone, or some of it, and every acknowledged record is there once.

A kill -9 leaves what was written in the kernel's memory, and so does not show whether it was synced.  power.c forgets what
was not, in blocks of 4 KiB, so that pages are torn, too.  PGTOPIC_SEED repeats a run; PGTOPIC_CUTS makes a longer one.
"""

import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import power           # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402
import workload        # noqa: E402

CUTS = tap.size("PGTOPIC_CUTS", 6, 100)
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
PAGE, PAGES = 8192, 128                     # an extent
CAPACITY = PAGES * (PAGE - 24 - 16)         # its payload: no page headers, no special space
FRAME = 24                                  # header of a frame, before each batch

# What the library has to know about files.  Each line says what must be left without what was not synced.
FILES = '''
import os
def file(name, flags=0): return os.open(name, os.O_RDWR | os.O_CREAT | flags)
fd = file("overwritten"); os.pwrite(fd, b"A" * 10000, 0); os.fsync(fd); os.pwrite(fd, b"B" * 5000, 3000); os.pwritev(fd, [b"C" * 9000, b"D"], 9000)
fd = file("longer"); os.write(fd, b"x" * 100); os.posix_fallocate(fd, 0, 100000)
fd = file("shorter"); os.write(fd, b"x" * 9000); os.fdatasync(fd); os.ftruncate(fd, 10); os.pwrite(fd, b"y" * 20, 5)
fd = file("O_DSYNC", os.O_DSYNC); os.pwrite(fd, b"z" * 5000, 0)
fd = file("O_TRUNC"); os.write(fd, b"g" * 5000); os.fsync(fd); os.write(os.open("O_TRUNC", os.O_WRONLY | os.O_TRUNC), b"h")
fd = file("name"); os.write(fd, b"i" * 5000); os.rename("name", "renamed")
fd = file("removed"); os.write(fd, b"k" * 5000); os.unlink("removed"); os.write(fd, b"kk")
fd = file("again"); os.write(fd, b"l" * 5000); os.fsync(fd)
fd = file("appended", os.O_APPEND); os.write(fd, b"m" * 5000); os.fsync(fd); os.write(fd, b"n" * 5000)
'''
LEFT = {"overwritten": b"A" * 10000, "longer": b"", "shorter": b"x" * 9000, "O_DSYNC": b"z" * 5000, "O_TRUNC": b"g" * 5000,
        "renamed": b"", "again": b"l" * 5000, "appended": b"m" * 5000}

server = disk = None


def new_server(name, **settings):
    global server, disk
    server = pg.Cluster(name, {"fsync": "on", "full_page_writes": "on", "shared_buffers": "16MB", "autovacuum": "off",
                               "max_prepared_transactions": 20, **settings}).init()
    disk = power.Disk(server.data, "power-of-" + name)
    server.environment = disk.environment
    server.start()


def cut(part):
    lost, kept = disk.cut(server, random, part)
    server.start()
    return lost, kept


def contents(directory):
    found = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as f:
            found[name] = f.read()
    return found


def test_disk():
    """the disk of this test"""
    directory = os.path.join(pg.base_dir(), "files")
    for part, what in ((power.NOTHING, "forgets what was not synced"), (power.ALL, "or nothing")):
        os.mkdir(directory)
        files = power.Disk(directory, "power-of-files")
        subprocess.run([sys.executable, "-c", FILES], cwd=directory, env={**os.environ, **files.environment}, check=True)
        before = contents(directory)
        files.lose(random, part)
        after, expected = contents(directory), LEFT if part == power.NOTHING else before
        tap.equal([n for n in sorted({*after, *expected}) if after.get(n) != expected.get(n)], [], what)
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    tap.ok(before["shorter"] == b"xxxxx" + b"y" * 20, "which is what was written last")


def value_for(n):
    """A value whose frame takes n bytes."""
    overhead = FRAME + len(raw.Batch([(None, "x" * (n - 200))]).encode()) - (n - 200)
    value = "x" * (n - overhead)
    assert FRAME + len(raw.Batch([(None, value)]).encode()) == n
    return value


def await_written(path):
    """Until the log writer has written the file's last page: its pd_lower says that there is something in it."""
    deadline = time.monotonic() + 60
    while True:
        with open(path, "rb") as f:
            f.seek(12 - PAGE, os.SEEK_END)
            if int.from_bytes(f.read(2), "little") > 24:
                return
        if time.monotonic() > deadline:
            raise RuntimeError("nobody has written the extent")
        time.sleep(0.02)


def test_extent():
    """an extent that the log writer wrote is synced by the next checkpoint"""
    new_server("extent")
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t')")
    server.wait_listener()
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('topics.\"t#0\"')"))
    with rawtest.connect(server) as client:
        half = CAPACITY // 2 // 8 * 8
        tap.equal(rawtest.produce(client, "t", value_for(CAPACITY))[0], 0, "an extent")
        tap.equal(rawtest.produce(client, "t", value_for(half))[0], 0, "half of the next, whose space is reserved by that")
        server.sql("CHECKPOINT")
        # It ends with its extent, so that nothing else in the file is changed before the checkpoint.
        tap.equal(rawtest.produce(client, "t", value_for(CAPACITY - half))[0], 0, "the other half")
    before = server.sql("SELECT string_agg(md5(value), ',') FROM topics.t")
    await_written(path)
    server.sql("CHECKPOINT")
    cut(power.NOTHING)
    tap.equal(server.sql("SELECT string_agg(md5(value), ',') FROM topics.t"), before, "all records are there after the cut")


def test_start():
    """a start that was told does not go back, nor does what was sealed"""
    server.sql("SELECT create_topic('s'); INSERT INTO topics.s (value) SELECT 'x' FROM generate_series(1, 100);"
               "BEGIN; INSERT INTO topics.s (value) VALUES ('rolled back'); ROLLBACK; SELECT append('s:0', 'last'); CHECKPOINT")
    for upto in (10, 20):
        tap.equal(server.sql("SELECT delete_records('s:0', %d)" % upto), str(upto), "records are deleted")
        cut(power.NOTHING)
        tap.equal(server.sql("SELECT log_start('s:0'), count(*), min(\"offset\") FROM topics.s"), "%d|%d|%d" % (upto, 101 - upto, upto),
                  "and are not there after the cut")
    server.sql("VACUUM topics.s")
    cut(power.NOTHING)
    tap.equal(server.sql("SELECT count(*), count(*) FILTER (WHERE as_text(value) = 'rolled back') FROM topics.s"), "81|0", "sealed, and cut")


def test_prepared():
    """a prepared transaction outlives cuts, and so does its end"""
    for end, count in (("COMMIT", 1), ("ROLLBACK", 0)):
        server.sql("SELECT create_topic('p'); SELECT append('p:0', 'before')")
        server.sql("BEGIN; SELECT append('p:0', '%s'); PREPARE TRANSACTION 'p'" % ("prepared" * 1000))
        server.sql("CHECKPOINT")
        cut(power.NOTHING)
        tap.equal(server.sql("SELECT count(*) FROM topics.p"), "1", "not there while it is prepared")
        server.sql("%s PREPARED 'p'" % end)
        cut(power.NOTHING)
        tap.equal(server.sql("SELECT count(*) FROM topics.p"), str(1 + count), "%s PREPARED stays" % end)
        tap.equal(server.sql("SELECT append('p:0', 'after')"), str(1 + count), "the next offset is right")
        server.sql("SELECT drop_topic('p')")
    server.stop()


def test_short_file():
    """a file that a cut has left shorter than the extents taken: compaction makes it longer before it uses them"""
    new_server("short", shared_buffers="256MB", bgwriter_lru_maxpages=0,     # nobody writes pages before they are looked for
               **{"pgtopic.file_delete_delay": "1", "pgtopic.compaction_interval": "1h"})
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('c', 1, '{\"cleanup.policy\": \"compact\"}'); CHECKPOINT")

    def write(first, last):         # 164 records are 1 MB, an extent
        time.sleep(2)               # what compaction has freed may be used again
        server.sql("INSERT INTO topics.c (key, value) SELECT ('k' || n)::bytea, repeat(md5(n::text), 200)::bytea"
                   "    FROM generate_series(%d, %d) n" % (first, last))
        server.rows("SELECT * FROM compact_topic('c')")

    for last in (200, 200, 200, 280):
        write(1, last)
    cut(power.NOTHING)              # the file ends amid extent 7, which is free
    write(11, 480)                  # the copy comes to extent 7
    tap.equal(server.sql("SELECT count(*), count(DISTINCT key) FROM topics.c"), "480|480", "all records are there")
    tap.equal(server.sql("SELECT * FROM verify_topic('c', true)"), "", "the log is whole")
    server.stop()


def test_cuts():
    """everything at once, and cuts at random: nothing, all, or any half of what was not synced is left"""
    new_server("all", **{"pgtopic.max_partitions": 16, "pgtopic.compaction_interval": "300ms", "pgtopic.file_delete_delay": "1",
                         "pgtopic.listener_workers": 2, "checkpoint_timeout": "30s", "max_wal_size": "64MB",
                         "min_wal_size": "32MB"})
    load = workload.Load(server, SEED, {"plain": 4, "triggered": 2, "trimmed": 2, "retained": 1, "compacted": 4}, padding=2000)
    load.create()
    load.start((workload.Writer, 2), (workload.KafkaWriter, 2), (workload.LeaderWriter, 1), (workload.KafkaReader, 2), (workload.Reader, 1),
               (workload.Trimmer, 1), (workload.Vacuumer, 1), (workload.Compactor, 1), (workload.Watcher, 1))
    lost = 0
    for _ in range(CUTS):
        time.sleep(0.5 + 2 * random.random())
        gone, stayed = cut(None)
        lost += gone
        tap.note("%d blocks are lost, %d stay" % (gone, stayed))
        server.wait_up()
        server.wait_listener()
    tap.ok(lost > 0, "%d cuts, after which the server came back without %d blocks" % (CUTS, lost))
    load.await_everybody()
    load.stop()
    load.check_records()
    load.check_consumed()
    load.check_idle()


def main():
    pg.demote()
    rawtest.need_clients()
    tap.note("PGTOPIC_SEED=%d" % SEED)
    random.seed(SEED)
    tap.main([test_disk, test_extent, test_start, test_prepared, test_short_file, test_cuts])


main()
