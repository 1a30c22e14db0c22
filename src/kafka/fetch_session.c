/*-------------------------------------------------------------------------
 *
 * fetch_session.c
 *	  The cache of fetch sessions of this process.
 *
 * A request that is parked between begin and resume holds no pointer into a
 * session: it keeps id and serial and looks again, since sessions may be
 * dropped meanwhile.
 *
 * Siblings: fetch_session.h, api/01_fetch.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "kafka/fetch_session.h"

typedef struct SessionEntry
{
	int32		id;				/* hash key */
	KafkaFetchSession *session;
} SessionEntry;

static HTAB *sessions;
static dlist_head lru = DLIST_STATIC_INIT(lru); /* used last comes first */
static int	nsessions;
static int	nparts_all;			/* partitions in all sessions */
static uint64 last_serial;

static KafkaFetchKey
make_key(KafkaString name, const KafkaUuid *id, int32 partition)
{
	KafkaFetchKey key;

	if (id != NULL)
		key.topic = hash_bytes_extended(id->data, sizeof(id->data), 0);
	else
		key.topic = hash_bytes_extended((const unsigned char *) name.data, Max(name.len, 0), 0);
	key.partition = partition;
	return key;
}

static void
make_cache(void)
{
	HASHCTL		ctl = {
		.keysize = sizeof(int32),
		.entrysize = sizeof(SessionEntry),
		.hcxt = TopMemoryContext
	};

	sessions = hash_create("Kafka fetch sessions", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* NULL when there is none, or it has been replaced. */
KafkaFetchSession *
kafka_fetch_session_find(int32 id)
{
	SessionEntry *entry;

	if (sessions == NULL || id == 0)
		return NULL;
	entry = hash_search(sessions, &id, HASH_FIND, NULL);
	return entry ? entry->session : NULL;
}

void
kafka_fetch_session_drop(KafkaFetchSession *session)
{
	Assert(kafka_fetch_session_find(session->id) == session);
	hash_search(sessions, &session->id, HASH_REMOVE, NULL);
	dlist_delete(&session->lru);
	nsessions--;
	nparts_all -= session->nparts;
	Assert(nsessions >= 0 && nparts_all >= 0);
	Assert((nsessions == 0) == dlist_is_empty(&lru));
	MemoryContextDelete(session->mcxt);
}

/*
 * Makes room for another session of n partitions; false when all others are in
 * use.
 */
static bool
make_room(int new_sessions, int nparts)
{
	TimestampTz now = GetCurrentTimestamp();

	while (nsessions + new_sessions > KAFKA_FETCH_SESSIONS_MAX ||
		   nparts_all + nparts > KAFKA_FETCH_PARTS_MAX)
	{
		KafkaFetchSession *oldest;

		if (dlist_is_empty(&lru))
			return false;
		oldest = dlist_container(KafkaFetchSession, lru, dlist_tail_node(&lru));
		if (!TimestampDifferenceExceeds(oldest->used, now, KAFKA_FETCH_IDLE_MS))
			return false;
		kafka_fetch_session_drop(oldest);
	}
	return true;
}

/*
 * A random id, so that a client does not use another one's session by
 * accident.
 */
static int32
new_id(void)
{
	int32		id;

	do
	{
		if (!pg_strong_random(&id, sizeof(id)))
			return 0;
		id &= PG_INT32_MAX;
	} while (id == 0 || kafka_fetch_session_find(id) != NULL);
	return id;
}

/*
 * A new session with room for nparts partitions, NULL when the cache is full.
 */
KafkaFetchSession *
kafka_fetch_session_new(bool by_id, int nparts)
{
	MemoryContext mcxt;
	KafkaFetchSession *session;
	SessionEntry *entry;
	HASHCTL		ctl = {.keysize = sizeof(KafkaFetchKey),.entrysize = sizeof(KafkaFetchPart)};
	int32		id;

	if (sessions == NULL)
		make_cache();
	Assert(nparts > 0);
	id = new_id();
	if (id == 0 || !make_room(1, nparts))
		return NULL;

	mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka fetch session", ALLOCSET_SMALL_SIZES);
	session = MemoryContextAllocZero(mcxt, sizeof(KafkaFetchSession));
	session->id = id;
	session->epoch = 1;
	session->serial = ++last_serial;
	session->by_id = by_id;
	session->mcxt = mcxt;
	session->used = GetCurrentTimestamp();
	dlist_init(&session->order);
	ctl.hcxt = mcxt;
	session->parts = hash_create("partitions of a fetch session", Max(nparts, 8), &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	entry = hash_search(sessions, &id, HASH_ENTER, NULL);
	entry->session = session;
	dlist_push_head(&lru, &session->lru);
	nsessions++;
	return session;
}

/* Marks it as used, and moves on to the next epoch. */
void
kafka_fetch_session_next(KafkaFetchSession *session)
{
	Assert(session->epoch > 0);
	session->epoch = session->epoch == PG_INT32_MAX ? 1 : session->epoch + 1;
	session->used = GetCurrentTimestamp();
	dlist_move_head(&lru, &session->lru);
}

/*
 * Adds a partition, or changes what is asked of it.  NULL when there is no
 * room.  The name is copied; id is NULL or the name ignored.
 */
KafkaFetchPart *
kafka_fetch_session_put(KafkaFetchSession *session, KafkaString name, const KafkaUuid *id,
						const FetchPartition *asked)
{
	KafkaFetchKey key = make_key(name, id, asked->partition);
	KafkaFetchPart *part;

	part = hash_search(session->parts, &key, HASH_FIND, NULL);
	if (part != NULL)
	{
		part->asked = *asked;
		return part;
	}

	/* This session was used just now, so it is not the one that makes room. */
	if (!make_room(0, 1))
		return NULL;
	part = hash_search(session->parts, &key, HASH_ENTER, NULL);
	memset((char *) part + sizeof(key), 0, sizeof(*part) - sizeof(key));
	part->topic = (KafkaString)
	{
		"", 0
	};
	if (id != NULL)
		part->topic_id = *id;
	else if (name.len > 0)
	{
		char	   *at = MemoryContextAlloc(session->mcxt, name.len);

		part->topic = pt_string_put(&at, name);
	}
	part->asked = *asked;
	part->told_high_watermark = part->told_start_offset = -1;
	dlist_push_tail(&session->order, &part->node);
	session->nparts++;
	nparts_all++;
	Assert(session->nparts == hash_get_num_entries(session->parts));
	return part;
}

void
kafka_fetch_session_forget(KafkaFetchSession *session, KafkaString name, const KafkaUuid *id,
						   int32 partition)
{
	KafkaFetchKey key = make_key(name, id, partition);
	KafkaFetchPart *part = hash_search(session->parts, &key, HASH_FIND, NULL);

	if (part == NULL)
		return;
	if (part->topic.len > 0)
		pfree(unconstify(char *, part->topic.data));
	dlist_delete(&part->node);
	hash_search(session->parts, &key, HASH_REMOVE, NULL);
	session->nparts--;
	nparts_all--;
	Assert(session->nparts >= 0 && nparts_all >= session->nparts);
}

/* A partition that got data goes to the end of the line. */
void
kafka_fetch_session_requeue(KafkaFetchSession *session, KafkaFetchPart *part)
{
	Assert(session->nparts > 0);
	dlist_delete(&part->node);
	dlist_push_tail(&session->order, &part->node);
}
