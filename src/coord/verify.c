/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Checks that the state of the coordinator is consistent.
 *
 * The simulation calls this after each step.  It walks everything, which an
 * Assert on a hot path could not.  README.md lists the invariants.
 *
 * Siblings: internal.h, classic.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"
#include "coord/consumer.h"

#ifdef USE_ASSERT_CHECKING

/*
 * All nodes of a table are in the right bucket.  Returns their number.
 */
static uint32
table_verify(const CoordTable *table)
{
	uint32		n = 0;

	for (uint32 i = 0; i < table->nbuckets; i++)
	{
		for (CoordNode *node = table->buckets[i]; node != NULL; node = node->next)
		{
			Assert((node->hash & (table->nbuckets - 1)) == i);
			n++;
		}
	}
	Assert(n == table->n);
	return n;
}

/*
 * The heap is ordered and each timer knows its place.
 */
static void
heap_verify(const CoordGroups *groups)
{
	for (int i = 0; i < groups->nheap; i++)
	{
		Assert(groups->heap[i]->slot == i + 1);
		Assert(groups->heap[i]->fire != NULL);
		Assert(i == 0 || groups->heap[(i - 1) / 2]->at <= groups->heap[i]->at);
	}
}

/*
 * A member's flags fit the state of the group, and it supports a protocol
 * that all support.
 */
static void
member_verify(const CoordGroup *group, const ClassicMember *member)
{
	const CoordClassic *classic = group->classic;
	bool		preparing = classic->state == COORD_PREPARING_REBALANCE;
	bool		common = false;

	Assert(member->group == group);
	Assert(!member->awaiting_join || preparing);
	Assert(!member->awaiting_sync || classic->state == COORD_COMPLETING_REBALANCE);
	Assert(!member->pending_sync || !preparing);
	/* a timer or a request that waits notices if the member vanishes */
	Assert(member->session.slot != 0 || member->awaiting_join || member->awaiting_sync);
	Assert(member->nsupported > 0);
	for (int i = 0; i < member->nsupported; i++)
	{
		Assert(member->supported[i].protocol->votes == 0);
		common |= member->supported[i].protocol->nmembers == group->nmembers;
	}
	Assert(common);
}

/*
 * The counts and timers of a classic group fit its members and its state.
 */
static void
classic_verify(const CoordGroup *group)
{
	const CoordClassic *classic = group->classic;
	int			nmembers = 0;
	int			nawaiting_join = 0;
	int			npending_sync = 0;
	bool		led = false;
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &classic->order))
	{
		const ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		member_verify(group, member);
		nmembers++;
		nawaiting_join += member->awaiting_join;
		npending_sync += member->pending_sync;
		led |= member == classic->leader;
	}
	Assert(nmembers == group->nmembers && nmembers == table_verify(&classic->members));
	Assert(nawaiting_join == classic->nawaiting_join && npending_sync == classic->npending_sync);
	Assert(led == (nmembers > 0) && (classic->leader != NULL) == led);
	Assert(group->npending == table_verify(&classic->pending));
	Assert(table_verify(&classic->instances) <= nmembers);
	table_verify(&classic->protocols);
	/* each phase has the timer that ends it */
	Assert((classic->join.slot != 0) == (classic->state == COORD_PREPARING_REBALANCE));
	Assert((classic->sync.slot != 0) == (npending_sync > 0));
	Assert(nmembers > 0 || classic->state == COORD_EMPTY || classic->state == COORD_PREPARING_REBALANCE);
	Assert(classic->protocol == NULL || classic->state != COORD_EMPTY);
}

/*
 * Fails an Assert if the state of the coordinator is not consistent.
 */
void
coord_verify(const CoordGroups *groups)
{
	uint32		n = 0;
	dlist_iter	iter;

	heap_verify(groups);
	dlist_foreach(iter, unconstify(dlist_head *, &groups->all))
	{
		const CoordGroup *group = dlist_container(CoordGroup, link, iter.cur);
		bool		empty = group->nmembers == 0 && group->npending == 0;

		n++;
		Assert(group->told == group->nmembers && !group->changed);
		Assert(empty == (group->linger.slot != 0));
		Assert((group->ops == NULL) == (group->kind == COORD_KIND_EMPTY));
		if (group->kind == COORD_KIND_CLASSIC)
			classic_verify(group);
		else if (group->kind == COORD_KIND_CONSUMER)
			consumer_verify(group);
	}
	Assert(n == table_verify(&groups->by_id));
}

#endif
