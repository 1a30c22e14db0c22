/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  Frames of a log, one after another, forward and backward.
 *
 * A reader keeps one page pinned and locks it only while it looks at it.  What
 * it copies out (frame header and batch header) never changes below the
 * committed end, except for the flags and the length of a frame that was cut
 * short, see pt_reader_next.
 *
 * A reader notices by the logical block number on a page that it followed a
 * mapping that recycling has changed meanwhile; it then goes on at the start
 * of the log, or fails if it holds what it reads (pt_reader_hold).
 *
 * Siblings: walk.c reads frames, seek.c finds places, visible.c says who may
 * see a frame.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "log/internal.h"

static bool reader_get(PtPageSource *source, uint64 block, Page *page);
static void reader_put(PtPageSource *source);
static bool reader_there(PtPageSource *source, uint64 *extent);
static void check_entry(PtReader *r, uint64 extent);
static bool map_extent(PtReader *r, uint64 extent);
static BlockNumber reader_map(PtReader *r, uint64 block);
static void move_hold(PtReader *r);
static bool nothing_starts(PtReader *r);
static bool frame_at(PtReader *r, PtLogPos pos, PtFrame *frame);
static bool check_page(PtReader *r, uint64 block);
static bool prev_block(PtReader *r, uint64 *block, bool *jumped);
static bool copy_batch(PtReader *r, const PtFrame *frame);
static void make_empty(PtReader *r, PtFrame *frame);

static const PtPageSource locked_pages = {.get = reader_get,.put = reader_put,.there = reader_there};

StaticAssertDecl(offsetof(PtReader, source) == 0, "a reader's page source is its first field");

/*
 * Starts reading at the start of the log.  The caller keeps rel open and
 * locked; memory is of the current context.
 */
void
pt_reader_begin(PtReader *r, Relation rel, BufferAccessStrategy strategy)
{
	memset(r, 0, sizeof(*r));
	r->source = locked_pages;
	r->rel = rel;
	r->locator = pt_rel_locator(rel);
	pt_log_view(rel, &r->view);
	r->strategy = strategy;
	r->mcxt = CurrentMemoryContext;
	r->extent = PT_NO_EXTENT;
	r->hold = -1;
	pt_reader_seek_start(r);
}

/* The same when no more is known of the log than its meta page says. */
void
pt_reader_begin_info(PtReader *r, Relation rel, const PtLogInfo *info)
{
	RelFileLocator locator = pt_rel_locator(rel);

	pt_reader_begin_locator(r, &locator, info);
	r->rel = rel;
}

/* And without a relation. */
void
pt_reader_begin_locator(PtReader *r, const RelFileLocator *locator, const PtLogInfo *info)
{
	memset(r, 0, sizeof(*r));
	r->source = locked_pages;
	r->locator = *locator;
	pt_view_of_info(&r->view, &r->locator, info);
	r->mcxt = CurrentMemoryContext;
	r->extent = PT_NO_EXTENT;
	r->hold = -1;
	r->source.swapped = info->swapped;
	r->pos = info->start_pos;
	r->ordinal = info->start_ordinal;
}

/* The caller has the state pinned. */
void
pt_reader_begin_state(PtReader *r, PtLogState *state)
{
	memset(r, 0, sizeof(*r));
	r->source = locked_pages;
	r->locator = state->locator;
	SpinLockAcquire(&state->mutex);
	pt_view_fill(&r->view, state, &r->locator);
	SpinLockRelease(&state->mutex);
	r->view.live = state;
	r->mcxt = CurrentMemoryContext;
	r->extent = PT_NO_EXTENT;
	r->hold = -1;
	r->pos = r->view.start_pos;
	r->ordinal = r->view.start_ordinal;
}

void
pt_reader_end(PtReader *r)
{
	pt_reader_unpin(r);
	if (r->data)
		pfree(r->data);
	r->data = NULL;
	pt_hold_end(r->hold);
	r->hold = -1;
}

/*
 * What the reader comes to when it goes forward from the start of the log is
 * not put to another use, see holds.c.  When that cannot be kept, next raises
 * an error instead of going on at the new start.
 */
void
pt_reader_hold(PtReader *r)
{
	Assert(r->rel != NULL && !r->holds);
	r->holds = true;
	r->hold_extent = pt_pos_extent(r->pos);
	r->hold = pt_hold_begin(&r->locator, r->hold_extent);
	/* who moved the start before has not waited for us */
	pt_view_refresh(&r->view, r->rel);
	pt_reader_seek_start(r);
}

/* The hold goes along with the reader. */
static void
move_hold(PtReader *r)
{
	uint64		extent = pt_pos_extent(r->pos);

	if (!r->holds || extent == r->hold_extent)
		return;
	r->hold_extent = extent;
	pt_hold_move(r->hold, extent);
}

/* Lets go of the page; the reader goes on when it is used again. */
void
pt_reader_unpin(PtReader *r)
{
	if (BufferIsValid(r->buf))
		ReleaseBuffer(r->buf);
	r->buf = InvalidBuffer;
}

/*
 * Places are those of another time now: nothing that was mapped counts.
 */
void
pt_reader_map_for(PtReader *r, uint32 swapped)
{
	r->moved = false;
	if (r->source.swapped == swapped)
		return;
	pt_reader_unpin(r);
	r->extent = PT_NO_EXTENT;
	r->source.swapped = swapped;
}

/*
 * An entry of the directory says that compaction has been there.  ERROR if the
 * meta page does not: then the reader would look for its place for ever.
 */
static void
check_entry(PtReader *r, uint64 extent)
{
	PtLogInfo	before;
	PtLogInfo	after;
	PtDirEntry	entry;
	bool		right;

	pt_locator_info(r->rel, &r->locator, &before);
	if (!pt_extent_lookup(r->rel, &r->locator, extent, &entry))
		return;
	pt_locator_info(r->rel, &r->locator, &after);
	if (before.swapped != after.swapped || extent < after.first_extent)
		return;					/* the next try sees something else */
	if (entry.phys == PT_INVALID_EXTENT)
		right = extent >= after.hole_from && extent < after.hole_to;
	else
		right = entry.generation <= after.swapped;
	if (!right)
		pt_report_damage(&r->locator, pt_extent_pos(extent), "damaged directory entry");
}

/* Has compaction changed the directory since the reader's place was found? */
static bool
swapped_since(const PtReader *r, PtLogInfo *info)
{
	pt_locator_info(r->rel, &r->locator, info);
	return info->swapped > r->source.swapped;
}

/*
 * The directory does not have an extent.  Has compaction, perhaps, moved the
 * start of the log over it?  Then what was there may be behind now.
 */
static bool
start_moved_over(const PtReader *r, uint64 extent)
{
	PtLogInfo	info;

	return swapped_since(r, &info) && extent < info.first_extent;
}

/*
 * Maps an extent.  False: it is not there, is a hole, or has got other frames
 * since the reader's place was found (r->moved).
 */
static bool
map_extent(PtReader *r, uint64 extent)
{
	PtDirEntry	entry;

	if (extent == r->extent)
		return true;
	if (!pt_extent_lookup(r->rel, &r->locator, extent, &entry))
	{
		r->moved = start_moved_over(r, extent);
		return false;
	}
	if (entry.phys == PT_INVALID_EXTENT || entry.generation > r->source.swapped)
	{
		check_entry(r, extent);
		r->moved = true;
		return false;
	}
	r->extent = extent;
	r->phys = entry.phys;
	r->generation = entry.generation;
	return true;
}

/* For those who come to the beginning of an extent: holes are passed over. */
static bool
reader_there(PtPageSource *source, uint64 *extent)
{
	PtReader   *r = (PtReader *) source;
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	if (*extent == r->extent)
		return true;
	while ((n = pt_extents_read(r->rel, &r->locator, *extent, entries, lengthof(entries))) > 0)
	{
		for (int i = 0; i < n; i++)
		{
			if (entries[i].phys != PT_INVALID_EXTENT)
				return true;
			++*extent;
		}
	}
	return false;
}

/*
 * The file's block that holds a logical block; InvalidBlockNumber when there
 * is none yet or no more.
 */
static BlockNumber
reader_map(PtReader *r, uint64 block)
{
	BlockNumber result;

	if (!map_extent(r, block / PT_EXTENT_BLOCKS))
		return InvalidBlockNumber;
	result = pt_extent_block(r->phys) + (BlockNumber) (block % PT_EXTENT_BLOCKS);
	if (result >= r->file_blocks)
	{
		r->file_blocks = smgrnblocks(pt_smgropen(r->locator), MAIN_FORKNUM);
		if (result >= r->file_blocks)
			return InvalidBlockNumber;
	}
	return result;
}

/*
 * Pins and share-locks the page of a logical block; false (nothing locked)
 * when it has not been written or is gone.  A second try is made with a fresh
 * mapping.
 */
bool
pt_reader_lock_block(PtReader *r, uint64 block, Page *page)
{
	for (int try = 0; try < 2; try++)
	{
		if (!BufferIsValid(r->buf) || r->buf_block != block)
		{
			BlockNumber at = reader_map(r, block);

			pt_reader_unpin(r);
			if (at == InvalidBlockNumber)
				return false;
			r->buf = pt_read_block(r->rel, &r->locator, at, r->strategy);
			r->buf_block = block;
		}
		LockBuffer(r->buf, BUFFER_LOCK_SHARE);
		*page = BufferGetPage(r->buf);
		if (pt_page_is(*page, PT_PAGE_LOG, block) && pt_page_special(*page)->generation == r->generation)
			return true;
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		pt_reader_unpin(r);
		r->extent = PT_NO_EXTENT;
	}
	return false;
}

/* A reader as a source of pages. */
static bool
reader_get(PtPageSource *source, uint64 block, Page *page)
{
	PtReader   *r = (PtReader *) source;

	source->sealed = pt_view_sealed(&r->view, r->rel, pt_pos_make(block, PT_PAGE_END));
	source->unsure_from = r->view.sealed_first;
	source->unsure_to = r->view.sealed_start;
	return pt_reader_lock_block(r, block, page);
}

static void
reader_put(PtPageSource *source)
{
	LockBuffer(((PtReader *) source)->buf, BUFFER_LOCK_UNLOCK);
}

/* To a reader, who has a lock on the page, a frame that is none is damage. */
void
pt_reader_check(const PtReader *r, PtWalked walked, uint64 block)
{
	if (walked == PT_WALK_DAMAGED)
		pt_report_damage(&r->locator, pt_pos_make(block, 0), "invalid frame");
}

/* The frame that starts at pos; false when nothing has been written there. */
static bool
frame_at(PtReader *r, PtLogPos pos, PtFrame *frame)
{
	PtWalked	walked = pt_walk_at(&r->source, pos, frame);

	if (walked == PT_WALK_DAMAGED)
		pt_report_damage(&r->locator, pos, "invalid frame");
	return walked == PT_WALK_FRAME;
}

/*
 * The reader stands at the beginning of an extent.  Are all pages to the end
 * of the log there, and none says that a frame starts on it?  Then the last
 * one began in an extent before.
 */
static bool
nothing_starts(PtReader *r)
{
	PtLogPos	end = r->view.committed.pos;
	uint64		block = pt_pos_block(r->pos);
	uint64		last = pt_pos_byte(end) == PT_PAGE_FIRST ? pt_pos_block(end) - 1 : pt_pos_block(end);

	if (!pt_pos_begins_extent(r->pos) || r->pos >= end)
		return false;
	for (; block <= last; block++)
	{
		Page		page;
		uint32		first;

		if (!pt_reader_lock_block(r, block, &page))
			return false;
		first = pt_page_special(page)->first;
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		if (first != 0 && pt_pos_make(block, first) < end)
			return false;
	}
	return true;
}

/*
 * The next frame, whatever its transaction; false at the end of what is
 * written.
 *
 * A frame whose writer failed between two WAL records is longer than what is
 * there, until the next append repairs its length and writes behind that.  A
 * reader that skipped it by the old length could land amid the new frames.
 * Whoever sees new frames also sees the repaired length, so it is enough
 * to look at the skipped frame's length again after reading the next one.
 */
bool
pt_reader_next(PtReader *r, PtFrame *frame)
{
	for (;;)
	{
		PtFrame		skipped;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		move_hold(r);
		found = frame_at(r, r->pos, frame);
		if (r->moved)
		{
			pt_reader_find_again(r);
			continue;
		}
		if (found && (frame->head.flags & PT_FRAME_MOVED))
		{
			r->pos = frame->next;
			continue;
		}
		if (r->skip_pos == 0)
		{
			if (found)
				break;
			pt_view_refresh(&r->view, r->rel);
			if (!nothing_starts(r))
				pt_reader_check_missing(r, r->pos);
			if (r->pos >= r->view.start_pos)
				return false;
			if (r->holds)
				pt_reader_gone(r);
			pt_reader_seek_start(r);	/* overtaken by retention */
			continue;
		}
		if (!frame_at(r, r->skip_pos, &skipped) || skipped.head.length == r->skip_length)
		{
			r->moved = false;
			r->skip_pos = 0;
			if (found)
				break;
			continue;
		}
		r->pos = skipped.next;
		r->skip_pos = 0;
	}
	if (frame->pos < r->view.committed.pos && frame->next > r->view.committed.pos)
		pt_view_refresh(&r->view, r->rel);
	pt_reader_check_length(r, frame);
	r->pos = frame->next;
	r->ordinal = frame->head.base_ordinal + frame->head.ordinals;
	return true;
}

/*
 * Compaction has put elsewhere what the reader stands before: goes to the
 * first frame that has the ordinal it wants next, or a later one.
 */
void
pt_reader_find_again(PtReader *r)
{
	int64		ordinal = r->ordinal;
	PtLogInfo	info;

	Assert(r->moved);
	pt_locator_info(r->rel, &r->locator, &info);
	if (ordinal < 0 || (r->holds && ordinal < info.start_ordinal))
		pt_reader_gone(r);
	do
	{
		PtFrame		frame;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		pt_reader_seek_ordinal(r, ordinal);
		while ((found = frame_at(r, r->pos, &frame)) &&
			   ((frame.head.flags & PT_FRAME_MOVED) ||
				frame.head.base_ordinal + frame.head.ordinals <= ordinal))
			r->pos = frame.next;
		if (found)
			r->pos = frame.pos;
		r->ordinal = ordinal;
	} while (r->moved);
}

/*
 * The first block of an extent that has not been written; pages are written in
 * order.  Compaction leaves pages unwritten at the ends of extents.
 */
uint64
pt_reader_written(PtReader *r, uint64 extent)
{
	uint64		lo = extent * PT_EXTENT_BLOCKS;
	uint64		hi = lo + PT_EXTENT_BLOCKS;

	while (lo < hi)
	{
		uint64		mid = lo + (hi - lo) / 2;
		Page		page;

		if (pt_reader_lock_block(r, mid, &page))
		{
			LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
			lo = mid + 1;
		}
		else
			hi = mid;
	}
	return lo;
}

/*
 * An extent is a hole, and was one when the reader's place was found?  What a
 * younger hole had is behind it now.
 */
static bool
was_hole(PtReader *r, uint64 extent)
{
	PtLogInfo	info;
	PtDirEntry	entry;

	return pt_extent_lookup(r->rel, &r->locator, extent, &entry) && entry.phys == PT_INVALID_EXTENT &&
		!swapped_since(r, &info);
}

/*
 * Goes back to the block before, for prev, which has found nothing on this
 * one.  Holes, and pages that compaction has left unwritten, are passed over.
 * *jumped: those have been, and so the frame before must say so.  False: there
 * are no more.
 */
static bool
prev_block(PtReader *r, uint64 *block, bool *jumped)
{
	uint64		extent = *block / PT_EXTENT_BLOCKS;
	Page		page;

	if (r->moved && !was_hole(r, extent))
	{
		pt_reader_find_again(r);
		*block = pt_pos_block(r->pos);
		*jumped = false;
		return true;
	}
	if (r->moved)
		*block = extent * PT_EXTENT_BLOCKS;
	r->moved = false;
	if (*block == 0)
		return false;
	--*block;
	if (*block % PT_EXTENT_BLOCKS != PT_EXTENT_BLOCKS - 1)
		return true;
	if (pt_reader_lock_block(r, *block, &page))
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
	else if (!r->moved)
	{
		uint64		written = pt_reader_written(r, *block / PT_EXTENT_BLOCKS);

		if (!r->moved && written > *block / PT_EXTENT_BLOCKS * PT_EXTENT_BLOCKS)
		{
			*block = written - 1;
			*jumped = true;
		}
	}
	return true;
}

/*
 * No frame starts on the page.  It is there all the same, if it must be.
 * False: the reader begins with it and it is not, so the frame before must say
 * that nothing is.
 */
static bool
check_page(PtReader *r, uint64 block)
{
	PtLogPos	pos = pt_pos_make(block, PT_PAGE_FIRST);
	Page		page;

	if (pos >= r->view.committed.pos)
		return true;
	if (pt_reader_lock_block(r, block, &page))
	{
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		return true;
	}
	if (pos == r->pos || r->moved)
		return r->moved;
	pt_view_refresh(&r->view, r->rel);
	pt_reader_check_missing(r, pos);
	return true;
}

/*
 * The frame before the one that next would give; false at the start of the
 * log.
 */
bool
pt_reader_prev(PtReader *r, PtFrame *frame)
{
	PtLogPos	start = r->view.start_pos;
	uint64		block = pt_pos_block(r->pos);
	bool		jumped = false;
	PtLogInfo	info;

	r->skip_pos = 0;
	while (block + 1 > pt_pos_block(start))
	{
		PtWalked	walked;

		CHECK_FOR_INTERRUPTS();
		walked = pt_walk_last(&r->source, block, r->pos, frame);
		pt_reader_check(r, walked, block);
		if (walked == PT_WALK_FRAME)
		{
			if (frame->pos < start)
				return false;
			/* behind the committed end it may be one that was cut short */
			if (jumped && (frame->head.flags & PT_FRAME_KIND_MASK) != PT_FRAME_KIND_SKIP &&
				frame->next < r->view.committed.pos)
				pt_report_damage(&r->locator, frame->next, "missing page");
			jumped = false;
			pt_reader_check_before(r, frame);
			r->pos = frame->pos;
			if (!(frame->head.flags & PT_FRAME_MOVED))
			{
				r->ordinal = frame->head.base_ordinal;
				return true;
			}
			if (swapped_since(r, &info))
			{
				/* moved to where the reader has not been yet */
				r->moved = true;
				pt_reader_find_again(r);
				block = pt_pos_block(r->pos);
			}
			continue;
		}
		if (!r->moved && !check_page(r, block))
			jumped = true;
		if (!prev_block(r, &block, &jumped))
			break;
	}
	return false;
}

/*
 * Where writing stopped in the pages from the one of "from" on: behind the
 * last byte of the last full page, or of the one that is not full.
 */
PtLogPos
pt_written_end(PtReader *r, PtLogPos from)
{
	uint64		block = pt_pos_block(from);
	PtLogPos	end = from;
	Page		page;

	while (pt_reader_lock_block(r, block, &page))
	{
		end = pt_pos_make(block, ((PageHeader) page)->pd_lower);
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		block++;
	}
	return end;
}

/*
 * The last byte of the batch is there?  Pages are written in order, so then
 * all are.
 */
bool
pt_reader_complete(PtReader *r, const PtFrame *frame)
{
	PtLogPos	last = pt_pos_advance(frame->pos, sizeof(PtFrameHeader) + frame->head.length - 1);
	Page		page;
	bool		there;

	Assert(frame->head.length > 0);
	if (!pt_reader_lock_block(r, pt_pos_block(last), &page))
		return false;
	there = pt_pos_byte(last) < ((PageHeader) page)->pd_lower;
	LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
	return there;
}

/*
 * A batch that was about to be read has been put elsewhere: takes that one for
 * the frame.  If nothing is left of it, it becomes an empty one, in the
 * reader's memory, and false is returned.  The reader stays before or behind
 * it.
 */
static bool
take_moved(PtReader *r, PtFrame *frame)
{
	bool		before = r->pos <= frame->pos;
	int64		ordinal = r->ordinal;
	PtFrame		now;
	bool		found;

	r->ordinal = frame->head.base_ordinal;
	r->moved = true;
	pt_reader_find_again(r);
	found = frame_at(r, r->pos, &now) && now.head.base_ordinal == frame->head.base_ordinal &&
		pt_frame_is_batch(&now);
	if (found)
	{
		*frame = now;
		r->pos = before ? now.pos : now.next;
		r->ordinal = ordinal;
		return true;
	}
	r->ordinal = ordinal;
	make_empty(r, frame);
	return false;
}

/*
 * The bytes of a frame's batch, contiguous, in memory of the reader, valid
 * until the next call of this function.  If compaction has just put the batch
 * elsewhere, *frame becomes what is there now, which may have fewer records.
 * ERROR when the bytes are not all there any more.
 */
char *
pt_reader_batch(PtReader *r, PtFrame *frame)
{
	do
	{
		if (copy_batch(r, frame))
			return r->data;
	} while (take_moved(r, frame));
	return r->data;
}

/* Memory for a batch of so many bytes. */
static void
reserve_data(PtReader *r, Size size)
{
	Size		cap = Max(size, r->data_cap * 2);

	if (size <= r->data_cap)
		return;
	if (r->data)
		pfree(r->data);
	r->data = NULL;
	r->data_cap = 0;
	r->data = MemoryContextAllocHuge(r->mcxt, cap);
	r->data_cap = cap;
}

/* The frame's batch has lost all of its records. */
static void
make_empty(PtReader *r, PtFrame *frame)
{
	reserve_data(r, PT_BATCH_HEADER_SIZE);
	frame->batch.record_count = 0;
	frame->batch.length = frame->head.length = PT_BATCH_HEADER_SIZE;
	frame->batch.attributes &= ~PT_BATCH_COMPRESSION_MASK;
	pt_batch_make_empty(r->data, &frame->batch);
}

/* Copies a batch out of its pages; false: it has been moved. */
static bool
copy_batch(PtReader *r, const PtFrame *frame)
{
	PtLogPos	pos = pt_pos_advance(frame->pos, sizeof(PtFrameHeader));
	uint32		done = 0;

	if (frame->swapped != r->source.swapped)
		return false;
	reserve_data(r, frame->head.length);
	while (done < frame->head.length)
	{
		uint32		byte = pt_pos_byte(pos);
		uint32		n = Min(PT_PAGE_END - byte, frame->head.length - done);
		Page		page;

		if (!pt_reader_lock_block(r, pt_pos_block(pos), &page))
		{
			if (r->moved)
				return false;
			pt_view_refresh(&r->view, r->rel);
			pt_reader_check_missing(r, pos);
			pt_reader_gone(r);
		}
		Assert(byte >= PT_PAGE_FIRST && byte + n <= PT_PAGE_END);
		memcpy(r->data + done, (char *) page + byte, n);
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		done += n;
		pos = pt_pos_advance(pos, n);
	}
	return true;
}
