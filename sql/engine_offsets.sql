--
-- Offsets that are given, records that cannot be, append()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('eo', 1, '{"max.message.bytes": "2000"}');
CREATE VIEW eo AS SELECT "offset", as_text(value) AS value FROM topics.eo;

-- kept when at or past the end, also with gaps, mixed with assigned ones
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 100, 'a'), (0, 101, 'b'), (0, NULL, 'c'), (0, 200, 'd'), (0, NULL, 'e');
SELECT * FROM eo;
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 202, 'f');
SELECT "offset" FROM eo WHERE value = 'f';

-- refused below the end, wherever that is noticed
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 202, 'again');
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 300, 'x'), (0, 250, 'back');
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, -1, 'negative');
BEGIN;
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 150, 'found out at commit');
COMMIT;
INSERT INTO topics.eo (partition, "offset", value) VALUES (0, 9223372036854775807, 'too far');
SELECT count(*), max("offset") FROM eo;

-- COPY with offsets, as a restore does
COPY topics.eo (partition, "offset", value) FROM stdin;
0	1000	one
0	1001	two
0	1005	three
\.
SELECT * FROM eo WHERE "offset" >= 1000;

-- a record larger than the topic takes; many small ones are fine
INSERT INTO topics.eo (partition, value) VALUES (0, convert_to(repeat('x', 2000), 'UTF8'));
SELECT append('eo:0', repeat('x', 3000));
INSERT INTO topics.eo (partition, value) SELECT 0, convert_to(repeat('y', 500), 'UTF8') FROM generate_series(1, 100);
SELECT count(*), min("offset"), max("offset") FROM eo WHERE value LIKE 'yyy%';

-- append() returns the offset, and checks an expected one
SELECT append('eo:0', 'first');
BEGIN;
SELECT append('eo:0', 'lost') AS o \gset
SELECT append('eo:0', 'lost', expected_offset => :o + 1) = :o + 1 AS ok;
-- after what waits
INSERT INTO topics.eo (partition, value) VALUES (0, 'lost, too');
SELECT append('eo:0', 'lost') = :o + 3 AS ok;
ROLLBACK;
SELECT append('eo:0', 'taken', expected_offset => :o) = :o AS ok;
\set VERBOSITY terse
SELECT append('eo:0', 'too late', expected_offset => :o);
\set VERBOSITY default

-- a compacted topic needs keys
SELECT create_topic('eo_compact', 1, '{"cleanup.policy": "compact"}');
INSERT INTO topics.eo_compact (partition, value) VALUES (0, 'no key');
INSERT INTO topics.eo_compact (partition, key, value) VALUES (0, 'k', 'v'), (0, 'k', NULL);
SELECT count(*) FROM topics.eo_compact;

-- compression is not seen from here
SELECT create_topic('eo_' || codec, 1, jsonb_build_object('compression.type', codec))
	FROM unnest(ARRAY['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed']) codec;
INSERT INTO topics.eo_gzip (partition, key, value) SELECT 0, 'k', convert_to(repeat('abc', 100) || i, 'UTF8') FROM generate_series(1, 5000) i;
INSERT INTO topics.eo_snappy (partition, key, value) SELECT partition, key, value FROM topics.eo_gzip ORDER BY "offset";
INSERT INTO topics.eo_lz4 (partition, key, value) SELECT partition, key, value FROM topics.eo_snappy ORDER BY "offset";
INSERT INTO topics.eo_zstd (partition, key, value) SELECT partition, key, value FROM topics.eo_lz4 ORDER BY "offset";
INSERT INTO topics.eo_uncompressed (partition, key, value) SELECT partition, key, value FROM topics.eo_zstd ORDER BY "offset";
SELECT count(*), bool_and(as_text(value) = repeat('abc', 100) || "offset" + 1) FROM topics.eo_uncompressed;

-- log append time
SELECT create_topic('eo_time', 1, '{"message.timestamp.type": "LogAppendTime"}');
INSERT INTO topics.eo_time (partition, value, "timestamp") VALUES (0, 'then', '2001-01-01'), (0, 'before', '2000-01-01');
SELECT count(*) FROM topics.eo_time WHERE "timestamp" > now() - interval '1 hour';

DROP VIEW eo;
SELECT count(drop_topic(topic)) FROM topics WHERE topic::text LIKE 'eo%';
