#!/usr/bin/env python3
"""A log's state is loaded while others append, decide prepared transactions, move the start, or need memory: nothing is lost.

Stop points (src/stop_point.h) hold the one who loads at the place where the others come in between.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import points          # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

ENTRIES = 16            # the smallest setting
OTHERS = 40             # partitions

server = stop = None


def append(topic, value):
    return server.sql("SELECT append('%s:0', '%s')" % (topic, value))


def records(topic):
    """offset: value, in the order of offsets"""
    return server.sql("SELECT string_agg(\"offset\" || ':' || as_text(value), ' ' ORDER BY \"offset\") FROM topics.%s" % topic)


def ends(topic, offset=0):
    """Where the log starts, and up to where consumers may see it, as Kafka's fetch says."""
    with rawtest.connect(server) as client:
        part = rawtest.fetch(client, topic, offset)
        return part["LogStartOffset"], part["HighWatermark"]


def new_topic(topic, *values):
    """A topic whose state nobody has in memory."""
    server.sql("SELECT create_topic('%s')" % topic)
    for value in values:
        append(topic, value)


def start_standing(text, point):
    """A session that stands at a point; the server has just started."""
    session = server.session()
    session.sql("SELECT 1")
    stop.set(point)
    session.send(text)
    stop.await_(point)
    return session


def end_standing(session, point):
    stop.release(point)
    answer = session.answer()
    session.close()
    return answer


def test_setup():
    global server, stop
    stop = points.Points()
    server = pg.Cluster("main", {"pgtopic.max_partitions": ENTRIES, "autovacuum": "off", "max_prepared_transactions": 5,
                                 "pgtopic.listener_workers": 1, **stop.settings}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('others', partitions => %d)" % OTHERS)
    tap.ok(len(points.NAMES) > 10, "there are stop points: " + ", ".join(points.NAMES))


def test_loaded_meanwhile():
    """a reader finds nothing in memory; before he loads it somebody else has, and appends"""
    new_topic("twice", "a")
    server.restart()
    reader = start_standing("SELECT log_end('twice:0')", "load.missing")
    tap.equal(append("twice", "b"), "1", "another session loads it and appends")
    stop.set("load.read")
    stop.release("load.missing")
    deadline = time.monotonic() + 1
    while stop.pid("load.read") is None and time.monotonic() < deadline:
        time.sleep(0.01)        # it must not come there
    tap.ok(stop.pid("load.read") is None, "the reader does not load it again")
    tap.equal(append("twice", "c"), "2", "a record is appended")
    tap.equal(end_standing(reader, "load.read"), "2", "the reader sees the end of its time")
    tap.equal(append("twice", "d"), "3", "and the end is where it was")
    tap.equal(records("twice"), "0:a 1:b 2:c 3:d", "no record is lost")


def test_two_at_once():
    """a writer comes while a reader loads"""
    new_topic("both", "a")
    server.restart()
    reader = start_standing("SELECT log_end('both:0')", "load.begun")
    writer = server.session()
    writer.send("SELECT append('both:0', 'b')")
    while server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND mode = 'ExclusiveLock'") != "1":
        time.sleep(0.01)        # it comes to the log with the append lock
    tap.equal(end_standing(reader, "load.begun"), "1", "the reader loads it")
    tap.equal(writer.answer(), "1", "the writer has waited, and appends")
    writer.close()
    tap.equal(records("both"), "0:a 1:b", "both records are there")


def test_prepared():
    """a prepared transaction is decided while its log is loaded"""
    for end, after in (("COMMIT", 2), ("ROLLBACK", 1)):
        for point in ("load.begun", "load.read"):
            topic = "%s_%s" % (end.lower(), point.replace(".", "_"))
            new_topic(topic, "a")
            server.sql("BEGIN; SELECT append('%s:0', 'prepared'); PREPARE TRANSACTION 'p'" % topic)
            server.restart()
            server.wait_listener()
            loader = start_standing("SELECT log_end('%s:0')" % topic, point)
            server.sql("%s PREPARED 'p'" % end)
            end_standing(loader, point)
            tap.equal(ends(topic), (0, after), "%s PREPARED at %s: consumers see it, with no other commit" % (end, point))
            tap.equal(append(topic, "last"), str(after), "the next offset is right")
            tap.equal(records(topic), "0:a 1:prepared 2:last" if after == 2 else "0:a 1:last", "and so are the records")


def test_decided_late():
    """a log is loaded between COMMIT PREPARED and its telling those who have logs in memory"""
    new_topic("late", "a")
    server.sql("BEGIN; SELECT append('late:0', 'prepared'); PREPARE TRANSACTION 'p'")
    server.restart()
    server.wait_listener()
    decider = start_standing("COMMIT PREPARED 'p'", "prepared.decided")
    tap.equal(append("late", "b"), "2", "it is loaded, and appended to")
    end_standing(decider, "prepared.decided")
    tap.equal(ends("late"), (0, 3), "the end is right")
    tap.equal(append("late", "c"), "3", "so is the next offset")
    tap.equal(records("late"), "0:a 1:prepared 2:b 3:c", "and so are the records")


def test_start():
    """the start is moved while its log is loaded"""
    new_topic("start", *"abcdef")
    server.restart()
    server.wait_listener()
    loader = start_standing("SELECT log_end('start:0')", "load.read")
    tap.equal(server.sql("SELECT delete_records('start:0', 4)"), "4", "records are deleted")
    tap.equal(end_standing(loader, "load.read"), "6", "then it is loaded")
    tap.equal(ends("start", 4)[0], 4, "and starts where it should, for Kafka")
    tap.equal(server.sql("SELECT log_start('start:0')"), "4", "and for SQL")
    tap.equal(records("start"), "4:e 5:f", "as readers see")


def test_memory():
    """others need memory while a log is loaded"""
    server.sql("".join("SELECT append('others:%d', 'first');" % i for i in range(OTHERS)))
    new_topic("kept", "a", "b")
    server.restart()
    writer = start_standing("SELECT append('kept:0', 'c')", "load.read")
    for _ in range(2):
        server.sql("".join("SELECT append('others:%d', 'next');" % i for i in range(OTHERS)))
    tap.equal(end_standing(writer, "load.read"), "2", "it is loaded as it was")
    tap.equal(append("kept", "d"), "3", "and goes on")
    tap.equal(records("kept"), "0:a 1:b 2:c 3:d", "no record is lost")
    tap.equal(server.rows("SELECT count(*), min(end_offset), max(end_offset) FROM partitions WHERE topic = 'others'"),
              [[str(OTHERS), "3", "3"]], "nor of the others")
    server.sql("".join("SELECT append('others:%d', 'last');" % i for i in range(OTHERS)))
    tap.equal(server.rows("SELECT partition, count(*), max(\"offset\") FROM topics.others GROUP BY 1 ORDER BY 1"),
              [[str(i), "4", "3"] for i in range(OTHERS)], "which go on where they were")


def released(test):
    """The test, with nobody standing behind it."""
    def run():
        try:
            test()
        finally:
            stop.release_all()
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def main():
    pg.demote()
    rawtest.need_clients()
    tap.main([test_setup] + [released(t) for t in (test_loaded_meanwhile, test_two_at_once, test_prepared, test_decided_late,
                                                   test_start, test_memory)])


main()
