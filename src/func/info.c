/*-------------------------------------------------------------------------
 *
 * info.c
 *	  The views topics and partitions, configs, and the ends of a log.
 *
 * Siblings: admin.c.
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
#include "storage/bufmgr.h"
#include "topic/group_configs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_topics);
PG_FUNCTION_INFO_V1(pt_partitions);
PG_FUNCTION_INFO_V1(pt_topic_configs);
PG_FUNCTION_INFO_V1(pt_group_configs);
PG_FUNCTION_INFO_V1(pt_func_log_start);
PG_FUNCTION_INFO_V1(pt_func_log_end);

/*
 * Returns true if the user may see what there is of a topic: who has any
 * privilege on its table, and members of pg_read_all_stats.
 */
static bool
may_describe(const PtTopic *topic)
{
	return (pt_rights_on_topic(GetUserId(), topic->relid) & PT_OP_BIT(PT_OP_DESCRIBE)) != 0 ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/*
 * Returns copies of the topics that the user may describe, because what is
 * done with one may load others into the cache.
 */
static List *
copy_topics(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, pt_topic_all())
	{
		if (may_describe(lfirst(lc)))
			result = lappend(result, pt_topic_copy(lfirst(lc)));
	}
	return result;
}

/*
 * Returns the configs that differ from their defaults, as jsonb.
 */
static Datum
configs_jsonb(Oid relid)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	foreach(lc, pt_config_list(relid))
	{
		const PtConfigEntry *entry = lfirst(lc);

		if (entry->is_default)
			continue;
		if (buf.len > 1)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, entry->name);
		appendStringInfoString(&buf, ": ");
		escape_json(&buf, entry->value);
	}
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/*
 * Returns the size of a leaf's file in bytes; 0 if it was dropped meanwhile.
 */
static int64
leaf_size(Oid leaf)
{
	Relation	rel = try_relation_open(leaf, AccessShareLock);
	int64		size;

	Assert(OidIsValid(leaf));
	if (rel == NULL)
		return 0;
	size = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
	relation_close(rel, AccessShareLock);
	return size;
}

/*
 * Rows of list_topics(): topic, id, internal, partitions, configs, size.
 */
Datum
pt_topics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, copy_topics())
	{
		const PtTopic *topic = lfirst(lc);
		Datum		values[6];
		bool		nulls[6] = {false};
		int64		size = 0;

		for (int i = 0; i < topic->npartitions; i++)
			size += OidIsValid(topic->leaves[i]) ? leaf_size(topic->leaves[i]) : 0;
		values[0] = pt_topic_datum(topic->name);
		values[1] = UUIDPGetDatum(&topic->id);
		values[2] = BoolGetDatum(topic->internal);
		values[3] = Int32GetDatum(topic->npartitions);
		values[4] = configs_jsonb(topic->relid);
		values[5] = Int64GetDatum(size);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Gets the start and the committed end of a log.  The relation is locked.
 */
static void
log_bounds(Relation rel, PtLogInfo *info, PtLogEnd *end)
{
	PtLogView	view;

	pt_log_view(rel, &view);
	pt_log_info(rel, info);
	*end = view.committed;
	Assert(info->start_offset >= 0 && end->offset >= 0);
}

/*
 * Fills the columns start_offset, end_offset, records, bytes, extents.
 */
static void
fill_bounds(Relation rel, Datum *values)
{
	PtLogInfo	info;
	PtLogEnd	end;

	log_bounds(rel, &info, &end);
	values[0] = Int64GetDatum(info.start_offset);
	values[1] = Int64GetDatum(end.offset);
	values[2] = Int64GetDatum(Max(end.offset - info.start_offset, 0));
	values[3] = Int64GetDatum(end.pos > info.start_pos ? (int64) (end.pos - info.start_pos) : 0);
	values[4] = Int32GetDatum((int32) info.phys_extents);
}

/*
 * Rows of list_partitions(): topic, partition, leaf, and its bounds.
 */
Datum
pt_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, copy_topics())
	{
		const PtTopic *topic = lfirst(lc);

		for (int i = 0; i < topic->npartitions; i++)
		{
			Datum		values[8];
			bool		nulls[8] = {false};
			Relation	rel;

			CHECK_FOR_INTERRUPTS();
			if (!OidIsValid(topic->leaves[i]) ||
				(rel = try_relation_open(topic->leaves[i], AccessShareLock)) == NULL)
				continue;
			values[0] = pt_topic_datum(topic->name);
			values[1] = Int32GetDatum(i);
			values[2] = ObjectIdGetDatum(topic->leaves[i]);
			fill_bounds(rel, values + 3);
			relation_close(rel, AccessShareLock);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/*
 * Returns a row for each config: name, value, is_default, type,
 * documentation.
 */
static Datum
return_configs(FunctionCallInfo fcinfo, List *entries)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);
		Datum		values[5];
		bool		nulls[5] = {false};

		Assert(entry->name != NULL && entry->value != NULL);
		values[0] = CStringGetTextDatum(entry->name);
		values[1] = CStringGetTextDatum(entry->value);
		values[2] = BoolGetDatum(entry->is_default);
		values[3] = CStringGetTextDatum(entry->type);
		values[4] = CStringGetTextDatum(entry->documentation);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Rows of topic_configs(topic): see return_configs().
 */
Datum
pt_topic_configs(PG_FUNCTION_ARGS)
{
	return return_configs(fcinfo, pt_config_list(pt_arg_topic(fcinfo, 0)->relid));
}

/*
 * The same for a consumer group, which need not exist.
 */
Datum
pt_group_configs(PG_FUNCTION_ARGS)
{
	return return_configs(fcinfo, pt_group_config_list(pt_arg_cstring(fcinfo, 0)));
}

/*
 * Gets the bounds of the partition in the first argument.  If the partition
 * is dropped and made again while we wait for its lock, it is looked up
 * again.
 */
static void
bounds_of_argument(FunctionCallInfo fcinfo, PtLogInfo *info, PtLogEnd *end)
{
	PtPartition p = PG_GETARG_PARTITION(0);
	const PtTopic *topic = pt_topic_expect_name(p.topic);
	Relation	rel;

	if (!may_describe(topic))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, topic->name);
	while ((rel = pt_try_partition(pt_topic_expect_name(p.topic), p.number, AccessShareLock)) == NULL)
		;
	log_bounds(rel, info, end);
	relation_close(rel, AccessShareLock);
}

/*
 * log_start(partition): the first offset that is retained.
 */
Datum
pt_func_log_start(PG_FUNCTION_ARGS)
{
	PtLogInfo	info;
	PtLogEnd	end;

	bounds_of_argument(fcinfo, &info, &end);
	PG_RETURN_INT64(info.start_offset);
}

/*
 * log_end(partition): the offset behind the last committed record.
 */
Datum
pt_func_log_end(PG_FUNCTION_ARGS)
{
	PtLogInfo	info;
	PtLogEnd	end;

	bounds_of_argument(fcinfo, &info, &end);
	PG_RETURN_INT64(end.offset);
}
