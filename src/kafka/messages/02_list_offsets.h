/*-------------------------------------------------------------------------
 *
 * 02_list_offsets.h
 *	  ListOffsets (API key 2), versions 1 to 11.
 *
 * A timestamp below 0 asks for a place instead of a time; which ones exist
 * depends on the version: see PT_LIST_LATEST and its like in fetch.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LIST_OFFSETS_H
#define KAFKA_MESSAGES_LIST_OFFSETS_H

#include "kafka/message_rows.h"

#define LIST_OFFSETS_PARTITION_ROWS(F) \
	F(INT32, partition_index,       0, LATEST) \
	F(INT32, current_leader_epoch,  4, LATEST, DEFAULT(-1)) \
	F(INT64, timestamp,             0, LATEST)
KAFKA_STRUCT(ListOffsetsPartition, LIST_OFFSETS_PARTITION_ROWS)

#define LIST_OFFSETS_TOPIC_ROWS(F) \
	F(STRING,                      name,        0, LATEST) \
	F(ARRAY(ListOffsetsPartition), partitions,  0, LATEST)
KAFKA_STRUCT(ListOffsetsTopic, LIST_OFFSETS_TOPIC_ROWS)

#define LIST_OFFSETS_REQUEST_ROWS(F) \
	F(INT32,                   replica_id,       0, LATEST) \
	F(INT8,                    isolation_level,  2, LATEST) \
	F(ARRAY(ListOffsetsTopic), topics,           0, LATEST) \
	F(INT32,                   timeout_ms,      10, LATEST)
KAFKA_STRUCT(ListOffsetsRequest, LIST_OFFSETS_REQUEST_ROWS)

#define LIST_OFFSETS_PARTITION_RESPONSE_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT16, error_code,       0, LATEST) \
	F(INT64, timestamp,        1, LATEST, DEFAULT(-1)) \
	F(INT64, offset,           1, LATEST, DEFAULT(-1)) \
	F(INT32, leader_epoch,     4, LATEST, DEFAULT(-1))
KAFKA_STRUCT(ListOffsetsPartitionResponse, LIST_OFFSETS_PARTITION_RESPONSE_ROWS)

#define LIST_OFFSETS_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                              name,        0, LATEST) \
	F(ARRAY(ListOffsetsPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(ListOffsetsTopicResponse, LIST_OFFSETS_TOPIC_RESPONSE_ROWS)

#define LIST_OFFSETS_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms,  2, LATEST) \
	F(ARRAY(ListOffsetsTopicResponse), topics,            0, LATEST)
KAFKA_STRUCT(ListOffsetsResponse, LIST_OFFSETS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LIST_OFFSETS_H */
