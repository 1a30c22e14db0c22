/*-------------------------------------------------------------------------
 *
 * 38_create_delegation_token.c
 *	  CreateDelegationToken: there are none.
 *
 * The answer is a broker's that has no secret key for delegation tokens.
 *
 * Siblings: 39_renew_delegation_token.c, 40_expire_delegation_token.c, 41_describe_delegation_token.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

/* Nobody has a name before there is authentication. */
static void
create_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	CreateDelegationTokenResponse *out = call->response;

	out->error_code = code;
	out->principal_type = kafka_string("User");
	out->principal_name = kafka_string("ANONYMOUS");
	out->token_requester_principal_type = out->principal_type;
	out->token_requester_principal_name = out->principal_name;
	out->issue_timestamp_ms = -1;
	out->expiry_timestamp_ms = -1;
	out->max_timestamp_ms = -1;
}

static KafkaOutcome
create_delegation_token_begin(KafkaCall *call)
{
	create_delegation_token_fail(call, KERR_DELEGATION_TOKEN_AUTH_DISABLED, NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_create_delegation_token = {
	.begin = create_delegation_token_begin,
	.fail = create_delegation_token_fail
};
