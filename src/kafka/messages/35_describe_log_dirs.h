/*-------------------------------------------------------------------------
 *
 * 35_describe_log_dirs.h
 *	  DescribeLogDirs (API key 35), versions 1 to 5.
 *
 * 3 has an error for all of it, 4 the sizes of the volume, 5 says what is
 * cordoned.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_LOG_DIRS_H
#define KAFKA_MESSAGES_DESCRIBE_LOG_DIRS_H

#include "kafka/message_rows.h"

#define DESCRIBE_LOG_DIRS_REQUEST_TOPIC_ROWS(F) \
	F(STRING,      topic,       0, LATEST) \
	F(LIST(INT32), partitions,  0, LATEST)
KAFKA_STRUCT(DescribeLogDirsRequestTopic, DESCRIBE_LOG_DIRS_REQUEST_TOPIC_ROWS)

#define DESCRIBE_LOG_DIRS_REQUEST_ROWS(F) \
	F(ARRAY(DescribeLogDirsRequestTopic), topics,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeLogDirsRequest, DESCRIBE_LOG_DIRS_REQUEST_ROWS)

#define DESCRIBE_LOG_DIRS_PARTITION_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT64, partition_size,   0, LATEST) \
	F(INT64, offset_lag,       0, LATEST) \
	F(BOOL,  is_future_key,    0, LATEST)
KAFKA_STRUCT(DescribeLogDirsPartition, DESCRIBE_LOG_DIRS_PARTITION_ROWS)

#define DESCRIBE_LOG_DIRS_TOPIC_ROWS(F) \
	F(STRING,                          name,        0, LATEST) \
	F(ARRAY(DescribeLogDirsPartition), partitions,  0, LATEST)
KAFKA_STRUCT(DescribeLogDirsTopic, DESCRIBE_LOG_DIRS_TOPIC_ROWS)

#define DESCRIBE_LOG_DIRS_RESULT_ROWS(F) \
	F(INT16,                       error_code,    0, LATEST) \
	F(STRING,                      log_dir,       0, LATEST) \
	F(ARRAY(DescribeLogDirsTopic), topics,        0, LATEST) \
	F(INT64,                       total_bytes,   4, LATEST, DEFAULT(-1)) \
	F(INT64,                       usable_bytes,  4, LATEST, DEFAULT(-1)) \
	F(BOOL,                        is_cordoned,   5, LATEST)
KAFKA_STRUCT(DescribeLogDirsResult, DESCRIBE_LOG_DIRS_RESULT_ROWS)

#define DESCRIBE_LOG_DIRS_RESPONSE_ROWS(F) \
	F(INT32,                        throttle_time_ms,  0, LATEST) \
	F(INT16,                        error_code,        3, LATEST) \
	F(ARRAY(DescribeLogDirsResult), results,           0, LATEST)
KAFKA_STRUCT(DescribeLogDirsResponse, DESCRIBE_LOG_DIRS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_LOG_DIRS_H */
