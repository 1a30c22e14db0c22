/*-------------------------------------------------------------------------
 *
 * trim.c
 *	  Moving the start of a log: the oldest records go.
 *
 * The start is an offset, the frame that holds it, and the ordinal of its
 * record.  When it lies amid a batch, that batch stays whole: Kafka consumers
 * get all of it and pass over what they did not ask for, SQL shows nothing
 * below the start.
 *
 * No page but the meta page is touched: frames before the start are out of
 * reach because every search and scan begins there.  Extents that hold nothing
 * else are freed afterwards (space.c).
 *
 * Siblings: meta.c (the change and its WAL), state.c (what others see of it),
 * expired.c (what retention does not keep).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "log/internal.h"

static bool find_record(PtReader *r, const PtLogEnd *end, PtLogStart *start);

/*
 * The committed frame that holds start->offset, or the next one that is there.
 */
static bool
find_record(PtReader *r, const PtLogEnd *end, PtLogStart *start)
{
	PtFrame		frame;

	pt_reader_seek_offset(r, start->offset);
	while (pt_reader_next(r, &frame) && frame.pos < end->pos)
	{
		if (pt_batch_next_offset(&frame.batch) <= start->offset ||
			pt_frame_visible(r, &frame, NULL) != PT_VISIBLE)
			continue;
		start->pos = frame.pos;
		start->swapped = frame.swapped;
		start->ordinal = frame.head.base_ordinal + Max(0, start->offset - frame.batch.base_offset);
		return true;
	}
	return false;
}

/*
 * The place behind the last frame before an end; what lies there is aborted,
 * or not committed yet.  The offset is the caller's to say.
 */
bool
pt_trim_find_end(PtReader *r, const PtLogEnd *end, PtLogStart *start)
{
	PtFrame		frame;

	pt_reader_seek_tail(r, end->pos);
	if (!pt_reader_prev(r, &frame))
		return false;
	Assert(frame.next <= end->pos);
	start->pos = end->pos;
	start->swapped = PG_UINT32_MAX; /* is not sealed, and so does not move */
	start->ordinal = frame.head.base_ordinal + frame.head.ordinals;
	return true;
}

/*
 * Finds the place of an offset at or below the committed end; false when the
 * log starts there or later already.  The caller keeps the relation locked
 * (RowExclusiveLock).
 */
bool
pt_trim_find(Relation rel, int64 offset, PtLogStart *start)
{
	PtReader	r;
	PtLogEnd	end;
	bool		found;

	pt_reader_begin(&r, rel, NULL);
	end = r.view.committed;
	if (offset <= r.view.start_offset || offset > end.offset)
	{
		pt_reader_end(&r);
		return false;
	}
	start->offset = offset;
	if (offset < end.offset)
		found = find_record(&r, &end, start);
	else
		found = pt_trim_find_end(&r, &end, start);
	pt_reader_end(&r);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("record with offset %lld of \"%s\" was not found", (long long) offset,
						RelationGetRelationName(rel))));
	Assert(start->pos <= end.pos);
	return true;
}

/*
 * Compaction has put the frame elsewhere, or dropped it: the first one that
 * has the ordinal, or a later one.
 */
static void
find_again(const RelFileLocator *locator, PtLogStart *start)
{
	PtReader	r;
	PtLogInfo	info;

	pt_locator_info(NULL, locator, &info);
	pt_reader_begin_locator(&r, locator, &info);
	r.ordinal = start->ordinal;
	r.moved = true;
	pt_reader_find_again(&r);
	start->pos = r.pos;
	start->swapped = r.source.swapped;
	pt_reader_end(&r);
}

/*
 * Puts a start into WAL.  InvalidXLogRecPtr: somebody was faster.  Needs no
 * relation and no catalog; never goes back.
 */
XLogRecPtr
pt_trim_write(const RelFileLocator *locator, PtLogStart *start)
{
	XLogRecPtr	lsn;
	bool		moved;

	while (lsn = pt_meta_trim(locator, start, &moved), moved)
		find_again(locator, start);
	return lsn;
}

/*
 * Shows a start to others, after its WAL has been flushed.  Durable before
 * anyone sees it: a consumer that was told of the new start must not find the
 * old one after a crash.
 */
void
pt_trim_publish(const RelFileLocator *locator, const PtLogStart *start)
{
	pt_state_set_start(locator, start);
}
