/*-------------------------------------------------------------------------
 *
 * tid.h
 *	  TIDs: ordinals of records, and markers of rows that wait for a commit.
 *
 * Included by page.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_TID_H
#define PT_LOG_TID_H

#include "postgres.h"

#include "storage/itemptr.h"

#define PT_TID_PER_BLOCK		256
#define PT_TID_MARKER_BLOCK		((BlockNumber) 0xF0000000)
#define PT_TID_MODULUS			((int64) PT_TID_MARKER_BLOCK * PT_TID_PER_BLOCK)

static inline void
pt_ordinal_to_tid(int64 ordinal, ItemPointer tid)
{
	int64		n = ordinal % PT_TID_MODULUS;

	ItemPointerSet(tid, (BlockNumber) (n / PT_TID_PER_BLOCK),
				   (OffsetNumber) (n % PT_TID_PER_BLOCK + 1));
}

static inline bool
pt_tid_is_marker(ItemPointer tid)
{
	return ItemPointerGetBlockNumberNoCheck(tid) >= PT_TID_MARKER_BLOCK;
}

/* The ordinal at or above "start" (the log's first) that the TID names. */
static inline int64
pt_tid_to_ordinal(ItemPointer tid, int64 start)
{
	int64		n = (int64) ItemPointerGetBlockNumberNoCheck(tid) * PT_TID_PER_BLOCK +
		ItemPointerGetOffsetNumberNoCheck(tid) - 1;
	int64		base = start - start % PT_TID_MODULUS;

	return base + n >= start ? base + n : base + n + PT_TID_MODULUS;
}

#endif							/* PT_LOG_TID_H */
