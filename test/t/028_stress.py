#!/usr/bin/env python3
"""Everything at once, with memory for fewer logs than there are, and processes that end: what is acknowledged is there once.

Sessions append, roll back, prepare and time out; Kafka clients produce, also to a topic with a trigger; a group of
sessions and one of Kafka clients consume; topics are made, waited for, emptied and dropped.  Meanwhile workers are
stopped, terminated and killed, and so is the postmaster.  PGTOPIC_SEED and PGTOPIC_STRESS_SECONDS make other and longer
runs.
"""

import collections
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
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

TOPICS = {"plain": 30, "triggered": 15}
SECONDS = float(os.environ.get("PGTOPIC_STRESS_SECONDS", "20"))
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
PATIENCE = 120          # seconds: "does not hang"
RECORDS = " UNION ALL ".join("SELECT '%s', partition, \"offset\", convert_from(value, 'UTF8') FROM topics.%s" % (t, t) for t in TOPICS)

server = None
stop = threading.Event()


class Client(threading.Thread):
    """Does something again and again; counts how often it went well, and keeps what it knows of its records."""

    everyone = []

    def __init__(self, number):
        super().__init__(daemon=True, name="%s %d" % (type(self).__name__, number))
        self.random = random.Random("%d %s" % (SEED, self.name))
        self.rounds = self.values = 0
        self.acknowledged, self.rolled_back, self.wrong = set(), set(), []
        self.session = None
        Client.everyone.append(self)

    def run(self):
        while not stop.is_set():
            try:
                self.round()
                self.rounds += 1
            except (pg.SqlError, KafkaException, OSError):
                self.lost()
                time.sleep(0.1)
        self.end()

    def lost(self):
        """After an error: another session, as one may have ended with its server."""
        if self.session is not None:
            self.session.close()
        self.session = None

    def end(self):
        self.lost()

    def sql(self, text):
        if self.session is None:
            self.session = server.session()
        got = self.session.sql(text)
        if "ERROR:" in got or "FATAL:" in got or "WARNING:" in got:
            raise pg.SqlError(got)
        return got

    def value(self):
        self.values += 1
        return "%s: %d" % (self.name, self.values)

    def partition(self):
        topic = self.random.choice(["plain", "plain", "triggered"])
        return topic, self.random.randrange(TOPICS[topic])

    def append(self, value):
        return "SELECT append('%s:%d', '%s')" % (*self.partition(), value)


class Writer(Client):
    """A session that appends in all kinds of transactions."""

    def round(self):
        self.random.choice([self.single, self.many, self.savepoint, self.rollback, self.timeout, self.prepared])()

    def single(self):
        value = self.value()
        self.sql(self.append(value))
        self.acknowledged.add(value)

    def many(self):
        values = [self.value() for _ in range(3)]
        self.sql("BEGIN; %s; COMMIT" % "; ".join("SELECT produce('plain', '%s')" % v for v in values))
        self.acknowledged.update(values)

    def savepoint(self):
        kept, undone, last = (self.value() for _ in range(3))
        self.rolled_back.add(undone)
        self.sql("BEGIN; %s; SAVEPOINT s" % self.append(kept))
        self.sql("%s; ROLLBACK TO s; %s; COMMIT" % (self.append(undone), self.append(last)))
        self.acknowledged.update([kept, last])

    def rollback(self):
        value = self.value()
        self.rolled_back.add(value)
        self.sql("BEGIN; %s; ROLLBACK" % self.append(value))

    def timeout(self):
        value = self.value()
        self.rolled_back.add(value)
        self.session = self.session or server.session()
        self.session.sql("BEGIN; %s; SET LOCAL statement_timeout = 20; SELECT pg_sleep(600)" % self.append(value))
        self.sql("ROLLBACK")

    def prepared(self):
        value = self.value()
        verdict = "COMMIT"
        try:
            self.sql("BEGIN; %s; PREPARE TRANSACTION '%s'" % (self.append(value), value))
        except pg.SqlError:
            verdict = "ROLLBACK"
            self.lost()
        while not self.decided(verdict, value):
            time.sleep(0.1)
        if verdict == "COMMIT":
            self.acknowledged.add(value)

    def decided(self, verdict, gid):
        """Of a prepared transaction; there may be none, as an answer was lost."""
        try:
            self.sql("%s PREPARED '%s'" % (verdict, gid))
        except pg.SqlError as problem:
            self.lost()
            return "does not exist" in str(problem)
        return True


class KafkaWriter(Client):
    producer = None

    def round(self):
        left = []

        def delivered(error, message):
            left.pop()
            if error is None:
                self.acknowledged.add(message.value().decode())

        if self.producer is None:
            self.producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "log_level": 0,
                                      "message.timeout.ms": PATIENCE * 1000, "request.timeout.ms": 5000})
        for _ in range(self.random.randrange(1, 40)):
            topic, partition = self.partition()
            left.append(None)
            self.producer.produce(topic, self.value(), partition=partition, on_delivery=delivered)
        while left:
            self.producer.poll(1)

    def lost(self):
        self.producer = None


class KafkaReader(Client):
    """A member of a group: sees the offsets of each partition one after the other."""

    consumer = None

    def round(self):
        if self.consumer is None:
            self.next = {}

            def changed(*_):
                self.next.clear()

            self.consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "kafka", "auto.offset.reset": "earliest",
                                      "session.timeout.ms": 10000, "log_level": 0})
            self.consumer.subscribe(list(TOPICS), on_assign=changed, on_revoke=changed, on_lost=changed)
        for message in self.consumer.consume(500, 1):
            if message.error() is None:
                place = message.topic(), message.partition()
                if self.next.setdefault(place, message.offset()) != message.offset():
                    self.wrong.append((*place, message.offset(), "expected", self.next[place]))
                self.next[place] = message.offset() + 1

    def end(self):
        if self.consumer is not None:
            self.consumer.close()


class Reader(Client):
    """Sessions of a group: what a transaction that committed has consumed, no other one gets."""

    consumed = collections.Counter()
    in_doubt = set()

    def round(self):
        values = []
        try:
            self.sql("BEGIN")
            values = self.sql("SELECT convert_from(value, 'UTF8') FROM consume('plain', 'sessions', 200, '100ms')").split("\n")
            self.sql("COMMIT")
        except pg.SqlError:
            self.in_doubt.update(values)
            raise
        self.consumed.update(v for v in values if v)


class Maker(Client):
    """Makes a topic, has somebody wait for it, empties it and drops it: who waits is told."""

    def round(self):
        topic = self.value().lower().replace(": ", "_").replace(" ", "_")
        self.sql("SELECT create_topic('%s', 3)" % topic)
        waiter = server.session()
        try:
            waiter.send("SELECT count(*) FROM poll('%s', 1, 0, timeout => '1h')" % topic)
            self.sql("SELECT append('%s:0', 'x'); TRUNCATE topics.%s; SELECT append('%s:2', 'y'); VACUUM topics.%s" % ((topic,) * 4))
            self.sql("SELECT drop_topic('%s')" % topic)
            waiter.answer()
        finally:
            waiter.close()


def worker(name):
    pids = server.worker_pids("pgtopic " + name)
    return pids[0] if pids else None


def pause(name):
    pid = worker(name)
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)


def end_worker(name, how):
    pid = worker(name)
    if pid is not None:
        os.kill(pid, how)


def crash():
    server.kill9().start()


FAULTS = [lambda: pause("executor"), lambda: pause("listener 1"), lambda: pause("committer"),
          lambda: end_worker("executor", signal.SIGTERM), lambda: end_worker("listener 0", signal.SIGTERM),
          lambda: end_worker("control", signal.SIGTERM), lambda: end_worker("committer", signal.SIGTERM),
          lambda: end_worker("executor", signal.SIGKILL), lambda: end_worker("log writer", signal.SIGKILL), crash]


def start():
    global server
    tap.note("PGTOPIC_SEED=%d" % SEED)
    server = pg.Cluster("main", {"pgtopic.max_partitions": 16, "pgtopic.listener_workers": 2, "pgtopic.executor_workers": 2,
                                 "max_prepared_transactions": 20, "deadlock_timeout": "200ms", "fsync": "on",
                                 "pgtopic.executor_timeout": "5s"}).init().start()
    server.sql("CREATE EXTENSION pgtopic;" + "".join("SELECT create_topic('%s', %d);" % t for t in TOPICS.items()) + """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF random() < 0.02 THEN PERFORM pg_sleep(random() / 5); END IF; RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON topics.triggered FOR EACH ROW EXECUTE FUNCTION slow()""")
    server.wait_listener()


def test_faults():
    """all at work while processes end; then everybody goes on"""
    start()
    for kind, n in ((Writer, 3), (KafkaWriter, 2), (KafkaReader, 2), (Reader, 1), (Maker, 1)):
        for i in range(n):
            kind(i).start()
    faults = random.Random(SEED)
    deadline = time.monotonic() + SECONDS
    order = []
    while time.monotonic() < deadline:
        time.sleep(3 * faults.random())
        order = order or faults.sample(FAULTS, len(FAULTS))
        order.pop()()
        server.wait_up()
    server.wait_listener()
    before = {c: c.rounds for c in Client.everyone}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(c.rounds == before[c] for c in Client.everyone):
        time.sleep(0.1)
    tap.equal([c.name for c in Client.everyone if c.rounds == before[c]], [], "everybody goes on")
    stop.set()
    for client in Client.everyone:
        client.join(PATIENCE)
    tap.equal([c.name for c in Client.everyone if c.is_alive()], [], "and comes to an end")


def read_all(n):
    """What a Kafka consumer finds, which must be n records."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "all", "log_level": 0})
    consumer.assign([TopicPartition(t, i, 0) for t, partitions in TOPICS.items() for i in range(partitions)])
    got = []
    deadline = time.monotonic() + PATIENCE
    while len(got) < n and time.monotonic() < deadline:
        got += [m for m in consumer.consume(1000, 1) if m.error() is None]
    consumer.close()
    return sorted((m.topic(), m.partition(), m.offset(), m.value().decode()) for m in got)


def test_records():
    """nothing is lost, nothing is there twice, offsets have no gaps; SQL and Kafka see the same"""
    rows = sorted((r[0], int(r[1]), int(r[2]), r[3]) for r in server.rows(RECORDS))
    there = collections.Counter(r[3] for r in rows)
    acknowledged = set().union(*(c.acknowledged for c in Client.everyone))
    tap.note("%d records, %d acknowledged" % (len(rows), len(acknowledged)))
    tap.equal(sorted(acknowledged - set(there)), [], "all that was acknowledged is there")
    tap.equal([v for v in there if there[v] > 1], [], "once")
    tap.equal(sorted(set().union(*(c.rolled_back for c in Client.everyone)) & set(there)), [], "and nothing that was rolled back")
    gaps = [(a, b) for a, b in zip(rows, rows[1:]) if a[:2] == b[:2] and b[2] != a[2] + 1]
    tap.equal(gaps, [], "offsets have no gaps")
    tap.equal(read_all(len(rows)), rows, "Kafka's consumers see the same")
    tap.equal([c.wrong for c in Client.everyone if c.wrong], [], "and so did those of the group, in order")


def test_consumed():
    """a group of sessions has got each record once"""
    while True:
        rest = server.sql("SELECT convert_from(value, 'UTF8') FROM consume('plain', 'sessions', 10000)").split("\n")
        if rest == [""]:
            break
        Reader.consumed.update(rest)
    plain = set(r[3] for r in server.rows(RECORDS) if r[0] == "plain")
    tap.equal([v for v, n in Reader.consumed.items() if n > 1], [], "nothing twice")
    tap.equal(sorted(plain - set(Reader.consumed) - Reader.in_doubt), [], "and nothing left out")


def test_idle():
    """nothing is left behind"""
    server.sql("BEGIN;" + "".join("SELECT append('plain:%d', 'the last');" % i for i in range(12)) + "COMMIT")
    tap.ok(True, "the memory for logs is free")
    locks = "SELECT count(*) FROM pg_locks WHERE locktype IN ('object', 'advisory')"
    deadline = time.monotonic() + PATIENCE
    while server.sql(locks) != "0" and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.equal(server.sql(locks), "0", "no lock is held")
    text = server.log_text()
    for words in ("PANIC", "TRAP", "terminated by signal 6", "terminated by signal 11", "leak", "don't own", "still referenced"):
        tap.ok(words not in text, "the server's log does not say \"%s\"" % words)


pg.demote()
tap.main([test_faults, test_records, test_consumed, test_idle])
