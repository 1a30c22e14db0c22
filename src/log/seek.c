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

/* The logical number of an extent that is counted without the holes. */
static uint64
number_of(const PtLogInfo *info, uint64 counted)
{
	return counted < info->hole_from || info->hole_from == info->hole_to ? counted :
		counted + (info->hole_to - info->hole_from);
}

/* Positions at the first frame retained. */
void
pt_reader_seek_start(PtReader *r)
{
	PtLogInfo	info;

	pt_locator_info(r->rel, &r->locator, &info);
	pt_reader_map_for(r, info.swapped);
	pt_reader_seek_pos(r, info.start_pos);
	r->ordinal = info.start_ordinal;
}

/*
 * Positions at a place where a frame starts or will start, which must be in a
 * part of the log that is not sealed: there nothing is moved.
 */
void
pt_reader_seek_pos(PtReader *r, PtLogPos pos)
{
	r->pos = pos;
	r->ordinal = -1;
	r->skip_pos = 0;
	r->moved = false;
}

/* The same for a place that prev goes back from, into what is sealed. */
void
pt_reader_seek_tail(PtReader *r, PtLogPos pos)
{
	pt_reader_seek_pos(r, pos);
	r->ordinal = PG_INT64_MAX;
}

/* Positions at a frame that this reader, or one before, has read. */
void
pt_reader_seek_frame(PtReader *r, const PtFrame *frame)
{
	pt_reader_map_for(r, frame->swapped);
	pt_reader_seek_pos(r, frame->pos);
	r->ordinal = frame->head.base_ordinal;
}

/* Positions behind it. */
void
pt_reader_seek_behind(PtReader *r, const PtFrame *frame)
{
	pt_reader_map_for(r, frame->swapped);
	pt_reader_seek_pos(r, frame->next);
	r->ordinal = frame->head.base_ordinal + frame->head.ordinals;
}

/* Where the reader stands. */
PtReaderPlace
pt_reader_place(const PtReader *r)
{
	return (PtReaderPlace)
	{
		.pos = r->pos,.ordinal = r->ordinal,.swapped = r->source.swapped,
			.skip_pos = r->skip_pos,.skip_length = r->skip_length
	};
}

/* Back to there. */
void
pt_reader_return(PtReader *r, const PtReaderPlace *place)
{
	pt_reader_map_for(r, place->swapped);
	r->pos = place->pos;
	r->ordinal = place->ordinal;
	r->skip_pos = place->skip_pos;
	r->skip_length = place->skip_length;
}

/*
 * Positions behind everything: prev gives the last frame.  Pages are written
 * in order, so that the first one that is not is found by bisection.
 */
void
pt_reader_seek_end(PtReader *r)
{
	PtLogInfo	info;
	uint64		end;

	do
	{
		pt_locator_info(r->rel, &r->locator, &info);
		pt_reader_map_for(r, info.swapped);
		end = info.next_extent == info.first_extent ? 0 : pt_reader_written(r, info.next_extent - 1);
	} while (r->moved);
	pt_reader_seek_pos(r, end == 0 ? info.start_pos : pt_pos_make(end, PT_PAGE_FIRST));
	r->ordinal = PG_INT64_MAX;
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
 * Positions at the first frame that starts in the extent, or behind it when
 * none does.
 */
void
pt_reader_seek_extent(PtReader *r, uint64 extent)
{
	PtLogInfo	info;
	PtDirEntry	entry;

	pt_locator_info(r->rel, &r->locator, &info);
	pt_reader_map_for(r, info.swapped);
	if (extent >= info.hole_from && extent < info.hole_to)
		extent = info.hole_to;
	if (!pt_extent_lookup(r->rel, &r->locator, extent, &entry))
		entry.base_ordinal = -1;
	pt_reader_seek_pos(r, Max(info.start_pos, pt_extent_pos(extent)));
	r->ordinal = entry.base_ordinal;
}

/*
 * Positions so that prev gives the last frame that starts in the extent or
 * before.  That frame may go on in the next extent, and the pages at this
 * one's end need not be written.
 */
void
pt_reader_seek_extent_end(PtReader *r, uint64 extent)
{
	PtLogInfo	info;
	uint64		behind = (extent + 1) * PT_EXTENT_BLOCKS;
	uint64		end;

	pt_locator_info(r->rel, &r->locator, &info);
	pt_reader_map_for(r, info.swapped);
	end = pt_reader_written(r, extent);
	if (r->moved || end == behind)
		pt_reader_seek_tail(r, pt_pos_make(behind - 1, PT_PAGE_END));
	else
		pt_reader_seek_tail(r, pt_pos_make(end, PT_PAGE_FIRST));
}

/*
 * The last extent in [first, next) whose base is at or below what is sought.
 * Holes do not count.
 */
static uint64
seek_extent_by(PtReader *r, SeekBy by, int64 sought, const PtLogInfo *info)
{
	uint64		holes = info->hole_to - info->hole_from;
	uint64		lo = info->first_extent;
	uint64		hi = info->next_extent - holes;

	while (hi - lo > 1)
	{
		uint64		mid = lo + (hi - lo) / 2;
		PtDirEntry	entry;

		if (!pt_extent_lookup(r->rel, &r->locator, number_of(info, mid), &entry))
			break;				/* overtaken by retention: lo is as good */
		if ((by == BY_OFFSET ? entry.base_offset : entry.base_ordinal) <= sought)
			lo = mid;
		else
			hi = mid;
	}
	return number_of(info, lo);
}

/*
 * The base ordinal of the first extent that has one above "ordinal";
 * PG_INT64_MAX: none has.  So a log is cut into pieces that stay the same
 * when compaction moves frames: each has those whose base ordinal is in it.
 */
int64
pt_reader_extent_behind(PtReader *r, int64 ordinal)
{
	PtLogInfo	info;
	PtDirEntry	entry;
	uint64		extent;

	pt_locator_info(r->rel, &r->locator, &info);
	if (info.next_extent == info.first_extent)
		return PG_INT64_MAX;
	for (extent = seek_extent_by(r, BY_ORDINAL, ordinal, &info); extent < info.next_extent; extent++)
	{
		if (pt_extent_lookup(r->rel, &r->locator, extent, &entry) && entry.phys != PT_INVALID_EXTENT &&
			entry.base_ordinal > ordinal)
			return entry.base_ordinal;
	}
	return PG_INT64_MAX;
}

/*
 * The place of the last page's first batch in an extent whose base is at or
 * below what is sought; 0 when there is none.  Pages on which no batch starts
 * (the inside of long ones) are stepped over to the left.
 */
static PtLogPos
seek_page_by(PtReader *r, SeekBy by, int64 sought, uint64 extent, int64 *ordinal)
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
			*ordinal = frame.head.base_ordinal;
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
	PtLogPos	pos;
	int64		ordinal;

	do
	{
		pt_locator_info(r->rel, &r->locator, &info);
		pt_reader_map_for(r, info.swapped);
		pos = 0;
		ordinal = info.start_ordinal;
		if (info.next_extent > info.first_extent)
		{
			uint64		extent = seek_extent_by(r, by, sought, &info);

			/* a batch that started in an extent before may hold it */
			while ((pos = seek_page_by(r, by, sought, extent, &ordinal)) == 0 && extent > info.first_extent)
				extent = extent == info.hole_to && info.hole_from != info.hole_to ? info.hole_from - 1 : extent - 1;
		}
	} while (r->moved);
	if (pos < info.start_pos)
		ordinal = info.start_ordinal;
	pt_reader_seek_pos(r, Max(pos, info.start_pos));
	r->ordinal = ordinal;
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
 * The first of the complete extents [lo, hi) whose batches and those before
 * have a timestamp at or above this one, as far as the directory knows; hi:
 * none.  Binary search, as running_max never goes down.
 */
static uint64
first_running_max(PtReader *r, uint64 lo, uint64 hi, int64 timestamp_ms)
{
	while (lo < hi)
	{
		uint64		mid = lo + (hi - lo) / 2;
		PtDirEntry	entry;

		/* one that is not there has been overtaken by retention */
		if (pt_extent_lookup(r->rel, &r->locator, mid, &entry) && entry.running_max >= timestamp_ms)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* The same for the batches that start in the extent alone.  Linear. */
static uint64
first_max(PtReader *r, uint64 lo, uint64 hi, int64 timestamp_ms)
{
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	for (uint64 extent = lo; extent < hi; extent += Max(n, 1))
	{
		n = pt_extents_read(r->rel, &r->locator, extent, entries, (int) Min(hi - extent, lengthof(entries)));
		for (int i = 0; i < n; i++)
		{
			if (entries[i].phys != PT_INVALID_EXTENT && entries[i].max_timestamp >= timestamp_ms)
				return extent + i;
		}
	}
	return hi;
}

/*
 * Positions at the first batch of the first extent, from "from" on, that has a
 * batch with max_timestamp at or above this one (ms).  Returns its number,
 * PT_NO_EXTENT when there is none.  An extent that is not complete may have
 * one, and so may one whose batch with it was aborted.
 *
 * What the search finds by the running maximum is right if the extent itself
 * has such a timestamp.  Else an outlier has set the maximum that lies before
 * "from", or before the start of the log, and the entries are looked at one by
 * one: timestamps need not grow.  Extents that compaction has emptied have
 * nothing.
 */
uint64
pt_reader_seek_timestamp(PtReader *r, uint64 from, int64 timestamp_ms)
{
	PtLogInfo	info;
	PtDirEntry	entry;
	uint64		extent;

	pt_locator_info(r->rel, &r->locator, &info);
	from = Max(from, pt_pos_extent(info.start_pos));
	if (from >= info.next_extent)
	{
		pt_reader_seek_end(r);
		return PT_NO_EXTENT;
	}
	extent = first_running_max(r, from, info.next_extent - 1, timestamp_ms);
	Assert(extent >= from && extent < info.next_extent);
	if (extent + 1 < info.next_extent &&
		pt_extent_lookup(r->rel, &r->locator, extent, &entry) &&
		(entry.phys == PT_INVALID_EXTENT || entry.max_timestamp < timestamp_ms))
		extent = first_max(r, extent + 1, info.next_extent - 1, timestamp_ms);
	pt_reader_seek_extent(r, extent);
	return extent;
}

/*
 * The largest timestamp (ms) that a batch of a complete extent or of one
 * before has, or had that was removed or aborted; -1: none, or the extent is
 * not there.
 */
int64
pt_reader_running_max(PtReader *r, uint64 extent)
{
	PtDirEntry	entry;

	if (!pt_extent_lookup(r->rel, &r->locator, extent, &entry))
		return -1;
	return entry.running_max;
}
