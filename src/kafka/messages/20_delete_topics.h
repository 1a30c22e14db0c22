/*-------------------------------------------------------------------------
 *
 * 20_delete_topics.h
 *	  DeleteTopics (API key 20), versions 1 to 6.
 *
 * 6 takes names or ids, the versions before it a list of names.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DELETE_TOPICS_H
#define KAFKA_MESSAGES_DELETE_TOPICS_H

#include "kafka/message_rows.h"

#define DELETE_TOPIC_ROWS(F) \
	F(STRING, name,      6, LATEST, NULLABLE(6), DEFAULT(-1)) \
	F(UUID,   topic_id,  6, LATEST)
KAFKA_STRUCT(DeleteTopic, DELETE_TOPIC_ROWS)

#define DELETE_TOPICS_REQUEST_ROWS(F) \
	F(ARRAY(DeleteTopic), topics,       6, LATEST) \
	F(LIST(STRING),       topic_names,  0, 5) \
	F(INT32,              timeout_ms,   0, LATEST)
KAFKA_STRUCT(DeleteTopicsRequest, DELETE_TOPICS_REQUEST_ROWS)

#define DELETE_TOPIC_RESPONSE_ROWS(F) \
	F(STRING, name,           0, LATEST, NULLABLE(6)) \
	F(UUID,   topic_id,       6, LATEST) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  5, LATEST, NULLABLE(5), DEFAULT(-1))
KAFKA_STRUCT(DeleteTopicResponse, DELETE_TOPIC_RESPONSE_ROWS)

#define DELETE_TOPICS_RESPONSE_ROWS(F) \
	F(INT32,                      throttle_time_ms,  1, LATEST) \
	F(ARRAY(DeleteTopicResponse), responses,         0, LATEST)
KAFKA_STRUCT(DeleteTopicsResponse, DELETE_TOPICS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DELETE_TOPICS_H */
