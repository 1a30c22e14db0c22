/*-------------------------------------------------------------------------
 *
 * index_insert.c
 *	  Entries of secondary indexes, made when a record is appended.
 *
 * The executor enters a row into the table's indexes right after
 * tuple_insert, when the row has no ordinal and so no TID yet.  So aminsert of
 * every index of a log is replaced in the relcache entry of the index by
 * one that ignores marker TIDs; real TIDs go on to the original.  That is done before
 * the executor comes to it, for any access method, by a copy of its routine
 * that remembers the original.  The entry of an index that is open
 * is not rebuilt, and a rebuilt one is wrapped again by the next insert.
 *
 * When rows are appended, the engine calls pt_index_rows.  That is at PRE_COMMIT, or in
 * a process that is no session at all, so expressions of indexes are evaluated as the
 * owner of the table in a restricted context, as index builds do.
 *
 * Siblings: modify.c, index_build.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "am/internal.h"
#include "xact/xact.h"

/* Takes the place of an index's routine in its relcache entry. */
typedef struct PtWrappedRoutine
{
	IndexAmRoutine routine;
	aminsert_function original;
} PtWrappedRoutine;

static bool insert_unless_marker(Relation index, Datum *values, bool *isnull, ItemPointer tid,
								 Relation heap, IndexUniqueCheck check, bool unchanged,
								 struct IndexInfo *info);

/* The aminsert of a wrapped index. */
static bool
insert_unless_marker(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					 IndexUniqueCheck check, bool unchanged, struct IndexInfo *info)
{
	PtWrappedRoutine *wrapped = (PtWrappedRoutine *) index->rd_indam;

	Assert(wrapped->routine.aminsert == insert_unless_marker);
	if (pt_tid_is_marker(tid))
		return false;
	return wrapped->original(index, values, isnull, tid, heap, check, unchanged, info);
}

/* The position index needs none: it stores nothing anyway. */
static void
wrap(Relation index)
{
	PtWrappedRoutine *wrapped;

	if (index->rd_indam->aminsert == insert_unless_marker || pt_index_is_position(index))
		return;
	wrapped = MemoryContextAlloc(index->rd_indexcxt, sizeof(PtWrappedRoutine));
	wrapped->routine = *index->rd_indam;
	wrapped->original = index->rd_indam->aminsert;
	Assert(wrapped->original != NULL);
	wrapped->routine.aminsert = insert_unless_marker;
	index->rd_indam = &wrapped->routine;
}

/* Makes sure that the executor's index entries for rows of this table are not written. */
void
pt_index_wrap(Relation rel)
{
	List	   *indexes;
	ListCell   *lc;

	if (!rel->rd_rel->relhasindex)
		return;
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		Relation	index = RelationIdGetRelation(lfirst_oid(lc));

		if (index == NULL)
			continue;			/* dropped meanwhile, so nobody has it open */
		wrap(index);
		RelationClose(index);
	}
	list_free(indexes);
}

/* Is there an index that stores something? */
static bool
has_stored_index(const ResultRelInfo *rri)
{
	for (int i = 0; i < rri->ri_NumIndices; i++)
	{
		if (!pt_index_is_position(rri->ri_IndexRelationDescs[i]))
			return true;
	}
	return false;
}

/* Enters rows, one by one, into all indexes that rri has open. */
static void
insert_entries(Relation rel, ResultRelInfo *rri, EState *estate, const PtRecord *rows,
			   const int64 *offsets, const int64 *ordinals, int n)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	PtRowBuffer buf = {.mcxt = CurrentMemoryContext};
	int32		partition = pt_rel_partition(rel);

	for (int i = 0; i < n; i++)
	{
		PtRecord		row = rows[i];
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		Assert(offsets[i] >= 0 && ordinals[i] >= 0);
		row.offset = offsets[i];
		ResetPerTupleExprContext(estate);
		pt_slot_store(slot, rel, partition, &row, &buf);
		pt_ordinal_to_tid(ordinals[i], &slot->tts_tid);
		old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		(void) pt_exec_insert_index_tuples(rri, slot, estate);
		MemoryContextSwitchTo(old);
	}
	ExecDropSingleTupleTableSlot(slot);
	if (buf.data)
		pfree(buf.data);
}

/* See engine/hooks.h.  The transaction may have no snapshot yet. */
void
pt_index_rows(Relation rel, const PtRecord *rows, const int64 *offsets, const int64 *ordinals, int n)
{
	EState	   *estate;
	ResultRelInfo *rri;
	MemoryContext old;
	Oid			user;
	int			sec_context;
	int			guc_level;

	if (!rel->rd_rel->relhasindex || n == 0)
		return;
	estate = CreateExecutorState();
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	rri = makeNode(ResultRelInfo);
	InitResultRelInfo(rri, rel, 1, NULL, 0);
	ExecOpenIndices(rri, false);
	if (has_stored_index(rri))
	{
		GetUserIdAndSecContext(&user, &sec_context);
		SetUserIdAndSecContext(rel->rd_rel->relowner, sec_context | SECURITY_RESTRICTED_OPERATION);
		guc_level = NewGUCNestLevel();
		RestrictSearchPath();
		PushActiveSnapshot(GetTransactionSnapshot());
		insert_entries(rel, rri, estate, rows, offsets, ordinals, n);
		PopActiveSnapshot();
		AtEOXact_GUC(false, guc_level);
		SetUserIdAndSecContext(user, sec_context);
	}
	ExecCloseIndices(rri);
	MemoryContextSwitchTo(old);
	FreeExecutorState(estate);
}
