/*-------------------------------------------------------------------------
 *
 * 47_offset_delete.c
 *	  OffsetDelete: deletes single committed offsets of a group (KIP-496).
 *
 * Offsets in topics to which a member subscribes are kept
 * (GROUP_SUBSCRIBED_TO_TOPIC).  While a classic group rebalances, the
 * subscriptions of its members are not known, so all offsets are kept.
 *
 * Siblings: ../groups.h, ../offsets.h, ../topic_regex.h; 42_delete_groups.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/topic_regex.h"

/*
 * How long to try while somebody has a partition of __consumer_offsets
 * locked.
 */
#define DELETE_PATIENCE_MS	5000

/* Kept between begin and resume: the offsets that are deleted. */
typedef struct OffsetDeleteState
{
	PtCommittedOffset *offsets;
	OffsetDeletePartitionResponse **targets;	/* by index in offsets: where
												 * the result goes */
	int			n;
} OffsetDeleteState;

/*
 * Reads a big-endian integer of 2 or 4 bytes, and moves *at behind it; -1 if
 * there are fewer bytes.
 */
static int
read_int(const char **at, const char *end, int size)
{
	uint16		word;
	uint32		dword;

	Assert(size == sizeof(word) || size == sizeof(dword));
	if (end - *at < size)
		return -1;
	*at += size;
	if (size == sizeof(word))
	{
		memcpy(&word, *at - size, size);
		return (int16) pg_ntoh16(word);
	}
	memcpy(&dword, *at - size, size);
	return (int32) pg_ntoh32(dword);
}

/*
 * Returns true if the subscription of a classic consumer
 * (ConsumerProtocolSubscription) names the topic.  A malformed one counts as
 * naming it.
 */
static bool
subscription_names(CoordBytes metadata, PtString topic)
{
	const char *at = metadata.data;
	const char *end = metadata.data + Max(metadata.len, 0);
	int			n;

	if (read_int(&at, end, sizeof(int16)) < 0 || (n = read_int(&at, end, sizeof(int32))) < 0)
		return true;
	for (int i = 0; i < n; i++)
	{
		int			len = read_int(&at, end, sizeof(int16));

		if (len < 0 || len > end - at)
			return true;
		if (len == topic.len && memcmp(at, topic.data, len) == 0)
			return true;
		at += len;
	}
	return false;
}

/*
 * Returns true if the member subscribes to the topic.
 */
static bool
member_subscribed(const CoordMemberInfo *member, CoordKind kind, PtString topic)
{
	if (kind == COORD_KIND_CLASSIC)
		return subscription_names(member->metadata, topic);
	for (int i = 0; i < member->nsubscribed; i++)
	{
		if (member->subscribed_topic_names[i].len == topic.len &&
			memcmp(member->subscribed_topic_names[i].data, topic.data, topic.len) == 0)
			return true;
	}
	return member->subscribed_topic_regex.len > 0 &&
		kafka_topic_regex_matches(NULL, member->viewer, member->subscribed_topic_regex, topic);
}

/*
 * Returns true if a member of the group subscribes to the topic; "d" is NULL
 * for a group without members.
 */
static bool
subscribed(const CoordDescription *d, PtString topic)
{
	if (d == NULL)
		return false;
	if (d->info.kind == COORD_KIND_CLASSIC && d->info.state != COORD_STABLE)
		return true;
	for (int i = 0; i < d->info.nmembers; i++)
	{
		if (member_subscribed(&d->members[i], d->info.kind, topic))
			return true;
	}
	return false;
}

/*
 * Returns the error of the whole request.  *members says whether the group
 * has members; then *d describes it.
 */
static int16
check_group(KafkaString group_id, CoordDescription *d, bool *members)
{
	static const char consumer[] = "consumer";
	CoordGroupInfo outside;
	bool		known;

	*members = false;
	if (!kafka_group_id_valid(group_id))
		return KERR_INVALID_GROUP_ID;
	known = coord_describe(kafka_groups(), group_id, d);
	if (!known || d->info.nmembers == 0)
	{
		if (!kafka_group_find_outside(group_id, &outside))
			return known ? KERR_NONE : KERR_GROUP_ID_NOT_FOUND;
		return outside.state == COORD_EMPTY ? KERR_NONE : KERR_NON_EMPTY_GROUP;
	}
	*members = true;
	if (d->info.protocol_type.len != strlen(consumer) ||
		memcmp(d->info.protocol_type.data, consumer, strlen(consumer)) != 0)
		return KERR_NON_EMPTY_GROUP;
	return KERR_NONE;
}

/*
 * Collects the offsets to be deleted in one topic, and answers for its other
 * partitions.
 */
static void
delete_topic(KafkaCall *call, const OffsetDeleteTopic *in, const CoordDescription *d,
			 OffsetDeleteTopicResponse *out)
{
	OffsetDeleteState *state = call->state;
	PtString	name = {"", 0};
	int16		error;
	const PtTopic *topic = kafka_offsets_topic(call, PT_OP_READ, in->name, NULL, &name, &error);
	pg_uuid_t	id = {{0}};
	int32		npartitions = 0;

	if (topic != NULL)
	{
		id = topic->id;
		npartitions = topic->npartitions;
		if (subscribed(d, name))
			error = KERR_GROUP_SUBSCRIBED_TO_TOPIC;
	}
	KAFKA_RESIZE(call, out->partitions, OffsetDeletePartitionResponse, in->partitions.n);
	for (int i = 0; i < in->partitions.n; i++)
	{
		OffsetDeletePartitionResponse *target = &out->partitions.items[i];
		PtCommittedOffset committed;

		target->partition_index = in->partitions.items[i].partition_index;
		target->error_code = error;
		if (error == KERR_NONE && (target->partition_index < 0 || target->partition_index >= npartitions))
			target->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		if (target->error_code != KERR_NONE || !pt_offset_fetch(((OffsetDeleteRequest *) call->request)->group_id,
																name, &id, target->partition_index, true, &committed))
			continue;
		committed.topic = name;
		committed.topic_id = id;
		committed.partition = target->partition_index;
		committed.removed = true;
		Assert(target->error_code == KERR_NONE && committed.removed);
		state->offsets[state->n] = committed;
		state->targets[state->n++] = target;
	}
}

/*
 * Counts the partitions of the request.
 */
static int
count_partitions(const OffsetDeleteRequest *in)
{
	int			n = 0;

	for (int i = 0; i < in->topics.n; i++)
		n += in->topics.items[i].partitions.n;
	return n;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
offset_delete_begin(KafkaCall *call)
{
	const OffsetDeleteRequest *in = call->request;
	OffsetDeleteResponse *out = call->response;
	int			n = Max(count_partitions(in), 1);
	OffsetDeleteState *state = palloc0(sizeof(OffsetDeleteState));
	CoordDescription d;
	bool		members;
	int16		error;

	call->state = state;
	out->error_code = kafka_may_group(call, in->group_id, PT_OP_DELETE) ? check_group(in->group_id, &d, &members) :
		KERR_GROUP_AUTHORIZATION_FAILED;
	if (out->error_code != KERR_NONE)
		return KAFKA_REPLY;
	state->offsets = MemoryContextAllocHuge(call->mcxt, sizeof(PtCommittedOffset) * n);
	state->targets = MemoryContextAllocHuge(call->mcxt, sizeof(*state->targets) * n);
	KAFKA_RESIZE(call, out->topics, OffsetDeleteTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->topics.items[i].name = in->topics.items[i].name;
		delete_topic(call, &in->topics.items[i], members ? &d : NULL, &out->topics.items[i]);
	}
	if (state->n == 0)
		return KAFKA_REPLY;
	error = kafka_offsets_write(call, in->group_id, state->offsets, state->n);
	if (error != KERR_NONE)
	{
		for (int i = 0; i < state->n; i++)
			state->targets[i]->error_code = error;
		return KAFKA_REPLY;
	}
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), DELETE_PATIENCE_MS);
	return KAFKA_APPEND;
}

/*
 * KafkaHandler.resume: the records have been appended.
 */
static KafkaOutcome
offset_delete_resume(KafkaCall *call, bool timed_out)
{
	OffsetDeleteState *state = call->state;
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
offset_delete_fail(KafkaCall *call, int16 code, const char *message)
{
	OffsetDeleteResponse *out = call->response;

	out->error_code = kafka_group_error(code);
}

const KafkaHandler kafka_handler_offset_delete = {
	.begin = offset_delete_begin,
	.resume = offset_delete_resume,
	.fail = offset_delete_fail
};
