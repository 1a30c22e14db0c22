#!/usr/bin/env python3
"""Each worker of a server with three listeners ends, by SIGTERM and by kill -9, under load: all come back,
clients go on, a group skips no record and starts again at its last commit, and nothing that was acknowledged is
lost or doubled.
"""

import collections
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    tap.skip("confluent_kafka is not installed")

LISTENERS = 3
PARTITIONS = 6
WORKERS = ["pgtopic listener 0", "pgtopic listener 1", "pgtopic listener 2", "pgtopic control", "pgtopic admin",
           "pgtopic committer", "pgtopic log writer"]
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))

server = None
stop = threading.Event()
QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "socket.timeout.ms": 10000, "log_level": 0}


class Sender(threading.Thread):
    """Sends numbered records; remembers which were acknowledged."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name = name
        self.acked = {}
        self.errors = []
        self.sent = 0

    def delivered(self, error, record):
        if error is not None:
            self.errors.append(str(error))
        else:
            self.acked[record.value().decode()] = (record.partition(), record.offset())

    def run(self):
        producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 5,
                             "message.timeout.ms": 240000, "retry.backoff.ms": 50, **QUICK})
        while not stop.is_set():
            for _ in range(10):
                producer.produce("events", value="%s-%d" % (self.name, self.sent), partition=self.sent % PARTITIONS,
                                 on_delivery=self.delivered)
                self.sent += 1
            producer.poll(0.05)
        producer.flush(120)


class Member(threading.Thread):
    """A member of the group: what it got, in order; commits what it has got, now and then."""

    def __init__(self, name, protocol):
        super().__init__(daemon=True)
        self.name = name
        self.protocol = protocol
        self.got = []           # (partition, offset, value)
        self.committed = []     # (partition, offset) that a commit of this member was acknowledged for
        self.end = threading.Event()

    def run(self):
        conf = {"bootstrap.servers": server.bootstrap, "group.id": "readers-" + self.protocol, "enable.auto.commit": False,
                "auto.offset.reset": "earliest", "group.protocol": self.protocol, **QUICK}
        if self.protocol == "classic":
            conf.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
        consumer = Consumer(conf)
        pending = {}

        def forget(_, partitions):
            """What goes to another member is committed by that one: here it would go back."""
            for p in partitions:
                pending.pop(p.partition, None)

        consumer.subscribe(["events"], on_revoke=forget, on_lost=forget)
        while not self.end.is_set():
            record = consumer.poll(0.1)
            if record is not None and record.error() is None:
                self.got.append((record.partition(), record.offset(), record.value().decode()))
                pending[record.partition()] = record.offset() + 1
            if len(self.got) % 50 == 0 and pending:
                self.commit(consumer, pending)
        self.commit(consumer, pending)
        consumer.close()

    def commit(self, consumer, pending):
        try:
            done = consumer.commit(offsets=[TopicPartition("events", p, o) for p, o in pending.items()], asynchronous=False)
            self.committed += [(d.partition, d.offset) for d in done if d.error is None]
        except KafkaException:
            pass        # another member has the partition now, or nobody answers: it comes again
        pending.clear()


class Administrator(threading.Thread):
    """Creates and drops topics all the time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = 0
        self.refused = collections.Counter()

    def run(self):
        admin = AdminClient({"bootstrap.servers": server.bootstrap, **QUICK})
        while not stop.is_set():
            name = "short-%d" % self.done
            for ask in (lambda: admin.create_topics([NewTopic(name, 2, 1)], request_timeout=10),
                        lambda: admin.delete_topics([name], request_timeout=10)):
                try:
                    ask()[name].result(20)
                    self.done += 1
                except KafkaException as problem:
                    self.refused[problem.args[0].name()] += 1
            time.sleep(0.02)


def pid_of(worker):
    pids = server.worker_pids(worker + "($|[^0-9])")
    return pids[0] if pids else None


def all_up():
    return all(pid_of(w) for w in WORKERS)


def wait_all_up():
    deadline = time.monotonic() + 60
    while not all_up() and time.monotonic() < deadline:
        time.sleep(0.05)
    server.wait_up()
    server.wait_listener()
    return all_up()


def end_workers():
    """Each worker in turn; SIGTERM ends it alone, SIGKILL restarts the server."""
    order = [(w, s) for w in WORKERS for s in (signal.SIGTERM, signal.SIGKILL)]
    random.shuffle(order)
    for worker, how in order:
        time.sleep(1 + random.random())
        pid = pid_of(worker)
        if not tap.ok(pid, "%s is there" % worker):
            continue
        os.kill(pid, how)
        while pid_of(worker) == pid:
            time.sleep(0.01)
        tap.ok(wait_all_up(), "all are up again after %s of %s" % (how.name, worker))
    time.sleep(2)


def end_of_group(members, log):
    """Lets the members read to the end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not log <= {(p, o) for m in members for p, o, _ in m.got}:
        time.sleep(0.1)
    for m in members:
        m.end.set()
    for m in members:
        m.join(60)


def check_group(protocol, members, log):
    got = collections.Counter((p, o) for m in members for p, o, _ in m.got)
    wrong = [g for m in members for g in m.got if log.get(g[:2]) != g[2]]
    tap.equal(wrong[:3], [], "%s group: what was read is what is there" % protocol)
    tap.equal(sorted(set(log) - set(got))[:5], [], "%s group: no record was skipped" % protocol)
    tap.note("%s group: %d records, %d of them read more than once, %d commits" %
             (protocol, len(log), sum(n > 1 for n in got.values()), sum(len(m.committed) for m in members)))
    tap.ok(sum(len(m.committed) for m in members) > 0, "%s group: offsets were committed" % protocol)
    offsets = dict(server.rows("SELECT partition, \"offset\" FROM group_lag WHERE group_id = 'readers-%s'" % protocol))
    best = collections.defaultdict(int)
    for m in members:
        for p, o in m.committed:
            best[p] = max(best[p], o)
    tap.equal([(p, o, offsets.get(str(p))) for p, o in best.items() if int(offsets.get(str(p), -1)) < o], [],
              "%s group: no committed offset was lost" % protocol)


def test_workers():
    """load, and workers that end"""
    global server
    tap.note("seed %d" % SEED)
    random.seed(SEED)
    server = pg.Cluster(settings={"pgtopic.listener_workers": LISTENERS, "max_worker_processes": 24,
                                  "pgtopic.group_initial_rebalance_delay": "500ms"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('events', partitions => %d)" % PARTITIONS)
    server.wait_listener()
    senders = [Sender("s%d" % i) for i in range(3)]
    groups = {protocol: [Member("%s%d" % (protocol, i), protocol) for i in range(2)] for protocol in ("classic", "consumer")}
    administrator = Administrator()
    load = senders + [administrator]
    for thread in load + [m for members in groups.values() for m in members]:
        thread.start()
    end_workers()
    stop.set()
    for thread in load:
        thread.join(180)
    tap.ok(not any(t.is_alive() for t in load), "all of the load ended")
    rows = server.rows("SELECT partition, \"offset\", convert_from(value, 'UTF8') FROM topics.events ORDER BY 1, 2")
    log = {(int(p), int(o)): v for p, o, v in rows}
    counts = collections.Counter(log.values())
    for s in senders:
        tap.note("%s: %d of %d acknowledged" % (s.name, len(s.acked), s.sent))
        tap.equal(s.errors[:3], [], "%s saw no error" % s.name)
        tap.equal([v for v, place in s.acked.items() if log.get(place) != v][:5], [], "%s: what was acknowledged is there" % s.name)
    tap.equal([v for v, n in counts.items() if n > 1][:5], [], "nothing appears twice")
    for protocol, members in groups.items():
        end_of_group(members, set(log))
        check_group(protocol, members, log)
    tap.note("%d topics created and dropped; refused: %s" % (administrator.done, dict(administrator.refused)))
    tap.ok(administrator.done > 20, "topics were created and dropped meanwhile")
    tap.ok("PANIC" not in server.log_text() and "TRAP" not in server.log_text(), "no PANIC, no failed Assert")


pg.demote()
tap.main([test_workers])
