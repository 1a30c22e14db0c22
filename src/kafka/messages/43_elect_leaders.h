/*-------------------------------------------------------------------------
 *
 * 43_elect_leaders.h
 *	  ElectLeaders (API key 43), versions 0 to 2.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ELECT_LEADERS_H
#define KAFKA_MESSAGES_ELECT_LEADERS_H

#include "kafka/message_rows.h"

#define ELECT_LEADERS_TOPIC_ROWS(F) \
	F(STRING,      topic,       0, LATEST) \
	F(LIST(INT32), partitions,  0, LATEST)
KAFKA_STRUCT(ElectLeadersTopic, ELECT_LEADERS_TOPIC_ROWS)

#define ELECT_LEADERS_REQUEST_ROWS(F) \
	F(INT8,                     election_type,     1, LATEST) \
	F(ARRAY(ElectLeadersTopic), topic_partitions,  0, LATEST, NULLABLE(0)) \
	F(INT32,                    timeout_ms,        0, LATEST, DEFAULT(60000))
KAFKA_STRUCT(ElectLeadersRequest, ELECT_LEADERS_REQUEST_ROWS)

#define ELECT_LEADERS_PARTITION_ROWS(F) \
	F(INT32,  partition_id,   0, LATEST) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(ElectLeadersPartition, ELECT_LEADERS_PARTITION_ROWS)

#define ELECT_LEADERS_RESULT_ROWS(F) \
	F(STRING,                       topic,             0, LATEST) \
	F(ARRAY(ElectLeadersPartition), partition_result,  0, LATEST)
KAFKA_STRUCT(ElectLeadersResult, ELECT_LEADERS_RESULT_ROWS)

#define ELECT_LEADERS_RESPONSE_ROWS(F) \
	F(INT32,                     throttle_time_ms,          0, LATEST) \
	F(INT16,                     error_code,                1, LATEST) \
	F(ARRAY(ElectLeadersResult), replica_election_results,  0, LATEST)
KAFKA_STRUCT(ElectLeadersResponse, ELECT_LEADERS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ELECT_LEADERS_H */
