/*-------------------------------------------------------------------------
 *
 * housekeeping.c
 *	  What the housekeeper has done, in shared memory, for a view.
 *
 * A partition has a row as soon as something was removed of it, or could not
 * be.  There is room for as many as have their state in memory; of others
 * nothing is told.
 *
 * Siblings: housekeeper.c (who writes), ../stats/housekeeping.c (who reads).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "server/housekeeping.h"

typedef struct HousekeepingShared
{
	LWLock		lock;			/* the rows */
} HousekeepingShared;

static HousekeepingShared *shared;
static HTAB *rows;

static PtHousekeeping *enter(Oid leaf);

Size
pt_housekeeping_shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(HousekeepingShared)),
					hash_estimate_size(pt_max_partitions, sizeof(PtHousekeeping)));
}

/* Called with AddinShmemInitLock held. */
void
pt_housekeeping_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(PtHousekeeping)};
	bool		found;

	shared = ShmemInitStruct("pgtopic housekeeping", sizeof(HousekeepingShared), &found);
	if (!found)
		LWLockInitialize(&shared->lock, pt_lwlock_tranche_new("pgtopic_housekeeping"));
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_housekeeping");
	rows = pt_shmem_hash("pgtopic housekeeping table", pt_max_partitions, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* The row of a partition, which may be new; NULL: no room.  Lock held. */
static PtHousekeeping *
enter(Oid leaf)
{
	PtHousekeeping *row;
	bool		found;

	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	if (hash_get_num_entries(rows) >= pt_max_partitions)
		return hash_search(rows, &leaf, HASH_FIND, NULL);
	row = hash_search(rows, &leaf, HASH_ENTER_NULL, &found);
	if (row != NULL && !found)
	{
		row->records = row->bytes = 0;
		row->removed_at = row->failed_at = 0;
		row->error[0] = '\0';
	}
	return row;
}

/* So much has been removed of a partition. */
void
pt_housekeeping_removed(Oid leaf, int64 records, int64 bytes)
{
	PtHousekeeping *row;

	Assert(records >= 0 && bytes >= 0);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	row = enter(leaf);
	if (row != NULL)
	{
		row->records += records;
		row->bytes += bytes;
		row->removed_at = GetCurrentTimestamp();
	}
	LWLockRelease(&shared->lock);
}

/* Nothing could be done for a partition. */
void
pt_housekeeping_failed(Oid leaf, const char *error)
{
	PtHousekeeping *row;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	row = enter(leaf);
	if (row != NULL)
	{
		int			len = pg_mbcliplen(error, (int) strlen(error), PT_HOUSEKEEPING_ERROR - 1);

		memcpy(row->error, error, len);
		row->error[len] = '\0';
		row->failed_at = GetCurrentTimestamp();
	}
	LWLockRelease(&shared->lock);
}

/* The partition had an error, and has none any more. */
void
pt_housekeeping_good(Oid leaf)
{
	PtHousekeeping *row;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	row = hash_search(rows, &leaf, HASH_FIND, NULL);
	if (row != NULL)
	{
		row->failed_at = 0;
		row->error[0] = '\0';
	}
	LWLockRelease(&shared->lock);
}

/* The partition is gone. */
void
pt_housekeeping_forget(Oid leaf)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	(void) hash_search(rows, &leaf, HASH_REMOVE, NULL);
	LWLockRelease(&shared->lock);
}

/* Copies all rows into memory of the current context; returns how many. */
int
pt_housekeeping_read(PtHousekeeping **copies)
{
	HASH_SEQ_STATUS seq;
	PtHousekeeping *row;
	int			n = 0;

	*copies = palloc(Max(hash_get_num_entries(rows), 1) * sizeof(PtHousekeeping));
	LWLockAcquire(&shared->lock, LW_SHARED);
	*copies = repalloc(*copies, Max(hash_get_num_entries(rows), 1) * sizeof(PtHousekeeping));
	hash_seq_init(&seq, rows);
	while ((row = hash_seq_search(&seq)) != NULL)
		(*copies)[n++] = *row;
	LWLockRelease(&shared->lock);
	return n;
}
