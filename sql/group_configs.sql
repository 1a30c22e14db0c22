--
-- configs of groups, and what Kafka clients see as configs of the broker
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;

-- a group has the defaults until it is given something else; it need not exist
SELECT name, value, is_default, type FROM group_configs('g') ORDER BY name;
SELECT alter_group('g', '{"consumer.session.timeout.ms": 50000, "consumer.heartbeat.interval.ms": "6000"}');
SELECT name, value, is_default FROM group_configs('g') ORDER BY name;
SELECT * FROM group_configs;
SELECT alter_group('g', '{"consumer.session.timeout.ms": null}');
SELECT * FROM group_configs;
SELECT alter_group('g', '{"consumer.heartbeat.interval.ms": null, "consumer.session.timeout.ms": null}');
SELECT * FROM group_configs;
SELECT alter_group('g', '{}');
SELECT alter_group('g', NULL);
SELECT alter_group(NULL, '{}');

-- refused
SELECT alter_group('g', '{"consumer.session.timeout.ms": 44999}');
SELECT alter_group('g', '{"consumer.session.timeout.ms": 60001}');
SELECT alter_group('g', '{"consumer.session.timeout.ms": "soon"}');
SELECT alter_group('g', '{"consumer.heartbeat.interval.ms": 15001}');
SELECT alter_group('g', '{"share.session.timeout.ms": 50000}');
SELECT alter_group('g', '{"consumer.session.timeout.ms": [1, 2]}');
SELECT alter_group('g', '[]');
SELECT alter_group('', '{"consumer.session.timeout.ms": 50000}');
SELECT * FROM group_configs;
SELECT group_configs_changed();

-- the table may be written by hand; what makes no sense there counts as not set
INSERT INTO group_configs VALUES ('hand', '{"consumer.session.timeout.ms": "55000", "no.such": 1}'), ('odd', '{"consumer.session.timeout.ms": "x"}'),
	('odder', '{"consumer.session.timeout.ms": {"a": 1}, "consumer.heartbeat.interval.ms": null}');
INSERT INTO group_configs VALUES ('oddest', '[]');
SELECT name, value, is_default FROM group_configs('hand') ORDER BY name;
SELECT name, value, is_default FROM group_configs('odd') ORDER BY name;
SELECT name, value, is_default FROM group_configs('odder') ORDER BY name;
DELETE FROM group_configs;

-- privileges are those of the table
CREATE ROLE regress_group_configs;
SET ROLE regress_group_configs;
SELECT alter_group('g', '{"consumer.session.timeout.ms": 50000}');
SELECT count(*) FROM group_configs('g');
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON group_configs TO regress_group_configs;
SET ROLE regress_group_configs;
SELECT alter_group('g', '{"consumer.session.timeout.ms": 50000}');
SELECT value FROM group_configs('g') WHERE name = 'consumer.session.timeout.ms';
SELECT alter_group('g', '{"consumer.session.timeout.ms": null}');
RESET ROLE;
DROP OWNED BY regress_group_configs;
DROP ROLE regress_group_configs;

-- nothing in the caller's search path comes in between
CREATE SCHEMA decoy;
CREATE TABLE decoy.group_configs (group_id text PRIMARY KEY, configs jsonb);
CREATE FUNCTION decoy.same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR decoy.= (LEFTARG = text, RIGHTARG = text, FUNCTION = decoy.same);
BEGIN;
SET LOCAL search_path = decoy, public, pg_catalog;
SELECT alter_group('mine', '{"consumer.session.timeout.ms": 50000}');
SELECT value FROM group_configs('yours') WHERE name OPERATOR(pg_catalog.=) 'consumer.session.timeout.ms';
SELECT count(*) FROM decoy.group_configs;
ROLLBACK;
DROP SCHEMA decoy CASCADE;
RESET client_min_messages;

-- the broker's configs: those of topics' defaults, those that are settings, those that are fixed
SELECT name, value, setting, type FROM broker_configs()
	WHERE name IN ('auto.create.topics.enable', 'broker.id', 'compression.type', 'group.consumer.session.timeout.ms', 'log.retention.ms',
				   'message.max.bytes', 'num.partitions', 'offsets.retention.minutes', 'socket.request.max.bytes') ORDER BY name;
SELECT b.name, b.setting FROM broker_configs() b LEFT JOIN pg_settings s ON s.name = b.setting WHERE b.setting IS NOT NULL AND s.name IS NULL;
SELECT count(*) - count(DISTINCT name) AS twice, bool_and(documentation <> '') AS documented, bool_and(source IN ('default', 'static', 'dynamic')) AS sources
	FROM broker_configs();
