/*-------------------------------------------------------------------------
 *
 * producers.c
 *	  What the partitions know of idempotent producers, in shared memory.
 *
 * One entry per (log, producer id).  The rules are those of log/sequence.h;
 * here is only where the states live.  The holder of a log's append lock is
 * the only one to look at that log's producers, so an entry may be read, used
 * and written back later; the LWLock protects the table alone.
 *
 * Shared memory is wiped by a crash, and what a crashed commit had put there
 * with it.  The first idempotent batch of a log after a start therefore
 * rebuilds its producers from the newest LOAD_EXTENTS extents of the log: a
 * batch that a client sends again is among the last ones that were written
 * before.  That takes its time, and is an executor's work where there is much
 * (produce.c).  A producer that is not found starts anew with any sequence
 * number, as in Kafka after producer.id.expiration.ms.
 *
 * When the table is full the entry that has not been used for a while goes
 * (clock algorithm).
 *
 * Sibling: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "guc.h"
#include "fetch/fetch.h"
#include "produce/internal.h"
#include "xact/xact.h"

#define LOAD_EXTENTS	128		/* MiB of log, see above */
#define QUICK_EXTENTS	2		/* MiB that can be walked through while
								 * clients wait */

typedef struct ProducerSlot
{
	RelFileLocator locator;
	int32		next;			/* of the bucket, or of the free list; -1: end */
	bool		used;
	bool		recent;			/* touched since the clock's hand passed */
	PtProducerState state;
} ProducerSlot;

typedef struct ProducerTable
{
	LWLock		lock;
	int32		free;			/* free list */
	int32		hand;			/* of the clock */
	uint32		nbuckets;		/* power of two */
	int32	   *buckets;		/* first slot, -1: empty */
	ProducerSlot *slots;
} ProducerTable;

static ProducerTable *table;
static HTAB *loaded;			/* locators of logs that were rebuilt */

static uint32
bucket_count(void)
{
	return pg_nextpower2_32((uint32) pt_max_producers);
}

Size
pt_producers_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(ProducerTable));

	size = add_size(size, MAXALIGN(mul_size(bucket_count(), sizeof(int32))));
	size = add_size(size, mul_size(pt_max_producers, sizeof(ProducerSlot)));
	return add_size(size, hash_estimate_size(pt_max_partitions, sizeof(RelFileLocator)));
}

/* Called with AddinShmemInitLock held. */
void
pt_producers_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(RelFileLocator)};
	Size		buckets_size = MAXALIGN(bucket_count() * sizeof(int32));
	bool		found;
	char	   *memory = ShmemInitStruct("pgtopic producers", MAXALIGN(sizeof(ProducerTable)) + buckets_size +
										 pt_max_producers * sizeof(ProducerSlot), &found);

	table = (ProducerTable *) memory;
	if (!found)
	{
		LWLockInitialize(&table->lock, pt_lwlock_tranche_new("pgtopic_producers"));
		table->hand = 0;
		table->nbuckets = bucket_count();
		table->buckets = (int32 *) (memory + MAXALIGN(sizeof(ProducerTable)));
		table->slots = (ProducerSlot *) (memory + MAXALIGN(sizeof(ProducerTable)) + buckets_size);
		memset(table->buckets, 0xFF, buckets_size);
		memset(table->slots, 0, pt_max_producers * sizeof(ProducerSlot));
		for (int i = 0; i < pt_max_producers; i++)
			table->slots[i].next = i + 1 < pt_max_producers ? i + 1 : -1;
		table->free = 0;
	}
	pt_lwlock_tranche_name(table->lock.tranche, "pgtopic_producers");
	loaded = pt_shmem_hash("pgtopic logs with producers", pt_max_partitions, &ctl, HASH_ELEM | HASH_BLOBS);
}

static int32 *
bucket_of(const RelFileLocator *locator, int64 producer_id)
{
	uint64		key[2] = {(uint64) producer_id, (uint64) pt_locator_db(*locator) << 32 | pt_locator_number(*locator)};
	uint32		hash = hash_bytes((const unsigned char *) key, sizeof(key));

	Assert((table->nbuckets & (table->nbuckets - 1)) == 0);
	return &table->buckets[hash & (table->nbuckets - 1)];
}

/* The link that points to the producer's slot, or to the end of its bucket. */
static int32 *
find_link(const RelFileLocator *locator, int64 producer_id)
{
	int32	   *link = bucket_of(locator, producer_id);

	while (*link >= 0)
	{
		ProducerSlot *slot = &table->slots[*link];

		if (slot->state.producer_id == producer_id && RelFileLocatorEquals(slot->locator, *locator))
			break;
		link = &slot->next;
	}
	return link;
}

/*
 * Makes a free slot of the first one that was not touched in the clock's last
 * round.
 */
static void
evict_one(void)
{
	for (;;)
	{
		int32		at = table->hand;
		ProducerSlot *slot = &table->slots[at];
		int32	   *link;

		table->hand = (at + 1) % pt_max_producers;
		Assert(slot->used);
		if (slot->recent)
		{
			slot->recent = false;
			continue;
		}
		link = find_link(&slot->locator, slot->state.producer_id);
		Assert(*link == at);
		*link = slot->next;
		slot->used = false;
		slot->next = table->free;
		table->free = at;
		return;
	}
}

/* What the log knows of a producer; a fresh state when that is nothing. */
void
pt_producers_get(const RelFileLocator *locator, int64 producer_id, PtProducerState *state)
{
	int32		at;

	LWLockAcquire(&table->lock, LW_SHARED);
	at = *find_link(locator, producer_id);
	if (at >= 0)
		*state = table->slots[at].state;
	Assert(at < 0 || state->producer_id == producer_id);
	LWLockRelease(&table->lock);
	if (at < 0)
		pt_sequence_init(state, producer_id);
}

/* Remembers a state.  Does not throw: it is called after the commit. */
void
pt_producers_put(const RelFileLocator *locator, const PtProducerState *state)
{
	int32	   *link;
	ProducerSlot *slot;

	Assert(state->producer_id >= 0 && state->n <= PT_SEQUENCE_BATCHES);
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	link = find_link(locator, state->producer_id);
	if (*link < 0)
	{
		int32		at;

		if (table->free < 0)
		{
			evict_one();
			link = find_link(locator, state->producer_id);
		}
		at = table->free;
		Assert(at >= 0 && at < pt_max_producers && *link < 0);
		slot = &table->slots[at];
		Assert(!slot->used);
		table->free = slot->next;
		slot->next = -1;
		slot->used = true;
		slot->locator = *locator;
		*link = at;
	}
	slot = &table->slots[*link];
	slot->recent = true;
	slot->state = *state;
	LWLockRelease(&table->lock);
}

static bool
is_loaded(const RelFileLocator *locator)
{
	bool		found;

	LWLockAcquire(&table->lock, LW_SHARED);
	(void) hash_search(loaded, locator, HASH_FIND, &found);
	LWLockRelease(&table->lock);
	return found;
}

/*
 * A full list is emptied: logs are then rebuilt once more, which changes
 * nothing they know.
 */
static void
set_loaded(const RelFileLocator *locator)
{
	bool		found;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	if (hash_search(loaded, locator, HASH_ENTER_NULL, &found) == NULL)
	{
		HASH_SEQ_STATUS scan;
		RelFileLocator *old;

		hash_seq_init(&scan, loaded);
		while ((old = hash_seq_search(&scan)) != NULL)
			(void) hash_search(loaded, old, HASH_REMOVE, NULL);
		(void) hash_search(loaded, locator, HASH_ENTER_NULL, &found);
	}
	LWLockRelease(&table->lock);
}

/*
 * Copies what is known of a log's producers; NULL counts only.  At most max.
 */
static int
copy_states(const RelFileLocator *locator, PtProducerState *states, int max)
{
	int			n = 0;

	LWLockAcquire(&table->lock, LW_SHARED);
	for (int i = 0; i < pt_max_producers && n < max; i++)
	{
		if (!table->slots[i].used || !RelFileLocatorEquals(table->slots[i].locator, *locator))
			continue;
		if (states != NULL)
			states[n] = table->slots[i].state;
		n++;
	}
	LWLockRelease(&table->lock);
	return n;
}

/*
 * The idempotent producers that a partition remembers, copied, in no order.
 * PT_BUSY: try again.  Only the first time since the start is the append lock
 * needed, as for any rebuilding.
 */
PtStatus
pt_producers_list(Oid relid, PtProducerState **states, int *n)
{
	PtLogState *log = NULL;
	PtStatus	status = pt_log_find(relid, true, &log);
	RelFileLocator locator;

	*states = NULL;
	*n = 0;
	if (status != PT_OK)
		return status;
	locator = log->locator;
	if (!is_loaded(&locator))
	{
		Relation	rel;

		if (!ConditionalLockRelationOid(relid, AccessShareLock))
			return PT_BUSY;
		rel = try_relation_open(relid, NoLock);
		if (rel == NULL)
			return PT_UNKNOWN_PARTITION;
		if (!pt_log_is(log, &pt_rel_locator(rel)) || !pt_append_lock(relid, PT_LOCK_TRY))
		{
			relation_close(rel, NoLock);
			return PT_BUSY;
		}
		pt_producers_load(rel, log);
		relation_close(rel, NoLock);
	}
	*n = copy_states(&locator, NULL, pt_max_producers);
	*states = palloc(sizeof(PtProducerState) * Max(*n, 1));
	*n = copy_states(&locator, *states, *n);
	return PT_OK;
}

/*
 * Are the producers of a log known, or found in no time?
 */
bool
pt_producers_at_hand(const PtLogState *log)
{
	return pt_pos_extent(log->tail_pos) - pt_pos_extent(log->start_pos) < QUICK_EXTENTS || is_loaded(&log->locator);
}

/*
 * Rebuilds the producers of a log when this is its first use since the start.
 */
void
pt_producers_load(Relation rel, PtLogState *log)
{
	PtReader	reader;
	PtFrame		frame;
	PtLogInfo	info;

	if (is_loaded(&log->locator))
		return;
	pt_log_info(rel, &info);
	pt_reader_begin(&reader, rel, NULL);
	if (info.next_extent - info.first_extent > LOAD_EXTENTS)
		pt_reader_seek_extent(&reader, info.next_extent - LOAD_EXTENTS);
	while (pt_reader_next(&reader, &frame))
	{
		PtProducerState state;

		if (frame.batch.producer_id < 0 || pt_frame_visible(&reader, &frame, NULL) != PT_VISIBLE)
			continue;
		if (frame.batch.base_sequence < 0 || frame.batch.producer_epoch < 0 || frame.batch.last_offset_delta < 0)
			continue;
		pt_producers_get(&log->locator, frame.batch.producer_id, &state);
		if (state.n > 0 && state.batches[state.n - 1].base_offset >= frame.batch.base_offset)
			continue;			/* the table knows more than that */
		pt_sequence_append(&state, &frame.batch, frame.batch.base_offset, frame.batch.max_timestamp);
		pt_producers_put(&log->locator, &state);
	}
	pt_reader_end(&reader);
	set_loaded(&log->locator);
}
