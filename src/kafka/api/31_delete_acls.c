/*-------------------------------------------------------------------------
 *
 * 31_delete_acls.c
 *	  DeleteAcls: there is no authorizer.
 *
 * The answer is a broker's that runs without one: an error for each filter.
 *
 * Siblings: 29_describe_acls.c, 30_create_acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
delete_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	const DeleteAclsRequest *in = call->request;
	DeleteAclsResponse *out = call->response;

	KAFKA_RESIZE(call, out->filter_results, DeleteAclsFilterResult, in->filters.n);
	for (int i = 0; i < in->filters.n; i++)
	{
		out->filter_results.items[i].error_code = code;
		out->filter_results.items[i].error_message = kafka_string(message);
	}
}

static KafkaOutcome
delete_acls_begin(KafkaCall *call)
{
	delete_acls_fail(call, KERR_SECURITY_DISABLED, "No Authorizer is configured.");
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_delete_acls = {
	.begin = delete_acls_begin,
	.fail = delete_acls_fail
};
