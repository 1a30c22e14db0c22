"""How much the processes of a server do of some things: the Python side of counts.c.

    counts = counts.Counts()
    server = pg.Cluster(environment=counts.environment)
    before = counts.now("hmac")         # HMACs that were begun: the work of checking passwords
    before = counts.now("lookup")       # names ending with .invalid whose address was asked for

A test compares such numbers where it must not compare times.
"""

import os
import struct
import subprocess

import cluster as pg

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "counts.c")
KINDS = ["hmac", "lookup"]      # in the order of counts.c


class Counts:
    """What the processes of one server have done."""

    def __init__(self):
        directory = os.path.join(pg.base_dir(), "counts")
        os.makedirs(directory, exist_ok=True)
        self.path = os.path.join(directory, "now")
        with open(self.path, "wb") as f:
            f.write(bytes(8 * len(KINDS)))
        library = os.path.join(directory, "counts.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": library, "PGTOPIC_COUNTS": self.path}

    def now(self, kind):
        """How often, since the server started for the first time."""
        with open(self.path, "rb") as f:
            return struct.unpack("%dQ" % len(KINDS), f.read())[KINDS.index(kind)]
