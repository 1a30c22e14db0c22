/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  A worker: a process that runs one task, or a part of it.
 *
 * It is connected as the task's owner, as a session of the owner would be:
 * there is no superuser to go back to, and who may not log in or connect has
 * no worker.  It runs its kind's function until it is told to stop, or until
 * an error, which it writes down before it ends; the launcher starts another
 * one later.  So nothing that code of users does to the process outlives an
 * error.
 *
 * Siblings: launcher.c, shared.c (slots), catalog.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "record/crc32c.h"
#include "tasks/internal.h"
#include "worker.h"

/* A worker that has ended without an error of its task starts again. */
#define RESTART_MS		1000

static uint32 wait_event;
static uint64 seen;				/* pt_tasks_generation() when the task was
								 * read */

static bool attach(int slot, PtTaskStart *start);
static void detach(int code, Datum arg);
static PtTask *read_task(const PtTaskStart *start);
static void note_error(int slot);

/*
 * Takes the slot that this process was started for; false: it is too late.
 */
static bool
attach(int number, PtTaskStart *start)
{
	PtSlot	   *slot = &pt_slots_lock(LW_EXCLUSIVE)[number];
	bool		mine;

	memcpy(start, MyBgworkerEntry->bgw_extra, sizeof(*start));
	mine = slot->state == PT_SLOT_STARTING && slot->life == start->life;
	if (mine)
	{
		slot->state = PT_SLOT_RUNNING;
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->started_at = GetCurrentTimestamp();
		strlcpy(start->name, slot->name, sizeof(start->name));
		start->worker = slot->worker;
	}
	pt_slots_unlock();
	return mine;
}

/*
 * The process ends: locks are free, and nothing can be committed any more.  If
 * nobody has asked for that and there is no error of ours, it was terminated,
 * or could not open its session: the next one comes in a second.
 */
static void
detach(int code, Datum arg)
{
	TimestampTz now = GetCurrentTimestamp();
	PtSlot	   *slot;

	LWLockReleaseAll();			/* an error may leave some */
	AbortOutOfAnyTransaction();
	slot = &pt_slots_lock(LW_EXCLUSIVE)[DatumGetInt32(arg)];
	Assert(slot->pid == MyProcPid);
	if (!slot->stop && slot->retry_at < now)
		slot->retry_at = TimestampTzPlusMilliseconds(now, RESTART_MS);
	slot->state = PT_SLOT_WAITING;
	slot->pid = 0;
	slot->latch = NULL;
	slot->stop = false;
	pt_slots_unlock();
	pt_task_launcher_wake();
}

/*
 * Reads the task, in a transaction of its own.  NULL: it is not what it was
 * when the launcher started us.
 */
static PtTask *
read_task(const PtTaskStart *start)
{
	MemoryContext mcxt = CurrentMemoryContext;
	PtTask	   *task;

	StartTransactionCommand();
	seen = pt_tasks_generation();
	MemoryContextSwitchTo(mcxt);
	task = pt_task_read(start->name);
	CommitTransactionCommand();
	MemoryContextSwitchTo(mcxt);
	if (task == NULL || task->kind == NULL || task->paused || task->foreign || task->version != start->version)
		return NULL;
	return task;
}

/* In the CATCH block: the error into the slot and into the server's log. */
static void
note_error(int number)
{
	ErrorData  *edata;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(TopMemoryContext);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	pt_slot_failed(&pt_slots_lock(LW_EXCLUSIVE)[number], edata);
	pt_slots_unlock();
	RESUME_INTERRUPTS();
}

/*
 * The argument is the number of the slot.
 */
void
pt_task_worker_main(Datum arg)
{
	int			number = DatumGetInt32(arg);
	PtTaskStart start;
	PtTask	   *task;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	if (!attach(number, &start))
		proc_exit(0);
	before_shmem_exit(detach, arg);
	BackgroundWorkerInitializeConnectionByOid(start.database, start.owner, 0);
	pt_crc32c_for_server();
	wait_event = pt_wait_event_new("PgtopicTask");
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "pgtopic task", ALLOCSET_DEFAULT_SIZES));
	PG_TRY();
	{
		task = read_task(&start);
		if (task != NULL)
		{
			task->slot = number;
			task->worker = start.worker;
			task->kind->run(task, start.worker);
		}
	}
	PG_CATCH();
	{
		note_error(number);
		proc_exit(0);
	}
	PG_END_TRY();
	Assert(!IsTransactionState());
	proc_exit(0);
}

/*
 * Between two pieces of work, with no transaction open: ends the process if it
 * was told so, and takes in new settings.  false: the task is to stop.
 */
bool
pt_task_go_on(PtTask *task)
{
	Assert(!IsTransactionState());
	(void) pt_worker_interrupts();
	return !*pt_slot_stop(task->slot);
}

/*
 * Begins a transaction of the task.  Nobody changes, pauses or drops the task
 * before it has ended.  false: the task has been changed, and there is no
 * transaction; pt_task_go_on() will say so, too.
 */
bool
pt_task_begin(PtTask *task)
{
	MemoryContext mcxt = CurrentMemoryContext;
	PtTask	   *now = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pt_task_lock(task->name, ShareLock);
	if (pt_tasks_generation() != seen)
	{
		seen = pt_tasks_generation();
		now = pt_task_read(task->name);
		if (now == NULL || now->paused || now->foreign || now->version != task->version)
		{
			CommitTransactionCommand();
			MemoryContextSwitchTo(mcxt);
			pt_slots_lock(LW_EXCLUSIVE)[task->slot].stop = true;
			pt_slots_unlock();
			return false;
		}
	}
	return true;
}

/* Commits it.  The memory context is the caller's one again. */
void
pt_task_commit(PtTask *task)
{
	Assert(IsTransactionState());
	CommitTransactionCommand();
	(void) pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Waits for the latch, for up to ms (-1: without end), and for events of a
 * socket (PGINVALID_SOCKET: none).  Returns what has happened, WL_xxx.  To be
 * called in a loop with pt_task_go_on().
 */
int
pt_task_wait(PtTask *task, int wakeEvents, pgsocket sock, long ms)
{
	int			events = wakeEvents | WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (ms >= 0 ? WL_TIMEOUT : 0);
	int			happened;

	if (*pt_slot_stop(task->slot))
		return WL_LATCH_SET;
	happened = sock == PGINVALID_SOCKET ? WaitLatch(MyLatch, events, ms, wait_event) :
		WaitLatchOrSocket(MyLatch, events, sock, ms, wait_event);
	if (happened & WL_LATCH_SET)
		ResetLatch(MyLatch);
	return happened;
}

/*
 * Ends a worker that was told to stop, from wherever it is.  What it has not
 * committed is undone, and no error is written down.
 */
void
pt_task_quit(const PtTask *task)
{
	Assert(*pt_slot_stop(task->slot));
	proc_exit(0);
}

/* True when the task is to stop; the latch is set then, too. */
const volatile bool *
pt_task_stop_flag(const PtTask *task)
{
	return pt_slot_stop(task->slot);
}

/* So many records were passed over; the error of the last one. */
void
pt_task_skipped(PtTask *task, int64 records, const char *error)
{
	PtSlot	   *slot = &pt_slots_lock(LW_EXCLUSIVE)[task->slot];

	slot->skipped += records;
	pt_slot_error(slot, error);
	pt_slots_unlock();
}

/* How far it is behind now. */
void
pt_task_lag(PtTask *task, const PtTaskLag *lag)
{
	PtSlot	   *slot = &pt_slots_lock(LW_EXCLUSIVE)[task->slot];

	Assert(slot->pid == MyProcPid);
	slot->lag = *lag;
	pt_slots_unlock();
}

/*
 * So much has been done since the last call, and committed; it may be nothing:
 * then it says that all is well.  newest_timestamp_ms: of the newest record,
 * -1: not known.  lsn: how far the source's WAL has been read, 0: not known.
 */
void
pt_task_progress(PtTask *task, int64 records, int64 bytes, int64 newest_timestamp_ms, uint64 lsn)
{
	PtSlot	   *slot = &pt_slots_lock(LW_EXCLUSIVE)[task->slot];

	Assert(slot->pid == MyProcPid);
	slot->failing = false;
	pt_slot_count(slot, records, bytes);
	slot->newest_timestamp_ms = Max(slot->newest_timestamp_ms, newest_timestamp_ms);
	slot->lsn = Max(slot->lsn, lsn);
	if (records > 0)
		slot->progress_at = GetCurrentTimestamp();
	pt_slots_unlock();
}
