/*-------------------------------------------------------------------------
 *
 * features.h
 *	  The features of the cluster, by which clients decide what they use.
 *
 * Siblings: features.c; api/18_api_versions.c (tells them),
 * api/57_update_features.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_FEATURES_H
#define KAFKA_FEATURES_H

typedef struct KafkaFeature
{
	const char *name;
	int16		min_level;
	int16		level;			/* the highest one; it is always in effect */
} KafkaFeature;

#define KAFKA_FEATURE_COUNT 3

extern const KafkaFeature kafka_features[KAFKA_FEATURE_COUNT];

#endif							/* KAFKA_FEATURES_H */
