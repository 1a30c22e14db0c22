/*-------------------------------------------------------------------------
 *
 * sim.h
 *	  A world of clients around one coordinator, all of it decided by a seed.
 *
 * A Sim is one world: a coordinator, its topics and clock, a network that delays,
 * doubles and loses, and actors.  An actor sends requests and gets answers, hears that
 * its connection broke, and is woken when it asked to be.  What it may believe at the same
 * time as others is checked after every step (model.c); when faults have stopped, every
 * actor must settle.
 *
 * To add a kind of actor: a file with SimActorOps, and a call in world.c's populate().
 *
 * Siblings: main.c (seeds), world.c (time, network), request.c, model.c, actor_classic.c, actor_admin.c, actor_vandal.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_H
#define SIM_H

#include "postgres_fe.h"

#include "common/fe_memutils.h"
#include "common/pg_prng.h"

#include "coord/coord.h"

#define SIM_GROUPS_MAX 3
#define SIM_PARTITIONS_MAX 64	/* of a group; sets of them are uint64 */
#define SIM_TOPICS 4			/* of groups whose consumers speak either protocol */

typedef struct Sim Sim;
typedef struct SimActor SimActor;

/* A request, from when it is sent until nobody needs it any more. */
typedef struct SimRequest
{
	CoordEvent	event;			/* its strings are in "pieces" */
	SimActor   *actor;
	uint64		id;
	int			life;			/* of the actor, and */
	int			conn;			/* its connection, when it was sent */
	int			refs;			/* deliveries and answers under way */
	bool		ordered;		/* sent by sim_send_ordered */
	int			incarnation[SIM_TOPICS];	/* COMMIT of a modern consumer: of the topics, when it was sent */
	int			group;
	/* COMMIT: what is committed if it is accepted */
	uint64		partitions;
	int64		offsets[SIM_PARTITIONS_MAX];
	void	  **pieces;
	int			npieces;
} SimRequest;

/* A request that has arrived; one that was doubled has two of them. */
typedef struct SimWaiting
{
	uint64		token;
	SimRequest *request;
} SimWaiting;

/* An answer on its way, with copies of everything. */
typedef struct SimAnswer
{
	CoordReply	reply;
	SimRequest *request;
	void	  **pieces;
	int			npieces;
} SimAnswer;

typedef struct SimActorOps
{
	const char *name;
	/* its time has come (sim_wake_at) */
	void		(*wake) (Sim *sim, SimActor *actor);
	/* an answer to a request of this life and connection */
	void		(*answer) (Sim *sim, SimActor *actor, const SimRequest *request, const CoordReply *reply);
	/* the connection broke: requests may have arrived or not, no answer will come */
	void		(*hangup) (Sim *sim, SimActor *actor);
	/* one of the faults that it can do to itself; not when the world is quiet */
	void		(*fault) (Sim *sim, SimActor *actor);
	/* faults are over: come back to life if you can */
	void		(*calm) (Sim *sim, SimActor *actor);
	/* has it what it wants?  Only asked when calm */
	bool		(*settled) (Sim *sim, SimActor *actor);
	/* the end: it goes without a word */
	void		(*stop) (Sim *sim, SimActor *actor);
	/* the partitions it works on as that member; false: it is no member */
	bool		(*holds) (const SimActor *actor, CoordBytes *member_id, int32 *generation, uint64 *partitions);
} SimActorOps;

struct SimActor
{
	const SimActorOps *ops;
	int			index;
	int			group;
	int			life;
	int			conn;
	int64		wake_at;		/* PG_INT64_MAX: not waiting */
	int64		arrives_at;		/* its last request of sim_send_ordered */
};

/* One member of the generation that a group is in, as the model knows it. */
typedef struct SimMember
{
	char		id[400];
	char		instance[32];	/* empty: dynamic */
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;
	uint64		assigned;
	int64		last_sign;		/* of life, in the coordinator's time */
	bool		synced;
	bool		gone;			/* left, or fenced */
} SimMember;

/* A member and its epoch after the last step. */
typedef struct SimSeen
{
	char		id[400];
	int32		epoch;
} SimSeen;

/* One that does not exist has npartitions -1. */
typedef struct SimTopic
{
	int			npartitions;
	int			incarnation;	/* grows when it is made anew */
} SimTopic;

/* What must be true of a group, learned from requests and answers alone. */
typedef struct SimGroup
{
	char		id[16];
	/* consumers speak either protocol (model_modern.c); the rest is for groups where they do not, but for "committed" */
	int			protocols;		/* 0: not such a group; 1: only KIP-848; 2: both */
	int32		epoch;
	int			nseen;
	SimSeen		seen[64];
	int			npartitions;
	bool		exists;
	int32		generation;		/* last one told in a JoinGroup response */
	int32		described;		/* last one described */
	bool		assigned;		/* its leader's assignment was accepted */
	bool		disturbed;		/* has prepared a rebalance since then */
	bool		replaced;		/* a static member came back in this generation */
	int64		began;			/* when it began, in the coordinator's time */
	char		leader[400];
	int			nmembers;
	SimMember	members[64];
	int			told;			/* members, by the changes of steps */
	/* the offsets, and who committed them last */
	int64		committed[SIM_PARTITIONS_MAX];
	char		committer[SIM_PARTITIONS_MAX][400];
	int32		committed_in[SIM_PARTITIONS_MAX];
} SimGroup;

struct Sim
{
	uint64		seed;
	pg_prng_state prng;
	bool		trace;
	bool		calm;			/* no more faults */
	CoordGroups *groups;
	CoordConfig config;
	int64		now;			/* ms */
	int64		clock_skew;		/* the coordinator's clock runs ahead by this */
	int64		clock_seen;		/* latest time the coordinator was told */
	int64		tick_at;		/* next planned TICK */
	int64		ticked_at;		/* the last one, and how many there were at that time */
	int			nticks;
	uint64		steps;
	uint64		digest;			/* of everything that was answered */
	const CoordEvent *event;	/* of the step that runs; NULL: TICK */
	bool		ticked;			/* it was a TICK */
	CoordGroupInfo before;		/* its group, before the step */
	uint64		last_request;
	uint64		last_token;
	/* rates, in 1/1000 */
	int			loss;
	int			doubling;
	int			fault;
	int			restart;
	SimTopic	topics[SIM_TOPICS];
	SimActor  **actors;
	int			nactors;
	int			ngroups;
	SimGroup	group[SIM_GROUPS_MAX];
	struct SimItem *items;		/* the heap of what is to happen */
	int			nitems;
	int			items_cap;
	uint64		item_seq;
	SimWaiting *waiting;
	int			nwaiting;
	int			waiting_cap;
};

/* main.c: counts what was answered to what */
extern void sim_count(const CoordReply *reply, CoordState before);

/* main.c: the world is wrong; says so, and how to see it again.  Does not return. */
extern void sim_fail(const Sim *sim, const char *fmt,...) pg_attribute_printf(2, 3) __attribute__((noreturn));
extern void sim_trace(const Sim *sim, const char *fmt,...) pg_attribute_printf(2, 3);

/* world.c */
extern void sim_step(Sim *sim, const CoordEvent *event);
extern uint64 sim_send_ordered(Sim *sim, SimRequest *request);	/* arrives after all that the actor sent so */
extern void sim_send_discard(SimRequest *request);	/* after all it is not sent */
extern void sim_run(Sim *sim, uint64 seed, int nsteps);
extern void sim_end(Sim *sim);
extern void sim_wake_at(Sim *sim, SimActor *actor, int64 at);
extern void sim_hangup(Sim *sim, SimActor *actor);	/* the actor closes its connection itself */
extern int64 sim_coord_time(const Sim *sim);
extern int	sim_below(Sim *sim, int n);	/* 0 .. n-1 */
extern bool sim_chance(Sim *sim, int per_mille);
extern SimWaiting *sim_waiting(Sim *sim, uint64 token);

/* request.c */
extern SimRequest *sim_request(Sim *sim, SimActor *actor, CoordEventType type, int version);
extern CoordBytes sim_request_bytes(SimRequest *request, const void *data, int len);
extern void *sim_request_piece(SimRequest *request, size_t size);
extern void sim_request_release(SimRequest *request);
extern uint64 sim_send(Sim *sim, SimRequest *request);	/* world.c; returns its id */
extern SimAnswer *sim_answer(SimRequest *request, const CoordReply *reply);
extern void sim_answer_free(SimAnswer *answer);

/* model.c */
extern void sim_model_event(Sim *sim, const CoordEvent *event);
extern void sim_model_replies(Sim *sim, const CoordReplies *replies);
extern void sim_model_check(Sim *sim);
extern void sim_model_restart(Sim *sim);
extern void sim_model_settled(Sim *sim);

/* model_modern.c, modern_topics.c: groups in which consumers speak either protocol */
extern void sim_modern_check(Sim *sim, int g, const CoordDescription *d);
extern void sim_modern_learn(Sim *sim, const SimRequest *request, const CoordReply *reply);
extern void sim_modern_settled(Sim *sim, int g);
extern void sim_topics_make(Sim *sim);
extern void sim_topics_tell(Sim *sim);
extern void sim_topics_change(Sim *sim);

/* actors */
extern SimActor *sim_actor_classic(Sim *sim, int group);
extern SimActor *sim_actor_modern(Sim *sim, int group);
extern SimActor *sim_actor_admin(Sim *sim, int group);
extern SimActor *sim_actor_vandal(Sim *sim);

static inline CoordBytes
sim_string(const char *s)
{
	return s == NULL ? COORD_NULL_BYTES : (CoordBytes) {s, (int32) strlen(s)};
}

static inline bool
sim_same(CoordBytes bytes, const char *s)
{
	return bytes.len == (int32) strlen(s) && memcmp(bytes.data, s, bytes.len) == 0;
}

extern void sim_keep(char *to, size_t size, CoordBytes from);

#endif							/* SIM_H */
