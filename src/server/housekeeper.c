/*-------------------------------------------------------------------------
 *
 * housekeeper.c
 *	  The process that removes what is too old: records by their topics'
 *	  retention, and committed offsets that nobody uses.  It also writes
 *	  snapshots of producers.
 *
 * It knows when the next partition is due (kept_logs.c) and sleeps until then,
 * but not longer than a second, because changes of topics are told by
 * invalidation messages, for which nobody wakes us.  What else makes a
 * partition due is told by notices (../log/notices.c).  A partition whose turn
 * it has been is due again when its oldest batch will be too old, after a
 * while at the earliest: batches that expire one after another go together.
 *
 * Partitions are done in batches: a transaction for all, a subtransaction for
 * each, one flush.  An error is that partition's: it is in the log once and
 * in the view "housekeeping", and the partition is tried again, more and more
 * rarely.  Nothing waits for a lock.
 *
 * Siblings: kept_logs.c, housekeeping.c (what the view shows);
 * ../xact/retain.c (one partition), ../groups/expire.c (committed offsets).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xloginsert.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "guard.h"
#include "guc.h"
#include "groups/groups.h"
#include "log/notices.h"
#include "record/crc32c.h"
#include "server/housekeeping.h"
#include "server/kept_logs.h"
#include "server/server.h"
#include "server/shared.h"
#include "server/snapshot_queue.h"
#include "topic/timestamp.h"
#include "xact/claims.h"
#include "xact/xact.h"
#include "worker.h"

/* Partitions that are looked at in one transaction, and that are flushed. */
#define LOOKS_MAX		256
#define FLUSHED_MAX		64

/* Changes of topics are noticed this late. */
#define SYNC_MS			1000

/*
 * A partition rests this long when its turn was: a part of its retention by
 * time, within bounds.  What has expired meanwhile goes together then.
 */
#define REST_PART		100
#define REST_MS_MIN		500
#define REST_MS_MAX		(60 * 1000)

/*
 * At least so often is a partition looked at whose records may go by itself,
 * whatever is known of it.
 */
#define LOOK_MS_MAX		(60 * 60 * 1000)

/* After a lock was not to be had; after an error: doubled each time. */
#define BUSY_MS			1000
#define BUSY_MS_MAX		(10 * 1000)
#define FAILED_MS		1000
#define FAILED_MS_MAX	(10 * 60 * 1000)

/* One partition's turn. */
typedef struct Turn
{
	PtKeptLog  *log;
	PtRetention rule;
	PtStatus	status;			/* of the attempt */
	PtRetained	retained;
} Turn;

static int64 next_sync;			/* ms since 1970 */

static bool look(Turn *turn, int64 now);
static bool guarded(Turn *turn, void (*job) (void *turn));
static void retain(void *arg);
static void free_space(void *arg);
static void note_failure(PtKeptLog *log, const ErrorData *edata);
static void plan_next(PtKeptLog *log, const PtExpired *found, int64 retention_ms, int64 now);
static void back_off(PtKeptLog *log, int64 first_ms, int64 most_ms, int64 now);
static void finish(Turn *turns, int n);
static void carry_out_retention(int64 now);
static void take_notices(int64 now);
static bool housekeeper_turn(MemoryContext mcxt);
static int64 wait_ms(void);
static void housekeeper_exit(int code, Datum arg);

/* A partition is due again when something new is too old. */
static void
plan_next(PtKeptLog *log, const PtExpired *found, int64 retention_ms, int64 now)
{
	int64		rest = Min(Max(retention_ms / REST_PART, REST_MS_MIN), REST_MS_MAX);
	int64		next = now + LOOK_MS_MAX;

	if (found->more)
		next = now;
	else if (found->oldest_ms < 0 && (!found->empty || found->moves))
	{
		/*
		 * What comes next may have a timestamp.  And a record that came
		 * before the new start was published was not the first of an empty
		 * log to those who gave notice.
		 */
		next = now + rest;
	}
	else if (found->oldest_ms >= 0 && retention_ms >= 0 && retention_ms < next - found->oldest_ms)
		next = Max(found->oldest_ms + retention_ms + 1, now + rest);
	pt_kept_log_due(log, next);
}

/* A partition that could not be done is tried again later. */
static void
back_off(PtKeptLog *log, int64 first_ms, int64 most_ms, int64 now)
{
	log->backoff_ms = Min(Max(log->backoff_ms * 2, first_ms), most_ms);
	pt_kept_log_due(log, now + log->backoff_ms);
}

/*
 * An error of one partition: into the server's log if it is not the same as
 * last time, and into the view.
 */
static void
note_failure(PtKeptLog *log, const ErrorData *edata)
{
	uint32		told = hash_bytes((const unsigned char *) edata->message, (int) strlen(edata->message));

	pt_housekeeping_failed(log->leaf, edata->message);
	if (told == log->told)
		return;
	log->told = told;
	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg("retention of \"%s\" could not be carried out: %s", get_rel_name(log->leaf), edata->message),
			 errdetail("It is tried again, and other partitions go on.")));
}

/*
 * Does something for one partition; an error undoes nothing of others.  false:
 * there was one.
 */
static bool
guarded(Turn *turn, void (*job) (void *turn))
{
	ErrorData  *edata = pt_guarded(job, turn);

	if (edata == NULL)
		return true;
	note_failure(turn->log, edata);
	FreeErrorData(edata);
	return false;
}

static void
retain(void *arg)
{
	Turn	   *turn = arg;

	turn->status = pt_retain(turn->log->leaf, &turn->rule, &turn->retained);
}

static void
free_space(void *arg)
{
	Turn	   *turn = arg;

	pt_log_free(&turn->retained.locator);
}

/*
 * One partition that is due.  true: it has a new start, which must be
 * published.
 */
static bool
look(Turn *turn, int64 now)
{
	PtKeptLog  *log = turn->log;
	int64		retention_ms;

	memset(&turn->retained, 0, sizeof(turn->retained));
	if (!pt_kept_log_rule(log, now, &turn->rule, &retention_ms))
		return false;			/* it has no hour */
	if (!guarded(turn, retain))
		back_off(log, FAILED_MS, FAILED_MS_MAX, now);
	else if (turn->status == PT_BUSY)
		back_off(log, BUSY_MS, BUSY_MS_MAX, now);
	else if (turn->status == PT_OK)
	{
		if (log->told != 0)
			pt_housekeeping_good(log->leaf);
		log->told = 0;
		log->backoff_ms = 0;
		if (turn->retained.found.held)
			pt_snapshots_add(log->leaf, now);
		plan_next(log, &turn->retained.found, retention_ms, now);
	}
	else
	{
		Assert(turn->status == PT_UNKNOWN_PARTITION);
		pt_kept_log_forget(log);
	}
	return !XLogRecPtrIsInvalid(turn->retained.lsn);
}

/*
 * The new starts become durable and are shown; then the space before them is
 * free, and what was removed is told.
 */
static void
finish(Turn *turns, int n)
{
	PtRetained	retained[FLUSHED_MAX];

	Assert(n <= FLUSHED_MAX);
	for (int i = 0; i < n; i++)
		retained[i] = turns[i].retained;
	pt_retained_publish(retained, n);
	for (int i = 0; i < n; i++)
	{
		const PtExpired *found = &retained[i].found;

		(void) guarded(&turns[i], free_space);
		if (!found->moves)
			continue;
		pt_housekeeping_removed(turns[i].log->leaf, found->start.offset - found->old.offset,
								found->start.pos - found->old.pos);
		elog(DEBUG1, "retention moved the start of \"%s\" from offset %lld to %lld",
			 get_rel_name(turns[i].log->leaf), (long long) found->old.offset, (long long) found->start.offset);
	}
}

/* Partitions that are due, as many as one transaction takes. */
static void
carry_out_retention(int64 now)
{
	Turn		turns[FLUSHED_MAX];
	int			n = 0;
	PtKeptLog  *log;

	for (int i = 0; i < LOOKS_MAX && n < FLUSHED_MAX && (log = pt_kept_logs_take(now)) != NULL; i++)
	{
		CHECK_FOR_INTERRUPTS();
		turns[n].log = log;
		if (look(&turns[n], now))
			n++;
	}
	finish(turns, n);
}

/* Partitions of which there is news are due. */
static void
take_notices(int64 now)
{
	PtNotice	notice;

	while (pt_notice_pop(&notice))
	{
		if (notice.kind == PT_NOTICE_PRODUCERS)
			pt_snapshots_add_file(&notice.locator, now);
		else
			pt_kept_logs_notice(&notice, now);
	}
	if (pt_notices_lost())
		pt_kept_logs_all_due(now);
}

/*
 * In how many ms there is something to do.  Topics are looked at every second.
 */
static int64
wait_ms(void)
{
	int64		now = pt_now_ms();
	int64		next = Min(Min(next_sync, pt_kept_logs_next()), pt_snapshots_next());

	return Min(Max(next - now, 0), pt_offsets_wait());
}

/*
 * What is due.  false: there was an error, which has been dealt with.
 */
static bool
housekeeper_turn(MemoryContext mcxt)
{
	volatile bool ok = true;
	int64		now = pt_now_ms();

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		pt_kept_logs_sync();
		next_sync = now + SYNC_MS;
		take_notices(now);
		if (pt_kept_logs_next() <= now)
		{
			pgstat_report_activity(STATE_RUNNING, "carrying out retention");
			carry_out_retention(now);
		}
		CommitTransactionCommand();
		while (pt_snapshots_write(now))
			CHECK_FOR_INTERRUPTS();
		if (pt_offsets_wait() == 0)
		{
			pgstat_report_activity(STATE_RUNNING, "removing committed offsets that are not used");
			StartTransactionCommand();
			pt_offsets_tick();
			CommitTransactionCommand();
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(mcxt);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		pt_claims_give_up();
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(mcxt);
	MemoryContextReset(mcxt);
	Assert(!IsTransactionState());
	return ok;
}

static void
housekeeper_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	pt_notices_attach(NULL);
}

/*
 * Notices are taken from here on; what was before is found by the first look
 * at all partitions.
 */
void
pt_housekeeper_main(Datum arg)
{
	MemoryContext mcxt;
	uint32		idle;

	pt_worker_start(pt_database);
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	XLogEnsureRecordSpace(32, 64);
	pt_crc32c_for_server();
	idle = pt_wait_event_new("PgtopicHousekeeperMain");
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic housekeeper", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mcxt);
	before_shmem_exit(housekeeper_exit, (Datum) 0);
	pt_notices_attach(MyLatch);
	pgstat_report_appname("pgtopic housekeeper");

	for (;;)
	{
		int64		timeout;

		ResetLatch(MyLatch);
		(void) pt_worker_interrupts();
		timeout = housekeeper_turn(mcxt) ? wait_ms() : SYNC_MS;
		(void) pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, NULL);
		if (timeout > 0)
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (long) timeout, idle);
	}
}
