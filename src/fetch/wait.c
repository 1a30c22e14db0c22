/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Sleeping until a log has more than it had.
 *
 * A session sleeps by its latch, which is set when one of its logs moves, and
 * when logs come or go (../log/watch.c).
 *
 * Siblings: read.c, consume.c; ../log/state.c moves logs.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/inval.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "fetch/fetch.h"
#include "log/watch.h"
#include "topic/topic.h"
#include "xact/xact.h"

/*
 * Looks at a log as it is now: of its entry, where that is in the place that
 * the view remembers, else of the file (on a standby, always).  false when
 * there is no such table any more.
 */
static bool
look_at_log(Oid relid, PtLogView *view)
{
	Relation	rel;

	if (view->live != NULL && pt_view_of(view, view->live, &view->locator))
		return true;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	pt_log_view(rel, view);
	relation_close(rel, AccessShareLock);
	return true;
}

/*
 * Is there a reason to read again?  Committed is enough: whoever reads makes
 * it durable first if need be.
 */
static bool
any_moved(const Oid *relids, PtLogView *logs, const int64 *offsets, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (!look_at_log(relids[i], &logs[i]) || logs[i].committed.offset > offsets[i])
			return true;
	}
	return false;
}

/* An error that ends the transaction has ended the wait. */
const PtXactKind pt_xact_log_waits = {
	.name = "waiting for logs",
	.forget = pt_watch_session_end,
};

/* Asks to be told when one of the logs moves. */
static void
begin_watching(const PtLogView *logs, int n)
{
	RelFileLocator *locators = palloc(n * sizeof(RelFileLocator));

	for (int i = 0; i < n; i++)
		locators[i] = logs[i].locator;
	pt_watch_session_begin(locators, n);
	pfree(locators);
	AcceptInvalidationMessages();	/* of what came before */
}

static void
sleep_ms(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * How long to sleep at most before looking again though nobody says so: replay
 * does not.
 */
#define RECOVERY_POLL_MS	100

/*
 * Waits until a log moves beyond its offset, tables have changed since
 * pt_topic_changes() was "changes" (a log may have gone, or have got another
 * file), or the deadline; outside of a snapshot, and with no lock on the
 * tables.  Can be cancelled at once.  false at the deadline, and when *stop is
 * set (unless stop is NULL), for which the latch is set, too.
 */
bool
pt_wait_for_logs(const Oid *relids, const int64 *offsets, int n, uint64 changes, TimestampTz deadline,
				 const volatile bool *stop)
{
	PtLogView  *logs = palloc0_array(PtLogView, Max(n, 1));
	bool		moved = any_moved(relids, logs, offsets, n);

	Assert(n >= 0);
	Assert(InterruptHoldoffCount == 0); /* it can be cancelled */
	if (!moved)
		begin_watching(logs, n);
	while (!moved && !(moved = any_moved(relids, logs, offsets, n) || pt_topic_changes() != changes))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0 || (stop != NULL && *stop))
			break;
		left = Min(left, INT_MAX);	/* a sleep's limit; after a month we look
									 * again */
		sleep_ms(RecoveryInProgress() ? Min(left, RECOVERY_POLL_MS) : left);
		pt_watch_session_renew();
		AcceptInvalidationMessages();
	}
	pt_watch_session_end();
	pfree(logs);
	return moved;
}
