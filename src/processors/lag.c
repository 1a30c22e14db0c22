/*-------------------------------------------------------------------------
 *
 * lag.c
 *	  How far a processor is behind: for the view tasks_status.
 *
 * Unlike the view group_lag it counts partitions of which nothing has been
 * processed yet, too.
 *
 * Sibling: definition.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "processors/internal.h"
#include "topic/timestamp.h"

PG_FUNCTION_INFO_V1(pt_topics_lag);

/* Over all partitions. */
typedef struct Lag
{
	int64		records;
	int64		oldest_ms;		/* of what is unread; PT_NO_TIMESTAMP: none */
} Lag;

static void note_timestamp(void *arg, const PtRecord *record);
static void add_partition(Lag *lag, PtString group, const PtTopic *topic, int32 partition);
static bool may_see(const PtTopic *topic);

/* Callback of pt_read_records() for one record. */
static void
note_timestamp(void *arg, const PtRecord *record)
{
	*(int64 *) arg = record->timestamp;
}

static void
add_partition(Lag *lag, PtString group, const PtTopic *topic, int32 partition)
{
	Relation	rel = try_relation_open(topic->leaves[partition], AccessShareLock);
	PtCommittedOffset committed;
	int64		oldest_ms = PT_NO_TIMESTAMP;
	int64		start;
	int64		end;
	int64		next;

	if (rel == NULL)
		return;
	pt_partition_bounds(rel, &start, &end);
	next = start;
	if (pt_offset_fetch(group, pt_string_of(topic->name), &topic->id, partition, false, &committed) &&
		committed.offset > start && committed.offset <= end)
		next = committed.offset;
	lag->records += end - next;
	if (next < end)
		(void) pt_read_records(rel, GetActiveSnapshot(), next, 1, note_timestamp, &oldest_ms, &next);
	if (oldest_ms != PT_NO_TIMESTAMP && (lag->oldest_ms == PT_NO_TIMESTAMP || oldest_ms < lag->oldest_ms))
		lag->oldest_ms = oldest_ms;
	relation_close(rel, AccessShareLock);
}

static bool
may_see(const PtTopic *topic)
{
	return pg_class_aclcheck(topic->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/*
 * list_topics_lag(topics, group_id): how many records of these topics the
 * group has not read, and when the oldest of them was produced.  Topics that
 * are not there, or that the user may not read, do not count.
 */
Datum
pt_topics_lag(PG_FUNCTION_ARGS)
{
	PtString	group = pt_string_from_server(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	Lag			lag = {.oldest_ms = PT_NO_TIMESTAMP};
	TupleDesc	desc;
	Datum	   *names;
	bool	   *null_names;
	int			n;
	Datum		values[2];
	bool		nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &names, &null_names, &n);
	for (int i = 0; i < n; i++)
	{
		const PtTopic *topic = null_names[i] ? NULL :
			pt_topic_by_string(pt_string_from_server(TextDatumGetCString(names[i])));

		if (topic == NULL || !may_see(topic))
			continue;
		topic = pt_topic_copy(topic);
		for (int32 partition = 0; partition < topic->npartitions; partition++)
		{
			if (OidIsValid(topic->leaves[partition]))
				add_partition(&lag, group, topic, partition);
		}
	}
	values[0] = Int64GetDatum(lag.records);
	values[1] = pt_timestamp_datum(lag.oldest_ms, &nulls[1]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
