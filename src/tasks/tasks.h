/*-------------------------------------------------------------------------
 *
 * tasks.h
 *	  The door of the tasks room: work that goes on by itself, in workers.
 *
 * A task is a row of the extension's table task_definitions: a name, a kind,
 * an owner, and a definition in JSON.  A kind is a PtTaskKind; this room knows
 * none, init.c hands them down.  README.md tells how a task lives; contracts
 * stand at the definitions.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TASKS_H
#define PT_TASKS_H

#include "compat.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#define PT_TASK_NAME_MAX	63	/* bytes */

/* A task, in memory of whoever has read it. */
typedef struct PtTask
{
	char	   *name;
	const struct PtTaskKind *kind;
	Oid			owner;			/* InvalidOid: there is no such role */
	char	   *owner_name;
	Jsonb	   *definition;
	int			slot;			/* of the worker; -1: it is none */
	int			worker;			/* number of this worker, from 0 */

	/* for the room only */
	char	   *kind_name;
	char	   *pause_reason;	/* NULL: none */
	bool		paused;
	bool		foreign;		/* the row was made in another database */
	uint64		version;		/* a hash of all that counts */
} PtTask;

typedef struct PtTaskKind
{
	const char *name;

	/*
	 * ERROR unless the definition is good, for the current user; from create
	 * and alter, before the row is written.  It may add to the definition.
	 * NULL: all are.
	 */
	void		(*check) (PtTask *task);

	/*
	 * How many workers the task may have, in a transaction of the launcher,
	 * which is a superuser.  NULL: one.
	 */
	int			(*workers) (const PtTask *task);

	/*
	 * The work: in a worker, as the owner, no transaction open, in a memory
	 * context that lives as long as the worker.  Returns when pt_task_go_on()
	 * is false.  An ERROR is written down, and the worker is started again
	 * later.
	 */
	void		(*run) (PtTask *task, int worker);

	/*
	 * Removes what the task leaves (groups, slots, origins), in the
	 * transaction of the drop; no transaction of the task is open, nor will
	 * one be.  NULL: it leaves nothing.
	 */
	void		(*drop) (const PtTask *task);
} PtTaskKind;

/* How far a task is behind, as its worker finds it; -1: not known. */
typedef struct PtTaskLag
{
	int64		records;
	int64		bytes;			/* of WAL that a source has not read */
	int64		retained;		/* bytes of WAL that its slot keeps */
	int64		safe;			/* bytes that may be written until it loses
								 * some */
	bool		behind;			/* it has not read all that was there ... */
	TimestampTz caught_up_at;	/* ... but had then; 0: not known */
} PtTaskLag;

#define PT_TASK_LAG_UNKNOWN {.records = -1, .bytes = -1, .retained = -1, .safe = -1}

/* From _PG_init. */
extern const struct PtXactKind pt_xact_tasks;
extern void pt_tasks_register(const PtTaskKind *const *kinds, int n);
extern Size pt_tasks_shmem_size(void);
extern void pt_tasks_shmem_init(void);

/* The workers. */
extern PGDLLEXPORT void pt_task_launcher_main(Datum arg);
extern PGDLLEXPORT void pt_task_worker_main(Datum arg);

/* catalog.c: what is to be done; from SQL functions */
extern void pt_task_create(const char *name, const char *kind, Jsonb *definition);
extern void pt_task_drop(const char *name, const char *kind);
extern PtTask *pt_task_read(const char *name);
extern PtTask *pt_task_expect(const char *name, const char *kind);
extern void pt_task_wake(const char *name);

/* functions.c: for SQL functions of a kind */
extern char *pt_task_arg(FunctionCallInfo fcinfo, int n, const char *name);

/* shared.c: for the drop function of a kind */
extern void pt_task_end_workers(const PtTask *task);

/* worker.c: for the run function of a kind */
extern bool pt_task_go_on(PtTask *task);
extern bool pt_task_begin(PtTask *task);
extern void pt_task_commit(PtTask *task);
extern int	pt_task_wait(PtTask *task, int wakeEvents, pgsocket sock, long ms);
extern const volatile bool *pt_task_stop_flag(const PtTask *task);
pg_noreturn extern void pt_task_quit(const PtTask *task);
extern void pt_task_skipped(PtTask *task, int64 records, const char *error);
extern void pt_task_lag(PtTask *task, const PtTaskLag *lag);
extern void pt_task_progress(PtTask *task, int64 records, int64 bytes, int64 newest_timestamp_ms, uint64 lsn);

/* definition.c: fields of the definition */
extern const char *pt_task_text(const PtTask *task, const char *field);
extern int64 pt_task_int(const PtTask *task, const char *field, int64 otherwise);
extern bool pt_task_bool(const PtTask *task, const char *field, bool otherwise);
extern List *pt_task_texts(const PtTask *task, const char *field);
extern Jsonb *pt_task_jsonb(const PtTask *task, const char *field);

/*
 * definition.c: making one.  Fields come in any order; NULL leaves a field
 * out.
 */
typedef struct PtDefinition
{
	StringInfoData json;
} PtDefinition;

extern void pt_definition_begin(PtDefinition *d);
extern void pt_definition_text(PtDefinition *d, const char *field, const char *value);
extern void pt_definition_int(PtDefinition *d, const char *field, int64 value);
extern void pt_definition_bool(PtDefinition *d, const char *field, bool value);
extern void pt_definition_texts(PtDefinition *d, const char *field, List *values);
extern void pt_definition_jsonb(PtDefinition *d, const char *field, Jsonb *value);
extern Jsonb *pt_definition_end(PtDefinition *d);

#endif							/* PT_TASKS_H */
