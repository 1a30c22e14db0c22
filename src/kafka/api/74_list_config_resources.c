/*-------------------------------------------------------------------------
 *
 * 74_list_config_resources.c
 *	  ListConfigResources: the names of all resources that have configs.
 *
 * Version 0 is the former ListClientMetricsResources: it asks for client
 * metrics only, of which there are none.
 *
 * Siblings: ../configs.h, 32_describe_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/broker.h"
#include "kafka/configs.h"
#include "topic/group_configs.h"

/*
 * The resource types that may be asked for.
 */
static const int8 known_types[] = {
	KAFKA_RESOURCE_GROUP,
	KAFKA_RESOURCE_CLIENT_METRICS,
	KAFKA_RESOURCE_BROKER_LOGGER,
	KAFKA_RESOURCE_BROKER,
	KAFKA_RESOURCE_TOPIC
};

/*
 * True if the type is known.
 */
static bool
is_known(int8 type)
{
	return memchr(known_types, type, lengthof(known_types)) != NULL;
}

/*
 * Returns true if the type was asked for; no types mean all.
 */
static bool
is_wanted(const ListConfigResourcesRequest *in, int8 type)
{
	for (int i = 0; i < in->resource_types.n; i++)
	{
		if (in->resource_types.items[i] == type)
			return true;
	}
	return in->resource_types.n == 0;
}

/*
 * Returns the names of the resources of a type: List of const char *, copied.
 */
static List *
names_of(int8 type)
{
	List	   *names = NIL;
	ListCell   *lc;

	switch (type)
	{
		case KAFKA_RESOURCE_TOPIC:
			foreach(lc, pt_topic_all())
				names = lappend(names, pstrdup(((const PtTopic *) lfirst(lc))->name));
			return names;
		case KAFKA_RESOURCE_GROUP:
			return pt_group_config_names();
		case KAFKA_RESOURCE_BROKER:
		case KAFKA_RESOURCE_BROKER_LOGGER:
			return list_make1(psprintf("%d", KAFKA_BROKER_ID));
		default:
			return NIL;
	}
}

/*
 * Adds the names of a type to the response.
 */
static void
add_names(KafkaCall *call, int8 type, ListConfigResourcesResponse *out)
{
	List	   *names = names_of(type);
	int			had = out->config_resources.n;
	ListedConfigResource *items = KAFKA_NEW(call, ListedConfigResource, had + list_length(names));
	ListCell   *lc;

	if (had > 0)
		memcpy(items, out->config_resources.items, had * sizeof(*items));
	out->config_resources.items = items;
	foreach(lc, names)
	{
		items[had].resource_name = kafka_string(lfirst(lc));
		items[had++].resource_type = type;
	}
	out->config_resources.n = had;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
list_config_resources_begin(KafkaCall *call)
{
	const ListConfigResourcesRequest *in = call->request;
	ListConfigResourcesResponse *out = call->response;

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE_CONFIGS))
	{
		out->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	for (int i = 0; i < in->resource_types.n; i++)
	{
		if (!is_known(in->resource_types.items[i]))
		{
			out->error_code = KERR_UNSUPPORTED_VERSION;
			return KAFKA_REPLY;
		}
	}
	if (call->api_version == 0)
		return KAFKA_REPLY;
	for (int i = 0; i < lengthof(known_types); i++)
	{
		if (is_wanted(in, known_types[i]))
			add_names(call, known_types[i], out);
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
list_config_resources_fail(KafkaCall *call, int16 code, const char *message)
{
	ListConfigResourcesResponse *out = call->response;

	out->error_code = code;
}

const KafkaHandler kafka_handler_list_config_resources = {
	.begin = list_config_resources_begin,
	.fail = list_config_resources_fail
};
