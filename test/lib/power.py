"""Power that can be cut: the Python side of power.c.

    power = pg.Cluster(...).init(); disk = power.Disk(cluster); cluster.start()
    disk.cut(random)        # all processes are gone, and with them what was not synced, or some of it
    cluster.start()

Sibling: faults.py.
"""

import os
import signal
import struct
import subprocess

import cluster as pg

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "power.c")
BLOCK = 4096
HEADER = struct.calcsize("q")

# What becomes of the blocks that were written and not synced: the part of them that is there nevertheless.
NOTHING, ANY, ALL = 0.0, 0.5, 1.0


class Disk:
    """The disk below a directory: what was synced, and what is lost without it."""

    def __init__(self, root, name="power"):
        self.root = os.path.realpath(root)
        self.dir = os.path.join(pg.base_dir(), name)
        os.makedirs(self.dir, exist_ok=True)
        library = os.path.join(self.dir, "power.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": library, "PGTOPIC_POWER": self.dir, "PGTOPIC_POWER_ROOT": self.root}

    def lose(self, random, part=None):
        """Puts back what was durable, when no process writes any more.  part of the blocks that are not stay all the same;
        None: each file fares in its own way.  Returns (blocks put back, blocks that stayed)."""
        lost = kept = 0
        names = self._names()
        for name in sorted(os.listdir(self.dir)):
            inode, suffix = os.path.splitext(name)
            if suffix != ".map":
                continue
            path = names.get(int(inode))
            with open(os.path.join(self.dir, name), "rb") as f:
                state = f.read()
            if state and path is not None:
                mine = random.choice([NOTHING, ANY, ANY, ALL]) if part is None else part
                a, b = self._put_back(path, int(inode), state, random, mine)
                lost, kept = lost + a, kept + b
            for copy in (name, inode + ".old"):     # who was killed may have made the first only
                open(os.path.join(self.dir, copy), "wb").close()
        return lost, kept

    def _names(self):
        """{inode: path} of what is there."""
        return {entry.stat(follow_symlinks=False).st_ino: entry.path for entry in _walk(self.root)}

    def _put_back(self, path, inode, state, random, part):
        """One file.  A size that changed is one more thing that may have reached the disk, or not."""
        durable = struct.unpack_from("q", state)[0]
        lost = kept = 0
        with open(path, "r+b") as f, open(os.path.join(self.dir, "%d.old" % inode), "rb") as old:
            now = os.fstat(f.fileno()).st_size
            size = now if random.random() < part else durable
            os.truncate(path, size)
            for block, has in enumerate(state[HEADER:]):
                at = block * BLOCK
                if not has or at >= size:
                    continue
                # What was cut off has no new content.
                if at < now and random.random() < part:
                    kept += 1
                    continue
                old.seek(at)
                f.seek(at)
                f.write(old.read(BLOCK).ljust(BLOCK, b"\0")[:size - at])
                lost += 1
        return lost, kept

    def cut(self, cluster, random, part=None):
        """The power of one server's machine fails; see lose()."""
        kill_all(cluster)
        return self.lose(random, part)


def kill_all(cluster):
    """Ends the postmaster and all of its processes at the same moment, without a word."""
    pid = cluster.postmaster_pid()
    pids = [pid]
    os.kill(pid, signal.SIGSTOP)            # it starts no others
    pids += [int(p) for p in pg._children(pid)]
    for p in pids:
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
    pg.await_ended(pid, pids[1:], 60)


def _walk(top):
    for entry in os.scandir(top):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry
