/*-------------------------------------------------------------------------
 *
 * 22_init_producer_id.c
 *	  InitProducerId: an id for an idempotent producer.
 *
 * Ids come from the engine in blocks, so that most calls touch nothing shared.
 *
 * Kafka transactions are not supported.  A transactional id is answered with
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED, the one code that every client takes
 * as final: librdkafka tries again after most others, INVALID_REQUEST too,
 * until init_transactions() runs out of time.
 *
 * Siblings: ../call.c; ../../produce/produce.h (pt_producer_ids_allocate).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"
#include "xact/xact.h"

#define PRODUCER_ID_BLOCK	100

/*
 * An id that nobody has.  It may be told once WAL is durable up to *lsn, or a
 * crash would give it to somebody else.
 */
static int64
next_producer_id(XLogRecPtr *lsn)
{
	static int64 next;
	static int	left;
	static XLogRecPtr allocated_lsn;

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
 * Without a transactional id every request gets a new producer id, whatever id
 * and epoch it carries, as in Kafka: an idempotent producer raises its epoch
 * by itself (KIP-360).
 */
static KafkaOutcome
init_producer_id_begin(KafkaCall *call)
{
	const InitProducerIdRequest *in = call->request;
	InitProducerIdResponse *out = call->response;

	if (in->transactional_id.len >= 0)
	{
		/* a client takes this as final, whatever it is made of */
		out->error_code = in->transactional_id.len == 0 ? KERR_INVALID_REQUEST :
			KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
		out->producer_epoch = -1;
	}
	else
	{
		out->producer_id = next_producer_id(&call->lsn);
		out->producer_epoch = 0;
	}
	return KAFKA_REPLY;
}

/* Of the codes for what passes this is the one that all clients know here. */
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
