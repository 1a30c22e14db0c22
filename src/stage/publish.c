/*-------------------------------------------------------------------------
 *
 * publish.c
 *	  Who may stage: what the coordinator says, and what it has to be told.
 *
 * Siblings: shared.c, admit.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guard.h"
#include "guc.h"
#include "stage/internal.h"
#include "tell.h"

/* Removes a producer id and all that it has. */
static void
forget(int64 producer_id)
{
	StageEntry *entry = pt_stage_find(producer_id, true);
	StageStore	store;

	if (entry == NULL)
		return;
	pt_stage_set_news(entry, false);
	store = pt_stage_take(entry);
	pt_stage_parts_free(entry);
	dsa_free(pt_stage_area, entry->id);
	dshash_delete_entry(pt_stage_table, entry);
	pt_stage_discard(&store);
}

/* Those for which "take" says so; all where it is NULL. */
static int64 *
list_ids(bool (*take) (const StageEntry *entry), int *n)
{
	int			cap = 64;
	int64	   *ids = palloc(cap * sizeof(int64));
	dshash_seq_status scan;
	StageEntry *entry;

	*n = 0;
	dshash_seq_init(&scan, pt_stage_table, false);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (take != NULL && !take(entry))
			continue;
		if (*n == cap)
			ids = repalloc_huge(ids, (cap *= 2) * sizeof(int64));
		ids[(*n)++] = entry->producer_id;
	}
	dshash_seq_term(&scan);
	return ids;
}

/*
 * A coordinator begins: nobody may stage, and nothing is staged.  No commit
 * may be under way (pt_txn_jobs_quiet).
 */
void
pt_stage_reset(void)
{
	int64	   *ids;
	int			n;

	pt_stage_attach();
	ids = list_ids(NULL, &n);
	for (int i = 0; i < n; i++)
		forget(ids[i]);
	pfree(ids);
}

typedef struct NewEntry
{
	const TxnOut *out;
	dsa_pointer id;				/* its transactional id */
} NewEntry;

/* Makes the entry of a producer id that has none.  For pt_guarded(). */
static void
make_entry(void *arg)
{
	const TxnOut *out = ((NewEntry *) arg)->out;
	StageEntry *entry;
	bool		found;

	entry = dshash_find_or_insert(pt_stage_table, &out->producer_id, &found);
	Assert(!found);
	memset((char *) entry + sizeof(int64), 0, sizeof(*entry) - sizeof(int64));
	entry->id = ((NewEntry *) arg)->id;
	entry->id_len = out->transactional_id.len;
	entry->serial = out->serial;
	entry->epoch = out->producer_epoch;

	/*
	 * One that is not lost has just been given its epoch: nothing has been
	 * sent in it.
	 */
	entry->sequences_known = out->phase != TXN_PHASE_LOST && out->phase != TXN_PHASE_DOOMED;
	pt_stage_unlock(entry);
}

/*
 * The same; returns the entry locked.  NULL: the system has no memory, which
 * must cost nobody but this producer.
 */
static StageEntry *
add_entry(const TxnOut *out)
{
	static PtTold told;
	int			untold = 0;
	NewEntry	new = {out, pt_stage_allocate_uncounted(out->transactional_id.len)};
	ErrorData  *error = NULL;

	if (DsaPointerIsValid(new.id))
	{
		memcpy(pt_stage_get(char, new.id), out->transactional_id.data, out->transactional_id.len);
		error = pt_guarded(make_entry, &new);
		if (error == NULL)
			return pt_stage_find(out->producer_id, true);
		dsa_free(pt_stage_area, new.id);
	}
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no shared memory for a producer of Kafka transactions: %s",
						error ? error->message : "the system has no more")));
	if (untold > 0)
		ereport(LOG,
				(errmsg("no shared memory for %d more producers of Kafka transactions", untold)));
	if (error != NULL)
		FreeErrorData(error);
	return NULL;
}

/* The next transaction of an entry: nothing has come for it. */
static void
next_serial(StageEntry *entry, uint64 serial)
{
	StagePart  *parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;

	entry->serial = serial;
	entry->opened = entry->doomed = false;
	pt_stage_set_news(entry, false);
	for (int i = 0; i < entry->nparts; i++)
	{
		parts[i].added = parts[i].told = false;
		parts[i].records = parts[i].next_base = 0;
	}
}

/*
 * Who may stage.  What is staged under another serial than this one is over;
 * mostly it has been committed.  false: it is a new producer id, for which
 * there is no memory; it cannot stage.  The next time that something is said
 * of it this is tried again.
 */
bool
pt_stage_publish(const TxnOut *out)
{
	StageEntry *entry;
	StageStore	store = {0};

	Assert(out->kind == TXN_PUBLISH && out->transactional_id.len > 0);
	pt_stage_attach();
	if (out->phase == TXN_PHASE_GONE)
	{
		forget(out->producer_id);
		return true;
	}
	entry = pt_stage_find(out->producer_id, true);
	if (entry == NULL)
		entry = add_entry(out);
	if (entry == NULL)
		return false;
	if (entry->serial != out->serial)
	{
		store = pt_stage_take(entry);
		next_serial(entry, out->serial);
	}
	if (entry->epoch != out->producer_epoch)
	{
		pt_stage_parts_free(entry);
		entry->epoch = out->producer_epoch;
		entry->sequences_known = true;
	}
	entry->phase = out->phase;
	pt_stage_unlock(entry);
	pt_stage_discard(&store);
	return true;
}

/*
 * What is staged under this serial goes, and nothing is staged under it any
 * more.
 */
void
pt_stage_drop(int64 producer_id, uint64 serial)
{
	StageEntry *entry = pt_stage_find(producer_id, true);
	StageStore	store = {0};

	if (entry == NULL)
		return;
	if (entry->serial == serial)
	{
		entry->doomed = true;
		store = pt_stage_take(entry);
		pt_stage_set_news(entry, false);
	}
	pt_stage_unlock(entry);
	pt_stage_discard(&store);
}

/*
 * These partitions have come to the transaction of a v1 client.
 */
void
pt_stage_add(int64 producer_id, uint64 serial, const Oid *leaves, int n)
{
	bool		room = true;

	for (int i = 0; i < n && room; i++)
	{
		StageEntry *entry;
		StagePart  *part;

		pt_stage_part_reserve(producer_id, leaves[i]);
		entry = pt_stage_find(producer_id, true);
		if (entry == NULL)
			return;
		part = entry->serial == serial ? pt_stage_part_add(entry, leaves[i]) : NULL;
		room = part != NULL || entry->serial != serial;
		if (part != NULL)
			part->added = part->told = true;
		pt_stage_unlock(entry);
	}
	if (!room)
		pt_stage_doom(producer_id, serial);
}

/* Tells, and marks as told, what an entry has. */
static void
take_news(StageEntry *entry, PtStageNews *news)
{
	StagePart  *parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;
	PtString	id = pt_stage_id(entry);

	memset(news, 0, sizeof(*news));
	news->transactional_id.data = memcpy(palloc(id.len), id.data, id.len);
	news->transactional_id.len = id.len;
	news->leaves = palloc(Max(entry->nparts, 1) * sizeof(Oid));
	news->producer_id = entry->producer_id;
	news->epoch = entry->epoch;
	news->serial = entry->serial;
	news->doomed = entry->doomed;
	for (int i = 0; i < entry->nparts; i++)
	{
		if (!parts[i].added || parts[i].told)
			continue;
		parts[i].told = true;
		news->leaves[news->nleaves++] = parts[i].leaf;
	}
	news->opened = news->nleaves > 0;
	pt_stage_set_news(entry, false);
}

/* What is new of one producer id; false: nothing. */
bool
pt_stage_news(int64 producer_id, PtStageNews *news)
{
	StageEntry *entry;
	bool		has_news;

	if (pg_atomic_read_u32(&pt_stage_shared->news) == 0)
		return false;
	entry = pt_stage_find(producer_id, true);
	if (entry == NULL)
		return false;
	has_news = entry->has_news;
	if (has_news)
		take_news(entry, news);
	pt_stage_unlock(entry);
	return has_news;
}

static bool
has_news(const StageEntry *entry)
{
	return entry->has_news;
}

/* What is new of all; returns of how many. */
int
pt_stage_all_news(PtStageNews **news)
{
	int64	   *ids;
	int			n;
	int			found = 0;

	*news = NULL;
	if (pg_atomic_read_u32(&pt_stage_shared->news) == 0 || !pt_stage_exists())
		return 0;
	ids = list_ids(has_news, &n);
	*news = palloc(Max(n, 1) * sizeof(PtStageNews));
	for (int i = 0; i < n; i++)
		found += pt_stage_news(ids[i], &(*news)[found]);
	pfree(ids);
	return found;
}
