/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the txn room share.
 *
 * Siblings: txn.h (the door).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TXN_INTERNAL_H
#define TXN_INTERNAL_H

#include "txn/txn.h"

#ifdef FRONTEND
#include "common/fe_memutils.h"
#include "common/logging.h"
#else
#include "utils/memutils.h"
#endif

#include "common/hashfn.h"
#include "lib/ilist.h"

/* Partitions of one topic, in the order of their numbers. */
typedef struct TxnParts
{
	PtString	name;
	int32		n;
	int32		cap;
	int32	   *partitions;
} TxnParts;

/* A transactional id. */
typedef struct TxnEntry
{
	dlist_node	link;			/* in states->all, in the order they came */
	PtString	id;
	TxnImage	image;			/* epoch TXN_NO_EPOCH: not stored yet */

	/*
	 * "lost" in state Ongoing: nothing of it is staged any more, and only an
	 * abort ends it.  In others: the same may be true of a v2 transaction
	 * that nobody told us of.
	 */
	bool		lost;
	uint64		serial;			/* of the transaction, or of its next one */
	/* partitions of the transaction, topics in the order of their names */
	TxnParts   *topics;
	int32		ntopics;
	int32		topics_cap;

	/* the order that is out; 0: none */
	uint64		order;
	TxnOutKind	order_kind;
	bool		forget;			/* it was a tombstone */
	TxnImage	next;			/* when it ends well */
	uint64		token;			/* who is answered then; 0: nobody */
	TxnEventType asked;			/* by this kind of request */
} TxnEntry;


struct ids_hash;				/* entry.c */

struct TxnStates
{
	TxnConfig	config;
	uint64		seed;			/* of the table: clients choose ids */
	struct ids_hash *table;
	dlist_head	all;
	int			nentries;
	int			nopen;			/* entries in state Ongoing */
	bool		loaded;
	int64		now;			/* of this step, ms; never goes back */
	int64		next_look;		/* ms; TICK looks at all entries then */
	uint64		last_serial;
	uint64		last_order;
	size_t		used;			/* bytes that are counted */
	TxnOut	   *outs;
	int			nouts;
	int			outs_cap;
	char	  **step_bytes;		/* freed when the next step begins */
	int			nstep_bytes;
	int			step_bytes_cap;
#ifndef FRONTEND
	MemoryContext mcxt;
#endif
};

#define TXN_LOOK_MS			1000	/* while transactions are open */
#define TXN_LOOK_IDLE_MS	(60 * 60 * 1000)

static inline bool
txn_pending(const TxnEntry *entry)
{
	return entry->order != 0;
}

/* entry.c */
extern TxnEntry *txn_entry_find(const TxnStates *states, PtString id);
extern TxnEntry *txn_entry_add(TxnStates *states, PtString id);
extern void txn_entry_forget(TxnStates *states, TxnEntry *entry);
extern bool txn_entry_has(const TxnEntry *entry, PtString topic, int32 partition);
extern bool txn_entry_room(const TxnStates *states, const TxnEvent *event);
extern void txn_entry_put(TxnStates *states, TxnEntry *entry, PtString topic, int32 partition);
extern void txn_entry_clear(TxnStates *states, TxnEntry *entry);
extern void txn_table_create(TxnStates *states);
extern void txn_table_free(TxnStates *states);

/* step.c */
extern void txn_reply(TxnStates *states, const TxnEvent *event, TxnError error);
extern void txn_reply_epoch(TxnStates *states, const TxnEvent *event, const TxnImage *image);
extern void txn_publish(TxnStates *states, const TxnEntry *entry);
extern void txn_drop(TxnStates *states, const TxnEntry *entry);
extern void txn_order(TxnStates *states, TxnEntry *entry, TxnOutKind kind, const TxnImage *next, const TxnEvent *event);
extern void txn_order_forget(TxnStates *states, TxnEntry *entry);
extern void txn_open(TxnStates *states, TxnEntry *entry, int64 started_at);
extern TxnError txn_entry_check(const TxnStates *states, const TxnEvent *event, TxnEntry **entry);
extern void txn_look_soon(TxnStates *states);

/* begin.c */
extern void txn_init(TxnStates *states, const TxnEvent *event);
extern void txn_add(TxnStates *states, const TxnEvent *event);
extern void txn_check(TxnStates *states, const TxnEvent *event);

/* end.c */
extern void txn_end(TxnStates *states, const TxnEvent *event);
extern void txn_abort(TxnStates *states, const TxnEvent *event);
extern void txn_doom(TxnStates *states, const TxnEvent *event);
extern void txn_look(TxnStates *states);

#endif							/* TXN_INTERNAL_H */
