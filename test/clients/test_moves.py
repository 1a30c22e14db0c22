#!/usr/bin/env python3
"""Connections that move between listeners, the control and the administration worker: order and bytes are kept
whatever is pipelined, cut or large; one that is busy, stopped or gone harms nobody who does not need it.
"""

import os
import random
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
LISTENERS = 3
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
    """the same in pieces of any size, so that a move finds half of a frame"""
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
    """a request of megabytes moves, and one moves back"""
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
    tap.ok("could not take over" not in server.log_text(), "no connection was lost on its way")


def test_ends():
    """peers that stop sending, go, or send what makes no sense, behind a request that moves"""
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
        tap.ok(answer["Topics"][0]["ErrorCode"] in (NONE, NOT_CONTROLLER), "a request in front of garbage is answered")
        tap.equal(end_of(c), b"", "and then the connection ends")
    with connect() as c:
        frame = c.request_bytes("CreateTopics", 2, create("cut"))
        c.socket.sendall(struct.pack(">i", len(frame) - 7) + frame[:-7])
        tap.equal(end_of(c), b"", "a damaged request of the control plane ends its connection")
    with connect() as c:
        tap.equal(c.call("ApiVersions", 0)["ErrorCode"], NONE, "others are served")


def test_fetch_before():
    """a long poll in front of a request that moves; acks=0 in front of one"""
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
            if worker is admin:
                idle.call("ApiVersions", 0)     # which a listener serves
            old = worker()
            os.kill(old, signal.SIGTERM)
            if worker is control:
                tap.equal(end_of(idle), b"", "its clients notice")
            else:
                tap.equal(idle.call("ApiVersions", 0)["ErrorCode"], NONE, "who is not being served does not notice")
            # one that has the signal and has not noticed would take the connection along
            deadline = time.monotonic() + 60
            while os.path.exists("/proc/%d" % old) and time.monotonic() < deadline:
                time.sleep(0.005)
            start = time.monotonic()
            answer = c.call(*call)
            tap.equal((answer["Topics"][0] if "Topics" in answer else answer)["ErrorCode"], good,
                      "a request waits for the next one (%.1f s)" % (time.monotonic() - start))
            tap.ok(worker() != old, "which is another process")


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


def test_moves_cost():
    """to and fro: what a move costs"""
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
        tap.note("DeleteTopics %d us, Fetch %d us, one after the other %d us: a move costs %d us"
                 % (there, here, both, (both - there - here) / 2))
        tap.ok(both < 50000, "a client that goes to and fro is served")


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
    tap.equal(failures[:3], [], "20 clients that go to and fro are served")


def test_nothing_left():
    """no descriptor and no crash is left behind"""
    time.sleep(0.5)
    pids = server.worker_pids("pgtopic (control|admin|listener)")
    tap.equal(len(pids), LISTENERS + 2, "all workers are up")
    sockets = [sum(os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith(("socket:", "/memfd")) for fd in os.listdir("/proc/%d/fd" % pid))
               for pid in pids]
    # an inbox each, one listening socket, the statistics' and the postmaster's
    tap.ok(max(sockets) <= 4, "no socket is left open: %s" % sockets)
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text() and "server process" not in server.log_text(),
           "no crash")


pg.demote()
server = pg.Cluster(settings={"pgtopic.listener_workers": LISTENERS, "pgtopic.group_initial_rebalance_delay": "1s"}).init().start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
with connect() as warm:
    while warm.call("CreateTopics", 2, create("warm"))["Topics"][0]["ErrorCode"] == NOT_CONTROLLER:
        pass
tap.main([test_pipeline, test_cuts, test_large, test_ends, test_fetch_before, test_dropped, test_parked, test_auto_create,
          test_busy, test_down, test_unreachable, test_moves_cost, test_everywhere, test_nothing_left])
