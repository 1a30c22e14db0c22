/*-------------------------------------------------------------------------
 *
 * 13_leave_group.c
 *	  LeaveGroup: members leave, so that the group does not wait for the end of
 *	  their sessions.
 *
 * Before version 3 one member leaves, and its error is that of the response.
 * From 3 on a request may name several members, also by group instance id.
 *
 * Siblings: ../groups.h; ../../coord/classic.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"

/*
 * Makes the response from the coordinator's reply.
 */
static void
answer(KafkaCall *call, const CoordReply *reply)
{
	const CoordLeaveReply *in = &reply->u.leave;
	LeaveGroupResponse *out = call->response;

	Assert(reply->type == COORD_EV_LEAVE);
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

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
leave_group_begin(KafkaCall *call)
{
	const LeaveGroupRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_LEAVE, in->group_id);
	bool		many = call->api_version >= 3;
	int			n = many ? in->members.n : 1;
	CoordLeaveMember *members = palloc(sizeof(CoordLeaveMember) * Max(n, 1));
	LeaveGroupResponse *out = call->response;

	if (!kafka_may_group(call, in->group_id, PT_OP_READ))
	{
		out->error_code = KERR_GROUP_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
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

/*
 * KafkaHandler.fail
 */
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
