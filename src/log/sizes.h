/*-------------------------------------------------------------------------
 *
 * sizes.h
 *	  How large the parts of a log's file are.
 *
 * Included by page.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_SIZES_H
#define PT_LOG_SIZES_H

#include "postgres.h"

/* With PT_TINY a test comes over all boundaries with little data. */
#ifndef PT_TINY
#define PT_EXTENT_BLOCKS		128 /* 1 MiB with 8-KiB blocks */
#define PT_DIR_PER_PAGE			200
#define PT_DIR_INLINE			128
#define PT_MAP_EXTENTS			500 /* physical extents on one map page */
#define PT_SWAP_EXTENTS			256 /* that one SWAP makes holes, or puts in */
#define PT_SWAP_DIR				6	/* directory pages that it changes */
#define PT_SWAP_MAP				24	/* map pages */
#define PT_GROUP_EXTENTS		64	/* that compaction takes together */
#define PT_GROUP_MAPS			12	/* their map pages; more are written to */
#else
#define PT_EXTENT_BLOCKS		8
#define PT_DIR_PER_PAGE			5
#define PT_DIR_INLINE			3
#define PT_MAP_EXTENTS			7
#define PT_SWAP_EXTENTS			24
#define PT_SWAP_DIR				12
#define PT_SWAP_MAP				18
#define PT_GROUP_EXTENTS		12
#define PT_GROUP_MAPS			8
#endif
#define PT_DIR_EXTENTS			512 /* 512 * 128 * 200 extents: 12.5 TiB */
#define PT_DIR_ENTRIES \
	(PT_DIR_INLINE + (uint64) PT_DIR_EXTENTS * PT_EXTENT_BLOCKS * PT_DIR_PER_PAGE)

#endif							/* PT_LOG_SIZES_H */
