/*-------------------------------------------------------------------------
 *
 * xact.c
 *	  What happens to topics when a transaction ends.
 *
 * A transaction holds things of several kinds: rows that wait, append locks,
 * logs appended to, trims; and those of rooms that this one does not know.
 * Each kind is a row of a table, which is walked here at each event.
 *
 * Deferred triggers have run when PRE_COMMIT and PRE_PREPARE come, so what
 * they add is there too.  After PREPARE everything is forgotten; the append
 * locks go with the prepared transaction.
 *
 * Siblings: levels.c (the stack by which a kind follows subtransactions), and
 * the kinds: pending.c, tails.c, trim.c, lock.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "xact/internal.h"

/*
 * In this order: rows that wait are appended before the logs are looked at,
 * and the logs know their commit, and the locks are free, before a trim is
 * flushed.
 */
static const PtXactKind *const own_kinds[] = {
	&pt_xact_pending,
	&pt_xact_tails,
	&pt_xact_locks,
	&pt_xact_trims,
	&pt_xact_leader_epoch,
};

/*
 * Those of other rooms come first, in the order in which they were registered.
 */
static const PtXactKind *kinds[16];
static int	nkinds;

static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId mySubid,
							 SubTransactionId parentSubid, void *arg);
static void prepare_all(bool two_phase);
static void committed_all(void);
static void forget_all(void);

static void
add_kinds(const PtXactKind *const *more, int n)
{
	for (int i = 0; i < n; i++)
	{
		Assert(nkinds < lengthof(kinds) && more[i]->name != NULL);
		kinds[nkinds++] = more[i];
	}
}

/*
 * Called once, when the library is loaded, with the kinds of other rooms.
 * What they do at an event is done before what this room does: before the
 * append locks are released, for one.
 */
void
pt_xact_register(const PtXactKind *const *others, int n)
{
	Assert(nkinds == 0);
	add_kinds(others, n);
	add_kinds(own_kinds, lengthof(own_kinds));
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	pt_log_drops_register();
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			prepare_all(false);
			pt_tails_choose_release();
			break;
		case XACT_EVENT_PRE_PREPARE:
			prepare_all(true);
			break;
		case XACT_EVENT_COMMIT:
			committed_all();
			forget_all();
			break;
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			forget_all();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			pt_state_release_all(); /* they write nothing */
			break;
		default:
			break;
	}
}

/* While errors still abort. */
static void
prepare_all(bool two_phase)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (kinds[i]->prepare)
			kinds[i]->prepare(two_phase);
	}
}

/* The commit record is in WAL.  Nothing here may throw. */
static void
committed_all(void)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (kinds[i]->committed)
			kinds[i]->committed();
	}
}

static void
forget_all(void)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (kinds[i]->stack)
			pt_levels_forget(kinds[i]->stack);
		if (kinds[i]->forget)
			kinds[i]->forget();
	}
	pt_state_release_all();		/* nobody has a pointer any more */
}

static void
sub_commit_all(int level)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (kinds[i]->stack)
			pt_levels_sub_commit(kinds[i]->stack, level);
		if (kinds[i]->sub_commit)
			kinds[i]->sub_commit(level);
	}
}

static void
sub_abort_all(int level)
{
	for (int i = 0; i < nkinds; i++)
	{
		if (kinds[i]->stack)
			pt_levels_sub_abort(kinds[i]->stack, level);
		if (kinds[i]->sub_abort)
			kinds[i]->sub_abort(level);
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	Assert(level > 1);
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		sub_commit_all(level);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		sub_abort_all(level);
}
