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

/* From _PG_init: the utility hook, and the engine's hook for secondary indexes. */
extern void pt_am_register(void);

/* Makes an empty log begin at an offset: what the label of a partition says. */
extern void pt_log_start_at(Oid relid, int64 offset);

/* Is this an (open) table of access method topic_log? */
extern bool pt_rel_is_log(Relation rel);

#endif							/* PT_AM_H */
