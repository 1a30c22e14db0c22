/*-------------------------------------------------------------------------
 *
 * fanout.h
 *	  The door of the fan-out room: topics in logical replication.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FANOUT_H
#define PT_FANOUT_H

#include "postgres.h"

#include "log/wal.h"

/* For the resource manager: decode.c. */
extern const PtDecoding pt_decoding;

#endif							/* PT_FANOUT_H */
