#!/usr/bin/env python3
"""As which role Kafka clients act that do not authenticate themselves, and that open connections notice when it changes."""

import os
import select
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

server = None

EMPTY = 'connections without authentication have no role; set "pgtopic.plaintext_role" to allow them'
MISSING = 'role "nobody_here" of "pgtopic.plaintext_role" does not exist'
TOO_MANY = 'too many connections for role "few"'
SUPERUSER = 'role "%s" of "pgtopic.plaintext_role" is a superuser'


def lines(text):
    return server.log_text().count(text)


def served(client):
    return client.call("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})["ErrorCode"] == 0


def refused(what, why):
    before = lines(why)
    with rawtest.connect(server) as client:
        client.send("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})
        tap.ok(rawtest.ends(client), what + ": a connection is closed at its first request")
    deadline = time.monotonic() + 60
    while lines(why) == before and time.monotonic() < deadline:     # the log has a few such lines a second, and counts the others
        time.sleep(0.2)
        with rawtest.connect(server) as client:
            client.send("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})
            rawtest.ends(client)
    tap.ok(lines(why) > before, what + ": the log says why, and what to do")


def set_role(role):
    server.set(pgtopic__plaintext_role=role).reload()
    tap.equal(server.wait_for("SHOW pgtopic.plaintext_role", role), role, "pgtopic.plaintext_role is \"%s\"" % role)


def acting(count=1):
    """The roles of the connections that have asked something."""
    return server.wait_for("SELECT count(*) FROM clients WHERE requests > 0", str(count)) and \
        server.sql("SELECT DISTINCT role FROM clients WHERE requests > 0")


def ends_now(client):
    """Has the server closed the connection by now?"""
    readable, _, _ = select.select([client.socket], [], [], 0)
    return bool(readable) and rawtest.ends(client)


def wait_until(get, want):
    deadline = time.monotonic() + 60
    while get() != want and time.monotonic() < deadline:
        time.sleep(0.05)
    return get()


def test_start():
    global server
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.equal(server.sql("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'pgtopic_admin'"), "f|f",
              "pgtopic_admin is a role as which nobody logs in")
    with rawtest.connect(server) as client:
        tap.ok(served(client), "a client is served")
        tap.equal(acting(), "kafka", "as the role of the setting")


def test_admin_role():
    """the extension makes its role where there is none, and leaves one that is there alone"""
    other = pg.Cluster("bare").init(roles=False).start()
    other.sql("CREATE EXTENSION pgtopic; DROP EXTENSION pgtopic; CREATE EXTENSION pgtopic")
    tap.equal(other.sql("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'pgtopic_admin'"), "f|f", "made by the extension")
    tap.equal(other.sql("SELECT has_schema_privilege('pgtopic_admin', 'topics', 'CREATE')"), "t", "it may create topics")
    other.stop("immediate")


def test_refused():
    """no role, none of that name, a superuser"""
    with rawtest.connect(server) as client:
        tap.ok(served(client), "a connection is open")
        set_role("")
        tap.ok(rawtest.ends(client), "it ends by itself when the setting is empty")
    refused("empty", EMPTY)
    tap.equal(server.sql("SELECT count(*) FROM consumer_groups"), "0", "SQL asks the control worker all the same")
    set_role("nobody_here")
    refused("missing", MISSING)
    server.sql("CREATE ROLE nobody_here")
    with rawtest.connect(server) as client:
        tap.ok(served(client), "a role that has been made serves, also NOLOGIN")
        server.sql("ALTER ROLE nobody_here SUPERUSER")
        tap.ok(rawtest.ends(client), "one that becomes a superuser does not")
    refused("superuser", SUPERUSER % "nobody_here")
    server.sql("ALTER ROLE nobody_here NOSUPERUSER")
    with rawtest.connect(server) as client:
        tap.ok(served(client), "one that is none any more does")
        server.sql("DROP ROLE nobody_here")
        tap.ok(rawtest.ends(client), "a connection ends when its role is dropped")
    refused("dropped", MISSING)
    set_role("postgres")
    refused("the first superuser", SUPERUSER % "postgres")


def test_change():
    """open connections act as the new role, in every worker"""
    set_role("kafka")
    server.sql("CREATE ROLE other IN ROLE pgtopic_admin")
    with rawtest.connect(server) as client, rawtest.connect(server) as member:
        tap.ok(served(client), "a connection is open")
        member.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})
        tap.equal(member.call("Heartbeat", 3, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})["ErrorCode"], 25,
                  "another one asks the control worker")
        tap.equal(acting(2), "kafka", "both as one role")
        set_role("other")
        tap.ok(served(client), "it is served when the role has changed")
        tap.equal(member.call("Heartbeat", 3, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})["ErrorCode"], 25, "and the other one")
        tap.equal(server.wait_for("SELECT string_agg(role, ' ') FROM clients WHERE requests > 0", "other other"), "other other",
                  "as the new role")
        server.sql("ALTER ROLE other RENAME TO renamed")
        tap.ok(rawtest.ends(client), "a setting that names no role any more ends it")
        tap.ok(rawtest.ends(member), "also in the control worker")
    set_role("kafka")


def test_limit():
    """CONNECTION LIMIT of the role counts those that have not authenticated themselves"""
    server.sql("CREATE ROLE few IN ROLE pgtopic_admin CONNECTION LIMIT 2")
    set_role("few")
    with rawtest.connect(server) as first:
        with rawtest.connect(server) as second:
            tap.ok(served(first) and served(second), "two are served")
            first.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})
            tap.equal(first.call("Heartbeat", 3, {"GroupId": "g", "GenerationId": 1, "MemberId": "m"})["ErrorCode"], 25,
                      "what they ask of other workers is none more")
            refused("a third", TOO_MANY)
            server.sql("ALTER ROLE few CONNECTION LIMIT 1")
            tap.ok(served(first) and served(second), "a lower limit leaves those that are there")
        refused("a second", TOO_MANY)
        server.sql("ALTER ROLE few CONNECTION LIMIT -1")
        with rawtest.connect(server) as second, rawtest.connect(server) as third:
            tap.ok(served(second) and served(third), "none: any number")
            server.sql("CREATE ROLE one CONNECTION LIMIT 1")
            set_role("one")
            open_ones = wait_until(lambda: [ends_now(client) for client in (first, second, third)].count(False), 1)
            tap.equal(open_ones, 1, "they become those of another role, as many as it may have")
    set_role("kafka")


def test_long_poll():
    """who waits for records is closed, too"""
    server.sql("SELECT create_topic('quiet')")
    with rawtest.connect(server) as client:
        client.send("Fetch", 11, rawtest.fetch_body(["quiet"], wait_ms=600000))
        tap.equal(server.wait_for("SELECT api FROM clients WHERE requests > 0", "Fetch"), "Fetch", "a client waits for records")
        set_role("")
        tap.ok(rawtest.ends(client), "its connection ends amid that")
    set_role("kafka")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_admin_role, test_refused, test_change, test_limit, test_long_poll])
