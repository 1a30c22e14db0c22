/*-------------------------------------------------------------------------
 *
 * produce.c
 *	  Appending what Kafka clients send: many batches, one transaction.
 *
 * The listener hands over everything that is ready in one turn of its loop.
 * What needs no lock (checksums) is checked first.  Then, in one transaction
 * with one xid and an asynchronous commit, each partition that can be locked
 * at once gets its batches; the others answer PT_BUSY, and are claimed, so
 * that an attempt soon succeeds.  Batches go to the log as they are, byte for
 * byte.
 *
 * Where code of users would run, or a producer has to be looked for in the
 * log, the answer is PT_NEEDS_EXECUTOR: a process that serves nobody else
 * appends these, one at a time (executor.c), and then waits for what it needs.
 *
 * An ERROR spoils the whole transaction, so the items are then tried again one
 * by one, each in a transaction of its own; only the culprit gets the error.
 *
 * What is known of idempotent producers changes in a copy
 * (PtProducePart.producers) and is published when the transaction has
 * committed and still holds the append lock, so that whoever gets the lock
 * next (another listener worker) knows of it.
 *
 * Siblings: staging.c, together.c (batches of transactions), producers.c,
 * snapshots.c, executor.c, recompress.c (other codec), xact.c (tells the
 * logs that we committed).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "stop_point.h"
#include "tell.h"
#include "fetch/fetch.h"
#include "log/producers.h"
#include "produce/internal.h"
#include "rights/rights.h"
#include "stage/stage.h"
#include "topic/leaf.h"
#include "xact/claims.h"
#include "xact/xact.h"

/* The group whose transaction is committing. */
static PtProducePart *committing;
static int	ncommitting;

/* Of the call that is under way; for the log, the partition opened last. */
static PtProduceMode mode;
static char appending_to[NAMEDATALEN];

static void produce_group(PtProduce **items, int n, XLogRecPtr *lsn);
static void produce_singly(PtProduce **items, int n, XLogRecPtr *lsn);
static void append_group(PtProduce **items, int n, PtProducePart *parts, int *nparts);
static PtProducerState *advance_producer(PtProducePart *part, const PtProduce *item);
static bool admit(PtProducePart *part, PtProduce *item);
static bool convert_item(const PtProducePart *part, PtProduce *item);
static bool check_transaction(PtProduce *item);
static bool check_sequence(PtProducePart *part, PtProduce *item);
static void report_failure(PtProduce **items, int n, const ErrorData *edata);
static void remember_producers(void);

const PtXactKind pt_xact_producers = {
	.name = "idempotent producers",
	.committed = remember_producers,
};

/* Sets an item's status; a message is cut to what fits. */
void
pt_produce_reject(PtProduce *item, PtStatus status, const char *message)
{
	Assert(status != PT_OK && status != PT_DUPLICATE_SEQUENCE);
	item->status = status;
	item->base_offset = -1;
	if (message)
		strlcpy(item->message, message, sizeof(item->message));
}

void
pt_produce_failed(PtProduce *item, const ErrorData *edata)
{
	static PtTold told;
	int			untold;
	bool		tell = pt_may_tell(&told, &untold);

	item->sqlstate = edata->sqlerrcode;
	pt_produce_reject(item, PT_FAILED, edata->message);
	if (untold > 0)
		ereport(LOG,
				(errmsg("%d more record batches of Kafka clients could not be appended", untold)));
	if (tell)
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg("could not append a record batch of a Kafka client to \"%s\": %s",
						appending_to, edata->message ? edata->message : ""),
				 errdetail("The SQLSTATE is %s.", unpack_sql_state(edata->sqlerrcode)),
				 edata->context ? errcontext("%s", edata->context) : 0));
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

/* What came of an attempt. */
static void
count_items(const PtProduce *items, int n)
{
	uint64		counted[PT_PRODUCE_COUNTERS] = {0};

	for (int i = 0; i < n; i++)
	{
		if (items[i].status == PT_BUSY)
			counted[PT_TRIES_BUSY]++;
		else if (items[i].status == PT_OK)
			counted[PT_BATCHES_APPENDED]++;
		else if (items[i].status == PT_DUPLICATE_SEQUENCE)
			counted[PT_BATCHES_DUPLICATE]++;
		else if (items[i].status != PT_NEEDS_EXECUTOR)
			counted[PT_BATCHES_REFUSED]++;
	}
	if (mode == PT_PRODUCE_WAIT)
		counted[PT_BATCHES_EXECUTED] = n;
	for (int i = 0; i < PT_PRODUCE_COUNTERS; i++)
		pt_produce_count(i, counted[i]);
}

/*
 * Appends n batches, in order, as one transaction that it starts and commits
 * itself (called outside of one), asynchronously: *lsn is the end of the
 * commit record, 0 when nothing was appended.  Never waits for a lock or the
 * disk, never throws: each item has its status.
 */
void
pt_produce_batches(PtProduce *items, int n, XLogRecPtr *lsn)
{
	pt_produce_in_mode(PT_PRODUCE_TRY, items, n, lsn);
}

/* What is opened and appended from now on is so in this mode. */
void
pt_produce_begin(PtProduceMode how)
{
	mode = how;
}

void
pt_produce_in_mode(PtProduceMode how, PtProduce *items, int n, XLogRecPtr *lsn)
{
	PtProduce **good = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(PtProduce *));
	int			ngood = 0;

	Assert(!IsTransactionState());
	pt_produce_begin(how);
	*lsn = InvalidXLogRecPtr;
	for (int i = 0; i < n; i++)
	{
		if (pt_produce_verify(&items[i], false))
			good[ngood++] = &items[i];
	}
	if (ngood > 0)
	{
		qsort(good, ngood, sizeof(PtProduce *), compare_items);
		produce_group(good, ngood, lsn);
	}
	pt_claims_sweep();
	count_items(items, n);
	pfree(good);
}

void
pt_produce_batches_at_once(PtProduce *items, int n, XLogRecPtr *lsn)
{
	pt_produce_in_mode(PT_PRODUCE_FLUSH, items, n, lsn);

	/*
	 * a duplicate has nothing committed, and its first one may be somebody
	 * else's
	 */
	XLogFlush(*lsn);
}

/*
 * What a producer is told of a batch that is none.  Damage on the way shows in
 * the checksum or the length: such a batch may be sent again.  All else was
 * made so, and would be the next time, too.
 */
PtStatus
pt_status_of_batch(PtBatchStatus status)
{
	Assert(status != PT_BATCH_OK && status != PT_BATCH_END);
	switch (status)
	{
		case PT_BATCH_BAD_CRC:
		case PT_BATCH_BAD_LENGTH:
			return PT_CORRUPT_BATCH;
		case PT_BATCH_BAD_CODEC:
			return PT_UNSUPPORTED_COMPRESSION;
		case PT_BATCH_TOO_LARGE:
			return PT_MESSAGE_TOO_LARGE;
		case PT_BATCH_NO_MEMORY:
			return PT_STORAGE_ERROR;
		default:
			return PT_INVALID_RECORD;
	}
}

/* Puts an item to where it was before an attempt. */
static void
reset_item(PtProduce *item)
{
	item->status = PT_OK;
	item->base_offset = item->append_time = item->start_offset = -1;
	item->message[0] = '\0';
	item->nrefused = 0;
	item->batch = (PtAppendBatch)
	{
		.data = item->data,.length = item->length,.base_offset = -1,.header = item->header
	};
}

/*
 * What can be told from the bytes alone.  As in Kafka the records inside are
 * looked at, too, so that offsets, readers and indexes can rely on what the
 * batch's header says of them.
 */
static void
verify_item(PtProduce *item, bool transactional)
{
	size_t		limit = (size_t) pt_decompress_limit * 1024;
	PtBatchStatus status;

	reset_item(item);
	if (item->verified)
		return;
	pt_produce_count(PT_BATCHES_VERIFIED, 1);
	pt_produce_count(PT_BYTES_VERIFIED, item->length);
	status = pt_batch_verify(item->data, item->length, &item->header);
	if (status == PT_BATCH_OK)
		status = pt_batch_verify_records(item->data, item->length, limit, &item->records);
	if (status != PT_BATCH_OK)
		pt_produce_reject(item, pt_status_of_batch(status), pt_batch_status_text(status));
	else if (item->header.attributes & PT_BATCH_CONTROL)
		pt_produce_reject(item, PT_INVALID_RECORD, "control batches are not accepted");
	else if (((item->header.attributes & PT_BATCH_TRANSACTIONAL) != 0) != transactional)
		pt_produce_reject(item, PT_INVALID_RECORD, transactional ? "the batch is not transactional" :
						  "transactional batches are not accepted here");
	else if (item->header.attributes & PT_BATCH_LOG_APPEND_TIME)
		pt_produce_reject(item, PT_INVALID_TIMESTAMP, "a producer does not set the timestamp type to LogAppendTime");
	else if (item->header.max_timestamp != item->records.max_timestamp)
	{
		/*
		 * as in Kafka, it is what the records say: look-ups by time rely on
		 * it
		 */
		item->header.max_timestamp = item->records.max_timestamp;
		pt_batch_set_max_timestamp(item->data, item->records.max_timestamp);
	}
	item->batch.header = item->header;
	item->verified = item->status == PT_OK;
}

/*
 * May the item be appended, as far as its bytes and the server go?  Else it
 * has its status.
 */
bool
pt_produce_verify(PtProduce *item, bool transactional)
{
	verify_item(item, transactional);
	if (item->status == PT_OK && RecoveryInProgress())
	{
		item->sqlstate = ERRCODE_READ_ONLY_SQL_TRANSACTION;
		pt_produce_reject(item, PT_FAILED, "the server is a standby");
	}
	return item->status == PT_OK;
}

/* What the transaction that is about to be committed has appended to. */
void
pt_produce_committing(PtProducePart *parts, int n)
{
	committing = parts;
	ncommitting = n;
}

/*
 * The group's transaction has committed and still holds its locks.  Does not
 * throw.
 */
static void
remember_producers(void)
{
	for (int i = 0; i < ncommitting; i++)
	{
		for (int j = 0; j < committing[i].nproducers; j++)
			pt_producers_put(&committing[i].log->locator, &committing[i].producers[j], committing[i].now);
	}
	ncommitting = 0;
}

/* After the commit: what the answers must wait for. */
static void
await_parts(const PtProducePart *parts, int nparts, XLogRecPtr *lsn)
{
	for (int i = 0; i < nparts; i++)
	{
		if (parts[i].appended)
			*lsn = Max(*lsn, XactLastCommitEnd);
		*lsn = Max(*lsn, parts[i].duplicate_lsn);
	}
}

/*
 * One after the other; behind one that is busy, those of its partition must
 * wait, too, or they would overtake it.
 */
static void
produce_singly(PtProduce **items, int n, XLogRecPtr *lsn)
{
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && items[i - 1]->status == PT_BUSY && items[i - 1]->relid == items[i]->relid)
			pt_produce_reject(items[i], PT_BUSY, NULL);
		else
			produce_group(&items[i], 1, lsn);
	}
}

/*
 * One transaction for n sorted items, none of which has been rejected.  Does
 * not throw.
 */
static void
produce_group(PtProduce **items, int n, XLogRecPtr *lsn)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext mcxt = AllocSetContextCreate(caller, "pgtopic produce", ALLOCSET_DEFAULT_SIZES);
	int			saved_synchronous_commit = synchronous_commit;
	volatile bool failed = false;

	PG_TRY();
	{
		PtProducePart *parts = MemoryContextAllocZero(mcxt, n * sizeof(PtProducePart));
		int			nparts = 0;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		synchronous_commit = mode == PT_PRODUCE_FLUSH ? SYNCHRONOUS_COMMIT_LOCAL_FLUSH : SYNCHRONOUS_COMMIT_OFF;
		MemoryContextSwitchTo(mcxt);
		append_group(items, n, parts, &nparts);
		pt_produce_committing(parts, nparts);
		CommitTransactionCommand();
		Assert(ncommitting == 0);
		await_parts(parts, nparts, lsn);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		pt_produce_committing(NULL, 0);
		pt_at_hand_end();
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(caller);
		failed = true;
		report_failure(items, n, edata);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(mcxt);
	synchronous_commit = saved_synchronous_commit;
	if (failed && n > 1)
		produce_singly(items, n, lsn);
}

/*
 * A single item fails with the error, or waits for the disk; a group is
 * prepared to be tried again.
 */
static void
report_failure(PtProduce **items, int n, const ErrorData *edata)
{
	for (int i = 0; i < n; i++)
		reset_item(items[i]);
	if (n == 1 && pt_at_hand_failed(edata->sqlerrcode))
		pt_produce_reject(items[0], PT_BUSY, NULL);
	else if (n == 1)
		pt_produce_failed(items[0], edata);
}

/* In the transaction: all partitions of the group, by OID. */
static void
append_group(PtProduce **items, int n, PtProducePart *parts, int *nparts)
{
	int			end;

	for (int first = 0; first < n; first = end)
	{
		Oid			relid = items[first]->relid;

		for (end = first + 1; end < n && items[end]->relid == relid; end++)
			;
		if (pt_produce_open(&parts[*nparts], relid, items + first, end - first))
		{
			pt_produce_append(&parts[*nparts], items + first, end - first);
			relation_close(parts[*nparts].rel, NoLock);
			(*nparts)++;
		}
	}
}

/* All items of a partition get the same answer. */
static bool
reject_all(PtProduce **items, int n, PtStatus status)
{
	for (int i = 0; i < n; i++)
		pt_produce_reject(items[i], status, NULL);
	return false;
}

/* What waits or fails from here on concerns this partition. */
static void
tell_where(Relation rel)
{
	strlcpy(appending_to, RelationGetRelationName(rel), sizeof(appending_to));
	if (mode == PT_PRODUCE_WAIT)
		pgstat_report_activity(STATE_RUNNING, psprintf("appending a record batch to \"%s\"", appending_to));
}

/*
 * A batch that has waited for an executor may find that its producer is not
 * allowed to write any more.  Others have just been looked at.
 */
static bool
still_allowed(const PtTopic *topic, Oid role)
{
	return mode != PT_PRODUCE_WAIT || !OidIsValid(role) ||
		(pt_rights_on_topic(role, topic->relid) & PT_OP_BIT(PT_OP_WRITE)) != 0;
}

/* The same of a partition that is open. */
bool
pt_produce_may(const PtProducePart *part, Oid role)
{
	int32		partition;
	const PtTopic *topic = pt_topic_by_leaf(RelationGetRelid(part->rel), &partition);

	return topic != NULL && still_allowed(topic, role);
}

/* Opens and locks the relation of a partition that a topic has. */
static PtStatus
open_rel(PtProducePart *part, Oid relid, Oid role)
{
	const PtTopic *topic;
	int32		partition;

	snprintf(appending_to, sizeof(appending_to), "%u", relid);	/* until it has a name */
	if (mode == PT_PRODUCE_WAIT)
		LockRelationOid(relid, RowExclusiveLock);
	else if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
		return PT_BUSY;
	part->rel = try_relation_open(relid, NoLock);
	if (part->rel)
		tell_where(part->rel);
	topic = part->rel ? pt_topic_by_leaf(relid, &partition) : NULL;
	if (topic != NULL && !still_allowed(topic, role))
	{
		relation_close(part->rel, NoLock);
		return PT_FORBIDDEN;
	}
	if (topic != NULL)
	{
		part->config = topic->config;
		return PT_OK;
	}
	if (part->rel)
		relation_close(part->rel, NoLock);
	UnlockRelationOid(relid, RowExclusiveLock);
	return PT_UNKNOWN_PARTITION;
}

/*
 * Are the producers of all items known, or found in no time?  No, too, where a
 * snapshot has to be written first.
 */
static bool
producers_at_hand(const PtProducePart *part, PtProduce **items, int n)
{
	for (int i = 0; i < n; i++)
	{
		int64		id = items[i]->header.producer_id;

		if (id >= 0 && (pt_log_producers_overdue(part->log) ||
						!pt_producers_at_hand(part->log, id, part->now)))
			return false;
	}
	return true;
}

/* Has what the log knows of the producers of all items read into memory. */
static void
read_producers(const PtProducePart *part, PtProduce **items, int n)
{
	for (int i = 0; i < n; i++)
	{
		PtProducerState state;

		if (items[i]->header.producer_id >= 0)
			pt_producers_get(part->rel, part->log, items[i]->header.producer_id, part->now, &state);
	}
}

/*
 * Has in memory what appending to the log needs of it, under the append lock.
 * A listener does not wait for the disk: PT_BUSY, or an ERROR that means the
 * same, and it is being read.
 */
static PtStatus
load_part(PtProducePart *part, PtProduce **items, int n)
{
	PtStatus	status = PT_OK;

	part->now = pt_now_ms();
	if (mode == PT_PRODUCE_WAIT)
	{
		part->log = pt_state_get(part->rel);
		return PT_OK;
	}
	pt_at_hand_begin();
	part->log = pt_state_try(part->rel);
	if (part->log == NULL || !pt_append_at_hand(part->log) || !pt_leader_epoch_ready())
		status = PT_BUSY;		/* or all entries are in use now, or the
								 * sequence of epochs is locked */
	else if (!producers_at_hand(part, items, n))
		status = PT_NEEDS_EXECUTOR;
	else
		read_producers(part, items, n);
	pt_at_hand_end();
	return status;
}

/*
 * Takes the append lock and the state of the log.  What would run code of
 * users, or must read through much of the log first, is for those who may
 * wait; it must not be in anybody's way here.
 */
static PtStatus
lock_part(PtProducePart *part, Oid relid, PtProduce **items, int n)
{
	part->slow = pt_leaf_needs_executor(part->rel);
	part->indexes = pt_index_rows_kind(part->rel);
	if (mode != PT_PRODUCE_WAIT && (part->slow || part->indexes == PT_INDEXES_WITH_CODE))
		return PT_NEEDS_EXECUTOR;
	if (!pt_append_lock(relid, mode == PT_PRODUCE_WAIT ? PT_LOCK_WAIT : PT_LOCK_CLAIM))
		return PT_BUSY;
	return load_part(part, items, n);
}

/*
 * Opens a partition and takes its append lock, if both can be had in this
 * mode; else answers for its items and gives false.
 */
bool
pt_produce_open(PtProducePart *part, Oid relid, PtProduce **items, int n)
{
	PtStatus	status = open_rel(part, relid, items[0]->role);

	if (status != PT_OK)
		return reject_all(items, n, status);
	status = lock_part(part, relid, items, n);
	if (status != PT_OK)
	{
		relation_close(part->rel, NoLock);
		return reject_all(items, n, status);
	}
	Assert(part->appended == false && part->nproducers == 0);
	part->next_offset = pt_append_next_offset(part->rel, part->log);
	return true;
}

/* Enters the records of appended batches into the secondary indexes. */
static void
index_batches(Relation rel, const PtAppendBatch *batches, int n)
{
	for (int i = 0; i < n; i++)
	{
		PtRecordIter it;
		PtBatchStatus status;
		int			nrows = 0;
		const PtBatchHeader *h = &batches[i].header;
		PtRecord   *rows;

		rows = MemoryContextAllocHuge(CurrentMemoryContext, h->record_count * sizeof(PtRecord));
		status = pt_record_iter_begin(&it, batches[i].data, batches[i].length, PT_RECORDS_BYTES_MAX);
		while (status == PT_BATCH_OK && nrows < h->record_count &&
			   (status = pt_record_iter_next(&it, &rows[nrows])) == PT_BATCH_OK)
			nrows++;
		if (nrows < h->record_count)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("records cannot be indexed: %s", pt_batch_status_text(status))));
		pt_index_rows(rel, &batches[i], rows, nrows);
		pt_record_iter_end(&it);
		pfree(rows);
	}
}

/* Appends the batches that are admitted, all at once. */
static void
append_admitted(PtProducePart *part, PtProduce **items, int n)
{
	PtAppendBatch *batches = palloc(n * sizeof(PtAppendBatch));

	Assert(n > 0 && !part->slow);
	for (int i = 0; i < n; i++)
		batches[i] = items[i]->batch;
	pt_tails_before_append(part->log, RelationGetRelid(part->rel));
	if (part->nproducers > 0)
		pt_log_producers_begin(part->rel, part->log);
	pt_append(part->rel, part->log, batches, n, pt_leader_epoch_for_append());
	PT_STOP_POINT("produce.appended");
	Assert(part->next_offset == part->log->tail_offset);
	if (part->indexes != PT_INDEXES_NONE)
		index_batches(part->rel, batches, n);
	pt_tails_after_append();
	for (int i = 0; i < n; i++)
	{
		Assert(items[i]->base_offset == batches[i].base_offset);
		pgstat_count_heap_insert(part->rel, items[i]->header.record_count);
	}
	part->appended = true;
	pfree(batches);
}

/*
 * Appends batch by batch through the executor.  Code of users may have made
 * other batches of it, or none, so that these do not say what the producer
 * has sent: that is written behind them.
 */
static void
append_slowly(PtProducePart *part, PtProduce *item)
{
	PtProducerState *producer;
	bool		idempotent = item->header.producer_id >= 0;

	if (idempotent)
		pt_log_producers_begin(part->rel, part->log);
	pt_produce_slowly(part->rel, item);
	if (item->status == PT_OK && idempotent)
	{
		producer = advance_producer(part, item);
		pt_tails_before_append(part->log, RelationGetRelid(part->rel));
		(void) pt_log_producers_write(part->rel, part->log, producer, 1, part->now, false);
		pt_tails_after_append();
	}
	part->next_offset = pt_append_next_offset(part->rel, part->log);
	part->appended = part->appended || item->status == PT_OK;
}

/*
 * Notes what an admitted batch does to its producer; returns the state, NULL
 * when the batch has no producer.
 */
static PtProducerState *
advance_producer(PtProducePart *part, const PtProduce *item)
{
	const PtBatchHeader *h = &item->batch.header;
	PtProducerState *state = NULL;

	if (h->producer_id < 0)
		return NULL;
	for (int i = part->nproducers - 1; i >= 0 && state == NULL; i--)
	{
		if (part->producers[i].producer_id == h->producer_id)
			state = &part->producers[i];
	}
	Assert(state != NULL);
	Assert(item->status == PT_OK && item->base_offset >= 0);
	pt_sequence_append(state, h, item->base_offset, part->now);
	return state;
}

/*
 * Appends what may be appended of n batches of an open partition, in order;
 * each has its status.
 */
void
pt_produce_append(PtProducePart *part, PtProduce **items, int n)
{
	PtProduce **admitted = palloc(n * sizeof(PtProduce *));
	int			nadmitted = 0;

	if (mode == PT_PRODUCE_WAIT && pt_log_producers_due(part->log))
		pt_producers_snapshot(part->rel, part->log);
	for (int i = 0; i < n; i++)
	{
		PtProduce  *item = items[i];

		item->start_offset = part->log->start_offset;
		if (!admit(part, item))
			continue;
		if (part->slow)
		{
			append_slowly(part, item);
			continue;
		}
		item->base_offset = part->next_offset;
		part->next_offset += item->header.last_offset_delta + 1;
		(void) advance_producer(part, item);
		admitted[nadmitted++] = item;
	}
	if (nadmitted > 0)
		append_admitted(part, admitted, nadmitted);
	pfree(admitted);
}

/* May the batch be appended?  Else its item has the answer. */
static bool
admit(PtProducePart *part, PtProduce *item)
{
	PtRecordRules rules = pt_record_rules(&part->config, part->now);

	if (part->staged)
	{
		/* its time was looked at when it came, and its sequence */
		rules.earliest = PG_INT64_MIN;
		rules.latest = PG_INT64_MAX;
	}
	return pt_produce_fits(&part->config, item) && pt_check_rules(item, &rules) &&
		(part->staged || (check_transaction(item) && check_sequence(part, item))) && convert_item(part, item);
}

/* As the batch came, and again as it will be in the log. */
bool
pt_produce_fits(const PtTopicConfig *config, PtProduce *item)
{
	if (item->batch.length > (uint32) config->max_message_bytes)
		pt_produce_reject(item, PT_MESSAGE_TOO_LARGE, "batch is larger than max.message.bytes");
	return item->status == PT_OK;
}

/* After the bytes have changed. */
static void
read_header(PtAppendBatch *batch)
{
	PtBatchStatus status = pt_batch_header_read(batch->data, batch->length, &batch->header);

	if (status != PT_BATCH_OK)
		elog(ERROR, "converted batch is malformed: %s", pt_batch_status_text(status));
}

/* Brings the batch into the form that the topic wants. */
static bool
convert_item(const PtProducePart *part, PtProduce *item)
{
	PtAppendBatch *batch = &item->batch;
	int			codec = item->header.attributes & PT_BATCH_COMPRESSION_MASK;

	if (part->config.compression != PT_COMPRESSION_PRODUCER && part->config.compression != codec)
	{
		size_t		len;
		PtBatchStatus status = pt_batch_recompress(item->data, item->length, &part->config, &batch->data, &len);

		if (status != PT_BATCH_OK)
		{
			pt_produce_reject(item, pt_status_of_batch(status), pt_batch_status_text(status));
			return false;
		}
		batch->length = (uint32) len;
		read_header(batch);
		if (!pt_produce_fits(&part->config, item))
			return false;
	}
	if (part->config.log_append_time)
	{
		pt_batch_set_append_time(batch->data, part->now);
		read_header(batch);
		item->append_time = part->now;
	}
	return true;
}

/*
 * What this group knows of a producer of the partition; added when it is not
 * there yet.
 */
static PtProducerState *
producer_of(PtProducePart *part, int64 producer_id)
{
	PtProducerState *state;

	for (int i = part->nproducers - 1; i >= 0; i--)
	{
		if (part->producers[i].producer_id == producer_id)
			return &part->producers[i];
	}
	if (part->producers == NULL)
		part->producers = palloc(4 * sizeof(PtProducerState));
	else if (part->nproducers >= 4 && (part->nproducers & (part->nproducers - 1)) == 0)
		part->producers = repalloc(part->producers, 2 * part->nproducers * sizeof(PtProducerState));
	state = &part->producers[part->nproducers++];
	pt_producers_get(part->rel, part->log, producer_id, part->now, state);
	return state;
}

/* Has the partition's state of a producer, which its batches move on. */
void
pt_produce_producer(PtProducePart *part, int64 producer_id)
{
	(void) producer_of(part, producer_id);
}

/* Of a producer that has a transaction under way all belongs to that. */
static bool
check_transaction(PtProduce *item)
{
	if (item->header.producer_id < 0 || !pt_stage_is_open(item->header.producer_id))
		return true;
	pt_produce_reject(item, PT_NOT_STAGED, "the producer has a transaction under way");
	item->txn_error = TXN_INVALID_TXN_STATE;
	return false;
}

/*
 * A duplicate is answered with the offset of the first one, once that is
 * durable.
 */
static bool
check_sequence(PtProducePart *part, PtProduce *item)
{
	const PtSequenceBatch *first;

	Assert(part->log != NULL && item->status == PT_OK);
	if (item->header.producer_id < 0)
		return true;
	switch (pt_sequence_check(producer_of(part, item->header.producer_id), &item->header, &first))
	{
		case PT_SEQUENCE_OK:
			return true;
		case PT_SEQUENCE_DUPLICATE:
			item->status = PT_DUPLICATE_SEQUENCE;
			item->base_offset = first->base_offset;
			if (part->config.log_append_time)
				item->append_time = first->timestamp;
			part->duplicate_lsn = part->log->committed.lsn;
			return false;
		case PT_SEQUENCE_OUT_OF_ORDER:
			pt_produce_reject(item, PT_OUT_OF_ORDER_SEQUENCE, NULL);
			return false;
		case PT_SEQUENCE_FENCED:
			pt_produce_reject(item, PT_INVALID_PRODUCER_EPOCH, NULL);
			return false;
		case PT_SEQUENCE_INVALID:
			break;
	}
	pt_produce_reject(item, PT_INVALID_RECORD, "producer epoch or sequence number is negative");
	return false;
}
