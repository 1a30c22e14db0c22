/*-------------------------------------------------------------------------
 *
 * wal.c
 *	  The resource manager: redo, desc, identify, mask; which records are
 *	  decoded.
 *
 * wal.h lists the operations and their layouts.  Redo is idempotent by page
 * LSN.  The changes themselves are those of page.c, which the running server
 * uses too.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/bufmask.h"
#include "access/xlog_internal.h"
#include "access/xlogutils.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/reorderbuffer.h"
#include "storage/standby.h"

#include "log/internal.h"
#include "stop_point.h"

static const PtDecoding *decoding;

static void
finish(Buffer buf, XLogReaderState *record)
{
	PageSetLSN(BufferGetPage(buf), record->EndRecPtr);
	MarkBufferDirty(buf);
}

/*
 * On a standby, queries whose snapshots are as old as this xid must not go on;
 * before the change.
 */
static void
conflict(XLogReaderState *record, TransactionId xid)
{
	RelFileLocator locator;

	if (!InHotStandby || !TransactionIdIsValid(xid))
		return;
	XLogRecGetBlockTag(record, 0, &locator, NULL, NULL);
	pt_resolve_snapshot_conflict(xid, locator);
}

/* The page of a block, which the record may initialise. */
static XLogRedoAction
read_for_redo(XLogReaderState *record, uint8 block, bool init, Buffer *buf)
{
	if (!init)
		return XLogReadBufferForRedo(record, block, buf);
	*buf = XLogInitBufferForRedo(record, block);
	return BLK_NEEDS_REDO;
}

static void
release_redone(Buffer buf)
{
	if (BufferIsValid(buf))
		UnlockReleaseBuffer(buf);
}

/*
 * A physical extent is used again.  On a standby, scans may still read what
 * was there: those go on as long as the server's settings allow, before any
 * page is locked.  Who comes later finds the new start, which was replayed
 * before.
 */
static void
conflict_of_readers(XLogReaderState *record, uint64 reused, TransactionId horizon)
{
	RelFileLocator locator;

	XLogRecGetBlockTag(record, 0, &locator, NULL, NULL);
	if (InHotStandby && pt_hold_oldest(&locator) <= reused)
		conflict(record, horizon);
}

static void
redo_init(XLogReaderState *record)
{
	const xl_pt_init *x = (const xl_pt_init *) XLogRecGetData(record);
	Buffer		buf = XLogInitBufferForRedo(record, 0);

	pt_meta_init(BufferGetPage(buf), x->offset, x->ordinal);
	finish(buf, record);
	UnlockReleaseBuffer(buf);
}

static void
redo_extent(XLogReaderState *record)
{
	const xl_pt_extent *x = (const xl_pt_extent *) XLogRecGetData(record);
	PtDirPlace	place;
	Buffer		metabuf;
	Buffer		buf;

	if (x->reused != PT_NO_EXTENT)
		conflict_of_readers(record, x->reused, x->horizon);
	if (XLogReadBufferForRedo(record, 0, &metabuf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply_extent(BufferGetPage(metabuf), x);
		finish(metabuf, record);
	}
	if (pt_dir_place(x->extent, &place))
	{
		bool		init = place.slot == 0;

		if (read_for_redo(record, 1, init, &buf) == BLK_NEEDS_REDO)
		{
			pt_dir_apply(BufferGetPage(buf), x, init);
			finish(buf, record);
		}
		release_redone(buf);
	}
	if (XLogRecHasBlockRef(record, 2))
	{
		if (XLogReadBufferForRedo(record, 2, &buf) == BLK_NEEDS_REDO)
		{
			pt_dir_apply_prev(BufferGetPage(buf), x);
			finish(buf, record);
		}
		release_redone(buf);
	}
	for (int i = 0; i < 2; i++)
	{
		if (!XLogRecHasBlockRef(record, 3 + i))
			continue;
		if (read_for_redo(record, (uint8) (3 + i), x->map_init[i], &buf) == BLK_NEEDS_REDO)
		{
			pt_map_apply_extent(BufferGetPage(buf), x, i);
			finish(buf, record);
		}
		release_redone(buf);
	}

	/* who has read the meta page must find the directory page it leads to */
	release_redone(metabuf);
}

static void
redo_append(XLogReaderState *record)
{
	const xl_pt_append *x = (const xl_pt_append *) XLogRecGetData(record);

	Assert(x->nblocks > 0 && x->nblocks <= PT_APPEND_BLOCKS);
	for (int i = 0; i < x->nblocks; i++)
	{
		uint32		at = i == 0 ? x->at : PT_PAGE_FIRST;
		XLogRedoAction action = BLK_NEEDS_REDO;
		Buffer		buf;

		if (at == PT_PAGE_FIRST)
			buf = XLogInitBufferForRedo(record, (uint8) i);
		else
			action = XLogReadBufferForRedo(record, (uint8) i, &buf);
		if (action == BLK_NEEDS_REDO)
		{
			Page		page = BufferGetPage(buf);
			Size		len;
			char	   *data = XLogRecGetBlockData(record, (uint8) i, &len);

			if (at == PT_PAGE_FIRST)
				pt_page_init(page, PT_PAGE_LOG, x->block + i, x->generation);
			Assert(pt_page_special(page)->block == x->block + i);
			Assert(pt_page_special(page)->generation == x->generation);
			Assert(((PageHeader) page)->pd_lower <= at && at + len <= PT_PAGE_END);
			memcpy((char *) page + at, data, len);
			((PageHeader) page)->pd_lower = (uint16) (at + len);
			pt_page_special(page)->first = x->first[i];
			finish(buf, record);
		}
		if (BufferIsValid(buf))
			UnlockReleaseBuffer(buf);
	}
}

static void
redo_frame(XLogReaderState *record)
{
	const xl_pt_frame *x = (const xl_pt_frame *) XLogRecGetData(record);
	Buffer		buf;

	if (XLogReadBufferForRedo(record, 0, &buf) == BLK_NEEDS_REDO)
	{
		PtFrameHeader *head = (PtFrameHeader *) ((char *) BufferGetPage(buf) + x->at);

		Assert(x->at == MAXALIGN(x->at) && x->length <= head->length);
		head->length = x->length;
		head->flags = x->flags;
		finish(buf, record);
	}
	if (BufferIsValid(buf))
		UnlockReleaseBuffer(buf);
}

static void
redo_meta(XLogReaderState *record)
{
	const xl_pt_meta *x = (const xl_pt_meta *) XLogRecGetData(record);
	RelFileLocator locator;
	Buffer		buf;

	XLogRecGetBlockTag(record, 0, &locator, NULL, NULL);
	conflict(record, x->sealed_xid);
	if (XLogReadBufferForRedo(record, 0, &buf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply(BufferGetPage(buf), x);
		finish(buf, record);
	}
	if (BufferIsValid(buf))
		UnlockReleaseBuffer(buf);
	pt_state_replay_meta(&locator, x);
}

static void
redo_free(XLogReaderState *record)
{
	const xl_pt_free *x = (const xl_pt_free *) XLogRecGetData(record);
	Buffer		metabuf;
	Buffer		buf;

	if (XLogReadBufferForRedo(record, 0, &metabuf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply_free(BufferGetPage(metabuf), x);
		finish(metabuf, record);
	}
	for (uint8 i = 1; XLogRecHasBlockRef(record, i); i++)
	{
		if (XLogReadBufferForRedo(record, i, &buf) == BLK_NEEDS_REDO)
		{
			pt_map_apply_free(BufferGetPage(buf), x);
			finish(buf, record);
		}
		release_redone(buf);
	}
	release_redone(metabuf);
}

static void
redo_shrink(XLogReaderState *record)
{
	Buffer		buf;

	if (XLogReadBufferForRedo(record, 0, &buf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply_shrink(BufferGetPage(buf), (const xl_pt_shrink *) XLogRecGetData(record));
		finish(buf, record);
	}
	release_redone(buf);
}

static void
redo_claim(XLogReaderState *record)
{
	const xl_pt_claim *x = (const xl_pt_claim *) XLogRecGetData(record);
	Buffer		metabuf;
	Buffer		mapbuf;

	if (x->reused != PT_NO_EXTENT)
		conflict_of_readers(record, x->reused, x->horizon);
	if (XLogReadBufferForRedo(record, 0, &metabuf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply_claim(BufferGetPage(metabuf), x);
		finish(metabuf, record);
	}
	if (read_for_redo(record, 1, x->map_init, &mapbuf) == BLK_NEEDS_REDO)
	{
		pt_map_apply_claim(BufferGetPage(mapbuf), x);
		finish(mapbuf, record);
	}
	release_redone(mapbuf);
	release_redone(metabuf);
}

static void
redo_copy(XLogReaderState *record)
{
	redo_append(record);
}

/* One page of a SWAP. */
static void
redo_swap_page(XLogReaderState *record, int block, void (*apply) (Page page, const xl_pt_swap *x))
{
	Buffer		buf;

	if (XLogReadBufferForRedo(record, (uint8) block, &buf) == BLK_NEEDS_REDO)
	{
		apply(BufferGetPage(buf), (const xl_pt_swap *) XLogRecGetData(record));
		finish(buf, record);
	}
	release_redone(buf);
}

/*
 * The meta page stays locked meanwhile: who has read it must find what it
 * leads to.
 */
static void
redo_swap(XLogReaderState *record)
{
	const xl_pt_swap *x = (const xl_pt_swap *) XLogRecGetData(record);
	int			moved = 1 + x->ndir + x->nmap;
	Buffer		metabuf;

	if (XLogReadBufferForRedo(record, 0, &metabuf) == BLK_NEEDS_REDO)
	{
		pt_meta_apply_swap(BufferGetPage(metabuf), x);
		finish(metabuf, record);
	}
	for (int i = 1; i < 1 + x->ndir; i++)
		redo_swap_page(record, i, pt_dir_apply_swap);
	for (int i = 1 + x->ndir; i < moved; i++)
		redo_swap_page(record, i, pt_map_apply_swap);
	if (x->moved_at != 0)
		redo_swap_page(record, moved, pt_page_apply_moved);
	release_redone(metabuf);
}

void
pt_wal_redo(XLogReaderState *record)
{
	uint8		info = XLogRecGetInfo(record) & ~XLR_INFO_MASK;

	switch (info & PT_WAL_MASK)
	{
#define PT_WAL_CASE(name, bits, fn) case bits: redo_##fn(record); PT_STOP_POINT("redo." #name); break;
			PT_WAL_OPERATIONS(PT_WAL_CASE)
#undef PT_WAL_CASE
		default:
			elog(PANIC, "pgtopic: unknown WAL operation %u", info);
	}
}

static void
desc_init(StringInfo buf, const char *data)
{
	const xl_pt_init *x = (const xl_pt_init *) data;

	appendStringInfo(buf, "offset %lld ordinal %lld", (long long) x->offset, (long long) x->ordinal);
}

static void
desc_extent(StringInfo buf, const char *data)
{
	const xl_pt_extent *x = (const xl_pt_extent *) data;

	appendStringInfo(buf, "extent %llu physical %u generation %u offset %lld ordinal %lld",
					 (unsigned long long) x->extent, x->entry.phys, x->entry.generation,
					 (long long) x->entry.base_offset, (long long) x->entry.base_ordinal);
	if (x->reused != PT_NO_EXTENT)
		appendStringInfo(buf, " that was extent %llu conflict horizon %u",
						 (unsigned long long) x->reused, x->horizon);
}

static void
desc_append(StringInfo buf, const char *data)
{
	const xl_pt_append *x = (const xl_pt_append *) data;

	appendStringInfo(buf, "block %llu at %u pages %u", (unsigned long long) x->block, x->at, x->nblocks);
	if (x->amid_length > 0)
		appendStringInfo(buf, " amid a frame, %u of %u", x->amid_done, x->amid_length);
}

static void
desc_frame(StringInfo buf, const char *data)
{
	const xl_pt_frame *x = (const xl_pt_frame *) data;

	appendStringInfo(buf, "at %u length %u flags 0x%x", x->at, x->length, x->flags);
}

static void
desc_meta(StringInfo buf, const char *data)
{
	const xl_pt_meta *x = (const xl_pt_meta *) data;

	appendStringInfo(buf, "start offset %lld position %llu sealed %llu producers %llu conflict horizon %u",
					 (long long) x->start_offset, (unsigned long long) x->start_pos,
					 (unsigned long long) x->sealed_pos, (unsigned long long) x->producers_pos, x->sealed_xid);
}

static void
desc_free(StringInfo buf, const char *data)
{
	const xl_pt_free *x = (const xl_pt_free *) data;

	appendStringInfo(buf, "up to extent %llu physical", (unsigned long long) x->free_extent);
	for (uint32 i = 0; i < x->n; i++)
		appendStringInfo(buf, " %u", x->phys[i]);
}

static void
desc_shrink(StringInfo buf, const char *data)
{
	const xl_pt_shrink *x = (const xl_pt_shrink *) data;

	appendStringInfo(buf, "to %u physical extents, %u free", x->phys_extents, x->free_phys);
}

static void
desc_claim(StringInfo buf, const char *data)
{
	const xl_pt_claim *x = (const xl_pt_claim *) data;

	appendStringInfo(buf, "extent %llu physical %u generation %u", (unsigned long long) x->extent, x->phys,
					 x->generation);
	if (x->reused != PT_NO_EXTENT)
		appendStringInfo(buf, " that was extent %llu conflict horizon %u",
						 (unsigned long long) x->reused, x->horizon);
}

static void
desc_copy(StringInfo buf, const char *data)
{
	desc_append(buf, data);
}

static void
desc_swap(StringInfo buf, const char *data)
{
	const xl_pt_swap *x = (const xl_pt_swap *) data;

	appendStringInfo(buf, "extents %llu to %llu for %u from %llu first %llu freed %u",
					 (unsigned long long) x->in_from, (unsigned long long) x->in_to, x->nout,
					 (unsigned long long) x->out_from, (unsigned long long) x->first_extent, x->nfreed);
}

void
pt_wal_desc(StringInfo buf, XLogReaderState *record)
{
	const char *data = XLogRecGetData(record);

	switch (XLogRecGetInfo(record) & ~XLR_INFO_MASK & PT_WAL_MASK)
	{
#define PT_WAL_CASE(name, bits, fn) case bits: desc_##fn(buf, data); break;
			PT_WAL_OPERATIONS(PT_WAL_CASE)
#undef PT_WAL_CASE
	}
}

const char *
pt_wal_identify(uint8 info)
{
	switch (info & ~XLR_INFO_MASK & PT_WAL_MASK)
	{
#define PT_WAL_CASE(name, bits, fn) case bits: return #name;
			PT_WAL_OPERATIONS(PT_WAL_CASE)
#undef PT_WAL_CASE
	}
	return NULL;
}

/*
 * Logical decoding (../fanout/decode.c).  All but APPEND only make their
 * transactions known.  META and FREE are none's: the start of a log moves
 * after the commit (../xact/trim.c), so its records still carry the xid of a
 * transaction that decoding has finished with, and must not bring it back.
 * Neither are those of compaction, which moves what has been decoded.
 */
static void
decode(struct LogicalDecodingContext *ctx, struct XLogRecordBuffer *buf)
{
	switch (XLogRecGetInfo(buf->record) & ~XLR_INFO_MASK & PT_WAL_MASK)
	{
		case PT_WAL_META:
		case PT_WAL_FREE:
		case PT_WAL_CLAIM:
		case PT_WAL_COPY:
		case PT_WAL_SWAP:
			break;
		case PT_WAL_APPEND:
			ReorderBufferProcessXid(ctx->reorder, XLogRecGetXid(buf->record), buf->origptr);
			/* what is no transaction's has no batch (pt_append_settled) */
			if (TransactionIdIsValid(XLogRecGetXid(buf->record)))
				decoding->append(ctx, buf);
			break;
		default:
			ReorderBufferProcessXid(ctx->reorder, XLogRecGetXid(buf->record), buf->origptr);
	}
}

/*
 * The number of the partition, if an APPEND to the table is to have it.  May
 * read catalogs; the transaction has an xid, so what the server logs stays the
 * same.
 */
bool
pt_wal_partition(Relation rel, int32 *partition)
{
	if (!XLogLogicalInfoActive() || OidIsValid(rel->rd_rel->relrewrite))
		return false;
	*partition = decoding->partition(rel);
	return true;
}

/* What wal_consistency_checking must not compare. */
static void
mask_page(char *page, BlockNumber block)
{
	mask_page_lsn_and_checksum(page);
	mask_page_hint_bits(page);
	mask_unused_space(page);
}

static RmgrData pt_rmgr = {
	.rm_name = PT_RMGR_NAME,
	.rm_redo = pt_wal_redo,
	.rm_desc = pt_wal_desc,
	.rm_identify = pt_wal_identify,
	.rm_mask = mask_page,
	.rm_decode = decode,
};

/* From _PG_init, while shared_preload_libraries are loaded. */
void
pt_wal_register(const PtDecoding *d)
{
	decoding = d;
	RegisterCustomRmgr(PT_RMGR_ID, &pt_rmgr);
}
