/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The slots of workers in shared memory, and the launcher's latch.
 *
 * There are pgtopic.max_tasks slots.  One belongs to worker n of a task from
 * its first start on, also while it waits to be tried again, so that what
 * went wrong can be seen; the launcher takes it back when the task is gone or
 * paused and another one needs the room.
 *
 * Siblings: launcher.c (who gives and takes), worker.c, views.c (who reads).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "guc.h"
#include "tasks/internal.h"

/* Waits after errors: doubled each time. */
#define BACKOFF_S_MIN	1
#define BACKOFF_S_MAX	60

/* A worker that ends for a change comes again after this, at the earliest. */
#define CHANGE_MS		1000

typedef struct TasksShared
{
	LWLock		lock;
	Latch	   *volatile launcher;	/* NULL: not up */
	PtSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} TasksShared;

static TasksShared *shared;

static void keep_error(PtSlot *slot, const ErrorData *edata);

Size
pt_tasks_shmem_size(void)
{
	return add_size(offsetof(TasksShared, slots), mul_size(pt_max_tasks, sizeof(PtSlot)));
}

/* Called with AddinShmemInitLock held. */
void
pt_tasks_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic tasks", pt_tasks_shmem_size(), &found);
	if (!found)
	{
		memset(shared, 0, pt_tasks_shmem_size());
		LWLockInitialize(&shared->lock, pt_lwlock_tranche_new("pgtopic_tasks"));
	}
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_tasks");
}

/* All pt_max_tasks slots. */
PtSlot *
pt_slots_lock(LWLockMode mode)
{
	LWLockAcquire(&shared->lock, mode);
	return shared->slots;
}

void
pt_slots_unlock(void)
{
	LWLockRelease(&shared->lock);
}

/* A copy of all, in the current memory context. */
PtSlot *
pt_slots_copy(void)
{
	PtSlot	   *copy = palloc(mul_size(pt_max_tasks, sizeof(PtSlot)));

	memcpy(copy, pt_slots_lock(LW_SHARED), mul_size(pt_max_tasks, sizeof(PtSlot)));
	pt_slots_unlock();
	return copy;
}

/* The slot is free, and a process that was to come is too late. */
void
pt_slot_clear(PtSlot *slot)
{
	static const PtTaskLag unknown = PT_TASK_LAG_UNKNOWN;
	uint32		life = slot->life;

	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	memset(slot, 0, sizeof(*slot));
	slot->life = life + 1;
	slot->newest_timestamp_ms = -1;
	slot->lag = unknown;
}

/* Number of the part of a minute that it is now. */
static int64
rate_part(void)
{
	return GetCurrentTimestamp() / (PT_RATE_S * USECS_PER_SEC);
}

/* Counts what has been done just now. */
void
pt_slot_count(PtSlot *slot, int64 records, int64 bytes)
{
	int64		part = rate_part();
	PtRate	   *rate = &slot->rates[part % lengthof(slot->rates)];

	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	slot->records += records;
	slot->bytes += bytes;
	if (rate->part != part)
		memset(rate, 0, sizeof(*rate));
	rate->part = part;
	rate->records += records;
	rate->bytes += bytes;
}

/* Adds what was done in the last whole minute of parts. */
void
pt_slot_minute(const PtSlot *slot, int64 *records, int64 *bytes)
{
	int64		now = rate_part();

	for (int i = 0; i < lengthof(slot->rates); i++)
	{
		const PtRate *rate = &slot->rates[i];

		if (rate->part >= now || rate->part < now - PT_RATE_PARTS)
			continue;
		*records += rate->records;
		*bytes += rate->bytes;
	}
}

/* Writes down an error, as far as there is room. */
void
pt_slot_error(PtSlot *slot, const char *text)
{
	int			len = pg_mbcliplen(text, (int) strlen(text), PT_TASK_ERROR_MAX - 1);

	memcpy(slot->last_error, text, len);
	slot->last_error[len] = '\0';
	slot->last_error_at = GetCurrentTimestamp();
}

/* Message, detail and hint. */
static void
keep_error(PtSlot *slot, const ErrorData *edata)
{
	char	   *text = psprintf("%s%s%s%s%s", edata->message ? edata->message : "unknown error",
								edata->detail ? "\nDETAIL:  " : "", edata->detail ? edata->detail : "",
								edata->hint ? "\nHINT:  " : "", edata->hint ? edata->hint : "");

	pt_slot_error(slot, text);
	pfree(text);
}

/*
 * The worker of a slot has had an error, or could not be started: writes it
 * down, and when to try again.  Who ran for long before begins with the
 * shortest wait.
 */
void
pt_slot_failed(PtSlot *slot, const ErrorData *edata)
{
	TimestampTz now = GetCurrentTimestamp();
	int			calm_s = 2 * Max(slot->backoff_s, BACKOFF_S_MIN);

	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	if (slot->started_at != 0 && !slot->failing &&
		TimestampDifferenceExceeds(slot->started_at, now, calm_s * 1000))
		slot->backoff_s = 0;
	keep_error(slot, edata);
	slot->errors++;
	slot->failing = true;
	slot->backoff_s = Min(Max(slot->backoff_s * 2, BACKOFF_S_MIN), BACKOFF_S_MAX);
	slot->retry_at = TimestampTzPlusMilliseconds(now, slot->backoff_s * 1000);
}

/* Set when the worker of a slot is to end; read without the lock. */
const volatile bool *
pt_slot_stop(int slot)
{
	Assert(slot >= 0 && slot < pt_max_tasks);
	return &shared->slots[slot].stop;
}

void
pt_task_launcher_attach(Latch *latch)
{
	shared->launcher = latch;
}

void
pt_task_launcher_wake(void)
{
	Latch	   *latch = shared->launcher;

	if (latch != NULL)
		SetLatch(latch);
}

/* Asks a worker to end; the lock is held. */
void
pt_slot_ask_stop(PtSlot *slot, TimestampTz now)
{
	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	if (!slot->stop || slot->stop_since == 0)
		slot->stop_since = now;
	slot->stop = true;
	if (slot->latch != NULL)
		SetLatch(slot->latch);
}

/*
 * Asks all workers of a task to end, because a change of it waits for its
 * lock; the launcher terminates those that do not.  It starts them again a
 * moment later, when the change is there or waits before them for the lock.
 */
void
pt_task_ask_workers(const char *name)
{
	PtSlot	   *slots = pt_slots_lock(LW_EXCLUSIVE);
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < pt_max_tasks; i++)
	{
		PtSlot	   *slot = &slots[i];

		if (slot->state < PT_SLOT_STARTING || strcmp(slot->name, name) != 0 || slot->pid == MyProcPid)
			continue;
		slot->retry_at = Max(slot->retry_at, TimestampTzPlusMilliseconds(now, CHANGE_MS));
		pt_slot_ask_stop(slot, now);
	}
	pt_slots_unlock();
	pt_task_launcher_wake();
}

/*
 * Sets the latches of a task's workers.
 */
void
pt_slots_wake(const char *name)
{
	PtSlot	   *slots = pt_slots_lock(LW_SHARED);

	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].latch != NULL && strcmp(slots[i].name, name) == 0)
			SetLatch(slots[i].latch);
	}
	pt_slots_unlock();
}

/*
 * Ends the processes of a task, without waiting.  The launcher starts new
 * ones; they do nothing while the caller has the task's lock.
 */
void
pt_task_end_workers(const PtTask *task)
{
	PtSlot	   *slots = pt_slots_lock(LW_SHARED);

	for (int i = 0; i < pt_max_tasks; i++)
	{
		if (slots[i].state == PT_SLOT_RUNNING && slots[i].pid != 0 && strcmp(slots[i].name, task->name) == 0)
			(void) kill(slots[i].pid, SIGTERM);
	}
	pt_slots_unlock();
}
