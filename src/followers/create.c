/*-------------------------------------------------------------------------
 *
 * create.c
 *	  follow_groups() and unfollow_groups(), and what a follower of groups is.
 *
 * Nothing is made at the other server, so nothing is left there either.
 *
 * Siblings: run.c (what it does), ../tasks/catalog.c (where it is stored).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "followers/followers.h"
#include "followers/internal.h"

PG_FUNCTION_INFO_V1(pt_follow_groups);
PG_FUNCTION_INFO_V1(pt_unfollow_groups);

#define INTERVAL_MS			5000
#define INTERVAL_MS_MIN		100
#define INTERVAL_MS_MAX		(24 * 3600 * 1000)

static void check_definition(PtTask *task);

const PtTaskKind pt_group_follower_kind = {
	.name = "group_follower",
	.check = check_definition,
	.run = pt_follower_run,
};

/*
 * Returns a pattern in which * stands for any characters, as one of LIKE.
 */
static char *
like_pattern(const char *pattern)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *c = pattern; *c != '\0'; c++)
	{
		if (*c == '%' || *c == '_' || *c == '\\')
			appendStringInfoChar(&out, '\\');
		appendStringInfoChar(&out, *c == '*' ? '%' : *c);
	}
	return out.data;
}

static List *
like_patterns(const PtTask *task, const char *field)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, pt_task_texts(task, field))
		result = lappend(result, like_pattern(lfirst(lc)));
	if (result == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be empty", field),
				 errhint("The pattern * stands for all.")));
	return result;
}

/*
 * Returns what a task follows, in the current memory context.  Needs a
 * transaction.  ERROR 22023 for values that are not allowed.
 */
PtGroupFollower *
pt_follower_define(const PtTask *task)
{
	PtGroupFollower *follower = palloc0(sizeof(PtGroupFollower));

	follower->name = pstrdup(task->name);
	follower->connection = pt_task_text(task, "connection");
	follower->trusted = superuser_arg(task->owner);
	follower->groups = like_patterns(task, "groups");
	follower->topics = like_patterns(task, "topics");
	follower->interval_ms = pt_task_int(task, "interval_ms", INTERVAL_MS);
	follower->backwards = pt_task_bool(task, "backwards", false);
	if (follower->connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must not be null", "connection")));
	if (follower->interval_ms < INTERVAL_MS_MIN || follower->interval_ms > INTERVAL_MS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the interval must be from %d ms to one day", INTERVAL_MS_MIN)));
	return follower;
}

/*
 * The check function of the kind: the other server is looked at when the task
 * is made, or gets another connection.  It may be down when something else is
 * changed.
 */
static void
check_definition(PtTask *task)
{
	const PtGroupFollower *follower = pt_follower_define(task);
	const PtTask *stored = pt_task_read(task->name);
	const char *before = stored ? pt_task_text(stored, "connection") : NULL;
	PtPeer	   *there;

	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("following groups needs a database with encoding UTF8")));
	if (before != NULL && strcmp(before, follower->connection) == 0)
		return;
	there = pt_there_connect(follower, NULL);
	(void) pt_there_extension(there);
	pt_peer_close(there);
}

/*
 * Returns an argument that is an array of text, as a list of char *.
 */
static List *
arg_texts(FunctionCallInfo fcinfo, int n, const char *name)
{
	List	   *result = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return list_make1("*");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"%s\" must not have nulls", name)));
		result = lappend(result, TextDatumGetCString(values[i]));
	}
	return result;
}

/* follow_groups(name, connection, groups, topics, interval, backwards) */
Datum
pt_follow_groups(PG_FUNCTION_ARGS)
{
	char	   *name = pt_task_arg(fcinfo, 0, "name");
	PtDefinition d;

	PreventCommandIfReadOnly("follow_groups()");
	pt_definition_begin(&d);
	pt_definition_text(&d, "connection", pt_task_arg(fcinfo, 1, "connection"));
	pt_definition_texts(&d, "groups", arg_texts(fcinfo, 2, "groups"));
	pt_definition_texts(&d, "topics", arg_texts(fcinfo, 3, "topics"));
	if (!PG_ARGISNULL(4))
	{
		Interval   *span = PG_GETARG_INTERVAL_P(4);

		pt_definition_int(&d, "interval_ms",
						  span->time / 1000 + ((int64) span->month * DAYS_PER_MONTH + span->day) * SECS_PER_DAY * 1000);
	}
	pt_definition_bool(&d, "backwards", !PG_ARGISNULL(5) && PG_GETARG_BOOL(5));
	pt_task_create(name, pt_group_follower_kind.name, pt_definition_end(&d));
	PG_RETURN_VOID();
}

/* unfollow_groups(name) */
Datum
pt_unfollow_groups(PG_FUNCTION_ARGS)
{
	pt_task_drop(pt_task_arg(fcinfo, 0, "name"), pt_group_follower_kind.name);
	PG_RETURN_VOID();
}
