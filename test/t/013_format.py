#!/usr/bin/env python3
"""What the format promises to those who come later: decoding, compaction, other builds."""

import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

# Of the meta page: where its fields begin, and the fields (src/log/page.h, PtMetaPage).
META = 24
VERSION, EXTENT_BLOCKS = META + 4, META + 8


def test_decoding():
    """a META record, which comes behind the commit, does not bring the transaction back"""
    server = pg.Cluster("decoding", {"wal_level": "logical"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'); CREATE TABLE plain (i int)")
    server.sql("SELECT pg_create_logical_replication_slot('slot', 'test_decoding')")
    server.sql("INSERT INTO topics.t (value) VALUES ('a'), ('b')")
    server.sql("BEGIN; INSERT INTO plain VALUES (1); SELECT delete_records('t:0', 1); COMMIT")
    server.sql("CHECKPOINT; INSERT INTO plain VALUES (2)")
    changes = server.sql("SET log_min_messages = debug2;"
                         "SELECT data FROM pg_logical_slot_get_changes('slot', NULL, NULL) WHERE data LIKE 'table public.%'")
    tap.equal(changes.split("\n"), ["table public.plain: INSERT: i[integer]:%d" % i for i in (1, 2)], "tables are decoded")
    tap.ok("aborting old transaction" not in server.log_text(), "no transaction is left over")
    server.stop()


def test_stitching():
    """an APPEND record that begins amid a frame says so"""
    server = pg.Cluster("stitching").init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE EXTENSION pg_walinspect;"
               "SELECT create_topic('t', config => '{\"max.message.bytes\": \"10000000\"}')")
    start = server.sql("SELECT pg_current_wal_lsn()")
    server.sql("SELECT append('t:0', repeat('x', 600000))")
    found = server.sql("SELECT description FROM pg_get_wal_records_info('%s', pg_current_wal_flush_lsn()) "
                       "WHERE resource_manager = 'pgtopic' AND record_type = 'APPEND' ORDER BY start_lsn" % start).split("\n")
    amid = [line.split("amid a frame, ")[1].split(" of ") if "amid" in line else None for line in found]
    tap.equal(amid[0], None, "the first begins with a frame")
    tap.ok(len(amid) > 1 and all(amid[1:]), "all others go on with one")
    done, whole = [int(pair[0]) for pair in amid[1:]], {int(pair[1]) for pair in amid[1:]}
    tap.ok(done == sorted(done) and len(whole) == 1 and 600000 < min(whole) < 601000 and max(done) < min(whole),
           "how much of how much: %s of %s" % (done, whole))
    server.stop()


def test_compacted():
    """a batch that has lost records takes as many ordinals as offsets: TIDs are given once, also after a restart"""
    server = pg.Cluster("compacted").init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t');"
               "CREATE FUNCTION append_batch(regclass, bytea) RETURNS void AS 'pgtopic', 'pt_test_append_batch' LANGUAGE C")
    batch = raw.Batch([(None, "a"), (None, "b")], last_offset_delta=9).encode()
    server.sql("SELECT append('t:0', 'first'::text); SELECT append_batch('topics.\"t#0\"', '\\x%s')" % batch.hex())
    server.sql("SELECT append('t:0', 'second'::text)")
    server.kill9()
    server.start()
    server.sql("SELECT append('t:0', 'third'::text)")
    rows = server.rows("SELECT \"offset\", as_text(value), ctid FROM topics.t ORDER BY \"offset\"")
    tap.equal([row[:2] for row in rows], [["0", "first"], ["1", "a"], ["2", "b"], ["11", "second"], ["12", "third"]], "offsets go on behind it")
    places = [[int(n) for n in row[2].strip("()").split(",")] for row in rows]
    tap.equal([place[1] - places[0][1] for place in places], [0, 1, 2, 11, 12], "so do ordinals")
    server.sql("VACUUM FULL topics.t; SELECT append('t:0', 'fourth'::text)")
    tids = [row[0] for row in server.rows("SELECT ctid FROM topics.t")]
    tap.equal(len(set(tids)), 6, "also after VACUUM FULL each TID is one row's")
    server.stop()


def test_other_builds():
    """a log of another version or with extents of another size is refused, and the server lives"""
    server = pg.Cluster("builds").init()
    server.run("pg_checksums", "--disable", "-D", server.data)      # we damage a page
    server.start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'); SELECT append('t:0', 'x'::text)")
    path = os.path.join(server.data, server.sql("SELECT pg_relation_filepath('topics.\"t#0\"')"))
    for at, what in ((VERSION, "log format version 77 is not supported"), (EXTENT_BLOCKS, "log has extents of 77 blocks")):
        server.stop()
        with open(path, "r+b") as f:
            f.seek(at)
            before = f.read(4)
            f.seek(at)
            f.write(struct.pack("=I", 77))
        server.start()
        try:
            server.sql("SELECT count(*) FROM topics.t")
            tap.ok(False, what)
        except pg.SqlError as problem:
            tap.matches(what, str(problem), what)
            tap.matches("HINT", str(problem), "with a hint")
        server.stop()
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(before)
        server.start()
    tap.equal(server.sql("SELECT count(*) FROM topics.t"), "1", "as it was")
    server.stop()


pg.demote()
tap.main([test_decoding, test_stitching, test_compacted, test_other_builds])
