"""Load on a group coordinator: many members in one process, each on a connection of its own, and commits from many groups.

Speaks the protocol through test/clients/raw.py, which reads Kafka's own message specs.  Both servers get exactly the same.
"""
import asyncio
import os
import selectors
import socket
import struct
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "clients"))
import raw  # noqa: E402

from procs import BenchError  # noqa: E402

SESSION_MS = 6000           # the shortest that both take by default
HEARTBEAT_S = 0.1           # often, so that members notice soon; the same for both servers
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION = 79, 27, 25, 22
SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x01\x00\x05bench\xff\xff\xff\xff"


def use_jars(directory):
    raw.LIBS = directory


class Codec:
    """Frames by Kafka's specs; the correlation ids do not matter, one request is under way per connection."""

    def __init__(self):
        self.client = raw.Client.__new__(raw.Client)
        self.client.client_id, self.client.correlation = "bench", 0

    def frame(self, api, version, body):
        data = self.client.request_bytes(api, version, body)
        return struct.pack(">i", len(data)) + data

    @staticmethod
    def decode(api, version, data):
        response = raw.message(api + "Response")
        flexible = response.is_flexible(version)
        r = raw.Reader(data)
        r.number(">i")
        if flexible and api != "ApiVersions":
            r.uvarint()
        return raw.decode_struct(r, response.fields, version, flexible)


class Link:
    """A connection with one request under way."""

    def __init__(self, codec):
        self.codec = codec

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def call(self, api, version, body):
        self.writer.write(self.codec.frame(api, version, body))
        size = struct.unpack(">i", await self.reader.readexactly(4))[0]
        return self.codec.decode(api, version, await self.reader.readexactly(size))

    def close(self):
        self.writer.close()


class Classic:
    """A member of a classic group; keeps itself in it until it is told to leave or to fall silent."""

    def __init__(self, group, link):
        self.group, self.link = group, link
        self.member, self.generation = "", -1
        self.stable = None          # the generation it is in
        self.task = None

    async def join(self):
        while True:
            body = {"GroupId": self.group, "SessionTimeoutMs": SESSION_MS, "RebalanceTimeoutMs": 60000, "MemberId": self.member,
                    "GroupInstanceId": None, "ProtocolType": "consumer",
                    "Protocols": [{"Name": "range", "Metadata": SUBSCRIPTION}]}
            answer = await self.link.call("JoinGroup", 7, body)
            if answer["ErrorCode"] == MEMBER_ID_REQUIRED:
                self.member = answer["MemberId"]
                continue
            if answer["ErrorCode"]:
                raise BenchError("JoinGroup: error %d" % answer["ErrorCode"])
            self.member, self.generation = answer["MemberId"], answer["GenerationId"]
            everybody = [m["MemberId"] for m in answer["Members"]]
            answer = await self.link.call("SyncGroup", 5, {
                "GroupId": self.group, "GenerationId": self.generation, "MemberId": self.member, "ProtocolType": "consumer",
                "ProtocolName": "range", "Assignments": [{"MemberId": m, "Assignment": bytes(10)} for m in everybody]})
            if answer["ErrorCode"] == 0:
                self.stable = self.generation
                return
            if answer["ErrorCode"] != REBALANCE_IN_PROGRESS:
                raise BenchError("SyncGroup: error %d" % answer["ErrorCode"])

    async def live(self):
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            answer = await self.link.call("Heartbeat", 4, {"GroupId": self.group, "GenerationId": self.generation,
                                                           "MemberId": self.member})
            if answer["ErrorCode"] == REBALANCE_IN_PROGRESS:
                await self.join()
            elif answer["ErrorCode"]:
                raise BenchError("Heartbeat: error %d" % answer["ErrorCode"])

    async def leave(self):
        await self.link.call("LeaveGroup", 4, {"GroupId": self.group, "Members": [{"MemberId": self.member}]})


class Modern:
    """A member of the consumer protocol; its partitions it takes and gives as it is told."""

    def __init__(self, group, link):
        self.group, self.link = group, link
        self.member, self.epoch = str(raw.uuid.uuid4()), 0
        self.stable = None
        self.owned = []
        self.task = None

    async def beat(self, epoch, **more):
        answer = await self.link.call("ConsumerGroupHeartbeat", 1, {"GroupId": self.group, "MemberId": self.member, "MemberEpoch": epoch,
                                                                    **more})
        if answer["ErrorCode"]:
            raise BenchError("ConsumerGroupHeartbeat: error %d %s" % (answer["ErrorCode"], answer["ErrorMessage"]))
        return answer

    async def join(self):
        self.take(await self.beat(0, RebalanceTimeoutMs=60000, SubscribedTopicNames=["bench"], TopicPartitions=[]))

    def take(self, answer):
        self.epoch = self.stable = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            self.owned = [{"TopicId": t["TopicId"], "Partitions": t["Partitions"]} for t in answer["Assignment"]["TopicPartitions"]]
            return True
        return False

    async def live(self):
        told = False
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            told = self.take(await self.beat(self.epoch, **({"TopicPartitions": self.owned} if told else {})))

    async def leave(self):
        await self.beat(-1)


async def all_stable(members):
    """Until all are in one generation."""
    deadline = time.monotonic() + 60
    while len({m.stable for m in members}) != 1:
        for m in members:
            if m.task is not None and m.task.done():
                m.task.result()
        if time.monotonic() > deadline:
            raise BenchError("the group does not become stable")
        await asyncio.sleep(0.002)


async def _membership(port, kind, count, session_s, meter):
    codec = Codec()
    group = "bench-%s-%d" % (kind.__name__.lower(), time.monotonic_ns())
    members = [kind(group, await Link(codec).open(port)) for _ in range(count)]
    out = {}
    meter.start()
    started = time.monotonic()
    for m in members:
        await m.join()
        m.task = asyncio.ensure_future(m.live())
    await all_stable(members)
    out["join_s"] = time.monotonic() - started
    out["join_cpu_s"] = meter.stop()["cpu_s"]
    # one dies: its connection stays, it says nothing any more
    dead, members = members[0], members[1:]
    dead.task.cancel()
    before = members[0].stable
    started = time.monotonic()
    while all(m.stable == before for m in members):
        if time.monotonic() > started + session_s + 30:
            raise BenchError("a dead member stays in the group")
        await asyncio.sleep(0.002)
    await all_stable(members)
    out["die_ms"] = (time.monotonic() - started - session_s) * 1000
    for m in members:
        m.task.cancel()
    await asyncio.gather(*(m.task for m in members), return_exceptions=True)
    # connections whose request was cut off are of no use: leave on fresh ones
    for m in members:
        m.link.close()
        m.link = await Link(codec).open(port)
    meter.start()
    started = time.monotonic()
    await asyncio.gather(*(m.leave() for m in members))
    out["leave_ms"] = (time.monotonic() - started) * 1000
    out["leave_cpu_s"] = meter.stop()["cpu_s"]
    for m in [dead, *members]:
        m.link.close()
    return out


def membership(port, modern, count, session_s, meter):
    """Seconds until "count" members that come one after the other are one generation, and what it cost; how long after its
    session the others have gone on without one that died; how long it takes when all leave at once."""
    return asyncio.run(_membership(port, Modern if modern else Classic, count, session_s, meter))


def _commit(group):
    """Of a consumer that is no member: offset 7 of one partition."""
    return {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "GroupInstanceId": None, "Topics": [
        {"Name": "bench", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 7, "CommittedMetadata": ""}]}]}


def commits(port, connections, seconds):
    """Offset commits per second: one under way per connection, each of a group of its own."""
    codec = Codec()
    selector = selectors.DefaultSelector()
    for i in range(connections):
        s = socket.create_connection(("127.0.0.1", port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        frame = codec.frame("OffsetCommit", 8, _commit("committer-%d" % i))
        s.sendall(frame)
        selector.register(s, selectors.EVENT_READ, frame)
    done = 0
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        for key, _ in selector.select(1):
            data = key.fileobj.recv(65536)
            if done < connections * 2 and codec.decode("OffsetCommit", 8, data[4:])["Topics"][0]["Partitions"][0]["ErrorCode"]:
                raise BenchError("OffsetCommit was refused")
            done += 1
            key.fileobj.sendall(key.data)
    passed = time.monotonic() - started
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    return {"commits": done, "commits_s": done / passed}


class Admin:
    """Administration over one connection, timed."""

    def __init__(self, port):
        self.client = raw.Client("127.0.0.1:%d" % port, timeout=120)

    def call(self, api, version, body):
        """The answer, and the ms until its last byte was there."""
        request = self.client.request_bytes(api, version, body)
        started = time.monotonic()
        self.client.send_frame(request)
        data = self.client.receive_frame()
        ms = (time.monotonic() - started) * 1000
        return Codec.decode(api, version, data), ms

    def create_topics(self, names, partitions=1):
        answer, ms = self.call("CreateTopics", 5, {"timeoutMs": 60000, "Topics": [
            {"Name": n, "NumPartitions": partitions, "ReplicationFactor": 1, "Assignments": [], "Configs": []} for n in names]})
        for t in answer["Topics"]:
            if t["ErrorCode"]:
                raise BenchError("CreateTopics: error %d" % t["ErrorCode"])
        return ms

    def delete_topics(self, names):
        return self.call("DeleteTopics", 4, {"TimeoutMs": 60000, "TopicNames": names})[1]

    def await_coordinator(self, groups):
        """Until commits of all these groups are taken: a new broker first makes the topic that they go to."""
        deadline = time.monotonic() + 30
        for group in groups:
            while True:
                self.client.call("FindCoordinator", 3, {"Key": group, "KeyType": 0})
                answer = self.client.call("OffsetCommit", 8, _commit(group))
                if answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0:
                    break
                if time.monotonic() > deadline:
                    raise BenchError("no coordinator for " + group)
                time.sleep(0.1)

    def make_groups(self, count):
        for i in range(count):
            self.client.call("OffsetCommit", 8, _commit("listed-%d" % i))

    def list_groups(self):
        answer, ms = self.call("ListGroups", 4, {"StatesFilter": []})
        return len([g for g in answer["Groups"] if g["GroupId"].startswith("listed-")]), ms

    def describe_groups(self, names):
        return self.call("DescribeGroups", 5, {"Groups": names})[1]
