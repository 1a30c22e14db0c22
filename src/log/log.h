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

#include "utils/snapshot.h"

#include "log/page.h"
#include "log/reader.h"
#include "log/verify.h"

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
	PtBatchHeader header;		/* that of data; base offset and epoch are not
								 * looked at */
	uint32		kind;			/* PT_FRAME_KIND_xxx; what is no batch is at
								 * least PT_BATCH_HEADER_SIZE bytes long and
								 * takes no offsets */
} PtAppendBatch;

/*
 * Settles the tail, and repairs a frame whose writer failed midway; every
 * append does.
 */
extern void pt_append_repair(Relation rel, PtLogState *state);

extern bool pt_append_at_hand(const PtLogState *state);

/* Next offset of the log as this transaction sees it. */
extern int64 pt_append_next_offset(Relation rel, PtLogState *state);

/* As leader epoch of pt_append: that of each batch stays. */
#define PT_KEEP_EPOCH		(-2)

extern void pt_append(Relation rel, PtLogState *state, PtAppendBatch *batches, int n, int32 leader_epoch);
extern XLogRecPtr pt_append_settled(Relation rel, PtLogState *state, PtAppendBatch *frame);
extern XLogRecPtr pt_append_skip(Relation rel, PtLogState *state);

/* meta.c */
typedef struct PtLogInfo
{
	uint64		first_extent;	/* logical extents [first, next) */
	uint64		next_extent;
	int64		start_offset;
	int64		start_ordinal;
	PtLogPos	start_pos;
	PtLogPos	sealed_pos;
	PtLogPos	producers_pos;	/* see producers.h */
	int64		clean_offset;	/* up to here the log is compacted */
	uint64		hole_from;		/* extents [hole_from, hole_to) are holes */
	uint64		hole_to;
	uint32		swapped;		/* newest generation in the directory */
	uint64		free_extent;	/* extents before are free on the map */
	uint32		phys_extents;	/* in the file */
	uint32		free_phys;		/* of these free */
	XLogRecPtr	lsn;			/* of the meta page */
} PtLogInfo;
extern void pt_log_info(Relation rel, PtLogInfo *info);

/*
 * The same, and the directory entry of a logical extent (false: none), also
 * without a relation (NULL).
 */
extern void pt_locator_info(Relation rel, const RelFileLocator *locator, PtLogInfo *info);
extern int	pt_extents_read(Relation rel, const RelFileLocator *locator, uint64 extent, PtDirEntry *entries, int max);
extern bool pt_extent_at_hand(const RelFileLocator *locator, uint64 extent);
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
	uint32		swapped;		/* PtLogInfo.swapped when pos was found;
								 * PG_UINT32_MAX: it does not move */
	int64		offset;
	int64		ordinal;		/* of the first record retained */
	PtLogPos	pos;			/* of the frame that has it, which may begin
								 * with older ones */
} PtLogStart;
extern bool pt_trim_find(Relation rel, int64 offset, PtLogStart *start);
extern XLogRecPtr pt_trim_write(const RelFileLocator *locator, PtLogStart *start);
extern void pt_trim_publish(const RelFileLocator *locator, const PtLogStart *start);

/* free.c */
extern void pt_log_free(const RelFileLocator *locator);
extern bool pt_log_shrink(Relation rel);

/* holds.c: who still reads what */
extern Size pt_holds_shmem_size(void);
extern void pt_holds_shmem_init(void);
extern int	pt_hold_begin(const RelFileLocator *locator, uint64 extent);
extern void pt_hold_move(int hold, uint64 extent);
extern void pt_hold_end(int hold);
extern uint32 pt_hold_newest_reused(void);

/*
 * expired.c: what retention does not keep.
 */
typedef struct PtRetention
{
	int64		before_ms;		/* batches whose largest timestamp is below
								 * this go; PG_INT64_MIN: none */
	int64		bytes;			/* complete extents go while so many bytes of
								 * them are left; -1: none, 0: all batches */
} PtRetention;

typedef struct PtExpired
{
	PtLogStart	old;			/* where the log starts now */
	PtLogStart	start;			/* where it would, if moves */
	bool		moves;
	bool		empty;			/* nothing that is committed is left then */
	bool		unfreed;		/* space before old is not free yet */
	bool		held;			/* because a snapshot of producers is due */
	XLogRecPtr	lsn;			/* of what says that the log starts at old */
	bool		more;			/* the search ended early: there may be more */
	int64		oldest_ms;		/* largest timestamp of the first batch left;
								 * -1: not known */
} PtExpired;
extern void pt_expired_find(Relation rel, const PtRetention *rule, PtExpired *found);

/* damage.c */
pg_noreturn extern void pt_report_damage(const RelFileLocator *locator, PtLogPos pos, const char *what);

/* lost.c */
extern void pt_log_give_up(Relation rel, const PtDamagedRun *run);

#endif							/* PT_LOG_H */
