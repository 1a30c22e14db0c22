/*-------------------------------------------------------------------------
 *
 * 18_api_versions.h
 *	  ApiVersions (API key 18), versions 0 to 4.
 *
 * The response always has the oldest header; a request of a version we do not
 * know gets a version 0 response.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_API_VERSIONS_H
#define KAFKA_MESSAGES_API_VERSIONS_H

#include "kafka/message_rows.h"

#define API_VERSIONS_REQUEST_ROWS(F) \
	F(STRING, client_software_name,     3, LATEST) \
	F(STRING, client_software_version,  3, LATEST)
KAFKA_STRUCT(ApiVersionsRequest, API_VERSIONS_REQUEST_ROWS)

#define API_VERSION_ROWS(F) \
	F(INT16, api_key,      0, LATEST) \
	F(INT16, min_version,  0, LATEST) \
	F(INT16, max_version,  0, LATEST)
KAFKA_STRUCT(ApiVersion, API_VERSION_ROWS)

#define API_SUPPORTED_FEATURE_ROWS(F) \
	F(STRING, name,         3, LATEST) \
	F(INT16,  min_version,  3, LATEST) \
	F(INT16,  max_version,  3, LATEST)
KAFKA_STRUCT(ApiSupportedFeature, API_SUPPORTED_FEATURE_ROWS)

#define API_FINALIZED_FEATURE_ROWS(F) \
	F(STRING, name,               3, LATEST) \
	F(INT16,  max_version_level,  3, LATEST) \
	F(INT16,  min_version_level,  3, LATEST)
KAFKA_STRUCT(ApiFinalizedFeature, API_FINALIZED_FEATURE_ROWS)

#define API_VERSIONS_RESPONSE_ROWS(F) \
	F(INT16,                      error_code,                0, LATEST) \
	F(ARRAY(ApiVersion),          api_keys,                  0, LATEST) \
	F(INT32,                      throttle_time_ms,          1, LATEST) \
	F(ARRAY(ApiSupportedFeature), supported_features,        3, LATEST, TAGGED(3, 0)) \
	F(INT64,                      finalized_features_epoch,  3, LATEST, TAGGED(3, 1), DEFAULT(-1)) \
	F(ARRAY(ApiFinalizedFeature), finalized_features,        3, LATEST, TAGGED(3, 2)) \
	F(BOOL,                       zk_migration_ready,        3, LATEST, TAGGED(3, 3))
KAFKA_STRUCT(ApiVersionsResponse, API_VERSIONS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_API_VERSIONS_H */
