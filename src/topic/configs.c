/*-------------------------------------------------------------------------
 *
 * configs.c
 *	  Kafka's topic configs: one table, and what is derived from it.
 *
 * A row has the name, type, default and bounds that a broker of version 4.1
 * has, and where the value goes in PtTopicConfig when code asks for it.  A config
 * that means nothing here (there are no replicas to throttle and no index files)
 * is checked and kept all the same, because tools set them and read them back.
 *
 * Messages are worded as a broker words them, since clients show them and some
 * tests compare them.
 *
 * Siblings: label.c keeps the values.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "log/compress.h"
#include "topic/internal.h"
#include "utils/builtins.h"

typedef enum ConfigType
{
	CONFIG_BOOLEAN,
	CONFIG_STRING,
	CONFIG_INT,
	CONFIG_LONG,
	CONFIG_DOUBLE,
	CONFIG_LIST
} ConfigType;

static const char *const type_names[] = {"BOOLEAN", "STRING", "INT", "LONG", "DOUBLE", "LIST"};

/* What a checked value is, by its type. */
typedef struct ConfigValue
{
	bool		boolean;
	int64		number;
	double		real;
	const char *text;			/* trimmed */
	uint32		members;		/* LIST: bit n is valid[n] */
} ConfigValue;

/* Puts a value where a plain field will not do. */
typedef void (*ConfigApply) (PtTopicConfig *config, const ConfigValue *value);

#define VALID_MAX	6
#define NO_FIELD	(-1)

typedef struct ConfigDef
{
	const char *name;
	ConfigType	type;
	const char *boot;			/* the default */
	int64		min;
	int64		max;
	int64		also;			/* one number that is fine beside [min, max] */
	const char *valid[VALID_MAX];	/* STRING, LIST: what it may be */
	int			field;			/* in PtTopicConfig, of the type's natural width */
	ConfigApply apply;
	const char *doc;
} ConfigDef;

static void apply_cleanup_policy(PtTopicConfig *config, const ConfigValue *value);
static void apply_compression(PtTopicConfig *config, const ConfigValue *value);
static void apply_timestamp_type(PtTopicConfig *config, const ConfigValue *value);

#define FIELD(f) offsetof(PtTopicConfig, f), NULL
#define APPLY(f) NO_FIELD, f
#define KEPT NO_FIELD, NULL
#define LONG_MAX_TEXT "9223372036854775807"

#define BOOLEAN_(name, boot, place, doc) \
	{name, CONFIG_BOOLEAN, boot, 0, 0, 0, {NULL}, place, doc}
#define INT_(name, boot, min, max, also, place, doc) \
	{name, CONFIG_INT, boot, min, max, also, {NULL}, place, doc}
#define LONG_(name, boot, min, place, doc) \
	{name, CONFIG_LONG, boot, min, PG_INT64_MAX, min, {NULL}, place, doc}
#define THROTTLED(name, doc) \
	{name, CONFIG_LIST, "", 0, 0, 0, {NULL}, KEPT, doc}

/* By name; the searches and pt_config_list count on the order. */
static const ConfigDef config_defs[] = {
	{"cleanup.policy", CONFIG_LIST, "delete", 0, 0, 0, {"compact", "delete"}, APPLY(apply_cleanup_policy),
	"What becomes of old records: delete removes them by age and size, compact keeps the last of each key."},
	INT_("compression.gzip.level", "-1", 1, 9, -1, KEPT,
		 "Level used when compression.type is gzip; -1 is the library's own choice."),
	INT_("compression.lz4.level", "9", 1, 17, 1, KEPT,
		 "Level used when compression.type is lz4."),
	{"compression.type", CONFIG_STRING, "producer", 0, 0, 0,
	{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}, APPLY(apply_compression),
	"Codec that batches are stored with; producer keeps whatever the producer chose."},
	INT_("compression.zstd.level", "3", -131072, 22, 22, KEPT,
		 "Level used when compression.type is zstd."),
	LONG_("delete.retention.ms", "86400000", 0, FIELD(delete_retention_ms),
		  "How long a tombstone (a key with a null value) stays in a compacted topic."),
	LONG_("file.delete.delay.ms", "60000", 0, KEPT,
		  "Kept for tools. Space is given back to the log itself, with no files to delete."),
	LONG_("flush.messages", LONG_MAX_TEXT, 1, KEPT,
		  "Kept for tools. Acknowledged records are always flushed."),
	LONG_("flush.ms", LONG_MAX_TEXT, 0, KEPT,
		  "Kept for tools. Acknowledged records are always flushed."),
	THROTTLED("follower.replication.throttled.replicas",
			  "Kept for tools. Replication is that of the server and is not throttled by topic."),
	INT_("index.interval.bytes", "4096", 0, PG_INT32_MAX, 0, KEPT,
		 "Kept for tools. The directory of a log has one entry for each extent."),
	THROTTLED("leader.replication.throttled.replicas",
			  "Kept for tools. Replication is that of the server and is not throttled by topic."),
	LONG_("local.retention.bytes", "-2", -2, KEPT,
		  "Kept for tools. There is no remote storage, so all that is retained is local."),
	LONG_("local.retention.ms", "-2", -2, KEPT,
		  "Kept for tools. There is no remote storage, so all that is retained is local."),
	LONG_("max.compaction.lag.ms", LONG_MAX_TEXT, 1, FIELD(max_compaction_lag_ms),
		  "Longest time that a record may wait before compaction looks at it."),
	INT_("max.message.bytes", "1048588", 0, PG_INT32_MAX, 0, FIELD(max_message_bytes),
		 "Largest record batch accepted, in bytes, as it is sent (after compression)."),
	LONG_("message.timestamp.after.max.ms", "3600000", 0, FIELD(timestamp_after_max_ms),
		  "How far the timestamp of a record may be ahead of the server's clock."),
	LONG_("message.timestamp.before.max.ms", LONG_MAX_TEXT, 0, FIELD(timestamp_before_max_ms),
		  "How far the timestamp of a record may be behind the server's clock."),
	{"message.timestamp.type", CONFIG_STRING, "CreateTime", 0, 0, 0,
	{"CreateTime", "LogAppendTime"}, APPLY(apply_timestamp_type),
	"Whether a record keeps the producer's timestamp or gets the time of its append."},
	{"min.cleanable.dirty.ratio", CONFIG_DOUBLE, "0.5", 0, 1, 0, {NULL}, FIELD(min_cleanable_dirty_ratio),
	"Share of a log that must be new since the last compaction before there is another."},
	LONG_("min.compaction.lag.ms", "0", 0, FIELD(min_compaction_lag_ms),
		  "Shortest time that a record stays as it is before compaction may remove it."),
	INT_("min.insync.replicas", "1", 1, PG_INT32_MAX, 1, FIELD(min_insync_replicas),
		 "Replicas that acks=all asks for. synchronous_standby_names decides how many there are."),
	BOOLEAN_("preallocate", "false", KEPT,
			 "Kept for tools. A log's space is always reserved an extent at a time."),
	BOOLEAN_("remote.log.copy.disable", "false", KEPT,
			 "Kept for tools. There is no remote storage."),
	BOOLEAN_("remote.log.delete.on.disable", "false", KEPT,
			 "Kept for tools. There is no remote storage."),
	BOOLEAN_("remote.storage.enable", "false", KEPT,
			 "Tiered storage, which this server does not have: only false is accepted."),
	LONG_("retention.bytes", "-1", PG_INT64_MIN, FIELD(retention_bytes),
		  "Size of a partition beyond which its oldest records are removed; -1 is no limit."),
	LONG_("retention.ms", "604800000", -1, FIELD(retention_ms),
		  "Age beyond which records are removed; -1 keeps them forever."),
	INT_("segment.bytes", "1073741824", 1048576, PG_INT32_MAX, 1048576, FIELD(segment_bytes),
		 "Unit in which retention by size is reckoned. Space is given back by extents of 1 MB."),
	INT_("segment.index.bytes", "10485760", 4, PG_INT32_MAX, 4, KEPT,
		 "Kept for tools. The directory of a log grows as it needs to."),
	LONG_("segment.jitter.ms", "0", 0, KEPT,
		  "Kept for tools. There are no segments to roll."),
	LONG_("segment.ms", "604800000", 1, FIELD(segment_ms),
		  "Age after which a part of the log that is not full may be compacted or removed."),
	BOOLEAN_("unclean.leader.election.enable", "false", KEPT,
			 "Kept for tools. Failover is that of the server and never elects a replica that is behind on purpose."),
};

static const ConfigDef *
find_def(const char *name)
{
	for (int i = 0; i < lengthof(config_defs); i++)
	{
		if (strcmp(config_defs[i].name, name) == 0)
			return &config_defs[i];
	}
	return NULL;
}

/* A copy without the blanks at both ends. */
static char *
trimmed(const char *s)
{
	size_t		len;

	while (*s != '\0' && (unsigned char) *s <= ' ')
		s++;
	len = strlen(s);
	while (len > 0 && (unsigned char) s[len - 1] <= ' ')
		len--;
	return pnstrdup(s, len);
}

/* An optional sign and digits, nothing else. */
static bool
parse_long(const char *s, int64 *result)
{
	const char *digits = s + (*s == '-' || *s == '+');
	char	   *end;

	if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
		return false;
	errno = 0;
	*result = strtoi64(s, &end, 10);
	return errno == 0 && *end == '\0';
}

/* What Java's parseDouble takes, short of hexadecimal and NaN. */
static bool
parse_double(const char *s, double *result)
{
	char	   *end;

	if (*s == '\0' || strpbrk(s, "xXpP") != NULL)
		return false;
	errno = 0;
	*result = strtod(s, &end);
	if (end != s && (*end == 'f' || *end == 'F' || *end == 'd' || *end == 'D'))
		end++;
	return errno == 0 && *end == '\0' && !isnan(*result);
}

/* The reason in a broker's words. */
static bool
invalid(const ConfigDef *def, const char *value, char **reason, const char *why)
{
	*reason = psprintf("Invalid value %s for configuration %s: %s", value, def->name, why);
	return false;
}

/* The bounds of the row; the order of the checks is a broker's, as it decides what is complained of. */
static bool
check_number(const ConfigDef *def, const char *value, ConfigValue *out, char **reason)
{
	const char *type = type_names[def->type];
	bool		fine;

	if (def->type == CONFIG_DOUBLE)
		fine = parse_double(value, &out->real);
	else
		fine = parse_long(value, &out->number);
	if (!fine || (def->type == CONFIG_INT && (out->number < PG_INT32_MIN || out->number > PG_INT32_MAX)))
		return invalid(def, value, reason, psprintf("Not a number of type %s", type));

	if (def->type != CONFIG_DOUBLE)
	{
		if (out->number == def->also)
			return true;
		if (def->also < def->min && (out->number < def->min || out->number > def->max))
			return invalid(def, value, reason,
						   psprintf("Value must be between " INT64_FORMAT " and " INT64_FORMAT " or equal to " INT64_FORMAT,
									def->min, def->max, def->also));
	}
	if (def->type == CONFIG_DOUBLE ? out->real < def->min : out->number < def->min)
		return invalid(def, value, reason, psprintf("Value must be at least " INT64_FORMAT, def->min));
	if (def->type == CONFIG_DOUBLE ? out->real > def->max : out->number > def->max)
		return invalid(def, value, reason, psprintf("Value must be no more than " INT64_FORMAT, def->max));
	return true;
}

static bool
check_boolean(const ConfigDef *def, const char *value, ConfigValue *out, char **reason)
{
	if (pg_strcasecmp(value, "true") != 0 && pg_strcasecmp(value, "false") != 0)
		return invalid(def, value, reason, "Expected value to be either true or false");
	out->boolean = pg_strcasecmp(value, "true") == 0;
	if (out->boolean && strcmp(def->name, "remote.storage.enable") == 0)
		return invalid(def, value, reason, "This server has no tiered storage");
	return true;
}

/* One of the words of the row; their bit goes to members. */
static bool
check_word(const ConfigDef *def, const char *word, ConfigValue *out, char **reason)
{
	StringInfoData words;

	for (int i = 0; i < VALID_MAX && def->valid[i] != NULL; i++)
	{
		if (strcmp(def->valid[i], word) == 0)
		{
			out->members |= 1U << i;
			return true;
		}
	}
	initStringInfo(&words);
	for (int i = 0; i < VALID_MAX && def->valid[i] != NULL; i++)
		appendStringInfo(&words, "%s%s", i > 0 ? ", " : "", def->valid[i]);
	return invalid(def, word, reason, psprintf("String must be one of: %s", words.data));
}

/* partition:broker, both of them digits. */
static bool
is_replica(const char *s)
{
	size_t		n = strspn(s, "0123456789");

	return n > 0 && s[n] == ':' && s[n + 1] != '\0' &&
		strspn(s + n + 1, "0123456789") == strlen(s + n + 1);
}

/* A comma list: of the row's words, or of throttled replicas when it has none. */
static bool
check_list(const ConfigDef *def, const char *value, ConfigValue *out, char **reason)
{
	const char *s = value;

	if (*value == '\0' || (def->valid[0] == NULL && strcmp(value, "*") == 0))
		return true;
	for (;;)
	{
		size_t		len = strcspn(s, ",");
		char	   *item = trimmed(pnstrdup(s, len));

		if (def->valid[0] != NULL)
		{
			if (!check_word(def, item, out, reason))
				return false;
		}
		else if (!is_replica(item))
			return invalid(def, psprintf("[%s]", value), reason,
						   psprintf("%s must be the literal '*' or a list of replicas in the following format: "
									"[partitionId]:[brokerId],[partitionId]:[brokerId],...", def->name));
		if (s[len] == '\0')
			return true;
		s += len + 1;
	}
}

/* Checks one value by the row's type and takes it apart. */
static bool
check_value(const ConfigDef *def, const char *value, ConfigValue *out, char **reason)
{
	memset(out, 0, sizeof(*out));
	out->text = trimmed(value);

	switch (def->type)
	{
		case CONFIG_BOOLEAN:
			return check_boolean(def, out->text, out, reason);
		case CONFIG_STRING:
			return check_word(def, out->text, out, reason);
		case CONFIG_LIST:
			return check_list(def, out->text, out, reason);
		case CONFIG_INT:
		case CONFIG_LONG:
		case CONFIG_DOUBLE:
			return check_number(def, out->text, out, reason);
	}
	pg_unreachable();
}

/*
 * Checks one config; false with a reason (palloc'd).  A NULL value stands for
 * the default and is fine for every known name.
 */
bool
pt_config_check(const char *name, const char *value, char **reason)
{
	const ConfigDef *def = find_def(name);
	ConfigValue out;

	if (def == NULL)
	{
		*reason = psprintf("Unknown topic config name: %s", name);
		return false;
	}
	return value == NULL || check_value(def, value, &out, reason);
}

/* Each of them, and those that must fit each other. */
bool
pt_config_check_all(List *pairs, char **reason)
{
	PtTopicConfig config;
	ListCell   *lc;

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

/* The pair of this name; NULL: the config has its default. */
static const PtConfigPair *
find_pair(List *pairs, const char *name)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (strcmp(pair->name, name) == 0)
			return pair;
	}
	return NULL;
}

/*
 * The old values with the changes in them: a NULL among the changes takes a config back
 * to its default.  In order of name; of two changes of one name the last counts.
 */
List *
pt_config_merge(List *old, List *changes)
{
	List	   *merged = NIL;

	for (int i = 0; i < lengthof(config_defs); i++)
	{
		const PtConfigPair *pair = NULL;
		ListCell   *lc;

		foreach(lc, changes)
		{
			const PtConfigPair *change = lfirst(lc);

			if (strcmp(change->name, config_defs[i].name) == 0)
				pair = change;
		}
		if (pair == NULL)
			pair = find_pair(old, config_defs[i].name);
		if (pair != NULL && pair->value != NULL)
			merged = lappend(merged, unconstify(PtConfigPair *, pair));
	}
	return merged;
}

static void
apply_cleanup_policy(PtTopicConfig *config, const ConfigValue *value)
{
	StaticAssertStmt(PT_CLEANUP_COMPACT == 2 && PT_CLEANUP_DELETE == 1, "bits are the other way round");
	config->cleanup_policy = ((value->members & 1) ? PT_CLEANUP_COMPACT : 0) |
		((value->members & 2) ? PT_CLEANUP_DELETE : 0);
}

static void
apply_compression(PtTopicConfig *config, const ConfigValue *value)
{
	static const int codecs[] = {PT_CODEC_NONE, PT_CODEC_ZSTD, PT_CODEC_LZ4, PT_CODEC_SNAPPY, PT_CODEC_GZIP,
	PT_COMPRESSION_PRODUCER};

	for (int i = 0; i < lengthof(codecs); i++)
	{
		if (value->members & (1U << i))
			config->compression = codecs[i];
	}
}

static void
apply_timestamp_type(PtTopicConfig *config, const ConfigValue *value)
{
	config->log_append_time = (value->members & 2) != 0;
}

static void
apply_field(const ConfigDef *def, const ConfigValue *value, PtTopicConfig *config)
{
	char	   *field = (char *) config + def->field;

	Assert(def->field >= 0 && def->field < (int) sizeof(PtTopicConfig));
	switch (def->type)
	{
		case CONFIG_INT:
			/* the one INT whose field is wider, as sizes are added up in it */
			if (def->field == offsetof(PtTopicConfig, segment_bytes))
				*(int64 *) field = value->number;
			else
				*(int32 *) field = (int32) value->number;
			break;
		case CONFIG_LONG:
			*(int64 *) field = value->number;
			break;
		case CONFIG_DOUBLE:
			*(double *) field = value->real;
			break;
		case CONFIG_BOOLEAN:
		case CONFIG_STRING:
		case CONFIG_LIST:
			Assert(false);
	}
}

/* The value that counts; a bad one, which no check would have let in, is the default. */
static void
effective_value(const ConfigDef *def, List *pairs, ConfigValue *value)
{
	const PtConfigPair *pair = find_pair(pairs, def->name);
	char	   *reason;

	if (pair != NULL && pair->value != NULL && check_value(def, pair->value, value, &reason))
		return;
	if (!check_value(def, def->boot, value, &reason))
		elog(ERROR, "%s", reason);
}

/* The level of the topic's codec; INT_MIN where the default is the library's own. */
static int
effective_level(List *pairs, int codec)
{
	const char *name = codec == PT_CODEC_GZIP ? "compression.gzip.level" :
		codec == PT_CODEC_LZ4 ? "compression.lz4.level" :
		codec == PT_CODEC_ZSTD ? "compression.zstd.level" : NULL;
	const ConfigDef *def;
	ConfigValue value;
	int64		boot;

	if (name == NULL)
		return INT_MIN;
	def = find_def(name);
	effective_value(def, pairs, &value);

	/* Java's default level of lz4, 9, stands for its fast compressor. */
	return parse_long(def->boot, &boot) && value.number == boot ? INT_MIN : (int) value.number;
}

/* Fills config from the defaults and the pairs that differ. */
void
pt_config_apply(List *pairs, PtTopicConfig *config)
{
	memset(config, 0, sizeof(*config));
	for (int i = 0; i < lengthof(config_defs); i++)
	{
		const ConfigDef *def = &config_defs[i];
		ConfigValue value;

		if (def->field == NO_FIELD && def->apply == NULL)
			continue;
		effective_value(def, pairs, &value);
		if (def->apply != NULL)
			def->apply(config, &value);
		else
			apply_field(def, &value, config);
	}
	config->compression_level = effective_level(pairs, config->compression);
}

/*
 * All configs of a topic in order of name, in the current memory context.
 */
List *
pt_config_list(Oid relid)
{
	PtLabel    *label = pt_label_get(relid);

	return pt_config_list_with(label ? label->configs : NIL);
}

/* The same for a topic that was created with these. */
List *
pt_config_list_with(List *pairs)
{
	List	   *list = NIL;

	for (int i = 0; i < lengthof(config_defs); i++)
	{
		const ConfigDef *def = &config_defs[i];
		const PtConfigPair *pair = find_pair(pairs, def->name);
		PtConfigEntry *entry = palloc(sizeof(PtConfigEntry));

		entry->name = def->name;
		entry->is_default = pair == NULL;
		entry->value = pair ? pair->value : def->boot;
		entry->type = type_names[def->type];
		entry->documentation = def->doc;
		list = lappend(list, entry);
	}
	return list;
}
