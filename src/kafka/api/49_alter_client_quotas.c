/*-------------------------------------------------------------------------
 *
 * 49_alter_client_quotas.c
 *	  AlterClientQuotas: quotas are not supported, and nothing pretends that they were set.
 *
 * validate_only makes no difference: the change would not be made.
 *
 * Siblings: 48_describe_client_quotas.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
alter_client_quotas_fail(KafkaCall *call, int16 code, const char *message)
{
	const AlterClientQuotasRequest *in = call->request;
	AlterClientQuotasResponse *out = call->response;

	KAFKA_RESIZE(call, out->entries, AlterQuotasEntryResult, in->entries.n);
	for (int i = 0; i < in->entries.n; i++)
	{
		const AlterQuotasEntry *entry = &in->entries.items[i];
		AlterQuotasEntryResult *result = &out->entries.items[i];

		result->error_code = code;
		result->error_message = kafka_string(message);
		KAFKA_RESIZE(call, result->entity, AlterQuotasEntityResult, entry->entity.n);
		for (int j = 0; j < entry->entity.n; j++)
		{
			result->entity.items[j].entity_type = entry->entity.items[j].entity_type;
			result->entity.items[j].entity_name = entry->entity.items[j].entity_name;
		}
	}
}

static KafkaOutcome
alter_client_quotas_begin(KafkaCall *call)
{
	alter_client_quotas_fail(call, KERR_INVALID_REQUEST, "Client quotas are not supported by this server.");
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_alter_client_quotas = {
	.begin = alter_client_quotas_begin,
	.fail = alter_client_quotas_fail
};
