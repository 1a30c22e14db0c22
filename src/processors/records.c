/*-------------------------------------------------------------------------
 *
 * records.c
 *	  The relation "records" that a statement sees: the records of a batch.
 *
 * It is an ephemeral named relation over a tuplestore, as a trigger's
 * transition tables are: it has a name in the statement, not in a catalog, and
 * goes to disk beyond work_mem.  Its columns are those of consume().
 *
 * Siblings: statement.c, run.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"

#include "processors/internal.h"
#include "topic/timestamp.h"
#include "topic/types.h"

#define RELATION_NAME	"records"

static Datum bytes_or_null(const char *data, int32 len, bool *isnull);

/* Its columns, in the current memory context. */
TupleDesc
pt_records_desc(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(PT_RECORDS_COLUMNS);

	TupleDescInitEntry(desc, PT_RECORDS_TOPIC + 1, "topic", pt_type_topic(), -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_PARTITION + 1, "partition", INT4OID, -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_OFFSET + 1, "offset", INT8OID, -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_TIMESTAMP + 1, "timestamp", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_KEY + 1, "key", BYTEAOID, -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_VALUE + 1, "value", BYTEAOID, -1, 0);
	TupleDescInitEntry(desc, PT_RECORDS_HEADERS + 1, "headers", pt_type_headers(), -1, 0);
	pt_tupdesc_finalize(desc);
	return desc;
}

/* An empty batch, in the current memory context. */
void
pt_batch_begin(PtBatch *batch)
{
	memset(batch, 0, sizeof(*batch));
	batch->desc = pt_records_desc();
	batch->rows = tuplestore_begin_heap(true, false, work_mem);
	batch->scratch = AllocSetContextCreate(CurrentMemoryContext, "pgtopic records", ALLOCSET_DEFAULT_SIZES);
	batch->newest_timestamp_ms = PT_NO_TIMESTAMP;
}

/* The records that come next are of this topic. */
void
pt_batch_topic(PtBatch *batch, const char *name)
{
	batch->topic_name = name;
	batch->topic = pt_topic_datum(name);
}

static Datum
bytes_or_null(const char *data, int32 len, bool *isnull)
{
	*isnull = len < 0;
	return len < 0 ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(data, len));
}

/* Adds a record.  Callback of pt_consume_now(). */
void
pt_batch_add(void *arg, int32 partition, const PtRecord *record)
{
	PtBatch    *batch = arg;
	MemoryContext old = MemoryContextSwitchTo(batch->scratch);
	Datum		values[PT_RECORDS_COLUMNS];
	bool		nulls[PT_RECORDS_COLUMNS] = {false};

	values[PT_RECORDS_TOPIC] = batch->topic;
	values[PT_RECORDS_PARTITION] = Int32GetDatum(partition);
	values[PT_RECORDS_OFFSET] = Int64GetDatum(record->offset);
	values[PT_RECORDS_TIMESTAMP] = pt_timestamp_datum(record->timestamp, &nulls[PT_RECORDS_TIMESTAMP]);
	values[PT_RECORDS_KEY] = bytes_or_null(record->key, record->key_len, &nulls[PT_RECORDS_KEY]);
	values[PT_RECORDS_VALUE] = bytes_or_null(record->value, record->value_len, &nulls[PT_RECORDS_VALUE]);
	nulls[PT_RECORDS_HEADERS] = record->header_count <= 0;
	values[PT_RECORDS_HEADERS] = nulls[PT_RECORDS_HEADERS] ? (Datum) 0 :
		PointerGetDatum(pt_headers_form(record->headers, record->headers_len, record->header_count));
	tuplestore_putvalues(batch->rows, batch->desc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch->scratch);
	batch->n++;
	batch->bytes += Max(record->key_len, 0) + Max(record->value_len, 0) + Max(record->headers_len, 0);
	batch->newest_timestamp_ms = Max(batch->newest_timestamp_ms, record->timestamp);
}

/*
 * The records from number "from" up to, but not including, "to", as a
 * tuplestore that the caller ends.
 */
Tuplestorestate *
pt_batch_part(const PtBatch *batch, int64 from, int64 to)
{
	Tuplestorestate *part = tuplestore_begin_heap(true, false, work_mem);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(batch->desc, &TTSOpsMinimalTuple);

	Assert(0 <= from && from < to && to <= batch->n);
	tuplestore_rescan(batch->rows);
	(void) tuplestore_skiptuples(batch->rows, from, true);
	for (int64 i = from; i < to && tuplestore_gettupleslot(batch->rows, true, false, slot); i++)
		tuplestore_puttupleslot(part, slot);
	ExecDropSingleTupleTableSlot(slot);
	return part;
}

/* Makes it known to the statements of this SPI connection. */
void
pt_records_register(TupleDesc desc, Tuplestorestate * rows)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

	enr->md.name = pstrdup(RELATION_NAME);
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	/* for a plan that is made before there are records */
	enr->md.enrtuples = rows ? tuplestore_tuple_count(rows) : PT_PROCESSOR_BATCH_RECORDS;
	enr->reldata = rows;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the relation \"%s\"", RELATION_NAME);
}
