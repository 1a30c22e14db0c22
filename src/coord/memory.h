/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  The memory of the coordinator.
 *
 * State that outlives a step is allocated with coord_alloc(), which counts it.
 * coord_free() puts a block aside until the next step begins, so that replies
 * may point to state that the step has freed.
 *
 * Siblings: memory.c, internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_MEMORY_H
#define COORD_MEMORY_H

#include "coord/coord.h"

extern void *coord_alloc(CoordGroups *groups, size_t size); /* zeroed */
extern void coord_free(CoordGroups *groups, void *ptr); /* NULL is allowed */

/* Lasts until the next step begins; not zeroed. */
extern void *coord_step_alloc(CoordGroups *groups, size_t size);

/* A copy in memory of the step. */
extern CoordBytes coord_step_bytes(CoordGroups *groups, CoordBytes bytes);
extern void coord_step_reset(CoordGroups *groups);

#endif							/* COORD_MEMORY_H */
