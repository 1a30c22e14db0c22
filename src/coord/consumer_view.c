/*-------------------------------------------------------------------------
 *
 * consumer_view.c
 *	  Consumer groups: who may commit and fetch offsets, and the description
 *	  of a group.
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

/*
 * Returns the error for a wrong epoch in the words of the member's protocol.
 */
static CoordError
wrong_epoch(const ConsumerMember *member)
{
	return member->classic != NULL ? COORD_ILLEGAL_GENERATION : COORD_STALE_MEMBER_EPOCH;
}

/*
 * CoordKindOps.commit.  Members commit with their epoch.  Other clients may
 * commit only while the group has no members.  A transaction's offsets do not
 * need to name the member.
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

/*
 * CoordKindOps.fetch.  Anybody may fetch offsets, but a client that says it
 * is a member has to be one.
 */
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
 * May the offset of this partition be committed, although COMMIT was refused?
 *
 * KIP-1251: after STALE_MEMBER_EPOCH, or ILLEGAL_GENERATION for classic
 * members, in a group of kind consumer, single partitions may still be
 * committed: those that the member has had since that epoch or longer.
 * Returns the error of the partition.
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

/*
 * CoordKindOps.state: Stable means that all members have the whole target.
 */
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

/*
 * CoordKindOps.protocol_type
 */
CoordBytes
consumer_protocol_type(const CoordGroup *group)
{
	return PT_STRING("consumer");
}

/*
 * Replaces null by an empty string; the field of the description is not
 * nullable.
 */
static CoordBytes
not_null(CoordBytes bytes)
{
	return bytes.len < 0 ? PT_STRING("") : bytes;
}

/*
 * CoordKindOps.describe: the members with what they have and their targets.
 */
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
			member->subscription->regex->pattern.regex;
		infos->viewer = member->subscription->regex == NULL ? 0 : member->subscription->regex->pattern.viewer;
		infos->assigned = describe_set(groups, consumer, &member->assigned, &infos->nassigned);
		infos->target = describe_set(groups, consumer, &member->target, &infos->ntarget);
		infos++;
	}
	Assert(infos - out->members == group->nmembers);
}

/*
 * Groups a set by topic, with names, in one palloc'd block.  Topics that do
 * not exist any more are left out.
 */
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
