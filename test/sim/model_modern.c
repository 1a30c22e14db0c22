/*-------------------------------------------------------------------------
 *
 * model_modern.c
 *	  What must be true of groups in which consumers speak either protocol.
 *
 * After every step: no two members have a partition assigned, in what is current or
 * in the target; nobody works on a partition that is another member's; the target covers all that is
 * subscribed to; epochs never go back, and a member's is never ahead of the target's.
 * Commits that are accepted never take a partition back, and come from who works on it.
 *
 * Siblings: modern.h, model.c (groups of one kind).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "modern.h"

/* What the members of a description subscribe to. */
static uint64
described_subscription(Sim *sim, const CoordMemberInfo *member)
{
	uint64		all = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
	{
		bool		wanted = member->subscribed_topic_regex.len > 0;

		for (int i = 0; i < member->nsubscribed; i++)
			wanted |= modern_topic_number(member->subscribed_topic_names[i]) == t;
		if (wanted)
			all |= modern_topic_partitions(sim, t);
	}
	return all;
}

static void
epochs_check(Sim *sim, SimGroup *group, const CoordDescription *d)
{
	SimSeen		now[lengthof(group->seen)];

	if (d->info.nmembers > (int) lengthof(now))
		sim_fail(sim, "%d members", d->info.nmembers);
	if (group->nseen > 0 && d->info.nmembers > 0 && d->generation < group->epoch)
		sim_fail(sim, "epoch %d of %s after %d", d->generation, group->id, group->epoch);
	group->epoch = d->generation;
	for (int i = 0; i < d->info.nmembers; i++)
	{
		const CoordMemberInfo *member = &d->members[i];
		int32		epoch = d->info.kind == COORD_KIND_CONSUMER ? member->member_epoch : d->generation;

		sim_keep(now[i].id, sizeof(now[i].id), member->member_id);
		now[i].epoch = epoch;
		for (int j = 0; j < group->nseen; j++)
		{
			if (sim_same(member->member_id, group->seen[j].id) && epoch < group->seen[j].epoch && epoch > 0)
				sim_fail(sim, "epoch %d of %s after %d", epoch, group->seen[j].id, group->seen[j].epoch);
		}
		if (d->info.kind == COORD_KIND_CONSUMER &&
			(epoch > d->assignment_epoch || d->assignment_epoch > d->generation))
			sim_fail(sim, "epochs %d, %d, %d of %s", epoch, d->assignment_epoch, d->generation, group->id);
	}
	memcpy(group->seen, now, sizeof(SimSeen) * d->info.nmembers);
	group->nseen = d->info.nmembers;
}

static void
assignments_check(Sim *sim, SimGroup *group, const CoordDescription *d)
{
	uint64		assigned = 0;
	uint64		target = 0;
	uint64		subscribed = 0;

	for (int i = 0; i < d->info.nmembers; i++)
	{
		const CoordMemberInfo *member = &d->members[i];
		uint64		has = modern_mask(sim, member->assigned, member->nassigned);
		uint64		should = modern_mask(sim, member->target, member->ntarget);
		uint64		wants = described_subscription(sim, member);

		if ((assigned & has) != 0 || (target & should) != 0)
			sim_fail(sim, "two members of %s have partitions %llx", group->id,
					 (unsigned long long) ((assigned & has) | (target & should)));
		if (d->info.state != COORD_ASSIGNING && (should & ~wants) != 0)
			sim_fail(sim, "%.*s should have what it does not subscribe to", member->member_id.len, member->member_id.data);
		if (d->info.state == COORD_STABLE && has != should)
			sim_fail(sim, "%s is stable, and its members have not what they should", group->id);
		assigned |= has;
		target |= should;
		subscribed |= wants;
	}
	if (d->info.state != COORD_ASSIGNING && target != subscribed)
		sim_fail(sim, "nobody should have partitions %llx of %s", (unsigned long long) (subscribed & ~target), group->id);
}

/*
 * May what the actor works on be compared with what others have?  A member that does not know yet that
 * it is none is on its own; one with the classic protocol learns what it has by SyncGroup.
 */
static bool
counts(const Modern *me, const CoordDescription *d, int *number)
{
	for (int i = 0; i < d->info.nmembers; i++)
	{
		const CoordMemberInfo *member = &d->members[i];

		if (!sim_same(member->member_id, me->member_id))
			continue;
		*number = i;
		if (d->info.kind == COORD_KIND_CLASSIC)
			return me->classic && me->phase == MODERN_WORKING && me->epoch == d->generation;
		return !me->classic || (me->phase == MODERN_WORKING && me->epoch == member->member_epoch);
	}
	return false;
}

static void
holders_check(Sim *sim, SimGroup *group, int g, const CoordDescription *d)
{
	uint64		held = 0;

	for (int a = 0; a < sim->nactors; a++)
	{
		Modern	   *me = modern_of(sim->actors[a]);
		uint64		mine;
		int			number;

		if (me == NULL || me->actor.group != g || me->phase == MODERN_DOWN || !counts(me, d, &number))
			continue;
		mine = modern_held(sim, me);
		if ((held & mine) != 0)
			sim_fail(sim, "two members of %s work on partitions %llx", group->id, (unsigned long long) (held & mine));
		held |= mine;
		for (int i = 0; i < d->info.nmembers && d->info.kind == COORD_KIND_CONSUMER; i++)
		{
			uint64		others = modern_mask(sim, d->members[i].assigned, d->members[i].nassigned);

			if (i != number && (others & mine) != 0)
				sim_fail(sim, "%s works on partitions %llx of %.*s", me->member_id, (unsigned long long) (others & mine),
						 d->members[i].member_id.len, d->members[i].member_id.data);
		}
	}
}

/* After each step. */
void
sim_modern_check(Sim *sim, int g, const CoordDescription *d)
{
	SimGroup   *group = &sim->group[g];

	epochs_check(sim, group, d);
	if (d->info.kind == COORD_KIND_CONSUMER && d->info.nmembers > 0)
		assignments_check(sim, group, d);
	if (d->info.nmembers > 0)
		holders_check(sim, group, g, d);
	if (d->info.kind == COORD_KIND_CONSUMER && d->members != NULL)
	{
		for (int i = 0; i < d->info.nmembers; i++)
		{
			pfree(unconstify(CoordTopicPartitions *, d->members[i].assigned));
			pfree(unconstify(CoordTopicPartitions *, d->members[i].target));
		}
	}
}

/* A commit was accepted: nobody else works on it, and it goes on from where the last one was. */
static void
commit_learn(Sim *sim, SimGroup *group, const SimRequest *request)
{
	bool		member = request->event.generation >= 0;

	if (!member && sim->before.nmembers > 0)
		sim_fail(sim, "a commit of nobody while there are members");
	sim_trace(sim, "%.*s has committed %llx", request->event.member_id.len, request->event.member_id.data,
			  (unsigned long long) request->partitions);
	for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
	{
		/* a topic that was made anew meanwhile is none of its business */
		if ((request->partitions & (UINT64CONST(1) << p)) == 0 ||
			(member && request->incarnation[p / MODERN_PARTS] != sim->topics[p / MODERN_PARTS].incarnation))
			continue;
		if (member && request->offsets[p] < group->committed[p])
			sim_fail(sim, "%.*s takes partition %d of %s back from %lld to %lld", request->event.member_id.len,
					 request->event.member_id.data, p, group->id, (long long) group->committed[p],
					 (long long) request->offsets[p]);
		group->committed[p] = request->offsets[p];
	}
}

void
sim_modern_learn(Sim *sim, const SimRequest *request, const CoordReply *reply)
{
	Modern	   *me = modern_of(request->actor);

	/* names say nothing about which topic of that name is meant: it is the one of now */
	for (int t = 0; me != NULL && reply->type == COORD_EV_SYNC && t < SIM_TOPICS; t++)
		me->answered[t] = sim->topics[t].incarnation;
	if (reply->type == COORD_EV_COMMIT && reply->error == COORD_NONE)
		commit_learn(sim, &sim->group[request->group], request);
	if (reply->type == COORD_EV_DELETE && reply->error == COORD_NONE && sim->before.nmembers > 0)
		sim_fail(sim, "a group was deleted, and had members");
	if (reply->type == COORD_EV_CONSUMER_HEARTBEAT && reply->error == COORD_NONE &&
		request->event.generation > 0 && reply->u.consumer.member_epoch < request->event.generation)
		sim_fail(sim, "the epoch of a member goes back");
}

/* All is quiet: each partition is worked on by one member, and there are no other members. */
void
sim_modern_settled(Sim *sim, int g)
{
	SimGroup   *group = &sim->group[g];
	CoordGroupInfo info = {.state = COORD_DEAD};
	uint64		held = 0;
	uint64		all = 0;
	int			holders = 0;
	bool		may_miss = false;

	for (int a = 0; a < sim->nactors; a++)
	{
		Modern	   *me = modern_of(sim->actors[a]);

		if (me == NULL || me->actor.group != g || me->phase == MODERN_DOWN)
			continue;
		may_miss |= me->is_static;
		if ((held & me->owned) != 0)
			sim_fail(sim, "two members work on partitions %llx of %s", (unsigned long long) (held & me->owned), group->id);
		held |= me->owned;
		all |= modern_subscribed(sim, me);
		holders++;
	}
	coord_find(sim->groups, sim_string(group->id), &info);
	if (info.nmembers != holders)
		sim_fail(sim, "%s has %d members, of which %d live", group->id, info.nmembers, holders);
	/*
	 * In a classic group a static member comes back without a rebalance.  If topics have changed
	 * while the leader was away, or it was gone before it could ask for another assignment, nobody knows: so it is with
	 * that protocol.
	 */
	may_miss &= info.kind == COORD_KIND_CLASSIC;
	if (holders > 0 && ((held != all && !may_miss) || info.state != COORD_STABLE))
		sim_fail(sim, "%s is %s, worked on is %llx of %llx", group->id, coord_state_name(info.state),
				 (unsigned long long) held, (unsigned long long) all);
}
