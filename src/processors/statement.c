/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  The statement of a processor: prepared once, run over each batch.
 *
 * Siblings: records.c (what it reads), run.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "processors/internal.h"

pg_noreturn static void refuse(int result);

/* ERROR for what SPI returns when it cannot run a statement. */
static void
refuse(int result)
{
	const char *why = result == SPI_ERROR_COPY ? "It copies to or from the client." :
		result == SPI_ERROR_TRANSACTION ? "It begins or ends transactions." : SPI_result_code_string(result);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a processor cannot run this statement"),
			 errdetail_internal("%s", why)));
}

/*
 * Prepares it, with SPI connected, and "records" registered.  ERROR for what
 * is wrong with it; an error's position is in the statement.
 */
SPIPlanPtr
pt_statement_prepare(const char *statement)
{
	SPIPlanPtr	plan = SPI_prepare(statement, 0, NULL);

	if (plan == NULL)
		refuse(SPI_result);
	return plan;
}

/*
 * Runs it over these records, with a snapshot that sees them.  Its rows, if it
 * returns some, are for nobody.
 */
void
pt_statement_run(SPIPlanPtr plan, TupleDesc desc, Tuplestorestate * rows)
{
	int			result;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	pt_records_register(desc, rows);
	result = SPI_execute_plan(plan, NULL, NULL, false, 0);
	if (result < 0)
		refuse(result);
	SPI_finish();
	PopActiveSnapshot();
}
