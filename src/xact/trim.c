/*-------------------------------------------------------------------------
 *
 * trim.c
 *	  Deleting the oldest records of a partition, when the transaction commits.
 *
 * A request is remembered, with its subtransaction.  PRE_COMMIT finds the place, which reads the
 * log and may fail; after the commit the meta page is changed, which is one WAL record.  A
 * crash between the two keeps the records.  That order is on purpose: whoever copies
 * records elsewhere and deletes them in one transaction never loses them.
 *
 * The table stays locked (RowExclusiveLock, as for a DELETE) from the request to the
 * end, so that nobody puts another file in the place of the log meanwhile.  Appends go on.
 *
 * Siblings: xact.c calls the functions that are declared in internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "xact/internal.h"
#include "topic/types.h"

typedef struct PendingTrim
{
	Oid			relid;
	int64		offset;
	int			level;			/* nesting level of the transaction that asked */
	bool		empty;			/* the log has nothing before; state and start are known */
	PtLogState *state;			/* set by prepare; NULL: nothing to do */
	PtLogStart	start;
} PendingTrim;

/* In TopTransactionContext; levels never decrease along the array. */
static PendingTrim *pending;
static int	npending;
static int	pending_cap;

static PendingTrim *remember(Oid relid, int64 offset);
static void prepare(PendingTrim *trim);
static XLogRecPtr write_start(const PendingTrim *trim);

static PendingTrim *
remember(Oid relid, int64 offset)
{
	int			level = GetCurrentTransactionNestLevel();

	if (npending == pending_cap)
	{
		int			cap = Max(8, pending_cap * 2);

		if (pending == NULL)
			pending = MemoryContextAlloc(TopTransactionContext, cap * sizeof(PendingTrim));
		else
			pending = repalloc(pending, cap * sizeof(PendingTrim));
		pending_cap = cap;
	}
	Assert(npending == 0 || pending[npending - 1].level <= level);
	pending[npending] = (PendingTrim) {.relid = relid, .offset = offset, .level = level};
	return &pending[npending++];
}

/*
 * The transaction is about to append at this offset, under the append lock.  A log that has never held
 * anything begins there: a restored dump has the start that the original had, and no gap
 * before its first record that would count as so many rows.
 */
void
pt_trim_empty(Oid relid, PtLogState *log, int64 offset)
{
	PendingTrim *trim;

	if (offset <= log->start_offset || log->tail_offset != log->start_offset ||
		log->committed.offset != log->start_offset)
		return;
	trim = remember(relid, offset);
	trim->empty = true;
	trim->state = log;
	trim->start = (PtLogStart) {.offset = offset, .ordinal = log->start_ordinal, .pos = log->start_pos};
}

/* See engine.h. */
PtStatus
pt_trim(Oid leaf, int64 offset, int64 *start)
{
	Relation	rel;
	PtLogState *log;
	int64		end;

	PreventCommandIfReadOnly("delete_records()");
	PreventCommandDuringRecovery("delete_records()");
	rel = try_relation_open(leaf, RowExclusiveLock);
	if (rel == NULL)
		return PT_UNKNOWN_PARTITION;
	log = pt_state_get(rel);
	SpinLockAcquire(&log->mutex);
	end = log->committed.offset;
	*start = log->start_offset;
	SpinLockRelease(&log->mutex);
	relation_close(rel, NoLock);
	if (offset == PT_TRIM_TO_END)
		offset = end;
	if (offset < 0 || offset > end)
		return PT_OFFSET_OUT_OF_RANGE;
	if (offset > *start)
	{
		/* nothing is left for a dump to tell the end by; whoever holds that lock empties it, too, or alters it */
		if (offset == end && ConditionalLockRelationOid(leaf, ShareUpdateExclusiveLock))
			pt_label_start(leaf, offset);
		remember(leaf, offset);
		*start = offset;
	}
	return PT_OK;
}

/* The table may have been dropped or truncated by this very transaction. */
static void
prepare(PendingTrim *trim)
{
	Relation	rel = try_relation_open(trim->relid, NoLock);
	PtLogState *state = trim->state;

	trim->state = NULL;
	if (rel == NULL)
		return;
	if (trim->empty)
	{
		/* never a file that goes with our commit: redo would look for it in vain */
		if (RelFileLocatorEquals(pt_rel_locator(rel), state->locator))
			trim->state = state;
	}
	else if (pt_trim_find(rel, trim->offset, &trim->start))
		trim->state = pt_state_get(rel);
	relation_close(rel, NoLock);
}

/* Before the commit, while errors still abort. */
void
pt_trims_prepare(bool two_phase)
{
	for (int i = 0; i < npending; i++)
	{
		if (two_phase && !pending[i].empty)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has deleted records of a topic"),
					 errhint("Delete them in a transaction of their own.")));
		if (!two_phase)
			prepare(&pending[i]);
	}
}

/*
 * The commit is done, and so an error must not get out of here: a log that could not
 * be changed keeps its old start.
 */
static XLogRecPtr
write_start(const PendingTrim *trim)
{
	MemoryContext old = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;
	XLogRecPtr	volatile lsn = InvalidXLogRecPtr;

	PG_TRY();
	{
		lsn = pt_trim_write(trim->state, &trim->start);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		/* what an abort would do, but for what belongs to the commit that we are in */
		LWLockReleaseAll();
		UnlockBuffers();
		InterruptHoldoffCount = holdoff;
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("records before offset %lld were not deleted: %s",
						(long long) trim->offset, edata->message),
				 errhint("Delete them again.")));
	}
	PG_END_TRY();
	return lsn;
}

/* After the commit: one flush for all logs. */
void
pt_trims_apply(void)
{
	XLogRecPtr	last = InvalidXLogRecPtr;

	for (int i = 0; i < npending; i++)
	{
		XLogRecPtr	lsn = pending[i].state ? write_start(&pending[i]) : InvalidXLogRecPtr;

		if (XLogRecPtrIsInvalid(lsn))
			pending[i].state = NULL;
		else
			last = lsn;
	}
	if (XLogRecPtrIsInvalid(last))
		return;
	XLogFlush(last);
	for (int i = 0; i < npending; i++)
	{
		if (pending[i].state != NULL)
			pt_trim_publish(pending[i].state, &pending[i].start);
	}
}

void
pt_trims_sub_commit(int level)
{
	for (int i = npending - 1; i >= 0 && pending[i].level >= level; i--)
		pending[i].level = level - 1;
}

void
pt_trims_sub_abort(int level)
{
	while (npending > 0 && pending[npending - 1].level >= level)
		npending--;
}

void
pt_trims_forget(void)
{
	pending = NULL;
	npending = pending_cap = 0;
}
