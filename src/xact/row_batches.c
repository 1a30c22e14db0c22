/*-------------------------------------------------------------------------
 *
 * row_batches.c
 *	  From rows to record batches at the tail of a log.
 *
 * All rows that SQL writes go through pt_row_batches_append: those that waited
 * for the commit, those of append(), and those of a rewritten table.  Rows
 * without an offset follow one another densely; a gap, which explicit offsets
 * can leave, begins a new batch.
 *
 * Batches stay well below max.message.bytes: finding one record by its TID or
 * offset walks through the batch it is in, and a batch that fits one WAL
 * record is written whole or not at all.
 *
 * Siblings: pending.c (rows that wait), append_rows.c (rows that do not),
 * index_rows.c (entries of secondary indexes).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"

#include "record/compress.h"
#include "record/sequence.h"
#include "topic/leaf.h"
#include "xact/internal.h"

/* Bytes at which a batch of SQL rows is closed, before compression. */
#define SQL_BATCH_BYTES		(128 * 1024)

/*
 * Bytes after which the committer is asked to flush what a bulk load has
 * appended so far: then it writes WAL on one processor while we make more of
 * it on another, and little is left to do at commit.
 */
#define FLUSH_AHEAD_BYTES	(1024 * 1024)

typedef struct RowBatches
{
	Relation	rel;
	Oid			relid;
	PtLogState *log;
	const PtRowSource *source;
	PtTopicConfig config;
	Size		batch_bytes;
	PtBatchBuilder builder;
	int64		first;			/* number of the batch's first row */
	int64		base_offset;	/* of the batch, when it must go to one; else
								 * -1 */
	int64		next_offset;	/* of the next row */
	/* rows of the batch, when there are indexes to be told */
	bool		has_index;
	PtRecord   *rows;
	int			cap;
} RowBatches;

static void append_batch(RowBatches *b);
static void add_row(RowBatches *b, const PtRecord *row);
static void keep_row(RowBatches *b, const PtRecord *row);

/*
 * Are the rows those of a subscription?  Then they are taken as they were
 * taken where they come from: with their time, and however large.
 */
static bool
is_replicated(void)
{
	return IsLogicalWorker();
}

/*
 * Refuses a row that could never be appended, while the statement that adds it
 * can still be blamed.
 */
void
pt_row_check(Relation rel, const PtRecord *row, int32 max_message_bytes, bool compacted)
{
	uint64		size = PT_BATCH_HEADER_SIZE + (uint64) pt_record_size_max(row);

	if (is_replicated())
		return;
	if (size > (uint64) max_message_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("record of %llu bytes is too large for topic partition \"%s\"",
						(unsigned long long) size, RelationGetRelationName(rel)),
				 errhint("Raise the topic's config \"max.message.bytes\", now %d.", max_message_bytes)));
	if (compacted && row->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("record without a key in compacted topic partition \"%s\"", RelationGetRelationName(rel)),
				 errhint("Give every record a key, or take \"compact\" out of the topic's config \"cleanup.policy\".")));
}

/*
 * Appends rows.  The caller has the relation open with RowExclusiveLock and
 * holds its append lock.  ERROR 22023 for an explicit offset below the end.
 */
void
pt_row_batches_append(Relation rel, const PtRowSource *source)
{
	RowBatches	b;
	PtRecord	row;

	Assert(CheckRelationLockedByMe(rel, RowExclusiveLock, true));
	if (source->n == 0)
		return;
	memset(&b, 0, sizeof(b));
	b.rel = rel;
	b.relid = RelationGetRelid(rel);
	b.source = source;
	b.config = *pt_leaf_config(pt_leaf_identity(rel));
	b.batch_bytes = Min(b.config.max_message_bytes, SQL_BATCH_BYTES);
	b.has_index = pt_index_rows_kind(rel) != PT_INDEXES_NONE;
	b.base_offset = -1;
	b.log = pt_state_get(rel);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	b.next_offset = pt_append_next_offset(rel, b.log);
	Assert(b.next_offset >= 0);
	pt_builder_start(&b.builder);
	for (int64 i = 0; i < source->n; i++)
	{
		source->get_row(source->arg, i, &row);
		if (row.offset >= 0 && row.offset != b.next_offset)
		{
			append_batch(&b);
			b.base_offset = b.next_offset = row.offset;
		}
		add_row(&b, &row);
	}
	append_batch(&b);
	Assert(b.first == source->n);
	pgstat_count_heap_insert(rel, source->n);
	pt_builder_free(&b.builder);
	if (b.rows)
		pfree(b.rows);
}

/*
 * Puts one row, whose offset is next_offset, into the batch, after closing a
 * full one.
 */
static void
add_row(RowBatches *b, const PtRecord *row)
{
	if (b->builder.count > 0 &&
		pt_builder_size(&b->builder) + pt_record_size_max(row) > b->batch_bytes)
	{
		append_batch(b);
		CHECK_FOR_INTERRUPTS();
	}
	if (b->has_index)
		keep_row(b, row);
	(void) pt_builder_add(&b->builder, b->builder.count, row);
	b->next_offset++;
}

/*
 * Keeps the row for the indexes.  Its bytes stay where they are until the
 * source has been told.
 */
static void
keep_row(RowBatches *b, const PtRecord *row)
{
	int			i = b->builder.count;

	Assert(i <= b->cap);
	if (i == b->cap)
	{
		int			cap = Max(64, b->cap * 2);

		b->rows = b->rows ? repalloc_huge(b->rows, cap * sizeof(PtRecord)) : palloc(cap * sizeof(PtRecord));
		b->cap = cap;
	}
	b->rows[i] = *row;
}

/*
 * What the configs and the producer say about a finished batch.  Triggers may
 * have dropped or added records: then every batch ends with the sequence from
 * which the producer goes on.  That is what has to be found in the log when
 * the server has started again.
 */
static void
stamp_batch(const RowBatches *b, char *data)
{
	PtRowProducer *producer = b->source->producer;

	if (producer)
	{
		PtBatchProducer *batch = &producer->batch;

		if (b->source->n != producer->sent)
			batch->base_sequence = pt_sequence_sub(producer->last_sequence, b->builder.count - 1);
		pt_batch_set_producer(data, batch);
		batch->base_sequence = pt_sequence_add(batch->base_sequence, b->builder.count);
	}
	if (b->config.log_append_time && !is_replicated())
		pt_batch_set_append_time(data, pt_now_ms());
}

/* A batch of this size has been appended. */
static void
flush_ahead(size_t len)
{
	static size_t appended = 0;

	appended += len;
	if (appended < FLUSH_AHEAD_BYTES)
		return;
	appended = 0;
	pt_commit_request(XactLastRecEnd);
}

/*
 * Appends the batch under construction, if it has rows, tells source and
 * indexes, and starts the next.
 */
static void
append_batch(RowBatches *b)
{
	PtAppendBatch batch = {0};
	int			n = b->builder.count;
	size_t		len;

	if (n == 0)
		return;
	batch.data = pt_builder_finish(&b->builder, Max(b->config.compression, PT_CODEC_NONE),
								   b->config.compression_level, &len);
	if (batch.data == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	stamp_batch(b, batch.data);
	Assert(len >= PT_BATCH_HEADER_SIZE && len <= PG_INT32_MAX);
	batch.length = (uint32) len;
	if (pt_batch_header_read(batch.data, len, &batch.header) != PT_BATCH_OK)
		elog(ERROR, "record batch of %zu bytes is malformed", len);
	batch.base_offset = b->base_offset;
	if (b->base_offset > 0)
		pt_trim_empty(b->relid, b->log, b->base_offset);
	pt_tails_before_append(b->log, b->relid);
	pt_append(b->rel, b->log, &batch, 1, pt_leader_epoch_for_append());
	Assert(b->log->tail_ordinal == batch.base_ordinal + n);
	flush_ahead(len);
	Assert(batch.base_offset + n == b->next_offset);
	if (b->source->set_offset)
	{
		for (int i = 0; i < n; i++)
			b->source->set_offset(b->source->arg, b->first + i, batch.base_offset + i);
	}
	if (b->has_index)
	{
		for (int i = 0; i < n; i++)
			b->rows[i].offset = batch.base_offset + i;
		pt_index_rows(b->rel, &batch, b->rows, n);
	}
	pt_tails_after_append();
	b->first += n;
	b->base_offset = -1;
	pt_builder_start(&b->builder);
}
