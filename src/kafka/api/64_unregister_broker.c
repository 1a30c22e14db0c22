/*-------------------------------------------------------------------------
 *
 * 64_unregister_broker.c
 *	  UnregisterBroker: the one broker stays, and there are no others.
 *
 * A true answer to both.
 *
 * Siblings: 60_describe_cluster.c; ../broker.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"
#include "kafka/broker.h"

static void
unregister_broker_fail(KafkaCall *call, int16 code, const char *message)
{
	UnregisterBrokerResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

static KafkaOutcome
unregister_broker_begin(KafkaCall *call)
{
	const UnregisterBrokerRequest *in = call->request;

	if (in->broker_id == KAFKA_BROKER_ID)
		unregister_broker_fail(call, KERR_INVALID_REQUEST,
							   psprintf("Broker %d is this server, which cannot be unregistered.", KAFKA_BROKER_ID));
	else
		unregister_broker_fail(call, KERR_BROKER_ID_NOT_REGISTERED,
							   psprintf("Broker ID %d is not currently registered", in->broker_id));
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_unregister_broker = {
	.begin = unregister_broker_begin,
	.fail = unregister_broker_fail
};
