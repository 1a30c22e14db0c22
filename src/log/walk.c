/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  A frame in its page: the one place that reads frame headers to step on.
 *
 * Two kinds of walks use it.  reader.c walks in buffers under a content lock.
 * The fetch room walks without locks below the durable end, in buffers or in
 * pages read past them.  They differ in how they get a page, and what a bad
 * frame means to them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

/*
 * Reads the frame that starts at pos out of its page.  False when nothing has
 * been written there, or what is there cannot be a frame; then *frame means
 * nothing.  Takes no locks, raises no errors and trusts no number of the page,
 * so an unlocked page that got another content meanwhile does no harm.
 *
 * The batch header of a frame that holds no batch is all zeros.  "sealed" is
 * set to false; the caller knows better.
 */
bool
pt_walk_frame(Page page, PtLogPos pos, PtFrame *frame)
{
	const char *at = (const char *) page + pt_pos_byte(pos);

	Assert(pt_frame_start(pos) == pos);
	Assert(pt_pos_byte(pos) + PT_FRAME_HEAD <= PT_PAGE_END);
	if (!pt_walk_written(page, pos))
		return false;
	memcpy(&frame->head, at, sizeof(PtFrameHeader));
	if (frame->head.length < PT_BATCH_HEADER_SIZE)
		return false;
	frame->pos = pos;
	frame->next = pt_frame_next(pos, frame->head.length);
	frame->sealed = false;
	if ((frame->head.flags & PT_FRAME_KIND_MASK) != PT_FRAME_KIND_BATCH)
		memset(&frame->batch, 0, sizeof(frame->batch));
	else if (pt_batch_header_read(at + sizeof(PtFrameHeader), PT_BATCH_HEADER_SIZE, &frame->batch) != PT_BATCH_OK)
		return false;
	Assert(frame->next > pos);
	return true;
}

/* Has the start of a frame been written at pos? */
bool
pt_walk_written(Page page, PtLogPos pos)
{
	return pt_pos_byte(pos) + PT_FRAME_HEAD <= ((PageHeader) page)->pd_lower;
}
