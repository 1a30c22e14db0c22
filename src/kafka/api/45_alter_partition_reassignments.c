/*-------------------------------------------------------------------------
 *
 * 45_alter_partition_reassignments.c
 *	  AlterPartitionReassignments: replicas stay where they are.
 *
 * A client may ask for the assignment that exists.  Any other assignment names
 * brokers that do not exist.  A cancellation fails, because no reassignment is
 * in progress.
 *
 * Siblings: 46_list_partition_reassignments.c; ../topics.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

/*
 * Answers for one partition.
 */
static void
judge(KafkaLookup *lookup, KafkaString topic, const ReassignablePartition *in, ReassignablePartitionResponse *out)
{
	const char *problem;

	(void) kafka_lookup(lookup, topic, NULL, in->partition_index, &out->error_code);
	if (lookup->error != KERR_NONE)
	{
		out->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		out->error_message = kafka_string(psprintf("Unable to find a topic named %.*s.",
												   Min(Max(topic.len, 0), PT_TOPIC_NAME_MAX), topic.data));
	}
	else if (out->error_code != KERR_NONE)
		out->error_message = kafka_string(psprintf("Unable to find partition %.*s:%d.", topic.len, topic.data,
												   in->partition_index));
	else if (in->replicas.n < 0)
		out->error_code = KERR_NO_REASSIGNMENT_IN_PROGRESS;
	else if ((problem = kafka_replicas_problem(in->replicas.items, in->replicas.n)) != NULL)
	{
		out->error_code = KERR_INVALID_REPLICA_ASSIGNMENT;
		out->error_message = kafka_string(problem);
	}
}

/*
 * Makes the response in the form of the request.  If "lookup" is NULL, the
 * partitions get no answer of their own.
 */
static void
shape(KafkaCall *call, KafkaLookup *lookup)
{
	const AlterPartitionReassignmentsRequest *in = call->request;
	AlterPartitionReassignmentsResponse *out = call->response;

	out->allow_replication_factor_change = in->allow_replication_factor_change;
	KAFKA_RESIZE(call, out->responses, ReassignableTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const ReassignableTopic *topic = &in->topics.items[i];
		ReassignableTopicResponse *result = &out->responses.items[i];

		result->name = topic->name;
		KAFKA_RESIZE(call, result->partitions, ReassignablePartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			result->partitions.items[j].partition_index = topic->partitions.items[j].partition_index;
			result->partitions.items[j].error_message = kafka_string(NULL);
			if (lookup != NULL)
				judge(lookup, topic->name, &topic->partitions.items[j], &result->partitions.items[j]);
		}
	}
}

/*
 * KafkaHandler.fail
 */
static void
alter_partition_reassignments_fail(KafkaCall *call, int16 code, const char *message)
{
	AlterPartitionReassignmentsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
alter_partition_reassignments_begin(KafkaCall *call)
{
	AlterPartitionReassignmentsResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_DESCRIBE};

	if (!kafka_may_cluster(call, PT_OP_ALTER))
	{
		alter_partition_reassignments_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
		return KAFKA_REPLY;
	}
	shape(call, &lookup);
	out->error_message = kafka_string(NULL);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_alter_partition_reassignments = {
	.begin = alter_partition_reassignments_begin,
	.fail = alter_partition_reassignments_fail
};
