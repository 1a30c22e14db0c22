/*-------------------------------------------------------------------------
 *
 * consumer_types.h
 *	  Consumer groups of KIP-848: what is known of a group and its members.
 *
 * README.md says what the epochs mean, draws the states, and has the
 * invariants.
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

/* Member epochs with a meaning, in heartbeats. */
#define CONSUMER_JOIN			0
#define CONSUMER_LEAVE			(-1)
#define CONSUMER_LEAVE_STATIC	(-2)	/* also the epoch of a static member
										 * that is away */

typedef struct ConsumerMember ConsumerMember;
typedef struct CoordConsumer CoordConsumer;

/*
 * A partition by the slot of its topic.  Sets are sorted by both, without
 * duplicates.
 */
typedef struct ConsumerPart
{
	int32		topic;
	int32		partition;
	int32		epoch;			/* member epoch at which it was assigned; no
								 * part of the key */
} ConsumerPart;

typedef struct ConsumerParts
{
	int			n;
	ConsumerPart *parts;
} ConsumerParts;

/*
 * A topic that somebody subscribes to, or still has partitions of.  It may
 * have been dropped.
 */
typedef struct ConsumerTopic
{
	CoordNode	node;			/* in by_topic; key: the bytes of id */
	CoordUuid	id;
	int32		slot;			/* index in CoordConsumer.topics */
	int32		npartitions;	/* of the array */
	int32		nowned;
	ConsumerMember **owner;
} ConsumerTopic;

/*
 * What a member subscribes to; shared by all of the group that subscribe to
 * the same.
 */
typedef struct ConsumerSubscription
{
	CoordNode	node;			/* key: canonical form of names and regex */
	dlist_node	link;
	int			nmembers;
	int			nnames;
	CoordBytes *names;			/* sorted, without duplicates */
	CoordRegex *regex;			/* NULL: none */
	int32	   *numbers;		/* scratch of consumer_target.c */
	int			nnumbers;
} ConsumerSubscription;

/* What a member that speaks the classic protocol said in its JoinGroup. */
typedef struct ConsumerClassic
{
	int32		session_timeout_ms;
	int16		version;		/* of the embedded protocol, from its first
								 * metadata */
	int			nprotocols;
	CoordProtocol *protocols;
} ConsumerClassic;

/* README.md draws the transitions. */
typedef enum ConsumerState
{
	CONSUMER_STABLE,			/* has all of the target of its epoch */
	CONSUMER_UNREVOKED,			/* has yet to give up what is in revoking */
	CONSUMER_UNRELEASED			/* waits for partitions that others still hold */
} ConsumerState;

struct ConsumerMember
{
	CoordNode	node;			/* in by_id; key: the member id */
	CoordNode	by_instance;	/* key: the instance id */
	dlist_node	link;			/* in members, in the order of joining */
	CoordConsumer *consumer;
	CoordBytes	instance_id;	/* null: dynamic */
	CoordBytes	rack_id;
	CoordBytes	client_id;
	CoordBytes	client_host;
	int32		rebalance_timeout_ms;
	int			assignor;		/* that it votes for, or -1 */
	ConsumerSubscription *subscription;
	ConsumerClassic *classic;	/* NULL: speaks the consumer protocol */

	int32		epoch;
	int32		previous_epoch;
	ConsumerState state;
	ConsumerParts assigned;		/* may be read */
	ConsumerParts revoking;		/* may still be read, must be given up */
	ConsumerParts target;

	CoordTimer	session;
	CoordTimer	rebalance;		/* consumer protocol: to give up what is in
								 * revoking */
	int32		rebalance_epoch;
	CoordTimer	join;			/* classic protocol: to join again, */
	CoordTimer	sync;			/* and to sync after that */
};

struct CoordConsumer
{
	CoordGroup *group;
	int32		epoch;
	int32		target_epoch;
	uint64		topics_hash;	/* of the topics subscribed to */
	int64		assigned_at;	/* when the target was made; PG_INT64_MIN:
								 * never */
	dlist_head	members;
	CoordTable	by_id;
	CoordTable	by_instance;
	CoordTable	by_subscription;
	dlist_head	subscriptions;
	ConsumerTopic **topics;		/* slots; NULL where free */
	int			nslots;
	CoordTable	by_topic;
	int			nclassic;		/* members with the classic protocol */
	int			votes[COORD_ASSIGNORS];
};

#endif							/* COORD_CONSUMER_TYPES_H */
