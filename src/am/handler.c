/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  The tables of callbacks: access methods topic_log and topic_position.
 *
 * Siblings, by what they answer: scan.c (whole logs, and rows that a bitmap
 * names), bitmap.c (how those are planned), fetch.c (single rows),
 * modify.c (writes), ddl.c (files), vacuum.c (upkeep and sizes),
 * index_build.c and index_wrap.c (secondary indexes), position.c (the index
 * that stores nothing), utility.c (commands that need a word before).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "am/internal.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_topic_log_handler);
PG_FUNCTION_INFO_V1(pt_topic_position_handler);

/*
 * Rows are stored in virtual slots.
 */
static const TupleTableSlotOps *
slot_callbacks(Relation rel)
{
	return &TTSOpsVirtual;
}

/*
 * The callbacks of topic_log.
 */
static const TableAmRoutine topic_log_routine = {
	.type = T_TableAmRoutine,
	.slot_callbacks = slot_callbacks,

	.scan_begin = pt_scan_begin,
	.scan_end = pt_scan_end,
	.scan_rescan = pt_scan_rescan,
	.scan_getnextslot = pt_scan_getnextslot,
	.parallelscan_estimate = pt_parallelscan_estimate,
	.parallelscan_initialize = pt_parallelscan_initialize,
	.parallelscan_reinitialize = pt_parallelscan_reinitialize,
	.scan_analyze_next_block = pt_scan_analyze_next_block,
	.scan_analyze_next_tuple = pt_scan_analyze_next_tuple,
	PT_BITMAP_CALLBACKS
	.scan_sample_next_block = pt_scan_sample_next_block,
	.scan_sample_next_tuple = pt_scan_sample_next_tuple,

	.index_fetch_begin = pt_index_fetch_begin,
	.index_fetch_reset = pt_index_fetch_reset,
	.index_fetch_end = pt_index_fetch_end,
	.index_fetch_tuple = pt_index_fetch_tuple,
	.tuple_fetch_row_version = pt_tuple_fetch_row_version,
	.tuple_tid_valid = pt_tuple_tid_valid,
	.tuple_get_latest_tid = pt_tuple_get_latest_tid,
	.tuple_satisfies_snapshot = pt_tuple_satisfies_snapshot,
	.index_delete_tuples = pt_index_delete_tuples,

	.tuple_insert = pt_tuple_insert,
	.tuple_insert_speculative = pt_tuple_insert_speculative,
	.tuple_complete_speculative = pt_tuple_complete_speculative,
	.multi_insert = pt_multi_insert,
	.tuple_delete = pt_tuple_delete,
	.tuple_update = pt_tuple_update,
	.tuple_lock = pt_tuple_lock,

	.relation_set_new_filelocator = pt_relation_set_new_filelocator,
	.relation_nontransactional_truncate = pt_relation_nontransactional_truncate,
	.relation_copy_data = pt_relation_copy_data,
	.relation_copy_for_cluster = pt_relation_copy_for_cluster,

	.relation_vacuum = pt_relation_vacuum,
	.relation_size = pt_relation_size,
	.relation_needs_toast_table = pt_relation_needs_toast_table,
	.relation_estimate_size = pt_relation_estimate_size,

	.index_build_range_scan = pt_index_build_range_scan,
	.index_validate_scan = pt_index_validate_scan,
};

/*
 * Handler of the table access method.
 */
Datum
pt_topic_log_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&topic_log_routine);
}

/*
 * Handler of the index access method.
 */
Datum
pt_topic_position_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(pt_position_routine());
}
