/*-------------------------------------------------------------------------
 *
 * consumer_verify.c
 *	  Checks that the state of a consumer group is consistent.  For tests; it
 *	  is too slow for a server.
 *
 * Siblings: verify.c (all groups), consumer_types.h (the invariants).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#ifdef USE_ASSERT_CHECKING

#include "coord/consumer.h"

/*
 * A set is sorted, has no duplicates, and all of its topics have slots.  If
 * "owner" is given, it holds all of the partitions.
 */
static void
parts_verify(const CoordConsumer *consumer, const ConsumerParts *set, const ConsumerMember *owner)
{
	Assert((set->n > 0) == (set->parts != NULL));
	for (int i = 0; i < set->n; i++)
	{
		const ConsumerPart *part = &set->parts[i];

		Assert(part->topic >= 0 && part->topic < consumer->nslots && consumer->topics[part->topic] != NULL);
		Assert(part->partition >= 0 && part->partition < consumer->topics[part->topic]->npartitions);
		Assert(owner == NULL || consumer_owner(consumer, part->topic, part->partition) == owner);
		Assert(i == 0 || part[-1].topic < part->topic ||
			   (part[-1].topic == part->topic && part[-1].partition < part->partition));
	}
}

/*
 * A member's epoch, sets and timers fit together.
 */
static void
member_verify(const CoordConsumer *consumer, const ConsumerMember *member)
{
	Assert(member->consumer == consumer);
	Assert(member->epoch >= CONSUMER_LEAVE_STATIC && member->epoch <= consumer->target_epoch);
	Assert(member->epoch != CONSUMER_LEAVE_STATIC || member->instance_id.len >= 0);
	Assert(member->subscription != NULL && member->subscription->nmembers > 0);
	parts_verify(consumer, &member->assigned, member);
	parts_verify(consumer, &member->revoking, member);
	parts_verify(consumer, &member->target, NULL);
	Assert((member->revoking.n > 0) <= (member->state == CONSUMER_UNREVOKED));
	/* a timer notices if the member vanishes, or keeps what it must give up */
	Assert(member->session.slot != 0);
	Assert(member->classic != NULL || member->state != CONSUMER_UNREVOKED || member->rebalance.slot != 0);
	Assert(member->classic == NULL || member->rebalance.slot == 0);
	Assert(member->classic != NULL || (member->join.slot == 0 && member->sync.slot == 0));
}

/*
 * Each topic is in its slot and its count of owners is right.  Returns the
 * number of partitions that have an owner.
 */
static int
topics_verify(const CoordConsumer *consumer)
{
	uint32		ntopics = 0;
	int			nowned = 0;

	for (int i = 0; i < consumer->nslots; i++)
	{
		const ConsumerTopic *topic = consumer->topics[i];
		int			n = 0;

		if (topic == NULL)
			continue;
		ntopics++;
		Assert(topic->slot == i);
		for (int p = 0; p < topic->npartitions; p++)
			n += topic->owner[p] != NULL;
		Assert(n == topic->nowned);
		nowned += n;
	}
	Assert(ntopics == consumer->by_topic.n);
	return nowned;
}

/*
 * Each subscription is counted once, and each member has one.
 */
static void
subscriptions_verify(const CoordConsumer *consumer, int nmembers)
{
	uint32		n = 0;
	int			subscribers = 0;
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &consumer->subscriptions))
	{
		const ConsumerSubscription *subscription = dlist_container(ConsumerSubscription, link, iter.cur);

		Assert(subscription->regex == NULL || subscription->regex->refs > 0);
		subscribers += subscription->nmembers;
		n++;
	}
	Assert(n == consumer->by_subscription.n && subscribers == nmembers);
}

/*
 * Fails an Assert if the state of a consumer group is not consistent.
 */
void
consumer_verify(const CoordGroup *group)
{
	const CoordConsumer *consumer = group->consumer;
	int			nmembers = 0;
	int			nclassic = 0;
	int			nstatic = 0;
	int			nheld = 0;
	int			votes[COORD_ASSIGNORS] = {0};
	dlist_iter	iter;

	Assert(consumer != NULL && consumer->group == group && group->npending == 0);
	Assert(consumer->target_epoch <= consumer->epoch);
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->members))
	{
		const ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		member_verify(consumer, member);
		nmembers++;
		nclassic += member->classic != NULL;
		nstatic += member->instance_id.len >= 0;
		nheld += member->assigned.n + member->revoking.n;
		if (member->assignor >= 0)
			votes[member->assignor]++;
	}
	Assert(nmembers == group->nmembers && nmembers == (int) consumer->by_id.n);
	Assert(nclassic == consumer->nclassic && nstatic == (int) consumer->by_instance.n);
	Assert(memcmp(votes, consumer->votes, sizeof(votes)) == 0);
	Assert(nheld == topics_verify(consumer));
	subscriptions_verify(consumer, nmembers);
}

#endif
