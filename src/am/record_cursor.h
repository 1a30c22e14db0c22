/*-------------------------------------------------------------------------
 *
 * record_cursor.h
 *	  A cursor over the records of a log that a snapshot sees.
 *
 * This is the one place where the access methods decide what is visible and
 * decode batches; scan.c, fetch.c, position.c and index_build.c are thin
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

/* Where a cursor is. */
typedef enum PtRowsAt
{
	PT_ROWS_START,				/* before the first row */
	PT_ROWS_ON,					/* on a row */
	PT_ROWS_END					/* behind the last one */
} PtRowsAt;

/* A cursor.  record_cursor.c changes it; others only read it. */
typedef struct PtRows
{
	Relation	rel;
	Snapshot	snapshot;		/* NULL: sees what is committed now, and our
								 * own rows */
	MemoryContext mcxt;			/* has everything below */
	PtReader	reader;
	int32		partition;		/* number of the partition; the first column
								 * of a row */
	PtRowsAt	at;
	/* bounds */
	int64		start_offset;	/* rows before it have been removed */
	PtLogPos	limit;			/* own frames from here on were appended after
								 * the cursor was opened */
	PtLogPos	own_end;		/* own frames from here on are hidden, because
								 * frames of others before them are; 0: not
								 * known yet */
	int64		from_ordinal;	/* frames that begin before it belong to
								 * another worker */
	int64		stop_ordinal;	/* likewise those from here on */
	/* the frame of the current row */
	PtFrame		frame;
	bool		behind;			/* the reader is behind the frame, not before
								 * it */
	bool		open;			/* iter and record are valid */
	PtRecordIter iter;
	PtRecord	record;			/* the current row */
	int			current;		/* its index in the batch; -1: before the
								 * first */
	PtRecord   *records;		/* all records of the batch, if has_all */
	int			records_cap;	/* allocated length of records[] */
	bool		has_all;
	PtRowBuffer buf;			/* memory for the values of the stored row */
} PtRows;

/* The contracts of all functions are in record_cursor.c. */
extern void pt_rows_begin(PtRows *rows, Relation rel, Snapshot snapshot, BufferAccessStrategy strategy);
extern void pt_rows_hold(PtRows *rows);
extern void pt_rows_end(PtRows *rows);

extern void pt_rows_reset(PtRows *rows, PtRowsAt at);

extern void pt_rows_set_snapshot(PtRows *rows, Snapshot snapshot);

extern bool pt_rows_next(PtRows *rows);
extern bool pt_rows_prev(PtRows *rows);

extern void pt_rows_seek_piece(PtRows *rows, int64 from_ordinal, int64 stop_ordinal);

extern void pt_rows_seek_timestamp(PtRows *rows, int64 timestamp);

extern bool pt_rows_first_from(PtRows *rows, int64 offset);
extern bool pt_rows_last_upto(PtRows *rows, int64 offset);

extern bool pt_rows_find(PtRows *rows, int64 ordinal, PtVisibility *why, TransactionId *xid);

extern bool pt_rows_first_ordinal(PtRows *rows, int64 ordinal);

extern int64 pt_rows_end_ordinal(PtRows *rows);

/* about the current row */
extern int64 pt_rows_ordinal(const PtRows *rows);
extern void pt_rows_store(PtRows *rows, TupleTableSlot *slot);

#endif							/* PT_AM_RECORD_CURSOR_H */
