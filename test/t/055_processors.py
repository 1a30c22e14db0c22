#!/usr/bin/env python3
"""Processors: each record is processed exactly once, whatever is killed; as the owner and with his rights; errors stop, are
skipped or become dead letters; pauses, restarts, dumps, standbys."""

import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
ROUNDS = tap.size("PGTOPIC_ROUNDS", 6, 60)
STATUS = "SELECT state FROM tasks_status WHERE name = '%s'"

server = None


def wait_for(query, expected, what, on=None, timeout=180):
    """A check: the query's answer comes to be this."""
    good = tap.equal((on or server).wait_for(query, expected, timeout), expected, what)
    if not good:
        tap.note((on or server).sql("SELECT name, state, errors, last_error, pids FROM tasks_status"))
    return good


def wait_error(name, pattern, what):
    wait_for("SELECT state = 'failing' AND last_error ~ '%s' AND last_error_at IS NOT NULL FROM tasks_status WHERE name = '%s'"
             % (pattern, name), "t", what)


def produce(topic, *values, partition=None):
    server.sql("".join("SELECT produce('%s', '%s'%s);" % (topic, v, "" if partition is None else ", partition => %d" % partition)
                       for v in values))


def refused(query, pattern, what):
    try:
        server.sql(query)
        tap.ok(False, what)
    except pg.SqlError as problem:
        tap.matches(pattern, str(problem), what)


def test_runs():
    """records come to a table, in the order of their partition; headers, keys and nulls; several statements"""
    global server
    server = pg.Cluster(settings={"pgtopic.max_tasks": 6, "max_worker_processes": 40}).init().start()
    server.sql("""CREATE EXTENSION pgtopic; SELECT create_topic('orders', 2), create_topic('big');
                  CREATE TABLE seen (id serial, topic topic, partition int, "offset" bigint, at timestamptz, key text, value text, source text);
                  CREATE TABLE batches (n bigint)""")
    produce("orders", "before", partition=0)
    server.sql("""SELECT create_processor('copy', array['orders', 'big'],
        $$INSERT INTO seen (topic, partition, "offset", at, key, value, source)
            SELECT topic, partition, "offset", "timestamp", as_text(key), as_text(value), headers->>'source' FROM records;
          INSERT INTO batches SELECT count(*) FROM records$$)""")
    wait_for("SELECT value FROM seen", "before", "a record that was there")
    server.sql("""SELECT produce('orders', 'v', key => 'k', headers => headers('source', 'web'), partition => 1);
                  SELECT produce('orders', NULL::text, partition => 1, "timestamp" => NULL); SELECT produce('big', 'other')""")
    wait_for("SELECT topic, partition, \"offset\", at IS NULL, key, value, source FROM seen WHERE value IS DISTINCT FROM 'before' ORDER BY 1, 2, 3",
             "big|0|0|f||other|\norders|1|0|f|k|v|web\norders|1|1|f|||", "and those that come, with all columns")
    wait_for("SELECT sum(n) FROM batches", "4", "each statement has seen them")
    server.sql("SELECT produce('big', 'r' || i) FROM generate_series(1, 5000) i")
    wait_for("SELECT count(*), count(DISTINCT \"offset\") FROM seen WHERE value LIKE 'r%'", "5000|5000", "many at once")
    tap.equal(server.sql("SELECT bool_and(o) FROM (SELECT \"offset\" > lag(\"offset\") OVER (PARTITION BY topic, partition ORDER BY id) AS o FROM seen) s"),
              "t", "in order")
    tap.equal(server.sql("SELECT max(n) <= 500 FROM batches"), "t", "no batch has more than batch_records")
    wait_for("SELECT state, errors, records, lag, last_error, cardinality(pids) FROM tasks_status", "running|0|5004|0||1", "the view says so")
    tap.equal(server.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic task' AND application_name = 'pgtopic task copy'"),
              "1", "and so does the server's")
    server.sql("ALTER TABLE seen ADD COLUMN note text DEFAULT 'new'")
    produce("big", "after")
    wait_for("SELECT note FROM seen WHERE value = 'after'", "new", "a table may change meanwhile")


def test_partitions():
    """workers deal the partitions among them; new ones are picked up"""
    server.sql("""SELECT create_topic('parts', 2); CREATE TABLE part_seen (partition int, "offset" bigint, pid int, PRIMARY KEY (partition, "offset"))""")
    server.sql("""SELECT create_processor('parts', array['parts'],
        $$INSERT INTO part_seen SELECT partition, "offset", pg_backend_pid() FROM records$$, parallelism => 3)""")
    wait_for("SELECT cardinality(pids) FROM tasks_status WHERE name = 'parts'", "2", "no more workers than partitions")
    server.sql("SELECT add_partitions('parts', 4)")
    wait_for("SELECT cardinality(pids) FROM tasks_status WHERE name = 'parts'", "3", "no more than parallelism when there are more")
    for i in range(4):
        produce("parts", "x", "y", partition=i)
    wait_for("SELECT count(*), count(DISTINCT partition) FROM part_seen", "8|4", "all partitions are processed")
    # one worker is kept busy: the others go on with other partitions
    server.sql("CREATE TABLE gate (id int); SELECT alter_task('parts', jsonb_build_object('batch_records', 1, 'statement',"
               """$$INSERT INTO part_seen SELECT partition, "offset", pg_backend_pid() FROM records;
                    SELECT count(*) FROM gate, records WHERE value = 'wait' AND pg_advisory_xact_lock(7) IS NOT NULL$$))""")
    server.sql("INSERT INTO gate VALUES (1)")
    holder = server.session()
    holder.sql("SELECT pg_advisory_lock(7)")
    produce("parts", "wait", partition=0)
    wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 7", "1", "one worker stands")
    produce("parts", "behind", partition=0)
    for i in (1, 2, 3):
        produce("parts", "z", partition=i)
    wait_for("SELECT count(*) FROM part_seen WHERE \"offset\" = 2", "3", "the others go on")
    tap.equal(server.sql("SELECT count(*) FROM part_seen WHERE partition = 0"), "2", "not with its partition")
    holder.close()
    wait_for("SELECT count(*) FROM part_seen WHERE partition = 0", "4", "which goes on when it can")
    server.sql("SELECT drop_processor('parts'), drop_topic('parts')")


def test_batch_wait():
    """a batch waits for more records, up to batch_wait"""
    server.sql("""SELECT create_topic('slow'); CREATE TABLE slow_seen (n bigint);
                  SELECT create_processor('slow', array['slow'], 'INSERT INTO slow_seen SELECT count(*) FROM records',
                                          batch_records => 3, batch_wait => '1 hour')""")
    wait_for(STATUS % "slow", "running", "it runs")
    wait_for("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgtopic task slow' AND wait_event_type = 'Extension'", "1", "and waits")
    produce("slow", "1")
    produce("slow", "2")
    tap.equal(server.sql("SELECT count(*) FROM slow_seen"), "0", "it waits for a third")
    produce("slow", "3")
    wait_for("SELECT string_agg(n::text, ' ') FROM slow_seen", "3", "which makes a batch")
    produce("slow", "4")
    server.sql("SELECT alter_task('slow', '{\"batch_wait_ms\": 1}')")
    wait_for("SELECT string_agg(n::text, ' ') FROM slow_seen", "3 1", "a change ends the wait")
    server.sql("SELECT drop_processor('slow')")


def test_pause():
    """nothing is processed after a pause has committed; resumed, it goes on there; a dropped one begins anew"""
    server.sql("CREATE TABLE p_seen (value text); SELECT create_topic('p'); SELECT create_processor('p', array['p'],"
               "'INSERT INTO p_seen SELECT as_text(value) FROM records')")
    produce("p", "1")
    wait_for("SELECT count(*) FROM p_seen", "1", "it runs")
    server.sql("SELECT pause_task('p', 'a reason')")
    produce("p", "2")
    tap.equal(server.sql("SELECT state, pause_reason FROM tasks_status WHERE name = 'p'"), "paused|a reason", "paused")
    wait_for("SELECT pids FROM tasks_status WHERE name = 'p'", "{}", "its worker ends")
    tap.equal(server.sql("SELECT count(*) FROM p_seen"), "1", "and has done nothing")
    tap.equal(server.sql("SELECT lag, lag_seconds > 0 FROM tasks_status WHERE name = 'p'"), "1|t", "it lags behind")
    server.sql("SELECT resume_task('p')")
    wait_for("SELECT string_agg(value, ' ' ORDER BY value) FROM p_seen", "1 2", "resumed")
    server.restart()
    produce("p", "3")
    wait_for("SELECT string_agg(value, ' ' ORDER BY value) FROM p_seen", "1 2 3", "it comes back with the server")
    server.sql("SELECT drop_processor('p')")
    produce("p", "4")
    server.sql("SELECT create_processor('p', array['p'], 'INSERT INTO p_seen SELECT as_text(value) FROM records') FROM seek('p', 'p', 'end')")
    produce("p", "5")
    wait_for("SELECT string_agg(value, ' ' ORDER BY value) FROM p_seen", "1 2 3 5", "one that is to begin at the end")
    server.sql("BEGIN; SELECT drop_processor('p'); SELECT create_processor('p', array['p'], 'INSERT INTO p_seen SELECT as_text(value) FROM records'); COMMIT")
    wait_for("SELECT string_agg(value, ' ' ORDER BY value) FROM p_seen", "1 1 2 2 3 3 4 5 5", "one that was dropped begins anew")
    server.sql("SELECT drop_processor('p')")
    # a transaction that pauses waits for the batch, and sees what it did
    server.sql("""SELECT create_topic('held'); SELECT create_processor('held', array['held'],
        $$INSERT INTO p_seen SELECT 'held' FROM records, pg_advisory_xact_lock(8)$$)""")
    holder = server.session()
    holder.sql("SELECT pg_advisory_lock(8)")
    produce("held", "1")
    wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 8", "1", "a batch stands")
    pauser = server.session()
    pauser.send("SELECT pause_task('held'), (SELECT count(*) FROM p_seen WHERE value = 'held')")
    wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objsubid = 5", "1", "who pauses waits for it")
    holder.close()
    pauser.answer()
    pauser.close()
    tap.equal(server.sql("SELECT count(*) FROM p_seen WHERE value = 'held'"), "1", "and the batch is done")
    # it does not wait for one that does not end
    holder = server.session()
    holder.sql("SELECT pg_advisory_lock(8)")
    server.sql("SELECT resume_task('held')")
    produce("held", "2")
    wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 8", "1", "a batch stands")
    server.sql("SET statement_timeout = '60s'; SELECT pause_task('held')")
    tap.equal(server.sql("SELECT count(*) FROM p_seen WHERE value = 'held'"), "1", "a batch that does not end is undone")
    tap.equal(server.sql("SELECT state, errors FROM tasks_status WHERE name = 'held'"), "paused|0", "which is no error")
    holder.close()
    server.sql("SELECT drop_processor('held')")
    # nor is it the launcher's promptness that keeps it
    server.sql("SELECT create_processor('alone', array['held'], 'INSERT INTO p_seen SELECT ''alone'' FROM records') FROM seek('alone', 'held', 'end')")
    produce("held", "3")
    wait_for("SELECT count(*) FROM p_seen WHERE value = 'alone'", "1", "it runs")
    launcher = server.worker_pids("pgtopic task launcher")[0]
    os.kill(launcher, signal.SIGSTOP)
    try:
        server.sql("SELECT pause_task('alone')")
        produce("held", "4")
        wait_for("SELECT pids FROM tasks_status WHERE name = 'alone'", "{}", "a worker that nobody tells ends at its next batch")
        tap.equal(server.sql("SELECT count(*) FROM p_seen WHERE value = 'alone'"), "1", "and has not begun it")
    finally:
        os.kill(launcher, signal.SIGCONT)
    server.sql("SELECT drop_processor('alone')")


def test_turns():
    """topics take turns: one that has many records does not hold up the next"""
    server.sql("SELECT create_topic('much'), create_topic('little'); CREATE TABLE turns_seen (nr serial, topic topic);"
               "SELECT produce('much', i::text) FROM generate_series(1, 500) i; SELECT produce('little', 'x');"
               "SELECT create_processor('turns', array['much', 'little'], 'INSERT INTO turns_seen (topic) SELECT topic FROM records', batch_records => 50)")
    wait_for("SELECT count(*) FROM turns_seen", "501", "all are processed")
    tap.equal(server.sql("SELECT nr <= 101 FROM turns_seen WHERE topic = 'little'"), "t", "the other topic's record comes after a batch")
    server.sql("SELECT drop_processor('turns'), drop_topic('much'), drop_topic('little')")


def test_errors_stop():
    """an error holds up the processor, is seen, and is tried again"""
    server.sql("""SELECT create_topic('stop'); CREATE TABLE stop_seen (n int CHECK (n < 100));
                  SELECT create_processor('stop', array['stop'], 'INSERT INTO stop_seen SELECT as_text(value)::int FROM records', batch_records => 1)""")
    produce("stop", "1", "none", "2")
    wait_error("stop", "invalid input syntax for type integer: \"none\"", "the error is in the view")
    wait_for("SELECT errors > 1 FROM tasks_status WHERE name = 'stop'", "t", "it is tried again")
    tap.equal(server.sql("SELECT string_agg(n::text, ' ') FROM stop_seen"), "1", "what was before is done, what is behind is not")
    tap.matches(r"pgtopic task ERROR:  invalid input syntax for type integer: .none.", server.log_text(), "and in the server's log")
    server.sql("SELECT alter_task('stop', '{\"statement\": \"INSERT INTO stop_seen SELECT as_text(value)::int FROM records WHERE as_text(value) <> ''none''\"}')")
    wait_for("SELECT string_agg(n::text, ' ') FROM stop_seen", "1 2", "another statement gets on")
    wait_for(STATUS % "stop", "running", "and runs")
    server.sql("DROP TABLE stop_seen")
    produce("stop", "3")
    wait_error("stop", "relation \"stop_seen\" does not exist", "a table that is gone")
    server.sql("CREATE TABLE stop_seen (n int); SELECT resume_task('stop')")
    wait_for("SELECT string_agg(n::text, ' ') FROM stop_seen", "3", "one that is there again")
    server.sql("SELECT drop_topic('stop')")
    wait_error("stop", "topic \"stop\" does not exist", "a topic that is dropped beneath")
    server.sql("SELECT create_topic('stop')")
    produce("stop", "4")
    wait_for("SELECT string_agg(n::text, ' ') FROM stop_seen", "3 4", "one that is created again, from its start")
    for statement, pattern in (("COMMIT", "cannot run this statement"), ("COPY stop_seen TO STDOUT", "cannot run this statement"),
                               ("DO 'BEGIN COMMIT; END'", "invalid transaction termination")):
        server.sql("SELECT alter_task('stop', jsonb_build_object('statement', $$%s$$))" % statement)
        produce("stop", "5")
        wait_error("stop", pattern, "a statement that cannot be run: " + statement)
    server.sql("SELECT drop_processor('stop')")


def test_skip():
    """records over which the statement fails are skipped, and no others"""
    server.sql("""SELECT create_topic('skip', 2); CREATE TABLE skip_seen (n int PRIMARY KEY, up int REFERENCES skip_seen DEFERRABLE INITIALLY DEFERRED);
                  SELECT create_processor('skip', array['skip'],
                      'INSERT INTO skip_seen SELECT (value->>''n'')::int, (value->>''up'')::int FROM records', on_error => 'skip');
                  SELECT pause_task('skip')""")
    good = [i for i in range(60) if i not in (0, 7, 8, 31, 59)]
    for i in range(60):
        value = '{"n": %d, "up": %s}' % (i, "null" if i % 3 else i)
        if i in (0, 7, 59):
            value = "no json"
        elif i == 8:
            value = '{"n": "x"}'
        elif i == 31:
            value = '{"n": 31, "up": 1000}'      # fails when it is deferred no longer
        produce("skip", value, partition=i % 2)
    server.sql("SELECT resume_task('skip')")
    wait_for("SELECT count(*) FROM skip_seen", str(len(good)), "all good ones are there")
    tap.equal(server.sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM skip_seen"), " ".join(map(str, good)), "and only these")
    wait_for("SELECT state, errors, skipped, lag FROM tasks_status WHERE name = 'skip'", "running|0|5|0", "the view counts them")
    tap.matches(r'task "skip" passes over offset 0 of "skip:0": ', server.log_text(), "and the log has them")
    # what is not about records skips none
    server.sql("ALTER TABLE skip_seen RENAME TO elsewhere")
    produce("skip", '{"n": 100}')
    wait_error("skip", "relation \"skip_seen\" does not exist", "a table that is gone is no reason to skip")
    server.sql("ALTER TABLE elsewhere RENAME TO skip_seen; SELECT resume_task('skip')")
    wait_for("SELECT count(*) FROM skip_seen WHERE n = 100", "1", "the record comes when it is there again")
    server.sql("SELECT drop_processor('skip')")
    # a constraint that is checked with each part is deferred again for the next one
    server.sql("""CREATE TABLE parents (n int PRIMARY KEY); CREATE TABLE children (n int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
                  SELECT create_topic('family'); SELECT produce('family', v) FROM unnest('{1,x,3,4}'::text[]) v;
                  SELECT create_processor('family', array['family'], on_error => 'skip', statement => $$
                      INSERT INTO children SELECT as_text(value)::int FROM records; INSERT INTO parents SELECT as_text(value)::int FROM records$$)""")
    wait_for("SELECT lag, skipped FROM tasks_status WHERE name = 'family'", "0|1", "one is skipped")
    tap.equal(server.sql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM parents"), "1 3 4", "children may come before their parents in each part")
    server.sql("SELECT drop_processor('family')")


def test_dead_letters():
    """they have the record and what went wrong; in the transaction of the batch"""
    server.sql("""SELECT create_topic('alive'), create_topic('dead'); CREATE TABLE alive_seen (n int);
                  SELECT create_processor('alive', array['alive'], 'INSERT INTO alive_seen SELECT as_text(value)::int FROM records', on_error => 'dead');
                  BEGIN; SELECT produce('alive', '1'); SELECT produce('alive', 'two', key => 'k', headers => headers('a', 'b', 'offset', 'mine'));
                  SELECT produce('alive', '3'); SELECT produce('alive', 'four'); COMMIT""")
    wait_for("SELECT string_agg(n::text, ' ' ORDER BY n) FROM alive_seen", "1 3", "the good ones")
    wait_for("""SELECT as_text(key), as_text(value), headers->>'a', headers->>'error', headers->>'sqlstate', headers->>'task', headers->>'topic',
                       headers->>'partition', headers->>'offset' FROM topics.dead ORDER BY "offset" """,
             'k|two|b|invalid input syntax for type integer: "two"|22P02|alive|alive|0|1\n'
             '|four||invalid input syntax for type integer: "four"|22P02|alive|alive|0|3', "the dead ones")
    server.sql("SELECT drop_topic('dead')")
    server.sql("BEGIN; SELECT produce('alive', '5'), produce('alive', 'six'), produce('alive', '7'); COMMIT")   # one batch
    wait_error("alive", 'topic "dead" does not exist', "without their topic it stops")
    tap.equal(server.sql("SELECT count(*) FROM alive_seen"), "2", "and has done nothing")
    server.sql("SELECT create_topic('dead'), resume_task('alive')")
    wait_for("SELECT string_agg(n::text, ' ' ORDER BY n), (SELECT count(*) FROM topics.dead) FROM alive_seen", "1 3 5 7|1", "with it, it goes on")
    server.sql("SELECT drop_processor('alive')")


def test_owner():
    """it runs as its owner: with his rights, and no way to others"""
    server.sql("""CREATE ROLE plain LOGIN; CREATE ROLE boss SUPERUSER; SELECT create_topic('mine'); GRANT SELECT ON topics.mine TO plain;
                  CREATE TABLE his (who text); CREATE TABLE secret (who text);
                  SET SESSION AUTHORIZATION plain;
                  SELECT create_processor('mine', array['mine'], 'INSERT INTO his SELECT current_user || '' '' || session_user FROM records')""")
    produce("mine", "1")
    wait_error("mine", "permission denied for table his", "what he may not do fails")
    server.sql("GRANT INSERT ON his TO plain; SELECT resume_task('mine')")
    wait_for("SELECT who FROM his", "plain plain", "what he may do is done as him")
    for statement, pattern in (("RESET ROLE; RESET SESSION AUTHORIZATION; INSERT INTO secret SELECT current_user FROM records", "permission denied for table secret"),
                               ("SET ROLE boss; INSERT INTO secret SELECT current_user FROM records", "permission denied to set role"),
                               ("SET SESSION AUTHORIZATION boss", "permission denied to set session authorization")):
        server.sql("SELECT alter_task('mine', jsonb_build_object('statement', $$%s$$))" % statement)
        produce("mine", "2")
        wait_error("mine", pattern, "no way to more: " + statement)
    tap.equal(server.sql("SELECT count(*) FROM secret"), "0", "nothing came there")
    server.sql("SELECT alter_task('mine', '{\"statement\": \"SELECT 1\"}'); REVOKE SELECT ON topics.mine FROM plain")
    wait_error("mine", "permission denied for table mine", "without SELECT on the topic it stops")
    server.sql("GRANT SELECT ON topics.mine TO plain; ALTER ROLE plain NOLOGIN; SELECT pg_terminate_backend(unnest(pids)) FROM tasks_status WHERE name = 'mine'")
    wait_error("mine", "role \"plain\" is not permitted to log in", "without LOGIN there is no worker")
    server.sql("ALTER ROLE plain LOGIN; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; SELECT resume_task('mine')")
    server.sql("SELECT pg_terminate_backend(unnest(pids)) FROM tasks_status WHERE name = 'mine'")
    wait_error("mine", "permission denied for database \"postgres\"", "nor without CONNECT")
    server.sql("GRANT CONNECT ON DATABASE postgres TO PUBLIC; SELECT resume_task('mine')")
    wait_for(STATUS % "mine", "running", "with both there is")
    server.sql("ALTER ROLE plain RENAME TO simple")
    wait_for("SELECT state, pids, pause_reason ~ 'its owner' FROM tasks_status WHERE name = 'mine'", "paused|{}|t", "it has its owner by name")
    server.sql("SELECT alter_task_owner('mine', 'simple')")
    tap.equal(server.sql(STATUS % "mine"), "paused", "and may get the new one")
    server.sql("SELECT resume_task('mine')")
    wait_for(STATUS % "mine", "running", "as which it runs")
    server.sql("CREATE ROLE heir LOGIN; GRANT SELECT ON topics.mine TO heir; GRANT INSERT ON his TO heir; TRUNCATE his")
    server.sql("SELECT alter_task('mine', '{\"statement\": \"INSERT INTO his SELECT current_user || '' '' || session_user FROM records\"}')")
    produce("mine", "4")
    wait_for("SELECT string_agg(DISTINCT who, ', ' ORDER BY who DESC) FROM his", "simple simple", "it works as that")
    server.sql("SELECT alter_task_owner('mine', 'heir')")
    produce("mine", "5")
    wait_for("SELECT string_agg(DISTINCT who, ', ' ORDER BY who DESC) FROM his", "simple simple, heir heir", "when it has another owner, nothing is done in the session of the old one")
    server.sql("SELECT drop_processor('mine')")


def test_room():
    """more tasks than workers: those that are too many wait; each has one worker before another has two"""
    server.sql("SELECT create_topic('many', 10); CREATE TABLE many_seen (task text, n bigint)")
    server.sql("SELECT create_processor('m0', array['many'], $$INSERT INTO many_seen SELECT 'm0', count(*) FROM records$$, parallelism => 10)")
    wait_for("SELECT cardinality(pids) FROM tasks_status WHERE name = 'm0'", "5", "one takes what is left")
    for i in range(1, 7):
        server.sql("SELECT create_processor('m%d', array['many'], $$INSERT INTO many_seen SELECT 'm%d', count(*) FROM records$$)" % (i, i))
    wait_for("SELECT string_agg(name || cardinality(pids)::text, ' ' ORDER BY name) FROM tasks_status WHERE name LIKE 'm%'",
             "m01 m11 m21 m31 m41 m50 m60", "it gives them back to others")
    tap.equal(server.sql("SELECT string_agg(DISTINCT state, ' ') FROM tasks_status WHERE name IN ('m5', 'm6')"), "waiting for a worker", "who wait, and it is said")
    server.sql("SELECT drop_processor('m0'), drop_processor('m1')")
    wait_for("SELECT string_agg(name || cardinality(pids)::text, ' ' ORDER BY name) FROM tasks_status WHERE name LIKE 'm%'",
             "m21 m31 m41 m51 m61", "when there is room, they run")
    server.sql("SELECT drop_processor(name) FROM tasks_status WHERE name LIKE 'm%'")


class Producer(threading.Thread):
    """Produces numbered records in small transactions; remembers what was committed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = []
        self.number = 0
        self.end = threading.Event()

    def run(self):
        while not self.end.is_set():
            first, self.number = self.number, self.number + 20
            try:
                server.sql("SELECT produce('events', (first + i)::text, partition => i %% 4) FROM generate_series(0, 19) i, (SELECT %d AS first) f" % first)
                self.done.append(first)
            except pg.SqlError:
                time.sleep(0.05)


def kill_something(what):
    """A worker of the task, its launcher, any backend of the server, or the postmaster."""
    if what == "postmaster":
        server.kill9()
        server.start()
        return
    pids = server.worker_pids({"worker": "pgtopic task events", "launcher": "pgtopic task launcher"}[what])
    if pids:
        os.kill(random.choice(pids), signal.SIGTERM if random.random() < 0.3 else signal.SIGKILL)
    server.wait_up()


def test_kill():
    """kill -9 at any moment: a table, an aggregate and another topic have each record exactly once"""
    tap.note("seed %d" % SEED)
    random.seed(SEED)
    server.sql("""SELECT create_topic('events', 4), create_topic('passed', 2);
                  CREATE TABLE e_seen (partition int, "offset" bigint, n bigint);
                  CREATE TABLE e_sum (partition int PRIMARY KEY, records bigint, total bigint);
                  SELECT create_processor('events', array['events'], $$
                      INSERT INTO e_seen SELECT partition, "offset", as_text(value)::bigint FROM records;
                      INSERT INTO e_sum SELECT partition, count(*), sum(as_text(value)::bigint) FROM records GROUP BY 1
                          ON CONFLICT (partition) DO UPDATE SET records = e_sum.records + excluded.records, total = e_sum.total + excluded.total;
                      SELECT produce('passed', value, partition => partition / 2) FROM records ORDER BY partition, "offset"$$,
                      parallelism => 3, batch_records => 50)""")
    producer = Producer()
    producer.start()
    for i in range(ROUNDS):
        time.sleep(random.random())
        what = random.choice(["worker", "worker", "launcher", "postmaster"])
        before = len(producer.done)
        kill_something(what)
        deadline = time.monotonic() + 120
        while len(producer.done) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        tap.ok(len(producer.done) > before, "round %d: %s" % (i, what))
    producer.end.set()
    producer.join(120)
    count = server.sql("SELECT count(*) FROM topics.events")
    wait_for("SELECT count(*) FROM e_seen", count, "all are processed")
    model = "SELECT partition, \"offset\", as_text(value)::bigint FROM topics.events ORDER BY 1, 2"
    tap.equal(server.rows("SELECT * FROM e_seen ORDER BY 1, 2") == server.rows(model), True, "each exactly once, in the table")
    tap.equal(server.sql("SELECT * FROM e_sum ORDER BY 1"),
              server.sql("SELECT partition, count(*), sum(as_text(value)::bigint) FROM topics.events GROUP BY 1 ORDER BY 1"), "in the aggregate")
    tap.equal(server.sql("SELECT md5(string_agg(as_text(value), ' ' ORDER BY as_text(value)::bigint)), count(*) FROM topics.passed"),
              server.sql("SELECT md5(string_agg(as_text(value), ' ' ORDER BY as_text(value)::bigint)), count(*) FROM topics.events"), "in the other topic")
    tap.equal(server.sql("SELECT count(*) FROM topics.events WHERE as_text(value)::bigint / 20 * 20 = ANY ('{%s}')" % ",".join(map(str, producer.done))),
              str(20 * len(producer.done)), "and none that was committed is missing")
    server.sql("SELECT drop_processor('events')")


def test_dump():
    """a dump brings definitions back, paused; resumed, they go on where they were"""
    server.sql("""SELECT create_topic('d'); CREATE TABLE d_seen (value text);
                  SELECT create_processor('d', array['d'], 'INSERT INTO d_seen SELECT as_text(value) FROM records')""")
    produce("d", "1")
    wait_for("SELECT string_agg(value, ' ') FROM d_seen", "1", "it runs")
    server.sql("SELECT pause_task('d')")
    produce("d", "2")
    server.sql("UPDATE task_definitions SET paused = false WHERE name = 'd'; SELECT pause_task(name) FROM tasks_status WHERE name <> 'd'")
    wait_for("SELECT string_agg(value, ' ') FROM d_seen", "1 2", "a row that is changed by hand counts, too")
    dump = server.run("pg_dumpall", "--roles-only").stdout + server.run("pg_dump").stdout
    produce("d", "3")
    target = pg.Cluster("target").init().start()
    target.run("psql", "-Xq", "-f", "-", input=dump)
    tap.equal(target.sql("SELECT state, pause_reason ~ 'resume_task' FROM tasks_status WHERE name = 'd'"), "paused|t", "it comes back paused, with a hint")
    target.sql("SELECT produce('d', 'new')")
    target.sql("SELECT resume_task('d')")
    wait_for("SELECT string_agg(value, ' ') FROM d_seen", "1 2 new", "and goes on there", on=target)
    tap.equal(target.sql("SELECT state FROM tasks_status WHERE name = 'd'"), "running", "when it is told to")
    target.stop()


def test_standby():
    """a standby runs none; promoted, it does"""
    standby = server.standby(settings={"pgtopic.max_tasks": 6}).start()
    server.wait_caught_up(standby)
    tap.equal(standby.sql("SELECT state, pids FROM tasks_status WHERE name = 'd'"), "waiting for a worker|{}", "a standby runs none")
    tap.equal(standby.worker_pids("pgtopic task"), [], "nor has it a launcher")
    server.stop("immediate")
    standby.promote()
    standby.sql("SELECT produce('d', 'promoted')")
    wait_for("SELECT count(*) FROM d_seen WHERE value = 'promoted'", "1", "promoted, it does", on=standby)
    standby.stop()


pg.demote()
tap.main([test_runs, test_partitions, test_batch_wait, test_pause, test_turns, test_errors_stop, test_skip, test_dead_letters, test_owner, test_room,
          test_kill, test_dump, test_standby])
