-- processor_running_aggregate.sql: totals that follow a topic, each record counted once.
--
--     script/server psql -f examples/processor_running_aggregate.sql
--
-- A processor runs a statement over each batch of new records.  What the
-- statement writes and how far the processor is are committed together, so
-- nothing is counted twice or missed, whatever ends at whatever moment.
-- Records that the statement cannot read go to a dead-letter topic.  All that
-- is made here is dropped at the end.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;

SELECT create_topic('example_orders', partitions => 2), create_topic('example_orders_dead') \gset
CREATE TABLE example_sold (item text PRIMARY KEY, orders bigint, pieces bigint);

-- Until the processor has done all that there is.
CREATE PROCEDURE pg_temp.wait_for_processor() LANGUAGE plpgsql AS $$
BEGIN
	COMMIT;
	WHILE (SELECT lag > 0 FROM tasks_status WHERE name = 'example_sold') LOOP
		PERFORM pg_sleep(0.01);
		COMMIT;
	END LOOP;
END
$$;

\echo '--- A processor'
\echo
SELECT create_processor('example_sold', topics => array['example_orders'], on_error => 'example_orders_dead', statement => $$
	INSERT INTO example_sold AS sold
		SELECT value->>'item', count(*), sum((value->>'pieces')::int) FROM records GROUP BY 1
		ON CONFLICT (item) DO UPDATE SET orders = sold.orders + excluded.orders, pieces = sold.pieces + excluded.pieces
$$) AS made \gset

SELECT produce('example_orders', '{"item": "bolt", "pieces": 3}'::jsonb), produce('example_orders', '{"item": "nut", "pieces": 20}'::jsonb),
	produce('example_orders', '{"item": "bolt", "pieces": 4}'::jsonb) \gset
CALL pg_temp.wait_for_processor();
TABLE example_sold ORDER BY item;

\echo '--- More of them, and one that is no JSON'
\echo
SELECT produce('example_orders', '{"item": "bolt", "pieces": 1}'::jsonb), produce('example_orders', 'three bolts, please', key => 'Ann') \gset
CALL pg_temp.wait_for_processor();
TABLE example_sold ORDER BY item;
SELECT as_text(key) AS key, as_text(value) AS value, headers->>'error' AS error FROM topics.example_orders_dead;
SELECT name, state, records, skipped, lag FROM tasks_status WHERE name = 'example_sold';

SELECT drop_processor('example_sold') AS dropped \gset
SELECT drop_topic('example_orders'), drop_topic('example_orders_dead') \gset
DROP TABLE example_sold;
