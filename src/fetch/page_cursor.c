/*-------------------------------------------------------------------------
 *
 * page_cursor.c
 *	  The pages of a log for those who only read below its durable end.
 *
 * Pages are looked at without a content lock: bytes below the durable end are
 * never changed.  What can happen is that retention or compaction frees the
 * extent and a page gets another content under our pin.  Then every number
 * read here may be nonsense, so users check all of them, and ask
 * pt_span_intact afterwards.
 *
 * What is in shared buffers is read there.  What is not has been written long
 * ago, and most likely nobody wants it a second time: it is read into scratch
 * memory, many pages at a time, and drives nothing out.
 *
 * A listener must not wait for the disk (pt_at_hand_only).  Then a page that
 * would have to be waited for is "away": it is being read, and who wanted it
 * comes again.
 *
 * Siblings: span.c and fetch.c, which walk; ../io/pages_read.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fetch/internal.h"
#include "io/io.h"

static Buffer neighbour_buffer(const RelFileLocator *locator, BlockNumber block);
static void note_buffer(Buffer buffer);
static int	read_ahead(PtPageCursor *cursor, BlockNumber phys_block, uint64 block, int ahead, Buffer *recent);
static bool find_page(PtPageCursor *cursor, BlockNumber phys_block, uint64 block, int ahead);
static bool is_page_of(Page page, uint64 block, uint32 generation);

/*
 * Where the last page was found, over all logs, and which way the one before
 * lay.
 */
static Buffer last_buffer = InvalidBuffer;
static int	last_step = 1;

void
pt_page_cursor_init(PtPageCursor *cursor, const RelFileLocator *locator, uint32 swapped, PtScratch *scratch)
{
	memset(cursor, 0, sizeof(*cursor));
	cursor->locator = *locator;
	cursor->phys = PT_INVALID_EXTENT;
	cursor->swapped = swapped;
	cursor->scratch = scratch;
}

void
pt_page_cursor_end(PtPageCursor *cursor)
{
	if (BufferIsValid(cursor->buf))
		ReleaseBuffer(cursor->buf);
	cursor->buf = InvalidBuffer;
	cursor->page = NULL;
}

/*
 * Pages that were written one after the other mostly lie in neighbouring
 * buffers, upwards when these came from the clock, downwards when something
 * was dropped and they came from the free list: looking there first saves the
 * buffer table.
 */
static Buffer
neighbour_buffer(const RelFileLocator *locator, BlockNumber block)
{
	Buffer		guess = last_buffer + last_step;

	if (guess > 0 && guess <= NBuffers && ReadRecentBuffer(*locator, MAIN_FORKNUM, block, guess))
		return guess;
	return InvalidBuffer;
}

static void
note_buffer(Buffer buffer)
{
	int			step = buffer - last_buffer;

	if (step == 1 || step == -1)
		last_step = step;
	last_buffer = buffer;
}

/*
 * Reads a window from this block on, within its extent, and says how many
 * pages it has; 0: it is in a buffer, perhaps *recent, or scratch is used up;
 * or PT_NOT_AT_HAND.
 */
static int
read_ahead(PtPageCursor *cursor, BlockNumber phys_block, uint64 block, int ahead, Buffer *recent)
{
	PtScratch  *scratch = cursor->scratch;
	bool		written = cursor->log != NULL &&
		pt_state_is_written(cursor->log, &cursor->locator, block / PT_EXTENT_BLOCKS);
	int			left = (int) (PT_EXTENT_BLOCKS - block % PT_EXTENT_BLOCKS);
	int			wanted;
	int			n;

	Assert(ahead > 0);
	*recent = InvalidBuffer;
	if (scratch == NULL || scratch->used == scratch->npages)
		return 0;
	wanted = (int) Min(Max(cursor->wanted_end, block + ahead) - block, left);
	n = Min(Min(ahead, left), scratch->npages - scratch->used);
	n = pt_pages_read(&cursor->locator, phys_block, scratch->pages + (Size) scratch->used * BLCKSZ, n, wanted,
					  written, recent);
	if (n == PT_NOT_AT_HAND)
		return n;
	cursor->window = block;
	cursor->window_end = block + n;
	cursor->window_page = scratch->used;
	scratch->used += n;
	return n;
}

/*
 * Finds a page outside the window: cursor->buf is its buffer, pinned, or
 * invalid when the window begins there now.  False: it is away.
 */
static bool
find_page(PtPageCursor *cursor, BlockNumber phys_block, uint64 block, int ahead)
{
	Buffer		recent;
	int			n;

	cursor->buf = neighbour_buffer(&cursor->locator, phys_block);
	if (BufferIsValid(cursor->buf))
		return true;
	n = read_ahead(cursor, phys_block, block, ahead, &recent);
	if (n != 0)
		return n != PT_NOT_AT_HAND;
	if (BufferIsValid(recent) && ReadRecentBuffer(cursor->locator, MAIN_FORKNUM, phys_block, recent))
		cursor->buf = recent;
	else if (pt_at_hand_only && !pt_block_at_hand(&cursor->locator, phys_block))
		return false;
	else
		cursor->buf = ReadBufferWithoutRelcache(cursor->locator, MAIN_FORKNUM, phys_block, RBM_NORMAL, NULL, true);
	return true;
}

/*
 * Finds where a logical extent is: cursor->phys and generation.  False: it is
 * no longer there, what was there has been moved, or it is away.
 */
bool
pt_page_cursor_find(PtPageCursor *cursor, uint64 extent)
{
	PtDirEntry	entry;

	if (cursor->extent == extent && cursor->phys != PT_INVALID_EXTENT)
		return true;
	if (cursor->span != NULL && extent >= cursor->span->extent &&
		extent - cursor->span->extent < (uint64) cursor->span->nextents)
	{
		const PtSpanExtent *known = &cursor->span->extents[extent - cursor->span->extent];

		cursor->extent = extent;
		cursor->phys = known->phys;
		cursor->generation = known->generation;
		return true;
	}
	cursor->away = pt_at_hand_only && !pt_extent_at_hand(&cursor->locator, extent);
	if (cursor->away || !pt_extent_lookup(NULL, &cursor->locator, extent, &entry))
		return false;
	cursor->moved = entry.phys == PT_INVALID_EXTENT || entry.generation > cursor->swapped;
	if (cursor->moved)
		return false;
	cursor->extent = extent;
	cursor->phys = entry.phys;
	cursor->generation = entry.generation;
	return true;
}

static bool
is_page_of(Page page, uint64 block, uint32 generation)
{
	return pt_page_is(page, PT_PAGE_LOG, block) && pt_page_special(page)->generation == generation;
}

/*
 * Goes to a logical block.  The pin of the page before is let go unless keep.
 * Where the page is in no buffer, up to "ahead" pages, at least one, are read
 * into scratch.  False: it is no longer there, or away.
 */
bool
pt_page_cursor_go(PtPageCursor *cursor, uint64 block, int ahead, bool keep)
{
	uint64		extent = block / PT_EXTENT_BLOCKS;
	BlockNumber phys_block;

	Assert(CurrentResourceOwner != NULL);	/* it gets the pin */
	if (cursor->page != NULL && cursor->block == block)
		return true;
	if (!keep)
		pt_page_cursor_end(cursor);
	cursor->buf = InvalidBuffer;
	cursor->page = NULL;
	cursor->away = false;
	if (!pt_page_cursor_find(cursor, extent))
		return false;
	phys_block = pt_extent_block(cursor->phys) + (BlockNumber) (block % PT_EXTENT_BLOCKS);
	if (block < cursor->window || block >= cursor->window_end)
		cursor->away = !find_page(cursor, phys_block, block, ahead);
	if (cursor->away)
		return false;
	if (BufferIsValid(cursor->buf))
	{
		note_buffer(cursor->buf);
		cursor->page = BufferGetPage(cursor->buf);
	}
	else
	{
		Assert(block >= cursor->window && block < cursor->window_end);
		cursor->page = cursor->scratch->pages + (Size) (cursor->window_page + (block - cursor->window)) * BLCKSZ;
	}
	cursor->block = block;
	if (is_page_of(cursor->page, block, cursor->generation))
		return true;
	pt_page_cursor_end(cursor);
	cursor->phys = PT_INVALID_EXTENT;
	cursor->window_end = cursor->window;
	return false;
}
