/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Scans of a whole log: sequential, parallel, sampled, and for ANALYZE.
 *
 * A parallel scan hands out logical extents by one shared counter; a frame
 * belongs to the extent in which it starts.  Extents that are taken after the
 * scan began are not visible to its snapshot, so the range is fixed at the
 * start.
 *
 * ANALYZE and TABLESAMPLE think in blocks.  ANALYZE's are those of the file;
 * what is in them says little about rows (a batch may be larger than a page,
 * compressed, or recycled), so block b of n stands for the b'th of n equal
 * ranges of ordinals.  TABLESAMPLE's are blocks of TIDs, that is of
 * PT_TID_PER_BLOCK ordinals.
 *
 * Siblings: record_cursor.c (what is visible), fetch.c (single rows).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tsmapi.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/snapmgr.h"

#include "am/internal.h"

typedef struct PtParallelScan
{
	ParallelTableScanDescData base;
	uint64		first_extent;
	uint64		end_extent;
	pg_atomic_uint64 next_extent;	/* not handed out yet */
} PtParallelScan;

typedef struct PtScan
{
	TableScanDescData base;
	PtRows		rows;
	BufferAccessStrategy strategy;
	bool		in_extent;		/* parallel: rows are of an extent of ours */
	/* ANALYZE and TABLESAMPLE */
	bool		sampling;		/* the fields below are set */
	int64		start_ordinal;
	int64		end_ordinal;
	BlockNumber nblocks;
	BlockNumber block;			/* TABLESAMPLE: the current one */
	int64		next_ordinal;	/* ANALYZE: the current block's rows are */
	int64		stop_ordinal;	/* [next_ordinal, stop_ordinal) */
} PtScan;

/*
 * sequential scan
 */

/* Large logs must not wash everything else out of shared buffers. */
static BufferAccessStrategy
choose_strategy(Relation rel, uint32 flags)
{
	if (flags & SO_TYPE_ANALYZE)
		return GetAccessStrategy(BAS_VACUUM);
	if ((flags & SO_ALLOW_STRAT) && RelationGetNumberOfBlocks(rel) > NBuffers / 4)
		return GetAccessStrategy(BAS_BULKREAD);
	return NULL;
}

/*
 * Starts any kind of scan.  The cursor is opened here and not with the first
 * row, so that rows which the same command appends from now on are not seen.
 */
TableScanDesc
pt_scan_begin(Relation rel, Snapshot snapshot, int nkeys, struct ScanKeyData *key,
			  ParallelTableScanDesc pscan, uint32 flags)
{
	PtScan	   *scan = palloc0(sizeof(PtScan));

	Assert(nkeys == 0);			/* only catalogs are scanned by key */
	RelationIncrementReferenceCount(rel);
	scan->base.rs_rd = rel;
	scan->base.rs_snapshot = snapshot;
	scan->base.rs_nkeys = nkeys;
	scan->base.rs_flags = flags;
	scan->base.rs_parallel = pscan;
	scan->strategy = choose_strategy(rel, flags);
	pt_rows_begin(&scan->rows, rel, snapshot, scan->strategy);
	if ((flags & (SO_TYPE_SEQSCAN | SO_TYPE_SAMPLESCAN)) && snapshot && IsMVCCSnapshot(snapshot))
		PredicateLockRelation(rel, snapshot);
	if (flags & SO_TYPE_SEQSCAN)
		pgstat_count_heap_scan(rel);
	return &scan->base;
}

/*
 * Ends a scan and frees it; the snapshot, too, when it was made for the scan
 * alone.
 */
void
pt_scan_end(TableScanDesc sscan)
{
	PtScan	   *scan = (PtScan *) sscan;

	Assert(scan->rows.rel == sscan->rs_rd);
	pt_rows_end(&scan->rows);
	if (scan->strategy)
		FreeAccessStrategy(scan->strategy);
	if (sscan->rs_flags & SO_TEMP_SNAPSHOT)
		UnregisterSnapshot(sscan->rs_snapshot);
	RelationDecrementReferenceCount(sscan->rs_rd);
	pfree(scan);
}

/*
 * Begins again, with the same snapshot and so with the same end.  Nothing else
 * can change: there are no keys.
 */
void
pt_scan_rescan(TableScanDesc sscan, struct ScanKeyData *key, bool set_params,
			   bool allow_strat, bool allow_sync, bool allow_pagemode)
{
	PtScan	   *scan = (PtScan *) sscan;

	pt_rows_reset(&scan->rows, PT_ROWS_START);
	scan->in_extent = false;
	scan->sampling = false;
	if (sscan->rs_flags & SO_TYPE_SEQSCAN)
		pgstat_count_heap_scan(sscan->rs_rd);
}

/* The next row of the extents that fall to this worker. */
static bool
next_in_parallel(PtScan *scan)
{
	PtParallelScan *shared = (PtParallelScan *) scan->base.rs_parallel;

	while (!scan->in_extent || !pt_rows_next(&scan->rows))
	{
		uint64		extent = pg_atomic_fetch_add_u64(&shared->next_extent, 1);

		if (extent >= shared->end_extent)
		{
			scan->in_extent = false;
			return false;
		}
		pt_rows_seek_extent(&scan->rows, extent);
		scan->in_extent = true;
	}
	return true;
}

/*
 * The next row in the direction asked for; an empty slot and false when there
 * is none.
 */
bool
pt_scan_getnextslot(TableScanDesc sscan, ScanDirection direction, TupleTableSlot *slot)
{
	PtScan	   *scan = (PtScan *) sscan;
	bool		found;

	if (sscan->rs_parallel)
	{
		Assert(ScanDirectionIsForward(direction));
		found = next_in_parallel(scan);
	}
	else if (ScanDirectionIsBackward(direction))
	{
		/* as a heap does, a scan that has not begun yet begins at its end */
		if (scan->rows.at == PT_ROWS_START)
			pt_rows_reset(&scan->rows, PT_ROWS_END);
		found = pt_rows_prev(&scan->rows);
	}
	else
		found = pt_rows_next(&scan->rows);
	if (!found)
	{
		ExecClearTuple(slot);
		return false;
	}
	pt_rows_store(&scan->rows, slot);
	pgstat_count_heap_getnext(sscan->rs_rd);
	return true;
}

/* The cursor of a scan, for those that want more of it than slots. */
PtRows *
pt_scan_rows(TableScanDesc sscan)
{
	return &((PtScan *) sscan)->rows;
}

/*
 * parallel scan
 */

/* Shared memory that pt_parallelscan_initialize will use. */
Size
pt_parallelscan_estimate(Relation rel)
{
	return sizeof(PtParallelScan);
}

/* Run by the leader: fixes the range of extents that the workers share out. */
Size
pt_parallelscan_initialize(Relation rel, ParallelTableScanDesc pscan)
{
	PtParallelScan *shared = (PtParallelScan *) pscan;
	PtLogInfo	info;

	pt_log_info(rel, &info);
	pt_parallel_scan_name(&shared->base, rel);
	shared->base.phs_syncscan = false;
	shared->first_extent = info.first_extent;
	shared->end_extent = info.next_extent;
	Assert(shared->first_extent <= shared->end_extent);
	pg_atomic_init_u64(&shared->next_extent, info.first_extent);
	return sizeof(PtParallelScan);
}

/* For a rescan; no worker is running. */
void
pt_parallelscan_reinitialize(Relation rel, ParallelTableScanDesc pscan)
{
	PtParallelScan *shared = (PtParallelScan *) pscan;

	pg_atomic_write_u64(&shared->next_extent, shared->first_extent);
}

/*
 * ANALYZE
 */

/* Finds the range of ordinals that is sampled, once a scan. */
static void
begin_sampling(PtScan *scan)
{
	Assert(!scan->sampling);
	scan->start_ordinal = scan->rows.reader.view.start_ordinal;
	scan->end_ordinal = Max(pt_rows_end_ordinal(&scan->rows), scan->start_ordinal);
	scan->sampling = true;
}

/* Where the rows of block b of n begin. */
static int64
analyze_ordinal(const PtScan *scan, BlockNumber b)
{
	int64		rows = scan->end_ordinal - scan->start_ordinal;
	int64		n = scan->nblocks;

	Assert(n > 0 && b <= scan->nblocks);
	return scan->start_ordinal + rows / n * b + rows % n * b / n;
}

/*
 * Every block is as good as any other, so the answer is no only when the
 * sample is complete.
 */
bool
pt_scan_analyze_next_block(PT_ANALYZE_BLOCK_ARGS)
{
	PtScan	   *s = (PtScan *) scan;
	BlockNumber block;

	if (!pt_analyze_block(&block))
		return false;
	if (!s->sampling)
	{
		s->nblocks = RelationGetNumberOfBlocks(scan->rs_rd);
		begin_sampling(s);
	}
	block = Min(block, s->nblocks - 1);
	s->next_ordinal = analyze_ordinal(s, block);
	s->stop_ordinal = analyze_ordinal(s, block + 1);
	return true;
}

/* Nothing in a log is dead, so only live rows are counted. */
bool
pt_scan_analyze_next_tuple(PT_ANALYZE_TUPLE_ARGS)
{
	PtScan	   *scan = (PtScan *) sscan;

	if (scan->next_ordinal >= scan->stop_ordinal ||
		!pt_rows_first_ordinal(&scan->rows, scan->next_ordinal) ||
		pt_rows_ordinal(&scan->rows) >= scan->stop_ordinal)
	{
		ExecClearTuple(slot);
		return false;
	}
	scan->next_ordinal = pt_rows_ordinal(&scan->rows) + 1;
	pt_rows_store(&scan->rows, slot);
	*liverows += 1;
	return true;
}

/*
 * TABLESAMPLE
 */

/* The method's next block, or simply the next one when it wants all. */
bool
pt_scan_sample_next_block(TableScanDesc sscan, struct SampleScanState *scanstate)
{
	PtScan	   *scan = (PtScan *) sscan;
	TsmRoutine *tsm = scanstate->tsmroutine;

	if (!scan->sampling)
	{
		int64		first;

		begin_sampling(scan);
		first = scan->start_ordinal / PT_TID_PER_BLOCK;
		scan->nblocks = scan->end_ordinal == scan->start_ordinal ? 0 :
			(BlockNumber) ((scan->end_ordinal - 1) / PT_TID_PER_BLOCK - first + 1);
		scan->block = InvalidBlockNumber;	/* plus one is zero */
	}
	if (scan->nblocks == 0)
		return false;
	if (tsm->NextSampleBlock)
		scan->block = tsm->NextSampleBlock(scanstate, scan->nblocks);
	else if (++scan->block >= scan->nblocks)
		scan->block = InvalidBlockNumber;
	return scan->block != InvalidBlockNumber;
}

/*
 * The next row that the method picks from the block; ordinals without a
 * visible row are passed over.
 */
bool
pt_scan_sample_next_tuple(TableScanDesc sscan, struct SampleScanState *scanstate, TupleTableSlot *slot)
{
	PtScan	   *scan = (PtScan *) sscan;
	int64		base = (scan->start_ordinal / PT_TID_PER_BLOCK + scan->block) * PT_TID_PER_BLOCK;

	Assert(scan->block != InvalidBlockNumber);
	for (;;)
	{
		OffsetNumber n = scanstate->tsmroutine->NextSampleTuple(scanstate, scan->block, PT_TID_PER_BLOCK);
		PtVisibility why;
		TransactionId xid;

		CHECK_FOR_INTERRUPTS();
		if (!OffsetNumberIsValid(n))
			break;
		if (base + n - 1 < scan->start_ordinal || !pt_rows_find(&scan->rows, base + n - 1, &why, &xid))
			continue;
		pt_rows_store(&scan->rows, slot);
		pgstat_count_heap_getnext(sscan->rs_rd);
		return true;
	}
	ExecClearTuple(slot);
	return false;
}

/* Is this open table one of our access method? */
bool
pt_rel_is_log(Relation rel)
{
	return rel->rd_tableam != NULL && rel->rd_tableam->scan_begin == pt_scan_begin;
}
