/*-------------------------------------------------------------------------
 *
 * txn.h
 *	  The door of the coordinator of transactions.
 *
 * A pure state machine: txn_step(states, event, now) changes transactional
 * ids and says what is to be done.  It knows no clock, no connection (a
 * request is a token), no disk: what must outlive a crash comes out as an
 * order, and TXN_EV_DONE says how that ended.
 *
 * How it is driven:
 *
 *	- First all records of __transaction_state, in the order of the log, by
 *	  txn_load(), then txn_loaded().
 *	- One event per request.  Each token is answered once, by the step of the
 *	  request or by that of a later TXN_EV_DONE.
 *	- Each order of kind STORE or COMMIT is ended by one TXN_EV_DONE.
 *	- TXN_EV_TICK when the time of txn_next_deadline() has come.
 *	- Time may jump forward.  If the caller's clock goes back, it stands still
 *	  here.
 *
 * If palloc fails in the middle of a step, the caller throws the states away
 * and loads the log again.
 *
 * Siblings: types.h; internal.h is the room's own.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TXN_TXN_H
#define TXN_TXN_H

#include "txn/types.h"

typedef enum TxnEventType
{
	TXN_EV_INIT,				/* InitProducerId */
	TXN_EV_ADD,					/* partitions come to the transaction */
	TXN_EV_VERIFY,				/* are these partitions in it? */
	TXN_EV_END,					/* EndTxn */
	TXN_EV_ABORT,				/* an operator aborts it */
	TXN_EV_DOOM,				/* what is staged under "serial" is lost */
	TXN_EV_DONE,				/* an order has ended */
	TXN_EV_TICK
} TxnEventType;

typedef struct TxnEvent
{
	TxnEventType type;
	uint64		token;			/* of a request; 0: nobody asks */
	PtString	transactional_id;
	int64		producer_id;	/* of INIT: TXN_NO_PRODUCER_ID if it has none */
	int16		producer_epoch;
	/* INIT */
	int32		timeout_ms;
	bool		enable_2pc;
	bool		keep_prepared;
	/* ADD, VERIFY: a group's partition of __consumer_offsets counts, too */
	const TxnTopic *topics;
	int32		ntopics;
	/* ADD, END: of a client with epochs per transaction (KIP-890) */
	bool		v2;
	/* END */
	bool		commit;
	/* DOOM: of the transaction.  DONE: of the order */
	uint64		serial;
	/* DONE */
	TxnError	result;			/* TXN_NONE: done.  TXN_TRANSACTION_ABORTABLE:
								 * the commit can never succeed.  Others: it
								 * may when it is tried again */
} TxnEvent;

typedef enum TxnOutKind
{
	TXN_REPLY,
	TXN_STORE,					/* write the record, durably */
	TXN_COMMIT,					/* commit what is staged, and the record */
	TXN_DROP,					/* forget what is staged */
	TXN_PUBLISH					/* who may stage */
} TxnOutKind;

/* Who may stage for a producer id. */
typedef enum TxnPhase
{
	TXN_PHASE_READY,			/* v2 may begin a transaction under serial */
	TXN_PHASE_LOST,				/* v2 must abort first */
	TXN_PHASE_OPEN,
	TXN_PHASE_DOOMED,			/* nobody, until it is aborted */
	TXN_PHASE_ENDING,			/* not now */
	TXN_PHASE_GONE				/* nobody: there is no such producer id */
} TxnPhase;

/*
 * One thing to be done; in the order in which they are given.  Bytes are valid
 * until the next step.
 */
typedef struct TxnOut
{
	TxnOutKind	kind;
	/* REPLY; to VERIFY without an error see txn_verified() */
	uint64		token;
	TxnEventType type;			/* of the request */
	TxnError	error;
	/* REPLY to INIT and END, PUBLISH; producer id also of COMMIT and DROP */
	int64		producer_id;
	int16		producer_epoch;
	/* STORE and COMMIT: of the order; serial below is what COMMIT commits */
	uint64		order;
	PtString	key;
	PtString	value;			/* null: a tombstone */
	/* COMMIT, DROP, PUBLISH: of a transaction */
	uint64		serial;
	TxnPhase	phase;
	PtString	transactional_id;	/* of all but REPLY and DROP */
} TxnOut;

typedef struct TxnOuts
{
	const TxnOut *outs;
	int			n;
} TxnOuts;

/* Settings.  Times are in ms, memory in bytes. */
typedef struct TxnConfig
{
	size_t		memory_max;
	int32		timeout_ms_max; /* transaction.max.timeout.ms */
	int64		expiration_ms;	/* transactional.id.expiration.ms */
	/* a producer id that nobody has had, or TXN_NO_PRODUCER_ID */
	int64		(*new_producer_id) (void *arg);
	void	   *arg;
} TxnConfig;

/* One id, for views.  Strings and partitions are valid until the next step. */
typedef struct TxnInfo
{
	PtString	transactional_id;
	TxnImage	image;
	TxnState	shown;			/* PrepareCommit and so on while an order is
								 * out */
	bool		lost;			/* or doomed: only an abort ends it */
	uint64		serial;			/* of its transaction, or its next one */
	int32		ntopics;
	const TxnTopic *topics;		/* palloc'd by txn_describe, else NULL */
} TxnInfo;

typedef struct TxnStates TxnStates;

extern void txn_config_defaults(TxnConfig *config);
extern TxnStates *txn_create(const TxnConfig *config, uint64 seed);
extern void txn_destroy(TxnStates *states);
extern void txn_configure(TxnStates *states, const TxnConfig *config);

extern bool txn_load(TxnStates *states, PtString key, PtString value);
extern void txn_loaded(TxnStates *states, int64 now_ms, TxnOuts *out);
extern void txn_step(TxnStates *states, const TxnEvent *event, int64 now_ms, TxnOuts *out);
extern int64 txn_next_deadline(const TxnStates *states);

extern TxnError txn_verified(const TxnStates *states, PtString transactional_id, PtString topic, int32 partition);
extern bool txn_describe(const TxnStates *states, PtString transactional_id, TxnInfo *info);
extern TxnInfo *txn_list(const TxnStates *states, int *n);
extern const char *txn_state_name(TxnState state);
extern bool txn_state_by_name(PtString name, TxnState *state);
extern size_t txn_memory_used(const TxnStates *states);

extern TxnError txn_error_for(TxnError error, int16 api_key, int16 api_version);

/* record.c */
extern PtString txn_key_write(PtString transactional_id);
extern PtString txn_value_write(const TxnImage *image, const TxnTopic *topics, int ntopics);
extern bool txn_key_read(PtString key, PtString *transactional_id);
extern bool txn_value_read(PtString value, TxnImage *image);

#ifdef USE_ASSERT_CHECKING
extern void txn_verify(const TxnStates *states);
#endif

#endif							/* TXN_TXN_H */
