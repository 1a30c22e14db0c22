#!/usr/bin/env python3
"""What the handlers of the Kafka APIs must get right beyond the plain case: fetch sessions with many
partitions, errors of single topics among good ones, requests that are wrong in their meaning, and a
stream of damaged requests that must harm nobody.
"""

import os
import random
import struct
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import damage  # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = None

NONE, OUT_OF_RANGE, UNKNOWN_TOPIC, INVALID_TOPIC, REQUEST_TIMED_OUT = 0, 1, 3, 17, 7
UNKNOWN_TOPIC_ID, INVALID_REQUEST, INVALID_RECORD, ID_NOT_ALLOWED = 100, 42, 87, 53
SESSION_NOT_FOUND, BAD_SESSION_EPOCH, SESSION_TOPIC_ID = 70, 71, 106
FENCED_EPOCH, UNKNOWN_EPOCH, NOT_LEADER = 74, 75, 6


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap)


def topic_id(name):
    return client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})["Topics"][0]["TopicId"]


def produce_raw(topic, parts, version=9, acks=1, transactional=None):
    """parts: (partition, bytes or None)"""
    where = {"TopicId": topic} if version >= 13 else {"Name": topic}
    return client.call("Produce", version, {
        "Acks": acks, "TimeoutMs": 5000, "TransactionalId": transactional,
        "TopicData": [{**where, "PartitionData": [{"Index": i, "Records": data} for i, data in parts]}]})


def produce(topic, partition, *values):
    data = raw.Batch([(None, v) for v in values]).encode()
    answer = produce_raw(topic, [(partition, data)])["Responses"][0]["PartitionResponses"][0]
    assert answer["ErrorCode"] == NONE, answer
    return answer["BaseOffset"]


def fetch(version, topics, session=(0, -1), forgotten=None, **more):
    """topics: {name or id: {partition: offset}}"""
    key = "TopicId" if version >= 13 else "Topic"
    body = {"MaxWaitMs": more.get("wait", 0), "MinBytes": more.get("min_bytes", 1), "MaxBytes": more.get("max_bytes", 1 << 20),
            "SessionId": session[0], "SessionEpoch": session[1], "IsolationLevel": more.get("isolation", 0),
            "Topics": [{key: t, "Partitions": [
                {"Partition": p, "FetchOffset": o, "CurrentLeaderEpoch": more.get("epoch", -1),
                 "PartitionMaxBytes": more.get("partition_max_bytes", 1 << 20)}
                for p, o in parts.items()]} for t, parts in topics.items()],
            "ForgottenTopicsData": [{key: t, "Partitions": parts} for t, parts in (forgotten or {}).items()]}
    if version < 15:
        body["ReplicaId"] = -1
    return client.call("Fetch", version, body)


def told(answer):
    """{(topic, partition): (error, values)} of a fetch response."""
    found = {}
    for topic in answer["Responses"]:
        for part in topic["Partitions"]:
            values = [r[3].decode(errors="replace") for r in raw.read_batches(part["Records"] or b"")]
            found[topic.get("Topic") or topic.get("TopicId"), part["PartitionIndex"]] = (part["ErrorCode"], values)
    return found


# --- fetch sessions

def session_life(version):
    name = "life-%d" % version
    server.sql("SELECT create_topic('%s', partitions => 4)" % name)
    t = topic_id(name) if version >= 13 else name
    for p in range(4):
        produce(name, p, "%d-a" % p)

    first = fetch(version, {t: {0: 0, 1: 0, 2: 0, 3: 0}}, session=(0, 0))
    sid = first["SessionId"]
    tap.ok(sid > 0, "v%d: a session" % version)
    tap.equal(told(first), {(t, p): (NONE, ["%d-a" % p]) for p in range(4)}, "v%d: all partitions at first" % version)

    got = fetch(version, {t: {0: 1, 1: 1, 2: 1, 3: 1}}, session=(sid, 1))
    tap.equal((got["ErrorCode"], told(got)), (NONE, {}), "v%d: nothing is new" % version)
    produce(name, 2, "2-b")
    got = fetch(version, {}, session=(sid, 2))
    tap.equal(told(got), {(t, 2): (NONE, ["2-b"])}, "v%d: one has data, and only that is told" % version)

    produce(name, 1, "1-b")
    produce(name, 3, "3-b")
    got = fetch(version, {t: {2: 2}}, session=(sid, 3), forgotten={t: [1]})
    tap.equal(told(got), {(t, 3): (NONE, ["3-b"])}, "v%d: a forgotten one is not told" % version)

    got = fetch(version, {t: {0: 99}}, session=(sid, 4))
    tap.equal(told(got).get((t, 0)), (OUT_OF_RANGE, []), "v%d: an error in a session" % version)
    got = fetch(version, {t: {0: 1, 3: 2}}, session=(sid, 5))
    tap.equal(told(got), {(t, 0): (NONE, [])}, "v%d: what had an error is told again when it is well" % version)

    tap.equal(fetch(version, {}, session=(sid, 5))["ErrorCode"], BAD_SESSION_EPOCH, "v%d: an epoch twice" % version)
    other = 13 if version < 13 else 12
    tap.equal(fetch(other, {}, session=(sid, 6))["ErrorCode"], SESSION_TOPIC_ID, "v%d: names and ids do not mix" % version)

    started = time.monotonic()
    client.send("Fetch", version, {"MaxWaitMs": 8000, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionId": sid, "SessionEpoch": 6,
                                   **({"ReplicaId": -1} if version < 15 else {})})
    time.sleep(0.2)
    server.sql("SELECT append('%s:0', 'late'::text)" % name)
    got = client.receive("Fetch", version)
    tap.ok(time.monotonic() - started < 3, "v%d: a waiting session wakes up" % version)
    tap.equal(told(got), {(t, 0): (NONE, ["late"])}, "v%d: with the record" % version)

    got = fetch(version, {t: {0: 0}}, session=(sid, -1))
    tap.equal((got["SessionId"], told(got)[t, 0][0]), (0, NONE), "v%d: the last fetch ends it" % version)
    tap.equal(fetch(version, {}, session=(sid, 7))["ErrorCode"], SESSION_NOT_FOUND, "v%d: it is gone" % version)


def test_sessions():
    for version in (7, 11, 12, 13, 18):
        session_life(version)


def test_session_without_partitions():
    """a session that forgets all it has ends"""
    produce_topic = "lonely"
    server.sql("SELECT create_topic('lonely')")
    sid = fetch(11, {produce_topic: {0: 0}}, session=(0, 0))["SessionId"]
    got = fetch(11, {}, session=(sid, 1), forgotten={produce_topic: [0]})
    tap.equal((got["ErrorCode"], got["SessionId"], got["Responses"]), (NONE, 0, []), "an empty answer without a session")
    tap.equal(fetch(11, {}, session=(sid, 2))["ErrorCode"], SESSION_NOT_FOUND, "it is gone")


def test_session_waits_for_topic():
    """a partition that does not exist stays in the session, and works once it does"""
    got = fetch(11, {"to-come": {0: 0}}, session=(0, 0))
    sid = got["SessionId"]
    tap.equal(told(got), {("to-come", 0): (UNKNOWN_TOPIC, [])}, "not there")
    server.sql("SELECT create_topic('to-come')")
    produce("to-come", 0, "x")
    tap.equal(told(fetch(11, {}, session=(sid, 1))), {("to-come", 0): (NONE, ["x"])}, "there")
    server.sql("SELECT drop_topic('to-come')")
    tap.equal(told(fetch(11, {}, session=(sid, 2))), {("to-come", 0): (UNKNOWN_TOPIC, [])}, "dropped")


def test_dropped_while_waiting():
    """a fetch that waits is answered when its topic goes"""
    server.sql("SELECT create_topic('short-lived')")
    client.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 3000, "MinBytes": 1, "MaxBytes": 1000, "SessionEpoch": -1, "Topics": [
        {"Topic": "short-lived", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]})
    time.sleep(0.2)
    server.sql("SELECT drop_topic('short-lived')")
    got = told(client.receive("Fetch", 11))
    tap.ok(got["short-lived", 0][0] in (NONE, UNKNOWN_TOPIC), "it has an answer: %r" % got)


def test_fetch_limits():
    """limits hold for all but the first batch"""
    server.sql("SELECT create_topic('limits', partitions => 3)")
    for p in range(3):
        for i in range(3):
            produce("limits", p, "x" * 1000)

    def sizes(**more):
        got = fetch(11, {"limits": {0: 0, 1: 0, 2: 0}}, **more)
        return [len(raw.read_batches(p["Records"] or b"")) for p in got["Responses"][0]["Partitions"]]

    tap.equal(sizes(), [3, 3, 3], "all")
    tap.equal(sizes(max_bytes=1), [1, 0, 0], "one batch, whatever the limit")
    tap.equal(sizes(partition_max_bytes=1), [1, 0, 0], "the same for a partition's limit")
    tap.equal(sizes(partition_max_bytes=2500), [2, 2, 2], "whole batches up to the partition's limit")
    tap.equal(sizes(max_bytes=4500), [3, 1, 0], "and up to the request's")
    tap.equal(sizes(max_bytes=-5), [1, 0, 0], "a negative limit")
    started = time.monotonic()
    fetch(11, {"limits": {0: 3}}, wait=300, min_bytes=1)
    tap.ok(time.monotonic() - started >= 0.25, "waits for data")
    started = time.monotonic()
    tap.equal(told(fetch(11, {"limits": {0: 0}}, wait=500, min_bytes=10 ** 6))["limits", 0][1], ["x" * 1000] * 3,
              "less than min_bytes is given at the deadline")
    tap.ok(time.monotonic() - started >= 0.4, "and not before")


def test_many_partitions():
    """an answer with data of more partitions than one send has room for"""
    server.sql("SELECT create_topic('many', 400)")
    batch = raw.Batch([(None, "v")]).encode()
    got = client.call("Produce", 9, {"Acks": 1, "TimeoutMs": 10000, "TopicData": [
        {"Name": "many", "PartitionData": [{"Index": p, "Records": batch} for p in range(400)]}]})
    tap.equal({p["ErrorCode"] for p in got["Responses"][0]["PartitionResponses"]}, {NONE}, "produced")
    for n in (127, 128, 129, 255, 256, 400):
        got = told(fetch(11, {"many": {p: 0 for p in range(n)}}))
        tap.equal(([v for _, v in got.values()], len(got)), ([["v"]] * n, n), "from %d partitions" % n)
    server.sql("SELECT drop_topic('many')")


def test_epochs():
    """leader epochs of requests are checked"""
    epoch = client.call("Metadata", 9, {"Topics": [{"Name": "limits"}]})["Topics"][0]["Partitions"][0]["LeaderEpoch"]
    tap.equal(told(fetch(12, {"limits": {0: 9}}, epoch=epoch))["limits", 0][0], OUT_OF_RANGE, "the current one")
    tap.equal(told(fetch(12, {"limits": {0: 0}}, epoch=epoch + 1))["limits", 0][0], UNKNOWN_EPOCH, "one to come")
    fenced = fetch(16, {topic_id("limits"): {0: 0}}, epoch=epoch - 1)
    part = fenced["Responses"][0]["Partitions"][0]
    tap.equal((part["ErrorCode"], part["CurrentLeader"], [n["Port"] for n in fenced["NodeEndpoints"]]),
              (FENCED_EPOCH, {"LeaderId": 1, "LeaderEpoch": epoch}, [server.kafka_port]), "an old one, with who leads now")


def test_isolation():
    """both isolation levels read the same; aborted transactions are none"""
    for isolation, aborted in ((0, None), (1, [])):
        got = fetch(11, {"limits": {0: 0}}, isolation=isolation)["Responses"][0]["Partitions"][0]
        tap.equal((got["AbortedTransactions"], got["LastStableOffset"]), (aborted, 3), "isolation level %d" % isolation)


# --- produce

def test_produce_errors():
    server.sql("SELECT create_topic('strict', partitions => 2)")
    one = raw.Batch([(None, "x")])

    def code(data, **more):
        part = produce_raw("strict", [(0, data)], **more)["Responses"][0]["PartitionResponses"][0]
        return part["ErrorCode"], bool(part.get("ErrorMessage"))

    tap.equal(code(None), (INVALID_RECORD, True), "null records")
    tap.equal(code(b""), (INVALID_RECORD, True), "no records")
    tap.equal(code(one.encode() + one.encode()), (INVALID_RECORD, True), "two batches")
    tap.equal(code(one.encode()[:-1]), (INVALID_RECORD, True), "a batch that is cut short")
    tap.equal(code(one.encode()[:10]), (INVALID_RECORD, True), "less than a header")
    tap.equal(code(raw.Batch([(None, "x")], attributes=0x10, producer_id=1, producer_epoch=0, base_sequence=0).encode()),
              (ID_NOT_ALLOWED, True), "a batch of a transaction without a transactional id")
    tap.equal(code(one.encode(), transactional="t"), (NONE, False), "a transactional id alone makes no transaction")
    tap.equal(code(raw.Batch([(None, "x")], attributes=4).encode(), version=6)[0], 76, "zstd before version 7")

    got = produce_raw("strict", [(0, one.encode()), (7, one.encode()), (1, b"junk" * 30), (1, one.encode())])
    tap.equal([(p["Index"], p["ErrorCode"]) for p in got["Responses"][0]["PartitionResponses"]],
              [(0, NONE), (7, UNKNOWN_TOPIC), (1, INVALID_RECORD), (1, NONE)], "good and bad partitions in one request")
    got = produce_raw(uuid.uuid4(), [(0, one.encode())], version=13)
    tap.equal(got["Responses"][0]["PartitionResponses"][0]["ErrorCode"], UNKNOWN_TOPIC_ID, "an unknown topic id")


def test_acks_0_error():
    """acks=0 and an error: the connection ends, so that the client looks for what changed"""
    with raw.Client(server.bootstrap, timeout=5) as silent:
        silent.send("Produce", 9, {"Acks": 0, "TimeoutMs": 1000, "TopicData": [
            {"Name": "nowhere", "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, "x")]).encode()}]}]})
        try:
            silent.receive_frame()
            tap.ok(False, "no answer to acks=0")
        except ConnectionError:
            tap.ok(True, "closed")


def test_waits_for_sql():
    """a partition that a SQL transaction holds: the producer waits for its timeout, others go on"""
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT append('strict:1', 'mine'::text)")
    started = time.monotonic()
    client.send("Produce", 9, {"Acks": 1, "TimeoutMs": 1000, "TopicData": [
        {"Name": "strict", "PartitionData": [{"Index": 1, "Records": raw.Batch([(None, "x")]).encode()}]}]})
    with raw.Client(server.bootstrap) as other:
        answer = other.call("Metadata", 9, {"Topics": []})
        tap.ok(answer["Brokers"] and time.monotonic() - started < 0.5, "others are served")
    part = client.receive("Produce", 9)["Responses"][0]["PartitionResponses"][0]
    tap.equal(part["ErrorCode"], REQUEST_TIMED_OUT, "REQUEST_TIMED_OUT")
    client.send("Produce", 9, {"Acks": 1, "TimeoutMs": 10000, "TopicData": [
        {"Name": "strict", "PartitionData": [{"Index": 1, "Records": raw.Batch([(None, "y")]).encode()}]}]})
    time.sleep(0.3)
    session.sql("COMMIT")
    part = client.receive("Produce", 9)["Responses"][0]["PartitionResponses"][0]
    tap.equal(part["ErrorCode"], NONE, "goes on when the transaction ends")
    session.close()


# --- topics

def test_create_topics():
    def create(*topics, version=5, **more):
        got = client.call("CreateTopics", version, {"Topics": list(topics), "timeoutMs": 5000, **more})
        return [(t["Name"], t["ErrorCode"]) for t in got["Topics"]]

    def topic(name, partitions=1, replicas=1, **more):
        return {"Name": name, "NumPartitions": partitions, "ReplicationFactor": replicas, **more}

    tap.equal(create(topic("one"), topic("bad name"), topic("two"), topic("one/two")),
              [("one", NONE), ("bad name", INVALID_TOPIC), ("two", NONE), ("one/two", INVALID_TOPIC)], "each for itself")
    tap.equal(create(topic("twice"), topic("once"), topic("twice")),
              [("twice", INVALID_REQUEST), ("once", NONE)], "the same name twice")
    tap.equal(create(topic("r", replicas=3)), [("r", 38)], "three replicas")
    tap.equal(create(topic("r", replicas=0)), [("r", 38)], "no replicas")
    tap.equal(create(topic("p", partitions=-7)), [("p", 37)], "a negative number of partitions")
    tap.equal(create(topic("p", partitions=2 ** 31 - 1)), [("p", 44)], "two billion partitions")
    tap.equal(create(topic("defaults", partitions=-1, replicas=-1)), [("defaults", NONE)], "as the server likes")
    assigned = [{"PartitionIndex": 1, "BrokerIds": [1]}, {"PartitionIndex": 0, "BrokerIds": [1]}]
    tap.equal(create(topic("assigned", -1, -1, Assignments=assigned)), [("assigned", NONE)], "assigned by hand")
    tap.equal(create(topic("wrong", 2, -1, Assignments=assigned)), [("wrong", INVALID_REQUEST)], "assignments and a number")
    for what, wrong in (("a gap", [{"PartitionIndex": 1, "BrokerIds": [1]}]), ("another broker", [{"PartitionIndex": 0, "BrokerIds": [2]}]),
                        ("two replicas", [{"PartitionIndex": 0, "BrokerIds": [1, 1]}]), ("no broker", [{"PartitionIndex": 0, "BrokerIds": []}])):
        tap.equal(create(topic("wrong", -1, -1, Assignments=wrong)), [("wrong", 39)], "assignments with " + what)
    tap.equal(create(topic("c", Configs=[{"Name": "retention.ms", "Value": None}])), [("c", 40)], "a null config")
    tap.equal(create(topic("c", Configs=[{"Name": "retention.ms", "Value": "soon"}])), [("c", 40)], "a config that is no number")
    tap.equal(create(topic("dry"), validateOnly=True), [("dry", NONE)], "only validated")
    names = {t["Name"] for t in client.call("Metadata", 9, {"Topics": None})["Topics"]}
    tap.equal(names & {"one", "two", "once", "twice", "r", "p", "defaults", "assigned", "wrong", "c", "dry"},
              {"one", "two", "once", "defaults", "assigned"}, "what was made, and nothing else")
    tap.equal(server.sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'topics.assigned'::regclass"), "2", "with its partitions")


def test_create_in_transaction():
    """a name that a SQL transaction is about to take: the client is told to try again, nobody waits for long"""
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT create_topic('taken')")
    started = time.monotonic()
    got = client.call("CreateTopics", 5, {"timeoutMs": 5000, "Topics": [{"Name": "taken", "NumPartitions": 1, "ReplicationFactor": 1}]})
    tap.equal(got["Topics"][0]["ErrorCode"], REQUEST_TIMED_OUT, "REQUEST_TIMED_OUT")
    tap.ok(time.monotonic() - started < 3, "soon")
    session.sql("COMMIT")
    session.close()
    got = client.call("CreateTopics", 5, {"timeoutMs": 5000, "Topics": [{"Name": "taken", "NumPartitions": 1, "ReplicationFactor": 1}]})
    tap.equal(got["Topics"][0]["ErrorCode"], 36, "then it is there")


def test_delete_topics():
    server.sql("SELECT create_topic('gone')")
    ident = topic_id("gone")
    got = client.call("DeleteTopics", 6, {"TimeoutMs": 5000, "Topics": [
        {"Name": "gone", "TopicId": ident}, {"Name": None}, {"Name": "never"}, {"Name": None, "TopicId": uuid.uuid4()},
        {"Name": None, "TopicId": ident}, {"Name": "one"}]})
    tap.equal([t["ErrorCode"] for t in got["Responses"]],
              [INVALID_REQUEST, INVALID_REQUEST, UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, NONE, NONE], "each for itself")
    tap.equal(got["Responses"][4]["Name"], "gone", "by id, the name is told")

    server.sql("SELECT create_topic('twice'), create_topic('single')")
    got = client.call("DeleteTopics", 6, {"TimeoutMs": 5000, "Topics": [
        {"Name": "twice"}, {"Name": None, "TopicId": topic_id("twice")}, {"Name": "single"}]})
    tap.equal([t["ErrorCode"] for t in got["Responses"]], [INVALID_REQUEST, INVALID_REQUEST, NONE], "what is named twice stays")
    got = client.call("DeleteTopics", 3, {"TimeoutMs": 5000, "TopicNames": ["twice", "twice"]})
    tap.equal([t["ErrorCode"] for t in got["Responses"]], [INVALID_REQUEST], "twice by name, answered once")
    got = client.call("DeleteTopics", 6, {"TimeoutMs": 5000, "Topics": [{"Name": None, "TopicId": topic_id("twice")}] * 2})
    tap.equal([t["ErrorCode"] for t in got["Responses"]], [INVALID_REQUEST], "twice by id")

    server.sql("SELECT create_topic('in-use')")
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM topics.\"in-use\"")
    started = time.monotonic()
    got = client.call("DeleteTopics", 5, {"TimeoutMs": 5000, "TopicNames": ["in-use", "two"]})
    tap.equal([t["ErrorCode"] for t in got["Responses"]], [REQUEST_TIMED_OUT, NONE], "one that is in use")
    tap.ok(time.monotonic() - started < 3, "nobody waits for long")
    session.sql("COMMIT")
    session.close()
    got = client.call("DeleteTopics", 5, {"TimeoutMs": 5000, "TopicNames": ["in-use"]})
    tap.equal(got["Responses"][0]["ErrorCode"], NONE, "now it goes")


def test_describe_in_pages():
    for name, n in (("page-a", 3), ("page-b", 2), ("page-c", 4)):
        server.sql("SELECT create_topic('%s', partitions => %d)" % (name, n))
    names = [{"Name": n} for n in ("page-c", "page-a", "page-b", "page-none", "page-a")]
    seen, cursor, pages = [], None, 0
    while pages < 20:
        got = client.call("DescribeTopicPartitions", 0, {"Topics": names, "ResponsePartitionLimit": 2, "Cursor": cursor})
        seen += [(t["Name"], p["PartitionIndex"]) for t in got["Topics"] for p in t["Partitions"]]
        pages += 1
        cursor = got["NextCursor"]
        if cursor is None:
            break
    tap.equal(seen, [("page-a", i) for i in range(3)] + [("page-b", i) for i in range(2)] + [("page-c", i) for i in range(4)],
              "all partitions once, in order")
    everything = client.call("DescribeTopicPartitions", 0, {"Topics": []})
    tap.ok({"page-a", "page-b", "page-c"} <= {t["Name"] for t in everything["Topics"]}, "no names: all topics")


def test_locked_table():
    """DDL that is not committed holds up nobody but those who ask for that topic"""
    server.sql("SELECT create_topic('locked')")
    produce("locked", 0, "x")
    server.restart()        # nobody has the log open
    server.wait_listener()
    reconnect()
    session = server.session()
    session.sql("BEGIN")
    session.sql("LOCK TABLE topics.locked IN ACCESS EXCLUSIVE MODE")
    started = time.monotonic()
    got = told(fetch(11, {"locked": {0: 0}, "limits": {0: 0}}, wait=2000))
    tap.equal(got["limits", 0][1], ["x" * 1000] * 3, "fetch: another topic in the same request")
    tap.ok(got["locked", 0] in ((NOT_LEADER, []), (NONE, ["x"])), "fetch: the locked one %r" % (got["locked", 0],))
    got = client.call("ListOffsets", 4, {"ReplicaId": -1, "Topics": [{"Name": "locked", "Partitions": [{"PartitionIndex": 0, "Timestamp": -2}]}]})
    tap.ok(got["Topics"][0]["Partitions"][0]["ErrorCode"] in (NONE, NOT_LEADER), "offsets")
    got = client.call("Metadata", 9, {"Topics": [{"Name": "locked"}]})
    tap.equal(got["Topics"][0]["Name"], "locked", "metadata")
    part = produce_raw("locked", [(0, raw.Batch([(None, "y")]).encode())])["Responses"][0]["PartitionResponses"][0]
    tap.equal(part["ErrorCode"], REQUEST_TIMED_OUT, "produce")
    tap.ok(time.monotonic() - started < 8, "in time")
    session.sql("ROLLBACK")
    session.close()
    tap.equal(told(fetch(11, {"locked": {0: 0}}))["locked", 0], (NONE, ["x"]), "afterwards")


def test_internal_topics():
    """the broker's own topics can be read, and not be made or written by clients"""
    name = "__consumer_offsets"
    got = client.call("Metadata", 9, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": True})
    tap.equal(got["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC, "not made on demand")
    got = client.call("CreateTopics", 5, {"timeoutMs": 5000, "Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]})
    tap.equal(got["Topics"][0]["ErrorCode"], INVALID_TOPIC, "not created")
    server.sql("SELECT count(*) FROM consume('limits', 'some-group')")
    got = client.call("Metadata", 9, {"Topics": [{"Name": name}]})["Topics"][0]
    tap.equal((got["ErrorCode"], got["IsInternal"]), (NONE, True), "there when SQL has consumed")
    wrote = None
    for p in range(len(got["Partitions"])):
        wrote = wrote or any(part[1] for part in told(fetch(11, {name: {p: 0}})).values())
    tap.ok(wrote, "committed offsets can be read")
    part = produce_raw(name, [(0, raw.Batch([("k", "v")]).encode())])["Responses"][0]["PartitionResponses"][0]
    tap.equal(part["ErrorCode"], INVALID_TOPIC, "not written")
    got = client.call("DeleteTopics", 5, {"TimeoutMs": 5000, "TopicNames": [name]})["Responses"][0]
    tap.ok(got["ErrorCode"] != NONE, "not deleted (error %d)" % got["ErrorCode"])


def test_other_answers():
    got = client.call("InitProducerId", 4, {"TransactionalId": "", "TransactionTimeoutMs": 1000})
    tap.equal((got["ErrorCode"], got["ProducerId"], got["ProducerEpoch"]), (42, -1, -1), "an empty transactional id")
    got = client.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 1, "ProducerId": 77, "ProducerEpoch": 5})
    first = got["ProducerId"]
    tap.equal((got["ErrorCode"], first != 77, got["ProducerEpoch"]), (NONE, True, 0), "without a transactional id always a new id")
    got = client.call("InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 1, "ProducerId": first, "ProducerEpoch": 0})
    tap.equal((got["ErrorCode"], got["ProducerId"] != first, got["ProducerEpoch"]), (NONE, True, 0), "and no two get the same")

    got = client.call("DescribeCluster", 1, {"EndpointType": 2})
    tap.equal(got["ErrorCode"], 114, "this is no controller endpoint")
    tap.equal(client.call("DescribeCluster", 1, {"EndpointType": 9})["ErrorCode"], 115, "an endpoint type that is not known")
    got = client.call("DescribeCluster", 0, {"IncludeClusterAuthorizedOperations": True})
    tap.equal((len(got["ClusterId"]), got["ClusterAuthorizedOperations"]), (22, 8096), "cluster id and operations")
    got = client.call("Metadata", 10, {"Topics": [{"Name": "limits"}], "IncludeTopicAuthorizedOperations": True})
    tap.equal(got["Topics"][0]["TopicAuthorizedOperations"], 3576, "a topic's operations")
    got = client.call("ListOffsets", 4, {"ReplicaId": -1, "Topics": [{"Name": "limits", "Partitions": [
        {"PartitionIndex": 0, "Timestamp": t} for t in (-2, -3, -4, -9)]}]})
    tap.equal([p["ErrorCode"] for p in got["Topics"][0]["Partitions"]], [NONE, 35, 35, 35], "timestamps that came with later versions")
    server.sql("ALTER SYSTEM SET pgtopic.auto_create_topics = off")
    server.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)
    got = client.call("Metadata", 9, {"Topics": [{"Name": "no-auto"}], "AllowAutoTopicCreation": True})
    tap.equal(got["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC, "auto-creation is off")
    server.sql("ALTER SYSTEM RESET pgtopic.auto_create_topics")
    server.sql("SELECT pg_reload_conf()")


def test_sql_function():
    """kafka_call(): the same dispatcher without a socket"""
    def call(*frames):
        stream = b"".join(struct.pack(">i", len(f)) + f for f in frames)
        return bytes.fromhex(server.sql("SELECT encode(kafka_call('\\x%s'), 'hex')" % stream.hex()))

    server.sql("SELECT create_topic('by-function')")
    produce_frame = client.request_bytes("Produce", 9, {"Acks": 1, "TimeoutMs": 1000, "TopicData": [
        {"Name": "by-function", "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, "f")]).encode()}]}]})
    fetch_frame = client.request_bytes("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1000, "SessionEpoch": -1, "Topics": [
        {"Topic": "by-function", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]})
    answer = call(produce_frame, fetch_frame, fetch_frame)
    lengths, pos = [], 0
    while pos < len(answer):
        (length,) = struct.unpack_from(">i", answer, pos)
        lengths.append(length)
        pos += 4 + length
    tap.equal((len(lengths), pos), (3, len(answer)), "three answers")
    body = raw.Reader(answer[4 + lengths[0] + 4:4 + lengths[0] + 4 + lengths[1]])
    body.take(4)
    got = raw.decode_struct(body, raw.message("FetchResponse").fields, 11, False)
    tap.equal(told(got), {("by-function", 0): (NONE, ["f"])}, "produced and fetched")


def test_session_cache_is_bounded():
    """there are so many sessions and no more; who gets none is served all the same"""
    server.sql("SELECT create_topic('crowd')")
    produce("crowd", 0, "x")
    answers = [fetch(11, {"crowd": {0: 0}}, session=(0, 0)) for _ in range(1050)]
    ids = [a["SessionId"] for a in answers]
    tap.ok(900 <= sum(i != 0 for i in ids) <= 1000, "%d of 1050 got a session" % sum(i != 0 for i in ids))
    tap.equal(len(set(ids) - {0}), sum(i != 0 for i in ids), "each its own")
    tap.equal({tuple(told(a)["crowd", 0][1]) for a in answers}, {("x",)}, "all got the data")
    last = [i for i in ids if i][-1]
    tap.equal(fetch(11, {"crowd": {0: 1}}, session=(last, 1))["ErrorCode"], NONE, "the sessions work")
    for i in ids:
        if i:
            fetch(11, {"crowd": {0: 1}}, session=(i, -1))
    tap.ok(fetch(11, {"crowd": {0: 0}}, session=(0, 0))["SessionId"] != 0, "room again when they have ended")


# --- damage

def requests(rnd):
    """Correct requests of all kinds, to be damaged."""
    batch = raw.Batch([("k", "v%d" % rnd.randrange(100))]).encode()
    topic = rnd.choice(["damage", "damage-%d" % rnd.randrange(20), "limits"])
    return rnd.choice([
        ("Produce", rnd.randrange(3, 13), {"Acks": 1, "TimeoutMs": 100, "TopicData": [
            {"Name": topic, "PartitionData": [{"Index": 0, "Records": batch}]}]}),
        ("Fetch", rnd.randrange(7, 13), {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 10000, "SessionId": 0,
                                         "SessionEpoch": rnd.choice([-1, 0]), "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": p, "FetchOffset": 0, "PartitionMaxBytes": 1000} for p in range(3)]}]}),
        ("ListOffsets", rnd.randrange(1, 10), {"ReplicaId": -1, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": rnd.randrange(-5, 5)}]}]}),
        ("Metadata", rnd.randrange(4, 13), {"Topics": [{"Name": topic}, {"Name": "x"}], "AllowAutoTopicCreation": False}),
        ("ApiVersions", 3, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"}),
        ("CreateTopics", rnd.randrange(2, 8), {"timeoutMs": 100, "validateOnly": True, "Topics": [
            {"Name": topic, "NumPartitions": 1, "ReplicationFactor": 1, "Configs": [{"Name": "retention.ms", "Value": "1"}]}]}),
        ("DeleteTopics", rnd.randrange(1, 6), {"TopicNames": ["no-%s" % topic], "TimeoutMs": 100}),
        ("InitProducerId", rnd.randrange(0, 6), {"TransactionalId": None, "TransactionTimeoutMs": 1}),
        ("OffsetForLeaderEpoch", 4, {"ReplicaId": -1, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 1}]}]}),
        ("DescribeCluster", 1, {}),
        ("DescribeTopicPartitions", 0, {"Topics": [{"Name": topic}], "Cursor": {"TopicName": "a", "PartitionIndex": 0}}),
    ])


def test_damage():
    """damaged requests: each gets an answer or the end of its connection"""
    seed = int(os.environ.get("PGTOPIC_SEED", "1"))
    rnd = random.Random(seed)
    server.sql("SELECT create_topic('damage')")
    answered, closed, stuck = damage.send_damaged(rnd, server.bootstrap, requests, 3000, timeout=5)
    # acks may have become 0, max_wait_ms large: such a request is silent and right
    tap.ok(answered > 1000 and closed > 100 and stuck < 30, "%d answered, %d closed, %d silent (seed %d)" % (answered, closed, stuck, seed))
    tap.equal(client.call("ApiVersions", 0)["ErrorCode"], NONE, "others go on")
    tap.ok("terminated by signal" not in server.log_text() and "PANIC" not in server.log_text(), "no process died")


TESTS = [test_sessions, test_session_without_partitions, test_session_waits_for_topic, test_dropped_while_waiting,
         test_fetch_limits, test_many_partitions, test_epochs, test_isolation, test_produce_errors, test_acks_0_error, test_waits_for_sql,
         test_create_topics, test_create_in_transaction, test_delete_topics, test_describe_in_pages, test_locked_table, test_internal_topics, test_other_answers, test_sql_function,
         test_session_cache_is_bounded, test_damage]


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    reconnect()
    tap.main(TESTS)


if __name__ == "__main__":
    main()
