/*-------------------------------------------------------------------------
 *
 * state.h
 *	  What processes share about a log, and what a reader knows of it.
 *
 * Part of the room's door, log.h, which includes it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_STATE_H
#define PT_LOG_STATE_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"
#include "utils/rel.h"

#include "log/page.h"

/*
 * state.c: what all processes share about a log.
 *
 * Fields under the mutex may be read without it where a torn pair does not
 * matter.  The tail_ fields belong to the holder of the append lock.
 */
#define PT_STATE_RING	16

typedef struct PtLogEnd
{
	int64		offset;			/* next offset */
	PtLogPos	pos;
	XLogRecPtr	lsn;			/* end of the commit record */
} PtLogEnd;

/*
 * All frames that start in [from, to) are aborted, or hold no batch: who goes
 * back over the log steps over them.
 */
typedef struct PtAborted
{
	PtLogPos	from;
	PtLogPos	to;
} PtAborted;

#define PT_ABORTED_RUNS	4

typedef struct PtLogState
{
	RelFileLocator locator;		/* of the log; zero: of none */
	slock_t		mutex;
	int			pins;			/* processes that have it pinned */
	bool		recent;			/* pinned since the clock's hand passed */
	bool		loading;		/* somebody reads it from the log */
	TimestampTz loading_since;
	ConditionVariable loaded_cv;	/* until he is done */
	bool		loaded;
	bool		volatile_load;	/* loaded during recovery: load again at next
								 * use */
	bool		waiting;		/* listed among the logs with a ring to
								 * advance */
	/* tail: all that was written, committed or not */
	PtLogPos	tail_pos;		/* where the next frame goes */
	int64		tail_offset;	/* next offset if tail_xid commits */
	int64		tail_ordinal;
	TransactionId tail_xid;		/* last that appended, Invalid: all resolved */
	PtLogPos	tail_cut;		/* frame not wholly written, 0: none */
	int64		tail_max_timestamp; /* ms, of the tail's extent */
	XLogRecPtr	tail_lsn;		/* of the last record that moved the tail */
	PtAborted	tail_aborted[PT_ABORTED_RUNS];	/* in order; those that end at
												 * 0 are unused */
	uint32		tail_phys;		/* physical extent of the tail */
	uint32		tail_generation;	/* of that */
	BlockNumber file_blocks;	/* length of the file */
	Buffer		tail_buffers[PT_EXTENT_BLOCKS]; /* where the pages of the
												 * tail's extent were last */
	/* ends */
	PtLogEnd	committed;
	PtLogEnd	durable;
	int			ring_n;
	PtLogEnd	ring[PT_STATE_RING];	/* committed, waiting for their LSN */
	XLogRecPtr	loaded_lsn;		/* WAL was flushed up to here when the ends
								 * were read from the log, so all of it counts
								 * as durable; Invalid: standbys have it */

	/*
	 * logical extents [written_from, written_to) have been written to the
	 * file since they were complete
	 */
	uint64		written_from;
	uint64		written_to;
	/* start */
	int64		start_offset;
	int64		start_ordinal;
	PtLogPos	start_pos;
	pg_atomic_uint64 sealed_pos;
	PtLogPos	producers_pos;	/* see producers.h */
	uint32		producers_extents;	/* that the last snapshot took, as far as
									 * is known; the appender's */
} PtLogState;

/* A copy of it, for those who only read: view.c. */
typedef struct PtLogView
{
	RelFileLocator locator;
	PtLogState *live;			/* the log's entry, or what has been it; NULL:
								 * it had none */
	int64		start_offset;
	int64		start_ordinal;
	PtLogPos	start_pos;
	PtLogPos	sealed_pos;
	PtLogPos	sealed_first;	/* sealed_pos when the view was made */
	PtLogPos	sealed_start;	/* start_pos when sealed_pos was read last */
	PtLogPos	tail_pos;
	int64		tail_offset;
	int64		tail_ordinal;
	TransactionId tail_xid;
	PtLogPos	tail_cut;
	PtLogEnd	committed;
	PtLogEnd	durable;
} PtLogView;

extern Size pt_state_shmem_size(void);
extern void pt_state_shmem_init(void);

/*
 * state_table.c: the state of a log, read from its file when it is not in
 * memory; pinned until it is released or the transaction ends.
 */
extern PtLogState *pt_state_get(Relation rel);
extern PtLogState *pt_state_try(Relation rel);
extern bool pt_state_pin(PtLogState *state, const RelFileLocator *locator);
extern void pt_state_release(PtLogState *state);
extern void pt_state_release_all(void);

/* For those who only read. */
extern void pt_log_view(Relation rel, PtLogView *view);
extern bool pt_view_of(PtLogView *view, PtLogState *state, const RelFileLocator *locator);
extern void pt_view_refresh(PtLogView *view, Relation rel);
extern bool pt_view_tid_gone(const PtLogView *view, ItemPointer tid);

/*
 * To be called when a log is made: nothing that is known of a locator outlives
 * its file.
 */
extern void pt_state_forget(const RelFileLocator *locator);

/*
 * Settles what became of the transaction that appended last, so that
 * tail_offset is the next offset of the current transaction.  Called with the
 * append lock; pt_append does it by itself.  A transaction that rolled back to
 * a savepoint after an early append must call it before it commits.
 */
extern void pt_state_settle(PtLogState *state, Relation rel);

/*
 * The transaction that appended has committed; lsn is where its commit record
 * ends.
 */
extern void pt_state_committed(PtLogState *state, XLogRecPtr lsn);

/*
 * Moves the durable end up to what is committed at or before lsn, and tells
 * those who wait for the log (watch.h).
 */
extern void pt_state_advance(PtLogState *state, XLogRecPtr lsn);

/* Same for all logs that wait. */
extern XLogRecPtr pt_state_waiting_lsn(void);
extern void pt_state_advance_all(XLogRecPtr lsn);

extern PtLogEnd pt_state_durable(PtLogState *state);
extern PtLogEnd pt_state_committed_end(PtLogState *state);
extern XLogRecPtr pt_state_loaded_lsn(PtLogState *state);
extern void pt_state_loaded_safe(PtLogState *state, XLogRecPtr lsn);

/*
 * A complete extent has been written: the batches in it can be had from the
 * file for ever, whether or not its pages are in buffers (flags of frames may
 * be newer there).  pt_state_is_written asks; it may say no of one that has.
 */
extern void pt_state_written(const RelFileLocator *locator, uint64 extent);
extern bool pt_state_is_written(PtLogState *state, const RelFileLocator *locator, uint64 extent);

/*
 * After COMMIT PREPARED or ROLLBACK PREPARED: resolves every log whose tail
 * waits for an xid that has ended.
 */
extern void pt_state_resolve_all(void);

/*
 * A log that somebody waits for.  It need not be in memory, so it is named by
 * its locator and where its state has been.
 */
typedef struct PtLogRef
{
	RelFileLocator locator;
	PtLogState *state;
} PtLogRef;

#endif							/* PT_LOG_STATE_H */
