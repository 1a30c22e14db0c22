#!/usr/bin/env python3
"""pg_upgrade from an older major: files, positions, offsets, groups, producers and leader epochs go on.

PGTOPIC_UPGRADE_FROM is the directory of the older server's programs, where this extension is installed, too.
script/majors sets it; from a version to itself: 018_upgrade.
"""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import moved           # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

OLD = os.environ.get("PGTOPIC_UPGRADE_FROM", "")
ORDINALS = "SELECT tableoid::regclass, ctid FROM topics.orders ORDER BY 1, partition, \"offset\""
COUNT = "SELECT count(*), count(DISTINCT value), min(\"offset\"), max(\"offset\") FROM topics.long"

old = kept = None


def test_old():
    """the old server, in its second history"""
    global old, kept
    first = pg.Cluster("first", bindir=OLD).init().start()
    kept = moved.fill(first)
    old = first.standby("old").start()
    first.wait_caught_up(old)
    first.stop()
    old.promote()
    tap.equal(moved.epoch(old), 2, "the old server was promoted once")
    tap.equal(kept.send(old), (0, 200), "a batch has that epoch")
    kept.count()
    old.sql("SELECT create_topic('long'); INSERT INTO topics.long (value) SELECT convert_to(i || repeat('x', 1000), 'UTF8') "
            "FROM generate_series(1, 20000) i; VACUUM FREEZE")
    old.sql("INSERT INTO topics.long (value) VALUES ('behind what is sealed')")
    kept.look(old)


def upgrade(name, *options):
    new = pg.Cluster(name).init(roles=False)
    done = new.run("pg_upgrade", "-b", OLD, "-B", pg.BINDIR, "-d", old.data, "-D", new.data, "-p", str(old.port), "-P", str(new.port),
                   "-U", "postgres", "-s", new.dir, *options, check=False, cwd=new.dir)
    if not tap.equal(done.returncode, 0, "%s: pg_upgrade from %s to %d succeeds" % (name, OLD.split("/")[-2], pg.MAJOR)):
        tap.note(done.stdout[-1500:] + done.stderr)
        for path in glob.glob(new.data + "/pg_upgrade_output.d/*/log/*.log"):
            with open(path, encoding="utf8") as f:
                tap.note("\n".join(line.rstrip() for line in f if "error" in line.lower()))
    return new.start()


def check(new):
    kept.compare(new.name, new)
    tap.equal(new.sql(ORDINALS), ordinals, new.name + ": row identifiers")
    tap.equal(new.sql(COUNT), count, new.name + ": a log of many extents")
    tap.equal(new.sql("SELECT log_start('long:0'), log_end('long:0')"), "0|20001", new.name + ": its bounds")
    tap.equal(new.sql("VACUUM; SELECT count(*) FROM topics.long"), "20001", new.name + ": VACUUM finds nothing to object to")
    kept.goes_on(new.name, new, at_epoch=3)
    tap.equal([e for _, e in moved.batch_epochs(new)], [1] * 100 + [2, 3], new.name + ": batches have the epoch of their history")
    tap.equal([moved.epoch_end(new, e) for e in (1, 2)], [(1, 200), (2, 202)], new.name + ": and clients are told where each ended")
    new.sql("INSERT INTO topics.long (value) SELECT convert_to(i || repeat('y', 1000), 'UTF8') FROM generate_series(1, 5000) i")
    new.kill9().start()
    tap.equal(new.sql("SELECT count(*) FROM topics.long"), "25001", new.name + ": it survives a crash")
    new.stop()
    moved.check_pages(new.name, new)


def test_copy():
    """files are copied"""
    global ordinals, count
    ordinals, count = old.sql(ORDINALS), old.sql(COUNT)
    old.stop()
    check(upgrade("copy"))


def test_link():
    """files are linked"""
    check(upgrade("link", "--link"))


ordinals = count = None

if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    if not OLD:
        print("1..0 # SKIP there is one major here; script/majors tests from one to another", flush=True)
        sys.exit(0)
    tap.main([test_old, test_copy, test_link])
