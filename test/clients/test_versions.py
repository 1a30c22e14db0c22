#!/usr/bin/env python3
"""Every API in every version that ApiVersions advertises, by a client that encodes from Kafka's own specs.

A response must fit its spec to the last byte and say the right thing.  What
ran is printed as a matrix and, with PGTOPIC_MATRIX=file, written there.
"""

import os
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = None
advertised = {}     # name: (first, last)
ran = {}            # name: versions

NAMES = {0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 17: "SaslHandshake", 18: "ApiVersions", 19: "CreateTopics",
         20: "DeleteTopics", 22: "InitProducerId", 23: "OffsetForLeaderEpoch", 36: "SaslAuthenticate", 60: "DescribeCluster",
         75: "DescribeTopicPartitions"}
FIRST_SERVED = {"Produce": 3, "SaslHandshake": 1}
SAME_LAYOUT = {"ListOffsets": 11}   # of a later Kafka than the specs', laid out like the version before
NONE, UNKNOWN_TOPIC, UNSUPPORTED = 0, 3, 35


def versions(name):
    """Those both sides have."""
    spec = raw.message(name + "Request").valid
    first, last = advertised[name]
    return range(max(first, spec[0], FIRST_SERVED.get(name, 0)), min(last, max(spec[1], SAME_LAYOUT.get(name, 0))) + 1)


def each_version(name, check):
    """check(version) returns a list of problems; one line of TAP per version."""
    for version in versions(name):
        try:
            problems = [p for p in check(version) if p]
        except Exception as problem:    # pylint: disable=broad-except
            problems = ["%s: %s" % (type(problem).__name__, problem)]
            reconnect()
        tap.ok(not problems, "%s v%d" % (name, version))
        for problem in problems:
            tap.note(problem)
        if not problems:
            ran.setdefault(name, []).append(version)


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap)


def differs(what, got, expected):
    return None if got == expected else "%s: got %r, expected %r" % (what, got, expected)


def topic_id(name):
    """From Metadata."""
    answer = client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
    return answer["Topics"][0]["TopicId"]


# --- one check per API

def test_api_versions():
    """ApiVersions; fills what the other tests go by"""
    answer = client.call("ApiVersions", 0)
    for row in answer["ApiKeys"]:
        if row["ApiKey"] in NAMES:
            advertised[NAMES[row["ApiKey"]]] = (row["MinVersion"], row["MaxVersion"])
    tap.equal(sorted(set(NAMES.values()) - set(advertised)), [], "every API of this stage is advertised")
    tap.equal(advertised.get("Produce", (None,))[0], 0, "Produce from version 0, as librdkafka wants")
    expected = {(r["ApiKey"], r["MinVersion"], r["MaxVersion"]) for r in answer["ApiKeys"]}

    def check(version):
        got = client.call("ApiVersions", version, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1.0"}
                          if version >= 3 else {})
        yield differs("error", got["ErrorCode"], NONE)
        yield differs("keys", {(r["ApiKey"], r["MinVersion"], r["MaxVersion"]) for r in got["ApiKeys"]}, expected)
    each_version("ApiVersions", check)

    for version in (5, 99, 32767):
        frame = client.request_bytes("ApiVersions", 4, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"})
        client.send_frame(frame[:2] + version.to_bytes(2, "big") + frame[4:])
        got = client.receive("ApiVersions", 0)
        tap.ok(got["ErrorCode"] == UNSUPPORTED and got["ApiKeys"], "version %d is answered in version 0, with the list" % version)
    tap.equal(client.call("ApiVersions", 3, {"ClientSoftwareName": "bad name!", "ClientSoftwareVersion": "1"})["ErrorCode"],
              42, "a bad client name is INVALID_REQUEST")


def test_metadata():
    server.sql("SELECT create_topic('meta', partitions => 3)")

    def check(version):
        got = client.call("Metadata", version, {"Topics": [{"Name": "meta"}]})
        yield differs("brokers", len(got["Brokers"]), 1)
        yield differs("port", got["Brokers"][0]["Port"], server.kafka_port)
        topic = got["Topics"][0]
        yield differs("topic", (topic["ErrorCode"], topic["Name"]), (NONE, "meta"))
        yield differs("partitions", sorted(p["PartitionIndex"] for p in topic["Partitions"]), [0, 1, 2])
        yield differs("leaders", {p["LeaderId"] for p in topic["Partitions"]}, {got["Brokers"][0]["NodeId"]})
        everything = client.call("Metadata", version, {"Topics": [] if version == 0 else None})
        yield differs("all", "meta" in {t["Name"] for t in everything["Topics"]}, True)
        if version >= 4:
            missing = client.call("Metadata", version, {"Topics": [{"Name": "missing"}], "AllowAutoTopicCreation": False})
            yield differs("missing", missing["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC)
        if version >= 12:
            by_id = client.call("Metadata", version, {"Topics": [{"Name": None, "TopicId": topic["TopicId"]}]})
            yield differs("by id", (by_id["Topics"][0]["ErrorCode"], by_id["Topics"][0]["Name"]), (NONE, "meta"))
            by_id = client.call("Metadata", version, {"Topics": [{"Name": None, "TopicId": uuid.uuid4()}]})
            yield differs("unknown id", by_id["Topics"][0]["ErrorCode"], 100)
        if version >= 1:
            none = client.call("Metadata", version, {"Topics": []})
            yield differs("none", none["Topics"], [])
    each_version("Metadata", check)

    client.call("Metadata", 9, {"Topics": [{"Name": "by-itself"}], "AllowAutoTopicCreation": True})
    for _ in range(50):
        if client.call("Metadata", 9, {"Topics": [{"Name": "by-itself"}]})["Topics"][0]["ErrorCode"] == NONE:
            break
        time.sleep(0.1)
    tap.equal(server.sql("SELECT count(*) FROM topics.\"by-itself\""), "0", "a topic is made on demand")
    got = client.call("Metadata", 9, {"Topics": [{"Name": "not/legal"}], "AllowAutoTopicCreation": True})
    tap.equal(got["Topics"][0]["ErrorCode"], 17, "a bad name is INVALID_TOPIC_EXCEPTION")


def test_trailing_bytes():
    """what is behind a request is ignored: librdkafka sends three zeros there"""
    client.send_frame(client.request_bytes("Metadata", 13, {"Topics": None}) + bytes(3))
    tap.ok("meta" in {t["Name"] for t in client.receive("Metadata", 13)["Topics"]}, "a request with bytes left over")


def produce_request(version, topic, partition, data, acks=1):
    where = {"TopicId": topic_id(topic)} if version >= 13 else {"Name": topic}
    return {"Acks": acks, "TimeoutMs": 10000,
            "TopicData": [{**where, "PartitionData": [{"Index": partition, "Records": data}]}]}


def produce(version, topic, batch, partition=0, acks=1):
    got = client.call("Produce", version, produce_request(version, topic, partition, batch.encode(), acks))
    return got["Responses"][0]["PartitionResponses"][0]


def test_produce():
    server.sql("SELECT create_topic('in', partitions => 2)")
    count = 0

    def check(version):
        nonlocal count
        for acks in (1, -1):
            got = produce(version, "in", raw.Batch([("k", "v%d" % version), (None, "w"), ("gone", None)]), acks=acks)
            yield differs("answer", (got["ErrorCode"], got["BaseOffset"]), (NONE, count))
            count += 3
        if version >= 5:
            yield differs("log start", got["LogStartOffset"], 0)
        packed = produce(version, "in", raw.Batch([("k", "zip")] * 10, attributes=1))
        yield differs("gzip", (packed["ErrorCode"], packed["BaseOffset"]), (NONE, count))
        count += 10
        client.send("Produce", version, produce_request(version, "in", 1, raw.Batch([(None, "silent")]).encode(), acks=0))
        after = client.call("ApiVersions", 0)       # the next response on the wire is this one's
        yield differs("acks=0 gets no response", after["ErrorCode"], NONE)
        wrong = produce(version, "in", raw.Batch([(None, "x")]), partition=77)
        yield differs("unknown partition", wrong["ErrorCode"], UNKNOWN_TOPIC)
    each_version("Produce", check)
    tap.equal(server.sql("SELECT count(*) FROM topics.\"in\" WHERE partition = 0"), str(count), "all is there in SQL")
    for _ in range(50):
        silent = server.sql("SELECT count(*) FROM topics.\"in\" WHERE partition = 1")
        if silent == str(len(versions("Produce"))):
            break
        time.sleep(0.1)
    tap.equal(silent, str(len(versions("Produce"))), "acks=0 arrives")

    for what, batch, code in (
            ("a wrong CRC", raw.Batch([(None, "x")], crc=1), 2),
            ("a record count that is too large", raw.Batch([(None, "x")], count=2 ** 31 - 1, last_offset_delta=2 ** 31 - 2), None),
            ("a count that disagrees", raw.Batch([(None, "x")], count=5), None),
            ("no records", raw.Batch([]), None),
            ("an old format", raw.Batch([(None, "x")], magic=1), None),
            ("an unknown codec", raw.Batch([(None, "x")], attributes=7), None),
            ("broken gzip", raw.Batch([(None, "x")], attributes=1, body=b"no gzip" * 9), None),
            ("a length that runs on", raw.Batch([(None, "x")], length=5000), None),
            ("a negative length", raw.Batch([(None, "x")], length=-5), None),
            ("a control batch", raw.Batch([(None, "x")], attributes=0x20), None)):
        got = produce(9, "in", batch)["ErrorCode"]
        tap.ok(got == code if code else got > 0, "%s is refused (error %d)" % (what, got))
    tap.equal(server.sql("SELECT count(*) FROM topics.\"in\" WHERE partition = 0"), str(count), "none of it was appended")
    tap.equal(produce(9, "in", raw.Batch([(None, "x")]), acks=5)["ErrorCode"], 21, "acks=5 is INVALID_REQUIRED_ACKS")
    tap.equal(produce(9, "nowhere-at-all", raw.Batch([(None, "x")]))["ErrorCode"], UNKNOWN_TOPIC, "an unknown topic")


def test_old_produce():
    """versions 0 to 2 are advertised, and refused politely"""
    for version in range(0, 3):
        try:
            with raw.Client(server.bootstrap, timeout=5) as old:
                frame = old.request_bytes("Produce", 3, produce_request(3, "in", 0, b""))
                old.send_frame(frame[:2] + version.to_bytes(2, "big") + frame[4:])
                answer = old.receive_frame()
                tap.ok(len(answer) > 4, "Produce v%d has an answer" % version)
        except (ConnectionError, OSError):
            tap.ok(True, "Produce v%d closes the connection" % version)


def fetch(version, topic, offset, session=(0, -1), **more):
    body = {"ReplicaId": -1, "MaxWaitMs": more.pop("wait", 0), "MinBytes": more.pop("min_bytes", 0)}
    if version >= 15:
        del body["ReplicaId"]
    body["MaxBytes"] = more.pop("max_bytes", 50000000)
    where = {"TopicId": topic_id(topic)} if version >= 13 else {"Topic": topic}
    partition = {"Partition": more.pop("partition", 0), "FetchOffset": offset,
                 "PartitionMaxBytes": more.pop("partition_max_bytes", 1000000)}
    if version >= 9:
        partition["CurrentLeaderEpoch"] = -1
    body["Topics"] = [{**where, "Partitions": [partition]}] if more.pop("with_topic", True) else []
    if version >= 7:
        body["SessionId"], body["SessionEpoch"] = session
    return client.call("Fetch", version, body)


def first_partition(answer):
    return answer["Responses"][0]["Partitions"][0]


def test_fetch():
    server.sql("SELECT create_topic('out', partitions => 2)")
    produce(9, "out", raw.Batch([("k", "one"), (None, "two", [("h", b"1"), ("n", None)]), ("three", None)]))
    produce(9, "out", raw.Batch([("k", "x" * 1000)]))
    expected = [(0, b"k", b"one", []), (1, None, b"two", [("h", b"1"), ("n", None)]), (2, b"three", None, []),
                (3, b"k", b"x" * 1000, [])]

    def records(part):
        return [(o, k, v, h) for o, _, k, v, h in raw.read_batches(part["Records"])]

    def check(version):
        part = first_partition(fetch(version, "out", 0))
        yield differs("error", part["ErrorCode"], NONE)
        yield differs("high watermark", part["HighWatermark"], 4)
        yield differs("records", records(part), expected)
        yield differs("whole batch", records(first_partition(fetch(version, "out", 1)))[0][0], 0)
        yield differs("limits", len(records(first_partition(fetch(version, "out", 0, max_bytes=1, partition_max_bytes=1)))), 3)
        part = first_partition(fetch(version, "out", 4))
        yield differs("at the end", (part["ErrorCode"], part["Records"] or b""), (NONE, b""))
        yield differs("past the end", first_partition(fetch(version, "out", 5))["ErrorCode"], 1)
        yield differs("below the start", first_partition(fetch(version, "out", -1))["ErrorCode"], 1)
        yield differs("unknown partition", first_partition(fetch(version, "out", 0, partition=9))["ErrorCode"], UNKNOWN_TOPIC)
        started = time.monotonic()
        fetch(version, "out", 4, wait=300, min_bytes=1)
        yield differs("waits", 0.25 < time.monotonic() - started < 2, True)
    each_version("Fetch", check)


def test_fetch_wakes():
    """a waiting fetch is answered when SQL commits"""
    client.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 10000, "MinBytes": 1, "MaxBytes": 1000000, "SessionEpoch": -1,
                              "Topics": [{"Topic": "out", "Partitions": [{"Partition": 1, "FetchOffset": 0,
                                                                          "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 100000}]}]})
    time.sleep(0.3)
    started = time.monotonic()
    server.sql("SELECT append('out:1', 'here'::text)")
    part = first_partition(client.receive("Fetch", 11))
    tap.ok(time.monotonic() - started < 2, "it wakes up")
    tap.equal([r[3] for r in raw.read_batches(part["Records"])], [b"here"], "with the record")


def test_fetch_sessions():
    """KIP-227: a session remembers its partitions and sends only what changed"""
    for version in (7, 12, 13):
        first = fetch(version, "out", 0, session=(0, 0))
        session = first["SessionId"]
        if not tap.ok(session != 0, "v%d: a session begins" % version):
            continue
        nothing = fetch(version, "out", 0, session=(session, 1), with_topic=True, partition_max_bytes=1000000)
        tap.ok(len(nothing["Responses"]) == 1, "v%d: data of an updated partition" % version)
        at_end = fetch(version, "out", 4, session=(session, 2))
        empty = fetch(version, "out", 0, session=(session, 3), with_topic=False)
        tap.ok(not empty["Responses"] or not first_partition(empty)["Records"], "v%d: nothing new" % version)
        tap.equal(at_end["ErrorCode"], NONE, "v%d: goes on" % version)
        tap.equal(fetch(version, "out", 0, session=(session, 77))["ErrorCode"], 71, "v%d: a wrong epoch" % version)
        tap.equal(fetch(version, "out", 0, session=(session + 12345, 1))["ErrorCode"], 70, "v%d: an unknown session" % version)


def test_list_offsets():
    server.sql("SELECT create_topic('listed')")
    produce(9, "listed", raw.Batch([(None, "a", None, 1000), (None, "b", None, 3000), (None, "c", None, 2000)], timestamp=1000))
    produce(9, "listed", raw.Batch([(None, "d", None, 2500)], timestamp=2500))

    def ask(version, timestamp, partition=0):
        one = {"PartitionIndex": partition, "Timestamp": timestamp}
        if version >= 4:
            one["CurrentLeaderEpoch"] = -1
        got = client.call("ListOffsets", version, {"ReplicaId": -1, "Topics": [{"Name": "listed", "Partitions": [one]}]})
        return got["Topics"][0]["Partitions"][0]

    def check(version):
        for timestamp, offset, found in ((-1, 4, -1), (-2, 0, -1), (0, 0, 1000), (1001, 1, 3000), (3000, 1, 3000), (3001, -1, -1)):
            got = ask(version, timestamp)
            yield differs("time %d" % timestamp, (got["ErrorCode"], got["Offset"], got["Timestamp"]), (NONE, offset, found))
        if version >= 7:
            got = ask(version, -3)
            yield differs("largest", (got["ErrorCode"], got["Offset"], got["Timestamp"]), (NONE, 1, 3000))
        yield differs("unknown partition", ask(version, -1, partition=5)["ErrorCode"], UNKNOWN_TOPIC)
    each_version("ListOffsets", check)


def test_topics():
    """CreateTopics and DeleteTopics"""
    def create(version):
        name = "created-%d" % version
        topic = {"Name": name, "NumPartitions": 2, "ReplicationFactor": 1,
                 "Configs": [{"Name": "retention.ms", "Value": "100000"}]}
        dry = client.call("CreateTopics", version, {"Topics": [topic], "timeoutMs": 10000, "validateOnly": True})
        yield differs("validate", dry["Topics"][0]["ErrorCode"], NONE)
        got = client.call("CreateTopics", version, {"Topics": [topic], "timeoutMs": 10000})["Topics"][0]
        yield differs("created", got["ErrorCode"], NONE)
        if version >= 5:
            yield differs("partitions", got["NumPartitions"], 2)
            yield differs("config", {c["Name"]: c["Value"] for c in got["Configs"]}.get("retention.ms"), "100000")
        if version >= 7:
            yield differs("id", got["TopicId"], topic_id(name))
        again = client.call("CreateTopics", version, {"Topics": [topic], "timeoutMs": 10000})["Topics"][0]
        yield differs("again", again["ErrorCode"], 36)
        bad = dict(topic, Name="bad-%d" % version, NumPartitions=0)
        yield differs("no partitions", client.call("CreateTopics", version, {"Topics": [bad], "timeoutMs": 1})["Topics"][0]["ErrorCode"], 37)
        bad = dict(topic, Name="bad/%d" % version)
        yield differs("name", client.call("CreateTopics", version, {"Topics": [bad], "timeoutMs": 1})["Topics"][0]["ErrorCode"], 17)
        bad = dict(topic, Name="bad-%d" % version, Configs=[{"Name": "no.such.thing", "Value": "1"}])
        yield differs("config", client.call("CreateTopics", version, {"Topics": [bad], "timeoutMs": 1})["Topics"][0]["ErrorCode"], 40)
    each_version("CreateTopics", create)
    tap.equal(server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'bad%'"), "0", "nothing of what was refused")

    def delete(version):
        name = "deleted-%d" % version
        server.sql("SELECT create_topic('%s')" % name)
        ident = topic_id(name)
        body = {"Topics": [{"Name": name}]} if version >= 6 else {"TopicNames": [name]}
        got = client.call("DeleteTopics", version, {**body, "TimeoutMs": 10000})["Responses"][0]
        yield differs("deleted", got["ErrorCode"], NONE)
        again = client.call("DeleteTopics", version, {**body, "TimeoutMs": 10000})["Responses"][0]
        yield differs("again", again["ErrorCode"], UNKNOWN_TOPIC)
        if version >= 6:
            server.sql("SELECT create_topic('%s')" % name)
            stale = client.call("DeleteTopics", version, {"Topics": [{"Name": None, "TopicId": ident}], "TimeoutMs": 10000})
            yield differs("old id", stale["Responses"][0]["ErrorCode"], 100)
            got = client.call("DeleteTopics", version, {"Topics": [{"Name": None, "TopicId": topic_id(name)}], "TimeoutMs": 10000})
            yield differs("by id", got["Responses"][0]["ErrorCode"], NONE)
    each_version("DeleteTopics", delete)


def test_init_producer_id():
    seen = set()

    def check(version):
        got = client.call("InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 1000})
        yield differs("error", got["ErrorCode"], NONE)
        yield differs("a fresh id", got["ProducerId"] >= 0 and got["ProducerId"] not in seen, True)
        yield differs("epoch", got["ProducerEpoch"], 0)
        seen.add(got["ProducerId"])
    each_version("InitProducerId", check)


def test_sequences():
    """idempotent producers: duplicates, gaps, old epochs"""
    server.sql("SELECT create_topic('sequences')")
    pid = client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]

    def send(sequence, value, epoch=0, count=1):
        got = produce(9, "sequences", raw.Batch([(None, value)] * count, producer_id=pid, producer_epoch=epoch,
                                                base_sequence=sequence))
        return got["ErrorCode"], got["BaseOffset"]

    tap.equal(send(0, "a", count=2), (NONE, 0), "the first batch")
    tap.equal(send(2, "b"), (NONE, 2), "the next one")
    tap.equal(send(2, "b"), (NONE, 2), "sent again: its old offset, no second record")
    tap.equal(send(0, "a", count=2), (NONE, 0), "an older one, too")
    tap.equal(send(7, "x")[0], 45, "a gap is OUT_OF_ORDER_SEQUENCE_NUMBER")
    tap.ok(send(-2, "x")[0] > 0, "a negative sequence is refused")
    tap.equal(send(3, "c"), (NONE, 3), "the right one goes on")
    tap.equal(send(0, "d", epoch=1), (NONE, 4), "a new epoch starts at 0")
    tap.equal(send(4, "x", epoch=0)[0], 47, "the old epoch is INVALID_PRODUCER_EPOCH")
    server.restart("immediate")
    server.wait_listener()
    reconnect()
    tap.equal(send(0, "d", epoch=1), (NONE, 4), "known after a crash: a duplicate stays one")
    tap.equal(send(1, "e", epoch=1), (NONE, 5), "and the next is no gap")
    tap.equal(server.sql("SELECT string_agg(convert_from(value, 'UTF8'), '' ORDER BY \"offset\") FROM topics.sequences"), "aabcde",
              "each record is there once")


def test_epochs():
    """OffsetForLeaderEpoch"""
    def check(version):
        body = {"Topics": [{"Topic": "out", "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 1000}]}]}
        if version >= 3:
            body["ReplicaId"] = -1
        got = client.call("OffsetForLeaderEpoch", version, body)["Topics"][0]["Partitions"][0]
        yield differs("a later epoch", got["EndOffset"] in (-1, 4), True)
        meta = client.call("Metadata", 9, {"Topics": [{"Name": "out"}]})["Topics"][0]["Partitions"]
        epoch = [p["LeaderEpoch"] for p in meta if p["PartitionIndex"] == 0][0]
        body["Topics"][0]["Partitions"][0]["LeaderEpoch"] = epoch
        got = client.call("OffsetForLeaderEpoch", version, body)["Topics"][0]["Partitions"][0]
        yield differs("this epoch", (got["ErrorCode"], got["LeaderEpoch"], got["EndOffset"]), (NONE, epoch, 4))
    each_version("OffsetForLeaderEpoch", check)


def test_cluster():
    """DescribeCluster and DescribeTopicPartitions"""
    def cluster(version):
        got = client.call("DescribeCluster", version)
        yield differs("error", got["ErrorCode"], NONE)
        yield differs("brokers", [b["Port"] for b in got["Brokers"]], [server.kafka_port])
        yield differs("id", bool(got["ClusterId"]), True)
    each_version("DescribeCluster", cluster)

    def partitions(version):
        got = client.call("DescribeTopicPartitions", version, {"Topics": [{"Name": "meta"}, {"Name": "missing"}],
                                                               "ResponsePartitionLimit": 2000})
        found = {t["Name"]: (t["ErrorCode"], len(t["Partitions"])) for t in got["Topics"]}
        yield differs("topics", found, {"meta": (NONE, 3), "missing": (UNKNOWN_TOPIC, 0)})
        part = client.call("DescribeTopicPartitions", version, {"Topics": [{"Name": "meta"}], "ResponsePartitionLimit": 2})
        yield differs("limit", len(part["Topics"][0]["Partitions"]), 2)
        yield differs("cursor", (part["NextCursor"] or {}).get("PartitionIndex"), 2)
        rest = client.call("DescribeTopicPartitions", version, {
            "Topics": [{"Name": "meta"}], "ResponsePartitionLimit": 2,
            "Cursor": {"TopicName": part["NextCursor"]["TopicName"], "PartitionIndex": part["NextCursor"]["PartitionIndex"]}})
        yield differs("rest", [p["PartitionIndex"] for p in rest["Topics"][0]["Partitions"]], [2])
    each_version("DescribeTopicPartitions", partitions)


def test_sasl():
    """where nobody is asked who he is; ../t/060_sasl.py has the rest"""
    each_version("SaslHandshake", lambda version: [
        differs("error", client.call("SaslHandshake", version, {"Mechanism": "PLAIN"}), {"ErrorCode": 34, "Mechanisms": []})])
    each_version("SaslAuthenticate", lambda version: [
        differs("error", client.call("SaslAuthenticate", version, {"AuthBytes": b"x"})["ErrorCode"], 34)])


def test_unknown():
    """an API or version that is not there harms nobody"""
    for what, head in (("an unknown API", b"\x03\xe8\x00\x00"), ("a version that is too high", b"\x00\x03\x7f\xff")):
        with raw.Client(server.bootstrap, timeout=5) as stranger:
            stranger.send_frame(head + b"\x00\x00\x00\x01\xff\xff")
            try:
                stranger.receive_frame()
                tap.ok(True, what + " has an answer")
            except (ConnectionError, OSError) as problem:
                tap.ok(not isinstance(problem, TimeoutError), what + " closes that connection")
    tap.equal(client.call("ApiVersions", 0)["ErrorCode"], NONE, "others go on")


def test_matrix():
    """what ran"""
    lines = ["%-24s %s" % (name, " ".join(str(v) for v in versions_)) for name, versions_ in sorted(ran.items())]
    tap.note("\n".join(lines))
    tap.equal({n: list(range(max(first, FIRST_SERVED.get(n, 0)), last + 1)) for n, (first, last) in advertised.items()},
              {n: ran.get(n, []) for n in advertised}, "each advertised version was tried")
    if os.environ.get("PGTOPIC_MATRIX"):
        with open(os.environ["PGTOPIC_MATRIX"], "w", encoding="utf8") as f:
            f.write("\n".join(lines) + "\n")


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    reconnect()
    tap.main([test_api_versions, test_metadata, test_trailing_bytes, test_produce, test_old_produce, test_fetch, test_fetch_wakes,
              test_fetch_sessions, test_list_offsets, test_topics, test_init_producer_id, test_sequences, test_epochs,
              test_cluster, test_sasl, test_unknown, test_matrix])


main()
