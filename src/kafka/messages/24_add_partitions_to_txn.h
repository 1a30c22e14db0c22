/*-------------------------------------------------------------------------
 *
 * 24_add_partitions_to_txn.h
 *	  AddPartitionsToTxn (API key 24), versions 0 to 5.
 *
 * Up to 3 from clients, about one transaction; from 4 on from brokers, about
 * many, which may also ask whether partitions are in it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ADD_PARTITIONS_TO_TXN_H
#define KAFKA_MESSAGES_ADD_PARTITIONS_TO_TXN_H

#include "kafka/message_rows.h"

#define ADD_PARTITIONS_TO_TXN_TOPIC_ROWS(F) \
	F(STRING,      name,        0, LATEST) \
	F(LIST(INT32), partitions,  0, LATEST)
KAFKA_STRUCT(AddPartitionsToTxnTopic, ADD_PARTITIONS_TO_TXN_TOPIC_ROWS)

#define ADD_PARTITIONS_TO_TXN_TRANSACTION_ROWS(F) \
	F(STRING,                         transactional_id,  4, LATEST) \
	F(INT64,                          producer_id,       4, LATEST) \
	F(INT16,                          producer_epoch,    4, LATEST) \
	F(BOOL,                           verify_only,       4, LATEST) \
	F(ARRAY(AddPartitionsToTxnTopic), topics,            4, LATEST)
KAFKA_STRUCT(AddPartitionsToTxnTransaction, ADD_PARTITIONS_TO_TXN_TRANSACTION_ROWS)

#define ADD_PARTITIONS_TO_TXN_REQUEST_ROWS(F) \
	F(ARRAY(AddPartitionsToTxnTransaction), transactions,                   4, LATEST) \
	F(STRING,                               v3_and_below_transactional_id,  0, 3) \
	F(INT64,                                v3_and_below_producer_id,       0, 3) \
	F(INT16,                                v3_and_below_producer_epoch,    0, 3) \
	F(ARRAY(AddPartitionsToTxnTopic),       v3_and_below_topics,            0, 3)
KAFKA_STRUCT(AddPartitionsToTxnRequest, ADD_PARTITIONS_TO_TXN_REQUEST_ROWS)

#define ADD_PARTITIONS_TO_TXN_PARTITION_RESULT_ROWS(F) \
	F(INT32, partition_index,       0, LATEST) \
	F(INT16, partition_error_code,  0, LATEST)
KAFKA_STRUCT(AddPartitionsToTxnPartitionResult, ADD_PARTITIONS_TO_TXN_PARTITION_RESULT_ROWS)

#define ADD_PARTITIONS_TO_TXN_TOPIC_RESULT_ROWS(F) \
	F(STRING,                                   name,                  0, LATEST) \
	F(ARRAY(AddPartitionsToTxnPartitionResult), results_by_partition,  0, LATEST)
KAFKA_STRUCT(AddPartitionsToTxnTopicResult, ADD_PARTITIONS_TO_TXN_TOPIC_RESULT_ROWS)

#define ADD_PARTITIONS_TO_TXN_RESULT_ROWS(F) \
	F(STRING,                               transactional_id,  4, LATEST) \
	F(ARRAY(AddPartitionsToTxnTopicResult), topic_results,     4, LATEST)
KAFKA_STRUCT(AddPartitionsToTxnResult, ADD_PARTITIONS_TO_TXN_RESULT_ROWS)

#define ADD_PARTITIONS_TO_TXN_RESPONSE_ROWS(F) \
	F(INT32,                                throttle_time_ms,                0, LATEST) \
	F(INT16,                                error_code,                      4, LATEST) \
	F(ARRAY(AddPartitionsToTxnResult),      results_by_transaction,          4, LATEST) \
	F(ARRAY(AddPartitionsToTxnTopicResult), results_by_topic_v3_and_below,   0, 3)
KAFKA_STRUCT(AddPartitionsToTxnResponse, ADD_PARTITIONS_TO_TXN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ADD_PARTITIONS_TO_TXN_H */
