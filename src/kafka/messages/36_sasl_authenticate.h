/*-------------------------------------------------------------------------
 *
 * 36_sasl_authenticate.h
 *	  SaslAuthenticate (API key 36), versions 0 to 2.
 *
 * Version 1 tells how long the session lasts (KIP-368); 2 is flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_SASL_AUTHENTICATE_H
#define KAFKA_MESSAGES_SASL_AUTHENTICATE_H

#include "kafka/message_rows.h"

#define SASL_AUTHENTICATE_REQUEST_ROWS(F) \
	F(BYTES, auth_bytes,  0, LATEST)
KAFKA_STRUCT(SaslAuthenticateRequest, SASL_AUTHENTICATE_REQUEST_ROWS)

#define SASL_AUTHENTICATE_RESPONSE_ROWS(F) \
	F(INT16,  error_code,           0, LATEST) \
	F(STRING, error_message,        0, LATEST, NULLABLE(0)) \
	F(BYTES,  auth_bytes,           0, LATEST) \
	F(INT64,  session_lifetime_ms,  1, LATEST)
KAFKA_STRUCT(SaslAuthenticateResponse, SASL_AUTHENTICATE_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_SASL_AUTHENTICATE_H */
