/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  Between a record of the log and a tuple slot of its table.
 *
 * The columns of a log are fixed (PtColumn in topic/topic.h), slots are
 * virtual.  The log has timestamps in milliseconds since 1970; what a
 * timestamptz has beyond that is truncated on the way in.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_SLOT_H
#define PT_TOPIC_SLOT_H

#include "executor/tuptable.h"

#include "record/batch.h"
#include "topic/topic.h"

/* Memory for the values of one row at a time. */
typedef struct PtRowBuffer
{
	MemoryContext mcxt;			/* of data */
	char	   *data;			/* NULL: not allocated yet */
	Size		cap;			/* bytes allocated */
} PtRowBuffer;

extern void pt_slot_store(TupleTableSlot *slot, Relation rel, int32 partition,
						  const PtRecord *row, PtRowBuffer *buf);
extern void pt_slot_store_copy(TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row);
extern void pt_slot_read(TupleTableSlot *slot, PtRecord *row);

#endif							/* PT_TOPIC_SLOT_H */
