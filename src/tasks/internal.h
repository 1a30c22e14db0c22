/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the tasks room share, from the bottom up.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TASKS_INTERNAL_H
#define PT_TASKS_INTERNAL_H

#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "tasks/tasks.h"

/* shared.c: slots, one for each worker that there may be */

#define PT_TASK_ERROR_MAX	1024	/* bytes of an error that are kept */

typedef enum PtSlotState
{
	PT_SLOT_FREE,
	PT_SLOT_WAITING,			/* no process; its task runs or will */
	PT_SLOT_STARTING,			/* asked for, not there yet */
	PT_SLOT_RUNNING
} PtSlotState;

/* What was done in so many seconds, for rates over the last minute. */
#define PT_RATE_S			5
#define PT_RATE_PARTS		12

typedef struct PtRate
{
	int64		part;			/* number of these seconds since 1970 */
	int64		records;
	int64		bytes;
} PtRate;

/*
 * A slot.  The launcher gives it to (task, worker) and takes it back; the
 * worker writes what it does.  All under the lock, but for stop.
 */
typedef struct PtSlot
{
	PtSlotState state;
	char		name[PT_TASK_NAME_MAX + 1];
	int			worker;
	uint64		version;		/* of the task, as it was started */
	uint32		life;			/* counts starts: a process of an older life
								 * ends at once */
	volatile bool stop;			/* the worker is to end */
	TimestampTz stop_since;
	int			pid;
	Latch	   *latch;
	TimestampTz started_at;

	/* trouble */
	bool		failing;		/* an error, and nothing good since */
	int			backoff_s;		/* of the last error; 0: none */
	TimestampTz retry_at;		/* not before; 0: at once */
	int64		errors;
	TimestampTz last_error_at;	/* 0: never */
	char		last_error[PT_TASK_ERROR_MAX];

	/* progress */
	int64		records;
	int64		skipped;		/* of these, could not be processed */
	int64		bytes;
	int64		newest_timestamp_ms;	/* of a record; -1: not known */
	uint64		lsn;			/* 0: not known */
	TimestampTz progress_at;	/* 0: never */
	PtRate		rates[PT_RATE_PARTS + 1];	/* the last one is under way */
	PtTaskLag	lag;
} PtSlot;

/* What the launcher tells a worker. */
typedef struct PtTaskStart
{
	/* in bgw_extra */
	uint32		life;
	Oid			database;
	Oid			owner;
	uint64		version;

	/* in the slot */
	char		name[PT_TASK_NAME_MAX + 1];
	int			worker;
} PtTaskStart;

extern PtSlot *pt_slots_lock(LWLockMode mode);
extern void pt_slots_unlock(void);
extern PtSlot *pt_slots_copy(void);
extern void pt_slot_clear(PtSlot *slot);
extern void pt_slot_error(PtSlot *slot, const char *text);
extern void pt_slot_failed(PtSlot *slot, const ErrorData *edata);
extern void pt_slot_count(PtSlot *slot, int64 records, int64 bytes);
extern void pt_slot_minute(const PtSlot *slot, int64 *records, int64 *bytes);
extern const volatile bool *pt_slot_stop(int slot);
extern void pt_slot_ask_stop(PtSlot *slot, TimestampTz now);
extern void pt_task_ask_workers(const char *name);
extern void pt_slots_wake(const char *name);
extern void pt_task_launcher_attach(Latch *latch);
extern void pt_task_launcher_wake(void);

/* catalog.c */
extern const PtTaskKind *pt_task_kind(const char *name);
extern bool pt_task_database(void);
extern List *pt_tasks_read(void);
extern void pt_task_lock(const char *name, LOCKMODE mode);
extern uint64 pt_tasks_generation(void);
extern void pt_task_check_owner(const PtTask *task);
extern PtTask *pt_task_for_change(const char *name, const char *kind);
extern void pt_task_write(const PtTask *task);

#endif							/* PT_TASKS_INTERNAL_H */
