/*-------------------------------------------------------------------------
 *
 * group.c
 *	  The table of groups.
 *
 * A group is empty when it has no members and no ids that were given out.  An
 * empty group that had members is kept for a while, so that its generation
 * goes on and tools see it; others are freed at once.  All empty groups may be
 * freed when memory is short.
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
 * Longest prefix of a member id.  Kafka's member ids are the client id and a
 * UUID, and both together must fit a string of the protocol.
 */
#define MEMBER_PREFIX_MAX 255

static void group_linger_over(CoordGroups *groups, CoordTimer *timer);

/*
 * Sets Kafka's defaults.  There are no regex functions, so that every regular
 * expression is invalid.
 */
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

/*
 * Takes new settings.  Deadlines that are armed stay as they are.
 */
void
coord_configure(CoordGroups *groups, const CoordConfig *config)
{
	Assert(config->max_size > 0 && config->consumer_max_size > 0);
	Assert(config->min_session_timeout_ms <= config->max_session_timeout_ms);
	groups->config = *config;
}

/*
 * Finds a group in memory; NULL if there is none.
 */
CoordGroup *
coord_group_find(const CoordGroups *groups, CoordBytes group_id)
{
	CoordNode  *node = coord_table_find(groups, &groups->by_id, group_id);

	return node == NULL ? NULL : coord_container(CoordGroup, node, node);
}

/*
 * Finds a group, or makes an empty one.  The caller has to call
 * coord_group_settle() in the end.
 */
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
 * Changes the kind of a group that has no members.  The state of the old kind
 * is freed.
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

/*
 * Adds "more" (may be negative) to the number of members.  The group is put
 * on the list of changes that the step's replies tell.
 */
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

/*
 * A group that is not empty any more does not wait to be forgotten.
 */
static void
group_linger_stop(CoordGroups *groups, CoordGroup *group)
{
	if (group->linger.slot == 0)
		return;
	coord_timer_cancel(groups, &group->linger);
	dlist_delete(&group->idle);
}

/*
 * Removes a group that has no members.  Its memory stays until the next step,
 * because the replies of this step may still point into it.
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
 * To be called when an event or a timer is done with the group.  An empty
 * group starts to linger, or is freed: the caller must not use it after this.
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

/*
 * Timer: an empty group has lingered long enough.
 */
static void
group_linger_over(CoordGroups *groups, CoordTimer *timer)
{
	CoordGroup *group = coord_container(CoordGroup, linger, timer);

	/* the timer has left the heap, but the group is still in the list */
	dlist_delete(&group->idle);
	Assert(coord_group_empty(group));
	coord_group_forget(groups, group);
}

/*
 * Makes a member id, "prefix-UUID", in memory of the step.  A long prefix is
 * cut.  The UUID is random: version 4 of RFC 9562.
 */
CoordBytes
coord_member_id(CoordGroups *groups, CoordBytes prefix)
{
	uint64		high = pg_prng_uint64(&groups->prng);
	uint64		low = pg_prng_uint64(&groups->prng);
	int			len = Min(Max(prefix.len, 0), MEMBER_PREFIX_MAX);
	char	   *id;

	/* do not cut within a UTF-8 character */
	if (len < prefix.len)
	{
		while (len > 0 && ((uint8) prefix.data[len] & 0xC0) == 0x80)
			len--;
	}
	id = coord_step_alloc(groups, len + 38);
	if (len > 0)
		memcpy(id, prefix.data, len);
	/* version 4, variant 10 in binary */
	snprintf(id + len, 38, "-%08x-%04x-4%03x-%04x-%012llx",
			 (uint32) (high >> 32), (uint32) (high >> 16) & 0xFFFF, (uint32) high & 0xFFF,
			 ((uint32) (low >> 48) & 0x3FFF) | 0x8000, (unsigned long long) (low & UINT64CONST(0xFFFFFFFFFFFF)));
	return (CoordBytes)
	{
		id, len + 37
	};
}

/*
 * Returns true if the coordinator may grow by about "size" bytes.  To be
 * called before anything is changed.  If memory is short, it forgets empty
 * groups, the one that is empty for longest first, but not "keep" (may be
 * NULL).
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
