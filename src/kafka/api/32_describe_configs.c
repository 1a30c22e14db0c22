/*-------------------------------------------------------------------------
 *
 * 32_describe_configs.c
 *	  DescribeConfigs: configs of topics, the broker, its logger and groups.
 *
 * A config is told with its source and, on request, with its synonyms: the
 * configs that could set it, in the order in which they count.  The last one
 * is the default; for a topic it is a config of the broker.  Versions: 1 has
 * synonyms, 3 types and documentation.
 *
 * Siblings: ../configs.h; 33_alter_configs.c and
 * 44_incremental_alter_configs.c, which change them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/configs.h"
#include "kafka/topics.h"
#include "topic/group_configs.h"

/* Largest number of configs in one response. */
#define CONFIGS_MAX		500000

/* What the resources of a request share. */
typedef struct Describe
{
	KafkaCall  *call;
	List	   *broker;			/* the broker's configs */
	int			left;			/* configs that may still be told */
} Describe;

/*
 * Sets the error of a resource.
 */
static void
refuse(DescribeConfigsResult *out, const KafkaError *error)
{
	out->error_code = error->code;
	out->error_message = kafka_string(error->message);
}

/*
 * Returns true if the config was asked for.  As in a broker, no keys and an
 * empty list of keys mean all.
 */
static bool
is_wanted(const DescribeConfigsResource *in, const char *name)
{
	if (in->configuration_keys.n <= 0)
		return true;
	for (int i = 0; i < in->configuration_keys.n; i++)
	{
		if (pt_string_equal(in->configuration_keys.items[i], kafka_string(name)))
			return true;
	}
	return false;
}

/*
 * Adds a synonym, unless it has no value.
 */
static void
add_synonym(DescribeConfigsResourceResult *out, const char *name, const char *value, KafkaConfigSource source)
{
	DescribeConfigsSynonym *synonym = &out->synonyms.items[out->synonyms.n++];

	Assert(out->synonyms.n <= 3);
	if (value == NULL)
	{
		out->synonyms.n--;
		return;
	}
	synonym->name = kafka_string(name);
	synonym->value = kafka_string(value);
	synonym->source = source;
}

/*
 * Adds the synonyms, three at most: its own value, the broker's, the default.
 */
static void
add_synonyms(KafkaCall *call, const KafkaConfig *config, const KafkaConfig *broker, DescribeConfigsResourceResult *out)
{
	const char *name = config->name;

	KAFKA_RESIZE(call, out->synonyms, DescribeConfigsSynonym, 3);
	out->synonyms.n = 0;
	if (config->source != KAFKA_SOURCE_DEFAULT && (broker == NULL || config->source != broker->source))
		add_synonym(out, name, config->value, config->source);
	if (broker != NULL)
	{
		name = broker->name;
		if (broker->source != KAFKA_SOURCE_DEFAULT)
			add_synonym(out, name, broker->value, broker->source);
		add_synonym(out, name, broker->boot, KAFKA_SOURCE_DEFAULT);
	}
	else if (config->source != KAFKA_SOURCE_DYNAMIC_BROKER_LOGGER)
		add_synonym(out, name, config->boot, KAFKA_SOURCE_DEFAULT);
}

/*
 * Answers for a resource with these configs.
 */
static void
fill(Describe *describe, const DescribeConfigsResource *in, List *configs, DescribeConfigsResult *out)
{
	KafkaCall  *call = describe->call;
	const DescribeConfigsRequest *request = call->request;
	ListCell   *lc;

	describe->left -= list_length(configs);
	if (describe->left < 0)
	{
		refuse(out, &(KafkaError) {.code = KERR_INVALID_REQUEST, .message = "Too many resources in one request."});
		return;
	}
	KAFKA_RESIZE(call, out->configs, DescribeConfigsResourceResult, list_length(configs));
	out->configs.n = 0;
	foreach(lc, configs)
	{
		const KafkaConfig *config = lfirst(lc);
		DescribeConfigsResourceResult *result = &out->configs.items[out->configs.n];
		bool		topics = in->resource_type == KAFKA_RESOURCE_TOPIC;

		if (!is_wanted(in, config->name))
			continue;
		out->configs.n++;
		result->name = kafka_string(config->name);
		result->value = kafka_string(config->value);
		result->read_only = config->read_only;
		result->config_source = config->source;
		result->config_type = kafka_config_type(config->type);
		result->documentation = kafka_string(request->include_documentation ? config->documentation : NULL);

		/* a config that the broker does not have has no synonym there */
		if (request->include_synonyms && !(topics && config->broker == NULL && config->source == KAFKA_SOURCE_DEFAULT))
			add_synonyms(call, config, config->broker ? kafka_config_find(describe->broker, config->broker) : NULL,
						 result);
	}
}

/*
 * Converts the configs of a topic or a group, whose defaults are the
 * broker's.
 */
static List *
from_entries(List *entries, KafkaConfigSource own, List *broker)
{
	List	   *configs = NIL;
	ListCell   *lc;

	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);
		KafkaConfig *config = palloc0(sizeof(KafkaConfig));
		const KafkaConfig *parent = entry->broker ? kafka_config_find(broker, entry->broker) : NULL;

		config->name = pstrdup(entry->name);
		config->value = entry->value ? pstrdup(entry->value) : NULL;
		config->boot = entry->boot;
		config->type = entry->type;
		config->source = !entry->is_default ? own : parent ? parent->source : KAFKA_SOURCE_DEFAULT;
		config->broker = entry->broker;
		config->documentation = entry->documentation;
		configs = lappend(configs, config);
	}
	return configs;
}

/*
 * Answers for a topic.
 */
static void
describe_topic(Describe *describe, const DescribeConfigsResource *in, DescribeConfigsResult *out)
{
	const PtTopic *topic = kafka_topic_find(describe->call, PT_OP_DESCRIBE_CONFIGS, in->resource_name, NULL, &out->error_code);

	if (topic == NULL && out->error_code == KERR_TOPIC_AUTHORIZATION_FAILED)
	{
		out->error_message = kafka_string(KAFKA_NOT_AUTHORIZED_TOPIC);
		return;
	}
	if (topic == NULL)
	{
		char	   *name = kafka_text(in->resource_name);
		const char *problem = name ? pt_topic_name_check(name) : "The name is not valid text.";

		if (problem != NULL)
			out->error_message = kafka_string(psprintf("Topic name is invalid: %s", problem));
		return;
	}
	fill(describe, in, from_entries(pt_config_list(topic->relid), KAFKA_SOURCE_TOPIC, describe->broker), out);
}

/*
 * Answers for a group.
 */
static void
describe_group(Describe *describe, const DescribeConfigsResource *in, DescribeConfigsResult *out)
{
	char	   *group = kafka_text(in->resource_name);
	KafkaError	error;

	if (!kafka_may_group(describe->call, in->resource_name, PT_OP_DESCRIBE_CONFIGS))
	{
		(void) kafka_refuse(&error, KERR_GROUP_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_GROUP);
		refuse(out, &error);
		return;
	}
	if (group == NULL || group[0] == '\0')
	{
		(void) kafka_refuse(&error, KERR_INVALID_REQUEST, "Group name must not be empty");
		refuse(out, &error);
		return;
	}
	fill(describe, in, from_entries(pt_group_config_list(group), KAFKA_SOURCE_GROUP, describe->broker), out);
}

/*
 * Answers for the broker.  The default of all brokers, "", has what was
 * changed while the server ran.
 */
static void
describe_broker(Describe *describe, const DescribeConfigsResource *in, DescribeConfigsResult *out)
{
	List	   *changed = NIL;
	KafkaError	error;
	ListCell   *lc;

	if (!kafka_config_broker_name(in->resource_name, true, &error))
	{
		refuse(out, &error);
		return;
	}
	if (in->resource_name.len > 0)
	{
		fill(describe, in, describe->broker, out);
		return;
	}
	foreach(lc, describe->broker)
	{
		KafkaConfig *config;

		if (((const KafkaConfig *) lfirst(lc))->source != KAFKA_SOURCE_DYNAMIC_BROKER)
			continue;
		config = palloc(sizeof(KafkaConfig));
		*config = *(const KafkaConfig *) lfirst(lc);
		config->source = KAFKA_SOURCE_DYNAMIC_DEFAULT_BROKER;
		changed = lappend(changed, config);
	}
	fill(describe, in, changed, out);
}

/*
 * Answers for one resource.
 */
static void
describe_resource(Describe *describe, const DescribeConfigsResource *in, DescribeConfigsResult *out)
{
	KafkaError	error = {0};

	if (in->resource_type != KAFKA_RESOURCE_TOPIC && in->resource_type != KAFKA_RESOURCE_GROUP &&
		!kafka_may_cluster(describe->call, PT_OP_DESCRIBE_CONFIGS))
	{
		(void) kafka_refuse(&error, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
		refuse(out, &error);
		return;
	}
	switch (in->resource_type)
	{
		case KAFKA_RESOURCE_TOPIC:
			describe_topic(describe, in, out);
			return;
		case KAFKA_RESOURCE_BROKER:
			describe_broker(describe, in, out);
			return;
		case KAFKA_RESOURCE_GROUP:
			describe_group(describe, in, out);
			return;
		case KAFKA_RESOURCE_BROKER_LOGGER:
			if (kafka_config_broker_name(in->resource_name, false, &error))
				fill(describe, in, kafka_logger_configs(), out);
			break;
		case KAFKA_RESOURCE_CLIENT_METRICS:
			(void) kafka_refuse(&error, KERR_INVALID_REQUEST,
								"Client metrics are not supported: this server has no telemetry plugin.");
			break;
		default:
			(void) kafka_refuse(&error, KERR_INVALID_REQUEST, psprintf("Unknown resource type %d", in->resource_type));
			break;
	}
	if (error.code != KERR_NONE)
		refuse(out, &error);
}

/*
 * Answers for all resources; "error" is one for all, or NULL.
 */
static void
walk_request(KafkaCall *call, const KafkaError *error)
{
	const DescribeConfigsRequest *in = call->request;
	DescribeConfigsResponse *out = call->response;
	Describe	describe = {.call = call, .left = CONFIGS_MAX};

	if (error == NULL)
		describe.broker = kafka_broker_configs();
	KAFKA_RESIZE(call, out->results, DescribeConfigsResult, in->resources.n);
	for (int i = 0; i < in->resources.n; i++)
	{
		DescribeConfigsResult *result = &out->results.items[i];

		result->resource_type = in->resources.items[i].resource_type;
		result->resource_name = in->resources.items[i].resource_name;
		if (error != NULL)
			refuse(result, error);
		else
			describe_resource(&describe, &in->resources.items[i], result);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_configs_begin(KafkaCall *call)
{
	walk_request(call, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_configs_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, &(KafkaError) {.code = code, .message = message});
}

const KafkaHandler kafka_handler_describe_configs = {
	.begin = describe_configs_begin,
	.fail = describe_configs_fail
};
