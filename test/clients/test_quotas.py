#!/usr/bin/env python3
"""Quotas: what is counted, who is throttled, and what their two APIs say.

By a client that encodes from Kafka's own specs.  Several listeners serve it.  Nothing here measures a time: a throttle time is what
an answer says, a counter what the view quota_usage has.
"""

import glob
import os
import re
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

NONE, NOT_ALLOWED, UNSUPPORTED, INVALID_REQUEST, THROTTLED = 0, 31, 35, 42, 89
EXACT, DEFAULT, ANY = 0, 1, 2
server = admin = None


def connect(client_id="raw"):
    return raw.Client(server.bootstrap, timeout=60, client_id=client_id)


def quotas(entity, **values):
    """As SQL sets them; a value None removes one."""
    given = ", ".join('"%s": %s' % (k, "null" if v is None else v) for k, v in values.items())
    server.sql("SELECT set_quotas('%s', '{%s}')" % (entity, given))


def drop_all():
    server.sql("DELETE FROM quota_definitions")


def usage(quota, columns="total", **names):
    where = " AND ".join(['quota = \'%s\'' % quota] + ['"%s" %s' % (k, "IS NULL" if v is None else "= '%s'" % v) for k, v in names.items()])
    return server.sql("SELECT %s FROM quota_usage WHERE %s" % (columns, where))


def produce(client, size=1000, topic="plain", version=9, acks=-1):
    return client.call("Produce", version, rawtest.produce_body(topic, "x" * size, acks=acks))


# --- the APIs

def alter(entity, ops, dry=False, version=1):
    """Error code and message of one entry."""
    got = admin.call("AlterClientQuotas", version, {"Entries": [
        {"Entity": [{"EntityType": t, "EntityName": n} for t, n in entity],
         "Ops": [{"Key": k, "Value": v or 0, "Remove": v is None} for k, v in ops]}], "ValidateOnly": dry})["Entries"][0]
    return got["ErrorCode"], got["ErrorMessage"]


def describe(*components, strict=False, version=1):
    """{entity: {quota: value}}, or the error code."""
    got = admin.call("DescribeClientQuotas", version, {"Components": [
        {"EntityType": t, "MatchType": m, "Match": n} for t, m, n in components], "Strict": strict})
    if got["ErrorCode"] != NONE:
        return got["ErrorCode"]
    return {tuple((e["EntityType"], e["EntityName"]) for e in entry["Entity"]): {v["Key"]: v["Value"] for v in entry["Values"]}
            for entry in got["Entries"]}


def test_alter():
    """what is written, and what is refused"""
    drop_all()
    for version in (0, 1):
        tap.equal(alter([("user", "ann")], [("producer_byte_rate", 1000.0), ("request_percentage", 12.5)], dry=True, version=version),
                  (NONE, None), "dry run, version %d" % version)
        tap.equal(server.sql("SELECT count(*) FROM client_quotas"), "0", "changes nothing")
        tap.equal(alter([("user", "ann")], [("producer_byte_rate", 1000.0), ("request_percentage", 12.5)], version=version), (NONE, None), "set")
        tap.equal(server.sql("SELECT entity, quota, value FROM client_quotas ORDER BY quota"),
                  '{"user": "ann"}|producer_byte_rate|1000\n{"user": "ann"}|request_percentage|12.5', "is a row each")
        tap.equal(alter([("user", "ann")], [("producer_byte_rate", None), ("request_percentage", None), ("consumer_byte_rate", None)],
                        version=version), (NONE, None), "remove, also what is not there")
        tap.equal(server.sql("SELECT count(*) FROM client_quotas"), "0", "is gone")
    long_id, nul = "c" * 255, "a\0b"
    rate = [("producer_byte_rate", 5.0)]
    tap.equal(alter([("client-id", long_id)], rate), (NONE, None), "a long client id")
    for what, entity, ops, pattern in (
            ("no entity", [], rate, "empty client quota entity"),
            ("unknown type", [("group", "g")], rate, "Unhandled client quota entity type: group"),
            ("twice", [("user", "a"), ("user", "b")], rate, "duplicate entity entry user"),
            ("empty name", [("user", "")], rate, "Empty user not supported"),
            ("long user", [("user", "u" * 64)], rate, "63 bytes"),
            ("long client id", [("client-id", "c" * 256)], rate, "255 bytes"),
            ("client id with other letters", [("client-id", "\u00e9")], rate, "printable ASCII"),
            ("a zero byte", [("user", nul)], rate, "not valid text"),
            ("address and user", [("ip", "10.0.0.1"), ("user", "a")], rate, "IP entity should not be used"),
            ("no address", [("ip", "example.org")], [("connection_creation_rate", 5.0)], "not a valid IP address"),
            ("of an address", [("ip", "10.0.0.1")], rate, "Invalid configuration key producer_byte_rate"),
            ("not of an address", [("user", "a")], [("connection_creation_rate", 5.0)], "Invalid configuration key"),
            ("unknown quota", [("user", "a")], [("flow", 5.0)], "Invalid configuration key flow"),
            ("zero", [("user", "a")], [("producer_byte_rate", 0.0)], "must be greater than 0"),
            ("negative", [("user", "a")], [("producer_byte_rate", -1.0)], "must be greater than 0"),
            ("not a number", [("user", "a")], [("request_percentage", float("nan"))], "must be greater than 0"),
            ("infinite", [("user", "a")], [("request_percentage", float("inf"))], "must be greater than 0"),
            ("fraction", [("user", "a")], [("consumer_byte_rate", 1.5)], "cannot be a fractional value"),
            ("too large", [("user", "a")], [("consumer_byte_rate", 1e19)], "too large for a LONG"),
            ("too large, of an address", [("ip", None)], [("connection_creation_rate", 3e9)], "too large for an INT"),
            ("a wrong one beside a good one", [("user", "a")], [("producer_byte_rate", 7.0), ("flow", 5.0)], "flow")):
        for dry in (True, False):
            code, message = alter(entity, ops, dry=dry)
            tap.ok(code == INVALID_REQUEST and pattern in (message or ""), "%s: %s, %s" % (what, code, message))
    for entity in ({"EntityType": "user", "EntityName": b"\xff\xfe"}, {"EntityType": b"\xff\xfe", "EntityName": "a"}):
        admin.send("AlterClientQuotas", 1, {"Entries": [{"Entity": [entity], "Ops": [{"Key": "producer_byte_rate", "Value": 5}]}]})
        tap.ok(b"not valid text" in admin.receive_frame(), "bytes that are no text")
    tap.equal(server.sql("SELECT quota, value FROM client_quotas"), "producer_byte_rate|5", "nothing of that was written")
    got = admin.call("AlterClientQuotas", 1, {"Entries": [
        {"Entity": [{"EntityType": "user", "EntityName": "a"}], "Ops": [{"Key": "producer_byte_rate", "Value": 1, "Remove": False}]},
        {"Entity": [], "Ops": []},
        {"Entity": [{"EntityType": "user", "EntityName": "a"}], "Ops": [{"Key": "producer_byte_rate", "Value": 2, "Remove": False}]}],
        "ValidateOnly": False})["Entries"]
    tap.equal([e["ErrorCode"] for e in got], [NONE, INVALID_REQUEST, NONE], "entries have errors of their own")
    tap.equal(got[2]["Entity"], [{"EntityType": "user", "EntityName": "a"}], "and their entities")
    tap.equal(server.sql("SELECT value FROM client_quotas WHERE entity = '{\"user\": \"a\"}'"), "2", "the last of an entity counts")


def test_describe():
    """what filters match"""
    drop_all()
    user, client, rate = ("user", "ann"), ("client-id", "app"), "producer_byte_rate"
    entities = [[user], [("user", None)], [client], [("client-id", None)], [user, client], [user, ("client-id", None)],
                [("user", None), ("client-id", None)], [("user", "bob"), client]]
    for n, entity in enumerate(entities, 1):
        tap.equal(alter(entity, [(rate, float(n))]), (NONE, None), "set %s" % entity)
    tap.equal(alter([("ip", "10.0.0.1")], [("connection_creation_rate", 20.0)]), (NONE, None), "set an address")
    tap.equal(alter([("ip", None)], [("connection_creation_rate", 10.0)]), (NONE, None), "set the default address")

    def found(*components, **more):
        return sorted(int(v.get(rate, v.get("connection_creation_rate", 0))) for v in describe(*components, **more).values())
    for version in (0, 1):
        tap.equal(found(version=version), [1, 2, 3, 4, 5, 6, 7, 8, 10, 20], "no filter")
        for what, components, want, want_strict in (
                ("a user", [("user", EXACT, "ann")], [1, 5, 6], [1]),
                ("the default user", [("user", DEFAULT, None)], [2, 7], [2]),
                ("any user", [("user", ANY, None)], [1, 2, 5, 6, 7, 8], [1, 2]),
                ("a client id", [("client-id", EXACT, "app")], [3, 5, 8], [3]),
                ("user and client id", [("user", EXACT, "ann"), ("client-id", EXACT, "app")], [5], [5]),
                ("user and any client id", [("user", EXACT, "ann"), ("client-id", ANY, None)], [5, 6], [5, 6]),
                ("any of both", [("client-id", ANY, None), ("user", ANY, None)], [5, 6, 7, 8], [5, 6, 7, 8]),
                ("an address", [("ip", EXACT, "10.0.0.1")], [20], [20]),
                ("any address", [("ip", ANY, None)], [10, 20], [10, 20]),
                ("nobody", [("user", EXACT, "eve")], [], []),
                ("an empty name", [("user", EXACT, "")], [], []),
                ("no name", [("user", EXACT, None)], [2, 7], [2])):
            tap.equal((found(*components, version=version), found(*components, strict=True, version=version)), (want, want_strict), what)
    tap.equal(found(strict=True), [], "strict without types matches nothing")
    for what, components, code in (
            ("unknown type", [("bogus", EXACT, "x")], UNSUPPORTED), ("empty type", [("", EXACT, "x")], INVALID_REQUEST),
            ("twice", [("user", EXACT, "x"), ("user", ANY, None)], INVALID_REQUEST), ("match type", [("user", 7, "x")], INVALID_REQUEST),
            ("negative match type", [("user", -1, "x")], INVALID_REQUEST), ("no text", [(b"\xff", EXACT, "x")], UNSUPPORTED),
            ("mixed", [("ip", EXACT, "10.0.0.1"), ("user", ANY, None)], INVALID_REQUEST)):
        tap.equal(describe(*components), code, what)
    tap.equal(describe(("user", EXACT, b"\xff\x00")), {}, "a name that is no text matches nothing")
    alter([user], [("consumer_byte_rate", 9.0), ("request_percentage", 50.0)])
    tap.equal(describe(("user", EXACT, "ann"), strict=True),
              {(user,): {"consumer_byte_rate": 9.0, "producer_byte_rate": 1.0, "request_percentage": 50.0}}, "all quotas of an entity")
    server.sql("INSERT INTO quota_definitions VALUES ('{\"group\": \"g\"}', 'producer_byte_rate', 5), ('{\"user\": 1}', 'producer_byte_rate', 5), "
               "('{\"user\": \"x\"}', 'flow', 5), ('{\"user\": \"x\"}', 'producer_byte_rate', 'NaN')")
    tap.equal(describe(("user", EXACT, "x")), {}, "rows by hand that make no sense are no quotas")


def test_guarded():
    """who may change and see them"""
    drop_all()
    server.sql("REVOKE pgtopic_admin FROM kafka")
    tap.equal(alter([("user", "ann")], [("producer_byte_rate", 1000.0)])[0], NOT_ALLOWED, "not without the right")
    tap.equal(describe(), NOT_ALLOWED, "nor seen")
    tap.equal(server.sql("SELECT count(*) FROM client_quotas"), "0", "nothing was written")
    server.sql("GRANT pgtopic_admin TO kafka")
    tap.equal(alter([("user", "ann")], [("producer_byte_rate", 1000.0)]), (NONE, None), "with it they are")


# --- producing and fetching

def test_no_quota():
    """without quotas nothing is counted or throttled"""
    drop_all()
    with connect("free") as client:
        tap.equal(produce(client, 100000)["ThrottleTimeMs"], 0, "produce")
        tap.equal(client.call("Metadata", 9, {"Topics": None})["ThrottleTimeMs"], 0, "metadata")
    tap.equal(usage("producer_byte_rate", "count(*)", client_id="free"), "0", "no counter")


def test_produce():
    """it is accepted, its bytes count, the connection rests, and others do not"""
    drop_all()
    quotas('{"client-id": "slow"}', producer_byte_rate=1000)
    with connect("slow") as client, connect("quick") as other:
        first = produce(client, 100)
        size = len(client.request_bytes("Produce", 9, rawtest.produce_body("plain", "x" * 100, acks=-1))) + 4
        tap.equal((rawtest.told(first)[0], first["ThrottleTimeMs"]), (NONE, 0), "a small one")
        tap.equal(usage("producer_byte_rate", "total, value, throttles", client_id="slow"), "%d|1000|0" % size, "its bytes are counted")
        second = produce(client, 200000)
        tap.equal(rawtest.told(second)[0], NONE, "a large one is accepted")
        tap.ok(100000 < second["ThrottleTimeMs"] <= 200000, "and throttles: %d ms" % second["ThrottleTimeMs"])
        tap.equal(usage("producer_byte_rate", "throttles, throttle_ms, throttled_until > now()", client_id="slow"),
                  "1|%d|t" % second["ThrottleTimeMs"], "which the view shows")
        client.send("Produce", 9, rawtest.produce_body("plain", "behind", acks=-1))
        tap.equal(produce(other, 200000)["ThrottleTimeMs"], 0, "another client goes on")
        tap.ok(rawtest.silent(client.socket), "the next request is not answered")
        drop_all()
        tap.equal(rawtest.told(client.receive("Produce", 9))[0], NONE, "until the quota is gone")
        tap.equal(produce(client, 200000)["ThrottleTimeMs"], 0, "from then on nothing throttles")


def test_acks_0():
    """a request without an answer counts and throttles, too"""
    drop_all()
    quotas('{"client-id": "fire"}', producer_byte_rate=1000)
    with connect("fire") as client:
        client.send("Produce", 9, rawtest.produce_body("plain", "x" * 100000, acks=0))
        server.wait_for("SELECT throttles FROM quota_usage WHERE client_id = 'fire'", "1")
        client.send("ApiVersions", 0)
        tap.ok(rawtest.silent(client.socket), "what is behind it waits")
        drop_all()
        tap.equal(client.receive("ApiVersions", 0)["ErrorCode"], NONE, "until the quota is gone")


def test_fetch():
    """who may not get it now gets nothing, and later all of it"""
    drop_all()
    with connect() as client:
        for _ in range(4):
            produce(client, 20000, topic="fetched")
    quotas('{"client-id": "reader"}', consumer_byte_rate=5000)
    with connect("reader") as client, connect("quick") as other:
        got = client.call("Fetch", 11, rawtest.fetch_body(["fetched"], 0, max_bytes=100000))
        part = got["Responses"][0]["Partitions"][0]
        tap.equal((got["ThrottleTimeMs"], part["ErrorCode"]), (0, NONE), "the first answer")
        tap.ok(40000 < len(part["Records"]) <= 50000, "fits into the window of the quota: %d bytes" % len(part["Records"]))
        total = int(usage("consumer_byte_rate", client_id="reader"))
        tap.ok(total > len(part["Records"]), "the answer's bytes are counted: %d" % total)
        got = client.call("Fetch", 11, rawtest.fetch_body(["fetched"], 2, max_bytes=100000))
        tap.equal(got["Responses"], [], "the second one is empty")
        tap.ok(got["ThrottleTimeMs"] > 0, "and says so: %d ms" % got["ThrottleTimeMs"])
        tap.equal(usage("consumer_byte_rate", "total, throttles", client_id="reader"), "%d|1" % total, "it is not counted")
        got = other.call("Fetch", 11, rawtest.fetch_body(["fetched"], 0, max_bytes=100000))
        tap.equal(got["ThrottleTimeMs"], 0, "another client goes on")
        values = []
        while len(values) < 2:
            got = client.call("Fetch", 11, rawtest.fetch_body(["fetched"], 2 + len(values), max_bytes=100000))
            if got["Responses"]:
                values += rawtest.values_of(got["Responses"][0]["Partitions"][0])
        tap.equal(len(values), 2, "in the end all is read")
    quotas('{"client-id": "tiny"}', consumer_byte_rate=1)
    with connect("tiny") as client:
        got = client.call("Fetch", 11, rawtest.fetch_body(["fetched"], 0, max_bytes=100000))
        tap.equal(len(rawtest.values_of(got["Responses"][0]["Partitions"][0])), 1, "a batch that is larger than the window comes, too")


def test_fetch_session():
    """sessions (KIP-227): a throttled step says nothing new, and the session goes on"""
    drop_all()
    with connect() as client:
        produce(client, 20000, topic="stepped")
    body = dict(rawtest.fetch_body(["stepped"], 0, max_bytes=100000), SessionId=0, SessionEpoch=0)
    with connect("stepper") as client:
        got = client.call("Fetch", 11, body)
        session = got["SessionId"]
        tap.ok(session != 0 and got["Responses"], "a session")
        quotas('{"client-id": "stepper"}', consumer_byte_rate=10)
        step = dict(body, SessionId=session, SessionEpoch=1)
        got = client.call("Fetch", 11, step)
        tap.equal((got["ErrorCode"], got["ThrottleTimeMs"], len(got["Responses"])), (NONE, 0, 1), "the first step with a quota")
        got = client.call("Fetch", 11, dict(step, SessionEpoch=2))
        tap.equal((got["ErrorCode"], got["SessionId"], got["Responses"]), (NONE, session, []), "a throttled step is one of the session")
        tap.ok(got["ThrottleTimeMs"] > 0, "and says so")
        drop_all()
        got = client.call("Fetch", 11, dict(step, SessionEpoch=3))
        tap.equal((got["ErrorCode"], got["SessionId"], len(got["Responses"])), (NONE, session, 1), "the next one gives it")
        quotas('{"client-id": "stepper"}', consumer_byte_rate=10)
        with connect("stepper") as second:
            got = second.call("Fetch", 11, body)
            tap.equal((got["ErrorCode"], got["SessionId"], got["Responses"]), (NONE, 0, []), "a throttled first request makes no session")
    drop_all()


def test_order():
    """which quota applies: the eight levels, and who is counted together"""
    drop_all()
    levels = ['{"user": "kafka", "client-id": "lev"}', '{"user": "kafka", "client-id": null}', '{"user": "kafka"}', '{"user": null, "client-id": "lev"}',
              '{"user": null, "client-id": null}', '{"user": null}', '{"client-id": "lev"}', '{"client-id": null}']
    counted = ["kafka|lev", "kafka|lev", "kafka|", "kafka|lev", "kafka|lev", "kafka|", "|lev", "|lev"]
    for n, level in enumerate(levels):
        quotas(level, producer_byte_rate=1000000 + n)
    with connect("lev") as client:
        for n, level in enumerate(levels):
            produce(client)
            tap.equal(server.sql('SELECT "user", client_id FROM quota_usage WHERE value = %d' % (1000000 + n)), counted[n], "%s applies" % level)
            quotas(level, producer_byte_rate=None)
        tap.equal(produce(client)["ThrottleTimeMs"], 0, "and then none")
    quotas('{"user": null}', producer_byte_rate=1000)
    with connect("one") as one, connect("two") as two:
        tap.ok(produce(one, 50000)["ThrottleTimeMs"] > 0, "of a user's quota one client uses all")
        tap.ok(produce(two, 10)["ThrottleTimeMs"] > 0, "and another one of that user has nothing left")
    drop_all()
    quotas('{"client-id": null}', producer_byte_rate=1000)
    with connect("three") as one, connect("four") as two:
        tap.ok(produce(one, 50000)["ThrottleTimeMs"] > 0, "of a default for client ids each has its own")
        tap.equal(produce(two, 10)["ThrottleTimeMs"], 0, "whatever others use")
    drop_all()


def test_shared():
    """the workers share one count"""
    drop_all()
    quotas('{"client-id": "many"}', producer_byte_rate=10 ** 9)
    clients, workers = [], 0
    while workers < 2 and len(clients) < 60:
        clients.append(connect("many"))
        produce(clients[-1], 1000)
        workers = int(server.sql("SELECT count(DISTINCT pid) FROM clients WHERE client_id = 'many'"))
    size = len(clients[0].request_bytes("Produce", 9, rawtest.produce_body("plain", "x" * 1000, acks=-1))) + 4
    tap.equal(workers, 2, "connections of several workers: %d" % len(clients))
    tap.equal(usage("producer_byte_rate", client_id="many"), str(len(clients) * size), "are counted together")
    quotas('{"client-id": "many"}', producer_byte_rate=10)
    throttled = [produce(client, 1000)["ThrottleTimeMs"] for client in clients]
    tap.ok(all(ms > 0 for ms in throttled), "and throttled together: %s" % throttled)
    for client in clients:
        client.close()
    drop_all()


def test_pipelined():
    """requests that were sent before the answer came wait, in order, and all are answered"""
    drop_all()
    quotas('{"client-id": "pipe"}', producer_byte_rate=1000000)
    with connect("pipe") as client:
        for n in range(40):
            client.send("Produce", 9, rawtest.produce_body("piped", "%d" % n + "x" * 30000))
        offsets = [rawtest.told(client.receive("Produce", 9)) for _ in range(10)]
        drop_all()
        offsets += [rawtest.told(client.receive("Produce", 9)) for _ in range(30)]
        tap.equal(offsets, [(NONE, n) for n in range(40)], "40 of them")


def test_gone_while_throttled():
    """a client that leaves while it is throttled, and one that was half closed"""
    drop_all()
    quotas('{"client-id": "leaver"}', producer_byte_rate=10)
    client = connect("leaver")
    tap.ok(produce(client, 10000)["ThrottleTimeMs"] > 0, "throttled")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.wait_for("SELECT count(*) FROM clients WHERE client_id = 'leaver'", "0")
    tap.ok(True, "its connection is gone")
    client = connect("leaver")
    produce(client, 10000)
    client.send("ApiVersions", 0)
    client.socket.shutdown(socket.SHUT_WR)
    drop_all()
    tap.equal(client.receive("ApiVersions", 0)["ErrorCode"], NONE, "what was asked before the end is answered when the time is over")
    tap.equal(client.socket.recv(1), b"", "and then it ends")


def test_idle():
    """who is throttled is not idle"""
    drop_all()
    server.set(pgtopic__idle_timeout="1s")
    server.reload()
    quotas('{"client-id": "resting"}', producer_byte_rate=10)
    with connect("resting") as client, connect("idle") as other:
        tap.ok(produce(client, 10000)["ThrottleTimeMs"] > 10000, "throttled for longer than that")
        other.call("ApiVersions", 0)
        tap.equal(other.socket.recv(1), b"", "one that is idle is closed")
        tap.ok(rawtest.silent(client.socket), "one that is throttled is not")
        drop_all()
        tap.equal(client.call("ApiVersions", 0)["ErrorCode"], NONE, "and goes on")
    server.set(pgtopic__idle_timeout="10min")
    server.reload()


# --- the other kinds

def test_time():
    """request_percentage: the time that a worker spends"""
    drop_all()
    quotas('{"client-id": "busy"}', request_percentage=1000000)
    with connect("busy") as client:
        for _ in range(20):
            produce(client, 100000)
        client.call("Metadata", 9, {"Topics": None})
        spent = float(usage("request_percentage", client_id="busy"))
        tap.ok(spent > 0, "is counted: %g percent of a second" % spent)
        quotas('{"client-id": "busy"}', request_percentage=0.0001)
        got = client.call("Metadata", 9, {"Topics": None})
        tap.ok(0 < got["ThrottleTimeMs"] <= 1000, "and throttles for a second at most: %d ms" % got["ThrottleTimeMs"])
        got = client.call("Fetch", 11, rawtest.fetch_body(["plain"], 0))
        tap.ok(got["ThrottleTimeMs"] > 0 and not got["Responses"], "a fetch that is throttled for it is empty")
        got = client.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})
        tap.ok(got["ThrottleTimeMs"] > 0, "so are other requests")
        got = client.call("Heartbeat", 4, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})
        tap.ok(got["ThrottleTimeMs"] > 0, "and those of groups")
        got = client.call("DescribeConfigs", 4, {"Resources": [{"ResourceType": 2, "ResourceName": "plain"}]})
        tap.ok(got["ThrottleTimeMs"] > 0, "and administration")
        drop_all()
        tap.equal(client.call("Metadata", 9, {"Topics": None})["ThrottleTimeMs"], 0, "without the quota they are not")


def test_mutations():
    """controller_mutation_rate: partitions that are created and deleted"""
    drop_all()
    quotas('{"client-id": "maker"}', controller_mutation_rate=1)
    usual = {"ReplicationFactor": 1, "Assignments": [], "Configs": []}

    def create(client, version, name, partitions, **more):
        got = client.call("CreateTopics", version, dict({"Topics": [dict(usual, Name=name, NumPartitions=partitions)], "timeoutMs": 30000}, **more))
        return got["Topics"][0]["ErrorCode"], got["ThrottleTimeMs"] > 0
    with connect("maker") as client, connect("other") as other:
        tap.equal(create(client, 7, "made", 40, validateOnly=True), (NONE, False), "a dry run takes nothing")
        tap.equal(create(client, 7, "made", 40), (NONE, False), "who has tokens may have a debt afterwards")
        tap.equal(usage("controller_mutation_rate", client_id="maker"), "40", "partitions are counted")
        got = client.call("CreateTopics", 7, {"Topics": [dict(usual, Name="more", NumPartitions=1)], "timeoutMs": 30000})
        tap.equal((got["Topics"][0]["ErrorCode"], got["ThrottleTimeMs"] > 0), (THROTTLED, True), "and then is refused: %d ms" % got["ThrottleTimeMs"])
        tap.equal(create(other, 7, "of_others", 1), (NONE, False), "others are not")
        tap.equal(server.sql("SELECT count(*) FROM topics WHERE topic = 'more'"), "0", "nothing was made")
        drop_all()
    quotas('{"client-id": "changer"}', controller_mutation_rate=1)
    with connect("changer") as client:
        got = client.call("CreatePartitions", 3, {"Topics": [{"Name": "made", "Count": 80, "Assignments": None}], "TimeoutMs": 30000})
        tap.equal((got["Results"][0]["ErrorCode"], got["ThrottleTimeMs"]), (NONE, 0), "more partitions")
        got = client.call("CreatePartitions", 3, {"Topics": [{"Name": "made", "Count": 81, "Assignments": None}], "TimeoutMs": 30000})
        tap.equal((got["Results"][0]["ErrorCode"], got["ThrottleTimeMs"] > 0), (THROTTLED, True), "are counted, too")
    with connect("changer") as client:
        got = client.call("DeleteTopics", 6, {"Topics": [{"Name": "made"}], "TimeoutMs": 30000})
        tap.equal((got["Responses"][0]["ErrorCode"], got["ThrottleTimeMs"] > 0), (THROTTLED, True), "and deleted ones")
    with connect("changer") as client:
        got = client.call("DeleteTopics", 4, {"TopicNames": ["made"], "TimeoutMs": 30000})
        tap.equal((got["Responses"][0]["ErrorCode"], got["ThrottleTimeMs"] > 0), (NONE, True), "an old version is throttled behind its answer")
    drop_all()


def test_connections():
    """connection_creation_rate of an address"""
    drop_all()
    quotas('{"ip": "127.0.0.1"}', connection_creation_rate=1)
    opened, refused = [], 0
    for _ in range(30):
        s = socket.create_connection(tuple(server.bootstrap.rsplit(":", 1)), 60)
        opened.append(s)
    ask = admin.request_bytes("ApiVersions", 0)
    for s in opened:
        try:
            s.sendall(struct.pack(">i", len(ask)) + ask)
            refused += s.recv(4) == b""
        except OSError:
            refused += 1
        s.close()
    tap.ok(0 < refused < 30, "%d of 30 were refused" % refused)
    drop_all()
    counted = usage("connection_creation_rate", "total, throttles", ip="127.0.0.1").split("|")
    tap.equal((int(counted[0]), int(counted[1])), (30 - refused, refused), "as the view says")
    with connect() as client:
        tap.equal(client.call("ApiVersions", 0)["ErrorCode"], NONE, "without the quota they are not")
    quotas('{"ip": null}', connection_creation_rate=1000)
    with connect() as client:
        client.call("ApiVersions", 0)
    tap.equal(usage("connection_creation_rate", "value", ip="127.0.0.1"), "1000", "the default is for each address")
    drop_all()


def test_per_address():
    """pgtopic.max_connections_per_ip and its overrides, over all workers"""
    def room(n):
        """Of five more connections, how many are served while all are open?"""
        clients, served = [connect("roomy") for _ in range(n)], 0
        for client in clients:
            try:
                served += client.call("ApiVersions", 0)["ErrorCode"] == NONE
            except OSError:
                pass
        for client in clients:
            client.close()
        server.wait_for("SELECT count(*) FROM clients WHERE client_id = 'roomy'", "0")
        return served

    def limit(wanted, **settings):
        server.set(**settings)
        server.reload()
        for _ in range(100):
            if room(5) == wanted:
                break
        tap.equal(room(5), wanted, "%s" % (settings,))
    there = int(server.sql("SELECT count(*) FROM clients"))
    limit(5)
    limit(3, pgtopic__max_connections_per_ip=there + 3)
    limit(2, pgtopic__max_connections_per_ip_overrides="[::1]:7, 127.0.0.1:%d" % (there + 2))
    limit(3, pgtopic__max_connections_per_ip_overrides="127.0.0.2:0")
    limit(5, pgtopic__max_connections_per_ip=2147483647)
    for wrong in ("localhost:5", "127.0.0.1", "127.0.0.1:-1", "127.0.0.1:x", ",", "127.0.0.1:99999999999", ":5"):
        tap.matches("invalid value", server.run("psql", "-Xc", "ALTER SYSTEM SET pgtopic.max_connections_per_ip_overrides = '%s'" % wrong,
                                                check=False).stderr, "refused: " + wrong)


# --- real clients

RECORDS, SIZE = 3000, 1000


def counted(client_id, quota):
    """Were all records counted, and the client throttled?"""
    total, throttles = server.sql("SELECT total, throttles FROM quota_usage WHERE client_id = '%s' AND quota = '%s'" % (client_id, quota)).split("|")
    tap.ok(int(total) >= RECORDS * SIZE, "%s: %s bytes are counted" % (client_id, total))
    tap.ok(int(throttles) > 0, "%s: throttled %s times" % (client_id, throttles))


def test_librdkafka():
    """a producer and a consumer that are throttled get their work done, and are told so"""
    try:
        from confluent_kafka import Consumer, Producer, TopicPartition
    except ImportError:
        tap.note("confluent_kafka is not installed")
        return
    drop_all()
    quotas('{"client-id": "rdk"}', producer_byte_rate=200000, consumer_byte_rate=200000)
    told, failed, found = [], [], 0
    settings = {"bootstrap.servers": server.bootstrap, "client.id": "rdk", "log_level": 0, "throttle_cb": lambda event: told.append(event.throttle_time)}
    producer = Producer(dict(settings, **{"batch.size": 100000, "linger.ms": 50}))
    for _ in range(RECORDS):
        producer.produce("rdk", b"x" * SIZE, on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    tap.equal((producer.flush(120), failed), (0, []), "all records are produced")
    tap.ok(any(ms > 0 for ms in told), "the producer knows of its throttling: %s" % told[:5])
    counted("rdk", "producer_byte_rate")
    del told[:]
    consumer = Consumer(dict(settings, **{"group.id": "rdk", "fetch.message.max.bytes": 500000}))
    consumer.assign([TopicPartition("rdk", 0, 0)])
    while found < RECORDS:
        records = consumer.consume(500, 60)
        if not records:
            break
        found += sum(1 for record in records if record.error() is None)
    tap.equal(found, RECORDS, "all records are consumed")
    tap.ok(any(ms > 0 for ms in told), "the consumer knows of its throttling: %s" % told[:5])
    consumer.close()
    counted("rdk", "consumer_byte_rate")
    drop_all()


def java(name, *arguments):
    jars = os.path.join(HERE, "build", "java", "libs")
    if not glob.glob(jars + "/kafka-tools-*.jar"):
        return None
    return subprocess.run(["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", jars + "/*",
                           "org.apache.kafka.tools." + name, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=200, check=False).stdout


def metric(output, name):
    found = re.search(r"^\S*%s:\{client-id=jav\}\s*: ([0-9.]+)" % name, output, re.M)
    return float(found.group(1)) if found else None


def test_java():
    """the same of the Java client, by its metrics"""
    drop_all()
    quotas('{"client-id": "jav"}', producer_byte_rate=200000, consumer_byte_rate=200000)
    got = java("ProducerPerformance", "--topic", "jav", "--num-records", str(RECORDS), "--record-size", str(SIZE), "--throughput", "-1",
               "--print-metrics", "--bootstrap-server", server.bootstrap, "--command-property", "client.id=jav")
    if got is None:
        tap.note("the Java tools are not installed")
        return
    tap.matches(r"(?m)^%d records sent" % RECORDS, got, "all records are produced")
    tap.ok((metric(got, "producer-metrics:produce-throttle-time-max") or 0) > 0, "produce-throttle-time-max is %s" %
           metric(got, "producer-metrics:produce-throttle-time-max"))
    counted("jav", "producer_byte_rate")
    got = java("ConsumerPerformance", "--topic", "jav", "--num-records", str(RECORDS), "--timeout", "60000", "--print-metrics",
               "--bootstrap-server", server.bootstrap, "--command-property", "client.id=jav")
    tap.ok((metric(got, "fetch-throttle-time-max") or 0) > 0, "fetch-throttle-time-max is %s" % metric(got, "fetch-throttle-time-max"))
    tap.ok((metric(got, "records-consumed-total") or 0) >= RECORDS, "%s records are consumed" % metric(got, "records-consumed-total"))
    counted("jav", "consumer_byte_rate")
    drop_all()


def test_crash():
    """definitions survive a crash, counts do not"""
    drop_all()
    quotas('{"client-id": "crashing"}', producer_byte_rate=1000)
    with connect("crashing") as client:
        tap.ok(produce(client, 50000)["ThrottleTimeMs"] > 0, "throttled")
    server.kill9()
    server.start()
    server.wait_listener()
    tap.equal(server.sql("SELECT count(*) FROM quota_usage"), "0", "nothing is counted")
    with connect("crashing") as client:
        tap.equal(produce(client, 100)["ThrottleTimeMs"], 0, "a window begins")
        tap.ok(produce(client, 50000)["ThrottleTimeMs"] > 0, "by the same quota")


def main():
    global server, admin
    rawtest.need_clients()
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.listener_workers": 2}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    for topic in ("plain", "fetched", "stepped", "piped", "rdk", "jav"):
        server.sql("SELECT create_topic('%s')" % topic)
    server.wait_listener()
    admin = connect("admin")
    tap.main([test_alter, test_describe, test_guarded, test_no_quota, test_produce, test_acks_0, test_fetch, test_fetch_session,
              test_order, test_shared, test_pipelined, test_gone_while_throttled, test_idle, test_time, test_mutations, test_connections, test_per_address, test_librdkafka, test_java, test_crash])


main()
