/*-------------------------------------------------------------------------
 *
 * snapshots.c
 *	  Writes snapshots of a log's producers into the log, when one is due.
 *
 * Snapshots are written by the housekeeper, in transactions of their own, and
 * by who is about to compact.  It
 * reads what the log says (not the table in shared memory, which may have lost
 * some) and writes all of it anew.  The append lock is held meanwhile: for 16
 * extents of the log that is a few milliseconds.
 *
 * Executors write one that is due with the batch that they append.  So a
 * housekeeper that does not come to it is no danger: a listener sends its next
 * idempotent batch to an executor when a snapshot is overdue.
 *
 * Siblings: producers.c; ../log/producers.c, which says when and how.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/lmgr.h"

#include "guc.h"
#include "log/producers.h"
#include "produce/internal.h"
#include "stop_point.h"
#include "topic/leaf.h"
#include "topic/timestamp.h"

static int	choose_states(const RelFileLocator *locator, PtProducerState *states, int n, int64 now);
static PtProducerState *states_of(Relation rel, PtLogState *log, int64 now, int *n);
static bool hides_extents(PtLogState *log);

/* Who was seen last comes first. */
static int
compare_seen(const void *a, const void *b)
{
	const PtProducerState *x = a;
	const PtProducerState *y = b;

	return x->seen_at == y->seen_at ? 0 : x->seen_at > y->seen_at ? -1 : 1;
}

/*
 * Those that have not expired, at the front; if these are too many those seen
 * last.  Returns how many.
 */
static int
choose_states(const RelFileLocator *locator, PtProducerState *states, int n, int64 now)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		Assert(states[i].epoch != PT_NO_PRODUCER_EPOCH);
		pt_producers_seen(locator, &states[i]);
		if (!pt_sequence_expired(&states[i], now, pt_producer_id_expiration))
			states[kept++] = states[i];
	}
	if (kept > PT_PRODUCERS_MAX)
		qsort(states, kept, sizeof(PtProducerState), compare_seen);
	return Min(kept, PT_PRODUCERS_MAX);
}

/* What a snapshot of a log taken now says. */
static PtProducerState *
states_of(Relation rel, PtLogState *log, int64 now, int *n)
{
	HTAB	   *all = pt_log_producers_read(rel, log->producers_pos, now);
	PtProducerState *states = pt_log_producers_array(all, n);

	hash_destroy(all);
	*n = choose_states(&log->locator, states, *n, now);
	return states;
}

/*
 * Writes a snapshot of all producers of a log, in the current transaction;
 * when it has committed, the log is read from there on.  The caller holds the
 * append lock, and RowExclusiveLock to the end of the transaction.
 */
void
pt_producers_snapshot(Relation rel, PtLogState *log)
{
	Oid			relid = RelationGetRelid(rel);
	int64		now = pt_now_ms();
	PtProducerState *states;
	PtLogPos	pos;
	int			n;

	Assert(log->producers_pos != 0);
	states = states_of(rel, log, now, &n);
	if (n > 0)
		pt_tails_before_append(log, relid);
	pos = pt_log_producers_write(rel, log, states, n, now, false);
	log->producers_extents = (uint32) (pt_pos_extent(log->tail_pos) - pt_pos_extent(pos));
	if (n > 0)
		pt_tails_after_append();
	pt_trim_producers(relid, log, pos);
	pfree(states);
}

/*
 * Is there a complete extent that is kept as it is because it says what is
 * known of producers (../log/producers.h)?
 */
static bool
hides_extents(PtLogState *log)
{
	PtLogPos	end = pt_state_committed_end(log).pos;

	return log->producers_pos != 0 && pt_pos_extent(end) > pt_pos_extent(log->producers_pos);
}

/*
 * Lets a snapshot say what complete extents say of producers, so that these
 * can be compacted.  It is no transaction's, so it counts at once.  Does
 * nothing if the partition is busy, or in a transaction that has written.  The
 * caller has ShareUpdateExclusiveLock.
 */
void
pt_producers_reveal(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	PtLogState *log = pt_state_try(rel);
	int64		now = pt_now_ms();
	PtProducerState *states;
	PtLogPos	pos;
	XLogRecPtr	lsn;
	int			n;

	if (log == NULL || !hides_extents(log) || !pt_append_lock_briefly(relid))
		return;
	states = states_of(rel, log, now, &n);
	pos = pt_log_producers_write(rel, log, states, n, now, true);
	log->producers_extents = (uint32) (pt_pos_extent(log->tail_pos) - pt_pos_extent(pos));
	pt_append_unlock(relid);
	pfree(states);
	PT_STOP_POINT("producers.written");
	lsn = pt_log_producers_move(&log->locator, pos);
	if (XLogRecPtrIsInvalid(lsn))
		return;
	XLogFlush(lsn);
	PT_STOP_POINT("producers.flushed");
	pt_log_producers_publish(&log->locator, pos);
}

/*
 * Writes a snapshot into the log of a partition if one is due, as a
 * transaction of its own; called outside of one.  Never waits: false when the
 * partition is busy, and should be tried again.  An ERROR leaves a transaction
 * for the caller to abort.
 */
bool
pt_producers_keep(Oid relid)
{
	Relation	rel;
	PtLogState *log;
	bool		done = false;

	Assert(!IsTransactionState());
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (ConditionalLockRelationOid(relid, RowExclusiveLock))
	{
		rel = try_relation_open(relid, NoLock);
		done = rel == NULL || !pt_leaf_is_log(relid);
		if (!done && pt_append_lock(relid, PT_LOCK_TRY) && (log = pt_state_try(rel)) != NULL)
		{
			if (pt_log_producers_due(log))
				pt_producers_snapshot(rel, log);
			done = true;
		}
		if (rel != NULL)
			relation_close(rel, NoLock);
	}
	CommitTransactionCommand();
	return done;
}
