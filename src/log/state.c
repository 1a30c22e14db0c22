/*-------------------------------------------------------------------------
 *
 * state.c
 *	  What all processes share about a log: its tail, its ends, its start.
 *
 * One PtLogState per relation file, in a shared hash table keyed by the file's
 * locator, so that TRUNCATE and rewrites get a state of their own and a
 * rollback leaves the old one untouched.  Everything here can be read back
 * from the log; that happens on first use after a start (load_state), and
 * again at every use while the server is in recovery, where the log moves
 * under us.
 *
 * The tail_ fields belong to whoever holds the append lock.  The ends are
 * under the mutex:
 *
 *		committed	moves when a transaction that appended has committed
 *		ring		(end, commit LSN) of what is committed but not yet durable
 *		durable		follows the flush; this is what Kafka consumers may see
 *
 * Siblings: append.c moves the tail, ../xact/tails.c reports commits.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#include "guc.h"
#include "log/internal.h"

typedef struct PtStateShared
{
	LWLock		lock;			/* the hash table, and loading of states */
	ConditionVariable any_cv;
	slock_t		waiting_mutex;
	int			nwaiting;		/* logs in waiting[] */
	PtLogState *waiting[FLEXIBLE_ARRAY_MEMBER]; /* whose ring is not empty */
} PtStateShared;

static PtStateShared *shared;
static HTAB *states;

static PtLogState *find_or_enter(const RelFileLocator *locator);
static void forget_dropped(void);
static void load_state(PtLogState *state, Relation rel);
static void load_tail(PtLogState *state, PtReader *r, const PtLogInfo *info);
static void load_ends(PtLogState *state, PtReader *r);
static void publish(PtLogState *state, XLogRecPtr lsn);
static void add_waiting(PtLogState *state);

Size
pt_state_shmem_size(void)
{
	return add_size(MAXALIGN(offsetof(PtStateShared, waiting) + mul_size(pt_max_partitions, sizeof(PtLogState *))),
					hash_estimate_size(pt_max_partitions, sizeof(PtLogState)));
}

/* Called with AddinShmemInitLock held. */
void
pt_state_shmem_init(void)
{
	bool		found;
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(PtLogState)};

	shared = ShmemInitStruct("pgtopic log states",
							 offsetof(PtStateShared, waiting) + pt_max_partitions * sizeof(PtLogState *), &found);
	if (!found)
	{
		LWLockInitialize(&shared->lock, pt_lwlock_tranche_new("pgtopic_log_state"));
		ConditionVariableInit(&shared->any_cv);
		SpinLockInit(&shared->waiting_mutex);
		shared->nwaiting = 0;
	}
	pt_lwlock_tranche_name(shared->lock.tranche, "pgtopic_log_state");
	states = pt_shmem_hash("pgtopic log state table", pt_max_partitions, &ctl, HASH_ELEM | HASH_BLOBS);
}

ConditionVariable *
pt_state_any_cv(void)
{
	return &shared->any_cv;
}

/*
 * The state of an open relation's log.  The pointer stays good while the
 * caller keeps the relation locked; without a lock its locator tells whether
 * it still is that log's.
 */
PtLogState *
pt_state_get(Relation rel)
{
	RelFileLocator locator = pt_rel_locator(rel);
	PtLogState *state;

	LWLockAcquire(&shared->lock, LW_SHARED);
	state = hash_search(states, &locator, HASH_FIND, NULL);
	if (state && state->loaded && !state->volatile_load)
	{
		LWLockRelease(&shared->lock);
		return state;
	}
	LWLockRelease(&shared->lock);

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	state = find_or_enter(&locator);
	if (!state->loaded || state->volatile_load)
		load_state(state, rel);
	LWLockRelease(&shared->lock);
	return state;
}

/*
 * The entry of a log, with empty fields when new.  Table lock held
 * exclusively.
 */
static PtLogState *
find_or_enter(const RelFileLocator *locator)
{
	bool		found;
	PtLogState *state = hash_search(states, locator, HASH_FIND, NULL);

	if (state)
		return state;
	if (hash_get_num_entries(states) >= pt_max_partitions)
		forget_dropped();
	if (hash_get_num_entries(states) < pt_max_partitions)
		state = hash_search(states, locator, HASH_ENTER_NULL, &found);
	if (state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many partitions are in use"),
				 errhint("Increase the setting \"pgtopic.max_partitions\".")));
	memset((char *) state + sizeof(RelFileLocator), 0, sizeof(PtLogState) - sizeof(RelFileLocator));
	Assert(LWLockHeldByMeInMode(&shared->lock, LW_EXCLUSIVE));
	SpinLockInit(&state->mutex);
	pg_atomic_init_u64(&state->sealed_pos, 0);
	pg_atomic_init_u32(&state->waiters, 0);
	return state;
}

/*
 * A log has been made here: what was known of one that had the same locator is
 * void.
 */
void
pt_state_forget(const RelFileLocator *locator)
{
	PtLogState *state;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	state = hash_search(states, locator, HASH_FIND, NULL);
	if (state)
	{
		SpinLockAcquire(&state->mutex);
		state->loaded = false;
		state->written_from = state->written_to = 0;
		SpinLockRelease(&state->mutex);
	}
	LWLockRelease(&shared->lock);
}

/*
 * Drops entries whose files are gone, or wait, empty, for the next checkpoint
 * to remove them.
 */
static void
forget_dropped(void)
{
	HASH_SEQ_STATUS scan;
	PtLogState *state;

	hash_seq_init(&scan, states);
	while ((state = hash_seq_search(&scan)) != NULL)
	{
		SMgrRelation file = pt_smgropen(state->locator);

		if (state->ring_n == 0 && !state->waiting &&
			(!smgrexists(file, MAIN_FORKNUM) || smgrnblocks(file, MAIN_FORKNUM) == 0))
			hash_search(states, &state->locator, HASH_REMOVE, NULL);
	}
}

/*
 * Reads everything from the log.  Commits found are made durable first: some
 * may be asynchronous.  A log that never had an extent has none, and whoever
 * creates a topic need not wait for the disk in here.
 */
static void
load_state(PtLogState *state, Relation rel)
{
	bool		recovering = RecoveryInProgress();	/* before the log is read:
													 * replay may end
													 * meanwhile */
	PtReader	r;
	PtLogInfo	info;

	state->relid = RelationGetRelid(rel);
	state->loaded = false;
	memset(&r, 0, sizeof(r));
	pt_log_info(rel, &info);
	SpinLockAcquire(&state->mutex);
	state->start_offset = info.start_offset;
	state->start_ordinal = info.start_ordinal;
	state->start_pos = info.start_pos;
	state->ring_n = 0;
	SpinLockRelease(&state->mutex);
	pg_atomic_write_u64(&state->sealed_pos, info.sealed_pos);
	pt_reader_begin_state(&r, state);
	r.rel = rel;
	load_tail(state, &r, &info);
	load_ends(state, &r);
	pt_reader_end(&r);
	state->volatile_load = recovering;
	if (!state->volatile_load && info.next_extent > 0)
		XLogFlush(pt_wal_insert_end());
	Assert(state->volatile_load ||
		   (state->committed.pos <= state->tail_pos && state->committed.offset <= state->tail_offset));
	state->durable = state->committed;
	state->loaded = true;
}

/*
 * The tail: behind the last frame written.  Goes back page by page from the
 * end of the last extent, at most an extent and the batch that ends there.
 */
static void
load_tail(PtLogState *state, PtReader *r, const PtLogInfo *info)
{
	PtFrame		frame;
	bool		any = false;

	state->tail_pos = info->start_pos;
	state->tail_offset = info->start_offset;
	state->tail_ordinal = info->start_ordinal;
	state->tail_xid = InvalidTransactionId;
	state->tail_cut = 0;
	state->tail_max_timestamp = -1;
	state->tail_phys = PT_INVALID_EXTENT;
	memset(state->tail_buffers, 0, sizeof(state->tail_buffers));
	state->file_blocks = RelationGetNumberOfBlocks(r->rel);
	if (info->next_extent == info->first_extent)
		return;
	pt_reader_seek_end(r);
	if (pt_reader_prev(r, &frame))
		pt_reader_seek_pos(r, frame.pos);
	else
		pt_reader_seek_pos(r, info->start_pos);
	while (pt_reader_next(r, &frame))
	{
		any = true;
		state->tail_pos = frame.next;
		state->tail_ordinal = frame.head.base_ordinal + frame.head.ordinals;
		state->tail_xid = frame.head.xid;
		if (!pt_reader_complete(r, &frame))
			state->tail_cut = frame.pos;
	}
	if (any)
	{
		pt_reader_seek_extent(r, pt_pos_extent(frame.pos));
		while (pt_reader_next(r, &frame))
			state->tail_max_timestamp = Max(state->tail_max_timestamp, frame.batch.max_timestamp);
	}
}

/*
 * The committed end: behind the last frame whose transaction committed.
 * Behind it are aborted ones, and perhaps those of one prepared transaction.
 */
static void
load_ends(PtLogState *state, PtReader *r)
{
	PtFrame		frame;
	bool		tail_known = false;

	state->committed.offset = state->start_offset;
	state->committed.pos = state->start_pos;
	state->committed.lsn = InvalidXLogRecPtr;
	pt_reader_seek_pos(r, state->tail_pos);
	while (pt_reader_prev(r, &frame))
	{
		PtVisibility v = pt_frame_visible(r, &frame, NULL);

		if (v == PT_IN_PROGRESS && !tail_known)
		{
			state->tail_offset = pt_batch_next_offset(&frame.batch);
			state->tail_xid = frame.head.xid;
			tail_known = true;
		}
		if (v == PT_VISIBLE)
		{
			state->committed.offset = pt_batch_next_offset(&frame.batch);
			state->committed.pos = frame.next;
			break;
		}
	}
	if (!tail_known)
	{
		state->tail_offset = state->committed.offset;
		state->tail_xid = InvalidTransactionId;
	}
}

/*
 * The offset that follows the last frame that is committed or our own, going
 * back from the tail; for after an abort.  *xid is ours when that frame is.
 */
static int64
offset_behind_aborted(PtLogState *state, Relation rel, TransactionId *xid)
{
	PtReader	r;
	PtFrame		frame;
	int64		result = state->committed.offset;

	*xid = InvalidTransactionId;
	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_pos(&r, state->tail_pos);
	while (pt_reader_prev(&r, &frame) && frame.pos >= state->committed.pos)
	{
		if (pt_frame_visible(&r, &frame, NULL) == PT_VISIBLE)
		{
			result = pt_batch_next_offset(&frame.batch);
			if (TransactionIdIsCurrentTransactionId(frame.head.xid))
				*xid = frame.head.xid;	/* not resolved before we are */
			break;
		}
	}
	pt_reader_end(&r);
	Assert(result >= state->committed.offset);
	return result;
}

/*
 * Settles the tail before an append: whoever appended last has committed,
 * or aborted, or is ourselves.  The caller holds the append lock.
 */
void
pt_state_settle(PtLogState *state, Relation rel)
{
	TransactionId xid = state->tail_xid;

	if (!TransactionIdIsValid(xid) || TransactionIdIsCurrentTransactionId(xid))
		return;
	Assert(!TransactionIdIsInProgress(xid));
	if (TransactionIdDidCommit(xid))
		pt_state_committed(state, TransactionIdGetCommitLSN(xid));
	else
	{
		state->tail_offset = offset_behind_aborted(state, rel, &xid);
		state->tail_xid = xid;
	}
}

/*
 * For a prepared transaction that has been committed or rolled back by
 * somebody: moves the committed end.  Does nothing while the transaction runs.
 * Needs no lock: when the transaction is over somebody may append already, and
 * then settles the tail itself, so we only act when tail_xid is still what we
 * looked up.
 */
static void
resolve_prepared(PtLogState *state)
{
	TransactionId xid = state->tail_xid;
	XLogRecPtr	lsn;
	bool		enlist = false;

	if (!TransactionIdIsValid(xid) || TransactionIdIsInProgress(xid) || !TransactionIdDidCommit(xid))
		return;

	/*
	 * invalid when it was flushed; a commit that has yet to tell us may be
	 * asynchronous
	 */
	lsn = TransactionIdGetCommitLSN(xid);
	SpinLockAcquire(&state->mutex);
	if (state->tail_xid == xid)
	{
		publish(state, lsn);
		enlist = !state->waiting;
		state->waiting = true;
	}
	SpinLockRelease(&state->mutex);
	if (enlist)
		add_waiting(state);
}

void
pt_state_resolve_all(void)
{
	HASH_SEQ_STATUS scan;
	PtLogState *state;

	LWLockAcquire(&shared->lock, LW_SHARED);
	hash_seq_init(&scan, states);
	while ((state = hash_seq_search(&scan)) != NULL)
	{
		if (state->loaded)
			resolve_prepared(state);
	}
	LWLockRelease(&shared->lock);
}

/* The tail becomes the committed end; mutex held. */
static void
publish(PtLogState *state, XLogRecPtr lsn)
{
	int			n = state->ring_n;

	Assert(n <= PT_STATE_RING && state->tail_cut == 0);
	Assert(state->tail_offset >= state->committed.offset && state->tail_pos >= state->committed.pos);
	state->committed.offset = state->tail_offset;
	state->committed.pos = state->tail_pos;
	state->committed.lsn = lsn;
	state->tail_xid = InvalidTransactionId;
	if (n == PT_STATE_RING)
		n--;					/* full: the last two become one, due at the
								 * later LSN */
	state->ring[n] = state->committed;
	state->ring_n = n + 1;
}

/*
 * The transaction that appended last has committed; lsn is the end of its
 * commit record.  The caller holds the append lock.  Never throws: it is
 * called after the commit.
 */
void
pt_state_committed(PtLogState *state, XLogRecPtr lsn)
{
	bool		enlist;

	SpinLockAcquire(&state->mutex);
	publish(state, lsn);
	enlist = !state->waiting;
	state->waiting = true;
	SpinLockRelease(&state->mutex);
	if (enlist)
		add_waiting(state);
}

/*
 * Lists a log whose "waiting" the caller has just set: the committer advances
 * it.
 */
static void
add_waiting(PtLogState *state)
{
	SpinLockAcquire(&shared->waiting_mutex);
	Assert(shared->nwaiting < pt_max_partitions);
	shared->waiting[shared->nwaiting++] = state;
	SpinLockRelease(&shared->waiting_mutex);
}

/*
 * WAL is durable up to lsn: moves the durable end; true when it moved.  Wakes
 * SQL sessions that wait for the log.
 */
bool
pt_state_advance(PtLogState *state, XLogRecPtr lsn)
{
	int			n = 0;

	SpinLockAcquire(&state->mutex);
	for (; n < state->ring_n && state->ring[n].lsn <= lsn; n++)
	{
		if (state->ring[n].offset >= state->durable.offset) /* trimming may have
															 * been quicker */
			state->durable = state->ring[n];
	}
	Assert(state->durable.pos <= state->committed.pos && state->durable.offset <= state->committed.offset);
	state->ring_n -= n;
	memmove(state->ring, state->ring + n, state->ring_n * sizeof(PtLogEnd));
	SpinLockRelease(&state->mutex);
	if (n == 0)
		return false;
	ConditionVariableBroadcast(&shared->any_cv);
	return true;
}

/*
 * The same for every log that has something waiting; true when one moved for
 * which a listener worker waits.
 */
bool
pt_state_advance_all(XLogRecPtr lsn)
{
	bool		moved = false;

	for (int i = 0;; i++)
	{
		PtLogState *state = NULL;
		bool		done = false;

		SpinLockAcquire(&shared->waiting_mutex);
		if (i < shared->nwaiting)
			state = shared->waiting[i];
		SpinLockRelease(&shared->waiting_mutex);
		if (state == NULL)
			break;
		if (pt_state_advance(state, lsn) && pg_atomic_read_u32(&state->waiters) > 0)
			moved = true;
		SpinLockAcquire(&shared->waiting_mutex);
		SpinLockAcquire(&state->mutex);
		if (i >= shared->nwaiting || shared->waiting[i] != state)
			done = true;		/* somebody else took it off: another may lie
								 * here now */
		else if (state->ring_n == 0)
		{
			state->waiting = false;
			shared->waiting[i] = shared->waiting[--shared->nwaiting];
			done = true;
		}
		SpinLockRelease(&state->mutex);
		SpinLockRelease(&shared->waiting_mutex);
		if (done)
			i--;
	}
	return moved;
}

/* The end that consumers may see. */
PtLogEnd
pt_state_durable(PtLogState *state)
{
	PtLogEnd	end;

	SpinLockAcquire(&state->mutex);
	end = state->durable;
	SpinLockRelease(&state->mutex);
	return end;
}

/*
 * Called by the log writer, which takes the extents of a log in order: after a
 * gap the range begins anew.
 */
void
pt_state_written(const RelFileLocator *locator, uint64 extent)
{
	PtLogState *state;

	LWLockAcquire(&shared->lock, LW_SHARED);
	state = hash_search(states, locator, HASH_FIND, NULL);
	if (state)
	{
		SpinLockAcquire(&state->mutex);
		if (state->written_to != extent)
			state->written_from = extent;
		state->written_to = extent + 1;
		SpinLockRelease(&state->mutex);
	}
	LWLockRelease(&shared->lock);
}

bool
pt_state_is_written(PtLogState *state, const RelFileLocator *locator, uint64 extent)
{
	bool		written;

	SpinLockAcquire(&state->mutex);
	written = RelFileLocatorEquals(state->locator, *locator) &&
		extent >= state->written_from && extent < state->written_to;
	SpinLockRelease(&state->mutex);
	return written;
}

/*
 * Redo has changed the meta page: keep the state of a standby's readers right.
 */
void
pt_state_replay_meta(const RelFileLocator *locator, const xl_pt_meta *x)
{
	PtLogState *state;

	LWLockAcquire(&shared->lock, LW_SHARED);
	state = hash_search(states, locator, HASH_FIND, NULL);
	if (state && state->loaded)
	{
		SpinLockAcquire(&state->mutex);
		state->start_offset = x->start_offset;
		state->start_ordinal = x->start_ordinal;
		state->start_pos = x->start_pos;
		SpinLockRelease(&state->mutex);
		pg_atomic_write_u64(&state->sealed_pos, x->sealed_pos);
	}
	LWLockRelease(&shared->lock);
}
