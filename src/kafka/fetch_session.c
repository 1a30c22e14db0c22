/*-------------------------------------------------------------------------
 *
 * fetch_session.c
 *	  The cache of fetch sessions of this process.
 *
 * A request that waits between begin and resume holds no pointer into a
 * session, because the session may be dropped meanwhile.  It keeps the id and
 * the serial and looks again.
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

/*
 * Makes the key of a partition of a topic, which is named by id if id is not
 * NULL.
 */
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

/*
 * Makes the empty cache.  It lives as long as the process.
 */
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

/*
 * Returns the session, or NULL if it does not exist or no longer exists.
 */
KafkaFetchSession *
kafka_fetch_session_find(int32 id)
{
	SessionEntry *entry;

	if (sessions == NULL || id == 0)
		return NULL;
	entry = hash_search(sessions, &id, HASH_FIND, NULL);
	return entry ? entry->session : NULL;
}

/*
 * Removes a session and frees it with its partitions.
 */
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
 * Makes room for new_sessions sessions (0 or 1) and nparts partitions.  It
 * drops sessions that have been idle for KAFKA_FETCH_IDLE_MS.  Returns false
 * if that is not enough.
 */
static bool
make_room(int new_sessions, int nparts)
{
	TimestampTz now = GetCurrentTimestamp();

	Assert(new_sessions >= 0 && nparts >= 0);
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
 * Returns an unused random id above 0, or 0 if there is no randomness.  It is
 * random so that a client does not use another client's session by accident.
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
 * Makes a session with room for nparts partitions.  Its epoch is 1, the one
 * that the next request must have.  Returns NULL if the cache is full.
 */
KafkaFetchSession *
kafka_fetch_session_new(Oid role, bool by_id, int nparts)
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
	session->role = role;
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

/*
 * Moves on to the next epoch, and marks the session as used.
 */
void
kafka_fetch_session_next(KafkaFetchSession *session)
{
	Assert(session->epoch > 0);
	session->epoch = session->epoch == PG_INT32_MAX ? 1 : session->epoch + 1;
	session->used = GetCurrentTimestamp();
	dlist_move_head(&lru, &session->lru);
}

/*
 * Adds a partition to the session, or changes what is asked of it.  The topic
 * is named by id if id is not NULL, else by a name, which is copied.  Returns
 * NULL if there is no room.  The result is valid until the partition is
 * forgotten or the session dropped.
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

	/* This session was used just now, so make_room() does not drop it. */
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

/*
 * Removes a partition from the session, if it is there.
 */
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

/*
 * Puts a partition at the end of the order.  A partition that got data goes
 * there, so that the others have their turn.
 */
void
kafka_fetch_session_requeue(KafkaFetchSession *session, KafkaFetchPart *part)
{
	Assert(session->nparts > 0);
	dlist_delete(&part->node);
	dlist_push_tail(&session->order, &part->node);
}
