--
-- What a log does not do: one clear error each
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('am_no');
INSERT INTO topics.am_no (key, value) VALUES ('k', 'v');

UPDATE topics.am_no SET value = 'w';
DELETE FROM topics.am_no;
DELETE FROM topics.am_no WHERE key = 'nobody';
SELECT * FROM topics.am_no FOR UPDATE;
SELECT * FROM topics.am_no FOR SHARE;
SELECT as_text(key) FROM topics.am_no FOR KEY SHARE;
INSERT INTO topics.am_no (key) VALUES ('k') ON CONFLICT DO NOTHING;
MERGE INTO topics.am_no t USING (VALUES ('k'::bytea)) s (k) ON t.key = s.k WHEN MATCHED THEN DELETE;
MERGE INTO topics.am_no t USING (VALUES ('n'::bytea)) s (k) ON t.key = s.k WHEN NOT MATCHED THEN INSERT (partition, key) VALUES (0, s.k);
SELECT as_text(key) FROM topics.am_no ORDER BY "offset";

-- columns
ALTER TABLE topics.am_no ADD COLUMN extra int;
ALTER TABLE topics.am_no DROP COLUMN headers;
ALTER TABLE topics.am_no ALTER COLUMN value TYPE text;
ALTER TABLE topics.am_no RENAME COLUMN value TO payload;
ALTER TABLE topics.am_no ALTER "offset" SET NOT NULL;
ALTER TABLE topics."am_no#0" ADD COLUMN extra int;
ALTER TABLE topics."am_no#0" DROP COLUMN headers;

-- uniqueness
CREATE UNIQUE INDEX ON topics.am_no (key);
CREATE UNIQUE INDEX ON topics."am_no#0" (key);
ALTER TABLE topics.am_no ADD PRIMARY KEY (partition, "offset");
ALTER TABLE topics."am_no#0" ADD UNIQUE (key);
ALTER TABLE topics."am_no#0" ADD EXCLUDE USING btree (key WITH =);
CREATE TABLE am_no_table (partition int, "offset" bigint PRIMARY KEY, "timestamp" timestamptz, key bytea, value bytea, headers headers) USING topic_log;
CREATE UNIQUE INDEX CONCURRENTLY ON topics."am_no#0" (key);

-- indexes of ranges of blocks
CREATE INDEX ON topics."am_no#0" USING brin ("offset");

-- storage
ALTER TABLE topics."am_no#0" SET ACCESS METHOD heap;
ALTER TABLE topics."am_no#0" SET UNLOGGED;
CREATE INDEX am_no_key ON topics."am_no#0" (key);
CLUSTER topics."am_no#0" USING am_no_key;
ALTER TABLE topics."am_no#0" CLUSTER ON am_no_key;
CLUSTER topics."am_no#0";

-- rules
CREATE RULE r AS ON INSERT TO topics.am_no DO ALSO NOTIFY am_no;
CREATE RULE r AS ON UPDATE TO topics."am_no#0" DO INSTEAD NOTHING;

-- system columns that a log has not
SELECT xmin FROM topics."am_no#0";

-- an inheritance parent's columns are its children's
CREATE TABLE am_no_parent (partition int);
ALTER TABLE topics."am_no#0" INHERIT am_no_parent;
CREATE TABLE am_no_child (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea, headers headers) USING topic_log;
ALTER TABLE am_no_child INHERIT am_no_parent;
ALTER TABLE am_no_parent ADD COLUMN more int;
ALTER TABLE am_no_parent ALTER COLUMN partition TYPE bigint;
DROP TABLE am_no_child, am_no_parent;

-- the topic is as it was
\d topics."am_no#0"
SELECT partition, "offset", as_text(key), as_text(value) FROM topics.am_no ORDER BY "offset";

SELECT drop_topic('am_no');
