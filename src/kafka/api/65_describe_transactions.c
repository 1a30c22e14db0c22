/*-------------------------------------------------------------------------
 *
 * 65_describe_transactions.c
 *	  DescribeTransactions: there are none.
 *
 * Transactional ids are refused by InitProducerId, so no id is known.
 *
 * Siblings: 66_list_transactions.c, 22_init_producer_id.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

/* error: KERR_NONE for what is true of each. */
static void
walk_request(KafkaCall *call, int16 error)
{
	const DescribeTransactionsRequest *in = call->request;
	DescribeTransactionsResponse *out = call->response;

	KAFKA_RESIZE(call, out->transaction_states, DescribedTransaction, in->transactional_ids.n);
	for (int i = 0; i < in->transactional_ids.n; i++)
	{
		DescribedTransaction *result = &out->transaction_states.items[i];

		result->transactional_id = in->transactional_ids.items[i];
		if (error != KERR_NONE)
			result->error_code = error;
		else if (result->transactional_id.len <= 0)
			result->error_code = KERR_INVALID_REQUEST;
		else
			result->error_code = KERR_TRANSACTIONAL_ID_NOT_FOUND;
	}
}

static KafkaOutcome
describe_transactions_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE);
	return KAFKA_REPLY;
}

static void
describe_transactions_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code);
}

const KafkaHandler kafka_handler_describe_transactions = {
	.begin = describe_transactions_begin,
	.fail = describe_transactions_fail
};
