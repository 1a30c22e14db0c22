/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Sleeping until a log has more than it had.
 *
 * A process can sleep on one condition variable at a time, so those who wait
 * for several logs sleep on the one that is broadcast whenever any log moves,
 * and look for themselves.
 *
 * Siblings: read.c, consume.c; ../log/state.c broadcasts.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "utils/inval.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "fetch/fetch.h"
#include "topic/topic.h"

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

/*
 * How long to sleep at most before looking again though nobody broadcasts:
 * replay does not.
 */
#define RECOVERY_POLL_MS	100

/*
 * Waits until a log moves beyond its offset, tables have changed since
 * pt_topic_changes() was "changes" (a log may have gone, or have got another
 * file), or the deadline; outside of a snapshot, and with no lock on the
 * tables.  Can be cancelled at once.  false at the deadline.
 */
bool
pt_wait_for_logs(const Oid *relids, const int64 *offsets, int n, uint64 changes, TimestampTz deadline)
{
	ConditionVariable *cv = pt_state_any_cv();
	PtLogView  *logs = palloc0_array(PtLogView, Max(n, 1));
	bool		moved;

	Assert(n >= 0);
	Assert(InterruptHoldoffCount == 0); /* it can be cancelled */
	ConditionVariablePrepareToSleep(cv);
	while (!(moved = any_moved(relids, logs, offsets, n) || pt_topic_changes() != changes))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
			break;
		left = Min(left, INT_MAX);	/* a sleep's limit; after a month we look
									 * again */
		if (RecoveryInProgress())
			left = Min(left, RECOVERY_POLL_MS);
		(void) ConditionVariableTimedSleep(cv, left, PG_WAIT_EXTENSION);
		AcceptInvalidationMessages();
	}
	ConditionVariableCancelSleep();
	pfree(logs);
	return moved;
}
