/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  verify_topic() and verify_partition(): is a topic whole?  And
 *	  skip_damaged(), which gives up what is not.
 *
 * One row for each thing that is wrong.  The work is done in ../log/verify.c,
 * ../index/verify.c and ../log/lost.c.
 *
 * Siblings: info.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "func/func.h"
#include "funcapi.h"
#include "index/index.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_verify_topic);
PG_FUNCTION_INFO_V1(pt_verify_partition);
PG_FUNCTION_INFO_V1(pt_skip_damaged);

#define FINDING_COLUMNS	6

/* Where findings go. */
typedef struct Findings
{
	ReturnSetInfo *rsinfo;
	Datum		partition;		/* that is verified */
	MemoryContext mcxt;			/* of one row */
} Findings;

/*
 * ERROR unless the user may maintain the topic: as for VACUUM.
 */
static void
check_maintainer(const PtTopic *topic)
{
	Assert(OidIsValid(topic->relid));
	if (!pt_relation_may_maintain(topic->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, topic->name);
}

/*
 * A row: partition, damage, block, position, offset, message.
 */
static void
add_finding(void *arg, const PtFinding *finding)
{
	Findings   *findings = arg;
	MemoryContext old = MemoryContextSwitchTo(findings->mcxt);
	Datum		values[FINDING_COLUMNS];
	bool		nulls[FINDING_COLUMNS] = {false};

	Assert(finding->message != NULL);
	values[0] = findings->partition;
	values[1] = CStringGetTextDatum(pt_damage_name(finding->damage));
	values[2] = Int64GetDatum((int64) finding->block);
	nulls[2] = finding->block == InvalidBlockNumber;
	values[3] = Int64GetDatum((int64) finding->pos);
	nulls[3] = finding->pos == 0;
	values[4] = Int64GetDatum(finding->offset);
	nulls[4] = finding->offset < 0;
	values[5] = CStringGetTextDatum(finding->message);
	tuplestore_putvalues(findings->rsinfo->setResult, findings->rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(findings->mcxt);
}

/*
 * Verifies an open partition.
 */
static void
verify(FunctionCallInfo fcinfo, Relation rel, PtString topic, int32 number, bool deep)
{
	Findings	findings = {
		.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo,.partition = pt_partition_datum(topic, number),
		.mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic findings", ALLOCSET_DEFAULT_SIZES)
	};
	PtVerifySink sink = {.finding = add_finding,.arg = &findings};

	Assert(findings.rsinfo->setResult != NULL);
	pt_verify_log(rel, deep, &sink);
	if (deep)
		pt_index_verify(rel, &sink);
	MemoryContextDelete(findings.mcxt);
}

/*
 * verify_topic(topic, deep): all partitions, one after the other.
 */
Datum
pt_verify_topic(PG_FUNCTION_ARGS)
{
	const PtTopic *topic = pt_topic_copy(pt_arg_topic(fcinfo, 0));
	bool		deep = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);

	check_maintainer(topic);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < topic->npartitions; i++)
	{
		Relation	rel = OidIsValid(topic->leaves[i]) ? try_relation_open(topic->leaves[i], AccessShareLock) : NULL;

		CHECK_FOR_INTERRUPTS();
		if (rel == NULL)
			continue;			/* dropped meanwhile */
		verify(fcinfo, rel, pt_string_from_server(topic->name), i, deep);
		relation_close(rel, AccessShareLock);
	}
	return (Datum) 0;
}

/*
 * verify_partition(partition, deep)
 */
Datum
pt_verify_partition(PG_FUNCTION_ARGS)
{
	bool		deep = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	PtPartition p;
	const PtTopic *topic;
	Relation	rel;

	pt_arg_required(fcinfo, 0, "partition");
	p = PG_GETARG_PARTITION(0);
	topic = pt_topic_expect_name(p.topic);
	check_maintainer(topic);
	rel = pt_open_partition(topic->relid, p.number, AccessShareLock);
	InitMaterializedSRF(fcinfo, 0);
	verify(fcinfo, rel, p.topic, p.number, deep);
	relation_close(rel, AccessShareLock);
	return (Datum) 0;
}

/* The runs to be given up, and up to where. */
typedef struct Runs
{
	List	   *runs;			/* of PtDamagedRun * */
	int64		to_offset;
	MemoryContext mcxt;
} Runs;

/*
 * Notes a run that begins before the offset.
 */
static void
add_run(void *arg, const PtDamagedRun *run)
{
	Runs	   *runs = arg;
	MemoryContext old;
	PtDamagedRun *copy;

	if (run->first_offset >= runs->to_offset)
		return;
	old = MemoryContextSwitchTo(runs->mcxt);
	copy = palloc(sizeof(PtDamagedRun));
	*copy = *run;
	runs->runs = lappend(runs->runs, copy);
	MemoryContextSwitchTo(old);
}

/*
 * Gives a run up, says so in the server's log, and adds a row: first_offset,
 * next_offset.
 */
static void
give_up(FunctionCallInfo fcinfo, Relation rel, const PtDamagedRun *run)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[2] = {Int64GetDatum(run->first_offset), Int64GetDatum(run->next_offset)};
	bool		nulls[2] = {false};

	Assert(run->next_offset >= run->first_offset);
	pt_log_give_up(rel, run);
	ereport(LOG,
			(errmsg("damaged part of \"%s\" was given up: offsets %lld to %lld are lost", RelationGetRelationName(rel),
					(long long) run->first_offset, (long long) run->next_offset),
			 errdetail("It was at positions %llu to %llu of the log, and user \"%s\" asked for it.",
					   (unsigned long long) run->from, (unsigned long long) run->to,
					   GetUserNameFromId(GetUserId(), false))));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * skip_damaged(partition, to_offset): what is damaged and begins before the
 * offset is given up, so that readers go on behind it.  At once, and for good.
 */
Datum
pt_skip_damaged(PG_FUNCTION_ARGS)
{
	Runs		runs = {.mcxt = CurrentMemoryContext};
	PtVerifySink sink = {.run = add_run,.arg = &runs};
	PtPartition p;
	Relation	rel;
	ListCell   *lc;

	PreventCommandIfReadOnly("skip_damaged()");
	PreventCommandDuringRecovery("skip_damaged()");
	pt_arg_required(fcinfo, 0, "partition");
	pt_arg_required(fcinfo, 1, "to_offset");
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to skip what is damaged")));
	p = PG_GETARG_PARTITION(0);
	runs.to_offset = PG_GETARG_INT64(1);
	rel = pt_open_partition(pt_topic_expect_name(p.topic)->relid, p.number, ShareUpdateExclusiveLock);
	(void) pt_append_lock(RelationGetRelid(rel), PT_LOCK_WAIT);
	InitMaterializedSRF(fcinfo, 0);
	pt_verify_log(rel, true, &sink);
	foreach(lc, runs.runs)
		give_up(fcinfo, rel, lfirst(lc));
	relation_close(rel, NoLock);
	return (Datum) 0;
}
