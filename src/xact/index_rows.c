/*-------------------------------------------------------------------------
 *
 * index_rows.c
 *	  Entries of secondary indexes, made when rows are appended.
 *
 * That is at PRE_COMMIT, or in a process that is no session at all, so
 * expressions of indexes are evaluated as the owner of the table in a
 * restricted context, as index builds do.
 *
 * Siblings: row_batches.c; am/index_wrap.c keeps the executor from making them
 * earlier, when a row has no TID yet.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "topic/leaf.h"
#include "topic/slot.h"
#include "xact/internal.h"

/* Does an entry of this index take expressions to be evaluated? */
static bool
has_code(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;			/* dropped meanwhile */
	result = !heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The indexes of the relation that must be told of rows.  Position indexes,
 * which every partition has, store nothing.
 */
PtIndexRows
pt_index_rows_kind(Relation rel)
{
	Oid			position_am;
	List	   *indexes;
	ListCell   *lc;
	PtIndexRows result = PT_INDEXES_NONE;

	if (!rel->rd_rel->relhasindex)
		return PT_INDEXES_NONE;
	position_am = get_am_oid("topic_position", true);
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped meanwhile */
		if (((Form_pg_class) GETSTRUCT(tuple))->relam != position_am)
			result = Max(result, has_code(lfirst_oid(lc)) ? PT_INDEXES_WITH_CODE : PT_INDEXES_PLAIN);
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return result;
}

/* Enters rows, one by one, into all indexes that rri has open. */
static void
insert_entries(Relation rel, ResultRelInfo *rri, EState *estate, const PtAppendBatch *batch,
			   const PtRecord *rows, int n)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	PtRowBuffer buf = {.mcxt = CurrentMemoryContext};
	int32		partition = pt_leaf_partition(rel);

	for (int i = 0; i < n; i++)
	{
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		Assert(rows[i].offset >= batch->base_offset);
		ResetPerTupleExprContext(estate);
		pt_slot_store(slot, rel, partition, &rows[i], &buf);
		pt_ordinal_to_tid(batch->base_ordinal + (rows[i].offset - batch->base_offset), &slot->tts_tid);
		old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		(void) pt_exec_insert_index_tuples(rri, slot, estate);
		MemoryContextSwitchTo(old);
	}
	ExecDropSingleTupleTableSlot(slot);
	if (buf.data)
		pfree(buf.data);
}

/*
 * The rows are those of a batch that this transaction has just appended to rel
 * (open, RowExclusiveLock): enters them into the secondary indexes.  Called
 * only when pt_index_rows_kind finds some.  The transaction may have no
 * snapshot yet.
 */
void
pt_index_rows(Relation rel, const PtAppendBatch *batch, const PtRecord *rows, int n)
{
	EState	   *estate;
	ResultRelInfo *rri;
	MemoryContext old;
	Oid			user;
	int			sec_context;
	int			guc_level;

	Assert(pt_index_rows_kind(rel) != PT_INDEXES_NONE && batch->base_ordinal >= 0);
	estate = CreateExecutorState();
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 1, NULL, 0);
	ExecOpenIndices(rri, false);
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, sec_context | SECURITY_RESTRICTED_OPERATION);
	guc_level = NewGUCNestLevel();
	RestrictSearchPath();
	PushActiveSnapshot(GetTransactionSnapshot());
	insert_entries(rel, rri, estate, batch, rows, n);
	PopActiveSnapshot();
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, sec_context);
	ExecCloseIndices(rri);
	MemoryContextSwitchTo(old);
	FreeExecutorState(estate);
}
