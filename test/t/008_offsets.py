#!/usr/bin/env python3
"""No committed offset is lost: committed by Kafka clients and by sessions, over crashes, restarts and a promotion.

Committers move the committed offsets of groups of their own forward, one step at a time, while the
server is killed in many ways.  What was acknowledged is never taken back, and no offset is
beyond what was asked for.
"""

import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

PARTITIONS = 3
RECORDS = 200000            # in partition 0: as far as sessions may go
ROUNDS = int(os.environ.get("PGTOPIC_CRASH_ROUNDS", "8"))
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))

server = None
committers = []
stop = threading.Event()


class Committer(threading.Thread):
    """Moves one group forward; remembers what it asked for and what was acknowledged."""

    def __init__(self, group):
        super().__init__(daemon=True)
        self.group = group
        self.asked = self.acked = 0
        self.commits = self.failures = 0

    def run(self):
        while not stop.is_set():
            self.asked += 1
            try:
                self.commit(self.asked)
                self.acked = self.asked
                self.commits += 1
            except (pg.SqlError, KafkaException, OSError, ValueError):
                self.failures += 1
                self.again()
                time.sleep(0.05)
        self.again()


class KafkaCommitter(Committer):
    consumer = None

    def commit(self, offset):
        if self.consumer is None:
            self.consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": self.group, "log_level": 0,
                                      "enable.auto.commit": False, "socket.timeout.ms": 3000, "reconnect.backoff.max.ms": 200})
        for answer in self.consumer.commit(offsets=[TopicPartition("events", p, offset, metadata="at %d" % offset)
                                                    for p in range(PARTITIONS)], asynchronous=False):
            if answer.error is not None:
                raise KafkaException(answer.error)

    def again(self):
        if self.consumer is not None:
            self.consumer.close()
        self.consumer = None


class SqlCommitter(Committer):
    session = None

    def commit(self, offset):
        if self.session is None:
            self.session = server.session()
        answer = self.session.sql("SELECT commit_offsets('%s', 'events:0', %d, 'at %d')" % (self.group, offset, offset))
        if answer.strip() != "":
            raise pg.SqlError(answer)

    def again(self):
        if self.session is not None:
            self.session.close()
        self.session = None


def crash(how):
    """One way for a server to fail; it is up again afterwards."""
    if how == "postmaster":
        server.kill9().start()
    elif how == "fast restart":
        server.restart()
    elif how == "immediate restart":
        server.restart("immediate")
    else:
        for pid in server.worker_pids(how)[:1]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        server.wait_up()
    server.wait_listener()


def check(where, what):
    """Committed offsets are what was acknowledged, or a later one that was asked for."""
    wrong = []
    for c in committers:
        acked, asked = c.acked, c.asked
        rows = where.rows("SELECT \"offset\", metadata FROM group_lag WHERE group_id = '%s'" % c.group)
        for offset, metadata in rows:
            if not acked <= int(offset) <= c.asked or metadata != "at " + offset:
                wrong.append("%s: %s is at %s, acknowledged %d, asked for %d" % (c.group, metadata, offset, acked, asked))
        if not rows and acked > 0:
            wrong.append("%s: nothing, acknowledged %d" % (c.group, acked))
    tap.ok(not wrong, what)
    for line in wrong:
        tap.note(line)


def test_crashes():
    """committed offsets survive whatever is killed"""
    global server
    server = pg.Cluster(settings={"pgtopic.max_connections": 1000}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events', partitions => %d); "
               "INSERT INTO topics.events (partition, value) SELECT 0, 'x' FROM generate_series(1, %d)" % (PARTITIONS, RECORDS))
    server.wait_listener()
    rng = random.Random(SEED)
    tap.note("seed %d" % SEED)
    committers.extend([KafkaCommitter("kafka-%d" % i) for i in range(3)] + [SqlCommitter("sql-%d" % i) for i in range(3)])
    for c in committers:
        c.start()
    ways = ["postmaster", "immediate restart", "fast restart", "pgtopic listener", "pgtopic control", "pgtopic admin", "pgtopic committer"]
    for i in range(ROUNDS):
        time.sleep(rng.uniform(0.5, 1.5))
        how = ways[i] if i < len(ways) else rng.choice(ways)
        crash(how)
        check(server, "round %d: %s" % (i + 1, how))
    time.sleep(1)


def test_end():
    """what each committer was told is what is there, for SQL and for Kafka"""
    stop.set()
    for c in committers:
        c.join(60)
        tap.ok(c.commits > 10, "%s: %d commits, %d failures" % (c.group, c.commits, c.failures))
    check(server, "at the end")
    for c in committers:
        consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": c.group, "log_level": 0})
        found = consumer.committed([TopicPartition("events", 0)], timeout=30)[0]
        consumer.close()
        # not its metadata: in copies librdkafka puts no end behind it, and its Python reads on into whatever follows
        tap.ok(c.acked <= found.offset <= c.asked, "%s: a Kafka client sees it, too" % c.group)


def test_promotion():
    """a standby that is promoted knows them"""
    standby = server.standby().start()
    server.sql("SELECT commit_offsets('late', 'events:0', 77, 'at 77')")
    server.sql("BEGIN; SELECT commit_offsets('prepared', 'events:0', 5); PREPARE TRANSACTION 'p'")
    server.wait_caught_up(standby)
    check(standby, "on the standby")
    tap.equal(standby.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'late'"), "77", "also what came since")
    server.stop("immediate")
    standby.promote()
    standby.wait_listener()
    check(standby, "after the promotion")
    tap.equal(standby.sql("SELECT count(*) FROM group_lag WHERE group_id = 'prepared'"), "0", "not what is only prepared")
    standby.sql("COMMIT PREPARED 'p'")
    tap.equal(standby.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'prepared'"), "5", "until it is committed")
    standby.sql("SELECT commit_offsets('late', 'events:0', 78)")
    tap.equal(standby.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'late'"), "78", "and it goes on")


def test_memory():
    """beyond pgtopic.offset_memory there are no new committed offsets, and those that are there move on"""
    full = pg.Cluster("full", {"pgtopic.offset_memory": "1MB"}).init().start()
    full.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events'); INSERT INTO topics.events (value) VALUES ('x')")
    full.wait_listener()
    full.sql("SELECT count(commit_offsets('group ' || i, 'events:0', 0, repeat('m', 1000))) FROM generate_series(1, 1000) i; "
             "SELECT count(*) FROM group_lag")
    try:
        full.sql("SELECT commit_offsets('one too many', 'events:0', 0)")
        tap.ok(False, "a session gets no new committed offset")
    except pg.SqlError as problem:
        tap.matches("there are too many committed offsets.*pgtopic.offset_memory", str(problem).replace("\n", " "),
                    "a session gets no new committed offset")
    full.sql("SELECT commit_offsets('group 500', 'events:0', 1)")
    tap.equal(full.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'group 500'"), "1", "it moves an old one")

    def kafka_commit(group):
        consumer = Consumer({"bootstrap.servers": full.bootstrap, "group.id": group, "log_level": 0})
        try:
            consumer.commit(offsets=[TopicPartition("events", 0, 1)], asynchronous=False)
            return "done"
        except KafkaException as problem:
            return problem.args[0].name()
        finally:
            consumer.close()
    tap.equal(kafka_commit("another"), "INVALID_COMMIT_OFFSET_SIZE", "nor does a Kafka client")
    tap.equal(kafka_commit("group 501"), "done", "which moves old ones, too")
    full.sql("SELECT delete_group('group ' || i) FROM generate_series(1, 300) i; SELECT count(*) FROM group_lag")
    tap.equal(kafka_commit("another"), "done", "when groups are deleted there is room again")


def test_idle_sessions():
    """a session that finds nothing new uses its group all the same"""
    idle = pg.Cluster("idle", {"pgtopic.offsets_retention": "1min"}).init().start()
    idle.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events'); INSERT INTO topics.events (value) VALUES ('x')")
    idle.sql("SELECT commit_offsets('idle', 'events:0', 1), commit_offsets('left', 'events:0', 1)")
    records = "SELECT count(*) FROM topics.__consumer_offsets"
    idle.sql("SELECT * FROM consume('events', 'idle')")
    tap.equal(idle.sql(records), "2", "nothing is written at once")
    time.sleep(8)       # an eighth of the retention
    idle.sql("BEGIN; SELECT * FROM consume('events', 'idle'); SELECT * FROM consume('events', 'idle'); COMMIT")
    tap.equal(idle.sql(records), "3", "but after a while, once, that it was used")
    idle.sql("SELECT expire_offsets('6 s')")
    tap.equal(idle.sql("SELECT group_id FROM consumer_groups"), "idle", "so it does not expire as others do")
    idle.restart()
    idle.sql("SELECT expire_offsets('6 s')")
    tap.equal(idle.sql("SELECT group_id FROM consumer_groups"), "idle", "nor after a restart")
    time.sleep(6)
    idle.sql("SELECT expire_offsets('6 s')")
    tap.equal(idle.sql("SELECT count(*) FROM consumer_groups"), "0", "until that was long ago")


def main():
    pg.demote()
    tap.main([test_crashes, test_end, test_promotion, test_memory, test_idle_sessions])


main()
