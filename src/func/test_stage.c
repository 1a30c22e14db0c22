/*-------------------------------------------------------------------------
 *
 * test_stage.c
 *	  For tests: stages and commits as a listener and the coordinator of
 *	  transactions do, without them.
 *
 * The extension's script does not declare the functions; the tests do.  They
 * must use producer ids that the coordinator does not know.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "produce/produce.h"
#include "stage/stage.h"
#include "stage/txn_jobs.h"

PG_FUNCTION_INFO_V1(pt_test_stage_publish);
PG_FUNCTION_INFO_V1(pt_test_stage_add);
PG_FUNCTION_INFO_V1(pt_test_stage_drop);
PG_FUNCTION_INFO_V1(pt_test_stage_news);
PG_FUNCTION_INFO_V1(pt_test_stage_stats);
PG_FUNCTION_INFO_V1(pt_test_stage_batch);
PG_FUNCTION_INFO_V1(pt_test_stage_offset);
PG_FUNCTION_INFO_V1(pt_test_stage_commit);

static PtString
string_arg(FunctionCallInfo fcinfo, int n)
{
	text	   *value = PG_GETARG_TEXT_PP(n);
	PtString	string = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

	return string;
}

static void
check_superuser(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only superusers may do this")));
}

/*
 * pt_test_stage_publish(producer_id bigint, epoch int, serial bigint, phase
 * int, transactional_id text)
 */
Datum
pt_test_stage_publish(PG_FUNCTION_ARGS)
{
	TxnOut		out = {
		.kind = TXN_PUBLISH,
		.producer_id = PG_GETARG_INT64(0),
		.producer_epoch = (int16) PG_GETARG_INT32(1),
		.serial = (uint64) PG_GETARG_INT64(2),
		.phase = (TxnPhase) PG_GETARG_INT32(3),
		.transactional_id = string_arg(fcinfo, 4)
	};

	check_superuser();
	pt_stage_publish(&out);
	PG_RETURN_VOID();
}

/* pt_test_stage_add(producer_id bigint, serial bigint, leaf regclass) */
Datum
pt_test_stage_add(PG_FUNCTION_ARGS)
{
	Oid			leaf = PG_GETARG_OID(2);

	check_superuser();
	pt_stage_add(PG_GETARG_INT64(0), (uint64) PG_GETARG_INT64(1), &leaf, 1);
	PG_RETURN_VOID();
}

/* pt_test_stage_drop(producer_id bigint, serial bigint) */
Datum
pt_test_stage_drop(PG_FUNCTION_ARGS)
{
	check_superuser();
	pt_stage_drop(PG_GETARG_INT64(0), (uint64) PG_GETARG_INT64(1));
	PG_RETURN_VOID();
}

/*
 * pt_test_stage_news(producer_id bigint) returns text: "serial partitions", "
 * doomed" behind that
 */
Datum
pt_test_stage_news(PG_FUNCTION_ARGS)
{
	PtStageNews news;

	check_superuser();
	if (!pt_stage_news(PG_GETARG_INT64(0), &news))
		PG_RETURN_NULL();
	Assert(news.opened == (news.nleaves > 0));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT " %d%s", news.serial, news.nleaves,
											  news.doomed ? " doomed" : "")));
}

/*
 * pt_test_stage_stats(producer_id bigint) returns bigint[]: batches, bytes in
 * memory and on disk, partitions
 */
Datum
pt_test_stage_stats(PG_FUNCTION_ARGS)
{
	PtStageStats stats;
	Datum		values[4];

	check_superuser();
	if (!pt_stage_stats(PG_GETARG_INT64(0), &stats))
		PG_RETURN_NULL();
	Assert((stats.started_at != 0) == (stats.batches > 0 || stats.memory_bytes > 0));
	values[0] = Int64GetDatum(stats.batches);
	values[1] = Int64GetDatum(stats.memory_bytes);
	values[2] = Int64GetDatum(stats.disk_bytes);
	values[3] = Int64GetDatum(stats.partitions);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 4, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * pt_test_stage_batch(leaf regclass, role regrole, transactional_id text, v2
 * boolean, batch bytea) returns bigint[]: status, error of the transaction,
 * base offset
 */
Datum
pt_test_stage_batch(PG_FUNCTION_ARGS)
{
	bytea	   *batch = PG_GETARG_BYTEA_P_COPY(4);
	PtProduce	item = {
		.relid = PG_GETARG_OID(0),
		.role = PG_GETARG_OID(1),
		.data = VARDATA(batch),
		.length = VARSIZE(batch) - VARHDRSZ
	};
	Datum		values[3];

	check_superuser();
	pt_produce_stage(&item, 1, string_arg(fcinfo, 2), PG_GETARG_BOOL(3));
	values[0] = Int64GetDatum((int64) item.status);
	values[1] = Int64GetDatum((int64) item.txn_error);
	values[2] = Int64GetDatum(item.base_offset);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 3, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * pt_test_stage_offset(producer_id bigint, epoch int, group text, topic text,
 * partition int, offset bigint) returns int: the error
 */
Datum
pt_test_stage_offset(PG_FUNCTION_ARGS)
{
	PtStagedOffset offset = {
		.topic = string_arg(fcinfo, 3),
		.partition = PG_GETARG_INT32(4),
		.leader_epoch = -1,
		.offset = PG_GETARG_INT64(5),
		.metadata = PT_STRING_NULL
	};

	check_superuser();
	PG_RETURN_INT32((int32) pt_stage_offsets(PG_GETARG_INT64(0), (int16) PG_GETARG_INT32(1),
											 string_arg(fcinfo, 2), &offset, 1));
}

/*
 * pt_test_stage_commit(producer_id bigint, serial bigint, transactional_id
 * text, leaf regclass, key text, value text) returns boolean: posts the commit
 * with this record; what becomes of it nobody is told
 */
Datum
pt_test_stage_commit(PG_FUNCTION_ARGS)
{
	PtTxnCommit commit = {
		.order = PG_UINT64_MAX,
		.producer_id = PG_GETARG_INT64(0),
		.serial = (uint64) PG_GETARG_INT64(1),
		.transactional_id = string_arg(fcinfo, 2),
		.leaf = PG_GETARG_OID(3),
		.key = string_arg(fcinfo, 4),
		.value = string_arg(fcinfo, 5)
	};

	check_superuser();
	PG_RETURN_BOOL(pt_txn_job_post(&commit));
}
