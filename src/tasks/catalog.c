/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  The table task_definitions: what is to be done.
 *
 * Nobody but the owner of the extension may read or write the table, because
 * definitions hold connection strings.  So statements of ours run as that
 * owner, with nothing that a search_path could change; who may do what with a
 * task is checked here before.
 *
 * A row says where it was made: system, database, table and owner by number.
 * In another place (a dump was restored, a role of the same name is another
 * one) the task is paused until somebody resumes it.
 *
 * Whoever changes a row has the task's lock exclusively to the end of the
 * transaction; a transaction of the task has it shared.  So after a commit of
 * the change nothing is done by the old row.
 *
 * Siblings: definition.c, launcher.c (who reads all rows), functions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "guc.h"
#include "tasks/internal.h"
#include "topic/ext_table.h"
#include "xact/xact.h"

PG_FUNCTION_INFO_V1(pt_tasks_changed);

#define TABLE_NAME	"task_definitions"

/*
 * Last field of the tag of a task's lock.  It differs from those of user locks
 * (1, 2) and of the groups room (3, 4).
 */
#define TASK_LOCK_KIND		5

/* Columns that statements of this file read, in this order. */
#define COLUMNS		"name, kind, owner, definition::pg_catalog.text, paused::pg_catalog.text, pause_reason, home"

static const PtTaskKind *const *kinds;
static int	nkinds;

/* Changes when rows may have changed. */
static uint64 generation = 1;
static Oid	watched = InvalidOid;	/* the table, once that was asked for */

/* This transaction has changed the table. */
static bool changed_here;

/* Names of tasks whose workers it wakes. */
static List *woken;

static bool table_name(char **name, Oid *relid);
static void run(const char *sql, bool read_only, int n, const char *const *args);
static char *home_of(Oid relid, Oid owner);
static PtTask *task_of_row(HeapTuple row, TupleDesc desc, Oid relid);
static List *read_rows(const char *where, const char *arg);
static void relcache_changed(Datum arg, Oid relid);
static void committed(void);
static void forget_change(void);
static void check_name(const char *name);
static bool lock_task(const char *name, LOCKMODE mode, bool dont_wait);

/* What a transaction holds of this room. */
const PtXactKind pt_xact_tasks = {
	.name = "changes of tasks",
	.committed = committed,
	.forget = forget_change,
};

/*
 * Kinds
 */

void
pt_tasks_register(const PtTaskKind *const *all, int n)
{
	Assert(kinds == NULL);
	kinds = all;
	nkinds = n;
}

/* NULL: not known, as in a database of another version. */
const PtTaskKind *
pt_task_kind(const char *name)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	}
	return NULL;
}

/* Do tasks of this database run? */
bool
pt_task_database(void)
{
	return get_database_oid(pt_database, true) == MyDatabaseId;
}

/*
 * Statements on the table
 */

static bool
table_name(char **name, Oid *relid)
{
	*name = pt_ext_table_name(TABLE_NAME, relid);
	return *name != NULL;
}

/* A statement with text parameters; NULL is null. */
static void
run(const char *sql, bool read_only, int n, const char *const *args)
{
	Oid			types[8];
	Datum		values[8] = {0};
	char		nulls[9] = "";

	Assert(n <= lengthof(types));
	for (int i = 0; i < n; i++)
	{
		types[i] = TEXTOID;
		values[i] = args[i] ? CStringGetTextDatum(args[i]) : (Datum) 0;
		nulls[i] = args[i] ? ' ' : 'n';
	}
	if (SPI_execute_with_args(sql, n, types, values, nulls, read_only, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
}

/*
 * Rows
 */

/* Where a row is made now. */
static char *
home_of(Oid relid, Oid owner)
{
	return psprintf(UINT64_FORMAT ".%u.%u.%u", GetSystemIdentifier(), MyDatabaseId, relid, owner);
}

static PtTask *
task_of_row(HeapTuple row, TupleDesc desc, Oid relid)
{
	PtTask	   *task = palloc0(sizeof(PtTask));
	char	   *definition = SPI_getvalue(row, desc, 4);
	char	   *home = SPI_getvalue(row, desc, 7);

	task->name = SPI_getvalue(row, desc, 1);
	task->kind_name = SPI_getvalue(row, desc, 2);
	task->kind = pt_task_kind(task->kind_name);
	task->owner_name = SPI_getvalue(row, desc, 3);
	task->owner = get_role_oid(task->owner_name, true);
	task->definition = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(definition)));
	task->paused = strcmp(SPI_getvalue(row, desc, 5), "true") == 0;
	task->pause_reason = SPI_getvalue(row, desc, 6);
	task->slot = -1;
	task->foreign = strcmp(home, home_of(relid, task->owner)) != 0;
	task->version = hash_bytes_extended((const unsigned char *) definition, (int) strlen(definition), task->owner);
	return task;
}

/* Rows by name, List of PtTask * in the current memory context. */
static List *
read_rows(const char *where, const char *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *result = NIL;
	PtExtUser	user;
	char	   *table;
	Oid			relid;

	if (!table_name(&table, &relid))
		return NIL;
	pt_ext_table_enter(&user, relid);
	run(psprintf("SELECT " COLUMNS " FROM %s %s ORDER BY name", table, where), true, arg ? 1 : 0, &arg);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		result = lappend(result, task_of_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, relid));
		MemoryContextSwitchTo(old);
	}
	pt_ext_table_leave(&user);
	return result;
}

List *
pt_tasks_read(void)
{
	return read_rows("", NULL);
}

/* One task, as it is now; NULL: there is none of that name. */
PtTask *
pt_task_read(const char *name)
{
	List	   *rows = read_rows("WHERE name OPERATOR(pg_catalog.=) $1", name);

	return rows == NIL ? NULL : linitial(rows);
}

/* false: it would have to wait. */
static bool
lock_task(const char *name, LOCKMODE mode, bool dont_wait)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) name, (int) strlen(name), 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, TASK_LOCK_KIND);
	if (LockAcquire(&tag, mode, false, dont_wait) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

/*
 * Takes the task's lock to the end of the transaction, and takes in what has
 * changed.
 */
void
pt_task_lock(const char *name, LOCKMODE mode)
{
	(void) lock_task(name, mode, false);
}

/*
 * Changes
 */

/* Relcache callback; it may only set flags. */
static void
relcache_changed(Datum arg, Oid relid)
{
	if (relid == watched || !OidIsValid(relid))
		generation++;
}

/*
 * A number that is another one when rows may have changed, here or in another
 * process.  Needs a transaction.
 */
uint64
pt_tasks_generation(void)
{
	static bool registered = false;
	char	   *table;
	Oid			relid;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
		registered = true;
	}
	(void) table_name(&table, &relid);
	if (relid != watched)		/* created, dropped or created again */
	{
		watched = relid;
		generation++;
	}
	return generation;
}

/* The trigger of the table, after each statement that may have changed it. */
Datum
pt_tasks_changed(PG_FUNCTION_ARGS)
{
	Datum		result = pt_ext_table_changed(fcinfo, "tasks_changed");

	changed_here = true;
	return result;
}

/*
 * The workers of a task get their latch set when this transaction commits.
 */
void
pt_task_wake(const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	woken = lappend(woken, pstrdup(name));
	MemoryContextSwitchTo(old);
}

static void
committed(void)
{
	ListCell   *lc;

	if (changed_here)
		pt_task_launcher_wake();
	foreach(lc, woken)
		pt_slots_wake(lfirst(lc));
}

static void
forget_change(void)
{
	changed_here = false;
	woken = NIL;
}

static void
check_name(const char *name)
{
	if (name[0] == '\0' || strlen(name) > PT_TASK_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid name of a task: \"%s\"", name),
				 errdetail("It must have 1 to %d bytes.", PT_TASK_NAME_MAX)));
	for (const char *c = name; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("the name of a task must not have control characters")));
	}
}

/* ERROR unless the user may do as the owner does. */
void
pt_task_check_owner(const PtTask *task)
{
	if (superuser() || (OidIsValid(task->owner) && has_privs_of_role(GetUserId(), task->owner)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of task \"%s\"", task->name)));
}

/*
 * Returns a task that the user owns, as it is now; ERROR as
 * pt_task_for_change() says.
 */
PtTask *
pt_task_expect(const char *name, const char *kind)
{
	PtTask	   *task = pt_task_read(name);

	if (task == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" does not exist", kind ? kind : "task", name)));
	if (kind != NULL && strcmp(task->kind_name, kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a %s", name, kind),
				 errdetail("It is a %s.", task->kind_name)));
	pt_task_check_owner(task);
	return task;
}

/*
 * Returns a task that the user owns, locked as a change needs it; ERROR 42704
 * if there is none of that name (and kind, unless that is NULL).  Workers that
 * have the lock are told to end, because they may hang.
 */
PtTask *
pt_task_for_change(const char *name, const char *kind)
{
	(void) pt_task_expect(name, kind);
	if (!lock_task(name, ExclusiveLock, true))
	{
		if (pt_task_database())
			pt_task_ask_workers(name);
		pt_task_lock(name, ExclusiveLock);
	}
	return pt_task_expect(name, kind);
}

/*
 * Writes a row anew: its definition, and whether it is paused.  The task is
 * at home from then on.
 */
void
pt_task_write(const PtTask *task)
{
	Oid			relid;
	char	   *table;
	PtExtUser	user;
	const char *args[6];

	if (!table_name(&table, &relid))
		return;
	args[0] = task->name;
	args[1] = JsonbToCString(NULL, &task->definition->root, VARSIZE(task->definition));
	args[2] = task->paused ? "true" : "false";
	args[3] = task->pause_reason;
	args[4] = home_of(relid, task->owner);
	args[5] = task->owner_name;
	pt_ext_table_enter(&user, relid);
	run(psprintf("UPDATE %s SET definition = $2::pg_catalog.jsonb, paused = $3::pg_catalog.bool, pause_reason = $4, "
				 "home = $5, owner = $6::pg_catalog.name WHERE name OPERATOR(pg_catalog.=) $1", table), false, lengthof(args), args);
	pt_ext_table_leave(&user);
}

/*
 * Creates a task of the current user, which starts when the transaction
 * commits.  ERROR 42710 if there is one of that name.
 */
void
pt_task_create(const char *name, const char *kind, Jsonb *definition)
{
	char	   *owner = GetUserNameFromId(GetUserId(), false);
	PtTask		task = {.name = pstrdup(name),.kind = pt_task_kind(kind),.owner = GetUserId(),.owner_name = owner,
	.definition = definition,.slot = -1};
	char	   *table = pt_ext_table_required(TABLE_NAME);
	Oid			relid;
	PtExtUser	user;
	const char *args[5];

	Assert(task.kind != NULL);
	check_name(name);
	pt_task_lock(name, ExclusiveLock);
	if (pt_task_read(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("task \"%s\" already exists", name)));
	if (task.kind->check)
		task.kind->check(&task);
	(void) table_name(&table, &relid);
	args[0] = name;
	args[1] = kind;
	args[2] = owner;
	args[3] = JsonbToCString(NULL, &task.definition->root, VARSIZE(task.definition));
	args[4] = home_of(relid, GetUserId());
	pt_ext_table_enter(&user, relid);
	run(psprintf("INSERT INTO %s (name, kind, owner, definition, home) "
				 "VALUES ($1, $2, $3::pg_catalog.name, $4::pg_catalog.jsonb, $5)", table), false, lengthof(args), args);
	pt_ext_table_leave(&user);
	if (!pt_task_database())
		ereport(WARNING,
				(errmsg("tasks of this database do not run"),
				 errhint("They run in the database that the setting \"pgtopic.database\" names, \"%s\".", pt_database)));
}

/*
 * Drops a task, with what its kind leaves.  ERROR 42704 if there is none of
 * that name, 42809 if it is of another kind.
 */
void
pt_task_drop(const char *name, const char *kind)
{
	PtTask	   *task = pt_task_for_change(name, kind);
	Oid			relid;
	char	   *table;
	PtExtUser	user;

	if (!table_name(&table, &relid))
		return;
	pt_ext_table_enter(&user, relid);
	run(psprintf("DELETE FROM %s WHERE name OPERATOR(pg_catalog.=) $1", table), false, 1, &name);
	pt_ext_table_leave(&user);
	if (task->kind->drop)
		task->kind->drop(task);
}
