/*-------------------------------------------------------------------------
 *
 * 26_end_txn.c
 *	  EndTxn: commits or aborts a transaction.
 *
 * The answer to a commit comes when all that was staged is in its logs and
 * durable, as with acks=all.
 *
 * From version 5 on each end gives the producer its next epoch (KIP-890),
 * which the answer tells.
 *
 * A session of SQL aborts the transaction of whoever has the id by epoch -1,
 * which no producer has: that is abort_transaction().
 *
 * Siblings: ../txns.h; ../../stats/transaction_views.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/txns.h"

#define FIRST_WITH_EPOCHS	5

/*
 * KafkaTxnAnswer
 */
static void
take_answer(KafkaCall *call, const TxnOut *reply, void *arg)
{
	EndTxnResponse *out = call->response;

	out->error_code = (int16) txn_error_for(reply->error, call->api_key, call->api_version);
	out->producer_id = reply->producer_id;
	out->producer_epoch = reply->producer_epoch;
}

static bool
is_operator(const KafkaCall *call)
{
	const EndTxnRequest *in = call->request;

	return strcmp(call->session->mechanism, KAFKA_MECHANISM_SQL) == 0 && in->producer_epoch == TXN_NO_EPOCH &&
		!in->committed;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
end_txn_begin(KafkaCall *call)
{
	const EndTxnRequest *in = call->request;
	EndTxnResponse *out = call->response;
	TxnEvent	event = {.type = TXN_EV_END,.transactional_id = in->transactional_id};

	if (!kafka_may_transactional_id(call, in->transactional_id, PT_OP_WRITE))
	{
		out->error_code = KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	if (is_operator(call))
		event.type = TXN_EV_ABORT;
	event.producer_id = in->producer_id;
	event.producer_epoch = in->producer_epoch;
	event.commit = in->committed;
	event.v2 = call->api_version >= FIRST_WITH_EPOCHS;
	kafka_txn_ask(call, &event, take_answer, NULL);
	return kafka_txn_asked(call);
}

/*
 * KafkaHandler.fail
 */
static void
end_txn_fail(KafkaCall *call, int16 code, const char *message)
{
	EndTxnResponse *out = call->response;

	out->error_code = kafka_txn_error(code);
}

const KafkaHandler kafka_handler_end_txn = {
	.begin = end_txn_begin,
	.resume = kafka_txn_resume,
	.fail = end_txn_fail
};
