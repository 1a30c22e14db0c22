#!/usr/bin/env python3
"""The Java client's transactional producer (transactions/Transactions.java); the server is killed amid a transaction."""

import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

server = None


def java(libs):
    """One kind of Java client: a directory of jars."""
    run = subprocess.Popen(["java", "-Xmx400m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                            "-cp", libs + "/*", os.path.join(HERE, "transactions", "Transactions.java"), server.bootstrap],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in run.stdout:
        match = re.match(r"(not )?ok - (.*)", line)
        if match:
            tap.ok(not match.group(1), match.group(2))
        elif line.strip() == "kill":
            server.kill9().start()
            server.wait_listener()
            run.stdin.write("\n")
            run.stdin.flush()
        else:
            tap.note(line.rstrip())
    tap.equal(run.wait(timeout=60), 0, "it came to its end")


def test_java():
    """of today: an epoch per transaction (KIP-890)"""
    java(os.path.join(HERE, "build", "java", "libs"))


def test_old_java():
    """3.7: partitions are added before they are sent to"""
    libs = os.path.join(HERE, "build", "java-3.7", "libs")
    if not os.path.isdir(libs):
        tap.ok(True, "the old client is not installed")
        return
    for topic in ("java", "from", "to", "fenced", "killed"):
        server.sql("SELECT drop_topic('%s')" % topic)
    java(libs)


def main():
    global server
    if not os.path.isdir(os.path.join(HERE, "build", "java", "libs")) or shutil.which("javac") is None:
        tap.skip("the Java clients are not installed; see test/clients/install")
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.main([test_java, test_old_java])


if __name__ == "__main__":
    main()
