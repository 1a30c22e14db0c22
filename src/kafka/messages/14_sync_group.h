/*-------------------------------------------------------------------------
 *
 * 14_sync_group.h
 *	  SyncGroup (API key 14), versions 0 to 5.
 *
 * 3 brought static members, 5 the protocol, which must be that of the group.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_SYNC_GROUP_H
#define KAFKA_MESSAGES_SYNC_GROUP_H

#include "kafka/message_rows.h"

#define SYNC_GROUP_ASSIGNMENT_ROWS(F) \
	F(STRING, member_id,  0, LATEST) \
	F(BYTES,  assignment, 0, LATEST)
KAFKA_STRUCT(SyncGroupAssignment, SYNC_GROUP_ASSIGNMENT_ROWS)

#define SYNC_GROUP_REQUEST_ROWS(F) \
	F(STRING,                     group_id,          0, LATEST) \
	F(INT32,                      generation_id,     0, LATEST) \
	F(STRING,                     member_id,         0, LATEST) \
	F(STRING,                     group_instance_id, 3, LATEST, NULLABLE(3), DEFAULT(-1)) \
	F(STRING,                     protocol_type,     5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(STRING,                     protocol_name,     5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(ARRAY(SyncGroupAssignment), assignments,       0, LATEST)
KAFKA_STRUCT(SyncGroupRequest, SYNC_GROUP_REQUEST_ROWS)

#define SYNC_GROUP_RESPONSE_ROWS(F) \
	F(INT32,  throttle_time_ms, 1, LATEST) \
	F(INT16,  error_code,       0, LATEST) \
	F(STRING, protocol_type,    5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(STRING, protocol_name,    5, LATEST, NULLABLE(5), DEFAULT(-1)) \
	F(BYTES,  assignment,       0, LATEST)
KAFKA_STRUCT(SyncGroupResponse, SYNC_GROUP_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_SYNC_GROUP_H */
