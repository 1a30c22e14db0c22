/*-------------------------------------------------------------------------
 *
 * 33_alter_configs.c
 *	  AlterConfigs: sets all configs of a resource; a config that is not named
 *	  is reset to its default.
 *
 * Clients since Kafka 2.3 use IncrementalAlterConfigs instead.
 *
 * Siblings: ../configs.c, which does the work; 44_incremental_alter_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/configs.h"

/*
 * Converts a resource of the request.
 */
static void
get_resource(const AlterConfigsResource *in, KafkaConfigResource *resource)
{
	resource->type = in->resource_type;
	resource->name = in->resource_name;
	resource->n = in->configs.n;
	resource->changes = palloc(sizeof(KafkaConfigChange) * Max(in->configs.n, 1));
	for (int i = 0; i < in->configs.n; i++)
		resource->changes[i] = (KafkaConfigChange) {in->configs.items[i].name, KAFKA_CONFIG_SET, in->configs.items[i].value};
}

/*
 * Does the work and answers.  If "failed" is not NULL, all resources get that
 * error instead.
 */
static void
walk_request(KafkaCall *call, const KafkaError *failed)
{
	const AlterConfigsRequest *in = call->request;
	AlterConfigsResponse *out = call->response;
	KafkaConfigResource *resources = palloc(sizeof(KafkaConfigResource) * Max(in->resources.n, 1));

	for (int i = 0; i < in->resources.n; i++)
		get_resource(&in->resources.items[i], &resources[i]);
	KAFKA_RESIZE(call, out->responses, AlterConfigsResult, in->resources.n);
	kafka_configs_alter_all(call, resources, in->resources.n, true, in->validate_only, failed, out->responses.items);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
alter_configs_begin(KafkaCall *call)
{
	walk_request(call, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
alter_configs_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, &(KafkaError) {.code = code, .message = message});
}

const KafkaHandler kafka_handler_alter_configs = {
	.begin = alter_configs_begin,
	.fail = alter_configs_fail
};
