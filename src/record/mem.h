/*-------------------------------------------------------------------------
 *
 * mem.h
 *	  Memory of the record room, the same for server and frontend.
 *
 * In the server memory belongs to a context.  A block that grows stays in the
 * context in which it was allocated, whatever the current one is.  In the
 * frontend (unit tests) it is malloc's.  Sizes may exceed MaxAllocSize.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_MEM_H
#define PT_RECORD_MEM_H

#include "record/status.h"

#ifdef FRONTEND
#include "common/fe_memutils.h"
#else
#include "utils/memutils.h"
#include "utils/palloc.h"
#endif

/* Largest size that is asked for; doubling it does not overflow. */
#define PT_MEM_MAX	(SIZE_MAX / 4)

/*
 * Allocates; NULL if there is not enough memory.  The new block is in the
 * memory context of "beside", or in the current one if that is NULL.
 */
static inline char *
pt_mem_try_alloc(const char *beside, size_t size)
{
	int			flags = MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM;

	Assert(size <= PT_MEM_MAX);
#ifndef FRONTEND
	if (beside != NULL)
		return MemoryContextAllocExtended(GetMemoryChunkContext(unconstify(char *, beside)), size, flags);
#endif
	return palloc_extended(size, flags);
}

/*
 * Enlarges a block.  It fails as palloc does, with an error.
 */
static inline char *
pt_mem_resize(char *old, size_t size)
{
	Assert(size <= PT_MEM_MAX);
#ifdef FRONTEND
	return repalloc(old, size);
#else
	return repalloc_huge(old, size);
#endif
}

#endif							/* PT_RECORD_MEM_H */
