#!/usr/bin/env python3
"""Topics that get little: the tail's extent is ended where that lets a compaction have it, and space stays bounded."""

import hashlib
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

MB = 1 << 20
server = standby = None


def config(**more):
    pairs = {"cleanup.policy": "compact", "delete.retention.ms": 0}
    pairs.update({name.replace("_", "."): value for name, value in more.items()})
    return str(pairs).replace("'", '"')


def create(topic, **more):
    server.sql("SELECT create_topic('%s', 1, '%s')" % (topic, config(**more)))


def write(topic, *pairs):
    """(key, value) each; the last offset"""
    for key, value in pairs:
        last = server.sql("SELECT append('%s:0', '%s'::text, key => '%s'::text)" % (topic, value, key))
    return int(last)


def values(topic, where=None):
    """what SQL shows: offset, key, value"""
    return (where or server).rows("SELECT \"offset\", as_text(key), as_text(value) FROM topics.%s ORDER BY \"offset\"" % topic)


def backwards(topic):
    return server.rows("SET enable_seqscan = off; SELECT \"offset\", as_text(key), as_text(value) FROM topics.%s ORDER BY \"offset\" DESC" % topic)


def consumed(topic, start=0):
    """what a Kafka consumer gets"""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, start)])
    found = []
    while True:
        message = consumer.poll(30)
        if message is None or message.error():
            break
        found.append([str(message.offset()), message.key().decode(), message.value().decode()])
    consumer.close()
    return found


def compact(topic):
    return server.rows("SELECT * FROM compact_topic('%s')" % topic)[0]


def megabytes(topic):
    return int(server.sql("SELECT pg_relation_size('topics.\"%s#0\"')" % topic)) // MB


def check(topic, expected, what):
    """everybody sees the same"""
    tap.equal(values(topic), expected, what)
    tap.equal(backwards(topic), expected[::-1], what + ", backwards")
    tap.equal(consumed(topic), expected, what + ", by Kafka")
    tap.equal(server.rows("SELECT * FROM verify_topic('%s', deep => true)" % topic), [], what + ", verify_topic()")
    if standby:
        server.wait_caught_up(standby)
        tap.equal(values(topic, standby), expected, what + ", on the standby")


def until(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition() and time.time() < deadline:
        time.sleep(0.05)
    return condition()


def test_all_that_was_there():
    """compact_topic() has all that was committed when it began, and goes on where nothing is new"""
    create("small")
    write("small", ("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2))
    row = compact("small")
    tap.equal(row[2:3] + row[7:], ["2", "5", "t"], "two records are gone")
    check("small", [["2", "a", "2"], ["3", "c", "1"], ["4", "b", "2"]], "three are left")
    size = megabytes("small")
    for _ in range(5):
        compact("small")
    tap.equal(megabytes("small"), size, "nothing is new: nothing is taken")
    write("small", ("c", 2))
    compact("small")
    check("small", [["2", "a", "2"], ["4", "b", "2"], ["5", "c", "2"]], "one more")


def test_restart():
    """the end of a log whose last extent was ended, and compacted, is found again"""
    for n, stop in enumerate((server.kill9, server.stop)):
        stop()
        server.start().wait_listener()
        write("small", ("a", 3 + n))
        tap.equal(values("small")[-1], [str(6 + n), "a", str(3 + n)], "offsets go on")
        if n == 0:
            compact("small")
    check("small", [["4", "b", "2"], ["5", "c", "2"], ["6", "a", "3"], ["7", "a", "4"]], "after two restarts")
    server.sql("CHECKPOINT")
    compact("small")
    server.kill9()
    server.start().wait_listener()
    check("small", [["4", "b", "2"], ["5", "c", "2"], ["7", "a", "4"]], "and a third")


def test_aborted():
    """ordinals of aborted records are not given again, though nothing is left of them"""
    create("aborted")
    server.sql("CREATE INDEX ON topics.aborted (key)")
    for n in range(3):
        write("aborted", ("k", n))
        server.sql("BEGIN; SELECT append('aborted:0', 'x'::text, key => 'dead'::text) FROM generate_series(1, 50); ROLLBACK")
        compact("aborted")
        server.kill9()
        server.start().wait_listener()
        write("aborted", *[("l%d" % i, n) for i in range(20)])
    dead = "SET enable_seqscan = off; SELECT count(*) FROM topics.aborted WHERE key = 'dead'"
    tap.equal(server.sql(dead), "0", "no index entry finds another record")
    compact("aborted")
    tap.equal([row[1] for row in values("aborted")], ["k"] + ["l%d" % i for i in range(20)], "each key once")
    tap.equal(server.rows("SELECT * FROM verify_topic('aborted', deep => true)"), [], "verify_topic()")


def test_held():
    """nobody is waited for who holds the append lock: a prepared transaction, and our own"""
    create("held")
    write("held", ("a", 1), ("a", 2))
    server.sql("BEGIN; SELECT append('held:0', 'p'::text, key => 'a'::text); PREPARE TRANSACTION 'p'")
    tap.equal(compact("held")[2], "0", "it is passed over")
    server.sql("COMMIT PREPARED 'p'")
    tap.equal(compact("held")[2], "2", "and done later")
    write("held", ("a", 4))
    server.sql("BEGIN; SELECT append('held:0', 'o'::text, key => 'a'::text); SELECT compact_topic('held'); ROLLBACK")
    server.sql("BEGIN; SAVEPOINT s; SELECT compact_topic('held'); ROLLBACK TO s; COMMIT")
    tap.equal(values("held"), [["3", "a", "4"]], "in a subtransaction, too")


def test_snapshot():
    """a snapshot keeps what it may need, and no more than one extent is ended for nothing"""
    create("seen")
    write("seen", ("a", 1))
    session = server.session()
    session.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM topics.seen")
    for n in range(30):
        write("seen", ("a", n))
        compact("seen")
    tap.equal(session.sql("SELECT count(*) FROM topics.seen"), "1", "it sees what it saw")
    tap.ok(megabytes("seen") <= 4, "the file has %d MB" % megabytes("seen"))
    session.sql("COMMIT")
    session.close()
    compact("seen")
    check("seen", [["30", "a", "29"]], "then it goes")


def test_open_reads():
    """scans and consumers that stand in the extent that is ended, or at its end"""
    create("read")
    write("read", *[("k%d" % (n % 5), n) for n in range(40)])
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "none", "enable.auto.commit": False, "fetch.wait.max.ms": 100})
    consumer.assign([TopicPartition("read", 0, 40)])
    consumer.poll(1)
    sessions = [server.session() for _ in range(2)]
    for session, order in zip(sessions, ("", " DESC")):
        session.sql("SET enable_seqscan = off; BEGIN; DECLARE c CURSOR FOR SELECT \"offset\" FROM topics.read ORDER BY \"offset\"" + order)
        session.sql("FETCH 37 FROM c")
    for _ in range(3):
        compact("read")
        write("read", ("k0", "more"))
    tap.equal(sessions[0].sql("FETCH ALL FROM c").split("\n"), ["37", "38", "39"], "forwards")
    # older values, which are there until their space is used again
    tap.ok(sessions[1].sql("FETCH ALL FROM c") in ("2\n1\n0", ""), "backwards")
    got = []
    while len(got) < 3 and (message := consumer.poll(30)) is not None:
        got.append(message.offset())
    tap.equal(got, [40, 41, 42], "a consumer that waited at the end gets what comes")
    consumer.close()
    for session in sessions:
        session.close()


def test_producers():
    """compact_topic() does not stop at what is known of producers, who go on without a duplicate"""
    create("sequences")
    producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 0})
    for n in range(12):
        producer.produce("sequences", key="k%d" % (n % 3), value=str(n))
        producer.flush(30)
        if n % 4 == 3:
            tap.equal(compact("sequences")[7:], [str(n + 1), "t"], "up to %d" % n)
            server.kill9()
            server.start().wait_listener()
    check("sequences", [["9", "k0", "9"], ["10", "k1", "10"], ["11", "k2", "11"]], "the last of each key")


def test_slow_client():
    """a response that is on its way while its extents are replaced comes whole, as it was"""
    create("slow", max_message_bytes=900000)
    server.set(**{"pgtopic.file_delete_delay": "1h"})
    server.reload()
    server.sql("INSERT INTO topics.slow (key, value) SELECT ('k' || n % 50)::bytea, repeat(md5(n::text), 32)::bytea FROM generate_series(1, 13000) n")
    for field, size in ((50 << 20, 13000), (700000, 1)):
        before = server.rows("SELECT \"offset\", as_text(key), md5(value) FROM topics.slow ORDER BY \"offset\"")
        with raw.Client(server.bootstrap, timeout=60) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            wanted = client.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": field, "SessionEpoch": -1, "Topics": [
                {"Topic": "slow", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": field}]}]})
            time.sleep(0.3)             # until the server can send no more
            for _ in range(3):
                server.sql("INSERT INTO topics.slow (key, value) SELECT ('k' || n % 50)::bytea, repeat('y', 9000)::bytea FROM generate_series(1, 300) n")
                compact("slow")
            part = client.receive("Fetch", 11, wanted)["Responses"][0]["Partitions"][0]
            got = [[str(record[0]), record[2].decode(), hashlib.md5(record[3]).hexdigest()] for record in raw.read_batches(part["Records"])]
        tap.ok(len(got) >= size and got == before[:len(got)], "%d records of %d" % (len(got), len(before)))
    tap.ok(int(server.sql("SELECT count(*) FROM topics.slow")) == 50, "which are gone by now")
    server.set(**{"pgtopic.file_delete_delay": "1"})
    server.reload()


def test_group_offsets():
    """__consumer_offsets is compacted: the same answers before and after, and its size is that of what there is"""
    server.sql("SELECT create_topic('consumed', 2)")
    for partition in range(2):
        server.sql("SELECT append('consumed:%d', 'x'::text) FROM generate_series(1, 300)" % partition)
    ask = "SELECT group_id, topic, partition, \"offset\", metadata FROM group_lag ORDER BY 1, 2, 3"
    consumers = [Consumer({"bootstrap.servers": server.bootstrap, "group.id": "kafka%d" % i, "enable.auto.commit": False}) for i in range(2)]
    for n in range(60):
        for i, consumer in enumerate(consumers):
            consumer.commit(offsets=[TopicPartition("consumed", p, n + i + p) for p in range(2)], asynchronous=False)
        server.sql("SELECT commit_offsets('sql', 'consumed:1', %d); SELECT commit_offsets('gone', 'consumed:0', %d)" % (n % 200, n))
    consumers[0].close()
    consumers[1].close()
    server.sql("SELECT delete_group('gone')")
    before = server.rows(ask)
    tap.ok(len(before) == 5, "%d offsets" % len(before))
    records = int(server.sql("SELECT count(*) FROM topics.__consumer_offsets"))
    left = records

    def compacted():                # a snapshot of one of the server's own workers may keep records for a moment
        nonlocal left
        server.rows("SELECT * FROM compact_topic('__consumer_offsets')")
        left = int(server.sql("SELECT count(*) FROM topics.__consumer_offsets"))
        return left < 20

    until(compacted)
    tap.equal(server.rows(ask), before, "compacted")
    tap.ok(left < 20 < 200 < records, "%d records of %d are left" % (left, records))
    server.kill9()
    server.start().wait_listener()
    tap.equal(server.rows(ask), before, "and after a restart")
    fresh = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "kafka1", "enable.auto.commit": False})
    tap.equal([p.offset for p in fresh.committed([TopicPartition("consumed", p) for p in range(2)], timeout=30)], [60, 61], "Kafka's answer is the same")
    fresh.close()
    tap.equal(server.rows("SELECT * FROM verify_topic('__consumer_offsets', deep => true)"), [], "verify_topic()")


def test_worker():
    """the compactor ends the tail's extent when segment.ms or max.compaction.lag.ms say so; a trickle takes no space"""
    server.set(**{"pgtopic.compaction_interval": "100ms", "pgtopic.file_delete_delay": "1"})
    server.reload()
    create("rolled", segment_ms=1, min_cleanable_dirty_ratio=0)
    create("late", max_compaction_lag_ms=1, min_cleanable_dirty_ratio=1)
    create("kept")
    create("young", segment_ms=1, min_compaction_lag_ms=3600000)
    for topic in ("rolled", "late", "kept", "young"):
        write(topic, ("a", 1), ("b", 1), ("a", 2))
    for topic in ("rolled", "late"):
        tap.ok(until(lambda t=topic: len(values(t)) == 2), topic + ": compacted")
    tap.equal([len(values("kept")), len(values("young"))], [3, 3], "not before its time")
    started = time.time()
    most = n = 0
    while time.time() < started + 6:
        n += 1
        write("late", ("k%d" % (n % 20), n))
        time.sleep(0.02)
        most = max(most, megabytes("late"))
    tap.ok(most < 45, "%d records in %d s, one after another: the file had %d MB at most" % (n, time.time() - started, most))
    tap.ok(until(lambda: len(values("late")) == 2 + min(n, 20)), "and each key once")
    first = server.sql("SELECT count(*) FROM verify_topic('late', deep => true)")
    tap.equal(first, "0", "verify_topic()")


def test_logs():
    """nobody complains"""
    words = ("PANIC", "TRAP", "signal 6", "signal 11", "could not be compacted")
    tap.equal([w for w in words if w in server.log_text()], [], "the server's log")


def main():
    global server, standby
    pg.demote()
    server = pg.Cluster("primary", {"wal_consistency_checking": "all", "pgtopic.compaction_interval": "1d", "wal_keep_size": "1GB",
                                    "pgtopic.file_delete_delay": "1", "max_prepared_transactions": 5}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    standby = server.standby(settings={"max_standby_streaming_delay": "-1"}).start()
    tap.main([test_all_that_was_there, test_restart, test_aborted, test_held, test_snapshot, test_open_reads, test_producers, test_slow_client, test_group_offsets,
              test_worker, test_logs])


main()
