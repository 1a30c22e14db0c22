/*-------------------------------------------------------------------------
 *
 * compactor.c
 *	  The process that compacts partitions, when their topics' configs say so.
 *
 * A round goes over all partitions of topics whose cleanup.policy has
 * "compact"; after it the process sleeps for pgtopic.compaction_interval.  A
 * partition is compacted when the part that is new since the last time is
 * larger than min.cleanable.dirty.ratio of it, or when its first record there
 * is older than max.compaction.lag.ms.  Of a partition that gets little, the
 * tail's extent is ended for that.
 *
 * Nobody waits for us: locks are tried, and when somebody waits for the lock
 * on a partition, its compaction stops after the group that it is at, and goes
 * on in another round.  An error is that partition's: it is in the server's
 * log once, and the partition is tried again in the next round.
 *
 * Siblings: housekeeper.c; ../xact/compact.c (one partition).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "guc.h"
#include "produce/produce.h"
#include "record/crc32c.h"
#include "server/server.h"
#include "server/shared.h"
#include "topic/timestamp.h"
#include "xact/compact.h"
#include "xact/xact.h"
#include "worker.h"

/* A partition of a round. */
typedef struct Candidate
{
	Oid			leaf;
	PtTopicConfig config;
} Candidate;

/* What was told of a partition last, so that it is not told again. */
typedef struct Told
{
	Oid			leaf;
	uint32		what;
} Told;

static HTAB *told;

static List *candidates(MemoryContext mcxt);
static bool go_on(PtCompaction *job);
static bool is_due(const PtTopicConfig *config, const PtCompactState *state, int64 now);
static bool is_to_close(const PtTopicConfig *config, const PtCompactState *state, int64 now);
static void look(Relation rel, const PtTopicConfig *config, PtCompactState *state);
static void compact(const Candidate *candidate);
static void note_failure(Oid leaf, const ErrorData *edata);
static void guarded(const Candidate *candidate, MemoryContext mcxt);
static void compactor_round(MemoryContext mcxt);

/* All partitions of compacted topics, in memory of this context. */
static List *
candidates(MemoryContext mcxt)
{
	List	   *result = NIL;
	List	   *topics;
	ListCell   *lc;

	StartTransactionCommand();
	topics = pt_topic_all();
	MemoryContextSwitchTo(mcxt);
	foreach(lc, topics)
	{
		const PtTopic *topic = lfirst(lc);

		if (!(topic->config.cleanup_policy & PT_CLEANUP_COMPACT))
			continue;
		for (int i = 0; i < topic->npartitions; i++)
		{
			Candidate  *candidate;

			if (!OidIsValid(topic->leaves[i]))
				continue;
			candidate = palloc(sizeof(Candidate));
			candidate->leaf = topic->leaves[i];
			candidate->config = topic->config;
			result = lappend(result, candidate);
		}
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(mcxt);
	return result;
}

/* Between two groups: a signal, or somebody who waits for the table? */
static bool
go_on(PtCompaction *job)
{
	Relation	rel = job->arg;

	(void) pt_worker_interrupts();
	return !LockHasWaitersRelation(rel, ShareUpdateExclusiveLock);
}

static bool
is_due(const PtTopicConfig *config, const PtCompactState *state, int64 now)
{
	if (state->blocks_dirty == 0)
		return false;
	return state->blocks_dirty > config->min_cleanable_dirty_ratio * state->blocks ||
		(state->dirty_since >= 0 && config->max_compaction_lag_ms < now - state->dirty_since);
}

/*
 * Should the tail's extent be ended, as Kafka rolls a segment?  When what is
 * in it has waited long enough, and would be compacted at once: so of a log
 * that gets little there is never more than one extent that is complete and
 * not yet compacted, however often that happens.  (segment.bytes is never less
 * than an extent.)
 */
static bool
is_to_close(const PtTopicConfig *config, const PtCompactState *state, int64 now)
{
	PtCompactState then = *state;

	if (!state->open || state->open_since < 0 || is_due(config, state, now))
		return false;
	then.blocks += state->blocks_open;
	then.blocks_dirty += state->blocks_open;
	if (then.dirty_since < 0)
		then.dirty_since = state->open_since;
	return config->max_compaction_lag_ms < now - state->open_since ||
		(config->segment_ms < now - state->open_since && is_due(config, &then, now));
}

/* What there is to do in a partition now. */
static void
look(Relation rel, const PtTopicConfig *config, PtCompactState *state)
{
	pt_producers_reveal(rel);
	pt_compaction_prepare(rel);
	pt_log_compact_state(rel, pt_now_ms(), config->min_compaction_lag_ms, state);
}

/* One partition, in a transaction. */
static void
compact(const Candidate *candidate)
{
	PtCompactState state;
	Relation	rel;

	if (!ConditionalLockRelationOid(candidate->leaf, ShareUpdateExclusiveLock))
		return;
	rel = try_relation_open(candidate->leaf, NoLock);
	if (rel == NULL)
		return;
	look(rel, &candidate->config, &state);
	if (is_to_close(&candidate->config, &state, pt_now_ms()) && pt_compaction_close(rel, false))
		look(rel, &candidate->config, &state);
	if (is_due(&candidate->config, &state, pt_now_ms()))
	{
		PtCompaction job = {.progress = go_on,.arg = rel};

		pgstat_report_activity(STATE_RUNNING, psprintf("compacting \"%s\"", RelationGetRelationName(rel)));
		(void) pt_compaction_run(rel, &candidate->config, &job);
		elog(DEBUG1, "compaction removed %lld of %lld records of \"%s\"",
			 (long long) (job.counts.records - job.counts.records_kept), (long long) job.counts.records,
			 RelationGetRelationName(rel));
	}
	relation_close(rel, NoLock);
}

static void
note_failure(Oid leaf, const ErrorData *edata)
{
	uint32		what = hash_bytes((const unsigned char *) edata->message, (int) strlen(edata->message));
	bool		found;
	Told	   *entry = hash_search(told, &leaf, HASH_ENTER, &found);

	if (found && entry->what == what)
		return;
	entry->what = what;
	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg("partition with OID %u could not be compacted: %s", leaf, edata->message),
			 errdetail("It is tried again, and other partitions go on.")));
}

/* The same, with an error that is this partition's alone. */
static void
guarded(const Candidate *candidate, MemoryContext mcxt)
{
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		compact(candidate);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mcxt);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(mcxt);
		note_failure(candidate->leaf, edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(mcxt);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
compactor_round(MemoryContext mcxt)
{
	List	   *all = candidates(mcxt);
	ListCell   *lc;

	foreach(lc, all)
	{
		(void) pt_worker_interrupts();
		guarded(lfirst(lc), mcxt);
	}
}

void
pt_compactor_main(Datum arg)
{
	MemoryContext mcxt;
	uint32		idle;
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Told)};

	pt_worker_start(pt_database);
	pt_crc32c_for_server();
	idle = pt_wait_event_new("PgtopicCompactorMain");
	told = hash_create("pgtopic compactor errors", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic compactor", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mcxt);
	pgstat_report_appname("pgtopic compactor");

	for (;;)
	{
		ResetLatch(MyLatch);
		(void) pt_worker_interrupts();
		compactor_round(mcxt);
		MemoryContextReset(mcxt);
		Assert(!IsTransactionState());
		(void) pgstat_report_stat(false);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pt_compaction_interval_ms, idle);
	}
}
