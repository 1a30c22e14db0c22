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

#include "log/tid.h"
#include "record/batch.h"

#define PT_META_BLOCK			0
#define PT_META_MAGIC			0x70674c67	/* "pgLg" */
#define PT_LOG_FORMAT_VERSION	3

#define PT_EXTENT_BLOCKS		128 /* 1 MiB with 8-KiB blocks */
#define PT_DIR_PER_PAGE			200
#define PT_DIR_INLINE			128
#define PT_DIR_EXTENTS			512 /* 512 * 128 * 200 extents: 12.5 TiB */
#define PT_DIR_ENTRIES			(PT_DIR_INLINE + (uint64) PT_DIR_EXTENTS * PT_EXTENT_BLOCKS * PT_DIR_PER_PAGE)
#define PT_MAP_EXTENTS			500 /* physical extents on one map page */

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

#define pt_page_special(page)	((PtPageSpecial *) PageGetSpecialPointer(page))

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

/* What precedes each batch; MAXALIGNed. */
typedef struct PtFrameHeader
{
	uint32		length;			/* of the batch, without this header */
	TransactionId xid;			/* that appended it */
	int64		base_ordinal;
	uint32		flags;
	uint32		ordinals;		/* that it takes: last offset delta + 1 */
} PtFrameHeader;

#define PT_FRAME_ABORTED		0x0001	/* of an aborted transaction: skip */
#define PT_FRAME_CUT			0x0002	/* the batch was never wholly written */
#define PT_FRAME_KIND_MASK		0x00F0	/* what follows the header; what is no
										 * batch takes no ordinals and has at
										 * least PT_BATCH_HEADER_SIZE bytes: */
#define PT_FRAME_KIND_BATCH		0x0000	/* a record batch */
#define PT_FRAME_KIND_PRODUCERS 0x0010	/* a snapshot of producer sequences */
#define PT_FRAME_KIND_LOST		0x0030	/* what was here is lost: PtLostBody */

/*
 * Frames that no reader shows; whoever walks over them asks this and no less.
 */
#define PT_FRAME_HIDDEN			(PT_FRAME_ABORTED | PT_FRAME_KIND_MASK)

/* Behind the header of a frame of kind LOST (lost.c). */
typedef struct PtLostBody
{
	uint64		next;			/* position at which the log goes on */
	int64		first_offset;	/* offsets that are lost: from here */
	int64		next_offset;	/* to before this one */
} PtLostBody;

/* Bytes at a frame's start that never straddle a page. */
#define PT_FRAME_HEAD			(sizeof(PtFrameHeader) + PT_BATCH_HEADER_SIZE)

/*
 * The generation of an extent goes up when other frames are put in its place
 * (compaction).  Its pages carry it, too, so a reader that still follows the
 * old mapping notices.
 */
typedef struct PtDirEntry
{
	uint32		phys;			/* physical extent, or PT_INVALID_EXTENT */
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
	uint32		spare;
} PtMapEntry;

#define PT_MAP_NEW				0	/* never used */
#define PT_MAP_DATA				1
#define PT_MAP_DIRECTORY		2
#define PT_MAP_FREE				3

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
	uint32		dir_extents[PT_DIR_EXTENTS];	/* ring by directory extent
												 * number */
	PtDirEntry	entries[PT_DIR_INLINE];
} PtMetaPage;

#define pt_meta_page(page)		((PtMetaPage *) PageGetContents(page))
#define pt_dir_page(page)		((PtDirEntry *) PageGetContents(page))
#define pt_map_page(page)		((PtMapEntry *) PageGetContents(page))
#define pt_map_entry(page, phys) (&pt_map_page(page)[(phys) % PT_MAP_EXTENTS])

StaticAssertDecl(sizeof(PtFrameHeader) == 24, "frame header is part of the format");
StaticAssertDecl(sizeof(PtDirEntry) == 40, "directory entry is part of the format");
StaticAssertDecl(sizeof(PtMapEntry) == 16, "map entry is part of the format");
StaticAssertDecl(PT_DIR_PER_PAGE * sizeof(PtDirEntry) <= PT_PAGE_CAPACITY, "directory page must fit");
StaticAssertDecl(PT_MAP_EXTENTS * sizeof(PtMapEntry) <= PT_PAGE_CAPACITY, "map page must fit");
StaticAssertDecl(sizeof(PtPageSpecial) == 16, "special space is part of the format");
StaticAssertDecl(MAXALIGN(SizeOfPageHeaderData) + sizeof(PtMetaPage) <= BLCKSZ - 16, "meta page must fit");

/*
 * Where the next frame may start once "pos" bytes are in use: aligned, and at
 * the head of the next page when the frame head would straddle.
 */
static inline PtLogPos
pt_frame_start(PtLogPos pos)
{
	uint32		byte = MAXALIGN(pt_pos_byte(pos));

	if (byte + PT_FRAME_HEAD > PT_PAGE_END)
		return pt_pos_make(pt_pos_block(pos) + 1, PT_PAGE_FIRST);
	return pt_pos_make(pt_pos_block(pos), Max(byte, PT_PAGE_FIRST));
}

/* The position "len" payload bytes behind pos. */
static inline PtLogPos
pt_pos_advance(PtLogPos pos, uint64 len)
{
	uint64		at = pt_pos_byte(pos) - PT_PAGE_FIRST + len;

	return pt_pos_make(pt_pos_block(pos) + at / PT_PAGE_CAPACITY,
					   PT_PAGE_FIRST + at % PT_PAGE_CAPACITY);
}

/*
 * The oldest extent that is kept, for records or for what is known of
 * producers.
 */
static inline uint64
pt_first_kept(PtLogPos start, PtLogPos producers)
{
	return pt_pos_extent(producers == 0 ? start : Min(start, producers));
}

/* Where the frame behind one at "pos" with a batch of "length" starts. */
static inline PtLogPos
pt_frame_next(PtLogPos pos, uint32 length)
{
	return pt_frame_start(pt_pos_advance(pos, sizeof(PtFrameHeader) + length));
}

#endif							/* PT_LOG_PAGE_H */
