/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  Frames in the pages of a log: the one place that reads frame headers.
 *
 * Who walks says where pages come from (PtPageSource).  There are two kinds.
 * Readers (reader.c) have pages in buffers, under a content lock, up to the
 * end of what is written.  A fetch (../fetch/fetch.c) has them without locks,
 * in buffers or read past them, below the durable end.
 *
 * No number on a page is believed before it is checked: an unlocked page may
 * get another content meanwhile, and a disk may give back what nobody wrote.
 * What a bad frame means is for the caller to say.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

/* The batch header of a frame that holds no batch. */
const PtBatchHeader pt_no_batch = {
	.base_offset = -1,.last_offset_delta = -1,.leader_epoch = -1,.base_timestamp = -1,
	.max_timestamp = -1,.producer_id = -1,.producer_epoch = -1,.base_sequence = -1
};

static bool walk_lost(const char *at, PtFrame *frame);
static bool is_written(Page page, PtLogPos pos);
static PtWalked walk_extents(PtPageSource *source, uint64 extent, PtFrame *frame);
static void finish_frame(PtPageSource *source, PtWalked result, PtFrame *frame);

/* Has the start of a frame been written at pos, which is on this page? */
static bool
is_written(Page page, PtLogPos pos)
{
	return pt_pos_byte(pos) + PT_FRAME_HEAD <= Min(((PageHeader) page)->pd_lower, PT_PAGE_END);
}

/*
 * A frame that says where the log goes on behind a part that is lost.  As
 * offset it has that which comes next.  False: it is damaged itself.
 */
static bool
walk_lost(const char *at, PtFrame *frame)
{
	PtLostBody	body;

	memcpy(&body, at + sizeof(PtFrameHeader), sizeof(body));
	if (body.next <= frame->pos || pt_frame_start(body.next) != body.next || body.first_offset < 0 ||
		body.next_offset < body.first_offset)
		return false;
	frame->next = body.next;
	frame->batch.base_offset = body.next_offset;
	Assert(pt_batch_next_offset(&frame->batch) == body.next_offset);
	return true;
}

/*
 * Reads the frame that starts at pos out of its page.  Takes no locks and
 * raises no errors.  "sealed" is set to false; pt_walk_at knows better.
 */
PtWalked
pt_walk_page(Page page, PtLogPos pos, PtFrame *frame)
{
	const char *at = (const char *) page + pt_pos_byte(pos);
	const PtFrameHeader *head = &frame->head;
	const PtBatchHeader *batch = &frame->batch;

	Assert(pt_frame_start(pos) == pos);
	if (!is_written(page, pos))
		return PT_WALK_END;
	memcpy(&frame->head, at, sizeof(PtFrameHeader));
	if (head->length < PT_BATCH_HEADER_SIZE || head->length > PG_INT32_MAX || head->base_ordinal < 0)
		return PT_WALK_DAMAGED;
	frame->pos = pos;
	frame->next = pt_frame_behind(pos, head);
	frame->sealed = false;
	frame->swapped = 0;
	Assert(frame->next > pos);
	if (!pt_frame_is_batch(frame))
	{
		frame->batch = pt_no_batch;
		if (pt_frame_is_lost(frame) && !walk_lost(at, frame))
			return PT_WALK_DAMAGED;
		return head->ordinals == 0 ? PT_WALK_FRAME : PT_WALK_DAMAGED;
	}
	if (pt_batch_header_read(at + sizeof(PtFrameHeader), PT_BATCH_HEADER_SIZE, &frame->batch) != PT_BATCH_OK ||
		batch->base_offset < 0 || batch->last_offset_delta < 0 ||
		head->ordinals != (uint32) batch->last_offset_delta + 1 ||
		(head->length != batch->length && !(head->flags & PT_FRAME_CUT)))
		return PT_WALK_DAMAGED;
	return PT_WALK_FRAME;
}

/*
 * The first frame that starts in an extent or behind it.  Holes have none, and
 * an extent may begin with the rest of a frame that starts before it, or with
 * the rest of one that has been moved.
 */
static PtWalked
walk_extents(PtPageSource *source, uint64 extent, PtFrame *frame)
{
	while (source->there(source, &extent))
	{
		for (uint64 block = extent * PT_EXTENT_BLOCKS; block < (extent + 1) * PT_EXTENT_BLOCKS; block++)
		{
			PtWalked	result;
			Page		page;
			uint32		first;

			if (!source->get(source, block, &page))
				return PT_WALK_END;
			first = pt_page_special(page)->first;
			if (first == 0)
			{
				source->put(source);
				continue;
			}
			if (pt_frame_start(pt_pos_make(block, first)) == pt_pos_make(block, first))
				result = pt_walk_page(page, pt_pos_make(block, first), frame);
			else
				result = PT_WALK_DAMAGED;
			finish_frame(source, result, frame);
			return result;
		}
		extent++;
	}
	return PT_WALK_END;
}

/* The page has been looked at, and may hold a frame. */
static void
finish_frame(PtPageSource *source, PtWalked result, PtFrame *frame)
{
	if (result == PT_WALK_FRAME)
	{
		frame->sealed = frame->pos < source->sealed &&
			(frame->pos < source->unsure_from || frame->pos >= source->unsure_to);
		frame->swapped = source->swapped;
	}
	source->put(source);
}

/*
 * The frame that starts at pos; if that is where an extent begins, the first
 * one from there on.
 */
PtWalked
pt_walk_at(PtPageSource *source, PtLogPos pos, PtFrame *frame)
{
	PtWalked	result;
	Page		page;

	if (pt_pos_begins_extent(pos))
		return walk_extents(source, pt_pos_extent(pos), frame);
	if (!source->get(source, pt_pos_block(pos), &page))
		return PT_WALK_END;
	result = pt_walk_page(page, pos, frame);
	finish_frame(source, result, frame);
	return result;
}

/*
 * The last frame on a page that starts before "end", or the first one that is
 * a batch.  PT_WALK_END when there is none.
 */
static PtWalked
find_on_page(Page page, uint64 block, PtLogPos end, bool first_batch, PtFrame *frame)
{
	PtLogPos	pos = pt_pos_make(block, pt_page_special(page)->first);
	PtWalked	result = PT_WALK_END;
	PtFrame		next;

	if (pt_pos_byte(pos) == 0)
		return PT_WALK_END;
	if (pt_pos_block(pos) != block || pt_frame_start(pos) != pos)
		return PT_WALK_DAMAGED;
	while (pt_pos_block(pos) == block && pos < end)
	{
		PtWalked	walked = pt_walk_page(page, pos, &next);

		if (walked == PT_WALK_END)
			break;
		if (walked == PT_WALK_DAMAGED)
			return walked;
		pos = next.next;
		if (first_batch && !pt_frame_is_batch(&next))
			continue;
		*frame = next;
		result = PT_WALK_FRAME;
		if (first_batch)
			break;
	}
	return result;
}

/*
 * The last frame that starts in a logical block and before "end".
 * PT_WALK_END: there is none.
 */
PtWalked
pt_walk_last(PtPageSource *source, uint64 block, PtLogPos end, PtFrame *frame)
{
	PtWalked	result;
	Page		page;

	if (!source->get(source, block, &page))
		return PT_WALK_END;
	result = find_on_page(page, block, end, false, frame);
	finish_frame(source, result, frame);
	return result;
}

/*
 * The first frame that starts in a logical block.  PT_WALK_END: there is none.
 */
PtWalked
pt_walk_first(PtPageSource *source, uint64 block, PtFrame *frame)
{
	PtWalked	result = PT_WALK_END;
	Page		page;

	if (!source->get(source, block, &page))
		return PT_WALK_END;
	if (pt_page_special(page)->first != 0)
		result = pt_walk_page(page, pt_pos_make(block, pt_page_special(page)->first), frame);
	source->put(source);
	return result;
}

/*
 * The first batch that starts in a logical block.  PT_WALK_END: there is none;
 * *written says whether the page is there.
 */
PtWalked
pt_walk_first_batch(PtPageSource *source, uint64 block, PtFrame *frame, bool *written)
{
	PtWalked	result;
	Page		page;

	*written = source->get(source, block, &page);
	if (!*written)
		return PT_WALK_END;
	result = find_on_page(page, block, PG_UINT64_MAX, true, frame);
	finish_frame(source, result, frame);
	return result;
}
