/*-------------------------------------------------------------------------
 *
 * 68_consumer_group_heartbeat.h
 *	  ConsumerGroupHeartbeat (API key 68), versions 0 to 1.
 *
 * The one request of members of the consumer protocol (KIP-848): it joins,
 * keeps alive, tells what is owned, and leaves.  1 brought regular
 * expressions; member ids are then the client's own.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CONSUMER_GROUP_HEARTBEAT_H
#define KAFKA_MESSAGES_CONSUMER_GROUP_HEARTBEAT_H

#include "kafka/message_rows.h"

#define CONSUMER_GROUP_TOPIC_ROWS(F) \
	F(UUID,        topic_id,   0, LATEST) \
	F(LIST(INT32), partitions, 0, LATEST)
KAFKA_STRUCT(ConsumerGroupTopic, CONSUMER_GROUP_TOPIC_ROWS)

#define CONSUMER_GROUP_HEARTBEAT_REQUEST_ROWS(F) \
	F(STRING,                    group_id,               0, LATEST) \
	F(STRING,                    member_id,              0, LATEST) \
	F(INT32,                     member_epoch,           0, LATEST) \
	F(STRING,                    instance_id,            0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRING,                    rack_id,                0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(INT32,                     rebalance_timeout_ms,   0, LATEST, DEFAULT(-1)) \
	F(LIST(STRING),              subscribed_topic_names, 0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRING,                    subscribed_topic_regex, 1, LATEST, NULLABLE(1), DEFAULT(-1)) \
	F(STRING,                    server_assignor,        0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(ARRAY(ConsumerGroupTopic), topic_partitions,       0, LATEST, NULLABLE(0), DEFAULT(-1))
KAFKA_STRUCT(ConsumerGroupHeartbeatRequest, CONSUMER_GROUP_HEARTBEAT_REQUEST_ROWS)

#define CONSUMER_GROUP_ASSIGNMENT_ROWS(F) \
	F(ARRAY(ConsumerGroupTopic), topic_partitions, 0, LATEST)
KAFKA_STRUCT(ConsumerGroupAssignment, CONSUMER_GROUP_ASSIGNMENT_ROWS)

#define CONSUMER_GROUP_HEARTBEAT_RESPONSE_ROWS(F) \
	F(INT32,                           throttle_time_ms,      0, LATEST) \
	F(INT16,                           error_code,            0, LATEST) \
	F(STRING,                          error_message,         0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRING,                          member_id,             0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(INT32,                           member_epoch,          0, LATEST) \
	F(INT32,                           heartbeat_interval_ms, 0, LATEST) \
	F(OPTION(ConsumerGroupAssignment), assignment,            0, LATEST, NULLABLE(0))
KAFKA_STRUCT(ConsumerGroupHeartbeatResponse, CONSUMER_GROUP_HEARTBEAT_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CONSUMER_GROUP_HEARTBEAT_H */
