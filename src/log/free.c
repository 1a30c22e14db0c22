/*-------------------------------------------------------------------------
 *
 * free.c
 *	  Giving back the space of what was removed from the start of a log.
 *
 * When the start has moved, the extents before it are put on the map as free,
 * in pieces of one WAL record (FREE).  Its place in the order of things: the
 * new start is durable, then the shared start says so, and then comes FREE.
 * So who gets a free extent knows that nobody believes in what was there, but
 * those who hold it (holds.c).
 *
 * Free extents at the end of the file are cut off by pt_log_shrink.
 *
 * Siblings: space.c has the maps, trim.c moves starts.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/storage.h"
#include "miscadmin.h"

#include "log/internal.h"
#include "stop_point.h"

/* A FREE that is being made up. */
typedef struct FreePiece
{
	Buffer		meta;
	int			npages;
	Buffer		pages[PT_FREE_PAGES];	/* map pages, locked, in order */
	union
	{
		xl_pt_free	head;
		char		space[SizeOfPtFree(PT_FREE_MAX)];
	}			record;
} FreePiece;

static bool free_piece(const RelFileLocator *locator, uint64 limit);
static int	groups_with(const xl_pt_free *x, uint32 group);
static bool add_phys(FreePiece *piece, uint32 phys);
static void collect_data(const RelFileLocator *locator, FreePiece *piece, const PtMetaPage *meta, uint64 limit);
static void collect_directory(const RelFileLocator *locator, FreePiece *piece, const PtMetaPage *meta);
static void lock_maps(const RelFileLocator *locator, FreePiece *piece);
static uint32 used_extents(Relation rel, const PtMetaPage *meta, uint32 *free_left);

/*
 * Puts the extents before the start of a log on the map as free, as far as
 * the start is known to everybody.  Called after a start was published, and by
 * VACUUM and housekeeping for what somebody left behind.  Needs no relation
 * and no catalog, and waits for nobody but short locks of pages.  ERRORs are
 * of the disk; what is left is freed the next time.
 */
void
pt_log_free(const RelFileLocator *locator)
{
	PtLogPos	start;

	if (RecoveryInProgress() || !pt_state_start(locator, &start))
		return;
	XLogEnsureRecordSpace(PT_FREE_PAGES + 1, 4);
	while (free_piece(locator, start == PG_UINT64_MAX ? PT_NO_EXTENT : pt_pos_extent(start)))
	{
		PT_STOP_POINT("free.piece");
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * One FREE; false when there is nothing left to do.  "limit" is the first
 * extent that somebody may still believe in.
 */
static bool
free_piece(const RelFileLocator *locator, uint64 limit)
{
	FreePiece	piece = {.meta = pt_meta_lock(NULL, locator, BUFFER_LOCK_EXCLUSIVE)};
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(piece.meta));
	xl_pt_free *x = &piece.record.head;
	bool		more;

	limit = Min(limit, meta->first_extent);
	x->free_extent = meta->free_extent;
	x->free_dir_extent = meta->free_dir_extent;
	x->free_from = meta->free_from;
	x->n = 0;
	collect_data(locator, &piece, meta, limit);
	collect_directory(locator, &piece, meta);
	more = x->free_extent > meta->free_extent || x->free_dir_extent > meta->free_dir_extent;
	if (more)
	{
		x->free_phys = meta->free_phys + x->n;
		for (uint32 i = 0; i < x->n; i++)
			x->free_from = Min(x->free_from, x->phys[i]);
		lock_maps(locator, &piece);
		pt_free_write(piece.meta, piece.pages, piece.npages, x, REGBUF_STANDARD);
	}
	while (piece.npages > 0)
		UnlockReleaseBuffer(piece.pages[--piece.npages]);
	UnlockReleaseBuffer(piece.meta);
	return more;
}

/* On how many map pages are the piece's extents and one of this group? */
static int
groups_with(const xl_pt_free *x, uint32 group)
{
	int			groups = 1;

	for (uint32 i = 0; i < x->n; i++)
	{
		uint32		other = pt_map_group(x->phys[i]);

		if (other != group && (i == 0 || other != pt_map_group(x->phys[i - 1])))
			groups++;
	}
	return groups;
}

/* Adds a physical extent to the piece, in order; false: it has no room. */
static bool
add_phys(FreePiece *piece, uint32 phys)
{
	xl_pt_free *x = &piece->record.head;
	uint32		at = x->n;

	if (x->n == PT_FREE_MAX || groups_with(x, pt_map_group(phys)) > PT_FREE_PAGES)
		return false;
	while (at > 0 && x->phys[at - 1] > phys)
	{
		x->phys[at] = x->phys[at - 1];
		at--;
	}
	Assert(at == 0 || x->phys[at - 1] < phys);
	x->phys[at] = phys;
	x->n++;
	return true;
}

/* The physical extents of dropped logical ones, from the oldest on. */
static void
collect_data(const RelFileLocator *locator, FreePiece *piece, const PtMetaPage *meta, uint64 limit)
{
	xl_pt_free *x = &piece->record.head;
	PtDirEntry	entries[PT_FREE_MAX];
	int			n = (int) Min(limit - x->free_extent, PT_FREE_MAX);

	if (limit <= x->free_extent)
		return;
	n = pt_entries_read(locator, meta, x->free_extent, entries, n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("directory entry %llu of the log in file %u is damaged",
						(unsigned long long) x->free_extent, (unsigned) pt_locator_number(*locator))));
	for (int i = 0; i < n; i++)
	{
		if (entries[i].phys != PT_INVALID_EXTENT &&
			(entries[i].phys >= meta->phys_extents || !add_phys(piece, entries[i].phys)))
			break;
		x->free_extent++;
	}
}

/*
 * Directory extents all of whose entries are of freed extents.  The one of the
 * newest extent stays: its entry is completed when the next is taken.  So do
 * those through which somebody still finds what he reads.
 */
static void
collect_directory(const RelFileLocator *locator, FreePiece *piece, const PtMetaPage *meta)
{
	xl_pt_free *x = &piece->record.head;
	uint64		from = Min(x->free_extent, pt_hold_oldest(locator));
	PtDirPlace	freed;
	PtDirPlace	newest;

	if (meta->next_extent == 0 || !pt_dir_place(from, &freed) ||
		!pt_dir_place(meta->next_extent - 1, &newest))
		return;
	while (x->free_dir_extent < Min(freed.dir_extent, newest.dir_extent))
	{
		uint32		phys = meta->dir_extents[x->free_dir_extent % PT_DIR_EXTENTS];

		if (phys != PT_INVALID_EXTENT && !add_phys(piece, phys))
			break;
		x->free_dir_extent++;
	}
}

static void
lock_maps(const RelFileLocator *locator, FreePiece *piece)
{
	const xl_pt_free *x = &piece->record.head;

	for (uint32 i = 0; i < x->n; i++)
	{
		uint32		group = pt_map_group(x->phys[i]);

		if (i > 0 && group == pt_map_group(x->phys[i - 1]))
			continue;
		Assert(piece->npages < PT_FREE_PAGES);
		piece->pages[piece->npages] = pt_map_lock(NULL, locator, group, false);
		piece->npages++;
	}
}

/*
 * The change and its WAL record, on locked pages: the meta page, and the map
 * pages of x in order.  "flags" are those with which pages are registered.
 */
void
pt_free_write(Buffer meta, const Buffer *maps, int nmaps, const xl_pt_free *x, uint8 flags)
{
	XLogRecPtr	lsn;

	Assert(nmaps >= 0 && nmaps <= PT_FREE_PAGES);
	START_CRIT_SECTION();
	pt_meta_apply_free(BufferGetPage(meta), x);
	MarkBufferDirty(meta);
	XLogBeginInsert();
	XLogRegisterData((char *) unconstify(xl_pt_free *, x), SizeOfPtFree(x->n));
	XLogRegisterBuffer(0, meta, flags);
	for (int i = 0; i < nmaps; i++)
	{
		pt_map_apply_free(BufferGetPage(maps[i]), x);
		MarkBufferDirty(maps[i]);
		XLogRegisterBuffer((uint8) (i + 1), maps[i], flags);
	}
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_FREE);
	PageSetLSN(BufferGetPage(meta), lsn);
	for (int i = 0; i < nmaps; i++)
		PageSetLSN(BufferGetPage(maps[i]), lsn);
	END_CRIT_SECTION();
}

/*
 * How many physical extents the file needs; *free_left: how many of those are
 * free.
 */
static uint32
used_extents(Relation rel, const PtMetaPage *meta, uint32 *free_left)
{
	uint32		phys = meta->phys_extents;

	*free_left = meta->free_phys;
	while (phys > 0 && *free_left > 0)
	{
		uint32		first = pt_map_group(phys - 1) * PT_MAP_EXTENTS;
		Buffer		buf = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(first), false);

		while (phys > first && pt_map_entry(BufferGetPage(buf), phys - 1)->state == PT_MAP_FREE &&
			   !pt_space_waits(pt_map_entry(BufferGetPage(buf), phys - 1)))
		{
			phys--;
			(*free_left)--;
		}
		UnlockReleaseBuffer(buf);
		if (phys > first)
			break;
	}
	return phys;
}

/*
 * Cuts free physical extents off the end of the file; true if there were any.
 * The caller has AccessExclusiveLock on the relation.  The meta page comes
 * first, and is flushed: a crash in between leaves a file that is longer than
 * need be, and is used again.
 */
bool
pt_log_shrink(Relation rel)
{
	Buffer		metabuf = pt_meta_lock(rel, &pt_rel_locator(rel), BUFFER_LOCK_EXCLUSIVE);
	const PtMetaPage *meta = pt_meta_page(BufferGetPage(metabuf));
	xl_pt_shrink x;
	XLogRecPtr	lsn;

	x.phys_extents = used_extents(rel, meta, &x.free_phys);
	if (x.phys_extents == meta->phys_extents)
	{
		UnlockReleaseBuffer(metabuf);
		return false;
	}
	START_CRIT_SECTION();
	pt_meta_apply_shrink(BufferGetPage(metabuf), &x);
	MarkBufferDirty(metabuf);
	XLogBeginInsert();
	XLogRegisterData((char *) &x, sizeof(x));
	XLogRegisterBuffer(0, metabuf, REGBUF_STANDARD);
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_SHRINK);	/* PageSetLSN evaluates
													 * its argument twice */
	PageSetLSN(BufferGetPage(metabuf), lsn);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(metabuf);
	XLogFlush(lsn);
	PT_STOP_POINT("shrink.flushed");
	RelationTruncate(rel, x.phys_extents == 0 ? 1 : pt_extent_block(x.phys_extents - 1) + PT_EXTENT_BLOCKS);
	pt_state_file_changed(&pt_rel_locator(rel));
	return true;
}
