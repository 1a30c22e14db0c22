/*-------------------------------------------------------------------------
 *
 * refused.c
 *	  The APIs that always have the same answer, because this server does not
 *	  have what they are about.
 *
 * Messages are Kafka's where Kafka has them.
 *
 * Siblings: the other files here, one for each API that does something;
 * cluster_members.c and delegation_tokens.c for those whose answer depends on
 * the request or the client.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"

/*
 * Name of the handler, error code, message, and what the client must be
 * allowed to do with the cluster; 0: nothing.  NONE: there is nothing to list.
 */
#define REFUSED_APIS(X) \
	X(list_partition_reassignments, NONE, NULL, PT_OP_DESCRIBE)

/*
 * The error is that of the response.
 */
static void
list_partition_reassignments_fail(KafkaCall *call, int16 code, const char *message)
{
	ListPartitionReassignmentsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

/* Defines the handler of an API of the list. */
#define REFUSED_HANDLER(name, code, text, op) \
static KafkaOutcome \
name##_begin(KafkaCall *call) \
{ \
	if (op != 0 && !kafka_may_cluster(call, op)) \
		name##_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER); \
	else \
		name##_fail(call, KERR_##code, text); \
	return KAFKA_REPLY; \
} \
const KafkaHandler kafka_handler_##name = { \
	.begin = name##_begin, \
	.fail = name##_fail \
};

REFUSED_APIS(REFUSED_HANDLER)
