#!/usr/bin/env python3
"""Physical standby: same pages (wal_consistency_checking), same answers, and life after promotion."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

primary = standby = None

WORKLOAD = """
SELECT create_topic('orders', partitions => 3);
SELECT create_topic('big', config => '{"max.message.bytes": 10000000}');
SELECT create_topic('gone');
-- rows by every door
INSERT INTO topics.orders (key, value) SELECT ('k' || i)::text::bytea, repeat('v', i)::bytea FROM generate_series(1, 2000) i;
SELECT count(*) FROM (SELECT produce('orders', 'text ' || i, key => 'k' || i % 17) FROM generate_series(1, 500) i) p;
SELECT append('orders:1', 'appended'::text);
-- batches that do not fit a WAL record, and more than one extent
INSERT INTO topics.big (value) SELECT repeat(md5(i::text), 20000)::bytea FROM generate_series(1, 8) i;
-- aborted ones, small and large
BEGIN; SELECT append('orders:0', 'never'::text); ROLLBACK;
BEGIN; SELECT append('big:0', repeat('never ', 400000)); ROLLBACK;
BEGIN; SELECT produce('orders', 'kept'::text); SAVEPOINT a; SELECT append('orders:2', 'rolled back'::text); ROLLBACK TO a; COMMIT;
-- everything that rewrites or seals
INSERT INTO topics.gone (value) SELECT 'x' FROM generate_series(1, 1000);
TRUNCATE topics.gone;
INSERT INTO topics.gone (value) VALUES ('after');
SELECT drop_topic('gone');
CREATE INDEX ON topics.orders (key);
VACUUM FREEZE topics.orders;
VACUUM topics.big;
CHECKPOINT;
INSERT INTO topics.orders (value) SELECT ('after checkpoint ' || i)::text::bytea FROM generate_series(1, 100) i;
"""

DIGEST = """
SELECT partition, count(*), min("offset"), max("offset"),
       md5(string_agg(concat("offset", key, value, headers, "timestamp"), ',' ORDER BY "offset"))
FROM topics.%s GROUP BY partition ORDER BY partition
"""


def same_on_both(topic, what):
    primary.wait_caught_up(standby)
    return tap.equal(standby.rows(DIGEST % topic), primary.rows(DIGEST % topic), what)


def test_workload():
    """the whole workload is replayed and each page compared"""
    global primary, standby
    primary = pg.Cluster("primary", {"wal_consistency_checking": "all"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic")
    standby = primary.standby().start()
    primary.sql(WORKLOAD)
    same_on_both("orders", "the standby has the same records")
    same_on_both("big", "also those of large batches")
    tap.equal(standby.sql("SELECT count(*) FROM topics.orders WHERE value = 'never'"), "0", "aborted ones stay hidden")
    tap.equal(standby.sql("SET enable_seqscan = off; SELECT count(*) FROM topics.orders WHERE key = 'k5'"),
              primary.sql("SELECT count(*) FROM topics.orders WHERE key = 'k5'"), "an index serves on the standby")
    tap.ok(int(standby.sql("SELECT count(*) FROM topics.orders WHERE value = 'appended'")) == 1, "append() got there")


def test_kafka_load():
    """what the listener appends is replayed, too"""
    try:
        from confluent_kafka import Producer
    except ImportError:
        tap.note("confluent_kafka is not installed: left out")
        return
    primary.wait_listener()
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = Producer({"bootstrap.servers": primary.bootstrap, "enable.idempotence": True,
                             "compression.type": codec, "log_level": 0})
        for i in range(1000):
            producer.produce("orders", value=("%s %d " % (codec, i)) * 20, key=str(i))
        tap.equal(producer.flush(60), 0, "%s: all delivered" % codec)
    same_on_both("orders", "the standby has what Kafka clients sent")


def test_restart_standby():
    """a standby that was killed comes up again and goes on"""
    standby.kill9()
    primary.sql("INSERT INTO topics.orders (value) SELECT 'while away' FROM generate_series(1, 300)")
    standby.start()
    same_on_both("orders", "caught up after kill -9")


def test_prepared():
    """a prepared transaction over a crash and a promotion"""
    global primary
    primary.sql("BEGIN; SELECT append('orders:0', 'prepared'::text); CREATE TABLE beside AS SELECT 1 AS a; "
                "PREPARE TRANSACTION 'one'")
    primary.sql("BEGIN; SELECT produce('orders', 'given up'::text, partition => 2); PREPARE TRANSACTION 'two'")
    primary.kill9().start()
    primary.wait_up()
    hidden = "SELECT count(*) FROM topics.orders WHERE value IN ('prepared', 'given up')"
    tap.equal(primary.sql(hidden), "0", "hidden after a crash")
    try:
        primary.sql("SET lock_timeout = '200ms'; SELECT append('orders:0', 'must wait'::text)")
        tap.ok(False, "the prepared transaction holds its partition after a crash")
    except pg.SqlError as problem:
        tap.matches("lock timeout", str(problem), "the prepared transaction holds its partition after a crash")
    tap.ok(primary.sql("SET lock_timeout = '2s'; SELECT append('orders:1', 'free'::text)") != "",
           "another partition is free")
    primary.wait_caught_up(standby)
    primary.stop("immediate")
    standby.promote()
    standby.sql("COMMIT PREPARED 'one'; ROLLBACK PREPARED 'two'")
    tap.equal(standby.sql(hidden + " AND value = 'prepared'"), "1", "committed after the promotion")
    tap.equal(standby.sql(hidden + " AND value = 'given up'"), "0", "rolled back after the promotion")
    tap.equal(standby.sql("SELECT a FROM beside"), "1", "its table is there, too")


def test_after_promotion():
    """the promoted server takes records and its offsets have no gap"""
    standby.sql("INSERT INTO topics.orders (value) SELECT 'new life' FROM generate_series(1, 300)")
    standby.wait_listener()
    gaps = standby.sql("SELECT partition, count(*), max(\"offset\") - min(\"offset\") + 1 FROM topics.orders "
                       "GROUP BY partition HAVING count(*) <> max(\"offset\") - min(\"offset\") + 1")
    tap.equal(gaps, "", "no gap in any partition")
    tap.equal(standby.sql("SELECT count(*) FROM topics.orders WHERE value = 'new life'"), "300", "new records are there")
    standby.restart("immediate")
    tap.equal(standby.sql("SELECT count(*) FROM topics.orders WHERE value = 'new life'"), "300", "and stay")


def test_conflict():
    """VACUUM seals what an old snapshot of the standby must not see: that one is cancelled, not shown more"""
    server = pg.Cluster("sealing", listener=False).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('sealed'); INSERT INTO topics.sealed (value) VALUES ('before')")
    replica = server.standby("replica", {"hot_standby_feedback": "off", "max_standby_streaming_delay": "0"}).start()
    server.wait_caught_up(replica)
    session = replica.session()
    count = "SELECT count(*) FROM topics.sealed"
    tap.equal(session.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; " + count), "1", "a snapshot")
    server.sql("INSERT INTO topics.sealed (value) VALUES ('after'); SELECT txid_current()")
    server.wait_caught_up(replica)
    tap.equal(session.sql(count), "1", "sees what it saw")
    server.sql("VACUUM topics.sealed")
    server.wait_caught_up(replica)
    try:
        answer = session.sql(count)
    except pg.SqlError as problem:
        answer = str(problem)
    tap.matches("conflict with recovery|connection", answer, "and after VACUUM has sealed more it is cancelled")
    session.close()
    replica.stop("immediate")
    server.stop("immediate")


def test_logs():
    for server in (primary, standby):
        tap.ok("inconsistent page" not in server.log_text(), "%s: pages are consistent" % server.name)
        tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "%s: no PANIC" % server.name)


pg.demote()
tap.main([test_workload, test_kafka_load, test_restart_standby, test_prepared, test_after_promotion, test_conflict, test_logs])
