/*-------------------------------------------------------------------------
 *
 * 45_alter_partition_reassignments.h
 *	  AlterPartitionReassignments (API key 45), versions 0 to 1.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALTER_PARTITION_REASSIGNMENTS_H
#define KAFKA_MESSAGES_ALTER_PARTITION_REASSIGNMENTS_H

#include "kafka/message_rows.h"

#define REASSIGNABLE_PARTITION_ROWS(F) \
	F(INT32,       partition_index,  0, LATEST) \
	F(LIST(INT32), replicas,         0, LATEST, NULLABLE(0), DEFAULT(-1))
KAFKA_STRUCT(ReassignablePartition, REASSIGNABLE_PARTITION_ROWS)

#define REASSIGNABLE_TOPIC_ROWS(F) \
	F(STRING,                       name,        0, LATEST) \
	F(ARRAY(ReassignablePartition), partitions,  0, LATEST)
KAFKA_STRUCT(ReassignableTopic, REASSIGNABLE_TOPIC_ROWS)

#define ALTER_PARTITION_REASSIGNMENTS_REQUEST_ROWS(F) \
	F(INT32,                    timeout_ms,                       0, LATEST, DEFAULT(60000)) \
	F(BOOL,                     allow_replication_factor_change,  1, LATEST, DEFAULT(1)) \
	F(ARRAY(ReassignableTopic), topics,                           0, LATEST)
KAFKA_STRUCT(AlterPartitionReassignmentsRequest, ALTER_PARTITION_REASSIGNMENTS_REQUEST_ROWS)

#define REASSIGNABLE_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,  partition_index,  0, LATEST) \
	F(INT16,  error_code,       0, LATEST) \
	F(STRING, error_message,    0, LATEST, NULLABLE(0))
KAFKA_STRUCT(ReassignablePartitionResponse, REASSIGNABLE_PARTITION_RESPONSE_ROWS)

#define REASSIGNABLE_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                               name,        0, LATEST) \
	F(ARRAY(ReassignablePartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(ReassignableTopicResponse, REASSIGNABLE_TOPIC_RESPONSE_ROWS)

#define ALTER_PARTITION_REASSIGNMENTS_RESPONSE_ROWS(F) \
	F(INT32,                            throttle_time_ms,                 0, LATEST) \
	F(BOOL,                             allow_replication_factor_change,  1, LATEST, DEFAULT(1)) \
	F(INT16,                            error_code,                       0, LATEST) \
	F(STRING,                           error_message,                    0, LATEST, NULLABLE(0)) \
	F(ARRAY(ReassignableTopicResponse), responses,                        0, LATEST)
KAFKA_STRUCT(AlterPartitionReassignmentsResponse, ALTER_PARTITION_REASSIGNMENTS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ALTER_PARTITION_REASSIGNMENTS_H */
