#!/usr/bin/env python3
"""Kafka clients that write where SQL sessions write without end: a listener never waits for a lock, and yet
has its turn; and it leaves nobody behind who waits for it in vain.

Nothing here counts time: what is counted is the transactions of sessions that come in between.
"""

import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

SESSIONS = 8
LOOPS = 600         # transactions of each session at most
APPENDS = ["append_all_the_time(%d)" % LOOPS] * SESSIONS
BETWEEN = 400       # transactions that may go before a Kafka client; a turn needs about SESSIONS
NONE = 0

server = None


def produce(timeout_ms=60000):
    return {"Acks": -1, "TimeoutMs": timeout_ms, "TopicData": [
        {"Name": "t", "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, b"kafka")]).encode()}]}]}


def result(answer):
    return answer["Responses"][0]["PartitionResponses"][0]


def wait_for(what, question, timeout=60):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.02)
    return tap.ok(False, what)


def queued():
    """Sessions in the queue of an append lock."""
    return int(server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND objsubid = 1 AND NOT granted"))


def yielding(session):
    """Does the session let a listener go first?"""
    return server.sql("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d" % session.pid) == "Extension"


def waiting(session):
    return server.sql("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d" % session.pid) == "Lock"


def new_session(*settings):
    session = server.session()
    session.pid = int(session.sql("SELECT pg_backend_pid()"))
    for setting in settings:
        session.sql("SET " + setting)
    return session


class Busy:
    """Sessions that queue for one append lock all the time, each holding it for some ms."""

    def __init__(self, *calls):
        self.calls = calls

    def __enter__(self):
        server.sql("TRUNCATE stop")
        self.sessions = [new_session("pgtopic.produce_buffer = '64kB'") for _ in self.calls]
        for s, call in zip(self.sessions, self.calls):
            s.send("CALL " + call)
        wait_for("sessions queue for the lock", lambda: queued() >= SESSIONS - 2)
        return self

    def __exit__(self, *_):
        server.sql("INSERT INTO stop VALUES (1)")
        for s in self.sessions:
            tap.equal(s.answer(), "", "a session saw no error")
            s.close()


def test_produce():
    """a producer beside sessions that always wait for its partition"""
    with Busy(*APPENDS), raw.Client(server.bootstrap, timeout=120) as client:
        for i in range(5):
            before = int(server.sql("SELECT log_end('t:0')"))
            got = result(client.call("Produce", 9, produce()))
            tap.equal(got["ErrorCode"], NONE, "a record is taken")
            tap.ok(before <= got["BaseOffset"] <= before + BETWEEN,
                   "%d transactions of sessions came in between" % (got["BaseOffset"] - before))


def test_many_listeners():
    """producers at all listeners have their turns"""
    with Busy(*APPENDS):
        clients = [raw.Client(server.bootstrap, timeout=120) for _ in range(6)]
        for i in range(3):
            before = int(server.sql("SELECT log_end('t:0')"))
            sent = [(c, c.send("Produce", 9, produce())) for c in clients]
            got = [result(c.receive("Produce", 9, n)) for c, n in sent]
            tap.equal([g["ErrorCode"] for g in got], [NONE] * len(clients), "records are taken")
            tap.ok(max(g["BaseOffset"] for g in got) <= before + BETWEEN,
                   "%d transactions came in between" % (max(g["BaseOffset"] for g in got) - before))
        for c in clients:
            c.close()


def offsets_partition(group):
    """In which partition of __consumer_offsets the group is: Java's hash of its name."""
    h = 0
    for c in group:
        h = (h * 31 + ord(c)) & 0xFFFFFFFF
    return (h & 0x7FFFFFFF) % int(server.sql("SELECT partitions FROM topics WHERE topic = '__consumer_offsets'"))


def test_offset_commit():
    """a consumer's commit beside sessions that commit offsets in the same partition of __consumer_offsets"""
    body = {"GroupId": "kafka", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "GroupInstanceId": None, "Topics": [
        {"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 7, "CommittedMetadata": ""}]}]}
    server.sql("SELECT commit_offsets('first', 't:0', 0)")
    where = offsets_partition("kafka")
    groups = [g for g in map("sessions-{}".format, range(100)) if offsets_partition(g) == where][:SESSIONS]
    with Busy(*("commit_all_the_time('%s', %d)" % (g, LOOPS) for g in groups)), raw.Client(server.bootstrap, timeout=120) as client:
        for _ in range(5):
            before = int(server.sql("SELECT nextval('commits')"))
            answer = client.call("OffsetCommit", 8, body)
            after = int(server.sql("SELECT nextval('commits')"))
            tap.equal(answer["Topics"][0]["Partitions"][0]["ErrorCode"], NONE, "the offset is committed")
            tap.ok(after - before <= BETWEEN, "%d transactions of sessions came in between" % (after - before))


class Claimed:
    """A session holds the append lock, a producer wants it, and another session lets that one go first."""

    def __init__(self, timeout_ms=60000, deadlock_timeout="10min"):
        self.timeout_ms, self.deadlock_timeout = timeout_ms, deadlock_timeout

    def __enter__(self):
        self.holder = new_session()
        self.holder.sql("BEGIN; SELECT append('t:0', 'holder')")
        self.client = raw.Client(server.bootstrap, timeout=120)
        self.sent = self.client.send("Produce", 9, produce(self.timeout_ms))
        self.session = new_session("deadlock_timeout = '%s'" % self.deadlock_timeout)
        wait_for("a session lets the listener go first", self.comes_behind)
        return self

    def comes_behind(self):
        s = self.session
        s.sql("BEGIN; UPDATE rows SET n = n + 1 WHERE id = 1")
        s.send("SELECT append('t:0', 'session') > 0")
        wait_for("it waits, one way or the other", lambda: yielding(s) or waiting(s))
        if yielding(s):
            return True
        # it was quicker than the listener: out of the queue again
        server.sql("SELECT pg_cancel_backend(%d)" % s.pid)
        s.answer()
        s.sql("ROLLBACK")
        return False

    def __exit__(self, *_):
        for s in (self.holder, self.session, self.client):
            s.close()


def test_order():
    """whoever lets the listener go first comes behind it, and both come"""
    with Claimed() as c:
        c.holder.sql("COMMIT")
        tap.equal(result(c.client.receive("Produce", 9, c.sent))["ErrorCode"], NONE, "the record is taken")
        tap.equal(c.session.answer(), "t", "so is the session's")


def test_request_ends():
    """a request that runs out of time is not waited for"""
    with Claimed(timeout_ms=2000) as c:
        tap.ok(result(c.client.receive("Produce", 9, c.sent))["ErrorCode"] != NONE, "the producer is told no")
        tap.ok(wait_for("the session goes on", lambda: waiting(c.session)), "the session waits in the queue")
        c.holder.sql("COMMIT")
        tap.equal(c.session.answer(), "t", "and has its turn")


def test_listener_ends():
    """a listener that ends is not waited for"""
    with Claimed() as c:
        listeners = server.worker_pids("pgtopic listener")
        for pid in listeners:
            os.kill(pid, signal.SIGTERM)
        tap.ok(wait_for("the session goes on", lambda: waiting(c.session)), "the session waits in the queue")
        c.holder.sql("COMMIT")
        tap.equal(c.session.answer(), "t", "and has its turn")
    wait_for("the listeners are back", lambda: len(server.worker_pids("pgtopic listener")) == len(listeners))
    server.wait_listener()


def test_listener_stops():
    """a listener that does not come when the lock is free is not waited for"""
    listeners = server.worker_pids("pgtopic listener")
    with Claimed() as c:
        for pid in listeners:
            os.kill(pid, signal.SIGSTOP)
        try:
            c.holder.sql("COMMIT")
            tap.equal(c.session.answer(), "t", "the session has its turn")
            c.session.sql("COMMIT")
        finally:
            for pid in listeners:
                os.kill(pid, signal.SIGCONT)
        tap.equal(result(c.client.receive("Produce", 9, c.sent))["ErrorCode"], NONE, "so has the listener, later")


def test_cancel():
    """who lets a listener go first can be cancelled"""
    with Claimed() as c:
        server.sql("SELECT pg_cancel_backend(%d)" % c.session.pid)
        tap.matches("canceling statement", c.session.answer(), "the session is told")
        c.holder.sql("COMMIT")
        tap.equal(result(c.client.receive("Produce", 9, c.sent))["ErrorCode"], NONE, "the record is taken")


def test_deadlock():
    """a deadlock of two sessions, one of which lets a listener go first, is found"""
    with Claimed(deadlock_timeout="1s") as c:
        c.holder.send("UPDATE rows SET n = n + 1 WHERE id = 1")     # the other one has locked it
        answers = c.holder.answer(), c.session.answer()
        tap.equal(sum("deadlock detected" in a for a in answers), 1, "one of them is told")
        c.holder.sql("COMMIT")
        c.session.sql("COMMIT")
        tap.equal(result(c.client.receive("Produce", 9, c.sent))["ErrorCode"], NONE, "the record is taken")


def test_nothing_left():
    """the server has seen no crash"""
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "no crash")


pg.demote()
server = pg.Cluster(settings={"pgtopic.listener_workers": 3}).init().start()
server.sql("""
CREATE EXTENSION pgtopic;
SELECT create_topic('t', 1);
CREATE TABLE stop (n int);
CREATE TABLE rows (id int PRIMARY KEY, n int);
INSERT INTO rows VALUES (1, 0);
CREATE PROCEDURE append_all_the_time(loops int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. loops LOOP
        EXIT WHEN EXISTS (SELECT FROM stop);
        PERFORM append('t:0', 'session');
        PERFORM pg_sleep(0.004);
        COMMIT;
    END LOOP;
END $$;
SELECT create_topic('wide', 20);
CREATE SEQUENCE commits;
CREATE PROCEDURE commit_all_the_time(id text, loops int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. loops LOOP
        EXIT WHEN EXISTS (SELECT FROM stop);
        -- more than pgtopic.produce_buffer, so that it is appended at once, and the lock is kept
        PERFORM commit_offsets(id, partition('wide', p), 0, repeat('x', 4000)) FROM generate_series(0, 19) p;
        PERFORM nextval('commits'), pg_sleep(0.004);
        COMMIT;
    END LOOP;
END $$;
""")
server.wait_listener()
tap.main([test_produce, test_many_listeners, test_offset_commit, test_order, test_request_ends,
          test_listener_ends, test_listener_stops, test_cancel, test_deadlock, test_nothing_left])
