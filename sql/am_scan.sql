--
-- Scans of a whole log
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('am_scan');
-- several transactions, so several batches, and aborted ones between
INSERT INTO topics.am_scan (key, value, "timestamp")
	SELECT i::text::bytea, repeat(i::text, 50)::bytea, '2024-01-01'::timestamptz + i * interval '1 s' FROM generate_series(0, 9999) i;
BEGIN;
SELECT count(append('am_scan:0', 'aborted')) FROM generate_series(1, 100);
ROLLBACK;
INSERT INTO topics.am_scan (key, value, "timestamp")
	SELECT i::text::bytea, repeat(i::text, 50)::bytea, '2024-01-01'::timestamptz + i * interval '1 s' FROM generate_series(10000, 19999) i;
DO $$
BEGIN
	FOR i IN 20000 .. 20099 LOOP
		INSERT INTO topics.am_scan (key, value, "timestamp")
			VALUES (i::text::bytea, repeat(i::text, 50)::bytea, '2024-01-01'::timestamptz + i * interval '1 s');
		COMMIT;
	END LOOP;
END
$$;
SELECT count(*), min("offset"), max("offset"), count(DISTINCT "offset"), sum(length(value)) FROM topics.am_scan;
SELECT bool_and("offset"::text = convert_from(key, 'UTF8')) AS keys_match FROM topics.am_scan;

-- forward, backward, and back and forth
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT "offset" FROM topics."am_scan#0";
FETCH BACKWARD 1 FROM c;
FETCH 2 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH NEXT FROM c;
FETCH LAST FROM c;
FETCH NEXT FROM c;
FETCH PRIOR FROM c;
FETCH BACKWARD 3 FROM c;
FETCH ABSOLUTE 10001 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH FORWARD 3 FROM c;
FETCH FIRST FROM c;
MOVE LAST FROM c;
MOVE BACKWARD ALL FROM c;
FETCH NEXT FROM c;
COMMIT;
-- a cursor that outlives its transaction
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT "offset" FROM topics."am_scan#0" WHERE "offset" < 3;
COMMIT;
FETCH ALL FROM h;
CLOSE h;

-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*), sum("offset") FROM topics."am_scan#0";
SELECT count(*), sum("offset"), sum(length(value)) FROM topics."am_scan#0";
SELECT count(*), sum("offset"), sum(length(value)) FROM topics."am_scan#0" WHERE "offset" % 2 = 0;
-- what this transaction has appended is seen, too
BEGIN;
SELECT append('am_scan:0', 'own');
SELECT count(*), max("offset") FROM topics."am_scan#0";
ROLLBACK;
-- the parallel part of a plan run again and again
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT a.n, count(b.*) FROM (VALUES (0), (1), (2)) a (n), LATERAL (SELECT * FROM topics."am_scan#0" s WHERE s."offset" % 3 = a.n) b
	GROUP BY 1 ORDER BY 1;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- samples
SELECT count(*) FROM topics."am_scan#0" TABLESAMPLE bernoulli (100);
SELECT count(*) FROM topics."am_scan#0" TABLESAMPLE system (100);
SELECT count(*) BETWEEN 1000 AND 3000 AS about_a_tenth FROM topics."am_scan#0" TABLESAMPLE bernoulli (10) REPEATABLE (1);
SELECT (SELECT sum("offset") FROM topics."am_scan#0" TABLESAMPLE bernoulli (10) REPEATABLE (1)) =
	(SELECT sum("offset") FROM topics."am_scan#0" TABLESAMPLE bernoulli (10) REPEATABLE (1)) AS repeatable;
SELECT count(*) % 256 IN (0, 20200 % 256) AS whole_blocks FROM topics."am_scan#0" TABLESAMPLE system (5) REPEATABLE (3);

-- statistics
ANALYZE topics.am_scan;
SELECT reltuples FROM pg_class WHERE oid = 'topics.am_scan#0'::regclass;
SELECT attname, n_distinct, correlation FROM pg_stats WHERE schemaname = 'topics' AND tablename = 'am_scan#0'
	AND attname IN ('partition', 'offset', 'timestamp', 'key') ORDER BY attname;
CREATE FUNCTION pg_temp.estimate(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric;
END
$$;
SELECT pg_temp.estimate($$SELECT * FROM topics."am_scan#0"$$);
SELECT pg_temp.estimate($$SELECT * FROM topics."am_scan#0" WHERE "offset" >= 10050$$) BETWEEN 9000 AND 11000 AS about_half;

-- the same after VACUUM, which seals
VACUUM topics.am_scan;
SELECT count(*), min("offset"), max("offset"), sum(length(value)) FROM topics.am_scan;

-- an empty log
SELECT create_topic('am_scan_empty');
SELECT * FROM topics.am_scan_empty;
SELECT * FROM topics."am_scan_empty#0" TABLESAMPLE system (50);
SELECT min("offset"), max("offset") FROM topics.am_scan_empty;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM topics."am_scan_empty#0";
FETCH LAST FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
VACUUM ANALYZE topics.am_scan_empty;
VACUUM FULL topics.am_scan_empty;

SELECT drop_topic('am_scan');
SELECT drop_topic('am_scan_empty');
