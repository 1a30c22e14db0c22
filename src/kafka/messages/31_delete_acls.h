/*-------------------------------------------------------------------------
 *
 * 31_delete_acls.h
 *	  DeleteAcls (API key 31), versions 1 to 3.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DELETE_ACLS_H
#define KAFKA_MESSAGES_DELETE_ACLS_H

#include "kafka/message_rows.h"

#define DELETE_ACLS_FILTER_ROWS(F) \
	F(INT8,   resource_type_filter,  0, LATEST) \
	F(STRING, resource_name_filter,  0, LATEST, NULLABLE(0)) \
	F(INT8,   pattern_type_filter,   1, LATEST, DEFAULT(3)) \
	F(STRING, principal_filter,      0, LATEST, NULLABLE(0)) \
	F(STRING, host_filter,           0, LATEST, NULLABLE(0)) \
	F(INT8,   operation,             0, LATEST) \
	F(INT8,   permission_type,       0, LATEST)
KAFKA_STRUCT(DeleteAclsFilter, DELETE_ACLS_FILTER_ROWS)

#define DELETE_ACLS_REQUEST_ROWS(F) \
	F(ARRAY(DeleteAclsFilter), filters,  0, LATEST)
KAFKA_STRUCT(DeleteAclsRequest, DELETE_ACLS_REQUEST_ROWS)

#define DELETE_ACLS_MATCHING_ACL_ROWS(F) \
	F(INT16,  error_code,       0, LATEST) \
	F(STRING, error_message,    0, LATEST, NULLABLE(0)) \
	F(INT8,   resource_type,    0, LATEST) \
	F(STRING, resource_name,    0, LATEST) \
	F(INT8,   pattern_type,     1, LATEST, DEFAULT(3)) \
	F(STRING, principal,        0, LATEST) \
	F(STRING, host,             0, LATEST) \
	F(INT8,   operation,        0, LATEST) \
	F(INT8,   permission_type,  0, LATEST)
KAFKA_STRUCT(DeleteAclsMatchingAcl, DELETE_ACLS_MATCHING_ACL_ROWS)

#define DELETE_ACLS_FILTER_RESULT_ROWS(F) \
	F(INT16,                        error_code,     0, LATEST) \
	F(STRING,                       error_message,  0, LATEST, NULLABLE(0)) \
	F(ARRAY(DeleteAclsMatchingAcl), matching_acls,  0, LATEST)
KAFKA_STRUCT(DeleteAclsFilterResult, DELETE_ACLS_FILTER_RESULT_ROWS)

#define DELETE_ACLS_RESPONSE_ROWS(F) \
	F(INT32,                         throttle_time_ms,  0, LATEST) \
	F(ARRAY(DeleteAclsFilterResult), filter_results,    0, LATEST)
KAFKA_STRUCT(DeleteAclsResponse, DELETE_ACLS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DELETE_ACLS_H */
