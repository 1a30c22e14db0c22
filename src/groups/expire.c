/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Removes committed offsets that nobody has used for a long time, by
 *	  tombstones.
 *
 * As in Kafka (KIP-211), the time runs from when the last member left the
 * group, or from the commit of each offset if no members are known.  The table
 * of registry.c knows when a group had members last.  To survive a restart,
 * this is also written to __consumer_offsets as a record of the group: when
 * the last member has left, and now and then while there are members.  An idle
 * consume() does the same (consume.c).
 *
 * All of this happens under the append lock of the leaf, when everything
 * committed before is known.  So an offset that is committed meanwhile comes
 * behind the tombstone.  Nothing waits.  The housekeeper claims the lock of a
 * leaf that is busy, as listeners do, and comes again in a moment; a leaf
 * whose lock is not to be had for a while (by a prepared transaction, say) is
 * done a minute later.
 *
 * Siblings: offsets.c, registry.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "fetch/fetch.h"
#include "groups/internal.h"
#include "stage/stage.h"
#include "xact/claims.h"
#include "xact/xact.h"
#include "topic/types.h"

/*
 * After a start, members have this time to come back before their offsets
 * expire.
 */
#define START_GRACE_MS		(10 * 60 * 1000)

/* The housekeeper looks at each committed offset once in this time. */
#define ROUND_MS			(60 * 1000)

/*
 * A leaf's lock is tried again after this time, or when it is offered, so many
 * times.
 */
#define BUSY_MS				5
#define BUSY_TRIES			1000

/* The table of groups remembers an empty group for this time. */
#define REMEMBER_EMPTY_MS	(60 * 60 * 1000)

/* One pass over a leaf, or over all. */
typedef struct Expiry
{
	int64		now;			/* ms */
	int64		retention;		/* ms; 0: nothing expires */
	bool		grace;			/* the server has just started */
	PtLockHow	how;			/* append locks are taken */
	int64		removed;		/* number of offsets removed */
} Expiry;

static TimestampTz next_time;	/* when pt_offsets_tick() has work again; 0:
								 * at once */

static int	tries;				/* at the leaf that is next, in vain */

static void forget_rest(const Expiry *e, const Oid *leaves, int n);
static PtLogState *take_leaf(Oid leaf, PtLockHow how);
static bool expire_leaf(Expiry *e, Oid leaf);
static void expire_group(Expiry *e, PtLogState *log, const PtGroupOffsets *group);

/*
 * Returns the setting pgtopic.offsets_retention in ms; 0: offsets never
 * expire.
 */
static int64
retention_ms(void)
{
	return (int64) pt_offsets_retention * SECS_PER_MINUTE * 1000;
}

/*
 * Returns after how many ms the use of a group is recorded again.
 */
int64
pt_offsets_note_after(void)
{
	return retention_ms() / 8;
}

/*
 * Begins a pass.  retention is in ms; -1: the setting, with a time of grace
 * after a start.
 */
static void
begin(Expiry *e, int64 retention)
{
	memset(e, 0, sizeof(*e));
	e->now = pt_now_ms();
	e->retention = retention;
	e->how = PT_LOCK_TRY;
	if (retention >= 0)
		return;
	Assert(retention == -1);
	e->retention = retention_ms();
	e->grace = e->now - pt_offset_cache_started() < START_GRACE_MS;
}

/*
 * Removes the committed offsets that are older than a retention in ms (-1:
 * the setting pgtopic.offsets_retention; 0: none are), and those in topics
 * that are gone.  Returns how many.
 */
int64
pt_offsets_expire(int64 retention)
{
	Expiry		e;
	Oid		   *leaves;
	int			n;

	if (RecoveryInProgress())
		return 0;
	begin(&e, retention);
	n = pt_offsets_leaves(&leaves);
	for (int i = 0; i < n; i++)
		(void) expire_leaf(&e, leaves[i]);
	forget_rest(&e, leaves, n);
	return e.removed;
}

/*
 * Returns in how many ms pt_offsets_tick() has something to do.  Needs no
 * transaction.
 */
int64
pt_offsets_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (tries > 0 && pt_claims_offered())
		next_time = 0;			/* the lock that we have claimed is free */
	return now < next_time ? (next_time - now) / 1000 + 1 : 0;
}

/*
 * Expires one leaf, so that it does not take long.  Called by the housekeeper,
 * in a transaction.  The first call makes the cache read the logs of
 * all leaves.
 */
void
pt_offsets_tick(void)
{
	static int	next_leaf = -1;
	TimestampTz now = GetCurrentTimestamp();
	Expiry		e;
	Oid		   *leaves;
	int			n;

	Assert(IsTransactionState());
	if (now < next_time)
		return;
	next_time = TimestampTzPlusMilliseconds(now, ROUND_MS); /* also after an error */
	if (RecoveryInProgress())
		return;
	n = pt_offsets_leaves(&leaves);
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	begin(&e, -1);
	e.how = PT_LOCK_CLAIM;
	if (next_leaf < 0)
	{
		for (int i = 0; i < n; i++)
			(void) pt_offsets_follow(leaves[i], true);
	}
	if (tries == 0 && ++next_leaf >= n)
	{
		forget_rest(&e, leaves, n);
		next_leaf = 0;
	}
	Assert(next_leaf >= 0);
	if (n == 0)
		return;
	if (expire_leaf(&e, leaves[Min(next_leaf, n - 1)]) || ++tries >= BUSY_TRIES)
	{
		tries = 0;
		pt_claims_give_up();
	}
	else
		pt_claims_sweep();
	next_time = TimestampTzPlusMilliseconds(now, tries > 0 ? BUSY_MS : ROUND_MS / n);
}

/*
 * Forgets groups that have been empty for a long time, and the logs of leaves
 * that were truncated or dropped.
 */
static void
forget_rest(const Expiry *e, const Oid *leaves, int n)
{
	RelFileLocator *logs = palloc(Max(n, 1) * sizeof(RelFileLocator));

	pt_groups_sweep(e->now - REMEMBER_EMPTY_MS);
	for (int i = 0; i < n; i++)
	{
		PtLogState *log;

		if (pt_log_find(leaves[i], true, &log) != PT_OK)
			return;				/* tries again next time */
		logs[i] = log->locator;
		pt_state_release(log);
	}
	pt_offset_follow_keep(logs, n);
	pfree(logs);
}

/*
 * Takes the append lock of a leaf to the end of the transaction and lets the
 * cache follow it.  NULL if somebody else has a lock.
 */
static PtLogState *
take_leaf(Oid leaf, PtLockHow how)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(leaf, RowExclusiveLock))
		return NULL;
	rel = try_relation_open(leaf, NoLock);
	if (rel == NULL)
		return NULL;
	relation_close(rel, NoLock);
	return pt_append_lock(leaf, how) ? pt_offsets_follow(leaf, true) : NULL;
}

/*
 * Expires the offsets in one leaf.  false: somebody else has a lock.
 */
static bool
expire_leaf(Expiry *e, Oid leaf)
{
	PtLogState *log = take_leaf(leaf, e->how);
	PtGroupOffsets *groups;
	int			n;

	if (log == NULL)
		return false;
	n = pt_offset_cache_groups(&log->locator, 1, &groups);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (pt_group_belongs(groups[i].group_id, leaf))
			expire_group(e, log, &groups[i]);
	}
	pfree(groups);
	return true;
}

/*
 * Returns true if the topic of an offset has been dropped, or if another
 * topic has its name.  A topic that was moved out of the schema of topics may
 * come back, so it counts as existing.
 */
static bool
is_orphan(const PtCommittedOffset *committed)
{
	static pg_uuid_t last_id;	/* cached, because the next offset is often of
								 * the same topic */
	static TimestampTz last_time = 0;
	static bool last_exists;
	const PtTopic *topic;

	if (!pt_offset_topic_known(committed) || committed->topic.len > PT_TOPIC_NAME_MAX)
		return false;			/* from another cluster; it expires like
								 * others */
	topic = pt_topic_by_string(committed->topic);
	if (topic != NULL && memcmp(&topic->id, &committed->topic_id, sizeof(pg_uuid_t)) == 0)
		return false;
	if (last_time != GetCurrentTransactionStartTimestamp() ||
		memcmp(&last_id, &committed->topic_id, sizeof(last_id)) != 0)
	{
		last_exists = pt_label_id_exists(&committed->topic_id);
		last_id = committed->topic_id;
		last_time = GetCurrentTransactionStartTimestamp();
	}
	return !last_exists;
}

/*
 * Frees the strings, too: one transaction handles many groups.
 */
static void
free_offsets(PtCommittedOffset *offsets, int n)
{
	for (int i = 0; i < n; i++)
	{
		pfree(unconstify(char *, offsets[i].topic.data));
		pfree(unconstify(char *, offsets[i].metadata.data));
	}
	if (offsets)
		pfree(offsets);
}

/*
 * Records when a group was used, and removes its offsets that are older than
 * the retention.
 */
static void
expire_group(Expiry *e, PtLogState *log, const PtGroupOffsets *group)
{
	PtCommittedOffset *offsets;
	int64		last_used;
	int			members = pt_group_usage(group->group_id, e->now, &last_used);
	int			n = pt_offset_cache_group(&log->locator, group->group_id, &offsets);
	int			removed = 0;
	bool		idle = e->retention > 0 && !e->grace && members == 0 && !pt_group_sql_active(group->group_id) &&
		!pt_stage_uses_group(group->group_id);

	for (int i = 0; i < n; i++)
	{
		int64		since = Max(offsets[i].commit_time, Max(last_used, group->last_used));

		if (!(idle && e->now - since >= e->retention) && !is_orphan(&offsets[i]))
			continue;
		offsets[i].removed = true;
		pt_offset_write(group->group_id, &offsets[i]);
		removed++;
	}
	Assert(removed <= n);
	e->removed += removed;
	free_offsets(offsets, n);
	if (removed == n && members == 0)
	{
		if (group->last_used != 0)
			pt_group_used_write(group->group_id, 0);
	}
	else if (last_used > group->last_used &&
			 (members == 0 || last_used - group->last_used > pt_offsets_note_after()))
		pt_group_used_write(group->group_id, last_used);
}
