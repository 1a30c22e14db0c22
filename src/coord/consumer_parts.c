/*-------------------------------------------------------------------------
 *
 * consumer_parts.c
 *	  Sets of partitions of consumer groups, and the owners of partitions.
 *
 * A set is an array, sorted by the slot of the topic and the partition.  A
 * topic gets a slot when the first member subscribes to it, and loses it when
 * no target has it and no member holds one of its partitions.
 *
 * Siblings: consumer.h, consumer_reconcile.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"

#define FIRST_SLOTS 4

/*
 * Finds a partition in a set; NULL if it is not there.
 */
ConsumerPart *
consumer_part_find(const ConsumerParts *set, int32 topic, int32 partition)
{
	int			low = 0;
	int			high = set->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		ConsumerPart *part = &set->parts[middle];

		if (part->topic == topic && part->partition == partition)
			return part;
		if (part->topic < topic || (part->topic == topic && part->partition < partition))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Replaces a set by a copy of "parts", which must be sorted and must not be
 * the set's own memory.  The owners are the caller's business.
 */
void
consumer_parts_replace(CoordGroups *groups, ConsumerParts *set, const ConsumerPart *parts, int n)
{
	for (int i = 1; i < n; i++)
		Assert(parts[i - 1].topic < parts[i].topic ||
			   (parts[i - 1].topic == parts[i].topic && parts[i - 1].partition < parts[i].partition));
	coord_free(groups, set->parts);
	set->parts = NULL;
	set->n = n;
	if (n > 0)
	{
		set->parts = coord_alloc(groups, sizeof(ConsumerPart) * n);
		memcpy(set->parts, parts, sizeof(ConsumerPart) * n);
	}
}

/*
 * True if both have the same partitions.  Epochs do not count.
 */
bool
consumer_parts_equal(const ConsumerParts *set, const ConsumerPart *parts, int n)
{
	if (set->n != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (set->parts[i].topic != parts[i].topic || set->parts[i].partition != parts[i].partition)
			return false;
	}
	return true;
}

/*
 * Finds the group's entry of a topic; NULL if the group does not use it.
 */
ConsumerTopic *
consumer_topic_find(const CoordGroups *groups, const CoordConsumer *consumer, const CoordUuid *id)
{
	CoordBytes	key = {(const char *) id->data, sizeof(id->data)};
	CoordNode  *node = coord_table_find(groups, &consumer->by_topic, key);

	return node == NULL ? NULL : coord_container(ConsumerTopic, node, node);
}

/*
 * Returns a free slot; doubles the array if there is none.
 */
static int
free_slot(CoordGroups *groups, CoordConsumer *consumer)
{
	int			used = consumer->nslots;
	int			slots = Max(used * 2, FIRST_SLOTS);
	ConsumerTopic **topics;

	if (consumer->by_topic.n < (uint32) used)
	{
		for (int i = 0; i < used; i++)
		{
			if (consumer->topics[i] == NULL)
				return i;
		}
		Assert(false);
	}
	topics = coord_alloc(groups, sizeof(ConsumerTopic *) * slots);
	if (used > 0)
		memcpy(topics, consumer->topics, sizeof(ConsumerTopic *) * used);
	coord_free(groups, consumer->topics);
	consumer->topics = topics;
	consumer->nslots = slots;
	return used;
}

/*
 * Returns the group's entry of a topic, with room for all of its partitions.
 * It is made if there is none.
 */
ConsumerTopic *
consumer_topic_get(CoordGroups *groups, CoordConsumer *consumer, const CoordTopicEntry *entry)
{
	ConsumerTopic *topic = consumer_topic_find(groups, consumer, &entry->id);

	if (topic == NULL)
	{
		int			slot = free_slot(groups, consumer);

		topic = coord_alloc(groups, sizeof(ConsumerTopic));
		topic->id = entry->id;
		topic->slot = slot;
		topic->node.key = (CoordBytes)
		{
			(const char *) topic->id.data, sizeof(topic->id.data)
		};
		Assert(consumer->topics[slot] == NULL);
		consumer->topics[slot] = topic;
		coord_table_add(groups, &consumer->by_topic, &topic->node);
	}
	if (topic->npartitions < entry->npartitions)
	{
		ConsumerMember **owner = coord_alloc(groups, sizeof(ConsumerMember *) * entry->npartitions);

		if (topic->npartitions > 0)
			memcpy(owner, topic->owner, sizeof(ConsumerMember *) * topic->npartitions);
		coord_free(groups, topic->owner);
		topic->owner = owner;
		topic->npartitions = entry->npartitions;
	}
	return topic;
}

/*
 * Frees the entries, and so the slots, of topics that are in no target and of
 * which nobody holds a partition.
 */
void
consumer_topics_sweep(CoordGroups *groups, CoordConsumer *consumer)
{
	bool	   *used = coord_step_alloc(groups, Max(consumer->nslots, 1));
	dlist_iter	iter;

	memset(used, 0, Max(consumer->nslots, 1));
	dlist_foreach(iter, &consumer->members)
	{
		ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		for (int i = 0; i < member->target.n; i++)
			used[member->target.parts[i].topic] = true;
	}
	for (int i = 0; i < consumer->nslots; i++)
	{
		ConsumerTopic *topic = consumer->topics[i];

		if (topic == NULL || topic->nowned > 0 || used[i])
			continue;
		coord_table_remove(&consumer->by_topic, &topic->node);
		coord_free(groups, topic->owner);
		coord_free(groups, topic);
		consumer->topics[i] = NULL;
	}
}

/*
 * True if the member still has a partition of the set, as far as it says.
 */
bool
consumer_owns_any(const CoordGroups *groups, const ConsumerMember *member, const ConsumerParts *set,
				  const CoordTopicPartitions *owned, int nowned)
{
	for (int i = 0; set->n > 0 && i < nowned; i++)
	{
		ConsumerTopic *topic = consumer_topic_find(groups, member->consumer, &owned[i].topic_id);

		for (int j = 0; topic != NULL && j < owned[i].npartitions; j++)
		{
			if (consumer_part_find(set, topic->slot, owned[i].partitions[j]) != NULL)
				return true;
		}
	}
	return false;
}

/*
 * True if the member has no partition outside the set, as far as it says.
 */
bool
consumer_owns_only(const CoordGroups *groups, const ConsumerMember *member, const ConsumerParts *set,
				   const CoordTopicPartitions *owned, int nowned)
{
	for (int i = 0; i < nowned; i++)
	{
		ConsumerTopic *topic = consumer_topic_find(groups, member->consumer, &owned[i].topic_id);

		if (topic == NULL)
			return false;
		for (int j = 0; j < owned[i].npartitions; j++)
		{
			if (consumer_part_find(set, topic->slot, owned[i].partitions[j]) == NULL)
				return false;
		}
	}
	return true;
}

/*
 * Returns the member that may be reading the partition, or NULL.  The slot
 * must be in use and the partition below its number of partitions.
 */
ConsumerMember *
consumer_owner(const CoordConsumer *consumer, int32 topic, int32 partition)
{
	ConsumerTopic *t;

	Assert(topic >= 0 && topic < consumer->nslots);
	t = consumer->topics[topic];
	Assert(t != NULL && partition >= 0 && partition < t->npartitions);
	return t->owner[partition];
}

/*
 * Changes the owner of all partitions of a set, from one member or NULL to
 * another.
 */
static void
set_owner(ConsumerMember *member, const ConsumerParts *set, ConsumerMember *from, ConsumerMember *to)
{
	for (int i = 0; i < set->n; i++)
	{
		ConsumerTopic *topic = member->consumer->topics[set->parts[i].topic];

		Assert(set->parts[i].partition < topic->npartitions);
		Assert(topic->owner[set->parts[i].partition] == from);
		topic->owner[set->parts[i].partition] = to;
		topic->nowned += to != NULL ? 1 : -1;
		Assert(topic->nowned >= 0);
	}
}

/*
 * Makes the member the owner of all partitions in its sets.  They must be
 * free.
 */
void
consumer_hold(ConsumerMember *member)
{
	set_owner(member, &member->assigned, NULL, member);
	set_owner(member, &member->revoking, NULL, member);
}

/*
 * Makes all partitions of the member free.  To be called before its sets
 * change; consumer_hold() follows.
 */
void
consumer_let_go(ConsumerMember *member)
{
	set_owner(member, &member->assigned, member, NULL);
	set_owner(member, &member->revoking, member, NULL);
}

/*
 * Groups a set by topic, with topic ids, in memory of the step.
 */
CoordTopicPartitions *
consumer_parts_export(CoordGroups *groups, const CoordConsumer *consumer, const ConsumerParts *set, int *n)
{
	CoordTopicPartitions *result;
	int32	   *partitions = coord_step_alloc(groups, sizeof(int32) * Max(set->n, 1));

	*n = 0;
	for (int i = 0; i < set->n; i++)
		*n += i == 0 || set->parts[i].topic != set->parts[i - 1].topic;
	result = coord_step_alloc(groups, sizeof(CoordTopicPartitions) * Max(*n, 1));

	*n = 0;
	for (int i = 0; i < set->n; i++)
	{
		if (i == 0 || set->parts[i].topic != set->parts[i - 1].topic)
			result[(*n)++] = (CoordTopicPartitions)
		{
			.topic_id = consumer->topics[set->parts[i].topic]->id,
				.topic_name = COORD_NULL_BYTES,
				.partitions = &partitions[i],
		};
		partitions[i] = set->parts[i].partition;
		result[*n - 1].npartitions++;
	}
	return result;
}
