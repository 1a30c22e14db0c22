/*-------------------------------------------------------------------------
 *
 * 30_create_acls.c
 *	  CreateAcls: there is no authorizer.
 *
 * The answer is a broker's that runs without one: an error for each entry.
 *
 * Siblings: 29_describe_acls.c, 31_delete_acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
create_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	const CreateAclsRequest *in = call->request;
	CreateAclsResponse *out = call->response;

	KAFKA_RESIZE(call, out->results, AclCreationResult, in->creations.n);
	for (int i = 0; i < in->creations.n; i++)
	{
		out->results.items[i].error_code = code;
		out->results.items[i].error_message = kafka_string(message);
	}
}

static KafkaOutcome
create_acls_begin(KafkaCall *call)
{
	create_acls_fail(call, KERR_SECURITY_DISABLED, "No Authorizer is configured.");
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_create_acls = {
	.begin = create_acls_begin,
	.fail = create_acls_fail
};
