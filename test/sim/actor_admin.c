/*-------------------------------------------------------------------------
 *
 * actor_admin.c
 *	  Somebody with a command line: commits without being a member, removes static members, deletes groups.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

typedef struct Admin
{
	SimActor	actor;
	bool		stopped;
} Admin;

static void
commit(Sim *sim, SimActor *actor)
{
	SimRequest *request = sim_request(sim, actor, COORD_EV_COMMIT, 8);

	request->event.generation = -1;
	request->partitions = pg_prng_uint64(&sim->prng);
	for (int p = 0; p < sim->group[actor->group].npartitions; p++)
		request->offsets[p] = sim_below(sim, 1000000);
	sim_send(sim, request);
}

static void
remove_members(Sim *sim, SimActor *actor)
{
	SimRequest *request = sim_request(sim, actor, COORD_EV_LEAVE, 5);
	int			n = 1 + sim_below(sim, 3);
	CoordLeaveMember *members = sim_request_piece(request, n * sizeof(CoordLeaveMember));

	for (int i = 0; i < n; i++)
	{
		char		name[32];

		snprintf(name, sizeof(name), "instance%d", sim_below(sim, 12));
		members[i].member_id = sim_string("");
		members[i].group_instance_id = sim_request_bytes(request, name, strlen(name));
		members[i].reason = sim_string("because");
	}
	request->event.u.leave = (CoordLeave) {n, members};
	sim_send(sim, request);
}

static void
wake(Sim *sim, SimActor *actor)
{
	SimRequest *request;

	if (((Admin *) actor)->stopped || sim->calm)
		return;
	switch (sim_below(sim, 4))
	{
		case 0:
			commit(sim, actor);
			break;
		case 1:
			sim_send(sim, sim_request(sim, actor, COORD_EV_DELETE, 2));
			break;
		case 2:
			remove_members(sim, actor);
			break;
		default:
			request = sim_request(sim, actor, COORD_EV_FETCH, 8);
			request->event.generation = -1;
			sim_send(sim, request);
			break;
	}
	sim_wake_at(sim, actor, sim->now + 20000 + sim_below(sim, 100000));
}

static void
answer(Sim *sim, SimActor *actor, const SimRequest *request, const CoordReply *reply)
{
	if (reply->type == COORD_EV_FETCH && reply->error != COORD_NONE)
		sim_fail(sim, "offsets may not be read: error %d", reply->error);
}

static void
nothing(Sim *sim, SimActor *actor)
{
}

static void
stop(Sim *sim, SimActor *actor)
{
	((Admin *) actor)->stopped = true;
}

static bool
settled(Sim *sim, SimActor *actor)
{
	return true;
}

static const SimActorOps ops = {
	.name = "admin",
	.wake = wake,
	.answer = answer,
	.hangup = nothing,
	.fault = nothing,
	.calm = nothing,
	.settled = settled,
	.stop = stop,
};

SimActor *
sim_actor_admin(Sim *sim, int group)
{
	Admin	   *admin = pg_malloc0(sizeof(Admin));

	admin->actor.ops = &ops;
	return &admin->actor;
}
