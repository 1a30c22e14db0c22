/*-------------------------------------------------------------------------
 *
 * 65_describe_transactions.c
 *	  DescribeTransactions: transactional ids and their transactions.
 *
 * Topics that the client may not describe are left out.  Once the
 * transactions have so many partitions as one description returns, no more
 * ids are described.
 *
 * Siblings: ../txns.h; 66_list_transactions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "kafka/allowed.h"
#include "kafka/broker.h"
#include "kafka/txns.h"

/*
 * Adds the partitions of the transaction.
 */
static void
add_topics(KafkaCall *call, const TxnInfo *info, DescribedTransaction *out)
{
	KAFKA_RESIZE(call, out->topics, DescribedTransactionTopic, info->ntopics);
	out->topics.n = 0;
	for (int i = 0; i < info->ntopics; i++)
	{
		const TxnTopic *from = &info->topics[i];
		const PtTopic *topic = pt_topic_by_string(from->name);
		DescribedTransactionTopic *to = &out->topics.items[out->topics.n];

		if (topic == NULL || !kafka_may_topic(call, topic, PT_OP_DESCRIBE))
			continue;
		to->topic = pt_string_copy(from->name);
		to->partitions.n = from->n;
		to->partitions.items = palloc(sizeof(int32) * Max(from->n, 1));
		memcpy(to->partitions.items, from->partitions, sizeof(int32) * from->n);
		out->topics.n++;
	}
}

static int
count_partitions(const TxnInfo *info)
{
	int			n = 0;

	for (int i = 0; i < info->ntopics; i++)
		n += info->topics[i].n;
	return n;
}

/*
 * Describes one id; "error" is one that is known already.  *left is how many
 * partitions there is still room for; the last transaction may have more.
 */
static void
describe(KafkaCall *call, const TxnStates *states, KafkaString id, int16 error, int *left, DescribedTransaction *out)
{
	TxnInfo		info;

	out->transactional_id = id;
	if (id.len <= 0)
		error = KERR_INVALID_REQUEST;
	else if (!kafka_may_transactional_id(call, id, PT_OP_DESCRIBE))
		error = KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	else if (error == KERR_NONE && *left <= 0)
		error = KERR_INVALID_REQUEST;
	else if (error == KERR_NONE && !txn_describe(states, id, &info))
		error = KERR_TRANSACTIONAL_ID_NOT_FOUND;
	out->error_code = error;
	if (error != KERR_NONE)
		return;
	out->transaction_state = kafka_string(txn_state_name(info.shown));
	out->transaction_timeout_ms = info.image.timeout_ms;
	out->transaction_start_time_ms = info.image.state == TXN_ONGOING ? info.image.started_at : TXN_TIMESTAMP_NONE;
	out->producer_id = info.image.producer_id;
	out->producer_epoch = info.image.epoch;
	add_topics(call, &info, out);
	*left -= count_partitions(&info);
}

/*
 * Answers for all ids.
 */
static void
walk_request(KafkaCall *call, const TxnStates *states, int16 error)
{
	const DescribeTransactionsRequest *in = call->request;
	DescribeTransactionsResponse *out = call->response;
	int			left = KAFKA_DESCRIBE_LIMIT;

	Assert(states != NULL || error != KERR_NONE);
	KAFKA_RESIZE(call, out->transaction_states, DescribedTransaction, in->transactional_ids.n);
	for (int i = 0; i < in->transactional_ids.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		describe(call, states, in->transactional_ids.items[i], error, &left, &out->transaction_states.items[i]);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_transactions_begin(KafkaCall *call)
{
	TxnError	error;
	const TxnStates *states = kafka_txns(&error);

	walk_request(call, states, (int16) error);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_transactions_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, NULL, kafka_txn_error(code));
}

const KafkaHandler kafka_handler_describe_transactions = {
	.begin = describe_transactions_begin,
	.fail = describe_transactions_fail
};
