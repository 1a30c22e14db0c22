/*-------------------------------------------------------------------------
 *
 * classic.c
 *	  Groups of the classic protocol: what groups.c and the views ask of them.
 *
 * Siblings: classic.h (lists all files), README.md (the protocol and its invariants).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

/* An empty group, new as one of this kind. */
CoordClassic *
classic_make(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = coord_alloc(groups, sizeof(CoordClassic));

	classic->group = group;
	classic->state = COORD_EMPTY;
	classic->protocol_type = (CoordBytes) {NULL, 0};
	dlist_init(&classic->order);
	dlist_init(&classic->pending_order);
	return classic;
}

static void
classic_dispatch_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	if (group->classic == NULL)
		group->classic = classic_make(groups, group);
	classic_join(groups, group, event);
}

/*
 * Is this a member?  A member with an instance id is fenced once another one has
 * joined with that: its id was replaced.
 */
CoordError
classic_check(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id, CoordBytes instance_id)
{
	if (instance_id.len >= 0)
	{
		const ClassicMember *member = classic_instance_find(groups, group, instance_id);

		if (member == NULL)
			return COORD_UNKNOWN_MEMBER_ID;
		if (!coord_bytes_equal(member->node.key, member_id))
			return COORD_FENCED_INSTANCE_ID;
	}
	return classic_member_find(groups, group, member_id) == NULL ? COORD_UNKNOWN_MEMBER_ID : COORD_NONE;
}

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
 * Commits are for members of the current generation, and for anybody while the group has no
 * members.  Between join and sync partitions may be changing hands: commits have to wait.  A
 * transaction's offsets are checked if it says who it is (KIP-447), and are not bound to the phase.
 */
static CoordError
classic_commit(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordClassic *classic = classic_of(group);
	bool		transactional = event->u.commit.transactional;
	ClassicMember *member = NULL;

	if (event->generation < 0 && classic->state == COORD_EMPTY)
		return COORD_NONE;
	if (event->generation >= 0 || !coord_bytes_empty(event->member_id) || event->group_instance_id.len >= 0)
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
	return group->classic == NULL ? coord_bytes_literal("") : group->classic->protocol_type;
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
		infos->metadata = stable ? classic_member_metadata(member) : coord_bytes_literal("");
		infos->assignment = stable ? member->assignment : coord_bytes_literal("");
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
