#!/usr/bin/env python3
"""Everything at once, with memory for fewer logs than there are, and processes that end: what is acknowledged is there once.

Sessions append, roll back, prepare and time out; Kafka clients produce, also to a topic with a trigger; a group of
sessions and one of Kafka clients consume; topics are made, waited for, emptied and dropped; the oldest records of some are
deleted; logs are sealed.  Meanwhile workers are stopped, terminated and killed, and so is the postmaster.  PGTOPIC_SEED
and PGTOPIC_STRESS_SECONDS make other and longer runs.
"""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402
import workload        # noqa: E402

SECONDS = tap.size("PGTOPIC_STRESS_SECONDS", 20.0, 600.0)
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))

server = load = None


def worker(name):
    pids = server.worker_pids("pgtopic " + name)
    return pids[0] if pids else None


def pause(name):
    pid = worker(name)
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)


def end_worker(name, how):
    pid = worker(name)
    if pid is not None:
        os.kill(pid, how)


def crash():
    server.kill9().start()


FAULTS = [lambda: pause("executor"), lambda: pause("listener 1"), lambda: pause("committer"),
          lambda: end_worker("executor", signal.SIGTERM), lambda: end_worker("listener 0", signal.SIGTERM),
          lambda: end_worker("control", signal.SIGTERM), lambda: end_worker("committer", signal.SIGTERM),
          lambda: end_worker("executor", signal.SIGKILL), lambda: end_worker("log writer", signal.SIGKILL), crash]


def test_faults():
    """all at work while processes end; then everybody goes on"""
    global server, load
    tap.note("PGTOPIC_SEED=%d" % SEED)
    server = pg.Cluster("main", {"pgtopic.max_partitions": 16, "pgtopic.compaction_interval": "300ms", "pgtopic.file_delete_delay": "1",
                                 "pgtopic.listener_workers": 2, "pgtopic.executor_workers": 2,
                                 "max_prepared_transactions": 20, "deadlock_timeout": "200ms", "fsync": "on",
                                 "pgtopic.executor_timeout": "5s"}).init().start()
    load = workload.Load(server, SEED)
    load.create()
    load.start((workload.Writer, 3), (workload.KafkaWriter, 2), (workload.KafkaReader, 2), (workload.Reader, 1), (workload.Maker, 1),
               (workload.Trimmer, 1), (workload.Vacuumer, 1), (workload.Compactor, 1), (workload.Watcher, 1))
    faults = random.Random(SEED)
    deadline = time.monotonic() + SECONDS
    order = []
    while time.monotonic() < deadline:
        time.sleep(3 * faults.random())
        order = order or faults.sample(FAULTS, len(FAULTS))
        order.pop()()
        server.wait_up()
    server.wait_listener()
    load.await_everybody()
    load.stop()


def test_records():
    """nothing is lost, nothing is there twice, offsets have no gaps; SQL and Kafka see the same"""
    load.check_records()


def test_consumed():
    """a group of sessions has got each record once"""
    load.check_consumed()


def test_idle():
    """nothing is left behind"""
    server.sql("BEGIN;" + "".join("SELECT append('plain:%d', 'the last');" % i for i in range(12)) + "COMMIT")
    tap.ok(True, "the memory for logs is free")
    load.check_idle()


pg.demote()
tap.main([test_faults, test_records, test_consumed, test_idle])
