#!/usr/bin/env python3
"""Logical decoding of topics: each record is one INSERT of the transaction that appended it, in the order of the log, whoever
appends and whatever crashes; against what the tables have in the end.  Subscribers get the same, exactly once."""

import collections
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import points          # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Producer
except ImportError:
    tap.skip("confluent_kafka is not installed")

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 3, 40)          # crashes
PARTITIONS = 3
COMMITTED, ROLLED_BACK, UNKNOWN = "committed", "rolled back", "unknown"

# a row of the topic as test_decoding shows it
AS_DECODED = r"""SELECT format('table topics.%%I: INSERT: partition[integer]:%%s "offset"[bigint]:%%s "timestamp"[timestamp with time zone]:%%s '
    'key[bytea]:%%s value[bytea]:%%s headers[headers]:%%s', 't#' || partition, partition, "offset",
    coalesce('''' || "timestamp"::text || '''', 'null'), coalesce('''' || key::text || '''', 'null'),
    coalesce('''' || value::text || '''', 'null'), coalesce('''' || headers::text || '''', 'null'))
    FROM topics.t WHERE partition = %d ORDER BY "offset" """

stop = points.Points()
server = None


def make(name, **settings):
    made = pg.Cluster(name, {"max_replication_slots": 10, "max_wal_senders": 10, "max_prepared_transactions": 20,
                             "max_worker_processes": 32, "wal_sender_timeout": "30s", "wal_retrieve_retry_interval": "100ms",
                             "logical_decoding_work_mem": "64kB", **stop.settings, **settings}).init().start()
    made.sql("CREATE EXTENSION pgtopic")
    return made


class Load:
    """Threads that write to topic t and table beside.  A transaction's rows have its tag, "name.number:", at their beginning."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.outcomes = {}              # tag of a transaction: what became of it
        self.rows = {}                  # tag of a transaction: its rows, if it commits
        self.stopping = threading.Event()
        self.problems = []
        self.threads = [threading.Thread(target=self._run, args=(self._sql, "a", rng.random())),
                        threading.Thread(target=self._run, args=(self._sql, "b", rng.random())),
                        threading.Thread(target=self._run, args=(self._kafka, "k", rng.random()))]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, one, name, seed):
        rng = random.Random(seed)
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                one("%s%d" % (name, number), rng)
            except Exception as problem:  # pylint: disable=broad-except
                self.problems.append(problem)
                return

    def _sql(self, tag, rng):
        statements, rows = transaction(tag, rng)
        end = rng.choice((COMMITTED,) * 7 + (ROLLED_BACK, "prepared", "given up"))
        self.rows[tag] = rows
        self.outcomes[tag] = UNKNOWN
        last = {COMMITTED: "COMMIT", ROLLED_BACK: "ROLLBACK"}.get(end, "PREPARE TRANSACTION '%s'" % tag)
        try:
            self.server.sql(";\n".join(["BEGIN"] + statements + [last]))
            if end == "prepared":
                self.server.sql("COMMIT PREPARED '%s'" % tag)
            elif end == "given up":
                self.server.sql("ROLLBACK PREPARED '%s'" % tag)
            self.outcomes[tag] = COMMITTED if end in (COMMITTED, "prepared") else ROLLED_BACK
        except pg.SqlError:
            self._resolve(tag)

    def _resolve(self, tag):
        """a crash or a deadlock: what has been prepared must not stay"""
        for _ in range(600):
            try:
                if self.server.sql("SELECT count(*) FROM pg_prepared_xacts WHERE gid = '%s'" % tag) == "1":
                    self.server.sql("ROLLBACK PREPARED '%s'" % tag)
                return
            except pg.SqlError:
                time.sleep(0.1)

    def _kafka(self, tag, rng):
        """each record stands for itself"""
        producer = Producer({"bootstrap.servers": self.server.bootstrap, "linger.ms": 5, "enable.idempotence": True,
                             "message.max.bytes": 1000000, "log_level": 0, "message.timeout.ms": 30000,
                             "compression.type": rng.choice(("none", "gzip", "snappy", "lz4", "zstd"))})
        for n in range(rng.choice((1, 20, 200))):
            producer.produce("t", key=rng.choice((None, "key")), value="%s.%d:%s" % (tag, n, "v" * size(rng)),
                             partition=rng.randrange(PARTITIONS), timestamp=1700000000000 + rng.randrange(10**9),
                             headers=rng.choice((None, [("h", b"1"), ("h", None)])))
        producer.flush(60)


def size(rng):
    return 300000 if rng.random() < 0.004 else rng.choice((0, 10, 100, 130, 1000))


def transaction(tag, rng):
    """(statements, tags of the rows that stay if it commits)"""
    statements, levels, number = [], [[]], 0
    if rng.random() < 0.5:
        statements.append("SET LOCAL pgtopic.produce_buffer = '64kB'")
    for _ in range(rng.choice((1, 2, 3, 8))):
        what = rng.choice(("insert", "insert", "append", "beside", "savepoint", "release", "undo"))
        if what == "savepoint":
            statements.append("SAVEPOINT s%d" % len(levels))
            levels.append([])
        elif what == "release" and len(levels) > 1:
            rows = levels.pop()
            statements.append("RELEASE s%d" % len(levels))
            levels[-1] += rows
        elif what == "undo" and len(levels) > 1:
            levels.pop()
            statements.append("ROLLBACK TO s%d; RELEASE s%d" % (len(levels), len(levels)))
        elif what in ("insert", "append", "beside"):
            n = rng.choice((1, 2, 20, 150)) if what == "insert" else 1
            value = "'%s.' || n || ':' || repeat('v', %d)" % (tag, size(rng))
            series = "FROM generate_series(%d, %d) n" % (number, number + n - 1)
            statements.append({
                "insert": "INSERT INTO topics.t (partition, key, value) SELECT %d, 'k', (%s)::bytea %s" % (rng.randrange(PARTITIONS), value, series),
                "append": "SELECT append('t:%d', %s) %s" % (rng.randrange(PARTITIONS), value, series),
                "beside": "INSERT INTO beside SELECT %s %s" % (value, series)}[what])
            levels[-1] += ["%s.%d" % (tag, i) for i in range(number, number + n)]
            number += n
    return statements, [row for level in levels for row in level]


Decoded = collections.namedtuple("Decoded", "lines end gid")


class Reader:
    """What a slot of test_decoding shows, over crashes: transactions by the place of their commit."""

    def __init__(self, server, slot, two_phase=False):
        self.server, self.slot = server, slot
        self.found = {}                 # LSN: Decoded
        self.repeated = self.differing = 0
        server.sql("SELECT pg_create_logical_replication_slot('%s', 'test_decoding', false, %s)" % (slot, two_phase))

    def read(self, changes="NULL", function="pg_logical_slot_get_changes"):
        lines = None
        for lsn, data in (line.split("|", 1) for line in self.server.sql(
                "SELECT lsn, data FROM %s('%s', NULL, %s, 'include-xids', '0', 'skip-empty-xacts', '1')"
                % (function, self.slot, changes), timeout=300).split("\n") if line):
            if data == "BEGIN":
                lines = []
            elif data.startswith("table "):
                lines.append(data)
            else:
                gid = re.match(r"(COMMIT PREPARED|ROLLBACK PREPARED|PREPARE TRANSACTION) '(.*)'", data)
                self._add(lsn, Decoded(lines or [], gid.group(1) if gid else data, gid and gid.group(2)))
                lines = None

    def _add(self, lsn, transaction):
        if lsn in self.found:
            self.repeated += 1
            self.differing += self.found[lsn] != transaction
        self.found[lsn] = transaction

    def transactions(self):
        """those that committed, in order: at their PREPARE if that is where they are shown"""
        def place(lsn):
            return [int(part, 16) for part in lsn.split("/")]
        gone = {t.gid for t in self.found.values() if t.end == "ROLLBACK PREPARED"}
        return [t.lines for _, t in sorted(self.found.items(), key=lambda item: place(item[0])) if t.lines and t.gid not in gone]


def tag_of(line):
    """tag of the row"""
    if line.startswith("table public.beside"):
        return line.split("'")[1].split(":")[0]
    return bytes.fromhex(re.search(r"value\[bytea\]:'\\x([0-9a-f]*)'", line).group(1)).split(b":")[0].decode()


def check(load, reader, what):
    transactions = reader.transactions()
    for partition in range(PARTITIONS):
        head = 'table topics."t#%d"' % partition
        tap.ok([line for lines in transactions for line in lines if line.startswith(head)] ==
               server.sql("SET datestyle = 'Postgres'; " + AS_DECODED % partition, timeout=300).split("\n"),
               "%s: partition %d is decoded as it is" % (what, partition))
    shown, torn = {}, 0
    for lines in transactions:
        tags = collections.defaultdict(list)
        for line in lines:
            tag = tag_of(line)
            tags[tag.split(".")[0]].append(tag)
        for tag, rows in tags.items():
            if tag.startswith("k"):
                continue
            torn += tag in shown or sorted(rows) != sorted(load.rows[tag])
            shown[tag] = rows
    tap.equal(torn, 0, what + ": transactions are whole, with what they wrote to a table")
    wrong = [tag for tag, outcome in load.outcomes.items() if outcome != UNKNOWN and load.rows[tag] and
             (tag in shown) != (outcome == COMMITTED)]
    tap.equal(wrong, [], what + ": all that committed, and nothing else")
    tap.equal(reader.differing, 0, what + ": what comes again is the same")
    tap.note("%s: %d transactions, %d came again" % (what, len(transactions), reader.repeated))


def test_model():
    """random transactions of sessions and Kafka clients, and crashes"""
    global server
    rng = random.Random(SEED)
    server = make("main")
    server.sql("SELECT create_topic('t', %d, config => '{\"retention.ms\": -1}'); CREATE TABLE beside (note text)" % PARTITIONS)
    server.sql("ALTER DATABASE postgres SET datestyle = 'Postgres'; ALTER DATABASE postgres SET timezone = 'UTC'")
    reader, late = Reader(server, "reader"), Reader(server, "late", True)
    server.wait_listener()
    load = Load(server, rng).start()
    for _ in range(ROUNDS):
        until = time.monotonic() + rng.uniform(1, 3)
        while time.monotonic() < until:
            reader.read(rng.choice(("1", "100", "NULL")), rng.choice(("pg_logical_slot_get_changes", "pg_logical_slot_peek_changes")))
            if rng.random() < 0.2:
                server.sql("CHECKPOINT")
        server.kill9().start()
        server.wait_up()
    load.stop()
    tap.equal(load.problems, [], "the load ran")
    reader.read()
    late.read()
    check(load, reader, "a slot read all the time")
    check(load, late, "a slot of two-phase commit, read at the end")
    tap.equal(server.sql("SELECT spill_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'late'"), "t", "large transactions are spilled")


def changes(slot):
    return server.sql("SELECT left(data, 120) FROM pg_logical_slot_get_changes('%s', NULL, NULL, 'include-xids', '0')" % slot).split("\n")


def offsets(lines):
    return [int(re.search(r'"offset"\[bigint\]:(\d+)', line).group(1)) for line in lines if line.startswith("table topics")]


def test_parts():
    """a batch over several WAL records whose writer fails, or is amid it when a slot is made"""
    large = "SELECT append('large:0', repeat('x', 900000))"
    server.sql("SELECT create_topic('large', 1, config => '{\"retention.ms\": -1}'); SELECT pg_create_logical_replication_slot('old', 'test_decoding')")

    session = server.session()
    session.sql("BEGIN; SAVEPOINT a")
    stop.set("append.run")
    session.send(large)
    pid = stop.await_("append.run")
    server.sql("SELECT pg_cancel_backend(%d)" % pid)
    stop.release("append.run")
    session.answer()
    session.sql("ROLLBACK TO a; SELECT append('large:0', 'small'::text); COMMIT")
    tap.equal(offsets(changes("old")), [0], "a batch that was given up is none, the next one of the transaction is")

    stop.set("append.run")
    session.send(large)
    stop.await_("append.run")
    creating = server.session()
    creating.send("SELECT 'made' FROM pg_create_logical_replication_slot('new', 'test_decoding')")
    other = server.session()
    other.sql("BEGIN; INSERT INTO beside VALUES ('o.1:')")      # the slot is consistent when this has ended
    stop.release("append.run")
    session.answer()
    other.sql("COMMIT")
    tap.equal(creating.answer(), "made", "a slot is made amid a batch")
    server.sql(large)
    tap.equal(offsets(changes("new")), [2], "it shows what was begun later")
    tap.equal(offsets(changes("old")), [1, 2], "one that was there shows both")

    server.sql("CHECKPOINT")            # the slots are saved
    stop.set("append.run")
    session.send(large)
    stop.await_("append.run")
    server.kill9().start()
    stop.release("append.run")
    server.wait_up()
    server.sql("SELECT append('large:0', 'after'::text)")
    tap.equal((offsets(changes("new")), offsets(changes("old"))), ([3], [3]), "a batch that a crash has cut is none")
    session.close()


def test_no_transaction():
    """what compaction appends belongs to no transaction, and no slot waits for its end"""
    server.sql("SELECT create_topic('compacted', 1, config => '{\"cleanup.policy\": \"compact\", \"retention.ms\": -1}')")
    server.sql("INSERT INTO topics.compacted (key, value) SELECT convert_to((n % 10)::text, 'UTF8'), 'v' FROM generate_series(1, 2000) n")
    offsets(changes("old"))
    removed = server.sql("SELECT sum(records_removed) FROM compact_topic('compacted')")
    tap.equal(removed, "1990", "the extent of the tail is ended, and compacted")
    after = server.sql("SELECT pg_current_wal_insert_lsn()")
    reached, deadline = "f", time.time() + 60
    while reached == "f" and time.time() < deadline:
        server.sql("CHECKPOINT; INSERT INTO beside VALUES ('n.1:'); CHECKPOINT")
        changes("old")
        reached = server.sql("SELECT restart_lsn > '%s' FROM pg_replication_slots WHERE slot_name = 'old'" % after)
    tap.equal(reached, "t", "the slot's restart_lsn goes past it")


def test_extra_wal():
    """what is logged for decoding is four bytes a record, and nothing below wal_level = logical"""
    server.sql("CREATE EXTENSION pg_walinspect")
    lengths = []
    for level in ("logical", "replica"):
        if level == "replica":
            for slot in server.sql("SELECT slot_name FROM pg_replication_slots").split("\n"):
                server.sql("SELECT pg_drop_replication_slot('%s')" % slot)
            server.set(wal_level="replica").restart()
        server.sql("CHECKPOINT; SELECT append('large:0', 'first on its page'::text)")
        start = server.sql("SELECT pg_current_wal_insert_lsn()")
        server.sql("SELECT append('large:0', 'x'::text)")
        lengths.append(server.sql("SELECT main_data_length FROM pg_get_wal_records_info('%s', pg_current_wal_flush_lsn())"
                                  " WHERE resource_manager = 'pgtopic' AND record_type = 'APPEND'" % start))
    tap.equal(int(lengths[0]) - int(lengths[1]), 4, "the number of the partition")


def main():
    tap.note("seed %d" % SEED)
    tap.main([test_model, test_parts, test_no_transaction, test_extra_wal])


if __name__ == "__main__":
    pg.demote()
    main()
