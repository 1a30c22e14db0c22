/*-------------------------------------------------------------------------
 *
 * span.c
 *	  The bytes of a span, where they lie in shared buffers.
 *
 * Pages are looked at without a content lock: bytes below the durable end are
 * never changed.  What can happen is that retention frees the extent and
 * a page gets another content under our pin.  Then every number read here may
 * be nonsense, so all of them are checked before use, and pt_span_intact tells afterwards
 * whether the bytes that were sent were the right ones.
 *
 * Sibling: fetch.c makes spans.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/logs.h"

/*
 * Pins a block.  Pages that were written one after the other mostly lie in
 * neighbouring buffers: looking there first saves the buffer table.
 */
static Buffer
read_block(const RelFileLocator *locator, BlockNumber block)
{
	static Buffer last = InvalidBuffer;
	Buffer		guess = last + 1;

	if (guess <= NBuffers && ReadRecentBuffer(*locator, MAIN_FORKNUM, block, guess))
		last = guess;
	else
		last = ReadBufferWithoutRelcache(*locator, MAIN_FORKNUM, block, RBM_NORMAL, NULL, true);
	return last;
}

/* See logs.h. */
bool
pt_page_cursor_go(PtPageCursor *cursor, uint64 block, bool keep)
{
	uint64		extent = block / PT_EXTENT_BLOCKS;
	Page		page;

	Assert(CurrentResourceOwner != NULL);	/* it gets the pin */
	if (BufferIsValid(cursor->buf) && cursor->block == block)
		return true;
	if (BufferIsValid(cursor->buf) && !keep)
		ReleaseBuffer(cursor->buf);
	cursor->buf = InvalidBuffer;
	if (cursor->extent != extent || cursor->phys == PT_INVALID_EXTENT)
	{
		PtDirEntry	entry;

		if (!pt_extent_lookup(NULL, &cursor->locator, extent, &entry) || entry.phys == PT_INVALID_EXTENT)
			return false;
		cursor->extent = extent;
		cursor->phys = entry.phys;
	}
	cursor->buf = read_block(&cursor->locator, pt_extent_block(cursor->phys) +
							 (BlockNumber) (block % PT_EXTENT_BLOCKS));
	cursor->block = block;
	page = BufferGetPage(cursor->buf);
	if (!PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(PtPageSpecial)) &&
		pt_page_special(page)->kind == PT_PAGE_LOG && pt_page_special(page)->block == block)
		return true;
	ReleaseBuffer(cursor->buf);
	cursor->buf = InvalidBuffer;
	cursor->phys = PT_INVALID_EXTENT;
	return false;
}

/*
 * The span stands before a frame: steps over its header into the batch.  False
 * when there is no such frame.
 */
static bool
enter_frame(PtSpan *span, Page page)
{
	PtFrameHeader head;

	Assert(pt_pos_byte(span->pos) + PT_FRAME_HEAD <= PT_PAGE_END);
	memcpy(&head, (char *) page + pt_pos_byte(span->pos), sizeof(head));
	if (head.length < PT_BATCH_HEADER_SIZE || head.length > span->bytes_left)
		return false;
	span->batch_left = head.length;
	span->pos += sizeof(head);
	return true;
}

static int
lose_pins(Buffer *pins, int *npins)
{
	while (*npins > 0)
		ReleaseBuffer(pins[--(*npins)]);
	return -1;
}

/* See engine.h.  -1, with nothing pinned, when the bytes are gone. */
int
pt_span_map(PtSpan *span, struct iovec *iov, Buffer *pins, int n, int *npins, size_t *bytes)
{
	PtPageCursor cursor = {.locator = span->locator,.extent = span->extent,.phys = span->phys};
	int			k = 0;

	Assert(n > 0 && span->batch_left <= span->bytes_left);
	*npins = 0;
	*bytes = 0;
	while (k < n && span->bytes_left > 0)
	{
		Buffer		before = cursor.buf;
		uint32		at;
		uint32		len;

		if (span->batch_left == 0)
			span->pos = pt_frame_start(span->pos);
		if (span->pos >= span->end || !pt_page_cursor_go(&cursor, pt_pos_block(span->pos), true))
			return lose_pins(pins, npins);
		if (cursor.buf != before)
			pins[(*npins)++] = cursor.buf;
		if (span->batch_left == 0 && !enter_frame(span, BufferGetPage(cursor.buf)))
			return lose_pins(pins, npins);
		at = pt_pos_byte(span->pos);
		len = Min(PT_PAGE_END - at, span->batch_left);
		iov[k].iov_base = (char *) BufferGetPage(cursor.buf) + at;
		iov[k].iov_len = len;
		k++;
		span->pos = pt_pos_advance(span->pos, len);
		span->batch_left -= len;
		span->bytes_left -= len;
		*bytes += len;
		Assert(*npins <= k && span->batch_left <= span->bytes_left);
	}
	span->extent = cursor.extent;
	span->phys = cursor.phys;
	return k;
}

/* See engine.h. */
bool
pt_span_intact(const PtSpan *before)
{
	int64		start_offset;
	PtLogPos	start_pos;

	pt_log_start(before->state, &start_offset, &start_pos);
	return pt_log_is(before->state, &before->locator) && before->pos >= start_pos;
}
