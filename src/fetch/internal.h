/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  Logs without relations: for fetch.c, span.c and list_offsets.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FETCH_INTERNAL_H
#define PT_FETCH_INTERNAL_H

#include "fetch/fetch.h"

/*
 * page_cursor.c: one page of a log at a time, in a pinned buffer that is not
 * locked, or in scratch memory.  Only for what is below the durable end, which
 * does not change; that retention may put a page to another use has to be
 * checked afterwards (pt_span_intact).
 */
typedef struct PtPageCursor
{
	RelFileLocator locator;
	uint64		extent;			/* that phys belongs to */
	uint32		phys;
	uint32		generation;
	const struct PtSpan *span;	/* knows where some extents are; NULL: none */
	uint32		swapped;		/* PtLogInfo.swapped when the places that are
								 * gone to were found */
	bool		moved;			/* what was at the last one is elsewhere now */
	Page		page;			/* NULL: nowhere */
	uint64		block;			/* its logical block */
	Buffer		buf;			/* what it is in, pinned; InvalidBuffer: in
								 * scratch */
	PtScratch  *scratch;		/* NULL: buffers only */
	PtLogState *log;			/* batches are wanted, and no flags of frames:
								 * the file will do; else NULL */
	uint64		window;			/* blocks [window, window_end) are in scratch,
								 * from window_page on */
	uint64		window_end;
	int			window_page;
	uint64		wanted_end;		/* blocks up to here will be wanted, too; 0:
								 * unknown */
	bool		away;			/* with pt_at_hand_only: the last go failed
								 * because the page is not at hand */
} PtPageCursor;

extern void pt_page_cursor_init(PtPageCursor *cursor, const RelFileLocator *locator, uint32 swapped,
								PtScratch *scratch);

/*
 * Goes to a logical block.  The pin of the page before is let go unless keep.
 * Where the page is in no buffer, up to "ahead" pages, at least one, are read
 * into scratch.  False: it is no longer there, or away.
 */
extern bool pt_page_cursor_go(PtPageCursor *cursor, uint64 block, int ahead, bool keep);
extern bool pt_page_cursor_find(PtPageCursor *cursor, uint64 extent);
extern void pt_page_cursor_end(PtPageCursor *cursor);

/* bad_places.c */
extern void pt_bad_place_note(const RelFileLocator *locator, uint64 block);
extern bool pt_bad_place_known(const RelFileLocator *locator, uint64 from, uint64 to);
extern bool pt_bad_place_check(const RelFileLocator *locator, uint64 from, uint64 to);

#endif							/* PT_FETCH_INTERNAL_H */
