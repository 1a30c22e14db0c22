/*-------------------------------------------------------------------------
 *
 * position.c
 *	  Index access method topic_position: the log's own directory as an index.
 *
 * The index is on ("offset", "timestamp"), stores nothing and costs an insert
 * nothing.  It is ordered by offset, so it serves ranges, ORDER BY "offset"
 * LIMIT n, min and max, merge appends over partitions, and parameterised
 * joins.  A lower bound of the time is where a scan may begin, too: at the
 * first batch that may have a late enough timestamp.  From there on each row's
 * time is looked at, as times need not go up with offsets.
 *
 * (As an offset is there only once, the order is one by both columns.  So
 * there is no other one, and the planner asks for rows in the order of their
 * times nowhere.)
 *
 * A scan uses the cursor of the index fetch that belongs to it, so the
 * executor finds the row there whose TID it has just got.  If something else
 * has moved or reset the cursor, the scan finds its place again by the
 * offset.
 *
 * Siblings: record_cursor.c (the cursor), fetch.c (its owner).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/index_selfuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"

#include "am/internal.h"
#include "topic/timestamp.h"

/* Where a scan is, whatever has happened to the cursor. */
typedef struct ScanPlace
{
	bool		on_row;			/* false: before the first row, or behind the
								 * last */
	int64		offset;			/* of the current row */
} ScanPlace;

/* The state of an index scan. */
typedef struct PtPositionScan
{
	bool		empty;			/* no row can match */
	int64		lo;				/* bounds of the offset, both inclusive */
	int64		hi;
	TimestampTz lo_time;		/* lowest timestamp that matches */
	bool		has_time;		/* rows must be rechecked */
	bool		locked;			/* the predicate lock has been taken */
	ScanPlace	now;
	ScanPlace	marked;			/* for ammarkpos and amrestrpos */
} PtPositionScan;

static void check_index(Relation heap, Relation index, struct IndexInfo *info);
static void add_key(PtPositionScan *ps, ScanKey key);
static bool first_row(PtPositionScan *ps, PtRows *rows, bool forward);
static bool next_row(PtPositionScan *ps, PtRows *rows, bool forward);
static bool matching_row(PtPositionScan *ps, PtRows *rows, bool forward);
static void return_row(IndexScanDesc scan, PtRows *rows);

/* The columns of the index. */
enum
{
	KEY_OFFSET = 1,
	KEY_TIME,
	NKEYS = KEY_TIME
};

/*
 * building: only checks
 */

/*
 * ERROR for an index definition that promises the planner more than a scan
 * gives.
 */
static void
check_index(Relation heap, Relation index, struct IndexInfo *info)
{
	if (!pt_rel_is_log(heap))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("access method topic_position can only index topics"),
				 errdetail("Table \"%s\" does not use the access method topic_log.",
						   RelationGetRelationName(heap))));
	if (info->ii_NumIndexAttrs != NKEYS || info->ii_Predicate != NIL ||
		info->ii_IndexAttrNumbers[0] != PT_COL_OFFSET || info->ii_IndexAttrNumbers[1] != PT_COL_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an index of access method topic_position must be on (\"offset\", \"timestamp\"), without a predicate")));
	if (index->rd_indoption[0] != 0 || index->rd_indoption[1] != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method topic_position does not support DESC or NULLS FIRST"),
				 errhint("The index can be read in both directions.")));
}

/*
 * ambuild: nothing is built, but the planner is told how many rows there are.
 */
static IndexBuildResult *
position_build(Relation heap, Relation index, struct IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));

	check_index(heap, index, info);
	result->heap_tuples = result->index_tuples = pt_log_rows(heap);
	return result;
}

/*
 * Returns true if the index is one of ours.
 */
bool
pt_index_is_position(Relation index)
{
	return index->rd_indam->ambuild == position_build;
}

/* ambuildempty: nothing */
static void
position_buildempty(Relation index)
{
}

/* aminsert: nothing is stored */
static bool
position_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
				IndexUniqueCheck check, bool unchanged, struct IndexInfo *info)
{
	return false;
}

/* ambulkdelete: there are no entries */
static IndexBulkDeleteResult *
position_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
					IndexBulkDeleteCallback callback, void *arg)
{
	return stats;
}

/* amvacuumcleanup: there is nothing to clean up */
static IndexBulkDeleteResult *
position_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	return stats;
}

/*
 * planning
 */

/* amcanreturn: return_row() makes an index tuple */
static bool
position_canreturn(Relation index, int attno)
{
	return true;
}

/*
 * Adds what bounds the rows that a scan walks over.  An upper bound of the
 * time does not, and of equality only its lower bound does.
 */
static List *
add_walk_bounds(const IndexOptInfo *index, const IndexClause * clause, List *bounds)
{
	ListCell   *lc;

	foreach(lc, clause->indexquals)
	{
		RestrictInfo *qual = lfirst_node(RestrictInfo, lc);
		OpExpr	   *op = (OpExpr *) qual->clause;
		Oid			family = index->opfamily[clause->indexcol];
		int			strategy;

		if (!IsA(op, OpExpr))
			continue;			/* IS NULL, or an array, which is looked up
								 * value by value */
		strategy = get_op_opfamily_strategy(op->opno, family);
		if (clause->indexcol == KEY_OFFSET - 1 || strategy >= BTGreaterEqualStrategyNumber)
			bounds = lappend(bounds, qual);
		else if (strategy == BTEqualStrategyNumber)
			bounds = lappend(bounds, make_opclause(get_opfamily_member(family, TIMESTAMPTZOID, TIMESTAMPTZOID,
																	   BTGreaterEqualStrategyNumber),
												   BOOLOID, false, linitial(op->args), lsecond(op->args),
												   InvalidOid, InvalidOid));
	}
	return bounds;
}

/*
 * amcostestimate: the first row costs a search of the directory; the next
 * ones come in the order of the table.  Rows that the scan walks over and that
 * do not match cost what they cost in a scan of the table, too.
 */
static void
position_costestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
					  Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
					  double *correlation, double *pages)
{
	const IndexOptInfo *index = path->indexinfo;
	GenericCosts costs;
	List	   *bounds = NIL;
	ListCell   *lc;
	double		walked;

	foreach(lc, path->indexclauses)
		bounds = add_walk_bounds(index, lfirst_node(IndexClause, lc), bounds);
	walked = clauselist_selectivity(root, bounds, index->rel->relid, JOIN_INNER, NULL);
	memset(&costs, 0, sizeof(costs));
	costs.numIndexTuples = clamp_row_est(walked * index->rel->tuples);
	genericcostestimate(root, path, loop_count, &costs);
	*startup_cost = costs.indexStartupCost + 50 * cpu_operator_cost;
	*total_cost = costs.indexTotalCost + 50 * cpu_operator_cost +
		Max(0, walked - costs.indexSelectivity) *
		(index->rel->pages * seq_page_cost + index->rel->tuples * cpu_tuple_cost);
	*selectivity = costs.indexSelectivity;
	*correlation = 1.0;
	*pages = costs.numIndexPages;
}

/* amoptions: there are none */
static bytea *
position_options(Datum reloptions, bool validate)
{
	return NULL;
}

/* amvalidate: the operator classes are those of the extension's script */
static bool
position_validate(Oid opclass)
{
	return true;
}

/*
 * scanning
 */

/*
 * ambeginscan: amrescan follows before the first row.
 */
static IndexScanDesc
position_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	PtPositionScan *ps = palloc0(sizeof(PtPositionScan));

	scan->xs_itupdesc = RelationGetDescr(index);
	scan->opaque = ps;
	return scan;
}

/*
 * Returns the argument of a key on "offset"; it may have any integer type.
 */
static int64
key_offset(ScanKey key)
{
	switch (key->sk_subtype)
	{
		case INT2OID:
			return DatumGetInt16(key->sk_argument);
		case INT4OID:
			return DatumGetInt32(key->sk_argument);
		default:
			return DatumGetInt64(key->sk_argument);
	}
}

/*
 * Removes from [lo, hi] what the operator excludes.
 */
static void
narrow_offset(PtPositionScan *ps, StrategyNumber strategy, int64 value)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			if (value == PG_INT64_MIN)
				ps->empty = true;
			else
				ps->hi = Min(ps->hi, value - 1);
			break;
		case BTLessEqualStrategyNumber:
			ps->hi = Min(ps->hi, value);
			break;
		case BTEqualStrategyNumber:
			ps->lo = Max(ps->lo, value);
			ps->hi = Min(ps->hi, value);
			break;
		case BTGreaterEqualStrategyNumber:
			ps->lo = Max(ps->lo, value);
			break;
		case BTGreaterStrategyNumber:
			if (value == PG_INT64_MAX)
				ps->empty = true;
			else
				ps->lo = Max(ps->lo, value + 1);
			break;
		default:
			elog(ERROR, "unrecognized strategy number: %d", strategy);
	}
}

/*
 * Adds a scan key to the bounds.  An offset is never null.  A timestamp may
 * be null; the executor rechecks each row, so a search for nulls, or for rows
 * that are not null, reads everything.
 */
static void
add_key(PtPositionScan *ps, ScanKey key)
{
	if (key->sk_attno == KEY_TIME)
	{
		ps->has_time = true;
		if (key->sk_flags & SK_ISNULL)
			ps->empty |= !(key->sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL));
		else if (key->sk_strategy >= BTEqualStrategyNumber)
			ps->lo_time = Max(ps->lo_time, DatumGetTimestampTz(key->sk_argument));
	}
	else if (key->sk_flags & SK_ISNULL)
		ps->empty |= !(key->sk_flags & SK_SEARCHNOTNULL);
	else
		narrow_offset(ps, key->sk_strategy, key_offset(key));
}

/*
 * amrescan: takes new keys and stands before the first row again.
 */
static void
position_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	PtPositionScan *ps = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	ps->empty = ps->has_time = false;
	ps->lo = 0;
	ps->hi = PG_INT64_MAX;
	ps->lo_time = DT_NOBEGIN;
	ps->now.on_row = false;
	for (int i = 0; i < scan->numberOfKeys; i++)
		add_key(ps, &scan->keyData[i]);
	if (ps->lo > ps->hi || TIMESTAMP_IS_NOEND(ps->lo_time))
		ps->empty = true;
}

/*
 * Moves to the first row in the direction of the scan; the cursor may be
 * anywhere.  Where both offset and time have a lower bound, what the time
 * gives may lie before the offset.
 */
static bool
first_row(PtPositionScan *ps, PtRows *rows, bool forward)
{
	if (!forward)
		return pt_rows_last_upto(rows, ps->hi);
	if (!TIMESTAMP_IS_NOBEGIN(ps->lo_time))
	{
		pt_rows_seek_timestamp(rows, pt_timestamptz_to_ms(ps->lo_time));
		if (!pt_rows_next(rows))
			return false;
		if (rows->record.offset >= ps->lo)
			return true;
	}
	return pt_rows_first_from(rows, ps->lo);
}

/*
 * Moves to the next row in this direction.  If something else has moved the
 * cursor, it first finds the current row again by its offset.
 */
static bool
next_row(PtPositionScan *ps, PtRows *rows, bool forward)
{
	if (rows->at == PT_ROWS_ON && rows->current >= 0 && rows->record.offset == ps->now.offset)
		return forward ? pt_rows_next(rows) : pt_rows_prev(rows);
	if (forward)
		return ps->now.offset < PG_INT64_MAX && pt_rows_first_from(rows, ps->now.offset + 1);
	return ps->now.offset > 0 && pt_rows_last_upto(rows, ps->now.offset - 1);
}

/*
 * True if the timestamp (ms) is before the lower bound; so is a null.
 */
static bool
is_before(const PtPositionScan *ps, int64 ms)
{
	if (TIMESTAMP_IS_NOBEGIN(ps->lo_time))
		return false;
	return ms == PT_NO_TIMESTAMP || pt_ms_to_timestamptz(ms) < ps->lo_time;
}

/*
 * Moves to the next row within the bounds.  Behind either end the scan is on
 * no row again, as that of a btree is: the next call begins at the end from
 * which its direction comes.
 */
static bool
matching_row(PtPositionScan *ps, PtRows *rows, bool forward)
{
	do
	{
		bool		found = ps->now.on_row ? next_row(ps, rows, forward) : first_row(ps, rows, forward);

		if (!found || rows->record.offset < ps->lo || rows->record.offset > ps->hi)
		{
			ps->now.on_row = false;
			return false;
		}
		Assert(rows->at == PT_ROWS_ON);
		ps->now.on_row = true;
		ps->now.offset = rows->record.offset;
	} while (is_before(ps, rows->record.timestamp));
	return true;
}

/*
 * Gives the current row to the executor: its TID, and an index tuple for
 * index-only scans.
 */
static void
return_row(IndexScanDesc scan, PtRows *rows)
{
	PtPositionScan *ps = scan->opaque;

	pt_ordinal_to_tid(pt_rows_ordinal(rows), &scan->xs_heaptid);
	scan->xs_recheck = ps->has_time;
	if (scan->xs_want_itup)
	{
		bool		isnull[NKEYS] = {false};
		Datum		values[NKEYS] = {
			Int64GetDatum(rows->record.offset), pt_timestamp_datum(rows->record.timestamp, &isnull[1])
		};

		if (scan->xs_itup)
			pfree(scan->xs_itup);
		scan->xs_itup = index_form_tuple(scan->xs_itupdesc, values, isnull);
		scan->xs_itup->t_tid = scan->xs_heaptid;
	}
}

/*
 * amgettuple: the next row in this direction.
 */
static bool
position_gettuple(IndexScanDesc scan, ScanDirection direction)
{
	PtPositionScan *ps = scan->opaque;
	PtRows	   *rows = pt_index_fetch_rows(scan->xs_heapfetch);

	Assert(scan->xs_heapfetch->rel == scan->heapRelation && pt_rel_is_log(scan->heapRelation));
	if (!ps->now.on_row)
	{
		pgstat_count_index_scan(scan->indexRelation);
		pt_index_count_search(scan);
	}
	if (ps->empty)
		return false;
	if (!ps->locked && scan->xs_snapshot && IsMVCCSnapshot(scan->xs_snapshot))
		PredicateLockRelation(scan->heapRelation, scan->xs_snapshot);
	ps->locked = true;
	pt_rows_set_snapshot(rows, scan->xs_snapshot);
	if (!matching_row(ps, rows, !ScanDirectionIsBackward(direction)))
		return false;
	return_row(scan, rows);
	return true;
}

/* amendscan */
static void
position_endscan(IndexScanDesc scan)
{
	if (scan->xs_itup)
		pfree(scan->xs_itup);
	scan->xs_itup = NULL;
	pfree(scan->opaque);
}

/*
 * ammarkpos, for merge joins: the offset is all there is to remember.
 */
static void
position_markpos(IndexScanDesc scan)
{
	PtPositionScan *ps = scan->opaque;

	ps->marked = ps->now;
}

/* amrestrpos */
static void
position_restrpos(IndexScanDesc scan)
{
	PtPositionScan *ps = scan->opaque;

	ps->now = ps->marked;
}

/*
 * The strategies are those of a btree, so their numbers are the comparison
 * types.
 */
#ifdef PT_INDEX_AM_TRANSLATES
static CompareType
translate_strategy(StrategyNumber strategy, Oid opfamily)
{
	return (CompareType) strategy;
}

static StrategyNumber
translate_cmptype(CompareType cmptype, Oid opfamily)
{
	return cmptype >= COMPARE_LT && cmptype <= COMPARE_GT ? (StrategyNumber) cmptype : InvalidStrategy;
}
#endif

static const IndexAmRoutine position_routine = {
	.type = T_IndexAmRoutine,
	.amstrategies = BTMaxStrategyNumber,
	.amcanorder = true,
	.amcanbackward = true,
	.amcanmulticol = true,
	.amoptionalkey = true,
	.amsearchnulls = true,
	.ampredlocks = true,
	.ambuild = position_build,
	.ambuildempty = position_buildempty,
	.aminsert = position_insert,
	.ambulkdelete = position_bulkdelete,
	.amvacuumcleanup = position_vacuumcleanup,
	.amcanreturn = position_canreturn,
	.amcostestimate = position_costestimate,
	.amoptions = position_options,
	.amvalidate = position_validate,
	.ambeginscan = position_beginscan,
	.amrescan = position_rescan,
	.amgettuple = position_gettuple,
	.amendscan = position_endscan,
	.ammarkpos = position_markpos,
	.amrestrpos = position_restrpos,
	PT_INDEX_AM_ORDER
};

/*
 * Returns what the handler of the access method has to return.
 */
const IndexAmRoutine *
pt_position_routine(void)
{
	return pt_index_am_result(&position_routine);
}
