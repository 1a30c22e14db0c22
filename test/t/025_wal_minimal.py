#!/usr/bin/env python3
"""wal_level = minimal: the server leaves out WAL of files that a transaction has made, and appends go into such files."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

PAGE = 8192
server = None
# records n .. m of a topic, in batches that leave their last page partly filled
FILL = "SELECT append('%s:0', repeat(i::text || ' ', 40), i::text) FROM generate_series(%d, %d) i"
STATE = ("SELECT log_start(partition('%s', 0)), log_end(partition('%s', 0)), count(*), min(as_text(key)::int), max(as_text(key)::int)"
         " FROM topics.%s")


def lose_file(topic, torn=True):
    """What a loss of power may do to a file that nobody has asked to be synced: pages are half there, or not at all."""
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('topics.\"%s#0\"')" % topic))
    server.kill9()
    with open(path, "r+b") as f:
        if torn:
            for page in range(os.path.getsize(path) // PAGE):
                f.seek(page * PAGE)
                if any(f.read(PAGE)):
                    f.seek(page * PAGE + PAGE // 2)
                    f.write(b"\x55" * (PAGE // 2))
        else:
            f.truncate(0)
    server.start()
    server.wait_up()


def check(topic, expected, what):
    tap.equal(server.rows(STATE % (topic, topic, topic)), [expected.split()], what)
    tap.equal(server.sql("SELECT append('%s:0', 'more')" % topic), expected.split()[1], "and it goes on")


def test_set_tablespace():
    """ALTER TABLE SET TABLESPACE and appends in one transaction"""
    global server
    server = pg.Cluster("main", {"wal_level": "minimal", "max_wal_senders": 0, "fsync": "on", "checkpoint_timeout": "1h"}).init().start()
    space = os.path.join(server.dir, "space")
    os.mkdir(space)
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('moved'), create_topic('cut')")
    server.sql("CREATE TABLESPACE space LOCATION '%s'" % space)
    for topic in ("moved", "cut"):
        server.sql("CHECKPOINT;" + FILL % (topic, 0, 9))
        server.sql("BEGIN; ALTER TABLE topics.\"%s#0\" SET TABLESPACE space; %s; COMMIT" % (topic, FILL % (topic, 10, 19)))
        lose_file(topic, torn=topic == "moved")
        check(topic, "0 20 20 0 19", "the file is complete again")


def test_new_extents():
    """the same with new extents and more than one transaction's worth of pages"""
    server.sql("SELECT create_topic('extents'); CHECKPOINT;" + FILL % ("extents", 0, 9))
    server.sql("SET wal_skip_threshold = '1GB'; BEGIN; ALTER TABLE topics.\"extents#0\" SET TABLESPACE space;"
               + FILL % ("extents", 10, 9999) + "; COMMIT")
    lose_file("extents")
    check("extents", "0 10000 10000 0 9999", "the file is complete again")


def test_new_files():
    """a topic that is made, emptied or copied by the transaction"""
    server.sql("BEGIN; SELECT create_topic('made');" + FILL % ("made", 0, 9) + "; COMMIT")
    lose_file("made")
    check("made", "0 10 10 0 9", "made")
    server.sql("SELECT create_topic('emptied');" + FILL % ("emptied", 0, 9))
    server.sql("BEGIN; TRUNCATE topics.emptied;" + FILL % ("emptied", 10, 19) + "; COMMIT")
    lose_file("emptied")
    check("emptied", "10 20 10 10 19", "emptied")
    server.sql("SELECT create_topic('copied');" + FILL % ("copied", 0, 9))
    server.sql("VACUUM FULL topics.copied")
    lose_file("copied")
    check("copied", "0 10 10 0 9", "copied")


def test_rolled_back():
    """savepoints: the file that the transaction ends with"""
    server.sql("SELECT create_topic('back'); CHECKPOINT;" + FILL % ("back", 0, 9))
    server.sql("BEGIN; SAVEPOINT a; ALTER TABLE topics.\"back#0\" SET TABLESPACE space;" + FILL % ("back", 10, 19)
               + "; ROLLBACK TO a; " + FILL % ("back", 10, 14) + "; COMMIT")
    server.kill9()
    server.start()
    server.wait_up()
    check("back", "0 15 15 0 14", "rolled back")
    server.sql("BEGIN; ALTER TABLE topics.\"back#0\" SET TABLESPACE space; SAVEPOINT a;" + FILL % ("back", 16, 30)
               + "; ROLLBACK TO a; " + FILL % ("back", 16, 19) + "; DELETE FROM topics.back WHERE false; COMMIT")
    lose_file("back")
    tap.equal(server.sql("SELECT count(*), max(as_text(key)::int) FROM topics.back"), "20|19", "moved, and rolled back behind that")


pg.demote()
tap.main([test_set_tablespace, test_new_extents, test_new_files, test_rolled_back])
