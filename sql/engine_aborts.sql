--
-- After many aborts an append does not look at all that they left behind.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

-- page accesses, of which a linear storm needs a few per append, a quadratic one a hundred
CREATE FUNCTION page_accesses(topic text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_stat_clear_snapshot();
	RETURN pg_stat_get_blocks_fetched(('topics."' || topic || '#0"')::regclass);
END
$$;

SELECT create_topic('aborts');
SELECT append('aborts:0', 'first');
DO $$
BEGIN
	FOR i IN 1 .. 1500 LOOP
		BEGIN
			PERFORM append('aborts:0', repeat('x', 1000));
			RAISE 'abort';
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT pg_stat_force_next_flush();
SELECT page_accesses('aborts') < 1500 * 30 AS linear;
SELECT append('aborts:0', 'second');

-- behind an append that lives, and in two levels
SELECT create_topic('aborts_behind');
DO $$
BEGIN
	PERFORM append('aborts_behind:0', 'first');
	FOR i IN 1 .. 150 LOOP
		BEGIN
			PERFORM append('aborts_behind:0', repeat('x', 1000));
			FOR j IN 1 .. 9 LOOP
				BEGIN
					PERFORM append('aborts_behind:0', repeat('x', 1000));
					RAISE 'abort';
				EXCEPTION WHEN raise_exception THEN
					NULL;
				END;
			END LOOP;
			IF i % 50 <> 0 THEN
				RAISE 'abort';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
	PERFORM append('aborts_behind:0', 'last');
END
$$;
SELECT pg_stat_force_next_flush();
SELECT page_accesses('aborts_behind') < 1500 * 30 AS linear;
SELECT "offset", left(as_text(value), 5) FROM topics.aborts_behind;
SELECT "offset", left(as_text(value), 6) FROM topics.aborts;

-- runs at many levels, all rolled back but the first append
SELECT create_topic('aborts_nested');
CREATE FUNCTION nest(depth int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM append('aborts_nested:0', depth::text);
	IF depth < 12 THEN
		FOR i IN 1 .. 2 LOOP
			BEGIN
				PERFORM nest(depth + 1);
				IF i = 2 OR depth > 8 THEN
					RAISE 'abort';
				END IF;
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
		END LOOP;
	END IF;
END
$$;
SELECT nest(5);
SELECT "offset", as_text(value) FROM topics.aborts_nested;
SELECT append('aborts_nested:0', 'next');
SELECT drop_topic(t) FROM unnest('{aborts,aborts_behind,aborts_nested}'::topic[]) t;
DROP FUNCTION nest, page_accesses;
