/*-------------------------------------------------------------------------
 *
 * 08_offset_commit.h
 *	  OffsetCommit (API key 8), versions 2 to 10.
 *
 * 5 dropped the retention time, 6 brought the leader epoch, 7 static members,
 * 9 member epochs of the consumer protocol, 10 topic ids.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_OFFSET_COMMIT_H
#define KAFKA_MESSAGES_OFFSET_COMMIT_H

#include "kafka/message_rows.h"

#define OFFSET_COMMIT_PARTITION_ROWS(F) \
	F(INT32,  partition_index,        0, LATEST) \
	F(INT64,  committed_offset,       0, LATEST) \
	F(INT32,  committed_leader_epoch, 6, LATEST, DEFAULT(-1)) \
	F(STRING, committed_metadata,     0, LATEST, NULLABLE(0))
KAFKA_STRUCT(OffsetCommitPartition, OFFSET_COMMIT_PARTITION_ROWS)

#define OFFSET_COMMIT_TOPIC_ROWS(F) \
	F(STRING,                       name,        0, 9) \
	F(UUID,                         topic_id,   10, LATEST) \
	F(ARRAY(OffsetCommitPartition), partitions,  0, LATEST)
KAFKA_STRUCT(OffsetCommitTopic, OFFSET_COMMIT_TOPIC_ROWS)

#define OFFSET_COMMIT_REQUEST_ROWS(F) \
	F(STRING,                   group_id,                      0, LATEST) \
	F(INT32,                    generation_id_or_member_epoch, 1, LATEST, DEFAULT(-1)) \
	F(STRING,                   member_id,                     1, LATEST) \
	F(STRING,                   group_instance_id,             7, LATEST, NULLABLE(7), DEFAULT(-1)) \
	F(INT64,                    retention_time_ms,             2, 4, DEFAULT(-1)) \
	F(ARRAY(OffsetCommitTopic), topics,                        0, LATEST)
KAFKA_STRUCT(OffsetCommitRequest, OFFSET_COMMIT_REQUEST_ROWS)

#define OFFSET_COMMIT_PARTITION_RESPONSE_ROWS(F) \
	F(INT32, partition_index, 0, LATEST) \
	F(INT16, error_code,      0, LATEST)
KAFKA_STRUCT(OffsetCommitPartitionResponse, OFFSET_COMMIT_PARTITION_RESPONSE_ROWS)

#define OFFSET_COMMIT_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                               name,        0, 9) \
	F(UUID,                                 topic_id,   10, LATEST) \
	F(ARRAY(OffsetCommitPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(OffsetCommitTopicResponse, OFFSET_COMMIT_TOPIC_RESPONSE_ROWS)

#define OFFSET_COMMIT_RESPONSE_ROWS(F) \
	F(INT32,                            throttle_time_ms, 3, LATEST) \
	F(ARRAY(OffsetCommitTopicResponse), topics,           0, LATEST)
KAFKA_STRUCT(OffsetCommitResponse, OFFSET_COMMIT_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_OFFSET_COMMIT_H */
