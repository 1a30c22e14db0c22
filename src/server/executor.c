/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  An executor: the process that runs what users have put on their topics.
 *
 * Triggers, constraints, foreign keys and expressions of indexes can wait for
 * locks, sleep, or run in circles.  So batches for such tables are appended
 * here, one after the other, each in a transaction of its own and until a
 * deadline.  A backend that runs code of users is what it is for a session,
 * too: it can be seen in pg_stat_activity, cancelled, and terminated, and
 * nothing that the code has done to the process is there for the next batch.
 *
 * Siblings: jobs.c (where batches come from), append.c (who posts them);
 * ../produce/executor.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "record/crc32c.h"
#include "server/jobs.h"
#include "server/server.h"
#include "server/shared.h"
#include "worker.h"

static int	number;				/* of this executor */

static bool run_job(MemoryContext mcxt);
static void executor_exit(int code, Datum arg);

/*
 * Appends the batch that is next; false: there is none.  Locks that the code
 * has taken for the session go with the batch.
 */
static bool
run_job(MemoryContext mcxt)
{
	PtProduce	item;
	TimestampTz deadline;
	TimestampTz latest;
	XLogRecPtr	lsn;

	if (!pt_job_take(number, &item, &deadline))
		return false;
	pgstat_report_activity(STATE_RUNNING, "appending a record batch");
	latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pt_executor_timeout_ms);
	pt_produce_execute(&item, Min(deadline, latest), &lsn);
	LockReleaseSession(USER_LOCKMETHOD);
	pt_job_finish(number, &item, lsn);
	MemoryContextSwitchTo(mcxt);
	MemoryContextReset(mcxt);
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) pgstat_report_stat(false);
	return true;
}

/*
 * Whoever waits for the batch learns of it when its locks are free and nothing
 * can be committed any more.
 */
static void
executor_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	AbortOutOfAnyTransaction();
	pt_jobs_detach(number);
}

void
pt_executor_main(Datum arg)
{
	MemoryContext mcxt;
	uint32		idle;

	number = DatumGetInt32(arg);
	pt_worker_start(pt_database);
	pqsignal(SIGINT, StatementCancelHandler);
	XLogEnsureRecordSpace(32, 64);
	pt_crc32c_for_server();
	idle = pt_wait_event_new("PgtopicExecutorMain");
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic executor", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mcxt);
	before_shmem_exit(executor_exit, (Datum) 0);
	pt_jobs_attach(number, MyLatch);
	pgstat_report_appname(psprintf("pgtopic executor %d", number));
	pgstat_report_activity(STATE_IDLE, NULL);

	for (;;)
	{
		ResetLatch(MyLatch);
		do
		{
			Assert(!IsTransactionState());
			QueryCancelPending = false; /* of what has ended */
			(void) pt_worker_interrupts();
		} while (run_job(mcxt));
		(void) pgstat_report_stat(false);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1L, idle);
	}
}
