/*-------------------------------------------------------------------------
 *
 * modern_classic.c
 *	  A consumer with the classic protocol, and the true bytes of Kafka's consumers in it.
 *
 * It leads when it is told to, which only happens in a classic group.  What two members
 * claim to have belongs to the one whose generation is newer.
 *
 * Siblings: modern.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "modern.h"

/* What a member says in its JoinGroup. */
typedef struct Subscription
{
	int			topics;
	uint64		owned;
	int32		generation;
} Subscription;

/* Bytes being written or read. */
typedef struct Bytes
{
	char		data[1000];
	int			len;
	int			at;
} Bytes;

static void
put(Bytes *b, int64 value, int size)
{
	Assert(b->len + size <= (int) sizeof(b->data));
	for (int i = size - 1; i >= 0; i--)
		b->data[b->len++] = (char) (value >> (8 * i));
}

static int32
get(Sim *sim, Bytes *b, int size)
{
	uint32		value = 0;

	if (b->at + size > b->len)
		sim_fail(sim, "bytes of an assignment or a subscription are missing");
	for (int i = 0; i < size; i++)
		value = value << 8 | (uint8) b->data[b->at++];
	return size == 2 ? (int16) value : (int32) value;
}

static Bytes
bytes_of(Sim *sim, CoordBytes from)
{
	Bytes		b = {.len = from.len};

	if (from.len > (int) sizeof(b.data))
		sim_fail(sim, "%d bytes of metadata", from.len);
	if (from.len > 0)
		memcpy(b.data, from.data, from.len);
	return b;
}

static void
put_name(Bytes *b, int topic)
{
	put(b, 2, 2);
	put(b, 't', 1);
	put(b, '0' + topic, 1);
}

static void
put_partitions(Bytes *b, uint64 mask)
{
	int			n = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
		n += (mask & MODERN_TOPIC_MASK(t)) != 0;
	put(b, n, 4);
	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if ((mask & MODERN_TOPIC_MASK(t)) == 0)
			continue;
		put_name(b, t);
		put(b, __builtin_popcountll(mask & MODERN_TOPIC_MASK(t)), 4);
		for (int p = 0; p < MODERN_PARTS; p++)
		{
			if ((mask & MODERN_BIT(t, p)) != 0)
				put(b, p, 4);
		}
	}
}

/* A name that is no topic's gives -1. */
static int
get_name(Sim *sim, Bytes *b)
{
	CoordBytes	name;

	name.len = get(sim, b, 2);
	name.data = b->data + b->at;
	b->at += name.len;
	return modern_topic_number(name);
}

static uint64
get_partitions(Sim *sim, Bytes *b)
{
	uint64		mask = 0;
	int			n = get(sim, b, 4);

	for (int i = 0; i < n; i++)
	{
		int			topic = get_name(sim, b);
		int			m = get(sim, b, 4);

		for (int j = 0; j < m; j++)
			mask |= MODERN_BIT(topic, get(sim, b, 4));
	}
	return mask;
}

static Bytes
subscription_make(const Modern *me, int version)
{
	Bytes		b = {.len = 0};

	put(&b, version, 2);
	put(&b, __builtin_popcount(me->topics), 4);
	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if ((me->topics & (1 << t)) != 0)
			put_name(&b, t);
	}
	put(&b, -1, 4);
	if (version >= 1)
		put_partitions(&b, me->owned);
	if (version >= 2)
		put(&b, me->epoch, 4);
	if (version >= 3)
		put(&b, -1, 2);
	return b;
}

static Subscription
subscription_read(Sim *sim, CoordBytes metadata)
{
	Bytes		b = bytes_of(sim, metadata);
	Subscription s = {.generation = -1};
	int			version = get(sim, &b, 2);
	int			n = get(sim, &b, 4);

	for (int i = 0; i < n; i++)
		s.topics |= 1 << get_name(sim, &b);
	(void) get(sim, &b, 4);
	if (version >= 1)
		s.owned = get_partitions(sim, &b);
	if (version >= 2)
		s.generation = get(sim, &b, 4);
	return s;
}

static uint64
assignment_read(Sim *sim, CoordBytes assignment)
{
	Bytes		b = bytes_of(sim, assignment);

	if (assignment.len <= 0)
		return 0;
	(void) get(sim, &b, 2);
	return get_partitions(sim, &b);
}

void
modern_classic_join(Sim *sim, Modern *me)
{
	SimRequest *request;
	CoordJoin  *join;
	CoordProtocol *protocols;
	Bytes		subscription;
	int			n = 0;

	/* who is eager gives everything up first, and commits what it has done */
	if (me->mode != MODERN_COOPERATIVE && me->owned != 0)
	{
		if (sim_chance(sim, 700))
			modern_commit(sim, me);
		me->owned = 0;
	}
	subscription = subscription_make(me, me->mode == MODERN_EAGER ? sim_below(sim, 4) : 2 + sim_below(sim, 2));
	request = modern_request(sim, me, COORD_EV_JOIN, me->version);
	join = &request->event.u.join;
	protocols = sim_request_piece(request, 2 * sizeof(CoordProtocol));
	if (me->mode != MODERN_EAGER)
		protocols[n++].name = sim_string("cooperative-sticky");
	if (me->mode != MODERN_COOPERATIVE)
		protocols[n++].name = sim_string("range");
	for (int i = 0; i < n; i++)
		protocols[i].metadata = sim_request_bytes(request, subscription.data, subscription.len);
	*join = (CoordJoin)
	{
		.session_timeout_ms = me->session_timeout_ms,.rebalance_timeout_ms = me->rebalance_timeout_ms,
			.protocol_type = sim_string("consumer"),.nprotocols = n,.protocols = protocols,.reason = COORD_NULL_BYTES
	};
	me->resubscribed = false;
	me->phase = MODERN_JOINING;
	me->asked = sim_send_ordered(sim, request);
	me->patience = sim->now + me->rebalance_timeout_ms + 5000;
	modern_plan(sim, me);
}

/* A leader that hears of other topics asks for a new assignment. */
void
modern_classic_wake(Sim *sim, Modern *me)
{
	if (me->phase == MODERN_WORKING && me->leads && me->topics_seen != modern_topics_digest(sim))
	{
		modern_rejoin(sim, me, 10);
		return;
	}
	if (me->phase == MODERN_WORKING && me->asked == 0 && sim->now >= me->heartbeat_at)
	{
		me->asked = sim_send_ordered(sim, modern_request(sim, me, COORD_EV_HEARTBEAT, 4));
		me->patience = sim->now + 30000;
		me->heartbeat_at = sim->now + me->session_timeout_ms / 3;
	}
	modern_plan(sim, me);
}

/*
 * The leader's work: each partition goes to a member that subscribes to it, to the one with the
 * fewest; a cooperative one leaves members what they have, and gives nobody what another one may
 * still hold.
 */
static void
assign(Sim *sim, const CoordJoinReply *join, uint64 *assigned)
{
	Subscription s[64];
	int			owner[SIM_PARTITIONS_MAX];
	bool		cooperative = sim_same(join->protocol_name, "cooperative-sticky");

	Assert(join->nmembers <= (int) lengthof(s));
	for (int i = 0; i < join->nmembers; i++)
	{
		s[i] = subscription_read(sim, join->members[i].metadata);
		assigned[i] = 0;
	}
	for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
	{
		int			topic = p / MODERN_PARTS;
		uint64		bit = UINT64CONST(1) << p;
		int			best = -1;

		owner[p] = -1;
		for (int i = 0; i < join->nmembers; i++)
		{
			if (cooperative && (s[i].owned & bit) != 0 && (owner[p] < 0 || s[owner[p]].generation < s[i].generation))
				owner[p] = i;
		}
		if ((modern_topic_partitions(sim, topic) & bit) == 0)
			continue;
		for (int i = 0; i < join->nmembers; i++)
		{
			if ((s[i].topics & (1 << topic)) != 0 &&
				(best < 0 || __builtin_popcountll(assigned[i]) < __builtin_popcountll(assigned[best])))
				best = i;
		}
		/* it stays where it is, unless that is unfair: then it is taken, and given in the next round */
		if (owner[p] >= 0 && (s[owner[p]].topics & (1 << topic)) != 0 &&
			__builtin_popcountll(assigned[owner[p]]) <= __builtin_popcountll(assigned[best]) + 1)
			assigned[owner[p]] |= bit;
		else if (owner[p] < 0 && best >= 0)
			assigned[best] |= bit;
	}
}

static void
sync_send(Sim *sim, Modern *me, const CoordJoinReply *join)
{
	SimRequest *request = modern_request(sim, me, COORD_EV_SYNC, 5);
	CoordSync  *sync = &request->event.u.sync;

	sync->protocol_type = sim_request_bytes(request, join->protocol_type.data, join->protocol_type.len);
	sync->protocol_name = sim_request_bytes(request, join->protocol_name.data, join->protocol_name.len);
	me->leads = sim_same(join->leader, me->member_id) && join->nmembers > 0;
	me->topics_seen = modern_topics_digest(sim);
	if (me->leads && !join->skip_assignment)
	{
		uint64		assigned[64];
		CoordSyncAssignment *assignments = sim_request_piece(request, join->nmembers * sizeof(CoordSyncAssignment));

		assign(sim, join, assigned);
		for (int i = 0; i < join->nmembers; i++)
		{
			Bytes		b = {.len = 0};

			put(&b, 1, 2);
			put_partitions(&b, assigned[i]);
			put(&b, -1, 4);
			assignments[i].member_id = sim_request_bytes(request, join->members[i].member_id.data,
														 join->members[i].member_id.len);
			assignments[i].assignment = sim_request_bytes(request, b.data, b.len);
		}
		sync->assignments = assignments;
		sync->nassignments = join->nmembers;
	}
	me->phase = MODERN_SYNCING;
	me->asked = sim_send_ordered(sim, request);
	me->patience = sim->now + me->rebalance_timeout_ms + 5000;
	modern_plan(sim, me);
}

static void
synced(Sim *sim, Modern *me, const CoordSyncReply *sync)
{
	uint64		assigned = assignment_read(sim, sync->assignment);
	uint64		revoked = me->owned & ~assigned;

	for (int t = 0; t < SIM_TOPICS; t++)
		me->incarnation[t] = me->answered[t];
	me->owned &= assigned;
	modern_work_on(sim, me, assigned);
	me->phase = MODERN_WORKING;
	me->heartbeat_at = sim->now + me->session_timeout_ms / 3;
	me->commit_at = sim->now + sim_below(sim, 5000);
	/* what it gave up others may have only after it has said so */
	if ((me->mode == MODERN_COOPERATIVE && revoked != 0) || me->resubscribed)
		modern_rejoin(sim, me, 10);
	else
		modern_plan(sim, me);
}

void
modern_classic_answer(Sim *sim, Modern *me, const SimRequest *request, const CoordReply *reply)
{
	if (request->id != me->asked)
		return;
	me->asked = 0;
	if (reply->error == COORD_MEMBER_ID_REQUIRED && reply->type == COORD_EV_JOIN)
	{
		if (me->version < 4 || me->is_static)
			sim_fail(sim, "an id is required of a client that does not know that");
		sim_keep(me->member_id, sizeof(me->member_id), reply->u.join.member_id);
		modern_rejoin(sim, me, 10);
	}
	else if (reply->error != COORD_NONE)
		modern_error(sim, me, reply->error);
	else if (reply->type == COORD_EV_JOIN)
	{
		sim_keep(me->member_id, sizeof(me->member_id), reply->u.join.member_id);
		me->epoch = reply->u.join.generation;
		sync_send(sim, me, &reply->u.join);
	}
	else if (reply->type == COORD_EV_SYNC)
		synced(sim, me, &reply->u.sync);
	else
		modern_plan(sim, me);
}

void
modern_classic_leave(Sim *sim, Modern *me)
{
	SimRequest *request = modern_request(sim, me, COORD_EV_LEAVE, 4);
	CoordLeaveMember *member = sim_request_piece(request, sizeof(CoordLeaveMember));

	member->member_id = request->event.member_id;
	member->group_instance_id = request->event.group_instance_id;
	member->reason = COORD_NULL_BYTES;
	request->event.u.leave = (CoordLeave) {1, member};
	sim_send_ordered(sim, request);
}
