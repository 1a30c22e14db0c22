/*-------------------------------------------------------------------------
 *
 * swap.c
 *	  Other physical extents take the place of a group of extents.
 *
 * What compaction leaves of a group of extents is written into physical
 * extents that are in no directory yet (CLAIM, COPY), and then put into the
 * directory by one WAL record (SWAP).  What the group had becomes free, and
 * may be used again after pgtopic.file_delete_delay and when nobody holds it.
 *
 * After a crash, and after an error, claimed extents are left that were never
 * swapped: pt_swap_return frees them.  Only one process at a time compacts a
 * log, as it has ShareUpdateExclusiveLock on the relation.
 *
 * Lock order: meta page, directory pages, map pages, page of the moved frame.
 *
 * Siblings: compact.c decides, copy.c writes, page.c and wal.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/transam.h"
#include "access/xloginsert.h"
#include "miscadmin.h"

#include "log/internal.h"

/* The locked pages of one SWAP, as its WAL record numbers them. */
typedef struct SwapPages
{
	Buffer		all[1 + PT_SWAP_DIR + PT_SWAP_MAP + 1];
	int			n;
	uint32		groups[PT_SWAP_MAP];	/* of the map pages */
} SwapPages;

static void hole_out(PtDirEntry *entries, uint64 first, int n, const xl_pt_swap *x);
static const uint32 *freed_by(const xl_pt_swap *x);
static void settle_fields(const PtMetaPage *meta, const PtSwap *swap);
static void collect_freed(Relation rel, const PtMetaPage *meta, xl_pt_swap *x);
static void lock_directory(Relation rel, const PtMetaPage *meta, xl_pt_swap *x, SwapPages *pages);
static void lock_maps(Relation rel, xl_pt_swap *x, SwapPages *pages);
static BlockNumber find_moved(Relation rel, const PtMetaPage *meta, const PtSwap *swap);
static void lock_moved(Relation rel, BlockNumber block, const PtSwap *swap, SwapPages *pages);
static void log_swap(Relation rel, const xl_pt_swap *x, const SwapPages *pages);
static int	return_group(Relation rel, uint32 group);

/* Bytes of the largest record. */
Size
pt_swap_size(void)
{
	return sizeof(xl_pt_swap) + PT_SWAP_EXTENTS * (sizeof(PtDirEntry) + sizeof(uint32));
}

/* The entries that it puts in. */
PtDirEntry *
pt_swap_entries(xl_pt_swap *x)
{
	return (PtDirEntry *) (x + 1);
}

static const uint32 *
freed_by(const xl_pt_swap *x)
{
	return (const uint32 *) (pt_swap_entries(unconstify(xl_pt_swap *, x)) + x->nout);
}

/*
 * changes of pages, also in redo
 */

void
pt_meta_apply_claim(Page page, const xl_pt_claim *x)
{
	PtMetaPage *meta = pt_meta_page(page);

	Assert(x->generation == meta->generation + 1);
	Assert(x->phys < x->phys_extents && x->phys_extents >= meta->phys_extents);
	meta->generation = x->generation;
	meta->phys_extents = x->phys_extents;
	meta->free_phys = x->free_phys;
	meta->free_from = x->free_from;
}

void
pt_map_apply_claim(Page page, const xl_pt_claim *x)
{
	if (x->map_init)
		pt_map_init(page, pt_map_group(x->phys));
	Assert(pt_page_special(page)->kind == PT_PAGE_MAP && pt_page_special(page)->block == pt_map_group(x->phys));
	*pt_map_entry(page, x->phys) = (PtMapEntry)
	{
		.extent = x->extent,.state = PT_MAP_COPY
	};
}

/*
 * The part of a SWAP that lies among n directory entries, from that of extent
 * "first" on.
 */
static void
hole_out(PtDirEntry *entries, uint64 first, int n, const xl_pt_swap *x)
{
	const PtDirEntry *out = pt_swap_entries(unconstify(xl_pt_swap *, x));

	for (int i = 0; i < n; i++)
	{
		uint64		extent = first + i;

		if (extent >= x->out_from && extent < x->out_from + x->nout)
			entries[i] = out[extent - x->out_from];
		else if (extent >= x->in_from && extent < x->in_to)
			entries[i].phys = PT_INVALID_EXTENT;
	}
}

void
pt_meta_apply_swap(Page page, const xl_pt_swap *x)
{
	PtMetaPage *meta = pt_meta_page(page);

	Assert(x->in_from < x->in_to && x->in_to <= x->out_from + x->nout && x->out_from >= x->in_from);
	Assert(x->first_extent >= meta->first_extent && x->out_from + x->nout <= meta->next_extent);
	Assert(x->hole_from == x->hole_to || x->hole_from > x->first_extent);
	meta->hole_from = x->hole_from;
	meta->hole_to = x->hole_to;
	meta->first_extent = x->first_extent;
	meta->start_pos = x->start_pos;
	meta->free_phys = x->free_phys;
	meta->free_from = x->free_from;
	meta->swapped = meta->generation;
	hole_out(meta->entries, 0, PT_DIR_INLINE, x);
}

void
pt_dir_apply_swap(Page page, const xl_pt_swap *x)
{
	Assert(pt_page_special(page)->kind == PT_PAGE_DIRECTORY);
	hole_out(pt_dir_page(page), PT_DIR_INLINE + pt_page_special(page)->block * PT_DIR_PER_PAGE,
			 PT_DIR_PER_PAGE, x);
}

void
pt_map_apply_swap(Page page, const xl_pt_swap *x)
{
	uint32		group = (uint32) pt_page_special(page)->block;
	const PtDirEntry *out = pt_swap_entries(unconstify(xl_pt_swap *, x));

	Assert(pt_page_special(page)->kind == PT_PAGE_MAP);
	for (int i = 0; i < x->nout; i++)
	{
		if (pt_map_group(out[i].phys) != group)
			continue;
		Assert(pt_map_entry(page, out[i].phys)->state == PT_MAP_COPY);
		pt_map_entry(page, out[i].phys)->state = PT_MAP_DATA;
	}
	for (int i = 0; i < x->nfreed; i++)
	{
		PtMapEntry *entry = pt_map_entry(page, freed_by(x)[i]);

		if (pt_map_group(freed_by(x)[i]) != group)
			continue;
		Assert(entry->state == PT_MAP_DATA);
		entry->state = PT_MAP_FREE;
		entry->freed_at = x->freed_at;
	}
}

/* The frame that is put elsewhere stays where it was, and is hidden. */
void
pt_page_apply_moved(Page page, const xl_pt_swap *x)
{
	PtFrameHeader *head = (PtFrameHeader *) ((char *) page + x->moved_at);

	Assert(x->moved_at == MAXALIGN(x->moved_at) && x->moved_at >= PT_PAGE_FIRST);
	head->flags |= PT_FRAME_MOVED;
}

/*
 * claiming
 */

/*
 * Takes a physical extent that will get a logical number of a group.  Returns
 * it; *generation is what its pages carry.
 */
uint32
pt_swap_claim(Relation rel, uint64 extent, uint32 *generation)
{
	Buffer		metabuf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(metabuf));
	PtSpaceCounts counts = pt_space_counts(meta);
	xl_pt_claim x;
	XLogRecPtr	lsn;
	Buffer		mapbuf;

	memset(&x, 0, sizeof(x));
	x.phys = pt_space_take(rel, meta, &counts, PT_INVALID_EXTENT, &x.reused);
	x.extent = extent;
	x.generation = meta->generation + 1;
	x.phys_extents = counts.phys_extents;
	x.free_phys = counts.free_phys;
	x.free_from = counts.free_from;
	x.horizon = pt_space_horizon(x.reused);
	x.map_init = pt_map_group(x.phys) * PT_MAP_EXTENTS >= meta->phys_extents;
	mapbuf = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(x.phys), x.map_init);
	START_CRIT_SECTION();
	pt_meta_apply_claim(BufferGetPage(metabuf), &x);
	pt_map_apply_claim(BufferGetPage(mapbuf), &x);
	MarkBufferDirty(metabuf);
	MarkBufferDirty(mapbuf);
	XLogBeginInsert();
	XLogRegisterData((char *) &x, sizeof(x));
	XLogRegisterBuffer(0, metabuf, pt_wal_page_flags(rel));
	XLogRegisterBuffer(1, mapbuf, x.map_init ? REGBUF_WILL_INIT | REGBUF_STANDARD : pt_wal_page_flags(rel));
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_CLAIM);
	PageSetLSN(BufferGetPage(metabuf), lsn);
	PageSetLSN(BufferGetPage(mapbuf), lsn);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(mapbuf);
	UnlockReleaseBuffer(metabuf);
	*generation = x.generation;
	return x.phys;
}

/*
 * swapping
 */

/* What the meta page will say of holes and of the log's start. */
static void
settle_fields(const PtMetaPage *meta, const PtSwap *swap)
{
	xl_pt_swap *x = swap->record;

	Assert(meta->hole_from == meta->hole_to ? x->out_from + x->nout == x->in_to :
		   x->in_to == meta->hole_from && x->out_from + x->nout == meta->hole_to);
	x->first_extent = meta->first_extent;
	x->start_pos = swap->start_pos != 0 ? swap->start_pos : meta->start_pos;
	x->hole_from = x->hole_to = 0;
	if (x->in_from == meta->first_extent)
		x->first_extent = x->out_from;
	else if (x->in_from < x->out_from)
	{
		x->hole_from = x->in_from;
		x->hole_to = x->out_from;
	}
	x->freed_at = (uint32) time(NULL);
}

static int
compare_phys(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

/* What the group has now, which will be free. */
static void
collect_freed(Relation rel, const PtMetaPage *meta, xl_pt_swap *x)
{
	uint32	   *freed = unconstify(uint32 *, freed_by(x));

	Assert(x->in_to - x->in_from <= PT_SWAP_EXTENTS);
	x->nfreed = 0;
	x->free_from = meta->free_from;
	for (uint64 extent = x->in_from; extent < x->in_to; extent++)
	{
		PtDirEntry	entry;

		if (pt_entries_read(&pt_rel_locator(rel), meta, extent, &entry, 1) != 1 ||
			entry.phys == PT_INVALID_EXTENT || entry.phys >= meta->phys_extents)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("directory entry %llu of \"%s\" is damaged", (unsigned long long) extent,
							RelationGetRelationName(rel))));
		freed[x->nfreed++] = entry.phys;
		x->free_from = Min(x->free_from, entry.phys);
	}
	qsort(freed, x->nfreed, sizeof(uint32), compare_phys);
	x->free_phys = meta->free_phys + x->nfreed;
}

/* The directory pages of all extents that change, in order. */
static void
lock_directory(Relation rel, const PtMetaPage *meta, xl_pt_swap *x, SwapPages *pages)
{
	uint64		last = PG_UINT64_MAX;
	PtDirPlace	place;

	x->ndir = 0;
	for (uint64 extent = x->in_from; extent < x->out_from + x->nout; extent++)
	{
		Buffer		buf;

		if (extent >= x->in_to && extent < x->out_from)
			extent = x->out_from;	/* holes, and they stay so */
		if (extent == x->out_from + x->nout)
			break;
		if (!pt_dir_place(extent, &place) || place.page == last)
			continue;
		if (x->ndir == PT_SWAP_DIR)
			elog(ERROR, "too many directory pages in one swap");
		buf = pt_read_block(rel, &pt_rel_locator(rel), pt_dir_block(meta, &place), NULL);
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		pages->all[pages->n++] = buf;
		x->ndir++;
		last = place.page;
	}
}

/* The map pages of what is freed and of what is put in, in order. */
static void
lock_maps(Relation rel, xl_pt_swap *x, SwapPages *pages)
{
	uint32		phys[2 * PT_SWAP_EXTENTS];
	int			n = 0;

	for (int i = 0; i < x->nout; i++)
		phys[n++] = pt_swap_entries(x)[i].phys;
	for (int i = 0; i < x->nfreed; i++)
		phys[n++] = freed_by(x)[i];
	qsort(phys, n, sizeof(uint32), compare_phys);
	x->nmap = 0;
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && pt_map_group(phys[i]) == pt_map_group(phys[i - 1]))
			continue;
		if (x->nmap == PT_SWAP_MAP)
			elog(ERROR, "too many map pages in one swap");
		pages->all[pages->n++] = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(phys[i]), false);
		x->nmap++;
	}
}

/*
 * Where the page of the frame is that is moved; InvalidBlockNumber: none is.
 * To be asked before directory pages are locked, as its entry is on one.
 */
static BlockNumber
find_moved(Relation rel, const PtMetaPage *meta, const PtSwap *swap)
{
	uint64		extent = pt_pos_extent(swap->moved);
	PtDirEntry	entry;

	if (swap->moved == 0)
		return InvalidBlockNumber;
	Assert(extent < swap->record->in_from);
	if (pt_entries_read(&pt_rel_locator(rel), meta, extent, &entry, 1) != 1 || entry.phys == PT_INVALID_EXTENT)
		elog(ERROR, "extent %llu of \"%s\" is not there", (unsigned long long) extent, RelationGetRelationName(rel));
	return pt_extent_block(entry.phys) + (BlockNumber) (pt_pos_block(swap->moved) % PT_EXTENT_BLOCKS);
}

/* The page of the frame that is moved, if one is. */
static void
lock_moved(Relation rel, BlockNumber block, const PtSwap *swap, SwapPages *pages)
{
	Buffer		buf;

	swap->record->moved_at = 0;
	if (block == InvalidBlockNumber)
		return;
	buf = pt_read_block(rel, &pt_rel_locator(rel), block, NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	pages->all[pages->n++] = buf;
	if (pt_page_special(BufferGetPage(buf))->block != pt_pos_block(swap->moved))
		elog(ERROR, "frame at position %llu of \"%s\" has vanished", (unsigned long long) swap->moved,
			 RelationGetRelationName(rel));
	swap->record->moved_at = (uint16) pt_pos_byte(swap->moved);
}

/* The change and its WAL record, on locked pages. */
static void
log_swap(Relation rel, const xl_pt_swap *x, const SwapPages *pages)
{
	int			moved = 1 + x->ndir + x->nmap;
	XLogRecPtr	lsn;

	Assert(pages->n == moved + (x->moved_at != 0 ? 1 : 0));
	START_CRIT_SECTION();
	pt_meta_apply_swap(BufferGetPage(pages->all[0]), x);
	for (int i = 1; i < 1 + x->ndir; i++)
		pt_dir_apply_swap(BufferGetPage(pages->all[i]), x);
	for (int i = 1 + x->ndir; i < moved; i++)
		pt_map_apply_swap(BufferGetPage(pages->all[i]), x);
	if (x->moved_at != 0)
		pt_page_apply_moved(BufferGetPage(pages->all[moved]), x);
	XLogBeginInsert();
	XLogRegisterData((char *) unconstify(xl_pt_swap *, x),
					 sizeof(*x) + x->nout * sizeof(PtDirEntry) + x->nfreed * sizeof(uint32));
	for (int i = 0; i < pages->n; i++)
	{
		MarkBufferDirty(pages->all[i]);
		XLogRegisterBuffer((uint8) i, pages->all[i], pt_wal_page_flags(rel));
	}
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_SWAP);
	for (int i = 0; i < pages->n; i++)
		PageSetLSN(BufferGetPage(pages->all[i]), lsn);
	END_CRIT_SECTION();
}

/*
 * Puts a group into the directory.  False, and nothing is done, if the start
 * of the log has moved since the caller looked.  The caller has
 * ShareUpdateExclusiveLock, so that nobody else changes the directory but at
 * its end.
 */
bool
pt_swap_commit(Relation rel, PtSwap *swap)
{
	xl_pt_swap *x = swap->record;
	SwapPages	pages = {.n = 0};
	const PtMetaPage *meta;
	BlockNumber moved;
	bool		good;

	XLogEnsureRecordSpace(lengthof(pages.all), 4);
	pages.all[pages.n++] = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	meta = pt_meta_page(BufferGetPage(pages.all[0]));
	good = meta->start_offset == swap->start_offset;
	if (good)
	{
		settle_fields(meta, swap);
		collect_freed(rel, meta, x);
		moved = find_moved(rel, meta, swap);
		lock_directory(rel, meta, x, &pages);
		lock_maps(rel, x, &pages);
		lock_moved(rel, moved, swap, &pages);
		/* who maps an extent anew must not believe that it is in the file */
		pt_state_swapped(&pt_rel_locator(rel), x->out_from + x->nout);
		log_swap(rel, x, &pages);
	}
	while (pages.n > 0)
		UnlockReleaseBuffer(pages.all[--pages.n]);
	return good;
}

/*
 * giving back
 */

/* The claimed extents of one map page; returns how many there were. */
static int
return_group(Relation rel, uint32 group)
{
	Buffer		metabuf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(metabuf));
	Buffer		mapbuf = pt_map_lock(rel, &pt_rel_locator(rel), group, false);
	union
	{
		xl_pt_free	head;
		char		space[SizeOfPtFree(PT_FREE_MAX)];
	}			record;
	xl_pt_free *x = &record.head;

	x->free_extent = meta->free_extent;
	x->free_dir_extent = meta->free_dir_extent;
	x->free_from = meta->free_from;
	x->n = 0;
	for (uint32 i = 0; i < PT_MAP_EXTENTS && x->n < PT_FREE_MAX; i++)
	{
		if (pt_map_page(BufferGetPage(mapbuf))[i].state == PT_MAP_COPY)
			x->phys[x->n++] = group * PT_MAP_EXTENTS + i;
	}
	x->free_phys = meta->free_phys + x->n;
	if (x->n > 0)
	{
		x->free_from = Min(x->free_from, x->phys[0]);
		pt_free_write(metabuf, &mapbuf, 1, x, pt_wal_page_flags(rel));
	}
	UnlockReleaseBuffer(mapbuf);
	UnlockReleaseBuffer(metabuf);
	return (int) x->n;
}

/*
 * Frees physical extents that a compaction has claimed and not used, because
 * of an error or a crash.  Returns how many.  The caller has
 * ShareUpdateExclusiveLock.
 */
int
pt_swap_return(Relation rel)
{
	PtLogInfo	info;
	int			all = 0;
	int			n;

	pt_log_info(rel, &info);
	for (uint32 group = 0; group * PT_MAP_EXTENTS < info.phys_extents; group++)
	{
		do
		{
			CHECK_FOR_INTERRUPTS();
			n = return_group(rel, group);
			all += n;
		} while (n == PT_FREE_MAX);
	}
	return all;
}
