/*-------------------------------------------------------------------------
 *
 * retain.c
 *	  Retention of one partition: what it does not keep goes.
 *
 * No append lock is needed, as only the start of the log moves.  The table is
 * locked as for a DELETE, if that is possible at once; nothing waits here.
 * The lock is kept until the new start has been published, so that nobody puts
 * another file in the place of the log meanwhile.
 *
 * A partition that has lost all its records gets a label that says where its
 * offsets go on, as with delete_records(): a dump has nothing else to tell it
 * by.
 *
 * Siblings: trim.c (delete_records()), ../log/expired.c (what has expired),
 * ../server/housekeeper.c (who calls).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xlog.h"
#include "storage/lmgr.h"

#include "stop_point.h"
#include "xact/xact.h"
#include "topic/leaf.h"
#include "topic/types.h"

/*
 * The label of an empty log that starts at an offset; false: somebody has a
 * lock.  A log that starts at 0 needs none.
 */
static bool
keep_label(Oid leaf, int64 start)
{
	int64		labelled;

	if (start == 0 || (pt_label_get_start(leaf, &labelled) && labelled == start))
		return true;
	if (!ConditionalLockRelationOid(leaf, ShareUpdateExclusiveLock))
		return false;
	pt_label_start(leaf, start);
	return true;
}

/*
 * Finds what a rule does not keep of a partition and writes its new start.
 * PT_OK: *retained says what was done, and pt_retained_publish() must come
 * before the transaction ends if its lsn is valid; then the lock on the table
 * is kept.  PT_BUSY: somebody has a lock, and something is left to do.
 * PT_UNKNOWN_PARTITION: there is no such partition.
 */
PtStatus
pt_retain(Oid leaf, const PtRetention *rule, PtRetained *retained)
{
	Relation	rel;
	bool		done = true;

	Assert(!RecoveryInProgress());
	memset(retained, 0, sizeof(*retained));
	if (!ConditionalLockRelationOid(leaf, RowExclusiveLock))
		return PT_BUSY;
	rel = try_relation_open(leaf, NoLock);
	if (rel == NULL)
		return PT_UNKNOWN_PARTITION;
	if (!pt_leaf_is_log(leaf))
	{
		relation_close(rel, RowExclusiveLock);
		return PT_UNKNOWN_PARTITION;
	}
	retained->locator = pt_rel_locator(rel);
	pt_expired_find(rel, rule, &retained->found);
	if (retained->found.empty)
		done = keep_label(leaf, retained->found.moves ? retained->found.start.offset : retained->found.old.offset);
	/* last, as an error must not come between this and publishing it */
	if (retained->found.moves)
		retained->lsn = pt_trim_write(&retained->locator, &retained->found.start);
	else if (retained->found.unfreed)
	{
		/* somebody has not come to it, nor perhaps to publishing his start */
		retained->found.start = retained->found.old;
		retained->lsn = retained->found.lsn;
	}
	relation_close(rel, XLogRecPtrIsInvalid(retained->lsn) ? RowExclusiveLock : NoLock);
	return done ? PT_OK : PT_BUSY;
}

/*
 * Shows the new starts to everybody, once they are durable: one flush for all.
 * Those that have not moved are passed over.  What lies before them may be
 * freed then (pt_log_free).
 */
void
pt_retained_publish(const PtRetained *retained, int n)
{
	XLogRecPtr	last = InvalidXLogRecPtr;

	for (int i = 0; i < n; i++)
		last = Max(last, retained[i].lsn);
	if (XLogRecPtrIsInvalid(last))
		return;
	PT_STOP_POINT("retain.written");
	XLogFlush(last);
	PT_STOP_POINT("retain.flushed");
	for (int i = 0; i < n; i++)
	{
		if (!XLogRecPtrIsInvalid(retained[i].lsn))
			pt_trim_publish(&retained[i].locator, &retained[i].found.start);
	}
}
