/*-------------------------------------------------------------------------
 *
 * end.c
 *	  The ends of transactions: EndTxn, time, operators, loss; expiry of ids.
 *
 * Siblings: step.c, begin.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

/*
 * Makes next what the id is after an end.  With "bump" it has the next epoch,
 * after the last one a new producer id.  Returns false if there is none.
 */
static bool
after_end(TxnStates *states, const TxnImage *image, bool bump, bool commit, TxnImage *next)
{
	*next = *image;
	next->state = commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
	next->client_version = bump ? 2 : 0;
	if (!bump)
		return true;
	next->last_epoch = image->epoch;
	if (image->epoch < TXN_LAST_EPOCH)
	{
		next->epoch = image->epoch + 1;
		return true;
	}
	next->previous_producer_id = image->producer_id;
	next->producer_id = states->config.new_producer_id(states->config.arg);
	next->epoch = 0;
	return next->producer_id >= 0;
}

/*
 * Has the end that the request asks for been reached already, and is the
 * request sent again because the answer was lost?  Only v2 can tell, as each
 * of its ends gives another epoch.
 */
static bool
is_retry(const TxnImage *image, const TxnEvent *event)
{
	if (!event->v2 || image->client_version != 2 ||
		(image->state != TXN_COMPLETE_COMMIT && image->state != TXN_COMPLETE_ABORT))
		return false;
	if (event->producer_id == image->producer_id)
		return event->producer_epoch == image->epoch - 1;
	return image->epoch == 0 && event->producer_id == image->previous_producer_id &&
		event->producer_epoch == TXN_LAST_EPOCH;
}

/*
 * What becomes of an EndTxn where no transaction is open: TXN_NONE means that
 * it is answered well.  *abort_nothing: v2 has the next epoch, all the same.
 */
static TxnError
end_of_nothing(const TxnEntry *entry, const TxnEvent *event, bool retry, bool *abort_nothing)
{
	TxnState	same = event->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;

	*abort_nothing = event->v2 && !retry && !event->commit;
	if (*abort_nothing)
		return TXN_NONE;
	if (event->v2 && !retry)
		return entry->lost ? TXN_TRANSACTION_ABORTABLE : TXN_INVALID_TXN_STATE;
	if (entry->image.state == same || (entry->image.state == TXN_EMPTY && !event->commit))
		return TXN_NONE;
	return TXN_INVALID_TXN_STATE;
}

/*
 * EndTxn.
 */
void
txn_end(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry = NULL;
	TxnError	error = txn_entry_check(states, event, &entry);
	bool		retry = error == TXN_NONE && is_retry(&entry->image, event);
	bool		ends = true;
	TxnImage	next;

	if (error == TXN_NONE && event->producer_id != entry->image.producer_id && !retry)
		error = TXN_INVALID_PRODUCER_ID_MAPPING;
	if (error == TXN_NONE && event->producer_epoch != entry->image.epoch && !retry)
		error = TXN_PRODUCER_FENCED;
	if (error == TXN_NONE && txn_pending(entry))
		error = TXN_CONCURRENT_TRANSACTIONS;
	if (error == TXN_NONE && entry->image.state != TXN_ONGOING)
		error = end_of_nothing(entry, event, retry, &ends);
	else if (error == TXN_NONE && entry->lost && event->commit)
		error = TXN_TRANSACTION_ABORTABLE;
	if (error == TXN_NONE && !ends)
	{
		txn_reply_epoch(states, event, &entry->image);
		return;
	}
	if (error == TXN_NONE && !after_end(states, &entry->image, event->v2, event->commit, &next))
		error = TXN_COORDINATOR_NOT_AVAILABLE;
	if (error != TXN_NONE)
		txn_reply(states, event, error);
	else
		txn_order(states, entry, event->commit ? TXN_COMMIT : TXN_STORE, &next, event);
}

/*
 * Aborts a transaction without its client, which is fenced.  Returns false if
 * that cannot be now: no producer id is to be had.
 */
static bool
abort_and_fence(TxnStates *states, TxnEntry *entry, const TxnEvent *event)
{
	TxnImage	next;

	Assert(entry->image.state == TXN_ONGOING && !txn_pending(entry));
	if (!after_end(states, &entry->image, true, false, &next))
		return false;
	next.last_epoch = TXN_NO_EPOCH;
	txn_order(states, entry, TXN_STORE, &next, event);
	return true;
}

/*
 * An operator aborts the transaction of an id.
 */
void
txn_abort(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry = event->transactional_id.len > 0 ? txn_entry_find(states, event->transactional_id) : NULL;

	if (entry == NULL || entry->image.epoch == TXN_NO_EPOCH)
		txn_reply(states, event, TXN_TRANSACTIONAL_ID_NOT_FOUND);
	else if (txn_pending(entry))
		txn_reply(states, event, TXN_CONCURRENT_TRANSACTIONS);
	else if (entry->image.state != TXN_ONGOING)
		txn_reply(states, event, TXN_INVALID_TXN_STATE);
	else if (!abort_and_fence(states, entry, event))
		txn_reply(states, event, TXN_COORDINATOR_NOT_AVAILABLE);
}

/*
 * What is staged cannot be kept: only an abort ends the transaction.  The same
 * is true of one of a v2 client that was begun without us, and could not be
 * taken: no memory for its partitions, or an order was out.
 */
void
txn_doom(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry = event->transactional_id.len > 0 ? txn_entry_find(states, event->transactional_id) : NULL;

	if (entry == NULL || entry->serial != event->serial || (entry->image.state != TXN_ONGOING && !event->v2))
	{
		txn_reply(states, event, TXN_INVALID_TXN_STATE);
		return;
	}
	if (txn_pending(entry))
	{
		/* should the record not be stored, an abort is still needed */
		entry->lost |= entry->order_kind == TXN_STORE;
		txn_reply(states, event, TXN_CONCURRENT_TRANSACTIONS);
		return;
	}
	if (!entry->lost)
		txn_drop(states, entry);
	entry->lost = true;
	txn_publish(states, entry);
	txn_reply(states, event, TXN_NONE);
}

/*
 * Aborts what has been open for too long, and forgets ids that nobody has used
 * for long.
 */
void
txn_look(TxnStates *states)
{
	const TxnEvent nobody = {.type = TXN_EV_TICK};
	dlist_iter	iter;

	if (states->now < states->next_look)
		return;
	dlist_foreach(iter, &states->all)
	{
		TxnEntry   *entry = dlist_container(TxnEntry, link, iter.cur);

		if (txn_pending(entry))
			continue;
		if (entry->image.state != TXN_ONGOING)
		{
			if (states->now - entry->image.updated_at >= states->config.expiration_ms)
				txn_order_forget(states, entry);
		}
		else if (states->now - entry->image.started_at >= entry->image.timeout_ms)
			(void) abort_and_fence(states, entry, &nobody);
	}
	states->next_look = states->now + (states->nopen > 0 ? TXN_LOOK_MS : TXN_LOOK_IDLE_MS);
}
