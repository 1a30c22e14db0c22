/*-------------------------------------------------------------------------
 *
 * group.c
 *	  What compaction leaves of some extents.
 *
 * Extents are read as a whole into memory (images), past shared buffers where
 * they are in none.  Below the sealed position their bytes are final, but for
 * the flag that a SWAP sets, after which images are forgotten.
 *
 * The log is gone through backwards, batch by batch.  So the first batch of a
 * producer that is met is his last, and stays at least as an empty one; so
 * does the last batch of the log, without which the next offset would not be
 * known, and the last snapshot of producers.
 *
 * Siblings: compact.c, ../record/filter.c (a batch).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "io/io.h"
#include "log/internal.h"
#include "log/compact.h"

/* Producers that are remembered; of more, all batches stay. */
#define PRODUCERS_MAX	1000000

static void load_image(PtCompact *c, PtExtentImage *image, uint64 extent);
static bool image_page(const PtExtentImage *image, uint64 block, Page *page);
static bool first_start(const PtExtentImage *image, PtLogPos *pos);
static bool next_start(const PtExtentImage *image, PtLogPos *pos, PtFrame *frame);
static bool must_keep_batch(PtCompact *c, const PtFrame *frame);
static bool keep_frame(PtCompact *c, const PtFrame *frame, PtKept *kept);
static bool filter_frame(PtCompact *c, const PtFrame *frame, PtKept *kept);
static PtPart *make_part(PtCompact *c, uint64 extent, const PtFrame *frames, int n);

/*
 * images
 */

/* Is the page at "at" of an image the one that belongs there? */
static bool
is_page_of(Page page, uint64 block, uint32 generation)
{
	return !PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(PtPageSpecial)) &&
		pt_page_special(page)->kind == PT_PAGE_LOG && pt_page_special(page)->block == block &&
		pt_page_special(page)->generation == generation;
}

/* Copies a page out of its buffer. */
static void
copy_page(PtCompact *c, BlockNumber block, char *to)
{
	Buffer		buf = ReadBufferExtended(c->rel, MAIN_FORKNUM, block, RBM_NORMAL, c->reading);

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	memcpy(to, BufferGetPage(buf), BLCKSZ);
	UnlockReleaseBuffer(buf);
}

static void
load_image(PtCompact *c, PtExtentImage *image, uint64 extent)
{
	PtDirEntry	entry;
	BlockNumber first;
	int			n;

	if (image->pages == NULL)
		image->pages = (char *) TYPEALIGN(PG_IO_ALIGN_SIZE,
										  MemoryContextAlloc(c->mcxt, PT_EXTENT_BLOCKS * BLCKSZ + PG_IO_ALIGN_SIZE));
	image->extent = PT_NO_EXTENT;
	if (!pt_extent_lookup(c->rel, &pt_rel_locator(c->rel), extent, &entry) || entry.phys == PT_INVALID_EXTENT)
		elog(ERROR, "extent %llu of \"%s\" is not there", (unsigned long long) extent,
			 RelationGetRelationName(c->rel));
	first = pt_extent_block(entry.phys);
	n = (int) Min(PT_EXTENT_BLOCKS, RelationGetNumberOfBlocks(c->rel) - first);
	image->written = 0;
	for (int i = 0; i < n;)
	{
		char	   *to = image->pages + (Size) i * BLCKSZ;
		Buffer		recent;
		int			got = pt_pages_read(&pt_rel_locator(c->rel), first + i, to, n - i, n - i, false, &recent);

		CHECK_FOR_INTERRUPTS();
		if (got == 0)
		{
			copy_page(c, first + i, to);
			got = 1;
		}
		for (; got > 0 && is_page_of((Page) (image->pages + (Size) i * BLCKSZ), extent * PT_EXTENT_BLOCKS + i,
									 entry.generation); got--)
			image->written = ++i;
		if (got > 0)
			break;
	}
	image->extent = extent;
}

/* The image of an extent, good until two others have been asked for. */
const PtExtentImage *
pt_compact_image(PtCompact *c, uint64 extent)
{
	PtExtentImage *image;

	for (int i = 0; i < PT_COMPACT_IMAGES; i++)
	{
		if (c->images[i].extent == extent)
			return &c->images[i];
	}
	image = &c->images[c->next_image];
	c->next_image = (c->next_image + 1) % PT_COMPACT_IMAGES;
	load_image(c, image, extent);
	return image;
}

/* The log has changed. */
void
pt_compact_forget_images(PtCompact *c)
{
	for (int i = 0; i < PT_COMPACT_IMAGES; i++)
		c->images[i].extent = PT_NO_EXTENT;
}

static bool
image_page(const PtExtentImage *image, uint64 block, Page *page)
{
	uint32		at = (uint32) (block % PT_EXTENT_BLOCKS);

	Assert(block / PT_EXTENT_BLOCKS == image->extent);
	*page = (Page) (image->pages + (Size) at * BLCKSZ);
	return at < image->written;
}

/* The first place where a frame starts; false: none does. */
static bool
first_start(const PtExtentImage *image, PtLogPos *pos)
{
	for (int i = 0; i < image->written; i++)
	{
		uint32		first = pt_page_special((Page) (image->pages + (Size) i * BLCKSZ))->first;

		*pos = pt_pos_make(image->extent * PT_EXTENT_BLOCKS + i, first);
		if (first != 0)
			return true;
	}
	return false;
}

/*
 * The frame that starts at *pos, which is moved to the next one.  False: the
 * extent has no more.
 */
static bool
next_start(const PtExtentImage *image, PtLogPos *pos, PtFrame *frame)
{
	PtWalked	walked;
	Page		page;

	if (pt_pos_extent(*pos) != image->extent || !image_page(image, pt_pos_block(*pos), &page))
		return false;
	walked = pt_frame_start(*pos) == *pos ? pt_walk_page(page, *pos, frame) : PT_WALK_DAMAGED;
	if (walked == PT_WALK_DAMAGED)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid frame in logical block %llu of a log", (unsigned long long) pt_pos_block(*pos))));
	*pos = frame->next;
	return walked == PT_WALK_FRAME;
}

/* Payload from a place on, out of images, in memory of the group. */
char *
pt_compact_bytes(PtCompact *c, PtLogPos pos, uint64 len)
{
	char	   *result = MemoryContextAllocHuge(c->group_mcxt, len);
	uint64		done = 0;

	while (done < len)
	{
		uint32		byte = pt_pos_byte(pos);
		uint64		n = Min(PT_PAGE_END - byte, len - done);
		Page		page;

		if (!image_page(pt_compact_image(c, pt_pos_extent(pos)), pt_pos_block(pos), &page) ||
			byte + n > ((PageHeader) page)->pd_lower)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a batch of \"%s\" ends in logical block %llu, before its length",
							RelationGetRelationName(c->rel), (unsigned long long) pt_pos_block(pos))));
		memcpy(result + done, (char *) page + byte, n);
		done += n;
		pos = pt_pos_advance(pos, n);
	}
	return result;
}

/*
 * what stays
 */

/*
 * Must the batch stay, empty if need be?  Batches are asked about backwards,
 * each once.
 */
static bool
must_keep_batch(PtCompact *c, const PtFrame *frame)
{
	bool		last = !c->last_seen;
	bool		seen = false;

	c->last_seen = true;
	if (frame->batch.producer_id < 0)
		return last;
	if (hash_get_num_entries(c->producers) < PRODUCERS_MAX)
		(void) hash_search(c->producers, &frame->batch.producer_id, HASH_ENTER, &seen);
	else
		(void) hash_search(c->producers, &frame->batch.producer_id, HASH_FIND, &seen);
	return last || (!seen && frame->batch.max_timestamp >= c->job->now_ms - c->job->producer_expiry_ms);
}

/* A frame behind what is compacted, from back to front. */
void
pt_compact_note_tail(PtCompact *c, const PtFrame *frame)
{
	if (frame->head.flags & PT_FRAME_ABORTED)
		return;
	if (pt_frame_is_batch(frame))
		(void) must_keep_batch(c, frame);
	else if ((frame->head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_PRODUCERS)
		c->snapshot_seen = true;
}

/* What the filter leaves of a batch. */
static bool
filter_frame(PtCompact *c, const PtFrame *frame, PtKept *kept)
{
	char	   *data = pt_compact_bytes(c, pt_pos_advance(frame->pos, sizeof(PtFrameHeader)), frame->head.length);
	bool		keep = frame->pos == c->spill_pos ? c->spill_keep : must_keep_batch(c, frame);
	PtFiltered	left = {.kind = PT_FILTER_WHOLE,.data = data,.len = frame->head.length};
	PtBatchHeader h = frame->batch;

	if (frame->batch.base_offset <= c->map.latest_offset)
	{
		PtBatchStatus status = pt_filter_batch(&c->filter, data, frame->head.length, keep, &left);

		if (status != PT_BATCH_OK)
			ereport(ERROR,
					(errcode(status == PT_BATCH_NO_MEMORY ? ERRCODE_OUT_OF_MEMORY : ERRCODE_DATA_CORRUPTED),
					 errmsg("batch at offset %lld of \"%s\" cannot be compacted: %s",
							(long long) frame->batch.base_offset, RelationGetRelationName(c->rel),
							pt_batch_status_text(status)),
					 errhint("The log is left as it is.  verify_topic() says what is wrong with it.")));
	}
	if (frame->pos == c->spill_pos)
		c->spill_pos = 0;
	c->changed |= left.kind != PT_FILTER_WHOLE;
	c->keep = keep;
	if (left.kind == PT_FILTER_DROPPED)
		return false;
	if (left.kind == PT_FILTER_CHANGED)
	{
		pfree(data);
		data = MemoryContextAllocHuge(c->group_mcxt, left.len);
		memcpy(data, left.data, left.len);
		(void) pt_batch_header_read(data, left.len, &h);
	}
	kept->data = data;
	kept->head.length = (uint32) left.len;
	kept->base_offset = h.base_offset;
	kept->next_offset = pt_batch_next_offset(&h);
	kept->max_timestamp = h.max_timestamp;
	return true;
}

/*
 * Does a frame stay?  If so, *kept is what is left of it.  Frames that lead
 * past damage cannot be put elsewhere.
 */
static bool
keep_frame(PtCompact *c, const PtFrame *frame, PtKept *kept)
{
	if (pt_frame_is_lost(frame))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("log of \"%s\" cannot be compacted, as a part of it is lost", RelationGetRelationName(c->rel)),
				 errdetail("skip_damaged() has given up what is at position %llu.", (unsigned long long) frame->pos),
				 errhint("Delete the records before it, or copy the topic.")));
	kept->head = frame->head;
	if (frame->head.flags & PT_FRAME_MOVED)
		return false;
	if (pt_frame_is_batch(frame) && !(frame->head.flags & PT_FRAME_ABORTED))
	{
		if (pt_batch_next_offset(&frame->batch) > c->info.start_offset)
			return filter_frame(c, frame, kept);
	}
	else if ((frame->head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_PRODUCERS &&
			 (!c->snapshot_seen || frame->pos == c->spill_pos) && !(frame->head.flags & PT_FRAME_ABORTED))
	{
		c->snapshot_seen = c->keep = true;
		kept->data = pt_compact_bytes(c, pt_pos_advance(frame->pos, sizeof(PtFrameHeader)), frame->head.length);
		kept->base_offset = kept->next_offset = -1;
		kept->max_timestamp = -1;
		return true;
	}
	if ((frame->head.flags & PT_FRAME_KIND_MASK) != PT_FRAME_KIND_SKIP)
		c->changed = true;
	return false;
}

/* What stays of the n frames, decided on from the last to the first. */
static PtPart *
make_part(PtCompact *c, uint64 extent, const PtFrame *frames, int n)
{
	PtPart	   *part = MemoryContextAllocZero(c->group_mcxt, sizeof(PtPart));
	int			first = n;

	part->extent = extent;
	part->kept = MemoryContextAllocHuge(c->group_mcxt, Max(n, 1) * sizeof(PtKept));
	for (int i = n - 1; i >= 0; i--)
	{
		CHECK_FOR_INTERRUPTS();
		if (keep_frame(c, &frames[i], &part->kept[first - 1]))
		{
			first--;
			c->bytes += sizeof(PtFrameHeader) + part->kept[first].head.length;
		}
	}
	part->n = n - first;
	part->kept += first;
	return part;
}

/* Puts an extent in front of the group. */
void
pt_compact_add_extent(PtCompact *c, uint64 extent)
{
	const PtExtentImage *image = pt_compact_image(c, extent);
	int			cap = 256;
	int			n = 0;
	PtFrame    *frames = palloc(cap * sizeof(PtFrame));
	PtLogPos	pos;
	PtPart	   *part;

	Assert(extent + 1 == c->from);
	if (first_start(image, &pos))
	{
		while (next_start(image, &pos, &frames[n]))
		{
			if (++n == cap)
			{
				cap *= 2;
				frames = repalloc_huge(frames, cap * sizeof(PtFrame));
			}
		}
	}
	part = make_part(c, extent, frames, n);
	pfree(frames);
	part->next = c->parts;
	c->parts = part;
	c->from = extent;
	c->job->extents_done++;
}

/*
 * The frame that starts in an extent and goes on in the next one.  False:
 * there is none.  *none_starts: no frame at all starts there.
 */
bool
pt_compact_spilling(PtCompact *c, uint64 extent, PtFrame *frame, bool *none_starts)
{
	const PtExtentImage *image = pt_compact_image(c, extent);
	PtFrame		next;
	PtLogPos	pos;
	bool		found = false;

	*none_starts = !first_start(image, &pos);
	if (*none_starts)
		return false;
	while (next_start(image, &pos, &next))
	{
		*frame = next;
		found = true;
	}
	return found && !(frame->head.flags & PT_FRAME_MOVED) &&
		(frame->head.flags & PT_FRAME_KIND_MASK) != PT_FRAME_KIND_SKIP &&
		frame->next > pt_extent_pos(extent + 1);
}

/*
 * What stays of that frame, as a part of its own.  It may be asked about once
 * more, with its extent, and is then decided on in the same way.
 */
PtPart *
pt_compact_frame(PtCompact *c, const PtFrame *frame)
{
	PtPart	   *part;

	c->keep = false;
	part = make_part(c, pt_pos_extent(frame->pos), frame, 1);
	c->spill_pos = frame->pos;
	c->spill_keep = c->keep;
	return part;
}
