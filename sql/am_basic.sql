--
-- A log as a table: what goes in comes out, in the order of commits
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('am_basic', 2);

INSERT INTO topics.am_basic (partition, key, value, "timestamp")
	VALUES (0, 'a', '1', '2024-01-01 00:00:00.001'), (1, 'b', '2', '2024-01-01 00:00:00.002'),
	(0, NULL, '3', '2024-01-01 00:00:00.003'), (1, 'd', NULL, '2024-01-01 00:00:00.004');
SELECT * FROM topics.am_basic ORDER BY partition, "offset";

-- a NULL is not an empty string; headers keep order, duplicates and nulls
INSERT INTO topics.am_basic (partition, key, value, headers, "timestamp")
	VALUES (0, '', '', '[["k", "1"], ["k", "2"], ["", null], ["x", ""]]', '2024-01-01'),
	(0, 'no headers', NULL, '[]', '2024-01-01');
SELECT key, key IS NULL AS key_null, value, value IS NULL AS value_null, headers, headers IS NULL AS headers_null
	FROM topics."am_basic#0" ORDER BY "offset" OFFSET 2;

-- milliseconds are kept, what is beyond is cut off, before 2000 and before 1970 too
INSERT INTO topics.am_basic (partition, value, "timestamp")
	VALUES (1, '1', '2024-01-01 00:00:00.123999'), (1, '2', '1999-12-31 23:59:59.9999'),
	(1, '3', '1969-12-31 23:59:59.9989'), (1, '4', '0001-01-01 BC'), (1, '5', '200000-01-01');
SELECT value, "timestamp" FROM topics."am_basic#1" ORDER BY "offset" OFFSET 2;
INSERT INTO topics.am_basic (partition, "timestamp") VALUES (0, 'infinity');
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'now');
SELECT now() - "timestamp" < '1 minute' AS recent FROM topics.am_basic WHERE value = 'now';

-- a large record runs over pages
INSERT INTO topics.am_basic (partition, key, value, "timestamp") VALUES (0, 'large', decode(repeat('0123456789abcdef', 50000), 'hex'), '2024-01-01');
SELECT "offset", length(value), md5(value) = md5(decode(repeat('0123456789abcdef', 50000), 'hex')) AS same
	FROM topics.am_basic WHERE key = 'large';

-- the offset is assigned at commit; RETURNING cannot know it
BEGIN;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'waits') RETURNING partition, "offset", value;
SELECT count(*) FROM topics.am_basic WHERE value = 'waits';
COMMIT;
SELECT partition, "offset", value FROM topics.am_basic WHERE value = 'waits';

-- what is rolled back leaves no gap
BEGIN;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'never');
ROLLBACK;
BEGIN;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'kept 1');
SAVEPOINT s;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'never');
ROLLBACK TO s;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'kept 2');
SAVEPOINT s2;
INSERT INTO topics.am_basic (partition, value) VALUES (0, 'kept 3');
RELEASE s2;
COMMIT;
SELECT "offset", convert_from(value, 'UTF8') AS value FROM topics."am_basic#0" WHERE "offset" >= 7 ORDER BY "offset";

-- a given offset is kept when it is at the end or past it
INSERT INTO topics.am_basic (partition, "offset", value) VALUES (0, 10, 'at the end'), (0, 20, 'past it'), (0, NULL, 'next');
INSERT INTO topics.am_basic (partition, "offset", value) VALUES (0, 21, 'taken');
INSERT INTO topics.am_basic (partition, "offset", value) VALUES (0, -1, 'negative');
SELECT "offset", convert_from(value, 'UTF8') AS value FROM topics."am_basic#0" WHERE "offset" >= 10 ORDER BY "offset";

-- rows by TID: an ordinal, which has no gaps where offsets have
SELECT ctid, tableoid::regclass, "offset" FROM topics."am_basic#0" WHERE "offset" >= 10 ORDER BY "offset";
SELECT "offset" FROM topics."am_basic#0" WHERE ctid = '(0,12)';
SELECT "offset" FROM topics."am_basic#0" WHERE ctid = '(0,15)';
SELECT "offset" FROM topics."am_basic#0" WHERE ctid = '(4026531840,1)';
SELECT "offset" FROM topics."am_basic#0" WHERE ctid = '(0,0)';
SELECT a."offset" FROM topics."am_basic#0" a JOIN (VALUES ('(0,3)'::tid), ('(0,1)')) v (t) ON a.ctid = v.t ORDER BY 1;

-- INSERT ... SELECT from the table itself sees what was there before, early append or not
SET pgtopic.produce_buffer = '64kB';
INSERT INTO topics.am_basic (partition, key, value)
	SELECT 1, 'copy', repeat('x', 1000)::bytea FROM generate_series(1, 100);
INSERT INTO topics.am_basic (partition, key, value)
	SELECT 1, 'copy', value FROM topics."am_basic#1" WHERE key = 'copy';
SELECT count(*) FROM topics.am_basic WHERE key = 'copy';
-- a cursor, too
BEGIN;
DECLARE c CURSOR FOR SELECT count(*) OVER () AS n FROM topics.am_basic WHERE key = 'copy';
FETCH 1 FROM c;
SELECT append('am_basic:1', 'after the cursor', 'copy') IS NOT NULL AS appended;
FETCH ALL FROM c \g /dev/null
SELECT count(*) FROM topics.am_basic WHERE key = 'copy';
ROLLBACK;
SELECT count(*) FROM topics.am_basic WHERE key = 'copy';
RESET pgtopic.produce_buffer;

SELECT drop_topic('am_basic');

-- the default is now(); null is none, which Kafka writes as -1
SELECT create_topic('am_time');
INSERT INTO topics.am_time (partition, value) VALUES (0, 'now');
INSERT INTO topics.am_time (partition, value, "timestamp") VALUES (0, 'none', NULL), (0, 'as good as none', '1969-12-31 23:59:59.999Z');
SELECT value, now() - "timestamp" < '1 minute' AS recent FROM topics.am_time WHERE value IN ('now', 'none', 'as good as none') ORDER BY value;
SELECT "timestamp" FROM poll('am_time', 0, 0) WHERE value = 'none';
SET enable_seqscan = off;
SELECT count(*) FROM topics.am_time WHERE "timestamp" >= '1900-01-01' AND value LIKE '%none';
SELECT count("timestamp"), count(*) - count("timestamp") AS nulls FROM topics."am_time#0" WHERE "timestamp" >= '-infinity';
SELECT count(*) FROM topics.am_time WHERE "timestamp" IS NULL;
SELECT count(*) FROM topics.am_time WHERE "timestamp" IS NOT NULL;
SELECT max("timestamp") IS NOT NULL AS max, count(*) FROM topics.am_time;
RESET enable_seqscan;
SELECT drop_topic('am_time');
