--
-- consume(), poll() and seek()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('cs', 2), create_topic('cs_empty');
SELECT count(produce('cs', 'v' || i, partition => i % 2)) FROM generate_series(0, 9) i;

-- poll: by offset
SELECT topic, partition, "offset", key, as_text(value), headers FROM poll('cs', 0, 0);
SELECT "offset", as_text(value) FROM poll('cs', 1, 3);
SELECT "offset", as_text(value) FROM poll('cs', 1, 1, max_records => 2);
SELECT count(*) FROM poll('cs', 1, -5);
SELECT count(*) FROM poll('cs', 1, 5) a, poll('cs', 0, 100) b;
SELECT count(*) FROM poll('cs', 2, 0);
SELECT count(*) FROM poll('cs', 0, 0, max_records => 0);
SELECT count(*) FROM poll('cs', 0, NULL);
SELECT count(*) FROM poll('cs_missing', 0, 0);
BEGIN READ ONLY;
SELECT count(*) FROM poll('cs', 0, 0);
COMMIT;

-- a transaction's own records that wait are not in the log yet
BEGIN;
SELECT produce('cs', 'own', partition => 0);
SELECT count(*) FROM poll('cs', 0, 5);
ROLLBACK;

-- waiting ends at the deadline; under a snapshot that stays there is no use in it
SELECT clock_timestamp() AS t \gset
SELECT count(*) FROM poll('cs_empty', 0, 0, timeout => '200 ms');
SELECT clock_timestamp() - :'t' BETWEEN '200 ms' AND '5 s' AS waited;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT clock_timestamp() AS t \gset
SELECT count(*) FROM poll('cs_empty', 0, 0, timeout => '10 s');
SELECT clock_timestamp() - :'t' < '5 s' AS at_once;
COMMIT;
SET statement_timeout = '200 ms';
SELECT count(*) FROM poll('cs_empty', 0, 0, timeout => '1 h');
SELECT count(*) FROM consume('cs_empty', 'cs_wait', timeout => '1 h');
RESET statement_timeout;
-- a null is the default: up to 500, without waiting
SELECT count(*) FROM poll('cs_empty', 0, 0, max_records => NULL, timeout => NULL);
SELECT count(*) FROM consume('cs_empty', 'cs_wait', max_records => NULL, timeout => NULL);
SELECT count(*) FROM poll('cs', 0, 0, max_records => 0);

-- consume: each group reads all, once
SELECT count(*), count(DISTINCT (partition, "offset")) FROM consume('cs', 'cs_a');
SELECT count(*) FROM consume('cs', 'cs_a');
SELECT count(*) FROM consume('cs', 'cs_b');
SELECT count(*) FROM consume('cs', 'cs_c', 3);
SELECT count(*) FROM consume('cs', 'cs_c', max_records => 100);
SELECT produce('cs', 'more', partition => 1);
SELECT topic, partition, "offset", as_text(value) FROM consume('cs', 'cs_a');

-- the committed offset moves with the transaction
SELECT produce('cs', 'again', partition => 0);
BEGIN;
SELECT partition, "offset", as_text(value) FROM consume('cs', 'cs_a');
SELECT count(*) FROM consume('cs', 'cs_a');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT partition, "offset", as_text(value) FROM consume('cs', 'cs_a');
ROLLBACK TO s;
SELECT partition, "offset", as_text(value) FROM consume('cs', 'cs_a');
COMMIT;
SELECT count(*) FROM consume('cs', 'cs_a');

-- exactly once into a table
CREATE TABLE cs_out (v text);
INSERT INTO cs_out SELECT as_text(value) FROM consume('cs', 'cs_out', 5);
INSERT INTO cs_out SELECT as_text(value) || (1 / (length(value) - 2)) FROM consume('cs', 'cs_out', 5);
INSERT INTO cs_out SELECT as_text(value) FROM consume('cs', 'cs_out');
INSERT INTO cs_out SELECT as_text(value) FROM consume('cs', 'cs_out');
SELECT count(*), count(DISTINCT v) FROM cs_out;
DROP TABLE cs_out;

-- a LIMIT does not give back what was read
SELECT count(*) FROM (SELECT * FROM consume('cs', 'cs_limit') LIMIT 1) s;
SELECT count(*) FROM consume('cs', 'cs_limit');

-- seek; groups.sql has more
SELECT * FROM seek('cs_a', 'cs', 3, partition => 0);
SELECT partition, "offset" FROM consume('cs', 'cs_a') ORDER BY 1, 2;
BEGIN;
SELECT * FROM seek('cs_a', 'cs', 'start', partition => 0);
SELECT count(*) FROM consume('cs', 'cs_a');
ROLLBACK;
SELECT count(*) FROM consume('cs', 'cs_a');

-- what is refused
SELECT count(*) FROM consume('cs', '');
SELECT count(*) FROM consume('cs', NULL);
SELECT count(*) FROM consume('cs', 'cs_a', 0);
SELECT count(*) FROM consume('cs_missing', 'cs_a');
BEGIN READ ONLY;
SELECT count(*) FROM consume('cs', 'cs_a');
ROLLBACK;

-- a chain: from one topic to the next in one transaction
SELECT create_topic('cs_next');
SELECT count(produce('cs_next', value, key)) FROM consume('cs', 'cs_chain');
SELECT count(produce('cs_next', value, key)) FROM consume('cs', 'cs_chain');
SELECT count(*) FROM topics.cs_next;

SELECT drop_topic('cs'), drop_topic('cs_empty'), drop_topic('cs_next');

-- what is in a log is read, whatever is admitted now
SELECT create_topic('large_batch', config => '{"compression.type": "zstd"}');
SELECT produce('large_batch', repeat('x', 200000));
SET pgtopic.decompress_limit = '64kB';
SELECT length(value) FROM topics.large_batch;
SELECT length(value) FROM poll('large_batch', 0, from_offset => 0);
SELECT length(value) FROM consume('large_batch', 'large');
SELECT "offset" FROM seek('large', 'large_batch', now() - interval '1 hour');
RESET pgtopic.decompress_limit;
SELECT drop_topic('large_batch');
