/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  Single rows of a log, by TID.
 *
 * A TID is either a record's ordinal or the marker of a row that waits in
 * this backend for its transaction to commit (or was appended early in it).
 * Markers come from the executor only, which got them from tuple_insert: AFTER
 * triggers, foreign keys and deferred constraints look their row up this way.
 * An index never has one.
 *
 * An index fetch keeps its cursor on the batch that it has taken apart, so
 * that an index scan in the order of the log does that once a batch.
 *
 * SERIALIZABLE needs no lock on the rows that are read here: they never
 * change.  New ones are noticed by the index's own predicate locks, or the
 * scan's.
 *
 * Siblings: record_cursor.c (the cursor), modify.c (who hands out markers).
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

typedef struct PtIndexFetch
{
	IndexFetchTableData base;
	PtRows		rows;
} PtIndexFetch;

static bool fetch_pending(Relation rel, ItemPointer tid, TupleTableSlot *slot);
static bool find_tid(PtRows *rows, ItemPointer tid, Snapshot snapshot, bool *all_dead);

/* Begins fetching rows for one index scan. */
struct IndexFetchTableData *
pt_index_fetch_begin(PT_INDEX_FETCH_BEGIN_ARGS)
{
	PtIndexFetch *fetch = palloc0(sizeof(PtIndexFetch));

	fetch->base.rel = rel;
	pt_rows_begin(&fetch->rows, rel, NULL, NULL);
	return &fetch->base;
}

/* Lets go of pages between two rescans, or at the end of a scan. */
void
pt_index_fetch_reset(struct IndexFetchTableData *data)
{
	pt_rows_reset(&((PtIndexFetch *) data)->rows, PT_ROWS_START);
}

/*
 * The executor has cleared its slots, which may have pointed into the cursor.
 */
void
pt_index_fetch_end(struct IndexFetchTableData *data)
{
	pt_rows_end(&((PtIndexFetch *) data)->rows);
	pfree(data);
}

PtRows *
pt_index_fetch_rows(struct IndexFetchTableData *data)
{
	return &((PtIndexFetch *) data)->rows;
}

/*
 * Moves the cursor to the row with a TID that is not a marker; false when the
 * snapshot does not see it.  *all_dead says whether nobody ever will (so that
 * the index may forget it).
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

/* A row that waits, or that was appended early: it is ours, so we see it. */
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
 * The row of an index entry.  There is one version of it, so never anything to
 * call again for.
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
 * One row for a trigger, a TID scan or a row mark.  The slot owns what it is
 * given: there is no scan that would.
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
 * Could a TID that a user gave us be one of a row?  Markers mean nothing
 * outside of the executor.
 */
bool
pt_tuple_tid_valid(TableScanDesc sscan, ItemPointer tid)
{
	return ItemPointerIsValid(tid) && ItemPointerGetOffsetNumber(tid) <= PT_TID_PER_BLOCK &&
		!pt_tid_is_marker(tid);
}

/* A record has one version. */
void
pt_tuple_get_latest_tid(TableScanDesc sscan, ItemPointer tid)
{
}

/*
 * Does the snapshot see the row from which the slot was filled?  Deferred
 * foreign key checks ask.
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
 * An index that wants to make room may remove what a scan has marked as dead
 * (see find_tid), and nothing else: rows do not come in versions.  No snapshot
 * can conflict with that, on standbys neither.
 */
TransactionId
pt_index_delete_tuples(Relation rel, TM_IndexDeleteOp *delstate)
{
	if (delstate->bottomup)
		delstate->ndeltids = 0;
	return InvalidTransactionId;
}
