/*-------------------------------------------------------------------------
 *
 * compact.c
 *	  compact_topic() and compact_partition(): compaction now, whatever the
 *	  configs say of when.
 *
 * One row for each partition says what was done.
 *
 * Siblings: verify.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "func/func.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/tuplestore.h"

#include "produce/produce.h"
#include "topic/timestamp.h"
#include "xact/compact.h"

PG_FUNCTION_INFO_V1(pt_compact_topic);
PG_FUNCTION_INFO_V1(pt_compact_partition);

#define COMPACT_COLUMNS	9

/*
 * ERROR unless the user may maintain the topic, as for VACUUM, and its records
 * have keys.
 */
static void
check_compactable(const PtTopic *topic)
{
	Assert(OidIsValid(topic->relid));
	if (!pt_relation_may_maintain(topic->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, topic->name);
	if (!(topic->config.cleanup_policy & PT_CLEANUP_COMPACT))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" is not compacted", topic->name),
				 errhint("Add \"compact\" to the topic's config \"cleanup.policy\".")));
}

/*
 * Brings as much of an open partition as can be into reach of a compaction:
 * all that is committed and everybody can see, if nobody is appending for
 * long.
 */
static void
prepare(Relation rel, const PtTopicConfig *config)
{
	PtCompactState state;

	pt_producers_reveal(rel);
	pt_compaction_prepare(rel);
	pt_log_compact_state(rel, pt_now_ms(), config->min_compaction_lag_ms, &state);
	if (!state.open || !pt_compaction_close(rel, true))
		return;
	pt_producers_reveal(rel);
	pt_compaction_prepare(rel);
}

/*
 * Compacts an open partition, and adds its row.
 */
static void
compact(FunctionCallInfo fcinfo, Relation rel, const PtTopicConfig *config, PtString topic, int32 number)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PtCompaction job = {.progress = NULL};
	Datum		values[COMPACT_COLUMNS];
	bool		nulls[COMPACT_COLUMNS] = {false};

	prepare(rel, config);
	(void) pt_compaction_run(rel, config, &job);
	Assert(job.counts.records_kept <= job.counts.records);
	values[0] = pt_partition_datum(topic, number);
	values[1] = Int32GetDatum(job.passes);
	values[2] = Int64GetDatum(job.counts.records - job.counts.records_kept);
	values[3] = Int64GetDatum(job.counts.tombstones);
	values[4] = Int64GetDatum(job.counts.keyless);
	values[5] = Int64GetDatum((int64) job.extents_freed * PT_EXTENT_BLOCKS * BLCKSZ);
	values[6] = Int64GetDatum((int64) job.extents_written * PT_EXTENT_BLOCKS * BLCKSZ);
	values[7] = Int64GetDatum(job.clean_offset);
	values[8] = BoolGetDatum(job.complete);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * compact_topic(topic): all partitions, one after the other.
 */
Datum
pt_compact_topic(PG_FUNCTION_ARGS)
{
	const PtTopic *topic;

	PreventCommandIfReadOnly("compact_topic()");
	topic = pt_topic_copy(pt_arg_topic(fcinfo, 0));
	check_compactable(topic);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < topic->npartitions; i++)
	{
		Relation	rel = OidIsValid(topic->leaves[i]) ?
			try_relation_open(topic->leaves[i], ShareUpdateExclusiveLock) : NULL;

		CHECK_FOR_INTERRUPTS();
		if (rel == NULL)
			continue;			/* dropped meanwhile */
		compact(fcinfo, rel, &topic->config, pt_string_from_server(topic->name), i);
		relation_close(rel, ShareUpdateExclusiveLock);
	}
	return (Datum) 0;
}

/*
 * compact_partition(partition)
 */
Datum
pt_compact_partition(PG_FUNCTION_ARGS)
{
	PtPartition p;
	const PtTopic *topic;
	Relation	rel;

	PreventCommandIfReadOnly("compact_partition()");
	pt_arg_required(fcinfo, 0, "partition");
	p = PG_GETARG_PARTITION(0);
	topic = pt_topic_copy(pt_topic_expect_name(p.topic));
	check_compactable(topic);
	InitMaterializedSRF(fcinfo, 0);
	rel = pt_open_partition(topic->relid, p.number, ShareUpdateExclusiveLock);
	compact(fcinfo, rel, &topic->config, p.topic, p.number);
	relation_close(rel, ShareUpdateExclusiveLock);
	return (Datum) 0;
}
