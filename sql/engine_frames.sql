--
-- Frames that hold no batch: readers pass over them, searches are not misled by them.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
CREATE FUNCTION append_frame(leaf regclass, data bytea) RETURNS void AS 'pgtopic', 'pt_test_append_producers' LANGUAGE C STRICT;
CREATE FUNCTION fill(bytes int, with_byte text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat(with_byte, bytes), 'hex') $$;

SELECT create_topic('frames');
SELECT append_frame('topics."frames#0"', fill(60, '00'));
-- the first frame of a log
SELECT append_frame('topics."frames#0"', fill(61, '00'));
SELECT log_start('frames:0'), log_end('frames:0');

-- pages that begin with one, whose bytes would be small offsets, or huge ones, and long ones over many pages
DO $$
BEGIN
	FOR i IN 0 .. 299 LOOP
		PERFORM append('frames:0', i::text, 'key ' || i);
		PERFORM append_frame('topics."frames#0"', fill(CASE WHEN i % 50 = 7 THEN 200000 WHEN i % 3 = 0 THEN 200 ELSE 5000 END,
			CASE i % 3 WHEN 0 THEN '00' WHEN 1 THEN '7f' ELSE 'ff' END));
		IF i % 20 = 0 THEN
			BEGIN
				PERFORM append('frames:0', 'aborted');
				PERFORM append_frame('topics."frames#0"', fill(3000, '01'));
				RAISE 'abort';
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
		END IF;
	END LOOP;
END
$$;
SELECT log_start('frames:0'), log_end('frames:0'), count(*), min("offset"), max("offset"),
	bool_and(as_text(value)::int = "offset") FROM topics.frames;
-- each offset, and each TID, is found
CREATE TEMP TABLE seen AS SELECT ctid AS tid, "offset", value FROM topics.frames;
SELECT count(*) FROM generate_series(0, 299) o, LATERAL (SELECT * FROM poll('frames', 0, from_offset => o, max_records => 1)) p
	WHERE p."offset" = o AND as_text(p.value) = o::text;
SELECT count(*) FROM generate_series(0, 299) o WHERE (SELECT as_text(value) FROM topics.frames WHERE partition = 0 AND "offset" = o) = o::text;
SET enable_seqscan = off;
CREATE INDEX ON topics.frames (key);
SELECT count(*) FROM generate_series(0, 299) o WHERE (SELECT "offset" FROM topics.frames WHERE key = ('key ' || o)::bytea) = o;
RESET enable_seqscan;
SELECT max("offset") FROM topics.frames WHERE partition = 0;
SELECT max("offset") FROM topics.frames WHERE partition = 0 AND "offset" <= 157;
SELECT count(*) FROM topics.frames WHERE "timestamp" > now() - interval '1 hour';

-- of a transaction that has only that, and of one that is rolled back
SELECT append_frame('topics."frames#0"', fill(500, 'ff'));
BEGIN;
SELECT append_frame('topics."frames#0"', fill(500, 'ff'));
ROLLBACK;
SELECT append('frames:0', '300', 'key 300');

-- sealed, trimmed, copied
VACUUM topics.frames;
SELECT count(*) FROM topics.frames t JOIN seen ON seen.tid = t.ctid AND seen."offset" = t."offset";
BEGIN;
SELECT delete_records('frames:0', 150);
COMMIT;
SELECT log_start('frames:0'), log_end('frames:0'), count(*), min("offset"), max("offset") FROM topics.frames;
SELECT delete_records('frames:0', 301);
SELECT log_start('frames:0'), log_end('frames:0'), count(*) FROM topics.frames;
SELECT append_frame('topics."frames#0"', fill(20000, '7f'));
SELECT append('frames:0', '301', 'key 301');
VACUUM FULL topics.frames;
SELECT log_start('frames:0'), log_end('frames:0'), array_agg(as_text(value)) FROM topics.frames;
SELECT append('frames:0', '302', 'key 302');
SELECT drop_topic('frames');
DROP FUNCTION append_frame, fill;
