/*-------------------------------------------------------------------------
 *
 * consumer_types.h
 *	  The state of a consumer group of KIP-848 and of its members.
 *
 * README.md explains the epochs, draws the states and lists the invariants.
 *
 * Siblings: consumer.h (lists all files).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_CONSUMER_TYPES_H
#define COORD_CONSUMER_TYPES_H

#include "coord/assign.h"
#include "coord/topics.h"

/* Member epochs with a special meaning in heartbeats. */
#define CONSUMER_JOIN			0
#define CONSUMER_LEAVE			(-1)
#define CONSUMER_LEAVE_STATIC	(-2)	/* also the epoch of a static member
										 * that is away */

typedef struct ConsumerMember ConsumerMember;
typedef struct CoordConsumer CoordConsumer;

/*
 * A partition; the topic is a slot of the group.  Sets are sorted by topic
 * and partition, without duplicates.
 */
typedef struct ConsumerPart
{
	int32		topic;
	int32		partition;
	int32		epoch;			/* member epoch at which it was assigned; not
								 * part of the key */
} ConsumerPart;

/* A set of partitions. */
typedef struct ConsumerParts
{
	int			n;
	ConsumerPart *parts;
} ConsumerParts;

/*
 * A topic to which somebody subscribes, or of which somebody still has
 * partitions.  It may have been dropped.
 */
typedef struct ConsumerTopic
{
	CoordNode	node;			/* in by_topic; key: the bytes of id */
	CoordUuid	id;
	int32		slot;			/* index in CoordConsumer.topics */
	int32		npartitions;	/* length of owner[]; never shrinks */
	int32		nowned;			/* number of entries of owner[] that are not
								 * NULL */
	ConsumerMember **owner;		/* by partition: the member that may be
								 * reading it, or NULL */
} ConsumerTopic;

/*
 * What a member subscribes to.  Members of a group with the same subscription
 * share one.
 */
typedef struct ConsumerSubscription
{
	CoordNode	node;			/* key: canonical form of names and regex */
	dlist_node	link;			/* in CoordConsumer.subscriptions */
	int			nmembers;		/* number of members that have it */
	int			nnames;
	CoordBytes *names;			/* sorted, without duplicates */
	CoordRegex *regex;			/* NULL: none */
	int32	   *numbers;		/* topic numbers; used by consumer_target.c
								 * while a target is made */
	int			nnumbers;
} ConsumerSubscription;

/* What a member with the classic protocol said in its JoinGroup. */
typedef struct ConsumerClassic
{
	int32		session_timeout_ms;
	int16		version;		/* of the embedded protocol, from the metadata
								 * of its first protocol */
	int			nprotocols;
	CoordProtocol *protocols;	/* in the member's order of preference */
} ConsumerClassic;

/* The states of a member; README.md draws the transitions. */
typedef enum ConsumerState
{
	CONSUMER_STABLE,			/* has the whole target of its epoch */
	CONSUMER_UNREVOKED,			/* has to give up what is in "revoking" */
	CONSUMER_UNRELEASED			/* waits for partitions that others hold */
} ConsumerState;

/* A member of a consumer group. */
struct ConsumerMember
{
	CoordNode	node;			/* in by_id; key: the member id */
	CoordNode	by_instance;	/* in by_instance; key: the instance id */
	dlist_node	link;			/* in members, in the order of joining */
	CoordConsumer *consumer;
	CoordBytes	instance_id;	/* null: dynamic */
	CoordBytes	rack_id;
	CoordBytes	client_id;
	CoordBytes	client_host;
	int32		rebalance_timeout_ms;	/* ms */
	int			assignor;		/* number of the assignor that it votes for,
								 * or -1 */
	ConsumerSubscription *subscription;
	ConsumerClassic *classic;	/* NULL: it speaks the consumer protocol */

	int32		epoch;			/* member epoch; CONSUMER_LEAVE_STATIC while
								 * away */
	int32		previous_epoch; /* epoch before the last change */
	ConsumerState state;
	ConsumerParts assigned;		/* the member may read these */
	ConsumerParts revoking;		/* it may still read these, and must give them
								 * up */
	ConsumerParts target;		/* what the group's target gives it */

	CoordTimer	session;		/* armed always: the member is fenced when it
								 * fires */
	CoordTimer	rebalance;		/* consumer protocol: armed while "revoking"
								 * is not empty */
	int32		rebalance_epoch;	/* member epoch when "rebalance" was armed */
	CoordTimer	join;			/* classic protocol: time to join again */
	CoordTimer	sync;			/* classic protocol: time to sync after that */
};

/* The state of a consumer group. */
struct CoordConsumer
{
	CoordGroup *group;
	int32		epoch;			/* group epoch */
	int32		target_epoch;	/* epoch of the target; behind the group epoch
								 * until the next heartbeat */
	uint64		topics_hash;	/* of the topics to which the group subscribes */
	int64		assigned_at;	/* when the target was made, in ms;
								 * PG_INT64_MIN: never */
	dlist_head	members;		/* ConsumerMember, in the order of joining */
	CoordTable	by_id;			/* ConsumerMember, by member id */
	CoordTable	by_instance;	/* ConsumerMember, by instance id; static ones
								 * only */
	CoordTable	by_subscription;	/* ConsumerSubscription, by canonical form */
	dlist_head	subscriptions;
	ConsumerTopic **topics;		/* by slot; NULL where the slot is free */
	int			nslots;
	CoordTable	by_topic;		/* ConsumerTopic, by topic id */
	int			nclassic;		/* number of members with the classic protocol */
	int			votes[COORD_ASSIGNORS]; /* by number of the assignor */
};

#endif							/* COORD_CONSUMER_TYPES_H */
