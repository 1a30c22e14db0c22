/*-------------------------------------------------------------------------
 *
 * page.h
 *	  What a log looks like on disk.
 *
 * ../README.md, "The log in a relation", tells how the pieces fit.  Nothing
 * here depends on the PostgreSQL major, because pg_upgrade copies files.  All
 * integers are in host order, except inside record batches.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_PAGE_H
#define PT_LOG_PAGE_H

#include "postgres.h"

#include "access/transam.h"
#include "storage/block.h"
#include "storage/bufpage.h"

#include "log/sizes.h"
#include "log/tid.h"
#include "record/batch.h"

#define PT_META_BLOCK			0
#define PT_META_MAGIC			0x70674c67	/* "pgLg" */
#define PT_LOG_FORMAT_VERSION	3

#define PT_INVALID_EXTENT		((uint32) 0xFFFFFFFF)	/* physical */
#define PT_NO_EXTENT			PG_UINT64_MAX	/* logical */

/* A place in a log: logical block * BLCKSZ + byte in the page. */
typedef uint64 PtLogPos;

#define pt_pos_block(pos)		((uint64) (pos) / BLCKSZ)
#define pt_pos_byte(pos)		((uint32) ((pos) % BLCKSZ))
#define pt_pos_extent(pos)		(pt_pos_block(pos) / PT_EXTENT_BLOCKS)
#define pt_pos_make(block, byte) ((PtLogPos) (block) * BLCKSZ + (byte))
#define pt_extent_pos(extent)	pt_pos_make((uint64) (extent) * PT_EXTENT_BLOCKS, PT_PAGE_FIRST)

/*
 * The file: the meta page, then groups of physical extents, a map page before
 * each.  First block of a physical extent, and the map page of a group.
 */
#define pt_map_group(phys)		((phys) / PT_MAP_EXTENTS)
#define pt_map_block(group) \
	((BlockNumber) (1 + (group) * (1 + PT_MAP_EXTENTS * PT_EXTENT_BLOCKS)))
#define pt_extent_block(phys) \
	((BlockNumber) (2 + pt_map_group(phys) + (phys) * PT_EXTENT_BLOCKS))

/* Special space of log pages and directory pages. */
typedef struct PtPageSpecial
{
	uint64		block;			/* logical block; of a directory page, its
								 * number */
	uint16		first;			/* byte where the first frame that starts here
								 * starts, 0: none */
	uint16		kind;			/* PT_PAGE_xxx */
	uint32		generation;		/* of its extent when it was written */
} PtPageSpecial;

#define PT_PAGE_LOG				0x7001
#define PT_PAGE_DIRECTORY		0x7002
#define PT_PAGE_META			0x7003
#define PT_PAGE_MAP				0x7004

/* At the end of each page, whatever a damaged header says. */
#define pt_page_special(page) \
	((PtPageSpecial *) ((char *) (page) + BLCKSZ - MAXALIGN(sizeof(PtPageSpecial))))

/* Is it a page of ours, of this kind and number?  Whatever is on it. */
static inline bool
pt_page_is(Page page, uint16 kind, uint64 block)
{
	return !PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(PtPageSpecial)) &&
		pt_page_special(page)->kind == kind && pt_page_special(page)->block == block;
}

/* Payload of a log page: [PT_PAGE_FIRST, PT_PAGE_END). */
#define PT_PAGE_FIRST			MAXALIGN(SizeOfPageHeaderData)
#define PT_PAGE_END				(BLCKSZ - MAXALIGN(sizeof(PtPageSpecial)))
#define PT_PAGE_CAPACITY		(PT_PAGE_END - PT_PAGE_FIRST)

/*
 * The generation of an extent is 0, or newer than any before when compaction
 * has put other frames in its place.  Its pages carry it, too, so a reader
 * that still follows the old mapping notices.
 */
typedef struct PtDirEntry
{
	uint32		phys;			/* physical extent, PT_INVALID_EXTENT: a hole,
								 * which compaction has left */
	uint32		generation;
	int64		base_offset;	/* next offset when the extent was taken */
	int64		base_ordinal;	/* next ordinal, likewise */
	int64		max_timestamp;	/* ms; of batches that start here, known once
								 * the next extent is taken */
	int64		running_max;	/* largest max_timestamp of all extents
								 * before, and of this one once it is known */
} PtDirEntry;

/* What a physical extent is used for, on its group's map page. */
typedef struct PtMapEntry
{
	uint64		extent;			/* logical number that it has or last had;
								 * PT_NO_EXTENT of the directory's */
	uint32		state;			/* PT_MAP_xxx */
	uint32		freed_at;		/* s since 1970, when compaction has freed it;
								 * 0: retention has */
} PtMapEntry;

#define PT_MAP_NEW				0	/* never used */
#define PT_MAP_DATA				1
#define PT_MAP_DIRECTORY		2
#define PT_MAP_FREE				3
#define PT_MAP_COPY				4	/* compaction writes into it */

typedef struct PtMetaPage
{
	uint32		magic;
	uint32		version;
	uint32		extent_blocks;
	uint32		phys_extents;	/* physical extents in the file */
	uint64		first_extent;	/* oldest logical extent retained */
	uint64		next_extent;	/* logical extents taken so far */
	uint64		free_extent;	/* extents before are free on the map; those
								 * from here to first_extent will be */
	uint64		free_dir_extent;	/* likewise of directory extents */
	uint32		free_phys;		/* physical ones that are free on the map */
	uint32		free_from;		/* none below is */
	uint32		block_size;		/* BLCKSZ of the server that made the log */
	PtLogPos	start_pos;		/* first frame retained */
	int64		start_offset;	/* log start offset */
	int64		start_ordinal;
	PtLogPos	sealed_pos;		/* xids of frames before it mean nothing */
	PtLogPos	producers_pos;	/* from here on the log says all there is to
								 * know of its producers; 0: it has none */
	int64		clean_offset;	/* up to here, exclusive, compaction has left
								 * no key two records */
	uint64		hole_from;		/* extents [hole_from, hole_to) are holes, and
								 * no others from first_extent on; equal: none
								 * are */
	uint64		hole_to;
	uint32		generation;		/* newest that was given to an extent */
	uint32		swapped;		/* the same when the directory last changed */
	uint32		dir_extents[PT_DIR_EXTENTS];	/* ring by directory extent
												 * number */
	PtDirEntry	entries[PT_DIR_INLINE];
} PtMetaPage;

#define pt_meta_page(page)		((PtMetaPage *) PageGetContents(page))
#define pt_dir_page(page)		((PtDirEntry *) PageGetContents(page))
#define pt_map_page(page)		((PtMapEntry *) PageGetContents(page))
#define pt_map_entry(page, phys) (&pt_map_page(page)[(phys) % PT_MAP_EXTENTS])

StaticAssertDecl(sizeof(PtDirEntry) == 40, "directory entry is part of the format");
StaticAssertDecl(sizeof(PtMapEntry) == 16, "map entry is part of the format");
StaticAssertDecl(PT_DIR_PER_PAGE * sizeof(PtDirEntry) <= PT_PAGE_CAPACITY, "directory page must fit");
StaticAssertDecl(PT_MAP_EXTENTS * sizeof(PtMapEntry) <= PT_PAGE_CAPACITY, "map page must fit");
StaticAssertDecl(sizeof(PtPageSpecial) == 16, "special space is part of the format");
StaticAssertDecl(MAXALIGN(SizeOfPageHeaderData) + sizeof(PtMetaPage) <= BLCKSZ - 16, "meta page must fit");

#include "log/frame.h"

#endif							/* PT_LOG_PAGE_H */
