--
-- verify_topic(): nothing is wrong with a log that is whole; who may ask (test/t/033_verify.py has what is wrong with others)
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
DROP ROLE IF EXISTS regress_pt_verifier;
RESET client_min_messages;
CREATE ROLE regress_pt_verifier;
GRANT USAGE ON SCHEMA topics TO regress_pt_verifier;

SELECT create_topic('vf', 2);
SELECT * FROM verify_topic('vf');
SELECT * FROM verify_partition('vf:1', deep => true);
INSERT INTO topics.vf (partition, key, value) SELECT i % 2, i::text::bytea, repeat('v', i)::bytea FROM generate_series(1, 1000) i;
BEGIN;
INSERT INTO topics.vf (partition, value) SELECT i % 2, repeat('aborted', 1000)::bytea FROM generate_series(1, 100) i;
-- what waits for its commit is not in the log
SELECT * FROM verify_topic('vf', true);
ROLLBACK;
CREATE INDEX ON topics.vf (key);
INSERT INTO topics.vf (partition, key, value) SELECT 0, 'large', string_agg(md5(i::text), '')::bytea FROM generate_series(1, 25000) i;
SELECT delete_records('vf:0', 77);
SELECT * FROM verify_topic('vf', true);
VACUUM topics.vf;
SELECT * FROM verify_topic('vf', true);
SELECT count(*) FROM verify_topic('vf', NULL);

-- VACUUM FULL leaves out what was rolled back, amid the log
BEGIN;
SELECT append('vf:1', 'aborted') FROM generate_series(1, 3);
ROLLBACK;
INSERT INTO topics.vf (partition, key, value) SELECT 1, i::text::bytea, 'v' FROM generate_series(1, 10) i;
VACUUM FULL topics.vf;
SELECT * FROM verify_topic('vf', true);

-- and what was compacted, at the start of the log, too
SELECT create_topic('vf_compacted', 1, '{"cleanup.policy": "compact,delete", "retention.ms": -1, "delete.retention.ms": 0}');
INSERT INTO topics.vf_compacted (key, value) SELECT 'a', repeat(md5(i::text), 300)::bytea FROM generate_series(1, 400) i;
INSERT INTO topics.vf_compacted (key, value) SELECT (i % 3)::text::bytea, repeat(md5(i::text), 300)::bytea FROM generate_series(1, 400) i;
SELECT delete_records('vf_compacted:0', 20);
SELECT records_removed > 300 AS compacted FROM compact_topic('vf_compacted');
SELECT * FROM verify_topic('vf_compacted', true);
SELECT count(*), md5(string_agg("offset" || md5(value), ',' ORDER BY "offset")) AS sum FROM topics.vf_compacted \gset
VACUUM FULL topics.vf_compacted;
SELECT * FROM verify_topic('vf_compacted', true);
SELECT count(*) = :count AND md5(string_agg("offset" || md5(value), ',' ORDER BY "offset")) = :'sum' AS same, log_start('vf_compacted:0')
FROM topics.vf_compacted;
SELECT drop_topic('vf_compacted');

-- errors
SELECT * FROM verify_topic('vf_none');
SELECT * FROM verify_partition('vf:2');
SELECT * FROM verify_partition(NULL);
GRANT SELECT, INSERT ON topics.vf TO regress_pt_verifier;
-- nothing is damaged
SELECT * FROM skip_damaged('vf:0', 1000000);
SELECT * FROM skip_damaged('vf:0', NULL);
SELECT oid::regprocedure AS skip FROM pg_proc WHERE proname = 'skip_damaged' \gset
GRANT EXECUTE ON FUNCTION :skip TO regress_pt_verifier;
SET ROLE regress_pt_verifier;
SELECT * FROM skip_damaged('vf:0', 1);
SELECT * FROM verify_topic('vf');
SELECT * FROM verify_partition('vf:0');
RESET ROLE;

REVOKE EXECUTE ON FUNCTION :skip FROM regress_pt_verifier;
SELECT drop_topic('vf');
REVOKE USAGE ON SCHEMA topics FROM regress_pt_verifier;
DROP ROLE regress_pt_verifier;
