/*-------------------------------------------------------------------------
 *
 * 17_sasl_handshake.h
 *	  SaslHandshake (API key 17), versions 0 and 1.
 *
 * No version is flexible.  After version 0 a client sends the mechanism's
 * messages without headers, which is not served.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_SASL_HANDSHAKE_H
#define KAFKA_MESSAGES_SASL_HANDSHAKE_H

#include "kafka/message_rows.h"

#define SASL_HANDSHAKE_REQUEST_ROWS(F) \
	F(STRING, mechanism,  0, LATEST)
KAFKA_STRUCT(SaslHandshakeRequest, SASL_HANDSHAKE_REQUEST_ROWS)

#define SASL_HANDSHAKE_RESPONSE_ROWS(F) \
	F(INT16,        error_code,  0, LATEST) \
	F(LIST(STRING), mechanisms,  0, LATEST)
KAFKA_STRUCT(SaslHandshakeResponse, SASL_HANDSHAKE_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_SASL_HANDSHAKE_H */
