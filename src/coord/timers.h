/*-------------------------------------------------------------------------
 *
 * timers.h
 *	  Deadlines; README.md lists the timers and what each does.
 *
 * Siblings: timers.c, internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_TIMERS_H
#define COORD_TIMERS_H

#include "coord/coord.h"

/* Part of what it belongs to.  Zeroed memory is a timer that is not armed. */
typedef struct CoordTimer
{
	int64		at;				/* ms */
	uint64		seq;			/* of equal deadlines the lowest fires first */
	int			slot;			/* 1 + index in the heap, 0: not armed */
	void		(*fire) (CoordGroups *groups, struct CoordTimer *timer);
} CoordTimer;

extern void coord_timer_arm(CoordGroups *groups, CoordTimer *timer, int64 at,
							void (*fire) (CoordGroups *groups, CoordTimer *timer));
extern void coord_timer_cancel(CoordGroups *groups, CoordTimer *timer);
extern void coord_timers_run(CoordGroups *groups);

#endif							/* COORD_TIMERS_H */
