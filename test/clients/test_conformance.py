#!/usr/bin/env python3
"""Answers to requests at the edge of what the protocol allows: what a broker of Apache Kafka says, we say.

What differs on purpose is listed in docs/conformance.md.  Its table of APIs is compared with what ApiVersions tells.
"""

import os
import re
import struct
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = None

NONE, OUT_OF_RANGE, CORRUPT, UNKNOWN_TOPIC, TOO_LARGE, INVALID_TIMESTAMP, STORAGE_ERROR = 0, 1, 2, 3, 10, 32, 56
INVALID_TOPIC, ILLEGAL_GENERATION, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, ID_NOT_ALLOWED, UNSUPPORTED_CODEC = 17, 22, 24, 25, 53, 76
INVALID_RECORD, UNKNOWN_TOPIC_ID, BAD_MAPPING = 87, 100, 49
LONG_WAIT_MS = 2000     # a fetch that waits for nothing; what is answered at once takes far less


def now_ms():
    return int(time.time() * 1000)


def new_topic(partitions=1, **configs):
    """The name of a fresh topic; configs with _ for dots."""
    name = "t" + uuid.uuid4().hex[:12]
    got = client.call("CreateTopics", 4, {"timeoutMs": 10000, "Topics": [{
        "Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": k.replace("_", "."), "Value": v} for k, v in configs.items()]}]})
    assert got["Topics"][0]["ErrorCode"] == NONE, got
    return name


# --- Produce

def produce(topic, batch, version=9, transactional_id=None):
    """The answer for partition 0; batch: bytes or raw.Batch."""
    data = batch.encode() if isinstance(batch, raw.Batch) else batch
    got = client.call("Produce", version, {
        "Acks": -1, "TimeoutMs": 10000, "TransactionalId": transactional_id,
        "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": data}]}]})
    return got["Responses"][0]["PartitionResponses"][0]


def blamed(answer):
    return [e["BatchIndex"] for e in answer["RecordErrors"]]


def test_record_errors():
    """a refused batch names the records that are to blame, and where the log starts"""
    def check(what, topic, batch, error, indexes):
        got = produce(topic, batch)
        tap.equal((got["ErrorCode"], blamed(got), got["BaseOffset"], got["LogStartOffset"]), (error, indexes, -1, start), what)
        tap.ok(got["ErrorMessage"] and all(e["BatchIndexErrorMessage"] for e in got["RecordErrors"]), what + ": with words")

    start = 0
    now = now_ms()
    topic = new_topic(cleanup_policy="compact")
    keyless = [(None, b"a"), (b"k", b"b"), (None, b"c"), (b"k", b"d")]
    check("keyless in a compacted topic", topic, raw.Batch(keyless, timestamp=now), INVALID_RECORD, [0, 2])
    check("compressed ones", topic, raw.Batch(keyless, timestamp=now, attributes=1), INVALID_RECORD, [0, 2])
    tap.equal(produce(topic, raw.Batch(keyless), version=7)["ErrorCode"], INVALID_RECORD, "version 7 has no place for it")

    topic = new_topic(message_timestamp_before_max_ms="60000", message_timestamp_after_max_ms="120000")
    mixed = [(b"k", b"a"), (b"k", b"b", None, now - 3600000), (b"k", b"c"), (b"k", b"d", None, now + 3600000)]
    check("timestamps out of range", topic, raw.Batch(mixed, timestamp=now), INVALID_TIMESTAMP, [1, 3])
    tap.equal(produce(topic, raw.Batch([(b"k", b"a"), (b"k", b"b", None, -1)], timestamp=now))["ErrorCode"], NONE,
              "a record without a timestamp is in no range")
    tap.equal(produce(topic, raw.Batch([(b"k", b"a")], timestamp=-1))["ErrorCode"], NONE, "nor is a batch of them")
    server.sql("SELECT delete_records('%s:0', 2)" % topic)
    start = 2
    check("after deletion", topic, raw.Batch([(b"k", b"a")], timestamp=now - 3600000), INVALID_TIMESTAMP, [0])

    start = 0
    topic = new_topic(cleanup_policy="compact", message_timestamp_before_max_ms="60000")
    check("a missing key and a bad timestamp", topic,
          raw.Batch([(None, b"a"), (b"k", b"b", None, now - 3600000), (b"k", b"c")], timestamp=now), INVALID_TIMESTAMP, [0, 1])
    batch = raw.Batch([(b"k", b"v")], timestamp=now, producer_id=5, producer_epoch=0, base_sequence=3)
    first = raw.Batch([(b"k", b"v")], timestamp=now, producer_id=5, producer_epoch=0, base_sequence=0)
    tap.equal(produce(topic, first)["ErrorCode"], NONE, "an idempotent producer's batch")
    got = produce(topic, batch)
    tap.equal((got["ErrorCode"], got["LogStartOffset"], got["RecordErrors"]), (45, 0, []), "a gap in its sequence is no record's fault")


def test_damaged_batches():
    """only what may have been damaged on its way is worth a retry: CORRUPT_MESSAGE, all else INVALID_RECORD"""
    topic = new_topic()
    record = raw.Batch([(b"k", b"v")])._record(0, (b"k", b"v", None, None))
    good = [(b"k", b"v")]
    for what, batch, error in (
            ("a wrong checksum", raw.Batch(good, crc=1), CORRUPT),
            ("a length that is none", raw.Batch(good, length=-1), CORRUPT),
            ("cut short", raw.Batch(good).encode()[:-3], INVALID_RECORD),
            ("less than a header", raw.Batch(good).encode()[:10], INVALID_RECORD),
            ("two batches", raw.Batch(good).encode() * 2, INVALID_RECORD),
            ("a wrong count", raw.Batch(good, count=5), INVALID_RECORD),
            ("a count and offsets that the records do not have", raw.Batch(good, count=5, last_offset_delta=4), INVALID_RECORD),
            ("no records", raw.Batch([]), INVALID_RECORD),
            ("records that are none", raw.Batch(good, body=b"garbage!" * 4), INVALID_RECORD),
            ("bytes left over", raw.Batch(good, body=record + b"xx"), INVALID_RECORD),
            ("compressed records that are none", raw.Batch(good, body=b"garbage!" * 4, attributes=1), INVALID_RECORD),
            ("gzip that is none", raw.Batch(good, body_compressed=b"garbage!" * 4, attributes=1), INVALID_RECORD),
            ("lz4 that is none", raw.Batch(good, body=b"garbage!" * 4, attributes=3), INVALID_RECORD),
            ("a base offset", struct.pack(">q", 7) + raw.Batch(good).encode()[8:], INVALID_RECORD),
            ("a control batch", raw.Batch(good, attributes=32), INVALID_RECORD),
            ("magic 1", raw.Batch(good, magic=1), INVALID_RECORD),
            ("an unknown codec", raw.Batch(good, attributes=5), UNSUPPORTED_CODEC),
            ("the log's own timestamps", raw.Batch(good, attributes=8), INVALID_TIMESTAMP)):
        got = produce(topic, batch)
        tap.equal((got["ErrorCode"], got["BaseOffset"]), (error, -1), what)
    tap.equal(produce(topic, raw.Batch(good))["BaseOffset"], 0, "none of them is in the log")


def test_size_after_recompression():
    """max.message.bytes holds for a batch as it is in the log"""
    large = raw.Batch([(b"k", b"x" * 50000)], attributes=1)
    topic = new_topic(max_message_bytes="1000", compression_type="uncompressed")
    got = produce(topic, large)
    tap.equal((got["ErrorCode"], got["BaseOffset"]), (TOO_LARGE, -1), "%d bytes of gzip become 50,000" % len(large.encode()))
    tap.equal(server.sql("SELECT log_end('%s:0')" % topic), "0", "nothing is in the log")
    tap.equal(produce(new_topic(max_message_bytes="1000"), large)["ErrorCode"], NONE, "a topic that keeps the codec has room")


# --- Fetch

def fetch(version, *parts, session=(0, -1)):
    """parts: (topic or id, partition, offset); returns {(topic, partition): error} and the seconds it took."""
    started = time.monotonic()
    got = client.call("Fetch", version, {
        "MaxWaitMs": LONG_WAIT_MS, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionId": session[0], "SessionEpoch": session[1],
        **({"ReplicaId": -1} if version < 15 else {}),
        "Topics": [{("Topic" if version < 13 else "TopicId"): t,
                    "Partitions": [{"Partition": p, "FetchOffset": o, "PartitionMaxBytes": 1 << 20}]} for t, p, o in parts]})
    errors = {(t["Topic" if version < 13 else "TopicId"], p["PartitionIndex"]): p["ErrorCode"]
              for t in got["Responses"] for p in t["Partitions"]}
    return errors, time.monotonic() - started, got["SessionId"]


def topic_id(name):
    return client.call("Metadata", 12, {"Topics": [{"TopicId": uuid.UUID(int=0), "Name": name}]})["Topics"][0]["TopicId"]


def test_fetch_waits():
    """a partition that does not exist is no reason to answer at once, as long as there is another one"""
    topic, other = new_topic(), new_topic()
    tid, nobody = topic_id(topic), uuid.uuid4()
    for what, version, parts, errors in (
            ("an unknown topic", 11, [(topic, 0, 0), ("nowhere", 0, 0)], {(topic, 0): NONE, ("nowhere", 0): UNKNOWN_TOPIC}),
            ("an unknown partition", 11, [(topic, 0, 0), (topic, 99, 0)], {(topic, 0): NONE, (topic, 99): UNKNOWN_TOPIC}),
            ("an unknown id", 13, [(tid, 0, 0), (nobody, 0, 0)], {(tid, 0): NONE, (nobody, 0): UNKNOWN_TOPIC_ID})):
        got, seconds, _ = fetch(version, *parts)
        tap.equal(got, errors, what + " beside an empty one")
        tap.ok(seconds >= LONG_WAIT_MS / 1000, "waits: %.2f s" % seconds)
    for what, parts, errors in (
            ("unknown topics only", [("nowhere", 0, 0), ("nobody", 3, 0)], {("nowhere", 0): UNKNOWN_TOPIC, ("nobody", 3): UNKNOWN_TOPIC}),
            ("an offset out of range", [(topic, 0, 0), (other, 0, 7)], {(topic, 0): NONE, (other, 0): OUT_OF_RANGE})):
        got, seconds, _ = fetch(11, *parts)
        tap.equal(got, errors, what)
        tap.ok(seconds < LONG_WAIT_MS / 1000, "is answered at once")

    client.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 30000, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [
        {"Topic": t, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]} for t in ("nowhere", topic)]})
    time.sleep(0.2)
    server.sql("SELECT append('%s:0', 'x'::text)" % topic)
    started = time.monotonic()
    client.receive("Fetch", 11)
    tap.ok(time.monotonic() - started < 20, "what arrives in the other one ends the wait")


def test_fetch_after_deletion():
    """a consumer of several topics does not spin when one of them is deleted"""
    topic, gone = new_topic(), new_topic()
    _, _, session = fetch(11, (topic, 0, 0), (gone, 0, 0), session=(0, 0))
    tap.ok(session != 0, "a fetch session")
    server.sql("SELECT drop_topic('%s')" % gone)
    count, started = 0, time.monotonic()
    while time.monotonic() - started < 3 * LONG_WAIT_MS / 1000:
        errors, _, _ = fetch(11, session=(session, 1 + count))
        count += 1
    tap.equal(errors, {(gone, 0): UNKNOWN_TOPIC}, "the error is told")
    tap.ok(count <= 4, "%d fetches in three waits' time" % count)


def damage(leaf):
    """Flips bytes in the middle half of the pages that hold something."""
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('%s')" % leaf))
    server.stop()
    with open(path, "r+b") as f:
        used = [n for n in range(os.path.getsize(path) // 8192) if any(f.read(8192))]
        for n in used[len(used) // 4:len(used) * 3 // 4]:
            f.seek(n * 8192 + 4000)
            f.write(b"damaged!" * 8)
    server.start()
    connect()


def test_damaged_page():
    """an error in one partition is that partition's: the others are read"""
    topic, count = new_topic(3), 400
    value = os.urandom(2000)
    for i in range(count):
        batch = raw.Batch([(b"k", value)], timestamp=1600000000000 + i * 1000).encode()
        client.call("Produce", 9, {"Acks": 1, "TimeoutMs": 10000, "TransactionalId": None, "TopicData": [
            {"Name": topic, "PartitionData": [{"Index": p, "Records": batch} for p in range(3)]}]})
    leaf = server.sql("SELECT leaf FROM partitions WHERE topic = '%s' AND partition = 1" % topic)
    damage(leaf)
    middle = count // 2
    for version in (4, 11, 12, 17):
        name = topic if version < 13 else topic_id(topic)
        parts = [{"Partition": p, "FetchOffset": middle, "PartitionMaxBytes": 10000} for p in range(3)]
        got = client.call("Fetch", version, {
            "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1 << 20, **({"SessionEpoch": -1} if version >= 7 else {}),
            **({"ReplicaId": -1} if version < 15 else {}),
            "Topics": [{("Topic" if version < 13 else "TopicId"): name, "Partitions": parts}]})
        tap.equal([(p["ErrorCode"], len(p["Records"] or b"") > 0) for p in got["Responses"][0]["Partitions"]],
                  [(NONE, True), (STORAGE_ERROR, False), (NONE, True)], "Fetch v%d" % version)
        tap.equal(got.get("ErrorCode", NONE), NONE, "not an error of all")
    asked = [{"PartitionIndex": p, "Timestamp": 1600000000000 + middle * 1000} for p in range(3)]
    got = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": asked}]})
    tap.equal([(p["ErrorCode"], p["Offset"]) for p in got["Topics"][0]["Partitions"]],
              [(NONE, middle), (STORAGE_ERROR, -1), (NONE, middle)], "ListOffsets")
    tap.equal(produce(topic, raw.Batch([(b"k", b"v")]))["BaseOffset"], count, "and the listener goes on")


# --- groups

def commit(group, topic, partition, offset, generation=-1, member="", version=8):
    got = client.call("OffsetCommit", version, {
        "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member,
        "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": "m"}]}]})
    return got["Topics"][0]["Partitions"][0]["ErrorCode"]


def committed(group, topic, partition):
    got = client.call("OffsetFetch", 5, {"GroupId": group, "Topics": [{"Name": topic, "PartitionIndexes": [partition]}]})
    part = got["Topics"][0]["Partitions"][0]
    return part["ErrorCode"], part["CommittedOffset"], part["Metadata"]


def test_any_offset():
    """any offset may be committed and comes back as it was; a negative one means nothing to SQL"""
    topic = new_topic(2)
    group = "any-" + topic
    for version in (2, 5, 8):
        for offset in (5, -1, -2, -2 ** 63, 2 ** 63 - 1, 0):
            tap.equal((commit(group, topic, 0, offset, version=version), committed(group, topic, 0)), (NONE, (NONE, offset, "m")),
                      "version %d: %d" % (version, offset))
    tap.equal(commit(group, topic, 0, -2), NONE, "-2, and then SQL")
    server.sql("INSERT INTO topics.\"%s\" (partition, value) VALUES (0, 'a'), (0, 'b')" % topic)
    tap.equal(server.sql("SELECT count(*) FROM group_lag WHERE group_id = '%s'" % group), "1", "group_lag shows it")
    tap.equal(server.sql("SELECT string_agg(as_text(value), ',') FROM consume('%s', '%s')" % (topic, group)), "a,b",
              "consume() begins with the log's start")
    tap.equal(committed(group, topic, 0)[:2], (NONE, 2), "and moves the offset")
    commit(group, topic, 1, -1)
    server.restart()
    connect()
    tap.equal(committed(group, topic, 1)[:2], (NONE, -1), "after a restart")
    server.sql("SELECT delete_group('%s')" % group)
    tap.equal(committed(group, topic, 1), (NONE, -1, ""), "the group can be deleted")


def test_unknown_members():
    """a member that its group does not know"""
    topic = new_topic()
    nobody, known = "nobody-" + topic, "known-" + topic
    tap.equal(commit(nobody, topic, 0, 5, generation=3, member="x"), ILLEGAL_GENERATION, "of a group that there is not")
    tap.equal(commit(known, topic, 0, 5), NONE, "a commit from outside makes a group")
    tap.equal(commit(known, topic, 0, 5, generation=3), UNKNOWN_MEMBER_ID, "then a generation is nobody's")
    tap.equal(commit(known, topic, 0, 6, generation=3, member="x"), UNKNOWN_MEMBER_ID, "nor a member's")
    tap.equal(committed(known, topic, 0)[1], 5, "nothing was committed")


def test_offset_delete():
    """a partition that does not exist has no offset to be deleted"""
    topic = new_topic(2)
    group = "some-" + topic
    commit(group, topic, 0, 5)
    got = client.call("OffsetDelete", 0, {"GroupId": group, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": p} for p in (0, 1, 2, -1)]},
        {"Name": "nowhere", "Partitions": [{"PartitionIndex": 0}]}]})
    tap.equal([p["ErrorCode"] for t in got["Topics"] for p in t["Partitions"]],
              [NONE, NONE, UNKNOWN_TOPIC, UNKNOWN_TOPIC, UNKNOWN_TOPIC], "each partition")
    tap.equal(committed(group, topic, 0)[1], -1, "the one that was there is gone")


LENGTHS = (1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 126, 127, 128, 129, 254, 255, 256, 257, 1023, 1024, 4095, 4096)


def odd_bytes(length, zeros=True):
    """Bytes that are UTF-8, with zero bytes at both ends and between them."""
    text = bytearray(65 + i * 31 % 62 for i in range(length))
    if zeros:
        text[0] = text[length // 2] = text[-1] = 0
    return bytes(text)


def test_strings():
    """what clients call themselves and send along comes back as it was, whatever its length; a zero byte is a byte"""
    topic = new_topic()
    group = "strings-" + topic
    wrong = []
    for length in LENGTHS:
        meta = odd_bytes(length)
        for version in (7, 8):      # int16 and varint lengths
            client.call("OffsetCommit", version, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
                {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": length, "CommittedMetadata": meta}]}]})
            got = committed(group, topic, 0)
            if got != (NONE, length, meta.decode()):
                wrong.append(("metadata", version, length, got))
        name = odd_bytes(length, zeros=False)
        if (commit(name, topic, 0, length), committed(name, topic, 0)) != (NONE, (NONE, length, "m")):
            wrong.append(("group", length))
        if commit(name + b"\0", topic, 0, 1) != INVALID_GROUP_ID:
            wrong.append(("group with a zero byte", length))
    tap.equal(wrong, [], "metadata and ids of groups")
    server.restart()
    connect()
    tap.equal([length for length in LENGTHS if committed(odd_bytes(length, zeros=False), topic, 0)[1] != length], [], "groups are there after a restart")

    wrong = []
    for length in LENGTHS:
        group, text = ("%d-%s" % (length, topic)), odd_bytes(length)
        body = {"GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": "", "GroupInstanceId": text,
                "ProtocolType": text, "Protocols": [{"Name": text, "Metadata": text}]}
        with raw.Client(server.bootstrap, client_id=text.decode()) as odd:
            joined = odd.call("JoinGroup", 9, body)
            if (joined["ProtocolType"], joined["ProtocolName"], [m["Metadata"] for m in joined["Members"]]) != (text.decode(), text.decode(), [text]):
                wrong.append(("JoinGroup", length, joined))
            me = {"GroupId": group, "GenerationId": 1, "MemberId": joined["MemberId"], "GroupInstanceId": text}
            synced = odd.call("SyncGroup", 5, {**me, "ProtocolType": text, "ProtocolName": text,
                                               "Assignments": [{"MemberId": joined["MemberId"], "Assignment": text}]})
            if (synced["ErrorCode"], synced["Assignment"]) != (NONE, text):
                wrong.append(("SyncGroup", length, synced))
            if odd.call("Heartbeat", 4, me)["ErrorCode"] != NONE:
                wrong.append(("Heartbeat", length))
            for field in ("MemberId", "GroupInstanceId"):       # cut, or longer by a zero byte: somebody else
                for other in (me[field][:-1], me[field] + (b"\0" if field == "GroupInstanceId" else "\0")):
                    if len(other) and odd.call("Heartbeat", 4, {**me, field: other})["ErrorCode"] == NONE:
                        wrong.append((field, length, other))
            described = odd.call("DescribeGroups", 5, {"Groups": [group]})["Groups"][0]
            member = described["Members"][0]
            if (described["ProtocolType"], described["ProtocolData"], member["GroupInstanceId"], member["MemberMetadata"],
                    member["MemberAssignment"]) != (text.decode(),) * 3 + (text,) * 2:
                wrong.append(("DescribeGroups", length, described))
            odd.call("LeaveGroup", 4, {"GroupId": group, "Members": [{"MemberId": joined["MemberId"], "GroupInstanceId": text}]})
    tap.equal(wrong, [], "members of groups")

    wrong = []
    for length in LENGTHS:
        name = odd_bytes(length)
        got = client.call("CreateTopics", 5, {"timeoutMs": 5000, "Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]})["Topics"][0]
        wrong += [(length, got)] if (got["ErrorCode"], got["Name"]) != (INVALID_TOPIC, name.decode()) else []
        name = odd_bytes(length, zeros=False) if length > 249 else b"z" * length
        got = client.call("CreateTopics", 5, {"timeoutMs": 5000, "validateOnly": True,
                                              "Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]})["Topics"][0]
        wrong += [(length, got)] if got["ErrorCode"] != (NONE if length <= 249 else INVALID_TOPIC) else []
    tap.equal(wrong, [], "names of topics: up to 249 characters, and none with a zero byte")


# --- topics

def test_asked_twice():
    """a topic that is named twice is answered once"""
    topic = new_topic()
    tid = topic_id(topic)
    got = client.call("Metadata", 4, {"Topics": [{"Name": n} for n in (topic, "nowhere", topic, "nowhere")], "AllowAutoTopicCreation": False})
    tap.equal([(t["Name"], t["ErrorCode"]) for t in got["Topics"]], [(topic, NONE), ("nowhere", UNKNOWN_TOPIC)], "Metadata by name")
    got = client.call("Metadata", 12, {"Topics": [{"TopicId": tid, "Name": None}] * 2})
    tap.equal([t["Name"] for t in got["Topics"]], [topic], "by id")
    got = client.call("DeleteTopics", 5, {"TimeoutMs": 5000, "TopicNames": ["nowhere", "nowhere"]})
    tap.equal([t["ErrorCode"] for t in got["Responses"]], [UNKNOWN_TOPIC], "DeleteTopics")


def test_not_there():
    """what is told of topics that are not there"""
    got = client.call("DescribeTopicPartitions", 0, {"Topics": [{"Name": "bad name"}], "ResponsePartitionLimit": 2})
    tap.equal((got["Topics"][0]["ErrorCode"], got["Topics"][0]["TopicAuthorizedOperations"]), (17, 3576), "what may be done with them")
    got = client.call("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 0, "SessionEpoch": -1, "Topics": [
        {"Topic": "nowhere", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1}]}]})
    tap.equal(got["Responses"][0]["Partitions"][0]["AbortedTransactions"], [], "no aborted transactions")


def test_transactional_ids():
    """what makes a request one of a transaction"""
    topic = new_topic()
    batch = raw.Batch([(b"k", b"v")], attributes=16, producer_id=5, producer_epoch=0, base_sequence=0)
    for tid, code in ((None, ID_NOT_ALLOWED), ("", ID_NOT_ALLOWED), ("tx", BAD_MAPPING)):
        tap.equal(produce(topic, batch, transactional_id=tid)["ErrorCode"], code, "a batch of a transaction, id %s" % tid)
    tap.equal(produce(topic, raw.Batch([(b"k", b"v")]), transactional_id="tx")["ErrorCode"], NONE, "an id alone makes no transaction")


TESTS = [test_unknown_members, test_offset_delete, test_asked_twice, test_not_there, test_transactional_ids, test_damaged_page, test_strings,
         test_record_errors, test_damaged_batches, test_size_after_recompression, test_fetch_waits, test_fetch_after_deletion,
         test_any_offset]


def connect():
    global client
    server.wait_listener()
    client = raw.Client(server.bootstrap)


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    connect()
    tap.main(TESTS)


if __name__ == "__main__":
    main()
