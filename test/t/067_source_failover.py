#!/usr/bin/env python3
"""Slots of sources move on beside WAL that has nothing for them, however it comes; and those that standbys keep, too, are taken over by
these: a source goes on at a server that was promoted."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg      # noqa: E402
import tap                # noqa: E402
import two_servers        # noqa: E402

pair = here = there = None
HAS_FAILOVER = pg.MAJOR >= 17
PLACE = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pgtopic_%s'"
# a transaction without changes, and a record of those that run, by which slots move
TICK = "SELECT pg_current_xact_id(); SELECT pg_log_standby_snapshot()"


def slot_reaches(name, lsn, what):
    """The slot at the other server comes to a place, or at most 1 MB before it."""
    tap.ok(pair.wait_for(what, "SELECT confirmed_flush_lsn >= pg_lsn '%s' - 1024 * 1024 FROM pg_replication_slots WHERE slot_name = 'pgtopic_%s'" % (lsn, name), there), what)


def ids(topic, server=None):
    return (server or here).sql("SELECT string_agg(value->>'id', ' ' ORDER BY \"offset\") FROM topics.%s" % topic)


def test_idle_beside_busy():
    """a published table in which nothing happens, beside others in which much does: small transactions, large ones, and one that is still open"""
    there.sql("CREATE TABLE quiet (id int PRIMARY KEY); CREATE TABLE busy (id int, pad text)")
    here.sql("SELECT create_source('quiet', tables => ARRAY['quiet'], topic => 'quiet', format => 'row', connection => '%s')" % pair.connection())
    pair.streaming("quiet")
    for memory, how in (("64MB", "whole"), ("64kB", "in pieces")):
        there.sql("ALTER SYSTEM SET logical_decoding_work_mem = '%s'; SELECT pg_reload_conf()" % memory)
        there.sql("DO $$ BEGIN FOR i IN 1..2000 LOOP INSERT INTO busy VALUES (i, repeat('x', 1000)); COMMIT; END LOOP; END $$")
        slot_reaches("quiet", there.sql("SELECT pg_current_wal_lsn()"), "small transactions, sent %s" % how)
        there.sql("INSERT INTO busy SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i")
        slot_reaches("quiet", there.sql("SELECT pg_current_wal_lsn()"), "a large one, sent %s" % how)
        session = there.session()
        session.sql("BEGIN; INSERT INTO busy SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i")
        there.sql("INSERT INTO busy VALUES (0, 'x')")
        slot_reaches("quiet", there.sql("SELECT pg_current_wal_lsn()"), "one that is open, sent %s" % how)
        session.sql("ROLLBACK")
        session.close()
    there.sql("INSERT INTO quiet VALUES (1)")
    pair.wait_records("quiet", 1)
    tap.equal(here.sql("SELECT errors FROM tasks_status WHERE name = 'quiet'"), "0", "without an error")
    here.sql("SELECT drop_source('quiet')")


def test_never_idle():
    """changes that make no records come faster than they are looked at: the slot moves meanwhile, not only at their end"""
    there.sql("CREATE TABLE filtered (id int PRIMARY KEY, pad text)")
    here.sql("CREATE FUNCTION public.slow() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.003); RETURN false; END $$;"
             "SELECT create_source('filtered', tables => ARRAY['filtered'], topic => 'filtered', filter => 'public.slow()', connection => '%s')" % pair.connection())
    pair.streaming("filtered")
    here.sql("SELECT pause_task('filtered')")
    pair.wait_for("the slot is free", "SELECT NOT active FROM pg_replication_slots", there)
    before = there.sql(PLACE % "filtered")
    there.sql("DO $$ BEGIN FOR i IN 1..2500 LOOP INSERT INTO filtered VALUES (i, repeat('x', 1900)); COMMIT; END LOOP; END $$")
    end = there.sql("SELECT pg_current_wal_lsn()")
    here.sql("SELECT resume_task('filtered')")
    tap.ok(pair.wait_for("a place amid", "SELECT remote_lsn > pg_lsn '%s' + 1024 * 1024 AND remote_lsn < pg_lsn '%s' - 1024 * 1024 FROM pg_replication_origin_status"
                         % (before, end), timeout=60), "its place is amid them")
    slot_reaches("filtered", end, "and comes to their end")
    here.sql("SELECT drop_source('filtered')")


def test_failover_moves():
    """a slot that standbys keep moves with the time, too"""
    if not HAS_FAILOVER:
        return
    there.sql("CREATE TABLE kept (id int PRIMARY KEY)")
    here.sql("SELECT create_source('kept', tables => ARRAY['kept'], topic => 'kept', format => 'row', failover => true, connection => '%s')" % pair.connection())
    pair.streaming("kept")
    query = "SELECT (restart_lsn, catalog_xmin, confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = 'pgtopic_kept'"
    before = there.sql(query)[1:-1].split(",")
    deadline = time.monotonic() + 180
    while any(new == old for new, old in zip(there.sql(query)[1:-1].split(","), before)) and time.monotonic() < deadline:
        there.sql(TICK)
        time.sleep(0.2)
    after = there.sql(query)[1:-1].split(",")
    tap.ok(all(new != old for new, old in zip(after, before)), "restart_lsn, catalog_xmin and confirmed_flush_lsn were %s, are %s" % (before, after))


def make_standby(primary, slot):
    """A standby of this server that keeps the failover slots; returns it when it has that."""
    primary.sql("SELECT pg_create_physical_replication_slot('standby')")
    standby = primary.standby(primary.name + "-standby", {"sync_replication_slots": "on", "hot_standby_feedback": "on", "primary_slot_name": "standby"})
    standby.set(primary_conninfo=standby.settings["primary_conninfo"] + " dbname=postgres").start()
    deadline = time.monotonic() + 240
    query = "SELECT synced AND NOT temporary AND invalidation_reason IS NULL FROM pg_replication_slots WHERE slot_name = '%s'" % slot
    while standby.sql(query) != "t" and time.monotonic() < deadline:
        primary.sql(TICK)
        time.sleep(0.5)
    if not tap.equal(standby.sql(query), "t", primary.name + ": the standby has the slot"):
        for server in (primary, standby):
            tap.note(server.sql("SELECT * FROM pg_replication_slots"))
    primary.sql("ALTER SYSTEM SET synchronized_standby_slots = 'standby'")
    primary.sql("SELECT pg_reload_conf()")
    return standby


def test_promoted():
    """the source's server is lost, and its standby promoted: the source goes on there, and each row that is there comes once"""
    if not HAS_FAILOVER:
        return
    standby = make_standby(there, "pgtopic_kept")
    there.sql("INSERT INTO kept SELECT generate_series(1, 100)")
    pair.wait_records("kept", 100)
    there.wait_caught_up(standby)
    for i in range(101, 121):
        there.sql("INSERT INTO kept VALUES (%d)" % i)
    there.kill9()
    standby.promote()
    here.sql("SELECT alter_task('kept', '{\"connection\": \"host=%s port=%d user=postgres dbname=postgres\"}')" % (standby.dir, standby.port))
    standby.sql("INSERT INTO kept VALUES (1000)")
    expected = standby.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM kept")
    n = standby.sql("SELECT count(*) FROM kept")
    pair.wait_for("all rows", "SELECT count(*) FROM topics.kept", expected=n)
    tap.equal(ids("kept"), expected, "%s rows, in their order" % n)
    tap.equal(standby.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'pgtopic_kept'"), "t", "by the slot that the standby had")
    here.sql("SELECT drop_source('kept')")
    tap.equal(standby.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'pgtopic_kept'"), "0", "which goes with the source")


def test_promoted_here():
    """a source of the very server: both go on at its standby"""
    if not HAS_FAILOVER:
        return
    here.sql("CREATE TABLE own (id int PRIMARY KEY); SELECT create_source('own', tables => ARRAY['own'], topic => 'own', format => 'row', failover => true)")
    pair.streaming("own")
    standby = make_standby(here, "pgtopic_own")
    here.sql("INSERT INTO own SELECT generate_series(1, 100)")
    pair.wait_records("own", 100)
    here.wait_caught_up(standby)
    for i in range(101, 121):
        here.sql("INSERT INTO own VALUES (%d)" % i)
    place = "SELECT remote_lsn FROM pg_replication_origin_status"
    for _ in range(8):
        found = here.sql(place)
        time.sleep(22)
        if here.sql(place) == found:
            break
    tap.equal(here.sql(place), found, "what moves the slot is no reason to move it")
    here.kill9()
    standby.promote()
    standby.sql("INSERT INTO own VALUES (1000)")
    expected = standby.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM own")
    n = standby.sql("SELECT count(*) FROM own")
    standby.wait_for("SELECT count(*) FROM topics.own", n)
    tap.equal(ids("own", standby), expected, "%s rows, in their order" % n)
    standby.sql("SELECT drop_source('own')")


pg.demote()
pair = two_servers.Pair()
here, there = pair.here, pair.there
tap.main([test_idle_beside_busy, test_never_idle, test_failover_moves, test_promoted, test_promoted_here])
