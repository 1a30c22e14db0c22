/*-------------------------------------------------------------------------
 *
 * 69_consumer_group_describe.c
 *	  ConsumerGroupDescribe: groups of the consumer protocol (KIP-848), with
 *	  epochs, members and assignments.
 *
 * Version 1 has the type of each member.
 *
 * Siblings: ../groups.h; 15_describe_groups.c for the classic protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/groups.h"
#include "kafka/topics.h"

/* values of member_type */
#define MEMBER_CLASSIC	0
#define MEMBER_CONSUMER 1

/*
 * Fills an assignment.
 */
static void
copy_assignment(KafkaCall *call, const CoordTopicPartitions *in, int n, ConsumerGroupNamedAssignment *out)
{
	KAFKA_RESIZE(call, out->topic_partitions, ConsumerGroupNamedTopic, n);
	Assert(n == 0 || in != NULL);
	for (int i = 0; i < n; i++)
	{
		ConsumerGroupNamedTopic *topic = &out->topic_partitions.items[i];

		memcpy(&topic->topic_id, &in[i].topic_id, sizeof(topic->topic_id));
		topic->topic_name = pt_string_copy(in[i].topic_name);
		topic->partitions.n = in[i].npartitions;
		topic->partitions.items = palloc(sizeof(int32) * Max(in[i].npartitions, 1));
		memcpy(topic->partitions.items, in[i].partitions, sizeof(int32) * in[i].npartitions);
	}
}

/*
 * Fills a member.
 */
static void
describe_member(KafkaCall *call, const CoordMemberInfo *in, DescribedConsumerGroupMember *out)
{
	out->member_id = pt_string_copy(in->member_id);
	out->instance_id = pt_string_copy(in->group_instance_id);
	out->rack_id = pt_string_copy(in->rack_id);
	out->member_epoch = in->member_epoch;
	out->client_id = pt_string_copy(in->client_id);
	out->client_host = pt_string_copy(in->client_host);
	out->subscribed_topic_names.n = in->nsubscribed;
	out->subscribed_topic_names.items = palloc(sizeof(KafkaString) * Max(in->nsubscribed, 1));
	for (int i = 0; i < in->nsubscribed; i++)
		out->subscribed_topic_names.items[i] = pt_string_copy(in->subscribed_topic_names[i]);
	out->subscribed_topic_regex = pt_string_copy(in->subscribed_topic_regex);
	copy_assignment(call, in->assigned, in->nassigned, &out->assignment);
	copy_assignment(call, in->target, in->ntarget, &out->target_assignment);
	out->member_type = in->classic ? MEMBER_CLASSIC : MEMBER_CONSUMER;
}

/*
 * Answers that there is no such group; "what" completes the message.
 */
static void
not_found(DescribedConsumerGroup *out, const char *what)
{
	out->error_code = KERR_GROUP_ID_NOT_FOUND;
	out->error_message = kafka_group_message(out->group_id, what);
}

/*
 * Returns true if the client may describe all topics that an assignment
 * names.
 */
static bool
may_describe(KafkaCall *call, const CoordTopicPartitions *topics, int n)
{
	for (int i = 0; i < n; i++)
	{
		int16		error;

		(void) kafka_topic_find(call, PT_OP_DESCRIBE, topics[i].topic_name, NULL, &error);
		if (error == KERR_TOPIC_AUTHORIZATION_FAILED)
			return false;
	}
	return true;
}

/*
 * The same for all that the members of a group subscribe to or have.
 */
static bool
may_describe_members(KafkaCall *call, const CoordDescription *d)
{
	for (int i = 0; i < d->info.nmembers; i++)
	{
		const CoordMemberInfo *member = &d->members[i];

		if (!may_describe(call, member->assigned, member->nassigned) ||
			!may_describe(call, member->target, member->ntarget))
			return false;
		for (int j = 0; j < member->nsubscribed; j++)
		{
			int16		error;

			(void) kafka_topic_find(call, PT_OP_DESCRIBE, member->subscribed_topic_names[j], NULL, &error);
			if (error == KERR_TOPIC_AUTHORIZATION_FAILED)
				return false;
		}
	}
	return true;
}

/*
 * Answers for one group.
 */
static void
describe(KafkaCall *call, DescribedConsumerGroup *out)
{
	CoordDescription d;
	CoordGroupInfo info;

	if (!kafka_group_id_valid(out->group_id))
	{
		out->error_code = KERR_INVALID_GROUP_ID;
		return;
	}
	if (!coord_describe(kafka_groups(), out->group_id, &d))
	{
		not_found(out, kafka_group_find_outside(out->group_id, &info) ? "is not a consumer group." : "not found.");
		return;
	}
	if (d.info.kind != COORD_KIND_CONSUMER)
	{
		not_found(out, "is not a consumer group.");
		return;
	}
	if (!may_describe_members(call, &d))
	{
		out->error_code = KERR_TOPIC_AUTHORIZATION_FAILED;
		out->error_message = kafka_string("The group has members with topics that the role may not describe.");
		return;
	}
	out->group_state = kafka_string(coord_state_name(d.info.state));
	out->group_epoch = d.generation;
	out->assignment_epoch = d.assignment_epoch;
	out->assignor_name = pt_string_copy(d.protocol_name);
	KAFKA_RESIZE(call, out->members, DescribedConsumerGroupMember, d.info.nmembers);
	for (int i = 0; i < d.info.nmembers; i++)
		describe_member(call, &d.members[i], &out->members.items[i]);
}

/*
 * Answers for all groups; "error" is one for all, or KERR_NONE.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const ConsumerGroupDescribeRequest *in = call->request;
	ConsumerGroupDescribeResponse *out = call->response;

	KAFKA_RESIZE(call, out->groups, DescribedConsumerGroup, in->group_ids.n);
	for (int i = 0; i < in->group_ids.n; i++)
	{
		DescribedConsumerGroup *group = &out->groups.items[i];

		group->group_id = in->group_ids.items[i];
		if (error == KERR_NONE && !kafka_may_group(call, group->group_id, PT_OP_DESCRIBE))
		{
			group->error_code = KERR_GROUP_AUTHORIZATION_FAILED;
			group->error_message = kafka_string(KAFKA_NOT_AUTHORIZED_GROUP);
		}
		else if (error == KERR_NONE)
			describe(call, group);
		else
		{
			group->error_code = error;
			group->error_message = kafka_string(message);
		}
		if (in->include_authorized_operations && group->error_code == KERR_NONE)
			group->authorized_operations = kafka_group_operations(call, group->group_id);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
consumer_group_describe_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
consumer_group_describe_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_group_error(code), message);
}

const KafkaHandler kafka_handler_consumer_group_describe = {
	.begin = consumer_group_describe_begin,
	.fail = consumer_group_describe_fail
};
