/*-------------------------------------------------------------------------
 *
 * 25_add_offsets_to_txn.c
 *	  AddOffsetsToTxn: a group's offsets will be part of the transaction.
 *
 * The group's partition of __consumer_offsets comes to the transaction, as if
 * it was one that is produced to.  Clients that send TxnOffsetCommit 5 do
 * without this request.
 *
 * Siblings: ../txns.h; 28_txn_offset_commit.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/txns.h"

/*
 * KafkaTxnAnswer
 */
static void
take_answer(KafkaCall *call, const TxnOut *reply, void *arg)
{
	AddOffsetsToTxnResponse *out = call->response;

	out->error_code = (int16) txn_error_for(reply->error, call->api_key, call->api_version);
}

/*
 * Returns the error that can be told without the coordinator.
 */
static int16
check(KafkaCall *call)
{
	const AddOffsetsToTxnRequest *in = call->request;

	if (!kafka_may_transactional_id(call, in->transactional_id, PT_OP_WRITE))
		return KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	if (!kafka_group_id_valid(in->group_id))
		return KERR_INVALID_GROUP_ID;
	return kafka_may_group(call, in->group_id, PT_OP_READ) ? KERR_NONE : KERR_GROUP_AUTHORIZATION_FAILED;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
add_offsets_to_txn_begin(KafkaCall *call)
{
	const AddOffsetsToTxnRequest *in = call->request;
	AddOffsetsToTxnResponse *out = call->response;
	TxnEvent	event = {.type = TXN_EV_ADD,.transactional_id = in->transactional_id};
	int32		partition;
	TxnTopic	topic = {pt_string_of(PT_OFFSETS_TOPIC), 1, &partition};

	out->error_code = check(call);
	if (out->error_code != KERR_NONE)
		return KAFKA_REPLY;
	if (kafka_offsets_prepare(call, in->group_id, &out->error_code) == KAFKA_MOVE)
		return KAFKA_MOVE;
	if (out->error_code == KERR_NONE && !kafka_offsets_partition(in->group_id, &partition))
		out->error_code = KERR_COORDINATOR_NOT_AVAILABLE;
	if (out->error_code != KERR_NONE)
		return KAFKA_REPLY;
	event.producer_id = in->producer_id;
	event.producer_epoch = in->producer_epoch;
	event.topics = &topic;
	event.ntopics = 1;
	kafka_txn_ask(call, &event, take_answer, NULL);
	return kafka_txn_asked(call);
}

/*
 * KafkaHandler.fail
 */
static void
add_offsets_to_txn_fail(KafkaCall *call, int16 code, const char *message)
{
	AddOffsetsToTxnResponse *out = call->response;

	out->error_code = kafka_txn_error(code);
}

const KafkaHandler kafka_handler_add_offsets_to_txn = {
	.begin = add_offsets_to_txn_begin,
	.resume = kafka_txn_resume,
	.fail = add_offsets_to_txn_fail
};
