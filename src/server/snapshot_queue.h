/*-------------------------------------------------------------------------
 *
 * snapshot_queue.h
 *	  Partitions whose producers need a snapshot: snapshot_queue.c says how.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_SNAPSHOT_QUEUE_H
#define PT_SERVER_SNAPSHOT_QUEUE_H

#include "compat.h"

extern void pt_snapshots_add(Oid leaf, int64 now);
extern void pt_snapshots_add_file(const RelFileLocator *locator, int64 now);
extern int64 pt_snapshots_next(void);
extern bool pt_snapshots_write(int64 now);

#endif							/* PT_SERVER_SNAPSHOT_QUEUE_H */
