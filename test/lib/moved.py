"""Topics that are backed up, restored, copied or moved: what must come along, and that it goes on.

    kept = moved.fill(server)               topics, groups and producers
    ... a backup, a move ...
    kept.compare("what was done", copy)     records, offsets, committed offsets, names, ids, configs
    kept.goes_on("what was done", copy, epoch=2)

Files that use this need the kafka-clients jar (rawtest.need_clients()).

Siblings: cluster.py, tap.py, rawtest.py; ../clients/raw.py speaks Kafka's protocol.
"""

import os
import struct
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
import raw             # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

SETUP = """
CREATE EXTENSION pgtopic;
SELECT create_topic('orders', partitions => 3,
                    config => '{"retention.ms": "-1", "max.message.bytes": 500000, "compression.type": "zstd"}');
SELECT create_topic('clients'), create_topic('shop.Items-1'), create_topic('empty', partitions => 2), create_topic('emptied');
INSERT INTO topics.orders (partition, key, value, "timestamp")
    SELECT i % 3, ('k' || i)::text::bytea, CASE WHEN i % 10 > 0 THEN convert_to(repeat('value ' || i, 1 + i % 50), 'UTF8') END,
           '2024-01-01'::timestamptz + i * interval '1 s'
    FROM generate_series(1, 6000) i;
SELECT produce('orders', 'with headers'::text, headers => headers('trace', 'abc'), partition => 0);
INSERT INTO topics.orders (partition, "offset", value) VALUES (1, 5000, 'behind a gap');
INSERT INTO topics.orders (partition, value, "timestamp") VALUES (2, 'without a time', NULL);
BEGIN; SELECT append('orders:2', 'rolled back'::text); ROLLBACK;
SELECT delete_records('orders:0', 500);
INSERT INTO topics."shop.Items-1" (value) VALUES ('one'), ('two');
INSERT INTO topics.emptied (value) VALUES ('one'), ('two');
TRUNCATE topics.emptied;
SELECT count(*) FROM consume('orders', 'readers', max_records => 2000);
SELECT commit_offsets('others', 'orders:1', 17, 'with metadata');
CREATE INDEX orders_key ON topics.orders (key);
CREATE TABLE ledger (id int PRIMARY KEY, t topic DEFAULT 'orders', p partition DEFAULT 'orders:1');
INSERT INTO ledger SELECT generate_series(1, 10);
"""

# Those of SETUP; a test may make others.
TOPICS = "('orders', 'clients', 'shop.Items-1', 'empty', 'emptied', '__consumer_offsets')"

KEEP = {
    "records": """SELECT partition, "offset", "timestamp" AT TIME ZONE 'UTC', key, value, headers FROM topics.orders ORDER BY 1, 2;
                  SELECT "offset", "timestamp" AT TIME ZONE 'UTC', key, value, headers FROM topics.clients ORDER BY 1;
                  SELECT "offset", value FROM topics."shop.Items-1" ORDER BY 1""",
    "offsets": "SELECT topic, partition, log_start(partition(topic, partition)), log_end(partition(topic, partition)) "
               "FROM partitions WHERE topic::text IN " + TOPICS + " AND topic <> '__consumer_offsets' ORDER BY 1, 2",
    "committed offsets": 'SELECT group_id, topic, partition, "offset", metadata FROM group_lag '
                         "WHERE group_id IN ('readers', 'others') ORDER BY 1, 2, 3",
    "names, ids and configs": "SELECT topic, id, configs, partitions FROM topics WHERE topic::text IN " + TOPICS + " ORDER BY topic::text COLLATE \"C\"",
    "tables that name topics": "SELECT * FROM ledger ORDER BY id",
    "an index of keys": "SET enable_seqscan = off; SELECT partition, \"offset\" FROM topics.orders WHERE key IN ('k77', 'k5990') ORDER BY 1, 2",
}
NONE, OUT_OF_ORDER = 0, 45      # of Kafka's error codes


def ask(server, api, version, body):
    with rawtest.connect(server.wait_listener()) as client:
        return client.call(api, version, body)


def epoch(server, topic="clients"):
    """The leader epoch, as Metadata says it."""
    return ask(server, "Metadata", 9, {"Topics": [{"Name": topic}]})["Topics"][0]["Partitions"][0]["LeaderEpoch"]


def new_producer(server):
    return ask(server, "InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]


def send(server, producer, sequence, values, topic="clients"):
    """One batch of an idempotent producer: (error code, base offset)"""
    batch = raw.Batch([(None, v) for v in values], timestamp=int(time.time() * 1000), producer_id=producer, producer_epoch=0, base_sequence=sequence)
    return rawtest.told(ask(server, "Produce", 9, rawtest.produce_body(topic, records=batch.encode())))


def committed(server, group, topic, partition):
    """A group's offset, as OffsetFetch says it."""
    got = ask(server, "OffsetFetch", 5, {"GroupId": group, "Topics": [{"Name": topic, "PartitionIndexes": [partition]}]})
    return got["Topics"][0]["Partitions"][0]["CommittedOffset"]


def batch_epochs(server, topic="clients"):
    """The leader epoch of each batch of partition 0, as a consumer gets them: (base offset, epoch)"""
    found = []
    offset = 0
    while True:
        got = ask(server, "Fetch", 11, rawtest.fetch_body([topic], offset))
        part = got["Responses"][0]["Partitions"][0]
        if part["ErrorCode"] or not part["Records"]:
            return found
        records = part["Records"]
        while records:
            base, length, at_epoch, last = struct.unpack_from(">qii", records) + struct.unpack_from(">i", records, 23)
            found.append((base, at_epoch))
            offset = base + last + 1
            records = records[12 + length:]


def epoch_end(server, asked, topic="clients"):
    """Where an epoch ended, as OffsetForLeaderEpoch says it: (epoch, end offset)"""
    got = ask(server, "OffsetForLeaderEpoch", 3, {"ReplicaId": -1, "Topics": [{"Topic": topic, "Partitions": [
        {"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": asked}]}]})["Topics"][0]["Partitions"][0]
    return got["LeaderEpoch"], got["EndOffset"]


def fetched(server, topic, partition, offset):
    """The records from an offset on that a consumer gets at once: (offset, value)"""
    got = ask(server, "Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [
        {"Topic": topic, "Partitions": [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]})
    part = got["Responses"][0]["Partitions"][0]
    if part["ErrorCode"]:
        return "error %d" % part["ErrorCode"]
    return [(o, v.decode()) for o, _, _, v, _ in raw.read_batches(part["Records"] or b"") if o >= offset]


class Kept:
    """What a server held at some moment; the moment may be renewed with look()."""

    def __init__(self, server, producer, sequence):
        self.producer, self.sequence = producer, sequence
        self.rows = {}
        self.look(server)

    def look(self, server):
        self.rows = {what: server.sql(query) for what, query in KEEP.items()}

    def send(self, server):
        """The producer's next batch, of two records: (error code, base offset).  The caller counts it, if it stays."""
        return send(server, self.producer, self.sequence, ["p", "q"])

    def count(self):
        """What was sent last stays; the next one has the next sequence number."""
        self.sequence += 2

    def compare(self, what, server, database="postgres"):
        for kind, query in KEEP.items():
            tap.equal(server.sql(query, database=database), self.rows[kind], "%s: %s" % (what, kind))

    def goes_on(self, what, server, at_epoch, producers=True):
        """Offsets follow, groups read on, clients are served.  Producers: those known before are still known.

        at_epoch: the leader epoch that there must be now.
        """
        tap.equal(epoch(server), at_epoch, what + ": the leader epoch")
        tap.equal(committed(server, "others", "orders", 1), 17, what + ": a client's group is where it was")
        left = int(server.sql("SELECT count(*) FROM topics.orders o LEFT JOIN group_lag l ON l.topic = 'orders' AND l.group_id = 'readers' "
                              'AND l.partition = o.partition WHERE o."offset" >= coalesce(l."offset", 0)'))
        tap.equal(server.sql("SELECT count(*), %d > 0 FROM consume('orders', 'readers', max_records => 100000)" % left),
                  "%d|t" % left, what + ": a session's group reads the rest")
        self.producers_go_on(what, server, producers)
        end = int(server.sql("SELECT log_end('orders:1')"))
        tap.equal(server.sql("SELECT append('orders:1', 'next'::text)"), str(end), what + ": the next offset follows")
        tap.equal(fetched(server, "orders", 1, end), [(end, "next")], what + ": and a consumer gets it")
        tap.equal(server.sql("SELECT append('empty:1', 'first'::text), append('emptied:0', 'third'::text)"), "0|2",
                  what + ": empty topics begin where they would have")
        tap.equal(server.sql("INSERT INTO ledger (id) VALUES (11) RETURNING t, p"), "orders|orders:1", what + ": defaults work")

    def producers_go_on(self, what, server, known):
        end = int(server.sql("SELECT log_end('clients:0')"))
        if known:
            tap.equal(send(server, self.producer, self.sequence - 2, ["p", "q"]), (NONE, end - 2),
                      what + ": a batch that a producer repeats is known")
            tap.equal(send(server, self.producer, self.sequence + 5, ["x"])[0], OUT_OF_ORDER,
                      what + ": one that leaves a gap is refused")
        tap.equal(self.send(server), (NONE, end), what + ": the producer's next one joins the log")
        tap.ok(new_producer(server) > self.producer, what + ": a new producer gets an id that nobody had")


def fill(server):
    """Topics with all that a topic can have, in database postgres."""
    server.sql(SETUP)
    server.wait_listener()
    producer = new_producer(server)
    for sequence in range(0, 200, 2):
        got = send(server, producer, sequence, ["p", "q"])
        if got != (NONE, sequence):
            raise RuntimeError("the producer got %r" % (got,))
    return Kept(server, producer, 200)


def check_pages(what, server):
    """pg_checksums reads every page of a server that is down."""
    done = server.run("pg_checksums", "--check", "-D", server.data, check=False)
    if not tap.equal(done.returncode, 0, what + ": every page has its checksum"):
        tap.note(done.stdout + done.stderr)


def verify_backup(what, server, path):
    """pg_verifybackup compares the files of a backup, and reads its WAL; our settings have been added since."""
    done = server.run("pg_verifybackup", "-i", "test.conf", "-i", "postgresql.conf", path, check=False)
    if not tap.equal(done.returncode, 0, what + ": pg_verifybackup finds no fault"):
        tap.note(done.stdout + done.stderr)
