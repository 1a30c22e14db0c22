/*-------------------------------------------------------------------------
 *
 * claims.c
 *	  How a listener gets its turn at an append lock that sessions wait for.
 *
 * A listener must not wait, so it only ever tries the append lock.  The server
 * hands a lock from one who waits to the next, and where sessions always wait
 * for one it is never to be had by trying.  So a listener that has tried in
 * vain leaves a claim in shared memory: this lock, this number.  Numbers only
 * grow.
 *
 * A session, before it asks for the append lock, lets the claims on it pass
 * that were there when it came (pt_claims_let_pass).  Sessions that have asked
 * before go first.  Each of them asks once, so the lock is free after as many
 * transactions at most; the one that finds it free wakes the listener
 * (pt_claims_released), which takes the lock and gives up the claim, and then
 * the sessions go on.
 *
 * Nobody may be held up by a listener that does not come, or by a deadlock,
 * which the server cannot see here.  So a session goes on when the lock has
 * been free for a while, or when nobody has released it for deadlock_timeout:
 * then it waits in the lock's own queue, where deadlocks are found.
 *
 * Claims belong to a process, which gives them up when its attempts end and
 * when it exits.  A crash clears them with all shared memory.  Where there is
 * no claim at all, a session reads one number.
 *
 * Siblings: lock.c (who asks), ../produce/produce.c, ../server/turn.c (the
 * attempts of a listener).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "xact/claims.h"
#include "xact/internal.h"

/*
 * Of all listeners.  One that finds no room goes without: it tries again and
 * again.
 */
#define CLAIMS_MAX	256

/*
 * How often a session that lets a claim pass looks whether the lock is free,
 * in ms.  The second time in a row the claim has lapsed.
 */
#define LOOK_MS		10

typedef struct Claim
{
	LOCKTAG		tag;
	bool		in_use;
	bool		lapsed;			/* its listener has let its turn go by */
	uint64		number;			/* those with smaller ones are older */
	Latch	   *latch;			/* of the listener */
	pg_atomic_uint32 offered;	/* the lock is free: try again */
	pg_atomic_uint32 releases;	/* of the lock since the claim was made */
	ConditionVariable passed;	/* broadcast when the claim ends */
} Claim;

typedef struct ClaimsShared
{
	LWLock		lock;			/* all fields but the atomic ones */
	pg_atomic_uint32 n;			/* claims in use */
	int			end;			/* those in use are before this one */
	uint64		last_number;
	Claim		claims[CLAIMS_MAX];
} ClaimsShared;

/* What this process has claimed. */
typedef struct OwnClaim
{
	Claim	   *claim;
	bool		renewed;		/* since the last pt_claims_sweep */
} OwnClaim;

static ClaimsShared *shared;
static OwnClaim own[CLAIMS_MAX];
static int	nown;

static Claim *find_room(void);
static void give_up(int i);
static void give_up_at_exit(int code, Datum arg);
static Claim *oldest_claim(const LOCKTAG *tag, uint64 number);
static void lapse(Claim *claim, uint64 number);

Size
pt_claims_shmem_size(void)
{
	return MAXALIGN(sizeof(ClaimsShared));
}

/* Called with AddinShmemInitLock held. */
void
pt_claims_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic claims", sizeof(ClaimsShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(ClaimsShared));
		LWLockInitialize(&shared->lock, pt_lwlock_tranche_new("pgtopic_claims"));
		pg_atomic_init_u32(&shared->n, 0);
		for (int i = 0; i < CLAIMS_MAX; i++)
		{
			pg_atomic_init_u32(&shared->claims[i].offered, 0);
			pg_atomic_init_u32(&shared->claims[i].releases, 0);
			ConditionVariableInit(&shared->claims[i].passed);
		}
	}
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_claims");
}

/*
 * The listener's side
 */

static inline bool
is_for(const Claim *claim, const LOCKTAG *tag)
{
	return memcmp(&claim->tag, tag, sizeof(LOCKTAG)) == 0;
}

static int
find_own(const LOCKTAG *tag)
{
	for (int i = 0; i < nown; i++)
	{
		if (is_for(own[i].claim, tag))
			return i;
	}
	return -1;
}

/*
 * Claims a lock, or keeps the claim that is there.  true: it is new, so the
 * lock may have come free before those who release it could know of the claim,
 * and must be tried once more.
 */
bool
pt_claim_make(const LOCKTAG *tag)
{
	static bool registered = false;
	int			i = find_own(tag);
	Claim	   *claim;

	if (i >= 0)
		own[i].renewed = true;
	if (i >= 0 && !own[i].claim->lapsed)
		return false;
	if (!registered)
		before_shmem_exit(give_up_at_exit, (Datum) 0);
	registered = true;
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	claim = i >= 0 ? own[i].claim : find_room();
	if (claim != NULL)
	{
		claim->tag = *tag;
		claim->in_use = true;
		claim->lapsed = false;
		claim->number = ++shared->last_number;
		claim->latch = MyLatch;
		pg_atomic_write_u32(&claim->offered, 0);
		pg_atomic_write_u32(&claim->releases, 0);
	}
	LWLockRelease(&shared->lock);
	if (claim != NULL && i < 0)
	{
		own[nown].claim = claim;
		own[nown++].renewed = true;
	}
	Assert(nown <= CLAIMS_MAX);
	return claim != NULL;
}

/* A claim that is not in use; NULL: all are.  Lock held exclusively. */
static Claim *
find_room(void)
{
	for (int i = 0; i < CLAIMS_MAX; i++)
	{
		if (shared->claims[i].in_use)
			continue;
		shared->end = Max(shared->end, i + 1);
		pg_atomic_fetch_add_u32(&shared->n, 1);
		return &shared->claims[i];
	}
	return NULL;
}

/* Ends this process's claim on a lock, if there is one. */
void
pt_claim_end(const LOCKTAG *tag)
{
	int			i = nown > 0 ? find_own(tag) : -1;

	if (i >= 0)
		give_up(i);
}

static void
give_up(int i)
{
	Claim	   *claim = own[i].claim;

	Assert(i < nown && claim->in_use);
	own[i] = own[--nown];
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	claim->in_use = false;
	while (shared->end > 0 && !shared->claims[shared->end - 1].in_use)
		shared->end--;
	LWLockRelease(&shared->lock);
	pg_atomic_fetch_sub_u32(&shared->n, 1);
	ConditionVariableBroadcast(&claim->passed);
}

/*
 * An attempt is over: claims that were not made or renewed in it are of
 * requests that have ended.
 */
void
pt_claims_sweep(void)
{
	for (int i = nown - 1; i >= 0; i--)
	{
		if (!own[i].renewed)
			give_up(i);
		else
			own[i].renewed = false;
	}
}

/* This process attempts nothing any more. */
void
pt_claims_give_up(void)
{
	while (nown > 0)
		give_up(nown - 1);
}

static void
give_up_at_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	pt_claims_give_up();
}

/* Has one of this process's claims come to its turn since the last time? */
bool
pt_claims_offered(void)
{
	bool		offered = false;

	for (int i = 0; i < nown; i++)
	{
		if (pg_atomic_exchange_u32(&own[i].claim->offered, 0) != 0)
			offered = true;
	}
	return offered;
}

/*
 * Does another listener have a claim on a lock, and this one none?  Then the
 * other one goes first.
 */
bool
pt_claims_foreign(const LOCKTAG *tag)
{
	bool		foreign;

	if (pg_atomic_read_u32(&shared->n) == 0 || find_own(tag) >= 0)
		return false;
	LWLockAcquire(&shared->lock, LW_SHARED);
	foreign = oldest_claim(tag, shared->last_number) != NULL;
	LWLockRelease(&shared->lock);
	return foreign;
}

/*
 * The sessions' side
 */

/* The oldest claim on a lock up to a number; the table's lock held. */
static Claim *
oldest_claim(const LOCKTAG *tag, uint64 number)
{
	Claim	   *oldest = NULL;

	for (int i = 0; i < shared->end; i++)
	{
		Claim	   *claim = &shared->claims[i];

		if (claim->in_use && !claim->lapsed && claim->number <= number && is_for(claim, tag) &&
			(oldest == NULL || claim->number < oldest->number))
			oldest = claim;
	}
	return oldest;
}

/*
 * To be called when an append lock has been released.  Does not throw.
 */
void
pt_claims_released(const LOCKTAG *tag)
{
	Claim	   *claim;

	if (pg_atomic_read_u32(&shared->n) == 0)
		return;
	LWLockAcquire(&shared->lock, LW_SHARED);
	claim = oldest_claim(tag, shared->last_number);
	if (claim != NULL)
	{
		pg_atomic_fetch_add_u32(&claim->releases, 1);
		if (LockWaiterCount(tag) == 0)	/* nor does anybody hold it */
		{
			pg_atomic_write_u32(&claim->offered, 1);
			SetLatch(claim->latch);
		}
	}
	LWLockRelease(&shared->lock);
}

/* Where a session stands that lets a claim pass. */
typedef struct Pass
{
	Claim	   *claim;
	uint64		number;			/* of the claim */
	uint32		releases;		/* of the lock when we looked last */
	TimestampTz since;			/* when it had grown */
	int			free;			/* looks in a row that found the lock free */
} Pass;

/* Finds the next claim to let pass; false: there is none. */
static bool
next_claim(Pass *pass, const LOCKTAG *tag, uint64 newest)
{
	Claim	   *claim;

	LWLockAcquire(&shared->lock, LW_SHARED);
	claim = oldest_claim(tag, newest);
	Assert(claim == NULL || (claim->number > 0 && claim->number <= newest));
	if (claim != NULL && (pass->claim != claim || pass->number != claim->number))
	{
		pass->claim = claim;
		pass->number = claim->number;
		pass->releases = pg_atomic_read_u32(&claim->releases);
		pass->since = GetCurrentTimestamp();
		pass->free = 0;
	}
	LWLockRelease(&shared->lock);
	return claim != NULL;
}

/* LOOK_MS have passed with the claim still there: has it had its chance? */
static bool
has_waited_enough(Pass *pass, const LOCKTAG *tag)
{
	uint32		releases = pg_atomic_read_u32(&pass->claim->releases);

	pass->free = LockWaiterCount(tag) == 0 ? pass->free + 1 : 0;
	if (pass->free > 1)
	{
		lapse(pass->claim, pass->number);
		return false;			/* the next one's turn */
	}
	if (releases != pass->releases)
	{
		pass->releases = releases;
		pass->since = GetCurrentTimestamp();
	}
	return TimestampDifferenceExceeds(pass->since, GetCurrentTimestamp(), DeadlockTimeout);
}

/*
 * The listener has not come though the lock was free.  Its next attempt makes
 * the claim anew.
 */
static void
lapse(Claim *claim, uint64 number)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (claim->number == number)
		claim->lapsed = true;
	LWLockRelease(&shared->lock);
	ConditionVariableBroadcast(&claim->passed);
}

/*
 * Sleeps until the claims on an append lock that are there now have passed.
 * To be called by a session before it asks for the lock, whatever other locks
 * it holds.  Can be cancelled.
 */
void
pt_claims_let_pass(const LOCKTAG *tag)
{
	static uint32 wait_event = 0;
	Pass		pass = {NULL};
	uint64		newest;

	if (pg_atomic_read_u32(&shared->n) == 0)
		return;
	LWLockAcquire(&shared->lock, LW_SHARED);
	newest = shared->last_number;
	LWLockRelease(&shared->lock);
	if (wait_event == 0)
		wait_event = pt_wait_event_new("PgtopicListenerTurn");
	while (next_claim(&pass, tag, newest))
	{
		/* the first call does not sleep: we look once more, being listed */
		if (ConditionVariableTimedSleep(&pass.claim->passed, LOOK_MS, wait_event) &&
			has_waited_enough(&pass, tag))
			break;
	}
	ConditionVariableCancelSleep();
}
