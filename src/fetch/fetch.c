/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  What a Kafka consumer gets: where it begins, where it ends.
 *
 * A fetch sees the log up to its durable end.  Up to there every transaction
 * is over, so a frame is either committed or aborted.  A span is a run of
 * committed frames; an aborted one ends it, and the next fetch goes on behind.
 *
 * The walk over the frames touches one page per batch (frame header and batch
 * header are on one page) and takes no content locks, see span.c.  A consumer
 * that goes on where its last fetch ended costs no search.
 *
 * Between pt_at_hand_begin and pt_at_hand_end the walk ends where a page is
 * still to be read from the disk; all that the fetch may want is being read
 * then.
 *
 * Siblings: find_log.c, span.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"

#include "fetch/internal.h"
#include "io/io.h"
#include "xact/xact.h"

/* Pages read at a time where frames begin at most that many pages apart. */
#define WALK_NEAR		4
#define WALK_AHEAD		16

/* Searches for a place that compaction moves again and again. */
#define WALK_TRIES		3

typedef struct Walk
{
	PtPageSource source;
	PtPageCursor cursor;
	PtLogPos	pos;			/* of the next frame */
	PtLogPos	end;			/* durable end */
	TransactionId committed_xid;	/* last one found to be */
	bool		damaged;		/* what is at pos cannot be a frame, or
								 * nothing is there */
} Walk;

StaticAssertDecl(offsetof(Walk, source) == 0, "a walk's page source is its first field");

/* Of one walk at a time. */
static PtScratch scratch;

static void get_scratch(void);
static bool walk_get(PtPageSource *source, uint64 block, Page *page);
static void walk_put(PtPageSource *source);
static bool walk_next(Walk *walk, PtFrame *frame);
static bool has_bad_place(Walk *walk, const PtSpan *span, const PtFrame *frame);
static bool frame_committed(Walk *walk, const PtFrame *frame, bool *visible);
static void collect_span(PtFetch *fetch, Walk *walk);
static void place_span(PtFetch *fetch, Walk *walk);
static PtLogPos find_start(PtFetch *fetch, PtLogState *log, PtLogPos start_pos);
static bool walk_there(PtPageSource *source, uint64 *extent);
static void check_walk(PtFetch *fetch, const Walk *walk, PtLogPos from);
static void fetch_from(PtFetch *fetch, PtLogState *log);
static void begin_walk(Walk *walk, PtLogState *log, PtLogPos from, PtLogPos end, uint32 swapped);

static void
get_scratch(void)
{
	if (scratch.pages == NULL)
	{
		scratch.pages = pt_pages_alloc(WALK_AHEAD);
		scratch.npages = WALK_AHEAD;
	}
	scratch.used = 0;
}

/*
 * Below the durable end nothing is in progress.  False, and *visible unknown,
 * when the frame has been sealed since its page was read.
 */
static bool
frame_committed(Walk *walk, const PtFrame *frame, bool *visible)
{
	TransactionId xid = frame->head.xid;
	PtXidFate	fate;

	if (pt_frame_decided(frame, visible))
		return true;
	*visible = true;
	if (xid == walk->committed_xid)
		return true;
	fate = pt_xid_fate(xid);
	*visible = fate == PT_XID_COMMITTED;
	if (*visible)
		walk->committed_xid = xid;
	return fate != PT_XID_FORGOTTEN;
}

/*
 * A walk as a source of pages, unlocked, in buffers or in scratch.  It reads
 * ahead as far as frames have lately been near each other: between large ones
 * most pages would be read for nothing.
 */
static bool
walk_get(PtPageSource *source, uint64 block, Page *page)
{
	Walk	   *walk = (Walk *) source;
	int			ahead = block - walk->cursor.block <= WALK_NEAR ? WALK_AHEAD : 1;

	ahead = (int) Min((uint64) ahead, pt_pos_block(walk->end - 1) - block + 1);
	if (block < walk->cursor.window || block >= walk->cursor.window_end)
		scratch.used = 0;
	if (!pt_page_cursor_go(&walk->cursor, block, ahead, false))
		return false;
	*page = walk->cursor.page;
	return true;
}

/* The cursor keeps the page until it goes to another. */
static void
walk_put(PtPageSource *source)
{
	Assert(((Walk *) source)->cursor.page != NULL);
}

/* Holes that compaction has left are passed over. */
static bool
walk_there(PtPageSource *source, uint64 *extent)
{
	Walk	   *walk = (Walk *) source;
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	if (*extent == walk->cursor.extent && walk->cursor.phys != PT_INVALID_EXTENT)
		return true;
	while ((n = pt_extents_read(NULL, &walk->cursor.locator, *extent, entries, lengthof(entries))) > 0)
	{
		for (int i = 0; i < n; i++)
		{
			if (entries[i].phys != PT_INVALID_EXTENT)
				return true;
			++*extent;
		}
	}
	return false;
}

/*
 * The next frame; false at the end, when the log has gone from under us, when
 * it is damaged, or when its page is away.
 */
static bool
walk_next(Walk *walk, PtFrame *frame)
{
	PtWalked	walked;

	if (walk->pos >= walk->end)
		return false;
	walked = pt_walk_at(&walk->source, walk->pos, frame);
	if (walked == PT_WALK_FRAME && frame->pos >= walk->end)
		return false;
	if (walked == PT_WALK_FRAME && frame->next <= walk->end)
	{
		walk->pos = frame->next;
		return true;
	}
	walk->damaged = !walk->cursor.away && !walk->cursor.moved;
	return false;
}

/* A place from which walking leads to the offset. */
static PtLogPos
find_start(PtFetch *fetch, PtLogState *log, PtLogPos start_pos)
{
	PtReader	reader;
	PtLogPos	pos;

	Assert(fetch->cursor_pos == 0 || pt_frame_start(fetch->cursor_pos) == fetch->cursor_pos);
	if (fetch->cursor_pos != 0 && fetch->cursor_offset == fetch->offset && fetch->cursor_pos >= start_pos)
		return fetch->cursor_pos;
	pt_reader_begin_state(&reader, log);
	pt_reader_seek_offset(&reader, fetch->offset);
	pos = reader.pos;
	fetch->cursor_swapped = reader.source.swapped;
	pt_reader_end(&reader);
	return pos;
}

/*
 * Does the frame lie on a page that could not be sent before?  If the span
 * would begin with it, the page is looked at again: ERROR XX001 if it is still
 * damaged; it may be away.
 */
static bool
has_bad_place(Walk *walk, const PtSpan *span, const PtFrame *frame)
{
	uint64		from = pt_pos_block(frame->pos);
	uint64		to = pt_pos_block(frame->next - 1);

	if (!pt_bad_place_known(&span->locator, from, to))
		return false;
	if (span->bytes_left > 0)
		return true;
	walk->cursor.away = !pt_bad_place_check(&span->locator, from, to);
	return walk->cursor.away;
}

/* Walks to the offset and collects batches into the span. */
static void
collect_span(PtFetch *fetch, Walk *walk)
{
	PtSpan	   *span = &fetch->span;
	PtFrame		frame;

	while (walk_next(walk, &frame))
	{
		bool		visible;

		if (!frame_committed(walk, &frame, &visible))
			return;				/* the next fetch sees it sealed */
		if (span->bytes_left == 0)
		{
			CHECK_FOR_INTERRUPTS();
			if (!visible || pt_batch_next_offset(&frame.batch) <= fetch->offset)
				continue;
			fetch->cursor_offset = fetch->offset;
			fetch->cursor_pos = frame.pos;
			if (frame.head.length > fetch->max_bytes && !fetch->at_least_one)
				return;
			span->pos = frame.pos;
			span->extent = walk->cursor.extent;
			span->nextents = 1;
			span->extents[0] = (PtSpanExtent)
			{
				.phys = walk->cursor.phys,.generation = walk->cursor.generation
			};
		}
		else if (!visible || span->bytes_left + frame.head.length > fetch->max_bytes || frame.pos != span->end ||
				 pt_pos_extent(frame.next - 1) - span->extent >= PT_SPAN_EXTENTS)
			return;
		if (has_bad_place(walk, span, &frame))
			return;
		span->bytes_left += frame.head.length;
		span->end = frame.next;
		fetch->cursor_offset = pt_batch_next_offset(&frame.batch);
		fetch->cursor_pos = frame.next;
	}
}

/*
 * Notes where the extents of the span are, before anybody puts others there.
 * If somebody has done that already there is no span, and the walk has moved.
 */
static void
place_span(PtFetch *fetch, Walk *walk)
{
	PtSpan	   *span = &fetch->span;
	PtPageCursor *cursor = &walk->cursor;
	uint64		last = pt_pos_extent(span->end - 1);
	int			want = (int) Min(last - span->extent + 1, PT_SPAN_EXTENTS);

	Assert(span->bytes_left > 0 && span->nextents == 1);
	for (; span->nextents < want; span->nextents++)
	{
		if (!pt_page_cursor_find(cursor, span->extent + span->nextents))
		{
			fetch->away = cursor->away;
			cursor->moved = !cursor->away;
			span->bytes_left = 0;
			fetch->cursor_pos = 0;
			return;
		}
		span->extents[span->nextents] = (PtSpanExtent)
		{
			.phys = cursor->phys,.generation = cursor->generation
		};
	}
}

/*
 * After a walk that began at "from": was the log still there, where it went?
 * If so, what cannot be a frame is damage (ERROR), as it is to SQL.
 */
static void
check_walk(PtFetch *fetch, const Walk *walk, PtLogPos from)
{
	PtSpan		walked = fetch->span;

	if (fetch->span.bytes_left > 0)
	{
		if (pt_span_intact(&fetch->span))
			return;
		fetch->span.bytes_left = 0;
		fetch->cursor_pos = 0;
		/* retention was faster; or compaction: the next fetch sees more */
		if (fetch->offset < pt_log_start_offset(walked.state))
			fetch->status = PT_OFFSET_OUT_OF_RANGE;
		return;
	}
	walked.pos = from;
	if (walk->damaged && pt_span_intact(&walked))
		pt_report_damage(&walked.locator, walk->pos, "invalid frame");
}

/*
 * Is the leader epoch that a client believes in (-1: none) the current one?
 * It says which history the client has seen (KIP-320).
 */
PtStatus
pt_check_leader_epoch(int32 epoch)
{
	int32		current;

	if (epoch < 0)
		return PT_OK;
	current = pt_leader_epoch();
	if (epoch == current)
		return PT_OK;
	return epoch < current ? PT_FENCED_LEADER_EPOCH : PT_UNKNOWN_LEADER_EPOCH;
}

/*
 * What is there from an offset on, as a span: in a transaction, with no
 * relation locked.  Goes on at the cursor when the offset is the one where the
 * last fetch ended.  An answer for each fault is in fetch->status; ERRORs are
 * of the disk (pt_at_hand_failed: not yet).
 */
void
pt_fetch(PtFetch *fetch)
{
	PtLogState *log;

	memset(&fetch->span, 0, sizeof(fetch->span));
	fetch->away = false;
	fetch->high_watermark = fetch->start_offset = -1;
	fetch->status = pt_log_find(fetch->relid, true, &log);
	if (fetch->status != PT_OK)
		return;
	fetch->status = pt_check_leader_epoch(fetch->leader_epoch);
	if (fetch->status == PT_OK)
		fetch_from(fetch, log);
	pt_state_release(log);		/* a request may name more than are in memory */
}

static void
fetch_from(PtFetch *fetch, PtLogState *log)
{
	PtLogEnd	end;
	PtLogPos	start_pos;
	PtLogPos	from;
	Walk		walk;

	pt_log_start(log, &fetch->start_offset, &start_pos);
	end = pt_state_durable(log);
	fetch->span.start_offset = fetch->start_offset;
	fetch->span.made_at = (uint32) time(NULL);
	Assert(end.offset >= 0);
	fetch->high_watermark = end.offset;
	if (fetch->cursor_file != pt_locator_number(log->locator))
	{
		fetch->cursor_pos = 0;
		fetch->cursor_file = pt_locator_number(log->locator);
	}
	fetch->span.state = log;
	fetch->span.locator = log->locator;
	if (fetch->offset < fetch->start_offset || fetch->offset > end.offset)
		fetch->status = PT_OFFSET_OUT_OF_RANGE;
	if (fetch->status != PT_OK || fetch->offset == end.offset)
		return;

	for (int try = 0; try < WALK_TRIES; try++)
	{
		from = find_start(fetch, log, start_pos);
		begin_walk(&walk, log, from, end.pos, fetch->cursor_swapped);
		walk.cursor.wanted_end = pt_pos_block(Min(end.pos - 1, from + fetch->max_bytes)) + 1;
		fetch->span.swapped = fetch->cursor_swapped;
		collect_span(fetch, &walk);
		fetch->away = walk.cursor.away;
		if (fetch->span.bytes_left > 0)
			place_span(fetch, &walk);
		pt_page_cursor_end(&walk.cursor);
		check_walk(fetch, &walk, from);
		if (!walk.cursor.moved || fetch->span.bytes_left > 0)
			break;
		fetch->cursor_pos = 0;	/* compaction has moved it: search */
	}
}

/* A walk from a place that was found when so much had been swapped. */
static void
begin_walk(Walk *walk, PtLogState *log, PtLogPos from, PtLogPos end, uint32 swapped)
{
	memset(walk, 0, sizeof(*walk));
	walk->source = (PtPageSource)
	{
		.get = walk_get,.put = walk_put,.there = walk_there,.sealed = pg_atomic_read_u64(&log->sealed_pos),
			.swapped = swapped
	};
	get_scratch();
	pt_page_cursor_init(&walk->cursor, &log->locator, swapped, &scratch);
	walk->pos = from;
	walk->end = end;
}
