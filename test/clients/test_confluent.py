#!/usr/bin/env python3
"""librdkafka of today through confluent-kafka: admin, every codec, idempotence, time lookups."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
except ImportError:
    tap.skip("confluent_kafka is not installed")

server = None


def producer(**settings):
    return Producer({"bootstrap.servers": server.bootstrap, "log_level": 0,
                     **{k.replace("_", "."): v for k, v in settings.items()}})


def consume(topic, partition, offset, count, **settings):
    """The next count records, or as many as come within 20 seconds."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "none", "enable.auto.commit": False,
                         "log_level": 0, **{k.replace("_", "."): v for k, v in settings.items()}})
    consumer.assign([TopicPartition(topic, partition, offset)])
    found, deadline = [], time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        record = consumer.poll(0.2)
        if record is not None and record.error() is None:
            found.append(record)
    consumer.close()
    return found


def test_transactions():
    """committed whole, aborted without a trace, fenced"""
    server.sql("SELECT create_topic('txn', partitions => 2)")
    p = producer(transactional_id="x")
    p.init_transactions(60)
    for commit in (True, False, True):
        p.begin_transaction()
        for i in range(100):
            p.produce("txn", value="%s %d" % (commit, i), partition=i % 2)
        if commit:
            p.commit_transaction(60)
        else:
            p.flush(60)
            p.abort_transaction(60)
    tap.equal(server.sql("SELECT count(*), count(*) FILTER (WHERE value LIKE 'False%') FROM topics.txn"), "200|0", "two of three are there")
    for level in ("read_committed", "read_uncommitted"):
        tap.equal(len(consume("txn", 0, 0, 100, isolation_level=level)), 100, level)
    p.begin_transaction()
    p.produce("txn", value="old")
    p.flush(60)
    other = producer(transactional_id="x")
    other.init_transactions(60)
    try:
        p.commit_transaction(60)
        tap.ok(False, "the old one is fenced")
    except KafkaException as problem:
        tap.ok(problem.args[0].fatal(), "the old one is fenced: %s" % problem.args[0].name())


def test_admin():
    """create, list, delete"""
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    futures = admin.create_topics([NewTopic("made", 3, 1, config={"retention.ms": "1000000"}), NewTopic("other", 1)])
    for name, future in futures.items():
        tap.ok(future.result(30) is None, "created " + name)
    tap.equal(server.sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'topics.made'::regclass"), "3", "three partitions")
    try:
        admin.create_topics([NewTopic("made", 1)])["made"].result(30)
        tap.ok(False, "a second time it is refused")
    except KafkaException as problem:
        tap.equal(problem.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "a second time it is refused")
    for config, what in (({"no.such.config": "1"}, "an unknown config"), ({"retention.ms": "soon"}, "a bad value")):
        try:
            admin.create_topics([NewTopic("wrong", 1, config=config)])["wrong"].result(30)
            tap.ok(False, what + " is refused")
        except KafkaException as problem:
            tap.equal(problem.args[0].code(), KafkaError.INVALID_CONFIG, what + " is refused")
    topics = admin.list_topics(timeout=30).topics
    tap.equal(len(topics["made"].partitions), 3, "listed with its partitions")
    tap.ok(admin.delete_topics(["other"])["other"].result(30) is None, "deleted")
    tap.ok("other" not in admin.list_topics(timeout=30).topics, "and gone")
    cluster = admin.describe_cluster(request_timeout=30).result()
    tap.ok(cluster.cluster_id and len(cluster.nodes) == 1, "the cluster describes itself")


def test_codecs():
    """each codec: back by librdkafka and by SQL"""
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = "codec-" + codec
        server.sql("SELECT create_topic('%s')" % topic)
        p = producer(compression_type=codec, linger_ms=100, enable_idempotence=True)
        values = ["%s %d %s" % (codec, i, "x" * (i % 300)) for i in range(3000)]
        for i, value in enumerate(values):
            p.produce(topic, value=value, key=str(i), headers=[("n", str(i)), ("n", None)], timestamp=1700000000000 + i)
        tap.equal(p.flush(60), 0, codec + ": delivered")
        records = consume(topic, 0, 0, len(values))
        tap.ok([r.value().decode() for r in records] == values, codec + ": the same values in the same order")
        tap.ok(all(r.headers() == [("n", str(i).encode()), ("n", None)] and r.timestamp()[1] == 1700000000000 + i and
                   r.key() == str(i).encode() and r.offset() == i for i, r in enumerate(records)),
               codec + ": keys, headers, timestamps, offsets")
        rows = server.sql("SELECT convert_from(value, 'UTF8') FROM topics.\"%s\" ORDER BY \"offset\"" % topic).split("\n")
        tap.ok(rows == values, codec + ": SQL reads the same")
        middle = consume(topic, 0, 1234, 1)
        tap.equal(middle and middle[0].offset(), 1234, codec + ": a fetch into the middle of a batch")


def test_delivery_reports():
    server.sql("SELECT create_topic('reports', partitions => 2)")
    got = []
    p = producer(acks="all")
    for i in range(100):
        p.produce("reports", value=str(i), partition=i % 2, on_delivery=lambda e, r: got.append((e, r.partition(), r.offset())))
    p.flush(30)
    tap.equal(sorted(got, key=lambda g: g[1:]), [(None, n % 2, n // 2) for n in sorted(range(100), key=lambda n: (n % 2, n))],
              "each record's partition and offset are reported")


def test_partitioner():
    """murmur2 agrees with librdkafka's"""
    server.sql("SELECT create_topic('hashed', partitions => 7)")
    p = producer(partitioner="murmur2")
    for i in range(200):
        p.produce("hashed", value="kafka", key="key %d" % i)
    p.flush(30)
    server.sql("SELECT count(*) FROM (SELECT produce('hashed', 'sql'::text, key => 'key ' || i) FROM generate_series(0, 199) i) p")
    tap.equal(server.sql("SELECT count(*) FROM topics.hashed a JOIN topics.hashed b USING (key, partition) "
                         "WHERE a.value = 'kafka' AND b.value = 'sql'"), "200", "SQL chooses the same partitions")


def test_errors():
    """what a producer did wrong is said to it, and to it alone"""
    server.sql("SELECT create_topic('small', config => '{\"max.message.bytes\": 2000}')")
    errors = []
    p = producer(message_max_bytes=2000000)
    p.produce("small", value="x" * 5000, on_delivery=lambda e, r: errors.append(e))
    p.produce("small", value="fits", partition=0)
    p.flush(30)
    tap.ok(errors and errors[0] is not None and errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE, "max.message.bytes")
    errors.clear()
    try:
        p.produce("made", value="x", partition=99, on_delivery=lambda e, r: errors.append(e))
    except KafkaException as e:         # at once when the client has the topic's metadata already
        errors.append(e.args[0])
    p.flush(30)
    tap.ok(errors and errors[0] is not None, "an unknown partition")
    p.produce("small", value="goes on")
    tap.equal(p.flush(30), 0, "the producer goes on")


def test_times():
    """offsets by time, earliest, latest, largest timestamp"""
    server.sql("SELECT create_topic('timed')")
    p = producer()
    for i in range(500):
        p.produce("timed", value=str(i), timestamp=1600000000000 + i * 1000)
    p.flush(30)
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "none", "log_level": 0})
    for time_ms, offset in ((0, 0), (1600000000000, 0), (1600000000001, 1), (1600000250000, 250), (1600000499000, 499),
                            (1600000499001, -1)):
        found = consumer.offsets_for_times([TopicPartition("timed", 0, time_ms)], timeout=30)[0].offset
        tap.equal(found, offset if offset >= 0 else -1, "time %d" % time_ms)
    tap.equal(consumer.get_watermark_offsets(TopicPartition("timed", 0), timeout=30), (0, 500), "earliest and latest")
    consumer.close()
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    found = admin.list_offsets({TopicPartition("timed", 0): OffsetSpec.max_timestamp()})
    tap.equal([f.result(30).offset for f in found.values()], [499], "the largest timestamp")


def test_append_time():
    """message.timestamp.type=LogAppendTime"""
    server.sql("SELECT create_topic('stamped', config => '{\"message.timestamp.type\": \"LogAppendTime\"}')")
    p = producer()
    p.produce("stamped", value="x", timestamp=1000)
    p.flush(30)
    kind, stamp = consume("stamped", 0, 0, 1)[0].timestamp()
    tap.ok(kind == 2 and abs(stamp - time.time() * 1000) < 60000, "the broker's time counts")
    tap.equal(server.sql("SELECT now() - \"timestamp\" < interval '1 min' FROM topics.stamped"), "t", "in SQL, too")


def test_sizes():
    """byte limits of fetches: small ones still make progress"""
    server.sql("SELECT create_topic('sizes')")
    p = producer(message_max_bytes=1000000, linger_ms=0)
    for i in range(30):
        p.produce("sizes", value="%d:" % i + "y" * 200000)
        p.flush(30)
    records = consume("sizes", 0, 0, 30, fetch_max_bytes=1000000, max_partition_fetch_bytes=1000, message_max_bytes=1000000)
    tap.equal([r.offset() for r in records], list(range(30)), "batches larger than the limit arrive one at a time")


def test_mixed_writers():
    """SQL and Kafka into one partition: offsets without a gap, each writer's order kept"""
    server.sql("SELECT create_topic('mixed')")
    p = producer(enable_idempotence=True)
    for i in range(50):
        for n in range(10):
            p.produce("mixed", value="k %d" % (i * 10 + n))
        server.sql("SELECT produce('mixed', 's %d'::text)" % i)
    p.flush(30)
    records = consume("mixed", 0, 0, 550)
    tap.equal([r.offset() for r in records], list(range(550)), "no gap")
    for writer, count in (("k", 500), ("s", 50)):
        numbers = [int(r.value().split()[1]) for r in records if r.value().startswith(writer.encode())]
        tap.equal(numbers, list(range(count)), "order of " + writer)


def test_row_lock():
    """an idempotent producer whose batches time out at a locked row: each record is there once, in order"""
    server.sql("""CREATE TABLE users (key bytea PRIMARY KEY); INSERT INTO users VALUES ('u');
        SELECT create_topic('locked'); ALTER TABLE topics.locked ADD FOREIGN KEY (key) REFERENCES users""")
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users FOR UPDATE")
    problems = []
    p = producer(enable_idempotence=True, request_timeout_ms=500, message_timeout_ms=120000, linger_ms=0, batch_num_messages=5)
    for i in range(50):
        p.produce("locked", value="%d" % i, key="u", on_delivery=lambda problem, _: problems.append(problem))
        p.poll(0.01)
    deadline = time.time() + 60
    while server.log_text().count("canceling statement due to statement timeout") < 2 and time.time() < deadline:
        p.poll(0.1)
    tap.ok(time.time() < deadline, "batches have timed out")
    tap.equal(problems, [], "none is lost")
    session.sql("COMMIT")
    session.close()
    tap.equal(p.flush(60), 0, "all are delivered when the row is free")
    tap.equal(problems, [None] * 50, "without an error")
    records = consume("locked", 0, 0, 50)
    tap.equal([int(r.value()) for r in records], list(range(50)), "each once, in order")


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.main([test_transactions, test_admin, test_codecs, test_delivery_reports, test_partitioner, test_errors, test_times, test_append_time,
              test_sizes, test_mixed_writers, test_row_lock])


main()
