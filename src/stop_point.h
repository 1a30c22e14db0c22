/*-------------------------------------------------------------------------
 *
 * stop_point.h
 *	  Places at which a test can make a process stand still.
 *
 * A race shows when one process stands at a certain place while another one
 * goes on, and a crash is a crash at some place.  PT_STOP_POINT names such a
 * place.  Nothing happens there unless a module has put a function into the
 * server's rendezvous variable PT_STOP_POINTS, which only that of the tests
 * does (test/lib/points.c); else it costs a load and a comparison.  So it is
 * for places that are passed once per batch, page run or step, not once per
 * record.
 *
 * A point may lie where locks are held, or in a critical section; never where
 * a spinlock is.  Names are those of the room or the file and of what has just
 * been done, "trim.flushed"; a name occurs once.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_STOP_POINT_H
#define PT_STOP_POINT_H

#include "postgres.h"

#define PT_STOP_POINTS	"pgtopic stop points"

typedef void (*PtStopPointHook) (const char *name);

extern PtStopPointHook *pt_stop_point_hook;
extern void pt_stop_points_register(void);

#define PT_STOP_POINT(name) \
	do { \
		if (unlikely(*pt_stop_point_hook != NULL)) \
			(*pt_stop_point_hook) (name); \
	} while (0)

#endif							/* PT_STOP_POINT_H */
