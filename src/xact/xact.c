/*-------------------------------------------------------------------------
 *
 * xact.c
 *	  What happens to topics when a transaction ends.
 *
 * PRE_COMMIT and PRE_PREPARE append what waits in memory; deferred triggers
 * have run by then, so what they add is there too.  COMMIT tells the logs that
 * their tail is committed now.  ABORT only forgets: the next append finds the
 * tail of an aborted transaction and settles it.  PREPARE forgets as well; the
 * append locks go with the prepared transaction.  The start of a log moves after the
 * commit (trim.c).
 *
 * Early release.  Holding the append lock through the flush would limit a hot
 * partition to one transaction per flush.  A transaction that wrote nothing but topics
 * therefore commits asynchronously, releases its append locks as soon as its
 * commit record is in WAL, and flushes (and waits for synchronous standbys)
 * before it returns to the client.  That is safe because no reader is shown
 * what is not durable: Kafka consumers stop at the durable end, SQL readers flush
 * when they meet a commit that is not (see pt_frame_visible).  A transaction
 * that also wrote tables holds the locks to its end, as their readers do not
 * wait for anything.
 *
 * Whether anything else was written is told by WAL: no xid and so no writes
 * when the first append begins, and no WAL of ours between two appends or
 * between the last one and the commit.
 *
 * Siblings: pending.c (what waits), lock.c (the append locks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "replication/syncrep.h"
#include "utils/memutils.h"

#include "xact/hooks.h"
#include "xact/internal.h"

typedef struct TouchedLog
{
	PtLogState *state;
	Oid			relid;
	int			level;			/* nesting level of the first append that counts */
	int			deepest;		/* of the last appends that are not resolved */
	bool		dirty;			/* the tail has appends of an aborted
								 * subtransaction */
} TouchedLog;

/* In TopTransactionContext; levels never decrease along the array. */
static TouchedLog *touched;
static int	ntouched;
static int	touched_cap;

static bool only_topics;		/* nothing but topics was written so far */
static XLogRecPtr own_wal_end;	/* XactLastRecEnd after our last append */
static int	saved_synchronous_commit = -1;	/* while an early release is under way */

static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId mySubid,
							 SubTransactionId parentSubid, void *arg);
static void touch_log(PtLogState *state, Oid relid);
static void settle_tails(void);
static void choose_early_release(void);
static void after_commit(void);
static void forget_all(void);

void
pt_xact_register(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	pt_gone_register();
}

/*
 * To be called before the transaction writes anything for an append: remembers the log, so that an append
 * that fails midway in a subtransaction is known, too.
 */
void
pt_xact_before_append(PtLogState *state, Oid relid)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		only_topics = true;
	else
		only_topics = only_topics && XactLastRecEnd == own_wal_end;
	touch_log(state, relid);
}

/* To be called when an append and what it causes are written. */
void
pt_xact_after_append(void)
{
	Assert(TransactionIdIsValid(GetTopTransactionIdIfAny()) && ntouched > 0);
	own_wal_end = XactLastRecEnd;
}

static void
touch_log(PtLogState *state, Oid relid)
{
	int			level = GetCurrentTransactionNestLevel();
	TouchedLog *log;

	for (int i = ntouched - 1; i >= 0; i--)
	{
		Assert(touched[i].level <= level && touched[i].level <= touched[i].deepest);
		if (touched[i].state == state)
		{
			Assert(touched[i].relid == relid);
			touched[i].deepest = Max(touched[i].deepest, level);
			return;
		}
	}
	if (ntouched == touched_cap)
	{
		int			cap = Max(16, touched_cap * 2);

		if (touched == NULL)
			touched = MemoryContextAlloc(TopTransactionContext, cap * sizeof(TouchedLog));
		else
			touched = repalloc(touched, cap * sizeof(TouchedLog));
		touched_cap = cap;
	}
	log = &touched[ntouched++];
	log->state = state;
	log->relid = relid;
	log->level = log->deepest = level;
	log->dirty = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			pt_pending_flush(InvalidOid);
			settle_tails();
			pt_trims_prepare(false);
			choose_early_release();
			break;
		case XACT_EVENT_PRE_PREPARE:
			pt_pending_flush(InvalidOid);
			settle_tails();
			pt_trims_prepare(true);
			break;
		case XACT_EVENT_COMMIT:
			pt_produce_committed();
			after_commit();
			pt_trims_apply();
			forget_all();
			break;
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			if (saved_synchronous_commit >= 0)
				synchronous_commit = saved_synchronous_commit;
			forget_all();
			break;
		default:
			break;				/* parallel workers write nothing */
	}
}

static void
forget_all(void)
{
	saved_synchronous_commit = -1;
	touched = NULL;
	ntouched = touched_cap = 0;
	only_topics = false;
	own_wal_end = InvalidXLogRecPtr;
	pt_pending_forget();
	pt_offsets_forget();
	pt_trims_forget();
	pt_append_locks_forget();
}

/*
 * Before the commit, while errors still abort: where a subtransaction that
 * aborted has left its appends at the tail, finds out which offset follows ours.
 */
static void
settle_tails(void)
{
	for (int i = 0; i < ntouched; i++)
	{
		Relation	rel;

		if (!touched[i].dirty)
			continue;
		rel = try_relation_open(touched[i].relid, RowExclusiveLock);
		if (rel == NULL)
			continue;			/* dropped in this transaction */
		if (RelFileLocatorEquals(pt_rel_locator(rel), touched[i].state->locator))
			pt_append_repair(rel, touched[i].state);
		relation_close(rel, NoLock);
		touched[i].dirty = false;
	}
}

/*
 * Makes this commit an asynchronous one when the append locks may be released
 * before the flush.  Not under remote_apply, which promises that standbys show
 * the commit, in order.
 */
static void
choose_early_release(void)
{
	Assert(saved_synchronous_commit < 0);
	if (ntouched == 0 || !only_topics || XactLastRecEnd != own_wal_end)
		return;
	if (synchronous_commit <= SYNCHRONOUS_COMMIT_OFF || synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_APPLY)
		return;
	Assert(GetCurrentTransactionNestLevel() == 1);
	saved_synchronous_commit = synchronous_commit;
	synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
}

/*
 * The commit record is in WAL (and flushed, if the commit is synchronous), other
 * backends see us as committed.  Nothing here may throw.
 */
static void
after_commit(void)
{
	XLogRecPtr	lsn = XactLastCommitEnd;
	bool		awaited = false;

	if (ntouched == 0)
		return;
	Assert(!XLogRecPtrIsInvalid(lsn) && touched[0].level == 1);
	for (int i = 0; i < ntouched; i++)
		pt_state_committed(touched[i].state, lsn);
	if (saved_synchronous_commit >= 0)
	{
		Assert(synchronous_commit == SYNCHRONOUS_COMMIT_OFF);
		pt_append_locks_release();
		synchronous_commit = saved_synchronous_commit;
		XLogFlush(lsn);
		SyncRepWaitForLSN(lsn, true);
	}
	if (synchronous_commit <= SYNCHRONOUS_COMMIT_OFF)
	{
		pt_commit_request(lsn);
		return;
	}
	for (int i = 0; i < ntouched; i++)
	{
		(void) pt_state_advance(touched[i].state, lsn);
		if (pg_atomic_read_u32(&touched[i].state->waiters) > 0)
			awaited = true;
	}
	if (awaited)
		pt_commit_request(lsn); /* the committer wakes the listener's fetches */
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	Assert(level > 1 && saved_synchronous_commit < 0);
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = ntouched - 1; i >= 0; i--)
		{
			touched[i].level = Min(touched[i].level, level - 1);
			touched[i].deepest = Min(touched[i].deepest, level - 1);
		}
		pt_append_locks_sub_commit(level);
		pt_pending_sub_commit(level);
		pt_offsets_sub_commit(level);
		pt_trims_sub_commit(level);
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (ntouched > 0 && touched[ntouched - 1].level >= level)
			ntouched--;
		for (int i = ntouched - 1; i >= 0; i--)
		{
			touched[i].dirty |= touched[i].deepest >= level;
			touched[i].deepest = Min(touched[i].deepest, level - 1);
		}
		pt_append_locks_sub_abort(level);
		pt_pending_sub_abort(level);
		pt_offsets_sub_abort(level);
		pt_trims_sub_abort(level);
	}
}

/* See hooks.h. */
void
pt_prepared_resolved(void)
{
	pt_state_resolve_all();
	pt_commit_request(GetXLogWriteRecPtr());
}
