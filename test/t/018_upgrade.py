#!/usr/bin/env python3
"""pg_upgrade takes topics along: files, ids, offsets, and what names them.  Here from a version to itself."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

old = new = None

SETUP = """
CREATE EXTENSION pgtopic;
SELECT create_topic('orders', partitions => 2, config => '{"retention.ms": "3600000"}');
INSERT INTO topics.orders (partition, key, value) SELECT i % 2, ('k' || i)::bytea, ('v' || i)::bytea FROM generate_series(1, 10000) i;
SELECT commit_offsets('readers', 'orders:0', 600);
SELECT delete_records('orders:1', 100);
SELECT create_topic('emptied'), create_topic('deleted');
INSERT INTO topics.emptied (value) VALUES ('one'), ('two');
TRUNCATE topics.emptied;
INSERT INTO topics.deleted (value) VALUES ('one'), ('two');
SELECT delete_records('deleted');
CREATE TABLE watched (t topic DEFAULT 'orders', p partition DEFAULT 'orders:1');
INSERT INTO watched DEFAULT VALUES;
CREATE INDEX ON watched (p);
CREATE VIEW ends AS SELECT log_start('orders:1'), log_end('orders:1');
CREATE FUNCTION a_first() RETURNS bigint BEGIN ATOMIC SELECT log_end('orders:0'); END;
VACUUM FREEZE;
"""
RECORDS = 'SELECT partition, "offset", "timestamp", key, value FROM topics.orders ORDER BY 1, 2'
NAMED = "SELECT * FROM watched WHERE p = 'orders:1'; SELECT * FROM ends; SELECT a_first()"
LABELS = "SELECT objoid::regclass, label FROM pg_seclabels WHERE provider = 'pgtopic' ORDER BY 1, 2"
OFFSETS = 'SELECT group_id, topic, partition, "offset" FROM group_lag ORDER BY 3'


def test_upgrade():
    """The files of the old cluster are copied, catalogs are restored from a dump of the schema."""
    global old, new
    old = pg.Cluster("old").init().start()
    old.sql(SETUP)
    wanted = [old.sql(q) for q in (RECORDS, NAMED, LABELS, OFFSETS)]
    old.stop()
    new = pg.Cluster("new").init(roles=False)
    done = new.run("pg_upgrade", "-b", pg.BINDIR, "-B", pg.BINDIR, "-d", old.data, "-D", new.data,
                   "-p", str(old.port), "-P", str(new.port), "-U", "postgres", "-s", new.dir, check=False, cwd=new.dir)
    tap.equal(done.returncode, 0, "pg_upgrade succeeds")
    if done.returncode:
        tap.note(done.stdout + done.stderr)
    new.start()
    for query, rows, what in zip((RECORDS, NAMED, LABELS, OFFSETS), wanted,
                                 ("records", "what names a topic", "names, ids and configs", "committed offsets")):
        tap.equal(new.sql(query), rows, "the same " + what)


def test_goes_on():
    """Offsets follow, a group reads on, a clients' listener comes up."""
    tap.equal(new.sql("SELECT append('orders:0', 'next'::text), append('orders:1', 'next'::text)"), "5000|5000",
              "the next offsets follow")
    tap.equal(new.sql("SELECT append('emptied:0', 'next'::text), append('deleted:0', 'next'::text)"), "2|2",
              "also in logs that hold nothing")
    tap.equal(new.sql("SELECT count(*) FROM consume('orders', 'readers', max_records => 20000)"), "9302",
              "the group reads on")
    tap.equal(new.sql("INSERT INTO watched DEFAULT VALUES RETURNING t, p"), "orders|orders:1", "defaults work")
    new.wait_listener()
    tap.ok(True, "the listener serves")


pg.demote()
if not pg.CAN_UPGRADE:
    tap.skip("pg_upgrade does not find a library below PGTOPIC_DESTDIR")
tap.main([test_upgrade, test_goes_on])
