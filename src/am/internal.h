/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  The callbacks of the access methods, as handler.c lists them.
 *
 * What each must do is told by access/tableam.h and access/amapi.h; each file
 * says what is different about a log.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AM_INTERNAL_H
#define PT_AM_INTERNAL_H

#include "am/am.h"
#include "am/record_cursor.h"

#include "access/amapi.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "commands/vacuum.h"
#include "nodes/execnodes.h"

/* scan.c */
extern TableScanDesc pt_scan_begin(Relation rel, Snapshot snapshot, int nkeys, struct ScanKeyData *key,
								   ParallelTableScanDesc pscan, uint32 flags);
extern void pt_scan_end(TableScanDesc sscan);
extern void pt_scan_rescan(TableScanDesc sscan, struct ScanKeyData *key, bool set_params,
						   bool allow_strat, bool allow_sync, bool allow_pagemode);
extern bool pt_scan_getnextslot(TableScanDesc sscan, ScanDirection direction, TupleTableSlot *slot);
extern Size pt_parallelscan_estimate(Relation rel);
extern Size pt_parallelscan_initialize(Relation rel, ParallelTableScanDesc pscan);
extern void pt_parallelscan_reinitialize(Relation rel, ParallelTableScanDesc pscan);
extern bool pt_scan_analyze_next_block(PT_ANALYZE_BLOCK_ARGS);
extern bool pt_scan_analyze_next_tuple(PT_ANALYZE_TUPLE_ARGS);
extern bool pt_scan_sample_next_block(TableScanDesc sscan, struct SampleScanState *scanstate);
extern bool pt_scan_sample_next_tuple(TableScanDesc sscan, struct SampleScanState *scanstate,
									  TupleTableSlot *slot);
#ifdef PT_BITMAP_BY_BLOCK
struct TBMIterateResult;
extern bool pt_scan_bitmap_next_block(TableScanDesc sscan, struct TBMIterateResult *result);
extern bool pt_scan_bitmap_next_tuple(TableScanDesc sscan, struct TBMIterateResult *result,
									  TupleTableSlot *slot);
#else
extern bool pt_scan_bitmap_next_tuple(TableScanDesc sscan, TupleTableSlot *slot, bool *recheck,
									  uint64 *lossy_pages, uint64 *exact_pages);
#endif
extern PtRows *pt_scan_rows(TableScanDesc sscan);
extern bool pt_rel_is_log(Relation rel);

/* fetch.c */
extern struct IndexFetchTableData *pt_index_fetch_begin(PT_INDEX_FETCH_BEGIN_ARGS);
extern void pt_index_fetch_reset(struct IndexFetchTableData *data);
extern void pt_index_fetch_end(struct IndexFetchTableData *data);
extern bool pt_index_fetch_tuple(struct IndexFetchTableData *data, ItemPointer tid, Snapshot snapshot,
								 TupleTableSlot *slot, bool *call_again, bool *all_dead);
extern bool pt_tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot);
extern bool pt_tuple_tid_valid(TableScanDesc sscan, ItemPointer tid);
extern void pt_tuple_get_latest_tid(TableScanDesc sscan, ItemPointer tid);
extern bool pt_tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot);
extern TransactionId pt_index_delete_tuples(Relation rel, TM_IndexDeleteOp *delstate);

/*
 * fetch.c: the cursor of an index fetch, which the position index uses as
 * well
 */
extern PtRows *pt_index_fetch_rows(struct IndexFetchTableData *data);

/* modify.c */
extern void pt_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
							struct BulkInsertStateData *bistate);
extern void pt_multi_insert(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, PtTableOptions options,
							struct BulkInsertStateData *bistate);
extern void pt_tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
										struct BulkInsertStateData *bistate, uint32 token);
extern void pt_tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded);
extern TM_Result pt_tuple_delete(PT_TUPLE_DELETE_ARGS);
extern TM_Result pt_tuple_update(PT_TUPLE_UPDATE_ARGS);
extern TM_Result pt_tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot,
							   CommandId cid, LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags,
							   TM_FailureData *tmfd);

/* ddl.c */
extern void pt_relation_set_new_filelocator(Relation rel, const RelFileLocator *newrlocator, char persistence,
											TransactionId *freeze_xid, MultiXactId *minmulti);
extern void pt_relation_nontransactional_truncate(Relation rel);
extern void pt_relation_copy_data(Relation rel, const RelFileLocator *newrlocator);
extern void pt_relation_copy_for_cluster(PT_COPY_FOR_CLUSTER_ARGS);

/* vacuum.c */
extern void pt_relation_vacuum(Relation rel, PtVacuumParams * params, BufferAccessStrategy bstrategy);
extern uint64 pt_relation_size(Relation rel, ForkNumber fork);
extern bool pt_relation_needs_toast_table(Relation rel);
extern void pt_relation_estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *tuples,
									  double *allvisfrac);
extern double pt_log_rows(Relation rel);

/* index_build.c */
extern double pt_index_build_range_scan(Relation table, Relation index, struct IndexInfo *info,
										bool allow_sync, bool anyvisible, bool progress,
										BlockNumber start_block, BlockNumber nblocks,
										IndexBuildCallback callback, void *callback_state,
										TableScanDesc scan);
extern void pt_index_validate_scan(Relation table, Relation index, struct IndexInfo *info,
								   Snapshot snapshot, struct ValidateIndexState *state);

/* index_wrap.c */
extern void pt_index_wrap(Relation rel);

/* position.c */
extern const IndexAmRoutine *pt_position_routine(void);
extern bool pt_index_is_position(Relation index);

#endif							/* PT_AM_INTERNAL_H */
