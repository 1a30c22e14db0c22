/*-------------------------------------------------------------------------
 *
 * producer_ids.c
 *	  Producer ids that nobody has had.
 *
 * They are allocated in blocks, so that most requests do not touch shared
 * state.
 *
 * Siblings: txns.c, api/22_init_producer_id.c; ../produce/producer_ids.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/txns.h"
#include "xact/xact.h"

#define PRODUCER_ID_BLOCK	100

/* As many as one step of the coordinator can need at the least. */
#define PRODUCER_ID_RESERVE	10

static int64 next;
static int	left;
static XLogRecPtr allocated_lsn;

static void
allocate(void)
{
	next = pt_producer_ids_allocate(PRODUCER_ID_BLOCK);
	left = PRODUCER_ID_BLOCK;
	allocated_lsn = pt_wal_insert_end();
	pt_commit_request(allocated_lsn);
}

/*
 * Returns an unused id.  It may be told to a client when WAL is durable up to
 * *lsn; otherwise a crash could give it to another producer.
 */
int64
kafka_producer_id_next(XLogRecPtr *lsn)
{
	if (left == 0)
		allocate();
	left--;
	*lsn = allocated_lsn;
	return next++;
}

/*
 * Sees to it that kafka_producer_id_reserved() has some.
 */
void
kafka_producer_ids_reserve(void)
{
	if (left < PRODUCER_ID_RESERVE)
		allocate();
}

/*
 * The same, but never throws: -1 where there is none.  What stores it is
 * behind its allocation in WAL.
 */
int64
kafka_producer_id_reserved(void)
{
	if (left == 0)
		return TXN_NO_PRODUCER_ID;
	left--;
	return next++;
}
