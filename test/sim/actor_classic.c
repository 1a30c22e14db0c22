/*-------------------------------------------------------------------------
 *
 * actor_classic.c
 *	  A consumer that speaks the classic protocol, as clients do.
 *
 * It joins, leads when told to, works on what it gets, sends heartbeats, commits, and joins again when
 * it must.  It comes in three modes: eager (gives everything up before it joins),
 * cooperative (keeps what it has until it is told that it has it no more, KIP-429), and in between, when a group
 * moves from one to the other: it supports both and behaves eagerly.
 *
 * A subscription says what the member works on and since which generation; an assignment is a
 * set of partitions.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

typedef enum Phase
{
	DOWN,						/* not running */
	APART,						/* wants to join */
	JOINING,					/* asked to */
	SYNCING,					/* asked for its assignment */
	WORKING
} Phase;

typedef enum Mode
{
	EAGER,
	BOTH,
	COOPERATIVE
} Mode;

/* What a member tells the leader. */
typedef struct Subscription
{
	uint64		owned;
	int32		generation;
	int32		tag;			/* of no meaning; changes it */
} Subscription;

typedef struct Consumer
{
	SimActor	actor;
	Phase		phase;
	Mode		mode;
	int			version;
	bool		is_static;
	bool		heartbeats_waiting; /* sends heartbeats while it waits, as some do */
	char		instance[32];
	char		member_id[400];
	int32		generation;
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;
	int32		tag;
	uint64		owned;
	int64		positions[SIM_PARTITIONS_MAX];
	uint64		asked;			/* id of the JoinGroup or SyncGroup that it waits for */
	int64		patience;		/* until when */
	int64		act_at;			/* APART: when to join; DOWN: when to start */
	int64		heartbeat_at;
	int64		commit_at;
	int64		paused_until;
} Consumer;

static void join_send(Sim *sim, Consumer *me);

/* Asks to be woken at the next thing to do. */
static void
plan(Sim *sim, Consumer *me)
{
	int64		at = PG_INT64_MAX;

	switch (me->phase)
	{
		case DOWN:
		case APART:
			at = me->act_at;
			break;
		case JOINING:
		case SYNCING:
			at = me->patience;
			if (me->heartbeats_waiting)
				at = Min(at, me->heartbeat_at);
			break;
		case WORKING:
			at = Min(me->heartbeat_at, me->commit_at);
			break;
	}
	if (at == PG_INT64_MAX)
		me->actor.wake_at = PG_INT64_MAX;
	else
		sim_wake_at(sim, &me->actor, Max(at, me->paused_until));
}

/* A request in its name. */
static SimRequest *
request_new(Sim *sim, Consumer *me, CoordEventType type, int version)
{
	SimRequest *request = sim_request(sim, &me->actor, type, version);

	request->event.member_id = sim_request_bytes(request, me->member_id, strlen(me->member_id));
	if (me->is_static)
		request->event.group_instance_id = sim_request_bytes(request, me->instance, strlen(me->instance));
	request->event.generation = me->generation;
	return request;
}

/* It is no member any more, as far as it knows: what it worked on is lost to it. */
static void
lose_all(Sim *sim, Consumer *me, bool forget_id)
{
	me->owned = 0;
	me->generation = -1;
	if (forget_id)
		me->member_id[0] = '\0';
}

static void
rejoin_after(Sim *sim, Consumer *me, int ms)
{
	me->phase = APART;
	me->act_at = sim->now + sim_below(sim, Max(ms, 1));
	plan(sim, me);
}

static void
go_down(Sim *sim, Consumer *me, int64 until)
{
	me->phase = DOWN;
	me->actor.life++;
	lose_all(sim, me, true);
	me->act_at = until;
	me->paused_until = 0;
	plan(sim, me);
}

static void
commit_send(Sim *sim, Consumer *me)
{
	SimRequest *request = request_new(sim, me, COORD_EV_COMMIT, 2 + sim_below(sim, 8));

	request->event.u.commit.transactional = false;
	request->partitions = me->owned;
	for (int p = 0; p < sim->group[me->actor.group].npartitions; p++)
	{
		if ((me->owned & (UINT64CONST(1) << p)) != 0)
			me->positions[p] += sim_below(sim, 100);
		request->offsets[p] = me->positions[p];
	}
	sim_send(sim, request);
}

static void
heartbeat_send(Sim *sim, Consumer *me)
{
	sim_send(sim, request_new(sim, me, COORD_EV_HEARTBEAT, 4));
	me->heartbeat_at = sim->now + me->session_timeout_ms / 3;
}

static void
join_send(Sim *sim, Consumer *me)
{
	SimRequest *request;
	CoordJoin  *join;
	CoordProtocol *protocols;
	Subscription subscription = {me->owned, me->generation, me->tag};
	int			n = 0;

	/* who is eager gives everything up first, and commits what it has done */
	if (me->mode != COOPERATIVE && me->owned != 0)
	{
		if (sim_chance(sim, 700))
			commit_send(sim, me);
		me->owned = 0;
		subscription.owned = 0;
	}
	request = request_new(sim, me, COORD_EV_JOIN, me->version);
	join = &request->event.u.join;
	protocols = sim_request_piece(request, 2 * sizeof(CoordProtocol));
	if (me->mode != EAGER)
		protocols[n++].name = sim_string("cooperative");
	if (me->mode != COOPERATIVE)
		protocols[n++].name = sim_string("eager");
	for (int i = 0; i < n; i++)
		protocols[i].metadata = sim_request_bytes(request, &subscription, sizeof(subscription));
	join->session_timeout_ms = me->session_timeout_ms;
	join->rebalance_timeout_ms = me->rebalance_timeout_ms;
	join->protocol_type = sim_string("consumer");
	join->nprotocols = n;
	join->protocols = protocols;
	join->reason = COORD_NULL_BYTES;
	me->phase = JOINING;
	me->asked = sim_send(sim, request);
	me->patience = sim->now + me->rebalance_timeout_ms + 5000;
	me->heartbeat_at = sim->now + me->session_timeout_ms / 3;
	plan(sim, me);
}

static int
bits(uint64 mask)
{
	return __builtin_popcountll(mask);
}

/*
 * The leader's work: all get about the same number.  A cooperative one lets members keep what
 * they have as far as it is their share, and gives nobody what another one may still hold.
 */
static void
assign(Sim *sim, Consumer *me, const CoordJoinReply *join, uint64 *assigned)
{
	int			npartitions = sim->group[me->actor.group].npartitions;
	bool		cooperative = sim_same(join->protocol_name, "cooperative");
	uint64		claimed = 0;
	int			n = join->nmembers;
	uint64		owned[64] = {0};
	int			order[64];

	Assert(n <= lengthof(owned));
	for (int i = 0; i < n; i++)
	{
		Subscription subscription;

		memcpy(&subscription, join->members[i].metadata.data, sizeof(subscription));
		/* an eager leader keeps nobody where he was */
		order[i] = cooperative ? i : (i + join->generation) % n;
		assigned[i] = 0;
		/* claims of who was not in the last generation are worth nothing (KIP-792) */
		if (!cooperative || subscription.generation != join->generation - 1)
			continue;
		owned[i] = subscription.owned;
		if ((claimed & owned[i]) != 0)
			sim_fail(sim, "two members claim partitions %llx", (unsigned long long) (claimed & owned[i]));
		claimed |= owned[i];
	}
	/* those who have most get the odd ones */
	for (int i = 1; i < n; i++)
	{
		for (int j = i; j > 0 && bits(owned[order[j]]) > bits(owned[order[j - 1]]); j--)
		{
			int			swap = order[j];

			order[j] = order[j - 1];
			order[j - 1] = swap;
		}
	}
	for (int i = 0; i < n; i++)
	{
		int			share = npartitions / n + (i < npartitions % n);

		for (int p = 0; p < npartitions; p++)
		{
			uint64		bit = UINT64CONST(1) << p;

			if ((owned[order[i]] & bit) != 0 && bits(assigned[order[i]]) < share)
				assigned[order[i]] |= bit;
		}
		for (int p = 0; p < npartitions; p++)
		{
			uint64		bit = UINT64CONST(1) << p;

			if ((claimed & bit) == 0 && bits(assigned[order[i]]) < share)
			{
				assigned[order[i]] |= bit;
				claimed |= bit;
			}
		}
	}
}

static void
sync_send(Sim *sim, Consumer *me, const CoordJoinReply *join)
{
	SimRequest *request = request_new(sim, me, COORD_EV_SYNC, 5);
	CoordSync  *sync = &request->event.u.sync;

	sync->protocol_type = sim_request_bytes(request, join->protocol_type.data, join->protocol_type.len);
	sync->protocol_name = sim_request_bytes(request, join->protocol_name.data, join->protocol_name.len);
	if (sim_same(join->leader, me->member_id) && !join->skip_assignment)
	{
		uint64		assigned[64];
		CoordSyncAssignment *assignments = sim_request_piece(request, join->nmembers * sizeof(CoordSyncAssignment));
		int			n = 0;

		if (join->nmembers == 0)
			sim_fail(sim, "%s leads, and does not know whom", me->member_id);
		assign(sim, me, join, assigned);
		for (int i = 0; i < join->nmembers; i++)
		{
			/* who gets nothing may be left out */
			if (assigned[i] == 0 && sim_chance(sim, 500))
				continue;
			assignments[n].member_id = sim_request_bytes(request, join->members[i].member_id.data, join->members[i].member_id.len);
			assignments[n++].assignment = sim_request_bytes(request, &assigned[i], sizeof(uint64));
		}
		sync->assignments = assignments;
		sync->nassignments = n;
	}
	me->phase = SYNCING;
	if (sim->calm || !sim_chance(sim, 3 * sim->loss))
		me->asked = sim_send(sim, request);
	else
	{
		/* it hangs, before it can send that */
		me->asked = 0;
		request->refs++;
		sim_request_release(request);
	}
	me->patience = sim->now + me->rebalance_timeout_ms + (sim->calm ? 5000 : sim_below(sim, 60000));
	plan(sim, me);
}

/* Errors that any request may be answered with.  "fatal": the client cannot go on. */
static void
error_take(Sim *sim, Consumer *me, CoordError error)
{
	switch (error)
	{
		case COORD_UNKNOWN_MEMBER_ID:
			lose_all(sim, me, true);
			rejoin_after(sim, me, 100);
			break;
		case COORD_ILLEGAL_GENERATION:
			lose_all(sim, me, false);
			rejoin_after(sim, me, 100);
			break;
		case COORD_FENCED_INSTANCE_ID:
			/* another one has its name: the application ends */
			go_down(sim, me, PG_INT64_MAX);
			break;
		case COORD_GROUP_MAX_SIZE_REACHED:
			lose_all(sim, me, true);
			rejoin_after(sim, me, 20000);
			break;
		case COORD_INCONSISTENT_GROUP_PROTOCOL:
			lose_all(sim, me, false);
			me->mode = BOTH;
			rejoin_after(sim, me, 5000);
			break;
		case COORD_REBALANCE_IN_PROGRESS:
			rejoin_after(sim, me, 100);
			break;
		case COORD_COORDINATOR_NOT_AVAILABLE:
		case COORD_NOT_COORDINATOR:
			rejoin_after(sim, me, 2000);
			break;
		default:
			sim_fail(sim, "%s gets error %d", me->member_id, error);
	}
}

static void
join_answered(Sim *sim, Consumer *me, const CoordReply *reply)
{
	const CoordJoinReply *join = &reply->u.join;

	if (reply->error == COORD_MEMBER_ID_REQUIRED)
	{
		if (me->version < 4 || me->is_static)
			sim_fail(sim, "an id is required of a client that does not know that");
		sim_keep(me->member_id, sizeof(me->member_id), join->member_id);
		rejoin_after(sim, me, 10);
	}
	else if (reply->error != COORD_NONE)
		error_take(sim, me, reply->error);
	else
	{
		sim_keep(me->member_id, sizeof(me->member_id), join->member_id);
		/* the same for what it has itself: others may have had it meanwhile */
		if (me->generation != join->generation - 1 && me->generation != join->generation)
			me->owned = 0;
		me->generation = join->generation;
		sync_send(sim, me, join);
		if (me->owned != 0 && sim_chance(sim, 200))
			commit_send(sim, me);
	}
}

static void
sync_answered(Sim *sim, Consumer *me, const CoordReply *reply)
{
	uint64		assigned = 0;
	uint64		revoked;

	if (reply->error != COORD_NONE)
	{
		error_take(sim, me, reply->error);
		return;
	}
	if (reply->u.sync.assignment.len == sizeof(assigned))
		memcpy(&assigned, reply->u.sync.assignment.data, sizeof(assigned));
	revoked = me->owned & ~assigned;
	/* new ones: it goes on where the last one has committed */
	for (int p = 0; p < sim->group[me->actor.group].npartitions; p++)
	{
		if ((assigned & ~me->owned & (UINT64CONST(1) << p)) != 0)
			me->positions[p] = sim->group[me->actor.group].committed[p];
	}
	me->owned = assigned;
	me->phase = WORKING;
	me->heartbeat_at = sim->now + me->session_timeout_ms / 3;
	me->commit_at = sim->now + sim_below(sim, 5000);
	/* what it gave up others may have only after another rebalance */
	if (me->mode == COOPERATIVE && revoked != 0)
		rejoin_after(sim, me, 10);
	else
		plan(sim, me);
}

static void
answer(Sim *sim, SimActor *actor, const SimRequest *request, const CoordReply *reply)
{
	Consumer   *me = (Consumer *) actor;

	if (me->phase == DOWN)
		return;
	if (reply->type == COORD_EV_JOIN || reply->type == COORD_EV_SYNC)
	{
		if (request->id != me->asked)
			return;
		me->asked = 0;
		if (reply->type == COORD_EV_JOIN)
			join_answered(sim, me, reply);
		else
			sync_answered(sim, me, reply);
		return;
	}
	/* about heartbeats and commits: only if nothing has happened since */
	if (reply->error == COORD_NONE || me->phase != WORKING ||
		request->event.generation != me->generation || !sim_same(request->event.member_id, me->member_id))
		return;
	if (reply->type == COORD_EV_COMMIT && reply->error == COORD_COORDINATOR_NOT_AVAILABLE)
		return;
	error_take(sim, me, reply->error);
}

static void
hangup(Sim *sim, SimActor *actor)
{
	Consumer   *me = (Consumer *) actor;

	if (me->phase == JOINING || me->phase == SYNCING)
	{
		me->asked = 0;
		rejoin_after(sim, me, 500);
	}
}

static void
start(Sim *sim, Consumer *me)
{
	me->version = 3 + sim_below(sim, 7);
	if (me->is_static)
		me->version = Max(me->version, 5);
	me->session_timeout_ms = 6000 + sim_below(sim, 20000);
	me->rebalance_timeout_ms = 5000 + sim_below(sim, 40000);
	me->heartbeats_waiting = sim_chance(sim, 300);
	me->mode = sim_below(sim, 3);
	me->tag++;
	join_send(sim, me);
}

static void
wake(Sim *sim, SimActor *actor)
{
	Consumer   *me = (Consumer *) actor;

	switch (me->phase)
	{
		case DOWN:
			start(sim, me);
			return;
		case APART:
			join_send(sim, me);
			return;
		case JOINING:
		case SYNCING:
			if (sim->now >= me->patience)
			{
				sim_hangup(sim, actor);
				hangup(sim, actor);
				return;
			}
			if (me->generation >= 0)
				heartbeat_send(sim, me);
			else
				me->heartbeat_at = PG_INT64_MAX;
			/* what it keeps it works on, and may not be allowed to commit */
			if (me->phase == SYNCING && me->owned != 0 && sim_chance(sim, 500))
				commit_send(sim, me);
			break;
		case WORKING:
			if (sim->now >= me->heartbeat_at)
				heartbeat_send(sim, me);
			if (sim->now >= me->commit_at)
			{
				commit_send(sim, me);
				me->commit_at = sim->now + 1000 + sim_below(sim, 10000);
			}
			break;
	}
	plan(sim, me);
}

static void
leave_send(Sim *sim, Consumer *me)
{
	SimRequest *request = request_new(sim, me, COORD_EV_LEAVE, 4);
	CoordLeaveMember *member = sim_request_piece(request, sizeof(CoordLeaveMember));

	member->member_id = request->event.member_id;
	member->group_instance_id = request->event.group_instance_id;
	member->reason = COORD_NULL_BYTES;
	request->event.u.leave = (CoordLeave) {1, member};
	sim_send(sim, request);
}

static void
fault(Sim *sim, SimActor *actor)
{
	Consumer   *me = (Consumer *) actor;
	int			what = sim_below(sim, 10);

	if (me->phase == DOWN)
	{
		if (me->act_at == PG_INT64_MAX)
			go_down(sim, me, sim->now);
		return;
	}
	sim_trace(sim, "consumer %d (%s) has fault %d", actor->index, me->member_id, what);
	if (what == 0)
		go_down(sim, me, sim->now + sim_below(sim, 60000));
	else if (what == 1)
	{
		if (me->member_id[0] != '\0')
			leave_send(sim, me);
		go_down(sim, me, sim->now + sim_below(sim, 60000));
	}
	else if (what == 2)
	{
		/* as if the machine had stopped */
		me->paused_until = sim->now + sim_below(sim, 60000);
		plan(sim, me);
	}
	else if (what == 3)
	{
		/* its subscription changes */
		me->tag++;
		if (me->phase == WORKING)
			rejoin_after(sim, me, 10);
	}
	else if (what == 4 && me->is_static)
	{
		/* starts at once in the name of its former self, which may not have been noticed yet */
		go_down(sim, me, sim->now + sim_below(sim, 2000));
	}
	else if (what == 5 && me->phase == WORKING)
		commit_send(sim, me);
	else if (what == 6 && me->phase == WORKING)
		heartbeat_send(sim, me);
}

static void
calm(Sim *sim, SimActor *actor)
{
	Consumer   *me = (Consumer *) actor;

	me->paused_until = 0;
	if (me->phase == DOWN && me->act_at != PG_INT64_MAX && sim_chance(sim, 500))
		me->act_at = PG_INT64_MAX;
	plan(sim, me);
}

static bool
settled(Sim *sim, SimActor *actor)
{
	Consumer   *me = (Consumer *) actor;

	return me->phase == WORKING || (me->phase == DOWN && me->act_at == PG_INT64_MAX);
}

static void
stop(Sim *sim, SimActor *actor)
{
	go_down(sim, (Consumer *) actor, PG_INT64_MAX);
	actor->wake_at = PG_INT64_MAX;
}

static bool
holds(const SimActor *actor, CoordBytes *member_id, int32 *generation, uint64 *partitions)
{
	const Consumer *me = (const Consumer *) actor;

	*member_id = sim_string(me->member_id);
	*generation = me->generation;
	*partitions = me->owned;
	return me->phase != DOWN && me->generation >= 0;
}

static const SimActorOps ops = {
	.name = "consumer",
	.wake = wake,
	.answer = answer,
	.hangup = hangup,
	.fault = fault,
	.calm = calm,
	.settled = settled,
	.stop = stop,
	.holds = holds,
};

SimActor *
sim_actor_classic(Sim *sim, int group)
{
	Consumer   *me = pg_malloc0(sizeof(Consumer));

	me->actor.ops = &ops;
	me->generation = -1;
	me->phase = DOWN;
	me->is_static = sim_chance(sim, 400);
	/* few names, so that they clash at times */
	snprintf(me->instance, sizeof(me->instance), "instance%d", sim_below(sim, 12));
	return &me->actor;
}
