/*-------------------------------------------------------------------------
 *
 * step.c
 *	  Dispatch: events in, what is to be done out; loading the log.
 *
 * An id changes in one of two ways.  What need not outlive a crash changes at
 * once.  What must is an order (txn_order): the image that the id will have is
 * put beside the present one, and takes its place when DONE says that it is
 * stored.  Until then the id takes no other request.
 *
 * Siblings: begin.c, end.c (what events do), entry.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

void
txn_config_defaults(TxnConfig *config)
{
	memset(config, 0, sizeof(*config));
	config->memory_max = 64 * 1024 * 1024;
	config->timeout_ms_max = 15 * 60 * 1000;
	config->expiration_ms = INT64CONST(7) * 24 * 60 * 60 * 1000;
}

/*
 * Makes a coordinator that knows nothing, in a memory context of its own below
 * the current one.  config->new_producer_id must be set.
 */
TxnStates *
txn_create(const TxnConfig *config, uint64 seed)
{
	TxnStates  *states;
#ifndef FRONTEND
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "transactional ids", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
#endif

	Assert(config->new_producer_id != NULL);
	states = palloc0(sizeof(TxnStates));
#ifndef FRONTEND
	states->mcxt = mcxt;
#endif
	states->config = *config;
	states->seed = seed;
	states->next_look = PG_INT64_MAX;
	dlist_init(&states->all);
	txn_table_create(states);
#ifndef FRONTEND
	MemoryContextSwitchTo(old);
#endif
	return states;
}

/*
 * Frees what replies of the last step point to.
 */
static void
forget_step(TxnStates *states)
{
	for (int i = 0; i < states->nstep_bytes; i++)
		pfree(states->step_bytes[i]);
	states->nstep_bytes = 0;
	states->nouts = 0;
}

void
txn_destroy(TxnStates *states)
{
#ifndef FRONTEND
	MemoryContextDelete(states->mcxt);
#else
	dlist_mutable_iter iter;

	forget_step(states);
	dlist_foreach_modify(iter, &states->all)
	{
		TxnEntry   *entry = dlist_container(TxnEntry, link, iter.cur);

		entry->image.state = TXN_EMPTY;
		txn_entry_forget(states, entry);
	}
	txn_table_free(states);
	if (states->outs)
		pfree(states->outs);
	if (states->step_bytes)
		pfree(states->step_bytes);
	pfree(states);
#endif
}

/*
 * Sets new settings.  They count from the next request on.
 */
void
txn_configure(TxnStates *states, const TxnConfig *config)
{
	states->config = *config;
}

/*
 * Doubles an array that is full.
 */
static void *
grow(void *array, int n, int *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = Max(8, *cap * 2);
	return array ? repalloc(array, *cap * size) : palloc(*cap * size);
}

/*
 * The next thing to be done, zeroed but for its kind.
 */
static TxnOut *
next_out(TxnStates *states, TxnOutKind kind)
{
	TxnOut	   *out;

	states->outs = grow(states->outs, states->nouts, &states->outs_cap, sizeof(TxnOut));
	out = &states->outs[states->nouts++];
	memset(out, 0, sizeof(*out));
	out->kind = kind;
	out->producer_id = TXN_NO_PRODUCER_ID;
	out->producer_epoch = TXN_NO_EPOCH;
	out->key = out->value = out->transactional_id = PT_STRING_NULL;
	return out;
}

/*
 * Has bytes freed when the next step begins.
 */
static PtString
keep_bytes(TxnStates *states, PtString bytes)
{
	states->step_bytes = grow(states->step_bytes, states->nstep_bytes, &states->step_bytes_cap, sizeof(char *));
	states->step_bytes[states->nstep_bytes++] = (char *) bytes.data;
	return bytes;
}

/*
 * Answers a request, with no producer id.
 */
void
txn_reply(TxnStates *states, const TxnEvent *event, TxnError error)
{
	TxnOut	   *out;

	if (event->token == 0)
		return;
	out = next_out(states, TXN_REPLY);
	out->token = event->token;
	out->type = event->type;
	out->error = error;
}

/*
 * Answers a request well, with what the producer is from now on.
 */
void
txn_reply_epoch(TxnStates *states, const TxnEvent *event, const TxnImage *image)
{
	TxnOut	   *out;

	if (event->token == 0)
		return;
	txn_reply(states, event, TXN_NONE);
	out = &states->outs[states->nouts - 1];
	out->producer_id = image->producer_id;
	out->producer_epoch = image->epoch;
}

/*
 * Who may stage for this id at the moment?
 */
static TxnPhase
phase_of(const TxnEntry *entry)
{
	if (txn_pending(entry))
		return TXN_PHASE_ENDING;
	if (entry->image.state == TXN_ONGOING)
		return entry->lost ? TXN_PHASE_DOOMED : TXN_PHASE_OPEN;
	return entry->lost ? TXN_PHASE_LOST : TXN_PHASE_READY;
}

/*
 * Says who may stage now.
 */
void
txn_publish(TxnStates *states, const TxnEntry *entry)
{
	TxnOut	   *out = next_out(states, TXN_PUBLISH);

	out->producer_id = entry->image.producer_id;
	out->producer_epoch = entry->image.epoch;
	out->serial = entry->serial;
	out->phase = phase_of(entry);
	out->transactional_id = entry->id;
}

/*
 * Says that a producer id is nobody's any more.
 */
static void
publish_gone(TxnStates *states, const TxnEntry *entry, int64 producer_id)
{
	TxnOut	   *out = next_out(states, TXN_PUBLISH);

	out->producer_id = producer_id;
	out->phase = TXN_PHASE_GONE;
	out->transactional_id = keep_bytes(states, pt_string_copy(entry->id));
}

/*
 * Has what is staged under the entry's serial forgotten.
 */
void
txn_drop(TxnStates *states, const TxnEntry *entry)
{
	TxnOut	   *out = next_out(states, TXN_DROP);

	out->serial = entry->serial;
	out->producer_id = entry->image.producer_id;
}

/*
 * Gives the order to store an image, in a transaction with what is staged when
 * kind is TXN_COMMIT.  Who asked for it is answered when it has ended.
 */
void
txn_order(TxnStates *states, TxnEntry *entry, TxnOutKind kind, const TxnImage *next, const TxnEvent *event)
{
	TxnTopic   *topics = NULL;
	int			ntopics = next->state == TXN_ONGOING ? entry->ntopics : 0;
	TxnOut	   *out;

	Assert(!txn_pending(entry));
	Assert(kind == TXN_STORE || (kind == TXN_COMMIT && entry->image.state == TXN_ONGOING && !entry->lost));
	Assert(next->producer_id != entry->image.producer_id || next->epoch >= entry->image.epoch);
	entry->order = ++states->last_order;
	entry->order_kind = kind;
	entry->forget = false;
	entry->next = *next;
	entry->next.updated_at = states->now;
	entry->token = event->token;
	entry->asked = event->type;
	if (entry->image.epoch != TXN_NO_EPOCH)
		txn_publish(states, entry);

	if (ntopics > 0)
		topics = palloc(ntopics * sizeof(TxnTopic));
	for (int i = 0; i < ntopics; i++)
		topics[i] = (TxnTopic)
	{
		entry->topics[i].name, entry->topics[i].n, entry->topics[i].partitions
	};
	out = next_out(states, kind);
	out->order = entry->order;
	out->serial = entry->serial;
	if (kind == TXN_COMMIT)
		out->producer_id = entry->image.producer_id;
	out->transactional_id = entry->id;
	out->key = keep_bytes(states, txn_key_write(entry->id));
	out->value = keep_bytes(states, txn_value_write(&entry->next, topics, ntopics));
	if (topics)
		pfree(topics);
}

/*
 * Gives the order to write a tombstone.
 */
void
txn_order_forget(TxnStates *states, TxnEntry *entry)
{
	TxnOut	   *out;

	Assert(!txn_pending(entry) && entry->image.state != TXN_ONGOING);
	entry->order = ++states->last_order;
	entry->order_kind = TXN_STORE;
	entry->forget = true;
	entry->next = entry->image;
	entry->token = 0;
	txn_publish(states, entry);
	out = next_out(states, TXN_STORE);
	out->order = entry->order;
	out->transactional_id = entry->id;
	out->key = keep_bytes(states, txn_key_write(entry->id));
}

/*
 * The next look of TICK comes soon, as there is an open transaction.
 */
void
txn_look_soon(TxnStates *states)
{
	states->next_look = Min(states->next_look, states->now + TXN_LOOK_MS);
}

/*
 * The transaction of the entry begins, or what is stored of it has been
 * loaded.
 */
void
txn_open(TxnStates *states, TxnEntry *entry, int64 started_at)
{
	Assert(entry->image.state != TXN_ONGOING);
	entry->image.state = TXN_ONGOING;
	entry->image.started_at = started_at;
	states->nopen++;
	txn_look_soon(states);
}

/*
 * What all requests of a producer ask first: is the id known, with this
 * producer id and epoch, and free?  The epoch is not looked at for END, which
 * has rules of its own.
 */
TxnError
txn_entry_check(const TxnStates *states, const TxnEvent *event, TxnEntry **entry)
{
	if (event->transactional_id.len <= 0)
		return TXN_INVALID_REQUEST;
	*entry = txn_entry_find(states, event->transactional_id);
	if (*entry == NULL || (*entry)->image.epoch == TXN_NO_EPOCH)
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	if (event->type == TXN_EV_END)
		return TXN_NONE;
	if ((*entry)->image.producer_id != event->producer_id)
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	if ((*entry)->image.epoch != event->producer_epoch)
		return TXN_PRODUCER_FENCED;
	return txn_pending(*entry) ? TXN_CONCURRENT_TRANSACTIONS : TXN_NONE;
}

/*
 * The next image is stored: it is the present one.  Where no transaction is
 * open from now on, the serial is used up, and what may be staged under it
 * goes, unless it was committed: a v2 client may have begun just now, and
 * nobody may have told us yet.
 */
static void
take_next(TxnStates *states, TxnEntry *entry)
{
	int64		old_id = entry->image.producer_id;
	bool		was_open = entry->image.state == TXN_ONGOING;
	bool		commit = entry->order_kind == TXN_COMMIT;

	if (!commit && entry->next.state != TXN_ONGOING)
		txn_drop(states, entry);
	entry->image = entry->next;
	entry->lost = false;
	if (entry->image.state == TXN_ONGOING)
	{
		/* Ongoing is stored by the first partitions only */
		Assert(!was_open);
		entry->image.state = TXN_EMPTY;
		txn_open(states, entry, entry->next.started_at);
	}
	else
	{
		if (was_open)
			states->nopen--;
		entry->serial = ++states->last_serial;
		txn_entry_clear(states, entry);
	}
	if (old_id != TXN_NO_PRODUCER_ID && old_id != entry->image.producer_id)
		publish_gone(states, entry, old_id);
	txn_publish(states, entry);
}

/*
 * An order has failed: nothing has changed, but for a transaction that can
 * never be committed.  It is doomed.
 */
static void
give_up_next(TxnStates *states, TxnEntry *entry, TxnError result)
{
	if (entry->order_kind == TXN_COMMIT && result == TXN_TRANSACTION_ABORTABLE)
	{
		entry->lost = true;
		txn_drop(states, entry);
	}
	if (entry->next.state == TXN_ONGOING)
		txn_entry_clear(states, entry);
	if (entry->image.epoch == TXN_NO_EPOCH)
		txn_entry_forget(states, entry);
	else
		txn_publish(states, entry);
}

/*
 * An order has ended.  DONE of one that is not out is ignored.
 */
static void
done(TxnStates *states, const TxnEvent *event)
{
	TxnEntry   *entry;
	TxnEvent	asked = {0};

	if (event->transactional_id.len <= 0)
		return;
	entry = txn_entry_find(states, event->transactional_id);
	if (entry == NULL || entry->order == 0 || entry->order != event->serial)
		return;
	asked.token = entry->token;
	asked.type = entry->asked;
	entry->order = 0;
	if (event->result == TXN_NONE && entry->forget)
	{
		publish_gone(states, entry, entry->image.producer_id);
		txn_entry_forget(states, entry);
	}
	else if (event->result == TXN_NONE)
	{
		take_next(states, entry);
		if (asked.type == TXN_EV_INIT || asked.type == TXN_EV_END)
			txn_reply_epoch(states, &asked, &entry->image);
		else
			txn_reply(states, &asked, TXN_NONE);
	}
	else
	{
		txn_reply(states, &asked, event->result == TXN_TRANSACTION_ABORTABLE ? event->result :
				  TXN_COORDINATOR_NOT_AVAILABLE);
		give_up_next(states, entry, event->result);
	}
}

/*
 * One event.
 */
void
txn_step(TxnStates *states, const TxnEvent *event, int64 now_ms, TxnOuts *out)
{
#ifndef FRONTEND
	MemoryContext old = MemoryContextSwitchTo(states->mcxt);
#endif
	static void (*const handlers[]) (TxnStates *, const TxnEvent *) =
	{
		[TXN_EV_INIT] = txn_init,
		[TXN_EV_ADD] = txn_add,
		[TXN_EV_VERIFY] = txn_check,
		[TXN_EV_END] = txn_end,
		[TXN_EV_ABORT] = txn_abort,
		[TXN_EV_DOOM] = txn_doom,
		[TXN_EV_DONE] = done,
	};

	forget_step(states);
	states->now = Max(states->now, now_ms);
	if (!states->loaded)
		txn_reply(states, event, TXN_COORDINATOR_LOAD_IN_PROGRESS);
	else if (event->type == TXN_EV_TICK)
		txn_look(states);
	else
		handlers[event->type] (states, event);
	out->outs = states->outs;
	out->n = states->nouts;
#ifndef FRONTEND
	MemoryContextSwitchTo(old);
#endif
}

/*
 * When TICK has something to do, in ms; PG_INT64_MAX: never, as things are.
 */
int64
txn_next_deadline(const TxnStates *states)
{
	return states->nentries > 0 ? states->next_look : PG_INT64_MAX;
}

/*
 * Takes what a record says; the last one of an id counts.  Returns false for
 * one that is malformed, or of another kind: it is passed over.
 */
bool
txn_load(TxnStates *states, PtString key, PtString value)
{
#ifndef FRONTEND
	MemoryContext old = MemoryContextSwitchTo(states->mcxt);
#endif
	PtString	id;
	TxnImage	image;
	TxnEntry   *entry;
	bool		good = txn_key_read(key, &id) && (value.len < 0 || txn_value_read(value, &image));

	Assert(!states->loaded);
	if (good)
	{
		entry = txn_entry_find(states, id);
		if (value.len >= 0)
		{
			if (entry == NULL)
				entry = txn_entry_add(states, id);
			entry->image = image;
		}
		else if (entry)
		{
			entry->image.state = TXN_EMPTY;
			txn_entry_forget(states, entry);
		}
	}
#ifndef FRONTEND
	MemoryContextSwitchTo(old);
#endif
	return good;
}

/*
 * The whole log has been given.  From now on requests are answered.
 *
 * What was open is lost, and everything else is lost to v2 clients, of which
 * nobody knows whether they had begun a transaction.  Prepare states are those
 * of a log that another server wrote; what was prepared is not here.
 */
void
txn_loaded(TxnStates *states, int64 now_ms, TxnOuts *out)
{
#ifndef FRONTEND
	MemoryContext old = MemoryContextSwitchTo(states->mcxt);
#endif
	dlist_mutable_iter iter;

	Assert(!states->loaded);
	forget_step(states);
	states->loaded = true;
	states->now = now_ms;
	states->next_look = now_ms + TXN_LOOK_IDLE_MS;
	dlist_foreach_modify(iter, &states->all)
	{
		TxnEntry   *entry = dlist_container(TxnEntry, link, iter.cur);
		TxnState	state = entry->image.state;

		entry->lost = true;
		entry->image.state = TXN_EMPTY;
		if (state == TXN_DEAD)
		{
			txn_entry_forget(states, entry);
			continue;
		}
		if (state == TXN_ONGOING || state == TXN_PREPARE_COMMIT || state == TXN_PREPARE_ABORT ||
			state == TXN_PREPARE_EPOCH_FENCE)
			txn_open(states, entry, Max(entry->image.started_at, 0));
		else
			entry->image.state = state;
		txn_publish(states, entry);
	}
	out->outs = states->outs;
	out->n = states->nouts;
#ifndef FRONTEND
	MemoryContextSwitchTo(old);
#endif
}
