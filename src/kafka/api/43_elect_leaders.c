/*-------------------------------------------------------------------------
 *
 * 43_elect_leaders.c
 *	  ElectLeaders: never needed, because the one broker leads all partitions.
 *
 * Failover to a standby is done by the administrator, not by Kafka's means.
 *
 * Sibling: ../topics.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

#define ELECTION_PREFERRED	0
#define ELECTION_UNCLEAN	1

/*
 * Answers for one partition.
 */
static void
judge(KafkaLookup *lookup, KafkaString topic, ElectLeadersPartition *out)
{
	(void) kafka_lookup(lookup, topic, NULL, out->partition_id, &out->error_code);
	if (out->error_code == KERR_NONE)
	{
		out->error_code = KERR_ELECTION_NOT_NEEDED;
		out->error_message = kafka_string("Leader election not needed for topic partition.");
	}
	else if (lookup->error != KERR_NONE)
		out->error_message = kafka_string(psprintf("No such topic as %.*s",
												   Min(Max(topic.len, 0), PT_TOPIC_NAME_MAX), topic.data));
	else
		out->error_message = kafka_string(psprintf("No such partition as %.*s-%d", topic.len, topic.data,
												   out->partition_id));
}

/*
 * Answers for all partitions; "error" is one for all, or KERR_NONE.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const ElectLeadersRequest *in = call->request;
	ElectLeadersResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_DESCRIBE};

	/*
	 * null stands for all partitions; those that need no election are left
	 * out
	 */
	KAFKA_RESIZE(call, out->replica_election_results, ElectLeadersResult, Max(in->topic_partitions.n, 0));
	for (int i = 0; i < in->topic_partitions.n; i++)
	{
		const ElectLeadersTopic *topic = &in->topic_partitions.items[i];
		ElectLeadersResult *result = &out->replica_election_results.items[i];

		result->topic = topic->topic;
		KAFKA_RESIZE(call, result->partition_result, ElectLeadersPartition, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			ElectLeadersPartition *target = &result->partition_result.items[j];

			target->partition_id = topic->partitions.items[j];
			target->error_code = error;
			target->error_message = kafka_string(message);
			if (error == KERR_NONE)
				judge(&lookup, topic->topic, target);
		}
	}
	out->error_code = error;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
elect_leaders_begin(KafkaCall *call)
{
	const ElectLeadersRequest *in = call->request;

	if (!kafka_may_cluster(call, PT_OP_ALTER))
		walk_request(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
	else if (in->election_type != ELECTION_PREFERRED && in->election_type != ELECTION_UNCLEAN)
		walk_request(call, KERR_INVALID_REQUEST, psprintf("Unknown election type %d", in->election_type));
	else
		walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
elect_leaders_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, message);
}

const KafkaHandler kafka_handler_elect_leaders = {
	.begin = elect_leaders_begin,
	.fail = elect_leaders_fail
};
