/*-------------------------------------------------------------------------
 *
 * span.c
 *	  The bytes of a span, where they lie in memory.
 *
 * Pages may be put to another use while they are looked at (see
 * page_cursor.c), so every number read from them is checked before use, and
 * pt_span_intact tells afterwards whether the bytes that were sent were the
 * right ones.
 *
 * Siblings: fetch.c makes spans, page_cursor.c has the pages.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fetch/internal.h"

/* The page that is being read to be sent; block PG_UINT64_MAX: none. */
static struct
{
	RelFileLocator locator;
	uint64		block;
}			reading = {.block = PG_UINT64_MAX};

/*
 * The span stands before a frame: steps over its header into the batch.  False
 * when there is no such frame.
 */
static bool
enter_frame(PtSpan *span, Page page)
{
	PtFrame		frame;

	if (pt_walk_page(page, span->pos, &frame) != PT_WALK_FRAME || frame.head.length > span->bytes_left)
		return false;
	span->batch_left = frame.head.length;
	span->pos += sizeof(PtFrameHeader);
	return true;
}

/* Pages from that of pos on that belong to the span. */
static int
pages_ahead(const PtSpan *span)
{
	return (int) Min(pt_pos_block(span->end - 1) - pt_pos_block(span->pos) + 1, PT_EXTENT_BLOCKS);
}

/*
 * Goes to the page of the next byte, and into the batch that begins there.
 * False when it is not there, or away.
 */
static bool
next_page(PtSpan *span, PtPageCursor *cursor, int pages_max)
{
	if (span->batch_left == 0)
		span->pos = pt_frame_start(span->pos);
	if (span->pos >= span->end)
		return false;
	reading.locator = span->locator;
	reading.block = pt_pos_block(span->pos);
	if (!pt_page_cursor_go(cursor, reading.block, Min(pages_ahead(span), pages_max), true) ||
		(span->batch_left == 0 && !enter_frame(span, cursor->page)))
	{
		if (cursor->away || cursor->moved)
			reading.block = PG_UINT64_MAX;
		pt_span_failed();
		return false;
	}
	reading.block = PG_UINT64_MAX;
	return true;
}

/*
 * Mapping a span has failed, perhaps with an ERROR: the page is to be looked
 * at before it is sent again.  Also called when it was nothing of the kind.
 */
void
pt_span_failed(void)
{
	if (reading.block != PG_UINT64_MAX)
		pt_bad_place_note(&reading.locator, reading.block);
	reading.block = PG_UINT64_MAX;
}

/* A cursor that goes on where the span stands. */
static void
init_cursor(PtPageCursor *cursor, const PtSpan *span, PtScratch *scratch)
{
	pt_page_cursor_init(cursor, &span->locator, span->swapped, scratch);
	cursor->log = span->state;
	cursor->wanted_end = pt_pos_block(span->end - 1) + 1;
	cursor->span = span;
}

/*
 * Maps the next bytes of a span, in at most n <= PT_SPAN_PIECES pieces, and
 * advances it over them.  Each piece is in a pinned buffer or in scratch (may
 * be NULL).  Ends before what is away; then no piece at all may be mapped.
 * Check with pt_span_intact after the bytes have been used: false means that
 * retention has recycled them meanwhile.
 */
void
pt_span_map(PtSpan *span, PtSpanMap *map, int n, PtScratch *scratch)
{
	PtPageCursor cursor;
	int			k = 0;

	Assert(n > 0 && n <= PT_SPAN_PIECES && span->batch_left <= span->bytes_left);
	init_cursor(&cursor, span, scratch);
	map->npins = 0;
	map->bytes = 0;
	while (k < n && span->bytes_left > 0)
	{
		Buffer		before = cursor.buf;
		bool		found = next_page(span, &cursor, n - k);
		uint32		at = pt_pos_byte(span->pos);
		uint32		len = Min(PT_PAGE_END - at, span->batch_left);

		if (BufferIsValid(cursor.buf) && cursor.buf != before)
			map->pins[map->npins++] = cursor.buf;
		if (!found && cursor.away)
			break;
		if (!found)
		{
			while (map->npins > 0)
				ReleaseBuffer(map->pins[--map->npins]);
			map->npieces = -1;
			return;
		}
		Assert(len > 0 && at >= PT_PAGE_FIRST && at + len <= PT_PAGE_END);
		map->iov[k].iov_base = (char *) cursor.page + at;
		map->iov[k].iov_len = len;
		span->pos = pt_pos_advance(span->pos, len);
		span->batch_left -= len;
		span->bytes_left -= len;
		map->behind[k].pos = span->pos;
		map->behind[k].batch_left = span->batch_left;
		map->bytes += len;
		k++;
		Assert(map->npins <= k && span->batch_left <= span->bytes_left);
	}
	map->npieces = k;
}

/* Moves a span, as it was before the map, over the first n pieces. */
void
pt_span_skip(PtSpan *span, const PtSpanMap *map, int n)
{
	Assert(n >= 0 && n <= map->npieces);
	for (int i = 0; i < n; i++)
		span->bytes_left -= map->iov[i].iov_len;
	if (n == 0)
		return;
	span->pos = map->behind[n - 1].pos;
	span->batch_left = map->behind[n - 1].batch_left;
	Assert(span->batch_left <= span->bytes_left);
}

/*
 * Are the bytes that were mapped since this copy of the span was made still
 * those of the log?  Their pages may have been put to another use meanwhile:
 * those before the start of the log, if a record was removed since; and what
 * compaction has freed, of which only the time is known when that was.
 */
bool
pt_span_intact(const PtSpan *before)
{
	PtLogView	view = {.locator = before->locator,.live = before->state};

	pt_view_refresh(&view, NULL);
	return (before->pos >= view.start_pos || before->start_offset == view.start_offset) &&
		before->made_at > pt_hold_newest_reused();
}
