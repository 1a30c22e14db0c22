/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  SQL functions for all tasks: pause_task(), resume_task(), alter_task(),
 *	  alter_task_owner(), and what the view tasks_status shows.
 *
 * All take effect when the transaction commits, and wait for the transactions
 * in which the task is working just now.
 *
 * Siblings: catalog.c (who may do what), shared.c (slots).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/tuplestore.h"

#include "guc.h"
#include "tasks/internal.h"
#include "topic/timestamp.h"

PG_FUNCTION_INFO_V1(pt_pause_task);
PG_FUNCTION_INFO_V1(pt_resume_task);
PG_FUNCTION_INFO_V1(pt_alter_task);
PG_FUNCTION_INFO_V1(pt_alter_task_owner);
PG_FUNCTION_INFO_V1(pt_list_tasks);

/* The field of a definition that nobody is shown. */
#define SECRET_FIELD	"connection"

/* What the workers of a task do, added up. */
typedef struct Doing
{
	int			running;
	bool		failing;
	int64		errors;
	TimestampTz last_error_at;
	const char *last_error;
	int64		records;
	int64		skipped;
	int64		bytes;
	int64		newest_timestamp_ms;
	uint64		lsn;
	TimestampTz progress_at;
	int64		minute_records;
	int64		minute_bytes;
	PtTaskLag	lag;			/* of the first worker */
	Datum	   *pids;
} Doing;

static Jsonb *merge(Jsonb *old, Jsonb *changes);
static void add_up(Doing *doing, const PtTask *task, const PtSlot *slots);
static const char *state_of(const PtTask *task, const Doing *doing);
static const char *why_paused(const PtTask *task);
static bool may_see(const PtTask *task);
static void put_count(Datum *value, bool *isnull, int64 count);
static void put_task(ReturnSetInfo *result, const PtTask *task, const Doing *doing);

/*
 * An argument of type text, palloc'd.  ERROR 22004 if it is null.
 */
char *
pt_task_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* pause_task(name, reason) */
Datum
pt_pause_task(PG_FUNCTION_ARGS)
{
	PtTask	   *task = pt_task_for_change(pt_task_arg(fcinfo, 0, "name"), NULL);

	task->paused = true;
	task->pause_reason = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	pt_task_write(task);
	PG_RETURN_VOID();
}

/*
 * resume_task(name): runs it again, also one that was restored from a dump,
 * and tries one that fails at once.
 */
Datum
pt_resume_task(PG_FUNCTION_ARGS)
{
	PtTask	   *task = pt_task_for_change(pt_task_arg(fcinfo, 0, "name"), NULL);
	PtSlot	   *slots;

	if (!OidIsValid(task->owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", which owns task \"%s\", does not exist", task->owner_name, task->name),
				 errhint("Give the task another owner with alter_task_owner().")));
	task->paused = false;
	task->pause_reason = NULL;
	pt_task_write(task);
	slots = pt_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state == PT_SLOT_WAITING && strcmp(slots[i].name, task->name) == 0)
			slots[i].retry_at = 0;
	}
	pt_slots_unlock();
	PG_RETURN_VOID();
}

/* Fields of the changes replace those of the same name; null removes one. */
static Jsonb *
merge(Jsonb *old, Jsonb *changes)
{
	Datum		both = DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(old), JsonbPGetDatum(changes));

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, both));
}

/* alter_task(name, definition) */
Datum
pt_alter_task(PG_FUNCTION_ARGS)
{
	PtTask	   *task = pt_task_for_change(pt_task_arg(fcinfo, 0, "name"), NULL);
	Jsonb	   *changes;

	if (PG_ARGISNULL(1) || !JB_ROOT_IS_OBJECT(changes = PG_GETARG_JSONB_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the changes of a task must be a JSON object"),
				 errhint("For example {\"parallelism\": 2}.")));
	if (task->foreign)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("task \"%s\" was restored from a dump", task->name),
				 errhint("Run resume_task() first, then pause_task() if it is not to run yet.")));
	task->definition = merge(task->definition, changes);
	if (task->kind && task->kind->check)
		task->kind->check(task);
	pt_task_write(task);
	PG_RETURN_VOID();
}

/*
 * alter_task_owner(name, owner): for who owns the task, or is a superuser, and
 * could be the new owner.
 */
Datum
pt_alter_task_owner(PG_FUNCTION_ARGS)
{
	PtTask	   *task = pt_task_for_change(pt_task_arg(fcinfo, 0, "name"), NULL);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "owner")));
	task->owner_name = pstrdup(NameStr(*PG_GETARG_NAME(1)));
	task->owner = get_role_oid(task->owner_name, false);
	pt_check_can_set_role(GetUserId(), task->owner);
	if (task->foreign && !task->paused)
	{
		task->pause_reason = pstrdup(why_paused(task));
		task->paused = true;
	}
	pt_task_write(task);
	PG_RETURN_VOID();
}

/*
 * The view
 */

static void
add_up(Doing *doing, const PtTask *task, const PtSlot *slots)
{
	static const PtTaskLag unknown = PT_TASK_LAG_UNKNOWN;

	memset(doing, 0, sizeof(*doing));
	doing->newest_timestamp_ms = -1;
	doing->lag = unknown;
	doing->pids = palloc(pt_max_tasks * sizeof(Datum));
	for (int i = 0; i < pt_max_tasks; i++)
	{
		const PtSlot *slot = &slots[i];

		if (slot->state == PT_SLOT_FREE || strcmp(slot->name, task->name) != 0)
			continue;
		if (slot->state == PT_SLOT_RUNNING)
			doing->pids[doing->running++] = Int32GetDatum(slot->pid);
		doing->failing |= slot->failing;
		doing->errors += slot->errors;
		if (slot->last_error_at > doing->last_error_at)
		{
			doing->last_error_at = slot->last_error_at;
			doing->last_error = slot->last_error;
		}
		doing->records += slot->records;
		doing->skipped += slot->skipped;
		doing->bytes += slot->bytes;
		doing->newest_timestamp_ms = Max(doing->newest_timestamp_ms, slot->newest_timestamp_ms);
		doing->lsn = Max(doing->lsn, slot->lsn);
		doing->progress_at = Max(doing->progress_at, slot->progress_at);
		pt_slot_minute(slot, &doing->minute_records, &doing->minute_bytes);
		if (slot->worker == 0)
			doing->lag = slot->lag;
	}
}

static const char *
state_of(const PtTask *task, const Doing *doing)
{
	if (task->paused || task->foreign)
		return "paused";
	if (doing->failing)
		return "failing";
	return doing->running > 0 ? "running" : "waiting for a worker";
}

static const char *
why_paused(const PtTask *task)
{
	if (task->paused)
		return task->pause_reason;
	if (task->foreign)
		return "It was made in another database, or its owner was another role: see to it, and run resume_task().";
	return NULL;
}

/* Definition and errors are for the owner, and for who may see all. */
static bool
may_see(const PtTask *task)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		(OidIsValid(task->owner) && has_privs_of_role(GetUserId(), task->owner));
}

/* A number that is not known if it is negative. */
static void
put_count(Datum *value, bool *isnull, int64 count)
{
	*isnull = count < 0;
	*value = Int64GetDatum(count);
}

static void
put_task(ReturnSetInfo *result, const PtTask *task, const Doing *doing)
{
	bool		all = may_see(task);
	const char *reason = why_paused(task);
	Datum		values[24];
	bool		nulls[24] = {false};
	int			n = 0;

	values[n++] = CStringGetTextDatum(task->name);
	values[n++] = CStringGetTextDatum(task->kind_name);
	values[n++] = DirectFunctionCall1(namein, CStringGetDatum(task->owner_name));
	nulls[n] = !all;
	values[n++] = all ? DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(task->definition), CStringGetTextDatum(SECRET_FIELD)) : 0;
	values[n++] = CStringGetTextDatum(state_of(task, doing));
	nulls[n] = reason == NULL;
	values[n++] = reason ? CStringGetTextDatum(reason) : 0;
	values[n++] = Int64GetDatum(doing->errors);
	nulls[n] = !all || doing->last_error == NULL;
	values[n] = nulls[n] ? 0 : CStringGetTextDatum(doing->last_error);
	n++;
	nulls[n] = doing->last_error_at == 0;
	values[n++] = TimestampTzGetDatum(doing->last_error_at);
	values[n++] = Int64GetDatum(doing->records);
	values[n++] = Int64GetDatum(doing->skipped);
	values[n++] = Int64GetDatum(doing->bytes);
	nulls[n] = doing->newest_timestamp_ms < 0;
	values[n] = nulls[n] ? 0 : pt_timestamp_datum(doing->newest_timestamp_ms, &nulls[n]);
	n++;
	nulls[n] = doing->progress_at == 0;
	values[n++] = TimestampTzGetDatum(doing->progress_at);
	nulls[n] = doing->lsn == 0;
	values[n++] = UInt64GetDatum(doing->lsn);
	values[n++] = Int64GetDatum(doing->minute_records);
	values[n++] = Int64GetDatum(doing->minute_bytes);
	put_count(&values[n], &nulls[n], all ? doing->lag.records : -1);
	n++;
	put_count(&values[n], &nulls[n], all ? doing->lag.bytes : -1);
	n++;
	put_count(&values[n], &nulls[n], all ? doing->lag.retained : -1);
	n++;
	put_count(&values[n], &nulls[n], all ? doing->lag.safe : -1);
	n++;
	values[n++] = BoolGetDatum(doing->lag.behind || doing->running == 0);
	nulls[n] = !all || doing->lag.caught_up_at == 0;
	values[n++] = TimestampTzGetDatum(doing->lag.caught_up_at);
	values[n++] = PointerGetDatum(construct_array(doing->pids, doing->running, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	Assert(n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Rows of list_tasks(): all tasks.  What they have done is counted from their
 * first start on, or the server's.
 */
Datum
pt_list_tasks(PG_FUNCTION_ARGS)
{
	PtSlot	   *slots = pt_slots_copy();
	bool		here = pt_task_database();
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, pt_tasks_read())
	{
		Doing		doing;

		if (!here)
			memset(slots, 0, pt_max_tasks * sizeof(PtSlot));
		add_up(&doing, lfirst(lc), slots);
		put_task((ReturnSetInfo *) fcinfo->resultinfo, lfirst(lc), &doing);
	}
	return (Datum) 0;
}
