/*-------------------------------------------------------------------------
 *
 * run.c
 *	  The life of a worker that follows groups: rounds.
 *
 * A round asks which topics here follow topics there, then what groups have
 * committed in these, and brings that.  A topic follows one there if a
 * subscription fills it whose slot is there: else the same offset need not be
 * the same record.
 *
 * The rows of a number of groups are taken first, and then brought in one
 * transaction, so that no group is locked while the other server is waited
 * for.
 *
 * Siblings: there.c; ../groups/bring.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "fanout/fanout.h"
#include "followers/internal.h"
#include "stop_point.h"
#include "topic/types.h"

/* Groups that are brought in one transaction. */
#define BATCH_GROUPS	100

/* Between rounds the connection is kept if they are no longer than this. */
#define KEEP_MS			30000

typedef struct Follow
{
	PtTask	   *task;
	const PtGroupFollower *follower;
	PtPeer	   *there;			/* NULL: not connected */
	const char *extension;		/* its schema there */

	/* this round */
	Oid		   *leaves;			/* that follow, sorted */
	int			nleaves;
	PtBring		bring;
	int64		newest_ms;		/* of the commits there */
	MemoryContext connection;	/* has there and extension */
	MemoryContext round;		/* all else */
} Follow;

/*
 * Begins a transaction; false if the task is to stop.
 */
static bool
begin(Follow *f, MemoryContext mcxt)
{
	if (!pt_task_begin(f->task))
		return false;
	MemoryContextSwitchTo(mcxt);
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

static void
commit(Follow *f, MemoryContext mcxt)
{
	PopActiveSnapshot();
	pt_task_commit(f->task);
	MemoryContextSwitchTo(mcxt);
}

static bool
has_text(const List *texts, const char *text)
{
	ListCell   *lc;

	foreach(lc, texts)
	{
		if (strcmp(lfirst(lc), text) == 0)
			return true;
	}
	return false;
}

/*
 * Is the topic one that was asked for?
 */
static bool
is_wanted(const PtGroupFollower *follower, const char *topic)
{
	ListCell   *lc;

	foreach(lc, follower->topics)
	{
		if (DatumGetBool(DirectFunctionCall2Coll(textlike, C_COLLATION_OID, CStringGetTextDatum(topic),
												 CStringGetTextDatum(lfirst(lc)))))
			return true;
	}
	return false;
}

/*
 * Finds the partitions that follow, and returns the names of their topics;
 * ERROR if the owner may not read one.
 */
static List *
find_topics(Follow *f, List *slots)
{
	List	   *topics = NIL;
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, pt_followed())
	{
		const PtFollowed *followed = lfirst(lc);
		int32		partition;
		const PtTopic *topic = has_text(slots, followed->slot) ? pt_topic_by_leaf(followed->leaf, &partition) : NULL;

		if (topic == NULL || !is_wanted(f->follower, topic->name))
			continue;
		leaves = lappend_oid(leaves, followed->leaf);
		if (has_text(topics, topic->name))
			continue;
		topics = lappend(topics, pstrdup(topic->name));
		pt_topic_check_access(topic, ACL_SELECT);
	}
	list_sort(leaves, list_oid_cmp);
	f->nleaves = 0;
	f->leaves = palloc(sizeof(Oid) * Max(list_length(leaves), 1));
	foreach(lc, leaves)
		f->leaves[f->nleaves++] = lfirst_oid(lc);
	return topics;
}

static int
compare_oids(const void *a, const void *b)
{
	Oid			left = *(const Oid *) a;
	Oid			right = *(const Oid *) b;

	return left < right ? -1 : left > right;
}

/*
 * Leaves only offsets in partitions that follow; returns how many.
 */
static int
keep_followed(const Follow *f, PtGroupThere *group)
{
	int			n = 0;

	for (int i = 0; i < group->n; i++)
	{
		const PtCommittedOffset *offset = &group->offsets[i];
		const PtTopic *topic = pt_topic_by_string(offset->topic);

		if (topic != NULL && offset->partition < topic->npartitions &&
			bsearch(&topic->leaves[offset->partition], f->leaves, f->nleaves, sizeof(Oid), compare_oids) != NULL)
			group->offsets[n++] = *offset;
	}
	return n;
}

/*
 * Brings some groups in one transaction; false if the task is to stop.
 */
static bool
bring_groups(Follow *f, List *groups)
{
	PtBring		bring = f->bring;
	ListCell   *lc;

	if (!begin(f, f->round))
		return false;
	foreach(lc, groups)
	{
		PtGroupThere *group = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		group->n = keep_followed(f, group);
		pt_group_bring(&bring, group->group_id, group->offsets, group->n, group->used_ms);
		for (int i = 0; i < group->n; i++)
			f->newest_ms = Max(f->newest_ms, group->offsets[i].commit_time);
	}
	if (bring.moved > f->bring.moved)
		PT_STOP_POINT("follower.brought");
	commit(f, f->round);
	f->bring = bring;
	return true;
}

/*
 * Takes all groups that come, and brings them; false if the task is to stop.
 */
static bool
take_groups(Follow *f)
{
	PtGroupThere *group = NULL;
	bool		more = true;

	while (more)
	{
		List	   *groups = NIL;
		PtGroupThere *complete;
		ListCell   *lc;

		while (more && list_length(groups) < BATCH_GROUPS)
		{
			more = pt_there_next(f->there, &group, &complete);
			if (complete != NULL)
				groups = lappend(groups, complete);
		}
		if (!bring_groups(f, groups))
			return false;
		foreach(lc, groups)
			pt_there_free(lfirst(lc));
		list_free(groups);
	}
	return true;
}

/*
 * Tells how far it has come: what was brought, and how much is not here yet.
 */
static void
tell(Follow *f)
{
	PtTaskLag	lag = PT_TASK_LAG_UNKNOWN;

	lag.records = f->bring.behind;
	pt_task_lag(f->task, &lag);
	pt_task_progress(f->task, f->bring.moved, 0, f->newest_ms, 0);
}

/*
 * One round; false if the task is to stop.
 */
static bool
do_round(Follow *f)
{
	List	   *slots;
	List	   *topics;

	if (f->there == NULL)
	{
		MemoryContextSwitchTo(f->connection);
		f->there = pt_there_connect(f->follower, f->task);
		f->extension = pt_there_extension(f->there);
	}
	MemoryContextSwitchTo(f->round);
	memset(&f->bring, 0, sizeof(f->bring));
	f->bring.backwards = f->follower->backwards;
	f->newest_ms = -1;
	slots = pt_there_slots(f->there);
	if (!begin(f, f->round))
		return false;
	topics = find_topics(f, slots);
	commit(f, f->round);
	if (topics != NIL)
	{
		pt_there_ask(f->there, f->extension, f->follower, topics);
		if (!take_groups(f))
			return false;
	}
	tell(f);
	if (f->follower->interval_ms > KEEP_MS)
	{
		pt_peer_close(f->there);
		f->there = NULL;
		MemoryContextReset(f->connection);
	}
	return true;
}

/*
 * Waits for the next round.
 */
static void
wait(Follow *f, TimestampTz began)
{
	TimestampTz due = TimestampTzPlusMilliseconds(began, f->follower->interval_ms);

	while (pt_task_go_on(f->task))
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due);

		if (ms <= 0)
			break;
		(void) pt_task_wait(f->task, 0, PGINVALID_SOCKET, ms);
	}
}

/*
 * The run function of the kind.
 */
void
pt_follower_run(PtTask *task, int worker)
{
	Follow	   *f = palloc0(sizeof(Follow));
	MemoryContext life = CurrentMemoryContext;

	f->task = task;
	f->connection = AllocSetContextCreate(life, "pgtopic followed server", ALLOCSET_DEFAULT_SIZES);
	f->round = AllocSetContextCreate(life, "pgtopic round of following", ALLOCSET_DEFAULT_SIZES);
	if (!pt_task_begin(task))
		return;
	MemoryContextSwitchTo(life);
	f->follower = pt_follower_define(task);
	pt_task_commit(task);
	while (pt_task_go_on(task))
	{
		TimestampTz began = GetCurrentTimestamp();

		if (!do_round(f))
			break;
		MemoryContextSwitchTo(life);
		MemoryContextReset(f->round);
		wait(f, began);
	}
}
