/*-------------------------------------------------------------------------
 *
 * model.c
 *	  What must be true of classic groups, whatever happens.
 *
 * The model learns from requests and their answers who is a member of which
 * generation with which partitions, and holds every further answer against that:
 *
 *	- a generation never goes back while the group lives, and has one leader and one assignment;
 *	- who has left or was fenced is in no later generation, and is told nothing but errors;
 *	- what a member gets is what the leader assigned to it;
 *	- of members of the current generation no two work on the same partition, and none on
 *	  one that is assigned to another;
 *	- a commit is accepted from a member of the current generation only, never for a partition of
 *	  another, and never takes back what somebody else has committed since;
 *	- a member that shows life in time is not thrown out.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static uint64
mask_of(const Sim *sim, CoordBytes assignment)
{
	uint64		mask = 0;

	if (assignment.len != 0 && assignment.len != sizeof(mask))
		sim_fail(sim, "an assignment of %d bytes that nobody made", assignment.len);
	if (assignment.len > 0)
		memcpy(&mask, assignment.data, sizeof(mask));
	return mask;
}

static SimMember *
member_of(SimGroup *group, CoordBytes id)
{
	for (int i = 0; i < group->nmembers; i++)
	{
		if (sim_same(id, group->members[i].id))
			return &group->members[i];
	}
	return NULL;
}

static SimMember *
instance_of(SimGroup *group, CoordBytes instance)
{
	for (int i = 0; instance.len > 0 && i < group->nmembers; i++)
	{
		if (sim_same(instance, group->members[i].instance))
			return &group->members[i];
	}
	return NULL;
}

/* Before a step. */
void
sim_model_event(Sim *sim, const CoordEvent *event)
{
	sim->event = event;
	if (!coord_find(sim->groups, event->group_id, &sim->before))
	{
		memset(&sim->before, 0, sizeof(sim->before));
		sim->before.state = COORD_DEAD;
	}
}

/* Has that member just been told that it is in a generation? */
static bool
has_joined(const CoordReplies *replies, CoordBytes id, int32 generation)
{
	for (int i = 0; i < replies->nreplies; i++)
	{
		const CoordReply *reply = &replies->replies[i];

		if (reply->type == COORD_EV_JOIN && reply->error == COORD_NONE && reply->u.join.generation == generation &&
			reply->u.join.member_id.len == id.len && memcmp(reply->u.join.member_id.data, id.data, id.len) == 0)
			return true;
	}
	return false;
}

/* The leader has been told of a new generation. */
static void
generation_learn(Sim *sim, SimGroup *group, const CoordReplies *replies, const CoordJoinReply *join)
{
	SimMember	old[lengthof(group->members)];
	int			nold = group->nmembers;

	if (join->nmembers > lengthof(group->members))
		sim_fail(sim, "%d members", join->nmembers);
	memcpy(old, group->members, sizeof(old));
	memset(group->members, 0, sizeof(group->members));
	group->generation = join->generation;
	group->assigned = false;
	group->disturbed = false;
	group->replaced = false;
	group->began = sim->clock_seen;
	group->nmembers = join->nmembers;
	sim_keep(group->leader, sizeof(group->leader), join->leader);
	for (int i = 0; i < join->nmembers; i++)
	{
		SimMember  *member = &group->members[i];

		sim_keep(member->id, sizeof(member->id), join->members[i].member_id);
		sim_keep(member->instance, sizeof(member->instance), join->members[i].group_instance_id);
		member->last_sign = sim->clock_seen;
		if (member->instance[0] == '\0' && !has_joined(replies, join->members[i].member_id, join->generation))
			sim_fail(sim, "%s is in generation %d, and has not joined it", member->id, join->generation);
		for (int j = 0; j < nold; j++)
		{
			if (strcmp(old[j].id, member->id) != 0)
				continue;
			member->session_timeout_ms = old[j].session_timeout_ms;
			member->rebalance_timeout_ms = old[j].rebalance_timeout_ms;
			if (old[j].gone)
				sim_fail(sim, "%s is in generation %d, after it has gone", member->id, join->generation);
		}
	}
}

static void
join_learn(Sim *sim, SimGroup *group, const SimRequest *request, const CoordJoinReply *join)
{
	SimMember  *member = member_of(group, join->member_id);
	bool		replaced = false;

	if (join->generation != group->generation)
		sim_fail(sim, "a join to generation %d in generation %d of %s", join->generation, group->generation, group->id);
	if (member == NULL && request->event.member_id.len == 0)
	{
		/* a static member is back, and takes the place of its former self */
		member = instance_of(group, request->event.group_instance_id);
		replaced = true;
		group->replaced = true;
		if (member != NULL)
		{
			if (!group->assigned)
				sim_fail(sim, "%s is replaced while its leader assigns to it", member->id);
			if (strcmp(group->leader, member->id) == 0)
				sim_keep(group->leader, sizeof(group->leader), join->member_id);
			sim_keep(member->id, sizeof(member->id), join->member_id);
		}
	}
	if (member == NULL)
		sim_fail(sim, "who joined is not in the leader's list");
	if (member->gone)
		sim_fail(sim, "%s joins after it has gone", member->id);
	member->session_timeout_ms = request->event.u.join.session_timeout_ms;
	member->rebalance_timeout_ms = request->event.u.join.rebalance_timeout_ms;
	member->last_sign = sim->clock_seen;
	if (!sim_same(join->leader, group->leader) && !replaced)
		sim_fail(sim, "%s is told of the wrong leader", member->id);
	if (join->nmembers > 0)
	{
		if (strcmp(member->id, group->leader) != 0)
			sim_fail(sim, "%s leads, and is not the leader", member->id);
		for (int i = 0; i < join->nmembers; i++)
		{
			if (member_of(group, join->members[i].member_id) == NULL)
				sim_fail(sim, "the list of members of generation %d has changed", join->generation);
		}
	}
}

/* The leader's assignment was accepted. */
static void
assignment_learn(Sim *sim, SimGroup *group, const CoordSync *sync)
{
	uint64		all = 0;

	group->assigned = true;
	group->disturbed = false;
	for (int i = 0; i < sync->nassignments; i++)
	{
		SimMember  *member = member_of(group, sync->assignments[i].member_id);

		if (member == NULL)
			continue;
		member->assigned = mask_of(sim, sync->assignments[i].assignment);
		Assert((all & member->assigned) == 0);
		all |= member->assigned;
	}
}

/* The request names a generation: must its sender be a member of it?  Returns the member. */
static SimMember *
member_check(Sim *sim, SimGroup *group, const SimRequest *request, const char *what)
{
	SimMember  *member = member_of(group, request->event.member_id);

	if (request->event.generation != group->generation)
		sim_fail(sim, "%s of generation %d in generation %d of %s", what, request->event.generation,
				 group->generation, group->id);
	if (member == NULL || member->gone)
		sim_fail(sim, "%s of %.*s, which is no member", what, request->event.member_id.len, request->event.member_id.data);
	return member;
}

/* The sender is told that it is no member: was it thrown out while it did all it had to? */
static void
unknown_check(Sim *sim, SimGroup *group, const SimRequest *request)
{
	SimMember  *member = member_of(group, request->event.member_id);

	if (member == NULL || member->gone || request->event.generation != group->generation || !member->synced)
		return;
	if (group->disturbed || member->session_timeout_ms == 0)
		return;
	/* an instance id that it does not have makes anybody unknown */
	if (request->event.group_instance_id.len > 0 && !sim_same(request->event.group_instance_id, member->instance))
		return;
	if (sim->clock_seen - member->last_sign < member->session_timeout_ms)
		sim_fail(sim, "%s was thrown out before its time", member->id);
}

static void
commit_learn(Sim *sim, SimGroup *group, const SimRequest *request)
{
	const char *who = "admin";
	SimMember  *member = NULL;

	if (request->event.generation >= 0)
	{
		member = member_check(sim, group, request, "a commit");
		who = member->id;
		member->last_sign = sim->clock_seen;
		if (sim->before.state == COORD_COMPLETING_REBALANCE)
			sim_fail(sim, "a commit while partitions may be changing hands");
	}
	else if (sim->before.nmembers > 0)
		sim_fail(sim, "a commit of nobody while there are members");
	for (int i = 0; i < group->nmembers && member != NULL && group->assigned; i++)
	{
		if (&group->members[i] != member && !group->members[i].gone &&
			(group->members[i].assigned & request->partitions) != 0)
			sim_fail(sim, "%s commits for what is assigned to %s", who, group->members[i].id);
	}
	for (int p = 0; p < group->npartitions; p++)
	{
		bool		same = strcmp(group->committer[p], who) == 0 && group->committed_in[p] == request->event.generation;

		if ((request->partitions & (UINT64CONST(1) << p)) == 0)
			continue;
		if (request->offsets[p] < group->committed[p] && !same && member != NULL)
			sim_fail(sim, "%s (generation %d) takes partition %d of %s back to %lld: %s (generation %d) has committed %lld",
					 who, request->event.generation, p, group->id, (long long) request->offsets[p],
					 group->committer[p], group->committed_in[p], (long long) group->committed[p]);
		group->committed[p] = request->offsets[p];
		group->committed_in[p] = request->event.generation;
		sim_keep(group->committer[p], sizeof(group->committer[p]), sim_string(who));
	}
}

static void
leave_learn(SimGroup *group, const CoordLeaveReply *leave)
{
	for (int i = 0; i < leave->nmembers; i++)
	{
		SimMember  *member;

		if (leave->members[i].error != COORD_NONE)
			continue;
		member = leave->members[i].member_id.len > 0 ?
			member_of(group, leave->members[i].member_id) : instance_of(group, leave->members[i].group_instance_id);
		if (member != NULL)
			member->gone = true;
	}
}

static void
group_forget(SimGroup *group)
{
	group->exists = false;
	group->assigned = false;
	group->generation = 0;
	group->described = 0;
	group->nseen = 0;
	group->nmembers = 0;
}

static void
sync_learn(Sim *sim, SimGroup *group, const SimRequest *request, const CoordSyncReply *sync)
{
	SimMember  *member = member_check(sim, group, request, "a sync");

	if (!group->assigned)
		sim_fail(sim, "%s got an assignment that there is not", member->id);
	if (mask_of(sim, sync->assignment) != member->assigned)
		sim_fail(sim, "%s got another assignment than the leader gave", member->id);
	member->synced = true;
	member->last_sign = sim->clock_seen;
}

static void
reply_learn(Sim *sim, const CoordReply *reply)
{
	const SimRequest *request = sim_waiting(sim, reply->token)->request;
	SimGroup   *group = &sim->group[Max(request->group, 0)];

	if (request->group < 0)
		return;
	sim_count(reply, sim->before.state);
	if (reply->type != request->event.type)
		sim_fail(sim, "an answer to another request");
	if (group->protocols > 0)
	{
		sim_modern_learn(sim, request, reply);
		return;
	}
	switch (reply->type)
	{
		case COORD_EV_JOIN:
			if (reply->error == COORD_NONE)
				join_learn(sim, group, request, &reply->u.join);
			break;
		case COORD_EV_SYNC:
			if (reply->error == COORD_NONE)
				sync_learn(sim, group, request, &reply->u.sync);
			else if (reply->error == COORD_UNKNOWN_MEMBER_ID)
				unknown_check(sim, group, request);
			break;
		case COORD_EV_HEARTBEAT:
			if (reply->error == COORD_NONE || reply->error == COORD_REBALANCE_IN_PROGRESS)
				member_check(sim, group, request, "a heartbeat")->last_sign = sim->clock_seen;
			else if (reply->error == COORD_UNKNOWN_MEMBER_ID)
				unknown_check(sim, group, request);
			break;
		case COORD_EV_COMMIT:
			if (reply->error == COORD_NONE)
				commit_learn(sim, group, request);
			else if (reply->error == COORD_UNKNOWN_MEMBER_ID)
				unknown_check(sim, group, request);
			break;
		case COORD_EV_LEAVE:
			if (reply->error == COORD_NONE)
				leave_learn(group, &reply->u.leave);
			break;
		case COORD_EV_DELETE:
			if (reply->error == COORD_NONE && sim->before.nmembers > 0)
				sim_fail(sim, "%s was deleted, and had members", group->id);
			break;
		default:
			break;
	}
}

/* After a step, before its answers are sent: new generations first, then all that is told of them. */
void
sim_model_replies(Sim *sim, const CoordReplies *replies)
{
	for (int i = 0; i < replies->nreplies; i++)
	{
		const CoordReply *reply = &replies->replies[i];
		const SimRequest *request = sim_waiting(sim, reply->token)->request;
		SimGroup   *group = &sim->group[Max(request->group, 0)];

		if (reply->error != COORD_NONE || request->group < 0 || group->protocols > 0)
			continue;
		if (reply->type == COORD_EV_JOIN && reply->u.join.nmembers > 0 && reply->u.join.generation > group->generation)
			generation_learn(sim, group, replies, &reply->u.join);
		if (reply->type == COORD_EV_SYNC && !group->assigned && sim->event != NULL &&
			reply->token == sim->event->token && sim_same(request->event.member_id, group->leader))
			assignment_learn(sim, group, &request->event.u.sync);
	}
	for (int i = 0; i < replies->nreplies; i++)
		reply_learn(sim, &replies->replies[i]);
	for (int i = 0; i < replies->nchanges; i++)
	{
		for (int g = 0; g < sim->ngroups; g++)
		{
			if (sim_same(replies->changes[i].group_id, sim->group[g].id))
				sim->group[g].told = replies->changes[i].nmembers;
		}
	}
	sim->event = NULL;
}

/* Do members of the current generation keep out of each other's way? */
static void
holders_check(Sim *sim, SimGroup *group, int g, const CoordDescription *d)
{
	uint64		held = 0;

	for (int a = 0; a < sim->nactors; a++)
	{
		SimActor   *actor = sim->actors[a];
		CoordBytes	id;
		int32		generation;
		uint64		partitions;
		bool		current = false;

		if (actor->group != g || actor->ops->holds == NULL || !actor->ops->holds(actor, &id, &generation, &partitions))
			continue;
		for (int i = 0; i < d->info.nmembers; i++)
			current |= id.len == d->members[i].member_id.len && memcmp(id.data, d->members[i].member_id.data, id.len) == 0;
		if (!current || generation != d->generation)
			continue;
		if ((held & partitions) != 0)
			sim_fail(sim, "two members of generation %d of %s work on partitions %llx", generation, group->id,
					 (unsigned long long) (held & partitions));
		held |= partitions;
		for (int i = 0; i < group->nmembers && group->assigned && generation == group->generation; i++)
		{
			if (!group->members[i].gone && !sim_same(id, group->members[i].id) &&
				(group->members[i].assigned & partitions) != 0)
				sim_fail(sim, "%.*s works on what is assigned to %s", id.len, id.data, group->members[i].id);
		}
	}
}

static void
described_check(Sim *sim, SimGroup *group, const CoordDescription *d)
{
	bool		agreed = d->info.state == COORD_STABLE || d->info.state == COORD_COMPLETING_REBALANCE;

	if (d->generation < group->described || d->generation < group->generation)
		sim_fail(sim, "generation %d of %s after %d", d->generation, group->id, Max(group->generation, group->described));
	group->described = d->generation;
	if (agreed && d->generation != group->generation)
		sim_fail(sim, "generation %d has begun and nobody was told", d->generation);
	if (agreed && (d->info.state == COORD_STABLE) != group->assigned)
		sim_fail(sim, "%s is %s", group->id, coord_state_name(d->info.state));
	if (d->info.state == COORD_PREPARING_REBALANCE)
		group->disturbed = true;
	for (int i = 0; i < d->info.nmembers; i++)
	{
		SimMember  *member = member_of(group, d->members[i].member_id);

		if (member != NULL && member->gone)
			sim_fail(sim, "%s is a member, after it has gone", member->id);
		if (agreed && member == NULL)
			sim_fail(sim, "a member that generation %d does not have", d->generation);
		if (d->info.state == COORD_STABLE && mask_of(sim, d->members[i].assignment) != member->assigned)
			sim_fail(sim, "%s has another assignment than the leader gave", member->id);
	}
}

/* Does a SyncGroup of the member wait for the leader's? */
static bool
awaits_sync(const Sim *sim, const SimGroup *group, const SimMember *member)
{
	for (int i = 0; i < sim->nwaiting; i++)
	{
		const CoordEvent *event = &sim->waiting[i].request->event;

		if (event->type == COORD_EV_SYNC && event->generation == group->generation && sim_same(event->member_id, member->id))
			return true;
	}
	return false;
}

/* After a tick: nobody has a generation for long without asking what it is to do there. */
static void
sync_check(Sim *sim, SimGroup *group, const CoordDescription *d)
{
	int32		patience_ms = 0;

	if (d->info.state == COORD_PREPARING_REBALANCE || group->replaced)
		return;
	for (int i = 0; i < group->nmembers; i++)
		patience_ms = Max(patience_ms, group->members[i].rebalance_timeout_ms);
	for (int i = 0; i < d->info.nmembers; i++)
	{
		SimMember  *member = member_of(group, d->members[i].member_id);

		if (member != NULL && !member->synced && member->rebalance_timeout_ms > 0 && !awaits_sync(sim, group, member) &&
			sim->clock_seen - group->began > patience_ms)
			sim_fail(sim, "%s has never synced", member->id);
	}
}

/* After each step. */
void
sim_model_check(Sim *sim)
{
	for (int g = 0; g < sim->ngroups; g++)
	{
		SimGroup   *group = &sim->group[g];
		CoordDescription d;

		if (!coord_describe(sim->groups, sim_string(group->id), &d))
		{
			group_forget(group);
			if (group->told != 0)
				sim_fail(sim, "%s is forgotten with %d members", group->id, group->told);
			continue;
		}
		group->exists = true;
		if (group->told != d.info.nmembers)
			sim_fail(sim, "%s has %d members, and %d were told", group->id, d.info.nmembers, group->told);
		if (group->protocols > 0)
			sim_modern_check(sim, g, &d);
		else if (d.info.kind == COORD_KIND_CLASSIC)
		{
			described_check(sim, group, &d);
			if (sim->ticked)
				sync_check(sim, group, &d);
			holders_check(sim, group, g, &d);
		}
		if (d.members != NULL)
			pfree(unconstify(CoordMemberInfo *, d.members));
	}
	if (coord_memory_used(sim->groups) > sim->config.memory_max + 1024 * 1024)
		sim_fail(sim, "%zu bytes are in use", coord_memory_used(sim->groups));
}

/* A new coordinator knows nothing.  What was committed stays. */
void
sim_model_restart(Sim *sim)
{
	for (int g = 0; g < sim->ngroups; g++)
	{
		group_forget(&sim->group[g]);
		sim->group[g].told = 0;
	}
}

/* All is quiet: each partition is worked on by one member, and there are no other members. */
void
sim_model_settled(Sim *sim)
{
	for (int g = 0; g < sim->ngroups; g++)
	{
		SimGroup   *group = &sim->group[g];
		uint64		all = group->npartitions == 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << group->npartitions) - 1;
		uint64		held = 0;
		int			holders = 0;
		CoordGroupInfo info = {.state = COORD_DEAD};

		if (group->protocols > 0)
		{
			sim_modern_settled(sim, g);
			continue;
		}
		for (int a = 0; a < sim->nactors; a++)
		{
			CoordBytes	id;
			int32		generation;
			uint64		partitions;

			if (sim->actors[a]->group != g || sim->actors[a]->ops->holds == NULL ||
				!sim->actors[a]->ops->holds(sim->actors[a], &id, &generation, &partitions))
				continue;
			held |= partitions;
			holders++;
			if (generation != group->generation)
				sim_fail(sim, "a member is still in generation %d of %s", generation, group->id);
		}
		coord_find(sim->groups, sim_string(group->id), &info);
		if (info.nmembers != holders)
			sim_fail(sim, "%s has %d members, of which %d live", group->id, info.nmembers, holders);
		/*
		 * A cooperative member that has given something up joins again, so that it finds a new
		 * owner.  If it dies before that, and comes back under its static name, nobody knows that there is
		 * something left to do: so it is with this protocol.
		 */
		if (holders > 0 && ((held != all && !group->replaced) || info.state != COORD_STABLE))
			sim_fail(sim, "%s is %s, and nobody works on %llx", group->id, coord_state_name(info.state),
					 (unsigned long long) (all & ~held));
	}
}
