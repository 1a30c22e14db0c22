/*-------------------------------------------------------------------------
 *
 * port.h
 *	  All that the coord room takes from PostgreSQL.
 *
 * The room is pure: it builds in the server and, with FRONTEND, in test/unit
 * and test/sim.  It never ereports, reads no clock, no catalog, no socket.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_PORT_H
#define COORD_PORT_H

#ifdef FRONTEND
#include "postgres_fe.h"
#include "common/fe_memutils.h"
#else
#include "postgres.h"
#include "utils/memutils.h"
#include "utils/palloc.h"
#endif

#include "common/pg_prng.h"
#include "lib/ilist.h"
#include "lib/pairingheap.h"

#endif							/* COORD_PORT_H */
