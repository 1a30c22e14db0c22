/*-------------------------------------------------------------------------
 *
 * vacuum.c
 *	  VACUUM of a log, and the sizes that the planner is told.
 *
 * VACUUM has little to do, because no row is ever dead.  It seals the log
 * (log/seal.c), so that relfrozenxid can advance.  From secondary indexes it
 * removes the entries of records that were removed at the start of the log.
 *
 * Siblings: ddl.c (VACUUM FULL), scan.c (ANALYZE).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/multixact.h"
#include "access/transam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/backend_progress.h"

#include "am/internal.h"
#include "am/live.h"
#include "xact/compact.h"
#include "xact/xact.h"

static void shrink(Relation rel, PtVacuumParams * params);
static bool entry_is_dead(ItemPointer tid, void *arg);
static void vacuum_index(Relation rel, Relation index, double rows, PtLiveRecords *live, bool last,
						 IndexBulkDeleteResult **stats, BufferAccessStrategy bstrategy);
static void vacuum_indexes(Relation rel, PtVacuumParams * params, double rows,
						   BufferAccessStrategy bstrategy);

/*
 * Returns the number of committed records in the log.
 */
double
pt_log_rows(Relation rel)
{
	PtLogView	view;

	pt_log_view(rel, &view);
	return (double) Max(view.committed.offset - view.start_offset, 0);
}

/*
 * VACUUM
 */

/*
 * Callback of index_bulk_delete(): true if the record is not in the log any
 * more.
 */
static bool
entry_is_dead(ItemPointer tid, void *arg)
{
	const PtLiveRecords *live = arg;

	return pt_view_tid_gone(&live->view, tid) || pt_live_is_dead(live, tid);
}

/*
 * Vacuums one secondary index, a step at a time: removes the entries of
 * records that are gone, by what "live" knows, or with NULL only counts
 * entries.  "last": it is the last step.
 */
static void
vacuum_index(Relation rel, Relation index, double rows, PtLiveRecords *live, bool last,
			 IndexBulkDeleteResult **stats, BufferAccessStrategy bstrategy)
{
	IndexVacuumInfo info;

	memset(&info, 0, sizeof(info));
	info.index = index;
	pt_index_vacuum_info_set_heap(&info, rel);
	info.estimated_count = true;
	info.message_level = DEBUG2;
	info.num_heap_tuples = rows;
	info.strategy = bstrategy;
	if (live)
		*stats = index_bulk_delete(&info, *stats, entry_is_dead, live);
	if (!last)
		return;
	*stats = index_vacuum_cleanup(&info, *stats);
	if (*stats && !(*stats)->estimated_count)
		pt_vac_update_relstats(index, (*stats)->num_pages, (*stats)->num_index_tuples, false,
							   InvalidTransactionId, InvalidMultiXactId);
	if (*stats)
		pfree(*stats);
}

/*
 * Vacuums the secondary indexes.  Entries without a record can exist only if
 * the log has lost records, at its start or by compaction.  Which ones the
 * latter has left may not fit into memory: then there are several steps.
 */
static void
vacuum_indexes(Relation rel, PtVacuumParams * params, double rows, BufferAccessStrategy bstrategy)
{
	PtLiveRecords live;
	bool		remove;
	bool		last;
	Relation   *indexes;
	IndexBulkDeleteResult **stats;
	int			n;

	pt_live_begin(&live, rel, bstrategy);
	remove = (live.view.start_ordinal > 0 || live.compacted) && params->index_cleanup != VACOPTVALUE_DISABLED;
	vac_open_indexes(rel, RowExclusiveLock, &n, &indexes);
	stats = palloc0(Max(n, 1) * sizeof(IndexBulkDeleteResult *));
	do
	{
		last = n == 0 || !remove || !pt_live_next(&live);
		for (int i = 0; i < n; i++)
		{
			if (!pt_index_is_position(indexes[i]))
				vacuum_index(rel, indexes[i], rows, remove ? &live : NULL, last, &stats[i], bstrategy);
		}
	} while (!last);
	pt_live_end(&live);
	pfree(stats);
	vac_close_indexes(n, indexes, NoLock);
}

/*
 * Gives free space at the end of the file back, unless somebody uses the
 * table just now: that takes a lock which nobody is to wait for.
 */
static void
shrink(Relation rel, PtVacuumParams * params)
{
	PtLogInfo	info;

	pt_log_info(rel, &info);
	if (info.free_phys == 0 || params->truncate == VACOPTVALUE_DISABLED ||
		!ConditionalLockRelation(rel, AccessExclusiveLock))
		return;
	if (pt_log_shrink(rel))
		ereport((params->options & VACOPT_VERBOSE) ? INFO : DEBUG2,
				(errmsg("table \"%s\": truncated to %u pages", RelationGetRelationName(rel),
						RelationGetNumberOfBlocks(rel))));
	UnlockRelation(rel, AccessExclusiveLock);
}

/*
 * Table AM callback: VACUUM and autovacuum.  The number of rows is exact for
 * pg_class and for pgstat, so that autovacuum knows when to ANALYZE.  The
 * caller holds ShareUpdateExclusiveLock.
 */
void
pt_relation_vacuum(Relation rel, PtVacuumParams * params, BufferAccessStrategy bstrategy)
{
	TimestampTz started = GetCurrentTimestamp();
	TransactionId oldest_xmin = GetOldestNonRemovableTransactionId(rel);
	MultiXactId oldest_multi = GetOldestMultiXactId();
	TransactionId frozen;
	double		rows;

	pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM, RelationGetRelid(rel));
	pt_settle_tail(rel);
	pt_log_free(&pt_rel_locator(rel));
	frozen = pt_log_seal(rel, oldest_xmin);
	Assert(TransactionIdPrecedesOrEquals(frozen, oldest_xmin));
	rows = pt_log_rows(rel);
	if (rel->rd_rel->relhasindex)
		vacuum_indexes(rel, params, rows, bstrategy);
	shrink(rel, params);
	pt_vac_update_relstats(rel, RelationGetNumberOfBlocks(rel), rows, rel->rd_rel->relhasindex,
						   frozen, oldest_multi);
	pt_pgstat_report_vacuum(rel, (PgStat_Counter) rows, started);
	pgstat_progress_end_command();
	ereport((params->options & VACOPT_VERBOSE) ? INFO : DEBUG2,
			(errmsg("sealed log of \"%s\": %.0f records in %u pages", RelationGetRelationName(rel), rows,
					RelationGetNumberOfBlocks(rel)),
			 errdetail("New relfrozenxid is at most %u.", frozen)));
}

/*
 * sizes
 */

/*
 * Table AM callback.  Free pages count, as they do for a heap.
 */
uint64
pt_relation_size(Relation rel, ForkNumber fork)
{
	return table_block_relation_size(rel, fork);
}

/*
 * Table AM callback: records may have any length, and batches any number of
 * pages, so nothing is toasted.
 */
bool
pt_relation_needs_toast_table(Relation rel)
{
	return false;
}

/*
 * Table AM callback: the number of rows is exact, except for what our
 * snapshot does not see yet.  No page is all-visible, because index-only
 * scans have to visit the log for each row.
 */
void
pt_relation_estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *tuples,
						  double *allvisfrac)
{
	*pages = RelationGetNumberOfBlocks(rel);
	*tuples = pt_log_rows(rel);
	*allvisfrac = 0;
	if (attr_widths)
		(void) get_rel_data_width(rel, attr_widths);
}
