/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Who waits for a log to move, and is told.
 *
 * A log that nobody has in memory can be waited for, too, so waiting does not
 * hang on a log's state but on a bucket, found by a hash of the log's locator.
 * Logs of one bucket wake each other's waiters, who look for themselves; with
 * thousands of buckets that is rare, and logs where nothing happens cost those
 * nothing that are busy.
 *
 * Workers wait for many logs for long.  A bucket has a bit for each worker
 * that waits for a log of it, and each worker has a bit for each bucket: the
 * ready ones.  Whoever moves a log sets the bits; the worker looks at those
 * buckets alone.  Waking it is the business of the server room, which knows
 * whether it sleeps.
 *
 * Sessions wait for a few logs, and wake by their latch.  Each has some
 * entries of its own, on the lists of the buckets.  Whoever moves a log takes
 * those off that had been there before, and wakes their sessions, which come
 * again if they did not find what they wait for.
 *
 * No wake-up is lost: who waits first says so and then looks at the log; who
 * moves a log first moves it and then looks who waits; with a full barrier
 * between the two, on both sides.
 *
 * Siblings: state.c moves the ends, ../server/log_waits.c and ../fetch/wait.c
 * wait.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "log/watch.h"

#define WORDS		(PT_WATCH_BUCKETS / 64)

/*
 * Logs for which a session is told precisely.  If it waits for more, any log
 * wakes it.
 */
#define SESSION_LOGS	64

/* The bucket of those who wait for any log. */
#define ANY_BUCKET		PT_WATCH_BUCKETS

StaticAssertDecl(WORDS <= 64, "one word tells which words are not zero");

/* An entry of a session; on its bucket's list, oldest first, if listed. */
typedef struct SessionEntry
{
	dlist_node	node;
	Latch	   *latch;
	uint32		moves;			/* of the bucket when it was listed */
	uint16		bucket;
	bool		listed;
} SessionEntry;

typedef struct WatchBucket
{
	pg_atomic_uint32 workers;	/* a bit for each that waits */
	pg_atomic_uint32 moves;		/* goes up when a log has moved */
	slock_t		mutex;			/* of sessions, and the entries on it */
	dlist_head	sessions;
} WatchBucket;

/* Buckets in which a log has moved, a bit for each. */
typedef struct WatchReady
{
	pg_atomic_uint64 summary;	/* words that may be not zero */
	pg_atomic_uint64 words[WORDS];
} WatchReady;

typedef struct WatchShared
{
	WatchReady	ready[PT_WATCH_WORKERS_MAX];
	WatchBucket buckets[PT_WATCH_BUCKETS + 1];
	SessionEntry entries[FLEXIBLE_ARRAY_MEMBER];	/* SESSION_LOGS for each
													 * backend */
} WatchShared;

static WatchShared *shared;

/* This session's entries in use. */
static int	nown;

static void wake_workers(uint32 number);
static void wake_sessions(WatchBucket *bucket);
static void enlist(SessionEntry *entry);

Size
pt_watch_shmem_size(void)
{
	return add_size(offsetof(WatchShared, entries),
					mul_size(mul_size(MaxBackends, SESSION_LOGS), sizeof(SessionEntry)));
}

/* Called with AddinShmemInitLock held. */
void
pt_watch_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic watched logs", pt_watch_shmem_size(), &found);
	if (found)
		return;
	memset(shared, 0, pt_watch_shmem_size());
	for (int i = 0; i < PT_WATCH_WORKERS_MAX; i++)
	{
		pg_atomic_init_u64(&shared->ready[i].summary, 0);
		for (int j = 0; j < WORDS; j++)
			pg_atomic_init_u64(&shared->ready[i].words[j], 0);
	}
	for (int i = 0; i <= ANY_BUCKET; i++)
	{
		WatchBucket *bucket = &shared->buckets[i];

		pg_atomic_init_u32(&bucket->workers, 0);
		pg_atomic_init_u32(&bucket->moves, 0);
		SpinLockInit(&bucket->mutex);
		dlist_init(&bucket->sessions);
	}
}

uint32
pt_watch_bucket(const RelFileLocator *locator)
{
	return hash_bytes((const unsigned char *) locator, sizeof(*locator)) % PT_WATCH_BUCKETS;
}

/*
 * Who moves logs
 */

/* The durable end of a log has moved: tells those who wait for it. */
void
pt_watch_moved(const RelFileLocator *locator)
{
	uint32		number = pt_watch_bucket(locator);
	WatchBucket *any = &shared->buckets[ANY_BUCKET];

	pg_atomic_fetch_add_u32(&shared->buckets[number].moves, 1); /* a full barrier */
	wake_workers(number);
	wake_sessions(&shared->buckets[number]);
	if (!dlist_is_empty(&any->sessions))
	{
		pg_atomic_fetch_add_u32(&any->moves, 1);
		wake_sessions(any);
	}
}

/* Logs are gone: everybody looks. */
void
pt_watch_all_moved(void)
{
	for (uint32 i = 0; i < PT_WATCH_BUCKETS; i++)
	{
		pg_atomic_fetch_add_u32(&shared->buckets[i].moves, 1);
		wake_workers(i);
	}
	pt_watch_all_sessions();
}

/* There are new logs, which belong to topics that sessions wait for. */
void
pt_watch_all_sessions(void)
{
	pg_memory_barrier();
	for (int i = 0; i <= ANY_BUCKET; i++)
	{
		WatchBucket *bucket = &shared->buckets[i];

		if (dlist_is_empty(&bucket->sessions))
			continue;
		pg_atomic_fetch_add_u32(&bucket->moves, 1);
		wake_sessions(bucket);
	}
}

/* Marks a bucket as ready for the workers that wait for a log of it. */
static void
wake_workers(uint32 number)
{
	uint32		workers = pg_atomic_read_u32(&shared->buckets[number].workers);

	while (workers != 0)
	{
		int			worker = pg_rightmost_one_pos32(workers);
		WatchReady *ready = &shared->ready[worker];

		pg_atomic_fetch_or_u64(&ready->words[number / 64], UINT64CONST(1) << (number % 64));
		pg_atomic_fetch_or_u64(&ready->summary, UINT64CONST(1) << (number / 64));
		workers &= workers - 1;
	}
}

/* Those that were listed before the bucket's last move. */
static void
wake_sessions(WatchBucket *bucket)
{
	uint32		moves = pg_atomic_read_u32(&bucket->moves);
	Latch	   *latch = NULL;

	if (dlist_is_empty(&bucket->sessions))
		return;
	do
	{
		latch = NULL;
		SpinLockAcquire(&bucket->mutex);
		if (!dlist_is_empty(&bucket->sessions))
		{
			SessionEntry *entry = dlist_head_element(SessionEntry, node, &bucket->sessions);

			if ((int32) (moves - entry->moves) > 0)
			{
				dlist_delete(&entry->node);
				entry->listed = false;
				latch = entry->latch;
			}
		}
		SpinLockRelease(&bucket->mutex);
		if (latch != NULL)
			SetLatch(latch);
	} while (latch != NULL);
}

/*
 * Workers
 */

/* A worker of this number begins: forgets what another one has left. */
void
pt_watch_start(int worker)
{
	Assert(worker >= 0 && worker < PT_WATCH_WORKERS_MAX);
	for (uint32 i = 0; i < PT_WATCH_BUCKETS; i++)
		pt_watch_remove(worker, i);
	pg_atomic_write_u64(&shared->ready[worker].summary, 0);
	for (int i = 0; i < WORDS; i++)
		pg_atomic_write_u64(&shared->ready[worker].words[i], 0);
}

/* From here on the worker is told when a log of the bucket moves. */
void
pt_watch_add(int worker, uint32 bucket)
{
	pg_atomic_fetch_or_u32(&shared->buckets[bucket].workers, (uint32) 1 << worker); /* a full barrier */
}

void
pt_watch_remove(int worker, uint32 bucket)
{
	pg_atomic_fetch_and_u32(&shared->buckets[bucket].workers, ~((uint32) 1 << worker));
}

/* Is there a bucket for pt_watch_next, most likely? */
bool
pt_watch_ready(int worker)
{
	return pg_atomic_read_u64(&shared->ready[worker].summary) != 0;
}

/* Takes one of the buckets in which a log has moved; false: there is none. */
bool
pt_watch_next(int worker, uint32 *bucket)
{
	WatchReady *ready = &shared->ready[worker];
	uint64		summary;

	while ((summary = pg_atomic_read_u64(&ready->summary)) != 0)
	{
		int			i = pg_rightmost_one_pos64(summary);
		uint64		word = pg_atomic_read_u64(&ready->words[i]);

		if (word != 0)
		{
			int			bit = pg_rightmost_one_pos64(word);

			pg_atomic_fetch_and_u64(&ready->words[i], ~(UINT64CONST(1) << bit));
			*bucket = i * 64 + bit;
			return true;
		}
		/* a bit may be set between the two: then the summary must say so */
		pg_atomic_fetch_and_u64(&ready->summary, ~(UINT64CONST(1) << i));
		if (pg_atomic_read_u64(&ready->words[i]) != 0)
			pg_atomic_fetch_or_u64(&ready->summary, UINT64CONST(1) << i);
	}
	return false;
}

/* Changes when a log of the bucket moves. */
uint32
pt_watch_moves(uint32 bucket)
{
	return pg_atomic_read_u32(&shared->buckets[bucket].moves);
}

bool
pt_watch_awaited(const RelFileLocator *locator)
{
	return pg_atomic_read_u32(&shared->buckets[pt_watch_bucket(locator)].workers) != 0;
}

/*
 * Sessions
 */

static SessionEntry *
own_entries(void)
{
	int			number = MyProc - &ProcGlobal->allProcs[0];

	Assert(number >= 0 && number < MaxBackends);
	return &shared->entries[number * SESSION_LOGS];
}

/*
 * This session wants its latch set when one of these logs moves.  It is set
 * once, then pt_watch_session_renew is due.  Undone by pt_watch_session_end.
 */
void
pt_watch_session_begin(const RelFileLocator *logs, int n)
{
	SessionEntry *entries = own_entries();

	pt_watch_session_end();
	for (int i = 0; i < Min(n, SESSION_LOGS); i++)
	{
		Assert(!entries[i].listed);
		entries[i].bucket = n > SESSION_LOGS ? ANY_BUCKET : pt_watch_bucket(&logs[i]);
		entries[i].latch = MyLatch;
		nown++;
		if (n > SESSION_LOGS)
			break;
	}
	pt_watch_session_renew();
}

/*
 * Lists again what others have taken off.  To be followed by a look at the
 * logs, before the session sleeps.
 */
void
pt_watch_session_renew(void)
{
	for (int i = 0; i < nown; i++)
		enlist(own_entries() + i);
	pg_memory_barrier();
}

static void
enlist(SessionEntry *entry)
{
	WatchBucket *bucket = &shared->buckets[entry->bucket];

	SpinLockAcquire(&bucket->mutex);
	if (!entry->listed)
	{
		entry->moves = pg_atomic_read_u32(&bucket->moves);
		dlist_push_tail(&bucket->sessions, &entry->node);
		entry->listed = true;
	}
	SpinLockRelease(&bucket->mutex);
}

/* This session waits no longer.  Does not throw. */
void
pt_watch_session_end(void)
{
	for (int i = 0; i < nown; i++)
	{
		SessionEntry *entry = own_entries() + i;
		WatchBucket *bucket = &shared->buckets[entry->bucket];

		SpinLockAcquire(&bucket->mutex);
		if (entry->listed)
			dlist_delete(&entry->node);
		entry->listed = false;
		SpinLockRelease(&bucket->mutex);
	}
	nown = 0;
}
