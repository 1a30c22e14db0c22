/*-------------------------------------------------------------------------
 *
 * 37_create_partitions.c
 *	  CreatePartitions: adds partitions to topics, each in a transaction of its
 *	  own.
 *
 * Clients see the new partitions in Metadata when the transaction has
 * committed: the invalidation reaches each listener before its next request.
 *
 * Siblings: 19_create_topics.c, ../topics.c; ../../topic/topic.h
 * (pt_topic_add_partitions).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/quota.h"
#include "kafka/topics.h"

/* As in CreateTopics: more partitions at once are a mistake. */
#define PARTITIONS_PER_REQUEST	10000

/* First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599). */
#define QUOTA_STRICT_SINCE	3

/*
 * Sets the error of a topic and returns false.
 */
static bool
refuse(CreatePartitionsResult *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
	return false;
}

/*
 * Checks that the topic can grow to this number of partitions.
 */
static bool
check_count(const PtTopic *topic, int32 count, CreatePartitionsResult *out)
{
	if (count == topic->npartitions)
		return refuse(out, KERR_INVALID_PARTITIONS,
					  psprintf("Topic already has %d partition(s).", topic->npartitions));
	if (count < topic->npartitions)
		return refuse(out, KERR_INVALID_PARTITIONS,
					  psprintf("The topic %s currently has %d partition(s); %d would not be an increase.",
							   topic->name, topic->npartitions, count));
	if (count - topic->npartitions > PARTITIONS_PER_REQUEST)
		return refuse(out, KERR_POLICY_VIOLATION, "Excessively large number of partitions per request.");
	return true;
}

/*
 * Checks manual assignments: one for each new partition, or none at all.
 */
static bool
check_assignments(const CreatePartitionsTopic *in, int added, CreatePartitionsResult *out)
{
	if (in->assignments.n < 0)
		return true;
	if (in->assignments.n != added)
		return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT,
					  psprintf("Attempted to add %d additional partition(s), but %s%d assignment(s) were specified.",
							   added, in->assignments.n < added ? "only " : "", in->assignments.n));
	for (int i = 0; i < added; i++)
	{
		const CreatePartitionsAssignment *a = &in->assignments.items[i];
		const char *problem = kafka_replicas_problem(a->broker_ids.items, a->broker_ids.n);

		if (problem != NULL)
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT, problem);
	}
	return true;
}

/*
 * Handles one topic of the request.
 */
static void
handle_topic(KafkaCall *call, const CreatePartitionsTopic *in, CreatePartitionsResult *out)
{
	const CreatePartitionsRequest *request = call->request;
	const PtTopic *topic;
	KafkaError	error;

	topic = kafka_topic_known(call, PT_OP_ALTER, in->name, NULL, &out->error_code);
	if (topic == NULL)
	{
		if (out->error_code == KERR_TOPIC_AUTHORIZATION_FAILED)
			refuse(out, out->error_code, "Only the owner of a topic's table may add partitions.");
		return;
	}
	if (topic->internal)
	{
		refuse(out, KERR_INVALID_TOPIC_EXCEPTION, "The topic is internal: its number of partitions is fixed.");
		return;
	}
	if (!check_count(topic, in->count, out) ||
		!check_assignments(in, in->count - topic->npartitions, out) || request->validate_only)
		return;
	if (!kafka_quota_mutation(call, QUOTA_STRICT_SINCE, in->count - topic->npartitions, &error.code, &error.message) ||
		!kafka_topic_grow(call, topic->relid, topic->npartitions, in->count, &error))
		refuse(out, error.code, error.message);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
create_partitions_begin(KafkaCall *call)
{
	const CreatePartitionsRequest *in = call->request;
	CreatePartitionsResponse *out = call->response;
	int			n = 0;
	int		   *uses = in->topics.n > 0 ?
		kafka_name_uses(call, &in->topics.items[0].name, sizeof(CreatePartitionsTopic), in->topics.n) : NULL;

	KAFKA_RESIZE(call, out->results, CreatePartitionsResult, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		CreatePartitionsResult *result = &out->results.items[n];

		Assert(n < in->topics.n);
		if (uses[i] == 0)
			continue;
		n++;
		result->name = in->topics.items[i].name;
		if (uses[i] > 1)
			refuse(result, KERR_INVALID_REQUEST, "Duplicate topic name.");
		else if (n > 1 && kafka_out_of_time(call, in->timeout_ms))
			refuse(result, KERR_REQUEST_TIMED_OUT, "The request timed out before the topic's turn came.");
		else
			handle_topic(call, &in->topics.items[i], result);
	}
	out->results.n = n;
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
create_partitions_fail(KafkaCall *call, int16 code, const char *message)
{
	const CreatePartitionsRequest *in = call->request;
	CreatePartitionsResponse *out = call->response;

	KAFKA_RESIZE(call, out->results, CreatePartitionsResult, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->results.items[i].name = in->topics.items[i].name;
		refuse(&out->results.items[i], code, message);
	}
}

const KafkaHandler kafka_handler_create_partitions = {
	.begin = create_partitions_begin,
	.fail = create_partitions_fail
};
