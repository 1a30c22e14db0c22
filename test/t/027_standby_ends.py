#!/usr/bin/env python3
"""What a standby says of the ends of logs, while they move under it."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

SECONDS = 6
primary = standby = None

# Looks at a log again and again, each time with a new snapshot; an error says what does not fit.
LOOK = """
CREATE FUNCTION look(seconds int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before record;
	now record;
	largest bigint;
	log_end bigint;
BEGIN
	SELECT 0::bigint AS start_offset, 0::bigint AS end_offset INTO before;
	LOOP
		SELECT max("offset") INTO largest FROM topics.moving WHERE partition = 0;
		SELECT start_offset, end_offset, records INTO now FROM partitions WHERE topic = 'moving';
		log_end := log_end('moving:0');
		IF now.end_offset <= largest OR log_end < now.end_offset OR now.records <> now.end_offset - now.start_offset THEN
			RAISE 'largest %, then %, then log_end %', largest, now, log_end;
		END IF;
		IF now.start_offset < before.start_offset OR now.end_offset < before.end_offset THEN
			RAISE '%, then %', before, now;
		END IF;
		SELECT max("offset") INTO largest FROM topics.moving WHERE partition = 0;
		IF largest < log_end - 1 THEN
			RAISE 'log_end %, then largest %', log_end, largest;
		END IF;
		before := now;
		EXIT WHEN clock_timestamp() >= statement_timestamp() + make_interval(secs => seconds);
	END LOOP;
	RETURN before.end_offset;
END
$$;
"""

LOAD = """
SELECT append('moving:0', 'small');
SELECT produce('moving', repeat('x', 3000)) FROM generate_series(1, 30);
BEGIN; SELECT append('moving:0', repeat('never ', 100000)); ROLLBACK;
INSERT INTO topics.moving (value) SELECT repeat('y', 900)::bytea FROM generate_series(1, 500);
BEGIN; SELECT append('moving:0', 'never'); SELECT append('moving:0', 'never'); ROLLBACK;
SELECT delete_records('moving:0', log_start('moving:0') + 100);
"""


def in_background(function):
    """Runs it in a thread; what it returns, or raises, is in the list."""
    result = []

    def run():
        try:
            result.append(function())
        except pg.SqlError as e:
            result.append(str(e))
    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def test_moving():
    """no end is torn, and none goes back"""
    global primary, standby
    primary = pg.Cluster("primary", {"max_standby_streaming_delay": "-1"}, listener=False).init().start()
    primary.sql("CREATE EXTENSION pgtopic; SELECT create_topic('moving');" + LOOK + LOAD)
    standby = primary.standby().start()
    primary.wait_caught_up(standby)
    done = threading.Event()

    def load():
        while not done.is_set():
            primary.sql(LOAD)

    loader, loaded = in_background(load)
    readers = [in_background(lambda: standby.sql("SELECT look(%d)" % SECONDS)) for _ in range(3)]
    for thread, _ in readers:
        thread.join()
    done.set()
    loader.join()
    tap.equal(loaded, [None], "the load saw no error")
    for _, result in readers:
        tap.ok(result[0].isdigit() and int(result[0]) > 0, "a reader saw nothing wrong (%s)" % result[0])
    primary.wait_caught_up(standby)
    tap.equal(standby.sql("SELECT look(0)"), primary.sql("SELECT look(0)"), "at last both say the same")


def test_promotion():
    """what was known in recovery is found out anew"""
    primary.sql("BEGIN; SELECT append('moving:0', 'prepared'); SELECT append('moving:0', 'never')")
    expected = primary.sql("SELECT log_end('moving:0')")
    primary.wait_caught_up(standby)
    primary.stop("immediate")
    standby.promote()
    tap.equal(standby.sql("SELECT log_end('moving:0')"), expected, "the same end")
    tap.equal(standby.sql("SELECT append('moving:0', 'next')"), expected, "and it goes on there")


pg.demote()
tap.main([test_moving, test_promotion])
