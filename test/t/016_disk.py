#!/usr/bin/env python3
"""A disk that stands still or fails: nothing is acknowledged or shown before it is flushed, and nothing acknowledged is lost.

No check measures time.  While the disk stands still for good, whatever comes
within a moment comes too early; a slow machine can only make that moment
miss a fault, not find one that is not there.
"""

import functools
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import faults          # noqa: E402
import tap             # noqa: E402
from rawtest import connect, fetch_body, need_clients, produce, produce_body, silent, told   # noqa: E402

WAL = "wait pg_wal"
NONE, STORAGE_ERROR = 0, 56
MB = "x" * 1000000

server = disk = None


def append(value, topic="t"):
    """A record, by a client of its own: error code and base offset"""
    with connect(server) as client:
        return produce(client, topic, value)


def fetch(client, topics, offset=0, wait_ms=0):
    """{topic: (error code, high watermark, number of bytes)}"""
    body = fetch_body(topics, offset, wait_ms, max_bytes=10 << 20)
    return {t["Topic"]: (t["Partitions"][0]["ErrorCode"], t["Partitions"][0]["HighWatermark"], len(t["Partitions"][0]["Records"] or b""))
            for t in client.call("Fetch", 11, body)["Responses"]}


def commit_body(offset):
    return {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "",
            "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": offset}]}]}


def healed(test):
    """The test, with a disk in order behind it."""
    @functools.wraps(test)
    def run():
        try:
            test()
        finally:
            disk.clear_all()
    return run


def test_setup():
    global server, disk
    disk = faults.Disk()
    server = pg.Cluster("main", {"fsync": "on", "shared_buffers": "16MB", "autovacuum": "off"}, environment=disk.environment).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'), create_topic('u'); CREATE TABLE beside (id int)")
    server.wait_listener()
    with connect(server) as client:
        client.call("FindCoordinator", 0, {"Key": "g"})
        tap.equal(client.call("OffsetCommit", 7, commit_body(0))["Topics"][0]["Partitions"][0]["ErrorCode"], NONE, "a first commit")
    tap.equal(append("first"), (NONE, 0), "a first record")


def test_one_alone():
    """one request with nothing beside it, whose listener flushes itself"""
    for acks in (1, -1):
        with connect(server) as client:
            client.call("Metadata", 9, {"Topics": []})
            disk.set("sync", WAL)
            client.send("Produce", 9, produce_body("t", "alone", acks=acks))
            tap.ok(silent(client.socket), "acks=%d: no answer before the flush" % acks)
            disk.clear("sync")
            tap.equal(told(client.receive("Produce", 9))[0], NONE, "acks=%d: an answer after it" % acks)


def test_kafka():
    """the disk stands still: what needs it waits, what does not goes on"""
    end = fetch(connect(server), ["t"])["t"][1]
    waiting = {}
    disk.set("sync", WAL)
    for name, api, version, body in (("acks=1", "Produce", 9, produce_body("t", "a", acks=1)), ("acks=-1", "Produce", 9, produce_body("t", "b")),
                                     ("OffsetCommit", "OffsetCommit", 7, commit_body(2)),
                                     ("acks=1 of another topic", "Produce", 9, produce_body("u", "c", acks=1))):
        waiting[name] = (connect(server), api, version)
        waiting[name][0].send(api, version, body)
    for name, (client, _, _) in waiting.items():
        tap.ok(silent(client.socket), name + ": no answer before the flush")
    with connect(server) as client:
        tap.equal(fetch(client, ["t"])["t"][:2], (NONE, end), "a consumer does not see what is not flushed")
        tap.equal(fetch(client, ["t"], end, 300)["t"][2], 0, "nor does it get it when it waits")
        tap.equal(client.call("Heartbeat", 2, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})["ErrorCode"], 25, "a heartbeat is answered")
    disk.clear("sync")
    tap.equal([told(waiting[n][0].receive("Produce", 9))[0] for n in ("acks=1", "acks=-1", "acks=1 of another topic")], [NONE] * 3,
              "after the flush all are answered")
    tap.equal(waiting["OffsetCommit"][0].receive("OffsetCommit", 7)["Topics"][0]["Partitions"][0]["ErrorCode"], NONE, "OffsetCommit: answered")
    with connect(server) as client:
        tap.equal(fetch(client, ["t"])["t"][:2], (NONE, end + 2), "and consumers see it")


def test_producer_id():
    """an id may be told when the sequence that it is from is flushed"""
    with connect(server) as client:
        disk.set("sync", WAL)
        client.send("InitProducerId", 1, {"TransactionalId": None, "TransactionTimeoutMs": 1000})
        tap.ok(silent(client.socket), "InitProducerId: no answer before the flush")
        disk.clear("sync")
        tap.equal(client.receive("InitProducerId", 1)["ErrorCode"], NONE, "an answer after it")


def test_admin():
    """CreateTopics waits for the disk, groups go on meanwhile"""
    body = {"Topics": [{"Name": "new", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 60000}
    with connect(server) as admin, connect(server) as client:
        disk.set("sync", WAL)
        admin.send("CreateTopics", 5, body)
        tap.ok(silent(admin.socket), "no answer before the flush")
        tap.equal(client.call("Heartbeat", 2, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})["ErrorCode"], 25, "a heartbeat is answered")
        disk.clear("sync")
        tap.equal(admin.receive("CreateTopics", 5)["Topics"][0]["ErrorCode"], NONE, "an answer after it")


def test_sql():
    """no COMMIT returns, and no other session gets the records, before the flush"""
    before = server.sql("SELECT count(*) FROM topics.t")
    writers = {"produce()": "SELECT produce('t', 'sql'::text)", "INSERT": "INSERT INTO topics.t (value) VALUES ('sql')",
               "a transaction with a table": "DO $$BEGIN INSERT INTO beside VALUES (1); PERFORM produce('t', 'sql'::text); END$$",
               "commit_offsets()": "SELECT commit_offsets('other', '{\"t:0\": 1}')"}
    readers = {"SELECT": "SELECT count(*) FROM topics.t", "consume()": "SELECT count(*) FROM consume('t', 'sql group', max_records => 1000)"}
    sessions = {name: server.session() for name in {**writers, **readers}}
    for session in sessions.values():
        session.sql("SELECT 1")
    disk.set("sync", WAL)
    for name, text in writers.items():
        sessions[name].send(text)
    for name in writers:
        tap.ok(silent(sessions[name].psql.stdout), name + ": does not return before the flush")
    for name, text in readers.items():
        sessions[name].send(text)
        early = not silent(sessions[name].psql.stdout) and sessions[name].answer()
        tap.ok(not early or early == before, "%s: waits, or shows what was there before (%s)" % (name, early))
        if early:
            sessions[name].send("SELECT 'has answered'")
    disk.clear("sync")
    for name, session in sessions.items():
        tap.ok("ERROR" not in session.answer(), name + ": returns after it")
        session.close()
    tap.equal(int(server.sql("SELECT count(*) FROM topics.t")) - int(before), 3, "all is there")


def test_sealing():
    """what VACUUM seals is durable first: who reads it then does not look at its commit"""
    before = server.sql("SELECT count(*) FROM topics.u")
    writer, vacuum, reader = (server.session() for _ in range(3))
    for session in (writer, vacuum, reader):
        session.sql("SELECT 1")
    disk.set("sync", WAL)
    writer.sql("SET synchronous_commit = off")
    writer.sql("SELECT produce('u', 'not flushed'::text)")
    vacuum.send("VACUUM topics.u")
    tap.ok(silent(vacuum.psql.stdout), "VACUUM waits for the flush")
    reader.send("SELECT count(*) FROM topics.u")
    early = not silent(reader.psql.stdout) and reader.answer()
    tap.ok(not early or early == before, "who reads waits, or sees what was there before (%s)" % early)
    disk.clear("sync")
    vacuum.answer()
    tap.equal(server.sql("SELECT count(*) FROM topics.u"), str(int(before) + 1), "after it the record is there")
    for session in (writer, vacuum, reader):
        session.close()


def test_full():
    """a full disk"""
    before = server.sql("SELECT count(*) FROM topics.u")
    disk.set("extend", "ENOSPC base/")
    disk.set("write", "ENOSPC base/")
    codes = {append(MB, "u")[0] for _ in range(3)}
    tap.equal(codes, {STORAGE_ERROR}, "producers get KAFKA_STORAGE_ERROR, which they try again after")
    try:
        server.sql("INSERT INTO topics.u (value) SELECT repeat('x', 100000)::bytea FROM generate_series(1, 30)")
        tap.ok(False, "a session gets an error")
    except pg.SqlError as problem:
        tap.matches("No space left on device", str(problem), "a session gets an error that says so")
    tap.equal(server.sql("SELECT count(*) FROM topics.u"), before, "nothing of it is there")
    tap.equal(fetch(connect(server), ["t"])["t"][0], NONE, "consumers go on")
    disk.clear_all()
    tap.equal(append(MB, "u"), (NONE, int(before)), "when there is space again the next offset follows")
    tap.equal(server.sql("SELECT count(*) FROM topics.u"), str(int(before) + 1), "and the record is there")


def test_log_writer():
    """writes of data fail or are short: pages stay dirty, and what could not get space is refused"""
    path = server.sql("SELECT pg_relation_filepath('topics.\"u#0\"')")
    expected = int(server.sql("SELECT count(*) FROM topics.u"))
    for action in ("EIO", "short"):
        disk.set("write", "%s %s" % (action, path))
        codes = [append(MB, "u")[0] for _ in range(4)]
        tap.ok(NONE in codes and set(codes) <= {NONE, STORAGE_ERROR}, "%s: appended, or KAFKA_STORAGE_ERROR: %s" % (action, codes))
        expected += codes.count(NONE)
        disk.clear("write")
    tap.equal(server.sql("SELECT count(*) FROM topics.u"), str(expected), "what was acknowledged is there, and no more")
    digest = server.sql("SELECT md5(string_agg(value, '' ORDER BY \"offset\")) FROM topics.u")
    server.sql("CHECKPOINT")
    server.restart("immediate")
    tap.equal(server.sql("SELECT md5(string_agg(value, '' ORDER BY \"offset\")) FROM topics.u"), digest, "also after a restart")
    server.wait_listener()


def test_unreadable():
    """a file that cannot be read is its partition's error, and no other's"""
    server.restart()
    server.wait_listener()
    path = server.sql("SELECT pg_relation_filepath('topics.\"u#0\"')")
    disk.set("read", "EIO " + path)
    with connect(server) as client:
        got = fetch(client, ["u", "t"])
        tap.equal(got["u"][0], STORAGE_ERROR, "KAFKA_STORAGE_ERROR")
        tap.ok(got["t"][0] == NONE and got["t"][2] > 0, "the other partition of the same request is answered")
    disk.clear("read")
    with connect(server) as client:
        tap.ok(fetch(client, ["u"])["u"][2] > 0, "later it is read")


def test_failed_flush():
    """WAL cannot be flushed: the server restarts, and what it had acknowledged is there"""
    acknowledged = []
    client = connect(server)
    for i in range(200):
        if i == 100:
            disk.set("sync", "EIO pg_wal")
        try:
            code, _ = told(client.call("Produce", 9, produce_body("t", "flush %d" % i, acks=1)))
        except (ConnectionError, OSError):
            break
        if code == NONE:
            acknowledged.append("flush %d" % i)
    disk.clear("sync")
    server.wait_up()
    tap.equal(len(acknowledged), 100, "nothing is acknowledged once flushing fails")
    there = server.sql("SELECT as_text(value) FROM topics.t WHERE as_text(value) LIKE 'flush %' ORDER BY \"offset\"").split("\n")
    tap.equal(there[:100], acknowledged, "what was acknowledged is there")
    tap.ok(len(there) <= 101 and len(set(there)) == len(there), "once")
    server.wait_listener()
    tap.equal(append("again")[0], NONE, "and it goes on")


def main():
    pg.demote()
    need_clients()
    tap.main([test_setup] + [healed(t) for t in (test_one_alone, test_kafka, test_producer_id, test_admin, test_sql, test_sealing, test_full, test_log_writer,
                                                 test_unreadable, test_failed_flush)])


main()
