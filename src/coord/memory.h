/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  The memory of the coordinator, and how bytes are kept in it.
 *
 * Everything that is kept is from coord_alloc, which counts it.  coord_free
 * only puts a block aside until the next step begins, so that replies may
 * point to whatever was there when they were made.
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
extern void coord_free(CoordGroups *groups, void *ptr); /* NULL is fine */

/* Not zeroed */
extern void *coord_step_alloc(CoordGroups *groups, size_t size);

/* A copy */
extern CoordBytes coord_step_bytes(CoordGroups *groups, CoordBytes bytes);
extern void coord_step_reset(CoordGroups *groups);

#endif							/* COORD_MEMORY_H */
