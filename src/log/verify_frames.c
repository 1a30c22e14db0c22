/*-------------------------------------------------------------------------
 *
 * verify_frames.c
 *	  Verifying a log: its pages in order, and the frames on them.
 *
 * Each page is read once.  The walk knows where the next frame must start, so
 * every byte of a page belongs to a frame, or there is a finding.  When it
 * loses its way (a page is damaged, a frame is none), it goes on at the first
 * frame of the next page that has one: "first" in the page's special space.
 *
 * Others append meanwhile.  Up to the committed end, and before the last page
 * that was written when the walk began, all must be there; behind that, what
 * is not there is not there yet.  Retention and compaction may put other pages
 * in the place of an extent: then it is looked at once more from its
 * beginning.
 *
 * Siblings: verify.c says who calls whom; verify_batch.c looks into frames.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "log/verify_walk.h"

/* How often an extent that is being replaced is looked at again. */
#define TRIES_MAX	10

/*
 * Ordinals that a part of the log may have taken of which nothing is known:
 * they must not be given to others.
 */
#define ORDINALS_LOST	((int64) 1 << 32)

static bool find_written(PtVerifyWalk *w);
static void lose(PtVerifyWalk *w);
static bool is_needed(const PtVerifyWalk *w, uint64 block);
static bool walk_body(PtVerifyWalk *w, Page page, uint64 block);
static bool walk_frame(PtVerifyWalk *w, Page page, uint32 *used);
static void walk_page(PtVerifyWalk *w, Page page, uint64 block);
static void walk_extent(PtVerifyWalk *w);

/*
 * Does the walk stand in an extent that has been dropped or replaced since its
 * entry was read?  Asked before a finding.
 */
static bool
is_replaced(PtVerifyWalk *w)
{
	PtDirEntry	entry;

	if (!pt_verify_reread_meta(w->v))
	{
		w->stopped = true;
		return true;
	}
	w->again = pt_verify_entry(w->v, w->extent, &entry) != PT_ENTRY_FOUND ||
		entry.phys != w->entry.phys || entry.generation != w->entry.generation;
	return w->again;
}

/*
 * Has the frame that the walk saw last been changed since (its length was
 * repaired)?  Then what comes behind it is not what it promised.
 */
static bool
is_repaired(PtVerifyWalk *w)
{
	PtFrame		again;
	char	   *why;

	if (w->frame.pos == 0 || w->frame_block == InvalidBlockNumber ||
		pt_verify_read(w->v, w->frame_block, 1, w->v->one_page, &why) == 0)
		return false;
	return pt_page_special(w->v->one_page)->block == pt_pos_block(w->frame.pos) &&
		pt_walk_page(w->v->one_page, w->frame.pos, &again) == PT_WALK_FRAME &&
		(again.next != w->frame.next || again.head.flags != w->frame.head.flags);
}

/*
 * The walk has found something wrong with how frames follow each other.  True:
 * it is so; else it has been said that it is not, and the way is lost.
 */
static bool
is_wrong(PtVerifyWalk *w)
{
	if (is_replaced(w))
		return false;
	if (!is_repaired(w))
		return true;
	lose(w);
	w->lost_from = 0;			/* nothing is lost */
	return false;
}

/* Where the next frame starts is not known any more. */
static void
lose(PtVerifyWalk *w)
{
	if (w->next != 0 && w->lost_from == 0)
	{
		w->lost_from = w->left > 0 ? w->frame.pos : w->next;
		w->lost_offset = w->left > 0 ? w->offset_before : w->offset;
	}
	w->next = 0;
	w->left = 0;
	w->exact = false;
	w->lost_ever = true;
	w->lost_in_extent = true;
}

/*
 * It is known again; offset and ordinal: of the batch there, or -1.  Tells of
 * what was lost in between.
 */
void
pt_verify_found_again(PtVerifyWalk *w, PtLogPos pos, int64 offset, int64 ordinal)
{
	PtDamagedRun run = {
		.from = w->lost_from,.to = pos,.first_offset = Max(w->lost_offset, 0),.next_offset = Max(Max(offset, w->lost_offset), 0),
		.next_ordinal = ordinal >= 0 ? ordinal : Max(w->ordinal, w->v->meta->start_ordinal) + ORDINALS_LOST
	};

	if (w->lost_from != 0 && w->v->sink->run)
		w->v->sink->run(w->v->sink->arg, &run);
	w->lost_from = 0;
}

/* Must the page of a block be there? */
static bool
is_needed(const PtVerifyWalk *w, uint64 block)
{
	return block < w->written_block || pt_pos_make(block, PT_PAGE_FIRST) < w->end;
}

/*
 * Nothing more is written where the walk stands: that is the end of the log,
 * or damage.
 */
static void
nothing_there(PtVerifyWalk *w, uint64 block, const char *what)
{
	PtLogPos	pos = w->left > 0 ? w->frame.pos : w->next;

	if (pos >= w->end && block >= w->written_block)
	{
		w->stopped = true;
		return;
	}
	if (!is_wrong(w))
		return;
	pt_verify_say(w->v, PT_DAMAGE_FRAME, w->block, pos, w->left > 0 ? w->frame.batch.base_offset : -1, "%s", what);
	lose(w);
}

/*
 * The page goes on with the batch that the walk is amid.  False: the page is
 * done with.
 */
static bool
walk_body(PtVerifyWalk *w, Page page, uint64 block)
{
	uint32		lower = ((PageHeader) page)->pd_lower;
	uint32		n = Min(w->left, PT_PAGE_CAPACITY);

	Assert(w->left > 0 && w->next != 0);
	if (lower < PT_PAGE_FIRST + n)
	{
		nothing_there(w, block, "the batch goes on, and the page does not");
		return false;
	}
	if (w->left > n && pt_page_special(page)->first != 0)
	{
		if (is_wrong(w))
			pt_verify_say(w->v, PT_DAMAGE_PAGE, w->block, w->frame.pos, w->frame.batch.base_offset,
						  "a frame is to start at byte %u of the page, amid a batch", pt_page_special(page)->first);
		lose(w);
		return true;			/* perhaps that is where the log goes on */
	}
	pt_verify_collect(w, (char *) page + PT_PAGE_FIRST, n);
	w->left -= n;
	w->used = PT_PAGE_FIRST + n;
	if (w->left == 0)
		pt_verify_batch(w);
	return w->left == 0;
}

/*
 * The frame at w->next, which is on this page.  False: there is none, or it is
 * damaged.
 */
static bool
walk_frame(PtVerifyWalk *w, Page page, uint32 *used)
{
	uint32		lower = ((PageHeader) page)->pd_lower;
	uint32		byte = pt_pos_byte(w->next);
	uint32		n;
	PtFrame		frame;

	switch (pt_walk_page(page, w->next, &frame))
	{
		case PT_WALK_END:
			nothing_there(w, pt_pos_block(w->next), "no frame is written here");
			return false;
		case PT_WALK_DAMAGED:
			if (is_wrong(w))
				pt_verify_say(w->v, PT_DAMAGE_FRAME, w->block, w->next, -1,
							  "what is here cannot be a frame: length %u, flags 0x%x, ordinals %lld + %u",
							  frame.head.length, frame.head.flags, (long long) frame.head.base_ordinal, frame.head.ordinals);
			lose(w);
			return false;
		case PT_WALK_FRAME:
			break;
	}
	if (frame.pos < w->end && frame.next > w->end)
	{
		if (is_wrong(w))
			pt_verify_say(w->v, PT_DAMAGE_FRAME, w->block, w->next, frame.batch.base_offset,
						  "the frame is longer than the log");
		lose(w);
		return false;
	}
	w->leaping = pt_pos_begins_extent(frame.next) && frame.next != pt_frame_next(frame.pos, frame.head.length);
	if (frame.head.flags & PT_FRAME_MOVED)
	{
		pt_verify_moved(w, &frame);
		w->next = frame.next;
		w->skipped = true;
		return false;
	}
	pt_verify_frame(w, &frame);
	n = Min(lower - byte - (uint32) sizeof(PtFrameHeader), frame.head.length);
	pt_verify_collect(w, (char *) page + byte + sizeof(PtFrameHeader), n);
	w->left = frame.head.length - n;
	w->next = frame.next;
	*used = byte + sizeof(PtFrameHeader) + n;
	if (w->left == 0)
		pt_verify_batch(w);
	else if (lower < PT_PAGE_END)
		nothing_there(w, pt_pos_block(frame.pos), "the batch is longer than what is written of it");
	return w->next != 0 && !w->stopped && w->left == 0;
}

/* The special space says where the first frame of the page starts. */
static void
check_first(PtVerifyWalk *w, Page page, uint64 block)
{
	uint32		first = pt_page_special(page)->first;
	uint32		starts = pt_pos_block(w->next) == block &&
		pt_pos_byte(w->next) + PT_FRAME_HEAD <= ((PageHeader) page)->pd_lower ? pt_pos_byte(w->next) : 0;

	/* the log may begin behind others, and at nothing yet */
	if (first == starts ||
		(w->next == w->start && pt_pos_block(w->start) == block && first != 0 && first < pt_pos_byte(w->start)))
		return;
	if (is_wrong(w))
		pt_verify_say(w->v, PT_DAMAGE_PAGE, w->block, w->next, -1,
					  "the first frame of the page is to start at byte %u, and not at %u", first, starts);
}

/* A page of the log that is what it should be, but for its frames. */
static void
walk_page(PtVerifyWalk *w, Page page, uint64 block)
{
	uint32		first = pt_page_special(page)->first;

	w->used = PT_PAGE_FIRST;
	if (w->left > 0 && !walk_body(w, page, block))
		return;
	if (w->again || w->stopped)
		return;
	if (w->next == 0 || w->leaping)
	{
		/* there may be the rest of a frame that starts elsewhere now */
		if (first == 0)
		{
			if (w->leaping)
				w->next = pt_pos_make(block + 1, PT_PAGE_FIRST);
			return;
		}
		w->next = pt_pos_make(block, first);
		w->leaping = false;
	}
	else
		check_first(w, page, block);
	while (!w->again && pt_pos_block(w->next) == block && walk_frame(w, page, &w->used))
		;
	if (w->again || w->stopped || w->next == 0 || w->left > 0 || w->skipped)
		return;
	if (w->used != ((PageHeader) page)->pd_lower && is_wrong(w))
		pt_verify_say(w->v, PT_DAMAGE_PAGE, w->block, pt_pos_make(block, w->used), -1,
					  "what is written ends at byte %u of the page, and its frames at %u",
					  ((PageHeader) page)->pd_lower, w->used);
}

/*
 * A page that need not be there is not written, or has what was written when
 * the physical extent was another logical one, at the same place.  false: it
 * must be the page of this log's end, and is damaged.
 */
static bool
is_unwritten(Page page, uint64 block)
{
	const char *what;

	if (PageIsNew(page) || pt_verify_page_header(page, PT_PAGE_DIRECTORY, &what))
		return true;
	return pt_verify_page_header(page, PT_PAGE_LOG, &what) &&
		pt_page_special(page)->block < block && pt_page_special(page)->block % PT_EXTENT_BLOCKS == block % PT_EXTENT_BLOCKS;
}

/* One block of the extent, which has been read if "why" is NULL. */
static void
walk_block(PtVerifyWalk *w, Page page, uint64 block, const char *why)
{
	const char *what = why;
	PtDamage	damage = PT_DAMAGE_UNREADABLE;

	if (w->left == 0 && w->next != 0 && block < pt_pos_block(w->next))
		return;					/* a frame has led past it */
	if (why == NULL)
	{
		damage = PT_DAMAGE_PAGE;
		if (pt_verify_log_page(page, block, w->entry.generation, &what))
		{
			w->skipped = false;
			walk_page(w, page, block);
			return;
		}
	}
	if (why == NULL && !is_needed(w, block) && is_unwritten(page, block))
		w->stopped = true;
	else if (!is_replaced(w))
	{
		pt_verify_say(w->v, damage, w->block, w->left > 0 ? w->frame.pos : pt_pos_make(block, 0),
					  w->left > 0 ? w->frame.batch.base_offset : -1, "%s", what);
		if (!is_needed(w, block))
			w->stopped = true;
		lose(w);
	}
}

/*
 * The blocks of the extent whose entry the walk has, from the one on where the
 * next frame starts.
 */
static void
walk_extent(PtVerifyWalk *w)
{
	PtVerify   *v = w->v;
	uint32		i = w->next != 0 && pt_pos_extent(w->next) == w->extent && w->left == 0 ? pt_pos_block(w->next) % PT_EXTENT_BLOCKS : 0;

	while (i < PT_EXTENT_BLOCKS && !w->stopped && !w->again)
	{
		BlockNumber at = pt_extent_block(w->entry.phys) + i;
		int			n = (int) Min(PT_VERIFY_BLOCKS, PT_EXTENT_BLOCKS - i);
		int			got = 0;
		char	   *why = NULL;

		if (at + n > v->file_blocks)
			v->file_blocks = RelationGetNumberOfBlocks(v->rel);
		n = at < v->file_blocks ? (int) Min(n, v->file_blocks - at) : 0;
		if (n > 0)
			got = pt_verify_read(v, at, n, v->pages, &why);
		for (int k = 0; k < got && !w->stopped && !w->again; k++, i++)
		{
			w->block = at + k;
			walk_block(w, v->pages + (Size) k * BLCKSZ, w->extent * PT_EXTENT_BLOCKS + i, NULL);
		}
		if (got == n && n > 0)
			continue;
		if (w->stopped || w->again)
			break;
		w->block = at + got;
		if (n == 0 && !is_needed(w, w->extent * PT_EXTENT_BLOCKS + i))
			w->stopped = true;	/* the file has not grown that far */
		else
			walk_block(w, NULL, w->extent * PT_EXTENT_BLOCKS + i, n == 0 ? "the file is too short" : pstrdup(why));
		i++;
	}
}

/*
 * An extent without a physical one must be among those that the meta page
 * says are holes.
 */
static bool
is_hole(PtVerifyWalk *w)
{
	const PtMetaPage *meta = w->v->meta;

	if (w->extent >= meta->hole_from && w->extent < meta->hole_to)
		return true;
	if (!is_replaced(w))
		pt_verify_say(w->v, PT_DAMAGE_DIRECTORY, InvalidBlockNumber, pt_extent_pos(w->extent), -1,
					  "extent %llu is nowhere, and the holes are %llu to %llu", (unsigned long long) w->extent,
					  (unsigned long long) meta->hole_from, (unsigned long long) meta->hole_to);
	return false;
}

/*
 * The walk comes to an extent.  False: there is nothing to be read in it, and
 * the walk goes on behind.
 */
static bool
enter_extent(PtVerifyWalk *w)
{
	w->lost_in_extent = w->next == 0 || (w->left == 0 && w->next != pt_extent_pos(w->extent));
	w->extent_max = -1;
	w->first_seen = false;
	w->floor = w->leaping ? -1 : w->left > 0 ? w->offset_before : w->offset;
	if (w->left == 0 && w->next != 0 && pt_pos_extent(w->next) > w->extent)
		return false;			/* a frame has led past it */
	switch (pt_verify_entry(w->v, w->extent, &w->entry))
	{
		case PT_ENTRY_FOUND:
			break;
		case PT_ENTRY_DAMAGED:
			lose(w);
			return false;
		case PT_ENTRY_GONE:
			lose(w);
			w->lost_from = 0;	/* nothing is lost that anybody wants */
			return false;
	}
	if (w->entry.phys == PT_INVALID_EXTENT)
	{
		/* a hole: compaction has left nothing */
		if (w->left > 0 || w->next == 0 || !is_hole(w))
			lose(w);
		else
		{
			w->next = pt_extent_pos(w->extent + 1);
			w->leaping = true;
			w->exact = false;
			w->compacted = true;
		}
		return false;
	}
	if ((uint64) pt_extent_block((uint64) w->entry.phys) < w->v->file_blocks)
	{
		w->compacted |= w->entry.generation > 0;
		return true;
	}
	lose(w);
	return false;
}

/*
 * Which pages of the last extent have been written?  All before the last one
 * that is.  False: none.
 */
static bool
find_written(PtVerifyWalk *w)
{
	PtVerify   *v = w->v;
	uint64		extent = v->meta->next_extent - 1;
	PtDirEntry	entry;

	w->written_block = extent * PT_EXTENT_BLOCKS;
	if (pt_verify_entry(v, extent, &entry) != PT_ENTRY_FOUND || entry.phys == PT_INVALID_EXTENT)
		return false;
	for (int i = PT_EXTENT_BLOCKS - 1; i >= 0; i--)
	{
		BlockNumber at = pt_extent_block((uint64) entry.phys) + i;
		const char *what;
		char	   *why;

		if (at < v->file_blocks && pt_verify_read(v, at, 1, v->one_page, &why) == 1 &&
			pt_verify_log_page(v->one_page, extent * PT_EXTENT_BLOCKS + i, entry.generation, &what))
		{
			w->written_block += i;
			return true;
		}
	}
	return false;
}

/*
 * Walks over the whole log, by the meta page that v has.
 */
void
pt_verify_frames(PtVerify *v)
{
	PtVerifyWalk w = {.v = v,.next = v->meta->start_pos,.start = v->meta->start_pos,.offset = -1,.ordinal = -1};
	int			tries = 0;

	if (v->meta->next_extent == v->meta->first_extent)
		return;
	w.extent = Max(v->meta->first_extent, pt_pos_extent(w.start));
	w.running_max = -1;
	w.promised_before = -1;
	w.end_offset = -1;
	w.max_next = -1;
	if (v->known)
	{
		w.end = v->committed.pos;
		w.end_offset = v->committed.offset;
	}
	(void) find_written(&w);
	if (w.end < w.start)
		w.end = w.start;		/* deleted up to there meanwhile */
	while (w.extent < v->meta->next_extent && !w.stopped)
	{
		w.again = false;
		w.entered = enter_extent(&w);
		if (w.entered)
			walk_extent(&w);
		if (w.again && ++tries < TRIES_MAX)
		{
			lose(&w);
			w.lost_from = 0;
			pt_verify_forget_producers(&w);
			w.extent = Max(w.extent, v->meta->first_extent);
			continue;
		}
		tries = 0;
		if (!w.stopped)
			pt_verify_extent_end(&w);
		w.extent++;
	}
	pt_verify_end(&w);
	if (w.lost_from != 0)
		pt_verify_found_again(&w, w.end > w.lost_from ? w.end : pt_pos_make(w.written_block + 1, PT_PAGE_FIRST),
							  Max(w.end_offset, w.max_next), v->known ? v->tail_ordinal : -1);
	pt_verify_forget_producers(&w);
	if (w.data)
		pfree(w.data);
}
