#!/usr/bin/env python3
"""What tasks_status says of sources: how far they are behind, the WAL that their slots keep, here and at another server, running and
paused; warnings before a slot fills the disk or loses WAL; rates."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

SETTINGS = {"wal_level": "logical", "max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40}
# a transaction of 24 MB of WAL that is nobody's
NOISE = "CREATE TABLE noise AS SELECT repeat(md5(n::text), 60) FROM generate_series(1, 12000) n; DROP TABLE noise"

here = there = None


def awaited(query, what, expected="t"):
    got = here.wait_for(query, expected, 120)
    if not tap.equal(got, expected, what):
        tap.note(here.sql("SELECT name, state, lag_bytes, lag_seconds, retained_wal, warning, last_error FROM tasks_status"))


def is_so(name, condition, what):
    awaited("SELECT %s FROM tasks_status WHERE name = '%s'" % (condition, name), what)


def refuse_records(refuse):
    """The topic of the remote source takes none: the source fails."""
    here.sql("ALTER TABLE topics.remote %s" % ("ADD CONSTRAINT none CHECK (false) NOT VALID" if refuse else "DROP CONSTRAINT none"))


def test_start():
    """a source of this server and one of another"""
    global here, there
    here = pg.Cluster("here", SETTINGS).init().start()
    there = pg.Cluster("there", SETTINGS, preload=False, listener=False).init().start()
    here.sql("CREATE EXTENSION pgtopic; CREATE TABLE t (id int PRIMARY KEY); SELECT create_source('local', tables => ARRAY['t'])")
    there.sql("CREATE TABLE t (id int PRIMARY KEY)")
    here.sql("SELECT create_source('remote', tables => ARRAY['t'], topic => 'remote', connection => 'host=%s port=%d user=postgres dbname=postgres')" %
             (there.dir, there.port))
    for name in ("local", "remote"):
        is_so(name, "state = 'running' AND lsn IS NOT NULL AND lag_bytes IS NOT NULL AND retained_wal IS NOT NULL", name + " runs")
    is_so("remote", "lag_bytes = 0 AND lag_seconds = 0 AND warning IS NULL", "what has read all is not behind")


def test_rates():
    """means over the last minute"""
    there.sql("INSERT INTO t SELECT generate_series(1, 3000)")
    is_so("remote", "records = 3000 AND records_per_second >= 50 AND bytes_per_second > records_per_second", "3,000 records in a minute are 50 a second")


def test_paused():
    """of a slot here it is known what it keeps while nobody reads, and how far behind its source is"""
    here.sql("SELECT pause_task('local'), pause_task('remote')")
    here.sql("ALTER SYSTEM SET pgtopic.retained_wal_warning = '16MB'; SELECT pg_reload_conf()")
    here.sql(NOISE)
    there.sql(NOISE)
    is_so("local", "pids = '{}' AND retained_wal > 16 * 1024 * 1024 AND lag_bytes > 16 * 1024 * 1024 AND lag_seconds > 0", "the slot keeps WAL")
    is_so("local", "warning ~ 'keeps \\d+ MB of WAL, more than pgtopic.retained_wal_warning'", "and the view warns")
    tap.equal(here.sql("CREATE ROLE stranger; SET ROLE stranger; SELECT count(*) FROM tasks_status"
                       " WHERE lag_bytes IS NOT NULL OR retained_wal IS NOT NULL OR warning IS NOT NULL OR lag_seconds IS NOT NULL"), "0", "not everybody sees that")


def test_failing():
    """of another server's slot it is known when the source has been there, also if it fails"""
    refuse_records(True)
    there.sql("INSERT INTO t VALUES (0)")
    here.sql("SELECT resume_task('remote')")
    is_so("remote", "state = 'failing' AND retained_wal > 16 * 1024 * 1024 AND warning ~ 'more than pgtopic.retained_wal_warning'", "it fails, and the slot keeps WAL")
    tap.matches(r"WARNING:  source \"remote\": The replication slot keeps \d+ MB", here.log_text(), "the log says so, too")
    refuse_records(False)
    here.sql("ALTER SYSTEM RESET pgtopic.retained_wal_warning; SELECT pg_reload_conf()")
    here.sql("SELECT resume_task('remote'), resume_task('local')")
    is_so("remote", "state = 'running' AND lag_bytes = 0 AND lag_seconds = 0", "it has caught up")


def test_nearly_lost():
    """max_slot_wal_keep_size comes near"""
    if int(there.sql("SELECT current_setting('server_version_num')")) < 130000:
        return
    there.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'; SELECT pg_reload_conf()")
    refuse_records(True)
    there.sql("INSERT INTO t VALUES (-1)")
    is_so("remote", "state = 'failing'", "it fails")
    for _ in range(20):
        if there.sql("SELECT safe_wal_size < 12 * 1024 * 1024 FROM pg_replication_slots") == "t":
            break
        there.sql("SELECT pg_switch_wal(); CREATE TABLE IF NOT EXISTS filler (i int); INSERT INTO filler VALUES (1)")
    here.sql("SELECT resume_task('remote')")
    is_so("remote", "state = 'failing' AND warning ~ 'loses WAL, and the source its place, after \\d+ MB more'", "the view warns before WAL is lost")
    refuse_records(False)
    here.sql("SELECT resume_task('remote')")
    awaited("SELECT count(*) FROM topics.remote", "nothing was lost", "3002")


def main():
    tap.main([test_start, test_rates, test_paused, test_failing, test_nearly_lost])


if __name__ == "__main__":
    pg.demote()
    main()
