#!/usr/bin/env python3
"""Without shared_preload_libraries there is one clear error; with it WAL tools know our records."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402


def test_without_preload():
    server = pg.Cluster("bare", preload=False).init().start()
    try:
        server.sql("CREATE EXTENSION pgtopic")
        tap.ok(False, "CREATE EXTENSION fails")
    except pg.SqlError as problem:
        tap.ok(True, "CREATE EXTENSION fails")
        tap.matches("HINT:.*shared_preload_libraries", str(problem), "its hint says what to set")
    tap.equal(server.sql("SELECT count(*) FROM pg_extension WHERE extname = 'pgtopic'"), "0", "nothing stays behind")
    server.stop()


def test_settings():
    """every setting is described"""
    server = pg.Cluster("settings").init().start()
    tap.ok(int(server.sql("SELECT count(*) FROM pg_settings WHERE name LIKE 'pgtopic.%'")) > 10, "settings are there")
    tap.equal(server.sql("SELECT name FROM pg_settings WHERE name LIKE 'pgtopic.%' AND coalesce(short_desc, '') = ''"),
              "", "each has a description")
    try:
        server.sql("SET pgtopic.no_such_thing = 1")
        tap.ok(False, "an unknown setting is refused")
    except pg.SqlError:
        tap.ok(True, "an unknown setting is refused")
    server.stop()


def test_workers():
    """too few worker processes: a warning says how many there must be, and with these it serves"""
    server = pg.Cluster("workers", settings={"max_worker_processes": 2, "pgtopic.listener_workers": 2}).init().start()
    hint = re.search('WARNING:  pgtopic has [0-9]+ of the [0-9]+ background workers that it needs.*\n.*'
                     'HINT:  Set "max_worker_processes" to ([0-9]+) or more', server.log_text())
    tap.ok(hint, "the log says so, and what to set")
    if hint:
        server.stop()
        needed = int(hint.group(1))
        server.set(max_worker_processes=needed)
        server.start().sql("CREATE EXTENSION pgtopic")
        server.wait_listener()
        tap.equal(server.log_text().count("WARNING:  pgtopic has"), 1, "with these it is silent")
        tap.ok(server.worker_pids("pgtopic control"), "and all of its workers are there")
        with open(os.path.join(pg.ROOT, "README.md"), encoding="utf8") as f:
            says = re.search(r"needs ([a-z]+) background workers", f.read())
        words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
                 "eleven", "twelve", "thirteen"]
        # without the server's own for subscriptions, and without the second listener
        tap.equal(says and says.group(1), words[needed - 2], "README.md says how many by default")
    server.stop()


def test_default_workers():
    """where nobody has set max_worker_processes, there is room for ours and for others"""
    server = pg.Cluster("default", settings={"max_worker_processes": None}).init().start()
    tap.equal(server.sql("SHOW max_worker_processes"), "32", "the default is larger")
    tap.ok("WARNING:  pgtopic has" not in server.log_text(), "and enough")
    server.stop()


def test_wal():
    """pg_walinspect shows our records by name"""
    server = pg.Cluster("wal").init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE EXTENSION pg_walinspect; SELECT create_topic('t')")
    start = server.sql("SELECT pg_current_wal_lsn()")
    server.sql("SELECT append('t:0', 'x'::text); VACUUM topics.t; SELECT drop_topic('t')")
    rows = server.rows("SELECT resource_manager, record_type, description FROM "
                       "pg_get_wal_records_info('%s', pg_current_wal_flush_lsn()) WHERE resource_manager = 'pgtopic'"
                       % start)
    kinds = {r[1] for r in rows}
    tap.ok("APPEND" in kinds, "appends are named (%s)" % ", ".join(sorted(kinds)))
    tap.ok(all(r[2] for r in rows), "every record describes itself")
    done = server.run("pg_waldump", "-p", server.data + "/pg_wal", "-s", start, "-n", "20", check=False)
    tap.ok("custom187" in done.stdout, "pg_waldump shows the resource manager")
    server.stop()


pg.demote()
tap.main([test_without_preload, test_settings, test_workers, test_default_workers, test_wal])
