--
-- DDL on topics, also in a transaction that has rows waiting
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

-- a log of its own, outside of any topic
CREATE TABLE am_ddl_alone (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers headers) USING topic_log;
INSERT INTO am_ddl_alone (partition, value, "timestamp") VALUES (7, 'x', '2024-01-01');
SELECT * FROM am_ddl_alone;

-- the columns must be those of a topic
CREATE TABLE am_ddl_bad (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea) USING topic_log;
CREATE TABLE am_ddl_bad (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers jsonb) USING topic_log;
CREATE TABLE am_ddl_bad (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, val bytea, headers headers) USING topic_log;
CREATE TABLE am_ddl_bad USING topic_log AS SELECT 1 AS a;
CREATE TEMP TABLE am_ddl_bad (LIKE am_ddl_alone) USING topic_log;
CREATE UNLOGGED TABLE am_ddl_bad (LIKE am_ddl_alone) USING topic_log;
CREATE MATERIALIZED VIEW am_ddl_bad USING topic_log AS SELECT * FROM am_ddl_alone;
-- CREATE TABLE AS is possible
CREATE TABLE am_ddl_copy USING topic_log AS SELECT * FROM am_ddl_alone;
SELECT value, "timestamp" FROM am_ddl_copy;
DROP TABLE am_ddl_copy;

-- a heap becomes a log, offsets and all; not the other way round
CREATE TABLE am_ddl_heap (LIKE am_ddl_alone);
INSERT INTO am_ddl_heap ("offset", key) SELECT i, ('k' || i)::bytea FROM generate_series(5, 1000) i;
CREATE INDEX am_ddl_heap_key ON am_ddl_heap (key);
ALTER TABLE am_ddl_heap SET ACCESS METHOD topic_log;
SELECT count(*), min("offset"), max("offset") FROM am_ddl_heap;
INSERT INTO am_ddl_heap (key) VALUES ('new');
SET enable_seqscan = off;
SELECT "offset" FROM am_ddl_heap WHERE key IN ('k77', 'new') ORDER BY 1;
RESET enable_seqscan;
ALTER TABLE am_ddl_heap SET ACCESS METHOD heap;
DROP TABLE am_ddl_heap;

-- it becomes a partition, which sees its rows; and leaves again
CREATE TABLE am_ddl_parent (LIKE am_ddl_alone) PARTITION BY LIST (partition);
ALTER TABLE am_ddl_parent ATTACH PARTITION am_ddl_alone FOR VALUES IN (3);
SELECT partition, value FROM am_ddl_parent;
INSERT INTO am_ddl_parent (partition, value) VALUES (3, 'y');
INSERT INTO am_ddl_parent (partition, value) VALUES (4, 'no such partition');
INSERT INTO am_ddl_alone (partition, value) VALUES (4, 'not of this partition');
SELECT partition, value FROM am_ddl_parent ORDER BY "offset";
ALTER TABLE am_ddl_parent DETACH PARTITION am_ddl_alone;
SELECT partition, value FROM am_ddl_alone ORDER BY "offset";
ALTER TABLE am_ddl_parent ATTACH PARTITION am_ddl_alone FOR VALUES IN (5);
SELECT partition, value FROM am_ddl_alone ORDER BY "offset";
DROP TABLE am_ddl_parent;

-- rows that wait are there when a command looks at the table
SELECT create_topic('am_ddl');
BEGIN;
INSERT INTO topics.am_ddl (key, value) VALUES ('k', 'bad');
ALTER TABLE topics.am_ddl ADD CONSTRAINT good CHECK (value <> 'bad');
ROLLBACK;
BEGIN;
INSERT INTO topics.am_ddl (key, value) VALUES ('k', 'good');
ALTER TABLE topics.am_ddl ADD CONSTRAINT good CHECK (value <> 'bad');
SELECT "offset", value FROM topics.am_ddl;
COMMIT;
INSERT INTO topics.am_ddl (key, value, "timestamp") VALUES ('k', 'bad', '2024-01-01');
ALTER TABLE topics.am_ddl DROP CONSTRAINT good;
BEGIN;
INSERT INTO topics.am_ddl (key, value) VALUES (NULL, 'v');
ALTER TABLE topics.am_ddl ALTER key SET NOT NULL;
ROLLBACK;
-- created, filled and changed in one transaction
BEGIN;
SELECT create_topic('am_ddl_new', 2);
INSERT INTO topics.am_ddl_new (partition, key, value) VALUES (0, 'a', '1'), (1, 'b', '2');
CREATE INDEX ON topics.am_ddl_new (key);
INSERT INTO topics.am_ddl_new (partition, key, value) VALUES (0, 'c', '3');
ALTER TABLE topics.am_ddl_new ADD CHECK (key IS NOT NULL);
COMMIT;
SELECT partition, "offset", key FROM topics.am_ddl_new ORDER BY 1, 2;
-- the new constraint holds
BEGIN;
INSERT INTO topics.am_ddl_new (partition, value, "timestamp") VALUES (0, 'x', '2024-01-01');
ROLLBACK;
-- dropped with rows waiting
BEGIN;
INSERT INTO topics.am_ddl_new (partition, key, value) VALUES (0, 'd', 'x');
SELECT drop_topic('am_ddl_new');
COMMIT;
SELECT to_regclass('topics.am_ddl_new');
-- and the drop taken back
BEGIN;
INSERT INTO topics.am_ddl (key, value) VALUES ('survives', 'x');
SAVEPOINT s;
SELECT drop_topic('am_ddl');
ROLLBACK TO s;
COMMIT;
SELECT "offset", as_text(key) FROM topics.am_ddl ORDER BY 1;

-- names, owners and privileges are the server's
ALTER TABLE topics."am_ddl#0" RENAME TO am_ddl_zero;
INSERT INTO topics.am_ddl (value) VALUES ('after rename');
SELECT "offset", as_text(value) FROM topics.am_ddl_zero WHERE "offset" >= 2;
ALTER TABLE topics.am_ddl_zero RENAME TO "am_ddl#0";
ALTER TABLE topics.am_ddl SET SCHEMA public;
SELECT count(*) FROM public.am_ddl;
ALTER TABLE public.am_ddl SET SCHEMA topics;

-- row security and views
CREATE VIEW am_ddl_view AS SELECT as_text(key) AS k, as_text(value) AS v FROM topics.am_ddl;
SELECT * FROM am_ddl_view ORDER BY 1, 2;
DROP VIEW am_ddl_view;

-- sizes
SELECT pg_relation_size('topics."am_ddl#0"') > 0 AS has_size,
	pg_relation_size('topics."am_ddl#0"', 'vm') AS vm, pg_relation_size('topics."am_ddl#0"', 'fsm') AS fsm,
	pg_table_size('topics."am_ddl#0"') = pg_relation_size('topics."am_ddl#0"') AS no_toast,
	pg_indexes_size('topics."am_ddl#0"') AS indexes;

SELECT drop_topic('am_ddl');
