#!/usr/bin/env python3
"""What a produced batch goes through on its way into the log: constraints, triggers, foreign keys, secondary
indexes, compression and timestamps of the topic, partitions that others hold, idempotent producers on the slow way.
"""

import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = None

NONE, CORRUPT, TOO_LARGE, INVALID_TIMESTAMP, OUT_OF_ORDER, INVALID_RECORD = 0, 2, 10, 32, 45, 87


def produce(topic, *batches, connection=None):
    """batches: (partition, Batch); answers by partition, as (error, base offset, message)."""
    got = (connection or client).call("Produce", 9, {
        "Acks": -1, "TimeoutMs": 10000, "TransactionalId": None,
        "TopicData": [{"Name": topic, "PartitionData": [{"Index": i, "Records": b.encode()} for i, b in batches]}]})
    return {p["Index"]: (p["ErrorCode"], p["BaseOffset"], p.get("ErrorMessage"))
            for p in got["Responses"][0]["PartitionResponses"]}


def one(topic, *records, **more):
    return produce(topic, (0, raw.Batch(records, **more)))[0]


def values(topic):
    return server.sql("SELECT coalesce(string_agg(convert_from(value, 'UTF8'), ',' ORDER BY partition, \"offset\"), '') "
                      "FROM topics.\"%s\"" % topic)


def stats():
    names = ["verified", "bytes_verified", "appended", "duplicates", "refused", "executed", "busy_tries"]
    return dict(zip(names, map(int, server.sql("SELECT %s FROM produce_stats" % ", ".join(names)).split("|"))))


def new_producer():
    return client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]


def test_check_constraint():
    """a CHECK constraint refuses the batch that violates it, and no other"""
    server.sql("SELECT create_topic('checked', 2); ALTER TABLE topics.checked ADD CHECK (length(value) < 4)")
    got = produce("checked", (0, raw.Batch([(None, "a"), (None, "b")])), (1, raw.Batch([(None, "ok"), (None, "long")])))
    tap.equal(got[0][:2], (NONE, 0), "the other partition's batch")
    tap.equal(got[1][:2], (INVALID_RECORD, -1), "the batch that violates it")
    tap.ok("constraint" in (got[1][2] or ""), "its message: %s" % got[1][2])
    tap.equal(produce("checked", (1, raw.Batch([("k", "c", [("h", b"1"), ("h", None)])])))[1][:2], (NONE, 0), "then a good one")
    tap.equal(values("checked"), "a,b,c", "what is there")
    tap.equal(server.sql("SELECT headers::text FROM topics.checked WHERE key = 'k'").replace(" ", ""),
              '[["h","1"],["h",null]]', "headers survive the executor")


def test_triggers():
    """row triggers see, change and drop records; a deferred one can still refuse the transaction"""
    server.sql("""SELECT create_topic('triggered');
        CREATE TABLE log (o bigint, v text);
        CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.value = 'drop' THEN RETURN NULL; END IF;
            NEW.value = NEW.value || '!'::bytea;
            RETURN NEW;
        END $$;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO log VALUES (NEW."offset", convert_from(NEW.value, 'UTF8'));
            IF NEW.value = 'bad!' THEN RAISE EXCEPTION 'refused at commit' USING ERRCODE = 'check_violation'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER edit BEFORE INSERT ON topics.triggered FOR EACH ROW EXECUTE FUNCTION edit();
        CREATE CONSTRAINT TRIGGER note AFTER INSERT ON topics.triggered DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION note()""")
    tap.equal(one("triggered", (None, "a"), (None, "drop"), (None, "b"))[:2], (NONE, 0), "edited and dropped")
    tap.equal(one("triggered", (None, "c"))[:2], (NONE, 2), "the next")
    tap.equal(one("triggered", (None, "bad"))[0], INVALID_RECORD, "refused at commit")
    tap.equal(one("triggered", (None, "d"))[:2], (NONE, 3), "and on")
    tap.equal(values("triggered"), "a!,b!,c!,d!", "what is there")
    tap.equal(server.sql("SELECT string_agg(v, ',' ORDER BY v) FROM log"), "a!,b!,c!,d!", "what the trigger noted")


def test_foreign_key():
    server.sql("""SELECT create_topic('referring'); CREATE TABLE users (key bytea PRIMARY KEY);
        INSERT INTO users VALUES ('u1'); ALTER TABLE topics.referring ADD FOREIGN KEY (key) REFERENCES users""")
    tap.equal(one("referring", ("u1", "fine"))[:2], (NONE, 0), "the referenced row is there")
    tap.equal(one("referring", ("u2", "dangling"))[0], INVALID_RECORD, "and here it is not")
    tap.equal(values("referring"), "fine", "what is there")


def test_slow_sequences():
    """the slow way keeps the sequence numbers of an idempotent producer, over a crash"""
    server.sql("SELECT create_topic('slow_sequences'); ALTER TABLE topics.slow_sequences ADD CHECK (value <> 'bad')")
    pid = new_producer()

    def send(sequence, *records):
        return one("slow_sequences", *[(None, r) for r in records], producer_id=pid, producer_epoch=0, base_sequence=sequence)[:2]

    tap.equal(send(0, "a", "b"), (NONE, 0), "the first")
    tap.equal(send(0, "a", "b"), (NONE, 0), "sent again")
    tap.equal(send(2, "bad"), (INVALID_RECORD, -1), "refused: moves nothing")
    tap.equal(send(2, "c"), (NONE, 2), "a good one takes the same number")
    tap.equal(send(9, "x")[0], OUT_OF_ORDER, "a gap")
    crash()
    tap.equal(send(2, "c"), (NONE, 2), "a duplicate stays one after a crash")
    tap.equal(send(3, "d"), (NONE, 3), "and the next is no gap")
    tap.equal(values("slow_sequences"), "a,b,c,d", "what is there")


def test_sequences_of_changed_batches():
    """triggers drop and add records of an idempotent producer; after a crash it goes on where it was"""
    server.sql("""SELECT create_topic('changed');
        CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.value = 'drop' THEN RETURN NULL; END IF;
            IF NEW.value = 'more' THEN PERFORM produce('changed', 'added'), produce('changed', 'added'); END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER change BEFORE INSERT ON topics.changed FOR EACH ROW EXECUTE FUNCTION change()""")
    pid = new_producer()
    sequence = 2147483640       # wraps around on the way

    def send(*records):
        return one("changed", *[(None, r) for r in records], producer_id=pid, producer_epoch=0, base_sequence=sequence)[0]

    for records in (("a", "drop", "b", "drop"), ("c", "more"), ("more", "drop"), ("d",)):
        tap.equal(send(*records), NONE, "a batch: %s" % ",".join(records))
        sequence = (sequence + len(records)) % 2147483648
        crash()
    tap.equal(sorted(values("changed").split(",")), sorted("a b c more added added more added added d".split()), "what is there")


def crash():
    global client
    server.restart("immediate")
    server.wait_listener()
    client.close()
    client = raw.Client(server.bootstrap)


def test_secondary_index():
    """what clients produce is in the indexes"""
    server.sql("SELECT create_topic('indexed', 1); CREATE INDEX ON topics.indexed (key)")
    for i in range(20):
        one("indexed", *[("k%d" % (i * 10 + j), "v") for j in range(10)])
    found = server.sql("SET enable_seqscan = off; SELECT count(*) FROM topics.indexed WHERE key IN ('k0', 'k57', 'k199', 'k200')")
    tap.equal(found.split("\n")[-1], "3", "found by key")
    plan = server.sql("SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT * FROM topics.indexed WHERE key = 'k57'")
    tap.ok("key" in plan and "Seq Scan" not in plan, "through the index")


def test_configs():
    """compression.type, message.timestamp.type, limits, cleanup.policy"""
    for codec in ("gzip", "snappy", "lz4", "zstd", "uncompressed"):
        name = "as_" + codec
        server.sql("""SELECT create_topic('%s', 1, '{"compression.type": "%s"}')""" % (name, codec))
        for attributes in (0, 1):       # none, gzip
            one(name, *[("k", "v%d" % i + "x" * 100) for i in range(50)], attributes=attributes)
        tap.equal(server.sql("SELECT count(*), count(DISTINCT value), max(\"offset\") FROM topics.%s" % name), "100|50|99",
                  "compressed as " + codec)
    server.sql("""SELECT create_topic('stamped', 1, '{"message.timestamp.type": "LogAppendTime"}')""")
    one("stamped", (None, "old"), timestamp=1000)
    tap.equal(server.sql("SELECT \"timestamp\" > now() - interval '1 minute' FROM topics.stamped"), "t", "log append time")
    server.sql("""SELECT create_topic('limited', 1, '{"max.message.bytes": "500", "message.timestamp.after.max.ms": "60000",
        "message.timestamp.before.max.ms": "3600000"}')""")
    now = int(time.time() * 1000)
    tap.equal(one("limited", (None, "x" * 600), timestamp=now)[0], TOO_LARGE, "too large")
    tap.equal(one("limited", (None, "x"), timestamp=now + 600000)[0], INVALID_TIMESTAMP, "of the future")
    tap.equal(one("limited", (None, "x"), timestamp=now - 36000000)[0], INVALID_TIMESTAMP, "of the past")
    tap.equal(one("limited", (None, "x"), timestamp=now)[:2], (NONE, 0), "of the present")
    server.sql("""SELECT create_topic('compacted', 1, '{"cleanup.policy": "compact"}')""")
    tap.equal(one("compacted", ("k", "v"), (None, "v"))[0], INVALID_RECORD, "no key in a compacted topic")
    tap.equal(one("compacted", ("k", "v"), ("k", None))[:2], (NONE, 0), "a tombstone")


def test_busy_partition():
    """a partition that a SQL transaction holds delays its own batches and no others"""
    server.sql("SELECT create_topic('busy', 2)")
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT append('busy:0', 'from sql')")
    answers = {}

    def send():
        with raw.Client(server.bootstrap) as other:
            answers.update(produce("busy", (0, raw.Batch([(None, "waits")])), connection=other))

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.3)
    begun = time.time()
    tap.equal(produce("busy", (1, raw.Batch([(None, "free")])))[1][:2], (NONE, 0), "the free one")
    tap.ok(time.time() - begun < 1, "at once")
    tap.equal(answers, {}, "the busy one waits")
    before = stats()
    while stats()["busy_tries"] < before["busy_tries"] + 3:
        time.sleep(0.02)
    tap.equal(stats()["verified"], before["verified"], "however often it is tried, it has been verified once")
    session.sql("COMMIT")
    thread.join(20)
    session.close()
    tap.equal(answers.get(0, (None, None))[:2], (NONE, 1), "and goes behind what SQL appended")
    tap.equal(values("busy"), "from sql,waits,free", "what is there")


def test_producers_are_bounded():
    """more idempotent producers than fit in memory: the log knows the others"""
    server.sql("SELECT create_topic('many_producers')")
    first = new_producer()

    def send(i, value, sequence):
        return one("many_producers", (None, value), producer_id=first + i, producer_epoch=0, base_sequence=sequence)[:2]

    for i in range(250):
        send(i, "x", 0)
    tap.equal(send(0, "x", 0), (NONE, 0), "what an early one sends again is known")
    tap.equal(send(1, "y", 7)[0], OUT_OF_ORDER, "so is a gap")
    tap.equal(send(1, "y", 1), (NONE, 250), "and it goes on")
    tap.equal([send(i, "x", 0) for i in range(0, 250, 9)], [(NONE, i) for i in range(0, 250, 9)], "and all the others")
    tap.equal(send(249, "y", 7)[0], OUT_OF_ORDER, "the last one, too")
    described = client.call("DescribeProducers", 0, {"Topics": [{"Name": "many_producers", "PartitionIndexes": [0]}]})
    states = described["Topics"][0]["Partitions"][0]["ActiveProducers"]
    tap.equal(sorted((s["ProducerId"] - first, s["LastSequence"]) for s in states), [(i, int(i == 1)) for i in range(250)],
              "all are described")
    tap.equal(server.sql("SELECT count(*) FROM topics.many_producers"), "251", "nothing is there twice")


def test_wrong_timestamp():
    """what a batch says of its largest timestamp is what its records say"""
    server.sql("SELECT create_topic('when')")
    for latest in (0, 4102444800000):
        tap.equal(one("when", (None, "a"), (None, "b", None, 1700000005000), latest=latest)[0], NONE, "latest is %d: taken" % latest)
    query = "SELECT count(*) FROM topics.\"when\" WHERE \"timestamp\" >= to_timestamp(%d)"
    tap.equal([server.sql(query % s) for s in (1700000001, 1700000006)], ["2", "0"], "SQL finds by time what is there")
    tap.equal([server.sql("SET enable_seqscan = off; " + query % s) for s in (1700000001, 1700000006)], ["2", "0"], "also by the index")
    answer = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": "when", "Partitions": [
        {"PartitionIndex": 0, "Timestamp": -3}]}]})["Topics"][0]["Partitions"][0]
    tap.equal((answer["Timestamp"], answer["Offset"]), (1700000005000, 1), "the largest is that of a record")


def test_time_in_a_long_log():
    """looking for a time where the directory of the log has more than one page"""
    server.sql("""SELECT create_topic('long', 1, '{"max.message.bytes": "3000000", "message.timestamp.before.max.ms": "9000000000000"}')""")
    server.sql("""SET pgtopic.produce_buffer = '2MB';
        SELECT count(produce('long'::topic, repeat('x', 2000000)::bytea, NULL::bytea, NULL, 0, to_timestamp(1000000 + i)))
        FROM generate_series(0, 249) i""")
    extents = int(server.sql("SELECT extents FROM partitions WHERE topic = 'long'"))
    tap.ok(extents > 160 + 250, "it has %d extents" % extents)

    def at(ms):
        found = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": "long", "Partitions": [
            {"PartitionIndex": 0, "Timestamp": ms}]}]})["Topics"][0]["Partitions"][0]
        return found["Offset"], found["Timestamp"]

    tap.equal([at(1000 * (1000000 + i) - 1) for i in (0, 1, 79, 80, 81, 100, 204, 205, 206, 248, 249)],
              [(i, 1000 * (1000000 + i)) for i in (0, 1, 79, 80, 81, 100, 204, 205, 206, 248, 249)], "each time is found")
    tap.equal(at(1000 * 1000250), (-1, -1), "and nothing behind the last")
    tap.equal(at(-3), (249, 1000 * 1000249), "the largest, too")
    server.sql("SELECT drop_topic('long')")


def test_nothing_left():
    tap.ok("leak" not in server.log_text(), "the server complains of nothing that was left open")


TESTS = [test_check_constraint, test_triggers, test_foreign_key, test_slow_sequences,
         test_sequences_of_changed_batches, test_secondary_index, test_configs, test_busy_partition,
         test_producers_are_bounded, test_wrong_timestamp, test_time_in_a_long_log, test_nothing_left]


def main():
    global server, client
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.max_producers": 100}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    client = raw.Client(server.bootstrap)
    tap.main(TESTS)


if __name__ == "__main__":
    main()
