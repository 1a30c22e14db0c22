/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  What clients have used, counted in shared memory over all workers.
 *
 * There are PT_QUOTA_COUNTERS counters.  One is given to those whose usage is
 * counted together when it is first asked for, and to others when all are
 * taken and nothing was counted in it for PT_QUOTA_IDLE_MS: its window is
 * empty by then.  When none can be given, those who come then share one
 * counter for each kind of quota, each with its own limit: who makes up client
 * ids gets less, and not more.  A line in the log says so.
 *
 * Whoever counts has found the counter before, and keeps a pointer with the
 * number of its life.  It is looked at without a lock.  A counter that is
 * given away in the very moment gets an amount that is not its own; nothing
 * else comes of it.  The lock is for the table: which counter is whose.
 *
 * All of it can be lost: after a crash windows are empty.
 *
 * Siblings: rate.h (what the words mean), limits.c (which quota applies).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "common/hashfn.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "quotas/internal.h"
#include "tell.h"

#define PT_QUOTA_COUNTERS	4096
#define PT_QUOTA_BUCKETS	4096
#define PT_QUOTA_IDLE_MS	60000

/* Who shares a counter looks so often whether there is one of its own. */
#define PT_QUOTA_AGAIN_MS	1000

typedef struct PtQuotaUsage
{
	/* under the lock */
	PtQuotaKey	key;
	int			next;			/* in the bucket; -1: none */
	/* without */
	pg_atomic_uint32 life;		/* another one whenever the key changes */
	pg_atomic_uint64 used_ms;	/* when it was counted in last */
	pg_atomic_uint64 samples[PT_RATE_SAMPLES];
	pg_atomic_uint64 paid_us;	/* of PT_QUOTA_MUTATION */
	pg_atomic_uint64 limit;		/* bits of a double; for the view */
	pg_atomic_uint64 total;
	pg_atomic_uint64 throttles;
	pg_atomic_uint64 throttle_ms;
	pg_atomic_uint64 throttled_until_ms;
} PtQuotaUsage;

typedef struct UsageShared
{
	LWLock		lock;
	int			nused;			/* counters that have been given once */
	int			hand;			/* where the search for an idle one goes on */
	int			buckets[PT_QUOTA_BUCKETS];
	PtQuotaUsage shared[PT_QUOTA_KINDS];	/* of those without their own */
	PtQuotaUsage counters[PT_QUOTA_COUNTERS];
} UsageShared;

static UsageShared *usage;

/*
 * Returns the time of a clock that all processes share and that never goes
 * back, in ns.
 */
int64
pt_quota_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

Size
pt_quotas_shmem_size(void)
{
	return sizeof(UsageShared);
}

/* Makes a counter new, for a key or, before the first one, for nobody. */
static void
counter_reset(PtQuotaUsage *counter, int64 now_ms)
{
	for (int i = 0; i < PT_RATE_SAMPLES; i++)
		pg_atomic_write_u64(&counter->samples[i], 0);
	pg_atomic_write_u64(&counter->used_ms, (uint64) now_ms);
	pg_atomic_write_u64(&counter->paid_us, 0);
	pg_atomic_write_u64(&counter->total, 0);
	pg_atomic_write_u64(&counter->throttles, 0);
	pg_atomic_write_u64(&counter->throttle_ms, 0);
	pg_atomic_write_u64(&counter->throttled_until_ms, 0);
}

static void
counter_init(PtQuotaUsage *counter)
{
	pg_atomic_init_u32(&counter->life, 1);
	pg_atomic_init_u64(&counter->used_ms, 0);
	for (int i = 0; i < PT_RATE_SAMPLES; i++)
		pg_atomic_init_u64(&counter->samples[i], 0);
	pg_atomic_init_u64(&counter->paid_us, 0);
	pg_atomic_init_u64(&counter->limit, 0);
	pg_atomic_init_u64(&counter->total, 0);
	pg_atomic_init_u64(&counter->throttles, 0);
	pg_atomic_init_u64(&counter->throttle_ms, 0);
	pg_atomic_init_u64(&counter->throttled_until_ms, 0);
}

/*
 * Called with AddinShmemInitLock held.  The memory of counters is not touched
 * before they are given.
 */
void
pt_quotas_shmem_init(void)
{
	bool		found;

	usage = ShmemInitStruct("pgtopic quotas", sizeof(UsageShared), &found);
	if (!found)
	{
		LWLockInitialize(&usage->lock, pt_lwlock_tranche_new("pgtopic_quotas"));
		usage->nused = usage->hand = 0;
		for (int i = 0; i < PT_QUOTA_BUCKETS; i++)
			usage->buckets[i] = -1;
		for (int i = 0; i < PT_QUOTA_KINDS; i++)
		{
			counter_init(&usage->shared[i]);
			memset(&usage->shared[i].key, 0, sizeof(PtQuotaKey));
			usage->shared[i].key.kind = i;
		}
	}
	pt_lwlock_tranche_name(usage->lock.tranche, "pgtopic_quotas");
}

/*
 * The table
 */

static int *
bucket_of(const PtQuotaKey *key)
{
	return &usage->buckets[hash_bytes((const unsigned char *) key, sizeof(*key)) % PT_QUOTA_BUCKETS];
}

/* NULL: it has none.  Lock held. */
static PtQuotaUsage *
find(const PtQuotaKey *key)
{
	for (int i = *bucket_of(key); i >= 0; i = usage->counters[i].next)
	{
		Assert(i < usage->nused);
		if (memcmp(&usage->counters[i].key, key, sizeof(*key)) == 0)
			return &usage->counters[i];
	}
	return NULL;
}

static void
unlink_counter(PtQuotaUsage *counter)
{
	int		   *link = bucket_of(&counter->key);
	int			number = (int) (counter - usage->counters);

	while (*link != number)
	{
		Assert(*link >= 0);
		link = &usage->counters[*link].next;
	}
	*link = counter->next;
}

/* A counter that nobody has, or uses; NULL: there is none.  Lock held. */
static PtQuotaUsage *
free_counter(int64 now_ms)
{
	if (usage->nused < PT_QUOTA_COUNTERS)
	{
		PtQuotaUsage *counter = &usage->counters[usage->nused++];

		counter_init(counter);
		return counter;
	}
	for (int i = 0; i < PT_QUOTA_COUNTERS; i++)
	{
		PtQuotaUsage *counter = &usage->counters[usage->hand];

		usage->hand = (usage->hand + 1) % PT_QUOTA_COUNTERS;
		if (now_ms - (int64) pg_atomic_read_u64(&counter->used_ms) < PT_QUOTA_IDLE_MS)
			continue;
		unlink_counter(counter);
		return counter;
	}
	return NULL;
}

static PtQuotaUsage *
give(const PtQuotaKey *key, int64 now_ms)
{
	static int64 none_until_ms; /* there was none a moment ago */
	PtQuotaUsage *counter = find(key);
	int		   *bucket = bucket_of(key);

	if (counter != NULL || now_ms < none_until_ms)
		return counter;
	counter = free_counter(now_ms);
	if (counter == NULL)
	{
		none_until_ms = now_ms + PT_QUOTA_AGAIN_MS;
		return NULL;
	}
	counter->key = *key;
	counter_reset(counter, now_ms);
	(void) pg_atomic_fetch_add_u32(&counter->life, 1);
	counter->next = *bucket;
	*bucket = (int) (counter - usage->counters);
	return counter;
}

static void
tell_full(void)
{
	static PtTold told;
	int			untold;

	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d clients with quotas were active in the last minute", PT_QUOTA_COUNTERS),
				 errdetail("Those that come now are counted together.")));
}

/*
 * Fills the reference with the counter of a key.
 */
static void
attach(PtQuotaRef *ref, const PtQuotaKey *key, double limit, int64 now_ms)
{
	uint64		bits;
	PtQuotaUsage *counter;

	Assert(limit > 0 && key->kind < PT_QUOTA_KINDS);
	LWLockAcquire(&usage->lock, LW_SHARED);
	counter = find(key);
	LWLockRelease(&usage->lock);
	if (counter == NULL)
	{
		LWLockAcquire(&usage->lock, LW_EXCLUSIVE);
		counter = give(key, now_ms);
		LWLockRelease(&usage->lock);
	}
	ref->again_at_ms = 0;
	if (counter == NULL)
	{
		tell_full();
		counter = &usage->shared[key->kind];
		ref->again_at_ms = now_ms + PT_QUOTA_AGAIN_MS;
	}
	ref->usage = counter;
	ref->life = pg_atomic_read_u32(&counter->life);
	ref->limit = limit;
	memcpy(&bits, &limit, sizeof(bits));
	pg_atomic_write_u64(&counter->limit, bits);
}

/*
 * Clients
 */

/*
 * Says who the client is.  Cheap when it is the same as before.
 */
void
pt_quota_client_is(PtQuotaClient *client, const char *user, const char *client_id)
{
	if (likely(strcmp(client->client_id, client_id) == 0 && strcmp(client->user, user) == 0))
		return;
	strlcpy(client->user, user, sizeof(client->user));
	strlcpy(client->client_id, client_id, sizeof(client->client_id));
	memset(client->refs, 0, sizeof(client->refs));
}

static bool
is_current(const PtQuotaRef *ref, int64 now_ms)
{
	if (ref->loaded != pt_quotas_loaded)
		return false;
	if (ref->usage == NULL)
		return true;
	return pg_atomic_read_u32(&ref->usage->life) == ref->life &&
		(ref->again_at_ms == 0 || now_ms < ref->again_at_ms);
}

/*
 * Returns the quota of a kind that applies to the client, NULL: none.
 */
PtQuotaRef *
pt_quota_of(PtQuotaClient *client, PtQuotaKind kind, int64 now_ms)
{
	PtQuotaRef *ref = &client->refs[kind];

	Assert(kind < PT_QUOTA_CLIENT_KINDS);
	if (!pt_quota_is_set(kind))
		return NULL;
	if (!likely(is_current(ref, now_ms)))
	{
		PtQuotaKey	key;
		double		limit = pt_quota_limit(kind, client->user, client->client_id, &key);

		ref->usage = NULL;
		if (limit > 0)
			attach(ref, &key, limit, now_ms);
		ref->loaded = pt_quotas_loaded;
	}
	return ref->usage ? ref : NULL;
}

/*
 * Counting
 */

static void
count(PtQuotaUsage *counter, uint64 amount, int64 now_ms)
{
	pg_atomic_uint64 *word = &counter->samples[pt_rate_slot(now_ms)];
	uint64		before = pg_atomic_read_u64(word);

	while (!pg_atomic_compare_exchange_u64(word, &before, pt_rate_add(before, now_ms, amount)))
		;
	(void) pg_atomic_fetch_add_u64(&counter->total, amount);
	pg_atomic_write_u64(&counter->used_ms, (uint64) now_ms);
}

static uint64
sum_of(const PtQuotaUsage *counter, int64 now_ms)
{
	uint64		samples[PT_RATE_SAMPLES];

	for (int i = 0; i < PT_RATE_SAMPLES; i++)
		samples[i] = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &counter->samples[i]));
	return pt_rate_sum(samples, now_ms);
}

/*
 * Counts an amount, and returns for how many ms the client is to be throttled.
 * For a worker's time it is a sample's length at most, as in Kafka.
 */
int32
pt_quota_charge(PtQuotaRef *ref, PtQuotaKind kind, uint64 amount, int64 now_ms)
{
	int32		ms;

	Assert(ref->usage != NULL);
	count(ref->usage, amount, now_ms);
	ms = pt_rate_throttle_ms(sum_of(ref->usage, now_ms), now_ms, ref->limit);
	return kind == PT_QUOTA_REQUEST ? Min(ms, PT_RATE_SAMPLE_MS) : ms;
}

/*
 * Returns for how many ms the client would be throttled if the amount was
 * counted.  Into an empty window everything goes, whatever its size: who waits
 * gets it in the end.
 */
int32
pt_quota_ask(PtQuotaRef *ref, uint64 amount, int64 now_ms)
{
	uint64		sum = sum_of(ref->usage, now_ms);

	return sum == 0 ? 0 : pt_rate_throttle_ms(sum + amount, now_ms, ref->limit);
}

/*
 * Returns for how many ms the client's bucket will have a debt.
 */
int32
pt_quota_debt(PtQuotaRef *ref, int64 now_ns)
{
	return pt_tokens_wait_ms((int64) pg_atomic_read_u64(&ref->usage->paid_us), now_ns / 1000);
}

/*
 * Takes tokens out of the client's bucket, which may have a debt then.
 */
void
pt_quota_take(PtQuotaRef *ref, uint32 tokens, int64 now_ns)
{
	pg_atomic_uint64 *paid = &ref->usage->paid_us;
	uint64		before = pg_atomic_read_u64(paid);

	while (!pg_atomic_compare_exchange_u64(paid, &before, (uint64) pt_tokens_take((int64) before, now_ns / 1000, ref->limit, tokens)))
		;
	count(ref->usage, tokens, now_ns / 1000000);
}

/*
 * For the view: the client is being throttled because of this quota.
 */
void
pt_quota_throttled(PtQuotaRef *ref, int32 ms, int64 now_ms)
{
	pg_atomic_uint64 *word = &ref->usage->throttled_until_ms;
	uint64		until = (uint64) (now_ms + ms);
	uint64		before = pg_atomic_read_u64(word);

	(void) pg_atomic_fetch_add_u64(&ref->usage->throttles, 1);
	(void) pg_atomic_fetch_add_u64(&ref->usage->throttle_ms, (uint64) ms);
	while (before < until && !pg_atomic_compare_exchange_u64(word, &before, until))
		;
}

/*
 * A new connection from an address, in the form of pt_quota_address().
 * Returns 0, and it is counted; or for how many ms it is to be kept waiting
 * before it is refused, which is at most a sample's length.
 */
int32
pt_quota_connection(const char *address)
{
	int64		now_ms = pt_quota_now_ns() / 1000000;
	PtQuotaKey	key;
	double		limit = pt_quota_address_limit(address, &key);
	PtQuotaRef	ref = {0};
	int32		ms;

	if (limit <= 0)
		return 0;
	attach(&ref, &key, limit, now_ms);
	ms = Min(pt_quota_ask(&ref, 1, now_ms), PT_RATE_SAMPLE_MS);
	if (ms == 0)
		count(ref.usage, 1, now_ms);
	else
		pt_quota_throttled(&ref, ms, now_ms);
	return ms;
}

/*
 * For the view
 */

static PtQuotaCount *
count_of(PtQuotaUsage *counter, bool shared, int64 now_ms)
{
	PtQuotaCount *result = palloc0(sizeof(PtQuotaCount));
	uint64		bits = pg_atomic_read_u64(&counter->limit);
	int64		until = (int64) pg_atomic_read_u64(&counter->throttled_until_ms);

	result->key = counter->key;
	result->shared = shared;
	memcpy(&result->limit, &bits, sizeof(bits));
	result->rate = (double) sum_of(counter, now_ms) * 1000 / (double) pt_rate_span_ms(now_ms);
	result->total = pg_atomic_read_u64(&counter->total);
	result->throttles = pg_atomic_read_u64(&counter->throttles);
	result->throttle_ms = pg_atomic_read_u64(&counter->throttle_ms);
	result->throttled_ms = Max(until - now_ms, 0);
	return result;
}

/*
 * Returns all counters: List of PtQuotaCount *, in the current memory context.
 */
List *
pt_quota_counts(void)
{
	int64		now_ms = pt_quota_now_ns() / 1000000;
	List	   *result = NIL;

	LWLockAcquire(&usage->lock, LW_SHARED);
	for (int i = 0; i < usage->nused; i++)
		result = lappend(result, count_of(&usage->counters[i], false, now_ms));
	LWLockRelease(&usage->lock);
	for (int i = 0; i < PT_QUOTA_KINDS; i++)
	{
		if (pg_atomic_read_u64(&usage->shared[i].total) > 0)
			result = lappend(result, count_of(&usage->shared[i], true, now_ms));
	}
	return result;
}
