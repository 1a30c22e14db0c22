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
 * Siblings: find_log.c, span.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "record/bytes.h"
#include "record/layout.h"
#include "fetch/internal.h"
#include "xact/xact.h"

/* Pages read at a time where frames begin at most that many pages apart. */
#define WALK_NEAR		4
#define WALK_AHEAD		16

/* What a walk needs to know of a frame. */
typedef struct WalkFrame
{
	PtLogPos	pos;
	PtLogPos	next;
	uint32		length;
	int64		next_offset;	/* behind its last record */
	bool		visible;
} WalkFrame;

typedef struct Walk
{
	PtLogState *log;
	PtPageCursor cursor;
	PtLogPos	pos;			/* of the next frame */
	PtLogPos	end;			/* durable end */
	PtLogPos	sealed;			/* as it was before the first page was read */
	TransactionId committed_xid;	/* last one found to be */
} Walk;

/* Of one walk at a time. */
static PtScratch scratch;

static void get_scratch(void);
static bool walk_page(Walk *walk);
static bool walk_next(Walk *walk, WalkFrame *frame);
static bool frame_committed(Walk *walk, const PtFrameHeader *head, PtLogPos pos);
static void collect_span(PtFetch *fetch, Walk *walk);
static PtLogPos find_start(PtFetch *fetch, PtLogState *log, PtLogPos start_pos);

static void
get_scratch(void)
{
	if (scratch.pages == NULL)
	{
		scratch.pages = MemoryContextAlloc(TopMemoryContext, WALK_AHEAD * BLCKSZ);
		scratch.npages = WALK_AHEAD;
	}
	scratch.used = 0;
}

/* Below the durable end nothing is in progress. */
static bool
frame_committed(Walk *walk, const PtFrameHeader *head, PtLogPos pos)
{
	if (head->flags & PT_FRAME_HIDDEN)
		return false;
	if (pos < walk->sealed || head->xid == walk->committed_xid)
		return true;
	if (!TransactionIdDidCommit(head->xid))
		return false;
	walk->committed_xid = head->xid;
	return true;
}

/*
 * The page of the next frame.  It is read ahead as far as frames have lately
 * been near each other: between large ones most pages would be read for
 * nothing.
 */
static bool
walk_page(Walk *walk)
{
	uint64		block = pt_pos_block(walk->pos);
	int			ahead = block - walk->cursor.block <= WALK_NEAR ? WALK_AHEAD : 1;

	ahead = (int) Min((uint64) ahead, pt_pos_block(walk->end - 1) - block + 1);
	if (block < walk->cursor.window || block >= walk->cursor.window_end)
		scratch.used = 0;
	return pt_page_cursor_go(&walk->cursor, block, ahead, false);
}

/* The next frame; false at the end, or when the log has gone from under us. */
static bool
walk_next(Walk *walk, WalkFrame *frame)
{
	PtFrameHeader head;
	const char *at;

	if (walk->pos >= walk->end || !walk_page(walk))
		return false;
	Assert(pt_pos_byte(walk->pos) + PT_FRAME_HEAD <= PT_PAGE_END);
	at = (const char *) walk->cursor.page + pt_pos_byte(walk->pos);
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	if (head.length < PT_BATCH_HEADER_SIZE)
		return false;
	frame->pos = walk->pos;
	frame->next = pt_frame_next(walk->pos, head.length);
	frame->length = head.length;
	frame->next_offset = pt_get_int64(at + BATCH_AT_BASE_OFFSET) + pt_get_int32(at + BATCH_AT_LAST_OFFSET_DELTA) + 1;
	frame->visible = frame_committed(walk, &head, walk->pos);
	walk->pos = frame->next;
	return true;
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
	pt_reader_end(&reader);
	return pos;
}

/* Walks to the offset and collects batches into the span. */
static void
collect_span(PtFetch *fetch, Walk *walk)
{
	PtSpan	   *span = &fetch->span;
	WalkFrame	frame;

	while (walk_next(walk, &frame))
	{
		if (span->bytes_left == 0)
		{
			CHECK_FOR_INTERRUPTS();
			if (!frame.visible || frame.next_offset <= fetch->offset)
				continue;
			fetch->cursor_offset = fetch->offset;
			fetch->cursor_pos = frame.pos;
			if (frame.length > fetch->max_bytes && !fetch->at_least_one)
				return;
			span->pos = frame.pos;
			span->extent = walk->cursor.extent;
			span->phys = walk->cursor.phys;
			span->generation = walk->cursor.generation;
		}
		else if (!frame.visible || span->bytes_left + frame.length > fetch->max_bytes)
			return;
		Assert(frame.next > frame.pos && frame.next <= walk->end);
		Assert(span->bytes_left == 0 || frame.pos == span->end);
		span->bytes_left += frame.length;
		span->end = frame.next;
		fetch->cursor_offset = frame.next_offset;
		fetch->cursor_pos = frame.next;
	}
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
 * of the disk.
 */
void
pt_fetch(PtFetch *fetch)
{
	PtLogState *log = NULL;
	PtLogEnd	end;
	PtLogPos	start_pos;
	Walk		walk;

	memset(&fetch->span, 0, sizeof(fetch->span));
	fetch->high_watermark = fetch->start_offset = -1;
	fetch->status = pt_log_find(fetch->relid, &log);
	if (fetch->status == PT_OK)
		fetch->status = pt_check_leader_epoch(fetch->leader_epoch);
	if (fetch->status != PT_OK)
		return;
	pt_log_start(log, &fetch->start_offset, &start_pos);
	end = pt_state_durable(log);
	Assert(end.offset >= 0);
	fetch->high_watermark = end.offset;
	if (fetch->cursor_file != pt_locator_number(log->locator))
	{
		fetch->cursor_pos = 0;
		fetch->cursor_file = pt_locator_number(log->locator);
	}
	fetch->span.state = log;
	fetch->span.locator = log->locator;
	fetch->span.phys = PT_INVALID_EXTENT;
	if (fetch->offset < fetch->start_offset || fetch->offset > end.offset)
		fetch->status = PT_OFFSET_OUT_OF_RANGE;
	if (fetch->status != PT_OK || fetch->offset == end.offset)
		return;

	memset(&walk, 0, sizeof(walk));
	walk.log = log;
	walk.sealed = pg_atomic_read_u64(&log->sealed_pos);
	get_scratch();
	pt_page_cursor_init(&walk.cursor, &log->locator, &scratch);
	walk.pos = find_start(fetch, log, start_pos);
	walk.end = end.pos;
	collect_span(fetch, &walk);
	pt_page_cursor_end(&walk.cursor);
	if (fetch->span.bytes_left > 0 && !pt_span_intact(&fetch->span))
	{
		fetch->span.bytes_left = 0;
		fetch->cursor_pos = 0;
		fetch->status = PT_OFFSET_OUT_OF_RANGE; /* retention was faster */
	}
}
