/*-------------------------------------------------------------------------
 *
 * 55_describe_quorum.h
 *	  DescribeQuorum (API key 55), versions 0 to 2.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_QUORUM_H
#define KAFKA_MESSAGES_DESCRIBE_QUORUM_H

#include "kafka/message_rows.h"

#define DESCRIBE_QUORUM_PARTITION_ROWS(F) \
	F(INT32, partition_index,  0, LATEST)
KAFKA_STRUCT(DescribeQuorumPartition, DESCRIBE_QUORUM_PARTITION_ROWS)

#define DESCRIBE_QUORUM_TOPIC_ROWS(F) \
	F(STRING,                         topic_name,  0, LATEST) \
	F(ARRAY(DescribeQuorumPartition), partitions,  0, LATEST)
KAFKA_STRUCT(DescribeQuorumTopic, DESCRIBE_QUORUM_TOPIC_ROWS)

#define DESCRIBE_QUORUM_REQUEST_ROWS(F) \
	F(ARRAY(DescribeQuorumTopic), topics,  0, LATEST)
KAFKA_STRUCT(DescribeQuorumRequest, DESCRIBE_QUORUM_REQUEST_ROWS)

#define DESCRIBE_QUORUM_REPLICA_ROWS(F) \
	F(INT32, replica_id,                0, LATEST) \
	F(UUID,  replica_directory_id,      2, LATEST) \
	F(INT64, log_end_offset,            0, LATEST) \
	F(INT64, last_fetch_timestamp,      1, LATEST, DEFAULT(-1)) \
	F(INT64, last_caught_up_timestamp,  1, LATEST, DEFAULT(-1))
KAFKA_STRUCT(DescribeQuorumReplica, DESCRIBE_QUORUM_REPLICA_ROWS)

#define DESCRIBE_QUORUM_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,                        partition_index,  0, LATEST) \
	F(INT16,                        error_code,       0, LATEST) \
	F(STRING,                       error_message,    2, LATEST, NULLABLE(2)) \
	F(INT32,                        leader_id,        0, LATEST) \
	F(INT32,                        leader_epoch,     0, LATEST) \
	F(INT64,                        high_watermark,   0, LATEST) \
	F(ARRAY(DescribeQuorumReplica), current_voters,   0, LATEST) \
	F(ARRAY(DescribeQuorumReplica), observers,        0, LATEST)
KAFKA_STRUCT(DescribeQuorumPartitionResponse, DESCRIBE_QUORUM_PARTITION_RESPONSE_ROWS)

#define DESCRIBE_QUORUM_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                                 topic_name,  0, LATEST) \
	F(ARRAY(DescribeQuorumPartitionResponse), partitions,  0, LATEST)
KAFKA_STRUCT(DescribeQuorumTopicResponse, DESCRIBE_QUORUM_TOPIC_RESPONSE_ROWS)

#define DESCRIBE_QUORUM_LISTENER_ROWS(F) \
	F(STRING, name,  2, LATEST) \
	F(STRING, host,  2, LATEST) \
	F(UINT16, port,  2, LATEST)
KAFKA_STRUCT(DescribeQuorumListener, DESCRIBE_QUORUM_LISTENER_ROWS)

#define DESCRIBE_QUORUM_NODE_ROWS(F) \
	F(INT32,                         node_id,    2, LATEST) \
	F(ARRAY(DescribeQuorumListener), listeners,  2, LATEST)
KAFKA_STRUCT(DescribeQuorumNode, DESCRIBE_QUORUM_NODE_ROWS)

#define DESCRIBE_QUORUM_RESPONSE_ROWS(F) \
	F(INT16,                              error_code,     0, LATEST) \
	F(STRING,                             error_message,  2, LATEST, NULLABLE(2)) \
	F(ARRAY(DescribeQuorumTopicResponse), topics,         0, LATEST) \
	F(ARRAY(DescribeQuorumNode),          nodes,          2, LATEST)
KAFKA_STRUCT(DescribeQuorumResponse, DESCRIBE_QUORUM_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_QUORUM_H */
