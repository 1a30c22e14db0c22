/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  Shared memory of the workers: their latches and loads.
 *
 * A latch pointer is read and written without a lock.  Setting the latch of a
 * worker that has just ended wakes whoever got its slot, which does no harm.
 *
 * Siblings: workers.c (registration), listener.c, committer.c, logwriter.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/atomics.h"
#include "storage/shmem.h"

#include "guc.h"
#include "log/watch.h"
#include "server/counters.h"
#include "server/housekeeping.h"
#include "server/jobs.h"
#include "server/server.h"
#include "server/shared.h"
#include "server/tally.h"

typedef struct PtServerShared
{
	pg_atomic_uint32 flush_us;
	struct
	{
		Latch	   *volatile latch; /* NULL: not up */
		pg_atomic_uint64 connections;	/* tally.h */
		pg_atomic_uint32 sleeps_for;	/* PT_SLEEPS_FOR_xxx */
		volatile bool certified;	/* it can speak TLS */
	}			listeners[PT_WORKERS_MAX];
} PtServerShared;

static PtServerShared *shared;

Size
pt_server_shmem_size(void)
{
	return add_size(add_size(MAXALIGN(sizeof(PtServerShared)), MAXALIGN(pt_counters_shmem_size())),
					add_size(MAXALIGN(pt_jobs_shmem_size()), pt_housekeeping_shmem_size()));
}

/* Called with AddinShmemInitLock held. */
void
pt_server_shmem_init(void)
{
	bool		found;

	pt_counters_shmem_init();
	pt_jobs_shmem_init();
	pt_housekeeping_shmem_init();
	shared = ShmemInitStruct("pgtopic server", sizeof(PtServerShared), &found);
	if (found)
		return;
	pg_atomic_init_u32(&shared->flush_us, 0);
	for (int i = 0; i < PT_WORKERS_MAX; i++)
	{
		shared->listeners[i].latch = NULL;
		pg_atomic_init_u64(&shared->listeners[i].connections, 0);
		pg_atomic_init_u32(&shared->listeners[i].sleeps_for, 0);
		shared->listeners[i].certified = false;
	}
}

int
pt_server_control(void)
{
	return pt_listener_workers;
}

int
pt_server_admin(void)
{
	return pt_server_control() + 1;
}

int
pt_server_workers(void)
{
	return pt_server_admin() + 1;
}

uint16
pt_server_attach(int worker, Latch *latch)
{
	pg_atomic_uint64 *connections = &shared->listeners[worker].connections;

	Assert(worker >= 0 && worker < PT_WORKERS_MAX);
	pt_client_slots_forget(worker);
	pt_jobs_abandon(worker);
	pg_atomic_write_u64(connections, pt_tally_next(pg_atomic_read_u64(connections)));
	shared->listeners[worker].certified = false;
	pg_write_barrier();
	shared->listeners[worker].latch = latch;
	return pt_tally_life(pg_atomic_read_u64(connections));
}

uint16
pt_server_up(int worker)
{
	Assert(worker >= 0 && worker < PT_WORKERS_MAX);
	if (shared->listeners[worker].latch == NULL)
		return 0;
	pg_read_barrier();
	return pt_tally_life(pg_atomic_read_u64(&shared->listeners[worker].connections));
}

void
pt_server_set_certified(int worker, bool certified)
{
	shared->listeners[worker].certified = certified;
}

bool
pt_server_certified(int worker)
{
	return shared->listeners[worker].certified;
}

void
pt_server_sleeps_for(int worker, uint32 what)
{
	Assert((what & ~(PT_SLEEPS_FOR_WAL | PT_SLEEPS_FOR_LOGS)) == 0);
	if (pg_atomic_read_u32(&shared->listeners[worker].sleeps_for) != what)
		pg_atomic_write_u32(&shared->listeners[worker].sleeps_for, what);
	pg_memory_barrier();
}

void
pt_server_wake(uint32 what)
{
	/* what we have published comes before we look who sleeps */
	pg_memory_barrier();
	for (int i = 0; i < pt_server_workers(); i++)
	{
		Latch	   *latch = shared->listeners[i].latch;
		uint32		matters = pg_atomic_read_u32(&shared->listeners[i].sleeps_for) & what;

		if (latch != NULL && ((matters & PT_SLEEPS_FOR_WAL) ||
							  ((matters & PT_SLEEPS_FOR_LOGS) && pt_watch_ready(i))))
			SetLatch(latch);
	}
}

void
pt_server_wake_worker(int worker)
{
	Latch	   *latch = shared->listeners[worker].latch;

	if (latch != NULL)
		SetLatch(latch);
}

bool
pt_server_connections_add(int worker, uint16 life, int n)
{
	pg_atomic_uint64 *word = &shared->listeners[worker].connections;
	uint64		before = pg_atomic_read_u64(word);
	uint64		sum;

	do
	{
		if (!pt_tally_add(before, life, n, &sum))
			return false;
	} while (!pg_atomic_compare_exchange_u64(word, &before, sum));
	return true;
}

int
pt_server_connections(int worker)
{
	return (int) pt_tally_count(pg_atomic_read_u64(&shared->listeners[worker].connections));
}

/* Those of the other workers are the listeners'. */
int
pt_server_clients(void)
{
	int			n = 0;

	for (int i = 0; i < pt_listener_workers; i++)
		n += pt_server_connections(i);
	return n;
}

int
pt_server_least_loaded(int self)
{
	int			best = self;

	for (int i = 0; i < pt_listener_workers; i++)
	{
		if (shared->listeners[i].latch != NULL &&
			(best < 0 || pt_server_connections(i) < pt_server_connections(best)))
			best = i;
	}
	Assert(best < pt_server_workers());
	return best;
}

/* Two processes may write at a time: then one of the measurements is lost. */
void
pt_server_flush_took(uint64 us)
{
	uint32		now = pg_atomic_read_u32(&shared->flush_us);
	uint32		took = (uint32) Min(us, 1000000);

	pg_atomic_write_u32(&shared->flush_us, now == 0 ? Max(took, 1) : Max((now * 7 + took) / 8, 1));
}

uint32
pt_server_flush_us(void)
{
	return pg_atomic_read_u32(&shared->flush_us);
}
