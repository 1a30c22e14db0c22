/*-------------------------------------------------------------------------
 *
 * 41_describe_delegation_token.h
 *	  DescribeDelegationToken (API key 41), versions 1 to 3.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_DELEGATION_TOKEN_H
#define KAFKA_MESSAGES_DESCRIBE_DELEGATION_TOKEN_H

#include "kafka/message_rows.h"

#define DESCRIBE_DELEGATION_TOKEN_OWNER_ROWS(F) \
	F(STRING, principal_type,  0, LATEST) \
	F(STRING, principal_name,  0, LATEST)
KAFKA_STRUCT(DescribeDelegationTokenOwner, DESCRIBE_DELEGATION_TOKEN_OWNER_ROWS)

#define DESCRIBE_DELEGATION_TOKEN_REQUEST_ROWS(F) \
	F(ARRAY(DescribeDelegationTokenOwner), owners,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeDelegationTokenRequest, DESCRIBE_DELEGATION_TOKEN_REQUEST_ROWS)

#define DESCRIBED_DELEGATION_TOKEN_RENEWER_ROWS(F) \
	F(STRING, principal_type,  0, LATEST) \
	F(STRING, principal_name,  0, LATEST)
KAFKA_STRUCT(DescribedDelegationTokenRenewer, DESCRIBED_DELEGATION_TOKEN_RENEWER_ROWS)

#define DESCRIBED_DELEGATION_TOKEN_ROWS(F) \
	F(STRING,                                 principal_type,                  0, LATEST) \
	F(STRING,                                 principal_name,                  0, LATEST) \
	F(STRING,                                 token_requester_principal_type,  3, LATEST) \
	F(STRING,                                 token_requester_principal_name,  3, LATEST) \
	F(INT64,                                  issue_timestamp,                 0, LATEST) \
	F(INT64,                                  expiry_timestamp,                0, LATEST) \
	F(INT64,                                  max_timestamp,                   0, LATEST) \
	F(STRING,                                 token_id,                        0, LATEST) \
	F(BYTES,                                  hmac,                            0, LATEST) \
	F(ARRAY(DescribedDelegationTokenRenewer), renewers,                        0, LATEST)
KAFKA_STRUCT(DescribedDelegationToken, DESCRIBED_DELEGATION_TOKEN_ROWS)

#define DESCRIBE_DELEGATION_TOKEN_RESPONSE_ROWS(F) \
	F(INT16,                           error_code,        0, LATEST) \
	F(ARRAY(DescribedDelegationToken), tokens,            0, LATEST) \
	F(INT32,                           throttle_time_ms,  0, LATEST)
KAFKA_STRUCT(DescribeDelegationTokenResponse, DESCRIBE_DELEGATION_TOKEN_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_DELEGATION_TOKEN_H */
