/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Do the secondary indexes of a log have what they must, and no more?
 *
 * There are three passes.  All entries of the index go into a Bloom filter.
 * Then the log is read: the entries that a row must have are looked for in
 * that filter, and go into a second one.  Then the entries of the index come
 * once more: of those that are not in the second filter the row is fetched,
 * and its entries are made.  Entries of rows that have gone, were never
 * committed, or are not seen yet are no fault.
 *
 * A filter never denies what it has, so all that is said is true.  It may take
 * an entry for one that it has; how seldom depends on the memory,
 * maintenance_work_mem for both.
 *
 * Nobody is locked out.  The snapshot is older than the passes, and an entry
 * is written before its transaction commits, so the index has all entries of
 * the rows that the snapshot sees before the first pass begins.  What is found
 * must be found twice.
 *
 * Siblings: entries.c, entries_gin.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "lib/bloomfilter.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "guard.h"
#include "index/internal.h"
#include "topic/topic.h"

/* No more findings than these are told of an index. */
#define FINDINGS_MAX	1000

/* A GIN index has more entries than rows; how many is guessed. */
#define KEYS_OF_A_ROW	8

/* A comparison of an index. */
typedef struct Comparison
{
	PtIndexCheck check;
	Oid			index;
	MemoryContext mcxt;			/* has all of it */
	bloom_filter *have;			/* entries of the index */
	bloom_filter *must;			/* entries of rows */
	PtLogView	view;
	const PtEntry *entry;		/* that is compared with a row's */
	bool		lacking;		/* the row lacks an entry, or the entry a row */
	/* outcome */
	List	   *findings;		/* PtFinding */
	int64		nfindings;
	const char *error;			/* why it could not be compared; NULL */
} Comparison;

/* The bytes of an entry, for filters. */
typedef struct EntryBytes
{
	uint64		hash;
	uint32		block;
	uint32		offset;
} EntryBytes;

static EntryBytes
bytes_of(const PtEntry *entry)
{
	return (EntryBytes)
	{
		.hash = entry->hash,.block = ItemPointerGetBlockNumberNoCheck(&entry->tid),
			.offset = ItemPointerGetOffsetNumberNoCheck(&entry->tid)
	};
}

static void
add_entry(bloom_filter *filter, const PtEntry *entry)
{
	EntryBytes	bytes = bytes_of(entry);

	bloom_add_element(filter, (unsigned char *) &bytes, sizeof(bytes));
}

static bool
lacks_entry(bloom_filter *filter, const PtEntry *entry)
{
	EntryBytes	bytes = bytes_of(entry);

	return bloom_lacks_element(filter, (unsigned char *) &bytes, sizeof(bytes));
}

/*
 * Keeps a finding: its text is made as by printf, behind the index's name.
 */
static void
pg_attribute_printf(3, 4)
keep_finding(Comparison *c, int64 offset, const char *fmt,...)
{
	MemoryContext old = MemoryContextSwitchTo(c->mcxt);
	PtFinding  *finding;
	StringInfoData text;

	CHECK_FOR_INTERRUPTS();
	if (c->nfindings++ < FINDINGS_MAX)
	{
		va_list		args;
		char		what[256];

		va_start(args, fmt);
		(void) vsnprintf(what, sizeof(what), fmt, args);
		va_end(args);
		initStringInfo(&text);
		appendStringInfo(&text, "index \"%s\": %s", RelationGetRelationName(c->check.index), what);
		finding = palloc0(sizeof(PtFinding));
		finding->damage = PT_DAMAGE_INDEX;
		finding->block = InvalidBlockNumber;
		finding->offset = offset;
		finding->message = text.data;

		c->findings = lappend(c->findings, finding);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Rows
 */

/* The offset of the row in the slot. */
static int64
offset_of(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, PT_COL_OFFSET, &isnull);

	return isnull ? -1 : DatumGetInt64(value);
}

/*
 * Makes the entries of the row in the slot; false if the index is partial, and
 * not for this row.
 */
static bool
form_entries(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	ExprContext *econtext = GetPerTupleExprContext(check->estate);
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old;

	econtext->ecxt_scantuple = check->slot;
	ResetExprContext(econtext);
	if (check->predicate && !ExecQual(check->predicate, econtext))
		return false;
	FormIndexDatum(check->info, check->slot, check->estate, values, isnull);
	MemoryContextReset(check->row_mcxt);
	old = MemoryContextSwitchTo(check->row_mcxt);
	check->kind->form(check, &check->slot->tts_tid, values, isnull, sink, arg);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * first pass
 */

static void
note_entry(void *arg, const PtEntry *entry)
{
	add_entry(((Comparison *) arg)->have, entry);
}

/*
 * second pass
 */

static void
note_row_entry(void *arg, const PtEntry *entry)
{
	Comparison *c = arg;

	c->lacking |= lacks_entry(c->have, entry);
	add_entry(c->must, entry);
}

/* All rows that the snapshot sees. */
static void
read_rows(Comparison *c)
{
	PtIndexCheck *check = &c->check;
	TableScanDesc scan = table_beginscan_strat(check->rel, check->snapshot, 0, NULL, true, false);

	while (table_scan_getnextslot(scan, ForwardScanDirection, check->slot))
	{
		CHECK_FOR_INTERRUPTS();
		c->lacking = false;
		if (form_entries(check, note_row_entry, c) && c->lacking)
			keep_finding(c, offset_of(check->slot), "the record at offset %lld is missing, or entered with other values",
						 (long long) offset_of(check->slot));
	}
	ExecClearTuple(check->slot);
	table_endscan(scan);
}

/*
 * third pass
 */

static void
compare_entry(void *arg, const PtEntry *entry)
{
	Comparison *c = arg;

	if (entry->hash == c->entry->hash)
		c->lacking = false;
}

/*
 * Has there never been a record with this TID?  An entry is written after its
 * record, and so there are none behind the tail, but for those that are a
 * round of TIDs older.
 */
static bool
never_was(Comparison *c, ItemPointer tid)
{
	int64		ordinal;

	if (!ItemPointerIsValid(tid) || ItemPointerGetOffsetNumberNoCheck(tid) > PT_TID_PER_BLOCK || pt_tid_is_marker(tid))
		return true;
	ordinal = pt_tid_to_ordinal(tid, c->view.start_ordinal);
	if (ordinal < c->view.tail_ordinal)
		return false;
	pt_log_view(c->check.rel, &c->view);	/* there may be more of it now */
	ordinal = pt_tid_to_ordinal(tid, c->view.start_ordinal);
	return ordinal >= c->view.tail_ordinal && (ordinal < PT_TID_MODULUS || !pt_view_tid_gone(&c->view, tid));
}

/* An entry that no row of the second pass has. */
static void
look_at(Comparison *c, const PtEntry *entry)
{
	PtIndexCheck *check = &c->check;
	ItemPointerData tid = entry->tid;
	uint32		block = ItemPointerGetBlockNumberNoCheck(&tid);
	uint32		offset = ItemPointerGetOffsetNumberNoCheck(&tid);

	if (never_was(c, &tid))
	{
		keep_finding(c, -1, "an entry points at (%u,%u), where no record has ever been", block, offset);
		return;
	}
	if (pt_view_tid_gone(&c->view, &tid) ||
		!table_tuple_fetch_row_version(check->rel, &tid, check->snapshot, check->slot))
		return;
	c->entry = entry;
	c->lacking = true;
	if (!form_entries(check, compare_entry, c))
		keep_finding(c, offset_of(check->slot), "an entry points at (%u,%u), the record at offset %lld, which the index is not for",
					 block, offset, (long long) offset_of(check->slot));
	else if (c->lacking)
		keep_finding(c, offset_of(check->slot), "an entry that points at (%u,%u) has other values than the record at offset %lld",
					 block, offset, (long long) offset_of(check->slot));
	ExecClearTuple(check->slot);
}

static void
check_entry(void *arg, const PtEntry *entry)
{
	Comparison *c = arg;

	if (lacks_entry(c->must, entry))
		look_at(c, entry);
}

/*
 * all together
 */

/* Both filters, for as many entries as there may be. */
static void
make_filters(Comparison *c)
{
	double		rows = (double) Max(c->view.committed.offset - c->view.start_offset, 0) + 1000;
	int64		entries = (int64) rows * (c->check.kind == &pt_entries_gin ? KEYS_OF_A_ROW : 1);
	int			memory = Max(maintenance_work_mem / 2, 1024);

	c->have = bloom_create(entries, memory, pg_prng_uint64(&pg_global_prng_state));
	c->must = bloom_create(entries, memory, pg_prng_uint64(&pg_global_prng_state));
}

/* What it takes to make the entries of rows. */
static void
begin_rows(PtIndexCheck *check)
{
	check->mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic index entry", ALLOCSET_DEFAULT_SIZES);
	check->row_mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic row's entries", ALLOCSET_DEFAULT_SIZES);
	check->info = BuildIndexInfo(check->index);
	check->estate = CreateExecutorState();
	check->slot = table_slot_create(check->rel, NULL);
	GetPerTupleExprContext(check->estate)->ecxt_scantuple = check->slot;
	check->predicate = ExecPrepareQual(check->info->ii_Predicate, check->estate);
	check->kind->begin(check);
}

/* Compares an open index. */
static void
compare(Comparison *c)
{
	PtIndexCheck *check = &c->check;

	check->snapshot = GetActiveSnapshot();
	pt_log_view(check->rel, &c->view);
	begin_rows(check);
	make_filters(c);
	check->kind->walk(check, note_entry, c);
	read_rows(c);
	check->kind->walk(check, check_entry, c);
	ExecDropSingleTupleTableSlot(check->slot);
	FreeExecutorState(check->estate);
}

/*
 * Compares an index, unless it is being made, has gone, or is of an access
 * method that says nothing.  Expressions are evaluated as the owner of the
 * table, as when entries are made.  Everything is undone by an error.
 */
static void
compare_index(void *arg)
{
	Comparison *c = arg;
	PtIndexCheck *check = &c->check;
	Oid			user;
	int			sec_context;
	int			guc_level;

	check->index = try_relation_open(c->index, AccessShareLock);
	if (check->index == NULL)
		return;
	check->kind = pt_entry_kind(check->index);
	if (check->kind && check->index->rd_index->indisvalid)
	{
		GetUserIdAndSecContext(&user, &sec_context);
		SetUserIdAndSecContext(check->rel->rd_rel->relowner, sec_context | SECURITY_RESTRICTED_OPERATION);
		guc_level = NewGUCNestLevel();
		RestrictSearchPath();
		PushActiveSnapshot(GetLatestSnapshot());
		compare(c);
		PopActiveSnapshot();
		AtEOXact_GUC(false, guc_level);
		SetUserIdAndSecContext(user, sec_context);
	}
	relation_close(check->index, AccessShareLock);
}

/*
 * Compares once.  An error of the index, the log or an expression is part of
 * the outcome; what others want of this process, and what it cannot get, is
 * thrown.
 */
static void
try_index(Comparison *c, Relation rel, Oid index, MemoryContext mcxt)
{
	MemoryContext old;
	ErrorData  *error;

	MemoryContextReset(mcxt);
	memset(c, 0, sizeof(*c));
	c->check.rel = rel;
	c->index = index;
	c->mcxt = mcxt;
	old = MemoryContextSwitchTo(mcxt);
	error = pt_guarded(compare_index, c);
	MemoryContextSwitchTo(old);
	if (error == NULL)
		return;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
		ReThrowError(error);
	c->error = error->message;
}

/* Tells the sink what has been found. */
static void
tell(const Comparison *c, const PtVerifySink *sink)
{
	ListCell   *lc;
	PtFinding	more = {.damage = PT_DAMAGE_INDEX,.block = InvalidBlockNumber,.offset = -1};
	const char *name = get_rel_name(c->index);

	name = name ? name : "";
	foreach(lc, c->findings)
		sink->finding(sink->arg, lfirst(lc));
	if (c->nfindings > FINDINGS_MAX)
	{
		more.message = psprintf("index \"%s\": there are " INT64_FORMAT " more", name, c->nfindings - FINDINGS_MAX);
		sink->finding(sink->arg, &more);
	}
	if (c->error)
	{
		more.message = psprintf("index \"%s\" cannot be compared with its log: %s", name, c->error);
		sink->finding(sink->arg, &more);
	}
}

/*
 * Compares each secondary index of a log with it.  The caller has the relation
 * locked (AccessShareLock) and is in a transaction.
 */
void
pt_index_verify(Relation rel, const PtVerifySink *sink)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic index comparison", ALLOCSET_DEFAULT_SIZES);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	Assert(sink->finding != NULL);
	foreach(lc, indexes)
	{
		Comparison	c;

		CHECK_FOR_INTERRUPTS();
		try_index(&c, rel, lfirst_oid(lc), mcxt);
		if (c.findings != NIL || c.error)
			try_index(&c, rel, lfirst_oid(lc), mcxt);
		tell(&c, sink);
	}
	list_free(indexes);
	MemoryContextDelete(mcxt);
}
