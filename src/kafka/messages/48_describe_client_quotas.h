/*-------------------------------------------------------------------------
 *
 * 48_describe_client_quotas.h
 *	  DescribeClientQuotas (API key 48), versions 0 to 1.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_CLIENT_QUOTAS_H
#define KAFKA_MESSAGES_DESCRIBE_CLIENT_QUOTAS_H

#include "kafka/message_rows.h"

#define DESCRIBE_QUOTAS_COMPONENT_ROWS(F) \
	F(STRING, entity_type,  0, LATEST) \
	F(INT8,   match_type,   0, LATEST) \
	F(STRING, match,        0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeQuotasComponent, DESCRIBE_QUOTAS_COMPONENT_ROWS)

#define DESCRIBE_CLIENT_QUOTAS_REQUEST_ROWS(F) \
	F(ARRAY(DescribeQuotasComponent), components,  0, LATEST) \
	F(BOOL,                           strict,      0, LATEST)
KAFKA_STRUCT(DescribeClientQuotasRequest, DESCRIBE_CLIENT_QUOTAS_REQUEST_ROWS)

#define DESCRIBE_QUOTAS_ENTITY_ROWS(F) \
	F(STRING, entity_type,  0, LATEST) \
	F(STRING, entity_name,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeQuotasEntity, DESCRIBE_QUOTAS_ENTITY_ROWS)

#define DESCRIBE_QUOTAS_VALUE_ROWS(F) \
	F(STRING,  key,    0, LATEST) \
	F(FLOAT64, value,  0, LATEST)
KAFKA_STRUCT(DescribeQuotasValue, DESCRIBE_QUOTAS_VALUE_ROWS)

#define DESCRIBE_QUOTAS_ENTRY_ROWS(F) \
	F(ARRAY(DescribeQuotasEntity), entity,  0, LATEST) \
	F(ARRAY(DescribeQuotasValue),  values,  0, LATEST)
KAFKA_STRUCT(DescribeQuotasEntry, DESCRIBE_QUOTAS_ENTRY_ROWS)

#define DESCRIBE_CLIENT_QUOTAS_RESPONSE_ROWS(F) \
	F(INT32,                      throttle_time_ms,  0, LATEST) \
	F(INT16,                      error_code,        0, LATEST) \
	F(STRING,                     error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(DescribeQuotasEntry), entries,           0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeClientQuotasResponse, DESCRIBE_CLIENT_QUOTAS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_CLIENT_QUOTAS_H */
