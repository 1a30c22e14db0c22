/*-------------------------------------------------------------------------
 *
 * consumer_classic.c
 *	  Members of a consumer group that still speak the classic protocol.
 *
 * To such a member the group looks like a classic group in which it is never
 * the leader.  The generation is its member epoch.  JoinGroup is answered at
 * once.  SyncGroup brings the assignment; partitions that it leaves out have
 * to be given up.  Heartbeat sends the member to JoinGroup when its assignment
 * has to change.  JoinGroup does what a heartbeat of the consumer protocol
 * does.  A member that does not join when it is told to, or joins and does not
 * sync, is fenced after its rebalance timeout.
 *
 * Siblings: consumer.h, consumer_migrate.c, consumer_protocol.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"
#include "coord/consumer_protocol.h"

static CoordError join_allowed(CoordGroups *groups, const CoordGroup *group, const CoordEvent *event,
							   ProtocolSubscription *subscription);
static bool protocols_supported(const CoordConsumer *consumer, const CoordJoin *join);
static ConsumerMember *join_member(CoordGroups *groups, CoordConsumer *consumer, const CoordEvent *event,
								   const ProtocolSubscription *subscription, bool *is_new, CoordError *error);
static bool take_news(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event,
					  const ProtocolSubscription *subscription);
static CoordTopicPartitions *owned_by_id(CoordGroups *groups, const ProtocolSubscription *subscription, int *n);
static bool replaces_last_consumer(const CoordGroups *groups, const CoordGroup *group, const CoordEvent *event,
								   ConsumerMember **replaced);
static CoordError check_member(const CoordGroups *groups, const CoordConsumer *consumer, const CoordEvent *event,
							   ConsumerMember **member);
static CoordBytes make_assignment(CoordGroups *groups, const ConsumerMember *member);
static bool waits_for_others(const ConsumerMember *member);

/*
 * CoordKindOps.join.  Does what a heartbeat does for other members: takes
 * what the request says, updates the target, reconciles.  The JoinGroup is
 * answered in this step.
 */
void
consumer_classic_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	CoordConsumer *consumer = group->consumer;
	ProtocolSubscription subscription;
	CoordTopicPartitions *owned;
	CoordReply *reply;
	ConsumerMember *member;
	CoordError	error = join_allowed(groups, group, event, &subscription);
	bool		is_new = false;
	bool		changed;
	int			nowned;

	if (error == COORD_NONE && event->api_version >= 4 && event->group_instance_id.len < 0 &&
		event->member_id.len <= 0)
	{
		coord_reply_join(groups, event->token, COORD_MEMBER_ID_REQUIRED, coord_member_id(groups, event->client_id));
		return;
	}
	if (error == COORD_NONE && replaces_last_consumer(groups, group, event, &member))
	{
		/*
		 * The rest of the group, and the member itself, continue as a classic
		 * group.
		 */
		consumer_fence(groups, group, &member, 1);
		if (group->nmembers == 0)
			consumer_downgrade_empty(groups, group);
		Assert(group->kind == COORD_KIND_CLASSIC);
		group->ops->join(groups, group, event);
		return;
	}
	member = error == COORD_NONE ? join_member(groups, consumer, event, &subscription, &is_new, &error) : NULL;
	if (member == NULL)
	{
		coord_reply_join(groups, event->token, error, event->member_id);
		return;
	}

	changed = take_news(groups, member, event, &subscription);
	if (changed || is_new)
		(void) consumer_bump(groups, consumer, true);
	consumer_target_update(groups, consumer);
	owned = owned_by_id(groups, &subscription, &nowned);
	(void) consumer_reconcile(groups, member, changed, owned, nowned);
	coord_timer_cancel(groups, &member->join);
	consumer_session_start(groups, member);
	consumer_sync_start(groups, member);

	reply = coord_reply_join(groups, event->token, COORD_NONE, member->node.key);
	reply->u.join.generation = member->epoch;
	reply->u.join.protocol_type = PT_STRING("consumer");
	reply->u.join.protocol_name = coord_step_bytes(groups, member->classic->protocols[0].name);
}

/*
 * Checks whether the client may join.  The metadata of its first protocol
 * says what it subscribes to; it is read into *subscription.
 */
static CoordError
join_allowed(CoordGroups *groups, const CoordGroup *group, const CoordEvent *event,
			 ProtocolSubscription *subscription)
{
	const CoordJoin *join = &event->u.join;
	const CoordConsumer *consumer = group->consumer;

	Assert(event->type == COORD_EV_JOIN && consumer != NULL);
	if (groups->config.consumer_migration_policy == COORD_MIGRATION_DISABLED)
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (group->nmembers >= groups->config.consumer_max_size &&
		consumer_member_find(groups, consumer, event->member_id) == NULL)
		return COORD_GROUP_MAX_SIZE_REACHED;
	if (!pt_string_equal(join->protocol_type, PT_STRING("consumer")) ||
		!protocols_supported(consumer, join) ||
		!consumer_protocol_read_subscription(groups, join->protocols[0].metadata, subscription))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	return COORD_NONE;
}

/*
 * True if the list has a protocol of that name.
 */
static bool
names_protocol(const CoordProtocol *protocols, int nprotocols, CoordBytes name)
{
	for (int i = 0; i < nprotocols; i++)
	{
		if (pt_string_equal(protocols[i].name, name))
			return true;
	}
	return false;
}

/*
 * Returns true if the request names a protocol that all classic members
 * support.  Otherwise the group could not become a classic one again.
 */
static bool
protocols_supported(const CoordConsumer *consumer, const CoordJoin *join)
{
	for (int i = 0; i < join->nprotocols; i++)
	{
		bool		all = true;
		dlist_iter	iter;

		dlist_foreach(iter, unconstify(dlist_head *, &consumer->members))
		{
			ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

			if (member->classic != NULL &&
				!names_protocol(member->classic->protocols, member->classic->nprotocols, join->protocols[i].name))
			{
				all = false;
				break;
			}
		}
		if (all)
			return true;
	}
	return false;
}

/*
 * Returns the member that joins, or NULL and an error in *error.
 *
 * Ids that were given out with MEMBER_ID_REQUIRED are not kept, so a client
 * may join with any id.  But if nobody has the id and the client says that it
 * has partitions, it was a member before, and has to learn that it has lost
 * them.
 */
static ConsumerMember *
join_member(CoordGroups *groups, CoordConsumer *consumer, const CoordEvent *event,
			const ProtocolSubscription *subscription, bool *is_new, CoordError *error)
{
	ConsumerMember *member = consumer_member_static(groups, consumer, event->group_instance_id);
	CoordBytes	member_id = event->member_id;

	if (event->group_instance_id.len >= 0 && member_id.len > 0)
	{
		/* the client says that it is this static member already */
		if (member == NULL)
			*error = COORD_UNKNOWN_MEMBER_ID;
		else if (!pt_string_equal(member->node.key, member_id))
			*error = COORD_FENCED_INSTANCE_ID;
		return *error == COORD_NONE ? member : NULL;
	}
	if (member_id.len <= 0)
		member_id = coord_member_id(groups, event->client_id);
	if (member != NULL)
		return consumer_join_static(groups, consumer, member, member_id);
	member = consumer_member_find(groups, consumer, member_id);
	if (member != NULL)
		return member;
	if (event->member_id.len > 0 && subscription->nowned > 0)
	{
		*error = COORD_UNKNOWN_MEMBER_ID;
		return NULL;
	}
	*is_new = true;
	return consumer_member_add(groups, consumer, member_id, event->group_instance_id);
}

/*
 * Takes what the JoinGroup says about the member.  Returns true if it
 * subscribes to other topics now.
 */
static bool
take_news(CoordGroups *groups, ConsumerMember *member, const CoordEvent *event,
		  const ProtocolSubscription *subscription)
{
	const CoordJoin *join = &event->u.join;

	consumer_member_string(groups, &member->rack_id, subscription->rack_id);
	consumer_member_string(groups, &member->client_id, event->client_id);
	consumer_member_string(groups, &member->client_host, event->client_host);
	member->rebalance_timeout_ms = join->rebalance_timeout_ms < 0 ?
		join->session_timeout_ms : join->rebalance_timeout_ms;
	consumer_member_vote(member, -1);
	if (member->epoch == CONSUMER_LEAVE_STATIC)
		member->epoch = member->previous_epoch = 0;
	consumer_member_classic(groups, member, consumer_classic_copy(groups, join->session_timeout_ms,
																  join->protocols, join->nprotocols));
	return consumer_member_subscribe(groups, member, subscription->topics, subscription->ntopics, COORD_NO_PATTERN);
}

/*
 * Converts what the member says it has from topic names to ids.  Topics that
 * do not exist any more are left out.
 */
static CoordTopicPartitions *
owned_by_id(CoordGroups *groups, const ProtocolSubscription *subscription, int *n)
{
	CoordTopicPartitions *owned = coord_step_alloc(groups, sizeof(CoordTopicPartitions) * Max(subscription->nowned, 1));

	*n = 0;
	for (int i = 0; i < subscription->nowned; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_name(groups, subscription->owned[i].name);

		if (entry != NULL)
			owned[(*n)++] = (CoordTopicPartitions)
		{
			.topic_id = entry->id,
				.topic_name = COORD_NULL_BYTES,
				.npartitions = subscription->owned[i].npartitions,
				.partitions = subscription->owned[i].partitions,
		};
	}
	return owned;
}

/*
 * Returns true if this JoinGroup replaces the only member that speaks the
 * consumer protocol: a static member that comes back with the classic one.
 */
static bool
replaces_last_consumer(const CoordGroups *groups, const CoordGroup *group, const CoordEvent *event,
					   ConsumerMember **replaced)
{
	const CoordConsumer *consumer = group->consumer;

	*replaced = consumer_member_static(groups, consumer, event->group_instance_id);
	if (*replaced == NULL || (*replaced)->classic != NULL || consumer->nclassic != group->nmembers - 1)
		return false;
	if (event->member_id.len > 0)
		return false;
	return group->nmembers == 1 ?
		(groups->config.consumer_migration_policy == COORD_MIGRATION_BIDIRECTIONAL ||
		 groups->config.consumer_migration_policy == COORD_MIGRATION_DOWNGRADE) :
		consumer_can_downgrade(groups, consumer, 1, replaced);
}

/*
 * Checks that the request is from a member that speaks the classic protocol,
 * and that the generation is its epoch.
 */
static CoordError
check_member(const CoordGroups *groups, const CoordConsumer *consumer, const CoordEvent *event, ConsumerMember **member)
{
	*member = consumer_member_find(groups, consumer, event->member_id);
	if (event->group_instance_id.len >= 0)
	{
		*member = consumer_member_static(groups, consumer, event->group_instance_id);
		if (*member != NULL && !pt_string_equal((*member)->node.key, event->member_id))
			return COORD_FENCED_INSTANCE_ID;
	}
	if (*member == NULL || (*member)->classic == NULL)
		return COORD_UNKNOWN_MEMBER_ID;
	return (*member)->epoch == event->generation ? COORD_NONE : COORD_ILLEGAL_GENERATION;
}

/*
 * CoordKindOps.sync.  If there is a newer target, the member has to join
 * again.  If it still has partitions to give up, it has joined already, and
 * this response says which partitions it keeps.
 */
void
consumer_classic_sync(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const CoordSync *sync = &event->u.sync;
	ConsumerMember *member;
	CoordReply *reply;
	CoordError	error = check_member(groups, group->consumer, event, &member);

	if (error == COORD_NONE &&
		((sync->protocol_type.len >= 0 && !pt_string_equal(sync->protocol_type, PT_STRING("consumer"))) ||
		 (sync->protocol_name.len >= 0 && !pt_string_equal(sync->protocol_name, member->classic->protocols[0].name))))
		error = COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (error == COORD_NONE && member->consumer->target_epoch > member->epoch && member->state != CONSUMER_UNREVOKED)
	{
		consumer_join_start(groups, member);
		error = COORD_REBALANCE_IN_PROGRESS;
	}
	if (error != COORD_NONE)
	{
		coord_reply_sync(groups, event->token, error);
		return;
	}
	coord_timer_cancel(groups, &member->sync);
	consumer_session_start(groups, member);
	reply = coord_reply(groups, event->token, event->type, COORD_NONE);
	reply->u.sync.protocol_type = PT_STRING("consumer");
	reply->u.sync.protocol_name = coord_step_bytes(groups, member->classic->protocols[0].name);
	reply->u.sync.assignment = make_assignment(groups, member);
}

/*
 * Writes the member's assignment in the embedded protocol, without topics
 * that do not exist any more.
 */
static CoordBytes
make_assignment(CoordGroups *groups, const ConsumerMember *member)
{
	int			n;
	int			kept = 0;
	CoordTopicPartitions *exported = consumer_parts_export(groups, member->consumer, &member->assigned, &n);
	ProtocolTopic *topics = coord_step_alloc(groups, sizeof(ProtocolTopic) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_id(groups, &exported[i].topic_id);

		if (entry != NULL)
			topics[kept++] = (ProtocolTopic)
		{
			entry->by_name.key, exported[i].npartitions, unconstify(int32 *, exported[i].partitions)
		};
	}
	return consumer_protocol_write_assignment(groups, member->classic->version, topics, kept);
}

/*
 * CoordKindOps.heartbeat.  Sends the member to JoinGroup if there is a newer
 * target, if it has partitions to give up, or if partitions that it waits for
 * are free now.
 */
CoordError
consumer_classic_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	ConsumerMember *member;
	CoordError	error = check_member(groups, group->consumer, event, &member);

	if (error != COORD_NONE)
		return error;
	consumer_session_start(groups, member);

	/*
	 * Topics may have changed, or members may have left, and this may be the
	 * only member to notice.
	 */
	consumer_target_update(groups, member->consumer);
	if (member->epoch < member->consumer->target_epoch || member->state == CONSUMER_UNREVOKED ||
		(member->state == CONSUMER_UNRELEASED && !waits_for_others(member)))
	{
		consumer_join_start(groups, member);
		return COORD_REBALANCE_IN_PROGRESS;
	}
	return COORD_NONE;
}

/*
 * Returns true if another member still holds a partition of the member's
 * target.
 */
static bool
waits_for_others(const ConsumerMember *member)
{
	for (int i = 0; i < member->target.n; i++)
	{
		const ConsumerPart *part = &member->target.parts[i];
		const ConsumerMember *owner = consumer_owner(member->consumer, part->topic, part->partition);

		if (owner != NULL && owner != member)
			return true;
	}
	return false;
}

/*
 * CoordKindOps.leave.  Tools use LeaveGroup to remove members of both
 * protocols.
 */
void
consumer_classic_leave(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	const CoordLeave *in = &event->u.leave;
	CoordConsumer *consumer = group->consumer;
	CoordLeftMember *left = coord_reply_leave(groups, event);
	ConsumerMember **members = coord_step_alloc(groups, sizeof(ConsumerMember *) * Max(in->nmembers, 1));
	int			n = 0;

	for (int i = 0; i < in->nmembers; i++)
	{
		const CoordLeaveMember *leaving = &in->members[i];
		ConsumerMember *member;
		bool		twice = false;

		if (leaving->group_instance_id.len >= 0)
			member = consumer_member_static(groups, consumer, leaving->group_instance_id);
		else
			member = consumer_member_find(groups, consumer, leaving->member_id);
		for (int j = 0; j < n; j++)
			twice |= members[j] == member;
		if (member == NULL)
			left[i].error = COORD_UNKNOWN_MEMBER_ID;
		else if (leaving->group_instance_id.len >= 0 && leaving->member_id.len > 0 &&
				 !pt_string_equal(member->node.key, leaving->member_id))
			left[i].error = COORD_FENCED_INSTANCE_ID;
		else if (!twice)
			members[n++] = member;
	}
	consumer_fence(groups, group, members, n);
}
