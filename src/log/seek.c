/*-------------------------------------------------------------------------
 *
 * seek.c
 *	  Finding a place in a log by offset, ordinal or time.
 *
 * Two binary searches: over the directory for the extent, over its pages for
 * the page.  Both look for the last place whose base is at or below what is
 * sought; because offsets of aborted appends are reused, bases are not quite
 * monotonic, and the answer is a place at or before the right one (why: see
 * ../README.md).  The caller walks on from there.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

typedef enum SeekBy
{
	BY_OFFSET,
	BY_ORDINAL
} SeekBy;

/* Positions at the first frame retained. */
void
pt_reader_seek_start(PtReader *r)
{
	PtLogInfo	info;

	pt_locator_info(r->rel, &r->locator, &info);
	pt_reader_seek_pos(r, info.start_pos);
}

/* Positions at a place where a frame starts or will start. */
void
pt_reader_seek_pos(PtReader *r, PtLogPos pos)
{
	r->pos = pos;
	r->skip_pos = 0;
}

/*
 * Positions behind everything: prev gives the last frame.  Pages are written
 * in order, so that the first one that is not is found by bisection.
 */
void
pt_reader_seek_end(PtReader *r)
{
	PtLogInfo	info;
	uint64		lo;
	uint64		hi;

	pt_locator_info(r->rel, &r->locator, &info);
	if (info.next_extent == info.first_extent)
	{
		pt_reader_seek_pos(r, info.start_pos);
		return;
	}
	hi = info.next_extent * PT_EXTENT_BLOCKS;
	lo = hi - PT_EXTENT_BLOCKS;
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
	pt_reader_seek_pos(r, pt_pos_make(lo, PT_PAGE_FIRST));
}

/*
 * The first batch that starts on a logical block; false: none, or the page is
 * not there.  Frames of other kinds have no offsets to search by, and whoever
 * walks passes over them.
 */
static bool
first_batch(PtReader *r, uint64 block, PtFrame *frame, bool *written)
{
	PtWalked	walked = pt_walk_first_batch(&r->source, block, frame, written);

	pt_reader_check(r, walked, block);
	return walked == PT_WALK_FRAME;
}

/*
 * Positions at the first batch that starts in the extent, or behind it when
 * none does.
 */
void
pt_reader_seek_extent(PtReader *r, uint64 extent)
{
	uint64		block = extent * PT_EXTENT_BLOCKS;
	PtLogPos	start = r->view.start_pos;
	PtFrame		frame;
	bool		written;

	for (; !first_batch(r, block, &frame, &written) && written; block++)
		;
	pt_reader_seek_pos(r, Max(start, written ? frame.pos : pt_pos_make(block, PT_PAGE_FIRST)));
}

/*
 * The last extent in [first, next) whose base is at or below what is sought.
 */
static uint64
seek_extent_by(PtReader *r, SeekBy by, int64 sought, const PtLogInfo *info)
{
	uint64		lo = info->first_extent;
	uint64		hi = info->next_extent;

	while (hi - lo > 1)
	{
		uint64		mid = lo + (hi - lo) / 2;
		PtDirEntry	entry;

		if (!pt_extent_lookup(r->rel, &r->locator, mid, &entry))
			break;				/* overtaken by retention: lo is as good */
		if ((by == BY_OFFSET ? entry.base_offset : entry.base_ordinal) <= sought)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/*
 * The place of the last page's first batch in an extent whose base is at or
 * below what is sought; 0 when there is none.  Pages on which no batch starts
 * (the inside of long ones) are stepped over to the left.
 */
static PtLogPos
seek_page_by(PtReader *r, SeekBy by, int64 sought, uint64 extent)
{
	int			lo = -1;
	int			hi = PT_EXTENT_BLOCKS;
	PtLogPos	best = 0;

	while (hi - lo > 1)
	{
		int			mid = lo + (hi - lo) / 2;
		int			probe = mid;
		PtFrame		frame;
		bool		written;
		bool		found;

		while (!(found = first_batch(r, extent * PT_EXTENT_BLOCKS + probe, &frame, &written)) &&
			   written && probe - 1 > lo)
			probe--;
		if (!found && written)
			lo = mid;			/* nothing starts in (lo, mid] */
		else if (found && (by == BY_OFFSET ? frame.batch.base_offset : frame.head.base_ordinal) <= sought)
		{
			best = frame.pos;
			lo = mid;
		}
		else
			hi = found ? probe : mid;
	}
	return best;
}

static void
seek_by(PtReader *r, SeekBy by, int64 sought)
{
	PtLogInfo	info;
	PtLogPos	pos = 0;

	pt_locator_info(r->rel, &r->locator, &info);
	if (info.next_extent > info.first_extent)
	{
		uint64		extent = seek_extent_by(r, by, sought, &info);

		/* a batch that started in an extent before may hold what is sought */
		while ((pos = seek_page_by(r, by, sought, extent)) == 0 && extent > info.first_extent)
			extent--;
	}
	pt_reader_seek_pos(r, Max(pos, info.start_pos));
}

/*
 * Positions at or before the batch that holds the offset (or the next one that
 * exists).
 */
void
pt_reader_seek_offset(PtReader *r, int64 offset)
{
	seek_by(r, BY_OFFSET, offset);
}

/* Positions at or before the frame that holds the ordinal. */
void
pt_reader_seek_ordinal(PtReader *r, int64 ordinal)
{
	seek_by(r, BY_ORDINAL, ordinal);
}

/*
 * Positions at or before the first batch with max_timestamp at or above this
 * one (ms).  Linear over the directory, as Kafka is over its segments:
 * timestamps need not grow.
 */
void
pt_reader_seek_timestamp(PtReader *r, int64 timestamp_ms)
{
	PtLogInfo	info;
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	pt_locator_info(r->rel, &r->locator, &info);
	for (uint64 extent = info.first_extent; extent + 1 < info.next_extent; extent += Max(n, 1))
	{
		n = pt_extents_read(r->rel, &r->locator, extent, entries, lengthof(entries));
		for (int i = 0; i < n && extent + i + 1 < info.next_extent; i++)
		{
			if (entries[i].max_timestamp < timestamp_ms)
				continue;
			pt_reader_seek_extent(r, extent + i);
			return;
		}
	}
	if (info.next_extent > info.first_extent)
		pt_reader_seek_extent(r, info.next_extent - 1);
	else
		pt_reader_seek_pos(r, info.start_pos);
}
