/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Frames of a log, one after another, and who may see them.
 *
 * Included by log.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_READER_H
#define PT_LOG_READER_H

#include "compat.h"

#include "utils/snapshot.h"

#include "log/page.h"
#include "log/state.h"

/*
 * walk.c: frames in pages.
 */
typedef struct PtFrame
{
	PtLogPos	pos;
	PtLogPos	next;			/* see pt_frame_behind */
	uint32		swapped;		/* PtLogInfo.swapped when the places were
								 * right */
	bool		sealed;			/* lay below the sealed position before its
								 * flags were read: these count, the xid does
								 * not */
	PtFrameHeader head;
	PtBatchHeader batch;		/* of a frame that holds no batch: no offsets,
								 * times and producer (all -1) */
} PtFrame;

#define pt_frame_is_batch(frame) \
	(((frame)->head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_BATCH)

#define pt_frame_is_lost(frame) \
	(((frame)->head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_LOST)

typedef enum PtWalked
{
	PT_WALK_FRAME,				/* there is a frame */
	PT_WALK_END,				/* the page is not there, or nothing has been
								 * written at that place of it */
	PT_WALK_DAMAGED				/* what is there cannot be a frame */
} PtWalked;

/* Where a walk has its pages from; the first field of whoever walks. */
typedef struct PtPageSource
{
	/*
	 * Shows the page of a logical block until put.  False, and nothing to
	 * put: it has not been written, or is gone.
	 */
	bool		(*get) (struct PtPageSource *source, uint64 block, Page *page);
	void		(*put) (struct PtPageSource *source);

	/*
	 * Goes on from an extent to the first one that is no hole.  False: there
	 * is none.
	 */
	bool		(*there) (struct PtPageSource *source, uint64 *extent);

	/*
	 * Sealed position as it was before the page that get shows was read:
	 * flags of frames below it count.
	 */
	PtLogPos	sealed;

	/*
	 * That does not hold for [unsure_from, unsure_to): what was removed from
	 * the start while it was not sealed has no flags (seal.c), but who holds
	 * it still reads it.
	 */
	PtLogPos	unsure_from;
	PtLogPos	unsure_to;

	/*
	 * PtLogInfo.swapped when the places that are walked were found.  Extents
	 * of a newer generation hold other frames.
	 */
	uint32		swapped;
} PtPageSource;

extern PtWalked pt_walk_page(Page page, PtLogPos pos, PtFrame *frame);
extern PtWalked pt_walk_at(PtPageSource *source, PtLogPos pos, PtFrame *frame);

/*
 * reader.c: frames of a log, forward and backward.
 */
typedef struct PtReader
{
	PtPageSource source;		/* the pages of this reader, share-locked */
	Relation	rel;
	RelFileLocator locator;
	PtLogView	view;
	MemoryContext mcxt;			/* that data lives in */
	BufferAccessStrategy strategy;
	BlockNumber file_blocks;	/* length of the file when last asked */
	PtLogPos	pos;			/* of the frame that next reads */
	int64		ordinal;		/* that this frame has, or a later one; -1:
								 * unknown */
	bool		moved;			/* compaction has put elsewhere what was at
								 * pos */
	uint64		extent;			/* logical extent that phys belongs to */
	uint32		phys;
	uint32		generation;
	bool		holds;			/* what it comes to, see pt_reader_hold */
	int			hold;			/* -1: there was no place for it */
	uint64		hold_extent;	/* from which on */
	Buffer		buf;			/* pinned page, or InvalidBuffer */
	uint64		buf_block;		/* its logical block */
	char	   *data;			/* assembled batch */
	Size		data_cap;
	/* aborted frame that was skipped, to be checked again: see next */
	PtLogPos	skip_pos;
	uint32		skip_length;
	/* last xid found to be committed and durable, or aborted */
	TransactionId committed_xid;
	TransactionId aborted_xid;
} PtReader;

extern void pt_reader_begin(PtReader *r, Relation rel, BufferAccessStrategy strategy);

/*
 * Without a relation, and so without its lock: what is read may vanish (an
 * ERROR) when the log is dropped.
 */
extern void pt_reader_begin_state(PtReader *r, PtLogState *state);
extern void pt_reader_end(PtReader *r);
extern void pt_reader_hold(PtReader *r);
extern void pt_reader_unpin(PtReader *r);

/* To be called when frames are asked about with another snapshot. */
extern void pt_reader_forget_xids(PtReader *r);

/* Positions so that next gives ... */
extern void pt_reader_seek_start(PtReader *r);	/* the first frame retained */

/* The first that starts in this extent */
extern void pt_reader_seek_extent(PtReader *r, uint64 extent);

/* Behind the last that starts in it, for prev */
extern void pt_reader_seek_extent_end(PtReader *r, uint64 extent);

/*
 * The frame at pos, where one starts or will, in a part of the log that is not
 * sealed
 */
extern void pt_reader_seek_pos(PtReader *r, PtLogPos pos);

/* Likewise behind all that is written, or committed: for prev */
extern void pt_reader_seek_tail(PtReader *r, PtLogPos pos);

/* A frame that was read, or what is behind it */
extern void pt_reader_seek_frame(PtReader *r, const PtFrame *frame);
extern void pt_reader_seek_behind(PtReader *r, const PtFrame *frame);

/* Where a reader stands, to come back to */
typedef struct PtReaderPlace
{
	PtLogPos	pos;
	int64		ordinal;
	uint32		swapped;
	PtLogPos	skip_pos;
	uint32		skip_length;
} PtReaderPlace;
extern PtReaderPlace pt_reader_place(const PtReader *r);
extern void pt_reader_return(PtReader *r, const PtReaderPlace *place);

/* Base ordinal of the next extent that begins behind an ordinal */
extern int64 pt_reader_extent_behind(PtReader *r, int64 ordinal);

/* One at or before the batch that holds offset */
extern void pt_reader_seek_offset(PtReader *r, int64 offset);

/* The frame that holds ordinal, or a bit before */
extern void pt_reader_seek_ordinal(PtReader *r, int64 ordinal);

/* The first in an extent with a max_timestamp >= it */
extern uint64 pt_reader_seek_timestamp(PtReader *r, uint64 from, int64 timestamp_ms);
extern int64 pt_reader_running_max(PtReader *r, uint64 extent);

/* Behind all frames: prev gives the last */
extern void pt_reader_seek_end(PtReader *r);

/*
 * The next frame, whatever its transaction; false at the end of what is
 * written.
 */
extern bool pt_reader_next(PtReader *r, PtFrame *frame);

/*
 * The frame before the one that next would give; false at the start.  next
 * gives it again.
 */
extern bool pt_reader_prev(PtReader *r, PtFrame *frame);

/* Is all of the frame's batch there (its writer may have failed midway)? */
extern bool pt_reader_complete(PtReader *r, const PtFrame *frame);

/*
 * The bytes of the frame's batch, contiguous, in memory of the reader until
 * the next call.
 */
extern char *pt_reader_batch(PtReader *r, PtFrame *frame);

typedef enum PtVisibility
{
	PT_VISIBLE,
	PT_INVISIBLE,				/* aborted: go on */
	PT_IN_PROGRESS				/* not committed for this snapshot: nothing
								 * behind it is either */
} PtVisibility;

/* What became of a transaction that is over. */
typedef enum PtXidFate
{
	PT_XID_COMMITTED,
	PT_XID_ABORTED,
	PT_XID_FORGOTTEN			/* older than what the server remembers:
								 * VACUUM has sealed all its frames */
} PtXidFate;

extern PtXidFate pt_xid_fate(TransactionId xid);
extern bool pt_frame_decided(const PtFrame *frame, bool *visible);
extern PtVisibility pt_frame_visible(PtReader *r, const PtFrame *frame, Snapshot snapshot);
extern bool pt_frame_committed(PtReader *r, const PtFrame *frame);

#endif							/* PT_LOG_READER_H */
