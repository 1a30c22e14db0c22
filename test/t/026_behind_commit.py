#!/usr/bin/env python3
"""An error behind the commit of a transaction that deletes records: what it had locked is free again."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

MAGIC = 24              # byte of the meta page where its magic number is
META = ("SELECT count(*) FROM pg_buffercache WHERE relforknumber = 0 AND relblocknumber = 0"
        " AND relfilenode = pg_relation_filenode('topics.\"late#0\"')")
server = None


def evict_meta():
    """Reads other tables until the meta page is in no buffer."""
    for _ in range(100):
        if server.sql(META) == "0":
            return
        server.sql("DO $$ BEGIN FOR i IN 1 .. 20 LOOP EXECUTE 'SELECT count(*) FROM filler_' || i; END LOOP; END $$")
    raise RuntimeError("the meta page stays in its buffer")


def damage_meta():
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('topics.\"late#0\"')"))
    with open(path, "r+b") as f:
        f.seek(MAGIC)
        f.write(b"none")


def wait_for(query):
    deadline = time.monotonic() + 120
    while server.sql(query) != "t":
        if time.monotonic() > deadline:
            raise RuntimeError("not true: " + query)
        time.sleep(0.05)


def error(run):
    try:
        return run()
    except pg.SqlError as e:
        return str(e)


def test_error_behind_commit():
    """the meta page is damaged while the commit waits for a standby"""
    global server
    server = pg.Cluster("main", {"shared_buffers": "1MB", "autovacuum": "off"}, listener=False).init()
    server.run("pg_checksums", "--disable", "-D", server.data)
    server.start()
    server.sql("CREATE EXTENSION pgtopic; CREATE EXTENSION pg_buffercache; SELECT create_topic('late'), create_topic('other');"
               "SELECT produce('late', i::text) FROM generate_series(1, 10) i;"
               "DO $$ BEGIN FOR i IN 1 .. 20 LOOP"
               " EXECUTE 'CREATE TABLE filler_' || i || ' AS SELECT repeat(md5(j::text), 60) FROM generate_series(1, 80) j';"
               " END LOOP; END $$; CHECKPOINT")
    server.set(synchronous_standby_names="nobody", synchronous_commit="on")
    server.reload()
    wait_for("SELECT setting = 'nobody' FROM pg_settings WHERE name = 'synchronous_standby_names'")
    session = server.session()
    session.sql("BEGIN")
    session.sql("INSERT INTO filler_1 VALUES ('a commit that waits')")
    session.sql("SELECT delete_records('late:0', 5)")
    session.send("COMMIT")
    wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    evict_meta()
    damage_meta()
    server.set(synchronous_standby_names="")
    server.reload()
    tap.matches("records before offset 5 were not deleted: .*is not the log of a topic", session.answer(), "the commit warns")
    tap.matches("is not the log of a topic", session.sql("SELECT count(*) FROM topics.late"), "the session can look at the page")
    tap.equal(session.sql("SELECT append('other:0', 'x')"), "0", "and goes on")
    tap.matches("is not the log of a topic", error(lambda: server.sql("SELECT count(*) FROM topics.late")), "and so can others")
    session.close()
    server.stop()
    leaks = [line for line in server.log_text().split("\n")
             if "refcount leak" in line or "resource was not closed" in line or "PANIC" in line]
    tap.equal(leaks, [], "nothing is left behind")


pg.demote()
tap.main([test_error_behind_commit])
