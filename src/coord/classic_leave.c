/*-------------------------------------------------------------------------
 *
 * classic_leave.c
 *	  LeaveGroup in a classic group: several members at once, each with its own result (KIP-345).
 *
 * Siblings: classic.h, classic_rebalance.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

/* An administrator names static members by their instance ids alone. */
static CoordError
leave_one(CoordGroups *groups, CoordGroup *group, const CoordLeaveMember *leaving)
{
	ClassicMember *member;
	ClassicPending *pending;

	if (coord_bytes_empty(leaving->member_id))
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
void
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
