"""Processes: starting and ending the ones we own, and what they cost.

CPU time and memory are read from /proc.  A server's CPU time is that of its root process, of all that
live below it, and of all that ever exited below it (the kernel adds a reaped child's time to its
parent's cutime and cstime), so that short-lived workers count as well.
"""
import ctypes
import os
import pwd
import signal
import socket
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """Something that the user should read, without a traceback."""


def spawn(argv, user=None, log=None, cwd=None, env=None, die_with_us=signal.SIGTERM):
    """Starts a server.  It gets the signal die_with_us when this process dies, whatever way it dies."""
    libc = ctypes.CDLL(None)

    def in_child():
        libc.prctl(PR_SET_PDEATHSIG, die_with_us)

    out = open(log, "ab") if log else subprocess.DEVNULL
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env,
        start_new_session=True, preexec_fn=in_child, **as_user(user))


def as_user(user):
    """Keyword arguments for subprocess that run a command as this user; none for ourselves."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def end(process, sig, timeout_s=60):
    """Ends a process that spawn() started, by its pid."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(sig)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _stat(pid):
    """(ppid, own ticks, ticks of reaped children), or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def tree(root):
    """Pids of root and everything below it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(int(name))
            if stat:
                children.setdefault(stat[0], []).append(int(name))
    pids = [root]
    for pid in pids:
        pids.extend(children.get(pid, []))
    return pids


def cpu_seconds(root):
    """CPU seconds of root, all below it, and all that have exited below it."""
    while True:
        before = _stat(root)
        if before is None:
            raise BenchError(f"server process {root} is gone")
        total = 0
        for pid in tree(root):
            stat = _stat(pid)
            if stat:
                total += stat[1] + stat[2]
        after = _stat(root)
        if after and after[2] == before[2]:     # nothing was reaped while we counted
            return total / TICK


def memory(root):
    """Proportional set size of root and everything below it in MiB, and the part of it that is shared memory."""
    pss = shared = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    if line.startswith("Pss:"):
                        pss += int(line.split()[1])
                    elif line.startswith("Pss_Shmem:"):
                        shared += int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return pss / 1024, shared / 1024


class Meter:
    """What a server costs between start() and stop(): CPU seconds, wall seconds, peak memory."""

    def __init__(self, root, interval_s=1.0):
        self.root = root
        self.interval_s = interval_s
        self.peak_mib = self.peak_shared_mib = 0.0

    def start(self):
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.started = time.monotonic()
        self.cpu_before = cpu_seconds(self.root)
        self.thread.start()

    def stop(self):
        cpu = cpu_seconds(self.root) - self.cpu_before
        wall = time.monotonic() - self.started
        self.done.set()
        self.thread.join()
        self._look()
        return {"cpu_s": cpu, "window_s": wall, "memory_mib": self.peak_mib,
                "memory_shared_mib": self.peak_shared_mib}

    def _look(self):
        mib, shared = memory(self.root)
        if mib > self.peak_mib:
            self.peak_mib, self.peak_shared_mib = mib, shared

    def _sample(self):
        while not self.done.wait(self.interval_s):
            self._look()
