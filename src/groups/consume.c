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

/* One call of pt_consume(). */
typedef struct Consume
{
	const PtTopic *topic;		/* a copy */
	PtString	group_id;
	int			max;			/* number of records that may still be given */
	PtConsumeCallback callback;
	void	   *arg;
	int32		partition;		/* the one that is read */
	PtConsumeWaits *waits;
} Consume;

/*
 * The partition with which the session begins.  Sessions begin at different
 * ones, so that they do not compete.
 */
static uint32 next_partition;

static void add_wait(PtConsumeWaits *waits, Oid leaf, int64 offset);
static int	consume_round(Consume *c);
static int	consume_partition(Consume *c, int32 partition);
static int64 first_offset(const Consume *c, Relation rel, int32 partition);

void
pt_consume_waits_begin(PtConsumeWaits *waits)
{
	memset(waits, 0, sizeof(*waits));
	waits->room = 16;
	waits->leaves = palloc_array(Oid, waits->room);
	waits->offsets = palloc_array(int64, waits->room);
}

static void
add_wait(PtConsumeWaits *waits, Oid leaf, int64 offset)
{
	if (waits->n == waits->room)
	{
		waits->room *= 2;
		waits->leaves = repalloc_array(waits->leaves, Oid, waits->room);
		waits->offsets = repalloc_array(waits->offsets, int64, waits->room);
	}
	waits->leaves[waits->n] = leaf;
	waits->offsets[waits->n++] = offset;
}

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
		note_use(c, partition);
	add_wait(c->waits, leaf, next);
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
			c->waits->locked_out = true;
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
 * Begins with a group that was not used in this process yet.
 */
static void
begin_use(PtString group_id)
{
	pt_group_sql_use(group_id);
	pt_group_check(group_id, PT_OP_READ);
	if (next_partition == 0)
		next_partition = (uint32) MyProcPid;
}

/*
 * Consumes what there is, without waiting: locks partitions that no other
 * session of the group holds, reads on from the group's committed offset (or
 * from the start of the log), "max" records at most, calls back for each, and
 * moves the committed offsets.  Returns the number of records.  Adds the
 * partitions that it has read to waits.
 *
 * Each call begins behind the partition that was served last, so that all are
 * served in turn.
 */
int
pt_consume_now(const PtTopic *topic, PtString group_id, int max, PtConsumeCallback callback, void *arg,
			   PtConsumeWaits *waits)
{
	Consume		c = {.topic = topic,.group_id = group_id,.max = max,.callback = callback,.arg = arg,.waits = waits};

	Assert(max > 0);
	begin_use(group_id);
	return consume_round(&c);
}

/*
 * Does one consume(): pt_consume_now(), and again if there is nothing, until
 * the deadline.  It waits without a lock on the tables of the topic, which may
 * have got partitions meanwhile, or be gone: that is an ERROR.
 */
int
pt_consume(const PtTopic *topic, PtString group_id, int max, TimestampTz deadline,
		   PtConsumeCallback callback, void *arg)
{
	PtConsumeWaits waits;
	uint64		changes = pt_topic_changes();
	int			total;

	pt_consume_waits_begin(&waits);
	topic = pt_topic_copy(pt_topic_expect(topic->relid));
	while ((total = pt_consume_now(topic, group_id, max, callback, arg, &waits)) == 0)
	{
		TimestampTz until = deadline;

		/*
		 * a transaction that keeps its snapshot would wait for records that
		 * it can never see
		 */
		if (IsolationUsesXactSnapshot() || GetCurrentTimestamp() >= deadline)
			break;
		if (waits.locked_out)
			until = Min(until, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PT_CONSUME_RETRY_MS));
		(void) pt_wait_for_logs(waits.leaves, waits.offsets, waits.n, changes, until, NULL);
		waits.n = 0;
		waits.locked_out = false;
		if (changes != pt_topic_changes())
		{
			changes = pt_topic_changes();
			topic = pt_topic_copy(pt_topic_expect(topic->relid));
		}
	}
	return total;
}
