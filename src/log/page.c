/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Making and changing pages, the same way in the running server and in
 *	  redo.
 *
 * The functions here touch one page in memory that the caller has locked
 * exclusively; WAL and LSN are the caller's.  Siblings: meta.c and append.c
 * (the running server), wal.c (redo).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

static void complete_entry(PtDirEntry *entry, const xl_pt_extent *x);

/* An empty page of a log file. */
void
pt_page_init(Page page, uint16 kind, uint64 block, uint32 generation)
{
	PtPageSpecial *special;

	PageInit(page, BLCKSZ, sizeof(PtPageSpecial));
	special = pt_page_special(page);
	special->block = block;
	special->first = 0;
	special->kind = kind;
	special->generation = generation;
	((PageHeader) page)->pd_lower = PT_PAGE_FIRST;
}

/* The meta page of a log that begins with these numbers and holds nothing. */
void
pt_meta_init(Page page, int64 offset, int64 ordinal)
{
	PtMetaPage *meta;

	pt_page_init(page, PT_PAGE_META, 0, 0);
	meta = pt_meta_page(page);
	meta->magic = PT_META_MAGIC;
	meta->version = PT_LOG_FORMAT_VERSION;
	meta->extent_blocks = PT_EXTENT_BLOCKS;
	meta->block_size = BLCKSZ;
	meta->start_pos = pt_extent_pos(0);
	meta->start_offset = offset;
	meta->start_ordinal = ordinal;
	meta->sealed_pos = meta->start_pos;
	meta->clean_offset = offset;
	memset(meta->dir_extents, 0xFF, sizeof(meta->dir_extents));
	/* all of it counts as used: full-page images must not cut it out */
	((PageHeader) page)->pd_lower = (char *) meta + sizeof(PtMetaPage) - (char *) page;
}

/* What is known of an extent once the next one has been taken. */
static void
complete_entry(PtDirEntry *entry, const xl_pt_extent *x)
{
	Assert(x->entry.running_max >= x->prev_max_timestamp);
	if (entry->generation == 0) /* compaction knows better */
		entry->max_timestamp = x->prev_max_timestamp;
	entry->running_max = x->entry.running_max;
}

/* A logical extent was taken: the meta page's part of it. */
void
pt_meta_apply_extent(Page page, const xl_pt_extent *x)
{
	PtMetaPage *meta = pt_meta_page(page);
	PtDirPlace	place;

	Assert(meta->next_extent == x->extent);
	Assert(x->entry.phys < x->phys_extents && x->phys_extents >= meta->phys_extents);
	Assert(x->free_phys <= meta->free_phys && x->free_phys < x->phys_extents);
	meta->next_extent = x->extent + 1;
	meta->phys_extents = x->phys_extents;
	meta->free_phys = x->free_phys;
	meta->free_from = x->free_from;
	if (pt_dir_place(x->extent, &place))
	{
		if (x->dir_phys != PT_INVALID_EXTENT)
			meta->dir_extents[place.dir_extent % PT_DIR_EXTENTS] = x->dir_phys;
	}
	else
		meta->entries[place.slot] = x->entry;
	if (x->extent > 0 && !pt_dir_place(x->extent - 1, &place))
		complete_entry(&meta->entries[place.slot], x);
}

/* Start of the log and sealed position. */
void
pt_meta_apply(Page page, const xl_pt_meta *x)
{
	PtMetaPage *meta = pt_meta_page(page);

	Assert(x->first_extent >= meta->first_extent && x->first_extent <= meta->next_extent);
	Assert(x->start_offset >= meta->start_offset && x->start_ordinal >= meta->start_ordinal);
	Assert(x->sealed_pos >= meta->sealed_pos && x->producers_pos >= meta->producers_pos);
	Assert(x->clean_offset >= meta->clean_offset);
	meta->first_extent = x->first_extent;
	if (meta->first_extent >= meta->hole_to)
		meta->hole_from = meta->hole_to = 0;
	meta->clean_offset = x->clean_offset;
	meta->start_pos = x->start_pos;
	meta->start_offset = x->start_offset;
	meta->start_ordinal = x->start_ordinal;
	meta->sealed_pos = x->sealed_pos;
	meta->producers_pos = x->producers_pos;
}

/* True: in a directory page; false: place->slot in the meta page. */
bool
pt_dir_place(uint64 extent, PtDirPlace *place)
{
	if (extent < PT_DIR_INLINE)
	{
		place->page = place->dir_extent = 0;
		place->slot = (uint32) extent;
		return false;
	}
	place->page = (extent - PT_DIR_INLINE) / PT_DIR_PER_PAGE;
	place->slot = (uint32) ((extent - PT_DIR_INLINE) % PT_DIR_PER_PAGE);
	place->dir_extent = place->page / PT_EXTENT_BLOCKS;
	return true;
}

/* The block of a directory page. */
BlockNumber
pt_dir_block(const PtMetaPage *meta, const PtDirPlace *place)
{
	uint32		phys = meta->dir_extents[place->dir_extent % PT_DIR_EXTENTS];

	if (phys == PT_INVALID_EXTENT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("directory extent %llu of a topic's log is missing",
						(unsigned long long) place->dir_extent)));
	return pt_extent_block(phys) + (BlockNumber) (place->page % PT_EXTENT_BLOCKS);
}

/*
 * The entry of a new extent in its directory page, which begins with it when
 * init.
 */
void
pt_dir_apply(Page page, const xl_pt_extent *x, bool init)
{
	PtDirPlace	place;

	(void) pt_dir_place(x->extent, &place);
	if (init)
	{
		pt_page_init(page, PT_PAGE_DIRECTORY, place.page, 0);
		memset(pt_dir_page(page), 0, sizeof(PtDirEntry) * PT_DIR_PER_PAGE);
		((PageHeader) page)->pd_lower = PT_PAGE_FIRST + sizeof(PtDirEntry) * PT_DIR_PER_PAGE;
	}
	Assert(pt_page_special(page)->block == place.page);
	pt_dir_page(page)[place.slot] = x->entry;
	if (place.slot > 0)
		complete_entry(&pt_dir_page(page)[place.slot - 1], x);
}

/*
 * The largest timestamp of the extent before, when that is in another
 * directory page.
 */
void
pt_dir_apply_prev(Page page, const xl_pt_extent *x)
{
	PtDirPlace	place;

	(void) pt_dir_place(x->extent - 1, &place);
	Assert(pt_page_special(page)->block == place.page);
	complete_entry(&pt_dir_page(page)[place.slot], x);
}

/*
 * The map pages of the physical extents that were taken: "which" 0 is the page
 * of the extent itself, 1 the other one.  dir_phys is on whichever its group
 * has.
 */
void
pt_map_apply_extent(Page page, const xl_pt_extent *x, int which)
{
	uint32		group = pt_map_group(which == 0 ? x->entry.phys : x->dir_phys);

	if (x->map_init[which])
		pt_map_init(page, group);
	Assert(pt_page_special(page)->kind == PT_PAGE_MAP && pt_page_special(page)->block == group);
	if (which == 0)
		*pt_map_entry(page, x->entry.phys) = (PtMapEntry)
	{
		.extent = x->extent,.state = PT_MAP_DATA
	};
	if (x->dir_phys != PT_INVALID_EXTENT && pt_map_group(x->dir_phys) == group)
		*pt_map_entry(page, x->dir_phys) = (PtMapEntry)
	{
		.extent = PT_NO_EXTENT,.state = PT_MAP_DIRECTORY
	};
}

/* An empty map page. */
void
pt_map_init(Page page, uint32 group)
{
	pt_page_init(page, PT_PAGE_MAP, group, 0);
	memset(pt_map_page(page), 0, sizeof(PtMapEntry) * PT_MAP_EXTENTS);
	((PageHeader) page)->pd_lower = PT_PAGE_FIRST + sizeof(PtMapEntry) * PT_MAP_EXTENTS;
}

/* Extents were put on the map as free: the meta page's part of it. */
void
pt_meta_apply_free(Page page, const xl_pt_free *x)
{
	PtMetaPage *meta = pt_meta_page(page);

	Assert(x->free_extent >= meta->free_extent && x->free_extent <= meta->first_extent);
	Assert(x->free_phys == meta->free_phys + x->n && x->free_phys <= meta->phys_extents);
	for (uint64 dir = meta->free_dir_extent; dir < x->free_dir_extent; dir++)
		meta->dir_extents[dir % PT_DIR_EXTENTS] = PT_INVALID_EXTENT;
	meta->free_extent = x->free_extent;
	meta->free_dir_extent = x->free_dir_extent;
	meta->free_phys = x->free_phys;
	meta->free_from = x->free_from;
}

/* A map page's part of it. */
void
pt_map_apply_free(Page page, const xl_pt_free *x)
{
	uint32		group = (uint32) pt_page_special(page)->block;

	Assert(pt_page_special(page)->kind == PT_PAGE_MAP);
	for (uint32 i = 0; i < x->n; i++)
	{
		PtMapEntry *entry = pt_map_entry(page, x->phys[i]);

		if (pt_map_group(x->phys[i]) != group)
			continue;
		Assert(entry->state != PT_MAP_FREE && entry->state != PT_MAP_NEW);
		entry->state = PT_MAP_FREE;
	}
}

/* The last physical extents, all free, are about to be cut off the file. */
void
pt_meta_apply_shrink(Page page, const xl_pt_shrink *x)
{
	PtMetaPage *meta = pt_meta_page(page);

	Assert(meta->phys_extents - x->phys_extents == meta->free_phys - x->free_phys);
	meta->phys_extents = x->phys_extents;
	meta->free_phys = x->free_phys;
}
