#!/usr/bin/env python3
"""Workers of all kinds on a server that is killed, stopped and replaced by its standby; then a checker reads what they did.

    run.py [--seed N] [--seconds S | --minutes M] [--round SECONDS] [--keep DIRECTORY]
    run.py --check DIRECTORY

Each round has servers and a seed of its own: the first has the seed that was given or is printed, the next one more.  README.md says what
is looked for.  test/t/068_consistency.py runs it.  Siblings: workers.py, clients.py, checker.py, planted.py.
"""

import argparse
import glob
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients"), HERE]
import cluster as pg   # noqa: E402
import tap             # noqa: E402
import rawtest         # noqa: E402
import checker         # noqa: E402
import clients         # noqa: E402
import workers         # noqa: E402

fork = multiprocessing.get_context("fork")
PARTS = {"log": 4, "trim": 2}
GROUPS = {"etl": 2, "sql": 4, "members": 4}     # and how many partitions each reads
SETTINGS = {"max_prepared_transactions": 20, "pgtopic.listener_workers": 2, "deadlock_timeout": "200ms", "pgtopic.group_initial_rebalance_delay": "200ms",
            "max_connections": 50, "hot_standby_feedback": "on"}
KINDS = [(workers.Sender, 2), (workers.Transactor, 2), (workers.TransactorV2, 2), (workers.Etl, 1), (workers.Poller, 2), (workers.Member, 2),
         (workers.SqlWriter, 2), (workers.Snapshot, 1), (workers.SqlConsumer, 1), (workers.Trimmer, 1)]
PATIENCE = 120          # seconds in which everybody must come to something after the last fault


class World:
    """One round: servers, workers, their histories.  Workers are forked, and see what is in shared memory."""

    def __init__(self, seed, directory):
        self.seed, self.dir = seed, directory
        self.random = random.Random(seed)
        self.with_standby = self.random.random() < 0.7
        self.assignor = self.random.choice(["range", "cooperative-sticky"])
        self.pause = 0.2 * self.random.random()
        self.parts = ["%s:%d" % (topic, n) for topic, count in PARTS.items() for n in range(count)]
        self.current, self.phase = fork.RawValue("i", 0), fork.RawValue("i", workers.RUN)
        self.servers, self.processes, self.counters = [], {}, {}
        os.makedirs(directory, exist_ok=True)
        self.main = open(os.path.join(directory, "main.history"), "w", encoding="utf8")

    def note(self, text):
        tap.note("%.3f %s" % (time.monotonic(), text))

    def server(self):
        return self.servers[self.current.value]

    def write(self, f, **more):
        now = time.monotonic()
        self.main.write(json.dumps({"p": "main", "f": f, "type": "ok", "t0": more.pop("t0", now), "t1": now, **more}) + "\n")
        self.main.flush()

    def begin(self):
        server = pg.Cluster("a%d" % self.seed, SETTINGS).init().start()
        self.servers.append(server)
        server.sql("CREATE EXTENSION pgtopic; CREATE TABLE sink (value text);" + "".join(
            "SELECT create_topic('%s', partitions => %d);" % t for t in [*PARTS.items(), ("out", 1)]))
        server.wait_listener()
        if self.with_standby:
            standby = server.standby("b%d" % self.seed)
            self.servers.append(standby)
            server.set(synchronous_standby_names="*", synchronous_commit="on").reload()
            standby.set(synchronous_standby_names="*", synchronous_commit="on").start()
            self.await_standby()
        for kind, n in KINDS + ([(workers.StandbySnapshot, 1)] if self.with_standby else []):
            for i in range(n):
                worker, counter = kind(self, i), fork.RawValue("q", 0)
                process = fork.Process(target=worker.run, args=(counter,), daemon=True)
                self.processes[worker.name], self.counters[worker.name] = process, counter
                process.start()

    def await_standby(self):
        """Until the standby has, durably, all that the primary has."""
        lsn = self.server().sql("SELECT pg_current_wal_lsn()")
        got = self.server().wait_for("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND flush_lsn >= '%s'" % lsn)
        if got != "t":
            raise RuntimeError("the standby does not follow: " + got)

    # faults: each returns when it is over, with the server up

    def faults(self):
        kinds = [self.crash, self.crash, self.stop_worker, self.stop_worker, self.stop_process, self.end_process, self.crash_of_one]
        return kinds + [self.promote] * 2 if self.with_standby else kinds

    def await_up(self):
        self.server().wait_up()
        self.server().wait_listener()
        if self.with_standby:
            self.await_standby()

    def crash(self):
        self.note("kill -9")
        self.server().kill9().start()
        self.await_up()

    def stop_worker(self):
        name = self.random.choice(sorted(self.processes))
        seconds = self.random.choice([0.5, 2, 8])
        self.note("%s stands still for %s s" % (name, seconds))
        pid = self.processes[name].pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def one_of(self, names):
        name = self.random.choice(names)
        pids = self.server().worker_pids("pgtopic " + name)
        return name, pids[0] if pids else None

    def stop_process(self):
        name, pid = self.one_of(["listener 0", "listener 1", "control", "committer", "transaction", "executor"])
        if pid:
            seconds = self.random.choice([0.3, 1, 3])
            self.note("%s of the server stands still for %s s" % (name, seconds))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    def end_process(self):
        name, pid = self.one_of(["listener 0", "listener 1", "control", "committer", "transaction"])
        if pid:
            self.note("%s of the server is terminated" % name)
            os.kill(pid, signal.SIGTERM)
            self.await_up()

    def crash_of_one(self):
        name, pid = self.one_of(["listener 0", "control", "transaction"])
        if pid:
            self.note("%s of the server is killed" % name)
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.3)
            self.await_up()

    def promote(self):
        self.note("the primary is killed and its standby promoted")
        old, new = self.server(), self.servers[1 - self.current.value]
        old.kill9()
        new.promote()
        self.current.value = 1 - self.current.value
        new.wait_listener()
        shutil.rmtree(old.data)
        new.run("pg_basebackup", "-D", old.data, "-X", "stream", "-c", "fast")
        old.settled().follow(new).start()
        self.await_up()
        self.note("and the old one is a standby")

    # a round

    def work(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(1 + 4 * self.random.random())
            self.random.choice(self.faults())()
        self.await_up()
        self.write("healed")
        before = {name: c.value for name, c in self.counters.items()}
        self.until(lambda: all(c.value > before[name] for name, c in self.counters.items()))
        time.sleep(1)
        self.until(lambda: all(c.value > before[name] + 1 for name, c in self.counters.items()))

    def until(self, done, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            time.sleep(0.1)
        return done()

    def drain(self):
        """Writers end; consumers read all that there is."""
        self.phase.value = workers.DRAIN
        writers = [p for name, p in self.processes.items() if not name.startswith(("Etl", "Member", "SqlConsumer"))]
        self.until(lambda: not any(p.is_alive() for p in writers))
        lag = "SELECT count(*), coalesce(sum(lag), 0) FROM group_lag WHERE topic::text = 'log' AND group_id = '%s'"
        for group, parts in GROUPS.items():
            got = self.server().wait_for(lag % group, "%d|0" % parts, PATIENCE)
            tap.equal(got, "%d|0" % parts, "group %s has read everything" % group)
        self.phase.value = workers.STOP
        self.until(lambda: not any(p.is_alive() for p in self.processes.values()))
        tap.equal([name for name, p in self.processes.items() if p.is_alive()], [], "everybody comes to an end")
        for process in self.processes.values():
            if process.is_alive():
                process.kill()

    def read_finals(self, when):
        """Each log from its start, as all kinds of readers see it."""
        parts = self.parts + ["out:0"]
        talker = clients.Talker(self, "final")
        for isolation in (0, 1):
            t0 = time.monotonic()
            self.write("final", t0=t0, reader="a Kafka consumer of isolation %d%s" % (isolation, when),
                       parts={part: talker.read_all(part, isolation) for part in parts})
        talker.close()
        servers = [(self.server(), "SQL")]
        if self.with_standby:
            standby = self.servers[1 - self.current.value]
            self.server().wait_caught_up(standby)
            servers.append((standby, "SQL on the standby"))
        for server, reader in servers:
            t0, found = time.monotonic(), {}
            for part in parts:
                topic, n = clients.split(part)
                rows = server.rows("SELECT \"offset\", as_text(value) FROM topics.%s WHERE partition = %d ORDER BY 1" % (topic, n))
                start = int(server.sql("SELECT log_start('%s')" % part))
                found[part] = [start, [[int(row[0]), "|".join(row[1:])] for row in rows]]
            self.write("final", t0=t0, reader=reader + when, parts=found)

    def finish(self):
        self.read_finals("")
        out = [v for _, v in clients.Talker(self, "out").read_all("out:0", 1)[1]]
        self.write("derived", name="Kafka's exactly once", of=list(workers.Etl.sources), once=True, values=[v.split("|", 1)[1] for v in out])
        self.write("derived", name="consume() into a table", of=self.log_parts(), once=True, values=self.server().sql("SELECT value FROM sink").split("\n"))
        members = [r[1] for op in read_history(self.dir) if op["p"].startswith("Member") for m in op.get("mops", ()) for r in m[2]]
        self.write("derived", name="the group of Kafka's consumers", of=self.log_parts(), once=False, values=members)
        damage = self.server().sql("".join("SELECT * FROM verify_topic('%s', deep => true);" % t for t in [*PARTS, "out"]))
        tap.equal(damage, "", "verify_topic() finds nothing")
        self.server().kill9().start()
        self.await_up()
        self.read_finals(" after a restart")
        self.main.close()

    def log_parts(self):
        return [p for p in self.parts if p.startswith("log:")]

    def end(self):
        self.phase.value = workers.STOP
        for process in self.processes.values():
            if process.is_alive():
                process.kill()
        for server in self.servers:
            server.stop("immediate", check=False)
            text = server.log_text()
            for words in ("PANIC", "TRAP", "terminated by signal 6", "terminated by signal 11"):
                tap.ok(words not in text, "the log of server %s does not say \"%s\"" % (server.name, words))


def read_history(directory):
    """All operations, of all workers; a last line that was cut off is left out."""
    found = []
    for path in sorted(glob.glob(os.path.join(directory, "*.history"))):
        with open(path, encoding="utf8") as f:
            found += [json.loads(line) for line in f if line.endswith("\n")]
    return found


def judge(directory, what):
    """The checker's word on a history: a check for each name."""
    operations = read_history(directory)
    kinds = {kind: sum(op["type"] == kind and op["f"] in ("send", "txn") for op in operations) for kind in ("ok", "fail", "unknown")}
    values = sum(m[0] == "send" for op in operations for m in op.get("mops", ()))
    tap.note("%s: %d operations; of %d that write %d values %s" % (what, len(operations), sum(kinds.values()), values, kinds))
    found = checker.check(operations)
    for name in checker.NAMES:
        texts = [text for n, text in found if n == name]
        if not tap.ok(not texts, "%s: no %s" % (what, name)):
            for text in texts[:5]:
                tap.note(text)
            tap.note("%d in all" % len(texts))
    return not found


def round_of(seed, seconds, directory, keep):
    tap.note("PGTOPIC_SEED=%d, %d seconds of faults" % (seed, seconds))
    world = World(seed, directory)
    try:
        world.begin()
        world.work(seconds)
        world.drain()
        world.finish()
    finally:
        world.end()
        good = judge(directory, "seed %d" % seed)
    if not good or keep:
        tap.note("histories: " + directory)
    else:
        shutil.rmtree(directory)
    for server in world.servers:
        if good and not os.environ.get("PGTOPIC_KEEP"):
            shutil.rmtree(server.dir, ignore_errors=True)


def rounds(seed, seconds, each, keep=None):
    """One round at least, and others until the time is over.  keep: a directory where histories stay."""
    base = keep or os.path.join(pg.base_dir(), "histories")
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        round_of(seed, each, os.path.join(base, str(seed)), keep)
        took = time.monotonic() - began
        if time.monotonic() + took > deadline:
            return
        seed += 1


def need():
    """Leaves the file out where something is not installed."""
    if workers.Consumer is None:
        tap.skip("confluent_kafka is not installed")
    rawtest.need_clients()


def main():
    parser = argparse.ArgumentParser(description="random operations under faults, checked")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("PGTOPIC_SEED", random.randrange(1 << 30))))
    parser.add_argument("--seconds", type=float, default=80, help="in all")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--round", type=float, default=30, metavar="SECONDS", help="of faults; then new servers are made")
    parser.add_argument("--keep", metavar="DIRECTORY", help="where histories are written, and stay")
    parser.add_argument("--check", metavar="DIRECTORY", help="only check the history of a round that was kept there")
    args = parser.parse_args()

    def test_history():
        judge(args.check, args.check)

    def test_rounds():
        rounds(args.seed, args.minutes * 60 if args.minutes else args.seconds, args.round, args.keep)
    if args.check:
        tap.main([test_history])
    need()
    pg.demote()
    tap.main([test_rounds])


if __name__ == "__main__":
    main()
