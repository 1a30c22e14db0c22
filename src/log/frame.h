/*-------------------------------------------------------------------------
 *
 * frame.h
 *	  Frames: what precedes each batch in a log, and where they lie.
 *
 * Included by page.h, at its end.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_FRAME_H
#define PT_LOG_FRAME_H

#include "log/page.h"

/* What precedes each batch; MAXALIGNed. */
typedef struct PtFrameHeader
{
	uint32		length;			/* of the batch, without this header */
	TransactionId xid;			/* that appended it */
	int64		base_ordinal;
	uint32		flags;
	uint32		ordinals;		/* that it takes: last offset delta + 1 */
} PtFrameHeader;

#define PT_FRAME_ABORTED		0x0001	/* of an aborted transaction: skip */
#define PT_FRAME_CUT			0x0002	/* the batch was never wholly written */
#define PT_FRAME_MOVED			0x0004	/* compaction has put it into a later
										 * extent */
#define PT_FRAME_KIND_MASK		0x00F0	/* what follows the header; what is no
										 * batch takes no ordinals and has at
										 * least PT_BATCH_HEADER_SIZE bytes: */
#define PT_FRAME_KIND_BATCH		0x0000	/* a record batch */
#define PT_FRAME_KIND_PRODUCERS 0x0010	/* a snapshot of producer sequences */
#define PT_FRAME_KIND_SKIP		0x0020	/* the rest of the extent is empty */
#define PT_FRAME_KIND_LOST		0x0030	/* what was here is lost: PtLostBody */

/*
 * Frames that no reader shows; whoever walks over them asks this and no less.
 */
#define PT_FRAME_HIDDEN			(PT_FRAME_ABORTED | PT_FRAME_MOVED | PT_FRAME_KIND_MASK)

/* Behind the header of a frame of kind LOST (lost.c). */
typedef struct PtLostBody
{
	uint64		next;			/* position at which the log goes on */
	int64		first_offset;	/* offsets that are lost: from here */
	int64		next_offset;	/* to before this one */
} PtLostBody;

/* Bytes at a frame's start that never straddle a page. */
#define PT_FRAME_HEAD			(sizeof(PtFrameHeader) + PT_BATCH_HEADER_SIZE)

StaticAssertDecl(sizeof(PtFrameHeader) == 24, "frame header is part of the format");

/*
 * Where the next frame may start once "pos" bytes are in use: aligned, and at
 * the head of the next page when the frame head would straddle.
 */
static inline PtLogPos
pt_frame_start(PtLogPos pos)
{
	uint32		byte = MAXALIGN(pt_pos_byte(pos));

	if (byte + PT_FRAME_HEAD > PT_PAGE_END)
		return pt_pos_make(pt_pos_block(pos) + 1, PT_PAGE_FIRST);
	return pt_pos_make(pt_pos_block(pos), Max(byte, PT_PAGE_FIRST));
}

/* The position "len" payload bytes behind pos. */
static inline PtLogPos
pt_pos_advance(PtLogPos pos, uint64 len)
{
	uint64		at = pt_pos_byte(pos) - PT_PAGE_FIRST + len;

	return pt_pos_make(pt_pos_block(pos) + at / PT_PAGE_CAPACITY,
					   PT_PAGE_FIRST + at % PT_PAGE_CAPACITY);
}

/*
 * The oldest extent that is kept, for records or for what is known of
 * producers.
 */
static inline uint64
pt_first_kept(PtLogPos start, PtLogPos producers)
{
	return pt_pos_extent(producers == 0 ? start : Min(start, producers));
}

/* Where the frame behind one at "pos" with a batch of "length" starts. */
static inline PtLogPos
pt_frame_next(PtLogPos pos, uint32 length)
{
	return pt_frame_start(pt_pos_advance(pos, sizeof(PtFrameHeader) + length));
}

/*
 * Where the log goes on behind a frame.  A place at the very beginning of an
 * extent stands for the first frame that starts in it or behind it.
 */
static inline PtLogPos
pt_frame_behind(PtLogPos pos, const PtFrameHeader *head)
{
	if ((head->flags & PT_FRAME_MOVED) || (head->flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_SKIP)
		return pt_extent_pos(pt_pos_extent(pos) + 1);
	return pt_frame_next(pos, head->length);
}

#define pt_pos_begins_extent(pos)	((pos) == pt_extent_pos(pt_pos_extent(pos)))

#endif							/* PT_LOG_FRAME_H */
