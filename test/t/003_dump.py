#!/usr/bin/env python3
"""pg_dump in every format brings a topic back: id, configs, offsets, records, committed offsets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

LONG_NAME = "a" * 100 + ".long-name_" + "z" * 100

source = target = None

SETUP = """
CREATE EXTENSION pgtopic;
SELECT create_topic('orders', partitions => 3,
                    config => '{"retention.ms": "-1", "max.message.bytes": 500000, "compression.type": "zstd"}');
SELECT create_topic('Quoted.Name-1');
SELECT create_topic('%s');
SELECT create_topic('empty', partitions => 2);
CREATE TABLE plain (id int PRIMARY KEY, note text);
INSERT INTO plain VALUES (1, 'beside');
INSERT INTO topics.orders (partition, key, value, "timestamp")
    SELECT i %% 3, ('k' || i)::text::bytea, CASE WHEN i %% 10 > 0 THEN ('value ' || i)::text::bytea END, '2024-01-01'::timestamptz + i * interval '1 s'
    FROM generate_series(1, 1000) i;
SELECT produce('orders', 'with headers'::text, headers => headers('trace', 'abc'));
INSERT INTO topics."Quoted.Name-1" (value) VALUES ('one'), ('two');
SELECT produce('%s', 'long'::text);
INSERT INTO topics.orders (partition, "offset", value) VALUES (1, 5000, 'behind a gap');
INSERT INTO topics.orders (partition, value, "timestamp") VALUES (2, 'without a time', NULL);
SELECT count(*) FROM consume('orders', 'readers', max_records => 600);
SELECT count(*) FROM consume('Quoted.Name-1', 'readers', max_records => 1);
SELECT create_topic('emptied', partitions => 2), create_topic('deleted');
INSERT INTO topics.emptied (partition, value) SELECT i %% 2, 'x' FROM generate_series(1, 50) i;
INSERT INTO topics.deleted (value) SELECT 'x' FROM generate_series(1, 30) i;
SELECT count(*) FROM consume('emptied', 'readers', max_records => 600);
TRUNCATE topics.emptied;
SELECT delete_records('deleted:0', 30);
SELECT set_quotas('{"user": "ann", "client-id": null}', '{"producer_byte_rate": 1000000, "request_percentage": 12.34567}');
CREATE INDEX orders_key ON topics.orders (key);
GRANT SELECT ON topics.orders TO PUBLIC;
CREATE TABLE watched (t topic DEFAULT 'orders' CHECK (t <> 'forbidden'), p partition DEFAULT 'orders:1', dropped topic);
INSERT INTO watched VALUES (DEFAULT, 'orders:2', 'never-made');
CREATE VIEW ends AS SELECT log_end('orders:0');
CREATE FUNCTION a_first() RETURNS bigint BEGIN ATOMIC SELECT log_end('orders:1'); END;
CREATE FUNCTION a_produce(note text DEFAULT 'x', t topic DEFAULT 'orders') RETURNS partition
    BEGIN ATOMIC SELECT produce(t, note, partition => 2); END;
CREATE INDEX watched_orders ON watched (p) WHERE t = 'orders';
""" % (LONG_NAME, LONG_NAME)

RECORDS = """SELECT partition, "offset", "timestamp" AT TIME ZONE 'UTC', key, value, headers
             FROM topics.%s ORDER BY partition, "offset" """
LABELS = "SELECT objoid::regclass, label FROM pg_seclabels WHERE provider = 'pgtopic' ORDER BY objoid::regclass::text COLLATE \"C\""
TOPIC_LABEL = "SELECT label FROM pg_seclabels WHERE provider = 'pgtopic' AND objoid = 'topics.orders'::regclass"


NAMED = """SELECT t, p, dropped FROM watched;
           SELECT * FROM ends; SELECT a_first();
           SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'watched'::regclass ORDER BY adnum;
           SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'watched'::regclass;
           SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'watched_orders'::regclass"""


def compare(what, server, label=LABELS):
    for topic in ("orders", '"Quoted.Name-1"'):
        tap.equal(server.rows(RECORDS % topic), source.rows(RECORDS % topic), "%s: records of %s" % (what, topic))
    tap.equal(server.sql(label), source.sql(label), "%s: names, ids and configs" % what)
    tap.equal(server.sql("SELECT \"offset\", convert_from(value, 'UTF8') FROM poll('%s', 0, 0)" % LONG_NAME), "0|long",
              what + ": a topic with a long name")
    tap.equal(server.sql("SELECT note FROM plain"), "beside", what + ": plain tables")
    tap.equal(server.sql("SELECT entity, quota, value FROM client_quotas ORDER BY quota"),
              '{"user": "ann", "client-id": null}|producer_byte_rate|1000000\n{"user": "ann", "client-id": null}|request_percentage|12.34567',
              what + ": quotas")
    tap.equal(server.sql(NAMED), source.sql(NAMED), what + ": what names a topic in a constant")
    tap.equal(server.sql("BEGIN; SELECT a_produce(); INSERT INTO watched DEFAULT VALUES RETURNING t, p; ROLLBACK"),
              "orders:2\norders|orders:1", what + ": and works")
    tap.equal(server.sql("SELECT has_table_privilege('pg_monitor', 'topics.orders', 'SELECT')"), "t", what + ": grants")


def check_goes_on(what, server):
    """Committed offsets are as they were, and the next offsets follow."""
    left = "SELECT count(*) FROM consume('%s', 'readers', max_records => 10000)"
    tap.equal(server.sql(left % "orders"), "403", what + ": the group goes on where it was")
    tap.equal(server.sql(left % "Quoted.Name-1"), "1", what + ": in the other topic, too")
    tap.equal(server.sql("SELECT append('orders:1', 'next'::text)"), "5001", what + ": the next offset")
    tap.equal(server.sql("SELECT append('empty:0', 'first'::text)"), "0", what + ": an empty topic starts at 0")
    tap.equal(server.sql("SELECT append('emptied:0', 'next'::text), append('emptied:1', 'next'::text)"), "25|25",
              what + ": one that was truncated goes on")
    tap.equal(server.sql("SELECT append('deleted:0', 'next'::text)"), "30", what + ": and one whose records were deleted")
    tap.equal(server.sql("SELECT count(*) FROM consume('emptied', 'readers')"), "2", what + ": a group reads what is new there")


def fresh(name):
    global target
    if target is not None:
        target.stop("immediate")
    target = pg.Cluster(name).init().start()
    return target


def dump(*options):
    done = source.run("pg_dump", *options, check=False)
    if done.returncode:
        tap.note(done.stderr)
    return done


def restore_psql(server, text):
    done = server.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", input=text, check=False)
    if done.returncode:
        tap.note(done.stderr)
    return done.returncode == 0


def test_setup():
    global source
    source = pg.Cluster("source").init().start()
    source.sql(SETUP)
    tap.equal(source.sql("SELECT count(*) FROM topics.orders"), "1003", "the source has its records")


def test_plain():
    """pg_dump | psql"""
    done = dump()
    tap.ok(restore_psql(fresh("plain"), done.stdout), "plain: restores without an error")
    compare("plain", target)
    check_goes_on("plain", target)


def test_plain_single_transaction():
    """psql -1: everything in one transaction"""
    done = dump()
    result = fresh("single").run("psql", "-Xq1", "-v", "ON_ERROR_STOP=1", "-f", "-", input=done.stdout, check=False)
    tap.equal(result.returncode, 0, "psql -1: restores without an error")
    tap.note(result.stderr)
    compare("psql -1", target)
    check_goes_on("psql -1", target)


def test_custom():
    path = pg.base_dir() + "/dump.custom"
    dump("-Fc", "-f", path)
    done = fresh("custom").run("pg_restore", "-d", "postgres", "--exit-on-error", path, check=False)
    tap.ok(done.returncode == 0, "custom: restores without an error")
    tap.note(done.stderr)
    compare("custom", target)
    check_goes_on("custom", target)


def test_directory():
    path = pg.base_dir() + "/dump.directory"
    dump("-Fd", "-j2", "-f", path)
    done = fresh("directory").run("pg_restore", "-j2", "-d", "postgres", path, check=False)
    tap.ok(done.returncode == 0, "directory: restores without an error")
    tap.note(done.stderr)
    compare("directory", target)
    check_goes_on("directory", target)


def test_inserts():
    """--inserts: rows by INSERT, offsets kept"""
    done = dump("--inserts")
    tap.ok(restore_psql(fresh("inserts"), done.stdout), "--inserts: restores without an error")
    compare("--inserts", target)


def test_one_topic():
    """pg_dump -t: the topic's table and its partitions, which are named topic#number"""
    done = dump("-t", "topics.orders", "-t", "topics.orders#*")
    server = fresh("one")
    server.sql("CREATE EXTENSION pgtopic")
    tap.ok(restore_psql(server, done.stdout), "-t: restores without an error")
    tap.equal(server.rows(RECORDS % "orders"), source.rows(RECORDS % "orders"), "-t: records")
    tap.equal(server.sql(TOPIC_LABEL), source.sql(TOPIC_LABEL), "-t: name, id and configs")
    tap.equal(server.sql("SELECT append('orders:1', 'next'::text)"), "5001", "-t: the next offset")


pg.demote()
tap.main([test_setup, test_plain, test_plain_single_transaction, test_custom, test_directory, test_inserts,
          test_one_topic])
