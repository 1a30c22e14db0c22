--
-- Logical decoding: each record is one INSERT of the transaction that
-- appended it
--
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS pgtopic;
SELECT create_topic('de_one', 2, config => '{"retention.ms": -1}');
SELECT create_topic('de_zstd', 1, config => '{"retention.ms": -1, "compression.type": "zstd"}');
CREATE TABLE de_heap (id int PRIMARY KEY, note text);
SELECT 'made' FROM pg_create_logical_replication_slot('de_slot', 'test_decoding');

-- what there is to decode, without types, large values cut
CREATE FUNCTION decoded(VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT CASE WHEN length(plain) > 300 THEN left(plain, 60) || ' ... ' || length(plain) ELSE plain END
	FROM pg_logical_slot_get_changes('de_slot', NULL, NULL, VARIADIC ARRAY['include-xids', '0', 'skip-empty-xacts', '1'] || options),
		regexp_replace(data, '\[[a-z_. ]+\]', '', 'g') plain
$$;

-- every column, null and not; short and long
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02 03:04:05.678', 'key', 'value', headers('a', 'b', 'a', NULL));
INSERT INTO topics.de_one VALUES (1, 5, NULL, NULL, NULL, NULL), (1, 9, '1969-12-31 23:59:59.999', '', '', headers('', '')),
	(1, NULL, '2026-01-02', convert_to(repeat('k', 126), 'UTF8'), convert_to(repeat('v', 127), 'UTF8'), NULL);
SELECT * FROM decoded();

-- beside tables, in the order of the transaction's WAL; topics come with the commit
BEGIN;
INSERT INTO de_heap VALUES (1, 'first');
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', 'k', 'deferred');
INSERT INTO de_heap VALUES (2, 'second');
COMMIT;
SELECT * FROM decoded();

-- savepoints: what is rolled back is not shown, early or not
BEGIN;
SELECT append('de_one:0', 'early'::text, "timestamp" => '2026-01-02');
SAVEPOINT a;
SELECT append('de_one:0', 'undone'::text, "timestamp" => '2026-01-02');
INSERT INTO topics.de_one VALUES (1, NULL, '2026-01-02', NULL, 'undone');
ROLLBACK TO a;
SAVEPOINT b;
SELECT append('de_one:0', 'kept'::text, "timestamp" => '2026-01-02');
INSERT INTO topics.de_one VALUES (1, NULL, '2026-01-02', NULL, 'kept');
RELEASE b;
COMMIT;
BEGIN;
SELECT append('de_one:0', 'undone'::text, "timestamp" => '2026-01-02');
INSERT INTO topics.de_one VALUES (1, NULL, '2026-01-02', NULL, 'undone');
ROLLBACK;
SELECT * FROM decoded();

-- batches over several pages and several WAL records, and what comes behind them
INSERT INTO topics.de_one SELECT 0, NULL, '2026-01-02', NULL, convert_to(repeat(n::text, 30000), 'UTF8')
	FROM generate_series(1, 12) n;
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, convert_to(repeat('x', 900000), 'UTF8')),
	(0, NULL, '2026-01-02', NULL, 'behind');
INSERT INTO topics.de_zstd SELECT 0, NULL, '2026-01-02', n::text::bytea, convert_to(repeat('z', 1000), 'UTF8')
	FROM generate_series(1, 2000) n;
SELECT data, n FROM decoded() WITH ORDINALITY AS d (data, n)
	WHERE data NOT LIKE '%de!_zstd%' ESCAPE '!' OR n % 500 = 0 ORDER BY n;

-- rewritten, emptied, shortened, dropped
VACUUM FULL topics."de_one#1";
SELECT delete_records('de_one:0', 5);
SELECT count(*) FROM decoded();
BEGIN;
INSERT INTO topics.de_one VALUES (1, NULL, '2026-01-02', NULL, 'before');
TRUNCATE topics.de_one;
INSERT INTO topics.de_one VALUES (1, NULL, '2026-01-02', NULL, 'after');
COMMIT;
SELECT * FROM decoded();
BEGIN;
SELECT create_topic('de_new', 1, config => '{"retention.ms": -1}');
INSERT INTO topics.de_new VALUES (0, NULL, '2026-01-02', NULL, 'new');
COMMIT;
SELECT drop_topic('de_new');
SELECT * FROM decoded();

-- a partition that is attached elsewhere has another number from then on
ALTER TABLE topics.de_one DETACH PARTITION topics."de_one#1";
ALTER TABLE topics."de_one#1" ALTER partition DROP NOT NULL;
INSERT INTO topics."de_one#1" VALUES (NULL, NULL, '2026-01-02', NULL, 'nowhere');
TRUNCATE topics."de_one#1";
ALTER TABLE topics."de_one#1" ALTER partition SET NOT NULL;
ALTER TABLE topics.de_one ATTACH PARTITION topics."de_one#1" FOR VALUES IN (2);
INSERT INTO topics.de_one VALUES (2, NULL, '2026-01-02', NULL, 'two');
SELECT * FROM decoded();

-- two-phase commit, shown with the commit
BEGIN;
INSERT INTO de_heap VALUES (3, 'prepared');
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'prepared');
PREPARE TRANSACTION 'de_prepared';
SELECT * FROM decoded();
COMMIT PREPARED 'de_prepared';
SELECT * FROM decoded();

-- compaction moves records and inserts none
SELECT create_topic('de_compacted', 1, config => '{"cleanup.policy": "compact", "retention.ms": -1}');
INSERT INTO topics.de_compacted SELECT 0, NULL, '2026-01-02', (n % 10)::text::bytea, convert_to(repeat(n::text, 1000), 'UTF8')
	FROM generate_series(1, 2000) n;
SELECT count(*) FROM decoded() data WHERE data LIKE '%INSERT%';
SELECT sum(records_removed) > 0 AS removed FROM compact_topic('de_compacted');
SELECT count(*) FROM decoded();

SELECT pg_drop_replication_slot('de_slot');

-- shown with PREPARE
SELECT 'made' FROM pg_create_logical_replication_slot('de_slot', 'test_decoding', false, true);
BEGIN;
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'committed');
PREPARE TRANSACTION 'de_prepared';
SELECT * FROM decoded();
COMMIT PREPARED 'de_prepared';
SELECT * FROM decoded();
BEGIN;
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'rolled back');
PREPARE TRANSACTION 'de_prepared';
ROLLBACK PREPARED 'de_prepared';
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'next');
SELECT * FROM decoded();

-- transactions in progress are streamed
SET logical_decoding_work_mem = '64kB';
BEGIN;
SAVEPOINT a;
SELECT count(append('de_one:0', repeat('s', 1000), "timestamp" => '2026-01-02')) FROM generate_series(1, 300);
RELEASE a;
SAVEPOINT b;
SELECT append('de_one:0', 'undone'::text);
ROLLBACK TO b;
COMMIT;
SELECT count(*) FILTER (WHERE data LIKE 'opening a streamed block%') > 1 AS blocks,
	count(*) FILTER (WHERE data LIKE 'streaming change%') AS changes,
	count(*) FILTER (WHERE data LIKE 'committing streamed%') AS commits FROM decoded('stream-changes', '1') data;
RESET logical_decoding_work_mem;

-- a slot that advances passes over them
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'passed over');
SELECT slot_name FROM pg_replication_slot_advance('de_slot', pg_current_wal_lsn());
INSERT INTO topics.de_one VALUES (0, NULL, '2026-01-02', NULL, 'shown');
SELECT * FROM decoded();
SELECT pg_drop_replication_slot('de_slot');
DROP FUNCTION decoded(text[]);
DROP TABLE de_heap;
SELECT count(drop_topic(topic)) FROM unnest('{de_one,de_zstd,de_compacted}'::topic[]) topic;
