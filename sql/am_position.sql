--
-- The index that stores nothing
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;

SELECT create_topic('am_position', 2);
INSERT INTO topics.am_position (partition, value, "timestamp")
	SELECT i % 2, repeat(i::text, 30)::bytea, '2024-01-01'::timestamptz + i / 2 * interval '1 s' FROM generate_series(0, 19999) i;
-- a gap
INSERT INTO topics.am_position (partition, "offset", value, "timestamp") VALUES (0, 10100, 'behind a gap', '2024-01-02');
-- aborted appends
BEGIN;
SELECT append('am_position:0', 'aborted');
ROLLBACK;
INSERT INTO topics.am_position (partition, value, "timestamp") VALUES (0, 'last', '2024-01-03');
ANALYZE topics.am_position;

-- ranges, in both directions, with all integer types
EXPLAIN (COSTS OFF) SELECT "offset" FROM topics."am_position#0" WHERE "offset" >= 9990 ORDER BY "offset" LIMIT 3;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" >= 9998 ORDER BY "offset" LIMIT 3;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" > 9998::bigint AND "offset" < 10101::bigint ORDER BY "offset" DESC;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" <= 2::smallint ORDER BY "offset" DESC;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" = 5000;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" = 10050;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" BETWEEN 10050 AND 10100;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" > 10101;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" < 0;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" < 1 AND "offset" > 1;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" > 9223372036854775807;
SELECT "offset" FROM topics."am_position#0" WHERE "offset" = NULL;
SELECT count(*) FROM topics."am_position#0" WHERE "offset" IS NULL;
EXPLAIN (COSTS OFF) SELECT "offset" FROM topics.am_position ORDER BY "offset" DESC LIMIT 3;
SELECT "offset" FROM topics.am_position ORDER BY "offset" DESC LIMIT 3;
-- (majors say different things about init plans)
DO $$
DECLARE
	line text;
BEGIN
	FOR line IN EXPLAIN (COSTS OFF) SELECT min("offset"), max("offset") FROM topics."am_position#0" LOOP
		CONTINUE WHEN line ~ 'Replaces:';
		RAISE NOTICE '%', regexp_replace(line, '(InitPlan) .*', '\1');
	END LOOP;
END
$$;
SELECT min("offset"), max("offset") FROM topics."am_position#0";

-- all of it, in order
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), bool_and(step > 0) AS ascending
	FROM (SELECT "offset" - lag("offset") OVER () AS step FROM (SELECT "offset" FROM topics."am_position#0" ORDER BY "offset") s) t;
SELECT count(*), bool_and(step < 0) AS descending
	FROM (SELECT "offset" - lag("offset") OVER () AS step FROM (SELECT "offset" FROM topics."am_position#0" ORDER BY "offset" DESC) s) t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM topics."am_position#0" WHERE "offset" >= 0;
SELECT count(*) FROM topics."am_position#0" WHERE "offset" >= 0;
RESET enable_seqscan;
RESET enable_sort;

-- back and forth
BEGIN;
SET LOCAL enable_seqscan = off;
DECLARE c SCROLL CURSOR FOR SELECT "offset" FROM topics."am_position#0" WHERE "offset" >= 9998 ORDER BY "offset";
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ALL FROM c;
FETCH BACKWARD 2 FROM c;
FETCH BACKWARD ALL FROM c;
FETCH NEXT FROM c;
COMMIT;

-- parameterised joins
EXPLAIN (COSTS OFF)
SELECT v.o, p.partition FROM (VALUES (17), (4711), (4711), (99999)) v (o) LEFT JOIN topics.am_position p ON p."offset" = v.o;
SELECT v.o, p.partition FROM (VALUES (17), (4711), (4711), (99999)) v (o) LEFT JOIN topics.am_position p ON p."offset" = v.o ORDER BY 1, 2;
SET enable_nestloop = off;
SET enable_hashjoin = off;
SET enable_sort = off;
SET enable_seqscan = off;
SET enable_material = off;
EXPLAIN (COSTS OFF)
SELECT count(*) FROM topics."am_position#0" a JOIN topics."am_position#1" b USING ("offset");
SELECT count(*) FROM topics."am_position#0" a JOIN topics."am_position#1" b USING ("offset");
RESET enable_nestloop;
RESET enable_hashjoin;
RESET enable_sort;
RESET enable_seqscan;
RESET enable_material;

-- time: a place to start from, no order
EXPLAIN (COSTS OFF)
SELECT "offset", "timestamp" FROM topics."am_position#1" WHERE "timestamp" >= '2024-01-01 02:46:37' ORDER BY "timestamp";
SELECT "offset", "timestamp" FROM topics."am_position#1" WHERE "timestamp" >= '2024-01-01 02:46:37' ORDER BY "offset";
SELECT "offset", "timestamp" FROM topics."am_position#1" WHERE "timestamp" > '2024-01-01 02:46:37' ORDER BY "offset";
SELECT "offset", "timestamp" FROM topics."am_position#1" WHERE "timestamp" = '2024-01-01 02:46:37';
SELECT "offset", "timestamp" FROM topics."am_position#1" WHERE "timestamp" >= '2024-01-01 01:00:00' AND "timestamp" < '2024-01-01 01:00:02';
SELECT count(*) FROM topics."am_position#1" WHERE "timestamp" >= 'infinity';
SELECT count(*) FROM topics."am_position#1" WHERE "timestamp" >= '-infinity';
-- a late record with an early time is found, and the other way round
INSERT INTO topics.am_position (partition, value, "timestamp") VALUES (1, 'late', '2023-01-01'), (1, 'early', '2025-01-01'), (1, 'back', '2024-06-01');
SET enable_seqscan = off;
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" >= '2024-05-01';
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" = '2023-01-01';
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" < '2023-06-01';
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" >= '2024-05-01' AND "offset" > 10001;
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" >= '2024-01-01 02:46:37' AND "offset" <= 9999;
SELECT "offset" FROM topics."am_position#1" WHERE "timestamp" >= '2024-05-01' ORDER BY "offset" DESC;
SELECT count(*) FROM topics."am_position#1" WHERE "timestamp" IS NULL;
SELECT count(*) FROM topics."am_position#1" WHERE "timestamp" > NULL;
RESET enable_seqscan;
-- the first record since a time
EXPLAIN (COSTS OFF) SELECT * FROM topics.am_position WHERE "timestamp" >= '2024-01-01 02:00' ORDER BY "offset" LIMIT 1;
SELECT partition, "offset" FROM topics.am_position WHERE "timestamp" >= '2024-01-01 02:00' ORDER BY "offset" LIMIT 1;
SELECT min("offset") FROM topics."am_position#1" WHERE "timestamp" >= '2024-01-01 02:00';
-- what an upper bound alone does not shorten, is read as a table is
EXPLAIN (COSTS OFF) SELECT * FROM topics."am_position#1" WHERE "timestamp" < '2024-01-01 00:00:10';

-- what this transaction appended at once is seen; what it appended after the scan began is not
BEGIN;
SELECT append('am_position:0', 'own');
SELECT "offset" FROM topics."am_position#0" WHERE "offset" >= 10101 ORDER BY "offset";
SELECT "offset" FROM topics."am_position#0" ORDER BY "offset" DESC LIMIT 2;
DECLARE c SCROLL CURSOR FOR SELECT "offset" FROM topics."am_position#0" WHERE "offset" >= 10101 ORDER BY "offset";
FETCH 1 FROM c;
SELECT append('am_position:0', 'own, later');
FETCH ALL FROM c;
ROLLBACK;

-- what it cannot do
CREATE INDEX ON topics."am_position#0" USING topic_position (key);
CREATE INDEX ON topics."am_position#0" USING topic_position (partition);
CREATE INDEX ON topics."am_position#0" USING topic_position ("offset") WHERE key IS NULL;
CREATE INDEX ON topics."am_position#0" USING topic_position ("offset" DESC, "timestamp");
CREATE INDEX ON topics."am_position#0" USING topic_position ("offset");
CREATE INDEX ON topics."am_position#0" USING topic_position ("timestamp", "offset");
CREATE INDEX ON topics."am_position#0" USING topic_position ("offset", "timestamp") WHERE key IS NULL;
CREATE UNIQUE INDEX ON topics."am_position#0" USING topic_position ("offset", "timestamp");
CREATE INDEX ON topics."am_position#0" USING topic_position (("offset" + 1));
CREATE TABLE am_position_heap (o bigint);
CREATE INDEX ON am_position_heap USING topic_position (o);
DROP TABLE am_position_heap;

SELECT drop_topic('am_position');
