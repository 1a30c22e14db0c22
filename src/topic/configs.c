/*-------------------------------------------------------------------------
 *
 * configs.c
 *	  Kafka's topic configs: one table, and what is derived from it.
 *
 * A row has the name, type, default and bounds that a Kafka broker of version
 * 4.3 has, the broker's config that is its default, and the place of the value
 * in PtTopicConfig if code reads it.  A config that means nothing here (there
 * are no replicas to throttle and no index files) is checked and stored all
 * the same, because tools set configs and read them back.
 *
 * Siblings: config_value.c checks the values, label.c stores them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "guc.h"
#include "record/compress.h"
#include "topic/config_value.h"
#include "topic/internal.h"
#include "utils/builtins.h"

static void apply_cleanup_policy(PtTopicConfig *config, const PtConfigValue *value);
static void apply_compression(PtTopicConfig *config, const PtConfigValue *value);
static void apply_timestamp_type(PtTopicConfig *config, const PtConfigValue *value);

/* Where a value goes: into a field, to a function, or nowhere. */
#define FIELD(f) offsetof(PtTopicConfig, f), NULL
#define APPLY(f) PT_CONFIG_NO_FIELD, f
#define KEPT PT_CONFIG_NO_FIELD, NULL
#define LONG_MAX_TEXT "9223372036854775807"

#define BOOLEAN_(name, broker, boot, place, doc) \
	{name, PT_CONFIG_BOOLEAN, boot, 0, 0, 0, {NULL}, broker, place, doc}
#define INT_(name, broker, boot, min, max, also, place, doc) \
	{name, PT_CONFIG_INT, boot, min, max, also, {NULL}, broker, place, doc}
#define LONG_(name, broker, boot, min, place, doc) \
	{name, PT_CONFIG_LONG, boot, min, PG_INT64_MAX, min, {NULL}, broker, place, doc}
#define SETTING_(name, broker, boot, min, place, doc, setting, mul) \
	{name, PT_CONFIG_LONG, boot, min, PG_INT64_MAX, min, {NULL}, broker, place, doc, setting, mul}
#define THROTTLED(name, doc) \
	{name, PT_CONFIG_LIST, "", 0, 0, 0, {NULL}, NULL, KEPT, doc}

/*
 * Ordered by name; pt_config_table_list() depends on that.
 */
static const PtConfigDef config_defs[] = {
	{"cleanup.policy", PT_CONFIG_LIST, "delete", 0, 0, 0, {"compact", "delete"}, "log.cleanup.policy",
	APPLY(apply_cleanup_policy),
	"What becomes of old records: delete removes them by age and size, compact keeps the last of each key."},
	INT_("compression.gzip.level", "compression.gzip.level", "-1", 1, 9, -1, KEPT,
		 "Level used when compression.type is gzip; -1 is the library's own choice."),
	INT_("compression.lz4.level", "compression.lz4.level", "9", 1, 17, 1, KEPT,
		 "Level used when compression.type is lz4."),
	{"compression.type", PT_CONFIG_STRING, "producer", 0, 0, 0,
		{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}, "compression.type",
		APPLY(apply_compression),
	"Codec that batches are stored with; producer keeps whatever the producer chose."},
	INT_("compression.zstd.level", "compression.zstd.level", "3", -131072, 22, 22, KEPT,
		 "Level used when compression.type is zstd."),
	LONG_("delete.retention.ms", "log.cleaner.delete.retention.ms", "86400000", 0, FIELD(delete_retention_ms),
		  "How long a tombstone (a key with a null value) stays in a compacted topic."),
	LONG_("file.delete.delay.ms", "log.segment.delete.delay.ms", "60000", 0, KEPT,
		  "Kept for tools. Space is given back to the log itself, with no files to delete."),
	LONG_("flush.messages", "log.flush.interval.messages", LONG_MAX_TEXT, 1, KEPT,
		  "Kept for tools. Acknowledged records are always flushed."),
	LONG_("flush.ms", "log.flush.interval.ms", LONG_MAX_TEXT, 0, KEPT,
		  "Kept for tools. Acknowledged records are always flushed."),
	THROTTLED("follower.replication.throttled.replicas",
			  "Kept for tools. Replication is that of the server and is not throttled by topic."),
	INT_("index.interval.bytes", "log.index.interval.bytes", "4096", 0, PG_INT32_MAX, 0, KEPT,
		 "Kept for tools. The directory of a log has one entry for each extent."),
	THROTTLED("leader.replication.throttled.replicas",
			  "Kept for tools. Replication is that of the server and is not throttled by topic."),
	LONG_("local.retention.bytes", "log.local.retention.bytes", "-2", -2, KEPT,
		  "Kept for tools. There is no remote storage, so all that is retained is local."),
	LONG_("local.retention.ms", "log.local.retention.ms", "-2", -2, KEPT,
		  "Kept for tools. There is no remote storage, so all that is retained is local."),
	LONG_("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", LONG_MAX_TEXT, 1, FIELD(max_compaction_lag_ms),
		  "Longest time that a record may wait before compaction looks at it."),
	INT_("max.message.bytes", "message.max.bytes", "1048588", 0, PG_INT32_MAX, 0, FIELD(max_message_bytes),
		 "Largest record batch accepted, in bytes, as it is sent (after compression)."),
	LONG_("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", "3600000", 0, FIELD(timestamp_after_max_ms),
		  "How far the timestamp of a record may be ahead of the server's clock."),
	LONG_("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", LONG_MAX_TEXT, 0, FIELD(timestamp_before_max_ms),
		  "How far the timestamp of a record may be behind the server's clock."),
	{"message.timestamp.type", PT_CONFIG_STRING, "CreateTime", 0, 0, 0,
		{"CreateTime", "LogAppendTime"}, "log.message.timestamp.type",
		APPLY(apply_timestamp_type),
	"Whether a record keeps the producer's timestamp or gets the time of its append."},
	{"min.cleanable.dirty.ratio", PT_CONFIG_DOUBLE, "0.5", 0, 1, 0, {NULL}, "log.cleaner.min.cleanable.ratio",
	FIELD(min_cleanable_dirty_ratio),
	"Share of a log that must be new since the last compaction before there is another."},
	LONG_("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", "0", 0, FIELD(min_compaction_lag_ms),
		  "Shortest time that a record stays as it is before compaction may remove it."),
	INT_("min.insync.replicas", "min.insync.replicas", "1", 1, PG_INT32_MAX, 1, FIELD(min_insync_replicas),
		 "Replicas that acks=all asks for. synchronous_standby_names decides how many there are."),
	BOOLEAN_("preallocate", "log.preallocate", "false", KEPT,
			 "Kept for tools. A log's space is always reserved an extent at a time."),
	BOOLEAN_("remote.log.copy.disable", NULL, "false", KEPT,
			 "Kept for tools. There is no remote storage."),
	BOOLEAN_("remote.log.delete.on.disable", NULL, "false", KEPT,
			 "Kept for tools. There is no remote storage."),
	BOOLEAN_("remote.storage.enable", NULL, "false", KEPT,
			 "Tiered storage, which this server does not have: only false is accepted."),
	SETTING_("retention.bytes", "log.retention.bytes", "-1", PG_INT64_MIN, FIELD(retention_bytes),
			 "Size of a partition beyond which its oldest records are removed; -1 is no limit.",
			 &pt_log_retention_bytes, 1024 * 1024),
	SETTING_("retention.ms", "log.retention.ms", "604800000", -1, FIELD(retention_ms),
			 "Age beyond which records are removed; -1 keeps them forever.",
			 &pt_log_retention, 1000),
	INT_("segment.bytes", "log.segment.bytes", "1073741824", 1048576, PG_INT32_MAX, 1048576, FIELD(segment_bytes),
		 "Kept for tools. Retention and compaction go by extents of 1 MB."),
	INT_("segment.index.bytes", "log.index.size.max.bytes", "10485760", 4, PG_INT32_MAX, 4, KEPT,
		 "Kept for tools. The directory of a log grows as it needs to."),
	LONG_("segment.jitter.ms", "log.roll.jitter.ms", "0", 0, KEPT,
		  "Kept for tools. There are no segments to roll."),
	LONG_("segment.ms", "log.roll.ms", "604800000", 1, FIELD(segment_ms),
		  "Age after which the last part of a log may be compacted. Retention by time goes by batches, and needs none to be closed."),
	BOOLEAN_("unclean.leader.election.enable", "unclean.leader.election.enable", "false", KEPT,
			 "Kept for tools. Failover is that of the server and never elects a replica that is behind on purpose."),
};

static const PtConfigTable config_table = {"topic", config_defs, lengthof(config_defs)};

/*
 * Checks one config.  NULL stands for the default, which is allowed for each
 * known name.  Returns false with a reason, palloc'd.
 */
bool
pt_config_check(const char *name, const char *value, char **reason)
{
	return pt_config_check_pair(&config_table, name, value, reason);
}

/*
 * Checks each config, and those that must fit each other.  Returns false with
 * a reason, palloc'd.
 */
bool
pt_config_check_all(List *pairs, char **reason)
{
	PtTopicConfig config;
	ListCell   *lc;

	Assert(reason != NULL);
	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (!pt_config_check(pair->name, pair->value, reason))
			return false;
	}
	pt_config_apply(pairs, &config);
	if (config.min_compaction_lag_ms > config.max_compaction_lag_ms)
	{
		*reason = psprintf("conflict topic config setting min.compaction.lag.ms (" INT64_FORMAT
						   ") > max.compaction.lag.ms (" INT64_FORMAT ")",
						   config.min_compaction_lag_ms, config.max_compaction_lag_ms);
		return false;
	}
	return true;
}

/*
 * Merges changes into configs; see pt_config_table_merge().
 */
List *
pt_config_merge(List *old, List *changes)
{
	return pt_config_table_merge(&config_table, old, changes);
}

/*
 * Stores cleanup.policy.
 */
static void
apply_cleanup_policy(PtTopicConfig *config, const PtConfigValue *value)
{
	StaticAssertStmt(PT_CLEANUP_COMPACT == 2 && PT_CLEANUP_DELETE == 1, "bits are the other way round");
	config->cleanup_policy = ((value->members & 1) ? PT_CLEANUP_COMPACT : 0) |
		((value->members & 2) ? PT_CLEANUP_DELETE : 0);
}

/*
 * Stores compression.type.
 */
static void
apply_compression(PtTopicConfig *config, const PtConfigValue *value)
{
	static const int codecs[] = {PT_CODEC_NONE, PT_CODEC_ZSTD, PT_CODEC_LZ4, PT_CODEC_SNAPPY, PT_CODEC_GZIP,
	PT_COMPRESSION_PRODUCER};

	for (int i = 0; i < lengthof(codecs); i++)
	{
		if (value->members & (1U << i))
			config->compression = codecs[i];
	}
}

/*
 * Stores message.timestamp.type.
 */
static void
apply_timestamp_type(PtTopicConfig *config, const PtConfigValue *value)
{
	config->log_append_time = (value->members & 2) != 0;
}

/*
 * Stores a value in its field of PtTopicConfig.
 */
static void
apply_field(const PtConfigDef *def, const PtConfigValue *value, PtTopicConfig *config)
{
	char	   *field = (char *) config + def->field;

	Assert(def->field >= 0 && def->field < (int) sizeof(PtTopicConfig));
	switch (def->type)
	{
		case PT_CONFIG_INT:

			/*
			 * the field of segment.bytes is wider than an INT, because sizes
			 * are added up in it
			 */
			if (def->field == offsetof(PtTopicConfig, segment_bytes))
				*(int64 *) field = value->number;
			else
				*(int32 *) field = (int32) value->number;
			break;
		case PT_CONFIG_LONG:
			*(int64 *) field = value->number;
			break;
		case PT_CONFIG_DOUBLE:
			*(double *) field = value->real;
			break;
		case PT_CONFIG_BOOLEAN:
		case PT_CONFIG_STRING:
		case PT_CONFIG_LIST:
			Assert(false);
	}
}

/*
 * Gets the value of a config: that of the pairs, or the default.  A wrong
 * value, which no check would have accepted, counts as not set.
 */
static void
effective_value(const PtConfigDef *def, List *pairs, PtConfigValue *value)
{
	const PtConfigPair *pair = pt_config_pair(pairs, def->name);
	char	   *reason;

	if (pair != NULL && pair->value != NULL && pt_config_check_value(def, pair->value, value, &reason))
		return;
	if (!pt_config_check_value(def, pt_config_default(def), value, &reason))
		elog(ERROR, "%s", reason);
}

/*
 * Returns the compression level for the topic's codec; INT_MIN stands for the
 * library's default.
 */
static int
effective_level(List *pairs, int codec)
{
	const char *name = codec == PT_CODEC_GZIP ? "compression.gzip.level" :
		codec == PT_CODEC_LZ4 ? "compression.lz4.level" :
		codec == PT_CODEC_ZSTD ? "compression.zstd.level" : NULL;
	const PtConfigDef *def;
	PtConfigValue value;
	int64		boot;

	if (name == NULL)
		return INT_MIN;
	def = pt_config_find(&config_table, name);
	effective_value(def, pairs, &value);

	/* Kafka's default level of lz4, 9, stands for the fast compressor */
	return pt_config_parse_long(def->boot, &boot) && value.number == boot ? INT_MIN : (int) value.number;
}

/*
 * Fills *config from the defaults and the pairs that differ.
 */
void
pt_config_apply(List *pairs, PtTopicConfig *config)
{
	memset(config, 0, sizeof(*config));
	for (int i = 0; i < lengthof(config_defs); i++)
	{
		const PtConfigDef *def = &config_defs[i];
		PtConfigValue value;

		if (def->field == PT_CONFIG_NO_FIELD && def->apply == NULL)
			continue;
		effective_value(def, pairs, &value);
		if (def->apply != NULL)
			def->apply(config, &value);
		else
			apply_field(def, &value, config);
	}
	Assert(config->min_insync_replicas >= 1 && config->max_message_bytes >= 0);
	config->compression_level = effective_level(pairs, config->compression);
}

/*
 * Returns all configs of a topic, ordered by name, in the current memory
 * context.
 */
List *
pt_config_list(Oid relid)
{
	PtLabel    *label = pt_label_get(relid);

	return pt_config_list_with(label ? label->configs : NIL);
}

/*
 * Returns the same for a topic that has these configs.
 */
List *
pt_config_list_with(List *pairs)
{
	return pt_config_table_list(&config_table, pairs);
}

/*
 * Checks whether a topic's configs may be changed like this.  Returns false
 * with a reason, palloc'd.
 */
bool
pt_topic_check_configs(Oid relid, List *changes, char **reason)
{
	PtLabel    *label = pt_label_get(relid);
	ListCell   *lc;

	foreach(lc, changes)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (!pt_config_check(pair->name, pair->value, reason))
			return false;
	}
	return pt_config_check_all(pt_config_merge(label ? label->configs : NIL, changes), reason);
}
