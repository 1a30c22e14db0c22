#!/usr/bin/env python3
"""What can be seen of the listener from SQL: clients, listener_stats, pg_stat_activity; and asking the
control worker."""

import os
import signal
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = None


def connect(**more):
    return raw.Client(server.bootstrap, **more)


def create(name):
    return {"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 20000}


def produce(topic, value, acks=1):
    return {"Acks": acks, "TimeoutMs": 20000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, value)]).encode()}]}]}


def fetch(topic, offset, wait=0):
    return {"MaxWaitMs": wait, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [
        {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]}


def clients(where="true"):
    return server.rows("SELECT client_id, software_name, software_version, role, requests, api, pid FROM clients "
                       "WHERE %s ORDER BY connected_at" % where)


def stats(api):
    rows = server.rows("SELECT requests, errors, bytes_received, bytes_sent, p50_ms <= p99_ms AND p99_ms <= max_ms, max_ms "
                       "FROM listener_stats WHERE api = '%s'" % api)
    return rows[0] if rows else None


def eventually(look, expected, what, seconds=10):
    deadline = time.monotonic() + seconds
    while (got := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return tap.equal(got, expected, what)


def test_clients():
    """a client is seen as long as it is connected, wherever it is served"""
    listener, control = server.worker_pids("pgtopic listener")[0], server.worker_pids("pgtopic control")[0]
    server.sql("SELECT create_topic('seen')")
    tap.equal(clients(), [], "nobody is there yet")
    with connect(client_id="watched \x01x") as c:
        c.call("ApiVersions", 3, {"ClientSoftwareName": "raw-test", "ClientSoftwareVersion": "1.2.3"})
        tap.equal(clients(), [["watched ?x", "raw-test", "1.2.3", "kafka", "1", "", str(listener)]], "a client is seen")
        address = server.sql("SELECT address FROM clients")
        tap.equal(address, "127.0.0.1:%d" % c.socket.getsockname()[1], "with its address")
        sent = len(c.request_bytes("ListGroups", 1)) + 4
        c.call("ListGroups", 1)
        tap.equal(clients(), [["watched ?x", "raw-test", "1.2.3", "kafka", "2", "", str(listener)]],
                  "the same one, and no other, when the control worker has answered it")
        tap.equal(server.sql("SELECT bytes_received > %d AND bytes_sent > 0 AND last_request_at > connected_at FROM clients" % sent),
                  "t", "with the bytes that went to and fro")
        c.send("Fetch", 4, fetch("seen", 0, wait=3000))
        eventually(clients, [["watched ?x", "raw-test", "1.2.3", "kafka", "3", "Fetch", str(listener)]], "and what it waits for")
        c.receive("Fetch", 4)
        tap.equal(clients()[0][5], "", "which is over then")
        os.kill(control, signal.SIGSTOP)
        try:
            c.send("ListGroups", 1)
            eventually(clients, [["watched ?x", "raw-test", "1.2.3", "kafka", "4", "ListGroups", str(listener)]],
                       "also for the control worker")
        finally:
            os.kill(control, signal.SIGCONT)
        c.receive("ListGroups", 1)
    with connect(client_id="first word") as c:
        c.call("ListGroups", 1)
        tap.equal([row[0] for row in clients() if row[0] != "watched ?x"], ["first word"],
                  "the name of a client whose first request another worker answers")
    eventually(clients, [], "it has gone")


def test_many():
    """clients beyond the number of slots are served, too"""
    many = [connect(client_id="many-%d" % n) for n in range(60)]
    for c in many:
        c.call("ApiVersions", 0)
    tap.equal(server.sql("SELECT count(*), count(DISTINCT client_id) FROM clients"), "50|50", "as many as there are slots are seen")
    for c in many[:30]:
        c.call("ListGroups", 1)
    tap.equal(server.sql("SELECT count(*), count(DISTINCT client_id), count(DISTINCT pid) FROM clients"), "50|50|1",
              "also when other workers answer them")
    for c in many:
        c.close()
    eventually(clients, [], "all slots are free again")


def test_stats():
    """requests are counted by API"""
    server.sql("SELECT reset_listener_stats()")
    tap.equal(server.sql("SELECT count(*) FROM listener_stats"), "0", "nothing has been counted yet")
    with connect() as c:
        request = len(c.request_bytes("Produce", 3, produce("seen", b"x"))) + 4
        for _ in range(100):
            c.call("Produce", 3, produce("seen", b"x"))
        c.send_frame(c.request_bytes("Produce", 3, produce("seen", b"x", acks=0)))
        c.call("Produce", 3, produce("unknown", b"x"))
        c.call("CreateTopics", 2, create("seen"))
        c.call("Fetch", 4, fetch("seen", 1000, wait=200))
        c.call("Fetch", 4, fetch("seen", 0, wait=200))
    row = stats("Produce")
    tap.equal(row[:2], ["102", "1"], "102 Produce requests, one with an error")
    tap.ok(abs(int(row[2]) - 102 * request) < 20 and int(row[3]) > 100 * 20, "the bytes both ways: %s" % row[2:4])
    tap.equal(row[4], "t", "p50 is at most p99, and that at most the maximum")
    tap.ok(0.001 < float(row[5]) < 5000, "which is %s ms" % row[5])
    tap.equal(stats("CreateTopics")[:2], ["1", "1"], "a topic that exists is an error")
    tap.equal(stats("Fetch")[:2], ["2", "1"], "an offset out of range is one")
    tap.equal(server.sql("SELECT string_agg(api, ',' ORDER BY api_key) FROM listener_stats"), "Produce,Fetch,CreateTopics",
              "other APIs were not asked for")
    with connect() as c:
        c.call("Fetch", 4, fetch("seen", 101, wait=300))
    tap.ok(float(stats("Fetch")[5]) >= 290, "waiting counts")
    server.sql("SELECT reset_listener_stats()")
    tap.equal(stats("Produce"), None, "reset_listener_stats() starts anew")


def test_privileges():
    """addresses are not for everybody"""
    server.sql("CREATE ROLE nobody LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; GRANT USAGE ON SCHEMA public TO nobody")
    for statement, allowed in (("SET ROLE nobody; SELECT count(*) FROM clients", False),
                               ("SET ROLE monitor; SELECT count(*) FROM clients", True),
                               ("SET ROLE nobody; SELECT count(*) FROM listener_stats", True),
                               ("SET ROLE nobody; SELECT reset_listener_stats()", False)):
        try:
            server.sql(statement)
            tap.ok(allowed, statement + (": allowed" if allowed else ": refused"))
        except pg.SqlError as problem:
            tap.ok(not allowed and "permission denied" in str(problem), statement + ": refused")


def test_activity():
    """pg_stat_activity says what workers do"""
    with connect() as c, connect() as d:
        c.call("ApiVersions", 0)
        c.call("CreateTopics", 2, create("seen"))
        d.call("ListGroups", 1)
        eventually(lambda: server.sql("SELECT state, query FROM pg_stat_activity WHERE backend_type = 'pgtopic listener 0'"),
                   "idle|2 Kafka connections", "the listener is idle and has both connections")
        eventually(lambda: server.sql("SELECT state, query FROM pg_stat_activity WHERE backend_type = 'pgtopic control'"),
                   "idle|1 Kafka connection", "the control worker has one, for the client that has asked it")
        blocker = server.session()
        blocker.sql("BEGIN; LOCK TABLE topics.seen")
        d.send("DeleteTopics", 1, {"TopicNames": ["seen"], "TimeoutMs": 20000})
        eventually(lambda: server.sql("SELECT state, query, wait_event_type FROM pg_stat_activity WHERE backend_type = 'pgtopic admin'"),
                   "active|DeleteTopics of raw|Lock", "a request that takes long is seen", 2)
        blocker.close()
        d.receive("DeleteTopics", 1)
    events = server.sql("SELECT count(DISTINCT wait_event) FROM pg_stat_activity WHERE backend_type LIKE 'pgtopic%'")
    tap.ok(int(events) >= (4 if int(server.sql("SHOW server_version_num")) >= 170000 else 1), "wait events have names from 17 on")


def frame(key, version, body=b""):
    data = struct.pack(">hhih", key, version, 5, 2) + b"me" + body
    return struct.pack(">i", len(data)) + data


def ask(data, before=""):
    return bytes.fromhex(server.sql("%s SELECT encode(kafka_ask('\\x%s'), 'hex')" % (before, data.hex())))


def refused(pattern, data, what, **more):
    try:
        ask(data, **more)
        tap.ok(False, what)
    except pg.SqlError as problem:
        tap.matches(pattern, str(problem), what)


def test_ask():
    """SQL asks the control worker"""
    one = ask(frame(18, 0))
    tap.ok(one[4:8] == struct.pack(">i", 5) and len(one) == 4 + struct.unpack(">i", one[:4])[0], "an answer")
    tap.equal(ask(frame(18, 0) * 20), one * 20, "twenty")
    # names that no topic can have, so that none is created
    names = b"".join(struct.pack(">h", 200) + b" %0199d" % n for n in range(2000))
    tap.ok(len(ask(frame(3, 1, struct.pack(">i", 2000) + names))) > 400000, "one that is large both ways")
    refused("no Kafka request", b"\0", "what is no request")
    refused("did not answer(.|\n)*HINT", frame(999, 0), "what makes no sense")
    pid = server.worker_pids("pgtopic control")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        refused("statement timeout", frame(18, 0), "a question can be cancelled", before="SET statement_timeout = '300ms';")
    finally:
        os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGTERM)
    while pid in server.worker_pids("pgtopic control"):
        time.sleep(0.01)
    tap.equal(ask(frame(18, 0)), one, "a control worker that is not up is waited for")
    server.sql("CREATE DATABASE other")
    server.sql("CREATE EXTENSION pgtopic", database="other")
    try:
        server.sql("SELECT kafka_ask('\\x%s')" % frame(18, 0).hex(), database="other")
        tap.ok(False, "the control worker knows one database")
    except pg.SqlError as problem:
        tap.matches('from database "postgres" only(.|\n)*HINT', str(problem), "the control worker knows one database")
    eventually(lambda: server.sql("SELECT count(*) FROM clients"), "0", "those who asked are no clients")


def test_cut_member():
    """a member whose subscription and assignment end early is shown with what there is"""
    server.sql("SELECT create_topic('whole')")
    name = struct.pack(">h", 5) + b"whole"
    subscription = struct.pack(">hi", 0, 2) + name + struct.pack(">h", 10) + b"cut"
    assignment = struct.pack(">hi", 0, 1) + name + struct.pack(">iih", 2, 0, 0)
    with connect() as client:
        joined = client.call("JoinGroup", 3, {"GroupId": "cut", "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": "",
                                              "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": subscription}]})
        me = {"GroupId": "cut", "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"]}
        tap.equal(client.call("SyncGroup", 3, {**me, "Assignments": [{"MemberId": me["MemberId"], "Assignment": assignment}]})["ErrorCode"],
                  0, "it is in its group")
        tap.equal(server.rows("SELECT subscription, assignment FROM list_group_members() WHERE group_id = 'cut'"), [["{whole}", "{whole:0}"]],
                  "one topic and one partition")
        client.call("LeaveGroup", 1, {"GroupId": "cut", "MemberId": me["MemberId"]})


def test_without_listener():
    """a server without a listener says so"""
    other = pg.Cluster("silent", settings={"pgtopic.listeners": ""}).init().start()
    other.sql("CREATE EXTENSION pgtopic")
    tap.equal(other.sql("SELECT count(*) FROM clients"), "0", "no clients")
    try:
        other.sql("SELECT kafka_ask('\\x%s')" % frame(18, 0).hex())
        tap.ok(False, "there is no control worker")
    except pg.SqlError as problem:
        tap.matches("no control worker(.|\n)*HINT", str(problem), "there is no control worker")
    other.stop()


pg.demote()
server = pg.Cluster(settings={"pgtopic.max_connections": 50}).init().start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
server.set(pgtopic__max_connections=1000).reload()
time.sleep(0.3)
tap.main([test_clients, test_many, test_stats, test_privileges, test_activity, test_ask, test_cut_member, test_without_listener])
