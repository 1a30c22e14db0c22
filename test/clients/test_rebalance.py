#!/usr/bin/env python3
"""Rebalances under load: members are killed, paused beyond their session, told to leave, and replaced, while records come in.

Three groups read the same topic: classic with range and with cooperative-sticky, and the consumer protocol.  Each member
(member.py) logs what it processed and committed.  What must hold for every partition:

  - no record is skipped: all offsets were processed by some member
  - a member goes on where a commit was at least tried, and never before the last commit that was acknowledged when it
    got the partition: so nothing is processed twice beyond what the last commit allows
  - within one assignment offsets follow each other
  - a member that lost a partition to another cannot commit it any more

The seed of what happens is printed; PGTOPIC_SEED repeats it (as far as timing lets it).  With BOOTSTRAP set, against that
server; SESSION_MS is then the shortest session that it takes.
"""

import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    tap.skip("confluent_kafka is not installed")

KINDS = ("range", "cooperative-sticky", "consumer")
PARTITIONS = 6
MEMBERS = 4
SECONDS = 24            # of chaos
RATE = 200              # records per second
SESSION_MS = int(os.environ.get("SESSION_MS", "2500"))
seed = int(os.environ.get("PGTOPIC_SEED", time.time_ns() % 1000000))
topic = "load-%d" % (time.time() % 1000000)
work = None
bootstrap = os.environ.get("BOOTSTRAP")
server = None


class Member:
    count = 0

    def __init__(self, kind):
        Member.count += 1
        self.kind = kind
        self.log = os.path.join(work, "%s-%03d" % (kind, Member.count))
        self.stopped_until = None
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "member.py"), bootstrap, topic, "%s-%s" % (topic, kind), kind, str(SESSION_MS),
             self.log])

    def pause(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        self.stopped_until = time.monotonic() + seconds

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.stopped_until = None

    def end(self, how):
        if self.stopped_until is not None:
            self.resume()
        self.process.send_signal(how)


class Numbers(threading.Thread):
    """Produces numbered records, the same count into each partition, until told to end."""

    def __init__(self):
        super().__init__()
        self.ending = False
        self.sent = 0
        self.failed = 0

    def run(self):
        p = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0, "enable.idempotence": True})
        started = time.monotonic()
        while not self.ending or self.sent % PARTITIONS:
            p.produce(topic, value=str(self.sent), partition=self.sent % PARTITIONS, on_delivery=self.delivered)
            p.poll(0)
            self.sent += 1
            time.sleep(max(0, started + self.sent / RATE - time.monotonic()))
        self.failed += p.flush(30)

    def delivered(self, error, _):
        self.failed += error is not None


def chaos(dice, members):
    """Something happens to somebody about every 0.4 s; each group keeps one member at least that is well."""
    counts = collections.Counter()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(dice.uniform(0.2, 0.6))
        for m in members:
            if m.stopped_until is not None and m.stopped_until < time.monotonic():
                m.resume()
        kind = dice.choice(KINDS)
        well = [m for m in members if m.kind == kind and m.stopped_until is None]
        if len(well) < 2:
            continue
        victim = dice.choice(well)
        what = dice.choice(("kill", "pause", "pause", "leave", "join"))
        counts[what] += 1
        if what == "pause":
            victim.pause(SESSION_MS / 1000 + dice.uniform(0.3, 2))
            continue
        if what == "join":
            if len([m for m in members if m.kind == kind]) <= PARTITIONS:
                members.append(Member(kind))
            continue
        victim.end(signal.SIGKILL if what == "kill" else signal.SIGTERM)
        members.remove(victim)
        members.append(Member(kind))
    return counts


def events(kind):
    """All that members of a group logged, by time: (time, member, event, partition, offset)."""
    found = []
    for name in sorted(os.listdir(work)):
        if name.rsplit("-", 1)[0] == kind:
            with open(os.path.join(work, name), encoding="ascii") as f:
                for line in f:
                    when, event, partition, offset = line.split()
                    found.append((int(when), name, event, int(partition), int(offset)))
    return sorted(found, key=lambda e: e[0])


def processed_all(kind, count):
    seen = {(p, o) for _, _, event, p, o in events(kind) if event == "P"}
    return len(seen) == count


class Check:
    """The invariants, over the log of one group."""

    def __init__(self, kind):
        self.events = events(kind)
        self.problems = []
        self.assigned_at = {}                                   # (member, partition): time, while it has it
        self.owner_since = collections.defaultdict(dict)        # partition: {member: time of its last assignment}
        self.acknowledged = collections.defaultdict(int)        # partition: highest offset
        self.tried = collections.defaultdict(lambda: {0})
        self.try_time = {}                                      # (member, partition): of the commit under way
        self.floor = {}                                         # (member, partition): acknowledged when it was assigned
        self.next = {}                                          # (member, partition): offset expected
        self.processed = collections.Counter()

    def run(self):
        for when, member, event, partition, offset in self.events:
            getattr(self, "on_" + event)(when, member, partition, offset)
        return self

    def problem(self, *what):
        if len(self.problems) < 10:
            self.problems.append(" ".join(map(str, what)))

    def on_A(self, when, member, partition, _):
        key = (member, partition)
        self.assigned_at[key] = when
        self.owner_since[partition][member] = when
        self.floor[key] = self.acknowledged[partition]
        self.next.pop(key, None)

    def on_R(self, _, member, partition, __):
        self.assigned_at.pop((member, partition), None)

    on_L = on_R

    def on_P(self, _, member, partition, offset):
        key = (member, partition)
        self.processed[partition, offset] += 1
        if key not in self.assigned_at:
            self.problem(member, "processed", partition, offset, "without having the partition")
        elif key in self.next:
            if offset != self.next[key]:
                self.problem(member, "partition", partition, "goes from", self.next[key] - 1, "to", offset)
        else:
            if offset < self.floor[key]:
                self.problem(member, "partition", partition, "starts at", offset, "although", self.floor[key], "was committed")
            if offset not in self.tried[partition]:
                self.problem(member, "partition", partition, "starts at", offset, "where nobody committed")
        self.next[key] = offset + 1

    def on_T(self, when, member, partition, offset):
        self.tried[partition].add(offset)
        self.try_time[member, partition] = when

    def on_C(self, _, member, partition, offset):
        began = self.try_time[member, partition]
        mine = self.owner_since[partition].get(member, 0)
        later = [m for m, t in self.owner_since[partition].items() if m != member and mine < t < began]
        if later:
            self.problem(member, "committed", partition, offset, "although", later, "had it")
        self.acknowledged[partition] = max(self.acknowledged[partition], offset)

    def on_F(self, *_):
        pass


def judge(kind, count):
    check = Check(kind).run()
    missing = [(p, o) for p in range(PARTITIONS) for o in range(count // PARTITIONS) if (p, o) not in check.processed]
    refused = sum(1 for e in check.events if e[2] == "F")
    handed = sum(1 for e in check.events if e[2] == "A")
    again = sum(check.processed.values()) - len(check.processed)
    tap.ok(not missing, "%s: none of %d records was skipped" % (kind, count))
    if missing:
        tap.note("missing: %d, such as %s" % (len(missing), missing[:5]))
    tap.ok(not check.problems, "%s: none was processed twice beyond what the last commit allows" % kind)
    for problem in check.problems:
        tap.note(problem)
    tap.ok(handed > PARTITIONS, "%s: partitions changed hands %d times" % (kind, handed))
    tap.note("%s: %d records again after kills and pauses, %d commits refused" % (kind, again, refused))


def test_rebalances():
    dice = random.Random(seed)
    tap.note("PGTOPIC_SEED=%d" % seed)
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    members = [Member(kind) for kind in KINDS for _ in range(MEMBERS)]
    numbers = Numbers()
    numbers.start()
    try:
        counts = chaos(dice, members)
        numbers.ending = True
        numbers.join()
        tap.equal(numbers.failed, 0, "all records were delivered")
        tap.note("%d records; %s" % (numbers.sent, ", ".join("%s %d" % c for c in sorted(counts.items()))))
        for m in members:
            if m.stopped_until is not None:
                m.resume()
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline and not all(processed_all(kind, numbers.sent) for kind in KINDS):
            time.sleep(0.3)
        for m in members:
            m.end(signal.SIGTERM)
        for m in members:
            try:
                m.process.wait(20)
            except subprocess.TimeoutExpired:
                tap.ok(False, "a member of %s did not leave" % m.kind)
    finally:
        numbers.ending = True
        for m in members:
            if m.process.poll() is None:
                m.end(signal.SIGKILL)
                m.process.wait()
    for kind in KINDS:
        judge(kind, numbers.sent)


def main():
    global work, server, bootstrap
    pg.demote()
    work = tempfile.mkdtemp(prefix="rebalance-")
    if bootstrap is None:
        server = pg.Cluster(settings={
            "pgtopic.group_min_session_timeout": 1000, "pgtopic.group_consumer_session_timeout": SESSION_MS,
            "pgtopic.group_consumer_heartbeat_interval": 300, "pgtopic.group_initial_rebalance_delay": 0}).init().start()
        server.sql("CREATE EXTENSION pgtopic")
        server.wait_listener()
        bootstrap = server.bootstrap
    try:
        tap.main([test_rebalances])
    finally:
        if not os.environ.get("PGTOPIC_KEEP"):
            shutil.rmtree(work, ignore_errors=True)


main()
