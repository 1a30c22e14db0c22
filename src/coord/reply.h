/*-------------------------------------------------------------------------
 *
 * reply.h
 *	  What the coordinator answers, and how it describes its groups.
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

typedef struct CoordJoinMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;
	CoordBytes	metadata;		/* of the protocol that was chosen */
} CoordJoinMember;

typedef struct CoordJoinReply
{
	int32		generation;		/* -1 in errors */
	CoordBytes	protocol_type;	/* null in errors */
	CoordBytes	protocol_name;	/* null in errors: below version 7 send it as
								 * empty */
	CoordBytes	leader;			/* never null */
	bool		skip_assignment;	/* the leader must not assign (version 9) */
	CoordBytes	member_id;		/* never null; also with MEMBER_ID_REQUIRED */
	int			nmembers;		/* for the leader only */
	const CoordJoinMember *members;
} CoordJoinReply;

typedef struct CoordSyncReply
{
	CoordBytes	protocol_type;	/* null in errors */
	CoordBytes	protocol_name;	/* null in errors */
	CoordBytes	assignment;		/* never null */
} CoordSyncReply;

typedef struct CoordLeftMember
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;
	CoordError	error;
} CoordLeftMember;

/*
 * In the order of the request.  Below version 3 its only member's error is the
 * error.
 */
typedef struct CoordLeaveReply
{
	int			nmembers;
	const CoordLeftMember *members;
} CoordLeaveReply;

typedef struct CoordConsumerHeartbeatReply
{
	CoordBytes	member_id;
	int32		member_epoch;
	int32		heartbeat_interval_ms;
	int			nassigned;		/* -1: null, the member knows */
	const CoordTopicPartitions *assigned;
} CoordConsumerHeartbeatReply;

typedef struct CoordReply
{
	uint64		token;
	CoordEventType type;		/* of the event that is answered */
	CoordError	error;
	CoordBytes	message;		/* error message for a user, or null */
	union
	{
		CoordJoinReply join;
		CoordSyncReply sync;
		CoordLeaveReply leave;
		CoordConsumerHeartbeatReply consumer;
	}			u;
} CoordReply;

/* A group whose number of members changed in this step. */
typedef struct CoordChange
{
	CoordBytes	group_id;
	CoordKind	kind;
	int			nmembers;		/* now */
} CoordChange;

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

typedef struct CoordMemberInfo
{
	CoordBytes	member_id;
	CoordBytes	group_instance_id;	/* null: dynamic */
	CoordBytes	client_id;
	CoordBytes	client_host;
	bool		classic;		/* speaks the classic protocol */
	/* kind classic; empty unless the group is stable */
	CoordBytes	metadata;
	CoordBytes	assignment;
	/* kind consumer */
	CoordBytes	rack_id;
	int32		member_epoch;
	int			nsubscribed;
	const CoordBytes *subscribed_topic_names;
	CoordBytes	subscribed_topic_regex;
	int			nassigned;
	const CoordTopicPartitions *assigned;
	int			ntarget;
	const CoordTopicPartitions *target;
} CoordMemberInfo;

typedef struct CoordDescription
{
	CoordGroupInfo info;
	CoordBytes	protocol_name;	/* classic: chosen protocol, empty unless
								 * stable; consumer: assignor */
	int32		generation;		/* classic: generation; consumer: group epoch */
	int32		assignment_epoch;	/* consumer */
	const CoordMemberInfo *members; /* info.nmembers of them */
} CoordDescription;

#endif							/* COORD_REPLY_H */
