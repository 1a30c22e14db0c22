/*-------------------------------------------------------------------------
 *
 * topic_regex.h
 *	  Regular expressions in which consumers name topics (KIP-848), by
 *	  PostgreSQL's engine.
 *
 * Siblings: topic_regex.c, groups.c (gives them to the coordinator).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_TOPIC_REGEX_H
#define KAFKA_TOPIC_REGEX_H

#include "coord/types.h"

extern const char *kafka_topic_regex_valid(void *arg, CoordBytes regex);

extern bool kafka_regex_matches(CoordBytes regex, CoordBytes text);

extern bool kafka_topic_regex_matches(void *arg, uint32 viewer, CoordBytes regex, CoordBytes topic);

#endif							/* KAFKA_TOPIC_REGEX_H */
