"""A disk that can be made to stand still or to fail: the Python side of faults.c.

    disk = faults.Disk()
    server = pg.Cluster(environment=disk.environment)
    disk.set("sync", "wait pg_wal")     # from now on no WAL reaches the disk
    disk.clear("sync")                  # who waits goes on
    disk.set("cold", "base/5/16400")    # nothing of this file is in the page cache, and nothing comes
    disk.asked("ahead")                 # how often somebody has asked to read ahead since
"""

import atexit
import os
import subprocess

import cluster as pg

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.c")


class Disk:
    """The faults of one server's disk."""

    def __init__(self):
        self.dir = os.path.join(pg.base_dir(), "faults")
        os.makedirs(self.dir, exist_ok=True)
        library = os.path.join(self.dir, "faults.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": library, "PGTOPIC_FAULTS": self.dir}
        atexit.register(self.clear_all)

    def set(self, operation, *lines):
        """operation: sync, read, nowait, write or extend: each line an action and a part of a path.  cold: each a part of a path."""
        path = os.path.join(self.dir, operation)
        with open(path + ".new", "w", encoding="utf8") as f:
            f.write("".join(line + "\n" for line in lines))
        os.replace(path + ".new", path)

    def clear(self, operation):
        try:
            os.unlink(os.path.join(self.dir, operation))
        except FileNotFoundError:
            pass

    def clear_all(self):
        for operation in ("sync", "read", "nowait", "write", "extend", "cold", "cold.asked"):
            self.clear(operation)

    def asked(self, what):
        """How often cold files were asked for: "read" without waiting, or "ahead"; since the last clear_all()"""
        try:
            with open(os.path.join(self.dir, "cold.asked"), encoding="utf8") as f:
                return sum(line.split()[0] == what for line in f)
        except FileNotFoundError:
            return 0
