/*-------------------------------------------------------------------------
 *
 * verify_walk.h
 *	  A walk over all of a log: between verify_frames.c, which knows where
 *	  frames are, and verify_batch.c, which looks into them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_VERIFY_WALK_H
#define PT_LOG_VERIFY_WALK_H

#include "utils/hsearch.h"

#include "log/verify_internal.h"

typedef struct PtVerifyWalk
{
	PtVerify   *v;
	/* what must be there */
	PtLogPos	start;			/* of the log */
	PtLogPos	end;			/* committed end, 0: not known */
	int64		end_offset;		/* likewise, -1 */
	uint64		written_block;	/* had been written when the walk began, and
								 * so had all before */
	/* where the walk is */
	uint64		extent;
	PtDirEntry	entry;			/* of that */
	BlockNumber block;			/* of the file */
	uint32		used;			/* byte of the page up to which frames go */
	PtLogPos	next;			/* where the next frame must start, 0: lost */
	bool		again;			/* the extent has been replaced */
	bool		stopped;		/* the end of what is written */
	bool		skipped;		/* the last frame of the page leads elsewhere */
	bool		compacted;		/* has been in an extent that was */
	bool		leaping;		/* to the first frame at or behind "next" */
	/* the last frame */
	PtFrame		frame;
	BlockNumber frame_block;	/* of the file */
	uint32		left;			/* bytes of its batch that are to come */
	char	   *data;			/* those that came, when deep */
	uint32		got;
	Size		cap;
	/* what the next frame must have */
	int64		ordinal;		/* at least this; -1: not known */
	bool		exact;			/* this and no other */
	int64		offset;			/* behind the last visible batch, -1 */
	int64		offset_before;	/* the same before the last frame */
	int64		max_next;		/* largest offset behind a batch, -1 */
	/* of the extent */
	bool		entered;		/* there is something to be read in it */
	bool		first_seen;		/* a frame has started in it */
	bool		lost_in_extent; /* some of its frames were not seen */
	int64		floor;			/* its base offset is at least this, -1 */
	int64		extent_max;		/* largest timestamp, ms */
	int64		running_max;	/* of all extents so far */
	int64		promised_before;	/* the same by the entry of the extent
									 * before */
	bool		promised_known; /* that has been read */
	/* what was lost */
	PtLogPos	lost_from;		/* 0: nothing */
	int64		lost_offset;
	bool		lost_ever;
	bool		gap_ever;		/* something had been given up */
	int64		gap_offset;		/* behind that */
	HTAB	   *producers;		/* their last batches, when deep */
	bool		end_seen;		/* a frame ends at "end" */
	bool		sealed_seen;	/* a frame starts at the sealed position */
} PtVerifyWalk;

/* verify_frames.c */
extern void pt_verify_found_again(PtVerifyWalk *w, PtLogPos pos, int64 offset, int64 ordinal);

/* verify_batch.c */
extern void pt_verify_frame(PtVerifyWalk *w, const PtFrame *frame);
extern void pt_verify_moved(PtVerifyWalk *w, const PtFrame *frame);
extern void pt_verify_collect(PtVerifyWalk *w, const char *bytes, uint32 n);
extern void pt_verify_batch(PtVerifyWalk *w);
extern void pt_verify_forget_producers(PtVerifyWalk *w);
extern void pt_verify_extent_end(PtVerifyWalk *w);
extern void pt_verify_end(PtVerifyWalk *w);

#endif							/* PT_LOG_VERIFY_WALK_H */
