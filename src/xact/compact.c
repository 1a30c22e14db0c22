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
#include "storage/procarray.h"

#include "guc.h"
#include "topic/timestamp.h"
#include "xact/compact.h"
#include "xact/xact.h"

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
		!pt_append_lock(RelationGetRelid(rel), PT_LOCK_TRY))
		return;
	state = pt_state_try(rel);
	if (state != NULL)
		pt_append_repair(rel, state);
	pt_append_locks_release();
}

/*
 * Brings the tail of the log in order and seals what all snapshots see.  The
 * caller has ShareUpdateExclusiveLock, which keeps VACUUM and other
 * compactions away.
 */
void
pt_compaction_prepare(Relation rel)
{
	/* who has an xid may have append locks, which settling would let go */
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		pt_settle_tail(rel);
	pt_log_free(&pt_rel_locator(rel));
	(void) pt_log_seal(rel, GetOldestNonRemovableTransactionId(rel));
}

/*
 * Compacts a partition.  The caller has ShareUpdateExclusiveLock, has prepared
 * it, and has set progress and arg of the job.  Returns false if it was
 * stopped.
 */
bool
pt_compaction_run(Relation rel, const PtTopicConfig *config, PtCompaction *job)
{
	Assert(config->min_compaction_lag_ms >= 0 && config->delete_retention_ms >= 0);
	job->now_ms = pt_now_ms();
	job->delete_retention_ms = config->delete_retention_ms;
	job->min_lag_ms = config->min_compaction_lag_ms;
	job->producer_expiry_ms = pt_producer_id_expiration;
	job->memory = (size_t) pt_compaction_memory * 1024;
	return pt_log_compact(rel, job);
}
