/*-------------------------------------------------------------------------
 *
 * writeback.h
 *	  Completed extents on their way to the log writer process.
 *
 * Whoever completes an extent pushes it; the log writer writes its pages in
 * block order as soon as their WAL is flushed, so that neither a listener that
 * needs a buffer nor the checkpointer has to.  This is a help only: what does
 * not fit into the queue stays dirty and is written as any page is.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_IO_WRITEBACK_H
#define PT_IO_WRITEBACK_H

#include "compat.h"

#include "access/xlogdefs.h"
#include "storage/latch.h"

#include "log/page.h"

typedef struct PtWriteback
{
	RelFileLocator locator;
	uint64		extent;			/* logical */
	BlockNumber first;			/* its first block */
	XLogRecPtr	lsn;			/* no page of it is newer */
	Buffer		buffers[PT_EXTENT_BLOCKS];	/* where the pages were last; hints */
} PtWriteback;

extern Size pt_logwriter_shmem_size(void);
extern void pt_logwriter_shmem_init(void);

/* bufs: PT_EXTENT_BLOCKS of them, InvalidBuffer where unknown.  Never waits, never throws. */
extern void pt_logwriter_push(const RelFileLocator *locator, uint64 extent, BlockNumber first, const Buffer *bufs,
							  XLogRecPtr lsn);

/* Takes the oldest extent whose WAL is durable up to "flushed"; false: there is none. */
extern bool pt_logwriter_pop(XLogRecPtr flushed, PtWriteback *extent);

/* Writes what is dirty of an extent; see extent_write.c. */
extern void pt_extent_write(const PtWriteback *extent);

/* Extents in the queue. */
extern uint32 pt_logwriter_count(void);

/* The latch to set when there is work; NULL when the log writer ends. */
extern void pt_logwriter_attach(Latch *latch);
extern void pt_logwriter_wake(void);

#endif							/* PT_IO_WRITEBACK_H */
