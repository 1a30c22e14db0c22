#!/usr/bin/env python3
"""Consumer groups as applications use them: librdkafka through confluent-kafka, and Apache Kafka's console tools.

Classic groups with eager and cooperative assignors, static members, and groups of the consumer
protocol (KIP-848), each with members that come, leave and die; then what kafka-consumer-groups says and does.
"""

import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient
except ImportError:
    tap.skip("confluent_kafka is not installed")

PARTITIONS = 6
LIBS = os.path.join(HERE, "build", "java", "libs")
server = None

# What a member of each kind is configured with.
KINDS = {"eager": {"partition.assignment.strategy": "range", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500},
         "cooperative": {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500},
         "consumer": {"group.protocol": "consumer"}}


class Member(threading.Thread):
    """A consumer that reads and commits until it is told to stop."""

    def __init__(self, group, kind, topics, **settings):
        super().__init__(daemon=True)
        self.consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0,
                                  "auto.offset.reset": "earliest", **KINDS[kind], **settings})
        self.topics = topics
        self.assigned = set()
        self.read = []
        self.errors = []
        self.going = True
        self.start()

    def run(self):
        self.consumer.subscribe(self.topics)
        while self.going:
            record = self.consumer.poll(0.1)
            self.assigned = {p.partition for p in self.consumer.assignment()}
            if record is None:
                continue
            if record.error() is not None:
                self.errors.append(str(record.error()))
                continue
            self.read.append((record.partition(), record.offset()))
            try:
                self.consumer.commit(record, asynchronous=False)
            except KafkaException as problem:
                self.errors.append(str(problem))
        self.consumer.close()

    def stop(self):
        self.going = False
        self.join(30)


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def produce(topic, count):
    producer = Producer({"bootstrap.servers": server.bootstrap, "log_level": 0})
    for i in range(count):
        producer.produce(topic, str(i), partition=i % PARTITIONS)
    producer.flush(30)


def shared(*members):
    """Does every partition have exactly one owner, and every member some?"""
    owned = [p for m in members for p in m.assigned]
    return sorted(owned) == list(range(PARTITIONS)) and all(m.assigned for m in members)


def committed(group, topic):
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "log_level": 0})
    got = consumer.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=20)
    consumer.close()
    return sum(max(p.offset, 0) for p in got)


def run_kind(kind):
    topic, group = "work-" + kind, "group-" + kind
    server.sql("SELECT create_topic('%s', partitions => %d)" % (topic, PARTITIONS))
    produce(topic, 60)
    one = Member(group, kind, [topic])
    tap.ok(until(lambda: shared(one) and len(one.read) == 60), kind + ": one member reads all")
    two = Member(group, kind, [topic])
    tap.ok(until(lambda: shared(one, two)), kind + ": two share the partitions")
    produce(topic, 60)
    tap.ok(until(lambda: len(set(one.read + two.read)) == 120), kind + ": and read on")
    three = Member(group, kind, [topic])
    tap.ok(until(lambda: shared(one, two, three)), kind + ": three share them")
    one.stop()
    tap.ok(until(lambda: shared(two, three)), kind + ": one leaves")
    produce(topic, 60)
    tap.ok(until(lambda: len(set(one.read + two.read + three.read)) == 180), kind + ": nothing is skipped")
    two.stop()
    three.stop()
    tap.equal(committed(group, topic), 180, kind + ": all is committed")
    everything = one.read + two.read + three.read
    tap.equal(len(everything) - len(set(everything)), 0, kind + ": nothing came twice")
    tap.equal([m.errors for m in (one, two, three)], [[], [], []], kind + ": without errors")


def test_eager():
    run_kind("eager")


def test_cooperative():
    run_kind("cooperative")


def test_consumer():
    """KIP-848"""
    run_kind("consumer")


def test_migration():
    """members of both protocols in one group: it is a consumer group as long as one of them speaks that protocol"""
    topic, group = "mixed", "group-mixed"
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})

    def kind():
        return {g.group_id: g.type.name for g in admin.list_consumer_groups().result(20).valid}.get(group)
    server.sql("SELECT create_topic('%s', partitions => %d)" % (topic, PARTITIONS))
    produce(topic, 60)
    old = Member(group, "eager", [topic])
    tap.ok(until(lambda: shared(old) and len(set(old.read)) == 60), "a classic member")
    tap.equal(kind(), "CLASSIC", "a classic group")
    new = Member(group, "consumer", [topic])
    tap.ok(until(lambda: shared(old, new)), "one of the new protocol comes: they share the partitions")
    tap.equal(kind(), "CONSUMER", "a consumer group")
    produce(topic, 60)
    tap.ok(until(lambda: len(set(old.read + new.read)) == 120), "nothing is skipped")
    new.stop()
    tap.ok(until(lambda: shared(old)), "it leaves")
    tap.equal(kind(), "CLASSIC", "a classic group again")
    newer = Member(group, "consumer", [topic])
    tap.ok(until(lambda: shared(old, newer)), "another one comes")
    old.stop()
    tap.ok(until(lambda: shared(newer)), "the classic member leaves")
    produce(topic, 60)
    tap.ok(until(lambda: len(set(old.read + new.read + newer.read)) == 180), "nothing is skipped")
    newer.stop()
    tap.equal(committed(group, topic), 180, "all is committed")


def test_member_dies():
    """a member that is killed is missed after its session timeout"""
    topic, group = "killed", "group-killed"
    server.sql("SELECT create_topic('%s', partitions => %d)" % (topic, PARTITIONS))
    script = ("from confluent_kafka import Consumer\n"
              "c = Consumer({'bootstrap.servers': '%s', 'group.id': '%s', 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500,"
              "'partition.assignment.strategy': 'range', 'log_level': 0})\nc.subscribe(['%s'])\nwhile True:\n    c.poll(1)\n") % (
                  server.bootstrap, group, topic)
    one = Member(group, "eager", [topic])
    with subprocess.Popen([sys.executable, "-c", script]) as victim:
        tap.ok(until(lambda: 0 < len(one.assigned) < PARTITIONS), "two members share the partitions")
        victim.send_signal(signal.SIGKILL)
    started = time.monotonic()
    tap.ok(until(lambda: shared(one)), "the other gets all of them")
    tap.ok(4 < time.monotonic() - started < 15, "after the session timeout (%.1f s)" % (time.monotonic() - started))
    one.stop()


def test_static():
    """a static member that comes back soon gets its partitions without a rebalance"""
    topic, group = "static", "group-static"
    server.sql("SELECT create_topic('%s', partitions => %d)" % (topic, PARTITIONS))
    one = Member(group, "eager", [topic], **{"group.instance.id": "one"})
    two = Member(group, "eager", [topic], **{"group.instance.id": "two"})
    tap.ok(until(lambda: shared(one, two)), "two static members")
    before = set(two.assigned)
    two.stop()
    time.sleep(1)
    tap.equal(set(one.assigned) & before, set(), "one has gone, nothing moves")
    back = Member(group, "eager", [topic], **{"group.instance.id": "two"})
    tap.ok(until(lambda: back.assigned == before), "it is back, with what it had")
    one.stop()
    back.stop()


def test_regex_and_new_topics():
    """members of the consumer protocol hear of new partitions and topics"""
    server.sql("SELECT create_topic('log-a', partitions => 2)")
    member = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "group-regex", "log_level": 0, "group.protocol": "consumer",
                       "auto.offset.reset": "earliest"})
    member.subscribe(["^log-.*"])

    def owns():
        member.poll(0.1)
        return sorted((p.topic, p.partition) for p in member.assignment())
    tap.ok(until(lambda: owns() == [("log-a", 0), ("log-a", 1)]), "a regular expression")
    server.sql("SELECT create_topic('log-b')")
    tap.ok(until(lambda: ("log-b", 0) in owns()), "a topic that matches is created")
    server.sql("SELECT add_partitions('log-a', 3)")
    tap.ok(until(lambda: ("log-a", 2) in owns()), "a partition is added")
    server.sql("SELECT drop_topic('log-b')")
    tap.ok(until(lambda: owns() == [("log-a", 0), ("log-a", 1), ("log-a", 2)]), "a topic is dropped")
    member.close()


def test_restart():
    """groups form again after the coordinator has gone, and committed offsets are kept"""
    topic, group = "work-eager", "group-eager"
    one = Member(group, "eager", [topic])
    tap.ok(until(lambda: shared(one)), "a member before")
    for pid in server.worker_pids("pgtopic control"):
        os.kill(pid, signal.SIGTERM)
    time.sleep(1)
    produce(topic, 6)
    tap.ok(until(lambda: len(set(one.read)) == 6 and shared(one)), "the control worker was ended: it goes on")
    one.stop()
    tap.equal(committed(group, topic), 186, "from where it was")


def tool(name, *arguments):
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", LIBS + "/*", "org.apache.kafka.tools." + name,
                           "--bootstrap-server", server.bootstrap, *arguments], text=True, timeout=120, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, "\n".join(line for line in done.stdout.split("\n") if not line.startswith("SLF4J"))


def groups_tool(*arguments):
    return tool("consumer.group.ConsumerGroupCommand", *arguments)[1]


def test_java():
    """the console consumer in groups of both protocols, and kafka-consumer-groups"""
    if not os.path.isdir(LIBS):
        tap.note("the Java clients are not installed")
        return
    server.sql("SELECT create_topic('java', partitions => %d)" % PARTITIONS)
    produce("java", 100)
    for protocol in ("classic", "consumer"):
        code, out = tool("consumer.ConsoleConsumer", "--topic", "java", "--group", "java-" + protocol, "--from-beginning", "--max-messages",
                         "100", "--timeout-ms", "30000", "--consumer-property", "group.protocol=" + protocol)
        tap.equal((code, len(set(out.split()) & {str(i) for i in range(100)})), (0, 100), "kafka-console-consumer, " + protocol)
        tap.equal(committed("java-" + protocol, "java"), 100, "and its offsets")
    tap.ok({"java-classic", "java-consumer", "group-eager"} <= set(groups_tool("--list").split()), "--list")
    member = Member("java-classic", "eager", ["java"], **{"client.id": "seen"})
    until(lambda: shared(member))
    tap.matches(r"java-classic +java +0 +\d+ +\d+ +0 +seen-\S+ +/127.0.0.1 +seen", groups_tool("--describe", "--group", "java-classic"),
                "--describe shows lag and members")
    tap.matches(r"Stable +1", groups_tool("--describe", "--group", "java-classic", "--state"), "--state")
    tap.matches(r"range|eager|6", groups_tool("--describe", "--group", "java-classic", "--members", "--verbose"), "--members")
    tap.matches(r"not empty|NonEmpty|NON_EMPTY", groups_tool("--delete", "--group", "java-classic"), "--delete refuses one with members")
    member.stop()
    tap.matches(r"java +0 +0", groups_tool("--group", "java-classic", "--reset-offsets", "--to-earliest", "--topic", "java", "--execute"),
                "--reset-offsets")
    tap.equal(committed("java-classic", "java"), 0, "is done")
    tap.matches("Successful", groups_tool("--delete-offsets", "--group", "java-consumer", "--topic", "java:0"), "--delete-offsets")
    tap.matches("successful", groups_tool("--delete", "--group", "java-consumer", "--group", "java-classic"), "--delete")
    tap.ok(not {"java-classic", "java-consumer"} & set(groups_tool("--list").split()), "they are gone")
    tap.matches("not exist|not found", groups_tool("--describe", "--group", "nobody"), "a group that is not there")


def test_admin():
    """librdkafka's admin client"""
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    member = Member("group-admin", "cooperative", ["work-cooperative"], **{"client.id": "me"})
    until(lambda: shared(member))
    listed = {g.group_id: g.state.name for g in admin.list_consumer_groups().result(20).valid}
    tap.equal(listed.get("group-admin"), "STABLE", "listed")
    one = admin.describe_consumer_groups(["group-admin"])["group-admin"].result(20)
    tap.equal((one.state.name, one.partition_assignor, [m.client_id for m in one.members]), ("STABLE", "cooperative-sticky", ["me"]),
              "described")
    tap.equal(len(one.members[0].assignment.topic_partitions), PARTITIONS, "with its partitions")
    member.stop()
    admin.delete_consumer_groups(["group-admin"])["group-admin"].result(20)
    tap.ok("group-admin" not in {g.group_id for g in admin.list_consumer_groups().result(20).valid}, "deleted")


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "100ms", "pgtopic.group_consumer_heartbeat_interval": "500ms",
                                  "pgtopic.group_consumer_session_timeout": "6s"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tests = [test_eager, test_cooperative, test_consumer, test_migration, test_member_dies, test_static, test_regex_and_new_topics, test_restart, test_admin,
             test_java]
    wanted = sys.argv[1:]
    tap.main([t for t in tests if not wanted or t.__name__ in wanted])


main()
