"""The workers: each is a process that does something again and again, and writes down what it did (checker.py says how).

A worker never says "ok" or "fail" of what it does not know: an answer that was lost is "unknown", unless somebody can be asked.

Siblings: run.py (starts them, and makes faults), clients.py (requests).
"""

import json
import os
import random
import struct
import time

import clients
import cluster as pg
import raw
from clients import ABORTABLE, BAD_STATE, NONE, OUT_OF_RANGE, WAIT, Producer, Refused, Talker

try:
    from confluent_kafka import Consumer, KafkaException
except ImportError:
    Consumer, KafkaException = None, OSError

RUN, DRAIN, STOP = 0, 1, 2          # phases: everybody works, consumers alone, nobody
PATIENCE = 60                       # seconds in which something is tried again
LOST = (OSError, raw.ProtocolError, struct.error, pg.SqlError, KafkaException, Refused, KeyError, IndexError)


class Worker:
    """One process' life."""

    drains = False

    def __init__(self, world, number):
        self.world = world
        self.name = "%s %d" % (type(self).__name__, number)
        self.random = random.Random("%d %s" % (world.seed, self.name))
        self.values = 0
        self.talker = Talker(world, self.name.replace(" ", "-"))
        self.session = None
        self.file = None

    def run(self, counter):
        """counter: an object whose value says how many operations were ok."""
        self.counter = counter
        with open(os.path.join(self.world.dir, self.name + ".history"), "w", encoding="utf8") as self.file:
            now = time.monotonic()
            self.write("worker", "ok", now, now)
            while self.world.phase.value == RUN or (self.drains and self.world.phase.value == DRAIN):
                try:
                    self.round()
                except LOST as problem:
                    self.lost(problem)
                    time.sleep(0.1 + self.random.random() / 5)
                time.sleep(self.random.random() * self.world.pause)
            self.end()

    def write(self, f, kind, t0, t1, **more):
        self.file.write(json.dumps({"p": self.name, "f": f, "type": kind, "t0": t0, "t1": t1, **more}) + "\n")
        self.file.flush()
        if kind == "ok" and f not in ("worker", "seek"):
            self.counter.value += 1

    def lost(self, problem):
        """After an error: other connections, as a server may have ended."""
        if os.environ.get("PGTOPIC_CONSISTENCY_VERBOSE"):
            print("# %.3f %s: %r" % (time.monotonic(), self.name, problem), flush=True)
        self.talker.close()
        self.end()

    def end(self):
        if self.session is not None:
            self.session.close()
        self.session = None

    def new_values(self, most):
        self.values += 1
        return ["%s %d.%d" % (self.name, self.values, i) for i in range(self.random.randint(1, most))]

    def part(self):
        return self.random.choice(self.world.parts)

    def sql(self, text, server=None):
        """Rows' text; SqlError when there is an error.  self.cut says then whether the session is lost, so that nobody knows what came of it."""
        self.cut = True
        if self.session is not None and self.session_at != self.world.current.value:
            self.end()
        if self.session is None:
            self.session_at = self.world.current.value
            self.session = (server or self.world.servers[self.session_at]).session()
            self.session.sql("SET statement_timeout = '20s'")
        got = self.session.sql(text)
        self.cut = any(word in got for word in ("FATAL:", "PANIC:", "server closed", "connection to server", "terminating connection", "WARNING:"))
        if self.cut or "ERROR:" in got:
            raise pg.SqlError(got)
        return got


class Sender(Worker):
    """An idempotent producer with some batches in flight, which sends again what is not answered."""

    id = None

    def round(self):
        if self.id is None:
            got = self.talker.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
            if got["ErrorCode"]:
                raise Refused("InitProducerId", got["ErrorCode"])
            self.id, self.epoch, self.sequences = got["ProducerId"], got["ProducerEpoch"], {}
        batches = [self.batch() for _ in range(self.random.randint(1, 5))]
        waiting, deadline = batches, time.monotonic() + PATIENCE
        while waiting and time.monotonic() < deadline and self.world.phase.value == RUN:
            try:
                self.send(waiting)
            except (OSError, raw.ProtocolError):
                self.talker.close()
                time.sleep(0.1)
            waiting = [b for b in waiting if b["type"] == "unknown"]
            if waiting and waiting[0]["code"] not in (None, NONE):
                time.sleep(0.05)
            if waiting and waiting[0]["code"] in (clients.OUT_OF_ORDER, clients.UNKNOWN_PRODUCER, clients.BAD_EPOCH):
                break
        now = time.monotonic()
        for b in batches:
            self.write("send", b["type"], b["t0"] or now, b["t1"] or now, mops=[
                ["send", b["part"], v, None if b["base"] is None else b["base"] + i] for i, v in enumerate(b["values"])])
        if waiting:
            self.id = None

    def batch(self):
        part, values = self.part(), self.new_values(4)
        sequence = self.sequences.get(part, 0)
        self.sequences[part] = sequence + len(values)
        data = raw.Batch([(None, v) for v in values], producer_id=self.id, producer_epoch=self.epoch, base_sequence=sequence).encode()
        return {"part": part, "values": values, "data": data, "type": "unknown", "t0": None, "t1": None, "base": None, "code": None}

    def send(self, batches):
        """All of them, and their answers in turn."""
        client = self.talker.connect()
        for b in batches:
            b["t0"] = b["t0"] or time.monotonic()
            client.send("Produce", 9, self.talker.produce_body(b["part"], b["data"]))
        for b in batches:
            b["code"], base = clients.told(client.receive("Produce", 9))
            b["t1"] = time.monotonic()
            if b["code"] in (NONE, clients.DUPLICATE):
                b["type"], b["base"] = "ok", base if base >= 0 and b["code"] == NONE else None


class Transactor(Worker):
    """Transactions of sends and polls over some partitions, one in four aborted; delayed requests of the last one come into the next."""

    v2 = False

    def __init__(self, world, number):
        super().__init__(world, number)
        self.producer = Producer(self.talker, self.name, self.v2)
        self.ready = False
        self.positions = {}
        self.old = None

    def round(self):
        if not self.ready:
            self.producer.init()
            self.ready = True
        mops, t0 = [], time.monotonic()
        try:
            for _ in range(self.random.randint(1, 5)):
                self.random.choice([self.send, self.send, self.poll])(mops)
            if self.old and self.random.random() < 0.3:
                self.delayed(mops)
        except LOST as problem:
            # what was sent is lost, whatever came of the last request: nobody has asked for a commit
            self.write("txn", "fail", t0, time.monotonic(), mops=mops)
            self.ready = False
            self.lost(problem)
            return
        sent = any(m[0] == "send" for m in mops)
        commit = sent and self.random.random() < 0.75
        if not commit and self.random.random() < 0.3:
            self.ready = False          # it is left open: the next init ends it
            self.write("txn", "fail", t0, time.monotonic(), mops=mops)
            return
        was, tc = (self.producer.id, self.producer.epoch), time.monotonic()
        kind = self.finish(commit)
        self.write("txn", kind, t0, time.monotonic(), tc=tc, mops=mops)
        self.old = was if self.v2 and self.ready and sent else None

    def send(self, mops):
        part, values = self.part(), self.new_values(3)
        mops += [["send", part, v, None] for v in values]
        self.producer.send(part, values)

    def poll(self, mops):
        part = self.part()
        error, start, _, records = self.talker.fetch({part: self.positions.get(part, 0)}, self.random.randrange(2), part_bytes=2000)[part]
        if error == OUT_OF_RANGE:
            now = time.monotonic()
            self.write("seek", "ok", now, now, parts=[part])
            self.positions.pop(part, None)
            self.positions[part] = max(self.talker.list_offsets([part], -2).get(part, 0), 0)
        elif error == NONE and records:
            mops.append(["poll", part, records])
            self.positions[part] = records[-1][0] + 1

    def finish(self, commit):
        """Ends the transaction; what came of it.  An answer that was lost is asked for again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                code = self.producer.end(commit)
            except (OSError, raw.ProtocolError):
                code = WAIT[0]
            if code not in WAIT:
                break
            if time.monotonic() > deadline:
                code = None
                break
            time.sleep(0.05)
        if code != NONE:
            self.ready = False
        if not commit or code in (ABORTABLE, BAD_STATE):
            return "fail"
        return "ok" if code == NONE else "unknown"

    def delayed(self, mops):
        """The last transaction's end, or a batch of it, comes on another connection while this one is open."""
        other = Talker(self.world, self.talker.name + "-delayed")
        late = Producer(other, self.name, True)
        late.id, late.epoch = self.old
        t0 = time.monotonic()
        try:
            if self.random.random() < 0.5:
                late.end(self.random.random() < 0.5)
                return
            part, values = self.part(), self.new_values(2)
            late.sequences[part] = self.random.randrange(3)
            self.write("txn", "fail", t0, t0, mops=[["send", part, v, None] for v in values])
            late.send(part, values)
        except Refused:
            pass
        finally:
            other.close()


class TransactorV2(Transactor):
    v2 = True


class Etl(Worker):
    """Reads two partitions and writes what it makes of each record to another topic, offsets in the same transaction: exactly once."""

    v2 = True
    drains = True
    sources = ("log:0", "log:1")
    group = "etl"

    def __init__(self, world, number):
        super().__init__(world, number)
        self.producer = Producer(self.talker, self.name, self.v2)
        self.ready = False

    def round(self):
        if not self.ready:
            self.producer.init()
            got = self.talker.call("OffsetFetch", 7, {"GroupId": self.group, "RequireStable": True, "Topics": [
                {"Name": "log", "PartitionIndexes": [clients.split(p)[1] for p in self.sources]}]})
            if got["ErrorCode"] or any(p["ErrorCode"] for t in got["Topics"] for p in t["Partitions"]):
                raise Refused("OffsetFetch", got["ErrorCode"] or 88)
            self.positions = {"log:%d" % p["PartitionIndex"]: max(p["CommittedOffset"], 0) for t in got["Topics"] for p in t["Partitions"]}
            now = time.monotonic()
            self.write("seek", "ok", now, now, parts=None)
            self.ready = True
        t0 = time.monotonic()
        mops = [["poll", part, records] for part, (error, _, _, records) in self.talker.fetch(self.positions, 1, 100, 4000).items() if records and not error]
        if not mops:
            self.write("poll", "ok", t0, time.monotonic(), mops=[])
            return
        # the same record may be tried again, so each trial has a number
        self.values += 1
        sent = ["etl %d|%s" % (self.values, r[1]) for m in mops for r in m[2]]
        try:
            mops += [["send", "out:0", v, None] for v in sent]
            self.producer.send("out:0", sent)
            following = {m[1]: m[2][-1][0] + 1 for m in mops if m[0] == "poll"}
            self.producer.commit_offsets(self.group, following)
        except LOST as problem:
            self.write("txn", "fail", t0, time.monotonic(), mops=mops)
            self.ready = False
            self.lost(problem)
            return
        tc = time.monotonic()
        kind = Transactor.finish(self, self.random.random() < 0.9)
        self.write("txn", kind, t0, time.monotonic(), tc=tc, mops=mops)
        if kind == "ok":
            self.positions.update(following)
        else:
            self.ready = False


class Poller(Worker):
    """Reads on from its positions, some partitions at a time; seeks now and then, and asks for the ends."""

    def __init__(self, world, number):
        super().__init__(world, number)
        self.positions = {}

    def round(self):
        if self.random.random() < 0.15:
            self.ask_ends()
        if self.random.random() < 0.05:
            self.seek(self.part())
        parts = self.random.sample(self.world.parts, self.random.randint(1, len(self.world.parts)))
        positions = {p: self.positions.get(p, 0) for p in parts}
        t0 = time.monotonic()
        got = self.talker.fetch(positions, self.random.randrange(2), self.random.choice([0, 0, 100]), self.random.choice([500, 5000, 1 << 16]))
        t1 = time.monotonic()
        for part, (error, _, _, _) in got.items():
            if error == OUT_OF_RANGE:
                self.ask_ends()
                self.seek(part, -2)
        well = {part: what for part, what in got.items() if what[0] == NONE}
        self.write("ends", "ok", t0, t1, ends={part: [max(start, 0), end] for part, (_, start, end, _) in well.items()})
        mops = [["poll", part, records] for part, (_, _, _, records) in well.items() if records]
        self.positions.update({m[1]: m[2][-1][0] + 1 for m in mops})
        self.write("poll", "ok", t0, t1, mops=mops)

    def ask_ends(self):
        for which in (-1, -2):
            t0 = time.monotonic()
            got = self.talker.list_offsets(self.world.parts, which, self.random.randrange(2))
            self.write("ends", "ok", t0, time.monotonic(), ends={part: [None, o] if which == -1 else [o, None] for part, o in got.items()})

    def seek(self, part, where=None):
        where = where or self.random.choice([-1, -2, 0])
        if where == 0:
            position = self.random.randrange(self.positions.get(part, 0) + 1)
        else:
            position = self.talker.list_offsets([part], where)[part]
        now = time.monotonic()
        self.write("seek", "ok", now, now, parts=[part])
        self.positions[part] = position


class Member(Worker):
    """A member of a group, by librdkafka, which comes and goes."""

    drains = True
    group = "members"
    consumer = None

    def round(self):
        if self.consumer is None:
            self.records = {}
            self.consumer = Consumer({
                "bootstrap.servers": ",".join(s.bootstrap for s in self.world.servers), "group.id": self.group, "log_level": 0,
                "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "auto.commit.interval.ms": 500, "reconnect.backoff.max.ms": 500,
                "partition.assignment.strategy": self.world.assignor, "topic.metadata.refresh.interval.ms": 2000,
                "isolation.level": self.random.choice(["read_committed", "read_uncommitted"])})
            self.consumer.subscribe(["log"], on_assign=self.changed, on_revoke=self.changed, on_lost=self.changed)
        for _ in range(100):
            message = self.consumer.poll(0.1)
            if message is None:
                break
            if message.error() is None:
                part = "%s:%d" % (message.topic(), message.partition())
                self.records.setdefault(part, []).append([message.offset(), message.value().decode()])
        self.write_records()
        if self.world.phase.value == RUN and self.random.random() < 0.02:
            self.lost("leaves")

    def write_records(self):
        now = time.monotonic()
        # one moment: what an assignment came before is behind it
        self.write("poll", "ok", now, now, mops=[["poll", part, records] for part, records in self.records.items()])
        self.records = {}

    def changed(self, _, partitions):
        self.write_records()
        now = time.monotonic()
        self.write("seek", "ok", now, now, parts=["%s:%d" % (p.topic, p.partition) for p in partitions])

    def end(self):
        super().end()
        if self.consumer is not None:
            self.consumer.close()
            now = time.monotonic()
            self.write("seek", "ok", now, now, parts=None)
        self.consumer = None


class SqlWriter(Worker):
    """Transactions of produce(), append() and poll(), with savepoints; some are rolled back, some prepared first."""

    def __init__(self, world, number):
        super().__init__(world, number)
        self.positions = {}

    def round(self):
        mops, undone, fate, gid = [], [], None, "%s %d" % (self.name, self.values)
        t0 = time.monotonic()
        try:
            self.sql("BEGIN")
            if self.random.random() < 0.5:
                self.poll(mops)
            for _ in range(self.random.randint(1, 4)):
                self.step(mops, undone)
            fate = self.random.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "PREPARE"])
            if fate == "PREPARE":
                # its answer may be lost, but nobody has asked for its commit then
                self.sql("PREPARE TRANSACTION '%s'" % gid)
        except LOST as problem:
            if fate == "PREPARE":
                self.resolve("ROLLBACK", gid)
            self.write_txn("fail", t0, mops, undone)
            self.lost(problem)
            return
        tc, kind = time.monotonic(), "fail" if fate == "ROLLBACK" else "ok"
        try:
            if fate == "PREPARE":
                kind = self.resolve("COMMIT", gid)
            else:
                self.sql(fate)
        except pg.SqlError as problem:
            kind = "unknown" if self.cut and fate == "COMMIT" else "fail"
            self.lost(problem)
        self.write_txn(kind, t0, mops, undone, tc=tc)

    def write_txn(self, kind, t0, mops, undone, **more):
        now = time.monotonic()
        if undone:
            self.write("txn", "fail", t0, now, mops=undone)
        self.write("txn", kind, t0, now, mops=mops, sql=True, **more)

    def step(self, mops, undone):
        where = mops
        if self.random.random() < 0.2:
            self.sql("SAVEPOINT s")
            where = undone
        for _ in range(self.random.randint(1, 2)):
            part, (value, *_) = self.part(), self.new_values(1)
            topic, n = clients.split(part)
            if self.random.random() < 0.5:
                where.append(["send", part, value, None])
                self.sql("SELECT produce('%s', '%s'::text, partition => %d)" % (topic, value, n))
            else:
                where.append(["send", part, value, None])
                where[-1][3] = int(self.sql("SELECT append('%s', '%s'::text)" % (part, value)))
        if where is undone:
            self.sql("ROLLBACK TO s")

    def poll(self, mops):
        part = self.part()
        topic, n = clients.split(part)
        got = self.sql("SELECT \"offset\", as_text(value) FROM poll('%s', %d, %d, 50)" % (topic, n, self.positions.get(part, 0)))
        records = [[int(o), v] for o, v in (line.split("|") for line in got.split("\n") if line)]
        if records:
            mops.append(["poll", part, records])
            self.positions[part] = records[-1][0] + 1

    def resolve(self, verdict, gid):
        """Of a prepared transaction.  Somebody else's answer is ours: it is there, or it has been done."""
        deadline = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < deadline:
            try:
                self.sql("%s PREPARED '%s'" % (verdict, gid))
                return "ok"
            except pg.SqlError as problem:
                if "does not exist" in str(problem):
                    return "ok"
                self.end()
            time.sleep(0.1)
        return "unknown"


class Snapshot(Worker):
    """Reads the ends of all partitions in one snapshot; on the standby, too, where there is one."""

    standby = False

    def __init__(self, world, number):
        super().__init__(world, number)
        self.seen = {}

    def round(self):
        first = {part: max(self.seen.get(part, 0) - 100, 0) for part in self.world.parts}
        query = " UNION ALL ".join(
            "SELECT '%s' AS part, \"offset\" AS o, as_text(value) AS v FROM topics.%s WHERE partition = %d AND \"offset\" >= %d" % (part, *clients.split(part), o)
            for part, o in first.items())
        t0 = time.monotonic()
        got = self.sql("SELECT part || '|' || o || '|' || v FROM (%s) r ORDER BY part, o" % query, self.server())
        parts = {part: [o, []] for part, o in first.items()}
        for line in got.split("\n"):
            if line:
                part, offset, value = line.split("|", 2)
                parts[part][1].append([int(offset), value])
        for part, (_, records) in parts.items():
            if records:
                self.seen[part] = max(self.seen.get(part, 0), records[-1][0] + 1)
        self.write("snapshot", "ok", t0, time.monotonic(), parts=parts, **({"standby": True} if self.standby else {}))
        time.sleep(self.random.random() / 5)

    def server(self):
        return None


class StandbySnapshot(Snapshot):
    standby = True

    def server(self):
        return self.world.servers[1 - self.world.current.value]


class SqlConsumer(Worker):
    """Consumes into a table, exactly once."""

    drains = True
    group = "sql"

    def round(self):
        t0 = time.monotonic()
        self.sql("INSERT INTO sink SELECT as_text(value) FROM consume('log', '%s', max_records => %d, timeout => '100ms')" % (
            self.group, self.random.choice([1, 20, 500])))
        if self.random.random() < 0.2:
            self.sql("BEGIN; INSERT INTO sink SELECT as_text(value) FROM consume('log', '%s'); ROLLBACK" % self.group)
        self.write("poll", "ok", t0, time.monotonic(), mops=[])


class Trimmer(Worker):
    """Deletes the older records of some partitions, by SQL or by Kafka's API."""

    def round(self):
        part = self.random.choice([p for p in self.world.parts if p.startswith("trim:")])
        start, end = (self.talker.list_offsets([part], which)[part] for which in (-2, -1))
        if end - start > 60:
            before = self.random.randrange(start, end - 20)
            t0 = time.monotonic()
            kind = "unknown"
            try:
                if self.random.random() < 0.5:
                    code = self.talker.delete_records(part, before)
                    kind = "ok" if code == NONE else "unknown"
                else:
                    self.sql("SELECT delete_records('%s', %d)" % (part, before))
                    kind = "ok"
            finally:
                self.write("delete", kind, t0, time.monotonic(), part=part, before=before)
        else:
            now = time.monotonic()
            self.write("poll", "ok", now, now, mops=[])
        time.sleep(self.random.random())
