#!/usr/bin/env python3
"""follow_topic(): a topic becomes like that of another server and gets its records at their offsets; everything that may be
in the way is said before anything is made; unfollow_topic() leaves no slot behind, or says that it does."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import fake_server     # noqa: E402
import tap             # noqa: E402

SETTINGS = {"max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40, "max_logical_replication_workers": 16,
            "wal_retrieve_retry_interval": "100ms"}
ROWS = """SELECT partition, "offset", "timestamp", key, md5(value), headers::text FROM topics.%s ORDER BY partition, "offset" """

source = target = None


def connection(database="postgres", user=None, more=""):
    return "host=%s port=%d user=%s dbname=%s%s" % (source.dir, source.port, user or source.user, database, more)


def follow(topic, more="", to=None, server=None):
    return (server or target).sql("SELECT follow_topic('%s', '%s'%s)" % (to or connection(), topic, more))


def refused(what, hint, act):
    try:
        act()
        tap.ok(False, what)
    except pg.SqlError as problem:
        tap.matches(what, str(problem), "refused: " + what)
        tap.matches(hint, str(problem), "... and says: " + hint)


def wait_for(server, query, expected="t", timeout=180):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if server.sql(query) == expected:
            return True
        time.sleep(0.1)
    tap.note("waited in vain for %s" % query)
    return False


def caught_up():
    """Every table has been copied, and every slot's consumer has confirmed what the source has written so far."""
    tap.ok(wait_for(target, "SELECT coalesce(bool_and(srsubstate = 'r'), true) FROM pg_subscription_rel"), "all is copied")
    lsn = source.sql("SELECT pg_current_wal_lsn()")
    wait_for(source, "SELECT bool_and(confirmed_flush_lsn >= '%s') FROM pg_replication_slots WHERE slot_name LIKE 'pgtopic%%'" % lsn)


def same(topic, what):
    tap.equal(target.sql(ROWS % topic), source.sql(ROWS % topic), what)


def slots():
    return source.sql("SELECT count(*) FROM pg_replication_slots")


FILL = "INSERT INTO topics.%s (partition, key, value, headers) SELECT n %% %d, (n %% 7)::text::bytea, repeat(n::text, 300)::bytea," \
    " CASE WHEN n %% 3 = 0 THEN headers('n', n::text) END FROM generate_series(1, %d) n"


def test_start():
    """two servers; the second has nothing yet"""
    global source, target
    source = pg.Cluster("source", {**SETTINGS, "wal_level": "replica"}).init().start()
    target = pg.Cluster("target", SETTINGS).init().start()
    for server in (source, target):
        server.sql("CREATE EXTENSION pgtopic; CREATE DATABASE plain")
    source.sql("""SELECT create_topic('orders', 3, '{"retention.ms": -1, "cleanup.policy": "compact,delete", "max.message.bytes": 2000}')""")


def test_what_is_in_the_way():
    """errors that say what to do, and nothing that is left behind"""
    refused("cannot run inside a transaction block", "rollback cannot undo", lambda: target.sql(
        "BEGIN; SELECT follow_topic('%s', 'orders')" % connection()))
    refused("does not log for logical decoding", "wal_level = logical", lambda: follow("orders"))
    several = target.run("psql", "-XAtq", "-c", "SELECT follow_topic('%s', 'orders'); SELECT 1" % connection(), check=False)
    tap.matches("cannot run inside a transaction block", several.stderr, "refused: several statements in one string")
    source.set(wal_level="logical").restart()
    alone = "must be a statement of its own"
    call = "follow_topic('%s', 'orders')" % connection()
    for query in ("DO $$ BEGIN PERFORM %s; PERFORM 1 / 0; END $$", "SELECT %s, 1 / (random() * 0)::int", "SELECT %s FROM generate_series(1, 1)",
                  "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM %s; END $$; SELECT f()",
                  "DO $$ DECLARE r record; BEGIN FOR r IN SELECT %s LOOP PERFORM 1 / 0; END LOOP; END $$",
                  "CREATE TABLE copied AS SELECT %s", "PREPARE p AS SELECT %s; EXECUTE p", "EXPLAIN ANALYZE SELECT %s",
                  "SELECT 1 / (length(%s) - length('orders#follow'))"):
        refused(alone, "later error", lambda query=query: target.sql(query % call))
    tap.equal(slots(), "0", "none of them has left a slot there")
    refused("has no topic \"nothing\"", "SELECT \\* FROM topics", lambda: follow("nothing"))
    refused("could not connect", "REPLICATION", lambda: follow("orders", to=connection("nowhere")))
    refused("has no extension pgtopic", "dbname=app", lambda: follow("orders", to=connection("plain")))
    refused("on the server that it is on", "leads back", lambda: follow("orders", server=source))
    refused("cannot be followed", "Each server writes its own", lambda: follow("__consumer_offsets"))
    refused("invalid connection string|missing \"=\"", "", lambda: follow("orders", to="nonsense"))
    refused("invalid topic config", "retention.hours", lambda: follow("orders", """, '{"retention.hours": 1}'"""))
    refused("must not be null", "connection", lambda: target.sql("SELECT follow_topic(NULL, 'orders')"))
    tap.equal(target.sql("SELECT count(*) FROM topics"), "0", "no topic was left here")
    tap.equal(source.sql("SELECT count(*) FROM pg_publication"), "0", "no publication was left there")

    target.sql("SELECT create_topic('orders', 3); INSERT INTO topics.orders (partition, value) VALUES (1, 'mine')")
    refused("has records of its own", "Drop the topic here", lambda: follow("orders"))
    target.sql("SELECT drop_topic('orders'); SELECT create_topic('orders', 4)")
    refused("has 4 partitions, and 3", "Drop the topic here", lambda: follow("orders"))
    target.sql("SELECT drop_topic('orders'); CREATE TABLE topics.orders (a int)")
    refused("already exists", "", lambda: follow("orders"))
    target.sql("DROP TABLE topics.orders")
    tap.equal(slots(), "0", "no slot was left there")


def test_odd_servers():
    """a server that answers with other columns, without rows or with nulls is an error, and crashes nothing"""
    started = target.sql("SELECT pg_postmaster_start_time()")
    for columns, row in ((0, None), (1, [None]), (4, None), (4, [None] * 4), (4, [b"logical", b"1", b"public", None]), (4, [b"\xff"] * 4)):
        server = fake_server.FakeServer(columns, row)
        refused("unexpected answer of the server of the topic|invalid query response|invalid byte sequence|invalid response", "",
                lambda: follow("orders", to=server.connection()))
    tap.equal(target.sql("SELECT pg_postmaster_start_time()"), started, "nothing has crashed")


def test_rights():
    """who may follow, and what the connection's role needs there"""
    source.sql("CREATE ROLE reader LOGIN REPLICATION; CREATE ROLE plain LOGIN")
    target.sql("CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA topics TO plain")
    refused("could not connect", "REPLICATION", lambda: follow("orders", to=connection(user="plain")))
    refused("has no topic \"orders\" that the connection's role may know of", "USAGE on the schema of topics, and SELECT on", lambda: follow("orders", to=connection(user="reader")))
    source.sql("GRANT USAGE ON SCHEMA topics TO reader; GRANT SELECT ON topics.orders TO reader")
    refused("permission denied to read topic", "SELECT on each", lambda: follow("orders", to=connection(user="reader")))
    source.sql("GRANT SELECT ON topics.\"orders#0\", topics.\"orders#1\", topics.\"orders#2\" TO reader")
    refused("permission denied to publish topic", "CREATE PUBLICATION \"orders#follow\" FOR TABLE topics.orders",
            lambda: follow("orders", to=connection(user="reader")))
    refused("permission denied to follow", "create subscriptions", lambda: target.sql(
        "SET ROLE plain; SELECT follow_topic('%s', 'orders')" % connection()))
    if pg.MAJOR >= 16:
        target.sql("GRANT pg_create_subscription TO plain; GRANT CREATE ON DATABASE postgres TO plain")
        refused("password is required", "password", lambda: target.sql(
            "SET ROLE plain; SELECT follow_topic('%s', 'orders')" % connection()))


def test_publications():
    """one that the owner has made is taken when it fits"""
    refused("has no publication \"none\"", "", lambda: follow("orders", ", publication => 'none'"))
    source.sql("SELECT create_topic('more'); CREATE PUBLICATION too_much FOR TABLE topics.orders, topics.more;"
               "CREATE PUBLICATION root FOR TABLE topics.orders WITH (publish_via_partition_root);"
               "CREATE PUBLICATION part FOR TABLE topics.\"orders#0\"; CREATE PUBLICATION updates FOR TABLE topics.orders WITH (publish = 'truncate');"
               "CREATE PUBLICATION filtered FOR TABLE topics.\"orders#0\" WHERE (partition = 1), topics.\"orders#1\", topics.\"orders#2\""
               " WITH (publish = 'insert')")
    for name in ("too_much", "root", "part", "updates", "filtered"):
        refused("is not one of topic \"orders\" alone", "FOR TABLE topics.orders", lambda: follow("orders", ", publication => '%s'" % name))
    source.sql("CREATE PUBLICATION good FOR TABLE topics.orders")
    tap.equal(follow("orders", ", publication => 'good'", connection(user="reader")), "orders#follow", "a publication is named")
    caught_up()
    target.sql("SELECT unfollow_topic('orders'); SELECT drop_topic('orders')")
    tap.equal(slots(), "0", "the slot is gone")


def test_follow():
    """the records that are there, then those that come"""
    source.sql(FILL % ("orders", 3, 900))
    source.sql("SELECT alter_topic('orders', '{\"max.message.bytes\": 100000}')")
    source.sql("INSERT INTO topics.orders (partition, key, value) VALUES (0, 'large', repeat('x', 5000)::bytea);"
               "SELECT delete_records('orders:1', 100)")
    source.sql("SELECT alter_topic('orders', '{\"max.message.bytes\": 2000, \"message.timestamp.type\": \"LogAppendTime\"}')")
    follow("orders", """, '{"retention.ms": 1000000000}'""")
    caught_up()
    same("orders", "the records that were there, times and a large one included")
    tap.equal(target.sql("SELECT partitions, configs FROM topics WHERE topic = 'orders'"),
              '3|{"retention.ms": "1000000000", "cleanup.policy": "compact,delete", "max.message.bytes": "2000",'
              ' "message.timestamp.type": "LogAppendTime"}', "partitions and configs are the source's, but for those that were given")
    source.sql(FILL % ("orders", 3, 300))
    source.kill9().start()
    target.kill9().start()
    source.wait_up()
    target.wait_up()
    source.sql(FILL % ("orders", 3, 300))
    caught_up()
    same("orders", "the records that came later, over crashes of both")


def test_new_partitions():
    """follow_topic() again takes over partitions that were added"""
    source.sql("SELECT add_partitions('orders', 5); " + FILL % ("orders", 5, 500))
    missing = r'target relation "topics.orders#[34]" does not exist'
    deadline = time.monotonic() + 180
    while not re.search(missing, target.log_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.matches(missing, target.log_text(), "a partition that is missing here stops it")
    follow("orders")
    caught_up()
    same("orders", "all partitions' records")
    follow("orders")
    tap.equal(target.sql("SELECT count(*) FROM pg_subscription"), "1", "again: nothing more")


def test_long_name():
    """a name that no relation can have"""
    name = "Long." + "x" * 200
    source.sql("SELECT create_topic('%s', 1); SELECT produce('%s', 'v')" % (name, name))
    tap.equal(len(follow(name)), 63, "its subscription has a name that fits")
    caught_up()
    tap.equal(target.sql("SELECT as_text(value) FROM poll('%s', 0, 0)" % name), "v", "its record is here")
    target.sql("SELECT unfollow_topic('%s')" % name)


def test_from_now_on():
    """without the records that are there"""
    source.sql("SELECT create_topic('later', 1); SELECT produce('later', 'before')")
    follow("later", ", copy_data => false")
    source.sql("SELECT produce('later', 'after')")
    caught_up()
    tap.equal(target.sql("SELECT \"offset\", as_text(value) FROM topics.later"), "1|after", "only what comes, at its offset")


def test_unfollow():
    """the topic stays and can be written to; the slot goes, or it is said that it stays"""
    target.sql("SELECT create_topic('own', 1)")
    refused("does not follow", "", lambda: target.sql("SELECT unfollow_topic('own')"))
    refused("transaction block", "", lambda: target.sql("BEGIN; SELECT unfollow_topic('orders')"))
    refused("must be owner of subscription", "", lambda: target.sql("SET ROLE plain; SELECT unfollow_topic('orders')"))
    refused("must be a statement of its own", "", lambda: target.sql("DO $$ BEGIN PERFORM unfollow_topic('orders'); PERFORM 1 / 0; END $$"))
    before = int(slots())
    target.sql("SELECT * FROM unfollow_topic('orders'); ")
    tap.equal(int(slots()), before - 1, "its slot is gone")
    tap.equal(target.sql("SELECT produce('orders', 'now mine', 'k', partition => 0)"), "orders:0", "the topic takes records")

    source.stop()
    refused("could not connect", "keep_slot|slot_name = NONE", lambda: target.sql("SELECT unfollow_topic('later')"))
    done = target.run("psql", "-XAtq", "-c", "SELECT unfollow_topic('later', keep_slot => true)")
    tap.matches("WARNING:  replication slot \"pgtopic_\\d+_\\d+_\\d+\" stays", done.stderr, "a slot that stays is said")
    tap.matches("HINT:.*pg_drop_replication_slot", done.stderr, "... and how to drop it")
    tap.equal(target.sql("SELECT count(*) FROM pg_subscription"), "0", "the subscription is gone")
    source.start()
    tap.equal(slots(), "1", "the slot has stayed")


def main():
    tap.main([test_start, test_what_is_in_the_way, test_odd_servers, test_rights, test_publications, test_follow, test_new_partitions, test_long_name,
              test_from_now_on, test_unfollow])


if __name__ == "__main__":
    pg.demote()
    main()
