/*-------------------------------------------------------------------------
 *
 * group.c
 *	  The table of groups.
 *
 * A group without members and without ids given out is empty.  One that had
 * members is kept for a while (its generation, and that it is there for tools
 * to see), others go at once.  Empty groups also go when memory is short.
 *
 * Siblings: step.c (who handles an event), memory.c, timers.c, reply.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/*
 * Kafka's member ids are client id and uuid; both must fit a string of the
 * protocol.
 */
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
	group = coord_alloc(groups, sizeof(CoordGroup) + pt_string_size(group_id));
	at = (char *) (group + 1);
	group->node.key = pt_string_put(&at, group_id);
	coord_table_add(groups, &groups->by_id, &group->node);
	dlist_push_tail(&groups->all, &group->link);
	Assert(group->kind == COORD_KIND_EMPTY);
	return group;
}

/*
 * The group has another kind from now on.  It must have no members; what the
 * old kind knows of it is freed.
 */
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
	group->ops = groups->kinds[kind];
}

/* The group has "more" members, or fewer; the caller is told of it. */
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

static void
group_linger_stop(CoordGroups *groups, CoordGroup *group)
{
	if (group->linger.slot == 0)
		return;
	coord_timer_cancel(groups, &group->linger);
	dlist_delete(&group->idle);
}

/*
 * The group's memory stays until the next step, as its changes are still to be
 * told.
 */
void
coord_group_forget(CoordGroups *groups, CoordGroup *group)
{
	coord_group_become(groups, group, COORD_KIND_EMPTY);
	group_linger_stop(groups, group);
	coord_table_remove(&groups->by_id, &group->node);
	dlist_delete(&group->link);
	coord_free(groups, group);
}

/*
 * An event or a timer is done with the group.  An empty one starts to linger,
 * or it is freed: the caller must not look at it again.
 */
void
coord_group_settle(CoordGroups *groups, CoordGroup *group)
{
	if (!coord_group_empty(group))
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
	Assert(coord_group_empty(group));
	coord_group_forget(groups, group);
}

/* A new member id, "prefix-uuid", in memory of the step. */
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
	return (CoordBytes)
	{
		id, len + 37
	};
}

/*
 * May the coordinator grow by about "size" bytes?  To be asked before anything
 * is changed.  Forgets empty groups to make room, except "keep" (may be NULL).
 */
bool
coord_group_reserve(CoordGroups *groups, size_t size, const CoordGroup *keep)
{
	while (groups->used + size > groups->config.memory_max)
	{
		CoordGroup *victim = NULL;
		dlist_iter	iter;

		dlist_foreach(iter, &groups->idle)
		{
			victim = dlist_container(CoordGroup, idle, iter.cur);
			if (victim != keep)
				break;
			victim = NULL;
		}
		if (victim == NULL)
			return false;
		coord_group_forget(groups, victim);
	}
	return true;
}
