/*-------------------------------------------------------------------------
 *
 * consumer_protocol.h
 *	  The "consumer" protocol inside the classic one: what consumers put into
 *	  the metadata of JoinGroup and the assignments of SyncGroup, versions 0 to
 *	  3.
 *
 * Only needed where classic and KIP-848 members share a group.
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

/* Partitions of a topic, by its name. */
typedef struct ProtocolTopic
{
	CoordBytes	name;
	int			npartitions;
	int32	   *partitions;
} ProtocolTopic;

typedef struct ProtocolSubscription
{
	int16		version;
	int			ntopics;
	CoordBytes *topics;
	CoordBytes	user_data;
	int			nowned;			/* version 1 */
	ProtocolTopic *owned;
	int32		generation;		/* version 2; -1 */
	CoordBytes	rack_id;		/* version 3; null */
} ProtocolSubscription;

typedef struct ProtocolAssignment
{
	int16		version;
	int			nassigned;
	ProtocolTopic *assigned;
	CoordBytes	user_data;
} ProtocolAssignment;

/*
 * false: malformed.  Strings point into the input, arrays are memory of the
 * step (never more than a small multiple of the input).  A version past 3 is
 * read as 3.
 */
extern bool consumer_protocol_read_subscription(CoordGroups *groups, CoordBytes input, ProtocolSubscription *out);
extern bool consumer_protocol_read_assignment(CoordGroups *groups, CoordBytes input, ProtocolAssignment *out);

/* In memory of the step; no user data. */
extern CoordBytes consumer_protocol_write_assignment(CoordGroups *groups, int16 version,
													 const ProtocolTopic *assigned, int nassigned);

#endif							/* COORD_CONSUMER_PROTOCOL_H */
