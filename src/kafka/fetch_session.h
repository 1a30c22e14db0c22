/*-------------------------------------------------------------------------
 *
 * fetch_session.h
 *	  Fetch sessions (KIP-227): what a consumer fetches, kept between requests.
 *
 * With a session a consumer names only the partitions that changed, and gets
 * only those that have news.  Sessions belong to the process, not to a
 * connection.  A client that reconnects to another worker is told that its
 * session does not exist, and makes a new one.
 *
 * The number of sessions and the number of partitions in all of them are
 * bounded.  If there is no room, the session that was used longest ago is
 * dropped if it is idle; otherwise no session is made, and the client sends
 * full requests.
 *
 * Siblings: fetch_session.c, api/01_fetch.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_FETCH_SESSION_H
#define KAFKA_FETCH_SESSION_H

#include "lib/ilist.h"
#include "utils/hsearch.h"

#include "kafka/api.h"

#define KAFKA_FETCH_SESSIONS_MAX	1000
#define KAFKA_FETCH_PARTS_MAX		200000
#define KAFKA_FETCH_IDLE_MS			120000

/*
 * The key of a partition in a session.  The topic is a hash; a client that
 * finds a collision mixes up only its own session.
 */
typedef struct KafkaFetchKey
{
	uint64		topic;
	int64		partition;
} KafkaFetchKey;

/* A partition of a session: what was asked last, and what was told last. */
typedef struct KafkaFetchPart
{
	KafkaFetchKey key;
	dlist_node	node;			/* place in KafkaFetchSession.order */
	KafkaString topic;			/* by name, or */
	KafkaUuid	topic_id;		/* by id */
	FetchPartition asked;
	int64		cursor_offset;	/* place of the last read, for the engine */
	PtLogPos	cursor_pos;
	uint32		cursor_swapped;
	Oid			cursor_file;
	int64		told_high_watermark;	/* last answer; -1: the next answer
										 * has news */
	int64		told_start_offset;	/* likewise */
} KafkaFetchPart;

typedef struct KafkaFetchSession
{
	int32		id;
	int32		epoch;			/* of the next request; 1 and more */
	uint64		serial;			/* no other session of this process has it */
	Oid			role;			/* whose it is */
	bool		by_id;			/* topics are named by id */
	MemoryContext mcxt;
	HTAB	   *parts;			/* KafkaFetchKey to KafkaFetchPart */
	dlist_head	order;			/* partitions in the order of reading */
	int			nparts;
	dlist_node	lru;			/* place in the list of all sessions */
	TimestampTz used;			/* last time */
} KafkaFetchSession;

extern KafkaFetchSession *kafka_fetch_session_find(int32 id);

extern KafkaFetchSession *kafka_fetch_session_new(Oid role, bool by_id, int nparts);
extern void kafka_fetch_session_drop(KafkaFetchSession *session);

extern void kafka_fetch_session_next(KafkaFetchSession *session);

extern KafkaFetchPart *kafka_fetch_session_put(KafkaFetchSession *session, KafkaString name,
											   const KafkaUuid *id, const FetchPartition *asked);
extern void kafka_fetch_session_forget(KafkaFetchSession *session, KafkaString name,
									   const KafkaUuid *id, int32 partition);

extern void kafka_fetch_session_requeue(KafkaFetchSession *session, KafkaFetchPart *part);

#endif							/* KAFKA_FETCH_SESSION_H */
