/*-------------------------------------------------------------------------
 *
 * 17_sasl_handshake.c
 *	  SaslHandshake: the client chooses a mechanism.
 *
 * Offered are the mechanisms that pg_hba.conf lets somebody use from the
 * client's address.  Versions 1 only: after version 0 the mechanism's messages
 * would come without headers.
 *
 * On a connection that is a role's already this begins to authenticate again
 * (KIP-368), if sessions have a lifetime.
 *
 * Siblings: 36_sasl_authenticate.c, ../login.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "kafka/api.h"
#include "kafka/login.h"

/*
 * Fills the list of mechanisms.
 */
static void
list_mechanisms(KafkaCall *call, uint32 mechanisms)
{
	SaslHandshakeResponse *out = call->response;
	KafkaString *names = palloc(sizeof(KafkaString) * PT_MECHANISM_COUNT);

	out->mechanisms.items = names;
	out->mechanisms.n = 0;
	for (int i = 0; i < PT_MECHANISM_COUNT; i++)
	{
		if (mechanisms & (1 << i))
			names[out->mechanisms.n++] = kafka_string(pt_mechanism_name(i));
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
sasl_handshake_begin(KafkaCall *call)
{
	const SaslHandshakeRequest *in = call->request;
	SaslHandshakeResponse *out = call->response;
	KafkaSession *session = call->session;
	PtAuthPeer	peer = kafka_login_peer(session);
	PtMechanism mechanism = pt_mechanism_by_name(in->mechanism.data, in->mechanism.len);
	uint32		offered;

	if (!kafka_security_has_sasl(session->security) || (session->mechanism[0] != '\0' && pt_max_reauth_ms == 0))
	{
		out->error_code = KERR_ILLEGAL_SASL_STATE;
		return KAFKA_REPLY;
	}
	offered = pt_auth_mechanisms(&peer);
	list_mechanisms(call, offered);
	if (mechanism == PT_MECHANISM_COUNT || !(offered & (1 << mechanism)))
	{
		out->error_code = KERR_UNSUPPORTED_SASL_MECHANISM;
		call->goodbye = "its SASL mechanism is not offered";
		return KAFKA_REPLY;
	}
	kafka_login_start(session, mechanism);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
sasl_handshake_fail(KafkaCall *call, int16 code, const char *message)
{
	SaslHandshakeResponse *out = call->response;

	out->error_code = code;
	call->goodbye = "its SASL handshake failed";
}

const KafkaHandler kafka_handler_sasl_handshake = {
	.begin = sasl_handshake_begin,
	.fail = sasl_handshake_fail
};
