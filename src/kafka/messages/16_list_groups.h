/*-------------------------------------------------------------------------
 *
 * 16_list_groups.h
 *	  ListGroups (API key 16), versions 0 to 5.
 *
 * 4 brought states, 5 types: both are told and can be filtered by.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LIST_GROUPS_H
#define KAFKA_MESSAGES_LIST_GROUPS_H

#include "kafka/message_rows.h"

#define LIST_GROUPS_REQUEST_ROWS(F) \
	F(LIST(STRING), states_filter, 4, LATEST) \
	F(LIST(STRING), types_filter,  5, LATEST)
KAFKA_STRUCT(ListGroupsRequest, LIST_GROUPS_REQUEST_ROWS)

#define LISTED_GROUP_ROWS(F) \
	F(STRING, group_id,      0, LATEST) \
	F(STRING, protocol_type, 0, LATEST) \
	F(STRING, group_state,   4, LATEST) \
	F(STRING, group_type,    5, LATEST)
KAFKA_STRUCT(ListedGroup, LISTED_GROUP_ROWS)

#define LIST_GROUPS_RESPONSE_ROWS(F) \
	F(INT32,              throttle_time_ms, 1, LATEST) \
	F(INT16,              error_code,       0, LATEST) \
	F(ARRAY(ListedGroup), groups,           0, LATEST)
KAFKA_STRUCT(ListGroupsResponse, LIST_GROUPS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LIST_GROUPS_H */
