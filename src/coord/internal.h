/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the coord room share: groups, topics, replies.
 *
 * group.c finds, makes and forgets groups.  What happens in a group depends on
 * its kind: the functions of CoordKindOps, in classic*.c and consumer*.c.
 *
 * Siblings: coord.h (the door), memory.h, table.h, timers.h, classic.h,
 * consumer.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_INTERNAL_H
#define COORD_INTERNAL_H

#include "coord/coord.h"
#include "coord/memory.h"
#include "coord/table.h"
#include "coord/timers.h"

#define coord_container(type, member, ptr) ((type *) ((char *) (ptr) - offsetof(type, member)))

typedef struct CoordGroup CoordGroup;

/*
 * The operations of a kind of group.  The group has members or ids that were
 * given out, except where noted.  They answer requests with the functions of
 * reply.c, at once or in a later step.
 */
typedef struct CoordKindOps
{
	/* JoinGroup of a classic client; the group may be empty */
	void		(*join) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	/* SyncGroup, LeaveGroup, Heartbeat of a classic client */
	void		(*sync) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	void		(*leave) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	CoordError	(*heartbeat) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	/* OffsetCommit and OffsetFetch; the group may be empty */
	CoordError	(*commit) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	CoordError	(*fetch) (CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
	/* the set of topics has changed */
	void		(*topics) (CoordGroups *groups, CoordGroup *group);
	/* answers the requests that wait, and frees the state of this kind */
	void		(*release) (CoordGroups *groups, CoordGroup *group);
	/* views; the group may be empty */
	CoordState	(*state) (const CoordGroup *group);
	CoordBytes	(*protocol_type) (const CoordGroup *group);
	void		(*describe) (const CoordGroups *groups, const CoordGroup *group, CoordDescription *out);
} CoordKindOps;

extern const CoordKindOps coord_classic_ops;
extern const CoordKindOps coord_consumer_ops;

/* A group in memory. */
struct CoordGroup
{
	CoordNode	node;			/* in groups->by_id; the key is the group id */
	dlist_node	link;			/* in groups->all, in the order of creation */
	CoordKind	kind;
	const CoordKindOps *ops;	/* NULL for kind empty */
	struct CoordClassic *classic;	/* NULL unless of kind classic; may be
									 * NULL then, too */
	struct CoordConsumer *consumer; /* NULL unless of kind consumer; may be
									 * NULL then, too */

	/*
	 * Kept up to date by the kind.  If both are 0, the group is empty and
	 * will be forgotten.
	 */
	int			nmembers;
	int			npending;		/* ids that were given out and not joined with */

	bool		keep;			/* has had members: forgotten only after
								 * empty_linger_ms */
	CoordTimer	linger;			/* armed while the group is empty and in
								 * groups->idle */
	dlist_node	idle;			/* in groups->idle */
	bool		changed;		/* is in groups->changed */
	dlist_node	changed_link;
	int			told;			/* number of members that the replies have
								 * told last */
};

/* The coordinator. */
struct CoordGroups
{
	CoordConfig config;
	const CoordKindOps *kinds[COORD_KIND_CONSUMER + 1]; /* by kind; NULL for
														 * empty */
	pg_prng_state prng;			/* for member ids */
	uint64		hash_seed;		/* of all tables */
	int64		now;			/* time of the current step in ms; never goes
								 * back */
	CoordTable	by_id;			/* CoordGroup, by group id */
	dlist_head	all;			/* groups in the order of creation */
	dlist_head	idle;			/* empty groups; the first is empty for
								 * longest */
	struct CoordTopicSet *topics;	/* topics.c */
	CoordTable	overrides;		/* overrides.c */
	/* timers.c: a binary heap */
	CoordTimer **heap;
	int			nheap;
	int			heap_cap;
	uint64		timer_seq;		/* number of timers armed so far */
	/* memory.c */
#ifndef FRONTEND
	MemoryContext mcxt;
#endif
	size_t		used;			/* bytes that coord_alloc has counted */
	dlist_head	blocks;			/* all blocks in use (FRONTEND only) */
	struct CoordBlock *freed;	/* blocks that this step has freed */
	struct CoordChunk *step;	/* memory that lasts until the next step */
	/* reply.c */
	CoordReply *replies;
	int			nreplies;
	int			replies_cap;
	dlist_head	changed;		/* groups whose number of members may have
								 * changed */
	int			nchanged;
};

/* reply.c */
extern CoordReply *coord_reply(CoordGroups *groups, uint64 token, CoordEventType type, CoordError error);
extern void coord_reply_message(CoordGroups *groups, CoordReply *reply, const char *message);
extern CoordReply *coord_reply_join(CoordGroups *groups, uint64 token, CoordError error, CoordBytes member_id);
extern void coord_reply_sync(CoordGroups *groups, uint64 token, CoordError error);

/* results with the names of the request's members and no error */
extern CoordLeftMember *coord_reply_leave(CoordGroups *groups, const CoordEvent *event);
extern void coord_replies_give(CoordGroups *groups, CoordReplies *out);

/* group.c */
extern bool coord_group_reserve(CoordGroups *groups, size_t size, const CoordGroup *keep);
extern CoordGroup *coord_group_find(const CoordGroups *groups, CoordBytes group_id);
extern CoordGroup *coord_group_get(CoordGroups *groups, CoordBytes group_id);
extern void coord_group_become(CoordGroups *groups, CoordGroup *group, CoordKind kind);
extern void coord_group_count(CoordGroups *groups, CoordGroup *group, int more);
extern void coord_group_settle(CoordGroups *groups, CoordGroup *group);
extern void coord_group_forget(CoordGroups *groups, CoordGroup *group);
extern CoordBytes coord_member_id(CoordGroups *groups, CoordBytes prefix);

static inline bool
coord_group_empty(const CoordGroup *group)
{
	return group->nmembers == 0 && group->npending == 0;
}

/* consumer.c, topics.c; "group" is NULL if there is none of that id */
extern void coord_consumer_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern void coord_topics_replace(CoordGroups *groups, const CoordTopics *topics);

/* overrides.c: the value of the group, otherwise of the config; ms */
extern int32 coord_group_session_timeout(const CoordGroups *groups, CoordBytes group_id);
extern int32 coord_group_heartbeat_interval(const CoordGroups *groups, CoordBytes group_id);

#endif							/* COORD_INTERNAL_H */
