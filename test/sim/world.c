/*-------------------------------------------------------------------------
 *
 * world.c
 *	  Time, the network, and what goes wrong: from the first client to the last timer.
 *
 * A world has three parts.  In the first, for a number of steps, faults happen.  In
 * the second there are none, and within a few minutes all actors must have settled and stay so.
 * In the third everybody vanishes, and the coordinator must forget them all and give its memory back.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define CALM_MS (15 * 60 * 1000)	/* within which all must be settled */
#define STAY_MS (30 * 1000)		/* and for how long they must stay so */
#define FORGET_MS (60 * 60 * 1000)	/* within which nothing is left of anybody */

#define NEVER (PG_INT64_MIN / 4)	/* before all times that there are */

typedef enum SimItemKind
{
	SIM_DELIVER,				/* a request arrives */
	SIM_ANSWER,					/* an answer arrives */
	SIM_WAKE,
	SIM_TICK
} SimItemKind;

typedef struct SimItem
{
	int64		at;
	uint64		seq;
	SimItemKind kind;
	void	   *what;
} SimItem;

int
sim_below(Sim *sim, int n)
{
	return n <= 1 ? 0 : (int) pg_prng_uint64_range(&sim->prng, 0, n - 1);
}

bool
sim_chance(Sim *sim, int per_mille)
{
	return sim_below(sim, 1000) < per_mille;
}

/* What the coordinator is told what time it is. */
int64
sim_coord_time(const Sim *sim)
{
	return sim->now + sim->clock_skew;
}

static bool
item_before(const SimItem *a, const SimItem *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void
item_push(Sim *sim, int64 at, SimItemKind kind, void *what)
{
	SimItem		item = {at, ++sim->item_seq, kind, what};
	int			i = sim->nitems++;

	if (sim->nitems > sim->items_cap)
	{
		sim->items_cap = Max(sim->items_cap * 2, 64);
		sim->items = pg_realloc(sim->items, sim->items_cap * sizeof(SimItem));
	}
	while (i > 0 && item_before(&item, &sim->items[(i - 1) / 2]))
	{
		sim->items[i] = sim->items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sim->items[i] = item;
}

static SimItem
item_pop(Sim *sim)
{
	SimItem		first = sim->items[0];
	SimItem		last = sim->items[--sim->nitems];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= sim->nitems)
			break;
		if (child + 1 < sim->nitems && item_before(&sim->items[child + 1], &sim->items[child]))
			child++;
		if (!item_before(&sim->items[child], &last))
			break;
		sim->items[i] = sim->items[child];
		i = child;
	}
	sim->items[i] = last;
	return first;
}

void
sim_wake_at(Sim *sim, SimActor *actor, int64 at)
{
	actor->wake_at = Max(at, sim->now);
	item_push(sim, actor->wake_at, SIM_WAKE, actor);
}

/* Mostly fast, sometimes slow. */
static int64
latency(Sim *sim)
{
	if (!sim->calm && sim_chance(sim, sim->loss))
		return sim_below(sim, 20000);
	return 1 + sim_below(sim, 30);
}

/* Whatever is under way on it may still arrive, but no answer will. */
void
sim_hangup(Sim *sim, SimActor *actor)
{
	actor->conn++;
}

static void
connection_break(Sim *sim, SimActor *actor)
{
	sim_trace(sim, "%s %d loses its connection", actor->ops->name, actor->index);
	sim_hangup(sim, actor);
	actor->ops->hangup(sim, actor);
}

uint64
sim_send(Sim *sim, SimRequest *request)
{
	request->refs++;
	item_push(sim, sim->now + latency(sim), SIM_DELIVER, request);
	if (!sim->calm && sim_chance(sim, sim->doubling))
	{
		/* sent again, as after a connection that broke behind the first */
		request->refs++;
		item_push(sim, sim->now + latency(sim) + latency(sim), SIM_DELIVER, request);
	}
	return request->id;
}

static void
tick_plan(Sim *sim)
{
	int64		deadline = coord_next_deadline(sim->groups);

	if (deadline == PG_INT64_MAX)
		return;
	deadline = Max(deadline - sim->clock_skew, sim->now);
	if (sim->tick_at <= deadline)
		return;
	/* a server that has other things to do may be late */
	if (!sim->calm && sim_chance(sim, 100))
		deadline += sim_below(sim, 300);
	sim->tick_at = deadline;
	item_push(sim, deadline, SIM_TICK, NULL);
}

/*
 * As requests on one connection: they arrive in the order in which they were sent, after those of
 * connections before it.
 */
uint64
sim_send_ordered(Sim *sim, SimRequest *request)
{
	SimActor   *actor = request->actor;
	int64		at = sim->now + latency(sim);

	request->refs++;
	request->ordered = true;
	actor->arrives_at = Max(actor->arrives_at, at);
	item_push(sim, actor->arrives_at, SIM_DELIVER, request);
	return request->id;
}

void
sim_send_discard(SimRequest *request)
{
	request->refs++;
	sim_request_release(request);
}

/* Answers travel back to those who asked. */
static void
answers_send(Sim *sim, const CoordReplies *replies)
{
	for (int i = 0; i < replies->nreplies; i++)
	{
		const CoordReply *reply = &replies->replies[i];
		SimWaiting *waiting = sim_waiting(sim, reply->token);

		item_push(sim, sim->now + latency(sim), SIM_ANSWER, sim_answer(waiting->request, reply));
		sim_request_release(waiting->request);
		*waiting = sim->waiting[--sim->nwaiting];
	}
}

/* Who waits for the answer of that token?  There must be one. */
SimWaiting *
sim_waiting(Sim *sim, uint64 token)
{
	for (int i = 0; i < sim->nwaiting; i++)
	{
		if (sim->waiting[i].token == token)
			return &sim->waiting[i];
	}
	sim_fail(sim, "an answer for token %llu, which waits for none", (unsigned long long) token);
}

/* One step of the coordinator, and all checks. */
void
sim_step(Sim *sim, const CoordEvent *event)
{
	CoordReplies replies;

	coord_step(sim->groups, event, sim_coord_time(sim), &replies);
	sim->clock_seen = Max(sim->clock_seen, sim_coord_time(sim));
	sim->ticked = event->type == COORD_EV_TICK;
	sim->steps++;
#ifdef USE_ASSERT_CHECKING
	coord_verify(sim->groups);
#endif
	for (int i = 0; i < replies.nreplies; i++)
	{
		const CoordReply *reply = &replies.replies[i];

		sim->digest = sim->digest * UINT64CONST(0x9E3779B97F4A7C15) + reply->token * 1000 + reply->error;
		if (reply->type == COORD_EV_JOIN)
			sim->digest += reply->u.join.generation * UINT64CONST(7919) + reply->u.join.nmembers;
	}
	for (int i = 0; i < replies.nchanges; i++)
		sim_trace(sim, "%.*s has %d members, at %lld", replies.changes[i].group_id.len, replies.changes[i].group_id.data,
				  replies.changes[i].nmembers, (long long) sim->clock_seen);
	sim_model_replies(sim, &replies);
	answers_send(sim, &replies);
	sim_model_check(sim);
	tick_plan(sim);
}

static void
request_arrive(Sim *sim, SimRequest *request)
{
	CoordEvent	event = request->event;

	/* what was still on its way when a connection broke may never be read */
	if (request->ordered && (request->life != request->actor->life || request->conn != request->actor->conn) &&
		sim_chance(sim, 500))
	{
		sim_request_release(request);
		return;
	}
	event.token = ++sim->last_token;
	if (sim->nwaiting == sim->waiting_cap)
	{
		sim->waiting_cap = Max(sim->waiting_cap * 2, 64);
		sim->waiting = pg_realloc(sim->waiting, sim->waiting_cap * sizeof(SimWaiting));
	}
	request->refs++;
	sim->waiting[sim->nwaiting++] = (SimWaiting) {event.token, request};
	sim_trace(sim, "%s %d asks %d as %.*s, generation %d", request->actor->ops->name, request->actor->index,
			  event.type, event.member_id.len, event.member_id.data, event.generation);
	sim_model_event(sim, &event);
	sim_step(sim, &event);
	sim_request_release(request);
}

static void
answer_arrive(Sim *sim, SimAnswer *answer)
{
	SimRequest *request = answer->request;
	SimActor   *actor = request->actor;

	if (request->life == actor->life && request->conn == actor->conn)
	{
		sim_trace(sim, "%s %d hears %d to %d", actor->ops->name, actor->index, answer->reply.error, answer->reply.type);
		if (!sim->calm && sim_chance(sim, sim->loss))
			connection_break(sim, actor);
		else
			actor->ops->answer(sim, actor, request, &answer->reply);
	}
	sim_answer_free(answer);
}

static void
tick(Sim *sim)
{
	CoordEvent	event = {.type = COORD_EV_TICK};

	sim->tick_at = PG_INT64_MAX;
	if (sim->now != sim->ticked_at)
		sim->nticks = 0;
	sim->ticked_at = sim->now;
	if (++sim->nticks > 1000)
		sim_fail(sim, "deadlines keep the coordinator busy for ever");
	sim_step(sim, &event);
}

/* Forgets everything, as a server does that was killed. */
static void
coordinator_restart(Sim *sim)
{
	sim_trace(sim, "the coordinator restarts");
	coord_destroy(sim->groups);
	while (sim->nwaiting > 0)
		sim_request_release(sim->waiting[--sim->nwaiting].request);
	sim->groups = coord_create(&sim->config, pg_prng_uint64(&sim->prng));
	sim->tick_at = PG_INT64_MAX;
	sim->clock_seen = NEVER;
	sim_model_restart(sim);
	sim_topics_tell(sim);
	for (int i = 0; i < sim->nactors; i++)
		connection_break(sim, sim->actors[i]);
}

static void
clock_jump(Sim *sim)
{
	if (sim_chance(sim, 500))
		sim->clock_skew += sim_below(sim, 100000);
	else
		sim->clock_skew -= sim_below(sim, 60000);
	sim_trace(sim, "the clock jumps to %lld", (long long) sim_coord_time(sim));
	sim->tick_at = PG_INT64_MAX;
	tick_plan(sim);
}

/* Other limits, now and then too small ones. */
static void
config_change(Sim *sim)
{
	sim->config.max_size = sim_chance(sim, 300) ? 1 + sim_below(sim, 8) : 1000;
	sim->config.memory_max = sim_chance(sim, 300) ? 4096 + sim_below(sim, 30000) : 64 * 1024 * 1024;
	sim->config.initial_rebalance_delay_ms = sim_chance(sim, 300) ? 0 : sim_below(sim, 4000);
	sim->config.empty_linger_ms = sim_chance(sim, 300) ? 0 : sim_below(sim, 600000);
	sim->config.consumer_max_size = sim_chance(sim, 300) ? 1 + sim_below(sim, 8) : 1000;
	sim->config.consumer_migration_policy = sim_chance(sim, 300) ? sim_below(sim, 4) : COORD_MIGRATION_BIDIRECTIONAL;
	sim->config.consumer_assignment_interval_ms = sim_chance(sim, 300) ? sim_below(sim, 3000) : 0;
	sim->config.consumer_default_assignor = sim_chance(sim, 300) ? "range" : "uniform";
	coord_configure(sim->groups, &sim->config);
}

static void
fault(Sim *sim)
{
	SimActor   *actor = sim->actors[sim_below(sim, sim->nactors)];

	if (sim_chance(sim, 150))
		connection_break(sim, actor);
	else if (sim_chance(sim, 30))
		clock_jump(sim);
	else if (sim_chance(sim, 30))
		config_change(sim);
	else if (sim_chance(sim, sim->restart))
		coordinator_restart(sim);
	else
		actor->ops->fault(sim, actor);
}

/* Lets the next thing happen. */
static void
advance(Sim *sim)
{
	SimItem		item;

	/* nobody left who does anything */
	if (sim->nitems == 0)
	{
		sim->now += 1000;
		return;
	}
	item = item_pop(sim);
	Assert(item.at >= sim->now);
	sim->now = item.at;
	switch (item.kind)
	{
		case SIM_DELIVER:
			request_arrive(sim, item.what);
			break;
		case SIM_ANSWER:
			answer_arrive(sim, item.what);
			break;
		case SIM_WAKE:
			{
				SimActor   *actor = item.what;

				/* it may have changed its mind since */
				if (actor->wake_at != item.at)
					break;
				actor->wake_at = PG_INT64_MAX;
				actor->ops->wake(sim, actor);
				break;
			}
		case SIM_TICK:
			/* unless an earlier one was planned meanwhile */
			if (item.at == sim->tick_at)
				tick(sim);
			break;
	}
	if (!sim->calm && sim_chance(sim, sim->fault))
		fault(sim);
}

static void
actor_add(Sim *sim, SimActor *actor, int group)
{
	actor->index = sim->nactors;
	actor->group = group;
	sim->actors = pg_realloc(sim->actors, (sim->nactors + 1) * sizeof(SimActor *));
	sim->actors[sim->nactors++] = actor;
	sim_wake_at(sim, actor, sim_below(sim, 5000));
}

static void
populate(Sim *sim)
{
	sim->ngroups = 1 + sim_below(sim, SIM_GROUPS_MAX);
	for (int g = 0; g < sim->ngroups; g++)
	{
		int			nclients = 1 + sim_below(sim, 7);

		snprintf(sim->group[g].id, sizeof(sim->group[g].id), "group%d", g);
		sim->group[g].npartitions = 1 + sim_below(sim, 24);
		if (sim_chance(sim, 600))
		{
			sim->group[g].protocols = 1 + sim_below(sim, 2);
			sim->group[g].npartitions = SIM_PARTITIONS_MAX;
		}
		for (int i = 0; i < nclients + 1; i++)
		{
			actor_add(sim, i == 0 ? sim_actor_admin(sim, g) :
					  sim->group[g].protocols > 0 ? sim_actor_modern(sim, g) : sim_actor_classic(sim, g), g);
		}
	}
	if (sim_chance(sim, 500))
		actor_add(sim, sim_actor_vandal(sim), 0);
}

static bool
all_settled(Sim *sim)
{
	for (int i = 0; i < sim->nactors; i++)
	{
		if (!sim->actors[i]->ops->settled(sim, sim->actors[i]))
			return false;
	}
	return true;
}

static void
calm_down(Sim *sim)
{
	int64		until = sim->now + CALM_MS;
	int64		stay;

	sim->calm = true;
	sim_trace(sim, "all is quiet now");
	sim->config.max_size = 1000;
	sim->config.memory_max = 64 * 1024 * 1024;
	sim->config.consumer_max_size = 1000;
	sim->config.consumer_migration_policy = COORD_MIGRATION_BIDIRECTIONAL;
	coord_configure(sim->groups, &sim->config);
	/* a coordinator whose clock was set back stands still until then: let time pass */
	sim->clock_skew = Max(sim->clock_skew, sim->clock_seen - sim->now);
	for (int i = 0; i < sim->nactors; i++)
		sim->actors[i]->ops->calm(sim, sim->actors[i]);
	while (!all_settled(sim))
	{
		if (sim->now > until)
			sim_fail(sim, "not everybody has settled");
		advance(sim);
	}
	/* ghosts may still be around: sessions end in time, and then it stays as it is */
	stay = sim->now + CALM_MS / 3;
	while (sim->now < stay)
		advance(sim);
	while (!all_settled(sim))
	{
		if (sim->now > until + CALM_MS)
			sim_fail(sim, "not everybody stays settled");
		advance(sim);
	}
	for (stay = sim->now + STAY_MS; sim->now < stay;)
	{
		advance(sim);
		if (!all_settled(sim))
			sim_fail(sim, "somebody does not stay settled");
	}
	sim_model_settled(sim);
	if (sim->nwaiting > 5 * sim->nactors)
		sim_fail(sim, "%d requests were never answered", sim->nwaiting);
}

/* Everybody goes without a word. */
static void
wind_up(Sim *sim, size_t memory)
{
	int64		until = sim->now + FORGET_MS;

	for (int i = 0; i < sim->nactors; i++)
		sim->actors[i]->ops->stop(sim, sim->actors[i]);
	while (sim->nitems > 0 && sim->now < until)
		advance(sim);
	if (coord_ngroups(sim->groups) != 0)
		sim_fail(sim, "%d groups are never forgotten", coord_ngroups(sim->groups));
	if (coord_next_deadline(sim->groups) != PG_INT64_MAX)
		sim_fail(sim, "a deadline is left that nobody waits for");
	if (sim->nwaiting > 0)
		sim_fail(sim, "%d requests were never answered", sim->nwaiting);
	/* tables and arrays stay as large as they were */
	if (coord_memory_used(sim->groups) > memory + 32 * 1024)
		sim_fail(sim, "%zu bytes are not given back", coord_memory_used(sim->groups));
}

/* "t.*", which is all there is. */
static const char *
regex_valid(void *arg, CoordBytes regex)
{
	return sim_same(regex, "t.*") ? NULL : "it is another one";
}

static bool
regex_matches(void *arg, uint32 viewer, CoordBytes regex, CoordBytes topic)
{
	return topic.len > 0 && topic.data[0] == 't';
}

void
sim_run(Sim *sim, uint64 seed, int nsteps)
{
	size_t		memory;

	sim->seed = seed;
	sim->tick_at = PG_INT64_MAX;
	sim->clock_seen = NEVER;
	pg_prng_seed(&sim->prng, seed);
	sim->loss = sim_below(sim, 30);
	sim->doubling = sim_below(sim, 60);
	sim->fault = sim_chance(sim, 200) ? 0 : sim_below(sim, 150);
	sim->restart = sim_chance(sim, 300) ? 20 : 0;
	coord_config_defaults(&sim->config);
	sim->config.empty_linger_ms = 60000;
	sim->config.regex_valid = regex_valid;
	sim->config.regex_matches = regex_matches;
	sim->groups = coord_create(&sim->config, seed);
	sim_topics_make(sim);
	sim_topics_tell(sim);
	memory = coord_memory_used(sim->groups);
	populate(sim);
	while (sim->steps < nsteps)
		advance(sim);
	calm_down(sim);
	wind_up(sim, memory);
}

void
sim_end(Sim *sim)
{
	coord_destroy(sim->groups);
	for (int i = 0; i < sim->nactors; i++)
		pg_free(sim->actors[i]);
	pg_free(sim->actors);
	pg_free(sim->items);
	pg_free(sim->waiting);
}
