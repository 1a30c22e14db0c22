/*-------------------------------------------------------------------------
 *
 * 33_alter_configs.h
 *	  AlterConfigs (API key 33), versions 0 to 2.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALTER_CONFIGS_H
#define KAFKA_MESSAGES_ALTER_CONFIGS_H

#include "kafka/message_rows.h"

#define ALTER_CONFIGS_CONFIG_ROWS(F) \
	F(STRING, name,   0, LATEST) \
	F(STRING, value,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AlterConfigsConfig, ALTER_CONFIGS_CONFIG_ROWS)

#define ALTER_CONFIGS_RESOURCE_ROWS(F) \
	F(INT8,                      resource_type,  0, LATEST) \
	F(STRING,                    resource_name,  0, LATEST) \
	F(ARRAY(AlterConfigsConfig), configs,        0, LATEST)
KAFKA_STRUCT(AlterConfigsResource, ALTER_CONFIGS_RESOURCE_ROWS)

#define ALTER_CONFIGS_REQUEST_ROWS(F) \
	F(ARRAY(AlterConfigsResource), resources,      0, LATEST) \
	F(BOOL,                        validate_only,  0, LATEST)
KAFKA_STRUCT(AlterConfigsRequest, ALTER_CONFIGS_REQUEST_ROWS)

#define ALTER_CONFIGS_RESULT_ROWS(F) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0)) \
	F(INT8,   resource_type,  0, LATEST) \
	F(STRING, resource_name,  0, LATEST)
KAFKA_STRUCT(AlterConfigsResult, ALTER_CONFIGS_RESULT_ROWS)

#define ALTER_CONFIGS_RESPONSE_ROWS(F) \
	F(INT32,                     throttle_time_ms,  0, LATEST) \
	F(ARRAY(AlterConfigsResult), responses,         0, LATEST)
KAFKA_STRUCT(AlterConfigsResponse, ALTER_CONFIGS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ALTER_CONFIGS_H */
