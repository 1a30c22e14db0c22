/*-------------------------------------------------------------------------
 *
 * live.c
 *	  Which records compaction has left, for VACUUM of indexes.
 *
 * An index entry has the ordinal of its record.  In the part of a log that is
 * compacted, records may be missing; behind it none is.  So the ordinals that
 * are there are put into a set, a range of the log at a time, as far as
 * maintenance_work_mem goes, and the entries of that range that are not in the
 * set are dead.
 *
 * Siblings: vacuum.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/internal.h"
#include "am/live.h"

static void add_frame(PtLiveRecords *live, PtFrame *frame);

/*
 * Begins with an empty range.  The caller has the relation locked against
 * compaction (ShareUpdateExclusiveLock).
 */
void
pt_live_begin(PtLiveRecords *live, Relation rel, BufferAccessStrategy strategy)
{
	PtLogInfo	info;

	memset(live, 0, sizeof(*live));
	pt_log_info(rel, &info);
	pt_log_view(rel, &live->view);
	live->rel = rel;
	live->compacted = info.swapped > 0;
	live->clean_offset = info.clean_offset;
	live->to = live->view.start_ordinal;
	live->mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic live records", ALLOCSET_DEFAULT_SIZES);
	pt_reader_begin(&live->reader, rel, strategy);
}

/*
 * Adds the records of a batch, in order.
 */
static void
add_frame(PtLiveRecords *live, PtFrame *frame)
{
	PtRecordIter it;
	PtRecord	record;
	PtBatchStatus status;

	if (frame->batch.record_count == (int32) frame->head.ordinals)
	{
		for (uint32 i = 0; i < frame->head.ordinals; i++)
			intset_add_member(live->set, (uint64) frame->head.base_ordinal + i);
		return;
	}
	status = pt_record_iter_begin(&it, pt_reader_batch(&live->reader, frame), frame->head.length, PT_RECORDS_BYTES_MAX);
	while (status == PT_BATCH_OK && (status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK)
		intset_add_member(live->set, (uint64) (frame->head.base_ordinal + record.offset - frame->batch.base_offset));
	pt_record_iter_end(&it);
	if (status != PT_BATCH_END)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("batch at offset %lld of \"%s\" is corrupt: %s", (long long) frame->batch.base_offset,
						RelationGetRelationName(live->rel), pt_batch_status_text(status))));
}

/*
 * Goes on to the next range.  Returns false if it is the last one.
 */
bool
pt_live_next(PtLiveRecords *live)
{
	uint64		memory = (uint64) maintenance_work_mem * 1024;
	MemoryContext old;

	MemoryContextReset(live->mcxt);
	live->set = NULL;
	live->from = live->to;
	if (!live->compacted)
		return false;
	old = MemoryContextSwitchTo(live->mcxt);
	live->set = intset_create();
	MemoryContextSwitchTo(old);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!live->pending && !pt_reader_next(&live->reader, &live->frame))
			return false;
		live->pending = false;
		if (!pt_frame_is_batch(&live->frame))
			continue;
		live->to = Max(live->to, live->frame.head.base_ordinal);
		if (live->frame.batch.base_offset >= live->clean_offset)
			return false;
		if (intset_memory_usage(live->set) > memory)
		{
			live->pending = true;
			return true;
		}
		if (!(live->frame.head.flags & PT_FRAME_HIDDEN))
			add_frame(live, &live->frame);
		live->to = live->frame.head.base_ordinal + live->frame.head.ordinals;
	}
}

/*
 * Is the record one of the range that is not there?
 */
bool
pt_live_is_dead(const PtLiveRecords *live, ItemPointer tid)
{
	int64		ordinal = pt_tid_to_ordinal(tid, live->view.start_ordinal);

	return ordinal >= live->from && ordinal < live->to && !intset_is_member(live->set, (uint64) ordinal);
}

/*
 * Frees what it has.
 */
void
pt_live_end(PtLiveRecords *live)
{
	pt_reader_end(&live->reader);
	MemoryContextDelete(live->mcxt);
}
