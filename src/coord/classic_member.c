/*-------------------------------------------------------------------------
 *
 * classic_member.c
 *	  The members of a classic group and the protocols that they support.
 *
 * For each protocol the group counts the members that support it.  The
 * protocols that all members support are the candidates for the next
 * generation.  There is at least one candidate as long as there are members: a
 * JoinGroup that supports none is refused (classic_supports), and a member
 * that leaves takes no candidate away.
 *
 * Siblings: classic.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/classic.h"

/*
 * Makes the state of an empty classic group; coord_classic_ops.release frees
 * it.
 */
CoordClassic *
classic_make(CoordGroups *groups, CoordGroup *group)
{
	CoordClassic *classic = coord_alloc(groups, sizeof(CoordClassic));

	classic->group = group;
	classic->state = COORD_EMPTY;
	classic->protocol_type = (CoordBytes)
	{
		NULL, 0
	};
	dlist_init(&classic->order);
	dlist_init(&classic->pending_order);
	return classic;
}

/*
 * Finds a member by its id; NULL if there is none.
 */
ClassicMember *
classic_member_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id)
{
	CoordNode  *node = coord_table_find(groups, &classic_of(group)->members, member_id);

	return node == NULL ? NULL : coord_container(ClassicMember, node, node);
}

/*
 * Finds a static member by its instance id; NULL if there is none.
 */
ClassicMember *
classic_instance_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes instance_id)
{
	CoordNode  *node = coord_table_find(groups, &classic_of(group)->instances, instance_id);

	return node == NULL ? NULL : coord_container(ClassicMember, instance, node);
}

/*
 * Finds a protocol by name; a null name counts as the empty one.
 */
static ClassicProtocol *
protocol_find(const CoordGroups *groups, const CoordClassic *classic, CoordBytes name)
{
	CoordNode  *node;

	name.len = Max(name.len, 0);
	node = coord_table_find(groups, &classic->protocols, name);
	return node == NULL ? NULL : coord_container(ClassicProtocol, node, node);
}

/*
 * Finds a protocol by name, or makes one that no member supports yet.
 */
static ClassicProtocol *
protocol_get(CoordGroups *groups, CoordClassic *classic, CoordBytes name)
{
	ClassicProtocol *protocol = protocol_find(groups, classic, name);
	char	   *at;

	if (protocol != NULL)
		return protocol;
	protocol = coord_alloc(groups, sizeof(ClassicProtocol) + pt_string_size(name));
	at = (char *) (protocol + 1);
	protocol->node.key = pt_string_put(&at, name);
	protocol->node.key.len = Max(name.len, 0);
	coord_table_add(groups, &classic->protocols, &protocol->node);
	return protocol;
}

/*
 * Sets the protocol of the generation that begins; NULL if the group is
 * empty.  Frees the last one if no member supports it any more.
 */
void
classic_choose(CoordGroups *groups, CoordGroup *group, ClassicProtocol *protocol)
{
	CoordClassic *classic = classic_of(group);
	ClassicProtocol *old = classic->protocol;

	Assert(protocol == NULL || protocol->nmembers == group->nmembers);
	classic->protocol = protocol;
	if (old != NULL && old != protocol && old->nmembers == 0)
	{
		coord_table_remove(&classic->protocols, &old->node);
		coord_free(groups, old);
	}
}

/*
 * Frees a member's list of protocols.  A protocol that no member supports any
 * more is freed, unless it is the one of this generation.
 */
static void
supported_drop(CoordGroups *groups, CoordClassic *classic, ClassicSupport *supported, int nsupported)
{
	for (int i = 0; i < nsupported; i++)
	{
		ClassicProtocol *protocol = supported[i].protocol;

		Assert(protocol->nmembers > 0);
		if (--protocol->nmembers > 0 || protocol == classic->protocol)
			continue;
		coord_table_remove(&classic->protocols, &protocol->node);
		coord_free(groups, protocol);
	}
	coord_free(groups, supported);
}

/*
 * Copies the protocols of a JoinGroup into the member.  If a name occurs
 * twice, the first one counts, because the client prefers it.
 */
static void
supported_set(CoordGroups *groups, ClassicMember *member, const CoordJoin *join)
{
	CoordClassic *classic = classic_of(member->group);
	size_t		size = join->nprotocols * sizeof(ClassicSupport);
	char	   *at;

	for (int i = 0; i < join->nprotocols; i++)
		size += pt_string_size(join->protocols[i].metadata);
	member->supported = coord_alloc(groups, size);
	member->nsupported = 0;
	at = (char *) (member->supported + join->nprotocols);
	for (int i = 0; i < join->nprotocols; i++)
	{
		ClassicProtocol *protocol = protocol_get(groups, classic, join->protocols[i].name);
		ClassicSupport *support;

		/* "votes" marks the protocols that this member has named already */
		if (protocol->votes != 0)
			continue;
		protocol->votes = 1;
		protocol->nmembers++;
		support = &member->supported[member->nsupported++];
		support->protocol = protocol;
		support->metadata = pt_string_put(&at, join->protocols[i].metadata);
		support->metadata.len = Max(support->metadata.len, 0);
	}
	for (int i = 0; i < member->nsupported; i++)
		member->supported[i].protocol->votes = 0;
	Assert(at <= (char *) member->supported + size);
}

/*
 * Returns true if a member with these protocols may join: at least one of
 * them is supported by all present members.  The first member may bring any
 * protocol.
 */
bool
classic_supports(const CoordGroups *groups, const CoordGroup *group, const CoordJoin *join)
{
	const CoordClassic *classic = classic_of(group);

	if (classic->state == COORD_EMPTY)
		return join->protocol_type.len > 0 && join->nprotocols > 0;
	if (!pt_string_equal(classic->protocol_type, join->protocol_type))
		return false;
	for (int i = 0; i < join->nprotocols; i++)
	{
		const ClassicProtocol *protocol = protocol_find(groups, classic, join->protocols[i].name);

		if ((protocol == NULL ? 0 : protocol->nmembers) == group->nmembers)
			return true;
	}
	return false;
}

/*
 * Chooses the protocol of the next generation.  Each member votes for the one
 * that it prefers among those that all support.  The protocol with the most
 * votes wins; in a tie, the one whose voter joined first.  The second pass
 * finds the winner and sets all votes back to 0.  NULL if there are no
 * members.
 */
ClassicProtocol *
classic_vote(const CoordGroup *group)
{
	const CoordClassic *classic = classic_of(group);
	ClassicProtocol *winner = NULL;
	dlist_iter	iter;

	for (int pass = 0; pass < 2; pass++)
	{
		dlist_foreach(iter, unconstify(dlist_head *, &classic->order))
		{
			ClassicMember *member = dlist_container(ClassicMember, link, iter.cur);
			ClassicProtocol *choice = NULL;

			for (int i = 0; choice == NULL && i < member->nsupported; i++)
			{
				if (member->supported[i].protocol->nmembers == group->nmembers)
					choice = member->supported[i].protocol;
			}
			Assert(choice != NULL);
			if (pass == 0)
				choice->votes++;
			else if (winner == NULL || choice->votes > winner->votes)
			{
				if (winner != NULL)
					winner->votes = 0;
				winner = choice;
			}
			else if (choice != winner)
				choice->votes = 0;
		}
	}
	if (winner != NULL)
		winner->votes = 0;
	return winner;
}

/*
 * Allocates a member with its strings in one block.  It has no protocols and
 * is in no table.
 */
static ClassicMember *
member_make(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, CoordBytes member_id)
{
	ClassicMember *member;
	char	   *at;

	member = coord_alloc(groups, sizeof(ClassicMember) + pt_string_size(member_id) +
						 pt_string_size(event->group_instance_id) +
						 pt_string_size(event->client_id) + pt_string_size(event->client_host));
	at = (char *) (member + 1);
	member->group = group;
	member->node.key = pt_string_put(&at, member_id);
	member->instance_id = pt_string_put(&at, event->group_instance_id);
	member->instance.key = member->instance_id;
	member->client_id = pt_string_put(&at, event->client_id);
	member->client_host = pt_string_put(&at, event->client_host);
	member->client_id.len = Max(member->client_id.len, 0);
	member->client_host.len = Max(member->client_host.len, 0);
	member->assignment = PT_STRING("");
	return member;
}

/*
 * Sets timeouts and protocols from a JoinGroup.  Protocols that the member
 * had are not freed.
 */
static void
member_set(CoordGroups *groups, ClassicMember *member, const CoordJoin *join)
{
	member->session_timeout_ms = join->session_timeout_ms;
	member->rebalance_timeout_ms = join->rebalance_timeout_ms < 0 ?
		join->session_timeout_ms : join->rebalance_timeout_ms;
	supported_set(groups, member, join);
}

/*
 * Adds a member, and lets its JoinGroup wait.  The first member decides the
 * group's protocol type, and the oldest one is the leader.  The caller has
 * checked that classic_supports() allows it and that neither id is taken.
 */
ClassicMember *
classic_member_add(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, CoordBytes member_id)
{
	CoordClassic *classic = classic_of(group);
	const CoordJoin *join = &event->u.join;
	ClassicMember *member = member_make(groups, group, event, member_id);
	CoordBytes	protocol_type = join->protocol_type;
	char	   *at;

	if (group->nmembers == 0 && !pt_string_equal(classic->protocol_type, protocol_type))
	{
		coord_free(groups, unconstify(char *, classic->protocol_type.data));
		at = coord_alloc(groups, pt_string_size(protocol_type));
		classic->protocol_type = pt_string_put(&at, protocol_type);
	}
	Assert(pt_string_equal(classic->protocol_type, protocol_type));
	member_set(groups, member, join);
	coord_table_add(groups, &classic->members, &member->node);
	if (member->instance_id.len >= 0)
		coord_table_add(groups, &classic->instances, &member->instance);
	dlist_push_tail(&classic->order, &member->link);
	if (classic->leader == NULL)
		classic->leader = member;
	member->is_new = true;
	coord_group_count(groups, group, 1);
	classic_member_await(groups, member, event->token);
	return member;
}

/*
 * Answers the member's requests that wait with an error.
 */
static void
member_dismiss(CoordGroups *groups, ClassicMember *member, CoordError error, CoordBytes member_id)
{
	CoordClassic *classic = classic_of(member->group);

	if (member->awaiting_join)
	{
		coord_reply_join(groups, member->join_token, error, member_id);
		member->awaiting_join = false;
		classic->nawaiting_join--;
	}
	if (member->awaiting_sync)
	{
		coord_reply_sync(groups, member->sync_token, error);
		member->awaiting_sync = false;
	}
	Assert(classic->nawaiting_join >= 0);
}

/*
 * Frees a member that is in no table and no list any more.
 */
static void
member_free(CoordGroups *groups, ClassicMember *member)
{
	Assert(!member->awaiting_join && !member->awaiting_sync);
	coord_timer_cancel(groups, &member->session);
	if (member->assignment.len > 0)
		coord_free(groups, unconstify(char *, member->assignment.data));
	supported_drop(groups, classic_of(member->group), member->supported, member->nsupported);
	coord_free(groups, member);
}

/*
 * Removes a member and answers its requests that wait with the error
 * "waiting".  If it was the leader, the oldest remaining member becomes the
 * leader.  The caller has to see to the group's phase.
 */
void
classic_member_remove(CoordGroups *groups, ClassicMember *member, CoordError waiting)
{
	CoordGroup *group = member->group;
	CoordClassic *classic = classic_of(group);

	Assert(waiting != COORD_NONE);
	member_dismiss(groups, member, waiting, PT_STRING(""));
	classic_member_synced(groups, member);
	coord_table_remove(&classic->members, &member->node);
	if (member->instance_id.len >= 0)
		coord_table_remove(&classic->instances, &member->instance);
	dlist_delete(&member->link);
	if (classic->leader == member)
		classic->leader = dlist_is_empty(&classic->order) ? NULL :
			dlist_head_element(ClassicMember, link, &classic->order);
	member_free(groups, member);
	coord_group_count(groups, group, -1);
	Assert(classic->members.n == group->nmembers);
}

/*
 * Replaces a static member that has come back under a new id.  The old id is
 * fenced.  The new member takes its place in the order, its assignment and
 * its leadership.  Its JoinGroup does not wait yet.
 */
ClassicMember *
classic_member_replace(CoordGroups *groups, ClassicMember *old, const CoordEvent *event, CoordBytes member_id)
{
	CoordGroup *group = old->group;
	CoordClassic *classic = classic_of(group);
	ClassicMember *member = member_make(groups, group, event, member_id);

	Assert(pt_string_equal(old->instance_id, event->group_instance_id));
	member_dismiss(groups, old, COORD_FENCED_INSTANCE_ID, old->node.key);
	member->assignment = old->assignment;
	old->assignment = PT_STRING("");
	member->pending_sync = old->pending_sync;
	member_set(groups, member, &event->u.join);

	coord_table_remove(&classic->members, &old->node);
	coord_table_remove(&classic->instances, &old->instance);
	coord_table_add(groups, &classic->members, &member->node);
	coord_table_add(groups, &classic->instances, &member->instance);
	dlist_insert_after(&old->link, &member->link);
	dlist_delete(&old->link);
	if (classic->leader == old)
		classic->leader = member;
	member_free(groups, old);
	return member;
}

/*
 * Takes the protocols and timeouts of a member that has joined again.
 */
void
classic_member_update(CoordGroups *groups, ClassicMember *member, const CoordEvent *event)
{
	ClassicSupport *supported = member->supported;
	int			nsupported = member->nsupported;

	/* the new ones first, so that protocols in both lists stay */
	member_set(groups, member, &event->u.join);
	supported_drop(groups, classic_of(member->group), supported, nsupported);
}

/*
 * Returns true if a JoinGroup has the same protocols and metadata as the
 * member's last one.
 */
bool
classic_member_matches(const ClassicMember *member, const CoordJoin *join)
{
	if (member->nsupported != join->nprotocols)
		return false;
	for (int i = 0; i < join->nprotocols; i++)
	{
		CoordBytes	metadata = join->protocols[i].metadata;

		metadata.len = Max(metadata.len, 0);
		if (!pt_string_equal(member->supported[i].protocol->node.key, join->protocols[i].name) ||
			!pt_string_equal(member->supported[i].metadata, metadata))
			return false;
	}
	return true;
}

/*
 * Lets the member's JoinGroup wait for the end of the rebalance.  A client
 * that sends another one has given up on the first, which is answered with an
 * error.
 */
void
classic_member_await(CoordGroups *groups, ClassicMember *member, uint64 token)
{
	if (member->awaiting_join)
		coord_reply_join(groups, member->join_token, COORD_REBALANCE_IN_PROGRESS, member->node.key);
	else
		classic_of(member->group)->nawaiting_join++;
	member->awaiting_join = true;
	member->join_token = token;
	Assert(classic_of(member->group)->nawaiting_join <= member->group->nmembers);
}

/*
 * Notes that the member has asked for its assignment, or does not have to any
 * more.  When the last one has, the deadline is cancelled.
 */
void
classic_member_synced(CoordGroups *groups, ClassicMember *member)
{
	CoordClassic *classic = classic_of(member->group);

	if (!member->pending_sync)
		return;
	member->pending_sync = false;
	classic->npending_sync--;
	Assert(classic->npending_sync >= 0);
	if (classic->npending_sync == 0)
		coord_timer_cancel(groups, &classic->sync);
}

/*
 * Replaces the member's assignment with a copy; an empty one takes no memory.
 */
void
classic_member_assign(CoordGroups *groups, ClassicMember *member, CoordBytes assignment)
{
	char	   *at;

	if (member->assignment.len > 0)
		coord_free(groups, unconstify(char *, member->assignment.data));
	member->assignment = PT_STRING("");
	if (assignment.len > 0)
	{
		at = coord_alloc(groups, assignment.len);
		member->assignment = pt_string_put(&at, assignment);
	}
}

/*
 * Returns the member's metadata for the protocol of this generation.
 */
CoordBytes
classic_member_metadata(const ClassicMember *member)
{
	const ClassicProtocol *protocol = classic_of(member->group)->protocol;

	Assert(protocol != NULL);
	for (int i = 0; i < member->nsupported; i++)
	{
		if (member->supported[i].protocol == protocol)
			return member->supported[i].metadata;
	}
	Assert(false);
	return PT_STRING("");
}

/*
 * Finds an id that was given out and not yet joined with; NULL if there is
 * none.
 */
ClassicPending *
classic_pending_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id)
{
	CoordNode  *node = coord_table_find(groups, &classic_of(group)->pending, member_id);

	return node == NULL ? NULL : coord_container(ClassicPending, node, node);
}

/*
 * Timer: the client did not come back with its id.  A rebalance may have
 * waited for it.
 */
static void
pending_expired(CoordGroups *groups, CoordTimer *timer)
{
	ClassicPending *pending = coord_container(ClassicPending, expiry, timer);
	CoordGroup *group = pending->group;

	classic_pending_remove(groups, pending);
	if (classic_of(group)->state == COORD_PREPARING_REBALANCE && classic_all_joined(group))
		classic_rebalance_complete(groups, group);
	coord_group_settle(groups, group);
}

/*
 * Remembers a member id that was given out.  The client has timeout_ms to
 * join with it.
 */
void
classic_pending_add(CoordGroups *groups, CoordGroup *group, CoordBytes member_id, int32 timeout_ms)
{
	CoordClassic *classic = classic_of(group);
	ClassicPending *pending = coord_alloc(groups, sizeof(ClassicPending) + pt_string_size(member_id));
	char	   *at = (char *) (pending + 1);

	Assert(classic_member_find(groups, group, member_id) == NULL);
	pending->group = group;
	pending->node.key = pt_string_put(&at, member_id);
	coord_table_add(groups, &classic->pending, &pending->node);
	dlist_push_tail(&classic->pending_order, &pending->link);
	group->npending++;
	coord_timer_arm(groups, &pending->expiry, groups->now + timeout_ms, pending_expired);
}

/*
 * Forgets a member id that was given out.
 */
void
classic_pending_remove(CoordGroups *groups, ClassicPending *pending)
{
	CoordGroup *group = pending->group;
	CoordClassic *classic = classic_of(group);

	coord_timer_cancel(groups, &pending->expiry);
	coord_table_remove(&classic->pending, &pending->node);
	dlist_delete(&pending->link);
	coord_free(groups, pending);
	group->npending--;
	Assert(classic->pending.n == group->npending);
}
