/*-------------------------------------------------------------------------
 *
 * aborted.c
 *	  Runs of aborted frames at the tail of a log.
 *
 * After an abort the next append has to know which offset follows: that of the
 * last frame that is committed or its own.  A storm of aborts leaves many
 * frames at the tail, and each append would go back over all of them.  So the
 * state of a log remembers runs of them, and none is looked at twice: an
 * aborted frame stays aborted.  Runs that meet become one.  There is more than
 * one where savepoints are rolled back behind frames that live;
 * PT_ABORTED_RUNS are enough for that many levels.
 *
 * The fields belong to who holds the append lock, like all of the tail.
 *
 * Siblings: state.c, which settles the tail.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

/* The run that a frame at pos is in, or NULL. */
const PtAborted *
pt_aborted_run(const PtLogState *state, PtLogPos pos)
{
	for (int i = 0; i < PT_ABORTED_RUNS; i++)
	{
		if (pos >= state->tail_aborted[i].from && pos < state->tail_aborted[i].to)
			return &state->tail_aborted[i];
	}
	return NULL;
}

/*
 * Adds a run at the end, in the place of those that it holds, else of the
 * first.
 */
void
pt_aborted_add(PtLogState *state, PtLogPos from, PtLogPos to)
{
	PtAborted  *runs = state->tail_aborted;
	int			n = 0;

	Assert(from < to);
	for (int i = 0; i < PT_ABORTED_RUNS; i++)
	{
		if (runs[i].to > 0 && runs[i].from < from)
			runs[n++] = runs[i];
	}
	Assert(n == 0 || runs[n - 1].to <= from);
	if (n == PT_ABORTED_RUNS)
		memmove(runs, runs + 1, --n * sizeof(PtAborted));
	runs[n++] = (PtAborted)
	{
		.from = from,.to = to
	};
	memset(runs + n, 0, (PT_ABORTED_RUNS - n) * sizeof(PtAborted));
}
