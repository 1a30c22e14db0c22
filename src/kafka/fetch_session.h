/*-------------------------------------------------------------------------
 *
 * fetch_session.h
 *	  Fetch sessions (KIP-227): what a consumer fetches, kept between requests.
 *
 * With a session a consumer names only the partitions that changed, and gets
 * only those that have news.  Sessions belong to the process, not to a
 * connection: a client that reconnects to another worker is told that its
 * session is not there, and makes a new one.
 *
 * Their number and the partitions in all of them are bounded.  When there is
 * no room, the one used longest ago makes place if it has been idle for a
 * while; else no session is made, which clients cope with.
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

/* Topic (hashed: a session can only mix up its own) and partition. */
typedef struct KafkaFetchKey
{
	uint64		topic;
	int64		partition;
} KafkaFetchKey;

/* A partition of a session: what was asked last, and what was told last. */
typedef struct KafkaFetchPart
{
	KafkaFetchKey key;
	dlist_node	node;			/* in the order of fetching */
	KafkaString topic;			/* by name, or */
	KafkaUuid	topic_id;		/* by id */
	FetchPartition asked;
	int64		cursor_offset;	/* of the engine */
	PtLogPos	cursor_pos;
	Oid			cursor_file;
	int64		told_high_watermark;	/* -1: the next answer has news */
	int64		told_start_offset;
} KafkaFetchPart;

typedef struct KafkaFetchSession
{
	int32		id;
	int32		epoch;			/* that the next request must have */
	uint64		serial;			/* never the same again */
	bool		by_id;			/* topics are named by id */
	MemoryContext mcxt;
	HTAB	   *parts;			/* KafkaFetchKey to KafkaFetchPart */
	dlist_head	order;
	int			nparts;
	dlist_node	lru;
	TimestampTz used;
} KafkaFetchSession;

extern KafkaFetchSession *kafka_fetch_session_find(int32 id);

extern KafkaFetchSession *kafka_fetch_session_new(bool by_id, int nparts);
extern void kafka_fetch_session_drop(KafkaFetchSession *session);

extern void kafka_fetch_session_next(KafkaFetchSession *session);

extern KafkaFetchPart *kafka_fetch_session_put(KafkaFetchSession *session, KafkaString name,
											   const KafkaUuid *id, const FetchPartition *asked);
extern void kafka_fetch_session_forget(KafkaFetchSession *session, KafkaString name,
									   const KafkaUuid *id, int32 partition);

extern void kafka_fetch_session_requeue(KafkaFetchSession *session, KafkaFetchPart *part);

#endif							/* KAFKA_FETCH_SESSION_H */
