/*-------------------------------------------------------------------------
 *
 * find_log.c
 *	  From a leaf's OID to its log's shared state, quickly.
 *
 * A fetch may ask for a thousand partitions of which none has anything new, so
 * looking one up must not cost a lock and a relation cache entry.  A hash of
 * this process remembers the states of logs that it has seen; invalidation
 * messages (DROP, TRUNCATE) take entries out, and a state that cannot be
 * pinned under the remembered locator belongs to another log by now.
 *
 * What is found this way is used without a relation lock.  If the table is
 * dropped meanwhile, reading its pages is an ERROR.
 *
 * Siblings: fetch.c, offsets.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "fetch/internal.h"
#include "topic/topic.h"
#include "xact/commit.h"

typedef struct KnownLog
{
	Oid			relid;			/* hash key */
	RelFileLocator locator;
	PtLogState *log;
} KnownLog;

static HTAB *known;				/* NULL until first use */

static void forget_log(Datum arg, Oid relid);
static PtStatus look_up(Oid relid, bool dont_wait, PtLogState **log);
static PtStatus take_state(Relation rel, bool dont_wait, PtLogState **log);

/* Relation cache callback; InvalidOid: everything. */
static void
forget_log(Datum arg, Oid relid)
{
	if (known == NULL)
		return;
	if (OidIsValid(relid))
		(void) hash_search(known, &relid, HASH_REMOVE, NULL);
	else
	{
		HASH_SEQ_STATUS scan;
		KnownLog   *entry;

		hash_seq_init(&scan, known);
		while ((entry = hash_seq_search(&scan)) != NULL)
			(void) hash_search(known, &entry->relid, HASH_REMOVE, NULL);
	}
}

static void
create_known(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(KnownLog),.hcxt = TopMemoryContext};

	known = hash_create("pgtopic logs", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_log, (Datum) 0);
}

/*
 * May consumers be told of the log's end?  One that was read from the log may
 * be of commits that no synchronous standby has; while none has come since the
 * start, nobody knows.
 */
static bool
end_is_safe(PtLogState *log)
{
	XLogRecPtr	lsn = pt_state_loaded_lsn(log);

	if (XLogRecPtrIsInvalid(lsn))
		return true;
	if (pt_commit_safe(lsn) < lsn)
		return false;
	pt_state_loaded_safe(log, lsn);
	return true;
}

/* pt_log_find, whether or not the end is safe. */
static PtStatus
find(Oid relid, bool dont_wait, PtLogState **log)
{
	KnownLog   *entry;

	if (known == NULL)
		create_known();
	entry = hash_search(known, &relid, HASH_FIND, NULL);
	if (entry && pt_state_pin(entry->log, &entry->locator))
	{
		*log = entry->log;
		return PT_OK;
	}
	return look_up(relid, dont_wait, log);
}

/*
 * The state of a leaf's log, pinned: pt_state_release when many are looked at
 * in one transaction.  PT_UNKNOWN_PARTITION when there is no such leaf;
 * PT_BUSY when somebody holds its table exclusively, or (dont_wait) when it is
 * not to be had at once, or not known to be on synchronous standbys.
 */
PtStatus
pt_log_find(Oid relid, bool dont_wait, PtLogState **log)
{
	PtStatus	status = find(relid, dont_wait, log);

	Assert(IsTransactionState());
	if (status != PT_OK || !dont_wait || end_is_safe(*log))
		return status;
	pt_state_release(*log);
	return PT_BUSY;
}

/* The slow way, under a lock on the table. */
static PtStatus
look_up(Oid relid, bool dont_wait, PtLogState **log)
{
	Relation	rel;
	int32		partition;
	bool		is_leaf;
	PtStatus	status = PT_UNKNOWN_PARTITION;

	if (!OidIsValid(relid))
		return PT_UNKNOWN_PARTITION;
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return PT_BUSY;
	rel = try_relation_open(relid, NoLock);
	is_leaf = rel != NULL && pt_topic_by_leaf(relid, &partition) != NULL;
	if (is_leaf)
		status = take_state(rel, dont_wait, log);
	if (rel)
		relation_close(rel, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return status;
}

/* Pins the state of an open leaf, and remembers where it is. */
static PtStatus
take_state(Relation rel, bool dont_wait, PtLogState **log)
{
	Oid			relid = RelationGetRelid(rel);
	KnownLog   *entry;

	*log = dont_wait ? pt_state_try(rel) : pt_state_get(rel);
	if (*log == NULL)
		return PT_BUSY;
	entry = hash_search(known, &relid, HASH_ENTER, NULL);
	entry->locator = (*log)->locator;
	entry->log = *log;
	return PT_OK;
}

/* Start of the log, both numbers from the same moment. */
void
pt_log_start(PtLogState *log, int64 *offset, PtLogPos *pos)
{
	SpinLockAcquire(&log->mutex);
	*offset = log->start_offset;
	*pos = log->start_pos;
	SpinLockRelease(&log->mutex);
}

int64
pt_log_start_offset(PtLogState *log)
{
	int64		offset;
	PtLogPos	pos;

	pt_log_start(log, &offset, &pos);
	return offset;
}

/* Nobody has put another log in the place of the state that we know. */
bool
pt_log_is(const PtLogState *log, const RelFileLocator *locator)
{
	return log->loaded && RelFileLocatorEquals(log->locator, *locator);
}
