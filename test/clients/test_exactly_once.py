#!/usr/bin/env python3
"""Consume, transform, produce with librdkafka's transactional producer, while the server is killed.

Applications read a topic, and write for each record one to another topic, with the group's offsets in the same
transaction; some transactions they abort.  The server is killed with SIGKILL amid them.  In the end each record has been
worked on once, and nothing of an aborted transaction was ever seen, by readers of either isolation level.
"""

import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

server = bootstrap = None
RECORDS = 3000
PARTITIONS = 3
APPLICATIONS = 2
KILLS = 4
A_STEP = 40             # records of a transaction
GIVE_UP_S = 300
SILENT_S = 10


def settings(**more):
    return {"bootstrap.servers": bootstrap or server.bootstrap, "log_level": 0, "socket.timeout.ms": 10000, **{k.replace("_", "."): v for k, v in more.items()}}


def fill():
    server.sql("SELECT create_topic('work', partitions => %d); SELECT create_topic('result', partitions => %d)" % (PARTITIONS, PARTITIONS))
    server.sql("SELECT count(produce('work', i::text, key => i::text)) FROM generate_series(0, %d) i" % (RECORDS - 1))


class Application:
    """One that begins anew when something is final, as Kafka's documentation says.  It runs in a process of its own."""

    def __init__(self, number):
        self.number, self.turns = number, 0

    def run(self):
        while True:
            try:
                self.live()
            except KafkaException as problem:
                say("restart", problem)
                time.sleep(0.2)

    def live(self):
        consumer = Consumer(settings(group_id="app", enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed",
                                     session_timeout_ms=6000))
        producer = Producer(settings(transactional_id="app-%d" % self.number, transaction_timeout_ms=20000))
        try:
            producer.init_transactions(60)
            consumer.subscribe(["work"])
            while True:
                self.turn(consumer, producer)
        finally:
            consumer.close()

    def turn(self, consumer, producer):
        records = [r for r in consumer.consume(A_STEP, 0.5) if r.error() is None]
        say("turn")
        if not records:
            return
        self.turns += 1
        try:
            producer.begin_transaction()
            for record in records:
                producer.produce("result", value=record.value(), key=record.key())
            if self.turns % 5 == 4:
                raise Again
            offsets = {}
            for record in records:
                offsets[record.partition()] = record.offset() + 1
            producer.send_offsets_to_transaction([TopicPartition("work", p, o) for p, o in offsets.items()], consumer.consumer_group_metadata(), 30)
            producer.commit_transaction(60)
            say("commit")
        except Again:
            self.back(consumer, producer, records)
        except KafkaException as problem:
            if problem.args[0].fatal() or not problem.args[0].txn_requires_abort():
                raise
            self.back(consumer, producer, records)

    def back(self, consumer, producer, records):
        """Aborts, and reads the same records once more."""
        producer.abort_transaction(60)
        say("abort")
        first = {}
        for record in records:
            first.setdefault(record.partition(), record.offset())
        owned = {p.partition for p in consumer.assignment()}
        for partition, offset in first.items():
            if partition in owned:
                consumer.seek(TopicPartition("work", partition, offset))


def say(*words):
    print(*words, flush=True)


class Process(threading.Thread):
    """Runs an application, and kills it when it says nothing for a while: librdkafka may wait for ever for a coordinator's
    connection that has broken at the wrong moment.  Another one takes its place and its transactional id."""

    def __init__(self, number, stop):
        super().__init__(daemon=True)
        self.number, self.stop, self.counts = number, stop, {}
        self.process, self.heard_at = None, 0

    def run(self):
        while not self.stop.is_set():
            self.heard_at = time.monotonic()
            self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(self.number), server.bootstrap], stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
            for line in self.process.stdout:
                self.heard_at = time.monotonic()
                word = line.split()[0]
                self.counts[word] = self.counts.get(word, 0) + 1
            self.process.wait()

    def kill(self, why):
        self.counts[why] = self.counts.get(why, 0) + 1
        if self.process is not None:
            self.process.kill()

    def watch(self):
        if time.monotonic() - self.heard_at > SILENT_S:
            self.kill("hung")
            self.heard_at = time.monotonic()


class Again(Exception):
    """This transaction is to be aborted."""


class Reader(threading.Thread):
    """Reads the results as they come, at one isolation level, and keeps all that it has seen."""

    def __init__(self, isolation, stop):
        super().__init__(daemon=True)
        self.isolation, self.stop, self.seen = isolation, stop, []

    def run(self):
        consumer = Consumer(settings(group_id="reader", enable_auto_commit=False, isolation_level=self.isolation, auto_offset_reset="earliest"))
        consumer.assign([TopicPartition("result", n, 0) for n in range(PARTITIONS)])
        while not self.stop.is_set():
            for record in consumer.consume(500, 0.2):
                if record.error() is None:
                    self.seen.append((record.partition(), record.offset(), record.value()))
        consumer.close()


def count():
    try:
        return int(server.sql("SELECT count(*) FROM topics.result"))
    except pg.SqlError:
        return -1


def test_exactly_once():
    fill()
    stop = threading.Event()
    applications = [Process(n, stop) for n in range(APPLICATIONS)]
    readers = [Reader(level, stop) for level in ("read_uncommitted", "read_committed")]
    for thread in applications + readers:
        thread.start()
    deadline = time.monotonic() + GIVE_UP_S
    kills = 0
    while count() < RECORDS and time.monotonic() < deadline:
        if kills < KILLS and count() >= RECORDS * (kills + 1) // (KILLS + 2):
            if kills % 2:
                applications[kills // 2 % APPLICATIONS].kill("killed")
            server.kill9().start()
            server.wait_listener()
            kills += 1
        for application in applications:
            application.watch()
        time.sleep(0.1)
    while any(len(r.seen) < RECORDS for r in readers) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    stop.set()
    for application in applications:
        application.kill("stopped")
    for thread in applications + readers:
        thread.join(60)
    tap.note("%d kills of the server; %s" % (kills, [a.counts for a in applications]))
    tap.equal(kills, KILLS, "the server was killed")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT value) FROM topics.result"), "%d|%d" % (RECORDS, RECORDS), "each record was worked on exactly once")
    tap.equal(server.sql("SELECT sum(\"offset\") FROM group_lag WHERE group_id = 'app' AND topic = 'work'"), str(RECORDS), "and the group is at the end")
    for reader in readers:
        values = [value for _, _, value in reader.seen]
        tap.equal((len(values), len(set(values))), (RECORDS, RECORDS), "%s: seen as often, with nothing of aborted transactions" % reader.isolation)


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.main([test_exactly_once])


if __name__ == "__main__" and len(sys.argv) == 3:
    bootstrap = sys.argv[2]
    Application(int(sys.argv[1])).run()
elif __name__ == "__main__":
    main()
