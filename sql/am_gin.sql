--
-- GIN indexes, and bitmap scans
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET max_parallel_workers_per_gather = 0;

SELECT create_topic('am_gin', 2);
INSERT INTO topics.am_gin (partition, key, value)
	SELECT i % 2, ('k' || i % 10)::bytea, jsonb_build_object('n', i, 'tags', ARRAY['t' || i % 100, 'u' || i % 7])::text::bytea
	FROM generate_series(0, 4999) i;

-- over records that are there, and over those that come later: first into the pending list
CREATE INDEX am_gin_value ON topics.am_gin USING gin (as_jsonb(value));
CREATE INDEX am_gin_tags ON topics."am_gin#0" USING gin ((as_jsonb(value) -> 'tags') jsonb_ops) WITH (fastupdate = off) WHERE key > 'k3';
CREATE INDEX am_gin_key ON topics.am_gin (key);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM topics."am_gin#0" WHERE as_jsonb(value) @> '{"tags": ["t44", "u2"]}';
SELECT count(*), min("offset") FROM topics.am_gin WHERE as_jsonb(value) @> '{"tags": ["t44", "u2"]}';
SELECT partition, "offset" FROM topics.am_gin WHERE as_jsonb(value) @> '{"n": 4711}';
INSERT INTO topics.am_gin (partition, key, value) VALUES (0, 'k4', '{"n": 5000, "tags": ["later"]}'), (1, 'k5', '{"n": 5001, "tags": ["later"]}');
BEGIN;
INSERT INTO topics.am_gin (partition, key, value) VALUES (0, 'k4', '{"n": 5002, "tags": ["later"]}');
SELECT append('am_gin:0', '{"n": 5003, "tags": ["later"]}', 'k4');
SELECT partition, as_text(value) FROM topics.am_gin WHERE as_jsonb(value) @> '{"tags": ["later"]}' ORDER BY 2;
ROLLBACK;
SELECT partition, as_text(value) FROM topics.am_gin WHERE as_jsonb(value) @> '{"tags": ["later"]}' ORDER BY 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM topics."am_gin#0" WHERE as_jsonb(value) -> 'tags' ? 'later' AND key > 'k3';
SELECT count(*) FROM topics."am_gin#0" WHERE as_jsonb(value) -> 'tags' ? 'later' AND key > 'k3';
VACUUM topics.am_gin;
SELECT count(*) FROM topics.am_gin WHERE as_jsonb(value) @> '{"tags": ["later"]}';

-- several indexes at once, a bitmap that has forgotten which rows, a join
EXPLAIN (COSTS OFF) SELECT count(*) FROM topics."am_gin#0" WHERE key = 'k2' OR as_jsonb(value) @> '{"tags": ["t44"]}';
SELECT count(*) FROM topics."am_gin#0" WHERE key = 'k2' OR as_jsonb(value) @> '{"tags": ["t44"]}';
SELECT append('am_gin:0', '{"n": 5004, "tags": ["t44"]}', 'k2') FROM generate_series(1, 3);
SET enable_indexscan = off;
SET work_mem = '64kB';
INSERT INTO topics.am_gin (partition, key, value) SELECT 0, 'many', '{"n": 6000}' FROM generate_series(1, 20000);
SELECT count(*) FROM topics."am_gin#0" WHERE key = 'many';
SELECT count(*) FROM topics."am_gin#0" WHERE as_jsonb(value) @> '{"n": 6000}';
RESET work_mem;
SELECT count(*), sum(t."offset") FROM (SELECT (i * 7919) % 1000 AS n FROM generate_series(1, 20) i) r
	JOIN topics."am_gin#0" t ON as_jsonb(t.value) @> jsonb_build_object('n', r.n);
RESET enable_indexscan;

-- beside commands that look again at rows that others have changed
CREATE TABLE am_gin_wanted (n int, found bigint);
INSERT INTO am_gin_wanted VALUES (44, 0), (10, 0);
UPDATE am_gin_wanted w SET found = (SELECT count(*) FROM topics."am_gin#0" WHERE as_jsonb(value) @> jsonb_build_object('n', w.n));
SELECT * FROM am_gin_wanted ORDER BY n;
INSERT INTO am_gin_wanted SELECT 4711, count(*) FROM topics.am_gin WHERE as_jsonb(value) @> '{"n": 4711}' RETURNING *;
DROP TABLE am_gin_wanted;

-- what is removed is not found, and VACUUM removes its entries
SELECT delete_records('am_gin:0', 1000);
SELECT count(*), min("offset") FROM topics."am_gin#0" WHERE as_jsonb(value) @> '{"tags": ["t44"]}';
VACUUM topics.am_gin;
SELECT count(*), min("offset") FROM topics."am_gin#0" WHERE as_jsonb(value) @> '{"tags": ["t44"]}';
VACUUM FULL topics."am_gin#0";
SELECT count(*), min("offset") FROM topics."am_gin#0" WHERE as_jsonb(value) @> '{"tags": ["t44"]}';
CREATE INDEX CONCURRENTLY am_gin_again ON topics."am_gin#1" USING gin (as_jsonb(value) jsonb_path_ops);
REINDEX TABLE CONCURRENTLY topics."am_gin#1";
SELECT count(*) FROM topics."am_gin#1" WHERE as_jsonb(value) @> '{"tags": ["t45"]}';
TRUNCATE topics.am_gin;
SELECT count(*) FROM topics.am_gin WHERE as_jsonb(value) @> '{"tags": ["t44"]}';

SELECT drop_topic('am_gin');
