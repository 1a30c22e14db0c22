/*-------------------------------------------------------------------------
 *
 * configs.c
 *	  Changes of configs of all kinds: resources, operations, checks.
 *
 * A resource is changed as a whole or not at all.  All changes are checked
 * first, and then written in one transaction.  A topic's are its owner's to
 * change.  The broker's configs and loggers are the server's settings and
 * are guarded by a setting besides (kafka_admin_allowed), as are internal
 * topics, on which all groups depend.
 *
 * Error codes and messages are those of a Kafka broker where it has them.
 *
 * Siblings: configs.h, broker_configs.c, logger_configs.c, settings.c; api/33,
 * api/44.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/broker.h"
#include "kafka/configs.h"
#include "kafka/topics.h"
#include "topic/group_configs.h"
#include "topic/kept_configs.h"

/*
 * Fills error (with sqlstate 0), and always returns false.  The message is
 * not copied.
 */
bool
kafka_refuse(KafkaError *error, int16 code, const char *message)
{
	Assert(code != KERR_NONE && message != NULL);
	error->code = code;
	error->sqlstate = 0;
	error->message = message;
	return false;
}

/*
 * Returns the ConfigType of the protocol by the name that PtConfigEntry has;
 * 0 (UNKNOWN) for NULL and for other names.
 */
int8
kafka_config_type(const char *name)
{
	static const char *const names[] = {"BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"};

	for (int i = 0; name != NULL && i < lengthof(names); i++)
	{
		if (strcmp(names[i], name) == 0)
			return i + 1;
	}
	return 0;					/* UNKNOWN */
}

/*
 * Checks that a name is this broker's id or, if may_be_default, "" for the
 * cluster's default.  Returns false with the error.
 */
bool
kafka_config_broker_name(KafkaString name, bool may_be_default, KafkaError *error)
{
	char	   *text = kafka_text(name);
	char	   *end;
	long		id;

	if (text == NULL || text[0] == '\0')
	{
		if (may_be_default && text !=NULL)
			return true;
		return kafka_refuse(error, KERR_INVALID_REQUEST, "Broker id must not be empty");
	}
	errno = 0;
	id = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Node id must be an integer, but it is: %s", text));
	if (id != KAFKA_BROKER_ID)
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Unexpected broker id, expected %d%s, but received %s",
									 KAFKA_BROKER_ID, may_be_default ? " or empty string" : "", text));
	return true;
}

/*
 * qsort comparator of pointers to resources, by type and name.
 */
static int
compare_resources(const void *a, const void *b)
{
	const KafkaConfigResource *x = *(const KafkaConfigResource *const *) a;
	const KafkaConfigResource *y = *(const KafkaConfigResource *const *) b;
	int			c = x->type - y->type;

	if (c == 0)
		c = x->name.len - y->name.len;
	if (c == 0 && x->name.len > 0)
		c = memcmp(x->name.data, y->name.data, x->name.len);
	return c;
}

/*
 * Returns an array that is true for each resource that is named more than
 * once.  The resources are sorted first, so that a long request does not take
 * quadratic time.
 */
static bool *
find_twice(const KafkaConfigResource *resources, int n)
{
	const KafkaConfigResource **sorted = palloc(sizeof(*sorted) * Max(n, 1));
	bool	   *twice = palloc0(sizeof(bool) * Max(n, 1));

	Assert(n >= 0);
	for (int i = 0; i < n; i++)
		sorted[i] = &resources[i];
	qsort(sorted, n, sizeof(*sorted), compare_resources);
	for (int i = 1; i < n; i++)
	{
		if (compare_resources(&sorted[i - 1], &sorted[i]) == 0)
			twice[sorted[i - 1] - resources] = twice[sorted[i] - resources] = true;
	}
	return twice;
}

/*
 * Operations
 */

/*
 * Returns true if a list with commas has this item.
 */
static bool
in_list(const char *list, const char *item, size_t len)
{
	while (*list != '\0')
	{
		size_t		n = strcspn(list, ",");

		if (n == len && memcmp(list, item, len) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* Adds the items that are not in "without" and not there yet. */
static void
add_items(StringInfo buf, const char *items, const char *without)
{
	while (*items != '\0')
	{
		size_t		len = strcspn(items, ",");

		if (len > 0 && !in_list(without, items, len) && !in_list(buf->data, items, len))
			appendStringInfo(buf, "%s%.*s", buf->len > 0 ? "," : "", (int) len, items);
		items += len + (items[len] == ',');
	}
}

/* A list with the items of another, or without them. */
static char *
change_list(const char *list, const char *items, bool append)
{
	StringInfoData buf;

	initStringInfo(&buf);
	add_items(&buf, list, append ? "" : items);
	if (append)
		add_items(&buf, items, "");
	return buf.data;
}

/* The entry of this name among those that the resource has. */
static const PtConfigEntry *
find_entry(List *entries, const char *name)
{
	ListCell   *lc;

	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);

		if (strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

/* Name and value of a change as text, and what is wrong with their form. */
static bool
read_change(const KafkaConfigChange *change, PtConfigPair *pair, KafkaError *error)
{
	pair->name = kafka_text(change->name);
	pair->value = kafka_text(change->value);
	if (pair->name == NULL || change->name.len > KAFKA_CONFIG_VALUE_MAX)
		return kafka_refuse(error, KERR_INVALID_REQUEST, "The name of a config is not valid text, or too long.");
	if (change->operation < KAFKA_CONFIG_SET || change->operation > KAFKA_CONFIG_SUBTRACT)
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Unknown operation type %d for config %s", change->operation, pair->name));
	if (change->operation == KAFKA_CONFIG_DELETE)
		pair->value = NULL;
	else if (change->value.len < 0)
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Null value not supported for : %s", pair->name));
	else if (pair->value == NULL)
		return kafka_refuse(error, KERR_INVALID_CONFIG,
							psprintf("The value of config %s is not valid text.", pair->name));
	else if (change->value.len > KAFKA_CONFIG_VALUE_MAX)
		return kafka_refuse(error, KERR_INVALID_CONFIG,
							psprintf("The value of config %s is too long.", pair->name));
	return true;
}

/* APPEND and SUBTRACT become the list that they make. */
static bool
resolve_list(const KafkaConfigChange *change, List *entries, PtConfigPair *pair, KafkaError *error)
{
	const PtConfigEntry *entry = find_entry(entries, pair->name);
	bool		append = change->operation == KAFKA_CONFIG_APPEND;

	if (entry == NULL)
		return true;			/* an unknown name: said later */
	if (strcmp(entry->type, "LIST") != 0)
		return kafka_refuse(error, KERR_INVALID_CONFIG,
							psprintf("Can't %s to key %s because its type is not LIST.",
									 append ? "APPEND" : "SUBTRACT", pair->name));
	pair->value = change_list(entry->value ? entry->value : "", pair->value, append);
	return true;
}

/*
 * The changes without those that take back a config that a topic or group
 * cannot have.  As in Kafka these change nothing.
 */
static List *
without_unknown(List *pairs, List *entries)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (pair->value == NULL && find_entry(entries, pair->name) == NULL)
			pairs = foreach_delete_current(pairs, lc);
	}
	return pairs;
}

/*
 * The changes as pairs for the rooms that keep them.  entries: what the
 * resource has now.
 */
static bool
make_pairs(const KafkaConfigChange *changes, int n, List *entries, bool replace, List **pairs, KafkaError *error)
{
	ListCell   *lc;

	*pairs = NIL;
	if (n > KAFKA_CONFIG_CHANGES_MAX)
		return kafka_refuse(error, KERR_INVALID_REQUEST, "Too many configs for one resource.");
	for (int i = 0; i < n; i++)
	{
		PtConfigPair *pair = palloc(sizeof(PtConfigPair));

		if (!read_change(&changes[i], pair, error))
			return false;
		foreach(lc, *pairs)
		{
			if (strcmp(((PtConfigPair *) lfirst(lc))->name, pair->name) == 0)
				return kafka_refuse(error, KERR_INVALID_REQUEST, "Error due to duplicate config keys");
		}
		if (changes[i].operation >= KAFKA_CONFIG_APPEND && !resolve_list(&changes[i], entries, pair, error))
			return false;
		*pairs = lappend(*pairs, pair);
	}
	if (!replace)
		return true;
	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);
		PtConfigPair *pair;
		ListCell   *known;
		bool		found = entry->is_default;

		foreach(known, *pairs)
			found |= strcmp(((PtConfigPair *) lfirst(known))->name, entry->name) == 0;
		if (found)
			continue;
		pair = palloc(sizeof(PtConfigPair));
		pair->name = pstrdup(entry->name);
		pair->value = NULL;
		*pairs = lappend(*pairs, pair);
	}
	return true;
}

/*
 * Resources
 */

typedef struct AlterResource
{
	Oid			user;			/* as whom; InvalidOid: ourselves */
	Oid			topic;
	const char *group;
	List	   *pairs;
} AlterResource;

static void
alter_topic(void *arg)
{
	const AlterResource *alter = arg;

	pt_topic_alter_configs(alter->topic, alter->pairs);
}

static void
alter_group(void *arg)
{
	const AlterResource *alter = arg;

	pt_group_alter_configs(alter->group, alter->pairs);
}

static bool
run_alter(KafkaCall *call, void (*fn) (void *arg), AlterResource *alter, KafkaError *error)
{
	if (kafka_run_in(call->mcxt, alter->user, fn, alter, error))
		return true;
	kafka_log_error(call, error);
	return false;
}

static bool
change_topic(KafkaCall *call, KafkaString name, const KafkaConfigChange *changes, int n, bool replace,
			 bool validate_only, KafkaError *error)
{
	AlterResource alter = {0};
	List	   *entries;
	const PtTopic *topic;
	const char *message;
	char	   *reason;

	if (name.len <= 0)
		return kafka_refuse(error, KERR_INVALID_REQUEST, "Default topic resources are not allowed.");
	topic = kafka_topic_find(call, PT_OP_ALTER_CONFIGS, name, NULL, &error->code);
	if (topic == NULL && error->code == KERR_TOPIC_AUTHORIZATION_FAILED)
		return kafka_refuse(error, error->code, "Only the owner of a topic's table may change its configs.");
	if (topic == NULL)
		return kafka_refuse(error, KERR_UNKNOWN_TOPIC_OR_PARTITION,
							psprintf("The topic '%.*s' does not exist.", Min(name.len, PT_TOPIC_NAME_MAX), name.data));
	alter.topic = topic->relid;
	alter.user = pt_rights_acts_as(call->session->role, alter.topic);
	if (topic->internal && !kafka_admin_allowed(call, &message))
		return kafka_refuse(error, KERR_TOPIC_AUTHORIZATION_FAILED,
							"The topic is internal: its configs can be changed in SQL, by alter_topic(), and by Kafka clients "
							"when PostgreSQL's setting \"pgtopic.kafka_admin\" is on.");
	entries = pt_config_list(alter.topic);
	if (!make_pairs(changes, n, entries, replace, &alter.pairs, error))
		return false;
	if (!replace)
		alter.pairs = without_unknown(alter.pairs, entries);
	if (!pt_topic_check_configs(alter.topic, alter.pairs, &reason))
		return kafka_refuse(error, KERR_INVALID_CONFIG, reason);
	return validate_only || alter.pairs == NIL || run_alter(call, alter_topic, &alter, error);
}

static bool
change_group(KafkaCall *call, KafkaString name, const KafkaConfigChange *changes, int n, bool replace,
			 bool validate_only, KafkaError *error)
{
	AlterResource alter = {0};
	List	   *entries;
	char	   *reason;

	if (name.len <= 0)
		return kafka_refuse(error, KERR_INVALID_REQUEST, "Default group resources are not allowed.");
	if (!kafka_may_group(call, name, PT_OP_ALTER_CONFIGS))
		return kafka_refuse(error, KERR_GROUP_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_GROUP);
	alter.group = kafka_text(name);
	if (alter.group == NULL)
		return kafka_refuse(error, KERR_INVALID_REQUEST, "The name of the group is not valid text.");
	entries = pt_group_config_list(alter.group);
	if (!make_pairs(changes, n, entries, replace, &alter.pairs, error))
		return false;
	if (!replace)
		alter.pairs = without_unknown(alter.pairs, entries);
	if (!pt_group_check_configs(alter.group, alter.pairs, &reason))
		return kafka_refuse(error, KERR_INVALID_CONFIG, reason);
	return validate_only || alter.pairs == NIL || run_alter(call, alter_group, &alter, error);
}

/*
 * What the broker has now, for make_pairs: changed is what ALTER SYSTEM
 * changed.
 */
static List *
broker_entries(void)
{
	List	   *entries = NIL;
	ListCell   *lc;

	foreach(lc, kafka_broker_configs())
	{
		const KafkaConfig *config = lfirst(lc);
		PtConfigEntry *entry = palloc0(sizeof(PtConfigEntry));

		entry->name = config->name;
		entry->value = config->value;
		entry->type = config->type;
		entry->is_default = config->source != KAFKA_SOURCE_DYNAMIC_BROKER || config->read_only;
		entries = lappend(entries, entry);
	}
	return entries;
}

/*
 * The changes without those that take back what is not set.  These change
 * nothing, so anybody may ask for them.  Kafka's tools do:
 * kafka-reassign-partitions takes back throttles that it has not set.
 */
static List *
real_changes(List *pairs, List *entries)
{
	List	   *real = NIL;
	ListCell   *lc;

	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);
		const PtConfigEntry *entry = find_entry(entries, pair->name);

		if (pair->value != NULL || entry == NULL || !entry->is_default)
			real = lappend(real, lfirst(lc));
	}
	return real;
}

static void
alter_kept(void *arg)
{
	const AlterResource *alter = arg;

	pt_kept_configs_alter(alter->pairs);
}

/*
 * Tells the changes of settings (List of KafkaSettingChange *) from those of
 * configs that are only kept (List of PtConfigPair *), and checks the latter.
 */
static bool
sort_changes(bool broker, List *pairs, List **settings, List **kept, KafkaError *error)
{
	ListCell   *lc;

	Assert(pairs != NIL);
	*settings = *kept = NIL;
	foreach(lc, pairs)
	{
		PtConfigPair *pair = lfirst(lc);
		KafkaSettingChange *change;
		char	   *reason;

		if (broker && pt_kept_config_known(pair->name))
		{
			if (!pt_kept_config_check(pair->name, pair->value, &reason))
				return kafka_refuse(error, KERR_INVALID_CONFIG, reason);
			*kept = lappend(*kept, pair);
			continue;
		}
		change = palloc0(sizeof(KafkaSettingChange));
		if (!(broker ? kafka_broker_config_change : kafka_logger_config_change)
			(pair->name, pair->value, change, error))
			return false;
		*settings = lappend(*settings, change);
	}
	return true;
}

/*
 * Changes settings.  Where the server refuses a value, its own message is
 * told, since it names the setting.
 */
static bool
alter_settings(KafkaCall *call, List *settings, bool validate_only, KafkaError *error)
{
	if (kafka_settings_alter(call, settings, validate_only, error))
		return true;
	if (error->sqlstate == ERRCODE_INVALID_PARAMETER_VALUE)
		error->code = KERR_INVALID_CONFIG;
	else if (error->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		error->code = KERR_CLUSTER_AUTHORIZATION_FAILED;
	return false;
}

/*
 * Broker and broker logger: settings of the server, and what is only kept.
 * All are checked before the first is changed.
 */
static bool
change_settings(KafkaCall *call, int8 type, const KafkaConfigChange *changes, int n, bool replace,
				bool validate_only, KafkaError *error)
{
	bool		broker = type == KAFKA_RESOURCE_BROKER;
	List	   *entries = broker ? broker_entries() : NIL;
	List	   *pairs;
	List	   *settings;
	AlterResource kept = {0};
	const char *message;

	if (!kafka_may_cluster(call, PT_OP_ALTER_CONFIGS))
		return kafka_refuse(error, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
	if (!make_pairs(changes, n, entries, replace, &pairs, error))
		return false;
	pairs = real_changes(pairs, entries);
	if (pairs == NIL)
		return true;
	if (!kafka_admin_allowed(call, &message))
		return kafka_refuse(error, KERR_CLUSTER_AUTHORIZATION_FAILED, message);
	if (!sort_changes(broker, pairs, &settings, &kept.pairs, error) ||
		!alter_settings(call, settings, true, error))
		return false;
	if (validate_only)
		return true;
	if (kept.pairs != NIL && !run_alter(call, alter_kept, &kept, error))
		return false;
	return alter_settings(call, settings, false, error);
}

/*
 * Changes the configs of one resource; false with the error: nothing has been
 * changed then.
 */
static bool
alter_resource(KafkaCall *call, const KafkaConfigResource *resource, bool replace, bool validate_only, KafkaError *error)
{
	int8		type = resource->type;
	KafkaString name = resource->name;
	const KafkaConfigChange *changes = resource->changes;
	int			n = resource->n;

	switch (type)
	{
		case KAFKA_RESOURCE_TOPIC:
			return change_topic(call, name, changes, n, replace, validate_only, error);
		case KAFKA_RESOURCE_GROUP:
			return change_group(call, name, changes, n, replace, validate_only, error);
		case KAFKA_RESOURCE_BROKER:
			return kafka_config_broker_name(name, true, error) &&
				change_settings(call, type, changes, n, replace, validate_only, error);
		case KAFKA_RESOURCE_BROKER_LOGGER:
			if (replace)
				break;			/* a broker has this only in
								 * IncrementalAlterConfigs */
			return kafka_config_broker_name(name, false, error) &&
				change_settings(call, type, changes, n, replace, validate_only, error);
		case KAFKA_RESOURCE_CLIENT_METRICS:
			return kafka_refuse(error, KERR_INVALID_REQUEST,
								"Client metrics are not supported: this server has no telemetry plugin.");
	}
	return kafka_refuse(error, KERR_INVALID_REQUEST, psprintf("Unknown resource type %d", type));
}

/*
 * Changes the configs of resources, each in a transaction of its own, and
 * calls back with what came of each.  With replace, what is not named gets its
 * default.
 */
void
kafka_configs_alter_all(KafkaCall *call, const KafkaConfigResource *resources, int n, bool replace,
						bool validate_only, const KafkaError *failed, AlterConfigsResult *results)
{
	bool	   *twice = failed ? NULL : find_twice(resources, n);

	for (int i = 0; i < n; i++)
	{
		AlterConfigsResult *result = &results[i];
		KafkaError	error = {0};

		if (failed != NULL)
			error = *failed;
		else if (twice[i])
			(void) kafka_refuse(&error, KERR_INVALID_REQUEST, "Each resource must appear at most once.");
		else if (alter_resource(call, &resources[i], replace, validate_only, &error))
			memset(&error, 0, sizeof(error));
		result->resource_type = resources[i].type;
		result->resource_name = resources[i].name;
		result->error_code = error.code;
		result->error_message = kafka_string(error.message);
	}
}
