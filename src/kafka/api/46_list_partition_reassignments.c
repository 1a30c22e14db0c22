/*-------------------------------------------------------------------------
 *
 * 46_list_partition_reassignments.c
 *	  ListPartitionReassignments: none is ever under way.
 *
 * As in a broker, topics that do not exist are no error: nothing is under way with them either.
 *
 * Siblings: 45_alter_partition_reassignments.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

static void
list_partition_reassignments_fail(KafkaCall *call, int16 code, const char *message)
{
	ListPartitionReassignmentsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

static KafkaOutcome
list_partition_reassignments_begin(KafkaCall *call)
{
	list_partition_reassignments_fail(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_list_partition_reassignments = {
	.begin = list_partition_reassignments_begin,
	.fail = list_partition_reassignments_fail
};
