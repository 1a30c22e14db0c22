#!/usr/bin/env python3
"""The scenario with kcat: what a command line client can do of it."""

import os
import re
import signal
import subprocess
import threading
import time

from scenario import BOOTSTRAP, CODECS, EACH, PREFIX, TOPIC, Skip, check, say, step, values, wait_for

GROUP = PREFIX + "-group"
SETTINGS = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500", "-X", "auto.offset.reset=earliest",
            "-X", "topic.metadata.refresh.interval.ms=1000", "-X", "partition.assignment.strategy=range"]


def kcat(*arguments, text=None, timeout=30):
    done = subprocess.run(["kcat", "-b", BOOTSTRAP, *arguments], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False)
    check(done.returncode == 0, "exit status %d: %s" % (done.returncode, done.stderr[-200:]))
    return done.stdout


class Member:
    """kcat -G, with what it has printed and what it says to own."""

    def __init__(self, group, *more, topic=TOPIC):
        self.found, self.owned = [], 0
        self.process = subprocess.Popen(["kcat", "-b", BOOTSTRAP, *SETTINGS, *more, "-u", "-f", "%p %o %s\n", "-G", group, topic],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for target in (self._records, self._events):
            threading.Thread(target=target, daemon=True).start()

    def _records(self):
        for line in self.process.stdout:
            partition, offset, value = line.rstrip("\n").split(" ", 2)
            self.found.append((int(partition), int(offset), value))

    def _events(self):
        for line in self.process.stderr:
            if "assigned:" in line:
                self.owned = len(re.findall(r"\[\d+\]", line))
            elif "revoked:" in line:
                self.owned = 0

    def values(self):
        return {f[2] for f in list(self.found)}

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def wait(what, condition):
    wait_for(what, lambda: condition() or time.sleep(0.02))


def connect():
    check("1 brokers" in kcat("-L"), "one broker")


def create_topic():
    """Made on demand, with the cluster's number of partitions."""
    kcat("-P", "-t", TOPIC, "-X", "allow.auto.create.topics=true", text="")
    wait("the topic", lambda: re.search(r'topic "%s" with [1-9]' % TOPIC, kcat("-L", "-t", TOPIC)))


def list_topics():
    check('topic "%s"' % TOPIC in kcat("-L"), "not listed")


def produce(codec):
    kcat("-P", "-t", TOPIC, "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true", "-K", ":", "-H", "n=1",
         text="".join("%s %d:%s %d\n" % (codec, i, codec, i) for i in range(EACH)))


def assign():
    out = kcat("-C", "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", "%k:%s\n").splitlines()
    check(set(out) == {"%s:%s" % (v, v) for v in values()} and len(out) == len(values()), "other records than produced")


def offsets():
    out = kcat("-Q", "-t", TOPIC + ":0:-1", "-t", TOPIC + ":0:-2")
    check(re.search(r"offset \d+", out), out)
    check("offset 0" in kcat("-Q", "-t", TOPIC + ":0:1000"), "by time")


def group():
    first = Member(GROUP)
    wait("partitions of the first", lambda: first.owned)
    second = Member(GROUP)
    count = first.owned
    wait("a rebalance", lambda: (first.owned + second.owned == count and (second.owned or count == 1)))
    wait("all records", lambda: first.values() | second.values() >= values())
    first.close()
    wait("all partitions of the second", lambda: second.owned == count)
    second.close()


def commit():
    """kcat commits what it has printed when it leaves."""
    name = PREFIX + "-commit"
    out = kcat(*SETTINGS, "-c", "10", "-f", "%p %o\n", "-G", name, TOPIC)
    first = [tuple(map(int, line.split())) for line in out.splitlines()]
    check(len(first) == 10, "%d records" % len(first))
    out = kcat(*SETTINGS, "-c", str(len(values()) - 10), "-f", "%p %o\n", "-G", name, TOPIC)
    later = [tuple(map(int, line.split())) for line in out.splitlines()]
    check(not set(first) & set(later) and len(set(first + later)) == len(values()), "records again, or none of some")


def static_member():
    name = PREFIX + "-static"
    for _ in range(2):
        m = Member(name, "-X", "group.instance.id=i0")
        wait("partitions", lambda: m.owned)    # pylint: disable=cell-var-from-loop
        m.close()


def pattern():
    m = Member(PREFIX + "-pattern", topic="^%s-to.*" % PREFIX)
    wait("all records", lambda: m.values() >= values())
    m.close()


def no_such_call():
    raise Skip("no such call")


def main():
    version = subprocess.run(["kcat", "-V"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"Version (\S+) .*librdkafka (\S+)", version)
    say(client="kcat %s, librdkafka %s" % found.groups())
    step("connect", connect)
    step("create topic", create_topic)
    step("list topics", list_topics)
    for codec in CODECS:
        step("produce " + codec, produce, codec)
    for function in (assign, offsets, group, commit, static_member, pattern):
        step(function.__name__.replace("_", " "), function)
    for name in ("list groups", "describe group", "reset offsets", "delete offsets", "delete group", "add partitions",
                 "alter config", "delete records", "delete topic"):
        step(name, no_such_call)


if __name__ == "__main__":
    if "VERBOSE" in os.environ:
        print(BOOTSTRAP)
    main()
