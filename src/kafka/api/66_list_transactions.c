/*-------------------------------------------------------------------------
 *
 * 66_list_transactions.c
 *	  ListTransactions: there are none.
 *
 * Filters are checked nevertheless, so that a client sees a typing error.
 *
 * Siblings: refused.c (DescribeTransactions); ../topic_regex.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"
#include "kafka/topic_regex.h"

/*
 * The states of transactions in Kafka's protocol.
 */
static const char *const states[] = {
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"
};

/*
 * True if the name is one of a state.
 */
static bool
is_state(KafkaString name)
{
	for (int i = 0; i < lengthof(states); i++)
	{
		if (pt_string_equal(name, kafka_string(states[i])))
			return true;
	}
	return false;
}

/*
 * KafkaHandler.fail
 */
static void
list_transactions_fail(KafkaCall *call, int16 code, const char *message)
{
	ListTransactionsResponse *out = call->response;

	out->error_code = code;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
list_transactions_begin(KafkaCall *call)
{
	const ListTransactionsRequest *in = call->request;
	ListTransactionsResponse *out = call->response;
	KafkaString pattern = in->transactional_id_pattern;

	if (pattern.len > 0 && kafka_topic_regex_valid(NULL, pattern) != NULL)
	{
		out->error_code = KERR_INVALID_REGULAR_EXPRESSION;
		return KAFKA_REPLY;
	}
	out->unknown_state_filters.items = palloc(sizeof(KafkaString) * Max(in->state_filters.n, 1));
	for (int i = 0; i < in->state_filters.n; i++)
	{
		if (!is_state(in->state_filters.items[i]))
			out->unknown_state_filters.items[out->unknown_state_filters.n++] = in->state_filters.items[i];
	}
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_list_transactions = {
	.begin = list_transactions_begin,
	.fail = list_transactions_fail
};
