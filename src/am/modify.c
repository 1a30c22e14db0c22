/*-------------------------------------------------------------------------
 *
 * modify.c
 *	  Writing to a log through SQL: INSERT, and clear errors for the rest.
 *
 * A row that is inserted waits in the backend's memory (xact/pending.c) and
 * joins the log when its transaction commits.  Until then its slot has a
 * marker TID, under which triggers find it; its "offset" is null unless it was
 * given.  A table that is being rewritten has no readers to wait for and will
 * get another file number before the commit, so there rows are appended at
 * once.
 *
 * Rows of a log never change.  So a lock that only keeps a row from changing
 * (FOR KEY SHARE, which a foreign key's check takes on its referencing rows
 * when the referenced one is deleted) is held as soon as it is asked for.
 *
 * pgstat hears of a row when it is appended (xact/row_batches.c), not here:
 * most rows never pass by, and those that are rolled back were never there.
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

/* The TID of the last row that was appended to a table in rewriting. */
static void
set_appended_tid(Relation rel, TupleTableSlot *slot)
{
	PtLogState *state = pt_state_get(rel);

	pt_ordinal_to_tid(state->tail_ordinal - 1, &slot->tts_tid);
}

/*
 * Hands a row to the transaction; the slot gets a TID, a marker unless the
 * table is being rewritten.
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
 * INSERT.  Whoever has read the log under SERIALIZABLE conflicts with us from
 * now on; that is asked again when it is appended.
 */
void
pt_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
				struct BulkInsertStateData *bistate)
{
	pt_index_wrap(rel);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	insert_row(rel, slot);
}

/* COPY: the same for many rows at once. */
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
 * What a log does not do.
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

void
pt_tuple_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, PtTableOptions options,
							struct BulkInsertStateData *bistate, uint32 token)
{
	reject(rel, "INSERT ... ON CONFLICT",
		   _("Use append() with expected_offset to write only when nothing else has been written."));
}

void
pt_tuple_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded)
{
	reject(rel, "INSERT ... ON CONFLICT",
		   _("Use append() with expected_offset to write only when nothing else has been written."));
}

TM_Result
pt_tuple_delete(PT_TUPLE_DELETE_ARGS)
{
	reject(rel, "DELETE",
		   _("Produce a record with the same key and a null value to mark a key as deleted, or TRUNCATE the table."));
}

TM_Result
pt_tuple_update(PT_TUPLE_UPDATE_ARGS)
{
	reject(rel, "UPDATE", _("Produce another record with the same key."));
}

/*
 * See the head of this file: the weakest lock needs no locking, stronger ones
 * would mean a change to come.
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
