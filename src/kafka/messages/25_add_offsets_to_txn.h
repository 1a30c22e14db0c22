/*-------------------------------------------------------------------------
 *
 * 25_add_offsets_to_txn.h
 *	  AddOffsetsToTxn (API key 25), versions 0 to 4.
 *
 * The versions differ in the error codes that their clients know.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ADD_OFFSETS_TO_TXN_H
#define KAFKA_MESSAGES_ADD_OFFSETS_TO_TXN_H

#include "kafka/message_rows.h"

#define ADD_OFFSETS_TO_TXN_REQUEST_ROWS(F) \
	F(STRING, transactional_id,  0, LATEST) \
	F(INT64,  producer_id,       0, LATEST) \
	F(INT16,  producer_epoch,    0, LATEST) \
	F(STRING, group_id,          0, LATEST)
KAFKA_STRUCT(AddOffsetsToTxnRequest, ADD_OFFSETS_TO_TXN_REQUEST_ROWS)

#define ADD_OFFSETS_TO_TXN_RESPONSE_ROWS(F) \
	F(INT32, throttle_time_ms,  0, LATEST) \
	F(INT16, error_code,        0, LATEST)
KAFKA_STRUCT(AddOffsetsToTxnResponse, ADD_OFFSETS_TO_TXN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ADD_OFFSETS_TO_TXN_H */
