/*-------------------------------------------------------------------------
 *
 * state_load.c
 *	  Reading the state of a log from the log itself.
 *
 * Who writes gets an entry in shared memory.  It is loaded by its first user,
 * with no lock held; others who need that log wait for the entry's condition
 * variable, and those who need another log do not.  What has been read is put
 * into the entry at once, when it is complete.
 *
 * Who only reads needs no entry: pt_log_view copies one, or reads the log into
 * memory of its own.
 *
 * Siblings: state_table.c finds and keeps entries, state.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "stop_point.h"
#include "io/io.h"
#include "log/internal.h"

/* Who must not wait long waits for somebody else's loading until then. */
#define LOADING_PATIENCE_MS		20

/* Who needs an entry waits so long for one, and looks so often. */
#define FULL_PATIENCE_MS		5000
#define FULL_POLL_MS			10

static void check_behind(PtReader *r, const PtLogInfo *info);
static void read_tail(PtLogState *state, PtReader *r, const PtLogInfo *info);
static void read_max_timestamp(PtLogState *state, PtReader *r);
static void read_ends(PtLogState *state, PtReader *r);
static void loading_failed(int code, Datum arg);

/*
 * reading
 */

/*
 * Reads everything from the log into a state that is the caller's own (its
 * tail_max_timestamp only for an append).  Commits found are made durable
 * first: some may be asynchronous (pt_frame_visible does that), and so is what
 * the meta page says.  The caller has the relation locked.
 */
static void
read_state(PtLogState *fresh, Relation rel, bool for_append)
{
	bool		recovering = RecoveryInProgress();	/* before the log is read:
													 * replay may end
													 * meanwhile */
	PtReader	r;
	PtLogInfo	info;

	memset(fresh, 0, sizeof(*fresh));
	pt_durable_info(rel, &pt_rel_locator(rel), &info);
	fresh->start_offset = info.start_offset;
	fresh->start_ordinal = info.start_ordinal;
	fresh->start_pos = info.start_pos;
	pg_atomic_init_u64(&fresh->sealed_pos, info.sealed_pos);
	fresh->producers_pos = info.producers_pos;
	pt_reader_begin_info(&r, rel, &info);
	read_tail(fresh, &r, &info);
	if (for_append)
		read_max_timestamp(fresh, &r);
	read_ends(fresh, &r);
	pt_reader_end(&r);
	fresh->loaded_lsn = recovering ? InvalidXLogRecPtr : GetFlushRecPtr(NULL);
	fresh->loaded = true;
	fresh->volatile_load = recovering;
	Assert(recovering ||
		   (fresh->committed.pos <= fresh->tail_pos && fresh->committed.offset <= fresh->tail_offset));
	fresh->durable = fresh->committed;
}

/*
 * Pages are written in order, so nothing is written behind the one at which a
 * reader stands after pt_reader_seek_end.  If something is, that one is
 * damaged, and who appended there would overwrite what is behind: ERROR XX001.
 * A few probes find it, but for large damages.
 */
static void
check_behind(PtReader *r, const PtLogInfo *info)
{
	uint64		block = pt_pos_block(r->pos);
	Page		page;

	for (uint64 ahead = 1; block + ahead < info->next_extent * PT_EXTENT_BLOCKS; ahead *= 2)
	{
		if (!pt_reader_lock_block(r, block + ahead, &page))
			continue;
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		if (!pt_reader_lock_block(r, block, &page))
			pt_report_damage(&r->locator, r->pos, "damaged or missing page");
		LockBuffer(r->buf, BUFFER_LOCK_UNLOCK);
		return;					/* both have been written meanwhile */
	}
}

/*
 * The tail: behind the last frame written.  Goes back page by page from the
 * end of the last extent, at most an extent and the batch that ends there.
 */
static void
read_tail(PtLogState *state, PtReader *r, const PtLogInfo *info)
{
	PtFrame		frame;

	state->tail_pos = info->start_pos;
	state->tail_offset = info->start_offset;
	state->tail_ordinal = info->start_ordinal;
	state->tail_max_timestamp = -1;
	state->tail_phys = PT_INVALID_EXTENT;
	state->file_blocks = RelationGetNumberOfBlocks(r->rel);
	if (info->next_extent == info->first_extent)
		return;
	pt_reader_seek_end(r);
	check_behind(r, info);
	if (pt_reader_prev(r, &frame))
		pt_reader_seek_frame(r, &frame);
	else
		pt_reader_seek_start(r);
	while (pt_reader_next(r, &frame))
	{
		state->tail_pos = frame.next;
		state->tail_ordinal = frame.head.base_ordinal + frame.head.ordinals;
		state->tail_xid = frame.head.xid;
		if (!pt_reader_complete(r, &frame))
			state->tail_cut = frame.pos;
	}
}

/* The largest timestamp of the batches in the extent of the last one. */
static void
read_max_timestamp(PtLogState *state, PtReader *r)
{
	PtFrame		frame;

	pt_reader_seek_tail(r, state->tail_pos);
	if (!pt_reader_prev(r, &frame))
		return;
	pt_reader_seek_extent(r, pt_pos_extent(frame.pos));
	while (pt_reader_next(r, &frame))
		state->tail_max_timestamp = Max(state->tail_max_timestamp, frame.batch.max_timestamp);
}

/*
 * The committed end: behind the last frame whose transaction committed.
 * Behind it are aborted ones, and perhaps those of one prepared transaction.
 * ERROR XX001 when a part of a committed one is not there: who appended would
 * take it for the rest of a failed append, and flag it aborted.
 */
static void
read_ends(PtLogState *state, PtReader *r)
{
	PtFrame		frame;
	bool		tail_known = false;

	state->committed.offset = state->start_offset;
	state->committed.pos = state->start_pos;
	state->committed.lsn = InvalidXLogRecPtr;
	pt_reader_seek_tail(r, state->tail_pos);
	while (pt_reader_prev(r, &frame))
	{
		PtVisibility v = pt_frame_visible(r, &frame, NULL);

		if (v == PT_IN_PROGRESS && !tail_known)
		{
			state->tail_offset = pt_batch_next_offset(&frame.batch);
			state->tail_xid = frame.head.xid;
			tail_known = true;
		}
		/* who ended an extent has found everything before decided */
		if ((frame.head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_SKIP)
			state->committed.pos = Max(state->committed.pos, frame.next);
		if (v == PT_VISIBLE || pt_frame_is_lost(&frame))
		{
			/* on a standby, the rest may have come before the commit */
			if (frame.pos == state->tail_cut && !pt_reader_complete(r, &frame))
				pt_report_damage(&r->locator, frame.pos, "incomplete batch that is committed");
			state->committed.offset = pt_batch_next_offset(&frame.batch);
			state->committed.pos = Max(state->committed.pos, frame.next);
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
 * loading
 */

/*
 * true: the caller loads the entry now.  Else somebody does already, or has
 * just done it: then there may be appends in it that nobody must undo.
 */
static bool
begin_loading(PtLogState *state)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		first;

	SpinLockAcquire(&state->mutex);
	Assert(state->pins > 0);
	first = !state->loading && !pt_state_is_ready(state);
	if (first)
	{
		state->loading = true;
		state->loading_since = now;
	}
	SpinLockRelease(&state->mutex);
	return first;
}

static void
end_loading(PtLogState *state)
{
	SpinLockAcquire(&state->mutex);
	Assert(state->loading);
	state->loading = false;
	SpinLockRelease(&state->mutex);
	ConditionVariableBroadcast(&state->loaded_cv);
}

/* Of errors, and of a process that ends amid its loading. */
static void
loading_failed(int code, Datum arg)
{
	end_loading((PtLogState *) DatumGetPointer(arg));
}

static bool
is_loading(PtLogState *state)
{
	bool		loading;

	SpinLockAcquire(&state->mutex);
	loading = state->loading;
	SpinLockRelease(&state->mutex);
	return loading;
}

/*
 * Loads an entry that we have pinned.  false: somebody else does, or has just
 * done it.
 */
static bool
load(PtLogState *state, Relation rel)
{
	PtLogState	fresh;

	PT_STOP_POINT("load.missing");
	if (!begin_loading(state))
		return false;
	PG_ENSURE_ERROR_CLEANUP(loading_failed, PointerGetDatum(state));
	{
		PT_STOP_POINT("load.begun");
		read_state(&fresh, rel, true);
		PT_STOP_POINT("load.read");
		pt_state_adopt(state, &fresh);
	}
	PG_END_ENSURE_ERROR_CLEANUP(loading_failed, PointerGetDatum(state));
	end_loading(state);
	return true;
}

/*
 * Waits until somebody else has loaded it, or failed to; at most until "until"
 * (0: as long as it takes).
 */
static void
await_loading(PtLogState *state, TimestampTz until)
{
	ConditionVariablePrepareToSleep(&state->loaded_cv);
	while (is_loading(state))
	{
		long		left = -1;

		if (until != 0 && (left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) <= 0)
			break;
		(void) ConditionVariableTimedSleep(&state->loaded_cv, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

/*
 * An entry for the log, when all are in use: those of commits that wait for
 * their flush are free in a moment, and so are those of most transactions.
 * NULL: not within FULL_PATIENCE_MS, or it is us who have most of them.
 */
static PtLogState *
await_entry(const RelFileLocator *locator)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FULL_PATIENCE_MS);
	PtLogState *state;

	ConditionVariablePrepareToSleep(pt_state_freed_cv());
	while ((state = pt_state_claim(locator, true)) == NULL && GetCurrentTimestamp() < until &&
		   pt_state_pinned() <= pt_max_partitions / 2)
		(void) ConditionVariableTimedSleep(pt_state_freed_cv(), FULL_POLL_MS, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	return state;
}

static void
report_full(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many partitions are being written or read at the same time"),
			 errdetail("There is memory for %d of them.", pt_max_partitions),
			 errhint("Increase the setting \"pgtopic.max_partitions\", or use fewer partitions in one transaction.")));
}

/*
 * The state of an open relation's log, read from its file when it is not in
 * memory.  The caller has the relation locked, and is in a transaction: the
 * pointer is good until pt_state_release or the transaction's end.  ERROR when
 * all entries stay in use.
 */
PtLogState *
pt_state_get(Relation rel)
{
	RelFileLocator locator = pt_rel_locator(rel);
	PtLogState *state = pt_state_claim(&locator, true);

	Assert(IsTransactionState());
	if (state == NULL && (state = await_entry(&locator)) == NULL)
		report_full();
	while (!pt_state_is_ready(state) && !load(state, rel))
		await_loading(state, 0);
	return state;
}

/*
 * The same for those who must not wait long: NULL when somebody else has been
 * loading it for a while, or all entries are in use.  Who must not even wait
 * for the disk (pt_at_hand_only) waits for nobody who does, and gets ERROR
 * PT_ERRCODE_NOT_AT_HAND from his own loading; what it has read by then is in
 * buffers.
 */
PtLogState *
pt_state_try(Relation rel)
{
	RelFileLocator locator = pt_rel_locator(rel);
	PtLogState *state = pt_state_claim(&locator, true);

	Assert(IsTransactionState());
	if (state == NULL || pt_state_is_ready(state) || load(state, rel))
		return state;
	/* mostly it takes no longer than one's own loading would */
	if (!pt_at_hand_only)
		await_loading(state, TimestampTzPlusMilliseconds(state->loading_since, LOADING_PATIENCE_MS));
	if (pt_state_is_ready(state))
		return state;
	pt_state_release(state);
	return NULL;
}

/*
 * Fills a view from an entry that has never been used, so that it need not be
 * read the next time.  false: there is none, or somebody else is loading the
 * log.
 */
static bool
view_of_new_entry(Relation rel, PtLogView *view, const RelFileLocator *locator)
{
	PtLogState *state;
	bool		good;

	if (RecoveryInProgress() || (state = pt_state_claim(locator, false)) == NULL)
		return false;
	good = (pt_state_is_ready(state) || load(state, rel)) && pt_view_of(view, state, locator);
	pt_state_release(state);
	return good;
}

/*
 * What is known of a log now, also when all entries have been given to others:
 * then it is read from the file, and nothing is kept.  The caller has the
 * relation locked.
 */
void
pt_log_view(Relation rel, PtLogView *view)
{
	RelFileLocator locator = pt_rel_locator(rel);
	PtLogState	fresh;

	if (pt_state_peek(view, &locator) || view_of_new_entry(rel, view, &locator))
		return;
	read_state(&fresh, rel, false);
	pt_view_fill(view, &fresh, &locator);
}
