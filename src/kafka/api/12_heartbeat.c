/*-------------------------------------------------------------------------
 *
 * 12_heartbeat.c
 *	  Heartbeat: a member of the classic protocol says that it is alive.
 *
 * It is answered at once. REBALANCE_IN_PROGRESS tells the member to join
 * again.
 *
 * Siblings: ../groups.h; ../../coord/classic.c; 68_consumer_group_heartbeat.c
 * is that of the other protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
heartbeat_begin(KafkaCall *call)
{
	const HeartbeatRequest *in = call->request;
	HeartbeatResponse *out = call->response;
	CoordEvent	event = kafka_group_event(call, COORD_EV_HEARTBEAT, in->group_id);

	if (!kafka_may_group(call, in->group_id, PT_OP_READ))
	{
		out->error_code = KERR_GROUP_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.generation = in->generation_id;
	out->error_code = kafka_group_check(call, &event);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
heartbeat_fail(KafkaCall *call, int16 code, const char *message)
{
	HeartbeatResponse *out = call->response;

	out->error_code = kafka_group_error(code);
}

const KafkaHandler kafka_handler_heartbeat = {
	.begin = heartbeat_begin,
	.fail = heartbeat_fail
};
