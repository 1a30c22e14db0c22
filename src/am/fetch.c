/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  Single rows of a log, by TID.
 *
 * A TID is either a record's ordinal, or the marker of a row that waits in
 * this backend for its transaction to commit (or was appended early in it).
 * Markers come only from the executor, which has them from tuple_insert: AFTER
 * triggers, foreign keys and deferred constraints look up their row this way.
 * An index never has a marker.
 *
 * The cursor of an index fetch stays on the batch that it has decoded, so an
 * index scan in the order of the log decodes each batch once.
 *
 * SERIALIZABLE needs no lock on the rows that are read here, because they
 * never change.  The predicate locks of the index or of the scan notice new
 * rows.
 *
 * Siblings: record_cursor.c (the cursor), modify.c (gives out markers).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "xact/xact.h"

#include "am/internal.h"
#include "topic/leaf.h"

/* An index scan's access to the table. */
typedef struct PtIndexFetch
{
	IndexFetchTableData base;
	PtRows		rows;
} PtIndexFetch;					/* the cursor; also used by the position index */

static bool fetch_pending(Relation rel, ItemPointer tid, TupleTableSlot *slot);
static bool find_tid(PtRows *rows, ItemPointer tid, Snapshot snapshot, bool *all_dead);

/* Table AM callback: begins fetching rows for one index scan. */
struct IndexFetchTableData *
pt_index_fetch_begin(PT_INDEX_FETCH_BEGIN_ARGS)
{
	PtIndexFetch *fetch = palloc0(sizeof(PtIndexFetch));

	fetch->base.rel = rel;
	pt_rows_begin(&fetch->rows, rel, NULL, NULL);
	return &fetch->base;
}

/*
 * Table AM callback: releases pages between two rescans and at the end.
 */
void
pt_index_fetch_reset(struct IndexFetchTableData *data)
{
	pt_rows_reset(&((PtIndexFetch *) data)->rows, PT_ROWS_START);
}

/*
 * Table AM callback.  The executor has cleared its slots, which may have
 * pointed into the cursor.
 */
void
pt_index_fetch_end(struct IndexFetchTableData *data)
{
	pt_rows_end(&((PtIndexFetch *) data)->rows);
	pfree(data);
}

/*
 * Returns the cursor of an index fetch.
 */
PtRows *
pt_index_fetch_rows(struct IndexFetchTableData *data)
{
	return &((PtIndexFetch *) data)->rows;
}

/*
 * Moves the cursor to the row with a TID, which must not be a marker.
 * Returns false if the snapshot does not see it.  *all_dead is set if nobody
 * will ever see it, so that the index may forget the entry.
 */
static bool
find_tid(PtRows *rows, ItemPointer tid, Snapshot snapshot, bool *all_dead)
{
	const PtLogView *view = &rows->reader.view;
	int64		ordinal = pt_tid_to_ordinal(tid, view->start_ordinal);
	PtVisibility why;
	TransactionId xid;

	Assert(!pt_tid_is_marker(tid));
	Assert(ordinal >= view->start_ordinal);
	*all_dead = false;
	pt_rows_set_snapshot(rows, snapshot);
	if (snapshot && snapshot->snapshot_type == SNAPSHOT_DIRTY)
		snapshot->xmin = snapshot->xmax = InvalidTransactionId;
	if (pt_rows_find(rows, ordinal, &why, &xid))
		return true;
	*all_dead = why == PT_INVISIBLE && (TransactionIdIsValid(xid) || pt_view_tid_gone(view, tid));
	return false;
}

/*
 * Fetches a row that waits or was appended early.  It is our own, so we see
 * it.
 */
static bool
fetch_pending(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
	PtRecord	row;

	if (!pt_pending_get(rel, tid, &row))
		return false;
	pt_slot_store_copy(slot, rel, pt_leaf_partition(rel), &row);
	slot->tts_tid = *tid;
	return true;
}

/*
 * Table AM callback: the row of an index entry.  There is one version of it,
 * so call_again is always false.
 */
bool
pt_index_fetch_tuple(struct IndexFetchTableData *data, ItemPointer tid, Snapshot snapshot,
					 TupleTableSlot *slot, bool *call_again, bool *all_dead)
{
	PtIndexFetch *fetch = (PtIndexFetch *) data;
	bool		dead;
	bool		found;

	*call_again = false;
	Assert(!pt_tid_is_marker(tid));
	found = find_tid(&fetch->rows, tid, snapshot, &dead);
	if (all_dead)
		*all_dead = dead;
	if (found)
		pt_rows_store(&fetch->rows, slot);
	else
		ExecClearTuple(slot);
	return found;
}

/*
 * Table AM callback: one row for a trigger, a TID scan or a row mark.  The
 * slot gets a copy, because there is no scan that could own the row.
 */
bool
pt_tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot)
{
	PtRows		rows;
	bool		dead;
	bool		found;

	if (pt_tid_is_marker(tid))
		return fetch_pending(rel, tid, slot);
	pt_rows_begin(&rows, rel, snapshot, NULL);
	found = find_tid(&rows, tid, snapshot, &dead);
	if (found)
	{
		pt_rows_store(&rows, slot);
		ExecMaterializeSlot(slot);
	}
	else
		ExecClearTuple(slot);
	pt_rows_end(&rows);
	return found;
}

/*
 * Table AM callback: can a TID that a user has given be the TID of a row?
 * Markers mean nothing outside of the executor.
 */
bool
pt_tuple_tid_valid(TableScanDesc sscan, ItemPointer tid)
{
	return ItemPointerIsValid(tid) && ItemPointerGetOffsetNumber(tid) <= PT_TID_PER_BLOCK &&
		!pt_tid_is_marker(tid);
}

/*
 * Table AM callback.  A record has one version, so the TID stays.
 */
void
pt_tuple_get_latest_tid(TableScanDesc sscan, ItemPointer tid)
{
}

/*
 * Table AM callback: does the snapshot see the row from which the slot was
 * filled?  Deferred foreign key checks ask this.
 */
bool
pt_tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	PtRows		rows;
	PtRecord	row;
	bool		dead;
	bool		found;

	if (pt_tid_is_marker(&slot->tts_tid))
		return pt_pending_get(rel, &slot->tts_tid, &row);
	pt_rows_begin(&rows, rel, snapshot, NULL);
	found = find_tid(&rows, &slot->tts_tid, snapshot, &dead);
	pt_rows_end(&rows);
	return found;
}

/*
 * Table AM callback: an index that needs room may remove the entries that a
 * scan has marked as dead (see find_tid), and nothing else, because rows do
 * not have versions.  No snapshot can conflict with that, not even on a
 * standby.
 */
TransactionId
pt_index_delete_tuples(Relation rel, TM_IndexDeleteOp *delstate)
{
	if (delstate->bottomup)
		delstate->ndeltids = 0;
	return InvalidTransactionId;
}
