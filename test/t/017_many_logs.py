#!/usr/bin/env python3
"""Three times as many partitions as there is memory for: all of them can be used, only not all at the same time."""

import collections
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    tap.skip("confluent_kafka is not installed")

ENTRIES = 16            # the smallest setting
PARTITIONS = 48
ROUNDS = tap.size("PGTOPIC_CRASH_ROUNDS", 3, 20)
EACH = "SELECT partition, count(*), max(\"offset\") FROM topics.many GROUP BY 1 ORDER BY 1"

server = None


def consumer(**more):
    return Consumer(dict({"bootstrap.servers": server.bootstrap, "group.id": "many", "auto.offset.reset": "earliest",
                          "enable.auto.commit": False, "log_level": 0, "fetch.wait.max.ms": 20000}, **more))


def read_all(count, timeout=120):
    """Values by partition, in order, of a consumer that has all partitions at the same time."""
    client = consumer()
    client.assign([TopicPartition("many", i, 0) for i in range(PARTITIONS)])
    got = collections.defaultdict(list)
    deadline = time.monotonic() + timeout
    while sum(map(len, got.values())) < count and time.monotonic() < deadline:
        for record in client.consume(500, 1):
            if record.error() is None:
                got[record.partition()].append((record.offset(), record.value().decode()))
    client.close()
    return got


def test_write_in_turn():
    """SQL and Kafka write to all partitions, one after the other"""
    global server
    server = pg.Cluster("main", {"pgtopic.max_partitions": ENTRIES, "max_prepared_transactions": 5,
                                 "autovacuum": "off"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('many', partitions => %d)" % PARTITIONS)
    server.wait_listener()
    for _ in range(2):
        server.sql("".join("SELECT produce('many', 'sql', partition => %d);\n" % i for i in range(PARTITIONS)))
        producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "log_level": 0})
        for i in range(PARTITIONS):
            producer.produce("many", "kafka", partition=i)
        tap.equal(producer.flush(60), 0, "Kafka's records are acknowledged")
    tap.equal(server.rows(EACH), [[str(i), "4", "3"] for i in range(PARTITIONS)], "all are there for one query")
    got = read_all(4 * PARTITIONS)
    tap.equal([got[i] for i in range(PARTITIONS)], [[(0, "sql"), (1, "kafka"), (2, "sql"), (3, "kafka")]] * PARTITIONS,
              "and for a consumer of all partitions, in order")


def test_wait_for_all():
    """who waits for all partitions hears of a record in each"""
    client = consumer()
    client.assign([TopicPartition("many", i, 4) for i in range(PARTITIONS)])
    waited = client.consume(1, 2)
    tap.equal(len(waited), 0, "the consumer waits")
    for i in range(PARTITIONS):
        server.sql("SELECT append('many:%d', 'awaited')" % i)
        record = client.poll(15)
        tap.ok(record is not None and record.error() is None and record.partition() == i,
               "is told of partition %d before its wait is over" % i) if i % 8 == 0 or record is None else None
    client.close()
    session = server.session()
    session.sql("SELECT * FROM seek('sql-group', 'many', 'end')")
    session.send("SELECT partition, as_text(value) FROM consume('many', 'sql-group', timeout => '60 s')")
    time.sleep(0.5)
    server.sql("SELECT produce('many', 'for SQL', partition => 40)")
    tap.equal(session.answer(), "40|for SQL", "consume() of all partitions is woken")
    session.close()


def test_upkeep():
    """planning, VACUUM, ANALYZE, indexes, trimming and TRUNCATE need no memory for a log"""
    plan = server.sql("EXPLAIN SELECT * FROM topics.many")
    tap.equal(plan.count("Seq Scan"), PARTITIONS, "a plan over all partitions")
    server.sql("VACUUM topics.many; ANALYZE topics.many; CREATE INDEX ON topics.many (key)")
    tap.equal(server.sql("SELECT count(*) FROM pg_stats WHERE schemaname = 'topics' AND tablename = 'many' AND"
                         " attname = 'value'"), "1", "ANALYZE has seen them")
    tap.equal(server.sql("SELECT sum(reltuples) FROM pg_class WHERE relname LIKE 'many#%' AND relkind = 'r'"),
              str(5 * PARTITIONS + 1), "VACUUM has counted them")
    tap.equal(server.sql("SELECT count(*), sum(end_offset) FROM partitions WHERE topic::text = 'many'"),
              "%d|%d" % (PARTITIONS, 5 * PARTITIONS + 1), "the view shows them")
    server.sql("SELECT delete_records('many:%d', 1)" % (PARTITIONS - 1))
    tap.equal(server.sql("SELECT count(*) FROM topics.many"), str(5 * PARTITIONS), "a record is deleted")
    server.sql("VACUUM topics.many")
    tap.equal(server.sql("SET enable_seqscan = off; SELECT count(*) FROM topics.many WHERE key IS NULL"),
              str(5 * PARTITIONS), "an index finds the others after VACUUM")


def test_too_many_at_once():
    """a transaction that appends to more than there is memory for is told so"""
    try:
        server.sql("INSERT INTO topics.many (partition, value) SELECT i, 'x' FROM generate_series(0, %d) i" % (PARTITIONS - 1))
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("too many partitions are being written.*\n.*\n.*pgtopic.max_partitions", str(error), "the error says what to do")
    tap.equal(server.sql("SELECT count(*) FROM topics.many WHERE value = 'x'"), "0", "nothing is written then")
    producer = Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 200, "log_level": 0})
    for i in range(PARTITIONS):
        producer.produce("many", "at once", partition=i)
    tap.equal(producer.flush(60), 0, "one Produce request for all partitions is carried out")
    tap.equal(server.sql("SELECT count(DISTINCT partition) FROM topics.many WHERE value = 'at once'"), str(PARTITIONS),
              "each has its record")


def test_all_in_use():
    """a transaction has all the memory there is: readers go on, others hear that they must try again"""
    client = consumer()
    client.commit(offsets=[TopicPartition("many", 20, 3)], asynchronous=False)
    session = server.session()
    session.sql("BEGIN")
    answers = [session.sql("SELECT append('many:%d', 'held')" % i) for i in range(ENTRIES)]
    tap.ok(all(a.isdigit() for a in answers), "it appends to as many as there is memory for")
    total = server.sql("SELECT count(*) FROM topics.many")
    tap.ok(int(total) > 4 * PARTITIONS, "a query reads all partitions")
    server.sql("VACUUM topics.many")
    tap.equal(server.sql("SELECT sum(records) FROM partitions WHERE topic::text = 'many'"), total, "VACUUM and the view work")
    try:
        found = client.committed([TopicPartition("many", 20)], timeout=5)[0]
        tap.ok(found.error is not None or found.offset == 3, "no client is told that it has committed nothing")
    except KafkaException:
        tap.ok(True, "no client is told that it has committed nothing")
    try:
        server.sql("SELECT append('many:%d', 'x')" % ENTRIES)
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("too many partitions", str(error), "who writes elsewhere waits for a while, and gets an error")
    session.sql("ROLLBACK")
    session.close()
    tap.equal(client.committed([TopicPartition("many", 20)], timeout=30)[0].offset, 3, "the committed offset is there")
    client.close()


def use_all():
    server.sql("".join("SELECT produce('many', 'push', partition => %d);\n" % i for i in range(PARTITIONS) if i != 7))


def test_pinned():
    """a transaction that has appended keeps its entry, however many others come by"""
    ends = "SELECT partition, end_offset FROM partitions WHERE topic = 'many' ORDER BY partition"
    before = [int(row[1]) for row in server.rows(ends)]
    session = server.session()
    session.sql("BEGIN")
    tap.equal(session.sql("SELECT append('many:0', 'pinned')"), str(before[0]), "it appends")
    for _ in range(2):
        server.sql("".join("SELECT append('many:%d', 'by');\n" % i for i in range(1, PARTITIONS)))
    tap.equal(session.sql("SELECT append('many:0', 'pinned, too')"), str(before[0] + 1), "it goes on where it was")
    session.sql("COMMIT")
    session.close()
    tap.equal([int(row[1]) for row in server.rows(ends)], [n + 2 for n in before], "each log has its own end")
    server.sql("SELECT append('many:0', 'next')")
    tap.equal(server.sql("SELECT end_offset FROM partitions WHERE topic = 'many' AND partition = 0"), str(before[0] + 3), "and goes on there")


def test_prepared():
    """appends of a prepared transaction are found again when its log's state has been put away"""
    before = int(server.sql("SELECT log_end('many:7')"))
    for end, count in (("COMMIT", 1), ("ROLLBACK", 0)):
        server.sql("BEGIN; SELECT append('many:7', 'prepared'); PREPARE TRANSACTION 'p'")
        use_all()
        tap.equal(server.sql("SELECT log_end('many:7')"), str(before), "not there while it is prepared")
        use_all()
        server.sql("%s PREPARED 'p'" % end)
        before += count
        tap.equal(server.sql("SELECT log_end('many:7')"), str(before), "%s PREPARED decides" % end)
        use_all()
        tap.equal(server.sql("SELECT append('many:7', 'next')"), str(before), "the next offset is right")
        before += 1
    server.sql("BEGIN; SELECT append('many:7', 'aborted'); ROLLBACK")
    use_all()
    tap.equal(server.sql("SELECT append('many:7', 'after an abort')"), str(before), "after an abort, too")
    server.sql("TRUNCATE topics.many")
    tap.equal(server.sql("SELECT count(*) FROM topics.many"), "0", "TRUNCATE of all partitions")
    tap.equal(server.sql("SELECT append('many:7', 'first')"), str(before + 1), "offsets go on")


class Writers:
    """Kafka and SQL producers on all partitions; what was acknowledged, and where."""

    def __init__(self):
        self.stop = threading.Event()
        self.acked = {}
        self.problems = []
        self.threads = [threading.Thread(target=target, args=(i,), daemon=True)
                        for i, target in enumerate([self.kafka, self.kafka, self.sql, self.sql, self.read, self.upkeep])]

    def kafka(self, number):
        random_ = random.Random(number)
        producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 2,
                             "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 200, "log_level": 0})

        def delivered(error, record):
            if error is None:
                self.acked[record.value().decode()] = (record.partition(), record.offset())
            else:
                self.problems.append(str(error))
        n = 0
        while not self.stop.is_set():
            for _ in range(10):
                producer.produce("many", "k%d-%d" % (number, n), partition=random_.randrange(PARTITIONS), on_delivery=delivered)
                n += 1
            producer.poll(0.02)
        producer.flush(100)

    def forever(self, step):
        """Calls step(session) until the end, with a new session after a crash."""
        session = None
        while not self.stop.is_set():
            try:
                session = session or server.session()
                step(session)
            except pg.SqlError:
                session = None
                time.sleep(0.05)
        if session:
            session.close()

    def sql(self, number):
        random_ = random.Random(number)
        n = [0]

        def step(session):
            value = "s%d-%d" % (number, n[0])
            n[0] += 1
            partition = random_.randrange(PARTITIONS)
            append = "SELECT append('many:%d', '%s')" % (partition, value)
            lost = append.replace("'" + value, "'lost")
            kind = random_.randrange(5)
            if kind == 0:
                session.sql("BEGIN; %s; ROLLBACK" % lost)
            if kind == 1:
                session.sql("BEGIN; SAVEPOINT s; %s; ROLLBACK TO s" % lost)
                answer = session.sql(append)
                good = session.sql("COMMIT; SELECT 'done'") == "done"
            elif kind == 2:
                session.sql("BEGIN")
                answer = session.sql(append)
                session.sql("PREPARE TRANSACTION '%s'" % value)
                good = session.sql("COMMIT PREPARED '%s'; SELECT 'done'" % value) == "done"
            else:
                answer = session.sql(append)
                good = True
            if answer.isdigit() and good:
                self.acked[value] = (partition, int(answer))
            elif "too many partitions" in answer:
                self.problems.append(answer)
        self.forever(step)

    def read(self, _number):
        query = ("SELECT partition, min(\"offset\"), max(\"offset\"), count(*) FROM topics.many GROUP BY 1 ORDER BY 1")

        def step(session):
            session.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
            first = session.sql(query)
            second = session.sql(query)
            session.sql("COMMIT")
            if "server" in first or "server" in second or "ERROR" in first + second:
                return
            if first != second:
                self.problems.append("a snapshot has changed")
            for line in first.splitlines():
                _, low, high, count = map(int, line.split("|"))
                if high - low + 1 != count:
                    self.problems.append("not a prefix: " + line)
        self.forever(step)

    def upkeep(self, _number):
        def step(session):
            session.sql("VACUUM topics.many")
            session.sql("ANALYZE topics.many")
            session.sql("EXPLAIN SELECT * FROM topics.many")
        self.forever(step)


def test_crashes():
    """sessions of all kinds at the same time, and kill -9 in between"""
    writers = Writers()
    for thread in writers.threads:
        thread.start()
    for _ in range(ROUNDS):
        before = len(writers.acked)
        deadline = time.monotonic() + 60
        while len(writers.acked) < before + 1000 and time.monotonic() < deadline:
            time.sleep(0.1)
        tap.ok(len(writers.acked) >= before + 1000, "records are acknowledged")
        server.kill9()
        server.start()
        for gid in server.rows("SELECT gid FROM pg_prepared_xacts WHERE prepared < pg_postmaster_start_time()"):
            server.sql("COMMIT PREPARED '%s'" % gid[0])
    time.sleep(1)
    writers.stop.set()
    for thread in writers.threads:
        thread.join(120)
    tap.equal(writers.problems[:5], [], "no errors, and snapshots see prefixes")
    rows = server.rows("SELECT partition, \"offset\", as_text(value) FROM topics.many")
    where = {row[2]: (int(row[0]), int(row[1])) for row in rows if row[2][0] in "ks"}
    tap.equal([v for v, at in writers.acked.items() if where.get(v) != at][:5], [],
              "what was acknowledged is where it was said to be (%d records)" % len(writers.acked))
    tap.equal([v for v, n in collections.Counter(row[2] for row in rows).items() if n > 1 and v[0] in "ks"][:5], [],
              "and nothing is there twice")
    tap.equal(sum(row[2] == "lost" for row in rows), 0, "nothing that was rolled back is there")
    starts = {int(p): int(o) for p, o in server.rows("SELECT partition, start_offset FROM partitions"
                                                     " WHERE topic::text = 'many'")}
    client = consumer()
    client.assign([TopicPartition("many", i, starts[i]) for i in range(PARTITIONS)])
    got = set()
    deadline = time.monotonic() + 60
    while len(got) < len(rows) and time.monotonic() < deadline:
        got.update((r.partition(), r.offset(), r.value().decode()) for r in client.consume(500, 1) if r.error() is None)
    client.close()
    tap.ok(got == {(int(p), int(o), v) for p, o, v in rows}, "a consumer gets what a query sees")


def test_number_of_partitions():
    """what bounds the partitions of a topic is the table of locks, and the error says so"""
    server.set(max_locks_per_transaction=10, max_connections=20)
    server.restart()
    server.wait_listener()
    try:
        server.sql("SELECT create_topic('big', partitions => 3000)")
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("3000 partitions is too large for one transaction(.|\n)*max_locks_per_transaction", str(error), "SQL is told")
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic("big", 200, 1)], request_timeout=60)["big"].result(90)
    tap.equal(server.sql("SELECT count(*) FROM partitions WHERE topic::text = 'big'"), "200", "a Kafka client makes it in pieces")
    try:
        server.sql("SELECT drop_topic('big')")
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("200 partitions is too large for one transaction(.|\n)*max_locks_per_transaction", str(error),
                    "SQL is told when it drops it, too")
    admin.delete_topics(["big"], request_timeout=60)["big"].result(90)
    tap.equal(server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'big%'"), "0", "a Kafka client deletes it")


tap.main([test_write_in_turn, test_wait_for_all, test_upkeep, test_too_many_at_once, test_all_in_use, test_pinned,
          test_prepared, test_crashes, test_number_of_partitions])
