/*-------------------------------------------------------------------------
 *
 * 39_renew_delegation_token.c
 *	  RenewDelegationToken: there are none.
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
renew_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	RenewDelegationTokenResponse *out = call->response;

	out->error_code = code;
	out->expiry_timestamp_ms = -1;
}

static KafkaOutcome
renew_delegation_token_begin(KafkaCall *call)
{
	renew_delegation_token_fail(call, KERR_DELEGATION_TOKEN_AUTH_DISABLED, NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_renew_delegation_token = {
	.begin = renew_delegation_token_begin,
	.fail = renew_delegation_token_fail
};
