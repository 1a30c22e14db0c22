/*-------------------------------------------------------------------------
 *
 * 41_describe_delegation_token.c
 *	  DescribeDelegationToken: there are none.
 *
 * The answer is a broker's that has no secret key for delegation tokens.
 *
 * Siblings: 38_create_delegation_token.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
describe_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeDelegationTokenResponse *out = call->response;

	out->error_code = code;
}

static KafkaOutcome
describe_delegation_token_begin(KafkaCall *call)
{
	describe_delegation_token_fail(call, KERR_DELEGATION_TOKEN_AUTH_DISABLED, NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_delegation_token = {
	.begin = describe_delegation_token_begin,
	.fail = describe_delegation_token_fail
};
