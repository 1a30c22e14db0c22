#!/usr/bin/env python3
"""Transactions that the server has forgotten: their xids are still in idle logs and in the states of these."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

SEGMENT = 32 * 8192 * 4     # xids in one file of pg_xact
server = None


def segments():
    return sorted(os.listdir(os.path.join(server.data, "pg_xact")))


def test_forget():
    """xids of the last appends are forgotten, while the server runs"""
    global server
    server = pg.Cluster("main", {"autovacuum": "off", "max_prepared_transactions": 5}).init()
    # the next xids are the last ones of the third segment
    with open(os.path.join(server.data, "pg_xact", "0002"), "wb") as f:
        f.write(bytes(SEGMENT // 4))
    server.run("pg_resetwal", "-x", str(3 * SEGMENT - 300), "-D", server.data)
    server.start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('aborted'), create_topic('kept');"
               "SELECT produce(t, 'first') FROM unnest('{aborted,kept}'::topic[]) t")
    server.sql("BEGIN; SELECT append('aborted:0', 'never'); ROLLBACK")
    server.sql("BEGIN; SELECT append('kept:0', 'second'); PREPARE TRANSACTION 'p'")
    server.sql("COMMIT PREPARED 'p'")
    tap.ok("0002" in segments(), "there are such xids (%s)" % segments())
    server.sql("DO $$ BEGIN FOR i IN 1 .. 400 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    server.sql("ALTER DATABASE template0 ALLOW_CONNECTIONS true")
    for _ in range(2):
        server.run("vacuumdb", "--all", "--freeze", "--quiet")
    tap.ok("0002" not in segments(), "the server has forgotten them (%s)" % segments())


def test_go_on():
    """all works as if it still knew"""
    tap.equal(server.sql("SELECT append('aborted:0', 'second')"), "1", "append")
    server.sql("BEGIN; SELECT append('kept:0', 'third'); PREPARE TRANSACTION 'p'")
    server.sql("COMMIT PREPARED 'p'")
    tap.equal(server.rows("SELECT topic, log_end(partition(topic, 0)) FROM unnest('{aborted,kept}'::topic[]) topic"),
              [["aborted", "2"], ["kept", "3"]], "COMMIT PREPARED, log_end")
    tap.equal(server.sql("SELECT \"offset\" FROM seek('g', 'aborted', 'end')"), "2", "seek")
    tap.equal(server.sql("SELECT lag FROM group_lag"), "0", "group_lag")
    for topic, values in (("aborted", "first second"), ("kept", "first second third")):
        tap.equal(server.sql("SELECT string_agg(as_text(value), ' ' ORDER BY \"offset\") FROM topics.%s" % topic), values,
                  "records of " + topic)


pg.demote()
tap.main([test_forget, test_go_on])
