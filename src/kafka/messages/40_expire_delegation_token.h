/*-------------------------------------------------------------------------
 *
 * 40_expire_delegation_token.h
 *	  ExpireDelegationToken (API key 40), versions 1 to 2.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_EXPIRE_DELEGATION_TOKEN_H
#define KAFKA_MESSAGES_EXPIRE_DELEGATION_TOKEN_H

#include "kafka/message_rows.h"

#define EXPIRE_DELEGATION_TOKEN_REQUEST_ROWS(F) \
	F(BYTES, hmac,                   0, LATEST) \
	F(INT64, expiry_time_period_ms,  0, LATEST)
KAFKA_STRUCT(ExpireDelegationTokenRequest, EXPIRE_DELEGATION_TOKEN_REQUEST_ROWS)

#define EXPIRE_DELEGATION_TOKEN_RESPONSE_ROWS(F) \
	F(INT16, error_code,           0, LATEST) \
	F(INT64, expiry_timestamp_ms,  0, LATEST) \
	F(INT32, throttle_time_ms,     0, LATEST)
KAFKA_STRUCT(ExpireDelegationTokenResponse, EXPIRE_DELEGATION_TOKEN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_EXPIRE_DELEGATION_TOKEN_H */
