/*-------------------------------------------------------------------------
 *
 * txn_jobs.c
 *	  Commits of transactions, on their way from the control worker to a
 *	  transaction worker, and what became of them.
 *
 * A commit may wait for locks and run what users have put on their tables, so
 * the control worker does not do it.  It posts the order as a job; a
 * transaction worker takes the one that was posted first, and leaves the
 * result.  Ids and records are in a small area of dynamic shared memory.
 *
 * A client tries a commit again at once that did not end before its deadline,
 * as of a table that is locked.  So that these do not hold up all others, such
 * a producer is slow, until a commit of its own ends otherwise, and slow ones
 * have all workers but one between them (when there are at least two).
 *
 * A transaction has one order out at a time (../txn/README.md), so two jobs
 * are never of the same one.
 *
 * Model: ../server/jobs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "guc.h"
#include "stage/txn_jobs.h"
#include "stop_point.h"

/* Commits that wait, run, or have ended; beyond that clients try again. */
#define JOBS	1024

/* Producers that are remembered to be slow. */
#define SLOW_PRODUCERS	256

typedef enum JobState
{
	JOB_FREE,
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_DONE
} JobState;

typedef struct Job
{
	JobState	state;
	bool		slow;			/* its producer is; a producer has one job at
								 * a time */
	int			next;			/* in the list of its state; -1: end */
	uint64		order;
	int64		producer_id;
	uint64		serial;
	Oid			leaf;
	int32		id_len;
	int32		key_len;
	int32		value_len;		/* -1: null */
	dsa_pointer bytes;			/* id, key, value */
	TxnError	result;
	XLogRecPtr	lsn;
	char		message[128];
} Job;

/* First in, first out. */
typedef struct JobList
{
	int			first;			/* -1: empty */
	int			last;
} JobList;

typedef struct JobTable
{
	LWLock		lock;
	int			area_tranche;
	dsa_handle	area;			/* DSM_HANDLE_INVALID: not made yet */
	Latch	   *control;		/* who posts; NULL: nobody has yet */
	JobList		free;
	JobList		queued;
	JobList		done;
	int64		slow[SLOW_PRODUCERS];	/* a ring; -1: none */
	int			next_slow;
	struct
	{
		Latch	   *latch;		/* NULL: not up */
		int			job;		/* -1: none */
	}			workers[PT_TXN_WORKERS_MAX];
	Job			jobs[JOBS];
} JobTable;

static JobTable *table;
static dsa_area *area;

/* With the lock. */
static void
push(JobList *list, int job)
{
	table->jobs[job].next = -1;
	if (list->first < 0)
		list->first = job;
	else
		table->jobs[list->last].next = job;
	list->last = job;
}

/* With the lock.  -1: the list is empty. */
static int
pop(JobList *list)
{
	int			job = list->first;

	if (job >= 0)
		list->first = table->jobs[job].next;
	return job;
}

Size
pt_txn_jobs_shmem_size(void)
{
	return sizeof(JobTable);
}

/* Called with AddinShmemInitLock held. */
void
pt_txn_jobs_shmem_init(void)
{
	bool		found;

	table = ShmemInitStruct("pgtopic commits", sizeof(JobTable), &found);
	if (!found)
	{
		memset(table, 0, sizeof(JobTable));
		LWLockInitialize(&table->lock, pt_lwlock_tranche_new("pgtopic_commits"));
		table->area_tranche = pt_lwlock_tranche_new("pgtopic_commit_records");
		table->area = DSM_HANDLE_INVALID;
		table->free.first = table->queued.first = table->done.first = -1;
		for (int i = 0; i < PT_TXN_WORKERS_MAX; i++)
			table->workers[i].job = -1;
		for (int i = 0; i < SLOW_PRODUCERS; i++)
			table->slow[i] = -1;
		for (int i = 0; i < JOBS; i++)
			push(&table->free, i);
	}
	pt_lwlock_tranche_name(table->lock.tranche, "pgtopic_commits");
	pt_lwlock_tranche_name(table->area_tranche, "pgtopic_commit_records");
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
	PT_STOP_POINT("txn_jobs.attach");
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

/*
 * Frees the first job of a list; false: the list is empty.  With the lock, and
 * attached.  May ereport; then the job is where it was.
 */
static bool
free_first(JobList *list)
{
	Job		   *job;

	if (list->first < 0)
		return false;
	job = &table->jobs[list->first];
	Assert(job->state != JOB_FREE);
	dsa_free(area, job->bytes);
	job->bytes = InvalidDsaPointer;
	job->state = JOB_FREE;
	push(&table->free, pop(list));
	return true;
}

/*
 * The control worker's side
 */

static char *
put(char *at, PtString string)
{
	Size		size = pt_string_size(string);

	if (size > 0)
		memcpy(at, string.data, size);
	return at + size;
}

/*
 * The bytes of a job in shared memory.  The system may have none, which must
 * cost nobody but this commit.
 */
static dsa_pointer
copy_bytes(const PtTxnCommit *commit)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile dsa_pointer bytes = InvalidDsaPointer;

	PG_TRY();
	{
		attach_area();
		bytes = dsa_allocate_extended(area, pt_string_size(commit->transactional_id) + pt_string_size(commit->key) +
									  pt_string_size(commit->value) + 1, DSA_ALLOC_NO_OOM);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;	/* dsa leaves another one */
		EmitErrorReport();
		FlushErrorState();
		LWLockReleaseAll();
	}
	PG_END_TRY();
	if (DsaPointerIsValid(bytes))
		(void) put(put(put(dsa_get_address(area, bytes), commit->transactional_id), commit->key), commit->value);
	return bytes;
}

/* A worker that has nothing to do, to be woken; NULL: none.  With the lock. */
static Latch *
idle_worker(void)
{
	for (int i = 0; i < PT_TXN_WORKERS_MAX; i++)
	{
		if (table->workers[i].latch != NULL && table->workers[i].job < 0)
			return table->workers[i].latch;
	}
	return NULL;
}

/* Where the producer is among the slow ones; -1: it is not.  With the lock. */
static int
slow_place(int64 producer_id)
{
	for (int i = 0; i < SLOW_PRODUCERS; i++)
	{
		if (table->slow[i] == producer_id)
			return i;
	}
	return -1;
}

/*
 * Called without LWLocks.  false: there is no room, or no memory.
 */
bool
pt_txn_job_post(const PtTxnCommit *commit)
{
	dsa_pointer bytes = copy_bytes(commit);
	Latch	   *latch = NULL;
	int			at;

	if (!DsaPointerIsValid(bytes))
		return false;
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	at = pop(&table->free);
	if (at >= 0)
	{
		Job		   *job = &table->jobs[at];

		job->state = JOB_QUEUED;
		job->order = commit->order;
		job->producer_id = commit->producer_id;
		job->slow = slow_place(commit->producer_id) >= 0;
		job->serial = commit->serial;
		job->leaf = commit->leaf;
		job->id_len = commit->transactional_id.len;
		job->key_len = commit->key.len;
		job->value_len = commit->value.len;
		job->bytes = bytes;
		push(&table->queued, at);
		latch = idle_worker();
	}
	LWLockRelease(&table->lock);
	if (at < 0)
		dsa_free(area, bytes);
	if (latch != NULL)
		SetLatch(latch);
	return at >= 0;
}

static PtString
get(const char **at, int32 len)
{
	PtString	string = PT_STRING_NULL;

	if (len < 0)
		return string;
	string.data = memcpy(palloc(len + 1), *at, len);
	string.len = len;
	*at += len;
	return string;
}

/*
 * Takes the result of a commit that has ended; false: there is none.  May
 * ereport, without memory; then it can be taken the next time.
 */
bool
pt_txn_job_collect(PtTxnDone *done)
{
	bool		found;

	attach_area();
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	if (table->done.first >= 0)
	{
		const Job  *job = &table->jobs[table->done.first];

		Assert(job->state == JOB_DONE);
		done->order = job->order;
		done->result = job->result;
		done->lsn = job->lsn;
		strlcpy(done->message, job->message, sizeof(done->message));
	}
	found = free_first(&table->done);
	LWLockRelease(&table->lock);
	return found;
}

bool
pt_txn_jobs_quiet(void)
{
	int			running = 0;

	attach_area();
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	table->control = MyLatch;
	while (free_first(&table->queued))
		;
	while (free_first(&table->done))
		;
	for (int i = 0; i < PT_TXN_WORKERS_MAX; i++)
		running += table->workers[i].job >= 0;
	LWLockRelease(&table->lock);
	return running == 0;
}

/*
 * The transaction worker's side
 */

void
pt_txn_jobs_attach(int worker, Latch *latch)
{
	Assert(worker >= 0 && worker < PT_TXN_WORKERS_MAX);
	attach_area();
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	Assert(table->workers[worker].job < 0);
	table->workers[worker].latch = latch;
	LWLockRelease(&table->lock);
}

/* With the lock. */
static void
set_slow(int64 producer_id, bool slow)
{
	int			place = slow_place(producer_id);

	if (!slow && place >= 0)
		table->slow[place] = -1;
	if (!slow || place >= 0)
		return;
	table->slow[table->next_slow] = producer_id;
	table->next_slow = (table->next_slow + 1) % SLOW_PRODUCERS;
}

/*
 * The job that is next, -1: none; *before is what is before it in the list,
 * -1: nothing.  With the lock.
 */
static int
next_job(int *before)
{
	int			slow_running = 0;
	int			at;

	for (int i = 0; i < PT_TXN_WORKERS_MAX; i++)
		slow_running += table->workers[i].job >= 0 && table->jobs[table->workers[i].job].slow;
	*before = -1;
	for (at = table->queued.first; at >= 0; at = table->jobs[at].next)
	{
		if (!table->jobs[at].slow || slow_running < Max(pt_transaction_workers - 1, 1))
			break;
		*before = at;
	}
	return at;
}

/* Takes it from the list, as the worker's; -1: none.  With the lock. */
static int
take_next(int worker)
{
	int			before;
	int			at = next_job(&before);

	if (at < 0)
		return -1;
	if (before < 0)
		(void) pop(&table->queued);
	else
		table->jobs[before].next = table->jobs[at].next;
	if (table->queued.last == at)
		table->queued.last = before;
	table->jobs[at].state = JOB_RUNNING;
	table->workers[worker].job = at;
	return at;
}

/* An idle worker, if there is something that it may begin.  With the lock. */
static Latch *
wanted_worker(void)
{
	int			before;

	return next_job(&before) >= 0 ? idle_worker() : NULL;
}

/*
 * The next commit for this worker, palloc'd; false: there is none, and it is
 * woken when that changes.  Who takes one sees to it that an idle worker comes
 * for the next.
 */
bool
pt_txn_job_take(int worker, PtTxnCommit *commit)
{
	Latch	   *other = NULL;
	const char *bytes;
	Job		   *job;
	int			at;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	Assert(table->workers[worker].job < 0);
	at = take_next(worker);
	if (at >= 0)
		other = wanted_worker();
	LWLockRelease(&table->lock);
	if (other != NULL)
		SetLatch(other);
	if (at < 0)
		return false;
	job = &table->jobs[at];
	bytes = dsa_get_address(area, job->bytes);
	commit->order = job->order;
	commit->producer_id = job->producer_id;
	commit->serial = job->serial;
	commit->leaf = job->leaf;
	commit->transactional_id = get(&bytes, job->id_len);
	commit->key = get(&bytes, job->key_len);
	commit->value = get(&bytes, job->value_len);
	return true;
}

/*
 * Leaves the result of the worker's commit; slow: its time was over.  The
 * worker takes the next one, or ends: that is when a slow one may begin.  Does
 * not throw.
 */
void
pt_txn_job_finish(int worker, TxnError result, bool slow, XLogRecPtr lsn, const char *message)
{
	int			at = table->workers[worker].job;
	Job		   *job = &table->jobs[at];
	Latch	   *control;

	Assert(at >= 0 && job->state == JOB_RUNNING);
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	job->state = JOB_DONE;
	job->result = result;
	job->lsn = lsn;
	strlcpy(job->message, message, sizeof(job->message));
	set_slow(job->producer_id, slow);
	table->workers[worker].job = -1;
	push(&table->done, at);
	control = table->control;
	LWLockRelease(&table->lock);
	if (control != NULL)
		SetLatch(control);
}

/*
 * The worker ends, amid a commit perhaps: its transaction has been aborted, so
 * that it may be tried again.
 */
void
pt_txn_jobs_detach(int worker)
{
	Latch	   *other;

	if (table->workers[worker].job >= 0)
		pt_txn_job_finish(worker, TXN_COORDINATOR_NOT_AVAILABLE, false, InvalidXLogRecPtr,
						  "the process that committed the transaction has ended");
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	table->workers[worker].latch = NULL;
	other = wanted_worker();
	LWLockRelease(&table->lock);
	if (other != NULL)
		SetLatch(other);
}
