/*-------------------------------------------------------------------------
 *
 * ext_table.c
 *	  Reads and writes the extension's own tables, by statements.
 *
 * Because these are the server's own statements, privileges, dumps and
 * replicas need no work of ours.
 *
 * Siblings: ext_table.h; group_configs.c, kept_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "topic/ext_table.h"
#include "topic/internal.h"

/*
 * Returns the qualified name of a table of the extension, for statements, and
 * its OID.  NULL without the extension, or if it is an old one without the
 * table.
 */
char *
pt_ext_table_name(const char *table, Oid *relid)
{
	Oid			schema = pt_catalog_extension_schema();

	Assert(table != NULL);
	*relid = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
	if (!OidIsValid(*relid))
		return NULL;
	return quote_qualified_identifier(get_namespace_name(schema), table);
}

/*
 * The body of a trigger after each statement that may have changed a table of
 * the extension, by which copies of it learn that (relcache callbacks).
 * "function" is the trigger's, for the ERROR when it is called otherwise.
 */
Datum
pt_ext_table_changed(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger", function)));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * Becomes the owner of a table of the extension, with SPI and a snapshot, for
 * statements that the user could not run.  An ERROR ends that, too.
 */
void
pt_ext_table_enter(PtExtUser *user, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	GetUserIdAndSecContext(&user->caller, &user->context);
	SetUserIdAndSecContext(owner, user->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
}

void
pt_ext_table_leave(const PtExtUser *user)
{
	SPI_finish();
	PopActiveSnapshot();
	SetUserIdAndSecContext(user->caller, user->context);
}

/*
 * As pt_ext_table_name(), with ERROR 42P01 if there is no such table.
 */
char *
pt_ext_table_required(const char *table)
{
	Oid			relid;
	char	   *name = pt_ext_table_name(table, &relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of extension \"pgtopic\" does not exist", table),
				 errhint("Run ALTER EXTENSION pgtopic UPDATE.")));
	return name;
}

/*
 * Runs a statement with up to two text parameters (NULL: not used).  The
 * caller has connected SPI, and finds rows in SPI_tuptable.
 */
void
pt_ext_table_run(const char *sql, bool read_only, const char *arg1, const char *arg2)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {(Datum) 0, (Datum) 0};
	int			n = arg2 != NULL ? 2 : arg1 != NULL ? 1 : 0;

	Assert(arg1 != NULL || arg2 == NULL);
	if (arg1 != NULL)
		values[0] = CStringGetTextDatum(arg1);
	if (arg2 != NULL)
		values[1] = CStringGetTextDatum(arg2);
	if (SPI_execute_with_args(sql, n, types, values, NULL, read_only, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
}

/*
 * Runs a query as pt_ext_table_run does, with SPI and a snapshot of its own.
 * Returns the first two columns of the rows as text, in the current memory
 * context: List of PtConfigPair *, whose value is NULL if it is null or if
 * there is one column only.
 */
List *
pt_ext_table_read(const char *sql, bool read_only, const char *arg1)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *pairs = NIL;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	pt_ext_table_run(sql, read_only, arg1, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *name = SPI_getvalue(row, desc, 1);
		char	   *value = desc->natts > 1 ? SPI_getvalue(row, desc, 2) : NULL;
		MemoryContext old = MemoryContextSwitchTo(caller);
		PtConfigPair *pair = palloc(sizeof(PtConfigPair));

		pair->name = name ? pstrdup(name) : NULL;
		pair->value = value ? pstrdup(value) : NULL;
		pairs = lappend(pairs, pair);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	PopActiveSnapshot();
	return pairs;
}
