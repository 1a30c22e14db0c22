/*-------------------------------------------------------------------------
 *
 * consumer_member.c
 *	  The members of consumer groups and their timers.
 *
 * A member and its ids are one allocation; each string that may change is
 * another.  Members with the same subscription share one.  In most groups all
 * members subscribe to the same topics, so joining costs the same with five
 * members and with five thousand.
 *
 * Siblings: consumer.h, consumer.c (fencing, which the timers end in).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"
#include "coord/consumer_protocol.h"

static ConsumerSubscription *subscription_get(CoordGroups *groups, CoordConsumer *consumer, CoordBytes key,
											  const CoordBytes *names, int nnames, CoordPattern pattern);
static void subscription_let_go(CoordGroups *groups, CoordConsumer *consumer, ConsumerSubscription *subscription);
static CoordBytes subscription_key(CoordGroups *groups, const CoordBytes *names, int nnames, CoordPattern pattern);
static int	compare_names(const void *a, const void *b);
static void fire_fence(CoordGroups *groups, ConsumerMember *member);
static void fire_session(CoordGroups *groups, CoordTimer *timer);
static void fire_rebalance(CoordGroups *groups, CoordTimer *timer);
static void fire_join(CoordGroups *groups, CoordTimer *timer);
static void fire_sync(CoordGroups *groups, CoordTimer *timer);

/*
 * Makes the state of a group that has become a consumer group.
 */
CoordConsumer *
consumer_create(CoordGroups *groups, CoordGroup *group)
{
	CoordConsumer *consumer = coord_alloc(groups, sizeof(CoordConsumer));

	Assert(group->kind == COORD_KIND_CONSUMER && group->consumer == NULL);
	consumer->group = group;
	consumer->assigned_at = PG_INT64_MIN;
	dlist_init(&consumer->members);
	dlist_init(&consumer->subscriptions);
	group->consumer = consumer;
	return consumer;
}

/*
 * CoordKindOps.release: removes all members and frees the group's state.
 */
void
consumer_release(CoordGroups *groups, CoordGroup *group)
{
	CoordConsumer *consumer = group->consumer;

	if (consumer == NULL)
		return;
	while (!dlist_is_empty(&consumer->members))
		consumer_member_remove(groups, dlist_container(ConsumerMember, link, dlist_head_node(&consumer->members)));
	consumer_topics_sweep(groups, consumer);
	Assert(dlist_is_empty(&consumer->subscriptions));
	Assert(consumer->nclassic == 0);
	coord_table_release(groups, &consumer->by_id);
	coord_table_release(groups, &consumer->by_instance);
	coord_table_release(groups, &consumer->by_subscription);
	coord_table_release(groups, &consumer->by_topic);
	coord_free(groups, consumer->topics);
	coord_free(groups, consumer);
	group->consumer = NULL;
}

/*
 * Finds a member by its id; NULL if there is none.
 */
ConsumerMember *
consumer_member_find(const CoordGroups *groups, const CoordConsumer *consumer, CoordBytes id)
{
	CoordNode  *node = coord_table_find(groups, &consumer->by_id, id);

	return node == NULL ? NULL : coord_container(ConsumerMember, node, node);
}

/*
 * Finds a static member by its instance id.  NULL if there is none, or if the
 * id is null.
 */
ConsumerMember *
consumer_member_static(const CoordGroups *groups, const CoordConsumer *consumer, CoordBytes id)
{
	CoordNode  *node = coord_table_find(groups, &consumer->by_instance, id);

	return node == NULL ? NULL : coord_container(ConsumerMember, by_instance, node);
}

/*
 * Adds a member at epoch 0, without a subscription and without partitions.  No
 * timer is armed.
 */
ConsumerMember *
consumer_member_add(CoordGroups *groups, CoordConsumer *consumer, CoordBytes member_id, CoordBytes instance_id)
{
	ConsumerMember *member = coord_alloc(groups, sizeof(ConsumerMember) +
										 pt_string_size(member_id) + pt_string_size(instance_id));
	char	   *at = (char *) (member + 1);

	Assert(member_id.len > 0);
	member->consumer = consumer;
	member->node.key = pt_string_put(&at, member_id);
	member->instance_id = pt_string_put(&at, instance_id);
	member->rack_id = COORD_NULL_BYTES;
	member->client_id = COORD_NULL_BYTES;
	member->client_host = COORD_NULL_BYTES;
	member->assignor = -1;
	member->state = CONSUMER_STABLE;
	coord_table_add(groups, &consumer->by_id, &member->node);
	if (member->instance_id.len >= 0)
	{
		member->by_instance.key = member->instance_id;
		coord_table_add(groups, &consumer->by_instance, &member->by_instance);
	}
	dlist_push_tail(&consumer->members, &member->link);
	coord_group_count(groups, consumer->group, 1);
	(void) consumer_member_subscribe(groups, member, NULL, 0, COORD_NO_PATTERN);
	return member;
}

/*
 * Frees a member that is in no table and no list any more.
 */
static void
member_free(CoordGroups *groups, ConsumerMember *member)
{
	coord_free(groups, unconstify(char *, member->rack_id.data));
	coord_free(groups, unconstify(char *, member->client_id.data));
	coord_free(groups, unconstify(char *, member->client_host.data));
	coord_free(groups, member->classic);
	coord_free(groups, member->assigned.parts);
	coord_free(groups, member->revoking.parts);
	coord_free(groups, member->target.parts);
	coord_free(groups, member);
}

/*
 * Removes the member and makes its partitions free.  The caller has to bump
 * the group epoch.
 */
void
consumer_member_remove(CoordGroups *groups, ConsumerMember *member)
{
	CoordConsumer *consumer = member->consumer;

	consumer_let_go(member);
	subscription_let_go(groups, consumer, member->subscription);
	consumer_member_vote(member, -1);
	if (member->classic != NULL)
		consumer->nclassic--;
	coord_timer_cancel(groups, &member->session);
	coord_timer_cancel(groups, &member->rebalance);
	coord_timer_cancel(groups, &member->join);
	coord_timer_cancel(groups, &member->sync);
	coord_table_remove(&consumer->by_id, &member->node);
	if (member->instance_id.len >= 0)
		coord_table_remove(&consumer->by_instance, &member->by_instance);
	dlist_delete(&member->link);
	coord_group_count(groups, consumer->group, -1);
	member_free(groups, member);
}

/*
 * Replaces a static member by one with another id, which takes over its
 * subscription and its partitions and starts at epoch 0.  The old member is
 * removed.  No timer of the new one is armed.
 */
ConsumerMember *
consumer_member_replace(CoordGroups *groups, ConsumerMember *old, CoordBytes member_id)
{
	CoordConsumer *consumer = old->consumer;
	ConsumerMember *member;
	ConsumerMember copy;

	Assert(old->instance_id.len >= 0);
	consumer_let_go(old);
	coord_table_remove(&consumer->by_instance, &old->by_instance);
	member = consumer_member_add(groups, consumer, member_id, old->instance_id);

	/*
	 * Everything that is kept moves to the new member; the old one gets what
	 * the new one began with, and consumer_member_remove() frees that.
	 */
	copy = *old;
	old->instance_id = COORD_NULL_BYTES;
	old->rack_id = member->rack_id;
	old->client_id = member->client_id;
	old->client_host = member->client_host;
	old->subscription = member->subscription;
	old->classic = NULL;
	old->assignor = -1;
	memset(&old->assigned, 0, sizeof(ConsumerParts));
	memset(&old->revoking, 0, sizeof(ConsumerParts));
	memset(&old->target, 0, sizeof(ConsumerParts));

	member->rack_id = copy.rack_id;
	member->client_id = copy.client_id;
	member->client_host = copy.client_host;
	member->subscription = copy.subscription;
	member->classic = copy.classic;
	member->assignor = copy.assignor;
	member->rebalance_timeout_ms = copy.rebalance_timeout_ms;
	member->state = copy.state;
	member->assigned = copy.assigned;
	member->revoking = copy.revoking;
	member->target = copy.target;
	consumer_member_remove(groups, old);
	consumer_hold(member);
	Assert(member->epoch == 0 && member->previous_epoch == 0);
	return member;
}

/*
 * Replaces a string by a copy of the value; a null value changes nothing.
 */
void
consumer_member_string(CoordGroups *groups, CoordBytes *at, CoordBytes value)
{
	char	   *copy;

	if (value.len < 0 || pt_string_equal(*at, value))
		return;
	coord_free(groups, unconstify(char *, at->data));
	copy = coord_alloc(groups, Max(value.len, 1));
	at->data = copy;
	*at = pt_string_put(&copy, value);
}

/*
 * Sets the assignor that the member votes for; -1: none.
 */
void
consumer_member_vote(ConsumerMember *member, int assignor)
{
	CoordConsumer *consumer = member->consumer;

	Assert(assignor >= -1 && assignor < COORD_ASSIGNORS);
	if (member->assignor >= 0)
		consumer->votes[member->assignor]--;
	if (assignor >= 0)
		consumer->votes[assignor]++;
	member->assignor = assignor;
}

/*
 * Sets whether the member speaks the classic protocol, and what it said with
 * that.  NULL: it speaks the consumer protocol.  Takes over the memory.
 */
void
consumer_member_classic(CoordGroups *groups, ConsumerMember *member, ConsumerClassic *classic)
{
	member->consumer->nclassic += (classic != NULL) - (member->classic != NULL);
	Assert(member->consumer->nclassic >= 0);
	coord_free(groups, member->classic);
	member->classic = classic;
	if (classic == NULL)
	{
		coord_timer_cancel(groups, &member->join);
		coord_timer_cancel(groups, &member->sync);
	}
	else
		coord_timer_cancel(groups, &member->rebalance);
}

/*
 * Sets what the member subscribes to: these names and this regular
 * expression, which must be valid.  Returns true if
 * that is something else than before.
 */
bool
consumer_member_subscribe(CoordGroups *groups, ConsumerMember *member, const CoordBytes *names, int nnames,
						  CoordPattern pattern)
{
	CoordConsumer *consumer = member->consumer;
	ConsumerSubscription *old = member->subscription;
	CoordBytes *sorted = coord_step_alloc(groups, sizeof(CoordBytes) * Max(nnames, 1));
	int			n = 0;

	if (nnames > 0)
		memcpy(sorted, names, sizeof(CoordBytes) * nnames);
	qsort(sorted, nnames, sizeof(CoordBytes), compare_names);
	for (int i = 0; i < nnames; i++)
	{
		if (n == 0 || !pt_string_equal(sorted[n - 1], sorted[i]))
			sorted[n++] = sorted[i];
	}
	if (pattern.regex.len <= 0)
		pattern = COORD_NO_PATTERN;
	member->subscription = subscription_get(groups, consumer, subscription_key(groups, sorted, n, pattern),
											sorted, n, pattern);
	member->subscription->nmembers++;
	if (old != NULL)
		subscription_let_go(groups, consumer, old);
	return old != member->subscription;
}

/*
 * Returns how many bytes the first part of a subscription's key has: the
 * viewer, and the regular expression with its length.
 */
static size_t
pattern_size(CoordPattern pattern)
{
	return sizeof(pattern.viewer) + sizeof(int32) + pt_string_size(pattern.regex);
}

/*
 * Makes the canonical form of a subscription: the viewer, the regular
 * expression and the sorted names, each with its length, in memory of the
 * step.
 */
static CoordBytes
subscription_key(CoordGroups *groups, const CoordBytes *names, int nnames, CoordPattern pattern)
{
	size_t		size = pattern_size(pattern);
	int32		len = pt_string_size(pattern.regex);
	char	   *key;
	char	   *at;

	for (int i = 0; i < nnames; i++)
		size += sizeof(int32) + pt_string_size(names[i]);
	key = at = coord_step_alloc(groups, size);
	memcpy(at, &pattern.viewer, sizeof(pattern.viewer));
	at += sizeof(pattern.viewer);
	memcpy(at, &len, sizeof(int32));
	at += sizeof(int32);
	(void) pt_string_put(&at, pattern.regex);
	for (int i = 0; i < nnames; i++)
	{
		memcpy(at, &names[i].len, sizeof(int32));
		at += sizeof(int32);
		(void) pt_string_put(&at, names[i]);
	}
	Assert(at == key + size);
	return (CoordBytes)
	{
		key, size
	};
}

/*
 * Returns the subscription with that key, and makes it if there is none.
 */
static ConsumerSubscription *
subscription_get(CoordGroups *groups, CoordConsumer *consumer, CoordBytes key,
				 const CoordBytes *names, int nnames, CoordPattern pattern)
{
	CoordNode  *node = coord_table_find(groups, &consumer->by_subscription, key);
	ConsumerSubscription *subscription;
	char	   *at;

	if (node != NULL)
		return coord_container(ConsumerSubscription, node, node);
	subscription = coord_alloc(groups, sizeof(ConsumerSubscription) + sizeof(CoordBytes) * nnames + key.len);
	subscription->names = (CoordBytes *) (subscription + 1);
	at = (char *) (subscription->names + nnames);
	subscription->node.key = pt_string_put(&at, key);
	subscription->nnames = nnames;

	/* the key contains the names, one after the other, behind the pattern */
	at = unconstify(char *, subscription->node.key.data) + pattern_size(pattern);
	for (int i = 0; i < nnames; i++)
	{
		at += sizeof(int32);
		subscription->names[i] = (CoordBytes)
		{
			at, names[i].len
		};
		at += names[i].len;
	}
	if (pattern.regex.len > 0)
		subscription->regex = coord_regex_acquire(groups, pattern);
	coord_table_add(groups, &consumer->by_subscription, &subscription->node);
	dlist_push_tail(&consumer->subscriptions, &subscription->link);
	return subscription;
}

/*
 * One member less has the subscription; the last one frees it.
 */
static void
subscription_let_go(CoordGroups *groups, CoordConsumer *consumer, ConsumerSubscription *subscription)
{
	Assert(subscription->nmembers > 0);
	if (--subscription->nmembers > 0)
		return;
	if (subscription->regex != NULL)
		coord_regex_release(groups, subscription->regex);
	coord_table_remove(&consumer->by_subscription, &subscription->node);
	dlist_delete(&subscription->link);
	coord_free(groups, subscription);
}

/*
 * The order of qsort: by bytes, the shorter name first.
 */
static int
compare_names(const void *a, const void *b)
{
	const CoordBytes *x = a;
	const CoordBytes *y = b;
	int			len = Min(pt_string_size(*x), pt_string_size(*y));
	int			order = len == 0 ? 0 : memcmp(x->data, y->data, len);

	return order != 0 ? order : x->len - y->len;
}

/*
 * The timers.  A timer is not in the heap any more when it fires.
 */

/*
 * Starts the member's session again.
 */
void
consumer_session_start(CoordGroups *groups, ConsumerMember *member)
{
	int32		timeout = member->classic != NULL ? member->classic->session_timeout_ms :
		coord_group_session_timeout(groups, member->consumer->group->node.key);

	coord_timer_arm(groups, &member->session, groups->now + timeout, fire_session);
}

/*
 * Returns when the member's rebalance timeout is over if it starts now, in
 * ms.
 */
static int64
rebalance_deadline(const CoordGroups *groups, const ConsumerMember *member)
{
	return groups->now + Max(member->rebalance_timeout_ms, 0);
}

/*
 * Gives the member its rebalance timeout to give up what is in "revoking".
 * Each change of "revoking" starts it again.
 */
void
consumer_rebalance_start(CoordGroups *groups, ConsumerMember *member)
{
	Assert(member->state == CONSUMER_UNREVOKED && member->classic == NULL);
	member->rebalance_epoch = member->epoch;
	coord_timer_arm(groups, &member->rebalance, rebalance_deadline(groups, member), fire_rebalance);
}

/*
 * Gives a classic member its rebalance timeout to join again.  The time runs
 * from when it was first told to join.
 */
void
consumer_join_start(CoordGroups *groups, ConsumerMember *member)
{
	Assert(member->classic != NULL);
	if (member->join.slot == 0)
		coord_timer_arm(groups, &member->join, rebalance_deadline(groups, member), fire_join);
}

/*
 * Gives a classic member its rebalance timeout to ask for its assignment.
 */
void
consumer_sync_start(CoordGroups *groups, ConsumerMember *member)
{
	Assert(member->classic != NULL);
	coord_timer_arm(groups, &member->sync, rebalance_deadline(groups, member), fire_sync);
}

/*
 * Fences the member whose time is over.
 */
static void
fire_fence(CoordGroups *groups, ConsumerMember *member)
{
	CoordGroup *group = member->consumer->group;

	consumer_fence(groups, group, &member, 1);
	coord_group_settle(groups, group);
}

/*
 * Timer: the member's session is over.
 */
static void
fire_session(CoordGroups *groups, CoordTimer *timer)
{
	fire_fence(groups, coord_container(ConsumerMember, session, timer));
}

/*
 * Timer: the member has not given up its partitions.
 */
static void
fire_rebalance(CoordGroups *groups, CoordTimer *timer)
{
	ConsumerMember *member = coord_container(ConsumerMember, rebalance, timer);

	if (member->epoch == member->rebalance_epoch)
		fire_fence(groups, member);
}

/*
 * Timer: the member has not joined again.
 */
static void
fire_join(CoordGroups *groups, CoordTimer *timer)
{
	fire_fence(groups, coord_container(ConsumerMember, join, timer));
}

/*
 * Timer: the member has not asked for its assignment.
 */
static void
fire_sync(CoordGroups *groups, CoordTimer *timer)
{
	fire_fence(groups, coord_container(ConsumerMember, sync, timer));
}

/*
 * A client takes the place of a static member under another id.
 */
ConsumerMember *
consumer_join_static(CoordGroups *groups, CoordConsumer *consumer, ConsumerMember *existing, CoordBytes member_id)
{
	ConsumerMember *other = consumer_member_find(groups, consumer, member_id);

	/*
	 * The new id may belong to another member.  The client cannot be both, so
	 * that one is removed.
	 */
	if (other != NULL)
	{
		consumer_member_remove(groups, other);
		(void) consumer_bump(groups, consumer, true);
	}
	return consumer_member_replace(groups, existing, member_id);
}

/*
 * Copies what a classic member said into one block of memory.
 */
ConsumerClassic *
consumer_classic_copy(CoordGroups *groups, int32 session_timeout_ms, const CoordProtocol *protocols, int nprotocols)
{
	size_t		size = sizeof(ConsumerClassic) + sizeof(CoordProtocol) * nprotocols;
	ConsumerClassic *classic;
	ProtocolSubscription subscription;
	char	   *at;

	Assert(nprotocols > 0);
	for (int i = 0; i < nprotocols; i++)
		size += pt_string_size(protocols[i].name) + pt_string_size(protocols[i].metadata);
	classic = coord_alloc(groups, size);
	classic->session_timeout_ms = session_timeout_ms;
	classic->nprotocols = nprotocols;
	classic->protocols = (CoordProtocol *) (classic + 1);
	at = (char *) (classic->protocols + nprotocols);
	for (int i = 0; i < nprotocols; i++)
	{
		classic->protocols[i].name = pt_string_put(&at, protocols[i].name);
		classic->protocols[i].metadata = pt_string_put(&at, protocols[i].metadata);
	}
	Assert(at == (char *) classic + size);
	if (consumer_protocol_read_subscription(groups, protocols[0].metadata, &subscription))
		classic->version = subscription.version;
	return classic;
}
