/*-------------------------------------------------------------------------
 *
 * features.c
 *	  The features of the cluster, by which clients decide what they use.
 *
 * One table.  No level can be lowered, because the server always has what it
 * has.
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
 * group.version 1: the consumer group protocol of KIP-848.
 *
 * metadata.version 25 (4.0-IV3): web interfaces tell from it what a broker
 * can do.  They ask for nothing that a higher level has, and some tools fail
 * with levels that they do not know.
 *
 * transaction.version 2: each end of a transaction gives the producer its next
 * epoch, and there is no request that begins one (KIP-890).
 */
const KafkaFeature kafka_features[KAFKA_FEATURE_COUNT] = {
	{"group.version", 0, 1},
	{"metadata.version", 7, 25},
	{"transaction.version", 0, 2},
};
