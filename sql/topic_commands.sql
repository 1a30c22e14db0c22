--
-- PostgreSQL's commands on the tables of a topic: each works, and the topic follows, or is refused with a hint
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE SCHEMA tc_other;
CREATE ROLE tc_owner;
CREATE FUNCTION tc_parts(t text) RETURNS TABLE (partition int, leaf regclass, start_offset bigint, end_offset bigint)
	LANGUAGE sql AS 'SELECT p.partition, p.leaf, p.start_offset, p.end_offset FROM partitions p WHERE p.topic::text = t ORDER BY 1';

SELECT create_topic('tc', 3);
SELECT count(*) FROM (SELECT produce('tc', 'r' || i, key => 'k' || i, partition => i % 3) FROM generate_series(0, 8) i) x;

-- names
ALTER TABLE topics.tc RENAME TO tc2;
ALTER INDEX topics.tc RENAME TO tc2;
ALTER TABLE topics.tc RENAME COLUMN value TO v;
ALTER TABLE topics."tc#0" RENAME COLUMN value TO v;
ALTER TABLE topics."tc#0" RENAME TO tc_zero;
ALTER INDEX topics."tc#offset" RENAME TO tc_by_offset;
SELECT * FROM tc_parts('tc');
ALTER TABLE topics.tc_zero RENAME TO "tc#0";

-- columns
ALTER TABLE topics.tc ADD COLUMN x int;
ALTER TABLE topics.tc ADD COLUMN x int GENERATED ALWAYS AS (partition) STORED;
ALTER TABLE topics."tc#0" ADD COLUMN x int;
ALTER TABLE topics.tc DROP COLUMN headers;
ALTER TABLE topics.tc ALTER COLUMN key TYPE text;
ALTER TABLE topics.tc ALTER COLUMN partition ADD GENERATED ALWAYS AS IDENTITY;
ALTER TABLE topics.tc ALTER COLUMN "offset" SET DEFAULT 7;
ALTER TABLE topics.tc ALTER COLUMN "offset" DROP DEFAULT;
ALTER TABLE topics.tc ALTER COLUMN "offset" SET NOT NULL;
ALTER TABLE topics.tc ALTER COLUMN value SET DEFAULT 'by default';
ALTER TABLE ONLY topics.tc ALTER COLUMN partition SET DEFAULT 1;
ALTER TABLE topics.tc ALTER COLUMN value SET STATISTICS 10;
ALTER TABLE topics.tc ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE topics.tc ALTER COLUMN value SET NOT NULL;
INSERT INTO topics.tc (key) VALUES ('default');
SELECT partition, "offset", value FROM topics.tc WHERE key = 'default';
INSERT INTO topics.tc (value, "timestamp") VALUES (NULL, '2024-01-01');
ALTER TABLE topics.tc ALTER COLUMN value DROP NOT NULL, ALTER COLUMN value DROP DEFAULT;

-- storage
ALTER TABLE topics."tc#0" SET ACCESS METHOD heap;
ALTER TABLE topics."tc#0" SET UNLOGGED;
ALTER TABLE topics."tc#0" SET (autovacuum_enabled = false);
ALTER TABLE topics."tc#0" RESET (autovacuum_enabled);
ALTER TABLE topics."tc#0" REPLICA IDENTITY FULL;
ALTER TABLE topics."tc#0" SET TABLESPACE pg_default;
CREATE INDEX tc_key ON topics.tc (key);
CLUSTER topics."tc#0" USING "tc#0_key_idx";
CLUSTER topics."tc#0" USING "tc#0_offset_timestamp_idx";
REINDEX TABLE topics.tc;
REINDEX TABLE CONCURRENTLY topics."tc#0";
REINDEX INDEX topics."tc#0_offset_timestamp_idx";
DROP INDEX topics."tc#0_offset_timestamp_idx";
DROP INDEX topics.tc_by_offset, topics.tc_key;
CREATE INDEX tc_by_offset ON topics.tc USING topic_position ("offset", "timestamp");
CREATE UNIQUE INDEX ON topics.tc (key);
CREATE INDEX ON topics.tc USING brin ("timestamp");
CREATE INDEX CONCURRENTLY ON topics."tc#0" (key);

-- inheritance and rules; triggers work, see am_constraints
CREATE TABLE tc_child () INHERITS (topics."tc#0");
CREATE TABLE tc_child () INHERITS (topics.tc);
CREATE TABLE tc_parent (a int);
ALTER TABLE topics."tc#0" INHERIT tc_parent;
ALTER TABLE topics."tc#0" NO INHERIT topics.tc;
DROP TABLE tc_parent;
CREATE RULE r AS ON INSERT TO topics.tc DO INSTEAD NOTHING;
-- a log beside other tables of a plain inheritance tree
CREATE TABLE tc_parent (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers headers);
CREATE TABLE tc_child (LIKE tc_parent) USING topic_log;
ALTER TABLE tc_child INHERIT tc_parent;
INSERT INTO tc_child (value) VALUES ('in the child');
INSERT INTO tc_parent (value) VALUES ('in the parent');
SELECT tableoid::regclass, "offset", value FROM tc_parent ORDER BY 1;
ALTER TABLE tc_parent ADD COLUMN x int;
ALTER TABLE tc_child NO INHERIT tc_parent;
DROP TABLE tc_child, tc_parent;

-- a topic in another schema is a table like any other; back again, it is the same topic
SELECT id AS id FROM topics WHERE topic = 'tc' \gset
ALTER TABLE topics.tc SET SCHEMA tc_other;
SELECT count(*) FROM topics WHERE topic::text = 'tc';
SELECT produce('tc', 'x');
INSERT INTO tc_other.tc (partition, value) VALUES (1, 'meanwhile');
ALTER TABLE tc_other.tc RENAME TO tc2;
ALTER TABLE tc_other.tc2 RENAME TO tc;
ALTER TABLE tc_other.tc SET SCHEMA topics;
SELECT partitions, id = :'id' AS same_id FROM topics WHERE topic = 'tc';
SELECT * FROM tc_parts('tc');
-- leaves may be anywhere
ALTER TABLE topics."tc#1" SET SCHEMA tc_other;
SELECT produce('tc', 'x', partition => 1);
SELECT * FROM tc_parts('tc');
DROP SCHEMA tc_other CASCADE;
SELECT * FROM tc_parts('tc');
SELECT partitions FROM topics WHERE topic = 'tc';
CREATE SCHEMA tc_other;

-- owners
ALTER TABLE topics.tc OWNER TO tc_owner;
SELECT relowner::regrole FROM pg_class WHERE oid = 'topics.tc'::regclass;
ALTER TABLE topics.tc OWNER TO CURRENT_USER;

-- a partition that was dropped is a gap: nothing goes there until another table takes its place
SELECT produce('tc', 'x', partition => 1);
SELECT count(*) FILTER (WHERE number(p) = 1) FROM (SELECT produce('tc', 'anywhere') AS p FROM generate_series(1, 20)) x;
CREATE TABLE topics."tc#1" PARTITION OF topics.tc FOR VALUES IN (1) USING topic_log;
SELECT produce('tc', 'x', partition => 1);
SELECT * FROM tc_parts('tc') WHERE partition = 1;
DROP TABLE topics."tc#2";
SELECT partitions FROM topics WHERE topic = 'tc';
SELECT add_partitions('tc', total => 4);
SELECT partition, leaf FROM tc_parts('tc');

-- in and out
ALTER TABLE topics.tc DETACH PARTITION topics."tc#0";
SELECT partition, leaf FROM tc_parts('tc');
SELECT count(*) > 0 AS has_records FROM topics."tc#0";
INSERT INTO topics."tc#0" (value) VALUES ('detached');
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (0, 9);
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (NULL);
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (-1);
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (100000);
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" DEFAULT;
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (0);
SELECT as_text(value) FROM topics.tc WHERE partition = 0 ORDER BY "offset" DESC LIMIT 1;
SELECT start_offset < end_offset AS has_records FROM tc_parts('tc') WHERE partition = 0;
ALTER TABLE topics.tc DETACH PARTITION topics."tc#0" CONCURRENTLY;
SELECT partition, leaf FROM tc_parts('tc');
BEGIN;
INSERT INTO topics."tc#0" (value) VALUES ('waits');
ALTER TABLE topics.tc ATTACH PARTITION topics."tc#0" FOR VALUES IN (0);
SELECT produce('tc', 'behind it', partition => 0);
COMMIT;
SELECT as_text(value) FROM topics.tc WHERE partition = 0 ORDER BY "offset" DESC LIMIT 2;

-- only logs, one number each
CREATE TABLE tc_heap PARTITION OF topics.tc FOR VALUES IN (7);
CREATE TABLE tc_heap (LIKE topics.tc);
ALTER TABLE topics.tc ATTACH PARTITION tc_heap FOR VALUES IN (7);
DROP TABLE tc_heap;
CREATE TABLE tc_sub PARTITION OF topics.tc FOR VALUES IN (7) PARTITION BY LIST (key);
CREATE TABLE tc_two PARTITION OF topics.tc FOR VALUES IN (7, 8) USING topic_log;
CREATE TABLE tc_rest PARTITION OF topics.tc DEFAULT USING topic_log;
CREATE FOREIGN DATA WRAPPER tc_wrapper;
CREATE SERVER tc_server FOREIGN DATA WRAPPER tc_wrapper;
CREATE FOREIGN TABLE tc_foreign PARTITION OF topics.tc FOR VALUES IN (7) SERVER tc_server;
DROP FOREIGN DATA WRAPPER tc_wrapper CASCADE;
SET default_table_access_method = topic_log;
CREATE TABLE tc_five PARTITION OF topics.tc FOR VALUES IN (4);
RESET default_table_access_method;
SELECT partition, leaf FROM tc_parts('tc');

-- copies: of the columns, of the records
CREATE TABLE tc_like (LIKE topics.tc INCLUDING ALL) USING topic_log;
CREATE TABLE tc_like2 (LIKE topics.tc INCLUDING ALL);
CREATE TABLE tc_as USING topic_log AS SELECT * FROM topics.tc WHERE false;
CREATE TABLE tc_plain AS SELECT * FROM topics.tc;
SELECT count(*) = (SELECT count(*) FROM topics.tc) AS all_there FROM tc_plain;
DROP TABLE tc_like, tc_as, tc_plain;

-- the whole of it
TRUNCATE topics.tc;
SELECT bool_and(start_offset = end_offset AND (partition > 1 OR start_offset > 0)) AS keeps_ends FROM tc_parts('tc');
BEGIN;
DROP TABLE topics.tc;
SELECT count(*) FROM topics WHERE topic::text = 'tc';
ROLLBACK;
SELECT partitions FROM topics WHERE topic = 'tc';
CREATE VIEW tc_view AS SELECT * FROM topics.tc;
DROP TABLE topics.tc;
DROP TABLE topics.tc CASCADE;
SELECT count(*) FROM topics WHERE topic::text = 'tc';
-- the schema of topics belongs to the extension
DROP SCHEMA topics CASCADE;

DROP SCHEMA tc_other;
DROP ROLE tc_owner;
DROP FUNCTION tc_parts;
