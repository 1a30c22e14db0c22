/*-------------------------------------------------------------------------
 *
 * counters.c
 *	  Clients and requests, counted in shared memory for views.
 *
 * A client has a slot for as long as it is connected.  There is a fixed number
 * of slots (as many as one worker may have connections when the server starts,
 * up to PT_SLOTS_MAX); who finds none is served all the same.
 *
 * Each worker counts requests in an array of its own.  A reset raises the
 * common generation: numbers of an older one count for nothing, and the worker
 * that meets its own array so begins anew.
 *
 * Siblings: counters.h, client.c (who counts), ../stats/ (who looks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "server/counters.h"
#include "server/shared.h"

#define PT_SLOTS_MAX	20000

typedef struct WorkerCounters
{
	pg_atomic_uint64 generation;
	PtApiCounters apis[KAFKA_API_COUNT];
} WorkerCounters;

typedef struct Counters
{
	slock_t		lock;			/* who owns which slot */
	int			free;			/* first free slot, -1: none */
	int			nslots;
	pg_atomic_uint64 generation;
	WorkerCounters workers[PT_WORKERS_MAX];
	PtClientSlot slots[FLEXIBLE_ARRAY_MEMBER];
} Counters;

static Counters *counters;

/* For clients beyond the last slot; what is counted here nobody reads. */
static PtClientSlot nowhere = {.worker = -1};

static int	time_bucket(uint64 us);
static uint64 bucket_start(int bucket);

/*
 * As it was when the server started: after a crash the memory is made anew in
 * the same size, whatever the setting is then.
 */
static int
slots_wanted(void)
{
	static int	wanted = -1;

	if (wanted < 0)
		wanted = Min(pt_max_connections, PT_SLOTS_MAX);
	return wanted;
}

Size
pt_counters_shmem_size(void)
{
	return add_size(offsetof(Counters, slots), mul_size(sizeof(PtClientSlot), slots_wanted()));
}

/* Called with AddinShmemInitLock held. */
void
pt_counters_shmem_init(void)
{
	bool		found;

	counters = ShmemInitStruct("pgtopic counters", pt_counters_shmem_size(), &found);
	if (found)
		return;
	memset(counters, 0, pt_counters_shmem_size());
	SpinLockInit(&counters->lock);
	counters->nslots = slots_wanted();
	counters->free = counters->nslots > 0 ? 0 : -1;
	pg_atomic_init_u64(&counters->generation, 0);
	for (int i = 0; i < PT_WORKERS_MAX; i++)
		pg_atomic_init_u64(&counters->workers[i].generation, 0);
	for (int i = 0; i < counters->nslots; i++)
	{
		PtClientSlot *slot = &counters->slots[i];

		pg_atomic_init_u32(&slot->change, 0);
		slot->worker = -1;
		slot->next_free = i + 1 < counters->nslots ? i + 1 : -1;
	}
}

/*
 * Clients
 */

static inline bool
is_shared(const PtClientSlot *slot)
{
	return slot != &nowhere;
}

/*
 * Around a change of texts: a reader that sees an odd or another number tries
 * again.
 */
static void
change_begin(PtClientSlot *slot)
{
	pg_atomic_write_u32(&slot->change, pg_atomic_read_u32(&slot->change) + 1);
	pg_write_barrier();
}

static void
change_end(PtClientSlot *slot)
{
	pg_write_barrier();
	pg_atomic_write_u32(&slot->change, pg_atomic_read_u32(&slot->change) + 1);
}

PtClientSlot *
pt_client_slot_new(int worker, const char *peer)
{
	PtClientSlot *slot = &nowhere;
	const char *port;
	uint32		address;

	if (peer == NULL)
		return slot;
	port = strrchr(peer, ':');
	address = hash_bytes((const unsigned char *) peer, (int) (port ? port - peer : strlen(peer)));
	SpinLockAcquire(&counters->lock);
	if (counters->free >= 0)
	{
		slot = &counters->slots[counters->free];
		Assert(slot->worker < 0);
		counters->free = slot->next_free;
		slot->address = address;
		slot->worker = worker;
	}
	SpinLockRelease(&counters->lock);
	if (!is_shared(slot))
		return slot;
	change_begin(slot);
	slot->pid = MyProcPid;
	slot->api = -1;
	slot->connected_at = GetCurrentTimestamp();
	slot->last_request_at = 0;
	slot->requests = slot->bytes_in = slot->bytes_out = 0;
	memset(&slot->text, 0, sizeof(slot->text));
	strlcpy(slot->text.peer, peer, sizeof(slot->text.peer));
	change_end(slot);
	return slot;
}

static void
put_back(PtClientSlot *slot)
{
	Assert(slot->worker >= 0 && slot >= counters->slots && slot < counters->slots + counters->nslots);
	slot->worker = -1;
	slot->role = InvalidOid;
	slot->next_free = counters->free;
	counters->free = slot - counters->slots;
}

/*
 * The caller has the slot: nobody else may free it but through
 * pt_client_slots_forget.
 */
void
pt_client_slot_free(PtClientSlot *slot)
{
	if (!is_shared(slot))
		return;
	SpinLockAcquire(&counters->lock);
	Assert(slot->worker >= 0);
	put_back(slot);
	SpinLockRelease(&counters->lock);
}

void
pt_client_slot_name(PtClientSlot *slot, const char *client_id, const char *software_name,
					const char *software_version, const char *role, const char *mechanism)
{
	if (!is_shared(slot))
		return;
	change_begin(slot);
	strlcpy(slot->text.client_id, client_id, sizeof(slot->text.client_id));
	strlcpy(slot->text.software_name, software_name, sizeof(slot->text.software_name));
	strlcpy(slot->text.software_version, software_version, sizeof(slot->text.software_version));
	strlcpy(slot->text.role, role, sizeof(slot->text.role));
	strlcpy(slot->text.mechanism, mechanism, sizeof(slot->text.mechanism));
	change_end(slot);
}

/*
 * Whoever counts has entered himself before.  So of two that come in the same
 * moment at least one sees the other, and perhaps both do.
 */
int
pt_client_slot_role(PtClientSlot *slot, Oid role)
{
	int			n = 0;

	if (!is_shared(slot))
		return -1;
	slot->role = role;
	pg_memory_barrier();
	for (int i = 0; OidIsValid(role) && i < counters->nslots; i++)
		n += counters->slots[i].worker >= 0 && counters->slots[i].role == role;
	return n;
}

/* As with roles, of two that come in the same moment one sees the other. */
int
pt_client_slot_neighbours(const PtClientSlot *slot)
{
	int			n = 0;

	if (!is_shared(slot))
		return -1;
	pg_memory_barrier();
	for (int i = 0; i < counters->nslots; i++)
		n += counters->slots[i].worker >= 0 && counters->slots[i].address == slot->address;
	return n;
}

void
pt_client_slot_secure(PtClientSlot *slot, const char *security, const char *tls_version, const char *cipher)
{
	if (!is_shared(slot))
		return;
	change_begin(slot);
	strlcpy(slot->text.security, security, sizeof(slot->text.security));
	strlcpy(slot->text.tls_version, tls_version, sizeof(slot->text.tls_version));
	strlcpy(slot->text.cipher, cipher, sizeof(slot->text.cipher));
	change_end(slot);
}

void
pt_client_slots_forget(int worker)
{
	SpinLockAcquire(&counters->lock);
	for (int i = 0; i < counters->nslots; i++)
	{
		if (counters->slots[i].worker == worker)
			put_back(&counters->slots[i]);
	}
	SpinLockRelease(&counters->lock);
}

int
pt_client_slots(void)
{
	return counters->nslots;
}

bool
pt_client_slot_read(int i, PtClientSlot *copy)
{
	const PtClientSlot *slot = &counters->slots[i];

	Assert(i >= 0 && i < counters->nslots);
	for (;;)
	{
		uint32		before = pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &slot->change));
		uint32		after;

		pg_read_barrier();
		memcpy(copy, slot, sizeof(*copy));
		pg_read_barrier();
		after = pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &slot->change));
		if (before == after && before % 2 == 0)
			return copy->worker >= 0;
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Requests
 */

static int
time_bucket(uint64 us)
{
	int			power;

	if (us < 4)
		return (int) us;
	power = pg_leftmost_one_pos64(us);
	return Min(4 * (power - 1) + (int) ((us >> (power - 2)) & 3), PT_TIME_BUCKETS - 1);
}

/* The smallest time of a bucket. */
static uint64
bucket_start(int bucket)
{
	if (bucket < 4)
		return bucket;
	return (uint64) (4 + bucket % 4) << (bucket / 4 - 1);
}

void
pt_count_request(int worker, const KafkaApi *api, bool error, uint64 bytes_in, uint64 bytes_out, uint64 us)
{
	WorkerCounters *mine = &counters->workers[worker];
	PtApiCounters *c = &mine->apis[api - kafka_apis];
	uint64		generation = pg_atomic_read_u64(&counters->generation);

	Assert(worker >= 0 && worker < PT_WORKERS_MAX && api >= kafka_apis && api < kafka_apis + KAFKA_API_COUNT);
	if (pg_atomic_read_u64(&mine->generation) != generation)
	{
		memset(mine->apis, 0, sizeof(mine->apis));
		pg_write_barrier();
		pg_atomic_write_u64(&mine->generation, generation);
	}
	c->requests++;
	c->errors += error;
	c->bytes_in += bytes_in;
	c->bytes_out += bytes_out;
	c->max_us = Max(c->max_us, us);
	c->times[time_bucket(us)]++;
}

void
pt_counters_reset(void)
{
	pg_atomic_fetch_add_u64(&counters->generation, 1);
}

void
pt_counters_read(KafkaApiIndex api, PtApiCounters *sum)
{
	uint64		generation = pg_atomic_read_u64(&counters->generation);

	memset(sum, 0, sizeof(*sum));
	for (int i = 0; i < PT_WORKERS_MAX; i++)
	{
		const PtApiCounters *c = &counters->workers[i].apis[api];

		if (pg_atomic_read_u64(&counters->workers[i].generation) != generation)
			continue;
		pg_read_barrier();
		sum->requests += c->requests;
		sum->errors += c->errors;
		sum->bytes_in += c->bytes_in;
		sum->bytes_out += c->bytes_out;
		sum->max_us = Max(sum->max_us, c->max_us);
		for (int j = 0; j < PT_TIME_BUCKETS; j++)
			sum->times[j] += c->times[j];
	}
}

/* Within a bucket times are taken to be spread evenly. */
double
pt_counters_quantile(const PtApiCounters *c, double part)
{
	uint64		total = 0;
	double		rank;

	for (int i = 0; i < PT_TIME_BUCKETS; i++)
		total += c->times[i];
	rank = part * total;
	for (int i = 0; i < PT_TIME_BUCKETS; i++)
	{
		double		n = (double) c->times[i];

		if (n > 0 && rank <= n)
		{
			double		from = (double) bucket_start(i);
			double		to = i + 1 < PT_TIME_BUCKETS ? (double) bucket_start(i + 1) : (double) c->max_us;

			return Min(from + (to - from) * rank / n, (double) c->max_us);
		}
		rank -= n;
	}
	return (double) c->max_us;
}
