--
-- The types topic and partition: text and binary forms, comparison, casts
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('tt_b', 2), create_topic('tt_a'), create_topic('2024');

-- input and output: the form is checked, not whether there is such a topic
SELECT 'tt_a'::topic, 'tt_b:1'::partition, NULL::topic;
SELECT 'tt_missing'::topic, 'tt_missing:1'::partition, '4294967296'::topic, '4294967296:0'::partition;
SELECT ''::topic;
SELECT '..'::topic;
SELECT 'tt a'::topic;
SELECT 'tt a'::text::topic;
SELECT repeat('x', 250)::topic;
SELECT length(repeat('x', 249)::topic::text), length(partition(repeat('x', 249), 2147483647)::text);
SELECT 'tt_a'::partition;
SELECT ':1'::partition;
SELECT 'tt a:1'::partition;
SELECT 'tt_a:'::partition;
SELECT 'tt_a:-1'::partition;
SELECT 'tt_a:2147483648'::partition;
SELECT 'tt_a:2147483647'::partition;

-- what does not exist is an error when it is used
SELECT produce('tt_missing', 'x');
SELECT append('tt_missing:0', 'x');
SELECT log_end('tt_missing:0');
SELECT log_start('tt_a:7');
SELECT delete_records('tt_missing:0', 0);
SELECT delete_records('tt_missing');
SELECT drop_topic('topics.tt_a');
SELECT alter_topic('tt_missing', '{}');
SELECT add_partitions('tt_missing', 2);
SELECT create_topic_view('tt_missing');
SELECT count(*) FROM topic_configs('tt_missing');
SELECT 'tt_missing'::topic::regclass;

-- casts
SELECT 'tt_a'::topic::regclass, 'topics.tt_a'::regclass::topic, 'tt_a'::text::topic, 'tt_a'::topic::text;
SELECT '2024'::topic::regclass, 'topics."2024"'::regclass::topic;
SELECT 'pg_class'::regclass::topic;
SELECT 'topics."tt_a#0"'::regclass::topic;
SELECT 1::regclass::topic;
SELECT partition('tt_b', 1), topic('tt_b:1'::partition), number('tt_b:1'::partition), 'tt_b:1'::partition::topic,
	'tt_b:1'::partition::text, 'tt_b:1'::text::partition;
SELECT partition('tt_b', -1);

-- a relation's functions take a topic
SELECT pg_relation_size('tt_a'::topic), pg_get_partkeydef('tt_a'::topic::regclass);

-- comparison; a literal takes the type of the other side
SELECT t = 'tt_a' AS eq, t <> 'tt_a' AS ne, t < 'tt_a' AS lt, t <= 'tt_a' AS le, t > 'tt_a' AS gt, t >= 'tt_a' AS ge
	FROM (VALUES ('tt_a'::topic), ('tt_b')) v(t);
SELECT p = 'tt_b:1' AS eq, p <> 'tt_b:1' AS ne, p < 'tt_b:1' AS lt, p <= 'tt_b:1' AS le, p > 'tt_b:1' AS gt, p >= 'tt_b:1' AS ge
	FROM (VALUES ('tt_b:0'::partition), ('tt_b:1'), ('tt_b:2')) v(p);

-- by the bytes of the name, then by number
SELECT string_agg(t::text, ' ' ORDER BY t) FROM unnest('{tt_b, tt, tt.a, TT, tt-a, tt_a, t2}'::topic[]) t;
SELECT string_agg(p::text, ' ' ORDER BY p) FROM unnest('{tt:10, tt:2, tt:2147483647, tt:256, tt:0, tt-a:1, t:11, tt.:3}'::partition[]) p;

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

-- as the key of partitioned tables; what is not needed is pruned
CREATE TABLE tt_by_topic (t topic, n int) PARTITION BY LIST (t);
CREATE TABLE tt_by_topic_a PARTITION OF tt_by_topic FOR VALUES IN ('tt_a', 'tt_missing');
CREATE TABLE tt_by_topic_rest PARTITION OF tt_by_topic DEFAULT;
INSERT INTO tt_by_topic VALUES ('tt_a', 1), ('tt_missing', 2), ('tt_b', 3);
SELECT tableoid::regclass, * FROM tt_by_topic ORDER BY n;
EXPLAIN (COSTS OFF) SELECT * FROM tt_by_topic WHERE t = 'tt_missing';
CREATE TABLE tt_by_partition (p partition) PARTITION BY RANGE (p);
CREATE TABLE tt_by_partition_low PARTITION OF tt_by_partition FOR VALUES FROM (MINVALUE) TO ('tt_b:10');
CREATE TABLE tt_by_partition_high PARTITION OF tt_by_partition FOR VALUES FROM ('tt_b:10') TO (MAXVALUE);
INSERT INTO tt_by_partition VALUES ('tt_b:9'), ('tt_b:10'), ('tt_a:11');
SELECT tableoid::regclass, p FROM tt_by_partition ORDER BY p;
EXPLAIN (COSTS OFF) SELECT * FROM tt_by_partition WHERE p >= 'tt_b:11';

-- binary form
SELECT topic_send('tt_a') AS topic, partition_send('tt_b:258') AS partition;
SELECT current_setting('data_directory') || '/tt_wire' AS file \gset
COPY tt_progress TO :'file' (FORMAT binary);
CREATE TEMP TABLE tt_wire (LIKE tt_progress);
COPY tt_wire FROM :'file' (FORMAT binary);
SELECT count(*) FROM tt_progress JOIN tt_wire USING (t, p, n);
CREATE TEMP TABLE tt_text (a text);
INSERT INTO tt_text VALUES ('no topic');
COPY tt_text TO :'file' (FORMAT binary);
CREATE TEMP TABLE tt_topic (a topic);
COPY tt_topic FROM :'file' (FORMAT binary);
CREATE TEMP TABLE tt_int (a int);
INSERT INTO tt_int VALUES (-1);
COPY tt_int TO :'file' (FORMAT binary);
CREATE TEMP TABLE tt_partition (a partition);
COPY tt_partition FROM :'file' (FORMAT binary);

-- a value outlives its topic
CREATE TABLE tt_dropped AS SELECT 'tt_a'::topic AS t, 'tt_a:0'::partition AS p;
SELECT drop_topic('tt_a');
SELECT * FROM tt_dropped;
SELECT produce(t, 'x') FROM tt_dropped;
SELECT create_topic('tt_a');
SELECT produce(t, 'x'), log_end(p) FROM tt_dropped;

DROP TABLE tt_progress, tt_dropped, tt_by_topic, tt_by_partition;
SELECT drop_topic('tt_a'), drop_topic('tt_b'), drop_topic('2024');
