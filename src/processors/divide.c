/*-------------------------------------------------------------------------
 *
 * divide.c
 *	  A batch whose bad records are passed over: which are they?
 *
 * The statement is run over the batch in a subtransaction.  If it fails, it is
 * run over each half, and so on, down to the records over which it fails
 * alone.  Those are skipped, or sent to a dead-letter topic, in the
 * transaction of the batch.  Deferred constraints are checked with each part.
 *
 * An error that is not about records (a lock, memory, a table or a privilege
 * that is missing) fails the batch, which is tried again later: else all
 * records would be passed over for nothing.
 *
 * Siblings: run.c, statement.c, records.c.
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
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "guard.h"
#include "processors/internal.h"
#include "tell.h"
#include "topic/types.h"

/* A batch that is being divided. */
typedef struct Divide
{
	const PtTask *task;
	const PtProcessorFields *fields;
	SPIPlanPtr	plan;
	const PtBatch *batch;
	bool		constraints_set;	/* by an earlier part */
	int64		skipped;
	const char *error;			/* of the last record that was skipped */
} Divide;

/* A part of it, as an argument of pt_guarded(). */
typedef struct Part
{
	Divide	   *d;
	Tuplestorestate *rows;
} Part;

static bool is_of_records(int sqlstate);
static void set_constraints(const char *how);
static void run_part(void *arg);
static void divide(Divide *d, int64 from, int64 to);
static void pass_over(Divide *d, Tuplestorestate * rows, ErrorData *error);
static void send_dead_letter(Divide *d, const Datum *values, const bool *nulls, const ErrorData *error);
static Datum dead_headers(const Divide *d, const Datum *values, const bool *nulls, const ErrorData *error);

/*
 * Would another record, or the same one at another time, have gone well?  By
 * class of SQLSTATE.  What is not known is taken to be about the record.
 */
static bool
is_of_records(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
		case ERRCODE_INVALID_CATALOG_NAME:
		case ERRCODE_INVALID_SCHEMA_NAME:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_CONFIG_FILE_ERROR:
		case ERRCODE_FDW_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

static void
set_constraints(const char *how)
{
	SPI_connect();
	(void) SPI_execute(psprintf("SET CONSTRAINTS ALL %s", how), false, 0);
	SPI_finish();
}

/* In a subtransaction. */
static void
run_part(void *arg)
{
	Part	   *part = arg;
	Divide	   *d = part->d;

	if (d->constraints_set)
		set_constraints("DEFERRED");
	pt_statement_run(d->plan, d->batch->desc, part->rows);
	PushActiveSnapshot(GetTransactionSnapshot());
	set_constraints("IMMEDIATE");
	PopActiveSnapshot();
	d->constraints_set = true;
}

/* Runs the statement over a part, and over its halves if it fails. */
static void
divide(Divide *d, int64 from, int64 to)
{
	bool		whole = to - from == d->batch->n;
	Part		part = {.d = d,.rows = whole ? d->batch->rows : pt_batch_part(d->batch, from, to)};
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	error = pt_guarded(run_part, &part);
	if (error != NULL && !is_of_records(error->sqlerrcode))
		ReThrowError(error);
	if (error != NULL && to - from == 1)
		pass_over(d, part.rows, error);
	if (!whole)
		tuplestore_end(part.rows);
	if (error != NULL && to - from > 1)
	{
		int64		middle = from + (to - from) / 2;

		FreeErrorData(error);
		divide(d, from, middle);
		divide(d, middle, to);
	}
}

/* rows is the one record over which the statement fails. */
static void
pass_over(Divide *d, Tuplestorestate * rows, ErrorData *error)
{
	static PtTold told;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(d->batch->desc, &TTSOpsMinimalTuple);
	int			untold;

	tuplestore_rescan(rows);
	if (!tuplestore_gettupleslot(rows, true, false, slot))
		elog(ERROR, "the record that failed is gone");
	slot_getallattrs(slot);
	if (strcmp(d->fields->on_error, PT_PROCESSOR_SKIP) != 0)
		send_dead_letter(d, slot->tts_values, slot->tts_isnull, error);
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("task \"%s\" passes over offset %lld of \"%s:%d\": %s", d->task->name,
						(long long) DatumGetInt64(slot->tts_values[PT_RECORDS_OFFSET]),
						pt_string_to_server(pt_datum_topic(slot->tts_values[PT_RECORDS_TOPIC])),
						DatumGetInt32(slot->tts_values[PT_RECORDS_PARTITION]), error->message),
				 untold > 0 ? errdetail("%d more were not told.", untold) : 0));
	ExecDropSingleTupleTableSlot(slot);
	d->skipped++;
	d->error = error->message;
}

/* The record's headers, and what went wrong. */
static Datum
dead_headers(const Divide *d, const Datum *values, const bool *nulls, const ErrorData *error)
{
	const PtHeaders *own = nulls[PT_RECORDS_HEADERS] ? NULL : DatumGetHeadersP(values[PT_RECORDS_HEADERS]);
	const char *more[] = {
		"error", error->message,
		"sqlstate", unpack_sql_state(error->sqlerrcode),
		"task", d->task->name,
		"topic", pt_string_to_server(pt_datum_topic(values[PT_RECORDS_TOPIC])),
		"partition", psprintf("%d", DatumGetInt32(values[PT_RECORDS_PARTITION])),
		"offset", psprintf(INT64_FORMAT, DatumGetInt64(values[PT_RECORDS_OFFSET])),
	};

	return PointerGetDatum(pt_headers_append(own, more, lengthof(more)));
}

/*
 * Key and value as they are, by produce(), with the privileges of the owner.
 */
static void
send_dead_letter(Divide *d, const Datum *values, const bool *nulls, const ErrorData *error)
{
	char	   *schema = get_namespace_name(pt_extension_schema());
	char	   *sql = psprintf("SELECT %s.produce($1, $2, $3, headers => $4)", quote_identifier(schema));
	Oid			types[] = {pt_type_topic(), BYTEAOID, BYTEAOID, pt_type_headers()};
	Datum		args[] = {pt_topic_datum(d->fields->on_error), values[PT_RECORDS_VALUE],
	values[PT_RECORDS_KEY], dead_headers(d, values, nulls, error)};
	char		null_args[] = {' ', nulls[PT_RECORDS_VALUE] ? 'n' : ' ', nulls[PT_RECORDS_KEY] ? 'n' : ' ', ' ', '\0'};

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute_with_args(sql, lengthof(args), types, args, null_args, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not send a dead letter");
	SPI_finish();
	PopActiveSnapshot();
}

/*
 * Runs the statement over a batch, in a transaction.  Returns how many records
 * were passed over; *error is the message of the last one.
 */
int64
pt_batch_divide(const PtTask *task, const PtProcessorFields *fields, SPIPlanPtr plan, const PtBatch *batch,
				const char **error)
{
	Divide		d = {.task = task,.fields = fields,.plan = plan,.batch = batch};

	Assert(batch->n > 0);
	divide(&d, 0, batch->n);
	*error = d.error;
	return d.skipped;
}
