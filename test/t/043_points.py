#!/usr/bin/env python3
"""Crashes at every kind of place: a process stands at a stop point, and then it is killed, or the server, or the power is cut.

A seed decides who stands where, what becomes of it, when replay is killed, and when a standby is promoted, while clients of
all kinds append, consume, delete, seal and checkpoint.  The model is workload.py's.  PGTOPIC_SEED repeats the choices;
PGTOPIC_CYCLES makes a longer run, script/test --nightly one of 300.
"""

import collections
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import points          # noqa: E402
import power           # noqa: E402
import tap             # noqa: E402
import workload        # noqa: E402

CYCLES = tap.size("PGTOPIC_CYCLES", 30, 300)
SECONDS = 75 if CYCLES == 30 else 7200      # no new cycle begins after that
PROMOTION, EACH = 4, 20         # that cycle of each 20
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
REDO = [name for name in points.NAMES if name.startswith("redo.")]
OTHERS = [name for name in points.NAMES if not name.startswith("redo.")]
PATIENCE = 3            # seconds for somebody to come to a point; some are rare

stop = load = None
done = collections.Counter()
reached = collections.Counter()
dice = random.Random(SEED)


def settings():
    return {"pgtopic.max_partitions": 16, "pgtopic.compaction_interval": "300ms", "pgtopic.file_delete_delay": "1",
            "pgtopic.listener_workers": 2, "pgtopic.executor_workers": 2, "max_prepared_transactions": 20,
            "fsync": "on", "shared_buffers": "16MB", "deadlock_timeout": "200ms", "autovacuum": "off", "max_wal_size": "64MB",
            "min_wal_size": "32MB", "wal_keep_size": "1GB", **stop.settings}


def give_disk(server):
    server.disk = power.Disk(server.data, "power-of-" + server.name)
    server.environment = server.disk.environment
    return server


def fall(server):
    """All processes of a server end at the same moment; half of the times the power is cut, too."""
    if dice.random() < 0.5:
        server.disk.cut(server, dice)
    else:
        power.kill_all(server)


def someone_at(names, timeout=PATIENCE):
    """Sets a stop point, and returns its name and who stands there, or None when nobody came."""
    name = dice.choice(names)
    stop.set(name)
    deadline = time.monotonic() + timeout
    while stop.pid(name) is None and time.monotonic() < deadline:
        time.sleep(0.002)
    pid = stop.pid(name)
    if pid is None:
        stop.release(name)
    else:
        reached[name] += 1
    return name, pid


def end_process():
    """Who stands at a point is killed, and the server restarts itself."""
    name, pid = someone_at(OTHERS)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    stop.release(name)


def end_server():
    """Everything falls while somebody stands at a point."""
    name, _ = someone_at(OTHERS)
    fall(load.server)
    stop.release(name)
    load.server.start()


def go_on():
    """Others go on while somebody stands at a point; then so does he."""
    name, pid = someone_at(OTHERS)
    if pid is not None:
        load.await_rounds(dice.randrange(30), timeout=1)
    stop.release(name)


def any_moment():
    """Everything falls at some moment."""
    time.sleep(dice.random() / 3)
    fall(load.server)
    load.server.start()


def in_replay():
    """Everything falls, and then once more while it is replayed."""
    fall(load.server)
    name = dice.choice(REDO)
    stop.set(name)
    load.server.begin_start()
    deadline = time.monotonic() + 20
    while stop.pid(name) is None and not load.server.is_up() and time.monotonic() < deadline:
        time.sleep(0.005)
    if stop.pid(name) is not None:
        reached[name] += 1
        time.sleep(dice.random() / 10)
        fall(load.server)
    stop.release(name)
    if not load.server.is_running():
        load.server.start()


def promote():
    """A standby that has all that was acknowledged takes over, under the same addresses."""
    old = load.server
    standby = give_disk(old.standby("server%d" % (done["promote"] + 1))).start()
    # From its start on it acknowledges nothing that the standby has not; what it did before is on its way.
    old.set(synchronous_standby_names="*")
    fall(old)
    old.start().wait_listener()
    old.wait_caught_up(standby)
    load.await_rounds(200)
    name, _ = someone_at(OTHERS, 1)
    fall(old)
    stop.release(name)
    standby.promote()
    fall(standby)
    standby.kafka_port = old.kafka_port
    standby.set().start()
    load.server = standby


KINDS = [end_process, end_process, end_server, end_server, go_on, any_moment, in_replay]


def test_cycles():
    """crashes while everything is at work"""
    global stop, load
    tap.note("PGTOPIC_SEED=%d" % SEED)
    stop = points.Points()
    server = give_disk(pg.Cluster("server0", settings()).init()).start()
    load = workload.Load(server, SEED, {"plain": 6, "triggered": 2, "trimmed": 2, "retained": 1, "compacted": 2}, padding=1500)
    load.create()
    load.start((workload.Writer, 2), (workload.KafkaWriter, 1), (workload.LeaderWriter, 1), (workload.KafkaReader, 1), (workload.Reader, 1),
               (workload.Trimmer, 1), (workload.Vacuumer, 1), (workload.Compactor, 1), (workload.Watcher, 1))
    started = time.monotonic()
    for cycle in range(CYCLES):
        if cycle > PROMOTION and time.monotonic() - started > SECONDS:
            break
        kind = promote if cycle % EACH == PROMOTION else dice.choice(KINDS)
        kind()
        done[kind.__name__] += 1
        load.server.wait_up()
        load.await_rounds(20)
    stop.release_all()
    tap.note("%d cycles in %d s: %s" % (sum(done.values()), time.monotonic() - started, dict(done)))
    tap.note("points: %s" % dict(reached))
    tap.ok(done["promote"] > 0 and len(reached) > 3, "crashes at many points, and a promotion")
    load.server.wait_listener()
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
    load.check_idle()
    texts = "".join(server.log_text() for server in pg.clusters())
    tap.equal([w for w in ("PANIC", "TRAP", "signal 6", "signal 11") if w in texts], [], "nor do the logs of the servers before it")


pg.demote()
tap.main([test_cycles, test_records, test_consumed, test_idle])
