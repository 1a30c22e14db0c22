/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  The code for a client that does not know the right one yet.
 *
 * Sibling: txn.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

#define PRODUCE				0
#define TXN_OFFSET_COMMIT	28
#define NEVER				PG_INT16_MAX

/* From which version on the clients of an API know a code. */
typedef struct Knows
{
	int16		api_key;
	int16		fenced;
	int16		abortable;
	int16		concurrent;
} Knows;

static const Knows knows[] = {
	{PRODUCE, NEVER, 11, 12},
	{22, 4, 5, 0},				/* InitProducerId */
	{24, 2, 5, 0},				/* AddPartitionsToTxn */
	{25, 2, 4, 0},				/* AddOffsetsToTxn */
	{26, 2, 4, 0},				/* EndTxn */
	{TXN_OFFSET_COMMIT, NEVER, NEVER, 0},
};

/*
 * The code that stands for error in an answer of this API and version.  The
 * older ones make clients do the same: INVALID_PRODUCER_EPOCH where they do
 * not know PRODUCER_FENCED, NOT_ENOUGH_REPLICAS for what a producer is to send
 * again, and where they must abort UNKNOWN_PRODUCER_ID, which Java and
 * librdkafka abort after, and ask for the next epoch.  In an answer to
 * TxnOffsetCommit that would be the end for them; there ILLEGAL_GENERATION
 * makes them abort.  New ones get it, too: Kafka Streams ends of a
 * TRANSACTION_ABORTABLE, but takes its tasks up anew after this.
 */
TxnError
txn_error_for(TxnError error, int16 api_key, int16 api_version)
{
	const Knows *api = NULL;

	for (int i = 0; i < lengthof(knows); i++)
		if (knows[i].api_key == api_key)
			api = &knows[i];
	if (api == NULL)
		return error;
	if (error == TXN_PRODUCER_FENCED && api_version < api->fenced)
		return TXN_INVALID_PRODUCER_EPOCH;
	if (error == TXN_TRANSACTION_ABORTABLE && api_version < api->abortable)
		return api_key == TXN_OFFSET_COMMIT ? TXN_ILLEGAL_GENERATION : TXN_UNKNOWN_PRODUCER_ID;
	if (error == TXN_CONCURRENT_TRANSACTIONS && api_version < api->concurrent)
		return TXN_NOT_ENOUGH_REPLICAS;
	if (api_key == PRODUCE && (error == TXN_COORDINATOR_LOAD_IN_PROGRESS || error == TXN_COORDINATOR_NOT_AVAILABLE))
		return TXN_NOT_ENOUGH_REPLICAS;
	if (api_key == TXN_OFFSET_COMMIT && error == TXN_COORDINATOR_LOAD_IN_PROGRESS && api_version < 2)
		return TXN_COORDINATOR_NOT_AVAILABLE;	/* old ones crash of it */
	return error;
}
