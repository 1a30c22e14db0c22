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
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "fetch/fetch.h"

/*
 * Looks at a log as it is now: of its entry, where that is in the place that
 * the view remembers, else of the file (on a standby, always).
 */
static void
look_at_log(Oid relid, PtLogView *view)
{
	Relation	rel;

	if (view->live != NULL && pt_view_of(view, view->live, &view->locator))
		return;
	rel = relation_open(relid, AccessShareLock);
	pt_log_view(rel, view);
	relation_close(rel, NoLock);
}

/* Committed is enough: whoever reads makes it durable first if need be. */
static bool
any_moved(const Oid *relids, PtLogView *logs, const int64 *offsets, int n)
{
	for (int i = 0; i < n; i++)
	{
		look_at_log(relids[i], &logs[i]);
		if (logs[i].committed.offset > offsets[i])
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
 * Waits until a log moves beyond its offset or the deadline; outside of a
 * snapshot.  cancel-able at once.  false at the deadline.
 */
bool
pt_wait_for_logs(Oid *relids, const int64 *offsets, int n, TimestampTz deadline)
{
	ConditionVariable *cv = pt_state_any_cv();
	PtLogView  *logs = palloc0_array(PtLogView, Max(n, 1));
	bool		moved;

	Assert(n >= 0);
	Assert(InterruptHoldoffCount == 0); /* it can be cancelled */
	ConditionVariablePrepareToSleep(cv);
	while (!(moved = any_moved(relids, logs, offsets, n)))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
			break;
		left = Min(left, INT_MAX);	/* a sleep's limit; after a month we look
									 * again */
		if (RecoveryInProgress())
			left = Min(left, RECOVERY_POLL_MS);
		(void) ConditionVariableTimedSleep(cv, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	pfree(logs);
	return moved;
}
