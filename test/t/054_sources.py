#!/usr/bin/env python3
"""Sources: tables of this server or of one without the extension, and logical messages, become records: formats and types, keys, the
snapshot beside writers, changed tables, large transactions, exactly once through crashes of both sides, and errors that say what to do."""

import base64
import json
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import fake_server     # noqa: E402
import tap             # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 6, 60)
LARGE = tap.size("PGTOPIC_LARGE", 100000, 1000000)
SETTINGS = {"wal_level": "logical", "max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40}
UNAVAILABLE = "__debezium_unavailable_value"

here = there = None


def connection(user="postgres", database="postgres"):
    return "host=%s port=%d user=%s dbname=%s" % (there.dir, there.port, user, database)


def wait_for(what, server, query, expected="t", timeout=180):
    got = server.wait_for(query, expected, timeout)
    if got != expected:
        tap.note("waited in vain for %s: %s" % (what, got))
        tap.note(here.sql("SELECT name, state, last_error FROM tasks_status"))
    return got == expected


def records(topic):
    """(key, value, headers) of a topic with one partition, parsed; None is null."""
    rows = here.sql("SELECT json_build_array(as_text(key), as_text(value), headers_to_jsonb(headers)) FROM topics.\"%s\" ORDER BY \"offset\"" % topic)
    parsed = [json.loads(row) for row in rows.split("\n") if row]
    return [(k and json.loads(k), v and json.loads(v), h and dict(h)) for k, v, h in parsed]


def wait_records(topic, n):
    return tap.ok(wait_for("%d records of %s" % (n, topic), here, "SELECT count(*) FROM topics.\"%s\"" % topic, str(n)),
                  "%s has %d records" % (topic, n))


def refused(pattern, statement, what, server=None):
    try:
        (server or here).sql(statement)
        tap.ok(False, what)
    except pg.SqlError as problem:
        tap.matches(pattern, str(problem), what)


def streaming(name):
    """The source has made its slot and its snapshot, and reads changes."""
    return wait_for(name + " streaming", here, "SELECT state = 'running' AND lsn IS NOT NULL FROM tasks_status WHERE name = '%s'" % name)


def without_times(envelope):
    source = dict(envelope["source"])
    for field in ("ts_ms", "txId", "lsn"):
        source.pop(field)
    return envelope["op"], envelope["before"], envelope["after"], source


def test_debezium():
    """envelopes, keys, tombstones, changes of keys, TRUNCATE; the snapshot and what comes"""
    here.sql("CREATE TABLE orders (id int PRIMARY KEY, item text, pieces int); INSERT INTO orders VALUES (1, 'bolt', 3);"
             "SELECT create_source('local', tables => ARRAY['orders'])")
    wait_records("public.orders", 1)
    here.sql("INSERT INTO orders VALUES (2, 'nut', NULL); UPDATE orders SET pieces = 7 WHERE id = 2; UPDATE orders SET id = 3 WHERE id = 2;"
             "DELETE FROM orders WHERE id = 1; TRUNCATE orders")
    if not wait_records("public.orders", 9):
        return
    found = records("public.orders")
    block = {"connector": "postgresql", "name": "local", "db": "postgres", "schema": "public", "table": "orders", "snapshot": "false"}
    expected = [
        ({"id": 1}, ("r", None, {"id": 1, "item": "bolt", "pieces": 3}, dict(block, snapshot="true"))),
        ({"id": 2}, ("c", None, {"id": 2, "item": "nut", "pieces": None}, block)),
        ({"id": 2}, ("u", None, {"id": 2, "item": "nut", "pieces": 7}, block)),
        ({"id": 2}, ("d", {"id": 2}, None, block)), ({"id": 2}, None),
        ({"id": 3}, ("c", None, {"id": 3, "item": "nut", "pieces": 7}, block)),
        ({"id": 1}, ("d", {"id": 1}, None, block)), ({"id": 1}, None),
        (None, ("t", None, None, block))]
    tap.equal([(k, v and without_times(v)) for k, v, _ in found], expected, "envelopes are what Debezium's connector makes")
    sources = [v["source"] for _, v, _ in found if v]
    tap.ok(all(s["txId"] for s in sources[1:]) and sources[0]["txId"] is None, "changes name their transaction")
    tap.ok([s["lsn"] for s in sources] == sorted(s["lsn"] for s in sources), "and their place in WAL")
    lateness = here.sql("SELECT max(abs(extract(epoch FROM \"timestamp\") * 1000 - (value->'source'->>'ts_ms')::bigint)) < 2"
                        " FROM topics.\"public.orders\" WHERE value IS NOT NULL")
    tap.equal(lateness, "t", "a record has the time of the commit")
    tap.equal(here.sql("SELECT kind, owner, state, records, errors FROM tasks_status WHERE name = 'local'"),
              "source|postgres|running|9|0", "the view shows it")


def test_row():
    """the row format, with options of one topic for all and no tombstones to speak of"""
    here.sql("CREATE TABLE a (id int PRIMARY KEY, doc jsonb); CREATE TABLE \"B c\" (x int, y int, PRIMARY KEY (x, y));"
             "INSERT INTO a VALUES (1, '{\"n\": [1]}');"
             "SELECT create_source('rows', tables => ARRAY['a', '\"B c\"'], topic => 'rows-{table}', format => 'row')")
    wait_records("rows-a", 1)
    here.sql("UPDATE a SET doc = NULL; DELETE FROM a; INSERT INTO \"B c\" VALUES (1, 2); TRUNCATE a")
    wait_records("rows-a", 4)
    wait_records("rows-B_c", 1)
    tap.equal(records("rows-a"), [({"id": 1}, {"id": 1, "doc": {"n": [1]}}, {"op": "r"}), ({"id": 1}, {"id": 1, "doc": None}, {"op": "u"}),
                                  ({"id": 1}, None, {"op": "d"}), (None, None, {"op": "t"})], "rows, with a header that says what it was")
    tap.equal(records("rows-B_c"), [({"x": 1, "y": 2}, {"x": 1, "y": 2}, {"op": "c"})], "the template makes a legal name of any")


def test_restored():
    """a source that comes out of a dump is paused; it begins anew, and leaves the slot of the source that was dumped alone"""
    there.sql("CREATE TABLE dumped (id int PRIMARY KEY); INSERT INTO dumped VALUES (1)")
    here.sql("SELECT create_source('dumped', tables => ARRAY['dumped'], topic => '{table}', connection => '%s')" % connection())
    wait_records("dumped", 1)
    restored = pg.Cluster("restored", SETTINGS).init().start()
    restored.sql(here.run("pg_dump").stdout)
    tap.equal(restored.sql("SELECT name, state FROM tasks_status ORDER BY 1"), "dumped|paused\nlocal|paused\nrows|paused", "sources are restored, paused")
    restored.sql("SELECT resume_task('dumped')")
    tap.ok(wait_for("an error", restored, "SELECT last_error ~ 'is not known here' FROM tasks_status WHERE name = 'dumped'"),
           "a slot that is another's is not taken")
    restored.sql("SELECT drop_source('dumped')")
    there.sql("INSERT INTO dumped VALUES (2)")
    wait_records("dumped", 2)
    restored.sql("INSERT INTO orders VALUES (77, 'new', 1); SELECT resume_task('local')")
    tap.ok(wait_for("the snapshot", restored, "SELECT count(*) = 1 FROM topics.\"public.orders\" WHERE value->>'op' = 'r' AND value->'after'->>'id' = '77'"),
           "a restored source begins anew")
    restored.sql("SELECT drop_source('local'); SELECT drop_source('rows')")
    restored.stop()
    here.sql("SELECT drop_source('dumped')")


TYPES = [   # type, SQL, in an envelope, in a row
    ("bool", "true", True), ("smallint", "-7", -7), ("bigint", "9007199254740993", 9007199254740993), ("oid", "4000000000", 4000000000),
    ("real", "1.5", 1.5), ("float8", "1e300", 1e300), ("float8", "'NaN'", "NaN"), ("float8", "'-Infinity'", "-Infinity"),
    ("numeric(30,5)", "12345678901234567890.12345", "12345678901234567890.12345"), ("numeric", "'NaN'", "NaN"),
    ("text", "E'a\"\\\\b\\n\\u00fc\\U0001F600'", "a\"\\b\n\u00fc\U0001F600"), ("varchar(3)", "'x'", "x"), ("char(3)", "'x'", "x  "),
    ("bytea", "'\\x00ff10'", base64.b64encode(b"\x00\xff\x10").decode()), ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
                                                                         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("date", "'2026-01-31'", "2026-01-31"), ("date", "'-infinity'", "-infinity"), ("time", "'12:00:01.5'", "12:00:01.5"),
    ("timestamp", "'2026-01-31 12:00:00.000001'", "2026-01-31T12:00:00.000001"), ("timestamp", "'infinity'", "infinity"),
    ("timestamp", "'0044-03-15 12:00 BC'", "0044-03-15T12:00:00 BC"),
    ("timestamptz", "'2026-01-31 12:00:00+05:30'", "2026-01-31T06:30:00+00:00"), ("timestamptz", "'-infinity'", "-infinity"),
    ("timestamptz", "'0044-03-15 12:00+00 BC'", "0044-03-15T12:00:00+00:00 BC"),
    ("interval", "'1 day 2 hours'", "1 day 02:00:00"), ("inet", "'::1'", "::1"), ("int4range", "'[1,5)'", "[1,5)"), ("point", "'(1,2)'", "(1,2)"),
    ("json", "'{\"a\":  1}'", "{\"a\":  1}"), ("jsonb", "'[1,null]'", "[1, null]"), ("xml", "'<a/>'", "<a/>"),
    ("int[]", "'{1,NULL,3}'", [1, None, 3]), ("int[]", "'{}'", []), ("int[]", "'[0:1]={1,2}'", [1, 2]), ("text[]", "'{{a,\"b,\\\"c\"},{NULL,\"NULL\"}}'",
                                                                                                   [["a", "b,\"c"], [None, "NULL"]]),
    ("int[]", "'{{{1,2},{3,4}},{{5,6},{7,8}}}'", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]), ("bool[]", "'{t,f}'", [True, False]),
    ("numeric[]", "'{1.10}'", ["1.10"]), ("bytea[]", "ARRAY['\\x01'::bytea]", ["AQ=="]), ("timestamptz[]", "ARRAY['2026-01-31 12:00+00'::timestamptz]",
                                                                                     ["2026-01-31T12:00:00+00:00"]),
    ("box[]", "'{(1,1),(0,0);(2,2),(1,1)}'", "{(1,1),(0,0);(2,2),(1,1)}"), ("mood", "'sad'", "sad"), ("mood[]", "'{sad}'", "{sad}"),
    ("positive", "5", 5), ("pair", "ROW(1,'x')", "(1,x)"), ("int", "NULL", None)]


def test_types():
    """each type, as it was found and as it came, from a server without the extension"""
    there.sql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b text)")
    columns = ", ".join("c%d %s" % (n, entry[0]) for n, entry in enumerate(TYPES))
    values = ", ".join(entry[1] for entry in TYPES)
    there.sql("CREATE TABLE types (id int PRIMARY KEY, %s, sum int GENERATED ALWAYS AS (id + 1) STORED); INSERT INTO types VALUES (1, %s)"
              % (columns, values))
    for name, options in (("types", ""), ("types_row", ", format => 'row', numerics => 'number'")):
        here.sql("SELECT create_source('%s', tables => ARRAY['types'], topic => '%s', connection => '%s'%s)" % (name, name, connection(), options))
        wait_records(name, 1)
    there.sql("INSERT INTO types VALUES (2, %s)" % values)
    for name in ("types", "types_row"):
        if not wait_records(name, 2):
            continue
        for key, value, _ in records(name):
            row = value["after"] if name == "types" else value
            tap.equal(sorted(row), sorted(["id"] + ["c%d" % n for n in range(len(TYPES))]), "%s %s: columns, without generated ones" % (name, key))
            for n, entry in enumerate(TYPES):
                expected = entry[2]
                if name == "types_row" and entry[0] in ("json", "jsonb"):
                    expected = json.loads(expected)
                if name == "types_row" and entry[0] in ("numeric(30,5)", "numeric[]"):
                    expected = json.loads(json.dumps(expected).replace('"', ""))
                if row["c%d" % n] != expected:
                    tap.equal(row["c%d" % n], expected, "%s %s: %s %s" % (name, key, entry[0], entry[1]))
    exact = here.sql("SELECT value->>'c8' FROM topics.types_row LIMIT 1")
    tap.equal(exact, "12345678901234567890.12345", "a number has all its digits")
    here.sql("SELECT drop_source('types'); SELECT drop_source('types_row')")


def test_identity():
    """replica identities, tables without a key, values that were not sent"""
    there.sql("CREATE TABLE big (id int PRIMARY KEY, n int, b text, raw bytea); ALTER TABLE big ALTER b SET STORAGE EXTERNAL, ALTER raw SET STORAGE EXTERNAL;"
              "CREATE TABLE whole (id int PRIMARY KEY, n int, b text); ALTER TABLE whole ALTER b SET STORAGE EXTERNAL; ALTER TABLE whole REPLICA IDENTITY FULL;"
              "CREATE TABLE other (id int PRIMARY KEY, code text NOT NULL UNIQUE); ALTER TABLE other REPLICA IDENTITY USING INDEX other_code_key;"
              "CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL")
    here.sql("SELECT create_source('identity', tables => ARRAY['big', 'whole', 'other', 'keyless'], topic => '{table}', connection => '%s')"
             % connection())
    streaming("identity")
    there.sql("INSERT INTO big SELECT 1, 0, repeat('x', 9000), repeat('y', 9000)::bytea; UPDATE big SET n = 1;"
              "INSERT INTO whole VALUES (1, 0, repeat('x', 9000)); UPDATE whole SET n = 1; UPDATE whole SET id = 2; DELETE FROM whole;"
              "INSERT INTO other VALUES (1, 'a'); UPDATE other SET id = 2; UPDATE other SET code = 'b';"
              "INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2; DELETE FROM keyless")
    for topic, n in (("big", 2), ("whole", 7), ("other", 5), ("keyless", 3)):
        wait_records(topic, n)
    after = records("big")[1][1]["after"]
    tap.equal((after["n"], after["b"], base64.b64decode(after["raw"]).decode()), (1, UNAVAILABLE, UNAVAILABLE),
              "what did not change and was not sent is marked")
    x = "x" * 9000
    tap.equal([(k, v and (v["op"], v["before"], v["after"])) for k, v, _ in records("whole")],
              [({"id": 1}, ("c", None, {"id": 1, "n": 0, "b": x})),
               ({"id": 1}, ("u", {"id": 1, "n": 0, "b": x}, {"id": 1, "n": 1, "b": x})),
               ({"id": 1}, ("d", {"id": 1, "n": 1, "b": x}, None)), ({"id": 1}, None), ({"id": 2}, ("c", None, {"id": 2, "n": 1, "b": x})),
               ({"id": 2}, ("d", {"id": 2, "n": 1, "b": x}, None)), ({"id": 2}, None)],
              "FULL: rows as they were, and the primary key is the key")
    tap.equal([(k, v and v["op"]) for k, v, _ in records("other")],
              [({"code": "a"}, "c"), ({"code": "a"}, "u"), ({"code": "a"}, "d"), ({"code": "a"}, None), ({"code": "b"}, "c")],
              "USING INDEX: its columns are the key")
    tap.equal([(k, v["op"], v["before"]) for k, v, _ in records("keyless")], [(None, "c", None), (None, "u", {"n": 1}), (None, "d", {"n": 2})],
              "without a key there is none, and no tombstone")
    here.sql("SELECT drop_source('identity')")


def test_changed_tables():
    """columns added, renamed, dropped, of another type; new tables of a publication; filters, columns, partitions"""
    there.sql("CREATE TABLE moving (id int PRIMARY KEY, a int); CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1);"
              "CREATE TABLE parts (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);"
              "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);"
              "INSERT INTO parts VALUES (1, 1), (2, 2);"
              "CREATE PUBLICATION mine FOR TABLE moving; INSERT INTO moving VALUES (1, 1)")
    here.sql("SELECT create_source('moving', publication => 'mine', topic => '{table}', format => 'row', connection => '%s');"
             "SELECT create_source('parts', tables => ARRAY['parts'], topic => '{table}', format => 'row', connection => '%s')"
             % (connection(), connection()))
    wait_records("moving", 1)
    wait_records("parts", 2)
    there.sql("""BEGIN; INSERT INTO moving VALUES (2, 2); ALTER TABLE moving ADD b text DEFAULT 'new'; INSERT INTO moving VALUES (3, 3);
                 ALTER TABLE moving RENAME a TO aa; INSERT INTO moving VALUES (4, 4); ALTER TABLE moving DROP aa; INSERT INTO moving VALUES (5); COMMIT;
                 ALTER TABLE moving ALTER b DROP DEFAULT, ALTER b TYPE bool USING true; INSERT INTO moving VALUES (6, false);
                 ALTER PUBLICATION mine ADD TABLE late; INSERT INTO late VALUES (2); INSERT INTO parts VALUES (3, 2)""")
    wait_records("moving", 6)
    tap.equal([v for _, v, _ in records("moving") if v["id"] < 6],
              [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3, "a": 3, "b": "new"}, {"id": 4, "aa": 4, "b": "new"}, {"id": 5, "b": "new"}],
              "rows have the columns that the table had")
    tap.equal(records("moving")[-1][1], {"id": 6, "b": False}, "and their types")
    wait_records("late", 1)
    tap.equal(records("late")[0][1], {"id": 2}, "a table that is published later comes from then on")
    wait_records("parts", 3)
    tap.equal([v for _, v, _ in records("parts")], [{"id": 1, "part": 1}, {"id": 2, "part": 2}, {"id": 3, "part": 2}],
              "partitions are the table that was named")
    here.sql("SELECT drop_source('moving'); SELECT drop_source('parts')")
    tap.equal(there.sql("SELECT pubname FROM pg_publication"), "mine", "drop_source() drops the publication that it made, and no other")
    if int(there.sql("SELECT current_setting('server_version_num')")) < 150000:
        return
    there.sql("CREATE TABLE filtered (id int PRIMARY KEY, a int, b int); INSERT INTO filtered VALUES (1, 1, 1), (2, 2, 2);"
              "CREATE PUBLICATION chosen FOR TABLE filtered (id, b) WHERE (id > 1)")
    here.sql("SELECT create_source('filtered', publication => 'chosen', topic => '{table}', format => 'row', connection => '%s')" % connection())
    wait_records("filtered", 1)
    there.sql("INSERT INTO filtered VALUES (0, 0, 0), (3, 3, 3)")
    wait_records("filtered", 2)
    tap.equal([v for _, v, _ in records("filtered")], [{"id": 2, "b": 2}, {"id": 3, "b": 3}], "the snapshot, too, has the rows and columns published")
    here.sql("SELECT drop_source('filtered')")


def test_messages():
    """logical messages: both conventions, without a table; what is not for us; what is wrong"""
    if int(there.sql("SELECT current_setting('server_version_num')")) < 140000:
        return
    here.sql("SELECT create_source('outbox', message_prefix => 'outbox', message_topics => ARRAY['mail', 'log'], snapshot => 'never', connection => '%s')"
             % connection())
    streaming("outbox")
    there.sql("""BEGIN; SELECT pg_logical_emit_message(true, 'outbox', '{"topic": "mail", "key": "17", "value": {"to": "Ann"}, "headers": {"h": "1"}}'); COMMIT;
                 BEGIN; SELECT pg_logical_emit_message(true, 'outbox', '{"topic": "mail", "value": "never"}'); ROLLBACK;
                 SELECT pg_logical_emit_message(true, 'other', 'not JSON'), pg_logical_emit_message(true, 'outboxes', 'not JSON');
                 SELECT pg_logical_emit_message(true, 'outbox', '{"topic": "mail", "key": {"id": 1}, "value": null}');
                 SELECT pg_logical_emit_message(true, 'outbox:log', 'any bytes');
                 SELECT pg_logical_emit_message(false, 'outbox:log', 'without a transaction')""")
    wait_for("mail", here, "SELECT count(*) FROM topics.mail", "2")
    wait_for("log", here, "SELECT count(*) FROM topics.log", "2")
    tap.equal(here.sql("SELECT as_text(key), as_text(value), headers->>'h' FROM topics.mail ORDER BY \"offset\""),
              '17|{"to": "Ann"}|1\n{"id": 1}||', "a message that says where it goes")
    tap.equal(here.sql("SELECT as_text(key), as_text(value) FROM topics.log ORDER BY \"offset\""), "|any bytes\n|without a transaction",
              "a message whose prefix names the topic")
    restart_source("outbox")        # where the last of them ends
    tap.equal(here.sql("SELECT count(*), (SELECT errors FROM tasks_status WHERE name = 'outbox') FROM topics.log"), "2|0", "it does not come again")
    n = 0
    for bad, pattern in (("not JSON", "invalid input syntax for type json"), ("[1]", "not a JSON object"), ('{"value": 1}', "names no topic"),
                         ('{"topic": "elsewhere", "value": 1}', "may not go to topic")):
        there.sql("SELECT pg_logical_emit_message(false, 'outbox', '%s')" % bad)
        n += 1
        tap.ok(wait_for(bad, here, "SELECT state = 'running' AND skipped = %d AND last_error ~ '%s' FROM tasks_status WHERE name = 'outbox'" % (n, pattern)),
               "passed over and counted: " + bad)
    there.sql("SELECT pg_logical_emit_message(true, 'outbox:log', 'behind them')")
    wait_records_raw("log", 3)
    tap.matches("passes over a message: messages may not go to topic", here.log_text(), "and the log says so")
    refused("needs \"message_topics\"", "SELECT create_source('x', message_prefix => 'x')", "a list of topics is required")
    here.sql("SELECT drop_source('outbox')")


def restart_source(name, meanwhile=lambda: None):
    """Ends the worker, and starts another one."""
    here.sql("SELECT pause_task('%s')" % name)
    wait_for("the worker's end", here, "SELECT pids = '{}' FROM tasks_status WHERE name = '%s'" % name)
    meanwhile()
    here.sql("SELECT resume_task('%s')" % name)
    streaming(name)


def test_behind_message():
    """a commit whose record in WAL is just behind a message without a transaction, with which the worker ends"""
    there.sql("CREATE TABLE behind (id int PRIMARY KEY)")
    here.sql("SELECT create_source('behind', tables => ARRAY['behind'], topic => 'behind', message_prefix => 'behind', message_topics => ARRAY['before'],"
             " format => 'row', connection => '%s')" % connection())
    streaming("behind")
    flush = ", true" if pg.MAJOR >= 17 else ""      # else something else flushes it, whose record is in between
    for i in range(1, 4):
        session = there.session()
        session.sql("BEGIN; INSERT INTO behind VALUES (%d)" % i)
        there.sql("SELECT pg_logical_emit_message(false, 'behind:before', 'x'%s)" % flush)
        wait_records_raw("before", i)
        restart_source("behind", lambda s=session: s.sql("COMMIT"))
        session.close()
        wait_records_raw("behind", i)
    here.sql("SELECT drop_source('behind')")


def wait_records_raw(topic, n):
    tap.ok(wait_for(topic, here, "SELECT count(*) FROM topics.\"%s\"" % topic, str(n)), "%s has %d records" % (topic, n))


class Writer(threading.Thread):
    """Writes to table events and accounts of the source until it is stopped; each transaction is retried by nobody."""

    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.stopping = threading.Event()
        self.done = 0

    def transaction(self):
        n = self.rng.randint(1, 5)
        text = "INSERT INTO events (pad) SELECT repeat('p', %d) FROM generate_series(1, %d);" % (self.rng.randint(0, 3000), n)
        for _ in range(n):
            account = self.rng.randint(1, 20)
            text += self.rng.choice([
                "INSERT INTO accounts VALUES (%d, 1) ON CONFLICT (id) DO UPDATE SET n = accounts.n + 1;" % account,
                "DELETE FROM accounts WHERE id = %d;" % account,
                "UPDATE accounts SET id = id + 100, n = n + 1 WHERE id = %d AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = %d);"
                % (account, account + 100)])
        return "BEGIN; %s %s;" % (text, self.rng.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))

    def run(self):
        while not self.stopping.is_set():
            try:
                there.sql(self.transaction(), timeout=60)
                self.done += 1
            except Exception:       # pylint: disable=broad-except
                time.sleep(0.05)    # the server is down: the next one comes

    def stop(self):
        self.stopping.set()
        self.join()


def compare(what):
    """Topics against tables: each event once, and accounts as their last records say."""
    there_ids = there.sql("SELECT id, md5(pad) FROM events ORDER BY id")
    wait_for("all events", here, "SELECT count(*) FROM topics.events", str(len(there_ids.split("\n"))))
    found = here.sql("SELECT (value->>'id')::int, md5(value->>'pad') FROM topics.events ORDER BY 1")
    tap.ok(found == there_ids, what + ": each event once, row by row")
    state = {}
    for key, value, _ in records("accounts"):
        if value is None:
            state.pop(key["id"], None)
        else:
            state[key["id"]] = value["n"]
    tables = {int(i): int(n) for i, n in there.rows("SELECT id, n FROM accounts")}
    tap.equal(state, tables, what + ": the last record of each key is the row that is there")


def test_snapshot_beside_writers():
    """the rows that are there while others write: nothing twice, nothing missed"""
    there.sql("CREATE TABLE events (id serial PRIMARY KEY, pad text); CREATE TABLE accounts (id int PRIMARY KEY, n int);"
              "INSERT INTO events (pad) SELECT repeat('o', 100) FROM generate_series(1, 20000)")
    writer = Writer(SEED)
    writer.start()
    here.sql("SELECT create_source('loop', tables => ARRAY['events', 'accounts'], topic => '{table}', format => 'row', connection => '%s')"
             % connection())
    streaming("loop")
    settled = writer.done + 20
    deadline = time.monotonic() + 60
    while writer.done < settled and time.monotonic() < deadline:
        time.sleep(0.05)
    writer.stop()
    compare("snapshot beside writers")
    tap.ok(int(here.sql("SELECT count(*) FROM topics.events WHERE headers->>'op' = 'c'")) > 0, "some came as changes")


def kill_walsender():
    there.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'pgtopic_loop' AND active_pid IS NOT NULL")


def kill_worker():
    pid = here.sql("SELECT pids[1] FROM tasks_status WHERE name = 'loop'")
    if pid:
        os.kill(int(pid), signal.SIGKILL)
        here.wait_up()


def test_crashes():
    """kill -9 of the worker, of both postmasters, walsenders that end, restarts: in a loop, exactly once"""
    tap.note("PGTOPIC_SEED=%d" % SEED)
    rng = random.Random(SEED)
    writer = Writer(SEED + 1)
    writer.start()
    deeds = [kill_worker, kill_walsender, lambda: here.kill9().start(), lambda: there.kill9().start(), lambda: there.restart("fast"),
             lambda: here.restart("fast")]
    for n in range(ROUNDS):
        before = writer.done
        deadline = time.monotonic() + 60
        while writer.done < before + rng.randint(5, 30) and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            deeds[n % len(deeds) if n < len(deeds) else rng.randrange(len(deeds))]()
        except (OSError, pg.SqlError) as problem:
            tap.note("while killing: %s" % problem)
            here.wait_up()
    writer.stop()
    tap.ok(writer.done > ROUNDS, "%d transactions" % writer.done)
    compare("%d crashes" % ROUNDS)


def test_large():
    """a transaction of many rows takes bounded memory"""
    there.sql("CREATE TABLE large (id int PRIMARY KEY, pad text)")
    here.sql("ALTER SYSTEM SET pgtopic.produce_buffer = '1MB'; SELECT pg_reload_conf();"
             "SELECT create_source('large', tables => ARRAY['large'], topic => '{table}', connection => '%s')" % connection())
    streaming("large")
    there.sql("INSERT INTO large SELECT n, repeat('x', 300) FROM generate_series(1, %d) n" % LARGE, timeout=600)
    wait_records_raw("large", LARGE)
    tap.equal(here.sql("SELECT count(DISTINCT key) FROM topics.large"), str(LARGE), "each row once")
    pid = here.sql("SELECT pids[1] FROM tasks_status WHERE name = 'large'")
    with open("/proc/%s/status" % pid, encoding="utf8") as f:
        anonymous = int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1))
    tap.ok(anonymous < 100 * 1024, "the worker has %d MB for %d rows" % (anonymous // 1024, LARGE))
    here.sql("ALTER SYSTEM RESET pgtopic.produce_buffer; SELECT pg_reload_conf(); SELECT drop_source('large')")


def test_failing_snapshot():
    """a snapshot that fails leaves nothing, and is made again from the beginning"""
    there.sql("CREATE TABLE halves (id int PRIMARY KEY, b text); INSERT INTO halves SELECT n, 'x' FROM generate_series(1, 1000) n;"
              "INSERT INTO halves VALUES (1001, repeat('x', 3000000))")
    here.sql("SELECT create_source('halves', tables => ARRAY['halves'], topic => '{table}', connection => '%s')" % connection())
    tap.ok(wait_for("an error", here, "SELECT state = 'failing' FROM tasks_status WHERE name = 'halves'"), "a row that is too large stops it")
    tap.equal(here.sql("SELECT count(*) FROM pg_class WHERE relname = 'halves'"), "0", "and nothing is there")
    there.sql("DELETE FROM halves WHERE id = 1001; INSERT INTO halves VALUES (1002, 'y')")
    here.sql("SELECT resume_task('halves')")
    wait_records_raw("halves", 1001)
    there.sql("INSERT INTO halves VALUES (1003, 'z')")
    wait_records_raw("halves", 1002)
    tap.equal(here.sql("SELECT count(DISTINCT key) FROM topics.halves"), "1002", "each row once")
    here.sql("SELECT drop_source('halves')")


def test_refusals():
    """create_source() says at once what cannot work"""
    here.sql("CREATE ROLE plain LOGIN; CREATE VIEW v AS SELECT 1 AS x; CREATE ROLE mere LOGIN; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO plain, mere;"
             "GRANT ALL ON SCHEMA public TO plain; SELECT create_topic('topical')")
    for statement, pattern in (
            ("SELECT create_source('x')", "needs \"tables\""),
            ("SELECT create_source('x', tables => ARRAY['orders'], publication => 'p')", "not both"),
            ("SELECT create_source('Bad-Name', tables => ARRAY['orders'])", "invalid name of a source"),
            ("SELECT create_source('x', tables => ARRAY['nowhere'])", "does not exist"),
            ("SELECT create_source('x', tables => ARRAY['v'])", "not a table that can be a source"),
            ("SELECT create_source('x', tables => ARRAY['topics.topical'])", "not a table that can be a source"),
            ("SELECT create_source('x', tables => ARRAY['task_definitions'])", "not a table that can be a source"),
            ("SELECT create_source('x', tables => ARRAY['orders'], format => 'avro')", '"debezium", "row" or "outbox"'),
            ("SELECT create_source('x', tables => ARRAY['orders'], connection => 'host=/nowhere')", "connection to the source's server failed"),
            ("SELECT create_source('x', tables => ARRAY['nowhere'], connection => '%s')" % connection(), "does not exist at the source's server"),
            ("SELECT create_source('x', publication => 'nowhere', connection => '%s')" % connection(), "publication \"nowhere\" does not exist"),
            ("SELECT create_source('x', tables => ARRAY['events'], slot => 'pgtopic_loop', connection => '%s')" % connection(), "exists already"),
            ("SELECT create_source('local', tables => ARRAY['orders'])", "already exists"),
            ("SET ROLE plain; SELECT create_source('x', tables => ARRAY['orders'])", "must be owner of table"),
            ("SET ROLE plain; SELECT create_source('x', tables => ARRAY['events'], connection => '%s')" % connection(), "password is required"),
            ("SET ROLE plain; CREATE TABLE own (id int PRIMARY KEY); SELECT create_source('x', tables => ARRAY['own'])", "replication role|start WAL sender|may not replicate"),
            ("SET ROLE plain; SELECT create_source('x', tables => ARRAY['events'], connection => '%s password=secret')" % connection(),
             "asked for no password"),
            ("SET ROLE plain; SELECT drop_source('local')", "must be owner"),
            ("SELECT drop_source('nowhere')", "does not exist")):
        refused(pattern, statement, statement[:90])
    tap.equal(here.sql("SELECT count(*) FROM tasks_status WHERE name = 'x'") + here.sql("SELECT count(*) FROM pg_replication_origin WHERE roname LIKE '%x'"),
              "00", "nothing is left of them")


def test_odd_servers():
    """a server that answers with other columns, without rows or with nulls is an error, and crashes nothing"""
    started = here.sql("SELECT pg_postmaster_start_time()")
    for columns, row in ((0, None), (1, [None]), (6, None), (6, [None] * 6), (6, [b"logical"] + [None] * 5), (6, [b"logical", b"maybe"] + [b"t"] * 4),
                         (6, [b"\xff"] * 6)):
        server = fake_server.FakeServer(columns, row)
        refused("unexpected answer of the source|invalid byte sequence",
                "SELECT create_source('odd', tables => ARRAY['events'], connection => '%s')" % server.connection(),
                "%d columns, row %s" % (columns, row))
    refused(r"says: broken \?\?", "SELECT create_source('odd', tables => ARRAY['events'], connection => '%s')" %
            fake_server.FakeServer(0, None, b"broken \xff\xfe").connection(), "an error that is no text")
    tap.equal(here.sql("SELECT pg_postmaster_start_time()"), started, "nothing has crashed")


def test_owner():
    """a plain user's source of this server: it works with his rights, and no others"""
    here.sql("CREATE ROLE replicator LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO replicator; CREATE SCHEMA AUTHORIZATION replicator;"
             "GRANT ALL ON SCHEMA public, topics TO replicator; SET ROLE replicator; CREATE TABLE replicator.own (id int PRIMARY KEY);"
             "INSERT INTO replicator.own VALUES (1)")
    create = "SET SESSION AUTHORIZATION replicator; SELECT create_source('%s', tables => ARRAY['replicator.own'], topic => '%s', tombstones => false," \
        " truncate => false)"
    refused("permission denied for function create_source", create % ("owned", "owned"), "create_source() is for those who were granted it")
    here.sql("GRANT EXECUTE ON FUNCTION create_source TO replicator")
    here.sql(create % ("owned", "owned"))
    wait_records("owned", 1)
    here.sql("TRUNCATE replicator.own; INSERT INTO replicator.own VALUES (2); DELETE FROM replicator.own")
    wait_records("owned", 3)
    tap.equal([v["op"] for _, v, _ in records("owned")], ["r", "c", "d"], "without tombstones and TRUNCATE, as asked for")
    tap.equal(here.sql("SELECT tableowner FROM pg_tables WHERE schemaname = 'topics' AND tablename = 'owned'"), "replicator", "topics are the owner's")
    here.sql("INSERT INTO replicator.own VALUES (3)")
    here.sql(create % ("greedy", "topical"))
    failing("greedy", "permission denied for table topical", "a topic to which the owner may not write is an error")
    for name in ("owned", "greedy"):
        here.sql("SET SESSION AUTHORIZATION replicator; SELECT drop_source('%s')" % name)


def failing(name, pattern, what):
    tap.ok(wait_for(what, here, "SELECT state = 'failing' AND last_error ~ '%s' FROM tasks_status WHERE name = '%s'" % (pattern, name)), what)


def test_rolled_back():
    """drop_source() is refused where an error could undo it; a source whose place was lost does not begin anew by itself"""
    there.sql("CREATE TABLE undone (id int PRIMARY KEY); INSERT INTO undone VALUES (1)")
    here.sql("SELECT create_source('undone', tables => ARRAY['undone'], topic => '{table}', connection => '%s')" % connection())
    wait_records("undone", 1)
    streaming("undone")
    refused("cannot run inside a transaction block", "BEGIN; SELECT drop_source('undone'); ROLLBACK", "drop_source() in a transaction block")
    there.sql("INSERT INTO undone VALUES (2)")
    wait_records("undone", 2)
    refused("must be a statement of its own", "DO $$ BEGIN PERFORM drop_source('undone'); PERFORM 1 / 0; END $$", "in a block of code")
    refused("must be a statement of its own", "SELECT drop_source(name), 1 / (random() * 0)::int FROM tasks_status WHERE name = 'undone'", "or in a larger query")
    there.sql("INSERT INTO undone VALUES (3)")
    wait_records("undone", 3)
    here.sql("SELECT pause_task('undone')")
    here.wait_for("SELECT pids = '{}' FROM tasks_status WHERE name = 'undone'")
    here.sql("BEGIN; SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname LIKE '%undone'; ROLLBACK")
    here.sql("SELECT resume_task('undone')")
    failing("undone", "has lost its place", "the source says so")
    tap.equal(here.sql("SELECT count(*) FROM topics.undone"), "3", "and does not begin anew")
    here.sql("SELECT drop_source('undone')")


def test_changes():
    """alter_task() does not change what a source is at its server, nor lead it to another one"""
    there.sql("CREATE TABLE fixed (id int PRIMARY KEY); CREATE DATABASE elsewhere")
    here.sql("SELECT create_source('fixed', tables => ARRAY['fixed'], topic => '{table}', connection => '%s')" % connection())
    streaming("fixed")
    for change, pattern in (('{"slot": "pgtopic_loop"}', "\"slot\" of source \"fixed\" cannot be changed"),
                            ('{"publication": "mine"}', "not both"), ('{"publication": "mine", "tables": null}', "\"publication\" of source"),
                            ('{"tables": ["public.events"]}', "\"tables\" of source"), ('{"server": "1.1"}', "\"server\" of source"),
                            ('{"connection": null}', "leads to another server or database"),
                            ('{"connection": "%s"}' % connection(database="elsewhere"), "leads to another server or database")):
        refused(pattern, "SELECT alter_task('fixed', '%s')" % change, "refused: " + change)
    here.sql("SELECT alter_task('fixed', '{\"connection\": \"%s application_name=moved\", \"slot\": \"pgtopic_fixed\"}')" % connection())
    there.sql("INSERT INTO fixed VALUES (1)")
    wait_records("fixed", 1)
    here.sql("SELECT drop_source('fixed')")
    tap.equal(there.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgtopic_loop'"), "1", "and the slot of another is there")
    there.sql("DROP DATABASE elsewhere")


def test_reload():
    """synchronous_commit that is turned off while a source runs does not lose what its server was told"""
    there.sql("CREATE TABLE reloaded (id int PRIMARY KEY)")
    here.sql("SELECT create_source('reloaded', tables => ARRAY['reloaded'], topic => '{table}', connection => '%s')" % connection())
    streaming("reloaded")
    here.sql("ALTER SYSTEM SET synchronous_commit = off")
    here.sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    here.sql("SELECT pg_reload_conf()")
    there.sql("INSERT INTO reloaded VALUES (1)")
    wait_records("reloaded", 1)
    # who would flush behind the worker's back stands still, and is what the server dies of
    flushers = here.worker_pids("walwriter|pgtopic committer")
    tap.equal(len(flushers), 2, "two processes flush what others have written")
    for pid in flushers:
        os.kill(pid, signal.SIGSTOP)
    there.sql("INSERT INTO reloaded VALUES (2)")
    lsn = there.sql("SELECT pg_current_wal_flush_lsn()")
    wait_for("told", there, "SELECT confirmed_flush_lsn >= '%s' FROM pg_replication_slots WHERE slot_name = 'pgtopic_reloaded'" % lsn)
    for pid in flushers:
        os.kill(pid, signal.SIGKILL)
    here.kill9().start()
    here.sql("SELECT resume_task('reloaded')")
    wait_records("reloaded", 2)
    tap.ok(streaming("reloaded"), "and goes on")
    here.sql("ALTER SYSTEM RESET synchronous_commit")
    here.sql("ALTER SYSTEM RESET wal_writer_delay")
    here.sql("SELECT pg_reload_conf()")
    here.sql("SELECT drop_source('reloaded')")


def test_faults():
    """a slot that is gone, moved or lost; a publication that is gone; a server that is down: errors that are seen, and never a silent loss"""
    there.sql("CREATE TABLE faults (id int PRIMARY KEY)")
    here.sql("SELECT drop_source('loop')")

    def start_anew():
        if here.sql("SELECT count(*) FROM tasks_status WHERE name = 'faults'") == "1":
            here.sql("SELECT drop_source('faults'); DROP TABLE IF EXISTS topics.faults")
        there.sql("TRUNCATE faults; INSERT INTO faults VALUES (1)")
        here.sql("SELECT create_source('faults', tables => ARRAY['faults'], topic => '{table}', connection => '%s')" % connection())
        wait_records("faults", 1)

    def behind_its_back(text):
        """With the worker away."""
        here.sql("SELECT pause_task('faults')")
        wait_for("the slot is free", there, "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'pgtopic_faults'")
        there.sql(text)
        here.sql("SELECT resume_task('faults')")

    start_anew()
    behind_its_back("INSERT INTO faults VALUES (2); SELECT pg_drop_replication_slot('pgtopic_faults')")
    failing("faults", "is gone from the source", "a slot that was dropped")
    start_anew()
    behind_its_back("SELECT pg_drop_replication_slot('pgtopic_faults'); INSERT INTO faults VALUES (2);"
                    "SELECT pg_create_logical_replication_slot('pgtopic_faults', 'pgoutput')")
    failing("faults", "has passed over changes", "a slot that was made anew")
    start_anew()
    behind_its_back("INSERT INTO faults VALUES (2); SELECT pg_replication_slot_advance('pgtopic_faults', pg_current_wal_lsn())")
    failing("faults", "has passed over changes", "a slot that was moved")
    start_anew()
    behind_its_back("DROP PUBLICATION pgtopic_faults; INSERT INTO faults VALUES (2)")
    failing("faults", "publication \"pgtopic_faults\" does not exist", "a publication that was dropped")
    start_anew()
    there.stop()
    failing("faults", "connection to the source", "a server that is down")
    there.start()
    there.sql("INSERT INTO faults VALUES (3)")
    here.sql("SELECT resume_task('faults')")
    wait_records("faults", 2)
    if int(there.sql("SELECT current_setting('server_version_num')")) >= 130000:
        there.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf()")
        behind_its_back("SELECT pg_switch_wal(); CREATE TABLE filler AS SELECT 1; SELECT pg_switch_wal(); CHECKPOINT; INSERT INTO filler VALUES (1);"
                        "SELECT pg_switch_wal(); CHECKPOINT; INSERT INTO filler VALUES (1); SELECT pg_switch_wal(); CHECKPOINT;"
                        "INSERT INTO filler VALUES (1); SELECT pg_switch_wal(); CHECKPOINT")
        failing("faults", "has lost WAL", "a slot that has lost WAL")
        there.sql("ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()")
    start_anew()
    there.stop()
    done = here.run("psql", "-XAtq", "-c", "SELECT drop_source('faults')", check=False)
    tap.matches("WARNING:  replication slot \"pgtopic_faults\" and its publication stay", done.stderr, "drop_source() says what it could not remove")
    tap.equal((done.returncode, here.sql("SELECT count(*) FROM tasks_status WHERE name = 'faults'")), (0, "0"), "and drops the rest")
    there.start()
    there.sql("SELECT pg_drop_replication_slot('pgtopic_faults'); DROP PUBLICATION pgtopic_faults")


def test_idle():
    """WAL that has nothing for a source is let go, and the server can shut down while the source reads"""
    before = there.sql("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pgtopic_loop'")
    there.sql("CREATE TABLE noise AS SELECT repeat('n', 500) FROM generate_series(1, 20000)")
    lsn = there.sql("SELECT pg_current_wal_lsn() - 1024 * 1024")
    tap.ok(wait_for("the slot moves", there, "SELECT confirmed_flush_lsn >= '%s' AND confirmed_flush_lsn > '%s' FROM pg_replication_slots"
                    " WHERE slot_name = 'pgtopic_loop'" % (lsn, before)), "an idle slot moves on")
    there.restart("fast")
    tap.ok(there.is_up(), "a fast shutdown does not hang")
    there.sql("INSERT INTO events (pad) VALUES ('after the restart')")
    compare("after the restart")


def test_hangs():
    """a server that stands still holds up nobody who changes the source, and is seen"""
    there.sql("CREATE TABLE hangs (id int PRIMARY KEY, pad text); INSERT INTO hangs SELECT n, repeat('x', 100) FROM generate_series(1, 300000) n")
    here.sql("SELECT create_source('hangs', tables => ARRAY['hangs'], topic => '{table}', connection => '%s')" % connection())
    sender = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE application_name = 'pgtopic source hangs' AND query ~ '^%s'"
    wait_for("a snapshot", there, sender.replace("coalesce(max(pid), 0)", "count(*) > 0") % "SELECT.* FROM ONLY public.hangs")
    pid = int(there.sql(sender % "SELECT.* FROM ONLY public.hangs"))
    tap.ok(pid, "a snapshot is being copied")
    os.kill(pid, signal.SIGSTOP)
    here.sql("SET statement_timeout = '30s'; BEGIN; SELECT pause_task('hangs'); ROLLBACK")
    tap.equal(here.sql("SELECT state <> 'paused', errors FROM tasks_status WHERE name = 'hangs'"), "t|0", "it can be paused, which is no error")
    os.kill(pid, signal.SIGCONT)
    wait_records_raw("hangs", 300000)
    tap.ok(streaming("hangs"), "it goes on when that was rolled back")
    here.sql("ALTER SYSTEM SET wal_receiver_timeout = '2s'; SELECT pg_reload_conf()")
    there.sql("INSERT INTO hangs VALUES (0)")
    wait_records_raw("hangs", 300001)
    pid = int(there.sql(sender % "START_REPLICATION"))
    os.kill(pid, signal.SIGSTOP)
    tap.ok(wait_for("an error", here, "SELECT last_error ~ 'does not answer' FROM tasks_status WHERE name = 'hangs'"), "a server that says nothing is an error")
    os.kill(pid, signal.SIGCONT)
    there.sql("INSERT INTO hangs VALUES (-1)")
    wait_records_raw("hangs", 300002)
    errors = here.sql("SELECT errors FROM tasks_status WHERE name = 'hangs'")
    here.sql("SELECT pg_sleep(6)")
    tap.equal(here.sql("SELECT errors FROM tasks_status WHERE name = 'hangs'"), errors, "one that has nothing to say answers")
    here.sql("ALTER SYSTEM RESET wal_receiver_timeout; SELECT pg_reload_conf(); SELECT drop_source('hangs')")


def test_drop():
    """drop_source() leaves nothing"""
    for name in here.sql("SELECT name FROM tasks_status").split("\n"):
        here.sql("SELECT drop_source('%s')" % name)
    for server in (here, there):
        tap.equal(server.sql("SELECT count(*) FROM pg_replication_slots"), "0", server.name + ": no slots")
        tap.equal(server.sql("SELECT count(*) FROM pg_publication WHERE pubname LIKE 'pgtopic%'"), "0", server.name + ": no publications")
    tap.equal(here.sql("SELECT count(*) FROM pg_replication_origin"), "0", "no origins")


pg.demote()
here = pg.Cluster("here", SETTINGS).init().start()
there = pg.Cluster("there", SETTINGS, preload=False).init().start()
here.sql("CREATE EXTENSION pgtopic")
tap.main([test_debezium, test_row, test_restored, test_types, test_identity, test_changed_tables, test_messages, test_behind_message, test_snapshot_beside_writers, test_crashes,
          test_large, test_idle, test_failing_snapshot, test_refusals, test_odd_servers, test_owner, test_rolled_back, test_changes, test_reload, test_faults,
          test_hangs, test_drop])
