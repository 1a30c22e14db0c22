/*-------------------------------------------------------------------------
 *
 * 55_describe_quorum.c
 *	  DescribeQuorum: the WAL stands for the log of metadata.
 *
 * It is a quorum of one.  This server is the leader and the only voter, and
 * its epoch is the leader epoch.  Offsets are bytes of WAL: the end is what
 * was inserted, the high watermark what has been flushed.  Standbys are not
 * voters, because they never elect themselves.
 *
 * Siblings: cluster_members.c; ../broker.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "compat.h"
#include "kafka/allowed.h"
#include "kafka/broker.h"
#include "topic/timestamp.h"
#include "xact/xact.h"

#define METADATA_TOPIC		"__cluster_metadata"

/*
 * Answers for one partition; only that of the log of metadata exists.
 */
static void
describe_partition(KafkaCall *call, KafkaString topic, DescribeQuorumPartitionResponse *out)
{
	DescribeQuorumReplica *voter;

	if (!pt_string_equal(topic, kafka_string(METADATA_TOPIC)) || out->partition_index != 0)
	{
		out->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		out->error_message = kafka_string("This server does not host this topic-partition.");
		return;
	}
	out->leader_id = KAFKA_BROKER_ID;
	out->leader_epoch = pt_leader_epoch();
	out->high_watermark = (int64) GetFlushRecPtr(NULL);
	KAFKA_RESIZE(call, out->current_voters, DescribeQuorumReplica, 1);
	voter = &out->current_voters.items[0];
	voter->replica_id = KAFKA_BROKER_ID;
	voter->log_end_offset = Max((int64) pt_wal_insert_end(), out->high_watermark);
	voter->last_fetch_timestamp = voter->last_caught_up_timestamp = pt_now_ms();
}

/*
 * Adds the address of the voter.
 */
static void
add_node(KafkaCall *call, DescribeQuorumResponse *out)
{
	KafkaAdvertised at = kafka_advertised(call->session->listener);
	DescribeQuorumNode *node;

	KAFKA_RESIZE(call, out->nodes, DescribeQuorumNode, 1);
	node = &out->nodes.items[0];
	node->node_id = KAFKA_BROKER_ID;
	KAFKA_RESIZE(call, node->listeners, DescribeQuorumListener, 1);
	node->listeners.items[0].name = kafka_string(at.name);
	node->listeners.items[0].host = kafka_string(at.host);
	node->listeners.items[0].port = (uint16) at.port;
}

/*
 * KafkaHandler.fail
 */
static void
describe_quorum_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeQuorumResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_quorum_begin(KafkaCall *call)
{
	const DescribeQuorumRequest *in = call->request;
	DescribeQuorumResponse *out = call->response;
	bool		found = false;

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE))
	{
		describe_quorum_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
		return KAFKA_REPLY;
	}
	KAFKA_RESIZE(call, out->topics, DescribeQuorumTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const DescribeQuorumTopic *topic = &in->topics.items[i];
		DescribeQuorumTopicResponse *result = &out->topics.items[i];

		result->topic_name = topic->topic_name;
		KAFKA_RESIZE(call, result->partitions, DescribeQuorumPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			result->partitions.items[j].partition_index = topic->partitions.items[j].partition_index;
			describe_partition(call, topic->topic_name, &result->partitions.items[j]);
			found |= result->partitions.items[j].error_code == KERR_NONE;
		}
	}
	if (found)
		add_node(call, out);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_quorum = {
	.begin = describe_quorum_begin,
	.fail = describe_quorum_fail
};
