#!/usr/bin/env python3
"""A member of a consumer group that logs all it does, for test_rebalance.py to check when it is over.

    member.py BOOTSTRAP TOPIC GROUP KIND SESSION_MS LOG

KIND: range, cooperative-sticky or consumer.  A line of the log is "TIME EVENT PARTITION OFFSET", the time that of the
machine's monotonic clock in ns:

    A   assigned            R, L   given back, lost
    P   processed           T      is going to commit (the next offset)
    C   committed           F      was refused

It may be killed and stopped at any point: each line is one write.  SIGTERM makes it leave.
"""

import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

bootstrap, topic, group, kind, session_ms, path = sys.argv[1:]
log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
ending = False
processed = {}      # partition: next offset, since the last commit
consumer = None


def write(event, items):
    now = time.monotonic_ns()
    os.write(log, "".join("%d %s %d %d\n" % (now, event, partition, offset) for partition, offset in items).encode())


def commit(partitions=None):
    """What was processed of them (None: of all), while somebody waits."""
    which = {p: o for p, o in processed.items() if partitions is None or p in partitions}
    for p in which:
        del processed[p]
    if not which:
        return
    write("T", which.items())
    try:
        done = consumer.commit(offsets=[TopicPartition(topic, p, o) for p, o in which.items()], asynchronous=False)
        write("C", [(d.partition, d.offset) for d in done if d.error is None])
        write("F", [(d.partition, d.offset) for d in done if d.error is not None])
    except KafkaException:
        write("F", which.items())


def on_assign(_, partitions):
    write("A", [(p.partition, -1) for p in partitions])


def on_revoke(_, partitions):
    commit({p.partition for p in partitions})
    write("R", [(p.partition, -1) for p in partitions])


def on_lost(_, partitions):
    for p in partitions:
        processed.pop(p.partition, None)
    write("L", [(p.partition, -1) for p in partitions])


def end(*_):
    global ending
    ending = True


def main():
    global consumer
    signal.signal(signal.SIGTERM, end)
    settings = {"group.protocol": "consumer"} if kind == "consumer" else {
        "partition.assignment.strategy": kind, "session.timeout.ms": int(session_ms), "heartbeat.interval.ms": 300}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0,
                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "reconnect.backoff.max.ms": 500,
                         **settings})
    consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
    committed = time.monotonic()
    while not ending:
        record = consumer.poll(0.1)
        if record is not None and record.error() is None:
            write("P", [(record.partition(), record.offset())])
            processed[record.partition()] = record.offset() + 1
        if time.monotonic() - committed > 0.2:
            commit()
            committed = time.monotonic()
    commit()
    consumer.close()


main()
