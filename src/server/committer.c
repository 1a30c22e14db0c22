/*-------------------------------------------------------------------------
 *
 * committer.c
 *	  The process that makes asynchronous commits durable.
 *
 * Listeners commit without flushing and ask for the WAL up to their commit
 * record (pt_commit_request).  While the committer flushes for one group the
 * next ones gather, so that there is one flush for all of them: group commit.
 * After each flush it moves the durable ends of the logs, and wakes the
 * listeners, whose answers and waiting fetches depend on them.
 *
 * A listener that has a single small request in work and nothing else to do
 * flushes itself when that is quick (turn.c): two changes of the process less.
 *
 * Synchronous standbys are not waited for in the usual way (SyncRepWaitForLSN
 * blocks, and acks=1 need not wait for them): the walsenders publish how far
 * the standbys are, and we look there every few milliseconds as long as
 * somebody waits.  What consumers are shown never runs ahead of that.
 *
 * Siblings: ../xact/commit.c (the numbers), listener.c (who waits).
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
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "xact/commit.h"
#include "xact/xact.h"
#include "net/loop.h"
#include "server/server.h"
#include "server/shared.h"
#include "log/log.h"
#include "io/writeback.h"
#include "stop_point.h"
#include "worker.h"

/*
 * ms between two looks at the standbys: doubles up to the maximum while they
 * stand still
 */
#define PT_STANDBY_POLL_MIN	1
#define PT_STANDBY_POLL_MAX	32

static int	replication_wait_mode(void);
static bool committer_turn(bool *moved);
static void committer_exit(int code, Datum arg);

/*
 * What a commit waits for on synchronous standbys: SYNC_REP_WAIT_xxx, or
 * SYNC_REP_NO_WAIT.  The settings are the server's, not those of a session.
 */
static int
replication_wait_mode(void)
{
	if (!SyncRepRequested() || SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		return SYNC_REP_NO_WAIT;
	switch (synchronous_commit)
	{
		case SYNCHRONOUS_COMMIT_REMOTE_WRITE:
			return SYNC_REP_WAIT_WRITE;
		case SYNCHRONOUS_COMMIT_REMOTE_FLUSH:
			return SYNC_REP_WAIT_FLUSH;
		case SYNCHRONOUS_COMMIT_REMOTE_APPLY:
			return SYNC_REP_WAIT_APPLY;
		default:
			return SYNC_REP_NO_WAIT;
	}
}

/*
 * Flushes what was asked for and tells everybody.  true: somebody still waits,
 * for standbys.  *moved: there was something to tell.
 */
static bool
committer_turn(bool *moved)
{
	static uint64 seen_requests = 0;
	static XLogRecPtr seen_replicated = InvalidXLogRecPtr;
	uint64		requests = pt_commit_requests();
	XLogRecPtr	requested = pt_commit_requested();
	XLogRecPtr	flushed = pt_commit_flushed();
	XLogRecPtr	replicated;

	*moved = false;
	if (requests == seen_requests && requested <= pt_commit_replicated())
		return false;
	if (requested > flushed)
	{
		int64		started = net_now();

		pgstat_report_activity(STATE_RUNNING, "flushing WAL");
		XLogFlush(requested);
		pgstat_report_activity(STATE_IDLE, NULL);
		flushed = GetFlushRecPtr(NULL);
		Assert(flushed >= requested);
		pt_server_flush_took(net_now() - started);
	}
	PT_STOP_POINT("committer.flushed");
	replicated = pt_commit_safe(flushed);
	if (requests == seen_requests && replicated == seen_replicated)
		return requested > replicated;

	/*
	 * The ends move before the LSNs are published: a client that has its
	 * answer finds its record.
	 */
	pt_state_advance_all(replicated);
	Assert(replicated <= flushed && flushed >= pt_commit_flushed());
	pt_commit_publish(flushed, replicated);
	*moved = true;
	seen_requests = requests;
	seen_replicated = replicated;
	pt_server_wake(PT_SLEEPS_FOR_WAL | PT_SLEEPS_FOR_LOGS);
	if (pt_logwriter_count() > 0)
		pt_logwriter_wake();
	return requested > replicated;
}

static void
committer_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	pt_commit_attach(NULL);
}

void
pt_committer_main(Datum arg)
{
	uint32		idle;
	uint32		standbys;
	long		poll_ms = PT_STANDBY_POLL_MIN;

	pt_worker_start(NULL);
	idle = pt_wait_event_new("PgtopicCommitterMain");
	standbys = pt_wait_event_new("PgtopicCommitterStandbys");
	before_shmem_exit(committer_exit, (Datum) 0);
	pt_commit_attach(MyLatch);
	pt_commit_set_wait_mode(replication_wait_mode());
	pgstat_report_appname("pgtopic committer");

	for (;;)
	{
		bool		waiting;
		bool		moved;

		/* before looking, so that a request made while we look wakes us */
		ResetLatch(MyLatch);
		(void) pt_worker_interrupts();
		pt_commit_set_wait_mode(replication_wait_mode());
		waiting = committer_turn(&moved);
		poll_ms = moved ? PT_STANDBY_POLL_MIN : Min(poll_ms * 2, PT_STANDBY_POLL_MAX);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (waiting ? WL_TIMEOUT : 0),
						 waiting ? poll_ms : -1L, waiting ? standbys : idle);
	}
}
