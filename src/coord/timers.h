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

/*
 * A deadline, part of the structure to which it belongs.  Zeroed memory is a
 * timer that is not armed.
 */
typedef struct CoordTimer
{
	int64		at;				/* ms */
	uint64		seq;			/* of timers with the same deadline the lowest
								 * fires first */
	int			slot;			/* index in the heap + 1; 0: not armed */

	/* called once, when the time has come; the timer is disarmed by then */
	void		(*fire) (CoordGroups *groups, struct CoordTimer *timer);
} CoordTimer;

extern void coord_timer_arm(CoordGroups *groups, CoordTimer *timer, int64 at,
							void (*fire) (CoordGroups *groups, CoordTimer *timer));
extern void coord_timer_cancel(CoordGroups *groups, CoordTimer *timer);
extern void coord_timers_run(CoordGroups *groups);

#endif							/* COORD_TIMERS_H */
