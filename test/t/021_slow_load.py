#!/usr/bin/env python3
"""A log whose state takes long to load, or cannot be, after a start: other logs go on."""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import faults          # noqa: E402
import tap             # noqa: E402
from rawtest import connect, end_seen, need_clients, produce   # noqa: E402

NONE, NOT_LEADER = 0, 6

server = disk = None


def file_of(topic):
    return server.sql("SELECT pg_relation_filepath('topics.\"%s#0\"')" % topic)


def await_reader():
    """Until a session stands before the disk, or others would be the ones that load."""
    deadline = time.monotonic() + 60
    while server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'DataFileRead' AND backend_type = 'client backend'") == "0":
        if time.monotonic() > deadline:
            raise RuntimeError("nobody reads")
        time.sleep(0.02)


def test_setup():
    global server, disk
    disk = faults.Disk()
    server = pg.Cluster("main", {"autovacuum": "off"}, environment=disk.environment).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic(t) FROM unnest('{slow,fast,kafka,sql}'::text[]) t")
    for topic in ("slow", "fast", "kafka", "sql"):
        server.sql("SELECT produce('%s', 'first')" % topic)
    tap.equal(server.sql("SELECT log_end('slow:0')"), "1", "a record is there")


def test_others_go_on():
    """while one log cannot be read"""
    server.restart()
    server.wait_listener()
    disk.set("read", "wait " + file_of("slow"))
    loading = server.session()
    loading.send("SELECT append('slow:0', 'second')")
    await_reader()
    with connect(server) as client:
        tap.equal(produce(client, "kafka", "second"), (NONE, 1), "Kafka produces to another log, whose state is loaded then")
        tap.equal(end_seen(client, "kafka"), (NONE, 2), "and fetches it")
        tap.equal(end_seen(client, "fast"), (NONE, 1), "fetches one that nobody has touched before")
        tap.equal(end_seen(client, "slow")[0], NOT_LEADER, "is told to try the slow one again")
        tap.equal(produce(client, "kafka", "third"), (NONE, 2), "and is still served")
    tap.equal(server.sql("SELECT append('sql:0', 'second')"), "1", "SQL appends to another log")
    tap.equal(server.sql("SELECT count(*) FROM topics.sql; VACUUM topics.fast; ANALYZE topics.fast; SELECT log_end('fast:0')"),
              "2\n1", "reads, vacuums and analyzes")
    try:
        server.sql("SET statement_timeout = '500ms'; SELECT append('slow:0', 'third')")
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("statement timeout", str(error), "who needs the slow one can be cancelled")
    disk.clear("read")
    tap.equal(loading.answer(), "1", "the slow one goes on when the disk does")
    loading.close()
    with connect(server) as client:
        tap.equal(end_seen(client, "slow"), (NONE, 2), "and can be fetched")


def test_failure():
    """a load that fails is tried again by the next"""
    server.restart()
    server.wait_listener()
    disk.set("read", "EIO " + file_of("slow"))
    session = server.session()
    tap.matches("could not read block", session.sql("SELECT append('slow:0', 'lost')"), "the session is told of the disk")
    tap.matches("could not read block", server.session().sql("SELECT append('slow:0', 'lost')"), "so is the next")
    disk.clear("read")
    tap.equal(session.sql("SELECT append('slow:0', 'third')"), "2", "a disk in order is enough")
    session.close()


def test_termination():
    """a session that is terminated while it loads leaves nothing behind"""
    server.restart()
    disk.set("read", "wait " + file_of("slow"))
    session = server.session()
    pid = session.sql("SELECT pg_backend_pid()")
    session.send("SELECT append('slow:0', 'lost')")
    while server.sql("SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'object' AND mode = 'ExclusiveLock'" % pid) != "1":
        pass                    # it comes to the log with the append lock
    server.sql("SELECT pg_terminate_backend(%s)" % pid)
    disk.clear("read")
    try:
        session.answer()
        tap.ok(False, "the session ends")
    except pg.SqlError:
        tap.ok(True, "the session ends")
    tap.equal(server.sql("SELECT append('slow:0', 'fourth')"), "3", "another loads it again")


need_clients()
tap.main([test_setup, test_others_go_on, test_failure, test_termination])
