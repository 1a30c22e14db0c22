#!/usr/bin/env python3
"""Kafka transactions by hand: each API in each version, requests out of any order, crashes.

Clients of old (v1) add partitions before they send, and keep their epoch; clients of Kafka 4 (v2, KIP-890) just send,
and have another epoch after each end.
"""

import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402
import versions        # noqa: E402
from rawtest import raw  # noqa: E402
from versions import differs   # noqa: E402

rawtest.need_clients()

server = client = None
advertised = {}

NONE, UNKNOWN_TOPIC, LOADING, NOT_AVAILABLE, ILLEGAL_GENERATION, UNKNOWN_MEMBER, INVALID_REQUEST = 0, 3, 14, 15, 22, 25, 42
OUT_OF_ORDER, BAD_EPOCH, BAD_STATE, BAD_MAPPING, BAD_TIMEOUT, CONCURRENT, MARKERS_FENCED = 45, 47, 48, 49, 50, 51, 52
NOT_ATTEMPTED, UNKNOWN_PRODUCER, INVALID_RECORD, UNSTABLE, FENCED, NO_SUCH_ID, BAD_REGEX, ABORTABLE = 55, 59, 87, 88, 90, 105, 128, 120
APIS = {10: "FindCoordinator", 22: "InitProducerId", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 27: "WriteTxnMarkers",
        28: "TxnOffsetCommit", 61: "DescribeProducers", 65: "DescribeTransactions", 66: "ListTransactions"}
TRANSACTIONAL = 16
# of TxnOffsetCommit; another Kafka has another name
GENERATION = next(f.name for f in raw.message("TxnOffsetCommitRequest").fields if f.name.startswith("GenerationId"))


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap, timeout=60)


def again(ask):
    """Tries until the coordinator is up and free, as clients do."""
    deadline = time.monotonic() + 60
    while True:
        answer = ask()
        if answer["ErrorCode"] not in (LOADING, NOT_AVAILABLE, CONCURRENT) or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


class Producer:
    """A transactional producer of these versions."""

    def __init__(self, tid, v2=False, timeout_ms=60000, init=True):
        self.tid, self.v2, self.timeout_ms = tid, v2, timeout_ms
        self.id, self.epoch, self.sequences = -1, -1, {}
        if init:
            self.init()

    def init(self, **more):
        """Error code."""
        got = again(lambda: client.call("InitProducerId", 5, {"TransactionalId": self.tid, "TransactionTimeoutMs": self.timeout_ms, **more}))
        self.id, self.epoch, self.sequences = got["ProducerId"], got["ProducerEpoch"], {}
        return got["ErrorCode"]

    def me(self, prefix=""):
        return {prefix + "TransactionalId": self.tid, prefix + "ProducerId": self.id, prefix + "ProducerEpoch": self.epoch}

    def add(self, topic, *partitions, version=3):
        """Error codes by partition."""
        got = client.call("AddPartitionsToTxn", version, {**self.me("V3AndBelow"), "V3AndBelowTopics": [{"Name": topic, "Partitions": partitions}]})
        return [p["PartitionErrorCode"] for t in got["ResultsByTopicV3AndBelow"] for p in t["ResultsByPartition"]]

    def batch(self, values, partition=0, topic=None, attributes=TRANSACTIONAL):
        place = (topic, partition)
        sequence = self.sequences.get(place, 0)
        self.sequences[place] = sequence + len(values)
        return raw.Batch([(None, v) for v in values], producer_id=self.id, producer_epoch=self.epoch, base_sequence=sequence, attributes=attributes)

    def send(self, topic, *values, partition=0, version=None, batch=None, tid=None):
        """Error code and base offset."""
        version = version or (12 if self.v2 else 11)
        batch = batch or self.batch(values, partition, topic)
        got = client.call("Produce", version, {
            "TransactionalId": self.tid if tid is None else tid, "Acks": -1, "TimeoutMs": 30000,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": partition, "Records": batch.encode()}]}]})
        part = got["Responses"][0]["PartitionResponses"][0]
        return part["ErrorCode"], part["BaseOffset"]

    def add_offsets(self, group, version=4):
        return client.call("AddOffsetsToTxn", version, {**self.me(), "GroupId": group})["ErrorCode"]

    def commit_offsets(self, group, topic, offsets, version=None, generation=-1, member=""):
        """Error codes by partition; offsets: {partition: offset}."""
        version = (5 if self.v2 else 4) if version is None else version
        got = client.call("TxnOffsetCommit", version, {
            **self.me(), "GroupId": group, **({GENERATION: generation, "MemberId": member} if version >= 3 else {}),
            "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": p, "CommittedOffset": o, "CommittedMetadata": "m"} for p, o in offsets.items()]}]})
        return [p["ErrorCode"] for t in got["Topics"] for p in t["Partitions"]]

    def end(self, commit, version=None, **changed):
        """Error code; v2 has its next epoch."""
        version = (5 if self.v2 else 4) if version is None else version
        got = again(lambda: client.call("EndTxn", version, {**self.me(), "Committed": commit, **changed}))
        if version >= 5 and got["ErrorCode"] == NONE:
            self.id, self.epoch, self.sequences = got["ProducerId"], got["ProducerEpoch"], {}
        return got["ErrorCode"]


def new_topic(name, partitions=1):
    server.sql("SELECT create_topic('%s', partitions => %d)" % (name, partitions))


def read(topic, partition=0, isolation=0):
    """(values, high watermark, last stable offset)"""
    part = client.call("Fetch", 11, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 24, "IsolationLevel": isolation, "SessionEpoch": -1,
        "Topics": [{"Topic": topic, "Partitions": [{"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 24}]}]})["Responses"][0]["Partitions"][0]
    return [r[3].decode() for r in raw.read_batches(part["Records"] or b"")], part["HighWatermark"], part["LastStableOffset"]


def fetch_offset(group, topic, partition, stable):
    """(error, offset)"""
    got = client.call("OffsetFetch", 7, {"GroupId": group, "RequireStable": stable, "Topics": [{"Name": topic, "PartitionIndexes": [partition]}]})
    part = got["Topics"][0]["Partitions"][0]
    return part["ErrorCode"], part["CommittedOffset"]


def state_of(tid):
    return client.call("DescribeTransactions", 0, {"TransactionalIds": [tid]})["TransactionStates"][0]


def await_state(tid, state):
    deadline = time.monotonic() + 60
    while state_of(tid)["TransactionState"] != state and time.monotonic() < deadline:
        time.sleep(0.1)
    return state_of(tid)["TransactionState"]


# --- the tests

def test_advertised():
    rows = client.call("ApiVersions", 4, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"})
    for row in rows["ApiKeys"]:
        if row["ApiKey"] in APIS:
            advertised[APIS[row["ApiKey"]]] = (row["MinVersion"], row["MaxVersion"])
    tap.equal(advertised, {"FindCoordinator": (0, 6), "InitProducerId": (0, 5), "AddPartitionsToTxn": (0, 5), "AddOffsetsToTxn": (0, 4), "EndTxn": (0, 5),
                           "WriteTxnMarkers": (1, 2), "TxnOffsetCommit": (0, 6), "DescribeProducers": (0, 0), "DescribeTransactions": (0, 0),
                           "ListTransactions": (0, 2)}, "the APIs of transactions, in Kafka's versions")
    tap.ok(("transaction.version", 2) in [(f["Name"], f["MaxVersionLevel"]) for f in rows["FinalizedFeatures"]], "transaction.version 2")


def each_version(name, check):
    versions.each_version(name, advertised[name], check, reconnect)


def test_versions():
    new_topic("each", 2)

    def init(version):
        got = again(lambda: client.call("InitProducerId", version, {"TransactionalId": "init-%d" % version, "TransactionTimeoutMs": 1000}))
        yield differs("a new id", (got["ErrorCode"], got["ProducerEpoch"]), (NONE, 0))
        first = got["ProducerId"]
        got = again(lambda: client.call("InitProducerId", version, {"TransactionalId": "init-%d" % version, "TransactionTimeoutMs": 1000}))
        yield differs("once more", (got["ErrorCode"], got["ProducerId"], got["ProducerEpoch"]), (NONE, first, 1))
        if version >= 3:
            body = {"TransactionalId": "init-%d" % version, "TransactionTimeoutMs": 1000, "ProducerId": first, "ProducerEpoch": 0}
            got = client.call("InitProducerId", version, body)
            yield differs("with an old epoch", got["ErrorCode"], FENCED if version >= 4 else BAD_EPOCH)
            got = client.call("InitProducerId", version, {**body, "ProducerEpoch": 1})
            yield differs("with its own", (got["ErrorCode"], got["ProducerId"], got["ProducerEpoch"]), (NONE, first, 2))
            got = client.call("InitProducerId", version, {**body, "ProducerEpoch": 1})
            yield differs("asked again", (got["ErrorCode"], got["ProducerId"], got["ProducerEpoch"]), (NONE, first, 2))
    each_version("InitProducerId", init)

    def add(version):
        p = Producer("add-%d" % version)
        if version < 4:
            yield differs("added", p.add("each", 0, 1, version=version), [NONE, NONE])
            yield differs("one that is not there", p.add("each", 0, 7, version=version), [NOT_ATTEMPTED, UNKNOWN_TOPIC])
            p.epoch += 1
            yield differs("a wrong epoch", p.add("each", 0, version=version), [FENCED if version >= 2 else BAD_EPOCH])
            return
        q = Producer("also-%d" % version)
        topics = [{"Name": "each", "Partitions": [0, 1]}]

        def ask(verify):
            got = client.call("AddPartitionsToTxn", version, {"Transactions": [{**x.me(), "VerifyOnly": verify, "Topics": topics} for x in (p, q)]})
            return got["ErrorCode"], [r["PartitionErrorCode"] for x in got["ResultsByTransaction"] for t in x["TopicResults"] for r in t["ResultsByPartition"]]
        no = ABORTABLE if version >= 5 else UNKNOWN_PRODUCER
        yield differs("not in it", ask(True), (NONE, [no] * 4))
        yield differs("two added", ask(False), (NONE, [NONE] * 4))
        yield differs("in it", ask(True), (NONE, [NONE] * 4))
        yield differs("ends", (p.end(True), q.end(False)), (NONE, NONE))
    each_version("AddPartitionsToTxn", add)

    def add_offsets(version):
        p = Producer("offsets-%d" % version)
        yield differs("added", p.add_offsets("g%d" % version, version), NONE)
        p.id += 1000000
        yield differs("a wrong id", p.add_offsets("g%d" % version, version), BAD_MAPPING)
    each_version("AddOffsetsToTxn", add_offsets)

    def end(version):
        p = Producer("end-%d" % version, v2=version >= 5)
        yield differs("abort nothing", p.end(False, version), NONE)
        yield differs("commit nothing", p.end(True, version), BAD_STATE)
        if version < 5:
            p.add("each", 0)
        yield differs("sent", p.send("each", "end %d" % version)[0], NONE)
        was = p.epoch
        yield differs("commit", p.end(True, version), NONE)
        yield differs("epoch", p.epoch, was + 1 if version >= 5 else was)
        yield differs("an old epoch", p.end(False, version, ProducerEpoch=p.epoch - 2 if version >= 5 else p.epoch + 1), FENCED if version >= 2 else BAD_EPOCH)
    each_version("EndTxn", end)

    def offsets(version):
        p = Producer("commit-%d" % version, v2=version >= 5)
        group = "commit-%d" % version
        if version < 5:
            yield differs("no group in it", p.commit_offsets(group, "each", {0: 5}, version), [ILLEGAL_GENERATION])
            yield differs("group", p.add_offsets(group), NONE)
        yield differs("staged", p.commit_offsets(group, "each", {0: 5, 9: 5}, version), [NONE, UNKNOWN_TOPIC])
        yield differs("not seen", fetch_offset(group, "each", 0, False), (NONE, -1))
        yield differs("not stable", fetch_offset(group, "each", 0, True), (UNSTABLE, -1))
        yield differs("another partition is", fetch_offset(group, "each", 1, True), (NONE, -1))
        yield differs("commit", p.end(True), NONE)
        yield differs("seen", fetch_offset(group, "each", 0, True), (NONE, 5))
    each_version("TxnOffsetCommit", offsets)

    def markers(version):
        got = client.call("WriteTxnMarkers", version, {"Markers": [{"ProducerId": 1, "ProducerEpoch": 0, "TransactionResult": False, "CoordinatorEpoch": 0,
                                                                    "Topics": [{"Name": "each", "PartitionIndexes": [0, 9]}]}]})
        yield differs("codes", [p["ErrorCode"] for m in got["Markers"] for t in m["Topics"] for p in t["Partitions"]], [MARKERS_FENCED, UNKNOWN_TOPIC])
    each_version("WriteTxnMarkers", markers)

    def listed(version):
        p = Producer("list-%d" % version)
        p.add("each", 0)

        def ids(**filters):
            got = client.call("ListTransactions", version, filters)
            return got["ErrorCode"], [t["TransactionalId"] for t in got["TransactionStates"]]
        yield differs("by state", ids(StateFilters=["Ongoing"]), (NONE, ["list-%d" % version]))
        yield differs("by producer", ids(ProducerIdFilters=[p.id]), (NONE, ["list-%d" % version]))
        if version >= 1:
            yield differs("by duration", ids(DurationFilter=3600000), (NONE, []))
        if version >= 2:
            yield differs("by pattern", ids(TransactionalIdPattern="li.t-2"), (NONE, ["list-2"]))
            yield differs("a bad pattern", ids(TransactionalIdPattern="(")[0], BAD_REGEX)
        p.end(False)
    for tid in [t["TransactionalId"] for t in client.call("ListTransactions", 0, {"StateFilters": ["Ongoing"]})["TransactionStates"]]:
        server.sql("SELECT abort_transaction('%s')" % tid)
    each_version("ListTransactions", listed)


def test_commit_and_abort():
    """v1: whole or not at all, and nobody waits"""
    new_topic("v1", 2)
    new_topic("source", 1)
    p = Producer("v1")
    tap.equal(p.add("v1", 0, 1), [NONE, NONE], "two partitions")
    tap.equal([p.send("v1", "a", "b"), p.send("v1", "c"), p.send("v1", "d", partition=1)], [(NONE, 0), (NONE, 2), (NONE, 0)], "batches are staged")
    tap.equal((p.add_offsets("g"), p.commit_offsets("g", "source", {0: 17})), (NONE, [NONE]), "and an offset")
    tap.equal([read("v1", n, isolation) for n in (0, 1) for isolation in (0, 1)], [([], 0, 0)] * 4, "nobody sees them, or waits")
    tap.equal(server.sql("SELECT count(*) FROM topics.v1"), "0", "nor in SQL")
    described = state_of("v1")
    tap.equal((described["TransactionState"], described["ProducerId"], described["TransactionTimeoutMs"], described["TransactionStartTimeMs"] > 0,
               sorted((t["Topic"], sorted(t["Partitions"])) for t in described["Topics"] if t["Topic"] == "v1")),
              ("Ongoing", p.id, 60000, True, [("v1", [0, 1])]), "it can be described")
    tap.equal(server.sql("SELECT state, partitions, memory_bytes > 0, disk_bytes, started_at <= now(), timeout FROM transactions WHERE transactional_id = 'v1'"),
              "Ongoing|3|t|0|t|00:01:00", "and is in the view")
    tap.equal(p.end(True), NONE, "committed")
    tap.equal([read("v1", 0), read("v1", 1, 1)], [(["a", "b", "c"], 3, 3), (["d"], 1, 1)], "all is there")
    tap.equal(fetch_offset("g", "source", 0, True), (NONE, 17), "and the offset")
    tap.equal(p.end(True), NONE, "committed again")
    tap.equal((p.add("v1", 0), p.send("v1", "e")[0], p.end(False), read("v1")[0]), ([NONE], NONE, NONE, ["a", "b", "c"]), "an abort leaves nothing")
    tap.equal((p.add("v1", 0), p.send("v1", "f"), p.end(True), read("v1")[0]), ([NONE], (NONE, 3), NONE, ["a", "b", "c", "f"]), "and no gap")
    tap.equal(p.end(False), BAD_STATE, "what is committed cannot be aborted")


def test_v2():
    """v2: an epoch per transaction, and no request that begins one"""
    new_topic("v2", 2)
    p = Producer("v2", v2=True)
    tap.equal([p.send("v2", "a"), p.send("v2", "b", partition=1), p.commit_offsets("g2", "v2", {0: 3})], [(NONE, 0), (NONE, 0), [NONE]], "just sent")
    tap.equal((state_of("v2")["TransactionState"], read("v2")[0]), ("Ongoing", []), "the coordinator knows, nobody sees")
    old = (p.id, p.epoch)
    tap.equal((p.end(True), p.epoch), (NONE, 1), "committed, with another epoch")
    tap.equal((read("v2")[0], read("v2", 1)[0], fetch_offset("g2", "v2", 0, True)), (["a"], ["b"], (NONE, 3)), "all is there")
    got = client.call("EndTxn", 5, {"TransactionalId": "v2", "ProducerId": old[0], "ProducerEpoch": old[1], "Committed": True})
    tap.equal((got["ErrorCode"], got["ProducerId"], got["ProducerEpoch"]), (NONE, p.id, 1), "the same end again is answered the same")
    late = raw.Batch([(None, "late")], producer_id=old[0], producer_epoch=old[1], base_sequence=1, attributes=TRANSACTIONAL)
    tap.equal(p.send("v2", batch=late)[0], BAD_EPOCH, "a batch of the last transaction does not come into the next")
    tap.equal((p.send("v2", "c")[0], p.end(False), p.epoch, read("v2")[0]), (NONE, NONE, 2, ["a"]), "aborted, with another epoch")
    tap.equal((p.end(False), p.epoch), (NONE, 3), "an abort of nothing is no error")
    tap.equal(p.end(True), BAD_STATE, "a commit of nothing is one")
    batch = p.batch(["d"], topic="v2")
    tap.equal([p.send("v2", batch=batch), p.send("v2", batch=batch)], [(NONE, 1), (NONE, 1)], "a batch that comes twice is staged once")
    p.sequences[("v2", 0)] += 5
    tap.equal(p.send("v2", "gap")[0], OUT_OF_ORDER, "one after a gap is refused")
    tap.equal((p.end(True), read("v2")[0]), (NONE, ["a", "d"]), "committed once")


def test_fencing():
    new_topic("fence")
    for v2 in (False, True):
        name = "fence-%s" % v2
        old = Producer(name, v2=v2)
        if not v2:
            old.add("fence", 0)
        tap.equal(old.send("fence", "old")[0], NONE, name + ": open")
        new = Producer(name, v2=v2)
        tap.equal((new.id, new.epoch > old.epoch), (old.id, True), "another one has the id")
        tap.equal(old.send("fence", "old again")[0], BAD_EPOCH, "the old one cannot send")
        tap.equal(old.end(True), FENCED, "nor commit")
        if not v2:
            tap.equal(old.add("fence", 0), [FENCED], "nor add")
        tap.equal(old.commit_offsets("g", "fence", {0: 1}), [BAD_EPOCH], "nor commit offsets")
        tap.equal(old.init(ProducerId=old.id, ProducerEpoch=old.epoch), FENCED, "nor come back")
        if not v2:
            new.add("fence", 0)
        tap.equal((new.send("fence", "new")[0], new.end(True)), (NONE, NONE), "the new one can")
    tap.equal(read("fence")[0], ["new", "new"], "what the old ones sent was never there")


def test_out_of_order():
    """hostile and confused clients"""
    new_topic("order", 2)
    nobody = Producer("nobody", init=False)
    nobody.id, nobody.epoch = 123456, 0
    tap.equal((nobody.end(True), nobody.add("order", 0), nobody.send("order", "x")[0], nobody.add_offsets("g"), nobody.commit_offsets("g", "order", {0: 1})),
              (BAD_MAPPING, [BAD_MAPPING], BAD_MAPPING, BAD_MAPPING, [BAD_MAPPING]), "an id that nobody has")
    for timeout, what in ((0, "no timeout"), (-1, "a negative one"), (900001, "one above the limit")):
        tap.equal(Producer("timeouts", timeout_ms=timeout, init=False).init(), BAD_TIMEOUT, what)
    for tid, what in (("", "an empty id"), ("a\0b", "an id with a zero byte")):
        tap.equal(Producer(tid, init=False).init(), INVALID_REQUEST, what)
    for tid in ("x" * 32767, "'; DROP TABLE topics; --", "\u00e4\U0001f600", "../../etc", " "):
        p = Producer(tid)
        p.add("order", 1)
        tap.equal((p.epoch, p.send("order", "odd", partition=1)[0], p.end(True)), (0, NONE, NONE), "id %r works" % tid[:20])
    tap.equal(Producer("half", init=False).init(ProducerId=5, ProducerEpoch=-1), INVALID_REQUEST, "a producer id without an epoch")
    p, q = Producer("p"), Producer("q")
    tap.equal(p.send("order", "x")[0], BAD_STATE, "a batch before its partition was added")
    p.sequences = {}
    p.add("order", 0)
    tap.equal(q.send("order", batch=p.batch(["x"], topic="order"))[0], BAD_MAPPING, "a batch of somebody else's transaction")
    p.sequences = {}
    tap.equal(p.send("order", batch=p.batch(["x"], topic="order"), tid="")[0], 53, "a batch of a transaction, in a request without one")
    p.sequences = {}
    tap.equal(p.send("order", "x", partition=1)[0], BAD_STATE, "another partition than the one that was added")
    idempotent = client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1})
    batch = raw.Batch([(None, "x")], producer_id=idempotent["ProducerId"], producer_epoch=0, base_sequence=0, attributes=TRANSACTIONAL)
    tap.equal(p.send("order", batch=batch)[0], BAD_MAPPING, "a transactional batch of an idempotent producer")
    tap.equal((p.add("__transaction_state", 0), p.add("nowhere", 0)), ([17], [UNKNOWN_TOPIC]), "partitions that nobody may write to, or that are not there")
    control = raw.Batch([(b"\0\0\0\1", b"\0\0\0\0\0\0")], producer_id=p.id, producer_epoch=p.epoch, attributes=TRANSACTIONAL | 32)
    tap.equal(p.send("order", batch=control)[0], INVALID_RECORD, "a control batch")
    tap.equal(p.send("order", batch=raw.Batch([(None, "x")], producer_id=p.id, producer_epoch=p.epoch, base_sequence=0, attributes=TRANSACTIONAL, crc=1))[0], 2,
              "a damaged batch")
    tap.equal((p.end(True), read("order")[0]), (NONE, []), "and the transaction is still good for what it has: nothing")


def test_members():
    """offsets are fenced by generation and member"""
    new_topic("members")
    p = Producer("members", v2=True)
    got = client.call("JoinGroup", 3, {"GroupId": "mg", "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": "", "ProtocolType": "consumer",
                                       "Protocols": [{"Name": "range", "Metadata": b""}]})
    member, generation = got["MemberId"], got["GenerationId"]
    client.call("SyncGroup", 3, {"GroupId": "mg", "GenerationId": generation, "MemberId": member, "Assignments": [{"MemberId": member, "Assignment": b"x"}]})
    tap.equal(p.commit_offsets("mg", "members", {0: 1}, generation=generation + 1, member=member), [ILLEGAL_GENERATION], "another generation")
    tap.equal(p.commit_offsets("mg", "members", {0: 1}, generation=generation, member="who"), [UNKNOWN_MEMBER], "another member")
    tap.equal(p.commit_offsets("nogroup", "members", {0: 1}, generation=3, member="who"), [ILLEGAL_GENERATION], "a group that is not there")
    tap.equal(p.commit_offsets("mg", "members", {0: 1}), [NONE], "an old client does not say who it is")
    tap.equal(p.commit_offsets("mg", "members", {0: 2}, generation=generation, member=member), [NONE], "the member itself")
    tap.equal((p.end(True), fetch_offset("mg", "members", 0, True)), (NONE, (NONE, 2)), "the last one counts")
    client.call("LeaveGroup", 2, {"GroupId": "mg", "MemberId": member})


def test_timeout():
    """a transaction that is open for too long"""
    new_topic("timeout")
    for v2 in (False, True):
        p = Producer("timeout-%s" % v2, v2=v2, timeout_ms=1)
        if not v2:
            p.add("timeout", 0)
        p.send("timeout", "x")
        tap.equal(await_state(p.tid, "CompleteAbort"), "CompleteAbort", "%s: aborted" % p.tid)
        tap.equal((p.end(True), p.send("timeout", "y")[0]), (BAD_STATE if v2 else FENCED, BAD_EPOCH), "and its producer is fenced")
    tap.equal(read("timeout")[0], [], "nothing of it is there")


def test_operator():
    new_topic("operator")
    p = Producer("operator", v2=True)
    p.send("operator", "x")
    server.sql("SELECT abort_transaction('operator')")
    tap.equal((state_of("operator")["TransactionState"], p.end(True), read("operator")[0]), ("CompleteAbort", BAD_STATE, []), "abort_transaction()")
    for tid, what in (("operator", "is open"), ("no such", "there is no transactional id")):
        try:
            server.sql("SELECT abort_transaction('%s')" % tid)
            tap.ok(False, "an error")
        except pg.SqlError as problem:
            tap.matches(what, str(problem), what)
    server.sql("CREATE ROLE guest")
    tap.equal(server.sql("SET ROLE guest; SELECT count(*) FROM transactions"), "0", "others see none")
    try:
        server.sql("SET ROLE guest; SELECT abort_transaction('operator')")
        tap.ok(False, "permission denied")
    except pg.SqlError as problem:
        tap.matches("permission denied for transactional id", str(problem), "and abort none")
    server.sql("SELECT grant_kafka_acl('transactional_id', 'oper', 'WRITE', 'guest', 'prefixed')")
    tap.equal(server.sql("SET ROLE guest; SELECT transactional_id, state FROM transactions"), "operator|CompleteAbort", "but those that they were given")


def refuse_big():
    server.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN IF new.value = 'bad' THEN RAISE 'never'; END IF; RETURN new; END $$")
    new_topic("picky")
    server.sql("CREATE TRIGGER picky BEFORE INSERT ON topics.picky FOR EACH ROW EXECUTE FUNCTION refuse()")


def test_refused():
    """a trigger refuses a record: the whole transaction is refused"""
    new_topic("plain")
    refuse_big()
    p = Producer("picky", v2=True)
    p.send("plain", "good")
    p.send("picky", "bad")
    tap.equal(p.end(True), ABORTABLE, "the commit")
    tap.equal(p.send("plain", "more")[0], ABORTABLE, "and what comes after it")
    tap.equal(p.end(True), ABORTABLE, "again")
    tap.equal((p.end(False), read("plain")[0]), (NONE, []), "until it is aborted")
    tap.equal((p.send("plain", "good")[0], p.send("picky", "fine")[0], p.end(True), read("plain")[0], read("picky")[0]),
              (NONE, NONE, NONE, ["good"], ["fine"]), "the next one is well")


def test_not_waited_for():
    """an open transaction holds up nobody"""
    new_topic("busy")
    p = Producer("slow", v2=True)
    p.send("busy", "slow")
    other = Producer("quick", v2=True)
    tap.equal((other.send("busy", "quick"), other.end(True)), ((NONE, 0), NONE), "another transaction")
    server.sql("SELECT produce('busy', 'sql')")
    tap.equal(read("busy", 0, 1), (["quick", "sql"], 2, 2), "and SQL")
    tap.equal((p.end(True), read("busy")[0]), (NONE, ["quick", "sql", "slow"]), "commits decide the order")


def lost(p, what):
    """After whatever happened p's transaction is lost: only an abort helps."""
    code = p.end(True)
    tap.ok(code in (ABORTABLE, BAD_STATE), "%s: a commit is refused (%d)" % (what, code))
    tap.equal(p.end(False), NONE, what + ": an abort is well")


def test_crash():
    new_topic("crash")
    done, v1, v2 = Producer("done", v2=True), Producer("crash-v1"), Producer("crash-v2", v2=True)
    done.send("crash", "done")
    retry = dict(done.me())
    done.end(True)
    v1.add("crash", 0)
    v1.send("crash", "torn")
    v2.send("crash", "torn")
    v2.commit_offsets("cg", "crash", {0: 1})
    server.kill9().start()
    server.wait_listener()
    reconnect()
    tap.equal(read("crash"), (["done"], 1, 1), "what was committed is there, what was open is not")
    tap.equal(fetch_offset("cg", "crash", 0, True), (NONE, -1), "nor its offset")
    got = again(lambda: client.call("EndTxn", 5, {**retry, "Committed": True}))
    tap.equal((got["ErrorCode"], got["ProducerEpoch"]), (NONE, done.epoch), "an end whose answer was lost is answered")
    tap.equal(v1.send("crash", "second half", version=11)[0], ABORTABLE, "v1 cannot go on")
    tap.equal(v2.send("crash", "second half")[0], BAD_EPOCH, "nor v2")
    tap.equal(v2.commit_offsets("cg", "crash", {0: 2}), [ILLEGAL_GENERATION], "nor its offsets")
    for p in (v1, v2):
        lost(p, p.tid)
    v1.add("crash", 0)
    v1.sequences[("crash", 0)] = 2
    tap.equal((v1.send("crash", "v1")[0], v1.end(True)), (NONE, NONE), "v1 goes on after it")
    tap.equal((v2.send("crash", "v2")[0], v2.end(True)), (NONE, NONE), "v2 does")
    tap.equal(read("crash")[0], ["done", "v1", "v2"], "all of that is there")


def test_control_worker():
    """the coordinator alone starts again"""
    new_topic("again")
    p = Producer("again")
    p.add("again", 0)
    p.send("again", "torn")
    pids = server.worker_pids("pgtopic control")
    os.kill(pids[0], signal.SIGTERM)
    deadline = time.monotonic() + 60
    while server.worker_pids("pgtopic control") in ([], pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    reconnect()
    got = again(lambda: client.call("InitProducerId", 5, {"TransactionalId": "awake", "TransactionTimeoutMs": 1000}))
    tap.equal(got["ErrorCode"], NONE, "it is there again")
    lost(p, "what was open")
    p.add("again", 0)
    p.sequences[("again", 0)] = 1
    tap.equal((p.send("again", "well")[0], p.end(True), read("again")[0]), (NONE, NONE, ["well"]), "and the producer goes on")


def test_many():
    """ids by the hundred, open all at once"""
    new_topic("many", 4)
    producers = [Producer("many-%d" % i, v2=i % 2 == 0) for i in range(200)]
    for i, p in enumerate(producers):
        if not p.v2:
            p.add("many", i % 4)
        p.send("many", "m%d" % i, partition=i % 4)
    tap.equal(server.sql("SELECT count(*) FROM transactions WHERE state = 'Ongoing' AND transactional_id LIKE 'many-%'"), "200", "200 are open")
    tap.equal({p.end(i % 3 != 0) for i, p in enumerate(producers)}, {NONE}, "all end well")
    got = sorted(v for n in range(4) for v in read("many", n)[0])
    tap.equal(got, sorted("m%d" % i for i in range(200) if i % 3 != 0), "those that were committed are there")


def test_large():
    """more than fits in memory"""
    new_topic("large", 3)
    p = Producer("large", v2=True)
    value = "x" * 100000
    codes = {p.send("large", *["%d %s" % (i, value)] * 5, partition=i % 3)[0] for i in range(60)}
    tap.equal(codes, {NONE}, "30 MB are staged")
    tap.ok(int(server.sql("SELECT disk_bytes FROM transactions WHERE transactional_id = 'large'")) > 1 << 20, "in a file")
    tap.equal(p.end(True), NONE, "committed")
    tap.equal(server.sql("SELECT count(*), sum(length(value)) > 30000000 FROM topics.large"), "300|t", "all is there")
    p.send("large", *[value] * 9)
    p.send("large", *[value] * 9)
    tap.equal((p.end(False), server.sql("SELECT count(*) FROM topics.large")), (NONE, "300"), "an aborted one is not")


def most_memory(pid):
    """Bytes that a process has had at most."""
    with open("/proc/%d/status" % pid, encoding="utf8") as f:
        return int(next(line for line in f if line.startswith("VmHWM:")).split()[1]) * 1024


def test_staged_offsets():
    """the same partition many times, and the same group many times"""
    new_topic("staged", 8)
    p = Producer("staged", v2=True)

    def commit(group, offsets):
        got = client.call("TxnOffsetCommit", 5, {**p.me(), "GroupId": group, GENERATION: -1, "MemberId": "", "Topics": [
            {"Name": "staged", "Partitions": [{"PartitionIndex": n, "CommittedOffset": offset, "CommittedMetadata": metadata}
                                              for n, offset, metadata in offsets]}]})
        return [part["ErrorCode"] for topic in got["Topics"] for part in topic["Partitions"]]
    tap.equal(commit("staged", [(i % 2, i, "") for i in range(5000)]), [NONE] * 5000, "two partitions, 2,500 times each")
    held = int(server.sql("SELECT memory_bytes FROM transactions WHERE transactional_id = 'staged'"))
    tap.ok(0 < held < 2000, "no more is staged than the last of each (%d bytes)" % held)
    tap.equal([fetch_offset("staged", "staged", n, True)[0] for n in range(3)], [UNSTABLE, UNSTABLE, NONE], "two are not stable")
    tap.equal({code for _ in range(40) for code in commit("often", [(n, 1, "m" * 4000) for n in range(7)])}, {NONE}, "much metadata")
    pid = server.worker_pids("pgtopic control")[0]
    before = most_memory(pid)
    topics = [{"Name": "staged", "PartitionIndexes": list(range(8))}]
    asked = [{"GroupId": group, "Topics": topics} for _ in range(150) for group in ("often", "staged", "nobody")]
    got = client.call("OffsetFetch", 8, {"RequireStable": True, "Groups": asked})["Groups"]
    codes = [[part["ErrorCode"] for part in group["Topics"][0]["Partitions"]] for group in got]
    tap.equal(codes, [[UNSTABLE] * 7 + [NONE], [UNSTABLE] * 2 + [NONE] * 6, [NONE] * 8] * 150, "each group has its own, each time it is asked for")
    grown = most_memory(pid) - before
    tap.ok(grown < 32 << 20, "without a copy for each (%d bytes)" % grown)
    got = client.call("OffsetFetch", 8, {"RequireStable": False, "Groups": asked[:3]})["Groups"]
    tap.equal({part["ErrorCode"] for group in got for part in group["Topics"][0]["Partitions"]}, {NONE}, "only who asks for stable ones is told")
    tap.equal(p.end(True), NONE, "the commit")
    tap.equal([fetch_offset("staged", "staged", n, True) for n in range(3)], [(NONE, 4998), (NONE, 4999), (NONE, -1)], "the last one counts")
    tap.equal(fetch_offset("often", "staged", 6, True), (NONE, 1), "all is stable")


def test_many_asked_for():
    """answers have a bound, whatever is asked for"""
    new_topic("wide", 100)
    p = Producer("wide")
    p.add("wide", *range(100))
    got = client.call("DescribeTransactions", 0, {"TransactionalIds": ["wide"] * 50})["TransactionStates"]
    tap.equal([(t["ErrorCode"], sum(len(topic["Partitions"]) for topic in t["Topics"])) for t in got], [(NONE, 100)] * 20 + [(INVALID_REQUEST, 0)] * 30,
              "2,000 partitions are described")
    tap.equal(p.end(False), NONE, "ended")
    q = Producer("wide-2")
    q.add("wide", 1)

    def listed(**filters):
        got = client.call("ListTransactions", 2, {"TransactionalIdPattern": "wide.*", "DurationFilter": -1, **filters})
        return [t["TransactionalId"] for t in got["TransactionStates"]], len(got["UnknownStateFilters"])
    ids = [n * 7919 % 100003 + (1 << 40) for n in range(50000)]
    tap.equal(listed(ProducerIdFilters=[*ids, q.id, *ids, -5, q.id]), (["wide-2"], 0), "one producer of 100,000")
    tap.equal(listed(ProducerIdFilters=ids), ([], 0), "none of them")
    tap.equal(listed(ProducerIdFilters=[q.id, p.id]), (["wide", "wide-2"], 0), "two")
    tap.equal(listed(StateFilters=["Ongoing", "Ongoing", "CompleteAbort"]), (["wide", "wide-2"], 0), "two states")
    tap.equal(listed(StateFilters=["CompleteAbort", "ongoing"]), (["wide"], 1), "one, and a typing error")
    tap.equal(listed(StateFilters=["x%d" % i for i in range(1000)]), ([], 100), "a hundred such errors are told")
    tap.equal(q.end(False), NONE, "ended")


TESTS = [test_advertised, test_versions, test_commit_and_abort, test_v2, test_fencing, test_out_of_order, test_members, test_timeout, test_operator, test_refused,
         test_not_waited_for, test_crash, test_control_worker, test_many, test_large,
         test_staged_offsets, test_many_asked_for]


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    reconnect()
    tap.main(TESTS)


if __name__ == "__main__":
    main()
