/*-------------------------------------------------------------------------
 *
 * classic_join.c
 *	  JoinGroup in a classic group.
 *
 * A client without a member id gets one: a static one (group instance id) joins with it at once, in the
 * place of whoever had that instance id; a dynamic one is sent away with it from version 4 on (KIP-394), so that a
 * client which never gets the answer leaves no member behind.
 *
 * Siblings: classic.h, classic_rebalance.c (what joining leads to).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

#define VERSION_MEMBER_ID_REQUIRED 4
#define VERSION_SKIP_ASSIGNMENT 9

/*
 * Is there room?  While joins are collected those count that have joined, so that when the maximum was lowered, or
 * members come back from an older generation, it is the last who are turned away.
 */
static bool
join_fits(const CoordGroups *groups, const CoordGroup *group, const ClassicMember *member)
{
	const CoordClassic *classic = classic_of(group);

	switch (classic->state)
	{
		case COORD_PREPARING_REBALANCE:
			return (member != NULL && member->awaiting_join) || classic->nawaiting_join < groups->config.max_size;
		case COORD_COMPLETING_REBALANCE:
		case COORD_STABLE:
			return member != NULL || group->nmembers < groups->config.max_size;
		default:
			return true;
	}
}

/* Turns a client away; a member or pending member that it was it is no longer. */
static void
join_refuse_full(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *member)
{
	ClassicPending *pending = classic_pending_find(groups, group, event->member_id);

	if (pending != NULL)
		classic_pending_remove(groups, pending);
	if (member != NULL)
		classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	coord_reply_join(groups, event->token, COORD_GROUP_MAX_SIZE_REACHED, coord_bytes_literal(""));
	classic_rebalance_try(groups, group);
}

static void
join_add(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, CoordBytes member_id)
{
	ClassicMember *member = classic_member_add(groups, group, event, member_id);

	classic_of(group)->more_joined = true;
	classic_session_restart(groups, member, CLASSIC_NEW_MEMBER_TIMEOUT_MS);
	classic_rebalance(groups, group);
}

/*
 * A static member is back, with no memory of its id.  If the group is stable and its coming changes nothing
 * of what was agreed, it gets its old assignment and nobody else notices.
 */
static void
join_replace(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *old, CoordBytes member_id)
{
	CoordClassic *classic = classic_of(group);
	CoordBytes	leader = classic->leader->node.key;
	ClassicMember *member = classic_member_replace(groups, old, event, member_id);

	classic_session_restart(groups, member, member->session_timeout_ms);
	if (classic->state == COORD_STABLE && classic_vote(group) == classic->protocol)
	{
		CoordReply *reply = classic_join_answer(groups, member, event->token);

		if (event->api_version >= VERSION_SKIP_ASSIGNMENT)
			reply->u.join.skip_assignment = member == classic->leader;
		else
		{
			/* it must not assign: it is told that its former self leads */
			reply->u.join.leader = leader;
			reply->u.join.nmembers = 0;
		}
		return;
	}

	/*
	 * Otherwise it has to wait.  In CompletingRebalance, too: the assignment that the leader
	 * makes is for the old id.
	 */
	classic_member_await(groups, member, event->token);
	classic_rebalance(groups, group);
}

/* No member id yet. */
static void
join_unknown(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	bool		is_static = event->group_instance_id.len >= 0;
	CoordBytes	member_id = coord_member_id(groups, is_static ? event->group_instance_id : event->client_id);
	ClassicMember *old = classic_instance_find(groups, group, event->group_instance_id);

	if (old != NULL)
		join_replace(groups, group, event, old, member_id);
	else if (is_static || event->api_version < VERSION_MEMBER_ID_REQUIRED)
		join_add(groups, group, event, member_id);
	else
	{
		classic_pending_add(groups, group, member_id, event->u.join.session_timeout_ms);
		coord_reply_join(groups, event->token, COORD_MEMBER_ID_REQUIRED, member_id);
	}
}

/* A member joins again. */
static void
join_again(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *member)
{
	CoordClassic *classic = classic_of(group);
	bool		rebalance;

	Assert(classic->state != COORD_EMPTY);
	switch (classic->state)
	{
		case COORD_PREPARING_REBALANCE:
			rebalance = true;
			break;
		case COORD_COMPLETING_REBALANCE:
			/* the same again: it has lost our answer */
			rebalance = !classic_member_matches(member, &event->u.join);
			break;
		default:
			/* the leader asks for a rebalance by joining, as when topics have changed */
			rebalance = member == classic->leader || !classic_member_matches(member, &event->u.join);
			break;
	}
	if (!rebalance)
	{
		classic_join_answer(groups, member, event->token);
		return;
	}
	classic_member_update(groups, member, event);
	classic_member_await(groups, member, event->token);
	classic_rebalance(groups, group);
}

/* A client that has a member id. */
static void
join_known(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *member)
{
	ClassicPending *pending = classic_pending_find(groups, group, event->member_id);
	CoordError	error;

	Assert(pending == NULL || member == NULL);
	if (pending != NULL && event->group_instance_id.len < 0)
	{
		classic_pending_remove(groups, pending);
		join_add(groups, group, event, event->member_id);
		return;
	}
	error = classic_check(groups, group, event->member_id, event->group_instance_id);
	if (error != COORD_NONE)
		coord_reply_join(groups, event->token, error, event->member_id);
	else
		join_again(groups, group, event, member);
}

void
classic_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	bool		unknown = coord_bytes_empty(event->member_id);
	ClassicMember *member = unknown ? NULL : classic_member_find(groups, group, event->member_id);

	if (!join_fits(groups, group, member))
		join_refuse_full(groups, group, event, member);
	else if (!classic_supports(groups, group, &event->u.join))
		coord_reply_join(groups, event->token, COORD_INCONSISTENT_GROUP_PROTOCOL, event->member_id);
	else if (unknown)
		join_unknown(groups, group, event);
	else
		join_known(groups, group, event, member);
}
