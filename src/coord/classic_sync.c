/*-------------------------------------------------------------------------
 *
 * classic_sync.c
 *	  SyncGroup in a classic group: the leader's brings the assignment, all others wait for it.
 *
 * Siblings: classic.h, classic_rebalance.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

void
classic_sync_answer(CoordGroups *groups, ClassicMember *member, uint64 token)
{
	const CoordClassic *classic = classic_of(member->group);
	CoordReply *reply = coord_reply(groups, token, COORD_EV_SYNC, COORD_NONE);

	Assert(classic->protocol != NULL);
	reply->u.sync.protocol_type = classic->protocol_type;
	reply->u.sync.protocol_name = classic->protocol->node.key;
	reply->u.sync.assignment = member->assignment;
}

/* What the client believes to be the group's protocol (version 5) must be it. */
static CoordError
sync_check(const CoordGroups *groups, const CoordGroup *group, const CoordEvent *event)
{
	const CoordClassic *classic = classic_of(group);
	const CoordSync *sync = &event->u.sync;
	CoordError	error = classic_check(groups, group, event->member_id, event->group_instance_id);

	if (error != COORD_NONE)
		return error;
	if (event->generation != classic->generation)
		return COORD_ILLEGAL_GENERATION;
	if (sync->protocol_type.len >= 0 && !coord_bytes_equal(sync->protocol_type, classic->protocol_type))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (sync->protocol_name.len >= 0 && classic->protocol != NULL &&
		!coord_bytes_equal(sync->protocol_name, classic->protocol->node.key))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	return COORD_NONE;
}

/* Members that the leader left out have no partitions; ids that are no members' are ignored. */
static void
assignment_take(CoordGroups *groups, CoordGroup *group, const CoordSync *sync)
{
	CoordClassic *classic = classic_of(group);
	dlist_iter	iter;

	dlist_foreach(iter, &classic->order)
		classic_member_assign(groups, dlist_container(ClassicMember, link, iter.cur), coord_bytes_literal(""));
	for (int i = 0; i < sync->nassignments; i++)
	{
		ClassicMember *member = classic_member_find(groups, group, sync->assignments[i].member_id);

		if (member != NULL)
			classic_member_assign(groups, member, sync->assignments[i].assignment);
	}
}

/* The assignment is there: all who wait for theirs get it. */
static void
assignment_give(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = classic_of(group);
	dlist_iter	iter;

	classic->state = COORD_STABLE;
	dlist_foreach(iter, &classic->order)
	{
		ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		if (!member->awaiting_sync)
			continue;
		member->awaiting_sync = false;
		classic_sync_answer(groups, member, member->sync_token);
		/* while it waited its session may have ended without effect */
		classic_session_restart(groups, member, member->session_timeout_ms);
	}
}

static void
sync_completing(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *member)
{
	if (member->awaiting_sync)
		coord_reply_sync(groups, member->sync_token, COORD_REBALANCE_IN_PROGRESS);
	member->awaiting_sync = true;
	member->sync_token = event->token;
	classic_member_synced(groups, member);
	if (member == classic_of(group)->leader)
	{
		assignment_take(groups, group, &event->u.sync);
		assignment_give(groups, group);
	}
}

void
classic_sync(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordError	error = sync_check(groups, group, event);
	ClassicMember *member;

	if (error != COORD_NONE)
	{
		coord_reply_sync(groups, event->token, error);
		return;
	}
	member = classic_member_find(groups, group, event->member_id);
	Assert(member != NULL);
	switch (classic_of(group)->state)
	{
		case COORD_COMPLETING_REBALANCE:
			sync_completing(groups, group, event, member);
			break;
		case COORD_STABLE:
			classic_member_synced(groups, member);
			classic_session_restart(groups, member, member->session_timeout_ms);
			classic_sync_answer(groups, member, event->token);
			break;
		default:
			Assert(classic_of(group)->state == COORD_PREPARING_REBALANCE);
			coord_reply_sync(groups, event->token, COORD_REBALANCE_IN_PROGRESS);
			break;
	}
}
