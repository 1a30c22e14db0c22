/*-------------------------------------------------------------------------
 *
 * group_info.c
 *	  Committed offsets for the views consumer_groups and group_lag.
 *
 * A user sees the committed offsets in topics that he may read; members of
 * pg_read_all_stats see all.  ../stats/group_views.c has the part that only
 * the coordinator knows.
 *
 * Siblings: groups.c sets committed offsets, info.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_authid.h"
#include "func/func.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_list_groups);
PG_FUNCTION_INFO_V1(pt_list_committed_offsets);
PG_FUNCTION_INFO_V1(pt_list_group_sessions);
PG_FUNCTION_INFO_V1(pt_list_group_offsets);

/*
 * Callback of pt_offsets_groups(): appends a copy to the list *arg.
 */
static void
collect_group(void *arg, const PtGroupOffsets *group)
{
	PtGroupOffsets *copy = palloc(sizeof(PtGroupOffsets));

	*copy = *group;
	*(List **) arg = lappend(*(List **) arg, copy);
}

/*
 * Callback of pt_offsets_of_group(): appends a copy to the list *arg.
 */
static void
collect_offset(void *arg, const PtCommittedOffset *committed)
{
	PtCommittedOffset *copy = palloc(sizeof(PtCommittedOffset));

	*copy = *committed;
	*(List **) arg = lappend(*(List **) arg, copy);
}

/*
 * Returns the groups with committed offsets that the user may see.
 */
static List *
visible_groups(void)
{
	List	   *groups = NIL;
	List	   *visible = NIL;
	ListCell   *lc;

	(void) pt_offsets_groups(false, collect_group, &groups);
	foreach(lc, groups)
	{
		const PtGroupOffsets *group = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (pt_group_visible(group->group_id))
			visible = lappend(visible, lfirst(lc));
	}
	return visible;
}

/*
 * Returns a group id as text in the database's encoding.
 */
static Datum
group_id_datum(PtString group_id)
{
	Assert(group_id.len >= 0);
	return CStringGetTextDatum(pt_string_to_server(group_id));
}

/*
 * Rows of list_groups(): group_id, partitions, last_commit.
 */
Datum
pt_list_groups(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, visible_groups())
	{
		const PtGroupOffsets *group = lfirst(lc);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = group_id_datum(group->group_id);
		values[1] = Int32GetDatum(group->noffsets);
		values[2] = pt_timestamp_datum(group->last_commit, &nulls[2]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Rows of list_group_sessions(): group_id, pid of a session that uses the
 * group in a transaction.  The pid is null for a prepared transaction.
 */
Datum
pt_list_group_sessions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PtGroupSession *sessions;
	int			n = pt_group_sessions(&sessions);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (n == 0)
		return (Datum) 0;
	foreach(lc, visible_groups())
	{
		const PtGroupOffsets *group = lfirst(lc);

		for (int i = 0; i < n; i++)
		{
			Datum		values[2];
			bool		nulls[2] = {false};

			if (!pt_group_matches(group->group_id, &sessions[i]))
				continue;
			values[0] = group_id_datum(group->group_id);
			values[1] = Int32GetDatum(sessions[i].pid);
			nulls[1] = sessions[i].pid == 0;
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/*
 * Returns the topic of a committed offset if it still exists and the user may
 * see it, otherwise NULL.  The topic belongs to the cache.
 */
static const PtTopic *
topic_of_offset(const PtCommittedOffset *committed)
{
	const PtTopic *topic = pt_topic_by_string(committed->topic);

	Assert(committed->partition >= 0);
	if (topic == NULL || committed->partition >= topic->npartitions ||
		!pt_offset_is_of(committed, &topic->id))
		return NULL;
	if (pg_class_aclcheck(topic->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return NULL;
	return topic;
}

/*
 * Callback of pt_read_records(): keeps the timestamp (ms) in *arg.
 */
static void
note_timestamp(void *arg, const PtRecord *record)
{
	*(int64 *) arg = record->timestamp;
}

/*
 * Fills three columns of a row: start_offset, end_offset, and oldest, the
 * time when the first unread record was produced.
 */
static void
fill_lag(Relation rel, int64 committed, Datum *values, bool *nulls)
{
	int64		start;
	int64		end;
	int64		next;
	int64		timestamp = PT_NO_TIMESTAMP;

	pt_partition_bounds(rel, &start, &end);
	Assert(start >= 0 && end >= 0);
	if (committed < end)
		(void) pt_read_records(rel, GetActiveSnapshot(), Max(committed, start), 1, note_timestamp, &timestamp, &next);
	values[0] = Int64GetDatum(start);
	values[1] = Int64GetDatum(end);
	values[2] = pt_timestamp_datum(timestamp, &nulls[2]);
}

/*
 * Adds a row of list_committed_offsets(): group_id, topic, partition, offset,
 * leader_epoch, metadata, committed_at, start_offset, end_offset, oldest.
 * Offsets in partitions that are gone are left out.
 */
static void
put_offset(ReturnSetInfo *rsinfo, PtString group_id, const PtCommittedOffset *committed)
{
	const PtTopic *topic = topic_of_offset(committed);
	Datum		values[10];
	bool		nulls[10] = {false};
	Relation	rel;

	if (topic == NULL || !OidIsValid(topic->leaves[committed->partition]))
		return;
	values[1] = pt_topic_datum(topic->name);
	rel = try_relation_open(topic->leaves[committed->partition], AccessShareLock);
	if (rel == NULL)
		return;
	values[0] = group_id_datum(group_id);
	values[2] = Int32GetDatum(committed->partition);
	nulls[3] = committed->offset < 0;	/* -1: the client has committed "none" */
	values[3] = Int64GetDatum(committed->offset);
	nulls[4] = committed->leader_epoch < 0;
	values[4] = Int32GetDatum(committed->leader_epoch);
	values[5] = CStringGetTextDatum(pt_string_to_server(committed->metadata));
	values[6] = pt_timestamp_datum(committed->commit_time, &nulls[6]);
	fill_lag(rel, committed->offset, values + 7, nulls + 7);
	relation_close(rel, AccessShareLock);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Rows of list_committed_offsets(): see put_offset().
 */
Datum
pt_list_committed_offsets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *groups = NIL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	(void) pt_offsets_groups(false, collect_group, &groups);
	foreach(lc, groups)
	{
		const PtGroupOffsets *group = lfirst(lc);
		List	   *offsets = NIL;
		ListCell   *lp;

		(void) pt_offsets_of_group(group->group_id, false, collect_offset, &offsets);
		foreach(lp, offsets)
		{
			CHECK_FOR_INTERRUPTS();
			put_offset(rsinfo, group->group_id, lfirst(lp));
		}
	}
	return (Datum) 0;
}

/*
 * Rows of list_group_offsets(): what follow_groups() of another server asks
 * for, without a look at the records.  group_id, topic, partition, offset,
 * metadata, committed_ms, used_ms (0: not known).
 */
Datum
pt_list_group_offsets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *groups = NIL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	(void) pt_offsets_groups(false, collect_group, &groups);
	foreach(lc, groups)
	{
		const PtGroupOffsets *group = lfirst(lc);
		List	   *offsets = NIL;
		int64		used_ms;
		ListCell   *lp;

		(void) pt_group_usage(group->group_id, pt_now_ms(), &used_ms);
		used_ms = Max(used_ms, group->last_used);
		(void) pt_offsets_of_group(group->group_id, false, collect_offset, &offsets);
		foreach(lp, offsets)
		{
			const PtCommittedOffset *committed = lfirst(lp);
			const PtTopic *topic = topic_of_offset(committed);
			Datum		values[7];
			bool		nulls[7] = {false};

			CHECK_FOR_INTERRUPTS();
			if (topic == NULL || committed->offset < 0)
				continue;
			values[0] = group_id_datum(group->group_id);
			values[1] = pt_topic_datum(topic->name);
			values[2] = Int32GetDatum(committed->partition);
			values[3] = Int64GetDatum(committed->offset);
			values[4] = CStringGetTextDatum(pt_string_to_server(committed->metadata));
			values[5] = Int64GetDatum(committed->commit_time);
			values[6] = Int64GetDatum(used_ms);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}
