/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  Between a record of the log and a tuple slot of its table.
 *
 * The columns of a log are fixed (PtColumn in topic/topic.h), slots are virtual.
 * The log has timestamps in milliseconds since 1970; what a timestamptz has
 * beyond that is truncated on the way in.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AM_SLOT_H
#define PT_AM_SLOT_H

#include "xact/xact.h"

#include "utils/timestamp.h"

#define PT_NO_PARTITION		(-1)

/* Memory for the by-reference columns of one row at a time. */
typedef struct PtRowBuffer
{
	MemoryContext mcxt;
	char	   *data;
	Size		cap;
} PtRowBuffer;

/*
 * Stores a row.  The slot's values point into the buffer until the next store
 * with the same one.  A negative offset or partition number is shown as null.
 */
extern void pt_slot_store(TupleTableSlot *slot, Relation rel, int32 partition,
						  const PtRecord *row, PtRowBuffer *buf);

/* The same with memory that the slot owns. */
extern void pt_slot_store_copy(TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row);

/*
 * The row that a slot holds, to be written.  Points into the slot, or into
 * memory of the current context where a value had to be detoasted.  A null timestamp is that of
 * the transaction.  ERROR for values that a log cannot hold.
 */
extern void pt_slot_read(TupleTableSlot *slot, PtRecord *row);

/* The number by which a leaf is attached to its topic; PT_NO_PARTITION when it is not. */
extern int32 pt_rel_partition(Relation rel);

extern TimestampTz pt_ms_to_timestamptz(int64 ms);
extern int64 pt_timestamptz_to_ms(TimestampTz timestamp);

#endif							/* PT_AM_SLOT_H */
