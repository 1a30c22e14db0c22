/*-------------------------------------------------------------------------
 *
 * 15_describe_groups.h
 *	  DescribeGroups (API key 15), versions 0 to 6.
 *
 * 3 brought authorized operations, 4 static members, 6 an error message and
 * GROUP_ID_NOT_FOUND in place of a group that is "Dead".
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_GROUPS_H
#define KAFKA_MESSAGES_DESCRIBE_GROUPS_H

#include "kafka/message_rows.h"

#define DESCRIBE_GROUPS_REQUEST_ROWS(F) \
	F(LIST(STRING), groups,                        0, LATEST) \
	F(BOOL,         include_authorized_operations, 3, LATEST)
KAFKA_STRUCT(DescribeGroupsRequest, DESCRIBE_GROUPS_REQUEST_ROWS)

#define DESCRIBED_GROUP_MEMBER_ROWS(F) \
	F(STRING, member_id,         0, LATEST) \
	F(STRING, group_instance_id, 4, LATEST, NULLABLE(4), DEFAULT(-1)) \
	F(STRING, client_id,         0, LATEST) \
	F(STRING, client_host,       0, LATEST) \
	F(BYTES,  member_metadata,   0, LATEST) \
	F(BYTES,  member_assignment, 0, LATEST)
KAFKA_STRUCT(DescribedGroupMember, DESCRIBED_GROUP_MEMBER_ROWS)

#define DESCRIBED_GROUP_ROWS(F) \
	F(INT16,                       error_code,            0, LATEST) \
	F(STRING,                      error_message,         6, LATEST, NULLABLE(6), DEFAULT(-1)) \
	F(STRING,                      group_id,              0, LATEST) \
	F(STRING,                      group_state,           0, LATEST) \
	F(STRING,                      protocol_type,         0, LATEST) \
	F(STRING,                      protocol_data,         0, LATEST) \
	F(ARRAY(DescribedGroupMember), members,               0, LATEST) \
	F(INT32,                       authorized_operations, 3, LATEST, DEFAULT(PG_INT32_MIN))
KAFKA_STRUCT(DescribedGroup, DESCRIBED_GROUP_ROWS)

#define DESCRIBE_GROUPS_RESPONSE_ROWS(F) \
	F(INT32,                 throttle_time_ms, 1, LATEST) \
	F(ARRAY(DescribedGroup), groups,           0, LATEST)
KAFKA_STRUCT(DescribeGroupsResponse, DESCRIBE_GROUPS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_GROUPS_H */
