/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Records of one partition for SQL functions, under a snapshot.
 *
 * Siblings: wait.c (for more of them), consume.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/snapmgr.h"

#include "guc.h"
#include "fetch/internal.h"

typedef struct Read
{
	Relation	rel;
	int64		offset;			/* of the next record wanted */
	int			max;
	int			n;				/* given so far */
	PtRecordCallback callback;
	void	   *arg;
} Read;

/* Gives the wanted records of one batch. */
static void
read_batch(Read *read, const char *data, const PtFrame *frame)
{
	PtRecordIter it;
	PtRecord	record;
	PtBatchStatus status = pt_record_iter_begin(&it, data, frame->head.length, PT_RECORDS_BYTES_MAX);

	while (status == PT_BATCH_OK && read->n < read->max)
	{
		status = pt_record_iter_next(&it, &record);
		if (status == PT_BATCH_OK && record.offset >= read->offset)
		{
			read->callback(read->arg, &record);
			read->n++;
			read->offset = record.offset + 1;
		}
	}
	if (status != PT_BATCH_OK && status != PT_BATCH_END)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("records of \"%s\" from offset %lld on cannot be read: %s",
						RelationGetRelationName(read->rel), (long long) read->offset, pt_batch_status_text(status)),
				 errhint("Go on from offset %lld.", (long long) pt_batch_next_offset(&frame->batch))));
	pt_record_iter_end(&it);
	if (read->n < read->max)
		read->offset = pt_batch_next_offset(&frame->batch);
}

/*
 * Reads up to max records from offset on; returns how many, *next is the
 * offset to go on from.  What retention has removed, and what was given up as
 * lost, is passed over: the first record is then a later one.
 */
int
pt_read_records(Relation rel, Snapshot snapshot, int64 offset, int max,
				PtRecordCallback callback, void *arg, int64 *next)
{
	Read		read = {.rel = rel,.offset = offset,.max = max,.callback = callback,.arg = arg};
	PtReader	reader;
	PtFrame		frame;

	Assert(max > 0 && offset >= 0);
	Assert(snapshot != InvalidSnapshot);
	PredicateLockRelation(rel, snapshot);
	pgstat_count_heap_scan(rel);
	pt_reader_begin(&reader, rel, NULL);
	read.offset = Max(offset, reader.view.start_offset);
	pt_reader_seek_offset(&reader, read.offset);
	while (read.n < max && pt_reader_next(&reader, &frame))
	{
		PtVisibility v = pt_frame_visible(&reader, &frame, snapshot);

		CHECK_FOR_INTERRUPTS();
		if (v == PT_IN_PROGRESS)
			break;
		if (pt_frame_is_lost(&frame))
			read.offset = Max(read.offset, pt_batch_next_offset(&frame.batch));
		else if (v == PT_VISIBLE && pt_batch_next_offset(&frame.batch) > read.offset)
			read_batch(&read, pt_reader_batch(&reader, &frame), &frame);
	}
	pt_reader_end(&reader);
	Assert(read.n <= max && read.offset >= offset);
	*next = read.offset;
	return read.n;
}
