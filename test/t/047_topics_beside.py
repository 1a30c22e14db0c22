#!/usr/bin/env python3
"""Sessions create, drop, change and read topics of the same and of other names beside one another.

Each statement may find that somebody was faster, and says so: the topic exists,
or does not exist.  Nothing else may come of it, as from a look at a table that
has gone meanwhile.  PGTOPIC_SEED repeats the choices, though not those of the scheduler.
"""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

SEED = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
SESSIONS = 10
STEPS = tap.size("PGTOPIC_STEPS", 150, 1500)        # of each session
NAMES = 4               # that all sessions use; each has one of its own, too

# 42P01, 42P07, 42704: somebody was faster; 22023: the topic has as many partitions; 40P01: two wait for each other's tables.
STATEMENT = """
DO $$
DECLARE
	name text;
	what int;
	faults text[] := '{}';
	state text;
	message text;
	context text;
BEGIN
	PERFORM setseed(%f);
	FOR i IN 1..%d LOOP
		name := CASE WHEN random() < 0.8 THEN 't' || floor(random() * %d) ELSE 'own%d' END;
		what := floor(random() * 12);
		BEGIN
			CASE
				WHEN what < 4 THEN PERFORM create_topic(name, 1 + floor(random() * 3)::int);
				WHEN what < 7 THEN PERFORM drop_topic(name);
				WHEN what = 7 THEN PERFORM count(*) FROM partitions;
				WHEN what = 8 THEN PERFORM produce(name, 'x', partition => 0);
				WHEN what = 9 THEN PERFORM add_partitions(name, 4);
				WHEN what = 10 THEN EXECUTE format('ALTER TABLE topics.%%I ALTER key SET DEFAULT NULL', name);
				ELSE PERFORM alter_topic(name, '{"max.message.bytes": 1000}');
			END CASE;
		EXCEPTION
			WHEN undefined_table OR duplicate_table OR undefined_object OR deadlock_detected OR invalid_parameter_value THEN
				NULL;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
				faults := faults || format('%%s %%s: %%s', state, message, context);
		END;
		COMMIT;
	END LOOP;
	RAISE NOTICE 'faults: %%', faults;
END
$$
"""

server = None


def test_setup():
    global server
    tap.note("PGTOPIC_SEED=%d" % SEED)
    server = pg.Cluster("main", {"autovacuum": "off"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")


def test_beside():
    """nobody gets an error that is not about the topic"""
    chance = random.Random(SEED)
    sessions = [server.session() for _ in range(SESSIONS)]
    for i, session in enumerate(sessions):
        session.send(STATEMENT % (chance.random(), STEPS, NAMES, i))
    answers = [session.answer() for session in sessions]
    for session in sessions:
        session.close()
    told = [a[a.index("faults:"):] if "faults:" in a else a for a in answers]
    tap.equal([t for t in told if t != "faults: {}"], [], "no session got another error")
    tap.equal(server.sql("SELECT string_agg(DISTINCT (SELECT count(*) FROM pg_tables WHERE tablename = topic::text)::text, ',') FROM topics"),
              "1", "what is left is whole")


def main():
    pg.demote()
    tap.main([test_setup, test_beside])


main()
