/*-------------------------------------------------------------------------
 *
 * 26_end_txn.h
 *	  EndTxn (API key 26), versions 0 to 5.
 *
 * From 5 on each end gives the producer its next epoch (KIP-890).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_END_TXN_H
#define KAFKA_MESSAGES_END_TXN_H

#include "kafka/message_rows.h"

#define END_TXN_REQUEST_ROWS(F) \
	F(STRING, transactional_id,  0, LATEST) \
	F(INT64,  producer_id,       0, LATEST) \
	F(INT16,  producer_epoch,    0, LATEST) \
	F(BOOL,   committed,         0, LATEST)
KAFKA_STRUCT(EndTxnRequest, END_TXN_REQUEST_ROWS)

#define END_TXN_RESPONSE_ROWS(F) \
	F(INT32, throttle_time_ms,  0, LATEST) \
	F(INT16, error_code,        0, LATEST) \
	F(INT64, producer_id,       5, LATEST, DEFAULT(-1)) \
	F(INT16, producer_epoch,    5, LATEST, DEFAULT(-1))
KAFKA_STRUCT(EndTxnResponse, END_TXN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_END_TXN_H */
