#!/usr/bin/env python3
"""Hostile peers (hostile.py) against a broker of our own: what they leave behind in the server."""

import os
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg    # noqa: E402
import hostile          # noqa: E402
import tap              # noqa: E402

# A worker has 128 MiB for requests; beside that, a megabyte and a bit for each of a thousand connections
# would be 1 GiB, which is what it must not be.  Shared buffers that it touched count, too.
PRIVATE_MAX = 400 << 20

server = None


def listeners():
    return server.worker_pids(r"pgtopic listener")


def private_memory(pid):
    """Bytes of the process that it shares with nobody."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf8") as f:
        return sum(int(kb) << 10 for kb in re.findall(r"^Private_\w+: +(\d+) kB", f.read(), re.M))


def open_sockets(pid):
    """Descriptors of client connections, and the few that it always has."""
    found = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            found += os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")
        except FileNotFoundError:
            pass                # closed since it was listed
    return found


def test_memory_and_sockets():
    """All that the attackers took has been given back."""
    for pid in listeners():
        used = private_memory(pid)
        tap.ok(used < PRIVATE_MAX, "listener's own memory is bounded")
        tap.note("%d MiB" % (used >> 20))
        deadline = time.monotonic() + 10
        while open_sockets(pid) > 16 and time.monotonic() < deadline:
            time.sleep(0.1)
        tap.ok(open_sockets(pid) <= 16, "no connection is left behind")


def test_log():
    """Every connection that we closed has its line, and nothing crashed."""
    log = server.log_text()
    tap.matches(r"it announces a request of -1 bytes", log, "the log says why a connection was closed")
    tap.equal(re.findall(r".*(?:PANIC|TRAP|terminated by signal|internal error).*", log), [], "no crash, no internal error")


def test_kill_listener():
    """kill -9 of the listener: the server starts again, and clients are served."""
    for pid in listeners():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    server.wait_up()
    server.wait_listener()
    hostile.bystander = hostile.Peer()
    value = hostile.batch(b"after the crash")
    tap.equal(hostile.produced_error(hostile.bystander.call(hostile.produce(value))), 0, "it takes records again")


def main():
    global server   # pylint: disable=global-statement
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.listener_workers": os.environ.get("PGTOPIC_LISTENERS", "1")}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    hostile.TESTS += [test_memory_and_sockets, test_log, test_kill_listener]
    sys.argv = [sys.argv[0], server.bootstrap]
    hostile.main()


if __name__ == "__main__":
    main()
