--
-- Topics are tables: made, found, changed and dropped
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('td_one');
SELECT create_topic('td_three', 3);
SELECT create_topic('td_nulls', NULL, NULL);
SELECT create_topic(name => 'td_conf', config => '{"retention.ms": 1000, "cleanup.policy": ["compact", "delete"], "preallocate": true}');
\d topics.td_three
\d topics."td_three#1"
SELECT topic, internal, partitions, configs FROM topics WHERE topic::text LIKE 'td\_%' ORDER BY topic::text;
SELECT topic, partition, leaf, start_offset, end_offset, records, bytes, extents FROM partitions
	WHERE topic::text LIKE 'td\_%' ORDER BY topic::text, partition;
SELECT count(DISTINCT id) FROM topics WHERE topic::text LIKE 'td\_%';

-- what is refused
SELECT create_topic('td_one');
SELECT create_topic('');
SELECT create_topic('.');
SELECT create_topic('..');
SELECT create_topic('td one');
SELECT create_topic('td#one');
SELECT create_topic(repeat('x', 250));
SELECT create_topic('td_zero', 0);
SELECT create_topic('td_many', 100001);
SELECT create_topic('__consumer_offsets');
SELECT create_topic('td_none') WHERE false;
SELECT create_topic(NULL);
SELECT add_partitions('td_one', NULL);
SELECT drop_topic(NULL);
CREATE TABLE topics.td_table (a int);
SELECT create_topic('td_table');
SELECT 'td_table'::topic::regclass;
DROP TABLE topics.td_table;

-- names are case-sensitive, may have dots, and may be long
SELECT create_topic('TD_One'), create_topic('td.one'), create_topic('td-one');
SELECT create_topic(repeat('td.long', 35), 2);
SELECT create_topic(repeat('td.long', 35) || '2');
SELECT topic = repeat('td.long', 35)::topic AS found, partitions FROM topics WHERE topic::text LIKE 'td.long%' ORDER BY 1;
SELECT relname FROM pg_class WHERE relnamespace = 'topics'::regnamespace AND relname LIKE 'td.long%' AND relkind IN ('r', 'p') ORDER BY 1;
SELECT produce(repeat('td.long', 35), 'x', partition => 1) = (repeat('td.long', 35) || ':1')::partition AS produced;
SELECT repeat('td.long', 35)::topic::regclass AS table \gset
SELECT partition, value FROM :table;

-- partitions are added, never taken away
SELECT add_partitions('td_one', total => 3);
\d topics.td_one
SELECT partitions FROM topics WHERE topic = 'td_one';
SELECT add_partitions('td_one', 3);
SELECT add_partitions('td_one', 0);

-- configs
SELECT alter_topic('td_conf', '{"retention.ms": null, "segment.ms": 5}');
SELECT configs FROM topics WHERE topic = 'td_conf';
SELECT alter_topic('td_conf', '{"nonsense": 5}');
SELECT alter_topic('td_conf', '{}');
SELECT configs FROM topics WHERE topic = 'td_conf';

-- all of it is transactional
BEGIN;
SELECT create_topic('td_undone');
SELECT produce('td_undone', 'x');
SELECT alter_topic('td_conf', '{"retention.ms": 7}');
SELECT add_partitions('td_three', 4);
SELECT configs FROM topics WHERE topic = 'td_conf';
SELECT partitions FROM topics WHERE topic = 'td_three';
SELECT produce('td_three', 'x', partition => 3);
ROLLBACK;
SELECT 'td_undone'::topic::regclass;
SELECT configs FROM topics WHERE topic = 'td_conf';
SELECT partitions FROM topics WHERE topic = 'td_three';
SELECT produce('td_three', 'x', partition => 3);
BEGIN;
SAVEPOINT s;
SELECT create_topic('td_sub');
ROLLBACK TO s;
SELECT create_topic('td_sub');
SELECT drop_topic('td_sub');
SELECT create_topic('td_sub', 2);
COMMIT;
SELECT partitions FROM topics WHERE topic = 'td_sub';

-- a topic keeps its name
ALTER TABLE topics.td_three RENAME TO td_drei;

-- a table made by hand is a topic, too
CREATE TABLE topics.td_hand (partition int NOT NULL, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers headers)
	PARTITION BY LIST (partition);
SELECT 'td_hand'::topic::regclass;
CREATE TABLE topics.td_hand_leaf PARTITION OF topics.td_hand FOR VALUES IN (1) USING topic_log;
SELECT topic, partitions, configs FROM topics WHERE topic = 'td_hand';
SELECT produce('td_hand', 'x');
SELECT produce('td_hand', 'x', partition => 0);
SELECT partition, value FROM topics.td_hand;
SELECT id AS id FROM topics WHERE topic = 'td_hand' \gset
SELECT alter_topic('td_hand', '{"retention.ms": 5}');
SELECT id = :'id' AS same_id, configs FROM topics WHERE topic = 'td_hand';
ALTER TABLE topics.td_hand DETACH PARTITION topics.td_hand_leaf;
SELECT topic, partitions FROM topics WHERE topic = 'td_hand';
SELECT produce('td_hand', 'x');
ALTER TABLE topics.td_hand ATTACH PARTITION topics.td_hand_leaf FOR VALUES IN (0);
SELECT produce('td_hand', 'x');

-- the label
SECURITY LABEL FOR pgtopic ON TABLE pg_class IS '{}';
SECURITY LABEL FOR pgtopic ON SCHEMA topics IS '{}';
SECURITY LABEL FOR pgtopic ON COLUMN topics.td_one.value IS '{}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS 'x';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '[]';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"x": 1}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"id": "x"}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"internal": "x"}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"configs": {"retention.ms": "x"}}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"name": "td_two"}';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_one IS '{"id": "00112233-4455-6677-8899-aabbccddeeff", "configs": {"retention.ms": "9"}}';
SELECT id, configs FROM topics WHERE topic = 'td_one';
SECURITY LABEL FOR pgtopic ON TABLE topics.td_conf IS '{"id": "00112233-4455-6677-8899-aabbccddeeff"}';

-- a readable view
SELECT create_topic_view('td_one'), create_topic_view('td_one', 'jsonb');
SELECT produce('td_one', '{"a": [1, "x"]}'::jsonb, 'k');
SELECT key, value, headers FROM topics.td_one_text;
SELECT key, value -> 'a' -> 1 AS x FROM topics.td_one_jsonb;
SELECT create_topic_view('td_one', 'try_text'), create_topic_view('td_one', 'try_jsonb');
SELECT produce('td_one', '\xff'::bytea, '\xfe'::bytea), produce('td_one', 'no json', 'x');
SELECT value FROM topics.td_one_text;
SELECT value FROM topics.td_one_jsonb;
SELECT key, value FROM topics.td_one_try_text;
SELECT key, value -> 'a' ->> 1 AS x FROM topics.td_one_try_jsonb;
SELECT create_topic_view('td_one', 'xml');
SELECT create_topic_view('td_one', 'try_');
SELECT create_topic_view('td_one');

-- what depends on a topic is in the way
SELECT drop_topic('td_one');
DROP VIEW topics.td_one_text, topics.td_one_jsonb, topics.td_one_try_text, topics.td_one_try_jsonb;
SELECT drop_topic('td_one');
SELECT 'td_one'::topic::regclass;
SELECT drop_topic('td_one');
DROP TABLE topics.td_three;
SELECT drop_topic(topic) FROM topics WHERE topic::text ~* '^td[._-]';
SELECT count(*) FROM pg_seclabel WHERE provider = 'pgtopic' AND label LIKE '%td%';

-- event triggers find their objects by the session's own search path
CREATE TABLE public.ddl_audit (tag text);
CREATE FUNCTION public.audit_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO ddl_audit VALUES (tg_tag); END $$;
CREATE EVENT TRIGGER audit_ddl ON ddl_command_end EXECUTE FUNCTION public.audit_ddl();
SELECT create_topic('audited', partitions => 2);
SELECT drop_topic('audited');
DROP EVENT TRIGGER audit_ddl;
SELECT DISTINCT tag FROM ddl_audit WHERE tag LIKE '% TABLE' ORDER BY tag;
DROP FUNCTION public.audit_ddl();
DROP TABLE ddl_audit;

-- what depends on a topic keeps it
SELECT create_topic('needed');
SELECT create_topic_view('needed');
SELECT drop_topic('needed');
DROP TABLE topics.needed CASCADE;
SELECT to_regclass('topics.needed'), to_regclass('topics.needed_text');
