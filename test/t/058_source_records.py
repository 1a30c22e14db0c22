#!/usr/bin/env python3
"""What a source makes of a change beside its formats: SQL expressions for filter, topic, key, value and headers, outbox tables, and
schemas."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg      # noqa: E402
import tap                # noqa: E402
import two_servers        # noqa: E402

pair = here = there = None


def test_expressions():
    """each expression, over all that it can name, at this server"""
    here.sql("CREATE TABLE items (id int PRIMARY KEY, customer text, price numeric, at timestamptz, tags text[], big text); ALTER TABLE items ALTER big SET STORAGE EXTERNAL;"
             "INSERT INTO items VALUES (1, 'ann', 1.50, '2026-01-31 12:00+00', '{a,b}', NULL);"
             "SELECT create_source('items', tables => ARRAY['items'], topic => 'all',"
             " key => 'coalesce(new.customer, old.id::text)',"
             " value => $$jsonb_build_object('row', to_jsonb(new), 'old', to_jsonb(old), 'op', op, 'cost', new.price * 2, 'day', new.at::date, 'first', new.tags[1],"
             " 'unchanged', unchanged, 'xid', xid IS NOT NULL, 'late', commit_ts <= clock_timestamp())$$,"
             " headers => $$jsonb_build_object('table', schema_name || '.' || table_name, 'lsn', lsn IS NOT NULL)$$,"
             " filter => 'op <> ''t'' AND new.price IS DISTINCT FROM 0',"
             " topic_expression => 'CASE WHEN new.price > 100 THEN ''dear'' END')")
    pair.wait_records("all", 1)
    here.sql("SET timezone = 'Asia/Kolkata'; INSERT INTO items VALUES (2, 'bob', 0, NULL, NULL, NULL); INSERT INTO items VALUES (3, 'cy', 200, NULL, NULL, repeat('x', 9000));"
             "UPDATE items SET price = 7 WHERE id = 3; UPDATE items SET id = 4 WHERE id = 1; DELETE FROM items WHERE id = 4; TRUNCATE items")
    pair.wait_records("all", 5)
    pair.wait_records("dear", 1)
    row = {"id": 1, "customer": "ann", "price": 1.50, "at": "2026-01-31T12:00:00+00:00", "tags": ["a", "b"], "big": None}
    found = [(k, json.loads(v), h) for k, v, h in pair.records("all")]
    for _, value, _ in found:
        if value["row"] and value["row"]["at"]:
            value["row"]["at"] = "at"
    row["at"] = "at"
    headers = {"table": "public.items", "lsn": "true"}
    tap.equal(found[0], ("ann", {"row": row, "old": None, "op": "r", "cost": 3.00, "day": "2026-01-31", "first": "a", "unchanged": [], "xid": False, "late": True},
                         headers), "a row of the snapshot")
    tap.equal((found[1][0], found[1][1]["unchanged"], found[1][1]["row"]["price"], found[1][1]["row"]["big"]), ("cy", ["big"], 7, None),
              "a value that was not sent is null, and named")
    tap.equal([(k, v["op"], v["row"] and v["row"]["id"], v["old"] and v["old"]["id"]) for k, v, _ in found[2:]],
              [("1", "d", None, 1), ("ann", "c", 4, None), ("4", "d", None, 4)], "a change of the key is two changes, and a delete has no new row")
    tap.equal(pair.records("dear")[0][0], "cy", "the topic is what the expression says, and else the template's")
    here.sql("SELECT drop_source('items')")


def test_kinds_of_values():
    """keys and values of several types; what is not given is as the format has it"""
    here.sql("CREATE TABLE kinds (id int PRIMARY KEY, t text, b bytea, j json); INSERT INTO kinds VALUES (1, 'text', '\\x00ff', '{\"a\":  1}');"
             "CREATE FUNCTION public.keyed(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'key ' || (SELECT max(oid) FROM pg_database WHERE oid = $1); END $$")
    for name, expression, as_bytes in (("bytea", "new.b", b"\x00\xff"), ("json", "new.j", b'{"a":  1}'), ("int", "new.id", b"1"), ("bool", "new.id = 1", b"t"),
                                       ("nothing", "NULL", None), ("literal", "'x'", b"x"), ("function", "public.keyed(new.id)", b"key 1")):
        here.sql("SELECT create_source('kind_%s', tables => ARRAY['kinds'], topic => 'kind_%s', key => $$%s$$, value => $$%s$$)" % (name, name, expression, expression))
        pair.wait_records("kind_" + name, 1)
        expected = "|" if as_bytes is None else "%s|%s" % (as_bytes.hex(), as_bytes.hex())
        tap.equal(here.sql("SELECT encode(key, 'hex'), encode(value, 'hex') FROM topics.kind_%s" % name), expected, name)
        here.sql("SELECT drop_source('kind_%s')" % name)
    here.sql("SELECT create_source('kind_part', tables => ARRAY['kinds'], topic => 'kind_part', headers => $$public.headers('h', new.t)$$)")
    pair.wait_records("kind_part", 1)
    here.sql("DELETE FROM kinds")
    pair.wait_records("kind_part", 3)
    found = pair.records("kind_part")
    tap.equal([(json.loads(k), v and json.loads(v)["op"], h) for k, v, h in found],
              [({"id": 1}, "r", {"h": "text"}), ({"id": 1}, "d", {"h": None}), ({"id": 1}, None, {"h": None})], "headers alone; the rest is Debezium's, the tombstone, too")
    here.sql("SELECT drop_source('kind_part')")


def test_remote():
    """columns of another server: types that are built in are these, all others text; and what is of no use here"""
    there.sql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN more AS positive; CREATE ROLE somebody;"
              "CREATE TABLE far (id int PRIMARY KEY, m mood, d more, c regclass, r regrole, n name, span int4range, doc jsonb, cash money);"
              "INSERT INTO far VALUES (1, 'sad', 5, 'far', 'somebody', 'x', '[1,5)', '{\"a\": [1, 2]}', 12.5)")
    here.sql("SELECT create_source('far', tables => ARRAY['far'], topic => 'far', connection => '%s', value => $$jsonb_build_object('m', upper(new.m), 'd', new.d + 1,"
             " 'c', new.c || '!', 'r', new.r || '!', 'span', upper(new.span), 'doc', new.doc->'a'->1, 'cash', pg_typeof(new.cash)::text, 'n', new.n)$$)" % pair.connection())
    pair.wait_records("far", 1)
    there.sql("UPDATE far SET id = 2")
    pair.wait_records("far", 3)
    row = {"m": "SAD", "d": 6, "c": "public.far!", "r": "somebody!", "span": 5, "doc": 2, "cash": "text", "n": "x"}
    values = [json.loads(v) for _, v, _ in pair.records("far")]
    tap.equal([values[0], values[2]], [row, row], "as they were found, and as they came")
    here.sql("SELECT drop_source('far')")


def test_checks():
    """expressions are checked when they are given, against each table"""
    here.sql("CREATE TABLE checked (id int PRIMARY KEY, t text)")
    create = "SELECT create_source('checked', tables => ARRAY['checked'], %s)"
    for options, pattern in (("key => 'new.nowhere'", r"(?s)column new.nowhere does not exist.*expression \"key\" of a source"),
                             ("key => 'new.'", "syntax error"), ("key => ''", "syntax error|one expression"), ("key => 'new.id, 1'", "must be one expression"),
                             ("key => 'new.id FROM pg_class'", "must be one expression"), ("key => 'new.id; SELECT 1'", "syntax error"), ("key => '*'", "must be one expression"),
                             ("value => 'new.*'", "(?s)has type record.*to_jsonb"), ("key => '(new).*'", "not supported here"),
                             ("value => 'new'", "(?s)has type record.*to_jsonb"), ("filter => 'new.id'", "argument of filter must be type boolean"),
                             ("headers => 'new.id'", "(?s)has type integer.*headers or jsonb"), ("value => '(SELECT 1)'", "subqueries"),
                             ("value => 'count(*)'", "aggregates"), ("value => 'generate_series(1, 2)'", "sets"), ("value => '$1'", "no parameter"),
                             ("key => 'keyed(new.id)'", "function keyed\\(integer\\) does not exist"), ("format => 'outbox'", "column new.aggregatetype does not exist"),
                             ("outbox => '{}'", "needs the format \"outbox\""), ("format => 'outbox', outbox => '{\"rout\": \"t\"}'", "(?s)invalid \"outbox\".*\"rout\""),
                             ("format => 'outbox', outbox => '{\"headers\": [1]}'", "invalid \"outbox\""), ("format => 'outbox', outbox => '[]'", "invalid \"outbox\"")):
        pair.refused(pattern, create % options, options)
    pair.refused("expressions are for tables", "SELECT create_source('checked', message_prefix => 'x', message_topics => ARRAY['x'], key => '1')", "messages have no row")
    there.sql("CREATE TABLE checked (id int PRIMARY KEY, t text); CREATE PUBLICATION checked FOR TABLE checked")
    for options in ("tables => ARRAY['checked']", "publication => 'checked'"):
        pair.refused("column new.nowhere does not exist", "SELECT create_source('checked', %s, key => 'new.nowhere', connection => '%s')" % (options, pair.connection()),
                     "at another server: " + options)
    here.sql(create % "topic => 'checked', key => 'new.id'")
    pair.streaming("checked")
    pair.refused("column new.nowhere does not exist", "SELECT alter_task('checked', '{\"key\": \"new.nowhere\"}')", "and when they are changed")
    here.sql("SELECT alter_task('checked', '{\"key\": \"new.t\"}'); INSERT INTO checked VALUES (1, 'k')")
    pair.wait_records("checked", 1)
    tap.equal(pair.records("checked")[0][0], "k", "a change counts")
    here.sql("SELECT alter_task('checked', '{\"key\": \"(1 / new.id)::text\"}'); INSERT INTO checked VALUES (0, 'zero')")
    pair.failing("checked", "division by zero", "an error of an expression stops the source")
    tap.matches(r"(?s)expression \"key\" of a source.*change of table \"public.checked\" at [0-9A-F]+/[0-9A-F]+ of source \"checked\"", here.log_text(),
                "and says which expression, which table, and where")
    here.sql("SELECT alter_task('checked', '{\"key\": \"new.id\"}')")
    pair.wait_records("checked", 2)
    here.sql("ALTER TABLE checked RENAME id TO ident; INSERT INTO checked VALUES (2, 'x')")
    pair.failing("checked", "column new.id does not exist", "a column that is gone stops it, too")
    here.sql("SELECT drop_source('checked')")


def test_key_out_of_line():
    """a key that was not sent, as it did not change, is in the old row"""
    here.sql("CREATE TABLE wide (k text PRIMARY KEY, n int); ALTER TABLE wide ALTER k SET STORAGE EXTERNAL;"
             "SELECT create_source('wide', tables => ARRAY['wide'], topic => 'wide', format => 'row')")
    pair.streaming("wide")
    here.sql("INSERT INTO wide VALUES (repeat('x', 2500), 1); UPDATE wide SET n = 2; UPDATE wide SET k = 'short'; DELETE FROM wide")
    pair.wait_records("wide", 5)
    tap.equal([(json.loads(k)["k"][:9], h["op"]) for k, _, h in pair.records("wide")],
              [("xxxxxxxxx", "c"), ("xxxxxxxxx", "u"), ("xxxxxxxxx", "d"), ("short", "c"), ("short", "d")], "an update is one, at the same key")
    here.sql("SELECT drop_source('wide')")


def test_path():
    """nobody's schema comes before pg_catalog, whatever the owner's path is"""
    here.sql("CREATE TABLE pathed (id int PRIMARY KEY); INSERT INTO pathed VALUES (1); CREATE SCHEMA evil;"
             "CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'$$; ALTER ROLE postgres SET search_path = evil, pg_catalog, public;"
             "SET search_path = evil, pg_catalog, public; SELECT create_source('pathed', tables => ARRAY['public.pathed'], topic => 'pathed', value => 'upper(''good'')')")
    pair.wait_records("pathed", 1)
    tap.equal(pair.records("pathed")[0][1], "GOOD", "names are found in pg_catalog")
    here.sql("ALTER ROLE postgres RESET search_path; SELECT drop_source('pathed'); DROP SCHEMA evil CASCADE")


def test_owner():
    """expressions run with the rights of the source's owner"""
    here.sql("CREATE ROLE mere LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO mere; GRANT ALL ON SCHEMA public, topics TO mere;"
             "GRANT EXECUTE ON FUNCTION create_source TO mere; CREATE TABLE secret AS SELECT 'secret' AS s;"
             "CREATE FUNCTION public.peek() RETURNS text LANGUAGE sql AS $$SELECT s FROM public.secret$$;"
             "CREATE FUNCTION public.who() RETURNS text LANGUAGE sql AS $$SELECT current_user || session_user$$;"
             "SET ROLE mere; CREATE TABLE mine (id int PRIMARY KEY); INSERT INTO mine VALUES (1)")
    here.sql("SET SESSION AUTHORIZATION mere; SELECT create_source('mine', tables => ARRAY['mine'], topic => 'mine', value => 'public.who()')")
    pair.wait_records("mine", 1)
    tap.equal(pair.records("mine")[0][1], "meremere", "as the owner, and nobody else")
    here.sql("SELECT alter_task('mine', '{\"value\": \"public.peek()\"}'); INSERT INTO mine VALUES (2)")
    pair.failing("mine", "permission denied for table secret", "what he may not read is an error, though a superuser has changed it")
    here.sql("CREATE FUNCTION public.judge(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'judged by %', current_user; END $$;"
             "CREATE DOMAIN public.judged AS int CHECK (public.judge(VALUE))")
    pair.refused("judged by mere", "SELECT alter_task('mine', '{\"value\": \"(''{1}''::public.judged[])::text\"}')", "what is called by the check of a constant is, too")
    here.sql("SET SESSION AUTHORIZATION mere; SELECT drop_source('mine')")


def test_password():
    """a plain user's source of another server: his password is required, and used, at each connection"""
    hba = os.path.join(there.data, "pg_hba.conf")
    with open(hba, encoding="utf8") as f:
        rules = f.read()

    def authenticate(how):
        with open(hba, "w", encoding="utf8") as f:
            f.write("local all secretive %s\n%s" % (how, rules))
        there.sql("SELECT pg_reload_conf()")

    authenticate("scram-sha-256")
    there.sql("CREATE ROLE secretive LOGIN REPLICATION PASSWORD 'opensesame'; GRANT CREATE ON DATABASE postgres TO secretive; CREATE TABLE theirs (id int PRIMARY KEY);"
              "ALTER TABLE theirs OWNER TO secretive; INSERT INTO theirs VALUES (1)")
    here.sql("CREATE ROLE humble LOGIN; GRANT EXECUTE ON FUNCTION create_source TO humble; GRANT ALL ON SCHEMA topics TO humble")
    create = "SET SESSION AUTHORIZATION humble; SELECT create_source('theirs', tables => ARRAY['theirs'], topic => 'theirs', connection => '%s')"
    pair.refused("password is required", create % pair.connection("secretive"), "none is given")
    pair.refused("password authentication failed", create % (pair.connection("secretive") + " password=wrong"), "a wrong one")
    here.sql(create % (pair.connection("secretive") + " password=opensesame"))
    pair.wait_records("theirs", 1)
    there.sql("INSERT INTO theirs VALUES (2)")
    pair.wait_records("theirs", 2)
    tap.equal(here.sql("SELECT tableowner FROM pg_tables WHERE schemaname = 'topics' AND tablename = 'theirs'"), "humble", "the topic is his")
    tap.equal(here.sql("SELECT definition ? 'connection' FROM tasks_status WHERE name = 'theirs'"), "f", "nobody is shown the password")
    pair.refused("password is required", "SET SESSION AUTHORIZATION humble; SELECT alter_task('theirs', '{\"connection\": \"%s\"}')" % pair.connection("secretive"),
                 "it cannot be left out later")
    authenticate("trust")
    there.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'pgtopic_theirs'")
    pair.failing("theirs", "asked for no password", "a server that does not ask for it is not read")
    authenticate("scram-sha-256")
    there.sql("INSERT INTO theirs VALUES (3)")
    here.sql("SELECT resume_task('theirs')")
    pair.wait_records("theirs", 3)
    here.sql("SELECT drop_source('theirs')")
    there.sql("DELETE FROM theirs")
    here.sql("SELECT create_source('given', tables => ARRAY['theirs'], topic => 'given', connection => '%s')" % pair.connection())
    pair.streaming("given")
    here.sql("SELECT alter_task_owner('given', 'humble')")
    pair.failing("given", "password is required", "a superuser's source without one does not run for a plain owner")
    here.sql("SELECT drop_source('given')")


def test_failover():
    """the slot is one that standbys keep, where the server has that"""
    there.sql("CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1)")
    create = "SELECT create_source('kept', tables => ARRAY['kept'], topic => 'kept', failover => true, connection => '%s')" % pair.connection()
    if int(there.sql("SELECT current_setting('server_version_num')")) < 170000:
        pair.refused("(?s)has no failover slots.*need PostgreSQL 17", create, "an older server has none")
        return
    here.sql(create)
    pair.wait_records("kept", 1)
    tap.equal(there.sql("SELECT failover FROM pg_replication_slots WHERE slot_name = 'pgtopic_kept'"), "t", "it is a failover slot")
    pair.refused("\"failover\" of source \"kept\" cannot be changed", "SELECT alter_task('kept', '{\"failover\": false}')", "and stays one")
    here.sql("SELECT drop_source('kept')")


def test_outbox():
    """an outbox table: routing, key, headers, payloads of three types; what is deleted or updated is no event"""
    there.sql("CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);"
              "INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'order', '17', 'OrderPlaced', '{\"n\": 1}')")
    here.sql("SELECT create_source('outbox', tables => ARRAY['outbox'], format => 'outbox', connection => '%s')" % pair.connection())
    pair.wait_records("outbox.event.order", 1)
    there.sql("BEGIN; INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'Käufer/x', '18', NULL, NULL); DELETE FROM outbox; COMMIT;"
              "INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', 'order', '19', 'x', '[]'); UPDATE outbox SET type = 'y'; TRUNCATE outbox;"
              "INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a14', 'order', '20', 'x', '1')")
    pair.wait_records("outbox.event.order", 3)
    tap.equal(pair.records("outbox.event.order"), [
        ("17", '{"n": 1}', {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "type": "OrderPlaced"}),
        ("19", "[]", {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13", "type": "x"}),
        ("20", "1", {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a14", "type": "x"})], "an insert is an event, and nothing else is")
    tap.equal(pair.records("outbox.event.K__ufer_x"), [("18", None, {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "type": None})], "a topic has a legal name")
    there.sql("INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a15', NULL, '21', 'x', '1')")
    pair.failing("outbox", "names no topic", "an event without a topic is an error")
    here.sql("SELECT drop_source('outbox')")
    there.sql("CREATE TABLE own_box (nr bigint PRIMARY KEY, \"To\" text, who int, body bytea, trace text); INSERT INTO own_box VALUES (1, 'x', 5, '\\x00ff', 'tr')")
    here.sql("SELECT create_source('own_box', tables => ARRAY['own_box'], format => 'outbox', topic => '{table}-{route}', connection => '%s',"
             " outbox => '{\"route\": \"To\", \"key\": \"who\", \"value\": \"body\", \"headers\": {\"traceparent\": \"trace\", \"nr\": \"nr\"}}')" % pair.connection())
    pair.wait_records("own_box-x", 1)
    tap.equal(here.sql("SELECT as_text(key), encode(value, 'hex'), headers_to_jsonb(headers) FROM topics.\"own_box-x\""),
              '5|00ff|[["nr", "1"], ["traceparent", "tr"]]', "other columns, bytes as they are")
    here.sql("SELECT drop_source('own_box')")


def test_outbox_updates():
    """an update of an outbox's row is no event, whatever it changes, and is told; with a filter of one's own it is what that says"""
    there.sql("CREATE TABLE updated (id int PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload text)")
    for identity in ("DEFAULT", "FULL"):
        there.sql("TRUNCATE updated; ALTER TABLE updated REPLICA IDENTITY %s" % identity)
        here.sql("SELECT create_source('updated', tables => ARRAY['updated'], format => 'outbox', topic => 'updated_%s', connection => '%s')" % (identity, pair.connection()))
        pair.streaming("updated")
        there.sql("INSERT INTO updated VALUES (1, 'x', 'a', 't', 'first'), (2, 'x', 'b', 't', 'second'); UPDATE updated SET payload = 'changed';"
                  "UPDATE updated SET id = 3 WHERE id = 1; DELETE FROM updated; INSERT INTO updated VALUES (4, 'x', 'c', 't', 'last')")
        pair.wait_records("updated_" + identity, 3)
        tap.equal([v for _, v, _ in pair.records("updated_" + identity)], ["first", "second", "last"], "%s: inserts are events" % identity)
        tap.ok(pair.wait_for("skipped", "SELECT state = 'running' AND skipped = 3 AND last_error ~ 'updated. was updated, which is no event' FROM tasks_status WHERE name = 'updated'"),
               "three updates are counted")
        tap.matches("WARNING:  source \"updated\" passes over an update of an outbox table", here.log_text(), "and the log says so")
        here.sql("SELECT drop_source('updated')")
    there.sql("TRUNCATE updated; ALTER TABLE updated REPLICA IDENTITY DEFAULT")
    here.sql("SELECT create_source('updated', tables => ARRAY['updated'], format => 'outbox', topic => 'updated_too', filter => 'op IN (''c'', ''u'')', connection => '%s')"
             % pair.connection())
    pair.streaming("updated")
    there.sql("INSERT INTO updated VALUES (1, 'x', 'a', 't', 'first'); UPDATE updated SET id = 2; UPDATE updated SET payload = 'second'; DELETE FROM updated")
    pair.wait_records("updated_too", 3)
    tap.equal([(v, h["id"]) for _, v, h in pair.records("updated_too")], [("first", "1"), ("first", "2"), ("second", "2")], "with a filter: each is one, also of the key")
    tap.equal(here.sql("SELECT skipped, errors FROM tasks_status WHERE name = 'updated'"), "0|0", "and nothing is told")
    here.sql("SELECT drop_source('updated')")


SCHEMA_TYPES = [    # type, SQL, Connect's type, its name, value
    ("bool", "true", "boolean", None, True), ("smallint", "1", "int16", None, 1), ("int", "2", "int32", None, 2), ("bigint", "3", "int64", None, 3),
    ("oid", "4", "int64", None, 4), ("real", "1.5", "float", None, 1.5), ("float8", "2.5", "double", None, 2.5), ("numeric(9,2)", "1.10", "string", None, "1.10"),
    ("text", "'x'", "string", None, "x"), ("bytea", "'\\x00ff'", "bytes", None, "AP8="), ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "string",
                                                                                          "io.debezium.data.Uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("jsonb", "'[1]'", "string", "io.debezium.data.Json", "[1]"), ("xml", "'<a/>'", "string", "io.debezium.data.Xml", "<a/>"),
    ("date", "'2026-01-31'", "int32", "io.debezium.time.Date", 20484), ("date", "'1969-12-31'", "int32", "io.debezium.time.Date", -1),
    ("time", "'12:00:01.5'", "int64", "io.debezium.time.MicroTime", 43201500000), ("time(3)", "'12:00:01.5'", "int32", "io.debezium.time.Time", 43201500),
    ("timetz", "'01:00:01.5+05:30'", "string", "io.debezium.time.ZonedTime", "19:30:01.5Z"),
    ("timestamp", "'2026-01-31 12:00:00.000001'", "int64", "io.debezium.time.MicroTimestamp", 1769860800000001),
    ("timestamp(3)", "'1969-12-31 23:59:59.999'", "int64", "io.debezium.time.Timestamp", -1),
    ("timestamp", "'infinity'", "int64", "io.debezium.time.MicroTimestamp", 9223372036825200000),
    ("timestamptz", "'2026-01-31 12:00:00.25+05:30'", "string", "io.debezium.time.ZonedTimestamp", "2026-01-31T06:30:00.25Z"),
    ("timestamptz", "'-infinity'", "string", "io.debezium.time.ZonedTimestamp", "-infinity"),
    ("interval", "'1 mon 1 day 2 hours'", "int64", "io.debezium.time.MicroDuration", 2629800000000 + 26 * 3600 * 1000000), ("mood", "'sad'", "string", None, "sad"),
    ("ms", "'2026-01-31 12:00:00.123'", "int64", "io.debezium.time.Timestamp", 1769860800123),
    ("more_ms", "'2026-01-31 12:00:00.123'", "int64", "io.debezium.time.Timestamp", 1769860800123),
    ("us", "'2026-01-31 12:00:00.123'", "int64", "io.debezium.time.MicroTimestamp", 1769860800123000),
    ("tod", "'12:00:01.5'", "int32", "io.debezium.time.Time", 43201500)]


def column_schema(name, number, array=False):
    _, _, kind, meaning, _ = SCHEMA_TYPES[number]
    named = dict({"name": meaning, "version": 1} if meaning else {})
    if array:
        return {"type": "array", "items": dict(named, type=kind, optional=True), "optional": True, "field": name}
    return dict(named, type=kind, optional=True, field=name)


def test_schemas():
    """schemas beside keys and values, of each type, and values as they say; rows of which only the key is known have all their columns"""
    here.sql("CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN ms AS timestamp(3); CREATE DOMAIN more_ms AS ms; CREATE DOMAIN us AS timestamp; CREATE DOMAIN tod AS time(2);"
             "CREATE DOMAIN ms_list AS timestamp(3)[]")
    columns = ", ".join("c%d %s" % (n, entry[0]) for n, entry in enumerate(SCHEMA_TYPES))
    arrays = {13: "date[]", 18: "timestamp[]", 8: "text[]", 25: "ms_list"}
    here.sql("CREATE TABLE described (id bigint PRIMARY KEY, %s, %s, n int NOT NULL, s text NOT NULL, t timestamptz NOT NULL);"
             % (columns, ", ".join("a%d %s" % item for item in arrays.items())))
    values = "%s, %s, 7, 's', '2026-01-31 12:00+00'" % (", ".join(entry[1] for entry in SCHEMA_TYPES), ", ".join("ARRAY[%s]::%s" % (SCHEMA_TYPES[n][1], kind)
                                                                                                             for n, kind in arrays.items()))
    here.sql("INSERT INTO described VALUES (1, %s); SELECT create_source('described', tables => ARRAY['described'], topic => 'described', schemas => true);"
             "SELECT create_source('flat', tables => ARRAY['described'], topic => 'flat', format => 'row', schemas => true)" % values)
    pair.wait_records("described", 1)
    pair.wait_records("flat", 1)
    here.sql("INSERT INTO described VALUES (2, %s); DELETE FROM described WHERE id = 1" % values)
    pair.wait_records("described", 4)
    fields = [{"type": "int64", "optional": False, "field": "id"}] + [column_schema("c%d" % n, n) for n in range(len(SCHEMA_TYPES))] \
        + [column_schema("a%d" % n, n, True) for n in arrays] \
        + [{"type": "int32", "optional": False, "field": "n"}, {"type": "string", "optional": False, "field": "s"},
           {"type": "string", "optional": False, "name": "io.debezium.time.ZonedTimestamp", "version": 1, "field": "t"}]
    row = dict([("c%d" % n, entry[4]) for n, entry in enumerate(SCHEMA_TYPES)] + [("a%d" % n, [SCHEMA_TYPES[n][4]]) for n in arrays], n=7, s="s", t="2026-01-31T12:00:00Z")
    found = [(json.loads(k), v and json.loads(v)) for k, v, _ in pair.records("described")]
    key = {"type": "struct", "fields": fields[:1], "optional": False, "name": "described.public.described.Key"}
    tap.equal(found[0][0], {"schema": key, "payload": {"id": 1}}, "the key")
    for number, (_, value) in enumerate(found[:2]):
        schema = value["schema"]
        parts = {field["field"]: field for field in schema["fields"]}
        what = ("as it was found", "as it came")[number]
        tap.equal((schema["type"], schema["name"], schema["version"], schema["optional"], list(parts)),
                  ("struct", "described.public.described.Envelope", 1, False, ["before", "after", "source", "op", "ts_ms", "transaction"]), what + ": the envelope")
        for part in ("before", "after"):
            tap.equal(parts[part], {"type": "struct", "fields": fields, "optional": True, "name": "described.public.described.Value", "field": part}, what + ": " + part)
        tap.equal(sorted(f["field"] for f in parts["source"]["fields"]), sorted(value["payload"]["source"]), what + ": the source has the fields that its schema says")
        tap.equal(value["payload"]["after"], dict(row, id=number + 1), what + ": values")
    tap.equal(found[2][1]["payload"]["before"], dict({name: None for name in row}, id=1, n=0, s="", t="1970-01-01T00:00:00Z"), "a row of which the key is known")
    tap.equal(found[3], (found[2][0], None), "a tombstone is one")
    flat = json.loads(pair.records("flat")[0][1])
    tap.equal((flat["schema"], flat["payload"]), ({"type": "struct", "fields": fields, "optional": False, "name": "flat.public.described.Value"}, dict(row, id=1)), "rows")
    here.sql("CREATE TABLE mirrored (id bigint PRIMARY KEY, c2 int, c13 date, c18 timestamp, n int); SELECT create_sink('mirrored', 'described', 'public.mirrored', mode => 'mirror')")
    tap.ok(pair.wait_for("the mirror", "SELECT (id, c2, c13, c18, n)::text = '(2,2,2026-01-31,\"2026-01-31 12:00:00.000001\",7)' FROM mirrored"), "a mirror reads them")
    here.sql("SELECT drop_sink('mirrored'); SELECT drop_source('described'); SELECT drop_source('flat')")


pg.demote()
pair = two_servers.Pair()
here, there = pair.here, pair.there
tap.main([test_expressions, test_kinds_of_values, test_remote, test_checks, test_key_out_of_line, test_path, test_owner, test_outbox, test_outbox_updates, test_schemas, test_password, test_failover])
