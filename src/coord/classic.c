/*-------------------------------------------------------------------------
 *
 * classic.c
 *	  Requests to groups of the classic protocol, and what views ask of them.
 *
 * JoinGroup.  A client without a member id gets one.  A static one (group
 * instance id) joins with it at once, in the place of the member that had that
 * instance id.  A dynamic one is sent away with it from version 4 on
 * (KIP-394), so that a client which never gets the answer leaves no member
 * behind.  SyncGroup: the leader's brings the assignment, all others wait for
 * it.  LeaveGroup: several members at once, each with its own result
 * (KIP-345).
 *
 * Siblings: classic_member.c, classic_rebalance.c; README.md draws the states.
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
 * Is this a member?  A member with an instance id is fenced once another one
 * has joined with that: its id was replaced.
 */
static CoordError
classic_check(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id, CoordBytes instance_id)
{
	if (instance_id.len >= 0)
	{
		const ClassicMember *member = classic_instance_find(groups, group, instance_id);

		if (member == NULL)
			return COORD_UNKNOWN_MEMBER_ID;
		if (!pt_string_equal(member->node.key, member_id))
			return COORD_FENCED_INSTANCE_ID;
	}
	return classic_member_find(groups, group, member_id) == NULL ? COORD_UNKNOWN_MEMBER_ID : COORD_NONE;
}

static void
classic_sync_answer(CoordGroups *groups, ClassicMember *member, uint64 token)
{
	const CoordClassic *classic = classic_of(member->group);
	CoordReply *reply = coord_reply(groups, token, COORD_EV_SYNC, COORD_NONE);

	Assert(classic->protocol != NULL);
	reply->u.sync.protocol_type = classic->protocol_type;
	reply->u.sync.protocol_name = classic->protocol->node.key;
	reply->u.sync.assignment = member->assignment;
}

/*
 * JoinGroup
 */

/*
 * Is there room?  While joins are collected those count that have joined, so
 * that when the maximum was lowered, or members come back from an older
 * generation, it is the last who are turned away.
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

/*
 * Turns a client away; a member or pending member that it was it is no longer.
 */
static void
join_refuse_full(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, ClassicMember *member)
{
	ClassicPending *pending = classic_pending_find(groups, group, event->member_id);

	if (pending != NULL)
		classic_pending_remove(groups, pending);
	if (member != NULL)
		classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	coord_reply_join(groups, event->token, COORD_GROUP_MAX_SIZE_REACHED, PT_STRING(""));
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
 * A static member is back, with no memory of its id.  If the group is stable
 * and its coming changes nothing of what was agreed, it gets its old
 * assignment and nobody else notices.
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
	 * Otherwise it has to wait.  In CompletingRebalance, too: the assignment
	 * that the leader makes is for the old id.
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

			/*
			 * the leader asks for a rebalance by joining, as when topics have
			 * changed
			 */
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

static void
classic_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	bool		unknown = event->member_id.len <= 0;
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

static void
classic_dispatch_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	if (group->classic == NULL)
		group->classic = classic_make(groups, group);
	classic_join(groups, group, event);
}

/*
 * SyncGroup
 */

/*
 * What the client believes to be the group's protocol (version 5) must be it.
 */
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
	if (sync->protocol_type.len >= 0 && !pt_string_equal(sync->protocol_type, classic->protocol_type))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (sync->protocol_name.len >= 0 && classic->protocol != NULL &&
		!pt_string_equal(sync->protocol_name, classic->protocol->node.key))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	return COORD_NONE;
}

/*
 * Members that the leader left out have no partitions; ids that are no
 * members' are ignored.
 */
static void
assignment_take(CoordGroups *groups, CoordGroup *group, const CoordSync *sync)
{
	CoordClassic *classic = classic_of(group);
	dlist_iter	iter;

	dlist_foreach(iter, &classic->order)
		classic_member_assign(groups, dlist_container(ClassicMember, link, iter.cur), PT_STRING(""));
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

static void
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

/*
 * LeaveGroup
 */

/* An administrator names static members by their instance ids alone. */
static CoordError
leave_one(CoordGroups *groups, CoordGroup *group, const CoordLeaveMember *leaving)
{
	ClassicMember *member;
	ClassicPending *pending;

	if (leaving->member_id.len <= 0)
	{
		member = classic_instance_find(groups, group, leaving->group_instance_id);
		if (member == NULL)
			return COORD_UNKNOWN_MEMBER_ID;
	}
	else if ((pending = classic_pending_find(groups, group, leaving->member_id)) != NULL)
	{
		classic_pending_remove(groups, pending);
		return COORD_NONE;
	}
	else
	{
		CoordError	error = classic_check(groups, group, leaving->member_id, leaving->group_instance_id);

		if (error != COORD_NONE)
			return error;
		member = classic_member_find(groups, group, leaving->member_id);
	}
	classic_member_remove(groups, member, COORD_UNKNOWN_MEMBER_ID);
	return COORD_NONE;
}

/* However many leave, there is one rebalance. */
static void
classic_leave(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordClassic *classic = classic_of(group);
	CoordLeftMember *left = coord_reply_leave(groups, event);
	bool		changed = false;

	for (int i = 0; i < event->u.leave.nmembers; i++)
	{
		left[i].error = leave_one(groups, group, &event->u.leave.members[i]);
		if (left[i].error == COORD_NONE)
			changed = true;
	}
	if (changed && classic->state != COORD_EMPTY)
		classic_rebalance(groups, group);
}

/*
 * All others
 */

static CoordError
classic_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordClassic *classic = classic_of(group);
	CoordError	error = classic_check(groups, group, event->member_id, event->group_instance_id);
	ClassicMember *member;

	if (error != COORD_NONE)
		return error;
	if (event->generation != classic->generation)
		return COORD_ILLEGAL_GENERATION;
	Assert(classic->state != COORD_EMPTY);
	member = classic_member_find(groups, group, event->member_id);
	classic_session_restart(groups, member, member->session_timeout_ms);
	return classic->state == COORD_PREPARING_REBALANCE ? COORD_REBALANCE_IN_PROGRESS : COORD_NONE;
}

/*
 * Commits are for members of the current generation, and for anybody while the
 * group has no members.  Between join and sync partitions may be changing
 * hands: commits have to wait.  A transaction's offsets are checked if it says
 * who it is (KIP-447), and are not bound to the phase.
 */
static CoordError
classic_commit(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordClassic *classic = classic_of(group);
	bool		transactional = event->u.commit.transactional;
	ClassicMember *member = NULL;

	if (event->generation < 0 && classic->state == COORD_EMPTY)
		return COORD_NONE;
	if (event->generation >= 0 || event->member_id.len > 0 || event->group_instance_id.len >= 0)
	{
		CoordError	error = classic_check(groups, group, event->member_id, event->group_instance_id);

		if (error != COORD_NONE)
			return error;
		if (event->generation != classic->generation)
			return COORD_ILLEGAL_GENERATION;
		member = classic_member_find(groups, group, event->member_id);
	}
	else if (!transactional)
		return COORD_UNKNOWN_MEMBER_ID;

	if (transactional)
		return COORD_NONE;
	if (classic->state == COORD_COMPLETING_REBALANCE)
		return COORD_REBALANCE_IN_PROGRESS;
	Assert(member != NULL);
	classic_session_restart(groups, member, member->session_timeout_ms);
	return COORD_NONE;
}

/* Everybody may read offsets. */
static CoordError
classic_fetch(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	return COORD_NONE;
}

static void
classic_topics(CoordGroups *groups, CoordGroup *group)
{
}

/* Members, if there are any, are told to look for the coordinator again. */
static void
classic_release(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = group->classic;

	if (classic == NULL)
		return;
	while (!dlist_is_empty(&classic->order))
		classic_member_remove(groups, dlist_head_element(ClassicMember, link, &classic->order), COORD_NOT_COORDINATOR);
	while (!dlist_is_empty(&classic->pending_order))
		classic_pending_remove(groups, dlist_head_element(ClassicPending, link, &classic->pending_order));
	classic_choose(groups, group, NULL);
	Assert(classic->nawaiting_join == 0 && classic->npending_sync == 0 && classic->leader == NULL);
	coord_timer_cancel(groups, &classic->join);
	coord_timer_cancel(groups, &classic->sync);
	coord_table_release(groups, &classic->members);
	coord_table_release(groups, &classic->instances);
	coord_table_release(groups, &classic->protocols);
	coord_table_release(groups, &classic->pending);
	coord_free(groups, unconstify(char *, classic->protocol_type.data));
	coord_free(groups, classic);
	group->classic = NULL;
}

static CoordState
classic_state(const CoordGroup *group)
{
	return group->classic == NULL ? COORD_EMPTY : group->classic->state;
}

static CoordBytes
classic_protocol_type(const CoordGroup *group)
{
	return group->classic == NULL ? PT_STRING("") : group->classic->protocol_type;
}

static void
classic_describe(const CoordGroups *groups, const CoordGroup *group, CoordDescription *out)
{
	const CoordClassic *classic = group->classic;
	bool		stable;
	CoordMemberInfo *infos;
	dlist_iter	iter;

	if (classic == NULL)
		return;
	stable = classic->state == COORD_STABLE;
	infos = palloc0(Max(group->nmembers, 1) * sizeof(CoordMemberInfo));
	out->generation = classic->generation;
	out->members = infos;
	if (stable)
		out->protocol_name = classic->protocol->node.key;
	dlist_foreach(iter, unconstify(dlist_head *, &classic->order))
	{
		const ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);

		infos->member_id = member->node.key;
		infos->group_instance_id = member->instance_id;
		infos->client_id = member->client_id;
		infos->client_host = member->client_host;
		infos->classic = true;
		infos->metadata = stable ? classic_member_metadata(member) : PT_STRING("");
		infos->assignment = stable ? member->assignment : PT_STRING("");
		infos->rack_id = COORD_NULL_BYTES;
		infos->subscribed_topic_regex = COORD_NULL_BYTES;
		infos++;
	}
	Assert(infos - out->members == group->nmembers);
}

const CoordKindOps coord_classic_ops = {
	.join = classic_dispatch_join,
	.sync = classic_sync,
	.leave = classic_leave,
	.heartbeat = classic_heartbeat,
	.commit = classic_commit,
	.fetch = classic_fetch,
	.topics = classic_topics,
	.release = classic_release,
	.state = classic_state,
	.protocol_type = classic_protocol_type,
	.describe = classic_describe,
};
