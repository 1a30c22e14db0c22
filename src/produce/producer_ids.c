/*-------------------------------------------------------------------------
 *
 * producer_ids.c
 *	  Ids of idempotent producers, from a sequence of the extension.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "guc.h"
#include "produce/produce.h"
#include "topic/topic.h"

/*
 * Producer ids come in blocks: each value of the sequence stands for so many.
 */
#define PRODUCER_ID_BLOCK	1000

/*
 * A fresh block of producer ids; returns the first of n.
 * n is at most 1000.  Never gives an id twice, also not after a crash.
 */
int64
pt_producer_ids_allocate(int n)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(pt_type_headers()));
	Oid			sequence;
	int64		block;

	Assert(n > 0 && n <= PRODUCER_ID_BLOCK);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pgtopic\" is not installed in database \"%s\"", pt_database),
				 errhint("Run CREATE EXTENSION pgtopic in that database.")));
	sequence = get_relname_relid("producer_ids", ((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
	ReleaseSysCache(tuple);
	if (!OidIsValid(sequence))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("sequence \"producer_ids\" of extension \"pgtopic\" does not exist"),
				 errhint("Run ALTER EXTENSION pgtopic UPDATE.")));
	block = nextval_internal(sequence, false);
	XLogFlush(pt_wal_insert_end());
	return block * PRODUCER_ID_BLOCK;
}
