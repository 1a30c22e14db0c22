/*-------------------------------------------------------------------------
 *
 * 13_leave_group.c
 *	  LeaveGroup: members go, and need not be missed for a session timeout
 *	  first.
 *
 * Before version 3 it is one member that goes, and its error is the
 * response's.
 *
 * Siblings: ../groups.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/groups.h"

static void
answer(KafkaCall *call, const CoordReply *reply)
{
	const CoordLeaveReply *in = &reply->u.leave;
	LeaveGroupResponse *out = call->response;

	out->error_code = (int16) reply->error;
	if (call->api_version < 3)
	{
		if (reply->error == COORD_NONE && in->nmembers > 0)
			out->error_code = (int16) in->members[0].error;
		return;
	}
	KAFKA_RESIZE(call, out->members, LeaveGroupMemberResponse, in->nmembers);
	for (int i = 0; i < in->nmembers; i++)
	{
		out->members.items[i].member_id = pt_string_copy(in->members[i].member_id);
		out->members.items[i].group_instance_id = pt_string_copy(in->members[i].group_instance_id);
		out->members.items[i].error_code = (int16) in->members[i].error;
	}
}

static KafkaOutcome
leave_group_begin(KafkaCall *call)
{
	const LeaveGroupRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_LEAVE, in->group_id);
	bool		many = call->api_version >= 3;
	int			n = many ? in->members.n : 1;
	CoordLeaveMember *members = palloc(sizeof(CoordLeaveMember) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const LeaveGroupMember *member = many ? &in->members.items[i] : NULL;

		members[i].member_id = many ? member->member_id : in->member_id;
		members[i].group_instance_id = many ? member->group_instance_id : COORD_NULL_BYTES;
		members[i].reason = many ? member->reason : COORD_NULL_BYTES;
	}
	event.u.leave.nmembers = n;
	event.u.leave.members = members;
	return kafka_group_ask(call, &event, answer);
}

static void
leave_group_fail(KafkaCall *call, int16 code, const char *message)
{
	LeaveGroupResponse *out = call->response;

	out->error_code = kafka_group_error(code);
}

const KafkaHandler kafka_handler_leave_group = {
	.begin = leave_group_begin,
	.fail = leave_group_fail
};
