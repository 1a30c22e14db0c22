/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  The memory of the coordinator, and how bytes are kept in it.
 *
 * Everything that is kept is from coord_alloc, which counts it.  coord_free only
 * puts a block aside until the next step begins, so that replies may point to whatever was
 * there when they were made.
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
extern void *coord_step_alloc(CoordGroups *groups, size_t size);	/* not zeroed */
extern CoordBytes coord_step_bytes(CoordGroups *groups, CoordBytes bytes);	/* a copy */
extern void coord_step_reset(CoordGroups *groups);

#define coord_bytes_literal(s) ((CoordBytes) {(s), sizeof(s) - 1})

static inline bool
coord_bytes_equal(CoordBytes a, CoordBytes b)
{
	return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
coord_bytes_empty(CoordBytes b)
{
	return b.len <= 0;
}

/* Copies b to *at and moves *at behind it; null stays null. */
static inline CoordBytes
coord_bytes_put(char **at, CoordBytes b)
{
	CoordBytes	copy = {*at, b.len};

	if (b.len > 0)
	{
		memcpy(*at, b.data, b.len);
		*at += b.len;
	}
	return copy;
}

#define coord_bytes_size(b) ((size_t) Max((b).len, 0))

#endif							/* COORD_MEMORY_H */
