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

#include "kafka/messages/33_alter_configs.h"

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

/* The same as that of AlterConfigs. */
KAFKA_STRUCT(IncrementalAlterConfigsResponse, ALTER_CONFIGS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_INCREMENTAL_ALTER_CONFIGS_H */
