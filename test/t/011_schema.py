#!/usr/bin/env python3
"""The extension in a schema of its own, which is not in the search path, beside tables and types of the same names."""

import difflib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402
from schema import APPLICATION, INSTALL, OPERATORS, SCHEMA, Names, qualify   # noqa: E402

server = None


def plain(text):
    """What psql said, without what a schema's name changes: the name, the widths of columns, the marks below errors."""
    lines = []
    for line in re.sub(r"\b(%s|public)\." % SCHEMA, "", text).split("\n"):
        if re.match(r"[-+ ]+$", line):
            line = "---"
        if not re.match(r"LINE \d+:|\s*\^$", line):
            lines.append(re.sub(r" +", " ", line).rstrip())
    return lines


def read(path):
    with open(path, encoding="utf8") as f:
        return f.read()


def test_suite():
    """the regression tests, with our names qualified"""
    tests = sorted(name[:-4] for name in os.listdir(pg.ROOT + "/sql") if name.endswith(".sql"))
    server.sql("CREATE DATABASE names")
    server.sql(INSTALL, database="names")
    names = Names.of(server, "names")
    tree = pg.base_dir() + "/qualified"
    os.makedirs(tree + "/sql")
    os.makedirs(tree + "/expected")
    for name in tests:
        with open("%s/sql/%s.sql" % (tree, name), "w", encoding="utf8") as f:
            f.write(qualify(read("%s/sql/%s.sql" % (pg.ROOT, name)), SCHEMA, names))
        with open("%s/expected/%s.out" % (tree, name), "w", encoding="utf8") as f:
            f.write(read("%s/expected/%s.out" % (pg.ROOT, name)))
    # A first test prepares the database that pg_regress makes.
    with open(tree + "/sql/application.sql", "w", encoding="utf8") as f:
        f.write("ALTER DATABASE contrib_regression SET search_path = public;\n" + APPLICATION + INSTALL + OPERATORS)
    with open(tree + "/expected/application.out", "w", encoding="utf8"):
        pass
    done, out = server.pg_regress(["application", *tests], inputdir=tree)
    if not tap.ok("ERROR" not in read(out + "/results/application.out"), "the extension goes into a schema of its own"):
        tap.note(read(out + "/results/application.out"))
        tap.note(done.stdout)
    tap.equal(server.sql("SHOW search_path", database="contrib_regression"), "public", "and is not in the search path")
    for name in tests:
        expected, got = (plain(read(path)) for path in ("%s/expected/%s.out" % (pg.ROOT, name), "%s/results/%s.out" % (out, name)))
        if not tap.ok(got == expected, "%s: the same as with the schema in the search path" % name):
            tap.note("\n".join(list(difflib.unified_diff(expected, got, lineterm="", n=3))[:200]))


def test_dump():
    """pg_dump brings the extension back into its schema, and the topics with it"""
    for name in ("source", "target"):
        server.sql("CREATE DATABASE %s; ALTER DATABASE %s SET search_path = public" % (name, name))
    server.sql(APPLICATION + INSTALL + """
        SELECT streams.create_topic('orders', 2);
        SELECT streams.produce('orders', 'v' || i, 'k' || i) FROM generate_series(1, 100) i;
        SELECT count(*) FROM streams.consume('orders', 'shipping', 60);
        SELECT streams.create_topic_view('orders');
        INSERT INTO topics VALUES ('the application''s own');""", database="source")
    dumped = server.run("pg_dump", database="source").stdout
    server.sql(dumped, database="target")
    same = """SELECT partition, "offset", key, value FROM topics.orders_text ORDER BY 1, 2;
        SELECT partition, "offset", lag FROM streams.group_lag ORDER BY 1;
        SELECT subject FROM topics;"""
    tap.equal(server.sql(same, database="target"), server.sql(same, database="source"), "records, offsets, views")
    tap.equal(server.sql("SELECT count(*) FROM streams.consume('orders', 'shipping')", database="target"), "40", "the group goes on")


def test_last_in_path():
    """with the schema last in the search path the application's names come first, and the rest is found plainly"""
    server.sql("CREATE DATABASE last; ALTER DATABASE last SET search_path = public, streams")
    server.sql("CREATE TABLE topics (subject text); INSERT INTO topics VALUES ('own');" + INSTALL, database="last")
    server.sql("SELECT create_topic('last'); SELECT produce('last', '{\"a\": 1}'::jsonb)", database="last")
    tap.equal(server.sql("SELECT subject FROM topics; SELECT value->>'a' FROM topics.last; SELECT records FROM partitions WHERE topic = 'last'",
                         database="last"), "own\n1\n1", "tables, operators, functions, views")


pg.demote()
server = pg.Cluster().init().start()
tap.main([test_suite, test_dump, test_last_in_path])
