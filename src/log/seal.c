/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  Changing what frames say of themselves: sealing, and repairing a frame.
 *
 * Sealing is what VACUUM does here.  From the sealed position on backwards,
 * xids mean nothing: every frame whose transaction is over for all snapshots
 * is visible unless it is flagged aborted.  The flags are set first, each
 * under the lock of its page, then the position moves; a crash between the two
 * only repeats work.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/procarray.h"

#include "log/internal.h"
#include "stop_point.h"

/*
 * The page of the frame at pos, exclusively locked; *head: the frame's header
 * in it.
 */
static Buffer
lock_frame(Relation rel, PtLogPos pos, PtFrameHeader **head)
{
	PtDirEntry	entry;
	Buffer		buf;

	if (!pt_extent_lookup(rel, &pt_rel_locator(rel), pt_pos_extent(pos), &entry))
		elog(ERROR, "extent %llu of \"%s\" is not there", (unsigned long long) pt_pos_extent(pos),
			 RelationGetRelationName(rel));
	buf = ReadBuffer(rel, pt_extent_block(entry.phys) + (BlockNumber) (pt_pos_block(pos) % PT_EXTENT_BLOCKS));
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	Assert(pt_page_special(BufferGetPage(buf))->block == pt_pos_block(pos));
	*head = (PtFrameHeader *) ((char *) BufferGetPage(buf) + pt_pos_byte(pos));
	return buf;
}

/* Changes the frame and gives its page back. */
static void
change_frame(Relation rel, Buffer buf, PtLogPos pos, PtFrameHeader *head, uint32 length, uint32 flags)
{
	xl_pt_frame x = {.length = length,.flags = flags,.at = (uint16) pt_pos_byte(pos)};
	XLogRecPtr	lsn;

	Assert(length >= PT_BATCH_HEADER_SIZE && length <= head->length);
	START_CRIT_SECTION();
	head->length = length;
	head->flags = flags;
	MarkBufferDirty(buf);
	XLogBeginInsert();
	XLogRegisterData((char *) &x, sizeof(x));
	XLogRegisterBuffer(0, buf, pt_wal_page_flags(rel));
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_FRAME); /* PageSetLSN evaluates its
												 * argument twice */
	PageSetLSN(BufferGetPage(buf), lsn);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buf);
}

/* Sets length and flags of the frame at pos. */
void
pt_frame_set(Relation rel, PtLogPos pos, uint32 length, uint32 flags)
{
	PtFrameHeader *head;
	Buffer		buf = lock_frame(rel, pos, &head);

	change_frame(rel, buf, pos, head, length, flags);
}

/*
 * Adds flags to the frame at pos, whose length may have been repaired since
 * the caller read it; returns the length.
 */
uint32
pt_frame_flag(Relation rel, PtLogPos pos, uint32 flags)
{
	PtFrameHeader *head;
	Buffer		buf = lock_frame(rel, pos, &head);
	uint32		length = head->length;

	change_frame(rel, buf, pos, head, length, head->flags | flags);
	return length;
}

/*
 * The oldest xid of the frames from "pos" on, oldest_xmin when there is none
 * older.  It need not be the first one's: a transaction that began early may
 * have appended last.
 */
static TransactionId
oldest_left(PtReader *r, PtLogPos pos, TransactionId oldest_xmin)
{
	TransactionId oldest = oldest_xmin;
	PtFrame		frame;

	pt_reader_seek_pos(r, pos);
	while (pt_reader_next(r, &frame))
	{
		if (TransactionIdIsNormal(frame.head.xid) && TransactionIdPrecedes(frame.head.xid, oldest))
			oldest = frame.head.xid;
	}
	return oldest;
}

/* The place of the first frame that starts behind all freed extents. */
static PtLogPos
first_frame(PtReader *r, const PtLogInfo *info)
{
	uint64		block = info->free_extent * PT_EXTENT_BLOCKS;
	PtFrame		frame;

	for (; block < pt_pos_block(info->start_pos); block++)
	{
		PtWalked	walked = pt_walk_first(&r->source, block, &frame);

		pt_reader_check(r, walked, block);
		if (walked == PT_WALK_FRAME)
			return frame.pos;
	}
	return info->start_pos;
}

/*
 * Moves the sealed position up to the first frame whose transaction somebody
 * may still need to look up, and returns the oldest xid that is left in the
 * log (at most oldest_xmin).  The caller holds a lock that keeps a second
 * VACUUM away.
 *
 * ERROR XX001 when an unsealed frame's transaction is forgotten: relfrozenxid
 * keeps the server from that, so the header is damaged, and what became of the
 * transaction must not be guessed.
 *
 * An aborted frame that is still cut is left for pt_append_repair: its
 * length must not be passed over while it can change.
 */
TransactionId
pt_log_seal(Relation rel, TransactionId oldest_xmin)
{
	PtReader	r;
	PtFrame		frame;
	PtLogInfo	info;
	PtLogPos	sealed;
	TransactionId newest = InvalidTransactionId;
	TransactionId left;
	PtXidFate	fate;

	pt_log_info(rel, &info);
	pt_reader_begin(&r, rel, GetAccessStrategy(BAS_VACUUM));

	/*
	 * Frames before the log's start, too, as long as they are not freed:
	 * older cursors may still meet them.  Freed ones get no flags; who holds
	 * them asks what became of their transactions (PtPageSource).
	 */
	if (pt_pos_extent(info.sealed_pos) >= info.free_extent)
		pt_reader_seek_pos(&r, info.sealed_pos);
	else
		pt_reader_seek_pos(&r, first_frame(&r, &info));
	sealed = r.pos;
	while (pt_reader_next(&r, &frame))
	{
		if (!TransactionIdPrecedes(frame.head.xid, oldest_xmin))
			break;
		fate = frame.head.flags & PT_FRAME_ABORTED ? PT_XID_ABORTED : pt_xid_fate(frame.head.xid);
		if (fate == PT_XID_FORGOTTEN)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("transaction %u of the frame at position %llu of \"%s\" is older than any the server knows of",
							frame.head.xid, (unsigned long long) frame.pos, RelationGetRelationName(rel))));
		if (!(frame.head.flags & PT_FRAME_ABORTED) && fate == PT_XID_ABORTED)
		{
			if (TransactionIdIsInProgress(frame.head.xid) || !pt_reader_complete(&r, &frame))
				break;
			frame.next = pt_frame_next(frame.pos, pt_frame_flag(rel, frame.pos, PT_FRAME_ABORTED));
			pt_reader_seek_pos(&r, frame.next);
		}
		else if (!TransactionIdIsNormal(frame.head.xid))
		{
			/* no transaction's; it may be cut all the same */
			if (!(frame.head.flags & PT_FRAME_ABORTED) && !pt_reader_complete(&r, &frame))
				break;
		}
		else if (!(frame.head.flags & PT_FRAME_ABORTED) &&
				 (!TransactionIdIsValid(newest) || TransactionIdFollows(frame.head.xid, newest)))
			newest = frame.head.xid;
		Assert(frame.pos >= sealed);
		sealed = frame.next;
	}
	left = oldest_left(&r, sealed, oldest_xmin);
	pt_reader_end(&r);
	if (sealed > info.sealed_pos)
	{
		/*
		 * what is sealed is shown without a look at its commit, which
		 * therefore must be durable
		 */
		PT_STOP_POINT("seal.flagged");
		XLogFlush(pt_meta_seal(rel, sealed, newest));
		PT_STOP_POINT("seal.flushed");
		pt_state_set_sealed(&pt_rel_locator(rel), sealed);
	}
	return left;
}
