#!/usr/bin/env python3
"""verify_topic() finds what is damaged, and nothing where nothing is; what is damaged is one partition's error."""

import os
import random
import re
import struct
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg       # noqa: E402
import logfile as lf       # noqa: E402
import raw                 # noqa: E402
import tap                 # noqa: E402

B = lf.BLCKSZ

# The logs that damages are planted in.  Each has batches of ten small records, the large ones batches of many pages, and so more
# than three extents; the trimmed ones begin amid a batch and are sealed.
SMALL, LARGE, TRIMMED = "small", "large", "trimmed"
SMALL_BATCHES, LARGE_BATCHES = 200, 8


def extent(f, n=0):
    """The byte in the file at which a logical extent begins."""
    return f.extent_block(f.get_entry(n, "phys")) * B


def third_page(f):
    return extent(f) + 2 * B


def a_frame(f, page=2, n=1):
    return f.frames(f.extent_block(f.get_entry(0, "phys")) + page)[n]


def swap(f, a, b, n):
    one, other = f.read(a, n), f.read(b, n)
    f.write(a, other)
    f.write(b, one)


def last_page(f):
    """The last page of the log that is written, of the last extent."""
    n = f.number(*lf.META["next_extent"]) - 1
    at = extent(f, n)
    pages = [i for i in range(min(lf.EXTENT_BLOCKS, f.blocks() - at // B)) if f.number(at + i * B + lf.LOWER, "H") > 0]
    return at + pages[-1] * B


def flip_meta(name, bit):
    return lambda f: f.flip(lf.META[name][0], bit)


def flip_entry(n, name, bit):
    return lambda f: f.flip(f.entry(n, name), bit)


def flip_page(at, bit):
    return lambda f: f.flip(third_page(f) + at, bit)


def flip_frame(name, bit):
    return lambda f: f.flip(a_frame(f) + (lf.FRAME.get(name) if name in lf.FRAME else lf.BATCH[name]), bit)


def same_phys(f):
    f.put(f.entry(2, "phys"), "I", f.get_entry(1, "phys"))


def swapped_entries(f):
    swap(f, f.entry(1, "phys"), f.entry(2, "phys"), 4)


def swapped_extents(f):
    swap(f, extent(f, 1), extent(f, 2), lf.EXTENT_BLOCKS * B)


def copied_page(f):
    f.write(third_page(f), f.page(third_page(f) // B + 1))


def zeroed_page(f):
    f.write(third_page(f), bytes(B))


def zeroed_body(f):
    """A page amid a batch."""
    at = next(at for at in range(extent(f, 1) + B, f.blocks() * B, B) if f.number(at + lf.FIRST_FRAME, "H") == 0)
    f.write(at, bytes(B))


def torn_tail(f):
    """The last three pages, of a batch that has more."""
    at = last_page(f)
    f.write(at - 2 * B, bytes(3 * B))


def truncated(f):
    f.file.truncate(extent(f, 2) + 5 * B)


def flip_body(f):
    f.flip(extent(f, 1) + 20 * B + 5000, 3)


def old_page(f):
    """The page as it was when it had one frame."""
    at, frame = third_page(f), a_frame(f)
    f.put(at + lf.LOWER, "H", frame - at - 3)
    f.write(frame - 3, bytes(at + lf.END - frame + 3))


# What is planted: name, log, how, the damages of which one must be found, and whether that takes a deep look.
DAMAGES = [
    ("a bit of pd_lower", SMALL, flip_page(lf.LOWER, 7), {"page", "frame"}, False),
    ("a bit of pd_special", SMALL, flip_page(lf.SPECIAL, 4), {"unreadable"}, False),
    ("a bit of pd_upper", SMALL, flip_page(lf.UPPER, 2), {"unreadable"}, False),
    ("a bit of pd_flags", SMALL, flip_page(lf.FLAGS, 1), {"page"}, False),
    ("a bit of the layout version", SMALL, flip_page(lf.VERSION, 1), {"page"}, False),
    ("a high bit of the LSN", SMALL, flip_page(lf.LSN, 20), {"page"}, False),
    ("a bit of a page's block", SMALL, flip_page(lf.BLOCK, 6), {"page"}, False),
    ("a bit of a page's kind", SMALL, flip_page(lf.KIND, 1), {"page"}, False),
    ("a bit of a page's generation", SMALL, flip_page(lf.GENERATION, 0), {"page"}, False),
    ("a bit of the first frame's place", SMALL, flip_page(lf.FIRST_FRAME, 5), {"page"}, False),
    ("an odd bit of the first frame's place", SMALL, flip_page(lf.FIRST_FRAME, 0), {"page"}, False),
    ("a bit of a frame's length", SMALL, flip_frame("length", 3), {"frame"}, False),
    ("a bit of a frame's ordinal", SMALL, flip_frame("base_ordinal", 5), {"ordinal"}, False),
    ("a frame is said to be aborted", SMALL, flip_frame("flags", 0), {"frame"}, False),
    ("a frame is said to be cut", SMALL, flip_frame("flags", 1), {"frame"}, False),
    ("a frame is said to be of another kind", SMALL, flip_frame("flags", 4), {"frame"}, False),
    ("a frame has an unknown flag", SMALL, flip_frame("flags", 20), {"frame"}, False),
    ("a bit of the number of ordinals", SMALL, flip_frame("ordinals", 1), {"frame"}, False),
    ("a high bit of a frame's transaction", SMALL, flip_frame("xid", 30), {"frame"}, False),
    ("a bit of a batch's offset", SMALL, flip_frame("base_offset", 7 * 8 + 5), {"offset"}, False),
    ("a bit of a batch's length", SMALL, flip_frame("length", 4), {"frame"}, False),
    ("a bit of the last offset delta", SMALL, flip_frame("last_offset_delta", 24), {"frame"}, False),
    ("a bit of the magic", SMALL, flip_frame("magic", 0), {"batch"}, False),
    ("the sign of the epoch", SMALL, flip_frame("epoch", 7), {"batch"}, False),
    ("a bit of the CRC", SMALL, flip_frame("crc", 11), {"batch"}, True),
    ("a bit of the attributes", SMALL, flip_frame("attributes", 8), {"batch"}, True),
    ("a bit of the producer", SMALL, flip_frame("producer_id", 30), {"batch"}, True),
    ("a bit of a batch's timestamp", SMALL, flip_frame("base_timestamp", 60), {"batch"}, True),
    ("a bit of the number of records", SMALL, flip_frame("records", 25), {"batch"}, True),
    ("a bit of a record", LARGE, flip_body, {"batch"}, True),
    ("the magic of the meta page", SMALL, flip_meta("magic", 9), {"meta"}, False),
    ("the version", SMALL, flip_meta("version", 6), {"meta"}, False),
    ("the position of the start", TRIMMED, flip_meta("start_pos", 4), {"frame", "meta", "page"}, False),
    ("the offset of the start", TRIMMED, flip_meta("start_offset", 0), {"meta"}, False),
    ("the ordinal of the start", TRIMMED, flip_meta("start_ordinal", 1), {"meta"}, False),
    ("where sealed frames end", TRIMMED, flip_meta("sealed_pos", 5), {"meta"}, False),
    ("where the producers are", SMALL, flip_meta("producers_pos", 45), {"meta"}, False),
    ("how many physical extents there are", LARGE, flip_meta("phys_extents", 6), {"space"}, False),
    ("the first extent", LARGE, flip_meta("first_extent", 5), {"meta"}, False),
    ("the next extent", LARGE, flip_meta("next_extent", 6), {"space"}, False),
    ("where an extent is", LARGE, flip_entry(1, "phys", 7), {"space"}, False),
    ("one physical extent twice", LARGE, same_phys, {"space"}, False),
    ("swapped directory entries", LARGE, swapped_entries, {"page"}, False),
    ("swapped extents", LARGE, swapped_extents, {"page"}, False),
    ("an extent's generation", LARGE, flip_entry(1, "generation", 0), {"page"}, False),
    ("an extent's base offset", LARGE, flip_entry(2, "base_offset", 12), {"directory"}, False),
    ("an extent's base ordinal", LARGE, flip_entry(2, "base_ordinal", 3), {"directory"}, False),
    ("an extent's greatest timestamp", LARGE, flip_entry(1, "max_timestamp", 35), {"timestamp"}, False),
    ("an extent's running maximum", LARGE, flip_entry(1, "running_max", 33), {"timestamp"}, False),
    ("what the map has an extent for", LARGE, lambda f: f.flip(f.map_entry(1) + lf.MAP_STATE, 1), {"space"}, False),
    ("which extent the map names", LARGE, lambda f: f.flip(f.map_entry(1), 3), {"space"}, False),
    ("how many extents are free", LARGE, flip_meta("free_phys", 1), {"space"}, False),
    ("from where on extents are freed", LARGE, flip_meta("free_extent", 2), {"meta"}, False),
    ("the map's kind", LARGE, lambda f: f.flip(lf.MAP_BLOCK * B + lf.KIND, 1), {"space"}, False),
    ("a page twice", SMALL, copied_page, {"page"}, False),
    ("a zeroed page", SMALL, zeroed_page, {"page"}, False),
    ("a zeroed page amid a batch", LARGE, zeroed_body, {"page"}, False),
    ("a torn tail", LARGE, torn_tail, {"frame", "page", "end"}, False),
    ("a file that was cut off", LARGE, truncated, {"unreadable"}, False),
    ("an old page", SMALL, old_page, {"frame"}, False),
]

# What no reader can know without checksums: these numbers are what they are.
UNSEEN = ["a frame is said to be aborted", "the offset of the start", "the ordinal of the start", "where sealed frames end"]

FOUND = "SELECT DISTINCT damage FROM verify_partition('%s:0', %s)"


NAMES = [d[0] for d in DAMAGES]


def name_of(i):
    return "%s_%d" % (DAMAGES[i][1], i)


def fill(server):
    """One topic for each damage, and sound ones."""
    names = [(name_of(i), d[1]) for i, d in enumerate(DAMAGES)] + [("sound_" + kind, kind) for kind in (SMALL, LARGE, TRIMMED)]
    server.sql("\n".join("SELECT create_topic('%s');" % name for name, _ in names))
    server.sql("""
        CREATE PROCEDURE fill(topic text, kind text) LANGUAGE plpgsql AS $$ BEGIN
            FOR i IN 1 .. CASE WHEN kind = 'large' THEN %d ELSE %d END LOOP
                EXECUTE format('INSERT INTO topics.%%I (key, value) SELECT g::text::bytea, %%s FROM generate_series(1, 10) g', topic,
                    CASE WHEN kind = 'large' THEN '(SELECT string_agg(md5((g * 7919 + i)::text), '''') FROM generate_series(1, 1700) i)::bytea'
                         ELSE '''value''::bytea' END);
                COMMIT;
            END LOOP;
        END $$""" % (LARGE_BATCHES, SMALL_BATCHES))
    server.sql("\n".join("CALL fill('%s', '%s');" % pair for pair in names))
    for name, kind in names:
        if kind == TRIMMED:
            server.sql("SELECT delete_records('%s:0', 333)" % name)
            server.sql("VACUUM topics.%s" % name)


def leaf(topic):
    return "topics.\"%s#0\"" % topic


def plant(server):
    """Damages the files; the server is down before and after."""
    server.start()
    files = [(d, lf.LogFile(server, leaf(name_of(i)))) for i, d in enumerate(DAMAGES)]
    server.stop()
    for damage, file in files:
        with file as f:
            damage[2](f)


def no_crash(server, what):
    tap.ok(not [line for line in server.log_text().split("\n") if "PANIC" in line or "TRAP" in line or "terminated by signal" in line],
           what)


def check_sound(server):
    for kind in (SMALL, LARGE, TRIMMED):
        tap.equal(server.sql("SELECT * FROM verify_topic('sound_%s', true)" % kind), "", "nothing is wrong with what is sound: " + kind)


def count_of(server, query):
    """A number, or the error."""
    try:
        return int(server.sql(query))
    except pg.SqlError as problem:
        return str(problem)


def fetch_all(server, topic):
    """Reads as a consumer does, which connects again: the number of records, and the error in which that ends or None."""
    at, n, client = -1, 0, raw.Client(server.bootstrap)
    for _ in range(100):
        try:
            if at < 0:
                got = client.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -2}]}]})
                part = got["Topics"][0]["Partitions"][0]
                if part["ErrorCode"]:
                    return n, part["ErrorCode"]
                at = part["Offset"]
            got = client.call("Fetch", 11, {"MaxWaitMs": 50, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [
                {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": at, "PartitionMaxBytes": 1 << 20}]}]})
        except (ConnectionError, OSError):
            client.close()
            client = raw.Client(server.bootstrap)
            continue
        part = got["Responses"][0]["Partitions"][0]
        if part["ErrorCode"]:
            client.close()
            return n, part["ErrorCode"]
        try:
            records = [r for r in raw.read_batches(part["Records"] or b"") if r[0] >= at]
        except (raw.ProtocolError, IndexError, ValueError) as problem:
            client.close()
            return n, str(problem)
        n += len(records)
        at = records[-1][0] + 1 if records else at
        if at >= part["HighWatermark"]:
            client.close()
            return n, None
    client.close()
    return n, "no end in sight"


def read_all(server, summed):
    """Readers get all that is there, or an error: they do not take what is damaged for the end."""
    whole = {SMALL: SMALL_BATCHES * 10, LARGE: LARGE_BATCHES * 10, TRIMMED: SMALL_BATCHES * 10 - 333}
    server.wait_listener()
    less, quiet, stuck = [], [], []
    for i, (what, log, how, _, deep) in enumerate(DAMAGES):
        sums = summed and how not in (zeroed_page, zeroed_body, torn_tail, truncated)
        if not sums and (deep or what in UNSEEN):
            continue
        for order in ("", ' ORDER BY "offset" DESC'):
            got = count_of(server, "SELECT count(*) FROM (SELECT * FROM topics.%s%s) x" % (name_of(i), order))
            if not (got == whole[log] or isinstance(got, str)):
                less.append((what, order, got))
            if isinstance(got, str) and "verify_topic" not in got and "block" not in got and "version" not in got and "is not the log" not in got:
                quiet.append((what, got))
        got, problem = fetch_all(server, name_of(i))
        # before the start of a log are those of its first batch
        if problem == "no end in sight" or problem is None and got < whole[log]:
            stuck.append((what, got, problem))
    tap.equal(less, [], "a query has all records, or fails")
    tap.equal(quiet, [], "and then says what to do")
    tap.equal(stuck, [], "a consumer gets all records, or an error")
    for log in (SMALL, LARGE, TRIMMED):
        tap.equal(fetch_all(server, "sound_" + log), (whole[log], None), "and the others are served: " + log)
        tap.equal(server.sql("SELECT count(*) FROM topics.sound_%s" % log), str(whole[log]), "by SQL, too")


# What can be skipped, and up to how many records are lost with it.
SKIPPED = {"a bit of a page's block": 400, "a bit of a page's kind": 400, "a bit of a frame's length": 400,
           "a frame is said to be of another kind": 400, "a bit of the last offset delta": 400, "a bit of the CRC": 10,
           "a bit of the attributes": 10, "a bit of a record": 10, "a bit of the magic": 10, "a page twice": 400, "a zeroed page": 400,
           "a zeroed page amid a batch": 30, "an old page": 400, "swapped extents": 60, "a torn tail": 30}


def skip_all(server, standby=None):
    """skip_damaged() gets readers past what is damaged"""
    whole = {SMALL: SMALL_BATCHES * 10, LARGE: LARGE_BATCHES * 10}
    left = {}
    for what, at_most in SKIPPED.items():
        name = name_of(NAMES.index(what))
        log = whole[DAMAGES[NAMES.index(what)][1]]
        tap.equal(server.sql("SELECT * FROM skip_damaged('%s:0', 0)" % name), "", "nothing before the start: " + what)
        lost = server.rows("SELECT * FROM skip_damaged('%s:0', 1000000)" % name)
        n = sum(int(row[1]) - int(row[0]) for row in lost)
        if not tap.ok(0 < n <= at_most, "some are given up: " + what):
            tap.note("%d: %s" % (n, lost))
        got = count_of(server, "SELECT count(*) FROM topics.%s" % name)
        good = tap.ok(isinstance(got, int) and log - at_most <= got < log, "and the others are read")
        if not good:
            tap.note(got)
        tap.equal(count_of(server, 'SELECT count(*) FROM (SELECT * FROM topics.%s ORDER BY "offset" DESC) x' % name), got, "backwards, too")
        tap.equal(server.sql("SELECT damage, count(*) > 0 FROM verify_topic('%s', true) GROUP BY 1" % name), "skipped|t", "nothing else is wrong")
        at = int(server.sql("SELECT append('%s:0', 'more'::text)" % name))
        tap.ok(at >= log if what != "a torn tail" else at >= got, "appends go on, at %d" % at)
        tap.equal(fetch_all(server, name), (got + 1, None), "and consumers read on")
        left[name] = got + 1
    tap.matches("directory entry that cannot be skipped",
                count_of(server, "SELECT first_offset FROM skip_damaged('%s:0', 1000000)" % name_of(NAMES.index("swapped directory entries"))),
                "under a wrong directory entry, nothing is given up")
    server.kill9().start()
    server.wait_up()
    tap.equal({name: count_of(server, "SELECT count(*) FROM topics.%s" % name) for name in left}, left, "the same after a crash")
    tap.equal(server.sql("SELECT DISTINCT damage FROM verify_topic('%s', true)" % name_of(NAMES.index("a torn tail"))), "skipped", "whole but for that")
    tap.ok(server.log_text().count("was given up: offsets") >= len(SKIPPED), "and the server's log says who did that")


def find_all(server, expected_of):
    for i, (what, _, _, _, deep) in enumerate(DAMAGES):
        found = set(server.sql(FOUND % (name_of(i), "true" if deep else "false")).split("\n"))
        if not tap.ok(found & expected_of(DAMAGES[i]), "found: " + what):
            tap.note("found %s: %s" % (found, server.sql("SELECT * FROM verify_topic('%s', true)" % name_of(i))))
    check_sound(server)
    no_crash(server, "and the server lives")


def without_checksums(name, **settings):
    """A server on which a damage is verify_topic()'s to find."""
    server = pg.Cluster(name, settings).init()
    lf.checksums(server, False)
    server.start().sql("CREATE EXTENSION pgtopic")
    return server


def test_planted():
    """each damage is found, without checksums"""
    server = without_checksums("plain", autovacuum="off")
    fill(server)
    wrong = [server.sql("SELECT message FROM verify_topic('%s', true)" % name_of(i)) for i, _ in enumerate(DAMAGES)]
    tap.equal(set(wrong), {""}, "nothing is wrong before")
    server.stop()
    plant(server)
    server.start()
    find_all(server, lambda damage: damage[3])
    read_all(server, False)
    tap.equal(server.sql("SELECT append('%s:0', 'more'::text)" % name_of(NAMES.index("a zeroed page"))), str(SMALL_BATCHES * 10),
              "appends go on where the end is sound")
    tap.matches("verify_topic", count_of(server, "SELECT append('%s:0', 'more'::text)" % name_of(NAMES.index("a torn tail"))),
                "and are refused where it is not")
    check_sound(server)
    server.wait_listener()
    skip_all(server)
    no_crash(server, "and the server lives")
    server.stop()


def test_checksums():
    """with checksums, the server itself refuses what was changed in place"""
    server = pg.Cluster("summed", {"autovacuum": "off"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    fill(server)
    server.stop()
    plant(server)
    server.start()
    # an empty page has no checksum, and a file has none either
    find_all(server, lambda damage: damage[3] if damage[2] in (zeroed_page, zeroed_body, torn_tail, truncated) else {"unreadable"})
    read_all(server, True)
    for what in ("a bit of a frame's length", "a zeroed page amid a batch", "a bit of a record", "a bit of a page's block"):
        name = name_of(NAMES.index(what))
        tap.ok(server.rows("SELECT * FROM skip_damaged('%s:0', 1000000)" % name) != [], "given up: " + what)
        tap.equal(server.sql("SELECT DISTINCT damage FROM verify_topic('%s', true)" % name), "skipped", "and nothing else is wrong")
        got = count_of(server, "SELECT count(*) FROM topics.%s" % name)
        tap.ok(isinstance(got, int) and got > 0 and fetch_all(server, name) == (got, None), "the others are read")
    no_crash(server, "and the server lives")
    server.stop()


def test_directory():
    """a log with pages of the directory"""
    server = without_checksums("wide")
    server.sql("SELECT create_topic('wide', config => '{\"max.message.bytes\": \"10000000\"}')")
    server.sql("INSERT INTO topics.wide (value) SELECT repeat('wide', 200000)::bytea FROM generate_series(1, 180)")
    tap.equal(server.sql("SELECT * FROM verify_topic('wide', true)"), "", "nothing is wrong")
    file = lf.LogFile(server, leaf("wide"))
    server.stop()
    with file as f:
        page = f.extent_block(f.number(lf.DIR_EXTENTS, "I")) * B
    for what, at, bit, expected in (("a directory page's kind", page + lf.KIND, 0, "directory"),
                                    ("a directory page's number", page + lf.BLOCK, 3, "directory"),
                                    ("an entry's place", page + lf.FIRST + lf.ENTRY["phys"][0], 3, "space"),
                                    ("where a directory extent is", lf.DIR_EXTENTS, 2, "space")):
        with file as f:
            f.flip(at, bit)
        server.start()
        found = server.sql(FOUND % ("wide", "false"))
        if not tap.ok(expected in found.split("\n"), "found: " + what):
            tap.note(found)
        tap.matches("damage|missing|invalid", count_of(server, "SELECT count(*) FROM topics.wide"), "and a query fails")
        server.stop()
        with file as f:
            f.flip(at, bit)
    server.start()
    tap.equal(server.sql("SELECT * FROM verify_topic('wide', true)"), "", "as it was")
    server.sql("SELECT delete_records('wide:0', 100)")
    tap.equal(server.sql("SELECT * FROM verify_topic('wide', true); VACUUM topics.wide; SELECT * FROM verify_topic('wide', true)"), "",
              "nothing is wrong with extents that are free")
    server.sql("INSERT INTO topics.wide (value) SELECT repeat('wide', 200000)::bytea FROM generate_series(1, 20)")
    tap.equal(server.sql("SELECT * FROM verify_topic('wide', true)"), "", "nor when they are used again")
    no_crash(server, "and the server lives")
    server.stop()


# Where the flags of a page are, from its end, and which the pages have that are damaged.
BTREE = (4, lambda flags: flags == 1 or flags == 3)            # a leaf, perhaps the root
HASH = (4, lambda flags: flags & 3 == 2)
GIN = (2, lambda flags: flags == 2)                             # keys
GIN_TIDS = (2, lambda flags: flags & 0x7f == 3)                 # the TIDs of one key
GIN_LIST = (2, lambda flags: flags & 16)                        # what waits


def nowhere(f, item):
    """A TID of a record that has never been."""
    f.put(item[1], "H", 100)


def other_tids(f, item):
    """Two entries that point at each other's record."""
    items = f.items(item[1] // B)
    other = items[items.index(item) + 1]
    swap(f, item[1], other[1], 6)


def posting(f, item):
    """The first TID of a list of TIDs in an entry."""
    at = item[1] + ((f.number(item[1], "H") & 0x7fff) << 16 | f.number(item[1] + 2, "H"))
    f.put(at + 4, "H", f.number(at + 4, "H") ^ 128)


def key_bit(f, item):
    """A bit of the value or the hash code."""
    f.flip(item[1] + 8 + 3, 0)


# Damages of indexes: name, the index, which pages, what is done with an item of one, and what must be said.
INDEXES = {"btree": "(key)", "expression": "((value->>'n'))", "partial": "(key) WHERE key > 'key1'", "several": "(value, key)",
           "hash": "USING hash (key)", "gin": "USING gin (as_jsonb(value)) WITH (fastupdate = off)", "list": "USING gin (as_jsonb(value))"}
INDEX_DAMAGES = [("an entry of a %s index that points nowhere" % kind, kind, pages, nowhere, "no record has ever been")
                 for kind, pages in (("btree", BTREE), ("expression", BTREE), ("partial", BTREE), ("several", BTREE), ("hash", HASH), ("list", GIN_LIST))]
INDEX_DAMAGES += [("two swapped entries of a %s index" % kind, kind, pages, other_tids, "has other values than the record at offset")
                  for kind, pages in (("btree", BTREE), ("expression", BTREE), ("several", BTREE), ("hash", HASH))]
INDEX_DAMAGES += [("an entry that is not in a %s index" % kind, kind, pages, lf.IndexFile.kill, "is missing, or entered with other values")
                  for kind, pages in (("btree", BTREE), ("partial", BTREE), ("hash", HASH), ("gin", GIN), ("list", GIN_LIST))]
INDEX_DAMAGES += [("a bit of a value in a %s index" % kind, kind, pages, key_bit, "has other values than the record at offset|cannot be compared")
                  for kind, pages in (("btree", BTREE), ("expression", BTREE), ("hash", HASH), ("gin", GIN), ("list", GIN_LIST))]
INDEX_DAMAGES += [("a bit of a TID of a GIN index", "gin", GIN, posting, "is missing, or entered with other values")]
INDEX_DAMAGES += [("a bit of a TID of many in a GIN index", "gin", GIN_TIDS, None, "is missing, or entered with other values|no record has ever been")]


def item_of(f, at, good, keys):
    """An item of a record that is there: they have the first TIDs.  Of keys, which have several, the middle one of a page."""
    for block in range(1, f.blocks()):
        items = f.items(block)[:-1] if good(f.flags(block, at)) else []
        if keys and len(items) > 8:
            return items[len(items) // 2]
        for item in items:
            high, low, offset = struct.unpack("=HHH", f.read(item[1], 6))
            if not keys and (high, low) == (0, 0) and offset > 20:
                return item
    return None


def test_indexes():
    """entries of indexes that are missing, point nowhere, or have other values than the log"""
    server = without_checksums("indexed")
    server.sql("ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf()")
    rows = """INSERT INTO topics.%%s (key, value) SELECT ('key' || g)::bytea, ('{"n": "n' || g || '", "all": "all"}')::bytea
              FROM generate_series(1, %d) g"""
    names = ["i%d" % i for i, _ in enumerate(INDEX_DAMAGES)]
    for name, (_, kind, pages, _, _) in zip(names, INDEX_DAMAGES):
        server.sql("SELECT create_topic('%s')" % name)
        server.sql("CREATE INDEX %s_x ON topics.\"%s#0\" %s" % (name, name, INDEXES[kind]))
        server.sql(rows % (6000 if pages is GIN_TIDS else 300) % name)
        server.sql("BEGIN; SET LOCAL pgtopic.produce_buffer = '64kB'; %s; ROLLBACK" % rows.replace("'key'", "'not'").replace("n' ||", "not' ||") % 3000 % name)
        server.sql("SELECT delete_records('%s:0', 20)" % name)
    server.sql("SELECT create_topic('i_all', 2); " + "; ".join("CREATE INDEX ON topics.i_all %s" % how for how in INDEXES.values()))
    server.sql("CREATE INDEX ON topics.i_all USING spgist (as_text(key)); " + rows % 5000 % "i_all")
    server.sql("SELECT delete_records('i_all', now()); " + rows % 500 % "i_all")
    for name in names + ["i_all"]:
        tap.equal(server.sql("SELECT * FROM verify_topic('%s', true)" % name), "", "nothing is wrong before: " + name)
    files = [lf.IndexFile(server, "topics.%s_x" % name) for name in names]
    server.stop()
    for file, (_, _, (at, good), how, _) in zip(files, INDEX_DAMAGES):
        with file as f:
            if how:
                how(f, item_of(f, at, good, at == GIN[0] and good is GIN[1]))
            else:
                block = next(b for b in range(1, f.blocks()) if good(f.flags(b, at)))
                f.put(block * B + lf.FIRST + 8 + 4, "H", f.number(block * B + lf.FIRST + 8 + 4, "H") ^ 128)
    server.start()
    for name, (what, _, _, _, said) in zip(names, INDEX_DAMAGES):
        tap.equal(server.sql("SELECT * FROM verify_topic('%s')" % name), "", "only a deep look is one at indexes")
        found = server.rows("SELECT damage, message FROM verify_topic('%s', true)" % name)
        if not tap.ok({row[0] for row in found} == {"index"} and [row for row in found if re.search(said, row[1])], "found: " + what):
            tap.note("found %s" % found[:5])
        tap.ok([row for row in found if name + "_x" in row[1]], "and where")
        server.sql("REINDEX INDEX topics.%s_x" % name)
        tap.equal(server.sql("SELECT * FROM verify_topic('%s', true)" % name), "", "REINDEX helps")
    tap.equal(server.sql("SELECT * FROM verify_topic('i_all', true); VACUUM topics.i_all; SELECT * FROM verify_topic('i_all', true)"), "",
              "nothing is wrong with a sound one")
    no_crash(server, "and the server lives")
    server.stop()


def piece_of(f):
    """The byte at which the frame of the snapshot of a producer begins."""
    for block in range(f.extent_block(0), f.blocks()):
        for at in f.frames(block):
            if f.read(at + lf.FRAME_HEADER, 4) == b"pgPs":
                return at + lf.FRAME_HEADER
    return None


def change_piece(f, at, code, value):
    """A number of a snapshot, with a checksum that fits."""
    piece = piece_of(f)
    length = f.number(piece - lf.FRAME_HEADER, "I")
    f.write(piece + at, struct.pack(">" + code, value))
    f.write(piece + 4, struct.pack(">I", raw.crc32c(f.read(piece + 8, length - 8))))


# Of a snapshot with one producer: its header has 64 bytes, the entry begins with the id, and its batches at 48.
PIECES = [("a bit of a snapshot", lambda f: f.flip(piece_of(f) + 90, 2), "cannot be read: it is damaged"),
          ("a snapshot of an unknown format", lambda f: change_piece(f, 8, "I", 7), "cannot be read: its format"),
          ("more producers than there are", lambda f: change_piece(f, 12, "I", 3), "cannot be read: it is damaged"),
          ("a producer's epoch", lambda f: change_piece(f, 64 + 24, "I", 5), "something else than its batch"),
          ("a producer's last batch", lambda f: change_piece(f, 64 + 48 + 48, "q", 0), "something else than its batch"),
          ("a sequence of before", lambda f: change_piece(f, 64 + 48 + 48 + 16, "I", 0), "is older than its batch"),
          ("a batch that is to come", lambda f: change_piece(f, 64 + 48 + 48, "q", 1 << 40), "batches before end at"),
          ("a sequence", lambda f: change_piece(f, 64 + 48 + 48 + 16, "I", 12345), "something else than its batch")]


def test_producers():
    """what a log says of its producers"""
    server = without_checksums("producers")
    server.sql("CREATE FUNCTION snapshot_producers(regclass) RETURNS void AS 'pgtopic', 'pt_test_snapshot_producers' LANGUAGE C STRICT")
    server.wait_listener()
    names = ["p%d" % i for i, _ in enumerate(PIECES)] + ["p_sound"]
    server.sql("; ".join("SELECT create_topic('%s')" % name for name in names))
    with raw.Client(server.bootstrap) as client:
        for name in names:
            for i in range(4):
                batch = raw.Batch([("k", "v")] * 5, producer_id=4711, producer_epoch=0, base_sequence=5 * i)
                client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 30000, "TopicData": [
                    {"Name": name, "PartitionData": [{"Index": 0, "Records": batch.encode()}]}]})
                if i == 2:
                    server.sql("SELECT snapshot_producers('%s')" % leaf(name))
    for name in names:
        tap.equal(server.sql("SELECT * FROM verify_topic('%s', true)" % name), "", "nothing is wrong before: " + name)
    files = [lf.LogFile(server, leaf(name)) for name in names]
    server.stop()
    for file, (_, how, _) in zip(files, PIECES):
        with file as f:
            how(f)
    server.start()
    for name, (what, _, said) in zip(names, PIECES):
        found = server.rows("SELECT damage, message FROM verify_topic('%s', true)" % name)
        if not tap.ok({row[0] for row in found} == {"producers"} and re.search(said, found[0][1]), "found: " + what):
            tap.note("found %s" % found[:5])
    tap.equal(server.sql("SELECT * FROM verify_topic('p_sound', true)"), "", "nothing is wrong with a sound one")
    no_crash(server, "and the server lives")
    server.stop()


def some_piece(n):
    """A snapshot of n producers of which no batch is known, as hex."""
    entries = b"".join(struct.pack(">qqqiiiiq", (1 << 40) + i, 0, 0, 0, 0, -1, 0, -1) for i in range(n))
    behind = struct.pack(">iiq40x", 1, n, 0) + entries
    return (b"pgPs" + struct.pack(">I", raw.crc32c(behind)) + behind).hex()


def test_workload():
    """nothing is wrong with a log that is written, deleted from and vacuumed, while that happens and afterwards"""
    seed = int(os.environ.get("PGTOPIC_SEED", random.randrange(1 << 30)))
    tap.note("PGTOPIC_SEED=%d" % seed)
    server = pg.Cluster("busy", {"wal_consistency_checking": "all"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('w', 3, '{\"max.message.bytes\": \"10000000\"}');"
               "CREATE FUNCTION append_frame(leaf regclass, data bytea) RETURNS void AS 'pgtopic', 'pt_test_append_producers' LANGUAGE C STRICT;"
               "CREATE INDEX ON topics.w (key); CREATE INDEX ON topics.w USING hash (key); CREATE INDEX ON topics.w USING gin (string_to_array(as_text(key), '1'))")
    standby = server.standby().start()
    findings = []

    def insert(choice):
        n, size = choice.choice([(1, 10), (10, 100), (100, 1000), (3, 100000), (1, 2000000)])
        return ("INSERT INTO topics.w (partition, key, value) SELECT %d, g::text::bytea, repeat('x', %d)::bytea FROM generate_series(1, %d) g;"
                % (choice.randrange(3), size, n))

    def write(choice, deadline):
        session = server.session()
        name = "p%d" % choice.randrange(1 << 30)
        for i in range(deadline):
            kind = choice.randrange(12)
            if kind < 5:
                session.sql(insert(choice))
            elif kind == 5:
                session.sql("BEGIN; %s ROLLBACK" % insert(choice))
            elif kind == 6:
                session.sql("BEGIN; %s SAVEPOINT s; %s ROLLBACK TO s; %s COMMIT" % (insert(choice), insert(choice), insert(choice)))
            elif kind == 7:
                session.sql("BEGIN; %s PREPARE TRANSACTION '%s_%d'" % (insert(choice), name, i))
                session.sql("%s PREPARED '%s_%d'" % (choice.choice(["COMMIT", "ROLLBACK"]), name, i))
            elif kind == 8:
                session.sql("SELECT delete_records('w:%d', log_end('w:%d') - %d)" % ((choice.randrange(3),) * 2 + (choice.randrange(500),)))
            elif kind == 9:
                session.sql("SELECT append_frame('topics.\"w#%d\"', '\\x%s')" % (choice.randrange(3), some_piece(choice.randrange(600))))
            elif kind == 10:
                session.sql("BEGIN; SELECT append('w:%d', repeat('y', 600000)); SELECT 1/0; COMMIT" % choice.randrange(3))
            else:
                session.sql("VACUUM topics.w")
        session.close()

    def verify(stop):
        session = server.session()
        while not stop.is_set():
            found = session.sql("SELECT * FROM verify_topic('w', true)")
            if found:
                findings.append(found)
        session.close()

    choice = random.Random(seed)
    for _ in range(3):
        stop = threading.Event()
        writers = [threading.Thread(target=write, args=(random.Random(choice.randrange(1 << 30)), 40), daemon=True) for _ in range(2)]
        verifier = threading.Thread(target=verify, args=(stop,), daemon=True)
        for thread in [*writers, verifier]:
            thread.start()
        with raw.Client(server.bootstrap) as client:
            for i in range(20):
                batch = raw.Batch([("k%d" % i, "kafka")] * choice.randrange(1, 30)).encode()
                client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 30000, "TopicData": [
                    {"Name": "w", "PartitionData": [{"Index": choice.randrange(3), "Records": batch}]}]})
        for thread in writers:
            thread.join()
        stop.set()
        verifier.join()
        server.wait_caught_up(standby)
        tap.equal(standby.sql("SELECT * FROM verify_topic('w', true)"), "", "nothing on the standby")
        server.kill9().start()
        server.wait_up()
        server.wait_listener()
        tap.equal(server.sql("SELECT * FROM verify_topic('w', true)"), "", "nothing after a crash")
    tap.equal(findings, [], "and nothing meanwhile")
    for one in (server, standby):
        no_crash(one, "%s lives" % one.name)
        one.stop()


pg.demote()
tap.main([test_planted, test_checksums, test_directory, test_indexes, test_producers, test_workload])
