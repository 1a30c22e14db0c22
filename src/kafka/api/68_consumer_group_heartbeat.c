/*-------------------------------------------------------------------------
 *
 * 68_consumer_group_heartbeat.c
 *	  ConsumerGroupHeartbeat: all that a member of the consumer protocol
 *	  (KIP-848) says and hears.
 *
 * It is answered at once.  From version 1 on the client chooses its member id
 * and may subscribe with a regular expression, which finds the topics that the
 * client's role may describe.
 *
 * Siblings: ../groups.h, ../topic_regex.h; ../../coord/consumer.c;
 * 12_heartbeat.c is that of the classic protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/groups.h"
#include "kafka/topics.h"

/*
 * Makes the response from the coordinator's reply.
 */
static void
answer(KafkaCall *call, const CoordReply *reply)
{
	const CoordConsumerHeartbeatReply *in = &reply->u.consumer;
	ConsumerGroupHeartbeatResponse *out = call->response;

	Assert(reply->type == COORD_EV_CONSUMER_HEARTBEAT);
	out->error_code = (int16) reply->error;
	out->error_message = pt_string_copy(reply->message);
	out->member_id = pt_string_copy(in->member_id);
	out->member_epoch = in->member_epoch;
	out->heartbeat_interval_ms = in->heartbeat_interval_ms;
	if (reply->error != COORD_NONE || in->nassigned < 0)
		return;
	out->assignment = KAFKA_NEW(call, ConsumerGroupAssignment, 1);
	KAFKA_RESIZE(call, out->assignment->topic_partitions, ConsumerGroupTopic, in->nassigned);
	for (int i = 0; i < in->nassigned; i++)
	{
		const CoordTopicPartitions *topic = &in->assigned[i];
		ConsumerGroupTopic *result = &out->assignment->topic_partitions.items[i];

		StaticAssertStmt(sizeof(result->topic_id) == sizeof(topic->topic_id), "a uuid is a uuid");
		memcpy(&result->topic_id, &topic->topic_id, sizeof(result->topic_id));
		result->partitions.n = topic->npartitions;
		result->partitions.items = palloc(sizeof(int32) * Max(topic->npartitions, 1));
		memcpy(result->partitions.items, topic->partitions, sizeof(int32) * topic->npartitions);
	}
}

/*
 * Converts the partitions that the member says it has.
 */
static CoordTopicPartitions *
owned(const ConsumerGroupHeartbeatRequest *in)
{
	int			n = Max(in->topic_partitions.n, 0);
	CoordTopicPartitions *result = palloc(sizeof(CoordTopicPartitions) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const ConsumerGroupTopic *topic = &in->topic_partitions.items[i];

		memcpy(&result[i].topic_id, &topic->topic_id, sizeof(result[i].topic_id));
		result[i].topic_name = COORD_NULL_BYTES;
		result[i].npartitions = Max(topic->partitions.n, 0);
		result[i].partitions = topic->partitions.items;
	}
	return result;
}

/*
 * Converts the names to which the member subscribes.
 */
static CoordBytes *
subscribed(const ConsumerGroupHeartbeatRequest *in)
{
	int			n = Max(in->subscribed_topic_names.n, 0);
	CoordBytes *result = palloc(sizeof(CoordBytes) * Max(n, 1));

	for (int i = 0; i < n; i++)
		result[i] = in->subscribed_topic_names.items[i];
	return result;
}

/*
 * Returns an error if the client may not use the group, or may not describe
 * one of the topics to which it subscribes.
 */
static int16
check_rights(KafkaCall *call, const char **message)
{
	const ConsumerGroupHeartbeatRequest *in = call->request;

	*message = KAFKA_NOT_AUTHORIZED_GROUP;
	if (!kafka_may_group(call, in->group_id, PT_OP_READ))
		return KERR_GROUP_AUTHORIZATION_FAILED;
	*message = KAFKA_NOT_AUTHORIZED_TOPIC;
	for (int i = 0; i < in->subscribed_topic_names.n; i++)
	{
		int16		error;

		(void) kafka_topic_find(call, PT_OP_DESCRIBE, in->subscribed_topic_names.items[i], NULL, &error);
		if (error == KERR_TOPIC_AUTHORIZATION_FAILED)
			return error;
	}
	return KERR_NONE;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
consumer_group_heartbeat_begin(KafkaCall *call)
{
	const ConsumerGroupHeartbeatRequest *in = call->request;
	ConsumerGroupHeartbeatResponse *out = call->response;
	CoordEvent	event = kafka_group_event(call, COORD_EV_CONSUMER_HEARTBEAT, in->group_id);
	const char *message;

	out->error_code = check_rights(call, &message);
	if (out->error_code != KERR_NONE)
	{
		out->error_message = kafka_string(message);
		return KAFKA_REPLY;
	}
	event.member_id = in->member_id;
	event.group_instance_id = in->instance_id;
	event.generation = in->member_epoch;
	event.viewer = call->session->role;
	event.u.consumer.rack_id = in->rack_id;
	event.u.consumer.rebalance_timeout_ms = in->rebalance_timeout_ms;
	event.u.consumer.nsubscribed = in->subscribed_topic_names.n;
	event.u.consumer.subscribed_topic_names = subscribed(in);
	event.u.consumer.subscribed_topic_regex = in->subscribed_topic_regex;
	event.u.consumer.server_assignor = in->server_assignor;
	event.u.consumer.nowned = in->topic_partitions.n;
	event.u.consumer.owned = owned(in);
	return kafka_group_ask(call, &event, answer);
}

/*
 * KafkaHandler.fail
 */
static void
consumer_group_heartbeat_fail(KafkaCall *call, int16 code, const char *message)
{
	ConsumerGroupHeartbeatResponse *out = call->response;

	out->error_code = kafka_group_error(code);
	out->error_message = kafka_string(message);
}

const KafkaHandler kafka_handler_consumer_group_heartbeat = {
	.begin = consumer_group_heartbeat_begin,
	.fail = consumer_group_heartbeat_fail
};
