/*-------------------------------------------------------------------------
 *
 * log.h
 *	  The door of the storage room: append to a log, read it, trim it.
 *
 * Everything here works on one partition's relation.  Callers hold a relation
 * lock (AccessShareLock to read, RowExclusiveLock to append) and are in a
 * transaction.  Pages, extents and WAL stay behind this header.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_H
#define PT_LOG_H

#include "compat.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"
#include "utils/snapshot.h"

#include "log/page.h"
#include "log/reader.h"

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

typedef struct PtLogState
{
	RelFileLocator locator;		/* hash key */
	slock_t		mutex;
	bool		loaded;
	bool		volatile_load;	/* loaded during recovery: load again at next
								 * use */
	bool		waiting;		/* listed among the logs with a ring to
								 * advance */
	Oid			relid;
	/* tail: all that was written, committed or not */
	PtLogPos	tail_pos;		/* where the next frame goes */
	int64		tail_offset;	/* next offset if tail_xid commits */
	int64		tail_ordinal;
	TransactionId tail_xid;		/* last that appended, Invalid: all resolved */
	PtLogPos	tail_cut;		/* frame not wholly written, 0: none */
	int64		tail_max_timestamp; /* ms, of the tail's extent */
	XLogRecPtr	tail_lsn;		/* of the last record that moved the tail */
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
	pg_atomic_uint32 waiters;	/* fetches of listener workers that wait for
								 * more */
} PtLogState;

extern Size pt_state_shmem_size(void);
extern void pt_state_shmem_init(void);

/*
 * The state of a log, read from its file when this is the first use since
 * start.
 */
extern PtLogState *pt_state_get(Relation rel);

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
 * Moves the durable end up to what is committed at or before lsn; true when it
 * moved.
 */
extern bool pt_state_advance(PtLogState *state, XLogRecPtr lsn);

/*
 * Same for all logs that wait; wakes SQL waiters.  True when a log with
 * waiting fetches moved.
 */
extern bool pt_state_advance_all(XLogRecPtr lsn);

extern PtLogEnd pt_state_durable(PtLogState *state);

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

/* Broadcast whenever the durable end of any log moves. */
extern ConditionVariable *pt_state_any_cv(void);

/*
 * append.c.  The caller holds the append lock.
 */
typedef struct PtAppendBatch
{
	char	   *data;			/* record batch; base offset and epoch are
								 * patched */
	uint32		length;
	int64		base_offset;	/* in: where it must go, -1: at the end; out:
								 * where it went */
	int64		base_ordinal;	/* out */
	PtBatchHeader header;		/* out: as it came, without offset and epoch */
	uint32		kind;			/* PT_FRAME_KIND_xxx; what is no batch is at
								 * least PT_BATCH_HEADER_SIZE bytes long and
								 * takes no offsets */
} PtAppendBatch;

/*
 * Settles the tail, and repairs a frame whose writer failed midway; every
 * append does.
 */
extern void pt_append_repair(Relation rel, PtLogState *state);

/* Next offset of the log as this transaction sees it. */
extern int64 pt_append_next_offset(Relation rel, PtLogState *state);

/* As leader epoch of pt_append: that of each batch stays. */
#define PT_KEEP_EPOCH		(-2)

extern void pt_append(Relation rel, PtLogState *state, PtAppendBatch *batches, int n, int32 leader_epoch);

/* meta.c */
typedef struct PtLogInfo
{
	uint64		first_extent;	/* logical extents [first, next) */
	uint64		next_extent;
	int64		start_offset;
	int64		start_ordinal;
	PtLogPos	start_pos;
	PtLogPos	sealed_pos;
	uint32		phys_extents;
} PtLogInfo;
extern void pt_log_info(Relation rel, PtLogInfo *info);

/*
 * The same, and the directory entry of a logical extent (false: none), also
 * without a relation (NULL).
 */
extern void pt_locator_info(Relation rel, const RelFileLocator *locator, PtLogInfo *info);
extern bool pt_extent_lookup(Relation rel, const RelFileLocator *locator, uint64 extent, PtDirEntry *entry);

/* Creates the storage of a new log; first offset and ordinal as given. */
extern void pt_log_create(Relation rel, const RelFileLocator *locator, int64 offset, int64 ordinal);

/*
 * seal.c: moves sealed_pos as far as everybody's snapshot allows and flags
 * aborted frames; returns the oldest xid that is left (the new relfrozenxid at
 * most oldest_xmin).
 */
extern TransactionId pt_log_seal(Relation rel, TransactionId oldest_xmin);

/*
 * meta.c: writes where sealed frames end; newest: the newest xid below, a
 * conflict for standbys.
 */
extern XLogRecPtr pt_meta_seal(Relation rel, PtLogPos sealed, TransactionId newest);

/*
 * trim.c: moving the start of a log.  find looks for the place of an offset,
 * at or below the committed end; false when the log starts there or later
 * already.  The caller keeps the relation locked (RowExclusiveLock).  write
 * puts it into WAL (InvalidXLogRecPtr: somebody was faster), publish shows it
 * to others and comes after the flush.  Both need no relation and no catalog,
 * and never go back.
 */
typedef struct PtLogStart
{
	int64		offset;
	int64		ordinal;		/* of the first record retained */
	PtLogPos	pos;			/* of the frame that has it, which may begin
								 * with older ones */
} PtLogStart;
extern bool pt_trim_find(Relation rel, int64 offset, PtLogStart *start);
extern XLogRecPtr pt_trim_write(PtLogState *state, const PtLogStart *start);
extern void pt_trim_publish(PtLogState *state, const PtLogStart *start);

/* wal.c */
extern void pt_wal_register(void);

#endif							/* PT_LOG_H */
