/*-------------------------------------------------------------------------
 *
 * consumer_protocol.h
 *	  The "consumer" protocol inside the classic one, versions 0 to 3: what
 *	  consumers put into JoinGroup's metadata and SyncGroup's assignments.
 *
 * It is needed only where classic and KIP-848 members share a group.
 *
 * Siblings: consumer_protocol.c, consumer_classic.c, consumer_migrate.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_CONSUMER_PROTOCOL_H
#define COORD_CONSUMER_PROTOCOL_H

#include "coord/internal.h"

/* Partitions of a topic, with its name. */
typedef struct ProtocolTopic
{
	CoordBytes	name;
	int			npartitions;
	int32	   *partitions;
} ProtocolTopic;

/* ConsumerProtocolSubscription: what a member wants. */
typedef struct ProtocolSubscription
{
	int16		version;		/* at most 3 */
	int			ntopics;
	CoordBytes *topics;			/* names */
	CoordBytes	user_data;
	int			nowned;			/* from version 1 on: partitions that it has */
	ProtocolTopic *owned;
	int32		generation;		/* from version 2 on, otherwise -1: generation
								 * of the partitions that it has */
	CoordBytes	rack_id;		/* from version 3 on, otherwise null */
} ProtocolSubscription;

/* ConsumerProtocolAssignment: what a member gets. */
typedef struct ProtocolAssignment
{
	int16		version;
	int			nassigned;
	ProtocolTopic *assigned;
	CoordBytes	user_data;
} ProtocolAssignment;

/*
 * Both return false if the input is malformed.  Strings point into the input;
 * arrays are in memory of the step, never more than a small multiple of the
 * input.  Versions above 3 are read as 3.
 */
extern bool consumer_protocol_read_subscription(CoordGroups *groups, CoordBytes input, ProtocolSubscription *out);
extern bool consumer_protocol_read_assignment(CoordGroups *groups, CoordBytes input, ProtocolAssignment *out);

/* Writes into memory of the step, without user data. */
extern CoordBytes consumer_protocol_write_assignment(CoordGroups *groups, int16 version,
													 const ProtocolTopic *assigned, int nassigned);

#endif							/* COORD_CONSUMER_PROTOCOL_H */
