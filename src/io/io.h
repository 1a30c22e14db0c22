/*-------------------------------------------------------------------------
 *
 * io.h
 *	  Blocks of a relation's file, beyond what the server's own calls do.
 *
 * README.md here lists what of the server each of these leans on.  The queue
 * of the log writer is writeback.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_IO_H
#define PT_IO_H

#include "compat.h"

/* reserve.c */
extern void pt_reserve(SMgrRelation reln, BlockNumber from, BlockNumber n);

/* iovec.c */
extern void pt_iovec_read(RelFileLocator locator, BlockNumber from, void **pages, int n);
extern void pt_iovec_write(RelFileLocator locator, BlockNumber from, const void **pages, int n);

/* pages_read.c */
extern char *pt_pages_alloc(int n);
extern int	pt_pages_read(const RelFileLocator *locator, BlockNumber first, char *to, int n, bool written,
						  Buffer *recent);

#endif							/* PT_IO_H */
