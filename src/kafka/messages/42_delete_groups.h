/*-------------------------------------------------------------------------
 *
 * 42_delete_groups.h
 *	  DeleteGroups (API key 42), versions 0 to 2.
 *
 * A group with members is not deleted; one that is takes its offsets along.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DELETE_GROUPS_H
#define KAFKA_MESSAGES_DELETE_GROUPS_H

#include "kafka/message_rows.h"

#define DELETE_GROUPS_REQUEST_ROWS(F) \
	F(LIST(STRING), groups_names, 0, LATEST)
KAFKA_STRUCT(DeleteGroupsRequest, DELETE_GROUPS_REQUEST_ROWS)

#define DELETED_GROUP_ROWS(F) \
	F(STRING, group_id,   0, LATEST) \
	F(INT16,  error_code, 0, LATEST)
KAFKA_STRUCT(DeletedGroup, DELETED_GROUP_ROWS)

#define DELETE_GROUPS_RESPONSE_ROWS(F) \
	F(INT32,               throttle_time_ms, 0, LATEST) \
	F(ARRAY(DeletedGroup), results,          0, LATEST)
KAFKA_STRUCT(DeleteGroupsResponse, DELETE_GROUPS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DELETE_GROUPS_H */
