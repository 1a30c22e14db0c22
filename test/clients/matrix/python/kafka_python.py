#!/usr/bin/env python3
"""The scenario with kafka-python."""

import logging
import threading
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from scenario import BOOTSTRAP, CODECS, EACH, PREFIX, TOPIC, check, say, step, values, wait_for

GROUP = PREFIX + "-group"
admin = None


class Member:
    """A consumer with what it has found, polled by a thread of its own: the library joins groups inside poll()."""

    def __init__(self, group, subscribe=True, pattern=None, **settings):
        self.found = []
        self.ending = False
        if group is not None:
            settings.update(session_timeout_ms=6000, heartbeat_interval_ms=500,
                            partition_assignment_strategy=[RangePartitionAssignor])
        self.consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False,
                                      auto_offset_reset="earliest", metadata_max_age_ms=1000, **settings)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        if pattern:
            self.consumer.subscribe(pattern=pattern)
        elif subscribe:
            # Metadata first: a leader that does not know the partitions yet assigns none, and may leave it at that.
            self.consumer.partitions_for_topic(TOPIC)
            self.consumer.subscribe([TOPIC])

    def start(self):
        self.thread.start()
        return self

    def _run(self):
        while not self.ending:
            with self.lock:
                for records in self.consumer.poll(50).values():
                    self.found += [(r.partition, r.offset, r.value.decode(), r.key and r.key.decode()) for r in records]
            time.sleep(0.005)

    def partitions(self):
        return sorted(p.partition for p in self.consumer.assignment())

    def values(self):
        return {f[2] for f in list(self.found)}

    def close(self):
        self.ending = True
        if self.thread.is_alive():
            self.thread.join(30)
        self.consumer.close()


def wait(what, condition):
    wait_for(what, lambda: condition() or time.sleep(0.02))


def connect():
    cluster = admin.describe_cluster()
    check(len(cluster["brokers"]) == 1 and cluster["cluster_id"], "one broker")


def create_topic():
    spec = {TOPIC: {"num_partitions": 4, "replication_factor": 1, "configs": {"retention.ms": "3600000"}}}
    admin.create_topics(spec)
    try:
        admin.create_topics(spec)
        check(False, "a second time it was not refused")
    except TopicAlreadyExistsError:
        pass


def list_topics():
    check(TOPIC in admin.list_topics(), "not listed")
    check(len(admin.describe_topics([TOPIC])[0]["partitions"]) == 4, "four partitions")


def produce(codec):
    p = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", linger_ms=20, enable_idempotence=True,
                      compression_type=None if codec == "none" else codec)
    sent = []
    for i in range(EACH):
        text = ("%s %d" % (codec, i)).encode()
        sent.append(p.send(TOPIC, value=text, key=text, partition=i % 4, headers=[("n", b"1")]))
    for one in sent:
        one.get(20)
    p.close()


def assign():
    m = Member(None, subscribe=False)
    m.consumer.assign([TopicPartition(TOPIC, p) for p in range(4)])
    m.consumer.seek_to_beginning()
    m.start()
    wait("all records", lambda: len(m.found) >= len(values()))
    check(m.values() == values() and len(m.found) == len(values()), "other records than produced")
    check(all(f[2] == f[3] for f in m.found), "keys")
    m.close()


def offsets():
    m = Member(None, subscribe=False)
    parts = [TopicPartition(TOPIC, p) for p in range(4)]
    check(sum(m.consumer.end_offsets(parts).values()) == len(values()), "latest")
    check(set(m.consumer.beginning_offsets(parts).values()) == {0}, "earliest")
    check(m.consumer.offsets_for_times({parts[0]: 1000})[parts[0]].offset == 0, "by time")
    m.close()


def group():
    first = Member(GROUP).start()
    wait("4 partitions of the first", lambda: len(first.partitions()) == 4)
    second = Member(GROUP).start()
    wait("2 and 2", lambda: len(first.partitions()) == 2 and len(second.partitions()) == 2)
    wait("all records", lambda: first.values() | second.values() >= values())
    with first.lock:
        first.consumer.commit()
    first.close()
    wait("4 of the second", lambda: len(second.partitions()) == 4)
    second.close()


def commit():
    one = TopicPartition(TOPIC, 1)
    before = Member(PREFIX + "-commit").start()
    wait("records", lambda: len(before.found) >= 200)
    with before.lock:
        before.consumer.commit({one: OffsetAndMetadata(10, "ten", -1)})
        check(before.consumer.committed(one) == 10, "committed")
    check(admin.list_group_offsets(PREFIX + "-commit")[PREFIX + "-commit"][one].metadata == "ten", "metadata")
    before.close()
    after = Member(PREFIX + "-commit").start()
    wait("records of partition 1", lambda: any(f[0] == 1 for f in list(after.found)))
    check([f[1] for f in after.found if f[0] == 1][0] == 10, "goes on elsewhere")
    after.close()


def static_member():
    members = [Member(PREFIX + "-static", group_instance_id="i%d" % i).start() for i in range(2)]
    wait("2 and 2", lambda: all(len(m.partitions()) == 2 for m in members))
    before = members[1].partitions()
    members[1].close()
    members[1] = Member(PREFIX + "-static", group_instance_id="i1").start()
    wait("2 and 2 again", lambda: all(len(m.partitions()) == 2 for m in members))
    check(members[1].partitions() == before, "other partitions than before")
    for m in members:
        m.close()


def pattern():
    m = Member(PREFIX + "-pattern", pattern="^%s-to.*" % PREFIX).start()
    wait("all records", lambda: len(m.found) >= len(values()))
    m.close()


def listed(name):
    return name in {g["group_id"] for g in admin.list_groups()}


def list_groups():
    check(listed(GROUP), "not listed")


def describe(name):
    return admin.describe_groups([name])[name]


def describe_group():
    name = PREFIX + "-described"
    m = Member(name, client_id="described-client").start()
    wait("state Stable", lambda: describe(name)["group_state"] == "Stable" and len(m.partitions()) == 4)
    members = describe(name)["members"]
    check(len(members) == 1 and members[0]["client_id"] == "described-client", "members: %s" % members)
    m.close()
    wait("state Empty", lambda: describe(name)["group_state"] == "Empty")


def reset_offsets():
    p = TopicPartition(TOPIC, 0)
    admin.alter_group_offsets(GROUP, {p: OffsetAndMetadata(3, "", -1)})
    check(admin.list_group_offsets(GROUP)[GROUP][p].offset == 3, "offset")


def delete_offsets():
    p = TopicPartition(TOPIC, 0)
    admin.delete_group_offsets(GROUP, [p])
    check(p not in admin.list_group_offsets(GROUP)[GROUP], "still there")


def delete_group():
    check(admin.delete_groups([GROUP])[GROUP] == "OK", "refused")
    check(not listed(GROUP), "still listed")


def add_partitions():
    admin.create_partitions({TOPIC: 6})
    p = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    check(p.send(TOPIC, value=b"new", partition=5).get(20).offset == 0, "offset")
    p.close()


def retention():
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)], config_filter="all")
    found = found["topic"][TOPIC] if isinstance(found, dict) else found[0]
    return found["retention.ms"]["value"]


def alter_config():
    check(retention() == "3600000", "as created")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "7200000"})])
    wait("the new value", lambda: retention() == "7200000")


def delete_records():
    p = TopicPartition(TOPIC, 2)
    check(admin.delete_records({p: 5})[p]["low_watermark"] == 5, "low watermark")


def delete_topic():
    admin.delete_topics([TOPIC])
    wait("it to go", lambda: TOPIC not in admin.list_topics())


def main():
    global admin
    logging.disable(logging.CRITICAL)
    say(client="kafka-python " + kafka.__version__)
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    step("connect", connect)
    step("create topic", create_topic)
    step("list topics", list_topics)
    for codec in CODECS:
        step("produce " + codec, produce, codec)
    for function in (assign, offsets, group, commit, static_member, pattern, list_groups, describe_group, reset_offsets,
                     delete_offsets, delete_group, add_partitions, alter_config, delete_records, delete_topic):
        step(function.__name__.replace("_", " "), function)
    admin.close()


main()
