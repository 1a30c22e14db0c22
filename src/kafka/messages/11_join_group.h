/*-------------------------------------------------------------------------
 *
 * 11_join_group.h
 *	  JoinGroup (API key 11), versions 0 to 9.
 *
 * 1 brought the rebalance timeout, 4 MEMBER_ID_REQUIRED, 5 static members, 7 a
 * null protocol name, 8 the reason, 9 "skip assignment".
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_JOIN_GROUP_H
#define KAFKA_MESSAGES_JOIN_GROUP_H

#include "kafka/message_rows.h"

#define JOIN_GROUP_PROTOCOL_ROWS(F) \
	F(STRING, name,     0, LATEST) \
	F(BYTES,  metadata, 0, LATEST)
KAFKA_STRUCT(JoinGroupProtocol, JOIN_GROUP_PROTOCOL_ROWS)

#define JOIN_GROUP_REQUEST_ROWS(F) \
	F(STRING,                   group_id,             0, LATEST) \
	F(INT32,                    session_timeout_ms,   0, LATEST) \
	F(INT32,                    rebalance_timeout_ms, 1, LATEST, DEFAULT(-1)) \
	F(STRING,                   member_id,            0, LATEST) \
	F(STRING,                   group_instance_id,    5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(STRING,                   protocol_type,        0, LATEST) \
	F(ARRAY(JoinGroupProtocol), protocols,            0, LATEST) \
	F(STRING,                   reason,               8, LATEST, NULLABLE(8), DEFAULT(-1))
KAFKA_STRUCT(JoinGroupRequest, JOIN_GROUP_REQUEST_ROWS)

#define JOIN_GROUP_MEMBER_ROWS(F) \
	F(STRING, member_id,         0, LATEST) \
	F(STRING, group_instance_id, 5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(BYTES,  metadata,          0, LATEST)
KAFKA_STRUCT(JoinGroupMember, JOIN_GROUP_MEMBER_ROWS)

#define JOIN_GROUP_RESPONSE_ROWS(F) \
	F(INT32,                  throttle_time_ms, 2, LATEST) \
	F(INT16,                  error_code,       0, LATEST) \
	F(INT32,                  generation_id,    0, LATEST, DEFAULT(-1)) \
	F(STRING,                 protocol_type,    7, LATEST, NULLABLE(7), DEFAULT(-1)) \
	F(STRING,                 protocol_name,    0, LATEST, NULLABLE(7)) \
	F(STRING,                 leader,           0, LATEST) \
	F(BOOL,                   skip_assignment,  9, LATEST) \
	F(STRING,                 member_id,        0, LATEST) \
	F(ARRAY(JoinGroupMember), members,          0, LATEST)
KAFKA_STRUCT(JoinGroupResponse, JOIN_GROUP_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_JOIN_GROUP_H */
