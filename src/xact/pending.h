/*-------------------------------------------------------------------------
 *
 * pending.h
 *	  The waiting rows of one relation; for pending.c and reread.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_PENDING_H
#define PT_XACT_PENDING_H

#include "xact/arena.h"
#include "xact/internal.h"

/* A waiting row in memory, followed by the bytes of key, value and headers. */
typedef struct PtPendingRow
{
	int64		offset;			/* explicit, or -1; once appended: where it
								 * went */
	int64		timestamp;		/* ms */
	int32		key_len;		/* -1: null */
	int32		value_len;		/* -1: null */
	int32		headers_len;
	uint32		header_count:31;
	uint32		explicit_offset:1;
} PtPendingRow;

/* Rows from "first" to that of the next segment have these in common. */
typedef struct PtPendingSegment
{
	int64		first;
	int			level;			/* nesting level that added them */
	int			appended;		/* nesting level that appended them, 0: they
								 * wait */
	Size		bytes;
	PtArenaMark mark;			/* of the arena when the segment began */
} PtPendingSegment;

/* Rows [first, first + n) went to offsets from "offset" on. */
typedef struct PtPendingRun
{
	int64		first;
	int64		n;
	int64		offset;
} PtPendingRun;

typedef struct PtPendingRel
{
	Oid			relid;			/* hash key */
	PtArena		arena;			/* of rows; its context has all below */
	int32		max_message_bytes;
	bool		compacted;
	int64		nrows;			/* row numbers given out */
	int64		base;			/* rows before it are in the log only */
	PtPendingRow **rows;		/* row i at [i - base] */
	Size		rows_cap;
	PtPendingSegment *segments; /* neither level nor appended decreases, but
								 * that waiting ones come last */
	int			nsegments;
	Size		segments_cap;
	PtPendingRun *runs;			/* where rows before base went */
	int			nruns;
	Size		runs_cap;
} PtPendingRel;

/* reread.c: rows that are in the log only. */
extern bool pt_pending_reread(Relation rel, PtPendingRel *p, int64 i, PtRecord *row);
extern void pt_reread_forget(void);

#endif							/* PT_XACT_PENDING_H */
