/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  What a source is, from the definition of its task.
 *
 * Siblings: create.c writes the definition, run.c reads it in the worker.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"

#include "sources/internal.h"

/* More of them would help nobody. */
#define READERS_MAX		32

/*
 * Returns whether a field has the first of two values, and not the second;
 * ERROR for any other.
 */
static bool
choice(const PtTask *task, const char *field, const char *yes, const char *no, bool otherwise)
{
	const char *text = pt_task_text(task, field);

	if (text == NULL)
		return otherwise;
	if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid \"%s\" of source \"%s\": \"%s\"", field, task->name, text),
				 errhint("It is \"%s\" or \"%s\".", yes, no)));
	return strcmp(text, yes) == 0;
}

/*
 * The format, which says what values are.
 */
static void
read_format(PtSource *source, const PtTask *task)
{
	const char *text = pt_task_text(task, "format");

	if (text == NULL || strcmp(text, "debezium") == 0)
		return;
	source->row_format = strcmp(text, "row") == 0;
	source->outbox = strcmp(text, "outbox") == 0;
	if (!source->row_format && !source->outbox)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid \"%s\" of source \"%s\": \"%s\"", "format", task->name, text),
				 errhint("It is \"debezium\", \"row\" or \"outbox\".")));
}

/*
 * Which rows are copied that are there.
 */
static void
read_snapshot(PtSource *source, const PtTask *task)
{
	const char *text = pt_task_text(task, "snapshot");

	source->snapshot = text == NULL || strcmp(text, "never") != 0;
	source->incremental = text !=NULL && strcmp(text, "incremental") == 0;

	if (source->snapshot && !source->incremental && text !=NULL && strcmp(text, "initial") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid \"%s\" of source \"%s\": \"%s\"", "snapshot", task->name, text),
				 errhint("It is \"initial\", \"incremental\" or \"never\".")));
	source->readers = (int) pt_task_int(task, "snapshot_readers", 1);
	if (source->readers < 1 || source->readers > READERS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of source \"%s\" must be from 1 to %d", "snapshot_readers", task->name, READERS_MAX)));
}

/*
 * The expressions, those that an outbox has of itself included.
 */
static void
read_expressions(PtSource *source, const PtTask *task)
{
	if (source->outbox)
		pt_outbox_define(source, task);
	else if (pt_task_jsonb(task, "outbox") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"outbox\" of source \"%s\" needs the format \"outbox\"", task->name)));
	source->updates_skipped = source->outbox && pt_task_text(task, pt_expression_fields[PT_EXPR_FILTER]) == NULL;
	for (int i = 0; i < PT_EXPRS; i++)
	{
		const char *text = pt_task_text(task, pt_expression_fields[i]);

		if (text !=NULL)
			source->exprs[i] = text;

		source->has_exprs |= source->exprs[i] != NULL;
	}
}

/*
 * Returns a text field, or what it is when it is left out.
 */
static const char *
text_or(const PtTask *task, const char *field, const char *otherwise)
{
	const char *text = pt_task_text(task, field);

	return text ? text : otherwise;
}

/*
 * Returns the source that a task is, in the current memory context.  Needs
 * a transaction.  ERROR 22023 for values that are not allowed.
 */
PtSource *
pt_source_define(const PtTask *task)
{
	PtSource   *source = palloc0(sizeof(PtSource));
	const char *ours = psprintf("pgtopic_%s", task->name);
	const char *lsn = pt_task_text(task, "skip_lsn");

	source->name = pstrdup(task->name);
	source->user = GetUserNameFromId(task->owner, false);
	source->trusted = superuser_arg(task->owner);
	source->local_database = get_database_name(MyDatabaseId);
	source->connection = pt_task_text(task, "connection");
	source->server = pt_task_text(task, "server");
	source->tables = pt_task_texts(task, "tables");
	source->own_publication = pt_task_text(task, "publication") == NULL;
	source->publication = text_or(task, "publication", ours);
	source->slot = text_or(task, "slot", ours);
	read_format(source, task);
	source->topic = text_or(task, "topic", source->outbox ? "outbox.event.{route}" : "{schema}.{table}");
	read_expressions(source, task);
	read_snapshot(source, task);
	source->numeric_as_number = choice(task, "numerics", "number", "string", false);
	source->failover = pt_task_bool(task, "failover", false);
	source->schemas = pt_task_bool(task, "schemas", false);
	source->tombstones = pt_task_bool(task, "tombstones", true);
	source->truncate = pt_task_bool(task, "truncate", true);
	source->message_prefix = pt_task_text(task, "message_prefix");
	source->message_topics = pt_task_texts(task, "message_topics");
	if (lsn != NULL)
		source->skip_lsn = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(lsn)));
	return source;
}
