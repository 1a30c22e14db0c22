/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the followers room share.
 *
 *	  create.c		follow_groups(), unfollow_groups(), the definition
 *	  there.c		the other server, and what it answers
 *	  run.c			the life of a worker
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FOLLOWERS_INTERNAL_H
#define PT_FOLLOWERS_INTERNAL_H

#include "compat.h"

#include "groups/groups.h"
#include "sources/peer.h"
#include "tasks/tasks.h"

/* What a follower of groups is. */
typedef struct PtGroupFollower
{
	const char *name;
	const char *connection;
	bool		trusted;		/* its owner is a superuser */
	List	   *groups;			/* of char *: patterns, as LIKE has them */
	List	   *topics;			/* the same */
	int64		interval_ms;
	bool		backwards;
} PtGroupFollower;

/* A group, and what it has committed there. */
typedef struct PtGroupThere
{
	PtString	group_id;
	int64		used_ms;
	int			n;
	int			room;			/* in offsets */
	PtCommittedOffset *offsets; /* without ids of topics */
} PtGroupThere;

/* create.c */
extern PtGroupFollower *pt_follower_define(const PtTask *task);

/* there.c */
extern PtPeer *pt_there_connect(const PtGroupFollower *follower, const PtTask *task);
extern const char *pt_there_extension(PtPeer *there);
extern List *pt_there_slots(PtPeer *there);
extern void pt_there_ask(PtPeer *there, const char *extension, const PtGroupFollower *follower, List *topics);
extern bool pt_there_next(PtPeer *there, PtGroupThere **group, PtGroupThere **complete);
extern void pt_there_free(PtGroupThere *group);

/* run.c */
extern void pt_follower_run(PtTask *task, int worker);

#endif							/* PT_FOLLOWERS_INTERNAL_H */
