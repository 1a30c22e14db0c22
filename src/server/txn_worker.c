/*-------------------------------------------------------------------------
 *
 * txn_worker.c
 *	  A transaction worker: the process that commits Kafka transactions.
 *
 * One at a time: what is staged, the offsets of groups, and the record of the
 * transactional id, in one transaction (../produce/together.c).  It may wait
 * for locks and run what users have put on their tables; it serves nobody
 * else, so that it may take its time, and can be cancelled and terminated like
 * a session.
 *
 * Siblings: executor.c (the model); ../stage/txn_jobs.c (where commits come
 * from).
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
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "groups/groups.h"
#include "guc.h"
#include "produce/produce.h"
#include "record/crc32c.h"
#include "server/server.h"
#include "stage/stage.h"
#include "stage/txn_jobs.h"
#include "worker.h"

/* What a commit may take beyond pgtopic.executor_timeout, per megabyte. */
#define MS_PER_MB	1000

static int	number;				/* of this worker */

/* The records that the offsets of a group become. */
static void
add_group(const PtStagedGroup *group, PtProduce **items, int *n)
{
	PtCommittedOffset *offsets = palloc0(Max(group->n, 1) * sizeof(PtCommittedOffset));
	PtProduce  *more;
	int			nmore;

	for (int i = 0; i < group->n; i++)
	{
		const PtStagedOffset *staged = &group->offsets[i];

		offsets[i].topic = staged->topic;
		offsets[i].topic_id = staged->topic_id;
		offsets[i].partition = staged->partition;
		offsets[i].leader_epoch = staged->leader_epoch;
		offsets[i].offset = staged->offset;
		offsets[i].commit_time = -1;
		offsets[i].metadata = staged->metadata.len >= 0 ? staged->metadata : PT_STRING_EMPTY;
	}
	more = pt_offsets_commit(group->group_id, offsets, group->n, &nmore);
	*items = repalloc(*items, (*n + nmore + 1) * sizeof(PtProduce));
	memcpy(*items + *n, more, nmore * sizeof(PtProduce));
	*n += nmore;
}

/*
 * Makes the records for internal topics, in "mcxt"; *size is what is staged,
 * in bytes.  In a transaction of its own, as __consumer_offsets may have to be
 * made.
 */
static void
make_records(const PtTxnCommit *commit, MemoryContext mcxt, PtProduce **items, int *n, int64 *size)
{
	PtStaged   *staged;
	PtStagedGroup *groups;
	PtStageStats stats;
	int			ngroups;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(mcxt);
	*items = palloc(sizeof(PtProduce));
	*n = 0;
	(void) pt_stage_stats(commit->producer_id, &stats);
	*size = stats.memory_bytes + stats.disk_bytes;
	staged = pt_staged_open(commit->producer_id, commit->serial);
	groups = pt_staged_groups(staged, &ngroups);
	for (int i = 0; i < ngroups; i++)
	{
		if (groups[i].n > 0)
			add_group(&groups[i], items, n);
	}
	pt_staged_close(staged);
	pt_produce_record(&(*items)[(*n)++], commit->leaf, commit->key, commit->value);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(mcxt);
}

/* The same, until the deadline; an ERROR is its result. */
static PtTogether
try_records(const PtTxnCommit *commit, MemoryContext mcxt, TimestampTz deadline,
			PtProduce **items, int *n, int64 *size, char message[128])
{
	volatile PtTogether result = PT_TOGETHER_DONE;

	message[0] = '\0';
	pt_deadline_begin(deadline);
	PG_TRY();
	{
		make_records(commit, mcxt, items, n, size);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mcxt);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(mcxt);
		result = pt_together_failed(edata, message);
	}
	PG_END_TRY();
	pt_deadline_end();
	return result;
}

static TxnError
error_of(PtTogether result)
{
	switch (result)
	{
		case PT_TOGETHER_DONE:
			return TXN_NONE;
		case PT_TOGETHER_AGAIN:
			return TXN_COORDINATOR_NOT_AVAILABLE;
		case PT_TOGETHER_NEVER:
			break;
	}
	return TXN_TRANSACTION_ABORTABLE;
}

/* Commits the transaction that is next; false: there is none. */
static bool
run_job(MemoryContext mcxt)
{
	PtTxnCommit commit;
	PtProduce  *items;
	int			n;
	int64		size;
	char		message[128];
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	TimestampTz deadline;
	PtTogether	result;
	bool		slow;

	if (!pt_txn_job_take(number, &commit))
		return false;
	pgstat_report_activity(STATE_RUNNING, "committing a Kafka transaction");
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pt_executor_timeout_ms);
	result = try_records(&commit, mcxt, deadline, &items, &n, &size, message);
	if (result == PT_TOGETHER_DONE)
	{
		deadline = TimestampTzPlusMilliseconds(deadline, size / (1024 * 1024) * MS_PER_MB);
		result = pt_produce_together(commit.producer_id, commit.serial, items, n, deadline, &lsn, message);
	}
	slow = result == PT_TOGETHER_AGAIN && GetCurrentTimestamp() >= deadline;
	pt_txn_job_finish(number, error_of(result), slow, lsn, message);
	LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(mcxt);
	MemoryContextReset(mcxt);
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) pgstat_report_stat(false);
	return true;
}

/*
 * Whoever waits for the commit learns of it when its locks are free and
 * nothing can be committed any more.
 */
static void
worker_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	AbortOutOfAnyTransaction();
	pt_txn_jobs_detach(number);
}

void
pt_txn_worker_main(Datum arg)
{
	MemoryContext mcxt;
	uint32		idle;

	number = DatumGetInt32(arg);
	pt_worker_start(pt_database);
	pqsignal(SIGINT, StatementCancelHandler);
	XLogEnsureRecordSpace(32, 64);
	pt_crc32c_for_server();
	pt_stage_attach();
	idle = pt_wait_event_new("PgtopicTransactionMain");
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic transaction worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mcxt);
	before_shmem_exit(worker_exit, (Datum) 0);
	pt_txn_jobs_attach(number, MyLatch);
	pgstat_report_appname(psprintf("pgtopic transaction worker %d", number));
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
