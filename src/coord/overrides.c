/*-------------------------------------------------------------------------
 *
 * overrides.c
 *	  Settings of single groups, which override those of the coordinator.
 *
 * They are kept by group id, whether the group is in memory or not, until they
 * are removed.
 *
 * Siblings: coord.h (coord_override), consumer.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/* The overrides of one group. */
typedef struct Override
{
	CoordNode	node;			/* key: the group id */
	CoordOverrides values;
} Override;

/*
 * Finds the overrides of a group; NULL if it has none.
 */
static Override *
override_find(const CoordGroups *groups, CoordBytes group_id)
{
	CoordNode  *node = coord_table_find(groups, &groups->overrides, group_id);

	return node == NULL ? NULL : coord_container(Override, node, node);
}

/*
 * Sets the overrides of a group, whether it is in memory or not.  They stay
 * until both values are set to 0 or less.  Must not be called during a step.
 */
void
coord_override(CoordGroups *groups, CoordBytes group_id, const CoordOverrides *values)
{
	Override   *override = override_find(groups, group_id);
	bool		nothing = values->consumer_session_timeout_ms <= 0 && values->consumer_heartbeat_interval_ms <= 0;
	char	   *at;

	if (nothing)
	{
		if (override != NULL)
		{
			coord_table_remove(&groups->overrides, &override->node);
			coord_free(groups, override);
		}
		return;
	}
	if (override == NULL)
	{
		override = coord_alloc(groups, sizeof(Override) + pt_string_size(group_id));
		at = (char *) (override + 1);
		override->node.key = pt_string_put(&at, group_id);
		coord_table_add(groups, &groups->overrides, &override->node);
	}
	override->values = *values;
}

/*
 * Returns the session timeout of the group's members, in ms.
 */
int32
coord_group_session_timeout(const CoordGroups *groups, CoordBytes group_id)
{
	const Override *override = override_find(groups, group_id);

	if (override != NULL && override->values.consumer_session_timeout_ms > 0)
		return override->values.consumer_session_timeout_ms;
	return groups->config.consumer_session_timeout_ms;
}

/*
 * Returns the heartbeat interval of the group's members, in ms.
 */
int32
coord_group_heartbeat_interval(const CoordGroups *groups, CoordBytes group_id)
{
	const Override *override = override_find(groups, group_id);

	if (override != NULL && override->values.consumer_heartbeat_interval_ms > 0)
		return override->values.consumer_heartbeat_interval_ms;
	return groups->config.consumer_heartbeat_interval_ms;
}
