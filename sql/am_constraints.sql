--
-- Constraints, triggers and foreign keys
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('am_con', 2);

-- CHECK and NOT NULL
ALTER TABLE topics.am_con ADD CONSTRAINT has_key CHECK (key IS NOT NULL);
INSERT INTO topics.am_con (partition, value, "timestamp") VALUES (0, 'no key', '2024-01-01');
INSERT INTO topics.am_con (partition, key, value) VALUES (0, 'k', 'v');
ALTER TABLE topics.am_con DROP CONSTRAINT has_key;
ALTER TABLE topics.am_con ALTER value SET NOT NULL;
INSERT INTO topics.am_con (partition, key, "timestamp") VALUES (0, 'k', '2024-01-01');
ALTER TABLE topics.am_con ALTER value DROP NOT NULL;

-- row triggers: before, after, and with transition tables; the offset is not known yet
CREATE FUNCTION am_con_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % % %: offset %, %', tg_name, tg_when, tg_op, tg_table_name, new."offset", as_text(new.value);
	IF as_text(new.value) = 'drop me' THEN
		RETURN NULL;
	ELSIF as_text(new.value) = 'change me' THEN
		new.value := 'changed';
	END IF;
	RETURN new;
END
$$;
CREATE FUNCTION am_con_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '%: % rows', tg_name, (SELECT count(*) FROM added);
	RETURN NULL;
END
$$;
CREATE TRIGGER t_before BEFORE INSERT ON topics.am_con FOR EACH ROW EXECUTE FUNCTION am_con_trigger();
CREATE TRIGGER t_after AFTER INSERT ON topics.am_con FOR EACH ROW EXECUTE FUNCTION am_con_trigger();
CREATE TRIGGER t_statement AFTER INSERT ON topics.am_con REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION am_con_statement();
INSERT INTO topics.am_con (partition, value) VALUES (0, 'plain'), (1, 'change me'), (0, 'drop me');
SELECT partition, "offset", as_text(value) FROM topics.am_con ORDER BY 1, 2;
COPY topics.am_con (partition, value) FROM stdin;
0	\\x636f70696564
1	\\x64726f70206d65
\.
DROP TRIGGER t_before ON topics.am_con;
DROP TRIGGER t_after ON topics.am_con;
DROP TRIGGER t_statement ON topics.am_con;

-- a deferred trigger finds its row at commit, also one that was appended early
CREATE CONSTRAINT TRIGGER t_deferred AFTER INSERT ON topics.am_con DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION am_con_trigger();
BEGIN;
INSERT INTO topics.am_con (partition, value) VALUES (0, 'deferred');
SELECT 'before commit' AS now;
COMMIT;
BEGIN;
INSERT INTO topics.am_con (partition, value) VALUES (0, 'deferred, appended early');
SELECT append('am_con:0', 'flushes what waits') IS NOT NULL AS appended;
ANALYZE topics."am_con#0";
COMMIT;
BEGIN;
INSERT INTO topics.am_con (partition, value) VALUES (0, 'deferred, kept');
SAVEPOINT s;
INSERT INTO topics.am_con (partition, value) VALUES (0, 'deferred, rolled back');
ROLLBACK TO s;
COMMIT;
DROP TRIGGER t_deferred ON topics.am_con;

-- a trigger that produces
CREATE FUNCTION am_con_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO topics.am_con (partition, key, value) VALUES (1, 'outbox', convert_to(new.name, 'UTF8'));
	RETURN new;
END
$$;
CREATE TABLE am_con_customer (id bytea PRIMARY KEY, name text);
CREATE TRIGGER outbox AFTER INSERT OR UPDATE ON am_con_customer FOR EACH ROW EXECUTE FUNCTION am_con_outbox();
INSERT INTO am_con_customer VALUES ('c1', 'Ada'), ('c2', 'Grace');
UPDATE am_con_customer SET name = 'Ada L.' WHERE id = 'c1';
SELECT "offset", as_text(value) FROM topics.am_con WHERE key = 'outbox' ORDER BY 1;
DROP TRIGGER outbox ON am_con_customer;

-- a foreign key from the topic
SELECT create_topic('am_con_fk', 2);
ALTER TABLE topics.am_con_fk ADD FOREIGN KEY (key) REFERENCES am_con_customer;
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c1', 'order 1'), (1, 'c2', 'order 2');
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c3', 'whose?');
SELECT partition, as_text(key) FROM topics.am_con_fk ORDER BY 1;
DELETE FROM am_con_customer WHERE id = 'c1';
UPDATE am_con_customer SET id = 'c9' WHERE id = 'c2';
INSERT INTO am_con_customer VALUES ('c4', 'free');
DELETE FROM am_con_customer WHERE id = 'c4';
-- deferred
ALTER TABLE topics.am_con_fk DROP CONSTRAINT am_con_fk_key_fkey;
ALTER TABLE topics.am_con_fk ADD FOREIGN KEY (key) REFERENCES am_con_customer DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c5', 'early order');
INSERT INTO am_con_customer VALUES ('c5', 'late customer');
COMMIT;
BEGIN;
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c6', 'never');
COMMIT;
-- the referenced row goes while a row of ours waits
BEGIN;
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c5', 'second order');
DELETE FROM am_con_customer WHERE id = 'c5';
COMMIT;
SELECT partition, "offset", as_text(key), as_text(value) FROM topics.am_con_fk ORDER BY 1, 2;
-- a cascade would have to change the log
ALTER TABLE topics.am_con_fk DROP CONSTRAINT am_con_fk_key_fkey;
ALTER TABLE topics.am_con_fk ADD FOREIGN KEY (key) REFERENCES am_con_customer ON DELETE CASCADE;
DELETE FROM am_con_customer WHERE id = 'c1';
-- validated over rows that wait
ALTER TABLE topics.am_con_fk DROP CONSTRAINT am_con_fk_key_fkey;
BEGIN;
INSERT INTO topics.am_con_fk (partition, key, value) VALUES (0, 'c7', 'waits');
ALTER TABLE topics.am_con_fk ADD FOREIGN KEY (key) REFERENCES am_con_customer;
ROLLBACK;
-- a foreign key to a topic needs a unique constraint, which a topic cannot have
CREATE TABLE am_con_ref (k bytea REFERENCES topics.am_con (key));

-- generated values and defaults
ALTER TABLE topics.am_con ALTER key SET DEFAULT 'default key';
INSERT INTO topics.am_con (partition, value) VALUES (0, 'with default');
SELECT as_text(key) FROM topics.am_con WHERE value = 'with default';

SELECT drop_topic('am_con_fk');
SELECT drop_topic('am_con');
DROP TABLE am_con_customer;
DROP FUNCTION am_con_trigger(), am_con_statement(), am_con_outbox();
