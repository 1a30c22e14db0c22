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

/* Committed is enough: whoever reads makes it durable first if need be. */
static bool
any_moved(PtLogState **logs, const int64 *offsets, int n)
{
	for (int i = 0; i < n; i++)
	{
		PtLogState *log = logs[i];
		int64		end;

		SpinLockAcquire(&log->mutex);
		end = log->committed.offset;
		SpinLockRelease(&log->mutex);
		if (end > offsets[i])
			return true;
	}
	return false;
}

/*
 * On a standby, where states move with replay, each look reads the state anew.
 */
static void
find_logs(const Oid *relids, PtLogState **logs, int n)
{
	for (int i = 0; i < n; i++)
	{
		Relation	rel = relation_open(relids[i], AccessShareLock);

		logs[i] = pt_state_get(rel);
		relation_close(rel, NoLock);
	}
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
	PtLogState **logs = palloc(Max(n, 1) * sizeof(PtLogState *));
	bool		moved;

	Assert(n >= 0);
	Assert(InterruptHoldoffCount == 0); /* it can be cancelled */
	find_logs(relids, logs, n);
	ConditionVariablePrepareToSleep(cv);
	while (!(moved = any_moved(logs, offsets, n)))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
			break;
		left = Min(left, INT_MAX);	/* a sleep's limit; after a month we look
									 * again */
		if (RecoveryInProgress())
		{
			left = Min(left, RECOVERY_POLL_MS);
			find_logs(relids, logs, n);
		}
		(void) ConditionVariableTimedSleep(cv, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	pfree(logs);
	return moved;
}
