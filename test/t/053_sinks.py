#!/usr/bin/env python3
"""Sinks: what a topic says is in the table exactly once, whatever is killed meanwhile. An appended table has each record of the
log, an upserted one the last record of each key, a mirror the rows of the table whose changes are in the topic."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import points          # noqa: E402
import tap             # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 4, 60)
PARTITIONS = 3

server = stop = None

# What Debezium would write of a table: the envelope of each change, with the key of the row. A large value that an update has
# left alone is not sent; a changed key is a delete and a create.
CHANGES = r"""
CREATE FUNCTION envelope(op text, before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE WHEN random() < 0.5 THEN e ELSE jsonb_build_object('schema', '{"type": "struct"}'::jsonb, 'payload', e) END
    FROM (SELECT jsonb_build_object('op', op, 'before', before, 'after', after, 'source', '{"lsn": 1}'::jsonb)) x(e) $$;
CREATE FUNCTION image(r rows) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(r) || jsonb_build_object('raw', encode(r.raw, 'base64'), 'doc', r.doc::text, 'day', r.day - date '1970-01-01',
        'at', (extract(epoch FROM r.at) * 1000000)::bigint, 'price', r.price::text) $$;
CREATE FUNCTION key_of(r rows) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('a', r.a, 'b', r.b) $$;
CREATE FUNCTION put(r rows, change jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT produce('changes', change, key => key_of(r)::text, partition => abs(hashint4(r.a)) % 3) $$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE after jsonb;
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND key_of(OLD) <> key_of(NEW)) THEN
        PERFORM put(OLD, envelope('d', key_of(OLD) || '{"body": null}', NULL));
        IF random() < 0.5 THEN
            PERFORM produce('changes', NULL::bytea, key => key_of(OLD)::text, partition => abs(hashint4(OLD.a)) % 3);
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN NULL; END IF;
    after := image(NEW);
    IF TG_OP = 'UPDATE' AND key_of(OLD) = key_of(NEW) THEN
        IF OLD.body IS NOT DISTINCT FROM NEW.body THEN after := after || '{"body": "__debezium_unavailable_value"}'; END IF;
        IF OLD.raw IS NOT DISTINCT FROM NEW.raw THEN after := after || '{"raw": "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}'; END IF;
        PERFORM put(NEW, envelope('u', CASE WHEN random() < 0.3 THEN image(OLD) END, after));
    ELSE
        PERFORM put(NEW, envelope(CASE WHEN random() < 0.2 THEN 'r' ELSE 'c' END, NULL, after));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON rows FOR EACH ROW EXECUTE FUNCTION tell();
"""
COLUMNS = """a int, b text, body text, raw bytea, doc jsonb, day date, at timestamp, price numeric, nums int[],
    twice int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b)"""


def wait_for(query, expected="t", timeout=180):
    got = server.wait_for(query, expected, timeout)
    if got != expected:
        tap.note("waited in vain for %s: %s" % (query, got))
        tap.note(server.sql("SELECT name, state, last_error FROM tasks_status"))
    return got == expected


def drained(*names):
    """The groups have read all that there is."""
    for name in names:
        tap.ok(wait_for("SELECT count(*) > 0 AND bool_and(lag = 0) FROM group_lag WHERE group_id = '%s'" % name), "%s has read all" % name)


def test_start():
    """three topics, three sinks"""
    global server, stop
    stop = points.Points()
    server = pg.Cluster(settings={"max_worker_processes": 30, **stop.settings}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic(n, %d, '{\"retention.ms\": -1}') FROM unnest(ARRAY['events', 'states', 'changes']) n"
               % PARTITIONS)
    server.sql("CREATE TABLE rows (%s); CREATE TABLE mirror (%s);" % (COLUMNS, COLUMNS) + CHANGES +
               "CREATE TABLE events (partition int, \"offset\" bigint, tag text, at timestamptz, key text);"
               "CREATE TABLE states (id int PRIMARY KEY, tag text, n int DEFAULT 5)")
    server.sql("""SELECT create_sink('events', 'events', 'events', mapping => '{"partition": "partition", "offset": "\\"offset\\"",
                   "tag": "value->>''tag''", "at": "\\"timestamp\\"", "key": "as_text(key)"}', parallelism => 2, batch_records => 50)""")
    server.sql("SELECT create_sink('states', 'states', 'states', 'upsert', parallelism => 3, batch_records => 70)")
    server.sql("SELECT create_sink('changes', 'changes', 'mirror', 'mirror', parallelism => 3, batch_records => 100)")


def test_plain():
    """one record of each kind arrives"""
    server.sql("SELECT produce('events', '{\"tag\": \"first\"}'::jsonb, key => 'k'); SELECT produce('states', '{\"tag\": \"one\"}'::jsonb, key => '1');"
               "INSERT INTO rows (a, b, body) VALUES (1, 'x', 'hello')")
    tap.ok(wait_for("SELECT count(*) = 1 FROM events WHERE tag = 'first' AND key = 'k'"), "appended")
    tap.ok(wait_for("SELECT count(*) = 1 FROM states WHERE id = 1 AND tag = 'one' AND n = 5"), "upserted, with a default")
    tap.ok(wait_for("SELECT count(*) = 1 FROM mirror WHERE a = 1 AND body = 'hello' AND twice = 2"), "mirrored")


class Load:
    """Writes to the topics and to the table until it is stopped."""

    def __init__(self, rng):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(one, random.Random(rng.random())))
                        for one in (self._events, self._states, self._rows, self._rows)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, one, rng):
        while not self.stopping.is_set():
            try:
                server.sql(one(rng))
            except pg.SqlError:
                time.sleep(0.1)         # the server is down, a deadlock, a key that is taken

    @staticmethod
    def _events(rng):
        return "SELECT count(produce('events', jsonb_build_object('tag', n), key => n::text)) FROM generate_series(1, %d) n" % rng.choice((1, 30, 300))

    @staticmethod
    def _states(rng):
        """A key stays in one partition."""
        return """SELECT count(produce('states', CASE WHEN random() < 0.8 THEN jsonb_build_object('tag', random()::text) END, key => k::text))
                  FROM (SELECT (random() * 40)::int AS k FROM generate_series(1, %d)) x""" % rng.choice((1, 20, 200))

    @staticmethod
    def _rows(rng):
        a = "a BETWEEN %d AND %d" % ((lambda n: (n, n + rng.choice((0, 3))))(rng.randrange(30)))
        return "BEGIN; " + "; ".join(rng.choice((
            "INSERT INTO rows SELECT %d, 'x' || n, repeat(md5(random()::text), 20), decode(md5(random()::text), 'hex'), '{\"x\": [1, null]}',"
            " date '2024-02-28' + n, timestamp '2024-01-01 00:00:00.123456' + n * interval '1 hour', random()::numeric, ARRAY[n, NULL]"
            " FROM generate_series(1, %d) n ON CONFLICT DO NOTHING" % (rng.randrange(30), rng.choice((1, 5))),
            "UPDATE rows SET doc = to_jsonb(random()::text) WHERE " + a,
            "UPDATE rows SET body = NULL, nums = '{}' WHERE " + a,
            "UPDATE rows SET raw = '\\x00', at = NULL, day = '1969-12-31' WHERE " + a,
            "UPDATE rows SET a = a, b = b || 'y', body = 'whole', raw = '\\x01' WHERE " + a,
            "DELETE FROM rows WHERE " + a,
        )) for _ in range(rng.choice((1, 4)))) + "; " + rng.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))


def disturb(rng):
    what = rng.choice(("worker", "worker", "terminate", "server"))
    try:
        if what == "server":
            server.kill9().start()
        elif what == "terminate":
            server.sql("SELECT pg_terminate_backend(pid) FROM tasks_status, unnest(pids) pid")
        else:
            pids = server.worker_pids("pgtopic task (events|states|changes)")
            if pids:
                os.kill(rng.choice(pids), 9)
        server.wait_up()
    except (pg.SqlError, OSError):
        pass
    return what


def compare(what):
    drained("events", "states", "changes")
    tap.equal(server.sql("SELECT partition, \"offset\", tag, key FROM events ORDER BY 1, 2"),
              server.sql("SELECT partition, \"offset\", value->>'tag', as_text(key) FROM topics.events ORDER BY 1, 2"),
              "%s: each record of the log is in the table, once" % what)
    tap.equal(server.sql("SELECT id, tag, n FROM states ORDER BY 1"),
              server.sql("SELECT id, value->>'tag', 5 FROM (SELECT DISTINCT ON (id) as_text(key)::int AS id, value FROM topics.states"
                         " ORDER BY id, \"offset\" DESC) s WHERE value IS NOT NULL ORDER BY 1"), "%s: the last record of each key" % what)
    tap.equal(server.sql("SELECT * FROM mirror ORDER BY a, b"), server.sql("SELECT * FROM rows ORDER BY a, b"), "%s: the mirror is the table" % what)


def test_disturbed():
    """workers and the server are killed meanwhile"""
    rng = random.Random(SEED)
    load = Load(rng)
    done = []
    for _ in range(ROUNDS):
        time.sleep(rng.uniform(0.5, 3))
        done.append(disturb(rng))
    load.stop()
    server.wait_up()
    tap.note("happened: %s; %s rows, %s events" % (done, server.sql("SELECT count(*) FROM rows"), server.sql("SELECT count(*) FROM topics.events")))
    compare("after kills")


def test_schema_change():
    """the table gets a column, and loses one, while its sink runs"""
    server.sql("ALTER TABLE states ADD extra text DEFAULT 'new', DROP n; SELECT produce('states', '{\"id\": 77, \"extra\": \"seen\"}'::jsonb, key => '77');"
               "SELECT produce('states', '{\"id\": 78, \"n\": 1}'::jsonb, key => '78')")
    tap.ok(wait_for("SELECT string_agg(extra, ',' ORDER BY id) = 'seen,new' FROM states WHERE id IN (77, 78)"), "what there is now is filled")
    server.sql("ALTER TABLE rows ADD extra text; ALTER TABLE mirror ADD extra text, ADD ours text DEFAULT 'ours';"
               "INSERT INTO rows (a, b, extra) VALUES (1000, 'x', 'e'); UPDATE rows SET extra = 'f' WHERE a = 1000")
    tap.ok(wait_for("SELECT extra = 'f' AND ours = 'ours' FROM mirror WHERE a = 1000"), "in a mirror, too")
    server.sql("UPDATE mirror SET ours = 'kept' WHERE a = 1000; UPDATE rows SET body = 'x' WHERE a = 1000")
    tap.ok(wait_for("SELECT ours = 'kept' FROM mirror WHERE a = 1000 AND body = 'x'"), "a column that only the mirror has stays as it is")


def test_column_of_the_last_moment():
    """a table gets a column after its sink has looked at it, and before it reads the first record with that column"""
    server.sql("SELECT pause_task(name) FROM tasks_status; CREATE TABLE late (id int PRIMARY KEY); SELECT create_topic('late')")
    wait_for("SELECT count(*) = 0 FROM tasks_status, unnest(pids)")
    server.sql("SELECT create_sink('late', 'late', 'late', 'upsert'); SELECT produce('late', '{\"id\": 1}'::jsonb)")
    wait_for("SELECT count(*) = 1 FROM late")
    stop.set("processor.prepared")
    server.sql("SELECT produce('late', '{\"id\": 2}'::jsonb)")
    stop.await_("processor.prepared")
    server.sql("ALTER TABLE late ADD extra text; SELECT produce('late', '{\"id\": 3, \"extra\": \"x\"}'::jsonb)")
    stop.release("processor.prepared")
    tap.ok(wait_for("SELECT count(*) = 3 FROM late"), "both records have come")
    tap.equal(server.sql("SELECT extra FROM late WHERE id = 3"), "x", "the new column, too")
    server.sql("SELECT drop_sink('late'); SELECT resume_task(name) FROM tasks_status")


def test_truncate():
    """TRUNCATE is mirrored"""
    server.sql("BEGIN; ALTER TABLE rows DISABLE TRIGGER tell; DELETE FROM rows WHERE abs(hashint4(a)) % 3 = 1; ALTER TABLE rows ENABLE TRIGGER tell; COMMIT")
    server.sql("SELECT pause_task('changes')")
    wait_for("SELECT coalesce(cardinality(pids), 0) = 0 FROM tasks_status WHERE name = 'changes'")
    server.sql("SELECT count(produce('changes', '{\"op\": \"t\"}'::jsonb, partition => 0));"
               "INSERT INTO rows (a, b, body) SELECT n, 'after', 't' FROM generate_series(2000, 2020) n WHERE abs(hashint4(n)) % 3 = 0;"
               "DELETE FROM rows WHERE b <> 'after'")
    server.sql("SELECT resume_task('changes')")
    drained("changes")
    tap.equal(server.sql("SELECT a, b, body FROM mirror ORDER BY a, b"), server.sql("SELECT a, b, body FROM rows ORDER BY a, b"), "nothing from before is left")


def test_bad_record():
    """a sink stops at a record that the table cannot take, and goes on when it is passed"""
    server.sql("SELECT produce('states', 'no json', key => '5')")
    tap.ok(wait_for("SELECT state = 'failing' AND last_error ~ 'json' FROM tasks_status WHERE name = 'states'"), "it fails, and says why")
    before = server.sql("SELECT count(*) FROM states")
    server.sql("SELECT pause_task('states')")
    wait_for("SELECT coalesce(cardinality(pids), 0) = 0 FROM tasks_status WHERE name = 'states'")
    server.sql("SELECT seek('states', 'states', 'end')")
    server.sql("SELECT resume_task('states'); SELECT produce('states', '{\"id\": 90}'::jsonb, key => '90')")
    tap.ok(wait_for("SELECT count(*) = 1 FROM states WHERE id = 90"), "behind it, it goes on")
    tap.equal(server.sql("SELECT count(*) FROM states"), str(int(before) + 1), "nothing else has come")


def test_dead_letters():
    """with a dead-letter topic the good records come, in their order, and each bad one is sent there"""
    server.sql("SELECT create_topic('mixed', 2), create_topic('mixed_dead'); CREATE TABLE mixed (id int PRIMARY KEY, n int CHECK (n < 100))")
    server.sql("SELECT create_sink('mixed', 'mixed', 'mixed', 'upsert', on_error => 'mixed_dead', batch_records => 60)")
    server.sql("""SELECT count(produce('mixed', CASE WHEN n % 11 = 0 THEN 'no json' WHEN n % 13 = 0 THEN '[]' WHEN n % 17 = 0 THEN NULL
                      ELSE jsonb_build_object('n', CASE WHEN n % 7 = 0 THEN 100 ELSE n % 100 END)::text END, key => (n % 40)::text))
                  FROM generate_series(1, 1000) n""")
    drained("mixed")
    good = "(value IS NULL OR try_jsonb(value)->>'n' IS NOT NULL AND (try_jsonb(value)->>'n')::int < 100)"
    tap.equal(server.sql("SELECT id, n FROM mixed ORDER BY 1"),
              server.sql("SELECT id, value->>'n' FROM (SELECT DISTINCT ON (id) as_text(key)::int AS id, value FROM topics.mixed WHERE %s"
                         " ORDER BY id, \"offset\" DESC) s WHERE value IS NOT NULL ORDER BY 1" % good), "the last good record of each key")
    tap.equal(server.sql("SELECT (headers->>'partition')::int, (headers->>'offset')::bigint, as_text(value) FROM topics.mixed_dead ORDER BY 1, 2"),
              server.sql("SELECT partition, \"offset\", as_text(value) FROM topics.mixed WHERE NOT %s ORDER BY 1, 2" % good), "the others are dead letters")
    server.sql("SELECT drop_sink('mixed')")


def test_privileges():
    """a sink has the rights of its owner and no others"""
    server.sql("CREATE ROLE clerk LOGIN; CREATE TABLE theirs (id int PRIMARY KEY, tag text); GRANT INSERT ON theirs TO clerk;"
               "GRANT USAGE ON SCHEMA topics TO clerk; GRANT SELECT ON topics.events TO clerk")
    server.sql("SET ROLE clerk; SELECT create_sink('clerk', 'events', 'theirs', mapping => '{\"id\": \"1000 + \\\"offset\\\" * 3 + partition\", \"tag\": \"current_user\"}')")
    tap.ok(wait_for("SELECT count(*) > 0 AND bool_and(tag = 'clerk') FROM theirs"), "it runs as its owner")
    server.sql("REVOKE INSERT ON theirs FROM clerk; SELECT produce('events', '{}'::jsonb)")
    tap.ok(wait_for("SELECT state = 'failing' AND last_error ~ 'permission denied' FROM tasks_status WHERE name = 'clerk'"), "without the right it fails")
    server.sql("GRANT INSERT ON theirs TO clerk; SELECT resume_task('clerk')")
    drained("clerk")


def test_drop():
    """the worker goes, and the group; the table stays"""
    server.sql("SELECT drop_sink('clerk')")
    tap.ok(wait_for("SELECT count(*) = 0 FROM tasks_status WHERE name = 'clerk'"), "the sink is gone")
    tap.equal(server.sql("SELECT count(*) FROM group_lag WHERE group_id = 'clerk'"), "0", "its offsets, too")
    tap.ok(int(server.sql("SELECT count(*) FROM theirs")) > 0, "the table stays")
    for name in ("events", "states", "changes"):
        server.sql("SELECT drop_sink('%s')" % name)
    tap.ok(wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type ~ 'pgtopic task (events|states|changes)'"), "no worker is left")


ALL_TYPES = """id bigint PRIMARY KEY, t text, n numeric(20,5), f float8, r real, b bool, raw bytea, d date, tm time, ts timestamp(3), at timestamptz,
    iv interval, u uuid, j json, jb jsonb, arr int[], texts text[], range int4range, net inet, bits bit(5), mood mood, pair pair, big text,
    twice bigint GENERATED ALWAYS AS (id * 2) STORED"""
ONE_ROW = """%s, E'q"\\\\ \u00fc', -12345.67890, 'Infinity', 1.5, %s, '\\x00ff', '0044-03-15 BC', '23:59:59.999999', '2024-02-29 12:00:00.123',
    'infinity', '1 mon -3 days 04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, null]}', '{"b": "x"}', '{{1,NULL},{3,4}}',
    ARRAY['a"b', NULL, ''], '[1,5)', '::1/128', B'10101', 'good', '(1,"x y")', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 3000) n)"""


def test_mirror_of_a_source():
    """a table of each kind of column, over a source and a topic"""
    server.sql("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b text); CREATE TABLE original (%s); CREATE TABLE copy (%s);"
               "ALTER TABLE original ALTER big SET STORAGE EXTERNAL;"
               "SELECT create_topic('original', 2, '{\"retention.ms\": -1}')" % (ALL_TYPES, ALL_TYPES))
    server.sql("INSERT INTO original VALUES (%s)" % (ONE_ROW % ("1", "true")))
    server.sql("SELECT create_source('original', ARRAY['original'], topic => 'original')")
    server.sql("SELECT create_sink('copy', 'original', 'copy', 'mirror', parallelism => 2, batch_records => 7)")
    for n in range(2, 12):
        server.sql("INSERT INTO original VALUES (%s); UPDATE original SET b = NOT b WHERE id %% 2 = 0" % (ONE_ROW % (n, "false")))
    server.sql("INSERT INTO original (id) VALUES (100); UPDATE original SET id = 101 WHERE id = 100; UPDATE original SET t = NULL, arr = NULL WHERE id < 4;"
               "DELETE FROM original WHERE id IN (5, 6); INSERT INTO original (id, t) VALUES (5, 'again'), (9999, 'last')")
    tap.ok(wait_for("SELECT count(*) = 1 FROM copy WHERE id = 9999"), "the last row has come")
    drained("copy")
    tap.equal(server.sql("SELECT * FROM copy ORDER BY id"), server.sql("SELECT * FROM original ORDER BY id"), "the copy is the original")
    server.sql("SELECT drop_source('original')")
    server.sql("SELECT drop_sink('copy')")


def test_foreign_table():
    """one of another database can be appended to"""
    server.sql("CREATE DATABASE elsewhere")
    server.sql("CREATE TABLE far (id bigint, tag text)", database="elsewhere")
    server.sql("CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%d', dbname 'elsewhere');"
               "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere; CREATE FOREIGN TABLE far (id bigint, tag text) SERVER elsewhere;"
               "SELECT create_topic('far', 2)" % (server.dir, server.port))
    try:
        server.sql("SELECT create_sink('far', 'far', 'far', 'upsert')")
        tap.ok(False, "upsert into a foreign table")
    except pg.SqlError as problem:
        tap.matches("can only append to foreign table", str(problem), "not more than that")
    server.sql("SELECT create_sink('far', 'far', 'far', batch_records => 100)")
    server.sql("SELECT count(produce('far', jsonb_build_object('id', n, 'tag', 't' || n))) FROM generate_series(1, 2000) n")
    server.kill9().start()
    server.wait_up()
    drained("far")
    tap.equal(server.sql("SELECT count(DISTINCT id), min(id), max(id) FROM far", database="elsewhere"), "2000|1|2000", "each record is there, after a crash")
    server.sql("SELECT drop_sink('far')")


def main():
    tap.note("seed %d" % SEED)
    tap.main([test_start, test_plain, test_disturbed, test_schema_change,
              test_column_of_the_last_moment, test_truncate, test_bad_record, test_dead_letters, test_privileges,
              test_mirror_of_a_source, test_foreign_table, test_drop])


if __name__ == "__main__":
    pg.demote()
    main()
