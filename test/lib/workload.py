"""Clients of all kinds at work on one server, and a model of what must be there afterwards, whatever happens to the server.

    load = workload.Load(server, seed)
    load.create()
    load.start((workload.Writer, 3), (workload.KafkaWriter, 2), ...)
    ...                         # faults
    load.await_everybody()      # all go on
    load.stop()
    load.check_records()        # what was acknowledged is there once, what was rolled back is not, ...

What a client knows of its records is what it was told: acknowledged, rolled back, or nothing, as an answer was lost.  Values
are names that nobody else uses; longer ones are padded with a digest of the name, so that one that is damaged shows.

028_stress.py, 036_power.py and 043_points.py use it.
"""

import collections
import hashlib
import random
import threading
import time

import cluster as pg
import tap

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

PATIENCE = 180          # seconds: "does not hang"
# Topics: "plain" and "triggered" (executors append) keep all their records, "trimmed" loses its oldest by delete_records(),
# "retained" by retention.bytes, "compacted" all but the last of each key.
PARTITIONS = {"plain": 30, "triggered": 15, "trimmed": 4, "retained": 2, "compacted": 2}
KEPT = ("plain", "triggered")
RETAINED = 2 << 20      # bytes


class Load:
    """Topics, clients, and what is known of them."""

    def __init__(self, server, seed, partitions=None, padding=0):
        self.server = server
        self.seed = seed
        self.partitions = partitions or PARTITIONS
        self.padding = padding          # the most digests in a value, of 32 characters each
        self.stopping = threading.Event()
        self.clients = []
        self.consumed = collections.Counter()
        self.in_doubt = set()           # consumed by a transaction that may have committed
        # (topic, partition): where its log starts at least, and at most, as some answers are lost
        self.starts, self.starts_at_most = collections.Counter(), collections.Counter()

    def create(self):
        self.server.sql("CREATE EXTENSION IF NOT EXISTS pgtopic;" + "".join(
            "SELECT create_topic('%s', %d);" % t for t in self.partitions.items()))
        if "retained" in self.partitions:
            self.server.sql("SELECT alter_topic('retained', '{\"retention.bytes\": %d}')" % RETAINED)
        if "compacted" in self.partitions:
            self.server.sql("SELECT alter_topic('compacted', '{\"cleanup.policy\": \"compact\", \"max.compaction.lag.ms\": 1}')")
        if "triggered" in self.partitions:
            self.server.sql("""
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN IF random() < 0.02 THEN PERFORM pg_sleep(random() / 5); END IF; RETURN NEW; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON topics.triggered FOR EACH ROW EXECUTE FUNCTION slow()""")
        self.server.sql("CREATE INDEX ON topics.plain USING hash (value)")
        self.server.wait_listener()

    def start(self, *kinds):
        for kind, n in kinds:
            for i in range(n):
                self.clients.append(kind(self, i))
        for client in self.clients:
            client.start()

    def await_rounds(self, n, timeout=30):
        """Until n rounds of clients have gone well from now on, or the time is over."""
        goal = self.rounds() + n
        deadline = time.monotonic() + timeout
        while self.rounds() < goal and time.monotonic() < deadline:
            time.sleep(0.02)

    def rounds(self):
        return sum(c.rounds for c in self.clients)

    def await_everybody(self, what="everybody goes on"):
        """Until each client has gone through a round from now on."""
        before = {c: c.rounds for c in self.clients}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and any(c.rounds == before[c] for c in self.clients):
            time.sleep(0.1)
        tap.equal([c.name for c in self.clients if c.rounds == before[c]], [], what)

    def stop(self):
        self.stopping.set()
        for client in self.clients:
            client.join(PATIENCE)
        tap.equal([c.name for c in self.clients if c.is_alive()], [], "and comes to an end")

    # what must be there

    def rows(self):
        """(topic, partition, offset, name) of each record, in order; the name says so when a value is not what was written."""
        text = " UNION ALL ".join("SELECT '%s' AS topic, partition, \"offset\", as_text(value) AS v FROM topics.%s" % (t, t)
                                  for t in self.partitions)
        found = self.server.rows("""SELECT topic, partition, "offset", name ||
            CASE WHEN replace(substr(v, length(name) + 2), md5(name), '') <> '' THEN ' is damaged' ELSE '' END
            FROM (SELECT *, split_part(v, '|', 1) AS name FROM (%s) r) r""" % text)
        return sorted((r[0], int(r[1]), int(r[2]), r[3]) for r in found)

    def check_records(self):
        """Nothing is lost, nothing is there twice, offsets have no gaps; SQL and Kafka see the same."""
        self.look_at_compacted()
        rows = self.rows()
        self.look_at_retained()
        there = collections.Counter(r[3] for r in rows)
        places = {r[:3]: r[3] for r in rows}
        acknowledged = {v: place for c in self.clients for v, place in c.acknowledged.items()
                        if not self._is_gone(place) and not is_compacted(place)}
        tap.note("%d records, %d acknowledged; rounds: %s" % (len(rows), len(acknowledged), ", ".join(
            "%s %d" % (c.name, c.rounds) for c in self.clients)))
        tap.equal(sorted(set(acknowledged) - set(there))[:10], [], "all that was acknowledged is there")
        tap.equal([v for v, place in acknowledged.items() if place and places.get(place) != v][:10], [], "where it was said to be")
        tap.equal([v for v in there if there[v] > 1][:10], [], "once")
        tap.equal([v for v in there if v.endswith(" is damaged")][:10], [], "as it was written")
        tap.equal(sorted(set().union(*(c.rolled_back for c in self.clients)) & set(there))[:10], [], "and nothing that was rolled back")
        gaps = [(a, b) for a, b in zip(rows, rows[1:]) if a[:2] == b[:2] and b[2] != a[2] + 1 and not is_compacted(a)]
        tap.equal(gaps[:10], [], "offsets have no gaps")
        first = {r[:2]: r[2] for r in reversed(rows)}
        tap.equal([p for p, start in self.starts.items() if first.get(p, start) < start], [], "what was deleted is gone")
        tap.equal(self.disorder(rows), [], "each client's records are in order")
        damage = self.server.sql("".join("SELECT * FROM verify_topic('%s', deep => true);" % t for t in self.partitions))
        tap.equal(damage, "", "verify_topic() finds the logs and their indexes in order")
        kept = [r for r in rows if r[0] in KEPT]
        tap.equal(read_all(self, len(kept)) == kept, True, "Kafka's consumers see the same")
        seen = {place: v for c in self.clients for place, v in getattr(c, "seen", {}).items() if not self._is_gone(place)}
        tap.equal([s for s in seen.items() if places.get(s[0], s[1] if is_compacted(s[0]) else None) != s[1]][:10], [],
                  "consumers were shown nothing that was taken back (%d records)" % len(seen))
        tap.equal([c.wrong[:10] for c in self.clients if c.wrong], [], "and all of it in order")

    def look_at_compacted(self):
        """After a compaction each key is there once, with the last record that was acknowledged or a later one, and nothing has moved."""
        if "compacted" not in self.partitions:
            return
        complete = self.server.rows("SELECT partition, complete FROM compact_topic('compacted')")
        tap.equal([row for row in complete if row[1] != "t"], [], "compacted")
        rows = [r for r in self.rows() if is_compacted(r)]
        places = {r[:3]: r[3] for r in rows}
        last = {(r[1], key_of(r[3])): r[2] for r in rows}
        tap.equal(len(rows), len(last), "each key once")
        acknowledged = [(place, v) for c in self.clients for v, place in c.acknowledged.items() if is_compacted(place)]
        tap.equal([a for a in acknowledged if last.get((a[0][1], key_of(a[1])), -1) < a[0][2]][:10], [], "its last record, of %d" % len(acknowledged))
        tap.equal([a for a in acknowledged if places.get(*a) != a[1]][:10], [], "where it was")

    def look_at_retained(self):
        """Where retention has moved the starts to: what is before them is gone, and not too much."""
        for partition in range(self.partitions.get("retained", 0)):
            place = "retained", partition
            start, length = map(int, self.server.sql(
                "SELECT log_start('retained:%d'), sum(length(value)) FROM topics.retained WHERE partition = %d" % (partition, partition)).split("|"))
            self.starts_at_most[place] = start
            tap.ok(start == 0 or length > RETAINED / 2, "%s:%d starts at %d, with %d bytes" % (*place, start, length))

    def _is_gone(self, place):
        return bool(place) and place[2] < self.starts_at_most[place[:2]]

    def disorder(self, rows):
        """Names whose number is below one of the same client before it in its partition."""
        last, found = {}, []
        ordered = {c.name for c in self.clients if c.in_order}
        for topic, partition, _, name in rows:
            client, number = name.split(": ")
            if client in ordered and int(number.split()[0]) <= last.get((topic, partition, client), -1):
                found.append(name)
            last[topic, partition, client] = int(number.split()[0])
        return found[:10]

    def check_consumed(self):
        """A group of sessions has got each record once."""
        while True:
            rest = self.server.sql(consume("sessions", 10000, "0")).split("\n")
            if rest == [""]:
                break
            self.consumed.update(rest)
        plain = set(r[3] for r in self.rows() if r[0] == "plain")
        tap.equal([v for v, n in self.consumed.items() if n > 1][:10], [], "nothing twice")
        tap.equal(sorted(plain - set(self.consumed) - self.in_doubt)[:10], [], "and nothing left out")
        tap.equal(sorted(set(self.consumed) - plain)[:10], [], "and nothing that is not there")

    def check_idle(self):
        """Nothing is left behind, and the server's log complains of nothing."""
        locks = "SELECT count(*) FROM pg_locks WHERE locktype IN ('object', 'advisory')"
        deadline = time.monotonic() + PATIENCE
        while self.server.sql(locks) != "0" and time.monotonic() < deadline:
            time.sleep(0.1)
        tap.equal(self.server.sql(locks), "0", "no lock is held")
        text = self.server.log_text()
        for words in ("PANIC", "TRAP", "terminated by signal 6", "terminated by signal 11", "leak", "don't own", "still referenced"):
            tap.ok(words not in text, "the server's log does not say \"%s\"" % words)


def is_compacted(place):
    return bool(place) and place[0] == "compacted"


def key_of(name):
    """Of a record with this name: a client has five."""
    client, number = name.split(": ")
    return "%s key %d" % (client, int(number.split()[0]) % 5)


def consume(group, n, timeout):
    return ("SELECT split_part(as_text(value), '|', 1) FROM consume('plain', '%s', max_records => %d, timeout => '%s')"
            % (group, n, timeout))


def read_all(load, n):
    """What a Kafka consumer finds, which must be n records."""
    consumer = Consumer({"bootstrap.servers": load.server.bootstrap, "group.id": "all", "log_level": 0})
    consumer.assign([TopicPartition(t, i, 0) for t, partitions in load.partitions.items() if t in KEPT for i in range(partitions)])
    got = []
    deadline = time.monotonic() + PATIENCE
    while len(got) < n and time.monotonic() < deadline:
        got += [m for m in consumer.consume(1000, 1) if m.error() is None]
    consumer.close()
    return sorted((m.topic(), m.partition(), m.offset(), name_of(m.value())) for m in got)


def name_of(value):
    """Of what a Kafka consumer got."""
    name, _, padding = value.decode().partition("|")
    return name + (" is damaged" if padding.replace(digest(name), "") else "")


def digest(name):
    return hashlib.md5(name.encode()).hexdigest()


class Client(threading.Thread):
    """Does something again and again; counts how often it went well, and keeps what it knows of its records."""

    in_order = True             # of its records in one partition

    def __init__(self, load, number):
        super().__init__(daemon=True, name="%s %d" % (type(self).__name__, number))
        self.load = load
        self.number = number
        self.random = random.Random("%d %s" % (load.seed, self.name))
        self.rounds = self.values = 0
        self.acknowledged = {}      # name: (topic, partition, offset), or None where that was not told
        self.rolled_back, self.wrong = set(), []
        self.session = None

    def run(self):
        while not self.load.stopping.is_set():
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
            self.session = self.load.server.session()
        got = self.session.sql(text)
        if "ERROR:" in got or "FATAL:" in got or "WARNING:" in got:
            raise pg.SqlError(got)
        return got

    def name_next(self):
        self.values += 1
        return "%s: %d" % (self.name, self.values)

    def padded(self, name):
        if self.load.padding == 0:
            return name
        return name + "|" + digest(name) * self.random.choice([0, 1, 10, self.random.randrange(self.load.padding + 1)])

    def partition(self):
        topic = self.random.choice(["plain"] + list(self.load.partitions))
        return topic, self.random.randrange(self.load.partitions[topic])

    def append(self, name, place=None):
        return "SELECT append('%s:%d', '%s'::text, key => '%s'::text)" % (*(place or self.partition()), self.padded(name), key_of(name))


class Writer(Client):
    """A session that appends in all kinds of transactions."""

    def round(self):
        self.random.choice([self.single, self.many, self.savepoint, self.rollback, self.timeout, self.prepared])()

    def single(self):
        name, place = self.name_next(), self.partition()
        self.acknowledged[name] = (*place, int(self.sql(self.append(name, place))))

    def many(self):
        names = [self.name_next() for _ in range(3)]
        self.sql("BEGIN; %s; COMMIT" % "; ".join("SELECT produce('plain', '%s'::text)" % self.padded(n) for n in names))
        self.acknowledged.update(dict.fromkeys(names))

    def savepoint(self):
        kept, undone, last = (self.name_next() for _ in range(3))
        self.rolled_back.add(undone)
        places = self.kept_partition(), self.kept_partition()
        self.sql("BEGIN; %s; SAVEPOINT s" % self.append(kept, places[0]))
        self.sql("%s; ROLLBACK TO s; %s; COMMIT" % (self.append(undone), self.append(last, places[1])))
        self.acknowledged.update({kept: None, last: None})

    def rollback(self):
        name = self.name_next()
        self.rolled_back.add(name)
        self.sql("BEGIN; %s; ROLLBACK" % self.append(name))

    def timeout(self):
        name = self.name_next()
        self.rolled_back.add(name)
        self.session = self.session or self.load.server.session()
        self.session.sql("BEGIN; %s; SET LOCAL statement_timeout = 20; SELECT pg_sleep(600)" % self.append(name))
        self.sql("ROLLBACK")

    def prepared(self):
        name = self.name_next()
        verdict = "COMMIT"
        try:
            self.sql("BEGIN; %s; PREPARE TRANSACTION '%s'" % (self.append(name, self.kept_partition()), name))
        except pg.SqlError:
            verdict = "ROLLBACK"
            self.lost()
        while not self.decided(verdict, name):
            time.sleep(0.1)
        if verdict == "COMMIT":
            self.acknowledged[name] = None

    def decided(self, verdict, gid):
        """Of a prepared transaction; there may be none, as an answer was lost."""
        try:
            self.sql("%s PREPARED '%s'" % (verdict, gid))
        except pg.SqlError as problem:
            self.lost()
            return "does not exist" in str(problem)
        return True

    def kept_partition(self):
        """For records whose offset is not told."""
        topic = self.random.choice([t for t in self.load.partitions if t in KEPT])
        return topic, self.random.randrange(self.load.partitions[topic])


class KafkaWriter(Client):
    """An idempotent producer, which tries again until it is answered."""

    producer = None
    settings = {"enable.idempotence": True, "message.timeout.ms": PATIENCE * 1000, "request.timeout.ms": 5000,
                "reconnect.backoff.max.ms": 200}

    def round(self):
        left = []

        def delivered(error, message):
            left.pop()
            if error is None:
                self.acknowledged[message.value().decode().partition("|")[0]] = (message.topic(), message.partition(), message.offset())

        if self.producer is None:
            self.producer = Producer({"bootstrap.servers": self.load.server.bootstrap, "log_level": 0, **self.settings})
        for _ in range(self.random.randrange(1, 40)):
            topic, partition = self.partition()
            left.append(None)
            name = self.name_next()
            self.producer.produce(topic, self.padded(name), key_of(name), partition=partition, on_delivery=delivered)
        while left:
            self.producer.poll(1)

    def lost(self):
        self.producer = None


class LeaderWriter(KafkaWriter):
    """acks=1, and never a second try: what is answered is there all the same."""

    settings = {"acks": 1, "enable.idempotence": False, "retries": 0, "message.timeout.ms": 10000, "reconnect.backoff.max.ms": 200}


class KafkaReader(Client):
    """A member of a group: sees the offsets of each partition one after the other, and nothing that is taken back."""

    consumer = None

    def round(self):
        if self.consumer is None:
            self.next, self.seen = {}, {}

            def changed(*_):
                self.next.clear()

            self.consumer = Consumer({"bootstrap.servers": self.load.server.bootstrap, "group.id": "kafka", "log_level": 0,
                                      "auto.offset.reset": "earliest", "session.timeout.ms": 10000, "reconnect.backoff.max.ms": 200})
            self.consumer.subscribe([t for t in self.load.partitions if t in KEPT], on_assign=changed, on_revoke=changed, on_lost=changed)
        for message in self.consumer.consume(500, 1):
            if message.error() is None:
                place = message.topic(), message.partition()
                if self.next.setdefault(place, message.offset()) != message.offset():
                    self.wrong.append((*place, message.offset(), "expected", self.next[place]))
                self.next[place] = message.offset() + 1
                name = name_of(message.value())
                if self.seen.setdefault((*place, message.offset()), name) != name:
                    self.wrong.append((*place, message.offset(), self.seen[(*place, message.offset())], "became", name))

    def end(self):
        if self.consumer is not None:
            self.consumer.close()


class Watcher(Client):
    """Reads a partition by SQL, again and again: no record of it is taken back or changes."""

    def round(self):
        self.seen = getattr(self, "seen", {})
        topic, partition = self.partition()
        for line in self.sql("SELECT \"offset\", split_part(as_text(value), '|', 1) FROM topics.%s WHERE partition = %d"
                             % (topic, partition)).split("\n"):
            if line:
                offset, name = line.split("|")
                place = topic, partition, int(offset)
                if self.seen.setdefault(place, name) != name:
                    self.wrong.append((place, self.seen[place], "became", name))


class Reader(Client):
    """Sessions of a group: what a transaction that committed has consumed, no other one gets."""

    def round(self):
        names = []
        try:
            self.sql("BEGIN")
            names = self.sql(consume("sessions", 200, "100ms")).split("\n")
            self.sql("COMMIT")
        except pg.SqlError:
            self.load.in_doubt.update(names)
            raise
        self.load.consumed.update(v for v in names if v)


class Maker(Client):
    """Makes a topic, has somebody wait for it, empties it and drops it: who waits is told."""

    def round(self):
        topic = self.name_next().lower().replace(": ", "_").replace(" ", "_")
        self.sql("SELECT create_topic('%s', 3)" % topic)
        waiter = self.load.server.session()
        try:
            waiter.send("SELECT count(*) FROM poll('%s', 1, 0, timeout => '1h')" % topic)
            self.sql("SELECT append('%s:0', 'x'); TRUNCATE topics.%s; SELECT append('%s:2', 'y'); VACUUM topics.%s" % ((topic,) * 4))
            self.sql("SELECT drop_topic('%s')" % topic)
            waiter.answer()
        finally:
            waiter.close()


class Trimmer(Client):
    """Deletes a partition's older records, or sees retention do so: no start goes back, and what is behind it stays."""

    def round(self):
        topic = self.random.choice([t for t in self.load.partitions if t not in KEPT])
        place = topic, self.random.randrange(self.load.partitions[topic])
        start, end = map(int, self.sql("SELECT log_start('%s:%d'), log_end('%s:%d')" % (place * 2)).split("|"))
        if self.load.starts[place] > start:
            self.wrong.append((*place, "starts at", start, "but did at", self.load.starts[place]))
        self.load.starts[place] = max(self.load.starts[place], start)
        if topic == "trimmed" and end - start > 20:
            upto = self.random.randrange(start, end + 1)
            self.load.starts_at_most[place] = max(self.load.starts_at_most[place], upto)
            self.sql("SELECT delete_records('%s:%d', %d)" % (*place, upto))
            self.load.starts[place] = max(self.load.starts[place], upto)
        self.load.stopping.wait(0.05)


class Compactor(Client):
    """Compacts, beside the server's own process."""

    def round(self):
        self.sql("SELECT * FROM compact_topic('compacted')")
        self.load.stopping.wait(self.random.random() / 2)


class Vacuumer(Client):
    """Seals, and checkpoints now and then, so that recovery has not everything to replay."""

    def round(self):
        self.sql(self.random.choice(["CHECKPOINT", "VACUUM topics.%s" % self.random.choice(list(self.load.partitions))]))
        self.load.stopping.wait(self.random.random() / 2)
