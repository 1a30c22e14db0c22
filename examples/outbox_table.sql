-- outbox_table.sql: the usual outbox table, whose rows become records of the topics that they name.
--
--     script/server psql -f examples/outbox_table.sql
--
-- An application writes its data and a row of the outbox in one transaction.
-- A source reads what was inserted, also what is deleted at once: the table
-- stays empty.  Here both are one server.  With another server, give
-- create_source() a connection string; nothing needs to be installed there.
-- All that is made here is dropped at the end.

\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;

CREATE TABLE outbox_orders (id int PRIMARY KEY, item text);
CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
SELECT create_topic('outbox.event.order') AS made \gset
SELECT create_source('outbox_example', tables => ARRAY['outbox'], format => 'outbox') AS made \gset

-- Until the source has its slot: rows that are deleted before that are not
-- seen.
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
\echo 'An order with its event, which is deleted in the same transaction.'
BEGIN;
INSERT INTO outbox_orders VALUES (17, 'bolt');
INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'order', '17', 'OrderPlaced', '{"item": "bolt"}');
DELETE FROM outbox;
COMMIT;
\echo 'An order that is rolled back, and its event with it.'
BEGIN;
INSERT INTO outbox_orders VALUES (18, 'nut');
INSERT INTO outbox VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'order', '18', 'OrderPlaced', '{"item": "nut"}');
ROLLBACK;

DO $$
BEGIN
	WHILE log_end('outbox.event.order:0') < 1 LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
\echo
\echo '--- Read'
\echo
SELECT as_text(key) AS key, as_text(value) AS value, headers->>'type' AS type FROM topics."outbox.event.order" ORDER BY "offset";

SELECT drop_source('outbox_example') AS dropped \gset
SELECT drop_topic('outbox.event.order') AS dropped \gset
DROP TABLE outbox, outbox_orders;
