/*-------------------------------------------------------------------------
 *
 * append_rows.c
 *	  Rows that are appended at once: append(), and a table that is rewritten.
 *
 * Siblings: row_batches.c (encodes them), pending.c (what waits goes first).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/leaf.h"
#include "xact/internal.h"

static void
array_get_row(void *arg, int64 i, PtRecord *row)
{
	*row = ((const PtRecord *) arg)[i];
}

/*
 * Appends rows at once, in the current transaction, and holds the append lock
 * to its end.  The caller has the relation open with RowExclusiveLock.
 * expected_offset (-1: any) is compared under the append lock, ERROR 40001
 * when it is not the next.  Returns the offset of the first row.
 */
int64
pt_append_rows(Relation rel, const PtRecord *rows, int n, int64 expected_offset)
{
	Oid			relid = RelationGetRelid(rel);
	PtRowSource source = {.arg = unconstify(PtRecord *, rows),.get_row = array_get_row,.n = n};
	int64		next;

	Assert(n > 0);
	if (pt_leaf_identity(rel) == relid)
	{
		const PtTopicConfig *config = pt_leaf_config(relid);
		int32		max_message_bytes = config->max_message_bytes;
		bool		compacted = (config->cleanup_policy & PT_CLEANUP_COMPACT) != 0;

		for (int i = 0; i < n; i++)
			pt_row_check(rel, &rows[i], max_message_bytes, compacted);
		pt_pending_append(relid);
	}
	(void) pt_append_lock(relid, PT_LOCK_WAIT);
	next = pt_append_next_offset(rel, pt_state_get(rel));
	if (expected_offset >= 0 && next != expected_offset)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("next offset of \"%s\" is %lld, not %lld", RelationGetRelationName(rel),
						(long long) next, (long long) expected_offset),
				 errhint("Somebody else has appended meanwhile. Read what is new and try again.")));
	pt_row_batches_append(rel, &source);
	return rows[0].offset >= 0 ? rows[0].offset : next;
}
