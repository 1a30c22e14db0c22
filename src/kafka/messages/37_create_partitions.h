/*-------------------------------------------------------------------------
 *
 * 37_create_partitions.h
 *	  CreatePartitions (API key 37), versions 0 to 3.
 *
 * All versions are laid out alike; 2 and later are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CREATE_PARTITIONS_H
#define KAFKA_MESSAGES_CREATE_PARTITIONS_H

#include "kafka/message_rows.h"

#define CREATE_PARTITIONS_ASSIGNMENT_ROWS(F) \
	F(LIST(INT32), broker_ids,  0, LATEST)
KAFKA_STRUCT(CreatePartitionsAssignment, CREATE_PARTITIONS_ASSIGNMENT_ROWS)

#define CREATE_PARTITIONS_TOPIC_ROWS(F) \
	F(STRING,                            name,         0, LATEST) \
	F(INT32,                             count,        0, LATEST) \
	F(ARRAY(CreatePartitionsAssignment), assignments,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(CreatePartitionsTopic, CREATE_PARTITIONS_TOPIC_ROWS)

#define CREATE_PARTITIONS_REQUEST_ROWS(F) \
	F(ARRAY(CreatePartitionsTopic), topics,         0, LATEST) \
	F(INT32,                        timeout_ms,     0, LATEST) \
	F(BOOL,                         validate_only,  0, LATEST)
KAFKA_STRUCT(CreatePartitionsRequest, CREATE_PARTITIONS_REQUEST_ROWS)

#define CREATE_PARTITIONS_RESULT_ROWS(F) \
	F(STRING, name,           0, LATEST) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0), DEFAULT(-1))
KAFKA_STRUCT(CreatePartitionsResult, CREATE_PARTITIONS_RESULT_ROWS)

#define CREATE_PARTITIONS_RESPONSE_ROWS(F) \
	F(INT32,                         throttle_time_ms,  0, LATEST) \
	F(ARRAY(CreatePartitionsResult), results,           0, LATEST)
KAFKA_STRUCT(CreatePartitionsResponse, CREATE_PARTITIONS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CREATE_PARTITIONS_H */
