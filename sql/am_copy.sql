--
-- COPY in both directions
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('am_copy', 2);
COPY topics.am_copy FROM stdin;
0	0	2024-01-01 00:00:00+00	\\x61	\\x31	\N
1	10	2024-01-01 00:00:01+00	\N	\\x32	[["h", "v"]]
0	\N	2024-01-01 00:00:02+00	\\x62	\N	\N
\.
COPY (SELECT * FROM topics.am_copy ORDER BY partition, "offset") TO stdout;
COPY topics."am_copy#1" TO stdout;
COPY topics.am_copy (partition, key, value) FROM stdin (FORMAT csv);
0,\x63,\x33
\.
COPY (SELECT partition, "offset", key, value FROM topics.am_copy ORDER BY 1, 2) TO stdout (FORMAT csv);

-- an error in the middle leaves nothing
COPY topics.am_copy (partition, key, value) FROM stdin;
0	\\x64	\\x34
0	\\x3	\\x35
\.
COPY topics.am_copy FROM stdin;
1	11	2024-01-01 00:00:00+00	\N	\\x61	\N
1	11	2024-01-01 00:00:00+00	\N	\\x62	\N
\.
SELECT count(*) FROM topics.am_copy;

-- many rows, text and binary, there and back
INSERT INTO topics.am_copy (partition, key, value, headers, "timestamp")
	SELECT i % 2, ('key ' || i)::bytea, decode(md5(i::text), 'hex'), headers('n', i::text), '2024-01-01'::timestamptz + i * interval '1 ms'
	FROM generate_series(1, 20000) i;
SELECT current_setting('data_directory') || '/am_copy.txt' AS text_file, current_setting('data_directory') || '/am_copy.bin' AS binary_file \gset
COPY (SELECT * FROM topics.am_copy ORDER BY partition, "offset") TO :'text_file';
COPY (SELECT * FROM topics.am_copy ORDER BY partition, "offset") TO :'binary_file' (FORMAT binary);
SELECT create_topic('am_copy_text', 2), create_topic('am_copy_binary', 2);
COPY topics.am_copy_text FROM :'text_file';
COPY topics.am_copy_binary FROM :'binary_file' (FORMAT binary);
SELECT count(*) FROM (SELECT * FROM topics.am_copy EXCEPT SELECT * FROM topics.am_copy_text) d;
SELECT count(*) FROM (SELECT * FROM topics.am_copy EXCEPT SELECT * FROM topics.am_copy_binary) d;
SELECT partition, count(*), min("offset"), max("offset") FROM topics.am_copy_text GROUP BY 1 ORDER BY 1;
SELECT partition, count(*), min("offset"), max("offset") FROM topics.am_copy_binary GROUP BY 1 ORDER BY 1;
-- the same offsets again are refused
COPY topics.am_copy_text FROM :'text_file';

-- FREEZE means nothing here, but is no error
BEGIN;
TRUNCATE topics.am_copy_text;
COPY topics."am_copy_text#0" (partition, value) FROM stdin (FREEZE);
0	\\x31
\.
COMMIT;
SELECT partition, "offset", value FROM topics.am_copy_text;

SELECT drop_topic('am_copy'), drop_topic('am_copy_text'), drop_topic('am_copy_binary');
