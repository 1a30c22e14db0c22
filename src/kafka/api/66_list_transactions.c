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

#include "miscadmin.h"

#include "kafka/allowed.h"
#include "kafka/topic_regex.h"
#include "kafka/txns.h"

/* States that there are none of, in one answer. */
#define UNKNOWN_STATES_MAX	100

/* What is asked for. */
typedef struct Filter
{
	uint32		states;			/* a bit of each */
	int64	   *producer_ids;	/* in their order */
	int			nproducer_ids;	/* 0: all */
	int64		duration_ms;	/* more than that; -1: any */
	KafkaString pattern;		/* empty or null: any */
} Filter;

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/*
 * Names of states that are none go into the response, so that a client sees a
 * typing error.
 */
static void
set_states(KafkaCall *call, Filter *filter)
{
	const ListTransactionsRequest *in = call->request;
	ListTransactionsResponse *out = call->response;
	int			max = Min(in->state_filters.n, UNKNOWN_STATES_MAX);
	TxnState	state;

	StaticAssertStmt(TXN_NSTATES < 32, "states fit into the mask");
	filter->states = in->state_filters.n == 0 ? ~(uint32) 0 : 0;
	out->unknown_state_filters.items = palloc(sizeof(KafkaString) * Max(max, 1));
	for (int i = 0; i < in->state_filters.n; i++)
	{
		if (txn_state_by_name(in->state_filters.items[i], &state))
			filter->states |= (uint32) 1 << state;
		else if (out->unknown_state_filters.n < max)
			out->unknown_state_filters.items[out->unknown_state_filters.n++] = in->state_filters.items[i];
	}
}

static void
set_producer_ids(KafkaCall *call, Filter *filter)
{
	const ListTransactionsRequest *in = call->request;
	Size		size = sizeof(int64) * in->producer_id_filters.n;

	filter->nproducer_ids = in->producer_id_filters.n;
	if (filter->nproducer_ids == 0)
		return;
	filter->producer_ids = MemoryContextAllocHuge(call->mcxt, size);
	memcpy(filter->producer_ids, in->producer_id_filters.items, size);
	qsort(filter->producer_ids, filter->nproducer_ids, sizeof(int64), compare_ids);
}

/*
 * Takes the request apart.  Returns an error code.
 */
static int16
make_filter(KafkaCall *call, Filter *filter)
{
	const ListTransactionsRequest *in = call->request;

	filter->duration_ms = in->duration_filter;
	filter->pattern = in->transactional_id_pattern;
	if (filter->pattern.len > 0 && kafka_topic_regex_valid(NULL, filter->pattern) != NULL)
		return KERR_INVALID_REGULAR_EXPRESSION;
	set_states(call, filter);
	set_producer_ids(call, filter);
	return KERR_NONE;
}

static bool
has_producer(const Filter *filter, int64 producer_id)
{
	return filter->nproducer_ids == 0 ||
		bsearch(&producer_id, filter->producer_ids, filter->nproducer_ids, sizeof(int64), compare_ids) != NULL;
}

/*
 * The right comes first: who may see nothing has the server compare nothing.
 */
static bool
is_asked_for(KafkaCall *call, const Filter *filter, const TxnInfo *info)
{
	if (!kafka_may_transactional_id(call, info->transactional_id, PT_OP_DESCRIBE))
		return false;
	if ((filter->states & ((uint32) 1 << info->shown)) == 0 || !has_producer(filter, info->image.producer_id))
		return false;
	if (filter->duration_ms >= 0 &&
		(info->image.state != TXN_ONGOING || kafka_txns_now() - info->image.started_at <= filter->duration_ms))
		return false;
	return filter->pattern.len <= 0 || kafka_regex_matches(filter->pattern, info->transactional_id);
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
 * KafkaHandler.begin
 */
static KafkaOutcome
list_transactions_begin(KafkaCall *call)
{
	ListTransactionsResponse *out = call->response;
	Filter		filter = {0};
	TxnError	error;
	const TxnStates *states;
	TxnInfo    *infos;
	int			n;

	out->error_code = make_filter(call, &filter);
	if (out->error_code != KERR_NONE)
		return KAFKA_REPLY;
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

		CHECK_FOR_INTERRUPTS();
		if (!is_asked_for(call, &filter, &infos[i]))
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
