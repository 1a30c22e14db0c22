/*-------------------------------------------------------------------------
 *
 * actor_modern.c
 *	  A consumer that speaks the classic protocol in one life and that of KIP-848 in another.
 *
 * It is one application with a rolling upgrade: what it works on, commits and believes is here;
 * how it asks, in modern_new.c and modern_classic.c.  Its requests arrive in the order in which it sent them,
 * as those of one client do.
 *
 * Siblings: modern.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "modern.h"

/* Asks to be woken at the next thing to do. */
void
modern_plan(Sim *sim, Modern *me)
{
	int64		at = PG_INT64_MAX;

	switch (me->phase)
	{
		case MODERN_DOWN:
		case MODERN_APART:
			at = me->act_at;
			break;
		case MODERN_JOINING:
		case MODERN_SYNCING:
			at = me->patience;
			break;
		case MODERN_WORKING:
			at = Min(me->heartbeat_at, me->commit_at);
			if (me->asked != 0)
				at = Min(me->patience, me->commit_at);
			if (me->revoking)
				at = Min(at, me->revoked_at);
			break;
	}
	if (at == PG_INT64_MAX)
		me->actor.wake_at = PG_INT64_MAX;
	else
		sim_wake_at(sim, &me->actor, Max(at, me->paused_until));
}

/* A request in its name. */
SimRequest *
modern_request(Sim *sim, Modern *me, CoordEventType type, int version)
{
	SimRequest *request = sim_request(sim, &me->actor, type, version);

	request->event.member_id = sim_request_bytes(request, me->member_id, strlen(me->member_id));
	if (me->is_static)
		request->event.group_instance_id = sim_request_bytes(request, me->instance, strlen(me->instance));
	request->event.generation = me->epoch;
	return request;
}

/* It is no member any more, as far as it knows: what it worked on is lost to it. */
void
modern_lose_all(Modern *me, bool forget_id)
{
	me->owned = 0;
	me->target = 0;
	me->revoking = false;
	me->asked = 0;
	me->epoch = me->classic ? -1 : 0;
	if (forget_id)
		me->member_id[0] = '\0';
}

void
modern_rejoin(Sim *sim, Modern *me, int ms)
{
	me->phase = MODERN_APART;
	me->asked = 0;
	me->act_at = sim->now + sim_below(sim, Max(ms, 1));
	modern_plan(sim, me);
}

void
modern_go_down(Sim *sim, Modern *me, int64 until)
{
	me->phase = MODERN_DOWN;
	me->actor.life++;
	modern_lose_all(me, true);
	me->act_at = until;
	me->paused_until = 0;
	modern_plan(sim, me);
}

void
modern_commit(Sim *sim, Modern *me)
{
	SimRequest *request = modern_request(sim, me, COORD_EV_COMMIT, 9);

	if (me->owned == 0 || me->epoch <= 0)
	{
		sim_send_discard(request);
		return;
	}
	request->partitions = modern_held(sim, me);
	for (int t = 0; t < SIM_TOPICS; t++)
		request->incarnation[t] = sim->topics[t].incarnation;
	for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
	{
		if ((me->owned & (UINT64CONST(1) << p)) != 0)
			me->positions[p] += sim_below(sim, 100);
		request->offsets[p] = me->positions[p];
	}
	sim_send_ordered(sim, request);
}

/* From now on it works on these: on new ones from where the last owner has committed. */
void
modern_work_on(Sim *sim, Modern *me, uint64 partitions)
{
	for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
	{
		if ((partitions & ~me->owned & (UINT64CONST(1) << p)) != 0)
			me->positions[p] = sim->group[me->actor.group].committed[p];
	}
	me->owned = partitions;
}

/* Errors that any request may be answered with. */
void
modern_error(Sim *sim, Modern *me, CoordError error)
{
	switch (error)
	{
		case COORD_UNKNOWN_MEMBER_ID:
		case COORD_FENCED_MEMBER_EPOCH:
			/* who makes its own id keeps it */
			modern_lose_all(me, me->classic);
			modern_rejoin(sim, me, 100);
			break;
		case COORD_ILLEGAL_GENERATION:
			modern_lose_all(me, false);
			modern_rejoin(sim, me, 100);
			break;
		case COORD_FENCED_INSTANCE_ID:
			/* another one has its name: the application ends */
			modern_go_down(sim, me, PG_INT64_MAX);
			break;
		case COORD_UNRELEASED_INSTANCE_ID:
		case COORD_GROUP_MAX_SIZE_REACHED:
		case COORD_GROUP_ID_NOT_FOUND:
			modern_lose_all(me, me->classic);
			modern_rejoin(sim, me, 20000);
			break;
		case COORD_INCONSISTENT_GROUP_PROTOCOL:
			modern_lose_all(me, false);
			me->mode = MODERN_BOTH;
			modern_rejoin(sim, me, 5000);
			break;
		case COORD_REBALANCE_IN_PROGRESS:
			modern_rejoin(sim, me, 100);
			break;
		case COORD_COORDINATOR_NOT_AVAILABLE:
		case COORD_NOT_COORDINATOR:
			modern_rejoin(sim, me, 2000);
			break;
		default:
			sim_fail(sim, "%s gets error %d", me->member_id, error);
	}
}

static void
answer(Sim *sim, SimActor *actor, const SimRequest *request, const CoordReply *reply)
{
	Modern	   *me = (Modern *) actor;

	if (me->phase == MODERN_DOWN)
		return;
	if (reply->type == COORD_EV_COMMIT)
	{
		/* an epoch that is just past: there will be another commit */
		if (reply->error == COORD_NONE || reply->error == COORD_STALE_MEMBER_EPOCH || me->phase != MODERN_WORKING ||
			request->event.generation != me->epoch || !sim_same(request->event.member_id, me->member_id) ||
			!me->classic || reply->error == COORD_COORDINATOR_NOT_AVAILABLE)
			return;
		modern_error(sim, me, reply->error);
		return;
	}
	if (reply->type == COORD_EV_LEAVE)
		return;
	if (me->classic)
		modern_classic_answer(sim, me, request, reply);
	else
		modern_new_answer(sim, me, request, reply);
}

static void
hangup(Sim *sim, SimActor *actor)
{
	Modern	   *me = (Modern *) actor;

	if (me->phase == MODERN_DOWN || me->asked == 0)
		return;
	me->asked = 0;
	me->full = true;
	if (me->phase == MODERN_WORKING)
	{
		me->heartbeat_at = sim->now + sim_below(sim, 500);
		modern_plan(sim, me);
	}
	else
		modern_rejoin(sim, me, 500);
}

static void
start(Sim *sim, Modern *me)
{
	snprintf(me->instance, sizeof(me->instance), "instance%d", me->actor.index);
	/* a rolling upgrade, or one that was taken back */
	me->classic = sim->group[me->actor.group].protocols == 1 ? false : sim_chance(sim, 500);
	me->version = me->classic ? (me->is_static ? 5 + sim_below(sim, 5) : 3 + sim_below(sim, 7)) : 1;
	me->session_timeout_ms = 6000 + sim_below(sim, 20000);
	me->rebalance_timeout_ms = 5000 + sim_below(sim, 40000);
	me->mode = sim_below(sim, 3);
	/* a static member that comes back with another subscription is not noticed by a classic group */
	if (!me->is_static || me->topics == 0)
		me->topics = 1 + sim_below(sim, (1 << SIM_TOPICS) - 1);
	me->by_regex = !me->classic && !me->is_static && sim_chance(sim, 200);
	modern_lose_all(me, true);
	if (!me->classic)
		snprintf(me->member_id, sizeof(me->member_id), "new%d-%d", me->actor.index, me->actor.life);
	if (me->classic)
		modern_classic_join(sim, me);
	else
		modern_new_join(sim, me);
}

static void
wake(Sim *sim, SimActor *actor)
{
	Modern	   *me = (Modern *) actor;

	if (me->phase == MODERN_DOWN)
		start(sim, me);
	else if (me->phase == MODERN_APART && me->classic)
		modern_classic_join(sim, me);
	else if (me->phase == MODERN_APART)
		modern_new_join(sim, me);
	else if (me->asked != 0 && sim->now >= me->patience)
	{
		sim_hangup(sim, actor);
		hangup(sim, actor);
	}
	else
	{
		if (me->phase == MODERN_WORKING && sim->now >= me->commit_at)
		{
			modern_commit(sim, me);
			me->commit_at = sim->now + 1000 + sim_below(sim, 10000);
		}
		if (me->classic)
			modern_classic_wake(sim, me);
		else
			modern_new_wake(sim, me);
	}
}

static void
fault(Sim *sim, SimActor *actor)
{
	Modern	   *me = (Modern *) actor;
	int			what = sim_below(sim, 8);

	if (me->phase == MODERN_DOWN)
	{
		if (me->act_at == PG_INT64_MAX)
			modern_go_down(sim, me, sim->now);
		return;
	}
	sim_trace(sim, "consumer %d (%s) has fault %d", actor->index, me->member_id, what);
	if (what == 0)
		modern_go_down(sim, me, sim->now + sim_below(sim, 60000));
	else if (what == 1)
	{
		if (me->member_id[0] != '\0' && me->classic)
			modern_classic_leave(sim, me);
		else if (!me->classic)
			modern_new_leave(sim, me);
		modern_go_down(sim, me, sim->now + sim_below(sim, 60000));
	}
	else if (what == 2)
	{
		/* as if the machine had stopped */
		me->paused_until = sim->now + sim_below(sim, 80000);
		modern_plan(sim, me);
	}
	else if (what == 3 && !me->is_static)
	{
		me->topics = sim_below(sim, 1 << SIM_TOPICS);
		me->by_regex = !me->classic && sim_chance(sim, 200);
		me->resubscribed = true;
		if (me->phase == MODERN_WORKING && me->classic)
			modern_rejoin(sim, me, 10);
	}
	else if (what == 4 && me->is_static)
	{
		/* starts at once in the name of its former self, which may not have been noticed yet */
		modern_go_down(sim, me, sim->now + sim_below(sim, 2000));
	}
	else if (what == 5 && me->phase == MODERN_WORKING)
		modern_commit(sim, me);
	else if (what == 6)
		sim_topics_change(sim);
}

static void
calm(Sim *sim, SimActor *actor)
{
	Modern	   *me = (Modern *) actor;

	me->paused_until = 0;
	if (me->phase == MODERN_DOWN && me->act_at != PG_INT64_MAX && sim_chance(sim, 500))
		me->act_at = PG_INT64_MAX;
	modern_plan(sim, me);
}

static bool
settled(Sim *sim, SimActor *actor)
{
	Modern	   *me = (Modern *) actor;

	return (me->phase == MODERN_WORKING && !me->revoking) || (me->phase == MODERN_DOWN && me->act_at == PG_INT64_MAX);
}

static void
stop(Sim *sim, SimActor *actor)
{
	modern_go_down(sim, (Modern *) actor, PG_INT64_MAX);
	actor->wake_at = PG_INT64_MAX;
}

static bool
holds(const SimActor *actor, CoordBytes *member_id, int32 *generation, uint64 *partitions)
{
	const Modern *me = (const Modern *) actor;

	*member_id = sim_string(me->member_id);
	*generation = me->epoch;
	*partitions = me->owned;
	return me->phase != MODERN_DOWN && me->epoch > 0;
}

static const SimActorOps ops = {
	.name = "modern consumer",
	.wake = wake,
	.answer = answer,
	.hangup = hangup,
	.fault = fault,
	.calm = calm,
	.settled = settled,
	.stop = stop,
	.holds = holds,
};

Modern *
modern_of(SimActor *actor)
{
	return actor->ops == &ops ? (Modern *) actor : NULL;
}

SimActor *
sim_actor_modern(Sim *sim, int group)
{
	Modern	   *me = pg_malloc0(sizeof(Modern));

	me->actor.ops = &ops;
	me->phase = MODERN_DOWN;
	me->act_at = sim->now;
	me->is_static = sim_chance(sim, 300);
	return &me->actor;
}
