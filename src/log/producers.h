/*-------------------------------------------------------------------------
 *
 * producers.h
 *	  What a log itself says of its idempotent producers: producers.c says how.
 *
 * The caller holds the append lock of the log, and RowExclusiveLock on its
 * table.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_PRODUCERS_H
#define PT_LOG_PRODUCERS_H

#include "compat.h"

#include "utils/hsearch.h"

#include "record/sequence.h"

#include "log/log.h"

/* A new snapshot is due when so many extents lie behind the last one. */
#define PT_PRODUCERS_EXTENTS	16
#define PT_PRODUCERS_OVERDUE	(4 * PT_PRODUCERS_EXTENTS)

/* Producers that a snapshot holds at most: those seen last. */
#define PT_PRODUCERS_MAX		262144

/* Reading: states by producer id, in a hash table of the caller's. */
extern HTAB *pt_log_producers_read(Relation rel, PtLogPos from, int64 now);
extern PtProducerState *pt_log_producers_array(HTAB *all, int *n);
extern bool pt_log_producers_find(Relation rel, PtLogPos from, int64 producer_id, int64 now,
								  PtProducerState *state);

/* Writing: as an append of the current transaction, or of none. */
extern void pt_log_producers_begin(Relation rel, PtLogState *log);
extern PtLogPos pt_log_producers_write(Relation rel, PtLogState *log, const PtProducerState *states, int n,
									   int64 now, bool settled);

/*
 * Extents from where reading begins to the tail, less what a snapshot takes.
 */
static inline uint64
pt_log_producers_unread(const PtLogState *log)
{
	uint64		n = pt_pos_extent(log->tail_pos) - pt_pos_extent(log->producers_pos);
	uint64		taken = 4 * (uint64) log->producers_extents;

	return log->tail_pos > log->producers_pos && n > taken ? n - taken : 0;
}

/*
 * Is it time for a snapshot?  When much lies behind the last one, which would
 * have to be read: 16 extents, and four times what the last one took.  And
 * when the start of the log has passed it, whose extents could be freed.
 */
static inline bool
pt_log_producers_due(const PtLogState *log)
{
	if (log->producers_pos == 0)
		return false;
	return pt_pos_extent(log->start_pos) > pt_pos_extent(log->producers_pos) ||
		pt_log_producers_unread(log) >= PT_PRODUCERS_EXTENTS;
}

/* Is it so late that no batch should be appended before it? */
static inline bool
pt_log_producers_overdue(const PtLogState *log)
{
	return log->producers_pos != 0 && pt_log_producers_unread(log) >= PT_PRODUCERS_OVERDUE;
}

/*
 * When a snapshot is committed: write puts into WAL that loading begins there
 * (InvalidXLogRecPtr: somebody was faster), publish tells others.  Both need
 * no lock.
 */
extern XLogRecPtr pt_log_producers_move(const RelFileLocator *locator, PtLogPos pos);
extern void pt_log_producers_publish(const RelFileLocator *locator, PtLogPos pos);

#endif							/* PT_LOG_PRODUCERS_H */
