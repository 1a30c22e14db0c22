--
-- Records that wait for the commit: savepoints, early append, what triggers see of them
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('es', 2);
CREATE VIEW es AS SELECT partition, "offset", as_text(value) AS value FROM topics.es;
CREATE FUNCTION add_rows(p int, prefix text, n int) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO topics.es (partition, value) SELECT p, convert_to(prefix || i || repeat('.', 100), 'UTF8') FROM generate_series(1, n) i $$;

-- what was rolled back never gets an offset
BEGIN;
INSERT INTO topics.es (partition, value) VALUES (0, 'a');
SAVEPOINT s1;
INSERT INTO topics.es (partition, value) VALUES (0, 'lost 1'), (1, 'lost 2');
SAVEPOINT s2;
INSERT INTO topics.es (partition, value) VALUES (0, 'lost 3');
RELEASE s2;
INSERT INTO topics.es (partition, value) VALUES (0, 'lost 4');
ROLLBACK TO s1;
INSERT INTO topics.es (partition, value) VALUES (0, 'b');
SAVEPOINT s3;
INSERT INTO topics.es (partition, value) VALUES (0, 'c'), (1, 'd');
RELEASE s3;
SAVEPOINT s4;
INSERT INTO topics.es (partition, value) VALUES (1, 'lost 5');
ROLLBACK TO s4;
COMMIT;
SELECT * FROM es ORDER BY 1, 2;

-- a subtransaction for each row, every other one fails
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		BEGIN
			PERFORM produce('es', 'x' || i, partition => 1);
			IF i % 2 = 0 THEN
				RAISE EXCEPTION 'even';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT count(*), min("offset"), max("offset"), bool_and(substr(value, 2)::int % 2 = 1) FROM es WHERE value LIKE 'x%';

-- nothing at all is left of a rollback
BEGIN;
INSERT INTO topics.es (partition, value) VALUES (0, 'lost 6');
ROLLBACK;
SELECT max("offset") FROM es WHERE partition = 0;

--
-- Early append: beyond produce_buffer records go to the log before the commit
--
SET pgtopic.produce_buffer = '64kB';
CREATE TEMP TABLE before AS SELECT count(*) FROM es;
BEGIN;
SELECT add_rows(0, 'outer ', 300);
SAVEPOINT s1;
-- appended within the savepoint, together with what waited from before it
SELECT add_rows(0, 'lost ', 2000);
SELECT add_rows(1, 'lost ', 2000);
ROLLBACK TO s1;
SELECT add_rows(0, 'behind ', 1);
COMMIT;
SELECT count(*) FILTER (WHERE value LIKE 'lost %') AS lost, count(*) FILTER (WHERE value LIKE 'outer %') AS outer,
	count(*) FILTER (WHERE value LIKE 'behind %') AS behind FROM es;
-- in order and without a gap
SELECT count(*), max("offset") - min("offset") + 1 AS span, bool_and(ordered) FROM
	(SELECT "offset", row_number() OVER (ORDER BY "offset") =
		substr(rtrim(value, '.'), 7)::int AS ordered FROM es WHERE value LIKE 'outer %') t;

-- nested: the inner one commits into one that is rolled back, then one that is not
BEGIN;
SELECT add_rows(0, 'n1 ', 10);
SAVEPOINT s1;
SELECT add_rows(0, 'n2 ', 700);
SAVEPOINT s2;
SELECT add_rows(0, 'n3 ', 700);
RELEASE s2;
SELECT add_rows(0, 'n4 ', 700);
ROLLBACK TO s1;
SELECT add_rows(0, 'n5 ', 700);
SAVEPOINT s3;
SELECT add_rows(0, 'n6 ', 700);
RELEASE s3;
RELEASE s1;
SELECT add_rows(0, 'n7 ', 1);
COMMIT;
SELECT left(value, 3), count(*), max("offset") - min("offset") + 1 AS span FROM es WHERE value LIKE 'n_ %' GROUP BY 1 ORDER BY min("offset");

-- aborted as a whole after an early append: the next record takes the offsets
CREATE TEMP TABLE ends AS SELECT max("offset") AS e FROM es WHERE partition = 0;
BEGIN;
SELECT add_rows(0, 'lost ', 2000);
ROLLBACK;
INSERT INTO topics.es (partition, value) VALUES (0, 'next');
SELECT es."offset" - e AS distance FROM es, ends WHERE value = 'next';
SELECT count(*) FROM es WHERE value LIKE 'lost %';

-- the whole tail is of a subtransaction that was rolled back
BEGIN;
SELECT append('es:1', 'kept') > 0 AS ok;
SAVEPOINT s1;
SELECT add_rows(1, 'lost ', 2000);
ROLLBACK TO s1;
COMMIT;
INSERT INTO topics.es (partition, value) VALUES (1, 'after kept');
SELECT value, "offset" - lag("offset") OVER (ORDER BY "offset") AS distance FROM
	(SELECT * FROM es WHERE partition = 1 ORDER BY "offset" DESC LIMIT 2) t ORDER BY "offset";

--
-- AFTER triggers find rows that wait, and rows that have been appended early
--
SELECT create_topic('et');
CREATE TABLE seen (n serial, value text, at bigint);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO seen (value, at) VALUES (rtrim(convert_from(NEW.value, 'UTF8'), '.'), NEW."offset"); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER see AFTER INSERT ON topics.et DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see();
BEGIN;
INSERT INTO topics.et (partition, key, value)
	SELECT 0, 'key', convert_to(i || repeat('.', 100), 'UTF8') FROM generate_series(1, 2500) i;
COMMIT;
SELECT count(*), bool_and(value = n::text), count(at) > 0 AS some_had_offsets, bool_and(at = n - 1) AS the_right_ones FROM seen;
TRUNCATE seen RESTART IDENTITY;
RESET pgtopic.produce_buffer;
BEGIN;
INSERT INTO topics.et (partition, value) VALUES (0, '1'), (0, '2');
SAVEPOINT s1;
INSERT INTO topics.et (partition, value) VALUES (0, 'lost');
ROLLBACK TO s1;
INSERT INTO topics.et (partition, value) VALUES (0, '3');
COMMIT;
SELECT * FROM seen ORDER BY n;

-- what a trigger adds at commit commits, too
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN PERFORM produce('es', 'echo', partition => 1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER echo AFTER INSERT ON topics.et DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION echo();
INSERT INTO topics.et (partition, value) VALUES (0, '4'), (0, '5');
SELECT count(*) FROM es WHERE value = 'echo';

DROP VIEW es;
SELECT drop_topic('es'), drop_topic('et');
DROP TABLE seen;
DROP FUNCTION see, echo, add_rows;

-- an append that fails midway, here in an expression of an index: nothing of it counts
SELECT create_topic('midway');
CREATE INDEX ON topics.midway ((1 / (length(value) - 3)));
BEGIN;
SELECT append('midway:0', 'aa');
SAVEPOINT s;
SELECT append('midway:0', 'abc');
ROLLBACK TO s;
COMMIT;
SELECT log_end('midway:0');
SELECT append('midway:0', 'dddd');
SELECT "offset", as_text(value) FROM topics.midway;
SELECT drop_topic('midway');
