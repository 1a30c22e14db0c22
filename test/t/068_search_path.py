#!/usr/bin/env python3
"""Code of users that workers run finds nothing that others have put into schemas of somebody's search_path.

A role that may create in schema public, which all sessions look into, makes operators that fit better than PostgreSQL's.
They tell the log as whom they are called."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

server = None

# varchar = varchar is text = text, unless somebody makes one that fits better; evil's come before pg_catalog.
SHADOWS = """
SET ROLE mallory;
CREATE FUNCTION public.tells_v(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN RAISE LOG 'mallory is %', current_user; RETURN true; END $$;
CREATE OPERATOR public.= (FUNCTION = public.tells_v, LEFTARG = varchar, RIGHTARG = varchar);
CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.tells(text, text) RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN RAISE LOG 'mallory is %', current_user; RETURN true; END $$;
CREATE OPERATOR evil.= (FUNCTION = evil.tells, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.= (FUNCTION = public.tells_v, LEFTARG = varchar, RIGHTARG = varchar);
RESET ROLE;
"""

SETUP = """
CREATE EXTENSION pgtopic;
CREATE ROLE owner; CREATE ROLE mallory;
GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT USAGE ON SCHEMA topics TO PUBLIC; GRANT CREATE ON DATABASE postgres TO mallory;
SELECT create_topic('triggered'), create_topic('checked'), create_topic('indexed');
CREATE FUNCTION public.mine(b bytea) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RETURN encode(b, 'escape')::varchar = 'mine'::varchar; END $$;
CREATE FUNCTION public.on_insert() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF encode(NEW.value, 'escape')::varchar = 'mine'::varchar THEN NEW.key = 'mine'; END IF; RETURN NEW; END $$;
CREATE FUNCTION public.on_command() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN IF tg_tag::varchar = 'nothing'::varchar THEN RAISE LOG 'on_command was led astray'; END IF; RAISE LOG 'on_command as %', current_user; END $$;
CREATE TRIGGER t BEFORE INSERT ON topics.triggered FOR EACH ROW EXECUTE FUNCTION public.on_insert();
ALTER TABLE topics.checked ADD CHECK (value IS NULL OR public.mine(value) IS NOT NULL);
CREATE INDEX ON topics.indexed (public.mine(value));
"""

OWNED = "".join("ALTER TABLE topics.%s OWNER TO owner; ALTER TABLE topics.\"%s#0\" OWNER TO owner; GRANT INSERT, SELECT ON topics.%s TO PUBLIC;" % ((t,) * 3)
                for t in ("triggered", "checked", "indexed"))


def stolen():
    return [line.split("mallory is ")[1] for line in server.log_text().splitlines() if "mallory is " in line]


def test_start():
    global server
    server = pg.Cluster().init().start()
    server.sql(SETUP)
    server.sql(OWNED)
    server.sql(SHADOWS)
    server.wait_listener()
    server.sql("SELECT 'a'::varchar = 'b'::varchar")
    tap.equal(stolen(), ["postgres"], "the shadow works where it is found")


def test_produce():
    """triggers, constraints and indexes of what clients produce"""
    before = len(stolen())
    with rawtest.connect(server) as client:
        for topic in ("triggered", "checked", "indexed"):
            tap.equal(rawtest.produce(client, topic, "mine", "other"), (0, 0), "topic " + topic)
    tap.equal(stolen()[before:], [], "nothing of mallory's was called")
    tap.equal(server.sql("SELECT string_agg(coalesce(convert_from(key, 'UTF8'), '-'), ' ' ORDER BY \"offset\") FROM topics.triggered"), "mine -",
              "but what the trigger means")
    server.sql("ALTER FUNCTION public.on_insert() SET search_path = public")
    with rawtest.connect(server) as client:
        tap.equal(rawtest.produce(client, "triggered", "other"), (0, 2), "a function with a path of its own")
    tap.equal(stolen()[before:], ["owner"], "finds what is there")


def test_index_in_sql():
    """a session that may write does not choose what an index's function calls as the owner"""
    before = len(stolen())
    server.sql("SET ROLE mallory; SET search_path = evil, pg_catalog, public; INSERT INTO topics.indexed (partition, value) VALUES (0, 'x')")
    tap.equal([who for who in stolen()[before:] if who != "mallory"], [], "nothing of mallory's was called with the rights of another")
    server.sql("SET search_path = evil, pg_catalog, public; SELECT count(*) FROM verify_partition('indexed:0', deep => true)")
    tap.equal([who for who in stolen()[before:] if who == "owner"], [], "nor when it is verified")


def test_commands():
    """event triggers of commands that clients give, and of the first commit of an offset"""
    server.sql("CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION public.on_command()")
    before = len(stolen())
    with rawtest.connect(server) as client:
        answer = client.call("CreateTopics", 5, {"Topics": [{"Name": "made", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 60000})
        tap.equal(answer["Topics"][0]["ErrorCode"], 0, "CreateTopics")
        answer = client.call("CreatePartitions", 1, {"Topics": [{"Name": "made", "Count": 2, "Assignments": None}], "TimeoutMs": 60000})
        tap.equal(answer["Results"][0]["ErrorCode"], 0, "CreatePartitions")
        answer = client.call("DeleteTopics", 5, {"TopicNames": ["made"], "TimeoutMs": 60000})
        tap.equal(answer["Responses"][0]["ErrorCode"], 0, "DeleteTopics")
    tap.equal(stolen()[before:], [], "nothing of mallory's was called")
    tap.equal(server.sql("SELECT to_regclass('topics.\"__consumer_offsets\"')"), "", "nobody has committed an offset so far")
    server.sql("SET ROLE mallory; SET search_path = evil, pg_catalog, public; SELECT commit_offsets('g', 'indexed:0', 1)")
    tap.equal([who for who in stolen()[before:] if who != "mallory"], [], "nor with the rights of the schema's owner")
    tap.ok("on_command as postgres" in server.log_text(), "as which the event trigger has run")
    server.sql("DROP EVENT TRIGGER e")


def test_path():
    """a path of the database that leads through schemas of others"""
    server.set(search_path="evil, pg_catalog, public").restart()
    server.wait_listener()
    before = len(stolen())
    server.sql("ALTER FUNCTION public.on_insert() RESET ALL")
    with rawtest.connect(server) as client:
        for topic in ("triggered", "checked", "indexed"):
            tap.equal(rawtest.produce(client, topic, "more")[0], 0, "topic " + topic)
    tap.equal(stolen()[before:], [], "nothing of mallory's was called")
    server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC; SET search_path = public; DROP FUNCTION public.tells_v(varchar, varchar) CASCADE;"
               "CREATE OR REPLACE FUNCTION public.on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM produce('checked', 'found'); RETURN NEW; END $$")
    with rawtest.connect(server) as client:
        tap.equal(rawtest.produce(client, "triggered", "last")[0], 0, "where nobody else may create, names need no schema")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_produce, test_index_in_sql, test_commands, test_path])
