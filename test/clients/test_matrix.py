#!/usr/bin/env python3
"""The clients matrix: many clients go through the same scenario.  See matrix/README.md.

PGTOPIC_MATRIX names the file that a whole run, with every client, leaves its outcomes in; without it, the clients that
need no toolchains of their own.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
program = os.path.join(HERE, "matrix", "run.py")
whole = os.environ.get("PGTOPIC_MATRIX")
os.execv(sys.executable, [sys.executable, program] + (["--all", "--write", whole] if whole else []))
