/*-------------------------------------------------------------------------
 *
 * consumer_reconcile.c
 *	  Lead a member of a consumer group from what it has to what it should
 *	  have.
 *
 * One call per heartbeat.  First what is not in the target is taken out of
 * "assigned" and put into "revoking": the member goes on at its epoch
 * (CONSUMER_UNREVOKED) until it says that it has given up all of it.  Then it
 * moves to the epoch of the target, and is given what nobody else holds; while
 * others still hold some of it, it waits for that with what it has
 * (CONSUMER_UNRELEASED).
 *
 * Topics that the member no longer subscribes to are taken at once, even
 * when the target that knows of it is still to be made.
 *
 * Siblings: consumer.h, consumer_parts.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"

/* Where a member goes: sets in memory of the step. */
typedef struct Next
{
	ConsumerPart *assigned;		/* sorted; newly given ones are merged in at
								 * the end */
	int			nassigned;
	ConsumerPart *given;
	int			ngiven;
	ConsumerPart *revoking;
	int			nrevoking;
	bool		unreleased;
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

	/* Blocks that were freed in this step can still be read. */
	return !consumer_parts_equal(&member->assigned, before.parts, before.n);
}

/* Who does not say what it has is taken to have everything. */
static bool
owns(const CoordGroups *groups, const ConsumerMember *member, const ConsumerPart *parts, int n,
	 const CoordTopicPartitions *owned, int nowned)
{
	ConsumerParts set = {n, unconstify(ConsumerPart *, parts)};

	return nowned < 0 || consumer_owns_any(groups, member, &set, owned, nowned);
}

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

/* Compare what the member has with its target. */
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
		 * What the member itself is giving up and should have again after all
		 * is not in its way.
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

/* By slot: does the member subscribe to the topic, and does it exist? */
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
 * Its subscription changed, but not its target: take what it no longer
 * subscribes to.
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

/* What is given goes to its place among what is kept. */
static void
merge_given(CoordGroups *groups, Next *next)
{
	for (int i = 0; i < next->ngiven; i++)
		next->assigned[next->nassigned++] = next->given[i];
	qsort(next->assigned, next->nassigned, sizeof(ConsumerPart), compare_parts);
}

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
 * The member is there; the time to give up what is in revoking starts with
 * each change.
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
