/*-------------------------------------------------------------------------
 *
 * 44_incremental_alter_configs.c
 *	  IncrementalAlterConfigs: sets, deletes, appends to and subtracts from configs.
 *
 * Siblings: ../configs.c, which does the work; 33_alter_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/configs.h"

static void
alter_resource(KafkaCall *call, const IncrementalAlterResource *in, bool validate_only, KafkaError *error)
{
	KafkaConfigChange *changes = palloc(sizeof(KafkaConfigChange) * Max(in->configs.n, 1));

	for (int i = 0; i < in->configs.n; i++)
	{
		const IncrementalAlterConfig *config = &in->configs.items[i];

		changes[i] = (KafkaConfigChange) {config->name, config->config_operation, config->value};
	}
	if (kafka_configs_alter(call, in->resource_type, in->resource_name, changes, in->configs.n,
							false, validate_only, error))
		memset(error, 0, sizeof(*error));
}

/* Resources that are named twice are wrong both times. */
static bool *
find_twice(const IncrementalAlterConfigsRequest *in)
{
	KafkaResourceName *names = palloc(sizeof(KafkaResourceName) * Max(in->resources.n, 1));

	for (int i = 0; i < in->resources.n; i++)
		names[i] = (KafkaResourceName) {in->resources.items[i].resource_type, in->resources.items[i].resource_name, i};
	return kafka_resources_twice(names, in->resources.n);
}

/* failed: what all resources get; NULL: the work is done. */
static void
walk_request(KafkaCall *call, const KafkaError *failed)
{
	const IncrementalAlterConfigsRequest *in = call->request;
	IncrementalAlterConfigsResponse *out = call->response;
	bool	   *twice = failed ? NULL : find_twice(in);

	KAFKA_RESIZE(call, out->responses, IncrementalAlterResult, in->resources.n);
	for (int i = 0; i < in->resources.n; i++)
	{
		IncrementalAlterResult *result = &out->responses.items[i];
		KafkaError	error = {0};

		if (failed != NULL)
			error = *failed;
		else if (twice[i])
			(void) kafka_refuse(&error, KERR_INVALID_REQUEST, "Each resource must appear at most once.");
		else
			alter_resource(call, &in->resources.items[i], in->validate_only, &error);
		result->resource_type = in->resources.items[i].resource_type;
		result->resource_name = in->resources.items[i].resource_name;
		result->error_code = error.code;
		result->error_message = kafka_string(error.message);
	}
}

static KafkaOutcome
incremental_alter_configs_begin(KafkaCall *call)
{
	walk_request(call, NULL);
	return KAFKA_REPLY;
}

static void
incremental_alter_configs_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, &(KafkaError) {.code = code, .message = message});
}

const KafkaHandler kafka_handler_incremental_alter_configs = {
	.begin = incremental_alter_configs_begin,
	.fail = incremental_alter_configs_fail
};
