#!/usr/bin/env python3
"""Kafka Streams (frameworks/Words.java): word count, sums, windows and a join of streams, amid kill -9 of all there is.

Input is written while applications run; they are killed and started again, and so is the server.  In the end each result
follows from the input: with exactly_once_v2 each word was counted 1, 2, 3 ... without a gap or a repetition, and with
at_least_once, where such kills may repeat some, nothing was missed.
"""

import collections
import os
import random
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import tap             # noqa: E402

LIBS = os.path.join(HERE, "build", "streams", "libs")
LINES = tap.size("PGTOPIC_STREAMS_LINES", 600, 20000)
KILLS = tap.size("PGTOPIC_STREAMS_KILLS", 1, 12)     # of the server, and as many of applications
APPLICATIONS = tap.size("PGTOPIC_STREAMS_APPLICATIONS", 1, 2)
WORDS = "red green blue black white one two three four five six seven".split()
GIVE_UP_S = tap.size("PGTOPIC_STREAMS_SECONDS", 240, 1200)

server = None
classes = None


class Application:
    """A process that can be killed and started anew, with the same state directory."""

    def __init__(self, name, number, guarantee):
        self.arguments = [server.bootstrap, name, os.path.join(pg.base_dir(), "%s-%d" % (name, number)), guarantee, "2"]
        self.log = open(os.path.join(pg.base_dir(), "%s-%d.log" % (name, number)), "w+", encoding="utf8")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["java", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
             "-cp", "%s:%s/*" % (classes, LIBS), "Words", *self.arguments],
            stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT, text=True)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def text(self):
        self.log.flush()
        with open(self.log.name, encoding="utf8", errors="replace") as f:
            return f.read()

    def end(self):
        """Asks for what its stores hold; {word: count}"""
        try:
            self.process.communicate("\n", timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
        return {line.split()[1]: int(line.split()[2]) for line in self.text().split("\n") if line.startswith("stored: ")}


def make_input():
    """[(id, line)], the same at each run"""
    chosen = random.Random(13)
    return [("L%d" % i, " ".join(chosen.choices(WORDS, k=chosen.randint(1, 6)))) for i in range(LINES)]


class Feeder(threading.Thread):
    """Writes the input bit by bit; what a kill interrupts is written again only if it is not there."""

    def __init__(self, lines):
        super().__init__(daemon=True)
        self.lines = lines

    def run(self):
        for start in range(0, len(self.lines), 50):
            values = ", ".join("('%s', '%s')" % line for line in self.lines[start:start + 50])
            while number("SELECT count(*) FROM topics.lines") <= start:
                try:
                    server.sql("SELECT count(produce('lines', line, key => id)), count(produce('twins', line, key => id)) FROM (VALUES %s) v (id, line)" % values)
                except pg.SqlError as problem:
                    if "ERROR" in str(problem):
                        tap.ok(False, "input: %s" % problem)
                        return
                    time.sleep(0.1)
            time.sleep(0.05)


def number(query):
    try:
        return int(server.sql(query))
    except (pg.SqlError, ValueError):
        return -1


def outcome(topic):
    """{key: [numbers in the order in which they were written]}"""
    found = collections.defaultdict(list)
    for key, value in server.rows("SELECT convert_from(key, 'UTF8'), convert_from(value, 'UTF8') FROM topics.%s ORDER BY partition, \"offset\"" % topic):
        found[key].append(int(value))
    return dict(found)


def drive(name, guarantee):
    """Runs it all to the end; what the applications' stores held."""
    lines = make_input()
    total = sum(len(line.split()) for _, line in lines)
    for topic in ("lines", "twins", "counts", "sums", "windows", "joined"):
        server.sql("SELECT create_topic('%s', partitions => 3)" % topic)
    applications = [Application(name, n, guarantee) for n in range(APPLICATIONS)]
    feeder = Feeder(lines)
    feeder.start()
    deadline = time.monotonic() + GIVE_UP_S
    events = 0
    done = "SELECT (SELECT count(*) FROM topics.counts) + (SELECT count(*) FROM topics.sums) + (SELECT count(*) FROM topics.windows)"
    goal = 2 * total + len(lines)
    while number("SELECT count(*) FROM topics.joined") < LINES or number(done) < goal or events < 2 * KILLS:
        if time.monotonic() > deadline:
            tap.note("given up")
            break
        if events < 2 * KILLS and number(done) >= goal * (events + 1) // (2 * KILLS + 2):
            if events % 2 == 0:
                server.kill9().start()
                server.wait_listener()
            else:
                victim = applications[events // 2 % len(applications)]
                victim.kill()
                victim.start()
            events += 1
        time.sleep(0.2)
    feeder.join(60)
    tap.equal(events, 2 * KILLS, "server and applications were killed")
    time.sleep(1)
    held = collections.Counter()
    for application in applications:
        held.update(application.end())
        for line in application.text().split("\n"):
            if line.startswith("replaced") or "Exception" in line:
                tap.note(line[:300])
    return lines, dict(held)


def expected(lines):
    words, sums = collections.Counter(), collections.defaultdict(int)
    for _, line in lines:
        words.update(line.split())
        sums[line.split()[0]] += len(line)
    return dict(words), dict(sums)


def test_exactly_once():
    """exactly_once_v2"""
    lines, held = drive("words", "exactly_once_v2")
    words, sums = expected(lines)
    counts = outcome("counts")
    tap.equal({w: n[-1] for w, n in counts.items()}, words, "each word was counted")
    tap.ok(all(n == list(range(1, len(n) + 1)) for n in counts.values()), "1, 2, 3 ...: nothing twice, nothing left out")
    tap.equal({w: n[-1] for w, n in outcome("sums").items()}, sums, "sums are those of the input")
    windows = outcome("windows")
    per_word = collections.Counter()
    for key, n in windows.items():
        per_word[key.split("@")[0]] += n[-1]
    tap.equal(dict(per_word), words, "all windows of a word add up to its count")
    tap.ok(all(n == list(range(1, len(n) + 1)) for n in windows.values()), "each window 1, 2, 3 ...")
    tap.equal(sorted(map(tuple, server.rows("SELECT convert_from(key, 'UTF8'), convert_from(value, 'UTF8') FROM topics.joined"))), sorted((i, "%s=%s" % (line, line)) for i, line in lines),
              "each line has met its twin once")
    tap.equal(held, words, "and the stores hold the same (interactive queries)")
    tap.equal(server.sql("SELECT count(*) FROM transactions WHERE state = 'Ongoing'"), "0", "no transaction is left open")


def test_at_least_once():
    """at_least_once, with the same kills"""
    for topic in ("lines", "twins", "counts", "sums", "windows", "joined"):
        server.sql("SELECT drop_topic('%s')" % topic)
    lines, held = drive("some", "at_least_once")
    words, _ = expected(lines)
    counts = outcome("counts")
    tap.ok(all(counts[w][-1] >= n for w, n in words.items()), "each word was counted")
    tap.equal(held, {w: n[-1] for w, n in counts.items()}, "the stores hold what was written")
    tap.equal({row[0] for row in server.rows("SELECT convert_from(key, 'UTF8') FROM topics.joined")}, {i for i, _ in lines}, "each line has met its twin")


def main():
    global server, classes
    if not os.path.isdir(LIBS) or shutil.which("javac") is None:
        tap.skip("Kafka Streams is not installed; see test/clients/install")
    pg.demote()
    classes = os.path.join(pg.base_dir(), "classes")
    subprocess.run(["javac", "-d", classes, "-cp", LIBS + "/*", os.path.join(HERE, "frameworks", "Words.java")], check=True)
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tests = [test_exactly_once] + ([test_at_least_once] if os.environ.get("PGTOPIC_NIGHTLY") else [])
    tap.main(tests)


if __name__ == "__main__":
    main()
