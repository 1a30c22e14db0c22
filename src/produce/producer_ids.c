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

#include "commands/sequence.h"
#include "storage/lmgr.h"

#include "produce/produce.h"
#include "topic/topic.h"

/*
 * Producer ids come in blocks: each value of the sequence stands for so many.
 */
#define PRODUCER_ID_BLOCK	1000

/*
 * A fresh block of producer ids; returns the first of n, at most 1000.  Never
 * gives an id twice, also not after a crash if WAL is durable up to what is
 * inserted now before an id is used.  ERROR 55P03 if somebody has the sequence
 * locked: the caller serves others, who must not wait.
 */
int64
pt_producer_ids_allocate(int n)
{
	Oid			sequence = pt_extension_sequence("producer_ids");

	Assert(n > 0 && n <= PRODUCER_ID_BLOCK);
	if (!ConditionalLockRelationOid(sequence, RowExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on sequence \"%s\" of extension \"pgtopic\"", "producer_ids")));
	return nextval_internal(sequence, false) * PRODUCER_ID_BLOCK;
}
