/*-------------------------------------------------------------------------
 *
 * 74_list_config_resources.h
 *	  ListConfigResources (API key 74), versions 0 to 1.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_LIST_CONFIG_RESOURCES_H
#define KAFKA_MESSAGES_LIST_CONFIG_RESOURCES_H

#include "kafka/message_rows.h"

#define LIST_CONFIG_RESOURCES_REQUEST_ROWS(F) \
	F(LIST(INT8), resource_types,  1, LATEST)
KAFKA_STRUCT(ListConfigResourcesRequest, LIST_CONFIG_RESOURCES_REQUEST_ROWS)

#define LISTED_CONFIG_RESOURCE_ROWS(F) \
	F(STRING, resource_name,  0, LATEST) \
	F(INT8,   resource_type,  1, LATEST, DEFAULT(16))
KAFKA_STRUCT(ListedConfigResource, LISTED_CONFIG_RESOURCE_ROWS)

#define LIST_CONFIG_RESOURCES_RESPONSE_ROWS(F) \
	F(INT32,                       throttle_time_ms,  0, LATEST) \
	F(INT16,                       error_code,        0, LATEST) \
	F(ARRAY(ListedConfigResource), config_resources,  0, LATEST)
KAFKA_STRUCT(ListConfigResourcesResponse, LIST_CONFIG_RESOURCES_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_LIST_CONFIG_RESOURCES_H */
