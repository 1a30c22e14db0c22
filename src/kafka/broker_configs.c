/*-------------------------------------------------------------------------
 *
 * broker_configs.c
 *	  The configs of the broker: which are PostgreSQL's settings, and which are
 *	  fixed.
 *
 * One table has them.  A row is: Kafka's name, type, Kafka's default, and the
 * source of the value:
 *
 *	SETTING(guc, mul)	a setting.  It can be changed; Kafka's value is mul
 *						times the setting's
 *	SHOWN(guc, fn)		a function makes it of a setting.  It cannot be changed
 *						through Kafka
 *	FIXED				always the default of the row
 *	OWN(fn)				a function makes it
 *
 * Two kinds are not in the table.  Most defaults of topics' configs come from
 * the topics' own table (topic/configs.c), with their documentation.  Configs
 * that can be changed without effect are in topic/kept_configs.c.
 *
 * Siblings: configs.h, settings.c (reads and changes settings).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "guc.h"
#include "kafka/broker.h"
#include "kafka/configs.h"
#include "kafka/fetch_session.h"
#include "kafka/listeners.h"
#include "topic/group_configs.h"
#include "topic/kept_configs.h"

PG_FUNCTION_INFO_V1(pt_broker_configs);

/* Makes a value in the current memory context. */
typedef char *(*MakeValue) (void);

typedef struct BrokerRow
{
	const char *name;			/* Kafka's */
	const char *type;			/* as PtConfigEntry */
	const char *boot;			/* Kafka's default; NULL: none */
	const char *setting;		/* PostgreSQL's; NULL: none */
	int			mul;			/* Kafka's value is mul times the setting's;
								 * 0: it cannot be changed */
	MakeValue	make;			/* NULL: the value is boot, or the setting's */
	const char *doc;
} BrokerRow;

/*
 * Functions that make values
 */

static char *
broker_id(void)
{
	return psprintf("%d", KAFKA_BROKER_ID);
}

static char *
one(void)
{
	return pstrdup("1");
}

static void
append_endpoint(StringInfo buf, const char *name, const char *host, int port)
{
	bool		brackets = strchr(host, ':') != NULL;

	appendStringInfo(buf, "%s%s://%s%s%s:%d", buf->len > 0 ? "," : "", name, brackets ? "[" : "", host,
					 brackets ? "]" : "", port);
}

/*
 * pgtopic.listeners in the broker's way: all addresses are no host.
 */
static char *
listeners(void)
{
	const KafkaEndpoints *all = kafka_listeners();
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < all->n; i++)
		append_endpoint(&buf, all->at[i].name, strcmp(all->at[i].host, "*") == 0 ? "" : all->at[i].host,
						all->at[i].port);
	return buf.data;
}

/*
 * What clients of each listener are told.
 */
static char *
advertised_listeners(void)
{
	const KafkaEndpoints *all = kafka_listeners();
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < all->n; i++)
	{
		KafkaAdvertised at = kafka_advertised(i);

		append_endpoint(&buf, all->at[i].name, at.host, at.port);
	}
	return buf.data;
}

/*
 * What is spoken at each listener.
 */
static char *
security_protocol_map(void)
{
	const KafkaEndpoints *all = kafka_listeners();
	StringInfoData buf;
	KafkaSecurity security;

	initStringInfo(&buf);
	for (int i = 0; i < all->n; i++)
	{
		if (kafka_listener_security(all->at[i].name, &security))
			appendStringInfo(&buf, "%s%s:%s", buf.len > 0 ? "," : "", all->at[i].name, kafka_security_name(security));
	}
	return buf.data;
}

/*
 * The most connections of all listener workers together.
 */
static char *
max_connections(void)
{
	return psprintf(INT64_FORMAT, Min((int64) pt_max_connections * pt_listener_workers, PG_INT32_MAX));
}

static char *
fetch_max_bytes(void)
{
	return psprintf("%d", KAFKA_FETCH_BYTES_MAX);
}

static char *
describe_limit(void)
{
	return psprintf("%d", KAFKA_DESCRIBE_LIMIT);
}

static char *
fetch_sessions(void)
{
	return psprintf("%d", KAFKA_FETCH_SESSIONS_MAX);
}

/*
 * The next four are the bounds for the configs that a group sets for itself.
 */
static char *
group_min_heartbeat_interval(void)
{
	return psprintf("%d", pt_group_config_bounds()->min_heartbeat_interval_ms);
}

static char *
group_max_heartbeat_interval(void)
{
	return psprintf("%d", pt_group_config_bounds()->max_heartbeat_interval_ms);
}

static char *
group_min_session_timeout(void)
{
	return psprintf("%d", pt_group_config_bounds()->min_session_timeout_ms);
}

static char *
group_max_session_timeout(void)
{
	return psprintf("%d", pt_group_config_bounds()->max_session_timeout_ms);
}

#define SETTING(guc, mul)	guc, mul, NULL
#define SHOWN(guc, fn)		guc, 0, fn
#define FIXED				NULL, 0, NULL
#define OWN(fn)				NULL, 0, fn

static const BrokerRow rows[] = {
	{"advertised.listeners", "LIST", NULL, SHOWN("pgtopic.advertised_listeners", advertised_listeners),
	"Where clients are told to connect to."},
	{"authorizer.class.name", "STRING", "", FIXED,
	"There is no authorizer: who may connect may use all topics."},
	{"auto.create.topics.enable", "BOOLEAN", "true", SETTING("pgtopic.auto_create_topics", 1),
	"Makes a topic when a client asks for one that is not there."},
	{"broker.id", "INT", "-1", OWN(broker_id),
	"The one broker, which is this server."},
	{"broker.rack", "STRING", NULL, FIXED,
	"Where the broker stands; not known."},
	{"connections.max.idle.ms", "LONG", "600000", SETTING("pgtopic.idle_timeout", 1),
	"Closes a connection that was idle for this long; 0 keeps idle connections."},
	{"default.replication.factor", "INT", "1", FIXED,
	"There is one broker; standby servers replicate all topics."},
	{"delete.topic.enable", "BOOLEAN", "true", FIXED,
	"Topics can be deleted."},
	{"fetch.max.bytes", "INT", "57671680", OWN(fetch_max_bytes),
	"Most bytes that one fetch gets."},
	{"group.consumer.assignors", "LIST", "uniform,range", FIXED,
	"Server-side assignors of groups with the consumer protocol; the first is the default."},
	{"group.consumer.heartbeat.interval.ms", "INT", "5000",
		SETTING("pgtopic.group_consumer_heartbeat_interval", 1),
	"Time between two heartbeats of a member of a group with the consumer protocol."},
	{"group.consumer.max.heartbeat.interval.ms", "INT", "15000", OWN(group_max_heartbeat_interval),
	"Longest heartbeat interval that a group may have."},
	{"group.consumer.max.session.timeout.ms", "INT", "60000", OWN(group_max_session_timeout),
	"Longest session timeout that a group with the consumer protocol may have."},
	{"group.consumer.max.size", "INT", "2147483647", SHOWN("pgtopic.group_max_size", NULL),
	"Most members of a group with the consumer protocol."},
	{"group.consumer.migration.policy", "STRING", "bidirectional", FIXED,
	"In which direction groups may go between the classic and the consumer protocol while they are in use."},
	{"group.consumer.min.heartbeat.interval.ms", "INT", "5000", OWN(group_min_heartbeat_interval),
	"Shortest heartbeat interval that a group may have."},
	{"group.consumer.min.session.timeout.ms", "INT", "45000", OWN(group_min_session_timeout),
	"Shortest session timeout that a group with the consumer protocol may have."},
	{"group.consumer.session.timeout.ms", "INT", "45000",
		SETTING("pgtopic.group_consumer_session_timeout", 1),
	"Time without a heartbeat after which a member of a group with the consumer protocol is gone."},
	{"group.coordinator.rebalance.protocols", "LIST", "classic,consumer", FIXED,
	"Protocols that groups can use."},
	{"group.initial.rebalance.delay.ms", "INT", "3000", SETTING("pgtopic.group_initial_rebalance_delay", 1),
	"How long the first rebalance of an empty group waits for more members."},
	{"group.max.session.timeout.ms", "INT", "1800000", SETTING("pgtopic.group_max_session_timeout", 1),
	"Longest session timeout that a member of a classic group may ask for."},
	{"group.max.size", "INT", "2147483647", SETTING("pgtopic.group_max_size", 1),
	"Most members of a group."},
	{"group.min.session.timeout.ms", "INT", "6000", SETTING("pgtopic.group_min_session_timeout", 1),
	"Shortest session timeout that a member of a classic group may ask for."},
	{"listener.security.protocol.map", "STRING", "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
		SHOWN("pgtopic.listener_security_protocol_map", security_protocol_map),
	"Names of listeners and what is spoken there."},
	{"listeners", "LIST", "PLAINTEXT://:9092", SHOWN("pgtopic.listeners", listeners),
	"Addresses on which clients are served."},
	{"log.retention.bytes", "LONG", "-1", SETTING("pgtopic.log_retention_bytes", 1024 * 1024),
	"Default of the config retention.bytes of topics. Size of a partition beyond which its oldest records are removed; -1 is no limit."},
	{"log.retention.hours", "INT", "168", FIXED,
	"See log.retention.ms."},
	{"log.retention.ms", "LONG", "604800000", SETTING("pgtopic.log_retention", 1000),
	"Default of the config retention.ms of topics. Age beyond which records are removed; -1 keeps them forever."},
	{"log.roll.hours", "INT", "168", FIXED,
	"See log.roll.ms."},
	{"max.connections", "INT", "2147483647", SHOWN("pgtopic.max_connections", max_connections),
	"Most connections: those of one listener worker, times the workers."},
	{"max.connections.per.ip", "INT", "2147483647", SETTING("pgtopic.max_connections_per_ip", 1),
	"Most connections from one address."},
	{"max.connections.per.ip.overrides", "STRING", "", SHOWN("pgtopic.max_connections_per_ip_overrides", NULL),
	"Addresses with a limit of their own: address:number, with commas between them."},
	{"max.incremental.fetch.session.cache.slots", "INT", "1000", OWN(fetch_sessions),
	"Fetch sessions that one listener worker keeps."},
	{"max.request.partition.size.limit", "INT", "2000", OWN(describe_limit),
	"Most partitions that one description of topics has."},
	{"node.id", "INT", NULL, OWN(broker_id),
	"The one broker, which is this server."},
	{"num.network.threads", "INT", "3", SHOWN("pgtopic.listener_workers", NULL),
	"Listener worker processes."},
	{"num.partitions", "INT", "1", SETTING("pgtopic.default_partitions", 1),
	"Partitions of a topic that is made without saying how many."},
	{"offset.metadata.max.bytes", "INT", "4096", SETTING("pgtopic.offset_metadata_max", 1),
	"Longest metadata that may go with a committed offset."},
	{"offsets.retention.minutes", "INT", "10080", SETTING("pgtopic.offsets_retention", 1),
	"How long the offsets of a group are kept when it is no longer in use; 0 keeps them forever."},
	{"offsets.topic.replication.factor", "SHORT", "3", OWN(one),
	"There is one broker; standby servers replicate all topics."},
	{"producer.id.expiration.ms", "INT", "86400000", SETTING("pgtopic.producer_id_expiration", 1),
	"How long a partition remembers an idempotent producer of which nothing comes."},
	{"quota.window.num", "INT", "11", FIXED,
	"Samples in the window over which rates of quotas are measured."},
	{"quota.window.size.seconds", "INT", "1", FIXED,
	"Length of each sample."},
	{"sasl.enabled.mechanisms", "LIST", "", FIXED,
	"There is no authentication on the listener."},
	{"socket.request.max.bytes", "INT", "104857600", SETTING("pgtopic.max_request_size", 1),
	"Largest request that is accepted."},
	{"transaction.max.timeout.ms", "INT", "900000", SETTING("pgtopic.transaction_max_timeout", 1),
	"Longest timeout that a transactional producer may ask for."},
	{"transactional.id.expiration.ms", "INT", "604800000", SETTING("pgtopic.transactional_id_expiration", 1),
	"Time after which a transactional id that nobody uses is forgotten."},
};

/*
 * From rows to configs
 */

/*
 * Converts a setting's value to Kafka's words and unit.
 */
static const char *
from_setting(const BrokerRow *row, const char *value)
{
	Assert(value != NULL);
	if (strcmp(row->type, "BOOLEAN") == 0)
		return strcmp(value, "on") == 0 ? "true" : "false";
	if (row->mul > 1 && value[0] != '-')
		return psprintf(INT64_FORMAT, (int64) strtol(value, NULL, 10) * row->mul);
	return value;
}

/*
 * Makes the config of a row.  The source is "static" if the value differs
 * from Kafka's default, even if PostgreSQL calls it a default, so that a
 * client does not take Kafka's default for it.
 */
static KafkaConfig *
make_config(const BrokerRow *row)
{
	KafkaConfig *config = palloc0(sizeof(KafkaConfig));
	KafkaSetting setting;

	Assert(row->mul == 0 || row->setting != NULL);
	config->name = row->name;
	config->type = row->type;
	config->boot = config->value = row->boot;
	config->source = KAFKA_SOURCE_DEFAULT;
	config->read_only = true;
	config->setting = row->setting;
	config->documentation = row->doc;
	if (row->make != NULL)
	{
		config->value = row->make();
		if (row->setting == NULL && (row->boot == NULL || strcmp(row->boot, config->value) != 0))
			config->source = KAFKA_SOURCE_STATIC_BROKER;
	}
	if (row->setting == NULL)
		return config;

	kafka_setting_get(row->setting, &setting);
	if (row->make == NULL)
		config->value = from_setting(row, setting.value);
	config->read_only = row->mul == 0 || !setting.reloads;
	if (setting.source == KAFKA_SETTING_ALTERED)
		config->source = KAFKA_SOURCE_DYNAMIC_BROKER;
	else if (setting.source == KAFKA_SETTING_STATIC || row->boot == NULL || strcmp(config->value, row->boot) != 0)
		config->source = KAFKA_SOURCE_STATIC_BROKER;
	return config;
}

/*
 * Makes the broker's config that gives the default of a topic's config.  It
 * cannot be changed.
 */
static KafkaConfig *
make_topic_default(const PtConfigEntry *entry)
{
	KafkaConfig *config = palloc0(sizeof(KafkaConfig));

	Assert(entry->broker != NULL);
	config->name = entry->broker;
	config->type = entry->type;
	config->boot = config->value = entry->value;
	config->source = KAFKA_SOURCE_DEFAULT;
	config->read_only = true;
	config->documentation = psprintf("Default of the config %s of topics. %s", entry->name, entry->documentation);
	return config;
}

/*
 * Makes a config that can be changed without effect.
 */
static KafkaConfig *
make_kept(const PtConfigEntry *entry)
{
	KafkaConfig *config = palloc0(sizeof(KafkaConfig));

	config->name = entry->name;
	config->type = entry->type;
	config->boot = entry->boot;
	config->value = entry->value;
	config->source = entry->is_default ? KAFKA_SOURCE_DEFAULT : KAFKA_SOURCE_DYNAMIC_BROKER;
	config->kept = true;
	config->documentation = entry->documentation;
	return config;
}

static int
by_name(const ListCell *a, const ListCell *b)
{
	return strcmp(((const KafkaConfig *) lfirst(a))->name, ((const KafkaConfig *) lfirst(b))->name);
}

/*
 * Returns all configs of the broker, in order of name: List of KafkaConfig *,
 * in the current memory context.  Must run in a transaction, because it reads
 * the kept configs.
 */
List *
kafka_broker_configs(void)
{
	List	   *configs = NIL;
	ListCell   *lc;

	for (int i = 0; i < lengthof(rows); i++)
		configs = lappend(configs, make_config(&rows[i]));
	foreach(lc, pt_config_list_with(NIL))
	{
		const PtConfigEntry *entry = lfirst(lc);

		if (entry->broker != NULL && kafka_config_find(configs, entry->broker) == NULL)
			configs = lappend(configs, make_topic_default(entry));
	}
	foreach(lc, pt_kept_config_list())
		configs = lappend(configs, make_kept(lfirst(lc)));
	list_sort(configs, by_name);
	return configs;
}

/*
 * Returns the config with this name, or NULL.
 */
const KafkaConfig *
kafka_config_find(List *configs, const char *name)
{
	ListCell   *lc;

	foreach(lc, configs)
	{
		const KafkaConfig *config = lfirst(lc);

		if (strcmp(config->name, name) == 0)
			return config;
	}
	return NULL;
}

/*
 * Changes
 */

/*
 * Returns why a config cannot be changed, and what to do instead.
 */
static const char *
why_fixed(const KafkaConfig *config)
{
	const char *what = psprintf("Cannot update these configs dynamically: [%s].", config->name);

	Assert(config->read_only);
	if (config->setting != NULL)
		return psprintf("%s It comes from PostgreSQL's setting \"%s\"; change that one, with ALTER SYSTEM.",
						what, config->setting);
	if (strncmp(config->documentation, "Default of", 10) == 0)
		return psprintf("%s Set the config of each topic instead.", what);
	return psprintf("%s This server has no setting for it.", what);
}

/*
 * Converts Kafka's value to the setting's.  Returns false with the error.  It
 * does not throw.  The bounds are checked later, with the setting.
 */
static bool
to_setting(const BrokerRow *row, const char *value, const char **out, KafkaError *error)
{
	char	   *end;
	int64		number;

	Assert(row->setting != NULL && row->mul > 0);
	*out = value;
	if (value == NULL)
		return true;
	if (strcmp(row->type, "BOOLEAN") == 0)
	{
		if (pg_strcasecmp(value, "true") == 0 || pg_strcasecmp(value, "false") == 0)
			return true;
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Invalid value %s for configuration %s: Expected value to be either true or false",
									 value, row->name));
	}
	errno = 0;
	number = strtoi64(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0')
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Invalid value %s for configuration %s: Not a number of type %s",
									 value, row->name, row->type));
	if (number < 0)
		return true;			/* of no unit */
	if (number % row->mul != 0)
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Invalid value %s for configuration %s: Value must be a multiple of %d",
									 value, row->name, row->mul));
	*out = psprintf(INT64_FORMAT, number / row->mul);
	return true;
}

/*
 * Returns true for configs that a Kafka broker lets clients change, but that
 * this server does not have.  They promise something, so accepting them
 * without effect would mislead.
 */
static bool
is_promise(const char *name)
{
	static const char *const names[] = {
		"config.providers", "cordoned.log.dirs", "max.connection.creation.rate", "metric.reporters", "principal.builder.class"
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return strncmp(name, "ssl.", 4) == 0 || strncmp(name, "sasl.", 5) == 0 || strncmp(name, "listener.name.", 14) == 0;
}

/*
 * Finds the setting behind a broker's config, and its new value (NULL: the
 * default), as a change.  The config must not be one that is only kept.
 * Returns false with the error.
 */
bool
kafka_broker_config_change(const char *name, const char *value, KafkaSettingChange *change, KafkaError *error)
{
	const KafkaConfig *config = kafka_config_find(kafka_broker_configs(), name);

	if (config == NULL && is_promise(name))
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							psprintf("Cannot update these configs dynamically: [%s]. This server does not have what it configures.",
									 name));
	if (config == NULL)
		return kafka_refuse(error, KERR_INVALID_CONFIG, psprintf("Unknown broker config name: %s", name));
	Assert(!config->kept);
	if (config->read_only)
		return kafka_refuse(error, KERR_INVALID_REQUEST, why_fixed(config));
	for (int i = 0; i < lengthof(rows); i++)
	{
		if (strcmp(rows[i].name, name) != 0)
			continue;
		change->name = rows[i].setting;
		return to_setting(&rows[i], value, &change->value, error);
	}
	pg_unreachable();
}

/*
 * SQL
 */

static const char *
source_name(KafkaConfigSource source)
{
	switch (source)
	{
		case KAFKA_SOURCE_DEFAULT:
			return "default";
		case KAFKA_SOURCE_STATIC_BROKER:
			return "static";
		default:
			return "dynamic";
	}
}

/*
 * The SQL function broker_configs(): the configs as DescribeConfigs tells
 * them.
 */
Datum
pt_broker_configs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, kafka_broker_configs())
	{
		const KafkaConfig *config = lfirst(lc);
		Datum		values[6] = {0};
		bool		nulls[6] = {false};

		values[0] = CStringGetTextDatum(config->name);
		nulls[1] = config->value == NULL;
		if (!nulls[1])
			values[1] = CStringGetTextDatum(config->value);
		values[2] = CStringGetTextDatum(source_name(config->source));
		nulls[3] = config->setting == NULL;
		if (!nulls[3])
			values[3] = CStringGetTextDatum(config->setting);
		values[4] = CStringGetTextDatum(config->type);
		values[5] = CStringGetTextDatum(config->documentation);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
