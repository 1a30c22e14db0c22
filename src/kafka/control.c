/*-------------------------------------------------------------------------
 *
 * control.c
 *	  What the control worker does of its own, beside requests.
 *
 * Siblings: groups.c, txns.c (the coordinators); ../server/turn.c (calls it).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "kafka/groups.h"
#include "kafka/txns.h"

/*
 * See kafka.h.
 */
XLogRecPtr
kafka_control_append(void)
{
	Assert(!IsTransactionState());
	return kafka_txns_append();
}

/*
 * See kafka.h.
 */
int64
kafka_control_wait(void)
{
	int64		groups_ms = kafka_groups_wait();
	int64		txns_ms = kafka_txns_wait();

	if (groups_ms < 0 || txns_ms < 0)
		return Max(groups_ms, txns_ms);
	return Min(groups_ms, txns_ms);
}

/*
 * See kafka.h.
 */
void
kafka_control_turn(void)
{
	Assert(IsTransactionState());
	kafka_groups_turn();
	kafka_txns_turn();
}
