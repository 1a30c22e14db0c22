"""What tests of sources share: a server with the extension ("here"), one without ("there"), and questions about both."""

import json

import cluster as pg
import tap

SETTINGS = {"wal_level": "logical", "max_replication_slots": 20, "max_wal_senders": 20, "max_worker_processes": 40}


class Pair:
    def __init__(self, here=None, there=None):
        self.here = pg.Cluster("here", dict(SETTINGS, **(here or {}))).init().start()
        self.there = pg.Cluster("there", dict(SETTINGS, **(there or {})), preload=False).init().start()
        self.here.sql("CREATE EXTENSION pgtopic")

    def connection(self, user="postgres", database="postgres"):
        return "host=%s port=%d user=%s dbname=%s" % (self.there.dir, self.there.port, user, database)

    def wait_for(self, what, query, server=None, expected="t", timeout=180):
        got = (server or self.here).wait_for(query, expected, timeout)
        if got != expected:
            tap.note("waited in vain for %s: %s" % (what, got))
            tap.note(self.here.sql("SELECT name, state, last_error FROM tasks_status"))
        return got == expected

    def records(self, topic):
        """(key, value, headers) of a topic with one partition, as text; None is null."""
        rows = self.here.sql("SELECT json_build_array(as_text(key), as_text(value), headers_to_jsonb(headers)) FROM topics.\"%s\" ORDER BY \"offset\"" % topic)
        return [(k, v, h and dict(h)) for k, v, h in (json.loads(row) for row in rows.split("\n") if row)]

    def wait_records(self, topic, n):
        return tap.ok(self.wait_for("%d records of %s" % (n, topic), "SELECT count(*) FROM topics.\"%s\"" % topic, expected=str(n)),
                      "%s has %d records" % (topic, n))

    def streaming(self, name):
        """The source has made its slot and its snapshot, and reads changes."""
        return self.wait_for(name + " streaming", "SELECT state = 'running' AND lsn IS NOT NULL FROM tasks_status WHERE name = '%s'" % name)

    def failing(self, name, pattern, what):
        return tap.ok(self.wait_for(what, "SELECT state = 'failing' AND last_error ~ '%s' FROM tasks_status WHERE name = '%s'" % (pattern, name)), what)

    def refused(self, pattern, statement, what):
        try:
            self.here.sql(statement)
            tap.ok(False, what)
        except pg.SqlError as problem:
            tap.matches(pattern, str(problem), what)
