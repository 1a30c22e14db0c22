/*-------------------------------------------------------------------------
 *
 * timers.c
 *	  Deadlines: a binary heap of intrusive timers.
 *
 * Timers fire in the order of their deadlines.  Timers with the same deadline
 * fire in the order in which they were armed, so that the events alone decide
 * what happens.  Each heartbeat moves a timer, in a heap that may have
 * thousands; this costs a few comparisons, because the timer is near the
 * leaves already.
 *
 * Siblings: timers.h, step.c (TICK).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

#define FIRST_SLOTS 64			/* first size of the heap */

/*
 * The order of the heap: by deadline, then by when they were armed.
 */
static inline bool
timer_before(const CoordTimer *a, const CoordTimer *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

/*
 * Puts a timer at index i.
 */
static inline void
heap_put(CoordGroups *groups, int i, CoordTimer *timer)
{
	groups->heap[i] = timer;
	timer->slot = i + 1;
}

/*
 * Moves the timer at index i up or down to its place.
 */
static void
heap_sift(CoordGroups *groups, int i)
{
	CoordTimer *timer = groups->heap[i];

	while (i > 0 && timer_before(timer, groups->heap[(i - 1) / 2]))
	{
		heap_put(groups, i, groups->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= groups->nheap)
			break;
		if (child + 1 < groups->nheap && timer_before(groups->heap[child + 1], groups->heap[child]))
			child++;
		if (!timer_before(groups->heap[child], timer))
			break;
		heap_put(groups, i, groups->heap[child]);
		i = child;
	}
	heap_put(groups, i, timer);
}

/*
 * Arms a timer for the time "at" (ms), or moves one that is armed.
 */
void
coord_timer_arm(CoordGroups *groups, CoordTimer *timer, int64 at,
				void (*fire) (CoordGroups *groups, CoordTimer *timer))
{
	Assert(fire != NULL);
	timer->at = at;
	timer->seq = ++groups->timer_seq;
	timer->fire = fire;
	if (timer->slot == 0)
	{
		if (groups->nheap == groups->heap_cap)
		{
			int			cap = Max(groups->heap_cap * 2, FIRST_SLOTS);
			CoordTimer **heap = coord_alloc(groups, cap * sizeof(CoordTimer *));

			if (groups->nheap > 0)
				memcpy(heap, groups->heap, groups->nheap * sizeof(CoordTimer *));
			coord_free(groups, groups->heap);
			groups->heap = heap;
			groups->heap_cap = cap;
		}
		heap_put(groups, groups->nheap++, timer);
	}
	Assert(groups->heap[timer->slot - 1] == timer);
	heap_sift(groups, timer->slot - 1);
}

/*
 * Disarms a timer.  Does nothing if it is not armed.
 */
void
coord_timer_cancel(CoordGroups *groups, CoordTimer *timer)
{
	int			i = timer->slot - 1;
	CoordTimer *last;

	if (i < 0)
		return;
	Assert(i < groups->nheap && groups->heap[i] == timer);
	timer->slot = 0;
	last = groups->heap[--groups->nheap];
	if (last != timer)
	{
		heap_put(groups, i, last);
		heap_sift(groups, i);
	}
}

/*
 * Fires all timers that are due.  A timer that is armed meanwhile waits for
 * the next tick even if it is due, so that one which arms itself again and
 * again cannot keep the coordinator busy.
 */
void
coord_timers_run(CoordGroups *groups)
{
	uint64		newest = groups->timer_seq;

	while (groups->nheap > 0)
	{
		CoordTimer *timer = groups->heap[0];

		Assert(timer->slot == 1);
		if (timer->at > groups->now || timer->seq > newest)
			break;
		coord_timer_cancel(groups, timer);
		timer->fire(groups, timer);
	}
}

/*
 * Returns when the next timer is due, in ms; PG_INT64_MAX if there is none.
 */
int64
coord_next_deadline(const CoordGroups *groups)
{
	return groups->nheap == 0 ? PG_INT64_MAX : groups->heap[0]->at;
}
