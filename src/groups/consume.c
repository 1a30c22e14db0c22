/*-------------------------------------------------------------------------
 *
 * consume.c
 *	  Reading on for a group, exactly once.
 *
 * Each partition is served to one transaction of the group at a time: a lock
 * on (leaf, group) is held to the transaction's end where records were given,
 * and let go at once where there were none.  The committed offset moves in the
 * same transaction as whatever the caller does with the records.
 *
 * Siblings: offsets.c, registry.c; ../fetch/read.c, ../fetch/wait.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "fetch/fetch.h"
#include "groups/internal.h"
#include "topic/types.h"
#include "xact/xact.h"

/*
 * A partition that another session holds may get free without anything being
 * appended.
 */
#define RETRY_LOCKED_MS		200

typedef struct Consume
{
	const PtTopic *topic;		/* ours */
	uint64		changes;		/* pt_topic_changes() when it was looked up */
	PtString	group_id;
	int			max;
	PtConsumeCallback callback;
	void	   *arg;
	int32		partition;		/* being read */
	/* what to wait for: partitions that were ours for the asking, and empty */
	Oid		   *wait_leaves;
	int64	   *wait_offsets;
	int			nwaits;
	bool		locked_out;		/* some were locked by others */
} Consume;

/*
 * Where a session begins to look; another place for each, so that they do not
 * crowd.
 */
static uint32 next_partition;

static int	consume_round(Consume *c);
static int	consume_partition(Consume *c, int32 partition);
static int64 first_offset(const Consume *c, Relation rel, int32 partition);

static void
give_record(void *arg, const PtRecord *record)
{
	Consume    *c = arg;

	c->callback(c->arg, c->partition, record);
}

/*
 * What the current transaction can read of a partition: offsets from start up
 * to, not including, end.
 */
void
pt_partition_bounds(Relation rel, int64 *start, int64 *end)
{
	PtLogView	view;
	bool		own;

	pt_log_view(rel, &view);
	own = TransactionIdIsValid(view.tail_xid) && TransactionIdIsCurrentTransactionId(view.tail_xid);

	/*
	 * A transaction that has committed is seen by snapshots a moment before
	 * it tells the log.
	 */
	if (TransactionIdIsValid(view.tail_xid) && !own && view.live != NULL)
	{
		pt_state_resolve_all();
		pt_log_view(rel, &view);
	}
	*start = view.start_offset;
	*end = view.committed.offset;
	if (own)
		*end = Max(*end, view.tail_offset); /* ours, as long as we hold the
											 * append lock */
}

/*
 * The group's committed offset, or the log's start.  One beyond the log's end
 * is of another log (a value of an old version has no topic id), unless we
 * have moved it there ourselves, over records that are not committed yet.
 */
static int64
first_offset(const Consume *c, Relation rel, int32 partition)
{
	PtLogView	view;
	bool		is_own;
	PtCommittedOffset found;
	int64		offset = -1;

	if (pt_offset_find(c->group_id, c->topic, partition, &found, &is_own))
		offset = found.offset;
	pt_log_view(rel, &view);
	if (offset > view.committed.offset && !is_own)
	{
		/*
		 * A transaction that has offset is seen by snapshots a moment before
		 * it tells the log: what the group has read may lie behind the end
		 * that we found.
		 */
		pt_state_resolve_all();
		pt_log_view(rel, &view);
	}
	if (offset < view.start_offset || (offset > view.committed.offset && !is_own))
		return view.start_offset;
	return offset;
}

/*
 * A group that finds nothing new moves no offset, and is used all the same:
 * now and then that is written down, so that its offsets do not expire.
 */
static void
note_use(const Consume *c, int32 partition)
{
	static TimestampTz noted;	/* in the transaction that began then */
	PtCommittedOffset committed;
	bool		is_own;
	int64		last_used;

	Assert(partition < c->topic->npartitions);
	if (pt_offsets_retention == 0 || noted == GetCurrentTransactionStartTimestamp())
		return;
	if (!pt_offset_find(c->group_id, c->topic, partition, &committed, &is_own) || is_own)
		return;
	last_used = Max(committed.commit_time, pt_group_last_used(c->group_id));
	if (pt_now_ms() - last_used <= pt_offsets_note_after())
		return;
	noted = GetCurrentTransactionStartTimestamp();
	pt_group_used_write(c->group_id, pt_now_ms());
}

/*
 * Reads one partition, whose lock is ours; moves the committed offset over
 * what was given.
 */
static int
consume_partition(Consume *c, int32 partition)
{
	Oid			leaf = c->topic->leaves[partition];
	Relation	rel = try_relation_open(leaf, AccessShareLock);
	Snapshot	snapshot;
	int64		offset;
	int64		next;
	int			n;

	if (rel == NULL)
		return 0;
	offset = first_offset(c, rel, partition);
	Assert(offset >= 0 && c->max > 0);
	c->partition = partition;
	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
	n = pt_read_records(rel, snapshot, offset, c->max, give_record, c, &next);
	Assert(n == 0 || next > offset);
	UnregisterSnapshot(snapshot);

	/*
	 * who has read nothing keeps nobody from TRUNCATE, least of all by
	 * waiting
	 */
	relation_close(rel, n > 0 ? NoLock : AccessShareLock);
	if (n > 0)
		pt_offset_set(c->group_id, c->topic, partition, next, PT_STRING_EMPTY);
	else
	{
		Assert(c->nwaits < c->topic->npartitions);
		c->wait_leaves[c->nwaits] = leaf;
		c->wait_offsets[c->nwaits++] = next;
		note_use(c, partition);
	}
	return n;
}

/*
 * All partitions once, or until there is enough; returns the number of
 * records.
 */
static int
consume_round(Consume *c)
{
	int			npartitions = c->topic->npartitions;
	uint32		first = next_partition;
	int			total = 0;

	c->nwaits = 0;
	c->locked_out = false;
	for (int i = 0; i < npartitions && c->max > 0; i++)
	{
		int32		partition = (int32) ((first + i) % npartitions);
		Oid			leaf = c->topic->leaves[partition];
		int			n;

		CHECK_FOR_INTERRUPTS();
		if (!OidIsValid(leaf))
			continue;
		if (!pt_offset_lock(c->group_id, leaf, true))
		{
			c->locked_out = true;
			continue;
		}
		n = consume_partition(c, partition);
		if (n == 0)
			pt_offset_unlock(c->group_id, leaf);
		else
			next_partition = (uint32) partition + 1;
		Assert(n <= c->max);
		total += n;
		c->max -= n;
	}
	return total;
}

/*
 * The topic as it is now, which may have more partitions than when the wait
 * began, or be gone: ERROR.
 */
static void
look_again(Consume *c)
{
	Oid			relid = c->topic->relid;

	if (c->wait_leaves != NULL && c->changes == pt_topic_changes())
		return;
	c->changes = pt_topic_changes();
	c->topic = pt_topic_copy(pt_topic_expect(relid));
	c->wait_leaves = palloc(sizeof(Oid) * (c->topic->npartitions + 1));
	c->wait_offsets = palloc(sizeof(int64) * (c->topic->npartitions + 1));
}

/*
 * One consume(): locks partitions that no other session of the group holds,
 * reads on from where the group is (it is nowhere: from the log's start), up
 * to max records in all, calls back for each, and moves the committed offsets.
 * Each time it begins behind the partition that was served last, so that all
 * get their turn.  Waits until there is something or the deadline has come,
 * with no lock on the topic's tables.  Returns the number of records.
 */
int
pt_consume(const PtTopic *topic, PtString group_id, int max, TimestampTz deadline,
		   PtConsumeCallback callback, void *arg)
{
	Consume		c = {.topic = topic,.group_id = group_id,.max = max,.callback = callback,.arg = arg};
	int			total;

	Assert(max > 0);
	pt_group_sql_use(group_id);
	if (next_partition == 0)
		next_partition = (uint32) MyProcPid;
	while (look_again(&c), (total = consume_round(&c)) == 0)
	{
		TimestampTz until = deadline;

		/*
		 * a transaction that keeps its snapshot would wait for what it can't
		 * see
		 */
		if (IsolationUsesXactSnapshot() || GetCurrentTimestamp() >= deadline)
			break;
		if (c.locked_out)
			until = Min(until, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_LOCKED_MS));
		(void) pt_wait_for_logs(c.wait_leaves, c.wait_offsets, c.nwaits, c.changes, until);
	}
	return total;
}
