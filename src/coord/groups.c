/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  The table of groups, and who handles an event.
 *
 * A step is: free what the last one left behind, let the event change one group (or let
 * due timers change many), hand out the replies.  A group without members and without
 * ids given out is empty: one that had members is kept for a while (its generation, and that it is there for
 * tools to see), others go at once.
 *
 * Siblings: memory.c, timers.c, reply.c; describe.c (views); classic*.c and consumer*.c (kinds).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/* A rough upper estimate of what an event without arrays may add. */
#define EVENT_SIZE 4096

/* Kafka's member ids are client id and uuid; both must fit a string of the protocol. */
#define MEMBER_PREFIX_MAX 255

static void group_linger_over(CoordGroups *groups, CoordTimer *timer);

void
coord_config_defaults(CoordConfig *config)
{
	memset(config, 0, sizeof(*config));
	config->memory_max = 64 * 1024 * 1024;
	config->empty_linger_ms = 10 * 60 * 1000;
	config->initial_rebalance_delay_ms = 3000;
	config->min_session_timeout_ms = 6000;
	config->max_session_timeout_ms = 30 * 60 * 1000;
	config->max_size = PG_INT32_MAX;
	config->consumer_session_timeout_ms = 45000;
	config->consumer_heartbeat_interval_ms = 5000;
	config->consumer_max_size = PG_INT32_MAX;
	config->consumer_migration_policy = COORD_MIGRATION_BIDIRECTIONAL;
	config->consumer_default_assignor = "uniform";
}

void
coord_configure(CoordGroups *groups, const CoordConfig *config)
{
	Assert(config->max_size > 0 && config->consumer_max_size > 0);
	Assert(config->min_session_timeout_ms <= config->max_session_timeout_ms);
	groups->config = *config;
}

CoordGroup *
coord_group_find(const CoordGroups *groups, CoordBytes group_id)
{
	CoordNode  *node = coord_table_find(groups, &groups->by_id, group_id);

	return node == NULL ? NULL : coord_container(CoordGroup, node, node);
}

/* Finds it, or makes an empty one, which the caller must settle in the end. */
CoordGroup *
coord_group_get(CoordGroups *groups, CoordBytes group_id)
{
	CoordGroup *group = coord_group_find(groups, group_id);
	char	   *at;

	if (group != NULL)
		return group;
	group = coord_alloc(groups, sizeof(CoordGroup) + coord_bytes_size(group_id));
	at = (char *) (group + 1);
	group->node.key = coord_bytes_put(&at, group_id);
	coord_table_add(groups, &groups->by_id, &group->node);
	dlist_push_tail(&groups->all, &group->link);
	Assert(group->kind == COORD_KIND_EMPTY);
	return group;
}

void
coord_group_become(CoordGroups *groups, CoordGroup *group, CoordKind kind)
{
	if (group->kind == kind)
		return;
	if (group->ops != NULL)
		group->ops->release(groups, group);
	Assert(group->nmembers == 0 && group->npending == 0);
	Assert(group->classic == NULL && group->consumer == NULL);
	group->kind = kind;
	switch (kind)
	{
		case COORD_KIND_EMPTY:
			group->ops = NULL;
			break;
		case COORD_KIND_CLASSIC:
			group->ops = &coord_classic_ops;
			break;
		case COORD_KIND_CONSUMER:
			group->ops = &coord_consumer_ops;
			break;
	}
}

void
coord_group_count(CoordGroups *groups, CoordGroup *group, int more)
{
	group->nmembers += more;
	Assert(group->nmembers >= 0);
	if (more > 0)
		group->keep = true;
	if (!group->changed)
	{
		group->changed = true;
		dlist_push_tail(&groups->changed, &group->changed_link);
		groups->nchanged++;
	}
}

static inline bool
group_empty(const CoordGroup *group)
{
	return group->nmembers == 0 && group->npending == 0;
}

static void
group_linger_stop(CoordGroups *groups, CoordGroup *group)
{
	if (group->linger.slot == 0)
		return;
	coord_timer_cancel(groups, &group->linger);
	dlist_delete(&group->idle);
}

/* The group's memory stays until the next step, as its changes are still to be told. */
void
coord_group_forget(CoordGroups *groups, CoordGroup *group)
{
	coord_group_become(groups, group, COORD_KIND_EMPTY);
	group_linger_stop(groups, group);
	coord_table_remove(&groups->by_id, &group->node);
	dlist_delete(&group->link);
	coord_free(groups, group);
}

void
coord_group_settle(CoordGroups *groups, CoordGroup *group)
{
	if (!group_empty(group))
		group_linger_stop(groups, group);
	else if (!group->keep || groups->config.empty_linger_ms <= 0)
		coord_group_forget(groups, group);
	else if (group->linger.slot == 0)
	{
		coord_timer_arm(groups, &group->linger, groups->now + groups->config.empty_linger_ms, group_linger_over);
		dlist_push_tail(&groups->idle, &group->idle);
	}
}

static void
group_linger_over(CoordGroups *groups, CoordTimer *timer)
{
	CoordGroup *group = coord_container(CoordGroup, linger, timer);

	/* the heap has let go of the timer, the list of idle groups not yet */
	dlist_delete(&group->idle);
	Assert(group_empty(group));
	coord_group_forget(groups, group);
}

CoordBytes
coord_member_id(CoordGroups *groups, CoordBytes prefix)
{
	uint64		high = pg_prng_uint64(&groups->prng);
	uint64		low = pg_prng_uint64(&groups->prng);
	int			len = Min(Max(prefix.len, 0), MEMBER_PREFIX_MAX);
	char	   *id;

	/* never half a UTF-8 character */
	if (len < prefix.len)
	{
		while (len > 0 && ((uint8) prefix.data[len] & 0xC0) == 0x80)
			len--;
	}
	id = coord_step_alloc(groups, len + 38);
	if (len > 0)
		memcpy(id, prefix.data, len);
	/* version 4, variant 1 */
	snprintf(id + len, 38, "-%08x-%04x-4%03x-%04x-%012llx",
			 (uint32) (high >> 32), (uint32) (high >> 16) & 0xFFFF, (uint32) high & 0xFFF,
			 ((uint32) (low >> 48) & 0x3FFF) | 0x8000, (unsigned long long) (low & UINT64CONST(0xFFFFFFFFFFFF)));
	return (CoordBytes) {id, len + 37};
}

static size_t
join_size(const CoordEvent *event)
{
	const CoordJoin *join = &event->u.join;
	size_t		size = EVENT_SIZE;

	size += 4 * coord_bytes_size(event->group_id) + 4 * coord_bytes_size(event->member_id);
	size += 2 * coord_bytes_size(event->group_instance_id) + coord_bytes_size(join->protocol_type);
	size += 2 * coord_bytes_size(event->client_id) + coord_bytes_size(event->client_host);
	for (int i = 0; i < join->nprotocols; i++)
		size += 256 + coord_bytes_size(join->protocols[i].name) * 2 + coord_bytes_size(join->protocols[i].metadata);
	return size;
}

static void
dispatch_join(CoordGroups *groups, const CoordEvent *event)
{
	const CoordJoin *join = &event->u.join;
	CoordGroup *group;
	CoordError	error = COORD_NONE;

	if (coord_bytes_empty(event->group_id))
		error = COORD_INVALID_GROUP_ID;
	else if (join->session_timeout_ms < groups->config.min_session_timeout_ms ||
			 join->session_timeout_ms > groups->config.max_session_timeout_ms)
		error = COORD_INVALID_SESSION_TIMEOUT;
	else if ((group = coord_group_find(groups, event->group_id)) == NULL && !coord_bytes_empty(event->member_id))
		error = COORD_UNKNOWN_MEMBER_ID;
	else if (!coord_memory_reserve(groups, join_size(event), group))
		error = COORD_COORDINATOR_NOT_AVAILABLE;
	if (error != COORD_NONE)
	{
		coord_reply_join(groups, event->token, error, event->member_id);
		return;
	}
	group = coord_group_get(groups, event->group_id);
	if (group_empty(group))
		coord_group_become(groups, group, COORD_KIND_CLASSIC);
	group->ops->join(groups, group, event);
	coord_group_settle(groups, group);
}

static void
dispatch_sync(CoordGroups *groups, const CoordEvent *event)
{
	CoordGroup *group = coord_group_find(groups, event->group_id);
	size_t		size = EVENT_SIZE;

	for (int i = 0; i < event->u.sync.nassignments; i++)
		size += 64 + coord_bytes_size(event->u.sync.assignments[i].assignment);
	if (coord_bytes_empty(event->group_id))
		coord_reply_sync(groups, event->token, COORD_INVALID_GROUP_ID);
	else if (group == NULL || group_empty(group))
		coord_reply_sync(groups, event->token, COORD_UNKNOWN_MEMBER_ID);
	else if (!coord_memory_reserve(groups, size, group))
		coord_reply_sync(groups, event->token, COORD_COORDINATOR_NOT_AVAILABLE);
	else
	{
		group->ops->sync(groups, group, event);
		coord_group_settle(groups, group);
	}
}

static void
dispatch_leave(CoordGroups *groups, const CoordEvent *event)
{
	CoordGroup *group = coord_group_find(groups, event->group_id);

	if (coord_bytes_empty(event->group_id))
		coord_reply(groups, event->token, COORD_EV_LEAVE, COORD_INVALID_GROUP_ID);
	else if (group == NULL || group_empty(group))
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

static CoordError
dispatch_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	if (coord_bytes_empty(event->group_id))
		return COORD_INVALID_GROUP_ID;
	if (group == NULL || group_empty(group))
		return COORD_UNKNOWN_MEMBER_ID;
	return group->ops->heartbeat(groups, group, event);
}

/*
 * May the offsets be committed?  Kafka answers a member of a group that it does not know
 * with GROUP_ID_NOT_FOUND from version 9 on; there a group is forgotten only with its offsets.  We forget
 * groups when the server restarts, and to clients that code is fatal: UNKNOWN_MEMBER_ID makes them join again.
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

/* Only groups without members can be deleted. */
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

/* Events that are always answered at once, with an error code and nothing else. */
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
