/*-------------------------------------------------------------------------
 *
 * index_wrap.c
 *	  Keeps the executor from entering rows into indexes that have no TID yet.
 *
 * The executor enters a row into the table's indexes right after tuple_insert,
 * when the row has no ordinal and so no TID yet.  So aminsert of every index
 * of a log is replaced in the relcache entry of the index by one that ignores
 * marker TIDs; real TIDs go on to the original.  That is done before the
 * executor comes to it, for any access method, by a copy of its routine that
 * remembers the original.  The entry of an index that is open is not rebuilt,
 * and a rebuilt one is wrapped again by the next insert.
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

/*
 * Makes sure that the executor's index entries for rows of this table are not
 * written.
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
