#!/usr/bin/env python3
"""What has to be read from a slow disk holds up those who want it, and nobody else of the same listener.

There is one listener.  While a file is cold, nothing of it is in the page cache
and nothing comes, and whoever reads it all the same stands still for good.  So
a listener that does is found: it answers nobody.  No check measures time.
"""

import os
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import faults          # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402
from rawtest import connect, fetch_body, need_clients, produce_body, silent, told, values_of   # noqa: E402

NONE, NOT_LEADER, STORAGE_ERROR = 0, 6, 56
ROWS, SIZE = 2000, 10000        # 20 MB
TOPICS = ("cold", "hot", "loading", "dead")

server = disk = None


def got(answer):
    """Of each partition in the answer to Fetch: error code, and the values of the records"""
    parts = [t["Partitions"][0] for t in answer["Responses"]]
    return [(p["ErrorCode"], values_of(p)) for p in parts]


def value(i):
    return ("%06d" % i) * (SIZE // 6)


def make_cold(*topics):
    paths = [server.sql("SELECT pg_relation_filepath('topics.\"%s#0\"')" % t) for t in topics]
    disk.set("read", *("wait " + p for p in paths))
    disk.set("cold", *paths)


def others_go_on(what):
    """Another client of the same listener produces and gets it back."""
    with connect(server) as client:
        error, offset = told(client.call("Produce", 9, produce_body("hot", what)))
        tap.equal((error, got(client.call("Fetch", 11, fetch_body(["hot"], offset)))), (NONE, [(NONE, [what])]),
                  what + ": another client produces and consumes")


def restart():
    """Nothing is in shared buffers any more."""
    server.restart()
    server.wait_listener()
    with connect(server) as client:
        client.call("Produce", 9, produce_body("hot", "first"))


def reads_without_waiting():
    """Can the file system do it?  Where it cannot, a listener waits."""
    with open(os.path.join(server.data, "PG_VERSION"), "rb") as f:
        try:
            return os.preadv(f.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except OSError:
            return False


def test_setup():
    global server, disk
    disk = faults.Disk()
    server = pg.Cluster("main", {"autovacuum": "off", "pgtopic.listener_workers": "1"}, environment=disk.environment).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    for topic in TOPICS:
        server.sql("SELECT create_topic('%s'); INSERT INTO topics.%s (value, timestamp) VALUES ('first', to_timestamp(1000000))" % (topic, topic))
    server.sql("INSERT INTO topics.cold (value, timestamp) SELECT repeat(to_char(i, 'FM000000'), %d)::bytea, to_timestamp(1000000 + i)"
               " FROM generate_series(1, %d) i" % (SIZE // 6, ROWS))
    tap.equal(server.sql("SELECT log_end('cold:0')"), str(ROWS + 1), "records are there")
    if not reads_without_waiting():
        tap.skip("the file system cannot read without waiting")


def test_load():
    """the state of a log that nobody has touched since the start"""
    restart()
    make_cold("cold")
    with connect(server) as client:
        client.send("Fetch", 11, fetch_body(["cold"], 1))
        tap.ok(silent(client.socket), "a consumer waits")
        tap.ok(disk.asked("ahead") > 0, "the disk has been asked")
        others_go_on("load")
        disk.clear_all()
        [(error, values)] = got(client.receive("Fetch", 11))
        tap.equal((error, values[:1]), (NONE, [value(1)]), "it gets the records when they are there")


def test_walk():
    """the place of an offset, and the frames from there on"""
    make_cold("cold")
    with connect(server) as client:
        client.send("Fetch", 11, fetch_body(["cold"], ROWS // 2))
        tap.ok(silent(client.socket), "a consumer waits")
        others_go_on("walk")
        client.close()
    with connect(server) as client:
        client.send("Fetch", 11, fetch_body(["cold"], ROWS // 2, wait_ms=60000))
        tap.ok(silent(client.socket), "another waits, who would also wait for more")
        disk.clear_all()
        [(error, values)] = got(client.receive("Fetch", 11))
        tap.equal((error, values[0] <= value(ROWS // 2) <= values[-1]), (NONE, True), "it gets the records when they are there")


def test_beside():
    """a fetch of several partitions gives what is there"""
    restart()
    with connect(server) as client:
        client.call("Fetch", 11, fetch_body(["cold"], ROWS + 1))
        make_cold("cold")
        answers = got(client.call("Fetch", 11, fetch_body(["cold", "hot"], 1, wait_ms=60000)))
        tap.equal((answers[0], answers[1][0], len(answers[1][1]) > 0), ((NONE, []), NONE, True), "of the others")
        disk.clear_all()
        tap.equal(got(client.call("Fetch", 11, fetch_body(["cold", "hot"], 1)))[0][1][:1], [value(1)], "and later of this one")


def receive_until_silent(client, data):
    while not silent(client.socket):
        part = client.socket.recv(1 << 20)
        if not part:
            raise ConnectionError("closed")
        data += part


def test_send():
    """the rest of an answer that is being sent"""
    restart()
    with connect(server) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send("Fetch", 11, fetch_body(["cold"], 1, max_bytes=100 << 20))
        head = client.socket.recv(4, socket.MSG_WAITALL)
        make_cold("cold")
        data = bytearray()
        receive_until_silent(client, data)
        length = int.from_bytes(head, "big")
        # an answer has at most 16 extents of a partition, and this log has more
        tap.ok(length > 15 << 20, "the answer has %d bytes" % length)
        last = int(length * 0.95) // SIZE
        tap.ok(0 < len(data) < length, "a consumer waits for the rest of it, behind %d bytes" % len(data))
        others_go_on("send")
        asked = disk.asked("ahead")
        tap.ok(asked > 0, "the disk has been asked")
        disk.clear_all()
        data += client.receive_exactly(length - len(data))
        tap.equal(all(value(i).encode() in data for i in (1, last // 3, last // 2, last)), True, "it gets the rest")
        [(error, values)] = got(client.call("Fetch", 11, fetch_body(["cold"], ROWS)))
        tap.equal((error, values[-1]), (NONE, value(ROWS)), "and goes on")


def test_produce():
    """appending to a log that nobody has touched since the start"""
    restart()
    make_cold("cold")
    with connect(server) as client:
        client.send("Produce", 9, produce_body("cold", "last"))
        tap.ok(silent(client.socket), "a producer waits")
        others_go_on("produce")
        disk.clear_all()
        tap.equal(told(client.receive("Produce", 9)), (NONE, ROWS + 1), "its record is appended when the log is there")


def list_body(timestamp):
    return {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
        {"Name": t, "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": timestamp}]} for t in ("cold", "hot")]}


def offsets(answer):
    return [(t["Partitions"][0]["ErrorCode"], t["Partitions"][0]["Offset"]) for t in answer["Topics"]]


def test_time():
    """a look-up by time"""
    restart()
    with connect(server) as client:
        tap.equal(offsets(client.call("ListOffsets", 5, list_body(-1)))[0], (NONE, ROWS + 2), "the end is known")
        make_cold("cold")
        tap.equal(offsets(client.call("ListOffsets", 5, list_body(-1)))[0], (NONE, ROWS + 2), "and needs no disk")
        client.send("ListOffsets", 5, list_body((1000000 + ROWS // 2) * 1000))
        tap.ok(silent(client.socket), "a consumer waits")
        others_go_on("time")
        disk.clear_all()
        answer = offsets(client.receive("ListOffsets", 5))
        tap.equal(answer[0], (NONE, ROWS // 2), "it gets the offset when it can be found")


def test_epochs():
    """where an epoch has ended"""
    server.sql("SELECT setval('leader_epochs', (last_value >> 32) << 32) FROM leader_epochs; SELECT append('cold:0', 'newer')")
    restart()
    body = {"ReplicaId": -1, "Topics": [
        {"Topic": t, "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 1}]} for t in ("cold", "hot")]}
    with connect(server) as client:
        client.call("Fetch", 11, fetch_body(["cold"], ROWS + 3))
        make_cold("cold")
        client.send("OffsetForLeaderEpoch", 4, body)
        tap.ok(silent(client.socket), "a consumer waits")
        others_go_on("epochs")
        disk.clear_all()
        [cold, hot] = [t["Partitions"][0] for t in client.receive("OffsetForLeaderEpoch", 4)["Topics"]]
        tap.equal((cold["ErrorCode"], cold["LeaderEpoch"], cold["EndOffset"]), (NONE, 1, ROWS + 2), "it gets the offset when it can be found")
        tap.equal((hot["ErrorCode"], hot["LeaderEpoch"]), (NONE, 1), "and that of the other partition")


def test_producers():
    """the producers that a partition knows"""
    with connect(server) as client:
        batch = raw.Batch([(None, "of a producer")], producer_id=4711, producer_epoch=3, base_sequence=0).encode()
        client.call("Produce", 9, produce_body("cold", records=batch))
    restart()
    make_cold("cold")
    with connect(server) as client:
        client.send("DescribeProducers", 0, {"Topics": [{"Name": "cold", "PartitionIndexes": [0]}]})
        tap.ok(silent(client.socket), "who asks waits")
        others_go_on("producers")
        disk.clear_all()
        [part] = client.receive("DescribeProducers", 0)["Topics"][0]["Partitions"]
        tap.equal((part["ErrorCode"], [(p["ProducerId"], p["ProducerEpoch"]) for p in part["ActiveProducers"]]), (NONE, [(4711, 3)]), "and gets them")


def test_loaded_by_another():
    """a log that somebody else is loading"""
    restart()
    make_cold("loading")
    session = server.session()
    session.send("SELECT append('loading:0', 'second')")
    deadline = time.monotonic() + 60
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'DataFileRead' AND backend_type = 'client backend'") == "0":
        if time.monotonic() > deadline:
            raise RuntimeError("nobody reads")
        time.sleep(0.02)
    with connect(server) as client:
        tap.equal(got(client.call("Fetch", 11, fetch_body(["loading"])))[0][0], NOT_LEADER, "who would not wait is told to try again")
        client.send("Fetch", 11, fetch_body(["loading"], wait_ms=600000))
        tap.ok(silent(client.socket), "who would waits")
        others_go_on("loading")
        disk.clear_all()
        tap.equal(got(client.receive("Fetch", 11))[0], (NONE, ["first", "second"]), "and gets the records as soon as the log is loaded")
    session.answer()
    session.close()


def test_never():
    """what never comes is an error in the end, of that partition, where other things have come"""
    make_cold("cold")
    with connect(server) as client:
        client.send("Fetch", 11, fetch_body(["cold"]))
        tap.ok(silent(client.socket), "something is waited for")
        disk.clear_all()
        tap.equal(got(client.receive("Fetch", 11))[0][0], NONE, "and comes")
        make_cold("dead")
        client.send("Fetch", 11, fetch_body(["dead"]))
        tap.equal(got(client.receive("Fetch", 11))[0][0], STORAGE_ERROR, "KAFKA_STORAGE_ERROR")
        others_go_on("never")
        tap.matches("has not been read within", server.log_text(), "the log says which block it is")
        disk.clear_all()
        tap.equal(got(client.call("Fetch", 11, fetch_body(["dead"])))[0], (NONE, ["first"]), "later it is read")


def main():
    pg.demote()
    need_clients()
    tap.main([test_setup, test_load, test_walk, test_beside, test_send, test_produce, test_time, test_epochs, test_producers, test_loaded_by_another, test_never])


main()
