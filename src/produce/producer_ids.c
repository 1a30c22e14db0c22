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

#include "access/xlog.h"
#include "commands/sequence.h"

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
	int64		block;

	Assert(n > 0 && n <= PRODUCER_ID_BLOCK);
	block = nextval_internal(pt_extension_sequence("producer_ids"), false);
	XLogFlush(pt_wal_insert_end());
	return block * PRODUCER_ID_BLOCK;
}
