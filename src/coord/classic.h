/*-------------------------------------------------------------------------
 *
 * classic.h
 *	  What the files of classic groups share.
 *
 * Siblings: classic.c (requests, views), classic_member.c (members, protocols,
 * votes), classic_rebalance.c (the phases).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_CLASSIC_H
#define COORD_CLASSIC_H

#include "coord/internal.h"

/*
 * A protocol (for consumers: an assignor) that at least one member supports,
 * or that was chosen for this generation.
 */
typedef struct ClassicProtocol
{
	CoordNode	node;			/* in classic->protocols; the key is its name */
	int			nmembers;		/* number of members that support it */
	int			votes;			/* used while a protocol is chosen, otherwise
								 * 0 */
} ClassicProtocol;

/* A protocol that a member supports. */
typedef struct ClassicSupport
{
	ClassicProtocol *protocol;
	CoordBytes	metadata;		/* the member's, for this protocol; never null */
} ClassicSupport;

/* A member of a classic group. */
typedef struct ClassicMember
{
	CoordNode	node;			/* in classic->members; the key is the member
								 * id */
	CoordNode	instance;		/* in classic->instances, when static */
	dlist_node	link;			/* in classic->order */
	CoordGroup *group;
	CoordBytes	instance_id;	/* null: dynamic */
	CoordBytes	client_id;
	CoordBytes	client_host;
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;
	int			nsupported;
	ClassicSupport *supported;	/* in the member's order of preference; one
								 * block with the metadata */
	CoordBytes	assignment;		/* empty: none; otherwise a block of its own */
	bool		is_new;			/* no rebalance has ended since it joined */
	bool		awaiting_join;	/* a JoinGroup with join_token waits for the
								 * end of the rebalance */
	bool		awaiting_sync;	/* a SyncGroup with sync_token waits for the
								 * leader's */
	bool		pending_sync;	/* has the generation, but has not asked for
								 * its assignment */
	uint64		join_token;
	uint64		sync_token;
	CoordTimer	session;		/* fires when its session ends */
} ClassicMember;

/*
 * A member id that was given out with MEMBER_ID_REQUIRED (KIP-394).  The
 * client has not joined with it yet.
 */
typedef struct ClassicPending
{
	CoordNode	node;			/* in classic->pending */
	dlist_node	link;			/* in classic->pending_order */
	CoordGroup *group;
	CoordTimer	expiry;			/* fires when the client has not come back in
								 * time */
} ClassicPending;

/* The state of a classic group. */
typedef struct CoordClassic
{
	CoordState	state;
	bool		initial;		/* preparing, and the group was empty before:
								 * the initial delay is running */
	bool		more_joined;	/* since the initial delay was last extended */
	int32		delay_ms;		/* length of the initial delay that is running */
	int32		remaining_ms;	/* how much it may still be extended */
	int32		generation;
	CoordBytes	protocol_type;	/* a block of its own; empty before the first
								 * member */
	ClassicProtocol *protocol;	/* of this generation; NULL if there is none */
	ClassicMember *leader;		/* NULL if there are no members */
	CoordTable	members;		/* ClassicMember, by member id */
	CoordTable	instances;		/* ClassicMember, by instance id; static
								 * members only */
	CoordTable	protocols;		/* ClassicProtocol, by name */
	CoordTable	pending;		/* ClassicPending, by member id */
	dlist_head	order;			/* members, the oldest first */
	dlist_head	pending_order;
	int			nawaiting_join; /* number of members with awaiting_join */
	int			npending_sync;	/* number of members with pending_sync */
	CoordTimer	join;			/* preparing: goes on without the members that
								 * are late */
	CoordTimer	sync;			/* completing or stable: removes members that
								 * have not synced */
	CoordGroup *group;
} CoordClassic;

/*
 * The session of a new member while its first JoinGroup waits.  Kafka removes
 * the member after this time, because its client is probably gone.
 */
#define CLASSIC_NEW_MEMBER_TIMEOUT_MS (5 * 60 * 1000)

/* classic_member.c */
extern CoordClassic *classic_make(CoordGroups *groups, CoordGroup *group);
extern ClassicMember *classic_member_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id);
extern ClassicMember *classic_instance_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes instance_id);
extern ClassicMember *classic_member_add(CoordGroups *groups, CoordGroup *group, const CoordEvent *event, CoordBytes member_id);
extern void classic_member_remove(CoordGroups *groups, ClassicMember *member, CoordError waiting);
extern ClassicMember *classic_member_replace(CoordGroups *groups, ClassicMember *old, const CoordEvent *event, CoordBytes member_id);
extern void classic_member_update(CoordGroups *groups, ClassicMember *member, const CoordEvent *event);
extern bool classic_member_matches(const ClassicMember *member, const CoordJoin *join);
extern void classic_member_await(CoordGroups *groups, ClassicMember *member, uint64 token);
extern void classic_member_synced(CoordGroups *groups, ClassicMember *member);
extern void classic_member_assign(CoordGroups *groups, ClassicMember *member, CoordBytes assignment);
extern CoordBytes classic_member_metadata(const ClassicMember *member);
extern bool classic_supports(const CoordGroups *groups, const CoordGroup *group, const CoordJoin *join);
extern ClassicProtocol *classic_vote(const CoordGroup *group);
extern void classic_choose(CoordGroups *groups, CoordGroup *group, ClassicProtocol *protocol);
extern ClassicPending *classic_pending_find(const CoordGroups *groups, const CoordGroup *group, CoordBytes member_id);
extern void classic_pending_add(CoordGroups *groups, CoordGroup *group, CoordBytes member_id, int32 timeout_ms);
extern void classic_pending_remove(CoordGroups *groups, ClassicPending *pending);

/* classic_rebalance.c */
extern void classic_rebalance(CoordGroups *groups, CoordGroup *group);
extern void classic_rebalance_prepare(CoordGroups *groups, CoordGroup *group);
extern void classic_rebalance_try(CoordGroups *groups, CoordGroup *group);
extern void classic_rebalance_complete(CoordGroups *groups, CoordGroup *group);
extern CoordReply *classic_join_answer(CoordGroups *groups, ClassicMember *member, uint64 token);
extern void classic_session_restart(CoordGroups *groups, ClassicMember *member, int32 timeout_ms);
extern bool classic_all_joined(const CoordGroup *group);

/*
 * Returns the state of a group that is known to be a classic one.
 */
static inline CoordClassic *
classic_of(const CoordGroup *group)
{
	Assert(group->kind == COORD_KIND_CLASSIC && group->classic != NULL);
	return group->classic;
}

#endif							/* COORD_CLASSIC_H */
