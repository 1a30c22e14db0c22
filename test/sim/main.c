/*-------------------------------------------------------------------------
 *
 * main.c
 *	  Runs worlds, one seed after the other, until there were enough steps.
 *
 *	    sim [--seed N] [--steps N] [--trace] [--counts]
 *
 * A world that goes wrong names its seed: --seed with it and --steps 1 shows that world
 * alone, --trace all that happens in it; --counts, what was answered how often.
 *
 * Siblings: sim.h, world.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include <getopt.h>
#include <time.h>

#define WORLD_STEPS 2500		/* of a world, before it is calm */

/* By type, state of the group before, and error. */
static uint64 counts[COORD_EV_DELETE + 1][COORD_DEAD + 1][256];

void
sim_count(const CoordReply *reply, CoordState before)
{
	Assert(reply->error >= 0 && reply->error < 256);
	counts[reply->type][before][reply->error]++;
}

/* What has happened, so that one can see what has not. */
static void
counts_print(void)
{
	static const char *const types[] = {"tick", "topics", "join", "sync", "heartbeat", "leave",
	"consumer heartbeat", "commit", "fetch", "delete"};

	StaticAssertStmt(lengthof(types) == lengthof(counts), "every event has a name");
	for (int t = 0; t < lengthof(counts); t++)
	{
		for (int s = 0; s <= COORD_DEAD; s++)
		{
			for (int e = 0; e < 256; e++)
			{
				if (counts[t][s][e] > 0)
					printf("# %s in %s: error %d, %llu times\n", types[t], coord_state_name(s), e,
						   (unsigned long long) counts[t][s][e]);
			}
		}
	}
}

void
sim_trace(const Sim *sim, const char *fmt,...)
{
	va_list		args;

	if (!sim->trace)
		return;
	printf("# %10lld ", (long long) sim->now);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void
sim_fail(const Sim *sim, const char *fmt,...)
{
	va_list		args;

	printf("not ok 1 - seed %llu, step %llu, at %lld ms: ", (unsigned long long) sim->seed,
		   (unsigned long long) sim->steps, (long long) sim->now);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n# to see it again: test/sim/run --seed %llu --steps 1 --trace\n", (unsigned long long) sim->seed);
	fflush(stdout);
	abort();
}

/* Returns its number of steps. */
static uint64
world(uint64 seed, bool trace, uint64 *digest)
{
	Sim		   *sim = pg_malloc0(sizeof(Sim));
	uint64		steps;

	sim->trace = trace;
	sim_run(sim, seed, WORLD_STEPS);
	steps = sim->steps;
	*digest = sim->digest;
	sim_end(sim);
	pg_free(sim);
	return steps;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'},
		{"trace", no_argument, NULL, 't'},
		{"counts", no_argument, NULL, 'c'},
		{NULL, 0, NULL, 0}
	};
	uint64		seed = (uint64) time(NULL) * 1000003;
	uint64		first;
	uint64		want = 1000000;
	uint64		steps = 0;
	uint64		digest;
	uint64		again;
	bool		trace = false;
	bool		show_counts = false;
	int			c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (c == 'n')
			want = strtoull(optarg, NULL, 10);
		else if (c == 't')
			trace = true;
		else if (c == 'c')
			show_counts = true;
		else
			return 2;
	}
	first = seed;
	printf("# first seed %llu\n", (unsigned long long) first);
	fflush(stdout);
	do
		steps += world(seed++, trace, &digest);
	while (steps < want);
	if (show_counts)
		counts_print();
	printf("ok 1 - %llu steps in %llu worlds\n", (unsigned long long) steps, (unsigned long long) (seed - first));

	/* the same seed must give the same world */
	steps = world(seed - 1, false, &again);
	printf("%sok 2 - a seed decides everything\n1..2\n", again == digest ? "" : "not ");
	return again == digest ? 0 : 1;
}
