#!/usr/bin/env python3
"""Configs of topics, groups, the broker and its logger, in every version, and what SQL sees of them.

DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources, by a client that encodes from
Kafka's own specs.  Names, types, defaults and words of errors are those of Apache Kafka 4.3.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402
import versions  # noqa: E402
from versions import differs  # noqa: E402

server = client = None
advertised = {}

APIS = {32: "DescribeConfigs", 33: "AlterConfigs", 44: "IncrementalAlterConfigs", 74: "ListConfigResources"}
NONE, UNKNOWN_TOPIC, INVALID_TOPIC, NOT_ALLOWED, UNSUPPORTED = 0, 3, 17, 31, 35
INVALID_CONFIG, INVALID_REQUEST = 40, 42
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
TYPES = {"BOOLEAN": 1, "STRING": 2, "INT": 3, "SHORT": 4, "LONG": 5, "DOUBLE": 6, "LIST": 7}

# What a broker of version 4.3 tells of a new topic: name, type, default, the broker's config behind it.
TOPIC_CONFIGS = """
cleanup.policy LIST delete log.cleanup.policy
compression.gzip.level INT -1 compression.gzip.level
compression.lz4.level INT 9 compression.lz4.level
compression.type STRING producer compression.type
compression.zstd.level INT 3 compression.zstd.level
delete.retention.ms LONG 86400000 log.cleaner.delete.retention.ms
file.delete.delay.ms LONG 60000 log.segment.delete.delay.ms
flush.messages LONG 9223372036854775807 log.flush.interval.messages
flush.ms LONG 9223372036854775807 log.flush.interval.ms
follower.replication.throttled.replicas LIST - -
index.interval.bytes INT 4096 log.index.interval.bytes
leader.replication.throttled.replicas LIST - -
local.retention.bytes LONG -2 log.local.retention.bytes
local.retention.ms LONG -2 log.local.retention.ms
max.compaction.lag.ms LONG 9223372036854775807 log.cleaner.max.compaction.lag.ms
max.message.bytes INT 1048588 message.max.bytes
message.timestamp.after.max.ms LONG 3600000 log.message.timestamp.after.max.ms
message.timestamp.before.max.ms LONG 9223372036854775807 log.message.timestamp.before.max.ms
message.timestamp.type STRING CreateTime log.message.timestamp.type
min.cleanable.dirty.ratio DOUBLE 0.5 log.cleaner.min.cleanable.ratio
min.compaction.lag.ms LONG 0 log.cleaner.min.compaction.lag.ms
min.insync.replicas INT 1 min.insync.replicas
preallocate BOOLEAN false log.preallocate
remote.log.copy.disable BOOLEAN false -
remote.log.delete.on.disable BOOLEAN false -
remote.storage.enable BOOLEAN false -
retention.bytes LONG -1 log.retention.bytes
retention.ms LONG 604800000 log.retention.ms
segment.bytes INT 1073741824 log.segment.bytes
segment.index.bytes INT 10485760 log.index.size.max.bytes
segment.jitter.ms LONG 0 log.roll.jitter.ms
segment.ms LONG 604800000 log.roll.ms
unclean.leader.election.enable BOOLEAN false unclean.leader.election.enable
"""


def each_version(name, check):
    versions.each_version(name, advertised[name], check, reconnect)


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap)


def describe(kind, name, keys=None, version=4, **more):
    resource = {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}
    return client.call("DescribeConfigs", version, {"Resources": [resource], **more})["Results"][0]


def values(kind, name, keys=None):
    """{name: (value, source)}"""
    return {c["Name"]: (c["Value"], c["ConfigSource"]) for c in describe(kind, name, keys)["Configs"]}


def synonyms(kind, name, key):
    configs = describe(kind, name, [key], IncludeSynonyms=True)["Configs"]
    return [(s["Name"], s["Value"], s["Source"]) for s in configs[0]["Synonyms"]]


def change(kind, name, *operations, version=1, dry=False):
    """(error, message) of IncrementalAlterConfigs; operations: (config, operation, value)."""
    configs = [{"Name": c, "ConfigOperation": o, "Value": v} for c, o, v in operations]
    got = client.call("IncrementalAlterConfigs", version,
                      {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": configs}], "ValidateOnly": dry})
    return got["Responses"][0]["ErrorCode"], got["Responses"][0]["ErrorMessage"]


def replace(kind, name, configs, version=2, dry=False):
    """(error, message) of AlterConfigs"""
    body = [{"Name": c, "Value": v} for c, v in configs.items()]
    got = client.call("AlterConfigs", version,
                      {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": body}], "ValidateOnly": dry})
    return got["Responses"][0]["ErrorCode"], got["Responses"][0]["ErrorMessage"]


def refused(what, got, code, pattern="."):
    tap.ok(got[0] == code, "%s: error %d, expected %d" % (what, got[0], code))
    tap.matches(pattern, got[1] or "", what + " says why")


def allow(yes):
    """pgtopic.kafka_admin, and until the workers know."""
    server.sql("ALTER SYSTEM SET pgtopic.kafka_admin = %s" % ("on" if yes else "off"))
    server.sql("SELECT pg_reload_conf()")
    for _ in range(100):
        if (change(BROKER, "1", ("num.partitions", SET, "1"), dry=True)[0] == NONE) == yes:
            return
        time.sleep(0.05)
    tap.ok(False, "pgtopic.kafka_admin has no effect")


def test_versions():
    """what the broker says it speaks"""
    for row in client.call("ApiVersions", 0)["ApiKeys"]:
        if row["ApiKey"] in APIS:
            advertised[APIS[row["ApiKey"]]] = (row["MinVersion"], row["MaxVersion"])
    tap.equal(sorted(advertised), sorted(APIS.values()), "configs are served")


def test_describe_topic():
    """every config of a topic, as a broker tells it"""
    server.sql("SELECT create_topic('plain')")

    def check(version):
        more = {"IncludeSynonyms": True} if version >= 1 else {}
        if version >= 3:
            more["IncludeDocumentation"] = True
        got = describe(TOPIC, "plain", version=version, **more)
        yield differs("error", got["ErrorCode"], NONE)
        found = {c["Name"]: c for c in got["Configs"]}
        expected = [line.split() for line in TOPIC_CONFIGS.strip().split("\n")]
        yield differs("names", sorted(found), sorted(row[0] for row in expected))
        for name, kind, value, broker in expected:
            config = found[name]
            yield differs(name, config["Value"], "" if value == "-" else value)
            yield differs(name, (config["ReadOnly"], config["IsSensitive"], config["ConfigSource"]), (False, False, 5))
            yield differs(name + ", synonyms", [(s["Name"], s["Source"]) for s in config["Synonyms"]],
                          [] if broker == "-" else [(broker, 5)])
            if version >= 3:
                yield differs(name + ", type", config["ConfigType"], TYPES[kind])
                yield None if config["Documentation"] else name + " is not documented"
    each_version("DescribeConfigs", check)

    tap.equal(sorted(values(TOPIC, "plain", ["segment.ms", "retention.ms", "no.such"])), ["retention.ms", "segment.ms"],
              "only what was asked for; unknown names are left out")
    tap.equal(len(values(TOPIC, "plain", [])), 33, "no names are all")
    tap.equal({c["Documentation"] for c in describe(TOPIC, "plain")["Configs"]}, {None}, "no documentation unless asked for")
    for name, code in (("missing", UNKNOWN_TOPIC), ("bad name!", INVALID_TOPIC), ("", INVALID_TOPIC)):
        tap.equal(describe(TOPIC, name)["ErrorCode"], code, "topic %r" % name)
    for kind in (0, 3, 99, -1):
        tap.equal(describe(kind, "x")["ErrorCode"], INVALID_REQUEST, "resource type %d" % kind)
    got = client.call("DescribeConfigs", 4, {"Resources": [{"ResourceType": TOPIC, "ResourceName": name, "ConfigurationKeys": None}
                                                           for name in ["plain", "missing"] * 50]})["Results"]
    tap.equal([r["ErrorCode"] for r in got], [NONE, UNKNOWN_TOPIC] * 50, "many resources at once")


def test_change_topic():
    """IncrementalAlterConfigs of a topic"""
    def check(version):
        name = "changed-%d" % version
        server.sql("SELECT create_topic('%s')" % name)
        yield differs("set", change(TOPIC, name, ("retention.ms", SET, "5000"), version=version), (NONE, None))
        yield differs("value", values(TOPIC, name, ["retention.ms"]), {"retention.ms": ("5000", 1)})
        yield differs("synonyms", synonyms(TOPIC, name, "retention.ms"),
                      [("retention.ms", "5000", 1), ("log.retention.ms", "604800000", 5)])
        yield differs("SQL", server.sql("SELECT value, is_default FROM topic_configs('%s') WHERE name = 'retention.ms'" % name),
                      "5000|f")
        yield differs("dry", change(TOPIC, name, ("retention.ms", SET, "6000"), version=version, dry=True), (NONE, None))
        yield differs("still", values(TOPIC, name, ["retention.ms"])["retention.ms"][0], "5000")
        yield differs("delete", change(TOPIC, name, ("retention.ms", DELETE, None), version=version), (NONE, None))
        yield differs("default", values(TOPIC, name, ["retention.ms"]), {"retention.ms": ("604800000", 5)})
        yield differs("delete of what is no config", change(TOPIC, name, ("message.format.version", DELETE, None), version=version), (NONE, None))
    each_version("IncrementalAlterConfigs", check)

    name = "changed-1"

    def policy():
        return values(TOPIC, name, ["cleanup.policy"])["cleanup.policy"][0]
    for operation, value, expected in ((APPEND, "compact", "delete,compact"), (APPEND, "compact", "delete,compact"),
                                       (SUBTRACT, "delete", "compact"), (SUBTRACT, "nonsense", "compact"),
                                       (APPEND, "delete,delete", "compact,delete"), (SUBTRACT, "compact,compact", "delete"),
                                       (SUBTRACT, "delete", ""), (SET, "delete", "delete")):
        got = change(TOPIC, name, ("cleanup.policy", operation, value))
        tap.equal((got, policy()), ((NONE, None), expected), "%s %s" % (["set", "delete", "append", "subtract"][operation], value))
    for what, operations, code, pattern in (
            ("no number", [("retention.ms", SET, "abc")], INVALID_CONFIG, "Not a number of type LONG"),
            ("out of bounds", [("retention.ms", SET, "-5")], INVALID_CONFIG, "at least -1"),
            ("no value", [("retention.ms", SET, None)], INVALID_REQUEST, "Null value"),
            ("unknown", [("no.such", SET, "1")], INVALID_CONFIG, "Unknown topic config name: no.such"),
            ("append to a number", [("retention.ms", APPEND, "1")], INVALID_CONFIG, "not LIST"),
            ("unknown operation", [("retention.ms", 9, "1")], INVALID_REQUEST, "operation"),
            ("append nonsense", [("cleanup.policy", APPEND, "nonsense")], INVALID_CONFIG, "must be one of"),
            ("twice", [("retention.ms", SET, "1"), ("retention.ms", SET, "2")], INVALID_REQUEST, "duplicate"),
            ("in conflict", [("min.compaction.lag.ms", SET, "100"), ("max.compaction.lag.ms", SET, "50")], INVALID_CONFIG, "conflict"),
            ("one of two", [("retention.ms", SET, "1"), ("segment.ms", SET, "x")], INVALID_CONFIG, "segment.ms"),
            ("long value", [("cleanup.policy", SET, "delete," * 10000)], INVALID_CONFIG, "too long"),
            ("long name", [("n" * 40000, SET, "1")], INVALID_REQUEST, "too long"),
            ("zero byte", [("retention.ms", SET, "1\0")], INVALID_CONFIG, "text"),
            ("a thousand and one", [("n%d" % i, SET, "1") for i in range(1001)], INVALID_REQUEST, "Too many")):
        for dry in (True, False):
            refused(what, change(TOPIC, name, *operations, dry=dry), code, pattern)
    tap.equal({k: v for k, v in values(TOPIC, name).items() if v[1] == 1 and k != "cleanup.policy"}, {}, "none of these has changed anything")
    refused("missing topic", change(TOPIC, "missing", ("retention.ms", SET, "1")), UNKNOWN_TOPIC, "does not exist")
    refused("all topics", change(TOPIC, "", ("retention.ms", SET, "1")), INVALID_REQUEST, "not allowed")
    got = client.call("IncrementalAlterConfigs", 1, {"Resources": [
        {"ResourceType": TOPIC, "ResourceName": n, "Configs": [{"Name": "retention.ms", "ConfigOperation": SET, "Value": "9"}]}
        for n in (name, "plain", name)]})["Responses"]
    tap.equal([r["ErrorCode"] for r in got], [INVALID_REQUEST, NONE, INVALID_REQUEST], "a resource that is named twice is refused")


def test_replace_topic():
    """AlterConfigs: what is not named goes back to its default"""
    def check(version):
        name = "replaced-%d" % version
        server.sql("SELECT create_topic('%s', config => '{\"segment.ms\": 1000, \"retention.ms\": 2000}')" % name)
        yield differs("dry", replace(TOPIC, name, {"retention.ms": "7000"}, version, dry=True), (NONE, None))
        yield differs("still", values(TOPIC, name, ["segment.ms"])["segment.ms"], ("1000", 1))
        yield differs("replace", replace(TOPIC, name, {"retention.ms": "7000"}, version), (NONE, None))
        got = values(TOPIC, name, ["segment.ms", "retention.ms"])
        yield differs("values", got, {"segment.ms": ("604800000", 5), "retention.ms": ("7000", 1)})
        yield differs("by nothing", replace(TOPIC, name, {}, version), (NONE, None))
        yield differs("defaults", {v[1] for v in values(TOPIC, name).values()}, {5})
    each_version("AlterConfigs", check)
    refused("unknown", replace(TOPIC, "plain", {"no.such": "1"}), INVALID_CONFIG, "Unknown topic config")
    refused("null", replace(TOPIC, "plain", {"retention.ms": None}), INVALID_REQUEST, "Null value")
    refused("logger", replace(LOGGER, "1", {"root": "INFO"}), INVALID_REQUEST, "Unknown resource type 8")


def test_groups():
    """configs of groups: kept, checked, and followed by the coordinator"""
    tap.equal(values(GROUP, "g"), {"consumer.heartbeat.interval.ms": ("5000", 5), "consumer.session.timeout.ms": ("45000", 5)},
              "a group that nobody has heard of has the defaults")
    tap.equal(change(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000")), (NONE, None), "set")
    tap.equal(synonyms(GROUP, "g", "consumer.session.timeout.ms"),
              [("consumer.session.timeout.ms", "50000", 8), ("group.consumer.session.timeout.ms", "45000", 5)], "synonyms")
    tap.equal(server.sql("SELECT value FROM group_configs('g') WHERE NOT is_default"), "50000", "SQL sees it")
    server.sql("SELECT alter_group('g', '{\"consumer.heartbeat.interval.ms\": 7000}')")
    tap.equal(values(GROUP, "g")["consumer.heartbeat.interval.ms"], ("7000", 8), "and changes it")

    def heartbeat():
        answer = client.call("ConsumerGroupHeartbeat", 0, {"GroupId": "g", "MemberId": "AAAAAAAAAAAAAAAAAAAAAA", "MemberEpoch": 0,
                                                           "RebalanceTimeoutMs": 60000, "SubscribedTopicNames": ["plain"],
                                                           "TopicPartitions": []})
        return answer["ErrorCode"], answer["HeartbeatIntervalMs"]
    tap.equal(heartbeat(), (NONE, 7000), "members are told the interval of their group")
    server.sql("SELECT alter_group('g', '{\"consumer.heartbeat.interval.ms\": 9000}')")
    tap.equal(heartbeat(), (NONE, 9000), "and a new one, whoever changed it")
    server.restart()
    server.wait_listener()
    reconnect()
    tap.equal({k: v[0] for k, v in values(GROUP, "g").items()},
              {"consumer.heartbeat.interval.ms": "9000", "consumer.session.timeout.ms": "50000"}, "they survive a restart")
    tap.equal(heartbeat(), (NONE, 9000), "and count")
    for what, operation, code, pattern in (
            ("too short", ("consumer.session.timeout.ms", SET, "5"), INVALID_CONFIG, "group.consumer.min.session.timeout.ms"),
            ("too long", ("consumer.heartbeat.interval.ms", SET, "15001"), INVALID_CONFIG, "group.consumer.max.heartbeat.interval.ms"),
            ("no number", ("consumer.session.timeout.ms", SET, "x"), INVALID_CONFIG, "Not a number of type INT"),
            ("unknown", ("share.session.timeout.ms", SET, "50000"), INVALID_CONFIG, "Unknown group config name")):
        for dry in (True, False):
            refused(what, change(GROUP, "g", operation, dry=dry), code, pattern)
    refused("no name", change(GROUP, "", ("consumer.session.timeout.ms", SET, "50000")), INVALID_REQUEST, "not allowed")
    tap.equal(describe(GROUP, "")["ErrorCode"], INVALID_REQUEST, "nor is it described")
    tap.equal(replace(GROUP, "g", {"consumer.session.timeout.ms": "46000"}), (NONE, None), "AlterConfigs")
    tap.equal(server.sql("SELECT configs FROM group_configs WHERE group_id = 'g'"), '{"consumer.session.timeout.ms": "46000"}',
              "leaves only what it names")
    tap.equal(change(GROUP, "g", ("consumer.session.timeout.ms", DELETE, None)), (NONE, None), "delete")
    tap.equal(server.sql("SELECT count(*) FROM group_configs"), "0", "a group without configs of its own leaves no row")


def test_list():
    """ListConfigResources"""
    change(GROUP, "listed", ("consumer.session.timeout.ms", SET, "50000"))

    def check(version):
        got = client.call("ListConfigResources", version, {})
        yield differs("error", got["ErrorCode"], NONE)
        found = {(r["ResourceType"], r["ResourceName"]) for r in got["ConfigResources"]} if version else set()
        if version == 0:
            yield differs("client metrics", got["ConfigResources"], [])
            return
        for resource in ((TOPIC, "plain"), (BROKER, "1"), (LOGGER, "1"), (GROUP, "listed")):
            yield None if resource in found else "%r is missing" % (resource,)
        some = client.call("ListConfigResources", version, {"ResourceTypes": [BROKER, GROUP]})["ConfigResources"]
        yield differs("some", sorted((r["ResourceType"], r["ResourceName"]) for r in some), [(BROKER, "1"), (GROUP, "listed")])
        yield differs("metrics", client.call("ListConfigResources", version, {"ResourceTypes": [METRICS]})["ConfigResources"], [])
        yield differs("unknown", client.call("ListConfigResources", version, {"ResourceTypes": [99]})["ErrorCode"], UNSUPPORTED)
    each_version("ListConfigResources", check)
    change(GROUP, "listed", ("consumer.session.timeout.ms", DELETE, None))


def test_broker():
    """configs of the broker are PostgreSQL's settings"""
    got = values(BROKER, "1")
    for name, expected in (("broker.id", ("1", 4)), ("node.id", ("1", 4)), ("num.partitions", ("1", 4)),
                           ("auto.create.topics.enable", ("true", 4)), ("message.max.bytes", ("1048588", 5)),
                           ("log.retention.hours", ("168", 5)), ("log.retention.ms", ("604800000", 5)), ("group.max.size", ("2147483647", 5)),
                           ("advertised.listeners", ("PLAINTEXT://" + server.bootstrap, 4)), ("offsets.retention.minutes", ("10080", 5)),
                           ("socket.request.max.bytes", ("104857600", 5)), ("connections.max.idle.ms", ("600000", 5))):
        tap.equal(got.get(name), expected, name)
    tap.ok(len(got) >= 60, "%d configs" % len(got))
    tap.equal(sorted(got), sorted(server.sql("SELECT name FROM broker_configs()").split("\n")), "broker_configs() has them all")
    tap.equal(server.sql("SELECT string_agg(b.setting, ' ') FROM broker_configs() b WHERE b.setting IS NOT NULL AND NOT EXISTS "
                         "(SELECT FROM pg_settings s WHERE s.name = b.setting)"), "", "every setting that is named is there")
    for name, code in (("7", INVALID_REQUEST), ("x", INVALID_REQUEST), ("1x", INVALID_REQUEST), ("", NONE)):
        tap.equal(describe(BROKER, name)["ErrorCode"], code, "broker %r" % name)
    tap.equal(values(LOGGER, "1"), {"root": ("WARN", 6)}, "the one logger")
    tap.equal([describe(LOGGER, n)["ErrorCode"] for n in ("", "2")], [INVALID_REQUEST] * 2, "other loggers")
    tap.equal(describe(METRICS, "m")["ErrorCode"], INVALID_REQUEST, "client metrics")


def test_broker_guarded():
    """nobody changes the server who was not allowed to"""
    before = server.sql("SELECT pg_read_file('postgresql.auto.conf')")
    for kind, name, config, value in ((BROKER, "1", "num.partitions", "3"), (BROKER, "", "num.partitions", "3"),
                                      (LOGGER, "1", "root", "INFO"), (BROKER, "1", "no.such", "3")):
        for dry in (True, False):
            refused("%s of %d %r" % (config, kind, name), change(kind, name, (config, SET, value), dry=dry), NOT_ALLOWED, "pgtopic.kafka_admin")
    refused("AlterConfigs", replace(BROKER, "1", {"num.partitions": "3"}), NOT_ALLOWED, "pgtopic.kafka_admin")
    tap.equal(change(BROKER, "1", ("leader.replication.throttled.rate", DELETE, None), ("num.partitions", DELETE, None)), (NONE, None),
              "taking back what is not set changes nothing, and may be asked for")
    refused("delete of an unknown one", change(BROKER, "1", ("no.such", DELETE, None)), NOT_ALLOWED, "pgtopic.kafka_admin")
    tap.equal(replace(BROKER, "1", {}), (NONE, None), "nor does AlterConfigs by nothing")
    client.call("OffsetCommit", 2, {"GroupId": "x", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {"Name": "plain", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0, "CommittedMetadata": None}]}]})
    refused("internal topic", change(TOPIC, "__consumer_offsets", ("max.message.bytes", SET, "1")), 29, "pgtopic.kafka_admin")
    refused("internal topic, AlterConfigs", replace(TOPIC, "__consumer_offsets", {}), 29, "pgtopic.kafka_admin")
    tap.equal(values(TOPIC, "__consumer_offsets", ["cleanup.policy"]), {"cleanup.policy": ("compact", 1)}, "is described")
    server.sql("ALTER SYSTEM SET pgtopic.default_partitions = 2")
    server.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)
    refused("AlterConfigs to defaults", replace(BROKER, "1", {}), NOT_ALLOWED, "pgtopic.kafka_admin")
    refused("delete", change(BROKER, "1", ("num.partitions", DELETE, None)), NOT_ALLOWED, "pgtopic.kafka_admin")
    tap.equal(values(BROKER, "1", ["num.partitions"]), {"num.partitions": ("2", 2)}, "what is set stays")
    server.sql("ALTER SYSTEM RESET pgtopic.default_partitions")
    server.sql("SELECT pg_reload_conf()")
    tap.equal(server.sql("SELECT pg_read_file('postgresql.auto.conf')"), before, "nothing was changed")


def test_change_broker():
    """with pgtopic.kafka_admin the settings are changed by ALTER SYSTEM"""
    allow(True)
    tap.equal(change(BROKER, "1", ("num.partitions", SET, "3"), dry=True), (NONE, None), "dry run")
    tap.equal(values(BROKER, "1", ["num.partitions"]), {"num.partitions": ("1", 4)}, "which changes nothing")
    tap.equal(change(BROKER, "1", ("num.partitions", SET, "3"), ("auto.create.topics.enable", SET, "false")), (NONE, None), "two at once")
    tap.equal(values(BROKER, "1", ["num.partitions", "auto.create.topics.enable"]),
              {"num.partitions": ("3", 2), "auto.create.topics.enable": ("false", 2)}, "are told at once")
    tap.equal(synonyms(BROKER, "1", "num.partitions"), [("num.partitions", "3", 2), ("num.partitions", "1", 5)], "with synonyms")
    tap.equal(values(BROKER, ""), {"num.partitions": ("3", 3), "auto.create.topics.enable": ("false", 3)}, "and as default of all brokers")
    time.sleep(0.2)
    tap.equal(server.sql("SELECT setting FROM pg_settings WHERE name = 'pgtopic.default_partitions'"), "3", "all sessions follow")
    client.call("CreateTopics", 7, {"Topics": [{"Name": "three", "NumPartitions": -1, "ReplicationFactor": -1}]})
    tap.equal(server.sql("SELECT partitions FROM topics WHERE topic::text = 'three'"), "3", "and so does what is made")
    tap.equal(change(BROKER, "", ("num.partitions", DELETE, None)), (NONE, None), "delete, by the name of all brokers")
    tap.equal(values(BROKER, "1", ["num.partitions"]), {"num.partitions": ("1", 4)}, "brings the default back")
    for what, operation, code, pattern in (
            ("out of bounds", ("num.partitions", SET, "500000"), INVALID_CONFIG, "pgtopic.default_partitions"),
            ("no number", ("num.partitions", SET, "x"), INVALID_REQUEST, "Not a number of type INT"),
            ("no boolean", ("auto.create.topics.enable", SET, "maybe"), INVALID_REQUEST, "true or false"),
            ("unknown", ("no.such", SET, "1"), INVALID_CONFIG, "Unknown broker config name"),
            ("read at start", ("listeners", SET, "PLAINTEXT://:1"), INVALID_REQUEST, "pgtopic.listeners"),
            ("default of topics", ("log.flush.interval.ms", SET, "1"), INVALID_REQUEST, "each topic"),
            ("parts of a second", ("log.retention.ms", SET, "1"), INVALID_REQUEST, "multiple of 1000"),
            ("below -1", ("log.retention.ms", SET, "-2"), INVALID_CONFIG, "pgtopic.log_retention"),
            ("fixed", ("fetch.max.bytes", SET, "1"), INVALID_REQUEST, "no setting"),
            ("line break", ("num.partitions", SET, "3\nport = 1"), INVALID_REQUEST, "Not a number"),
            ("append", ("num.partitions", APPEND, "3"), INVALID_CONFIG, "not LIST")):
        for dry in (True, False):
            refused(what, change(BROKER, "1", operation, dry=dry), code, pattern)
    refused("one of two", change(BROKER, "1", ("num.partitions", SET, "4"), ("socket.request.max.bytes", SET, "1")), INVALID_CONFIG)
    tap.equal(values(BROKER, "1", ["num.partitions"]), {"num.partitions": ("1", 4)}, "leaves the other alone")
    refused("other broker", change(BROKER, "2", ("num.partitions", SET, "4")), INVALID_REQUEST, "expected 1")

    tap.equal(replace(BROKER, "1", {"connections.max.idle.ms": "500000"}), (NONE, None), "AlterConfigs")
    tap.equal(values(BROKER, ""), {"connections.max.idle.ms": ("500000", 3)}, "takes all others back")
    tap.equal((replace(BROKER, "1", {}), values(BROKER, "")), ((NONE, None), {}), "and by nothing everything")
    tap.equal(server.sql("SHOW pgtopic.kafka_admin"), "on", "but never what Kafka has no name for")

    tap.equal(change(TOPIC, "__consumer_offsets", ("segment.ms", SET, "1000")), (NONE, None), "a config of an internal topic")
    tap.equal(change(LOGGER, "1", ("root", SET, "INFO")), (NONE, None), "a level of the logger")
    tap.equal(values(LOGGER, "1"), {"root": ("INFO", 6)}, "is told")
    for what, operation, code in (("level", ("root", SET, "LOUD"), INVALID_CONFIG), ("logger", ("kafka", SET, "INFO"), INVALID_CONFIG),
                                  ("delete", ("root", DELETE, None), INVALID_REQUEST)):
        refused("logger, " + what, change(LOGGER, "1", operation), code)
    change(LOGGER, "1", ("root", SET, "WARN"))
    allow(False)
    refused("off again", change(BROKER, "1", ("num.partitions", SET, "3")), NOT_ALLOWED)


def test_kept():
    """configs that tune what this server does not have are checked and kept; what would promise something is refused"""
    refused("guarded like all", change(BROKER, "1", ("log.cleaner.threads", SET, "2")), NOT_ALLOWED, "pgtopic.kafka_admin")
    allow(True)
    tap.equal(values(BROKER, "1", ["log.cleaner.threads"]), {"log.cleaner.threads": ("1", 5)}, "Kafka's default")
    tap.equal(change(BROKER, "1", ("log.cleaner.threads", SET, "2"), dry=True), (NONE, None), "dry run")
    tap.equal(server.sql("SELECT count(*) FROM kept_broker_configs"), "0", "which changes nothing")
    tap.equal(change(BROKER, "1", ("log.cleaner.threads", SET, "2"), ("background.threads", SET, "20"), ("num.partitions", SET, "3")),
              (NONE, None), "beside a setting")
    tap.equal(values(BROKER, "1", ["log.cleaner.threads", "background.threads", "num.partitions"]),
              {"log.cleaner.threads": ("2", 2), "background.threads": ("20", 2), "num.partitions": ("3", 2)}, "all are told")
    tap.equal(synonyms(BROKER, "1", "log.cleaner.threads"), [("log.cleaner.threads", "2", 2), ("log.cleaner.threads", "1", 5)], "with synonyms")
    got = describe(BROKER, "1", ["log.cleaner.threads"], IncludeDocumentation=True)["Configs"][0]
    tap.ok("without effect" in got["Documentation"] and not got["ReadOnly"], "the documentation says so: " + got["Documentation"])
    for what, operation, code, pattern in (
            ("out of bounds", ("background.threads", SET, "0"), INVALID_CONFIG, "at least 1"),
            ("no number", ("num.io.threads", SET, "x"), INVALID_CONFIG, "Not a number of type INT"),
            ("security", ("ssl.client.auth", SET, "required"), INVALID_REQUEST, "does not have"),
            ("of a listener", ("listener.name.plaintext.ssl.keystore.location", SET, "x"), INVALID_REQUEST, "does not have"),
            ("a limit", ("max.connection.creation.rate", SET, "1"), INVALID_REQUEST, "does not have"),
            ("unknown", ("log.cleaner.thread", SET, "1"), INVALID_CONFIG, "Unknown broker config name")):
        for dry in (True, False):
            refused(what, change(BROKER, "1", operation, dry=dry), code, pattern)
    refused("a kept one beside a setting that is wrong", change(BROKER, "1", ("log.cleaner.threads", SET, "5"), ("num.partitions", SET, "0")),
            INVALID_CONFIG)
    refused("and the other way round", change(BROKER, "1", ("log.cleaner.threads", SET, "-1"), ("num.partitions", SET, "7")), INVALID_CONFIG)
    tap.equal(values(BROKER, "", ["log.cleaner.threads", "num.partitions"]),
              {"log.cleaner.threads": ("2", 3), "num.partitions": ("3", 3)}, "neither was changed")
    server.restart()
    server.wait_listener()
    reconnect()
    tap.equal(values(BROKER, "1", ["background.threads"]), {"background.threads": ("20", 2)}, "is there after a restart")
    tap.equal(change(BROKER, "1", ("log.cleaner.threads", DELETE, None)), (NONE, None), "delete")
    tap.equal(values(BROKER, "1", ["log.cleaner.threads"]), {"log.cleaner.threads": ("1", 5)}, "brings the default back")
    throttle = (("leader.replication.throttled.rate", SET, "1000"), ("follower.replication.throttled.rate", SET, "1000"))
    tap.equal(change(BROKER, "1", *throttle), (NONE, None), "throttles of a reassignment")
    tap.equal((replace(BROKER, "1", {"background.threads": "20"}), sorted(values(BROKER, ""))), ((NONE, None), ["background.threads"]),
              "AlterConfigs takes the others back")
    allow(False)


def test_dump():
    """configs of groups and kept ones of the broker are dumped"""
    server.sql("SELECT alter_group('dumped', '{\"consumer.session.timeout.ms\": 50000}')")
    server.run("createdb", "copy")
    server.run(os.path.join(pg.BINDIR, "pg_dump"), "-Fc", "-f", server.dir + "/g.dump", "postgres")
    server.run(os.path.join(pg.BINDIR, "pg_restore"), "-d", "copy", server.dir + "/g.dump", check=False)
    tap.equal(server.sql("SELECT value FROM group_configs('dumped') WHERE NOT is_default", database="copy"), "50000", "and restored")
    tap.equal(server.sql("TABLE kept_broker_configs", database="copy"), "background.threads|20", "those of the broker, too")


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.log_retention": None}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    reconnect()
    tap.main([test_versions, test_describe_topic, test_change_topic, test_replace_topic, test_groups, test_list, test_broker,
              test_broker_guarded, test_change_broker, test_kept, test_dump])


main()
