/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  A client's batch through the executor, record by record.
 *
 * A partition with CHECK or NOT NULL constraints of the user's, row triggers
 * or foreign keys must not be filled behind their back.  Its batches are taken
 * apart and each record is inserted like a row of an INSERT; what comes out
 * waits in pending.c and is appended at the end of the batch.  A batch that
 * violates something is rolled back alone, in its own subtransaction.
 *
 * The appended batch keeps the producer's identity.  If a BEFORE trigger drops
 * records the sequence numbers in the log have a gap, which the state in
 * memory covers.
 *
 * Sibling: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "guc.h"
#include "produce/internal.h"
#include "topic/leaf.h"
#include "topic/slot.h"
#include "xact/xact.h"

static void insert_records_as_owner(Relation rel, const PtProduce *item, const PtBatchHeader *header);
static void insert_records(Relation rel, const PtProduce *item, const PtBatchHeader *header);
static void insert_row(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot);

/*
 * Must records of this partition go through the executor?  Partition and
 * offset always have a value.
 */
bool
pt_produce_needs_executor(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
					 triggers->trig_insert_instead_row || triggers->trig_insert_new_table))
		return true;
	return pt_leaf_has_constraints(rel, PT_COL_KEY);
}

/*
 * Appends the records of a batch; the caller holds the append lock.  Sets
 * status and base offset of the item; an ERROR of its records is its status,
 * not thrown.
 */
void
pt_produce_slowly(Relation rel, PtProduce *item, const PtBatchHeader *header)
{
	MemoryContext mcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	PtBatchProducer producer = {header->producer_id, header->producer_epoch, header->base_sequence};

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(mcxt);
	PG_TRY();
	{
		PtLogState *log = pt_state_get(rel);

		item->base_offset = pt_append_next_offset(rel, log);
		insert_records_as_owner(rel, item, header);
		pt_pending_append_as(RelationGetRelid(rel), header->producer_id >= 0 ? &producer : NULL);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(mcxt);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mcxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(mcxt);
		CurrentResourceOwner = owner;
		pt_produce_reject(item, PT_INVALID_RECORD, edata->message);
		FreeErrorData(edata);
	}
	PG_END_TRY();
}

/*
 * insert_records as the owner of the table: whoever may put a trigger or a
 * CHECK on it must not get the rights of the listener, a superuser, by that.
 * Deferred triggers would fire under our own name at the commit, so all are
 * made immediate.  An error restores the user with the subtransaction.
 */
static void
insert_records_as_owner(Relation rel, const PtProduce *item, const PtBatchHeader *header)
{
	Oid			save_user;
	int			save_context;
	ConstraintsSetStmt all_immediate = {.type = T_ConstraintsSetStmt,.constraints = NIL,.deferred = false};

	AfterTriggerSetState(&all_immediate);
	GetUserIdAndSecContext(&save_user, &save_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, save_context | SECURITY_RESTRICTED_OPERATION);
	insert_records(rel, item, header);
	SetUserIdAndSecContext(save_user, save_context);
}

/* Inserts each record as an INSERT would. */
static void
insert_records(Relation rel, const PtProduce *item, const PtBatchHeader *header)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	PtRecordIter it;
	PtRecord	record;
	PtBatchStatus status;
	int32		partition = pt_leaf_partition(rel);

	PushActiveSnapshot(GetTransactionSnapshot());
	InitResultRelInfo(rri, rel, 0, NULL, 0);
	estate->es_output_cid = GetCurrentCommandId(true);
	AfterTriggerBeginQuery();
	status = pt_record_iter_begin(&it, item->data, item->length, (size_t) pt_decompress_limit * 1024);
	while (status == PT_BATCH_OK && (status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK)
	{
		record.offset = -1;
		ResetPerTupleExprContext(estate);
		pt_slot_store_copy(slot, rel, partition, &record);
		insert_row(estate, rri, slot);
	}
	if (status != PT_BATCH_END)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s", pt_batch_status_text(status))));
	pt_record_iter_end(&it);
	AfterTriggerEndQuery(estate);
	ExecDropSingleTupleTableSlot(slot);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);	/* what AFTER triggers have opened */
	FreeExecutorState(estate);
	PopActiveSnapshot();
}

/*
 * One row with its triggers and constraints.  Indexes hear of it when it is
 * appended.
 */
static void
insert_row(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot)
{
	Relation	rel = rri->ri_RelationDesc;

	if (rel->trigdesc && rel->trigdesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(estate, rri, slot))
		return;					/* "do nothing" */
	if (rel->rd_att->constr)
		ExecConstraints(rri, slot, estate);
	if (rel->rd_rel->relispartition)
		(void) ExecPartitionCheck(rri, slot, estate, true);
	slot->tts_tableOid = RelationGetRelid(rel);
	table_tuple_insert(rel, slot, estate->es_output_cid, 0, NULL);
	ExecARInsertTriggers(estate, rri, slot, NIL, NULL);
}
