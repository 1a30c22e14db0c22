/*-------------------------------------------------------------------------
 *
 * 12_heartbeat.c
 *	  Heartbeat: a member of the classic protocol is alive, and hears of
 *	  rebalances.
 *
 * Siblings: ../groups.h; 68_consumer_group_heartbeat.c is that of the other
 * protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/groups.h"

static KafkaOutcome
heartbeat_begin(KafkaCall *call)
{
	const HeartbeatRequest *in = call->request;
	HeartbeatResponse *out = call->response;
	CoordEvent	event = kafka_group_event(call, COORD_EV_HEARTBEAT, in->group_id);

	event.member_id = in->member_id;
	event.group_instance_id = in->group_instance_id;
	event.generation = in->generation_id;
	out->error_code = kafka_group_check(call, &event);
	return KAFKA_REPLY;
}

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
