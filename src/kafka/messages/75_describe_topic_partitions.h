/*-------------------------------------------------------------------------
 *
 * 75_describe_topic_partitions.h
 *	  DescribeTopicPartitions (API key 75), version 0.
 *
 * Metadata in pages: the response ends at a limit of partitions and says where
 * to go on.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_TOPIC_PARTITIONS_H
#define KAFKA_MESSAGES_DESCRIBE_TOPIC_PARTITIONS_H

#include "kafka/message_rows.h"

#define DESCRIBED_TOPIC_NAME_ROWS(F) \
	F(STRING, name,  0, LATEST)
KAFKA_STRUCT(DescribedTopicName, DESCRIBED_TOPIC_NAME_ROWS)

#define DESCRIBE_TOPIC_CURSOR_ROWS(F) \
	F(STRING, topic_name,       0, LATEST) \
	F(INT32,  partition_index,  0, LATEST)
KAFKA_STRUCT(DescribeTopicCursor, DESCRIBE_TOPIC_CURSOR_ROWS)

#define DESCRIBE_TOPIC_PARTITIONS_REQUEST_ROWS(F) \
	F(ARRAY(DescribedTopicName),   topics,                    0, LATEST) \
	F(INT32,                       response_partition_limit,  0, LATEST, DEFAULT(2000)) \
	F(OPTION(DescribeTopicCursor), cursor,                    0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeTopicPartitionsRequest, DESCRIBE_TOPIC_PARTITIONS_REQUEST_ROWS)

#define DESCRIBED_PARTITION_ROWS(F) \
	F(INT16,       error_code,                0, LATEST) \
	F(INT32,       partition_index,           0, LATEST) \
	F(INT32,       leader_id,                 0, LATEST) \
	F(INT32,       leader_epoch,              0, LATEST, DEFAULT(-1)) \
	F(LIST(INT32), replica_nodes,             0, LATEST) \
	F(LIST(INT32), isr_nodes,                 0, LATEST) \
	F(LIST(INT32), eligible_leader_replicas,  0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(LIST(INT32), last_known_elr,            0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(LIST(INT32), offline_replicas,          0, LATEST)
KAFKA_STRUCT(DescribedPartition, DESCRIBED_PARTITION_ROWS)

#define DESCRIBED_TOPIC_ROWS(F) \
	F(INT16,                     error_code,                   0, LATEST) \
	F(STRING,                    name,                         0, LATEST, NULLABLE(0)) \
	F(UUID,                      topic_id,                     0, LATEST) \
	F(BOOL,                      is_internal,                  0, LATEST) \
	F(ARRAY(DescribedPartition), partitions,                   0, LATEST) \
	F(INT32,                     topic_authorized_operations,  0, LATEST, DEFAULT(PG_INT32_MIN))
KAFKA_STRUCT(DescribedTopic, DESCRIBED_TOPIC_ROWS)

#define DESCRIBE_TOPIC_PARTITIONS_RESPONSE_ROWS(F) \
	F(INT32,                       throttle_time_ms,  0, LATEST) \
	F(ARRAY(DescribedTopic),       topics,            0, LATEST) \
	F(OPTION(DescribeTopicCursor), next_cursor,       0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeTopicPartitionsResponse, DESCRIBE_TOPIC_PARTITIONS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_TOPIC_PARTITIONS_H */
