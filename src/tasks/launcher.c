/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The process that starts and stops workers of tasks.
 *
 * It compares what is to be done (catalog.c) with what is being done (slots,
 * shared.c): when the transaction of a change commits, when a worker has
 * ended, when it is time to try a failed one again, and every second, because
 * other things than the table count, too: roles, privileges, partitions.
 *
 * Each task has a first worker before any has a second one.  Where there are
 * fewer slots than tasks, those that come later by name wait.
 *
 * The launcher may end at any moment: what it must know is in the slots.
 *
 * Siblings: worker.c, shared.c, catalog.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "guard.h"
#include "guc.h"
#include "tasks/internal.h"
#include "worker.h"

/* What is not told by a wake-up is noticed this late. */
#define LOOK_MS			1000

/* A worker that was told to stop is terminated after this. */
#define STOP_MS_MAX		10000

/* A worker that was asked for and does not come is asked for again. */
#define START_MS_MAX	30000

/* A task, and what is to run of it. */
typedef struct Wanted
{
	PtTask	   *task;
	int			workers;		/* 0: it is paused */
	ErrorData  *error;			/* why it cannot run */
} Wanted;

static bool told_no_worker;		/* the server's log has it */

static List *read_wanted(void);
static void count_workers(void *arg);
static void check_can_run(void *arg);
static const Wanted *task_of(List *wanted, const PtSlot *slot);
static const Wanted *wanted_of(List *wanted, const PtSlot *slot);
static void stop_worker(PtSlot *slot, TimestampTz now);
static void take_back(List *wanted, TimestampTz now);
static int	find_slot(PtSlot *slots, const char *name, int worker);
static int	free_slot(PtSlot *slots, List *wanted);
static bool make_room(PtSlot *slots, TimestampTz now);
static void start_wanted(const Wanted *w, int worker, List *wanted, TimestampTz now);
static bool start_worker(int number, const Wanted *w, uint32 life);
static void launch_all(List *wanted, TimestampTz now);
static long launcher_round(MemoryContext mcxt);
static long next_look(TimestampTz now);
static void launcher_exit(int code, Datum arg);

/*
 * What is to run
 */

static void
count_workers(void *arg)
{
	Wanted	   *w = arg;

	if (w->task->kind->workers)
		w->workers = Max(w->task->kind->workers(w->task), 1);
}

/*
 * ERROR if the owner could not open a session; InitPostgres would say so, but
 * only to the server's log.
 */
static void
check_can_run(void *arg)
{
	const PtTask *task = ((Wanted *) arg)->task;
	HeapTuple	tuple;
	bool		may_login;

	if (task->kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("tasks of kind \"%s\" are not known", task->kind_name)));
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(task->owner));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", task->owner_name)));
	may_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!may_login)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" is not permitted to log in", task->owner_name),
				 errhint("Workers run as their task's owner, who needs LOGIN.")));
	if (pt_database_aclcheck(MyDatabaseId, task->owner, ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database \"%s\"", get_database_name(MyDatabaseId)),
				 errhint("Workers run as their task's owner, \"%s\", who needs CONNECT.", task->owner_name)));
}

/* List of Wanted *, by name. */
static List *
read_wanted(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, pt_tasks_read())
	{
		PtTask	   *task = lfirst(lc);
		Wanted	   *w;

		w = palloc0(sizeof(Wanted));
		w->task = task;
		result = lappend(result, w);
		if (task->paused || task->foreign)
			continue;
		w->workers = 1;
		w->error = pt_guarded(check_can_run, w);
		if (w->error == NULL)
			w->error = pt_guarded(count_workers, w);
		w->workers = Min(w->workers, pt_max_tasks);
	}
	return result;
}

/* The task for which the slot is; NULL: there is none any more. */
static const Wanted *
task_of(List *wanted, const PtSlot *slot)
{
	ListCell   *lc;

	foreach(lc, wanted)
	{
		const Wanted *w = lfirst(lc);

		if (strcmp(w->task->name, slot->name) == 0)
			return w;
	}
	return NULL;
}

/* The same if the slot's worker is to run. */
static const Wanted *
wanted_of(List *wanted, const PtSlot *slot)
{
	const Wanted *w = task_of(wanted, slot);

	return w != NULL && slot->worker < w->workers ? w : NULL;
}

/*
 * Stopping
 */

/* Asks a worker to end, and terminates one that does not; the lock is held. */
static void
stop_worker(PtSlot *slot, TimestampTz now)
{
	pt_slot_ask_stop(slot, now);
	if (slot->pid != 0 && TimestampDifferenceExceeds(slot->stop_since, now, STOP_MS_MAX))
		(void) kill(slot->pid, SIGTERM);
}

/*
 * Stops what is not wanted, or not as it is now.  What has ended can be
 * started again at once if its task is another one now.
 */
static void
take_back(List *wanted, TimestampTz now)
{
	PtSlot	   *slots = pt_slots_lock(LW_EXCLUSIVE);

	for (int i = 0; i < pt_max_tasks; i++)
	{
		PtSlot	   *slot = &slots[i];
		const Wanted *w = slot->state == PT_SLOT_FREE ? NULL : wanted_of(wanted, slot);
		bool		as_wanted = w != NULL && w->error == NULL && w->task->version == slot->version;

		if (slot->state == PT_SLOT_RUNNING && (!as_wanted || slot->stop))
			stop_worker(slot, now);
		else if (slot->state == PT_SLOT_STARTING &&
				 (!as_wanted || TimestampDifferenceExceeds(slot->started_at, now, START_MS_MAX)))
		{
			slot->life++;
			slot->state = PT_SLOT_WAITING;
		}
		else if (slot->state == PT_SLOT_WAITING && task_of(wanted, slot) == NULL)
			pt_slot_clear(slot);
		else if (slot->state == PT_SLOT_WAITING && w == NULL)
			slot->failing = false;
		else if (slot->state == PT_SLOT_WAITING && w->task->version != slot->version)
		{
			slot->version = w->task->version;
			slot->backoff_s = 0;
			slot->retry_at = 0;
		}
	}
	pt_slots_unlock();
}

/*
 * Starting
 */

static int
find_slot(PtSlot *slots, const char *name, int worker)
{
	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state != PT_SLOT_FREE && slots[i].worker == worker && strcmp(slots[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* A slot that nobody has, else one whose task does not need it; -1: none. */
static int
free_slot(PtSlot *slots, List *wanted)
{
	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state == PT_SLOT_FREE)
		{
			pt_slot_clear(&slots[i]);
			return i;
		}
	}
	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state == PT_SLOT_WAITING && wanted_of(wanted, &slots[i]) == NULL)
		{
			pt_slot_clear(&slots[i]);
			return i;
		}
	}
	return -1;
}

/*
 * A task has no worker while another one has several: the last of these ends.
 * false: there is none.
 */
static bool
make_room(PtSlot *slots, TimestampTz now)
{
	int			victim = -1;

	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].worker > 0 && (victim < 0 || slots[i].worker > slots[victim].worker))
			victim = i;
	}
	if (victim < 0)
		return false;
	if (slots[victim].state == PT_SLOT_WAITING)
		pt_slot_clear(&slots[victim]);
	else
		stop_worker(&slots[victim], now);
	return true;
}

/* false: the server has no worker process left. */
static bool
start_worker(int number, const Wanted *w, uint32 life)
{
	BackgroundWorker worker = {0};
	PtTaskStart start = {.life = life,.database = MyDatabaseId,.owner = w->task->owner,.version = w->task->version};

	StaticAssertStmt(offsetof(PtTaskStart, name) <= BGW_EXTRALEN, "it must fit into bgw_extra");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgtopic task %s", w->task->name);
	strlcpy(worker.bgw_type, "pgtopic task", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "pgtopic", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pt_task_worker_main", sizeof(worker.bgw_function_name));
	worker.bgw_main_arg = Int32GetDatum(number);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &start, offsetof(PtTaskStart, name));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/*
 * Starts worker n of a task, if it does not run and it is time to.  What
 * cannot be started is written down as an error of the task.
 */
static void
start_wanted(const Wanted *w, int worker, List *wanted, TimestampTz now)
{
	PtSlot	   *slots = pt_slots_lock(LW_EXCLUSIVE);
	int			number = find_slot(slots, w->task->name, worker);
	PtSlot	   *slot;
	uint32		life;

	if (number < 0 && (number = free_slot(slots, wanted)) < 0 && worker == 0 && make_room(slots, now))
		number = free_slot(slots, wanted);
	slot = number < 0 ? NULL : &slots[number];
	if (slot == NULL || slot->state > PT_SLOT_WAITING || slot->retry_at > now)
	{
		pt_slots_unlock();
		return;
	}
	if (slot->state == PT_SLOT_FREE)
		strlcpy(slot->name, w->task->name, sizeof(slot->name));
	slot->worker = worker;
	slot->version = w->task->version;
	slot->stop = false;
	slot->stop_since = 0;
	slot->started_at = now;
	slot->state = w->error ? PT_SLOT_WAITING : PT_SLOT_STARTING;
	life = ++slot->life;
	if (w->error)
		pt_slot_failed(slot, w->error);
	pt_slots_unlock();
	if (w->error == NULL && !start_worker(number, w, life))
	{
		slots = pt_slots_lock(LW_EXCLUSIVE);
		if (slots[number].life == life)
			pt_slot_clear(&slots[number]);
		pt_slots_unlock();
		if (!told_no_worker)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("there is no background worker left for task \"%s\"", w->task->name),
					 errhint("Increase \"max_worker_processes\" and restart the server.")));
		told_no_worker = true;
	}
	else if (w->error == NULL)
		told_no_worker = false;
}

/* All first workers, then all second ones, and so on. */
static void
launch_all(List *wanted, TimestampTz now)
{
	for (int worker = 0; worker < pt_max_tasks; worker++)
	{
		ListCell   *lc;

		foreach(lc, wanted)
		{
			const Wanted *w = lfirst(lc);

			if (worker < w->workers)
				start_wanted(w, worker, wanted, now);
		}
	}
}

/*
 * The loop
 */

/* In how many ms a failed worker is to be tried again; LOOK_MS at most. */
static long
next_look(TimestampTz now)
{
	PtSlot	   *slots = pt_slots_lock(LW_SHARED);
	long		ms = LOOK_MS;

	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state == PT_SLOT_WAITING && slots[i].retry_at > now)
			ms = Min(ms, TimestampDifferenceMilliseconds(now, slots[i].retry_at) + 1);
	}
	pt_slots_unlock();
	return ms;
}

/* Returns how long to wait.  Errors have been dealt with. */
static long
launcher_round(MemoryContext mcxt)
{
	TimestampTz now = GetCurrentTimestamp();

	PG_TRY();
	{
		List	   *wanted;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		wanted = read_wanted();
		take_back(wanted, now);
		launch_all(wanted, now);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(mcxt);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(mcxt);
	MemoryContextReset(mcxt);
	(void) pgstat_report_stat(false);
	return next_look(now);
}

static void
launcher_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	pt_task_launcher_attach(NULL);
}

void
pt_task_launcher_main(Datum arg)
{
	MemoryContext mcxt;
	uint32		idle;

	pt_worker_start(pt_database);
	idle = pt_wait_event_new("PgtopicTaskLauncherMain");
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic task launcher", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mcxt);
	before_shmem_exit(launcher_exit, (Datum) 0);
	pt_task_launcher_attach(MyLatch);
	pgstat_report_appname("pgtopic task launcher");
	for (;;)
	{
		long		ms;

		ResetLatch(MyLatch);
		(void) pt_worker_interrupts();
		ms = launcher_round(mcxt);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, idle);
	}
}
