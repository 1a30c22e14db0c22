#!/usr/bin/env python3
"""The whole pg_regress suite with wal_consistency_checking = 'all' and a standby that compares every page."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402


def test_suite():
    tests = sorted(os.path.basename(p)[:-4] for p in glob.glob(pg.ROOT + "/sql/*.sql"))
    primary = pg.Cluster("primary", {"wal_consistency_checking": "all", "wal_keep_size": "8GB"}).init().start()
    standby = primary.standby().start()
    done, out = primary.pg_regress(tests)
    tap.ok(done.returncode == 0, "the suite passes under consistency checks (%d files)" % len(tests))
    if done.returncode:
        tap.note(done.stdout)
        if os.path.exists(out + "/regression.diffs"):
            with open(out + "/regression.diffs", encoding="utf8") as f:
                tap.note(f.read(20000))
    primary.wait_caught_up(standby)
    tap.ok(True, "the standby has replayed all of it")
    same = "SELECT count(*), sum(hashtext(oid::text || relname)) FROM pg_class"
    tap.equal(standby.sql(same, database="contrib_regression"), primary.sql(same, database="contrib_regression"),
              "both have the same catalog")
    for server in (primary, standby):
        text = server.log_text()
        tap.ok("inconsistent page" not in text and "PANIC" not in text and "TRAP" not in text,
               "%s: no inconsistent page, no PANIC" % server.name)


pg.demote()
tap.main([test_suite])
