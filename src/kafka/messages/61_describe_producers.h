/*-------------------------------------------------------------------------
 *
 * 61_describe_producers.h
 *	  DescribeProducers (API key 61), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_PRODUCERS_H
#define KAFKA_MESSAGES_DESCRIBE_PRODUCERS_H

#include "kafka/message_rows.h"

#define DESCRIBE_PRODUCERS_TOPIC_ROWS(F) \
	F(STRING,      name,               0, LATEST) \
	F(LIST(INT32), partition_indexes,  0, LATEST)
KAFKA_STRUCT(DescribeProducersTopic, DESCRIBE_PRODUCERS_TOPIC_ROWS)

#define DESCRIBE_PRODUCERS_REQUEST_ROWS(F) \
	F(ARRAY(DescribeProducersTopic), topics,  0, LATEST)
KAFKA_STRUCT(DescribeProducersRequest, DESCRIBE_PRODUCERS_REQUEST_ROWS)

#define DESCRIBE_PRODUCERS_STATE_ROWS(F) \
	F(INT64, producer_id,               0, LATEST) \
	F(INT32, producer_epoch,            0, LATEST) \
	F(INT32, last_sequence,             0, LATEST, DEFAULT(-1)) \
	F(INT64, last_timestamp,            0, LATEST, DEFAULT(-1)) \
	F(INT32, coordinator_epoch,         0, LATEST) \
	F(INT64, current_txn_start_offset,  0, LATEST, DEFAULT(-1))
KAFKA_STRUCT(DescribeProducersState, DESCRIBE_PRODUCERS_STATE_ROWS)

#define DESCRIBE_PRODUCERS_PARTITION_ROWS(F) \
	F(INT32,                         partition_index,   0, LATEST) \
	F(INT16,                         error_code,        0, LATEST) \
	F(STRING,                        error_message,     0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(ARRAY(DescribeProducersState), active_producers,  0, LATEST)
KAFKA_STRUCT(DescribeProducersPartition, DESCRIBE_PRODUCERS_PARTITION_ROWS)

#define DESCRIBE_PRODUCERS_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                            name,        0, LATEST) \
	F(ARRAY(DescribeProducersPartition), partitions,  0, LATEST)
KAFKA_STRUCT(DescribeProducersTopicResponse, DESCRIBE_PRODUCERS_TOPIC_RESPONSE_ROWS)

#define DESCRIBE_PRODUCERS_RESPONSE_ROWS(F) \
	F(INT32,                                 throttle_time_ms,  0, LATEST) \
	F(ARRAY(DescribeProducersTopicResponse), topics,            0, LATEST)
KAFKA_STRUCT(DescribeProducersResponse, DESCRIBE_PRODUCERS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_PRODUCERS_H */
