/*-------------------------------------------------------------------------
 *
 * 22_init_producer_id.c
 *	  InitProducerId: gives an id to an idempotent or transactional producer.
 *
 * With a transactional id the coordinator of transactions answers: it gives
 * the next epoch, and so fences everybody who had the id before.
 *
 * Versions: 3 and later may say which producer id and epoch the producer has
 * (KIP-360); 4 knows PRODUCER_FENCED.
 *
 * Siblings: ../txns.h, ../producer_ids.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/txns.h"

static void
refuse(InitProducerIdResponse *out, int16 code)
{
	out->error_code = code;
	out->producer_id = -1;
	out->producer_epoch = -1;
}

/*
 * KafkaTxnAnswer
 */
static void
take_epoch(KafkaCall *call, const TxnOut *reply, void *arg)
{
	InitProducerIdResponse *out = call->response;

	out->error_code = (int16) txn_error_for(reply->error, call->api_key, call->api_version);
	out->producer_id = reply->producer_id;
	out->producer_epoch = reply->producer_epoch;
}

/*
 * The same for a transactional producer.
 */
static KafkaOutcome
begin_transactional(KafkaCall *call)
{
	const InitProducerIdRequest *in = call->request;
	InitProducerIdResponse *out = call->response;
	TxnEvent	event = {.type = TXN_EV_INIT,.transactional_id = in->transactional_id};
	int16		error;

	if (!kafka_txn_id_valid(in->transactional_id))
	{
		refuse(out, KERR_INVALID_REQUEST);
		return KAFKA_REPLY;
	}
	if (!kafka_may_transactional_id(call, in->transactional_id, PT_OP_WRITE))
	{
		refuse(out, KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
		return KAFKA_REPLY;
	}
	if (kafka_txn_prepare(call, in->transactional_id, &error) == KAFKA_MOVE)
		return KAFKA_MOVE;
	if (error != KERR_NONE)
	{
		refuse(out, error);
		return KAFKA_REPLY;
	}
	event.producer_id = in->producer_id;
	event.producer_epoch = in->producer_epoch;
	event.timeout_ms = in->transaction_timeout_ms;
	kafka_txn_ask(call, &event, take_epoch, NULL);
	return kafka_txn_asked(call);
}

/*
 * KafkaHandler.begin.  As in Kafka, a request without a transactional id
 * always gets a new producer id, whatever id and epoch it has: an idempotent
 * producer raises its epoch by itself (KIP-360).
 */
static KafkaOutcome
init_producer_id_begin(KafkaCall *call)
{
	const InitProducerIdRequest *in = call->request;
	InitProducerIdResponse *out = call->response;

	if (in->transactional_id.len >= 0)
		return begin_transactional(call);
	if (!pt_rights_write_any(call->session->role) && !kafka_may_cluster(call, PT_OP_IDEMPOTENT_WRITE))
		refuse(out, KERR_CLUSTER_AUTHORIZATION_FAILED);
	else
	{
		out->producer_id = kafka_producer_id_next(&call->lsn);
		out->producer_epoch = 0;
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail.  Of the codes for temporary errors this is the one that
 * all clients know where there is no transactional id, and so no coordinator
 * to look for.
 */
static void
init_producer_id_fail(KafkaCall *call, int16 code, const char *message)
{
	const InitProducerIdRequest *in = call->request;

	code = kafka_txn_error(code);
	refuse(call->response, code == KERR_COORDINATOR_NOT_AVAILABLE && in->transactional_id.len < 0 ?
		   KERR_COORDINATOR_LOAD_IN_PROGRESS : code);
}

const KafkaHandler kafka_handler_init_producer_id = {
	.begin = init_producer_id_begin,
	.resume = kafka_txn_resume,
	.fail = init_producer_id_fail
};
