/*-------------------------------------------------------------------------
 *
 * 66_list_transactions.c
 *	  ListTransactions: transactional ids, as the client filters them.
 *
 * Ids that the client may not describe are left out.  An id without an open
 * transaction has no duration, so a filter by duration leaves it out, too.
 *
 * Versions: 1 and later filter by duration, 2 by a regular expression.
 *
 * Siblings: ../txns.h, ../topic_regex.h; 65_describe_transactions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/topic_regex.h"
#include "kafka/txns.h"

/*
 * Is the state one of those that are asked for?
 */
static bool
has_state(const ListTransactionsRequest *in, TxnState state)
{
	for (int i = 0; i < in->state_filters.n; i++)
	{
		TxnState	asked;

		if (txn_state_by_name(in->state_filters.items[i], &asked) && asked == state)
			return true;
	}
	return in->state_filters.n == 0;
}

static bool
has_producer(const ListTransactionsRequest *in, int64 producer_id)
{
	for (int i = 0; i < in->producer_id_filters.n; i++)
	{
		if (in->producer_id_filters.items[i] == producer_id)
			return true;
	}
	return in->producer_id_filters.n == 0;
}

static bool
is_asked_for(KafkaCall *call, const TxnInfo *info)
{
	const ListTransactionsRequest *in = call->request;

	if (!has_state(in, info->shown) || !has_producer(in, info->image.producer_id))
		return false;
	if (in->duration_filter >= 0 &&
		(info->image.state != TXN_ONGOING || kafka_txns_now() - info->image.started_at <= in->duration_filter))
		return false;
	if (in->transactional_id_pattern.len > 0 &&
		!kafka_regex_matches(in->transactional_id_pattern, info->transactional_id))
		return false;
	return kafka_may_transactional_id(call, info->transactional_id, PT_OP_DESCRIBE);
}

/*
 * KafkaHandler.fail
 */
static void
list_transactions_fail(KafkaCall *call, int16 code, const char *message)
{
	ListTransactionsResponse *out = call->response;

	out->error_code = kafka_txn_error(code);
}

/*
 * Lists the names of states that are none, so that a client sees a typing
 * error.
 */
static void
list_unknown_states(KafkaCall *call)
{
	const ListTransactionsRequest *in = call->request;
	ListTransactionsResponse *out = call->response;
	TxnState	state;

	out->unknown_state_filters.items = palloc(sizeof(KafkaString) * Max(in->state_filters.n, 1));
	for (int i = 0; i < in->state_filters.n; i++)
	{
		if (!txn_state_by_name(in->state_filters.items[i], &state))
			out->unknown_state_filters.items[out->unknown_state_filters.n++] = in->state_filters.items[i];
	}
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
	TxnError	error;
	const TxnStates *states;
	TxnInfo    *infos;
	int			n;

	if (pattern.len > 0 && kafka_topic_regex_valid(NULL, pattern) != NULL)
	{
		out->error_code = KERR_INVALID_REGULAR_EXPRESSION;
		return KAFKA_REPLY;
	}
	list_unknown_states(call);
	states = kafka_txns(&error);
	out->error_code = (int16) error;
	if (states == NULL)
		return KAFKA_REPLY;
	infos = txn_list(states, &n);
	KAFKA_RESIZE(call, out->transaction_states, ListedTransaction, n);
	out->transaction_states.n = 0;
	for (int i = 0; i < n; i++)
	{
		ListedTransaction *listed = &out->transaction_states.items[out->transaction_states.n];

		if (!is_asked_for(call, &infos[i]))
			continue;
		listed->transactional_id = pt_string_copy(infos[i].transactional_id);
		listed->producer_id = infos[i].image.producer_id;
		listed->transaction_state = kafka_string(txn_state_name(infos[i].shown));
		out->transaction_states.n++;
	}
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_list_transactions = {
	.begin = list_transactions_begin,
	.fail = list_transactions_fail
};
