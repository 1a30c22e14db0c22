/*-------------------------------------------------------------------------
 *
 * record_cursor.h
 *	  A cursor over the records of a log that a snapshot sees.
 *
 * The one place where the access methods decide what is visible and take
 * batches apart; scan.c, fetch.c, position.c and index_build.c are all thin
 * layers over it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AM_RECORD_CURSOR_H
#define PT_AM_RECORD_CURSOR_H

#include "log/log.h"
#include "topic/slot.h"

typedef enum PtRowsAt
{
	PT_ROWS_START,				/* before the first row */
	PT_ROWS_ON,					/* on a row */
	PT_ROWS_END					/* behind the last one */
} PtRowsAt;

typedef struct PtRows
{
	Relation	rel;
	Snapshot	snapshot;		/* NULL: what is committed now, and our own */
	MemoryContext mcxt;			/* of everything below */
	PtReader	reader;
	int32		partition;
	PtRowsAt	at;
	/* bounds */
	int64		start_offset;	/* rows before it have been deleted */
	PtLogPos	limit;			/* own frames from here on came after the
								 * cursor */
	PtLogPos	own_end;		/* own frames from here on are hidden by
								 * others' before them; 0: not looked up yet */
	PtLogPos	stop;			/* frames from here on are another worker's */
	/* the frame of the current row */
	PtFrame		frame;
	bool		behind;			/* the reader stands behind it, not before */
	bool		open;			/* iter and record are of it */
	PtRecordIter iter;
	PtRecord	record;			/* the current row */
	int			current;		/* its index in the batch, -1: before the
								 * first */
	PtRecord   *records;		/* all of the batch, when has_all */
	int			records_cap;
	bool		has_all;
	PtRowBuffer buf;
} PtRows;

/* Memory is of the current context; the relation stays open and locked. */
extern void pt_rows_begin(PtRows *rows, Relation rel, Snapshot snapshot, BufferAccessStrategy strategy);
extern void pt_rows_end(PtRows *rows);

extern void pt_rows_reset(PtRows *rows, PtRowsAt at);

/* Has the snapshot changed?  (An index fetch may be used with several.) */
extern void pt_rows_set_snapshot(PtRows *rows, Snapshot snapshot);

/* To the next row, or the one before; false when there is none. */
extern bool pt_rows_next(PtRows *rows);
extern bool pt_rows_prev(PtRows *rows);

extern void pt_rows_seek_extent(PtRows *rows, uint64 extent);

extern void pt_rows_seek_timestamp(PtRows *rows, int64 timestamp);

/* To the first row at or behind an offset; to the last one at or before it. */
extern bool pt_rows_first_from(PtRows *rows, int64 offset);
extern bool pt_rows_last_upto(PtRows *rows, int64 offset);

extern bool pt_rows_find(PtRows *rows, int64 ordinal, PtVisibility *why, TransactionId *xid);

extern bool pt_rows_first_ordinal(PtRows *rows, int64 ordinal);

extern int64 pt_rows_end_ordinal(PtRows *rows);

/* About the current row. */
extern int64 pt_rows_ordinal(const PtRows *rows);
extern void pt_rows_store(PtRows *rows, TupleTableSlot *slot);

#endif							/* PT_AM_RECORD_CURSOR_H */
