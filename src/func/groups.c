/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  seek() and its like: positions of groups, set without reading.
 *
 * Siblings: args.c, read.c (consume() moves them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "func/func.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(pt_seek);

/* seek(topic, partition, group_id, offset) */
Datum
pt_seek(PG_FUNCTION_ARGS)
{
	static const PtString no_metadata = {"", 0};
	PtTopic    *topic;
	int32		number;
	PtString	group;
	int64		offset;

	pt_arg_required(fcinfo, 0, "topic");
	pt_arg_required(fcinfo, 1, "partition");
	group = pt_arg_group(fcinfo, 2);
	pt_arg_required(fcinfo, 3, "offset");
	number = PG_GETARG_INT32(1);
	offset = PG_GETARG_INT64(3);
	if (offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid offset: %lld", (long long) offset)));
	PreventCommandIfReadOnly("seek()");
	PreventCommandIfParallelMode("seek()");

	topic = pt_func_topic(PG_GETARG_TOPIC(0));
	relation_close(pt_open_partition(topic->relid, number, AccessShareLock), NoLock);
	pt_group_sql_use(group);
	(void) pt_position_lock(group, topic->leaves[number], false);
	pt_position_set(group, topic, number, offset, no_metadata);
	PG_RETURN_VOID();
}
