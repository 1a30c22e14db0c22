/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  Definitions of processors: create_processor(), drop_processor(), and the
 *	  checks of a definition.
 *
 * The statement is parsed when it is given, with the search_path of that
 * moment, which is a field of the definition, so that its names mean the same
 * whenever it runs.
 *
 * Siblings: ../tasks/catalog.c (where it is stored), run.c (what it does).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "processors/internal.h"
#include "processors/sink.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_create_processor);
PG_FUNCTION_INFO_V1(pt_drop_processor);

#define PARALLELISM_MAX		1000
#define BATCH_RECORDS_MAX	1000000
#define BATCH_WAIT_MS_MAX	(3600 * 1000)

static int32 arg_int(FunctionCallInfo fcinfo, int n, int32 otherwise);
static void arg_batches(FunctionCallInfo fcinfo, int n, PtProcessorFields *fields);
static List *arg_texts(FunctionCallInfo fcinfo, int n, const char *name);
static void check_range(const char *name, int64 value, int64 min, int64 max);
static void check_topic(const char *name, AclMode mode);
static void check_statement(const PtTask *task, const PtProcessorFields *fields);

const PtTaskKind pt_processor_kind = {
	.name = "processor",
	.check = pt_processor_check,
	.workers = pt_processor_workers,
	.run = pt_processor_run,
	.drop = pt_processor_drop,
};

/*
 * Fields
 */

/* Adds the fields of a processor to a definition. */
void
pt_processor_define(PtDefinition *d, const PtProcessorFields *fields)
{
	pt_definition_texts(d, "topics", fields->topics);
	pt_definition_text(d, "statement", fields->statement);
	pt_definition_text(d, "group", fields->group);
	pt_definition_int(d, "parallelism", fields->parallelism);
	pt_definition_int(d, "batch_records", fields->batch_records);
	pt_definition_int(d, "batch_wait_ms", fields->batch_wait_ms);
	pt_definition_text(d, "on_error", fields->on_error);
	pt_definition_text(d, "search_path", namespace_search_path);
}

/* Reads them, in the current memory context; ERROR if one has a wrong type. */
void
pt_processor_read(const PtTask *task, PtProcessorFields *fields)
{
	fields->topics = pt_task_texts(task, "topics");
	fields->statement = pt_task_text(task, "statement");
	fields->group = pt_task_text(task, "group");
	fields->parallelism = (int) pt_task_int(task, "parallelism", PT_PROCESSOR_PARALLELISM);
	fields->batch_records = (int) pt_task_int(task, "batch_records", PT_PROCESSOR_BATCH_RECORDS);
	fields->batch_wait_ms = pt_task_int(task, "batch_wait_ms", 0);
	fields->on_error = pt_task_text(task, "on_error");
	if (fields->group == NULL)
		fields->group = task->name;
	if (fields->on_error == NULL)
		fields->on_error = PT_PROCESSOR_ON_ERROR;
	if (fields->topics == NIL || (fields->statement == NULL && task->kind != &pt_sink_kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid definition of task \"%s\"", task->name),
				 errdetail("It has no topics, or no statement.")));
}

/*
 * Checks
 */

static void
check_range(const char *name, int64 value, int64 min, int64 max)
{
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be from %lld to %lld", name, (long long) min, (long long) max)));
}

/* ERROR unless there is a topic of this name that the user may use. */
static void
check_topic(const char *name, AclMode mode)
{
	pt_topic_check_access(pt_topic_expect_name(pt_string_from_server(name)), mode);
}

/* ERROR unless the statement can be prepared, as the worker will do it. */
static void
check_statement(const PtTask *task, const PtProcessorFields *fields)
{
	int			level = pt_sink_is_ours(task) ? pt_sink_enter_path() : 0;
	const char *statement = pt_processor_statement(task, fields);

	SPI_connect();
	pt_records_register(pt_records_desc(), NULL);
	(void) pt_statement_prepare(statement);
	SPI_finish();
	if (level > 0)
		AtEOXact_GUC(false, level);
}

/* ERROR unless the definition is one that the current user can run. */
void
pt_processor_check(PtTask *task)
{
	PtProcessorFields fields;
	ListCell   *lc;

	pt_processor_read(task, &fields);
	check_range("parallelism", pt_task_int(task, "parallelism", PT_PROCESSOR_PARALLELISM), 1, PARALLELISM_MAX);
	check_range("batch_records", pt_task_int(task, "batch_records", PT_PROCESSOR_BATCH_RECORDS), 1, BATCH_RECORDS_MAX);
	check_range("batch_wait_ms", fields.batch_wait_ms, 0, BATCH_WAIT_MS_MAX);
	if (fields.group[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be empty", "group")));
	foreach(lc, fields.topics)
		check_topic(lfirst(lc), ACL_SELECT);
	if (!pt_processor_stops(&fields) && strcmp(fields.on_error, PT_PROCESSOR_SKIP) != 0)
		check_topic(fields.on_error, ACL_INSERT);
	check_statement(task, &fields);
}

/*
 * The statement that is run: what the definition has, or what is made of it,
 * in the current memory context.
 */
const char *
pt_processor_statement(const PtTask *task, const PtProcessorFields *fields)
{
	return task->kind == &pt_sink_kind ? pt_sink_make(task) : fields->statement;
}

/* Does a record whose statement fails hold up those behind it? */
bool
pt_processor_stops(const PtProcessorFields *fields)
{
	return strcmp(fields->on_error, PT_PROCESSOR_ON_ERROR) == 0;
}

/* As many as there are partitions, up to the parallelism. */
int
pt_processor_workers(const PtTask *task)
{
	PtProcessorFields fields;
	int			partitions = 0;
	ListCell   *lc;

	pt_processor_read(task, &fields);
	foreach(lc, fields.topics)
	{
		const PtTopic *topic = pt_topic_by_string(pt_string_from_server(lfirst(lc)));

		partitions += topic ? topic->npartitions : 0;
	}
	return Max(Min(partitions, fields.parallelism), 1);
}

/*
 * ERROR if a task that was just created and names no group (NULL) would take
 * over, and drop, that of somebody who uses its name.
 */
void
pt_processor_check_group(const char *name, const char *group)
{
	if (group != NULL || !pt_offsets_remain(pt_string_from_server(name)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("group \"%s\" already has committed offsets", name),
			 errhint("Set \"group\": to this name to go on from there, or to another one.")));
}

/* May the user remove the group?  Then it is locked for that. */
static bool
own_group(PtString group)
{
	if (!pt_group_removable(group))
		return false;
	pt_group_sql_own(group);
	return pt_group_removable(group);	/* others may have moved it */
}

/*
 * A group that has the task's name goes with it; one with another name was
 * there for others, too.  Others may have used the name as well: so the user
 * must be one who could run delete_group().
 */
void
pt_processor_drop(const PtTask *task)
{
	PtString	group = pt_string_from_server(task->name);

	if (pt_task_text(task, "group") != NULL)
		return;
	if (own_group(group))
		(void) pt_offsets_remove(group);
	else
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the committed offsets of group \"%s\" stay", task->name),
				 errdetail("It has some in topics that the user may not read."),
				 errhint("Who may read these topics can run delete_group().")));
}

/*
 * SQL functions
 */

static int32
arg_int(FunctionCallInfo fcinfo, int n, int32 otherwise)
{
	return PG_ARGISNULL(n) ? otherwise : PG_GETARG_INT32(n);
}

/* An array of text with at least one element: List of char * */
static List *
arg_texts(FunctionCallInfo fcinfo, int n, const char *name)
{
	List	   *result = NIL;
	Datum	   *items;
	bool	   *nulls;
	int			nitems = 0;

	if (!PG_ARGISNULL(n))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &nitems);
	for (int i = 0; i < nitems; i++)
	{
		char	   *item = nulls[i] ? NULL : TextDatumGetCString(items[i]);
		ListCell   *lc;

		if (item == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"%s\" must not have nulls", name)));
		foreach(lc, result)
		{
			if (strcmp(lfirst(lc), item) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("\"%s\" has \"%s\" twice", name, item)));
		}
		result = lappend(result, item);
	}
	if (result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be empty", name)));
	return result;
}

/* parallelism, batch_records, batch_wait: arguments from number n on. */
static void
arg_batches(FunctionCallInfo fcinfo, int n, PtProcessorFields *fields)
{
	fields->parallelism = arg_int(fcinfo, n, PT_PROCESSOR_PARALLELISM);
	fields->batch_records = arg_int(fcinfo, n + 1, PT_PROCESSOR_BATCH_RECORDS);
	if (!PG_ARGISNULL(n + 2))
	{
		Interval   *wait = PG_GETARG_INTERVAL_P(n + 2);

		fields->batch_wait_ms = wait->time / 1000 + ((int64) wait->month * DAYS_PER_MONTH + wait->day) * SECS_PER_DAY * 1000;
	}
}

/* The same of a sink, which has group and on_error before them. */
void
pt_processor_args(FunctionCallInfo fcinfo, int n, PtProcessorFields *fields)
{
	fields->group = PG_ARGISNULL(n) ? NULL : pt_task_arg(fcinfo, n, "group");
	fields->on_error = PG_ARGISNULL(n + 1) ? PT_PROCESSOR_ON_ERROR : pt_task_arg(fcinfo, n + 1, "on_error");
	arg_batches(fcinfo, n + 2, fields);
}

/*
 * create_processor(name, topics, statement, group, parallelism, batch_records,
 * batch_wait, on_error)
 */
Datum
pt_create_processor(PG_FUNCTION_ARGS)
{
	char	   *name = pt_task_arg(fcinfo, 0, "name");
	PtProcessorFields fields = {.topics = arg_texts(fcinfo, 1, "topics"),.statement = pt_task_arg(fcinfo, 2, "statement")};
	PtDefinition d;

	fields.group = PG_ARGISNULL(3) ? NULL : pt_task_arg(fcinfo, 3, "group");
	arg_batches(fcinfo, 4, &fields);
	fields.on_error = PG_ARGISNULL(7) ? PT_PROCESSOR_ON_ERROR : pt_task_arg(fcinfo, 7, "on_error");
	pt_definition_begin(&d);
	pt_processor_define(&d, &fields);
	pt_task_create(name, pt_processor_kind.name, pt_definition_end(&d));
	pt_processor_check_group(name, fields.group);
	PG_RETURN_VOID();
}

/* drop_processor(name) */
Datum
pt_drop_processor(PG_FUNCTION_ARGS)
{
	pt_task_drop(pt_task_arg(fcinfo, 0, "name"), pt_processor_kind.name);
	PG_RETURN_VOID();
}
