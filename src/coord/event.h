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

/* The types of events.  CoordEvent.u has the part that belongs to each. */
typedef enum CoordEventType
{
	COORD_EV_TICK,				/* time has passed; no answer */
	COORD_EV_TOPICS,			/* the topics that exist now; no answer */
	COORD_EV_JOIN,				/* JoinGroup: may be answered steps later */
	COORD_EV_SYNC,				/* SyncGroup: may be answered steps later */
	COORD_EV_HEARTBEAT,			/* this and all below are answered at once */
	COORD_EV_LEAVE,				/* LeaveGroup */
	COORD_EV_CONSUMER_HEARTBEAT,	/* ConsumerGroupHeartbeat */
	COORD_EV_COMMIT,			/* OffsetCommit, TxnOffsetCommit: may these
								 * offsets be committed? */
	COORD_EV_FETCH,				/* OffsetFetch: may the offsets be read? */
	COORD_EV_DELETE				/* DeleteGroups: forget the group */
} CoordEventType;

/* A protocol of a JoinGroup: its name and the member's metadata for it. */
typedef struct CoordProtocol
{
	CoordBytes	name;
	CoordBytes	metadata;
} CoordProtocol;

/* JoinGroup */
typedef struct CoordJoin
{
	int32		session_timeout_ms;
	int32		rebalance_timeout_ms;	/* below 0 (version 0): the session
										 * timeout counts */
	CoordBytes	protocol_type;
	int			nprotocols;		/* in the client's order of preference */
	const CoordProtocol *protocols;
	CoordBytes	reason;			/* for log lines; may be null */
} CoordJoin;

/* The assignment of one member, as the leader made it. */
typedef struct CoordSyncAssignment
{
	CoordBytes	member_id;
	CoordBytes	assignment;
} CoordSyncAssignment;

/* SyncGroup */
typedef struct CoordSync
{
	CoordBytes	protocol_type;	/* null below version 5 */
	CoordBytes	protocol_name;	/* null below version 5 */
	int			nassignments;	/* only the leader sends any */
	const CoordSyncAssignment *assignments;
} CoordSync;

/* One of the members that leave. */
typedef struct CoordLeaveMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;	/* null: dynamic member */
	CoordBytes	reason;			/* may be null */
} CoordLeaveMember;

/*
 * LeaveGroup.  Below version 3 the handler makes one member of the request's
 * member id.
 */
typedef struct CoordLeave
{
	int			nmembers;
	const CoordLeaveMember *members;
} CoordLeave;

/*
 * ConsumerGroupHeartbeat (KIP-848).  A null field has not changed since the
 * last heartbeat.
 */
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

/* OffsetCommit or TxnOffsetCommit. */
typedef struct CoordCommit
{
	bool		transactional;	/* TxnOffsetCommit */
} CoordCommit;

/* A topic that exists. */
typedef struct CoordTopic
{
	CoordUuid	id;
	CoordBytes	name;
	int32		npartitions;
} CoordTopic;

/* All topics that exist.  They replace those of the last event. */
typedef struct CoordTopics
{
	int			ntopics;
	const CoordTopic *topics;
} CoordTopics;

/* An event.  Fields that its type does not need are ignored. */
typedef struct CoordEvent
{
	CoordEventType type;
	uint64		token;			/* comes back in the reply; unique among the
								 * requests that are not answered */
	int16		api_version;	/* of the request; decides what the client
								 * understands */
	CoordBytes	group_id;
	CoordBytes	member_id;		/* empty: none yet */
	CoordBytes	group_instance_id;	/* static membership (KIP-345); null:
									 * dynamic */

	/*
	 * The generation, or the member epoch.  COMMIT and FETCH: -1 if the
	 * client is not a member.  CONSUMER_HEARTBEAT: 0 joins, -1 leaves, -2
	 * leaves for a while (static members).
	 */
	int32		generation;
	CoordBytes	client_id;		/* of the connection; for JOIN and
								 * CONSUMER_HEARTBEAT */
	CoordBytes	client_host;
	uint32		viewer;			/* CONSUMER_HEARTBEAT: whose eyes a regular
								 * expression looks with */
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
