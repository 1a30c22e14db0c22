/*-------------------------------------------------------------------------
 *
 * 29_describe_acls.h
 *	  DescribeAcls (API key 29), versions 1 to 3.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_ACLS_H
#define KAFKA_MESSAGES_DESCRIBE_ACLS_H

#include "kafka/message_rows.h"

#define DESCRIBE_ACLS_REQUEST_ROWS(F) \
	F(INT8,   resource_type_filter,  0, LATEST) \
	F(STRING, resource_name_filter,  0, LATEST, NULLABLE(0)) \
	F(INT8,   pattern_type_filter,   1, LATEST, DEFAULT(3)) \
	F(STRING, principal_filter,      0, LATEST, NULLABLE(0)) \
	F(STRING, host_filter,           0, LATEST, NULLABLE(0)) \
	F(INT8,   operation,             0, LATEST) \
	F(INT8,   permission_type,       0, LATEST)
KAFKA_STRUCT(DescribeAclsRequest, DESCRIBE_ACLS_REQUEST_ROWS)

#define DESCRIBE_ACLS_ENTRY_ROWS(F) \
	F(STRING, principal,        0, LATEST) \
	F(STRING, host,             0, LATEST) \
	F(INT8,   operation,        0, LATEST) \
	F(INT8,   permission_type,  0, LATEST)
KAFKA_STRUCT(DescribeAclsEntry, DESCRIBE_ACLS_ENTRY_ROWS)

#define DESCRIBE_ACLS_RESOURCE_ROWS(F) \
	F(INT8,                     resource_type,  0, LATEST) \
	F(STRING,                   resource_name,  0, LATEST) \
	F(INT8,                     pattern_type,   1, LATEST, DEFAULT(3)) \
	F(ARRAY(DescribeAclsEntry), acls,           0, LATEST)
KAFKA_STRUCT(DescribeAclsResource, DESCRIBE_ACLS_RESOURCE_ROWS)

#define DESCRIBE_ACLS_RESPONSE_ROWS(F) \
	F(INT32,                       throttle_time_ms,  0, LATEST) \
	F(INT16,                       error_code,        0, LATEST) \
	F(STRING,                      error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(DescribeAclsResource), resources,         0, LATEST)
KAFKA_STRUCT(DescribeAclsResponse, DESCRIBE_ACLS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_ACLS_H */
