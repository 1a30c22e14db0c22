/*-------------------------------------------------------------------------
 *
 * consumer_migrate.c
 *	  Turns classic groups into consumer groups, and back, while in use.
 *
 * The first member with the consumer protocol turns a classic group of
 * consumers into a consumer group.  The other members keep the classic
 * protocol and the partitions of their last assignment; the generation becomes
 * their epoch.  When the last member with the consumer protocol has left, the
 * group becomes a classic one again, whose generation is the epoch, and
 * rebalances.
 *
 * Siblings: consumer.h, consumer_classic.c, classic.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"
#include "coord/consumer.h"
#include "coord/consumer_protocol.h"

/*
 * A member that moves from one kind of group to the other.  The strings
 * belong to the old group; they can be read until the next step even when
 * they are freed.
 */
typedef struct Migrant
{
	CoordBytes	member_id;
	CoordBytes	instance_id;
	CoordBytes	client_id;
	CoordBytes	client_host;
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;
	int			nprotocols;
	CoordProtocol *protocols;
	CoordBytes	assignment;		/* of the old group; empty: none */
	bool		unsynced;		/* has not asked for that assignment yet */
	ProtocolSubscription subscription;	/* upgrade: of the protocol that was
										 * chosen */
	ProtocolAssignment assigned;	/* upgrade: the assignment, decoded */
} Migrant;

static Migrant *classic_migrants(CoordGroups *groups, const CoordGroup *group);
static const char *read_migrants(CoordGroups *groups, const CoordGroup *group, Migrant *migrants, int n);
static void consumer_settle_in(CoordGroups *groups, CoordConsumer *consumer, const Migrant *migrant);
static void consumer_settle_claims(CoordGroups *groups, CoordConsumer *consumer, const Migrant *migrant);
static ConsumerPart *free_parts(CoordGroups *groups, CoordConsumer *consumer, const ProtocolTopic *topics, int ntopics,
								int *n);
static int	compare_parts(const void *a, const void *b);
static Migrant *consumer_migrants(CoordGroups *groups, const CoordConsumer *consumer);
static CoordBytes target_assignment(CoordGroups *groups, const ConsumerMember *member);
static void classic_settle_in(CoordGroups *groups, CoordGroup *group, const Migrant *migrant);

/*
 * Turns a classic group with members into a consumer group.  Returns NULL, or
 * why that is not possible; then nothing has changed.
 */
const char *
consumer_upgrade(CoordGroups *groups, CoordGroup *group)
{
	CoordMigration policy = groups->config.consumer_migration_policy;
	int			n = group->nmembers;
	int32		generation = classic_of(group)->generation;
	CoordConsumer *consumer;
	Migrant    *migrants;
	const char *complaint;

	if (policy != COORD_MIGRATION_UPGRADE && policy != COORD_MIGRATION_BIDIRECTIONAL)
		return "online upgrade is disabled";
	if (!pt_string_equal(classic_of(group)->protocol_type, PT_STRING("consumer")))
		return "the group does not use the consumer embedded protocol";
	if (n > groups->config.consumer_max_size)
		return "the group size exceeds the consumer group maximum size";
	migrants = classic_migrants(groups, group);
	complaint = read_migrants(groups, group, migrants, n);
	if (complaint != NULL)
		return complaint;

	/*
	 * Requests that wait for the end of a rebalance are told that there is
	 * another one.
	 */
	while (!dlist_is_empty(&classic_of(group)->order))
		classic_member_remove(groups, dlist_container(ClassicMember, link, dlist_head_node(&classic_of(group)->order)),
							  COORD_REBALANCE_IN_PROGRESS);
	coord_group_become(groups, group, COORD_KIND_CONSUMER);
	consumer = consumer_create(groups, group);
	consumer->epoch = generation;
	consumer->target_epoch = generation;
	for (int i = 0; i < n; i++)
		consumer_settle_in(groups, consumer, &migrants[i]);
	for (int i = 0; i < n; i++)
		consumer_settle_claims(groups, consumer, &migrants[i]);
	Assert(group->nmembers == n && consumer->nclassic == n);
	return NULL;
}

/*
 * Collects the members of a classic group, in memory of the step.
 */
static Migrant *
classic_migrants(CoordGroups *groups, const CoordGroup *group)
{
	Migrant    *migrants = coord_step_alloc(groups, sizeof(Migrant) * Max(group->nmembers, 1));
	int			n = 0;
	dlist_iter	iter;

	memset(migrants, 0, sizeof(Migrant) * group->nmembers);
	dlist_foreach(iter, &classic_of(group)->order)
	{
		const ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);
		Migrant    *migrant = &migrants[n++];

		migrant->member_id = member->node.key;
		migrant->instance_id = member->instance_id;
		migrant->client_id = member->client_id;
		migrant->client_host = member->client_host;
		migrant->session_timeout_ms = member->session_timeout_ms;
		migrant->rebalance_timeout_ms = member->rebalance_timeout_ms;
		migrant->assignment = member->assignment;
		migrant->unsynced = member->pending_sync || member->awaiting_sync;
		migrant->nprotocols = member->nsupported;
		migrant->protocols = coord_step_alloc(groups, sizeof(CoordProtocol) * Max(member->nsupported, 1));
		for (int i = 0; i < member->nsupported; i++)
			migrant->protocols[i] = (CoordProtocol)
		{
			coord_step_bytes(groups, member->supported[i].protocol->node.key), member->supported[i].metadata
		};
	}
	Assert(n == group->nmembers);
	return migrants;
}

/*
 * Decodes what the members subscribe to and what they have.  Returns NULL, or
 * what is wrong.
 */
static const char *
read_migrants(CoordGroups *groups, const CoordGroup *group, Migrant *migrants, int n)
{
	const ClassicProtocol *chosen = classic_of(group)->protocol;

	for (int i = 0; i < n; i++)
	{
		Migrant    *migrant = &migrants[i];
		CoordBytes	metadata = migrant->protocols[0].metadata;

		Assert(migrant->nprotocols > 0);
		for (int j = 0; chosen != NULL && j < migrant->nprotocols; j++)
		{
			if (pt_string_equal(migrant->protocols[j].name, chosen->node.key))
				metadata = migrant->protocols[j].metadata;
		}
		if (!consumer_protocol_read_subscription(groups, metadata, &migrant->subscription))
			return "the embedded consumer protocol is malformed";
		if (migrant->assignment.len <= 0)
			continue;
		if (!consumer_protocol_read_assignment(groups, migrant->assignment, &migrant->assigned))
			return "the embedded consumer protocol is malformed";
		if (migrant->assigned.user_data.len > 0)
			return "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade";
	}
	return NULL;
}

/*
 * Makes a migrant a member of the consumer group.  It speaks the classic
 * protocol and has the partitions of its last assignment.
 */
static void
consumer_settle_in(CoordGroups *groups, CoordConsumer *consumer, const Migrant *migrant)
{
	ConsumerMember *member = consumer_member_add(groups, consumer, migrant->member_id, migrant->instance_id);
	ConsumerPart *parts;
	int			n;

	consumer_member_string(groups, &member->rack_id, migrant->subscription.rack_id);
	consumer_member_string(groups, &member->client_id, migrant->client_id);
	consumer_member_string(groups, &member->client_host, migrant->client_host);
	member->rebalance_timeout_ms = migrant->rebalance_timeout_ms;
	member->epoch = member->previous_epoch = consumer->epoch;
	consumer_member_classic(groups, member, consumer_classic_copy(groups, migrant->session_timeout_ms,
																  migrant->protocols, migrant->nprotocols));
	(void) consumer_member_subscribe(groups, member, migrant->subscription.topics, migrant->subscription.ntopics,
									 COORD_NO_PATTERN);
	parts = free_parts(groups, consumer, migrant->assigned.assigned, migrant->assigned.nassigned, &n);
	consumer_parts_replace(groups, &member->target, parts, n);
	consumer_parts_replace(groups, &member->assigned, parts, n);
	consumer_hold(member);
	consumer_session_start(groups, member);
}

/*
 * Handles a member that has not asked for its last assignment yet.  It goes
 * on with the partitions that it named when it joined (KIP-429), including
 * those that the assignment takes from it.  They are put into "revoking", so
 * that nobody else gets them before the member has given them up.
 */
static void
consumer_settle_claims(CoordGroups *groups, CoordConsumer *consumer, const Migrant *migrant)
{
	ConsumerMember *member = consumer_member_find(groups, consumer, migrant->member_id);
	ConsumerPart *parts;
	int			n;

	Assert(member != NULL);
	if (!migrant->unsynced)
		return;
	parts = free_parts(groups, consumer, migrant->subscription.owned, migrant->subscription.nowned, &n);
	if (n == 0)
		return;
	consumer_let_go(member);
	consumer_parts_replace(groups, &member->revoking, parts, n);
	member->state = CONSUMER_UNREVOKED;
	consumer_hold(member);
}

/*
 * Returns those of the partitions that exist and that no member has, as a
 * sorted set in memory of the step.  A client's own assignor may have given a
 * partition to two members.
 */
static ConsumerPart *
free_parts(CoordGroups *groups, CoordConsumer *consumer, const ProtocolTopic *topics, int ntopics, int *n)
{
	int			most = 0;
	int			kept = 0;
	ConsumerPart *parts;

	for (int i = 0; i < ntopics; i++)
		most += topics[i].npartitions;
	parts = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(most, 1));
	*n = 0;
	for (int i = 0; i < ntopics; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_name(groups, topics[i].name);
		ConsumerTopic *topic = entry == NULL ? NULL : consumer_topic_get(groups, consumer, entry);

		for (int j = 0; topic != NULL && j < topics[i].npartitions; j++)
		{
			int32		partition = topics[i].partitions[j];

			if (partition < 0 || partition >= entry->npartitions || topic->owner[partition] != NULL)
				continue;
			parts[(*n)++] = (ConsumerPart)
			{
				topic->slot, partition, consumer->epoch
			};
		}
	}
	qsort(parts, *n, sizeof(ConsumerPart), compare_parts);
	for (int i = 0; i < *n; i++)
	{
		if (kept == 0 || compare_parts(&parts[kept - 1], &parts[i]) != 0)
			parts[kept++] = parts[i];
	}
	*n = kept;
	return parts;
}

/*
 * The order of a set; the epoch is not part of it.
 */
static int
compare_parts(const void *a, const void *b)
{
	const ConsumerPart *x = a;
	const ConsumerPart *y = b;

	if (x->topic != y->topic)
		return x->topic < y->topic ? -1 : 1;
	return x->partition < y->partition ? -1 : x->partition > y->partition;
}

/*
 * Returns true if the group becomes a classic one when these members leave:
 * all others speak the classic protocol, and the policy allows it.
 */
bool
consumer_can_downgrade(const CoordGroups *groups, const CoordConsumer *consumer, int nleaving,
					   ConsumerMember *const *leaving)
{
	CoordMigration policy = groups->config.consumer_migration_policy;
	int			left = consumer->group->nmembers - nleaving;
	int			classic = consumer->nclassic;

	for (int i = 0; i < nleaving; i++)
		classic -= leaving[i]->classic != NULL;
	Assert(left >= 0 && classic >= 0 && classic <= left);

	/*
	 * if all members were classic before, the group could not become a
	 * classic one at that time, and it stays as it is
	 */
	return left > 0 && classic == left && consumer->nclassic < consumer->group->nmembers &&
		(policy == COORD_MIGRATION_DOWNGRADE || policy == COORD_MIGRATION_BIDIRECTIONAL) &&
		left <= groups->config.max_size;
}

/*
 * Turns a consumer group into a classic group, which rebalances.  All of its
 * members must speak the classic protocol.
 */
void
consumer_downgrade(CoordGroups *groups, CoordGroup *group)
{
	CoordConsumer *consumer = group->consumer;
	Migrant    *migrants = consumer_migrants(groups, consumer);
	int			n = group->nmembers;
	int32		epoch = consumer->epoch;

	Assert(n > 0 && consumer->nclassic == n);
	consumer_release(groups, group);
	coord_group_become(groups, group, COORD_KIND_CLASSIC);
	group->classic = classic_make(groups, group);
	for (int i = 0; i < n; i++)
		classic_settle_in(groups, group, &migrants[i]);
	Assert(group->nmembers == n);
	classic_of(group)->generation = epoch;
	classic_of(group)->state = COORD_STABLE;
	classic_choose(groups, group, classic_vote(group));
	classic_rebalance(groups, group);
}

/*
 * Turns a consumer group without members into a classic one.  It keeps the
 * epoch as its generation, which must not go back.
 */
void
consumer_downgrade_empty(CoordGroups *groups, CoordGroup *group)
{
	int32		epoch = group->consumer->epoch;

	Assert(group->nmembers == 0);
	coord_group_become(groups, group, COORD_KIND_CLASSIC);
	group->classic = classic_make(groups, group);
	classic_of(group)->generation = epoch;
}

/*
 * Collects the members of a consumer group, in memory of the step.
 */
static Migrant *
consumer_migrants(CoordGroups *groups, const CoordConsumer *consumer)
{
	Migrant    *migrants = coord_step_alloc(groups, sizeof(Migrant) * Max(consumer->group->nmembers, 1));
	int			n = 0;
	dlist_iter	iter;

	memset(migrants, 0, sizeof(Migrant) * consumer->group->nmembers);
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->members))
	{
		const ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		Assert(member->classic != NULL);
		migrants[n++] = (Migrant)
		{
			.member_id = member->node.key,
				.instance_id = member->instance_id,
				.client_id = member->client_id,
				.client_host = member->client_host,
				.session_timeout_ms = member->classic->session_timeout_ms,
				.rebalance_timeout_ms = member->rebalance_timeout_ms,
				.nprotocols = member->classic->nprotocols,
				.protocols = member->classic->protocols,
				.assignment = target_assignment(groups, member),
		};
	}
	return migrants;
}

/*
 * Writes a member's target in the embedded protocol.
 */
static CoordBytes
target_assignment(CoordGroups *groups, const ConsumerMember *member)
{
	int			n;
	int			kept = 0;
	CoordTopicPartitions *exported = consumer_parts_export(groups, member->consumer, &member->target, &n);
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
 * Makes a migrant a member of the classic group.  It counts as one that has
 * joined, although it has no JoinGroup that waits.
 */
static void
classic_settle_in(CoordGroups *groups, CoordGroup *group, const Migrant *migrant)
{
	CoordEvent	event = {
		.type = COORD_EV_JOIN,
		.member_id = migrant->member_id,
		.group_instance_id = migrant->instance_id,
		.client_id = migrant->client_id,
		.client_host = migrant->client_host,
		.u.join = {
			.session_timeout_ms = migrant->session_timeout_ms,
			.rebalance_timeout_ms = migrant->rebalance_timeout_ms,
			.protocol_type = PT_STRING("consumer"),
			.nprotocols = migrant->nprotocols,
			.protocols = migrant->protocols,
			.reason = COORD_NULL_BYTES,
		}
	};
	ClassicMember *member = classic_member_add(groups, group, &event, migrant->member_id);

	Assert(member->awaiting_join && classic_of(group)->nawaiting_join == 1);
	member->awaiting_join = false;
	classic_of(group)->nawaiting_join = 0;
	member->is_new = false;
	classic_member_assign(groups, member, migrant->assignment);
	classic_session_restart(groups, member, member->session_timeout_ms);
}

/*
 * Removes members that have left or whose time is over.
 *
 * If only members with the classic protocol remain, the group becomes a
 * classic one.  Their epoch is its generation, so they can commit until they
 * hear of the rebalance.
 */
void
consumer_fence(CoordGroups *groups, CoordGroup *group, ConsumerMember *const *members, int n)
{
	CoordConsumer *consumer = group->consumer;
	bool		downgrade;

	Assert(group->kind == COORD_KIND_CONSUMER);
	if (n == 0)
		return;
	downgrade = consumer_can_downgrade(groups, consumer, n, members);
	for (int i = 0; i < n; i++)
	{
		Assert(members[i]->consumer == consumer);
		consumer_member_remove(groups, members[i]);
	}
	if (downgrade)
		consumer_downgrade(groups, group);
	else
		(void) consumer_bump(groups, consumer, true);
}
