/*-------------------------------------------------------------------------
 *
 * tails.c
 *	  The logs that a transaction has appended to; early release of their
 *	  locks.
 *
 * COMMIT tells the logs that their tail is committed now.  ABORT only forgets:
 * the next append finds the tail of an aborted transaction and settles it.
 *
 * Early release.  Holding the append lock through the flush would limit a hot
 * partition to one transaction per flush.  So a transaction that wrote nothing
 * but topics commits asynchronously, releases its append locks as soon as its
 * commit record is in WAL, and flushes (and waits for synchronous standbys)
 * before it returns to the client.  That is safe because no reader is shown
 * what is not durable: Kafka consumers stop at the durable end, SQL readers
 * flush when they meet a commit that is not (pt_frame_visible).  A transaction
 * that also wrote tables holds the locks to its end, as the readers of tables
 * do not wait for anything.
 *
 * WAL tells whether anything else was written: there is no xid, and so no
 * write, when the first append begins, and no WAL of this transaction between
 * two appends or between the last one and the commit.
 *
 * Siblings: xact.c (calls at the ends of transactions), lock.c (the locks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"

#include "log/watch.h"
#include "xact/commit.h"
#include "xact/internal.h"
#include "stop_point.h"

typedef struct TouchedLog
{
	PtLevelItem held;			/* by the level of the first append that
								 * counts */
	PtLogState *state;
	Oid			relid;
	int			deepest;		/* level of the last appends that are not
								 * resolved */
	bool		dirty;			/* the tail has appends of an aborted
								 * subtransaction */
} TouchedLog;

static PtLevelStack touched = PT_LEVEL_STACK(TouchedLog);

static bool only_topics;		/* nothing but topics was written so far */
static XLogRecPtr own_wal_end;	/* XactLastRecEnd after our last append */
static int	saved_synchronous_commit = -1;	/* while an early release is under
											 * way */

static void touch_log(PtLogState *state, Oid relid);
static void settle_tails(bool two_phase);
static void after_commit(void);
static void sub_commit(int level);
static void sub_abort(int level);
static void forget(void);

const PtXactKind pt_xact_tails = {
	.name = "logs appended to",
	.stack = &touched,
	.prepare = settle_tails,
	.committed = after_commit,
	.sub_commit = sub_commit,
	.sub_abort = sub_abort,
	.forget = forget,
};

/*
 * To be called before the transaction writes anything for an append: remembers
 * the log, so that an append that fails midway in a subtransaction is known,
 * too.
 */
void
pt_tails_before_append(PtLogState *state, Oid relid)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		only_topics = true;
	else
		only_topics = only_topics && XactLastRecEnd == own_wal_end;
	touch_log(state, relid);
}

/* To be called when an append and what it causes are written. */
void
pt_tails_after_append(void)
{
	Assert(TransactionIdIsValid(GetTopTransactionIdIfAny()) && touched.n > 0);
	own_wal_end = XactLastRecEnd;
}

static void
touch_log(PtLogState *state, Oid relid)
{
	int			level = GetCurrentTransactionNestLevel();
	TouchedLog *log;

	for (int i = touched.n - 1; i >= 0; i--)
	{
		log = pt_levels_at(&touched, i);
		Assert(log->held.level <= level && log->held.level <= log->deepest);
		if (log->state == state)
		{
			Assert(log->relid == relid);
			log->deepest = Max(log->deepest, level);
			return;
		}
	}
	log = pt_levels_push(&touched);
	log->state = state;
	log->relid = relid;
	log->deepest = level;
}

/*
 * Before the commit, while errors still abort: where a subtransaction that
 * aborted has left its appends at the tail, finds out which offset follows
 * ours.
 */
static void
settle_tails(bool two_phase)
{
	for (int i = 0; i < touched.n; i++)
	{
		TouchedLog *log = pt_levels_at(&touched, i);
		Relation	rel;

		if (!log->dirty)
			continue;
		rel = try_relation_open(log->relid, RowExclusiveLock);
		if (rel == NULL)
			continue;			/* dropped in this transaction */
		if (RelFileLocatorEquals(pt_rel_locator(rel), log->state->locator))
			pt_append_repair(rel, log->state);
		relation_close(rel, NoLock);
		log->dirty = false;
	}
}

/*
 * The last step before the commit: makes it an asynchronous one when the
 * append locks may be released before the flush.  Not under remote_apply,
 * which promises that standbys show the commit, in order.
 */
void
pt_tails_choose_release(void)
{
	Assert(saved_synchronous_commit < 0);
	if (touched.n == 0 || !only_topics || XactLastRecEnd != own_wal_end)
		return;
	if (synchronous_commit <= SYNCHRONOUS_COMMIT_OFF || synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_APPLY)
		return;
	Assert(GetCurrentTransactionNestLevel() == 1);
	saved_synchronous_commit = synchronous_commit;
	synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
}

/*
 * The commit record is in WAL (and flushed, if the commit is synchronous),
 * other backends see us as committed.  Nothing here may throw.
 */
static void
after_commit(void)
{
	XLogRecPtr	lsn = XactLastCommitEnd;
	XLogRecPtr	safe;
	bool		awaited = false;

	if (touched.n == 0)
		return;
	Assert(!XLogRecPtrIsInvalid(lsn) && ((TouchedLog *) pt_levels_at(&touched, 0))->held.level == 1);
	PT_STOP_POINT("commit.recorded");
	for (int i = 0; i < touched.n; i++)
		pt_state_committed(((TouchedLog *) pt_levels_at(&touched, i))->state, lsn);
	if (saved_synchronous_commit >= 0)
	{
		Assert(synchronous_commit == SYNCHRONOUS_COMMIT_OFF);
		pt_append_locks_release();
		synchronous_commit = saved_synchronous_commit;
		PT_STOP_POINT("commit.released");
		XLogFlush(lsn);
		SyncRepWaitForLSN(lsn, true);
		PT_STOP_POINT("commit.flushed");
	}
	if (synchronous_commit <= SYNCHRONOUS_COMMIT_OFF)
	{
		pt_commit_request(lsn);
		return;
	}
	safe = pt_commit_safe(lsn);
	for (int i = 0; i < touched.n; i++)
	{
		PtLogState *state = ((TouchedLog *) pt_levels_at(&touched, i))->state;

		pt_state_advance(state, safe);
		if (pt_watch_awaited(&state->locator))
			awaited = true;
	}
	/* the committer wakes the listener's fetches, and follows standbys */
	if (awaited || safe < lsn)
		pt_commit_request(lsn);
}

static void
sub_commit(int level)
{
	Assert(saved_synchronous_commit < 0);
	for (int i = touched.n - 1; i >= 0; i--)
	{
		TouchedLog *log = pt_levels_at(&touched, i);

		log->deepest = Min(log->deepest, level - 1);
	}
}

/* Called with the logs that the subtransaction was first to touch cut off. */
static void
sub_abort(int level)
{
	Assert(saved_synchronous_commit < 0);
	for (int i = touched.n - 1; i >= 0; i--)
	{
		TouchedLog *log = pt_levels_at(&touched, i);

		log->dirty |= log->deepest >= level;
		log->deepest = Min(log->deepest, level - 1);
	}
}

/* An abort may come between pt_tails_choose_release and the commit. */
static void
forget(void)
{
	if (saved_synchronous_commit >= 0)
		synchronous_commit = saved_synchronous_commit;
	saved_synchronous_commit = -1;
	only_topics = false;
	own_wal_end = InvalidXLogRecPtr;
}

/*
 * COMMIT PREPARED or ROLLBACK PREPARED of any transaction has been done, and
 * is durable: moves the ends of the logs that it had appended to.  Clog says
 * of its commit only that it is not behind a certain LSN, where another may be
 * under way: then this waits as that one does.
 */
void
pt_prepared_resolved(void)
{
	XLogRecPtr	lsn;

	PT_STOP_POINT("prepared.decided");
	pt_state_resolve_all();
	lsn = pt_state_waiting_lsn();
	if (synchronous_commit > SYNCHRONOUS_COMMIT_OFF && !XLogRecPtrIsInvalid(lsn))
	{
		XLogFlush(lsn);
		HOLD_INTERRUPTS();
		SyncRepWaitForLSN(lsn, true);
		RESUME_INTERRUPTS();
	}
	pt_state_advance_all(pt_commit_safe(GetFlushRecPtr(NULL)));
	pt_commit_request(GetXLogWriteRecPtr());
}
