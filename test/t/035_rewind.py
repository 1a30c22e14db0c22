#!/usr/bin/env python3
"""pg_rewind: an old primary, with WAL and files of ours that the new one never had, comes back as its standby."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import moved           # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

first = second = kept = None

TOPICS = ("long", "trimmed", "rewritten", "truncated", "orders", "clients")


def everything(where):
    return [where.sql('SELECT partition, "offset", "timestamp", md5(value) FROM topics.%s ORDER BY 1, 2' % t) for t in TOPICS] + \
           [where.sql("SELECT log_start('%s:0'), log_end('%s:0')" % (t, t)) for t in TOPICS]


def load(where, topic, note, n, size=900):
    where.sql("INSERT INTO topics.%s (value) SELECT convert_to('%s ' || i || repeat('x', %d), 'UTF8') FROM generate_series(1, %d) i"
              % (topic, note, size, n))


def test_setup():
    """two servers, of which the second is promoted while both go on"""
    global first, second, kept
    first = pg.Cluster("first", {"wal_keep_size": "1GB"}).init().start()
    kept = moved.fill(first)
    first.sql("SELECT create_topic('long'), create_topic('trimmed'), create_topic('rewritten'), create_topic('truncated')")
    for topic in TOPICS[:4]:
        load(first, topic, "before", 3000)
    second = first.standby("second").start()
    first.wait_caught_up(second)
    second.promote()
    tap.equal(moved.epoch(second), 2, "the new primary is in the next history")


def diverge():
    """The old primary goes on alone: longer logs, other extents, other starts, other files, other offsets of groups."""
    load(first, "long", "lost", 5000)
    load(first, "trimmed", "lost", 500)
    first.sql("SELECT delete_records('trimmed:0', 3300); VACUUM topics.trimmed")
    first.sql("VACUUM FULL topics.\"rewritten#0\"")
    load(first, "rewritten", "lost", 50)
    first.sql("TRUNCATE topics.truncated; SELECT create_topic('nobody-has-it'); SELECT produce('nobody-has-it', 'lost'::text)")
    first.sql("SELECT count(*) FROM consume('orders', 'readers', max_records => 700); SELECT commit_offsets('others', 'orders:1', 4711)")
    kept.send(first)
    first.sql("BEGIN; SELECT append('orders:2', 'open when it ended'::text); PREPARE TRANSACTION 'lost'")
    # what the new primary does meanwhile
    load(second, "long", "new", 700)
    second.sql("SELECT delete_records('trimmed:0', 1000); TRUNCATE topics.rewritten")
    load(second, "rewritten", "new", 10)
    load(second, "truncated", "new", 1500)
    tap.equal(kept.send(second), (0, 200), "a producer goes on at the new primary")


def rewind(what, target, source):
    source.sql("CHECKPOINT")    # up to 15 pg_rewind does not understand a server that was promoted just now
    done = target.run("pg_rewind", "-D", target.data, "--source-server=host=%s port=%d user=postgres dbname=postgres" % (source.dir, source.port),
                      check=False)
    if not tap.equal(done.returncode, 0, what + ": pg_rewind succeeds"):
        tap.note(done.stdout + done.stderr)
    tap.note(done.stderr.strip().split("\n")[-1])
    target.settled().follow(source).start()


def check_follows(what, standby, primary):
    primary.wait_caught_up(standby)
    tap.equal(everything(standby), everything(primary), what + ": the standby has the new primary's topics")
    tap.equal(standby.sql(moved.KEEP["committed offsets"]), primary.sql(moved.KEEP["committed offsets"]), what + ": and its groups' offsets")
    tap.equal(standby.sql("SELECT count(*) FROM topics WHERE topic::text = 'nobody-has-it'"), "0", what + ": and none that it does not have")
    tap.ok("PANIC" not in standby.log_text(), what + ": no PANIC")


def test_rewind():
    """an old primary that was stopped"""
    diverge()
    first.stop()
    rewind("stopped", first, second)
    check_follows("stopped", first, second)
    load(second, "long", "later", 2000)
    second.sql("SELECT delete_records('long:0', 3000)")
    second.sql("VACUUM FULL topics.\"long#0\"")
    check_follows("stopped, and on", first, second)


def test_rewind_killed():
    """and one that was killed, so that pg_rewind has to replay its WAL first"""
    first.promote()
    tap.equal(moved.epoch(first), 3, "the rewound server is promoted: the next history")
    load(second, "long", "lost", 3000)
    load(second, "truncated", "lost", 10)
    second.sql("SELECT produce('orders', 'lost'::text, partition => 0)")
    load(first, "truncated", "new", 2000)
    load(first, "long", "new", 10)
    second.kill9()
    rewind("killed", second, first)
    check_follows("killed", second, first)


def test_goes_on():
    """the first server, primary again: producers, groups and offsets go on"""
    kept.count()        # what the other primary got
    kept.goes_on("primary again", first, at_epoch=3)
    first.stop()
    second.stop()
    moved.check_pages("first", first)
    moved.check_pages("second", second)


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_setup, test_rewind, test_rewind_killed, test_goes_on])
