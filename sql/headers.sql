--
-- The type headers, and bytes read as text or JSON
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

-- text form: pairs in order, duplicates and nulls; an object will do
SELECT '[["a", "1"], ["a", "2"], ["", ""], ["n", null]]'::headers;
SELECT '[]'::headers, '{}'::headers, '{"a": "1", "b": null, "c": 5, "d": true, "e": 1.50}'::headers;
SELECT '[["bin", {"base64": "AAH/"}], [{"base64": "/w=="}, "key is no UTF-8"], ["text", {"base64": "dGV4dA=="}]]'::headers;
SELECT '[["ünï", "☃"]]'::headers;

-- what is not
SELECT 'x'::headers;
SELECT '5'::headers;
SELECT '[5]'::headers;
SELECT '["a", "b"]'::headers;
SELECT '[["a"]]'::headers;
SELECT '[["a", "b", "c"]]'::headers;
SELECT '[[null, "b"]]'::headers;
SELECT '[["a", ["b"]]]'::headers;
SELECT '[["a", {"b": "c"}]]'::headers;
SELECT '[["a", {"base64": "?"}]]'::headers;
SELECT '{"a": {"b": 1}}'::headers;
SELECT '[{"a": "b"}]'::headers;

-- constructors and casts
SELECT headers('a', '1', 'a', NULL), headers('{"a": 1}'::jsonb), '[["x", "y"]]'::jsonb::headers;
SELECT headers('a');
SELECT headers(NULL, 'a');
SELECT '[["a", "1"], ["n", null]]'::headers::jsonb;

-- the last one counts, as in Kafka's lastHeader()
SELECT h -> 'a' AS bytes, h ->> 'a' AS text, h ->> 'n' AS null_value, h ->> 'x' AS missing, headers_count(h)
	FROM (SELECT '[["a", "1"], ["a", "2"], ["n", "1"], ["n", null]]'::headers AS h) s;
SELECT '[["a", {"base64": "/w=="}]]'::headers -> 'a';
SELECT '[["a", {"base64": "/w=="}]]'::headers ->> 'a';
SELECT * FROM headers_each('[["a", "1"], ["a", "2"], ["n", null]]');
SELECT * FROM headers_each('[]');

-- equality, DISTINCT, hashing
SELECT '[["a", "1"]]'::headers = '{"a": "1"}' AS eq, '[["a", "1"]]'::headers <> '[["a", "2"]]' AS ne,
	'[["a", "1"], ["b", "2"]]'::headers = '[["b", "2"], ["a", "1"]]'::headers AS order_counts;
SELECT count(*) FROM (SELECT DISTINCT h FROM (VALUES ('{"a": 1}'::headers), ('{"a": "1"}'), ('{"a": 2}')) v(h)) s;
SELECT h, count(*) FROM (VALUES ('{"a": 1}'::headers), ('{"a": "1"}'), ('{"b": 2}')) v(h) GROUP BY h ORDER BY h::text;

-- in a table of the user's, large ones too
CREATE TABLE hd (id int, h headers);
INSERT INTO hd VALUES (1, '{"a": 1}'), (2, headers('big', repeat('0123456789', 100000), 'z', 'end')), (3, NULL);
SELECT id, h ->> 'a' AS a, length(h ->> 'big') AS big, h ->> 'z' AS z, headers_count(h) FROM hd ORDER BY id;

-- binary form: a count, then the encoding of a record
SELECT headers_send('[["ab", "xyz"], ["n", null]]');
SELECT current_setting('data_directory') || '/hd_wire' AS file \gset
COPY hd TO :'file' (FORMAT binary);
CREATE TEMP TABLE hd_wire (LIKE hd);
COPY hd_wire FROM :'file' (FORMAT binary);
SELECT count(*) FROM hd JOIN hd_wire ON hd.id = hd_wire.id AND hd.h IS NOT DISTINCT FROM hd_wire.h;
-- bytes that are no headers: \x00000001 and then a truncated one, or one too many
COPY (SELECT '\x0000000102'::bytea) TO :'file' (FORMAT binary);
COPY hd_wire (h) FROM :'file' (FORMAT binary);
COPY (SELECT '\x00000002026102'::bytea || '\x78') TO :'file' (FORMAT binary);
COPY hd_wire (h) FROM :'file' (FORMAT binary);
COPY (SELECT '\x00'::bytea) TO :'file' (FORMAT binary);
COPY hd_wire (h) FROM :'file' (FORMAT binary);
DROP TABLE hd;

-- through a topic and back
SELECT create_topic('hd');
SELECT produce('hd', 'v', headers => '[["a", "1"], ["a", null], ["bin", {"base64": "AAH/"}]]');
SELECT produce('hd', 'v', headers => jsonb_build_object('trace', 17));
SELECT produce('hd', 'v', headers => '{}');
SELECT headers, headers ->> 'trace' AS trace FROM topics.hd;

-- key and value as text and as JSON
SELECT as_text('\x4142'), as_text('☃'::text::bytea) IS NOT NULL AS snowman;
SELECT as_text('\xff');
SELECT as_text('\x00');
SELECT as_jsonb(convert_to('{"a": 1}', 'UTF8')), convert_to('[1]', 'UTF8')::jsonb;
SELECT as_jsonb('not json');
-- or null for what is neither, so that one record does not spoil a query
SELECT try_text('\x4142') AS text, try_text('\xff') AS utf8, try_text('\x00') AS nul, try_jsonb('\xff') AS json_utf8, try_text(NULL) AS of_null;
SELECT encode(v, 'escape') AS v, try_jsonb(v) AS j, try_jsonb(v) ->> 'a' AS a
	FROM (SELECT convert_to(t, 'UTF8') FROM (VALUES ('{"a": 1}'), ('[1]'), ('not json'), (''), ('{"a": 1'), ('null'), ('"\u0000"'), ('"\ud800"'),
		('1e200000'), ('[01]')) t(t)) v(v);
SELECT try_jsonb(convert_to(repeat('[', 100000), 'UTF8')) AS deep, try_jsonb(convert_to('{"a": ' || repeat('[', 100) || repeat(']', 100) || '}', 'UTF8')) IS NULL AS not_deep;
SELECT sum((try_jsonb(v) ->> 'a')::int), count(*) FROM (SELECT CASE WHEN i % 3 = 0 THEN 'no' ELSE '{"a": 1}' END::bytea AS v FROM generate_series(1, 30000) i) s;
SET statement_timeout = '100 ms';
SELECT count(try_jsonb(CASE WHEN i % 2 = 0 THEN 'no' ELSE '{"a": 1}' END::bytea)) FROM generate_series(1, 1000000000) i;
RESET statement_timeout;
SELECT v ->> 'name' AS name, v -> 'list' AS list, v -> 'list' ->> 1 AS second, v #>> '{deep,er}' AS deep, v ->> 'missing' AS missing
	FROM (SELECT convert_to('{"name": "x", "list": [1, 2], "deep": {"er": "y"}}', 'UTF8') AS v) s;
SELECT v -> 0 AS first, v ->> -1 AS last FROM (SELECT convert_to('["x", "y"]', 'UTF8') AS v) s;
SELECT produce('hd', '{"amount": 12.5}', 'json');
SELECT sum((value ->> 'amount')::numeric) FROM topics.hd WHERE key = 'json';
SELECT drop_topic('hd');
