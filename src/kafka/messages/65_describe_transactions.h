/*-------------------------------------------------------------------------
 *
 * 65_describe_transactions.h
 *	  DescribeTransactions (API key 65), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_TRANSACTIONS_H
#define KAFKA_MESSAGES_DESCRIBE_TRANSACTIONS_H

#include "kafka/message_rows.h"

#define DESCRIBE_TRANSACTIONS_REQUEST_ROWS(F) \
	F(LIST(STRING), transactional_ids,  0, LATEST)
KAFKA_STRUCT(DescribeTransactionsRequest, DESCRIBE_TRANSACTIONS_REQUEST_ROWS)

#define DESCRIBED_TRANSACTION_TOPIC_ROWS(F) \
	F(STRING,      topic,       0, LATEST) \
	F(LIST(INT32), partitions,  0, LATEST)
KAFKA_STRUCT(DescribedTransactionTopic, DESCRIBED_TRANSACTION_TOPIC_ROWS)

#define DESCRIBED_TRANSACTION_ROWS(F) \
	F(INT16,                            error_code,                 0, LATEST) \
	F(STRING,                           transactional_id,           0, LATEST) \
	F(STRING,                           transaction_state,          0, LATEST) \
	F(INT32,                            transaction_timeout_ms,     0, LATEST) \
	F(INT64,                            transaction_start_time_ms,  0, LATEST) \
	F(INT64,                            producer_id,                0, LATEST) \
	F(INT16,                            producer_epoch,             0, LATEST) \
	F(ARRAY(DescribedTransactionTopic), topics,                     0, LATEST)
KAFKA_STRUCT(DescribedTransaction, DESCRIBED_TRANSACTION_ROWS)

#define DESCRIBE_TRANSACTIONS_RESPONSE_ROWS(F) \
	F(INT32,                       throttle_time_ms,    0, LATEST) \
	F(ARRAY(DescribedTransaction), transaction_states,  0, LATEST)
KAFKA_STRUCT(DescribeTransactionsResponse, DESCRIBE_TRANSACTIONS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_TRANSACTIONS_H */
