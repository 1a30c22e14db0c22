/*-------------------------------------------------------------------------
 *
 * delete.c
 *	  delete_records(): removes the oldest records of a partition or a topic.
 *
 * Siblings: admin.c; ../xact/trim.c does the work when the transaction
 * commits.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "func/func.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pt_delete_records);
PG_FUNCTION_INFO_V1(pt_delete_topic_records);

/*
 * ERROR unless the user may delete records of the topic.  The rules are those
 * for Kafka clients: no internal topics, and not if cleanup.policy is compact
 * only.
 */
static void
check_deletable(const PtTopic *topic)
{
	pt_topic_check_access(topic, ACL_DELETE);
	if (topic->internal)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot delete records of internal topic \"%s\"", topic->name)));
	if (!(topic->config.cleanup_policy & PT_CLEANUP_DELETE))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete records of topic \"%s\"", topic->name),
				 errdetail("Its config \"cleanup.policy\" is compact: the last record of each key is kept."),
				 errhint("Produce a record without a value for each key to be deleted, or change the config to \"compact,delete\".")));
}

/*
 * Moves the start of one log when the transaction commits, and returns where
 * it will be.  The caller has the table locked.
 */
static int64
trim(Oid leaf, const char *name, int32 partition, int64 offset)
{
	int64		start = 0;

	Assert(OidIsValid(leaf) && partition >= 0);
	switch (pt_trim(leaf, offset, &start))
	{
		case PT_OK:
			break;
		case PT_OFFSET_OUT_OF_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("offset %lld is not in the log of \"%s:%d\"", (long long) offset, name, partition),
					 errhint("log_end() tells the offset behind the last record.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("topic \"%s\" has no partition %d", name, partition)));
	}
	Assert(start >= 0);
	return start;
}

/*
 * delete_records(partition, before_offset): returns the offset at which the
 * log will start.
 */
Datum
pt_delete_records(PG_FUNCTION_ARGS)
{
	PtPartition p;
	int64		offset;
	const PtTopic *topic;
	Oid			relid;
	char	   *name;
	Relation	rel;
	Oid			leaf;

	PreventCommandIfReadOnly("delete_records()");
	pt_arg_required(fcinfo, 0, "partition");
	pt_arg_required(fcinfo, 1, "before_offset");
	p = PG_GETARG_PARTITION(0);
	offset = PG_GETARG_INT64(1);
	topic = pt_topic_expect_name(p.topic);
	relid = topic->relid;
	name = pstrdup(topic->name);
	check_deletable(topic);
	rel = pt_open_partition(relid, p.number, RowExclusiveLock);
	leaf = RelationGetRelid(rel);
	relation_close(rel, NoLock);
	if (offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("offset must not be negative")));
	PG_RETURN_INT64(trim(leaf, name, p.number, offset));
}

/*
 * Returns the offset of the first record that is not older than a time (ms),
 * or the end of the log if all are older.  The caller has the table locked.
 * ERROR 55P03 if the partition is busy.
 */
static int64
offset_of_time(Oid leaf, const char *name, int32 partition, int64 ms)
{
	PtListOffset end = {.relid = leaf,.timestamp = PT_LIST_LATEST};
	PtListOffset list = {.relid = leaf,.timestamp = Max(ms, 0)};

	Assert(OidIsValid(leaf));
	pt_list_offset(&end);		/* first: records that come in meanwhile stay */
	pt_list_offset(&list);
	if (list.status != PT_OK || end.status != PT_OK)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("partition %d of topic \"%s\" is being changed", partition, name),
				 errhint("Try again.")));
	return list.offset >= 0 ? Min(list.offset, end.offset) : end.offset;
}

/*
 * delete_records(topic) removes all records; delete_records(topic, before)
 * those before the first one that is not older.  A null time is an error: a
 * subquery without a row gives one, and must not delete everything.
 */
Datum
pt_delete_topic_records(PG_FUNCTION_ARGS)
{
	bool		all = PG_NARGS() == 1;
	const PtTopic *topic;

	PreventCommandIfReadOnly("delete_records()");
	topic = pt_topic_copy(pt_arg_topic(fcinfo, 0));
	if (!all)
		pt_arg_required(fcinfo, 1, "before");
	check_deletable(topic);
	for (int i = 0; i < topic->npartitions; i++)
	{
		Oid			leaf = topic->leaves[i];
		Relation	rel;
		int64		offset = PT_TRIM_TO_END;

		CHECK_FOR_INTERRUPTS();
		rel = OidIsValid(leaf) ? try_relation_open(leaf, RowExclusiveLock) : NULL;
		if (rel == NULL)
			continue;			/* dropped meanwhile */
		relation_close(rel, NoLock);
		if (!all)
			offset = offset_of_time(leaf, topic->name, i, pt_timestamptz_to_ms(PG_GETARG_TIMESTAMPTZ(1)));
		(void) trim(leaf, topic->name, i, offset);
	}
	PG_RETURN_VOID();
}
