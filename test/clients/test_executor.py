#!/usr/bin/env python3
"""Code of users on the way of a batch into the log (triggers, constraints, indexed expressions): it runs in processes
of its own, has bounds, and holds up nobody but its own partition.
"""

import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = None

NONE, TIMED_OUT, OUT_OF_ORDER, STORAGE, INVALID_RECORD = 0, 7, 45, 56, 87
PATIENCE = 60           # seconds: "does not hang"


def request(topic, batch, timeout_ms=20000, acks=-1, partition=0):
    return {"Acks": acks, "TimeoutMs": timeout_ms, "TransactionalId": None,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": partition, "Records": batch.encode()}]}]}


def produce(topic, *records, connection=None, timeout_ms=20000, acks=-1, partition=0, **more):
    """Error, base offset and message of one batch of values."""
    batch = raw.Batch([r if isinstance(r, tuple) else (None, r) for r in records], **more)
    got = (connection or client).call("Produce", 9, request(topic, batch, timeout_ms, acks, partition))
    p = got["Responses"][0]["PartitionResponses"][0]
    return p["ErrorCode"], p["BaseOffset"], p.get("ErrorMessage")


class Later(threading.Thread):
    """A produce on a connection of its own, whose answer comes some time."""

    def __init__(self, topic, *records, **more):
        super().__init__(daemon=True)
        self.args = (topic, records, more)
        self.got = None
        self.start()

    def run(self):
        topic, records, more = self.args
        try:
            with raw.Client(server.bootstrap, timeout=PATIENCE) as other:
                self.got = produce(topic, *records, connection=other, **more)
        except (OSError, raw.ProtocolError) as problem:
            self.got = problem

    def answer(self):
        self.join(PATIENCE)
        return self.got


def values(topic):
    return server.sql("SELECT coalesce(string_agg(convert_from(value, 'UTF8'), ',' ORDER BY partition, \"offset\"), '') "
                      "FROM topics.\"%s\"" % topic)


def new_producer():
    return client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]


def fetch_values(topic, connection=None):
    got = (connection or client).call("Fetch", 11, {
        "ReplicaId": -1, "MaxWaitMs": 10000, "MinBytes": 1, "MaxBytes": 1000000, "IsolationLevel": 0, "SessionId": 0,
        "SessionEpoch": -1, "Topics": [{"Topic": topic, "Partitions": [
            {"Partition": 0, "CurrentLeaderEpoch": -1, "FetchOffset": 0, "LogStartOffset": -1,
             "PartitionMaxBytes": 1000000}]}]})
    records = got["Responses"][0]["Partitions"][0]["Records"] or b""
    return [r[3].decode() for r in raw.read_batches(records)]


def until(question, what):
    deadline = time.monotonic() + PATIENCE
    while not question():
        if time.monotonic() > deadline:
            tap.ok(False, what + ": did not come")
            return False
        time.sleep(0.02)
    return True


def executors_wait(n=1):
    return until(lambda: int(server.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic executor%' "
        "AND wait_event_type IN ('Lock', 'Timeout')")) >= n, "%d executors at work" % n)


def test_row_lock():
    """a locked row that a foreign key looks at holds up its partition, and no other client of the listener"""
    server.sql("""CREATE TABLE users (key bytea PRIMARY KEY); INSERT INTO users VALUES ('u1'), ('u2');
        SELECT create_topic('referring', 2), create_topic('free');
        ALTER TABLE topics.referring ADD FOREIGN KEY (key) REFERENCES users""")
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    waiting = Later("referring", ("u1", "waits"))
    executors_wait()
    for i in range(5):
        tap.equal(produce("free", "v%d" % i)[:2], (NONE, i), "another topic is written while the lock is held")
    tap.equal(fetch_values("free"), ["v%d" % i for i in range(5)], "and read")
    got = client.call("Produce", 9, request("referring", raw.Batch([("u2", "other partition")]), partition=1))
    tap.equal(got["Responses"][0]["PartitionResponses"][0]["ErrorCode"], NONE, "another partition with the same constraint, too")
    tap.equal(waiting.got, None, "the one that waits still does")
    tap.equal(server.sql("SELECT query FROM pg_stat_activity WHERE application_name LIKE 'pgtopic executor%' AND state = 'active'"),
              'appending a record batch to "referring#0"', "as can be seen")
    session.sql("COMMIT")
    tap.equal(waiting.answer()[:2], (NONE, 0), "until the lock is gone")
    session.close()
    tap.equal(values("referring"), "waits,other partition", "what is there")


def two_at_once():
    """Two batches, the first of which must wait, are posted while the executor that is woken for them is stopped."""
    both = {"Acks": -1, "TimeoutMs": PATIENCE * 1000, "TransactionalId": None, "TopicData": [{"Name": "pair", "PartitionData": [
        {"Index": i, "Records": raw.Batch([(key, key)]).encode()} for i, key in enumerate(("u1", "u2"))]}]}
    pid = int(server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'pgtopic executor 0'"))
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    with raw.Client(server.bootstrap, timeout=PATIENCE) as other:
        os.kill(pid, signal.SIGSTOP)
        try:
            other.send("Produce", 9, both)
            for _ in range(3):
                produce("free", "behind both")      # the listener has posted them
        finally:
            os.kill(pid, signal.SIGCONT)
        executors_wait()
        until(lambda: values("pair").count("u2") > values("pair").count("u1"), "the one that need not wait")
        session.sql("COMMIT")
        session.close()
        return [p["ErrorCode"] for p in other.receive("Produce", 9)["Responses"][0]["PartitionResponses"]]


def test_two_at_once():
    """two batches that are posted before an executor wakes are for two executors"""
    server.sql("SELECT create_topic('pair', 2); ALTER TABLE topics.pair ADD FOREIGN KEY (key) REFERENCES users")
    for _ in range(3):
        tap.equal(two_at_once(), [NONE, NONE], "one does not wait for the other")


def test_timeout():
    """past its request's timeout the producer gets an error to try again after; then the batch is there once"""
    pid = new_producer()
    more = {"producer_id": pid, "producer_epoch": 0, "base_sequence": 0}
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    before = values("referring")
    with raw.Client(server.bootstrap, timeout=PATIENCE) as other:
        tap.equal(produce("referring", ("u1", "once"), connection=other, timeout_ms=300, **more)[:2], (TIMED_OUT, -1),
                  "timed out while the lock is held")
        tap.equal(produce("referring", ("u1", "once"), connection=other, timeout_ms=300, **more)[:2], (TIMED_OUT, -1), "and again")
    tap.equal(server.sql("SELECT count(*) FROM pg_locks WHERE NOT granted"), "0", "nobody waits for the lock any more")
    session.sql("COMMIT")
    session.close()
    tap.equal(produce("referring", ("u1", "once"), **more)[0], NONE, "sent again when the lock is gone")
    tap.equal(produce("referring", ("u1", "once"), **more)[0], NONE, "and once more")
    tap.equal(values("referring"), before.replace("waits", "waits,once"), "it is there once")
    tap.matches("canceling statement due to statement timeout", server.log_text(), "the server's log tells of it")
    tap.matches('a Kafka client to "referring#0"', server.log_text(), "and names the partition")
    tap.matches("SQLSTATE is 57014", server.log_text(), "with the SQLSTATE")


def test_pipelined():
    """batches of one producer keep their order, though the first waits and the constraint goes meanwhile"""
    server.sql("""SELECT create_topic('pipelined'); ALTER TABLE topics.pipelined ADD FOREIGN KEY (key) REFERENCES users""")
    pid = new_producer()
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    with raw.Client(server.bootstrap, timeout=PATIENCE) as other:
        for i in range(5):
            other.send("Produce", 9, request("pipelined", raw.Batch(
                [("u1", "b%d" % i)], producer_id=pid, producer_epoch=0, base_sequence=i)))
        executors_wait()
        session.sql("COMMIT")
        got = [other.receive("Produce", 9)["Responses"][0]["PartitionResponses"][0] for _ in range(5)]
    session.close()
    tap.equal([(p["ErrorCode"], p["BaseOffset"]) for p in got], [(NONE, i) for i in range(5)], "all in order")
    tap.equal(values("pipelined"), "b0,b1,b2,b3,b4", "what is there")


def test_trigger_that_produces():
    """a trigger calls produce() for its own topic and for others"""
    server.sql("""SELECT create_topic('loud'), create_topic('echo');
        CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM produce('echo', 'echo of ' || convert_from(NEW.value, 'UTF8'));
            IF NEW.value = 'twice' THEN PERFORM produce('loud', 'and again'); END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER echo BEFORE INSERT ON topics.loud FOR EACH ROW EXECUTE FUNCTION echo()""")
    tap.equal(produce("loud", "a", "b")[:2], (NONE, 0), "another topic")
    tap.equal(produce("loud", "twice")[0], NONE, "the same topic")
    tap.equal(produce("loud", "c")[0], NONE, "and on")
    tap.equal(sorted(values("loud").split(",")), ["a", "and again", "b", "c", "twice"], "what is there")
    tap.equal(sorted(values("echo").split(",")), sorted("echo of " + v for v in ("a", "b", "twice", "and again", "c")), "and in the other")


def test_trigger_waits_for_a_partition():
    """a trigger's produce() into a partition that a session holds"""
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT append('echo:0', 'held')")
    waiting = Later("loud", "d")
    executors_wait()
    tap.equal(produce("free", "while it waits")[0], NONE, "another topic is written meanwhile")
    tap.equal(waiting.got, None, "the one that waits still does")
    session.sql("COMMIT")
    session.close()
    tap.equal(waiting.answer()[0], NONE, "until the partition is free")


def test_sleep_and_errors():
    """pg_sleep, errors of all kinds, settings and locks that a trigger leaves behind"""
    server.sql("""SELECT create_topic('moody');
        CREATE FUNCTION moody() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE what text := convert_from(NEW.value, 'UTF8');
        BEGIN
            IF what = 'sleep' THEN PERFORM pg_sleep(600);
            ELSIF what = 'stubborn' THEN
                BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(600); END;
            ELSIF what = 'set' THEN SET search_path = 'nowhere'; PERFORM pg_advisory_lock(4711);
            ELSIF what = 'path' THEN NEW.value = convert_to(current_setting('search_path'), 'UTF8');
            ELSIF what LIKE '_____' THEN RAISE EXCEPTION 'the trigger is moody' USING ERRCODE = what;
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER moody BEFORE INSERT ON topics.moody FOR EACH ROW EXECUTE FUNCTION moody()""")
    tap.equal(produce("moody", "sleep", timeout_ms=300)[0], TIMED_OUT, "sleep ends at the request's timeout")
    tap.equal(produce("moody", "stubborn", timeout_ms=300)[0], TIMED_OUT, "also where the trigger catches that")
    tap.equal(produce("moody", "path")[0], NONE, "and on")
    tap.equal(produce("moody", "set")[0], NONE, "a trigger that sets and locks")
    tap.equal(produce("moody", "path")[0], NONE, "and the next batch")
    tap.equal(values("moody"), 'public, pg_temp,set,public, pg_temp', "sees none of the setting, and has a path that is safe")
    tap.equal(server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0", "nor of the lock")
    expected = {"P0001": INVALID_RECORD, "23514": INVALID_RECORD, "23503": INVALID_RECORD, "22023": INVALID_RECORD,
                "42P01": INVALID_RECORD, "40001": TIMED_OUT, "40P01": TIMED_OUT, "55P03": TIMED_OUT, "57014": TIMED_OUT,
                "57P01": TIMED_OUT, "08006": TIMED_OUT, "53100": STORAGE, "53200": STORAGE, "58030": STORAGE,
                "XX001": STORAGE, "25006": 6, "53400": STORAGE, "XX000": -1}
    for state, code in expected.items():
        got = produce("moody", state)
        tap.equal((got[0], got[2]), (code, "the trigger is moody"), "SQLSTATE " + state)
        tap.ok("SQLSTATE is " + state in server.log_text(), "is in the log")


def test_errors_of_commands():
    """an event trigger's errors: what passes can be tried again, for the rest there is a reason"""
    server.sql("""CREATE TABLE next_error (state text); INSERT INTO next_error VALUES (''); GRANT SELECT ON next_error TO PUBLIC;
        CREATE FUNCTION ddl_error() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE what text := (SELECT state FROM public.next_error);
        BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = what; END $$;
        CREATE EVENT TRIGGER refuses ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION ddl_error()""")
    expected = {"40001": TIMED_OUT, "40P01": TIMED_OUT, "55P03": TIMED_OUT, "57014": TIMED_OUT, "08006": TIMED_OUT, "53100": STORAGE,
                "53200": STORAGE, "58030": STORAGE, "XX001": STORAGE, "25006": 6, "P0001": 44, "53400": 44, "22023": 42, "XX000": -1}
    for state, code in expected.items():
        server.sql("UPDATE next_error SET state = '%s'" % state)
        got = client.call("CreateTopics", 5, {"Topics": [{"Name": "never", "NumPartitions": 1, "ReplicationFactor": 1}],
                                              "timeoutMs": 10000})["Topics"][0]
        tap.equal((got["ErrorCode"], got["ErrorMessage"]), (code, "not today"), "SQLSTATE " + state)
        logged = "CreateTopics request of Kafka client \"raw\"" in server.log_text().split("SQLSTATE is " + state)[-2].split("\n")[-2] \
            if "SQLSTATE is " + state in server.log_text() else False
        tap.equal(logged, code in (TIMED_OUT, STORAGE, 6, -1), "is in the log if it is the server's")
    server.sql("DROP EVENT TRIGGER refuses")


def test_errors_of_the_coordinator():
    """committed offsets are records, too: a trigger on their topic, and what becomes of its errors"""
    def commit(offset):
        return client.call("OffsetCommit", 7, {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
            {"Name": "free", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": offset}]}]})["Topics"][0]["Partitions"][0]["ErrorCode"]

    def committed():
        return server.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'g'")

    tap.equal(commit(1), NONE, "without a trigger")
    server.sql("""CREATE FUNCTION offsets_error() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE what text := (SELECT state FROM public.next_error);
        BEGIN
            IF what <> '' THEN RAISE EXCEPTION 'not today' USING ERRCODE = what; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuses BEFORE INSERT ON topics.__consumer_offsets FOR EACH ROW EXECUTE FUNCTION offsets_error()""")
    for state, code in {"40001": 15, "57014": 15, "53100": 15, "25006": 16, "P0001": 28}.items():
        server.sql("UPDATE next_error SET state = '%s'" % state)
        tap.equal(commit(2), code, "SQLSTATE " + state)
    tap.equal(committed(), "1", "nothing has moved")
    server.sql("UPDATE next_error SET state = ''")
    tap.equal((commit(3), committed()), (NONE, "3"), "with a trigger that lets it pass")
    server.sql("DROP TRIGGER refuses ON topics.__consumer_offsets")


def test_errors_in_the_log_are_bounded():
    """a producer that only makes errors does not fill the disk"""
    before = server.log_text().count("could not append a record batch")
    begun = time.time()
    for _ in range(300):
        produce("moody", "P0001")
    time.sleep(1.1)
    produce("moody", "P0001")
    lines = server.log_text().count("could not append a record batch") - before
    tap.ok(lines <= 20 * (time.time() - begun + 2), "no more than 20 lines a second: %d" % lines)
    tap.matches("[0-9]+ more record batches of Kafka clients could not be appended", server.log_text(), "and one that counts the others")


def test_executor_timeout():
    """a batch takes no longer than pgtopic.executor_timeout, whatever its request says"""
    server.set(pgtopic__executor_timeout="400ms").reload()
    until(lambda: server.sql("SHOW pgtopic.executor_timeout") == "400ms", "the setting")
    tap.equal(produce("moody", "sleep", timeout_ms=2000000000)[0], TIMED_OUT, "cancelled")
    server.set(pgtopic__executor_timeout="30s").reload()
    until(lambda: server.sql("SHOW pgtopic.executor_timeout") == "30s", "the setting")


def test_slow_partitions():
    """partitions that keep timing out leave an executor to those that do not"""
    names = ["sleepy%d" % i for i in range(20)]
    for name in names:
        server.sql("""SELECT create_topic('%s');
            CREATE TRIGGER moody BEFORE INSERT ON topics.%s FOR EACH ROW EXECUTE FUNCTION moody()""" % (name, name))
    tap.equal([produce(name, "sleep", timeout_ms=100)[0] for name in names], [TIMED_OUT] * 20, "all have timed out")
    waiting = [Later(name, "sleep", timeout_ms=15000) for name in names]
    executors_wait()
    for i in range(3):
        tap.equal(produce("referring", ("u1", "healthy%d" % i))[0], NONE, "a healthy one has its turn")
    tap.equal([w.got for w in waiting], [None] * 20, "while all of these are still there")
    tap.equal([w.answer()[0] for w in waiting], [TIMED_OUT] * 20, "each of which times out")


def test_deadlock():
    """a deadlock with a session is an error to try again after, for one of the two"""
    server.sql("""CREATE TABLE two (i int PRIMARY KEY, n int); INSERT INTO two VALUES (1, 0), (2, 0);
        SELECT create_topic('locking');
        CREATE FUNCTION both_rows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE two SET n = n + 1 WHERE i = 1;
            PERFORM pg_advisory_xact_lock_shared(1);
            UPDATE two SET n = n + 1 WHERE i = 2;
            RETURN NEW;
        END $$;
        CREATE TRIGGER both_rows BEFORE INSERT ON topics.locking FOR EACH ROW EXECUTE FUNCTION both_rows()""")
    gate = server.session()
    gate.sql("SELECT pg_advisory_lock(1)")
    session = server.session()
    session.sql("SET deadlock_timeout = '600s'; BEGIN; UPDATE two SET n = n + 1 WHERE i = 2")
    waiting = Later("locking", "x", timeout_ms=50000)
    executors_wait()
    session.send("UPDATE two SET n = n + 1 WHERE i = 1; COMMIT")
    until(lambda: server.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "2", "the session to wait, too")
    gate.sql("SELECT pg_advisory_unlock(1)")
    tap.equal(waiting.answer()[0::2], (TIMED_OUT, "deadlock detected"), "the batch gives way")
    session.answer()
    session.close()
    gate.close()
    tap.equal(produce("locking", "x")[:2], (NONE, 0), "and is appended later")
    tap.equal(server.sql("SELECT string_agg(n::text, ',' ORDER BY i) FROM two"), "2,2", "both are there once")


def test_indexed_expression():
    """an index with an expression runs code of users, too"""
    server.sql("""SELECT create_topic('indexed');
        CREATE FUNCTION patient(b bytea) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN IF b = 'sleep' THEN PERFORM pg_sleep(600); END IF; RETURN length(b); END $$;
        CREATE INDEX ON topics.indexed (patient(value))""")
    waiting = Later("indexed", "sleep", timeout_ms=3000)
    executors_wait()
    tap.equal(produce("free", "meanwhile")[0], NONE, "another topic is written meanwhile")
    tap.equal(waiting.got, None, "the one that waits still does")
    tap.equal(waiting.answer()[0], TIMED_OUT, "and times out")
    tap.equal(produce("indexed", "awake")[:2], (NONE, 0), "and on")


def test_terminated_executor():
    """an executor that is terminated amid a batch: an error to try again after, and another one goes on"""
    waiting = Later("moody", "sleep")
    executors_wait()
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic executor%'")
    tap.equal(waiting.answer()[0], TIMED_OUT, "the batch that it had")
    tap.equal(produce("moody", "back")[0], NONE, "another executor goes on")
    waiting = Later("moody", "sleep")
    executors_wait()
    server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic executor%'")
    tap.equal(waiting.answer()[0], TIMED_OUT, "a batch that is cancelled")


def test_client_leaves():
    """a client that leaves with a batch in work; one that wants no answer"""
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    server.sql("SELECT create_topic('left'); ALTER TABLE topics.\"left\" ADD FOREIGN KEY (key) REFERENCES users")
    other = raw.Client(server.bootstrap)
    other.send("Produce", 9, request("left", raw.Batch([("u1", "left behind")])))
    executors_wait()
    other.close()
    tap.equal(produce("free", "after it has left")[0], NONE, "others go on")
    session.sql("COMMIT")
    session.close()
    tap.equal(produce("left", ("u1", "next"))[0], NONE, "and the next of its partition")
    tap.equal(values("left"), "left behind,next", "in order")
    with raw.Client(server.bootstrap) as quiet:
        quiet.send("Produce", 9, request("left", raw.Batch([("u1", "no answer")]), acks=0))
        until(lambda: values("left").endswith("no answer"), "acks=0")
        quiet.send("Produce", 9, request("left", raw.Batch([("u9", "dangling")]), acks=0))
        tap.ok(ends(quiet), "acks=0: an error ends the connection")


def ends(connection):
    connection.socket.settimeout(PATIENCE)
    try:
        return connection.socket.recv(1) == b""
    except ConnectionError:
        return True


def connects():
    """A new client; false when it is still the old listener, or none, that takes the connection."""
    global client
    try:
        client.close()
        client = raw.Client(server.bootstrap, timeout=PATIENCE)
        client.call("ApiVersions", 3, {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"})
        return True
    except OSError:
        return False


def test_listener_ends():
    """a listener that is terminated with a batch in work: the executor finishes, and the next listener goes on"""
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    waiting = Later("left", ("u1", "of the old listener"))
    executors_wait()
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic listener%'")
    tap.ok(isinstance(waiting.answer(), Exception), "its client's connection ends")
    until(connects, "a new connection")
    tap.equal(produce("free", "new listener")[0], NONE, "the next one serves")
    session.sql("COMMIT")
    session.close()
    tap.equal(produce("left", ("u1", "of the new one"))[0], NONE, "also that partition")
    tap.equal(values("left").split(",")[-2:], ["of the old listener", "of the new one"], "in order")


def test_listener_ends_with_many():
    """a listener that is terminated with all the jobs that it may have: what has not begun is not before what comes next"""
    server.sql("ALTER SYSTEM SET pgtopic.executor_timeout = '1h'")
    server.reload()
    server.sql("SELECT create_topic('crowd', 64); ALTER TABLE topics.crowd ADD FOREIGN KEY (key) REFERENCES users")
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT * FROM users WHERE key = 'u1' FOR UPDATE")
    parts = [{"Index": i, "Records": raw.Batch([("u1", "crowd")]).encode()} for i in range(64)]
    with raw.Client(server.bootstrap, timeout=PATIENCE) as other:
        other.send("Produce", 9, {"Acks": -1, "TimeoutMs": 3600000, "TransactionalId": None,
                                  "TopicData": [{"Name": "crowd", "PartitionData": parts}]})
        executors_wait(2)
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic listener%'")
        try:
            other.receive("Produce", 9)
            tap.ok(False, "its client's connection ends")
        except (OSError, raw.ProtocolError):
            tap.ok(True, "its client's connection ends")
    until(connects, "a new connection")
    tap.equal(produce("free", "new listener")[0], NONE, "the next one serves")
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic executor%'")
    tap.equal(produce("referring", ("u2", "behind the crowd"))[0], NONE, "also what takes an executor, when there is one again")
    session.sql("ROLLBACK")
    session.close()
    server.sql("ALTER SYSTEM RESET pgtopic.executor_timeout")
    server.reload()
    tap.equal(produce("crowd", ("u2", "later"), partition=0)[0], NONE, "the partitions go on")
    tap.ok(values("crowd").count("crowd") <= 2, "what had not begun is not there")


def test_killed_executor():
    """kill -9 of an executor restarts the server, and nothing is there twice"""
    pid = new_producer()
    more = {"producer_id": pid, "producer_epoch": 0, "base_sequence": 0}
    server.sql("SELECT create_topic('killed'); ALTER TABLE topics.killed ADD CHECK (value <> 'bad')")
    tap.equal(produce("killed", "a", **more)[:2], (NONE, 0), "before")
    waiting = Later("moody", "sleep")
    executors_wait()
    os.kill(server.worker_pids("pgtopic executor")[0], signal.SIGKILL)
    tap.ok(isinstance(waiting.answer(), Exception), "the connections end")
    server.wait_up()
    until(connects, "a new connection")
    tap.equal(produce("killed", "a", **more)[:2], (NONE, 0), "sent again")
    more["base_sequence"] = 1
    tap.equal(produce("killed", "b", **more)[:2], (NONE, 1), "and the next")
    tap.equal(values("killed"), "a,b", "what is there")


def test_producers_of_a_large_log():
    """what producers a large log has is found by an executor after a start, while others are served"""
    pid = new_producer()
    server.sql("SELECT create_topic('long'), create_topic('short')")

    def send(topic, sequence, **more):
        return Later(topic, "x" * 900000, producer_id=pid, producer_epoch=0, base_sequence=sequence, **more)

    for i in range(5):
        tap.equal(send("long", i).answer()[:2], (NONE, i), "0.9 MB")
    tap.equal(send("short", 0).answer()[:2], (NONE, 0), "a short log")
    server.restart()
    until(connects, "a new connection")
    executors = server.worker_pids("pgtopic executor")
    for executor in executors:
        os.kill(executor, signal.SIGSTOP)
    try:
        waiting = send("long", 4)
        until(lambda: waiting.got or server.sql("SELECT count(*) FROM clients WHERE api = 'Produce'") == "1", "the batch")
        tap.equal(send("short", 0).answer()[:2], (NONE, 0), "the short log knows a duplicate without an executor")
        tap.equal(produce("free", "meanwhile")[0], NONE, "others are served")
        tap.equal(waiting.got, None, "the long log takes an executor")
    finally:
        for executor in executors:
            os.kill(executor, signal.SIGCONT)
    tap.equal(waiting.answer()[:2], (NONE, 4), "which finds the duplicate")
    executed = server.sql("SELECT executed FROM produce_stats")
    tap.equal(send("long", 5).answer()[:2], (NONE, 5), "the next")
    tap.equal(server.sql("SELECT executed FROM produce_stats"), executed, "is the listener's again")


def test_large_and_many():
    """batches of megabytes, and of many clients at a time"""
    server.sql("""SELECT create_topic('large', 1, '{"max.message.bytes": "30000000"}');
        ALTER TABLE topics.large ADD CHECK (value <> 'bad')""")
    for i in range(3):
        tap.equal(produce("large", "x" * 8000000, "y" * i)[:2], (NONE, 2 * i), "8 MB")
    waiting = [Later("large", "n%d" % i) for i in range(40)]
    tap.equal([w.answer()[0] for w in waiting], [NONE] * 40, "40 at a time")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT \"offset\") FROM topics.large"), "46|46", "all are there")


def test_nothing_left():
    text = server.log_text()
    tap.ok("leak" not in text and "still referenced" not in text, "the server complains of nothing that was left open")


TESTS = [test_row_lock, test_timeout, test_pipelined, test_two_at_once, test_trigger_that_produces, test_trigger_waits_for_a_partition,
         test_sleep_and_errors, test_errors_of_commands, test_errors_of_the_coordinator, test_errors_in_the_log_are_bounded, test_executor_timeout, test_slow_partitions, test_deadlock,
         test_indexed_expression, test_terminated_executor, test_client_leaves, test_listener_ends, test_listener_ends_with_many, test_killed_executor, test_producers_of_a_large_log,
         test_large_and_many, test_nothing_left]


def main():
    global server, client
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.listener_workers": 1, "pgtopic.executor_workers": 2,
                                  "deadlock_timeout": "100ms"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    client = raw.Client(server.bootstrap, timeout=PATIENCE)
    tap.main(TESTS)


if __name__ == "__main__":
    main()
