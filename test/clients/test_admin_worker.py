#!/usr/bin/env python3
"""Administration beside groups: whatever it waits for or does, heartbeats, commits and other clients' metadata go on,
and no member is expelled for what the server did.
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

SERVER_ERROR, NONE, UNKNOWN_TOPIC, TIMED_OUT, NOT_CONTROLLER, POLICY_VIOLATION = -1, 0, 3, 7, 41, 44
SESSION_MS = 6000
PARTITIONS = 3000

server = None


def connect(**more):
    return raw.Client(server.bootstrap, **more)


def create(name, partitions=1):
    return {"Topics": [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}], "timeoutMs": 120000}


def metadata(name):
    return {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False}


def code(answer):
    return answer["Topics"][0]["ErrorCode"]


def wait_until_busy():
    """Until the administration worker is at a request of ours."""
    deadline = time.monotonic() + 60
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic admin' AND state = 'active' "
                     "AND query LIKE 'CreateTopics of raw%'") == "0" and time.monotonic() < deadline:
        time.sleep(0.05)


class Member:
    """The only member of a group."""

    def __init__(self, group, session_ms=SESSION_MS):
        self.client = connect(timeout=60)
        self.group = group
        ask = {"GroupId": group, "SessionTimeoutMs": session_ms, "RebalanceTimeoutMs": 60000, "MemberId": "",
               "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"\0\0\0\0\0\0\0\0\0\0"}]}
        ask["MemberId"] = self.client.call("JoinGroup", 5, ask)["MemberId"]
        joined = self.client.call("JoinGroup", 5, ask)
        assert joined["ErrorCode"] == NONE, joined
        self.me = {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": ask["MemberId"]}
        self.client.call("SyncGroup", 1, dict(self.me, Assignments=[{"MemberId": ask["MemberId"], "Assignment": b"mine"}]))

    def heartbeat(self):
        return self.client.call("Heartbeat", 1, self.me)["ErrorCode"]

    def commit(self, offset):
        ask = {"GroupId": self.group, "GenerationIdOrMemberEpoch": self.me["GenerationId"], "MemberId": self.me["MemberId"],
               "Topics": [{"Name": "read", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": offset}]}]}
        return self.client.call("OffsetCommit", 2, ask)["Topics"][0]["Partitions"][0]["ErrorCode"]


class Beating(threading.Thread):
    """Sends heartbeats and commits until told to stop; what went wrong, and the slowest."""

    def __init__(self, member):
        super().__init__(daemon=True)
        self.member = member
        self.errors = []
        self.slowest = {"heartbeat": 0, "commit": 0}
        self.done = 0
        self.end = threading.Event()

    def ask(self, what, *more):
        start = time.monotonic()
        error = getattr(self.member, what)(*more)
        self.slowest[what] = max(self.slowest[what], time.monotonic() - start)
        if error != NONE:
            self.errors.append((what, error))

    def run(self):
        try:
            while not self.end.wait(0.2):
                self.ask("heartbeat")
                self.ask("commit", self.done)
                self.done += 1
        except Exception as problem:    # pylint: disable=broad-except
            self.errors.append(problem)

    def finish(self, what):
        self.end.set()
        self.join(60)
        tap.equal(self.errors[:3], [], "%s: the member was never expelled" % what)
        tap.note("%s: %d heartbeats and commits; slowest heartbeat %.2f s, commit %.2f s"
                 % (what, self.done, self.slowest["heartbeat"], self.slowest["commit"]))


def test_offsets_topic():
    """the first commit of all makes __consumer_offsets, for which it goes through two workers"""
    with connect() as c:
        c.call("CreateTopics", 2, create("read"))
    tap.equal(server.sql("SELECT count(*) FROM topics WHERE internal"), "0", "there are no committed offsets yet")
    member = Member("first")
    tap.equal(member.commit(7), NONE, "a member commits")
    tap.equal(server.sql("SELECT \"offset\" FROM group_lag WHERE group_id = 'first'"), "7", "its commit is there")
    tap.equal(member.heartbeat(), NONE, "and it is still a member")


def test_trigger():
    """an event trigger that takes its time"""
    server.sql("""CREATE TABLE public.gate (open bool); GRANT ALL ON public.gate TO PUBLIC;
        CREATE FUNCTION public.wait_for_gate() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public, pg_catalog AS
        $$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$;
        CREATE EVENT TRIGGER waits ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.wait_for_gate()""")
    member = Member("beside")
    with connect() as slow, connect() as other, connect() as third:
        slow.send("CreateTopics", 2, create("slow"))
        slow.send("Metadata", 4, metadata("slow"))
        wait_until_busy()
        third.send("CreateTopics", 2, create("behind"))
        tap.equal([member.heartbeat(), member.commit(1), member.heartbeat()], [NONE] * 3, "heartbeats and commits go on")
        tap.equal([code(other.call("Metadata", 4, metadata(n))) for n in ("read", "slow")], [NONE, UNKNOWN_TOPIC],
                  "others' metadata is answered")
        server.sql("INSERT INTO public.gate VALUES (true)")
        tap.equal([code(slow.receive("CreateTopics", 2)), code(slow.receive("Metadata", 4)), code(third.receive("CreateTopics", 2))],
                  [NONE] * 3, "then the topics are created, in the order of the requests")
    server.sql("DROP EVENT TRIGGER waits")


def test_crash():
    """the administration worker ends amid a request: its client is told to try again, nothing is half there"""
    server.sql("TRUNCATE public.gate; CREATE EVENT TRIGGER waits ON ddl_command_start WHEN TAG IN ('CREATE INDEX') "
               "EXECUTE FUNCTION public.wait_for_gate()")
    member = Member("survivor")
    with connect() as c:
        c.send("CreateTopics", 2, create("half"))
        wait_until_busy()
        os.kill(server.worker_pids("pgtopic admin")[0], signal.SIGTERM)
        tap.equal(code(c.receive("CreateTopics", 2)), NOT_CONTROLLER, "the client is told to try again")
        tap.equal(member.heartbeat(), NONE, "groups do not notice")
        server.sql("INSERT INTO public.gate VALUES (true)")
        tap.equal(code(c.call("CreateTopics", 2, create("half"))), NONE, "trying again works, by the same connection")
    server.sql("DROP EVENT TRIGGER waits")


def test_users_code():
    """event triggers find their objects by the usual search path; their errors are told apart from ours"""
    server.sql("""CREATE TABLE public.audit (what text UNIQUE); GRANT ALL ON public.audit TO PUBLIC;
        CREATE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO audit VALUES (tg_tag || clock_timestamp()); END $$;
        CREATE EVENT TRIGGER audits ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.log_ddl();
        CREATE EVENT TRIGGER audits_drops ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.log_ddl()""")
    delete = {"TopicNames": ["audited"], "TimeoutMs": 20000}
    with connect() as c:
        def creating():
            answer = c.call("CreateTopics", 2, create("audited"))["Topics"][0]
            return answer["ErrorCode"], answer["ErrorMessage"]

        def deleting():
            return c.call("DeleteTopics", 1, delete)["Responses"][0]["ErrorCode"]

        tap.equal([creating()[0], deleting()], [NONE, NONE], "a trigger with unqualified names works")
        server.sql("ALTER TABLE public.audit RENAME TO audit2")
        tap.equal(creating(), (SERVER_ERROR, 'relation "audit" does not exist'), "what it does not find is no unknown topic")
        server.sql("ALTER TABLE public.audit2 RENAME TO audit; ALTER TABLE public.audit ALTER what SET DEFAULT 'x'; "
                   "CREATE OR REPLACE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
                   "$$ BEGIN INSERT INTO audit DEFAULT VALUES; END $$")
        tap.equal(creating()[0], SERVER_ERROR, "what it finds twice is no topic that exists")
        server.sql("CREATE OR REPLACE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
                   "$$ BEGIN RAISE EXCEPTION 'not on Sundays'; END $$")
        tap.equal(creating(), (POLICY_VIOLATION, "not on Sundays"), "what it forbids is its policy")
        server.sql("ALTER EVENT TRIGGER audits DISABLE")
        tap.equal([creating()[0], deleting()], [NONE, POLICY_VIOLATION], "also for deleting")
        server.sql("DROP EVENT TRIGGER audits; DROP EVENT TRIGGER audits_drops")
        tap.equal(deleting(), NONE, "without it all is well")


def test_depends():
    """a topic that something depends on: the error says what"""
    server.sql("SELECT create_topic('needed'); CREATE VIEW public.needs AS SELECT value FROM topics.needed")
    with connect() as c:
        answer = c.call("DeleteTopics", 5, {"TopicNames": ["needed"], "TimeoutMs": 20000})["Responses"][0]
        tap.equal(answer["ErrorCode"], POLICY_VIOLATION, "it is not deleted")
        tap.matches("view needs depends on table topics.needed", answer["ErrorMessage"], "for a view")
        server.sql("DROP VIEW public.needs")
        tap.equal(c.call("DeleteTopics", 5, {"TopicNames": ["needed"], "TimeoutMs": 20000})["Responses"][0]["ErrorCode"], NONE,
                  "without it, it is")


def test_locked():
    """a topic that somebody holds locked"""
    member = Member("locked")
    session = server.session()
    session.sql("BEGIN; LOCK TABLE topics.slow")
    with connect() as c:
        c.send("DeleteTopics", 1, {"TopicNames": ["slow"], "TimeoutMs": 20000})
        tap.equal([member.heartbeat(), member.commit(2)], [NONE] * 2, "heartbeats and commits go on")
        tap.equal(c.receive("DeleteTopics", 1)["Responses"][0]["ErrorCode"], TIMED_OUT, "it is not deleted")
        session.sql("COMMIT")
        tap.equal(c.call("DeleteTopics", 1, {"TopicNames": ["slow"], "TimeoutMs": 20000})["Responses"][0]["ErrorCode"], NONE,
                  "afterwards it is")
    session.close()


def test_configs_locked():
    """the table of groups' configs is locked when the control worker begins to read it"""
    session = server.session()
    session.sql("BEGIN; LOCK TABLE group_configs")
    pid = server.worker_pids("pgtopic control")[0]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while server.worker_pids("pgtopic control") in ([], [pid]) and time.monotonic() < deadline:
        time.sleep(0.1)
    member = Member("unconfigured")
    tap.equal(member.heartbeat(), NONE, "members come and stay")
    session.sql("COMMIT")
    session.close()


def test_many():
    """many partitions are created, added and deleted beside a group with short sessions"""
    beating = Beating(Member("many"))
    beating.start()
    with connect(timeout=300) as c:
        start = time.monotonic()
        tap.equal(code(c.call("CreateTopics", 2, create("many", PARTITIONS))), NONE, "a topic with %d partitions is created" % PARTITIONS)
        created = time.monotonic()
        answer = c.call("DeleteTopics", 1, {"TopicNames": ["many"], "TimeoutMs": 120000})
        tap.equal(answer["Responses"][0]["ErrorCode"], NONE, "and deleted")
        tap.note("creating took %.1f s, deleting %.1f s" % (created - start, time.monotonic() - created))
    beating.finish("beside that")


def unfinished():
    return server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'pieces%'")


def test_pieces():
    """a topic that is made or deleted in pieces is never half there, whatever happens on the way"""
    n = 600
    server.sql("""CREATE TABLE public.stop_at (leaf text); GRANT ALL ON public.stop_at TO PUBLIC;
        CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN
            IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() JOIN stop_at ON object_identity LIKE '%' || leaf || '%') THEN
                RAISE EXCEPTION 'stopped';
            END IF;
        END $$;
        CREATE EVENT TRIGGER stops ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.stop();
        INSERT INTO stop_at VALUES ('pieces#500')""")
    with connect(timeout=120) as c:
        tap.equal(code(c.call("CreateTopics", 2, create("pieces", n))), POLICY_VIOLATION, "an error in the last piece")
        tap.equal(unfinished(), "0", "takes all others back")
        server.sql("DELETE FROM public.stop_at")
        server.sql("CREATE OR REPLACE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "WHILE EXISTS (SELECT FROM pg_event_trigger_ddl_commands() JOIN stop_at ON object_identity LIKE '%' || leaf || '%') "
                   "LOOP PERFORM pg_sleep(0.05); END LOOP; END $$; INSERT INTO public.stop_at VALUES ('pieces#300')")
        c.send("CreateTopics", 2, create("pieces", n))
        wait_until_busy()
        deadline = time.monotonic() + 60
        while int(unfinished()) < 250 and time.monotonic() < deadline:
            time.sleep(0.1)
        with connect() as other:
            tap.equal(code(other.call("Metadata", 4, metadata("pieces"))), UNKNOWN_TOPIC, "while it is made, there is no such topic")
        tap.equal(server.sql("SELECT count(*) FROM topics WHERE topic::text LIKE 'pieces%'"), "0", "for SQL neither")
        pid = server.worker_pids("pgtopic admin")[0]
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while server.worker_pids("pgtopic admin") in ([], [pid]) and time.monotonic() < deadline:
        time.sleep(0.1)
    server.wait_up()
    server.wait_listener()
    server.sql("DROP EVENT TRIGGER stops")
    deadline = time.monotonic() + 120
    while unfinished() != "0" and time.monotonic() < deadline:
        time.sleep(0.2)
    tap.equal(unfinished(), "0", "after a crash, what was made is removed")
    with connect(timeout=120) as c:
        tap.equal(code(c.call("CreateTopics", 2, create("pieces", n))), NONE, "then it is made")
        tap.equal(server.sql("SELECT count(*), count(DISTINCT leaf) FROM partitions WHERE topic::text = 'pieces'"), "%d|%d" % (n, n),
                  "with all its partitions")
        more = {"Topics": [{"Name": "pieces", "Count": n + 400, "Assignments": None}], "TimeoutMs": 60000, "ValidateOnly": False}
        tap.equal(c.call("CreatePartitions", 0, more)["Results"][0]["ErrorCode"], NONE, "it grows")
        server.sql("CREATE VIEW public.of_pieces AS SELECT * FROM topics.pieces")
        delete = {"TopicNames": ["pieces"], "TimeoutMs": 60000}
        answer = c.call("DeleteTopics", 5, delete)["Responses"][0]
        tap.equal(answer["ErrorCode"], POLICY_VIOLATION, "what depends on it keeps it")
        tap.matches("view (public.)?of_pieces depends on it", answer["ErrorMessage"], "with its name")
        server.sql("DROP VIEW public.of_pieces")
        session = server.session()
        session.sql("BEGIN; LOCK TABLE topics.\"pieces#7\"")
        tap.equal(c.call("DeleteTopics", 5, delete)["Responses"][0]["ErrorCode"], NONE, "it is deleted, though somebody has a partition")
        tap.equal([code(c.call("Metadata", 4, metadata("pieces"))), unfinished() != "0"], [UNKNOWN_TOPIC, True],
                  "it is not there any more, and its tables are")
        tap.equal(code(c.call("CreateTopics", 2, create("pieces", 3))), NONE, "its name is free")
        session.close()
    server.sql("SELECT drop_topic('pieces')")
    os.kill(server.worker_pids("pgtopic admin")[0], signal.SIGTERM)      # sooner than in half a minute
    deadline = time.monotonic() + 120
    while unfinished() != "0" and time.monotonic() < deadline:
        time.sleep(0.2)
    tap.equal(unfinished(), "0", "the tables go when they are free")


def test_stopped():
    """a control worker that stood still for longer than sessions last expels nobody whom it did not hear"""
    member = Member("paused", session_ms=8000)
    control = server.worker_pids("pgtopic control")[0]
    os.kill(control, signal.SIGSTOP)
    time.sleep(10)
    os.kill(control, signal.SIGCONT)
    with connect() as other:
        for _ in range(3):      # turns of the worker
            other.call("ListGroups", 1)
    tap.equal(member.heartbeat(), NONE, "the member's session goes on where it stopped")
    member.client.close()


def test_locks():
    """no lock was given back that had gone before"""
    tap.ok("don't own a lock" not in server.log_text(), "the server complains of none")


pg.demote()
# what users have, but for the shared libraries
server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init().start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
tap.main([test_offsets_topic, test_trigger, test_crash, test_users_code, test_depends, test_locked, test_configs_locked, test_many, test_pieces, test_stopped,
          test_locks])
