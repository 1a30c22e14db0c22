/*-------------------------------------------------------------------------
 *
 * begin.c
 *	  InitProducerId, and what comes to a transaction: partitions, groups.
 *
 * Siblings: step.c, end.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

/* What a producer that asks for the next epoch says that it is. */
typedef enum Claim
{
	CLAIM_NONE,					/* nothing: it has just started */
	CLAIM_PRESENT,
	CLAIM_PREVIOUS,				/* what gave the present epoch was its own
								 * request, whose answer was lost */
	CLAIM_WRONG
} Claim;

/*
 * The rules of a request, whatever is known of the id.
 */
static TxnError
check_init(const TxnStates *states, const TxnEvent *event)
{
	if (event->transactional_id.len <= 0 || event->transactional_id.len > PG_INT16_MAX)
		return TXN_INVALID_REQUEST;
	if ((event->producer_id == TXN_NO_PRODUCER_ID) != (event->producer_epoch == TXN_NO_EPOCH))
		return TXN_INVALID_REQUEST;
	if (event->enable_2pc)
		return TXN_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	if (event->keep_prepared)
		return TXN_UNSUPPORTED_VERSION;
	if (event->timeout_ms <= 0 || event->timeout_ms > states->config.timeout_ms_max)
		return TXN_INVALID_TRANSACTION_TIMEOUT;
	return TXN_NONE;
}

static Claim
claim_of(const TxnImage *image, const TxnEvent *event)
{
	/* epoch 0 came after another one only with a new producer id */
	int64		previous_id = image->epoch == 0 ? image->previous_producer_id : image->producer_id;

	if (event->producer_id == TXN_NO_PRODUCER_ID)
		return CLAIM_NONE;
	if (event->producer_id == image->producer_id && event->producer_epoch == image->epoch)
		return CLAIM_PRESENT;
	if (image->last_epoch != TXN_NO_EPOCH && event->producer_id == previous_id &&
		event->producer_epoch == image->last_epoch)
		return CLAIM_PREVIOUS;
	return CLAIM_WRONG;
}

/*
 * Makes next what the id is with its next epoch, which is epoch 0 of a new
 * producer id where there is no more.  Returns false if none is to be had.
 */
static bool
next_epoch(TxnStates *states, const TxnImage *image, TxnImage *next)
{
	*next = *image;
	next->last_epoch = image->epoch;
	if (image->epoch != TXN_NO_EPOCH && image->epoch < TXN_LAST_EPOCH)
	{
		next->epoch = image->epoch + 1;
		return true;
	}
	next->producer_id = states->config.new_producer_id(states->config.arg);
	next->previous_producer_id = image->producer_id;
	next->epoch = 0;
	return next->producer_id >= 0;
}

/*
 * InitProducerId.  A transaction that is open is aborted by the same record
 * that gives the next epoch.
 */
void
txn_init(TxnStates *states, const TxnEvent *event)
{
	TxnError	error = check_init(states, event);
	TxnEntry   *entry = NULL;
	const TxnImage fresh = {TXN_NO_PRODUCER_ID, TXN_NO_PRODUCER_ID, TXN_NO_EPOCH, TXN_NO_EPOCH, 0};
	Claim		claim = CLAIM_NONE;
	TxnImage	next;

	if (error == TXN_NONE)
		entry = txn_entry_find(states, event->transactional_id);
	if (error == TXN_NONE && entry && txn_pending(entry))
		error = TXN_CONCURRENT_TRANSACTIONS;
	if (error == TXN_NONE && entry)
		claim = claim_of(&entry->image, event);
	if (error == TXN_NONE && claim == CLAIM_WRONG)
		error = TXN_PRODUCER_FENCED;
	if (error == TXN_NONE && claim == CLAIM_PREVIOUS)
	{
		/* the answer may have been that there was no memory to stage */
		txn_publish(states, entry);
		txn_reply_epoch(states, event, &entry->image);
		return;
	}
	if (error == TXN_NONE && ((entry == NULL && !txn_entry_room(states, event)) ||
							  !next_epoch(states, entry ? &entry->image : &fresh, &next)))
		error = TXN_COORDINATOR_NOT_AVAILABLE;
	if (error != TXN_NONE)
	{
		txn_reply(states, event, error);
		return;
	}
	if (entry == NULL)
		entry = txn_entry_add(states, event->transactional_id);
	if (claim == CLAIM_NONE)
		next.last_epoch = TXN_NO_EPOCH;
	next.client_version = 0;
	next.timeout_ms = event->timeout_ms;
	next.state = TXN_EMPTY;
	next.started_at = TXN_TIMESTAMP_NONE;
	txn_order(states, entry, TXN_STORE, &next, event);
}

static void
put_all(TxnStates *states, TxnEntry *entry, const TxnEvent *event)
{
	for (int i = 0; i < event->ntopics; i++)
		for (int j = 0; j < event->topics[i].n; j++)
			txn_entry_put(states, entry, event->topics[i].name, event->topics[i].partitions[j]);
}

/*
 * Partitions come to the transaction; the first ones begin it.  v1 clients ask
 * before they send anything, and then it is stored that a transaction is open.
 * v2 clients just send.
 */
void
txn_add(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry = NULL;
	TxnError	error = txn_entry_check(states, event, &entry);

	if (error == TXN_NONE && entry->lost && (event->v2 || entry->image.state == TXN_ONGOING))
		error = TXN_TRANSACTION_ABORTABLE;
	if (error == TXN_NONE && !txn_entry_room(states, event))
		error = TXN_COORDINATOR_NOT_AVAILABLE;
	if (error != TXN_NONE)
	{
		txn_reply(states, event, error);
		return;
	}
	put_all(states, entry, event);
	if (entry->image.state != TXN_ONGOING && !event->v2)
	{
		TxnImage	next = entry->image;

		next.state = TXN_ONGOING;
		next.started_at = states->now;
		txn_order(states, entry, TXN_STORE, &next, event);
		return;
	}
	if (entry->image.state != TXN_ONGOING)
	{
		txn_open(states, entry, states->now);
		txn_publish(states, entry);
	}
	txn_reply(states, event, TXN_NONE);
}

/*
 * Is the producer in its transaction?  Which partitions are in it,
 * txn_verified() says.
 */
void
txn_check(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry = NULL;

	txn_reply(states, event, txn_entry_check(states, event, &entry));
}
