/*-------------------------------------------------------------------------
 *
 * admit.c
 *	  Batches of open transactions: may they come, and where are they kept.
 *
 * A listener gives one batch at a time.  It is copied to shared memory before
 * the entry is locked.  Then the entry says whether the batch may come; if so
 * the copy is hung to what is staged.  When a transaction has more than
 * pgtopic.transaction_buffer, or there is no memory, it and all that follow go
 * to the transaction's file, under the lock.
 *
 * A transaction of which something cannot be kept is doomed: it must not be
 * committed without that.
 *
 * Siblings: publish.c (who may), shared.c, file.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "guard.h"
#include "guc.h"
#include "stage/internal.h"
#include "stop_point.h"

/* A batch on its way. */
typedef struct Admission
{
	const PtStageBatch *batch;
	PtString	transactional_id;
	bool		v2;
	dsa_pointer copy;			/* StagePiece; invalid: none could be made */
	/* out */
	TxnError	error;
	bool		admitted;		/* to be kept; else there is an error, or it
								 * is a duplicate */
	bool		kept;
	uint64		serial;
	int64		base_offset;
	bool		out_of_order;
} Admission;

/* May this producer stage now? */
static TxnError
check_entry(const StageEntry *entry, const Admission *a)
{
	if (entry == NULL || !pt_string_equal(pt_stage_id(entry), a->transactional_id))
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	if (entry->epoch != a->batch->header->producer_epoch)
		return TXN_INVALID_PRODUCER_EPOCH;
	if (entry->doomed)
		return TXN_TRANSACTION_ABORTABLE;
	switch (entry->phase)
	{
		case TXN_PHASE_OPEN:
			return TXN_NONE;
		case TXN_PHASE_READY:
			return a->v2 ? TXN_NONE : TXN_INVALID_TXN_STATE;
		case TXN_PHASE_LOST:

			/*
			 * as after Kafka's own time-out; Kafka Streams would end of an
			 * ABORTABLE, but begins its tasks anew after this
			 */
			return a->v2 ? TXN_INVALID_PRODUCER_EPOCH : TXN_INVALID_TXN_STATE;
		case TXN_PHASE_DOOMED:
			return TXN_TRANSACTION_ABORTABLE;
		case TXN_PHASE_ENDING:
			return TXN_CONCURRENT_TRANSACTIONS;
		case TXN_PHASE_GONE:
			break;
	}
	return TXN_INVALID_PRODUCER_ID_MAPPING;
}

/*
 * Is it the producer's next batch of the partition?  A duplicate is answered
 * as the first one was.
 */
static bool
check_sequence(const StageEntry *entry, const StagePart *part, Admission *a)
{
	const PtBatchHeader *header = a->batch->header;
	const PtSequenceBatch *first;
	bool		fresh = part == NULL || part->sequences.epoch == PT_NO_PRODUCER_EPOCH;

	if (fresh)
		a->out_of_order = header->base_sequence < 0 || (entry->sequences_known && header->base_sequence != 0);
	else
	{
		PtSequenceResult result = pt_sequence_check(&part->sequences, header, &first);

		if (result == PT_SEQUENCE_DUPLICATE)
		{
			a->base_offset = first->base_offset;
			return false;
		}
		a->out_of_order = result != PT_SEQUENCE_OK;
	}
	return !a->out_of_order;
}

/* The partition is in the transaction, whatever becomes of the batch. */
static void
open_part(StageEntry *entry, StagePart *part, const Admission *a)
{
	if (!part->added)
	{
		Assert(a->v2);
		part->added = true;
		pt_stage_set_news(entry, true);
	}
	entry->opened = entry->opened || entry->phase == TXN_PHASE_READY;
}

/*
 * The batch has been kept: it is in the transaction from now on.  Not before,
 * as one that comes again would be taken for a duplicate.  Does not throw.
 */
static void
enter(StageEntry *entry, StagePart *part, Admission *a)
{
	const PtBatchHeader *header = a->batch->header;

	entry->store.batches++;
	a->kept = true;
	if (entry->started_at == 0)
		entry->started_at = GetCurrentTimestamp();
	a->base_offset = Max(a->batch->log_end + part->records, part->next_base);
	part->records += header->last_offset_delta + 1;
	part->next_base = a->base_offset + header->last_offset_delta + 1;
	pt_sequence_append(&part->sequences, header, a->base_offset, 0);
}

/*
 * Decides, with the entry locked exclusively (or NULL).  Changes nothing but
 * that the partition may be entered.
 */
static StagePart *
decide(StageEntry *entry, Admission *a)
{
	StagePart  *part;

	a->admitted = false;
	a->error = check_entry(entry, a);
	if (a->error != TXN_NONE)
		return NULL;
	a->serial = entry->serial;
	part = pt_stage_part(entry, a->batch->leaf);
	if (!a->v2 && (part == NULL || !part->added))
	{
		a->error = TXN_INVALID_TXN_STATE;
		return NULL;
	}
	if (!check_sequence(entry, part, a))
		return NULL;
	part = pt_stage_part_add(entry, a->batch->leaf);
	if (part == NULL)
		a->error = TXN_COORDINATOR_NOT_AVAILABLE;
	a->admitted = part != NULL;
	return part;
}

static StageHeader
header_of(const PtStageBatch *batch)
{
	StageHeader header = {
		.leaf = batch->leaf,
		.role = batch->role,
		.length = batch->length,
		.keyless = batch->records->keyless
	};

	return header;
}

/*
 * A copy in shared memory, if it looks as if it will be needed: not where the
 * transaction has gone to a file already.
 */
static dsa_pointer
make_copy(const PtStageBatch *batch)
{
	Size		size = sizeof(StagePiece) + batch->length;
	StageEntry *entry = pt_stage_find(batch->header->producer_id, false);
	bool		fits = entry != NULL && entry->store.file == 0 &&
		entry->store.memory_bytes + size <= (uint64) pt_transaction_buffer * 1024;
	dsa_pointer copy;

	if (entry != NULL)
		pt_stage_unlock(entry);
	copy = fits ? pt_stage_allocate(size, false) : InvalidDsaPointer;
	if (DsaPointerIsValid(copy))
	{
		StagePiece *piece = pt_stage_get(StagePiece, copy);

		piece->next = InvalidDsaPointer;
		piece->header = header_of(batch);
		memcpy(piece + 1, batch->data, batch->length);
	}
	return copy;
}

/*
 * Hangs the copy to what is staged.  May ereport; then nothing has changed.
 */
static void
keep_copy(StageStore *store, Admission *a)
{
	StagePiece *last = NULL;

	if (DsaPointerIsValid(store->last_piece))
		last = pt_stage_get(StagePiece, store->last_piece);
	if (last != NULL)
		last->next = a->copy;
	else
		store->first_piece = a->copy;
	store->last_piece = a->copy;
	store->memory_bytes += sizeof(StagePiece) + a->batch->length;
	a->copy = InvalidDsaPointer;
}

/* With a copy; or finds that it is of no use. */
static void
admit_to_memory(Admission *a)
{
	StageEntry *entry = pt_stage_find(a->batch->header->producer_id, true);
	StagePart  *part = decide(entry, a);

	if (a->admitted && DsaPointerIsValid(a->copy) && entry->store.file == 0)
	{
		open_part(entry, part, a);
		keep_copy(&entry->store, a);
		enter(entry, part, a);
	}
	if (entry != NULL)
		pt_stage_unlock(entry);
}

/* For pt_guarded: an ERROR of the file dooms the transaction, nothing else. */
static void
admit_to_file(void *arg)
{
	Admission  *a = arg;
	StageEntry *entry = pt_stage_find(a->batch->header->producer_id, true);
	StagePart  *part = decide(entry, a);
	StageHeader header = header_of(a->batch);

	if (a->admitted)
	{
		open_part(entry, part, a);
		PT_STOP_POINT("stage.file");
		if (pt_stage_file_append(&entry->store, &header, a->batch->data))
			enter(entry, part, a);
	}
	if (entry != NULL)
		pt_stage_unlock(entry);
}

/*
 * Has the producer a transaction under way?  Then what it sends must belong to
 * it.
 */
bool
pt_stage_is_open(int64 producer_id)
{
	StageEntry *entry = pt_stage_find(producer_id, false);
	bool		open;

	if (entry == NULL)
		return false;
	open = entry->opened || entry->phase == TXN_PHASE_OPEN || entry->phase == TXN_PHASE_DOOMED;
	pt_stage_unlock(entry);
	return open;
}

/*
 * Stages a batch.  Answers with the base offset that it would get if its
 * transaction committed now, or with an error; *out_of_order: its sequence is
 * not the next one.
 */
TxnError
pt_stage_batch(const PtStageBatch *batch, PtString transactional_id, bool v2,
			   int64 *base_offset, bool *out_of_order)
{
	Admission	a = {.batch = batch,.transactional_id = transactional_id,.v2 = v2,.base_offset = -1};
	ErrorData  *error;

	Assert(batch->length > 0 && batch->header->producer_id >= 0);
	*out_of_order = false;
	if (!pt_stage_exists())
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	pt_stage_part_reserve(batch->header->producer_id, batch->leaf);
	a.copy = make_copy(batch);
	PG_TRY();
	{
		admit_to_memory(&a);
	}
	PG_FINALLY();
	{
		if (DsaPointerIsValid(a.copy))
			pt_stage_free(a.copy, sizeof(StagePiece) + batch->length);
	}
	PG_END_TRY();
	error = a.admitted && !a.kept ? pt_guarded(admit_to_file, &a) : NULL;
	if (a.admitted && !a.kept)
	{
		PT_STOP_POINT("stage.doom");
		pt_stage_doom(batch->header->producer_id, a.serial);
		a.error = TXN_TRANSACTION_ABORTABLE;
	}
	if (error != NULL)
	{
		ereport(LOG,
				(errmsg("could not stage a batch of a Kafka transaction: %s", error->message)));
		FreeErrorData(error);
	}
	*base_offset = a.error == TXN_NONE && !a.out_of_order ? a.base_offset : -1;
	*out_of_order = a.out_of_order;
	return a.error;
}
