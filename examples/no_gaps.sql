-- no_gaps.sql: the row that a reader misses in a table, and does not miss in a topic.
--
--     script/server psql -f examples/no_gaps.sql
--
-- Two sessions write an event each.  Ann's begins first and commits last.  A
-- reader asks for everything behind the last event that it has seen.
--
-- Ann's session is a psql in the background.  It waits for an advisory lock
-- before it commits, so that the order is the same each time.  All that is
-- made here is dropped at the end.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\setenv PGHOST :HOST
\setenv PGPORT :PORT
\setenv PGUSER :USER
\setenv PGDATABASE :DBNAME
SET client_min_messages = warning;
SELECT pg_advisory_lock(1709) AS held \gset

CREATE TABLE no_gaps_events (id bigserial PRIMARY KEY, what text);
CREATE TABLE no_gaps_read_table (id bigint, what text);
CREATE TABLE no_gaps_read_topic (id bigint, what text);
SELECT create_topic('no_gaps') AS made \gset

-- Until Ann's session has written and waits for us.
CREATE PROCEDURE pg_temp.ann_has_written() LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 1709 AND NOT granted) LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
END
$$;

\echo '--- A table with a sequence'
\echo
\echo 'Ann:    BEGIN; INSERT INTO events ...;         takes id 1'
\! psql -Xq -c BEGIN -c "INSERT INTO no_gaps_events (what) VALUES ('Ann pays')" -c "SELECT pg_advisory_xact_lock(1709)" -c COMMIT >/dev/null &
CALL pg_temp.ann_has_written();
\echo 'Bob:    INSERT INTO events ...;                takes id 2, and commits'
INSERT INTO no_gaps_events (what) VALUES ('Bob pays');
\echo 'reader: SELECT ... WHERE id > 0'
INSERT INTO no_gaps_read_table SELECT id, what FROM no_gaps_events
	WHERE id > 0 ORDER BY id RETURNING id, what;
\echo 'Ann:    COMMIT;'
\echo 'reader: SELECT ... WHERE id > 2'
-- Ann's session gets the lock and commits; then we get it back.
SELECT pg_advisory_unlock(1709), pg_advisory_lock(1709) AS held \gset
INSERT INTO no_gaps_read_table SELECT id, what FROM no_gaps_events
	WHERE id > (SELECT max(id) FROM no_gaps_read_table) ORDER BY id RETURNING id, what;

\echo '--- A topic'
\echo
\echo 'Ann:    BEGIN; SELECT produce(...);            has no offset yet'
\! psql -Xq -c BEGIN -c "SELECT produce('no_gaps', 'Ann pays')" -c "SELECT pg_advisory_xact_lock(1709)" -c COMMIT >/dev/null &
CALL pg_temp.ann_has_written();
\echo 'Bob:    SELECT produce(...);                   commits, and gets offset 0'
SELECT produce('no_gaps', 'Bob pays') AS done \gset
\echo 'reader: SELECT ... WHERE "offset" > -1'
INSERT INTO no_gaps_read_topic SELECT "offset", as_text(value) FROM topics.no_gaps
	WHERE "offset" > -1 ORDER BY "offset" RETURNING id AS "offset", what;
\echo 'Ann:    COMMIT;                                gets offset 1'
\echo 'reader: SELECT ... WHERE "offset" > 0'
SELECT pg_advisory_unlock(1709), pg_advisory_lock(1709) AS held \gset
INSERT INTO no_gaps_read_topic SELECT "offset", as_text(value) FROM topics.no_gaps
	WHERE "offset" > (SELECT max(id) FROM no_gaps_read_topic) ORDER BY "offset" RETURNING id AS "offset", what;

\echo '--- What the reader has missed for ever'
\echo
SELECT 'table' AS "where", what AS missed FROM
	(SELECT what FROM no_gaps_events EXCEPT SELECT what FROM no_gaps_read_table) t
UNION ALL
SELECT 'topic', what FROM
	(SELECT as_text(value) AS what FROM topics.no_gaps EXCEPT SELECT what FROM no_gaps_read_topic) t;

SELECT pg_advisory_unlock(1709) AS released \gset
DROP TABLE no_gaps_events, no_gaps_read_table, no_gaps_read_topic;
SELECT drop_topic('no_gaps') AS dropped \gset
