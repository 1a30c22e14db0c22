/*-------------------------------------------------------------------------
 *
 * modern_topics.c
 *	  The topics that consumers of either protocol read, and how they change.
 *
 * Siblings: modern.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "modern.h"

const char *
modern_topic_name(int topic)
{
	static const char *const names[SIM_TOPICS] = {"t0", "t1", "t2", "t3"};

	return names[topic];
}

/* -1: there is no topic of that name. */
int
modern_topic_number(CoordBytes name)
{
	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if (sim_same(name, modern_topic_name(t)))
			return t;
	}
	return -1;
}

CoordUuid
modern_topic_id(const Sim *sim, int topic)
{
	CoordUuid	id = {{0}};

	id.data[0] = topic + 1;
	id.data[1] = sim->topics[topic].incarnation & 0xFF;
	id.data[2] = sim->topics[topic].incarnation >> 8;
	return id;
}

/* What there is of a topic. */
uint64
modern_topic_partitions(const Sim *sim, int topic)
{
	int			n = sim->topics[topic].npartitions;

	return n <= 0 ? 0 : ((UINT64CONST(1) << n) - 1) << (topic * MODERN_PARTS);
}

/* Changes when any of them does. */
uint64
modern_topics_digest(const Sim *sim)
{
	uint64		digest = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
		digest = digest * 1000003 + sim->topics[t].incarnation * 100 + sim->topics[t].npartitions;
	return digest;
}

/* All partitions of what a consumer subscribes to. */
uint64
modern_subscribed(const Sim *sim, const Modern *me)
{
	uint64		all = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if (me->by_regex || (me->topics & (1 << t)) != 0)
			all |= modern_topic_partitions(sim, t);
	}
	return all;
}

/* What a consumer works on, without what belongs to topics that are gone. */
uint64
modern_held(const Sim *sim, const Modern *me)
{
	uint64		held = 0;

	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if (me->incarnation[t] == sim->topics[t].incarnation)
			held |= me->owned & modern_topic_partitions(sim, t);
	}
	return held;
}

/* Of topics that exist. */
uint64
modern_mask(const Sim *sim, const CoordTopicPartitions *list, int n)
{
	uint64		mask = 0;

	for (int i = 0; i < n; i++)
	{
		int			topic = list[i].topic_id.data[0] - 1;
		CoordUuid	id;

		if (topic < 0 || topic >= SIM_TOPICS)
			sim_fail(sim, "a topic that never was");
		id = modern_topic_id(sim, topic);
		if (memcmp(&id, &list[i].topic_id, sizeof(id)) != 0)
			continue;
		for (int j = 0; j < list[i].npartitions; j++)
		{
			uint64		bit = MODERN_BIT(topic, list[i].partitions[j]);

			if (list[i].partitions[j] < 0 || list[i].partitions[j] >= MODERN_PARTS || (mask & bit) != 0)
				sim_fail(sim, "partition %d of topic %d comes twice or is none", list[i].partitions[j], topic);
			mask |= bit;
		}
	}
	return mask;
}

/* Tell the coordinator what topics there are. */
void
sim_topics_tell(Sim *sim)
{
	CoordTopic	list[SIM_TOPICS];
	CoordEvent	event = {.type = COORD_EV_TOPICS};

	event.u.topics.topics = list;
	for (int t = 0; t < SIM_TOPICS; t++)
	{
		if (sim->topics[t].npartitions >= 0)
			list[event.u.topics.ntopics++] = (CoordTopic) {
				modern_topic_id(sim, t), sim_string(modern_topic_name(t)), sim->topics[t].npartitions
			};
	}
	sim_step(sim, &event);
}

void
sim_topics_make(Sim *sim)
{
	for (int t = 0; t < SIM_TOPICS; t++)
		sim->topics[t].npartitions = sim_chance(sim, 700) ? 1 + sim_below(sim, 8) : -1;
}

/* One of them grows, is dropped, is made, or is made anew. */
void
sim_topics_change(Sim *sim)
{
	int			t = sim_below(sim, SIM_TOPICS);
	int			n = sim->topics[t].npartitions;

	if (n < 0 || sim_chance(sim, 300))
	{
		sim->topics[t].incarnation++;
		for (int g = 0; g < sim->ngroups; g++)
		{
			for (int p = 0; p < MODERN_PARTS && sim->group[g].protocols > 0; p++)
				sim->group[g].committed[t * MODERN_PARTS + p] = 0;
		}
		sim->topics[t].npartitions = n >= 0 && sim_chance(sim, 500) ? -1 : 1 + sim_below(sim, 8);
	}
	else
	{
		n += 1 + sim_below(sim, 4);
		sim->topics[t].npartitions = Min(n, MODERN_PARTS);
	}
	sim_trace(sim, "topic %d has %d partitions, incarnation %d", t, sim->topics[t].npartitions, sim->topics[t].incarnation);
	sim_topics_tell(sim);
}
