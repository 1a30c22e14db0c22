--
-- What is granted on groups, transactional ids and the cluster; who may use a group
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
DROP ROLE IF EXISTS regress_pt_admin, regress_pt_ann, regress_pt_bob, regress_pt_team, regress_pt_new;
RESET client_min_messages;
CREATE ROLE regress_pt_admin IN ROLE pgtopic_admin;
CREATE ROLE regress_pt_team;
CREATE ROLE regress_pt_ann IN ROLE regress_pt_team;
CREATE ROLE regress_pt_bob;

-- granting is for administrators
SET ROLE regress_pt_admin;
SELECT grant_kafka_acl('group', 'shipping', 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('group', 'shipping', 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('GROUP', 'app-', 'delete', 'regress_pt_team', 'prefixed');
SELECT grant_kafka_acl('transactional_id', '*', 'WRITE', 'regress_pt_bob');
SELECT grant_kafka_acl('cluster', 'kafka-cluster', 'DESCRIBE', 'public');
SELECT * FROM kafka_acls WHERE resource_type IN ('group', 'transactional_id') OR operation = 'DESCRIBE' ORDER BY 1, 2, 3, 4, 5;
SELECT revoke_kafka_acl('cluster', 'kafka-cluster', 'DESCRIBE', 'public');
SELECT revoke_kafka_acl('cluster', 'kafka-cluster', 'DESCRIBE', 'public');

-- what is no grant
SELECT grant_kafka_acl('topic', 'orders', 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('cluster', 'kafka-cluster', 'CREATE', 'regress_pt_ann');
SELECT grant_kafka_acl('cluster', 'another', 'DESCRIBE', 'regress_pt_ann');
SELECT grant_kafka_acl('group', 'g', 'WRITE', 'regress_pt_ann');
SELECT grant_kafka_acl('group', 'g', 'STEAL', 'regress_pt_ann');
SELECT grant_kafka_acl('table', 'g', 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('group', '', 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('group', repeat('g', 1001), 'READ', 'regress_pt_ann');
SELECT grant_kafka_acl('group', 'g', 'READ', 'regress_pt_ann', 'regex');
SELECT grant_kafka_acl('group', 'g', 'READ', 'nobody_here');
SELECT grant_kafka_acl('group', 'g', 'READ', NULL);

-- nobody else grants, nor writes the table
SET ROLE regress_pt_ann;
SELECT grant_kafka_acl('group', 'mine', 'READ', 'regress_pt_ann');
SELECT revoke_kafka_acl('group', 'shipping', 'READ', 'regress_pt_ann');
SELECT count(*) FROM kafka_acl_entries;
INSERT INTO kafka_acl_entries VALUES ('group', 'mine', 'literal', 'READ', 'regress_pt_ann');
-- and one sees what is granted to oneself
SELECT * FROM kafka_acls WHERE resource_type IN ('group', 'transactional_id') ORDER BY 1, 2;
SET ROLE regress_pt_bob;
SELECT * FROM kafka_acls WHERE resource_type IN ('group', 'transactional_id') ORDER BY 1, 2;
RESET ROLE;

-- a role that is renamed keeps its grants, one that gets the name of one that was dropped has none
ALTER ROLE regress_pt_bob RENAME TO regress_pt_new;
SELECT role FROM kafka_acls WHERE resource_type = 'transactional_id';
DROP ROLE regress_pt_new;
SELECT count(*) FROM kafka_acls WHERE resource_type = 'transactional_id';
CREATE ROLE regress_pt_bob;
CREATE ROLE regress_pt_new;
SELECT count(*) FROM kafka_acls WHERE resource_type = 'transactional_id';
SELECT count(*) FROM kafka_acl_entries WHERE resource_type = 'transactional_id';
-- what is void goes with the next change
SELECT grant_kafka_acl('group', 'other', 'READ', 'regress_pt_new');
SELECT count(*) FROM kafka_acl_entries WHERE resource_type = 'transactional_id';

-- who may read all topics of a group may use it
SELECT create_topic('rt_a'), create_topic('rt_b');
SELECT produce('rt_a', 'a'), produce('rt_b', 'b');
GRANT SELECT ON topics.rt_a TO regress_pt_ann, regress_pt_bob;
GRANT SELECT ON topics.rt_b TO regress_pt_ann;
SET ROLE regress_pt_bob;
SELECT as_text(value) FROM consume('rt_a', 'rt_group');
SET ROLE regress_pt_ann;
SELECT as_text(value) FROM consume('rt_b', 'rt_group');
SET ROLE regress_pt_bob;
SELECT count(*) FROM consume('rt_a', 'rt_group');
SELECT * FROM seek('rt_group', 'rt_a', 'start');
SELECT commit_offsets('rt_group', 'rt_a:0', 0);
SELECT commit_offsets('rt_group', '{"rt_a:0": 0}');
SELECT delete_group('rt_group');
SET ROLE regress_pt_ann;
SELECT * FROM seek('rt_group', 'rt_a', 'start');
RESET ROLE;
-- or to whom it is granted, for as much as that is
SELECT grant_kafka_acl('group', 'rt_', 'READ', 'regress_pt_bob', 'prefixed');
SET ROLE regress_pt_bob;
SELECT count(*) FROM consume('rt_a', 'rt_group');
SELECT count(*) FROM consume('rt_b', 'rt_group');
SELECT delete_group('rt_group');
RESET ROLE;
SELECT revoke_kafka_acl('group', 'rt_', 'READ', 'regress_pt_bob', 'prefixed');
SET ROLE regress_pt_bob;
SELECT count(*) FROM consume('rt_a', 'rt_group');
RESET ROLE;
-- an administrator may use every group, and read what is granted to him
SET ROLE regress_pt_admin;
SELECT delete_group('rt_group');
RESET ROLE;

-- what one may not read one does not see
SET ROLE regress_pt_bob;
SELECT topic FROM topics WHERE topic::text LIKE 'rt\_%';
SELECT topic, records FROM partitions WHERE topic::text LIKE 'rt\_%';
SELECT log_start('rt_a:0'), log_end('rt_a:0');
SELECT log_start('rt_b:0');
SELECT log_end('rt_b:0');
RESET ROLE;

-- grants on tables are shown, too; those to nobody but the owner are none
GRANT INSERT, DELETE ON topics.rt_a TO PUBLIC;
GRANT REFERENCES ON topics.rt_b TO regress_pt_bob;
GRANT UPDATE (value) ON topics.rt_b TO regress_pt_bob;
SELECT * FROM kafka_acls WHERE resource_type = 'topic' AND resource_name LIKE 'rt\_%' ORDER BY 2, 4, 5;

SELECT drop_topic('rt_a'), drop_topic('rt_b');
SELECT count(*) FROM kafka_acls WHERE resource_name LIKE 'rt\_%';
TRUNCATE TABLE kafka_acl_entries;
SELECT count(*) FROM kafka_acls WHERE resource_type = 'group';
DROP ROLE regress_pt_admin, regress_pt_ann, regress_pt_bob, regress_pt_team, regress_pt_new;
