/*-------------------------------------------------------------------------
 *
 * compact.c
 *	  Compaction of one partition, as the topic's configs say.
 *
 * Only what everybody can see may be compacted: an older record may go when
 * the newer one of its key is visible to all snapshots.  So the log is sealed
 * first, as far as snapshots allow, as VACUUM does it.
 *
 * Siblings: ../log/compact.c does the work; ../func/compact.c and
 * ../server/compactor.c ask for it.
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
#include "storage/procarray.h"
#include "utils/backend_progress.h"

#include "guc.h"
#include "stop_point.h"
#include "topic/timestamp.h"
#include "xact/commit.h"
#include "xact/compact.h"
#include "xact/xact.h"

/* How often, and how long (us), who insists tries to get the append lock. */
#define CLOSE_TRIES		50
#define CLOSE_SLEEP_US	2000

static bool lock_tail(Relation rel, int tries);

/*
 * Repairs the tail after a failed append, in case nobody appends for a long
 * time.  A frame that was cut short would hold back relfrozenxid, and the
 * fate of an xid has to be found out before the server forgets it.
 *
 * Does nothing if somebody else holds the append lock, who repairs the tail
 * himself, or if no shared entry is free; the next VACUUM tries again.
 */
void
pt_settle_tail(Relation rel)
{
	PtLogView	view;
	PtLogState *state;

	pt_log_view(rel, &view);
	if ((view.tail_cut == 0 && !TransactionIdIsValid(view.tail_xid)) ||
		!pt_append_lock_briefly(RelationGetRelid(rel)))
		return;
	state = pt_state_try(rel);
	if (state != NULL)
		pt_append_repair(rel, state);
	pt_append_unlock(RelationGetRelid(rel));
}

/*
 * Brings the tail of the log in order and seals what all snapshots see.  The
 * caller has ShareUpdateExclusiveLock, which keeps VACUUM and other
 * compactions away.
 */
void
pt_compaction_prepare(Relation rel)
{
	PtLogState *state;

	pt_settle_tail(rel);
	pt_log_free(&pt_rel_locator(rel));
	(void) pt_log_seal(rel, GetOldestNonRemovableTransactionId(rel));
	/* what is sealed is flushed, and the committer need not have come by */
	state = pt_state_try(rel);
	if (state != NULL)
		pt_state_advance(state, pt_commit_safe(GetFlushRecPtr(NULL)));
}

/* Takes the append lock, which mostly is held for moments. */
static bool
lock_tail(Relation rel, int tries)
{
	bool		locked = false;

	while (!(locked = pt_append_lock_briefly(RelationGetRelid(rel))) && --tries > 0 &&
		   !TransactionIdIsValid(GetTopTransactionIdIfAny()))
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(CLOSE_SLEEP_US);
	}
	return locked;
}

/*
 * Ends the extent in which the log's tail lies, so that what it has can be
 * compacted, too; pt_compaction_prepare comes next.  Nobody who holds the
 * append lock is waited for; who insists tries for a tenth of a second.
 * False: the partition is busy.  The caller has ShareUpdateExclusiveLock.
 */
bool
pt_compaction_close(Relation rel, bool insist)
{
	PtLogState *state;
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	XLogRecPtr	safe;

	if (!lock_tail(rel, insist ? CLOSE_TRIES : 1))
		return false;
	state = pt_state_try(rel);
	if (state != NULL)
		lsn = pt_append_skip(rel, state);
	PT_STOP_POINT("close.written");
	pt_append_unlock(RelationGetRelid(rel));
	if (XLogRecPtrIsInvalid(lsn))
		return false;
	XLogFlush(lsn);
	PT_STOP_POINT("close.flushed");
	safe = pt_commit_safe(lsn);
	pt_state_advance(state, safe);
	if (safe < lsn)
		pt_commit_request(lsn);
	return true;
}

/* What compaction_progress reads; VACUUM uses those before. */
#define PROGRESS_MARK		12

/* What the caller of pt_compaction_run has asked for. */
typedef struct Caller
{
	bool		(*progress) (PtCompaction *job);
	void	   *arg;
} Caller;

/*
 * Shows how far a compaction is, and asks the caller whether to go on.
 */
static bool
show_progress(PtCompaction *job)
{
	static const int places[] = {
		PROGRESS_MARK, PROGRESS_MARK + 1, PROGRESS_MARK + 2, PROGRESS_MARK + 3, PROGRESS_MARK + 4,
		PROGRESS_MARK + 5, PROGRESS_MARK + 6
	};
	int64		values[] = {
		1, job->phase, job->passes, (int64) job->extents, (int64) job->extents_done,
		(int64) job->extents_freed, (int64) job->extents_written
	};
	Caller	   *caller = job->arg;
	bool		good = true;

	StaticAssertStmt(lengthof(places) == lengthof(values), "each place has its value");
	pgstat_progress_update_multi_param(lengthof(places), places, values);
	if (caller->progress != NULL)
	{
		job->arg = caller->arg;
		good = caller->progress(job);
		job->arg = caller;
	}
	return good;
}

/*
 * Compacts a partition.  The caller has ShareUpdateExclusiveLock, has prepared
 * it, and has set progress and arg of the job.  Returns false if it was
 * stopped.
 */
bool
pt_compaction_run(Relation rel, const PtTopicConfig *config, PtCompaction *job)
{
	Caller		caller = {.progress = job->progress,.arg = job->arg};
	bool		complete;

	Assert(config->min_compaction_lag_ms >= 0 && config->delete_retention_ms >= 0);
	job->now_ms = pt_now_ms();
	job->delete_retention_ms = config->delete_retention_ms;
	job->min_lag_ms = config->min_compaction_lag_ms;
	job->producer_expiry_ms = pt_producer_id_expiration;
	job->memory = (size_t) pt_compaction_memory * 1024;
	pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM, RelationGetRelid(rel));
	job->progress = show_progress;
	job->arg = &caller;
	complete = pt_log_compact(rel, job);
	job->progress = caller.progress;
	job->arg = caller.arg;
	pgstat_progress_end_command();
	return complete;
}
