"""What workers use to talk to a server: requests by hand, and what their answers mean.

A Talker has a connection to the server that is the primary now, and opens another one when it is lost or when another server has become
the primary.  Offsets and positions are those of partitions by name, "log:0".

Siblings: workers.py, run.py.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [p for p in (os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")) if p not in sys.path]
import raw             # noqa: E402

NONE, OUT_OF_RANGE, LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 0, 1, 14, 15, 16
OUT_OF_ORDER, DUPLICATE, BAD_EPOCH, BAD_STATE, BAD_MAPPING, CONCURRENT, UNKNOWN_PRODUCER, FENCED, ABORTABLE = 45, 46, 47, 48, 49, 51, 59, 90, 120
WAIT = (LOADING, NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT)
FETCH_BYTES = 1 << 16
TIMEOUT = 15            # seconds without an answer, after which a connection counts as lost


class Refused(Exception):
    """An answer with an error code."""

    def __init__(self, what, code):
        super().__init__("%s: error %d" % (what, code))
        self.code = code


class Talker:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.client, self.at = None, None

    def connect(self):
        if self.client is None or self.at != self.world.current.value:
            self.close()
            self.at = self.world.current.value
            self.client = raw.Client(self.world.servers[self.at].bootstrap, timeout=TIMEOUT, client_id=self.name)
        return self.client

    def close(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def call(self, api, version, body):
        try:
            return self.connect().call(api, version, body)
        except (OSError, raw.ProtocolError):
            self.close()
            raise

    # reading

    def fetch(self, positions, isolation=0, wait_ms=0, part_bytes=FETCH_BYTES):
        """{partition: (error, log start, last stable offset or high watermark, records from its position on)}"""
        got = self.call("Fetch", 11, {
            "ReplicaId": -1, "MaxWaitMs": wait_ms, "MinBytes": 1, "MaxBytes": 1 << 24, "IsolationLevel": isolation, "SessionEpoch": -1,
            "Topics": [{"Topic": topic, "Partitions": [{"Partition": n, "FetchOffset": positions["%s:%d" % (topic, n)], "PartitionMaxBytes": part_bytes}
                                                       for n in numbers]} for topic, numbers in by_topic(positions)]})
        found = {}
        for topic in got["Responses"]:
            for p in topic["Partitions"]:
                part = "%s:%d" % (topic["Topic"], p["PartitionIndex"])
                records = [[r[0], r[3].decode()] for r in raw.read_batches(p["Records"] or b"") if r[0] >= positions[part]]
                found[part] = p["ErrorCode"], p["LogStartOffset"], p["LastStableOffset"] if isolation else p["HighWatermark"], records
        return found

    def list_offsets(self, parts, which, isolation=0):
        """{partition: offset}, without those that are refused; which: -1 the end, -2 the start"""
        got = self.call("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": n, "Timestamp": which} for n in numbers]} for topic, numbers in by_topic(parts)]})
        return {"%s:%d" % (t["Name"], p["PartitionIndex"]): p["Offset"] for t in got["Topics"] for p in t["Partitions"] if p["ErrorCode"] == NONE}

    def read_all(self, part, isolation):
        """(start, records) of a whole log."""
        start = self.list_offsets([part], -2)[part]
        records, position = [], start
        while True:
            error, _, end, more = self.fetch({part: position}, isolation, part_bytes=1 << 20)[part]
            if error:
                raise Refused("Fetch", error)
            records += more
            if not more and position >= end:
                return start, records
            position = more[-1][0] + 1 if more else end

    def delete_records(self, part, before):
        topic, n = split(part)
        got = self.call("DeleteRecords", 2, {"TimeoutMs": 10000, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": n, "Offset": before}]}]})
        return got["Topics"][0]["Partitions"][0]["ErrorCode"]

    # writing

    def produce_body(self, part, batch, transactional_id=None):
        topic, n = split(part)
        return {"TransactionalId": transactional_id, "Acks": -1, "TimeoutMs": 10000,
                "TopicData": [{"Name": topic, "PartitionData": [{"Index": n, "Records": batch}]}]}


def told(answer):
    """Error code and base offset."""
    part = answer["Responses"][0]["PartitionResponses"][0]
    return part["ErrorCode"], part["BaseOffset"]


class Producer:
    """A transactional one of old (v1) or of Kafka 4 (v2).  Whatever is refused is raised: then the transaction is to be aborted."""

    def __init__(self, talker, tid, v2, timeout_ms=20000):
        self.talker, self.tid, self.v2, self.timeout_ms = talker, tid, v2, timeout_ms
        self.id, self.epoch, self.sequences, self.added = -1, -1, {}, set()

    def me(self, prefix=""):
        return {prefix + "TransactionalId": self.tid, prefix + "ProducerId": self.id, prefix + "ProducerEpoch": self.epoch}

    def init(self):
        got = self.talker.call("InitProducerId", 4, {"TransactionalId": self.tid, "TransactionTimeoutMs": self.timeout_ms})
        if got["ErrorCode"]:
            raise Refused("InitProducerId", got["ErrorCode"])
        self.id, self.epoch, self.sequences, self.added = got["ProducerId"], got["ProducerEpoch"], {}, set()

    def batch(self, part, values):
        sequence = self.sequences.get(part, 0)
        self.sequences[part] = sequence + len(values)
        return raw.Batch([(None, v) for v in values], producer_id=self.id, producer_epoch=self.epoch, base_sequence=sequence, attributes=16).encode()

    def send(self, part, values):
        if not self.v2 and part not in self.added:
            topic, n = split(part)
            got = self.talker.call("AddPartitionsToTxn", 3, {**self.me("V3AndBelow"), "V3AndBelowTopics": [{"Name": topic, "Partitions": [n]}]})
            code = got["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"]
            if code:
                raise Refused("AddPartitionsToTxn", code)
            self.added.add(part)
        self.resend(part, self.batch(part, values))

    def resend(self, part, batch):
        code, _ = told(self.talker.call("Produce", 12 if self.v2 else 11, self.talker.produce_body(part, batch, self.tid)))
        if code:
            raise Refused("Produce", code)

    def commit_offsets(self, group, offsets):
        """offsets: {partition: offset}"""
        if not self.v2:
            code = self.talker.call("AddOffsetsToTxn", 3, {**self.me(), "GroupId": group})["ErrorCode"]
            if code:
                raise Refused("AddOffsetsToTxn", code)
        got = self.talker.call("TxnOffsetCommit", 5 if self.v2 else 3, {
            **self.me(), "GroupId": group, "MemberId": "", "Topics": [
                {"Name": topic, "Partitions": [{"PartitionIndex": n, "CommittedOffset": offsets["%s:%d" % (topic, n)], "CommittedMetadata": ""} for n in numbers]}
                for topic, numbers in by_topic(offsets)]})
        codes = [p["ErrorCode"] for t in got["Topics"] for p in t["Partitions"] if p["ErrorCode"]]
        if codes:
            raise Refused("TxnOffsetCommit", codes[0])

    def end(self, commit):
        """Once; the error code.  Of v2 there is another epoch then."""
        version = 5 if self.v2 else 3
        got = self.talker.call("EndTxn", version, {**self.me(), "Committed": commit})
        if got["ErrorCode"] == NONE:
            self.added = set()
            if self.v2:
                self.id, self.epoch, self.sequences = got["ProducerId"], got["ProducerEpoch"], {}
        return got["ErrorCode"]


def split(part):
    topic, n = part.split(":")
    return topic, int(n)


def by_topic(parts):
    found = {}
    for part in parts:
        topic, n = split(part)
        found.setdefault(topic, []).append(n)
    return found.items()
