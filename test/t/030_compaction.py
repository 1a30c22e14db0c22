#!/usr/bin/env python3
"""Compaction: the last record of each key stays as it was written, whatever happens; against a model, that a seed decides."""

import collections
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import points          # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = int(os.environ.get("PGTOPIC_ROUNDS", 60))
LARGEST = int(os.environ.get("PGTOPIC_LARGEST", 1500000))      # bytes of a value
KEYS = 150

ALL = """SELECT "offset", encode(key, 'escape'), md5(value), extract(epoch FROM "timestamp") * 1000, headers
         FROM topics.%s WHERE "offset" >= %d ORDER BY "offset" """
Record = collections.namedtuple("Record", "key value timestamp headers")
primary = standby = stop = None


def config(**more):
    pairs = {"cleanup.policy": ["compact", "delete"], "delete.retention.ms": 0, "retention.ms": -1, "max.message.bytes": 5000000}
    pairs.update(more)
    return str(pairs).replace("'", '"')


def read(server, topic, start=0, settings=""):
    """{offset: Record}"""
    return {int(row[0]): Record(*row[1:]) for row in server.rows(settings + ALL % (topic, start))}


class Log:
    """One partition, and what was written to it."""

    def __init__(self, server, topic, rng):
        self.server, self.topic, self.rng = server, topic, rng
        self.written = {}       # offset: Record, as it was when it was first seen
        self.start = 0
        self.number = 0
        self.idempotent = False     # what says what is known of producers is not compacted

    def create(self):
        self.server.sql("SELECT create_topic('%s', 1, '%s'); CREATE INDEX ON topics.\"%s#0\" (key)" % (self.topic, config(), self.topic))

    def learn(self):
        """what has been written since the last time; nothing is compacted in between"""
        end = max(self.written, default=-1) + 1
        self.written.update(read(self.server, self.topic, end))

    def rows(self):
        """random keys and values: (key, value or None)"""
        for _ in range(self.rng.choice((1, 5, 50, 300))):
            self.number += 1
            key = "k%d" % self.rng.randrange(KEYS)
            size = self.rng.choice((5, 50, 500, 5000)) if self.rng.random() < 0.98 else LARGEST
            yield key, None if self.rng.random() < 0.2 else ("%d." % self.number) * (size // 4)

    def by_sql(self):
        values = ", ".join("('%s', %s)" % (key, "NULL" if value is None else "'%s'" % value) for key, value in self.rows())
        self.server.sql("INSERT INTO topics.%s (key, value) SELECT k::bytea, v::bytea FROM (VALUES %s) AS t (k, v);" % (self.topic, values))

    def rolled_back(self):
        self.server.sql("BEGIN; SET LOCAL pgtopic.produce_buffer = '64kB'; INSERT INTO topics.%s (key, value)"
                        " SELECT ('k' || n)::bytea, repeat('x', 30000)::bytea FROM generate_series(1, 20) n; ROLLBACK" % self.topic)

    def by_kafka(self):
        producer = Producer({"bootstrap.servers": "127.0.0.1:%d" % self.server.kafka_port, "linger.ms": 20, "message.max.bytes": 10000000,
                             "enable.idempotence": self.idempotent and self.rng.random() < 0.7,
                             "compression.type": self.rng.choice(("none", "gzip", "snappy", "lz4", "zstd"))})
        failed = []
        for key, value in self.rows():
            if value is not None and len(value) > min(LARGEST, 900000):
                continue
            producer.produce(self.topic, key=key, value=value, headers=[("n", b"%d" % self.number)],
                             on_delivery=lambda error, _message: error and failed.append(error))
            producer.poll(0)
        producer.flush(60)
        if failed:
            raise RuntimeError(failed[0])

    def trim(self):
        end = max(self.written, default=0)
        offset = self.rng.randrange(self.start, end + 1) if self.rng.random() < 0.9 else self.start
        offset = self.start + (offset - self.start) // 3
        self.server.sql("SELECT delete_records('%s:0', %d)" % (self.topic, offset))
        self.start = max(self.start, offset)

    def compact(self):
        memory = self.rng.choice(("128MB", "64kB"))
        row = self.server.rows("SET pgtopic.compaction_memory = '%s'; SELECT * FROM compact_topic('%s')" % (memory, self.topic))[-1]
        self.clean = int(row[7])
        return row

    def stopped(self):
        """a compaction that is cancelled somewhere"""
        try:
            self.server.sql("SET statement_timeout = %d; SELECT * FROM compact_topic('%s')" % (self.rng.randrange(2, 120), self.topic))
        except pg.SqlError:
            pass

    def crash(self):
        """kill -9, mostly while it compacts"""
        thread = threading.Thread(target=self.compact_and_die)
        thread.start()
        time.sleep(self.rng.random() * 0.3)
        self.server.kill9()
        thread.join()
        self.server.start()
        self.server.wait_up()
        self.server.wait_listener()

    def compact_and_die(self):
        try:
            self.server.sql("SELECT * FROM compact_topic('%s')" % self.topic)
        except (pg.SqlError, OSError, RuntimeError, subprocess.SubprocessError):
            pass

    def last(self):
        """{key: offset}, of the records that are not before the start"""
        return {record.key: offset for offset, record in sorted(self.written.items()) if offset >= self.start}

    def problems(self, now, clean=0):
        """what is wrong with the records that are there now"""
        wrong = ["offset %d is %r and was %r" % (offset, record, self.written.get(offset))
                 for offset, record in now.items() if record != self.written.get(offset) or offset < self.start]
        last = self.last()
        wrong += ["key %s has lost offset %d" % (key, offset) for key, offset in last.items()
                  if offset not in now and self.written[offset].value != ""]
        once = set()
        for offset in sorted(now):
            if offset < clean and now[offset].key in once:
                wrong.append("key %s is there twice below %d" % (now[offset].key, clean))
            once.add(now[offset].key)
        # a key that was removed must not come back with an older value
        wrong += ["key %s has come back with offset %d" % (record.key, offset) for offset, record in now.items()
                  if offset < last[record.key] and last[record.key] not in now]
        return wrong[:5]

    def consumed(self):
        """{offset: key} as a Kafka consumer gets it"""
        consumer = Consumer({"bootstrap.servers": "127.0.0.1:%d" % self.server.kafka_port, "group.id": "none", "enable.auto.commit": False,
                             "enable.partition.eof": True, "auto.offset.reset": "earliest", "fetch.message.max.bytes": 3000000})
        consumer.assign([TopicPartition(self.topic, 0, self.start)])
        found = {}
        deadline = time.time() + 120
        while time.time() < deadline:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                if message.error().name() == "_PARTITION_EOF":
                    break
                raise RuntimeError(message.error())
            found[message.offset()] = message.key().decode()
        consumer.close()
        return found

    def check(self, what, clean=0):
        now = read(self.server, self.topic)
        good = tap.equal(self.problems(now, clean), [], what + ": records")
        by_index = read(self.server, self.topic, settings="SET enable_seqscan = off; ")
        good &= tap.equal(by_index == now, True, what + ": the index by offset")
        counts = self.server.sql("SET enable_seqscan = off; SELECT sum(n) FROM (SELECT (SELECT count(*) FROM topics.\"%s#0\""
                                 " WHERE key = ('k' || k)::bytea) n FROM generate_series(0, %d) k) s" % (self.topic, KEYS - 1))
        good &= tap.equal(int(counts), len(now), what + ": the index by key")
        backwards = self.server.sql("SELECT string_agg(\"offset\"::text, ',') FROM (SELECT \"offset\" FROM topics.%s"
                                    " ORDER BY \"offset\" DESC) s" % self.topic)
        good &= tap.equal(backwards, ",".join(str(offset) for offset in sorted(now, reverse=True)), what + ": backwards")
        good &= tap.equal(self.consumed(), {offset: record.key for offset, record in now.items()}, what + ": a consumer")
        good &= tap.equal(self.server.rows("SELECT * FROM verify_topic('%s', true)" % self.topic), [], what + ": verify_topic()")
        if standby:
            self.server.wait_caught_up(standby)
            good &= tap.equal(read(standby, self.topic) == now, True, what + ": the standby")
        return good


def test_random():
    """random writes, removals, crashes and compactions, with a standby"""
    global primary, standby, stop
    tap.note("seed %d: PGTOPIC_SEED=%d runs the same" % (SEED, SEED))
    rng = random.Random(SEED)
    stop = points.Points()
    primary = pg.Cluster("primary", {**stop.settings, "wal_consistency_checking": "all", "max_wal_size": "4GB", "wal_keep_size": "8GB",
                                     "pgtopic.file_delete_delay": "1", "pgtopic.compaction_interval": "1d", "shared_buffers": "32MB"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic")
    primary.wait_listener()
    standby = primary.standby(settings={"max_standby_streaming_delay": "-1"}).start()
    log = Log(primary, "keyed", rng)
    log.create()
    writes = (log.by_sql, log.by_sql, log.by_kafka, log.by_kafka, log.rolled_back)
    for i in range(ROUNDS):
        log.idempotent = i > ROUNDS * 0.6
        for _ in range(rng.randrange(1, 4)):
            rng.choice(writes)()
        log.learn()
        action = rng.choice((log.compact, log.compact, log.stopped, log.trim, log.crash, None, "vacuum"))
        if action == "vacuum":
            primary.sql("VACUUM topics.keyed")
        elif action:
            action()
        if i % 10 == 9:
            row = log.compact()
            if not log.check("round %d" % i, int(row[7])):
                break
    primary.sql("VACUUM topics.keyed")
    log.compact()
    log.check("after VACUUM", log.clean)
    tap.note("%d records written, %d left, %s blocks" % (len(log.written), len(read(primary, "keyed")),
                                                       primary.sql("SELECT pg_relation_size('topics.\"keyed#0\"') / 8192")))


def fill(topic, records, value="repeat(md5(n::text), 300)"):
    primary.sql("INSERT INTO topics.%s (key, value) SELECT ('k' || n %% %d)::bytea, (%s)::bytea FROM generate_series(1, %d) n"
                % (topic, KEYS, value, records))


DIRECTIONS = (("forwards", False, ""), ("by the index", True, 'ORDER BY "offset"'), ("backwards", True, 'ORDER BY "offset" DESC'))


class Scans:
    """Cursors over a topic, each of which has been read up to somewhere else."""

    def __init__(self, topic, direction, step):
        self.what, by_index, self.order = direction
        self.last = [int(n) for n in primary.sql("SELECT max(\"offset\") FROM topics.%s GROUP BY key" % topic).split("\n")]
        self.open = []
        for rows in range(1, int(primary.sql("SELECT count(*) FROM topics.%s" % topic)), step):
            session = primary.session()
            session.sql("BEGIN; SET enable_seqscan = %s; DECLARE c CURSOR FOR SELECT \"offset\" FROM topics.%s %s"
                        % ("off" if by_index else "on", topic, self.order))
            self.open.append((session, session.sql("FETCH %d FROM c" % rows)))

    def check(self):
        """each has the last record of each key, and none twice"""
        errors, unordered, lost = [], [], []
        for session, seen in self.open:
            rest = session.sql("FETCH ALL FROM c")
            session.close()
            if "ERROR" in rest:
                errors.append(rest)
                continue
            offsets = [int(n) for n in (seen + "\n" + rest).split()]
            if offsets != sorted(set(offsets), reverse="DESC" in self.order):
                unordered.append(offsets)
            lost.append(set(self.last) - set(offsets))
        tap.equal(errors, [], "%s: no error" % self.what)
        tap.equal(unordered, [], "%s: each record once, in order" % self.what)
        tap.equal([sorted(offsets)[:5] for offsets in lost if offsets], [], "%s: each key's last record is among them" % self.what)


def test_open_scan():
    """scans that are open across a compaction see each key's last record and no record twice, wherever they stand"""
    primary.sql("SELECT create_topic('scanned', 1, '%s')" % config())
    fill("scanned", 2000)
    primary.sql("VACUUM topics.scanned")
    for direction in DIRECTIONS:
        fill("scanned", 1000)
        scans = Scans("scanned", direction, 90)
        row = primary.rows("SELECT * FROM compact_topic('scanned')")[0]
        tap.ok(int(row[2]) > 0, "%s: the compaction has removed %s records meanwhile" % (scans.what, row[2]))
        scans.check()


def test_scan_over_holes():
    """the same while a compaction has come half way: what has been compacted lies behind holes"""
    primary.sql("SELECT create_topic('halved', 1, '%s')" % config())
    primary.sql("INSERT INTO topics.halved (key, value) SELECT CASE WHEN n % 2 = 0 THEN 'same' ELSE 'k' || n END::bytea, repeat(md5(n::text), 300)::bytea "
                "FROM generate_series(1, 3000) n")
    scans = [Scans("halved", direction, 150) for direction in DIRECTIONS]
    session = primary.session()
    stop.set("compact.swapped")
    session.send("SELECT records_removed > 0 FROM compact_topic('halved')")
    stop.await_("compact.swapped")
    for each in scans:
        each.check()
    stop.release("compact.swapped")
    tap.equal(session.answer(), "t", "the compaction goes on")
    session.close()


def test_start_moves():
    """the start of the log moves while a pass copies: that pass has not cleaned the log, and the next one does"""
    primary.sql("SELECT create_topic('cut', 1, '%s')" % config())
    fill("cut", 1500)
    session = primary.session()
    stop.set("compact.copied")
    session.send("SELECT passes, complete FROM compact_topic('cut')")
    stop.await_("compact.copied")
    primary.sql("SELECT delete_records('cut:0', 200)")
    stop.release("compact.copied")
    tap.equal(session.answer(), "2|t", "a second pass")
    tap.equal(count("cut"), KEYS, "each key once")
    session.close()


def test_snapshot():
    """what a repeatable-read snapshot needs stays: an older value, where the newer one is not visible to it"""
    primary.sql("SELECT create_topic('snapped', 1, '%s')" % config())
    fill("snapped", 1000)
    session = primary.session()
    session.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
    question = "SELECT count(*), md5(string_agg(encode(key, 'escape') || o, ',' ORDER BY key)) FROM (SELECT key, max(\"offset\") o FROM topics.snapped GROUP BY key) s"
    before = session.sql(question)
    fill("snapped", 1000)
    primary.rows("SELECT * FROM compact_topic('snapped')")
    tap.equal(session.sql(question), before, "the snapshot sees the values that were the last ones then")
    tap.ok(int(primary.sql("SELECT count(*) FROM topics.snapped")) >= 1000 + KEYS, "they are still there")
    session.sql("COMMIT")
    primary.rows("SELECT * FROM compact_topic('snapped')")
    left = int(primary.sql("SELECT count(*) FROM topics.snapped"))
    tap.ok(left < 600, "and then they go: %d records are left" % left)
    session.close()


def test_meanwhile():
    """appends, scans and fetches go on while compactions run one after the other, and space is used again at once"""
    rng = random.Random(SEED)
    log = Log(primary, "busy", rng)
    log.create()
    stop = threading.Event()
    problems = []

    def megabytes():
        return int(primary.sql("SELECT pg_relation_size('topics.\"busy#0\"')")) >> 20

    def reads():
        session = primary.session()
        while not stop.is_set():
            line = session.sql("SELECT count(*), count(DISTINCT \"offset\"), count(DISTINCT key) FROM topics.busy")
            count, distinct, _keys = (int(number) for number in line.split("|"))
            if count != distinct:
                problems.append("a scan has %d rows of %d records" % (count, distinct))
        session.close()

    def fetches():
        while not stop.is_set():
            log.consumed()

    def compacts():
        session = primary.session()
        while not stop.is_set():
            session.sql("SELECT * FROM compact_topic('busy')")
        session.close()

    def guarded(work):
        try:
            work()
        except Exception as problem:        # told below
            problems.append(repr(problem))

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (reads, fetches, compacts)]
    for thread in threads:
        thread.start()
    for _ in range(25):
        fill("busy", 400, "repeat(md5(random()::text), 200)")
    stop.set()
    for thread in threads:
        thread.join()
    tap.equal(problems, [], "nobody has met a problem")
    last = primary.sql("SELECT count(*), min(\"offset\") FROM (SELECT max(\"offset\") \"offset\" FROM topics.busy GROUP BY key) s")
    tap.equal(last, "%d|%d" % (KEYS, 25 * 400 - KEYS), "each key has its last record")
    tap.equal(primary.rows("SELECT * FROM verify_topic('busy', true)"), [], "verify_topic()")
    primary.wait_caught_up(standby)
    tap.equal(read(standby, "busy") == read(primary, "busy"), True, "the standby has the same")
    # How much of that was compacted, was read, or waited for the delay, is a matter of luck: as much again, with pauses longer than the delay.
    time.sleep(2.1)
    primary.sql("SELECT * FROM compact_topic('busy')")      # to the front of the file
    time.sleep(2.1)
    primary.sql("VACUUM topics.busy")
    before = megabytes()
    for _ in range(5):
        for _ in range(5):
            fill("busy", 400, "repeat(md5(random()::text), 200)")
            primary.sql("SELECT * FROM compact_topic('busy')")
        time.sleep(2.1)
    # VACUUM cuts nothing off while the last extent lies at the end; then there is space enough
    tap.ok(megabytes() < max(60, before + 1), "the file has %d MB, after %d more on %d" % (megabytes(), 25 * 400 * 6400 >> 20, before))


def until(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition() and time.time() < deadline:
        time.sleep(0.1)
    return condition()


def count(topic):
    return int(primary.sql("SELECT count(*) FROM topics.%s" % topic))


def test_worker():
    """the compactor does what the configs say, and lets others have the table"""
    primary.set(**{"pgtopic.compaction_interval": "200ms"})
    for topic, more in (("dirty", {"min.cleanable.dirty.ratio": 0.5}), ("clean", {"min.cleanable.dirty.ratio": 1.0}),
                        ("late", {"min.cleanable.dirty.ratio": 1.0, "max.compaction.lag.ms": 1}),
                        ("young", {"min.compaction.lag.ms": 3600000}), ("kept", {"cleanup.policy": ["delete"]})):
        primary.sql("SELECT create_topic('%s', 1, '%s')" % (topic, config(**more)))
        fill(topic, 1500)
    primary.reload()
    tap.ok(until(lambda: count("dirty") < 600), "what is dirty is compacted")
    tap.ok(until(lambda: count("late") < 600), "so is what has waited too long")
    before = primary.sql("SELECT pg_relation_filenode('topics.\"dirty#0\"')")
    fill("dirty", 1500)
    tap.ok(until(lambda: count("dirty") < 600), "and again")
    tap.equal(primary.sql("SELECT pg_relation_filenode('topics.\"dirty#0\"')"), before, "in place")
    tap.equal([count(topic) for topic in ("clean", "young", "kept")], [1500] * 3, "not below the ratio, not what is too young, nothing of other topics")
    log = Log(primary, "idempotent", random.Random(SEED))
    log.create()
    log.idempotent = True
    while len(log.written) < 3000:
        log.by_kafka()
        log.learn()
        fill("idempotent", 400)
    tap.ok(until(lambda: count("idempotent") < 1500), "a log of idempotent producers, too: a snapshot says what is known of them")
    tap.equal(primary.rows("SELECT * FROM compaction_progress WHERE leaf::text LIKE '%kept%'"), [], "compaction_progress")
    primary.sql("SELECT drop_topic('dirty'); SELECT drop_topic('late')")
    tap.equal([line for line in primary.log_text().split("\n") if "could not be compacted" in line], [], "without an error")


pg.demote()
tap.main([test_random, test_open_scan, test_scan_over_holes, test_start_moves, test_snapshot, test_meanwhile, test_worker])
