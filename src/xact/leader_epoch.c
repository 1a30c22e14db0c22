/*-------------------------------------------------------------------------
 *
 * leader_epoch.c
 *	  The leader epoch: which history of the server a batch belongs to.
 *
 * Kafka clients compare it with the one they have seen (KIP-101, KIP-320), so
 * it must grow whenever what was appended last may not be there any more or
 * not be the same, and it must never go back: after a promotion or a restore
 * from an archive (a new timeline), after pg_upgrade or a restore of a dump
 * (another system identifier).
 *
 * The sequence "leader_epochs" of the extension has, in one value, the epoch
 * of the newest batch (above) and a fingerprint of the history that it was
 * appended in (below).  A sequence is what fits: setting it does not wait for
 * the transaction that does, dumps carry it along, and its WAL record precedes
 * that of the first batch with the new epoch, so that the one is never durable
 * without the other.
 *
 * The epoch now follows from that value, the timeline and the system
 * identifier: it is the stored one while the history is the same, else the
 * next, and at least the timeline, because two servers that were restored to
 * the same past have different ones.  Whoever only wants to know it computes
 * it; whoever appends stores it first.
 *
 * Somebody may have the sequence locked, by ALTER SEQUENCE.  Then what this
 * process has read last is good enough.  If it has read nothing yet, sessions
 * wait, and processes that serve others do not.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "topic/topic.h"
#include "xact/internal.h"

#define EPOCH_SEQUENCE		"leader_epochs"

/* The last field of the tag of the lock held while an epoch is stored */
#define EPOCH_LOCK			2

/*
 * Set in processes that serve others: they wait for no lock, as all their
 * clients would wait with them.
 */
bool		pt_serves_others = false;

/* What this transaction knows; 0: nothing yet. */
static int32 known_epoch = 0;
static bool known_stored = false;

static void forget_epoch(void);
static TimeLineID current_timeline(void);
static uint32 fingerprint(TimeLineID timeline);
static bool lock_sequence(Oid sequence, LOCKMODE mode, bool dont_wait);
static bool read_sequence(Oid sequence, bool dont_wait, int64 *value);
static int64 read_page(Oid sequence);
static bool know(bool dont_wait);
static bool store(bool dont_wait);
static bool epoch_from(int64 stored, int32 *epoch);
static void store_epoch(Oid sequence, int32 epoch);

const PtXactKind pt_xact_leader_epoch = {
	.name = "leader epoch",
	.forget = forget_epoch,
};

static void
forget_epoch(void)
{
	known_epoch = 0;
	known_stored = false;
}

/* That of WAL written now, or on a standby of what was replayed last. */
static TimeLineID
current_timeline(void)
{
	TimeLineID	timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

/* Two timelines of one system never have the same. */
static uint32
fingerprint(TimeLineID timeline)
{
	uint64		system = GetSystemIdentifier();

	return hash_bytes((const unsigned char *) &system, sizeof(system)) ^ timeline;
}

/*
 * Locks the sequence to the end of the transaction.  With dont_wait it returns
 * false if somebody else has a lock on it that is in the way.
 */
static bool
lock_sequence(Oid sequence, LOCKMODE mode, bool dont_wait)
{
	if (ConditionalLockRelationOid(sequence, mode))
		return true;
	if (dont_wait)
		return false;
	LockRelationOid(sequence, mode);
	return true;
}

/*
 * Gets the sequence's value, 0 before it was ever set.  With dont_wait it
 * returns false if the sequence is locked and was never read here.
 */
static bool
read_sequence(Oid sequence, bool dont_wait, int64 *value)
{
	static Oid	last_sequence = InvalidOid;
	static int64 last_value;

	if (!lock_sequence(sequence, AccessShareLock, dont_wait || sequence == last_sequence))
	{
		*value = last_value;
		return sequence == last_sequence;
	}
	*value = last_value = read_page(sequence);
	last_sequence = sequence;
	UnlockRelationOid(sequence, AccessShareLock);
	return true;
}

/* Reads it; the caller has it locked. */
static int64
read_page(Oid sequence)
{
	Relation	rel = relation_open(sequence, NoLock);
	Buffer		buffer = ReadBuffer(rel, 0);
	HeapTupleData tuple;
	Form_pg_sequence_data data;
	ItemId		item;
	int64		value;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	item = PageGetItemId(BufferGetPage(buffer), FirstOffsetNumber);
	tuple.t_data = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer), item);
	data = (Form_pg_sequence_data) GETSTRUCT(&tuple);
	value = data->is_called ? data->last_value : 0;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	return value;
}

/*
 * The epoch now, given what is stored; is it what is stored?  One that reached
 * the largest number stays there.
 */
static bool
epoch_from(int64 stored, int32 *epoch)
{
	TimeLineID	timeline = current_timeline();
	int64		last = stored >> 32;

	Assert(stored >= 0 && last <= PG_INT32_MAX);
	if (last > 0 && (uint32) stored == fingerprint(timeline))
	{
		*epoch = (int32) last;
		return true;
	}
	*epoch = (int32) Min(Max(last + 1, (int64) timeline), PG_INT32_MAX);
	return false;
}

/*
 * Stores an epoch for this history; the caller has the sequence locked
 * (RowExclusiveLock).  It is the extension's: its owner's rights are used.
 */
static void
store_epoch(Oid sequence, int32 epoch)
{
	Relation	rel = relation_open(sequence, NoLock);
	int64		value = ((int64) epoch << 32) | fingerprint(current_timeline());
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(rel->rd_rel->relowner, context | SECURITY_LOCAL_USERID_CHANGE);
	DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(value));
	SetUserIdAndSecContext(user, context);
	relation_close(rel, NoLock);
}

/*
 * Makes the epoch of now known to this transaction.  Returns false if that
 * would have to wait.
 */
static bool
know(bool dont_wait)
{
	int64		stored;

	if (known_epoch != 0)
		return true;
	if (!read_sequence(pt_extension_sequence(EPOCH_SEQUENCE), dont_wait, &stored))
		return false;
	known_stored = epoch_from(stored, &known_epoch);
	Assert(known_epoch > 0);
	return true;
}

/*
 * Makes sure that the epoch is stored.  It waits for others that store it at
 * the same time, and for who has the sequence locked; with dont_wait it
 * returns false instead.  ERROR in recovery and in a transaction that is
 * read-only.
 */
static bool
store(bool dont_wait)
{
	Oid			sequence;
	LOCKTAG		tag;
	bool		locked;

	if (!know(dont_wait))
		return false;
	if (known_stored)
		return true;
	sequence = pt_extension_sequence(EPOCH_SEQUENCE);
	if (!lock_sequence(sequence, RowExclusiveLock, dont_wait))
		return false;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, sequence, EPOCH_LOCK);
	locked = LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
	if (locked)
	{
		if (!epoch_from(read_page(sequence), &known_epoch))
			store_epoch(sequence, known_epoch);
		LockRelease(&tag, ExclusiveLock, false);
		known_stored = true;
	}
	return locked;
}

/*
 * The leader epoch of what would be appended now; in a transaction.  ERROR
 * 42704 when the extension's sequence is missing; 55P03 in a process that
 * serves others, if it would have to wait.
 */
int32
pt_leader_epoch(void)
{
	if (!know(pt_serves_others))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on sequence \"%s\" of extension \"pgtopic\"", EPOCH_SEQUENCE)));
	return known_epoch;
}

/*
 * Returns true if pt_leader_epoch_for_append() waits for nobody in this
 * transaction.
 */
bool
pt_leader_epoch_ready(void)
{
	return store(true);
}

/*
 * The same for who appends: it is stored when this returns.  May wait, unless
 * pt_leader_epoch_ready() has said that it does not.
 */
int32
pt_leader_epoch_for_append(void)
{
	(void) store(false);
	return known_epoch;
}
