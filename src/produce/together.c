/*-------------------------------------------------------------------------
 *
 * together.c
 *	  The commit of a Kafka transaction: everything that is staged, in one
 *	  transaction.
 *
 * Batches go to their partitions as produce.c appends those of executors, but
 * that their sequence and their time were looked at when they came.  What has
 * changed since then is looked at again: is there the table, may the role
 * write, is the batch too large.  Then nothing of the transaction is
 * committed.
 *
 * Locks.  First those of the relations, so that DDL is waited for before
 * anybody waits for us.  Then, partition after partition, the append lock, in
 * the order that sessions use (pt_append_locks_sort): ordinary ones by OID,
 * then internal ones, as those are everybody's.
 *
 * Memory.  The batches of a transaction are listed (PtStagedPiece), and read
 * a megabyte at a time.
 *
 * Siblings: produce.c, staging.c (how they came); ../stage/read.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "produce/internal.h"
#include "stage/stage.h"
#include "stop_point.h"
#include "tell.h"

/* What is read and appended at a time. */
#define CHUNK_BYTES		(1024 * 1024)
#define CHUNK_BATCHES	1024

/* A commit. */
typedef struct Together
{
	int64		producer_id;
	uint64		serial;
	PtProduce  *items;			/* for internal topics, by OID */
	int			nitems;
	PtStaged   *staged;
	PtStagedPiece *pieces;		/* by leaf, then in the order of arrival */
	int64		npieces;
	PtProducePart *parts;
	int			nparts;
	MemoryContext chunk_mcxt;
} Together;

static int
compare_pieces(const void *a, const void *b)
{
	const PtStagedPiece *x = a;
	const PtStagedPiece *y = b;

	if (x->leaf != y->leaf)
		return x->leaf < y->leaf ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* By partition, in the order they came. */
static int
compare_items(const void *a, const void *b)
{
	const PtProduce *x = *(PtProduce *const *) a;
	const PtProduce *y = *(PtProduce *const *) b;

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* ERROR when an item was not appended; or a partition could not be opened. */
static void
check_item(const PtProduce *item)
{
	int			sqlstate = ERRCODE_DATA_EXCEPTION;

	if (item->status == PT_OK)
		return;
	Assert(item->status != PT_BUSY && item->status != PT_NEEDS_EXECUTOR);
	if (item->status == PT_FAILED)
		sqlstate = item->sqlstate;
	else if (item->status == PT_UNKNOWN_PARTITION)
		sqlstate = ERRCODE_UNDEFINED_TABLE;
	else if (item->status == PT_FORBIDDEN)
		sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
	else if (item->status == PT_STORAGE_ERROR)
		sqlstate = ERRCODE_OUT_OF_MEMORY;
	ereport(ERROR,
			(errcode(sqlstate),
			 item->message[0] ? errmsg("%s", item->message) :
			 item->status == PT_UNKNOWN_PARTITION ? errmsg("partition %u does not exist any more", item->relid) :
			 item->status == PT_FORBIDDEN ? errmsg("the role may not write to the topic any more") :
			 errmsg("a record batch of partition %u cannot be appended", item->relid)));
}

/*
 * A piece as an item that has been verified.  What was in a file has its CRC
 * looked at again: a log never gets a block that the disk has damaged.
 */
static void
read_piece(Together *t, const PtStagedPiece *piece, PtProduce *item)
{
	PtBatchStatus status;

	memset(item, 0, sizeof(*item));
	item->relid = piece->leaf;
	item->role = piece->role;
	item->length = piece->length;
	item->data = MemoryContextAllocHuge(t->chunk_mcxt, piece->length);
	pt_staged_read(t->staged, piece, item->data);
	status = piece->on_disk ? pt_batch_check_crc(item->data, item->length, &item->header) :
		pt_batch_header_read(item->data, item->length, &item->header);
	if (status != PT_BATCH_OK || item->header.length != (int32) item->length ||
		item->header.producer_id != t->producer_id)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("what is staged of a Kafka transaction is damaged")));
	item->records.keyless = piece->keyless;
	item->records.min_timestamp = item->records.max_timestamp = item->header.max_timestamp;
	item->verified = true;
	(void) pt_produce_verify(item, true);
	check_item(item);
}

/*
 * Reads the pieces from this one on, of its partition, up to a chunk; returns
 * how many.
 */
static int
read_chunk(Together *t, int64 first, PtProduce *items, PtProduce **pointers)
{
	Size		bytes = 0;
	int			n = 0;

	while (first + n < t->npieces && n < CHUNK_BATCHES && t->pieces[first + n].leaf == t->pieces[first].leaf &&
		   (n == 0 || bytes + t->pieces[first + n].length <= CHUNK_BYTES))
	{
		read_piece(t, &t->pieces[first + n], &items[n]);
		pointers[n] = &items[n];
		bytes += items[n].length;
		n++;
	}
	return n;
}

/* Opens a partition for these items, the first ones that it gets. */
static PtProducePart *
open_part(Together *t, PtProduce **items, int n)
{
	PtProducePart *part = &t->parts[t->nparts];

	if (!pt_produce_open(part, items[0]->relid, items, n))
		check_item(items[0]);
	t->nparts++;
	return part;
}

static void
append_items(PtProducePart *part, PtProduce **items, int n)
{
	for (int i = 1; i < n; i++)
	{
		if (items[i]->role != items[i - 1]->role && !pt_produce_may(part, items[i]->role))
			pt_produce_reject(items[i], PT_FORBIDDEN, NULL);
		check_item(items[i]);
	}
	pt_produce_append(part, items, n);
	for (int i = 0; i < n; i++)
		check_item(items[i]);
}

/* Appends all pieces of the partition of this one; returns the next one. */
static int64
append_leaf(Together *t, int64 first)
{
	MemoryContext mcxt = CurrentMemoryContext;
	Oid			leaf = t->pieces[first].leaf;
	PtProduce  *items = palloc(CHUNK_BATCHES * sizeof(PtProduce));
	PtProduce **pointers = palloc(CHUNK_BATCHES * sizeof(PtProduce *));
	PtProducePart *part = NULL;
	Oid			role = t->pieces[first].role;

	while (first < t->npieces && t->pieces[first].leaf == leaf)
	{
		int			n = read_chunk(t, first, items, pointers);

		CHECK_FOR_INTERRUPTS();
		if (part == NULL)
		{
			part = open_part(t, pointers, n);
			part->staged = true;
			pt_produce_producer(part, t->producer_id);
		}
		else if (items[0].role != role && !pt_produce_may(part, items[0].role))
			pt_produce_reject(&items[0], PT_FORBIDDEN, NULL);
		check_item(&items[0]);
		MemoryContextSwitchTo(t->chunk_mcxt);
		append_items(part, pointers, n);
		MemoryContextSwitchTo(mcxt);
		MemoryContextReset(t->chunk_mcxt);
		role = items[n - 1].role;
		first += n;
	}
	relation_close(part->rel, NoLock);
	pfree(pointers);
	pfree(items);
	return first;
}

/* The records of internal topics: group offsets, and the id's own. */
static void
append_internal(Together *t)
{
	PtProduce **pointers = palloc(Max(t->nitems, 1) * sizeof(PtProduce *));
	int			end;

	for (int i = 0; i < t->nitems; i++)
		pointers[i] = &t->items[i];
	qsort(pointers, t->nitems, sizeof(PtProduce *), compare_items);
	for (int first = 0; first < t->nitems; first = end)
	{
		PtProducePart *part;

		for (end = first + 1; end < t->nitems && pointers[end]->relid == pointers[first]->relid; end++)
			;
		part = open_part(t, pointers + first, end - first);
		append_items(part, pointers + first, end - first);
		relation_close(part->rel, NoLock);
	}
}

/*
 * Lists what is staged, and locks the relations of all partitions.
 */
static void
prepare(Together *t)
{
	int			leaves = 0;

	t->staged = pt_staged_open(t->producer_id, t->serial);
	t->pieces = pt_staged_pieces(t->staged, &t->npieces);
	qsort(t->pieces, t->npieces, sizeof(PtStagedPiece), compare_pieces);
	for (int64 i = 0; i < t->npieces; i++)
	{
		if (i > 0 && t->pieces[i].leaf == t->pieces[i - 1].leaf)
			continue;
		LockRelationOid(t->pieces[i].leaf, RowExclusiveLock);
		leaves++;
	}
	t->parts = palloc0((leaves + t->nitems) * sizeof(PtProducePart));
	for (int i = 0; i < t->nitems; i++)
	{
		if (pt_produce_verify(&t->items[i], false))
			LockRelationOid(t->items[i].relid, RowExclusiveLock);
		check_item(&t->items[i]);
	}
}

/* In the transaction. */
static void
append_all(Together *t)
{
	prepare(t);
	PT_STOP_POINT("together.prepared");
	for (int64 i = 0; i < t->npieces;)
		i = append_leaf(t, i);
	append_internal(t);
	pt_staged_close(t->staged);
	PT_STOP_POINT("together.appended");
}

/*
 * May it succeed when it is tried again?  Not where a table, a right or code
 * of users is what refuses.
 */
static PtTogether
fate_of(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
			return PT_TOGETHER_AGAIN;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ? PT_TOGETHER_AGAIN : PT_TOGETHER_NEVER;
	}
}

PtTogether
pt_together_failed(const ErrorData *edata, char message[128])
{
	static PtTold told;
	int			untold;
	PtTogether	fate = fate_of(edata->sqlerrcode);
	bool		tell = pt_may_tell(&told, &untold);

	strlcpy(message, edata->message ? edata->message : "", 128);
	if (untold > 0)
		ereport(LOG,
				(errmsg("%d more Kafka transactions could not be committed", untold)));
	if (tell)
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg("could not commit a Kafka transaction: %s", message),
				 fate == PT_TOGETHER_AGAIN ? errdetail("Its client may try again.  The SQLSTATE is %s.",
													   unpack_sql_state(edata->sqlerrcode)) :
				 errdetail("It can only be aborted.  The SQLSTATE is %s.", unpack_sql_state(edata->sqlerrcode)),
				 edata->context ? errcontext("%s", edata->context) : 0));
	return fate;
}

/*
 * The transaction, up to its commit.  Once that has returned nothing looks for
 * interrupts until the caller has the answer: an answer that says less than
 * the commit record would be wrong.
 */
static void
commit_together(Together *t, MemoryContext mcxt)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
	MemoryContextSwitchTo(mcxt);
	t->chunk_mcxt = AllocSetContextCreate(mcxt, "pgtopic staged batches", ALLOCSET_DEFAULT_SIZES);
	append_all(t);
	pt_produce_committing(t->parts, t->nparts);
	CommitTransactionCommand();
}

PtTogether
pt_produce_together(int64 producer_id, uint64 serial, PtProduce *items, int n,
					TimestampTz deadline, XLogRecPtr *lsn, char message[128])
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext mcxt = AllocSetContextCreate(caller, "pgtopic commit", ALLOCSET_DEFAULT_SIZES);
	int			saved_synchronous_commit = synchronous_commit;
	Together	t = {.producer_id = producer_id,.serial = serial,.items = items,.nitems = n};
	volatile PtTogether result = PT_TOGETHER_DONE;

	Assert(!IsTransactionState());
	*lsn = InvalidXLogRecPtr;
	message[0] = '\0';
	pt_produce_begin(PT_PRODUCE_WAIT);
	pt_deadline_begin(deadline);
	PG_TRY();
	{
		commit_together(&t, mcxt);
		*lsn = XactLastCommitEnd;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		pt_produce_committing(NULL, 0);
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(caller);
		result = pt_together_failed(edata, message);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	pt_deadline_end();
	if (result == PT_TOGETHER_DONE)
		pt_produce_count(PT_BATCHES_APPENDED, t.npieces);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(mcxt);
	synchronous_commit = saved_synchronous_commit;
	return result;
}
