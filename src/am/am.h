/*-------------------------------------------------------------------------
 *
 * am.h
 *	  The door of the access method room: a log as a table, its positions as
 *	  an index.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AM_H
#define PT_AM_H

#include "compat.h"

/* Installs the hook for utility commands.  To be called by _PG_init. */
extern void pt_utility_register(void);

/*
 * Installs what bitmap scans of logs need.  To be called by _PG_init.
 */
extern void pt_bitmap_register(void);

/*
 * Makes an empty log begin at an offset.  The label of a partition has that
 * offset when a dump is restored.
 */
extern void pt_log_start_at(Oid relid, int64 offset);

#endif							/* PT_AM_H */
