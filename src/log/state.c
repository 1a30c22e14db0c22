/*-------------------------------------------------------------------------
 *
 * state.c
 *	  What all processes share about a log: its tail, its ends, its start.
 *
 * One PtLogState per relation file (state_table.c), so that TRUNCATE and
 * rewrites get a state of their own and a rollback leaves the old one
 * untouched.  Everything here can be read back from the log; that happens on
 * first use (state_load.c), and again at every use while the server is in
 * recovery, where the log moves under us.
 *
 * The tail_ fields belong to whoever holds the append lock.  The ends are
 * under the mutex:
 *
 *		committed	moves when a transaction that appended has committed
 *		ring		(end, commit LSN) of what is committed but not yet durable
 *		durable		follows the flush; this is what Kafka consumers may see
 *
 * Siblings: state_table.c keeps states, state_load.c reads them, append.c
 * moves the tail, watch.c tells who waits, notices.c tells the housekeeper,
 * ../xact/tails.c reports commits.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/procarray.h"
#include "storage/shmem.h"

#include "guc.h"
#include "log/internal.h"
#include "log/notices.h"
#include "log/producers.h"
#include "log/watch.h"

typedef struct PtStateShared
{
	ConditionVariable freed_cv;
	slock_t		waiting_mutex;
	int			nwaiting;		/* logs in waiting[] */
	PtLogState *waiting[FLEXIBLE_ARRAY_MEMBER]; /* whose ring is not empty */
} PtStateShared;

static PtStateShared *shared;

static void publish(PtLogState *state, XLogRecPtr lsn);
static bool resolve_prepared(PtLogState *state, XLogRecPtr *lsn);
static void list_waiting(PtLogState *state);

static Size
shared_size(void)
{
	return add_size(offsetof(PtStateShared, waiting), mul_size(pt_max_partitions, sizeof(PtLogState *)));
}

Size
pt_state_shmem_size(void)
{
	return add_size(MAXALIGN(shared_size()), pt_state_table_size());
}

/* Called with AddinShmemInitLock held. */
void
pt_state_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic waiting logs", shared_size(), &found);
	if (!found)
	{
		ConditionVariableInit(&shared->freed_cv);
		SpinLockInit(&shared->waiting_mutex);
		shared->nwaiting = 0;
	}
	pt_state_table_init();
}

/*
 * Broadcast when all commits of a log are durable, so that its entry may serve
 * another one.
 */
ConditionVariable *
pt_state_freed_cv(void)
{
	return &shared->freed_cv;
}

/*
 * Puts what has been read into the log's entry.  Nobody appends meanwhile: he
 * would have the entry loaded.  But its start may have been moved, and its
 * prepared transaction been decided.
 */
void
pt_state_adopt(PtLogState *state, const PtLogState *fresh)
{
	uint64		sealed = pg_atomic_read_u64(&unconstify(PtLogState *, fresh)->sealed_pos);
	XLogRecPtr	lsn;

	SpinLockAcquire(&state->mutex);
	Assert(state->loading && !pt_state_is_ready(state));
	Assert(state->ring_n == 0 || !state->loaded);
	state->tail_pos = fresh->tail_pos;
	state->tail_offset = fresh->tail_offset;
	state->tail_ordinal = fresh->tail_ordinal;
	state->tail_xid = fresh->tail_xid;
	state->tail_cut = fresh->tail_cut;
	state->tail_max_timestamp = fresh->tail_max_timestamp;
	state->tail_lsn = InvalidXLogRecPtr;
	state->tail_phys = fresh->tail_phys;
	state->tail_generation = 0;
	state->file_blocks = fresh->file_blocks;
	memset(state->tail_buffers, 0, sizeof(state->tail_buffers));
	memset(state->tail_aborted, 0, sizeof(state->tail_aborted));
	state->committed = fresh->committed;
	state->durable = fresh->durable;
	state->ring_n = 0;
	state->loaded_lsn = fresh->loaded_lsn;
	if (fresh->start_offset >= state->start_offset)
	{
		state->start_offset = fresh->start_offset;
		state->start_ordinal = fresh->start_ordinal;
		state->start_pos = fresh->start_pos;
	}
	if (sealed > pg_atomic_read_u64(&state->sealed_pos))
		pg_atomic_write_u64(&state->sealed_pos, sealed);
	state->producers_pos = Max(state->producers_pos, fresh->producers_pos);
	state->volatile_load = fresh->volatile_load;
	state->loaded = true;
	SpinLockRelease(&state->mutex);
	if (!fresh->volatile_load && resolve_prepared(state, &lsn))
	{
		/* who decided it has been here already, and asked for no more */
		XLogFlush(lsn);
		SpinLockAcquire(&state->mutex);
		state->loaded_lsn = Max(state->loaded_lsn, lsn);
		SpinLockRelease(&state->mutex);
		pt_state_advance(state, lsn);
	}
}

/*
 * The offset that follows the last frame that is committed or our own, going
 * back from the tail to the committed end; for after an abort.  *xid is ours
 * when that frame is, else Invalid.  The caller holds the append lock.
 */
static int64
offset_behind_aborted(PtLogState *state, Relation rel, TransactionId *xid)
{
	PtReader	r;
	PtFrame		frame;
	PtLogPos	from = 0;
	PtLogPos	to = 0;
	int64		result = state->committed.offset;

	*xid = InvalidTransactionId;
	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_pos(&r, state->tail_pos);
	while (r.pos > state->committed.pos && pt_reader_prev(&r, &frame) && frame.pos >= state->committed.pos)
	{
		const PtAborted *run;

		if (pt_frame_visible(&r, &frame, NULL) == PT_VISIBLE)
		{
			result = pt_batch_next_offset(&frame.batch);
			if (TransactionIdIsCurrentTransactionId(frame.head.xid))
				*xid = frame.head.xid;	/* not resolved before we are */
			break;
		}
		if (to == 0)
			to = frame.pos + 1;
		run = pt_aborted_run(state, frame.pos);
		from = run ? run->from : frame.pos;
		pt_reader_seek_pos(&r, from);
	}
	pt_reader_end(&r);
	if (to > 0)
		pt_aborted_add(state, from, to);
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
	PtXidFate	fate;

	if (!TransactionIdIsValid(xid) || TransactionIdIsCurrentTransactionId(xid))
		return;
	Assert(!TransactionIdIsInProgress(xid));
	fate = pt_xid_fate(xid);
	if (fate == PT_XID_COMMITTED)
	{
		pt_state_committed(state, TransactionIdGetCommitLSN(xid));
		return;
	}
	state->tail_offset = offset_behind_aborted(state, rel, &xid);
	state->tail_xid = xid;
	if (fate == PT_XID_FORGOTTEN && state->tail_offset > state->committed.offset)
		pt_state_committed(state, InvalidXLogRecPtr);	/* long durable */
}

/*
 * True if the transaction is over and has committed; then *lsn is the end of
 * its commit record, which may be asynchronous (invalid: it is flushed).  May
 * read clog.
 */
static bool
is_committed(TransactionId xid, XLogRecPtr *lsn)
{
	if (!TransactionIdIsValid(xid) || TransactionIdIsInProgress(xid) || pt_xid_fate(xid) != PT_XID_COMMITTED)
		return false;
	*lsn = TransactionIdGetCommitLSN(xid);
	return true;
}

/*
 * A prepared transaction has been committed by somebody, up to lsn: moves the
 * committed end if it has appended last.  Needs no lock: somebody may append
 * already, and then settles the tail itself, so we only act when tail_xid is
 * still that transaction.  For the same reason the log is listed with both
 * mutexes held: who appends next may take it for listed at once.
 */
static bool
resolve_to(PtLogState *state, TransactionId xid, XLogRecPtr lsn)
{
	bool		resolved;

	SpinLockAcquire(&shared->waiting_mutex);
	SpinLockAcquire(&state->mutex);
	resolved = state->tail_xid == xid;
	if (resolved)
	{
		publish(state, lsn);
		if (!state->waiting)
			list_waiting(state);
		state->waiting = true;
	}
	SpinLockRelease(&state->mutex);
	SpinLockRelease(&shared->waiting_mutex);
	return resolved;
}

/*
 * For a prepared transaction that has been committed or rolled back by
 * somebody: moves the committed end.  Does nothing while the transaction runs.
 * true: the end waits for the flush up to *lsn, which the caller asks for.
 */
static bool
resolve_prepared(PtLogState *state, XLogRecPtr *lsn)
{
	TransactionId xid = state->tail_xid;

	return is_committed(xid, lsn) && resolve_to(state, xid, *lsn);
}

/* The transactions that have appended last to any log. */
typedef struct Tails
{
	int			n;
	TransactionId *xids;
	XLogRecPtr *lsns;
} Tails;

/* Notes that of one log.  What was loaded in recovery is not in it now. */
static void
note_tail(PtLogState *state, void *arg)
{
	Tails	   *tails = arg;
	TransactionId xid = state->tail_xid;

	Assert(tails->n < pt_max_partitions);
	if (pt_state_is_ready(state) && TransactionIdIsValid(xid) &&
		(tails->n == 0 || tails->xids[tails->n - 1] != xid))
		tails->xids[tails->n++] = xid;
}

static void
resolve_tail(PtLogState *state, void *arg)
{
	const Tails *tails = arg;
	TransactionId xid = state->tail_xid;

	for (int i = 0; pt_state_is_ready(state) && i < tails->n; i++)
	{
		if (tails->xids[i] == xid)
		{
			(void) resolve_to(state, xid, tails->lsns[i]);
			break;
		}
	}
}

/*
 * The same for all logs.  Clog is looked at between two looks at the table,
 * whose lock is held over no reading.
 */
void
pt_state_resolve_all(void)
{
	Tails		tails = {0};
	int			n = 0;

	tails.xids = palloc(sizeof(TransactionId) * pt_max_partitions);
	pt_state_each(note_tail, &tails);
	tails.lsns = palloc(sizeof(XLogRecPtr) * Max(tails.n, 1));
	for (int i = 0; i < tails.n; i++)
	{
		if (is_committed(tails.xids[i], &tails.lsns[n]))
			tails.xids[n++] = tails.xids[i];
	}
	tails.n = n;
	if (n > 0)
		pt_state_each(resolve_tail, &tails);
	pfree(tails.xids);
	pfree(tails.lsns);
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
	if (!enlist)
		return;
	SpinLockAcquire(&shared->waiting_mutex);
	list_waiting(state);
	SpinLockRelease(&shared->waiting_mutex);
}

/*
 * Lists a log whose "waiting" the caller has just set: the committer advances
 * it.  With waiting_mutex held.
 */
static void
list_waiting(PtLogState *state)
{
	Assert(shared->nwaiting < pt_max_partitions);
	shared->waiting[shared->nwaiting++] = state;
}

/*
 * durable ends
 */

/*
 * The WAL that must be safe before consumers may be told of an end that was
 * read from the log, as the log does not say what standbys have; Invalid:
 * none.
 */
XLogRecPtr
pt_state_loaded_lsn(PtLogState *state)
{
	XLogRecPtr	lsn;

	SpinLockAcquire(&state->mutex);
	lsn = state->loaded_lsn;
	SpinLockRelease(&state->mutex);
	return lsn;
}

/* It is safe up to lsn. */
void
pt_state_loaded_safe(PtLogState *state, XLogRecPtr lsn)
{
	SpinLockAcquire(&state->mutex);
	if (state->loaded_lsn <= lsn)
		state->loaded_lsn = InvalidXLogRecPtr;
	SpinLockRelease(&state->mutex);
}

/*
 * The durable end of a log has moved from there to here.  Retention wants to
 * know of the first record of an empty log, and of extents that are complete.
 * With these a snapshot of producers may be due.
 */
static void
tell_housekeeper(const RelFileLocator *locator, bool was_empty, bool producers, const PtLogEnd *from, const PtLogEnd *to)
{
	bool		complete = pt_pos_extent(to->pos) != pt_pos_extent(from->pos);

	if (was_empty)
		pt_notice_push(locator, PT_NOTICE_FIRST);
	else if (complete)
		pt_notice_push(locator, PT_NOTICE_EXTENT);
	if (complete && producers)
		pt_notice_push(locator, PT_NOTICE_PRODUCERS);
}

/*
 * WAL is durable up to lsn: moves the durable end, and tells those who wait
 * for the log.  The entry need not be pinned: when nothing waits in its ring
 * any more it may be another log's at once.
 */
void
pt_state_advance(PtLogState *state, XLogRecPtr lsn)
{
	RelFileLocator locator;
	PtLogEnd	before;
	PtLogEnd	after;
	bool		was_empty;
	bool		producers;
	int			n = 0;

	SpinLockAcquire(&state->mutex);
	locator = state->locator;
	producers = pt_log_producers_due(state);
	before = state->durable;
	was_empty = state->durable.offset == state->start_offset;
	for (; n < state->ring_n && state->ring[n].lsn <= lsn; n++)
	{
		if (state->ring[n].offset >= state->durable.offset) /* trimming may have
															 * been quicker */
			state->durable = state->ring[n];
	}
	Assert(state->durable.pos <= state->committed.pos && state->durable.offset <= state->committed.offset);
	after = state->durable;
	state->ring_n -= n;
	memmove(state->ring, state->ring + n, state->ring_n * sizeof(PtLogEnd));
	SpinLockRelease(&state->mutex);
	if (n == 0)
		return;
	pt_watch_moved(&locator);
	tell_housekeeper(&locator, was_empty, producers, &before, &after);
}

/* Up to where WAL must be safe for all that has been committed by now. */
XLogRecPtr
pt_state_waiting_lsn(void)
{
	XLogRecPtr	lsn = InvalidXLogRecPtr;

	SpinLockAcquire(&shared->waiting_mutex);
	for (int i = 0; i < shared->nwaiting; i++)
	{
		PtLogState *state = shared->waiting[i];

		SpinLockAcquire(&state->mutex);
		if (state->ring_n > 0)
			lsn = Max(lsn, state->ring[state->ring_n - 1].lsn);
		SpinLockRelease(&state->mutex);
	}
	SpinLockRelease(&shared->waiting_mutex);
	return lsn;
}

/* The same for every log that has something waiting. */
void
pt_state_advance_all(XLogRecPtr lsn)
{
	bool		freed = false;

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
		pt_state_advance(state, lsn);
		SpinLockAcquire(&shared->waiting_mutex);
		SpinLockAcquire(&state->mutex);
		if (i >= shared->nwaiting || shared->waiting[i] != state)
			done = true;		/* somebody else took it off: another may lie
								 * here now */
		else if (state->ring_n == 0)
		{
			state->waiting = false;
			shared->waiting[i] = shared->waiting[--shared->nwaiting];
			done = freed = true;
		}
		SpinLockRelease(&state->mutex);
		SpinLockRelease(&shared->waiting_mutex);
		if (done)
			i--;
	}
	if (freed)
		ConditionVariableBroadcast(&shared->freed_cv);
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

/* The end of what is committed, which snapshots may see. */
PtLogEnd
pt_state_committed_end(PtLogState *state)
{
	PtLogEnd	end;

	SpinLockAcquire(&state->mutex);
	end = state->committed;
	SpinLockRelease(&state->mutex);
	return end;
}

/*
 * Called by the log writer, which takes the extents of a log in order: after a
 * gap the range begins anew.
 */
static void
note_written(PtLogState *state, const void *arg)
{
	uint64		extent = *(const uint64 *) arg;

	if (state->written_to != extent)
		state->written_from = extent;
	state->written_to = extent + 1;
}

void
pt_state_written(const RelFileLocator *locator, uint64 extent)
{
	pt_state_tell(locator, note_written, &extent);
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
 * the start, and the sealed position, which others than the appender move
 */

/* A new start, and whether a snapshot of producers is due then. */
typedef struct NewStart
{
	const PtLogStart *start;
	bool	   *producers;
} NewStart;

static void
note_start(PtLogState *state, const void *arg)
{
	const NewStart *new = arg;
	const PtLogStart *start = new->start;

	/* no further than that: what follows may be on no standby yet */
	if (state->loaded && state->durable.offset < start->offset)
	{
		state->durable.offset = start->offset;
		state->durable.pos = start->pos;
	}
	if (state->start_offset < start->offset)
	{
		state->start_offset = start->offset;
		state->start_ordinal = start->ordinal;
		state->start_pos = start->pos;
	}
	*new->producers = state->loaded && pt_log_producers_due(state);
}

/*
 * The start of a log has been moved, and that is durable.  Who loads it just
 * now may have read the old one: see pt_state_adopt.
 */
void
pt_state_set_start(const RelFileLocator *locator, const PtLogStart *start)
{
	bool		producers = false;
	NewStart	new = {.start = start,.producers = &producers};

	pt_state_tell(locator, note_start, &new);
	if (producers)
		pt_notice_push(locator, PT_NOTICE_PRODUCERS);
}

static void
note_sealed(PtLogState *state, const void *arg)
{
	PtLogPos	sealed = *(const PtLogPos *) arg;

	if (sealed > pg_atomic_read_u64(&state->sealed_pos))
		pg_atomic_write_u64(&state->sealed_pos, sealed);
}

/* The same for the sealed position. */
void
pt_state_set_sealed(const RelFileLocator *locator, PtLogPos sealed)
{
	pt_state_tell(locator, note_sealed, &sealed);
}

static void
note_swapped(PtLogState *state, const void *arg)
{
	uint64		end = *(const uint64 *) arg;

	state->written_from = Max(state->written_from, end);
	state->written_to = Max(state->written_to, state->written_from);
}

/* Extents before this one are about to be other physical ones. */
void
pt_state_swapped(const RelFileLocator *locator, uint64 end_extent)
{
	pt_state_tell(locator, note_swapped, &end_extent);
}

static void
note_moved(PtLogState *state, const void *arg)
{
	const PtLogStart *start = arg;

	if (state->start_offset == start->offset)
		state->start_pos = start->pos;
}

/*
 * Compaction has put the frame that has the log's first record elsewhere, and
 * that is durable.
 */
void
pt_state_moved(const RelFileLocator *locator, const PtLogStart *start)
{
	pt_state_tell(locator, note_moved, start);
}

static void
note_file_changed(PtLogState *state, const void *arg)
{
	state->file_blocks = 0;
}

/*
 * The file has become shorter: who appends next asks for its length.  The
 * caller has the relation locked exclusively.
 */
void
pt_state_file_changed(const RelFileLocator *locator)
{
	pt_state_tell(locator, note_file_changed, NULL);
}

static void
note_producers(PtLogState *state, const void *arg)
{
	state->producers_pos = Max(state->producers_pos, *(const PtLogPos *) arg);
}

/* The same for where all that is known of producers begins. */
void
pt_state_set_producers(const RelFileLocator *locator, PtLogPos pos)
{
	pt_state_tell(locator, note_producers, &pos);
}

static void
note_meta(PtLogState *state, const void *arg)
{
	const xl_pt_meta *x = arg;

	if (!state->loaded)
		return;
	state->start_offset = x->start_offset;
	state->start_ordinal = x->start_ordinal;
	state->start_pos = x->start_pos;
	pg_atomic_write_u64(&state->sealed_pos, x->sealed_pos);
	state->producers_pos = x->producers_pos;
}

/*
 * Redo has changed the meta page: keep the state of a standby's readers right.
 */
void
pt_state_replay_meta(const RelFileLocator *locator, const xl_pt_meta *x)
{
	pt_state_tell(locator, note_meta, x);
}
