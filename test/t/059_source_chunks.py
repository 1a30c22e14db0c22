#!/usr/bin/env python3
"""Tables that are copied in chunks while changes stream: nothing that changed meanwhile is overwritten, each row comes once, through crashes; what is
refused; what the view shows."""

import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg      # noqa: E402
import liar               # noqa: E402
import points             # noqa: E402
import tap                # noqa: E402
import two_servers        # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 6, 60)
ROWS = tap.size("PGTOPIC_LARGE", 15000, 300000)

pair = here = there = stop = None


class Writer(threading.Thread):
    """Changes rows of table accounts, new and old ones, until it is stopped."""

    def __init__(self, seed):
        super().__init__()
        self.rng = random.Random(seed)
        self.stopping = threading.Event()
        self.done = 0

    def run(self):
        while not self.stopping.is_set():
            account = self.rng.randint(1, ROWS)
            text = self.rng.choice([
                "UPDATE accounts SET n = n + 1 WHERE id BETWEEN %d AND %d" % (account, account + 5), "DELETE FROM accounts WHERE id = %d" % account,
                "INSERT INTO accounts VALUES (%d, 0) ON CONFLICT (id) DO UPDATE SET n = accounts.n + 1" % account,
                "UPDATE accounts SET id = id + %d WHERE id = %d AND NOT EXISTS (SELECT FROM accounts WHERE id = %d)" % (ROWS, account, account + ROWS),
                "BEGIN; UPDATE accounts SET n = n - 1 WHERE id = %d; ROLLBACK" % account])
            try:
                there.sql(text, timeout=60)
                self.done += 1
            except Exception:       # pylint: disable=broad-except
                time.sleep(0.05)    # the server is down: the next one comes

    def stop(self):
        self.stopping.set()
        self.join()


def finished(table, what, n=1):
    return tap.ok(pair.wait_for(what, "SELECT count(*) FROM source_snapshots WHERE table_name = '%s' AND state = 'done'" % table, expected=str(n)), what)


def settle():
    """All that was written at the source has come."""
    there.sql("INSERT INTO marks VALUES (DEFAULT)")
    marks = there.sql("SELECT count(*) FROM marks")
    pair.wait_for("all changes", "SELECT count(*) FROM topics.marks", expected=marks)


def compare(what, topic="accounts"):
    """What the topic's last records say against the table, and the rows that came as such against how often they may."""
    settle()
    state = {}
    read = {}
    for key, value, headers in pair.records(topic):
        number = json.loads(key)["id"]
        if value is None:
            state.pop(number, None)
        else:
            state[number] = json.loads(value)["n"]
        if headers["op"] == "r":
            read[number] = read.get(number, 0) + 1
    tables = {int(i): int(n) for i, n in there.rows("SELECT id, n FROM accounts")}
    tap.ok(state == tables, what + ": the last record of each key is the row that is there (%d rows)" % len(tables))
    return read


def crash_loop(writer, rng):
    deeds = [kill_worker, lambda: here.kill9().start(), kill_worker, lambda: there.kill9().start(), kill_worker, lambda: here.restart("fast")]
    for n in range(ROUNDS):
        before = writer.done
        deadline = time.monotonic() + 60
        while writer.done < before + rng.randint(1, 15) and time.monotonic() < deadline:
            time.sleep(0.02)
        deeds[n % len(deeds)]()


def kill_worker():
    pid = here.sql("SELECT pids[1] FROM tasks_status WHERE name = 'chunks'")
    if pid:
        os.kill(int(pid), signal.SIGKILL)
        here.wait_up()


def test_incremental():
    """an initial snapshot in chunks beside writers, through crashes of both sides; tables without a key come at once"""
    tap.note("PGTOPIC_SEED=%d" % SEED)
    there.sql("CREATE TABLE accounts (id int PRIMARY KEY, n int); CREATE TABLE marks (id serial); CREATE TABLE keyless (n int);"
              "ALTER TABLE marks REPLICA IDENTITY FULL; INSERT INTO accounts SELECT n, 0 FROM generate_series(1, %d) n; INSERT INTO keyless VALUES (1), (2)" % ROWS)
    writer = Writer(SEED)
    writer.start()
    here.sql("SELECT create_source('chunks', tables => ARRAY['accounts', 'marks', 'keyless'], topic => '{table}', format => 'row', snapshot => 'incremental',"
             " connection => '%s')" % pair.connection())
    pair.wait_for("a chunk", "SELECT coalesce(max(chunks) > 0, false) FROM source_snapshots WHERE table_name = 'accounts'")
    crash_loop(writer, random.Random(SEED))
    finished("accounts", "the table is copied")
    writer.stop()
    read = compare("incremental")
    tap.ok(read and max(read.values()) == 1, "no row came twice")
    tap.equal(here.sql("SELECT string_agg(value->>'n', ',' ORDER BY \"offset\") FROM topics.keyless"), "1,2", "rows without a key")
    shown = here.sql("SELECT source, schema_name, rows, chunks >= %d FROM source_snapshots WHERE table_name = 'accounts'" % (ROWS // 4000))
    tap.equal(shown, "chunks|public|%d|t" % len(read), "the view has counted them")


def test_again():
    """the rows of a table once more, beside writers and through crashes: each once, and none over what is newer"""
    before = compare("before")
    writer = Writer(SEED + 1)
    writer.start()
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    pair.refused("is being copied", "SELECT resnapshot_source('chunks', 'public.accounts')", "not twice at a time")
    crash_loop(writer, random.Random(SEED + 1))
    finished("accounts", "it is copied again")
    writer.stop()
    after = compare("again")
    again = {key: n - before.get(key, 0) for key, n in after.items()}
    tap.ok(max(again.values()) == 1, "each row once")
    tap.ok(sum(again.values()) > ROWS // 2, "most of them (%d)" % sum(again.values()))
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    finished("accounts", "and when nothing changes")
    quiet = compare("quiet")
    count = int(there.sql("SELECT count(*) FROM accounts"))
    tap.equal(sum(quiet.values()) - sum(after.values()), count, "all rows come, once")


def test_window():
    """what changes between the reading of a chunk and its place in the stream is not overwritten"""
    there.sql("TRUNCATE accounts; INSERT INTO accounts VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    settle()
    start = int(here.sql("SELECT log_end('accounts:0')"))
    stop.set("source.chunk_read")
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    tap.ok(stop.await_("source.chunk_read"), "the chunk is read")
    there.sql("UPDATE accounts SET n = 10 WHERE id = 1; DELETE FROM accounts WHERE id = 2; UPDATE accounts SET id = 30 WHERE id = 3; INSERT INTO accounts VALUES (5, 5)")
    stop.release("source.chunk_read")
    finished("accounts", "it goes on")
    settle()
    rows = here.sql("SELECT headers->>'op' || ' ' || (convert_from(key, 'UTF8')::json->>'id') || coalesce(' ' || (value->>'n'), '') FROM topics.accounts"
                    " WHERE \"offset\" >= %d ORDER BY \"offset\"" % start).split("\n")
    tap.equal(rows, ["u 1 10", "d 2", "d 3", "c 30 3", "c 5 5", "r 4 4"], "only the row that did not change comes")
    stop.set("source.chunk_made")
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    tap.ok(stop.await_("source.chunk_made"), "records are made, and not committed")
    kill_worker()
    stop.release("source.chunk_made")
    finished("accounts", "after a crash there it is made again")
    settle()
    tap.equal(here.sql("SELECT count(*) FROM topics.accounts WHERE \"offset\" >= %d AND headers->>'op' = 'r'" % (start + 6)), "4", "and comes once")
    stop.set("source.chunk_read")
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    stop.await_("source.chunk_read")
    there.sql("TRUNCATE accounts")
    stop.release("source.chunk_read")
    finished("accounts", "a table that is truncated meanwhile")
    settle()
    tap.equal(here.sql("SELECT string_agg(headers->>'op', '' ORDER BY \"offset\") FROM topics.accounts WHERE \"offset\" >= %d" % (start + 10)), "t", "has no rows")


def test_running():
    """a transaction that runs when the table's turn comes is waited for: the chunk has it, or it comes behind"""
    there.sql("INSERT INTO accounts VALUES (1, 1)")
    settle()
    start = int(here.sql("SELECT log_end('accounts:0')"))
    session = there.session()
    session.sql("BEGIN; UPDATE accounts SET n = 2 WHERE id = 1; SELECT txid_current()")
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    settle()
    tap.equal(here.sql("SELECT state FROM source_snapshots WHERE table_name = 'accounts'"), "waiting", "it waits, and changes come all the same")
    session.sql("COMMIT")
    session.close()
    finished("accounts", "then it is copied")
    settle()
    tap.equal(here.sql("SELECT string_agg((headers->>'op') || (value->>'n'), ',' ORDER BY \"offset\") FROM topics.accounts WHERE \"offset\" >= %d" % start), "u2,r2", "in order")


def test_keys():
    """keys of several columns and types, in the order of the index; partitions; envelopes"""
    there.sql("CREATE TABLE odd (a text, b timestamptz, c int, v text, PRIMARY KEY (c, b, a)) PARTITION BY HASH (c);"
              "CREATE TABLE odd_0 PARTITION OF odd FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE odd_1 PARTITION OF odd FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
              "INSERT INTO odd SELECT 'it''s \"' || n, '2026-01-01'::timestamptz + n * '1 day'::interval, n % 7, repeat('v', 10) FROM generate_series(1, 7001) n")
    here.sql("SELECT create_source('odd', tables => ARRAY['odd'], topic => 'odd', snapshot => 'incremental', connection => '%s')" % pair.connection())
    pair.wait_records("odd", 7001)
    tap.equal(here.sql("SELECT count(DISTINCT key), string_agg(DISTINCT value->'source'->>'snapshot', ',') FROM topics.odd"), "7001|incremental", "each row, once")
    tap.equal(here.sql("SELECT chunks, state FROM source_snapshots WHERE source = 'odd'"), "4|done", "in four chunks")
    here.sql("SELECT drop_source('odd')")
    tap.equal(here.sql("SELECT count(*) FROM source_snapshots WHERE source = 'odd'"), "0", "drop_source() forgets them")


def test_readers():
    """several connections read tables at a time, with one snapshot beside a writer; what they have taken is seen; an error leaves none of them"""
    names = ["r%d" % n for n in range(5)]
    there.sql("".join("CREATE TABLE %s (id int PRIMARY KEY); INSERT INTO %s SELECT generate_series(1, 1000);" % (name, name) for name in names)
              + "CREATE TABLE empty_one (id int PRIMARY KEY)")
    create = "SELECT create_source('readers', tables => ARRAY['r0', 'r1', 'r2', 'r3', 'r4', 'empty_one'], topic => '{table}', format => 'row', snapshot_readers => %s," \
        " connection => '" + pair.connection() + "')"
    pair.refused("must be from 1 to 32", create % 33, "not too many")
    pair.refused("must be from 1 to 32", create % 0, "nor none")
    stop.set("source.copying")
    here.sql(create % 3)
    stop.await_("source.copying")
    tap.equal(there.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgtopic source readers' AND backend_type = 'walsender'"), "3", "three connections")
    there.sql("BEGIN;" + "".join("INSERT INTO %s VALUES (1001); DELETE FROM %s WHERE id = 1;" % (name, name) for name in names) + "COMMIT")
    stop.release("source.copying")
    for name in names:
        pair.wait_records(name, 1002)
        tap.equal(here.sql("SELECT count(DISTINCT key), count(*) FILTER (WHERE headers->>'op' = 'r'), string_agg(headers->>'op', '' ORDER BY \"offset\")"
                           " FILTER (WHERE headers->>'op' <> 'r') FROM topics.%s" % name), "1001|1000|cd", name + ": the rows that were there, then the changes")
    tap.equal(there.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgtopic source readers' AND backend_type = 'walsender'"), "1", "one is left")
    here.sql("SELECT drop_source('readers')")


def test_swapped():
    """a table that becomes a view amid the snapshot is not read: nobody's code runs as the source's role"""
    there.sql("CREATE TABLE swapped (id int PRIMARY KEY); INSERT INTO swapped VALUES (1); CREATE TABLE ran (id int);"
              "CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'evil has run'; RETURN 1; END $$")
    stop.set("source.slot_created")
    here.sql("SELECT create_source('swapped', tables => ARRAY['swapped'], topic => 'swapped', connection => '%s')" % pair.connection())
    stop.await_("source.slot_created")
    there.sql("ALTER TABLE swapped RENAME TO was_swapped; CREATE VIEW swapped AS SELECT public.evil() AS id")
    stop.release("source.slot_created")
    pair.failing("swapped", "swapped|not the table any more", "a view in place of the table is an error")
    tap.ok("evil has run" not in there.log_text(), "its code has not run")
    there.sql("DROP VIEW swapped; ALTER TABLE was_swapped RENAME TO swapped")
    here.sql("SELECT resume_task('swapped')")
    pair.wait_records("swapped", 1)
    tap.equal(json.loads(pair.records("swapped")[0][0]), {"id": 1}, "when the table is back it is copied")
    here.sql("SELECT drop_source('swapped')")


def test_refusals():
    """what cannot be copied is said at once, or in the view"""
    there.sql("CREATE TABLE unpublished (id int PRIMARY KEY)")
    for statement, pattern in (("SELECT resnapshot_source('nowhere', 'accounts')", "does not exist"), ("SELECT resnapshot_source('chunks', 'nowhere')", "is not published"),
                               ("SELECT resnapshot_source('chunks', 'unpublished')", "is not published"), ("SELECT resnapshot_source('chunks', 'keyless')", "has no primary key"),
                               ("SELECT resnapshot_source(NULL, 'x')", "must not be null"), ("SELECT resnapshot_source('chunks', '')", "invalid name|zero-length"),
                               ("CREATE ROLE nobody LOGIN; SET ROLE nobody; SELECT resnapshot_source('chunks', 'accounts')", "must be owner"),
                               ("SELECT create_source('x', tables => ARRAY['accounts'], snapshot => 'sometimes', connection => '%s')" % pair.connection(), "incremental")):
        pair.refused(pattern, statement, statement[:80])
    tap.equal(here.sql("SET ROLE nobody; SELECT count(*) FROM source_snapshots"), "0", "the view shows a source's tables to who may see it")
    there.sql("INSERT INTO accounts VALUES (100, 1)")
    here.sql("SELECT pause_task('chunks')")
    here.sql("SELECT resnapshot_source('chunks', 'accounts')")
    there.sql("ALTER PUBLICATION pgtopic_chunks DROP TABLE accounts")
    here.sql("SELECT resume_task('chunks')")
    tap.ok(pair.wait_for("an error", "SELECT state = 'given up' AND error ~ 'not published' FROM source_snapshots WHERE table_name = 'accounts'"),
           "a table that is not published any more is given up")
    tap.equal(here.sql("SELECT state FROM tasks_status WHERE name = 'chunks'"), "running", "and the source goes on")


def test_orders():
    """a type whose index has another order than pg_catalog: no row is lost"""
    there.sql("CREATE EXTENSION citext; CREATE TABLE folded (k citext, n int, PRIMARY KEY (k, n));"
              "INSERT INTO folded SELECT CASE WHEN n % 2 = 0 THEN 'KEY' ELSE 'key' END || n, n FROM generate_series(1, 5000) n")
    here.sql("SELECT create_source('folded', tables => ARRAY['folded'], topic => 'folded', snapshot => 'incremental', connection => '%s')" % pair.connection())
    finished("folded", "it is copied")
    tap.equal(here.sql("SELECT count(*), count(DISTINCT key) FROM topics.folded"), "5000|5000", "each row, once")
    here.sql("SELECT drop_source('folded')")


def test_given_up():
    """what a table's query has against it is the problem of this table alone"""
    there.sql("CREATE TYPE duo AS (a int, b int); CREATE TABLE compound (k duo PRIMARY KEY); INSERT INTO compound SELECT (n, n)::duo FROM generate_series(1, 2500) n;"
              "CREATE TABLE beside (id int PRIMARY KEY); CREATE TABLE partly (id int PRIMARY KEY, v int); INSERT INTO partly VALUES (1, 1); CREATE ROLE mere LOGIN REPLICATION;"
              "CREATE PUBLICATION partly FOR TABLE beside, partly%s WITH (publish = 'insert')" % (" (v)" if pg.MAJOR >= 15 else ""))
    here.sql("SELECT create_source('compound', tables => ARRAY['compound', 'beside'], topic => '{table}', snapshot => 'incremental', connection => '%s')" % pair.connection())
    tap.ok(pair.wait_for("an error", "SELECT error FROM source_snapshots WHERE table_name = 'compound'",
                         expected="the source's server says: input of anonymous composite types is not implemented"), "a key that is no constant: given up, with the reason")
    finished("beside", "the next table is copied")
    there.sql("INSERT INTO beside VALUES (1)")
    pair.wait_records("beside", 1)
    tap.equal(here.sql("SELECT state, errors FROM tasks_status WHERE name = 'compound'"), "running|0", "and the source goes on")
    here.sql("SELECT drop_source('compound')")
    here.sql("SELECT create_source('partly', publication => 'partly', topic => 'partly', snapshot => 'incremental', connection => '%s')" % pair.connection())
    if pg.MAJOR >= 15:
        tap.ok(pair.wait_for("an error", "SELECT error FROM source_snapshots WHERE table_name = 'partly'", expected="a column of the key is not published"),
               "a key that is not published")
    here.sql("SELECT drop_source('partly')")
    here.sql("SELECT create_source('mere', publication => 'partly', topic => 'mere', snapshot => 'never', connection => '%s')" % pair.connection("mere"))
    pair.streaming("mere")
    pair.refused("may not read table", "SELECT resnapshot_source('mere', 'beside')", "a table that may not be read")
    here.sql("SELECT drop_source('mere')")


def test_other_key():
    """a key that becomes another one between two chunks: the table is given up"""
    there.sql("CREATE TABLE rekeyed (id int PRIMARY KEY, other int); INSERT INTO rekeyed SELECT n, -n FROM generate_series(1, 5000) n")
    stop.set("source.chunk_made")
    here.sql("SELECT create_source('rekeyed', tables => ARRAY['rekeyed'], topic => 'rekeyed', snapshot => 'incremental', connection => '%s')" % pair.connection())
    tap.ok(stop.await_("source.chunk_made"), "records of a chunk are made")
    there.sql("ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (other)")
    stop.release("source.chunk_made")
    tap.ok(pair.wait_for("an error", "SELECT error FROM source_snapshots WHERE table_name = 'rekeyed'", expected="the key of the table has changed"), "it is given up")
    tap.equal(here.sql("SELECT count(*) FROM topics.rekeyed"), "2000", "rows of one chunk have come")
    here.sql("SELECT drop_source('rekeyed')")


def test_lies():
    """a server whose answers about a chunk make no sense: the source fails and says so, and goes on when they do; no row is lost"""
    there.sql("CREATE TABLE lied (id int PRIMARY KEY, v text); INSERT INTO lied SELECT n, 'v' || n FROM generate_series(1, 2500) n")
    between = liar.Liar(there)
    here.sql("SELECT create_source('lied', tables => ARRAY['lied'], topic => 'lied', format => 'row', snapshot => 'never', connection => '%s')" % between.connection())
    pair.streaming("lied")
    for n, (what, told, first) in enumerate([("a column less from the second piece on", liar.without_last_column, 2), ("no key", liar.null_first, 1),
                                             ("more rows than it was asked for", liar.thrice, 1)], 1):
        between.lie(b"FETCH ", told, first)
        here.sql("SELECT resnapshot_source('lied', 'lied')")
        pair.failing("lied", "unexpected answer of the source''s server", what + ": an error")
        tap.ok(between.lies > 0, "about what the server has said")
        tap.equal(here.sql("SELECT count(*) FROM topics.lied") if n > 1 else "0", str(2500 * (n - 1)), "nothing of the chunk comes")
        between.be_honest()
        here.sql("SELECT resume_task('lied')")
        finished("lied", "when it speaks the truth the table is copied")
        tap.equal(here.sql("SELECT count(*), count(DISTINCT key), count(*) FILTER (WHERE value->>'v' = 'v' || (value->>'id')) FROM topics.lied"),
                  "%d|2500|%d" % (2500 * n, 2500 * n), "each row once, and as it is")
    here.sql("SELECT drop_source('lied')")


LEAK = """
CREATE TABLE leaked (what text); GRANT ALL ON leaked TO PUBLIC;
CREATE FUNCTION leak(what text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN INSERT INTO public.leaked VALUES (what); RETURN true; END $$;
"""


def test_barrier():
    """functions of who asks see no rows of the view that he does not see"""
    here.sql(LEAK)
    ask = "TRUNCATE leaked; SET ROLE nobody; SELECT count(*) FROM source_snapshots WHERE public.leak(table_name); RESET ROLE; SELECT count(*) FROM leaked"
    tap.ok(int(here.sql("SELECT count(*) FROM source_snapshots")) > 0, "there are tables of sources")
    tap.equal(here.sql(ask), "0\n0", "nobody sees one, nor does a function of his")
    here.sql("ALTER VIEW source_snapshots RESET (security_barrier)")
    tap.ok(not here.sql(ask).endswith("\n0"), "which it would without the barrier")
    here.sql("ALTER VIEW source_snapshots SET (security_barrier)")
    tap.equal(here.sql("TRUNCATE leaked; SELECT count(*) FROM source_snapshots WHERE leak(table_name)").split("\n")[-1],
              here.sql("SELECT count(*) FROM leaked"), "who sees them may look at them as he likes")


def test_long():
    """a chunk that takes longer than the server waits for a sign of life"""
    there.sql("CREATE TABLE slow (id int PRIMARY KEY); INSERT INTO slow SELECT n FROM generate_series(1, 3000) n;"
              "ALTER SYSTEM SET wal_sender_timeout = '13s'; SELECT pg_reload_conf()")
    here.sql("SELECT create_source('slow', tables => ARRAY['slow'], topic => 'slow', snapshot => 'never', connection => '%s')" % pair.connection())
    pair.streaming("slow")
    before = there.log_text().count("due to replication timeout")
    # from 16 on resnapshot_source() itself looks into published tables, so the lock comes between two chunks
    stop.set("source.chunk_made")
    here.sql("SELECT resnapshot_source('slow', 'slow')")
    tap.ok(stop.await_("source.chunk_made"), "the first chunk is made")
    session = there.session()
    session.sql("BEGIN; LOCK TABLE slow")
    stop.release("source.chunk_made")
    time.sleep(25)
    tap.equal(here.sql("SELECT state, errors FROM tasks_status WHERE name = 'slow'"), "running|0", "the source waits")
    session.sql("COMMIT")
    session.close()
    finished("slow", "and goes on")
    tap.equal(there.log_text().count("due to replication timeout"), before, "its stream has not ended")
    here.sql("SELECT drop_source('slow')")
    there.sql("ALTER SYSTEM RESET wal_sender_timeout; SELECT pg_reload_conf()")


pg.demote()
stop = points.Points()
pair = two_servers.Pair(here=stop.settings)
here, there = pair.here, pair.there
tap.main([test_incremental, test_again, test_window, test_running, test_keys, test_readers, test_swapped, test_orders, test_given_up, test_other_key, test_lies, test_long, test_refusals,
          test_barrier])
