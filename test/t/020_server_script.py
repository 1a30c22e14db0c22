#!/usr/bin/env python3
"""script/server tells the truth about a server that was killed, and starts it again."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

directory = None
port = None


def script(*arguments):
    """(status, output) of script/server."""
    done = subprocess.run([pg.ROOT + "/script/server", "--dir", directory, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    return done.returncode, done.stdout


def postmaster():
    with open(directory + "/data/postmaster.pid", encoding="utf8") as f:
        return int(f.readline())


def state_of(pid):
    with open("/proc/%d/stat" % pid, encoding="utf8") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def kill():
    """The postmaster, which nobody collects: it stays a zombie."""
    pid = postmaster()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while state_of(pid) != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    tap.equal(state_of(pid), "Z", "a killed server is a zombie")
    return pid


def test_zombie():
    """as long as nobody has collected a killed server"""
    status, said = script("start", "--port", str(port))
    if not tap.equal(status, 0, "it starts"):
        tap.note(said)
    tap.equal(script("status")[0], 0, "and is up")
    zombie = kill()
    status, said = script("status")
    tap.equal((status, said.split(":")[0]), (3, "down"), "it is down, and status says so")
    status, said = script("start")
    if not tap.equal(status, 0, "it starts again"):
        tap.note(said)
    tap.ok(postmaster() != zombie, "with a new process")
    status, said = script("psql", "--", "-Atc", "SELECT 'here'")
    tap.equal((status, said.strip()), (0, "here"), "which answers")
    tap.equal(script("stop")[0], 0, "it stops")
    tap.equal(script("status")[0], 3, "and is down")


pg.demote()
directory = pg.base_dir() + "/script"
port = pg.free_port()
try:
    tap.main([test_zombie])
finally:
    script("stop")
