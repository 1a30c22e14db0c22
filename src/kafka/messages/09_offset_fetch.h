/*-------------------------------------------------------------------------
 *
 * 09_offset_fetch.h
 *	  OffsetFetch (API key 9), versions 1 to 10.
 *
 * 2 brought all topics (null) and an error code of its own, 5 the leader
 * epoch, 7 "require stable", 8 many groups in one request, 9 member epochs, 10
 * topic ids.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_OFFSET_FETCH_H
#define KAFKA_MESSAGES_OFFSET_FETCH_H

#include "kafka/message_rows.h"

#define OFFSET_FETCH_TOPIC_ROWS(F) \
	F(STRING,      name,              0, 7) \
	F(LIST(INT32), partition_indexes, 0, 7)
KAFKA_STRUCT(OffsetFetchTopic, OFFSET_FETCH_TOPIC_ROWS)

#define OFFSET_FETCH_GROUP_TOPIC_ROWS(F) \
	F(STRING,      name,               8, 9) \
	F(UUID,        topic_id,          10, LATEST) \
	F(LIST(INT32), partition_indexes,  8, LATEST)
KAFKA_STRUCT(OffsetFetchGroupTopic, OFFSET_FETCH_GROUP_TOPIC_ROWS)

#define OFFSET_FETCH_GROUP_ROWS(F) \
	F(STRING,                       group_id,     8, LATEST) \
	F(STRING,                       member_id,    9, LATEST, NULLABLE(9), DEFAULT(-1)) \
	F(INT32,                        member_epoch, 9, LATEST, DEFAULT(-1)) \
	F(ARRAY(OffsetFetchGroupTopic), topics,       8, LATEST, NULLABLE(8))
KAFKA_STRUCT(OffsetFetchGroup, OFFSET_FETCH_GROUP_ROWS)

#define OFFSET_FETCH_REQUEST_ROWS(F) \
	F(STRING,                  group_id,       0, 7) \
	F(ARRAY(OffsetFetchTopic), topics,         0, 7, NULLABLE(2)) \
	F(ARRAY(OffsetFetchGroup), groups,         8, LATEST) \
	F(BOOL,                    require_stable, 7, LATEST)
KAFKA_STRUCT(OffsetFetchRequest, OFFSET_FETCH_REQUEST_ROWS)

#define OFFSET_FETCH_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,  partition_index,        0, 7) \
	F(INT64,  committed_offset,       0, 7) \
	F(INT32,  committed_leader_epoch, 5, 7, DEFAULT(-1)) \
	F(STRING, metadata,               0, 7, NULLABLE(0)) \
	F(INT16,  error_code,             0, 7)
KAFKA_STRUCT(OffsetFetchPartitionResponse, OFFSET_FETCH_PARTITION_RESPONSE_ROWS)

#define OFFSET_FETCH_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                              name,       0, 7) \
	F(ARRAY(OffsetFetchPartitionResponse), partitions, 0, 7)
KAFKA_STRUCT(OffsetFetchTopicResponse, OFFSET_FETCH_TOPIC_RESPONSE_ROWS)

#define OFFSET_FETCH_GROUP_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,  partition_index,        8, LATEST) \
	F(INT64,  committed_offset,       8, LATEST) \
	F(INT32,  committed_leader_epoch, 8, LATEST, DEFAULT(-1)) \
	F(STRING, metadata,               8, LATEST, NULLABLE(8)) \
	F(INT16,  error_code,             8, LATEST)
KAFKA_STRUCT(OffsetFetchGroupPartitionResponse, OFFSET_FETCH_GROUP_PARTITION_RESPONSE_ROWS)

#define OFFSET_FETCH_GROUP_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                                   name,        8, 9) \
	F(UUID,                                     topic_id,   10, LATEST) \
	F(ARRAY(OffsetFetchGroupPartitionResponse), partitions,  8, LATEST)
KAFKA_STRUCT(OffsetFetchGroupTopicResponse, OFFSET_FETCH_GROUP_TOPIC_RESPONSE_ROWS)

#define OFFSET_FETCH_GROUP_RESPONSE_ROWS(F) \
	F(STRING,                               group_id,   8, LATEST) \
	F(ARRAY(OffsetFetchGroupTopicResponse), topics,     8, LATEST) \
	F(INT16,                                error_code, 8, LATEST)
KAFKA_STRUCT(OffsetFetchGroupResponse, OFFSET_FETCH_GROUP_RESPONSE_ROWS)

#define OFFSET_FETCH_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms, 3, LATEST) \
	F(ARRAY(OffsetFetchTopicResponse), topics,           0, 7) \
	F(INT16,                           error_code,       2, 7) \
	F(ARRAY(OffsetFetchGroupResponse), groups,           8, LATEST)
KAFKA_STRUCT(OffsetFetchResponse, OFFSET_FETCH_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_OFFSET_FETCH_H */
