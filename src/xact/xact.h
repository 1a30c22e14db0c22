/*-------------------------------------------------------------------------
 *
 * xact.h
 *	  The one door to the data of topics, for SQL and for Kafka.
 *
 * All functions are called inside a transaction, unless they say otherwise, and
 * may ereport, unless they say otherwise.  A partition is named by the OID of
 * its leaf table.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_XACT_H
#define PT_XACT_XACT_H

#include "compat.h"

#include <sys/uio.h>

#include "executor/tuptable.h"

#include "record/batch.h"
#include "record/sequence.h"
#include "log/log.h"
#include "topic/topic.h"

/*
 * pending.c: records that wait in backend memory for their transaction to commit.
 *
 * Subtransaction-aware.  At PRE_COMMIT (and PRE_PREPARE) they are encoded, one
 * batch per partition (split at max.message.bytes), and appended with
 * the partitions locked in the order of their OIDs.  Past pgtopic.produce_buffer they are
 * appended early and the lock is kept.
 */
typedef struct PtRow
{
	int64		offset;			/* explicit offset, -1: assigned at append */
	int64		timestamp;		/* ms since 1970 */
	const char *key;			/* NULL: null */
	const char *value;
	const char *headers;		/* the encoding of PtRecord.headers; NULL: none */
	int32		key_len;
	int32		value_len;
	int32		headers_len;
	int32		header_count;
} PtRow;

/* Takes a copy of the row.  The marker TID under which pt_pending_get finds it goes to *tid (may be NULL). */
extern void pt_pending_add(Relation rel, const PtRow *row, ItemPointer tid);

/* A waiting row, or one that was appended early, by its marker TID; false when it was rolled back. */
extern bool pt_pending_get(Relation rel, ItemPointer tid, PtRow *row, int64 *offset);

/* Appends now what waits for this relation (InvalidOid: for all); before DDL and by append(). */
extern void pt_pending_flush(Oid relid);

/* Appends rows at once, in the current transaction, holding the append lock to its end.  Returns the offset of the first. */
extern int64 pt_append_rows(Relation rel, const PtRow *rows, int n, int64 expected_offset);

/* lock.c: the append lock, held to the end of the transaction.  dont_wait: false when another holds it. */
extern bool pt_append_lock(Oid relid, bool dont_wait);

/* xact.c */
extern void pt_xact_register(void);

/*
 * produce.c: what the listener appends.
 */
typedef enum PtStatus
{
	PT_OK,
	PT_BUSY,					/* another transaction holds the append lock: try again later */
	PT_UNKNOWN_PARTITION,
	PT_OFFSET_OUT_OF_RANGE,
	PT_CORRUPT_BATCH,
	PT_MESSAGE_TOO_LARGE,
	PT_INVALID_RECORD,
	PT_INVALID_TIMESTAMP,
	PT_DUPLICATE_SEQUENCE,		/* not an error: offset is where the first one went */
	PT_OUT_OF_ORDER_SEQUENCE,
	PT_INVALID_PRODUCER_EPOCH,
	PT_UNSUPPORTED_COMPRESSION,
	PT_FENCED_LEADER_EPOCH,
	PT_UNKNOWN_LEADER_EPOCH,
	PT_STORAGE_ERROR			/* an ERROR was thrown; message says which */
} PtStatus;

typedef struct PtProduce
{
	/* in */
	Oid			relid;
	char	   *data;			/* one record batch, patched in place */
	uint32		length;
	/* out */
	PtStatus	status;
	int64		base_offset;	/* -1 on error */
	int64		append_time;	/* ms, -1: the records have create time */
	int64		start_offset;	/* log start */
	char		message[128];	/* detail of an error, or empty */
} PtProduce;

/*
 * Appends n batches, in order, as one transaction that it starts and commits
 * itself (called outside of one), asynchronously: *lsn is the end of the
 * commit record, 0 when nothing was appended.  Never waits for a lock or the
 * disk, never throws: each item has its status.
 */
extern void pt_produce_batches(PtProduce *items, int n, XLogRecPtr *lsn);

/*
 * The same, but returns when all WAL up to *lsn is flushed and the durable ends have
 * moved.  For who has nothing else to do and a disk that is quick; not with synchronous standbys.
 */
extern void pt_produce_batches_at_once(PtProduce *items, int n, XLogRecPtr *lsn);

/*
 * fetch.c.  A span is a range of whole visible batches in a log.
 */
typedef struct PtSpan
{
	PtLogState *state;
	RelFileLocator locator;
	PtLogPos	pos;			/* of the next byte of a batch, or of a frame when batch_left is 0 */
	PtLogPos	end;			/* frames from here on do not belong to it */
	uint32		batch_left;		/* bytes left of the batch that pos is in */
	uint64		bytes_left;		/* bytes of batches left in all */
	uint64		extent;			/* cached mapping */
	uint32		phys;
} PtSpan;

typedef struct PtFetch
{
	/* in */
	Oid			relid;
	int64		offset;
	int32		leader_epoch;	/* the client's, -1: none */
	uint32		max_bytes;
	bool		at_least_one;	/* give the first batch even when larger than max_bytes */
	/* in and out: where the last fetch of this partition ended, so that no search is needed; zero at first */
	int64		cursor_offset;
	PtLogPos	cursor_pos;
	Oid			cursor_file;	/* that pos is a place in: TRUNCATE and rewrites make another */
	/* out */
	PtStatus	status;
	int64		high_watermark; /* durable end */
	int64		start_offset;
	PtSpan		span;			/* bytes_left 0: nothing there */
} PtFetch;

extern void pt_fetch(PtFetch *fetch);

/*
 * Memory for pages that are read past shared buffers.  What has been used stays
 * in use until its owner sets used to 0; when it is all used, buffers are.
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
	int			npieces;		/* -1: retention has recycled the bytes */
	int			npins;
	size_t		bytes;			/* of all pieces */
	struct iovec iov[PT_SPAN_PIECES];
	Buffer		pins[PT_SPAN_PIECES];	/* release with ReleaseBuffer */
	struct
	{
		PtLogPos	pos;
		uint32		batch_left;
	}			behind[PT_SPAN_PIECES]; /* where the span stands behind each piece */
} PtSpanMap;

/*
 * Maps the next bytes of a span, in at most n <= PT_SPAN_PIECES pieces, and advances it over them.  Each piece is in a
 * pinned buffer or in scratch (may be NULL).  Check with pt_span_intact after the bytes have been used: false means that retention has
 * recycled them meanwhile.
 */
extern void pt_span_map(PtSpan *span, PtSpanMap *map, int n, PtScratch *scratch);
/* Moves a span, as it was before the map, over the first n pieces. */
extern void pt_span_skip(PtSpan *span, const PtSpanMap *map, int n);
extern bool pt_span_intact(const PtSpan *before);

/*
 * trim.c: when the transaction commits, the log will start at this offset: what is before it is gone then, for
 * all snapshots.  PT_OFFSET_OUT_OF_RANGE beyond the committed end; *start is where the log will start.  Holds
 * RowExclusiveLock on the table to the end of the transaction.
 */
#define PT_TRIM_TO_END			(-1)
extern PtStatus pt_trim(Oid leaf, int64 offset, int64 *start);

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

/* End offset of the largest epoch <= the one asked for (KIP-320); epoch -1 and offset -1 when there is none. */
extern PtStatus pt_epoch_end(Oid relid, int32 epoch, int32 *found_epoch, int64 *end_offset);

/* The leader epoch of everything appended now: the timeline. */
extern int32 pt_leader_epoch(void);

/* A fresh block of producer ids; returns the first of n. */
extern int64 pt_producer_ids_allocate(int n);

/* The idempotent producers that a partition remembers, copied, in no order.  PT_BUSY: try again. */
extern PtStatus pt_producers_list(Oid relid, PtProducerState **states, int *n);

/*
 * reads for SQL: records of one partition under the active snapshot (poll, consume).
 */
typedef void (*PtRecordCallback) (void *arg, const PtRecord *record);
/* Reads up to max records from offset on; returns how many, *next is the offset to go on from. */
extern int	pt_read_records(Relation rel, Snapshot snapshot, int64 offset, int max,
						   PtRecordCallback callback, void *arg, int64 *next);

/*
 * Waits until a log moves beyond its offset or the deadline; outside of a snapshot.  cancel-able at once.
 * false at the deadline.
 */
extern bool pt_wait_for_logs(Oid *relids, const int64 *offsets, int n, TimestampTz deadline);

/*
 * committer: shared with the server room.  Asks for WAL up to lsn to be made durable soon.
 */
extern void pt_commit_request(XLogRecPtr lsn);

/* This transaction gives a log another file or place, or none: when it has committed, all who wait for logs look again. */
extern void pt_log_gone(void);
/* WAL is durable up to here: flushed, and also on synchronous standbys. */
extern XLogRecPtr pt_commit_flushed(void);
extern XLogRecPtr pt_commit_replicated(void);

#endif							/* PT_XACT_XACT_H */
