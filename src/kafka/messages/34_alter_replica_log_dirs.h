/*-------------------------------------------------------------------------
 *
 * 34_alter_replica_log_dirs.h
 *	  AlterReplicaLogDirs (API key 34), versions 1 to 2.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALTER_REPLICA_LOG_DIRS_H
#define KAFKA_MESSAGES_ALTER_REPLICA_LOG_DIRS_H

#include "kafka/message_rows.h"

#define ALTER_REPLICA_LOG_DIR_TOPIC_ROWS(F) \
	F(STRING,      name,        0, LATEST) \
	F(LIST(INT32), partitions,  0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDirTopic, ALTER_REPLICA_LOG_DIR_TOPIC_ROWS)

#define ALTER_REPLICA_LOG_DIR_ROWS(F) \
	F(STRING,                         path,    0, LATEST) \
	F(ARRAY(AlterReplicaLogDirTopic), topics,  0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDir, ALTER_REPLICA_LOG_DIR_ROWS)

#define ALTER_REPLICA_LOG_DIRS_REQUEST_ROWS(F) \
	F(ARRAY(AlterReplicaLogDir), dirs,  0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDirsRequest, ALTER_REPLICA_LOG_DIRS_REQUEST_ROWS)

#define ALTER_REPLICA_LOG_DIR_PARTITION_RESULT_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT16, error_code,       0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDirPartitionResult, ALTER_REPLICA_LOG_DIR_PARTITION_RESULT_ROWS)

#define ALTER_REPLICA_LOG_DIR_TOPIC_RESULT_ROWS(F) \
	F(STRING,                                   topic_name,  0, LATEST) \
	F(ARRAY(AlterReplicaLogDirPartitionResult), partitions,  0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDirTopicResult, ALTER_REPLICA_LOG_DIR_TOPIC_RESULT_ROWS)

#define ALTER_REPLICA_LOG_DIRS_RESPONSE_ROWS(F) \
	F(INT32,                                throttle_time_ms,  0, LATEST) \
	F(ARRAY(AlterReplicaLogDirTopicResult), results,           0, LATEST)
KAFKA_STRUCT(AlterReplicaLogDirsResponse, ALTER_REPLICA_LOG_DIRS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ALTER_REPLICA_LOG_DIRS_H */
