/*-------------------------------------------------------------------------
 *
 * meta.c
 *	  The meta page and the directory: which physical extent holds what.
 *
 * Readers look an extent up with share locks on the meta page and then on a
 * directory page, never both.  Taking an extent holds the meta page
 * exclusively throughout; only the holder of the append lock does that, so
 * there is no race between two takers, only between a taker, readers, and
 * those who free extents (space.c).
 *
 * Taking an extent is not undone by an abort: the next transaction goes on
 * where this one stopped, and finds the extent there.
 *
 * Siblings: space.c (which physical extents are free), page.c (the changes
 * themselves), wal.c (redo of them).
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

/* The locked pages of one EXTENT, as its WAL record numbers them. */
typedef struct ExtentPages
{
	Buffer		meta;
	Buffer		dir;			/* InvalidBuffer: none; the others, too */
	Buffer		prev;
	Buffer		map[2];
} ExtentPages;

static void take_directory(Relation rel, const PtMetaPage *meta, const PtDirPlace *place, PtSpaceCounts *counts, xl_pt_extent *x);
static void lock_maps(Relation rel, const PtMetaPage *meta, xl_pt_extent *x, ExtentPages *pages);
static int64 prev_running_max(const ExtentPages *pages, uint64 extent);
static Buffer lock_dir_page(Relation rel, const PtMetaPage *meta, const PtDirPlace *place, uint32 dir_phys,
							bool init);
static void register_page(Relation rel, uint8 id, Buffer buf, bool init);
static void log_extent(Relation rel, const ExtentPages *pages, const xl_pt_extent *x);
static void release_pages(const ExtentPages *pages);

/*
 * Pins a block of the main fork, through the relation when there is one (which
 * counts for pg_statio), else by locator.  ERROR PT_ERRCODE_NOT_AT_HAND with
 * pt_at_hand_only.
 */
Buffer
pt_read_block(Relation rel, const RelFileLocator *locator, BlockNumber block,
			  BufferAccessStrategy strategy)
{
	pt_need_at_hand(locator, block);
	if (rel)
		return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	return ReadBufferWithoutRelcache(*locator, MAIN_FORKNUM, block, RBM_NORMAL, strategy, true);
}

/* The meta page, pinned and locked; ERROR when it is not one. */
Buffer
pt_meta_lock(Relation rel, const RelFileLocator *locator, int mode)
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
	pt_check_meta(locator, meta);
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
	Buffer		buf = pt_meta_lock(rel, locator, BUFFER_LOCK_SHARE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));

	info->first_extent = meta->first_extent;
	info->next_extent = meta->next_extent;
	info->start_offset = meta->start_offset;
	info->start_ordinal = meta->start_ordinal;
	info->start_pos = meta->start_pos;
	info->sealed_pos = meta->sealed_pos;
	info->clean_offset = meta->clean_offset;
	info->hole_from = meta->hole_from;
	info->hole_to = meta->hole_to;
	info->swapped = meta->swapped;
	info->free_extent = meta->free_extent;
	info->producers_pos = meta->producers_pos;
	info->phys_extents = meta->phys_extents;
	info->free_phys = meta->free_phys;
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
	if (pt_page_is(page, PT_PAGE_DIRECTORY, place->page))
	{
		memcpy(entries, &pt_dir_page(page)[place->slot], n * sizeof(PtDirEntry));
		found = true;
	}
	UnlockReleaseBuffer(buf);
	return found;
}

/*
 * Where the directory entries from an extent on are: in *block, or in the meta
 * page (InvalidBlockNumber).  Returns how many of "max" are in one place.
 */
static int
find_entries(const PtMetaPage *meta, uint64 extent, PtDirPlace *place, int max, BlockNumber *block)
{
	bool		in_page = pt_dir_place(extent, place);
	int			in_place = (in_page ? PT_DIR_PER_PAGE : PT_DIR_INLINE) - (int) place->slot;

	*block = InvalidBlockNumber;
	if (extent >= meta->next_extent || (in_page && place->dir_extent < meta->free_dir_extent))
		return 0;
	if (in_page)
		*block = pt_dir_block(meta, place);
	return (int) Min((uint64) Min(max, in_place), meta->next_extent - extent);
}

/*
 * The directory entries of logical extents from this one on, at most max and
 * only those of one page; returns how many.  0: the extent is not there.
 *
 * An extent before the start of the log has its entry for a while, and so has
 * its pages who began to read earlier.  Whether they are still there, the
 * pages say.
 */
int
pt_extents_read(Relation rel, const RelFileLocator *locator, uint64 extent, PtDirEntry *entries, int max)
{
	Buffer		buf = pt_meta_lock(rel, locator, BUFFER_LOCK_SHARE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));
	PtDirPlace	place;
	BlockNumber block;
	int			n = find_entries(meta, extent, &place, max, &block);

	if (n > 0 && block == InvalidBlockNumber)
		memcpy(entries, &meta->entries[place.slot], n * sizeof(PtDirEntry));
	UnlockReleaseBuffer(buf);
	if (block != InvalidBlockNumber && !read_dir_entries(rel, locator, block, &place, entries, n))
		return 0;
	return n;
}

/* The same under a lock on the meta page that the caller has. */
int
pt_entries_read(const RelFileLocator *locator, const PtMetaPage *meta, uint64 extent,
				PtDirEntry *entries, int max)
{
	PtDirPlace	place;
	BlockNumber block;
	int			n = find_entries(meta, extent, &place, max, &block);

	if (n > 0 && block == InvalidBlockNumber)
		memcpy(entries, &meta->entries[place.slot], n * sizeof(PtDirEntry));
	else if (n > 0 && !read_dir_entries(NULL, locator, block, &place, entries, n))
		return 0;
	return n;
}

/*
 * Can the entry of a logical extent be looked up without waiting for the disk?
 * If not, what is needed for it is being read.
 */
bool
pt_extent_at_hand(const RelFileLocator *locator, uint64 extent)
{
	BlockNumber block;
	PtDirPlace	place;
	Buffer		buf;

	if (!pt_block_at_hand(locator, PT_META_BLOCK))
		return false;
	buf = pt_meta_lock(NULL, locator, BUFFER_LOCK_SHARE);
	(void) find_entries(pt_meta_page(BufferGetPage(buf)), extent, &place, 1, &block);
	UnlockReleaseBuffer(buf);
	return block == InvalidBlockNumber || pt_block_at_hand(locator, block);
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
 * with the map page before, only the first one of a file grows by doubling, so
 * that small logs stay small.
 */
BlockNumber
pt_file_extend(Relation rel, BlockNumber have, uint32 phys, BlockNumber need)
{
	uint64		first = 2 + (uint64) pt_map_group(phys) + (uint64) phys * PT_EXTENT_BLOCKS;
	uint64		end = first + PT_EXTENT_BLOCKS;

	if (end > MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("log of \"%s\" has reached its greatest size", RelationGetRelationName(rel)),
				 errhint("Lower the topic's retention, or use more partitions.")));
	Assert(need >= first && need < end);
	if (need < have)
		return have;
	if (phys == 0)
		end = Min(end, Max(need + 1, Max(2 + 8, 2 * have)));
	Assert(end > need && end > have);
	pt_reserve(RelationGetSmgr(rel), have, (BlockNumber) end - have);
	return (BlockNumber) end;
}

/*
 * The same for those who do not know how long the file is.  It need not have
 * all of an extent that was taken: only the pages that were written are in
 * WAL, so after a loss of power, and on what was a standby, it ends with the
 * last of these.  Who makes a page behind the end of the file would have it in
 * a buffer, and readers, who ask the file, would not see it.
 */
void
pt_file_reach(Relation rel, uint32 phys, BlockNumber need)
{
	(void) pt_file_extend(rel, RelationGetNumberOfBlocks(rel), phys, need);
}

/*
 * The next logical extent gets a physical one.  "next" has base offset and
 * ordinal; prev_max_timestamp is of the extent before.  Returns the physical
 * number.  The caller has the append lock; errors leave no trace.
 */
uint32
pt_extent_take(Relation rel, const PtDirEntry *next, int64 prev_max_timestamp)
{
	Buffer		metabuf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(metabuf));
	PtSpaceCounts counts = pt_space_counts(meta);
	ExtentPages pages = {.meta = metabuf};
	PtDirPlace	place;
	PtDirPlace	prev;
	xl_pt_extent x;

	memset(&x, 0, sizeof(x));
	x.extent = meta->next_extent;
	x.entry = *next;
	x.prev_max_timestamp = prev_max_timestamp;
	x.dir_phys = PT_INVALID_EXTENT;
	x.entry.phys = pt_space_take(rel, meta, &counts, PT_INVALID_EXTENT, &x.reused);
	x.horizon = pt_space_horizon(x.reused);
	if (pt_dir_place(x.extent, &place))
	{
		take_directory(rel, meta, &place, &counts, &x);
		pages.dir = lock_dir_page(rel, meta, &place, x.dir_phys, true);
	}
	if (x.extent > 0 && pt_dir_place(x.extent - 1, &prev) && prev.page != place.page)
		pages.prev = lock_dir_page(rel, meta, &prev, PT_INVALID_EXTENT, false);
	x.entry.running_max = Max(prev_running_max(&pages, x.extent), prev_max_timestamp);
	Assert(x.dir_phys != x.entry.phys);
	x.phys_extents = counts.phys_extents;
	x.free_phys = counts.free_phys;
	x.free_from = counts.free_from;
	lock_maps(rel, meta, &x, &pages);
	log_extent(rel, &pages, &x);
	release_pages(&pages);
	return x.entry.phys;
}

/*
 * A directory page that begins a directory extent needs one; it is taken for
 * x, which says so.
 */
static void
take_directory(Relation rel, const PtMetaPage *meta, const PtDirPlace *place, PtSpaceCounts *counts, xl_pt_extent *x)
{
	uint64		reused;

	if (place->slot != 0 || place->page % PT_EXTENT_BLOCKS != 0)
		return;
	if (meta->dir_extents[place->dir_extent % PT_DIR_EXTENTS] != PT_INVALID_EXTENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("directory of a topic's log is full"),
				 errhint("Lower the topic's retention, or use more partitions.")));
	x->dir_phys = pt_space_take(rel, meta, counts, x->entry.phys, &reused);
}

/* Locks the map pages of what x takes; x says which of them are new. */
static void
lock_maps(Relation rel, const PtMetaPage *meta, xl_pt_extent *x, ExtentPages *pages)
{
	uint32		phys[] = {x->entry.phys, x->dir_phys};

	for (int i = 0; i < lengthof(phys); i++)
	{
		if (phys[i] == PT_INVALID_EXTENT || (i > 0 && pt_map_group(phys[i]) == pt_map_group(phys[0])))
			continue;
		x->map_init[i] = pt_map_group(phys[i]) * PT_MAP_EXTENTS >= meta->phys_extents;
		pages->map[i] = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(phys[i]), x->map_init[i]);
	}
}

/* The running maximum of timestamps as the extent before has it, -1: none. */
static int64
prev_running_max(const ExtentPages *pages, uint64 extent)
{
	PtDirPlace	prev;

	if (extent == 0)
		return -1;
	if (!pt_dir_place(extent - 1, &prev))
		return pt_meta_page(BufferGetPage(pages->meta))->entries[prev.slot].running_max;
	return pt_dir_page(BufferGetPage(BufferIsValid(pages->prev) ? pages->prev : pages->dir))[prev.slot].running_max;
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
		dir_phys = meta->dir_extents[place->dir_extent % PT_DIR_EXTENTS];
	block = pt_extent_block(dir_phys) + (BlockNumber) (place->page % PT_EXTENT_BLOCKS);
	if (place->slot == 0 && init)
	{
		pt_file_reach(rel, dir_phys, block);
		return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);
	}
	buf = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	return buf;
}

/* Registers a page that was changed; 0 bytes of it are data. */
static void
register_page(Relation rel, uint8 id, Buffer buf, bool init)
{
	MarkBufferDirty(buf);
	XLogRegisterBuffer(id, buf, init ? REGBUF_WILL_INIT | REGBUF_STANDARD : pt_wal_page_flags(rel));
}

/* The change and its WAL record, on locked pages. */
static void
log_extent(Relation rel, const ExtentPages *pages, const xl_pt_extent *x)
{
	Buffer		all[] = {pages->meta, pages->dir, pages->prev, pages->map[0], pages->map[1]};
	PtDirPlace	place;
	XLogRecPtr	lsn;
	bool		init = pt_dir_place(x->extent, &place) && place.slot == 0;

	START_CRIT_SECTION();
	pt_meta_apply_extent(BufferGetPage(pages->meta), x);
	if (BufferIsValid(pages->dir))
		pt_dir_apply(BufferGetPage(pages->dir), x, init);
	if (BufferIsValid(pages->prev))
		pt_dir_apply_prev(BufferGetPage(pages->prev), x);
	for (int i = 0; i < lengthof(pages->map); i++)
	{
		if (BufferIsValid(pages->map[i]))
			pt_map_apply_extent(BufferGetPage(pages->map[i]), x, i);
	}
	XLogBeginInsert();
	XLogRegisterData((char *) x, sizeof(*x));
	for (int i = 0; i < lengthof(all); i++)
	{
		if (BufferIsValid(all[i]))
			register_page(rel, (uint8) i, all[i], i == 1 ? init : i >= 3 && x->map_init[i - 3]);
	}
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_EXTENT);
	for (int i = 0; i < lengthof(all); i++)
	{
		if (BufferIsValid(all[i]))
			PageSetLSN(BufferGetPage(all[i]), lsn);
	}
	END_CRIT_SECTION();
}

static void
release_pages(const ExtentPages *pages)
{
	Buffer		all[] = {pages->map[1], pages->map[0], pages->prev, pages->dir, pages->meta};

	for (int i = 0; i < lengthof(all); i++)
	{
		if (BufferIsValid(all[i]))
			UnlockReleaseBuffer(all[i]);
	}
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
			.sealed_pos = meta->sealed_pos,
			.producers_pos = meta->producers_pos,
			.clean_offset = meta->clean_offset
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
	Buffer		buf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	x.sealed_pos = sealed;
	x.sealed_xid = newest;
	return set_meta(buf, &x);
}

/* Compaction has left no key two records up to an offset, exclusive. */
void
pt_meta_clean(Relation rel, int64 offset)
{
	Buffer		buf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	x.clean_offset = Max(x.clean_offset, offset);
	(void) set_meta(buf, &x);
}

/*
 * Has compaction moved what was at a place since it was found?  The caller has
 * the meta page locked.
 */
static bool
place_is_old(const RelFileLocator *locator, Buffer buf, PtLogPos pos, uint32 swapped)
{
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(buf));
	PtDirEntry	entry;

	return meta->swapped > swapped &&
		(pt_entries_read(locator, meta, pt_pos_extent(pos), &entry, 1) == 0 ||
		 entry.phys == PT_INVALID_EXTENT || entry.generation > swapped);
}

/*
 * Moves the start of the log, never back: InvalidXLogRecPtr when somebody else
 * has moved it as far already, or the frame is elsewhere now (*moved).
 */
XLogRecPtr
pt_meta_trim(const RelFileLocator *locator, const PtLogStart *start, bool *moved)
{
	Buffer		buf = pt_meta_lock(NULL, locator, BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	*moved = start->offset > x.start_offset && place_is_old(locator, buf, start->pos, start->swapped);
	if (*moved || start->offset <= x.start_offset)
	{
		UnlockReleaseBuffer(buf);
		return InvalidXLogRecPtr;
	}
	Assert(start->pos >= x.start_pos && start->ordinal >= x.start_ordinal);
	x.first_extent = pt_first_kept(start->pos, x.producers_pos);
	x.start_pos = start->pos;
	x.start_offset = start->offset;
	x.start_ordinal = start->ordinal;
	return set_meta(buf, &x);
}

/*
 * All that is to be known of the log's producers begins at "pos" now.  Never
 * goes back: InvalidXLogRecPtr when it is there already, or further.
 */
XLogRecPtr
pt_meta_producers(const RelFileLocator *locator, PtLogPos pos)
{
	Buffer		buf = pt_meta_lock(NULL, locator, BUFFER_LOCK_EXCLUSIVE);
	xl_pt_meta	x = current_meta(buf);

	if (pos <= x.producers_pos)
	{
		UnlockReleaseBuffer(buf);
		return InvalidXLogRecPtr;
	}
	x.first_extent = pt_first_kept(x.start_pos, pos);
	x.producers_pos = pos;
	return set_meta(buf, &x);
}
