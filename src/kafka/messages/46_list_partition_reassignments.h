/*-------------------------------------------------------------------------
 *
 * 46_list_partition_reassignments.h
 *	  ListPartitionReassignments (API key 46), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LIST_PARTITION_REASSIGNMENTS_H
#define KAFKA_MESSAGES_LIST_PARTITION_REASSIGNMENTS_H

#include "kafka/message_rows.h"

#define LIST_REASSIGNMENTS_TOPIC_ROWS(F) \
	F(STRING,      name,               0, LATEST) \
	F(LIST(INT32), partition_indexes,  0, LATEST)
KAFKA_STRUCT(ListReassignmentsTopic, LIST_REASSIGNMENTS_TOPIC_ROWS)

#define LIST_PARTITION_REASSIGNMENTS_REQUEST_ROWS(F) \
	F(INT32,                         timeout_ms,  0, LATEST, DEFAULT(60000)) \
	F(ARRAY(ListReassignmentsTopic), topics,      0, LATEST, NULLABLE(0), DEFAULT(-1))
KAFKA_STRUCT(ListPartitionReassignmentsRequest, LIST_PARTITION_REASSIGNMENTS_REQUEST_ROWS)

#define ONGOING_PARTITION_REASSIGNMENT_ROWS(F) \
	F(INT32,       partition_index,    0, LATEST) \
	F(LIST(INT32), replicas,           0, LATEST) \
	F(LIST(INT32), adding_replicas,    0, LATEST) \
	F(LIST(INT32), removing_replicas,  0, LATEST)
KAFKA_STRUCT(OngoingPartitionReassignment, ONGOING_PARTITION_REASSIGNMENT_ROWS)

#define ONGOING_TOPIC_REASSIGNMENT_ROWS(F) \
	F(STRING,                              name,        0, LATEST) \
	F(ARRAY(OngoingPartitionReassignment), partitions,  0, LATEST)
KAFKA_STRUCT(OngoingTopicReassignment, ONGOING_TOPIC_REASSIGNMENT_ROWS)

#define LIST_PARTITION_REASSIGNMENTS_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms,  0, LATEST) \
	F(INT16,                           error_code,        0, LATEST) \
	F(STRING,                          error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(OngoingTopicReassignment), topics,            0, LATEST)
KAFKA_STRUCT(ListPartitionReassignmentsResponse, LIST_PARTITION_REASSIGNMENTS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LIST_PARTITION_REASSIGNMENTS_H */
