/*-------------------------------------------------------------------------
 *
 * logwriter.c
 *	  The process that writes completed extents, in block order, ahead of
 *	  eviction and checkpoints.
 *
 * It takes an extent off the queue when its WAL is flushed, and has its pages
 * written.
 *
 * Siblings: ../io/writeback.c (the queue), ../io/extent_write.c (how
 * an extent is written), committer.c (who wakes us).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "io/writeback.h"
#include "log/log.h"
#include "server/server.h"
#include "server/shared.h"
#include "worker.h"

/*
 * The committer wakes us after its flushes; WAL that others flush is noticed
 * this late.
 */
#define PT_UNFLUSHED_POLL_MS	100

static void write_extent(const PtWriteback *extent);
static void logwriter_turn(MemoryContext mcxt);
static void logwriter_exit(int code, Datum arg);

/*
 * A transaction gives us a resource owner for the pins, closes the file at its
 * end (it may be dropped at any time), and cleans up after an error.
 */
static void
write_extent(const PtWriteback *extent)
{
	Assert(extent->lsn <= GetFlushRecPtr(NULL));
	Assert(!IsTransactionState());
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (pt_extent_write(extent))
		pt_state_written(&extent->locator, extent->extent);
	CommitTransactionCommand();
}

/*
 * An extent that cannot be written is not tried again: its pages stay dirty,
 * and the checkpointer meets the same error and has the means to deal with it.
 */
static void
logwriter_turn(MemoryContext mcxt)
{
	PtWriteback extent;

	while (pt_logwriter_pop(GetFlushRecPtr(NULL), &extent))
	{
		(void) pt_worker_interrupts();
		pgstat_report_activity(STATE_RUNNING, "writing a completed extent");
		PG_TRY();
		{
			write_extent(&extent);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(mcxt);
			EmitErrorReport();
			FlushErrorState();
			AbortCurrentTransaction();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(mcxt);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
}

static void
logwriter_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	pt_logwriter_attach(NULL);
}

void
pt_logwriter_main(Datum arg)
{
	uint32		idle;

	pt_worker_start(NULL);
	idle = pt_wait_event_new("PgtopicLogWriterMain");
	before_shmem_exit(logwriter_exit, (Datum) 0);
	pt_logwriter_attach(MyLatch);
	pgstat_report_appname("pgtopic log writer");

	for (;;)
	{
		bool		waiting;

		ResetLatch(MyLatch);
		(void) pt_worker_interrupts();
		logwriter_turn(TopMemoryContext);
		(void) pgstat_report_stat(false);
		waiting = pt_logwriter_count() > 0;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (waiting ? WL_TIMEOUT : 0),
						 waiting ? PT_UNFLUSHED_POLL_MS : -1L, idle);
	}
}
