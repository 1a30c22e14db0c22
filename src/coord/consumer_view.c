/*-------------------------------------------------------------------------
 *
 * consumer_view.c
 *	  Consumer groups: who may commit and fetch offsets, and how a group is
 *	  described.
 *
 * Siblings: consumer.h, describe.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"

static CoordError wrong_epoch(const ConsumerMember *member);
static const CoordTopicPartitions *describe_set(const CoordGroups *groups, const CoordConsumer *consumer,
												const ConsumerParts *set, int *n);

/* With the protocol of the member the name of the error changes. */
static CoordError
wrong_epoch(const ConsumerMember *member)
{
	return member->classic != NULL ? COORD_ILLEGAL_GENERATION : COORD_STALE_MEMBER_EPOCH;
}

/*
 * Members commit with their epoch; who is no member, only while there are
 * none.  A transaction need not say who it is.
 */
CoordError
consumer_commit(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const ConsumerMember *member;

	if (event->generation < 0 && group->nmembers == 0)
		return COORD_NONE;
	if (event->u.commit.transactional && event->generation == -1 && event->member_id.len <= 0 &&
		event->group_instance_id.len < 0)
		return COORD_NONE;
	member = group->consumer == NULL ? NULL : consumer_member_find(groups, group->consumer, event->member_id);
	if (member == NULL)
		return COORD_UNKNOWN_MEMBER_ID;
	if (!event->u.commit.transactional && member->classic == NULL && event->api_version < 9)
		return COORD_UNSUPPORTED_VERSION;
	return event->generation == member->epoch ? COORD_NONE : wrong_epoch(member);
}

/* Anybody may fetch offsets; who says that it is a member must be one. */
CoordError
consumer_fetch(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const ConsumerMember *member;

	if (event->member_id.len <= 0 && event->generation < 0)
		return COORD_NONE;
	member = group->consumer == NULL ? NULL : consumer_member_find(groups, group->consumer, event->member_id);
	if (member == NULL)
		return COORD_UNKNOWN_MEMBER_ID;
	return event->generation == member->epoch ? COORD_NONE : wrong_epoch(member);
}

/*
 * KIP-1251: a commit with an epoch that is past is good for a partition which
 * the member has had ever since.  To be asked for each partition when the
 * event COMMIT was refused for its epoch.
 */
CoordError
coord_commit_partition(const CoordGroups *groups, CoordBytes group_id, CoordBytes member_id, int32 epoch,
					   const CoordUuid *topic_id, int32 partition)
{
	const CoordGroup *group = coord_group_find(groups, group_id);
	const ConsumerMember *member;
	const ConsumerTopic *topic;
	const ConsumerPart *part = NULL;

	if (group == NULL || group->kind != COORD_KIND_CONSUMER || group->consumer == NULL)
		return COORD_ILLEGAL_GENERATION;
	member = consumer_member_find(groups, group->consumer, member_id);
	if (member == NULL)
		return COORD_UNKNOWN_MEMBER_ID;
	topic = consumer_topic_find(groups, group->consumer, topic_id);
	if (topic != NULL)
		part = consumer_part_find(&member->assigned, topic->slot, partition);
	if (topic != NULL && part == NULL)
		part = consumer_part_find(&member->revoking, topic->slot, partition);
	if (part == NULL || epoch > member->epoch || epoch < part->epoch)
		return wrong_epoch(member);
	return COORD_NONE;
}

CoordState
consumer_state(const CoordGroup *group)
{
	const CoordConsumer *consumer = group->consumer;
	dlist_iter	iter;

	if (group->nmembers == 0)
		return COORD_EMPTY;
	if (consumer->epoch > consumer->target_epoch)
		return COORD_ASSIGNING;
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->members))
	{
		const ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		if (member->state != CONSUMER_STABLE || member->epoch != consumer->target_epoch)
			return COORD_RECONCILING;
	}
	return COORD_STABLE;
}

CoordBytes
consumer_protocol_type(const CoordGroup *group)
{
	return PT_STRING("consumer");
}

/* A string of a description that may not be null. */
static CoordBytes
not_null(CoordBytes bytes)
{
	return bytes.len < 0 ? PT_STRING("") : bytes;
}

void
consumer_describe(const CoordGroups *groups, const CoordGroup *group, CoordDescription *out)
{
	const CoordConsumer *consumer = group->consumer;
	CoordMemberInfo *infos;
	const char *assignor;
	dlist_iter	iter;

	if (consumer == NULL)
		return;
	infos = palloc0(sizeof(CoordMemberInfo) * Max(group->nmembers, 1));
	assignor = coord_assignor_name(consumer_assignor(groups, consumer));
	out->protocol_name = (CoordBytes)
	{
		assignor, strlen(assignor)
	};
	out->generation = consumer->epoch;
	out->assignment_epoch = consumer->target_epoch;
	out->members = infos;
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->members))
	{
		const ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		infos->member_id = member->node.key;
		infos->group_instance_id = member->instance_id;
		infos->client_id = not_null(member->client_id);
		infos->client_host = not_null(member->client_host);
		infos->classic = member->classic != NULL;
		infos->metadata = PT_STRING("");
		infos->assignment = PT_STRING("");
		infos->rack_id = member->rack_id;
		infos->member_epoch = member->epoch;
		infos->nsubscribed = member->subscription->nnames;
		infos->subscribed_topic_names = member->subscription->names;
		infos->subscribed_topic_regex = member->subscription->regex == NULL ? COORD_NULL_BYTES :
			member->subscription->regex->node.key;
		infos->assigned = describe_set(groups, consumer, &member->assigned, &infos->nassigned);
		infos->target = describe_set(groups, consumer, &member->target, &infos->ntarget);
		infos++;
	}
	Assert(infos - out->members == group->nmembers);
}

/* A set by topics that exist, with their names, in one palloc'd block. */
static const CoordTopicPartitions *
describe_set(const CoordGroups *groups, const CoordConsumer *consumer, const ConsumerParts *set, int *n)
{
	CoordTopicPartitions *result = palloc0((sizeof(CoordTopicPartitions) + sizeof(int32)) * Max(set->n, 1));
	int32	   *partitions = (int32 *) (result + set->n);
	int32		last = -1;

	*n = 0;
	for (int i = 0; i < set->n; i++)
	{
		const ConsumerPart *part = &set->parts[i];
		CoordTopicEntry *entry = coord_topic_by_id(groups, &consumer->topics[part->topic]->id);

		partitions[i] = part->partition;
		if (entry == NULL)
			continue;
		if (part->topic != last)
			result[(*n)++] = (CoordTopicPartitions)
		{
			.topic_id = entry->id,
				.topic_name = entry->by_name.key,
				.partitions = &partitions[i],
		};
		last = part->topic;
		result[*n - 1].npartitions++;
	}
	return result;
}
