/*-------------------------------------------------------------------------
 *
 * commit.c
 *	  The numbers that pass between those who append and the committer.
 *
 * Whoever commits without flushing asks here for its commit record to be made
 * durable; the committer process (../server/committer.c) flushes for all who
 * asked meanwhile at once, and publishes how far it got.  All of it is
 * counters that only grow, so no lock is needed.
 *
 * Siblings: tails.c and ../produce/produce.c (who ask).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/atomics.h"
#include "replication/syncrep.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "log/watch.h"
#include "xact/commit.h"
#include "xact/xact.h"

typedef struct PtCommitShared
{
	pg_atomic_uint64 requests;
	pg_atomic_uint64 gone;
	pg_atomic_uint64 requested;
	pg_atomic_uint64 flushed;
	pg_atomic_uint64 replicated;	/* never ahead of flushed */
	pg_atomic_uint32 wait_mode; /* see pt_commit_safe */
	Latch	   *volatile latch; /* of the committer, NULL: not running */
} PtCommitShared;

/* As long as no committer has run. */
#define WAIT_MODE_UNKNOWN	((uint32) SYNC_REP_WAIT_APPLY + 1)

static PtCommitShared *shared;

static void raise_to(pg_atomic_uint64 *value, uint64 to);

Size
pt_commit_shmem_size(void)
{
	return MAXALIGN(sizeof(PtCommitShared));
}

/* Called with AddinShmemInitLock held. */
void
pt_commit_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic commit", sizeof(PtCommitShared), &found);
	if (found)
		return;
	pg_atomic_init_u64(&shared->requests, 0);
	pg_atomic_init_u64(&shared->gone, 0);
	pg_atomic_init_u64(&shared->requested, 0);
	pg_atomic_init_u64(&shared->flushed, 0);
	pg_atomic_init_u64(&shared->replicated, 0);
	pg_atomic_init_u32(&shared->wait_mode, WAIT_MODE_UNKNOWN);
	shared->latch = NULL;
}

/* The committer says which latch requests shall set; NULL when it ends. */
void
pt_commit_attach(Latch *latch)
{
	shared->latch = latch;
}

static void
raise_to(pg_atomic_uint64 *value, uint64 to)
{
	uint64		now = pg_atomic_read_u64(value);

	while (now < to && !pg_atomic_compare_exchange_u64(value, &now, to))
		;
}

/*
 * Asks for WAL up to lsn to be made durable soon.  May be called anywhere,
 * also after a commit: it does not throw and takes no lock.  When the
 * committer is not there yet, it finds the request when it starts.
 */
void
pt_commit_request(XLogRecPtr lsn)
{
	Latch	   *latch;

	raise_to(&shared->requested, lsn);
	pg_atomic_fetch_add_u64(&shared->requests, 1);	/* a full barrier, too */
	latch = shared->latch;
	if (latch != NULL)
		SetLatch(latch);
}

/* Logs were dropped by a transaction that has committed: all waiters look. */
void
pt_commit_gone(XLogRecPtr lsn)
{
	pg_atomic_fetch_add_u64(&shared->gone, 1);
	pt_watch_all_moved();
	pt_commit_request(lsn);
}

/* How often logs were dropped. */
uint64
pt_commit_gone_count(void)
{
	return pg_atomic_read_u64(&shared->gone);
}

/* The largest LSN asked for so far. */
XLogRecPtr
pt_commit_requested(void)
{
	return pg_atomic_read_u64(&shared->requested);
}

/*
 * Goes up with every request, also one for WAL that is durable already: then
 * the log has moved without the committer.
 */
uint64
pt_commit_requests(void)
{
	return pg_atomic_read_u64(&shared->requests);
}

/* WAL is flushed up to here; never goes back. */
XLogRecPtr
pt_commit_flushed(void)
{
	return pg_atomic_read_u64(&shared->flushed);
}

/*
 * By the committer: what the server's settings want a commit to wait for on
 * synchronous standbys, SYNC_REP_WAIT_xxx or SYNC_REP_NO_WAIT.
 */
void
pt_commit_set_wait_mode(int wait_mode)
{
	Assert(wait_mode >= SYNC_REP_NO_WAIT && wait_mode <= SYNC_REP_WAIT_APPLY);
	pg_atomic_write_u32(&shared->wait_mode, (uint32) wait_mode);
}

/* Has the committer said so since the server's start? */
bool
pt_commit_wait_mode_known(void)
{
	return pg_atomic_read_u32(&shared->wait_mode) != WAIT_MODE_UNKNOWN;
}

/*
 * How much of the WAL up to lsn, which is flushed here, is as safe on standbys
 * as the server's settings demand.  Consumers are shown no more than that,
 * whatever a session wants its own commit to wait for.  Does not throw.
 */
XLogRecPtr
pt_commit_safe(XLogRecPtr lsn)
{
	uint32		wait_mode = pg_atomic_read_u32(&shared->wait_mode);
	XLogRecPtr	replicated;

	if (wait_mode == WAIT_MODE_UNKNOWN)
		return InvalidXLogRecPtr;	/* the committer finds out when it starts */
	if ((int) wait_mode == SYNC_REP_NO_WAIT)
		return lsn;
	LWLockAcquire(SyncRepLock, LW_SHARED);
	replicated = WalSndCtl->lsn[wait_mode];
	LWLockRelease(SyncRepLock);
	return Min(replicated, lsn);
}

/* And is safe on synchronous standbys up to here. */
XLogRecPtr
pt_commit_replicated(void)
{
	return pg_atomic_read_u64(&shared->replicated);
}

/* By the committer: how far WAL is flushed and replicated. */
void
pt_commit_publish(XLogRecPtr flushed, XLogRecPtr replicated)
{
	raise_to(&shared->flushed, flushed);
	raise_to(&shared->replicated, Min(replicated, flushed));
}
