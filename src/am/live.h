/*-------------------------------------------------------------------------
 *
 * live.h
 *	  Which records compaction has left, for VACUUM of indexes.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AM_LIVE_H
#define PT_AM_LIVE_H

#include "lib/integerset.h"

#include "log/log.h"

/* The records of a range of ordinals that are in the log. */
typedef struct PtLiveRecords
{
	Relation	rel;
	PtLogView	view;
	bool		compacted;		/* compaction may have dropped some */
	PtReader	reader;
	PtFrame		frame;			/* that did not fit the last time */
	bool		pending;		/* there is one */
	int64		clean_offset;	/* up to where it may have */
	int64		from;			/* [from, to) is known */
	int64		to;
	MemoryContext mcxt;			/* of the set */
	IntegerSet *set;
} PtLiveRecords;

/* The contracts are in live.c. */
extern void pt_live_begin(PtLiveRecords *live, Relation rel, BufferAccessStrategy strategy);
extern bool pt_live_next(PtLiveRecords *live);
extern bool pt_live_is_dead(const PtLiveRecords *live, ItemPointer tid);
extern void pt_live_end(PtLiveRecords *live);

#endif							/* PT_AM_LIVE_H */
