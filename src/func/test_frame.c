/*-------------------------------------------------------------------------
 *
 * test_frame.c
 *	  For tests: appends frames that no other code writes yet.
 *
 * These are snapshots of producers, which readers must skip, and compacted
 * batches, which have fewer records than offsets.  The extension's script does
 * not declare the functions; the tests do.
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
PG_FUNCTION_INFO_V1(pt_test_append_batch);

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
