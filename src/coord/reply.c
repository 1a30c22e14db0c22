/*-------------------------------------------------------------------------
 *
 * reply.c
 *	  The replies of a step, and the groups that it has changed.
 *
 * The array of replies is used again by the next step and grows when needed (a
 * rebalance answers all members at once).  A large array is freed.
 *
 * Siblings: reply.h (their form), internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

#define FIRST_REPLIES 16
#define SPARE_REPLIES 256	/* a larger array is freed after the step */

/*
 * Appends a reply to the step's replies.  Its other fields are zero; the
 * caller may fill them until it asks for the next one, which may move the
 * array.
 */
CoordReply *
coord_reply(CoordGroups *groups, uint64 token, CoordEventType type, CoordError error)
{
	CoordReply *reply;

	Assert(type != COORD_EV_TICK && type != COORD_EV_TOPICS);
	if (groups->nreplies == groups->replies_cap)
	{
		int			cap = Max(groups->replies_cap * 2, FIRST_REPLIES);
		CoordReply *replies = coord_alloc(groups, cap * sizeof(CoordReply));

		if (groups->nreplies > 0)
			memcpy(replies, groups->replies, groups->nreplies * sizeof(CoordReply));
		coord_free(groups, groups->replies);
		groups->replies = replies;
		groups->replies_cap = cap;
	}
	reply = &groups->replies[groups->nreplies++];
	memset(reply, 0, sizeof(*reply));
	reply->token = token;
	reply->type = type;
	reply->error = error;
	reply->message = COORD_NULL_BYTES;
	return reply;
}

/*
 * Sets the message of an error, for users.
 */
void
coord_reply_message(CoordGroups *groups, CoordReply *reply, const char *message)
{
	reply->message = coord_step_bytes(groups, (CoordBytes) {message, strlen(message)});
}

/*
 * Replies to a JoinGroup, with an error, or with COORD_NONE and fields that
 * the caller fills.
 */
CoordReply *
coord_reply_join(CoordGroups *groups, uint64 token, CoordError error, CoordBytes member_id)
{
	CoordReply *reply = coord_reply(groups, token, COORD_EV_JOIN, error);

	reply->u.join.generation = -1;
	reply->u.join.protocol_type = COORD_NULL_BYTES;
	reply->u.join.protocol_name = COORD_NULL_BYTES;
	reply->u.join.leader = PT_STRING("");
	reply->u.join.member_id = coord_step_bytes(groups, member_id);
	reply->u.join.member_id.len = Max(member_id.len, 0);
	return reply;
}

/*
 * Replies to a SyncGroup with an error.
 */
void
coord_reply_sync(CoordGroups *groups, uint64 token, CoordError error)
{
	CoordReply *reply = coord_reply(groups, token, COORD_EV_SYNC, error);

	Assert(error != COORD_NONE);
	reply->u.sync.protocol_type = COORD_NULL_BYTES;
	reply->u.sync.protocol_name = COORD_NULL_BYTES;
	reply->u.sync.assignment = PT_STRING("");
}

/*
 * Replies to a LeaveGroup and returns the results of its members, all of them
 * without an error yet.
 */
CoordLeftMember *
coord_reply_leave(CoordGroups *groups, const CoordEvent *event)
{
	const CoordLeave *leave = &event->u.leave;
	CoordReply *reply = coord_reply(groups, event->token, COORD_EV_LEAVE, COORD_NONE);
	CoordLeftMember *left = coord_step_alloc(groups, Max(leave->nmembers, 1) * sizeof(CoordLeftMember));

	Assert(event->type == COORD_EV_LEAVE);
	for (int i = 0; i < leave->nmembers; i++)
	{
		left[i].member_id = coord_step_bytes(groups, leave->members[i].member_id);
		left[i].group_instance_id = coord_step_bytes(groups, leave->members[i].group_instance_id);
		left[i].error = COORD_NONE;
	}
	reply->u.leave.nmembers = leave->nmembers;
	reply->u.leave.members = left;
	return left;
}

/*
 * Fills *out with the replies of the step and with the groups whose number of
 * members has changed.
 */
void
coord_replies_give(CoordGroups *groups, CoordReplies *out)
{
	CoordChange *changes = NULL;

	out->nchanges = 0;
	if (groups->nchanged > 0)
		changes = coord_step_alloc(groups, groups->nchanged * sizeof(CoordChange));
	while (!dlist_is_empty(&groups->changed))
	{
		CoordGroup *group = dlist_container(CoordGroup, changed_link, dlist_pop_head_node(&groups->changed));

		group->changed = false;
		if (group->told == group->nmembers)
			continue;
		group->told = group->nmembers;
		Assert(out->nchanges < groups->nchanged);
		changes[out->nchanges++] = (CoordChange) {group->node.key, group->kind, group->nmembers};
	}
	groups->nchanged = 0;
	out->changes = changes;
	out->nreplies = groups->nreplies;
	out->replies = groups->replies;

	/*
	 * the next step begins with an empty array; this one can be read until
	 * then
	 */
	if (groups->replies_cap > SPARE_REPLIES)
	{
		coord_free(groups, groups->replies);
		groups->replies = NULL;
		groups->replies_cap = 0;
	}
	groups->nreplies = 0;
}
