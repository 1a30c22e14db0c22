/*-------------------------------------------------------------------------
 *
 * 29_describe_acls.c
 *	  DescribeAcls: there is no authorizer.
 *
 * The answer is a broker's that runs without one.
 *
 * Siblings: 30_create_acls.c, 31_delete_acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
describe_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeAclsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

static KafkaOutcome
describe_acls_begin(KafkaCall *call)
{
	describe_acls_fail(call, KERR_SECURITY_DISABLED, "No Authorizer is configured on the broker");
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_acls = {
	.begin = describe_acls_begin,
	.fail = describe_acls_fail
};
