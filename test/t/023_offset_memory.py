#!/usr/bin/env python3
"""Committed offsets where dynamic shared memory is used up, as in a container whose /dev/shm is small."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import faults          # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, TopicPartition
except ImportError:
    tap.skip("confluent_kafka is not installed")

server = disk = None
LAG = "SELECT count(*) FROM group_lag"


def committed(group):
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "log_level": 0})
    found = consumer.committed([TopicPartition("events", 0)], timeout=30)[0].offset
    consumer.close()
    return found


def no_more():
    disk.set("extend", "ENOSPC /dev/shm")


def test_reserved():
    """up to pgtopic.offset_memory no dynamic shared memory is needed"""
    global server, disk
    disk = faults.Disk()
    server = pg.Cluster("main", {"dynamic_shared_memory_type": "posix", "pgtopic.offset_memory": "1MB",
                                 "max_parallel_workers_per_gather": 0}, environment=disk.environment).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events'); INSERT INTO topics.events (value) VALUES ('x')")
    server.wait_listener()
    no_more()
    server.sql("SELECT count(commit_offsets('group ' || i, 'events:0', 1)) FROM generate_series(1, 3000) i")
    tap.equal(server.sql(LAG), "3000", "a session finds them")
    tap.equal(committed("group 17"), 1, "so does a Kafka client")
    disk.clear_all()
    server.restart()
    server.wait_listener()
    no_more()
    tap.equal(committed("group 2999"), 1, "also after a restart")
    tap.equal(server.sql(LAG), "3000", "and a session")


def test_beyond():
    """what is beyond needs it, and the error says what to do"""
    server.sql("SELECT count(commit_offsets('large ' || i, 'events:0', 1, repeat('m', 4000))) FROM generate_series(1, 3000) i")
    try:
        server.sql(LAG)
        tap.ok(False, "an error is expected")
    except pg.SqlError as error:
        tap.matches("not enough shared memory for committed offsets.*\n.*\n.*pgtopic.offset_memory", str(error), "a session is told")
    disk.clear_all()
    tap.equal(server.sql(LAG), "6000", "all are there when there is memory")
    server.set(pgtopic__offset_memory="32MB")
    server.restart()
    server.wait_listener()
    no_more()
    tap.equal(server.sql(LAG), "6000", "or when more was reserved")
    tap.equal(committed("large 3000"), 1, "for a Kafka client, too")


def main():
    pg.demote()
    tap.main([test_reserved, test_beyond])


main()
