/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  A client's batch through the executor, record by record.
 *
 * A partition with CHECK or NOT NULL constraints of the user's, row triggers
 * or foreign keys (pt_leaf_needs_executor) must not be filled behind their
 * back.  Its batches are taken
 * apart and each record is inserted like a row of an INSERT; what comes out
 * waits in pending.c and is appended at the end of the batch.  A batch that
 * violates something is rolled back alone, in its own subtransaction.
 *
 * The appended batch keeps the producer's identity, and ends with the sequence
 * number that the producer's did, also when a trigger has dropped or added
 * records.  If it has dropped all, only the state in memory knows.
 *
 * What users have put on a table may take its time, so all that is done in a
 * process of its own, never in one that serves clients, and until a deadline.
 *
 * Sibling: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "guard.h"
#include "guc.h"
#include "safe_path.h"
#include "produce/internal.h"
#include "topic/leaf.h"
#include "topic/slot.h"
#include "xact/xact.h"

/* Code that catches its cancellation is cancelled again, so many ms later. */
#define CANCEL_AGAIN_MS		1000

typedef struct SlowAppend
{
	Relation	rel;
	PtProduce  *item;
} SlowAppend;

static void append_slowly(void *arg);
static void insert_records_as_owner(Relation rel, const PtProduce *item);
static void insert_records(Relation rel, const PtProduce *item);
static void insert_row(EState *estate, ResultRelInfo *rri, TupleTableSlot *slot);

/* In a signal handler. */
static void
cancel_again(void)
{
	kill(MyProcPid, SIGINT);
}

static TimeoutId again = MAX_TIMEOUTS;

/*
 * In a process whose SIGINT cancels.  The deadline is a statement timeout,
 * which holds for waits of every kind.
 */
void
pt_deadline_begin(TimestampTz deadline)
{
	if (again == MAX_TIMEOUTS)
		again = RegisterTimeout(USER_TIMEOUT, cancel_again);
	enable_timeout_at(STATEMENT_TIMEOUT, deadline);
	enable_timeout_every(again, TimestampTzPlusMilliseconds(deadline, CANCEL_AGAIN_MS), CANCEL_AGAIN_MS);
}

void
pt_deadline_end(void)
{
	disable_timeout(again, false);
	disable_timeout(STATEMENT_TIMEOUT, false);

	/* one that came too late must not hit what runs next */
	QueryCancelPending = false;
}

/* Called outside of a transaction. */
void
pt_produce_execute(PtProduce *item, TimestampTz deadline, XLogRecPtr *lsn)
{
	Assert(!IsTransactionState());
	*lsn = InvalidXLogRecPtr;
	if (GetCurrentTimestamp() >= deadline)
	{
		pt_produce_reject(item, PT_BUSY, "the request timed out before its batch had its turn");
		return;
	}
	pt_deadline_begin(deadline);
	pt_produce_in_mode(PT_PRODUCE_WAIT, item, 1, lsn);
	pt_deadline_end();
}

static void
append_slowly(void *arg)
{
	SlowAppend *append = arg;
	PtProduce  *item = append->item;
	const PtBatchHeader *header = &item->header;
	PtRowProducer producer = {
		.batch = {header->producer_id, header->producer_epoch, header->base_sequence},
		.sent = header->record_count
	};

	if (header->producer_id >= 0)
		producer.last_sequence = pt_sequence_add(header->base_sequence, header->last_offset_delta);
	item->base_offset = pt_append_next_offset(append->rel, pt_state_get(append->rel));
	insert_records_as_owner(append->rel, item);
	pt_pending_append_as(RelationGetRelid(append->rel), header->producer_id >= 0 ? &producer : NULL);
}

/*
 * Appends the records of a batch; the caller holds the append lock.  Sets
 * status and base offset of the item; an ERROR of its records is its status,
 * not thrown.
 */
void
pt_produce_slowly(Relation rel, PtProduce *item)
{
	SlowAppend	append = {.rel = rel,.item = item};
	ErrorData  *error = pt_guarded(append_slowly, &append);

	if (error == NULL)
		return;
	pt_produce_failed(item, error);
	FreeErrorData(error);
}

/*
 * insert_records as the owner of the table: whoever may put a trigger or a
 * CHECK on it must not get the rights of the listener, a superuser, by that.
 * Deferred triggers would fire under our own name at the commit, so all are
 * made immediate.  Settings that the code changes, and the search_path, are
 * what they were when it ends.  An error restores both with the
 * subtransaction.
 */
static void
insert_records_as_owner(Relation rel, const PtProduce *item)
{
	Oid			save_user;
	int			save_context;
	int			guc_level = pt_safe_path_enter(rel->rd_rel->relowner);
	ConstraintsSetStmt all_immediate = {.type = T_ConstraintsSetStmt,.constraints = NIL,.deferred = false};

	AfterTriggerSetState(&all_immediate);
	GetUserIdAndSecContext(&save_user, &save_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, save_context | SECURITY_RESTRICTED_OPERATION);
	insert_records(rel, item);
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(save_user, save_context);
}

/* Inserts each record as an INSERT would. */
static void
insert_records(Relation rel, const PtProduce *item)
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
	status = pt_record_iter_begin(&it, item->batch.data, item->batch.length, PT_RECORDS_BYTES_MAX);
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
