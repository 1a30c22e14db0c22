/*-------------------------------------------------------------------------
 *
 * jobs.c
 *	  Batches on their way from a worker to an executor process, and back.
 *
 * A worker that serves clients must not run what users have put on a table
 * (triggers, constraints): it can take any time.  It posts such a batch as a
 * job, an executor takes it, and the worker finds the result where the job was
 * and is woken for it.  Jobs are in shared memory, a fixed number for each
 * worker; the bytes of the batch are in an area beside them.
 *
 * Who is next: the job that was posted first, of a partition that no executor
 * works on.  Two rules keep a partition whose code waits for something from
 * holding up the others:
 *
 *	- A job ends at its deadline: that of its request, and at most
 *	pgtopic.executor_timeout after it began (executor.c).
 *	- A partition whose last job ended so is slow, until one ends well.  Slow
 *	ones have all executors but one between them (when there are at least two).
 *
 * So a partition that has not been slow waits for at most one job of each
 * executor that was slow for the first time.
 *
 * The bytes belong to the job.  The worker frees them when it takes the
 * result.  A job whose client is gone is abandoned: it runs all the same, as a
 * client may have sent and left, and its executor frees it.  When a worker
 * ends, which its clients notice, only those jobs stay that have begun: the
 * worker that comes after it has its places back.
 *
 * Siblings: append.c, executor.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guc.h"
#include "server/jobs.h"
#include "server/shared.h"

/* Partitions that are remembered to be slow. */
#define SLOW_PARTITIONS		64

/* Bytes of batches, beside one as large as may be. */
#define BYTES_MAX			((Size) 256 * 1024 * 1024)

#define JOBS	(PT_WORKERS_MAX * PT_JOBS_PER_WORKER)

typedef struct Job
{
	pg_atomic_uint32 state;		/* PtJobState; read without the lock */
	bool		abandoned;
	int			worker;
	uint64		ticket;			/* order in which they were posted */
	TimestampTz deadline;
	dsa_pointer bytes;
	PtProduce	item;			/* its data is in bytes */
	XLogRecPtr	lsn;			/* of the result: as pt_produce_batches gives
								 * it */
} Job;

typedef struct JobTable
{
	LWLock		lock;
	dsa_handle	area;			/* DSM_HANDLE_INVALID: not created yet */
	int			area_tranche;
	uint64		next_ticket;
	Oid			slow[SLOW_PARTITIONS];	/* a ring */
	int			next_slow;
	struct
	{
		Latch	   *latch;		/* NULL: not up */
		Job		   *job;		/* that it works on */
	}			executors[PT_EXECUTORS_MAX];
	Job			jobs[JOBS];		/* PT_JOBS_PER_WORKER of each worker */
} JobTable;

static JobTable *table;
static dsa_area *area;

Size
pt_jobs_shmem_size(void)
{
	return sizeof(JobTable);
}

/* Called with AddinShmemInitLock held. */
void
pt_jobs_shmem_init(void)
{
	bool		found;

	table = ShmemInitStruct("pgtopic jobs", sizeof(JobTable), &found);
	if (!found)
	{
		memset(table, 0, sizeof(JobTable));
		LWLockInitialize(&table->lock, pt_lwlock_tranche_new("pgtopic_jobs"));
		table->area = DSM_HANDLE_INVALID;
		table->area_tranche = pt_lwlock_tranche_new("pgtopic_job_batches");
		for (int i = 0; i < JOBS; i++)
		{
			pg_atomic_init_u32(&table->jobs[i].state, PT_JOB_FREE);
			table->jobs[i].worker = i / PT_JOBS_PER_WORKER;
		}
	}
	pt_lwlock_tranche_name(table->lock.tranche, "pgtopic_jobs");
	pt_lwlock_tranche_name(table->area_tranche, "pgtopic_job_batches");
}

/*
 * What the batches of all jobs may take: those of clients that have left are
 * nobody else's to bound.
 */
static void
limit_area(void)
{
	static int	limited_for = -1;

	if (limited_for == pt_max_request_size)
		return;
	limited_for = pt_max_request_size;
	dsa_set_size_limit(area, BYTES_MAX + pt_max_request_size);
}

/* The first process that needs the area makes it. */
static void
attach_area(void)
{
	MemoryContext old;

	if (area != NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	if (table->area == DSM_HANDLE_INVALID)
	{
		area = dsa_create(table->area_tranche);
		dsa_pin(area);
		table->area = dsa_get_handle(area);
	}
	else
		area = dsa_attach(table->area);
	dsa_pin_mapping(area);
	LWLockRelease(&table->lock);
	MemoryContextSwitchTo(old);
}

static Job *
job_at(int worker, int number)
{
	Assert(worker >= 0 && worker < PT_WORKERS_MAX && number >= 0 && number < PT_JOBS_PER_WORKER);
	return &table->jobs[worker * PT_JOBS_PER_WORKER + number];
}

static inline PtJobState
state_of(const Job *job)
{
	return (PtJobState) pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &job->state));
}

static void
free_job(Job *job)
{
	dsa_free(area, job->bytes);
	job->bytes = InvalidDsaPointer;
	pg_atomic_write_u32(&job->state, PT_JOB_FREE);
}

/*
 * The worker's side
 */

/* An executor that has nothing to do, to be woken; NULL: none. */
static Latch *
idle_executor(void)
{
	for (int i = 0; i < PT_EXECUTORS_MAX; i++)
	{
		if (table->executors[i].latch != NULL && table->executors[i].job == NULL)
			return table->executors[i].latch;
	}
	return NULL;
}

/*
 * A copy of a batch in shared memory.  The system may have none, which is an
 * ERROR of the server's that must cost nobody but this batch.
 */
static dsa_pointer
copy_batch(const PtProduce *item)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile dsa_pointer bytes = InvalidDsaPointer;

	PG_TRY();
	{
		attach_area();
		limit_area();
		bytes = dsa_allocate_extended(area, item->length, DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
		if (DsaPointerIsValid(bytes))
			memcpy(dsa_get_address(area, bytes), item->data, item->length);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;	/* dsa leaves another one */
		EmitErrorReport();
		FlushErrorState();
		LWLockReleaseAll();
		CurrentResourceOwner = owner;	/* the area's own was put there */
	}
	PG_END_TRY();
	return bytes;
}

/*
 * Posts an item as the worker's job of this number, which must be free.
 * Called outside of a transaction, without LWLocks.  false: there is no memory
 * for a copy of the batch.
 */
bool
pt_job_post(int worker, int number, const PtProduce *item, TimestampTz deadline)
{
	Job		   *job = job_at(worker, number);
	dsa_pointer bytes;
	Latch	   *latch;

	Assert(state_of(job) == PT_JOB_FREE && item->length > 0);
	bytes = copy_batch(item);
	if (!DsaPointerIsValid(bytes))
		return false;
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	job->abandoned = false;
	job->ticket = table->next_ticket++;
	job->deadline = deadline;
	job->bytes = bytes;
	job->item = *item;
	job->item.data = NULL;
	job->lsn = InvalidXLogRecPtr;
	pg_atomic_write_u32(&job->state, PT_JOB_QUEUED);
	latch = idle_executor();
	LWLockRelease(&table->lock);
	if (latch != NULL)
		SetLatch(latch);
	return true;
}

PtJobState
pt_job_state(int worker, int number)
{
	return state_of(job_at(worker, number));
}

/* Takes the result of a job that is done; all of *item but its data. */
void
pt_job_collect(int worker, int number, PtProduce *item, XLogRecPtr *lsn)
{
	Job		   *job = job_at(worker, number);
	char	   *data = item->data;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	Assert(state_of(job) == PT_JOB_DONE && !job->abandoned);
	Assert(job->item.relid == item->relid && job->item.length == item->length);
	*item = job->item;
	item->data = data;
	*lsn = job->lsn;
	free_job(job);
	LWLockRelease(&table->lock);
}

/* Takes a job back that no executor has begun; false: one has. */
bool
pt_job_withdraw(int worker, int number)
{
	Job		   *job = job_at(worker, number);
	bool		queued;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	queued = state_of(job) == PT_JOB_QUEUED;
	if (queued)
		free_job(job);
	LWLockRelease(&table->lock);
	return queued;
}

/* Nobody waits for the result any more. */
void
pt_job_abandon(int worker, int number)
{
	Job		   *job = job_at(worker, number);

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	if (state_of(job) == PT_JOB_DONE)
		free_job(job);
	else
		job->abandoned = true;
	LWLockRelease(&table->lock);
}

/*
 * A worker begins or ends: it knows nothing of its jobs.  Those that no
 * executor has begun are taken back, so that they are not before those of the
 * worker's next life.
 */
void
pt_jobs_abandon(int worker)
{
	for (int i = 0; i < PT_JOBS_PER_WORKER; i++)
	{
		if (state_of(job_at(worker, i)) == PT_JOB_FREE)
			continue;
		attach_area();
		if (!pt_job_withdraw(worker, i))
			pt_job_abandon(worker, i);
	}
}

/*
 * The executor's side
 */

void
pt_jobs_attach(int executor, Latch *latch)
{
	Assert(executor >= 0 && executor < PT_EXECUTORS_MAX);
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	Assert(table->executors[executor].job == NULL);
	table->executors[executor].latch = latch;
	LWLockRelease(&table->lock);
}

static bool
is_slow(Oid relid)
{
	for (int i = 0; i < SLOW_PARTITIONS; i++)
	{
		if (table->slow[i] == relid)
			return true;
	}
	return false;
}

static void
set_slow(Oid relid, bool slow)
{
	if (is_slow(relid) == slow)
		return;
	if (slow)
	{
		table->slow[table->next_slow] = relid;
		table->next_slow = (table->next_slow + 1) % SLOW_PARTITIONS;
		return;
	}
	for (int i = 0; i < SLOW_PARTITIONS; i++)
	{
		if (table->slow[i] == relid)
			table->slow[i] = InvalidOid;
	}
}

/* May an executor begin a job of this partition now?  With the lock. */
static bool
may_begin(Oid relid)
{
	bool		slow = is_slow(relid);
	int			slow_running = 0;

	for (int i = 0; i < PT_EXECUTORS_MAX; i++)
	{
		const Job  *job = table->executors[i].job;

		if (job == NULL)
			continue;
		if (job->item.relid == relid)
			return false;
		slow_running += is_slow(job->item.relid);
	}
	return !slow || slow_running < Max(pt_executor_workers - 1, 1);
}

/* The job that is next, or NULL. */
static Job *
next_job(void)
{
	Job		   *first = NULL;

	for (int i = 0; i < JOBS; i++)
	{
		Job		   *job = &table->jobs[i];

		if (state_of(job) == PT_JOB_QUEUED && (first == NULL || job->ticket < first->ticket) &&
			may_begin(job->item.relid))
			first = job;
	}
	return first;
}

/*
 * The next job for this executor, which has none; false: there is nothing to
 * do, and it is woken when that changes.  The batch is in shared memory, to be
 * patched in place.  Who takes a job sees to it that an idle executor comes
 * for the next one: several may have been posted before this one woke.
 */
bool
pt_job_take(int executor, PtProduce *item, TimestampTz *deadline)
{
	Latch	   *other = NULL;
	Job		   *job;

	attach_area();
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	Assert(table->executors[executor].job == NULL);
	job = next_job();
	if (job != NULL)
	{
		pg_atomic_write_u32(&job->state, PT_JOB_RUNNING);
		table->executors[executor].job = job;
		*item = job->item;
		*deadline = job->deadline;
		if (next_job() != NULL)
			other = idle_executor();
	}
	LWLockRelease(&table->lock);
	if (other != NULL)
		SetLatch(other);
	if (job != NULL)
		item->data = dsa_get_address(area, job->bytes);
	return job != NULL;
}

/* Leaves the result where the job was.  With the lock. */
static void
finish(Job *job, const PtProduce *item, XLogRecPtr lsn)
{
	Assert(state_of(job) == PT_JOB_RUNNING && job->item.relid == item->relid);
	job->item = *item;
	job->item.data = NULL;
	job->lsn = lsn;
	if (job->abandoned)
		free_job(job);
	else
		pg_atomic_write_u32(&job->state, PT_JOB_DONE);
}

void
pt_job_finish(int executor, const PtProduce *item, XLogRecPtr lsn)
{
	Job		   *job = table->executors[executor].job;
	int			worker = job->worker;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	finish(job, item, lsn);
	set_slow(item->relid, item->status == PT_FAILED && item->sqlstate == ERRCODE_QUERY_CANCELED);
	table->executors[executor].job = NULL;
	LWLockRelease(&table->lock);
	pt_server_wake_worker(worker);
}

/*
 * The executor ends, amid a job perhaps: its transaction has been aborted.  A
 * client may send that batch again.
 */
void
pt_jobs_detach(int executor)
{
	Job		   *job = table->executors[executor].job;

	Latch	   *other;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	table->executors[executor].latch = NULL;
	other = idle_executor();
	LWLockRelease(&table->lock);
	if (job != NULL)
	{
		PtProduce	item = job->item;

		item.status = PT_FAILED;
		item.sqlstate = ERRCODE_ADMIN_SHUTDOWN;
		item.base_offset = -1;
		strlcpy(item.message, "the process that appended the batch has ended", sizeof(item.message));
		pt_job_finish(executor, &item, InvalidXLogRecPtr);
	}
	/* what waited for this partition */
	if (other != NULL)
		SetLatch(other);
}
