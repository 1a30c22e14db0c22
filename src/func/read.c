/*-------------------------------------------------------------------------
 *
 * read.c
 *	  consume() and poll(): read a topic by offset, with or without a group.
 *
 * Both return a set through a tuplestore.  So a consume() moves the committed
 * offsets over all that it returns, even if the caller does not fetch all
 * rows.
 *
 * Siblings: args.c, groups.c (committed offsets without reading).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "func/func.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_consume_records);
PG_FUNCTION_INFO_V1(pt_poll_records);

#define RESULT_COLUMNS	7
#define DEFAULT_MAX_RECORDS	500 /* as in the SQL script */

/* Where records go: the result of the function. */
typedef struct Sink
{
	ReturnSetInfo *rsinfo;
	MemoryContext scratch;		/* reset after each row */
	Datum		topic;			/* datum of the topic's name */
	int32		partition;		/* of poll(); -1 for consume() */
} Sink;

/*
 * Prepares the function's result.
 */
static void
sink_begin(Sink *sink, FunctionCallInfo fcinfo, const PtTopic *topic)
{
	InitMaterializedSRF(fcinfo, 0);
	sink->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	sink->scratch = AllocSetContextCreate(CurrentMemoryContext, "pgtopic records", ALLOCSET_DEFAULT_SIZES);
	sink->topic = pt_topic_datum(topic->name);
	sink->partition = -1;
}

/*
 * Returns bytes as a bytea; a negative length is null.
 */
static Datum
bytes_or_null(const char *data, int32 len, bool *isnull)
{
	*isnull = len < 0;
	return len < 0 ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(data, len));
}

/*
 * Adds a record to the result.  Callback of pt_consume().
 */
static void
sink_record(void *arg, int32 partition, const PtRecord *record)
{
	Sink	   *sink = arg;
	MemoryContext old = MemoryContextSwitchTo(sink->scratch);
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	Assert(partition >= 0 && record->offset >= 0);
	values[0] = sink->topic;
	values[1] = Int32GetDatum(partition);
	values[2] = Int64GetDatum(record->offset);
	values[3] = pt_timestamp_datum(record->timestamp, &nulls[3]);
	values[4] = bytes_or_null(record->key, record->key_len, &nulls[4]);
	values[5] = bytes_or_null(record->value, record->value_len, &nulls[5]);
	nulls[6] = record->header_count <= 0;
	values[6] = nulls[6] ? (Datum) 0 :
		PointerGetDatum(pt_headers_form(record->headers, record->headers_len, record->header_count));
	tuplestore_putvalues(sink->rsinfo->setResult, sink->rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(sink->scratch);
}

/*
 * Callback of pt_read_records(): the partition is that of poll().
 */
static void
sink_poll_record(void *arg, const PtRecord *record)
{
	sink_record(arg, ((Sink *) arg)->partition, record);
}

/*
 * Returns the argument max_records; ERROR if it is below 1.
 */
static int32
read_max_records(FunctionCallInfo fcinfo, int n)
{
	int32		max = PG_ARGISNULL(n) ? DEFAULT_MAX_RECORDS : PG_GETARG_INT32(n);

	if (max < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_records must be at least 1")));
	return max;
}

/*
 * consume(topic, group_id, max_records, timeout): reads what the group has
 * not read, and moves its committed offsets when the transaction commits.
 */
Datum
pt_consume_records(PG_FUNCTION_ARGS)
{
	PtTopic    *topic;
	PtString	group;
	int32		max;
	TimestampTz deadline;
	Sink		sink;

	pt_arg_required(fcinfo, 0, "topic");
	group = pt_arg_group(fcinfo, 1);
	max = read_max_records(fcinfo, 2);
	deadline = pt_arg_deadline(fcinfo, 3);
	PreventCommandIfReadOnly("consume()");
	PreventCommandIfParallelMode("consume()");

	topic = pt_func_topic(PG_GETARG_TOPIC(0));
	sink_begin(&sink, fcinfo, topic);
	(void) pt_consume(topic, group, max, deadline, sink_record, &sink);
	return (Datum) 0;
}

/*
 * Reads once and returns the number of records; *offset moves behind the last
 * one.
 *
 * Where the isolation level has a snapshot per statement, each call takes a
 * new one, so that after a wait it sees what it has waited for.  *leaf is the
 * table that was read; it stays locked only if it had records.
 */
static int
poll_once(Oid topic, int64 *offset, int32 max, Sink *sink, Oid *leaf)
{
	Relation	rel = pt_open_partition(topic, sink->partition, AccessShareLock);
	bool		keeps = IsolationUsesXactSnapshot();
	Snapshot	snapshot = RegisterSnapshot(keeps ? GetActiveSnapshot() : GetLatestSnapshot());
	int			n;

	Assert(*offset >= 0 && max > 0);
	*leaf = RelationGetRelid(rel);
	n = pt_read_records(rel, snapshot, *offset, max, sink_poll_record, sink, offset);
	UnregisterSnapshot(snapshot);
	relation_close(rel, n > 0 ? NoLock : AccessShareLock);
	return n;
}

/*
 * poll(topic, partition, from_offset, max_records, timeout): reads from an
 * offset on, without a group.
 */
Datum
pt_poll_records(PG_FUNCTION_ARGS)
{
	PtTopic    *topic;
	int32		max;
	int64		offset;
	TimestampTz deadline;
	Oid			leaf;
	Sink		sink;

	pt_arg_required(fcinfo, 0, "topic");
	pt_arg_required(fcinfo, 1, "partition");
	pt_arg_required(fcinfo, 2, "from_offset");
	max = read_max_records(fcinfo, 3);
	deadline = pt_arg_deadline(fcinfo, 4);
	offset = Max(PG_GETARG_INT64(2), 0);

	topic = pt_func_topic(PG_GETARG_TOPIC(0));
	sink_begin(&sink, fcinfo, topic);
	sink.partition = PG_GETARG_INT32(1);

	for (;;)
	{
		uint64		changes = pt_topic_changes();

		/*
		 * a transaction that keeps its snapshot would wait for records that
		 * it can never see
		 */
		if (poll_once(topic->relid, &offset, max, &sink, &leaf) > 0 || IsolationUsesXactSnapshot() ||
			GetCurrentTimestamp() >= deadline)
			break;
		(void) pt_wait_for_logs(&leaf, &offset, 1, changes, deadline, NULL);
	}
	return (Datum) 0;
}
