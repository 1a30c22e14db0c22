/*-------------------------------------------------------------------------
 *
 * fetch.h
 *	  The door of the fetch room: records below the durable end for a listener,
 *	  records under a snapshot for SQL.
 *
 * All functions are called inside a transaction, unless they say otherwise,
 * and may ereport, unless they say otherwise.  A partition is named by the OID
 * of its leaf table.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FETCH_H
#define PT_FETCH_H

#include <sys/uio.h>

#include "log/log.h"
#include "xact/xact.h"

/*
 * fetch.c.  A span is a range of whole visible batches in a log.
 *
 * The place of so many of its extents is known from the beginning on:
 * compaction may put others there while it is sent, and what was there stays
 * as it is for pgtopic.file_delete_delay.  A single batch may have more; the
 * rest is looked up.
 */
#define PT_SPAN_EXTENTS		16

typedef struct PtSpanExtent
{
	uint32		phys;
	uint32		generation;
} PtSpanExtent;

typedef struct PtSpan
{
	PtLogState *state;
	RelFileLocator locator;
	PtLogPos	pos;			/* of the next byte of a batch, or of a frame
								 * when batch_left is 0 */
	PtLogPos	end;			/* frames from here on do not belong to it */
	uint32		batch_left;		/* bytes left of the batch that pos is in */
	uint64		bytes_left;		/* bytes of batches left in all */
	uint64		extent;			/* the first one, and where it and those
								 * behind it are */
	int			nextents;
	PtSpanExtent extents[PT_SPAN_EXTENTS];
	uint32		swapped;		/* PtLogInfo.swapped when it was made */
	uint32		made_at;		/* s since 1970 */
	int64		start_offset;	/* of the log, then */
} PtSpan;

typedef struct PtFetch
{
	/* in */
	Oid			relid;
	int64		offset;
	int32		leader_epoch;	/* the client's, -1: none */
	uint32		max_bytes;
	bool		at_least_one;	/* give the first batch even when larger than
								 * max_bytes */

	/*
	 * in and out: where the last fetch of this partition ended, so that no
	 * search is needed; zero at first
	 */
	int64		cursor_offset;
	PtLogPos	cursor_pos;
	uint32		cursor_swapped; /* PtLogInfo.swapped when pos was right */
	Oid			cursor_file;	/* that pos is a place in: TRUNCATE and
								 * rewrites make another */
	/* out */
	PtStatus	status;
	int64		high_watermark; /* durable end */
	int64		start_offset;
	bool		away;			/* what would come next is still to be read
								 * from the disk */
	PtSpan		span;			/* bytes_left 0: nothing there */
} PtFetch;

extern void pt_fetch(PtFetch *fetch);

/*
 * Memory for pages that are read past shared buffers.  What has been used
 * stays in use until its owner sets used to 0; when it is all used, buffers
 * are.
 */
typedef struct PtScratch
{
	char	   *pages;			/* npages of them; NULL: none */
	int			npages;
	int			used;
} PtScratch;

/* What pt_span_map finds. */
#define PT_SPAN_PIECES	32
typedef struct PtSpanMap
{
	int			npieces;		/* 0: the next bytes are not at hand, -1:
								 * retention has recycled them */
	int			npins;
	size_t		bytes;			/* of all pieces */
	struct iovec iov[PT_SPAN_PIECES];
	Buffer		pins[PT_SPAN_PIECES];	/* release with ReleaseBuffer */
	struct
	{
		PtLogPos	pos;
		uint32		batch_left;
	}			behind[PT_SPAN_PIECES]; /* where the span stands behind each
										 * piece */
} PtSpanMap;

extern void pt_span_map(PtSpan *span, PtSpanMap *map, int n, PtScratch *scratch);

extern void pt_span_failed(void);

/* Moves a span, as it was before the map, over the first n pieces. */
extern void pt_span_skip(PtSpan *span, const PtSpanMap *map, int n);
extern bool pt_span_intact(const PtSpan *before);

/* Offsets: PT_LIST_LATEST etc. as in the protocol's ListOffsets. */
#define PT_LIST_LATEST			(-1)
#define PT_LIST_EARLIEST		(-2)
#define PT_LIST_MAX_TIMESTAMP	(-3)
#define PT_LIST_EARLIEST_LOCAL	(-4)
#define PT_LIST_LATEST_TIERED	(-5)

typedef struct PtListOffset
{
	Oid			relid;
	int64		timestamp;		/* ms, or one of the above */
	/* out */
	PtStatus	status;
	int64		offset;			/* -1: none */
	int64		found_timestamp;	/* -1 with earliest and latest */
	int32		leader_epoch;
} PtListOffset;
extern void pt_list_offset(PtListOffset *list);

extern PtStatus pt_epoch_end(Oid relid, int32 epoch, int32 *found_epoch, int64 *end_offset);

extern PtStatus pt_check_leader_epoch(int32 epoch);

/*
 * reads for SQL: records of one partition under the active snapshot (poll,
 * consume).
 */
typedef void (*PtRecordCallback) (void *arg, const PtRecord *record);
extern int	pt_read_records(Relation rel, Snapshot snapshot, int64 offset, int max,
							PtRecordCallback callback, void *arg, int64 *next);

/* wait.c */
extern const PtXactKind pt_xact_log_waits;
extern bool pt_wait_for_logs(const Oid *relids, const int64 *offsets, int n, uint64 changes,
							 TimestampTz deadline, const volatile bool *stop);

/*
 * at_hand.c: what is called between begin and end does not wait for the disk.
 * It says "away", or throws an ERROR with this SQLSTATE, and is to be called
 * again in a moment.  end is also for who catches the ERROR.
 */
extern void pt_at_hand_begin(void);
extern void pt_at_hand_end(void);
extern bool pt_at_hand_failed(int sqlstate);

/* find_log.c: logs without relations */
extern int64 pt_log_start_offset(PtLogState *log);
extern PtStatus pt_log_find(Oid relid, bool dont_wait, PtLogState **log);
extern void pt_log_start(PtLogState *log, int64 *offset, PtLogPos *pos);
extern bool pt_log_is(const PtLogState *log, const RelFileLocator *locator);

#endif							/* PT_FETCH_H */
