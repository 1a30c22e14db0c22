/*-------------------------------------------------------------------------
 *
 * sink.c
 *	  Sinks: topics into tables.  create_sink(), drop_sink().
 *
 * A sink is a processor whose statement we write.  Its definition has the
 * table, the mode and the mapping; the statement is made of these when a
 * worker begins, and again when the table has changed, so that it knows the
 * columns that the table has.
 *
 * Siblings: sink_table.c, sink_statement.c (what the statement is), change.c
 * (functions that it calls); run.c, which runs it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "processors/internal.h"
#include "processors/sink.h"

PG_FUNCTION_INFO_V1(pt_create_sink);
PG_FUNCTION_INFO_V1(pt_drop_sink);

const PtTaskKind pt_sink_kind = {
	.name = "sink",
	.check = pt_processor_check,
	.workers = pt_processor_workers,
	.run = pt_processor_run,
	.drop = pt_processor_drop,
};

/*
 * The table of the last statement that this process has made, and whether it
 * may have changed since.
 */
static Oid	made_for = InvalidOid;
static bool changed = false;

/* Callback for invalidations of the relation cache. */
static void
table_changed(Datum arg, Oid relid)
{
	if (relid == made_for || !OidIsValid(relid))
		changed = true;
}

/* A sink without a mapping: all of its statement is written by us. */
bool
pt_sink_is_ours(const PtTask *task)
{
	return task->kind == &pt_sink_kind && pt_task_jsonb(task, "mapping") == NULL;
}

/*
 * Sets the search_path of such statements, until AtEOXact_GUC() with what is
 * returned.
 */
int
pt_sink_enter_path(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", PT_SINK_SEARCH_PATH, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* The table that a definition names; ERROR unless with its schema. */
static Oid
table_of(const char *name)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(name));

	if (list_length(names) < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table \"%s\" of a sink must be given with its schema", name)));
	return RangeVarGetRelid(makeRangeVarFromNameList(names), AccessShareLock, false);
}

/*
 * Makes the statement of a sink, in the current memory context.  ERROR unless
 * the current user can fill the table so.
 */
char *
pt_sink_make(const PtTask *task)
{
	static bool registered = false;
	const char *name = pt_task_text(task, "table");
	const char *mode = pt_task_text(task, "mode");
	PtSinkMode	which;

	if (name == NULL || mode == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid definition of task \"%s\"", task->name),
				 errdetail("It has no table, or no mode.")));
	if (!registered)
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	registered = true;
	which = pt_sink_mode(mode);
	made_for = table_of(name);
	changed = false;
	return pt_sink_statement(pt_sink_table(made_for, which, pt_task_jsonb(task, "mapping")), which);
}

/*
 * Is the statement that was made last no longer the right one?  To be asked
 * when the records are there: a record may be of a column that the table has
 * got a moment before.  The table stays as it is to the end of the
 * transaction.
 */
bool
pt_sink_changed(void)
{
	if (OidIsValid(made_for))
		LockRelationOid(made_for, AccessShareLock);
	return changed;
}

/*
 * SQL functions
 */

/* The name of a table as it can be stored, with its schema. */
static char *
table_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/*
 * create_sink(name, topic, table, mode, mapping, group, on_error, parallelism,
 * batch_records, batch_wait)
 */
Datum
pt_create_sink(PG_FUNCTION_ARGS)
{
	char	   *name = pt_task_arg(fcinfo, 0, "name");
	char	   *topic = pt_task_arg(fcinfo, 1, "topic");
	PtProcessorFields fields = {.topics = list_make1(topic)};
	PtDefinition d;

	if (PG_ARGISNULL(2))
		(void) pt_task_arg(fcinfo, 2, "table");
	pt_processor_args(fcinfo, 5, &fields);
	pt_definition_begin(&d);
	pt_processor_define(&d, &fields);
	pt_definition_text(&d, "table", table_name(PG_GETARG_OID(2)));
	pt_definition_text(&d, "mode", PG_ARGISNULL(3) ? "append" : pt_task_arg(fcinfo, 3, "mode"));
	pt_definition_jsonb(&d, "mapping", PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	pt_task_create(name, pt_sink_kind.name, pt_definition_end(&d));
	pt_processor_check_group(name, fields.group);
	PG_RETURN_VOID();
}

/* drop_sink(name) */
Datum
pt_drop_sink(PG_FUNCTION_ARGS)
{
	pt_task_drop(pt_task_arg(fcinfo, 0, "name"), pt_sink_kind.name);
	PG_RETURN_VOID();
}
