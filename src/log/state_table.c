/*-------------------------------------------------------------------------
 *
 * state_table.c
 *	  Which logs have a PtLogState in shared memory, and for how long.
 *
 * There are pgtopic.max_partitions entries, in an array; a hash table says in
 * which one a log is.  When all are taken, one that nobody needs is given to
 * another log (clock algorithm): everything in it can be read back from the
 * log.  Memory is never given back, so a pointer to an entry may be kept
 * without a pin; it is good as long as the entry's locator is the one that is
 * expected.
 *
 * An entry stays
 *
 *		while a process has it pinned: from pt_state_get to pt_state_release
 *		or the end of the transaction.  Who appends does not release it.
 *		while its log has a commit that is not durable (ring)
 *
 * That it is listed among the logs to be advanced (waiting) is of the entry,
 * whatever log has it.
 *
 * An aborted tail, a frame that was cut short and the appends of a prepared
 * transaction are found again by whoever loads the log next.
 *
 * Siblings: state_load.c fills entries, state.c is about what is in them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "guc.h"
#include "log/internal.h"

typedef struct PtStateTable
{
	LWLock		lock;			/* the hash table, and whose an entry is */
	int			nused;			/* entries [0, nused) have been used */
	int			hand;			/* of the clock */
	PtLogState	states[FLEXIBLE_ARRAY_MEMBER];
} PtStateTable;

typedef struct PtStateIndex
{
	RelFileLocator locator;		/* hash key */
	int			at;				/* in states[] */
} PtStateIndex;

static PtStateTable *table;
static HTAB *index_of;

/*
 * This process's pins, by entry: a count, and whether the entry is listed in
 * pinned[].  A count that has reached the maximum stays there.
 */
#define PIN_LISTED		0x8000
#define PIN_COUNT		0x7FFF

static uint16 *pins;
static int *pinned;
static int	npinned;
static int	nheld;				/* entries with a count */
static int	pinned_cap;

static int	evict(void);

static Size
table_size(void)
{
	return add_size(offsetof(PtStateTable, states), mul_size(pt_max_partitions, sizeof(PtLogState)));
}

Size
pt_state_table_size(void)
{
	return add_size(MAXALIGN(table_size()), hash_estimate_size(pt_max_partitions, sizeof(PtStateIndex)));
}

/* Called with AddinShmemInitLock held. */
void
pt_state_table_init(void)
{
	bool		found;
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(PtStateIndex)};

	table = ShmemInitStruct("pgtopic log states", table_size(), &found);
	if (!found)
	{
		memset(table, 0, table_size());
		LWLockInitialize(&table->lock, pt_lwlock_tranche_new("pgtopic_log_state"));
		for (int i = 0; i < pt_max_partitions; i++)
		{
			SpinLockInit(&table->states[i].mutex);
			ConditionVariableInit(&table->states[i].loaded_cv);
			pg_atomic_init_u64(&table->states[i].sealed_pos, 0);
		}
	}
	pt_lwlock_tranche_name(table->lock.tranche, "pgtopic_log_state");
	index_of = pt_shmem_hash("pgtopic log state table", pt_max_partitions, &ctl,
							 HASH_ELEM | HASH_BLOBS);
}

/*
 * pins
 */

static int
index_in_table(const PtLogState *state)
{
	int			at = (int) (state - table->states);

	Assert(at >= 0 && at < pt_max_partitions);
	return at;
}

/* Makes room for one more, so that a pin that is counted can be noted. */
static void
reserve_pin(void)
{
	if (pins == NULL)
		pins = MemoryContextAllocZero(TopMemoryContext, pt_max_partitions * sizeof(uint16));
	if (npinned < pinned_cap)
		return;
	if (pinned == NULL)
		pinned = MemoryContextAlloc(TopMemoryContext, 64 * sizeof(int));
	else
		pinned = repalloc(pinned, 2 * pinned_cap * sizeof(int));
	pinned_cap = Max(64, 2 * pinned_cap);
}

/*
 * Pins an entry, if it is this log's; a pin of ours keeps it so.  May be
 * called with the table's lock.
 */
static bool
pin(PtLogState *state, const RelFileLocator *locator)
{
	int			at = index_in_table(state);
	bool		same;

	reserve_pin();
	if ((pins[at] & PIN_COUNT) == 0)
	{
		SpinLockAcquire(&state->mutex);
		same = RelFileLocatorEquals(state->locator, *locator);
		if (same)
		{
			state->pins++;
			nheld++;
			state->recent = true;
		}
		SpinLockRelease(&state->mutex);
		if (!same)
			return false;
		if (!(pins[at] & PIN_LISTED))
			pinned[npinned++] = at;
		pins[at] |= PIN_LISTED;
	}
	else if (!RelFileLocatorEquals(state->locator, *locator))
		return false;
	if ((pins[at] & PIN_COUNT) < PIN_COUNT)
		pins[at]++;
	Assert(state->pins > 0);
	return true;
}

static void
unpin(PtLogState *state)
{
	SpinLockAcquire(&state->mutex);
	Assert(state->pins > 0 && nheld > 0);
	state->pins--;
	nheld--;
	SpinLockRelease(&state->mutex);
}

/* How many entries this process has pinned. */
int
pt_state_pinned(void)
{
	return nheld;
}

/*
 * The caller does not use this pointer any more.  Need not be called: the end
 * of the transaction does the same.  For those who look at many logs in one.
 */
void
pt_state_release(PtLogState *state)
{
	uint16	   *mine = &pins[index_in_table(state)];

	Assert((*mine & PIN_COUNT) > 0);
	if ((*mine & PIN_COUNT) == PIN_COUNT)
		return;
	if ((--*mine & PIN_COUNT) == 0)
		unpin(state);
}

/*
 * The transaction has ended, and everybody has been told of it.  Does not
 * throw.
 */
void
pt_state_release_all(void)
{
	while (npinned > 0)
	{
		int			at = pinned[--npinned];

		if ((pins[at] & PIN_COUNT) > 0)
			unpin(&table->states[at]);
		pins[at] = 0;
	}
}

/*
 * Pins an entry that was this log's when the caller last had it; false when it
 * no longer is.
 */
bool
pt_state_pin(PtLogState *state, const RelFileLocator *locator)
{
	if (!pin(state, locator))
		return false;
	if (pt_state_is_ready(state))
		return true;
	pt_state_release(state);
	return false;
}

/*
 * finding
 */

/* The entry of a log, pinned; NULL: it has none.  With the table's lock. */
static PtLogState *
find(const RelFileLocator *locator)
{
	PtStateIndex *entry = hash_search(index_of, locator, HASH_FIND, NULL);
	PtLogState *state;

	Assert(LWLockHeldByMe(&table->lock));
	if (entry == NULL)
		return NULL;
	state = &table->states[entry->at];
	if (!pin(state, locator))
		Assert(false);
	return state;
}

/* An entry becomes this log's, with nothing known of it. */
static void
give_to(PtLogState *state, const RelFileLocator *locator)
{
	SpinLockAcquire(&state->mutex);
	Assert(state->pins == 0 && state->ring_n == 0 && !state->loading);
	state->locator = *locator;
	state->loaded = false;
	state->volatile_load = false;
	state->start_offset = state->start_ordinal = 0;
	state->start_pos = 0;
	state->written_from = state->written_to = 0;
	pg_atomic_write_u64(&state->sealed_pos, 0);
	state->producers_pos = 0;
	state->producers_extents = 0;
	SpinLockRelease(&state->mutex);
}

/*
 * Gives a log that has no entry one that was never used, or (may_evict)
 * another log's; false: all are in use.  Table lock held exclusively.
 */
static bool
add(const RelFileLocator *locator, bool may_evict)
{
	PtStateIndex *entry;
	int			at = -1;
	bool		found;

	if (table->nused < pt_max_partitions)
		at = table->nused++;
	else if (may_evict)
		at = evict();
	if (at < 0)
		return false;
	give_to(&table->states[at], locator);
	entry = hash_search(index_of, locator, HASH_ENTER, &found);
	Assert(!found);
	entry->at = at;
	return true;
}

/*
 * The entry of a log, pinned, loaded or not; a new one when it has none, or
 * (may_evict) another log's.  NULL: all are in use.
 */
PtLogState *
pt_state_claim(const RelFileLocator *locator, bool may_evict)
{
	PtLogState *state;

	reserve_pin();
	LWLockAcquire(&table->lock, LW_SHARED);
	state = find(locator);
	LWLockRelease(&table->lock);
	if (state)
		return state;
	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	state = find(locator);
	if (state == NULL && add(locator, may_evict))
		state = find(locator);
	LWLockRelease(&table->lock);
	return state;
}

/*
 * Takes an entry that nobody needs away from its log, one that was not used
 * since the clock's hand passed; -1: there is none.  Table lock held
 * exclusively.
 */
static int
evict(void)
{
	Assert(LWLockHeldByMeInMode(&table->lock, LW_EXCLUSIVE));
	for (int i = 0; i < 2 * pt_max_partitions; i++)
	{
		int			at = table->hand;
		PtLogState *state = &table->states[at];
		RelFileLocator old = {0};
		bool		idle;

		table->hand = (at + 1) % pt_max_partitions;
		SpinLockAcquire(&state->mutex);
		idle = state->pins == 0 && state->ring_n == 0;
		if (idle && !state->recent)
		{
			Assert(!state->loading);
			old = state->locator;
			memset(&state->locator, 0, sizeof(state->locator));
			state->loaded = false;
		}
		else
			idle = false;
		if (state->pins == 0)
			state->recent = false;
		SpinLockRelease(&state->mutex);
		if (!idle)
			continue;
		if (hash_search(index_of, &old, HASH_REMOVE, NULL) == NULL)
			elog(ERROR, "state of log %u is not in the table", (unsigned) pt_locator_number(old));
		return at;
	}
	return -1;
}

/*
 * A view of a log's entry; false when it has none that can be used.
 */
bool
pt_state_peek(PtLogView *view, const RelFileLocator *locator)
{
	PtStateIndex *entry;
	bool		found;

	LWLockAcquire(&table->lock, LW_SHARED);
	entry = hash_search(index_of, locator, HASH_FIND, NULL);
	found = entry != NULL && pt_view_of(view, &table->states[entry->at], locator);
	LWLockRelease(&table->lock);
	return found;
}

/*
 * The start that everybody believes in.  *start PG_UINT64_MAX: nobody has the
 * log in memory, and who loads it from now on finds what the meta page says.
 * False: somebody may just be loading it, and believe in an older one.
 */
bool
pt_state_start(const RelFileLocator *locator, PtLogPos *start)
{
	PtStateIndex *entry;
	bool		known = true;

	*start = PG_UINT64_MAX;
	LWLockAcquire(&table->lock, LW_SHARED);
	entry = hash_search(index_of, locator, HASH_FIND, NULL);
	if (entry)
	{
		PtLogState *state = &table->states[entry->at];

		SpinLockAcquire(&state->mutex);
		known = pt_state_is_ready(state);
		*start = state->start_pos;
		SpinLockRelease(&state->mutex);
	}
	LWLockRelease(&table->lock);
	return known;
}

/*
 * What others tell an entry
 */

/*
 * A log has been made here: what was known of one that had the same locator is
 * void.
 */
void
pt_state_forget(const RelFileLocator *locator)
{
	PtStateIndex *entry;

	LWLockAcquire(&table->lock, LW_EXCLUSIVE);
	entry = hash_search(index_of, locator, HASH_FIND, NULL);
	if (entry)
	{
		PtLogState *state = &table->states[entry->at];

		SpinLockAcquire(&state->mutex);
		state->loaded = false;
		state->start_offset = state->start_ordinal = 0;
		state->start_pos = 0;
		state->written_from = state->written_to = 0;
		pg_atomic_write_u64(&state->sealed_pos, 0);
		state->producers_pos = 0;
		state->producers_extents = 0;
		SpinLockRelease(&state->mutex);
	}
	LWLockRelease(&table->lock);
}

/*
 * Calls back for the entry of a log, if it has one, under the entry's mutex
 * and the table's lock: a few loads and stores.
 */
void
pt_state_tell(const RelFileLocator *locator, PtStateCallback callback, const void *arg)
{
	PtStateIndex *entry;

	LWLockAcquire(&table->lock, LW_SHARED);
	entry = hash_search(index_of, locator, HASH_FIND, NULL);
	if (entry)
	{
		PtLogState *state = &table->states[entry->at];

		SpinLockAcquire(&state->mutex);
		callback(state, arg);
		SpinLockRelease(&state->mutex);
	}
	LWLockRelease(&table->lock);
}

/* Calls back for all entries, under the table's lock alone. */
void
pt_state_each(void (*callback) (PtLogState *state, void *arg), void *arg)
{
	LWLockAcquire(&table->lock, LW_SHARED);
	for (int i = 0; i < table->nused; i++)
		callback(&table->states[i], arg);
	LWLockRelease(&table->lock);
}
