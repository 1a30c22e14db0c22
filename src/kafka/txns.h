/*-------------------------------------------------------------------------
 *
 * txns.h
 *	  Transactions: the shell around the coordinator of the txn room.
 *
 * The coordinator is a pure state machine.  This file gives it what it lacks:
 * a clock, its settings, producer ids, a log, the stage, workers that commit,
 * and the calls that its tokens stand for.  Only the control worker has one.
 *
 * Siblings: txns.c, txn_log.h, api/ (the handlers); ../txn/txn.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_TXNS_H
#define KAFKA_TXNS_H

#include "kafka/api.h"
#include "txn/txn.h"

extern bool kafka_txn_id_valid(KafkaString id);
extern int16 kafka_txn_error(int16 code);

extern KafkaOutcome kafka_txn_prepare(KafkaCall *call, KafkaString id, int16 *error);

/*
 * Fills call->response from a reply.  Runs in the call's memory context,
 * during the step that made the reply.  Must not throw, except for lack of
 * memory.
 */
typedef void (*KafkaTxnAnswer) (KafkaCall *call, const TxnOut *reply, void *arg);

extern void kafka_txn_ask(KafkaCall *call, TxnEvent *event, KafkaTxnAnswer answer, void *arg);
extern KafkaOutcome kafka_txn_asked(KafkaCall *call);
extern KafkaOutcome kafka_txn_resume(KafkaCall *call, bool timed_out);
extern TxnError kafka_txn_check(TxnEvent *event);
extern void kafka_txn_forget(KafkaCall *call);

extern const TxnStates *kafka_txns(TxnError *error);
extern const TxnStates *kafka_txns_known(void);
extern int64 kafka_txns_now(void);

extern int64 kafka_txns_wait(void);
extern XLogRecPtr kafka_txns_append(void);
extern void kafka_txns_turn(void);

/* producer_ids.c */
extern int64 kafka_producer_id_next(XLogRecPtr *lsn);
extern void kafka_producer_ids_reserve(void);
extern int64 kafka_producer_id_reserved(void);

#endif							/* KAFKA_TXNS_H */
