/*-------------------------------------------------------------------------
 *
 * consumer.c
 *	  Consumer groups of KIP-848: heartbeats, which join, go on and leave.
 *
 * A heartbeat finds or makes the member, takes what the request says has
 * changed, bumps the group epoch if other members are affected, updates the
 * target, moves the member towards it, and answers with the member's
 * assignment if that has changed.
 *
 * The messages of errors are for users; clients act on the codes.  A heartbeat
 * for a group that does not exist gets UNKNOWN_MEMBER_ID, where Kafka answers
 * GROUP_ID_NOT_FOUND.  Our groups live in memory: after a restart the code
 * makes a client join again instead of giving up.
 *
 * Siblings: consumer.h (lists all files), assign.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include <stdarg.h>

#include "coord/consumer.h"

/*
 * Rough upper estimates of what a member takes, without its strings, and of
 * what a partition takes, in bytes.
 */
#define MEMBER_SIZE 4096
#define PARTITION_SIZE 64

static void refuse(CoordGroups *groups, const CoordEvent *event, CoordError error, const char *format,...)
			pg_attribute_printf(4, 5);
static bool heartbeat_valid(CoordGroups *groups, const CoordEvent *event);
static const char *heartbeat_complaint(const CoordEvent *event);
static bool heartbeat_fits(CoordGroups *groups, const CoordGroup *group, const CoordEvent *event);
static CoordGroup *join_group(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
static ConsumerMember *join_member(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, bool *is_new);
static ConsumerMember *known_member(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
static bool epoch_valid(CoordGroups *groups, const ConsumerMember *member, const CoordEvent *event);
static bool take_news(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event);
static void heartbeat_answer(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event, bool assigned_changed);
static void leave(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
static void leave_for_a_while(CoordGroups *groups, ConsumerMember *member);

/* For printf: %.*s */
#define BYTES_ARG(b) (int) Max((b).len, 0), (b).data == NULL ? "" : (b).data

/*
 * Handles a ConsumerGroupHeartbeat; "group" is NULL if there is none of that
 * id.  The event is answered in this step.
 */
void
coord_consumer_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;
	ConsumerMember *member;
	bool		is_new = false;
	bool		changed;

	if (!heartbeat_valid(groups, event))
		return;
	if (event->generation < 0)
	{
		leave(groups, group, event);
		return;
	}
	if (!heartbeat_fits(groups, group, event))
		return;
	if (event->generation == CONSUMER_JOIN)
	{
		group = join_group(groups, group, event);
		member = group == NULL ? NULL : join_member(groups, group, event, &is_new);
	}
	else
		member = known_member(groups, group, event);
	if (member == NULL)
	{
		if (group != NULL)
			coord_group_settle(groups, group);
		return;
	}

	/*
	 * A group that was a classic one until now has not counted its topics
	 * yet; consumer_bump() notices this, too.
	 */
	changed = take_news(groups, member, event);
	if (changed || event->generation == CONSUMER_JOIN)
		(void) consumer_bump(groups, member->consumer, changed || is_new);
	consumer_target_update(groups, member->consumer);
	changed = consumer_reconcile(groups, member, changed, in->owned, in->nowned);
	consumer_session_start(groups, member);
	heartbeat_answer(groups, member, event, changed);
	coord_group_settle(groups, group);
}

/*
 * Answers with an error code and a message.
 */
static void
refuse(CoordGroups *groups, const CoordEvent *event, CoordError error, const char *format,...)
{
	CoordReply *reply = coord_reply(groups, event->token, event->type, error);
	char		message[1024];
	va_list		args;

	Assert(error != COORD_NONE && event->type == COORD_EV_CONSUMER_HEARTBEAT);
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	coord_reply_message(groups, reply, message);
	reply->u.consumer.member_id = COORD_NULL_BYTES;
	reply->u.consumer.nassigned = -1;
}

/*
 * Makes the checks that need no group.  If one fails, it answers with the
 * error and returns false.
 */
static bool
heartbeat_valid(CoordGroups *groups, const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;
	const char *complaint = heartbeat_complaint(event);

	if (complaint != NULL)
	{
		refuse(groups, event, COORD_INVALID_REQUEST, "%s", complaint);
		return false;
	}
	if (in->server_assignor.len >= 0)
	{
		size_t		size = pt_string_size(in->server_assignor) + 1;
		char	   *name = coord_step_alloc(groups, size);

		if (!pt_string_to_buf(in->server_assignor, name, size))
			name = "with a zero byte in its name";
		if (coord_assignor_number(name) < 0)
		{
			StaticAssertStmt(COORD_ASSIGNORS == 2, "the message names them all");
			refuse(groups, event, COORD_UNSUPPORTED_ASSIGNOR,
				   "ServerAssignor %.200s is not supported. Supported assignors: %s, %s.", name,
				   coord_assignor_name(0), coord_assignor_name(1));
			return false;
		}
	}
	if (in->subscribed_topic_regex.len > 0)
	{
		const char *wrong = coord_regex_invalid(groups, (CoordPattern) {in->subscribed_topic_regex, event->viewer});

		if (wrong != NULL)
		{
			refuse(groups, event, COORD_INVALID_REGULAR_EXPRESSION,
				   "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.",
				   Min(in->subscribed_topic_regex.len, 300), in->subscribed_topic_regex.data, wrong);
			return false;
		}
	}
	return true;
}

/*
 * True if the string is not null and has nothing but blanks and control
 * characters.
 */
static bool
blank(CoordBytes bytes)
{
	for (int i = 0; i < bytes.len; i++)
	{
		if ((unsigned char) bytes.data[i] > ' ')
			return false;
	}
	return bytes.len >= 0;
}

/*
 * Returns what is wrong with a request, or NULL.  The checks are in Kafka's
 * order, so that a request with two faults gets the same error.
 */
static const char *
heartbeat_complaint(const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;

	if ((event->api_version >= 1 || event->generation > 0 || event->generation == CONSUMER_LEAVE) &&
		(event->member_id.len < 0 || blank(event->member_id)))
		return "MemberId can't be empty.";
	if (event->group_id.len < 0 || blank(event->group_id))
		return "GroupId can't be empty.";
	if (blank(event->group_instance_id))
		return "InstanceId can't be empty.";
	if (blank(in->rack_id))
		return "RackId can't be empty.";
	if (event->generation == CONSUMER_JOIN)
	{
		if (in->rebalance_timeout_ms == -1)
			return "RebalanceTimeoutMs must be provided in first request.";
		if (in->nowned != 0)
			return "TopicPartitions must be empty when (re-)joining.";
		if (in->nsubscribed < 0 && in->subscribed_topic_regex.len < 0)
			return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
	}
	else if (event->generation == CONSUMER_LEAVE_STATIC)
	{
		if (event->group_instance_id.len < 0)
			return "InstanceId can't be null.";
	}
	else if (event->generation < CONSUMER_LEAVE_STATIC)
		return "MemberEpoch is invalid.";
	return NULL;
}

/*
 * Returns true if there is memory for what the request may add; answers with
 * an error if not.
 */
static bool
heartbeat_fits(CoordGroups *groups, const CoordGroup *group, const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;
	size_t		size = MEMBER_SIZE + 4 * (pt_string_size(event->group_id) + pt_string_size(event->member_id) +
										  pt_string_size(event->group_instance_id));

	/* most heartbeats only say that the member is alive */
	if (event->generation > 0 && in->nsubscribed < 0 && in->subscribed_topic_regex.len < 0)
		return true;
	size += pt_string_size(event->client_id) * 2 + pt_string_size(event->client_host) + pt_string_size(in->rack_id);
	for (int i = 0; i < in->nsubscribed; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_name(groups, in->subscribed_topic_names[i]);

		size += 2 * sizeof(CoordBytes) + 2 * pt_string_size(in->subscribed_topic_names[i]);
		if (entry != NULL)
			size += (size_t) entry->npartitions * PARTITION_SIZE;
	}
	if (in->subscribed_topic_regex.len > 0)
		size += 4 * pt_string_size(in->subscribed_topic_regex) + coord_topics(groups)->npartitions * PARTITION_SIZE;
	if (coord_group_reserve(groups, size, group))
		return true;
	refuse(groups, event, COORD_COORDINATOR_NOT_AVAILABLE, "The group coordinator has no memory left.");
	return false;
}

/*
 * Returns the group that a member joins.  It is created, or turned into a
 * consumer group, if necessary.  NULL: the request was answered with an
 * error.
 */
static CoordGroup *
join_group(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const char *complaint;

	if (group != NULL && group->nmembers >= groups->config.consumer_max_size &&
		(group->kind != COORD_KIND_CONSUMER ||
		 consumer_member_find(groups, group->consumer, event->member_id) == NULL))
	{
		refuse(groups, event, COORD_GROUP_MAX_SIZE_REACHED,
			   "The consumer group has reached its maximum capacity of %d members.", groups->config.consumer_max_size);
		return NULL;
	}
	if (group != NULL && group->kind == COORD_KIND_CLASSIC && group->nmembers > 0)
	{
		complaint = consumer_upgrade(groups, group);
		if (complaint != NULL)
		{
			refuse(groups, event, COORD_GROUP_ID_NOT_FOUND,
				   "Cannot upgrade classic group %.*s to consumer group because %s.",
				   BYTES_ARG(event->group_id), complaint);
			return NULL;
		}
	}
	group = coord_group_get(groups, event->group_id);
	if (group->kind != COORD_KIND_CONSUMER)
	{
		coord_group_become(groups, group, COORD_KIND_CONSUMER);
		(void) consumer_create(groups, group);
	}
	Assert(group->consumer != NULL && group->consumer->group == group);
	return group;
}

/*
 * Returns the member that joins, for a heartbeat with epoch 0.  A member may
 * join again: it says that it has no partitions and wants all of its
 * assignment.  NULL: the request was answered with an error.
 */
static ConsumerMember *
join_member(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, bool *is_new)
{
	CoordConsumer *consumer = group->consumer;
	CoordBytes	member_id = event->member_id;
	ConsumerMember *member = consumer_member_static(groups, consumer, event->group_instance_id);

	if (member_id.len <= 0)
		member_id = coord_member_id(groups, event->client_id);
	if (member != NULL && !pt_string_equal(member->node.key, member_id))
	{
		if (member->classic == NULL && member->epoch != CONSUMER_LEAVE_STATIC)
		{
			refuse(groups, event, COORD_UNRELEASED_INSTANCE_ID,
				   "Static member %.*s with instance id %.*s cannot join the group because the instance id is owned by %.*s member.",
				   BYTES_ARG(member_id), BYTES_ARG(event->group_instance_id), BYTES_ARG(member->node.key));
			return NULL;
		}
		return consumer_join_static(groups, consumer, member, member_id);
	}
	if (member == NULL)
		member = consumer_member_find(groups, consumer, member_id);
	if (member != NULL)
	{
		/* the instance id of a member never changes */
		if (event->group_instance_id.len >= 0 &&
			!pt_string_equal(member->instance_id, event->group_instance_id))
		{
			refuse(groups, event, COORD_INVALID_REQUEST, "Member %.*s joined the group with another InstanceId.",
				   BYTES_ARG(member_id));
			return NULL;
		}
		if (member->epoch == CONSUMER_LEAVE_STATIC)
			member->epoch = member->previous_epoch = 0;
		return member;
	}
	*is_new = true;
	return consumer_member_add(groups, consumer, member_id, event->group_instance_id);
}

/*
 * Returns the member that sends the heartbeat.  NULL: it is not a member, or
 * it is fenced, and the request was answered with that error.
 */
static ConsumerMember *
known_member(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	ConsumerMember *member;

	if (group == NULL || group->kind != COORD_KIND_CONSUMER)
	{
		refuse(groups, event, COORD_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.",
			   BYTES_ARG(event->member_id), BYTES_ARG(event->group_id));
		return NULL;
	}
	if (event->group_instance_id.len >= 0)
	{
		member = consumer_member_static(groups, group->consumer, event->group_instance_id);
		if (member == NULL)
		{
			refuse(groups, event, COORD_UNKNOWN_MEMBER_ID, "Instance id %.*s is unknown.",
				   BYTES_ARG(event->group_instance_id));
			return NULL;
		}
		if (!pt_string_equal(member->node.key, event->member_id))
		{
			refuse(groups, event, COORD_FENCED_INSTANCE_ID,
				   "Static member %.*s with instance id %.*s was fenced by member %.*s.",
				   BYTES_ARG(event->member_id), BYTES_ARG(event->group_instance_id), BYTES_ARG(member->node.key));
			return NULL;
		}
	}
	else
		member = consumer_member_find(groups, group->consumer, event->member_id);
	if (member == NULL)
	{
		refuse(groups, event, COORD_UNKNOWN_MEMBER_ID, "Member %.*s is not a member of group %.*s.",
			   BYTES_ARG(event->member_id), BYTES_ARG(event->group_id));
		return NULL;
	}
	if (event->generation > 0 && !epoch_valid(groups, member, event))
		return NULL;
	return member;
}

/*
 * Checks the member epoch.  The previous epoch is valid as well if the member
 * has no partitions except assigned ones: the answer with the new epoch was
 * lost.  Answers with an error and returns false if the epoch is wrong.
 */
static bool
epoch_valid(CoordGroups *groups, const ConsumerMember *member, const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;

	if (event->generation == member->epoch)
		return true;
	if (event->generation < member->epoch && event->generation == member->previous_epoch && in->nowned >= 0 &&
		consumer_owns_only(groups, member, &member->assigned, in->owned, in->nowned))
		return true;
	refuse(groups, event, COORD_FENCED_MEMBER_EPOCH,
		   "The consumer group member has a %s member epoch (%d) than the one known by the group coordinator (%d). "
		   "The member must abandon all its partitions and rejoin.",
		   event->generation > member->epoch ? "greater" : "smaller", event->generation, member->epoch);
	return false;
}

/*
 * Takes what the heartbeat says about the member.  Returns true if it
 * subscribes to other topics now.  An expression looks with the eyes of who
 * has said it.
 */
static bool
take_news(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;
	const ConsumerSubscription *old = member->subscription;
	CoordPattern pattern = old->regex == NULL ? COORD_NO_PATTERN : old->regex->pattern;

	consumer_member_string(groups, &member->rack_id, in->rack_id);
	consumer_member_string(groups, &member->client_id, event->client_id);
	consumer_member_string(groups, &member->client_host, event->client_host);
	if (in->rebalance_timeout_ms != -1)
		member->rebalance_timeout_ms = in->rebalance_timeout_ms;
	for (int i = 0; in->server_assignor.len >= 0 && i < COORD_ASSIGNORS; i++)
	{
		const char *name = coord_assignor_name(i);

		if (pt_string_equal(in->server_assignor, (CoordBytes) {name, strlen(name)}))
			consumer_member_vote(member, i);
	}
	if (member->classic != NULL)
		consumer_member_classic(groups, member, NULL);

	if (in->nsubscribed < 0 && in->subscribed_topic_regex.len < 0)
		return false;
	if (in->subscribed_topic_regex.len >= 0)
		pattern = (CoordPattern) {in->subscribed_topic_regex, event->viewer};
	if (in->nsubscribed >= 0)
		return consumer_member_subscribe(groups, member, in->subscribed_topic_names, in->nsubscribed, pattern);
	return consumer_member_subscribe(groups, member, old->names, old->nnames, pattern);
}

/*
 * Answers a heartbeat.  The response contains the assignment if it has
 * changed, if the member joins, or if the request had all of its fields,
 * which says that the member does not know its assignment.
 */
static void
heartbeat_answer(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event, bool assigned_changed)
{
	const CoordConsumerHeartbeat *in = &event->u.consumer;
	CoordReply *reply = coord_reply(groups, event->token, event->type, COORD_NONE);
	CoordBytes	group_id = member->consumer->group->node.key;
	bool		full = in->rebalance_timeout_ms != -1 && in->nowned >= 0 &&
		(in->nsubscribed >= 0 || in->subscribed_topic_regex.len >= 0);

	reply->u.consumer.member_id = coord_step_bytes(groups, member->node.key);
	reply->u.consumer.member_epoch = member->epoch;
	reply->u.consumer.heartbeat_interval_ms = coord_group_heartbeat_interval(groups, group_id);
	reply->u.consumer.nassigned = -1;
	if (event->generation == CONSUMER_JOIN || full || assigned_changed)
		reply->u.consumer.assigned = consumer_parts_export(groups, member->consumer, &member->assigned,
														   &reply->u.consumer.nassigned);
}

/*
 * A member leaves: for good with epoch -1, for a while with epoch -2 (static
 * members).
 */
static void
leave(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	ConsumerMember *member;
	CoordReply *reply;

	if (group == NULL || group->kind != COORD_KIND_CONSUMER)
	{
		refuse(groups, event, COORD_GROUP_ID_NOT_FOUND, "Group %.*s not found.", BYTES_ARG(event->group_id));
		return;
	}
	member = known_member(groups, group, event);
	if (member == NULL)
		return;
	reply = coord_reply(groups, event->token, event->type, COORD_NONE);
	reply->u.consumer.member_id = coord_step_bytes(groups, member->node.key);
	reply->u.consumer.member_epoch = event->generation;
	reply->u.consumer.nassigned = -1;
	if (event->generation == CONSUMER_LEAVE_STATIC)
		leave_for_a_while(groups, member);
	else
		consumer_fence(groups, group, &member, 1);
	coord_group_settle(groups, group);
}

/*
 * A static member is away.  It keeps its partitions until its session ends,
 * so that nothing is assigned to others meanwhile.  It has stopped reading,
 * so that partitions it was to give up are free.
 */
static void
leave_for_a_while(CoordGroups *groups, ConsumerMember *member)
{
	consumer_let_go(member);
	consumer_parts_replace(groups, &member->revoking, NULL, 0);
	consumer_hold(member);
	if (member->state == CONSUMER_UNREVOKED)
		member->state = CONSUMER_STABLE;
	for (int i = 0; i < member->assigned.n; i++)
		member->assigned.parts[i].epoch = 0;
	member->epoch = CONSUMER_LEAVE_STATIC;
	coord_timer_cancel(groups, &member->rebalance);
}

const CoordKindOps coord_consumer_ops = {
	.join = consumer_classic_join,
	.sync = consumer_classic_sync,
	.leave = consumer_classic_leave,
	.heartbeat = consumer_classic_heartbeat,
	.commit = consumer_commit,
	.fetch = consumer_fetch,
	.topics = consumer_topics_changed,
	.release = consumer_release,
	.state = consumer_state,
	.protocol_type = consumer_protocol_type,
	.describe = consumer_describe,
};
