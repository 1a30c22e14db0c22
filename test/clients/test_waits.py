#!/usr/bin/env python3
"""Who waits for a log is woken when it moves, and when another one moves is not: long polls of Kafka clients and
sessions in poll() and consume(), more logs than the server keeps in memory, listeners that end meanwhile.

A wait lasts WAIT_S when nobody wakes it; no test passes that lets one go by.
"""

import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

WAIT_S = 120
PARTITIONS = 200        # more than pgtopic.max_partitions
SEED = int(os.environ.get("SEED") or time.time() * 1000) & 0x7FFFFFFF

server = None
number = 0


def connect():
    return raw.Client(server.bootstrap, timeout=WAIT_S + 60)


def fetch(places):
    """A long poll of (topic, partition, offset)."""
    topics = {}
    for topic, partition, offset in places:
        topics.setdefault(topic, []).append({"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20})
    return {"MaxWaitMs": WAIT_S * 1000, "MinBytes": 1, "MaxBytes": 1 << 20,
            "Topics": [{"Topic": t, "Partitions": p} for t, p in topics.items()]}


def values(answer):
    return [value.decode() for topic in answer["Responses"] for p in topic["Partitions"] if p["Records"]
            for _, _, _, value, _ in raw.read_batches(p["Records"])]


def end_of(topic, partition):
    return int(server.sql("SELECT log_end('%s:%d')" % (topic, partition)))


def produce_sql(topic, partition):
    global number
    number += 1
    server.sql("SELECT produce('%s', 'record-%d', partition => %d)" % (topic, number, partition))
    return "record-%d" % number


def produce_kafka(client, topic, partition):
    global number
    number += 1
    body = {"Acks": -1, "TimeoutMs": 60000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": partition, "Records": raw.Batch([(None, "record-%d" % number)]).encode()}]}]}
    error = client.call("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]["ErrorCode"]
    if error:
        raise RuntimeError("Produce: error %d" % error)
    return "record-%d" % number


def in_time(started, what):
    passed = time.monotonic() - started
    return tap.ok(passed < WAIT_S * 0.8, "%s: nobody waited in vain (%.1f s)" % (what, passed))


def test_long_polls():
    """a long poll of each of many partitions, woken in an order of its own"""
    clients = [connect() for _ in range(PARTITIONS)]
    started = time.monotonic()
    sent = [c.send("Fetch", 11, fetch([("many", p, end_of("many", p))])) for p, c in enumerate(clients[:60])]
    order = list(range(len(sent)))
    random.shuffle(order)
    wrong = []
    with connect() as producer:
        for p in order:
            value = produce_kafka(producer, "many", p) if p % 2 else produce_sql("many", p)
            got = values(clients[p].receive("Fetch", 11, sent[p]))
            if got != [value]:
                wrong.append((p, value, got))
    tap.equal(wrong, [], "each gets its record")
    in_time(started, "long polls")
    for c in clients:
        c.close()


def test_many_at_once():
    """one long poll of all partitions, again and again, while records come without a pause"""
    started = time.monotonic()
    offsets = [end_of("few", p) for p in range(8)]
    seen, expected = [], []
    with connect() as consumer, connect() as producer:
        for i in range(200):
            sent = consumer.send("Fetch", 11, fetch([("few", p, o) for p, o in enumerate(offsets)]))
            if len(expected) <= len(seen):
                # most come just when the poll does
                time.sleep(random.choice([0, 0, 0.001, 0.003]))
                expected.append(produce_kafka(producer, "few", random.randrange(8)))
            answer = consumer.receive("Fetch", 11, sent)
            for p in answer["Responses"][0]["Partitions"]:
                for _, _, _, value, _ in raw.read_batches(p["Records"] or b""):
                    seen.append(value.decode())
                    offsets[p["PartitionIndex"]] += 1
    tap.equal(sorted(set(expected) - set(seen)), [], "all records are seen")
    in_time(started, "long polls of several partitions")


def test_sessions():
    """sessions in poll() and consume(), few partitions and many"""
    started = time.monotonic()
    polls = {}
    for p in range(8):
        polls[p] = server.session()
        polls[p].send("SELECT convert_from(value, 'UTF8') FROM poll('few', %d, %d, timeout => '%d s')" % (p, end_of("few", p), WAIT_S))
    wide = server.session()
    server.sql("SELECT seek('wide-readers', 'many', 'end')")
    wide.send("SELECT convert_from(value, 'UTF8') FROM consume('many', 'wide-readers', timeout => '%d s')" % WAIT_S)
    server.sql("SELECT seek('readers', 'other', 'end')")
    narrow = server.session()
    narrow.send("SELECT convert_from(value, 'UTF8') FROM consume('other', 'readers', timeout => '%d s')" % WAIT_S)
    wait_until_waiting(10)
    with connect() as producer:
        for p in random.sample(sorted(polls), len(polls)):
            value = produce_kafka(producer, "few", p) if p % 2 else produce_sql("few", p)
            tap.equal(polls[p].answer(), value, "poll() of partition %d has its record" % p)
        value = produce_sql("many", PARTITIONS - 1)
        tap.equal(wide.answer(), value, "consume() of %d partitions, too" % PARTITIONS)
        value = produce_kafka(producer, "other", 3)
        tap.equal(narrow.answer(), value, "consume() of a few, too")
    in_time(started, "sessions")
    for s in [*polls.values(), wide, narrow]:
        s.close()


def wait_until_waiting(n):
    deadline = time.monotonic() + 60
    question = ("SELECT count(*) FROM pg_stat_activity WHERE query ~ '(poll|consume)' AND wait_event_type = 'Extension' "
                "AND state = 'active' AND pid <> pg_backend_pid()")
    while int(server.sql(question)) < n and time.monotonic() < deadline:
        time.sleep(0.05)
    tap.equal(server.sql(question), str(n), "%d sessions wait" % n)


def test_listener_ends():
    """listeners that end, by SIGTERM and by a crash: those that come after them are woken"""
    for how in (signal.SIGTERM, signal.SIGKILL):
        started = time.monotonic()
        clients = [connect() for _ in range(9)]
        for p, c in enumerate(clients):
            c.send("Fetch", 11, fetch([("many", p, end_of("many", p))]))
        pids = server.worker_pids("pgtopic listener")
        for pid in pids if how == signal.SIGTERM else pids[:1]:
            os.kill(pid, how)
        for c in clients:
            c.close()
        while set(server.worker_pids("pgtopic listener")) & set(pids) or len(server.worker_pids("pgtopic listener")) < len(pids):
            time.sleep(0.05)
        server.wait_up()
        server.wait_listener()
        clients = [connect() for _ in range(9)]
        sent = [c.send("Fetch", 11, fetch([("many", p, end_of("many", p))])) for p, c in enumerate(clients)]
        wrong = []
        for p in random.sample(range(9), 9):
            value = produce_sql("many", p)
            got = values(clients[p].receive("Fetch", 11, sent[p]))
            if got != [value]:
                wrong.append((p, value, got))
        tap.equal(wrong, [], "after %s each gets its record" % how.name)
        in_time(started, how.name)
        for c in clients:
            c.close()


def test_dropped():
    """a topic that is dropped wakes its long polls"""
    started = time.monotonic()
    server.sql("SELECT create_topic('short', 3)")
    with connect() as client:
        client.call("Metadata", 4, {"Topics": [{"Name": "short"}], "AllowAutoTopicCreation": False})
        sent = client.send("Fetch", 11, fetch([("short", 1, 0)]))
        time.sleep(0.3)
        server.sql("SELECT drop_topic('short')")
        answer = client.receive("Fetch", 11, sent)
        tap.ok(answer["Responses"][0]["Partitions"][0]["ErrorCode"] != 0, "the client is told")
    in_time(started, "a dropped topic")


def test_cancelled():
    """a session that is cancelled in a subtransaction goes on, and its latch is its own"""
    session = server.session()
    session.send("""DO $$ BEGIN
        BEGIN PERFORM * FROM poll('few', 0, %d, timeout => '%d s'); EXCEPTION WHEN query_canceled THEN NULL; END;
        PERFORM * FROM poll('few', 1, %d, timeout => '%d s');
        RAISE NOTICE 'woken'; END $$""" % (end_of("few", 0), WAIT_S, end_of("few", 1), WAIT_S))
    started = time.monotonic()
    wait_until_waiting_do()
    server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^DO' AND pid <> pg_backend_pid()")
    time.sleep(0.2)
    wait_until_waiting_do()
    produce_sql("few", 0)
    produce_sql("few", 1)
    tap.matches("woken", session.answer(), "it is woken")
    in_time(started, "a session")
    session.close()


def wait_until_waiting_do():
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^DO' AND wait_event_type = 'Extension'") != "1":
        time.sleep(0.02)


def switches(pid):
    """How often the process has slept."""
    with open("/proc/%d/status" % pid, encoding="utf8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))


def test_idle():
    """sessions and listeners that wait for other logs sleep on"""
    sessions = [server.session() for _ in range(5)]
    pids = [int(s.sql("SELECT pg_backend_pid()")) for s in sessions]
    for p, s in enumerate(sessions):
        s.send("SELECT * FROM poll('other', %d, %d, timeout => '%d s')" % (p, end_of("other", p), WAIT_S))
    wait_until_waiting(len(sessions))
    before = [switches(pid) for pid in pids]
    with connect() as producer:
        for _ in range(300):
            produce_kafka(producer, "busy", 0)
    woken = [switches(pid) - n for pid, n in zip(pids, before)]
    tap.note("they woke %s times" % woken)
    # two logs may be of one bucket, and a server has other reasons to wake a backend
    tap.ok(sorted(woken)[len(woken) // 2] < 100, "300 records in another log have woken hardly anybody")
    for s in sessions:
        s.close()


def test_nothing_left():
    """the server has seen no crash but ours"""
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "no crash")


pg.demote()
random.seed(SEED)
tap.note("SEED=%d" % SEED)
server = pg.Cluster(settings={"pgtopic.listener_workers": 3, "pgtopic.max_partitions": 64, "max_connections": 60}).init().start()
server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('many', %d), create_topic('few', 8), create_topic('other', 5), "
           "create_topic('busy', 1)" % PARTITIONS)
server.wait_listener()
tap.main([test_long_polls, test_many_at_once, test_sessions, test_listener_ends, test_dropped, test_cancelled, test_idle,
          test_nothing_left])
