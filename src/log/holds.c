/*-------------------------------------------------------------------------
 *
 * holds.c
 *	  Which extents somebody still reads, so that they are not used again.
 *
 * The start of a log moves for everybody at once, but who scans it keeps what
 * he has begun to read: his hold says from which logical extent on.  Nobody
 * puts such an extent to another use (space.c), on a standby neither does
 * redo, unless the hold is older than pgtopic.old_scan_threshold.  Then the
 * reader finds other numbers on the pages, and fails with an error.
 *
 * No hold comes too late: who reads first writes his hold and then looks up
 * where the extent is, under a share lock on the meta page; who takes an
 * extent asks for holds under an exclusive one.
 *
 * The table is of a fixed size.  Who finds no place in it reads unprotected,
 * and the same error is the worst that can happen.
 *
 * A hold belongs to the resource owner that was current when it began, and
 * goes with it, so that errors leave none.
 *
 * Siblings: space.c asks, reader.c holds.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "log/internal.h"

#define HOLDS_MAX	1024

typedef struct Hold
{
	RelFileLocator locator;
	bool		used;
	uint64		extent;			/* this one and all behind it */
	TimestampTz since;
} Hold;

typedef struct HoldsShared
{
	LWLock		lock;
	pg_atomic_uint32 reused;	/* see pt_hold_reused */
	int			used;			/* number of holds */
	int			top;			/* those from here on are not in use */
	Hold		holds[HOLDS_MAX];
} HoldsShared;

/* A hold of this process. */
typedef struct OwnHold
{
	dlist_node	node;
	int			at;
	ResourceOwner owner;
} OwnHold;

static HoldsShared *shared = NULL;
static dlist_head own_holds = DLIST_STATIC_INIT(own_holds);

static void release_callback(ResourceReleasePhase phase, bool is_commit, bool is_top, void *arg);
static void give_back(OwnHold *own);

Size
pt_holds_shmem_size(void)
{
	return MAXALIGN(sizeof(HoldsShared));
}

/* Called with AddinShmemInitLock held. */
void
pt_holds_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic holds", sizeof(HoldsShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(HoldsShared));
		pg_atomic_init_u32(&shared->reused, 0);
		LWLockInitialize(&shared->lock, pt_lwlock_tranche_new("pgtopic_holds"));
	}
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_holds");
}

/*
 * The caller is about to read a log from this logical extent on.  Returns a
 * number for pt_hold_move and pt_hold_end, or -1 when there is no place: these
 * take that, too.
 */
int
pt_hold_begin(const RelFileLocator *locator, uint64 extent)
{
	static bool registered = false;
	TimestampTz now = GetCurrentTimestamp();
	OwnHold    *own;
	int			at = 0;

	if (!registered)
	{
		RegisterResourceReleaseCallback(release_callback, NULL);
		registered = true;
	}
	own = MemoryContextAlloc(TopMemoryContext, sizeof(OwnHold));
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	while (at < HOLDS_MAX && shared->holds[at].used)
		at++;
	if (at < HOLDS_MAX)
	{
		shared->holds[at] = (Hold)
		{
			.locator = *locator,.used = true,.extent = extent,.since = now
		};
		shared->used++;
		shared->top = Max(shared->top, at + 1);
	}
	LWLockRelease(&shared->lock);
	if (at == HOLDS_MAX)
	{
		pfree(own);
		return -1;
	}
	own->at = at;
	own->owner = CurrentResourceOwner;
	dlist_push_head(&own_holds, &own->node);
	return at;
}

/* What lies before this extent is read no more (or, of a rescan, again). */
void
pt_hold_move(int hold, uint64 extent)
{
	if (hold < 0)
		return;
	Assert(hold < HOLDS_MAX && shared->holds[hold].used);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->holds[hold].extent = extent;
	LWLockRelease(&shared->lock);
}

void
pt_hold_end(int hold)
{
	dlist_iter	iter;

	dlist_foreach(iter, &own_holds)
	{
		OwnHold    *own = dlist_container(OwnHold, node, iter.cur);

		if (own->at == hold)
		{
			give_back(own);
			return;
		}
	}
	Assert(hold < 0);
}

static void
give_back(OwnHold *own)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	Assert(shared->holds[own->at].used && shared->used > 0);
	shared->holds[own->at].used = false;
	shared->used--;
	while (shared->top > 0 && !shared->holds[shared->top - 1].used)
		shared->top--;
	LWLockRelease(&shared->lock);
	dlist_delete(&own->node);
	pfree(own);
}

/* An error, or a portal that was closed by one, has left its holds. */
static void
release_callback(ResourceReleasePhase phase, bool is_commit, bool is_top, void *arg)
{
	dlist_mutable_iter iter;

	if (phase != RESOURCE_RELEASE_BEFORE_LOCKS)
		return;
	dlist_foreach_modify(iter, &own_holds)
	{
		OwnHold    *own = dlist_container(OwnHold, node, iter.cur);

		if (own->owner == CurrentResourceOwner)
			give_back(own);
	}
}

/*
 * The first extent of a log that somebody still reads, PT_NO_EXTENT: nobody
 * does.  Also of a process that replays WAL.
 */
uint64
pt_hold_oldest(const RelFileLocator *locator)
{
	uint64		oldest = PT_NO_EXTENT;
	TimestampTz since = DT_NOBEGIN;

	if (shared->used == 0)		/* whoever comes now sees the extent taken */
		return oldest;
	if (pt_old_scan_threshold >= 0)
		since = GetCurrentTimestamp() - pt_old_scan_threshold * USECS_PER_SEC;
	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < shared->top; i++)
	{
		const Hold *hold = &shared->holds[i];

		if (hold->used && hold->extent < oldest && hold->since >= since &&
			RelFileLocatorEquals(hold->locator, *locator))
			oldest = hold->extent;
	}
	LWLockRelease(&shared->lock);
	return oldest;
}

/*
 * A physical extent that compaction has freed at that time (s since 1970) is
 * about to be used again.
 */
void
pt_hold_reused(uint32 freed_at)
{
	uint32		newest = pg_atomic_read_u32(&shared->reused);

	while (newest < freed_at && !pg_atomic_compare_exchange_u32(&shared->reused, &newest, freed_at))
		;
}

/*
 * No physical extent has been used again that compaction has freed after this
 * time (s since 1970).
 */
uint32
pt_hold_newest_reused(void)
{
	return pg_atomic_read_u32(&shared->reused);
}
