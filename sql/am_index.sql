--
-- Secondary indexes: entries are made when a record is appended
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET max_parallel_workers_per_gather = 0;
SET enable_bitmapscan = off;	-- am_gin has it on

SELECT create_topic('am_index', 2);
INSERT INTO topics.am_index (partition, key, value)
	SELECT i % 2, ('k' || i % 1000)::bytea, ('{"n": ' || i || '}')::bytea FROM generate_series(0, 9999) i;

-- over records that are there, on the topic and so on each partition
CREATE INDEX am_index_key ON topics.am_index (key);
CREATE INDEX am_index_n ON topics.am_index (((value ->> 'n')::int)) WHERE (value ->> 'n')::int >= 0;
CREATE INDEX am_index_hash ON topics."am_index#0" USING hash (key);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT partition, "offset" FROM topics.am_index WHERE key = 'k77' ORDER BY 1, 2 LIMIT 3;
SELECT partition, "offset" FROM topics.am_index WHERE key = 'k77' ORDER BY 1, 2 LIMIT 3;
SELECT count(*) FROM topics.am_index WHERE key = 'k77';
EXPLAIN (COSTS OFF) SELECT as_text(value) FROM topics.am_index WHERE (value ->> 'n')::int = 4711;
SELECT as_text(value) FROM topics.am_index WHERE (value ->> 'n')::int = 4711;

-- over records that come later: at commit, not at rollback, and in subtransactions
BEGIN;
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'later', '{"n": 10000}');
SAVEPOINT s;
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'later', '{"n": 10001}');
ROLLBACK TO s;
INSERT INTO topics.am_index (partition, key, value) VALUES (1, 'later', '{"n": 10002}');
SELECT count(*) FROM topics.am_index WHERE key = 'later';
COMMIT;
BEGIN;
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'later', '{"n": 10003}');
ROLLBACK;
SELECT partition, as_text(value) FROM topics.am_index WHERE key = 'later' ORDER BY 2;
SELECT as_text(value) FROM topics.am_index WHERE (value ->> 'n')::int >= 10000 ORDER BY 1;

-- appended at once, and aborted: the entry of an aborted record is not its successor's
BEGIN;
SELECT append('am_index:0', '{"n": 10004}', 'aborted');
SELECT as_text(value) FROM topics.am_index WHERE key = 'aborted';
ROLLBACK;
SELECT append('am_index:0', '{"n": 10005}', 'successor');
SELECT as_text(value) FROM topics.am_index WHERE key = 'aborted';
SELECT as_text(value) FROM topics.am_index WHERE key = 'successor';

-- by COPY, with a buffer so small that rows are appended early
SET pgtopic.produce_buffer = '64kB';
SELECT current_setting('data_directory') || '/am_index.copy' AS file \gset
COPY (SELECT 0, NULL::bigint, now(), 'copied'::bytea, ('{"n": ' || i || '}')::bytea, NULL::headers FROM generate_series(20000, 29999) i) TO :'file';
COPY topics.am_index FROM :'file';
RESET pgtopic.produce_buffer;
SELECT count(*), min((value ->> 'n')::int), max((value ->> 'n')::int) FROM topics.am_index WHERE key = 'copied';
SELECT count(*) FROM topics.am_index WHERE (value ->> 'n')::int BETWEEN 20000 AND 29999;

-- the executor evaluates expressions when the row is given, so errors come early
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'bad', '{"n": "many"}');

-- an index made by the transaction that has rows waiting
BEGIN;
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'waits', '{"n": 30000}');
CREATE INDEX am_index_value ON topics.am_index (value);
SELECT count(*) FROM topics.am_index WHERE key = 'waits';
INSERT INTO topics.am_index (partition, key, value) VALUES (0, 'waits', '{"n": 30001}');
COMMIT;
SELECT as_text(value) FROM topics.am_index WHERE key = 'waits' ORDER BY value;
EXPLAIN (COSTS OFF) SELECT key FROM topics."am_index#0" WHERE value = '{"n": 30001}';
SELECT key FROM topics."am_index#0" WHERE value = '{"n": 30001}';

-- concurrently
CREATE INDEX CONCURRENTLY am_index_concurrent ON topics."am_index#1" (value, key);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'topics.am_index_concurrent'::regclass;
EXPLAIN (COSTS OFF) SELECT value, key FROM topics."am_index#1" WHERE value = '{"n": 4711}';
SELECT as_text(value), as_text(key) FROM topics."am_index#1" WHERE value = '{"n": 4711}';
REINDEX TABLE topics."am_index#0";
REINDEX TABLE CONCURRENTLY topics."am_index#1";
SELECT count(*) FROM topics.am_index WHERE key >= 'k';

-- the index and the table agree
CREATE FUNCTION pg_temp.differences(leaf regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	by_index bigint[];
	by_scan bigint[];
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = on;
	EXECUTE format('SELECT array_agg(o ORDER BY o) FROM (SELECT "offset" o FROM %s WHERE key >= '''') s', leaf) INTO by_index;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_indexonlyscan = off;
	EXECUTE format('SELECT array_agg(o ORDER BY o) FROM (SELECT "offset" o FROM %s WHERE key >= '''') s', leaf) INTO by_scan;
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_indexonlyscan = on;
	RETURN count(*) FROM unnest(by_index, by_scan) u (a, b) WHERE a IS DISTINCT FROM b;
END
$$;
SELECT pg_temp.differences('topics."am_index#0"'), pg_temp.differences('topics."am_index#1"');
VACUUM FULL topics.am_index;
SELECT pg_temp.differences('topics."am_index#0"'), pg_temp.differences('topics."am_index#1"');
VACUUM ANALYZE topics.am_index;

-- in random order, and by several conditions at once
SELECT count(*), sum(t."offset") FROM (SELECT (i * 7919) % 1000 AS k FROM generate_series(1, 200) i) r
	JOIN topics."am_index#0" t ON t.key = ('k' || r.k)::bytea;
SELECT count(*) FROM topics."am_index#0" WHERE key = 'k2' OR key = 'k4';
SELECT count(*) FROM topics."am_index#0" WHERE key IN ('k2', 'k4', 'k6');

-- expressions are evaluated as the owner of the table, not as who happens to append
CREATE FUNCTION am_index_user(bytea) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN current_user; END $$;
CREATE ROLE am_index_owner;
GRANT CREATE, USAGE ON SCHEMA topics TO am_index_owner;
SET ROLE am_index_owner;
SELECT create_topic('am_index_owned');
CREATE INDEX ON topics."am_index_owned#0" (am_index_user(key));
RESET ROLE;
SELECT append('am_index_owned:0', 'v', 'k');
SELECT count(*) FROM topics."am_index_owned#0" WHERE am_index_user(key) = 'am_index_owner';
SELECT drop_topic('am_index_owned');
REVOKE ALL ON SCHEMA topics FROM am_index_owner;
DROP ROLE am_index_owner;
DROP FUNCTION am_index_user(bytea);

SELECT drop_topic('am_index');
