/*-------------------------------------------------------------------------
 *
 * 14_sync_group.c
 *	  SyncGroup: the leader of a classic group gives the assignment, the other
 *	  members get it.
 *
 * A call that comes before the leader's is parked.  From version 5 on the
 * client says which protocol it believes the group to have.
 *
 * Siblings: ../groups.h; ../../coord/classic.c; 11_join_group.c, the step
 * before.
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
	SyncGroupResponse *out = call->response;

	Assert(reply->type == COORD_EV_SYNC);
	out->error_code = (int16) reply->error;
	out->protocol_type = pt_string_copy(reply->u.sync.protocol_type);
	out->protocol_name = pt_string_copy(reply->u.sync.protocol_name);
	out->assignment = pt_string_copy(reply->u.sync.assignment);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
sync_group_begin(KafkaCall *call)
{
	const SyncGroupRequest *in = call->request;
	CoordEvent	event = kafka_group_event(call, COORD_EV_SYNC, in->group_id);
	CoordSyncAssignment *assignments = palloc(sizeof(CoordSyncAssignment) * Max(in->assignments.n, 1));
	SyncGroupResponse *out = call->response;

	if (!kafka_may_group(call, in->group_id, PT_OP_READ))
	{
		out->error_code = KERR_GROUP_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	for (int i = 0; i < in->assignments.n; i++)
	{
		assignments[i].member_id = in->assignments.items[i].member_id;
		assignments[i].assignment = in->assignments.items[i].assignment;
	}
	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.generation = in->generation_id;
	event.u.sync.protocol_type = in->protocol_type;
	event.u.sync.protocol_name = in->protocol_name;
	event.u.sync.nassignments = in->assignments.n;
	event.u.sync.assignments = assignments;
	return kafka_group_ask(call, &event, answer);
}

/*
 * KafkaHandler.fail
 */
static void
sync_group_fail(KafkaCall *call, int16 code, const char *message)
{
	SyncGroupResponse *out = call->response;

	out->error_code = kafka_group_error(code);
}

const KafkaHandler kafka_handler_sync_group = {
	.begin = sync_group_begin,
	.resume = kafka_group_resume,
	.fail = sync_group_fail
};
