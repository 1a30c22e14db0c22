/*-------------------------------------------------------------------------
 *
 * test_frame.c
 *	  For tests: appends frames that other code does not write, or not now.
 *
 * These are bytes that claim to be a snapshot of producers, compacted batches,
 * which have fewer records than offsets, and a real snapshot before it is due.
 * The extension's script does not declare the functions; the tests do.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "produce/produce.h"
#include "xact/xact.h"

PG_FUNCTION_INFO_V1(pt_test_append_producers);
PG_FUNCTION_INFO_V1(pt_test_append_batch);
PG_FUNCTION_INFO_V1(pt_test_snapshot_producers);
PG_FUNCTION_INFO_V1(pt_test_producers_extent);

/*
 * Appends the data as a frame of this kind.  Superusers only.  As append()
 * does, it holds the append lock to the end of the transaction.
 */
static void
append_frame(Oid relid, const bytea *data, uint32 kind)
{
	uint32		length = VARSIZE(data) - VARHDRSZ;
	PtAppendBatch frame = {
		.data = memcpy(palloc(length + 1), VARDATA(data), length),.length = length,.base_offset = -1,.kind = kind
	};
	Relation	rel;
	PtLogState *log;

	if (!superuser() || frame.length < PT_BATCH_HEADER_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only superusers may append a frame, of at least %d bytes", PT_BATCH_HEADER_SIZE)));
	if (kind == PT_FRAME_KIND_BATCH && pt_batch_header_read(frame.data, length, &frame.header) != PT_BATCH_OK)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("this is no record batch")));
	rel = table_open(relid, RowExclusiveLock);
	(void) pt_append_lock(relid, false);
	log = pt_state_get(rel);
	pt_tails_before_append(log, relid);
	pt_append(rel, log, &frame, 1, PT_KEEP_EPOCH);
	pt_tails_after_append();
	table_close(rel, NoLock);
}

/*
 * pt_test_append_producers(leaf regclass, data bytea): a snapshot of
 * producers
 */
Datum
pt_test_append_producers(PG_FUNCTION_ARGS)
{
	append_frame(PG_GETARG_OID(0), PG_GETARG_BYTEA_P(1), PT_FRAME_KIND_PRODUCERS);
	PG_RETURN_VOID();
}

/*
 * pt_test_append_batch(leaf regclass, data bytea): a record batch, not
 * verified
 */
Datum
pt_test_append_batch(PG_FUNCTION_ARGS)
{
	append_frame(PG_GETARG_OID(0), PG_GETARG_BYTEA_P(1), PT_FRAME_KIND_BATCH);
	PG_RETURN_VOID();
}

/* ERROR unless the user may do that to a log. */
static void
check_superuser(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only superusers may do this")));
}

/*
 * pt_test_snapshot_producers(leaf regclass): a snapshot of the log's
 * producers, in this transaction
 */
Datum
pt_test_snapshot_producers(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;

	check_superuser();
	rel = table_open(relid, RowExclusiveLock);
	(void) pt_append_lock(relid, PT_LOCK_WAIT);
	pt_producers_snapshot(rel, pt_state_get(rel));
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * pt_test_producers_extent(leaf regclass) returns bigint[]: the oldest extent
 * that is kept, the one from which on producers are read (-1: none), and the
 * next one
 */
Datum
pt_test_producers_extent(PG_FUNCTION_ARGS)
{
	Relation	rel;
	PtLogInfo	info;
	Datum		values[3];

	check_superuser();
	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	pt_log_info(rel, &info);
	table_close(rel, AccessShareLock);
	values[0] = Int64GetDatum((int64) info.first_extent);
	values[1] = Int64GetDatum(info.producers_pos == 0 ? -1 : (int64) pt_pos_extent(info.producers_pos));
	values[2] = Int64GetDatum((int64) info.next_extent);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 3, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
