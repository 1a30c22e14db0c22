/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  How far tables are copied in chunks: the table source_progress.
 *
 * A row is one table of one source.  It is written by the transaction that
 * produces a chunk, so after a crash copying goes on behind the last chunk
 * that is there.  The table belongs to the owner of the extension, as whom
 * statements run; users see the view source_snapshots.
 *
 * Siblings: chunks.c; resnapshot.c makes rows, as a new source does.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "topic/ext_table.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "sources/chunks.h"
#include "sources/internal.h"

#define TABLE_NAME	"source_progress"

#define THIS_ROW \
	" WHERE source OPERATOR(pg_catalog.=) $1 AND schema_name OPERATOR(pg_catalog.=) $2" \
	" AND table_name OPERATOR(pg_catalog.=) $3"

#define ARGS_MAX	6

/*
 * Runs a statement, in which %s is the table, with text parameters (NULL is
 * null), and calls "take" (unless it is NULL) while its rows are there.
 * Returns how many rows it had.
 */
static uint64
run(const char *sql, int n, const char *const *args, void (*take) (void *arg), void *arg)
{
	Oid			types[ARGS_MAX];
	Datum		values[ARGS_MAX] = {0};
	char		nulls[ARGS_MAX + 1] = "";
	PtExtUser	user;
	Oid			relid;
	char	   *table = pt_ext_table_required(TABLE_NAME);
	uint64		rows;

	Assert(n <= ARGS_MAX);
	(void) pt_ext_table_name(TABLE_NAME, &relid);
	for (int i = 0; i < n; i++)
	{
		types[i] = TEXTOID;
		values[i] = args[i] ? CStringGetTextDatum(args[i]) : (Datum) 0;
		nulls[i] = args[i] ? ' ' : 'n';
	}
	pt_ext_table_enter(&user, relid);
	if (SPI_execute_with_args(psprintf(sql, table), n, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	rows = SPI_processed;
	if (take != NULL && rows > 0)
		take(arg);
	pt_ext_table_leave(&user);
	return rows;
}

/*
 * Writes down that a table is to be copied, from its beginning.  Returns false
 * if it is being copied already.
 */
bool
pt_progress_add(const char *source, const char *schema, const char *table)
{
	const char *args[] = {source, schema, table};

	return run("INSERT INTO %s AS p (source, schema_name, table_name) VALUES ($1, $2, $3)"
			   " ON CONFLICT (source, schema_name, table_name) DO UPDATE SET requested_at = pg_catalog.now(),"
			   " finished_at = NULL, error = NULL, \"rows\" = 0, chunks = 0, last_key = NULL"
			   " WHERE p.finished_at IS NOT NULL", lengthof(args), args, NULL, NULL) > 0;
}

/*
 * Forgets all of a source.
 */
void
pt_progress_remove(const char *source)
{
	Oid			relid;

	/* the extension may be an old one */
	if (pt_ext_table_name(TABLE_NAME, &relid) != NULL)
		(void) run("DELETE FROM %s WHERE source OPERATOR(pg_catalog.=) $1", 1, &source, NULL, NULL);
}

/* Where a job goes that is read. */
typedef struct JobReader
{
	MemoryContext mcxt;
	PtChunkJob *job;
} JobReader;

static void
take_job(void *arg)
{
	JobReader  *reader = arg;
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MemoryContext old = MemoryContextSwitchTo(reader->mcxt);
	PtChunkJob *job = palloc0(sizeof(PtChunkJob));
	bool		isnull;
	Datum		key = SPI_getbinval(row, desc, 3, &isnull);
	Datum	   *values;
	int			n = 0;

	job->schema = pstrdup(SPI_getvalue(row, desc, 1));
	job->table = pstrdup(SPI_getvalue(row, desc, 2));
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(key), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		job->last_key = lappend(job->last_key, TextDatumGetCString(values[i]));
	reader->job = job;
	MemoryContextSwitchTo(old);
}

/*
 * Returns the table that is to be copied next, in a memory context; NULL if
 * there is none.  Needs a transaction.
 */
PtChunkJob *
pt_progress_next(const char *source, MemoryContext mcxt)
{
	JobReader	reader = {.mcxt = mcxt};
	Oid			relid;

	if (pt_ext_table_name(TABLE_NAME, &relid) != NULL)
		(void) run("SELECT schema_name, table_name, last_key FROM %s WHERE source OPERATOR(pg_catalog.=) $1"
				   " AND finished_at IS NULL ORDER BY requested_at, schema_name, table_name LIMIT 1",
				   1, &source, take_job, &reader);
	return reader.job;
}

/*
 * Returns texts as they are written in an array.
 */
static char *
array_text(List *texts)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	ListCell   *lc;

	foreach(lc, texts)
		values[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return OidOutputFunctionCall(F_ARRAY_OUT,
								 PointerGetDatum(construct_array(values, list_length(texts), TEXTOID, -1, false, TYPALIGN_INT)));
}

/*
 * Writes down a chunk, with which the table may be finished.
 */
void
pt_progress_chunk(const char *source, const PtChunkJob *job, int64 rows, bool finished)
{
	const char *args[] = {source, job->schema, job->table, psprintf(INT64_FORMAT, rows),
	job->last_key != NIL ? array_text(job->last_key) : NULL, finished ? "t" : "f"};

	if (run("UPDATE %s SET \"rows\" = \"rows\" OPERATOR(pg_catalog.+) $4::pg_catalog.int8,"
			" chunks = chunks OPERATOR(pg_catalog.+) 1, last_key = $5::pg_catalog.text[],"
			" finished_at = CASE WHEN $6::pg_catalog.bool THEN pg_catalog.clock_timestamp() END" THIS_ROW,
			lengthof(args), args, NULL, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the progress of table \"%s.%s\" of source \"%s\" is gone", job->schema, job->table, source)));
}

/*
 * Gives a table up, with the reason.
 */
void
pt_progress_give_up(const char *source, const PtChunkJob *job, const char *error)
{
	const char *args[] = {source, job->schema, job->table, error};

	(void) run("UPDATE %s SET finished_at = pg_catalog.clock_timestamp(), error = $4" THIS_ROW, lengthof(args), args, NULL, NULL);
}
