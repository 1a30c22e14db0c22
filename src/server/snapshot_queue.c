/*-------------------------------------------------------------------------
 *
 * snapshot_queue.c
 *	  Partitions whose producers need a snapshot in the log, and their turns.
 *
 * A notice says that a snapshot is due (../log/state.c), or retention finds
 * that one is all that keeps space from being freed.  Each partition has a
 * transaction of its own, as it holds the append lock.  One that is busy, or
 * has failed, is tried again, more and more rarely.
 *
 * A notice that is lost comes again with the next extent, and listeners do not
 * wait for us for ever (../produce/snapshots.c).
 *
 * Siblings: housekeeper.c, whose memory this is.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "produce/produce.h"
#include "server/snapshot_queue.h"

/* Until the next attempt, doubled each time. */
#define AGAIN_MS		50
#define AGAIN_MS_MAX	(60 * 1000)

typedef struct Waiting
{
	Oid			leaf;			/* hash key */
	int64		due_ms;			/* since 1970 */
	int64		backoff_ms;		/* 0: it has not been tried yet */
} Waiting;

static HTAB *waiting;			/* NULL: nothing was ever waiting */

static Waiting *first_due(void);

/* A partition has a snapshot due, unless it is known already. */
void
pt_snapshots_add(Oid leaf, int64 now)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Waiting),.hcxt = TopMemoryContext};
	Waiting    *entry;
	bool		found;

	Assert(OidIsValid(leaf));
	if (waiting == NULL)
		waiting = hash_create("pgtopic snapshots due", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	entry = hash_search(waiting, &leaf, HASH_ENTER, &found);
	if (found)
		return;
	entry->due_ms = now;
	entry->backoff_ms = 0;
}

/*
 * The same by file.  One that is no partition's any more, or of another
 * database, is passed over.  Needs a transaction.
 */
void
pt_snapshots_add_file(const RelFileLocator *locator, int64 now)
{
	Oid			leaf = InvalidOid;

	Assert(IsTransactionState());
	if (pt_locator_db(*locator) == MyDatabaseId)
		leaf = RelidByRelfilenumber(pt_locator_spc(*locator), pt_locator_number(*locator));
	if (OidIsValid(leaf))
		pt_snapshots_add(leaf, now);
}

/* The partition that is due first, NULL: none waits.  There are few. */
static Waiting *
first_due(void)
{
	HASH_SEQ_STATUS seq;
	Waiting    *entry;
	Waiting    *first = NULL;

	if (waiting == NULL)
		return NULL;
	hash_seq_init(&seq, waiting);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (first == NULL || entry->due_ms < first->due_ms)
			first = entry;
	}
	return first;
}

/* When the next one is due, in ms since 1970; PG_INT64_MAX: none is. */
int64
pt_snapshots_next(void)
{
	Waiting    *first = first_due();

	return first != NULL ? first->due_ms : PG_INT64_MAX;
}

/*
 * Writes the snapshot that is due first; false: none is due now.  Called
 * outside of a transaction.  An ERROR leaves one to be aborted, and the
 * partition is tried again.
 */
bool
pt_snapshots_write(int64 now)
{
	Waiting    *first = first_due();
	Oid			leaf;

	Assert(!IsTransactionState());
	if (first == NULL || first->due_ms > now)
		return false;
	leaf = first->leaf;
	first->backoff_ms = Min(Max(2 * first->backoff_ms, AGAIN_MS), AGAIN_MS_MAX);
	first->due_ms = now + first->backoff_ms;
	if (pt_producers_keep(leaf))
		(void) hash_search(waiting, &leaf, HASH_REMOVE, NULL);
	return true;
}
