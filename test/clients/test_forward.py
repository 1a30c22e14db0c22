#!/usr/bin/env python3
"""Requests that listeners forward to the control and the administration worker: order and bytes are kept whatever is
pipelined, cut or large; a worker that is busy, stopped or gone harms nobody who does not need it, and costs no client
its connection.
"""

import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

NONE, UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, COORDINATOR_NOT_AVAILABLE, TOPIC_EXISTS, NOT_CONTROLLER, MEMBER_ID_REQUIRED = \
    0, 3, 5, 15, 36, 41, 79
UNKNOWN_MEMBER_ID = 25
LISTENERS = 3
MEMBERS = 1000
SEED = int(os.environ.get("SEED") or time.time() * 1000) & 0x7FFFFFFF

server = None


def connect(**more):
    return raw.Client(server.bootstrap, **more)


def control():
    return server.worker_pids("pgtopic control")[0]


def admin():
    return server.worker_pids("pgtopic admin")[0]


def create(name, **more):
    return {"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, **more}], "timeoutMs": 20000}


def metadata(name, auto_create=False):
    return {"Topics": [{"Name": name}], "AllowAutoTopicCreation": auto_create}


def produce(topic, value, acks=1):
    return {"Acks": acks, "TimeoutMs": 20000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, value)]).encode()}]}]}


def fetch(topic, offset, wait=0):
    return {"MaxWaitMs": wait, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [
        {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]}


def values_of(answer):
    data = answer["Responses"][0]["Partitions"][0]["Records"] or b""
    return [value for _, _, _, value, _ in raw.read_batches(data)]


def end_of(client):
    """What comes before the connection ends."""
    try:
        return client.socket.recv(1)
    except ConnectionError:
        return b""


def wire(client, requests):
    """All requests as one string of bytes; what is expected back."""
    data, expected = b"", []
    for api, version, body in requests:
        frame = client.request_bytes(api, version, body)
        data += struct.pack(">i", len(frame)) + frame
        if body.get("Acks") != 0:
            expected.append((api, version, client.correlation))
    return data, expected


def receive_all(client, expected):
    return [client.receive(api, version, correlation) for api, version, correlation in expected]


def mixture(topic, n, tag):
    """n rounds of requests of all planes on one connection, and what proves them served in order."""
    requests = []
    for i in range(n):
        requests += [("ApiVersions", 0, {}), ("CreateTopics", 2, create("%s-%d" % (tag, i))),
                     ("Produce", 3, produce(topic, b"%s-%d" % (tag.encode(), i))), ("Metadata", 4, metadata("%s-%d" % (tag, i))),
                     ("CreateTopics", 2, create("%s-%d" % (tag, i))), ("DeleteTopics", 1, {"TopicNames": ["%s-%d" % (tag, i)],
                                                                                          "TimeoutMs": 20000}),
                     ("Metadata", 4, metadata("%s-%d" % (tag, i)))]
    return requests


def check_mixture(answers, what):
    got = [(a[1]["Topics"][0]["ErrorCode"], a[3]["Topics"][0]["ErrorCode"], a[4]["Topics"][0]["ErrorCode"],
            a[5]["Responses"][0]["ErrorCode"], a[6]["Topics"][0]["ErrorCode"],
            a[2]["Responses"][0]["PartitionResponses"][0]["ErrorCode"])
           for a in (answers[i:i + 7] for i in range(0, len(answers), 7))]
    tap.equal(got, [(NONE, NONE, TOPIC_EXISTS, NONE, UNKNOWN_TOPIC, NONE)] * len(got), what)


def test_pipeline():
    """requests of all planes, sent in one go"""
    with connect() as c:
        c.call("CreateTopics", 2, create("pipe"))
        data, expected = wire(c, mixture("pipe", 20, "p"))
        c.socket.sendall(data)
        check_mixture(receive_all(c, expected), "140 pipelined requests were served in order")
        got = values_of(c.call("Fetch", 4, fetch("pipe", 0)))
        tap.equal(got, [b"p-%d" % i for i in range(20)], "what they produced is in order")


def test_cuts():
    """the same in pieces of any size"""
    rng = random.Random(SEED)
    tap.note("seed %d" % SEED)
    with connect() as c:
        data, expected = wire(c, mixture("pipe", 15, "c"))
        done = threading.Event()

        def send():
            at = 0
            while at < len(data):
                n = rng.choice([1, 2, 3, 5, 50, 200, 1000])
                c.socket.sendall(data[at:at + n])
                at += n
                if rng.random() < 0.2:
                    time.sleep(0.003)
            done.set()

        threading.Thread(target=send, daemon=True).start()
        check_mixture(receive_all(c, expected), "105 requests in random pieces were served in order")
        tap.ok(done.wait(10), "all was sent")


def test_large():
    """requests of megabytes to other workers and to the listener"""
    with connect() as c:
        # configs that make no sense, 6 MB of them
        configs = [{"Name": "x" * 30000, "Value": "y"} for _ in range(200)]
        small = ("CreateTopics", 2, create("large"))
        data, expected = wire(c, [("CreateTopics", 2, create("bad", Configs=configs)), small,
                                  ("Produce", 3, produce("large", os.urandom(900000))),
                                  ("CreateTopics", 2, create("bad2", Configs=configs)),
                                  ("Produce", 3, produce("large", b"end"))])
        c.socket.sendall(data)
        bad, good, first, bad2, last = receive_all(c, expected)
        tap.ok(bad["Topics"][0]["ErrorCode"] == bad2["Topics"][0]["ErrorCode"] == 40, "6 MB of bad configs are an error of the topic")
        tap.equal(good["Topics"][0]["ErrorCode"], NONE, "the topic behind it was created")
        tap.equal([a["Responses"][0]["PartitionResponses"][0]["ErrorCode"] for a in (first, last)], [NONE, NONE],
                  "large and small batches came through")
        tap.equal(len(values_of(c.call("Fetch", 4, fetch("large", 0)))[0]), 900000, "and are there")
    tap.ok("could not" not in server.log_text(), "nothing was lost on its way")


def test_ends():
    """peers that stop sending, go, or send what makes no sense, behind a request that is forwarded"""
    with connect() as c:
        c.send("CreateTopics", 2, create("half"))
        c.socket.shutdown(socket.SHUT_WR)
        answer = c.receive("CreateTopics", 2)
        tap.equal(answer["Topics"][0]["ErrorCode"], NONE, "a peer that sends no more gets its answer")
        tap.equal(c.socket.recv(1), b"", "and the end of the connection")
    for n in range(50):
        c = connect()
        c.send("DeleteTopics", 1, {"TopicNames": ["gone-%d" % n], "TimeoutMs": 1000})
        c.close()
    with connect() as c:
        frame = c.request_bytes("CreateTopics", 2, create("oversize"))
        c.socket.sendall(struct.pack(">i", len(frame)) + frame + struct.pack(">i", -2) + b"garbage")
        answer = c.receive("CreateTopics", 2)
        tap.equal(answer["Topics"][0]["ErrorCode"], NONE, "a request in front of garbage is answered")
        tap.equal(end_of(c), b"", "and then the connection ends")
    with connect() as c:
        frame = c.request_bytes("CreateTopics", 2, create("cut"))
        c.socket.sendall(struct.pack(">i", len(frame) - 7) + frame[:-7])
        tap.equal(end_of(c), b"", "a damaged request of the administration plane ends its connection")
    with connect(client_id="cutter") as c:
        c.call("ListGroups", 1)
        good, bad = (c.request_bytes("Heartbeat", 1, {"GroupId": "g", "MemberId": "m"}) for _ in range(2))
        c.socket.sendall(b"".join(struct.pack(">i", len(f)) + f for f in (good, bad[:-3], good)))
        tap.equal(c.receive("Heartbeat", 1)["ErrorCode"], UNKNOWN_MEMBER_ID, "what is in front of a damaged one is answered")
        tap.equal(end_of(c), b"", "and that is the end")
        tap.equal(len([line for line in server.log_text().splitlines() if '"cutter"' in line and "Heartbeat request" in line]), 1,
                  "of which the log has one line")
    with connect() as c:
        tap.equal(c.call("ApiVersions", 0)["ErrorCode"], NONE, "others are served")


def test_fetch_before():
    """a long poll in front of a request that is forwarded; acks=0 in front of one"""
    with connect() as c, connect() as other:
        c.call("CreateTopics", 2, create("poll"))
        data, expected = wire(c, [("Fetch", 4, fetch("poll", 0, wait=20000)), ("CreateTopics", 2, create("poll2")),
                                  ("Produce", 3, produce("poll", b"0", acks=0)), ("CreateTopics", 2, create("poll3"))])
        c.socket.sendall(data)
        time.sleep(0.3)
        tap.equal(other.call("Metadata", 4, metadata("poll2"))["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC,
                  "what is behind a long poll waits")
        other.call("Produce", 3, produce("poll", b"a"))
        polled, created, created3 = receive_all(c, expected)
        tap.equal(values_of(polled), [b"a"], "the long poll ends with the record")
        tap.equal([a["Topics"][0]["ErrorCode"] for a in (created, created3)], [NONE, NONE], "what was behind it is served")
        tap.equal(values_of(c.call("Fetch", 4, fetch("poll", 0))), [b"a", b"0"], "acks=0 was not lost on the way")


def test_behind_produce():
    """a produce that waits: another one may be handled, a request that is forwarded waits until it is answered"""
    with connect() as c, connect() as other:
        c.call("CreateTopics", 2, create("held"))
        session = server.session()
        session.sql("BEGIN; SELECT append('held:0', 'first'::text)")
        data, expected = wire(c, [("Produce", 3, produce("held", b"second")), ("Produce", 3, produce("pipe", b"beside")),
                                  ("CreateTopics", 2, create("behind")), ("Metadata", 4, metadata("behind"))])
        before = int(server.sql("SELECT log_end('pipe:0')"))
        c.socket.sendall(data)
        eventually(lambda: server.sql("SELECT log_end('pipe:0')"), str(before + 1), "what is behind a produce that waits is produced")
        for _ in range(3):      # turns of the listener
            tap.equal(other.call("Metadata", 4, metadata("behind"))["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC, "a topic behind it is not created")
        session.sql("COMMIT")
        session.close()
        first, beside, created, found = receive_all(c, expected)
        tap.equal([first["Responses"][0]["PartitionResponses"][0]["BaseOffset"], beside["Responses"][0]["PartitionResponses"][0]["ErrorCode"],
                   created["Topics"][0]["ErrorCode"], found["Topics"][0]["ErrorCode"]], [1, NONE, NONE, NONE], "then all are answered in order")


def join(group, member):
    return {"GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 60000, "MemberId": member,
            "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"\0\0\0\0\0\0\0\0\0\0"}]}


def test_parked():
    """requests behind a JoinGroup wait for its answer; peers that leave while it waits"""
    with connect() as c:
        member = c.call("JoinGroup", 5, join("parked", ""))["MemberId"]
        data, expected = wire(c, [("JoinGroup", 5, join("parked", member)), ("ApiVersions", 0, {}),
                                  ("Produce", 3, produce("pipe", b"behind")),
                                  ("Heartbeat", 1, {"GroupId": "parked", "GenerationId": 1, "MemberId": member}),
                                  ("Metadata", 4, metadata("pipe"))])
        start = time.monotonic()
        c.socket.sendall(data)
        answers = [receive_all(c, expected[:1])[0]]
        tap.ok(time.monotonic() - start > 0.5, "a join of a new group waits for others (%.1f s)" % (time.monotonic() - start))
        answers += receive_all(c, expected[1:])
        tap.equal((answers[0]["ErrorCode"], answers[2]["Responses"][0]["PartitionResponses"][0]["ErrorCode"],
                   answers[4]["Topics"][0]["ErrorCode"]), (NONE, NONE, NONE), "what is behind it is served in order, in both planes")
    with connect() as c:
        member = c.call("JoinGroup", 5, join("parked-half", ""))["MemberId"]
        c.send("JoinGroup", 5, join("parked-half", member))
        c.socket.shutdown(socket.SHUT_WR)
        c.receive("JoinGroup", 5)
        tap.equal(c.socket.recv(1), b"", "a member that sends no more gets an answer, and the end")
    for n in range(20):
        c = connect(client_id="leaver")
        member = c.call("JoinGroup", 5, join("parked-gone", ""))["MemberId"]
        c.send("JoinGroup", 5, join("parked-gone", member))
        c.close()
    deadline = time.monotonic() + 10
    while (left := server.sql("SELECT count(*) FROM clients WHERE client_id = 'leaver'")) != "0" and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.equal(left, "0", "members that go while they wait leave no connection")
    with connect() as c:
        member = c.call("JoinGroup", 5, join("parked-after", ""))["MemberId"]
        tap.equal(c.call("JoinGroup", 5, join("parked-after", member))["ErrorCode"], NONE, "others join")


def test_dropped():
    """a long poll on a log that ends is answered at once"""
    with connect() as c, connect() as other:
        c.call("CreateTopics", 2, create("short"))
        c.send("Fetch", 4, fetch("short", 0, wait=20000))
        time.sleep(0.3)
        start = time.monotonic()
        server.sql("TRUNCATE topics.short")
        other.call("Produce", 3, produce("short", b"new"))
        tap.equal(values_of(c.receive("Fetch", 4)), [b"new"], "who waits when a topic is truncated gets what comes then")
        c.send("Fetch", 4, fetch("short", 1, wait=20000))
        time.sleep(0.3)
        server.sql("BEGIN; DROP TABLE topics.short; ROLLBACK")
        server.sql("SELECT drop_topic('short')")
        answer = c.receive("Fetch", 4)["Responses"][0]["Partitions"][0]
        tap.equal(answer["ErrorCode"], UNKNOWN_TOPIC, "who waits when it is dropped is told")
        tap.ok(time.monotonic() - start < 10, "before the deadline (%.1f s)" % (time.monotonic() - start))


def test_auto_create():
    """topics are created on demand in the administration worker"""
    with connect() as c:
        answer = c.call("Metadata", 4, metadata("demanded", auto_create=True))
        tap.equal(answer["Topics"][0]["ErrorCode"], NONE, "a topic is created on demand")
        c.call("Produce", 3, produce("demanded", b"x"))
        tap.equal(values_of(c.call("Fetch", 4, fetch("demanded", 0))), [b"x"], "and is there")
        os.kill(admin(), signal.SIGSTOP)
        try:
            start = time.monotonic()
            answer = c.call("Metadata", 4, metadata("undemanded"))
            tap.equal(answer["Topics"][0]["ErrorCode"], UNKNOWN_TOPIC, "without demand it is not")
            tap.ok(time.monotonic() - start < 2, "which takes no administration worker")
            c.send("Metadata", 4, metadata("demanded2", auto_create=True))
            c.socket.settimeout(0.5)
            try:
                c.receive("Metadata", 4)
                tap.ok(False, "creating takes the administration worker")
            except TimeoutError:
                tap.ok(True, "creating takes the administration worker")
        finally:
            os.kill(admin(), signal.SIGCONT)
        c.socket.settimeout(30)
        tap.equal(c.receive("Metadata", 4)["Topics"][0]["ErrorCode"], NONE, "and is done when that is there")


def test_busy():
    """an administration worker that does nothing: its inbox fills, nobody else notices, nothing is lost"""
    waiting = [connect() for _ in range(60)]
    with connect() as c:
        c.call("CreateTopics", 2, create("busy"))
        c.call("Produce", 3, produce("busy", b"-"))
        os.kill(admin(), signal.SIGSTOP)
        try:
            for n, w in enumerate(waiting):
                w.send("CreateTopics", 2, create("busy-%d" % n))
                w.send("Produce", 3, produce("busy", b"%d" % n))
            slowest = 0
            for n in range(200):
                start = time.monotonic()
                c.call("Produce", 3, produce("busy", b"-"))
                slowest = max(slowest, time.monotonic() - start)
            tap.equal(c.call("JoinGroup", 5, join("busy", ""))["ErrorCode"], MEMBER_ID_REQUIRED, "groups are served, too")
            tap.ok(slowest < 1, "200 records are produced meanwhile, the slowest in %d ms" % (slowest * 1000))
            time.sleep(6)   # longer than one that is down would be waited for
        finally:
            os.kill(admin(), signal.SIGCONT)
        answers = [(w.receive("CreateTopics", 2)["Topics"][0]["ErrorCode"],
                    w.receive("Produce", 3)["Responses"][0]["PartitionResponses"][0]["ErrorCode"]) for w in waiting]
        tap.equal(answers, [(NONE, NONE)] * len(waiting), "then all 60 that waited are served")
    for w in waiting:
        w.close()


def test_down():
    """the control and the administration worker end, and come back by themselves"""
    for worker, idle_call, call, good in (
            (control, ("JoinGroup", 5, join("after", "")), ("JoinGroup", 5, join("after", "")), MEMBER_ID_REQUIRED),
            (admin, ("DeleteTopics", 1, {"TopicNames": ["none"], "TimeoutMs": 1000}), ("CreateTopics", 2, create("after")), NONE)):
        with connect() as c, connect() as idle:
            idle.call(*idle_call)
            old = worker()
            end(old)
            tap.equal(idle.call("ApiVersions", 0)["ErrorCode"], NONE, "who is not being served does not notice")
            for who, what in ((c, "a request"), (idle, "the next request of one that had been there")):
                start = time.monotonic()
                answer = who.call(*call)
                tap.ok((answer["Topics"][0] if "Topics" in answer else answer)["ErrorCode"] in (good, TOPIC_EXISTS),
                       "%s waits for the next worker (%.1f s)" % (what, time.monotonic() - start))
            tap.ok(worker() != old, "which is another process")


def end(pid, sig=signal.SIGTERM):
    """Ends a worker, and waits until it is no more."""
    os.kill(pid, sig)
    deadline = time.monotonic() + 60
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
        time.sleep(0.005)


def test_end_amid():
    """the control worker ends while requests wait in it: their clients are told, and go on by the same connection"""
    clients = [connect(client_id="amid-%d" % n) for n in range(30)]
    members = []
    for n, c in enumerate(clients):
        members.append(c.call("JoinGroup", 5, join("amid-%d" % n, ""))["MemberId"])
    old = control()
    os.kill(old, signal.SIGSTOP)
    for n, c in enumerate(clients):
        data, expected = wire(c, [("JoinGroup", 5, join("amid-%d" % n, members[n])), ("Produce", 3, produce("pipe", b"behind")),
                                  ("FindCoordinator", 2, {"Key": "amid"})])
        c.socket.sendall(data)
        clients[n] = (c, expected)
    eventually(lambda: server.sql("SELECT count(*) FROM clients WHERE client_id LIKE 'amid-%' AND api = 'JoinGroup'"), "30",
               "all of them join")
    os.kill(old, signal.SIGTERM)
    os.kill(old, signal.SIGCONT)
    answers = [receive_all(*who) for who in clients]
    tap.equal([a[0]["ErrorCode"] for a in answers], [COORDINATOR_NOT_AVAILABLE] * 30, "all are told to try again")
    tap.equal([(a[1]["Responses"][0]["PartitionResponses"][0]["ErrorCode"], a[2]["ErrorCode"]) for a in answers],
              [(NONE, NONE)] * 30, "what was behind is served")
    for n, (c, _) in enumerate(clients):
        c.send("JoinGroup", 5, join("amid-%d" % n, ""))
    tap.equal([c.receive("JoinGroup", 5)["ErrorCode"] for c, _ in clients], [MEMBER_ID_REQUIRED] * 30,
              "they join by the same connections")
    for c, _ in clients:
        c.close()


def eventually(ask, expected, what, seconds=60):
    deadline = time.monotonic() + seconds
    while (got := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.equal(got, expected, what)


def sockets_of(pid):
    found = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found += os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")
        except FileNotFoundError:
            pass
    return found


def listeners():
    return server.worker_pids("pgtopic listener")


def test_members():
    """a thousand members of as many groups, whose coordinator ends"""
    eventually(lambda: server.sql("SELECT count(*) FROM clients"), "0", "nobody is there yet")
    before = [sockets_of(pid) for pid in listeners()]
    clients = [connect(client_id="member-%d" % n, timeout=120) for n in range(MEMBERS)]

    def all_call(api, version, bodies):
        for c, body in zip(clients, bodies):
            c.send(api, version, body)
        return [c.receive(api, version) for c in clients]

    def all_join():
        ids = [a["MemberId"] for a in all_call("JoinGroup", 5, [join("m-%d" % n, "") for n in range(MEMBERS)])]
        joined = all_call("JoinGroup", 5, [join("m-%d" % n, i) for n, i in enumerate(ids)])
        tap.equal({a["ErrorCode"] for a in joined}, {NONE}, "%d members join" % MEMBERS)
        all_call("SyncGroup", 1, [{"GroupId": "m-%d" % n, "GenerationId": a["GenerationId"], "MemberId": ids[n],
                                   "Assignments": [{"MemberId": ids[n], "Assignment": b"mine"}]} for n, a in enumerate(joined)])
        return [{"GroupId": "m-%d" % n, "GenerationId": a["GenerationId"], "MemberId": ids[n]} for n, a in enumerate(joined)]

    me = all_join()
    for _ in range(3):
        errors = {a["ErrorCode"] for a in all_call("Heartbeat", 1, me)}
    tap.equal(errors, {NONE}, "their heartbeats are answered")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT client_id), count(DISTINCT pid) FROM clients WHERE client_id LIKE 'member-%'"),
              "%d|%d|%d" % (MEMBERS, MEMBERS, LISTENERS), "each is one client, of a listener")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT client_host) FROM group_members WHERE group_id LIKE 'm-%'"),
              "%d|1" % MEMBERS, "the control worker knows their hosts")
    grown = sum(sockets_of(pid) for pid in listeners()) - sum(before)
    tap.ok(2 * MEMBERS <= grown < 2 * MEMBERS + 50, "two sockets for each: %d" % grown)
    clients.sort(key=lambda c: c.client_id)
    me.sort(key=lambda m: m["GroupId"])
    end(control())
    errors = {a["ErrorCode"] for a in all_call("Heartbeat", 1, me)}
    tap.ok(errors <= {COORDINATOR_NOT_AVAILABLE, UNKNOWN_MEMBER_ID}, "without it they are told so: %s" % errors)
    for c in clients:
        while c.call("Heartbeat", 1, me[0])["ErrorCode"] == COORDINATOR_NOT_AVAILABLE:
            time.sleep(0.05)
    me = all_join()
    tap.equal({a["ErrorCode"] for a in all_call("Heartbeat", 1, me)}, {NONE}, "they go on by the same connections")
    all_call("LeaveGroup", 1, [{"GroupId": m["GroupId"], "MemberId": m["MemberId"]} for m in me])
    for c in clients:
        c.close()
    eventually(lambda: server.sql("SELECT count(*) FROM clients WHERE client_id LIKE 'member-%'"), "0", "they have gone")
    eventually(lambda: [sockets_of(pid) for pid in listeners()], before, "and their sockets with them")


def commit(topic, offset):
    return {"GroupId": "mix", "GenerationIdOrMemberEpoch": -1, "MemberId": "",
            "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": offset}]}]}


def test_mix():
    """produce, fetch, commit and administration on one connection, in one go"""
    with connect(timeout=120) as c:
        c.call("CreateTopics", 2, create("mix"))
        requests = []
        for i in range(40):
            requests += [("Produce", 3, produce("mix", b"%d" % i)), ("OffsetCommit", 2, commit("mix", i)),
                         ("Fetch", 4, fetch("mix", 2 * i)), ("Produce", 3, produce("mix", b"%d" % i, acks=0)),
                         ("OffsetFetch", 1, {"GroupId": "mix", "Topics": [{"Name": "mix", "PartitionIndexes": [0]}]}),
                         ("CreatePartitions", 0, {"Topics": [{"Name": "mix", "Count": i + 2, "Assignments": None}], "TimeoutMs": 20000}),
                         ("Metadata", 4, metadata("mix")), ("ListGroups", 1, {})]
        data, expected = wire(c, requests)
        c.socket.sendall(data)
        answers = receive_all(c, expected)
        got = [(a[0]["Responses"][0]["PartitionResponses"][0]["BaseOffset"], a[1]["Topics"][0]["Partitions"][0]["ErrorCode"],
                values_of(a[2]), a[3]["Topics"][0]["Partitions"][0]["CommittedOffset"], a[4]["Results"][0]["ErrorCode"],
                len(a[5]["Topics"][0]["Partitions"]), a[6]["ErrorCode"]) for a in (answers[i:i + 7] for i in range(0, len(answers), 7))]
        tap.equal(got, [(2 * i, NONE, [b"%d" % i], i, NONE, i + 2, NONE) for i in range(40)],
                  "each of 320 requests saw what those before it did")


def test_deaf():
    """a client that does not take its answers: what it asks for waits, and others are served"""
    n = 400
    names = [{"Name": "deaf-%d" % i, "NumPartitions": 1, "ReplicationFactor": 1} for i in range(60)]
    with connect(timeout=120) as deaf, connect(timeout=120) as other:
        other.call("CreateTopics", 2, {"Topics": names, "timeoutMs": 100000})
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        server.sql("SELECT reset_listener_stats()")
        body = {"Resources": [{"ResourceType": 2, "ResourceName": t["Name"]} for t in names]}
        data, expected = wire(deaf, [("DescribeConfigs", 1, body)] * n)
        sender = threading.Thread(target=deaf.socket.sendall, args=(data,), daemon=True)
        sender.start()

        def served():
            """Requests, and bytes of their answers"""
            return server.sql("SELECT requests, bytes_sent FROM listener_stats WHERE api = 'DescribeConfigs'")

        before, now = "-", served()
        while now != before or not now:
            time.sleep(0.5)
            before, now = now, served()
        requests, size = (int(x) for x in now.split("|"))
        kept = size - queued(deaf.socket)
        tap.ok(0 < requests < n and kept < 2 << 20, "%d of its %d requests were served, and %d bytes of the answers are ours" % (requests, n, kept))
        tap.equal(other.call("JoinGroup", 5, join("deaf", ""))["ErrorCode"], MEMBER_ID_REQUIRED, "others are")
        answers = receive_all(deaf, expected)
        tap.equal({len(a["Results"]) for a in answers}, {60}, "when it listens it gets all")
        sender.join(60)
        tap.ok(not sender.is_alive(), "and all was sent")


def queued(sock):
    """Bytes on their way to this end of a connection, by the kernel's table of sockets"""
    port, peer = sock.getsockname()[1], sock.getpeername()[1]
    found = 0
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.read().splitlines()[1:]:
            ports = [int(address.split(":")[1], 16) for address in line.split()[1:3]]
            if sorted(ports) == sorted([port, peer]):
                found += sum(int(n, 16) for n in line.split()[4].split(":"))
    return found


def test_descriptors():
    """a listener without descriptors: an error to try again after, and all else goes on"""
    with connect(client_id="fifth") as c:
        c.call("ApiVersions", 0)
        pid = int(server.sql("SELECT pid FROM clients WHERE client_id = 'fifth'"))
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = {int(fd) for fd in os.listdir("/proc/%d/fd" % pid)}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(10000)) - used), limit[1]))
        try:
            tap.equal(c.call("JoinGroup", 5, join("fifth", ""))["ErrorCode"], COORDINATOR_NOT_AVAILABLE, "no group can be joined")
            tap.equal(c.call("CreateTopics", 2, create("fifth"))["Topics"][0]["ErrorCode"], NOT_CONTROLLER, "nor a topic created")
            tap.equal(c.call("ApiVersions", 0)["ErrorCode"], NONE, "what needs none is served")
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        tap.matches('could not forward a request of Kafka client "fifth".*Too many open files', server.log_text(), "the log says why")
        tap.equal(c.call("JoinGroup", 5, join("fifth", ""))["ErrorCode"], MEMBER_ID_REQUIRED, "with descriptors all is well")


def test_changed():
    """what is known of a client changes: other workers hear of it"""
    with connect(client_id="before") as c:
        c.call("ListGroups", 1)
        inodes = far_sockets()
        c.call("ListGroups", 1)
        tap.equal(far_sockets(), inodes, "a connection to the control worker is used again")
        c.call("ApiVersions", 3, {"ClientSoftwareName": "changed", "ClientSoftwareVersion": "2"})
        tap.equal(c.call("ListGroups", 1)["ErrorCode"], NONE, "its requests go on")
        tap.ok(far_sockets() != inodes, "by another connection")


def far_sockets():
    """The sockets that the control worker has, but for those of all workers."""
    pid = control()
    return {link for fd in os.listdir("/proc/%d/fd" % pid) if (link := os.readlink("/proc/%d/fd/%s" % (pid, fd))).startswith("socket:")}


def test_unreachable():
    """workers that cannot be reached: errors to try again after, and all else goes on"""
    for n in (LISTENERS, LISTENERS + 1):
        os.unlink("%s/pg_stat_tmp/pgtopic_listener.%d" % (server.data, n))
    with connect() as c:
        start = time.monotonic()
        data, expected = wire(c, [("CreateTopics", 2, create("unreachable")), ("Produce", 3, produce("busy", b"behind"))])
        c.socket.sendall(data)
        created, produced = receive_all(c, expected)
        tap.equal(created["Topics"][0]["ErrorCode"], NOT_CONTROLLER, "after %.1f s a request is refused" % (time.monotonic() - start))
        tap.ok(4 < time.monotonic() - start < 15, "not before some seconds")
        tap.equal(produced["Responses"][0]["PartitionResponses"][0]["ErrorCode"], NONE, "what is behind it is served")
        c.call("JoinGroup", 5, join("unreachable", ""))
        start = time.monotonic()
        tap.equal([c.call("JoinGroup", 5, join("unreachable", ""))["ErrorCode"],
                   c.call("FindCoordinator", 2, {"Key": "unreachable"})["ErrorCode"] in (NONE, COORDINATOR_NOT_AVAILABLE),
                   c.call("Metadata", 4, metadata("unreachable", auto_create=True))["Topics"][0]["ErrorCode"]],
                  [COORDINATOR_NOT_AVAILABLE, True, LEADER_NOT_AVAILABLE], "groups and topics on demand have errors of their own")
        tap.ok(time.monotonic() - start < 2, "which come at once now")
        tap.equal(c.call("Metadata", 4, metadata("busy"))["Topics"][0]["ErrorCode"], NONE, "what needs none of them is served")
        for worker in (control, admin):
            os.kill(worker(), signal.SIGTERM)
        deadline = time.monotonic() + 20
        while (code := c.call("CreateTopics", 2, create("unreachable"))["Topics"][0]["ErrorCode"]) == NOT_CONTROLLER \
                and time.monotonic() < deadline:
            time.sleep(0.1)
        tap.equal(code, NONE, "when they are back, so is all")


def test_cost():
    """what forwarding costs"""
    with connect() as c:
        c.call("CreateTopics", 2, create("cost"))
        delete = ("DeleteTopics", 1, {"TopicNames": ["none"], "TimeoutMs": 1000})
        get = ("Fetch", 4, fetch("cost", 0))

        def measure(requests, rounds):
            start = time.monotonic()
            for _ in range(rounds):
                for r in requests:
                    c.call(*r)
            return (time.monotonic() - start) / rounds * 1e6

        measure([delete, get], 50)
        there = measure([delete], 300)
        here = measure([get], 300)
        both = measure([delete, get], 300)
        tap.note("DeleteTopics %d us, Fetch %d us, one after the other %d us" % (there, here, both))
        tap.ok(both > 0, "a client that asks both workers in turn is served")


def test_everywhere():
    """many clients of all kinds at once, on all listeners"""
    failures = []

    def run(n):
        rng = random.Random(SEED + n)
        try:
            with connect() as c:
                for i in range(6):
                    data, expected = wire(c, mixture("pipe", rng.randint(1, 3), "e%d-%d" % (n, i)))
                    c.socket.sendall(data)
                    answers = receive_all(c, expected)
                    bad = [a for a in answers if any(t["ErrorCode"] not in (NONE, TOPIC_EXISTS, UNKNOWN_TOPIC)
                                                     for t in a.get("Topics", []))]
                    failures.extend(bad)
        except Exception as problem:    # pylint: disable=broad-except
            failures.append(problem)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    tap.ok(not any(t.is_alive() for t in threads), "all ended")
    tap.equal(failures[:3], [], "20 clients that ask all workers are served")


def test_nothing_left():
    """no descriptor and no crash is left behind"""
    time.sleep(0.5)
    pids = server.worker_pids("pgtopic (control|admin|listener)")
    tap.equal(len(pids), LISTENERS + 2, "all workers are up")
    sockets = [sockets_of(pid) for pid in pids]
    # an inbox each, one listening socket, the statistics' and the postmaster's
    tap.ok(max(sockets) <= 4, "no socket is left open: %s" % sockets)
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text() and "server process" not in server.log_text(),
           "no crash")


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
pg.demote()
server = pg.Cluster(settings={"pgtopic.listener_workers": LISTENERS, "pgtopic.group_initial_rebalance_delay": "1s"}).init().start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
with connect() as warm:
    while warm.call("CreateTopics", 2, create("warm"))["Topics"][0]["ErrorCode"] == NOT_CONTROLLER:
        pass
tap.main([test_pipeline, test_mix, test_cuts, test_large, test_ends, test_fetch_before, test_behind_produce, test_dropped, test_parked, test_auto_create,
          test_busy, test_deaf, test_changed, test_descriptors, test_down, test_end_amid, test_members, test_unreachable, test_cost,
          test_everywhere, test_nothing_left])
