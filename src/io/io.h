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
extern int	pt_pages_read(const RelFileLocator *locator, BlockNumber first, char *to, int n, int wanted,
						  bool written, Buffer *recent);

/* at_hand.c: for who must not wait for the disk */
#define PT_NOT_AT_HAND			(-1)
#define PT_ERRCODE_NOT_AT_HAND	MAKE_SQLSTATE('P', 'T', '0', '0', '1')
extern bool pt_at_hand_only;
extern bool pt_block_at_hand(const RelFileLocator *locator, BlockNumber block);
extern void pt_need_at_hand(const RelFileLocator *locator, BlockNumber block);

#endif							/* PT_IO_H */
