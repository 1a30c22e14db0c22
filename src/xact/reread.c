/*-------------------------------------------------------------------------
 *
 * reread.c
 *	  Rows that were appended early, read back from the log.
 *
 * AFTER triggers, deferred constraints and foreign keys ask for rows by marker
 * TID when their bytes may no longer be in memory.  They ask in the order of
 * insertion, so the batch read last is kept, with the place in it.
 *
 * Sibling: pending.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "guc.h"
#include "xact/pending.h"

typedef struct Reread
{
	Oid			relid;
	RelFileLocator locator;
	bool		open;			/* iter is valid */
	PtRecordIter iter;
	PtRecord	record;			/* the last that iter gave */
	char	   *data;			/* bytes of the batch */
	Size		data_cap;
} Reread;

/* In the context of pending rows, or NULL. */
static Reread *reread;

static void close_batch(void);
static bool load_batch(Relation rel, MemoryContext mcxt, int64 offset);
static bool open_batch(Relation rel, MemoryContext mcxt, const char *data, const PtFrame *frame);

/* Forgets what was read; rows may have been rolled back. */
void
pt_reread_forget(void)
{
	reread = NULL;
}

static void
close_batch(void)
{
	if (reread->open)
		pt_record_iter_end(&reread->iter);
	reread->open = false;
}

/* Copies a batch and starts to iterate over it. */
static bool
open_batch(Relation rel, MemoryContext mcxt, const char *data, const PtFrame *frame)
{
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	PtBatchStatus status;

	Assert(!reread->open);
	if (reread->data_cap < frame->head.length)
	{
		if (reread->data)
			pfree(reread->data);
		reread->data = NULL;
		reread->data_cap = 0;
		reread->data = MemoryContextAllocHuge(CurrentMemoryContext, frame->head.length);
		reread->data_cap = frame->head.length;
	}
	memcpy(reread->data, data, frame->head.length);
	status = pt_record_iter_begin(&reread->iter, reread->data, frame->head.length,
								  PT_RECORDS_BYTES_MAX);
	MemoryContextSwitchTo(old);
	if (status != PT_BATCH_OK)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read back a record of \"%s\": %s",
						RelationGetRelationName(rel), pt_batch_status_text(status))));
	reread->open = true;
	reread->relid = RelationGetRelid(rel);
	reread->locator = pt_rel_locator(rel);
	reread->record.offset = -1;
	return true;
}

/* Finds the batch of ours that holds the offset. */
static bool
load_batch(Relation rel, MemoryContext mcxt, int64 offset)
{
	PtReader	reader;
	PtFrame		frame;
	bool		found = false;

	close_batch();
	pt_reader_begin(&reader, rel, NULL);
	pt_reader_seek_offset(&reader, offset);
	while (!found && pt_reader_next(&reader, &frame))
	{
		if (pt_batch_next_offset(&frame.batch) > offset && frame.batch.base_offset <= offset &&
			pt_frame_visible(&reader, &frame, NULL) == PT_VISIBLE)
			found = open_batch(rel, mcxt, pt_reader_batch(&reader, &frame), &frame);
	}
	pt_reader_end(&reader);
	return found;
}

/*
 * Row number i of the relation, which is in the log; false when it is not
 * found there.  What the row points to stays until the next call.
 */
bool
pt_pending_reread(Relation rel, PtPendingRel *p, int64 i, PtRecord *row)
{
	int			lo = 0;
	int			hi = p->nruns;
	const PtPendingRun *run;
	int64		offset;

	Assert(i >= 0 && i < p->base);
	while (hi - lo > 1)
	{
		int			mid = lo + (hi - lo) / 2;

		if (p->runs[mid].first <= i)
			lo = mid;
		else
			hi = mid;
	}
	run = &p->runs[lo];
	if (p->nruns == 0 || i < run->first || i >= run->first + run->n)
		return false;
	offset = run->offset + (i - run->first);

	if (reread == NULL)
		reread = MemoryContextAllocZero(p->arena.mcxt, sizeof(Reread));
	if (!reread->open || !RelFileLocatorEquals(reread->locator, pt_rel_locator(rel)) ||
		offset <= reread->record.offset || offset >= pt_batch_next_offset(&reread->iter.header))
	{
		if (!load_batch(rel, p->arena.mcxt, offset))
			return false;
	}
	while (reread->record.offset < offset)
	{
		if (pt_record_iter_next(&reread->iter, &reread->record) != PT_BATCH_OK)
			return false;
	}
	*row = reread->record;
	return reread->record.offset == offset;
}
