/*-------------------------------------------------------------------------
 *
 * classic_rebalance.c
 *	  The phases of a classic group.
 *
 *	Empty				no members.
 *	PreparingRebalance	JoinGroup requests are collected until all members
 *						have joined, or until the longest rebalance timeout of
 *						the members is over.  If the group was empty before,
 *						it waits group.initial.rebalance.delay.ms for members,
 *						and again for that time whenever one has joined, up to
 *						the rebalance timeout.
 *	CompletingRebalance	the generation has begun and its members are known;
 *						the leader's SyncGroup brings the assignment.
 *	Stable				the members have their assignments.
 *
 * A member of a generation must ask for its assignment within the rebalance
 * timeout.
 *
 * Siblings: classic.h; classic.c (the requests that change the phase).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

/* Shortest time between two looks whether static members have come back. */
#define WAIT_FOR_STATIC_MS 1000

static void join_time_over(CoordGroups *groups, CoordTimer *timer);
static void sync_time_over(CoordGroups *groups, CoordTimer *timer);
static void initial_delay_over(CoordGroups *groups, CoordTimer *timer);

/*
 * True if all members have joined and nobody has an id to join with.
 */
bool
classic_all_joined(const CoordGroup *group)
{
	Assert(classic_of(group)->nawaiting_join <= group->nmembers);
	return classic_of(group)->nawaiting_join == group->nmembers && group->npending == 0;
}

/*
 * Returns the longest rebalance timeout of the members, in ms.
 */
static int32
rebalance_timeout(const CoordClassic *classic)
{
	int32		timeout_ms = 0;
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &classic->order))
		timeout_ms = Max(timeout_ms, dlist_container(ClassicMember, link, iter.cur)->rebalance_timeout_ms);
	return timeout_ms;
}

/*
 * Timer: the session of a member is over.  If one of its requests waits here,
 * the member stays, and gets a new session with the answer.  But a new member
 * whose first JoinGroup waits for too long is removed.
 */
static void
session_over(CoordGroups *groups, CoordTimer *timer)
{
	ClassicMember *member = coord_container(ClassicMember, session, timer);
	CoordGroup *group = member->group;
	CoordClassic *classic = classic_of(group);

	if (!member->is_new && (member->awaiting_join || member->awaiting_sync))
		return;
	classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	if (classic->state == COORD_STABLE || classic->state == COORD_COMPLETING_REBALANCE)
		classic_rebalance(groups, group);
	else if (classic->state == COORD_PREPARING_REBALANCE && classic_all_joined(group))
		classic_rebalance_complete(groups, group);
	coord_group_settle(groups, group);
}

/*
 * Starts the member's session again.
 */
void
classic_session_restart(CoordGroups *groups, ClassicMember *member, int32 timeout_ms)
{
	coord_timer_arm(groups, &member->session, groups->now + timeout_ms, session_over);
}

/*
 * Cancels the assignment of a generation that will never have one: answers
 * the SyncGroup requests that wait.
 */
static void
assignment_cancel(CoordGroups *groups, CoordClassic *classic)
{
	dlist_iter	iter;

	Assert(classic->state == COORD_COMPLETING_REBALANCE);
	dlist_foreach(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		classic_member_assign(groups, member, PT_STRING(""));
		if (!member->awaiting_sync)
			continue;
		coord_reply_sync(groups, member->sync_token, COORD_REBALANCE_IN_PROGRESS);
		member->awaiting_sync = false;
		classic_session_restart(groups, member, member->session_timeout_ms);
	}
}

/*
 * In the phase that begins no member has to sync.
 */
static void
pending_sync_clear(CoordGroups *groups, CoordClassic *classic)
{
	dlist_iter	iter;

	if (classic->npending_sync > 0)
	{
		dlist_foreach(iter, &classic->order)
			dlist_container(ClassicMember, link, iter.cur)->pending_sync = false;
		classic->npending_sync = 0;
	}
	coord_timer_cancel(groups, &classic->sync);
}

/*
 * Begins PreparingRebalance, from any other state.  If all members have
 * joined already, the rebalance is completed at once.
 */
void
classic_rebalance_prepare(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = classic_of(group);
	int32		timeout_ms = rebalance_timeout(classic);

	Assert(classic->state != COORD_PREPARING_REBALANCE);
	if (classic->state == COORD_COMPLETING_REBALANCE)
		assignment_cancel(groups, classic);
	pending_sync_clear(groups, classic);
	classic->initial = classic->state == COORD_EMPTY;
	classic->more_joined = false;
	classic->state = COORD_PREPARING_REBALANCE;
	if (classic->initial)
	{
		classic->delay_ms = groups->config.initial_rebalance_delay_ms;
		classic->remaining_ms = Max(timeout_ms - classic->delay_ms, 0);
		coord_timer_arm(groups, &classic->join, groups->now + classic->delay_ms, initial_delay_over);
	}
	else if (classic_all_joined(group))
		classic_rebalance_complete(groups, group);
	else
		coord_timer_arm(groups, &classic->join, groups->now + timeout_ms, join_time_over);
}

/*
 * To be called when the members or their protocols have changed: begins a
 * rebalance, or looks whether the one that is under way can be completed.
 */
void
classic_rebalance(CoordGroups *groups, CoordGroup *group)
{
	if (classic_of(group)->state == COORD_PREPARING_REBALANCE)
		classic_rebalance_try(groups, group);
	else
		classic_rebalance_prepare(groups, group);
}

/*
 * Completes a rebalance if all members have joined.  The initial delay of a
 * new group is not cut short.
 */
void
classic_rebalance_try(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = classic_of(group);

	if (classic->state == COORD_PREPARING_REBALANCE && !classic->initial && classic_all_joined(group))
		classic_rebalance_complete(groups, group);
}

/*
 * Timer: the initial delay is over.  It is extended if members have joined
 * since, up to the rebalance timeout.
 */
static void
initial_delay_over(CoordGroups *groups, CoordTimer *timer)
{
	CoordClassic *classic = coord_container(CoordClassic, join, timer);
	CoordGroup *group = classic->group;

	Assert(classic->state == COORD_PREPARING_REBALANCE && classic->initial);
	if (classic->more_joined && classic->remaining_ms > 0)
	{
		int32		delay_ms = Min(groups->config.initial_rebalance_delay_ms, classic->remaining_ms);

		classic->more_joined = false;
		classic->remaining_ms = Max(classic->remaining_ms - classic->delay_ms, 0);
		classic->delay_ms = delay_ms;
		coord_timer_arm(groups, timer, groups->now + delay_ms, initial_delay_over);
		return;
	}
	classic_rebalance_complete(groups, group);
	coord_group_settle(groups, group);
}

/*
 * Timer: members that have not joined by now are late.
 */
static void
join_time_over(CoordGroups *groups, CoordTimer *timer)
{
	CoordGroup *group = coord_container(CoordClassic, join, timer)->group;

	classic_rebalance_complete(groups, group);
	coord_group_settle(groups, group);
}

/*
 * Removes the dynamic members that have not joined.  Static members keep
 * their place until their session ends.
 */
static void
absent_remove(CoordGroups *groups, CoordClassic *classic)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		if (!member->awaiting_join && member->instance_id.len < 0)
			classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	}
}

/*
 * Makes sure that the leader is a member that has joined.  Returns false if
 * no member has.
 */
static bool
leader_elect(CoordClassic *classic)
{
	dlist_iter	iter;

	Assert(classic->leader != NULL);
	if (classic->leader->awaiting_join)
		return true;
	dlist_foreach(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		if (member->awaiting_join)
		{
			classic->leader = member;
			return true;
		}
	}
	return false;
}

/*
 * Makes the list of members that the leader gets, in memory of the step.
 */
static CoordJoinMember *
members_list(CoordGroups *groups, const CoordGroup *group)
{
	CoordJoinMember *members = coord_step_alloc(groups, group->nmembers * sizeof(CoordJoinMember));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &classic_of(group)->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		members[n].member_id = member->node.key;
		members[n].group_instance_id = member->instance_id;
		members[n++].metadata = classic_member_metadata(member);
	}
	Assert(n == group->nmembers);
	return members;
}

/*
 * Answers a JoinGroup with the present generation.  Only the leader gets the
 * list of members.
 */
CoordReply *
classic_join_answer(CoordGroups *groups, ClassicMember *member, uint64 token)
{
	CoordGroup *group = member->group;
	CoordClassic *classic = classic_of(group);
	CoordReply *reply = coord_reply(groups, token, COORD_EV_JOIN, COORD_NONE);

	Assert(classic->state == COORD_COMPLETING_REBALANCE || classic->state == COORD_STABLE);
	reply->u.join.generation = classic->generation;
	reply->u.join.protocol_type = classic->protocol_type;
	reply->u.join.protocol_name = classic->protocol->node.key;
	reply->u.join.leader = classic->leader->node.key;
	reply->u.join.member_id = member->node.key;
	if (member == classic->leader)
	{
		reply->u.join.nmembers = group->nmembers;
		reply->u.join.members = members_list(groups, group);
	}
	return reply;
}

/*
 * Begins the next generation: answers all JoinGroup requests that wait.  From
 * now on each member has to sync.
 */
static void
generation_begin(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = classic_of(group);
	dlist_iter	iter;

	dlist_foreach(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		if (member->awaiting_join)
		{
			member->awaiting_join = false;
			classic->nawaiting_join--;
			classic_join_answer(groups, member, member->join_token);
		}
		classic_session_restart(groups, member, member->session_timeout_ms);
		member->is_new = false;
		member->pending_sync = true;
		classic->npending_sync++;
	}
	Assert(classic->nawaiting_join == 0 && classic->npending_sync == group->nmembers);
	coord_timer_arm(groups, &classic->sync, groups->now + rebalance_timeout(classic), sync_time_over);
}

/*
 * Ends PreparingRebalance with the members that have joined.  If none has
 * joined, but static members have their place, it goes on until they join or
 * their sessions end.
 */
void
classic_rebalance_complete(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = classic_of(group);

	Assert(classic->state == COORD_PREPARING_REBALANCE);
	coord_timer_cancel(groups, &classic->join);
	absent_remove(groups, classic);
	if (group->nmembers > 0 && !leader_elect(classic))
	{
		/* a lower bound, because the timeout is the members' choice */
		int32		timeout_ms = Max(rebalance_timeout(classic), WAIT_FOR_STATIC_MS);

		classic->initial = false;
		coord_timer_arm(groups, &classic->join, groups->now + timeout_ms, join_time_over);
		return;
	}
	classic->initial = false;
	classic->generation++;
	Assert(classic->npending_sync == 0);
	if (group->nmembers == 0)
	{
		classic_choose(groups, group, NULL);
		classic->state = COORD_EMPTY;
		return;
	}
	classic_choose(groups, group, classic_vote(group));
	classic->state = COORD_COMPLETING_REBALANCE;
	generation_begin(groups, group);
}

/*
 * Timer: removes the members that have the generation and did not ask for
 * their assignment.
 */
static void
sync_time_over(CoordGroups *groups, CoordTimer *timer)
{
	CoordClassic *classic = coord_container(CoordClassic, sync, timer);
	CoordGroup *group = classic->group;
	dlist_mutable_iter iter;

	Assert(classic->state == COORD_COMPLETING_REBALANCE || classic->state == COORD_STABLE);
	Assert(classic->npending_sync > 0);
	dlist_foreach_modify(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		if (member->pending_sync)
			classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	}
	classic_rebalance_prepare(groups, group);
	coord_group_settle(groups, group);
}
