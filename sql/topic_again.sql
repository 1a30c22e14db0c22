--
-- A topic that is dropped and made again is found by everything that names it:
-- prepared statements, PL/pgSQL functions, views, defaults, checks
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('ta_one', 2);

PREPARE ta_produce AS SELECT produce('ta_one', $1::text, partition => 1);
PREPARE ta_end AS SELECT log_end('ta_one:1');
SET plan_cache_mode = force_generic_plan;

CREATE FUNCTION ta_plpgsql(t topic) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM produce('ta_one', 'by name', partition => 1);
	PERFORM produce(t, 'by argument', partition => 1);
	PERFORM append('ta_one:1', 'at once');
	RETURN (SELECT count(*) FROM consume('ta_one', 'ta_group'));
END
$$;
CREATE FUNCTION ta_atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT log_end('ta_one:1'); END;
CREATE VIEW ta_view AS SELECT log_end('ta_one:1') AS ends, topic, t.partitions FROM topics t WHERE topic = 'ta_one';
CREATE TABLE ta_table (
	t topic DEFAULT 'ta_one' CHECK (t IN ('ta_one', 'ta_other')),
	p partition DEFAULT 'ta_one:1',
	n bigint GENERATED ALWAYS AS (number(p)) STORED
);
CREATE INDEX ta_partial ON ta_table (p) WHERE t = 'ta_one';

CREATE PROCEDURE ta_use() LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	INSERT INTO ta_table DEFAULT VALUES;
	FOR r IN SELECT t, p, n, log_end(p) AS e FROM ta_table LOOP
		RAISE NOTICE '% % % %', r.t, r.p, r.n, r.e;
	END LOOP;
END
$$;

EXECUTE ta_produce('one');
EXECUTE ta_end;
SELECT ta_plpgsql('ta_one');
SELECT ta_atomic();
SELECT * FROM ta_view;
CALL ta_use();

-- gone: an error that says so, and the session goes on
SELECT drop_topic('ta_one');
EXECUTE ta_produce('two');
EXECUTE ta_end;
SELECT ta_plpgsql('ta_one');
SELECT ta_atomic();
SELECT * FROM ta_view;
CALL ta_use();
INSERT INTO ta_table DEFAULT VALUES;
DO $$
BEGIN
	PERFORM produce('ta_one', 'x');
EXCEPTION WHEN undefined_table THEN
	RAISE NOTICE 'undefined_table';
END
$$;

-- and there again
SELECT create_topic('ta_one', 2);
EXECUTE ta_produce('three');
EXECUTE ta_end;
SELECT ta_plpgsql('ta_one');
SELECT ta_atomic();
SELECT * FROM ta_view;
CALL ta_use();

-- within one transaction, and undone
BEGIN;
SELECT drop_topic('ta_one');
SELECT create_topic('ta_one', 2);
EXECUTE ta_end;
EXECUTE ta_produce('four');
ROLLBACK;
EXECUTE ta_end;

-- what a dump would have
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'ta_table'::regclass AND adnum = 1;

DROP VIEW ta_view;
DROP TABLE ta_table;
DROP FUNCTION ta_plpgsql, ta_atomic;
DROP PROCEDURE ta_use;
SELECT drop_topic('ta_one'), delete_group('ta_group');
