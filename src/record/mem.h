/*-------------------------------------------------------------------------
 *
 * mem.h
 *	  Memory of the log room, the same for server and frontend.
 *
 *	  In the server memory belongs to a context; what grows must stay in the
 *	  context where it began, whatever is current by then.  In the frontend
 *	  (unit tests) it is malloc's.  Sizes may exceed MaxAllocSize.
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

/* Largest size asked for; keeps doubling free of overflow. */
#define PT_MEM_MAX	(SIZE_MAX / 4)

/*
 * NULL when there is not enough.  "beside" names the memory in whose context
 * the new piece belongs, NULL: the current one.
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

/* Fails as palloc does. */
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
