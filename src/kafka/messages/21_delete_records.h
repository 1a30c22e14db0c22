/*-------------------------------------------------------------------------
 *
 * 21_delete_records.h
 *	  DeleteRecords (API key 21), versions 0 to 2.
 *
 * All versions are laid out alike; 2 is flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DELETE_RECORDS_H
#define KAFKA_MESSAGES_DELETE_RECORDS_H

#include "kafka/message_rows.h"

#define DELETE_RECORDS_PARTITION_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT64, offset,           0, LATEST)
KAFKA_STRUCT(DeleteRecordsPartition, DELETE_RECORDS_PARTITION_ROWS)

#define DELETE_RECORDS_TOPIC_ROWS(F) \
	F(STRING,                        name,        0, LATEST) \
	F(ARRAY(DeleteRecordsPartition), partitions,  0, LATEST)
KAFKA_STRUCT(DeleteRecordsTopic, DELETE_RECORDS_TOPIC_ROWS)

#define DELETE_RECORDS_REQUEST_ROWS(F) \
	F(ARRAY(DeleteRecordsTopic), topics,      0, LATEST) \
	F(INT32,                     timeout_ms,  0, LATEST)
KAFKA_STRUCT(DeleteRecordsRequest, DELETE_RECORDS_REQUEST_ROWS)

#define DELETE_RECORDS_PARTITION_RESULT_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT64, low_watermark,    0, LATEST) \
	F(INT16, error_code,       0, LATEST)
KAFKA_STRUCT(DeleteRecordsPartitionResult, DELETE_RECORDS_PARTITION_RESULT_ROWS)

#define DELETE_RECORDS_TOPIC_RESULT_ROWS(F) \
	F(STRING,                              name,        0, LATEST) \
	F(ARRAY(DeleteRecordsPartitionResult), partitions,  0, LATEST)
KAFKA_STRUCT(DeleteRecordsTopicResult, DELETE_RECORDS_TOPIC_RESULT_ROWS)

#define DELETE_RECORDS_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms,  0, LATEST) \
	F(ARRAY(DeleteRecordsTopicResult), topics,            0, LATEST)
KAFKA_STRUCT(DeleteRecordsResponse, DELETE_RECORDS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DELETE_RECORDS_H */
