/*-------------------------------------------------------------------------
 *
 * followers.h
 *	  The door of the followers room: committed offsets of groups, from another
 *	  server.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FOLLOWERS_H
#define PT_FOLLOWERS_H

#include "tasks/tasks.h"

extern const PtTaskKind pt_group_follower_kind;

#endif							/* PT_FOLLOWERS_H */
