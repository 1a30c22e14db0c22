#!/usr/bin/env python3
"""Administration of topics in every version: what is asked, what is checked, what SQL then sees.

CreateTopics, CreatePartitions, DeleteRecords, DescribeLogDirs, AlterReplicaLogDirs, by a client
that encodes from Kafka's own specs.
"""

import os
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402
import versions  # noqa: E402
from versions import differs  # noqa: E402

server = client = None
advertised = {}

NONE, UNKNOWN_TOPIC, TIMED_OUT, INVALID_TOPIC, OUT_OF_RANGE = 0, 3, 7, 17, 1
EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION, INVALID_ASSIGNMENT = 36, 37, 38, 39
INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION, LOG_DIR_NOT_FOUND = 40, 42, 44, 57


def each_version(name, check):
    versions.each_version(name, advertised[name], check, reconnect)


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap)


def metadata(name):
    answer = client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
    return answer["Topics"][0]


def create(*topics, version=7, dry=False, timeout=10000):
    return client.call("CreateTopics", version, {"Topics": list(topics), "timeoutMs": timeout, "validateOnly": dry})["Topics"]


def topic(name, partitions=-1, replicas=-1, **more):
    return {"Name": name, "NumPartitions": partitions, "ReplicationFactor": replicas, **more}


def assignments(*rows):
    return [{"PartitionIndex": p, "BrokerIds": ids} for p, ids in rows]


def test_versions():
    """what the broker says it speaks"""
    for row in client.call("ApiVersions", 0)["ApiKeys"]:
        for name, key in (("CreateTopics", 19), ("DeleteRecords", 21), ("AlterReplicaLogDirs", 34),
                          ("DescribeLogDirs", 35), ("CreatePartitions", 37)):
            if row["ApiKey"] == key:
                advertised[name] = (row["MinVersion"], row["MaxVersion"])
    tap.ok("CreateTopics" in advertised and "CreatePartitions" in advertised, "topics are administered")


def test_create_topics():
    """checks, in Kafka's order and with its codes"""
    def check(version):
        dry = create(topic("dry-%d" % version, 3, 1, Configs=[{"Name": "retention.ms", "Value": "77"}]),
                     version=version, dry=True)[0]
        yield differs("dry run", dry["ErrorCode"], NONE)
        yield differs("nothing made", server.sql("SELECT count(*) FROM topics WHERE topic::text = 'dry-%d'" % version), "0")
        if version >= 5:
            yield differs("dry partitions", (dry["NumPartitions"], dry["ReplicationFactor"]), (3, 1))
            found = {c["Name"]: (c["Value"], c["ConfigSource"]) for c in dry["Configs"]}
            yield differs("dry configs", (found["retention.ms"], found["cleanup.policy"]), (("77", 1), ("delete", 5)))
        made = create(topic("manual-%d" % version, Assignments=assignments((1, [1]), (0, [1]))), version=version)[0]
        yield differs("manual", made["ErrorCode"], NONE)
        yield differs("its partitions", len(metadata("manual-%d" % version)["Partitions"]), 2)
        yield differs("by default", create(topic("default-%d" % version), version=version)[0]["ErrorCode"], NONE)
    each_version("CreateTopics", check)

    for what, row, code in (
            ("no brokers", topic("bad", Assignments=assignments((0, []))), INVALID_ASSIGNMENT),
            ("an unknown broker", topic("bad", Assignments=assignments((0, [7]))), INVALID_ASSIGNMENT),
            ("a broker twice", topic("bad", Assignments=assignments((0, [1, 1]))), INVALID_ASSIGNMENT),
            ("a negative broker", topic("bad", Assignments=assignments((0, [-1]))), INVALID_ASSIGNMENT),
            ("a gap", topic("bad", Assignments=assignments((0, [1]), (2, [1]))), INVALID_ASSIGNMENT),
            ("a partition twice", topic("bad", Assignments=assignments((0, [1]), (0, [1]))), INVALID_ASSIGNMENT),
            ("a negative partition", topic("bad", Assignments=assignments((-1, [1]))), INVALID_ASSIGNMENT),
            ("assignments and partitions", topic("bad", 1, Assignments=assignments((0, [1]))), INVALID_REQUEST),
            ("assignments and replicas", topic("bad", -1, 1, Assignments=assignments((0, [1]))), INVALID_REQUEST),
            ("no partitions", topic("bad", 0, 1), INVALID_PARTITIONS),
            ("fewer than none", topic("bad", -2, 1), INVALID_PARTITIONS),
            ("too many partitions", topic("bad", 1000000, 1), POLICY_VIOLATION),
            ("three replicas", topic("bad", 1, 3), INVALID_REPLICATION),
            ("no replicas", topic("bad", 1, 0), INVALID_REPLICATION),
            ("a config without a value", topic("bad", 1, 1, Configs=[{"Name": "retention.ms", "Value": None}]), INVALID_CONFIG),
            ("an internal topic", topic("__consumer_offsets", 1, 1), INVALID_TOPIC),
            ("a name that is there", topic("default-7"), EXISTS)):
        for dry in (True, False):
            got = create(row, dry=dry)[0]
            tap.ok(got["ErrorCode"] == code and got["ErrorMessage"], "%s%s: error %d, expected %d"
                   % (what, " (dry)" if dry else "", got["ErrorCode"], code))
    create(topic("under_score.dot", 1))
    got = create(topic("under.score_dot", 1))[0]
    tap.equal((got["ErrorCode"], got["ErrorMessage"]),
              (INVALID_TOPIC, "Topic 'under.score_dot' collides with existing topic: under_score.dot"), "names that collide")
    got = create(topic("twice", 1), topic("once", 1), topic("twice", 2))
    tap.equal([(t["Name"], t["ErrorCode"]) for t in got], [("twice", INVALID_REQUEST), ("once", NONE)], "a name twice")
    tap.equal(server.sql("SELECT count(*) FROM topics WHERE topic::text IN ('bad', 'twice')"), "0", "nothing of what was refused")
    tap.equal(create(), [], "a request for nothing")


def grow(*rows, version=3, dry=False):
    return client.call("CreatePartitions", version, {
        "Topics": [{"Name": n, "Count": c, "Assignments": a} for n, c, a in rows], "TimeoutMs": 10000,
        "ValidateOnly": dry})["Results"]


def test_create_partitions():
    def check(version):
        name = "grow-%d" % version
        create(topic(name, 1))
        yield differs("dry", grow((name, 3, None), version=version, dry=True)[0]["ErrorCode"], NONE)
        yield differs("still one", len(metadata(name)["Partitions"]), 1)
        got = grow((name, 3, None), version=version)[0]
        yield differs("grown", (got["ErrorCode"], got["ErrorMessage"]), (NONE, None))
        yield differs("seen at once", len(metadata(name)["Partitions"]), 3)
        yield differs("by SQL", server.sql("SELECT produce('%s', 'x', partition => 2)" % name), name + ":2")
        got = grow((name, 3, None), version=version)[0]
        yield differs("the same", (got["ErrorCode"], got["ErrorMessage"]),
                      (INVALID_PARTITIONS, "Topic already has 3 partition(s)."))
        got = grow((name, 2, None), version=version)[0]
        yield differs("fewer", (got["ErrorCode"], got["ErrorMessage"]),
                      (INVALID_PARTITIONS, "The topic %s currently has 3 partition(s); 2 would not be an increase." % name))
        one = [{"BrokerIds": [1]}]
        yield differs("assigned", grow((name, 4, one), version=version)[0]["ErrorCode"], NONE)
        for what, wrong in (("too few", one), ("too many", one * 3), ("none", []), ("another broker", one + [{"BrokerIds": [2]}]),
                            ("empty", one + [{"BrokerIds": []}]), ("two brokers", one + [{"BrokerIds": [1, 2]}])):
            yield differs(what, grow((name, 6, wrong), version=version)[0]["ErrorCode"], INVALID_ASSIGNMENT)
        yield differs("four in the end", len(metadata(name)["Partitions"]), 4)
    each_version("CreatePartitions", check)
    got = grow(("grow-0", 5, None), ("missing", 5, None), ("grow-1", 9, None), ("grow-1", 9, None), ("no/name", 2, None))
    tap.equal([(r["Name"], r["ErrorCode"]) for r in got],
              [("grow-0", NONE), ("missing", UNKNOWN_TOPIC), ("grow-1", INVALID_REQUEST), ("no/name", UNKNOWN_TOPIC)],
              "one that fails leaves the others alone")
    tap.equal(grow(("grow-0", 1000000, None))[0]["ErrorCode"], POLICY_VIOLATION, "too many at once")


def delete(version, *rows):
    """rows: (topic, partition, offset); gives (error, low watermark) of each."""
    answer = client.call("DeleteRecords", version, {
        "Topics": [{"Name": n, "Partitions": [{"PartitionIndex": p, "Offset": o}]} for n, p, o in rows], "TimeoutMs": 10000})
    return [(t["Partitions"][0]["ErrorCode"], t["Partitions"][0]["LowWatermark"]) for t in answer["Topics"]]


def list_offset(name, timestamp, partition=0):
    answer = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": partition, "CurrentLeaderEpoch": -1, "Timestamp": timestamp}]}]})
    return answer["Topics"][0]["Partitions"][0]["Offset"]


def fetch(name, offset, partition=0):
    """(error, log start, offsets of the records)"""
    answer = client.call("Fetch", 11, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1000000, "SessionEpoch": -1, "Topics": [
            {"Topic": name, "Partitions": [{"Partition": partition, "FetchOffset": offset, "CurrentLeaderEpoch": -1,
                                            "PartitionMaxBytes": 100000}]}]})
    part = answer["Responses"][0]["Partitions"][0]
    return part["ErrorCode"], part["LogStartOffset"], [r[0] for r in raw.read_batches(part["Records"])]


def produce(name, *records):
    body = {"Acks": -1, "TimeoutMs": 10000, "TopicData": [{"Name": name, "PartitionData": [
        {"Index": 0, "Records": raw.Batch(records).encode()}]}]}
    return client.call("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]


def test_delete_records():
    """the start of a log moves, for Kafka clients and for SQL"""
    server.sql("SELECT create_topic('compacted', config => '{\"cleanup.policy\": \"compact\"}')")
    server.sql("SELECT create_topic('both', config => '{\"cleanup.policy\": \"compact,delete\"}')")

    def check(version):
        name = "trim-%d" % version
        create(topic(name, 2))
        for _ in range(2):
            produce(name, *[("k%d" % i, "v") for i in range(10)])
        yield differs("deleted", delete(version, (name, 0, 13)), [(NONE, 13)])
        yield differs("earliest", (list_offset(name, -2), list_offset(name, -1)), (13, 20))
        yield differs("below the start", fetch(name, 12)[::2], (OUT_OF_RANGE, []))
        yield differs("at the start: the whole batch", fetch(name, 13), (NONE, 13, list(range(10, 20))))
        yield differs("SQL", server.sql('SELECT array_agg("offset") FROM topics."%s"' % name),
                      "{%s}" % ",".join(map(str, range(13, 20))))
        yield differs("by time", list_offset(name, 0), 13)
        yield differs("less again", delete(version, (name, 0, 5)), [(NONE, 13)])
        yield differs("past the end", delete(version, (name, 0, 21)), [(OUT_OF_RANGE, -1)])
        yield differs("negative", delete(version, (name, 0, -2)), [(OUT_OF_RANGE, -1)])
        yield differs("to the high watermark", delete(version, (name, 0, -1)), [(NONE, 20)])
        yield differs("nothing left", fetch(name, 20), (NONE, 20, []))
        yield differs("the next record", produce(name, ("k", "v"))["BaseOffset"], 20)
        yield differs("its answer", produce(name, ("k", "v"))["LogStartOffset"], 20)
        yield differs("is there", fetch(name, 20), (NONE, 20, [20, 21]))
        yield differs("an empty one", delete(version, (name, 1, -1), (name, 1, 1)), [(NONE, 0), (OUT_OF_RANGE, -1)])
        yield differs("unknown", delete(version, (name, 7, 1), ("missing", 0, 1), ("no/name", 0, 1)),
                      [(UNKNOWN_TOPIC, -1)] * 3)
        yield differs("only compacted", delete(version, ("compacted", 0, 0)), [(POLICY_VIOLATION, -1)])
        yield differs("also compacted", delete(version, ("both", 0, 0)), [(NONE, 0)])
    each_version("DeleteRecords", check)

    create(topic("times", 1))
    produce("times", *[("k", "v", None, t) for t in (1700000000500, 1700000000900, 1700000000100, 1700000000300)])
    tap.equal(list_offset("times", -3), 1, "the largest timestamp")
    delete(2, ("times", 0, 2))
    tap.equal(list_offset("times", -3), 3, "and the largest of those that are left")

    create(topic("three", 3))
    server.sql("INSERT INTO topics.three (partition, value) SELECT i % 3, 'v' FROM generate_series(0, 29) i")
    session = server.session()
    session.sql("BEGIN; LOCK TABLE topics.\"three#1\" IN SHARE MODE")
    tap.equal(delete(2, ("three", 0, 4), ("three", 1, 4), ("three", 2, 4)), [(NONE, 4), (TIMED_OUT, -1), (NONE, 4)],
              "one that is locked leaves the others alone")
    session.sql("ROLLBACK")
    tap.equal(delete(2, ("three", 0, 5), ("three", 1, 5), ("three", 2, 11)), [(NONE, 5), (NONE, 5), (OUT_OF_RANGE, -1)],
              "so does one that is out of range")
    session.sql("BEGIN; LOCK TABLE topics.\"times#0\" IN SHARE MODE")
    tap.equal(delete(2, ("times", 0, 3)), [(TIMED_OUT, -1)], "a table that is locked: try again")
    session.sql("ROLLBACK")
    session.close()
    tap.equal(delete(2, ("times", 0, 3)), [(NONE, 3)], "which helps")


def test_log_dirs():
    """tablespaces are the log directories"""
    space = os.path.join(server.dir, "space")
    os.makedirs(space)
    server.sql("CREATE TABLESPACE space LOCATION '%s'" % space)
    create(topic("placed", 3))
    server.sql("INSERT INTO topics.placed (partition, value) SELECT 1, repeat('x', 10000)::bytea FROM generate_series(1, 300);"
               "ALTER TABLE topics.\"placed#2\" SET TABLESPACE space")
    sizes = [int(n) for n in server.sql("SELECT pg_relation_size(leaf) FROM partitions WHERE topic::text = 'placed' "
                                        "ORDER BY partition").split()]

    def placed(answer):
        return {(d["LogDir"], p["PartitionIndex"], p["PartitionSize"]) for d in answer["Results"] for t in d["Topics"]
                if t["Name"] == "placed" for p in t["Partitions"]}

    def check(version):
        everything = client.call("DescribeLogDirs", version, {"Topics": None})
        yield differs("directories", {d["LogDir"] for d in everything["Results"]}, {server.data, space})
        yield differs("sizes", placed(everything),
                      {(server.data, 0, sizes[0]), (server.data, 1, sizes[1]), (space, 2, sizes[2])})
        yield differs("other topics", {"race", "trim-0"} & {t["Name"] for t in everything["Results"][0]["Topics"]} != set(), True)
        some = client.call("DescribeLogDirs", version, {"Topics": [
            {"Topic": "placed", "Partitions": [2, 1, 9, -1]}, {"Topic": "missing", "Partitions": [0]}, {"Topic": "race", "Partitions": []}]})
        yield differs("a filter", placed(some), {(server.data, 1, sizes[1]), (space, 2, sizes[2])})
        yield differs("nothing else", {t["Name"] for d in some["Results"] for t in d["Topics"]}, {"placed"})
        yield differs("errors", {d["ErrorCode"] for d in some["Results"]}, {NONE})
        none = client.call("DescribeLogDirs", version, {"Topics": []})
        yield differs("none", [d["Topics"] for d in none["Results"]], [[], []])
        if version >= 4:
            volume = os.statvfs(space)
            here = [d for d in none["Results"] if d["LogDir"] == space][0]
            yield differs("total bytes", here["TotalBytes"], volume.f_blocks * volume.f_frsize)
            yield differs("usable bytes", 0 < here["UsableBytes"] <= here["TotalBytes"], True)
    each_version("DescribeLogDirs", check)

    def move(version):
        got = client.call("AlterReplicaLogDirs", version, {"Dirs": [
            {"Path": space, "Topics": [{"Name": "placed", "Partitions": [2, 1, 7]}, {"Name": "missing", "Partitions": [0]}]},
            {"Path": "/nowhere", "Topics": [{"Name": "placed", "Partitions": [0]}]}]})
        yield differs("moves", [(r["TopicName"], [(p["PartitionIndex"], p["ErrorCode"]) for p in r["Partitions"]])
                                for r in got["Results"]],
                      [("placed", [(2, NONE), (1, POLICY_VIOLATION), (7, UNKNOWN_TOPIC)]), ("missing", [(0, UNKNOWN_TOPIC)]),
                       ("placed", [(0, LOG_DIR_NOT_FOUND)])])
    each_version("AlterReplicaLogDirs", move)
    session = server.session()
    session.sql("BEGIN; LOCK TABLE topics.placed IN ACCESS EXCLUSIVE MODE")
    tap.equal(len(placed(client.call("DescribeLogDirs", 4, {"Topics": None}))), 3, "a table that is locked is no obstacle")
    session.close()


def test_concurrent():
    """SQL and Kafka create one topic at the same time; partitions come while others produce"""
    session = server.session()
    session.sql("BEGIN; SELECT create_topic('race')")
    tap.equal(create(topic("race", 1))[0]["ErrorCode"], TIMED_OUT, "one that is being created: try again")
    session.sql("COMMIT")
    tap.equal(create(topic("race", 1))[0]["ErrorCode"], EXISTS, "now it is there")
    session.sql("BEGIN; SELECT create_topic('race-2')")
    session.sql("ROLLBACK")
    tap.equal(create(topic("race-2", 1))[0]["ErrorCode"], NONE, "after a rollback the name is free")
    session.close()

    stop = threading.Event()
    errors = []

    def keep_producing():
        with raw.Client(server.bootstrap) as mine:
            while not stop.is_set():
                body = {"Acks": -1, "TimeoutMs": 10000, "TopicData": [{"Name": "race", "PartitionData": [
                    {"Index": 0, "Records": raw.Batch([(None, "x")]).encode()}]}]}
                code = mine.call("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]["ErrorCode"]
                if code not in (NONE, TIMED_OUT):
                    errors.append(code)
    thread = threading.Thread(target=keep_producing, daemon=True)
    thread.start()
    results = []
    for count in range(2, 7):
        for _ in range(20):
            code = grow(("race", count, None))[0]["ErrorCode"]
            if code != TIMED_OUT:
                break
        results.append(code)
    time.sleep(0.1)
    stop.set()
    thread.join()
    tap.equal((results, errors), ([NONE] * 5, []), "partitions are added while a client produces")
    tap.equal(len(metadata("race")["Partitions"]), 6, "and all are there")


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    reconnect()
    tap.main([test_versions, test_create_topics, test_create_partitions, test_delete_records, test_concurrent, test_log_dirs])


main()
