/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  From rows to record batches at the tail of a log.
 *
 * All rows that SQL writes go through pt_flush_rows: those that waited for the
 * commit, those of append(), and those of a rewritten table.  Rows without an
 * offset follow one another densely; a gap, which explicit offsets can leave,
 * begins a new batch.
 *
 * Batches stay well below max.message.bytes: finding one record by its TID or offset walks
 * through the batch it is in, and a batch that fits one WAL record is written whole or not at all.
 *
 * Siblings: pending.c (rows that wait), produce.c (batches that come from clients).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "record/bytes.h"
#include "record/compress.h"
#include "record/layout.h"
#include "xact/hooks.h"
#include "xact/internal.h"

/* Bytes at which a batch of SQL rows is closed, before compression. */
#define SQL_BATCH_BYTES		(128 * 1024)

/*
 * Bytes after which the committer is asked to flush what a bulk load has
 * appended so far: then it writes WAL on one processor while we make more of it on
 * another, and little is left to do at commit.
 */
#define FLUSH_AHEAD_BYTES	(1024 * 1024)

PtIndexRowsHook pt_index_rows_hook = NULL;
PtStoreRowHook pt_store_row_hook = NULL;
PtFlushProducer *pt_flush_producer = NULL;

typedef struct Flush
{
	Relation	rel;
	Oid			relid;
	PtLogState *log;
	const PtRowSource *source;
	PtTopicConfig config;
	Size		batch_bytes;
	PtBatchBuilder builder;
	int64		first;			/* number of the batch's first row */
	int64		base_offset;	/* of the batch, when it must go to one; else -1 */
	int64		next_offset;	/* of the next row */
	/* rows of the batch, when there are indexes to be told */
	bool		has_index;
	PtRecord	   *rows;
	int64	   *offsets;
	int64	   *ordinals;
	int			cap;
} Flush;

static void flush_batch(Flush *f);
static void flush_add(Flush *f, const PtRecord *row);
static void keep_row(Flush *f, const PtRecord *row);

int64
pt_now_ms(void)
{
	return (GetCurrentTimestamp() / 1000) +
		(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;
}

/* Of a table that is being rewritten this is what will become of it. */
Oid
pt_leaf_identity(Relation rel)
{
	return OidIsValid(rel->rd_rel->relrewrite) ? rel->rd_rel->relrewrite : RelationGetRelid(rel);
}

const PtTopicConfig *
pt_leaf_config(Oid relid)
{
	static const PtTopicConfig no_topic = {
		.cleanup_policy = PT_CLEANUP_DELETE,
		.compression = PT_COMPRESSION_PRODUCER,
		.compression_level = INT_MIN,
		.max_message_bytes = 1024 * 1024 + 12,
		.timestamp_before_max_ms = PG_INT64_MAX,
		.timestamp_after_max_ms = PG_INT64_MAX,
		.retention_ms = -1,
		.retention_bytes = -1
	};
	int32		partition;
	const PtTopic *topic = pt_topic_by_leaf(relid, &partition);

	return topic ? &topic->config : &no_topic;
}

/* Bytes that a record takes at most in a batch of its own. */
uint64
pt_row_batch_size(const PtRecord *row)
{
	return PT_BATCH_HEADER_SIZE + (uint64) pt_record_size_max(row);
}

/*
 * Appends rows.  The caller has the relation open with RowExclusiveLock and holds its append
 * lock.  ERROR 22023 for an explicit offset below the end.
 */
void
pt_flush_rows(Relation rel, const PtRowSource *source)
{
	Flush		f;
	PtRecord		row;

	Assert(CheckRelationLockedByMe(rel, RowExclusiveLock, true));
	if (source->n == 0)
		return;
	memset(&f, 0, sizeof(f));
	f.rel = rel;
	f.relid = RelationGetRelid(rel);
	f.source = source;
	f.config = *pt_leaf_config(pt_leaf_identity(rel));
	f.batch_bytes = Min(f.config.max_message_bytes, SQL_BATCH_BYTES);
	f.has_index = pt_wants_index_rows(rel);
	f.base_offset = -1;
	f.log = pt_state_get(rel);
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
	f.next_offset = pt_append_next_offset(rel, f.log);
	Assert(f.next_offset >= 0);
	pt_builder_start(&f.builder);
	for (int64 i = 0; i < source->n; i++)
	{
		source->get_row(source->arg, i, &row);
		if (row.offset >= 0 && row.offset != f.next_offset)
		{
			flush_batch(&f);
			f.base_offset = f.next_offset = row.offset;
		}
		flush_add(&f, &row);
	}
	flush_batch(&f);
	Assert(f.first == source->n);
	pgstat_count_heap_insert(rel, source->n);
	pt_builder_free(&f.builder);
	if (f.rows)
	{
		pfree(f.rows);
		pfree(f.offsets);
		pfree(f.ordinals);
	}
}

/* Puts one row, whose offset is next_offset, into the batch, after closing a full one. */
static void
flush_add(Flush *f, const PtRecord *row)
{
	if (f->builder.count > 0 &&
		pt_builder_size(&f->builder) + pt_record_size_max(row) > f->batch_bytes)
	{
		flush_batch(f);
		CHECK_FOR_INTERRUPTS();
	}
	if (f->has_index)
		keep_row(f, row);
	(void) pt_builder_add(&f->builder, f->builder.count, row);
	f->next_offset++;
}

/* Keeps the row for the indexes.  Its bytes stay where they are until the source has been told. */
static void
keep_row(Flush *f, const PtRecord *row)
{
	int			i = f->builder.count;

	Assert(i <= f->cap);
	if (i == f->cap)
	{
		int			cap = Max(64, f->cap * 2);

		f->rows = f->rows ? repalloc_huge(f->rows, cap * sizeof(PtRecord)) : palloc(cap * sizeof(PtRecord));
		f->offsets = f->offsets ? repalloc_huge(f->offsets, cap * sizeof(int64)) : palloc(cap * sizeof(int64));
		f->ordinals = f->ordinals ? repalloc_huge(f->ordinals, cap * sizeof(int64)) : palloc(cap * sizeof(int64));
		f->cap = cap;
	}
	f->rows[i] = *row;
}

/* Makes a batch that of an idempotent producer. */
void
pt_batch_set_producer(char *data, size_t len, const PtFlushProducer *producer)
{
	Assert(len >= PT_BATCH_HEADER_SIZE);
	pt_put_int64(data + BATCH_AT_PRODUCER_ID, producer->producer_id);
	pt_put_int16(data + BATCH_AT_PRODUCER_EPOCH, producer->producer_epoch);
	pt_put_int32(data + BATCH_AT_BASE_SEQUENCE, producer->base_sequence);
	pt_batch_seal(data, len);
}

/* Position indexes store nothing; every partition has some. */
bool
pt_wants_index_rows(Relation rel)
{
	Oid			position_am;
	List	   *indexes;
	ListCell   *lc;
	bool		result = false;

	if (!rel->rd_rel->relhasindex || pt_index_rows_hook == NULL)
		return false;
	position_am = get_am_oid("topic_position", true);
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped meanwhile */
		if (((Form_pg_class) GETSTRUCT(tuple))->relam != position_am)
			result = true;
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return result;
}

/* What the configs and the producer say about a finished batch. */
static void
stamp_batch(const Flush *f, char *data, size_t len)
{
	if (pt_flush_producer)
	{
		pt_batch_set_producer(data, len, pt_flush_producer);
		pt_flush_producer->base_sequence = pt_sequence_add(pt_flush_producer->base_sequence, f->builder.count);
	}
	if (f->config.log_append_time)
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

/* Appends the batch under construction, if it has rows, tells source and indexes, and starts the next. */
static void
flush_batch(Flush *f)
{
	PtAppendBatch batch;
	int			n = f->builder.count;
	size_t		len;

	if (n == 0)
		return;
	batch.data = pt_builder_finish(&f->builder, Max(f->config.compression, PT_CODEC_NONE),
								   f->config.compression_level, &len);
	if (batch.data == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	stamp_batch(f, batch.data, len);
	Assert(len >= PT_BATCH_HEADER_SIZE && len <= PG_INT32_MAX);
	batch.length = (uint32) len;
	batch.base_offset = f->base_offset;
	if (f->base_offset > 0)
		pt_trim_empty(f->relid, f->log, f->base_offset);
	pt_xact_before_append(f->log, f->relid);
	pt_append(f->rel, f->log, &batch, 1);
	Assert(f->log->tail_ordinal == batch.base_ordinal + n);
	flush_ahead(len);
	Assert(batch.base_offset + n == f->next_offset);
	if (f->source->set_offset)
	{
		for (int i = 0; i < n; i++)
			f->source->set_offset(f->source->arg, f->first + i, batch.base_offset + i);
	}
	if (f->has_index)
	{
		for (int i = 0; i < n; i++)
		{
			f->rows[i].offset = f->offsets[i] = batch.base_offset + i;
			f->ordinals[i] = batch.base_ordinal + i;
		}
		pt_index_rows_hook(f->rel, f->rows, f->offsets, f->ordinals, n);
	}
	pt_xact_after_append();
	f->first += n;
	f->base_offset = -1;
	pt_builder_start(&f->builder);
}

static void
array_get_row(void *arg, int64 i, PtRecord *row)
{
	*row = ((const PtRecord *) arg)[i];
}

/*
 * See engine.h.  expected_offset (-1: any) is compared under the append lock.
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
		pt_pending_flush(relid);
	}
	(void) pt_append_lock(relid, false);
	next = pt_append_next_offset(rel, pt_state_get(rel));
	if (expected_offset >= 0 && next != expected_offset)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("next offset of \"%s\" is %lld, not %lld", RelationGetRelationName(rel),
						(long long) next, (long long) expected_offset),
				 errhint("Somebody else has appended meanwhile. Read what is new and try again.")));
	pt_flush_rows(rel, &source);
	return rows[0].offset >= 0 ? rows[0].offset : next;
}
