/*-------------------------------------------------------------------------
 *
 * jobs.h
 *	  Batches on their way from a worker to an executor process, and back.
 *
 * Siblings: jobs.c, append.c (who gives), executor.c (who takes).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_JOBS_H
#define PT_SERVER_JOBS_H

#include "compat.h"

#include "storage/latch.h"

#include "produce/produce.h"

#define PT_EXECUTORS_MAX	16	/* pgtopic.executor_workers */
#define PT_JOBS_PER_WORKER	64	/* that one worker has given at a time */

typedef enum PtJobState
{
	PT_JOB_FREE,
	PT_JOB_QUEUED,
	PT_JOB_RUNNING,
	PT_JOB_DONE					/* its worker has yet to take the result */
} PtJobState;

/* For the worker that gives: its jobs have numbers from 0 on. */
extern bool pt_job_post(int worker, int number, const PtProduce *item, TimestampTz deadline);
extern PtJobState pt_job_state(int worker, int number);
extern void pt_job_collect(int worker, int number, PtProduce *item, XLogRecPtr *lsn);
extern bool pt_job_withdraw(int worker, int number);
extern void pt_job_abandon(int worker, int number);
extern void pt_jobs_abandon(int worker);

/* For executors. */
extern void pt_jobs_attach(int executor, Latch *latch);
extern bool pt_job_take(int executor, PtProduce *item, TimestampTz *deadline);
extern void pt_job_finish(int executor, const PtProduce *item, XLogRecPtr lsn);
extern void pt_jobs_detach(int executor);

extern Size pt_jobs_shmem_size(void);
extern void pt_jobs_shmem_init(void);

#endif							/* PT_SERVER_JOBS_H */
