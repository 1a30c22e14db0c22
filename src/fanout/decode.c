/*-------------------------------------------------------------------------
 *
 * decode.c
 *	  Logical decoding of topics: each record that is appended is an INSERT.
 *
 * An APPEND is all that changes what a topic has; what retention, compaction
 * and delete_records() take away is not shown.  TRUNCATE is the server's own.
 *
 * The changes go to the reorder buffer under the xid that has appended them,
 * at the place in WAL where their batch is complete.  So transactions,
 * savepoints, two-phase commit and streaming are as for any table; and as a
 * log is written by one transaction at a time, in commit order, its records
 * come in the order of their offsets.
 *
 * What is decoded here knows no catalog.  The number of the partition, which
 * is in no record, comes with the APPEND if the server logs for decoding
 * (wal_level); an APPEND without it is of nobody's interest.
 *
 * Memory: one batch, and what it decompresses to, beside the reorder buffer,
 * which spills its changes by logical_decoding_work_mem.
 *
 * Siblings: frames.c (batches out of WAL), tuple.c (a record as a tuple).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/snapbuild.h"
#include "utils/memutils.h"

#include "fanout/fanout.h"
#include "fanout/internal.h"
#include "topic/leaf.h"

/* What is remembered from record to record; in a child of ctx->context. */
typedef struct PtDecoder
{
	LogicalDecodingContext *ctx;
	PtFrames	frames;
	/* the record at hand */
	XLogRecordBuffer *buf;
	RelFileLocator locator;
	int32		partition;
	MemoryContextCallback forget;
} PtDecoder;

/* A process decodes for one slot at a time. */
static PtDecoder *decoder;

static PtDecoder *decoder_of(LogicalDecodingContext *ctx);
static void forget_decoder(void *arg);
static void decode_append(LogicalDecodingContext *ctx, XLogRecordBuffer *buf);
static void take_batch(void *arg, const char *batch, uint32 length);
static void queue_record(PtDecoder *d, const PtRecord *record);

static int32
partition_for_wal(Relation rel)
{
	return pt_leaf_partition(rel);
}

const PtDecoding pt_decoding = {
	.append = decode_append,
	.partition = partition_for_wal,
};

/*
 * Is it nothing that the slot's consumer wants?
 */
static bool
is_unwanted(LogicalDecodingContext *ctx, XLogReaderState *record, const RelFileLocator *locator)
{
	if (pt_locator_db(*locator) != ctx->slot->data.database)
		return true;
	return ctx->callbacks.filter_by_origin_cb != NULL &&
		filter_by_origin_cb_wrapper(ctx, XLogRecGetOrigin(record));
}

/* An APPEND of a transaction, in WAL order. */
static void
decode_append(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	XLogReaderState *record = buf->record;
	PtDecoder  *d;

	Assert(TransactionIdIsValid(XLogRecGetXid(record)));
	if (!SnapBuildProcessChange(ctx->snapshot_builder, XLogRecGetXid(record), buf->origptr) || ctx->fast_forward)
		return;
	d = decoder_of(ctx);
	XLogRecGetBlockTag(record, 0, &d->locator, NULL, NULL);
	if (!pt_append_partition(record, &d->partition) || is_unwanted(ctx, record, &d->locator))
		return;
	d->buf = buf;
	pt_frames_append(&d->frames, record);
	d->buf = NULL;
}

/*
 * Returns the decoder of this decoding, made when it meets the first record.
 */
static PtDecoder *
decoder_of(LogicalDecodingContext *ctx)
{
	MemoryContext mcxt;

	if (decoder != NULL && decoder->ctx == ctx)
		return decoder;
	Assert(decoder == NULL);
	mcxt = AllocSetContextCreate(ctx->context, "pgtopic decoding", ALLOCSET_DEFAULT_SIZES);
	decoder = MemoryContextAllocZero(mcxt, sizeof(PtDecoder));
	decoder->ctx = ctx;
	decoder->frames.mcxt = mcxt;
	decoder->frames.reorder = ctx->reorder;
	decoder->frames.take = take_batch;
	decoder->frames.arg = decoder;
	decoder->forget.func = forget_decoder;
	MemoryContextRegisterResetCallback(mcxt, &decoder->forget);
	return decoder;
}

/*
 * The decoding has ended, in an error perhaps.
 */
static void
forget_decoder(void *arg)
{
	decoder = NULL;
}

/*
 * Queues the records of a batch.
 */
static void
take_batch(void *arg, const char *batch, uint32 length)
{
	PtDecoder  *d = arg;
	PtRecordIter it;
	PtRecord	record;
	PtBatchStatus status;
	MemoryContext old = MemoryContextSwitchTo(d->frames.mcxt);

	status = pt_record_iter_begin(&it, batch, length, PT_RECORDS_BYTES_MAX);
	MemoryContextSwitchTo(old);
	CHECK_FOR_INTERRUPTS();
	while (status == PT_BATCH_OK && (status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK)
		queue_record(d, &record);
	if (status != PT_BATCH_END)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("record batch at offset %lld cannot be decoded: %s",
						(long long) it.header.base_offset, pt_batch_status_text(status)),
				 errdetail("WAL record at %X/%X.", LSN_FORMAT_ARGS(d->buf->origptr))));
	pt_record_iter_end(&it);
}

/*
 * One INSERT of the transaction that has appended the record.
 */
static void
queue_record(PtDecoder *d, const PtRecord *record)
{
	ReorderBuffer *reorder = d->ctx->reorder;
	ReorderBufferChange *change = ReorderBufferAllocChange(reorder);

	change->action = REORDER_BUFFER_CHANGE_INSERT;
	change->origin_id = XLogRecGetOrigin(d->buf->record);
	pt_change_locator(change) = d->locator;
	pt_change_set_record(reorder, change, d->partition, record);
	change->data.tp.clear_toast_afterwards = true;
	ReorderBufferQueueChange(reorder, XLogRecGetXid(d->buf->record), d->buf->origptr, change, false);
}
