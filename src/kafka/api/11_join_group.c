/*-------------------------------------------------------------------------
 *
 * 11_join_group.c
 *	  JoinGroup: a member of the classic protocol joins a group or a rebalance.
 *
 * The answer usually waits until all members have joined, so the call is
 * parked.  From version 4 on a new dynamic member gets its id in an error
 * first (KIP-394); from 5 on there is static membership; from 9 on the leader
 * may be told to skip the assignment.
 *
 * Siblings: ../groups.h; ../../coord/classic.c; 14_sync_group.c, the next
 * step.
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
	const CoordJoinReply *in = &reply->u.join;
	JoinGroupResponse *out = call->response;

	Assert(reply->type == COORD_EV_JOIN);
	out->error_code = (int16) reply->error;
	out->generation_id = in->generation;
	out->protocol_type = pt_string_copy(in->protocol_type);
	out->protocol_name = pt_string_copy(in->protocol_name);
	out->leader = pt_string_copy(in->leader);
	out->skip_assignment = in->skip_assignment;
	out->member_id = pt_string_copy(in->member_id);
	KAFKA_RESIZE(call, out->members, JoinGroupMember, in->nmembers);
	for (int i = 0; i < in->nmembers; i++)
	{
		out->members.items[i].member_id = pt_string_copy(in->members[i].member_id);
		out->members.items[i].group_instance_id = pt_string_copy(in->members[i].group_instance_id);
		out->members.items[i].metadata = pt_string_copy(in->members[i].metadata);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
join_group_begin(KafkaCall *call)
{
	const JoinGroupRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_JOIN, in->group_id);
	CoordProtocol *protocols = palloc(sizeof(CoordProtocol) * Max(in->protocols.n, 1));
	JoinGroupResponse *out = call->response;

	if (!kafka_may_group(call, in->group_id, PT_OP_READ))
	{
		out->error_code = KERR_GROUP_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	for (int i = 0; i < in->protocols.n; i++)
	{
		protocols[i].name = in->protocols.items[i].name;
		protocols[i].metadata = in->protocols.items[i].metadata;
	}
	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.u.join.session_timeout_ms = in->session_timeout_ms;
	event.u.join.rebalance_timeout_ms = in->rebalance_timeout_ms;
	event.u.join.protocol_type = in->protocol_type;
	event.u.join.nprotocols = in->protocols.n;
	event.u.join.protocols = protocols;
	event.u.join.reason = in->reason;
	return kafka_group_ask(call, &event, answer);
}

/*
 * KafkaHandler.fail
 */
static void
join_group_fail(KafkaCall *call, int16 code, const char *message)
{
	const JoinGroupRequest *in = call->request;
	JoinGroupResponse *out = call->response;

	out->error_code = kafka_group_error(code);
	out->member_id = in->member_id;
}

const KafkaHandler kafka_handler_join_group = {
	.begin = join_group_begin,
	.resume = kafka_group_resume,
	.fail = join_group_fail
};
