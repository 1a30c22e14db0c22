/*-------------------------------------------------------------------------
 *
 * kept_logs.c
 *	  What the housekeeper knows of the partitions: which there are, by what
 *	  rule their records go, and when the next ones do.
 *
 * Memory of the housekeeper's own.  Topics and partitions are copied from the
 * topic cache when something has changed there, and only what differs makes a
 * partition due.  Partitions that have an hour are in a heap, so that looking
 * for what is due costs nothing when nothing is.  A partition without an hour
 * keeps its records for ever.
 *
 * Siblings: housekeeper.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "server/housekeeping.h"
#include "server/kept_logs.h"
#include "topic/timestamp.h"
#include "topic/topic.h"

/* A topic, as it was when it was copied. */
typedef struct KeptTopic
{
	Oid			relid;			/* hash key */
	uint64		seen;			/* the last pass that found it */
	bool		deletes;		/* cleanup.policy */
	int64		retention_ms;	/* -1: forever */
	int64		retention_bytes;	/* -1: no limit */
	int			nleaves;
	Oid		   *leaves;
} KeptTopic;

static HTAB *topics;
static HTAB *logs;
static pairingheap *queue;
static uint64 pass;

static int	later(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static void prepare(void);
static bool same_rule(const KeptTopic *kept, const PtTopic *topic);
static void sync_topic(const PtTopic *topic, int64 now);
static void sync_leaf(const KeptTopic *kept, Oid leaf, bool changed, int64 now);
static void forget_leaves(const KeptTopic *kept, const Oid *leaves, int n);
static void forget_topics(void);

/* The heap has its greatest first: the one that is due first. */
static int
later(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	int64		due_a = pairingheap_const_container(PtKeptLog, node, a)->due_ms;
	int64		due_b = pairingheap_const_container(PtKeptLog, node, b)->due_ms;

	return due_a < due_b ? 1 : due_a > due_b ? -1 : 0;
}

/* Makes the tables when first called. */
static void
prepare(void)
{
	MemoryContext mcxt;
	MemoryContext old;
	HASHCTL		ctl = {0};

	if (queue != NULL)
		return;
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic kept logs", ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.hcxt = mcxt;
	ctl.entrysize = sizeof(KeptTopic);
	topics = hash_create("pgtopic kept topics", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.entrysize = sizeof(PtKeptLog);
	logs = hash_create("pgtopic kept logs", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	old = MemoryContextSwitchTo(mcxt);
	queue = pairingheap_allocate(later, NULL);
	MemoryContextSwitchTo(old);
}

/*
 * From topics to partitions
 */

static bool
same_rule(const KeptTopic *kept, const PtTopic *topic)
{
	return kept->deletes == ((topic->config.cleanup_policy & PT_CLEANUP_DELETE) != 0) &&
		kept->retention_ms == topic->config.retention_ms &&
		kept->retention_bytes == topic->config.retention_bytes;
}

/*
 * Brings a topic and its partitions up to date.  Those that are new, or whose
 * rule has changed, are due now.  Reads no catalog.
 */
static void
sync_topic(const PtTopic *topic, int64 now)
{
	bool		found;
	KeptTopic  *kept = hash_search(topics, &topic->relid, HASH_ENTER, &found);
	bool		changed;
	Oid		   *old;
	int			nold;

	if (!found)
	{
		kept->nleaves = 0;
		kept->leaves = NULL;
	}
	kept->seen = pass;
	changed = !found || !same_rule(kept, topic);
	if (!changed && kept->nleaves == topic->npartitions &&
		memcmp(kept->leaves, topic->leaves, kept->nleaves * sizeof(Oid)) == 0)
		return;
	old = kept->leaves;
	nold = kept->nleaves;
	kept->leaves = MemoryContextAlloc(TopMemoryContext, Max(topic->npartitions, 1) * sizeof(Oid));
	kept->nleaves = topic->npartitions;
	memcpy(kept->leaves, topic->leaves, kept->nleaves * sizeof(Oid));
	kept->deletes = (topic->config.cleanup_policy & PT_CLEANUP_DELETE) != 0;
	kept->retention_ms = topic->config.retention_ms;
	kept->retention_bytes = topic->config.retention_bytes;
	for (int i = 0; i < kept->nleaves; i++)
	{
		if (OidIsValid(kept->leaves[i]))
			sync_leaf(kept, kept->leaves[i], changed, now);
	}
	forget_leaves(kept, old, nold);
	if (old != NULL)
		pfree(old);
}

static void
sync_leaf(const KeptTopic *kept, Oid leaf, bool changed, int64 now)
{
	bool		found;
	PtKeptLog  *log = hash_search(logs, &leaf, HASH_ENTER, &found);

	if (!found)
	{
		log->queued = false;
		log->backoff_ms = 0;
		log->told = 0;
	}
	if (!found || log->topic != kept->relid || changed)
		pt_kept_log_due(log, now);
	log->topic = kept->relid;
	log->seen = pass;
}

/* Forgets those that this pass has not found, nor given to another topic. */
static void
forget_leaves(const KeptTopic *kept, const Oid *leaves, int n)
{
	for (int i = 0; i < n; i++)
	{
		PtKeptLog  *log = hash_search(logs, &leaves[i], HASH_FIND, NULL);

		if (log != NULL && log->topic == kept->relid && log->seen != pass)
			pt_kept_log_forget(log);
	}
}

/* Forgets topics that this pass has not found. */
static void
forget_topics(void)
{
	HASH_SEQ_STATUS seq;
	KeptTopic  *kept;

	hash_seq_init(&seq, topics);
	while ((kept = hash_seq_search(&seq)) != NULL)
	{
		if (kept->seen == pass)
			continue;
		forget_leaves(kept, kept->leaves, kept->nleaves);
		pfree(kept->leaves);
		(void) hash_search(topics, &kept->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Catches up with the topics, if anything may have changed.  Needs a
 * transaction.
 */
void
pt_kept_logs_sync(void)
{
	static uint64 seen_changes = 0;
	uint64		changes = pt_topic_changes();
	int64		now = pt_now_ms();
	List	   *all;
	ListCell   *lc;

	prepare();
	if (changes == seen_changes)
		return;
	all = pt_topic_all();
	pass++;
	foreach(lc, all)
		sync_topic(lfirst(lc), now);
	forget_topics();
	list_free(all);
	seen_changes = changes;		/* what has changed meanwhile is the next
								 * pass' */
}

/*
 * When partitions are due
 */

/*
 * Something has happened in a log (notices.c): it is due, if its rule asks for
 * that.  A file that is no partition's any more is passed over.  Needs a
 * transaction.
 */
void
pt_kept_logs_notice(const PtNotice *notice, int64 now)
{
	Oid			leaf;
	PtKeptLog  *log;
	KeptTopic  *kept;

	if (pt_locator_db(notice->locator) != MyDatabaseId)
		return;
	leaf = RelidByRelfilenumber(pt_locator_spc(notice->locator), pt_locator_number(notice->locator));
	log = hash_search(logs, &leaf, HASH_FIND, NULL);
	if (log == NULL)
		return;					/* new: due when it is found */
	kept = hash_search(topics, &log->topic, HASH_FIND, NULL);
	if (kept != NULL && (notice->kind == PT_NOTICE_FIRST || kept->retention_bytes >= 0))
		pt_kept_log_due(log, Min(now, log->queued ? log->due_ms : now));
}

/* All partitions are due. */
void
pt_kept_logs_all_due(int64 now)
{
	HASH_SEQ_STATUS seq;
	PtKeptLog  *log;

	hash_seq_init(&seq, logs);
	while ((log = hash_seq_search(&seq)) != NULL)
		pt_kept_log_due(log, now);
}

/* Takes the partition that is due first off the queue; NULL: none is due. */
PtKeptLog *
pt_kept_logs_take(int64 now)
{
	PtKeptLog  *log;

	if (pairingheap_is_empty(queue))
		return NULL;
	log = pairingheap_container(PtKeptLog, node, pairingheap_first(queue));
	if (log->due_ms > now)
		return NULL;
	(void) pairingheap_remove_first(queue);
	Assert(log->queued);
	log->queued = false;
	return log;
}

/* When the next partition is due, in ms since 1970; PG_INT64_MAX: none is. */
int64
pt_kept_logs_next(void)
{
	if (queue == NULL || pairingheap_is_empty(queue))
		return PG_INT64_MAX;
	return pairingheap_container(PtKeptLog, node, pairingheap_first(queue))->due_ms;
}

/*
 * The rule of a partition at this moment, and the retention by time that it
 * comes from (-1: forever); false: nothing goes by itself.
 */
bool
pt_kept_log_rule(const PtKeptLog *log, int64 now, PtRetention *rule, int64 *retention_ms)
{
	const KeptTopic *kept = hash_search(topics, &log->topic, HASH_FIND, NULL);

	if (kept == NULL || !kept->deletes || (kept->retention_ms < 0 && kept->retention_bytes < 0))
		return false;
	*retention_ms = Max(kept->retention_ms, -1);
	rule->bytes = Max(kept->retention_bytes, -1);
	rule->before_ms = kept->retention_ms < 0 || kept->retention_ms > now ? PG_INT64_MIN : now - kept->retention_ms;
	return true;
}

/* A partition is due then. */
void
pt_kept_log_due(PtKeptLog *log, int64 due_ms)
{
	if (log->queued)
		pairingheap_remove(queue, &log->node);
	log->due_ms = due_ms;
	log->queued = true;
	pairingheap_add(queue, &log->node);
}

/* The partition is gone. */
void
pt_kept_log_forget(PtKeptLog *log)
{
	pt_housekeeping_forget(log->leaf);
	if (log->queued)
		pairingheap_remove(queue, &log->node);
	(void) hash_search(logs, &log->leaf, HASH_REMOVE, NULL);
}
