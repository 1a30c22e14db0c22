#!/usr/bin/env python3
"""Retention: what is too old or too much goes by itself, from all readers, over crashes and on standbys, and nothing else does."""

import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

ROUNDS = int(os.environ.get("PGTOPIC_KILL_ROUNDS", "4"))
MB = 1024 * 1024
OFFSET_OUT_OF_RANGE = 1

server = standby = None


def until(condition, what, timeout=120):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("not within %d s: %s" % (timeout, what))
        time.sleep(0.05)


def create(topic, config="{}", partitions=1):
    server.sql("SELECT create_topic('%s', %d, '%s')" % (topic, partitions, config))


def fill(topic, n, age, batches=1, size=10, partition=0):
    """Batches of n records each, of a transaction each, so old."""
    server.sql("".join("INSERT INTO topics.\"%s\" (partition, value, \"timestamp\") SELECT %d, repeat('x', %d)::bytea, now() - interval '%s' "
                       "FROM generate_series(1, %d);" % (topic, partition, size, age, n) for _ in range(batches)))


def bounds(topic, partition=0, where=None):
    row = (where or server).rows("SELECT log_start('%s:%d'), log_end('%s:%d')" % (topic, partition, topic, partition))[0]
    return int(row[0]), int(row[1])


def start_is(topic, offset, partition=0):
    until(lambda: bounds(topic, partition)[0] == offset, "%s:%d starts at %d, not at %d"
          % (topic, partition, offset, bounds(topic, partition)[0]))


def settle():
    """Until the housekeeper has looked at all that is due: a topic made now has had its turn."""
    settle.n += 1
    create("settle%d" % settle.n, '{"retention.ms": 60000}')
    fill("settle%d" % settle.n, 3, "1 hour")
    start_is("settle%d" % settle.n, 3)
    time.sleep(1.2)     # and what was due at that moment is not any more


settle.n = 0


def housekeeper_lines(text):
    return [line for line in text.split("\n") if "pgtopic housekeeper" in line and re.search(r"ERROR|FATAL|PANIC|LOG:", line)]


def fetch(topic, offset):
    with raw.Client(server.bootstrap) as client:
        answer = client.call("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": MB, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": MB}]}]})
    return answer["Responses"][0]["Partitions"][0]


def test_time():
    """the oldest batches go when their time is over, others stay"""
    global server
    server = pg.Cluster("primary", {"wal_consistency_checking": "all", "log_min_messages": "warning"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    create("aged", '{"retention.ms": 600000}')
    fill("aged", 10, "1 hour", batches=5)
    fill("aged", 10, "1 minute", batches=2)
    start_is("aged", 50)
    tap.equal(bounds("aged"), (50, 70), "the old ones are gone, and no others")
    tap.equal(server.sql('SELECT count(*), min("offset") FROM topics.aged'), "20|50", "SQL does not show them")
    tap.equal(fetch("aged", 10)["ErrorCode"], OFFSET_OUT_OF_RANGE, "a fetch of what is gone gets OFFSET_OUT_OF_RANGE")
    got = fetch("aged", 50)
    tap.equal((got["ErrorCode"], got["LogStartOffset"], len(raw.read_batches(got["Records"]))), (0, 50, 20), "one of the rest gets it")
    tap.equal(server.sql("SELECT removed_records, removed_bytes > 0, removed_at IS NOT NULL, error FROM housekeeping WHERE topic = 'aged'"),
              "50|t|t|", "the view tells what was removed")


def test_trickle():
    """single records go in time, and the log that is empty goes on from there"""
    create("trickle", '{"retention.ms": 1500}')
    for expected in (1, 2, 3):
        sent = time.time()
        server.sql("SELECT produce('trickle', 'v')")
        tap.equal(bounds("trickle")[1], expected, "record %d is there" % expected)
        start_is("trickle", expected)
        tap.ok(time.time() - sent >= 1.5, "it was not gone before its time")
    tap.equal(server.sql("SELECT count(*) FROM topics.trickle"), "0", "nothing is left")
    until(lambda: server.sql("SELECT label FROM pg_seclabel WHERE objoid = 'topics.\"trickle#0\"'::regclass") == '{"start": 3}',
          "the label says where the log goes on")
    dump = server.run("pg_dump", "-t", "topics.trickle*").stdout
    server.sql("CREATE DATABASE copy")
    server.sql("CREATE EXTENSION pgtopic", database="copy")
    server.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", input=dump, database="copy")
    tap.equal(server.sql("SELECT log_start('trickle:0'), log_end('trickle:0')", database="copy"), "3|3", "and so does a dump")
    server.sql("DROP DATABASE copy")


def test_stays():
    """what must stay"""
    create("forever", '{"retention.ms": -1}')
    create("compacted", '{"cleanup.policy": "compact", "retention.ms": 1000, "retention.bytes": 1}')
    create("none", '{"cleanup.policy": "", "retention.ms": 1000}')
    create("stamped", '{"message.timestamp.type": "LogAppendTime", "retention.ms": 600000}')
    create("ahead", '{"retention.ms": 600000}')
    create("undated", '{"retention.ms": 600000}')
    for topic in ("forever", "none", "stamped"):
        fill(topic, 5, "1 year")
    server.sql("INSERT INTO topics.compacted (key, value, \"timestamp\") SELECT 'k', 'v', now() - interval '1 year' FROM generate_series(1, 5)")
    fill("ahead", 5, "-30 minutes")
    fill("ahead", 5, "1 hour")
    server.sql("INSERT INTO topics.undated (value, \"timestamp\") VALUES ('a', NULL)")
    server.sql("INSERT INTO topics.undated (value, \"timestamp\") VALUES ('b', now() - interval '1 hour')")
    server.sql("INSERT INTO topics.undated (value, \"timestamp\") VALUES ('c', NULL)")
    start_is("undated", 2)
    settle()
    tap.equal(bounds("forever"), (0, 5), "retention.ms=-1")
    tap.equal(bounds("compacted"), (0, 5), "cleanup.policy=compact")
    tap.equal(bounds("none"), (0, 5), "no cleanup.policy")
    tap.equal(bounds("stamped"), (0, 5), "LogAppendTime counts the time of the append")
    tap.equal(bounds("ahead"), (0, 10), "a timestamp in the future keeps what is behind it")
    tap.equal(bounds("undated"), (2, 3), "without a timestamp: goes with the next one that has one")
    server.sql("SELECT alter_topic('none', '{\"cleanup.policy\": \"delete\"}')")
    start_is("none", 5)
    tap.ok(True, "a changed policy takes effect")
    server.sql("SELECT alter_topic('forever', '{\"retention.ms\": 1000}')")
    start_is("forever", 5)
    tap.ok(True, "a changed retention.ms takes effect")


def test_default():
    """the default is a setting of the server, which Kafka clients see"""
    create("plain")
    fill("plain", 5, "30 days")
    settle()
    tap.equal(bounds("plain"), (0, 5), "no retention by default here")
    server.set(pgtopic__log_retention="7d").reload()
    start_is("plain", 5)
    tap.equal(server.sql("SELECT value FROM broker_configs() WHERE name = 'log.retention.ms'"), "604800000", "a broker's config")
    tap.equal(server.sql("SELECT value, is_default FROM topic_configs('plain') WHERE name = 'retention.ms'"), "604800000|t", "a topic's default")
    server.set(pgtopic__log_retention="-1").reload()
    until(lambda: server.sql("SELECT value FROM topic_configs('plain') WHERE name = 'retention.ms'") == "-1", "the setting is back")


def test_size():
    """whole extents go by size, and no more"""
    create("sized", '{"retention.bytes": %d, "retention.ms": -1}' % (2 * MB))
    for _ in range(10):
        fill("sized", 10, "0", size=100000)
    until(lambda: int(server.sql("SELECT sum(length(value)) FROM topics.sized")) < 5 * MB, "it gets smaller")
    settle()
    left, first, last, count = [int(n) for n in server.rows(
        'SELECT sum(length(value)), min("offset"), max("offset"), count(*) FROM topics.sized')[0]]
    tap.ok(left >= 1.9 * MB, "at least retention.bytes is left: %d" % left)
    tap.ok(left < 5 * MB, "and hardly more: %d" % left)
    tap.equal((last, count), (99, last - first + 1), "the newest, without a gap")
    server.sql("SELECT alter_topic('sized', '{\"retention.bytes\": 0}')")
    start_is("sized", 100)
    fill("sized", 1, "0")
    start_is("sized", 101)
    tap.ok(True, "retention.bytes=0 keeps nothing")


def file_mb(topic):
    return int(server.sql("SELECT pg_relation_size('topics.\"%s#0\"')" % topic)) / MB


def test_space():
    """at constant retention the file does not grow, whoever looks at it meanwhile"""
    create("steady", '{"retention.bytes": %d, "retention.ms": -1}' % (3 * MB))
    reader = server.session()
    sizes = []
    for number in range(30):
        fill("steady", 20, "0", size=100000)
        # four extents are kept: three and the one that is being written
        until(lambda: int(server.sql("SELECT sum(length(value)) FROM topics.steady")) < 4.5 * MB, "retention catches up")
        sizes.append(file_mb("steady"))
        if number == 10:
            reader.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
            reader.sql("SELECT count(*) FROM topics.aged")
    tap.note("file in MB: " + " ".join("%.0f" % size for size in sizes))
    tap.ok(max(sizes[3:]) <= max(sizes[:3]) + 2, "the file is within two extents of its first size")
    tap.ok(max(sizes) < 12, "and that is no more than what is kept and was written at once")
    reader.sql("COMMIT")
    reader.close()
    tap.equal(server.sql("SELECT count(*) FROM verify_topic('steady', deep => true)"), "0", "nothing is wrong in it")


def test_locks():
    """nobody's lock but one on the table is in its way, and it is in nobody's"""
    create("held", '{"retention.ms": 600000}')
    create("ddl", '{"retention.ms": 600000}')
    fill("held", 10, "1 hour")
    start_is("held", 10)
    reader = server.session()
    reader.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
    reader.sql("SELECT count(*) FROM topics.held")
    server.sql("BEGIN; SELECT append('held:0', 'prepared'::text); PREPARE TRANSACTION 'p'")
    fill("ddl", 5, "1 hour")
    start_is("ddl", 5)
    server.sql("SELECT alter_topic('held', '{\"retention.ms\": 1000}')")
    settle()
    tap.equal(bounds("held"), (10, 10), "what is not committed stays")
    server.sql("COMMIT PREPARED 'p'")
    start_is("held", 11)
    tap.ok(True, "and goes when it is, with a snapshot that is held elsewhere")
    reader.sql("COMMIT")
    create("behind", '{"retention.ms": -1}')
    fill("behind", 7, "1 hour")
    server.sql("BEGIN; SELECT append('behind:0', 'prepared'::text); PREPARE TRANSACTION 'p'")
    server.sql("SELECT alter_topic('behind', '{\"retention.ms\": 600000}')")
    start_is("behind", 7)
    tap.ok(True, "a prepared transaction that has the append lock is not in the way")
    server.sql("COMMIT PREPARED 'p'")
    tap.equal(bounds("behind"), (7, 8), "and its record is there")
    locker = server.session()
    locker.sql("BEGIN")
    locker.sql("LOCK TABLE topics.\"ddl#0\" IN SHARE ROW EXCLUSIVE MODE")
    server.sql("SELECT alter_topic('ddl', '{\"retention.ms\": 1000}')")
    settle()
    tap.equal(server.sql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                         "WHERE NOT granted AND backend_type = 'pgtopic housekeeper'"), "0", "it does not wait for a table's lock")
    locker.sql("COMMIT")
    fill("ddl", 5, "1 hour")
    start_is("ddl", 10)
    tap.ok(True, "and comes again")
    locker.close()
    reader.close()


def test_races():
    """topics that are dropped, truncated and altered all the time: no error, no crash"""
    before = len(server.log_text())
    stop = threading.Event()
    one_at_a_time = threading.Lock()    # what sessions that create and drop do to each other is no matter of retention
    problems = []

    def churn(number):
        rng = random.Random(number)
        session = server.session()
        while not stop.is_set():
            name = "churn%d" % number
            with one_at_a_time:
                answer = session.sql("SELECT create_topic('%s', 3, '{\"retention.ms\": 1000}')" % name)
            for _ in range(rng.randint(1, 5)):
                answer += session.sql("INSERT INTO topics.%s (partition, value, \"timestamp\") SELECT i %% 3, 'v', now() - interval '1 hour' "
                                      "FROM generate_series(1, 30) i" % name)
                answer += session.sql(rng.choice(["TRUNCATE topics.%s", "SELECT FROM alter_topic('%s', '{\"retention.ms\": 500}')",
                                                  "VACUUM FULL topics.%s", "SELECT FROM pg_sleep(0.3) -- %s"]) % name)
            with one_at_a_time:
                answer += session.sql("SELECT FROM drop_topic('%s')" % name)
            if "ERROR" in answer:
                problems.append(answer)
        session.close()

    threads = [threading.Thread(target=churn, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(8)
    stop.set()
    for thread in threads:
        thread.join()
    settle()
    tap.equal(problems, [], "sessions see no error")
    tap.equal(housekeeper_lines(server.log_text()[before:]), [], "nothing of the housekeeper in the log")


def test_not_durable():
    """what a synchronous standby does not have stays"""
    create("unsafe", '{"retention.ms": 600000}')
    fill("unsafe", 5, "1 hour")
    start_is("unsafe", 5)
    server.set(synchronous_standby_names="nobody").reload()
    until(lambda: server.sql("SHOW synchronous_standby_names") == "nobody", "the setting counts")
    session = server.session()
    session.sql("SET synchronous_commit = local")
    for _ in range(3):
        session.sql("INSERT INTO topics.unsafe (value, \"timestamp\") SELECT 'v', now() - interval '1 hour' FROM generate_series(1, 2)")
    session.sql("SELECT FROM alter_topic('unsafe', '{\"retention.ms\": 60000}')")
    session.sql("INSERT INTO topics.aged (value, \"timestamp\") SELECT 'v', now() - interval '1 hour' FROM generate_series(1, 2)")
    time.sleep(3)
    tap.equal(bounds("unsafe")[0], 5, "it is there")
    session.close()
    server.set(synchronous_standby_names="").reload()
    start_is("unsafe", 11)
    tap.ok(True, "and goes when it need not be there")


def test_offsets():
    """committed offsets in a topic that is gone go, however busy their partition is"""
    create("gone")
    server.sql("SELECT commit_offsets('g', 'gone:0', 0)")
    tombstones = "SELECT count(*) FROM topics.__consumer_offsets WHERE value IS NULL"
    before = server.sql(tombstones)
    stop = threading.Event()

    def hold(topic):
        """Has the append lock of that partition, or waits for it, all the time: it is handed from one to the other."""
        session = server.session()
        while not stop.is_set():
            session.sql("BEGIN")
            session.sql("SELECT commit_offsets('g', '%s:0', 1)" % topic)
            session.sql("PREPARE TRANSACTION '%s'" % topic)
            session.sql("SELECT pg_sleep(0.05)")
            session.sql("COMMIT PREPARED '%s'" % topic)
        session.close()

    threads = [threading.Thread(target=hold, args=(topic,), daemon=True) for topic in ("forever", "compacted", "none")]
    for thread in threads:
        thread.start()
    server.sql("SELECT drop_topic('gone')")
    until(lambda: server.sql(tombstones) != before, "the offset is removed", 240)
    tap.ok(True, "it is removed")
    stop.set()
    for thread in threads:
        thread.join()


def test_standby():
    """a standby follows"""
    global standby
    standby = server.standby().start()
    create("both", '{"retention.ms": 600000}')
    fill("both", 10, "1 hour", batches=3)
    fill("both", 10, "1 minute")
    start_is("both", 30)
    server.wait_caught_up(standby)
    tap.equal(bounds("both", where=standby), (30, 40), "the standby has the same start")
    tap.equal(standby.sql("SELECT count(*) FROM topics.both"), "10", "and the same records")
    tap.equal(standby.worker_pids("pgtopic housekeeper"), [], "and no housekeeper of its own")


def test_damage():
    """a damaged partition stops no other one, and is told of once"""
    create("damaged", '{"retention.ms": -1}')
    fill("damaged", 10, "1 hour")
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('topics.\"damaged#0\"')"))
    server.stop()
    with open(path, "r+b") as f:
        f.seek(2 * 8192 + 100)       # the first page with records
        f.write(b"\xff" * 500)
    server.start()
    server.wait_up()
    before = len(server.log_text())
    server.sql("SELECT alter_topic('damaged', '{\"retention.ms\": 600000}')")
    create("sound", '{"retention.ms": 600000}')
    fill("sound", 10, "1 hour")
    start_is("sound", 10)
    until(lambda: server.sql("SELECT count(error) FROM housekeeping WHERE topic = 'damaged'") == "1", "the view has the error")
    time.sleep(4)
    told = [line for line in housekeeper_lines(server.log_text()[before:]) if "damaged" in line]
    tap.equal(len(told), 1, "the log has it once")
    fill("sound", 10, "1 hour")
    start_is("sound", 20)
    tap.ok(True, "other partitions go on")
    server.sql("SELECT drop_topic('damaged')")


def check_contents(topic, kept_from, end, what):
    """Nothing that is young is gone, nothing in the middle is."""
    row = server.rows('SELECT count(*), min("offset"), max("offset") FROM topics.%s' % topic)[0]
    start, at = bounds(topic)
    if not tap.ok(start <= kept_from and at == end, "%s: start %d at or before %d, end %d = %d" % (what, start, kept_from, at, end)):
        return
    expected = ["0", "", ""] if start == end else [str(end - start), str(start), str(end - 1)]
    tap.equal(row, expected, what + ": the records are those between")


def test_kill():
    """kill -9 at any moment: starts never go back, what is young is there, what is old goes"""
    seed = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
    tap.note("seed %d" % seed)
    rng = random.Random(seed)
    create("crash", '{"retention.ms": 3600000, "retention.bytes": %d}' % (30 * MB))
    end = 0
    young = 0           # from this offset on nothing may go
    for number in range(ROUNDS):
        all_old = rng.random() < 0.4
        if all_old:
            server.sql("SELECT alter_topic('crash', '{\"retention.ms\": 30000}')")
            young = 1 << 62
        for _ in range(rng.randint(1, 6)):
            n = rng.randint(1, 50)
            if rng.random() < 0.5:
                fill("crash", n, "2 hours", size=rng.choice((10, 3000)))
                if young == end:
                    young += n
            else:
                fill("crash", n, "1 minute", size=10)
            end += n
        time.sleep(rng.random() * 0.4)
        start = bounds("crash")[0]
        server.kill9().start()
        server.wait_up()
        tap.ok(bounds("crash")[0] >= start, "round %d: the start has not gone back" % number)
        check_contents("crash", young, end, "round %d" % number)
        if all_old:
            start_is("crash", end)
            server.sql("SELECT alter_topic('crash', '{\"retention.ms\": 3600000}')")
            young = end
        start_is("crash", young)
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "no PANIC")


def test_end():
    """the standby has it all, and a promoted one carries on"""
    server.wait_caught_up(standby)
    for topic in ("crash", "both", "sound"):
        tap.equal(bounds(topic, where=standby), bounds(topic), "%s: the same on the standby" % topic)
    server.stop("immediate")
    standby.promote()
    standby.sql("INSERT INTO topics.both (value, \"timestamp\") SELECT 'v', now() - interval '1 hour' FROM generate_series(1, 3)")
    standby.sql("SELECT alter_topic('both', '{\"retention.ms\": 1000}')")
    until(lambda: bounds("both", where=standby) == (43, 43), "the promoted server has a housekeeper")
    tap.ok(True, "the promoted server has a housekeeper")
    for one in (server, standby):
        tap.ok("inconsistent page" not in one.log_text(), "%s: pages are consistent" % one.name)
        tap.ok("PANIC" not in one.log_text() and "TRAP" not in one.log_text(), "%s: no PANIC" % one.name)


pg.demote()
tap.main([test_time, test_trickle, test_stays, test_default, test_size, test_space, test_locks, test_races, test_not_durable, test_offsets, test_standby, test_damage, test_kill,
          test_end])
