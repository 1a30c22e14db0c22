/*-------------------------------------------------------------------------
 *
 * 47_offset_delete.h
 *	  OffsetDelete (API key 47), version 0.
 *
 * Never flexible.  Topics that a member of the group is subscribed to keep
 * their offsets.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_OFFSET_DELETE_H
#define KAFKA_MESSAGES_OFFSET_DELETE_H

#include "kafka/message_rows.h"

#define OFFSET_DELETE_PARTITION_ROWS(F) \
	F(INT32, partition_index, 0, LATEST)
KAFKA_STRUCT(OffsetDeletePartition, OFFSET_DELETE_PARTITION_ROWS)

#define OFFSET_DELETE_TOPIC_ROWS(F) \
	F(STRING,                       name,       0, LATEST) \
	F(ARRAY(OffsetDeletePartition), partitions, 0, LATEST)
KAFKA_STRUCT(OffsetDeleteTopic, OFFSET_DELETE_TOPIC_ROWS)

#define OFFSET_DELETE_REQUEST_ROWS(F) \
	F(STRING,                   group_id, 0, LATEST) \
	F(ARRAY(OffsetDeleteTopic), topics,   0, LATEST)
KAFKA_STRUCT(OffsetDeleteRequest, OFFSET_DELETE_REQUEST_ROWS)

#define OFFSET_DELETE_PARTITION_RESPONSE_ROWS(F) \
	F(INT32, partition_index, 0, LATEST) \
	F(INT16, error_code,      0, LATEST)
KAFKA_STRUCT(OffsetDeletePartitionResponse, OFFSET_DELETE_PARTITION_RESPONSE_ROWS)

#define OFFSET_DELETE_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                               name,       0, LATEST) \
	F(ARRAY(OffsetDeletePartitionResponse), partitions, 0, LATEST)
KAFKA_STRUCT(OffsetDeleteTopicResponse, OFFSET_DELETE_TOPIC_RESPONSE_ROWS)

#define OFFSET_DELETE_RESPONSE_ROWS(F) \
	F(INT16,                            error_code,       0, LATEST) \
	F(INT32,                            throttle_time_ms, 0, LATEST) \
	F(ARRAY(OffsetDeleteTopicResponse), topics,           0, LATEST)
KAFKA_STRUCT(OffsetDeleteResponse, OFFSET_DELETE_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_OFFSET_DELETE_H */
