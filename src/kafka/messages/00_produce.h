/*-------------------------------------------------------------------------
 *
 * 00_produce.h
 *	  Produce (API key 0), versions 0 to 13.
 *
 * Version 3 is the first that is served; 0 to 2 can be taken apart so that
 * they get their error.  13 names topics by id.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_PRODUCE_H
#define KAFKA_MESSAGES_PRODUCE_H

#include "kafka/messages/common.h"

#define PRODUCE_PARTITION_ROWS(F) \
	F(INT32,   index,    0, LATEST) \
	F(RECORDS, records,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(ProducePartition, PRODUCE_PARTITION_ROWS)

#define PRODUCE_TOPIC_ROWS(F) \
	F(STRING,                  name,            0, 12) \
	F(UUID,                    topic_id,       13, LATEST) \
	F(ARRAY(ProducePartition), partition_data,  0, LATEST)
KAFKA_STRUCT(ProduceTopic, PRODUCE_TOPIC_ROWS)

#define PRODUCE_REQUEST_ROWS(F) \
	F(STRING,              transactional_id,  3, LATEST, NULLABLE(3), DEFAULT(-1)) \
	F(INT16,               acks,              0, LATEST) \
	F(INT32,               timeout_ms,        0, LATEST) \
	F(ARRAY(ProduceTopic), topic_data,        0, LATEST)
KAFKA_STRUCT(ProduceRequest, PRODUCE_REQUEST_ROWS)

#define PRODUCE_RECORD_ERROR_ROWS(F) \
	F(INT32,  batch_index,                8, LATEST) \
	F(STRING, batch_index_error_message,  8, LATEST, NULLABLE(8), DEFAULT(-1))
KAFKA_STRUCT(ProduceRecordError, PRODUCE_RECORD_ERROR_ROWS)

#define PRODUCE_PARTITION_RESPONSE_ROWS(F) \
	F(INT32,                     index,               0, LATEST) \
	F(INT16,                     error_code,          0, LATEST) \
	F(INT64,                     base_offset,         0, LATEST) \
	F(INT64,                     log_append_time_ms,  2, LATEST, DEFAULT(-1)) \
	F(INT64,                     log_start_offset,    5, LATEST, DEFAULT(-1)) \
	F(ARRAY(ProduceRecordError), record_errors,       8, LATEST) \
	F(STRING,                    error_message,       8, LATEST, NULLABLE(8), DEFAULT(-1)) \
	F(STRUCT(KafkaLeader),       current_leader,     10, LATEST, TAGGED(10, 0))
KAFKA_STRUCT(ProducePartitionResponse, PRODUCE_PARTITION_RESPONSE_ROWS)

#define PRODUCE_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                          name,                 0, 12) \
	F(UUID,                            topic_id,            13, LATEST) \
	F(ARRAY(ProducePartitionResponse), partition_responses,  0, LATEST)
KAFKA_STRUCT(ProduceTopicResponse, PRODUCE_TOPIC_RESPONSE_ROWS)

#define PRODUCE_RESPONSE_ROWS(F) \
	F(ARRAY(ProduceTopicResponse), responses,         0, LATEST) \
	F(INT32,                       throttle_time_ms,  1, LATEST) \
	F(ARRAY(KafkaNodeEndpoint),    node_endpoints,   10, LATEST, TAGGED(10, 0))
KAFKA_STRUCT(ProduceResponse, PRODUCE_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_PRODUCE_H */
