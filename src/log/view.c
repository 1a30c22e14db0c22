/*-------------------------------------------------------------------------
 *
 * view.c
 *	  What one reader knows of a log: a copy of its state.
 *
 * A reader needs no entry of the table of states, so any number of logs can be
 * planned, scanned and vacuumed.  What must not be old for long (where the log
 * starts, where sealed frames end) it asks for again: of the log's entry,
 * while that is in the place that the view remembers, else of the meta page.
 *
 * Siblings: state_load.c makes views, reader.c reads with one.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "log/internal.h"

/* Copies a state; its mutex is held, or it is the caller's own. */
void
pt_view_fill(PtLogView *view, PtLogState *state, const RelFileLocator *locator)
{
	*view = (PtLogView)
	{
		.locator = *locator,
			.start_offset = state->start_offset,.start_ordinal = state->start_ordinal,
			.start_pos = state->start_pos,.sealed_pos = pg_atomic_read_u64(&state->sealed_pos),
			.sealed_first = pg_atomic_read_u64(&state->sealed_pos),.sealed_start = state->start_pos,
			.tail_pos = state->tail_pos,.tail_offset = state->tail_offset,
			.tail_ordinal = state->tail_ordinal,.tail_xid = state->tail_xid,
			.tail_cut = state->tail_cut,
			.committed = state->committed,.durable = state->durable
	};
}

/* A view of an entry; false when it is not this log's, or cannot be used. */
bool
pt_view_of(PtLogView *view, PtLogState *state, const RelFileLocator *locator)
{
	bool		good;

	SpinLockAcquire(&state->mutex);
	good = RelFileLocatorEquals(state->locator, *locator) && pt_state_is_ready(state);
	if (good)
	{
		pt_view_fill(view, state, locator);
		view->live = state;
	}
	SpinLockRelease(&state->mutex);
	return good;
}

/* What the meta page says of a log: where it starts, and is sealed. */
void
pt_view_of_info(PtLogView *view, const RelFileLocator *locator, const PtLogInfo *info)
{
	memset(view, 0, sizeof(*view));
	view->locator = *locator;
	view->start_offset = info->start_offset;
	view->start_ordinal = info->start_ordinal;
	view->start_pos = info->start_pos;
	view->sealed_pos = view->sealed_first = info->sealed_pos;
	view->sealed_start = info->start_pos;
}

/*
 * What the meta page says, once that is durable: a start must not go back with
 * a crash, and what is sealed is shown without a look at its commit.
 */
void
pt_durable_info(Relation rel, const RelFileLocator *locator, PtLogInfo *info)
{
	pt_locator_info(rel, locator, info);
	if (info->next_extent > 0 && !RecoveryInProgress())
		XLogFlush(info->lsn);
}

/*
 * Brings start and sealed position up to date.  rel may be NULL.
 */
void
pt_view_refresh(PtLogView *view, Relation rel)
{
	PtLogView	now;

	if (view->live == NULL || !pt_view_of(&now, view->live, &view->locator))
	{
		PtLogInfo	info;

		pt_durable_info(rel, &view->locator, &info);
		pt_view_of_info(&now, &view->locator, &info);
	}
	if (now.start_offset >= view->start_offset)
	{
		view->start_offset = now.start_offset;
		view->start_ordinal = now.start_ordinal;
		view->start_pos = now.start_pos;
	}
	view->sealed_pos = Max(view->sealed_pos, now.sealed_pos);
	view->sealed_start = Max(view->sealed_start, now.start_pos);
	view->live = now.live;
}

/*
 * Where sealed frames end, to be asked before the flags of the frame at "pos"
 * are read: xids of sealed frames may be older than any that can be looked up.
 * The entry has its locator changed before it is another log's, so what was
 * read before the locator is this log's.
 *
 * VACUUM passes over what has been freed, whose start was published before:
 * so the start is read after the sealed position.
 */
PtLogPos
pt_view_sealed(PtLogView *view, Relation rel, PtLogPos pos)
{
	PtLogState *live = view->live;

	if (pos < view->sealed_pos)
		return view->sealed_pos;
	if (live != NULL)
	{
		PtLogPos	sealed = pg_atomic_read_u64(&live->sealed_pos);
		PtLogPos	start;

		pg_read_barrier();
		start = live->start_pos;
		pg_read_barrier();
		if (RelFileLocatorEquals(live->locator, view->locator))
		{
			view->sealed_pos = Max(view->sealed_pos, sealed);
			view->sealed_start = Max(view->sealed_start, start);
			return view->sealed_pos;
		}
	}
	pt_view_refresh(view, rel);
	return view->sealed_pos;
}

/*
 * Is this the TID of a record that was removed from the start of the log?  An
 * index entry is written after its record, so there are none behind the tail,
 * and what seems to be there is of an older round of TIDs.  Records that were
 * appended since the view was made are near the tail.
 */
bool
pt_view_tid_gone(const PtLogView *view, ItemPointer tid)
{
	int64		ordinal = pt_tid_to_ordinal(tid, view->start_ordinal);
	int64		free = view->start_ordinal + PT_TID_MODULUS - view->tail_ordinal;

	return ordinal >= view->tail_ordinal + Max(free, 0) / 2;
}
