#!/usr/bin/env python3
"""Look-ups by time find what a model finds that looks at every record.

Timestamps go forward, backward and far into the future; records are appended by transactions that commit and that do
not; the start of the log moves past outliers. ListOffsets gives the first record with this timestamp or a later one,
and the first with the largest; SQL gives the same rows by the index on "timestamp" as without.

The seed is printed; SEED=n runs it again.
"""

import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

T0 = 1600000000000
OUTLIER = T0 + 10 ** 11
RECORD = 180000             # bytes: five or six to an extent

server = client = None


def list_offset(topic, timestamp):
    """(offset, timestamp) of ListOffsets; -3 asks for the largest timestamp"""
    part = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": 0, "Timestamp": timestamp}]}]})["Topics"][0]["Partitions"][0]
    return (part["ErrorCode"] or part["Offset"]), part["Timestamp"]


class Model:
    """A topic, and its records as (offset, timestamp)."""

    def __init__(self, topic):
        self.topic = topic
        self.records = []
        self.next = 0
        server.sql("SELECT create_topic('%s', 1, '{\"retention.ms\": \"-1\"}')" % topic)

    def append(self, timestamps, commit=True):
        rows = ", ".join("(%d, %d)" % row for row in enumerate(timestamps))
        if commit and len(timestamps) % 2:      # one batch
            server.sql("""INSERT INTO topics.%s (partition, "timestamp", value) SELECT 0, to_timestamp(t / 1000.0),
                decode(repeat('00', %d), 'hex') FROM (VALUES %s) r(i, t) ORDER BY i""" % (self.topic, RECORD, rows))
        else:
            server.sql("""BEGIN; SELECT count(append(('%s:0')::partition, decode(repeat('00', %d), 'hex'), NULL::bytea, NULL,
                to_timestamp(t / 1000.0))) FROM (SELECT t FROM (VALUES %s) r(i, t) ORDER BY i) s; %s"""
                       % (self.topic, RECORD, rows, "COMMIT" if commit else "ROLLBACK"))
        if commit:
            self.records += [(self.next + i, t) for i, t in enumerate(timestamps)]
            self.next += len(timestamps)

    def trim(self, offset):
        server.sql("SELECT delete_records('%s:0'::partition, %d)" % (self.topic, offset))
        self.records = [r for r in self.records if r[0] >= offset]

    def first_from(self, timestamp):
        return next((r for r in self.records if r[1] >= timestamp), (-1, -1))

    def largest(self):
        latest = max((t for _, t in self.records), default=-1)
        return next((r for r in self.records if r[1] == latest), (-1, -1))

    def questions(self, dice):
        asked = {0, T0, OUTLIER, OUTLIER + 1, OUTLIER + 10 ** 9}
        for _, timestamp in dice.sample(self.records, min(len(self.records), 12)):
            asked |= {timestamp - 1, timestamp, timestamp + 1}
        return sorted(asked)

    def check(self, dice, what):
        asked = self.questions(dice)
        got = {t: list_offset(self.topic, t) for t in asked}
        good = tap.equal({t: got[t] for t in asked if got[t] != self.first_from(t)}, {}, what + ": ListOffsets by time")
        good &= tap.equal(list_offset(self.topic, -3), self.largest(), what + ": the largest timestamp")
        rows = server.sql("SET enable_seqscan = off; " + "; ".join(
            "SELECT count(*), coalesce(min(\"offset\"), -1) FROM topics.%s WHERE \"timestamp\" >= to_timestamp(%d / 1000.0)"
            % (self.topic, t) for t in asked)).split("\n")
        wanted = ["%d|%d" % (len([r for r in self.records if r[1] >= t]), self.first_from(t)[0]) for t in asked]
        good &= tap.equal(rows, wanted, what + ": SQL by the index")
        return good


def step(model, dice, now):
    """Something happens; returns the time after that."""
    n = dice.randint(1, 40)
    what = dice.random()
    if what < 0.5:
        model.append([now + i * 1000 for i in range(n)])
        return now + n * 1000
    if what < 0.65:
        model.append([now - dice.randint(0, 10 ** 6) for _ in range(n)])
    elif what < 0.75:
        model.append([now, OUTLIER + dice.randint(-10 ** 6, 0), now + 1])
    elif what < 0.85:
        model.append([now + 1, OUTLIER + 10 ** 8] + [now] * n, commit=False)
    elif model.records:
        model.trim(dice.choice(model.records)[0] if dice.random() < 0.8 else model.next)
    return now + dice.randint(0, 1000)


def test_random():
    """worlds that a seed decides"""
    seed = int(os.environ.get("SEED", random.randrange(10 ** 6)))
    tap.note("SEED=%d" % seed)
    for world in range(3):
        dice = random.Random(seed + world)
        model, now = Model("world%d" % world), T0
        model.check(dice, "world %d, empty" % world)
        for i in range(14):
            now = step(model, dice, now)
            if not model.check(dice, "world %d, step %d" % (world, i)):
                return


def test_outliers():
    """one far in the future, aborted, in front, and trimmed"""
    dice = random.Random(1)
    model = Model("outliers")
    model.append([OUTLIER])
    model.append([T0 + i for i in range(60)])
    model.check(dice, "in front")
    model.trim(1)
    model.check(dice, "trimmed")
    model.append([T0 + 100, OUTLIER], commit=False)
    model.append([T0 + 50 + i for i in range(40)])
    model.check(dice, "and an aborted one behind")
    model.append([T0 + 89, T0 + 200] + [T0 + 10] * 30)
    model.check(dice, "a smaller one")
    model.trim(model.next)
    model.check(dice, "nothing left")
    model.append([T0 + 7] * 30)
    model.check(dice, "all the same")
    server.kill9()
    server.start()
    reconnect()
    model.check(dice, "after a crash")


def test_last_batch_ends_there():
    """an extent in which a batch ends and none begins is no damage to who looks there"""
    server.sql("""SELECT create_topic('spill', 1, '{"max.message.bytes": "3000000"}');
        SELECT append('spill:0'::partition, decode(repeat('00', 1300000), 'hex'), NULL::bytea, NULL, to_timestamp(%d))""" % (T0 // 1000))
    tap.equal([list_offset("spill", t) for t in (T0, T0 + 1, -3)], [(0, T0), (-1, -1), (0, T0)], "ListOffsets")
    tap.equal(server.sql("SET enable_seqscan = off; SELECT count(*) FROM topics.spill WHERE \"timestamp\" >= to_timestamp(%d)" % (OUTLIER // 1000)),
              "0", "SQL by the index")


def reconnect():
    global client
    server.wait_listener()
    client = raw.Client(server.bootstrap, timeout=60)


def main():
    global server
    try:
        raw.message("ListOffsetsRequest")
    except Exception:
        tap.skip("kafka-clients' jar is not there")
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    reconnect()
    tap.main([test_last_batch_ends_there, test_outliers, test_random])


if __name__ == "__main__":
    main()
