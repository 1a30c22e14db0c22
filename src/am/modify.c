/*-------------------------------------------------------------------------
 *
 * modify.c
 *	  Writing to a log through SQL: INSERT, and clear errors for the rest.
 *
 * An inserted row waits in the backend's memory (xact/pending.c) and is
 * appended when its transaction commits.  Until then its slot has a marker
 * TID, by which triggers find it; its "offset" is null unless it was given.
 * A table that is being rewritten gets its rows at once: it has no readers,
 * and another file number before the commit.
 *
 * Rows of a log never change.  So a lock that only keeps a row from changing
 * needs no work.  FOR KEY SHARE is such a lock; the check of a foreign key
 * takes it on the referencing rows when the referenced row is deleted.
 *
 * pgstat counts a row when it is appended (xact/row_batches.c), not here: most
 * rows do not come through this file, and rows that are rolled back were never
 * in the log.
 *
 * Siblings: fetch.c (finds rows by their markers), index_wrap.c (their
 * index entries, written when they are appended).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/predicate.h"

#include "am/internal.h"
#include "xact/xact.h"

static void insert_row(Relation rel, TupleTableSlot *slot);
pg_noreturn static void reject(Relation rel, const char *what, const char *hint);

/*
 * Sets the TID of the last row that was appended to a table that is
 * rewritten.
 */
static void
set_appended_tid(Relation rel, TupleTableSlot *slot)
{
	PtLogState *state = pt_state_get(rel);

	pt_ordinal_to_tid(state->tail_ordinal - 1, &slot->tts_tid);
}

/*
 * Gives a row to the transaction.  The slot gets a TID: a marker, or the
 * final one if the table is being rewritten.
 */
static void
insert_row(Relation rel, TupleTableSlot *slot)
{
	PtRecord	row;

	Assert(pt_rel_is_log(rel));
	pt_slot_read(slot, &row);
	if (OidIsValid(rel->rd_rel->relrewrite))
	{
		(void) pt_append_rows(rel, &row, 1, -1);
		set_appended_tid(rel, slot);
	}
	else
		pt_pending_add(rel, &row, &slot->tts_tid);
	slot->tts_tableOid = RelationGetRelid(rel);
}

/*
 * Table AM callback: INSERT.  A transaction that has read the log under
 * SERIALIZABLE conflicts with us from now on.  This is checked again when the
 * row is appended.
 */
void
pt_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
				struct BulkInsertStateData *bistate)
{
	pt_index_wrap(rel);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	insert_row(rel, slot);
}

/*
 * Table AM callback: COPY gives many rows at once.
 */
void
pt_multi_insert(Relation rel, TupleTableSlot **slots, int nslots, CommandId cid, PtTableOptions options,
				struct BulkInsertStateData *bistate)
{
	pt_index_wrap(rel);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	for (int i = 0; i < nslots; i++)
		insert_row(rel, slots[i]);
}

/*
 * ERROR for a command that a log does not support.
 */
static void
reject(Relation rel, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not supported for \"%s\"", what, RelationGetRelationName(rel)),
			 errdetail("The table is a partition of a topic, whose records are only ever appended."),
			 errhint("%s", hint)));
}

/*
 * Table AM callback: ON CONFLICT needs unique indexes, which a log cannot
 * have.
 */
void
pt_tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
							struct BulkInsertStateData *bistate, uint32 token)
{
	reject(rel, "INSERT ... ON CONFLICT",
		   _("Use append() with expected_offset to write only when nothing else has been written."));
}

/*
 * Table AM callback: never called, as the insertion has failed.
 */
void
pt_tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded)
{
	reject(rel, "INSERT ... ON CONFLICT",
		   _("Use append() with expected_offset to write only when nothing else has been written."));
}

/* Table AM callback */
TM_Result
pt_tuple_delete(PT_TUPLE_DELETE_ARGS)
{
	reject(rel, "DELETE",
		   _("Produce a record with the same key and a null value to mark a key as deleted, or TRUNCATE the table."));
}

/* Table AM callback */
TM_Result
pt_tuple_update(PT_TUPLE_UPDATE_ARGS)
{
	reject(rel, "UPDATE", _("Produce another record with the same key."));
}

/*
 * Table AM callback: LockTupleKeyShare needs no lock, as the header of this
 * file explains.  The stronger modes announce a change, which cannot happen.
 */
TM_Result
pt_tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid,
			  LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *tmfd)
{
	if (mode != LockTupleKeyShare)
		reject(rel, "row locking", _("Records never change, so there is no need to lock them."));
	tmfd->traversed = false;
	if (!pt_tuple_fetch_row_version(rel, tid, snapshot, slot))
		return TM_Deleted;
	slot->tts_tableOid = RelationGetRelid(rel);
	return TM_Ok;
}
