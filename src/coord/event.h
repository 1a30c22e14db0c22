/*-------------------------------------------------------------------------
 *
 * event.h
 *	  What can happen to the coordinator.
 *
 * Everything an event points to belongs to the caller and is needed only
 * during the step: what the coordinator keeps, it copies.
 *
 * Siblings: coord.h (the door), reply.h (which result answers which event).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_EVENT_H
#define COORD_EVENT_H

#include "coord/types.h"

typedef enum CoordEventType
{
	COORD_EV_TICK,				/* time has passed; no answer */
	COORD_EV_TOPICS,			/* the topics that exist now; no answer */
	COORD_EV_JOIN,				/* JoinGroup: may be answered steps later */
	COORD_EV_SYNC,				/* SyncGroup: may be answered steps later */
	COORD_EV_HEARTBEAT,			/* this and all below are answered at once */
	COORD_EV_LEAVE,
	COORD_EV_CONSUMER_HEARTBEAT,
	COORD_EV_COMMIT,
	COORD_EV_FETCH,
	COORD_EV_DELETE
} CoordEventType;

typedef struct CoordProtocol
{
	CoordBytes	name;
	CoordBytes	metadata;
} CoordProtocol;

typedef struct CoordJoin
{
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;	/* below 0 (version 0): the session
										 * timeout */
	CoordBytes	protocol_type;
	int			nprotocols;		/* in the client's order of preference */
	const CoordProtocol *protocols;
	CoordBytes	reason;			/* for log lines; may be null */
} CoordJoin;

typedef struct CoordSyncAssignment
{
	CoordBytes	member_id;
	CoordBytes	assignment;
} CoordSyncAssignment;

typedef struct CoordSync
{
	CoordBytes	protocol_type;	/* null below version 5 */
	CoordBytes	protocol_name;	/* null below version 5 */
	int			nassignments;	/* the leader's; none from others */
	const CoordSyncAssignment *assignments;
} CoordSync;

typedef struct CoordLeaveMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;	/* null: dynamic member */
	CoordBytes	reason;			/* may be null */
} CoordLeaveMember;

/* Below version 3 the handler makes one member of the request's member id. */
typedef struct CoordLeave
{
	int			nmembers;
	const CoordLeaveMember *members;
} CoordLeave;

/* ConsumerGroupHeartbeat; a null field has not changed since the last one. */
typedef struct CoordConsumerHeartbeat
{
	CoordBytes	rack_id;
	int32		rebalance_timeout_ms;	/* -1: not changed */
	int			nsubscribed;	/* -1: not changed */
	const CoordBytes *subscribed_topic_names;
	CoordBytes	subscribed_topic_regex;
	CoordBytes	server_assignor;
	int			nowned;			/* -1: not changed */
	const CoordTopicPartitions *owned;
} CoordConsumerHeartbeat;

typedef struct CoordCommit
{
	bool		transactional;	/* TxnOffsetCommit */
} CoordCommit;

typedef struct CoordTopic
{
	CoordUuid	id;
	CoordBytes	name;
	int32		npartitions;
} CoordTopic;

/* All topics; replaces what was known. */
typedef struct CoordTopics
{
	int			ntopics;
	const CoordTopic *topics;
} CoordTopics;

typedef struct CoordEvent
{
	CoordEventType type;
	uint64		token;			/* comes back in the reply; must be unique
								 * among those not answered */
	int16		api_version;	/* of the request; decides what the client
								 * understands */
	CoordBytes	group_id;
	CoordBytes	member_id;		/* empty: none yet */
	CoordBytes	group_instance_id;	/* static membership (KIP-345); null:
									 * dynamic */

	/*
	 * Generation, member epoch.  COMMIT and FETCH: -1 when the client is no
	 * member.  CONSUMER_HEARTBEAT: 0 joins, -1 leaves, -2 leaves for a while.
	 */
	int32		generation;
	CoordBytes	client_id;		/* of the connection: JOIN, CONSUMER_HEARTBEAT */
	CoordBytes	client_host;
	union
	{
		CoordJoin	join;
		CoordSync	sync;
		CoordLeave	leave;
		CoordConsumerHeartbeat consumer;
		CoordCommit commit;
		CoordTopics topics;
	}			u;
} CoordEvent;

#endif							/* COORD_EVENT_H */
