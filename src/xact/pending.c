/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Rows that wait in memory until their transaction commits.
 *
 * Each relation has an arena to which rows are only ever added: a row is a
 * PtPendingRow with its bytes behind it, and one pointer.  Its number, counted
 * from the first row that the transaction added, makes its marker TID.
 *
 * Rows are a stack with respect to subtransactions: what a subtransaction
 * added is always at the end, and is cut off when it aborts.  Segments say
 * which rows belong to which nesting level, and at which level they were
 * appended early.
 *
 * Early append.  A frame carries the xid of the subtransaction that appended
 * it, so rows of outer levels that are appended inside of a subtransaction
 * would be lost if that aborts.  Their bytes are therefore kept until it has
 * committed as far up as they belong; after an abort they wait again.  Rows
 * appended at their own level are freed at once; runs remember which row
 * numbers went to which offsets, and the log has the bytes (reread.c).
 *
 *		segments	[ appended and freed | appended, kept | waiting ]
 *					^ row 0				 ^ base							^ nrows
 *
 * Siblings: row_batches.c encodes and appends, xact.c calls at ends of
 * (sub)transactions.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "storage/lockdefs.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "guc.h"
#include "topic/leaf.h"
#include "xact/internal.h"
#include "xact/pending.h"

/*
 * Pointers to rows that are kept for the next rows when these have been
 * appended.
 */
#define ROWS_KEPT	(1024 * 1024)

/*
 * Once a transaction has appended early it holds its locks anyway, and waiting
 * longer than it takes to fill a few batches brings nothing but cold memory.
 */
#define EARLY_BYTES	(1024 * 1024)

static MemoryContext pending_mcxt;	/* child of TopTransactionContext, or NULL */
static HTAB *pending_rels;		/* of PtPendingRel, by relid */
static PtPendingRel *last_rel;	/* the one used last, or NULL */
static Size waiting_bytes;		/* of all relations */
static bool appending;
static bool appended_early;		/* this transaction has */

static PtPendingRel *enter_rel(Relation rel);
static void check_row(Relation rel, const PtPendingRel *p, const PtRecord *row);
static PtPendingRow *arena_row(PtPendingRel *p, const PtRecord *row);
static void add_segment(PtPendingRel *p, int level);
static void free_appended(PtPendingRel *p);
static void truncate_rows(PtPendingRel *p, int64 n);
static void append_all(bool two_phase);
static void sub_commit(int level);
static void sub_abort(int level);
static void forget(void);

/*
 * The rows of each relation are a stack of segments, which is followed here.
 */
const PtXactKind pt_xact_pending = {
	.name = "rows that wait",
	.prepare = append_all,
	.sub_commit = sub_commit,
	.sub_abort = sub_abort,
	.forget = forget,
};

/* The entry of a relation, or NULL. */
static PtPendingRel *
find_rel(Oid relid)
{
	if (last_rel && last_rel->relid == relid)
		return last_rel;
	if (pending_rels == NULL)
		return NULL;
	return hash_search(pending_rels, &relid, HASH_FIND, NULL);
}

static PtPendingRel *
enter_rel(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	PtPendingRel *p = find_rel(relid);

	if (p == NULL)
	{
		const PtTopicConfig *config = pt_leaf_config(relid);
		bool		found;

		if (pending_mcxt == NULL)
			pending_mcxt = AllocSetContextCreate(TopTransactionContext, "pgtopic pending rows",
												 ALLOCSET_DEFAULT_SIZES);
		if (pending_rels == NULL)
		{
			HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(PtPendingRel),.hcxt = pending_mcxt};

			pending_rels = hash_create("pgtopic pending rows", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		}
		p = hash_search(pending_rels, &relid, HASH_ENTER, &found);
		Assert(!found);
		memset((char *) p + sizeof(Oid), 0, sizeof(*p) - sizeof(Oid));
		p->arena.mcxt = pending_mcxt;
		p->max_message_bytes = config->max_message_bytes;
		p->compacted = (config->cleanup_policy & PT_CLEANUP_COMPACT) != 0;
	}
	last_rel = p;
	return p;
}

static void
check_row(Relation rel, const PtPendingRel *p, const PtRecord *row)
{
	/* the cheap bound first: a COPY asks this for every row */
	uint64		bytes = (uint64) Max(row->key_len, 0) + Max(row->value_len, 0) + row->headers_len;

	if (bytes + 256 > (uint64) p->max_message_bytes || p->compacted)
		pt_row_check(rel, row, p->max_message_bytes, p->compacted);
}

/* A copy of the row at the end of the arena. */
static PtPendingRow *
arena_row(PtPendingRel *p, const PtRecord *row)
{
	Size		key_len = row->key ? row->key_len : 0;
	Size		value_len = row->value ? row->value_len : 0;
	Size		headers_len = row->headers ? row->headers_len : 0;
	Size		size = MAXALIGN(sizeof(PtPendingRow) + key_len + value_len + headers_len);
	PtPendingRow *stored = (PtPendingRow *) pt_arena_alloc(&p->arena, size);
	char	   *at = (char *) (stored + 1);

	stored->offset = row->offset;
	stored->timestamp = row->timestamp;
	stored->key_len = row->key ? row->key_len : -1;
	stored->value_len = row->value ? row->value_len : -1;
	stored->headers_len = (int32) headers_len;
	stored->header_count = headers_len > 0 ? row->header_count : 0;
	stored->explicit_offset = row->offset >= 0;
	if (key_len > 0)
		memcpy(at, row->key, key_len);
	if (value_len > 0)
		memcpy(at + key_len, row->value, value_len);
	if (headers_len > 0)
		memcpy(at + key_len + value_len, row->headers, headers_len);
	p->segments[p->nsegments - 1].bytes += size;
	waiting_bytes += size;
	return stored;
}

/* A stored row with pointers to its bytes. */
static void
get_stored(const PtPendingRow *stored, PtRecord *row)
{
	const char *at = (const char *) (stored + 1);

	row->offset = stored->offset;
	row->timestamp = stored->timestamp;
	row->key_len = stored->key_len;
	row->value_len = stored->value_len;
	row->headers_len = stored->headers_len;
	row->header_count = stored->header_count;
	row->key = stored->key_len >= 0 ? at : NULL;
	at += Max(stored->key_len, 0);
	row->value = stored->value_len >= 0 ? at : NULL;
	at += Max(stored->value_len, 0);
	row->headers = stored->headers_len > 0 ? at : NULL;
}

/* An array of items with twice the room, or with that of "least". */
static void *
grow(void *items, Size *cap, Size least, Size item_size)
{
	*cap = Max(least, *cap * 2);
	if (items == NULL)
		return MemoryContextAllocHuge(pending_mcxt, *cap * item_size);
	return repalloc_huge(items, *cap * item_size);
}

/* From here on rows belong to this nesting level, and wait. */
static void
add_segment(PtPendingRel *p, int level)
{
	PtPendingSegment *s;

	Assert(p->nsegments == 0 || p->segments[p->nsegments - 1].level <= level);
	Assert(p->nsegments == 0 || p->segments[p->nsegments - 1].first < p->nrows);
	if (p->nsegments == p->segments_cap)
		p->segments = grow(p->segments, &p->segments_cap, 8, sizeof(PtPendingSegment));
	s = &p->segments[p->nsegments++];
	s->first = p->nrows;
	s->level = level;
	s->appended = 0;
	s->bytes = 0;
	s->mark = pt_arena_mark(&p->arena);
}

/* Appends what waits, if that is more than shall. */
static void
append_early(void)
{
	Size		limit = (Size) pt_produce_buffer * 1024;

	if (appended_early)
		limit = Min(limit, EARLY_BYTES);
	if (waiting_bytes <= limit)
		return;
	appended_early = true;
	pt_pending_append(InvalidOid);
}

/*
 * Takes a copy of the row.  The marker TID under which pt_pending_get finds it
 * goes to *tid (may be NULL).
 */
void
pt_pending_add(Relation rel, const PtRecord *row, ItemPointer tid)
{
	PtPendingRel *p = enter_rel(rel);
	int			level = GetCurrentTransactionNestLevel();
	const PtPendingSegment *top = p->nsegments > 0 ? &p->segments[p->nsegments - 1] : NULL;

	Assert(row->offset >= -1);
	Assert(row->key == NULL || row->key_len >= 0);
	Assert(row->value == NULL || row->value_len >= 0);
	Assert(p->base <= p->nrows);
	check_row(rel, p, row);
	if (top == NULL || top->level != level || top->appended != 0)
		add_segment(p, level);
	if (p->nrows - p->base == p->rows_cap)
		p->rows = grow(p->rows, &p->rows_cap, 64, sizeof(PtPendingRow *));
	p->rows[p->nrows - p->base] = arena_row(p, row);
	if (tid)
		ItemPointerSet(tid, PT_TID_MARKER_BLOCK + (BlockNumber) (p->nrows / PT_TID_PER_BLOCK),
					   (OffsetNumber) (p->nrows % PT_TID_PER_BLOCK + 1));
	p->nrows++;
	if (!appending)
		append_early();
}

/* First row that has not been appended. */
static int64
first_waiting(const PtPendingRel *p)
{
	int			i = p->nsegments;

	while (i > 0 && p->segments[i - 1].appended == 0)
		i--;
	return i < p->nsegments ? p->segments[i].first : p->nrows;
}

/*
 * A waiting row, or one that was appended early, by its marker TID; false when
 * it was rolled back.  What the row points to stays until the next call of
 * this room.
 */
bool
pt_pending_get(Relation rel, ItemPointer tid, PtRecord *row)
{
	PtPendingRel *p = find_rel(RelationGetRelid(rel));
	int64		i;

	Assert(pt_tid_is_marker(tid));
	i = (int64) (ItemPointerGetBlockNumberNoCheck(tid) - PT_TID_MARKER_BLOCK) * PT_TID_PER_BLOCK +
		ItemPointerGetOffsetNumberNoCheck(tid) - 1;
	if (p == NULL || i < 0 || i >= p->nrows)
		return false;
	if (i < p->base)
		return pt_pending_reread(rel, p, i, row);
	get_stored(p->rows[i - p->base], row);
	if (i >= first_waiting(p) && !p->rows[i - p->base]->explicit_offset)
		row->offset = -1;		/* not appended, or no longer */
	return true;
}

typedef struct AppendArg
{
	PtPendingRel *p;
	int64		first;
} AppendArg;

static void
get_row(void *arg, int64 i, PtRecord *row)
{
	const AppendArg *a = arg;
	const PtPendingRow *stored = a->p->rows[a->first - a->p->base + i];

	get_stored(stored, row);
	if (!stored->explicit_offset)
		row->offset = -1;
}

static void
set_row_offset(void *arg, int64 i, int64 offset)
{
	const AppendArg *a = arg;

	Assert(offset >= 0);
	a->p->rows[a->first - a->p->base + i]->offset = offset;
}

/*
 * Appends what waits for one relation, whose append lock is held.  Rows that
 * index expressions add meanwhile wait for the next round.
 */
static void
append_rel(Oid relid, PtRowProducer *producer)
{
	PtPendingRel *p = find_rel(relid);
	int64		first = first_waiting(p);
	AppendArg	arg = {.p = p,.first = first};
	PtRowSource source = {.arg = &arg,.get_row = get_row,.set_offset = set_row_offset,.producer = producer};
	Relation	rel = try_relation_open(relid, RowExclusiveLock);

	Assert(first >= p->base && first < p->nrows);

	/*
	 * They count as appended from now on; should it fail, the abort of this
	 * level undoes that.
	 */
	source.n = p->nrows - first;
	for (int i = p->nsegments - 1; i >= 0 && p->segments[i].appended == 0; i--)
	{
		p->segments[i].appended = GetCurrentTransactionNestLevel();
		waiting_bytes -= p->segments[i].bytes;
	}
	if (rel)
	{
		pt_row_batches_append(rel, &source);
		relation_close(rel, NoLock);
	}
	free_appended(p);
}

/*
 * The relations for which something waits, in the order of their locks;
 * returns how many.
 */
static int
waiting_rels(Oid relid, Oid **relids)
{
	HASH_SEQ_STATUS scan;
	PtPendingRel *p;
	int			n = 0;

	*relids = palloc(sizeof(Oid) * (hash_get_num_entries(pending_rels) + 1));
	hash_seq_init(&scan, pending_rels);
	while ((p = hash_seq_search(&scan)) != NULL)
	{
		if ((relid == InvalidOid || p->relid == relid) && first_waiting(p) < p->nrows)
			(*relids)[n++] = p->relid;
	}
	pt_append_locks_sort(*relids, n);
	return n;
}

/*
 * Appends now what waits for this relation, or for all (InvalidOid), with the
 * append locks taken in their order.  Before DDL, and by append().
 */
void
pt_pending_append(Oid relid)
{
	pt_pending_append_as(relid, NULL);
}

/*
 * The same; the batches become those of a producer.
 */
void
pt_pending_append_as(Oid relid, PtRowProducer *producer)
{
	if (pending_rels == NULL || appending)
		return;
	appending = true;
	PG_TRY();
	{
		Oid		   *relids;
		int			n;

		while ((n = waiting_rels(relid, &relids)) > 0)
		{
			for (int i = 0; i < n; i++)
				(void) pt_append_lock(relids[i], PT_LOCK_WAIT);
			for (int i = 0; i < n; i++)
				append_rel(relids[i], producer);
			pfree(relids);
		}
	}
	PG_FINALLY();
	{
		appending = false;
	}
	PG_END_TRY();
}

static void
append_all(bool two_phase)
{
	pt_pending_append(InvalidOid);
}

/* Row "row" went to "offset"; rows come in order. */
static void
add_run(PtPendingRel *p, int64 row, int64 offset)
{
	PtPendingRun *run = p->nruns > 0 ? &p->runs[p->nruns - 1] : NULL;

	Assert(run == NULL || run->first + run->n <= row);
	if (run && run->first + run->n == row && run->offset + run->n == offset)
	{
		run->n++;
		return;
	}
	if (p->nruns == p->runs_cap)
		p->runs = grow(p->runs, &p->runs_cap, 4, sizeof(PtPendingRun));
	run = &p->runs[p->nruns++];
	run->first = row;
	run->n = 1;
	run->offset = offset;
}

/* Adjacent segments that are alike become one. */
static void
merge_segments(PtPendingRel *p)
{
	int			kept = 0;

	for (int i = 1; i < p->nsegments; i++)
	{
		PtPendingSegment *to = &p->segments[kept];
		const PtPendingSegment *from = &p->segments[i];

		if (to->level == from->level && to->appended == from->appended)
			to->bytes += from->bytes;
		else
			p->segments[++kept] = *from;
	}
	p->nsegments = Min(p->nsegments, kept + 1);
}

/*
 * When no abort but one of the rows' own level could make them wait again,
 * frees those in memory.
 */
static void
free_appended(PtPendingRel *p)
{
	PtArenaMark nothing = {NULL, 0};

	merge_segments(p);
	Assert(p->nsegments == 0 || p->segments[0].first == 0);
	if (p->base == p->nrows)
		return;
	for (int i = 0; i < p->nsegments; i++)
	{
		if (p->segments[i].appended == 0 || p->segments[i].appended > p->segments[i].level)
			return;
	}
	for (int64 i = p->base; i < p->nrows; i++)
	{
		/* those of a table that was dropped meanwhile went nowhere */
		if (p->rows[i - p->base]->offset >= 0)
			add_run(p, i, p->rows[i - p->base]->offset);
	}
	p->base = p->nrows;
	pt_arena_clear(&p->arena);
	for (int i = 0; i < p->nsegments; i++)
		p->segments[i].mark = nothing;
	if (p->rows_cap > ROWS_KEPT)
	{
		pfree(p->rows);
		p->rows = NULL;
		p->rows_cap = 0;
	}
}

/* The subtransaction at "level" has committed: its rows are its parent's. */
static void
sub_commit(int level)
{
	HASH_SEQ_STATUS scan;
	PtPendingRel *p;

	if (pending_rels == NULL)
		return;
	hash_seq_init(&scan, pending_rels);
	while ((p = hash_seq_search(&scan)) != NULL)
	{
		bool		changed = false;

		for (int i = p->nsegments - 1; i >= 0; i--)
		{
			PtPendingSegment *s = &p->segments[i];

			if (s->level < level && s->appended < level)
				continue;
			Assert(s->level <= level && s->appended <= level);
			s->level = Min(s->level, level - 1);
			s->appended = Min(s->appended, level - 1);
			changed = true;
		}
		if (changed)
			free_appended(p);
	}
}

/* Forgets rows from number n on. */
static void
truncate_rows(PtPendingRel *p, int64 n)
{
	Assert(n >= 0 && n <= p->nrows);
	p->nrows = n;
	p->base = Min(p->base, n);
	while (p->nruns > 0 && p->runs[p->nruns - 1].first >= n)
		p->nruns--;
	if (p->nruns > 0)
		p->runs[p->nruns - 1].n = Min(p->runs[p->nruns - 1].n, n - p->runs[p->nruns - 1].first);
}

/*
 * The subtransaction has aborted: its rows are gone, and what it appended of
 * outer levels waits again.
 */
static void
sub_abort(int level)
{
	HASH_SEQ_STATUS scan;
	PtPendingRel *p;

	if (pending_rels == NULL)
		return;
	pt_reread_forget();
	hash_seq_init(&scan, pending_rels);
	while ((p = hash_seq_search(&scan)) != NULL)
	{
		while (p->nsegments > 0 && p->segments[p->nsegments - 1].level >= level)
		{
			const PtPendingSegment *s = &p->segments[--p->nsegments];

			if (s->appended == 0)
				waiting_bytes -= s->bytes;
			if (s->first >= p->base)
				pt_arena_rewind(&p->arena, &s->mark);
			else
				Assert(p->arena.chunk == NULL || s->appended > 0);
			truncate_rows(p, s->first);
		}
		for (int i = p->nsegments - 1; i >= 0 && p->segments[i].appended >= level; i--)
		{
			p->segments[i].appended = 0;
			waiting_bytes += p->segments[i].bytes;
		}
	}
}

/* End of the transaction; the memory goes with it. */
static void
forget(void)
{
	pt_reread_forget();
	pending_mcxt = NULL;
	pending_rels = NULL;
	last_rel = NULL;
	waiting_bytes = 0;
	appending = appended_early = false;
}
