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

#include "produce/produce.h"
#include "topic/topic.h"

/*
 * Producer ids come in blocks: each value of the sequence stands for so many.
 */
#define PRODUCER_ID_BLOCK	1000

/*
 * A fresh block of producer ids; returns the first of n, at most 1000.  Never
 * gives an id twice, also not after a crash if WAL is durable up to what is
 * inserted now before an id is used.
 */
int64
pt_producer_ids_allocate(int n)
{
	Assert(n > 0 && n <= PRODUCER_ID_BLOCK);
	return nextval_internal(pt_extension_sequence("producer_ids"), false) * PRODUCER_ID_BLOCK;
}
