--
-- The start of a log moves: delete_records()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

CREATE FUNCTION dr_bounds(t topic) RETURNS TABLE (partition int, start_offset bigint, end_offset bigint, records bigint)
	LANGUAGE sql AS 'SELECT p.partition, p.start_offset, p.end_offset, p.records FROM partitions p WHERE p.topic = t ORDER BY 1';

SELECT create_topic('dr_one');
INSERT INTO topics.dr_one (key, value, "timestamp")
	SELECT i::text::bytea, 'v', timestamptz '2024-01-01' + i * interval '1 day' FROM generate_series(0, 9) i;
INSERT INTO topics.dr_one (key, value, "timestamp")
	SELECT i::text::bytea, 'v', timestamptz '2024-01-01' + i * interval '1 day' FROM generate_series(10, 19) i;
CREATE INDEX ON topics.dr_one (key);

-- when the transaction commits, and only then; amid a batch
BEGIN;
SELECT delete_records('dr_one:0', 13);
SELECT count(*) FROM topics.dr_one;
COMMIT;
SELECT * FROM dr_bounds('dr_one');
SELECT log_start('dr_one:0');
SELECT count(*), min("offset"), max("offset") FROM topics.dr_one;

-- by every way to a record
SET enable_seqscan = off;
SELECT min("offset"), max("offset") FROM topics.dr_one;
SELECT "offset" FROM topics.dr_one WHERE "offset" >= 3 ORDER BY "offset" LIMIT 2;
SELECT array_agg("offset") FROM (SELECT "offset" FROM topics.dr_one ORDER BY "offset" DESC) x;
SELECT "offset" FROM topics.dr_one WHERE "offset" <= 12 ORDER BY "offset" DESC;
SELECT "offset" FROM topics.dr_one WHERE "offset" IN (12, 13);
SELECT "offset" FROM topics.dr_one WHERE key = '12';
SELECT "offset" FROM topics.dr_one WHERE key = '13';
SELECT "offset" FROM topics.dr_one WHERE "timestamp" >= '2024-01-12' LIMIT 1;
RESET enable_seqscan;
SELECT "offset" FROM topics."dr_one#0" WHERE ctid = '(0,13)';
SELECT count(*) FROM topics."dr_one#0" TABLESAMPLE SYSTEM (100);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT "offset" FROM topics.dr_one;
FETCH LAST c;
FETCH ABSOLUTE 1 c;
FETCH BACKWARD 1 c;
FETCH 2 c;
COMMIT;
SELECT "offset" FROM poll('dr_one', 0, 2, 2);
SELECT "offset" FROM consume('dr_one', 'dr_group', 2);
ANALYZE topics.dr_one;
SELECT reltuples FROM pg_class WHERE oid = 'topics."dr_one#0"'::regclass;

-- VACUUM takes index entries out, VACUUM FULL keeps the start
VACUUM topics.dr_one;
SELECT reltuples FROM pg_class WHERE relname = 'dr_one#0_key_idx';
VACUUM FULL topics.dr_one;
SELECT * FROM dr_bounds('dr_one');
SELECT count(*), min("offset"), max("offset") FROM topics.dr_one;
SET enable_seqscan = off;
SELECT "offset" FROM topics.dr_one WHERE key IN ('12', '13', '19') ORDER BY 1;
RESET enable_seqscan;

-- the start never goes back, and never beyond the end
SELECT delete_records('dr_one:0', 5);
SELECT delete_records('dr_one:0', 21);
SELECT delete_records('dr_one:0', -1);
SELECT delete_records('dr_one:0', NULL::bigint);
SELECT delete_records(NULL::partition, 0);
SELECT delete_records('dr_one', (SELECT now() WHERE false));
SELECT start_offset, records FROM partitions WHERE topic = 'dr_one';
SELECT delete_records('dr_one:1', 0);
SELECT delete_records(NULL::topic);
BEGIN;
SELECT append('dr_one:0', 'not committed'::text);
SELECT delete_records('dr_one:0', 21);
ROLLBACK;

-- savepoints and rollbacks
BEGIN; SELECT delete_records('dr_one:0', 15); ROLLBACK;
BEGIN; SAVEPOINT s; SELECT delete_records('dr_one:0', 15); ROLLBACK TO s; COMMIT;
SELECT log_start('dr_one:0');
BEGIN;
SELECT delete_records('dr_one:0', 14);
SAVEPOINT s;
SELECT delete_records('dr_one:0', 18);
ROLLBACK TO s;
SAVEPOINT s;
SELECT delete_records('dr_one:0', 15);
RELEASE s;
COMMIT;
SELECT log_start('dr_one:0');
BEGIN;
SELECT delete_records('dr_one:0', 16);
PREPARE TRANSACTION 'dr';
SELECT log_start('dr_one:0');

-- with what else a transaction does
BEGIN;
SELECT delete_records('dr_one:0', 16);
SELECT produce('dr_one', 'beside it');
COMMIT;
SELECT * FROM dr_bounds('dr_one');
CREATE TABLE dr_archive AS SELECT * FROM topics.dr_one WITH NO DATA;
BEGIN;
INSERT INTO dr_archive SELECT * FROM topics.dr_one WHERE "offset" < 18;
SELECT delete_records('dr_one:0', 18);
COMMIT;
SELECT count(*) FROM dr_archive;
SELECT count(*) FROM topics.dr_one;
BEGIN;
SELECT delete_records('dr_one:0', 19);
TRUNCATE topics.dr_one;
COMMIT;
SELECT * FROM dr_bounds('dr_one');
SELECT produce('dr_one', 'after TRUNCATE');
SELECT "offset" FROM topics.dr_one;
BEGIN;
SELECT delete_records('dr_one');
SELECT produce('dr_one', 'stays');
COMMIT;
SELECT "offset", as_text(value) FROM topics.dr_one;
BEGIN;
SELECT delete_records('dr_one');
SELECT drop_topic('dr_one');
COMMIT;

-- all of it, and on from there
SELECT create_topic('dr_many', 3);
INSERT INTO topics.dr_many (partition, value, "timestamp")
	SELECT i % 3, repeat('x', 1000)::bytea, timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(0, 2999) i;
SELECT delete_records('dr_many', before => '2024-01-01 10:00');
SELECT * FROM dr_bounds('dr_many');
SELECT min("timestamp") FROM topics.dr_many;
SELECT delete_records('dr_many', '2030-01-01'::timestamptz);
SELECT * FROM dr_bounds('dr_many');
SELECT count(*) FROM topics.dr_many;
INSERT INTO topics.dr_many (partition, value) VALUES (1, 'more');
SELECT partition, "offset" FROM topics.dr_many;
VACUUM FULL topics.dr_many;
SELECT * FROM dr_bounds('dr_many');
SELECT delete_records('dr_many');
SELECT delete_records('dr_many');
SELECT * FROM dr_bounds('dr_many');
SELECT count(*) FROM topics.dr_many;

-- topics that are only compacted, internal ones, and others' ones
SELECT alter_topic('dr_many', '{"cleanup.policy": "compact"}');
SELECT delete_records('dr_many');
SELECT delete_records('dr_many:0', 0);
SELECT alter_topic('dr_many', '{"cleanup.policy": ["compact", "delete"]}');
SELECT delete_records('dr_many');
SELECT delete_records('__consumer_offsets');
CREATE ROLE dr_user;
GRANT USAGE ON SCHEMA topics TO dr_user;
GRANT SELECT, INSERT ON topics.dr_many TO dr_user;
SET ROLE dr_user;
SELECT delete_records('dr_many');
SELECT delete_records('dr_many:0', 0);
RESET ROLE;
GRANT DELETE ON topics.dr_many TO dr_user;
SET ROLE dr_user;
SELECT delete_records('dr_many:0', 0);
RESET ROLE;
BEGIN READ ONLY;
SELECT delete_records('dr_many');
ROLLBACK;

SELECT drop_topic('dr_many');
REVOKE USAGE ON SCHEMA topics FROM dr_user;
DROP ROLE dr_user;
DROP TABLE dr_archive;
DROP FUNCTION dr_bounds;
