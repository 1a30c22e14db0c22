/*-------------------------------------------------------------------------
 *
 * 23_offset_for_leader_epoch.h
 *	  OffsetForLeaderEpoch (API key 23), versions 2 to 4.
 *
 * Where an epoch ended: how consumers find out after a failover that their log
 * diverged.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_OFFSET_FOR_LEADER_EPOCH_H
#define KAFKA_MESSAGES_OFFSET_FOR_LEADER_EPOCH_H

#include "kafka/message_rows.h"

#define EPOCH_PARTITION_ROWS(F) \
	F(INT32, partition,             0, LATEST) \
	F(INT32, current_leader_epoch,  2, LATEST, DEFAULT(-1)) \
	F(INT32, leader_epoch,          0, LATEST)
KAFKA_STRUCT(EpochPartition, EPOCH_PARTITION_ROWS)

#define EPOCH_TOPIC_ROWS(F) \
	F(STRING,                topic,       0, LATEST) \
	F(ARRAY(EpochPartition), partitions,  0, LATEST)
KAFKA_STRUCT(EpochTopic, EPOCH_TOPIC_ROWS)

#define OFFSET_FOR_LEADER_EPOCH_REQUEST_ROWS(F) \
	F(INT32,             replica_id,  3, LATEST, DEFAULT(-2)) \
	F(ARRAY(EpochTopic), topics,      0, LATEST)
KAFKA_STRUCT(OffsetForLeaderEpochRequest, OFFSET_FOR_LEADER_EPOCH_REQUEST_ROWS)

#define EPOCH_PARTITION_RESPONSE_ROWS(F) \
	F(INT16, error_code,    0, LATEST) \
	F(INT32, partition,     0, LATEST) \
	F(INT32, leader_epoch,  1, LATEST, DEFAULT(-1)) \
	F(INT64, end_offset,    0, LATEST, DEFAULT(-1))
KAFKA_STRUCT(EpochPartitionResponse, EPOCH_PARTITION_RESPONSE_ROWS)

#define EPOCH_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                        topic,       0, LATEST) \
	F(ARRAY(EpochPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(EpochTopicResponse, EPOCH_TOPIC_RESPONSE_ROWS)

#define OFFSET_FOR_LEADER_EPOCH_RESPONSE_ROWS(F) \
	F(INT32,                     throttle_time_ms,  2, LATEST) \
	F(ARRAY(EpochTopicResponse), topics,            0, LATEST)
KAFKA_STRUCT(OffsetForLeaderEpochResponse, OFFSET_FOR_LEADER_EPOCH_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_OFFSET_FOR_LEADER_EPOCH_H */
