#!/usr/bin/env python3
"""The scenario with aiokafka."""

import asyncio
import importlib.metadata
import logging
import re

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from scenario import BOOTSTRAP, CODECS, EACH, PREFIX, TOPIC, Skip, async_step, check, say, values

GROUP = PREFIX + "-group"
TOPIC_EXISTS = 36
admin = None


async def wait_for(what, condition, timeout=40):
    """Until the coroutine condition() is true; its value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        found = await condition()
        if found:
            return found
        check(loop.time() < deadline, "waited in vain for " + what)
        await asyncio.sleep(0.02)


class Member:
    """A consumer with what it has found."""

    def __init__(self, group, **settings):
        self.found = []
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=500, metadata_max_age_ms=1000,
            partition_assignment_strategy=[RangePartitionAssignor], **settings)

    async def join(self, pattern=None):
        if pattern is None:
            self.consumer.subscribe([TOPIC])
        else:
            self.consumer.subscribe(pattern=pattern)
        await self.consumer.start()
        return self

    async def poll(self):
        for records in (await self.consumer.getmany(timeout_ms=50)).values():
            self.found += [(r.partition, r.offset, r.value.decode(), r.key and r.key.decode()) for r in records]
        return len(self.consumer.assignment())

    def partitions(self):
        return sorted(p.partition for p in self.consumer.assignment())

    def values(self):
        return {f[2] for f in self.found}

    async def close(self):
        await self.consumer.stop()


async def connect():
    cluster = await admin.describe_cluster()
    check(len(cluster["brokers"]) == 1 and cluster["cluster_id"], "one broker")


async def create_topic():
    topic = NewTopic(TOPIC, 4, 1, topic_configs={"retention.ms": "3600000"})
    answer = await admin.create_topics([topic])
    check(answer.topic_errors[0][1] == 0, "error %s" % (answer.topic_errors[0],))
    answer = await admin.create_topics([topic])
    check(answer.topic_errors[0][1] == TOPIC_EXISTS, "a second time: error %s" % (answer.topic_errors[0],))


async def list_topics():
    check(TOPIC in await admin.list_topics(), "not listed")
    check(len((await admin.describe_topics([TOPIC]))[0]["partitions"]) == 4, "four partitions")


async def produce(codec):
    p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, linger_ms=20,
                         compression_type=None if codec == "none" else codec)
    await p.start()
    sent = []
    for i in range(EACH):
        text = ("%s %d" % (codec, i)).encode()
        sent.append(await p.send(TOPIC, value=text, key=text, partition=i % 4, headers=[("n", b"1")]))
    await asyncio.wait_for(asyncio.gather(*sent), 30)
    await p.stop()


async def assign():
    m = Member(None)
    m.consumer.assign([TopicPartition(TOPIC, p) for p in range(4)])
    await m.consumer.start()
    await m.consumer.seek_to_beginning()

    async def done():
        await m.poll()
        return len(m.found) >= len(values())
    await wait_for("all records", done)
    check(m.values() == values() and len(m.found) == len(values()), "other records than produced")
    check(all(f[2] == f[3] for f in m.found), "keys")
    await m.close()


async def offsets():
    m = Member(None)
    await m.consumer.start()
    parts = [TopicPartition(TOPIC, p) for p in range(4)]
    check(sum((await m.consumer.end_offsets(parts)).values()) == len(values()), "latest")
    check(set((await m.consumer.beginning_offsets(parts)).values()) == {0}, "earliest")
    check((await m.consumer.offsets_for_times({parts[0]: 1000}))[parts[0]].offset == 0, "by time")
    await m.close()


async def group():
    first = await Member(GROUP).join()

    async def four():
        return await first.poll() == 4
    await wait_for("4 partitions of the first", four)
    second = Member(GROUP)
    joining = asyncio.ensure_future(second.join())

    async def joined():
        await first.poll()
        return joining.done()
    await wait_for("the second to join", joined)

    async def halves():
        counts = await asyncio.gather(first.poll(), second.poll())
        return counts == [2, 2]
    await wait_for("2 and 2", halves)

    async def everything():
        await halves()
        return first.values() | second.values() >= values()
    await wait_for("all records", everything)
    await first.consumer.commit()
    await first.close()

    async def four_again():
        return await second.poll() == 4
    await wait_for("4 of the second", four_again)
    await second.close()


async def commit():
    one = TopicPartition(TOPIC, 1)
    before = await Member(PREFIX + "-commit").join()

    async def enough():
        await before.poll()
        return len(before.found) >= 200
    await wait_for("records", enough)
    await before.consumer.commit({one: OffsetAndMetadata(10, "ten")})
    check(await before.consumer.committed(one) == 10, "committed")
    check((await admin.list_consumer_group_offsets(PREFIX + "-commit"))[one].metadata == "ten", "metadata")
    await before.close()
    after = await Member(PREFIX + "-commit").join()

    async def some():
        await after.poll()
        return [f for f in after.found if f[0] == 1]
    check((await wait_for("records of partition 1", some))[0][1] == 10, "goes on elsewhere")
    await after.close()


async def static_member():
    members = [await Member(PREFIX + "-static", group_instance_id="i0").join()]
    members += [await Member(PREFIX + "-static", group_instance_id="i1").join()]

    async def halves():
        return await asyncio.gather(*(m.poll() for m in members)) == [2, 2]
    await wait_for("2 and 2", halves)
    before = members[1].partitions()
    await members[1].close()
    members[1] = await Member(PREFIX + "-static", group_instance_id="i1").join()
    await wait_for("2 and 2 again", halves)
    check(members[1].partitions() == before, "other partitions than before")
    for m in members:
        await m.close()


async def pattern():
    m = await Member(PREFIX + "-pattern").join(re.compile("^%s-to.*" % PREFIX))

    async def done():
        await m.poll()
        return len(m.found) >= len(values())
    await wait_for("all records", done)
    await m.close()


async def list_groups():
    check(GROUP in {g[0] for g in await admin.list_consumer_groups()}, "not listed")


async def describe(name):
    _, _, state, *_, members = (await admin.describe_consumer_groups([name]))[0].groups[0][:6]
    return state, members


async def describe_group():
    name = PREFIX + "-described"
    m = await Member(name, client_id="described-client").join()

    async def stable():
        await m.poll()
        state, members = await describe(name)
        return state == "Stable" and members
    members = await wait_for("state Stable", stable)
    check(len(members) == 1 and "described-client" in members[0], "members: %s" % (members,))
    await m.close()

    async def empty():
        return (await describe(name))[0] == "Empty"
    await wait_for("state Empty", empty)


async def no_such_call():
    raise Skip("no such call")


async def reset_offsets():
    """A consumer outside of the group commits for it, as long as it is empty."""
    m = Member(GROUP)
    m.consumer.assign([TopicPartition(TOPIC, 0)])
    await m.consumer.start()
    await m.consumer.commit({TopicPartition(TOPIC, 0): 3})
    check((await admin.list_consumer_group_offsets(GROUP))[TopicPartition(TOPIC, 0)].offset == 3, "offset")
    await m.close()


async def add_partitions():
    await admin.create_partitions({TOPIC: NewPartitions(6)})
    p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP)
    await p.start()
    check((await p.send_and_wait(TOPIC, b"new", partition=5)).offset == 0, "offset")
    await p.stop()


async def retention():
    answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": None})])
    code, message, _, _, entries = answer[0].resources[0][:5]
    check(code == 0, "error %d: %s" % (code, message))
    return entries[0][1]


async def alter_config():
    check(await retention() == "3600000", "as created")
    answer = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, configs={"retention.ms": "7200000"})])
    check(answer[0].resources[0][0] == 0, "error %s" % (answer[0].resources[0],))

    async def changed():
        return await retention() == "7200000"
    await wait_for("the new value", changed)


async def delete_records():
    p = TopicPartition(TOPIC, 2)
    check((await admin.delete_records({p: RecordsToDelete(5)}))[p] == 5, "low watermark")


async def delete_topic():
    answer = await admin.delete_topics([TOPIC])
    check(answer.topic_error_codes[0][1] == 0, "error %s" % (answer.topic_error_codes[0],))

    async def gone():
        return TOPIC not in await admin.list_topics()
    await wait_for("it to go", gone)


async def main():
    global admin
    logging.disable(logging.CRITICAL)
    say(client="aiokafka " + importlib.metadata.version("aiokafka"))
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    await async_step("connect", connect)
    await async_step("create topic", create_topic)
    await async_step("list topics", list_topics)
    for codec in CODECS:
        await async_step("produce " + codec, produce, codec)
    for function in (assign, offsets, group, commit, static_member, pattern, list_groups, describe_group, reset_offsets):
        await async_step(function.__name__.replace("_", " "), function)
    await async_step("delete offsets", no_such_call)
    await async_step("delete group", no_such_call)
    for function in (add_partitions, alter_config, delete_records, delete_topic):
        await async_step(function.__name__.replace("_", " "), function)
    await admin.close()


asyncio.run(main())
