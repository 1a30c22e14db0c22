/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Positions that nobody has used for long are removed, by tombstones.
 *
 * As in Kafka (KIP-211), the time runs from when the group's last member left, or,
 * where no members are known, from the commit of each position.  When members were there last is
 * known to the table of groups.c; so that it outlives a restart, it is written to __consumer_offsets as a record of
 * the group, when the last member has left and now and then while there are members.  An idle
 * consume() does the same (consume.c).
 *
 * All is done under the append lock of the leaf, with everything committed before
 * known: a position that is committed meanwhile comes behind the tombstone.  Nothing is waited for: what is
 * busy has its turn a minute later.
 *
 * Siblings: positions.c, groups.c.
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
#include "engine/groups.h"
#include "engine/internal.h"
#include "engine/position_cache.h"

/* After a start members have this long to come back before anything of theirs expires. */
#define START_GRACE_MS		(10 * 60 * 1000)

#define TICK_MS				(60 * 1000)

/* How long the table of groups remembers one that has no members any more. */
#define REMEMBER_EMPTY_MS	(60 * 60 * 1000)

typedef struct Expiry
{
	int64		now;			/* ms */
	int64		retention;		/* ms; 0: forever */
	bool		grace;			/* the server has started just now */
	int64		removed;
} Expiry;

static PtLogState *take_leaf(Oid leaf, bool *exists);
static void expire_leaf(Expiry *e, PtLogState *log);
static void expire_group(Expiry *e, PtLogState *log, const PtGroupPositions *group);

/* When so much time has passed since it was written down, that a group was used is written again. */
int64
pt_positions_note_after(void)
{
	return (int64) pt_offsets_retention * SECS_PER_MINUTE * 1000 / 8;
}

/* See positions.h. */
int64
pt_positions_expire(int64 retention)
{
	Expiry		e = {.now = pt_now_ms(),.retention = retention};
	Oid		   *leaves;
	RelFileLocator *logs;
	int			nleaves;
	int			nlogs = 0;
	bool		all = true;

	if (RecoveryInProgress())
		return 0;
	if (retention < 0)
	{
		e.retention = (int64) pt_offsets_retention * SECS_PER_MINUTE * 1000;
		e.grace = e.now - pt_position_cache_started() < START_GRACE_MS;
	}
	nleaves = pt_positions_leaves(&leaves);
	logs = palloc(Max(nleaves, 1) * sizeof(RelFileLocator));
	for (int i = 0; i < nleaves; i++)
	{
		bool		exists;
		PtLogState *log = take_leaf(leaves[i], &exists);

		if (log)
		{
			logs[nlogs++] = log->locator;
			expire_leaf(&e, log);
		}
		else if (exists)
			all = false;
	}
	if (all)
		pt_position_cache_keep(logs, nlogs);
	pt_groups_sweep(e.now - REMEMBER_EMPTY_MS);
	return e.removed;
}

/* See positions.h.  The first one, at the start, makes the cache read the log. */
int64
pt_positions_tick(void)
{
	static TimestampTz next_time = 0;
	TimestampTz now = GetCurrentTimestamp();

	Assert(IsTransactionState());
	if (now >= next_time)
	{
		next_time = TimestampTzPlusMilliseconds(now, TICK_MS);
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		(void) pt_positions_expire(-1);
	}
	return Max((next_time - now) / 1000, 1);
}

/*
 * Makes a leaf ours, to the end of the transaction, if that is possible at once, and the cache know all of it; else NULL.
 */
static PtLogState *
take_leaf(Oid leaf, bool *exists)
{
	Relation	rel;

	*exists = true;
	if (!ConditionalLockRelationOid(leaf, RowExclusiveLock))
		return NULL;
	rel = try_relation_open(leaf, NoLock);
	*exists = rel != NULL;
	if (rel == NULL)
		return NULL;
	relation_close(rel, NoLock);
	if (!pt_append_lock(leaf, true))
		return NULL;
	return pt_positions_follow(leaf, false);
}

static void
expire_leaf(Expiry *e, PtLogState *log)
{
	PtGroupPositions *groups;
	int			n = pt_position_cache_groups(&log->locator, 1, &groups);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		expire_group(e, log, &groups[i]);
	}
}

/* The topic has been dropped, or there is another of that name. */
static bool
is_orphan(const PtPosition *position)
{
	char		name[PT_TOPIC_NAME_MAX + 1];
	const PtTopic *topic;

	if (position->topic.len > PT_TOPIC_NAME_MAX)
		return true;
	memcpy(name, position->topic.data, position->topic.len);
	name[position->topic.len] = '\0';
	topic = pt_topic_by_name(name);
	return topic == NULL || (pt_position_topic_known(position) &&
							 memcmp(&topic->id, &position->topic_id, sizeof(pg_uuid_t)) != 0);
}

/* Writes down when a group was used, and removes what is older than the retention. */
static void
expire_group(Expiry *e, PtLogState *log, const PtGroupPositions *group)
{
	PtPosition *positions;
	int64		last_used;
	int			members = pt_group_usage(group->group_id, e->now, &last_used);
	int			n = pt_position_cache_group(&log->locator, group->group_id, &positions);
	int			removed = 0;
	bool		idle = e->retention > 0 && !e->grace && members == 0 && !pt_group_sql_active(group->group_id);

	for (int i = 0; i < n; i++)
	{
		int64		since = Max(positions[i].commit_time, Max(last_used, group->last_used));

		if (!(idle && e->now - since >= e->retention) && !is_orphan(&positions[i]))
			continue;
		positions[i].offset = -1;
		pt_position_write(group->group_id, &positions[i]);
		removed++;
	}
	e->removed += removed;
	if (removed == n && members == 0)
	{
		if (group->last_used != 0)
			pt_group_used_write(group->group_id, 0);
	}
	else if (last_used > group->last_used &&
			 (members == 0 || last_used - group->last_used > pt_positions_note_after()))
		pt_group_used_write(group->group_id, last_used);
}
