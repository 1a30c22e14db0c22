#!/usr/bin/env python3
"""Consumer groups under floods and from members that mean harm: bounded memory, right errors, everybody else unharmed.

All the time a producer, a consumer and a healthy group work beside it; what they notice is measured and printed.  Memory is
what the control worker has for itself (anonymous pages of its PSS).  Times are printed, never judged.  Arguments are
names of tests to run; PGTOPIC_IDLE_MEMBERS is how many members at rest there are.
"""

import asyncio
import os
import resource
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

NONE, COORDINATOR_NOT_AVAILABLE, ILLEGAL_GENERATION, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID = 0, 15, 22, 24, 25
REBALANCE_IN_PROGRESS, GROUP_ID_NOT_FOUND, MEMBER_ID_REQUIRED, GROUP_MAX_SIZE, FENCED_INSTANCE = 27, 69, 79, 81, 82
FENCED_MEMBER_EPOCH, STALE_MEMBER_EPOCH = 110, 113
MEMORY_MIB = 32             # pgtopic.group_memory
SLACK_MIB = 24              # what a process may have grown by besides
IDLE = int(os.environ.get("PGTOPIC_IDLE_MEMBERS", "5000"))
server = None
neighbours = None


def control_pid():
    return server.worker_pids("pgtopic control")[0]


def private_mib(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- those who must not be harmed

class Neighbour(threading.Thread):
    """Does one thing over and over on a connection of its own; remembers the slowest turn and any problem."""

    def __init__(self, name, turn):
        super().__init__(daemon=True)
        self.title, self.turn = name, turn
        self.client = raw.Client(server.bootstrap)
        self.slowest, self.count, self.problem, self.ending, self.pause = 0.0, 0, None, False, 0.02

    def run(self):
        try:
            while not self.ending:
                started = time.monotonic()
                self.turn(self.client)
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.count += 1
                time.sleep(self.pause)
        except Exception as problem:    # pylint: disable=broad-except
            self.problem = "%s: %s" % (type(problem).__name__, problem)


class Neighbours:
    def __init__(self):
        client = raw.Client(server.bootstrap)
        self.member = join(client, "healthy", instance="one")
        assert sync(client, "healthy", self.member, [self.member["MemberId"]])["ErrorCode"] == NONE
        self.epoch = 0
        batch = raw.Batch([("k", "v")]).encode()

        def produce(c):
            answer = c.call("Produce", 9, {"Acks": -1, "TimeoutMs": 10000, "TopicData": [
                {"Name": "beside", "PartitionData": [{"Index": 0, "Records": batch}]}]})
            self.check(answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"])

        def fetch(c):
            answer = c.call("Fetch", 11, {"MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 10000, "Topics": [
                {"Topic": "beside", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 10000}]}]})
            self.check(answer["Responses"][0]["Partitions"][0]["ErrorCode"])

        def heartbeat(c):
            self.check(c.call("Heartbeat", 4, {"GroupId": "healthy", "GenerationId": self.member["GenerationId"],
                                               "MemberId": self.member["MemberId"], "GroupInstanceId": "one"})["ErrorCode"])
            self.check(commit(c, "healthy", self.member, instance="one"))

        self.threads = [Neighbour("producer", produce), Neighbour("consumer", fetch), Neighbour("healthy group", heartbeat)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def check(code):
        if code != NONE:
            raise RuntimeError("error %d" % code)

    def unharmed(self, after):
        """One line of TAP; the slowest turns are told and forgotten."""
        before = [t.count for t in self.threads]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(t.count == n and not t.problem for t, n in zip(self.threads, before)):
            time.sleep(0.05)
        bad = ["%s: %s" % (t.title, t.problem or "stuck") for t, n in zip(self.threads, before) if t.problem or t.count == n]
        tap.ok(not bad, "%s: producer, consumer and a healthy group go on" % after)
        for line in bad:
            tap.note(line)
        tap.note("slowest turn: " + ", ".join("%s %.0f ms" % (t.title, t.slowest * 1000) for t in self.threads))
        for t in self.threads:
            t.slowest = 0.0


# --- requests

def subscription(metadata=b""):
    return b"\x00\x00\x00\x00\x00\x01\x00\x06beside" + struct.pack(">i", len(metadata)) + metadata


def join_body(group, member="", instance=None, metadata=b"", session_ms=6000, rebalance_ms=6000):
    return {"GroupId": group, "SessionTimeoutMs": session_ms, "RebalanceTimeoutMs": rebalance_ms, "MemberId": member,
            "GroupInstanceId": instance, "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": subscription(metadata)}]}


def join(client, group, member="", instance=None, **more):
    answer = client.call("JoinGroup", 7, join_body(group, member, instance, **more))
    if answer["ErrorCode"] == MEMBER_ID_REQUIRED:
        answer = client.call("JoinGroup", 7, join_body(group, answer["MemberId"], instance, **more))
    return answer


def sync(client, group, member, everybody=()):
    return client.call("SyncGroup", 5, {
        "GroupId": group, "GenerationId": member["GenerationId"], "MemberId": member["MemberId"], "ProtocolType": "consumer",
        "ProtocolName": "range", "Assignments": [{"MemberId": m, "Assignment": b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
                                                 for m in everybody]})


def commit(client, group, member, instance=None, offset=1, version=8, **wrong):
    body = {"GroupId": group, "GenerationIdOrMemberEpoch": member["GenerationId"], "MemberId": member["MemberId"],
            "GroupInstanceId": instance, "Topics": [{"Name": "beside", "Partitions": [
                {"PartitionIndex": 0, "CommittedOffset": offset, "CommittedMetadata": ""}]}]}
    body.update(wrong)
    return client.call("OffsetCommit", version, body)["Topics"][0]["Partitions"][0]["ErrorCode"]


def heartbeat(client, group, generation, member, instance=None):
    return client.call("Heartbeat", 4, {"GroupId": group, "GenerationId": generation, "MemberId": member,
                                        "GroupInstanceId": instance})["ErrorCode"]


def consumer_heartbeat(client, group, member, epoch, first=False):
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch}
    if first:
        body.update(RebalanceTimeoutMs=60000, SubscribedTopicNames=["beside"], TopicPartitions=[])
    return client.call("ConsumerGroupHeartbeat", 0, body)


# --- the tests

def pipelined(client, api, version, bodies, window=200):
    """Answers to many requests on one connection, some under way at any time."""
    codes, waiting = [], 0
    for body in bodies:
        client.send(api, version, body)
        waiting += 1
        if waiting == window:
            codes.append(client.receive(api, version)["ErrorCode"])
            waiting -= 1
    codes += [client.receive(api, version)["ErrorCode"] for _ in range(waiting)]
    return codes


def memory_stays_bounded(before, what):
    now = private_mib(control_pid())
    tap.ok(now < before + MEMORY_MIB + SLACK_MIB, "%s: memory of the control worker is bounded (%.0f MiB, %.0f before)"
           % (what, now, before))


def test_join_flood():
    """10,000 joins with distinct ids of groups, then of members"""
    client = raw.Client(server.bootstrap)
    before = private_mib(control_pid())
    for turn in range(2):
        started = time.monotonic()
        codes = pipelined(client, "JoinGroup", 7, (join_body("flood-%d-%d" % (turn, i)) for i in range(10000)))
        tap.ok(set(codes) <= {MEMBER_ID_REQUIRED, COORDINATOR_NOT_AVAILABLE}, "10,000 groups: each join is answered (%s)" % set(codes))
        tap.note("%.0f joins/s" % (10000 / (time.monotonic() - started)))
    codes = pipelined(client, "JoinGroup", 7, (join_body("one-flooded") for _ in range(10000)))
    tap.ok(set(codes) <= {MEMBER_ID_REQUIRED, COORDINATOR_NOT_AVAILABLE, GROUP_MAX_SIZE},
           "10,000 members of one group: each join is answered (%s)" % set(codes))
    codes = pipelined(client, "JoinGroup", 7, (join_body("invented", "made-up-%d" % i) for i in range(10000)))
    tap.equal(set(codes), {UNKNOWN_MEMBER_ID}, "10,000 invented member ids are unknown")
    memory_stays_bounded(before, "floods of joins")
    neighbours.unharmed("floods of joins")
    client.close()


def test_consumer_flood():
    """10,000 members of the consumer protocol that never come again"""
    client = raw.Client(server.bootstrap)
    before = private_mib(control_pid())
    codes = pipelined(client, "ConsumerGroupHeartbeat", 1, (
        {"GroupId": "flood848-%d" % (i % 500), "MemberId": "member-%d" % i, "MemberEpoch": 0, "RebalanceTimeoutMs": 60000,
         "SubscribedTopicNames": ["beside"], "TopicPartitions": []} for i in range(10000)))
    tap.ok(set(codes) <= {NONE, COORDINATOR_NOT_AVAILABLE, GROUP_MAX_SIZE}, "10,000 heartbeats that join: each is answered (%s)" % set(codes))
    memory_stays_bounded(before, "a flood of consumer heartbeats")
    neighbours.unharmed("a flood of consumer heartbeats")
    client.close()


def test_megabytes():
    """members with a megabyte of metadata each, until memory is used up"""
    before = private_mib(control_pid())
    clients = [raw.Client(server.bootstrap, timeout=60) for _ in range(MEMORY_MIB * 2)]
    for i, client in enumerate(clients):
        client.send("JoinGroup", 3, {k: v for k, v in join_body("fat-%d" % i, metadata=bytes(1 << 20)).items()
                                     if k != "GroupInstanceId"})
    codes = [client.receive("JoinGroup", 3)["ErrorCode"] for client in clients]
    tap.ok(set(codes) <= {NONE, COORDINATOR_NOT_AVAILABLE, GROUP_MAX_SIZE}, "each is answered (%s)" % set(codes))
    tap.ok(COORDINATOR_NOT_AVAILABLE in codes, "those that do not fit are refused (%d of %d)" % (
        codes.count(COORDINATOR_NOT_AVAILABLE), len(codes)))
    memory_stays_bounded(before, "megabytes of metadata")
    neighbours.unharmed("megabytes of metadata")
    for client in clients:
        client.close()
    client = raw.Client(server.bootstrap)
    deadline = time.monotonic() + 30
    while join(client, "after", metadata=bytes(1 << 20))["ErrorCode"] != NONE and time.monotonic() < deadline:
        time.sleep(0.2)
    tap.ok(time.monotonic() < deadline, "when their sessions have ended there is room again")
    client.close()


def test_never_syncs():
    """a leader that never says who gets what"""
    leader, follower = raw.Client(server.bootstrap), raw.Client(server.bootstrap)
    first = leader.call("JoinGroup", 7, join_body("unsynced", rebalance_ms=2000))
    other = follower.call("JoinGroup", 7, join_body("unsynced", rebalance_ms=2000))
    leader.send("JoinGroup", 7, join_body("unsynced", first["MemberId"], rebalance_ms=2000))
    follower.send("JoinGroup", 7, join_body("unsynced", other["MemberId"], rebalance_ms=2000))
    answers = [leader.receive("JoinGroup", 7), follower.receive("JoinGroup", 7)]
    tap.equal([a["ErrorCode"] for a in answers], [NONE, NONE], "two members join")
    if answers[0]["Leader"] != answers[0]["MemberId"]:
        answers.reverse()
        leader, follower = follower, leader
    started = time.monotonic()
    code = sync(follower, "unsynced", answers[1])["ErrorCode"]
    tap.equal(code, REBALANCE_IN_PROGRESS, "the other is told to join again")
    tap.note("after %.1f s" % (time.monotonic() - started))
    neighbours.unharmed("a leader that never syncs")
    leader.close()
    follower.close()


def test_dead_generations():
    """heartbeats and commits of those that are not members any more"""
    client = raw.Client(server.bootstrap)
    member = join(client, "fenced", instance="i")
    tap.equal(sync(client, "fenced", member, [member["MemberId"]])["ErrorCode"], NONE, "a member")
    mid, generation = member["MemberId"], member["GenerationId"]
    tap.equal(heartbeat(client, "fenced", generation + 1, mid, "i"), ILLEGAL_GENERATION, "a heartbeat of another generation")
    tap.equal(heartbeat(client, "fenced", generation, "nobody"), UNKNOWN_MEMBER_ID, "of an unknown member")
    tap.equal(heartbeat(client, "no-such-group", 1, "nobody"), UNKNOWN_MEMBER_ID, "of an unknown group")
    codes = pipelined(client, "Heartbeat", 4, ({"GroupId": "fenced", "GenerationId": generation - 1 - i, "MemberId": mid}
                                               for i in range(20000)))
    tap.equal(set(codes), {ILLEGAL_GENERATION}, "20,000 heartbeats of dead generations")
    tap.equal(commit(client, "fenced", member, GenerationIdOrMemberEpoch=generation - 1), ILLEGAL_GENERATION, "a commit of a dead generation")
    tap.equal(commit(client, "fenced", member, MemberId="nobody"), UNKNOWN_MEMBER_ID, "a commit of an unknown member")
    tap.equal(commit(client, "fenced", member, MemberId="", GenerationIdOrMemberEpoch=-1), UNKNOWN_MEMBER_ID,
              "a commit from outside while there are members")
    again = client.call("JoinGroup", 7, join_body("fenced", "", "i"))
    tap.ok(again["MemberId"] != mid, "the static member comes back with another id")
    tap.equal(heartbeat(client, "fenced", generation, mid, "i"), FENCED_INSTANCE, "a heartbeat of the fenced one")
    tap.equal(commit(client, "fenced", member, instance="i"), FENCED_INSTANCE, "a commit of the fenced one")

    answer = consumer_heartbeat(client, "fenced848", "m1", 0, first=True)
    if answer["ErrorCode"] == NONE and answer["MemberId"]:
        mid, epoch = answer["MemberId"], answer["MemberEpoch"]
        tap.equal(consumer_heartbeat(client, "fenced848", mid, epoch + 5)["ErrorCode"], FENCED_MEMBER_EPOCH, "an epoch of the future")
        tap.equal(consumer_heartbeat(client, "fenced848", "nobody", 3)["ErrorCode"], UNKNOWN_MEMBER_ID, "an unknown member")
        new = {"MemberId": mid, "GenerationId": epoch}
        tap.equal(commit(client, "fenced848", new, version=9), NONE, "a commit with the epoch")
        tap.equal(commit(client, "fenced848", new, version=9, GenerationIdOrMemberEpoch=epoch + 5), STALE_MEMBER_EPOCH,
                  "a commit with another epoch")
        tap.equal(commit(client, "fenced848", new, version=9, MemberId="nobody"), UNKNOWN_MEMBER_ID, "a commit of an unknown member")
    else:
        tap.ok(False, "joining with the consumer protocol: %s" % answer)
    neighbours.unharmed("members that are fenced")
    client.close()


HOSTILE_NAMES = [
    b" ", b"'; DROP TABLE topics.beside; --", b'"quoted"', b"\\", b"a\nb", b"\x01\x02\x7f", b"..", b"../../etc/passwd", b"%s%n%s",
    "gr\u00fc\u00dfe \U0001f600".encode(), b"x" * 32000, b"__consumer_offsets", b"null", b"{}", b"-", b"a\x00b", b"\xff\xfe", b"\xc3(",
    b"\xed\xa0\x80",
]


def test_hostile_names():
    """every request of a group's life, with names that nobody would choose"""
    client = raw.Client(server.bootstrap)
    alive = []
    for name in HOSTILE_NAMES:
        shown = repr(name[:30])
        try:
            member = join(client, name)
            codes = [member["ErrorCode"]]
            if member["ErrorCode"] == NONE:
                codes.append(sync(client, name, member, [member["MemberId"]])["ErrorCode"])
                codes.append(commit(client, name, member))
                codes.append(client.call("LeaveGroup", 4, {"GroupId": name, "Members": [{"MemberId": member["MemberId"]}]})["ErrorCode"])
                alive.append(name)
            else:
                codes.append(heartbeat(client, name, 1, "nobody"))
                codes.append(commit(client, name, {"GenerationId": -1, "MemberId": ""}))
            whole = member["ErrorCode"] == NONE and set(codes) == {NONE} or member["ErrorCode"] == INVALID_GROUP_ID
            tap.ok(whole, "group %s: served, or INVALID_GROUP_ID (%s)" % (shown, codes))
        except (ConnectionError, raw.ProtocolError, UnicodeDecodeError) as problem:
            tap.ok(False, "group %s: %s: %s" % (shown, type(problem).__name__, problem))
            client = raw.Client(server.bootstrap)
    tap.equal(client.call("JoinGroup", 7, join_body(""))["ErrorCode"], INVALID_GROUP_ID, "no name at all")
    good = [n for n in alive if len(n) < 1000]
    answer = client.call("DescribeGroups", 5, {"Groups": good})
    tap.equal([g["ErrorCode"] for g in answer["Groups"]], [NONE] * len(good), "they are described")
    listed = {g["GroupId"] for g in client.call("ListGroups", 4, {})["Groups"]}
    tap.ok({n.decode() for n in good} <= listed, "and listed")
    tap.ok(int(server.sql("SELECT count(*) FROM consumer_groups")) >= len(good), "SQL shows them")
    answer = client.call("DeleteGroups", 2, {"GroupsNames": alive})
    tap.equal({r["ErrorCode"] for r in answer["Results"]}, {NONE}, "and deleted")
    neighbours.unharmed("hostile names")
    client.close()


# --- thousands of members at rest

class Idle(asyncio.Protocol):
    """One member of the consumer protocol (even numbers) or a classic one; after joining it only says that it is alive."""

    arrived = 0
    errors = 0

    def __init__(self, number, frames):
        self.frames = frames            # (join, heartbeat) makers
        self.number = number
        self.buffer = b""
        self.answer = None
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError("closed"))
        Idle.errors += exc is not None

    def data_received(self, data):
        self.buffer += data
        while len(self.buffer) >= 4:
            size = struct.unpack(">i", self.buffer[:4])[0]
            if len(self.buffer) < 4 + size:
                return
            frame, self.buffer = self.buffer[4:4 + size], self.buffer[4 + size:]
            if self.answer is not None and not self.answer.done():
                self.answer.set_result(frame)

    async def call(self, codec, api, version, body):
        self.answer = asyncio.get_running_loop().create_future()
        frame = codec.request_bytes(api, version, body)
        self.transport.write(struct.pack(">i", len(frame)) + frame)
        return decode(api, version, await asyncio.wait_for(self.answer, 120))


def decode(api, version, frame):
    response = raw.message(api + "Response")
    r = raw.Reader(frame)
    r.number(">i")
    if response.is_flexible(version):
        r.uvarint()
    return raw.decode_struct(r, response.fields, version, response.is_flexible(version))


async def idle_member(number, codec, host, port, ready):
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: Idle(number, None), host, port)
    if number % 2 == 0:
        group, interval = "idle848-%d" % (number // 100), 5
        answer = await link.call(codec, "ConsumerGroupHeartbeat", 0, {
            "GroupId": group, "MemberId": "", "MemberEpoch": 0, "RebalanceTimeoutMs": 60000, "SubscribedTopicNames": ["beside"],
            "TopicPartitions": []})
        member, epoch = answer["MemberId"], answer["MemberEpoch"]
        wanted = {"GroupId": group, "MemberId": member}
    else:
        group, interval = "idle-%d" % number, 3
        body = join_body(group, session_ms=60000)
        answer = await link.call(codec, "JoinGroup", 7, body)
        answer = await link.call(codec, "JoinGroup", 7, join_body(group, answer["MemberId"], session_ms=60000))
        member, epoch = answer["MemberId"], answer["GenerationId"]
        await link.call(codec, "SyncGroup", 5, {
            "GroupId": group, "GenerationId": epoch, "MemberId": member, "ProtocolType": "consumer", "ProtocolName": "range",
            "Assignments": [{"MemberId": member, "Assignment": bytes(10)}]})
        wanted = {"GroupId": group, "MemberId": member, "GenerationId": epoch}
    if answer["ErrorCode"] != NONE:
        Idle.errors += 1
    Idle.arrived += 1
    while True:
        await asyncio.sleep(interval)
        if number % 2 == 0:
            answer = await link.call(codec, "ConsumerGroupHeartbeat", 0, dict(wanted, MemberEpoch=epoch))
            epoch = answer["MemberEpoch"]
        else:
            answer = await link.call(codec, "Heartbeat", 4, wanted)
        Idle.errors += answer["ErrorCode"] != NONE
        if ready.is_set():
            Idle.beats += 1


async def idle_members():
    host, port = server.bootstrap.split(":")
    codec = raw.Client(server.bootstrap)
    ready = asyncio.Event()
    Idle.beats = 0
    before, workers = private_mib(control_pid()), server.worker_pids("pgtopic")
    all_before = sum(private_mib(p) for p in workers)
    tasks = []
    started = time.monotonic()
    for number in range(IDLE):
        tasks.append(asyncio.ensure_future(idle_member(number, codec, host, int(port), ready)))
        if number % 100 == 99:
            await asyncio.sleep(0.1)
    while Idle.arrived < IDLE and time.monotonic() < started + 90 and not any(t.done() for t in tasks):
        await asyncio.sleep(0.1)
    tap.ok(Idle.arrived == IDLE and not Idle.errors, "%d members have joined (%d errors)" % (Idle.arrived, Idle.errors))
    for t in tasks:
        if t.done() and t.exception():
            tap.note(repr(t.exception()))
            break
    tap.note("within %.1f s" % (time.monotonic() - started))
    for thread in neighbours.threads:
        thread.pause = 1.0
    await asyncio.sleep(6)
    ready.set()
    cpu, begun = cpu_seconds(control_pid()), time.monotonic()
    await asyncio.sleep(10)
    cpu, passed = cpu_seconds(control_pid()) - cpu, time.monotonic() - begun
    for thread in neighbours.threads:
        thread.pause = 0.02
    mib, all_mib = private_mib(control_pid()), sum(private_mib(p) for p in workers)
    each = (all_mib - all_before) * 1024 / IDLE
    tap.note("%.0f heartbeats/s, %.2f %% of a core, %.1f us each" % (
        Idle.beats / passed, 100 * cpu / passed, 1e6 * cpu / max(Idle.beats, 1)))
    tap.note("control worker: %.0f MiB, %.0f before" % (mib, before))
    tap.ok(each < 64, "each costs less than 64 KiB (%.1f KiB)" % each)
    tap.equal(Idle.errors, 0, "no heartbeat failed")
    neighbours.unharmed("%d idle members" % IDLE)
    # again and again: wait_for() of Python before 3.12 can lose a cancellation that comes together with its answer
    pending = set(tasks)
    while pending:
        for t in pending:
            t.cancel()
        done, pending = await asyncio.wait(pending, timeout=2)
        for t in done:
            _ = t.cancelled() or t.exception()
    codec.close()


def test_idle_members():
    """thousands of connected members that only send heartbeats, half of them of each protocol"""
    server.set(pgtopic__group_memory="256MB", pgtopic__group_consumer_session_timeout="45s").reload()
    time.sleep(0.5)
    asyncio.run(idle_members())


def test_end():
    pid = control_pid()
    tap.ok(pid == first_control_pid, "the control worker is the one of the beginning")
    for thread in neighbours.threads:
        thread.ending = True
    for thread in neighbours.threads:
        thread.join(20)


def main():
    global server, neighbours, first_control_pid
    pg.demote()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    server = pg.Cluster(settings={
        "pgtopic.group_memory": "%dMB" % MEMORY_MIB, "pgtopic.group_initial_rebalance_delay": 50,
        "pgtopic.group_min_session_timeout": 1000, "pgtopic.group_consumer_session_timeout": 6000,
        "max_files_per_process": 15000}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    server.sql("SELECT create_topic('beside')")
    neighbours = Neighbours()
    first_control_pid = control_pid()
    tests = [test_join_flood, test_consumer_flood, test_megabytes, test_never_syncs, test_dead_generations, test_hostile_names,
             test_idle_members]
    tap.main([t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]] + [test_end])


first_control_pid = None
main()
