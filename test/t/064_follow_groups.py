#!/usr/bin/env python3
"""follow_groups(): consumers of Kafka and of SQL change from one server to the other with nothing lost and nothing twice; offsets wait for
their records, never go back, and never move a group that is in use; errors, rights, dumps."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import fake_server     # noqa: E402
import points          # noqa: E402
import tap             # noqa: E402

try:
    from confluent_kafka import Consumer
except ImportError:
    tap.skip("confluent_kafka is not installed")

SETTINGS = {"wal_level": "logical", "max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40,
            "wal_retrieve_retry_interval": "100ms", "pgtopic.group_initial_rebalance_delay": "0"}
SHOWN = """SELECT string_agg(topic || ':' || partition || '=' || "offset", ' ' ORDER BY topic::text, partition) FROM group_lag WHERE group_id = '%s'"""

there = here = stops = None


def connection(user=None, more=""):
    return "host=%s port=%d user=%s dbname=postgres%s" % (there.dir, there.port, user or there.user, more)


def refused(pattern, statement, server=None):
    try:
        (server or here).sql(statement)
        tap.ok(False, "refused: " + pattern)
    except pg.SqlError as problem:
        tap.matches(pattern, str(problem), "refused: " + pattern)


def offsets(server, group):
    return server.sql(SHOWN % group)


def awaited(query, what, expected="t"):
    got = here.wait_for(query, expected, 120)
    if not tap.equal(got, expected, what):
        tap.note(here.sql("SELECT name, state, lag, last_error FROM tasks_status"))


def comes(group, what):
    """The group is here where it is there."""
    awaited(SHOWN % group, what, offsets(there, group))


def nothing_behind(what):
    """Two whole rounds have passed since now, and the groups are as far as there."""
    here.sql("SELECT pause_task('groups')")
    here.sql("SELECT resume_task('groups')")
    awaited("SELECT lag = 0 AND state = 'running' FROM tasks_status WHERE name = 'groups' AND pids <> '{}'", what)


def produce(n, first=0):
    there.sql("SELECT produce('orders', i::text, partition => i %% 3) FROM generate_series(%d, %d) i" % (first, first + n - 1))


def consume(server, group, count=None):
    """Values that a Kafka consumer of the group reads: so many, or all that are there; what was read is committed when it leaves."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "enable.partition.eof": True, "session.timeout.ms": 6000})
    ends = set()
    values = []
    consumer.subscribe(["orders"])
    while len(values) < count if count else len(ends) < 3:
        message = consumer.poll(60)
        if message is None:
            tap.note("nothing comes any more for %s" % group)
            break
        if message.error():
            ends.add(message.partition())
            continue
        values.append(int(message.value()))
        consumer.commit(message, asynchronous=False)
    consumer.close()
    return values


def consume_sql(server, group, count):
    rows = server.sql("SELECT as_text(value) FROM consume('orders', '%s', max_records => %d)" % (group, count))
    return [int(row) for row in rows.split("\n") if row]


def test_start():
    """two servers, a topic that follows, and groups there"""
    global there, here, stops
    stops = points.Points()
    there = pg.Cluster("there", SETTINGS).init().start()
    here = pg.Cluster("here", {**SETTINGS, **stops.settings}).init().start()
    for server in (there, here):
        server.sql("CREATE EXTENSION pgtopic")
        server.wait_listener()
        server.sql("SELECT create_topic('own', 1)")
        server.sql("SELECT produce('own', 'a'), produce('own', 'b')")
    there.sql("SELECT create_topic('orders', 3)")
    produce(300)
    here.sql("SELECT follow_topic('%s', 'orders')" % connection())


def test_refused():
    """what cannot work is said at once"""
    follow = "SELECT follow_groups('%s', '%s'%s)"
    refused("must not be null", "SELECT follow_groups('x', NULL)")
    refused("must not be null", "SELECT follow_groups(NULL, '%s')" % connection())
    refused("connection to the followed server failed", follow % ("x", "host=/nowhere", ""))
    refused("invalid connection string", follow % ("x", "nonsense", ""))
    refused("\"groups\" must not be empty", follow % ("x", connection(), ", groups => '{}'"))
    refused("\"topics\" must not have nulls", follow % ("x", connection(), ", topics => '{NULL}'"))
    refused("interval must be", follow % ("x", connection(), ", \"interval\" => '0'"))
    refused("has no extension pgtopic", follow % ("x", connection().replace("dbname=postgres", "dbname=template1"), ""))
    here.sql("CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain")
    refused("permission denied for function follow_groups", "SET ROLE plain; " + follow % ("x", connection(), ""))
    here.sql("GRANT EXECUTE ON FUNCTION follow_groups TO plain")
    refused("password is required", "SET ROLE plain; " + follow % ("x", connection(), ""))
    refused("asked for no password", "SET ROLE plain; " + follow % ("x", connection(more=" password=secret"), ""))
    tap.equal(here.sql("SELECT count(*) FROM tasks_status"), "0", "nothing is left")


def test_odd_servers():
    """a server that is none is an error"""
    started = here.sql("SELECT pg_postmaster_start_time()")
    for columns, row in ((0, None), (1, [None]), (2, [None, None]), (2, [b"public", b"maybe"]), (2, [b"\xff", b"t"])):
        server = fake_server.FakeServer(columns, row)
        refused("unexpected answer of the followed server|invalid byte sequence|has no extension", "SELECT follow_groups('x', '%s')" % server.connection())
    tap.equal(here.sql("SELECT pg_postmaster_start_time()"), started, "nothing has crashed")


def test_comes_along():
    """groups that were chosen, in topics that follow, and no others"""
    tap.equal(len(consume(there, "shop", 100)), 100, "a Kafka consumer reads there")
    tap.equal(len(consume_sql(there, "billing", 50)), 50, "and a session")
    for group in ("other", "sh_p"):
        consume_sql(there, group, 10)
    there.sql("SELECT consume('own', 'shop', 1)")
    here.sql("SELECT follow_groups('groups', '%s', groups => '{sh*,sh_p,bill*}', \"interval\" => '100 ms')" % connection())
    awaited("SELECT count(*) >= 3 FROM partitions WHERE topic = 'orders' AND end_offset = 100", "records have come")
    expected = there.sql("SELECT string_agg(topic || ':' || partition || '=' || \"offset\", ' ' ORDER BY topic::text, partition) FROM group_lag"
                         " WHERE group_id = 'shop' AND topic = 'orders'")
    awaited(SHOWN % "shop", "the offsets of a Kafka group come, but not in a topic of the same name that does not follow", expected)
    comes("billing", "those of sessions, too")
    comes("sh_p", "a pattern has no other wildcards")
    tap.equal(here.sql("SELECT count(*) FROM consumer_groups WHERE group_id = 'other'"), "0", "a group that was not chosen does not")
    awaited("SELECT state = 'running' AND lag = 0 AND records > 0 AND errors = 0 FROM tasks_status WHERE name = 'groups'", "the view shows it")
    tap.equal(here.sql("SELECT definition ? 'connection' FROM tasks_status WHERE name = 'groups'"), "f", "without the connection")


def test_switch():
    """consumers change servers: all records, each once"""
    produce(90, 300)
    first = consume(there, "moving", 150)
    first_sql = consume_sql(there, "billing-2", 120)
    here.sql("SELECT alter_task('groups', '{\"groups\": [\"moving\", \"billing*\"]}')")
    comes("moving", "a Kafka group has come")
    comes("billing-2", "and one of sessions")
    awaited("SELECT sum(end_offset) FROM partitions WHERE topic = 'orders'", "the records have come", "390")
    nothing_behind("nothing is behind")
    rest = consume(here, "moving")
    rest_sql = consume_sql(here, "billing-2", 1000)
    tap.equal(sorted(first + rest), list(range(390)), "the Kafka consumers have each record once (%d and %d)" % (len(first), len(rest)))
    tap.equal(sorted(first_sql + rest_sql), list(range(390)), "and so have the sessions (%d and %d)" % (len(first_sql), len(rest_sql)))


def test_never_back():
    """an offset that is less there is not brought, unless that is asked for, and then only what was committed later"""
    here_now = offsets(here, "moving")
    nothing_behind("rounds have passed")
    tap.equal(offsets(here, "moving"), here_now, "a group that has moved on here stays where it is")
    here.sql("SELECT alter_task('groups', '{\"backwards\": true}')")
    nothing_behind("rounds have passed, backwards")
    tap.equal(offsets(here, "moving"), here_now, "also backwards, as it was committed later here")
    there.sql("SELECT seek('moving', 'orders', 7)")
    comes("moving", "what was committed later there comes, backwards")
    here.sql("SELECT alter_task('groups', '{\"backwards\": false}')")
    there.sql("SELECT seek('moving', 'orders', 3)")
    nothing_behind("rounds have passed, forwards")
    tap.equal(offsets(here, "moving"), "orders:0=7 orders:1=7 orders:2=7", "but not otherwise")


def test_waits_for_records():
    """an offset is not beyond the records that are here, and follows when they come"""
    here.sql("ALTER SUBSCRIPTION \"orders#follow\" DISABLE")
    here.wait_for("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL", "0")
    end = int(here.sql("SELECT sum(end_offset) FROM partitions WHERE topic = 'orders'"))
    produce(60, 390)
    there.sql("SELECT seek('moving', 'orders', 'end'); SELECT seek('billing-3', 'orders', 'end')")
    awaited("SELECT lag = 120 FROM tasks_status WHERE name = 'groups'", "the view tells how much is missing")
    tap.equal(here.sql("SELECT sum(\"offset\") FROM group_lag WHERE group_id = 'moving'"), str(end), "groups are at the end of what is here")
    here.sql("ALTER SUBSCRIPTION \"orders#follow\" ENABLE")
    comes("moving", "and come along with the records")
    comes("billing-3", "also one that is new")
    nothing_behind("nothing is behind any more")


def test_in_use():
    """a group that somebody uses here is left alone"""
    ends = offsets(here, "moving")
    consumer = Consumer({"bootstrap.servers": here.bootstrap, "group.id": "moving", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["orders"])
    while not consumer.assignment():
        consumer.poll(0.1)
    session = here.session()
    session.send("BEGIN; SELECT commit_offsets('billing', 'orders:0', 1)")
    session.answer()
    produce(30, 450)
    there.sql("SELECT seek('moving', 'orders', 'end'); SELECT seek('billing', 'orders', 'end'); SELECT seek('billing-3', 'orders', 'end')")
    comes("billing-3", "groups that nobody uses come")
    nothing_behind("what is in use does not count")
    tap.equal(offsets(here, "moving"), ends, "a group with members stays")
    tap.ok(offsets(here, "billing") != offsets(there, "billing"), "and one of a session")
    consumer.close()
    session.send("ROLLBACK")
    session.answer()
    comes("moving", "it comes when its members have left")
    comes("billing", "or when the transaction is over")


def test_joins():
    """a Kafka consumer that joins at the moment in which its group is brought waits for that"""
    here.sql("SELECT alter_task('groups', '{\"groups\": [\"joins\"]}')")
    stops.set("follower.brought")
    there.sql("SELECT seek('joins', 'orders', 5)")
    stops.await_("follower.brought")
    got = []
    joining = threading.Thread(target=lambda: got.append(consume(here, "joins")))
    joining.start()
    awaited("SELECT requests > 0 FROM listener_stats WHERE api = 'JoinGroup'", "it asks")
    stops.release("follower.brought")
    joining.join(120)
    tap.equal(len(got[0]) if got else None, 480 - 15, "and begins at the offset that was brought")


def test_remembers_use():
    """a group that has members there does not expire here"""
    consumer = Consumer({"bootstrap.servers": there.bootstrap, "group.id": "joins", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    while not consumer.assignment():
        consumer.poll(0.1)
    awaited("SELECT count(*) > 0 FROM topics.__consumer_offsets WHERE substr(key, 1, 2) = '\\x0002' AND position('joins'::bytea IN key) > 0",
            "its use there is known here")
    consumer.close()


def test_old_offsets():
    """what would expire at once is not brought"""
    there.sql("SELECT seek('old', 'orders', 9), seek('ancient', 'orders', 9)")
    there.sql("INSERT INTO topics.__consumer_offsets (partition, key, value) SELECT partition, key,"
              " overlay(value PLACING int8send((extract(epoch FROM now() - interval '30 days') * 1000)::bigint) FROM 16 FOR 8)"
              " FROM topics.__consumer_offsets WHERE position('ancient'::bytea IN key) > 0 AND value IS NOT NULL")
    tap.equal(there.sql("SELECT bool_and(committed_at < now() - interval '29 days') FROM group_lag WHERE group_id = 'ancient'"), "t", "one is ancient")
    here.sql("SELECT alter_task('groups', '{\"groups\": [\"old\", \"ancient\"]}')")
    comes("old", "a new one comes")
    nothing_behind("a round is over")
    tap.equal(here.sql("SELECT count(*) FROM consumer_groups WHERE group_id = 'ancient'"), "0", "the ancient one does not")


def test_errors():
    """a server that is down is seen, and nothing is lost by that"""
    there.stop()
    awaited("SELECT state = 'failing' AND last_error ~ 'followed server' FROM tasks_status WHERE name = 'groups'", "the view has the error")
    there.start()
    there.sql("SELECT seek('old', 'orders', 11)")
    here.sql("SELECT resume_task('groups')")
    comes("old", "it goes on")
    here.sql("ALTER ROLE plain SUPERUSER; SELECT alter_task_owner('groups', 'plain')")
    nothing_behind("another owner, a superuser")
    here.sql("ALTER ROLE plain NOSUPERUSER; SELECT resume_task('groups')")
    here.kill9().start()
    awaited("SELECT state = 'failing' AND last_error ~ 'password is required' FROM tasks_status WHERE name = 'groups'",
            "one who is none any more must give a password")
    here.sql("SELECT alter_task_owner('groups', 'postgres')")
    nothing_behind("it goes on as a superuser's")


def test_rights():
    """the owner must be able to read the topic here, as for commit_offsets()"""
    there.sql("CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON topics.orders TO reader; GRANT USAGE ON SCHEMA topics TO reader")
    with open(there.data + "/pg_hba.conf", "r+", encoding="utf8") as f:
        rules = f.read()
        f.seek(0)
        f.write("local all reader scram-sha-256\n" + rules)
    there.reload()
    awaited_there = there.wait_for("SELECT count(*) FROM pg_hba_file_rules WHERE 'reader' = ANY (user_name)", "1")
    tap.equal(awaited_there, "1", "the other server asks for a password")
    here.sql("SET ROLE plain; SELECT follow_groups('mine', '%s', groups => '{old}', \"interval\" => '100 ms')" % connection("reader", " password=secret"))
    awaited("SELECT state = 'failing' AND last_error ~ 'permission denied for (table|topic)' FROM tasks_status WHERE name = 'mine'", "he may not")
    here.sql("GRANT SELECT ON topics.orders TO plain; SELECT resume_task('mine'), delete_group('old'), pause_task('groups')")
    comes("old", "then he may")
    refused("must be owner of task", "SET ROLE plain; SELECT unfollow_groups('groups')")
    refused("is not a group_follower|does not exist", "SELECT unfollow_groups('nothing')")
    here.sql("SET ROLE plain; SELECT unfollow_groups('mine')")
    here.sql("SELECT resume_task('groups')")


def test_dump():
    """a dump has it; it comes back paused"""
    restored = pg.Cluster("restored", SETTINGS).init().start()
    restored.sql("CREATE ROLE plain")
    restored.sql(here.run("pg_dump", "--no-subscriptions").stdout)
    tap.equal(restored.sql("SELECT name, kind, state FROM tasks_status"), "groups|group_follower|paused", "it is paused")
    restored.stop()


def test_drop():
    """unfollow_topic() ends it for a topic, unfollow_groups() for all; offsets stay"""
    before = offsets(here, "old")
    here.sql("SELECT unfollow_topic('orders')")
    there.sql("SELECT seek('old', 'orders', 20)")
    nothing_behind("a topic that does not follow any more does not count")
    tap.equal(offsets(here, "old"), before, "nor does its group move")
    here.sql("SELECT unfollow_groups('groups')")
    tap.equal(here.sql("SELECT count(*) FROM tasks_status"), "0", "it is gone")
    tap.equal(offsets(here, "old"), before, "the offsets stay")


def main():
    tap.main([test_start, test_refused, test_odd_servers, test_comes_along, test_switch, test_never_back, test_waits_for_records, test_in_use,
              test_joins, test_remembers_use, test_old_offsets, test_errors, test_rights, test_dump, test_drop])


if __name__ == "__main__":
    pg.demote()
    main()
