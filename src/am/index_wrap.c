/*-------------------------------------------------------------------------
 *
 * index_wrap.c
 *	  Keeps the executor from making index entries of rows without a TID.
 *
 * The executor makes the index entries of a row right after tuple_insert, when
 * the row has no ordinal, and so no TID, yet.  Therefore we replace aminsert
 * in the relcache entry of each index of a log by a function that ignores
 * marker TIDs and passes real ones to the original.  The replacement is a
 * copy of the index's routine that remembers the original; it works for any
 * access method. The relcache does not rebuild the entry of an open index,
 * and the next insert wraps a rebuilt entry again.
 *
 * Siblings: modify.c, index_build.c; xact/index_rows.c makes the entries when
 * rows are appended.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "utils/memutils.h"

#include "am/internal.h"
#include "xact/xact.h"

/* A copy of an index's routine that replaces it in the relcache entry. */
typedef struct PtWrappedRoutine
{
	IndexAmRoutine routine;
	aminsert_function original; /* the index's own aminsert */
} PtWrappedRoutine;

static bool insert_unless_marker(Relation index, Datum *values, bool *isnull, ItemPointer tid,
								 Relation heap, IndexUniqueCheck check, bool unchanged,
								 struct IndexInfo *info);

/*
 * The aminsert of a wrapped index: ignores rows that have no TID yet.
 */
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

/*
 * Wraps the routine of one index, unless it is wrapped already.  The position
 * index needs no wrapper, because it stores nothing.
 */
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

/*
 * Makes the executor's index entries of rows with marker TIDs a no-op.  To be
 * called before the executor makes them, with the table open.
 */
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
