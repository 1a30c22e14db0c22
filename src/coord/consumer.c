/*-------------------------------------------------------------------------
 *
 * consumer.c
 *	  Groups of the consumer protocol (KIP-848).
 *
 * No group can be of that kind yet: its heartbeat is refused, and clients fall back to the
 * classic protocol.
 *
 * Siblings: internal.h, classic.c (the other kind).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

const CoordKindOps coord_consumer_ops;

void
coord_consumer_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event)
{
	coord_reply(groups, event->token, event->type, COORD_UNSUPPORTED_VERSION);
}
