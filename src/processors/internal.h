/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the processors room share, from the bottom up.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_PROCESSORS_INTERNAL_H
#define PT_PROCESSORS_INTERNAL_H

#include "access/tupdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

#include "groups/groups.h"
#include "processors/processors.h"

/* definition.c */
extern void pt_processor_read(const PtTask *task, PtProcessorFields *fields);
extern bool pt_processor_stops(const PtProcessorFields *fields);
extern const char *pt_processor_statement(const PtTask *task, const PtProcessorFields *fields);
extern void pt_processor_check_group(const char *name, const char *group);
extern void pt_processor_args(FunctionCallInfo fcinfo, int n, PtProcessorFields *fields);

/* records.c: the relation "records" */

/* Records that were read in a transaction, in the order of a partition. */
typedef struct PtBatch
{
	TupleDesc	desc;
	Tuplestorestate *rows;
	MemoryContext scratch;		/* reset after each row */
	const char *topic_name;		/* of the records that come next */
	Datum		topic;
	int64		n;
	int64		bytes;			/* of keys, values and headers */
	int64		newest_timestamp_ms;
} PtBatch;

typedef enum PtRecordsColumn
{
	PT_RECORDS_TOPIC,
	PT_RECORDS_PARTITION,
	PT_RECORDS_OFFSET,
	PT_RECORDS_TIMESTAMP,
	PT_RECORDS_KEY,
	PT_RECORDS_VALUE,
	PT_RECORDS_HEADERS,
	PT_RECORDS_COLUMNS
} PtRecordsColumn;

extern TupleDesc pt_records_desc(void);
extern void pt_batch_begin(PtBatch *batch);
extern void pt_batch_topic(PtBatch *batch, const char *name);
extern void pt_batch_add(void *arg, int32 partition, const PtRecord *record);
extern Tuplestorestate * pt_batch_part(const PtBatch *batch, int64 from, int64 to);
extern void pt_records_register(TupleDesc desc, Tuplestorestate * rows);

/* statement.c */
extern SPIPlanPtr pt_statement_prepare(const char *statement);
extern void pt_statement_run(SPIPlanPtr plan, TupleDesc desc, Tuplestorestate * rows);


/* divide.c */
extern int64 pt_batch_divide(const PtTask *task, const PtProcessorFields *fields, SPIPlanPtr plan,
							 const PtBatch *batch, const char **error);

#endif							/* PT_PROCESSORS_INTERNAL_H */
