/*-------------------------------------------------------------------------
 *
 * 57_update_features.h
 *	  UpdateFeatures (API key 57), versions 0 to 2.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_UPDATE_FEATURES_H
#define KAFKA_MESSAGES_UPDATE_FEATURES_H

#include "kafka/message_rows.h"

#define FEATURE_UPDATE_ROWS(F) \
	F(STRING, feature,            0, LATEST) \
	F(INT16,  max_version_level,  0, LATEST) \
	F(BOOL,   allow_downgrade,    0, 0) \
	F(INT8,   upgrade_type,       1, LATEST, DEFAULT(1))
KAFKA_STRUCT(FeatureUpdate, FEATURE_UPDATE_ROWS)

#define UPDATE_FEATURES_REQUEST_ROWS(F) \
	F(INT32,                timeout_ms,       0, LATEST, DEFAULT(60000)) \
	F(ARRAY(FeatureUpdate), feature_updates,  0, LATEST) \
	F(BOOL,                 validate_only,    1, LATEST)
KAFKA_STRUCT(UpdateFeaturesRequest, UPDATE_FEATURES_REQUEST_ROWS)

#define FEATURE_UPDATE_RESULT_ROWS(F) \
	F(STRING, feature,        0, LATEST) \
	F(INT16,  error_code,     0, LATEST) \
	F(STRING, error_message,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(FeatureUpdateResult, FEATURE_UPDATE_RESULT_ROWS)

#define UPDATE_FEATURES_RESPONSE_ROWS(F) \
	F(INT32,                      throttle_time_ms,  0, LATEST) \
	F(INT16,                      error_code,        0, LATEST) \
	F(STRING,                     error_message,     0, LATEST, NULLABLE(0)) \
	F(ARRAY(FeatureUpdateResult), results,           0, 1)
KAFKA_STRUCT(UpdateFeaturesResponse, UPDATE_FEATURES_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_UPDATE_FEATURES_H */
