--
-- produce() and append()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('pr'), create_topic('pr3', 3);

-- the forms of a call
SELECT produce('pr', 'text');
SELECT produce('pr', 'text', 'key');
SELECT produce('pr', 'text', '\x01'::bytea);
SELECT produce('pr', '\x00ff'::bytea);
SELECT produce('pr', '\x00ff'::bytea, 'key');
SELECT produce('pr', '\x00ff'::bytea, '\x01'::bytea);
SELECT produce('pr', '{"j": 1}'::jsonb);
SELECT produce('pr', '{"j": 1}'::jsonb, 'key');
SELECT produce('pr', '{"j": 1}'::jsonb, '\x01'::bytea);
SELECT produce('pr', '{"j":   1}'::json, 'key');
SELECT produce('pr', NULL, 'tombstone');
SELECT produce('pr', NULL);
SELECT produce('pr', '', '');
SELECT produce('pr', 'v'::varchar, 'k'::varchar);
SELECT produce('pr'::text, 'from a name in a column');
SELECT produce(topic => 'pr', value => 'named', key => 'k', headers => '{"h": 1}', partition => 0, "timestamp" => '2024-05-06 07:08:09.1239');
SELECT produce('pr', 'named', headers => headers('a', 'b'));
SELECT produce('pr', 'named', partition => 0);
SELECT produce('pr', '{"a": 1}'::jsonb, headers => '{"h": 2}');
SELECT produce('pr', 'null time', "timestamp" => NULL);
SELECT "offset", as_text(key) AS key_text, CASE WHEN value <> '\x00ff' THEN as_text(value) END AS value_text, value IS NULL AS tombstone, headers,
	CASE WHEN "timestamp" < '2025-01-01' THEN "timestamp" END AS "timestamp"
	FROM topics.pr;

-- what is refused
SELECT produce('pr_missing', 'x');
SELECT produce(NULL::topic, 'x');
SELECT produce('pr', 'x', partition => 1);
SELECT produce('pr', 'x', partition => -1);
SELECT produce('pr', 'x', "timestamp" => 'infinity');
SELECT produce('pr', 'x', "timestamp" => '1960-01-01');
SELECT produce('pr', 'x', "timestamp" => now() + interval '2 h');
SELECT produce('pr', repeat('x', 2000000));
BEGIN READ ONLY;
SELECT produce('pr', 'x');
ROLLBACK;

-- keys go where Java's producer puts them (murmur2)
SELECT create_topic('pr_keys', 100);
SELECT key, number(produce('pr_keys', 'v', key)) AS partition
	FROM unnest(ARRAY['21', 'foobar', 'a-little-bit-long-string', 'a-little-bit-longer-string', 'lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', 'abc', '', 'ä☃']) key;
SELECT number(produce('pr_keys', 'v', '\x00ff10'::bytea)) AS bytes, number(produce('pr_keys', '\x00'::bytea, 'abc')) AS same_as_text;

-- without a key: one partition for a transaction, and not always the same
SELECT count(DISTINCT produce('pr3', 'sticky')) FROM generate_series(1, 10);
CREATE TEMP TABLE pr_seen (p partition);
INSERT INTO pr_seen SELECT produce('pr3', 'sticky');
INSERT INTO pr_seen SELECT produce('pr3', 'sticky');
INSERT INTO pr_seen SELECT produce('pr3', 'sticky');
SELECT count(DISTINCT p) FROM pr_seen;
BEGIN;
CREATE TEMP TABLE pr_txn ON COMMIT DROP AS SELECT produce('pr3', 'a') AS p;
INSERT INTO pr_txn SELECT partition('pr3', next_partition('pr3'));
INSERT INTO pr_txn SELECT produce('pr3', 'b');
SELECT count(DISTINCT p) FROM pr_txn;
COMMIT;
INSERT INTO topics.pr3 (value) VALUES ('default partition');
SELECT next_partition('pr_missing');

-- a record joins the log at commit: nothing is seen before, nothing after a rollback
SELECT count(*) AS before FROM topics.pr3 \gset
BEGIN;
SELECT produce('pr3', 'pending') IS NOT NULL AS produced;
SELECT count(*) - :before AS seen FROM topics.pr3;
ROLLBACK;
SELECT count(*) - :before AS seen FROM topics.pr3;
BEGIN;
SELECT produce('pr3', 'kept', partition => 0);
SAVEPOINT s;
SELECT produce('pr3', 'lost', partition => 0);
ROLLBACK TO s;
SELECT produce('pr3', 'kept too', partition => 0);
COMMIT;
SELECT as_text(value) FROM topics."pr3#0" ORDER BY "offset" DESC LIMIT 2;

-- order is that of the calls
BEGIN;
SELECT count(produce('pr3', i::text, partition => 2, headers => '{"run": "order"}')) FROM generate_series(1, 1000) i;
COMMIT;
SELECT count(*), bool_and(value_number = row_number) AS in_order FROM
	(SELECT as_text(value)::int AS value_number, row_number() OVER (ORDER BY "offset") FROM topics."pr3#2" WHERE headers ->> 'run' = 'order') s;

-- append: at once, with its offset
SELECT create_topic('ap', 2);
SELECT append('ap:1', 'first'), append('ap:1', 'second', 'k'), append('ap:1', '{"j": 1}'::jsonb), append('ap:1', '\x01'::bytea, '\x02'::bytea);
SELECT append('ap:1', '{"j":  2}'::json, headers => '{"h": 1}', "timestamp" => '2024-01-01');
SELECT append('ap:1', NULL, 'k');
SELECT partition, "offset", key, value, headers FROM topics.ap;
BEGIN;
SELECT append('ap:1', 'undone');
SELECT count(*) FROM topics.ap;
ROLLBACK;
SELECT append('ap:1', 'takes its offset');

-- expected_offset
SELECT append('ap:0', 'x', expected_offset => 0);
SELECT append('ap:0', 'x', expected_offset => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT append('ap:0', 'x', expected_offset => 1);
SELECT append('ap:0', 'x', expected_offset => 3);
SELECT append('ap:0', 'x', expected_offset => -1);
SELECT append('ap:2', 'x');
SELECT append(NULL::partition, 'x');
SELECT log_start('ap:0'), log_end('ap:0'), log_end('ap:1');
SELECT log_end('ap:2');
-- records that wait come before one that is appended
BEGIN;
SELECT produce('ap', 'waits', partition => 0);
SELECT append('ap:0', 'does not');
COMMIT;
SELECT "offset", as_text(value) FROM topics."ap#0" ORDER BY 1 DESC LIMIT 2;

-- constraints and triggers of the table are those of produce() and append(), too
SELECT create_topic('pc');
ALTER TABLE topics.pc ADD CONSTRAINT pc_short CHECK (length(value) < 10);
SELECT produce('pc', 'short');
\set VERBOSITY terse
SELECT produce('pc', 'much too long');
SELECT append('pc:0', 'much too long');
\set VERBOSITY default
SELECT append('pc:0', 'also', expected_offset => 1);
SELECT append('pc:0', 'also', expected_offset => 1);
ALTER TABLE topics.pc DROP CONSTRAINT pc_short;
CREATE FUNCTION pc_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% %: % %', TG_WHEN, TG_LEVEL, as_text(NEW.key), as_text(NEW.value);
	RETURN NEW;
END
$$;
CREATE TRIGGER pc_before BEFORE INSERT ON topics."pc#0" FOR EACH ROW EXECUTE FUNCTION pc_log();
CREATE TRIGGER pc_after AFTER INSERT ON topics.pc FOR EACH ROW EXECUTE FUNCTION pc_log();
SELECT produce('pc', 'trigger', 'k', headers => '{"h": 1}');
SELECT append('pc:0', 'trigger', 'k2');
SELECT "offset", as_text(key) AS key, as_text(value) AS value, headers FROM topics.pc;

SELECT drop_topic(t) FROM unnest(ARRAY['pr', 'pr3', 'pr_keys', 'ap', 'pc']::topic[]) t;
DROP FUNCTION pc_log;
