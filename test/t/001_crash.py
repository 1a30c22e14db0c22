#!/usr/bin/env python3
"""Nothing acknowledged is lost, nothing appears twice, order holds: under kill -9.

Kafka producers (idempotent), SQL producers, a SQL consumer that moves records
into a table and a Kafka consumer run while backends, listener workers and the
postmaster are killed, again and again.  Every record carries an id of its own, so that
at the end each can be accounted for.
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
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

PARTITIONS = 3
ROUNDS = tap.size("PGTOPIC_CRASH_ROUNDS", 12, 100)
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))

server = None
stop = threading.Event()


class KafkaProducer(threading.Thread):
    """Sends numbered records; remembers which were acknowledged, and where."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name = name
        self.acked = {}         # value: (partition, offset)
        self.errors = []
        self.sent = 0

    def delivered(self, error, record):
        if error is not None:
            self.errors.append("%s: %s" % (record.value().decode(), error))
        else:
            self.acked[record.value().decode()] = (record.partition(), record.offset())

    def run(self):
        producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 5,
                             "message.timeout.ms": 240000, "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 10000,
                             "retry.backoff.ms": 50, "log_level": 0})
        while not stop.is_set():
            for _ in range(20):
                producer.produce("events", value="%s-%d" % (self.name, self.sent), partition=self.sent % PARTITIONS,
                                 on_delivery=self.delivered)
                self.sent += 1
            producer.poll(0.02)
        self.left = producer.flush(120)


class SqlProducer(threading.Thread):
    """One record a transaction, written beside a row of a table: both or neither."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name = name
        self.acked = set()
        self.refused = []
        self.sent = 0

    def run(self):
        session = None
        while not stop.is_set():
            value = "%s-%d" % (self.name, self.sent)
            self.sent += 1
            try:
                session = session or server.session()
                answer = session.sql("BEGIN; INSERT INTO ledger VALUES ('%s'); "
                                     "SELECT produce('events', '%s'::text, partition => %d); COMMIT; SELECT 'done'"
                                     % (value, value, self.sent % PARTITIONS))
                if answer.endswith("done") and "ERROR" not in answer:
                    self.acked.add(value)
                elif "ERROR" in answer:
                    self.refused.append(answer)
                time.sleep(0.002)
            except pg.SqlError:
                if session:
                    session.close()
                session = None
                time.sleep(0.1)
        if session:
            session.close()


class SqlConsumer(threading.Thread):
    """consume() into a table: each record once, whatever happens."""

    def __init__(self):
        super().__init__(daemon=True)
        self.problems = []

    STATEMENT = ("INSERT INTO sink SELECT r.partition, r.\"offset\", convert_from(r.value, 'UTF8') "
                 "FROM consume('events', 'movers', max_records => 200, timeout => '%s') r")

    def run(self):
        session = None
        while not stop.is_set():
            try:
                session = session or server.session()
                answer = session.sql(self.STATEMENT % "100ms")
                if "ERROR" in answer:
                    self.problems.append(answer)
            except pg.SqlError:
                if session:
                    session.close()
                session = None
                time.sleep(0.1)
        if session:
            session.close()


class KafkaConsumer(threading.Thread):
    """Reads along; what it was shown must never be taken back."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}          # (partition, offset): value

    def run(self):
        consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "unused", "enable.auto.commit": False,
                             "reconnect.backoff.max.ms": 200, "log_level": 0})
        consumer.assign([TopicPartition("events", p, 0) for p in range(PARTITIONS)])
        while not stop.is_set():
            record = consumer.poll(0.2)
            if record is not None and record.error() is None:
                place = (record.partition(), record.offset())
                value = record.value().decode()
                if self.seen.setdefault(place, value) != value:
                    self.seen[place] = "changed: %s, then %s" % (self.seen[place], value)
        consumer.close()


def kill_backend():
    pids = server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                      "AND pid <> pg_backend_pid()").split()
    if pids:
        os.kill(int(random.choice(pids)), signal.SIGKILL)


def kill_listener():
    pids = server.worker_pids("pgtopic listener")
    tap.ok(pids, "the listener worker is found")
    if pids:
        os.kill(random.choice(pids), signal.SIGKILL)


def kill_postmaster():
    server.kill9()
    server.start()


def shut_down_at_once():
    server.restart("immediate")


def crash_loop():
    """Kills something, waits until all is back, lets the load run for a while."""
    ways = [kill_backend, kill_listener, kill_postmaster, shut_down_at_once]
    for n in range(ROUNDS):
        time.sleep(0.5 + random.random())
        way = ways[n % len(ways)]
        try:
            way()
        except pg.SqlError:
            pass
        time.sleep(0.1)
        server.wait_up()
        server.wait_listener()
    tap.ok(True, "%d crashes, each time the server and its listener came back" % ROUNDS)
    time.sleep(1)


def test_crashes():
    """the whole load, killed"""
    global server
    tap.note("seed %d" % SEED)
    random.seed(SEED)
    server = pg.Cluster(settings={"checkpoint_timeout": "30s"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events', partitions => %d); "
               "CREATE TABLE ledger (id text PRIMARY KEY); "
               "CREATE TABLE sink (partition int, \"offset\" bigint, value text)" % PARTITIONS)
    server.wait_listener()
    kafka = [KafkaProducer("k%d" % i) for i in range(2)]
    sql = [SqlProducer("s%d" % i) for i in range(2)]
    mover, reader = SqlConsumer(), KafkaConsumer()
    threads = kafka + sql + [mover, reader]
    for thread in threads:
        thread.start()
    crash_loop()
    stop.set()
    for thread in threads:
        thread.join(180)
    tap.ok(not any(t.is_alive() for t in threads), "all of the load ended")
    check(kafka, sql, mover, reader)


def check(kafka, sql, mover, reader):
    rows = server.rows("SELECT partition, \"offset\", convert_from(value, 'UTF8') FROM topics.events "
                       "ORDER BY partition, \"offset\"")
    log = {(int(p), int(o)): v for p, o, v in rows}
    counts = collections.Counter(log.values())
    tap.note("%d records; acknowledged: %s" % (len(rows), ", ".join(
        "%s %d of %d" % (p.name, len(p.acked), p.sent) for p in kafka + sql)))

    tap.ok(all(p.acked for p in kafka + sql), "every producer got something through")
    for p in kafka:
        tap.equal(p.errors[:5], [], "%s saw no error" % p.name)
        tap.equal([v for v, place in p.acked.items() if log.get(place) != v][:5], [],
                  "%s: what was acknowledged is where it was said to be" % p.name)
    for p in sql:
        tap.equal(p.refused[:3], [], "%s saw no error" % p.name)
        tap.equal([v for v in p.acked if counts[v] != 1][:5], [], "%s: what was committed is there" % p.name)
    tap.equal([v for v, n in counts.items() if n > 1][:5], [], "nothing appears twice")
    for partition in range(PARTITIONS):
        offsets = [o for p, o in log if p == partition]
        tap.equal(offsets, list(range(len(offsets))), "offsets of partition %d have no gap" % partition)
    tap.equal(out_of_order(rows), [], "each producer's records are in order")
    ledger = {r[0] for r in server.rows("SELECT id FROM ledger")}
    tap.equal(sorted(ledger ^ {v for v in counts if v.startswith("s")})[:5], [], "table and topic agree")
    tap.equal([s for s in reader.seen.items() if log.get(s[0]) != s[1]][:5], [],
              "a Kafka consumer was shown nothing that was taken back (%d records)" % len(reader.seen))

    tap.equal(mover.problems[:3], [], "consume() saw no error")
    while int(server.sql("WITH moved AS (%s RETURNING 1) SELECT count(*) FROM moved" % (SqlConsumer.STATEMENT % "0"))):
        pass
    sink = [(int(p), int(o), v) for p, o, v in server.rows("SELECT * FROM sink")]
    if not tap.equal(len(sink), len(set(sink)), "consume() gave nothing twice"):
        tap.note(server.sql("SELECT partition, min(\"offset\"), max(\"offset\"), count(*) FROM (SELECT partition, \"offset\" "
                            "FROM sink GROUP BY 1, 2 HAVING count(*) > 1) twice GROUP BY 1 ORDER BY 1"))
    tap.ok(set(sink) == {(p, o, v) for (p, o), v in log.items()}, "consume() left nothing out")
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "no PANIC, no failed Assert")


def out_of_order(rows):
    """Values whose number is below one of the same producer before it in the partition."""
    last, found = {}, []
    for partition, _, value in rows:
        name, number = value.split("-")
        if int(number) <= last.get((partition, name), -1):
            found.append(value)
        last[partition, name] = int(number)
    return found[:5]


pg.demote()
tap.main([test_crashes])
