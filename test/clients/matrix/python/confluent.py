#!/usr/bin/env python3
"""The scenario with confluent-kafka (librdkafka)."""

import os
import time

import confluent_kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from scenario import BOOTSTRAP, CODECS, EACH, PREFIX, PROTOCOL, TOPIC, check, say, step, values, wait_for

ASSIGNOR = os.environ.get("ASSIGNOR", "range")
GROUP = PREFIX + "-group"
admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "log_level": 0})


def result(futures):
    """The only future's result."""
    return list(futures.values())[0].result(30)


def consumer(group, **settings):
    protocol = {"group.protocol": "consumer"} if PROTOCOL == "consumer" else {
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "partition.assignment.strategy": ASSIGNOR}
    return Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "enable.auto.commit": False, "log_level": 0,
                     "auto.offset.reset": "earliest", **protocol,
                     **{k.replace("_", "."): v for k, v in settings.items()}})


def poll(member, found, timeout=0.1):
    """Adds the next records' (partition, offset, value, key)."""
    for record in member.consume(200, timeout):
        if record.error() is None:
            found.append((record.partition(), record.offset(), record.value().decode(), record.key()))
        elif record.error().fatal():
            raise KafkaException(record.error())


def connect():
    check(len(admin.list_topics(timeout=20).brokers) == 1, "one broker")
    cluster = admin.describe_cluster(request_timeout=20).result()
    check(cluster.cluster_id and cluster.controller is not None, "cluster id and controller")


def create_topic():
    result(admin.create_topics([NewTopic(TOPIC, 4, 1, config={"retention.ms": "3600000"})]))
    try:
        result(admin.create_topics([NewTopic(TOPIC, 4, 1)]))
        check(False, "a second time it was not refused")
    except KafkaException as e:
        check(e.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, "refused with %s" % e)


def list_topics():
    check(len(admin.list_topics(timeout=20).topics[TOPIC].partitions) == 4, "four partitions")


def produce(codec):
    failed = []
    p = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "compression.type": codec, "linger.ms": 50,
                  "log_level": 0})
    for i in range(EACH):
        p.produce(TOPIC, value="%s %d" % (codec, i), key="%s %d" % (codec, i), headers=[("n", b"1")], partition=i % 4,
                  on_delivery=lambda e, r: failed.append(e) if e else None)
    check(p.flush(30) == 0 and not failed, "not delivered: %s" % failed[:1])


def assign():
    found = []
    c = consumer(PREFIX + "-assign")
    c.assign([TopicPartition(TOPIC, p, 0) for p in range(4)])
    wait_for("all records", lambda: poll(c, found) or len(found) >= len(values()))
    check({f[2] for f in found} == values() and len(found) == len(values()), "other records than produced")
    check(all(f[3].decode() == f[2] for f in found), "keys")
    c.close()


def offsets():
    parts = [TopicPartition(TOPIC, p) for p in range(4)]
    latest = [f.result(20) for f in admin.list_offsets({p: OffsetSpec.latest() for p in parts}).values()]
    check(sum(o.offset for o in latest) == len(values()), "latest")
    earliest = [f.result(20) for f in admin.list_offsets({p: OffsetSpec.earliest() for p in parts}).values()]
    check([o.offset for o in earliest] == [0] * 4, "earliest")
    c = consumer(PREFIX + "-assign")
    found = c.offsets_for_times([TopicPartition(TOPIC, 0, 1000)], timeout=20)
    check(found[0].offset == 0, "by time: %s" % found)
    c.close()


def group():
    first, second, found = consumer(GROUP), consumer(GROUP), []

    def owned(member, others=()):
        for m in (member, *others):
            poll(m, found, 0.05)
        return len(member.assignment())

    first.subscribe([TOPIC])
    wait_for("4 partitions of the first", lambda: owned(first) == 4)
    second.subscribe([TOPIC])
    wait_for("2 and 2", lambda: owned(first, [second]) == 2 and owned(second, [first]) == 2)
    wait_for("all records", lambda: owned(second, [first]) and {f[2] for f in found} >= values())
    first.commit(offsets=[TopicPartition(TOPIC, first.assignment()[0].partition, 100)], asynchronous=False)
    first.close()
    wait_for("4 of the second", lambda: owned(second) == 4)
    second.close()


def commit():
    found = []
    c = consumer(PREFIX + "-commit")
    c.subscribe([TOPIC])
    wait_for("records", lambda: poll(c, found) or len(found) >= 200)
    c.commit(offsets=[TopicPartition(TOPIC, 1, 10, metadata="ten")], asynchronous=False)
    check(c.committed([TopicPartition(TOPIC, 1)], timeout=20)[0].offset == 10, "committed")
    c.close()
    found.clear()
    c = consumer(PREFIX + "-commit")
    c.subscribe([TOPIC])
    wait_for("records of partition 1", lambda: poll(c, found) or any(f[0] == 1 for f in found))
    check(min(f[1] for f in found if f[0] == 1) == 10, "goes on with %d" % min(f[1] for f in found if f[0] == 1))
    c.close()


def static_member():
    found = []
    members = [consumer(PREFIX + "-static", group_instance_id="i%d" % i) for i in range(2)]
    for m in members:
        m.subscribe([TOPIC])

    def owned():
        for m in members:
            poll(m, found, 0.05)
        return all(len(m.assignment()) == 2 for m in members)
    wait_for("2 and 2", owned)
    before = sorted(p.partition for p in members[1].assignment())
    other = sorted(p.partition for p in members[0].assignment())
    members[1].close()
    members[1] = consumer(PREFIX + "-static", group_instance_id="i1")
    members[1].subscribe([TOPIC])
    wait_for("2 and 2 again", owned)
    check(sorted(p.partition for p in members[1].assignment()) == before, "other partitions than before")
    check(sorted(p.partition for p in members[0].assignment()) == other, "the other member's changed")
    for m in members:
        m.close()


def pattern():
    found = []
    c = consumer(PREFIX + "-pattern")
    c.subscribe(["^%s-to.*" % PREFIX])
    wait_for("records", lambda: poll(c, found) or len(found) >= len(values()))
    c.close()


def list_groups():
    found = admin.list_consumer_groups(request_timeout=20).result()
    check(GROUP in {g.group_id for g in found.valid} and not found.errors, "not listed")


def describe_group():
    name, found = PREFIX + "-described", []
    c = consumer(name, client_id="described-client")
    c.subscribe([TOPIC])
    wait_for("assignment", lambda: poll(c, found) or len(c.assignment()) == 4)

    def stable():
        it = result(admin.describe_consumer_groups([name], request_timeout=20))
        return it if it.state.name == "STABLE" else poll(c, found)
    it = wait_for("state Stable", stable)
    check(len(it.members) == 1 and it.members[0].client_id == "described-client", "members")
    check(len(it.members[0].assignment.topic_partitions) == 4, "its assignment")
    kind = getattr(it, "type", None)
    check(kind is None or kind.name.lower() == PROTOCOL, "type %s" % kind)
    c.close()
    wait_for("state Empty", lambda: result(admin.describe_consumer_groups([name])).state.name == "EMPTY")


def set_offset(group_id, offset):
    result(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group_id, [TopicPartition(TOPIC, 0, offset)])]))


def read_offsets(group_id):
    found = result(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group_id)]))
    return {p.partition: p.offset for p in found.topic_partitions}


def reset_offsets():
    set_offset(GROUP, 3)
    check(read_offsets(GROUP)[0] == 3, "offset")


def delete_offsets():
    from scenario import Skip
    if not hasattr(admin, "delete_consumer_group_offsets"):
        raise Skip("no such call")
    result(admin.delete_consumer_group_offsets(ConsumerGroupTopicPartitions(GROUP, [TopicPartition(TOPIC, 0)])))
    check(0 not in read_offsets(GROUP), "still there")


def delete_group():
    result(admin.delete_consumer_groups([GROUP], request_timeout=20))
    check(GROUP not in {g.group_id for g in admin.list_consumer_groups().result().valid}, "still listed")


def add_partitions():
    result(admin.create_partitions([NewPartitions(TOPIC, 6)]))
    wait_for("6 partitions", lambda: len(admin.list_topics(TOPIC, timeout=20).topics[TOPIC].partitions) == 6)
    failed = []
    p = Producer({"bootstrap.servers": BOOTSTRAP, "log_level": 0})
    p.produce(TOPIC, value="new", partition=5, on_delivery=lambda e, r: failed.append(e) if e else None)
    check(p.flush(20) == 0 and not failed, "not delivered: %s" % failed[:1])


def alter_config():
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    check(result(admin.describe_configs([resource]))["retention.ms"].value == "3600000", "as created")
    resource.add_incremental_config(ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET))
    result(admin.incremental_alter_configs([resource]))
    wait_for("the new value", lambda: result(admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, TOPIC)]))["retention.ms"].value == "7200000", 10)


def delete_records():
    done = result(admin.delete_records([TopicPartition(TOPIC, 2, 5)]))
    check(done.low_watermark == 5, "low watermark")
    check(result(admin.list_offsets({TopicPartition(TOPIC, 2): OffsetSpec.earliest()})).offset == 5, "earliest")


def delete_topic():
    result(admin.delete_topics([TOPIC]))
    wait_for("it to go", lambda: TOPIC not in admin.list_topics(timeout=20).topics or time.sleep(0.1), 15)


def main():
    say(client="confluent-kafka %s, librdkafka %s" % (confluent_kafka.__version__, confluent_kafka.libversion()[0]))
    step("connect", connect)
    step("create topic", create_topic)
    step("list topics", list_topics)
    for codec in CODECS:
        step("produce " + codec, produce, codec)
    for function in (assign, offsets, group, commit, static_member, pattern, list_groups, describe_group, reset_offsets,
                     delete_offsets, delete_group, add_partitions, alter_config, delete_records, delete_topic):
        step(function.__name__.replace("_", " "), function)


main()
