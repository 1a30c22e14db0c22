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
#include "topic/topic.h"

/* For the resource manager: decode.c. */
extern const PtDecoding pt_decoding;

/* What follow_topic() is to do. */
typedef struct PtFollow
{
	const char *conninfo;
	const char *topic;
	const char *publication;	/* of the other server; NULL: one of ours */
	List	   *configs;		/* PtConfigPair: where they are to differ from
								 * those there */
	bool		copy;			/* also the records that are there already */
} PtFollow;

/* A partition that a subscription fills. */
typedef struct PtFollowed
{
	Oid			leaf;
	const char *slot;			/* of the subscription, at the other server */
} PtFollowed;

/* follow.c */
extern List *pt_followed(void);
extern char *pt_follow_topic(const PtFollow *follow);
extern void pt_unfollow_topic(const PtTopic *topic, bool keep_slot);

#endif							/* PT_FANOUT_H */
