-- sink_mirror.sql: a table that follows the changes of another one.
--
--     script/server psql -f examples/sink_mirror.sql
--
-- Debezium writes each change of a table as a record: what it was before, and
-- what it is after.  The records here are such ones, written by hand; they may
-- come over Kafka from any database.  A sink does to its table what they say,
-- each once.  All that is made here is dropped at the end.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;

SELECT create_topic('example_changes', partitions => 2) AS made \gset
CREATE TABLE example_stock (item text PRIMARY KEY, pieces int, since date);

-- Until the sink has done all that there is.
CREATE PROCEDURE pg_temp.wait_for_sink() LANGUAGE plpgsql AS $$
BEGIN
	COMMIT;
	WHILE coalesce((SELECT sum(lag) > 0 FROM group_lag WHERE group_id = 'example_stock'), true) LOOP
		PERFORM pg_sleep(0.01);
		COMMIT;
	END LOOP;
END
$$;

\echo '--- The table is filled'
\echo
SELECT create_sink('example_stock', 'example_changes', 'example_stock', mode => 'mirror') AS made \gset
SELECT produce('example_changes', '{"op": "c", "before": null, "after": {"item": "bolt", "pieces": 100, "since": 19723}}'::jsonb, key => '{"item": "bolt"}'),
	produce('example_changes', '{"op": "c", "before": null, "after": {"item": "nut", "pieces": 50, "since": 19724}}'::jsonb, key => '{"item": "nut"}') \gset
CALL pg_temp.wait_for_sink();
TABLE example_stock ORDER BY item;

\echo '--- A row changes, and one is deleted'
\echo
SELECT produce('example_changes', '{"op": "u", "before": null, "after": {"item": "bolt", "pieces": 97, "since": 19723}}'::jsonb, key => '{"item": "bolt"}'),
	produce('example_changes', '{"op": "d", "before": {"item": "nut"}, "after": null}'::jsonb, key => '{"item": "nut"}') \gset
CALL pg_temp.wait_for_sink();
TABLE example_stock ORDER BY item;

SELECT drop_sink('example_stock') AS dropped \gset
SELECT drop_topic('example_changes') AS dropped \gset
DROP TABLE example_stock;
