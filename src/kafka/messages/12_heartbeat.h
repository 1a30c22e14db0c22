/*-------------------------------------------------------------------------
 *
 * 12_heartbeat.h
 *	  Heartbeat (API key 12), versions 0 to 4.
 *
 * 3 brought static members.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_HEARTBEAT_H
#define KAFKA_MESSAGES_HEARTBEAT_H

#include "kafka/message_rows.h"

#define HEARTBEAT_REQUEST_ROWS(F) \
	F(STRING, group_id,          0, LATEST) \
	F(INT32,  generation_id,     0, LATEST) \
	F(STRING, member_id,         0, LATEST) \
	F(STRING, group_instance_id, 3, LATEST, NULLABLE(3), DEFAULT(-1))
KAFKA_STRUCT(HeartbeatRequest, HEARTBEAT_REQUEST_ROWS)

#define HEARTBEAT_RESPONSE_ROWS(F) \
	F(INT32, throttle_time_ms, 1, LATEST) \
	F(INT16, error_code,       0, LATEST)
KAFKA_STRUCT(HeartbeatResponse, HEARTBEAT_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_HEARTBEAT_H */
