/*-------------------------------------------------------------------------
 *
 * offset_follow.c
 *	  Lets the cache of committed offsets follow the log of __consumer_offsets.
 *
 * A look-up first reads what was committed since the last one.  So all ways to
 * commit (a listener, a session, COMMIT PREPARED, a commit before a crash)
 * need no work of their own.  One process at a time follows a leaf, in pieces
 * of a megabyte, so that records are applied in their order.  The first
 * look-up after a start begins at the start of the log.
 *
 * If an error ends a piece early, the piece is applied again.  This sets
 * offsets back for a moment, but nobody sees it, because each look-up first
 * follows the log to its end.
 *
 * Siblings: offset_cache.c below, offsets.c above.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "guc.h"
#include "fetch/fetch.h"
#include "groups/internal.h"

#define FOLLOWED_MAX		1024	/* leaves of __consumer_offsets in all
									 * databases */
#define FOLLOW_LOCKS		16
#define PIECE_BYTES			(1024 * 1024)

/* How far the cache has followed a leaf. */
typedef struct FollowedLog
{
	RelFileLocator locator;
	PtReaderPlace next;			/* behind the last record that was applied;
								 * pos 0: the start */
} FollowedLog;

/* In shared memory, beside the table of followed logs. */
typedef struct FollowShared
{
	LWLock		lock;			/* protects the table of followed logs */
	LWLock		follow_locks[FOLLOW_LOCKS]; /* held while a log is followed;
											 * chosen by its number */
} FollowShared;

static FollowShared *shared;
static HTAB *followed;

static void follow_or_explain(PtLogState *log, PtLogPos end, FollowedLog *at);
static void follow_piece(PtLogState *log, PtLogPos end, FollowedLog *at);

/*
 * Returns the size of the room's shared memory, with the cache.
 */
Size
pt_offsets_shmem_size(void)
{
	Size		size = add_size(pt_offset_cache_shmem_size(), MAXALIGN(sizeof(FollowShared)));

	return add_size(size, hash_estimate_size(FOLLOWED_MAX, sizeof(FollowedLog)));
}

/*
 * Creates or finds the shared memory of the room.  The caller holds
 * AddinShmemInitLock.
 */
void
pt_offsets_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(FollowedLog)};
	bool		found;

	pt_offset_cache_shmem_init();
	shared = ShmemInitStruct("pgtopic followed offsets", sizeof(FollowShared), &found);
	if (!found)
	{
		int			tranche = pt_lwlock_tranche_new("pgtopic_offset_follow");

		LWLockInitialize(&shared->lock, tranche);
		for (int i = 0; i < FOLLOW_LOCKS; i++)
			LWLockInitialize(&shared->follow_locks[i], tranche);
	}
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_offset_follow");
	followed = pt_shmem_hash("pgtopic followed logs", FOLLOWED_MAX, &ctl, HASH_ELEM | HASH_BLOBS);
}

/*
 * Returns how far the cache has followed a log: to its start, if it has not
 * begun.
 */
static FollowedLog
followed_to(PtLogState *log)
{
	FollowedLog result = {.locator = log->locator};
	FollowedLog *entry;

	LWLockAcquire(&shared->lock, LW_SHARED);
	entry = hash_search(followed, &log->locator, HASH_FIND, NULL);
	if (entry)
		result.next = entry->next;
	LWLockRelease(&shared->lock);
	return result;
}

/*
 * Stores how far the cache has followed a log.
 */
static void
set_followed(const FollowedLog *at)
{
	FollowedLog *entry;
	bool		found;

	Assert(at->next.pos > 0);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	entry = hash_search(followed, &at->locator, HASH_ENTER_NULL, &found);
	if (entry)					/* if the table is full, the log is read again
								 * each time */
		*entry = *at;
	LWLockRelease(&shared->lock);
}

/*
 * Applies all that is committed in a leaf of __consumer_offsets.  If another
 * process does that already, it waits, for a megabyte at a time.
 */
void
pt_offset_follow(PtLogState *log)
{
	LWLock	   *lock = &shared->follow_locks[pt_locator_number(log->locator) % FOLLOW_LOCKS];
	PtLogPos	end;
	FollowedLog at;

	pt_offset_cache_attach();

	/*
	 * COMMIT PREPARED releases the group's lock before it tells the log of
	 * the commit.
	 */
	if (TransactionIdIsValid(log->tail_xid) && !TransactionIdIsCurrentTransactionId(log->tail_xid) &&
		!TransactionIdIsInProgress(log->tail_xid))
		pt_state_resolve_all();
	end = pt_state_committed_end(log).pos;
	at = followed_to(log);
	while (at.next.pos < end)
	{
		CHECK_FOR_INTERRUPTS();
		LWLockAcquire(lock, LW_EXCLUSIVE);
		at = followed_to(log);
		if (at.next.pos < end)
		{
			follow_or_explain(log, end, &at);
			set_followed(&at);
		}
		LWLockRelease(lock);
	}
}

/*
 * Calls follow_piece(); if shared memory is exhausted, the error says what to
 * do, because that would not go away by itself.
 */
static void
follow_or_explain(PtLogState *log, PtLogPos end, FollowedLog *at)
{
	MemoryContext mcxt = CurrentMemoryContext;

	PG_TRY();
	{
		follow_piece(log, end, at);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mcxt);
		edata = CopyErrorData();
		if (edata->sqlerrcode != ERRCODE_OUT_OF_MEMORY && edata->sqlerrcode != ERRCODE_DISK_FULL)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("not enough shared memory for committed offsets"),
				 errdetail("%s", edata->message),
				 errhint("Increase the setting \"pgtopic.offset_memory\", now %d kB, and restart the server.",
						 pt_offset_memory)));
	}
	PG_END_TRY();
}

/*
 * Applies the next records before "end", and moves *at behind them.
 */
static void
follow_piece(PtLogState *log, PtLogPos end, FollowedLog *at)
{
	PtReader	reader;
	PtFrame		frame;
	uint64		bytes = 0;
	bool		more = true;

	Assert(at->next.pos < end);
	Assert(RelFileLocatorEquals(at->locator, log->locator));
	pt_reader_begin_state(&reader, log);
	if (at->next.pos == 0)
		pt_reader_seek_start(&reader);
	else
		pt_reader_return(&reader, &at->next);
	while (more)
	{
		PtRecordIter it;
		PtRecord	record;

		at->next = pt_reader_place(&reader);
		more = pt_reader_next(&reader, &frame) && frame.pos < end;
		if (!more)
			at->next.pos = end;
		if (!more || bytes > PIECE_BYTES)
			break;
		bytes += frame.head.length;
		if (pt_frame_visible(&reader, &frame, NULL) != PT_VISIBLE ||
			pt_record_iter_begin(&it, pt_reader_batch(&reader, &frame), frame.head.length,
								 PT_RECORDS_BYTES_MAX) != PT_BATCH_OK)
			continue;
		while (pt_record_iter_next(&it, &record) == PT_BATCH_OK)
			pt_offset_cache_apply(&log->locator, &record);
		pt_record_iter_end(&it);
	}
	Assert(at->next.pos <= end);
	pt_reader_end(&reader);
}

/*
 * Forgets logs of this database that are not in the array; they were
 * truncated or dropped.
 */
void
pt_offset_follow_keep(const RelFileLocator *logs, int nlogs)
{
	HASH_SEQ_STATUS scan;
	FollowedLog *log;

	pt_offset_cache_attach();
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, followed);
	while ((log = hash_seq_search(&scan)) != NULL)
	{
		bool		keep = pt_locator_db(log->locator) != MyDatabaseId;

		for (int i = 0; i < nlogs && !keep; i++)
			keep = RelFileLocatorEquals(log->locator, logs[i]);
		if (!keep)
			hash_search(followed, &log->locator, HASH_REMOVE, NULL);
	}
	LWLockRelease(&shared->lock);
	pt_offset_cache_forget(logs, nlogs);
}
