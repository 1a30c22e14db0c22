/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  A count that belongs to one life of a worker.
 *
 * Others count in a worker's shared entry what they give to it.  The worker
 * may end and start again between their look at the entry, their counting and
 * their taking back, and its count begins at 0 then.  So one word holds the
 * count and the number of the worker's life, and counting for a life that is
 * over does nothing.
 *
 * Siblings: shared.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_TALLY_H
#define PT_SERVER_TALLY_H

#include "c.h"

#define PT_TALLY_COUNT_BITS	48
#define PT_TALLY_COUNT_MASK	((UINT64CONST(1) << PT_TALLY_COUNT_BITS) - 1)

/* The life that a tally is of; 0 before the first. */
static inline uint16
pt_tally_life(uint64 tally)
{
	return (uint16) (tally >> PT_TALLY_COUNT_BITS);
}

static inline uint64
pt_tally_count(uint64 tally)
{
	return tally & PT_TALLY_COUNT_MASK;
}

/* The tally of the next life: nothing is counted yet. */
static inline uint64
pt_tally_next(uint64 tally)
{
	uint16		life = pt_tally_life(tally) + 1;

	return (uint64) (life != 0 ? life : 1) << PT_TALLY_COUNT_BITS;
}

/* Adds n, which may be negative, for a life; false: that life is over. */
static inline bool
pt_tally_add(uint64 tally, uint16 life, int64 n, uint64 *sum)
{
	if (pt_tally_life(tally) != life)
		return false;
	Assert(n >= 0 || pt_tally_count(tally) >= (uint64) -n);
	Assert(n <= 0 || pt_tally_count(tally) + n <= PT_TALLY_COUNT_MASK);
	*sum = tally + n;
	return true;
}

#endif							/* PT_SERVER_TALLY_H */
