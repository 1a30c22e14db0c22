#!/usr/bin/env python3
"""Kafka clients of a database where the extension is in a schema of its own, and names like ours are the application's."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402
from schema import APPLICATION, INSTALL   # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType
except ImportError:
    tap.skip("confluent_kafka is not installed")

server = None


def client(kind, **settings):
    return kind({"bootstrap.servers": server.bootstrap, "log_level": 0, **{k.replace("_", "."): v for k, v in settings.items()}})


def produce(topic, count, **settings):
    producer = client(Producer, **settings)
    for i in range(count):
        producer.produce(topic, key="k%d" % i, value="v%d" % i, headers=[("n", str(i))])
    return producer.flush(30)


def consume(topic, group, count, **settings):
    """Values that a member of a group gets and commits."""
    consumer = client(Consumer, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **settings)
    consumer.subscribe([topic])
    found, deadline = [], time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        record = consumer.poll(0.2)
        if record is not None and record.error() is None:
            found.append(record.value().decode())
    if found:
        consumer.commit(asynchronous=False)
    consumer.close()
    return sorted(found)


def test_produce():
    """into a topic that is made on the way, with and without producer ids"""
    tap.equal(produce("auto", 100), 0, "all is delivered")
    tap.equal(produce("auto", 100, enable_idempotence=True), 0, "and once more by an idempotent producer")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT streams.as_text(value)) FROM topics.auto"), "200|100", "SQL has it")
    tap.equal(server.sql("SELECT topic, partitions FROM streams.topics WHERE NOT internal"), "auto|1", "the view shows the topic")
    tap.ok(int(server.sql("SELECT last_value FROM streams.producer_ids")) > 0, "producer ids are from the extension's sequence")


def test_groups():
    """of both protocols, whose offsets SQL reads"""
    values = sorted("v%d" % i for i in range(100) for _ in range(2))
    for protocol in ("classic", "consumer"):
        tap.equal(consume("auto", "g-" + protocol, 200, group_protocol=protocol), values, protocol + ": all is read")
        tap.equal(server.sql("SELECT \"offset\", lag FROM streams.group_lag WHERE group_id = 'g-%s'" % protocol), "200|0",
                  protocol + ": the offset is committed")
    admin = client(AdminClient)
    admin.delete_consumer_groups(["g-classic"])["g-classic"].result(30)
    tap.equal(server.sql("SELECT count(*) FROM streams.group_lag WHERE group_id = 'g-classic'"), "0", "a group is deleted")


def test_admin():
    """topics, partitions, configs of topics and groups, deleted records"""
    admin = client(AdminClient)
    admin.create_topics([NewTopic("topics", 2, config={"retention.ms": "500000000"}), NewTopic("clients", 1)])["topics"].result(30)
    admin.create_partitions([NewPartitions("topics", 3)])["topics"].result(30)
    tap.equal(server.sql("SELECT partitions, configs FROM streams.topics WHERE topic::text = 'topics'"), '3|{"retention.ms": "500000000"}',
              "a topic may be named as a view")
    tap.equal(produce("topics", 30), 0, "and is produced to")
    tap.equal(consume("topics", "g-topics", 30), sorted("v%d" % i for i in range(30)), "and consumed")
    group = ConfigResource(ResourceType.GROUP, "g", incremental_configs=[
        ConfigEntry("consumer.session.timeout.ms", "50000", incremental_operation=AlterConfigOpType.SET)])
    try:
        admin.incremental_alter_configs([group])[group].result(30)
        tap.equal(server.sql("SELECT group_id, configs FROM streams.group_configs"), 'g|{"consumer.session.timeout.ms": "50000"}',
                  "a group's configs")
    except KafkaException as problem:
        tap.ok(False, "a group's configs: %s" % problem)
    low = admin.delete_records([TopicPartition("auto", 0, 150)])
    tap.equal([f.result(30).low_watermark for f in low.values()], [150], "records are deleted")
    admin.delete_topics(["topics"])["topics"].result(30)
    tap.equal(server.sql("SELECT count(*) FROM streams.topics WHERE topic::text = 'topics'"), "0", "the topic is deleted")


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("ALTER DATABASE postgres SET search_path = public;" + APPLICATION + INSTALL)
    server.wait_listener()
    tap.main([test_produce, test_groups, test_admin])


main()
