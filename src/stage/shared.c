/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The table of producers that may stage, and the memory of what they have
 *	  staged.
 *
 * A hash table (dshash) by producer id and everything that its entries point
 * to are in one area of dynamic shared memory, which the first process that
 * needs it makes.  pgtopic.transaction_memory bounds what is staged there; it
 * is counted here, as entries must always have room.
 *
 * A crash wipes all of it.
 *
 * Siblings: publish.c (who may stage), admit.c, offsets.c (what comes), file.c
 * (what does not fit), read.c (what is committed).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/memutils.h"

#include "guard.h"
#include "guc.h"
#include "stage/internal.h"

#define PARTS_MIN	4

/* After the system had no memory for a batch: the next ones go to files. */
#define PAUSE_MS	1000

StageShared *pt_stage_shared;

/* attachments of this process; NULL: not attached yet */
dsa_area   *pt_stage_area;
dshash_table *pt_stage_table;

Size
pt_stage_shmem_size(void)
{
	return sizeof(StageShared);
}

/* Called with AddinShmemInitLock held. */
void
pt_stage_shmem_init(void)
{
	bool		found;

	pt_stage_shared = ShmemInitStruct("pgtopic stage", sizeof(StageShared), &found);
	if (!found)
	{
		memset(pt_stage_shared, 0, sizeof(StageShared));
		LWLockInitialize(&pt_stage_shared->lock, pt_lwlock_tranche_new("pgtopic_stage"));
		pt_stage_shared->tranche = pt_lwlock_tranche_new("pgtopic_staged");
		pt_stage_shared->area = DSM_HANDLE_INVALID;
		pt_stage_files_init(&pt_stage_shared->files);
		pg_atomic_init_u32(&pt_stage_shared->last_file, 0);
		pg_atomic_init_u32(&pt_stage_shared->news, 0);
		pg_atomic_init_u32(&pt_stage_shared->with_rows, 0);
		pg_atomic_init_u64(&pt_stage_shared->memory_bytes, 0);
		pg_atomic_init_u64(&pt_stage_shared->parts_bytes, 0);
		pg_atomic_init_u64(&pt_stage_shared->disk_bytes, 0);
	}
	pt_lwlock_tranche_name(pt_stage_shared->lock.tranche, "pgtopic_stage");
	pt_lwlock_tranche_name(pt_stage_shared->tranche, "pgtopic_staged");
}

/* With the lock. */
static void
make_tables(const dshash_parameters *params)
{
	dsa_area   *area = dsa_create(pt_stage_shared->tranche);
	dshash_table *table = dshash_create(area, params, NULL);

	dsa_pin(area);
	dsa_pin_mapping(area);
	pt_stage_shared->area = dsa_get_handle(area);
	pt_stage_shared->table = dshash_get_hash_table_handle(table);
	pt_stage_area = area;
	pt_stage_table = table;
}

/*
 * Attaches this process, to its end; whoever comes first makes the table.  All
 * other functions of the room do this, or expect it.
 */
void
pt_stage_attach(void)
{
	dshash_parameters params = {
		.key_size = sizeof(int64),
		.entry_size = sizeof(StageEntry),
		.compare_function = dshash_memcmp,
		.hash_function = dshash_memhash,
		PT_DSHASH_COPY
		.tranche_id = pt_stage_shared->tranche
	};
	MemoryContext old;

	if (pt_stage_table != NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	LWLockAcquire(&pt_stage_shared->lock, LW_EXCLUSIVE);
	if (pt_stage_shared->area == DSM_HANDLE_INVALID)
		make_tables(&params);
	else
	{
		if (pt_stage_area == NULL)
		{
			pt_stage_area = dsa_attach(pt_stage_shared->area);
			dsa_pin_mapping(pt_stage_area);
		}
		pt_stage_table = dshash_attach(pt_stage_area, &params, pt_stage_shared->table, NULL);
	}
	LWLockRelease(&pt_stage_shared->lock);
	MemoryContextSwitchTo(old);
}

/*
 * Has anybody ever been published?  Those who only look need not make the
 * table.
 */
bool
pt_stage_exists(void)
{
	if (pt_stage_table != NULL)
		return true;
	if (pt_stage_shared->area == DSM_HANDLE_INVALID)
		return false;			/* or in this moment */
	pt_stage_attach();
	return true;
}

/* The entry of a producer id, locked; NULL: there is none. */
StageEntry *
pt_stage_find(int64 producer_id, bool exclusive)
{
	if (!pt_stage_exists())
		return NULL;
	return dshash_find(pt_stage_table, &producer_id, exclusive);
}

void
pt_stage_unlock(StageEntry *entry)
{
	dshash_release_lock(pt_stage_table, entry);
}

PtString
pt_stage_id(const StageEntry *entry)
{
	PtString	id = {pt_stage_get(char, entry->id), entry->id_len};

	Assert(entry->id_len > 0);
	return id;
}

void
pt_stage_set_news(StageEntry *entry, bool has_news)
{
	if (entry->has_news == has_news)
		return;
	entry->has_news = has_news;
	if (has_news)
		pg_atomic_fetch_add_u32(&pt_stage_shared->news, 1);
	else
		pg_atomic_fetch_sub_u32(&pt_stage_shared->news, 1);
}

typedef struct Wanted
{
	Size		size;
	dsa_pointer result;
} Wanted;

/* For pt_guarded(). */
static void
allocate(void *arg)
{
	Wanted	   *wanted = arg;

	wanted->result = dsa_allocate_extended(pt_stage_area, wanted->size, DSA_ALLOC_HUGE | DSA_ALLOC_NO_OOM);
}

/*
 * Memory of the area that is not counted; invalid when the system has none.
 * Called without LWLocks, does not throw.
 *
 * The area grows by segments, and the server throws where it cannot make one,
 * whatever it is asked (DSA_ALLOC_NO_OOM): /dev/shm is full.  Then it holds
 * its own LWLocks, has another resource owner than ours, and half a segment,
 * all of which a subtransaction sets right.  The area has not changed by then,
 * except that a few bytes of it may be lost.
 */
dsa_pointer
pt_stage_allocate_uncounted(Size size)
{
	Wanted		wanted = {size, InvalidDsaPointer};
	ErrorData  *error = pt_guarded(allocate, &wanted);

	if (error != NULL)
		FreeErrorData(error);
	return error == NULL ? wanted.result : InvalidDsaPointer;
}

/*
 * Memory for what is staged; invalid when pgtopic.transaction_memory is used
 * up, or the system has none.  A quarter of it is left to what has no other
 * place ("must"), so that batches, which have, never take all.  Called without
 * locks, does not throw.
 */
dsa_pointer
pt_stage_allocate(Size size, bool must)
{
	static TimestampTz pause_until; /* the system had none for a batch */
	uint64		limit = (uint64) pt_transaction_memory * 1024;
	dsa_pointer result;

	if (!must)
		limit -= limit / 4;
	if (pg_atomic_read_u64(&pt_stage_shared->memory_bytes) + size > limit)
		return InvalidDsaPointer;
	if (!must && pause_until != 0 && GetCurrentTimestamp() < pause_until)
		return InvalidDsaPointer;
	result = pt_stage_allocate_uncounted(size);
	if (DsaPointerIsValid(result))
		pg_atomic_fetch_add_u64(&pt_stage_shared->memory_bytes, size);
	pause_until = DsaPointerIsValid(result) ? 0 : TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PAUSE_MS);
	return result;
}

void
pt_stage_free(dsa_pointer what, Size size)
{
	Assert(DsaPointerIsValid(what) && pg_atomic_read_u64(&pt_stage_shared->memory_bytes) >= size);
	dsa_free(pt_stage_area, what);
	pg_atomic_fetch_sub_u64(&pt_stage_shared->memory_bytes, size);
}

/*
 * partitions of an entry
 */

/* Where the partition is, or belongs. */
static int
part_place(const StageEntry *entry, Oid leaf)
{
	const StagePart *parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;
	int			low = 0;
	int			high = entry->nparts;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (parts[middle].leaf < leaf)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL: nothing of it has come. */
StagePart *
pt_stage_part(const StageEntry *entry, Oid leaf)
{
	int			at = part_place(entry, leaf);
	StagePart  *parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;

	return at < entry->nparts && parts[at].leaf == leaf ? &parts[at] : NULL;
}

/* How many partitions an entry must have room for, if one more comes now. */
static int32
parts_needed(const StageEntry *entry)
{
	return entry->nparts < entry->parts_cap ? entry->parts_cap : Max(PARTS_MIN, entry->parts_cap * 2);
}

/* Gives an entry more room; false: it has it already. */
static bool
move_parts(StageEntry *entry, dsa_pointer parts, int32 cap)
{
	if (cap <= entry->parts_cap)
		return false;
	if (entry->parts_cap > 0)
	{
		memcpy(pt_stage_get(StagePart, parts), pt_stage_get(StagePart, entry->parts),
			   entry->nparts * sizeof(StagePart));
		dsa_free(pt_stage_area, entry->parts);
	}
	pg_atomic_fetch_add_u64(&pt_stage_shared->parts_bytes, (cap - entry->parts_cap) * sizeof(StagePart));
	entry->parts = parts;
	entry->parts_cap = cap;
	return true;
}

/*
 * Makes room for a partition in the entry of a producer id, if it has none,
 * before the entry is locked for more.  Where there is no memory, or somebody
 * else takes the room, pt_stage_part_add will say so.  Called without LWLocks.
 */
void
pt_stage_part_reserve(int64 producer_id, Oid leaf)
{
	StageEntry *entry = pt_stage_find(producer_id, false);
	dsa_pointer parts;
	int32		had;
	int32		cap;

	if (entry == NULL)
		return;
	had = entry->parts_cap;
	cap = pt_stage_part(entry, leaf) ? had : parts_needed(entry);
	pt_stage_unlock(entry);
	if (cap == had || pg_atomic_read_u64(&pt_stage_shared->parts_bytes) + (cap - had) * sizeof(StagePart) >
		(uint64) pt_transaction_memory * 1024)
		return;
	parts = pt_stage_allocate_uncounted(cap * sizeof(StagePart));
	if (!DsaPointerIsValid(parts))
		return;
	entry = pt_stage_find(producer_id, true);
	if (entry != NULL && move_parts(entry, parts, cap))
		parts = InvalidDsaPointer;
	if (entry != NULL)
		pt_stage_unlock(entry);
	if (DsaPointerIsValid(parts))
		dsa_free(pt_stage_area, parts);
}

/*
 * The partition, which is entered when it is not there; NULL: there is no room
 * for that (pt_stage_part_reserve).  The entry is locked exclusively.
 */
StagePart *
pt_stage_part_add(StageEntry *entry, Oid leaf)
{
	StagePart  *part = pt_stage_part(entry, leaf);
	int			at;

	Assert(OidIsValid(leaf));
	if (part != NULL)
		return part;
	if (entry->nparts == entry->parts_cap)
		return NULL;
	at = part_place(entry, leaf);
	part = pt_stage_get(StagePart, entry->parts) + at;
	memmove(part + 1, part, (entry->nparts - at) * sizeof(StagePart));
	entry->nparts++;
	memset(part, 0, sizeof(*part));
	part->leaf = leaf;
	pt_sequence_init(&part->sequences, entry->producer_id);
	return part;
}

void
pt_stage_parts_free(StageEntry *entry)
{
	if (entry->parts_cap > 0)
	{
		dsa_free(pt_stage_area, entry->parts);
		pg_atomic_fetch_sub_u64(&pt_stage_shared->parts_bytes, entry->parts_cap * sizeof(StagePart));
	}
	entry->parts = InvalidDsaPointer;
	entry->nparts = entry->parts_cap = 0;
}

/*
 * what is staged
 */

/*
 * Takes it away from its entry; pt_stage_discard frees it, when the entry is
 * not locked any more.
 */
StageStore
pt_stage_take(StageEntry *entry)
{
	StageStore	store = entry->store;
	StagePart  *parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;

	if (DsaPointerIsValid(store.first_rows))
		pg_atomic_fetch_sub_u32(&pt_stage_shared->with_rows, 1);
	memset(&entry->store, 0, sizeof(entry->store));
	entry->started_at = 0;
	for (int i = 0; i < entry->nparts; i++)
		parts[i].records = 0;
	return store;
}

/* Does not throw. */
void
pt_stage_discard(const StageStore *store)
{
	dsa_pointer next;

	for (dsa_pointer at = store->first_piece; DsaPointerIsValid(at); at = next)
	{
		const StagePiece *piece = pt_stage_get(StagePiece, at);

		next = piece->next;
		pt_stage_free(at, sizeof(StagePiece) + piece->header.length);
	}
	for (dsa_pointer at = store->first_rows; DsaPointerIsValid(at); at = next)
	{
		const StageRows *rows = pt_stage_get(StageRows, at);

		next = rows->next;
		pt_stage_free(at, rows->size);
	}
	if (store->file == 0)
		return;
	pg_atomic_fetch_sub_u64(&pt_stage_shared->disk_bytes, store->disk_bytes);
	pt_stage_file_remove(store->file);
}

/*
 * What comes for this transaction cannot be kept: what is there goes, and the
 * coordinator will hear of it.
 */
void
pt_stage_doom(int64 producer_id, uint64 serial)
{
	StageEntry *entry = pt_stage_find(producer_id, true);
	StageStore	store;

	if (entry == NULL)
		return;
	if (entry->serial != serial || entry->doomed || entry->phase == TXN_PHASE_ENDING)
	{
		pt_stage_unlock(entry);
		return;
	}
	entry->doomed = true;
	store = pt_stage_take(entry);
	pt_stage_set_news(entry, true);
	pt_stage_unlock(entry);
	pt_stage_discard(&store);
}
