/*-------------------------------------------------------------------------
 *
 * 66_list_transactions.h
 *	  ListTransactions (API key 66), versions 0 to 2.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LIST_TRANSACTIONS_H
#define KAFKA_MESSAGES_LIST_TRANSACTIONS_H

#include "kafka/message_rows.h"

#define LIST_TRANSACTIONS_REQUEST_ROWS(F) \
	F(LIST(STRING), state_filters,             0, LATEST) \
	F(LIST(INT64),  producer_id_filters,       0, LATEST) \
	F(INT64,        duration_filter,           1, LATEST, DEFAULT(-1)) \
	F(STRING,       transactional_id_pattern,  2, LATEST, NULLABLE(2), DEFAULT(-1))
KAFKA_STRUCT(ListTransactionsRequest, LIST_TRANSACTIONS_REQUEST_ROWS)

#define LISTED_TRANSACTION_ROWS(F) \
	F(STRING, transactional_id,   0, LATEST) \
	F(INT64,  producer_id,        0, LATEST) \
	F(STRING, transaction_state,  0, LATEST)
KAFKA_STRUCT(ListedTransaction, LISTED_TRANSACTION_ROWS)

#define LIST_TRANSACTIONS_RESPONSE_ROWS(F) \
	F(INT32,                    throttle_time_ms,       0, LATEST) \
	F(INT16,                    error_code,             0, LATEST) \
	F(LIST(STRING),             unknown_state_filters,  0, LATEST) \
	F(ARRAY(ListedTransaction), transaction_states,     0, LATEST)
KAFKA_STRUCT(ListTransactionsResponse, LIST_TRANSACTIONS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LIST_TRANSACTIONS_H */
