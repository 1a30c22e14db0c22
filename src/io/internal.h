/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What only the files of this room share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_IO_INTERNAL_H
#define PT_IO_INTERNAL_H

#include "storage/buf.h"

#include "io/io.h"

/* segment.c: files that we open ourselves. */
typedef struct PtSegment
{
	bool		open;
	int			fd;
	RelFileLocator locator;
	BlockNumber segno;
	bool		must_wait;		/* its file system cannot read without waiting */
} PtSegment;

extern PtSegment *pt_segment_open(const RelFileLocator *locator, BlockNumber block);
extern char *pt_segment_path(RelFileLocator locator, BlockNumber segno);

/* pages_read.c */
extern Buffer pt_buffer_of(const RelFileLocator *locator, BlockNumber block);

/* at_hand.c */
extern int	pt_read_at_hand(const RelFileLocator *locator, BlockNumber first, void *const *pages, int n, int wanted);

#endif							/* PT_IO_INTERNAL_H */
