#!/usr/bin/env python3
"""A disk that is full: who appends is told to try again, nothing is damaged, and all goes on by itself when there is space.

Topics lie in a tablespace on a small file system.  Space is reserved with each extent, before anything is written to it, so
that only who needs another one meets the full disk; checkpoints and recovery need none.  WAL is another matter: a server that
cannot write WAL stops with a PANIC, and starts again when it can (016_disk.py has a disk that fails in other ways).
"""

import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import small_disk      # noqa: E402
import tap             # noqa: E402
from rawtest import connect, end_seen, need_clients, produce   # noqa: E402

try:
    from confluent_kafka import Producer
except ImportError:
    tap.skip("confluent_kafka is not installed")

NONE, STORAGE_ERROR = 0, 56
# Those after which a client commits its offsets again.
RETRIABLE = {14: "COORDINATOR_LOAD_IN_PROGRESS", 15: "COORDINATOR_NOT_AVAILABLE", 16: "NOT_COORDINATOR", 56: "KAFKA_STORAGE_ERROR"}
EXTENT = 1              # MB
EXTENTS = 180           # more than the meta page has directory entries for

server = disk = wal_disk = None


def error_of(text):
    try:
        server.sql(text)
    except pg.SqlError as problem:
        return str(problem)
    return ""


def contents(topic):
    return server.sql("SELECT count(*), md5(string_agg(md5(value), ',' ORDER BY \"offset\")) FROM topics.%s" % topic)


def settled(test):
    """The test, with space again behind it, and everything as it was after a crash."""
    def run():
        try:
            test()
        finally:
            disk.leave()
            wal_disk.leave()
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def test_setup():
    global server
    server = pg.Cluster("main", {"fsync": "on", "shared_buffers": "32MB", "max_wal_size": "256MB", "autovacuum": "off"}).init().start()
    server.sql("CREATE TABLESPACE small LOCATION '%s'" % disk.directory("tablespace"))
    server.set(default_tablespace="small").restart()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic(t) FROM unnest('{t,u,big}'::text[]) t")
    server.wait_listener()
    tap.ok("pg_tblspc" in server.sql("SELECT pg_relation_filepath('topics.\"t#0\"')"), "topics lie on the small disk")


def test_append():
    """producers fill the disk"""
    with connect(server) as client:
        tap.equal([produce(client, "t", "x" * 300000)[0] for _ in range(4)], [NONE] * 4, "records, with space")
        disk.leave(EXTENT / 4)
        codes = [produce(client, "t", "x" * 300000)[0] for _ in range(6)]
        n = codes.count(NONE)
        tap.ok(codes == [NONE] * n + [STORAGE_ERROR] * (6 - n) and 0 < n < 6,
               "what has space reserved is taken, then KAFKA_STORAGE_ERROR: %s" % codes)
        tap.equal(produce(client, "u", "y" * 1000000)[0], STORAGE_ERROR, "so is another topic")
        tap.equal(end_seen(client, "t"), (NONE, 4 + n), "consumers go on")
        tap.equal(end_seen(client, "u"), (NONE, 0), "and see nothing of the others")
        tap.matches("No space left on device(.|\n)*HINT.*free disk space",
                    error_of("SELECT append('t:0', repeat('z', 900000)); SELECT append('t:0', repeat('z', 900000))"),
                    "a session is told what is the matter")
        tap.matches("No space left on device|could not extend", error_of("SELECT create_topic('more', 100)"), "no topic can be made")
        before = contents("t")
        server.sql("CHECKPOINT")
        tap.ok(True, "a checkpoint needs no space")
    server.kill9().start()
    tap.equal(contents("t"), before, "nor does recovery, and all is there")
    server.wait_listener()
    with connect(server) as client:
        tap.equal(produce(client, "u", "y" * 1000000)[0], STORAGE_ERROR, "it is full still")
        disk.leave()
        tap.equal(produce(client, "t", "x" * 300000), (NONE, 4 + n), "with space again the next offset follows")
        tap.equal(produce(client, "u", "y" * 1000000), (NONE, 0), "in the other topic, too")
    tap.equal(server.sql("SELECT create_topic('more', 100)"), "more", "and a topic can be made")
    server.sql("SELECT drop_topic('more')")


def test_clients():
    """a real producer gets through by itself"""
    acked, errors = {}, []

    def delivered(error, message):
        if error is None:
            acked[message.value()] = message.offset()
        else:
            errors.append(str(error))

    disk.leave(EXTENT / 2)
    producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "retry.backoff.ms": 50, "linger.ms": 0,
                         "message.timeout.ms": 240000, "log_level": 0})
    first = end_seen(connect(server), "t")[1]
    for i in range(40):
        producer.produce("t", b"%d " % i + b"v" * 100000, partition=0, on_delivery=delivered)
        producer.poll(0)
    deadline = time.monotonic() + 60
    while server.log_text().count("No space left on device") == 0 and time.monotonic() < deadline:
        producer.poll(0.1)
    producer.poll(1)
    stuck = len(acked)
    tap.ok(stuck < 40, "%d records get through" % stuck)
    disk.leave()
    producer.flush(240)
    tap.equal(errors, [], "no error")
    tap.equal([int(v.split()[0]) for v, _ in sorted(acked.items(), key=lambda a: a[1])], list(range(40)), "then all, in order")
    tap.equal(sorted(acked.values()), list(range(first, first + 40)), "each once")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT value) FROM topics.t WHERE \"offset\" >= %d" % first), "40|40", "as SQL sees")


def test_directory():
    """every extent meets a full disk, and those that begin a directory need two"""
    session = server.session()
    append = "SELECT append('big:0', repeat('%d ', 500000))"
    refused, twice = 0, []
    for i in range(EXTENTS):
        disk.leave(0)
        tries = 0
        for left in (0, EXTENT * 1.3, EXTENT * 2.6, EXTENT * 4):
            disk.leave(left)
            answer = session.sql(append % (i % 10))
            tries += 1
            if answer.isdigit():
                break
            refused += 1
            if "No space left on device" not in answer:
                raise RuntimeError(answer)
        if tries > 2:
            twice.append(i)
        if answer != str(i):
            raise RuntimeError("record %d: %s" % (i, answer))
    disk.leave()
    session.close()
    tap.ok(refused >= EXTENTS // 2, "%d records, %d times refused" % (EXTENTS, refused))
    tap.ok(twice, "at %s more than an extent was needed" % twice)
    tap.equal(server.sql("SELECT count(*), max(\"offset\") FROM topics.big WHERE value = repeat(\"offset\" % 10 || ' ', 500000)::bytea"),
              "%d|%d" % (EXTENTS, EXTENTS - 1), "all records are there, and whole")
    before = contents("big")
    server.kill9().start()
    tap.equal(contents("big"), before, "also after a crash")
    server.sql("SELECT drop_topic('big')")
    server.wait_listener()


def test_deleting():
    """a full disk: what deleting records gives back is used, and deleting needs no space"""
    append = "SELECT append('again:0', repeat('x', 1000000))"
    server.sql("SELECT create_topic('again')")
    for _ in range(5):
        server.sql(append)
    disk.leave(0)
    accepted = 0
    while accepted < 3 and not error_of(append):        # what was reserved
        accepted += 1
    tap.ok(accepted < 3, "the topic can take no more")
    tap.equal(server.sql("SELECT delete_records('again:0', 4)"), "4", "its oldest records are deleted")
    for i in range(3):
        tap.equal(server.sql(append), str(5 + accepted + i), "and another is taken, in their place")
    tap.ok(disk.free() < EXTENT << 20, "the disk is full still")
    server.kill9().start()
    tap.equal(server.sql("SELECT count(*), bool_and(value = repeat('x', 1000000)::bytea) FROM topics.again"), "%d|t" % (4 + accepted),
              "all is there after a crash")
    server.sql("SELECT drop_topic('again')")
    server.wait_listener()


def commit(client, offset):
    body = {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": offset, "CommittedMetadata": "m" * 4000}]}]}
    return client.call("OffsetCommit", 7, body)["Topics"][0]["Partitions"][0]["ErrorCode"]


def committed(client):
    body = {"GroupId": "g", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}
    part = client.call("OffsetFetch", 5, body)["Topics"][0]["Partitions"][0]
    return part["ErrorCode"], part["CommittedOffset"]


def test_commit():
    """groups commit their offsets"""
    with connect(server) as client:
        client.call("FindCoordinator", 0, {"Key": "g"})
        tap.equal(commit(client, 0), NONE, "a first commit")
        disk.leave(0)
        last = code = 0
        for offset in range(1, 600):
            code = commit(client, offset)
            if code != NONE:
                break
            last = offset
        tap.ok(code in RETRIABLE, "when its log needs another extent, a code that is tried again: %s (%d)" % (RETRIABLE.get(code), code))
        tap.equal(committed(client), (NONE, last), "what was acknowledged is committed, and no more")
        tap.matches("No space left on device", error_of(
            "SELECT commit_offsets('sql', '{\"t:0\": 1}') FROM generate_series(1, 1); SELECT append('t:0', repeat('x', 1000000))"
            ";SELECT append('t:0', repeat('x', 1000000))"), "sessions are told")
        disk.leave()
        tap.equal(commit(client, last + 1), NONE, "with space again it is taken")
        tap.equal(committed(client), (NONE, last + 1), "and is there")
    server.kill9().start().wait_listener()
    with connect(server) as client:
        client.call("FindCoordinator", 0, {"Key": "g"})
        tap.equal(committed(client), (NONE, last + 1), "also after a crash")
    server.stop()


def test_wal():
    """no space for WAL: the server stops, and when there is space it starts with all that was acknowledged"""
    global server
    server = pg.Cluster("wal", {"fsync": "on", "wal_recycle": "off", "max_wal_size": "8MB", "min_wal_size": "2MB", "autovacuum": "off",
                                "restart_after_crash": "off"})
    server.init("--waldir=" + os.path.join(wal_disk.path, "wal"), "--wal-segsize=1").start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'); SELECT pg_create_physical_replication_slot('keeps', true)")
    server.wait_listener()
    wal_disk.leave(8)
    acknowledged = []

    def write():
        session = server.session()
        for i in range(10000):
            try:
                answer = session.sql("SELECT append('t:0', '%d ' || repeat('x', 10000))" % i)
            except pg.SqlError:
                break
            if answer.isdigit():
                acknowledged.append(i)
        session.close()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(240)
    tap.ok(not writer.is_alive() and 0 < len(acknowledged) < 10000, "the server ends after %d records" % len(acknowledged))
    deadline = time.monotonic() + 60
    while os.path.exists(server.data + "/postmaster.pid") and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.matches("PANIC:.*No space left on device", server.log_text(), "with PostgreSQL's PANIC")
    wal_disk.leave()
    server.start()
    there = [int(r[0]) for r in server.rows("SELECT split_part(as_text(value), ' ', 1) FROM topics.t ORDER BY \"offset\"")]
    tap.equal(there[:len(acknowledged)], acknowledged, "with space again it starts, and all is there")
    tap.ok(len(there) <= len(acknowledged) + 1, "and at most the one that was not answered")
    server.wait_listener()
    with connect(server) as client:
        tap.equal(produce(client, "t", "more"), (NONE, len(there)), "it goes on")


def main():
    global disk, wal_disk
    pg.demote()
    need_clients()
    disks = small_disk.mount(260, 64)
    if disks is None:
        print("1..0 # SKIP no file system can be mounted here", flush=True)
        return
    disk, wal_disk = disks
    tap.main([test_setup] + [settled(t) for t in (test_append, test_clients, test_directory, test_deleting, test_commit, test_wal)])


main()
