/*-------------------------------------------------------------------------
 *
 * 32_describe_configs.h
 *	  DescribeConfigs (API key 32), versions 1 to 4.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_CONFIGS_H
#define KAFKA_MESSAGES_DESCRIBE_CONFIGS_H

#include "kafka/message_rows.h"

#define DESCRIBE_CONFIGS_RESOURCE_ROWS(F) \
	F(INT8,         resource_type,       0, LATEST) \
	F(STRING,       resource_name,       0, LATEST) \
	F(LIST(STRING), configuration_keys,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(DescribeConfigsResource, DESCRIBE_CONFIGS_RESOURCE_ROWS)

#define DESCRIBE_CONFIGS_REQUEST_ROWS(F) \
	F(ARRAY(DescribeConfigsResource), resources,              0, LATEST) \
	F(BOOL,                           include_synonyms,       1, LATEST) \
	F(BOOL,                           include_documentation,  3, LATEST)
KAFKA_STRUCT(DescribeConfigsRequest, DESCRIBE_CONFIGS_REQUEST_ROWS)

#define DESCRIBE_CONFIGS_SYNONYM_ROWS(F) \
	F(STRING, name,    1, LATEST) \
	F(STRING, value,   1, LATEST, NULLABLE(1)) \
	F(INT8,   source,  1, LATEST)
KAFKA_STRUCT(DescribeConfigsSynonym, DESCRIBE_CONFIGS_SYNONYM_ROWS)

#define DESCRIBE_CONFIGS_RESOURCE_RESULT_ROWS(F) \
	F(STRING,                        name,           0, LATEST) \
	F(STRING,                        value,          0, LATEST, NULLABLE(0)) \
	F(BOOL,                          read_only,      0, LATEST) \
	F(INT8,                          config_source,  1, LATEST, DEFAULT(-1)) \
	F(BOOL,                          is_sensitive,   0, LATEST) \
	F(ARRAY(DescribeConfigsSynonym), synonyms,       1, LATEST) \
	F(INT8,                          config_type,    3, LATEST) \
	F(STRING,                        documentation,  3, LATEST, NULLABLE(3))
KAFKA_STRUCT(DescribeConfigsResourceResult, DESCRIBE_CONFIGS_RESOURCE_RESULT_ROWS)

#define DESCRIBE_CONFIGS_RESULT_ROWS(F) \
	F(INT16,                                error_code,     0, LATEST) \
	F(STRING,                               error_message,  0, LATEST, NULLABLE(0)) \
	F(INT8,                                 resource_type,  0, LATEST) \
	F(STRING,                               resource_name,  0, LATEST) \
	F(ARRAY(DescribeConfigsResourceResult), configs,        0, LATEST)
KAFKA_STRUCT(DescribeConfigsResult, DESCRIBE_CONFIGS_RESULT_ROWS)

#define DESCRIBE_CONFIGS_RESPONSE_ROWS(F) \
	F(INT32,                        throttle_time_ms,  0, LATEST) \
	F(ARRAY(DescribeConfigsResult), results,           0, LATEST)
KAFKA_STRUCT(DescribeConfigsResponse, DESCRIBE_CONFIGS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_CONFIGS_H */
