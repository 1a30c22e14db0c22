--
-- Publications carry the records of topics
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
SELECT create_topic('pu_one', 2);
CREATE TABLE pu_heap (id int);

CREATE PUBLICATION pu_tables FOR TABLE pu_heap, topics.pu_one WITH (publish_via_partition_root);
CREATE PUBLICATION pu_some FOR TABLE ONLY topics.pu_one (partition, "offset", value) WHERE (partition = 0)
	WITH (publish = 'insert', publish_via_partition_root);
CREATE PUBLICATION pu_part FOR TABLE topics."pu_one#1" ("offset", key) WHERE ("offset" > 5) WITH (publish = 'insert');
CREATE PUBLICATION pu_schema FOR TABLES IN SCHEMA topics;
CREATE PUBLICATION pu_all FOR ALL TABLES;
SELECT pubname, schemaname, tablename, attnames, rowfilter FROM pg_publication_tables
WHERE pubname LIKE 'pu!_%' ESCAPE '!' AND tablename LIKE 'pu!_%' ESCAPE '!' ORDER BY pubname, tablename;
DROP PUBLICATION pu_tables, pu_some, pu_part, pu_schema, pu_all;
DROP TABLE pu_heap;
SELECT drop_topic('pu_one');
