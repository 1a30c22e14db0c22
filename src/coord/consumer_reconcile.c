/*-------------------------------------------------------------------------
 *
 * consumer_reconcile.c
 *	  Moves a member of a consumer group from what it has to its target.
 *
 * This happens in each heartbeat, in two steps (KIP-848):
 *
 *	- What is not in the target moves from "assigned" to "revoking".  The
 *	  member stays at its epoch (CONSUMER_UNREVOKED) until it says that it has
 *	  given up all of that.
 *	- Then the member moves to the epoch of the target and gets the partitions
 *	  that nobody else holds.  While others hold some, it goes on with what it
 *	  has (CONSUMER_UNRELEASED).
 *
 * Partitions of topics to which the member no longer subscribes are taken at
 * once, even if the new target has not been made yet.
 *
 * Siblings: consumer.h, consumer_parts.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"

/* The state that a member moves to.  The arrays are in memory of the step. */
typedef struct Next
{
	ConsumerPart *assigned;		/* sorted; merge_given() adds the newly given
								 * ones */
	int			nassigned;
	ConsumerPart *given;		/* newly given: free partitions of its target */
	int			ngiven;
	ConsumerPart *revoking;		/* what it has to give up */
	int			nrevoking;
	bool		unreleased;		/* others still hold partitions of its target */
} Next;

static void make_next(CoordGroups *groups, ConsumerMember *member, Next *next);
static bool *subscribed_slots(CoordGroups *groups, const ConsumerMember *member);
static void go_on(CoordGroups *groups, ConsumerMember *member, const CoordTopicPartitions *owned, int nowned);
static void drop_unsubscribed(CoordGroups *groups, ConsumerMember *member, const CoordTopicPartitions *owned, int nowned);
static void merge_given(CoordGroups *groups, Next *next);
static void move_to(CoordGroups *groups, ConsumerMember *member, ConsumerState state, int32 epoch,
					const Next *next);
static int	compare_parts(const void *a, const void *b);
static bool owns(const CoordGroups *groups, const ConsumerMember *member, const ConsumerPart *parts, int n,
				 const CoordTopicPartitions *owned, int nowned);

/*
 * Moves the member towards its target; to be called with each of its
 * heartbeats.  "owned" is what the member says it has; nowned is -1 if it
 * does not say.  Returns true if its assignment has changed.
 */
bool
consumer_reconcile(CoordGroups *groups, ConsumerMember *member, bool subscription_changed,
				   const CoordTopicPartitions *owned, int nowned)
{
	ConsumerParts before = member->assigned;
	int32		target_epoch = member->consumer->target_epoch;

	switch (member->state)
	{
		case CONSUMER_STABLE:
			if (member->epoch != target_epoch)
				go_on(groups, member, owned, nowned);
			else if (subscription_changed)
				drop_unsubscribed(groups, member, owned, nowned);
			break;
		case CONSUMER_UNREVOKED:
			if (!owns(groups, member, member->revoking.parts, member->revoking.n, owned, nowned))
				go_on(groups, member, owned, nowned);
			else if (subscription_changed)
				drop_unsubscribed(groups, member, owned, nowned);
			break;
		case CONSUMER_UNRELEASED:
			go_on(groups, member, owned, nowned);
			break;
	}
	Assert(member->state != CONSUMER_STABLE || member->revoking.n == 0);

	/* blocks that were freed in this step can still be read */
	return !consumer_parts_equal(&member->assigned, before.parts, before.n);
}

/*
 * True if the member still has one of the partitions.  A member that does not
 * say what it has is assumed to have everything.
 */
static bool
owns(const CoordGroups *groups, const ConsumerMember *member, const ConsumerPart *parts, int n,
	 const CoordTopicPartitions *owned, int nowned)
{
	ConsumerParts set = {n, unconstify(ConsumerPart *, parts)};

	return nowned < 0 || consumer_owns_any(groups, member, &set, owned, nowned);
}

/*
 * Takes the next step towards the target: first the member has to give up
 * what is not in its target, then it moves to the target's epoch and gets the
 * partitions that are free.
 */
static void
go_on(CoordGroups *groups, ConsumerMember *member, const CoordTopicPartitions *owned, int nowned)
{
	CoordConsumer *consumer = member->consumer;
	Next		next;

	make_next(groups, member, &next);
	if (next.nrevoking > 0 && owns(groups, member, next.revoking, next.nrevoking, owned, nowned))
	{
		move_to(groups, member, CONSUMER_UNREVOKED, member->epoch, &next);
		return;
	}
	next.nrevoking = 0;
	merge_given(groups, &next);
	move_to(groups, member, next.unreleased ? CONSUMER_UNRELEASED : CONSUMER_STABLE, consumer->target_epoch, &next);
}

/*
 * Compares what the member has with its target and fills *next.
 */
static void
make_next(CoordGroups *groups, ConsumerMember *member, Next *next)
{
	const CoordConsumer *consumer = member->consumer;
	const ConsumerParts *target = &member->target;
	bool	   *subscribed = subscribed_slots(groups, member);

	memset(next, 0, sizeof(*next));
	next->assigned = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(member->assigned.n + target->n, 1));
	next->revoking = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(member->assigned.n, 1));
	next->given = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(target->n, 1));

	for (int i = 0; i < member->assigned.n; i++)
	{
		const ConsumerPart *part = &member->assigned.parts[i];

		if (subscribed[part->topic] && consumer_part_find(target, part->topic, part->partition) != NULL)
			next->assigned[next->nassigned++] = *part;
		else
			next->revoking[next->nrevoking++] = *part;
	}
	for (int i = 0; i < target->n; i++)
	{
		const ConsumerPart *part = &target->parts[i];
		const ConsumerMember *owner = consumer_owner(consumer, part->topic, part->partition);

		if (!subscribed[part->topic] || consumer_part_find(&member->assigned, part->topic, part->partition) != NULL)
			continue;

		/*
		 * partitions that the member itself is giving up, and should have
		 * after all, are not in its way
		 */
		if (owner != NULL && owner != member)
			next->unreleased = true;
		else
			next->given[next->ngiven++] = (ConsumerPart)
		{
			part->topic, part->partition, consumer->target_epoch
		};
	}
}

/*
 * Returns an array by slot: true if the topic exists and the member
 * subscribes to it.
 */
static bool *
subscribed_slots(CoordGroups *groups, const ConsumerMember *member)
{
	const CoordConsumer *consumer = member->consumer;
	const ConsumerSubscription *subscription = member->subscription;
	CoordTopicSet *set = coord_topics(groups);
	bool	   *result = coord_step_alloc(groups, Max(consumer->nslots, 1));

	set->stamp++;
	for (int i = 0; i < subscription->nnames; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_name(groups, subscription->names[i]);

		if (entry != NULL)
			entry->stamp = set->stamp;
	}
	if (subscription->regex != NULL)
	{
		coord_regex_resolve(groups, subscription->regex);
		for (int i = 0; i < subscription->regex->ntopics; i++)
			set->entries[subscription->regex->topics[i]].stamp = set->stamp;
	}
	for (int i = 0; i < consumer->nslots; i++)
	{
		CoordTopicEntry *entry = consumer->topics[i] == NULL ? NULL : coord_topic_by_id(groups, &consumer->topics[i]->id);

		result[i] = entry != NULL && entry->stamp == set->stamp;
	}
	return result;
}

/*
 * The subscription has changed, but the target has not: takes the partitions
 * of topics to which the member no longer subscribes.
 */
static void
drop_unsubscribed(CoordGroups *groups, ConsumerMember *member, const CoordTopicPartitions *owned, int nowned)
{
	bool	   *subscribed = subscribed_slots(groups, member);
	int			most = member->assigned.n + member->revoking.n;
	Next		next = {0};
	ConsumerState state = member->state;

	next.assigned = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(most, 1));
	next.revoking = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(most, 1));
	for (int i = 0; i < member->revoking.n; i++)
		next.revoking[next.nrevoking++] = member->revoking.parts[i];
	for (int i = 0; i < member->assigned.n; i++)
	{
		const ConsumerPart *part = &member->assigned.parts[i];

		if (subscribed[part->topic])
			next.assigned[next.nassigned++] = *part;
		else
			next.revoking[next.nrevoking++] = *part;
	}
	if (next.nassigned == member->assigned.n)
		return;
	qsort(next.revoking, next.nrevoking, sizeof(ConsumerPart), compare_parts);
	if (owns(groups, member, next.revoking, next.nrevoking, owned, nowned))
		state = CONSUMER_UNREVOKED;
	else
		next.nrevoking = 0;
	move_to(groups, member, state, member->epoch, &next);
}

/*
 * Merges the given partitions into the assigned ones.
 */
static void
merge_given(CoordGroups *groups, Next *next)
{
	for (int i = 0; i < next->ngiven; i++)
		next->assigned[next->nassigned++] = next->given[i];
	qsort(next->assigned, next->nassigned, sizeof(ConsumerPart), compare_parts);
}

/*
 * The order of a set; the epoch is not part of it.
 */
static int
compare_parts(const void *a, const void *b)
{
	const ConsumerPart *x = a;
	const ConsumerPart *y = b;

	if (x->topic != y->topic)
		return x->topic < y->topic ? -1 : 1;
	return x->partition < y->partition ? -1 : x->partition > y->partition;
}

/*
 * Moves the member to a state, an epoch and these sets.  Each change starts
 * the time anew in which it has to give up what is in "revoking".
 */
static void
move_to(CoordGroups *groups, ConsumerMember *member, ConsumerState state, int32 epoch, const Next *next)
{
	bool		moved = state != member->state || epoch != member->epoch;

	Assert(state == CONSUMER_UNREVOKED || next->nrevoking == 0);
	Assert(epoch <= member->consumer->target_epoch);
	if (!consumer_parts_equal(&member->assigned, next->assigned, next->nassigned) ||
		!consumer_parts_equal(&member->revoking, next->revoking, next->nrevoking))
	{
		consumer_let_go(member);
		consumer_parts_replace(groups, &member->assigned, next->assigned, next->nassigned);
		consumer_parts_replace(groups, &member->revoking, next->revoking, next->nrevoking);
		consumer_hold(member);
		moved = true;
	}
	if (!moved)
		return;
	member->previous_epoch = member->epoch;
	member->epoch = epoch;
	member->state = state;
	if (member->classic != NULL)
		return;
	if (state == CONSUMER_UNREVOKED)
		consumer_rebalance_start(groups, member);
	else
		coord_timer_cancel(groups, &member->rebalance);
}
