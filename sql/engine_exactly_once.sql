--
-- consume() into a table: each record once, whatever becomes of transactions
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('eo1', 3);
SELECT count(produce('eo1', 'v' || i, partition => i % 3)) FROM generate_series(1, 300) i;
CREATE TABLE sink (partition int, "offset" bigint, value text);

-- rollback
BEGIN;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 50);
SELECT count(*) FROM sink;
ROLLBACK;

-- savepoint
BEGIN;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 20);
SAVEPOINT s;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 20);
ROLLBACK TO s;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 20);
SAVEPOINT t;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 20);
RELEASE t;
COMMIT;
SELECT count(*) FROM sink;

-- an error in between
DO $$
BEGIN
	FOR i IN 1..30 LOOP
		BEGIN
			INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 7);
			IF i % 3 = 0 THEN
				RAISE EXCEPTION 'on purpose';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END $$;

-- a prepared transaction, committed and rolled back
BEGIN;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 11);
PREPARE TRANSACTION 'eo1 back';
ROLLBACK PREPARED 'eo1 back';
BEGIN;
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g', max_records => 11);
PREPARE TRANSACTION 'eo1 on';
COMMIT PREPARED 'eo1 on';

INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g');
INSERT INTO sink SELECT partition, "offset", value FROM consume('eo1', 'g');
SELECT count(*), count(DISTINCT (partition, "offset")), count(DISTINCT value) FROM sink;
SELECT partition, count(*), min("offset"), max("offset") FROM sink GROUP BY 1 ORDER BY 1;

-- another group has its own committed offsets; names of any length and alphabet
SELECT count(*) FROM consume('eo1', 'other');
SELECT count(*) FROM consume('eo1', U&'\00e4\4e2d\+01f600', max_records => 10);
SELECT count(*) FROM consume('eo1', U&'\00e4\4e2d\+01f600', max_records => 1000);
SELECT count(*) FROM consume('eo1', repeat('x', 40000));

-- consume and produce in one transaction
SELECT create_topic('eo2');
BEGIN;
SELECT count(produce('eo2', upper(as_text(value)), partition => 0)) FROM consume('eo1', 'pipe', max_records => 100);
ROLLBACK;
BEGIN;
SELECT count(produce('eo2', upper(as_text(value)), partition => 0)) FROM consume('eo1', 'pipe', max_records => 100);
COMMIT;
SELECT count(*), count(DISTINCT value) FROM topics.eo2;
-- a cycle: what a transaction produces it does not consume before it commits
BEGIN;
SELECT count(produce('eo2', 'again', partition => 0)) FROM consume('eo2', 'cycle');
SELECT count(*) FROM consume('eo2', 'cycle');
COMMIT;
SELECT count(*) FROM consume('eo2', 'cycle');

-- a snapshot that is kept
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM sink;
SELECT count(*) FROM consume('eo2', 'rr', max_records => 10, timeout => '10s');
SELECT count(*) FROM consume('eo2', 'rr', timeout => '10s');
SELECT count(*) FROM consume('eo2', 'rr', timeout => '10s');
COMMIT;

-- a topic of the same name is another topic
SELECT drop_topic('eo2');
SELECT create_topic('eo2');
SELECT produce('eo2', 'new', partition => 0);
SELECT count(*) FROM consume('eo2', 'cycle');

-- committed offsets are records of __consumer_offsets in Kafka's encoding
SELECT encode(key, 'hex') AS key, left(encode(value, 'hex'), 20) AS value FROM topics.__consumer_offsets
	WHERE key = '\x0001'::bytea || '\x0005'::bytea || 'cycle'::bytea || '\x0003'::bytea || 'eo2'::bytea || '\x00000000'::bytea
	ORDER BY "offset";
-- the hash of "cycle" in Java is 95131878, on 8 partitions
SELECT DISTINCT partition FROM topics.__consumer_offsets WHERE key LIKE '\x00010005'::bytea || 'cycle'::bytea || '%'::bytea;

SELECT drop_topic('eo1'), drop_topic('eo2');
DROP TABLE sink;
