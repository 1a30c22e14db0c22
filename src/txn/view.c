/*-------------------------------------------------------------------------
 *
 * view.c
 *	  What is known of transactional ids: describing, listing, checking.
 *
 * Sibling: step.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

static const char *const state_names[TXN_NSTATES] = {
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead",
	"PrepareEpochFence"
};

/*
 * The name that Kafka has for a state.
 */
const char *
txn_state_name(TxnState state)
{
	Assert(state < TXN_NSTATES);
	return state_names[state];
}

bool
txn_state_by_name(PtString name, TxnState *state)
{
	for (int i = 0; i < TXN_NSTATES; i++)
	{
		if (pt_string_equal(name, pt_string_of(state_names[i])))
		{
			*state = (TxnState) i;
			return true;
		}
	}
	return false;
}

/*
 * The state that others see: that of an order that is out, if it ends a
 * transaction.
 */
static TxnState
shown_state(const TxnEntry *entry)
{
	if (txn_pending(entry) && entry->image.state == TXN_ONGOING)
		return entry->order_kind == TXN_COMMIT ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
	return entry->image.state;
}

static void
fill_info(const TxnEntry *entry, TxnInfo *info)
{
	memset(info, 0, sizeof(*info));
	info->transactional_id = entry->id;
	info->image = entry->image;
	info->shown = shown_state(entry);
	info->lost = entry->lost;
	info->serial = entry->serial;
}

/*
 * Returns false if the id is not known.  The array of topics is palloc'd in
 * the current memory context.
 */
bool
txn_describe(const TxnStates *states, PtString transactional_id, TxnInfo *info)
{
	TxnEntry   *entry = transactional_id.len > 0 ? txn_entry_find(states, transactional_id) : NULL;
	TxnTopic   *topics;

	if (entry == NULL || entry->image.epoch == TXN_NO_EPOCH)
		return false;
	fill_info(entry, info);
	if (entry->ntopics == 0)
		return true;
	topics = palloc(entry->ntopics * sizeof(TxnTopic));
	for (int i = 0; i < entry->ntopics; i++)
	{
		topics[i].name = entry->topics[i].name;
		topics[i].n = entry->topics[i].n;
		topics[i].partitions = entry->topics[i].partitions;
	}
	info->topics = topics;
	info->ntopics = entry->ntopics;
	return true;
}

/*
 * All ids that are stored, in the order in which they came; an array palloc'd
 * in the current memory context.
 */
TxnInfo *
txn_list(const TxnStates *states, int *n)
{
	TxnInfo    *infos = palloc(Max(states->nentries, 1) * sizeof(TxnInfo));
	dlist_iter	iter;

	*n = 0;
	dlist_foreach(iter, unconstify(dlist_head *, &states->all))
	{
		const TxnEntry *entry = dlist_container(TxnEntry, link, iter.cur);

		if (entry->image.epoch != TXN_NO_EPOCH)
			fill_info(entry, &infos[(*n)++]);
	}
	return infos;
}

/*
 * Of an id whose producer a VERIFY has found good: is the partition in its
 * transaction?
 */
TxnError
txn_verified(const TxnStates *states, PtString transactional_id, PtString topic, int32 partition)
{
	TxnEntry   *entry = transactional_id.len > 0 ? txn_entry_find(states, transactional_id) : NULL;

	if (entry == NULL)
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	return entry->image.state == TXN_ONGOING && !entry->lost && txn_entry_has(entry, topic, partition) ?
		TXN_NONE : TXN_TRANSACTION_ABORTABLE;
}

/*
 * For statistics: bytes that are counted.
 */
size_t
txn_memory_used(const TxnStates *states)
{
	return states->used;
}

#ifdef USE_ASSERT_CHECKING
/*
 * Fails an Assert if the states are not consistent.  Walks everything.
 */
void
txn_verify(const TxnStates *states)
{
	dlist_iter	iter;
	int			n = 0;
	int			nopen = 0;

	dlist_foreach(iter, unconstify(dlist_head *, &states->all))
	{
		const TxnEntry *entry = dlist_container(TxnEntry, link, iter.cur);
		const TxnImage *image = &entry->image;

		n++;
		nopen += image->state == TXN_ONGOING;
		Assert(txn_entry_find(states, entry->id) == entry);
		Assert(entry->serial <= states->last_serial && entry->order <= states->last_order);
		Assert(image->epoch != TXN_NO_EPOCH || txn_pending(entry));
		Assert(image->state != TXN_EMPTY || entry->ntopics == 0 || txn_pending(entry));
		Assert(image->state == TXN_EMPTY || image->state == TXN_ONGOING || image->state == TXN_COMPLETE_COMMIT ||
			   image->state == TXN_COMPLETE_ABORT);
		Assert(!txn_pending(entry) || entry->order_kind != TXN_COMMIT || image->state == TXN_ONGOING);
		for (int i = 1; i < entry->ntopics; i++)
			Assert(!pt_string_equal(entry->topics[i - 1].name, entry->topics[i].name));
	}
	Assert(n == states->nentries && nopen == states->nopen);
	Assert(states->nopen == 0 || states->next_look <= states->now + TXN_LOOK_MS);
}
#endif
