#!/usr/bin/env python3
"""Sessions that wait in consume() and poll() are in nobody's way, and notice what becomes of the topic."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

server = None
CONSUME = "SELECT count(*) FROM consume('w', 'g', timeout => '120 s')"
POLL = "SELECT count(*) FROM poll('w', 0, 0, timeout => '120 s')"
# A command that has to wait for somebody who waits for records fails instead.
PATIENCE = "SET lock_timeout = '20 s'; "


def until(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("not within %d s: %s" % (timeout, what))
        time.sleep(0.02)


class Waiter:
    """A session in the midst of a wait."""

    def __init__(self, query):
        self.session = server.session()
        self.pid = self.session.sql("SELECT pg_backend_pid()")
        self.session.send(query)
        until(self.waits, "a session waits")

    def waits(self):
        return server.sql("SELECT wait_event_type FROM pg_stat_activity WHERE pid = " + self.pid) == "Extension"

    def has_no_lock(self):
        """On tables of the topic; it may look at them now and then."""
        return server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = %s "
                          "AND relation::regclass::text LIKE 'topics.%%w%%'" % self.pid) == "0"

    def answer(self):
        result = self.session.answer()
        self.session.close()
        return result


def fresh():
    server.sql("SELECT drop_topic(topic) FROM topics WHERE topic = 'w'")
    server.sql("SELECT create_topic('w', 2)")


def both(act, check):
    for query, what in ((CONSUME, "consume()"), (POLL, "poll()")):
        fresh()
        waiter = Waiter(query)
        until(waiter.has_no_lock, what + " waits without a lock on the topic")
        act()
        check(waiter, what)


def test_truncate():
    """the log gets another file meanwhile"""
    def act():
        server.sql(PATIENCE + "TRUNCATE topics.w")
        server.sql("SELECT append('w:0', 'x')")
    both(act, lambda waiter, what: tap.equal(waiter.answer(), "1", what + " gets what comes after TRUNCATE"))


def test_drop():
    """the topic goes"""
    both(lambda: server.sql(PATIENCE + "SELECT drop_topic('w')"),
         lambda waiter, what: tap.matches("does not exist", waiter.answer(), what + " says that the topic was dropped"))


def test_partitions():
    """the topic gets more partitions"""
    fresh()
    waiter = Waiter(CONSUME)
    server.sql(PATIENCE + "SELECT add_partitions('w', 4)")
    server.sql("SELECT append('w:3', 'x')")
    tap.equal(waiter.answer(), "1", "consume() reads a partition that was added")


def test_detach():
    """a partition goes"""
    def act():
        server.sql(PATIENCE + 'ALTER TABLE topics.w DETACH PARTITION topics."w#1"')
        server.sql('DROP TABLE topics."w#1"')
        server.sql("SELECT append('w:0', 'x')")
    both(act, lambda waiter, what: tap.equal(waiter.answer(), "1", what + " goes on with the others"))


def test_cancel():
    """a wait ends at once"""
    def act():
        server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%120 s%' "
                   "AND pid <> pg_backend_pid()")
    both(act, lambda waiter, what: tap.matches("canceling statement", waiter.answer(), what + " can be cancelled"))


def main():
    global server
    pg.demote()
    server = pg.Cluster(listener=False).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    tap.main([test_truncate, test_drop, test_partitions, test_detach, test_cancel])


main()
