--
-- Committed offsets that are negative.  Kafka stores whatever a client commits,
-- and some write -1 or -2: such an offset is none.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;

SELECT create_topic('gn', 2);
INSERT INTO topics.gn (partition, value) SELECT i % 2, 'x' FROM generate_series(1, 10) i;
SELECT commit_offsets('gn_a', '{"gn:0": 3, "gn:1": 3}');

-- the same records with other offsets, as OffsetCommit would write them
CREATE FUNCTION gn_commit(number int, committed bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO topics.__consumer_offsets (partition, key, value)
		SELECT partition, key, overlay(value PLACING int8send(committed) FROM 3 FOR 8)
		FROM topics.__consumer_offsets
		WHERE position('gn_a'::bytea IN key) > 0 AND right(key::text, 8) = right(int4send(number)::text, 8)
		ORDER BY "offset" DESC LIMIT 1
$$;
SELECT gn_commit(0, -1), gn_commit(1, -2);
SELECT topic, partition, "offset", end_offset, lag, lag_seconds >= 0 AS seconds FROM group_lag WHERE group_id = 'gn_a' ORDER BY partition;
SELECT partitions, last_commit IS NOT NULL AS committed FROM consumer_groups WHERE group_id = 'gn_a';

-- reading begins at the start
BEGIN;
SELECT partition, min("offset"), count(*) FROM consume('gn', 'gn_a') GROUP BY 1 ORDER BY 1;
ROLLBACK;
SELECT gn_commit(0, -9223372036854775808);
SELECT count(*) FROM consume('gn', 'gn_a', max_records => 1);
SELECT sum(lag) FROM group_lag WHERE group_id = 'gn_a';
SELECT gn_commit(0, -1), gn_commit(1, -2);

-- it can be moved, expired and deleted as any other
SELECT * FROM seek('gn_a', 'gn', 'end', 1);
SELECT commit_offsets('gn_a', 'gn:0', 2);
SELECT partition, "offset", lag FROM group_lag WHERE group_id = 'gn_a' ORDER BY partition;
SELECT gn_commit(0, -1), gn_commit(1, -2);
SELECT delete_records('gn:0', 4);
SELECT partition, "offset", lag FROM group_lag WHERE group_id = 'gn_a' ORDER BY partition;
SELECT partition, min("offset"), count(*) FROM consume('gn', 'gn_a') GROUP BY 1 ORDER BY 1;
SELECT gn_commit(0, -1), gn_commit(1, -2);
SELECT delete_group('gn_a');
SELECT count(*) FROM group_lag WHERE group_id = 'gn_a';

DROP FUNCTION gn_commit;
SELECT drop_topic('gn');
