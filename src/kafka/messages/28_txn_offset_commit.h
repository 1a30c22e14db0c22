/*-------------------------------------------------------------------------
 *
 * 28_txn_offset_commit.h
 *	  TxnOffsetCommit (API key 28), versions 0 to 6.
 *
 * 2 brought the leader epoch, 3 the member; 5 makes the group part of the
 * transaction by itself (KIP-890); 6 has topic ids.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_TXN_OFFSET_COMMIT_H
#define KAFKA_MESSAGES_TXN_OFFSET_COMMIT_H

#include "kafka/message_rows.h"

#define TXN_OFFSET_COMMIT_PARTITION_ROWS(F) \
	F(INT32,  partition_index,         0, LATEST) \
	F(INT64,  committed_offset,        0, LATEST) \
	F(INT32,  committed_leader_epoch,  2, LATEST, DEFAULT(-1)) \
	F(STRING, committed_metadata,      0, LATEST, NULLABLE(0))
KAFKA_STRUCT(TxnOffsetCommitPartition, TXN_OFFSET_COMMIT_PARTITION_ROWS)

#define TXN_OFFSET_COMMIT_TOPIC_ROWS(F) \
	F(STRING,                          name,        0, 5) \
	F(UUID,                            topic_id,    6, LATEST) \
	F(ARRAY(TxnOffsetCommitPartition), partitions,  0, LATEST)
KAFKA_STRUCT(TxnOffsetCommitTopic, TXN_OFFSET_COMMIT_TOPIC_ROWS)

#define TXN_OFFSET_COMMIT_REQUEST_ROWS(F) \
	F(STRING,                      transactional_id,               0, LATEST) \
	F(STRING,                      group_id,                       0, LATEST) \
	F(INT64,                       producer_id,                    0, LATEST) \
	F(INT16,                       producer_epoch,                 0, LATEST) \
	F(INT32,                       generation_id_or_member_epoch,  3, LATEST, DEFAULT(-1)) \
	F(STRING,                      member_id,                      3, LATEST) \
	F(STRING,                      group_instance_id,              3, LATEST, NULLABLE(3), DEFAULT(-1)) \
	F(ARRAY(TxnOffsetCommitTopic), topics,                         0, LATEST)
KAFKA_STRUCT(TxnOffsetCommitRequest, TXN_OFFSET_COMMIT_REQUEST_ROWS)

#define TXN_OFFSET_COMMIT_PARTITION_RESPONSE_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT16, error_code,       0, LATEST)
KAFKA_STRUCT(TxnOffsetCommitPartitionResponse, TXN_OFFSET_COMMIT_PARTITION_RESPONSE_ROWS)

#define TXN_OFFSET_COMMIT_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                                  name,        0, 5) \
	F(UUID,                                    topic_id,    6, LATEST) \
	F(ARRAY(TxnOffsetCommitPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(TxnOffsetCommitTopicResponse, TXN_OFFSET_COMMIT_TOPIC_RESPONSE_ROWS)

#define TXN_OFFSET_COMMIT_RESPONSE_ROWS(F) \
	F(INT32,                               throttle_time_ms,  0, LATEST) \
	F(ARRAY(TxnOffsetCommitTopicResponse), topics,            0, LATEST)
KAFKA_STRUCT(TxnOffsetCommitResponse, TXN_OFFSET_COMMIT_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_TXN_OFFSET_COMMIT_H */
