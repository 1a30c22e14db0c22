"""Processes that stand still at named places: the Python side of points.c.

    points = points.Points()
    server = pg.Cluster(settings={..., **points.settings})
    points.set("trim.flushed")
    ...                                     # somebody does what leads there
    pid = points.await_("trim.flushed")     # he stands there now
    points.release("trim.flushed")          # and goes on
    points.fail("quotas.looked")            # who comes there next gets an ERROR; not where a critical section is

The places are PT_STOP_POINT("name") in the sources; NAMES has them all.
"""

import glob
import os
import re
import subprocess
import time

import cluster as pg

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "points.c")


def _names():
    """All stop points of the sources; those of redo are made from the table of WAL operations."""
    found = set()
    for path in glob.glob(os.path.join(pg.ROOT, "src", "**", "*.[ch]"), recursive=True):
        with open(path, encoding="utf8") as f:
            text = f.read()
        found.update(re.findall(r'PT_STOP_POINT\("([\w.]+)"\)', text))
        operations = re.search(r"#define PT_WAL_OPERATIONS\(.*?\n\n", text, re.S)
        if operations:
            found.update("redo." + name for name in re.findall(r"\bX\(\"?(\w+)", operations.group(0)))
    return sorted(found)


class Points:
    """The stop points of one server, or of several that share them."""

    def __init__(self):
        self.dir = os.path.join(pg.base_dir(), "points")
        os.makedirs(self.dir, exist_ok=True)
        library = os.path.join(self.dir, "points.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-I" + pg.pg_config("includedir-server"),
                        "-I" + os.path.join(pg.ROOT, "src"), "-o", library, SOURCE], check=True)
        self.settings = {"shared_preload_libraries": "pgtopic," + library, "test.points": self.dir}

    def _standing(self, name):
        return glob.glob(glob.escape(os.path.join(self.dir, name)) + "@*")

    def set(self, name):
        """The next process that comes there stands; one, and only once."""
        if name not in NAMES:
            raise ValueError("there is no stop point " + name)
        open(os.path.join(self.dir, name), "w", encoding="utf8").close()

    def fail(self, name):
        """The next process that comes there gets an ERROR; one, and only once."""
        if name not in NAMES:
            raise ValueError("there is no stop point " + name)
        open(os.path.join(self.dir, name + "!"), "w", encoding="utf8").close()

    def failed(self, name):
        """Has it got it?"""
        return not os.path.exists(os.path.join(self.dir, name + "!"))

    def pid(self, name):
        """Who stands there, or None."""
        return next((int(path.rsplit("@", 1)[1]) for path in self._standing(name)), None)

    def await_(self, name, timeout=60):
        """Until somebody stands there; his pid."""
        deadline = time.monotonic() + timeout
        while self.pid(name) is None:
            if time.monotonic() > deadline:
                raise RuntimeError("nobody comes to " + name)
            time.sleep(0.005)
        return self.pid(name)

    def release(self, name):
        """Who stands there goes on, and nobody else stands there."""
        for path in [os.path.join(self.dir, name)] + self._standing(name):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass

    def release_all(self):
        for name in NAMES:
            self.release(name)


NAMES = _names()
