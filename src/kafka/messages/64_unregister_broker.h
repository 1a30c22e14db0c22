/*-------------------------------------------------------------------------
 *
 * 64_unregister_broker.h
 *	  UnregisterBroker (API key 64), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_UNREGISTER_BROKER_H
#define KAFKA_MESSAGES_UNREGISTER_BROKER_H

#include "kafka/message_rows.h"

#define UNREGISTER_BROKER_REQUEST_ROWS(F) \
	F(INT32, broker_id,  0, LATEST)
KAFKA_STRUCT(UnregisterBrokerRequest, UNREGISTER_BROKER_REQUEST_ROWS)

#define UNREGISTER_BROKER_RESPONSE_ROWS(F) \
	F(INT32,  throttle_time_ms,  0, LATEST) \
	F(INT16,  error_code,        0, LATEST) \
	F(STRING, error_message,     0, LATEST, NULLABLE(0))
KAFKA_STRUCT(UnregisterBrokerResponse, UNREGISTER_BROKER_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_UNREGISTER_BROKER_H */
