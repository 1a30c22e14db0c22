/*-------------------------------------------------------------------------
 *
 * 44_incremental_alter_configs.h
 *	  IncrementalAlterConfigs (API key 44), versions 0 to 1.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_INCREMENTAL_ALTER_CONFIGS_H
#define KAFKA_MESSAGES_INCREMENTAL_ALTER_CONFIGS_H

#include "kafka/rows.h"

#define INCREMENTAL_ALTER_CONFIG_ROWS(F) \
	F(STRING, name,              0, LATEST) \
	F(INT8,   config_operation,  0, LATEST) \
	F(STRING, value,             0, LATEST, NULLABLE(0))
KAFKA_STRUCT(IncrementalAlterConfig, INCREMENTAL_ALTER_CONFIG_ROWS)

#define INCREMENTAL_ALTER_RESOURCE_ROWS(F) \
	F(INT8,                          resource_type,  0, LATEST) \
	F(STRING,                        resource_name,  0, LATEST) \
	F(ARRAY(IncrementalAlterConfig), configs,        0, LATEST)
KAFKA_STRUCT(IncrementalAlterResource, INCREMENTAL_ALTER_RESOURCE_ROWS)

#define INCREMENTAL_ALTER_CONFIGS_REQUEST_ROWS(F) \
	F(ARRAY(IncrementalAlterResource), resources,      0, LATEST) \
	F(BOOL,                            validate_only,  0, LATEST)
KAFKA_STRUCT(IncrementalAlterConfigsRequest, INCREMENTAL_ALTER_CONFIGS_REQUEST_ROWS)

#define INCREMENTAL_ALTER_RESULT_ROWS(F) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0)) \
	F(INT8,   resource_type,  0, LATEST) \
	F(STRING, resource_name,  0, LATEST)
KAFKA_STRUCT(IncrementalAlterResult, INCREMENTAL_ALTER_RESULT_ROWS)

#define INCREMENTAL_ALTER_CONFIGS_RESPONSE_ROWS(F) \
	F(INT32,                         throttle_time_ms,  0, LATEST) \
	F(ARRAY(IncrementalAlterResult), responses,         0, LATEST)
KAFKA_STRUCT(IncrementalAlterConfigsResponse, INCREMENTAL_ALTER_CONFIGS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_INCREMENTAL_ALTER_CONFIGS_H */
