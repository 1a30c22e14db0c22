/*-------------------------------------------------------------------------
 *
 * 08_offset_commit.c
 *	  OffsetCommit: commits offsets of a group, as records of
 *	  __consumer_offsets.
 *
 * The coordinator decides whether the member may commit; topics and sizes are
 * checked per partition.  The rest is appended by the server like produced
 * batches, all of it or none, and is answered when it is durable.
 *
 * Versions: 1 and later name the member; 7 and later have the group instance
 * id; from 9 on the generation may be a member epoch (KIP-848); 10 names
 * topics by id.
 *
 * Siblings: ../groups.h; ../../groups/groups.h (the records);
 * 09_offset_fetch.c reads them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/topics.h"

/*
 * How long to try while somebody has a partition of __consumer_offsets
 * locked.  The same as Kafka's offsets.commit.timeout.ms.
 */
#define COMMIT_PATIENCE_MS	5000

/* Kept between begin and resume: the partitions that are committed. */
typedef struct CommitState
{
	PtCommittedOffset *offsets;
	OffsetCommitPartitionResponse **targets;	/* by index in offsets: where
												 * the result goes */
	int			n;
} CommitState;

/*
 * Checks one partition.  As in Kafka, any offset may be committed, also a
 * negative one: some clients write -1 and -2 for "use auto.offset.reset".
 * Metadata may be any bytes: the language bindings of librdkafka send a
 * terminating zero.
 */
static int16
check_partition(const OffsetCommitPartition *in, const PtTopic *topic)
{
	KafkaString metadata = in->committed_metadata;

	Assert(topic != NULL);
	if (in->partition_index < 0 || in->partition_index >= topic->npartitions)
		return KERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (metadata.len > pt_offset_metadata_max)
		return KERR_OFFSET_METADATA_TOO_LARGE;
	return KERR_NONE;
}

/*
 * Adds a partition to what is committed.
 */
static void
add_offset(CommitState *state, const OffsetCommitPartition *in, const PtTopic *topic,
		   PtString name, OffsetCommitPartitionResponse *target)
{
	PtCommittedOffset *committed = &state->offsets[state->n];

	Assert(topic != NULL && in->partition_index >= 0 && in->partition_index < topic->npartitions);
	committed->topic = name;
	committed->topic_id = topic->id;
	committed->partition = in->partition_index;
	committed->leader_epoch = in->committed_leader_epoch;
	committed->offset = in->committed_offset;
	committed->removed = false;
	committed->commit_time = -1;
	committed->metadata = (PtString)
	{
		in->committed_metadata.data, Max(in->committed_metadata.len, 0)
	};
	state->targets[state->n++] = target;
}

/*
 * Makes the response in the form of the request.  Collects the partitions to
 * be committed, unless there is an error for all.
 */
static void
walk_request(KafkaCall *call, int16 error)
{
	const OffsetCommitRequest *in = call->request;
	OffsetCommitResponse *out = call->response;
	CommitState *state = call->state;

	KAFKA_RESIZE(call, out->topics, OffsetCommitTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const OffsetCommitTopic *topic = &in->topics.items[i];
		OffsetCommitTopicResponse *result = &out->topics.items[i];
		const PtTopic *found = NULL;
		PtString	name = {"", 0};
		int16		topic_error = error;

		if (error == KERR_NONE)
			found = kafka_offsets_topic(call, PT_OP_READ, topic->name, call->api_version >= 10 ? &topic->topic_id : NULL,
										&name, &topic_error);
		result->name = topic->name;
		result->topic_id = topic->topic_id;
		KAFKA_RESIZE(call, result->partitions, OffsetCommitPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			const OffsetCommitPartition *partition = &topic->partitions.items[j];
			OffsetCommitPartitionResponse *target = &result->partitions.items[j];

			target->partition_index = partition->partition_index;
			target->error_code = found ? check_partition(partition, found) : topic_error;
			if (target->error_code == KERR_NONE)
				add_offset(state, partition, found, name, target);
		}
	}
}

/*
 * Counts the partitions of the request.
 */
static int
count_partitions(const OffsetCommitRequest *in)
{
	int			n = 0;

	for (int i = 0; i < in->topics.n; i++)
		n += in->topics.items[i].partitions.n;
	return n;
}

/*
 * Returns the coordinator's answer: may the client commit?  Tools, and
 * consumers that assign partitions to themselves, commit without being
 * members.
 */
static int16
check_member(KafkaCall *call)
{
	const OffsetCommitRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_COMMIT, in->group_id);
	CoordGroupInfo info;
	int16		error;

	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.generation = in->generation_id_or_member_epoch;
	error = kafka_group_check(call, &event);
	/* what a group with members of its own answers */
	if (error == KERR_NONE && pt_group_sql_active(in->group_id))
		error = KERR_UNKNOWN_MEMBER_ID;

	/*
	 * a group with committed offsets exists, and the client is no member of
	 * it
	 */
	if (error == KERR_ILLEGAL_GENERATION && !coord_find(kafka_groups(), in->group_id, &info) &&
		pt_offsets_exist(in->group_id, true))
		error = KERR_UNKNOWN_MEMBER_ID;
	return error;
}

/*
 * An older epoch is still valid for partitions that the member has kept since
 * then (KIP-1251).  These remain to be committed; the others get their
 * errors.
 */
static void
keep_partitions_of_member(KafkaCall *call)
{
	const OffsetCommitRequest *in = call->request;
	CommitState *state = call->state;
	const CoordGroups *groups = kafka_groups();
	int			n = 0;

	for (int i = 0; i < state->n; i++)
	{
		CoordUuid	topic_id;

		memcpy(&topic_id, &state->offsets[i].topic_id, sizeof(topic_id));
		state->targets[i]->error_code =
			(int16) coord_commit_partition(groups, in->group_id, in->member_id,
										   in->generation_id_or_member_epoch, &topic_id,
										   state->offsets[i].partition);
		if (state->targets[i]->error_code != KERR_NONE)
			continue;
		state->offsets[n] = state->offsets[i];
		state->targets[n++] = state->targets[i];
	}
	Assert(n <= state->n);
	state->n = n;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
offset_commit_begin(KafkaCall *call)
{
	const OffsetCommitRequest *in = call->request;
	int			n = Max(count_partitions(in), 1);
	CommitState *state = palloc0(sizeof(CommitState));
	int16		error;

	call->state = state;
	state->offsets = MemoryContextAllocHuge(call->mcxt, sizeof(PtCommittedOffset) * n);
	state->targets = MemoryContextAllocHuge(call->mcxt, sizeof(*state->targets) * n);
	walk_request(call, kafka_may_group(call, in->group_id, PT_OP_READ) ? KERR_NONE : KERR_GROUP_AUTHORIZATION_FAILED);
	if (state->n == 0)
		return KAFKA_REPLY;
	if (kafka_offsets_prepare(call, in->group_id, &error) == KAFKA_MOVE)
		return KAFKA_MOVE;
	if (error == KERR_NONE)
		error = check_member(call);
	if (error == KERR_STALE_MEMBER_EPOCH || error == KERR_ILLEGAL_GENERATION)
	{
		keep_partitions_of_member(call);
		if (state->n == 0)
			return KAFKA_REPLY;
		error = KERR_NONE;
	}
	if (error == KERR_NONE)
		error = kafka_offsets_write(call, in->group_id, state->offsets, state->n);
	for (int i = 0; error != KERR_NONE && i < state->n; i++)
		state->targets[i]->error_code = error;
	if (error != KERR_NONE)
		return KAFKA_REPLY;
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), COMMIT_PATIENCE_MS);
	return KAFKA_APPEND;
}

/*
 * KafkaHandler.resume: the records have been appended.
 */
static KafkaOutcome
offset_commit_resume(KafkaCall *call, bool timed_out)
{
	CommitState *state = call->state;
	int16		error = kafka_offsets_written(call);

	Assert(state->n > 0);
	for (int i = 0; i < state->n; i++)
		state->targets[i]->error_code = error;
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
offset_commit_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_group_error(code));
}

const KafkaHandler kafka_handler_offset_commit = {
	.begin = offset_commit_begin,
	.resume = offset_commit_resume,
	.fail = offset_commit_fail
};
