/*-------------------------------------------------------------------------
 *
 * 03_metadata.h
 *	  Metadata (API key 3), versions 0 to 13.
 *
 * All topics are asked for with a null list, in version 0 with an empty one.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_METADATA_H
#define KAFKA_MESSAGES_METADATA_H

#include "kafka/message_rows.h"

#define METADATA_TOPIC_ROWS(F) \
	F(UUID,   topic_id, 10, LATEST) \
	F(STRING, name,      0, LATEST, NULLABLE(10))
KAFKA_STRUCT(MetadataTopic, METADATA_TOPIC_ROWS)

#define METADATA_REQUEST_ROWS(F) \
	F(ARRAY(MetadataTopic), topics,                                 0, LATEST, NULLABLE(1)) \
	F(BOOL,                 allow_auto_topic_creation,              4, LATEST, DEFAULT(1)) \
	F(BOOL,                 include_cluster_authorized_operations,  8, 10) \
	F(BOOL,                 include_topic_authorized_operations,    8, LATEST)
KAFKA_STRUCT(MetadataRequest, METADATA_REQUEST_ROWS)

#define METADATA_BROKER_ROWS(F) \
	F(INT32,  node_id,  0, LATEST) \
	F(STRING, host,     0, LATEST) \
	F(INT32,  port,     0, LATEST) \
	F(STRING, rack,     1, LATEST, NULLABLE(1), DEFAULT(-1))
KAFKA_STRUCT(MetadataBroker, METADATA_BROKER_ROWS)

#define METADATA_PARTITION_RESPONSE_ROWS(F) \
	F(INT16,       error_code,        0, LATEST) \
	F(INT32,       partition_index,   0, LATEST) \
	F(INT32,       leader_id,         0, LATEST) \
	F(INT32,       leader_epoch,      7, LATEST, DEFAULT(-1)) \
	F(LIST(INT32), replica_nodes,     0, LATEST) \
	F(LIST(INT32), isr_nodes,         0, LATEST) \
	F(LIST(INT32), offline_replicas,  5, LATEST)
KAFKA_STRUCT(MetadataPartitionResponse, METADATA_PARTITION_RESPONSE_ROWS)

#define METADATA_TOPIC_RESPONSE_ROWS(F) \
	F(INT16,                            error_code,                   0, LATEST) \
	F(STRING,                           name,                         0, LATEST, NULLABLE(12)) \
	F(UUID,                             topic_id,                    10, LATEST) \
	F(BOOL,                             is_internal,                  1, LATEST) \
	F(ARRAY(MetadataPartitionResponse), partitions,                   0, LATEST) \
	F(INT32,                            topic_authorized_operations,  8, LATEST, DEFAULT(PG_INT32_MIN))
KAFKA_STRUCT(MetadataTopicResponse, METADATA_TOPIC_RESPONSE_ROWS)

#define METADATA_RESPONSE_ROWS(F) \
	F(INT32,                        throttle_time_ms,               3, LATEST) \
	F(ARRAY(MetadataBroker),        brokers,                        0, LATEST) \
	F(STRING,                       cluster_id,                     2, LATEST, NULLABLE(2), DEFAULT(-1)) \
	F(INT32,                        controller_id,                  1, LATEST, DEFAULT(-1)) \
	F(ARRAY(MetadataTopicResponse), topics,                         0, LATEST) \
	F(INT32,                        cluster_authorized_operations,  8, 10, DEFAULT(PG_INT32_MIN)) \
	F(INT16,                        error_code,                    13, LATEST)
KAFKA_STRUCT(MetadataResponse, METADATA_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_METADATA_H */
