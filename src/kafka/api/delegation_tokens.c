/*-------------------------------------------------------------------------
 *
 * delegation_tokens.c
 *	  CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken,
 *	  DescribeDelegationToken: there are no delegation tokens.
 *
 * The error is that of a Kafka broker without them, and like there a client
 * that has not authenticated itself hears first that it may not ask, and one
 * that asks for somebody else's token that it may not have that.
 *
 * Siblings: refused.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"

/*
 * Returns the error of a client that asks for anything about tokens.
 */
static int16
refusal(const KafkaCall *call)
{
	return call->session->mechanism[0] == '\0' ? KERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED :
		KERR_DELEGATION_TOKEN_AUTH_DISABLED;
}

/*
 * Is that principal the client?
 */
static bool
is_client(const KafkaCall *call, KafkaString type, KafkaString name)
{
	return pt_string_equal(type, PT_STRING("User")) &&
		pt_string_equal(name, pt_string_of(call->session->role_name));
}

/*
 * The owner is the one who asks, unless the request (from version 3 on) names
 * another one.
 */
static void
create_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	const CreateDelegationTokenRequest *in = call->request;
	CreateDelegationTokenResponse *out = call->response;

	out->error_code = code;
	out->token_requester_principal_type = kafka_string("User");
	out->token_requester_principal_name = kafka_string(call->session->role_name);
	out->principal_type = out->token_requester_principal_type;
	out->principal_name = out->token_requester_principal_name;
	if (in->owner_principal_name.len > 0)
	{
		out->principal_type = in->owner_principal_type.len < 0 ? PT_STRING("") : in->owner_principal_type;
		out->principal_name = in->owner_principal_name;
	}
	out->issue_timestamp_ms = -1;
	out->expiry_timestamp_ms = -1;
	out->max_timestamp_ms = -1;
}

/*
 * KafkaHandler.begin.  A token for somebody else takes CREATE_TOKENS on him,
 * which cannot be granted: administrators have it.
 */
static KafkaOutcome
create_delegation_token_begin(KafkaCall *call)
{
	const CreateDelegationTokenRequest *in = call->request;
	int16		code = refusal(call);

	if (code == KERR_DELEGATION_TOKEN_AUTH_DISABLED && in->owner_principal_name.len > 0 &&
		!is_client(call, in->owner_principal_type, in->owner_principal_name) && !pt_role_is_admin(call->session->role))
		code = KERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED;
	for (int i = 0; i < in->renewers.n && code == KERR_DELEGATION_TOKEN_AUTH_DISABLED; i++)
	{
		if (!pt_string_equal(in->renewers.items[i].principal_type, PT_STRING("User")))
			code = KERR_INVALID_PRINCIPAL_TYPE;
	}
	create_delegation_token_fail(call, code, NULL);
	return KAFKA_REPLY;
}

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
	renew_delegation_token_fail(call, refusal(call), NULL);
	return KAFKA_REPLY;
}

static void
expire_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	ExpireDelegationTokenResponse *out = call->response;

	out->error_code = code;
	out->expiry_timestamp_ms = -1;
}

static KafkaOutcome
expire_delegation_token_begin(KafkaCall *call)
{
	expire_delegation_token_fail(call, refusal(call), NULL);
	return KAFKA_REPLY;
}

static void
describe_delegation_token_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeDelegationTokenResponse *out = call->response;

	out->error_code = code;
}

static KafkaOutcome
describe_delegation_token_begin(KafkaCall *call)
{
	describe_delegation_token_fail(call, refusal(call), NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_create_delegation_token = {
	.begin = create_delegation_token_begin,
	.fail = create_delegation_token_fail
};

const KafkaHandler kafka_handler_renew_delegation_token = {
	.begin = renew_delegation_token_begin,
	.fail = renew_delegation_token_fail
};

const KafkaHandler kafka_handler_expire_delegation_token = {
	.begin = expire_delegation_token_begin,
	.fail = expire_delegation_token_fail
};

const KafkaHandler kafka_handler_describe_delegation_token = {
	.begin = describe_delegation_token_begin,
	.fail = describe_delegation_token_fail
};
