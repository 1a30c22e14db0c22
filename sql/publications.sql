--
-- Publications: a topic is refused; one of a schema or of all tables gets a
-- warning
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
SELECT create_topic('pu_one', 2);
CREATE SCHEMA pu_schema;
CREATE TABLE pu_schema.plain (id int);
CREATE TABLE pu_heap (id int);

CREATE PUBLICATION pu FOR TABLE topics.pu_one;
CREATE PUBLICATION pu FOR TABLE pu_heap, topics."pu_one#1";
CREATE PUBLICATION pu FOR TABLE ONLY topics.pu_one WHERE (partition = 0);
CREATE PUBLICATION pu FOR TABLE pu_missing;
CREATE PUBLICATION pu FOR TABLE pu_heap;
ALTER PUBLICATION pu ADD TABLE topics.pu_one;
ALTER PUBLICATION pu SET TABLE pu_heap, topics.pu_one;
ALTER PUBLICATION pu DROP TABLE topics.pu_one;
SELECT tablename FROM pg_publication_tables WHERE pubname = 'pu';

-- a table above a topic's partitions is as bad
CREATE TABLE pu_above (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers headers)
	PARTITION BY LIST (partition);
CREATE TABLE pu_log PARTITION OF pu_above FOR VALUES IN (0) USING topic_log;
ALTER PUBLICATION pu ADD TABLE pu_above;
DROP PUBLICATION pu;

-- with logs in it, or not
CREATE PUBLICATION pu FOR TABLES IN SCHEMA pu_schema;
ALTER PUBLICATION pu ADD TABLES IN SCHEMA topics;
ALTER PUBLICATION pu SET TABLES IN SCHEMA pu_schema;
ALTER TABLE pu_log SET SCHEMA pu_schema;
ALTER PUBLICATION pu SET TABLES IN SCHEMA pu_schema;
SET search_path = topics, public;
ALTER PUBLICATION pu SET TABLES IN SCHEMA CURRENT_SCHEMA;
RESET search_path;
ALTER PUBLICATION pu SET TABLES IN SCHEMA pu_missing;
DROP PUBLICATION pu;
CREATE PUBLICATION pu FOR ALL TABLES;
DROP PUBLICATION pu;

DROP TABLE pu_above, pu_heap;
DROP SCHEMA pu_schema CASCADE;
SELECT drop_topic('pu_one');
