/*-------------------------------------------------------------------------
 *
 * 38_create_delegation_token.h
 *	  CreateDelegationToken (API key 38), versions 1 to 3.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CREATE_DELEGATION_TOKEN_H
#define KAFKA_MESSAGES_CREATE_DELEGATION_TOKEN_H

#include "kafka/message_rows.h"

#define DELEGATION_TOKEN_RENEWER_ROWS(F) \
	F(STRING, principal_type,  0, LATEST) \
	F(STRING, principal_name,  0, LATEST)
KAFKA_STRUCT(DelegationTokenRenewer, DELEGATION_TOKEN_RENEWER_ROWS)

#define CREATE_DELEGATION_TOKEN_REQUEST_ROWS(F) \
	F(STRING,                        owner_principal_type,  3, LATEST, NULLABLE(3)) \
	F(STRING,                        owner_principal_name,  3, LATEST, NULLABLE(3)) \
	F(ARRAY(DelegationTokenRenewer), renewers,              0, LATEST) \
	F(INT64,                         max_lifetime_ms,       0, LATEST)
KAFKA_STRUCT(CreateDelegationTokenRequest, CREATE_DELEGATION_TOKEN_REQUEST_ROWS)

#define CREATE_DELEGATION_TOKEN_RESPONSE_ROWS(F) \
	F(INT16,  error_code,                      0, LATEST) \
	F(STRING, principal_type,                  0, LATEST) \
	F(STRING, principal_name,                  0, LATEST) \
	F(STRING, token_requester_principal_type,  3, LATEST) \
	F(STRING, token_requester_principal_name,  3, LATEST) \
	F(INT64,  issue_timestamp_ms,              0, LATEST) \
	F(INT64,  expiry_timestamp_ms,             0, LATEST) \
	F(INT64,  max_timestamp_ms,                0, LATEST) \
	F(STRING, token_id,                        0, LATEST) \
	F(BYTES,  hmac,                            0, LATEST) \
	F(INT32,  throttle_time_ms,                0, LATEST)
KAFKA_STRUCT(CreateDelegationTokenResponse, CREATE_DELEGATION_TOKEN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CREATE_DELEGATION_TOKEN_H */
