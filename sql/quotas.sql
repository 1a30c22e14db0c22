--
-- quotas of Kafka clients: who may set them, and for whom
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
DROP ROLE IF EXISTS regress_quota_admin, regress_quota_nobody;
RESET client_min_messages;

-- a user, a client id, both, their defaults, an address
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 1048576, "request_percentage": 12.5}');
SELECT set_quotas('{"client-id": "app", "user": "ann"}', '{"consumer_byte_rate": 2000}');
SELECT set_quotas('{"client-id": null, "user": null}', '{"controller_mutation_rate": 0.5}');
SELECT set_quotas('{"ip": "10.0.0.1"}', '{"connection_creation_rate": 20}');
SELECT set_quotas('{"ip": null}', '{"connection_creation_rate": 10}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 7, "request_percentage": null, "consumer_byte_rate": null}');
SELECT set_quotas('{"user": "nobody"}', '{}');
SELECT * FROM client_quotas ORDER BY entity::text COLLATE "C", quota;
SELECT drop_quotas('{"user": "ann", "client-id": "app"}');
SELECT drop_quotas('{"user": "ann", "client-id": "app"}');
SELECT * FROM client_quotas ORDER BY entity::text COLLATE "C", quota;

-- refused
SELECT set_quotas('{}', '{"producer_byte_rate": 5}');
SELECT set_quotas('[]', '{"producer_byte_rate": 5}');
SELECT set_quotas(NULL, '{"producer_byte_rate": 5}');
SELECT set_quotas('{"user": "ann"}', NULL);
SELECT set_quotas('{"user": "ann"}', '[]');
SELECT set_quotas('{"user": ""}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"user": 5}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"user": {"a": 1}}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"group": "g"}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"ip": "10.0.0.1", "user": "ann"}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"ip": "localhost"}', '{"connection_creation_rate": 5}');
SELECT set_quotas('{"ip": "10.0.0.1"}', '{"producer_byte_rate": 5}');
SELECT set_quotas('{"user": "ann"}', '{"connection_creation_rate": 5}');
SELECT set_quotas('{"user": "ann"}', '{"flow": 5}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": "5"}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": [5]}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 0}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": -5}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 1.5}');
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 1e19}');
SELECT set_quotas('{"user": "ann"}', '{"consumer_byte_rate": 5, "producer_byte_rate": 0}');
SELECT set_quotas(json_build_object('user', repeat('u', 64))::jsonb, '{"producer_byte_rate": 5}');
SELECT set_quotas(json_build_object('client-id', repeat('c', 256))::jsonb, '{"producer_byte_rate": 5}');
SELECT drop_quotas('{"user": "eve"}');
SELECT drop_quotas(NULL);
SELECT quotas_changed();
SELECT count(*) FROM client_quotas;

-- they are a transaction's, like all rows
BEGIN;
SELECT set_quotas('{"user": "bob"}', '{"producer_byte_rate": 5}');
SELECT drop_quotas('{"user": "ann"}');
ROLLBACK;
SELECT * FROM client_quotas ORDER BY entity::text COLLATE "C", quota;

-- who may: superusers, and who has the rights of pgtopic_admin
CREATE ROLE regress_quota_admin;
GRANT pgtopic_admin TO regress_quota_admin;
CREATE ROLE regress_quota_nobody;
SET ROLE regress_quota_nobody;
SELECT set_quotas('{"user": "eve"}', '{"producer_byte_rate": 5}');
SELECT drop_quotas('{"user": "ann"}');
SELECT count(*) FROM client_quotas;
SELECT count(*) FROM quota_usage;
SELECT count(*) FROM quota_definitions;
SET ROLE regress_quota_admin;
SELECT set_quotas('{"user": "eve"}', '{"producer_byte_rate": 5}');
SELECT count(*) FROM client_quotas;
SELECT count(*) >= 0 AS may FROM quota_usage;
SELECT count(*) FROM quota_definitions;
INSERT INTO quota_definitions VALUES ('{"user": "mallory"}', 'producer_byte_rate', 1e12);
SELECT drop_quotas('{"user": "eve"}');

-- nothing in the caller's search path comes in between
RESET ROLE;
CREATE SCHEMA decoy AUTHORIZATION regress_quota_admin;
SET ROLE regress_quota_admin;
CREATE TABLE decoy.quota_definitions (entity jsonb, quota text, value float8, PRIMARY KEY (entity, quota));
CREATE FUNCTION decoy.same(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR decoy.= (LEFTARG = text, RIGHTARG = text, FUNCTION = decoy.same);
SET search_path = decoy, pg_catalog, public;
SELECT set_quotas('{"user": "ann"}', '{"producer_byte_rate": 8, "consumer_byte_rate": 9}');
SELECT set_quotas('{"user": "ann"}', '{"consumer_byte_rate": null}');
SELECT count(*) FROM decoy.quota_definitions;
RESET search_path;
SELECT quota, value FROM client_quotas WHERE entity = '{"user": "ann"}';
RESET ROLE;
DROP SCHEMA decoy CASCADE;

-- rows by hand that make no sense are no quotas, and cannot be dropped as such
INSERT INTO quota_definitions VALUES ('{"group": "g"}', 'producer_byte_rate', 5), ('{"user": "x"}', 'flow', 5);
INSERT INTO quota_definitions VALUES ('[]', 'producer_byte_rate', 5);
INSERT INTO quota_definitions VALUES ('{"user": "x"}', 'producer_byte_rate', 0);
SELECT drop_quotas('{"user": "x"}');
DELETE FROM quota_definitions;

DROP ROLE regress_quota_admin, regress_quota_nobody;
