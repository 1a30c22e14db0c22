/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Scans of a whole log: sequential, parallel, sampled, and for ANALYZE.
 *
 * In a parallel scan the workers take pieces of the log, about an extent each.
 * They are ranges of ordinals, as compaction may put frames into other
 * extents meanwhile; a frame belongs to the piece that has its first ordinal.
 *
 * ANALYZE and TABLESAMPLE choose blocks.  For ANALYZE these are blocks of the
 * file, which say little about rows (a batch may be larger than a page,
 * compressed, or recycled).  So block b of n stands for the b'th of n equal
 * ranges of ordinals.  For TABLESAMPLE they are blocks of TIDs, that is of
 * PT_TID_PER_BLOCK ordinals.
 *
 * A bitmap scan gets blocks of TIDs, too, in the order of the log as long as
 * ordinals do not pass the end of the TID space, and so decodes a batch once.
 *
 * Siblings: record_cursor.c (what is visible), fetch.c (single rows),
 * bitmap.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tsmapi.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/snapmgr.h"

#include "am/internal.h"

/* Shared by the workers of a parallel scan. */
typedef struct PtParallelScan
{
	ParallelTableScanDescData base;
	pg_atomic_uint64 next_ordinal;	/* where the next piece begins;
									 * PG_INT64_MAX: there is none */
} PtParallelScan;

/* A scan of any kind. */
typedef struct PtScan
{
	TableScanDescData base;
	PtRows		rows;
	BufferAccessStrategy strategy;
	bool		in_piece;		/* parallel scan: the cursor is in a piece of
								 * ours */
	/* ANALYZE and TABLESAMPLE */
	bool		sampling;		/* the fields below are set */
	int64		start_ordinal;	/* range of ordinals: [start_ordinal,
								 * end_ordinal) */
	int64		end_ordinal;
	BlockNumber nblocks;		/* number of blocks, as the sampling method
								 * counts them */
	BlockNumber block;			/* TABLESAMPLE: the current one */
	int64		next_ordinal;	/* ANALYZE: the rows of the current block that */
	int64		stop_ordinal;	/* are left: [next_ordinal, stop_ordinal) */
	/* bitmap scan: the current block of TIDs */
	BlockNumber bitmap_block;
	int			bitmap_n;		/* rows that it is to look for */
	int			bitmap_at;		/* the next of them */
	bool		bitmap_lossy;	/* all rows of the block, and not offsets[] */
	OffsetNumber offsets[PT_TID_PER_BLOCK];
} PtScan;

/*
 * sequential scan
 */

/*
 * Chooses a buffer ring for large logs, so that they do not evict everything
 * else from shared buffers.
 */
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
 * Table AM callback: begins a scan of any kind.  The cursor is opened here
 * and not at the first row, so that the scan does not see rows that the same
 * command appends from now on.
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
	if (flags & SO_TYPE_SEQSCAN)
		pt_rows_hold(&scan->rows);
	if ((flags & (SO_TYPE_SEQSCAN | SO_TYPE_SAMPLESCAN)) && snapshot && IsMVCCSnapshot(snapshot))
		PredicateLockRelation(rel, snapshot);
	if (flags & SO_TYPE_SEQSCAN)
		pgstat_count_heap_scan(rel);
	return &scan->base;
}

/*
 * Table AM callback: ends a scan and frees it, with the snapshot if that was
 * made for the scan.
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
 * Table AM callback: begins again with the same snapshot, and so with the
 * same end.  There are no keys that could change.
 */
void
pt_scan_rescan(TableScanDesc sscan, struct ScanKeyData *key, bool set_params,
			   bool allow_strat, bool allow_sync, bool allow_pagemode)
{
	PtScan	   *scan = (PtScan *) sscan;

	pt_rows_reset(&scan->rows, PT_ROWS_START);
	scan->in_piece = false;
	scan->sampling = false;
	scan->bitmap_n = scan->bitmap_at = 0;
	if (sscan->rs_flags & SO_TYPE_SEQSCAN)
		pgstat_count_heap_scan(sscan->rs_rd);
}

/*
 * Takes the next piece; false if there is none.
 */
static bool
take_piece(PtScan *scan)
{
	PtParallelScan *shared = (PtParallelScan *) scan->base.rs_parallel;
	uint64		from = pg_atomic_read_u64(&shared->next_ordinal);
	int64		stop;

	do
	{
		CHECK_FOR_INTERRUPTS();
		if (from == PG_INT64_MAX)
			return false;
		stop = pt_reader_extent_behind(&scan->rows.reader, (int64) from);
	} while (!pg_atomic_compare_exchange_u64(&shared->next_ordinal, &from, (uint64) stop));
	pt_rows_seek_piece(&scan->rows, (int64) from, stop);
	return true;
}

/*
 * Returns the next row of the pieces that this worker takes.
 */
static bool
next_in_parallel(PtScan *scan)
{
	while (!scan->in_piece || !pt_rows_next(&scan->rows))
	{
		scan->in_piece = take_piece(scan);
		if (!scan->in_piece)
			return false;
	}
	return true;
}

/*
 * Table AM callback: stores the next row in this direction, or clears the
 * slot and returns false.
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

/*
 * Returns the cursor of a scan, for index builds.
 */
PtRows *
pt_scan_rows(TableScanDesc sscan)
{
	return &((PtScan *) sscan)->rows;
}

/*
 * parallel scan
 */

/*
 * Table AM callback: size of the shared state.
 */
Size
pt_parallelscan_estimate(Relation rel)
{
	return sizeof(PtParallelScan);
}

/*
 * Table AM callback, in the leader: sets up what the workers share.
 */
Size
pt_parallelscan_initialize(Relation rel, ParallelTableScanDesc pscan)
{
	PtParallelScan *shared = (PtParallelScan *) pscan;

	pt_parallel_scan_name(&shared->base, rel);
	shared->base.phs_syncscan = false;
	pg_atomic_init_u64(&shared->next_ordinal, 0);
	return sizeof(PtParallelScan);
}

/*
 * Table AM callback: prepares a rescan; no worker is running.
 */
void
pt_parallelscan_reinitialize(Relation rel, ParallelTableScanDesc pscan)
{
	PtParallelScan *shared = (PtParallelScan *) pscan;

	pg_atomic_write_u64(&shared->next_ordinal, 0);
}

/*
 * ANALYZE
 */

/*
 * Fixes the range of ordinals that is sampled, once per scan.
 */
static void
begin_sampling(PtScan *scan)
{
	Assert(!scan->sampling);
	scan->start_ordinal = scan->rows.reader.view.start_ordinal;
	scan->end_ordinal = Max(pt_rows_end_ordinal(&scan->rows), scan->start_ordinal);
	scan->sampling = true;
}

/*
 * Returns the ordinal at which block b of nblocks begins.
 */
static int64
analyze_ordinal(const PtScan *scan, BlockNumber b)
{
	int64		rows = scan->end_ordinal - scan->start_ordinal;
	int64		n = scan->nblocks;

	Assert(n > 0 && b <= scan->nblocks);
	return scan->start_ordinal + rows / n * b + rows % n * b / n;
}

/*
 * Table AM callback: all blocks are equally good, so false is returned only
 * when the sample is complete.
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

/*
 * Table AM callback: the next row of the block.  A log has no dead rows.
 */
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

/*
 * Table AM callback: the next block that the method chooses, or simply the
 * next one if it wants all.
 */
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
		scan->block = InvalidBlockNumber;	/* becomes 0 below */
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
 * Table AM callback: the next row that the method picks in the block.
 * Ordinals without a visible row are skipped.
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

/*
 * bitmap scan
 */

/*
 * The rows of a block of TIDs come next: those whose offsets are in offsets[],
 * or all, if the bitmap has forgotten which.
 */
static void
begin_bitmap_block(PtScan *scan, BlockNumber block, int n, bool lossy)
{
	Assert(n <= PT_TID_PER_BLOCK);
	scan->bitmap_block = block;
	scan->bitmap_lossy = lossy;
	scan->bitmap_n = lossy ? PT_TID_PER_BLOCK : n;
	scan->bitmap_at = 0;
}

/*
 * The next row of the block that the snapshot sees.
 */
static bool
next_of_bitmap_block(PtScan *scan, TupleTableSlot *slot)
{
	while (scan->bitmap_at < scan->bitmap_n)
	{
		int			i = scan->bitmap_at++;
		ItemPointerData tid;
		PtVisibility why;
		TransactionId xid;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&tid, scan->bitmap_block, scan->bitmap_lossy ? (OffsetNumber) (i + 1) : scan->offsets[i]);
		Assert(!pt_tid_is_marker(&tid));
		if (!pt_rows_find(&scan->rows, pt_tid_to_ordinal(&tid, scan->rows.reader.view.start_ordinal), &why, &xid))
			continue;
		pt_rows_store(&scan->rows, slot);
		pgstat_count_heap_fetch(scan->base.rs_rd);
		return true;
	}
	ExecClearTuple(slot);
	return false;
}

#ifdef PT_BITMAP_BY_BLOCK

/*
 * Table AM callback: the next block of the bitmap.
 */
bool
pt_scan_bitmap_next_block(TableScanDesc sscan, struct TBMIterateResult *result)
{
	PtScan	   *scan = (PtScan *) sscan;

	for (int i = 0; i < result->ntuples; i++)
		scan->offsets[i] = result->offsets[i];
	begin_bitmap_block(scan, result->blockno, result->ntuples, result->ntuples < 0);
	return true;
}

/*
 * Table AM callback: the next row of that block.
 */
bool
pt_scan_bitmap_next_tuple(TableScanDesc sscan, struct TBMIterateResult *result, TupleTableSlot *slot)
{
	return next_of_bitmap_block((PtScan *) sscan, slot);
}

#else

/*
 * Table AM callback: the next row that the bitmap names.
 */
bool
pt_scan_bitmap_next_tuple(TableScanDesc sscan, TupleTableSlot *slot, bool *recheck,
						  uint64 *lossy_pages, uint64 *exact_pages)
{
	PtScan	   *scan = (PtScan *) sscan;
	TBMIterateResult result;

	while (!next_of_bitmap_block(scan, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (!tbm_iterate(&sscan->st.rs_tbmiterator, &result))
			return false;
		*recheck = result.recheck;
		*(result.lossy ? lossy_pages : exact_pages) += 1;
		begin_bitmap_block(scan, result.blockno,
						   result.lossy ? 0 : tbm_extract_page_tuple(&result, scan->offsets, PT_TID_PER_BLOCK),
						   result.lossy);
	}
	return true;
}

#endif

/*
 * Returns true if the open table has our access method.
 */
bool
pt_rel_is_log(Relation rel)
{
	return rel->rd_tableam != NULL && rel->rd_tableam->scan_begin == pt_scan_begin;
}
