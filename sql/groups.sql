--
-- committed offsets of groups: commit_offsets(), seek(), delete_group(), expiry
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('gr', 3), create_topic('gr_other');
SELECT count(produce('gr', 'v' || i, partition => i % 2, "timestamp" => '2026-01-01'::timestamptz + i * interval '1 hour'))
FROM generate_series(0, 19) i;

-- one offset
SELECT commit_offsets('gr_a', 'gr:0', 4);
SELECT partition, min("offset"), count(*) FROM consume('gr', 'gr_a') GROUP BY 1 ORDER BY 1;
-- several at once; none is beyond the end
SELECT commit_offsets('gr_b', '{"gr:0": 10, "gr:1": 8}');
SELECT partition, min("offset"), count(*) FROM consume('gr', 'gr_b') GROUP BY 1 ORDER BY 1;
SELECT commit_offsets('gr_c', partition('gr', p), 9, 'at ' || p) FROM generate_series(0, 1) p;
SELECT count(*) FROM consume('gr', 'gr_c');

-- with the transaction, or not at all
BEGIN;
SELECT commit_offsets('gr_d', 'gr:0', 10), commit_offsets('gr_d', 'gr:1', 10);
SELECT count(*) FROM consume('gr', 'gr_d');
ROLLBACK;
SELECT count(*) FROM consume('gr', 'gr_d', max_records => 3);
BEGIN;
SAVEPOINT s;
SELECT commit_offsets('gr_d', '{"gr:0": 10, "gr:1": 10}');
ROLLBACK TO s;
SELECT count(*) FROM consume('gr', 'gr_d');
COMMIT;

-- seek: offset, time, start, end; one partition or all
SELECT * FROM seek('gr_e', 'gr', 5, 0);
SELECT * FROM seek('gr_e', 'gr', 'end');
SELECT count(*) FROM consume('gr', 'gr_e');
SELECT * FROM seek('gr_e', 'gr', 'start');
SELECT count(*) FROM consume('gr', 'gr_e');
SELECT * FROM seek('gr_e', topic => 'gr', "to" => '2026-01-01 03:00+00');
SELECT partition, "offset", "timestamp" FROM consume('gr', 'gr_e') ORDER BY 3, 1 LIMIT 3;
SELECT * FROM seek('gr_e', 'gr', timestamptz '2026-01-01 17:30+00', partition => 1);
SELECT * FROM seek('gr_e', 'gr', '2030-01-01', 1);
SELECT * FROM seek('gr_e', 'gr', timestamptz '-infinity', 1);
SELECT * FROM seek('gr_e', 'gr', timestamptz 'infinity', 1);
SELECT * FROM seek('gr_e', 'gr', timestamptz '1900-01-01', 1);

-- what the transaction itself appended counts
BEGIN;
SELECT append('gr:2', 'own');
SELECT commit_offsets('gr_f', 'gr:2', 1);
SELECT commit_offsets('gr_f', 'gr:2', 2);
ROLLBACK;

-- the views
SELECT group_id, kind, state, members, protocol, epoch, partitions, last_commit <= clock_timestamp() AS committed
FROM consumer_groups WHERE group_id LIKE 'gr\_%' ORDER BY 1;
SELECT group_id, topic, partition, "offset", end_offset, lag, lag_seconds > 0 AS late, committed_at <= clock_timestamp() AS committed,
	leader_epoch, metadata
FROM group_lag WHERE group_id IN ('gr_c', 'gr_e') ORDER BY 1, 2, 3;
BEGIN;
SELECT count(*) FROM consume('gr', 'gr_c');
SELECT group_id, kind, state, members FROM consumer_groups WHERE group_id LIKE 'gr\_%' AND members > 0;
SELECT group_id, member_id, subscription, assignment, pid = pg_backend_pid() AS me FROM group_members WHERE group_id LIKE 'gr\_%';
COMMIT;
-- of what one may read, unless one may see all
CREATE ROLE regress_gr;
SET ROLE regress_gr;
SELECT count(*) FROM group_lag;
SELECT count(*) FROM consumer_groups;
SELECT commit_offsets('gr_a', 'gr:0', 1);
SELECT * FROM seek('gr_a', 'gr', 'end');
SELECT delete_group('gr_a');
SELECT expire_offsets();
RESET ROLE;
GRANT SELECT ON topics.gr TO regress_gr;
SET ROLE regress_gr;
SELECT DISTINCT topic FROM group_lag;
SELECT count(*) > 3 AS groups FROM consumer_groups;
SELECT commit_offsets('gr_a', 'gr:0', 4);
RESET ROLE;
REVOKE SELECT ON topics.gr FROM regress_gr;
GRANT pg_read_all_stats TO regress_gr;
SET ROLE regress_gr;
SELECT DISTINCT topic FROM group_lag WHERE group_id LIKE 'gr\_%';
RESET ROLE;
DROP ROLE regress_gr;

-- what is refused
SELECT commit_offsets('', 'gr:0', 1);
SELECT commit_offsets(NULL, 'gr:0', 1);
SELECT commit_offsets('gr_a', NULL, 1);
SELECT commit_offsets('gr_a', 'gr:0', NULL);
SELECT commit_offsets('gr_a', 'gr:0', -1);
SELECT commit_offsets('gr_a', 'gr:0', 11);
SELECT commit_offsets('gr_a', 'gr:3', 0);
SELECT commit_offsets('gr_a', 'gr_missing:0', 0);
SELECT commit_offsets('gr_a', 'gr', 0);
SELECT commit_offsets('gr_a', 'gr:0', 1, repeat('x', 4097));
SELECT commit_offsets(repeat('x', 40000), 'gr:0', 1);
SELECT commit_offsets('gr_a', '[1]');
SELECT commit_offsets('gr_a', '{"gr:0": "1"}');
SELECT commit_offsets('gr_a', '{"gr:0": {}}');
SELECT commit_offsets('gr_a', '{"gr:0": 1e30}');
SELECT commit_offsets('gr_a', '{"gr:0": 3.5}');
SELECT commit_offsets('gr_a', '{"gr:0": -0.5}');
SELECT commit_offsets('gr_a', '{"gr:0": 9223372036854775808}');
SELECT commit_offsets('gr_a', NULL::jsonb);
SELECT commit_offsets('gr_whole', '{"gr:0": 3.00, "gr:1": 2e0}');
SELECT partition, "offset" FROM group_lag WHERE group_id = 'gr_whole' ORDER BY partition;
SELECT delete_group('gr_whole');
SELECT seek('gr_a', 'gr', 'middle');
SELECT seek('gr_a', 'gr', '5');
SELECT seek('gr_a', 'gr', '2026-02-30');
SELECT seek('gr_a', 'gr', 11);
SELECT seek('gr_a', 'gr', -1);
SELECT seek('gr_a', 'gr', 0, 3);
SELECT seek('gr_a', 'gr', NULL::text);
SELECT seek('', 'gr', 0);
SELECT seek('gr_a', 'gr_missing', 0);
BEGIN READ ONLY;
SELECT commit_offsets('gr_a', 'gr:0', 1);
ROLLBACK;
BEGIN READ ONLY;
SELECT seek('gr_a', 'gr', 0);
ROLLBACK;
BEGIN READ ONLY;
SELECT delete_group('gr_a');
ROLLBACK;

-- delete_group
SELECT delete_group('gr_a');
SELECT count(*) FROM consume('gr', 'gr_a');
SELECT delete_group('gr_none');
SELECT delete_group('');
SELECT delete_group(NULL);
BEGIN;
SELECT delete_group('gr_a');
SELECT count(*) FROM consume('gr', 'gr_a');
SELECT delete_group('gr_a');
SELECT delete_group('gr_a');
ROLLBACK;
SELECT count(*) FROM consume('gr', 'gr_a');
-- one that the transaction has just made
BEGIN;
SELECT commit_offsets('gr_new', 'gr:0', 5);
SELECT delete_group('gr_new');
SELECT commit_offsets('gr_new', 'gr:1', 5);
COMMIT;
SELECT partition, count(*) FROM consume('gr', 'gr_new') GROUP BY 1 ORDER BY 1;

-- a topic of the same name is another topic
SELECT commit_offsets('gr_again', 'gr_other:0', 0);
SELECT produce('gr_other', 'x');
SELECT count(*) FROM consume('gr_other', 'gr_again');
SELECT drop_topic('gr_other');
SELECT create_topic('gr_other');
SELECT produce('gr_other', 'x');
SELECT count(*) FROM consume('gr_other', 'gr_again');
SELECT drop_topic('gr_other');

-- what nobody uses expires, and what is of a topic that is gone
SELECT expire_offsets() > 0 AS of_dropped_topics;
SELECT expire_offsets();
SELECT expire_offsets('1 day');
SELECT expire_offsets('0');
SELECT pg_sleep(0.01);
SELECT expire_offsets('1 ms') > 0 AS expired;
SELECT expire_offsets('1 ms') AS expired_again;
SELECT count(*) FROM consume('gr', 'gr_e');

-- a topic that is only hidden may come back, and then its groups go on
SELECT create_topic('gr_hidden');
INSERT INTO topics.gr_hidden (value) VALUES ('x'), ('y');
SELECT count(*) FROM consume('gr_hidden', 'gr_hidden', 1);
CREATE SCHEMA gr_elsewhere;
ALTER TABLE topics.gr_hidden SET SCHEMA gr_elsewhere;
SELECT expire_offsets();
SELECT count(*) FROM group_lag WHERE group_id = 'gr_hidden';
ALTER TABLE gr_elsewhere.gr_hidden SET SCHEMA topics;
SELECT convert_from(value, 'UTF8') FROM consume('gr_hidden', 'gr_hidden');
SELECT drop_topic('gr_hidden');
DROP SCHEMA gr_elsewhere;

-- any name will do
SELECT commit_offsets('Grüße ' || chr(128640), 'gr:0', 10), commit_offsets('Grüße ' || chr(128640), 'gr:1', 9);
SELECT count(*) FROM consume('gr', 'Grüße ' || chr(128640));
SELECT delete_group('Grüße ' || chr(128640));

-- records that make no sense, old versions, and what is in a partition where it does not belong
INSERT INTO topics.__consumer_offsets (partition, key, value)
SELECT p, k::bytea, v::bytea
FROM generate_series(0, 7) p,
	(VALUES ('\x00010003677261000267720000000a'), ('\x000100036772610002677200'), ('\x0002'), ('\x00020001ff'), ('\xffff'),
		('\x0001ffff'), ('\x00017fff61'), ('\x00030001'), ('\x0001000367726100026772ffffffff')) k(k),
	(VALUES ('\x00'), ('\x0004'), ('\x00040000000000000005ffffffff01000000000000000100'), ('\x00040000000000000005ffffffffffffffff0f'),
		('\x0004000000000000000500000000020a'), ('\x00010000000000000005000161000000000000000100000000'),
		('\x0003000000000000000500000001ffff0000000000000001'), ('\x0003ffffffffffffffff00000001ffff0000000000000001')) v(v);
SELECT group_id, partitions, last_commit FROM consumer_groups WHERE group_id LIKE 'gra%';
SELECT expire_offsets();
SELECT delete_group('gra');
SELECT count(*) FROM consumer_groups WHERE group_id LIKE 'gra%';

SELECT drop_topic('gr');
