--
-- The types topic and partition: text and binary forms, comparison, casts
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('tt_b', 2), create_topic('tt_a'), create_topic('2024');

-- input and output
SELECT 'tt_a'::topic, 'tt_b:1'::partition, NULL::topic;
SELECT 'tt_missing'::topic;
SELECT 'topics.tt_a'::topic;
SELECT ''::topic;
SELECT 'tt_missing:1'::partition;
SELECT 'tt_a'::partition;
SELECT ':1'::partition;
SELECT 'tt_a:'::partition;
SELECT 'tt_a:-1'::partition;
SELECT 'tt_a:2147483648'::partition;
SELECT 'tt_a:2147483647'::partition;

-- digits are a name when there is such a topic, else an OID
SELECT '2024'::topic = 'topics."2024"'::regclass::topic AS is_name, '12'::topic::oid;
SELECT '4294967296'::topic;

-- casts
SELECT 'tt_a'::topic::regclass, 'topics.tt_a'::regclass::topic, 'tt_a'::text::topic, 'tt_a'::topic::text;
SELECT 'tt_a'::topic::oid = 'topics.tt_a'::regclass::oid AS same;
SELECT 'pg_class'::regclass::topic;
SELECT 'topics."tt_a#0"'::regclass::topic;
SELECT partition('tt_b', 1), topic('tt_b:1'::partition), number('tt_b:1'::partition), 'tt_b:1'::partition::topic,
	'tt_b:1'::partition::text, 'tt_b:1'::text::partition;
SELECT partition('tt_b', -1);

-- a relation's functions take a topic
SELECT pg_get_partkeydef('tt_a'::topic);

-- comparison; a literal takes the type of the other side
SELECT t = 'tt_a' AS eq, t <> 'tt_a' AS ne, t < 'tt_a' AS lt, t <= 'tt_a' AS le, t > 'tt_a' AS gt, t >= 'tt_a' AS ge
	FROM (VALUES ('tt_a'::topic), ('tt_b')) v(t);
SELECT p = 'tt_b:1' AS eq, p <> 'tt_b:1' AS ne, p < 'tt_b:1' AS lt, p <= 'tt_b:1' AS le, p > 'tt_b:1' AS gt, p >= 'tt_b:1' AS ge
	FROM (VALUES ('tt_b:0'::partition), ('tt_b:1'), ('tt_b:2')) v(p);

-- as columns and keys: btree, hash, merge and hash joins, DISTINCT
CREATE TABLE tt_progress (t topic, p partition PRIMARY KEY, n int);
CREATE INDEX ON tt_progress USING hash (p);
CREATE INDEX ON tt_progress (t);
CREATE INDEX ON tt_progress USING hash (t);
INSERT INTO tt_progress SELECT 'tt_b', partition('tt_b', i), i FROM generate_series(0, 1000) i;
INSERT INTO tt_progress VALUES ('tt_a', 'tt_a:0', -1);
INSERT INTO tt_progress VALUES ('tt_a', 'tt_a:0', -2);
SELECT DISTINCT t FROM tt_progress ORDER BY t;
SELECT p, n FROM tt_progress ORDER BY p DESC LIMIT 3;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT p, n FROM tt_progress WHERE p = 'tt_b:17';
SELECT p, n FROM tt_progress WHERE p < 'tt_b:2' ORDER BY p;
SELECT count(*) FROM tt_progress WHERE t = 'tt_a';
RESET enable_seqscan;
RESET enable_bitmapscan;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM tt_progress a JOIN tt_progress b USING (p);
SELECT count(*) FROM tt_progress a JOIN tt_progress b USING (t) WHERE a.t = 'tt_a';
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT count(*) FROM tt_progress a JOIN tt_progress b USING (p);
RESET enable_hashjoin;
RESET enable_nestloop;

-- binary form
SELECT topic_send('tt_a') = int4send('tt_a'::topic::oid::int4) AS topic_is_oid,
	partition_send('tt_b:258') = int4send('tt_b'::topic::oid::int4) || '\x00000102' AS partition_is_both;
SELECT current_setting('data_directory') || '/tt_wire' AS file \gset
COPY tt_progress TO :'file' (FORMAT binary);
CREATE TEMP TABLE tt_wire (LIKE tt_progress);
COPY tt_wire FROM :'file' (FORMAT binary);
SELECT count(*) FROM tt_progress JOIN tt_wire USING (t, p, n);

-- what is dropped prints as a number
CREATE TABLE tt_dropped AS SELECT 'tt_a'::topic AS t, 'tt_a:3'::partition AS p, 'tt_a'::topic::oid::text AS oid;
SELECT drop_topic('tt_a');
SELECT t::text = oid AS t, p::text = oid || ':3' AS p FROM tt_dropped;
SELECT t::text::topic = t AS again FROM tt_dropped;
SELECT produce(t, 'x') FROM (SELECT '1'::topic AS t) d;

DROP TABLE tt_progress, tt_dropped;
SELECT drop_topic('tt_b'), drop_topic('2024');
