/*-------------------------------------------------------------------------
 *
 * producers.c
 *	  What the partitions know of idempotent producers, in shared memory.
 *
 * One slot per (log, producer id).  The rules are those of
 * ../record/sequence.h; here is only where the states live.  The holder of a
 * log's append lock is the only one to look at that log's producers, so a
 * state may be read, used and written back later; the LWLock protects the
 * table alone.
 *
 * The log itself is what counts (../log/producers.c), this is a cache of it.
 * Shared memory is wiped by a crash, and what a crashed commit had put there
 * with it.  The first idempotent batch of a log after a start therefore reads
 * the log's producers: from the last snapshot on.
 *
 * When the table is full the slot that has not been used for a while goes
 * (clock algorithm).  Its log remembers the largest id that went: a producer
 * with that id or a lower one that is not in the table may be in the log, and
 * is looked for there, by itself.  So a table that is too small costs time,
 * not duplicates.  Ids grow, so a producer that is new mostly has a larger
 * one, and is known to be new.
 *
 * A producer of which nothing came for pgtopic.producer_id_expiration counts
 * as unknown.  Of an unknown producer any sequence number is taken.
 *
 * Siblings: produce.c, snapshots.c (writes snapshots into the log).
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
#include "log/producers.h"
#include "produce/internal.h"
#include "topic/timestamp.h"
#include "xact/xact.h"

#define QUICK_EXTENTS	2		/* MiB that can be walked through while
								 * clients wait */

typedef struct ProducerSlot
{
	RelFileLocator locator;
	int32		next;			/* of the bucket, or of the free list; -1: end */
	int32		log_next;		/* of the same log; -1: end */
	int32		log_prev;		/* -1: the log's first */
	bool		used;
	bool		recent;			/* touched since the clock's hand passed */
	PtProducerState state;
} ProducerSlot;

/* A log that was read. */
typedef struct ProducerLog
{
	RelFileLocator locator;		/* key */
	int32		first;			/* of its slots, -1: none */
	int32		n;				/* slots */
	int64		evicted;		/* largest producer id that is in the log but
								 * not here, -1: none */
} ProducerLog;

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
static HTAB *logs;				/* ProducerLog by locator; every slot that is
								 * used belongs to one */

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
	return add_size(size, hash_estimate_size(pt_max_partitions, sizeof(ProducerLog)));
}

/* Called with AddinShmemInitLock held. */
void
pt_producers_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(ProducerLog)};
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
	logs = pt_shmem_hash("pgtopic logs with producers", pt_max_partitions, &ctl, HASH_ELEM | HASH_BLOBS);
}

/*
 * slots; the table's lock is held exclusively, for finding one shared
 */

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

static ProducerLog *
find_log(const RelFileLocator *locator)
{
	return hash_search(logs, locator, HASH_FIND, NULL);
}

/* Makes a slot of this log free. */
static void
free_slot(ProducerLog *log, int32 at)
{
	ProducerSlot *slot = &table->slots[at];
	int32	   *link = find_link(&slot->locator, slot->state.producer_id);

	Assert(slot->used && *link == at && log->n > 0);
	*link = slot->next;
	if (slot->log_prev >= 0)
		table->slots[slot->log_prev].log_next = slot->log_next;
	else
		log->first = slot->log_next;
	if (slot->log_next >= 0)
		table->slots[slot->log_next].log_prev = slot->log_prev;
	log->n--;
	slot->used = false;
	slot->next = table->free;
	table->free = at;
}

/*
 * Makes a free slot of the first one that has expired or was not touched in
 * the clock's last round.  What was in it is in the log.
 */
static void
evict_one(int64 now)
{
	for (;;)
	{
		int32		at = table->hand;
		ProducerSlot *slot = &table->slots[at];
		ProducerLog *log = find_log(&slot->locator);
		bool		expired = pt_sequence_expired(&slot->state, now, pt_producer_id_expiration);

		table->hand = (at + 1) % pt_max_producers;
		Assert(slot->used && log != NULL);
		if (slot->recent && !expired)
		{
			slot->recent = false;
			continue;
		}
		if (!expired)
			log->evicted = Max(log->evicted, slot->state.producer_id);
		free_slot(log, at);
		return;
	}
}

/* A slot for a producer that has none. */
static ProducerSlot *
new_slot(ProducerLog *log, int64 producer_id, int64 now)
{
	ProducerSlot *slot;
	int32	   *link;
	int32		at;

	if (table->free < 0)
		evict_one(now);
	at = table->free;
	Assert(at >= 0 && at < pt_max_producers);
	slot = &table->slots[at];
	Assert(!slot->used);
	table->free = slot->next;
	link = find_link(&log->locator, producer_id);
	Assert(*link < 0);
	*link = at;
	slot->next = -1;
	slot->used = true;
	slot->locator = log->locator;
	slot->log_prev = -1;
	slot->log_next = log->first;
	if (log->first >= 0)
		table->slots[log->first].log_prev = at;
	log->first = at;
	log->n++;
	return slot;
}

static void
put_state(ProducerLog *log, const PtProducerState *state, int64 now)
{
	int32		at = *find_link(&log->locator, state->producer_id);
	ProducerSlot *slot = at >= 0 ? &table->slots[at] : new_slot(log, state->producer_id, now);

	Assert(state->producer_id >= 0 && state->n <= PT_SEQUENCE_BATCHES);
	Assert(RelFileLocatorEquals(slot->locator, log->locator));
	Assert(slot->used);
	slot->recent = true;
	slot->state = *state;
}

/*
 * logs
 */

/* Forgets a log: it is read again when it is needed. */
static void
drop_log(ProducerLog *log)
{
	while (log->first >= 0)
		free_slot(log, log->first);
	Assert(log->n == 0);
	(void) hash_search(logs, &log->locator, HASH_REMOVE, NULL);
}

/* The entry of a log that is about to be read; another one's, if need be. */
static void
begin_log(const RelFileLocator *locator)
{
	ProducerLog *log = find_log(locator);
	HASH_SEQ_STATUS scan;

	if (log != NULL)
		drop_log(log);
	log = hash_search(logs, locator, HASH_ENTER_NULL, NULL);
	if (log == NULL)
	{
		hash_seq_init(&scan, logs);
		drop_log(hash_seq_search(&scan));
		hash_seq_term(&scan);
		log = hash_search(logs, locator, HASH_ENTER, NULL);
	}
	log->first = -1;
	log->n = 0;
	log->evicted = -1;
}

static bool
is_loaded(const RelFileLocator *locator)
{
	bool		loaded;

	LWLockAcquire(&table->lock, LW_SHARED);
	loaded = find_log(locator) != NULL;
	LWLockRelease(&table->lock);
	return loaded;
}

/*
 * Puts what was read of a log into the table.  Not more than half of the table
 * is taken from others for it: who is not there is found in the log.
 */
static void
put_all(const RelFileLocator *locator, HTAB *states, int64 now)
{
	HASH_SEQ_STATUS scan;
	PtProducerState *state;
	ProducerLog *log;
	int			taken = 0;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	begin_log(locator);
	log = find_log(locator);
	hash_seq_init(&scan, states);
	while ((state = hash_seq_search(&scan)) != NULL)
	{
		if (pt_sequence_expired(state, now, pt_producer_id_expiration))
			continue;
		if (table->free < 0 && taken++ >= pt_max_producers / 2)
			log->evicted = Max(log->evicted, state->producer_id);
		else
			put_state(log, state, now);
	}
	LWLockRelease(&table->lock);
}

/*
 * Reads the producers of a log when this is its first use since the start.
 * One that has had none yet may have the file number of one that is gone.
 */
void
pt_producers_load(Relation rel, PtLogState *log, int64 now)
{
	HTAB	   *states;

	Assert(log->producers_pos <= log->tail_pos);
	if (log->producers_pos != 0 && is_loaded(&log->locator))
		return;
	states = pt_log_producers_read(rel, log->producers_pos, now);
	put_all(&log->locator, states, now);
	hash_destroy(states);
}

/*
 * what others ask
 */

/*
 * Looks a producer up.  True: *state is what the log knows of it, a fresh one
 * when that is nothing.  False: it may be in the log and not here.
 */
static bool
look_up(const RelFileLocator *locator, int64 producer_id, int64 now, PtProducerState *state)
{
	ProducerLog *log;
	int32		at;
	bool		known;

	pt_sequence_init(state, producer_id);
	LWLockAcquire(&table->lock, LW_SHARED);
	log = find_log(locator);
	at = log ? *find_link(locator, producer_id) : -1;
	if (at >= 0)
		*state = table->slots[at].state;
	Assert(at < 0 || table->slots[at].used);
	known = at >= 0 || (log != NULL && producer_id > log->evicted);
	LWLockRelease(&table->lock);
	if (pt_sequence_expired(state, now, pt_producer_id_expiration))
		pt_sequence_init(state, producer_id);
	Assert(state->producer_id == producer_id);
	return known;
}

/*
 * Is this producer of a log known, or found in no time?
 */
bool
pt_producers_at_hand(const PtLogState *log, int64 producer_id, int64 now)
{
	PtProducerState state;

	if (log->producers_pos == 0)
		return true;
	return pt_pos_extent(log->tail_pos) - pt_pos_extent(log->producers_pos) < QUICK_EXTENTS ||
		look_up(&log->locator, producer_id, now, &state);
}

/*
 * What the log knows of a producer; a fresh state when that is nothing.  Reads
 * the log when the table does not say.
 */
void
pt_producers_get(Relation rel, PtLogState *log, int64 producer_id, int64 now, PtProducerState *state)
{
	pt_producers_load(rel, log, now);
	if (look_up(&log->locator, producer_id, now, state))
		return;
	if (!pt_log_producers_find(rel, log->producers_pos, producer_id, now, state))
		return;
	if (pt_sequence_expired(state, now, pt_producer_id_expiration))
		pt_sequence_init(state, producer_id);
	else
		pt_producers_put(&log->locator, state, now);
}

/*
 * When a producer was last seen, of one that is in the table: it knows better
 * than the log does.
 */
void
pt_producers_seen(const RelFileLocator *locator, PtProducerState *state)
{
	int32		at;

	LWLockAcquire(&table->lock, LW_SHARED);
	at = find_log(locator) ? *find_link(locator, state->producer_id) : -1;
	if (at >= 0)
		state->seen_at = table->slots[at].state.seen_at;
	LWLockRelease(&table->lock);
}

/*
 * Remembers a state, if its log has been read.  Does not throw: it is called
 * after the commit.
 */
void
pt_producers_put(const RelFileLocator *locator, const PtProducerState *state, int64 now)
{
	ProducerLog *log;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	log = find_log(locator);
	if (log != NULL)
		put_state(log, state, now);
	LWLockRelease(&table->lock);
}

/*
 * Copies what is known of a log's producers, and is not expired.  At most max.
 */
static int
copy_states(const RelFileLocator *locator, PtProducerState *states, int max, int64 now)
{
	ProducerLog *log;
	int			n = 0;

	LWLockAcquire(&table->lock, LW_SHARED);
	log = find_log(locator);
	for (int32 at = log ? log->first : -1; at >= 0 && n < max; at = table->slots[at].log_next)
	{
		states[n] = table->slots[at].state;
		if (!pt_sequence_expired(&states[n], now, pt_producer_id_expiration))
			n++;
	}
	LWLockRelease(&table->lock);
	return n;
}

/* How many slots the log has; -1: not all of its producers have one. */
static int
count_states(const RelFileLocator *locator)
{
	ProducerLog *log;
	int			n;

	LWLockAcquire(&table->lock, LW_SHARED);
	log = find_log(locator);
	n = log == NULL || log->evicted >= 0 ? -1 : log->n;
	LWLockRelease(&table->lock);
	return n;
}

/* Copies from the log, which the caller has the append lock of. */
static void
list_from_log(Relation rel, PtLogState *log, PtProducerState **states, int *n)
{
	int64		now = pt_now_ms();
	HTAB	   *all;
	int			found;

	pt_producers_load(rel, log, now);
	all = pt_log_producers_read(rel, log->producers_pos, now);
	*states = pt_log_producers_array(all, &found);
	for (int i = 0; i < found; i++)
	{
		if (!pt_sequence_expired(&(*states)[i], now, pt_producer_id_expiration))
			(*states)[(*n)++] = (*states)[i];
	}
	hash_destroy(all);
}

/*
 * The idempotent producers that a partition remembers, copied, in no order.
 * PT_BUSY: try again.  The append lock is needed only where the log must be
 * read: the first time since the start, and while not all have room in memory.
 */
PtStatus
pt_producers_list(Oid relid, PtProducerState **states, int *n)
{
	PtLogState *log = NULL;
	PtStatus	status = pt_log_find(relid, true, &log);
	RelFileLocator locator;
	Relation	rel;
	int			count;

	*states = NULL;
	*n = 0;
	if (status != PT_OK)
		return status;
	locator = log->locator;
	count = count_states(&locator);
	if (count >= 0)
	{
		*states = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(PtProducerState) * (count + 1));
		*n = copy_states(&locator, *states, count, pt_now_ms());
		return PT_OK;
	}
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
	list_from_log(rel, log, states, n);
	relation_close(rel, NoLock);
	return PT_OK;
}
