/*-------------------------------------------------------------------------
 *
 * step.c
 *	  A step of the coordinator: dispatches an event to its group.
 *
 * A step frees what the last step has left behind, lets the event change one
 * group (or lets due timers change many), and hands out the replies.
 *
 * Siblings: group.c (the table of groups); classic.c and consumer.c (what the
 * kinds of groups do with an event); describe.c (views).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/* Rough upper estimate of what an event without arrays adds, in bytes. */
#define EVENT_SIZE 4096

/*
 * Makes a coordinator; see coord.h.
 */
CoordGroups *
coord_create(const CoordConfig *config, uint64 seed)
{
	CoordGroups *groups;
#ifdef FRONTEND
	groups = palloc0(sizeof(CoordGroups));
#else
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic coordinator", ALLOCSET_DEFAULT_SIZES);

	groups = MemoryContextAllocZero(mcxt, sizeof(CoordGroups));
	groups->mcxt = mcxt;
#endif
	dlist_init(&groups->blocks);
	dlist_init(&groups->all);
	dlist_init(&groups->idle);
	dlist_init(&groups->changed);
	groups->now = PG_INT64_MIN;
	pg_prng_seed(&groups->prng, seed);
	groups->hash_seed = pg_prng_uint64(&groups->prng);
	groups->kinds[COORD_KIND_CLASSIC] = &coord_classic_ops;
	groups->kinds[COORD_KIND_CONSUMER] = &coord_consumer_ops;
	coord_configure(groups, config);
	return groups;
}

/*
 * Estimates the memory that a JoinGroup may add, in bytes; never too little.
 */
static size_t
join_size(const CoordEvent *event)
{
	const CoordJoin *join = &event->u.join;
	size_t		size = EVENT_SIZE;

	size += 4 * pt_string_size(event->group_id) + 4 * pt_string_size(event->member_id);
	size += 2 * pt_string_size(event->group_instance_id) + pt_string_size(join->protocol_type);
	size += 2 * pt_string_size(event->client_id) + pt_string_size(event->client_host);
	for (int i = 0; i < join->nprotocols; i++)
		size += 256 + pt_string_size(join->protocols[i].name) * 2 + pt_string_size(join->protocols[i].metadata);
	return size;
}

/*
 * JoinGroup: checks what does not depend on the kind of the group, and makes
 * the group if necessary.  A group without members becomes a classic one.
 */
static void
dispatch_join(CoordGroups *groups, const CoordEvent *event)
{
	const CoordJoin *join = &event->u.join;
	CoordGroup *group;
	CoordError	error = COORD_NONE;

	if (event->group_id.len <= 0)
		error = COORD_INVALID_GROUP_ID;
	else if (join->session_timeout_ms < groups->config.min_session_timeout_ms ||
			 join->session_timeout_ms > groups->config.max_session_timeout_ms)
		error = COORD_INVALID_SESSION_TIMEOUT;
	else if ((group = coord_group_find(groups, event->group_id)) == NULL && event->member_id.len > 0)
		error = COORD_UNKNOWN_MEMBER_ID;
	else if (!coord_group_reserve(groups, join_size(event), group))
		error = COORD_COORDINATOR_NOT_AVAILABLE;
	if (error != COORD_NONE)
	{
		coord_reply_join(groups, event->token, error, event->member_id);
		return;
	}
	group = coord_group_get(groups, event->group_id);
	if (coord_group_empty(group))
		coord_group_become(groups, group, COORD_KIND_CLASSIC);
	group->ops->join(groups, group, event);
	coord_group_settle(groups, group);
}

/*
 * SyncGroup: only members of a group that is in memory can sync.
 */
static void
dispatch_sync(CoordGroups *groups, const CoordEvent *event)
{
	CoordGroup *group = coord_group_find(groups, event->group_id);
	size_t		size = EVENT_SIZE;

	for (int i = 0; i < event->u.sync.nassignments; i++)
		size += 64 + pt_string_size(event->u.sync.assignments[i].assignment);
	if (event->group_id.len <= 0)
		coord_reply_sync(groups, event->token, COORD_INVALID_GROUP_ID);
	else if (group == NULL || coord_group_empty(group))
		coord_reply_sync(groups, event->token, COORD_UNKNOWN_MEMBER_ID);
	else if (!coord_group_reserve(groups, size, group))
		coord_reply_sync(groups, event->token, COORD_COORDINATOR_NOT_AVAILABLE);
	else
	{
		group->ops->sync(groups, group, event);
		coord_group_settle(groups, group);
	}
}

/*
 * LeaveGroup: if there is no such group, each of the members is unknown.
 */
static void
dispatch_leave(CoordGroups *groups, const CoordEvent *event)
{
	CoordGroup *group = coord_group_find(groups, event->group_id);

	if (event->group_id.len <= 0)
		coord_reply(groups, event->token, COORD_EV_LEAVE, COORD_INVALID_GROUP_ID);
	else if (group == NULL || coord_group_empty(group))
	{
		CoordLeftMember *left = coord_reply_leave(groups, event);

		for (int i = 0; i < event->u.leave.nmembers; i++)
			left[i].error = COORD_UNKNOWN_MEMBER_ID;
	}
	else
	{
		group->ops->leave(groups, group, event);
		coord_group_settle(groups, group);
	}
}

/*
 * Heartbeat: as SyncGroup.
 */
static CoordError
dispatch_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	if (event->group_id.len <= 0)
		return COORD_INVALID_GROUP_ID;
	if (group == NULL || coord_group_empty(group))
		return COORD_UNKNOWN_MEMBER_ID;
	return group->ops->heartbeat(groups, group, event);
}

/*
 * May the offsets be committed?
 *
 * From version 9 on Kafka answers a member of a group that it does not know
 * with GROUP_ID_NOT_FOUND, because it forgets a group only with its offsets.
 * Our groups are forgotten when the server restarts, and the code is fatal to
 * clients.  UNKNOWN_MEMBER_ID makes them join again.
 */
static CoordError
dispatch_commit(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	if (group != NULL && group->ops != NULL)
		return group->ops->commit(groups, group, event);
	if (event->generation < 0)
		return COORD_NONE;
	if (!event->u.commit.transactional && event->api_version >= 9)
		return COORD_UNKNOWN_MEMBER_ID;
	return COORD_ILLEGAL_GENERATION;
}

/*
 * DeleteGroups: only groups without members can be deleted.
 */
static CoordError
dispatch_delete(CoordGroups *groups, CoordGroup *group)
{
	if (group == NULL)
		return COORD_GROUP_ID_NOT_FOUND;
	if (group->ops != NULL && group->ops->state(group) != COORD_EMPTY)
		return COORD_NON_EMPTY_GROUP;
	coord_group_forget(groups, group);
	return COORD_NONE;
}

/*
 * Events that are answered at once, with an error code and nothing else.
 */
static void
dispatch_plain(CoordGroups *groups, const CoordEvent *event)
{
	CoordGroup *group = coord_group_find(groups, event->group_id);
	CoordError	error;

	switch (event->type)
	{
		case COORD_EV_HEARTBEAT:
			error = dispatch_heartbeat(groups, group, event);
			break;
		case COORD_EV_COMMIT:
			error = dispatch_commit(groups, group, event);
			break;
		case COORD_EV_FETCH:
			error = group == NULL || group->ops == NULL ? COORD_NONE : group->ops->fetch(groups, group, event);
			break;
		default:
			Assert(event->type == COORD_EV_DELETE);
			error = dispatch_delete(groups, group);
			break;
	}
	coord_reply(groups, event->token, event->type, error);
}

/*
 * Handles one event.  "out" is filled; what it points to is valid until the
 * next step.
 */
void
coord_step(CoordGroups *groups, const CoordEvent *event, int64 now_ms, CoordReplies *out)
{
	Assert(groups->nreplies == 0);
	coord_step_reset(groups);
	groups->now = Max(groups->now, now_ms);

	switch (event->type)
	{
		case COORD_EV_TICK:
			coord_timers_run(groups);
			break;
		case COORD_EV_TOPICS:
			coord_topics_replace(groups, &event->u.topics);
			break;
		case COORD_EV_JOIN:
			dispatch_join(groups, event);
			break;
		case COORD_EV_SYNC:
			dispatch_sync(groups, event);
			break;
		case COORD_EV_LEAVE:
			dispatch_leave(groups, event);
			break;
		case COORD_EV_CONSUMER_HEARTBEAT:
			coord_consumer_heartbeat(groups, coord_group_find(groups, event->group_id), event);
			break;
		default:
			dispatch_plain(groups, event);
			break;
	}
	coord_replies_give(groups, out);
}
