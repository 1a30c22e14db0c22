/*-------------------------------------------------------------------------
 *
 * modern.h
 *	  Groups in which consumers speak either protocol: what their files share.
 *
 * All such groups read the same topics, "t0" to "t3".  A partition is a bit: topic * 16 +
 * partition.  A topic that is dropped and made again is another one: its incarnation
 * is part of its id.
 *
 * Siblings: actor_modern.c (the consumer), modern_new.c (KIP-848), modern_classic.c (the classic protocol, with
 * the true bytes of Kafka's consumers), model_modern.c (what must be true), modern_topics.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_MODERN_H
#define SIM_MODERN_H

#include "sim.h"

#define MODERN_PARTS 16			/* of a topic, at most */

#define MODERN_BIT(topic, partition) (UINT64CONST(1) << ((topic) * MODERN_PARTS + (partition)))
#define MODERN_TOPIC_MASK(topic) (UINT64CONST(0xFFFF) << ((topic) * MODERN_PARTS))

typedef enum ModernPhase
{
	MODERN_DOWN,				/* not running */
	MODERN_APART,				/* wants to join */
	MODERN_JOINING,				/* asked to */
	MODERN_SYNCING,				/* classic: asked for its assignment */
	MODERN_WORKING
} ModernPhase;

typedef enum ModernMode
{
	MODERN_EAGER,				/* classic: gives everything up before it joins */
	MODERN_BOTH,				/* eager, and supports the other */
	MODERN_COOPERATIVE			/* classic: keeps what it has */
} ModernMode;

typedef struct Modern
{
	SimActor	actor;
	ModernPhase phase;
	bool		classic;		/* protocol that it speaks in this life */
	ModernMode	mode;
	int			version;
	bool		is_static;
	char		instance[32];
	char		member_id[400];
	int32		epoch;			/* member epoch or generation */
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;
	int			topics;			/* bits: what it subscribes to */
	bool		by_regex;		/* subscribes to all topics by "t.*" instead */
	bool		resubscribed;	/* and has not said so yet */
	uint64		owned;			/* what it works on */
	int			incarnation[SIM_TOPICS];	/* of the topics it has partitions of */
	bool		leads;			/* classic: it made the last assignment, */
	uint64		topics_seen;	/* of these topics */
	int			answered[SIM_TOPICS];	/* classic: incarnations when its last SyncGroup was answered */
	uint64		target;			/* KIP-848: what it was told to work on */
	bool		revoking;		/* it is giving up what is not in target, */
	int64		revoked_at;		/* and will have by then */
	bool		full;			/* the next heartbeat must say everything */
	uint64		told;			/* of what it has, by the last heartbeat */
	int64		positions[SIM_PARTITIONS_MAX];
	uint64		asked;			/* id of the request whose answer it waits for, 0: none */
	int64		patience;		/* until when */
	int64		act_at;			/* APART: when to join; DOWN: when to start */
	int64		heartbeat_at;
	int64		commit_at;
	int64		paused_until;
} Modern;

/* actor_modern.c */
extern void modern_plan(Sim *sim, Modern *me);
extern SimRequest *modern_request(Sim *sim, Modern *me, CoordEventType type, int version);
extern void modern_lose_all(Modern *me, bool forget_id);
extern void modern_rejoin(Sim *sim, Modern *me, int ms);
extern void modern_go_down(Sim *sim, Modern *me, int64 until);
extern void modern_commit(Sim *sim, Modern *me);
extern void modern_work_on(Sim *sim, Modern *me, uint64 partitions);
extern void modern_error(Sim *sim, Modern *me, CoordError error);

/* modern_new.c */
extern void modern_new_join(Sim *sim, Modern *me);
extern void modern_new_wake(Sim *sim, Modern *me);
extern void modern_new_answer(Sim *sim, Modern *me, const SimRequest *request, const CoordReply *reply);
extern void modern_new_leave(Sim *sim, Modern *me);

/* modern_classic.c */
extern void modern_classic_join(Sim *sim, Modern *me);
extern void modern_classic_wake(Sim *sim, Modern *me);
extern void modern_classic_answer(Sim *sim, Modern *me, const SimRequest *request, const CoordReply *reply);
extern void modern_classic_leave(Sim *sim, Modern *me);

/* modern_topics.c */
extern CoordUuid modern_topic_id(const Sim *sim, int topic);
extern uint64 modern_topic_partitions(const Sim *sim, int topic);
extern uint64 modern_topics_digest(const Sim *sim);
extern uint64 modern_subscribed(const Sim *sim, const Modern *me);
extern uint64 modern_held(const Sim *sim, const Modern *me);
extern uint64 modern_mask(const Sim *sim, const CoordTopicPartitions *list, int n);
extern const char *modern_topic_name(int topic);
extern int	modern_topic_number(CoordBytes name);

/* Is the actor a consumer of such a group? */
extern Modern *modern_of(SimActor *actor);

#endif							/* SIM_MODERN_H */
