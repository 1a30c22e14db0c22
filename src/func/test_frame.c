/*-------------------------------------------------------------------------
 *
 * test_frame.c
 *	  For tests: a frame of another kind than a batch at the end of a log.
 *
 * Nothing writes snapshots of producers yet, but readers must pass over them.
 * The extension's script does not declare the function; sql/engine_frames.sql
 * does.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "xact/xact.h"

PG_FUNCTION_INFO_V1(pt_test_append_producers);

/*
 * (leaf regclass, data bytea) returns void: appends the data as a frame of
 * kind PRODUCERS.  Like append() it holds the partition to the end of the
 * transaction.
 */
Datum
pt_test_append_producers(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	bytea	   *data = PG_GETARG_BYTEA_P(1);
	PtAppendBatch frame = {
		.data = VARDATA(data),.length = VARSIZE(data) - VARHDRSZ,.kind = PT_FRAME_KIND_PRODUCERS
	};
	Relation	rel;
	PtLogState *log;

	if (!superuser() || frame.length < PT_BATCH_HEADER_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only superusers may append a frame, of at least %d bytes", PT_BATCH_HEADER_SIZE)));
	rel = table_open(relid, RowExclusiveLock);
	(void) pt_append_lock(relid, false);
	log = pt_state_get(rel);
	pt_tails_before_append(log, relid);
	pt_append(rel, log, &frame, 1, PT_KEEP_EPOCH);
	pt_tails_after_append();
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}
