/*-------------------------------------------------------------------------
 *
 * 22_init_producer_id.h
 *	  InitProducerId (API key 22), versions 0 to 5.
 *
 * From 3 on a producer may name the id and epoch it has, to get the next epoch
 * (KIP-360).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_INIT_PRODUCER_ID_H
#define KAFKA_MESSAGES_INIT_PRODUCER_ID_H

#include "kafka/message_rows.h"

#define INIT_PRODUCER_ID_REQUEST_ROWS(F) \
	F(STRING, transactional_id,        0, LATEST, NULLABLE(0)) \
	F(INT32,  transaction_timeout_ms,  0, LATEST) \
	F(INT64,  producer_id,             3, LATEST, DEFAULT(-1)) \
	F(INT16,  producer_epoch,          3, LATEST, DEFAULT(-1))
KAFKA_STRUCT(InitProducerIdRequest, INIT_PRODUCER_ID_REQUEST_ROWS)

#define INIT_PRODUCER_ID_RESPONSE_ROWS(F) \
	F(INT32, throttle_time_ms,  0, LATEST) \
	F(INT16, error_code,        0, LATEST) \
	F(INT64, producer_id,       0, LATEST, DEFAULT(-1)) \
	F(INT16, producer_epoch,    0, LATEST)
KAFKA_STRUCT(InitProducerIdResponse, INIT_PRODUCER_ID_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_INIT_PRODUCER_ID_H */
