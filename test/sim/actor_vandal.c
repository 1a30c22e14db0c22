/*-------------------------------------------------------------------------
 *
 * actor_vandal.c
 *	  Somebody who sends whatever comes to his mind, to groups that nobody else uses.
 *
 * No answer to that is checked: the coordinator must keep its own invariants (coord_verify, Asserts, sanitizers),
 * answer each request once, harm no other group, and forget it all in the end.  Ids and
 * generations are those that he has heard of, or are made up, so that a part of it makes sense.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define IDS 8

typedef struct Vandal
{
	SimActor	actor;
	bool		stopped;
	char		ids[IDS][400];
	int32		generation;
} Vandal;

static const char *const names[] = {"", "a", "range", "uniform", "consumer", "instance1", "instance2", "t0", "*", "\xff\xfe"};

/* A string of the list, null now and then. */
static CoordBytes
any_name(Sim *sim)
{
	return sim_chance(sim, 150) ? COORD_NULL_BYTES : sim_string(names[sim_below(sim, lengthof(names))]);
}

static CoordBytes
any_id(Sim *sim, Vandal *me, SimRequest *request)
{
	const char *id = me->ids[sim_below(sim, IDS)];

	if (sim_chance(sim, 100))
		return any_name(sim);
	return sim_request_bytes(request, id, strlen(id));
}

/* A name of a group that no other actor has. */
static CoordBytes
any_group(Sim *sim)
{
	static const char *const groups[] = {"vandal1", "vandal2", "vandal3"};

	if (sim_chance(sim, 30))
		return sim_chance(sim, 500) ? COORD_NULL_BYTES : sim_string("");
	return sim_string(groups[sim_below(sim, lengthof(groups))]);
}

static int32
any_number(Sim *sim, int usual)
{
	switch (sim_below(sim, 50))
	{
		case 0:
			return PG_INT32_MIN;
		case 1:
			return PG_INT32_MAX;
		case 2:
			return -1 - sim_below(sim, 3);
		case 3:
			return 0;
		default:
			return usual;
	}
}

/* Bytes of any kind, or a subscription that begins well. */
static CoordBytes
any_bytes(Sim *sim, SimRequest *request)
{
	uint8		bytes[40];
	int			len = sim_below(sim, sizeof(bytes) + 1);

	for (int i = 0; i < len; i++)
		bytes[i] = sim_chance(sim, 700) ? sim_below(sim, 3) : sim_below(sim, 256);
	return sim_chance(sim, 50) ? COORD_NULL_BYTES : sim_request_bytes(request, bytes, len);
}

static void
make_join(Sim *sim, Vandal *me, SimRequest *request)
{
	CoordJoin  *join = &request->event.u.join;
	int			n = sim_below(sim, 5);
	CoordProtocol *protocols = sim_request_piece(request, n * sizeof(CoordProtocol));

	for (int i = 0; i < n; i++)
		protocols[i] = (CoordProtocol) {any_name(sim), any_bytes(sim, request)};
	join->session_timeout_ms = any_number(sim, 6000 + sim_below(sim, 60000));
	/* not for ever: in the end all must be forgotten */
	join->rebalance_timeout_ms = Min(any_number(sim, sim_below(sim, 60000)), 60000);
	join->protocol_type = sim_chance(sim, 800) ? sim_string("consumer") : any_name(sim);
	join->nprotocols = n;
	join->protocols = protocols;
	join->reason = any_name(sim);
}

static void
make_sync(Sim *sim, Vandal *me, SimRequest *request)
{
	CoordSync  *sync = &request->event.u.sync;
	int			n = sim_below(sim, 6);
	CoordSyncAssignment *assignments = sim_request_piece(request, n * sizeof(CoordSyncAssignment));

	for (int i = 0; i < n; i++)
		assignments[i] = (CoordSyncAssignment) {any_id(sim, me, request), any_bytes(sim, request)};
	sync->protocol_type = sim_chance(sim, 500) ? COORD_NULL_BYTES : any_name(sim);
	sync->protocol_name = sim_chance(sim, 500) ? COORD_NULL_BYTES : any_name(sim);
	sync->nassignments = n;
	sync->assignments = assignments;
}

static void
make_leave(Sim *sim, Vandal *me, SimRequest *request)
{
	int			n = sim_below(sim, 5);
	CoordLeaveMember *members = sim_request_piece(request, n * sizeof(CoordLeaveMember));

	for (int i = 0; i < n; i++)
		members[i] = (CoordLeaveMember) {any_id(sim, me, request), any_name(sim), any_name(sim)};
	request->event.u.leave = (CoordLeave) {n, members};
}

static void
make_consumer(Sim *sim, Vandal *me, SimRequest *request)
{
	CoordConsumerHeartbeat *consumer = &request->event.u.consumer;
	int			nsubscribed = sim_below(sim, 5) - 1;
	int			nowned = sim_below(sim, 4) - 1;
	CoordBytes *subscribed = sim_request_piece(request, Max(nsubscribed, 0) * sizeof(CoordBytes));
	CoordTopicPartitions *owned = sim_request_piece(request, Max(nowned, 0) * sizeof(CoordTopicPartitions));

	for (int i = 0; i < nsubscribed; i++)
		subscribed[i] = sim_string(names[sim_below(sim, lengthof(names))]);
	for (int i = 0; i < nowned; i++)
	{
		int32	   *partitions = sim_request_piece(request, 2 * sizeof(int32));

		memset(&owned[i], 0, sizeof(owned[i]));
		owned[i].topic_id.data[15] = sim_below(sim, 4);
		owned[i].topic_name = COORD_NULL_BYTES;
		partitions[0] = any_number(sim, sim_below(sim, 10));
		partitions[1] = any_number(sim, sim_below(sim, 10));
		owned[i].npartitions = sim_below(sim, 3);
		owned[i].partitions = partitions;
	}
	if (sim_chance(sim, 600))
	{
		/* one that is well-formed, or nearly */
		bool		joins = sim_chance(sim, 600);

		request->event.generation = joins ? 0 : sim_chance(sim, 800) ? me->generation : -1 - sim_below(sim, 2);
		request->event.group_instance_id = sim_chance(sim, 300) ? sim_string("instance1") : COORD_NULL_BYTES;
		consumer->rack_id = consumer->subscribed_topic_regex = consumer->server_assignor = COORD_NULL_BYTES;
		consumer->rebalance_timeout_ms = joins ? 1 + sim_below(sim, 60000) : -1;
		consumer->nsubscribed = Max(nsubscribed, joins ? 0 : -1);
		consumer->subscribed_topic_names = subscribed;
		consumer->nowned = joins ? 0 : nowned;
		consumer->owned = owned;
		return;
	}
	consumer->rack_id = any_name(sim);
	consumer->rebalance_timeout_ms = Min(any_number(sim, sim_below(sim, 60000)), 60000);
	consumer->nsubscribed = nsubscribed;
	consumer->subscribed_topic_names = subscribed;
	consumer->subscribed_topic_regex = sim_chance(sim, 700) ? COORD_NULL_BYTES : any_name(sim);
	consumer->server_assignor = sim_chance(sim, 500) ? COORD_NULL_BYTES : any_name(sim);
	consumer->nowned = nowned;
	consumer->owned = owned;
}

static void
wake(Sim *sim, SimActor *actor)
{
	static const CoordEventType types[] = {COORD_EV_JOIN, COORD_EV_JOIN, COORD_EV_SYNC, COORD_EV_HEARTBEAT, COORD_EV_LEAVE,
	COORD_EV_CONSUMER_HEARTBEAT, COORD_EV_CONSUMER_HEARTBEAT, COORD_EV_COMMIT, COORD_EV_FETCH, COORD_EV_DELETE};
	Vandal	   *me = (Vandal *) actor;
	SimRequest *request;

	if (me->stopped || sim->calm)
		return;
	request = sim_request(sim, actor, types[sim_below(sim, lengthof(types))], sim_below(sim, 12));
	request->group = -1;
	request->event.group_id = any_group(sim);
	request->event.member_id = sim_chance(sim, 300) ? sim_string("") : any_id(sim, me, request);
	request->event.group_instance_id = sim_chance(sim, 700) ? COORD_NULL_BYTES : any_name(sim);
	request->event.generation = any_number(sim, me->generation + sim_below(sim, 3) - 1);
	if (request->event.type == COORD_EV_JOIN)
		make_join(sim, me, request);
	else if (request->event.type == COORD_EV_SYNC)
		make_sync(sim, me, request);
	else if (request->event.type == COORD_EV_LEAVE)
		make_leave(sim, me, request);
	else if (request->event.type == COORD_EV_CONSUMER_HEARTBEAT)
		make_consumer(sim, me, request);
	else if (request->event.type == COORD_EV_COMMIT)
		request->event.u.commit.transactional = sim_chance(sim, 300);
	sim_send(sim, request);
	sim_wake_at(sim, actor, sim->now + sim_below(sim, sim_chance(sim, 100) ? 20000 : 300));
}

/* Learns ids. */
static void
answer(Sim *sim, SimActor *actor, const SimRequest *request, const CoordReply *reply)
{
	Vandal	   *me = (Vandal *) actor;

	if (reply->type == COORD_EV_JOIN && reply->u.join.member_id.len > 0)
	{
		sim_keep(me->ids[sim_below(sim, IDS)], sizeof(me->ids[0]), reply->u.join.member_id);
		if (reply->error == COORD_NONE)
			me->generation = reply->u.join.generation;
	}
	if (reply->type == COORD_EV_CONSUMER_HEARTBEAT && reply->error == COORD_NONE)
	{
		sim_keep(me->ids[sim_below(sim, IDS)], sizeof(me->ids[0]), reply->u.consumer.member_id);
		me->generation = reply->u.consumer.member_epoch;
	}
}

static void
nothing(Sim *sim, SimActor *actor)
{
}

static void
stop(Sim *sim, SimActor *actor)
{
	((Vandal *) actor)->stopped = true;
}

static bool
settled(Sim *sim, SimActor *actor)
{
	return true;
}

static const SimActorOps ops = {
	.name = "vandal",
	.wake = wake,
	.answer = answer,
	.hangup = nothing,
	.fault = nothing,
	.calm = nothing,
	.settled = settled,
	.stop = stop,
};

SimActor *
sim_actor_vandal(Sim *sim)
{
	Vandal	   *me = pg_malloc0(sizeof(Vandal));

	me->actor.ops = &ops;
	return &me->actor;
}
