/*-------------------------------------------------------------------------
 *
 * features.c
 *	  The features of a cluster that clients make their choices by.
 *
 * One table.  All levels are final: the server cannot be told to do without
 * what it has.
 *
 * Siblings: features.h; api/18_api_versions.c (tells them),
 * api/57_update_features.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/features.h"

/*
 * group.version 1: the consumer group protocol of KIP-848 is there.
 *
 * metadata.version 25 (4.0-IV3): web interfaces tell by it what a broker can
 * do.  Higher levels would say nothing that they ask for, and tools end with
 * an error over levels that they do not know.
 */
const KafkaFeature kafka_features[KAFKA_FEATURE_COUNT] = {
	{"group.version", 0, 1},
	{"metadata.version", 7, 25},
};
