/*-------------------------------------------------------------------------
 *
 * txn_log.h
 *	  __transaction_state, where what is known of transactional ids outlives a
 *	  crash.
 *
 * Siblings: txn_log.c; txns.c (the only user).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_TXN_LOG_H
#define KAFKA_TXN_LOG_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "txn/txn.h"

extern Oid	kafka_txn_leaf(PtString transactional_id, bool create);

/* How far the log has been read.  Zeros: not at all. */
typedef struct KafkaTxnLoad
{
	int32		partition;
	int64		offset;
} KafkaTxnLoad;

typedef enum KafkaTxnLoaded
{
	KAFKA_TXN_LOAD_MORE,		/* call it again */
	KAFKA_TXN_LOAD_LOCKED,		/* after a while: somebody has the table, or
								 * writes what comes next */
	KAFKA_TXN_LOAD_DONE
} KafkaTxnLoaded;

extern KafkaTxnLoaded kafka_txn_load(KafkaTxnLoad *load, TxnStates *states);

/* An order of the coordinator, from when it is given to when it has ended. */
typedef struct KafkaTxnOrder
{
	TxnOutKind	kind;
	uint64		order;
	PtString	transactional_id;
	/* STORE */
	Oid			leaf;
	PtString	key;
	PtString	value;
	TimestampTz give_up_at;
	/* how it has ended */
	bool		ended;
	TxnError	result;
	XLogRecPtr	lsn;
} KafkaTxnOrder;

extern bool kafka_txn_store(KafkaTxnOrder **orders, int n, XLogRecPtr *lsn);

#endif							/* KAFKA_TXN_LOG_H */
