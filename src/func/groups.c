/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  commit_offsets(), seek() and delete_group(): set committed offsets
 *	  without reading records.
 *
 * Each of them adds deferred records to __consumer_offsets and takes effect
 * when the transaction commits.  It needs the privilege that consume() needs,
 * SELECT on the topic.
 *
 * Siblings: args.c, read.c (consume() moves committed offsets), group_info.c
 * (shows them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "guc.h"
#include "func/func.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "topic/json.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_commit_offset);
PG_FUNCTION_INFO_V1(pt_commit_offsets);
PG_FUNCTION_INFO_V1(pt_seek_offset);
PG_FUNCTION_INFO_V1(pt_seek_time);
PG_FUNCTION_INFO_V1(pt_seek_text);
PG_FUNCTION_INFO_V1(pt_delete_group);
PG_FUNCTION_INFO_V1(pt_expire_offsets);

/* The kinds of targets of seek(). */
typedef enum SeekTo
{
	SEEK_TO_OFFSET,
	SEEK_TO_TIME,
	SEEK_TO_START,
	SEEK_TO_END
} SeekTo;

/* A call of seek(). */
typedef struct Seek
{
	SeekTo		to;
	int64		value;			/* the offset, or the time in ms since 1970 */
	PtString	group_id;
	PtTopic    *topic;			/* a copy */
} Seek;

/*
 * ERROR on a standby, in a read-only transaction and in a parallel worker.
 */
static void
prevent_where_useless(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

/*
 * ERROR for an offset that the partition does not have.  "detail" has one
 * %lld for the bound.
 */
static void
bad_offset(const PtTopic *topic, int32 number, int64 offset, const char *detail, int64 bound)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("offset %lld is out of range for \"%s:%d\"", (long long) offset, topic->name, number),
			 errdetail(detail, (long long) bound),
			 errhint("The functions log_start() and log_end() tell what is there.")));
}

/*
 * Gets the first and the end offset of a partition; ERROR if there is none of
 * that number.  AccessShareLock stays to the end of the transaction.
 */
static void
partition_bounds(const PtTopic *topic, int32 number, int64 *start, int64 *end)
{
	Relation	rel = pt_open_partition(topic->relid, number, AccessShareLock);

	pt_partition_bounds(rel, start, end);
	Assert(*start >= 0 && *end >= 0);
	relation_close(rel, NoLock);
}

/*
 * Returns the end of what is flushed; time searches see no further.
 */
static int64
durable_end(const PtTopic *topic, int32 number)
{
	Relation	rel = pt_open_partition(topic->relid, number, AccessShareLock);
	PtLogView	view;

	pt_log_view(rel, &view);
	relation_close(rel, NoLock);
	return view.durable.offset;
}

/*
 * Locks a partition in AccessShareLock until the transaction ends, and returns
 * the topic, or a new copy of it in the current memory context.  A copy may
 * have been made before the partition: other sessions add partitions while we
 * wait for a lock.
 */
static PtTopic *
lock_partition(PtTopic *topic, int32 number)
{
	relation_close(pt_open_partition(topic->relid, number, AccessShareLock), NoLock);
	if (number < topic->npartitions && OidIsValid(topic->leaves[number]))
		return topic;
	topic = pt_topic_copy(pt_topic_expect(topic->relid));
	Assert(number < topic->npartitions);
	return topic;
}

/*
 * Commits one offset of a group that is ours to use (pt_group_sql_use).
 * Waits for sessions that have consumed records of the partition and not
 * committed. ERROR if the offset is negative or behind the end.
 */
static void
commit_one(PtString group_id, PtTopic *topic, int32 number, int64 offset, PtString metadata)
{
	int64		start;
	int64		end;

	Assert(group_id.len > 0);
	topic = lock_partition(topic, number);
	partition_bounds(topic, number, &start, &end);
	if (offset < 0)
		bad_offset(topic, number, offset, "Offsets are not negative; the partition ends at %lld.", end);
	if (offset > end)
		bad_offset(topic, number, offset, "The partition ends at %lld.", end);
	if (metadata.len > pt_offset_metadata_max)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("metadata of a committed offset is too long"),
				 errdetail("It may have %d bytes.", pt_offset_metadata_max)));
	(void) pt_offset_lock(group_id, topic->leaves[number], false);
	Assert(offset >= 0 && offset <= end);
	pt_offset_set(group_id, topic, number, offset, metadata);
}

/* commit_offsets(group_id, partition, offset, metadata) */
Datum
pt_commit_offset(PG_FUNCTION_ARGS)
{
	PtString	group_id = pt_arg_group(fcinfo, 0);
	PtString	metadata = PT_STRING_EMPTY;
	PtPartition p;

	pt_arg_required(fcinfo, 1, "partition");
	pt_arg_required(fcinfo, 2, "offset");
	p = PG_GETARG_PARTITION(1);
	if (!PG_ARGISNULL(3))
		metadata = pt_string_from_server(pt_arg_cstring(fcinfo, 3));
	prevent_where_useless("commit_offsets()");
	pt_group_sql_use(group_id);
	pt_group_check(group_id, PT_OP_READ);
	commit_one(group_id, pt_func_topic(p.topic), p.number, PG_GETARG_INT64(2), metadata);
	PG_RETURN_VOID();
}

/*
 * ERROR for a JSON argument of the wrong form.
 */
static void
bad_offsets(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid offsets"),
			 errhint("Offsets are an object of partitions and whole numbers, as in {\"orders:0\": 15, \"orders:1\": 7}.")));
}

/*
 * Returns the number in a JSON value; ERROR unless it is whole.
 */
static int64
json_offset(const JsonbValue *v)
{
	int64		offset;

	if (!pt_json_int64(v, &offset))
		bad_offsets();
	return offset;
}

/*
 * commit_offsets(group_id, offsets): a JSON object from partitions to
 * offsets.
 */
Datum
pt_commit_offsets(PG_FUNCTION_ARGS)
{
	PtString	group_id = pt_arg_group(fcinfo, 0);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	PtPartition p = {PT_STRING_NULL};
	Jsonb	   *offsets;

	pt_arg_required(fcinfo, 1, "offsets");
	offsets = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_OBJECT(offsets))
		bad_offsets();
	prevent_where_useless("commit_offsets()");
	pt_group_sql_use(group_id);
	pt_group_check(group_id, PT_OP_READ);
	it = JsonbIteratorInit(&offsets->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			p = pt_datum_partition(DirectFunctionCall1(pt_partition_in,
													   CStringGetDatum(pnstrdup(v.val.string.val, v.val.string.len))));
		else if (token == WJB_VALUE)
			commit_one(group_id, pt_func_topic(p.topic), p.number, json_offset(&v), PT_STRING_EMPTY);
	}
	PG_RETURN_VOID();
}

/*
 * Returns the offset to which a seek moves in one partition.  ERROR if an
 * offset that was given is not in the log.
 */
static int64
find_offset(const Seek *seek, int32 number)
{
	PtListOffset list = {.relid = seek->topic->leaves[number],.timestamp = seek->value};
	int64		start;
	int64		end;

	Assert(number >= 0 && number < seek->topic->npartitions);
	partition_bounds(seek->topic, number, &start, &end);
	switch (seek->to)
	{
		case SEEK_TO_START:
			return start;
		case SEEK_TO_END:
			return end;
		case SEEK_TO_OFFSET:
			if (seek->value < start)
				bad_offset(seek->topic, number, seek->value, "The partition starts at %lld.", start);
			if (seek->value > end)
				bad_offset(seek->topic, number, seek->value, "The partition ends at %lld.", end);
			return seek->value;
		case SEEK_TO_TIME:

			/*
			 * The search sees only what is durable.  If it finds nothing, the
			 * end of that is where to go on.
			 */
			end = durable_end(seek->topic, number);
			pt_list_offset(&list);
			return list.status == PT_OK && list.offset >= 0 ? list.offset : end;
	}
	pg_unreachable();
}

/*
 * Does a seek for one partition or for all, and returns a row for each:
 * partition, offset.
 */
static Datum
do_seek(FunctionCallInfo fcinfo, SeekTo to, int64 value)
{
	Seek		seek = {.to = to,.value = value};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		first = 0;
	int32		last;

	seek.group_id = pt_arg_group(fcinfo, 0);
	pt_arg_required(fcinfo, 1, "topic");
	prevent_where_useless("seek()");
	pt_group_sql_use(seek.group_id);
	pt_group_check(seek.group_id, PT_OP_READ);
	seek.topic = pt_func_topic(PG_GETARG_TOPIC(1));
	last = seek.topic->npartitions - 1;
	if (!PG_ARGISNULL(3))
		first = last = PG_GETARG_INT32(3);
	InitMaterializedSRF(fcinfo, 0);
	for (int32 number = first; number <= last; number++)
	{
		Datum		values[2];
		bool		nulls[2] = {false};
		int64		offset;

		if (PG_ARGISNULL(3) && !OidIsValid(seek.topic->leaves[number]))
			continue;
		seek.topic = lock_partition(seek.topic, number);
		(void) pt_offset_lock(seek.group_id, seek.topic->leaves[number], false);
		offset = find_offset(&seek, number);
		pt_offset_set(seek.group_id, seek.topic, number, offset, PT_STRING_EMPTY);
		values[0] = pt_partition_datum(pt_string_of(seek.topic->name), number);
		values[1] = Int64GetDatum(offset);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* seek(group_id, topic, to, partition): to an offset */
Datum
pt_seek_offset(PG_FUNCTION_ARGS)
{
	pt_arg_required(fcinfo, 2, "to");
	return do_seek(fcinfo, SEEK_TO_OFFSET, PG_GETARG_INT64(2));
}

/*
 * The same with a timestamp: to the first record of that time or later.
 */
Datum
pt_seek_time(PG_FUNCTION_ARGS)
{
	TimestampTz time;

	pt_arg_required(fcinfo, 2, "to");
	time = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_IS_NOBEGIN(time))
		return do_seek(fcinfo, SEEK_TO_START, 0);
	if (TIMESTAMP_IS_NOEND(time))
		return do_seek(fcinfo, SEEK_TO_END, 0);
	return do_seek(fcinfo, SEEK_TO_TIME, Max(pt_timestamptz_to_ms(time), 0));
}

/*
 * The same with a text: 'start', 'end', or a timestamp without its type.
 */
Datum
pt_seek_text(PG_FUNCTION_ARGS)
{
	char	   *to;

	pt_arg_required(fcinfo, 2, "to");
	to = pt_arg_cstring(fcinfo, 2);
	if (strcmp(to, "start") == 0)
		return do_seek(fcinfo, SEEK_TO_START, 0);
	if (strcmp(to, "end") == 0)
		return do_seek(fcinfo, SEEK_TO_END, 0);
	if (strspn(to, "0123456789") == 0 || strspn(to, "0123456789") == strlen(to))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid place to seek to: \"%s\"", to),
				 errhint("Say 'start', 'end', a timestamp, or an offset (a number without quotes).")));
	return do_seek(fcinfo, SEEK_TO_TIME,
				   Max(pt_timestamptz_to_ms(DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(to),
																					ObjectIdGetDatum(InvalidOid),
																					Int32GetDatum(-1)))), 0));
}

/*
 * delete_group(group_id): removes all committed offsets of a group without
 * members.
 */
Datum
pt_delete_group(PG_FUNCTION_ARGS)
{
	PtString	group_id = pt_arg_group(fcinfo, 0);

	prevent_where_useless("delete_group()");
	pt_group_sql_own(group_id);
	pt_group_check(group_id, PT_OP_DELETE);
	if (pt_offsets_remove(group_id) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("group \"%s\" does not exist", pt_arg_cstring(fcinfo, 0)),
				 errhint("The view consumer_groups has all groups.")));
	PG_RETURN_VOID();
}

/*
 * expire_offsets(retention): removes old committed offsets now, and returns
 * how many.  For tests and impatient administrators.
 */
Datum
pt_expire_offsets(PG_FUNCTION_ARGS)
{
	int64		retention = -1;

	prevent_where_useless("expire_offsets()");
	if (!PG_ARGISNULL(0))
	{
		Interval   *span = PG_GETARG_INTERVAL_P(0);

		retention = span->time / 1000 + ((int64) span->month * DAYS_PER_MONTH + span->day) * SECS_PER_DAY * 1000;
		if (retention < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("retention must be positive")));
	}
	PG_RETURN_INT64(pt_offsets_expire(retention));
}
