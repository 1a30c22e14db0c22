/*-------------------------------------------------------------------------
 *
 * trim.c
 *	  Deleting the oldest records of a partition, when the transaction commits.
 *
 * A request is remembered, with its subtransaction.  PRE_COMMIT finds the
 * place, which reads the log and may fail; after the commit the meta page is
 * changed, which is one WAL record.  A crash between the two keeps the
 * records.  That order is on purpose: whoever copies records elsewhere and
 * deletes them in one transaction never loses them.
 *
 * The table stays locked (RowExclusiveLock, as for a DELETE) from the request
 * to the end, so that nobody puts another file in the place of the log
 * meanwhile.  Appends go on.
 *
 * A snapshot of producers that the transaction has appended goes the same way:
 * when it is committed, what is before it need not be read any more
 * (../log/producers.c).
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
#include "replication/syncrep.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/resowner.h"

#include "stop_point.h"
#include "log/producers.h"
#include "xact/internal.h"
#include "topic/types.h"

typedef struct PendingTrim
{
	PtLevelItem held;			/* by the level that asked */
	Oid			relid;
	int64		offset;
	bool		empty;			/* the log has nothing before; locator and
								 * start are known */
	PtLogPos	producers;		/* where the snapshot is; 0: this is about
								 * records */
	bool		prepared;		/* there is something to do */
	RelFileLocator locator;
	PtLogStart	start;
} PendingTrim;

static PtLevelStack trims = PT_LEVEL_STACK(PendingTrim);

/* Something that is done for one log after the commit. */
typedef XLogRecPtr (*TrimStep) (PendingTrim *trim);

static PendingTrim *remember(Oid relid, int64 offset);
static void prepare(PendingTrim *trim);
static void prepare_all(bool two_phase);
static void release_owner(ResourceOwner owner);
static XLogRecPtr behind_commit(TrimStep step, PendingTrim *trim, const char *failed);
static XLogRecPtr write_start(PendingTrim *trim);
static XLogRecPtr free_space(PendingTrim *trim);
static void write_all(void);

const PtXactKind pt_xact_trims = {
	.name = "trims",
	.stack = &trims,
	.prepare = prepare_all,
	.committed = write_all,
};

static PendingTrim *
remember(Oid relid, int64 offset)
{
	PendingTrim *trim = pt_levels_push(&trims);

	trim->relid = relid;
	trim->offset = offset;
	return trim;
}

/*
 * The transaction is about to append at this offset, under the append lock.  A
 * log that has never held anything begins there: a restored dump has the start
 * that the original had, and no gap before its first record that would count
 * as so many rows.
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
	trim->locator = log->locator;
	trim->start = (PtLogStart)
	{
		.swapped = PG_UINT32_MAX,.offset = offset,.ordinal = log->start_ordinal,.pos = log->start_pos
	};
}

/*
 * The transaction has appended a snapshot of the log's producers at this
 * place, under the append lock: when it has committed, reading them begins
 * there, and what was kept for their sake can be freed.  The caller holds
 * RowExclusiveLock on the table to the end of the transaction.
 */
void
pt_trim_producers(Oid relid, const PtLogState *log, PtLogPos pos)
{
	PendingTrim *trim = remember(relid, -1);

	Assert(pos > 0);
	trim->producers = pos;
	trim->locator = log->locator;
}

/*
 * When the transaction commits, the log will start at this offset: what is
 * before it is gone then, for all snapshots.  PT_OFFSET_OUT_OF_RANGE beyond
 * the committed end; *start is where the log will start.  Holds
 * RowExclusiveLock on the table to the end of the transaction.
 */
PtStatus
pt_trim(Oid leaf, int64 offset, int64 *start)
{
	Relation	rel;
	PtLogView	view;
	int64		end;

	PreventCommandIfReadOnly("delete_records()");
	PreventCommandDuringRecovery("delete_records()");
	rel = try_relation_open(leaf, RowExclusiveLock);
	if (rel == NULL)
		return PT_UNKNOWN_PARTITION;
	pt_log_view(rel, &view);
	end = view.committed.offset;
	*start = view.start_offset;
	relation_close(rel, NoLock);
	if (offset == PT_TRIM_TO_END)
		offset = end;
	if (offset < 0 || offset > end)
		return PT_OFFSET_OUT_OF_RANGE;
	if (offset > *start)
	{
		/*
		 * Nothing is left for a dump to tell the end by.  Another holder of
		 * that lock empties the log, too, or alters it.
		 */
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

	Assert(!trim->prepared);
	if (rel == NULL)
		return;
	if (trim->empty || trim->producers != 0)
	{
		/*
		 * never a file that goes with our commit: redo would look for it in
		 * vain
		 */
		trim->prepared = RelFileLocatorEquals(pt_rel_locator(rel), trim->locator);
	}
	else
	{
		trim->locator = pt_rel_locator(rel);
		trim->prepared = pt_trim_find(rel, trim->offset, &trim->start);
	}
	relation_close(rel, NoLock);
}

/* Before the commit, while errors still abort. */
static void
prepare_all(bool two_phase)
{
	for (int i = 0; i < trims.n; i++)
	{
		PendingTrim *trim = pt_levels_at(&trims, i);

		if (two_phase && !trim->empty && trim->producers == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has deleted records of a topic"),
					 errhint("Delete them in a transaction of their own.")));
		if (!two_phase)
			prepare(trim);
	}
}

/*
 * Gives back what an owner has, as an abort would: pins, and from 19 on the
 * content locks of buffers.
 */
static void
release_owner(ResourceOwner owner)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(owner);
}

/*
 * The commit is done, and so an error must not get out of here.  What it
 * leaves behind has an owner of its own; all else belongs to the commit that
 * we are in.  InvalidXLogRecPtr after an error, for which a warning says what
 * has failed ("records before offset %lld ...").  Of producers the next
 * snapshot tells all that this one would have.
 */
static XLogRecPtr
behind_commit(TrimStep step, PendingTrim *trim, const char *failed)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner commit_owner = CurrentResourceOwner;
	uint32		holdoff = InterruptHoldoffCount;
	ResourceOwner volatile owner = NULL;
	XLogRecPtr volatile lsn = InvalidXLogRecPtr;

	PG_TRY();
	{
		owner = ResourceOwnerCreate(commit_owner, "pgtopic trim");
		CurrentResourceOwner = owner;
		lsn = step(trim);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		LWLockReleaseAll();
		UnlockBuffers();
		InterruptHoldoffCount = holdoff;
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 trim->producers != 0 ?
				 errmsg("a snapshot of producers is not used: %s", edata->message) :
				 errmsg("records before offset %lld %s: %s", (long long) trim->offset, failed, edata->message)));
	}
	PG_END_TRY();
	CurrentResourceOwner = commit_owner;
	if (owner != NULL)
		release_owner(owner);
	return lsn;
}

/* A log that cannot be changed keeps its old start. */
static XLogRecPtr
write_start(PendingTrim *trim)
{
	if (trim->producers != 0)
		return pt_log_producers_move(&trim->locator, trim->producers);
	return pt_trim_write(&trim->locator, &trim->start);
}

/* What is not freed now is freed the next time. */
static XLogRecPtr
free_space(PendingTrim *trim)
{
	pt_log_free(&trim->locator);
	return InvalidXLogRecPtr;
}

/* After the commit: one flush for all logs. */
static void
write_all(void)
{
	XLogRecPtr	last = InvalidXLogRecPtr;

	for (int i = 0; i < trims.n; i++)
	{
		PendingTrim *trim = pt_levels_at(&trims, i);
		XLogRecPtr	lsn = trim->prepared ? behind_commit(write_start, trim, "were not deleted") : InvalidXLogRecPtr;

		trim->prepared = !XLogRecPtrIsInvalid(lsn);
		if (trim->prepared)
			last = lsn;
	}
	if (XLogRecPtrIsInvalid(last))
		return;
	PT_STOP_POINT("trim.written");
	XLogFlush(last);

	/*
	 * What was deleted must not come back with a standby: the commit has been
	 * waited for, this came behind it.  Interrupts are held, as there.
	 */
	SyncRepWaitForLSN(last, false);
	PT_STOP_POINT("trim.flushed");
	for (int i = 0; i < trims.n; i++)
	{
		PendingTrim *trim = pt_levels_at(&trims, i);

		if (!trim->prepared)
			continue;
		if (trim->producers != 0)
			pt_log_producers_publish(&trim->locator, trim->producers);
		else
			pt_trim_publish(&trim->locator, &trim->start);
		(void) behind_commit(free_space, trim, "keep their space for now");
	}
}
