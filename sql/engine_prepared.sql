--
-- Prepared transactions: the records are in the log from PREPARE on, and so is the append lock
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('ep', 2);
CREATE VIEW ep AS SELECT partition, "offset", as_text(value) AS value FROM topics.ep;
INSERT INTO topics.ep (partition, value) VALUES (0, 'a');

BEGIN;
INSERT INTO topics.ep (partition, value) VALUES (0, 'b'), (0, 'c');
PREPARE TRANSACTION 'ep1';
SELECT * FROM ep;
-- another partition is free, this one is not
INSERT INTO topics.ep (partition, value) VALUES (1, 'free');
SET lock_timeout = '100ms';
\set SHOW_CONTEXT never
INSERT INTO topics.ep (partition, value) VALUES (0, 'waits');
RESET lock_timeout;
-- a reader is held up by nobody and sees what is committed
SELECT * FROM ep ORDER BY 1, 2;
SELECT as_text(value) FROM poll('ep', 0, 0);
COMMIT PREPARED 'ep1';
SELECT as_text(value) FROM poll('ep', 0, 1, timeout => '10s');
SELECT end_offset FROM partitions WHERE topic = 'ep'::topic AND partition = 0;

BEGIN;
SAVEPOINT s;
INSERT INTO topics.ep (partition, value) VALUES (0, 'kept');
RELEASE s;
SAVEPOINT s;
INSERT INTO topics.ep (partition, value) VALUES (0, 'lost');
ROLLBACK TO s;
PREPARE TRANSACTION 'ep2';
ROLLBACK PREPARED 'ep2';
INSERT INTO topics.ep (partition, value) VALUES (0, 'd');
SELECT * FROM ep WHERE partition = 0;

-- resolved one after the other
BEGIN;
INSERT INTO topics.ep (partition, value) VALUES (0, 'e');
PREPARE TRANSACTION 'ep3';
BEGIN;
INSERT INTO topics.ep (partition, value) VALUES (1, 'f');
PREPARE TRANSACTION 'ep4';
COMMIT PREPARED 'ep4';
COMMIT PREPARED 'ep3';
SELECT * FROM ep ORDER BY 1, 2;

-- early append, then PREPARE
SET pgtopic.produce_buffer = '64kB';
BEGIN;
INSERT INTO topics.ep (partition, value) SELECT 0, convert_to('g' || i || repeat('.', 100), 'UTF8') FROM generate_series(1, 2000) i;
SAVEPOINT s;
INSERT INTO topics.ep (partition, value) SELECT 0, convert_to('lost' || i || repeat('.', 100), 'UTF8') FROM generate_series(1, 2000) i;
ROLLBACK TO s;
PREPARE TRANSACTION 'ep5';
COMMIT PREPARED 'ep5';
SELECT end_offset - (SELECT max("offset") FROM ep WHERE partition = 0) AS distance FROM partitions
	WHERE topic = 'ep'::topic AND partition = 0;
BEGIN;
INSERT INTO topics.ep (partition, value) SELECT 0, convert_to('lost' || i || repeat('.', 100), 'UTF8') FROM generate_series(1, 2000) i;
SAVEPOINT s;
INSERT INTO topics.ep (partition, value) SELECT 0, convert_to('lost' || i || repeat('.', 100), 'UTF8') FROM generate_series(1, 2000) i;
ROLLBACK TO s;
PREPARE TRANSACTION 'ep6';
ROLLBACK PREPARED 'ep6';
RESET pgtopic.produce_buffer;
INSERT INTO topics.ep (partition, value) VALUES (0, 'h');
SELECT count(*), max("offset") - min("offset") + 1 AS span FROM ep WHERE value LIKE 'g%' OR value = 'h';

DROP VIEW ep;
SELECT drop_topic('ep');
