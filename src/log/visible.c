/*-------------------------------------------------------------------------
 *
 * visible.c
 *	  Who may see a frame.
 *
 * All records of a frame share the fate of its transaction, so that one
 * answer serves a whole batch, and readers remember the last ones.  Frames
 * before the sealed position are visible unless flagged aborted.  The scan's
 * rule is the caller's: pass over PT_INVISIBLE, stop at PT_IN_PROGRESS.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "log/internal.h"

/*
 * A commit that is visible but not durable (it was asynchronous, or released
 * its append locks early) must not be shown: make it durable first.
 */
static void
flush_commit(TransactionId xid)
{
	XLogRecPtr	lsn;

	if (RecoveryInProgress())
		return;
	lsn = TransactionIdGetCommitLSN(xid);
	if (!XLogRecPtrIsInvalid(lsn) && XLogNeedsFlush(lsn))
		XLogFlush(lsn);
}

/*
 * What a frame says of itself, whatever its transaction: true, and *visible is
 * the answer.  Whoever walks over frames asks this first.
 */
bool
pt_frame_decided(const PtFrame *frame, bool *visible)
{
	*visible = !(frame->head.flags & PT_FRAME_HIDDEN);
	return !*visible || frame->sealed;
}

/*
 * What became of a transaction that is over.  The server may forget old ones
 * at any moment that nothing keeps them from being sealed, so it is held up
 * while it is asked, as pg_xact_status() does.
 */
PtXidFate
pt_xid_fate(TransactionId xid)
{
	PtXidFate	fate = PT_XID_FORGOTTEN;

	if (xid == FrozenTransactionId)
		return PT_XID_COMMITTED;	/* no transaction's, see append.c */
	Assert(TransactionIdIsNormal(xid));
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	if (TransactionIdFollowsOrEquals(xid, TransamVariables->oldestClogXid))
		fate = TransactionIdDidCommit(xid) ? PT_XID_COMMITTED : PT_XID_ABORTED;
	LWLockRelease(XactTruncationLock);
	return fate;
}

/*
 * A transaction that is forgotten: its frames have been sealed since this one
 * was read, and their flags say what became of it.
 */
static PtVisibility
visible_by_flags(PtReader *r, const PtFrame *frame)
{
	PtFrame		again;

	if (pt_walk_at(&r->source, frame->pos, &again) != PT_WALK_FRAME)
		return PT_INVISIBLE;	/* and gone by now */
	if (!again.sealed)
		pt_reader_gone(r);		/* removed, and older than what is remembered */
	return again.head.flags & PT_FRAME_HIDDEN & ~PT_FRAME_KIND_MASK ? PT_INVISIBLE : PT_VISIBLE;
}

static bool
still_running(TransactionId xid, Snapshot snapshot)
{
	if (snapshot && IsMVCCSnapshot(snapshot))
		return XidInMVCCSnapshot(xid, snapshot);
	return TransactionIdIsInProgress(xid);
}

/* What is known of xids is known for one snapshot. */
void
pt_reader_forget_xids(PtReader *r)
{
	r->committed_xid = InvalidTransactionId;
	r->aborted_xid = InvalidTransactionId;
}

/*
 * Is the frame visible to the snapshot?  NULL: to anyone now (committed or
 * own).  Flushes WAL when it says visible of a commit that was not flushed.
 * Snapshots other than MVCC ones are answered as of now.
 */
PtVisibility
pt_frame_visible(PtReader *r, const PtFrame *frame, Snapshot snapshot)
{
	TransactionId xid = frame->head.xid;
	bool		visible;

	if (pt_frame_decided(frame, &visible))
		return visible ? PT_VISIBLE : PT_INVISIBLE;
	if (TransactionIdEquals(xid, r->committed_xid))
		return PT_VISIBLE;
	if (TransactionIdIsCurrentTransactionId(xid))
		return PT_VISIBLE;
	if (!TransactionIdEquals(xid, r->aborted_xid))
	{
		PtXidFate	fate;

		if (still_running(xid, snapshot))
		{
			if (!TransactionIdPrecedes(xid, ReadNextTransactionId()))
				pt_report_damage(&r->locator, frame->pos, "frame of a transaction that has never been");

			/*
			 * A snapshot that does not know all subtransactions takes one
			 * that was rolled back for running as long as its transaction
			 * does.  It holds the log no more: others may be behind it.
			 */
			if (!TransactionIdDidAbort(xid))
				return PT_IN_PROGRESS;
		}
		fate = pt_xid_fate(xid);
		if (fate == PT_XID_FORGOTTEN)
			return visible_by_flags(r, frame);
		if (fate == PT_XID_COMMITTED)
		{
			flush_commit(xid);
			r->committed_xid = xid;
			return PT_VISIBLE;
		}
		if (snapshot && IsMVCCSnapshot(snapshot) && TransactionIdIsInProgress(xid))
			return PT_IN_PROGRESS;	/* on a standby: not known to be over */
		r->aborted_xid = xid;
	}
	/* its length may be repaired by the next append */
	r->skip_pos = frame->pos;
	r->skip_length = frame->head.length;
	return PT_INVISIBLE;
}

/*
 * Has the transaction of a frame, of whatever kind, committed, or is it ours?
 * For those who read what others pass over.
 */
bool
pt_frame_committed(PtReader *r, const PtFrame *frame)
{
	PtFrame		bare = *frame;

	bare.head.flags &= ~PT_FRAME_KIND_MASK;
	return pt_frame_visible(r, &bare, NULL) == PT_VISIBLE;
}
