/*-------------------------------------------------------------------------
 *
 * consume.c
 *	  consume(): reads on for a group, exactly once.
 *
 * Each partition is served to one transaction of the group at a time.  A lock
 * on (leaf, group) is held to the end of the transaction if it got records,
 * and released at once if there were none.  The committed offset moves in the
 * transaction that uses the records.
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
 * A partition that another session holds may become free without an append,
 * so a wait for it is cut into pieces of this length.
 */
#define RETRY_LOCKED_MS		200

/* One call of pt_consume(). */
typedef struct Consume
{
	const PtTopic *topic;		/* a copy */
	uint64		changes;		/* pt_topic_changes() when the topic was
								 * looked up */
	PtString	group_id;
	int			max;			/* number of records that may still be given */
	PtConsumeCallback callback;
	void	   *arg;
	int32		partition;		/* the one that is read */

	/*
	 * what to wait for: partitions that we could lock and that have nothing
	 * new
	 */
	Oid		   *wait_leaves;
	int64	   *wait_offsets;
	int			nwaits;
	bool		locked_out;		/* others hold some of the partitions */
} Consume;

/*
 * The partition with which the session begins.  Sessions begin at different
 * ones, so that they do not compete.
 */
static uint32 next_partition;

static int	consume_round(Consume *c);
static int	consume_partition(Consume *c, int32 partition);
static int64 first_offset(const Consume *c, Relation rel, int32 partition);

/*
 * Callback of pt_read_records(): gives a record to the caller.
 */
static void
give_record(void *arg, const PtRecord *record)
{
	Consume    *c = arg;

	c->callback(c->arg, c->partition, record);
}

/*
 * Gets the offsets that the current transaction can read in a partition: from
 * *start up to, but not including, *end.  The relation is locked.
 */
void
pt_partition_bounds(Relation rel, int64 *start, int64 *end)
{
	PtLogView	view;
	bool		own;

	pt_log_view(rel, &view);
	own = TransactionIdIsValid(view.tail_xid) && TransactionIdIsCurrentTransactionId(view.tail_xid);

	/*
	 * Snapshots see that a transaction has committed a moment before the log
	 * is told.
	 */
	if (TransactionIdIsValid(view.tail_xid) && !own && view.live != NULL)
	{
		pt_state_resolve_all();
		pt_log_view(rel, &view);
	}
	*start = view.start_offset;
	*end = view.committed.offset;
	if (own)
		*end = Max(*end, view.tail_offset); /* we hold the append lock */
}

/*
 * Returns the offset with which a group goes on: its committed offset, or the
 * start of the log.
 *
 * A committed offset behind the end of the log belongs to another log,
 * because values of old versions have no topic id.  But if this transaction
 * has set it, it covers records that are not committed yet.
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
		 * Snapshots see that a transaction has committed a moment before the
		 * log is told, so the group may have read behind the end that we
		 * found.
		 */
		pt_state_resolve_all();
		pt_log_view(rel, &view);
	}
	if (offset < view.start_offset || (offset > view.committed.offset && !is_own))
		return view.start_offset;
	return offset;
}

/*
 * Records that the group is in use.  A consume() that finds nothing moves no
 * offset, so its offsets would expire.
 */
static void
note_use(const Consume *c, int32 partition)
{
	static TimestampTz noted;	/* start of the transaction that has done it
								 * last */
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
 * Reads one partition, which we have locked, and moves the committed offset
 * behind what was given.  Returns the number of records.
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

	/* without records we must not keep others from TRUNCATE */
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
 * Reads all partitions once, or until there are enough records.  Returns
 * their number.
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
 * Looks the topic up again.  It may have got partitions while we waited, or
 * be gone, which is an ERROR.
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
 * Does one consume(): locks partitions that no other session of the group
 * holds, reads on from the group's committed offset (or from the start of the
 * log), "max" records at most, calls back for each, and moves the committed
 * offsets.  Returns the number of records.
 *
 * Each call begins behind the partition that was served last, so that all are
 * served in turn.  If there is nothing, it waits until the deadline, without
 * a lock on the tables of the topic.
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
		 * a transaction that keeps its snapshot would wait for records that
		 * it can never see
		 */
		if (IsolationUsesXactSnapshot() || GetCurrentTimestamp() >= deadline)
			break;
		if (c.locked_out)
			until = Min(until, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_LOCKED_MS));
		(void) pt_wait_for_logs(c.wait_leaves, c.wait_offsets, c.nwaits, c.changes, until);
	}
	return total;
}
