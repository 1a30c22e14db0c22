/*-------------------------------------------------------------------------
 *
 * lock.c
 *	  The append lock: at most one transaction at the tail of a log.
 *
 * It is a heavyweight lock on (database, pg_class, leaf, 1), so that waiting
 * for it is interruptible, deadlocks are detected, pg_locks shows it, and it
 * goes with a prepared transaction.  It is held until the commit record of the
 * transaction is in WAL; then commit order is offset order.
 *
 * Which locks the transaction holds is remembered here, with the nesting
 * level that took them, for two reasons: taking one twice costs nothing, and
 * they can be released as soon as the commit is known to the logs.
 *
 * Sessions wait for the lock.  A listener only tries, and claims what it did
 * not get: sessions that come later let it go first (claims.c).
 *
 * Siblings: claims.c, tails.c (early release).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/resowner.h"

#include "xact/claims.h"
#include "xact/internal.h"

/* Tells the append lock from other locks on the relation's pg_class row. */
#define APPEND_LOCK_SUBID	1

/*
 * How often to look again before waiting in the lock's queue: first after so
 * many microseconds, then after twice that, and so on.
 */
#define APPEND_LOCK_TRIES		6
#define APPEND_LOCK_SLEEP_US	20

typedef struct HeldLock
{
	PtLevelItem held;			/* by the level that would release it */
	Oid			relid;
} HeldLock;

static PtLevelStack locks = PT_LEVEL_STACK(HeldLock);

/* The server itself releases them when a (sub)transaction aborts. */
const PtXactKind pt_xact_locks = {
	.name = "append locks",
	.stack = &locks,
	.committed = pt_append_locks_release,
};

static void
append_lock_tag(LOCKTAG *tag, Oid relid)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, RelationRelationId, relid, APPEND_LOCK_SUBID);
}

/* Newest first: what is asked for again is mostly the last one taken. */
static bool
is_held(Oid relid)
{
	for (int i = locks.n - 1; i >= 0; i--)
	{
		if (((HeldLock *) pt_levels_at(&locks, i))->relid == relid)
			return true;
	}
	return false;
}

/*
 * Somebody holds the lock.  Mostly that is a commit, over in some tens of
 * microseconds; were we to queue up at once, the lock would be handed from
 * sleeper to sleeper, and each has to be woken before it goes on.  So look
 * again a few times before that, at growing intervals.
 */
static LockAcquireResult
wait_for_lock(const LOCKTAG *tag)
{
	for (int i = 0; i < APPEND_LOCK_TRIES; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(APPEND_LOCK_SLEEP_US << i);
		if (LockAcquire(tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
			return LOCKACQUIRE_OK;
	}
	return LockAcquire(tag, ExclusiveLock, false, false);
}

/* Tries; claims the lock where that is in vain. */
static LockAcquireResult
claim_lock(const LOCKTAG *tag)
{
	LockAcquireResult result = LOCKACQUIRE_NOT_AVAIL;

	if (pt_claims_foreign(tag))
	{
		(void) pt_claim_make(tag);
		return result;
	}
	result = LockAcquire(tag, ExclusiveLock, false, true);
	if (result == LOCKACQUIRE_NOT_AVAIL && pt_claim_make(tag))
		result = LockAcquire(tag, ExclusiveLock, false, true);
	if (result != LOCKACQUIRE_NOT_AVAIL)
		pt_claim_end(tag);
	return result;
}

static LockAcquireResult
take_lock(const LOCKTAG *tag, PtLockHow how)
{
	LockAcquireResult result;

	if (how == PT_LOCK_CLAIM)
		return claim_lock(tag);
	if (how == PT_LOCK_WAIT)
		pt_claims_let_pass(tag);
	result = LockAcquire(tag, ExclusiveLock, false, true);
	if (result == LOCKACQUIRE_NOT_AVAIL && how == PT_LOCK_WAIT)
		result = wait_for_lock(tag);
	return result;
}

/* A leaf, and whether it is one of an internal topic. */
typedef struct LockPlace
{
	Oid			relid;
	bool		internal;
} LockPlace;

static int
compare_places(const void *a, const void *b)
{
	const LockPlace *x = a;
	const LockPlace *y = b;

	if (x->internal != y->internal)
		return x->internal ? 1 : -1;
	return x->relid < y->relid ? -1 : x->relid > y->relid;
}

/*
 * Brings leaves into the order in which their append locks are taken: by OID,
 * those of internal topics last.  What everybody writes to, as
 * __consumer_offsets, is then not locked while something large is appended to
 * the others.
 */
void
pt_append_locks_sort(Oid *relids, int n)
{
	LockPlace  *places;

	if (n < 2)
		return;
	places = palloc(n * sizeof(LockPlace));
	for (int i = 0; i < n; i++)
	{
		int32		partition;
		const PtTopic *topic = pt_topic_by_leaf(relids[i], &partition);

		places[i].relid = relids[i];
		places[i].internal = topic != NULL && topic->internal;
	}
	qsort(places, n, sizeof(LockPlace), compare_places);
	for (int i = 0; i < n; i++)
		relids[i] = places[i].relid;
	pfree(places);
}

/*
 * Takes the append lock of a leaf for the rest of the (sub)transaction.
 * false: another transaction holds it, or waits for it, and "how" says not to
 * wait.  Whoever takes several does so in the order of pt_append_locks_sort.
 */
bool
pt_append_lock(Oid relid, PtLockHow how)
{
	ResourceOwner owner = CurrentResourceOwner;
	LockAcquireResult result;
	LOCKTAG		tag;

	Assert(OidIsValid(relid));
	Assert(IsTransactionState());
	if (is_held(relid))
		return true;
	append_lock_tag(&tag, relid);

	/*
	 * The transaction must own it, not a portal, or it could not be released
	 * early.
	 */
	CurrentResourceOwner = CurTransactionResourceOwner;
	result = take_lock(&tag, how);
	CurrentResourceOwner = owner;
	if (result == LOCKACQUIRE_NOT_AVAIL)
		return false;
	((HeldLock *) pt_levels_push(&locks))->relid = relid;
	return true;
}

/*
 * Takes the lock for a moment, if nobody has it, for who appends what is no
 * transaction's.  pt_append_unlock gives it back, in the same subtransaction.
 * False: it is taken, or the transaction is one that may hold it.
 */
bool
pt_append_lock_briefly(Oid relid)
{
	return !TransactionIdIsValid(GetTopTransactionIdIfAny()) && !is_held(relid) &&
		pt_append_lock(relid, PT_LOCK_TRY);
}

void
pt_append_unlock(Oid relid)
{
	ResourceOwner owner = CurrentResourceOwner;
	LOCKTAG		tag;

	Assert(locks.n > 0 && ((HeldLock *) pt_levels_at(&locks, locks.n - 1))->relid == relid);
	append_lock_tag(&tag, relid);
	CurrentResourceOwner = CurTransactionResourceOwner;
	LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
	pt_claims_released(&tag);
	locks.n--;
}

/*
 * Releases all of them, when the top-level transaction has committed and its
 * logs know.  Does not throw.
 */
void
pt_append_locks_release(void)
{
	ResourceOwner owner = CurrentResourceOwner;

	if (locks.n == 0)
		return;
	Assert(GetCurrentTransactionNestLevel() == 1);
	CurrentResourceOwner = TopTransactionResourceOwner;
	for (int i = 0; i < locks.n; i++)
	{
		const HeldLock *lock = pt_levels_at(&locks, i);
		LOCKTAG		tag;

		Assert(lock->held.level == 1);
		append_lock_tag(&tag, lock->relid);
		LockRelease(&tag, ExclusiveLock, false);
		pt_claims_released(&tag);
	}
	CurrentResourceOwner = owner;
	pt_levels_forget(&locks);
}
