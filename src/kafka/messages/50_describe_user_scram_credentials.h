/*-------------------------------------------------------------------------
 *
 * 50_describe_user_scram_credentials.h
 *	  DescribeUserScramCredentials (API key 50), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_USER_SCRAM_CREDENTIALS_H
#define KAFKA_MESSAGES_DESCRIBE_USER_SCRAM_CREDENTIALS_H

#include "kafka/message_rows.h"

#define DESCRIBE_SCRAM_USER_ROWS(F) \
	F(STRING, name,  0, LATEST)
KAFKA_STRUCT(DescribeScramUser, DESCRIBE_SCRAM_USER_ROWS)

#define DESCRIBE_USER_SCRAM_CREDENTIALS_REQUEST_ROWS(F) \
	F(ARRAY(DescribeScramUser), users,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeUserScramCredentialsRequest, DESCRIBE_USER_SCRAM_CREDENTIALS_REQUEST_ROWS)

#define DESCRIBE_SCRAM_CREDENTIAL_ROWS(F) \
	F(INT8,  mechanism,   0, LATEST) \
	F(INT32, iterations,  0, LATEST)
KAFKA_STRUCT(DescribeScramCredential, DESCRIBE_SCRAM_CREDENTIAL_ROWS)

#define DESCRIBE_SCRAM_RESULT_ROWS(F) \
	F(STRING,                         user,              0, LATEST) \
	F(INT16,                          error_code,        0, LATEST) \
	F(STRING,                         error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(DescribeScramCredential), credential_infos,  0, LATEST)
KAFKA_STRUCT(DescribeScramResult, DESCRIBE_SCRAM_RESULT_ROWS)

#define DESCRIBE_USER_SCRAM_CREDENTIALS_RESPONSE_ROWS(F) \
	F(INT32,                      throttle_time_ms,  0, LATEST) \
	F(INT16,                      error_code,        0, LATEST) \
	F(STRING,                     error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(DescribeScramResult), results,           0, LATEST)
KAFKA_STRUCT(DescribeUserScramCredentialsResponse, DESCRIBE_USER_SCRAM_CREDENTIALS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_USER_SCRAM_CREDENTIALS_H */
