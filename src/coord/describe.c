/*-------------------------------------------------------------------------
 *
 * describe.c
 *	  Views of groups: find, list, describe.
 *
 * Siblings: reply.h (their form), group.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/*
 * Returns the name that Kafka's protocol has for the state.
 */
const char *
coord_state_name(CoordState state)
{
	switch (state)
	{
		case COORD_EMPTY:
			return "Empty";
		case COORD_PREPARING_REBALANCE:
			return "PreparingRebalance";
		case COORD_COMPLETING_REBALANCE:
			return "CompletingRebalance";
		case COORD_ASSIGNING:
			return "Assigning";
		case COORD_RECONCILING:
			return "Reconciling";
		case COORD_STABLE:
			return "Stable";
		case COORD_DEAD:
			break;
	}
	return "Dead";
}

/*
 * Returns the name of the kind.  A client sees an empty group as a classic
 * one.
 */
const char *
coord_kind_name(CoordKind kind)
{
	return kind == COORD_KIND_CONSUMER ? "consumer" : "classic";
}

/*
 * Fills the part that list, find and describe have in common.
 */
static void
group_info(const CoordGroup *group, CoordGroupInfo *info)
{
	info->group_id = group->node.key;
	info->kind = group->kind;
	info->nmembers = group->nmembers;
	if (group->ops != NULL)
	{
		info->state = group->ops->state(group);
		info->protocol_type = group->ops->protocol_type(group);
	}
	else
	{
		info->state = COORD_EMPTY;
		info->protocol_type = PT_STRING("");
	}
	Assert(info->protocol_type.len >= 0);
}

/*
 * Fills "info" if the group is in memory; see coord.h.
 */
bool
coord_find(const CoordGroups *groups, CoordBytes group_id, CoordGroupInfo *info)
{
	const CoordGroup *group = coord_group_find(groups, group_id);

	if (group == NULL)
		return false;
	group_info(group, info);
	return true;
}

/*
 * Fills "out" if the group is in memory; see coord.h.
 */
bool
coord_describe(const CoordGroups *groups, CoordBytes group_id, CoordDescription *out)
{
	const CoordGroup *group = coord_group_find(groups, group_id);

	if (group == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	group_info(group, &out->info);
	out->protocol_name = PT_STRING("");
	if (group->ops != NULL)
		group->ops->describe(groups, group, out);
	Assert(out->info.nmembers == 0 || out->members != NULL);
	return true;
}

/*
 * Lists all groups in memory, in the order in which they were made; see
 * coord.h.
 */
CoordGroupInfo *
coord_list(const CoordGroups *groups, int *n)
{
	CoordGroupInfo *infos = palloc(Max(groups->by_id.n, 1) * sizeof(CoordGroupInfo));
	dlist_iter	iter;

	*n = 0;
	dlist_foreach(iter, unconstify(dlist_head *, &groups->all))
	{
		Assert(*n < (int) groups->by_id.n);
		group_info(dlist_container(CoordGroup, link, iter.cur), &infos[(*n)++]);
	}
	return infos;
}

/*
 * True if the name is in the list; an empty list has all names.
 */
static bool
name_among(const char *name, const CoordBytes *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (names[i].len == (int32) strlen(name) && pg_strncasecmp(names[i].data, name, names[i].len) == 0)
			return true;
	}
	return n == 0;
}

/*
 * Returns true if the filters of a ListGroups let the group through.  An
 * empty filter (n = 0) lets all through; case does not matter.
 */
bool
coord_list_matches(const CoordGroupInfo *info, const CoordBytes *states, int nstates,
				   const CoordBytes *types, int ntypes)
{
	return name_among(coord_state_name(info->state), states, nstates) &&
		name_among(coord_kind_name(info->kind), types, ntypes);
}

/*
 * Returns the number of groups in memory.
 */
int
coord_ngroups(const CoordGroups *groups)
{
	return groups->by_id.n;
}
