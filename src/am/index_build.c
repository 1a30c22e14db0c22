/*-------------------------------------------------------------------------
 *
 * index_build.c
 *	  Building a secondary index over a log.
 *
 * The TID of a row is its ordinal, which never changes, so an index is right
 * for every snapshot, also for older ones.  A plain build locks writers out
 * and takes all that is committed.  A concurrent build takes what its
 * snapshot sees; index_validate_scan adds what was committed in between, by
 * merging the log with the TIDs that the index has.  Writers that know the
 * index make the entries of their rows when they append them, before they
 * commit.
 *
 * Siblings: ../xact/index_rows.c (entries of new rows), scan.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "commands/progress.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/backend_progress.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

#include "am/internal.h"

/* What it takes to make the index entries of a table's rows. */
typedef struct PtEntryMaker
{
	Relation	index;
	struct IndexInfo *info;
	EState	   *estate;
	ExprContext *econtext;
	ExprState  *predicate;		/* NULL: the index is not partial */
	TupleTableSlot *slot;		/* the row for which an entry is made */
	Datum		values[INDEX_MAX_KEYS]; /* the entry, as maker_form() has made
										 * it */
	bool		isnull[INDEX_MAX_KEYS];
} PtEntryMaker;

/* The TIDs that an index has, in order. */
typedef struct PtIndexTids
{
	Tuplesortstate *sort;		/* as the server's validate_index() has sorted
								 * them */
	bool		done;			/* all were read */
	bool		have;			/* "tid" is set */
	ItemPointerData tid;
} PtIndexTids;

static void check_index(Relation table, Relation index, const struct IndexInfo *info);
static void maker_begin(PtEntryMaker *maker, Relation table, Relation index, struct IndexInfo *info);
static bool maker_form(PtEntryMaker *maker);
static void maker_end(PtEntryMaker *maker);
static void report_progress(TableScanDesc scan, BlockNumber *reported);
static bool tids_contain(PtIndexTids *tids, ItemPointer tid);

/*
 * ERROR for an index that a log cannot have.  utility.c refuses earlier what
 * it can see in the command.
 */
static void
check_index(Relation table, Relation index, const struct IndexInfo *info)
{
	if (info->ii_Unique || info->ii_ExclusionOps)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("unique and exclusion constraints are not supported for \"%s\"",
						RelationGetRelationName(table)),
				 errdetail("Records of a topic join the log when their transaction commits, too late to check them against each other."),
				 errhint("An index that is not unique is possible.")));
	if (pt_index_am_summarizes(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" is not supported for indexes of \"%s\"",
						get_am_name(index->rd_rel->relam), RelationGetRelationName(table)),
				 errdetail("It says something of ranges of a table's blocks, and a topic's records are not found by blocks."),
				 errhint("Offsets and timestamps need no index; for others use btree, hash, gin, gist or spgist.")));
}

/*
 * Prepares for making entries, as the index builds of a heap do.  maker_end()
 * releases everything.
 */
static void
maker_begin(PtEntryMaker *maker, Relation table, Relation index, struct IndexInfo *info)
{
	maker->index = index;
	maker->info = info;
	maker->estate = CreateExecutorState();
	maker->econtext = GetPerTupleExprContext(maker->estate);
	maker->slot = table_slot_create(table, NULL);
	maker->econtext->ecxt_scantuple = maker->slot;
	maker->predicate = ExecPrepareQual(info->ii_Predicate, maker->estate);
}

/*
 * Fills values and isnull from the row in the slot.  Returns false if the row
 * does not satisfy the predicate of a partial index.
 */
static bool
maker_form(PtEntryMaker *maker)
{
	MemoryContextReset(maker->econtext->ecxt_per_tuple_memory);
	if (maker->predicate && !ExecQual(maker->predicate, maker->econtext))
		return false;
	Assert(!pt_tid_is_marker(&maker->slot->tts_tid));
	FormIndexDatum(maker->info, maker->slot, maker->estate, maker->values, maker->isnull);
	return true;
}

/*
 * Releases what maker_begin() has made.
 */
static void
maker_end(PtEntryMaker *maker)
{
	ExecDropSingleTupleTableSlot(maker->slot);
	FreeExecutorState(maker->estate);
	/* these may point into the executor state */
	maker->info->ii_ExpressionsState = NIL;
	maker->info->ii_PredicateState = NULL;
}

/*
 * Reports progress in pages of the log, counted from the start of the log.
 */
static void
report_progress(TableScanDesc scan, BlockNumber *reported)
{
	PtRows	   *rows = pt_scan_rows(scan);
	BlockNumber done = (BlockNumber) (pt_pos_block(rows->frame.pos) -
									  pt_pos_block(rows->reader.view.start_pos));

	if (done != *reported)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, done);
	*reported = done;
}

/*
 * Reports how many pages there are.
 */
static void
report_total(TableScanDesc scan)
{
	PtRows	   *rows = pt_scan_rows(scan);

	pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL,
								 (int64) (pt_pos_block(rows->limit) -
										  pt_pos_block(rows->reader.view.start_pos)) + 1);
}

/*
 * Begins the scan of a build.  A plain build takes all that is committed,
 * because writers are locked out.  A concurrent build takes what a new
 * snapshot sees; the validation adds the rest.
 */
static TableScanDesc
begin_build(Relation table, const struct IndexInfo *info)
{
	Snapshot	snapshot = SnapshotAny;
	TableScanDesc scan;

	if (info->ii_Concurrent)
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
	scan = table_beginscan_strat(table, snapshot, 0, NULL, true, false);
	if (info->ii_Concurrent)
		scan->rs_flags |= SO_TEMP_SNAPSHOT; /* so that table_endscan()
											 * unregisters it */
	return scan;
}

/*
 * Table AM callback; see table_index_build_range_scan().  The workers of a
 * parallel build pass a scan.
 */
double
pt_index_build_range_scan(Relation table, Relation index, struct IndexInfo *info, bool allow_sync,
						  bool anyvisible, bool progress, BlockNumber start_block, BlockNumber nblocks,
						  IndexBuildCallback callback, void *callback_state, TableScanDesc scan)
{
	PtEntryMaker maker;
	BlockNumber reported = InvalidBlockNumber;
	double		rows = 0;

	check_index(table, index, info);
	if (start_block != 0 || nblocks != InvalidBlockNumber)
		elog(ERROR, "cannot build part of an index of \"%s\"", RelationGetRelationName(table));
	maker_begin(&maker, table, index, info);
	if (scan == NULL)
		scan = begin_build(table, info);
	if (progress)
		report_total(scan);
	while (table_scan_getnextslot(scan, ForwardScanDirection, maker.slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (progress)
			report_progress(scan, &reported);
		rows++;
		if (maker_form(&maker))
			callback(index, &maker.slot->tts_tid, maker.values, maker.isnull, true, callback_state);
	}
	table_endscan(scan);
	maker_end(&maker);
	return rows;
}

/*
 * Returns true if the index has this TID.  TIDs must be asked for in
 * ascending order.
 */
static bool
tids_contain(PtIndexTids *tids, ItemPointer tid)
{
	while (!tids->done && (!tids->have || ItemPointerCompare(&tids->tid, tid) < 0))
	{
		Datum		value;
		bool		isnull;

		tids->done = !pt_tuplesort_getdatum(tids->sort, &value, &isnull);
		tids->have = !tids->done;
		if (tids->have)
			itemptr_decode(&tids->tid, DatumGetInt64(value));
	}
	return tids->have && ItemPointerEquals(&tids->tid, tid);
}

/*
 * ERROR if the TIDs of the log are not ascending, because its ordinals pass
 * the end of the TID space.
 */
static void
check_tids_grow(Relation table)
{
	PtLogView	view;

	pt_log_view(table, &view);
	if (view.start_ordinal / PT_TID_MODULUS != view.tail_ordinal / PT_TID_MODULUS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot build an index of \"%s\" concurrently now", RelationGetRelationName(table)),
				 errhint("Create the index without CONCURRENTLY.")));
}

/*
 * Table AM callback; see table_index_validate_scan().  Adds the rows that the
 * snapshot sees and the index does not have.
 */
void
pt_index_validate_scan(Relation table, Relation index, struct IndexInfo *info, Snapshot snapshot,
					   struct ValidateIndexState *state)
{
	PtEntryMaker maker;
	PtIndexTids tids = {.sort = state->tuplesort};
	BlockNumber reported = InvalidBlockNumber;
	TableScanDesc scan;

	check_tids_grow(table);
	maker_begin(&maker, table, index, info);
	scan = table_beginscan_strat(table, snapshot, 0, NULL, true, false);
	report_total(scan);
	while (table_scan_getnextslot(scan, ForwardScanDirection, maker.slot))
	{
		CHECK_FOR_INTERRUPTS();
		report_progress(scan, &reported);
		state->htups++;
		if (tids_contain(&tids, &maker.slot->tts_tid) || !maker_form(&maker))
			continue;
		(void) index_insert(index, maker.values, maker.isnull, &maker.slot->tts_tid, table,
							UNIQUE_CHECK_NO, false, info);
		state->tups_inserted++;
	}
	table_endscan(scan);
	index_insert_cleanup(index, info);
	maker_end(&maker);
}
