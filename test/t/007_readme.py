#!/usr/bin/env python3
"""README.md and docs/conformance.md tell the truth: examples run, the tables of settings, functions and APIs are complete."""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import tap             # noqa: E402

with open(os.path.join(pg.ROOT, "README.md"), encoding="utf8") as readme_file:
    README = readme_file.read()

# Functions that are not for users: support of types, operators, views and tests.
INTERNAL = re.compile(r"^((topic|partition|headers)_(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|hash|hash_extended)|bytea_json_.*|"
                      r"jsonb|list_\w+|kafka_call|kafka_ask|sink_key|sink_change|sink_unavailable|group_configs_changed|kafka_acls_changed|tasks_changed|quotas_changed|.*_handler)$")
FIRST_SERVED = {0: 3, 17: 1}     # Produce and SaslHandshake are advertised from 0, for librdkafka, and served from these on

server = None


def blocks():
    """(language, text) of each code block that names its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```", README, re.M | re.S)


def rows(heading, text=README):
    """Cells of the table under a heading."""
    part = re.split("^##+ " + heading + "\n", text, flags=re.M)[1].split("\n#")[0]
    table = [line for line in part.split("\n") if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_examples():
    """each example runs, in order"""
    for number, (language, text) in enumerate(blocks(), 1):
        what = "example %d: %s" % (number, text.strip().split("\n")[0][:70])
        if language == "sql":
            try:
                server.sql(text)
                tap.ok(True, what)
            except pg.SqlError as problem:
                tap.ok(False, what)
                tap.note(problem)
        else:
            done = subprocess.run(["sh", "-e", "-c", text.replace("127.0.0.1:9092", server.bootstrap)], text=True, timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            tap.equal(done.returncode, 0, what)
            tap.note(done.stdout)
    tap.equal(server.sql("SELECT customer, item FROM shipped ORDER BY 1"), "customer-17|bolt\ncustomer-4|nut",
              "what the examples ship")


def test_settings():
    listed = {name.strip("`"): default for name, default, _ in rows("Settings")}
    really = dict(server.rows("SELECT name, boot_val || CASE WHEN unit IS NULL OR boot_val LIKE '-%' THEN '' ELSE ' ' || unit END "
                              "FROM pg_settings WHERE name LIKE 'pgtopic.%'"))
    tap.equal(sorted(listed), sorted(really), "every setting is in the table, and no other")
    sizes = {"B": 1, "kB": 1024, "MB": 1 << 20, "GB": 1 << 30, "ms": 1, "s": 1000, "min": 60000, "d": 86400000}

    def plain(text):
        match = re.match(r"(\d+) ?([a-zA-Z]+)$", text)
        return str(int(match.group(1)) * sizes[match.group(2)]) if match else text
    for name, default in really.items():
        tap.equal(plain(listed.get(name, "?")), plain(default), "default of " + name)


def test_functions():
    listed = set(re.findall(r"`(\w+)\(", "\n".join(cells[0] for cells in rows("Functions"))))
    really = set(server.sql("SELECT DISTINCT proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass "
                            "AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid WHERE extname = 'pgtopic'").split())
    really = {name for name in really if not INTERNAL.match(name)}
    tap.equal(sorted(listed), sorted(really), "every function is in the table, and no other")


def test_views():
    for name, columns in rows("Views"):
        names = server.sql("SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '%s'::regclass "
                           "AND attnum > 0" % name.strip("`"))
        tap.equal(re.sub(r" \(.*?\)", "", columns), names, "columns of " + name)


def test_apis():
    """what ApiVersions says"""
    import raw
    with raw.Client(server.bootstrap) as client:
        answer = client.call("ApiVersions", 0)["ApiKeys"]
    really = {r["ApiKey"]: "%d-%d" % (FIRST_SERVED.get(r["ApiKey"], r["MinVersion"]), r["MaxVersion"]) for r in answer}
    with open(os.path.join(pg.ROOT, "docs", "conformance.md"), encoding="utf8") as file:
        table = rows("APIs", file.read())
    tap.equal({int(key): here for key, _, _, here, _ in table if here != "–"}, really, "docs/conformance.md has every API, with its versions")
    known = 0
    for key, name, kafka, here, note in table:
        tap.ok(here != "–" or note, "%s: spoken, or a word why not" % name)
        try:
            tap.equal(raw.message(name + "Request").key, int(key), "key of " + name)
            known += 1
        except KeyError:    # newer than the jar
            tap.note(name + " is not in the kafka-clients jar")
    tap.ok(known > 70, "%d of %d names are Kafka's" % (known, len(table)))


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tests = [test_examples, test_settings, test_functions, test_views]
    try:
        import raw
        raw.message("ProduceRequest")
        tests.append(test_apis)
    except RuntimeError:
        tap.note("no kafka-clients jar: the table of APIs is not checked")
    tap.main(tests)


main()
