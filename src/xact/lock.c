/*-------------------------------------------------------------------------
 *
 * lock.c
 *	  The append lock: at most one transaction at the tail of a log.
 *
 * It is a heavyweight lock on (database, pg_class, leaf, 1), so that waiting
 * for it is interruptible, deadlocks are detected, pg_locks shows it, and it goes
 * with a prepared transaction.  It is held until the commit record of the
 * transaction is in WAL; then commit order is offset order.
 *
 * Which locks the transaction holds is remembered here, with the nesting
 * level that took them, for two reasons: taking one twice costs nothing, and
 * xact.c can release them early (see there).
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
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "xact/internal.h"

/* Tells the append lock from other locks on the relation's pg_class row. */
#define APPEND_LOCK_SUBID	1

/* How often to look again before waiting in the lock's queue, first after so many microseconds, then twice that, ... */
#define APPEND_LOCK_TRIES		6
#define APPEND_LOCK_SLEEP_US	20

typedef struct HeldLock
{
	Oid			relid;
	int			level;			/* nesting level that would release it */
} HeldLock;

/* In TopTransactionContext; levels never decrease along the array. */
static HeldLock *held;
static int	nheld;
static int	held_cap;

static void
append_lock_tag(LOCKTAG *tag, Oid relid)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, RelationRelationId, relid, APPEND_LOCK_SUBID);
}

/* Newest first: what is asked for again is mostly the last one taken. */
static bool
is_held(Oid relid)
{
	for (int i = nheld - 1; i >= 0; i--)
	{
		if (held[i].relid == relid)
			return true;
	}
	return false;
}

static void
remember(Oid relid)
{
	if (nheld == held_cap)
	{
		int			cap = Max(16, held_cap * 2);

		if (held == NULL)
			held = MemoryContextAlloc(TopTransactionContext, cap * sizeof(HeldLock));
		else
			held = repalloc(held, cap * sizeof(HeldLock));
		held_cap = cap;
	}
	/* levels grow along the array: an outer one gets nothing behind an inner one */
	Assert(nheld == 0 || held[nheld - 1].level <= GetCurrentTransactionNestLevel());
	held[nheld].relid = relid;
	held[nheld].level = GetCurrentTransactionNestLevel();
	nheld++;
}

/*
 * Somebody holds the lock.  Mostly that is a commit, over in some tens of microseconds; were we to queue
 * up at once, the lock would be handed from sleeper to sleeper, and each has to be woken
 * before it goes on.  So look again a few times before that, at growing
 * intervals.
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
	remember(relid);
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
	for (int i = 0; i < nheld; i++)
	{
		LOCKTAG		tag;

		Assert(held[i].level == 1);
		append_lock_tag(&tag, held[i].relid);
		LockRelease(&tag, ExclusiveLock, false);
	}
	CurrentResourceOwner = owner;
	nheld = 0;
}

/* The subtransaction at "level" has committed into its parent. */
void
pt_append_locks_sub_commit(int level)
{
	Assert(level > 1);
	for (int i = nheld - 1; i >= 0 && held[i].level >= level; i--)
		held[i].level = level - 1;
}

/* The subtransaction has aborted: the server releases what it had locked. */
void
pt_append_locks_sub_abort(int level)
{
	Assert(level > 1);
	while (nheld > 0 && held[nheld - 1].level >= level)
		nheld--;
}

/* End of the transaction; the server releases the locks and the memory. */
void
pt_append_locks_forget(void)
{
	held = NULL;
	nheld = held_cap = 0;
}
