#!/usr/bin/env python3
"""Subscribers of topics: a topic of another server gets the same records at the same offsets, a heap table the same rows,
exactly once, with restarts of both sides; a conflict stops with an error that says what to do."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Producer
except ImportError:
    tap.skip("confluent_kafka is not installed")

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 5, 60)
PARTITIONS = 2
SETTINGS = {"max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40, "max_logical_replication_workers": 16,
            "max_sync_workers_per_subscription": 4, "max_prepared_transactions": 20, "logical_decoding_work_mem": "64kB",
            "wal_retrieve_retry_interval": "100ms"}
ROWS = """SELECT "offset", "timestamp", key, md5(value), headers::text FROM topics.%s WHERE partition = %d ORDER BY "offset" """
STREAMING = "parallel" if pg.MAJOR >= 16 else "on"

source = target = None


def connection(server, database="postgres"):
    return "host=%s port=%d user=%s dbname=%s" % (server.dir, server.port, server.user, database)


def subscribe(name, publication, database="postgres", **options):
    given = ", ".join("%s = '%s'" % pair for pair in options.items())
    target.sql("CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION %s WITH (%s)"
               % (name, connection(source), publication, given or "copy_data = true"), database=database)


def topic(server, name, more="\"retention.ms\": -1"):
    server.sql("SELECT create_topic('%s', %d, config => '{%s}')" % (name, PARTITIONS, more))


def wait_for(what, server, query, expected="t", database="postgres", timeout=180):
    got = server.wait_for(query, expected, timeout, database=database)
    if got != expected:
        tap.note("waited in vain for %s: %s" % (what, got))
    return got == expected


def caught_up(*names, database="postgres"):
    """All tables are in sync, and the subscribers have confirmed what the source has written so far."""
    for name in names:
        wait_for(name + " in sync", target, "SELECT coalesce(bool_and(srsubstate = 'r'), true) FROM pg_subscription_rel r JOIN pg_subscription s"
                 " ON s.oid = srsubid WHERE subname = '%s'" % name, database=database)
        lsn = source.sql("SELECT pg_current_wal_lsn()")
        wait_for(name, source, "SELECT confirmed_flush_lsn >= '%s' FROM pg_replication_slots WHERE slot_name = '%s'" % (lsn, name))


def same(name, what, database="postgres"):
    for partition in range(PARTITIONS):
        query = ROWS % (name, partition)
        tap.ok(source.sql(query) == target.sql(query, database=database), "%s: partition %d is the same" % (what, partition))


def test_copy_and_stream():
    """the records that are there, then those that come; gaps, what was removed, and compacted topics"""
    global source, target
    source = pg.Cluster("source", SETTINGS).init().start()
    target = pg.Cluster("target", SETTINGS).init().start()
    for server in (source, target):
        server.sql("CREATE EXTENSION pgtopic; CREATE DATABASE plain")
        for name in ("one", "emptied"):
            topic(server, name)
        topic(server, "compacted", '"retention.ms": -1, "cleanup.policy": "compact"')
    target.sql("CREATE SCHEMA topics; CREATE TABLE topics.one (partition int, \"offset\" bigint, \"timestamp\" timestamptz,"
               " key bytea, value bytea, headers text)", database="plain")

    fill = "INSERT INTO topics.%s (partition, key, value, headers) SELECT n %% 2, (n %% 7)::text::bytea, repeat(n::text, 500)::bytea," \
        " CASE WHEN n %% 3 = 0 THEN headers('n', n::text) END FROM generate_series(1, 3000) n;"
    source.sql("".join(fill % name for name in ("one", "emptied", "compacted")))
    source.sql("INSERT INTO topics.one (partition, \"offset\", value) VALUES (0, 5000, 'behind a gap');"
               "SELECT delete_records('one:0', 700); SELECT delete_records('emptied'); SELECT * FROM compact_topic('compacted')")
    source.sql("CREATE PUBLICATION leaves FOR TABLE topics.one, topics.emptied, topics.compacted;"
               "CREATE PUBLICATION root FOR TABLE topics.one WITH (publish_via_partition_root)")
    subscribe("leaves", "leaves")
    subscribe("heap", "root", "plain")
    caught_up("leaves")
    caught_up("heap", database="plain")
    same("one", "the initial copy")
    same("one", "the initial copy to a heap table", "plain")
    same("compacted", "the initial copy of a compacted topic")

    source.sql("".join(fill % name for name in ("one", "emptied", "compacted")))
    source.sql("SELECT delete_records('one:1', 500); SELECT * FROM compact_topic('compacted')")
    caught_up("leaves", "heap")
    tap.equal(target.sql("SELECT min(\"offset\"), count(*) FROM topics.one WHERE partition = 1"), "0|3000",
              "what is deleted at the source stays")
    tap.equal(target.sql("SELECT count(*) FROM topics.one", database="plain"), target.sql("SELECT count(*) FROM topics.one"),
              "a heap table has as many")
    same("emptied", "a topic that was empty has the source's offsets")
    source.sql("TRUNCATE topics.one, topics.compacted; INSERT INTO topics.one (partition, value) VALUES (0, 'new'), (1, 'new')")
    caught_up("leaves", "heap")
    same("one", "TRUNCATE")
    same("one", "TRUNCATE of a heap table", "plain")


def test_kafka_at_the_target():
    """consumers find the records at their offsets"""
    from confluent_kafka import Consumer, TopicPartition
    target.wait_listener()
    consumer = Consumer({"bootstrap.servers": target.bootstrap, "group.id": "g", "log_level": 0})
    first = int(source.sql("SELECT min(\"offset\") FROM topics.one WHERE partition = 0"))
    consumer.assign([TopicPartition("one", 0, first)])
    message = consumer.poll(30)
    tap.equal((message and message.offset(), message and message.value()), (first, b"new"), "a consumer reads on at the target")
    consumer.close()


def test_filters():
    """row filters and column lists"""
    source.sql("CREATE PUBLICATION filtered FOR TABLE topics.one (\"offset\", value) WHERE (partition = 1)"
               " WITH (publish = 'insert', publish_via_partition_root)")
    target.sql("DROP SUBSCRIPTION heap", database="plain")
    target.sql("TRUNCATE topics.one", database="plain")
    subscribe("filtered", "filtered", "plain")
    caught_up("filtered", database="plain")
    source.sql("INSERT INTO topics.one (partition, key, value) VALUES (0, 'k', 'not'), (1, 'k', 'yes')")
    caught_up("filtered")
    tap.equal(target.sql("SELECT partition, key, value FROM topics.one ORDER BY \"offset\"", database="plain"),
              "||\\x6e6577\n||\\x796573", "a subscriber gets the rows and columns that it is to get")
    target.sql("DROP SUBSCRIPTION filtered", database="plain")
    target.sql("TRUNCATE topics.one", database="plain")


class Load:
    """Writes to topic one and to nothing else, until it is stopped."""

    def __init__(self, rng):
        self.stopping = threading.Event()
        self.problems = []
        self.threads = [threading.Thread(target=self._run, args=(one, random.Random(rng.random()))) for one in (self._sql, self._sql, self._kafka)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, one, rng):
        while not self.stopping.is_set():
            try:
                one(rng)
            except pg.SqlError:
                time.sleep(0.1)         # the server is down, or a deadlock
            except Exception as problem:  # pylint: disable=broad-except
                self.problems.append(problem)
                return

    @staticmethod
    def _sql(rng):
        tag = "%012x" % rng.getrandbits(48)
        rows = "INSERT INTO topics.one (partition, key, value) SELECT %d, 'k', ('%s.' || n || repeat('v', %d))::bytea FROM generate_series(1, %d) n; "
        text = "BEGIN; "
        if rng.random() < 0.5:
            text += "SET LOCAL pgtopic.produce_buffer = '64kB'; "
        for _ in range(rng.choice((1, 3))):
            undo = rng.random() < 0.3
            text += "SAVEPOINT s; " + rows % (rng.randrange(PARTITIONS), tag, rng.choice((10, 1000)), rng.choice((1, 50, 500)))
            text += "ROLLBACK TO s; " if undo else ""
        if rng.random() < 0.2:
            source.sql(text + "PREPARE TRANSACTION '%s'" % tag)
            decide = rng.choice(("COMMIT", "COMMIT", "ROLLBACK")) + " PREPARED '%s'" % tag
            for _ in range(300):        # it must not stay
                try:
                    if source.sql("SELECT count(*) FROM pg_prepared_xacts WHERE gid = '%s'" % tag) == "1":
                        source.sql(decide)
                    return
                except pg.SqlError:
                    time.sleep(0.1)
        else:
            source.sql(text + rng.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))

    @staticmethod
    def _kafka(rng):
        producer = Producer({"bootstrap.servers": source.bootstrap, "linger.ms": 5, "log_level": 0, "message.timeout.ms": 30000,
                             "enable.idempotence": True, "compression.type": rng.choice(("none", "gzip", "snappy", "lz4", "zstd"))})
        for n in range(rng.choice((1, 100))):
            producer.produce("one", value="kafka %d" % n + "v" * rng.choice((10, 1000)), partition=rng.randrange(PARTITIONS), headers=[("n", b"%d" % n)])
        producer.flush(60)


def disturb(rng):
    """something of what may happen to either side"""
    what = rng.choice(("walsender", "worker", "source", "target", "target", "source"))
    try:
        if what == "walsender":
            source.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        elif what == "worker":
            target.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'")
        else:
            server = source if what == "source" else target
            server.kill9().start()
            server.wait_up()
    except pg.SqlError:
        pass
    return what


def test_disturbed():
    """two-phase commit and streamed transactions, with crashes and restarts of both sides"""
    rng = random.Random(SEED)
    target.sql("DROP SUBSCRIPTION leaves")
    for server in (source, target):
        server.sql("SELECT drop_topic('one')")
        topic(server, "one")
    source.sql("DROP PUBLICATION leaves, root, filtered; CREATE PUBLICATION leaves FOR TABLE topics.one;"
               "CREATE PUBLICATION root FOR TABLE topics.one WITH (publish_via_partition_root)")
    source.wait_listener()
    load = Load(rng)
    time.sleep(1)
    subscribe("leaves", "leaves", two_phase="true", streaming=STREAMING)
    subscribe("heap", "root", "plain", streaming="on")
    done = []
    for _ in range(ROUNDS):
        time.sleep(rng.uniform(0.5, 3))
        done.append(disturb(rng))
    load.stop()
    tap.note("happened: %s" % done)
    tap.equal(load.problems, [], "the load ran")
    caught_up("leaves")
    caught_up("heap", database="plain")
    same("one", "a topic after all that")
    same("one", "a heap table after all that", "plain")
    tap.equal(target.sql("SELECT count(*) FROM pg_prepared_xacts"), "0", "nothing is left prepared")


def test_conflict():
    """a record that the subscriber wrote itself"""
    target.sql("INSERT INTO topics.one (partition, value) VALUES (0, 'of our own')")
    begin = len(target.log_text())
    source.sql("INSERT INTO topics.one (partition, value) VALUES (0, 'conflicting')")
    deadline = time.monotonic() + 60
    while "is before the end of the log" not in target.log_text()[begin:] and time.monotonic() < deadline:
        time.sleep(0.1)
    log = target.log_text()[begin:]
    tap.matches(r"offset \d+ is before the end of the log, \d+", log, "stops replication with an error")
    tap.matches(r"HINT:.*subscri", log, "which says what to do")
    end = target.sql("SELECT max(\"offset\") FROM topics.one WHERE partition = 0")
    source.sql("INSERT INTO topics.one (partition, value) VALUES (0, 'next')")
    tap.equal(target.sql("SELECT max(\"offset\") FROM topics.one WHERE partition = 0"), end, "nothing comes until it is resolved")


def main():
    tap.note("seed %d" % SEED)
    tap.main([test_copy_and_stream, test_kafka_at_the_target, test_filters, test_disturbed, test_conflict])


if __name__ == "__main__":
    pg.demote()
    main()
