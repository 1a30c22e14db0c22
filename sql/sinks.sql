--
-- Sinks: the statements that are made for tables, what they do with records, and what is refused
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT create_topic('sk_in', 2), create_topic('sk_dead');
CREATE TABLE sk_append (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL, pieces int DEFAULT 1,
	price numeric(8,2), at timestamptz DEFAULT '2024-01-01', "Odd ""name" text[], twice int GENERATED ALWAYS AS (pieces * 2) STORED);
CREATE TABLE sk_two (id int, kind text DEFAULT 'k', body text, n int DEFAULT 7, PRIMARY KEY (id, kind));
CREATE TABLE sk_one (id int PRIMARY KEY, body text);
CREATE TABLE sk_only (id text PRIMARY KEY);
CREATE TABLE sk_mirror (id int, kind text, body text, raw bytea, at timestamptz DEFAULT '2020-01-01', doc jsonb, d date, ts timestamp,
	ts3 timestamp(3), tm time, iv interval, nums int[], twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, kind));
CREATE TABLE sk_keyless (id int);
CREATE TABLE sk_path (k varchar(9) PRIMARY KEY, target text DEFAULT 'none', n int);

-- the statements
\pset format unaligned
\pset tuples_only on
SELECT sink_statement('sk_append');
SELECT sink_statement('sk_append', mapping => '{"item": "convert_from(value, ''UTF8'')", "pieces": "\"offset\" -- no"}');
SELECT sink_statement('sk_two', 'upsert');
SELECT sink_statement('sk_one', 'upsert', '{"id": "partition", "body": "key"}');
SELECT sink_statement('sk_only', 'upsert');
SELECT sink_statement('sk_mirror', 'mirror');
SELECT sink_statement('sk_path', 'mirror');
\pset format aligned
\pset tuples_only off

-- A schema of someone's, whose operators and functions are found before the server's. No statement of a sink calls them.
CREATE SCHEMA sk_evil;
CREATE FUNCTION sk_evil.caught(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'caught: %', what; END $$;
DO $$
DECLARE
	o record;
BEGIN
	FOR o IN SELECT oprname AS name, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result, oid::regoperator::text AS id
		FROM pg_operator WHERE oid = ANY ('{"=(int4,int4)", "=(int8,int8)", "=(text,text)", "->>(jsonb,text)", "->(jsonb,text)", "?(jsonb,text)",
			"?&(jsonb,text[])", "||(jsonb,jsonb)", ">(int8,int8)", ">(int8,int4)", "+(date,int4)", "*(float8,interval)", "+(time,interval)",
			"+(timestamp,interval)"}'::regoperator[])
	LOOP
		EXECUTE format('CREATE FUNCTION sk_evil.f(a %1$s, b %2$s) RETURNS %3$s LANGUAGE sql AS $f$ SELECT sk_evil.caught(%4$L)::%3$s $f$',
			o.l, o.r, o.result, o.id);
		EXECUTE format('CREATE OPERATOR sk_evil.%s (FUNCTION = sk_evil.f, LEFTARG = %s, RIGHTARG = %s)', o.name, o.l, o.r);
		EXECUTE format('ALTER FUNCTION sk_evil.f(%s, %s) RENAME TO %I', o.l, o.r, o.id);
	END LOOP;
	FOR o IN SELECT p.oid::regprocedure::text AS id, proname AS name, pg_get_function_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result
		FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace
			AND (proname IN ('encode', 'decode', 'jsonb_typeof') OR p.oid = 'jsonb_build_object()'::regprocedure)
	LOOP
		EXECUTE format('CREATE FUNCTION sk_evil.%I(%s) RETURNS %s LANGUAGE sql AS $f$ SELECT sk_evil.caught(%L)::%3$s $f$', o.name, o.args, o.result, o.id);
	END LOOP;
END $$;
CREATE FUNCTION sk_evil.same(a varchar, b varchar) RETURNS bool LANGUAGE sql AS $$ SELECT sk_evil.caught('varchar')::bool $$;
CREATE OPERATOR sk_evil.= (FUNCTION = sk_evil.same, LEFTARG = varchar, RIGHTARG = varchar);
CREATE FUNCTION sk_evil.times(a bigint, b interval) RETURNS interval LANGUAGE sql AS $$ SELECT sk_evil.caught('times')::interval $$;
CREATE OPERATOR sk_evil.* (FUNCTION = sk_evil.times, LEFTARG = bigint, RIGHTARG = interval);
CREATE DOMAIN sk_evil.date AS text CHECK (sk_evil.caught('date') IS NULL);

-- A table of that name stands for the relation that a sink reads: 'key|value', empty for null.
CREATE TEMP TABLE records (partition int, "offset" bigint, "timestamp" timestamptz, key bytea, value bytea);
CREATE FUNCTION pg_temp.run(t regclass, mode text, mapping jsonb, VARIADIC input text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	message text;
	detail text;
BEGIN
	DELETE FROM records;
	INSERT INTO records (partition, "offset", key, value)
		SELECT 0, n, convert_to(nullif(split_part(x, '|', 1), ''), 'UTF8'), convert_to(nullif(split_part(x, '|', 2), ''), 'UTF8')
		FROM unnest(input) WITH ORDINALITY r(x, n);
	statement := sink_statement(t, mode, mapping);
	PERFORM set_config('search_path', 'sk_evil, pg_catalog', true);
	EXECUTE statement;
	PERFORM pg_catalog.set_config('search_path', '"$user", public', true);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ': ' || message || ' ' || detail;
END
$$;

-- append: absent is the default, null is null, what the table does not have is nothing; records without a value are passed over
SELECT pg_temp.run('sk_append', 'append', NULL, '|{"item": "bolt", "pieces": 3, "price": "1.5", "Odd \"name": ["x","y"], "more": 1}',
	'|{"item": "nut", "id": 77}', '|', '|{"item": "x", "pieces": null, "at": "2024-02-29T12:00:00+01:00"}');
SELECT pg_temp.run('sk_append', 'append', '{"item": "coalesce(convert_from(value, ''UTF8''), ''none'')", "pieces": "\"offset\" -- no"}',
	'k|v1', 'k|');
TABLE sk_append ORDER BY id;
SELECT pg_temp.run('sk_append', 'append', NULL, '|[1]');
SELECT pg_temp.run('sk_append', 'append', NULL, '|5');
SELECT pg_temp.run('sk_append', 'append', NULL, '|no json');
SELECT pg_temp.run('sk_append', 'append', NULL, '|{"item": "x", "pieces": "many"}');
SELECT pg_temp.run('sk_append', 'append', NULL, '|{"pieces": 1}');

-- upsert: the last record of a key; without a value it deletes; the key is in the value or is the record's
SELECT pg_temp.run('sk_two', 'upsert', NULL, '|{"id":1,"kind":"a","body":"x"}', '|{"id":1,"kind":"a","body":"y","n":1}',
	'{"id":2,"kind":"b"}|{"body":"two"}', '{"id":3,"kind":"b"}|{"body":"three"}', '{"id":3,"kind":"b"}|', '|', 'nothing|');
TABLE sk_two ORDER BY id;
SELECT pg_temp.run('sk_two', 'upsert', NULL, '|{"id":1,"kind":"a"}', '{"id":2,"kind":"b"}|', '{"id":2,"kind":"b"}|{"n":null}');
TABLE sk_two ORDER BY id;
SELECT pg_temp.run('sk_two', 'upsert', NULL, '|{"id":1}');
SELECT pg_temp.run('sk_one', 'upsert', NULL, '1|{"body":"one"}', '"2"|{"body":"two"}', '3|{"id":4,"body":"four"}',
	'{"schema":{},"payload":{"id":5}}|{"body":"five"}');
TABLE sk_one ORDER BY id;
SELECT pg_temp.run('sk_one', 'upsert', NULL, '1|', '5|', '2|{"body":"2"}');
SELECT pg_temp.run('sk_one', 'upsert', '{"id": "convert_from(key, ''UTF8'')", "body": "convert_from(value, ''UTF8'')"}', '4|', '6|six');
TABLE sk_one ORDER BY id;
SELECT pg_temp.run('sk_one', 'upsert', NULL, 'x|{"body":"x"}');
SELECT pg_temp.run('sk_only', 'upsert', NULL, '007|{}', '"q"|{}', '1e2|{}', '{"id":"o"}|{}', '007|{}');
TABLE sk_only ORDER BY id;

-- mirror: envelopes, also within their schema; what Debezium writes otherwise than PostgreSQL reads it; values that were not sent
INSERT INTO sk_mirror (id, kind, body, raw) VALUES (7, 'a', 'old body', '\x01'), (8, 'a', 'gone', '\x02'), (9, 'a', 'moves', '\x03');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL,
	'|{"op":"c","after":{"id":1,"kind":"a","body":"b1","raw":"AQI=","at":"2024-01-01T00:00:00Z","doc":"{\"x\":1}","d":19723,"ts":1704067200000001,"ts3":1704067200001,"tm":3600000001,"iv":1000000,"nums":[1,2]}}',
	'|{"schema":{},"payload":{"op":"u","before":null,"after":{"id":1,"kind":"a","body":"__debezium_unavailable_value","raw":"AQM=","at":null,"doc":null}}}',
	'|{"op":"u","before":{"id":7,"kind":"a"},"after":{"id":7,"kind":"a","body":"__debezium_unavailable_value","raw":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==","d":"2024-02-29"}}',
	'|{"op":"d","before":{"id":8,"kind":"a","body":null},"after":null}', '{"id":8,"kind":"a"}|',
	'|{"op":"u","before":{"id":9,"kind":"a"},"after":{"id":10,"kind":"a","body":"moved","doc":{"y":2}}}',
	'|{"op":"m"}', '|{"schema":null,"payload":null}');
TABLE sk_mirror ORDER BY id;
SELECT pg_temp.run('sk_mirror', 'mirror', NULL,
	'{"schema":1,"payload":{"id":7,"kind":"a"}}|{"op":"d","before":null}',
	'|{"op":"u","after":{"id":10,"kind":"a","body":"__debezium_unavailable_value"}}',
	'|{"op":"d","before":{"id":10,"kind":"a"}}', '|{"op":"c","after":{"id":10,"kind":"a","d":"2024-01-01"}}');
SELECT id, kind, body, at, d FROM sk_mirror ORDER BY id;
SELECT pg_temp.run('sk_mirror', 'mirror', NULL,
	'|{"op":"c","after":{"id":50,"kind":"z"}}', '|{"op":"t"}', '|{"op":"c","after":{"id":1,"kind":"a","nums":[3]}}');
SELECT id, kind, body, nums FROM sk_mirror ORDER BY id;
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"u","after":{"id":99,"kind":"a","body":"__debezium_unavailable_value"}}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"id":1}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"x"}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"d"}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"d","before":{"id":1}}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"c"}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"c","after":{"body":"x"}}');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|[]');
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|no json');

ALTER TABLE sk_mirror ADD ours text DEFAULT 'ours';
SELECT pg_temp.run('sk_mirror', 'mirror', NULL, '|{"op":"c","after":{"id":60,"kind":"a","body":"b"}}',
	'|{"op":"u","after":{"id":60,"kind":"a","body":"__debezium_unavailable_value","d":"2024-01-01"}}');
SELECT id, kind, body, d, ours FROM sk_mirror WHERE id = 60;

SELECT pg_temp.run('sk_path', 'mirror', NULL, '|{"op":"c","after":{"k":"a","target":"t","n":1}}', '|{"op":"c","after":{"k":"b"}}');
SELECT pg_temp.run('sk_path', 'mirror', NULL, '|{"op":"u","after":{"k":"a","n":2}}', '|{"op":"d","before":{"k":"b"}}');
TABLE sk_path;

-- what is refused
SELECT sink_statement('sk_append', 'other');
SELECT sink_statement('sk_keyless', 'upsert');
SELECT sink_statement('sk_append', 'upsert', '{"item": "1"}');
SELECT sink_statement('sk_append', mapping => '{"nothing": "1"}');
SELECT sink_statement('sk_append', mapping => '{"twice": "1"}');
SELECT sink_statement('sk_append', mapping => '{"item": "1, 2"}');
SELECT sink_statement('sk_append', mapping => '{"item": "1 FROM b"}');
SELECT sink_statement('sk_append', mapping => '{"item": "1) FROM records; DROP TABLE sk_append; SELECT (1"}');
SELECT sink_statement('sk_append', mapping => '{"item": "1 AS x"}');
SELECT sink_statement('sk_append', mapping => '{"item": "*"}');
SELECT sink_statement('sk_append', mapping => '{"item": ""}');
SELECT sink_statement('sk_append', mapping => '{"item": 1}');
SELECT sink_statement('sk_append', mapping => '[]');
SELECT sink_statement('sk_append', mapping => '{}');
SELECT sink_statement('sk_mirror', 'mirror', '{"id": "1"}');
SELECT sink_statement('records');
CREATE VIEW sk_view AS SELECT 1 AS a;
SELECT sink_statement('sk_view');
CREATE TABLE sk_arrays (id int PRIMARY KEY, docs jsonb[]);
SELECT sink_statement('sk_arrays', 'mirror');
SELECT create_sink('sk', 'sk_nothing', 'sk_one');
SELECT create_sink('sk', 'sk_in', 'sk_one', 'other');
SELECT create_sink('sk', 'sk_in', 'sk_one', mapping => '{"id": "nothing"}');
SELECT create_sink('sk', 'sk_in', 'sk_one', mapping => '{"id": "ARRAY[1]"}');
SELECT create_sink('sk', 'sk_in', 'sk_one', on_error => 'sk_nothing');
SELECT create_sink('sk', 'sk_in', 'sk_one', parallelism => 0);
SELECT create_sink(NULL, 'sk_in', 'sk_one');
SELECT create_sink('sk', NULL, 'sk_one');
SELECT create_sink('sk', 'sk_in', NULL);
SELECT create_sink('sk', 'sk_in', 999999::oid::regclass);
SELECT drop_sink('sk');

-- the definition, and what may be changed of it
BEGIN;
SELECT create_sink('sk', 'sk_in', 'sk_one', 'upsert', '{"id": "partition"}', "group" => 'g', on_error => 'sk_dead', parallelism => 2);
SELECT kind, definition - 'search_path' AS definition FROM tasks_status WHERE name = 'sk';
SELECT alter_task('sk', '{"mode": "append", "mapping": null}');
SELECT definition - 'search_path' AS definition FROM tasks_status WHERE name = 'sk';
SAVEPOINT s;
SELECT alter_task('sk', '{"mode": "mirror", "mapping": {"id": "1"}}');
ROLLBACK TO s;
SELECT alter_task('sk', '{"table": "sk_one"}');
ROLLBACK TO s;
SELECT alter_task('sk', '{"table": "public.sk_nothing"}');
ROLLBACK TO s;
SELECT drop_processor('sk');
ROLLBACK TO s;
SELECT drop_sink('sk');
SELECT count(*) FROM tasks_status WHERE name = 'sk';
ROLLBACK;

-- privileges on the table, and on the topic
CREATE ROLE regress_sk;
GRANT USAGE ON SCHEMA topics TO regress_sk;
SET ROLE regress_sk;
SELECT sink_statement('sk_one');
RESET ROLE;
GRANT INSERT (body) ON sk_one TO regress_sk;
SET ROLE regress_sk;
SELECT sink_statement('sk_one') IS NOT NULL AS may_append;
SELECT sink_statement('sk_one', 'upsert');
SELECT create_sink('sk', 'sk_in', 'sk_one');
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON sk_one TO regress_sk;
SET ROLE regress_sk;
SELECT sink_statement('sk_one', 'upsert');
RESET ROLE;

DROP OWNED BY regress_sk;
DROP ROLE regress_sk;
DROP VIEW sk_view;
DROP TABLE sk_append, sk_two, sk_one, sk_only, sk_mirror, sk_keyless, sk_arrays, sk_path;
DROP SCHEMA sk_evil CASCADE;
SELECT drop_topic('sk_in'), drop_topic('sk_dead');
