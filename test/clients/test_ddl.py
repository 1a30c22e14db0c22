#!/usr/bin/env python3
"""What SQL commands on the tables of a topic look like to Kafka clients: fetches that wait, warm caches, producers."""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

server = client = waiter = None

NONE, OUT_OF_RANGE, UNKNOWN_TOPIC, NO_LEADER, NOT_LEADER, TIMED_OUT, UNKNOWN_ID = 0, 1, 3, 5, 6, 7, 100
WAIT = 5.0      # seconds that a fetch may wait
SOON = 2.0      # what is noticed at once is noticed by then


def metadata(name):
    """The topic's error and its partitions' errors by number."""
    answer = client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})["Topics"][0]
    return answer["ErrorCode"], {p["PartitionIndex"]: p["ErrorCode"] for p in answer["Partitions"]}


def topic_id(name):
    answer = client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
    return answer["Topics"][0]["TopicId"]


def produce(name, partition=0, value="x"):
    body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": name, "PartitionData": [
        {"Index": partition, "Records": raw.Batch([(None, value)]).encode()}]}]}
    got = client.call("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]
    return got["ErrorCode"], got["BaseOffset"]


def send_fetch(where, offset, partition=0, by_id=None):
    """A fetch that waits, on a connection of its own; by name (version 11) or by id (13)."""
    body = {"MaxWaitMs": int(WAIT * 1000), "MinBytes": 1, "MaxBytes": 1000000, "SessionEpoch": -1}
    part = {"Partition": partition, "FetchOffset": offset, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 100000}
    topic = {"TopicId": by_id} if by_id else {"Topic": where}
    waiter.send("Fetch", 13 if by_id else 11, {**body, "ReplicaId": -1, "Topics": [{**topic, "Partitions": [part]}]})
    time.sleep(0.3)


def answer(version=11):
    """(error, records, seconds that it took)"""
    started = time.monotonic()
    got = waiter.receive("Fetch", version)
    part = got["Responses"][0]["Partitions"][0]
    return part["ErrorCode"], [(r[0], r[3]) for r in raw.read_batches(part["Records"])], time.monotonic() - started


def fetch_while(name, offset, command, **more):
    send_fetch(name, offset, **more)
    server.sql(command)


def test_dropped():
    """a topic that is dropped while a fetch waits"""
    for by_id in (False, True):
        server.sql("SELECT create_topic('dropped')")
        ident = topic_id("dropped") if by_id else None
        fetch_while("dropped", 0, "DROP TABLE topics.dropped", by_id=ident)
        code, records, took = answer(13 if by_id else 11)
        tap.ok(code in (UNKNOWN_TOPIC, NOT_LEADER, UNKNOWN_ID) and not records, "the fetch says so (error %d)" % code)
        tap.ok(took < SOON, "soon (%.1f s)" % took)
        tap.equal(metadata("dropped"), (UNKNOWN_TOPIC, {}), "gone from metadata")
        tap.equal(produce("dropped")[0], UNKNOWN_TOPIC, "and for producers")


def test_dropped_by_kafka():
    server.sql("SELECT create_topic('deleted')")
    send_fetch("deleted", 0)
    client.call("DeleteTopics", 5, {"TopicNames": ["deleted"], "TimeoutMs": 5000})
    code, records, took = answer()
    tap.ok(code in (UNKNOWN_TOPIC, NOT_LEADER) and not records, "the fetch says so (error %d)" % code)
    tap.ok(took < SOON, "soon (%.1f s)" % took)


def test_leaf():
    """one partition is dropped, detached, attached"""
    server.sql("SELECT create_topic('leaves', partitions => 3)")
    tap.equal(produce("leaves", 1), (NONE, 0), "before")
    fetch_while("leaves", 1, "ALTER TABLE topics.leaves DETACH PARTITION topics.\"leaves#1\"", partition=1)
    code, records, took = answer()
    tap.ok(code in (UNKNOWN_TOPIC, NOT_LEADER) and not records, "detached: the fetch says so (error %d)" % code)
    tap.ok(took < SOON, "soon (%.1f s)" % took)
    tap.equal(metadata("leaves"), (NONE, {0: NONE, 1: NO_LEADER, 2: NONE}), "no leader for a partition that is not there")
    tap.ok(produce("leaves", 1)[0] in (UNKNOWN_TOPIC, NOT_LEADER, NO_LEADER), "nothing to produce to")
    tap.equal(produce("leaves", 2), (NONE, 0), "the others go on")
    server.sql("ALTER TABLE topics.leaves ATTACH PARTITION topics.\"leaves#1\" FOR VALUES IN (1)")
    tap.equal(metadata("leaves"), (NONE, {0: NONE, 1: NONE, 2: NONE}), "attached again")
    tap.equal(produce("leaves", 1), (NONE, 1), "it goes on where it was")
    server.sql("DROP TABLE topics.\"leaves#2\"")
    tap.equal(metadata("leaves"), (NONE, {0: NONE, 1: NONE}), "the last one dropped")
    server.sql("SELECT add_partitions('leaves', total => 4)")
    tap.equal(metadata("leaves"), (NONE, {0: NONE, 1: NONE, 2: NONE, 3: NONE}), "and more added")
    tap.equal(produce("leaves", 3), (NONE, 0), "which take records")


def test_moved():
    """to another tablespace, schema, file"""
    space = os.path.join(server.dir, "space")
    os.makedirs(space)
    server.sql("CREATE TABLESPACE space LOCATION '%s'; SELECT create_topic('moved')" % space)
    tap.equal(produce("moved", 0, "first"), (NONE, 0), "before")
    for number, (what, command) in enumerate((
            ("SET TABLESPACE", "ALTER TABLE topics.\"moved#0\" SET TABLESPACE space"),
            ("VACUUM FULL", "VACUUM FULL topics.moved"),
            ("a rewrite that changes nothing", "ALTER TABLE topics.\"moved#0\" SET TABLESPACE pg_default"),
            ("SET SCHEMA of the leaf", "ALTER TABLE topics.\"moved#0\" SET SCHEMA public"),
            ("OWNER", "CREATE ROLE owner; ALTER TABLE topics.moved OWNER TO owner"),
            ("a new index", "CREATE INDEX ON topics.moved (key)"),
            ("a constraint", "ALTER TABLE topics.moved ADD CHECK (octet_length(value) < 1000)")), 1):
        fetch_while("moved", number, command)
        tap.equal(produce("moved", 0, what), (NONE, number), "%s: offsets go on" % what)
        code, records, took = answer()
        if code == NOT_LEADER:      # it looked while the table was locked: a client tries again
            send_fetch("moved", number)
            code, records, took = answer()
        tap.equal((code, records), (NONE, [(number, what.encode())]), "%s: a waiting fetch gets what comes" % what)
        tap.ok(took < SOON, "%s: soon (%.1f s)" % (what, took))
    end = number + 1
    fetch_while("moved", end, "TRUNCATE topics.moved")
    tap.equal(produce("moved", 0, "after"), (NONE, end), "TRUNCATE: offsets go on")
    code, records, took = answer()
    tap.equal((code, records), (NONE, [(end, b"after")]), "TRUNCATE: a waiting fetch gets what comes")
    tap.ok(took < SOON, "TRUNCATE: soon (%.1f s)" % took)
    send_fetch("moved", 0)
    code, records, took = answer()
    tap.equal(code, OUT_OF_RANGE, "what was before is out of range")

    server.sql("ALTER TABLE topics.moved SET SCHEMA public")
    send_fetch("moved", end + 1)
    code, records, took = answer()
    tap.ok(code == UNKNOWN_TOPIC and took < SOON, "hidden in another schema (error %d)" % code)
    tap.equal(metadata("moved"), (UNKNOWN_TOPIC, {}), "not in metadata")
    server.sql("ALTER TABLE public.moved SET SCHEMA topics")
    tap.equal(produce("moved", 0), (NONE, end + 1), "and back")


def test_sessions():
    """what a fetch session remembers of a log does not outlive it"""
    server.sql("SELECT create_topic('again'); INSERT INTO topics.again (value) SELECT repeat('x', 1000)::bytea FROM generate_series(1, 500)")
    for what, command in (("TRUNCATE", "TRUNCATE topics.again"), ("VACUUM FULL", "VACUUM FULL topics.again"),
                          ("another topic of that name", "DROP TABLE topics.again; SELECT create_topic('again')")):
        with raw.Client(server.bootstrap) as mine:
            def go_on(offset, session, epoch):
                part = {"Partition": 0, "FetchOffset": offset, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1000000}
                got = mine.call("Fetch", 11, {
                    "ReplicaId": -1, "MaxWaitMs": 200, "MinBytes": 1, "MaxBytes": 1000000, "SessionId": session, "SessionEpoch": epoch,
                    "Topics": [{"Topic": "again", "Partitions": [part]}]})
                parts = got["Responses"][0]["Partitions"] if got["Responses"] else []
                return got["SessionId"], [r[0] for p in parts for r in raw.read_batches(p["Records"])]
            end = int(server.sql("SELECT log_end('again:0')"))
            start = int(server.sql("SELECT log_start('again:0')"))
            session, _ = go_on(start, 0, 0)
            go_on(end, session, 1)
            server.sql(command)
            end = int(server.sql("SELECT log_end('again:0')"))
            server.sql("INSERT INTO topics.again (value) VALUES ('new'), ('newer')")
            tap.equal(go_on(end, session, 2)[1], [end, end + 1], "%s: a session goes on" % what)
            go_on(end + 2, session, 3)
            server.sql("INSERT INTO topics.again (value) VALUES ('newest')")
            tap.equal(go_on(end + 2, session, 4)[1], [end + 2], "%s: and on" % what)


def test_trimmed():
    """records deleted while a fetch waits for more than there is"""
    server.sql("SELECT create_topic('trimmed'); INSERT INTO topics.trimmed (value) SELECT 'v' FROM generate_series(1, 10)")
    body = {"MaxWaitMs": int(WAIT * 1000), "MinBytes": 100000, "MaxBytes": 1000000, "SessionEpoch": -1, "ReplicaId": -1, "Topics": [
        {"Topic": "trimmed", "Partitions": [{"Partition": 0, "FetchOffset": 3, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 100000}]}]}
    waiter.send("Fetch", 11, body)
    time.sleep(0.3)
    server.sql("SELECT delete_records('trimmed:0', 7); SELECT produce('trimmed', repeat('x', 200000))")
    code, records, took = answer()
    tap.ok(code == OUT_OF_RANGE and took < SOON, "out of range (error %d, %.1f s)" % (code, took))


def test_uncommitted():
    """nothing of it counts before the commit"""
    server.sql("SELECT create_topic('open', partitions => 2)")
    session = server.session()
    session.sql("BEGIN; SELECT add_partitions('open', total => 3); ALTER TABLE topics.open DETACH PARTITION topics.\"open#1\"")
    started = time.monotonic()
    tap.equal(metadata("open"), (NONE, {0: NONE, 1: NONE}), "metadata is as it was")
    tap.equal(produce("open", 0), (NONE, 0), "partitions that are not touched take records")
    tap.ok(time.monotonic() - started < SOON, "and nobody waits")
    session.sql("ROLLBACK")
    tap.equal(metadata("open"), (NONE, {0: NONE, 1: NONE}), "after a rollback, too")
    session.close()


def main():
    global server, client, waiter
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    client, waiter = raw.Client(server.bootstrap), raw.Client(server.bootstrap)
    tap.main([test_dropped, test_dropped_by_kafka, test_leaf, test_moved, test_sessions, test_trimmed, test_uncommitted])


main()
