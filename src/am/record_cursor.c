/*-------------------------------------------------------------------------
 *
 * record_cursor.c
 *	  A cursor over the records of a log that a snapshot sees.
 *
 * Visibility is decided by frame.  Because commit order is log order, what a
 * snapshot sees of others is a prefix of the log: the first frame that is in
 * progress for it ends a forward scan, and a backward scan passes over such
 * frames until it comes to the prefix.  Two rules keep our own frames, which
 * lie behind everything else, within that picture, whichever way they are
 * reached:
 *
 *	- An own frame behind one that the snapshot hides is hidden, too.  (Under
 *	  REPEATABLE READ others may have committed between our snapshot and our
 *	  append.)  own_end says where that begins; it is looked up when the first
 *	  own frame is met.
 *	- An own frame that was appended after the cursor was opened is none of its
 *	  business, or INSERT INTO t SELECT ... FROM t, which may append early,
 *	  would chase its own tail.  That is what a command id does for a heap.
 *
 * Under SERIALIZABLE, every transaction that the snapshot hides is a conflict
 * out, not only the one at which the scan stops.
 *
 * A batch is taken apart one record at a time as long as the cursor moves
 * forward; the first step back takes all of it apart.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/predicate.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/record_cursor.h"
#include "topic/leaf.h"

#define NO_LIMIT	PG_UINT64_MAX

static PtVisibility classify(PtRows *rows, const PtFrame *frame);
static PtLogPos find_own_end(PtRows *rows);
static void note_hidden(PtRows *rows, const PtFrame *frame);
static void note_all_hidden(PtRows *rows, PtFrame frame);
static bool next_frame(PtRows *rows);
static bool prev_frame(PtRows *rows);
static void close_batch(PtRows *rows);
static void open_batch(PtRows *rows);
static bool step(PtRows *rows);
static bool step_any(PtRows *rows);
static void take_apart(PtRows *rows);
static void go_to(PtRows *rows, int i);
static bool go_to_offset(PtRows *rows, int64 offset);

/* Memory is of the current context; the relation stays open and locked. */
void
pt_rows_begin(PtRows *rows, Relation rel, Snapshot snapshot, BufferAccessStrategy strategy)
{
	memset(rows, 0, sizeof(*rows));
	rows->rel = rel;
	rows->mcxt = CurrentMemoryContext;
	rows->buf.mcxt = rows->mcxt;
	rows->partition = pt_leaf_partition(rel);
	pt_reader_begin(&rows->reader, rel, strategy);
	rows->limit = rows->reader.view.tail_pos;
	rows->start_offset = rows->reader.view.start_offset;
	rows->stop = NO_LIMIT;
	rows->current = -1;
	pt_rows_set_snapshot(rows, snapshot);
}

/*
 * Gives back pages and memory; what was stored in slots from here must not be
 * used any more.
 */
void
pt_rows_end(PtRows *rows)
{
	Assert(rows->rel != NULL);
	close_batch(rows);
	pt_reader_end(&rows->reader);
	if (rows->records)
		pfree(rows->records);
	if (rows->buf.data)
		pfree(rows->buf.data);
}

/*
 * Lets go of pages and of the current row; the next move must be a seek, or
 * goes on from at.  The next move then begins with a search of its own.
 */
void
pt_rows_reset(PtRows *rows, PtRowsAt at)
{
	Assert(at != PT_ROWS_ON);
	close_batch(rows);
	pt_reader_unpin(&rows->reader);
	rows->at = at;
}

/*
 * Only MVCC snapshots are told from each other; all others see the log as it
 * is now.  Nothing that was found with another snapshot is believed: not whose
 * transactions are over, and not that the current row is visible.  So the move
 * after a change must be a seek.
 */
void
pt_rows_set_snapshot(PtRows *rows, Snapshot snapshot)
{
	if (snapshot && !IsMVCCSnapshot(snapshot))
		snapshot = NULL;
	if (rows->snapshot == snapshot)
		return;
	if (rows->at == PT_ROWS_ON)
		pt_rows_reset(rows, PT_ROWS_START);
	pt_reader_forget_xids(&rows->reader);
	rows->own_end = 0;
	rows->snapshot = snapshot;
}

/*
 * visibility
 */

/*
 * May this cursor see the frame?  The two rules on our own frames are applied
 * here.
 */
static PtVisibility
classify(PtRows *rows, const PtFrame *frame)
{
	PtVisibility result;

	result = pt_frame_visible(&rows->reader, frame, rows->snapshot);
	if (result != PT_VISIBLE || rows->snapshot == NULL)
		return result;
	if (frame->sealed || !TransactionIdIsCurrentTransactionId(frame->head.xid))
		return result;
	if (frame->pos >= rows->limit)
		return PT_IN_PROGRESS;
	if (rows->own_end == 0)
		rows->own_end = find_own_end(rows);
	return frame->pos < rows->own_end ? PT_VISIBLE : PT_IN_PROGRESS;
}

/*
 * The position of the first frame of others that the snapshot hides; NO_LIMIT
 * when there is none.  Goes back over the tail up to what the snapshot sees of
 * others.  The reader stays where it is.
 */
static PtLogPos
find_own_end(PtRows *rows)
{
	PtReader   *r = &rows->reader;
	PtLogPos	pos = r->pos;
	PtLogPos	skip_pos = r->skip_pos;
	uint32		skip_length = r->skip_length;
	PtLogPos	result = NO_LIMIT;
	PtFrame		frame;

	Assert(rows->snapshot != NULL && IsMVCCSnapshot(rows->snapshot));
	pt_reader_seek_end(r);
	while (pt_reader_prev(r, &frame))
	{
		PtVisibility v = pt_frame_visible(r, &frame, rows->snapshot);

		if (v == PT_IN_PROGRESS)
			result = frame.pos;
		else if (v == PT_VISIBLE && !TransactionIdIsCurrentTransactionId(frame.head.xid))
			break;
	}
	r->pos = pos;
	r->skip_pos = skip_pos;
	r->skip_length = skip_length;
	return result;
}

/*
 * A frame that the snapshot hides is a read that its transaction's write came
 * too late for.
 */
static void
note_hidden(PtRows *rows, const PtFrame *frame)
{
	if (rows->snapshot && TransactionIdFollowsOrEquals(frame->head.xid, TransactionXmin) &&
		!TransactionIdIsCurrentTransactionId(frame->head.xid))
		CheckForSerializableConflictOut(rows->rel, frame->head.xid, rows->snapshot);
}

/* A forward scan stops at this frame: note it and all behind it. */
static void
note_all_hidden(PtRows *rows, PtFrame frame)
{
	if (rows->snapshot == NULL || !CheckForSerializableConflictOutNeeded(rows->rel, rows->snapshot))
		return;
	do
	{
		if (pt_frame_visible(&rows->reader, &frame, rows->snapshot) == PT_IN_PROGRESS)
			note_hidden(rows, &frame);
	} while (pt_reader_next(&rows->reader, &frame));
}

/*
 * frames
 */

/* To the next visible frame; false, and at the end, when there is none. */
static bool
next_frame(PtRows *rows)
{
	PtReader   *r = &rows->reader;

	if (rows->at == PT_ROWS_ON && !rows->behind)
		pt_reader_seek_pos(r, rows->frame.next);
	close_batch(rows);
	while (pt_reader_next(r, &rows->frame) && rows->frame.pos < rows->stop)
	{
		switch (classify(rows, &rows->frame))
		{
			case PT_VISIBLE:
				rows->behind = true;
				return true;
			case PT_INVISIBLE:
				break;
			case PT_IN_PROGRESS:
				note_all_hidden(rows, rows->frame);
				pt_rows_reset(rows, PT_ROWS_END);
				return false;
		}
	}
	pt_rows_reset(rows, PT_ROWS_END);
	return false;
}

/* To the visible frame before; false, and at the start, when there is none. */
static bool
prev_frame(PtRows *rows)
{
	PtReader   *r = &rows->reader;

	if (rows->at == PT_ROWS_ON && rows->behind)
		pt_reader_seek_pos(r, rows->frame.pos);
	close_batch(rows);
	while (pt_reader_prev(r, &rows->frame))
	{
		PtVisibility v = classify(rows, &rows->frame);

		if (v == PT_VISIBLE)
		{
			rows->behind = false;
			return true;
		}
		if (v == PT_IN_PROGRESS)
			note_hidden(rows, &rows->frame);
	}
	pt_rows_reset(rows, PT_ROWS_START);
	return false;
}

/*
 * records of a frame
 */

static void
close_batch(PtRows *rows)
{
	if (rows->open)
		pt_record_iter_end(&rows->iter);
	rows->open = false;
	rows->has_all = false;
	rows->current = -1;
}

static void
report_corrupt(PtRows *rows, PtBatchStatus status)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("batch at offset %lld of \"%s\" is corrupt: %s",
					(long long) rows->frame.batch.base_offset, RelationGetRelationName(rows->rel),
					pt_batch_status_text(status))));
}

/*
 * Starts with the batch of the frame; the cursor is before its first record.
 */
static void
open_batch(PtRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->mcxt);
	char	   *data = pt_reader_batch(&rows->reader, &rows->frame);
	PtBatchStatus status;

	Assert(!rows->open);
	status = pt_record_iter_begin(&rows->iter, data, rows->frame.head.length, PT_RECORDS_BYTES_MAX);
	if (status != PT_BATCH_OK)
		report_corrupt(rows, status);
	Assert(rows->iter.header.base_offset == rows->frame.batch.base_offset);
	rows->open = true;
	rows->has_all = false;
	rows->current = -1;
	MemoryContextSwitchTo(old);
}

/*
 * To the next record of the open batch; false behind the last.  The first
 * batch of a log may begin before its start.
 */
static bool
step(PtRows *rows)
{
	while (step_any(rows))
	{
		if (rows->record.offset >= rows->start_offset)
			return true;
	}
	return false;
}

/* The same, whether the log begins later or not. */
static bool
step_any(PtRows *rows)
{
	PtBatchStatus status;

	Assert(rows->open);
	if (rows->has_all)
	{
		if (rows->current + 1 >= rows->iter.header.record_count)
			return false;
		go_to(rows, rows->current + 1);
		return true;
	}
	status = pt_record_iter_next(&rows->iter, &rows->record);
	if (status == PT_BATCH_END)
		return false;
	if (status != PT_BATCH_OK)
		report_corrupt(rows, status);
	rows->current++;
	Assert(rows->record.offset >= rows->frame.batch.base_offset);
	return true;
}

/* Takes the whole batch apart, so that go_to works. */
static void
take_apart(PtRows *rows)
{
	int			n = rows->frame.batch.record_count;

	if (rows->has_all)
		return;
	close_batch(rows);
	open_batch(rows);
	if (n > rows->records_cap)
	{
		if (rows->records)
			pfree(rows->records);
		rows->records = NULL;
		rows->records_cap = 0;
		rows->records = MemoryContextAllocHuge(rows->mcxt, n * sizeof(PtRecord));
		rows->records_cap = n;
	}
	for (int i = 0; i < n; i++)
	{
		if (!step_any(rows))
			report_corrupt(rows, PT_BATCH_BAD_COUNT);
		rows->records[i] = rows->record;
	}
	rows->has_all = true;
}

/* To the i'th record of a batch that was taken apart. */
static void
go_to(PtRows *rows, int i)
{
	Assert(rows->has_all && i >= 0 && i < rows->frame.batch.record_count);
	rows->record = rows->records[i];
	rows->current = i;
}

/*
 * To the first record of the frame at or behind an offset; false when there
 * is none.  Cheap when it is a bit further on, as for an index scan in order.
 */
static bool
go_to_offset(PtRows *rows, int64 offset)
{
	int			n = rows->frame.batch.record_count;
	int			i;

	Assert(n > 0);
	offset = Max(offset, rows->start_offset);
	if (!rows->open)
		open_batch(rows);
	if (rows->current >= 0 && rows->record.offset == offset)
		return true;
	if (!rows->has_all && (rows->current < 0 || rows->record.offset < offset))
	{
		while (step(rows))
		{
			if (rows->record.offset >= offset)
				return true;
		}
		return false;
	}
	take_apart(rows);
	i = (int) Max(0, Min(offset - rows->frame.batch.base_offset, n - 1));
	while (i > 0 && rows->records[i - 1].offset >= offset)
		i--;
	while (i < n && rows->records[i].offset < offset)
		i++;
	if (i == n)
		return false;
	go_to(rows, i);
	return true;
}

/*
 * moves
 */

/* To the next row, or the one before; false when there is none. */
bool
pt_rows_next(PtRows *rows)
{
	if (rows->at == PT_ROWS_END)
		return false;
	if (rows->at == PT_ROWS_START && rows->stop == NO_LIMIT)
		pt_reader_seek_start(&rows->reader);
	if (rows->at == PT_ROWS_ON && step(rows))
		return true;
	while (next_frame(rows))
	{
		open_batch(rows);
		rows->at = PT_ROWS_ON;
		if (step(rows))
			return true;
	}
	return false;
}

/*
 * For a move backward: is the record where the log still is?  Those before it
 * are not either, then.
 */
static bool
behind_start(PtRows *rows)
{
	if (rows->record.offset >= rows->start_offset)
		return true;
	pt_rows_reset(rows, PT_ROWS_START);
	return false;
}

/*
 * To the row before; false when there is none.
 * Going back takes the whole batch apart, but once a batch only.
 */
bool
pt_rows_prev(PtRows *rows)
{
	if (rows->at == PT_ROWS_START)
		return false;
	if (rows->at == PT_ROWS_END)
		pt_reader_seek_end(&rows->reader);
	if (rows->at == PT_ROWS_ON && rows->current > 0)
	{
		int			current = rows->current;

		take_apart(rows);
		go_to(rows, current - 1);
		return behind_start(rows);
	}
	while (prev_frame(rows))
	{
		rows->at = PT_ROWS_ON;
		if (rows->frame.batch.record_count == 0)
			continue;
		take_apart(rows);
		go_to(rows, rows->frame.batch.record_count - 1);
		return behind_start(rows);
	}
	return false;
}

/*
 * So that next gives the rows of the frames that start in this extent, and no
 * others.  The cursor then ends with the extent, not with the log.
 */
void
pt_rows_seek_extent(PtRows *rows, uint64 extent)
{
	pt_rows_reset(rows, PT_ROWS_START);
	pt_reader_seek_extent(&rows->reader, extent);
	rows->stop = pt_extent_pos(extent + 1);
}

/*
 * So that next gives a row at or before the first one with this timestamp (ms)
 * or a later one.  Precise to an extent: whoever asks has to look at each
 * row's time.
 */
void
pt_rows_seek_timestamp(PtRows *rows, int64 timestamp)
{
	pt_rows_reset(rows, PT_ROWS_START);
	pt_reader_seek_timestamp(&rows->reader, timestamp);
	if (!next_frame(rows))
		return;
	/* stand before its first row */
	open_batch(rows);
	rows->at = PT_ROWS_ON;
}

/* To the first row at or behind an offset; to the last one at or before it. */
bool
pt_rows_first_from(PtRows *rows, int64 offset)
{
	if (!(rows->at == PT_ROWS_ON && rows->open && offset >= rows->frame.batch.base_offset &&
		  offset < pt_batch_next_offset(&rows->frame.batch)))
	{
		pt_rows_reset(rows, PT_ROWS_START);
		pt_reader_seek_offset(&rows->reader, offset);
		do
		{
			if (!next_frame(rows))
				return false;
		} while (pt_batch_next_offset(&rows->frame.batch) <= offset);
	}
	rows->at = PT_ROWS_ON;
	return go_to_offset(rows, offset) || pt_rows_next(rows);
}

/*
 * Leaves the reader behind all visible frames that have an offset at or below
 * this one.
 */
static void
seek_behind(PtRows *rows, int64 offset)
{
	PtReader   *r = &rows->reader;
	PtLogPos	pos;
	PtFrame		frame;

	if (offset >= r->view.tail_offset)
	{
		pt_reader_seek_end(r);
		return;
	}
	pt_reader_seek_offset(r, offset);
	pos = r->pos;
	while (pt_reader_next(r, &frame))
	{
		PtVisibility v = classify(rows, &frame);

		if (v == PT_IN_PROGRESS || (v == PT_VISIBLE && frame.batch.base_offset > offset))
			break;
		pos = r->pos;
	}
	pt_reader_seek_pos(r, pos);
}

/* To the last row at or before an offset; false when there is none. */
bool
pt_rows_last_upto(PtRows *rows, int64 offset)
{
	pt_rows_reset(rows, PT_ROWS_END);
	seek_behind(rows, offset);
	do
	{
		if (!prev_frame(rows))
			return false;
	} while (rows->frame.batch.base_offset > offset);
	rows->at = PT_ROWS_ON;
	take_apart(rows);
	go_to(rows, rows->frame.batch.record_count - 1);
	while (rows->record.offset > offset)
	{
		if (!pt_rows_prev(rows))
			return false;
	}
	return behind_start(rows);
}

/* Does the frame have room for the ordinal? */
static bool
frame_holds(const PtFrame *frame, int64 ordinal)
{
	return ordinal >= frame->head.base_ordinal &&
		ordinal < frame->head.base_ordinal + frame->head.ordinals;
}

/*
 * Positions the cursor's frame on the one that holds the ordinal, visible or
 * not.
 */
static bool
find_frame(PtRows *rows, int64 ordinal)
{
	PtReader   *r = &rows->reader;
	bool		close = rows->at == PT_ROWS_ON && rows->frame.head.base_ordinal < ordinal;

	Assert(ordinal >= 0);
	/* in an index scan in order, it is mostly the next one */
	if (close)
	{
		pt_reader_seek_pos(r, rows->frame.next);
		close_batch(rows);
		if (pt_reader_next(r, &rows->frame) && frame_holds(&rows->frame, ordinal))
			return true;
	}
	close_batch(rows);
	pt_reader_seek_ordinal(r, ordinal);
	while (pt_reader_next(r, &rows->frame) && rows->frame.head.base_ordinal <= ordinal)
	{
		if (frame_holds(&rows->frame, ordinal))
			return true;
	}
	return false;
}

/*
 * To the row with an ordinal.  Of a row that is not visible, *why says whether
 * its transaction is in progress (*xid) or has aborted, or the row does not
 * exist (also PT_INVISIBLE).
 */
bool
pt_rows_find(PtRows *rows, int64 ordinal, PtVisibility *why, TransactionId *xid)
{
	int64		offset;

	*why = PT_INVISIBLE;
	*xid = InvalidTransactionId;
	if (!(rows->at == PT_ROWS_ON && rows->open && frame_holds(&rows->frame, ordinal)))
	{
		if (!find_frame(rows, ordinal))
		{
			pt_rows_reset(rows, PT_ROWS_START);
			return false;
		}
		rows->behind = true;
	}
	*why = classify(rows, &rows->frame);
	*xid = rows->frame.head.xid;
	if (*why != PT_VISIBLE)
	{
		if (*why == PT_IN_PROGRESS)
			note_hidden(rows, &rows->frame);
		pt_rows_reset(rows, PT_ROWS_START);
		return false;
	}
	rows->at = PT_ROWS_ON;
	offset = rows->frame.batch.base_offset + (ordinal - rows->frame.head.base_ordinal);
	if (offset < rows->start_offset)
	{
		*why = PT_INVISIBLE;	/* removed */
		return false;
	}
	return go_to_offset(rows, offset) && rows->record.offset == offset;
}

/* To the first visible row with this ordinal or a later one. */
bool
pt_rows_first_ordinal(PtRows *rows, int64 ordinal)
{
	int64		offset;

	if (!(rows->at == PT_ROWS_ON && rows->open && frame_holds(&rows->frame, ordinal)))
	{
		pt_rows_reset(rows, PT_ROWS_START);
		pt_reader_seek_ordinal(&rows->reader, ordinal);
		do
		{
			if (!next_frame(rows))
				return false;
		} while (rows->frame.head.base_ordinal + rows->frame.batch.last_offset_delta < ordinal);
	}
	rows->at = PT_ROWS_ON;
	offset = rows->frame.batch.base_offset + Max(0, ordinal - rows->frame.head.base_ordinal);
	return go_to_offset(rows, offset) || pt_rows_next(rows);
}

/*
 * The first ordinal that no visible row has: behind the last row.
 * Leaves the cursor on the last row.
 */
int64
pt_rows_end_ordinal(PtRows *rows)
{
	pt_rows_reset(rows, PT_ROWS_END);
	if (!pt_rows_prev(rows))
		return rows->reader.view.start_ordinal;
	return pt_rows_ordinal(rows) + 1;
}

/*
 * Records of a batch have consecutive ordinals; where compaction took some
 * out, the others keep theirs.
 */
int64
pt_rows_ordinal(const PtRows *rows)
{
	Assert(rows->at == PT_ROWS_ON && rows->current >= 0);
	return rows->frame.head.base_ordinal + (rows->record.offset - rows->frame.batch.base_offset);
}

/*
 * Stores the current row in a slot, under its TID; good until the next store.
 */
void
pt_rows_store(PtRows *rows, TupleTableSlot *slot)
{
	Assert(rows->at == PT_ROWS_ON && rows->open && rows->current >= 0);
	pt_slot_store(slot, rows->rel, rows->partition, &rows->record, &rows->buf);
	pt_ordinal_to_tid(pt_rows_ordinal(rows), &slot->tts_tid);
}
