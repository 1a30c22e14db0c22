/*-------------------------------------------------------------------------
 *
 * modern_new.c
 *	  A consumer with the protocol of KIP-848.
 *
 * One heartbeat is under way at a time.  When the answer names partitions, the consumer first gives
 * up what is not among them, which takes it some time, then takes on the new ones, and says so.
 * After an answer that never came it says everything again.
 *
 * Siblings: modern.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "modern.h"

#define HEARTBEAT_MS 5000
#define PATIENCE_MS 30000

/* What it has, by topic ids. */
static int
owned_list(Sim *sim, const Modern *me, SimRequest *request, const CoordTopicPartitions **list)
{
	CoordTopicPartitions *topics = sim_request_piece(request, SIM_TOPICS * sizeof(CoordTopicPartitions));
	int			n = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
	{
		int32	   *partitions;
		CoordTopicPartitions *topic = &topics[n];

		if ((me->owned & MODERN_TOPIC_MASK(t)) == 0)
			continue;
		n++;
		partitions = sim_request_piece(request, MODERN_PARTS * sizeof(int32));
		*topic = (CoordTopicPartitions) {.topic_name = COORD_NULL_BYTES,.partitions = partitions};
		topic->topic_id.data[0] = t + 1;
		topic->topic_id.data[1] = me->incarnation[t] & 0xFF;
		topic->topic_id.data[2] = me->incarnation[t] >> 8;
		for (int p = 0; p < MODERN_PARTS; p++)
		{
			if ((me->owned & MODERN_BIT(t, p)) != 0)
				partitions[topic->npartitions++] = p;
		}
	}
	*list = topics;
	return n;
}

static void
subscribe(Modern *me, SimRequest *request, CoordConsumerHeartbeat *out)
{
	CoordBytes *names = sim_request_piece(request, SIM_TOPICS * sizeof(CoordBytes));

	out->subscribed_topic_names = names;
	out->nsubscribed = 0;
	out->subscribed_topic_regex = sim_string(me->by_regex ? "t.*" : "");
	for (int t = 0; t < SIM_TOPICS && !me->by_regex; t++)
	{
		if ((me->topics & (1 << t)) != 0)
			names[out->nsubscribed++] = sim_string(modern_topic_name(t));
	}
	me->resubscribed = false;
}

static void
beat(Sim *sim, Modern *me, int32 epoch)
{
	SimRequest *request = modern_request(sim, me, COORD_EV_CONSUMER_HEARTBEAT, 1);
	CoordConsumerHeartbeat *out = &request->event.u.consumer;
	bool		full = me->full || epoch == 0;

	*out = (CoordConsumerHeartbeat)
	{
		.rack_id = COORD_NULL_BYTES,.rebalance_timeout_ms = -1,.nsubscribed = -1,.nowned = -1,
			.subscribed_topic_regex = COORD_NULL_BYTES,.server_assignor = COORD_NULL_BYTES
	};
	request->event.generation = epoch;
	if (full)
	{
		out->rebalance_timeout_ms = me->rebalance_timeout_ms;
		out->server_assignor = sim_chance(sim, 300) ? sim_string(sim_chance(sim, 500) ? "range" : "uniform") :
			COORD_NULL_BYTES;
	}
	if (full || me->resubscribed)
		subscribe(me, request, out);
	if (full || me->owned != me->told)
	{
		out->nowned = owned_list(sim, me, request, &out->owned);
		me->told = me->owned;
	}
	me->full = false;
	me->asked = sim_send_ordered(sim, request);
	me->patience = sim->now + PATIENCE_MS;
	me->heartbeat_at = sim->now + HEARTBEAT_MS;
}

void
modern_new_join(Sim *sim, Modern *me)
{
	/* it is still a member as far as it knows: then it just goes on */
	if (me->epoch > 0)
	{
		me->phase = MODERN_WORKING;
		me->full = true;
		beat(sim, me, me->epoch);
	}
	else
	{
		Assert(me->owned == 0);
		me->phase = MODERN_JOINING;
		beat(sim, me, 0);
	}
	modern_plan(sim, me);
}

/* It has given up what it had to: takes on the rest, and says so. */
static void
reconcile_end(Sim *sim, Modern *me)
{
	uint64		kept = me->owned & me->target;

	if (kept != me->owned && sim_chance(sim, 700))
		modern_commit(sim, me);
	me->revoking = false;
	me->owned = kept;
	modern_work_on(sim, me, me->target);
	if (me->owned != me->told)
		me->heartbeat_at = sim->now;
}

void
modern_new_wake(Sim *sim, Modern *me)
{
	if (me->phase == MODERN_WORKING)
	{
		if (me->revoking && sim->now >= me->revoked_at)
			reconcile_end(sim, me);
		if (me->asked == 0 && sim->now >= me->heartbeat_at)
			beat(sim, me, me->epoch);
	}
	modern_plan(sim, me);
}

/* It was told what to work on. */
static void
assigned(Sim *sim, Modern *me, const CoordConsumerHeartbeatReply *in)
{
	uint64		target = 0;

	for (int i = 0; i < in->nassigned; i++)
	{
		const CoordTopicPartitions *topic = &in->assigned[i];
		int			t = topic->topic_id.data[0] - 1;
		int			incarnation = topic->topic_id.data[1] + (topic->topic_id.data[2] << 8);

		if (me->incarnation[t] != incarnation)
		{
			/* the partitions of its predecessor are none any more */
			me->owned &= ~MODERN_TOPIC_MASK(t);
			me->incarnation[t] = incarnation;
		}
		for (int p = 0; p < topic->npartitions; p++)
			target |= MODERN_BIT(t, topic->partitions[p]);
	}
	me->target = target;
	if ((me->owned & ~target) == 0)
		reconcile_end(sim, me);
	else if (!me->revoking)
	{
		me->revoking = true;
		me->revoked_at = sim->now + (!sim->calm && sim_chance(sim, 20) ? sim_below(sim, 100000) : sim_below(sim, 2000));
	}
}

void
modern_new_answer(Sim *sim, Modern *me, const SimRequest *request, const CoordReply *reply)
{
	if (request->id != me->asked)
		return;
	me->asked = 0;
	if (reply->error != COORD_NONE)
	{
		me->full = true;
		modern_error(sim, me, reply->error);
		return;
	}
	if (me->phase == MODERN_JOINING)
	{
		me->phase = MODERN_WORKING;
		me->commit_at = sim->now + sim_below(sim, 5000);
		if (reply->u.consumer.nassigned < 0)
			sim_fail(sim, "%s joined and was not told what to work on", me->member_id);
	}
	if (!sim_same(reply->u.consumer.member_id, me->member_id))
		sim_fail(sim, "%s gets an answer for another member", me->member_id);
	me->epoch = reply->u.consumer.member_epoch;
	if (reply->u.consumer.nassigned >= 0)
		assigned(sim, me, &reply->u.consumer);
	modern_plan(sim, me);
}

/* For good, or a static one for a while. */
void
modern_new_leave(Sim *sim, Modern *me)
{
	SimRequest *request = modern_request(sim, me, COORD_EV_CONSUMER_HEARTBEAT, 1);

	request->event.generation = me->is_static && sim_chance(sim, 700) ? -2 : -1;
	request->event.u.consumer = (CoordConsumerHeartbeat)
	{
		.rack_id = COORD_NULL_BYTES,.rebalance_timeout_ms = -1,.nsubscribed = -1,.nowned = -1,
			.subscribed_topic_regex = COORD_NULL_BYTES,.server_assignor = COORD_NULL_BYTES
	};
	sim_send_ordered(sim, request);
}
