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

/* The most blocks that an extent may have. */
#define PT_WRITEBACK_BLOCKS	128

typedef struct PtWriteback
{
	RelFileLocator locator;
	uint64		extent;			/* its number; means nothing here */
	BlockNumber first;			/* its first block */
	int			nblocks;
	XLogRecPtr	lsn;			/* no page of it is newer */
	Buffer		buffers[PT_WRITEBACK_BLOCKS];	/* where the pages were last;
												 * hints */
} PtWriteback;

extern Size pt_logwriter_shmem_size(void);
extern void pt_logwriter_shmem_init(void);
extern void pt_logwriter_push(const RelFileLocator *locator, uint64 extent, BlockNumber first, int nblocks,
							  const Buffer *bufs, XLogRecPtr lsn);
extern bool pt_logwriter_pop(XLogRecPtr flushed, PtWriteback *extent);
extern uint32 pt_logwriter_count(void);
extern void pt_logwriter_attach(Latch *latch);
extern void pt_logwriter_wake(void);

/* extent_write.c */
extern bool pt_extent_write(const PtWriteback *extent);

#endif							/* PT_IO_WRITEBACK_H */
