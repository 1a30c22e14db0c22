/*-------------------------------------------------------------------------
 *
 * classic.c
 *	  Requests to groups of the classic protocol, and what views ask of them.
 *
 * JoinGroup: a client without a member id gets one.  A static member (one with
 * a group instance id) joins with the new id at once, in the place of the
 * member that had the instance id.  A dynamic member, from version 4 on, gets
 * the id in an error and has to come back with it (KIP-394).  So a client that
 * never sees the answer leaves no member behind.
 *
 * SyncGroup: the leader's request brings the assignment; all others wait for
 * it.
 *
 * LeaveGroup: several members may leave at once, each with its own result
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

#define VERSION_MEMBER_ID_REQUIRED 4	/* from this version of JoinGroup on:
										 * KIP-394 */
#define VERSION_SKIP_ASSIGNMENT 9	/* from this version on the response has
									 * SkipAssignment (KIP-814) */

/*
 * Checks that the client is a member of the group.  A member with an instance
 * id is fenced when another client has joined with the same instance id: the
 * member id was replaced.
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

/*
 * Answers a SyncGroup with the member's assignment.
 */
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
 * Returns true if the group has room for the client; "member" is NULL if it
 * is not a member yet.
 *
 * While joins are collected, only members that have joined count.  When the
 * maximum was lowered, or members come back from an older generation, those
 * that join last are refused.
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
 * Refuses a client because the group is full.  If the client was a member, or
 * had an id and had not joined with it, it is removed.
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

/*
 * Adds a member.  Its JoinGroup is answered when the rebalance ends.
 */
static void
join_add(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, CoordBytes member_id)
{
	ClassicMember *member = classic_member_add(groups, group, event, member_id);

	classic_of(group)->more_joined = true;
	classic_session_restart(groups, member, CLASSIC_NEW_MEMBER_TIMEOUT_MS);
	classic_rebalance(groups, group);
}

/*
 * A static member is back and does not know its id.  If the group is stable
 * and the protocol stays the same, the member gets its old assignment and the
 * other members notice nothing.
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
			/*
			 * below version 9 the old id is named as the leader, so that the
			 * client does not assign
			 */
			reply->u.join.leader = leader;
			reply->u.join.nmembers = 0;
		}
		return;
	}

	/*
	 * Otherwise the member waits for a rebalance.  This includes
	 * CompletingRebalance: the assignment that the leader makes is for the
	 * old id.
	 */
	classic_member_await(groups, member, event->token);
	classic_rebalance(groups, group);
}

/*
 * A JoinGroup without a member id.
 */
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

/*
 * A member sends JoinGroup again.  The group rebalances if the request
 * changes something; otherwise the member gets the answer that it has missed.
 */
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
			/* the same request again: the client has lost the answer */
			rebalance = !classic_member_matches(member, &event->u.join);
			break;
		default:

			/*
			 * the leader joins to ask for a rebalance, for example when
			 * topics have changed
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

/*
 * A JoinGroup with a member id: the client joins with an id that it was
 * given, or joins again.
 */
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

/*
 * Handles a JoinGroup for a group that has its CoordClassic.
 */
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

/*
 * CoordKindOps.join: makes the state of a classic group for its first member.
 */
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
 * Checks a SyncGroup.  From version 5 on the client says which protocol it
 * believes the group to have; a wrong one is an error.
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
 * Stores the leader's assignment.  Members that it leaves out get no
 * partitions; ids of clients that are not members are ignored.
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

/*
 * Makes the group stable and answers all SyncGroup requests that wait.
 */
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

		/*
		 * its session may have ended while it waited, which has no effect
		 * then
		 */
		classic_session_restart(groups, member, member->session_timeout_ms);
	}
}

/*
 * A SyncGroup in CompletingRebalance waits.  If it is the leader's, it brings
 * the assignment and everybody is answered.
 */
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

/*
 * CoordKindOps.sync
 */
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

/*
 * Removes one of the members that a LeaveGroup names.  An administrator names
 * static members by instance id and sends no member id.
 */
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

/*
 * CoordKindOps.leave: there is one rebalance, whatever the number of members
 * that leave.
 */
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

/*
 * CoordKindOps.heartbeat: restarts the member's session.  The error tells it
 * to join again while joins are collected.
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
 * CoordKindOps.commit: may these offsets be committed?
 *
 * Members of the current generation may commit; anybody may while the group
 * has no members.  Between join and sync partitions may change their owner,
 * so commits have to wait.  A transaction's offsets are checked only if the
 * request says who the member is (KIP-447), and the phase does not matter.
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

/*
 * CoordKindOps.fetch: everybody may read offsets.
 */
static CoordError
classic_fetch(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	return COORD_NONE;
}

/*
 * CoordKindOps.topics: in classic groups the members watch topics themselves.
 */
static void
classic_topics(CoordGroups *groups, CoordGroup *group)
{
}

/*
 * CoordKindOps.release: removes all members and ids, and frees the state.
 * Requests that wait are answered with NOT_COORDINATOR.
 */
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

/*
 * CoordKindOps.state
 */
static CoordState
classic_state(const CoordGroup *group)
{
	return group->classic == NULL ? COORD_EMPTY : group->classic->state;
}

/*
 * CoordKindOps.protocol_type
 */
static CoordBytes
classic_protocol_type(const CoordGroup *group)
{
	return group->classic == NULL ? PT_STRING("") : group->classic->protocol_type;
}

/*
 * CoordKindOps.describe: the members with their metadata and assignments,
 * which are empty unless the group is stable.
 */
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
