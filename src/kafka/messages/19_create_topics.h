/*-------------------------------------------------------------------------
 *
 * 19_create_topics.h
 *	  CreateTopics (API key 19), versions 2 to 7.
 *
 * 5 and later answer with the partitions and configs of what was made, 7 with
 * its id.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CREATE_TOPICS_H
#define KAFKA_MESSAGES_CREATE_TOPICS_H

#include "kafka/message_rows.h"

#define CREATE_TOPIC_ASSIGNMENT_ROWS(F) \
	F(INT32,       partition_index,  0, LATEST) \
	F(LIST(INT32), broker_ids,       0, LATEST)
KAFKA_STRUCT(CreateTopicAssignment, CREATE_TOPIC_ASSIGNMENT_ROWS)

#define CREATE_TOPIC_CONFIG_ROWS(F) \
	F(STRING, name,   0, LATEST) \
	F(STRING, value,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(CreateTopicConfig, CREATE_TOPIC_CONFIG_ROWS)

#define CREATE_TOPIC_ROWS(F) \
	F(STRING,                       name,                0, LATEST) \
	F(INT32,                        num_partitions,      0, LATEST) \
	F(INT16,                        replication_factor,  0, LATEST) \
	F(ARRAY(CreateTopicAssignment), assignments,         0, LATEST) \
	F(ARRAY(CreateTopicConfig),     configs,             0, LATEST)
KAFKA_STRUCT(CreateTopic, CREATE_TOPIC_ROWS)

#define CREATE_TOPICS_REQUEST_ROWS(F) \
	F(ARRAY(CreateTopic), topics,         0, LATEST) \
	F(INT32,              timeout_ms,     0, LATEST, DEFAULT(60000)) \
	F(BOOL,               validate_only,  1, LATEST)
KAFKA_STRUCT(CreateTopicsRequest, CREATE_TOPICS_REQUEST_ROWS)

#define CREATE_TOPIC_CONFIG_RESPONSE_ROWS(F) \
	F(STRING, name,           5, LATEST) \
	F(STRING, value,          5, LATEST, NULLABLE(5)) \
	F(BOOL,   read_only,      5, LATEST) \
	F(INT8,   config_source,  5, LATEST, DEFAULT(-1)) \
	F(BOOL,   is_sensitive,   5, LATEST)
KAFKA_STRUCT(CreateTopicConfigResponse, CREATE_TOPIC_CONFIG_RESPONSE_ROWS)

#define CREATE_TOPIC_RESPONSE_ROWS(F) \
	F(STRING,                           name,                     0, LATEST) \
	F(UUID,                             topic_id,                 7, LATEST) \
	F(INT16,                            error_code,               0, LATEST) \
	F(STRING,                           error_message,            1, LATEST, NULLABLE(0)) \
	F(INT16,                            topic_config_error_code,  5, LATEST, TAGGED(5, 0)) \
	F(INT32,                            num_partitions,           5, LATEST, DEFAULT(-1)) \
	F(INT16,                            replication_factor,       5, LATEST, DEFAULT(-1)) \
	F(ARRAY(CreateTopicConfigResponse), configs,                  5, LATEST, NULLABLE(5))
KAFKA_STRUCT(CreateTopicResponse, CREATE_TOPIC_RESPONSE_ROWS)

#define CREATE_TOPICS_RESPONSE_ROWS(F) \
	F(INT32,                      throttle_time_ms,  2, LATEST) \
	F(ARRAY(CreateTopicResponse), topics,            0, LATEST)
KAFKA_STRUCT(CreateTopicsResponse, CREATE_TOPICS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CREATE_TOPICS_H */
