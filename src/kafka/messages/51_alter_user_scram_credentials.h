/*-------------------------------------------------------------------------
 *
 * 51_alter_user_scram_credentials.h
 *	  AlterUserScramCredentials (API key 51), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALTER_USER_SCRAM_CREDENTIALS_H
#define KAFKA_MESSAGES_ALTER_USER_SCRAM_CREDENTIALS_H

#include "kafka/message_rows.h"

#define SCRAM_DELETION_ROWS(F) \
	F(STRING, name,       0, LATEST) \
	F(INT8,   mechanism,  0, LATEST)
KAFKA_STRUCT(ScramDeletion, SCRAM_DELETION_ROWS)

#define SCRAM_UPSERTION_ROWS(F) \
	F(STRING, name,             0, LATEST) \
	F(INT8,   mechanism,        0, LATEST) \
	F(INT32,  iterations,       0, LATEST) \
	F(BYTES,  salt,             0, LATEST) \
	F(BYTES,  salted_password,  0, LATEST)
KAFKA_STRUCT(ScramUpsertion, SCRAM_UPSERTION_ROWS)

#define ALTER_USER_SCRAM_CREDENTIALS_REQUEST_ROWS(F) \
	F(ARRAY(ScramDeletion),  deletions,   0, LATEST) \
	F(ARRAY(ScramUpsertion), upsertions,  0, LATEST)
KAFKA_STRUCT(AlterUserScramCredentialsRequest, ALTER_USER_SCRAM_CREDENTIALS_REQUEST_ROWS)

#define ALTER_SCRAM_RESULT_ROWS(F) \
	F(STRING, user,           0, LATEST) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AlterScramResult, ALTER_SCRAM_RESULT_ROWS)

#define ALTER_USER_SCRAM_CREDENTIALS_RESPONSE_ROWS(F) \
	F(INT32,                   throttle_time_ms,  0, LATEST) \
	F(ARRAY(AlterScramResult), results,           0, LATEST)
KAFKA_STRUCT(AlterUserScramCredentialsResponse, ALTER_USER_SCRAM_CREDENTIALS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ALTER_USER_SCRAM_CREDENTIALS_H */
