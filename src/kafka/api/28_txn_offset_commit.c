/*-------------------------------------------------------------------------
 *
 * 28_txn_offset_commit.c
 *	  TxnOffsetCommit: offsets of a group that are committed with a
 *	  transaction.
 *
 * They are staged, as batches are, and nobody sees them before the
 * transaction commits.  Both coordinators decide: that of groups whether the
 * member may commit (KIP-447), that of transactions whether the producer may,
 * and whether the group is part of its transaction.
 *
 * Versions: 3 and later name the member; up to 4 AddOffsetsToTxn has come
 * before, from 5 on the request itself brings the group to the transaction
 * (KIP-890); 6 names topics by id.
 *
 * Siblings: ../groups.h, ../txns.h; ../../stage/stage.h; 08_offset_commit.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/txns.h"
#include "stage/stage.h"

#define FIRST_THAT_ADDS		5
#define FIRST_WITH_IDS		6

/* What is to be staged. */
typedef struct Offsets
{
	PtStagedOffset *offsets;
	TxnOffsetCommitPartitionResponse **targets; /* by index in offsets: where
												 * the result goes */
	int			n;
} Offsets;

/*
 * Checks one partition; see 08_offset_commit.c.
 */
static int16
check_partition(const TxnOffsetCommitPartition *in, const PtTopic *topic)
{
	if (in->partition_index < 0 || in->partition_index >= topic->npartitions)
		return KERR_UNKNOWN_TOPIC_OR_PARTITION;
	return in->committed_metadata.len > pt_offset_metadata_max ? KERR_OFFSET_METADATA_TOO_LARGE : KERR_NONE;
}

/*
 * Adds a partition to what is staged.
 */
static void
add_offset(Offsets *all, const TxnOffsetCommitPartition *in, const PtTopic *topic, PtString name,
		   TxnOffsetCommitPartitionResponse *target)
{
	PtStagedOffset *staged = &all->offsets[all->n];

	staged->topic = name;
	staged->topic_id = topic->id;
	staged->partition = in->partition_index;
	staged->leader_epoch = in->committed_leader_epoch;
	staged->offset = in->committed_offset;
	staged->metadata = (PtString)
	{
		in->committed_metadata.data, Max(in->committed_metadata.len, 0)
	};
	all->targets[all->n++] = target;
}

/*
 * Makes the response in the form of the request.  Collects what is to be
 * staged, unless there is an error for all.
 */
static void
walk_request(KafkaCall *call, int16 error, Offsets *all)
{
	const TxnOffsetCommitRequest *in = call->request;
	TxnOffsetCommitResponse *out = call->response;

	KAFKA_RESIZE(call, out->topics, TxnOffsetCommitTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const TxnOffsetCommitTopic *topic = &in->topics.items[i];
		TxnOffsetCommitTopicResponse *result = &out->topics.items[i];
		const PtTopic *found = NULL;
		PtString	name = {"", 0};
		int16		topic_error = error;

		if (error == KERR_NONE)
			found = kafka_offsets_topic(call, PT_OP_READ, topic->name,
										call->api_version >= FIRST_WITH_IDS ? &topic->topic_id : NULL, &name, &topic_error);
		result->name = topic->name;
		result->topic_id = topic->topic_id;
		KAFKA_RESIZE(call, result->partitions, TxnOffsetCommitPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			const TxnOffsetCommitPartition *partition = &topic->partitions.items[j];
			TxnOffsetCommitPartitionResponse *target = &result->partitions.items[j];

			target->partition_index = partition->partition_index;
			target->error_code = found ? check_partition(partition, found) : topic_error;
			if (target->error_code == KERR_NONE)
				add_offset(all, partition, found, name, target);
		}
	}
}

static int
count_partitions(const TxnOffsetCommitRequest *in)
{
	int			n = 0;

	for (int i = 0; i < in->topics.n; i++)
		n += in->topics.items[i].partitions.n;
	return n;
}

/*
 * Returns the answer of the coordinator of groups.  Below version 6 an old
 * epoch of a member is an old generation.
 */
static int16
check_member(KafkaCall *call)
{
	const TxnOffsetCommitRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_COMMIT, in->group_id);
	int16		error;

	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.generation = in->generation_id_or_member_epoch;
	event.u.commit.transactional = true;
	error = kafka_group_check(call, &event);
	/* what a group with members of its own answers */
	if (error == KERR_NONE && pt_group_sql_active(in->group_id))
		error = KERR_UNKNOWN_MEMBER_ID;
	return error == KERR_STALE_MEMBER_EPOCH && call->api_version < FIRST_WITH_IDS ? KERR_ILLEGAL_GENERATION : error;
}

/*
 * Returns the answer of the coordinator of transactions.
 */
static TxnError
check_transaction(KafkaCall *call)
{
	const TxnOffsetCommitRequest *in = call->request;
	TxnEvent	event = {.type = TXN_EV_VERIFY,.transactional_id = in->transactional_id};
	int32		partition;
	TxnTopic	topic = {pt_string_of(PT_OFFSETS_TOPIC), 1, &partition};
	TxnError	error;

	if (!kafka_offsets_partition(in->group_id, &partition))
		return TXN_COORDINATOR_NOT_AVAILABLE;
	event.producer_id = in->producer_id;
	event.producer_epoch = in->producer_epoch;
	if (call->api_version >= FIRST_THAT_ADDS)
	{
		event.type = TXN_EV_ADD;
		event.v2 = true;
		event.topics = &topic;
		event.ntopics = 1;
	}
	error = kafka_txn_check(&event);
	if (error == TXN_NONE && call->api_version < FIRST_THAT_ADDS)
		error = txn_verified(kafka_txns_known(), in->transactional_id, topic.name, partition);
	return error;
}

/*
 * Asks both, and stages the offsets.  Returns an error code.
 */
static int16
stage(KafkaCall *call, const Offsets *all)
{
	const TxnOffsetCommitRequest *in = call->request;
	int16		code = check_member(call);
	TxnError	error;

	if (code != KERR_NONE)
		return code;
	error = check_transaction(call);
	if (error == TXN_NONE)
		error = pt_stage_offsets(in->producer_id, in->producer_epoch, in->group_id, all->offsets, all->n);
	return (int16) txn_error_for(error, call->api_key, call->api_version);
}

/*
 * Returns the error that can be told without a coordinator.
 */
static int16
check(KafkaCall *call)
{
	const TxnOffsetCommitRequest *in = call->request;

	if (!kafka_may_transactional_id(call, in->transactional_id, PT_OP_WRITE))
		return KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	if (!kafka_group_id_valid(in->group_id))
		return KERR_INVALID_GROUP_ID;
	return kafka_may_group(call, in->group_id, PT_OP_READ) ? KERR_NONE : KERR_GROUP_AUTHORIZATION_FAILED;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
txn_offset_commit_begin(KafkaCall *call)
{
	const TxnOffsetCommitRequest *in = call->request;
	int			n = Max(count_partitions(in), 1);
	Offsets		all = {0};
	int16		error;

	all.offsets = MemoryContextAllocHuge(call->mcxt, sizeof(PtStagedOffset) * n);
	all.targets = MemoryContextAllocHuge(call->mcxt, sizeof(*all.targets) * n);
	walk_request(call, check(call), &all);
	if (all.n == 0)
		return KAFKA_REPLY;
	if (kafka_offsets_prepare(call, in->group_id, &error) == KAFKA_MOVE)
		return KAFKA_MOVE;
	if (error == KERR_NONE)
		error = stage(call, &all);
	for (int i = 0; i < all.n; i++)
		all.targets[i]->error_code = error;
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
txn_offset_commit_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_txn_error(code), NULL);
}

const KafkaHandler kafka_handler_txn_offset_commit = {
	.begin = txn_offset_commit_begin,
	.fail = txn_offset_commit_fail
};
