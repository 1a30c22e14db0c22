/*-------------------------------------------------------------------------
 *
 * 69_consumer_group_describe.h
 *	  ConsumerGroupDescribe (API key 69), versions 0 to 1.
 *
 * 1 brought the protocol that a member speaks.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CONSUMER_GROUP_DESCRIBE_H
#define KAFKA_MESSAGES_CONSUMER_GROUP_DESCRIBE_H

#include "kafka/message_rows.h"

#define CONSUMER_GROUP_DESCRIBE_REQUEST_ROWS(F) \
	F(LIST(STRING), group_ids,                     0, LATEST) \
	F(BOOL,         include_authorized_operations, 0, LATEST)
KAFKA_STRUCT(ConsumerGroupDescribeRequest, CONSUMER_GROUP_DESCRIBE_REQUEST_ROWS)

#define CONSUMER_GROUP_NAMED_TOPIC_ROWS(F) \
	F(UUID,        topic_id,   0, LATEST) \
	F(STRING,      topic_name, 0, LATEST) \
	F(LIST(INT32), partitions, 0, LATEST)
KAFKA_STRUCT(ConsumerGroupNamedTopic, CONSUMER_GROUP_NAMED_TOPIC_ROWS)

#define CONSUMER_GROUP_NAMED_ASSIGNMENT_ROWS(F) \
	F(ARRAY(ConsumerGroupNamedTopic), topic_partitions, 0, LATEST)
KAFKA_STRUCT(ConsumerGroupNamedAssignment, CONSUMER_GROUP_NAMED_ASSIGNMENT_ROWS)

#define DESCRIBED_CONSUMER_GROUP_MEMBER_ROWS(F) \
	F(STRING,                               member_id,              0, LATEST) \
	F(STRING,                               instance_id,            0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRING,                               rack_id,                0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(INT32,                                member_epoch,           0, LATEST) \
	F(STRING,                               client_id,              0, LATEST) \
	F(STRING,                               client_host,            0, LATEST) \
	F(LIST(STRING),                         subscribed_topic_names, 0, LATEST) \
	F(STRING,                               subscribed_topic_regex, 0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRUCT(ConsumerGroupNamedAssignment), assignment,             0, LATEST) \
	F(STRUCT(ConsumerGroupNamedAssignment), target_assignment,      0, LATEST) \
	F(INT8,                                 member_type,            1, LATEST, DEFAULT(-1))
KAFKA_STRUCT(DescribedConsumerGroupMember, DESCRIBED_CONSUMER_GROUP_MEMBER_ROWS)

#define DESCRIBED_CONSUMER_GROUP_ROWS(F) \
	F(INT16,                               error_code,            0, LATEST) \
	F(STRING,                              error_message,         0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(STRING,                              group_id,              0, LATEST) \
	F(STRING,                              group_state,           0, LATEST) \
	F(INT32,                               group_epoch,           0, LATEST) \
	F(INT32,                               assignment_epoch,      0, LATEST) \
	F(STRING,                              assignor_name,         0, LATEST) \
	F(ARRAY(DescribedConsumerGroupMember), members,               0, LATEST) \
	F(INT32,                               authorized_operations, 0, LATEST, DEFAULT(PG_INT32_MIN))
KAFKA_STRUCT(DescribedConsumerGroup, DESCRIBED_CONSUMER_GROUP_ROWS)

#define CONSUMER_GROUP_DESCRIBE_RESPONSE_ROWS(F) \
	F(INT32,                         throttle_time_ms, 0, LATEST) \
	F(ARRAY(DescribedConsumerGroup), groups,           0, LATEST)
KAFKA_STRUCT(ConsumerGroupDescribeResponse, CONSUMER_GROUP_DESCRIBE_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CONSUMER_GROUP_DESCRIBE_H */
