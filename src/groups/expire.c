/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Committed offsets that nobody has used for long are removed, by
 *	  tombstones.
 *
 * As in Kafka (KIP-211), the time runs from when the group's last member left,
 * or, where no members are known, from the commit of each offset.  The table
 * of registry.c knows when members were there last.  So that it outlives a
 * restart, it is written to __consumer_offsets as a record of the group, when
 * the last member has left and now and then while there are members.  An idle
 * consume() does the same (consume.c).
 *
 * All is done under the append lock of the leaf, with everything committed
 * before known: an offset that is committed meanwhile comes behind the
 * tombstone.  Nothing is waited for: what is busy has its turn a minute later.
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
#include "xact/xact.h"
#include "topic/types.h"

/*
 * After a start members have this long to come back before anything of theirs
 * expires.
 */
#define START_GRACE_MS		(10 * 60 * 1000)

/* How often the control worker looks at each committed offset. */
#define ROUND_MS			(60 * 1000)

/* How long the table of groups remembers one that has no members any more. */
#define REMEMBER_EMPTY_MS	(60 * 60 * 1000)

typedef struct Expiry
{
	int64		now;			/* ms */
	int64		retention;		/* ms; 0: forever */
	bool		grace;			/* the server has started just now */
	int64		removed;
} Expiry;

static TimestampTz next_time;	/* of pt_offsets_tick; 0: at once */

static void forget_rest(const Expiry *e, const Oid *leaves, int n);
static PtLogState *take_leaf(Oid leaf);
static void expire_leaf(Expiry *e, Oid leaf);
static void expire_group(Expiry *e, PtLogState *log, const PtGroupOffsets *group);

/* The setting, in ms; 0: forever. */
static int64
retention_ms(void)
{
	return (int64) pt_offsets_retention * SECS_PER_MINUTE * 1000;
}

/*
 * That a group was used is written down again when so many ms have passed
 * since it was.
 */
int64
pt_offsets_note_after(void)
{
	return retention_ms() / 8;
}

static void
begin(Expiry *e, int64 retention)
{
	memset(e, 0, sizeof(*e));
	e->now = pt_now_ms();
	e->retention = retention;
	if (retention >= 0)
		return;
	Assert(retention == -1);
	e->retention = retention_ms();
	e->grace = e->now - pt_offset_cache_started() < START_GRACE_MS;
}

/*
 * Removes committed offsets that are older than a retention in ms (-1: the
 * setting pgtopic.offsets_retention; 0: none is), and those in topics that are
 * gone; returns how many.
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
		expire_leaf(&e, leaves[i]);
	forget_rest(&e, leaves, n);
	return e.removed;
}

/*
 * How many ms until pt_offsets_tick has something to do.  Needs no
 * transaction.
 */
int64
pt_offsets_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();

	return now < next_time ? (next_time - now) / 1000 + 1 : 0;
}

/*
 * For the control worker: expires one leaf, so that it does not take long.
 * The first call has the cache read the logs of all leaves.
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
	next_time = TimestampTzPlusMilliseconds(now, ROUND_MS); /* also when there is an
															 * error */
	if (RecoveryInProgress())
		return;
	n = pt_offsets_leaves(&leaves);
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	begin(&e, -1);
	if (next_leaf < 0)
	{
		for (int i = 0; i < n; i++)
			(void) pt_offsets_follow(leaves[i], true);
	}
	if (++next_leaf >= n)
	{
		forget_rest(&e, leaves, n);
		next_leaf = 0;
	}
	Assert(next_leaf >= 0);
	if (n > 0)
	{
		expire_leaf(&e, leaves[next_leaf]);
		next_time = TimestampTzPlusMilliseconds(now, ROUND_MS / n);
	}
}

/*
 * Forgets groups that have been empty for long, and logs of leaves that have
 * been truncated or dropped.
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
			return;				/* another time */
		logs[i] = log->locator;
		pt_state_release(log);
	}
	pt_offset_follow_keep(logs, n);
	pfree(logs);
}

/*
 * Takes the append lock of a leaf to the end of the transaction, and has the
 * cache follow it; NULL when somebody has the lock.
 */
static PtLogState *
take_leaf(Oid leaf)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(leaf, RowExclusiveLock))
		return NULL;
	rel = try_relation_open(leaf, NoLock);
	if (rel == NULL)
		return NULL;
	relation_close(rel, NoLock);
	return pt_append_lock(leaf, PT_LOCK_TRY) ? pt_offsets_follow(leaf, true) : NULL;
}

static void
expire_leaf(Expiry *e, Oid leaf)
{
	PtLogState *log = take_leaf(leaf);
	PtGroupOffsets *groups;
	int			n;

	if (log == NULL)
		return;
	n = pt_offset_cache_groups(&log->locator, 1, &groups);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (pt_group_belongs(groups[i].group_id, leaf))
			expire_group(e, log, &groups[i]);
	}
	pfree(groups);
}

/*
 * Has the topic been dropped, or is there another of that name?  One that has
 * just been moved out of the schema of topics may come back.
 */
static bool
is_orphan(const PtCommittedOffset *committed)
{
	static pg_uuid_t last_id;	/* the next offset is mostly one in the same
								 * topic */
	static TimestampTz last_time = 0;
	static bool last_exists;
	const PtTopic *topic;

	if (!pt_offset_topic_known(committed) || committed->topic.len > PT_TOPIC_NAME_MAX)
		return false;			/* from another cluster: it expires */
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

/* Round after round in one transaction's memory would add up. */
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
 * Writes down when a group was used, and removes what is older than the
 * retention.
 */
static void
expire_group(Expiry *e, PtLogState *log, const PtGroupOffsets *group)
{
	PtCommittedOffset *offsets;
	int64		last_used;
	int			members = pt_group_usage(group->group_id, e->now, &last_used);
	int			n = pt_offset_cache_group(&log->locator, group->group_id, &offsets);
	int			removed = 0;
	bool		idle = e->retention > 0 && !e->grace && members == 0 && !pt_group_sql_active(group->group_id);

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
