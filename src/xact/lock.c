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
 * tails.c can release them early.
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

/*
 * The server itself releases them, when a (sub)transaction aborts or all is
 * done.
 */
const PtXactKind pt_xact_locks = {
	.name = "append locks",
	.stack = &locks,
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

/*
 * Takes the append lock of a leaf for the rest of the (sub)transaction.  With
 * dont_wait, false when another transaction holds it.  Whoever takes several
 * does so by ascending OID.
 */
bool
pt_append_lock(Oid relid, bool dont_wait)
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
	result = LockAcquire(&tag, ExclusiveLock, false, true);
	if (result == LOCKACQUIRE_NOT_AVAIL && !dont_wait)
		result = wait_for_lock(&tag);
	CurrentResourceOwner = owner;
	if (result == LOCKACQUIRE_NOT_AVAIL)
		return false;
	((HeldLock *) pt_levels_push(&locks))->relid = relid;
	return true;
}

/*
 * Releases all of them, when the top-level transaction's commit record is in
 * WAL.  Does not throw.
 */
void
pt_append_locks_release(void)
{
	ResourceOwner owner = CurrentResourceOwner;

	Assert(GetCurrentTransactionNestLevel() == 1);
	CurrentResourceOwner = TopTransactionResourceOwner;
	for (int i = 0; i < locks.n; i++)
	{
		const HeldLock *lock = pt_levels_at(&locks, i);
		LOCKTAG		tag;

		Assert(lock->held.level == 1);
		append_lock_tag(&tag, lock->relid);
		LockRelease(&tag, ExclusiveLock, false);
	}
	CurrentResourceOwner = owner;
	pt_levels_forget(&locks);
}
