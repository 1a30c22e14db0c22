/*-------------------------------------------------------------------------
 *
 * 22_init_producer_id.c
 *	  InitProducerId: gives an id to an idempotent producer.
 *
 * Ids are allocated in blocks, so that most calls do not touch shared state.
 *
 * Kafka transactions are not supported.  A transactional id is answered with
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED, the one code that all clients take as
 * final: librdkafka tries again after most others, also after INVALID_REQUEST,
 * until init_transactions() times out.
 *
 * Siblings: ../call.c; ../../produce/produce.h (pt_producer_ids_allocate).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "xact/xact.h"

#define PRODUCER_ID_BLOCK	100

/*
 * Returns an unused id.  It may be told to a client when WAL is durable up to
 * *lsn; otherwise a crash could give it to another producer.
 */
static int64
next_producer_id(XLogRecPtr *lsn)
{
	static int64 next;
	static int	left;
	static XLogRecPtr allocated_lsn;

	Assert(left >= 0);
	if (left == 0)
	{
		next = pt_producer_ids_allocate(PRODUCER_ID_BLOCK);
		left = PRODUCER_ID_BLOCK;
		allocated_lsn = pt_wal_insert_end();
		pt_commit_request(allocated_lsn);
	}
	left--;
	*lsn = allocated_lsn;
	return next++;
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
	{
		/* clients take this as final */
		out->error_code = in->transactional_id.len == 0 ? KERR_INVALID_REQUEST :
			KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
		out->producer_epoch = -1;
	}
	else if (!pt_rights_write_any(call->session->role) && !kafka_may_cluster(call, PT_OP_IDEMPOTENT_WRITE))
	{
		out->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
		out->producer_epoch = -1;
	}
	else
	{
		out->producer_id = next_producer_id(&call->lsn);
		out->producer_epoch = 0;
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail.  Of the codes for temporary errors this is the one that
 * all clients know here.
 */
static void
init_producer_id_fail(KafkaCall *call, int16 code, const char *message)
{
	InitProducerIdResponse *out = call->response;

	out->error_code = code == KERR_REQUEST_TIMED_OUT || code == KERR_KAFKA_STORAGE_ERROR ?
		KERR_COORDINATOR_LOAD_IN_PROGRESS : code;
	out->producer_epoch = -1;
}

const KafkaHandler kafka_handler_init_producer_id = {
	.begin = init_producer_id_begin,
	.fail = init_producer_id_fail
};
