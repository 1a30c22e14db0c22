/*-------------------------------------------------------------------------
 *
 * reply.h
 *	  The answers of the coordinator, and the descriptions of its groups.
 *
 * Everything in a reply is valid until the next step and must not be changed.
 *
 * Siblings: coord.h (the door), event.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_REPLY_H
#define COORD_REPLY_H

#include "coord/event.h"

/* A member, as the leader gets it. */
typedef struct CoordJoinMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;
	CoordBytes	metadata;		/* of the protocol that was chosen */
} CoordJoinMember;

/* Answer to JoinGroup. */
typedef struct CoordJoinReply
{
	int32		generation;		/* -1 in errors */
	CoordBytes	protocol_type;	/* null in errors */
	CoordBytes	protocol_name;	/* null in errors; send it as empty below
								 * version 7 */
	CoordBytes	leader;			/* member id; never null */
	bool		skip_assignment;	/* the leader must not assign (from
									 * version 9 on) */
	CoordBytes	member_id;		/* never null; MEMBER_ID_REQUIRED comes with
								 * the new id */
	int			nmembers;		/* 0 unless the member is the leader */
	const CoordJoinMember *members;
} CoordJoinReply;

/* Answer to SyncGroup. */
typedef struct CoordSyncReply
{
	CoordBytes	protocol_type;	/* null in errors */
	CoordBytes	protocol_name;	/* null in errors */
	CoordBytes	assignment;		/* never null */
} CoordSyncReply;

/* The result for one member that leaves. */
typedef struct CoordLeftMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;
	CoordError	error;
} CoordLeftMember;

/*
 * Answer to LeaveGroup, in the order of the request.  Below version 3 the
 * error of the only member is the error of the response.
 */
typedef struct CoordLeaveReply
{
	int			nmembers;
	const CoordLeftMember *members;
} CoordLeaveReply;

/* Answer to ConsumerGroupHeartbeat. */
typedef struct CoordConsumerHeartbeatReply
{
	CoordBytes	member_id;
	int32		member_epoch;	/* -1 or -2 when the member has left */
	int32		heartbeat_interval_ms;
	int			nassigned;		/* -1: null, because nothing has changed */
	const CoordTopicPartitions *assigned;
} CoordConsumerHeartbeatReply;

/* An answer to one event. */
typedef struct CoordReply
{
	uint64		token;			/* of the event */
	CoordEventType type;		/* of the event that is answered */
	CoordError	error;
	CoordBytes	message;		/* of an error, for users; or null */
	union
	{
		CoordJoinReply join;
		CoordSyncReply sync;
		CoordLeaveReply leave;
		CoordConsumerHeartbeatReply consumer;
	}			u;
} CoordReply;

/* A group whose number of members has changed in this step. */
typedef struct CoordChange
{
	CoordBytes	group_id;
	CoordKind	kind;
	int			nmembers;		/* after the step */
} CoordChange;

/* All that a step gives. */
typedef struct CoordReplies
{
	int			nreplies;
	const CoordReply *replies;
	int			nchanges;
	const CoordChange *changes;
} CoordReplies;

/* One line of ListGroups. */
typedef struct CoordGroupInfo
{
	CoordBytes	group_id;
	CoordKind	kind;
	CoordState	state;
	CoordBytes	protocol_type;	/* "consumer" for kind consumer; never null */
	int			nmembers;
} CoordGroupInfo;

/* One member of a described group. */
typedef struct CoordMemberInfo
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;	/* null: dynamic */
	CoordBytes	client_id;
	CoordBytes	client_host;
	bool		classic;		/* speaks the classic protocol */
	/* kind classic; both are empty unless the group is stable */
	CoordBytes	metadata;
	CoordBytes	assignment;
	/* kind consumer */
	CoordBytes	rack_id;
	int32		member_epoch;
	int			nsubscribed;
	const CoordBytes *subscribed_topic_names;
	CoordBytes	subscribed_topic_regex;
	uint32		viewer;			/* whose eyes it looks with */
	int			nassigned;
	const CoordTopicPartitions *assigned;
	int			ntarget;
	const CoordTopicPartitions *target;
} CoordMemberInfo;

/* What DescribeGroups and ConsumerGroupDescribe tell. */
typedef struct CoordDescription
{
	CoordGroupInfo info;
	CoordBytes	protocol_name;	/* classic: the chosen protocol, empty unless
								 * stable; consumer: the assignor */
	int32		generation;		/* classic: generation; consumer: group epoch */
	int32		assignment_epoch;	/* consumer: epoch of the target */
	const CoordMemberInfo *members; /* info.nmembers entries */
} CoordDescription;

#endif							/* COORD_REPLY_H */
