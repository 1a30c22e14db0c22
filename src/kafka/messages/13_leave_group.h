/*-------------------------------------------------------------------------
 *
 * 13_leave_group.h
 *	  LeaveGroup (API key 13), versions 0 to 5.
 *
 * 3 brought many members in one request, 5 the reason.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LEAVE_GROUP_H
#define KAFKA_MESSAGES_LEAVE_GROUP_H

#include "kafka/message_rows.h"

#define LEAVE_GROUP_MEMBER_ROWS(F) \
	F(STRING, member_id,         3, LATEST) \
	F(STRING, group_instance_id, 3, LATEST, NULLABLE(3), DEFAULT(-1)) \
	F(STRING, reason,            5, LATEST, NULLABLE(5), DEFAULT(-1))
KAFKA_STRUCT(LeaveGroupMember, LEAVE_GROUP_MEMBER_ROWS)

#define LEAVE_GROUP_REQUEST_ROWS(F) \
	F(STRING,                  group_id,  0, LATEST) \
	F(STRING,                  member_id, 0, 2) \
	F(ARRAY(LeaveGroupMember), members,   3, LATEST)
KAFKA_STRUCT(LeaveGroupRequest, LEAVE_GROUP_REQUEST_ROWS)

#define LEAVE_GROUP_MEMBER_RESPONSE_ROWS(F) \
	F(STRING, member_id,         3, LATEST) \
	F(STRING, group_instance_id, 3, LATEST, NULLABLE(3)) \
	F(INT16,  error_code,        3, LATEST)
KAFKA_STRUCT(LeaveGroupMemberResponse, LEAVE_GROUP_MEMBER_RESPONSE_ROWS)

#define LEAVE_GROUP_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms, 1, LATEST) \
	F(INT16,                           error_code,       0, LATEST) \
	F(ARRAY(LeaveGroupMemberResponse), members,          3, LATEST)
KAFKA_STRUCT(LeaveGroupResponse, LEAVE_GROUP_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LEAVE_GROUP_H */
