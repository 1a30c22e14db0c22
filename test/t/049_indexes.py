#!/usr/bin/env python3
"""Index scans give what sequential scans give, whatever was appended, removed, compacted, vacuumed, crashed or replayed.

A seed decides what happens: PGTOPIC_SEED repeats it.  test/t/039_tiny_extents.py runs this with tiny extents, too.
"""

import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED") or random.randrange(1 << 30))
ROUNDS = int(os.environ.get("PGTOPIC_ROUNDS", 60))
LARGEST = int(os.environ.get("PGTOPIC_LARGEST", 300000))       # bytes of a value
KEYS = 60

# Of the first topic all batches of clients go to an executor, as its indexes have expressions; of the second they do not.
INDEXES = {"coded": ["(key)", "USING hash (key)", "USING gin (as_jsonb(value))", "(((value ->> 'n')::int))", "USING spgist (as_text(key))",
                     "USING gin ((as_jsonb(value) -> 'tags')) WITH (fastupdate = off)", "(key) WHERE (value ->> 'n')::int % 3 = 0",
                     "USING gin ((as_jsonb(value) -> 'tags') jsonb_path_ops) WHERE key > 'k3'"],
           "plain": ["(key)", "USING hash (key)", "(\"timestamp\", key)"]}

primary = standby = None


class Log:
    """One topic of one partition."""

    def __init__(self, name, rng):
        self.name, self.rng, self.n = name, rng, 0

    def create(self):
        primary.sql("SELECT create_topic('%s', 1, '{\"cleanup.policy\": [\"compact\", \"delete\"], \"retention.ms\": -1, \"delete.retention.ms\": 0}')" % self.name)
        for how in INDEXES[self.name]:
            primary.sql("CREATE INDEX ON topics.%s %s" % (self.name, how))
        if self.name == "plain" and primary.sql("SELECT 1 FROM pg_available_extensions WHERE name = 'btree_gin'"):
            primary.sql("CREATE EXTENSION btree_gin; CREATE INDEX ON topics.plain USING gin (key) WITH (gin_pending_list_limit = 64)")

    def rows(self):
        """(key, value) of a few records"""
        for _ in range(self.rng.choice((1, 3, 30, 300))):
            self.n += 1
            pad = self.rng.randrange(LARGEST) if self.rng.random() < 0.004 else self.rng.choice((0, 10, 300))
            value = '{"n": %d, "tags": ["t%d", "u%d"], "pad": "%s"}' % (self.n, self.n % 7, self.n % 31, "x" * pad)
            yield "k%d" % self.rng.randrange(KEYS), None if self.rng.random() < 0.1 else value

    def insert(self):
        values = ", ".join("('%s', %s)" % (key, "NULL" if value is None else "'%s'" % value) for key, value in self.rows())
        return "INSERT INTO topics.%s (key, value) SELECT k::bytea, v::bytea FROM (VALUES %s) t (k, v);" % (self.name, values)

    def by_sql(self):
        primary.sql(self.insert())

    def early(self):
        """appended before the end, and rolled back in part or as a whole"""
        primary.sql("BEGIN; SET LOCAL pgtopic.produce_buffer = '64kB'; %s SAVEPOINT s; %s ROLLBACK TO s; %s %s"
                    % (self.insert(), self.insert(), self.insert(), self.rng.choice(("COMMIT", "ROLLBACK"))))

    def by_append(self):
        primary.sql("BEGIN; SELECT append('%s:0', '{\"n\": 7, \"tags\": [\"t1\"]}', 'k7'); %s" % (self.name, self.rng.choice(("COMMIT", "ROLLBACK"))))

    def by_kafka(self):
        batch = raw.Batch(list(self.rows())).encode()
        with raw.Client(primary.bootstrap) as client:
            got = client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 60000, "TopicData": [
                {"Name": self.name, "PartitionData": [{"Index": 0, "Records": batch}]}]})
            if got["Responses"][0]["PartitionResponses"][0]["ErrorCode"]:
                raise RuntimeError(got)

    def trim(self):
        primary.sql("SELECT delete_records('%s:0', log_start('%s:0') + (log_end('%s:0') - log_start('%s:0')) / %d)"
                    % ((self.name,) * 4 + (self.rng.choice((1, 2, 2, 5, 10)),)))

    def retain(self):
        primary.sql("SELECT alter_topic('%s', '{\"retention.bytes\": 1000}')" % self.name)
        time.sleep(1.5)
        primary.sql("SELECT alter_topic('%s', '{\"retention.bytes\": null}')" % self.name)

    def compact(self):
        primary.sql("SET pgtopic.compaction_memory = '%s'; SELECT * FROM compact_topic('%s')" % (self.rng.choice(("64kB", "128MB")), self.name))

    def vacuum(self):
        primary.sql("SET maintenance_work_mem = '%s'; VACUUM topics.%s" % (self.rng.choice(("1MB", "64MB")), self.name))

    def remake(self):
        primary.sql(self.rng.choice(("REINDEX TABLE topics.\"%s#0\"", "REINDEX TABLE CONCURRENTLY topics.\"%s#0\"", "VACUUM FULL topics.\"%s#0\"")) % self.name)

    def beside(self):
        """indexes are made, and made anew, while records come in"""
        stop, problems = threading.Event(), []

        def write():
            try:
                while not stop.is_set():
                    self.beside_rng.choice((self.by_sql, self.by_kafka, self.early))()
            except Exception as problem:        # told below
                problems.append(problem)

        self.beside_rng = random.Random(self.rng.randrange(1 << 30))
        thread = threading.Thread(target=write)
        thread.start()
        leaf = 'topics."%s#0"' % self.name
        for how in ("(key, \"offset\")", "USING hash (value)", "USING gin (string_to_array(as_text(key), 'k'))"):
            primary.sql("CREATE INDEX CONCURRENTLY beside ON %s %s" % (leaf, how))
            primary.sql("REINDEX INDEX CONCURRENTLY topics.beside; VACUUM %s" % leaf)
            primary.sql("DROP INDEX topics.beside")
            primary.sql("CREATE INDEX beside ON %s %s; REINDEX TABLE %s; DROP INDEX topics.beside" % (leaf, how, leaf))
        stop.set()
        thread.join()
        if problems:
            raise problems[0]

    def questions(self):
        """conditions that an index answers"""
        rng = self.rng
        keys = ["'k%d'" % rng.randrange(KEYS) for _ in range(3)]
        some = ["key = %s" % keys[0], "key IN (%s)" % ", ".join(keys), "key = %s OR key = %s" % (keys[0], keys[1]), "key > 'k4' AND key < 'k6'"]
        if self.name == "coded":
            n = rng.randrange(max(self.n, 1))
            some += ["(value ->> 'n')::int = %d" % n, "(value ->> 'n')::int BETWEEN %d AND %d" % (n, n + 500),
                     "key = %s AND (value ->> 'n')::int %% 3 = 0" % keys[0], "as_jsonb(value) @> '{\"tags\": [\"t%d\", \"u%d\"]}'" % (n % 7, n % 31),
                     "as_jsonb(value) @> '{\"n\": %d}'" % n, "as_jsonb(value) -> 'tags' ? 'u%d'" % (n % 31), "as_text(key) = %s" % keys[2],
                     "key > 'k3' AND as_jsonb(value) -> 'tags' @> '[\"t%d\"]'" % (n % 7), "key = %s OR as_jsonb(value) @> '{\"tags\": [\"t%d\"]}'" % (keys[1], n % 7)]
        return some

    def differences(self, server):
        """what index scans and bitmap scans do not find as a sequential scan does: texts"""
        ways = ("SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;",
                "SET enable_seqscan = off; SET enable_indexscan = on; SET enable_bitmapscan = off; SET enable_indexonlyscan = on;",
                "SET enable_seqscan = off; SET enable_indexscan = off; SET enable_bitmapscan = on; SET enable_indexonlyscan = off; SET work_mem = '64kB';")
        questions = self.questions()
        for tries in range(10):         # retention may remove records between two queries
            answers = [server.sql(way + "".join("SELECT '(' || coalesce(string_agg(\"offset\"::text, ' ' ORDER BY \"offset\"), '') || ')' FROM topics.%s WHERE %s;"
                                                % (self.name, question) for question in questions)).split("\n") for way in ways]
            wrong = ["%s: %s, and not %s" % (question, found[i][:200], answers[0][i][:200])
                     for found in answers[1:] for i, question in enumerate(questions) if found[i] != answers[0][i]]
            if not wrong:
                return []
            time.sleep(0.3 * tries)
        return wrong


def crash():
    primary.kill9().start()
    primary.wait_up()
    primary.wait_listener()


def problems_of(server, logs):
    wrong = []
    for log in logs:
        wrong += ["%s: %s" % (log.name, text) for text in log.differences(server)]
        wrong += ["%s: %s" % (log.name, row) for row in server.rows("SELECT damage, message FROM verify_topic('%s', true)" % log.name)[:5]]
    return wrong


def test_random():
    """a random workload"""
    global primary, standby
    tap.note("PGTOPIC_SEED=%d" % SEED)
    rng = random.Random(SEED)
    primary = pg.Cluster("primary", {"wal_consistency_checking": "pgtopic", "wal_keep_size": "4GB", "pgtopic.file_delete_delay": "1s"}).init().start()
    primary.sql("CREATE EXTENSION pgtopic")
    standby = primary.standby(settings={"max_standby_streaming_delay": "-1"}).start()
    logs = [Log(name, rng) for name in INDEXES]
    primary.wait_listener()
    for log in logs:
        log.create()
    steps = (["by_sql"] * 6 + ["by_kafka"] * 6 + ["early"] * 3 + ["by_append"] + ["trim"] * 2 + ["compact"] * 3 + ["vacuum"] * 3 + ["remake", "crash", "retain", "beside"])
    wrong, done = [], []
    for i in range(ROUNDS):
        step, log = rng.choice(steps), rng.choice(logs)
        done.append("%s %s" % (step, log.name))
        if step == "crash":
            crash()
        else:
            getattr(log, step)()
        if i % 4 == 3:
            wrong = problems_of(primary, logs)
        if i % 12 == 11 and not wrong:
            primary.wait_caught_up(standby)
            wrong = ["standby: " + text for text in problems_of(standby, logs)]
        if wrong:
            tap.note("after %s" % done[-12:])
            break
    if not tap.ok(not wrong, "index scans and sequential scans agree, and verify_topic() has nothing to say"):
        tap.note("\n".join(wrong[:10]))
    tap.ok(sum(log.n for log in logs) > ROUNDS, "%d records have been written" % sum(log.n for log in logs))


def test_dead_entries():
    """VACUUM removes the entries of what has gone"""
    for name in INDEXES:
        primary.sql("SELECT delete_records('%s', now())" % name)
        primary.sql("INSERT INTO topics.%s (key, value) SELECT 'k', '{\"n\": 1}' FROM generate_series(1, 10)" % name)
        # amid the batch, so that what was rolled back before it is before the start
        primary.sql("SELECT delete_records('%s:0', log_end('%s:0') - 5); VACUUM topics.\"%s#0\"" % (name, name, name))
        found = primary.rows("""SELECT am.amname, c.reltuples FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
                                WHERE i.indrelid = 'topics."%s#0"'::regclass AND am.amname IN ('btree', 'hash') AND i.indpred IS NULL""" % name)
        tap.equal({row[1] for row in found}, {"5"}, "entries are left for what is left: " + name)
        tap.equal(primary.rows("SELECT * FROM verify_topic('%s', true)" % name), [], "nothing is wrong")
    primary.wait_caught_up(standby)
    tap.equal(problems_of(standby, [Log(name, random.Random(SEED)) for name in INDEXES]), [], "nor on the standby")
    standby.stop()
    primary.stop()
    for server in (primary, standby):
        tap.ok(not [line for line in server.log_text().split("\n") if "PANIC" in line or "TRAP" in line or "signal 11" in line or "signal 6" in line],
               "%s has not crashed by itself" % server.name)


pg.demote()
tap.main([test_random, test_dead_entries])
