--
-- Topic configs are checked as a broker of version 4.1 does
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT create_topic('tc');
SELECT name, value, is_default, type FROM topic_configs('tc');

-- one config at a time: the error, or what is kept
CREATE FUNCTION tc_try(name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM alter_topic('tc', jsonb_build_object(name, value));
	SELECT c.value INTO detail FROM topic_configs('tc') c WHERE c.name = $1;
	PERFORM alter_topic('tc', jsonb_build_object(name, NULL));
	RETURN 'ok: ' || detail;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
SELECT name, value, tc_try(name, value) FROM (VALUES
	('retention.ms', '-1'), ('retention.ms', '-2'), ('retention.ms', 'x'), ('retention.ms', ' 5 '), ('retention.ms', '+5'),
	('retention.ms', '0x5'), ('retention.ms', ''), ('retention.ms', '9223372036854775807'), ('retention.ms', '9223372036854775808'),
	('retention.bytes', '-5'), ('max.message.bytes', '2147483647'), ('max.message.bytes', '2147483648'), ('max.message.bytes', '-1'),
	('cleanup.policy', 'compact,delete'), ('cleanup.policy', 'compact,compact'), ('cleanup.policy', ''), ('cleanup.policy', 'Compact'),
	('cleanup.policy', ' compact , delete '), ('cleanup.policy', 'compact,'),
	('preallocate', 'TRUE'), ('preallocate', ' true '), ('preallocate', 'yes'),
	('min.cleanable.dirty.ratio', '1.5'), ('min.cleanable.dirty.ratio', '-0.1'), ('min.cleanable.dirty.ratio', 'x'),
	('min.cleanable.dirty.ratio', '5e-1'), ('min.cleanable.dirty.ratio', '1'), ('min.cleanable.dirty.ratio', 'NaN'),
	('compression.type', 'gzip2'), ('compression.type', ' gzip'), ('compression.type', 'zstd'),
	('compression.gzip.level', '0'), ('compression.gzip.level', '-1'), ('compression.gzip.level', '9'), ('compression.gzip.level', '10'),
	('compression.lz4.level', '0'), ('compression.lz4.level', '17'), ('compression.lz4.level', '18'),
	('compression.zstd.level', '-131072'), ('compression.zstd.level', '-131073'), ('compression.zstd.level', '23'),
	('message.timestamp.type', 'createtime'), ('message.timestamp.type', 'LogAppendTime'), ('message.timestamp.type', ''),
	('leader.replication.throttled.replicas', '*'), ('leader.replication.throttled.replicas', '0:1,1:2'),
	('leader.replication.throttled.replicas', 'a'), ('follower.replication.throttled.replicas', '0:1, 1:2'),
	('follower.replication.throttled.replicas', '0:1,'), ('follower.replication.throttled.replicas', ''),
	('segment.bytes', '1048575'), ('segment.bytes', '1048576'), ('segment.ms', '0'), ('segment.jitter.ms', '-1'),
	('segment.index.bytes', '3'), ('index.interval.bytes', '-1'), ('flush.messages', '0'), ('flush.ms', '0'),
	('file.delete.delay.ms', '-1'), ('delete.retention.ms', '-1'), ('max.compaction.lag.ms', '0'), ('min.compaction.lag.ms', '-1'),
	('min.insync.replicas', '0'), ('message.timestamp.after.max.ms', '-1'), ('message.timestamp.before.max.ms', '0'),
	('local.retention.ms', '-3'), ('local.retention.bytes', '-2'), ('remote.storage.enable', 'true'), ('remote.storage.enable', 'false'),
	('unclean.leader.election.enable', 'true'), ('Retention.ms', '1'), ('no.such.config', '1')) v(name, value);

-- two that must fit each other, also with what is there already
SELECT create_topic('tc_lag', config => '{"min.compaction.lag.ms": 10, "max.compaction.lag.ms": 5}');
SELECT alter_topic('tc', '{"min.compaction.lag.ms": 10}');
SELECT alter_topic('tc', '{"max.compaction.lag.ms": 5}');
SELECT alter_topic('tc', '{"max.compaction.lag.ms": 5, "min.compaction.lag.ms": null}');
SELECT configs FROM topics WHERE topic = 'tc';

-- numbers, booleans and arrays in JSON stand for their text
SELECT alter_topic('tc', '{"segment.ms": 5, "preallocate": true, "cleanup.policy": ["compact", "delete"], "min.cleanable.dirty.ratio": 0.25, "max.compaction.lag.ms": null}');
SELECT configs FROM topics WHERE topic = 'tc';
SELECT alter_topic('tc', '{"segment.ms": {"a": 1}}');
SELECT alter_topic('tc', '[1]');
SELECT alter_topic('tc', '5');
SELECT alter_topic('tc', '{"segment.ms": 1000.5}');
SELECT alter_topic('tc', NULL);
SELECT alter_topic(NULL, '{}');
SELECT alter_topic('tc', '{"segment.ms": null, "preallocate": null, "cleanup.policy": null, "min.cleanable.dirty.ratio": null}');
SELECT configs FROM topics WHERE topic = 'tc';

-- configs that produce() sees
SELECT alter_topic('tc', '{"max.message.bytes": 200}');
SELECT produce('tc', repeat('x', 100));
SELECT produce('tc', repeat('x', 200));
SELECT alter_topic('tc', '{"cleanup.policy": "compact", "max.message.bytes": null}');
SELECT produce('tc', 'x');
SELECT produce('tc', 'x', 'k');
SELECT alter_topic('tc', '{"cleanup.policy": null, "message.timestamp.before.max.ms": 1000}');
SELECT produce('tc', 'x', "timestamp" => now() - interval '10 s');
SELECT produce('tc', 'x', "timestamp" => now() + interval '2 h');
SELECT alter_topic('tc', '{"message.timestamp.type": "LogAppendTime"}');
SELECT produce('tc', 'x', "timestamp" => '2001-01-01');
SELECT "timestamp" > '2001-01-02' AS time_of_append FROM topics.tc ORDER BY "offset" DESC LIMIT 1;

DROP FUNCTION tc_try;
SELECT drop_topic('tc');
