/*-------------------------------------------------------------------------
 *
 * 15_describe_groups.c
 *	  DescribeGroups: groups of the classic protocol, with state and members.
 *
 * A group that does not exist is "Dead", from version 6 on with
 * GROUP_ID_NOT_FOUND. A group that only has offsets is "Empty".  A group that
 * SQL sessions use is "Stable" without members.
 *
 * Siblings: ../groups.h; 69_consumer_group_describe.c for the other protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"

/*
 * Fills the members of a group.
 */
static void
describe_members(KafkaCall *call, const CoordDescription *in, DescribedGroup *out)
{
	KAFKA_RESIZE(call, out->members, DescribedGroupMember, in->info.nmembers);
	for (int i = 0; i < in->info.nmembers; i++)
	{
		const CoordMemberInfo *member = &in->members[i];
		DescribedGroupMember *result = &out->members.items[i];

		result->member_id = pt_string_copy(member->member_id);
		result->group_instance_id = pt_string_copy(member->group_instance_id);
		result->client_id = pt_string_copy(member->client_id);
		result->client_host = pt_string_copy(member->client_host);
		result->member_metadata = pt_string_copy(member->metadata);
		result->member_assignment = pt_string_copy(member->assignment);
	}
}

/*
 * Answers that there is no such group; "what" completes the message.
 */
static void
not_found(KafkaCall *call, DescribedGroup *out, const char *what)
{
	out->group_state = kafka_string(coord_state_name(COORD_DEAD));
	if (call->api_version < 6)
		return;
	out->error_code = KERR_GROUP_ID_NOT_FOUND;
	out->error_message = kafka_group_message(out->group_id, what);
}

/*
 * Answers for one group.
 */
static void
describe(KafkaCall *call, DescribedGroup *out)
{
	CoordDescription d;
	CoordGroupInfo info;

	if (!kafka_group_id_valid(out->group_id))
	{
		out->group_state = kafka_string(coord_state_name(COORD_DEAD));
		out->error_code = KERR_INVALID_GROUP_ID;
		return;
	}
	/* a group whose members have left may be used by SQL sessions now */
	if (coord_describe(kafka_groups(), out->group_id, &d) &&
		(d.info.nmembers > 0 || !pt_group_sql_active(out->group_id)))
	{
		if (d.info.kind == COORD_KIND_CONSUMER)
		{
			not_found(call, out, "is not a classic group.");
			return;
		}
		out->group_state = kafka_string(coord_state_name(d.info.state));
		out->protocol_type = pt_string_copy(d.info.protocol_type);
		out->protocol_data = pt_string_copy(d.protocol_name);
		describe_members(call, &d, out);
	}
	else if (kafka_group_find_outside(out->group_id, &info))
	{
		out->group_state = kafka_string(coord_state_name(info.state));
		out->protocol_type = pt_string_copy(info.protocol_type);
	}
	else
		not_found(call, out, "not found.");
}

/*
 * Answers for all groups; "error" is one for all, or KERR_NONE.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const DescribeGroupsRequest *in = call->request;
	DescribeGroupsResponse *out = call->response;

	KAFKA_RESIZE(call, out->groups, DescribedGroup, in->groups.n);
	for (int i = 0; i < in->groups.n; i++)
	{
		DescribedGroup *group = &out->groups.items[i];

		group->group_id = in->groups.items[i];
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
describe_groups_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_groups_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_group_error(code), message);
}

const KafkaHandler kafka_handler_describe_groups = {
	.begin = describe_groups_begin,
	.fail = describe_groups_fail
};
