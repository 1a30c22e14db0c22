/*-------------------------------------------------------------------------
 *
 * 39_renew_delegation_token.h
 *	  RenewDelegationToken (API key 39), versions 1 to 2.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_RENEW_DELEGATION_TOKEN_H
#define KAFKA_MESSAGES_RENEW_DELEGATION_TOKEN_H

#include "kafka/message_rows.h"

#define RENEW_DELEGATION_TOKEN_REQUEST_ROWS(F) \
	F(BYTES, hmac,             0, LATEST) \
	F(INT64, renew_period_ms,  0, LATEST)
KAFKA_STRUCT(RenewDelegationTokenRequest, RENEW_DELEGATION_TOKEN_REQUEST_ROWS)

#define RENEW_DELEGATION_TOKEN_RESPONSE_ROWS(F) \
	F(INT16, error_code,           0, LATEST) \
	F(INT64, expiry_timestamp_ms,  0, LATEST) \
	F(INT32, throttle_time_ms,     0, LATEST)
KAFKA_STRUCT(RenewDelegationTokenResponse, RENEW_DELEGATION_TOKEN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_RENEW_DELEGATION_TOKEN_H */
