--
-- TRUNCATE, and moving the file: the end of a log never goes back
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('am_trunc', 2);
INSERT INTO topics.am_trunc (partition, value) SELECT i % 2, i::text::bytea FROM generate_series(0, 9) i;
CREATE INDEX ON topics.am_trunc (value);

TRUNCATE topics.am_trunc;
SELECT count(*) FROM topics.am_trunc;
SELECT partition, start_offset, end_offset, records FROM partitions WHERE topic = 'am_trunc' ORDER BY 1;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'a'), (1, 'b');
SELECT partition, "offset", as_text(value) FROM topics.am_trunc ORDER BY 1;
-- TIDs go on, too, and the index was emptied
SELECT ctid, "offset" FROM topics."am_trunc#0";
SET enable_seqscan = off;
SELECT partition, "offset" FROM topics.am_trunc WHERE value = 'a';
SELECT partition, "offset" FROM topics.am_trunc WHERE value = '4';
RESET enable_seqscan;

-- one partition only, rolled back, and with a savepoint
BEGIN;
TRUNCATE topics."am_trunc#0";
SELECT count(*) FROM topics.am_trunc;
ROLLBACK;
SELECT count(*) FROM topics.am_trunc;
BEGIN;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'before');
SAVEPOINT s;
TRUNCATE topics."am_trunc#0";
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'between');
ROLLBACK TO s;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'after');
COMMIT;
SELECT "offset", as_text(value) FROM topics."am_trunc#0" ORDER BY 1;
-- rows that waited are gone with it, those after it stay
BEGIN;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'before');
TRUNCATE topics.am_trunc;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'after');
TRUNCATE topics.am_trunc;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'after that');
COMMIT;
SELECT "offset", as_text(value) FROM topics."am_trunc#0" ORDER BY 1;
-- RESTART IDENTITY has nothing to restart
TRUNCATE topics.am_trunc RESTART IDENTITY;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'goes on');
SELECT "offset", as_text(value) FROM topics."am_trunc#0" ORDER BY 1;

-- a tablespace: the file is copied as it is
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE am_trunc_space LOCATION '';
INSERT INTO topics.am_trunc (partition, value) SELECT 0, repeat(i::text, 100)::bytea FROM generate_series(1, 5000) i;
BEGIN;
SELECT append('am_trunc:0', 'aborted') IS NOT NULL AS appended;
ROLLBACK;
SELECT count(*), min("offset"), max("offset"), sum(length(value)) FROM topics."am_trunc#0";
ALTER TABLE topics."am_trunc#0" SET TABLESPACE am_trunc_space;
SELECT count(*), min("offset"), max("offset"), sum(length(value)) FROM topics."am_trunc#0";
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'in the tablespace');
-- moved with rows waiting, and rolled back
BEGIN;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'on the way');
ALTER TABLE topics."am_trunc#0" SET TABLESPACE pg_default;
INSERT INTO topics.am_trunc (partition, value) VALUES (0, 'after it');
COMMIT;
BEGIN;
ALTER TABLE topics."am_trunc#0" SET TABLESPACE am_trunc_space;
ROLLBACK;
SELECT "offset", as_text(value) FROM topics."am_trunc#0" ORDER BY 1 DESC LIMIT 3;
SET enable_seqscan = off;
SELECT count(*) FROM topics."am_trunc#0" WHERE value = 'on the way' OR value = 'after it';
RESET enable_seqscan;
-- a new partition in a tablespace
ALTER TABLE topics."am_trunc#1" SET TABLESPACE am_trunc_space;
INSERT INTO topics.am_trunc (partition, value) VALUES (1, 'x');
SELECT partition, "offset", as_text(value) FROM topics."am_trunc#1";

SELECT drop_topic('am_trunc');
DROP TABLESPACE am_trunc_space;

-- an emptied partition says where its offsets go on, for dumps; an empty one can be told so
SELECT create_topic('am_start', 2);
SELECT label FROM pg_seclabels WHERE objoid = 'topics."am_start#0"'::regclass;
INSERT INTO topics.am_start (partition, value) SELECT 0, 'x' FROM generate_series(1, 7);
TRUNCATE topics.am_start;
SELECT objoid::regclass, label FROM pg_seclabels WHERE objoid IN ('topics."am_start#0"'::regclass, 'topics."am_start#1"'::regclass);
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 40}';
SELECT log_start('am_start:1'), log_end('am_start:1');
BEGIN;
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 50}';
SELECT append('am_start:1', 'rolled back');
ROLLBACK;
SELECT append('am_start:1', 'first');
SELECT delete_records('am_start:1', 41);
SELECT label FROM pg_seclabels WHERE objoid = 'topics."am_start#1"'::regclass;
-- it does not go back, nor on where there is something
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 3}';
SELECT log_start('am_start:1'), log_end('am_start:1');
SELECT append('am_start:1', 'second');
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 300}';
SELECT log_start('am_start:1'), log_end('am_start:1');
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS NULL;
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": -3}';
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 60.5}';
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": "3"}';
SECURITY LABEL FOR pgtopic ON TABLE topics."am_start#1" IS '{"start": 3, "name": "am_start"}';
SECURITY LABEL FOR pgtopic ON TABLE topics.am_start IS '{"start": 3}';
SELECT drop_topic('am_start');
