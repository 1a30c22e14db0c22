-- outbox.sql: events beside a table, without an outbox table and without pgtopic where they are written.
--
--     script/server psql -f examples/outbox.sql
--
-- pg_logical_emit_message() writes into PostgreSQL's WAL and nowhere else, and
-- is undone with its transaction.  A source reads the messages and makes
-- records of them, exactly once.  Here both are one server.  With another
-- server, give create_source() a connection string; nothing needs to be
-- installed there.  All that is made here is dropped at the end.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;

CREATE TABLE outbox_orders (id int PRIMARY KEY, item text);
SELECT create_topic('outbox_events') AS made \gset
SELECT create_source('outbox_example', message_prefix => 'outbox', message_topics => ARRAY['outbox_events']) AS made \gset

-- Until the source has its slot: messages before that are not seen.
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_replication_slots
					  WHERE slot_name = 'pgtopic_outbox_example' AND confirmed_flush_lsn IS NOT NULL) LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;

\echo '--- Written'
\echo
\echo 'An order with its event, which says itself to which topic it goes.'
BEGIN;
INSERT INTO outbox_orders VALUES (1, 'bolt');
SELECT pg_logical_emit_message(true, 'outbox', jsonb_build_object(
	'topic', 'outbox_events', 'key', '1', 'value', jsonb_build_object('ordered', 'bolt'))::text) AS lsn \gset
COMMIT;
\echo 'An order that is rolled back, and its event with it.'
BEGIN;
INSERT INTO outbox_orders VALUES (2, 'nut');
SELECT pg_logical_emit_message(true, 'outbox', jsonb_build_object(
	'topic', 'outbox_events', 'key', '2', 'value', jsonb_build_object('ordered', 'nut'))::text) AS lsn \gset
ROLLBACK;
\echo 'An event in one line: the prefix has the topic, the content is the value.'
SELECT pg_logical_emit_message(true, 'outbox:outbox_events', '{"opened": "Monday"}') AS lsn \gset

DO $$
BEGIN
	WHILE log_end('outbox_events:0') < 2 LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
\echo
\echo '--- Read'
\echo
SELECT "offset", as_text(key) AS key, as_text(value) AS value FROM topics.outbox_events ORDER BY "offset";

SELECT drop_source('outbox_example') AS dropped \gset
SELECT drop_topic('outbox_events') AS dropped \gset
DROP TABLE outbox_orders;
