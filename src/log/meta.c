/*-------------------------------------------------------------------------
 *
 * meta.c
 *	  The meta page and the directory: which physical extent holds what.
 *
 * Readers look an extent up with share locks on the meta page and then on a
 * directory page, never both.  Taking an extent holds the meta page
 * exclusively throughout; only the holder of the append lock does that, so
 * there is no race between two takers, only between a taker and readers.
 *
 * Taking an extent is not undone by an abort: the next transaction goes on
 * where this one stopped, and finds the extent there.
 *
 * Siblings: page.c (the changes themselves), wal.c (redo of them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xloginsert.h"
#include "catalog/storage.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "io/io.h"
#include "log/internal.h"

static uint32 choose_physical(Relation rel, const PtMetaPage *meta, xl_pt_extent *x);
static void choose_directory(const PtMetaPage *meta, const PtDirPlace *place, xl_pt_extent *x);
static Buffer lock_dir_page(Relation rel, const PtMetaPage *meta, const PtDirPlace *place, uint32 dir_phys,
							bool init);
static void log_extent(Relation rel, Buffer metabuf, Buffer dirbuf, Buffer prevbuf, const xl_pt_extent *x);

/*
 * Pins a block of the main fork, through the relation when there is one (which
 * counts for pg_statio), else by locator.
 */
Buffer
pt_read_block(Relation rel, const RelFileLocator *locator, BlockNumber block,
			  BufferAccessStrategy strategy)
{
	if (rel)
		return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	return ReadBufferWithoutRelcache(*locator, MAIN_FORKNUM, block, RBM_NORMAL, strategy, true);
}

/* The meta page, pinned and locked; ERROR when it is not one. */
static Buffer
lock_meta(Relation rel, const RelFileLocator *locator, int mode)
{
	Buffer		buf = pt_read_block(rel, locator, PT_META_BLOCK, NULL);
	PtMetaPage *meta;

	LockBuffer(buf, mode);
	meta = pt_meta_page(BufferGetPage(buf));
	if (PageIsNew(BufferGetPage(buf)) || meta->magic != PT_META_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file %u is not the log of a topic", (unsigned) pt_locator_number(*locator))));
	if (meta->version != PT_LOG_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("log format version %u is not supported, only version %u", meta->version,
						PT_LOG_FORMAT_VERSION),
				 meta->version > PT_LOG_FORMAT_VERSION ?
				 errhint("The log was written by a newer version of pgtopic.") :
				 errhint("Dump the topic with the version of pgtopic that wrote it, and restore it with this one.")));
	if (meta->extent_blocks != PT_EXTENT_BLOCKS || meta->block_size != BLCKSZ)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("log has extents of %u blocks of %u bytes, not %u of %u", meta->extent_blocks,
						meta->block_size, PT_EXTENT_BLOCKS, BLCKSZ),
				 errhint("The log was written by a server that was built with other sizes.")));
	return buf;
}

/*
 * Creates the storage of a new log; its first record will get this offset and
 * ordinal.
 */
void
pt_log_create(Relation rel, const RelFileLocator *locator, int64 offset, int64 ordinal)
{
	SMgrRelation reln = RelationCreateStorage(*locator, rel->rd_rel->relpersistence, true);
	xl_pt_init	x = {.offset = offset,.ordinal = ordinal};
	XLogRecPtr	lsn;
	Buffer		buf;

	Assert(rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT);
	pt_reserve(reln, PT_META_BLOCK, 1);
	smgrclose(reln);
	pt_state_forget(locator);
	buf = ReadBufferWithoutRelcache(*locator, MAIN_FORKNUM, PT_META_BLOCK, RBM_ZERO_AND_LOCK, NULL, true);
	START_CRIT_SECTION();
	pt_meta_init(BufferGetPage(buf), offset, ordinal);
	MarkBufferDirty(buf);
	XLogBeginInsert();
	XLogRegisterData((char *) &x, sizeof(x));
	XLogRegisterBuffer(0, buf, REGBUF_WILL_INIT | REGBUF_STANDARD);
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_INIT);	/* PageSetLSN evaluates its
												 * argument twice */
	PageSetLSN(BufferGetPage(buf), lsn);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buf);
}

/* The meta page's numbers, as of now. */
void
pt_locator_info(Relation rel, const RelFileLocator *locator, PtLogInfo *info)
{
	Buffer		buf = lock_meta(rel, locator, BUFFER_LOCK_SHARE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));

	info->first_extent = meta->first_extent;
	info->next_extent = meta->next_extent;
	info->start_offset = meta->start_offset;
	info->start_ordinal = meta->start_ordinal;
	info->start_pos = meta->start_pos;
	info->sealed_pos = meta->sealed_pos;
	info->phys_extents = meta->phys_extents;
	info->lsn = BufferGetLSNAtomic(buf);
	UnlockReleaseBuffer(buf);
}

void
pt_log_info(Relation rel, PtLogInfo *info)
{
	pt_locator_info(rel, &pt_rel_locator(rel), info);
}

/*
 * Copies n entries, from a place on, out of a directory page; false when the
 * page is none of this log's now.
 */
static bool
read_dir_entries(Relation rel, const RelFileLocator *locator, BlockNumber block,
				 const PtDirPlace *place, PtDirEntry *entries, int n)
{
	Buffer		buf = pt_read_block(rel, locator, block, NULL);
	Page		page = BufferGetPage(buf);
	bool		found = false;

	Assert(n > 0 && place->slot + n <= PT_DIR_PER_PAGE);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	if (!PageIsNew(page) && pt_page_special(page)->kind == PT_PAGE_DIRECTORY &&
		pt_page_special(page)->block == place->page)
	{
		memcpy(entries, &pt_dir_page(page)[place->slot], n * sizeof(PtDirEntry));
		found = true;
	}
	UnlockReleaseBuffer(buf);
	return found;
}

/*
 * The directory entries of logical extents from this one on, at most max and
 * only those of one page; returns how many.  0: the extent is not (or no
 * longer) there.
 */
int
pt_extents_read(Relation rel, const RelFileLocator *locator, uint64 extent, PtDirEntry *entries, int max)
{
	Buffer		buf = lock_meta(rel, locator, BUFFER_LOCK_SHARE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));
	bool		there = extent >= meta->first_extent && extent < meta->next_extent;
	PtDirPlace	place;
	BlockNumber block = InvalidBlockNumber;
	int			n = there ? (int) Min((uint64) max, meta->next_extent - extent) : 0;

	if (there && pt_dir_place(extent, &place))
	{
		block = pt_dir_block(meta, &place);
		n = Min(n, PT_DIR_PER_PAGE - (int) place.slot);
	}
	else if (there)
	{
		n = Min(n, PT_DIR_INLINE - (int) place.slot);
		memcpy(entries, &meta->entries[place.slot], n * sizeof(PtDirEntry));
	}
	UnlockReleaseBuffer(buf);
	if (block != InvalidBlockNumber && !read_dir_entries(rel, locator, block, &place, entries, n))
		return 0;
	return n;
}

/* One entry; false when it is not (or no longer) there. */
bool
pt_extent_lookup(Relation rel, const RelFileLocator *locator, uint64 extent, PtDirEntry *entry)
{
	return pt_extents_read(rel, locator, extent, entry, 1) == 1;
}

/*
 * Makes sure that block "need" of a physical extent is in the file, which has
 * "have" blocks; returns how many it has then.  Extents are extended at once,
 * only the first one of a file grows by doubling, so that small logs stay
 * small.
 */
BlockNumber
pt_file_extend(Relation rel, BlockNumber have, uint32 phys, BlockNumber need)
{
	uint64		end = 1 + ((uint64) phys + 1) * PT_EXTENT_BLOCKS;

	Assert(need >= pt_extent_block(phys) && need < end);
	if (need < have)
		return have;
	if (phys == 0)
		end = Min(end, Max(need + 1, Max(1 + 8, 1 + 2 * (have - 1))));
	if (end > MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("log of \"%s\" has reached its greatest size", RelationGetRelationName(rel)),
				 errhint("Lower the topic's retention, or use more partitions.")));
	Assert(end > need && end > have);
	pt_reserve(RelationGetSmgr(rel), have, (BlockNumber) end - have);
	return (BlockNumber) end;
}

/*
 * The next logical extent gets a physical one: a freed one, else a new one at
 * the end of the file.  "next" has base offset and ordinal; prev_max_timestamp
 * is of the extent before.  Returns the physical number.
 */
uint32
pt_extent_take(Relation rel, const PtDirEntry *next, int64 prev_max_timestamp)
{
	Buffer		metabuf = lock_meta(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	Buffer		dirbuf = InvalidBuffer;
	Buffer		prevbuf = InvalidBuffer;
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(metabuf));
	PtDirPlace	place;
	PtDirPlace	prev;
	xl_pt_extent x;

	memset(&x, 0, sizeof(x));
	x.extent = meta->next_extent;
	x.entry = *next;
	x.prev_max_timestamp = prev_max_timestamp;
	x.free_extent = meta->free_extent;
	x.free_head = meta->free_head;
	x.phys_extents = meta->phys_extents;
	x.dir_phys = x.dir_cleared = PT_INVALID_EXTENT;
	x.entry.phys = choose_physical(rel, meta, &x);
	if (pt_dir_place(x.extent, &place))
	{
		choose_directory(meta, &place, &x);
		dirbuf = lock_dir_page(rel, meta, &place, x.dir_phys, true);
	}
	if (x.extent > 0 && pt_dir_place(x.extent - 1, &prev) && prev.page != place.page)
		prevbuf = lock_dir_page(rel, meta, &prev, PT_INVALID_EXTENT, false);
	Assert(x.entry.phys < x.phys_extents && x.free_extent <= meta->first_extent);
	Assert(x.dir_phys == PT_INVALID_EXTENT || x.dir_phys != x.entry.phys);
	log_extent(rel, metabuf, dirbuf, prevbuf, &x);
	if (BufferIsValid(prevbuf))
		UnlockReleaseBuffer(prevbuf);
	if (BufferIsValid(dirbuf))
		UnlockReleaseBuffer(dirbuf);
	UnlockReleaseBuffer(metabuf);
	return x.entry.phys;
}

/*
 * The oldest freed extent when there is one (its number is in the entry that
 * still names it), else the next of the file, whose space is reserved here so
 * that a full disk is found now.
 */
static uint32
choose_physical(Relation rel, const PtMetaPage *meta, xl_pt_extent *x)
{
	uint32		phys;

	while (x->free_extent < meta->first_extent)
	{
		uint64		extent = x->free_extent++;
		PtDirPlace	place;
		PtDirEntry	entry;

		if (!pt_dir_place(extent, &place))
			entry = meta->entries[place.slot];
		else if (!read_dir_entries(rel, &pt_rel_locator(rel), pt_dir_block(meta, &place), &place, &entry, 1))
			continue;
		if (entry.phys != PT_INVALID_EXTENT)
		{
			/* standbys may still have queries that read what was there */
			x->horizon = XidFromFullTransactionId(ReadNextFullTransactionId());
			TransactionIdRetreat(x->horizon);
			return entry.phys;
		}
	}
	phys = x->phys_extents++;
	if (phys > 0)
	{
		BlockNumber have = RelationGetNumberOfBlocks(rel);
		BlockNumber last = pt_extent_block(phys) + PT_EXTENT_BLOCKS - 1;

		(void) pt_file_extend(rel, have, phys, last);
	}
	return phys;
}

/*
 * A directory page that begins a directory extent needs one: that of the
 * oldest part of the directory when all of its entries have been reused, else
 * a new one.
 */
static void
choose_directory(const PtMetaPage *meta, const PtDirPlace *place, xl_pt_extent *x)
{
	uint64		oldest = place->dir_extent;
	PtDirPlace	free_place;

	if (place->slot != 0 || place->page % PT_EXTENT_BLOCKS != 0)
		return;
	if (x->free_extent >= PT_DIR_INLINE && pt_dir_place(x->free_extent, &free_place))
	{
		oldest = place->dir_extent >= PT_DIR_EXTENTS ? place->dir_extent - PT_DIR_EXTENTS + 1 : 0;
		for (; oldest < free_place.dir_extent; oldest++)
		{
			if (meta->dir_extents[oldest % PT_DIR_EXTENTS] != PT_INVALID_EXTENT)
			{
				x->dir_cleared = oldest % PT_DIR_EXTENTS;
				x->dir_phys = meta->dir_extents[x->dir_cleared];
				return;
			}
		}
	}
	if (meta->dir_extents[place->dir_extent % PT_DIR_EXTENTS] != PT_INVALID_EXTENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("directory of a topic's log is full"),
				 errhint("Lower the topic's retention, or use more partitions.")));
	x->dir_phys = x->phys_extents++;
}

/*
 * A directory page, exclusively locked; with init and at its first entry as
 * empty memory.
 */
static Buffer
lock_dir_page(Relation rel, const PtMetaPage *meta, const PtDirPlace *place, uint32 dir_phys,
			  bool init)
{
	BlockNumber block;
	Buffer		buf;

	if (dir_phys == PT_INVALID_EXTENT)
		block = pt_dir_block(meta, place);
	else
	{
		block = pt_extent_block(dir_phys) + (BlockNumber) (place->page % PT_EXTENT_BLOCKS);
		(void) pt_file_extend(rel, RelationGetNumberOfBlocks(rel), dir_phys,
							  pt_extent_block(dir_phys) + PT_EXTENT_BLOCKS - 1);
	}
	if (place->slot == 0 && init)
		return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);
	buf = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	return buf;
}

/* The change and its WAL record, on locked pages. */
static void
log_extent(Relation rel, Buffer metabuf, Buffer dirbuf, Buffer prevbuf, const xl_pt_extent *x)
{
	PtDirPlace	place;
	XLogRecPtr	lsn;
	bool		init = false;

	START_CRIT_SECTION();
	pt_meta_apply_extent(BufferGetPage(metabuf), x);
	MarkBufferDirty(metabuf);
	XLogBeginInsert();
	XLogRegisterData((char *) x, sizeof(*x));
	XLogRegisterBuffer(0, metabuf, pt_wal_page_flags(rel));
	if (BufferIsValid(dirbuf))
	{
		(void) pt_dir_place(x->extent, &place);
		init = place.slot == 0;
		pt_dir_apply(BufferGetPage(dirbuf), x, init);
		MarkBufferDirty(dirbuf);
		XLogRegisterBuffer(1, dirbuf, init ? REGBUF_WILL_INIT | REGBUF_STANDARD : pt_wal_page_flags(rel));
	}
	if (BufferIsValid(prevbuf))
	{
		pt_dir_apply_prev(BufferGetPage(prevbuf), x);
		MarkBufferDirty(prevbuf);
		XLogRegisterBuffer(2, prevbuf, pt_wal_page_flags(rel));
	}
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_EXTENT);
	PageSetLSN(BufferGetPage(metabuf), lsn);
	if (BufferIsValid(dirbuf))
		PageSetLSN(BufferGetPage(dirbuf), lsn);
	if (BufferIsValid(prevbuf))
		PageSetLSN(BufferGetPage(prevbuf), lsn);
	END_CRIT_SECTION();
}

/*
 * What the meta page says now, so that each who changes a part of it leaves
 * the rest as it is.
 */
static xl_pt_meta
current_meta(Buffer buf)
{
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));

	return (xl_pt_meta)
	{
		.first_extent = meta->first_extent,
			.start_pos = meta->start_pos,
			.start_offset = meta->start_offset,
			.start_ordinal = meta->start_ordinal,
			.sealed_pos = meta->sealed_pos
	};
}

/* Changes the locked meta page, and lets it go. */
static XLogRecPtr
set_meta(Buffer buf, const xl_pt_meta *x)
{
	XLogRecPtr	lsn;

	START_CRIT_SECTION();
	pt_meta_apply(BufferGetPage(buf), x);
	MarkBufferDirty(buf);
	XLogBeginInsert();
	XLogRegisterData((char *) x, sizeof(*x));
	XLogRegisterBuffer(0, buf, REGBUF_STANDARD);
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_META);	/* PageSetLSN evaluates its
												 * argument twice */
	PageSetLSN(BufferGetPage(buf), lsn);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buf);
	return lsn;
}

/* Moves the sealed position; see xl_pt_meta for "newest". */
XLogRecPtr
pt_meta_seal(Relation rel, PtLogPos sealed, TransactionId newest)
{
	Buffer		buf = lock_meta(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	x.sealed_pos = sealed;
	x.sealed_xid = newest;
	return set_meta(buf, &x);
}

/*
 * Moves the start of the log, never back: InvalidXLogRecPtr when somebody else
 * has moved it as far already.
 */
XLogRecPtr
pt_meta_trim(const RelFileLocator *locator, const PtLogStart *start)
{
	Buffer		buf = lock_meta(NULL, locator, BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	if (start->offset <= x.start_offset)
	{
		UnlockReleaseBuffer(buf);
		return InvalidXLogRecPtr;
	}
	Assert(start->pos >= x.start_pos && start->ordinal >= x.start_ordinal);
	x.start_pos = start->pos;
	x.start_offset = start->offset;
	x.start_ordinal = start->ordinal;
	return set_meta(buf, &x);
}
