/*-------------------------------------------------------------------------
 *
 * 30_create_acls.h
 *	  CreateAcls (API key 30), versions 1 to 3.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_CREATE_ACLS_H
#define KAFKA_MESSAGES_CREATE_ACLS_H

#include "kafka/message_rows.h"

#define ACL_CREATION_ROWS(F) \
	F(INT8,   resource_type,          0, LATEST) \
	F(STRING, resource_name,          0, LATEST) \
	F(INT8,   resource_pattern_type,  1, LATEST, DEFAULT(3)) \
	F(STRING, principal,              0, LATEST) \
	F(STRING, host,                   0, LATEST) \
	F(INT8,   operation,              0, LATEST) \
	F(INT8,   permission_type,        0, LATEST)
KAFKA_STRUCT(AclCreation, ACL_CREATION_ROWS)

#define CREATE_ACLS_REQUEST_ROWS(F) \
	F(ARRAY(AclCreation), creations,  0, LATEST)
KAFKA_STRUCT(CreateAclsRequest, CREATE_ACLS_REQUEST_ROWS)

#define ACL_CREATION_RESULT_ROWS(F) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AclCreationResult, ACL_CREATION_RESULT_ROWS)

#define CREATE_ACLS_RESPONSE_ROWS(F) \
	F(INT32,                    throttle_time_ms,  0, LATEST) \
	F(ARRAY(AclCreationResult), results,           0, LATEST)
KAFKA_STRUCT(CreateAclsResponse, CREATE_ACLS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_CREATE_ACLS_H */
