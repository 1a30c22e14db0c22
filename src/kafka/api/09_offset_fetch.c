/*-------------------------------------------------------------------------
 *
 * 09_offset_fetch.c
 *	  OffsetFetch: committed offsets of groups.
 *
 * A null list of topics means all topics.  A partition without a committed
 * offset is not an error; its offset is -1.
 *
 * Offsets of a transaction are not visible before it commits.  Who asks for
 * stable ones (KIP-447) is told to come again where one is staged: it would
 * begin behind records that are about to be committed with it.
 *
 * Versions: up to 7 a request has one group, from 8 on many; 2 and later have
 * an error of the group; 7 and later may ask for stable offsets; 9 and later
 * may name the member; 10 names topics by id.
 *
 * Siblings: ../groups.h; ../../groups/groups.h; 08_offset_commit.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/topics.h"
#include "stage/stage.h"

/*
 * The two forms of the response, for one group and for many, have partitions
 * and topics with the same members, so one form can be used as the other.
 */
StaticAssertDecl(sizeof(OffsetFetchPartitionResponse) == sizeof(OffsetFetchGroupPartitionResponse) &&
				 offsetof(OffsetFetchPartitionResponse, error_code) ==
				 offsetof(OffsetFetchGroupPartitionResponse, error_code),
				 "partitions of both forms are alike");

/* Work on one group. */
typedef struct FetchGroup
{
	KafkaCall  *call;
	PtString	group_id;
	OffsetFetchGroupResponse *out;	/* NULL: errors go to the partitions */
	int			topics_cap;		/* allocated length of out->topics */
	int			partitions_cap; /* allocated length of partitions of the last
								 * topic, */
	pg_uuid_t	topic_id;		/* which has this id */
	const PtUnstable *unstable; /* offsets of open transactions; NULL unless
								 * stable ones are asked for */
} FetchGroup;

/*
 * Enlarges an array that is full; returns the array.
 */
static void *
grow(KafkaCall *call, const KafkaSchema *schema, void *items, int n, int *cap)
{
	void	   *more;

	Assert(n >= 0 && n <= *cap);
	if (n < *cap)
		return items;
	*cap = Max(8, *cap * 2);
	more = kafka_new(call, schema, *cap);
	if (n > 0)
		memcpy(more, items, (Size) schema->size * n);
	return more;
}

/*
 * Returns which offsets of the request's groups are not stable: found out at
 * the first group that needs it, for all of them.
 */
static const PtUnstable *
find_unstable(KafkaCall *call)
{
	const OffsetFetchRequest *in = call->request;
	PtString   *ids;

	if (call->state != NULL)
		return call->state;
	if (call->api_version < 8)
	{
		call->state = pt_unstable_read(&in->group_id, 1);
		return call->state;
	}
	ids = MemoryContextAllocHuge(call->mcxt, sizeof(PtString) * Max(in->groups.n, 1));
	for (int i = 0; i < in->groups.n; i++)
		ids[i] = in->groups.items[i].group_id;
	call->state = pt_unstable_read(ids, in->groups.n);
	return call->state;
}

/*
 * Fills the response for a partition; committed is NULL if there is no offset.
 */
static void
set_offset(const FetchGroup *f, PtString topic, const PtCommittedOffset *committed, OffsetFetchGroupPartitionResponse *out)
{
	out->committed_offset = -1;
	if (f->unstable != NULL && pt_unstable_has(f->unstable, f->group_id, topic, out->partition_index))
		out->error_code = KERR_UNSTABLE_OFFSET_COMMIT;
	else if (committed != NULL)
	{
		out->committed_offset = committed->offset;
		out->committed_leader_epoch = committed->leader_epoch;
		out->metadata = pt_string_copy(committed->metadata);
	}
}

/*
 * Callback of pt_offsets_of_group(), ordered by topic: adds a committed
 * offset.  Offsets in topics that do not exist any more, or that the client
 * may not describe, are left out.
 */
static void
add_offset(void *arg, const PtCommittedOffset *committed)
{
	FetchGroup *f = arg;
	OffsetFetchGroupResponse *out = f->out;
	KafkaString name = committed->topic;
	OffsetFetchGroupTopicResponse *topic = out->topics.n > 0 ? &out->topics.items[out->topics.n - 1] : NULL;

	if (topic == NULL || !pt_string_equal(topic->name, name))
	{
		int16		error;
		const PtTopic *found = kafka_topic_find(f->call, PT_OP_DESCRIBE, name, NULL, &error);

		if (found == NULL || !pt_offset_is_of(committed, &found->id))
			return;
		out->topics.items = grow(f->call, kafka_schema_OffsetFetchGroupTopicResponse(), out->topics.items,
								 out->topics.n, &f->topics_cap);
		topic = &out->topics.items[out->topics.n++];
		topic->name = pt_string_copy(name);
		memcpy(&topic->topic_id, &found->id, sizeof(topic->topic_id));
		f->topic_id = found->id;
		f->partitions_cap = 0;
	}
	else if (!pt_offset_is_of(committed, &f->topic_id))
		return;
	topic->partitions.items = grow(f->call, kafka_schema_OffsetFetchGroupPartitionResponse(),
								   topic->partitions.items, topic->partitions.n, &f->partitions_cap);
	topic->partitions.items[topic->partitions.n].partition_index = committed->partition;
	set_offset(f, name, committed, &topic->partitions.items[topic->partitions.n++]);
}

/*
 * Answers for one topic that was asked for.
 */
static void
fetch_topic(FetchGroup *f, const OffsetFetchGroupTopic *in, OffsetFetchGroupTopicResponse *out, int16 error)
{
	bool		by_id = f->call->api_version >= 10;
	int			n = in->partition_indexes.n;
	const PtTopic *topic = NULL;
	PtString	name;
	pg_uuid_t	id;

	out->name = in->name;
	out->topic_id = in->topic_id;
	if (error == KERR_NONE)
		topic = kafka_offsets_topic(f->call, PT_OP_DESCRIBE, in->name, by_id ? &in->topic_id : NULL, &name, &error);
	if (topic != NULL)
		id = topic->id;
	if (!by_id && f->out != NULL && topic == NULL && error != KERR_TOPIC_AUTHORIZATION_FAILED)
		error = KERR_NONE;		/* by name: a topic that does not exist has no
								 * committed offset */
	KAFKA_RESIZE(f->call, out->partitions, OffsetFetchGroupPartitionResponse, n);
	for (int i = 0; i < n; i++)
	{
		OffsetFetchGroupPartitionResponse *partition = &out->partitions.items[i];
		PtCommittedOffset committed;

		partition->partition_index = in->partition_indexes.items[i];
		partition->committed_offset = -1;
		partition->error_code = error;
		if (error == KERR_NONE && topic != NULL)
			set_offset(f, name, pt_offset_fetch(f->group_id, name, &id, partition->partition_index, true, &committed) ?
					   &committed : NULL, partition);
	}
}

/*
 * Answers for the topics that were asked for.
 */
static void
fetch_topics(FetchGroup *f, const OffsetFetchGroup *in, OffsetFetchGroupResponse *out, int16 error)
{
	KAFKA_RESIZE(f->call, out->topics, OffsetFetchGroupTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
		fetch_topic(f, &in->topics.items[i], &out->topics.items[i], error);
}

/*
 * Returns the coordinator's answer: may the client read the offsets?  From
 * version 9 on members of the consumer protocol say who they are.
 */
static int16
check_member(KafkaCall *call, const OffsetFetchGroup *in)
{
	CoordEvent	event = kafka_group_event(call, COORD_EV_FETCH, in->group_id);

	if (in->member_id.len >= 0)
		event.member_id = in->member_id;
	event.generation = in->member_epoch;
	return kafka_group_check(call, &event);
}

/*
 * Answers for one group; "error" is one that is known already.
 */
static void
fetch_group(KafkaCall *call, const OffsetFetchGroup *in, OffsetFetchGroupResponse *out, int16 error)
{
	FetchGroup	f = {.call = call,.group_id = in->group_id,.out = out};

	out->group_id = in->group_id;
	if (error == KERR_NONE && !kafka_may_group(call, in->group_id, PT_OP_DESCRIBE))
		error = KERR_GROUP_AUTHORIZATION_FAILED;
	if (error == KERR_NONE)
		error = check_member(call, in);
	if (error == KERR_NONE && ((OffsetFetchRequest *) call->request)->require_stable)
		f.unstable = find_unstable(call);
	out->error_code = error;
	if (error != KERR_NONE && call->api_version >= 2)
		return;
	if (error != KERR_NONE)
	{
		f.out = NULL;
		fetch_topics(&f, in, out, error);
	}
	else if (in->topics.n < 0)
		(void) pt_offsets_of_group(f.group_id, true, add_offset, &f);
	else
		fetch_topics(&f, in, out, KERR_NONE);
}

/*
 * Up to version 7: handles the request as one with a single group, and copies
 * the answer into the response.
 */
static void
fetch_one(KafkaCall *call, int16 error)
{
	const OffsetFetchRequest *in = call->request;
	OffsetFetchResponse *out = call->response;
	OffsetFetchGroup group = {.group_id = in->group_id,.member_id = {"", -1},.member_epoch = -1};
	OffsetFetchGroupResponse *answer = KAFKA_NEW(call, OffsetFetchGroupResponse, 1);

	group.topics.n = in->topics.n;
	group.topics.items = KAFKA_NEW(call, OffsetFetchGroupTopic, Max(in->topics.n, 0));
	for (int i = 0; i < in->topics.n; i++)
	{
		group.topics.items[i].name = in->topics.items[i].name;
		group.topics.items[i].partition_indexes.n = in->topics.items[i].partition_indexes.n;
		group.topics.items[i].partition_indexes.items = in->topics.items[i].partition_indexes.items;
	}
	fetch_group(call, &group, answer, error);
	out->error_code = answer->error_code;
	KAFKA_RESIZE(call, out->topics, OffsetFetchTopicResponse, answer->topics.n);
	for (int i = 0; i < answer->topics.n; i++)
	{
		out->topics.items[i].name = answer->topics.items[i].name;
		out->topics.items[i].partitions.n = answer->topics.items[i].partitions.n;
		out->topics.items[i].partitions.items = (OffsetFetchPartitionResponse *) answer->topics.items[i].partitions.items;
	}
}

/*
 * Answers for all groups, in the form of the version.
 */
static void
walk_request(KafkaCall *call, int16 error)
{
	const OffsetFetchRequest *in = call->request;
	OffsetFetchResponse *out = call->response;

	if (call->api_version < 8)
	{
		fetch_one(call, error);
		return;
	}
	KAFKA_RESIZE(call, out->groups, OffsetFetchGroupResponse, in->groups.n);
	for (int i = 0; i < in->groups.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_group(call, &in->groups.items[i], &out->groups.items[i], error);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
offset_fetch_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail.  Offsets that cannot be read yet, as after a promotion
 * while no standby has come, are those of a coordinator that is loading: after
 * that all clients ask again.  After NOT_COORDINATOR librdkafka does not, and
 * its consumer stands still until the next rebalance; after
 * COORDINATOR_NOT_AVAILABLE Java's before 3.9 fails.
 */
static void
offset_fetch_fail(KafkaCall *call, int16 code, const char *message)
{
	code = kafka_group_error(code);
	if (code == KERR_COORDINATOR_NOT_AVAILABLE || code == KERR_NOT_COORDINATOR)
		code = RecoveryInProgress() ? KERR_NOT_COORDINATOR : KERR_COORDINATOR_LOAD_IN_PROGRESS;
	walk_request(call, code);
}

const KafkaHandler kafka_handler_offset_fetch = {
	.begin = offset_fetch_begin,
	.fail = offset_fetch_fail
};
