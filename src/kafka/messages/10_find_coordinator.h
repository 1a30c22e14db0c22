/*-------------------------------------------------------------------------
 *
 * 10_find_coordinator.h
 *	  FindCoordinator (API key 10), versions 0 to 6.
 *
 * 1 brought key types (group 0, transaction 1), 4 many keys in one request, 6
 * share groups.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_FIND_COORDINATOR_H
#define KAFKA_MESSAGES_FIND_COORDINATOR_H

#include "kafka/message_rows.h"

#define FIND_COORDINATOR_REQUEST_ROWS(F) \
	F(STRING,       key,              0, 3) \
	F(INT8,         key_type,         1, LATEST) \
	F(LIST(STRING), coordinator_keys, 4, LATEST)
KAFKA_STRUCT(FindCoordinatorRequest, FIND_COORDINATOR_REQUEST_ROWS)

#define FIND_COORDINATOR_FOUND_ROWS(F) \
	F(STRING, key,           4, LATEST) \
	F(INT32,  node_id,       4, LATEST) \
	F(STRING, host,          4, LATEST) \
	F(INT32,  port,          4, LATEST) \
	F(INT16,  error_code,    4, LATEST) \
	F(STRING, error_message, 4, LATEST, NULLABLE(4))
KAFKA_STRUCT(FindCoordinatorFound, FIND_COORDINATOR_FOUND_ROWS)

#define FIND_COORDINATOR_RESPONSE_ROWS(F) \
	F(INT32,                       throttle_time_ms, 1, LATEST) \
	F(INT16,                       error_code,       0, 3) \
	F(STRING,                      error_message,    1, 3, NULLABLE(1)) \
	F(INT32,                       node_id,          0, 3) \
	F(STRING,                      host,             0, 3) \
	F(INT32,                       port,             0, 3) \
	F(ARRAY(FindCoordinatorFound), coordinators,     4, LATEST)
KAFKA_STRUCT(FindCoordinatorResponse, FIND_COORDINATOR_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_FIND_COORDINATOR_H */
