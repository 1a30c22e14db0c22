#!/usr/bin/env python3
"""Groups under bad input: floods of members, huge metadata, members that never sync; memory is bounded, others go on."""

import os
import random
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import damage  # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

NONE, NOT_AVAILABLE, UNKNOWN_MEMBER_ID, INVALID_SESSION_TIMEOUT, REBALANCE_IN_PROGRESS = 0, 15, 25, 26, 27
MEMBER_ID_REQUIRED, GROUP_MAX_SIZE_REACHED, INVALID_REGULAR_EXPRESSION = 79, 81, 128
MEMORY_MB = 16

server = None


def connect():
    return raw.Client(server.bootstrap, timeout=60)


def join_body(group, member="", metadata=b"", **more):
    return {"GroupId": group, "SessionTimeoutMs": 6000, "RebalanceTimeoutMs": 6000, "MemberId": member, "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": metadata}], **more}


def resident_mb():
    """Private memory of the control worker."""
    pid = server.worker_pids("pgtopic control")[0]
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024


class Bystander(threading.Thread):
    """A member of a group of its own that sends heartbeats all the time; remembers how long the slowest took."""

    def __init__(self):
        super().__init__(daemon=True)
        self.client = connect()
        self.worst = self.count = 0
        self.errors = set()
        self.going = True
        joined = self.client.call("JoinGroup", 3, join_body("quiet"))
        self.body = {"GroupId": "quiet", "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"]}
        self.client.call("SyncGroup", 3, {**self.body, "Assignments": []})
        self.start()

    def run(self):
        while self.going:
            started = time.monotonic()
            self.errors.add(self.client.call("Heartbeat", 3, self.body)["ErrorCode"])
            self.worst = max(self.worst, time.monotonic() - started)
            self.count += 1
            time.sleep(0.01)

    def stop(self, what):
        self.going = False
        self.join(30)
        tap.equal(self.errors, {NONE}, "%s: another group's member has %d heartbeats" % (what, self.count))
        print("# the slowest took %.0f ms" % (self.worst * 1000), flush=True)
        self.client.call("LeaveGroup", 1, {"GroupId": "quiet", "MemberId": self.body["MemberId"]})
        self.client.close()


def pipelined(client, api, version, bodies):
    """Sends all at once, 100 at a time; the answers."""
    answers = []
    for start in range(0, len(bodies), 100):
        part = bodies[start:start + 100]
        for body in part:
            client.send(api, version, body)
        answers += [client.receive(api, version) for _ in part]
    return answers


def test_flood_of_ids():
    """10,000 joins that never come back with the member id they were given"""
    bystander = Bystander()
    client = connect()
    answers = pipelined(client, "JoinGroup", 9, [join_body("flood") for _ in range(10000)])
    codes = {a["ErrorCode"] for a in answers}
    tap.ok(codes <= {MEMBER_ID_REQUIRED, NOT_AVAILABLE}, "each is told to come again: %s" % sorted(codes))
    answers = pipelined(client, "JoinGroup", 9, [join_body("flood-%d" % i) for i in range(10000)])
    codes = {a["ErrorCode"] for a in answers}
    tap.ok(codes <= {MEMBER_ID_REQUIRED, NOT_AVAILABLE}, "the same with 10,000 groups: %s" % sorted(codes))
    tap.ok(resident_mb() < MEMORY_MB * 2 + 32, "memory is bounded (%.0f MB)" % resident_mb())
    bystander.stop("flood of ids")
    time.sleep(7)
    answer = client.call("JoinGroup", 3, join_body("afterwards"))
    tap.equal(answer["ErrorCode"], NONE, "when they have timed out there is room again")
    client.close()


def test_flood_of_members():
    """members of the consumer protocol, until memory is spent"""
    bystander = Bystander()
    client = connect()
    answers = pipelined(client, "ConsumerGroupHeartbeat", 1, [
        {"GroupId": "many-%d" % (i % 100), "MemberId": str(uuid.uuid4()), "MemberEpoch": 0, "RebalanceTimeoutMs": 5000,
         "SubscribedTopicNames": ["t"] + ["x" * 200] * 20, "TopicPartitions": []} for i in range(5000)])
    codes = {a["ErrorCode"] for a in answers}
    tap.ok(NONE in codes and codes <= {NONE, NOT_AVAILABLE, GROUP_MAX_SIZE_REACHED}, "5,000 members: %s" % sorted(codes))
    tap.ok(resident_mb() < MEMORY_MB * 2 + 32, "memory is bounded (%.0f MB)" % resident_mb())
    bystander.stop("flood of members")
    time.sleep(4)
    listed = [g for g in client.call("ListGroups", 5, {"StatesFilter": ["Stable", "Assigning", "Reconciling"]})["Groups"] if "many" in g["GroupId"]]
    tap.equal(listed, [], "members that say nothing are gone after their session timeout")
    client.close()


def test_huge_metadata():
    bystander = Bystander()
    codes = []
    clients = []
    for i in range(40):
        clients.append(connect())
        codes.append(clients[-1].call("JoinGroup", 3, join_body("huge-%d" % i, metadata=bytes(1 << 20)))["ErrorCode"])
    tap.ok(NONE in codes and NOT_AVAILABLE in codes and set(codes) <= {NONE, NOT_AVAILABLE}, "40 members with 1 MB each: some find no room")
    tap.ok(resident_mb() < MEMORY_MB * 2 + 32, "memory is bounded (%.0f MB)" % resident_mb())
    bystander.stop("huge metadata")
    for client in clients:
        client.close()
    time.sleep(7)


def test_never_synced():
    """a leader that never syncs is thrown out, and the others do not wait for ever"""
    leader, other = connect(), connect()
    first = leader.call("JoinGroup", 3, join_body("lazy"))
    other.send("JoinGroup", 3, join_body("lazy"))
    time.sleep(0.2)
    leader.call("JoinGroup", 3, join_body("lazy", first["MemberId"]))
    second = other.receive("JoinGroup", 3)
    tap.equal((second["ErrorCode"], second["GenerationId"]), (NONE, 2), "two members")
    started = time.monotonic()
    other.send("SyncGroup", 3, {"GroupId": "lazy", "GenerationId": 2, "MemberId": second["MemberId"]})
    answer = other.receive("SyncGroup", 3)
    tap.equal(answer["ErrorCode"], REBALANCE_IN_PROGRESS, "the other is told to join again")
    tap.ok(3 < time.monotonic() - started < 10, "after the rebalance timeout (%.1f s)" % (time.monotonic() - started))
    answer = other.call("JoinGroup", 3, join_body("lazy", second["MemberId"]))
    tap.equal((answer["ErrorCode"], answer["Leader"]), (NONE, second["MemberId"]), "and leads")
    dead = leader.call("Heartbeat", 3, {"GroupId": "lazy", "GenerationId": 2, "MemberId": first["MemberId"]})
    tap.equal(dead["ErrorCode"], UNKNOWN_MEMBER_ID, "the lazy one is nobody any more")
    leader.close()
    other.close()


def test_connections_that_vanish():
    """parked calls whose clients have gone"""
    holder = connect()
    first = holder.call("JoinGroup", 3, join_body("vanish"))
    holder.call("SyncGroup", 3, {"GroupId": "vanish", "GenerationId": 1, "MemberId": first["MemberId"], "Assignments": []})
    for _ in range(100):
        client = connect()
        client.send("JoinGroup", 3, join_body("vanish"))
        client.close()
    answer = holder.call("JoinGroup", 3, join_body("vanish", first["MemberId"]))
    tap.equal(answer["ErrorCode"], NONE, "the rebalance comes to an end")
    holder.send("SyncGroup", 3, {"GroupId": "vanish", "GenerationId": answer["GenerationId"], "MemberId": first["MemberId"], "Assignments": []})
    answer = holder.receive("SyncGroup", 3)
    tap.ok(answer["ErrorCode"] in (NONE, REBALANCE_IN_PROGRESS), "and its member has an answer")
    deadline = time.monotonic() + 30
    members = None
    while members != 1 and time.monotonic() < deadline:
        joined = holder.call("JoinGroup", 3, join_body("vanish", first["MemberId"]))
        members = len(holder.call("DescribeGroups", 4, {"Groups": ["vanish"]})["Groups"][0]["Members"])
        if joined["ErrorCode"] == NONE:
            holder.call("SyncGroup", 3, {"GroupId": "vanish", "GenerationId": joined["GenerationId"], "MemberId": first["MemberId"],
                                         "Assignments": []})
    tap.equal(members, 1, "the ones that vanished are gone after their session timeout")
    holder.close()
    tap.ok("PANIC" not in server.log_text() and "terminated by signal" not in server.log_text(), "no process died")


def random_request(rnd):
    """A request of a group API, right but for where it is not."""
    group = rnd.choice(["damage", "damage-2", "", "x" * 300])
    member = rnd.choice(["", "me", str(uuid.UUID(int=rnd.getrandbits(128)))])
    topics = [{"Name": "t", "Partitions": [{"PartitionIndex": rnd.randrange(3), "CommittedOffset": rnd.randrange(-2, 99),
                                            "CommittedMetadata": rnd.choice([None, "m"])}]}]
    return rnd.choice([
        ("JoinGroup", rnd.randrange(0, 10), join_body(group, member, bytes(rnd.randrange(100)))),
        ("SyncGroup", rnd.randrange(0, 5), {"GroupId": group, "GenerationId": rnd.randrange(3), "MemberId": member,
                                            "Assignments": [{"MemberId": member, "Assignment": b"x"}]}),
        ("Heartbeat", rnd.randrange(0, 5), {"GroupId": group, "GenerationId": rnd.randrange(3), "MemberId": member}),
        ("LeaveGroup", rnd.randrange(3, 6), {"GroupId": group, "Members": [{"MemberId": member, "GroupInstanceId": "i"}]}),
        ("OffsetCommit", rnd.randrange(2, 10), {"GroupId": group, "MemberId": member, "Topics": topics}),
        ("OffsetFetch", 8, {"Groups": [{"GroupId": group, "Topics": rnd.choice([None, [{"Name": "t", "PartitionIndexes": [0, 1]}]])}]}),
        ("DescribeGroups", rnd.randrange(0, 7), {"Groups": [group, "nobody"]}),
        ("ListGroups", 5, {"StatesFilter": ["Stable", "Empty"], "TypesFilter": ["classic"]}),
        ("DeleteGroups", 2, {"GroupsNames": [group]}),
        ("OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0}]}]}),
        ("FindCoordinator", rnd.randrange(4, 7), {"KeyType": rnd.randrange(3), "CoordinatorKeys": [group]}),
        ("ConsumerGroupHeartbeat", 1, {"GroupId": group, "MemberId": member, "MemberEpoch": rnd.randrange(-2, 3), "RebalanceTimeoutMs": 1000,
                                       "SubscribedTopicNames": ["t"], "SubscribedTopicRegex": rnd.choice([None, "t.*", "(t|[u-z]+)"]),
                                       "TopicPartitions": []}),
        ("ConsumerGroupDescribe", 1, {"GroupIds": [group]}),
    ])


def test_long_client_id():
    """a client may call itself by 32,767 bytes, as in Kafka"""
    with raw.Client(server.bootstrap, client_id="c" * 32767) as client:
        tap.equal(client.call("Metadata", 9, {"Topics": []})["Topics"], [], "it gets its metadata")
        joined = client.call("JoinGroup", 3, join_body("longnames"))
        tap.equal(joined["ErrorCode"], NONE, "and joins a group")
        tap.matches("^c{200,}-", joined["MemberId"], "with a member id after it")
        client.call("LeaveGroup", 1, {"GroupId": "longnames", "MemberId": joined["MemberId"]})


def test_contradictions():
    """settings that contradict each other shut nobody out, and are told"""
    def join(group, timeout):
        with connect() as client:
            joined = client.call("JoinGroup", 3, {**join_body(group), "SessionTimeoutMs": timeout})
            client.call("LeaveGroup", 1, {"GroupId": group, "MemberId": joined["MemberId"]})
            return joined["ErrorCode"]

    server.sql("ALTER SYSTEM SET pgtopic.group_min_session_timeout = '60s'")
    server.sql("ALTER SYSTEM SET pgtopic.group_max_session_timeout = '30s'")
    server.sql("ALTER SYSTEM SET pgtopic.group_consumer_session_timeout = '4s'")
    server.sql("ALTER SYSTEM SET pgtopic.group_consumer_heartbeat_interval = '5s'")
    server.reload()
    deadline = time.monotonic() + 60
    while join("bounds", 30001) != INVALID_SESSION_TIMEOUT and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.equal(join("bounds", 30001), INVALID_SESSION_TIMEOUT, "the longest session timeout holds")
    tap.equal(join("bounds", 10000), NONE, "the shortest yields")
    with connect() as client:
        beat = client.call("ConsumerGroupHeartbeat", 0, {
            "GroupId": "heartbeats", "MemberId": str(uuid.uuid4()), "MemberEpoch": 0, "RebalanceTimeoutMs": 6000,
            "SubscribedTopicNames": ["t"], "TopicPartitions": []})
    tap.ok(0 < beat["HeartbeatIntervalMs"] < 4000, "heartbeats come within a session (%d ms)" % beat["HeartbeatIntervalMs"])
    for name in ("group_min_session_timeout", "group_consumer_heartbeat_interval"):
        tap.matches('WARNING:  "pgtopic.%s" is not applied' % name, server.log_text(), "%s: the log says so" % name)
    server.sql("ALTER SYSTEM RESET ALL")
    server.reload()


def subscribe(client, regex):
    return client.call("ConsumerGroupHeartbeat", 1, {
        "GroupId": "regex-%d" % time.monotonic_ns(), "MemberId": str(uuid.uuid4()), "MemberEpoch": 0, "RebalanceTimeoutMs": 5000,
        "SubscribedTopicNames": None, "SubscribedTopicRegex": regex, "TopicPartitions": []})


def test_slow_expressions():
    """regular expressions that would take minutes, to compile or to match"""
    server.sql("SELECT create_topic(repeat('a', 200) || i) FROM generate_series(1, 60) i")
    bystander = Bystander()
    with connect() as client:
        for regex, why in (("a?" * 1300, "compiling"), (".*" * 1500, "compiling"), ("(x*y*)*" * 500, "compiling"),
                           ("(a{1,255}){1,255}", "matching"), ("a{0,255}b{0,255}c{0,255}a{0,255}[0-9]{0,255}", "matching")):
            answer = subscribe(client, regex)
            tap.equal((answer["ErrorCode"], "takes too long" in (answer["ErrorMessage"] or "")), (INVALID_REGULAR_EXPRESSION, True),
                      "%.20s takes too long (%s)" % (regex, why))
        for regex in ("a+[0-9]+", "(t|u|v)?[a-z]*", "(t.*|u.*)*"):
            tap.equal(subscribe(client, regex)["ErrorCode"], NONE, regex + " does not")
    bystander.stop("slow expressions")
    server.sql("SELECT drop_topic(topic) FROM topics WHERE topic::text LIKE 'aaa%'")


def test_damage():
    """damaged requests: each gets an answer or the end of its connection"""
    seed = int(os.environ.get("PGTOPIC_SEED", "1"))
    rnd = random.Random(seed)
    bystander = Bystander()
    answered, closed, parked = damage.send_damaged(rnd, server.bootstrap, random_request, 4000, timeout=2)
    tap.ok(answered > 1500 and closed > 100 and parked < 40, "%d answered, %d closed, %d parked (seed %d)" % (answered, closed, parked, seed))
    bystander.stop("damaged requests")


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": 0, "pgtopic.group_memory": "%dMB" % MEMORY_MB,
                                  "pgtopic.group_consumer_session_timeout": "3s", "pgtopic.group_consumer_heartbeat_interval": "1s"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.sql("SELECT create_topic('t')")
    server.wait_listener()
    tap.main([test_flood_of_ids, test_flood_of_members, test_huge_metadata, test_never_synced, test_long_client_id, test_contradictions, test_slow_expressions,
              test_damage, test_connections_that_vanish])


main()
