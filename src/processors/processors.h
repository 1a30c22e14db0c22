/*-------------------------------------------------------------------------
 *
 * processors.h
 *	  The door of the processors room.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_PROCESSORS_H
#define PT_PROCESSORS_H

#include "tasks/tasks.h"

/* A task that runs a statement over new records; README.md tells how. */
extern const PtTaskKind pt_processor_kind;

/* One whose statement we write: new records into a table. */
extern const PtTaskKind pt_sink_kind;

/*
 * The same for kinds that make such a statement themselves.  Their tasks have
 * the fields of a processor in their definition, and maybe others.
 */
extern void pt_processor_check(PtTask *task);
extern int	pt_processor_workers(const PtTask *task);
extern void pt_processor_run(PtTask *task, int worker);
extern void pt_processor_drop(const PtTask *task);

/* The fields of a processor's definition. */
typedef struct PtProcessorFields
{
	List	   *topics;			/* of char * */
	const char *statement;
	const char *group;			/* NULL: the task's name */
	int			parallelism;
	int			batch_records;
	int64		batch_wait_ms;
	const char *on_error;		/* 'stop', 'skip', or a topic */
} PtProcessorFields;

#define PT_PROCESSOR_PARALLELISM	1
#define PT_PROCESSOR_BATCH_RECORDS	500
#define PT_PROCESSOR_ON_ERROR		"stop"
#define PT_PROCESSOR_SKIP			"skip"

extern void pt_processor_define(PtDefinition *d, const PtProcessorFields *fields);

#endif							/* PT_PROCESSORS_H */
