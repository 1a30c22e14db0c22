/*-------------------------------------------------------------------------
 *
 * 01_fetch.h
 *	  Fetch (API key 1), versions 4 to 18.
 *
 * 7 brought fetch sessions, 12 the diverging epoch, 13 topic ids.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_FETCH_H
#define KAFKA_MESSAGES_FETCH_H

#include "kafka/messages/common.h"

#define FETCH_PARTITION_ROWS(F) \
	F(INT32, partition,             0, LATEST) \
	F(INT32, current_leader_epoch,  9, LATEST, DEFAULT(-1)) \
	F(INT64, fetch_offset,          0, LATEST) \
	F(INT32, last_fetched_epoch,   12, LATEST, DEFAULT(-1)) \
	F(INT64, log_start_offset,      5, LATEST, DEFAULT(-1)) \
	F(INT32, partition_max_bytes,   0, LATEST) \
	F(UUID,  replica_directory_id, 17, LATEST, TAGGED(17, 0)) \
	F(INT64, high_watermark,       18, LATEST, TAGGED(18, 1), DEFAULT(PG_INT64_MAX))
KAFKA_STRUCT(FetchPartition, FETCH_PARTITION_ROWS)

#define FETCH_TOPIC_ROWS(F) \
	F(STRING,                topic,       0, 12) \
	F(UUID,                  topic_id,   13, LATEST) \
	F(ARRAY(FetchPartition), partitions,  0, LATEST)
KAFKA_STRUCT(FetchTopic, FETCH_TOPIC_ROWS)

#define FETCH_FORGOTTEN_TOPIC_ROWS(F) \
	F(STRING,      topic,       7, 12) \
	F(UUID,        topic_id,   13, LATEST) \
	F(LIST(INT32), partitions,  7, LATEST)
KAFKA_STRUCT(FetchForgottenTopic, FETCH_FORGOTTEN_TOPIC_ROWS)

#define FETCH_REPLICA_STATE_ROWS(F) \
	F(INT32, replica_id,    15, LATEST, DEFAULT(-1)) \
	F(INT64, replica_epoch, 15, LATEST, DEFAULT(-1))
KAFKA_STRUCT(FetchReplicaState, FETCH_REPLICA_STATE_ROWS)

#define FETCH_REQUEST_ROWS(F) \
	F(STRING,                     cluster_id,            12, LATEST, NULLABLE(12), TAGGED(12, 0), DEFAULT(-1)) \
	F(INT32,                      replica_id,             0, 14, DEFAULT(-1)) \
	F(STRUCT(FetchReplicaState),  replica_state,         15, LATEST, TAGGED(15, 1)) \
	F(INT32,                      max_wait_ms,            0, LATEST) \
	F(INT32,                      min_bytes,              0, LATEST) \
	F(INT32,                      max_bytes,              3, LATEST, DEFAULT(PG_INT32_MAX)) \
	F(INT8,                       isolation_level,        4, LATEST) \
	F(INT32,                      session_id,             7, LATEST) \
	F(INT32,                      session_epoch,          7, LATEST, DEFAULT(-1)) \
	F(ARRAY(FetchTopic),          topics,                 0, LATEST) \
	F(ARRAY(FetchForgottenTopic), forgotten_topics_data,  7, LATEST) \
	F(STRING,                     rack_id,               11, LATEST)
KAFKA_STRUCT(FetchRequest, FETCH_REQUEST_ROWS)

#define FETCH_EPOCH_END_ROWS(F) \
	F(INT32, epoch,      12, LATEST, DEFAULT(-1)) \
	F(INT64, end_offset, 12, LATEST, DEFAULT(-1))
KAFKA_STRUCT(FetchEpochEnd, FETCH_EPOCH_END_ROWS)

#define FETCH_SNAPSHOT_ID_ROWS(F) \
	F(INT64, end_offset,  0, LATEST, DEFAULT(-1)) \
	F(INT32, epoch,       0, LATEST, DEFAULT(-1))
KAFKA_STRUCT(FetchSnapshotId, FETCH_SNAPSHOT_ID_ROWS)

#define FETCH_ABORTED_TRANSACTION_ROWS(F) \
	F(INT64, producer_id,   4, LATEST) \
	F(INT64, first_offset,  4, LATEST)
KAFKA_STRUCT(FetchAbortedTransaction, FETCH_ABORTED_TRANSACTION_ROWS)

#define FETCH_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,                          partition_index,         0, LATEST) \
	F(INT16,                          error_code,              0, LATEST) \
	F(INT64,                          high_watermark,          0, LATEST) \
	F(INT64,                          last_stable_offset,      4, LATEST, DEFAULT(-1)) \
	F(INT64,                          log_start_offset,        5, LATEST, DEFAULT(-1)) \
	F(STRUCT(FetchEpochEnd),          diverging_epoch,        12, LATEST, TAGGED(12, 0)) \
	F(STRUCT(KafkaLeader),            current_leader,         12, LATEST, TAGGED(12, 1)) \
	F(STRUCT(FetchSnapshotId),        snapshot_id,            12, LATEST, TAGGED(12, 2)) \
	F(ARRAY(FetchAbortedTransaction), aborted_transactions,    4, LATEST, NULLABLE(4)) \
	F(INT32,                          preferred_read_replica, 11, LATEST, DEFAULT(-1)) \
	F(RECORDS,                        records,                 0, LATEST, NULLABLE(0))
KAFKA_STRUCT(FetchPartitionResponse, FETCH_PARTITION_RESPONSE_ROWS)

#define FETCH_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                        topic,       0, 12) \
	F(UUID,                          topic_id,   13, LATEST) \
	F(ARRAY(FetchPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(FetchTopicResponse, FETCH_TOPIC_RESPONSE_ROWS)

#define FETCH_RESPONSE_ROWS(F) \
	F(INT32,                     throttle_time_ms,  1, LATEST) \
	F(INT16,                     error_code,        7, LATEST) \
	F(INT32,                     session_id,        7, LATEST) \
	F(ARRAY(FetchTopicResponse), responses,         0, LATEST) \
	F(ARRAY(KafkaNodeEndpoint),  node_endpoints,   16, LATEST, TAGGED(16, 0))
KAFKA_STRUCT(FetchResponse, FETCH_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_FETCH_H */
