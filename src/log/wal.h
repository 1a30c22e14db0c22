/*-------------------------------------------------------------------------
 *
 * wal.h
 *	  WAL records of the log (resource manager "pgtopic").
 *
 * One list says which operations exist; wal.c derives identify, desc and the
 * redo table from it.  A change of a record's layout takes a new operation.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_WAL_H
#define PT_LOG_WAL_H

#include "postgres.h"

#include "access/xlogreader.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

#include "log/page.h"

#define PT_RMGR_ID		187
#define PT_RMGR_NAME	"pgtopic"

/* name, info bits, lower-case suffix of its redo and desc functions */
#define PT_WAL_OPERATIONS(X) \
	X(INIT, 0x00, init) \
	X(EXTENT, 0x10, extent) \
	X(APPEND, 0x20, append) \
	X(FRAME, 0x30, frame) \
	X(META, 0x40, meta) \
	X(FREE, 0x50, free) \
	X(SHRINK, 0x60, shrink) \
	X(CLAIM, 0x70, claim) \
	X(COPY, 0x80, copy) \
	X(SWAP, 0x90, swap)

enum
{
#define PT_WAL_ENUM(name, info, fn) PT_WAL_##name = info,
	PT_WAL_OPERATIONS(PT_WAL_ENUM)
#undef PT_WAL_ENUM
};

#define PT_WAL_MASK		0xF0

/* INIT.  Block 0: the meta page. */
typedef struct xl_pt_init
{
	int64		offset;
	int64		ordinal;
} xl_pt_init;

/*
 * EXTENT.  Block 0: meta page.  Block 1: directory page of the entry, unless
 * it is in the meta page.  Block 2: directory page of the entry before, unless
 * that is in block 0 or 1.  Block 3: map page of the physical extent.  Block
 * 4: that of dir_phys, unless it is block 3.
 */
typedef struct xl_pt_extent
{
	uint64		extent;
	PtDirEntry	entry;			/* running_max is that of the extent before,
								 * too */
	int64		prev_max_timestamp;
	uint64		reused;			/* logical number that the physical extent had
								 * before, PT_NO_EXTENT: none.  A standby's
								 * scans may still read it */
	uint32		phys_extents;	/* values of the meta page afterwards */
	uint32		free_phys;
	uint32		free_from;
	uint32		dir_phys;		/* directory extent taken for this entry, or
								 * PT_INVALID_EXTENT */
	TransactionId horizon;		/* of one that is used again: the newest xid
								 * whose snapshot may still read what was
								 * there */
	bool		map_init[2];	/* blocks 3 and 4 are new */
} xl_pt_extent;

/*
 * APPEND.  Blocks 0..n-1: consecutive log pages; each has the bytes from "at"
 * (the first page) or PT_PAGE_FIRST (the others, which are initialised) on as
 * block data.
 *
 * What logical decoding needs beyond that follows the struct, if the server
 * logs for it and the table is not a rewritten copy: the number of the
 * partition (int32).
 */
typedef struct xl_pt_append
{
	uint64		block;			/* logical block of the first page */
	uint32		generation;		/* of the extent */

	/*
	 * The first byte goes on with a frame of which so many bytes are in the
	 * records before, of so many in all, header included; both 0: a frame
	 * begins.
	 */
	uint32		amid_done;
	uint32		amid_length;
	uint16		at;
	uint16		nblocks;
	uint16		first[FLEXIBLE_ARRAY_MEMBER];	/* special space of each page */
} xl_pt_append;

#define PT_APPEND_BLOCKS	32
#define SizeOfPtAppend(n)	(offsetof(xl_pt_append, first) + (n) * sizeof(uint16))

/*
 * Reads the number of the partition from an APPEND; false if it has none.
 */
static inline bool
pt_append_partition(XLogReaderState *record, int32 *partition)
{
	const xl_pt_append *x = (const xl_pt_append *) XLogRecGetData(record);
	Size		size = SizeOfPtAppend(x->nblocks);

	if (XLogRecGetDataLen(record) < size + sizeof(int32))
		return false;
	memcpy(partition, (const char *) x + size, sizeof(int32));
	return true;
}

/* FRAME.  Block 0: the log page; new length and flags of frames on it. */
typedef struct xl_pt_frame
{
	uint32		length;
	uint32		flags;
	uint16		at;
} xl_pt_frame;

/* META.  Block 0: the meta page, these fields of it. */
typedef struct xl_pt_meta
{
	uint64		first_extent;
	PtLogPos	start_pos;
	int64		start_offset;
	int64		start_ordinal;
	PtLogPos	sealed_pos;
	PtLogPos	producers_pos;
	int64		clean_offset;
	TransactionId sealed_xid;	/* newest one that this made visible to
								 * everybody: a standby's older snapshots are
								 * in conflict; Invalid: none */
} xl_pt_meta;

/*
 * FREE.  Block 0: meta page.  Blocks 1..: map pages, in order.
 */
typedef struct xl_pt_free
{
	uint64		free_extent;	/* values of the meta page afterwards */
	uint64		free_dir_extent;
	uint32		free_phys;
	uint32		free_from;
	uint32		n;
	uint32		phys[FLEXIBLE_ARRAY_MEMBER];	/* that are free now, in order */
} xl_pt_free;

#define PT_FREE_MAX			64	/* physical extents in one record */
#define PT_FREE_PAGES		4	/* map pages in one record */
#define SizeOfPtFree(n)		(offsetof(xl_pt_free, phys) + (n) * sizeof(uint32))

/* SHRINK.  Block 0: meta page. */
typedef struct xl_pt_shrink
{
	uint32		phys_extents;	/* values of the meta page afterwards */
	uint32		free_phys;
} xl_pt_shrink;

/*
 * CLAIM.  Compaction takes a physical extent, which is in no directory yet.
 * Block 0: meta page.  Block 1: its map page.
 */
typedef struct xl_pt_claim
{
	uint64		extent;			/* logical number that it is for */
	uint64		reused;			/* as in xl_pt_extent */
	uint32		phys;
	uint32		generation;
	uint32		phys_extents;	/* values of the meta page afterwards */
	uint32		free_phys;
	uint32		free_from;
	TransactionId horizon;		/* as in xl_pt_extent */
	bool		map_init;		/* block 1 is new */
} xl_pt_claim;

/*
 * COPY.  What compaction leaves, into an extent that it has claimed: the same
 * as an APPEND all of whose pages are initialised.
 */

/*
 * SWAP.  The extents [in_from, in_to) become holes, but for [out_from,
 * out_from + nout), which get other physical extents.  Block 0: meta page.
 * Then ndir directory pages, by number, nmap map pages, by number, and the
 * page of the frame that is moved, if one is.  Behind the struct: the nout
 * entries, and the nfreed physical extents that are free now, in order.
 */
typedef struct xl_pt_swap
{
	uint64		in_from;
	uint64		in_to;
	uint64		out_from;
	uint64		hole_from;		/* values of the meta page afterwards */
	uint64		hole_to;
	uint64		first_extent;
	PtLogPos	start_pos;
	uint32		free_phys;
	uint32		free_from;
	uint32		freed_at;		/* s since 1970 */
	uint16		moved_at;		/* byte where the frame starts, 0: none */
	uint8		ndir;
	uint8		nmap;
	uint16		nout;
	uint16		nfreed;
} xl_pt_swap;

/*
 * What logical decoding needs of other rooms.
 */
struct LogicalDecodingContext;
struct XLogRecordBuffer;
typedef struct PtDecoding
{
	/* decodes an APPEND whose xid the reorder buffer knows */
	void		(*append) (struct LogicalDecodingContext *ctx, struct XLogRecordBuffer *buf);
	/* number of the partition, negative: none; may read catalogs */
	int32		(*partition) (Relation rel);
} PtDecoding;

extern void pt_wal_register(const PtDecoding *decoding);
extern bool pt_wal_partition(Relation rel, int32 *partition);

extern void pt_wal_redo(XLogReaderState *record);
extern void pt_wal_desc(StringInfo buf, XLogReaderState *record);
extern const char *pt_wal_identify(uint8 info);

#endif							/* PT_LOG_WAL_H */
