/*-------------------------------------------------------------------------
 *
 * compact.h
 *	  Compaction of a log: the last record of each key stays.
 *
 * README.md here tells the algorithm.  Siblings: compact.c (passes), group.c
 * (what is left of some extents), copy.c (writing it), swap.c (the directory).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_COMPACT_H
#define PT_LOG_COMPACT_H

#include "utils/hsearch.h"

#include "log/log.h"
#include "log/wal.h"
#include "record/filter.h"

/* How far a compaction has come. */
typedef enum PtCompactPhase
{
	PT_COMPACT_KEYS,			/* learns the keys of what is new */
	PT_COMPACT_COPY				/* copies what stays */
} PtCompactPhase;

typedef struct PtCompaction
{
	/* in */
	int64		now_ms;
	int64		delete_retention_ms;
	int64		min_lag_ms;		/* what is younger is left alone */
	int64		producer_expiry_ms; /* of a producer that is quiet for longer
									 * no empty batch is kept */
	size_t		memory;			/* bytes for keys */

	/*
	 * Called now and then, between two groups and while keys are learnt;
	 * false: stop here.  NULL: go on.
	 */
	bool		(*progress) (struct PtCompaction *job);
	void	   *arg;
	/* out, and for progress */
	PtCompactPhase phase;
	int			passes;
	uint64		extents;		/* to be looked at in this pass and phase */
	uint64		extents_done;
	uint64		extents_freed;
	uint64		extents_written;
	PtFilterCounts counts;
	int64		clean_offset;	/* up to here the log is compacted */
	bool		complete;		/* it was not stopped */
} PtCompaction;

/* What there would be to do. */
typedef struct PtCompactState
{
	uint64		blocks;			/* that could be compacted */
	uint64		blocks_dirty;	/* of them new since the last time */
	int64		dirty_since;	/* ms; largest timestamp of the first dirty
								 * batch, -1: none */
	bool		open;			/* if the tail's extent was ended now, it
								 * could be compacted, and has something new */
	uint64		blocks_open;	/* that it has */
	int64		open_since;		/* ms; largest timestamp of the first such
								 * batch, -1: none */
} PtCompactState;

extern bool pt_log_compact(Relation rel, PtCompaction *job);
extern void pt_log_compact_state(Relation rel, int64 now_ms, int64 min_lag_ms, PtCompactState *result);

/*
 * what the files of compaction share
 */

/* All pages of an extent, in memory of one's own. */
typedef struct PtExtentImage
{
	uint64		extent;			/* PT_NO_EXTENT: none */
	int			written;		/* pages that are there */
	char	   *pages;
} PtExtentImage;

#define PT_COMPACT_IMAGES	3

/* A frame that stays. */
typedef struct PtKept
{
	PtFrameHeader head;
	int64		base_offset;
	int64		next_offset;
	int64		max_timestamp;
	const char *data;			/* head.length bytes */
} PtKept;

/* What is left of one extent. */
typedef struct PtPart
{
	struct PtPart *next;		/* of the extent behind */
	uint64		extent;
	int			n;
	PtKept	   *kept;
} PtPart;

typedef struct PtCompact
{
	Relation	rel;
	PtCompaction *job;
	PtLogInfo	info;			/* as of the last look at the meta page */
	PtFilter	filter;
	PtKeyMap	map;
	MemoryContext mcxt;			/* of the whole compaction */
	HTAB	   *producers;		/* ids whose last batch has been seen */
	PtLogPos	spill_pos;		/* frame that was asked about already, and */
	bool		spill_keep;		/* what was decided */
	bool		keep;			/* what was decided last */
	bool		last_seen;		/* so has the last batch of the log */
	bool		snapshot_seen;	/* and the last snapshot of producers */
	bool		closing;		/* the log's last extent is among those that
								 * are compacted, and */
	int64		end_offset;		/* ends with these */
	int64		end_ordinal;
	BufferAccessStrategy reading;
	BufferAccessStrategy writing;
	PtExtentImage images[PT_COMPACT_IMAGES];
	int			next_image;		/* to be given up for another extent */
	char	   *out_pages;		/* of the extent that is being written */
	/* the group in hand: extents [from, to) */
	MemoryContext group_mcxt;
	uint64		from;
	uint64		to;
	PtPart	   *parts;			/* in order */
	uint64		bytes;			/* that stay */
	bool		changed;		/* something does not */
	int			nmaps;			/* map pages of its extents */
	uint32		maps[PT_SWAP_MAP];
	bool		incomplete;		/* a group could not be done */
} PtCompact;

/* group.c */
extern const PtExtentImage *pt_compact_image(PtCompact *c, uint64 extent);
extern void pt_compact_forget_images(PtCompact *c);
extern void pt_compact_note_tail(PtCompact *c, const PtFrame *frame);
extern void pt_compact_add_extent(PtCompact *c, uint64 extent);
extern bool pt_compact_spilling(PtCompact *c, uint64 extent, PtFrame *frame, bool *none_starts);
extern PtPart *pt_compact_frame(PtCompact *c, const PtFrame *frame);
extern char *pt_compact_bytes(PtCompact *c, PtLogPos pos, uint64 len);

/* copy.c */
typedef struct PtCopy
{
	PtCompact  *compact;
	uint64		extent;			/* that is being written */
	uint32		phys;
	uint32		generation;
	PtLogPos	pos;			/* of the next byte */
	PtDirEntry *entry;			/* its directory entry */
	bool		skipped;		/* its rest is empty already */
	int64		behind_offset;	/* behind the prefix */
	int64		behind_ordinal;
	int64		start_offset;	/* where is the first frame that ends behind
								 * it? */
	PtLogPos	start_pos;		/* here; 0: not yet */
} PtCopy;
extern uint64 pt_copy_extents(const PtPart *parts, uint64 prefix, PtLogPos *end);
extern void pt_copy_group(PtCopy *copy, const PtPart *parts, const char *prefix, uint64 prefix_len,
						  uint64 first, int n, PtDirEntry *entries);

#endif							/* PT_LOG_COMPACT_H */
