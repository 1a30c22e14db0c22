#!/usr/bin/env python3
"""Groups with members of both protocols, migrated back and forth while in use: the Java client (mixed/MixedGroups.java)."""

import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

LIBS = os.path.join(HERE, "build", "java", "libs")
server = None
if not os.path.isdir(LIBS) or shutil.which("javac") is None:
    tap.skip("the Java clients are not installed; see test/clients/install")



def test_groups():
    """the Java client"""
    run = subprocess.Popen(["java", "-Xmx400m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
                            "-cp", LIBS + "/*", os.path.join(HERE, "mixed", "MixedGroups.java"), server.bootstrap],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in run.stdout:
        match = re.match(r"(not )?ok - (.*)", line)
        if match:
            tap.ok(not match.group(1), match.group(2))
    tap.equal(run.wait(timeout=60), 0, "it came to its end")


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0", "pgtopic.group_consumer_heartbeat_interval": "300ms",
                                  "pgtopic.group_consumer_session_timeout": "10s"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.main([test_groups])


main()
