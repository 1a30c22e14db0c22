/*-------------------------------------------------------------------------
 *
 * types.h
 *	  The types that events, records and views of transactions share.
 *
 * Siblings: txn.h (the door).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TXN_TYPES_H
#define TXN_TYPES_H

#include "counted.h"

#define TXN_NO_PRODUCER_ID		(-1)
#define TXN_NO_EPOCH			(-1)
#define TXN_LAST_EPOCH			(PG_INT16_MAX - 1)	/* that a client gets */
#define TXN_TIMESTAMP_NONE		(-1)

/* Error codes of the Kafka protocol, with Kafka's numbers. */
typedef enum TxnError
{
	TXN_NONE = 0,
	TXN_COORDINATOR_LOAD_IN_PROGRESS = 14,
	TXN_COORDINATOR_NOT_AVAILABLE = 15,
	TXN_NOT_ENOUGH_REPLICAS = 19,
	TXN_ILLEGAL_GENERATION = 22,
	TXN_UNSUPPORTED_VERSION = 35,
	TXN_INVALID_REQUEST = 42,
	TXN_INVALID_PRODUCER_EPOCH = 47,
	TXN_INVALID_TXN_STATE = 48,
	TXN_INVALID_PRODUCER_ID_MAPPING = 49,
	TXN_INVALID_TRANSACTION_TIMEOUT = 50,
	TXN_CONCURRENT_TRANSACTIONS = 51,
	TXN_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
	TXN_UNKNOWN_PRODUCER_ID = 59,
	TXN_PRODUCER_FENCED = 90,
	TXN_TRANSACTIONAL_ID_NOT_FOUND = 105,
	TXN_TRANSACTION_ABORTABLE = 120
} TxnError;

/* Kafka's states, with the numbers of its records. */
typedef enum TxnState
{
	TXN_EMPTY,
	TXN_ONGOING,
	TXN_PREPARE_COMMIT,			/* never stored by us */
	TXN_PREPARE_ABORT,			/* the same */
	TXN_COMPLETE_COMMIT,
	TXN_COMPLETE_ABORT,
	TXN_DEAD,					/* never stored */
	TXN_PREPARE_EPOCH_FENCE		/* the same */
} TxnState;

#define TXN_NSTATES		(TXN_PREPARE_EPOCH_FENCE + 1)

/* Partitions of one topic. */
typedef struct TxnTopic
{
	PtString	name;
	int32		n;
	const int32 *partitions;
} TxnTopic;

/* What is known of a transactional id, as in its record. */
typedef struct TxnImage
{
	int64		producer_id;
	int64		previous_producer_id;	/* before a new id; or none */
	int16		epoch;
	int16		last_epoch;		/* the one that the producer had before this
								 * one; not in the record */
	int16		client_version; /* 2: the last end gave the next epoch */
	int32		timeout_ms;
	TxnState	state;
	int64		started_at;		/* ms */
	int64		updated_at;		/* ms */
} TxnImage;

#endif							/* TXN_TYPES_H */
