--
-- Who may do what is what GRANT says
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_pt_maker, regress_pt_writer, regress_pt_reader, regress_pt_nobody;
RESET client_min_messages;
CREATE ROLE regress_pt_maker;
CREATE ROLE regress_pt_writer;
CREATE ROLE regress_pt_reader;
CREATE ROLE regress_pt_nobody;
GRANT USAGE ON SCHEMA topics TO regress_pt_maker, regress_pt_writer, regress_pt_reader;

-- creating takes CREATE on the schema
SET ROLE regress_pt_maker;
SELECT create_topic('pv');
RESET ROLE;
GRANT CREATE ON SCHEMA topics TO regress_pt_maker;
SET ROLE regress_pt_maker;
SELECT create_topic('pv', 2);
SELECT relname, relowner::regrole FROM pg_class WHERE relname LIKE 'pv%' AND relkind IN ('r', 'p') ORDER BY 1;
SELECT produce('pv', 'mine', partition => 0);
SELECT as_text(value) FROM poll('pv', 0, 0);
GRANT INSERT ON topics.pv TO regress_pt_writer;
GRANT SELECT ON topics.pv TO regress_pt_reader;

SET ROLE regress_pt_writer;
SELECT produce('pv', 'written', partition => 0), append('pv:0', 'appended');
SELECT count(*) FROM poll('pv', 0, 0);
SELECT count(*) FROM consume('pv', 'pv_group');
SELECT count(*) FROM topics.pv;

SET ROLE regress_pt_reader;
SELECT as_text(value) FROM poll('pv', 0, 0);
SELECT count(*) FROM consume('pv', 'pv_group');
SELECT count(*) FROM consume('pv', 'pv_group');
SELECT * FROM seek('pv_group', 'pv', 0, partition => 0);
SELECT count(*) FROM consume('pv', 'pv_group');
SELECT produce('pv', 'x');
SELECT append('pv:0', 'x');

-- names and sizes are for those who have some privilege
SET ROLE regress_pt_nobody;
SELECT topic, partitions FROM topics WHERE topic = 'pv';
SELECT topic, partition, records FROM partitions WHERE topic = 'pv';
SELECT produce('pv', 'x');
SELECT append('pv:0', 'x');
SELECT count(*) FROM poll('pv', 0, 0);
SELECT count(*) FROM consume('pv', 'pv_group');
SELECT * FROM seek('pv_group', 'pv', 0, partition => 0);
SELECT kafka_call('\x');
SELECT kafka_ask('\x');
-- the committed offsets of all groups are not
SELECT count(*) FROM topics.__consumer_offsets;
SELECT produce('__consumer_offsets', 'x', 'k');

-- changing takes ownership
SELECT alter_topic('pv', '{"retention.ms": 5}');
SELECT add_partitions('pv', 3);
SELECT drop_topic('pv');
SET ROLE regress_pt_writer;
SELECT alter_topic('pv', '{"retention.ms": 5}');
SELECT add_partitions('pv', 3);
SELECT drop_topic('pv');
SELECT create_topic_view('pv');
SECURITY LABEL FOR pgtopic ON TABLE topics.pv IS '{}';
SET ROLE regress_pt_maker;
SELECT alter_topic('pv', '{"retention.ms": 5}');
SELECT add_partitions('pv', 3);

-- whoever may not see the schema may still use a topic by its name
SET ROLE regress_pt_nobody;
SELECT 'pv'::topic;

-- row-level security has no place in produce() and consume()
RESET ROLE;
ALTER TABLE topics.pv ENABLE ROW LEVEL SECURITY;
CREATE POLICY pv_all ON topics.pv TO regress_pt_reader, regress_pt_writer USING (partition = 0);
SET ROLE regress_pt_reader;
SELECT count(*) FROM topics.pv;
SELECT count(*) FROM poll('pv', 0, 0);
SELECT count(*) FROM consume('pv', 'pv_group');
SET ROLE regress_pt_writer;
SELECT produce('pv', 'x');
INSERT INTO topics.pv (partition, value) VALUES (1, 'x');
RESET ROLE;
SELECT count(*) FROM poll('pv', 0, 0);

SET ROLE regress_pt_maker;
SELECT drop_topic('pv');
RESET ROLE;
REVOKE ALL ON SCHEMA topics FROM regress_pt_maker, regress_pt_writer, regress_pt_reader;
DROP ROLE regress_pt_maker, regress_pt_writer, regress_pt_reader, regress_pt_nobody;
