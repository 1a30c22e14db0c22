--
-- VACUUM seals; VACUUM FULL copies what is visible, each record in its old place
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('am_vacuum');
INSERT INTO topics.am_vacuum (key, value) SELECT i::text::bytea, repeat(i::text, 100)::bytea FROM generate_series(1, 3000) i;
CREATE INDEX ON topics.am_vacuum (key);
DO $$
BEGIN
	FOR i IN 1 .. 20 LOOP
		BEGIN
			PERFORM append('am_vacuum:0', 'aborted ' || i, 'aborted ' || i);
			IF i % 2 = 0 THEN
				RAISE 'abort';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
CREATE TEMP TABLE am_vacuum_before AS SELECT ctid AS tid, * FROM topics.am_vacuum;
SELECT count(*), max("offset") FROM am_vacuum_before;
VACUUM topics.am_vacuum;
SELECT count(*) FROM (SELECT * FROM am_vacuum_before EXCEPT SELECT ctid, * FROM topics.am_vacuum) d;
SELECT age(relfrozenxid) < 100 AS young, relfrozenxid <> 0 AS set, relpages > 0 AS pages, reltuples, relallvisible
	FROM pg_class WHERE oid = 'topics."am_vacuum#0"'::regclass;
VACUUM (FREEZE, ANALYZE) topics.am_vacuum;
-- everything is sealed, a later abort is not
INSERT INTO topics.am_vacuum (key, value) VALUES ('after', 'VACUUM');
SELECT count(*), max("offset") FROM topics.am_vacuum;
DELETE FROM am_vacuum_before;
INSERT INTO am_vacuum_before SELECT ctid, * FROM topics.am_vacuum;

VACUUM FULL topics.am_vacuum;
SELECT count(*) FROM (SELECT * FROM am_vacuum_before EXCEPT SELECT ctid, * FROM topics.am_vacuum) d;
SELECT count(*) FROM topics.am_vacuum;
SET enable_seqscan = off;
SELECT "offset" FROM topics.am_vacuum WHERE key = '2999';
SELECT "offset" FROM topics.am_vacuum WHERE key = 'after';
SELECT "offset" FROM topics.am_vacuum WHERE key = 'aborted 2';
SELECT "offset" FROM topics.am_vacuum WHERE key = 'aborted 3';
SELECT "offset" FROM topics."am_vacuum#0" WHERE "offset" >= 3009 ORDER BY "offset";
RESET enable_seqscan;
INSERT INTO topics.am_vacuum (key, value) VALUES ('after', 'VACUUM FULL') ;
SELECT "offset", as_text(value) FROM topics.am_vacuum WHERE key = 'after' ORDER BY 1;
SELECT start_offset, end_offset, records FROM partitions WHERE topic = 'am_vacuum';

-- it gives space back
INSERT INTO topics.am_vacuum (key, value) SELECT 'x', repeat('x', 10000)::bytea FROM generate_series(1, 1000);
BEGIN;
INSERT INTO topics.am_vacuum (key, value) SELECT 'aborted', repeat('x', 10000)::bytea FROM generate_series(1, 1000);
SELECT append('am_vacuum:0', 'flushes') IS NOT NULL AS appended;
ROLLBACK;
CREATE TEMP TABLE am_vacuum_size AS SELECT pg_relation_size('topics."am_vacuum#0"') AS size;
VACUUM FULL topics.am_vacuum;
SELECT pg_relation_size('topics."am_vacuum#0"') < size AS smaller FROM am_vacuum_size;
SELECT count(*), min("offset"), max("offset") FROM topics.am_vacuum;

-- a log that does not begin at zero
TRUNCATE topics.am_vacuum;
INSERT INTO topics.am_vacuum (key, value) VALUES ('k', 'v');
VACUUM FULL topics.am_vacuum;
SELECT start_offset, end_offset, records FROM partitions WHERE topic = 'am_vacuum';
TRUNCATE topics.am_vacuum;
VACUUM FULL topics.am_vacuum;
SELECT start_offset, end_offset, records FROM partitions WHERE topic = 'am_vacuum';
INSERT INTO topics.am_vacuum (key, value) VALUES ('k', 'w');
SELECT "offset" FROM topics.am_vacuum;
VACUUM (VERBOSE off) topics.am_vacuum;

SELECT drop_topic('am_vacuum');
