/*-------------------------------------------------------------------------
 *
 * types.h
 *	  The types that events, replies and descriptions share.
 *
 * Siblings: coord.h (the door), event.h, reply.h, port.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_TYPES_H
#define COORD_TYPES_H

#include "coord/port.h"
#include "counted.h"

/* A string or bytes; may be null. */
typedef PtString CoordBytes;

#define COORD_NULL_BYTES PT_STRING_NULL

/* The id of a topic. */
typedef struct CoordUuid
{
	uint8		data[16];
} CoordUuid;

/*
 * A regular expression by which somebody subscribes to topics, and whose eyes
 * it looks with: a number of the caller's, handed to regex_matches.
 */
typedef struct CoordPattern
{
	CoordBytes	regex;			/* null or empty: none */
	uint32		viewer;
} CoordPattern;

#define COORD_NO_PATTERN ((CoordPattern) {COORD_NULL_BYTES, 0})

/* Partitions of one topic. */
typedef struct CoordTopicPartitions
{
	CoordUuid	topic_id;
	CoordBytes	topic_name;		/* set in descriptions; null in replies, where
								 * the protocol has only ids */
	int32		npartitions;
	const int32 *partitions;
} CoordTopicPartitions;

/*
 * The error codes of the Kafka protocol that a coordinator answers with.
 * They have Kafka's numbers.
 */
typedef enum CoordError
{
	COORD_NONE = 0,
	COORD_COORDINATOR_LOAD_IN_PROGRESS = 14,
	COORD_COORDINATOR_NOT_AVAILABLE = 15,
	COORD_NOT_COORDINATOR = 16,
	COORD_ILLEGAL_GENERATION = 22,
	COORD_INCONSISTENT_GROUP_PROTOCOL = 23,
	COORD_INVALID_GROUP_ID = 24,
	COORD_UNKNOWN_MEMBER_ID = 25,
	COORD_INVALID_SESSION_TIMEOUT = 26,
	COORD_REBALANCE_IN_PROGRESS = 27,
	COORD_GROUP_AUTHORIZATION_FAILED = 30,
	COORD_UNSUPPORTED_VERSION = 35,
	COORD_INVALID_REQUEST = 42,
	COORD_NON_EMPTY_GROUP = 68,
	COORD_GROUP_ID_NOT_FOUND = 69,
	COORD_MEMBER_ID_REQUIRED = 79,
	COORD_GROUP_MAX_SIZE_REACHED = 81,
	COORD_FENCED_INSTANCE_ID = 82,
	COORD_GROUP_SUBSCRIBED_TO_TOPIC = 86,
	COORD_FENCED_MEMBER_EPOCH = 110,
	COORD_UNRELEASED_INSTANCE_ID = 111,
	COORD_UNSUPPORTED_ASSIGNOR = 112,
	COORD_STALE_MEMBER_EPOCH = 113,
	COORD_INVALID_REGULAR_EXPRESSION = 128
} CoordError;

/*
 * The kind of a group.  A group without members takes the kind of the next
 * client that joins.
 */
typedef enum CoordKind
{
	COORD_KIND_EMPTY,
	COORD_KIND_CLASSIC,
	COORD_KIND_CONSUMER			/* KIP-848 */
} CoordKind;

/* The states of both kinds of groups; README.md draws them. */
typedef enum CoordState
{
	COORD_EMPTY,
	COORD_PREPARING_REBALANCE,	/* classic */
	COORD_COMPLETING_REBALANCE, /* classic */
	COORD_ASSIGNING,			/* consumer */
	COORD_RECONCILING,			/* consumer */
	COORD_STABLE,
	COORD_DEAD					/* not in memory: only an answer */
} CoordState;

#endif							/* COORD_TYPES_H */
