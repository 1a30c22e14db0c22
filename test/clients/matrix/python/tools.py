#!/usr/bin/env python3
"""The command line tools of Apache Kafka, started by class as their shell scripts do; what they print is checked.

Each step is a call of a tool, named by its script.  Needs CLASSPATH.  TOOLS, a regular expression, chooses steps
(of those that the chosen ones build on, all run).
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from scenario import BOOTSTRAP, PREFIX, check, say, step

TOPIC = PREFIX + "-tools"
GROUP = PREFIX + "-tools-group"
JVM = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
PARTITIONS = 3
work = tempfile.mkdtemp(prefix="tools-")


def run(name, *arguments, text=None, status=0, server=True, timeout=60):
    """Runs a tool; its output (standard output and error in one)."""
    name = name if "." in name and name.startswith("kafka.") else "org.apache.kafka.tools." + name
    if server:
        arguments = ("--bootstrap-server", BOOTSTRAP, *arguments)
    done = subprocess.run([*JVM, name, *arguments], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, check=False)
    out = "\n".join(line for line in done.stdout.split("\n") if not line.startswith("SLF4J"))
    if status is not None:
        check((done.returncode == 0) == (status == 0), "exit status %d: %s" % (done.returncode, out[-250:]))
    return out


def expect(pattern, text):
    found = re.search(pattern, text, re.M)
    check(found, "no %r in: %s" % (pattern, text.strip()[-220:]))
    return found


def json_file(name, what):
    path = os.path.join(work, name)
    with open(path, "w", encoding="utf8") as f:
        json.dump(what, f)
    return path


def topics(*arguments, **more):
    return run("TopicCommand", *arguments, **more)


def groups(*arguments, **more):
    return run("consumer.group.ConsumerGroupCommand", *arguments, **more)


def configs(*arguments, **more):
    return run("kafka.admin.ConfigCommand", *arguments, **more)


# topics

def topics_create():
    expect("Created topic", topics("--create", "--topic", TOPIC, "--partitions", "2", "--replication-factor", "1",
                                   "--config", "retention.ms=1000000"))
    expect("already exists", topics("--create", "--topic", TOPIC, status=1))
    topics("--create", "--topic", TOPIC, "--if-not-exists")


def topics_list():
    expect("^%s$" % TOPIC, topics("--list"))


def topics_alter():
    topics("--alter", "--topic", TOPIC, "--partitions", str(PARTITIONS))
    expect("partition", topics("--alter", "--topic", TOPIC, "--partitions", "1", status=1))


def topics_describe():
    out = topics("--describe", "--topic", TOPIC)
    expect(r"Topic: %s\s+TopicId: \S{22}\s+PartitionCount: %d\s+ReplicationFactor: 1\s+Configs: .*retention.ms=1000000"
           % (TOPIC, PARTITIONS), out)
    expect(r"Partition: 2\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", out)
    check(topics("--describe", "--topic", TOPIC, "--unavailable-partitions").strip() == "", "unavailable partitions")


# records

def console_producer():
    run("ConsoleProducer", "--topic", TOPIC, "--command-property", "linger.ms=0", "--reader-property", "parse.key=true",
        text="".join("k%d\tv%d\n" % (i, i) for i in range(300)))
    out = run("GetOffsetShell", "--topic", TOPIC)
    check(sum(int(line.rsplit(":", 1)[1]) for line in out.split()) == 300, out)


def console_consumer():
    out = run("consumer.ConsoleConsumer", "--topic", TOPIC, "--from-beginning", "--max-messages", "300", "--formatter-property",
              "print.key=true", "--timeout-ms", "20000", "--group", GROUP)
    found = {line for line in out.split("\n") if line.startswith("k")}
    check(found == {"k%d\tv%d" % (i, i) for i in range(300)}, "%d of 300 records" % len(found))


def get_offsets():
    expect("^%s:2:\\d+$" % TOPIC, run("GetOffsetShell", "--topic", TOPIC, "--time", "latest"))
    expect("^%s:1:0$" % TOPIC, run("GetOffsetShell", "--topic", TOPIC, "--time", "earliest"))
    expect("^%s:1:\\d+$" % TOPIC, run("GetOffsetShell", "--topic", TOPIC, "--time", "max-timestamp"))


def delete_records():
    path = json_file("delete.json", {"version": 1, "partitions": [{"topic": TOPIC, "partition": 0, "offset": 7}]})
    expect(r"low_watermark: 7", run("DeleteRecordsCommand", "--offset-json-file", path))
    expect("^%s:0:7$" % TOPIC, run("GetOffsetShell", "--topic", TOPIC, "--time", "earliest"))


def producer_perf():
    out = run("ProducerPerformance", "--topic", TOPIC, "--num-records", "20000", "--record-size", "100", "--throughput", "-1",
              "--command-property", "acks=all")
    expect("20000 records sent", out)


def consumer_perf():
    out = run("ConsumerPerformance", "--topic", TOPIC, "--num-records", "10000", "--timeout", "20000")
    line = [part.strip() for part in out.strip().split("\n")[-1].split(",")]
    check(float(line[4]) >= 10000, out)


def verifiable_producer():
    out = run("VerifiableProducer", "--topic", TOPIC, "--max-messages", "200", "--acks", "-1")
    last = json.loads(out.strip().split("\n")[-1])
    check(last["name"] == "tool_data" and last["acked"] == 200, out[-200:])


def verifiable_consumer():
    out = run("VerifiableConsumer", "--topic", TOPIC, "--group-id", GROUP + "-v", "--max-messages", "200",
              "--reset-policy", "earliest", "--session-timeout", "6000")
    events = [json.loads(line) for line in out.strip().split("\n") if line.startswith("{")]
    names = {e["name"] for e in events}
    check({"startup_complete", "partitions_assigned", "records_consumed", "offsets_committed"} <= names, str(names))
    check(all(e["success"] for e in events if e["name"] == "offsets_committed"), "a commit failed")


def end_to_end_latency():
    out = run("EndToEndLatency", "--topic", TOPIC + "-e2e", "--num-records", "200", "--producer-acks", "all",
              "--record-size", "100")
    expect("Avg latency: ", out)


# groups

def groups_list():
    expect("^%s$" % GROUP, groups("--list"))
    expect(r"^%s\s+Empty" % GROUP, groups("--list", "--state"))
    expect(r"^%s\s+(Classic|classic)" % GROUP, groups("--list", "--type"))


def groups_describe():
    out = groups("--describe", "--group", GROUP)
    expect(r"^%s\s+%s\s+\d\s+\d+\s+\d+\s+\d+\s+-\s+-\s+-" % (GROUP, TOPIC), out)
    expect(r"^%s\s+\S+\s+\(\d+\)\s+\S+\s+Empty\s+0" % GROUP, groups("--describe", "--group", GROUP, "--state"))
    expect("does not exist|not found", groups("--describe", "--group", GROUP + "-none", status=None))


def groups_members(protocol):
    """While a member is there."""
    name = GROUP + "-" + protocol
    member = subprocess.Popen([*JVM, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", BOOTSTRAP, "--topic",
                               TOPIC, "--group", name, "--command-property", "client.id=watched", "--command-property",
                               "group.protocol=" + protocol], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 40
        while "Stable" not in groups("--describe", "--group", name, "--state", status=None):
            check(time.monotonic() < deadline, "never stable")
        out = groups("--describe", "--group", name, "--members", "--verbose")
        expect(r"^%s\s+\S+\s+(-\s+)?/?127.0.0.1\s+watched\s+3" % name, out)
        expect(r"%s(\(|:)0,\s?1,\s?2" % TOPIC, out)
        expect("Stable|is not empty|active|not inactive", groups("--reset-offsets", "--group", name, "--topic", TOPIC,
                                                                 "--to-earliest", "--execute", status=None))
        expect("(?i)not empty|non.?empty", groups("--delete", "--group", name, status=None))
    finally:
        member.terminate()
        member.wait(30)


def groups_reset():
    out = groups("--reset-offsets", "--group", GROUP, "--topic", TOPIC, "--to-earliest", "--dry-run")
    expect(r"^%s\s+%s\s+0\s+7" % (GROUP, TOPIC), out)
    expect(r"^%s\s+%s\s+1\s+5" % (GROUP, TOPIC), groups("--reset-offsets", "--group", GROUP, "--topic", TOPIC + ":1",
                                                        "--to-offset", "5", "--execute"))
    expect(r"^%s\s+%s\s+1\s+8" % (GROUP, TOPIC), groups("--reset-offsets", "--group", GROUP, "--topic", TOPIC + ":1",
                                                        "--shift-by", "3", "--execute"))
    expect(r"^%s\s+%s\s+1\s+8\s" % (GROUP, TOPIC), groups("--describe", "--group", GROUP, "--offsets"))
    groups("--reset-offsets", "--group", GROUP, "--topic", TOPIC, "--to-datetime", "2020-01-01T00:00:00.000", "--execute")


def groups_delete_offsets():
    expect(r"^%s\s+1\s+Successful" % TOPIC, groups("--delete-offsets", "--group", GROUP, "--topic", TOPIC + ":1"))
    check(not re.search(r"%s\s+1\s+8" % TOPIC, groups("--describe", "--group", GROUP)), "still there")


def groups_delete():
    expect("were successful|was successful|Deletion of requested consumer groups", groups("--delete", "--group", GROUP))
    check(not re.search("^%s$" % GROUP, groups("--list"), re.M), "still there")


def groups_command():
    expect(r"^%s\s+(Classic|Consumer)\s+" % GROUP, run("GroupsCommand", "--list"))


def offsets_formatter():
    """__consumer_offsets is read by Kafka's own formatter."""
    reader = subprocess.Popen([*JVM, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", BOOTSTRAP, "--topic",
                               "__consumer_offsets", "--from-beginning", "--timeout-ms", "20000", "--formatter",
                               "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    killer = threading.Timer(40, reader.kill)
    killer.start()
    text = ""
    while True:
        part = reader.stdout.read(200)
        text += part
        if not part or re.search(r'"group":"%s".{0,300}"commitTimestamp":\d+[,}]' % GROUP, text):
            break
    reader.kill()
    reader.wait()
    killer.cancel()
    found = expect(r'"group":"%s","topic":"%s","partition":\d\}\},"value":\{"version":\d,"data":(.*)'
                   % (GROUP, TOPIC), text)
    expect('"offset":\\d+,"leaderEpoch":-?\\d+,"metadata":"","commitTimestamp":\\d+', found.group(1))


# configs

def configs_topic():
    configs("--alter", "--entity-type", "topics", "--entity-name", TOPIC, "--add-config", "retention.ms=2000000,cleanup.policy=delete")
    out = configs("--describe", "--entity-type", "topics", "--entity-name", TOPIC)
    expect("retention.ms=2000000 .*DYNAMIC_TOPIC_CONFIG:retention.ms=2000000", out)
    configs("--alter", "--entity-type", "topics", "--entity-name", TOPIC, "--delete-config", "retention.ms")
    check("retention.ms=" not in configs("--describe", "--entity-type", "topics", "--entity-name", TOPIC), "still there")
    expect("min.insync.replicas=", configs("--describe", "--entity-type", "topics", "--entity-name", TOPIC, "--all"))
    expect("(?i)unknown topic config|invalid|no.such", configs("--alter", "--entity-type", "topics", "--entity-name", TOPIC,
                                                              "--add-config", "no.such.config=1", status=None))


def broker_id():
    return expect(r"^\S+ \(id: (\d+) rack", run("BrokerApiVersionsCommand")).group(1)


def configs_broker():
    broker = broker_id()
    out = configs("--describe", "--entity-type", "brokers", "--entity-name", broker, "--all")
    expect("log.retention", out)


def configs_group():
    configs("--alter", "--entity-type", "groups", "--entity-name", GROUP, "--add-config", "consumer.heartbeat.interval.ms=6000")
    expect("consumer.heartbeat.interval.ms=6000", configs("--describe", "--entity-type", "groups", "--entity-name", GROUP))
    configs("--alter", "--entity-type", "groups", "--entity-name", GROUP, "--delete-config", "consumer.heartbeat.interval.ms")


# the cluster

def log_dirs():
    out = run("LogDirsCommand", "--describe", "--topic-list", TOPIC)
    found = json.loads(out[out.index("{"):])
    partitions = found["brokers"][0]["logDirs"][0]["partitions"]
    check(len(partitions) == PARTITIONS and all(p["size"] > 0 for p in partitions), "partitions: %s" % partitions)


def leader_election():
    expect("(?i)success|already|not needed", run("LeaderElectionCommand", "--election-type", "preferred", "--topic", TOPIC,
                                                 "--partition", "0"))


def reassign_partitions():
    broker = broker_id()
    path = json_file("topics.json", {"version": 1, "topics": [{"topic": TOPIC}]})
    expect("Proposed partition reassignment", run("reassign.ReassignPartitionsCommand", "--topics-to-move-json-file", path,
                                                  "--broker-list", broker, "--generate"))
    expect("No partition reassignments found", run("reassign.ReassignPartitionsCommand", "--list"))
    path = json_file("same.json", {"version": 1, "partitions": [{"topic": TOPIC, "partition": 0, "replicas": [int(broker)]}]})
    expect("Successfully started", run("reassign.ReassignPartitionsCommand", "--reassignment-json-file", path, "--execute"))
    expect("is complete", run("reassign.ReassignPartitionsCommand", "--reassignment-json-file", path, "--verify"))


def features():
    out = run("FeatureCommand", "describe")
    expect(r"Feature: group.version\s+SupportedMinVersion: \d\s+SupportedMaxVersion: \d\s+FinalizedVersionLevel: 1", out)


def broker_api_versions():
    out = run("BrokerApiVersionsCommand")
    expect(r"Produce\(0\): 0 to 1\d", out)
    expect(r"ConsumerGroupHeartbeat\(68\): 0 to 1", out)


def cluster_id():
    expect(r"Cluster ID: \S{22}", run("ClusterTool", "cluster-id", "--bootstrap-server", BOOTSTRAP, server=False))
    expect(r"^\s*\d+\s+", run("ClusterTool", "list-endpoints", "--bootstrap-server", BOOTSTRAP, server=False))


def metadata_quorum():
    out = run("MetadataQuorumCommand", "describe", "--status")
    expect(r"ClusterId:\s+\S{22}", out)
    expect(r"LeaderId:\s+\d+", out)
    expect(r"Leader|NodeId", run("MetadataQuorumCommand", "describe", "--replication"))


def delegation_tokens():
    """Not enabled, and said so."""
    expect("(?i)delegation token", run("DelegationTokenCommand", "--describe", "--command-config", json_config(), status=None))


def json_config():
    path = os.path.join(work, "client.properties")
    with open(path, "w", encoding="utf8") as f:
        f.write("request.timeout.ms=10000\n")
    return path


def topics_delete():
    topics("--delete", "--topic", TOPIC)
    for _ in range(20):
        if TOPIC not in topics("--list").split("\n"):
            return
    check(False, "still listed")


STEPS = [
    ("kafka-topics --create", topics_create), ("kafka-topics --list", topics_list), ("kafka-topics --alter", topics_alter),
    ("kafka-topics --describe", topics_describe), ("kafka-console-producer", console_producer),
    ("kafka-console-consumer", console_consumer), ("kafka-delete-records", delete_records),
    ("kafka-get-offsets", get_offsets), ("kafka-consumer-groups --list", groups_list),
    ("kafka-consumer-groups --describe", groups_describe), ("kafka-consumer-groups --reset-offsets", groups_reset),
    ("offsets formatter", offsets_formatter),
    ("kafka-consumer-groups --members, classic", lambda: groups_members("classic")),
    ("kafka-consumer-groups --members, consumer", lambda: groups_members("consumer")),
    ("kafka-groups --list", groups_command), ("kafka-consumer-groups --delete-offsets", groups_delete_offsets),
    ("kafka-configs, topic", configs_topic), ("kafka-configs, broker", configs_broker), ("kafka-configs, group", configs_group),
    ("kafka-consumer-groups --delete", groups_delete), ("kafka-log-dirs", log_dirs),
    ("kafka-leader-election", leader_election), ("kafka-reassign-partitions", reassign_partitions),
    ("kafka-features", features), ("kafka-broker-api-versions", broker_api_versions), ("kafka-cluster", cluster_id),
    ("kafka-metadata-quorum", metadata_quorum), ("kafka-delegation-tokens", delegation_tokens),
    ("kafka-verifiable-producer", verifiable_producer), ("kafka-verifiable-consumer", verifiable_consumer),
    ("kafka-producer-perf-test", producer_perf), ("kafka-consumer-perf-test", consumer_perf),
    ("kafka-e2e-latency", end_to_end_latency), ("kafka-topics --delete", topics_delete),
]


def main():
    chosen = os.environ.get("TOOLS", ".")
    version = re.search(r"kafka-tools-([\d.]+)\.jar", " ".join(os.listdir(os.environ["CLASSPATH"].split("/*")[0])))
    say(client="tools of Apache Kafka " + (version.group(1) if version else "?"))
    for name, function in STEPS:
        if re.search(chosen, name):
            step(name, function)
    shutil.rmtree(work, ignore_errors=True)


main()
