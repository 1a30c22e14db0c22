#!/usr/bin/env python3
"""The checker of histories finds what is planted, and nothing in what workers of all kinds do under faults: test/consistency/README.md.

PGTOPIC_SEED repeats the choices of a round, PGTOPIC_CONSISTENCY_SECONDS makes longer runs: at night an hour.
"""

import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "consistency")]
import cluster as pg   # noqa: E402
import planted         # noqa: E402
import run             # noqa: E402
import tap             # noqa: E402

SECONDS = tap.size("PGTOPIC_CONSISTENCY_SECONDS", 60.0, 3600.0)
ROUND = tap.size("PGTOPIC_CONSISTENCY_ROUND", 15.0, 60.0)
SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))


def test_rounds():
    """nothing is wrong, whatever happens to servers and workers"""
    run.rounds(SEED, SECONDS, ROUND)


if __name__ == "__main__":
    run.need()
    pg.demote()
    tap.main([planted.test_good, planted.test_planted, test_rounds])
