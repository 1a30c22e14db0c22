/*-------------------------------------------------------------------------
 *
 * record_cursor.c
 *	  A cursor over the records of a log that a snapshot sees.
 *
 * Visibility is a property of a frame.  Because commit order is log order, a
 * snapshot sees a prefix of what others have appended.  The first frame that
 * is in progress for it ends a forward scan; a backward scan skips such
 * frames until it reaches the prefix.  Our own frames are behind all others.
 * Two rules decide whether the cursor sees them:
 *
 *	- An own frame behind a frame that the snapshot hides is hidden, too.
 *	  (Under REPEATABLE READ others may have committed between our snapshot
 *	  and our append.)  own_end is where this begins; it is looked up when
 *	  the first own frame is met.
 *	- An own frame that was appended after the cursor was opened is hidden.
 *	  Otherwise INSERT INTO t SELECT ... FROM t, which may append early, would
 *	  never end.  For a heap, command ids do this.
 *
 * Under SERIALIZABLE, each transaction that the snapshot hides is a conflict
 * out, not only the one at which the scan stops.
 *
 * While the cursor moves forward, it decodes a batch record by record; the
 * first step back decodes all of it.
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

/*
 * Opens a cursor before the first row.  Its memory is in the current context.
 * The caller keeps the relation open and locked until pt_rows_end().  A NULL
 * snapshot sees what is committed now, and our own rows.
 */
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
	rows->stop_ordinal = PG_INT64_MAX;
	rows->current = -1;
	pt_rows_set_snapshot(rows, snapshot);
}

/*
 * What the cursor comes to on its way from the start is kept for it when
 * others remove it; to be called before the first move.
 */
void
pt_rows_hold(PtRows *rows)
{
	Assert(rows->at == PT_ROWS_START);
	pt_reader_hold(&rows->reader);
	rows->start_offset = rows->reader.view.start_offset;
}

/*
 * Closes the cursor and releases its pages and memory.  Slots that were
 * filled from it must not be used any more.
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
 * Releases pages and the current row and moves to the start or the end of the
 * log ("at").  The next move searches its place anew.
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
 * Changes the snapshot.  Only MVCC snapshots differ; all others see the log
 * as it is now.
 *
 * What was found with another snapshot is forgotten: which transactions are
 * over, and that the current row is visible.  So the next move must be a
 * seek.
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
 * Says whether the cursor sees the frame, by the snapshot and by the two
 * rules about our own frames.
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
 * Returns the position of the first frame of others that the snapshot hides,
 * or NO_LIMIT.  Reads from the tail back to the first frame of others that
 * the snapshot sees.  The reader's position is restored.
 */
static PtLogPos
find_own_end(PtRows *rows)
{
	PtReader   *r = &rows->reader;
	PtReaderPlace place = pt_reader_place(r);
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
	pt_reader_return(r, &place);
	return result;
}

/*
 * Reports a frame that the snapshot hides to the predicate locks: we have
 * read without it, so its transaction wrote too late for us.
 */
static void
note_hidden(PtRows *rows, const PtFrame *frame)
{
	if (rows->snapshot && TransactionIdFollowsOrEquals(frame->head.xid, TransactionXmin) &&
		!TransactionIdIsCurrentTransactionId(frame->head.xid))
		CheckForSerializableConflictOut(rows->rel, frame->head.xid, rows->snapshot);
}

/*
 * Reports this frame, at which a forward scan stops, and all hidden ones
 * behind it.
 */
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

/*
 * Moves to the next visible frame.  If there is none, the cursor is at the
 * end and false is returned.
 */
static bool
next_frame(PtRows *rows)
{
	PtReader   *r = &rows->reader;

	if (rows->at == PT_ROWS_ON && !rows->behind)
		pt_reader_seek_behind(r, &rows->frame);
	close_batch(rows);
	while (pt_reader_next(r, &rows->frame) && rows->frame.head.base_ordinal < rows->stop_ordinal)
	{
		if (rows->frame.head.base_ordinal < rows->from_ordinal)
			continue;
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

/*
 * Moves to the visible frame before.  If there is none, the cursor is at the
 * start and false is returned.
 */
static bool
prev_frame(PtRows *rows)
{
	PtReader   *r = &rows->reader;

	if (rows->at == PT_ROWS_ON && rows->behind)
		pt_reader_seek_frame(r, &rows->frame);
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

/*
 * Forgets the records of the current frame.
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

/*
 * ERROR XX001 for a batch that cannot be read.
 */
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
 * Begins to read the batch of the frame; the cursor is before its first
 * record.
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
 * Moves to the next record of the open batch; false behind the last one.
 * Skips records before the start of the log, which the first batch may have.
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

/*
 * The same, without the start of the log.
 */
static bool
step_any(PtRows *rows)
{
	PtBatchStatus status;

	Assert(rows->open);
	if (rows->has_all)
	{
		if (rows->current + 1 >= rows->frame.batch.record_count)
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

/*
 * Decodes the whole batch, so that go_to() can be used.
 */
static void
take_apart(PtRows *rows)
{
	int			n;

	if (rows->has_all)
		return;
	close_batch(rows);
	open_batch(rows);
	n = rows->frame.batch.record_count; /* fewer, if it has been compacted */
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

/*
 * The first record of a decoded batch at or behind an offset; their number if
 * there is none.
 */
static int
index_of_offset(PtRows *rows, int64 offset)
{
	int			n = rows->frame.batch.record_count;
	int			i = (int) Max(0, Min(offset - rows->frame.batch.base_offset, n));

	Assert(rows->has_all);
	while (i > 0 && rows->records[i - 1].offset >= offset)
		i--;
	while (i < n && rows->records[i].offset < offset)
		i++;
	return i;
}

/*
 * Moves to record i of a decoded batch.
 */
static void
go_to(PtRows *rows, int i)
{
	Assert(rows->has_all && i >= 0 && i < rows->frame.batch.record_count);
	rows->record = rows->records[i];
	rows->current = i;
}

/*
 * Moves to the first record of the frame at or behind an offset; false if
 * there is none.  A short way forward is cheap, as an index scan in the order
 * of the log needs it.
 */
static bool
go_to_offset(PtRows *rows, int64 offset)
{
	int			i;

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
	i = index_of_offset(rows, offset);
	if (i == rows->frame.batch.record_count)
		return false;
	go_to(rows, i);
	return true;
}

/*
 * moves
 */

/*
 * Moves to the next row; false if there is none.
 */
bool
pt_rows_next(PtRows *rows)
{
	if (rows->at == PT_ROWS_END)
		return false;
	if (rows->at == PT_ROWS_START && rows->stop_ordinal == PG_INT64_MAX && rows->from_ordinal == 0)
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
 * After a move backward: returns true if the record is still in the log.
 * Otherwise those before it are not either, and the cursor is at the start.
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
 * Moves to the row before; false if there is none.  This decodes the whole
 * batch, but only once per batch.
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
		int64		offset = rows->record.offset;
		int			i;

		take_apart(rows);
		i = index_of_offset(rows, offset);
		if (i > 0)
		{
			go_to(rows, i - 1);
			return behind_start(rows);
		}
	}
	while (prev_frame(rows))
	{
		rows->at = PT_ROWS_ON;
		take_apart(rows);
		if (rows->frame.batch.record_count == 0)
			continue;
		go_to(rows, rows->frame.batch.record_count - 1);
		return behind_start(rows);
	}
	return false;
}

/*
 * Restricts the cursor to the frames whose base ordinals are in this range;
 * pt_rows_next() moves to the first of their rows.  The cursor ends with the
 * last.
 */
void
pt_rows_seek_piece(PtRows *rows, int64 from_ordinal, int64 stop_ordinal)
{
	Assert(from_ordinal < stop_ordinal);
	pt_rows_reset(rows, PT_ROWS_START);
	pt_reader_seek_ordinal(&rows->reader, from_ordinal);
	rows->from_ordinal = from_ordinal;
	rows->stop_ordinal = stop_ordinal;
}

/*
 * Moves to a place before the first row with this timestamp (ms) or a later
 * one; pt_rows_next() follows.  This is precise to a batch only, so the caller
 * has to check the timestamp of each row.
 */
void
pt_rows_seek_timestamp(PtRows *rows, int64 timestamp)
{
	PtReader   *reader = &rows->reader;
	uint64		extent;

	pt_rows_reset(rows, PT_ROWS_START);
	extent = pt_reader_seek_timestamp(reader, 0, timestamp);
	while (next_frame(rows))
	{
		if (rows->frame.batch.max_timestamp >= timestamp)
		{
			/* stand before its first row */
			open_batch(rows);
			rows->at = PT_ROWS_ON;
			return;
		}
		/* the extent's was aborted, or is of a newer snapshot */
		if (extent != PT_NO_EXTENT && pt_pos_extent(rows->frame.next) > extent)
			extent = pt_reader_seek_timestamp(reader, extent + 1, timestamp);
	}
}

/*
 * Moves to the first row at or behind an offset; false if there is none.
 */
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
 * Moves the reader behind all visible frames that begin at or below an
 * offset.
 */
static void
seek_behind(PtRows *rows, int64 offset)
{
	PtReader   *r = &rows->reader;
	PtReaderPlace place;
	PtFrame		frame;

	if (offset >= r->view.tail_offset)
	{
		pt_reader_seek_end(r);
		return;
	}
	pt_reader_seek_offset(r, offset);
	place = pt_reader_place(r);
	while (pt_reader_next(r, &frame))
	{
		PtVisibility v = classify(rows, &frame);

		if (v == PT_IN_PROGRESS || (v == PT_VISIBLE && frame.batch.base_offset > offset))
			break;
		place = pt_reader_place(r);
	}
	pt_reader_return(r, &place);
}

/*
 * Moves to the last row at or before an offset; false if there is none.
 */
bool
pt_rows_last_upto(PtRows *rows, int64 offset)
{
	int			i;

	pt_rows_reset(rows, PT_ROWS_END);
	seek_behind(rows, offset);
	do
	{
		if (!prev_frame(rows))
			return false;
	} while (rows->frame.batch.base_offset > offset);
	rows->at = PT_ROWS_ON;
	take_apart(rows);
	i = index_of_offset(rows, offset);
	if (i < rows->frame.batch.record_count && rows->records[i].offset == offset)
		i++;
	if (i == 0)
		return pt_rows_prev(rows);
	go_to(rows, i - 1);
	return behind_start(rows);
}

/*
 * True if the ordinal is one of the frame's.
 */
static bool
frame_holds(const PtFrame *frame, int64 ordinal)
{
	return ordinal >= frame->head.base_ordinal &&
		ordinal < frame->head.base_ordinal + frame->head.ordinals;
}

/*
 * Makes the frame with this ordinal the cursor's, whether it is visible or
 * not; false if there is none.  *gone: there will never be one again, as there
 * are later ones; compaction has dropped it.
 */
static bool
find_frame(PtRows *rows, int64 ordinal, bool *gone)
{
	PtReader   *r = &rows->reader;
	bool		close = rows->at == PT_ROWS_ON && rows->frame.head.base_ordinal < ordinal;

	Assert(ordinal >= 0);
	/* in an index scan in the order of the log it is often the next frame */
	if (close)
	{
		pt_reader_seek_behind(r, &rows->frame);
		close_batch(rows);
		if (pt_reader_next(r, &rows->frame) && frame_holds(&rows->frame, ordinal))
			return true;
	}
	close_batch(rows);
	pt_reader_seek_ordinal(r, ordinal);
	while (pt_reader_next(r, &rows->frame))
	{
		if (frame_holds(&rows->frame, ordinal))
			return true;
		*gone = rows->frame.head.base_ordinal > ordinal;
		if (*gone)
			break;
	}
	return false;
}

/*
 * Moves to the row with an ordinal; false if there is no such visible row.
 * Then *why is PT_IN_PROGRESS if its transaction (*xid) is, and PT_INVISIBLE
 * if that has aborted, or the row does not exist; if it is known that it never
 * will, *xid is valid.
 */
bool
pt_rows_find(PtRows *rows, int64 ordinal, PtVisibility *why, TransactionId *xid)
{
	int64		offset;

	*why = PT_INVISIBLE;
	*xid = InvalidTransactionId;
	if (!(rows->at == PT_ROWS_ON && rows->open && frame_holds(&rows->frame, ordinal)))
	{
		bool		gone = false;

		if (!find_frame(rows, ordinal, &gone))
		{
			if (gone)
				*xid = FrozenTransactionId;
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
	if (go_to_offset(rows, offset) && rows->record.offset == offset)
		return true;
	*why = PT_INVISIBLE;		/* compaction has dropped it */
	return false;
}

/*
 * Moves to the first visible row with this ordinal or a later one; false if
 * there is none.
 */
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
 * Returns the ordinal behind the last visible row, and leaves the cursor on
 * that row.
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
 * Returns the ordinal of the current row.  The records of a batch have
 * consecutive ordinals; after compaction the remaining ones keep theirs.
 */
int64
pt_rows_ordinal(const PtRows *rows)
{
	Assert(rows->at == PT_ROWS_ON && rows->current >= 0);
	return rows->frame.head.base_ordinal + (rows->record.offset - rows->frame.batch.base_offset);
}

/*
 * Stores the current row in a slot, with its TID.  It is valid until the next
 * store.
 */
void
pt_rows_store(PtRows *rows, TupleTableSlot *slot)
{
	Assert(rows->at == PT_ROWS_ON && rows->open && rows->current >= 0);
	pt_slot_store(slot, rows->rel, rows->partition, &rows->record, &rows->buf);
	pt_ordinal_to_tid(pt_rows_ordinal(rows), &slot->tts_tid);
}
