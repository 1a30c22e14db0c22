--
-- Processors and tasks: definitions, errors, and who may do what.  Tasks run
-- in another database, so nothing is processed here.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
DROP ROLE IF EXISTS regress_pt_owner, regress_pt_other;
RESET client_min_messages;
CREATE ROLE regress_pt_owner LOGIN;
CREATE ROLE regress_pt_other LOGIN;
SELECT create_topic('pc_orders', 3), create_topic('pc_dead'), create_topic('pc_secret');
GRANT SELECT ON topics.pc_orders TO regress_pt_owner;
GRANT INSERT ON topics.pc_dead TO regress_pt_owner;
CREATE TABLE pc_seen (topic topic, partition int, "offset" bigint, at timestamptz, key bytea, value bytea, headers headers);
GRANT INSERT ON pc_seen TO regress_pt_owner;

-- what is wrong is refused when it is made
SELECT create_processor('pc', array['pc_orders'], 'SELECT nothing FROM records');
SELECT create_processor('pc', array['pc_orders'], 'SELEC 1');
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1; SELECT ghost');
SELECT create_processor('pc', array['pc_ghost'], 'SELECT 1');
SELECT create_processor('pc', array['pc_orders', 'pc_orders'], 'SELECT 1');
SELECT create_processor('pc', array[]::text[], 'SELECT 1');
SELECT create_processor('pc', array[null], 'SELECT 1');
SELECT create_processor('pc', NULL, 'SELECT 1');
SELECT create_processor('pc', array['pc_orders'], NULL);
SELECT create_processor(NULL, array['pc_orders'], 'SELECT 1');
SELECT create_processor('', array['pc_orders'], 'SELECT 1');
SELECT create_processor(repeat('x', 64), array['pc_orders'], 'SELECT 1');
SELECT create_processor(E'a\nb', array['pc_orders'], 'SELECT 1');
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', "group" => '');
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', parallelism => 0);
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', batch_records => 0);
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', batch_wait => '-1 s');
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', batch_wait => '10 years');
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1', on_error => 'pc_ghost');
SELECT count(*) FROM tasks_status WHERE name = 'pc';

-- one is made; it sees the columns of consume()
SET search_path = public, pg_catalog;
SELECT create_processor('pc', array['pc_orders'], 'INSERT INTO pc_seen SELECT * FROM records', parallelism => 2,
	batch_wait => '1.5 s', on_error => 'pc_dead');
RESET search_path;
SELECT create_processor('pc', array['pc_orders'], 'SELECT 1');
SELECT name, kind, owner = current_user AS mine, jsonb_pretty(definition), state, errors, last_error, records, pids
FROM tasks_status WHERE name = 'pc';

-- changed
SELECT alter_task('pc', '{"parallelism": 3, "on_error": null, "batch_wait_ms": 0}');
SELECT definition - 'statement' AS definition FROM tasks_status WHERE name = 'pc';
SELECT alter_task('pc', '{"parallelism": 0}');
SELECT alter_task('pc', '{"parallelism": "two"}');
SELECT alter_task('pc', '{"topics": "pc_orders"}');
SELECT alter_task('pc', '{"topics": [1]}');
SELECT alter_task('pc', '{"topics": null}');
SELECT alter_task('pc', '{"statement": "SELECT ghost FROM records"}');
SELECT alter_task('pc', '{"statement": 1}');
SELECT alter_task('pc', '[]');
SELECT alter_task('pc', NULL);
SELECT alter_task('pc_ghost', '{}');
SELECT pause_task('pc', 'for a while'), pause_task('pc_ghost');
SELECT pause_task('pc', 'for a while');
SELECT state, pause_reason FROM tasks_status WHERE name = 'pc';
SELECT resume_task('pc');
SELECT state, pause_reason FROM tasks_status WHERE name = 'pc';
BEGIN;
SELECT pause_task('pc');
ROLLBACK;
SELECT state FROM tasks_status WHERE name = 'pc';

-- a row of another kind, or by hand
UPDATE task_definitions SET kind = 'sink' WHERE name = 'pc';
SELECT drop_processor('pc');
UPDATE task_definitions SET kind = 'processor' WHERE name = 'pc';
UPDATE task_definitions SET home = 'elsewhere' WHERE name = 'pc';
SELECT state, pause_reason FROM tasks_status WHERE name = 'pc';
SELECT alter_task('pc', '{"parallelism": 1}');
SELECT resume_task('pc');
SELECT state, pause_reason FROM tasks_status WHERE name = 'pc';

-- who may do what
SET ROLE regress_pt_owner;
SELECT create_processor('pc_mine', array['pc_secret'], 'SELECT 1');
SELECT create_processor('pc_mine', array['pc_orders'], 'SELECT 1', on_error => 'pc_secret');
SELECT create_processor('pc_mine', array['pc_orders'], 'INSERT INTO pc_seen SELECT * FROM records', on_error => 'pc_dead');
SELECT * FROM task_definitions;
SELECT name, owner, definition IS NULL AS hidden, state FROM tasks_status WHERE name LIKE 'pc%' ORDER BY 1;
SELECT pause_task('pc');
SELECT resume_task('pc');
SELECT alter_task('pc', '{}');
SELECT drop_processor('pc');
\set VERBOSITY sqlstate
SELECT alter_task_owner('pc_mine', 'regress_pt_other');
\set VERBOSITY default
SELECT alter_task_owner('pc_mine', 'regress_pt_ghost');
SELECT pause_task('pc_mine'), resume_task('pc_mine'), alter_task('pc_mine', '{"parallelism": 2}');
SET ROLE regress_pt_other;
SELECT name, owner, definition IS NULL AS hidden, state FROM tasks_status WHERE name LIKE 'pc%' ORDER BY 1;
SELECT pause_task('pc_mine');
SELECT drop_processor('pc_mine');
RESET ROLE;

-- a name is not enough: another role of the same name does not run what the old one has left
SELECT alter_task_owner('pc_mine', 'regress_pt_other');
DROP ROLE regress_pt_other;
SELECT owner, state FROM tasks_status WHERE name = 'pc_mine';
SELECT resume_task('pc_mine');
CREATE ROLE regress_pt_other LOGIN;
SELECT owner, state FROM tasks_status WHERE name = 'pc_mine';
SELECT alter_task_owner('pc_mine', 'regress_pt_owner');
SELECT owner, state FROM tasks_status WHERE name = 'pc_mine';

-- a group of somebody else who uses the name: it is not taken over, nor removed
SELECT produce('pc_secret', 'x');
SELECT count(*) FROM consume('pc_secret', 'pc_theirs');
CREATE TABLE pc_sunk (value text);
SELECT create_sink('pc_theirs', 'pc_secret', 'pc_sunk');
SET ROLE regress_pt_owner;
SELECT create_processor('pc_theirs', array['pc_orders'], 'SELECT 1');
SELECT create_processor('pc_theirs', array['pc_orders'], 'SELECT 1', "group" => 'pc_theirs');
SELECT drop_processor('pc_theirs');
SELECT create_processor('pc_later', array['pc_orders'], 'SELECT 1');
RESET ROLE;
SELECT count(*) FROM consume('pc_secret', 'pc_later');
SET ROLE regress_pt_owner;
SELECT drop_processor('pc_later');
RESET ROLE;
SELECT name FROM tasks_status WHERE name LIKE 'pc%' ORDER BY 1;
SELECT DISTINCT group_id FROM group_lag WHERE group_id LIKE 'pc%' ORDER BY 1;
SELECT delete_group('pc_theirs'), delete_group('pc_later');
DROP TABLE pc_sunk;

-- one that goes in the transaction may come again in it
SELECT create_processor('pc_again', array['pc_secret'], 'SELECT 1');
SELECT count(*) FROM consume('pc_secret', 'pc_again');
BEGIN;
SELECT drop_processor('pc_again');
SELECT create_processor('pc_again', array['pc_secret'], 'SELECT 2') FROM seek('pc_again', 'pc_secret', 'end');
COMMIT;
SELECT drop_processor('pc_again');

-- a group that has the processor's name goes with it, another one stays
SELECT produce('pc_orders', 'x', partition => 0);
SELECT count(*) FROM consume('pc_orders', 'pc_mine');
SELECT count(*) FROM consume('pc_orders', 'pc_others');
SELECT alter_task('pc', '{"group": "pc_others"}');
SELECT drop_processor('pc_mine'), drop_processor('pc');
SELECT DISTINCT group_id FROM group_lag WHERE group_id LIKE 'pc%';
SELECT drop_processor('pc');
SELECT name FROM tasks_status WHERE name LIKE 'pc%';

DROP TABLE pc_seen;
SELECT drop_topic('pc_orders'), drop_topic('pc_dead'), drop_topic('pc_secret');
DROP ROLE regress_pt_owner, regress_pt_other;
